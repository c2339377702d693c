//! Where the random lists come from: a world, and steps that make sense in it most of the time.
//!
//! A step is a handful of dice. What it comes to depends on how the second book stands: the natural thing to do with a
//! bounty in its round, by an account that can do it, unless the twist says otherwise. Small dice give plain steps, so
//! a failing list shrinks towards a plain one.

use std::collections::BTreeMap;

use alloy_primitives::{U256, keccak256};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
};

use crate::book::{Action, Answer, BID_MAXIMUM, BID_MINIMUM, BOUNTY_FEE, Book, Bounty, Edition, NCT, NOBODY, Name, OWNER, Promise};
use crate::book::{REGISTRY, STAKE_MAXIMUM, STAKE_MINIMUM, STAKING, keccak_of};

pub(crate) const AMBASSADORS: [Name; 2] = ["A0", "A1"];
pub(crate) const EXPERTS: [Name; 5] = ["E0", "E1", "E2", "E3", "E4"];
pub(crate) const ARBITERS: [Name; 6] = ["R0", "R1", "R2", "R3", "R4", "R5"];
pub(crate) const PEOPLE: [Name; 16] = ["A0", "A1", "E0", "E1", "E2", "E3", "E4", "R0", "R1", "R2", "R3", "R4", "R5", "X0", "X1", OWNER];

/// What is fixed before the first step.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) edition: Edition,
    pub(crate) start: u64,
    pub(crate) windows: (u64, u64),
    pub(crate) stake_duration: u64,
    pub(crate) transfers_enabled: bool,
    /// Artifacts of the first bounties; later ones are small.
    pub(crate) artifacts: u64,
    /// One bit per account of [`PEOPLE`] that can hardly pay.
    pub(crate) poor: u16,
    /// Everybody else has so much that products reach 256 bits.
    pub(crate) whales: bool,
    pub(crate) pace: Pace,
    /// Stakes in wei of those of [`ARBITERS`] that are registered at first.
    pub(crate) stakes: Vec<u128>,
    /// One bit per account of [`PEOPLE`] outside [`ARBITERS`] that is an arbiter too at first.
    pub(crate) crowd: u16,
}

/// What a world mostly does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    /// Bounties go their whole way.
    Ordinary,
    /// Next to nothing but posting, for pages of guids and candidates.
    Posting,
    /// Hasty bounties with a vote or two, for response rates.
    Voting,
}

/// What happens to the block number before a deed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    None,
    Blocks(u64),
    /// To the next deadline of the chosen bounty, or `1` block short of it.
    Deadline(u64),
    /// To one of the blocks around the end of the draw and of a lock-up.
    Mark(u8),
}

/// What is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    /// Whatever suits the round of the chosen bounty.
    Natural,
    Post,
    Assert,
    Reveal,
    Vote,
    Settle,
    /// One of the functions that run the market.
    Admin(u8),
    Stake(u8),
    Token(u8),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) wait: Wait,
    pub(crate) deed: Deed,
    pub(crate) who: u8,
    pub(crate) which: u8,
    /// 0 for nothing odd; each other number is odd in its own way. Two of them show which check comes first.
    pub(crate) twists: [u8; 2],
    pub(crate) amount: u64,
    pub(crate) bits: u64,
}

pub(crate) fn worlds(edition: Edition) -> impl Strategy<Value = World> {
    let windows = match edition {
        Edition::V161 => prop_oneof![20 => (0..=6u64, 1..=8u64), 1 => (1..=6u64, Just(300)), 1 => (1..=6u64, Just(0))].boxed(),
        Edition::V100 => {
            prop_oneof![12 => (1..=6u64, 1..=8u64), 4 => (Just(25), 1..=8u64), 1 => (Just(25), Just(300)), 1 => (Just(25), Just(0))].boxed()
        }
    };
    let artifacts = prop_oneof![40 => 1..=5u64, 2 => Just(64), 1 => Just(256)];
    let stake = prop_oneof![
        2 => Just(0),
        4 => 1..=9u128,
        2 => Just(10_000_000 * NCT),
        1 => Just(10_000_000 * NCT - 1),
        1 => Just(STAKE_MAXIMUM),
        2 => any::<u64>().prop_map(|wei| 10_000_000 * NCT + u128::from(wei)),
    ];
    let starts = prop_oneof![4 => Just(1000u64), 1 => 1..=60u64];
    let durations = prop_oneof![1 => Just(100u64), 1 => Just(2000), 4 => 0..=20u64];
    let often = |weight: u32| prop_oneof![weight => Just(false), 1 => Just(true)];
    let poor = prop_oneof![2 => Just(0u16), 1 => any::<u16>().prop_map(|bits| bits & bits.rotate_left(5))];
    let crowd = prop_oneof![8 => Just(0u16), 1 => any::<u16>().prop_map(|bits| bits & bits.rotate_left(3)), 1 => any::<u16>()];
    let pace = prop_oneof![36 => Just(Pace::Ordinary), 1 => Just(Pace::Posting), 2 => Just(Pace::Voting)];
    let dice = (windows, starts, durations, often(60), artifacts, poor, often(12), pace, vec(stake, 0..=6), crowd);
    dice.prop_map(move |(windows, start, stake_duration, disabled, artifacts, poor, whales, pace, stakes, crowd)| World {
        edition,
        start,
        windows,
        stake_duration,
        transfers_enabled: !disabled,
        artifacts,
        poor,
        whales,
        pace,
        stakes: match pace {
            Pace::Voting => stakes.into_iter().map(|stake| stake.max(STAKE_MINIMUM)).collect(),
            _ => stakes,
        },
        crowd,
    })
}

