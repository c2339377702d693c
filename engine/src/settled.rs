//! A bounty that is over, as everybody can read it on chain: what strategies learn from.
//!
//! Here is also the payoff of a bid beside those of others, in NCT as floats: it serves decisions, no money is moved by it.
//! A bid on one of several artifacts is reckoned as the rules take it: under [`Bids::PerArtifact`] the bid competes for the
//! artifact's portion of the amount; under [`Bids::PerBounty`] the whole bid competes for the whole amount, and an artifact
//! counts as one of n (staking.md, section 2).

use market::{
    block::BlockNumber,
    bounty::{Assertion, Bounty},
    id::{AccountId, Guid},
    nct::Nct,
    ruleset::Bids,
    verdict::ArtifactSet,
};
use smallvec::SmallVec;

use crate::{distill::DistilledVerdict, market_view::MarketView};

/// What became of a bounty.
#[derive(Clone, PartialEq, Debug)]
pub struct SettledBounty {
    /// Its name.
    pub guid: Guid,
    /// First block in which it could be settled without quorum.
    pub block: BlockNumber,
    /// Reward for all artifacts together.
    pub amount: Nct,
    /// Number of artifacts.
    pub artifacts: usize,
    /// How assertions on it staked.
    pub bids: Bids,
    /// Fee of an assertion.
    pub fee: Nct,
    /// Artifacts that the arbiters' votes made malicious; `None` without votes.
    pub consensus: Option<ArtifactSet>,
    /// All assertions, in order of posting; `None` if nobody asked for them, or nobody knows.
    pub assertions: Option<Vec<SettledAssertion>>,
    /// Position of the own assertion among them.
    pub own: Option<usize>,
    /// What the engine itself thought when it decided, one entry per artifact; empty if it did not. The
    /// [`Microengine`](crate::microengine::Microengine) adds it for its strategy.
    pub verdicts: Vec<Option<DistilledVerdict>>,
}

/// An assertion when all is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettledAssertion {
    /// The expert.
    pub author: AccountId,
    /// Artifacts it has an opinion on.
    pub mask: ArtifactSet,
    /// Its bids, one per mask bit (or one in all, where the rules say so).
    pub bids: SmallVec<[Nct; 1]>,
    /// Malicious artifacts; `None` if it was never revealed, which counts as wrong.
    pub verdicts: Option<ArtifactSet>,
}

impl From<&Assertion> for SettledAssertion {
    fn from(assertion: &Assertion) -> SettledAssertion {
        let verdicts = assertion.revealed().map(|opening| opening.verdicts);
        SettledAssertion { author: assertion.author, mask: assertion.mask, bids: assertion.bids.clone(), verdicts }
    }
}

impl SettledAssertion {
    /// The bid that competes on an artifact, in NCT.
    pub fn bid(&self, artifact: usize, bids: Bids) -> Option<f64> {
        let place = match bids {
            Bids::PerBounty => 0,
            Bids::PerArtifact => self.mask.rank(artifact),
        };
        self.bids.get(place).filter(|_| self.mask.contains(artifact)).map(|bid| bid.to_f64())
    }
}

/// What there is to win on each of a bounty's artifacts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Terms {
    /// What the bounty pays to the winners, in NCT.
    pub portion: f64,
    /// Part of a bid, and of what it wins, that is settled on one artifact.
    pub share: f64,
}

impl Terms {
    /// Of a bounty of `amount` wei.
    pub fn new(bids: Bids, amount: Nct, artifacts: usize) -> Terms {
        let artifacts = artifacts.max(1) as f64;
        match bids {
            Bids::PerBounty => Terms { portion: amount.to_f64(), share: 1.0 / artifacts },
            Bids::PerArtifact => Terms { portion: amount.to_f64() / artifacts, share: 1.0 },
        }
    }

    /// Of the bounty in view.
    pub fn of(view: &MarketView<'_>) -> Terms {
        Terms::new(view.rules.bids, view.bounty.amount, view.bounty.artifacts)
    }
}

/// Stakes on one artifact, in NCT.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Pools {
    /// On malicious.
    pub malicious: f64,
    /// On benign.
    pub benign: f64,
    /// Never revealed: they lose either way.
    pub unrevealed: f64,
}

impl Pools {
    /// Adds a stake.
    pub fn add(&mut self, bid: f64, malicious: Option<bool>) {
        *match malicious {
            Some(true) => &mut self.malicious,
            Some(false) => &mut self.benign,
            None => &mut self.unrevealed,
        } += bid;
    }

