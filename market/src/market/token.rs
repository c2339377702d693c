//! NectarToken's calls.

use crate::{
    event::Event,
    id::AccountId,
    nct::Nct,
    rejection::Rejection,
    roles::{require_holder, require_member},
};

use super::Market;

impl Market {
    pub(super) fn transfer(&mut self, sender: AccountId, to: AccountId, value: Nct) -> Result<(), Rejection> {
        self.ledger.transfer(sender, to, value)?;
        self.emit(|| Event::Transfer { from: sender, to, value });
        Ok(())
    }

    pub(super) fn transfer_from(&mut self, sender: AccountId, from: AccountId, to: AccountId, value: Nct) -> Result<(), Rejection> {
        let left = self.ledger.transfer_from(sender, from, to, value)?;
        self.emit(|| Event::Transfer { from, to, value });
        self.emit(|| Event::Approval { owner: from, spender: sender, value: left });
        Ok(())
    }

    pub(super) fn approve(&mut self, sender: AccountId, spender: AccountId, value: Nct) -> Result<(), Rejection> {
        self.ledger.approve(sender, spender, value)?;
        self.emit(|| Event::Approval { owner: sender, spender, value });
        Ok(())
    }

    /// Approves and has the staking contract pull at once; whatever goes wrong inside shows as one refusal.
    pub(super) fn approve_and_call(&mut self, sender: AccountId, spender: AccountId, value: Nct) -> Result<(), Rejection> {
        let (before, logged) = (self.ledger.allowance(sender, spender), self.events.len());
        self.approve(sender, spender, value)?;
        let received = match spender {
            AccountId::STAKING => self.receive_approval(AccountId::TOKEN, sender, value, AccountId::TOKEN),
            _ => Err(Rejection::NoSuchFunction { function: "receiveApproval" }),
        };
        received.map_err(|rejection| {
            self.ledger.approve(sender, spender, before).expect("it was approved a moment ago");
            self.events.truncate(logged);
            Rejection::ApprovalRefused { revert: rejection.revert(self.rules.edition) }
        })
    }

    pub(super) fn mint(&mut self, sender: AccountId, to: AccountId, value: Nct) -> Result<(), Rejection> {
        require_member(&self.minters, sender, "minter")?;
        self.ledger.mint(to, value)?;
        self.emit(|| Event::Transfer { from: AccountId::NOBODY, to, value });
        Ok(())
    }

    pub(super) fn enable_transfers(&mut self, sender: AccountId) -> Result<(), Rejection> {
        require_holder(self.token_owner, sender, "owner")?;
        if self.ledger.transfers_enabled() {
            return Err(Rejection::TransfersEnabled);
        }
        self.ledger.enable_transfers(true);
        self.emit(|| Event::TransfersEnabled);
        Ok(())
    }
}