fn steps(lengths: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<Step>> {
    let wait = prop_oneof![
        32 => Just(Wait::None),
        6 => Just(Wait::Blocks(1)),
        1 => (2..=7u64).prop_map(Wait::Blocks),
        4 => Just(Wait::Deadline(0)),
        2 => Just(Wait::Deadline(1)),
        2 => any::<u8>().prop_map(Wait::Mark),
    ];
    let deed = prop_oneof![
        70 => Just(Deed::Natural),
        4 => Just(Deed::Post),
        3 => Just(Deed::Assert),
        2 => Just(Deed::Reveal),
        2 => Just(Deed::Vote),
        3 => Just(Deed::Settle),
        10 => any::<u8>().prop_map(Deed::Admin),
        4 => any::<u8>().prop_map(Deed::Stake),
        2 => any::<u8>().prop_map(Deed::Token),
    ];
    let twists =
        prop_oneof![12 => Just([0u8; 2]), 3 => (1..=24u8).prop_map(|one| [one, 0]), 1 => (1..=24u8, 1..=24u8).prop_map(<[u8; 2]>::from)];
    let step = (wait, deed, any::<u8>(), any::<u8>(), twists, any::<u64>(), any::<u64>());
    vec(step.prop_map(|(wait, deed, who, which, twists, amount, bits)| Step { wait, deed, who, which, twists, amount, bits }), lengths)
}

/// A world and what is tried in it.
pub(crate) fn lists(edition: Edition) -> impl Strategy<Value = (World, Vec<Step>)> {
    worlds(edition).prop_flat_map(|world| {
        let lengths = match world.pace {
            Pace::Ordinary => 20..=120,
            Pace::Posting => 130..=170,
            Pace::Voting => 80..=120,
        };
        (Just(world), steps(lengths))
    })
}

impl Step {
    fn has_twist(&self, twist: u8) -> bool {
        self.twists.contains(&twist)
    }
}

impl World {
    pub(crate) fn money(&self, name: Name) -> U256 {
        let position = PEOPLE.iter().position(|person| *person == name).expect("one of the people");
        match (self.poor >> position & 1 == 1, self.whales) {
            (true, _) => U256::from(3 * NCT + 7 * position as u128),
            (false, true) => U256::from(1) << 230,
            (false, false) => U256::from(150_000_000 * NCT + 1),
        }
    }

    /// The arbiters that are there from the beginning, by ordinary calls.
    pub(crate) fn prelude(&self) -> Vec<(Name, Action)> {
        let mut calls = Vec::new();
        for (&arbiter, &stake) in ARBITERS.iter().zip(&self.stakes) {
            calls.push((OWNER, Action::AddArbiter(arbiter)));
            if stake > 0 {
                calls.push((arbiter, Action::Deposit(U256::from(stake))));
            }
        }
        for (position, name) in PEOPLE.into_iter().enumerate() {
            if self.crowd >> position & 1 == 1 && !ARBITERS.contains(&name) {
                calls.push((OWNER, Action::AddArbiter(name)));
            }
        }
        calls
    }
}

/// Turns steps into calls, and remembers what experts promised.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walk {
    promises: BTreeMap<(u128, u64), Promise>,
}

impl Walk {
    /// Notes what an accepted call promised.
    pub(crate) fn note(&mut self, action: &Action, answer: Answer) {
        if let (&Action::Assert { guid, promise, .. }, Answer::Asserted(index)) = (action, answer) {
            self.promises.insert((guid, index), promise);
        }
    }

