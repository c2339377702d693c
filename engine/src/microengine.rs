//! The microengine as a state machine: events in, effects out, no I/O. Live and simulated drivers run the same lines.

use std::collections::VecDeque;

use alloy_primitives::U256;
use market::{
    block::BlockNumber,
    commitment::Opening,
    id::{Guid, GuidMap},
    nct::Nct,
    verdict::ArtifactSet,
};
use smallvec::SmallVec;

use crate::{
    artifact::ScanResult,
    chance::Key,
    distill::DistilledVerdict,
    judge::Judge,
    market_view::{MarketView, OpenBounty},
    settled::SettledBounty,
    stake::Staker,
    trader::{Offer, Trader},
};

pub use crate::trader::Abstention;

/// What happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A bounty was posted.
    BountyPosted { bounty: &'a OpenBounty },
    /// Its artifacts are scanned: for each artifact the answers of all backends, one after the other.
    Scanned { view: &'a MarketView<'a>, results: &'a [ScanResult] },
    /// The own assertion is on chain, at that position.
    Asserted { guid: Guid, index: u64 },
    /// The own assertion was refused or lost.
    Refused { guid: Guid },
    /// An assertion made before the engine was started stands on chain, and is to be revealed and settled as any other.
    Resumed { guid: Guid, promise: Promise, revealed: bool },
    /// Enough arbiters voted: a bounty with an own assertion can be settled ahead of its time.
    QuorumReached { guid: Guid },
    /// A bounty was settled. Worth telling of every bounty that was scanned, if [`Microengine::learns`]; with its assertions
    /// if [`Microengine::studies_stakes`].
    Settled(Box<SettledBounty>),
    /// A new block; [`Microengine::due`] says when this is worth telling.
    NewBlock,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Scan the artifacts of a bounty and answer with [`Event::Scanned`].
    Scan { guid: Guid },
    /// Commit to the opening and stake.
    PostAssertion(Assertion),
    /// Leave the bounty alone.
    Abstain { guid: Guid, reason: Abstention },
    /// Open the commitment of the own assertion.
    RevealAssertion { guid: Guid, index: u64, opening: Opening },
    /// Collect what is due.
    SettleBounty { guid: Guid },
}

/// An assertion to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assertion {
    /// The bounty.
    pub guid: Guid,
    /// One bid per mask bit, or a single one where the rules say so.
    pub bids: SmallVec<[Nct; 1]>,
    /// Artifacts with a stake.
    pub mask: ArtifactSet,
    /// What to commit to.
    pub opening: Opening,
}

/// What is left to do for an assertion.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    Reveal,
    Settle,
}

/// Own assertions by the block in which one step is due for them, and of a block by guid. Who comes last is mostly due last,
/// so a sorted queue is faster than a heap.
#[derive(Debug, Default)]
struct Agenda(VecDeque<(BlockNumber, Guid)>);

impl Agenda {
    fn add(&mut self, block: BlockNumber, guid: Guid) {
        let due = (block, guid);
        match self.0.back() {
            Some(&last) if due < last => self.0.insert(self.0.partition_point(|&other| other < due), due),
            _ => self.0.push_back(due),
        }
    }
}

/// An own assertion on chain, and when there is something to do for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promise {
    /// How its commitment is opened.
    pub opening: Opening,
    /// First block in which it can be revealed.
    pub expiration: BlockNumber,
    /// First block in which it can be settled without quorum; `None` if that is beyond all numbers.
    pub settles: Option<BlockNumber>,
    /// Its position among the bounty's assertions.
    pub index: u64,
}

/// The engine.
#[derive(Debug)]
pub struct Microengine {
    trader: Trader,
    backends: usize,
    /// Where nonces and the strategy's chance come from.
    secret: Key,
    /// Where nonces come from instead.
    draw_nonce: Option<fn() -> U256>,
    promises: GuidMap<Promise>,
    /// When own assertions can be revealed, and when they can be settled.
    reveals: Agenda,
    settlements: Agenda,
}

