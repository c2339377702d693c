//! Who has what: the NectarToken of one market. Balances, allowances, transfers; nothing else moves Nectar.
//!
//! Conservation is kept locally: only minting makes Nectar, every other change is one move between two accounts, and a
//! transfer (as every settlement makes) sees that the two have together what they had. [`Ledger::recount`] adds
//! up every balance anew.

use std::collections::BTreeMap;

use crate::{
    id::AccountId,
    nct::Nct,
    rejection::{Rejection, refuse},
};

/// Balances and allowances of every account.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    holders: Vec<Holder>,
    /// Allowances to anybody else, by owner and spender.
    other_allowances: BTreeMap<(AccountId, AccountId), Nct>,
    issued: Nct,
    transfers_disabled: bool,
}

/// One account's money.
#[derive(Clone, Debug, Default)]
struct Holder {
    balance: Nct,
    /// What the registry and the staking contract may pull.
    allowances: [Nct; 2],
}

const BALANCE: Rejection = Rejection::Overflow { what: "a balance" };

impl Ledger {
    /// Makes room for one more account.
    pub(crate) fn open(&mut self) {
        self.holders.push(Holder::default());
    }

    /// Nectar of an account.
    #[inline]
    pub fn balance(&self, account: AccountId) -> Nct {
        self.holders[account.index()].balance
    }

    /// Nectar ever minted.
    pub fn supply(&self) -> Nct {
        self.issued
    }

    /// What `spender` may still pull from `owner`.
    #[inline]
    pub fn allowance(&self, owner: AccountId, spender: AccountId) -> Nct {
        match spender {
            AccountId::REGISTRY => self.holders[owner.index()].allowances[0],
            AccountId::STAKING => self.holders[owner.index()].allowances[1],
            _ => self.other_allowances.get(&(owner, spender)).copied().unwrap_or_default(),
        }
    }

    #[inline]
    pub(crate) fn approve(&mut self, owner: AccountId, spender: AccountId, value: Nct) -> Result<(), Rejection> {
        if spender == AccountId::NOBODY {
            return refuse(Rejection::ZeroAddress { role: "spender" });
        }
        match spender {
            AccountId::REGISTRY => self.holders[owner.index()].allowances[0] = value,
            AccountId::STAKING => self.holders[owner.index()].allowances[1] = value,
            _ => {
                self.other_allowances.insert((owner, spender), value);
            }
        }
        Ok(())
    }

    pub(crate) fn mint(&mut self, to: AccountId, value: Nct) -> Result<(), Rejection> {
        if to == AccountId::NOBODY {
            return refuse(Rejection::ZeroAddress { role: "holder" });
        }
        self.issued = self.issued.checked_add(value).ok_or(BALANCE)?;
        let balance = &mut self.holders[to.index()].balance;
        *balance = balance.checked_add(value).expect("a balance is at most the supply");
        Ok(())
    }

    pub(crate) fn enable_transfers(&mut self, on: bool) {
        self.transfers_disabled = !on;
    }

    pub(crate) fn transfers_enabled(&self) -> bool {
        !self.transfers_disabled
    }

    /// Moves `value` from `from` to `to`. Checked in the token's order: balance, then receiver.
    #[inline]
    pub(crate) fn transfer(&mut self, from: AccountId, to: AccountId, value: Nct) -> Result<(), Rejection> {
        if to == AccountId::NOBODY {
            self.check_transfer(from, value)?;
            return refuse(Rejection::ZeroAddress { role: "holder" });
        }
        if self.transfers_disabled {
            return refuse(Rejection::TransfersDisabled);
        }
        let before = self.together(from, to);
        let balance = &mut self.holders[from.index()].balance;
        if !balance.take(value) {
            return refuse(Rejection::BalanceShort { balance: *balance, value });
        }
        assert!(self.holders[to.index()].balance.give(value), "a balance is at most the supply");
        assert!(self.together(from, to) == before, "a transfer must conserve Nectar");
        Ok(())
    }

    /// Moves `value` from `owner` to a contract that was allowed to pull it. Checked in the token's order: allowance, then
    /// balance.
    #[inline]
    pub(crate) fn pull(&mut self, owner: AccountId, contract: AccountId, value: Nct) -> Result<(), Rejection> {
        if self.transfers_disabled {
            return refuse(Rejection::TransfersDisabled);
        }
        let Holder { balance, allowances } = &mut self.holders[owner.index()];
        let allowance = match contract {
            AccountId::REGISTRY => &mut allowances[0],
            _ => &mut allowances[1],
        };
        if !allowance.take(value) {
            return refuse(Rejection::AllowanceShort { allowance: *allowance, value });
        }
        if !balance.take(value) {
            assert!(allowance.give(value), "what was just taken");
            return refuse(Rejection::BalanceShort { balance: *balance, value });
        }
        assert!(self.holders[contract.index()].balance.give(value), "a balance is at most the supply");
        Ok(())
    }

    /// Moves `value` from `owner` to `to` by order of `spender`; answers what it may pull still.
    pub(crate) fn transfer_from(&mut self, spender: AccountId, owner: AccountId, to: AccountId, value: Nct) -> Result<Nct, Rejection> {
        let left = self.spend_allowance(owner, spender, value)?;
        self.transfer(owner, to, value)?;
        self.approve(owner, spender, left)?;
        Ok(left)
    }

    /// Checks a transfer without doing it: transfers enabled, then the balance.
    #[inline]
    pub(crate) fn check_transfer(&self, from: AccountId, value: Nct) -> Result<(), Rejection> {
        if self.transfers_disabled {
            return refuse(Rejection::TransfersDisabled);
        }
        let balance = self.balance(from);
        if balance < value { refuse(Rejection::BalanceShort { balance, value }) } else { Ok(()) }
    }

    #[inline]
    fn spend_allowance(&self, owner: AccountId, spender: AccountId, value: Nct) -> Result<Nct, Rejection> {
        if self.transfers_disabled {
            return refuse(Rejection::TransfersDisabled);
        }
        let allowance = self.allowance(owner, spender);
        let left = allowance.checked_sub(value).ok_or(Rejection::AllowanceShort { allowance, value })?;
        self.check_transfer(owner, value)?;
        Ok(left)
    }

    /// What two accounts have together, modulo 2^128: enough to see that a move between them lost nothing.
    #[inline]
    fn together(&self, one: AccountId, other: AccountId) -> u128 {
        self.balance(one).low().wrapping_add(self.balance(other).low())
    }

    /// Adds up every balance anew; equals [`Ledger::supply`] or something is broken.
    pub fn recount(&self) -> Nct {
        self.holders.iter().map(|holder| holder.balance).sum()
    }
}
