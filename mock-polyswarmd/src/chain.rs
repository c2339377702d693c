//! The two chains and everything that can be done to them. The same inputs in the same order give the same chains, so the
//! list of inputs is all there is to save: a snapshot is a position in it, and a run's files are written by playing it again.

use std::{collections::HashMap, sync::Arc};

use market::{
    block::{BlockNumber, Windows},
    bloom::Bloom,
    command::{Command, PostAssertion, PostBounty, RevealAssertion},
    commitment::{Commitment, Opening},
    event::Event,
    id::{AccountId, Address, Guid, GuidMap},
    market::{Deployment, Market, named_address},
    nct::Nct,
    rejection::{Rejection, Revert},
    settlement::Fees,
};
use replay::{
    plan::{Brought, Setup},
    world::{Blind, Observer, PATIENCE, PlayError, Seat, Showcase, World},
};
use serde::{Deserialize, Serialize};
use wire::calldata::Call;

use crate::transaction::Transaction;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChainName {
    /// Where Nectar comes from: transfers only.
    Home,
    /// Where the market is.
    #[default]
    Side,
}

impl ChainName {
    /// The chain's number in signatures (EIP-155), as polyswarmd's own test network has them.
    pub fn id(self) -> u64 {
        match self {
            ChainName::Home => 1337,
            ChainName::Side => 1338,
        }
    }

    /// Its name in queries.
    pub fn name(self) -> &'static str {
        match self {
            ChainName::Home => "home",
            ChainName::Side => "side",
        }
    }
}

/// Something that is done to the chains.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")] // no `tag`: it would read amounts into a buffer that cannot hold them
pub enum Input {
    /// Time moves on to that block, and everybody simulated does what is due.
    Mine {
        /// Number of the block.
        block: u64,
    },
    /// An account is opened on both chains and given Nectar on both.
    Visit {
        /// Its address.
        #[serde(with = "wire::address")]
        address: Address,
        /// The gift in wei.
        #[serde(with = "wire::decimal::string")]
        gift: Nct,
    },
    /// Nectar is given to an account.
    Fund {
        /// On that chain.
        chain: ChainName,
        /// To that address.
        #[serde(with = "wire::address")]
        address: Address,
        /// The gift in wei.
        #[serde(with = "wire::decimal::string")]
        gift: Nct,
    },
    /// A signed transaction is carried out.
    Transact {
        /// On that chain.
        chain: ChainName,
        /// As it was signed.
        transaction: Box<Transaction>,
    },
    /// Artifacts are uploaded, for bounties to come.
    Upload {
        /// Their address.
        uri: String,
        /// What is known of each.
        #[serde(with = "brought")]
        artifacts: Vec<Brought>,
    },
    /// The owner of the contracts does something.
    Govern {
        /// What.
        order: Order,
    },
}

/// What the owner of the contracts can be asked to do.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Sets both fees.
    Fees {
        /// Of a bounty, in wei.
        #[serde(with = "wire::decimal::string")]
        bounty: Nct,
        /// Of an assertion, in wei.
        #[serde(with = "wire::decimal::string")]
        assertion: Nct,
    },
    /// Sets both windows.
    Windows {
        /// In blocks.
        reveal: u64,
        /// In blocks.
        vote: u64,
    },
    /// Takes no more bounties.
    Deprecate {
        /// Said in the event; nothing here depends on it.
        rollover: bool,
    },
    /// Takes bounties again.
    Undeprecate,
}

/// Artifacts as text: the hash, and a mark behind those of test files.
mod brought {
    use datasets::ArtifactId;
    use replay::plan::Brought;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const TEST_FILE: &str = " test file";