    /// True for a reveal of something else than was promised.
    pub(crate) fn is_a_trick(&self, action: &Action) -> bool {
        matches!(action, Action::Reveal { guid, index, nonce, verdicts }
            if self.promises.get(&(*guid, *index)).is_some_and(|promise| (promise.nonce, promise.verdicts) != (*nonce, *verdicts)))
    }

    /// The block and the call that a step comes to.
    pub(crate) fn resolve(&self, world: &World, book: &Book, step: Step) -> (u64, Name, Action) {
        let block = wait(world, book, step).max(book.now);
        let mut then = book.clone();
        then.now = block;
        let (who, action) = self.deed(world, &then, step);
        (block, who, action)
    }

    fn deed(&self, world: &World, book: &Book, step: Step) -> (Name, Action) {
        let natural = matches!(step.deed, Deed::Natural);
        if natural && book.deprecated.is_some_and(|(_, rollover)| !rollover) && step.which.is_multiple_of(8) {
            return stake(book, step, 6);
        }
        if natural && let Some(repair) = repair(world, book, step) {
            return repair;
        }
        let Some(bounty) = chosen(book, step.which) else {
            return match step.deed {
                Deed::Admin(kind) => admin(world, book, step, kind),
                Deed::Stake(kind) => stake(book, step, kind),
                Deed::Token(kind) => token(book, step, kind),
                _ => post(world, book, step),
            };
        };
        match step.deed {
            _ if world.pace == Pace::Posting && step.which > 40 => post(world, book, step),
            Deed::Natural => match book.round(bounty) {
                // Windows grew after a settlement.
                Ok(round) if round < 3 && !bounty.settlers.is_empty() && step.which.is_multiple_of(2) => {
                    (bounty.settlers[step.who as usize % bounty.settlers.len()], Action::Settle { guid: bounty.guid })
                }
                Ok(0) if step.which.is_multiple_of(16) => post(world, book, step),
                Ok(0) | Err(_) => self.assert(book, step, bounty),
                Ok(1) => self.reveal(book, step, bounty),
                Ok(2..)
                    if world.pace == Pace::Voting
                        && (!bounty.votes.is_empty() && step.bits.is_multiple_of(12) || !may_vote(book, bounty)) =>
                {
                    post(world, book, step)
                }
                Ok(2) if step.which.is_multiple_of(12) => dismiss_a_voter(world, book, step, bounty),
                Ok(2) => vote(book, step, bounty),
                Ok(3) if still_votes(book, bounty) => match step.bits % 8 {
                    0..=3 if may_vote(book, bounty) => vote(book, step, bounty),
                    0..=3 => admin(world, book, step, 0),
                    _ => settle(book, step, bounty),
                },
                Ok(_)
                    if step.which.is_multiple_of(8)
                        || !with_a_claim(book, step, bounty).iter().any(|name| !bounty.settlers.contains(name)) =>
                {
                    post(world, book, step)
                }
                Ok(_) => settle(book, step, bounty),
            },
            Deed::Post => post(world, book, step),
            Deed::Assert => self.assert(book, step, bounty),
            Deed::Reveal => self.reveal(book, step, bounty),
            Deed::Vote => vote(book, step, bounty),
            Deed::Settle => settle(book, step, bounty),
            Deed::Admin(kind) => admin(world, book, step, kind),
            Deed::Stake(kind) => stake(book, step, kind),
            Deed::Token(kind) => token(book, step, kind),
        }
    }

