//! What others stake: recent pools by consensus and own opinion, and the distribution of a sum of stakes.

use std::collections::VecDeque;

use super::optimum::{Bet, Scenario};
use crate::settled::{SettledBounty, Terms};

/// Edges of the bins of the own probability of malice.
const EDGES: [f64; 5] = [0.05, 0.2, 0.5, 0.8, 0.95];
/// Pools in a bin that are told by themselves.
const ENOUGH: usize = 20;
/// Pools that an unbounded memory keeps apart.
const ATOMS: usize = 512;

/// The number of the bin, for ascending `edges`.
pub(super) fn bin(edges: &[f64], p: f64) -> usize {
    edges.iter().filter(|&&edge| p >= edge).count()
}

/// Stakes of the winners and, for each amount of them, what the losers staked on average. In NCT.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Atom {
    /// Its weight.
    pub weight: f64,
    /// `W`.
    pub winners: f64,
    /// `L`. A profit is linear in it, so that its mean is all there is to know.
    pub losers: f64,
}

/// Makes at most `most` of them by merging neighbours, of which the means stay what they are. Sorts by winners' stakes.
pub fn merge(atoms: &mut Vec<Atom>, most: usize) {
    atoms.sort_by(|one, other| one.winners.total_cmp(&other.winners));
    atoms.dedup_by(|next, kept| {
        let same = next.winners == kept.winners;
        if same {
            *kept = merged(*kept, *next);
        }
        same
    });
    while atoms.len() > most {
        let pairs = atoms.chunks(2).map(|pair| pair.iter().copied().reduce(merged).expect("a chunk is not empty"));
        *atoms = pairs.collect();
    }
}

fn merged(one: Atom, other: Atom) -> Atom {
    let weight = one.weight + other.weight;
    let mean = |a: f64, b: f64| if weight > 0.0 { (one.weight * a + other.weight * b) / weight } else { 0.5 * (a + b) };
    Atom { weight, winners: mean(one.winners, other.winners), losers: mean(one.losers, other.losers) }
}

/// Pools of the past, of which the last `memory` are known, or all.
#[derive(Clone, PartialEq, Default, Debug)]
struct Recent {
    atoms: VecDeque<Atom>,
    /// How many pools they stand for.
    heard: usize,
}

impl Recent {
    fn add(&mut self, atom: Atom, memory: Option<usize>) {
        self.heard += 1;
        self.atoms.push_back(atom);
        match memory {
            Some(memory) => {
                while self.atoms.len() > memory {
                    self.atoms.pop_front();
                }
            }
            None if self.atoms.len() >= 2 * ATOMS => {
                let mut atoms = Vec::from(std::mem::take(&mut self.atoms));
                merge(&mut atoms, ATOMS);
                self.atoms = atoms.into();
            }
            None => {}
        }
    }
}

/// Recent pools of artifacts that the engine had an opinion on: by consensus, and by bin of that opinion.
#[derive(Clone, PartialEq, Debug)]
pub struct History {
    /// How many of each kind are remembered; `None` for all.
    memory: Option<usize>,
    bins: [[Recent; EDGES.len() + 1]; 2],
    sides: [Recent; 2],
}

impl History {
    /// Nothing heard yet.
    pub fn new(memory: Option<usize>) -> History {
        let (bins, sides) = Default::default();
        History { memory, bins, sides }
    }

    /// Hears what was staked on a bounty.
    pub fn settled(&mut self, settled: &SettledBounty) {
        let Some(consensus) = settled.consensus else { return };
        for (artifact, verdict) in settled.verdicts.iter().enumerate() {
            let (Some(verdict), Some(pools)) = (verdict, settled.pools(artifact)) else { continue };
            let malicious = consensus.contains(artifact);
            let (winners, losers) = pools.if_malicious(malicious);
            let (atom, side) = (Atom { weight: 1.0, winners, losers }, usize::from(malicious));
            self.bins[side][bin(&EDGES, verdict.probability)].add(atom, self.memory);
            self.sides[side].add(atom, self.memory);
        }
    }

    /// A side to bid on if it is right with probability `right`, where the engine takes malice for as likely as `malice`:
    /// pools are those of artifacts on which that side was the consensus, so they hold given that it wins. Before anything
    /// is heard, nobody else is reckoned with.
    pub fn bet(&self, terms: Terms, malicious: bool, malice: f64, right: f64) -> Bet {
        let side = usize::from(malicious);
        let alike = &self.bins[side][bin(&EDGES, malice)];
        let enough = self.memory.map_or(ENOUGH, |memory| memory.min(ENOUGH));
        let recent = if alike.heard < enough { &self.sides[side] } else { alike };
        let total: f64 = recent.atoms.iter().map(|atom| atom.weight).sum();
        let scenario =
            |atom: &Atom| Scenario { weight: atom.weight / total, right, prize: terms.portion + atom.losers, winners: atom.winners };
        let mut scenarios: Vec<Scenario> = recent.atoms.iter().map(scenario).collect();
        if scenarios.is_empty() {
            scenarios.push(Scenario { weight: 1.0, right, prize: terms.portion, winners: 0.0 });
        }
        Bet { scenarios, share: terms.share }
    }
}

