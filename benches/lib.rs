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
    plan::Setup,
    scenario::{RivalModel, Scenario},
    world::{self, NoJournal},
};
use sim::score::Scorecard;

/// A bounty on one artifact with that many assertions, a quarter of them wrong, and five votes.
pub fn closed_bounty(assertions: usize) -> Bounty {
    let mut market = Market::new(BOUNTY_REGISTRY_1_6_1.clone());
    let guid = Guid(7);
    let ambassador = market.fund("ambassador", Nct::whole(100));
    let owner = market.account(named_address("owner"));
    let submit = |account: AccountId, command: Command, market: &mut Market| {
        market.submit(account, command).expect("within the rules");
    };
    submit(ambassador, Command::PostBounty(Box::new(PostBounty { guid, ..PostBounty::one_artifact() })), &mut market);
    let experts: Vec<AccountId> = (0..assertions).map(|expert| market.fund(&format!("expert {expert}"), Nct::whole(100))).collect();
    let opening = |index: usize| Opening {
        nonce: U256::from(index + 1),
        verdicts: if index % 4 == 1 { ArtifactSet::EMPTY } else { ArtifactSet::first(1) },
    };
    for (index, &expert) in experts.iter().enumerate() {
        let bid = Nct::wei(62_500_000_000_000_000 + 9_375_000_000_000_000 * (index as u128 % 100));
        let commitment = Commitment::envelope(opening(index));
        let assertion = PostAssertion { guid, bids: [bid].into_iter().collect(), mask: ArtifactSet::first(1), commitment };
        submit(expert, Command::PostAssertion(assertion), &mut market);
    }
    market.advance_to(BlockNumber(11));
    for (index, &expert) in experts.iter().enumerate() {
        let reveal = RevealAssertion { guid, index: index as u64, opening: opening(index), metadata: None };
        submit(expert, Command::RevealAssertion(reveal), &mut market);
    }
    let arbiters: Vec<AccountId> = (0..5).map(|arbiter| market.fund(&format!("arbiter {arbiter}"), Nct::whole(20_000_000))).collect();
    for &arbiter in &arbiters {
        submit(owner, Command::AddArbiter { arbiter, block: U256::ZERO }, &mut market);
        submit(arbiter, Command::Deposit(Nct::whole(10_000_000)), &mut market);
    }
    market.advance_to(BlockNumber(21));
    for &arbiter in &arbiters {
        submit(arbiter, Command::VoteOnBounty { guid, votes: ArtifactSet::first(1), valid_bloom: true }, &mut market);
    }
    market.bounty(guid).expect("posted above").clone()
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
    Arc::new(Setup::new(scenario, corpus, summary, &folder, &folder).expect("the default scenario fits the panel"))
}

/// Plays a run with scores on and the journal off; answers with the number of bounties that were settled.
pub fn play(setup: &Arc<Setup>) -> u64 {
    let mut score = Scorecard::new(setup.population.rivals.len());
    let strategy = &setup.scenario.engine.strategy;
    world::play(setup, strategy, &mut score, None::<&mut NoJournal>, &AtomicBool::new(false), &mut |_| {}).expect("a run that holds");
    score.bounties
}

/// Runs `work` on one thread, whatever it spawns.
pub fn on_one_core<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread").install(work)
}
