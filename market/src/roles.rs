//! Who may change the market itself: owners, managers, pausers, and the arbiters.

use std::collections::BTreeSet;

use crate::{
    id::{AccountId, AccountSet},
    rejection::{Rejection, refuse},
};

/// Role holders of the registry. At deployment one account has them all.
#[derive(Clone, Debug)]
pub(crate) struct Roles {
    pub(crate) owner: AccountId,
    pub(crate) fee_manager: AccountId,
    pub(crate) window_manager: AccountId,
    pub(crate) arbiter_managers: BTreeSet<AccountId>,
    pub(crate) deprecators: BTreeSet<AccountId>,
    pub(crate) pausable: Pausable,
}

impl Roles {
    pub(crate) fn all_to(deployer: AccountId) -> Roles {
        Roles {
            owner: deployer,
            fee_manager: deployer,
            window_manager: deployer,
            arbiter_managers: BTreeSet::from([deployer]),
            deprecators: BTreeSet::from([deployer]),
            pausable: Pausable::new(deployer),
        }
    }
}

/// A contract that can be paused, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct Pausable {
    pub(crate) paused: bool,
    pub(crate) pausers: BTreeSet<AccountId>,
}

impl Pausable {
    pub(crate) fn new(deployer: AccountId) -> Pausable {
        Pausable { paused: false, pausers: BTreeSet::from([deployer]) }
    }

    #[inline]
    pub(crate) fn check_running(&self) -> Result<(), Rejection> {
        if self.paused { refuse(Rejection::Paused) } else { Ok(()) }
    }

    pub(crate) fn set(&mut self, by: AccountId, paused: bool) -> Result<(), Rejection> {
        require_member(&self.pausers, by, "pauser")?;
        match (paused, self.paused) {
            (true, true) => return refuse(Rejection::Paused),
            (false, false) => return refuse(Rejection::NotPaused),
            _ => self.paused = paused,
        }
        Ok(())
    }
}

/// Adds to a role as OpenZeppelin's role library does: not the zero address, not twice.
pub(crate) fn grant(role: &mut BTreeSet<AccountId>, account: AccountId, name: &'static str) -> Result<(), Rejection> {
    require_somebody(account, name)?;
    if role.insert(account) { Ok(()) } else { refuse(Rejection::RoleTaken { account, role: name }) }
}

/// Takes from a role; the account must have it.
pub(crate) fn revoke(role: &mut BTreeSet<AccountId>, account: AccountId, name: &'static str) -> Result<(), Rejection> {
    if role.remove(&account) { Ok(()) } else { refuse(Rejection::RoleMissing { account, role: name }) }
}

pub(crate) fn require_member(role: &BTreeSet<AccountId>, account: AccountId, name: &'static str) -> Result<(), Rejection> {
    if role.contains(&account) { Ok(()) } else { refuse(Rejection::RoleMissing { account, role: name }) }
}

pub(crate) fn require_holder(holder: AccountId, account: AccountId, name: &'static str) -> Result<(), Rejection> {
    if holder == account && account != AccountId::NOBODY { Ok(()) } else { refuse(Rejection::RoleMissing { account, role: name }) }
}

pub(crate) fn require_somebody(account: AccountId, name: &'static str) -> Result<(), Rejection> {
    if account == AccountId::NOBODY { Err(Rejection::ZeroAddress { role: name }) } else { Ok(()) }
}

/// The registered arbiters, and how many the registry believes there are.
///
/// 1.0.0 counts down on removing an account that is no arbiter, so the two can disagree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arbiters {
    members: AccountSet,
    pub(crate) count: u64,
}

impl Arbiters {
    #[inline]
    pub(crate) fn contains(&self, account: AccountId) -> bool {
        self.members.contains(account)
    }

    pub(crate) fn add(&mut self, account: AccountId) -> Result<(), Rejection> {
        require_somebody(account, "arbiter")?;
        if !self.members.insert(account) {
            return refuse(Rejection::RoleTaken { account, role: "arbiter" });
        }
        self.count += 1;
        Ok(())
    }

    /// Removes an arbiter; with `unchecked`, as 1.0.0 does, anybody, as long as the count is not zero.
    pub(crate) fn remove(&mut self, account: AccountId, unchecked: bool) -> Result<(), Rejection> {
        if !unchecked && !self.members.contains(account) {
            return refuse(Rejection::RoleMissing { account, role: "arbiters" });
        }
        self.count = self.count.checked_sub(1).ok_or(Rejection::Overflow { what: "the number of arbiters" })?;
        self.members.remove(account);
        Ok(())
    }
}
