//! ArbiterStaking 1.2.1: deposits that stay locked for a while, and how often an arbiter votes.
//!
//! Only the bookkeeping is here; Nectar moves in the [`Ledger`](crate::ledger::Ledger), and who is an arbiter at all is
//! the registry's business.

use crate::{block::BlockNumber, id::AccountId, nct::Nct, rejection::Rejection, ruleset::RuleSet};

/// Stakes and voting records of all arbiters.
#[derive(Clone, Debug, Default)]
pub struct ArbiterStaking {
    accounts: Vec<StakingAccount>,
    recorded_bounties: u64,
}

#[derive(Clone, Debug, Default)]
struct StakingAccount {
    deposits: Vec<Deposit>,
    total: Nct,
    responses: u64,
}

/// One deposit, or what is left of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deposit {
    /// Block of the deposit.
    pub block: BlockNumber,
    /// What is left of it.
    pub value: Nct,
}

impl ArbiterStaking {
    pub(crate) fn open(&mut self) {
        self.accounts.push(StakingAccount::default());
    }

    /// Everything `account` has deposited and not withdrawn.
    #[inline]
    pub fn balance(&self, account: AccountId) -> Nct {
        self.accounts[account.index()].total
    }

    /// The deposits of `account`, oldest first.
    pub fn deposits(&self, account: AccountId) -> &[Deposit] {
        &self.accounts[account.index()].deposits
    }

    /// Bounties with at least one vote.
    pub fn recorded_bounties(&self) -> u64 {
        self.recorded_bounties
    }

    /// Bounties `account` voted on.
    pub fn responses(&self, account: AccountId) -> u64 {
        self.accounts[account.index()].responses
    }

    /// True for the stake and the voting record of an arbiter in good standing. Nothing on chain asks for it.
    pub fn is_eligible(&self, rules: &RuleSet, account: AccountId) -> bool {
        let bounties = self.recorded_bounties;
        self.balance(account) >= rules.stake_minimum
            && (bounties < rules.response_grace || self.responses(account) * 10 / bounties >= rules.response_tenths)
    }

    /// What `account` may withdraw at `now`: its leading deposits that are old enough, up to the first younger one.
    ///
    /// `released` frees every deposit (a registry that was deprecated for good, long enough ago).
    pub fn withdrawable(&self, account: AccountId, now: BlockNumber, stake_duration: u64, released: bool) -> Nct {
        let limit = if released { Some(now.0) } else { now.0.checked_sub(stake_duration) };
        let deposits = &self.accounts[account.index()].deposits;
        deposits.iter().take_while(|deposit| limit.is_some_and(|limit| deposit.block.0 <= limit)).map(|deposit| deposit.value).sum()
    }

    /// Checks a deposit: not nothing, and not beyond the maximum in total.
    pub(crate) fn check_deposit(&self, rules: &RuleSet, account: AccountId, value: Nct) -> Result<(), Rejection> {
        if value.is_zero() {
            return Err(Rejection::ZeroDeposit);
        }
        let stake = self.balance(account).checked_add(value).ok_or(Rejection::Overflow { what: "a stake" })?;
        if stake > rules.stake_maximum {
            return Err(Rejection::StakeAboveMaximum { stake, maximum: rules.stake_maximum });
        }
        if rules.switches.enforce_stake_minimum && stake < rules.stake_minimum {
            return Err(Rejection::StakeBelowMinimum { stake, minimum: rules.stake_minimum });
        }
        Ok(())
    }

    pub(crate) fn deposit(&mut self, account: AccountId, block: BlockNumber, value: Nct) {
        let account = &mut self.accounts[account.index()];
        account.deposits.push(Deposit { block, value });
        account.total = account.total.checked_add(value).expect("a total within the maximum stake");
    }

    /// Checks a withdrawal; one of nothing is allowed with any deposit, even a locked one (S17).
    pub(crate) fn check_withdrawal(
        &self,
        account: AccountId,
        value: Nct,
        now: BlockNumber,
        stake_duration: u64,
        released: bool,
    ) -> Result<(), Rejection> {
        if self.deposits(account).is_empty() {
            return Err(Rejection::NoDeposits { account });
        }
        if !released && now.0 < stake_duration {
            return Err(Rejection::ChainTooShort { now, duration: stake_duration });
        }
        let withdrawable = self.withdrawable(account, now, stake_duration, released);
        if value > withdrawable { Err(Rejection::NotWithdrawable { value, withdrawable }) } else { Ok(()) }
    }

    /// Takes `value` from the oldest deposits; a deposit used up disappears, a rest keeps its block.
    pub(crate) fn withdraw(&mut self, account: AccountId, value: Nct) {
        let account = &mut self.accounts[account.index()];
        account.total = account.total.checked_sub(value).expect("the withdrawal was checked");
        let mut left = value;
        let mut used_up = 0;
        for deposit in &mut account.deposits {
            if left < deposit.value {
                deposit.value = deposit.value.checked_sub(left).expect("compared above");
                break;
            }
            left = left.checked_sub(deposit.value).expect("compared above");
            used_up += 1;
            if left.is_zero() {
                break;
            }
        }
        account.deposits.drain(..used_up);
    }

    /// Notes a vote of `arbiter`; true if it is the first on that bounty.
    #[inline]
    pub(crate) fn record(&mut self, arbiter: AccountId, first_on_bounty: bool) {
        self.recorded_bounties += u64::from(first_on_bounty);
        self.accounts[arbiter.index()].responses += 1;
    }
}
