//! Rivals that decide in the market: asked when they assert, told when a bounty is settled, as the engine is.

use engine::{
    artifact::ScanResult,
    chance::Key,
    market_view::{MarketView, OpenBounty, PublicAssertions, Wallet},
    settled::{SettledAssertion, SettledBounty},
    stake::StrategyError,
    trader::{Abstention, Offer, Trader},
};
use market::nct::Nct;

use super::World;
use crate::rivals::Population;

/// One of them.
pub(super) struct Adaptive {
    trader: Trader,
    /// By number of the file type, what its judge is told of a benign and of a malicious verdict.
    answers: Vec<[ScanResult; 2]>,
    /// Where its strategy's chance comes from.
    chance: Key,
    /// What it has in escrow on bounties that it has not settled, and on how many.
    locked: Nct,
    open: usize,
}

impl Adaptive {
    /// For each rival of a population, what decides for it; empty if all have drawn everything ahead.
    pub(super) fn of(population: &Population, seed: Key) -> Result<Vec<Option<Adaptive>>, StrategyError> {
        if population.adaptive().is_none() {
            return Ok(Vec::new());
        }
        let chance = seed.named("adaptive rival");
        let adaptive = |(number, rival): (usize, &crate::rivals::Rival)| {
            let Some(trader) = population.trader(number)? else { return Ok(None) };
            let answers = population.file_types().map(|file_type| [false, true].map(|malicious| rival.result(malicious, file_type)));
            let chance = chance.with(rival.address);
            Ok(Some(Adaptive { trader, answers: answers.collect(), chance, locked: Nct::ZERO, open: 0 }))
        };
        population.rivals.iter().enumerate().map(adaptive).collect()
    }
}

impl World {
    /// What an adaptive rival stakes now: its bids take their place in the plan. False if it leaves the bounty alone.
    pub(super) fn rival_decides(&mut self, slot: u32, position: usize) -> bool {
        let open = &mut self.open[slot as usize];
        let number = open.plan.rivals[position].rival;
        let Some(Some(adaptive)) = self.adaptive.get_mut(number) else { return true };
        let bounty = self.market.bounty(open.plan.guid).expect("it is open");
        let (rival, public) = (&mut open.plan.rivals[position], OpenBounty::from(bounty));
        let view = MarketView {
            now: self.market.now(),
            bounty: &public,
            rules: &self.setup.rules,
            fees: self.fees,
            windows: self.windows,
            wallet: Wallet { free: self.market.balance(self.accounts.rivals[number]), locked: adaptive.locked, open: adaptive.open },
            assertions: PublicAssertions::of(&bounty.assertions),
            factors: &[],
        };
        let answer = |(artifact, &file_type): (usize, &usize)| match rival.mask.contains(artifact) {
            true => adaptive.answers[file_type][usize::from(rival.verdicts.contains(artifact))],
            false => ScanResult::NONE,
        };
        let answers: Vec<ScanResult> = open.plan.file_types.iter().enumerate().map(answer).collect();
        let chance = &mut adaptive.chance.with(public.guid.0 as u64).with((public.guid.0 >> 64) as u64).stream();
        match adaptive.trader.decide(view.now, &view, &answers, chance) {
            Ok(Offer { mask, verdicts, bids }) => {
                (rival.mask, rival.verdicts, rival.bids) = (mask, verdicts, bids);
                true
            }
            Err(reason) => {
                self.misses[number].unfunded += u64::from(reason == Abstention::Unfunded);
                false
            }
        }
    }

    /// Puts what an adaptive rival has just staked into its escrow.
    pub(super) fn rival_locks(&mut self, slot: u32, position: usize) {
        let plan = &self.open[slot as usize].plan.rivals[position];
        if let Some(Some(adaptive)) = self.adaptive.get_mut(plan.rival) {
            let price = price(&plan.bids, self.fees.assertion);
            adaptive.locked = adaptive.locked.checked_add(price).expect("within the supply");
            adaptive.open += 1;
        }
    }

    /// Adaptive rivals get back what they had in escrow, and hear what became of a bounty that they decided on.
    pub(super) fn rivals_learn(&mut self, slot: u32, settled: &SettledBounty, assertions: &[SettledAssertion]) {
        let open = &self.open[slot as usize];
        for (plan, index) in open.plan.rivals.iter().zip(&open.rivals) {
            let Some(Some(adaptive)) = self.adaptive.get_mut(plan.rival) else { continue };
            if index.is_some() {
                let price = price(&plan.bids, self.fees.assertion);
                adaptive.locked = adaptive.locked.checked_sub(price).expect("it was locked");
                adaptive.open -= 1;
            }
            // Whoever is too late decides nothing.
            if adaptive.trader.learns() && plan.latency < open.plan.duration {
                let assertions = adaptive.trader.studies_stakes().then(|| assertions.to_vec());
                let own = index.map(|index| index as usize);
                adaptive.trader.settled(SettledBounty { assertions, own, ..settled.clone() });
            }
        }
    }
}

/// What an assertion with these bids takes from the wallet.
fn price(bids: &[Nct], fee: Nct) -> Nct {
    bids.iter().fold(fee, |sum, &bid| sum.checked_add(bid).expect("a price of the real supply"))
}
