//! The auditor: whatever happens, two books agree and no Nectar is made or lost.
//!
//! [`book`] is the rules once more, naively and from the rule texts alone; [`walk`] makes random lists of calls that
//! mostly make sense; [`compare`] submits each call to the market and to the second book and holds everything that can
//! be read of the one against the other; [`coverage`] counts what was met with. After the model of TigerBeetle's
//! `auditor.zig`.
//!
//! `AUDITOR_CASES` is the number of lists per rule set, `AUDITOR_SEED` another place to start from.

#[path = "auditor/book.rs"]
mod book;
#[path = "auditor/compare.rs"]
mod compare;
#[path = "auditor/coverage.rs"]
mod coverage;
#[path = "auditor/walk.rs"]
mod walk;

use std::{cell::RefCell, fmt::Write};

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};

use crate::{
    book::Edition,
    compare::Sides,
    coverage::Coverage,
    walk::{Step, Walk, World},
};

#[test]
fn both_books_of_1_6_1_agree_whatever_happens() {
    audit(Edition::V161);
}

#[test]
fn both_books_of_1_0_0_agree_whatever_happens() {
    audit(Edition::V100);
}

#[test]
fn random_lists_of_1_6_1_reach_every_corner() {
    let coverage = cover(Edition::V161, 600);
    coverage.require(&CORNERS, 3);
    coverage.require(&CORNERS_OF_1_6_1, 1);
}

#[test]
fn random_lists_of_1_0_0_reach_every_corner() {
    let coverage = cover(Edition::V100, 600);
    coverage.require(&CORNERS, 3);
    coverage.require(&CORNERS_OF_1_0_0, 1);
}

/// What every coverage run has to meet with, under either rule set.
const CORNERS: [&str; 54] = [
    "settled with assertions, with votes",
    "settled with assertions, without votes",
    "settled without assertions, with votes",
    "settled without assertions, without votes",
    "settled before the end",
    "settled with an unrevealed assertion",
    "settled with an empty mask",
    "settled with stray bits",
    "settled with an artifact nobody asserted on",
    "settled with a tie",
    "settled with several winners",
    "settled with several winners and a loser",
    "settled with 64 artifacts or more",
    "shared within 128 bits",
    "shared by way of products beyond 128 bits",
    "shared an amount beyond 128 bits",
    "settled for one role",
    "settled for several roles",
    "settled by somebody without a claim",
    "settled while a later bounty was there",
    "drawn with a zero hash",
    "drawn with a hash",
    "drawn in the last block",
    "drawn somebody else",
    "first come in the first block",
    "first come",
    "first come, without a vote",
    "Settle: invalid opcode",
    "quorum before the last arbiter",
    "late vote",
    "vote underflows after removals",
    "pot overflow or underflow with votes",
    "a commitment opened otherwise than promised",
    "nine tenths of the bounties answered",
    "a stranger votes while paused",
    "more than 100 bounties",
    "withdrawn",
    "Post: empty",
    "Post: GUID already in use",
    "Post: Invalid bounty duration",
    "Assert: Bounty inactive",
    "Assert: Sender has already asserted",
    "Reveal: Invalid nonce",
    "Reveal: Invalid assertion ID",
    "Reveal: Incorrect assertion author",
    "Reveal: Bounty already revealed",
    "Reveal: Commitment hash mismatch",
    "Vote: Arbiter has already voted",
    "Vote: Can only be called by the BountyRegistry.",
    "Settle: Voting round still active",
    "Deposit: Value greater than maximum stake",
    "Withdraw: Cannot withdraw without some deposits.",
    "Withdraw: Value exceeds withdrawable balance",
    "Withdraw: empty",
];

const CORNERS_OF_1_6_1: [&str; 16] = [
    "pot underflow without votes",
    "the registry cannot pay",
    "late vote flips the consensus",
    "withdrawn early",
    "settled again in an earlier round",
    "Post: Invalid artifact parameters",
    "Post: Amount below minimum for number of artifacts",
    "Assert: Bounty not initialized",
    "Assert: Bid does not match mask count",
    "Assert: Bid not between min & max",
    "Reveal: Bounty not in reveal window",
    "Vote: empty",
    "Vote: Bounty not in voting window",
    "Settle: Bounty not initialized",
    "Settle: Sender already settled",
    "Settle: No Quorum and vote active",
];

const CORNERS_OF_1_0_0: [&str; 13] = [
    "Post: Bounty amount below minimum",
    "Post: Invalid artifact URI",
    "Post: Too many artifacts in bounty",
    "Post: Not enough artifacts in bounty",
    "Assert: Bounty has not been initialized",
    "Assert: Assertion bid below minimum",
    "Reveal: Bounty is still active",
    "Reveal: Reveal round has closed",
    "Vote: msg.sender is not an arbiter",
    "Vote: Reveal round is still active",
    "Vote: Voting round has closed",
    "Settle: Bounty has already been settled for sender",
    "Settle: Voting round is still active and quorum has not been reached",
];

/// Plays random lists until the two books disagree.
fn audit(edition: Edition) {
    let cases = number_from_environment("AUDITOR_CASES").unwrap_or(512);
    let seed = number_from_environment("AUDITOR_SEED").unwrap_or(0);
    let config = Config { cases: cases as u32, failure_persistence: None, max_shrink_time: 20_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng(seed));
    let coverage = RefCell::new(Coverage::default());
    let outcome =
        runner.run(&walk::lists(edition), |(world, steps)| play(&world, &steps, &mut coverage.borrow_mut()).map_err(TestCaseError::fail));
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, (world, steps))) => {
            panic!("with AUDITOR_SEED={seed}, {reason}\nminimal list: {world:?}\n{steps:#?}")
        }
        Err(abort) => panic!("with AUDITOR_SEED={seed}: {abort}"),
    }
}

/// Plays as many lists and counts what they met with.
fn cover(edition: Edition, lists: usize) -> Coverage {
    let strategy = walk::lists(edition);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng(1));
    let mut coverage = Coverage::default();
    for list in 0..lists {
        let (world, steps) = strategy.new_tree(&mut runner).expect("no list is filtered out").current();
        if let Err(reason) = play(&world, &steps, &mut coverage) {
            panic!("list {list}: {reason}");
        }
    }
    coverage
}

fn rng(seed: u64) -> TestRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is no matter of the rules")]
fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().expect("a number"))
}

/// Plays one list; what was called and what the two books disagree on, if they do.
fn play(world: &World, steps: &[Step], coverage: &mut Coverage) -> Result<(), String> {
    let mut sides = Sides::new(world);
    let mut walk = Walk::default();
    let mut calls = String::new();
    let mut prelude = world.prelude().into_iter();
    let mut steps = steps.iter();
    loop {
        let (block, who, action) = match prelude.next() {
            Some((who, action)) => (world.start, who, action),
            None => match steps.next() {
                Some(step) => walk.resolve(world, &sides.book, *step),
                None => return Ok(()),
            },
        };
        let before = sides.book.clone();
        writeln!(calls, "  block {block}, {who}: {action:?}").expect("text");
        match sides.submit(block, who, &action) {
            Ok(answer) => {
                coverage.note(&before, &sides.book, who, &action, answer);
                if let Ok(answer) = answer {
                    walk.note(&action, answer);
                    if walk.is_a_trick(&action) {
                        coverage.met("a commitment opened otherwise than promised");
                    }
                }
            }
            Err(disagreement) => return Err(format!("the books disagree on {disagreement}\nafter\n{calls}")),
        }
    }
}
