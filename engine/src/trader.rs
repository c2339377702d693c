//! What an expert thinks of a bounty, what it puts on it, and what it learns when that is settled: judge and strategy
//! together. The one road from answers to bids and back, whether the expert is the engine or a rival of it.

use std::fmt;

use market::{block::BlockNumber, nct::Nct, ruleset::Bids, verdict::ArtifactSet};
use smallvec::{SmallVec, smallvec};

use crate::{
    artifact::ScanResult,
    chance::Stream,
    distill::DistilledVerdict,
    judge::Judge,
    market_view::MarketView,
    pending::Pending,
    settled::SettledBounty,
    stake::{Stake, Staker},
};

/// Why a bounty was left alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Abstention {
    /// No backend had an answer.
    NoAnswer,
    /// The strategy put nothing on it.
    NoStake,
    /// The scan was done only when assertions were no longer taken.
    Late,
    /// The wallet does not cover bids and fee.
    Unfunded,
    /// The market asks for a higher fee than allowed.
    CostlyFee,
    /// A bid would be higher than allowed.
    CostlyBid,
    /// The reveal window is too short to be met.
    ShortWindow,
}

impl fmt::Display for Abstention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Abstention::NoAnswer => "no_answer",
            Abstention::NoStake => "no_stake",
            Abstention::Late => "late",
            Abstention::Unfunded => "unfunded",
            Abstention::CostlyFee => "costly_fee",
            Abstention::CostlyBid => "costly_bid",
            Abstention::ShortWindow => "short_window",
        })
    }
}

/// What to assert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Artifacts with a stake.
    pub mask: ArtifactSet,
    /// Those of them that are called malicious.
    pub verdicts: ArtifactSet,
    /// One bid per mask bit, or a single one where the rules say so.
    pub bids: SmallVec<[Nct; 1]>,
}

/// Decides.
#[derive(Debug)]
pub struct Trader {
    judge: Judge,
    staker: Box<dyn Staker>,
    /// For a strategy that learns: what was thought of bounties that are not settled.
    thoughts: Pending<Vec<Option<DistilledVerdict>>>,
    /// For a strategy that learns: what was told, and not handed on yet.
    told: Vec<SettledBounty>,
    // Kept between decisions for their memory.
    verdicts: Vec<Option<DistilledVerdict>>,
    stakes: Vec<Option<Stake>>,
}

impl Trader {
    /// One that judges answers so, and stakes so on the verdict.
    pub fn new(judge: Judge, staker: Box<dyn Staker>) -> Trader {
        let (thoughts, told, verdicts, stakes) = Default::default();
        Trader { judge, staker, thoughts, told, verdicts, stakes }
    }

    /// The verdicts of the last decision, one per artifact.
    pub fn last_verdicts(&self) -> &[Option<DistilledVerdict>] {
        &self.verdicts
    }

    /// True if it wants to hear what becomes of every bounty that it has decided on: [`Trader::settled`].
    pub fn learns(&self) -> bool {
        self.judge.learns() || self.staker.learns()
    }

    /// True if it wants to hear what everybody staked on those, too.
    pub fn studies_stakes(&self) -> bool {
        self.staker.learns()
    }

    /// Hears what became of a bounty, from its decision on or never; in whatever order.
    pub fn settled(&mut self, settled: SettledBounty) {
        self.judge.settled(settled.block, settled.guid, settled.consensus);
        if self.staker.learns() {
            let verdicts = self.thoughts.take(settled.guid).unwrap_or_default();
            self.told.push(SettledBounty { verdicts, ..settled });
        }
    }

    /// Hands on to the strategy what was settled before block `now`.
    fn teach(&mut self, now: BlockNumber) {
        if self.told.iter().all(|settled| settled.block >= now) {
            return;
        }
        self.told.sort_unstable_by_key(|settled| (settled.block, settled.guid));
        let past = self.told.partition_point(|settled| settled.block < now);
        self.told.drain(..past).for_each(|settled| self.staker.settled(&settled));
    }

    /// Distils the answers of all backends, artifact by artifact, and stakes on what comes of it; `chance` is the strategy's
    /// own for this bounty. It knows what was settled before block `now`.
    ///
    /// # Errors
    ///
    /// Why there is nothing to assert.
    pub fn decide(
        &mut self,
        now: BlockNumber,
        view: &MarketView<'_>,
        answers: &[ScanResult],
        chance: &mut Stream,
    ) -> Result<Offer, Abstention> {
        let guid = view.bounty.guid;
        self.judge.judge(now, guid, view.bounty.artifacts, answers, &mut self.verdicts);
        if self.staker.learns() {
            self.teach(now);
        }
        if now >= view.bounty.expiration {
            return Err(Abstention::Late);
        }
        self.stakes.clear();
        self.staker.stake(view, &self.verdicts, chance, &mut self.stakes);
        if self.staker.learns() {
            self.thoughts.insert(guid, self.verdicts.clone());
        }

        let (mut mask, mut verdicts, mut bids) = (ArtifactSet::EMPTY, ArtifactSet::EMPTY, SmallVec::new());
        for (artifact, stake) in self.stakes.iter().enumerate() {
            if let Some(stake) = stake.filter(|stake| stake.bid >= view.rules.bid_minimum) {
                mask.insert(artifact);
                if stake.malicious {
                    verdicts.insert(artifact);
                }
                bids.push(stake.bid);
            }
        }
        if bids.is_empty() {
            let silent = self.verdicts.iter().all(Option::is_none);
            return Err(if silent { Abstention::NoAnswer } else { Abstention::NoStake });
        }
        if view.rules.bids == Bids::PerBounty {
            let mean = bids.iter().copied().sum::<Nct>() / bids.len() as u64;
            bids = smallvec![mean];
        }
        let price = bids.iter().try_fold(view.fees.assertion, |sum, &bid| sum.checked_add(bid));
        if price.is_none_or(|price| price > view.wallet.free) {
            return Err(Abstention::Unfunded);
        }
        Ok(Offer { mask, verdicts, bids })
    }
}
