//! The market as one state machine: [`Market::submit`] a command, [`Market::advance_to`] a block.
//!
//! A command either takes effect whole or is refused with a [`Rejection`] and leaves no trace. Rewards come from
//! [`settlement`](crate::settlement) alone. The files under `market/` hold the commands by contract: `bounties`
//! (the road of a bounty), `admin`, `staking`, `token`, and `views` for what can be read.

mod admin;
mod bounties;
mod staking;
mod token;
mod views;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::Arc,
};

use alloy_primitives::{B256, U256, keccak256};

use crate::{
    arbiter_staking::ArbiterStaking,
    block::{BlockNumber, Windows},
    bounty::Bounty,
    command::{Accepted, Command, PostAssertion},
    event::Event,
    id::{AccountId, Address, Guid, GuidMap},
    ledger::Ledger,
    nct::Nct,
    rejection::Rejection,
    roles::{Arbiters, Pausable, Roles},
    ruleset::RuleSet,
    settlement::{Fees, Rewards},
};

/// The hash of a block, by number. The market hides those a contract cannot see.
pub type BlockHashes = Arc<dyn Fn(BlockNumber) -> B256 + Send + Sync>;

/// What is fixed when the contracts are deployed.
#[derive(Clone)]
pub struct Deployment {
    /// Owner and holder of every role.
    pub deployer: Address,
    /// Block to start at.
    pub start: BlockNumber,
    /// Windows, which 1.6.1 can change later.
    pub windows: Windows,
    /// Fees, which 1.6.1 can change later.
    pub fees: Fees,
    /// Blocks for which a deposit is locked.
    pub stake_duration: u64,
    /// False for a token that cannot be moved yet.
    pub transfers_enabled: bool,
    /// Hashes of past blocks.
    pub block_hashes: BlockHashes,
}

impl fmt::Debug for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployment").field("start", &self.start).field("windows", &self.windows).finish_non_exhaustive()
    }
}

impl Deployment {
    /// The defaults of `rules`, deployed at block 1 by the account named `owner`.
    pub fn of(rules: &RuleSet) -> Deployment {
        Deployment {
            deployer: named_address("owner"),
            start: BlockNumber(1),
            windows: Windows::blocks(rules.reveal_window, rules.vote_window),
            fees: Fees { bounty: rules.bounty_fee, assertion: rules.assertion_fee },
            stake_duration: rules.stake_duration,
            transfers_enabled: true,
            block_hashes: Arc::new(|block| keccak256(block.0.to_string())),
        }
    }
}

/// The address of the account that is known here as `name`: the last 20 bytes of its hash.
pub fn named_address(name: &str) -> Address {
    Address::from_slice(&keccak256(name)[12..])
}

/// Bounties whose slot is found without a search.
const RECENT: usize = 1024;

/// One registry, one staking contract and one token, with everything in them.
#[derive(Clone)]
pub struct Market {
    rules: RuleSet,
    now: BlockNumber,
    block_hashes: BlockHashes,
    addresses: Vec<Address>,
    accounts: BTreeMap<Address, AccountId>,
    ledger: Ledger,
    token_owner: AccountId,
    minters: BTreeSet<AccountId>,
    staking: ArbiterStaking,
    staking_owner: AccountId,
    staking_pausable: Pausable,
    /// The registry that the staking contract takes records from.
    linked_registry: AccountId,
    /// Bounties recorded by such a registry if it is not ours.
    foreign_records: BTreeSet<Guid>,
    stake_duration: u64,
    roles: Roles,
    arbiters: Arbiters,
    fees: Fees,
    windows: Windows,
    deprecation: Option<Deprecation>,
    bounties: Vec<Bounty>,
    slots: GuidMap<usize>,
    free_slots: Vec<usize>,
    /// Rewards of forgotten bounties, for their memory.
    spare_rewards: Vec<Rewards>,
    /// Some of the slots, by the end of the guid: most commands are on bounties that others were on a moment ago.
    recent: Box<[Option<(Guid, u32)>; RECENT]>,
    /// The last draw: the block whose hash it was from, the block it was made in, and its number.
    last_draw: Option<((BlockNumber, BlockNumber), U256)>,
    history: History,
    events: Vec<Event>,
    recording: bool,
}