    pub(super) fn serialize<S: Serializer>(artifacts: &[Brought], serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_seq(artifacts.iter().map(|artifact| format!("{}{}", artifact.id, if artifact.test_file { TEST_FILE } else { "" })))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Brought>, D::Error> {
        let read = |text: String| {
            let (hash, test_file) = text.strip_suffix(TEST_FILE).map_or((text.as_str(), false), |hash| (hash, true));
            let id = ArtifactId::from_hex(hash.as_bytes()).ok_or_else(|| D::Error::custom("an artifact is known by its SHA-256"))?;
            Ok(Brought { id, test_file })
        };
        Vec::<String>::deserialize(deserializer)?.into_iter().map(read).collect()
    }
}

/// What came of an input.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was logged on the side chain.
    pub side: Vec<Event>,
    /// What was logged on the home chain.
    pub home: Vec<Event>,
    /// Why it was refused, as the contract says it.
    pub refused: Option<String>,
}

/// Where transfers to the other chain go.
pub fn relay() -> Address {
    named_address("relay")
}

/// Both chains.
#[derive(Debug)]
pub struct Chains {
    world: World,
    home: Market,
    relay: [AccountId; 2],
    /// What is behind the addresses that bounties can name.
    artifacts: HashMap<String, Vec<Brought>>,
    /// Bounties of visitors that are not over, by the block in which nobody is waited for any more.
    visitors: GuidMap<BlockNumber>,
}

/// Largest gift in NCT: sums of them never overflow.
pub const GIFT_MAXIMUM: u64 = 1_000_000_000_000_000;
/// What the relay holds on either chain, in NCT: as much can be moved.
const RELAY_FUNDS: u64 = 1_000_000_000;

impl Chains {
    /// Both chains in their first block.
    ///
    /// # Errors
    ///
    /// If the corpus cannot be read.
    pub fn new(setup: Arc<Setup>, seat: Option<Address>, showcase: Showcase) -> Result<Chains, PlayError> {
        let mut world = World::new(setup.clone(), Seat::Visitor(seat), Some(showcase), true)?;
        let deployment = Deployment { start: world.market().now(), ..Deployment::of(&setup.rules) };
        let mut home = Market::deploy(setup.rules.clone(), deployment).recording();
        let relay = [home.account(self::relay()), world.visitor(self::relay())];
        let mut chains = Chains { world, home, relay, artifacts: HashMap::new(), visitors: GuidMap::default() };
        for chain in [ChainName::Home, ChainName::Side] {
            chains.fund(chain, self::relay(), Nct::whole(RELAY_FUNDS)).expect("within 256 bits");
        }
        chains.home.take_events();
        chains.world.take_events();
        Ok(chains)
    }

    /// The market of a chain, to look at.
    pub fn market(&self, chain: ChainName) -> &Market {
        match chain {
            ChainName::Home => &self.home,
            ChainName::Side => self.world.market(),
        }
    }

    /// The side chain.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// True if it is known what is behind an address.
    pub fn knows_artifacts(&self, uri: &str) -> bool {
        self.artifacts.contains_key(uri)
    }

    /// The account of an address on a chain, if it was ever seen there.
    pub fn account(&self, chain: ChainName, address: Address) -> Option<AccountId> {
        self.market(chain).known_account(address)
    }

    /// True when the corpus is through and nobody is waited for.
    pub fn is_over(&self) -> bool {
        self.world.next().is_none() && !self.has_visitors()
    }

    fn has_visitors(&self) -> bool {
        self.visitors.values().any(|&over| over >= self.world.market().now())
    }

    /// The next block that is worth mining: the one after this, or with nothing open the one of the next bounty.
    pub fn next_block(&self) -> u64 {
        let next = self.world.market().now().0 + 1;
        match self.world.next() {
            Some(block) if !self.has_visitors() => block.0.max(next),
            _ => next,
        }
    }

