//! What the benches measure on: closed bounties and runs, filled the same way every time.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use alloy_primitives::{B256, U256};
use datasets::{CheckOptions, Corpus};
use market::{
    block::BlockNumber,
    bounty::Bounty,
    command::{Command, PostAssertion, PostBounty, RevealAssertion},
    commitment::{Commitment, Opening},
    id::{AccountId, Guid},
    market::{Market, named_address},
    nct::Nct,
    ruleset::BOUNTY_REGISTRY_1_6_1,
    settlement::{self, Rewards},
    verdict::ArtifactSet,
};
use replay::{
    direct,
    plan::{Setup, choose_backends},
    scenario::{RivalModel, Scenario},
    verdicts::VerdictTable,
    world::{self, NoJournal, PlayError, Played},
};
use sim::score::Scorecard;

/// Bounties on one artifact with that many assertions each, a quarter of them wrong, and five votes; one was posted in each
/// block, all can be settled by everybody.
#[derive(Clone, Debug)]
pub struct Ripe {
    market: Market,
    guids: Vec<Guid>,
    experts: Vec<AccountId>,
    arbiters: Vec<AccountId>,
}

impl Ripe {
    /// So many bounties; at most 256, or the first ones' draws have no block hash any more.
    pub fn new(bounties: u64, assertions: usize) -> Ripe {
        let mut market = Market::new(BOUNTY_REGISTRY_1_6_1.clone());
        let ambassador = market.fund("ambassador", Nct::whole(10_000));
        let owner = market.account(named_address("owner"));
        let submit = |account: AccountId, command: Command, market: &mut Market| {
            market.submit(account, command).expect("within the rules");
        };
        let mut experts: Vec<AccountId> =
            (0..assertions).map(|expert| market.fund(&format!("expert {expert}"), Nct::whole(10_000))).collect();
        let arbiters: Vec<AccountId> = (0..5).map(|arbiter| market.fund(&format!("arbiter {arbiter}"), Nct::whole(20_000_000))).collect();
        for &arbiter in &arbiters {
            submit(owner, Command::AddArbiter { arbiter, block: U256::ZERO }, &mut market);
            submit(arbiter, Command::Deposit(Nct::whole(10_000_000)), &mut market);
        }
        let opening = |index: usize| Opening {
            nonce: U256::from(index + 1),
            verdicts: if index % 4 == 1 { ArtifactSet::EMPTY } else { ArtifactSet::first(1) },
        };
        let (duration, windows) = (10, market.windows());
        let votes = duration + windows.reveal().to::<u64>();
        let guids: Vec<Guid> = (0..u128::from(bounties)).map(|number| Guid(7 + number)).collect();
        for block in 1..=bounties + votes + windows.vote().to::<u64>() {
            market.advance_to(BlockNumber(block));
            // The bounty that was posted so many blocks ago.
            let posted = |ago: u64| usize::try_from(block).ok()?.checked_sub(1 + ago as usize).and_then(|index| guids.get(index).copied());
            if let Some(guid) = posted(0) {
                submit(ambassador, Command::PostBounty(Box::new(PostBounty { guid, duration, ..PostBounty::one_artifact() })), &mut market);
                for (index, &expert) in experts.iter().enumerate() {
                    let bid = Nct::wei(62_500_000_000_000_000 + 9_375_000_000_000_000 * (index as u128 % 100));
                    let commitment = Commitment::envelope(opening(index));
                    let assertion = PostAssertion { guid, bids: [bid].into_iter().collect(), mask: ArtifactSet::first(1), commitment };
                    submit(expert, Command::PostAssertion(assertion), &mut market);
                }
            }
            if let Some(guid) = posted(duration) {
                for (index, &expert) in experts.iter().enumerate() {
                    let reveal = RevealAssertion { guid, index: index as u64, opening: opening(index), metadata: None };
                    submit(expert, Command::RevealAssertion(reveal), &mut market);
                }
            }
            if let Some(guid) = posted(votes) {
                for &arbiter in &arbiters {
                    submit(arbiter, Command::VoteOnBounty { guid, votes: ArtifactSet::first(1), valid_bloom: true }, &mut market);
                }
            }
        }
        experts.insert(0, ambassador);
        Ripe { market, guids, experts, arbiters }
    }

    /// Everybody settles every bounty: ambassador, experts, arbiters.
    pub fn settle(&mut self) {
        for &guid in &self.guids {
            for everybody in [&self.experts, &self.arbiters] {
                self.market.settle_all(everybody, guid).expect("they are ripe");
            }
        }
    }
}

/// One bounty of those.
pub fn closed_bounty(assertions: usize) -> Bounty {
    let ripe = Ripe::new(1, assertions);
    ripe.market.bounty(ripe.guids[0]).expect("it was posted").clone()
}

/// Bare settlement: who gets what, and which arbiter is drawn. Everything that has to be computed once per bounty.
pub fn settle(bounty: &Bounty, voters: &[(AccountId, Nct)], hash: B256, block: u64) -> (Rewards, Option<AccountId>) {
    let rules = &BOUNTY_REGISTRY_1_6_1;
    let fees = bounty.fees;
    let rewards = settlement::settle(rules, &bounty.closed(fees)).expect("a pot that holds");
    (rewards, settlement::draw_arbiter(rules, voters, hash, BlockNumber(block)).expect("voters with stake"))
}

/// The voters of a closed bounty, each with the same stake.
pub fn voters(bounty: &Bounty) -> Vec<(AccountId, Nct)> {
    bounty.votes.iter().map(|vote| (vote.voter, Nct::whole(10_000_000))).collect()
}

/// A run on the shipped panel: parametric rivals with stock strategies, five arbiters.
pub fn setup(rivals: u32, bounties: u64) -> Arc<Setup> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/corpora/panel");
    let corpus = Corpus::open(&folder).expect("the shipped panel");
    let summary = corpus.check(CheckOptions { files: false }, &mut |_| {}).expect("the shipped panel is sound");
    let mut scenario = Scenario { bounties, ..Scenario::default() };
    scenario.rivals[0].model = RivalModel::TwoFactor;
    scenario.rivals[0].count = rivals;
    choose_backends(&mut scenario.engine, &corpus).expect("recorded engines");
    Arc::new(
        Setup::new(scenario, corpus, summary, &folder)
            .and_then(|setup| setup.scanned(VerdictTable::default()))
            .expect("the default scenario fits the panel"),
    )
}

/// Plays a run with scores on and the journal off, as `sim replay` does: bounty by bounty, as everybody can pay. Answers with
/// the number of bounties that were settled.
pub fn play(setup: &Arc<Setup>) -> u64 {
    scored(setup, |strategy, score| direct::play(setup, strategy, score, None::<&mut NoJournal>, &AtomicBool::new(false), &mut |_| {}))
}

/// The same, block by block on the market.
pub fn play_in_blocks(setup: &Arc<Setup>) -> u64 {
    scored(setup, |strategy, score| world::play(setup, strategy, score, None::<&mut NoJournal>, &AtomicBool::new(false), &mut |_| {}))
}

fn scored(setup: &Setup, play: impl FnOnce(&str, &mut Scorecard) -> Result<Played, PlayError>) -> u64 {
    let mut score = Scorecard::new(setup.population.rivals.len(), setup.bounties);
    play(&setup.scenario.engine.strategy, &mut score).expect("a run that holds");
    score.own.bounties
}

/// Runs `work` on one thread, whatever it spawns.
pub fn on_one_core<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread").install(work)
}
