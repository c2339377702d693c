//! What can be staked: the balance on chain, less what assertions under way will take.
//!
//! A balance is as old as the question: an assertion that was mined after it was asked for is not in it. So each
//! reservation stays until a balance that was asked for later is known.

use market::{
    id::{Guid, GuidMap},
    nct::Nct,
};

/// The account's Nectar.
#[derive(Debug, Default)]
pub struct Funds {
    balance: Nct,
    /// Questions asked so far.
    asked: u64,
    /// Questions for assertions whose end is not known yet (`None`), or was known before that question.
    reserved: Vec<(Guid, Nct, Option<u64>)>,
    locked: GuidMap<Nct>,
}

impl Funds {
    /// A balance is being asked for; the answer goes to [`Funds::learn`] with this number.
    pub fn ask(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    /// The answer to a question.
    pub fn learn(&mut self, question: u64, balance: Nct) {
        self.balance = balance;
        self.reserved.retain(|&(_, _, over)| over.is_none_or(|over| over >= question));
    }

    /// An assertion that takes `amount` is on its way.
    pub fn reserve(&mut self, guid: Guid, amount: Nct) {
        self.reserved.push((guid, amount, None));
    }

    /// The assertion is on chain: its stake is in escrow.
    pub fn lock(&mut self, guid: Guid, amount: Nct) {
        self.release(guid);
        self.locked.insert(guid, amount);
    }

    /// The assertion is not on its way any more: it is on chain, or never will be.
    pub fn release(&mut self, guid: Guid) {
        let asked = self.asked;
        for (_, _, over) in self.reserved.iter_mut().filter(|(of, _, over)| *of == guid && over.is_none()) {
            *over = Some(asked);
        }
    }

    /// The bounty is over for this account.
    pub fn unlock(&mut self, guid: Guid) {
        self.locked.remove(&guid);
    }

    /// What can be staked now.
    pub fn free(&self) -> Nct {
        self.reserved.iter().fold(self.balance, |free, &(_, amount, _)| free.saturating_sub(amount))
    }

    /// What is in escrow on open bounties.
    pub fn locked(&self) -> Nct {
        self.locked.values().copied().sum()
    }

    /// How many assertions have something in escrow.
    pub fn open(&self) -> usize {
        self.locked.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stake_is_missed_from_its_decision_on_and_only_once() {
        let mut funds = Funds::default();
        let first = funds.ask();
        funds.learn(first, Nct::whole(10));
        funds.reserve(Guid(1), Nct::whole(3));
        assert_eq!(funds.free(), Nct::whole(7));
        // Asked before the assertion was mined, answered after: the balance may be of either time.
        let second = funds.ask();
        funds.lock(Guid(1), Nct::whole(3));
        funds.learn(second, Nct::whole(10));
        assert_eq!((funds.free(), funds.locked()), (Nct::whole(7), Nct::whole(3)));
        let third = funds.ask();
        funds.learn(third, Nct::whole(7));
        assert_eq!(funds.free(), Nct::whole(7));
        funds.unlock(Guid(1));
        assert_eq!(funds.locked(), Nct::ZERO);
    }

    #[test]
    fn an_assertion_that_never_was_gives_its_stake_back() {
        let mut funds = Funds::default();
        let question = funds.ask();
        funds.learn(question, Nct::whole(10));
        funds.reserve(Guid(1), Nct::whole(3));
        funds.release(Guid(1));
        let question = funds.ask();
        funds.learn(question, Nct::whole(10));
        assert_eq!(funds.free(), Nct::whole(10));
    }
}
