//! One bounty, from what the engine did to what hindsight would have done, one change at a time.
//!
//! Every state on the way is settled exactly, beside the recorded stakes of everybody else, and the difference to the state
//! before is put down to the cause of the change. So the parts add up to the whole, to the wei. Their order is fixed
//! (`docs/explain.md`): another one would divide the same sum otherwise.

use alloy_primitives::U256;
use engine::{artifact::ScanResult, distill::DistilledVerdict, microengine::Abstention};
use market::{
    bounty::Assertion,
    commitment::Opening,
    id::AccountId,
    nct::{Nct, NctDelta},
    rejection::Rejection,
    ruleset::{Bids, RuleSet},
    settlement::Others,
    verdict::ArtifactSet,
};
use replay::world::Decision;
use smallvec::SmallVec;

use super::cause::Cause;

/// What was the engine's, and what would have been hindsight's, on one bounty.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The rules.
    pub rules: &'a RuleSet,
    /// What everybody else has at stake.
    pub others: Others<'a>,
    /// Artifacts that the corpus calls malicious.
    pub labels: ArtifactSet,
    /// What each backend said of each artifact, artifact by artifact.
    pub answers: &'a [ScanResult],
    /// The engine's verdicts, one per artifact.
    pub verdicts: &'a [Option<DistilledVerdict>],
    /// What the engine did.
    pub decision: Decision,
    /// What it could have staked, fee included.
    pub free: Nct,
    /// What it staked, if it did.
    pub own: Option<&'a Stand>,
    /// What that earned.
    pub profit: NctDelta,
    /// What hindsight staked, if it did.
    pub best: Option<&'a Stand>,
}

/// An assertion without the rest: what somebody stakes on a bounty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stand {
    /// Artifacts with a stake.
    pub mask: ArtifactSet,
    /// Those that are called malicious.
    pub verdicts: ArtifactSet,
    /// One bid per mask bit, or a single one where the rules say so.
    pub bids: SmallVec<[Nct; 1]>,
}

/// Changes of the profit with their causes, in the order in which they were made; none of them nothing.
pub type Steps = SmallVec<[(Cause, NctDelta); 4]>;

impl Stand {
    /// What an assertion stakes; of one that was not revealed, on these verdicts.
    pub fn of(assertion: &Assertion, verdicts: &[Option<DistilledVerdict>]) -> Stand {
        let meant = |artifact: usize| verdicts[artifact].is_some_and(|verdict| verdict.malicious());
        let verdicts = match assertion.revealed() {
            Some(opening) => opening.verdicts,
            None => ArtifactSet::collect(verdicts.len(), meant),
        };
        Stand { mask: assertion.mask, verdicts, bids: assertion.bids.clone() }
    }

    fn set_verdict(&mut self, artifact: usize, malicious: bool) {
        self.verdicts.set(artifact, malicious);
    }

    /// Stakes on one artifact more, what `other` stakes on it; where one bid is for all, it stays what it is.
    fn join(&mut self, artifact: usize, other: &Stand, bids: Bids) {
        match bids {
            Bids::PerArtifact => self.bids.insert(self.mask.rank(artifact), other.bids[other.mask.rank(artifact)]),
            Bids::PerBounty if self.bids.is_empty() => self.bids.clone_from(&other.bids),
            Bids::PerBounty => {}
        }
        self.mask.insert(artifact);
        self.set_verdict(artifact, other.verdicts.contains(artifact));
    }
}