    fn assert(&self, book: &Book, step: Step, bounty: &Bounty) -> (Name, Action) {
        let artifacts = bounty.artifacts as usize;
        let all = U256::MAX >> (256 - artifacts);
        let has_asserted = |name: Name| bounty.assertions.iter().any(|assertion| assertion.author == name);
        let mut who = match step.who {
            0..=223 => first_such(&EXPERTS, step.who, |name| !has_asserted(name)),
            _ => PEOPLE[step.who as usize % PEOPLE.len()],
        };
        let random = mixed(step.bits, 1);
        let mut mask = match step.bits % 4 {
            0 => all,
            _ => Some(random & all).filter(|mask| !mask.is_zero()).unwrap_or(all),
        };
        for twist in step.twists {
            match twist {
                6 | 18 => mask = U256::ZERO,
                7 | 20 => mask |= (random >> 7) & (all.wrapping_shl(3) | all),
                8 => mask = random,
                9 => mask = U256::MAX,
                21 => mask.set_bit(artifacts.min(255), true),
                _ => {}
            }
        }
        let minimum = U256::from(BID_MINIMUM);
        let range = BID_MAXIMUM - BID_MINIMUM + 1;
        let bid = |position: u64| match step.twists[0] {
            10 | 20 => minimum,
            11 => U256::from(BID_MAXIMUM),
            _ => minimum + mixed(step.amount, 2 + position) % U256::from(range),
        };
        let count = match book.edition {
            Edition::V100 => 1,
            Edition::V161 => mask.count_ones() as u64,
        };
        let mut bids: Vec<U256> = (0..count).map(bid).collect();
        let victim = step.amount as usize % bids.len().max(1);
        if let Some(bid) = bids.get_mut(victim) {
            for twist in step.twists {
                match twist {
                    4 => *bid = minimum - U256::from(1),
                    5 => *bid = U256::from(BID_MAXIMUM + 1),
                    15 => *bid = U256::ZERO,
                    16 => *bid = U256::MAX,
                    17 | 24 if book.edition == Edition::V100 => *bid = of_any_size(step.amount, step.bits),
                    22 => *bid = book.balance(who).saturating_sub(book.assertion_fee + U256::from(step.bits % 2)),
                    _ => {}
                }
            }
        }
        if book.edition == Edition::V100 && book.balance(who) >> 200 != U256::ZERO && step.bits.is_multiple_of(3) {
            bids[0] = of_any_size(step.amount, step.bits);
        }
        if book.edition == Edition::V161 {
            for twist in step.twists {
                match twist {
                    1 => bids.clear(),
                    2 | 18 => bids.push(minimum),
                    3 => drop(bids.pop()),
                    _ => {}
                }
            }
        }
        if step.has_twist(14) && !bounty.assertions.is_empty() {
            who = bounty.assertions[victim % bounty.assertions.len()].author;
        }
        let opinion = match step.amount % 8 {
            0..=3 => truth(bounty),
            4 => !truth(bounty),
            _ => mixed(step.bits, 3),
        };
        let verdicts = if step.has_twist(19) { opinion } else { opinion & all };
        let nonce = if step.has_twist(12) { U256::ZERO } else { mixed(step.amount, 4) | U256::from(1) };
        let sealed = step.amount.is_multiple_of(2);
        let mut promise = Promise { author: who, nonce, verdicts, sealed };
        if step.has_twist(13)
            && let Some(copied) = self.promises.get(&(bounty.guid, 0))
        {
            promise = Promise { sealed: false, ..*copied };
        }
        let guid = if step.has_twist(23) { unknown(step) } else { bounty.guid };
        (who, Action::Assert { guid, bids, mask, promise })
    }

    fn reveal(&self, book: &Book, step: Step, bounty: &Bounty) -> (Name, Action) {
        let unrevealed = |index: &usize| bounty.assertions[*index].nonce.is_zero();
        let open: Vec<usize> = (0..bounty.assertions.len()).filter(unrevealed).collect();
        let mut index = match open.len() {
            0 => 0,
            count => open[step.who as usize % count],
        } as u64;
        if step.has_twist(3) {
            index = step.amount % 6;
        }
        let author = bounty.assertions.get(index as usize).map(|assertion| assertion.author);
        let mut who = author.unwrap_or(EXPERTS[0]);
        let promise = self.promises.get(&(bounty.guid, index)).copied();
        let promise = promise.unwrap_or(Promise { author: who, nonce: U256::from(1), verdicts: U256::ZERO, sealed: true });
        let (mut nonce, mut verdicts) = (promise.nonce, promise.verdicts);
        let as_number = |name: Name| U256::from_be_slice(book.addresses[name].as_slice());
        if promise.author != who && !step.bits.is_multiple_of(3) {
            // A copied commitment: the copier's address goes out again by way of the verdicts.
            verdicts ^= as_number(promise.author) ^ as_number(who);
        }
        for twist in step.twists {
            match twist {
                1 => nonce += U256::from(1),
                2 => verdicts ^= U256::from(1),
                4 => index = bounty.assertions.len() as u64,
                5 => index = u64::MAX,
                6 => who = PEOPLE[step.amount as usize % PEOPLE.len()],
                7 => nonce = U256::ZERO,
                // The commitment does not bind: another nonce opens it to other verdicts.
                8..=10 if !promise.sealed => {
                    nonce = mixed(step.amount, 5) | U256::from(1);
                    verdicts ^= keccak_of(promise.nonce) ^ keccak_of(nonce);
                }
                _ => {}
            }
        }
        let guid = if step.has_twist(11) { unknown(step) } else { bounty.guid };
        (who, Action::Reveal { guid, index, nonce, verdicts })
    }
}