impl Microengine {
    /// An engine that judges the answers of `backends` backends and stakes on the verdict.
    ///
    /// `secret` must be unguessable where the market is real: nonces follow from it.
    pub fn new(backends: usize, judge: Judge, staker: Box<dyn Staker>, secret: Key) -> Microengine {
        let (draw_nonce, promises, reveals, settlements) = Default::default();
        Microengine { trader: Trader::new(judge, staker), backends, secret, draw_nonce, promises, reveals, settlements }
    }

    /// Takes nonces from `draw` (which must not give zero), instead of from the secret.
    ///
    /// A must where the market is real: [`Key`]s and [`Stream`](crate::chance::Stream)s can be run backwards, so the first
    /// nonce that is revealed gives the secret away, and with it the verdicts behind every commitment yet to be revealed.
    pub fn draw_nonces(&mut self, draw: fn() -> U256) {
        self.draw_nonce = Some(draw);
    }

    /// The verdicts distilled from the last [`Event::Scanned`], one per artifact.
    pub fn last_verdicts(&self) -> &[Option<DistilledVerdict>] {
        self.trader.last_verdicts()
    }

    /// True if it wants to hear what becomes of every bounty that it has scanned: [`Event::Settled`].
    pub fn learns(&self) -> bool {
        self.trader.learns()
    }

    /// True if it wants to hear what everybody staked on those, too.
    pub fn studies_stakes(&self) -> bool {
        self.trader.studies_stakes()
    }

    /// The next block in which there is something to do, if any.
    pub fn due(&self) -> Option<BlockNumber> {
        match (self.reveals.0.front(), self.settlements.0.front()) {
            (Some(reveal), Some(settlement)) => Some(reveal.0.min(settlement.0)),
            (reveal, settlement) => reveal.or(settlement).map(|&(block, _)| block),
        }
    }

    /// What is due next: in order of blocks, guids and steps.
    fn next(&self) -> Option<(BlockNumber, Guid, Step)> {
        let first = |agenda: &Agenda, step: Step| agenda.0.front().map(|&(block, guid)| (block, guid, step));
        match (first(&self.reveals, Step::Reveal), first(&self.settlements, Step::Settle)) {
            (Some(reveal), Some(settlement)) => Some(reveal.min(settlement)),
            (reveal, settlement) => reveal.or(settlement),
        }
    }

    /// Takes in what happened by block `now` and adds what to do to `effects`.
    pub fn on_event(&mut self, now: BlockNumber, event: Event<'_>, effects: &mut Vec<Effect>) {
        match event {
            Event::BountyPosted { bounty } => effects.push(Effect::Scan { guid: bounty.guid }),
            Event::Scanned { view, results } => effects.push(self.decide(now, view, results)),
            Event::Asserted { guid, index } => {
                if let Some(promise) = self.promises.get_mut(&guid) {
                    promise.index = index;
                    let promise = *promise;
                    self.schedule(guid, &promise, false);
                }
            }
            Event::Refused { guid } => {
                self.promises.remove(&guid);
            }
            Event::Resumed { guid, promise, revealed } => {
                self.promises.insert(guid, promise);
                self.schedule(guid, &promise, revealed);
            }
            Event::QuorumReached { guid } => {
                if self.promises.remove(&guid).is_some() {
                    effects.push(Effect::SettleBounty { guid });
                }
            }
            Event::Settled(settled) => self.trader.settled(*settled),
            Event::NewBlock => self.act(now, effects),
        }
    }

    fn schedule(&mut self, guid: Guid, promise: &Promise, revealed: bool) {
        if !revealed {
            self.reveals.add(promise.expiration, guid);
        }
        if let Some(block) = promise.settles {
            self.settlements.add(block, guid);
        }
    }

