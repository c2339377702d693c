//! Recording: the world is played once with an engine that never asserts, and what it would have met is kept.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use market::{bounty::check_bids, nct::Nct, settlement::Others, verdict::ArtifactSet};

use super::{Tape, TapeError, Taped, TapedAssertion};
use crate::{
    plan::Setup,
    world::{ClosedBounty, Observer, PlayError, Seat, World},
};

/// The engine that leaves the market as it is without one.
const BYSTANDER: &str = "null/abstain";

struct Recorder {
    tape: Tape,
    rivals: Vec<Purse>,
    ambassadors: Vec<Nct>,
    error: Option<TapeError>,
}

/// What a rival needs, at most, whatever the engine does.
#[derive(Clone, Copy, Default)]
struct Purse {
    /// All that it loses.
    lost: Nct,
    /// Its dearest assertion, made or not.
    dearest: Nct,
}

impl Tape {
    /// Records the market of `setup`, for engines with the backends, filter and scan times of its scenario.
    ///
    /// # Errors
    ///
    /// If the market cannot be played, if a rival in it reacts to the engine, if it cannot be ruled out that what an engine wins leaves somebody unable to pay, and
    /// if `interrupted` became true.
    pub fn record(setup: &Arc<Setup>, interrupted: &AtomicBool) -> Result<Tape, TapeError> {
        if let Some(rival) = setup.population.adaptive() {
            return Err(TapeError::AdaptiveRival { rival: rival.name.clone(), strategy: rival.strategy.clone() });
        }
        // What a bystander thinks is nobody's business.
        let mut bystander = Setup::clone(setup);
        bystander.scenario.engine.distiller = Default::default();
        bystander.scenario.engine.calibration = Default::default();
        let mut world = World::new(Arc::new(bystander), Seat::Engine(BYSTANDER), None, false)?;
        let (fees, windows) = (world.market().fees(), world.market().windows());
        let (ambassadors, rivals) = (&setup.scenario.ambassadors, setup.population.rivals.len());
        let (bounties, results, factors, stakes, pools, assertions, bids, sets) = Default::default();
        let tape = Tape {
            setup: setup.clone(),
            fees,
            windows,
            life: ambassadors.duration + setup.rules.reveal_window + setup.rules.vote_window,
            engine: world.seat(),
            bounties,
            results,
            factors,
            stakes,
            pools,
            assertions,
            bids,
            sets,
        };
        let (rivals, ambassadors) = (vec![Purse::default(); rivals], vec![Nct::ZERO; ambassadors.count as usize]);
        let mut recorder = Recorder { tape, rivals, ambassadors, error: None };
        while let Some(now) = world.next() {
            let go_on = world.mine(now, &mut recorder, &mut |_| !interrupted.load(Ordering::Relaxed))?;
            if let Some(error) = recorder.error {
                return Err(error);
            }
            if !go_on {
                return Err(TapeError::Interrupted);
            }
        }
        let played = world.finish(true)?;
        recorder.finish(played.unposted)
    }
}

impl Recorder {
    fn keep(&mut self, closed: &ClosedBounty<'_>) -> Result<(), TapeError> {
        let (plan, tape) = (closed.plan, &mut self.tape);
        if tape.bounties.last().is_some_and(|last| last.posted > plan.posted) {
            return Err(PlayError::Invariant("bounties of one duration did not end in order of posting".to_owned()).into());
        }
        let rules = &tape.setup.rules;
        let wait = plan.scanned.0.saturating_sub(plan.posted.0).min(plan.duration);
        let future = plan.future(closed.rivals, wait, rules);
        let seen = |(rival, index): (&crate::rivals::RivalPlan, &Option<u32>)| index.is_some() && rival.latency <= wait;
        let artifacts = plan.artifacts.len();
        tape.bounties.push(Taped {
            guid: plan.guid,
            posted: plan.posted,
            wait: wait as u32,
            seen: plan.rivals.iter().zip(closed.rivals).filter(|&pair| seen(pair)).count() as u32,
            artifacts: artifacts as u16,
            voted: closed.consensus.is_some(),
            will_vote: future.consensus.is_some(),
            assertions: closed.bounty.assertions.len() as u32,
            first_artifact: tape.pools.len(),
            first_assertion: tape.assertions.len(),
            first_bid: tape.bids.len(),
            first_set: tape.sets.len(),
        });
        tape.results.extend_from_slice(&plan.results);
        tape.factors.extend_from_slice(&plan.factors);
        tape.pools.extend_from_slice(&future.pools);
        let unsettled = |rejection| TapeError::Unsettled { number: plan.number, rejection };
        Others::stakes(rules, &closed.bounty.closed(tape.fees), &mut tape.stakes).map_err(unsettled)?;
        let first_bid = tape.bids.len();
        let mut keep = |set: ArtifactSet| tape.sets.extend_from_slice(&set.to_uint().to_le_bytes::<32>()[..artifacts.div_ceil(8)]);
        keep(future.labels);
        keep(closed.consensus.unwrap_or_default());
        keep(future.consensus.unwrap_or_default());
        for assertion in &closed.bounty.assertions {
            let revealed = assertion.revealed();
            keep(assertion.mask);
            keep(revealed.map_or(ArtifactSet::EMPTY, |opening| opening.verdicts));
            let bid = (tape.bids.len() - first_bid) as u32;
            tape.assertions.push(TapedAssertion { author: assertion.author, bid, revealed: revealed.is_some() });
            tape.bids.extend(assertion.bids.iter().map(|bid| bid.to_wei().expect("a bid of the real supply")));
        }
        self.reckon(closed);
        Ok(())
    }