/// Gets a market going again that is stuck, most of the time.
fn repair(world: &World, book: &Book, step: Step) -> Option<(Name, Action)> {
    if step.amount.is_multiple_of(2) {
        return None;
    }
    let vast = U256::from(1000);
    if !book.transfers_enabled {
        Some((OWNER, Action::EnableTransfers))
    } else if book.paused {
        Some((book.pausers.first()?, Action::Unpause))
    } else if book.reveal_window > vast || book.vote_window > vast {
        let windows = Action::SetWindows { reveal: U256::from(world.windows.0), vote: U256::from(world.windows.1) };
        Some((book.window_manager, windows)).filter(|(who, _)| *who != NOBODY)
    } else if !book.linked && step.which.is_multiple_of(4) {
        Some((OWNER, Action::SetBountyRegistry(REGISTRY)))
    } else if book.deprecated.is_some() && step.which.is_multiple_of(16) {
        Some((book.deprecators.first()?, Action::Undeprecate))
    } else if book.bounty_fee > U256::from(10 * NCT) {
        Some((book.fee_manager, Action::SetBountyFee(U256::from(BOUNTY_FEE))))
    } else if book.assertion_fee > U256::from(10 * NCT) {
        Some((book.fee_manager, Action::SetAssertionFee(U256::from(BOUNTY_FEE))))
    } else {
        None
    }
}

fn post(world: &World, book: &Book, step: Step) -> (Name, Action) {
    let who = match step.who {
        0..=223 if world.pace != Pace::Posting => AMBASSADORS[step.who as usize % 2],
        _ => PEOPLE[step.who as usize % PEOPLE.len()],
    };
    let ordinal = book.bounties.len() as u128;
    let mut guid = if ordinal == 0 { 0 } else { ordinal << 64 | u128::from(step.bits) };
    let mut artifacts = if book.bounties.len() < 2 { world.artifacts } else { 1 + step.bits % world.artifacts.min(5) };
    let mut duration = 1 + step.amount % 5;
    let mut uri = "Qm";
    let mut kind = step.bits >> 60 & 1;
    let least = match book.edition {
        Edition::V100 => U256::from(BID_MINIMUM),
        Edition::V161 => U256::from(2 * NCT) * U256::from(artifacts),
    };
    let mut amount = least + mixed(step.amount, 6) % U256::from(5 * NCT);
    if world.whales && !step.bits.is_multiple_of(3) {
        amount = of_any_size(step.amount, step.bits);
    } else if step.which.is_multiple_of(8) && world.pace == Pace::Ordinary {
        amount = of_any_size(step.amount, step.bits).min(book.balance(who) / U256::from(4));
    }
    for twist in step.twists {
        match twist {
            1 if !book.bounties.is_empty() => guid = book.bounties[step.amount as usize % book.bounties.len()].guid,
            2 => amount = least - U256::from(1),
            3 => amount = U256::ZERO,
            4 => artifacts = 0,
            5 => artifacts = 257,
            6 => artifacts = u64::MAX,
            7 => duration = 0,
            8 => duration = 101,
            9 => duration = u64::MAX,
            10 => uri = "",
            11 => kind = 2,
            12 => guid = u128::MAX,
            13 => amount = U256::MAX,
            14 => amount = book.balance(who).saturating_sub(book.bounty_fee),
            15 => amount = book.balance(who).saturating_sub(book.bounty_fee) + U256::from(1),
            16 => duration = 100,
            17..=19 => amount = least,
            20 => amount = least + U256::from(step.amount % 7),

            _ => {}
        }
    }
    (who, Action::Post { guid, kind, amount, uri, artifacts, duration })
}

fn vote(book: &Book, step: Step, bounty: &Bounty) -> (Name, Action) {
    let has_voted = |name: Name| bounty.votes.iter().any(|vote| vote.voter == name);
    let mut who = first_such(&PEOPLE, 7 + step.who % 6, |name| book.is_arbiter(name) && !has_voted(name));
    let mut votes = match step.amount % 8 {
        0..=4 => truth(bounty),
        5 => !truth(bounty),
        _ => mixed(step.bits, 8),
    };
    let mut guid = bounty.guid;
    if book.paused && step.bits.is_multiple_of(2) {
        who = PEOPLE[step.which as usize % PEOPLE.len()];
    }
    for twist in step.twists {
        match twist {
            1 => votes = U256::ZERO,
            2 => votes = U256::MAX,
            3 => who = PEOPLE[step.who as usize % PEOPLE.len()],
            4 => who = bounty.votes.first().map_or(who, |vote| vote.voter),
            5 => guid = unknown(step),
            _ => {}
        }
    }
    (who, Action::Vote { guid, votes })
}

