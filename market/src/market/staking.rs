//! ArbiterStaking's calls: deposits, withdrawals and records of votes.

use alloy_primitives::U256;

use crate::{
    event::Event,
    id::{AccountId, Guid},
    nct::Nct,
    rejection::Rejection,
    roles::require_holder,
    ruleset::Edition,
};

use super::Market;

impl Market {
    pub(super) fn deposit(&mut self, sender: AccountId, value: Nct) -> Result<(), Rejection> {
        self.staking_pausable.check_running()?;
        // The staking contract asks its registry who is an arbiter.
        if self.linked_registry != AccountId::REGISTRY {
            return Err(Rejection::RegistryIsNoContract);
        }
        if !self.arbiters.contains(sender) {
            return Err(Rejection::RoleMissing { account: sender, role: "arbiter" });
        }
        self.staking.check_deposit(&self.rules, sender, value)?;
        self.pull(sender, AccountId::STAKING, value)?;
        self.staking.deposit(sender, self.now, value);
        self.emit(|| Event::NewDeposit { from: sender, value });
        Ok(())
    }

    pub(super) fn withdraw(&mut self, sender: AccountId, value: Nct) -> Result<(), Rejection> {
        self.staking_pausable.check_running()?;
        let asks_registry = self.rules.edition == Edition::V1_6_1;
        if asks_registry && self.linked_registry != AccountId::REGISTRY && !self.staking.deposits(sender).is_empty() {
            return Err(Rejection::RegistryIsNoContract);
        }
        // Without deposits nobody asks the registry.
        let released = !self.staking.deposits(sender).is_empty() && self.stakes_released()?;
        self.staking.check_withdrawal(sender, value, self.now, self.stake_duration, released)?;
        self.staking.withdraw(sender, value);
        self.ledger.transfer(AccountId::STAKING, sender, value)?;
        self.emit(|| Event::Transfer { from: AccountId::STAKING, to: sender, value });
        self.emit(|| Event::NewWithdrawal { to: sender, value });
        Ok(())
    }

    /// True once the registry was deprecated for good and its last bounty must be over.
    ///
    /// 1.6.1 adds the longest life of a bounty up before it looks whether it is deprecated at all, so windows near the
    /// end of 256 bits block every withdrawal.
    pub(super) fn stakes_released(&self) -> Result<bool, Rejection> {
        if self.rules.edition == Edition::V1_0_0 {
            return Ok(false);
        }
        const OVERFLOW: Rejection = Rejection::Overflow { what: "the end of the last bounty" };
        let longest = U256::from(self.rules.duration_maximum).checked_add(self.windows.reveal());
        let longest = longest.and_then(|blocks| blocks.checked_add(self.windows.vote())).ok_or(OVERFLOW)?;
        let Some(deprecation) = self.deprecation.filter(|deprecation| !deprecation.rollover) else { return Ok(false) };
        let over = U256::from(deprecation.block.0).checked_add(longest).ok_or(OVERFLOW)?;
        Ok(U256::from(self.now.0) >= over)
    }

    pub(super) fn set_bounty_registry(&mut self, sender: AccountId, registry: AccountId) -> Result<(), Rejection> {
        require_holder(self.staking_owner, sender, "owner")?;
        self.linked_registry = registry;
        Ok(())
    }

    pub(super) fn record_bounty(&mut self, sender: AccountId, arbiter: AccountId, guid: Guid, block: U256) -> Result<(), Rejection> {
        if sender != self.linked_registry {
            return Err(Rejection::NotTheRegistry);
        }
        if arbiter == AccountId::NOBODY {
            return Err(Rejection::ZeroAddress { role: "voter" });
        }
        if block.is_zero() {
            return Err(Rejection::ZeroBlock);
        }
        let first = self.foreign_records.insert(guid);
        self.record(arbiter, guid, first, || block);
        Ok(())
    }

    /// Notes a vote that the registry itself has taken.
    pub(super) fn record_vote(&mut self, arbiter: AccountId, guid: Guid, first: bool) {
        let now = self.now.0;
        self.record(arbiter, guid, first, || U256::from(now));
    }

    #[inline]
    fn record(&mut self, arbiter: AccountId, guid: Guid, first: bool, block: impl FnOnce() -> U256) {
        self.staking.record(arbiter, first);
        if first {
            self.emit(|| Event::BountyRecorded { guid, block: block() });
        }
        self.emit(|| Event::BountyVoteRecorded { arbiter });
    }

    pub(super) fn receive_approval(&mut self, sender: AccountId, from: AccountId, value: Nct, token: AccountId) -> Result<(), Rejection> {
        if sender != AccountId::TOKEN || token != AccountId::TOKEN {
            return Err(Rejection::NotTheToken);
        }
        self.deposit(from, value)
    }
}