/// Another expert, as far as it is known.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rival {
    /// What it stakes, in NCT.
    pub stake: f64,
    /// Probability that it calls a malicious artifact malicious.
    pub tpr: f64,
    /// Probability that it calls a benign artifact malicious.
    pub fpr: f64,
    /// Probability that it asserts at all.
    pub asserts: f64,
}

/// The pools of a side, should it be the consensus, from rivals that err independently of each other given the label.
///
/// Exact up to nine rivals; of more, neighbouring sums of winners' stakes are merged, so that means stay exact.
pub fn if_right(rivals: &[Rival], malicious: bool) -> Vec<Atom> {
    let mut atoms = vec![Atom { weight: 1.0, winners: 0.0, losers: 0.0 }];
    let mut next = Vec::new();
    for rival in rivals {
        let agrees = rival.asserts * if malicious { rival.tpr } else { 1.0 - rival.fpr };
        let differs = rival.asserts - agrees;
        // Silent or on the other side: the losers' mean is over both. Two ascending runs are quickly sorted.
        let other = 1.0 - agrees;
        let differing = |atom: &Atom| Atom { weight: atom.weight * other, losers: atom.losers + rival.stake * differs / other, ..*atom };
        let agreeing = |atom: &Atom| Atom { weight: atom.weight * agrees, winners: atom.winners + rival.stake, ..*atom };
        next.extend(atoms.iter().filter(|_| other > 0.0).map(differing));
        next.extend(atoms.iter().filter(|_| agrees > 0.0).map(agreeing));
        std::mem::swap(&mut atoms, &mut next);
        next.clear();
        merge(&mut atoms, ATOMS);
    }
    atoms
}

/// A side to bid on against those rivals.
pub fn against(rivals: &[Rival], terms: Terms, malicious: bool, right: f64) -> Bet {
    let scenario = |atom: Atom| Scenario { weight: atom.weight, right, prize: terms.portion + atom.losers, winners: atom.winners };
    Bet { scenarios: if_right(rivals, malicious).into_iter().map(scenario).collect(), share: terms.share }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{distill::DistilledVerdict, settled::tests::settled};
    use market::ruleset::BOUNTY_REGISTRY_1_6_1 as RULES;

    const TERMS: Terms = Terms { portion: 2.0, share: 1.0 };

    fn winners(bet: &Bet) -> Vec<f64> {
        bet.scenarios.iter().map(|scenario| scenario.winners).collect()
    }

    #[test]
    fn pools_are_told_by_consensus_and_opinion_once_there_are_enough() {
        let mut history = History::new(Some(400));
        assert_eq!(winners(&history.bet(TERMS, true, 0.9, 0.9)), [0.0]);
        for (count, probability, winner) in [(19, 0.9, 0.5), (30, 0.6, 1.0)] {
            for block in 0..count {
                let verdicts = vec![Some(DistilledVerdict { probability, interval: (0.0, 1.0) })];
                let settled = settled(&RULES, block, true, &[(winner, Some(true)), (0.25, Some(false)), (0.125, None)]);
                history.settled(&SettledBounty { verdicts, ..settled });
            }
        }
        // Both bins are told apart only where they have twenty; the other side knows nothing.
        assert_eq!(winners(&history.bet(TERMS, true, 0.9, 0.9)).len(), 49);
        assert_eq!(winners(&history.bet(TERMS, true, 0.6, 0.9)), [1.0; 30]);
        assert_eq!(winners(&history.bet(TERMS, false, 0.1, 0.9)), [0.0]);
        assert_eq!(history.bet(TERMS, true, 0.6, 0.9).scenarios[0].prize, 2.375);
        assert_eq!(winners(&History::new(Some(1)).bet(TERMS, true, 0.6, 0.9)), [0.0]);
    }

    #[test]
    fn merging_keeps_means() {
        let mut atoms: Vec<Atom> =
            (0..1000_u32).map(|k| Atom { weight: 1.0, winners: f64::from(k * 7919 % 1000), losers: f64::from(k % 3) }).collect();
        merge(&mut atoms, 100);
        let mean = |of: fn(&Atom) -> f64| atoms.iter().map(|atom| atom.weight * of(atom)).sum::<f64>() / 1000.0;
        assert!(atoms.len() <= 100 && (mean(|atom| atom.winners) - 499.5).abs() < 1e-9 && (mean(|atom| atom.losers) - 0.999).abs() < 1e-9);
    }
}