    /// Distils, stakes, and makes an assertion of it.
    fn decide(&mut self, now: BlockNumber, view: &MarketView<'_>, results: &[ScanResult]) -> Effect {
        let guid = view.bounty.guid;
        let answers = &results[..view.bounty.artifacts * self.backends];
        let at = self.secret.with(guid.0 as u64).with((guid.0 >> 64) as u64);
        let Offer { mask, verdicts, bids } = match self.trader.decide(now, view, answers, &mut at.named("strategy").stream()) {
            Ok(offer) => offer,
            Err(reason) => return Effect::Abstain { guid, reason },
        };
        let nonce = self.draw_nonce.map_or_else(
            || {
                let mut nonce = at.named("nonce").stream();
                U256::from_limbs([nonce.bits() | 1, nonce.bits(), nonce.bits(), nonce.bits()])
            },
            |draw| draw(),
        );
        let opening = Opening { nonce, verdicts };
        let expiration = view.bounty.expiration;
        self.promises.insert(guid, Promise { opening, expiration, settles: view.windows.vote_end(expiration), index: 0 });
        Effect::PostAssertion(Assertion { guid, bids, mask, opening })
    }

    /// Does what is due by block `now`.
    fn act(&mut self, now: BlockNumber, effects: &mut Vec<Effect>) {
        while let Some((block, guid, step)) = self.next() {
            if block > now {
                break;
            }
            match step {
                Step::Reveal => {
                    self.reveals.0.pop_front();
                    if let Some(&Promise { index, opening, .. }) = self.promises.get(&guid) {
                        effects.push(Effect::RevealAssertion { guid, index, opening });
                    }
                }
                Step::Settle => {
                    self.settlements.0.pop_front();
                    if self.promises.remove(&guid).is_some() {
                        effects.push(Effect::SettleBounty { guid });
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{BackendConfig, EngineConfig},
        market_view::{PublicAssertions, Wallet},
        stake,
    };
    use market::{block::Windows, ruleset::BOUNTY_REGISTRY_1_6_1 as RULES, settlement::Fees};

    fn engine(strategy: &str) -> Microengine {
        let config = EngineConfig { backends: vec![BackendConfig::recorded("one")], ..EngineConfig::default() };
        Microengine::new(1, config.judge(), stake::build(strategy).unwrap(), Key::root(1))
    }

    fn scanned(engine: &mut Microengine, now: u64, free: Nct, results: &[ScanResult]) -> Effect {
        let bounty = OpenBounty {
            guid: Guid(7),
            artifact_type: 0,
            amount: Nct::whole(2),
            artifacts: results.len(),
            posted: BlockNumber(10),
            expiration: BlockNumber(20),
        };
        let fees = Fees { bounty: RULES.bounty_fee, assertion: RULES.assertion_fee };
        let wallet = Wallet { free, locked: Nct::ZERO, open: 0 };
        let view = MarketView {
            now: BlockNumber(now),
            bounty: &bounty,
            rules: &RULES,
            fees,
            windows: Windows::blocks(10, 100),
            wallet,
            assertions: PublicAssertions::of(&[]),
            factors: &[],
        };
        let mut effects = Vec::new();
        engine.on_event(BlockNumber(now), Event::Scanned { view: &view, results }, &mut effects);
        effects.pop().unwrap()
    }

    #[test]
    fn a_bounty_is_asserted_revealed_and_settled_in_its_blocks() {
        let mut engine = engine("null/min");
        let results = [ScanResult::verdict(true), ScanResult::NONE, ScanResult::verdict(false)];
        let Effect::PostAssertion(assertion) = scanned(&mut engine, 12, Nct::whole(1), &results) else {
            panic!("it has a verdict and money")
        };
        assert_eq!(
            (assertion.mask.to_string(), assertion.opening.verdicts.to_string(), assertion.bids.len()),
            ("0x5".into(), "0x1".into(), 2)
        );
        let mut effects = Vec::new();
        engine.on_event(BlockNumber(13), Event::Asserted { guid: Guid(7), index: 3 }, &mut effects);
        assert_eq!(engine.due(), Some(BlockNumber(20)));
        engine.on_event(BlockNumber(20), Event::NewBlock, &mut effects);
        engine.on_event(BlockNumber(129), Event::NewBlock, &mut effects);
        assert_eq!(effects, [Effect::RevealAssertion { guid: Guid(7), index: 3, opening: assertion.opening }]);
        engine.on_event(BlockNumber(130), Event::NewBlock, &mut effects);
        assert_eq!(effects[1..], [Effect::SettleBounty { guid: Guid(7) }]);
        assert_eq!(engine.due(), None);
    }

    /// Writes down what it hears and when it is asked.
    #[derive(Debug, Default)]
    struct Diary(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

    impl Staker for Diary {
        fn stake(
            &mut self,
            view: &MarketView<'_>,
            _: &[Option<DistilledVerdict>],
            _: &mut crate::chance::Stream,
            _: &mut Vec<Option<stake::Stake>>,
        ) {
            self.0.lock().unwrap().push(format!("asked in {}", view.now));
        }

        fn learns(&self) -> bool {
            true
        }

        fn settled(&mut self, settled: &SettledBounty) {
            self.0.lock().unwrap().push(format!("{} of {}, {}", settled.guid.0, settled.block, settled.verdicts.len()));
        }
    }

    #[test]
    fn a_strategy_hears_of_settlements_in_order_and_only_of_earlier_blocks() {
        let diary = Diary::default();
        let pages = diary.0.clone();
        let mut engine = Microengine::new(1, EngineConfig::default().judge(), Box::new(diary), Key::root(1));
        assert!(engine.learns() && engine.studies_stakes());
        let settle = |engine: &mut Microengine, guid, block| {
            let settled = crate::settled::tests::settled(&RULES, block, true, &[]);
            let settled = SettledBounty { guid: Guid(guid), verdicts: Vec::new(), ..settled };
            engine.on_event(BlockNumber(block), Event::Settled(Box::new(settled)), &mut Vec::new());
        };
        scanned(&mut engine, 12, Nct::ZERO, &[ScanResult::verdict(true)]);
        for (guid, block) in [(9, 14), (7, 13), (8, 13), (5, 15)] {
            settle(&mut engine, guid, block);
        }
        scanned(&mut engine, 14, Nct::ZERO, &[ScanResult::verdict(true)]);
        scanned(&mut engine, 15, Nct::ZERO, &[ScanResult::verdict(true)]);
        // It is too late for a decision, but not to hear of others.
        settle(&mut engine, 6, 20);
        scanned(&mut engine, 20, Nct::ZERO, &[ScanResult::verdict(true)]);
        assert!(!pages.lock().unwrap().iter().any(|page| page.starts_with("6 of")), "it is of the same block");
        scanned(&mut engine, 21, Nct::ZERO, &[ScanResult::verdict(true)]);
        let told = pages.lock().unwrap().join("; ");
        assert_eq!(
            told,
            "asked in block 12; 7 of block 13, 1; 8 of block 13, 0; asked in block 14; 9 of block 14, 0; asked in block 15; \
             5 of block 15, 0; 6 of block 20, 0"
        );
    }

    #[test]
    fn quorum_settles_ahead_of_time_and_only_once() {
        let mut engine = engine("null/min");
        scanned(&mut engine, 12, Nct::whole(1), &[ScanResult::verdict(true)]);
        let mut effects = Vec::new();
        engine.on_event(BlockNumber(13), Event::Asserted { guid: Guid(7), index: 0 }, &mut effects);
        engine.on_event(BlockNumber(20), Event::NewBlock, &mut effects);
        effects.clear();
        engine.on_event(BlockNumber(31), Event::QuorumReached { guid: Guid(7) }, &mut effects);
        engine.on_event(BlockNumber(31), Event::QuorumReached { guid: Guid(7) }, &mut effects);
        engine.on_event(BlockNumber(31), Event::QuorumReached { guid: Guid(8) }, &mut effects);
        engine.on_event(BlockNumber(130), Event::NewBlock, &mut effects);
        assert_eq!(effects, [Effect::SettleBounty { guid: Guid(7) }]);
    }

    #[test]
    fn an_assertion_of_an_earlier_life_is_revealed_once_and_settled() {
        let opening = Opening { nonce: U256::from(5), verdicts: ArtifactSet::first(1) };
        let promise = Promise { opening, expiration: BlockNumber(20), settles: Some(BlockNumber(130)), index: 4 };
        let actions = |revealed| {
            let (mut engine, mut effects) = (engine("null/min"), Vec::new());
            engine.on_event(BlockNumber(25), Event::Resumed { guid: Guid(7), promise, revealed }, &mut effects);
            engine.on_event(BlockNumber(25), Event::NewBlock, &mut effects);
            engine.on_event(BlockNumber(130), Event::NewBlock, &mut effects);
            effects
        };
        let reveal = Effect::RevealAssertion { guid: Guid(7), index: 4, opening };
        assert_eq!(actions(false), [reveal, Effect::SettleBounty { guid: Guid(7) }]);
        assert_eq!(actions(true), [Effect::SettleBounty { guid: Guid(7) }]);
    }

    #[test]
    fn nonces_come_from_where_they_are_told_to() {
        let mut engine = engine("null/min");
        engine.draw_nonces(|| U256::from(42));
        let Effect::PostAssertion(assertion) = scanned(&mut engine, 12, Nct::whole(1), &[ScanResult::verdict(true)]) else {
            panic!("it has a verdict and money")
        };
        assert_eq!(assertion.opening.nonce, U256::from(42));
    }

    #[test]
    fn it_leaves_alone_what_it_cannot_or_need_not_assert() {
        let verdict = [ScanResult::verdict(true)];
        let check = |strategy, now, free, results: &[ScanResult], reason| {
            assert_eq!(scanned(&mut engine(strategy), now, free, results), Effect::Abstain { guid: Guid(7), reason });
        };
        check("null/min", 20, Nct::whole(1), &verdict, Abstention::Late);
        check("null/min", 19, Nct::wei(93_749_999_999_999_999), &verdict, Abstention::Unfunded);
        check("null/min", 19, Nct::whole(1), &[ScanResult::NONE], Abstention::NoAnswer);
        check("null/abstain", 19, Nct::whole(1), &verdict, Abstention::NoStake);
    }

    #[test]
    fn what_is_due_comes_in_order_of_blocks_guids_and_steps_whatever_the_order_of_promises() {
        let (mut engine, mut effects) = (engine("null/min"), Vec::new());
        for (guid, expiration, settles) in [(3, 30, 41), (9, 20, 30), (2, 20, 25), (4, 10, 20)] {
            let opening = Opening { nonce: U256::from(guid), verdicts: ArtifactSet::EMPTY };
            let promise = Promise { opening, expiration: BlockNumber(expiration), settles: Some(BlockNumber(settles)), index: 0 };
            let resumed = Event::Resumed { guid: Guid(guid), promise, revealed: false };
            engine.on_event(BlockNumber(5), resumed, &mut effects);
        }
        assert!(effects.is_empty());
        let mut done = Vec::new();
        while let Some(block) = engine.due() {
            engine.on_event(block, Event::NewBlock, &mut effects);
            done.extend(effects.drain(..).map(|effect| match effect {
                Effect::RevealAssertion { guid, .. } => (block.0, guid.0, "reveal"),
                Effect::SettleBounty { guid } => (block.0, guid.0, "settle"),
                other => panic!("{other:?}"),
            }));
        }
        let expected = [
            (10, 4, "reveal"),
            (20, 2, "reveal"),
            (20, 4, "settle"),
            (20, 9, "reveal"),
            (25, 2, "settle"),
            (30, 3, "reveal"),
            (30, 9, "settle"),
            (41, 3, "settle"),
        ];
        assert_eq!(done, expected);
    }
}