    /// Does `input`. What is refused is an outcome; an error ends the run.
    ///
    /// # Errors
    ///
    /// If the corpus cannot be read, or an invariant is broken.
    pub fn apply(&mut self, input: &Input, observer: &mut dyn Observer) -> Result<Outcome, PlayError> {
        let mut refused = None;
        match input {
            Input::Mine { block } => {
                self.home.advance_to(BlockNumber(*block));
                let now = BlockNumber(*block);
                self.visitors.retain(|_, over| *over >= now);
                self.world.mine(now, observer, &mut |_| true)?;
            }
            Input::Visit { address, gift } => {
                for chain in [ChainName::Home, ChainName::Side] {
                    refused = refused.or(self.fund(chain, *address, *gift).err());
                }
            }
            Input::Fund { chain, address, gift } => refused = self.fund(*chain, *address, *gift).err(),
            Input::Transact { chain: ChainName::Side, transaction } => {
                refused = self.transact(transaction.sender(), transaction.call(), observer).err();
            }
            Input::Transact { chain: ChainName::Home, transaction } => {
                refused = self.transact_home(transaction.sender(), transaction.call()).err();
            }
            Input::Upload { uri, artifacts } => {
                self.artifacts.insert(uri.clone(), artifacts.clone());
            }
            Input::Govern { order } => refused = self.govern(order).err(),
        }
        let side = self.world.take_events();
        for event in &side {
            // A visitor may post what a simulated ambassador posted before.
            if let Event::NewBounty { guid, artifact_uri, .. } = event
                && let Some(plan) = self.world.plan(*guid)
                && !self.artifacts.contains_key(&**artifact_uri)
            {
                let artifacts = plan.artifacts.iter().map(|facts| Brought { id: facts.id, test_file: false }).collect();
                self.artifacts.insert(artifact_uri.to_string(), artifacts);
            }
        }
        let edition = self.world.market().rules().edition;
        let refused = refused.map(|rejection| match rejection.revert(edition) {
            Revert::Message(message) => message.to_owned(),
            Revert::Empty => format!("reverted without a message: {rejection}"),
            Revert::InvalidOpcode => format!("invalid opcode: {rejection}"),
        });
        Ok(Outcome { side, home: self.home.take_events(), refused })
    }

    fn fund(&mut self, chain: ChainName, address: Address, gift: Nct) -> Result<(), Rejection> {
        if gift > Nct::whole(GIFT_MAXIMUM) {
            return Err(Rejection::Overflow { what: "a gift" });
        }
        match chain {
            ChainName::Home => {
                let (owner, account) = (self.home.account(named_address("owner")), self.home.account(address));
                self.home.submit(owner, Command::Mint { to: account, value: gift }).map(drop)
            }
            ChainName::Side => {
                let account = self.world.visitor(address);
                self.world.grant(account, gift)
            }
        }
    }

    fn govern(&mut self, order: &Order) -> Result<(), Rejection> {
        let commands = match order {
            Order::Fees { bounty, assertion } => vec![Command::SetBountyFee(*bounty), Command::SetAssertionFee(*assertion)],
            Order::Windows { reveal, vote } => vec![Command::SetWindows(Windows::blocks(*reveal, *vote))],
            Order::Deprecate { rollover } => vec![Command::Deprecate { rollover: *rollover }],
            Order::Undeprecate => vec![Command::Undeprecate],
        };
        commands.into_iter().try_for_each(|command| self.world.govern(command).map(drop))
    }

    fn transact(&mut self, sender: Address, call: &Call, observer: &mut dyn Observer) -> Result<(), Rejection> {
        let account = self.world.visitor(sender);
        // An account that deposits a stake wants to be an arbiter: the owner appoints it.
        let market = self.world.market();
        let enough =
            |amount: Nct| market.staking().balance(account).checked_add(amount).is_some_and(|stake| stake >= market.rules().stake_minimum);
        let appointed = matches!(call, Call::Deposit { amount } if enough(*amount)) && market.is_arbiter(account) == Ok(false);
        let block = alloy_primitives::U256::from(self.world.market().now().0);
        if appointed {
            self.world.govern(Command::AddArbiter { arbiter: account, block })?;
        }
        let command = command(call, &mut |address| self.world.visitor(address));
        let posted = match &command {
            Command::PostBounty(post) => Some((post.guid, post.artifact_uri.clone())),
            _ => None,
        };
        let relayed = self.relayed(ChainName::Side, &command)?;
        if let Err(rejection) = self.world.submit(account, command, observer) {
            if appointed {
                self.world.govern(Command::RemoveArbiter { arbiter: account, block })?;
            }
            return Err(rejection);
        }
        if let Some((guid, uri)) = posted {
            let known = self.artifacts.get(&*uri).is_some_and(|artifacts| self.world.adopt(guid, artifacts));
            if !known {
                self.wait_for(guid);
            }
        }
        if let Some(value) = relayed {
            let to = self.home.account(sender);
            self.home.submit(self.relay[0], Command::Transfer { to, value })?;
        }
        Ok(())
    }