impl Case<'_> {
    /// The steps from the engine's profit to `most`, which is what hindsight earned.
    ///
    /// # Errors
    ///
    /// [`Rejection::Overflow`] where a product exceeds 256 bits.
    pub fn steps(&self, most: NctDelta) -> Result<Steps, Rejection> {
        let mut road = Road { at: self.profit, steps: Steps::new() };
        match self.decision {
            // Who sizes stakes by what is free wants nothing where there is nothing.
            Decision::Abstained(Abstention::NoStake) if self.is_broke() => road.to(Cause::Unfunded, self.worth(self.best)?),
            Decision::Asserted(_) | Decision::Abstained(Abstention::NoStake) => self.mend(&mut road)?,
            Decision::Abstained(Abstention::Late) => road.to(Cause::Late, self.worth(self.best)?),
            Decision::Abstained(Abstention::Unfunded) => road.to(Cause::Unfunded, self.worth(self.best)?),
            Decision::Abstained(Abstention::NoAnswer) => road.to(Cause::NoOpinion, self.worth(self.best)?),
            // In process, there are no limits but the market's.
            Decision::Abstained(Abstention::CostlyFee | Abstention::CostlyBid | Abstention::ShortWindow) | Decision::Refused(_) => {
                road.to(Cause::Refused, self.worth(self.best)?);
            }
        }
        road.to(Cause::MisSizedStake, self.worth(self.best)?);
        road.to(Cause::Others, most);
        Ok(road.steps)
    }

    /// Reveals, then turns every wrong side, then adds every artifact that hindsight stakes on and the engine did not.
    fn mend(&self, road: &mut Road) -> Result<(), Rejection> {
        let nothing = || Stand { mask: ArtifactSet::EMPTY, verdicts: ArtifactSet::EMPTY, bids: SmallVec::new() };
        let mut stand = self.own.cloned().unwrap_or_else(nothing);
        if self.own.is_some() {
            road.to(Cause::Unrevealed, self.worth(Some(&stand))?);
        }
        for artifact in 0..self.others.stakes.len() {
            let side = stand.verdicts.contains(artifact);
            if stand.mask.contains(artifact) && self.is_wrong(artifact, side) {
                stand.set_verdict(artifact, !side);
                road.to(self.blame(artifact, side), self.worth(Some(&stand))?);
            }
        }
        let Some(best) = self.best else { return Ok(()) };
        for artifact in 0..self.others.stakes.len() {
            if best.mask.contains(artifact) && !stand.mask.contains(artifact) {
                let cause = match self.verdicts.get(artifact).copied().flatten() {
                    None => Cause::NoOpinion,
                    Some(verdict) if self.is_wrong(artifact, verdict.malicious()) => self.blame(artifact, verdict.malicious()),
                    Some(_) => Cause::WrongAbstention,
                };
                stand.join(artifact, best, self.rules.bids);
                road.to(cause, self.worth(Some(&stand))?);
            }
        }
        Ok(())
    }

    /// True if the wallet did not even cover the least bid and the fee.
    fn is_broke(&self) -> bool {
        self.free.saturating_sub(self.others.fees.assertion) < self.rules.bid_minimum
    }

    /// True if the arbiters decided for the other side; without votes nobody is wrong.
    fn is_wrong(&self, artifact: usize, malicious: bool) -> bool {
        self.others.consensus.is_some_and(|consensus| consensus.contains(artifact) != malicious)
    }

    /// Why a side is wrong.
    fn blame(&self, artifact: usize, side: bool) -> Cause {
        let backends = self.answers.len() / self.others.stakes.len();
        let mut answers = self.answers[artifact * backends..(artifact + 1) * backends].iter().filter_map(|answer| answer.malicious);
        match self.verdicts.get(artifact).copied().flatten() {
            _ if self.labels.contains(artifact) == side => Cause::ArbiterNoise,
            None => Cause::NoOpinion,
            Some(verdict) if verdict.malicious() != side => Cause::AgainstVerdict,
            Some(_) if answers.any(|malicious| malicious != side) => Cause::Distillation,
            Some(_) => Cause::ScanError,
        }
    }

    /// What a stake is worth beside those of others.
    fn worth(&self, stand: Option<&Stand>) -> Result<NctDelta, Rejection> {
        let Some(Stand { mask, verdicts, bids }) = stand else { return Ok(NctDelta::ZERO) };
        let opening = Opening { nonce: U256::ONE, verdicts: *verdicts };
        let assertion = Assertion::opened(AccountId::NOBODY, bids.clone(), *mask, opening);
        Ok(self.others.settle(self.rules, &assertion)?.profit())
    }
}

/// Where the profit stands on its way, and how it came there.
struct Road {
    at: NctDelta,
    steps: Steps,
}

