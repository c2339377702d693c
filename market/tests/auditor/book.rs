//! The second book: BountyRegistry, ArbiterStaking and NectarToken written down once more, as naively as the rule texts
//! allow, from those texts alone. Nothing is kept that can be worked out: a balance is a sum of transfers, a quorum is
//! a replay of votes, a reward is its formula. It shares no code with the market and is slow on purpose.
//!
//! `§3` in a comment is section 3 of the rules of 1.6.1, `§3*` is section 3 of the rules of 1.0.0.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, U256, keccak256};

/// Accounts go by their names here.
pub(crate) type Name = &'static str;

pub(crate) const NOBODY: Name = "0";
pub(crate) const REGISTRY: Name = "registry";
pub(crate) const STAKING: Name = "staking";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Edition {
    V100,
    V161,
}

/// A call of a contract.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    Post { guid: u128, kind: u64, amount: U256, uri: &'static str, artifacts: u64, duration: u64 },
    Assert { guid: u128, bids: Vec<U256>, mask: U256, promise: Promise },
    Reveal { guid: u128, index: u64, nonce: U256, verdicts: U256 },
    Vote { guid: u128, votes: U256 },
    Settle { guid: u128 },

    AddArbiter(Name),
    RemoveArbiter(Name),
    SetBountyFee(U256),
    SetAssertionFee(U256),
    SetWindows { reveal: U256, vote: U256 },
    SetFeeManager(Name),
    SetWindowManager(Name),
    AddArbiterManager(Name),
    RemoveArbiterManager(Name),
    AddDeprecator(Name),
    RemoveDeprecator(Name),
    Pause,
    Unpause,
    AddPauser(Name),
    RenouncePauser,
    TransferOwnership(Name),
    RenounceOwnership,
    Deprecate { rollover: bool },
    Undeprecate,

    Deposit(U256),
    Withdraw(U256),
    PauseStaking,
    UnpauseStaking,
    SetBountyRegistry(Name),
    RecordBounty { arbiter: Name, guid: u128 },
    ReceiveApproval { from: Name, value: U256 },

    Transfer { to: Name, value: U256 },
    TransferFrom { from: Name, to: Name, value: U256 },
    Approve { spender: Name, value: U256 },
    ApproveAndCall { spender: Name, value: U256 },
    Mint { to: Name, value: U256 },
    EnableTransfers,
}

/// What an assertion commits to. `author` is the address that went into the hash: a copied commitment has another's.
/// Sealed ones reach the market as an envelope, the others as a hash; this book knows hashes only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Promise {
    pub(crate) author: Name,
    pub(crate) nonce: U256,
    pub(crate) verdicts: U256,
    pub(crate) sealed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Done,
    Asserted(u64),
    Voted { quorum: bool },
    Settled(U256),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    Message(&'static str),
    Empty,
    InvalidOpcode,
}

use Refusal::{Empty, InvalidOpcode, Message};

#[derive(Clone, Debug)]
pub(crate) struct Bounty {
    pub(crate) guid: u128,
    pub(crate) author: Name,
    pub(crate) amount: U256,
    pub(crate) artifacts: u64,
    pub(crate) expiration: u64,
    pub(crate) assertions: Vec<Assertion>,
    pub(crate) votes: Vec<Vote>,
    pub(crate) settlers: Vec<Name>,
    pub(crate) assigned: Option<Name>,
}

#[derive(Clone, Debug)]
pub(crate) struct Assertion {
    pub(crate) author: Name,
    pub(crate) bids: Vec<U256>,
    pub(crate) mask: U256,
    pub(crate) commitment: B256,
    /// Zero until it is revealed, as on chain.
    pub(crate) nonce: U256,
    pub(crate) verdicts: U256,
}

