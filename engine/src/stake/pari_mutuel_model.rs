//! `pm-ev-model`: the stake of most expected profit against the pools that rivals are expected to make.
//!
//! Of each expert that was ever seen in a settled bounty it keeps how often it asserts, how often it calls malicious
//! artifacts (TPR) and benign ones (FPR) malicious, by the consensus, and what it stakes: decayed counts on top of the
//! priors Beta(1,1), Beta(8,2) and Beta(1,19), and a decayed mean. An unrevealed assertion counts as wrong, as in the
//! market. Given the label, rivals are taken to err independently of each other.

use std::collections::BTreeMap;

use market::id::AccountId;

use super::{
    Entry, Parameter, Stake, Staker,
    optimum::{Limits, Utility},
    placing::{belief, place_best},
    pools::{Rival, against},
};
use crate::{
    chance::Stream,
    distill::DistilledVerdict,
    market_view::MarketView,
    settled::{SettledBounty, Terms},
};

pub(super) const EV_MODEL: Entry = Entry {
    name: "pm-ev-model",
    meaning: "the stake of most expected profit against pools that follow from what is known of each rival",
    formula: "pm-ev, W and L from every rival's posterior TPR ~ Beta(8,2), FPR ~ Beta(1,19), share of assertions and mean stake, decayed per artifact",
    parameters: &[Parameter::new("decay", "0.999", "what an artifact's weight is multiplied by with each that follows")],
    source: "Isaacs 1953; Beta-binomial posteriors, the priors of Dawid & Skene's distiller",
    make: |parameters| Ok(Box::new(Model { decay: parameters.number("decay", 0.5..=1.0)?, ..Model::default() })),
};

/// Decayed counts above which an expert is worth reckoning with.
const FORGOTTEN: f64 = 1e-3;

#[derive(Clone, PartialEq, Default, Debug)]
struct Model {
    decay: f64,
    /// Decayed number of settled artifacts.
    artifacts: f64,
    experts: BTreeMap<AccountId, Record>,
}

/// Decayed counts of an expert's assertions: on artifacts of each consensus (benign, malicious), and of those the ones that
/// called it malicious.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
struct Record {
    on: [f64; 2],
    malicious: [f64; 2],
    stakes: f64,
}

impl Model {
    fn rivals(&self) -> Vec<Rival> {
        let rival = |record: &Record| {
            let asserted = record.on[0] + record.on[1];
            Rival {
                stake: record.stakes / asserted,
                tpr: (record.malicious[1] + 8.0) / (record.on[1] + 10.0),
                fpr: (record.malicious[0] + 1.0) / (record.on[0] + 20.0),
                asserts: (asserted + 1.0) / (self.artifacts + 2.0),
            }
        };
        self.experts.values().map(rival).collect()
    }
}

impl Staker for Model {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let (terms, rivals) = (Terms::of(view), self.rivals());
        let beliefs = verdicts.iter().enumerate().map(|(artifact, verdict)| belief(view, artifact, verdict));
        let (sides, bets): (Vec<_>, Vec<_>) = beliefs
            .map(|belief| {
                let bet = belief.map(|belief| against(&rivals, terms, belief.malicious, belief.right));
                (belief.map(|belief| belief.malicious), bet)
            })
            .unzip();
        place_best(view, Utility::Profit { price: 0.0 }, &Limits::of(view), &sides, &bets, stakes);
    }

    fn learns(&self) -> bool {
        true
    }

    fn settled(&mut self, settled: &SettledBounty) {
        let (Some(consensus), Some(assertions)) = (settled.consensus, &settled.assertions) else { return };
        for artifact in 0..settled.artifacts {
            self.artifacts = self.decay * self.artifacts + 1.0;
            for record in self.experts.values_mut() {
                record.on.iter_mut().chain(&mut record.malicious).for_each(|count| *count *= self.decay);
                record.stakes *= self.decay;
            }
            let truth = consensus.contains(artifact);
            for (place, assertion) in assertions.iter().enumerate() {
                let Some(bid) = assertion.bid(artifact, settled.bids).filter(|_| settled.own != Some(place)) else { continue };
                let record = self.experts.entry(assertion.author).or_default();
                let said = assertion.verdicts.map_or(!truth, |verdicts| verdicts.contains(artifact));
                record.on[usize::from(truth)] += 1.0;
                record.malicious[usize::from(truth)] += f64::from(u8::from(said));
                record.stakes += bid;
            }
        }
        self.experts.retain(|_, record| record.on[0] + record.on[1] > FORGOTTEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settled::tests::settled;
    use market::ruleset::BOUNTY_REGISTRY_1_6_1 as RULES;

    #[test]
    fn a_rival_is_known_by_what_it_did() {
        let mut model = Model { decay: 1.0, ..Model::default() };
        for block in 0..40 {
            model.settled(&settled(&RULES, block, block % 2 == 0, &[(0.5, Some(true))]));
            model.settled(&settled(&RULES, block, true, &[]));
        }
        let [rival] = model.rivals()[..] else { panic!("there is one") };
        assert_eq!((rival.stake, rival.tpr, rival.fpr, rival.asserts), (0.5, 28.0 / 30.0, 21.0 / 40.0, 41.0 / 82.0));
        // One that is never heard of again fades.
        model.decay = 0.5;
        (0..20).for_each(|block| model.settled(&settled(&RULES, 100 + block, true, &[])));
        assert!(model.rivals().is_empty());
    }
}