impl Road {
    fn to(&mut self, cause: Cause, profit: NctDelta) {
        if profit != self.at {
            self.steps.push((cause, profit - self.at));
            self.at = profit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::chance::{Key, Stream};
    use market::{
        quorum::Tally,
        ruleset::{self, BOUNTY_REGISTRY_1_0_0, BOUNTY_REGISTRY_1_6_1},
        settlement::{self, Fees, Stakes},
    };

    const FEES: Fees = Fees { bounty: Nct::wei(1), assertion: BOUNTY_REGISTRY_1_6_1.assertion_fee };

    fn set(digits: &str) -> ArtifactSet {
        ArtifactSet::collect(digits.len(), |artifact| digits.as_bytes()[artifact] == b'1')
    }

    fn stand(mask: &str, verdicts: &str, bids: &[&str]) -> Stand {
        Stand { mask: set(mask), verdicts: set(verdicts), bids: bids.iter().map(|bid| bid.parse().unwrap()).collect() }
    }

    fn opened(stand: &Stand) -> Assertion {
        let opening = Opening { nonce: U256::ONE, verdicts: stand.verdicts };
        Assertion::opened(AccountId(9), stand.bids.clone(), stand.mask, opening)
    }

    /// A settled bounty with the assertions of others.
    struct Pot {
        amount: Nct,
        consensus: Option<ArtifactSet>,
        others: Vec<Assertion>,
        tally: Tally,
        stakes: Vec<Option<Stakes>>,
    }

    impl Pot {
        fn new(rules: &RuleSet, artifacts: usize, amount: Nct, consensus: Option<ArtifactSet>, others: &[Stand]) -> Pot {
            let mut tally = Tally::new(artifacts);
            if let Some(consensus) = consensus {
                tally.votes = 1;
                (0..artifacts).for_each(|artifact| tally.malicious[artifact] = u32::from(consensus.contains(artifact)));
            }
            let (others, mut stakes) = (others.iter().map(opened).collect::<Vec<_>>(), Vec::new());
            Others::stakes(rules, &settlement::ClosedBounty { amount, fees: FEES, assertions: &others, tally: &tally }, &mut stakes)
                .unwrap();
            Pot { amount, consensus, others, tally, stakes }
        }

        fn others(&self) -> Others<'_> {
            let assertions = self.others.len() as u64;
            Others { amount: self.amount, fees: FEES, consensus: self.consensus, assertions, stakes: &self.stakes }
        }

        /// What the market's whole settlement pays one more assertion.
        fn worth(&self, rules: &RuleSet, stand: Option<&Stand>) -> NctDelta {
            let Some(stand) = stand else { return NctDelta::ZERO };
            let mut assertions = self.others.clone();
            assertions.push(opened(stand));
            let bounty = settlement::ClosedBounty { amount: self.amount, fees: FEES, assertions: &assertions, tally: &self.tally };
            settlement::settle(rules, &bounty).unwrap().experts.last().unwrap().profit()
        }
    }

    fn verdict(probability: f64) -> Option<DistilledVerdict> {
        Some(DistilledVerdict { probability, interval: (probability, probability) })
    }

    /// On one artifact that the consensus calls malicious: what the backends and the distilled verdict said of it, as `m`, `b`
    /// and `-`, what was staked on which side, and whether the label is malicious; and the causes of what it cost, in NCT.
    fn check(answers: &str, distilled: char, own: Option<(bool, &str)>, label: bool, expected: &[(Cause, &str)]) {
        let rules = &BOUNTY_REGISTRY_1_6_1;
        // One other is right with 1 NCT, one is wrong with 1: there are 4 + 1 to win.
        let pot = Pot::new(rules, 1, Nct::whole(4), Some(set("1")), &[stand("1", "1", &["1"]), stand("1", "0", &["1"])]);
        let said = |letter: char| match letter {
            'm' => ScanResult::verdict(true),
            'b' => ScanResult::verdict(false),
            _ => ScanResult::NONE,
        };
        let own = own.map(|(malicious, bid)| stand("1", if malicious { "1" } else { "0" }, &[bid]));
        let best = stand("1", "1", &["1"]);
        let case = Case {
            rules,
            others: pot.others(),
            labels: if label { set("1") } else { set("0") },
            answers: &answers.chars().map(said).collect::<Vec<_>>(),
            verdicts: &[match distilled {
                'm' => verdict(0.9),
                'b' => verdict(0.1),
                _ => None,
            }],
            decision: if own.is_some() { Decision::Asserted(0) } else { Decision::Abstained(Abstention::NoStake) },
            free: Nct::whole(100),
            own: own.as_ref(),
            profit: pot.worth(rules, own.as_ref()),
            best: Some(&best),
        };
        let steps = case.steps(pot.worth(rules, Some(&best))).unwrap();
        let shown: Vec<(Cause, String)> = steps.iter().map(|(cause, cost)| (*cause, cost.to_string())).collect();
        let expected: Vec<(Cause, String)> = expected.iter().map(|(cause, cost)| (*cause, format!("{cost} NCT"))).collect();
        assert_eq!(shown, expected, "{answers} {distilled} {own:?} {label}");
    }

    #[test]
    fn every_difference_has_its_cause() {
        // Right with half a NCT: 5/3 against 5/2 for a whole one; wrong, it loses the half, and others win it.
        let turned = "+2.166666666666666666";
        let grown = (Cause::MisSizedStake, "+0.833333333333333334");
        check("m", 'm', Some((true, "1")), true, &[]);
        check("m", 'm', Some((true, "0.5")), true, &[grown]);
        check("b", 'b', Some((false, "0.5")), true, &[(Cause::ScanError, turned), grown]);
        check("-b", 'b', Some((false, "0.5")), true, &[(Cause::ScanError, turned), grown]);
        check("mb", 'b', Some((false, "0.5")), true, &[(Cause::Distillation, turned), grown]);
        check("mb", 'm', Some((false, "0.5")), true, &[(Cause::AgainstVerdict, turned), grown]);
        check("--", '-', Some((false, "0.5")), true, &[(Cause::NoOpinion, turned), grown]);
        check("mb", 'b', Some((false, "0.5")), false, &[(Cause::ArbiterNoise, turned), grown]);
        check("bb", 'b', Some((false, "1")), false, &[(Cause::ArbiterNoise, "+3.5")]);
        // Nothing staked: all there was to win, less the fee.
        let all = "+2.46875";
        check("m", 'm', None, true, &[(Cause::WrongAbstention, all)]);
        check("mb", 'b', None, true, &[(Cause::Distillation, all)]);
        check("b", 'b', None, true, &[(Cause::ScanError, all)]);
        check("b", 'b', None, false, &[(Cause::ArbiterNoise, all)]);
        check("-", '-', None, true, &[(Cause::NoOpinion, all)]);
    }

    #[test]
    fn sides_are_turned_before_artifacts_are_added_and_stakes_come_last() {
        let others = [stand("111", "110", &["1"]), stand("111", "001", &["3"])];
        for (rules, own, between, best) in [
            // A bid for each artifact: what is added brings hindsight's along.
            (
                &BOUNTY_REGISTRY_1_6_1,
                stand("101", "001", &["0.5", "0.25"]),
                [stand("101", "101", &["0.5", "0.25"]), stand("101", "100", &["0.5", "0.25"]), stand("111", "110", &["0.5", "1", "0.25"])],
                stand("111", "110", &["1", "1", "1"]),
            ),
            // One bid for all stays what it is until the end.
            (
                &BOUNTY_REGISTRY_1_0_0,
                stand("101", "001", &["0.5"]),
                [stand("101", "101", &["0.5"]), stand("101", "100", &["0.5"]), stand("111", "110", &["0.5"])],
                stand("111", "110", &["2"]),
            ),
        ] {
            let others = others.clone().map(|other| match rules.bids {
                Bids::PerBounty => other,
                Bids::PerArtifact => Stand { bids: [other.bids[0]; 3].into_iter().collect(), ..other },
            });
            let pot = Pot::new(rules, 3, Nct::whole(6), Some(set("110")), &others);
            let worth = |stand: &Stand| pot.worth(rules, Some(stand));
            let case = Case {
                rules,
                others: pot.others(),
                labels: set("111"),
                answers: &[ScanResult::verdict(false), ScanResult::verdict(true), ScanResult::verdict(true)],
                verdicts: &[verdict(0.2), verdict(0.7), verdict(0.9)],
                decision: Decision::Asserted(0),
                free: Nct::whole(100),
                own: Some(&own),
                profit: worth(&own),
                best: Some(&best),
            };
            let [first, second, third] = between;
            let expected = [
                (Cause::ScanError, worth(&first) - worth(&own)),
                (Cause::ArbiterNoise, worth(&second) - worth(&first)),
                (Cause::WrongAbstention, worth(&third) - worth(&second)),
                (Cause::MisSizedStake, worth(&best) - worth(&third)),
            ];
            assert_eq!(case.steps(worth(&best)).unwrap()[..], expected, "{}", rules.name);
        }
    }

    #[test]
    fn what_was_not_asserted_at_all_has_one_cause() {
        let rules = &BOUNTY_REGISTRY_1_0_0;
        let pot = Pot::new(rules, 2, Nct::whole(2), Some(set("10")), &[]);
        let best = stand("11", "10", &["2"]);
        for (decision, cause) in [
            (Decision::Abstained(Abstention::Late), Cause::Late),
            (Decision::Abstained(Abstention::Unfunded), Cause::Unfunded),
            (Decision::Abstained(Abstention::NoAnswer), Cause::NoOpinion),
            // A wei more would have been the least bid and the fee.
            (Decision::Abstained(Abstention::NoStake), Cause::Unfunded),
            (Decision::Refused(Rejection::Overflow { what: "nothing" }), Cause::Refused),
        ] {
            let case = Case {
                rules,
                others: pot.others(),
                labels: set("10"),
                answers: &[ScanResult::NONE; 2],
                verdicts: &[None, None],
                decision,
                free: Nct::wei(93_749_999_999_999_999),
                own: None,
                profit: NctDelta::ZERO,
                best: Some(&best),
            };
            let most = NctDelta::from("1.96875".parse::<Nct>().unwrap());
            assert_eq!(case.steps(most).unwrap()[..], [(cause, most)]);
            // What hindsight leaves alone is no loss, and who could not pay there is told apart.
            assert_eq!(Case { best: None, ..case }.steps(NctDelta::ZERO).unwrap()[..], []);
            let poorer = most - NctDelta::from(Nct::wei(5));
            assert_eq!(case.steps(poorer).unwrap()[1..], [(Cause::Others, poorer - most)]);
        }
    }

    fn any_stand(rules: &RuleSet, artifacts: usize, chance: &mut Stream) -> Stand {
        let mut mask = ArtifactSet::collect(artifacts, |_| chance.below(3) > 0);
        if mask.is_empty() {
            mask.insert(0);
        }
        let verdicts = ArtifactSet::collect(artifacts, |artifact| mask.contains(artifact) && chance.below(2) > 0);
        let bids = if rules.bids == Bids::PerBounty { 1 } else { mask.len() };
        let bids = (0..bids).map(|_| Nct::wei(u128::from(chance.below(1 << 60)) + 1)).collect();
        Stand { mask, verdicts, bids }
    }

    #[test]
    fn steps_add_up_to_the_wei_whatever_was_staked() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..20_000 {
            let mut chance = Key::root(seed).named("case").stream();
            let rules = ruleset::ALL[chance.below(2) as usize];
            let artifacts = 1 + chance.below(4) as usize;
            let any = |chance: &mut Stream| ArtifactSet::collect(artifacts, |_| chance.below(2) > 0);
            let others: Vec<Stand> = (0..chance.below(4)).map(|_| any_stand(rules, artifacts, &mut chance)).collect();
            let consensus = (chance.below(8) > 0).then(|| any(&mut chance));
            let pot = Pot::new(rules, artifacts, Nct::wei(u128::from(chance.bits())), consensus, &others);
            let own = (chance.below(3) > 0).then(|| any_stand(rules, artifacts, &mut chance));
            let best = (chance.below(6) > 0).then(|| {
                let stand = any_stand(rules, artifacts, &mut chance);
                Stand { verdicts: consensus.unwrap_or(stand.verdicts), ..stand }
            });
            let answer =
                |chance: &mut Stream| [ScanResult::NONE, ScanResult::verdict(true), ScanResult::verdict(false)][chance.below(3) as usize];
            let answers: Vec<ScanResult> = (0..2 * artifacts).map(|_| answer(&mut chance)).collect();
            let said = |answers: &[ScanResult]| answers.iter().any(|answer| answer.malicious.is_some());
            let verdicts: Vec<_> = answers.chunks(2).map(|answers| said(answers).then(|| verdict(chance.uniform()).unwrap())).collect();
            let case = Case {
                rules,
                others: pot.others(),
                labels: any(&mut chance),
                answers: &answers,
                verdicts: &verdicts,
                decision: if own.is_some() { Decision::Asserted(0) } else { Decision::Abstained(Abstention::NoStake) },
                free: Nct::whole(100),
                own: own.as_ref(),
                profit: pot.worth(rules, own.as_ref()),
                best: best.as_ref(),
            };
            let most = pot.worth(rules, best.as_ref());
            let steps = case.steps(most).unwrap();
            assert_eq!(case.profit + steps.iter().map(|(_, cost)| *cost).sum::<NctDelta>(), most, "seed {seed}");
            assert!(steps.iter().all(|(cause, cost)| *cost != NctDelta::ZERO && *cause != Cause::Others), "seed {seed}: {steps:?}");
            // Turning a wrong side gains, but for a wei of rounding.
            let blamed = |cause: &Cause| matches!(cause, Cause::ScanError | Cause::Distillation | Cause::AgainstVerdict);
            let lost = |cost: NctDelta| cost + NctDelta::from(Nct::wei(2)) < NctDelta::ZERO;
            assert!(own.is_none() || !steps.iter().take(1).any(|(cause, cost)| blamed(cause) && lost(*cost)), "seed {seed}: {steps:?}");
            seen.extend(steps.iter().map(|(cause, _)| *cause));
        }
        assert_eq!(seen.len(), 7, "{seen:?}");
    }
}