/// Who could be paid for a bounty, now and then others too.
fn with_a_claim(book: &Book, step: Step, bounty: &Bounty) -> Vec<Name> {
    let mut names = vec![bounty.author];
    names.extend(bounty.assertions.iter().map(|assertion| assertion.author));
    names.extend(bounty.assigned);
    if bounty.assigned.is_none() || step.amount.is_multiple_of(4) {
        names.extend(ARBITERS.iter().filter(|name| book.is_arbiter(name)));
    }
    names.extend(["X0", "X1"].iter().filter(|_| step.amount.is_multiple_of(8)));
    names
}

/// Votes can outnumber the arbiters then.
fn dismiss_a_voter(world: &World, book: &Book, step: Step, bounty: &Bounty) -> (Name, Action) {
    let (manager, _) = admin(world, book, Step { who: 0, ..step }, 8);
    let voters = bounty.votes.iter().map(|vote| vote.voter);
    match voters.into_iter().find(|voter| book.is_arbiter(voter)) {
        Some(voter) => (manager, Action::RemoveArbiter(voter)),
        None => vote(book, step, bounty),
    }
}

fn still_votes(book: &Book, bounty: &Bounty) -> bool {
    book.vote_end(bounty).is_ok_and(|end| U256::from(book.now) < end)
}

fn may_vote(book: &Book, bounty: &Bounty) -> bool {
    PEOPLE.iter().any(|name| book.is_arbiter(name) && bounty.votes.iter().all(|vote| vote.voter != *name))
}

/// True if there is nothing natural left to do with a bounty in its round but to wait.
fn over(world: &World, book: &Book, bounty: &Bounty) -> bool {
    match book.round(bounty) {
        Ok(0 | 1) if world.pace == Pace::Voting => true,
        Ok(0) => bounty.assertions.len() >= EXPERTS.len(),
        Ok(1) => bounty.assertions.iter().all(|assertion| !assertion.nonce.is_zero()),
        Ok(2) => !may_vote(book, bounty),
        _ => false,
    }
}

fn settle(book: &Book, step: Step, bounty: &Bounty) -> (Name, Action) {
    let who = match step.who {
        0..=239 => first_such(&with_a_claim(book, step, bounty), step.who, |name| !bounty.settlers.contains(&name)),
        _ => PEOPLE[step.who as usize % PEOPLE.len()],
    };
    let guid = if step.has_twist(1) { unknown(step) } else { bounty.guid };
    (who, Action::Settle { guid })
}

