//! Repeated strings, kept once: a million rows name a dozen file types.
//!
//! Bounded: past its capacity it stops remembering and only copies.

use std::collections::HashSet;
use std::sync::Arc;

/// Distinct strings remembered; with fields of at most 4 KiB this is 16 MiB in the worst corpus.
const CAPACITY: usize = 4096;

/// A bounded cache of shared strings.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    known: HashSet<Arc<str>>,
    last: Option<Arc<str>>,
}

impl Interner {
    /// The shared string equal to `text`; `None` for the empty text, which in a table means "not given".
    pub(crate) fn get(&mut self, text: &str) -> Option<Arc<str>> {
        if text.is_empty() {
            return None;
        }
        // Tables come in runs: the last string is the likeliest next one.
        if let Some(last) = self.last.as_ref().filter(|last| ***last == *text) {
            return Some(Arc::clone(last));
        }
        let shared = match self.known.get(text) {
            Some(known) => Arc::clone(known),
            None => {
                let new: Arc<str> = Arc::from(text);
                if self.known.len() < CAPACITY {
                    self.known.insert(Arc::clone(&new));
                }
                new
            }
        };
        self.last = Some(Arc::clone(&shared));
        Some(shared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_share_one_allocation() {
        let mut interner = Interner::default();
        let first = interner.get("pe32").unwrap();
        interner.get("apk");
        assert!(Arc::ptr_eq(&first, &interner.get("pe32").unwrap()));
        assert_eq!(interner.get(""), None);
    }

    #[test]
    fn the_cache_does_not_grow_past_its_capacity() {
        let mut interner = Interner::default();
        for number in 0..2 * CAPACITY {
            assert_eq!(interner.get(&number.to_string()).as_deref(), Some(number.to_string().as_str()));
        }
        assert_eq!(interner.known.len(), CAPACITY);
    }
}
