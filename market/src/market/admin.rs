//! Running the market: arbiters, fees, windows, roles, pause, deprecation.

use alloy_primitives::U256;

use crate::{
    block::Windows,
    event::Event,
    id::AccountId,
    rejection::Rejection,
    roles::{grant, require_holder, require_member, require_somebody, revoke},
    ruleset::Edition,
    settlement::Fees,
};

use super::{Deprecation, Market};

impl Market {
    /// Functions that only the later edition has.
    fn require_managers(&self, function: &'static str) -> Result<(), Rejection> {
        match self.rules.edition {
            Edition::V1_6_1 => Ok(()),
            Edition::V1_0_0 => Err(Rejection::NoSuchFunction { function }),
        }
    }

    fn check_arbiter_manager(&self, sender: AccountId) -> Result<(), Rejection> {
        match self.rules.edition {
            Edition::V1_0_0 => {
                self.roles.pausable.check_running()?;
                require_holder(self.roles.owner, sender, "owner")
            }
            // Arbiters come and go while paused, too.
            Edition::V1_6_1 => require_member(&self.roles.arbiter_managers, sender, "arbiter manager"),
        }
    }

    pub(super) fn add_arbiter(&mut self, sender: AccountId, arbiter: AccountId, block: U256) -> Result<(), Rejection> {
        self.check_arbiter_manager(sender)?;
        self.arbiters.add(arbiter)?;
        self.emit(|| Event::AddedArbiter { arbiter, block });
        Ok(())
    }

    pub(super) fn remove_arbiter(&mut self, sender: AccountId, arbiter: AccountId, block: U256) -> Result<(), Rejection> {
        self.check_arbiter_manager(sender)?;
        self.arbiters.remove(arbiter, self.rules.edition == Edition::V1_0_0)?;
        self.emit(|| Event::RemovedArbiter { arbiter, block });
        Ok(())
    }

    pub(super) fn set_fees(&mut self, sender: AccountId, fees: Fees) -> Result<(), Rejection> {
        self.require_managers("setBountyFee, setAssertionFee")?;
        require_holder(self.roles.fee_manager, sender, "fee manager")?;
        self.fees = fees;
        // Settlement reckons with the fees of the day (S1).
        for bounty in &mut self.bounties {
            bounty.rewards_current = false;
        }
        self.emit(|| Event::FeesUpdated(fees));
        Ok(())
    }

    pub(super) fn set_windows(&mut self, sender: AccountId, windows: Windows) -> Result<(), Rejection> {
        self.require_managers("setWindows")?;
        require_holder(self.roles.window_manager, sender, "window manager")?;
        self.windows = windows;
        self.emit(|| Event::WindowsUpdated(windows));
        Ok(())
    }

    pub(super) fn set_fee_manager(&mut self, sender: AccountId, account: AccountId) -> Result<(), Rejection> {
        self.require_managers("setFeeManager")?;
        require_holder(self.roles.fee_manager, sender, "fee manager")?;
        self.roles.fee_manager = account;
        Ok(())
    }

    pub(super) fn set_window_manager(&mut self, sender: AccountId, account: AccountId) -> Result<(), Rejection> {
        self.require_managers("setWindowManager")?;
        require_holder(self.roles.window_manager, sender, "window manager")?;
        self.roles.window_manager = account;
        Ok(())
    }

    pub(super) fn add_arbiter_manager(&mut self, sender: AccountId, account: AccountId) -> Result<(), Rejection> {
        self.require_managers("addArbiterManager")?;
        require_member(&self.roles.arbiter_managers, sender, "arbiter manager")?;
        grant(&mut self.roles.arbiter_managers, account, "arbiter manager")
    }

    // Removing managers and deprecators checks no access: any account can (S14).
    pub(super) fn remove_arbiter_manager(&mut self, sender: AccountId, account: AccountId) -> Result<(), Rejection> {
        self.require_managers("removeArbiterManager")?;
        if self.rules.switches.guard_roles {
            require_member(&self.roles.arbiter_managers, sender, "arbiter manager")?;
        }
        revoke(&mut self.roles.arbiter_managers, account, "arbiter manager")
    }