fn admin(world: &World, book: &Book, step: Step, kind: u8) -> (Name, Action) {
    let anybody = PEOPLE[step.amount as usize % PEOPLE.len()];
    let one_of = |set: &std::collections::BTreeSet<Name>| set.first().copied().unwrap_or(OWNER);
    let manager = match book.edition {
        Edition::V100 => book.owner,
        Edition::V161 => one_of(&book.arbiter_managers),
    };
    let fee = match step.bits % 16 {
        0 => U256::ZERO,
        1..=4 => U256::from(BOUNTY_FEE / 2),
        5..=8 => U256::from(BOUNTY_FEE),
        9..=13 => U256::from(step.amount),
        14 => of_any_size(step.amount, step.amount >> 8),
        _ => U256::MAX >> (step.amount % 3) as usize,
    };
    let windows = match step.bits % 32 {
        0 => (U256::MAX, U256::from(1)),
        1 => (U256::from(1), U256::MAX),
        2 => (U256::MAX >> 8, U256::from(1)),
        3 => (U256::from(2), U256::MAX >> 200),
        4 => (U256::from(2), U256::from(300)),
        5 | 6 => (U256::ZERO, U256::from(step.amount % 9)),
        7 | 8 => (U256::from(step.amount % 7), U256::ZERO),
        9..=14 => (U256::from(world.windows.0), U256::from(world.windows.1)),
        _ => (U256::from(step.amount % 7), U256::from(1 + step.amount / 7 % 8)),
    };
    let recruit = match step.who % 8 {
        0 => anybody,
        start => first_such(&ARBITERS, start, |name| !book.is_arbiter(name)),
    };
    let recruit = if step.has_twist(24) { NOBODY } else { recruit };
    let dismissed = match step.who % 8 {
        0 => anybody,
        start => first_such(&ARBITERS, start, |name| book.is_arbiter(name)),
    };
    let holder = |name: Name| if name == NOBODY { anybody } else { name };
    let (who, action) = match kind % 40 {
        0..=7 => (manager, Action::AddArbiter(recruit)),
        8..=12 => (manager, Action::RemoveArbiter(dismissed)),
        13..=14 => (book.fee_manager, Action::SetBountyFee(fee)),
        15..=16 => (book.fee_manager, Action::SetAssertionFee(fee)),
        17..=19 => (book.window_manager, Action::SetWindows { reveal: windows.0, vote: windows.1 }),
        20 => (one_of(&book.pausers), Action::Pause),
        21 => (one_of(&book.pausers), Action::Unpause),
        22 => (one_of(&book.deprecators), Action::Deprecate { rollover: step.bits.is_multiple_of(4) }),
        23 => (one_of(&book.deprecators), Action::Undeprecate),
        24 => (book.fee_manager, Action::SetFeeManager(anybody)),
        25 => (book.window_manager, Action::SetWindowManager(anybody)),
        26 => (manager, Action::AddArbiterManager(anybody)),
        27 => (anybody, Action::RemoveArbiterManager(if step.bits.is_multiple_of(4) { manager } else { recruit })),
        28 => (one_of(&book.deprecators), Action::AddDeprecator(anybody)),
        29 => (anybody, Action::RemoveDeprecator(if step.bits.is_multiple_of(4) { one_of(&book.deprecators) } else { recruit })),
        30 => (one_of(&book.pausers), Action::AddPauser(anybody)),
        31 => (if step.bits.is_multiple_of(2) { one_of(&book.pausers) } else { anybody }, Action::RenouncePauser),
        32 => (book.owner, Action::TransferOwnership(if step.has_twist(23) { NOBODY } else { anybody })),
        33 => (if step.bits.is_multiple_of(8) { book.owner } else { anybody }, Action::RenounceOwnership),
        34 => (OWNER, Action::PauseStaking),
        35 | 36 => (OWNER, Action::UnpauseStaking),
        37 if step.bits.is_multiple_of(2) => (anybody, Action::SetBountyRegistry("X0")),
        37 => (OWNER, Action::SetBountyRegistry("X0")),
        38 => ("X1", Action::RecordBounty { arbiter: ARBITERS[0], guid: unknown(step) }),
        _ => (anybody, Action::ReceiveApproval { from: anybody, value: U256::from(step.amount) }),
    };
    let usurper = step.who >= 232 && !matches!(action, Action::RecordBounty { .. });
    (if usurper { anybody } else { holder(who) }, action)
}

fn stake(book: &Book, step: Step, kind: u8) -> (Name, Action) {
    let room = U256::from(STAKE_MAXIMUM);
    let anybody = PEOPLE[step.amount as usize % PEOPLE.len()];
    let arbiter = first_such(&ARBITERS, step.who, |name| book.is_arbiter(name));
    let staker = first_such(&PEOPLE, step.who, |name| !book.stake(name).is_zero());
    let depositor = if step.who >= 232 { anybody } else { arbiter };
    let room = room - book.stake(depositor).min(room);
    let value = match step.bits % 16 {
        0 => U256::ZERO,
        1 => U256::MAX,
        2 => room,
        3 => room + U256::from(1),
        4..=8 => U256::from(step.amount % 9 + 1),
        9..=11 => U256::from(10_000_000 * NCT),
        _ => U256::from(step.amount),
    };
    let withdrawer = if step.who >= 232 { anybody } else { staker };
    let free = book.withdrawable(withdrawer).unwrap_or_default();
    let withdrawal = match step.bits % 16 {
        0 => U256::ZERO,
        1 => U256::MAX,
        2..=4 => free,
        5 | 6 => free + U256::from(1),
        7 => book.stake(withdrawer),
        8..=10 => free / U256::from(2),
        _ => free.min(U256::from(step.amount % 12)),
    };
    match kind % 16 {
        // What the staking contract makes of an account that is no contract, the rules do not say.
        _ if !book.linked => (OWNER, Action::SetBountyRegistry(REGISTRY)),
        0..=5 if book.allowance(depositor, STAKING).is_zero() => (depositor, Action::Approve { spender: STAKING, value: U256::MAX }),
        0..=5 => (depositor, Action::Deposit(value)),
        6..=13 => (withdrawer, Action::Withdraw(withdrawal)),
        14 => (depositor, Action::ApproveAndCall { spender: STAKING, value }),
        _ => (depositor, Action::ApproveAndCall { spender: REGISTRY, value }),
    }
}

