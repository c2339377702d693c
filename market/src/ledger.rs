//! Who has what: the NectarToken of one market. Balances, allowances, transfers; nothing else moves Nectar.
//!
//! Conservation is kept twice: `issued` only grows by minting, and `held` is a running sum of every balance that each
//! single credit and debit changes. [`Ledger::assert_conserved`] compares the two; [`Ledger::recount`] adds up anew.

use std::collections::BTreeMap;

use crate::{id::AccountId, nct::Nct, rejection::Rejection};

/// Balances and allowances of every account.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    balances: Vec<Nct>,
    /// What the registry and the staking contract may pull from an account.
    allowances: Vec<[Nct; 2]>,
    /// Allowances to anybody else, by owner and spender.
    other_allowances: BTreeMap<(AccountId, AccountId), Nct>,
    issued: Nct,
    held: Nct,
    transfers_disabled: bool,
}

const BALANCE: Rejection = Rejection::Overflow { what: "a balance" };

impl Ledger {
    /// Makes room for one more account.
    pub(crate) fn open(&mut self) {
        self.balances.push(Nct::ZERO);
        self.allowances.push([Nct::ZERO; 2]);
    }

    /// Nectar of an account.
    #[inline]
    pub fn balance(&self, account: AccountId) -> Nct {
        self.balances[account.index()]
    }

    /// Nectar ever minted.
    pub fn supply(&self) -> Nct {
        self.issued
    }

    /// What `spender` may still pull from `owner`.
    #[inline]
    pub fn allowance(&self, owner: AccountId, spender: AccountId) -> Nct {
        match spender {
            AccountId::REGISTRY => self.allowances[owner.index()][0],
            AccountId::STAKING => self.allowances[owner.index()][1],
            _ => self.other_allowances.get(&(owner, spender)).copied().unwrap_or_default(),
        }
    }

    pub(crate) fn approve(&mut self, owner: AccountId, spender: AccountId, value: Nct) -> Result<(), Rejection> {
        if spender == AccountId::NOBODY {
            return Err(Rejection::ZeroAddress { role: "spender" });
        }
        match spender {
            AccountId::REGISTRY => self.allowances[owner.index()][0] = value,
            AccountId::STAKING => self.allowances[owner.index()][1] = value,
            _ => {
                self.other_allowances.insert((owner, spender), value);
            }
        }
        Ok(())
    }

    pub(crate) fn mint(&mut self, to: AccountId, value: Nct) -> Result<(), Rejection> {
        if to == AccountId::NOBODY {
            return Err(Rejection::ZeroAddress { role: "holder" });
        }
        self.issued = self.issued.checked_add(value).ok_or(BALANCE)?;
        self.credit(to, value);
        Ok(())
    }

    pub(crate) fn enable_transfers(&mut self, on: bool) {
        self.transfers_disabled = !on;
    }

    pub(crate) fn transfers_enabled(&self) -> bool {
        !self.transfers_disabled
    }

    /// Moves `value` from `from` to `to`.
    pub(crate) fn transfer(&mut self, from: AccountId, to: AccountId, value: Nct) -> Result<(), Rejection> {
        self.check_transfer(from, value)?;
        if to == AccountId::NOBODY {
            return Err(Rejection::ZeroAddress { role: "holder" });
        }
        self.debit(from, value);
        self.credit(to, value);
        Ok(())
    }

    /// Moves `value` from `owner` to the account `spender` that was allowed to pull it; answers what it may pull still.
    #[inline]
    pub(crate) fn pull(&mut self, owner: AccountId, spender: AccountId, value: Nct) -> Result<Nct, Rejection> {
        let left = self.spend_allowance(owner, spender, value)?;
        self.approve(owner, spender, left)?;
        self.debit(owner, value);
        self.credit(spender, value);
        Ok(left)
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
            return Err(Rejection::TransfersDisabled);
        }
        let balance = self.balance(from);
        if balance < value { Err(Rejection::BalanceShort { balance, value }) } else { Ok(()) }
    }

    fn spend_allowance(&self, owner: AccountId, spender: AccountId, value: Nct) -> Result<Nct, Rejection> {
        if self.transfers_disabled {
            return Err(Rejection::TransfersDisabled);
        }
        let allowance = self.allowance(owner, spender);
        let left = allowance.checked_sub(value).ok_or(Rejection::AllowanceShort { allowance, value })?;
        self.check_transfer(owner, value)?;
        Ok(left)
    }

    #[inline]
    fn debit(&mut self, account: AccountId, value: Nct) {
        let balance = &mut self.balances[account.index()];
        *balance = balance.checked_sub(value).expect("the balance was checked before the transfer");
        self.held = self.held.checked_sub(value).expect("the sum of balances covers each balance");
    }

    #[inline]
    fn credit(&mut self, account: AccountId, value: Nct) {
        let balance = &mut self.balances[account.index()];
        *balance = balance.checked_add(value).expect("a balance is at most the supply");
        self.held = self.held.checked_add(value).expect("the sum of balances is the supply");
    }

    /// Nothing was made and nothing was lost.
    ///
    /// # Panics
    ///
    /// If the balances do not add up to the supply.
    #[inline]
    pub fn assert_conserved(&self) {
        assert_eq!(self.held, self.issued, "settlement must conserve Nectar");
    }

    /// Adds up every balance anew; equals [`Ledger::supply`] or something is broken.
    pub fn recount(&self) -> Nct {
        self.balances.iter().copied().sum()
    }
}