    /// Adds up what everybody may need. What others gain the engine could have taken from them; what they lose is theirs to
    /// lose, whatever it does: verdicts and votes do not depend on it.
    fn reckon(&mut self, closed: &ClosedBounty<'_>) {
        let fees = self.tape.fees;
        let add = |sum: &mut Nct, amount: Nct| assert!(sum.give(amount), "sums of a real supply");
        for (plan, index) in closed.plan.rivals.iter().zip(closed.rivals) {
            if plan.latency >= closed.plan.duration || check_bids(&self.tape.setup.rules, &plan.bids).is_err() {
                continue;
            }
            let purse = &mut self.rivals[plan.rival];
            let price = plan.bids.iter().fold(fees.assertion, |sum, &bid| sum.checked_add(bid).expect("a price of a real supply"));
            purse.dearest = purse.dearest.max(price);
            if let Some(index) = *index {
                let reward = &closed.rewards.experts[index as usize];
                // One wei more, for what dividing may take.
                for part in [reward.lost_stake, reward.fee_lost, Nct::wei(1)] {
                    add(&mut purse.lost, part);
                }
            }
        }
        let purse = &mut self.ambassadors[closed.plan.ambassador as usize];
        add(purse, closed.bounty.amount);
        add(purse, fees.bounty);
    }

    /// Makes sure that everybody can pay always.
    fn finish(self, unposted: u64) -> Result<Tape, TapeError> {
        let Recorder { tape, rivals, mut ambassadors, .. } = self;
        let Setup { scenario, population, .. } = &*tape.setup;
        let wallet = scenario.wallets.ambassadors;
        if unposted > 0 {
            // What was not posted is not known, but whoever could not pay it had spent nearly all.
            let price = scenario.ambassadors.amount.checked_mul(u64::from(scenario.ambassadors.artifacts)).unwrap_or(wallet);
            ambassadors.iter_mut().for_each(|needed| assert!(needed.give(price) && needed.give(tape.fees.bounty), "sums of a real supply"));
        }
        // What comes back to them for want of assertions is not reckoned with: the engine can assert.
        if let Some(number) = ambassadors.iter().position(|&needed| needed > wallet) {
            return Err(TapeError::AmbassadorShort { number: number + 1, needed: ambassadors[number], wallet });
        }
        if unposted > 0 {
            return Err(PlayError::Invariant("a bounty was not posted that could be paid".to_owned()).into());
        }

        // All that can be open beside an assertion: from the first block of the oldest to the last block for the youngest.
        let together = most_within(&tape.bounties, tape.life + scenario.ambassadors.duration);
        let wallet = scenario.wallets.rivals;
        for (rival, purse) in population.rivals.iter().zip(&rivals) {
            let staked = purse.dearest.checked_mul(together as u64).expect("a sum of a real supply");
            let needed = staked.checked_add(purse.lost).expect("a sum of a real supply");
            if needed > wallet {
                return Err(TapeError::RivalShort { rival: rival.name.clone(), needed, wallet });
            }
        }
        Ok(tape)
    }
}

/// The most bounties that are posted within so many blocks after one of them, that one included.
fn most_within(bounties: &[Taped], blocks: u64) -> usize {
    let mut first = 0;
    let counts = bounties.iter().enumerate().map(|(last, bounty)| {
        while bounties[first].posted.0 + blocks < bounty.posted.0 {
            first += 1;
        }
        last + 1 - first
    });
    counts.max().unwrap_or(0)
}

impl Observer for Recorder {
    fn closed(&mut self, closed: &ClosedBounty<'_>) {
        if self.error.is_none() {
            self.error = self.keep(closed).err();
        }
    }
}