    fn transact_home(&mut self, sender: Address, call: &Call) -> Result<(), Rejection> {
        let account = self.home.account(sender);
        let command = command(call, &mut |address| self.home.account(address));
        let relayed = self.relayed(ChainName::Home, &command)?;
        self.home.submit(account, command)?;
        if let Some(value) = relayed {
            let to = self.world.visitor(sender);
            self.world.submit(self.relay[1], Command::Transfer { to, value }, &mut Blind)?;
        }
        Ok(())
    }

    /// The amount that a command moves to the other chain, which must be able to pay it out.
    fn relayed(&self, chain: ChainName, command: &Command) -> Result<Option<Nct>, Rejection> {
        let value = match command {
            Command::Transfer { to, value } if *to == self.relay[chain as usize] => *value,
            _ => return Ok(None),
        };
        let other = if chain == ChainName::Side { ChainName::Home } else { ChainName::Side };
        let balance = self.market(other).balance(self.relay[other as usize]);
        if balance < value { Err(Rejection::BalanceShort { balance, value }) } else { Ok(Some(value)) }
    }

    fn wait_for(&mut self, guid: Guid) {
        if let Ok(end) = self.world.market().vote_end(guid) {
            self.visitors.insert(guid, BlockNumber(end.0.saturating_add(PATIENCE)));
        }
    }

    /// Today's fees on the side chain.
    pub fn fees(&self) -> Fees {
        self.world.market().fees()
    }

    /// Gives up the side chain, for its final figures.
    pub fn into_world(self) -> World {
        self.world
    }
}

/// What a contract call asks of the market.
fn command(call: &Call, account: &mut dyn FnMut(Address) -> AccountId) -> Command {
    // Numbers beyond 64 bits are refused like the largest of them.
    let clamp = |number: alloy_primitives::U256| number.saturating_to::<u64>();
    let text = |text: &str| (!text.is_empty()).then(|| Arc::from(text));
    match call {
        Call::Approve { spender, amount } => Command::Approve { spender: account(*spender), value: *amount },
        Call::Transfer { to, amount } => Command::Transfer { to: account(*to), value: *amount },
        Call::PostBounty(post) => Command::PostBounty(Box::new(PostBounty {
            guid: post.guid,
            artifact_type: clamp(post.artifact_type),
            amount: post.amount,
            artifact_uri: post.uri.as_str().into(),
            artifacts: clamp(post.artifacts),
            duration: clamp(post.duration),
            bloom: (post.bloom != Bloom::default()).then(|| Box::new(post.bloom)),
            metadata: text(&post.metadata),
        })),
        Call::PostAssertion(post) => Command::PostAssertion(PostAssertion {
            guid: post.guid,
            bids: post.bids.iter().copied().collect(),
            mask: post.mask,
            commitment: Commitment::from_hash(post.commitment),
        }),
        Call::RevealAssertion(reveal) => Command::RevealAssertion(RevealAssertion {
            guid: reveal.guid,
            index: clamp(reveal.index),
            opening: Opening { nonce: reveal.nonce, verdicts: reveal.verdicts },
            metadata: text(&reveal.metadata),
        }),
        Call::VoteOnBounty { guid, votes, valid_bloom } => Command::VoteOnBounty { guid: *guid, votes: *votes, valid_bloom: *valid_bloom },
        Call::SettleBounty { guid } => Command::SettleBounty { guid: *guid },
        Call::Deposit { amount } => Command::Deposit(*amount),
        Call::Withdraw { amount } => Command::Withdraw(*amount),
    }
}