    pub(super) fn add_deprecator(&mut self, sender: AccountId, account: AccountId) -> Result<(), Rejection> {
        self.require_managers("addDeprecator")?;
        require_member(&self.roles.deprecators, sender, "deprecator")?;
        grant(&mut self.roles.deprecators, account, "deprecator")
    }

    pub(super) fn remove_deprecator(&mut self, sender: AccountId, account: AccountId) -> Result<(), Rejection> {
        self.require_managers("removeDeprecator")?;
        if self.rules.switches.guard_roles {
            require_member(&self.roles.deprecators, sender, "deprecator")?;
        }
        revoke(&mut self.roles.deprecators, account, "deprecator")
    }

    pub(super) fn set_paused(&mut self, sender: AccountId, paused: bool) -> Result<(), Rejection> {
        self.roles.pausable.set(sender, paused)?;
        self.emit(|| pause_event(AccountId::REGISTRY, sender, paused));
        Ok(())
    }

    pub(super) fn set_staking_paused(&mut self, sender: AccountId, paused: bool) -> Result<(), Rejection> {
        self.staking_pausable.set(sender, paused)?;
        self.emit(|| pause_event(AccountId::STAKING, sender, paused));
        Ok(())
    }

    pub(super) fn add_pauser(&mut self, sender: AccountId, account: AccountId) -> Result<(), Rejection> {
        require_member(&self.roles.pausable.pausers, sender, "pauser")?;
        grant(&mut self.roles.pausable.pausers, account, "pauser")?;
        self.emit(|| Event::PauserAdded { contract: AccountId::REGISTRY, account });
        Ok(())
    }

    pub(super) fn renounce_pauser(&mut self, sender: AccountId) -> Result<(), Rejection> {
        revoke(&mut self.roles.pausable.pausers, sender, "pauser")?;
        self.emit(|| Event::PauserRemoved { contract: AccountId::REGISTRY, account: sender });
        Ok(())
    }

    pub(super) fn transfer_ownership(&mut self, sender: AccountId, to: AccountId) -> Result<(), Rejection> {
        require_holder(self.roles.owner, sender, "owner")?;
        require_somebody(to, "owner")?;
        self.roles.owner = to;
        self.emit(|| Event::OwnershipTransferred { contract: AccountId::REGISTRY, from: sender, to });
        Ok(())
    }

    pub(super) fn renounce_ownership(&mut self, sender: AccountId) -> Result<(), Rejection> {
        require_holder(self.roles.owner, sender, "owner")?;
        self.roles.owner = AccountId::NOBODY;
        self.emit(|| Event::OwnershipTransferred { contract: AccountId::REGISTRY, from: sender, to: AccountId::NOBODY });
        Ok(())
    }

    pub(super) fn deprecate(&mut self, sender: AccountId, rollover: bool) -> Result<(), Rejection> {
        self.require_managers("deprecate")?;
        require_member(&self.roles.deprecators, sender, "deprecator")?;
        if self.deprecation.is_some() {
            return Err(Rejection::Deprecated);
        }
        self.deprecation = Some(Deprecation { block: self.now, rollover });
        self.emit(|| Event::Deprecated { rollover });
        Ok(())
    }

    pub(super) fn undeprecate(&mut self, sender: AccountId) -> Result<(), Rejection> {
        self.require_managers("undeprecate")?;
        require_member(&self.roles.deprecators, sender, "deprecator")?;
        if self.deprecation.take().is_none() {
            return Err(Rejection::NotDeprecated);
        }
        self.emit(|| Event::Undeprecated);
        Ok(())
    }
}

fn pause_event(contract: AccountId, by: AccountId, paused: bool) -> Event {
    if paused { Event::Paused { contract, by } } else { Event::Unpaused { contract, by } }
}