impl fmt::Debug for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Market");
        debug.field("rules", &self.rules.name).field("now", &self.now).field("open", &self.slots.len()).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug)]
struct Deprecation {
    block: BlockNumber,
    rollover: bool,
}

/// Bounties in order of posting: all guids, and the authors that the list of candidates looks back on.
#[derive(Clone, Debug, Default)]
struct History {
    forgetful: bool,
    guids: Vec<Guid>,
    recent_authors: VecDeque<AccountId>,
}

impl Market {
    /// A market under `rules`, deployed with their defaults.
    pub fn new(rules: RuleSet) -> Market {
        let deployment = Deployment::of(&rules);
        Market::deploy(rules, deployment)
    }

    /// A market under `rules`.
    pub fn deploy(rules: RuleSet, deployment: Deployment) -> Market {
        let owner = AccountId(4);
        let mut market = Market {
            now: deployment.start,
            block_hashes: deployment.block_hashes,
            addresses: Vec::new(),
            accounts: BTreeMap::new(),
            ledger: Ledger::default(),
            token_owner: owner,
            minters: BTreeSet::from([owner]),
            staking: ArbiterStaking::default(),
            staking_owner: owner,
            staking_pausable: Pausable::new(owner),
            linked_registry: AccountId::REGISTRY,
            foreign_records: BTreeSet::new(),
            stake_duration: deployment.stake_duration,
            roles: Roles::all_to(owner),
            arbiters: Arbiters::default(),
            fees: deployment.fees,
            windows: deployment.windows,
            deprecation: None,
            bounties: Vec::new(),
            slots: GuidMap::default(),
            free_slots: Vec::new(),
            spare_rewards: Vec::new(),
            recent: Box::new([None; RECENT]),
            last_draw: None,
            history: History::default(),
            events: Vec::new(),
            recording: false,
            rules,
        };
        market.account(Address::ZERO);
        for contract in ["BountyRegistry", "ArbiterStaking", "NectarToken"] {
            market.account(named_address(contract));
        }
        assert_eq!(market.account(deployment.deployer), owner, "the deployer is nobody else");
        market.ledger.enable_transfers(deployment.transfers_enabled);
        market
    }

    /// Keeps open bounties only: settled ones can be [`Market::forget`]ten, and neither their guids nor pages of them
    /// are kept. For long runs whose guids never repeat.
    pub fn forgetful(mut self) -> Market {
        self.history.forgetful = true;
        self
    }

    /// Records events from now on; [`Market::take_events`] hands them out.
    pub fn recording(mut self) -> Market {
        self.recording = true;
        self
    }

