//! What is remembered of bounties until they are settled: a bounded map, which forgets the oldest first.

use std::collections::VecDeque;

use market::id::{Guid, GuidMap};

/// Bounties that are remembered.
const MAXIMUM: usize = 1 << 14;

/// Something about each of some bounties.
#[derive(Debug)]
pub struct Pending<T> {
    known: GuidMap<T>,
    /// Guids of `known`, oldest first, and of some that were taken out.
    order: VecDeque<Guid>,
}

impl<T> Default for Pending<T> {
    fn default() -> Pending<T> {
        Pending { known: GuidMap::default(), order: VecDeque::new() }
    }
}

impl<T> Pending<T> {
    /// Remembers `what` of a bounty.
    pub fn insert(&mut self, guid: Guid, what: T) {
        if self.known.insert(guid, what).is_none() {
            self.order.push_back(guid);
        }
        while self.known.len() > MAXIMUM || self.order.len() > 2 * MAXIMUM {
            let Some(oldest) = self.order.pop_front() else { break };
            self.known.remove(&oldest);
        }
    }

    /// What was remembered of a bounty, and now is no more.
    pub fn take(&mut self, guid: Guid) -> Option<T> {
        let what = self.known.remove(&guid);
        while self.order.front().is_some_and(|guid| !self.known.contains_key(guid)) {
            self.order.pop_front();
        }
        what
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_what_is_taken_is_gone() {
        let mut pending = Pending::default();
        (0..MAXIMUM as u128 + 3).for_each(|guid| pending.insert(Guid(guid), guid));
        assert_eq!((pending.take(Guid(2)), pending.take(Guid(3)), pending.take(Guid(3))), (None, Some(3), None));
        assert_eq!(pending.known.len(), MAXIMUM - 1);
        assert!(pending.order.len() <= MAXIMUM);
    }
}