    /// Winners' and losers' stakes if that is the consensus.
    pub fn if_malicious(&self, malicious: bool) -> (f64, f64) {
        let (winners, losers) = if malicious { (self.malicious, self.benign) } else { (self.benign, self.malicious) };
        (winners, losers + self.unrevealed)
    }
}

/// What one side of an artifact turned out to pay, beside the stakes of everybody else.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Payoff {
    /// True if it was the consensus.
    pub right: bool,
    /// Bounty's portion and losers' stakes, in NCT: what the winners share.
    pub prize: f64,
    /// The other winners' stakes, in NCT.
    pub winners: f64,
    /// See [`Terms::share`].
    pub share: f64,
}

impl Payoff {
    /// The profit of a bid in NCT, before the fee: `S b / (W + b)` or `-b`.
    pub fn gain(&self, bid: f64) -> f64 {
        match (bid > 0.0, self.right) {
            (false, _) => 0.0,
            (true, true) => self.share * self.prize * bid / (self.winners + bid),
            (true, false) => -self.share * bid,
        }
    }
}

impl SettledBounty {
    /// What is known of a bounty on chain, when it is settled in that block under those rules: all but the assertions.
    pub fn of(bounty: &Bounty, block: BlockNumber, bids: Bids, fee: Nct, consensus: Option<ArtifactSet>) -> SettledBounty {
        let Bounty { guid, amount, artifacts, .. } = *bounty;
        SettledBounty { guid, block, amount, artifacts, bids, fee, consensus, assertions: None, own: None, verdicts: Vec::new() }
    }

    /// What everybody staked, as it stands on chain.
    pub fn assertions_of(bounty: &Bounty) -> Vec<SettledAssertion> {
        bounty.assertions.iter().map(SettledAssertion::from).collect()
    }

    /// What there was to win.
    pub fn terms(&self) -> Terms {
        Terms::new(self.bids, self.amount, self.artifacts)
    }

    /// What everybody else put on an artifact; `None` if nobody knows.
    pub fn pools(&self, artifact: usize) -> Option<Pools> {
        let mut pools = Pools::default();
        for (place, assertion) in self.assertions.as_ref()?.iter().enumerate() {
            if let Some(bid) = assertion.bid(artifact, self.bids).filter(|_| self.own != Some(place)) {
                pools.add(bid, assertion.verdicts.map(|verdicts| verdicts.contains(artifact)));
            }
        }
        Some(pools)
    }

    /// What a side of an artifact paid; `None` without votes, or if nobody knows.
    pub fn payoff(&self, artifact: usize, malicious: bool) -> Option<Payoff> {
        let (consensus, terms) = (self.consensus?.contains(artifact), self.terms());
        let (winners, losers) = self.pools(artifact)?.if_malicious(consensus);
        Some(Payoff { right: consensus == malicious, prize: terms.portion + losers, winners, share: terms.share })
    }

    /// One artifact's part of the fee, in NCT.
    pub fn fee_share(&self) -> f64 {
        self.fee.to_f64() / self.artifacts.max(1) as f64
    }

    /// The artifacts that the engine had an opinion on: which, what it was, and what asserting it paid.
    pub fn lessons(&self) -> impl Iterator<Item = (usize, DistilledVerdict, Payoff)> {
        self.verdicts.iter().enumerate().filter_map(|(artifact, verdict)| {
            let verdict = (*verdict)?;
            Some((artifact, verdict, self.payoff(artifact, verdict.malicious())?))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use market::ruleset::RuleSet;

    /// A bounty of 2 NCT on one artifact: for each assertion its bid in NCT, and its verdict if it was revealed.
    pub(crate) fn settled(rules: &RuleSet, block: u64, malicious: bool, assertions: &[(f64, Option<bool>)]) -> SettledBounty {
        let assertion = |&(bid, verdict): &(f64, Option<bool>)| SettledAssertion {
            author: AccountId(7),
            mask: ArtifactSet::first(1),
            bids: [Nct::wei((bid * 1e18) as u128)].into_iter().collect(),
            verdicts: verdict.map(|malicious| ArtifactSet::collect(1, |_| malicious)),
        };
        SettledBounty {
            guid: Guid(u128::from(block)),
            block: BlockNumber(block),
            amount: Nct::whole(2),
            artifacts: 1,
            bids: rules.bids,
            fee: rules.assertion_fee,
            consensus: Some(ArtifactSet::collect(1, |_| malicious)),
            assertions: Some(assertions.iter().map(assertion).collect()),
            own: None,
            verdicts: vec![Some(DistilledVerdict { probability: 0.8, interval: (0.7, 0.9) })],
        }
    }
}