fn token(book: &Book, step: Step, kind: u8) -> (Name, Action) {
    let from = PEOPLE[step.who as usize % PEOPLE.len()];
    let to = if step.has_twist(24) { NOBODY } else { PEOPLE[step.amount as usize % PEOPLE.len()] };
    let balance = book.balance(from);
    let value = match step.bits % 8 {
        0 => balance,
        1 => balance.saturating_add(U256::from(1)),
        2 => U256::ZERO,
        _ => U256::from(step.amount),
    };
    let contract = if step.bits.is_multiple_of(2) { REGISTRY } else { STAKING };
    match kind % 16 {
        3 if to != NOBODY => (to, Action::TransferFrom { from, to, value }),
        0..=3 => (from, Action::Transfer { to, value }),
        4 => (from, Action::Approve { spender: to, value }),
        5 => (from, Action::Approve { spender: contract, value: U256::from(step.amount) }),
        6..=12 => (from, Action::Approve { spender: contract, value: U256::MAX }),
        13 => (from, Action::Mint { to, value }),
        14 if step.bits.is_multiple_of(4) => (OWNER, Action::Mint { to, value: U256::MAX }),
        14 => (OWNER, Action::Mint { to, value }),
        _ => (from, Action::EnableTransfers),
    }
}

fn wait(world: &World, book: &Book, step: Step) -> u64 {
    let Some(bounty) = chosen(book, step.which) else {
        return book.now + u64::from(!matches!(step.wait, Wait::None));
    };
    let small = |block: U256| u64::try_from(block).ok().filter(|block| *block < book.now + 5000);
    let reveal_end = book.reveal_end(bounty).ok().and_then(small);
    let vote_end = book.vote_end(bounty).ok().and_then(small);
    let wait = match (step.wait, step.deed) {
        (Wait::None, Deed::Natural) if over(world, book, bounty) => Wait::Deadline(0),
        (wait, _) => wait,
    };
    if let Some((deprecated, false)) = book.deprecated
        && step.which.is_multiple_of(8)
    {
        let windows = u64::try_from(book.reveal_window.saturating_add(book.vote_window)).unwrap_or(0);
        return deprecated + 100 + windows.min(1000) - u64::from(step.amount.is_multiple_of(8));
    }
    match wait {
        Wait::None => book.now,
        Wait::Blocks(blocks) => book.now + blocks,
        Wait::Deadline(short) => {
            let deadlines = [Some(bounty.expiration), reveal_end, vote_end];
            deadlines.into_iter().flatten().find(|block| *block > book.now).unwrap_or(book.now + 1) - short
        }
        Wait::Mark(mark) => {
            let end = vote_end.unwrap_or(book.now);
            match mark % 12 {
                0 | 1 => end,
                2 | 3 => end + 1,
                4 => end + 255,
                5 | 6 => end + 256,
                7 | 8 => end + 257,
                9 => book.now + book.stake_duration,
                10 => book.deposits.values().flatten().next().map_or(book.now, |(block, _)| block + book.stake_duration),
                _ => book.now + 1,
            }
        }
    }
}

/// One of the last few bounties, mostly the last.
fn chosen(book: &Book, which: u8) -> Option<&Bounty> {
    let back = if which < 160 { 0 } else { which as usize % 3 };
    book.bounties.iter().rev().nth(back.min(book.bounties.len().saturating_sub(1)))
}

/// The first of `names`, from number `start` on and around, for which `good` holds; number `start` if none does.
fn first_such(names: &[Name], start: u8, good: impl Fn(Name) -> bool) -> Name {
    let at = |offset: usize| names[(start as usize + offset) % names.len()];
    (0..names.len()).map(at).find(|name| good(name)).unwrap_or(at(0))
}

/// What most experts and arbiters say about a bounty.
fn truth(bounty: &Bounty) -> U256 {
    U256::from_be_bytes(keccak256(bounty.guid.to_be_bytes()).0)
}

/// 256 random bits out of 64.
fn mixed(dice: u64, salt: u64) -> U256 {
    let mut bytes = dice.to_be_bytes().to_vec();
    bytes.extend(salt.to_be_bytes());
    U256::from_be_bytes(keccak256(bytes).0)
}

/// Wei of 60 to 230 bits: what fits 64 bits, 128 bits, and 128 bits until it is multiplied.
fn of_any_size(dice: u64, size: u64) -> U256 {
    mixed(dice, 7) >> (26 + size % 171)
}

fn unknown(step: Step) -> u128 {
    u128::MAX - 1 - u128::from(step.bits)
}