#[derive(Clone, Debug)]
pub(crate) struct Vote {
    pub(crate) voter: Name,
    pub(crate) votes: U256,
    pub(crate) block: u64,
    /// Registered arbiters at the time of this vote.
    pub(crate) arbiters: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tally {
    pub(crate) malicious: Vec<u64>,
    pub(crate) decided: U256,
    /// The block of quorum, counted from expiration.
    pub(crate) reached: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rewards {
    pub(crate) refund: U256,
    pub(crate) experts: Vec<U256>,
    pub(crate) arbiter: U256,
}

#[derive(Clone, Debug)]
pub(crate) struct Book {
    pub(crate) edition: Edition,
    pub(crate) now: u64,
    pub(crate) addresses: BTreeMap<Name, Address>,
    pub(crate) stake_duration: u64,
    pub(crate) transfers_enabled: bool,

    /// Every move of Nectar since the beginning; what is minted comes from nobody.
    transfers: Vec<(Name, Name, U256)>,
    /// Every allowance ever set; the last one of a pair counts.
    allowances: Vec<(Name, Name, U256)>,

    pub(crate) bounties: Vec<Bounty>,
    pub(crate) bounty_fee: U256,
    pub(crate) assertion_fee: U256,
    pub(crate) reveal_window: U256,
    pub(crate) vote_window: U256,
    /// Every arbiter added (true) and removed (false).
    arbiter_changes: Vec<(Name, bool)>,
    pub(crate) owner: Name,
    pub(crate) fee_manager: Name,
    pub(crate) window_manager: Name,
    pub(crate) arbiter_managers: BTreeSet<Name>,
    pub(crate) deprecators: BTreeSet<Name>,
    pub(crate) pausers: BTreeSet<Name>,
    pub(crate) paused: bool,
    /// Block and rollover flag.
    pub(crate) deprecated: Option<(u64, bool)>,

    pub(crate) staking_paused: bool,
    /// False while the staking contract takes records from an account that is not this registry.
    pub(crate) linked: bool,
    pub(crate) deposits: BTreeMap<Name, Vec<(u64, U256)>>,

    /// The events of the last command.
    pub(crate) log: Vec<String>,
}

/// The deployer, who has every role at first (§8).
pub(crate) const OWNER: Name = "owner";

// §1 and §2*.
pub(crate) const NCT: u128 = 1_000_000_000_000_000_000;
pub(crate) const BID_MINIMUM: u128 = 62_500_000_000_000_000;
pub(crate) const BID_MAXIMUM: u128 = NCT;
pub(crate) const BOUNTY_FEE: u128 = 62_500_000_000_000_000;
pub(crate) const ASSERTION_FEE: u128 = 31_250_000_000_000_000;
pub(crate) const STAKE_MAXIMUM: u128 = 100_000_000 * NCT;
pub(crate) const STAKE_MINIMUM: u128 = 10_000_000 * NCT;

impl Book {
    pub(crate) fn new(edition: Edition, start: u64, windows: (U256, U256), stake_duration: u64, transfers_enabled: bool) -> Book {
        Book {
            edition,
            now: start,
            addresses: BTreeMap::new(),
            stake_duration,
            transfers_enabled,
            transfers: Vec::new(),
            allowances: Vec::new(),
            bounties: Vec::new(),
            bounty_fee: U256::from(BOUNTY_FEE),
            assertion_fee: U256::from(ASSERTION_FEE),
            reveal_window: windows.0,
            vote_window: windows.1,
            arbiter_changes: Vec::new(),
            owner: OWNER,
            fee_manager: OWNER,
            window_manager: OWNER,
            arbiter_managers: BTreeSet::from([OWNER]),
            deprecators: BTreeSet::from([OWNER]),
            pausers: BTreeSet::from([OWNER]),
            paused: false,
            deprecated: None,
            staking_paused: false,
            linked: true,
            deposits: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    /// An account with money, whose allowance to both contracts is without limit.
    pub(crate) fn open(&mut self, name: Name, address: Address, money: U256) {
        self.addresses.insert(name, address);
        self.transfers.push((NOBODY, name, money));
        self.allowances.push((name, REGISTRY, U256::MAX));
        self.allowances.push((name, STAKING, U256::MAX));
    }

    /// Any failure undoes everything.
    pub(crate) fn submit(&mut self, who: Name, action: &Action) -> Result<Answer, Refusal> {
        self.log.clear();
        let before = self.clone();
        let answer = self.carry_out(who, action);
        if answer.is_err() {
            *self = before;
        }
        answer
    }

    fn carry_out(&mut self, who: Name, action: &Action) -> Result<Answer, Refusal> {
        match *action {
            Action::Post { guid, kind, amount, uri, artifacts, duration } => {
                self.post(who, guid, kind, amount, uri, artifacts, duration)?
            }
            Action::Assert { guid, ref bids, mask, promise } => return self.assert(who, guid, bids, mask, promise).map(Answer::Asserted),
            Action::Reveal { guid, index, nonce, verdicts } => self.reveal(who, guid, index, nonce, verdicts)?,
            Action::Vote { guid, votes } => return self.vote(who, guid, votes).map(|quorum| Answer::Voted { quorum }),
            Action::Settle { guid } => return self.settle(who, guid).map(Answer::Settled),

            Action::AddArbiter(arbiter) => self.add_arbiter(who, arbiter)?,
            Action::RemoveArbiter(arbiter) => self.remove_arbiter(who, arbiter)?,
            Action::Pause => {
                require(self.pausers.contains(who) && !self.paused, Empty)?;
                self.paused = true;
            }
            Action::Unpause => {
                require(self.pausers.contains(who) && self.paused, Empty)?;
                self.paused = false;
            }
            Action::AddPauser(account) => {
                require(self.pausers.contains(who) && account != NOBODY && self.pausers.insert(account), Empty)?;
            }
            Action::RenouncePauser => require(self.pausers.remove(who), Empty)?,
            Action::TransferOwnership(account) => {
                require(self.owner == who && account != NOBODY, Empty)?;
                self.owner = account;
            }
            Action::RenounceOwnership => {
                require(self.owner == who, Empty)?;
                self.owner = NOBODY;
            }
            Action::SetBountyFee(_)
            | Action::SetAssertionFee(_)
            | Action::SetWindows { .. }
            | Action::SetFeeManager(_)
            | Action::SetWindowManager(_)
            | Action::AddArbiterManager(_)
            | Action::RemoveArbiterManager(_)
            | Action::AddDeprecator(_)
            | Action::RemoveDeprecator(_)
            | Action::Deprecate { .. }
            | Action::Undeprecate => self.manage(who, action)?,

            Action::Deposit(value) => self.deposit(who, value)?,
            Action::Withdraw(value) => self.withdraw(who, value)?,
            Action::PauseStaking => {
                require(who == OWNER && !self.staking_paused, Empty)?;
                self.staking_paused = true;
            }
            Action::UnpauseStaking => {
                require(who == OWNER && self.staking_paused, Empty)?;
                self.staking_paused = false;
            }
            Action::SetBountyRegistry(account) => {
                require(who == OWNER, Empty)?;
                self.linked = account == REGISTRY;
            }
            // Nobody here is the registry or the token.
            Action::RecordBounty { .. } => return Err(Message("Can only be called by the BountyRegistry.")),
            Action::ReceiveApproval { .. } => return Err(Message("Must be called from the token.")),

            Action::Transfer { to, value } => self.transfer(who, to, value)?,
            Action::TransferFrom { from, to, value } => self.transfer_from(who, from, to, value)?,
            Action::Approve { spender, value } => self.approve(who, spender, value)?,
            Action::ApproveAndCall { spender, value } => {
                // §10: an inner failure shows as this, whatever it was; only the staking contract takes such calls.
                self.approve(who, spender, value)?;
                require(spender == STAKING && self.deposit(who, value).is_ok(), Message("receiveApproval failed"))?;
            }
            Action::Mint { to, value } => {
                require(who == OWNER && to != NOBODY && self.supply().checked_add(value).is_some(), Empty)?;
                self.move_nectar(NOBODY, to, value);
            }
            Action::EnableTransfers => {
                require(who == OWNER, Empty)?;
                require(!self.transfers_enabled, Message("Transfers enabled"))?;
                self.transfers_enabled = true;
            }
        }
        Ok(Answer::Done)
    }

    /// The message of this edition.
    fn say(&self, v100: &'static str, v161: &'static str) -> Refusal {
        Message(if self.edition == Edition::V100 { v100 } else { v161 })
    }

    // ---------------------------------------------------------------------------------------------- the token (§8, §4*)

    pub(crate) fn balance(&self, name: Name) -> U256 {
        let received: U256 = self.transfers.iter().filter(|(_, to, _)| *to == name).map(|(_, _, value)| *value).sum();
        let spent: U256 = self.transfers.iter().filter(|(from, _, _)| *from == name).map(|(_, _, value)| *value).sum();
        received.checked_sub(spent).expect("the second book overdrew an account")
    }

    pub(crate) fn supply(&self) -> U256 {
        self.transfers.iter().filter(|(from, _, _)| *from == NOBODY).map(|(_, _, value)| *value).sum()
    }

    pub(crate) fn allowance(&self, owner: Name, spender: Name) -> U256 {
        let last = self.allowances.iter().rev().find(|(by, to, _)| *by == owner && *to == spender);
        last.map_or(U256::ZERO, |(_, _, value)| *value)
    }

    fn move_nectar(&mut self, from: Name, to: Name, value: U256) {
        self.transfers.push((from, to, value));
        self.log.push(format!("Transfer {from} {to} {value}"));
    }

    fn transfer(&mut self, from: Name, to: Name, value: U256) -> Result<(), Refusal> {
        require(self.transfers_enabled, Message("Transfers not enabled"))?;
        require(self.balance(from) >= value && to != NOBODY, Empty)?;
        self.move_nectar(from, to, value);
        Ok(())
    }

    /// A pull: allowance first, then balance; Transfer, then Approval with the rest.
    fn transfer_from(&mut self, spender: Name, owner: Name, to: Name, value: U256) -> Result<(), Refusal> {
        require(self.transfers_enabled, Message("Transfers not enabled"))?;
        let left = sub(self.allowance(owner, spender), value)?;
        self.transfer(owner, to, value)?;
        self.approve(owner, spender, left)
    }

    fn approve(&mut self, owner: Name, spender: Name, value: U256) -> Result<(), Refusal> {
        require(spender != NOBODY, Empty)?;
        self.allowances.push((owner, spender, value));
        self.log.push(format!("Approval {owner} {spender} {value}"));
        Ok(())
    }

    // ---------------------------------------------------------------------------------------------- arbiters and managers

    /// Registered at present: the last thing that happened to it was being added.
    pub(crate) fn is_arbiter(&self, name: Name) -> bool {
        self.arbiter_changes.iter().rev().find(|(account, _)| *account == name).is_some_and(|(_, added)| *added)
    }

    /// Additions less removals: in 1.0.0 that counts removals of accounts that were no arbiters (§4*).
    pub(crate) fn arbiter_count(&self) -> u64 {
        let added = self.arbiter_changes.iter().filter(|(_, added)| *added).count();
        let removed = self.arbiter_changes.iter().filter(|(_, added)| !*added).count();
        (added - removed) as u64
    }

    fn add_arbiter(&mut self, who: Name, arbiter: Name) -> Result<(), Refusal> {
        match self.edition {
            Edition::V100 => {
                require(!self.paused && self.owner == who, Empty)?;
                require(arbiter != NOBODY, Message("Invalid arbiter address"))?;
                require(!self.is_arbiter(arbiter), Message("Address is already an arbiter"))?;
            }
            Edition::V161 => {
                require(self.arbiter_managers.contains(who) && arbiter != NOBODY && !self.is_arbiter(arbiter), Empty)?;
            }
        }
        self.arbiter_changes.push((arbiter, true));
        Ok(())
    }

    fn remove_arbiter(&mut self, who: Name, arbiter: Name) -> Result<(), Refusal> {
        match self.edition {
            Edition::V100 => require(!self.paused && self.owner == who && self.arbiter_count() > 0, Empty)?,
            Edition::V161 => require(self.arbiter_managers.contains(who) && self.is_arbiter(arbiter), Empty)?,
        }
        self.arbiter_changes.push((arbiter, false));
        Ok(())
    }

    /// §8, "Roles at deployment", and S14; 1.0.0 has none of these functions.
    fn manage(&mut self, who: Name, action: &Action) -> Result<(), Refusal> {
        require(self.edition == Edition::V161, Empty)?;
        match *action {
            Action::SetBountyFee(fee) => {
                require(self.fee_manager == who, Empty)?;
                self.bounty_fee = fee;
            }
            Action::SetAssertionFee(fee) => {
                require(self.fee_manager == who, Empty)?;
                self.assertion_fee = fee;
            }
            Action::SetFeeManager(account) => {
                require(self.fee_manager == who, Empty)?;
                self.fee_manager = account;
            }
            Action::SetWindows { reveal, vote } => {
                require(self.window_manager == who, Empty)?;
                (self.reveal_window, self.vote_window) = (reveal, vote);
            }
            Action::SetWindowManager(account) => {
                require(self.window_manager == who, Empty)?;
                self.window_manager = account;
            }
            Action::AddArbiterManager(account) => {
                require(self.arbiter_managers.contains(who) && self.arbiter_managers.insert(account), Empty)?;
            }
            Action::AddDeprecator(account) => require(self.deprecators.contains(who) && self.deprecators.insert(account), Empty)?,
            // S14: anybody may.
            Action::RemoveArbiterManager(account) => require(self.arbiter_managers.remove(account), Empty)?,
            Action::RemoveDeprecator(account) => require(self.deprecators.remove(account), Empty)?,
            Action::Deprecate { rollover } => {
                require(self.deprecators.contains(who) && self.deprecated.is_none(), Empty)?;
                self.deprecated = Some((self.now, rollover));
            }
            Action::Undeprecate => {
                require(self.deprecators.contains(who) && self.deprecated.is_some(), Empty)?;
                self.deprecated = None;
            }
            _ => unreachable!("no matter for managers: {action:?}"),
        }
        Ok(())
    }

    // ---------------------------------------------------------------------------------------------- life cycle (§2, §3*)

    pub(crate) fn bounty(&self, guid: u128) -> Result<&Bounty, Refusal> {
        let unknown = self.say("Bounty has not been initialized", "Bounty not initialized");
        self.bounties.iter().find(|bounty| bounty.guid == guid).ok_or(unknown)
    }

    fn bounty_mut(&mut self, guid: u128) -> &mut Bounty {
        self.bounties.iter_mut().find(|bounty| bounty.guid == guid).expect("looked up before")
    }

    /// V*: the first block of the vote window.
    pub(crate) fn reveal_end(&self, bounty: &Bounty) -> Result<U256, Refusal> {
        add(U256::from(bounty.expiration), self.reveal_window)
    }

    /// T: the first block after the vote window.
    pub(crate) fn vote_end(&self, bounty: &Bounty) -> Result<U256, Refusal> {
        add(self.reveal_end(bounty)?, self.vote_window)
    }

    pub(crate) fn round(&self, bounty: &Bounty) -> Result<u8, Refusal> {
        let now = U256::from(self.now);
        if bounty.expiration > self.now {
            return Ok(0);
        }
        if self.reveal_end(bounty)? > now {
            return Ok(1);
        }
        let quorum = self.tally(bounty)?.reached.is_some();
        Ok(match (self.vote_end(bounty)? > now, quorum) {
            (true, false) => 2,
            (true, true) => 3,
            (false, _) if self.edition == Edition::V100 => 3,
            (false, _) => 4,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "they are the contract's")]
    fn post(
        &mut self,
        who: Name,
        guid: u128,
        kind: u64,
        amount: U256,
        uri: &'static str,
        artifacts: u64,
        duration: u64,
    ) -> Result<(), Refusal> {
        require(!self.paused, Empty)?;
        require(self.deprecated.is_none(), Empty)?;
        require(self.bounty(guid).is_err(), Message("GUID already in use"))?;
        match self.edition {
            Edition::V100 => {
                require(amount >= U256::from(BID_MINIMUM), Message("Bounty amount below minimum"))?;
                require(!uri.is_empty(), Message("Invalid artifact URI"))?;
                require(artifacts <= 256, Message("Too many artifacts in bounty"))?;
                require(artifacts > 0, Message("Not enough artifacts in bounty"))?;
                require((1..=100).contains(&duration), Message("Invalid bounty duration"))?;
            }
            Edition::V161 => {
                require(!uri.is_empty() && (1..=256).contains(&artifacts) && kind <= 1, Message("Invalid artifact parameters"))?;
                require((1..=100).contains(&duration), Message("Invalid bounty duration"))?;
                let minimum = U256::from(2 * NCT) * U256::from(artifacts);
                require(amount >= minimum, Message("Amount below minimum for number of artifacts"))?;
            }
        }
        self.transfer_from(REGISTRY, who, REGISTRY, add(amount, self.bounty_fee)?)?;
        let expiration = self.now + duration;
        self.bounties.push(Bounty {
            guid,
            author: who,
            amount,
            artifacts,
            expiration,
            assertions: Vec::new(),
            votes: Vec::new(),
            settlers: Vec::new(),
            assigned: None,
        });
        self.log.push(format!("NewBounty {guid} {who} {amount} {expiration}"));
        Ok(())
    }

    fn assert(&mut self, who: Name, guid: u128, bids: &[U256], mask: U256, promise: Promise) -> Result<u64, Refusal> {
        require(!self.paused, Empty)?;
        let bounty = self.bounty(guid)?;
        let active = bounty.expiration > self.now;
        let asserted = bounty.assertions.iter().any(|assertion| assertion.author == who);
        let minimum = U256::from(BID_MINIMUM);
        match self.edition {
            Edition::V100 => {
                require(bids[0] >= minimum, Message("Assertion bid below minimum"))?;
                require(active, Message("Bounty inactive"))?;
                require(!asserted, Message("Sender has already asserted"))?;
            }
            Edition::V161 => {
                require(active, Message("Bounty inactive"))?;
                require(bids.len() == mask.count_ones(), Message("Bid does not match mask count"))?;
                require(!asserted, Message("Sender has already asserted"))?;
                let maximum = U256::from(BID_MAXIMUM);
                require(bids.iter().all(|bid| (minimum..=maximum).contains(bid)), Message("Bid not between min & max"))?;
            }
        }
        self.transfer_from(REGISTRY, who, REGISTRY, add(sum(bids)?, self.assertion_fee)?)?;
        let commitment = self.commitment(promise.author, promise.nonce, promise.verdicts);
        let bounty = self.bounty_mut(guid);
        let index = bounty.assertions.len() as u64;
        bounty.assertions.push(Assertion { author: who, bids: bids.to_vec(), mask, commitment, nonce: U256::ZERO, verdicts: U256::ZERO });
        self.log.push(format!("NewAssertion {guid} {who} {index}"));
        Ok(index)
    }

    /// keccak256(be32(verdicts XOR uint(keccak256(be32(nonce))) XOR uint(address))) (§2, §4*).
    pub(crate) fn commitment(&self, author: Name, nonce: U256, verdicts: U256) -> B256 {
        let mut address = [0; 32];
        address[12..].copy_from_slice(self.addresses[author].as_slice());
        let hidden = verdicts ^ keccak_of(nonce) ^ U256::from_be_bytes(address);
        keccak256(hidden.to_be_bytes::<32>())
    }

    fn reveal(&mut self, who: Name, guid: u128, index: u64, nonce: U256, verdicts: U256) -> Result<(), Refusal> {
        require(!self.paused, Empty)?;
        let bounty = self.bounty(guid)?;
        match self.edition {
            Edition::V100 => {
                require(self.now >= bounty.expiration, Message("Bounty is still active"))?;
                require(U256::from(self.now) < self.reveal_end(bounty)?, Message("Reveal round has closed"))?;
            }
            Edition::V161 => require(self.round(bounty)? == 1, Message("Bounty not in reveal window"))?,
        }
        require(!nonce.is_zero(), Message("Invalid nonce"))?;
        require(index < bounty.assertions.len() as u64, Message("Invalid assertion ID"))?;
        let assertion = &bounty.assertions[index as usize];
        require(assertion.author == who, Message("Incorrect assertion author"))?;
        require(assertion.nonce.is_zero(), Message("Bounty already revealed"))?;
        require(self.commitment(who, nonce, verdicts) == assertion.commitment, Message("Commitment hash mismatch"))?;
        let assertion = &mut self.bounty_mut(guid).assertions[index as usize];
        (assertion.nonce, assertion.verdicts) = (nonce, verdicts);
        self.log.push(format!("RevealedAssertion {guid} {who} {index} {nonce} {verdicts}"));
        Ok(())
    }

    fn vote(&mut self, who: Name, guid: u128, votes: U256) -> Result<bool, Refusal> {
        let not_an_arbiter = if self.edition == Edition::V100 { Message("msg.sender is not an arbiter") } else { Empty };
        require(self.is_arbiter(who), not_an_arbiter)?;
        require(!self.paused, Empty)?;
        let bounty = self.bounty(guid)?;
        match self.edition {
            Edition::V100 => {
                require(U256::from(self.now) >= self.reveal_end(bounty)?, Message("Reveal round is still active"))?;
                require(U256::from(self.now) < self.vote_end(bounty)?, Message("Voting round has closed"))?;
            }
            Edition::V161 => {
                let round = self.round(bounty)?;
                require(round == 2 || round == 3, Message("Bounty not in voting window"))?;
            }
        }
        require(bounty.votes.iter().all(|vote| vote.voter != who), Message("Arbiter has already voted"))?;
        require(self.linked, Message("Can only be called by the BountyRegistry."))?;
        let first = bounty.votes.is_empty();
        let quorum_before = self.tally(bounty)?.reached;
        let vote = Vote { voter: who, votes, block: self.now, arbiters: self.arbiter_count() };
        self.bounty_mut(guid).votes.push(vote);
        let quorum_after = self.tally(self.bounty(guid)?)?.reached;
        let quorum = quorum_before.is_none() && quorum_after.is_some();
        if first {
            self.log.push(format!("BountyRecorded {guid} {}", self.now));
        }
        self.log.push(format!("BountyVoteRecorded {who}"));
        if quorum {
            self.log.push(format!("QuorumReached {guid}"));
        }
        self.log.push(format!("NewVote {guid} {votes} {who}"));
        Ok(quorum)
    }

    // ---------------------------------------------------------------------------------------------- quorum (§3, §4*)

    /// Weight of a malicious vote against a benign one: 10 to 1 in 1.0.0, 1 to 1 since (§14).
    fn weight(&self) -> u64 {
        if self.edition == Edition::V100 { 10 } else { 1 }
    }

    /// Plays all votes again, each with the number of arbiters of its time.
    pub(crate) fn tally(&self, bounty: &Bounty) -> Result<Tally, Refusal> {
        let mut tally = Tally { malicious: vec![0; bounty.artifacts as usize], decided: U256::ZERO, reached: None };
        for (before, vote) in bounty.votes.iter().enumerate() {
            let cast = before as u64 + 1;
            let arbiters = vote.arbiters;
            for artifact in 0..bounty.artifacts as usize {
                if tally.decided.bit(artifact) {
                    continue;
                }
                tally.malicious[artifact] += u64::from(vote.votes.bit(artifact));
                let malicious = tally.malicious[artifact];
                let benign = cast - malicious;
                let not_malicious = arbiters.checked_sub(malicious).ok_or(Empty)?;
                let not_benign = arbiters.checked_sub(benign).ok_or(Empty)?;
                if self.weight() * malicious >= not_malicious || benign > self.weight() * not_benign {
                    tally.decided.set_bit(artifact, true);
                }
            }
            let all_decided = tally.decided.count_ones() as u64 == bounty.artifacts;
            if tally.reached.is_none() && (all_decided || cast == arbiters) {
                tally.reached = Some(vote.block - bounty.expiration);
            }
        }
        Ok(tally)
    }

    /// Which artifacts are malicious (§4, §5*): late votes enlarge V although they are not tallied.
    pub(crate) fn consensus(&self, bounty: &Bounty) -> Vec<bool> {
        let cast = bounty.votes.len() as u64;
        let tally = self.tally(bounty).expect("every vote was accepted");
        tally.malicious.iter().map(|&malicious| self.weight() * malicious >= cast - malicious).collect()
    }

    // ---------------------------------------------------------------------------------------------- rewards (§5, §5*)

    pub(crate) fn rewards(&self, bounty: &Bounty) -> Result<Rewards, Refusal> {
        let (refund, experts) = match self.edition {
            Edition::V100 => self.shares_of_100(bounty)?,
            Edition::V161 => self.shares_of_161(bounty)?,
        };
        // Everything taken in, with the fees of today.
        let mut pot = add(bounty.amount, self.bounty_fee)?;
        for assertion in &bounty.assertions {
            pot = add(pot, self.assertion_fee)?;
            pot = add(pot, sum(&assertion.bids)?)?;
        }
        let mut arbiter = sub(pot, refund)?;
        for &expert in &experts {
            arbiter = sub(arbiter, expert)?;
        }
        Ok(Rewards { refund, experts, arbiter })
    }

    fn shares_of_161(&self, bounty: &Bounty) -> Result<(U256, Vec<U256>), Refusal> {
        let artifacts = bounty.artifacts as usize;
        let portion = bounty.amount / U256::from(bounty.artifacts);
        let count = U256::from(bounty.assertions.len());
        match (bounty.assertions.is_empty(), bounty.votes.is_empty()) {
            (true, true) => Ok((add(bounty.amount, self.bounty_fee)?, Vec::new())),
            (true, false) => Ok((bounty.amount, Vec::new())),
            (false, true) => {
                let mut experts = Vec::new();
                for assertion in &bounty.assertions {
                    let mut reward = self.assertion_fee;
                    for &bid in &assertion.bids {
                        reward = add(reward, add(bid, portion / count)?)?;
                    }
                    experts.push(reward);
                }
                Ok((self.bounty_fee, experts))
            }
            (false, false) => {
                let consensus = self.consensus(bounty);
                let unasserted = (0..artifacts).filter(|&i| bounty.assertions.iter().all(|assertion| !assertion.mask.bit(i))).count();
                let mut experts = Vec::new();
                for mine in &bounty.assertions {
                    let mut reward = U256::ZERO;
                    for i in (0..artifacts).filter(|&i| wins(mine, i, consensus[i])) {
                        let winning = pool(bounty, |other| wins(other, i, consensus[i]), |other| bid_on(other, i))?;
                        let losing = pool(bounty, |other| other.mask.bit(i) && !wins(other, i, consensus[i]), |other| bid_on(other, i))?;
                        let bid = bid_on(mine, i);
                        reward = add(reward, bid)?;
                        reward = add(reward, mul(bid, losing)? / winning)?;
                        reward = add(reward, mul(bid, portion)? / winning)?;
                    }
                    experts.push(reward);
                }
                Ok((mul(portion, U256::from(unasserted))?, experts))
            }
        }
    }

    fn shares_of_100(&self, bounty: &Bounty) -> Result<(U256, Vec<U256>), Refusal> {
        let n = U256::from(bounty.artifacts);
        let count = U256::from(bounty.assertions.len());
        let bid = |assertion: &Assertion| assertion.bids[0];
        let mut refund = U256::ZERO;
        let mut experts = vec![U256::ZERO; bounty.assertions.len()];
        match (bounty.assertions.is_empty(), bounty.votes.is_empty()) {
            (true, true) => refund = mul(n, add(bounty.amount, self.bounty_fee)?)?,
            (true, false) => refund = mul(n, bounty.amount)?,
            (false, true) => {
                refund = mul(n, self.bounty_fee)?;
                for (expert, assertion) in experts.iter_mut().zip(&bounty.assertions) {
                    let once = add(add(self.assertion_fee, bid(assertion))?, bounty.amount / count)?;
                    *expert = mul(once, n)?;
                }
            }
            (false, false) => {
                for (i, consensus) in self.consensus(bounty).into_iter().enumerate() {
                    if bounty.assertions.iter().all(|assertion| !assertion.mask.bit(i)) {
                        refund = add(refund, bounty.amount)?;
                    }
                    let winning = pool(bounty, |other| wins(other, i, consensus), bid)?;
                    let losing = pool(bounty, |other| other.mask.bit(i) && !wins(other, i, consensus), bid)?;
                    for (expert, assertion) in experts.iter_mut().zip(&bounty.assertions) {
                        *expert = add(*expert, bid(assertion))?;
                        if wins(assertion, i, consensus) {
                            *expert = add(*expert, mul(bid(assertion), losing)? / winning)?;
                            *expert = add(*expert, mul(bounty.amount, bid(assertion))? / winning)?;
                        } else if assertion.mask.bit(i) {
                            *expert = sub(*expert, bid(assertion))?;
                        }
                    }
                }
            }
        }
        Ok((refund / n, experts.into_iter().map(|expert| expert / n).collect()))
    }

    // ---------------------------------------------------------------------------------------------- settling (§6, §4*)

    pub(crate) fn check_settleable(&self, who: Name, bounty: &Bounty) -> Result<(), Refusal> {
        let settled = self.say("Bounty has already been settled for sender", "Sender already settled");
        require(!bounty.settlers.contains(&who), settled)?;
        let too_early = self.say("Voting round is still active and quorum has not been reached", "No Quorum and vote active");
        match self.edition {
            Edition::V100 => {
                let over = U256::from(self.now) >= self.vote_end(bounty)?;
                require(over || self.tally(bounty)?.reached.is_some(), too_early)
            }
            Edition::V161 => require(self.round(bounty)? >= 3, too_early),
        }
    }

    fn settle(&mut self, who: Name, guid: u128) -> Result<U256, Refusal> {
        require(!self.paused, Empty)?;
        let bounty = self.bounty(guid)?.clone();
        self.check_settleable(who, &bounty)?;
        let mut assigned = bounty.assigned;
        if self.is_arbiter(who) {
            let end = self.vote_end(&bounty)?;
            require(U256::from(self.now) >= end, Message("Voting round still active"))?;
            if assigned.is_none() {
                assigned = if U256::from(self.now) <= end + U256::from(256) { self.draw(&bounty)? } else { Some(who) };
            }
        }
        let rewards = self.rewards(&bounty)?;
        let mut payments = Vec::new();
        if bounty.author == who {
            payments.push(rewards.refund);
        }
        for (assertion, &reward) in bounty.assertions.iter().zip(&rewards.experts) {
            if assertion.author == who {
                payments.push(reward);
            }
        }
        if assigned == Some(who) {
            payments.push(rewards.arbiter);
        }
        let payout = sum(&payments)?;
        for payment in payments {
            if !payment.is_zero() {
                self.transfer(REGISTRY, who, payment)?;
            }
        }
        let bounty = self.bounty_mut(guid);
        bounty.assigned = assigned;
        bounty.settlers.push(who);
        self.log.push(format!("SettledBounty {guid} {who} {payout}"));
        Ok(payout)
    }

    // ---------------------------------------------------------------------------------------------- the draw (§7, §6*)

    /// The first voter whose stake, with the stakes before it, is at least r; nobody without votes.
    pub(crate) fn draw(&self, bounty: &Bounty) -> Result<Option<Name>, Refusal> {
        if bounty.votes.is_empty() {
            return Ok(None);
        }
        let stakes: Vec<U256> = bounty.votes.iter().map(|vote| self.stake(vote.voter)).collect();
        let total = sum(&stakes)?;
        require(!total.is_zero(), InvalidOpcode)?;
        let mut seed = self.hash_of_block(self.vote_end(bounty)?).to_vec();
        seed.extend(U256::from(self.now).to_be_bytes::<32>());
        let random = U256::from_be_bytes(keccak256(seed).0) % total;
        let chosen = (1..=stakes.len()).find(|&first| sum(&stakes[..first]).expect("less than the total") >= random);
        Ok(Some(bounty.votes[chosen.expect("the total exceeds r") - 1].voter))
    }

    /// §12: this chain's hashes are those of the decimal block number; a contract sees the last 256 and zeros else.
    fn hash_of_block(&self, block: U256) -> B256 {
        let now = U256::from(self.now);
        let visible = block < now && block + U256::from(256) >= now;
        if visible { keccak256(block.to_string()) } else { B256::ZERO }
    }

    // ---------------------------------------------------------------------------------------------- staking (§10, §7*)

    pub(crate) fn stake(&self, name: Name) -> U256 {
        self.deposits.get(name).into_iter().flatten().map(|(_, value)| *value).sum()
    }

    fn deposit(&mut self, who: Name, value: U256) -> Result<(), Refusal> {
        require(!self.staking_paused, Empty)?;
        require(self.is_arbiter(who), Message("Deposit target is not an arbiter"))?;
        require(!value.is_zero(), Message("Zero value being deposited"))?;
        let total = add(self.stake(who), value)?;
        require(total <= U256::from(STAKE_MAXIMUM), Message("Value greater than maximum stake"))?;
        self.transfer_from(STAKING, who, STAKING, value)?;
        self.deposits.entry(who).or_default().push((self.now, value));
        self.log.push(format!("NewDeposit {who} {value}"));
        Ok(())
    }

    /// True once a registry that was deprecated for good has long been over; 1.0.0 knows no such thing. The windows are
    /// added up first, deprecated or not (ArbiterStaking.isDeprecated), so vast ones block every withdrawal.
    pub(crate) fn released(&self) -> Result<bool, Refusal> {
        if self.edition == Edition::V100 {
            return Ok(false);
        }
        let longest = add(add(U256::from(100), self.reveal_window)?, self.vote_window)?;
        let Some((block, false)) = self.deprecated else { return Ok(false) };
        Ok(U256::from(self.now) >= add(U256::from(block), longest)?)
    }

    pub(crate) fn withdrawable(&self, name: Name) -> Result<U256, Refusal> {
        let released = self.released()?;
        let old_enough = |block: u64| released || block + self.stake_duration <= self.now;
        let deposits = self.deposits.get(name).into_iter().flatten();
        Ok(deposits.take_while(|(block, _)| old_enough(*block)).map(|(_, value)| *value).sum())
    }

    fn withdraw(&mut self, who: Name, value: U256) -> Result<(), Refusal> {
        require(!self.staking_paused, Empty)?;
        require(self.deposits.get(who).is_some_and(|list| !list.is_empty()), Message("Cannot withdraw without some deposits."))?;
        require(self.released()? || self.now >= self.stake_duration, Empty)?;
        require(value <= self.withdrawable(who)?, Message("Value exceeds withdrawable balance"))?;
        // Oldest first; what is used up disappears.
        let mut left = value;
        let mut kept = Vec::new();
        for &(block, deposit) in &self.deposits[who] {
            let taken = left.min(deposit);
            left -= taken;
            if deposit > taken {
                kept.push((block, deposit - taken));
            }
        }
        self.deposits.insert(who, kept);
        self.transfer(STAKING, who, value)?;
        self.log.push(format!("NewWithdrawal {who} {value}"));
        Ok(())
    }

    /// Bounties with a vote.
    pub(crate) fn recorded(&self) -> u64 {
        self.bounties.iter().filter(|bounty| !bounty.votes.is_empty()).count() as u64
    }

    /// Bounties with a vote of this arbiter.
    pub(crate) fn responses(&self, name: Name) -> u64 {
        self.bounties.iter().filter(|bounty| bounty.votes.iter().any(|vote| vote.voter == name)).count() as u64
    }

    pub(crate) fn is_eligible(&self, name: Name) -> bool {
        let recorded = self.recorded();
        self.stake(name) >= U256::from(STAKE_MINIMUM) && (recorded < 10 || self.responses(name) * 10 / recorded >= 9)
    }

    // ---------------------------------------------------------------------------------------------- lists (§8, S15, §7*)

    /// Entries [25 page, 25 page + 25).
    pub(crate) fn page(&self, page: usize) -> Vec<u128> {
        self.bounties.iter().skip(25 * page).take(25).map(|bounty| bounty.guid).collect()
    }

    /// Ambassadors of the last 100 bounties, newest first, by count; the last slot moves into the hole.
    pub(crate) fn candidates(&self) -> Result<Vec<Name>, Refusal> {
        require(!self.bounties.is_empty(), Message("No bounties have been placed"))?;
        let authors: Vec<Name> = self.bounties.iter().rev().take(100).map(|bounty| bounty.author).collect();
        let mut slots = Vec::new();
        for author in &authors {
            if !slots.contains(author) {
                slots.push(*author);
            }
        }
        let count = |name: Name| authors.iter().filter(|author| **author == name).count();
        let mut candidates = Vec::new();
        while let Some(most) = slots.iter().map(|name| count(name)).max() {
            let slot = slots.iter().position(|name| count(name) == most).expect("one has the maximum");
            candidates.push(slots.swap_remove(slot));
        }
        Ok(candidates)
    }
}

/// Revealed, with an opinion on `artifact`, and right about it (§4): an unrevealed assertion always loses.
fn wins(assertion: &Assertion, artifact: usize, consensus: bool) -> bool {
    assertion.mask.bit(artifact) && !assertion.nonce.is_zero() && assertion.verdicts.bit(artifact) == consensus
}

/// Its bid on `artifact` is entry number popcount(mask & (2^artifact - 1)) of its list (§4).
fn bid_on(assertion: &Assertion, artifact: usize) -> U256 {
    assertion.bids[(0..artifact).filter(|&lower| assertion.mask.bit(lower)).count()]
}

/// Bids, by `bid`, of the assertions that are `members`.
fn pool(bounty: &Bounty, members: impl Fn(&Assertion) -> bool, bid: impl Fn(&Assertion) -> U256) -> Result<U256, Refusal> {
    sum(&bounty.assertions.iter().filter(|assertion| members(assertion)).map(bid).collect::<Vec<_>>())
}

pub(crate) fn keccak_of(number: U256) -> U256 {
    U256::from_be_bytes(keccak256(number.to_be_bytes::<32>()).0)
}

fn require(holds: bool, refusal: Refusal) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(refusal) }
}

// Unsigned 256-bit, checked: overflow and underflow revert with empty data.
fn add(a: U256, b: U256) -> Result<U256, Refusal> {
    a.checked_add(b).ok_or(Empty)
}

fn sub(a: U256, b: U256) -> Result<U256, Refusal> {
    a.checked_sub(b).ok_or(Empty)
}

fn mul(a: U256, b: U256) -> Result<U256, Refusal> {
    a.checked_mul(b).ok_or(Empty)
}

fn sum(values: &[U256]) -> Result<U256, Refusal> {
    values.iter().try_fold(U256::ZERO, |sum, &value| add(sum, value))
}