    /// The events since the last call, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Hands the events since the last call to `reader`, in order, and forgets them.
    pub fn drain_events(&mut self) -> std::vec::Drain<'_, Event> {
        self.events.drain(..)
    }

    /// The account of `address`, opened if it is new.
    pub fn account(&mut self, address: Address) -> AccountId {
        if let Some(&account) = self.accounts.get(&address) {
            return account;
        }
        let account = AccountId(u32::try_from(self.addresses.len()).expect("fewer than 2^32 accounts"));
        self.addresses.push(address);
        self.accounts.insert(address, account);
        self.ledger.open();
        self.staking.open();
        account
    }

    /// Opens the account known as `name`, mints `amount` to it, and lets registry and staking contract pull all of it.
    pub fn fund(&mut self, name: &str, amount: Nct) -> AccountId {
        let account = self.account(named_address(name));
        self.ledger.mint(account, amount).expect("a supply within 256 bits");
        for contract in [AccountId::REGISTRY, AccountId::STAKING] {
            self.ledger.approve(account, contract, Nct::from_uint(U256::MAX)).expect("a contract that exists");
        }
        account
    }

    /// Moves time forward to block `now`; earlier blocks are ignored, time never goes back.
    pub fn advance_to(&mut self, now: BlockNumber) {
        self.now = self.now.max(now);
    }

    /// Carries out `command` of `sender` in the current block.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] names the first check that failed, in the contract's order; nothing has changed then.
    pub fn submit(&mut self, sender: AccountId, command: Command) -> Result<Accepted, Rejection> {
        let done = |()| Accepted::Done;
        match command {
            Command::PostBounty(post) => self.post_bounty(sender, *post).map(done),
            Command::PostAssertion(PostAssertion { guid, bids, mask, commitment }) => {
                self.post_assertion(sender, guid, &bids, mask, commitment).map(|index| Accepted::Asserted { index })
            }
            Command::RevealAssertion(reveal) => self.reveal_assertion(sender, reveal).map(done),
            Command::VoteOnBounty { guid, votes, valid_bloom } => {
                self.vote_on_bounty(sender, guid, votes, valid_bloom).map(|quorum| Accepted::Voted { quorum })
            }
            Command::SettleBounty { guid } => self.settle_bounty(sender, guid).map(|payout| Accepted::Settled { payout }),

            Command::AddArbiter { arbiter, block } => self.add_arbiter(sender, arbiter, block).map(done),
            Command::RemoveArbiter { arbiter, block } => self.remove_arbiter(sender, arbiter, block).map(done),
            Command::SetBountyFee(fee) => self.set_fees(sender, Fees { bounty: fee, ..self.fees }).map(done),
            Command::SetAssertionFee(fee) => self.set_fees(sender, Fees { assertion: fee, ..self.fees }).map(done),
            Command::SetWindows(windows) => self.set_windows(sender, windows).map(done),
            Command::SetFeeManager(account) => self.set_fee_manager(sender, account).map(done),
            Command::SetWindowManager(account) => self.set_window_manager(sender, account).map(done),
            Command::AddArbiterManager(account) => self.add_arbiter_manager(sender, account).map(done),
            Command::RemoveArbiterManager(account) => self.remove_arbiter_manager(sender, account).map(done),
            Command::AddDeprecator(account) => self.add_deprecator(sender, account).map(done),
            Command::RemoveDeprecator(account) => self.remove_deprecator(sender, account).map(done),
            Command::Pause => self.set_paused(sender, true).map(done),
            Command::Unpause => self.set_paused(sender, false).map(done),
            Command::AddPauser(account) => self.add_pauser(sender, account).map(done),
            Command::RenouncePauser => self.renounce_pauser(sender).map(done),
            Command::TransferOwnership(account) => self.transfer_ownership(sender, account).map(done),
            Command::RenounceOwnership => self.renounce_ownership(sender).map(done),
            Command::Deprecate { rollover } => self.deprecate(sender, rollover).map(done),
            Command::Undeprecate => self.undeprecate(sender).map(done),

            Command::Deposit(value) => self.deposit(sender, value).map(done),
            Command::Withdraw(value) => self.withdraw(sender, value).map(done),
            Command::PauseStaking => self.set_staking_paused(sender, true).map(done),
            Command::UnpauseStaking => self.set_staking_paused(sender, false).map(done),
            Command::SetBountyRegistry(registry) => self.set_bounty_registry(sender, registry).map(done),
            Command::RecordBounty { arbiter, guid, block } => self.record_bounty(sender, arbiter, guid, block).map(done),
            Command::ReceiveApproval { from, value, token } => self.receive_approval(sender, from, value, token).map(done),

            Command::Transfer { to, value } => self.transfer(sender, to, value).map(done),
            Command::TransferFrom { from, to, value } => self.transfer_from(sender, from, to, value).map(done),
            Command::Approve { spender, value } => self.approve(sender, spender, value).map(done),
            Command::ApproveAndCall { spender, value } => self.approve_and_call(sender, spender, value).map(done),
            Command::Mint { to, value } => self.mint(sender, to, value).map(done),
            Command::EnableTransfers => self.enable_transfers(sender).map(done),
        }
    }

    #[inline]
    fn emit(&mut self, event: impl FnOnce() -> Event) {
        if self.recording {
            self.events.push(event());
        }
    }

    /// Pulls `value` from `owner` into a contract, as `transferFrom` does: allowance first, then balance.
    #[inline(always)]
    fn pull(&mut self, owner: AccountId, contract: AccountId, value: Nct) -> Result<(), Rejection> {
        self.ledger.pull(owner, contract, value)?;
        if self.recording {
            let left = self.ledger.allowance(owner, contract);
            self.events.push(Event::Transfer { from: owner, to: contract, value });
            self.events.push(Event::Approval { owner, spender: contract, value: left });
        }
        Ok(())
    }
}
