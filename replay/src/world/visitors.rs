//! The open world: what visitors do between two blocks, and what the contracts' owner does.

use market::{
    block::BlockNumber,
    command::{Accepted, Command},
    id::{AccountId, Address, Guid},
    nct::Nct,
    rejection::Rejection,
};

use super::{Decision, Observer, PATIENCE, World, ends, vote_wait};
use crate::{
    agenda::{Act, Due, Entry},
    plan::Brought,
};

impl World {
    /// The account of a visitor, opened if it is new.
    pub fn visitor(&mut self, address: Address) -> AccountId {
        let account = self.accounts.visitor(&mut self.market, address);
        self.before.resize(self.accounts.names.len(), Nct::ZERO);
        account
    }

    /// Gives newly issued Nectar to a visitor; it is no profit.
    ///
    /// # Errors
    ///
    /// If the supply would exceed 256 bits.
    pub fn grant(&mut self, account: AccountId, amount: Nct) -> Result<(), Rejection> {
        self.market.submit(self.owner, Command::Mint { to: account, value: amount })?;
        let before = &mut self.before[account.0 as usize];
        *before = before.checked_add(amount).expect("within the supply");
        self.supply = self.market.ledger().supply();
        Ok(())
    }

    /// Does something that only the owner of the contracts may do.
    ///
    /// # Errors
    ///
    /// As [`Market::submit`](market::market::Market::submit).
    pub fn govern(&mut self, command: Command) -> Result<Accepted, Rejection> {
        let accepted = self.market.submit(self.owner, command)?;
        if self.market.windows() != self.windows {
            self.windows = self.market.windows();
            self.reschedule();
        }
        Ok(accepted)
    }

    /// Moves what is left to be done about every bounty into the windows of today.
    fn reschedule(&mut self) {
        let next = BlockNumber(self.market.now().0 + 1);
        for entry in self.calendar.clear() {
            let plan = &self.open[entry.slot as usize].plan;
            let bounty = self.market.bounty(plan.guid).expect("it is open");
            let (vote_start, vote_end) = ends(plan.duration, self.market.windows_of(bounty));
            let act = entry.due.act();
            let due = match act {
                Act::Vote(position) => Due::new(vote_wait(plan, position as usize, (vote_start, vote_end)), act),
                Act::Settle => Due::new(vote_end, act),
                Act::Close => Due::new(vote_end.saturating_add(1), act),
                _ => entry.due,
            };
            self.calendar.add(due.block(plan.posted).max(next), Entry { due, ..entry });
        }
    }

    /// Has rivals and arbiters take part in a bounty that a visitor has just posted on these artifacts; false if nothing
    /// is known of one of them, so that nobody does.
    pub fn adopt(&mut self, guid: Guid, artifacts: &[Brought]) -> bool {
        let Some(bounty) = self.market.bounty(guid) else { return false };
        let mut plan = self.spent.pop().unwrap_or_default();
        plan.number = self.setup.bounties + self.adopted;
        plan.guid = guid;
        plan.posted = bounty.posted;
        plan.duration = bounty.expiration.0 - bounty.posted.0;
        let known = bounty.artifacts == artifacts.len() && self.setup.adopt(&mut plan, artifacts);
        if !known {
            self.spent.push(plan);
            return false;
        }
        self.adopted += 1;
        // Whoever is quick asserts in the next block.
        let slot = self.open(plan, BlockNumber(self.market.now().0 + 1));
        self.by_guid.insert(guid, slot);
        true
    }

    /// Carries out a visitor's command in the current block.
    ///
    /// # Errors
    ///
    /// As [`Market::submit`](market::market::Market::submit).
    pub fn submit(&mut self, sender: AccountId, command: Command, observer: &mut dyn Observer) -> Result<Accepted, Rejection> {
        enum Scored {
            Assertion,
            Settlement,
            Nothing,
        }
        let (guid, scored) = match &command {
            Command::PostAssertion(assertion) => (assertion.guid, Scored::Assertion),
            Command::SettleBounty { guid } => (*guid, Scored::Settlement),
            _ => (Guid::default(), Scored::Nothing),
        };
        let before = self.market.balance(sender);
        let answer = self.market.submit(sender, command);
        if matches!(scored, Scored::Assertion) && answer.is_ok() && self.accounts.engine == AccountId::NOBODY {
            self.accounts.engine = sender;
        }
        if sender != self.accounts.engine {
            return answer;
        }
        let now = self.market.now();
        let Some(open) = self.by_guid.get(&guid).map(|&slot| &mut self.open[slot as usize]) else { return answer };
        match (scored, &answer) {
            (Scored::Assertion, Ok(Accepted::Asserted { index })) => {
                open.decision = Decision::Asserted(*index as u32);
                open.price = before.checked_sub(self.market.balance(sender)).unwrap_or_default();
                self.locked = self.locked.checked_add(open.price).expect("within the supply");
                observer.locked(now, self.locked);
            }
            (Scored::Assertion, Err(rejection)) if !matches!(open.decision, Decision::Asserted(_)) => {
                open.decision = Decision::Refused(*rejection);
            }
            (Scored::Settlement, Ok(_)) if matches!(open.decision, Decision::Asserted(_)) => {
                self.locked = self.locked.checked_sub(std::mem::take(&mut open.price)).expect("it was locked");
                observer.locked(now, self.locked);
            }
            _ => {}
        }
        answer
    }

    /// True while somebody who asserted or voted may still come to settle.
    pub(super) fn awaits_visitors(&self, slot: u32) -> bool {
        if !self.is_open() {
            return false;
        }
        let plan = &self.open[slot as usize].plan;
        let bounty = self.market.bounty(plan.guid).expect("it is open");
        let over = self.market.vote_end(plan.guid).map_or(BlockNumber(u64::MAX), |end| BlockNumber(end.0.saturating_add(PATIENCE)));
        let mut parties = bounty.assertions.iter().map(|assertion| assertion.author).chain(bounty.votes.iter().map(|vote| vote.voter));
        self.market.now() < over && parties.any(|party| !bounty.has_settled(party))
    }
}
