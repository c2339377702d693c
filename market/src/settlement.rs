//! Who gets what: the rewards of a bounty and the draw of its arbiter. Pure functions; nothing moves here.
//!
//! Sources: BountyRegistry.calculateBountyRewards and getWeightedRandomArbiter of 1.0.0 and 1.6.1. The two versions
//! differ in where they divide: 1.6.1 splits the amount over the artifacts first and rounds every share, 1.0.0 sums
//! undivided shares over all artifacts and divides once at the end.

use alloy_primitives::{B256, U256, keccak256};
use smallvec::SmallVec;

use crate::{
    block::BlockNumber,
    bounty::{Assertion, Bounty},
    id::AccountId,
    nct::{Nct, NctDelta},
    quorum::Tally,
    rejection::Rejection,
    ruleset::{Bids, RuleSet},
    verdict::ArtifactSet,
};

pub use crate::rewards::{ExpertReward, Fees, Rewards};

/// All that a bounty's rewards depend on.
#[derive(Clone, Copy, Debug)]
pub struct ClosedBounty<'a> {
    /// Reward for all artifacts together.
    pub amount: Nct,
    /// Fees that the settlement reckons with.
    pub fees: Fees,
    /// Assertions in order of posting.
    pub assertions: &'a [Assertion],
    /// The votes.
    pub tally: &'a Tally,
}

impl Bounty {
    /// What this bounty would be settled on at present.
    pub fn closed(&self, fees: Fees) -> ClosedBounty<'_> {
        ClosedBounty { amount: self.amount, fees, assertions: &self.assertions, tally: &self.tally }
    }
}

const OVERFLOW: Rejection = Rejection::Overflow { what: "the rewards of the bounty" };

/// The rewards of `bounty` as the contract computes them in every `settleBounty`.
///
/// # Errors
///
/// [`Rejection::Overflow`] where the contract's arithmetic reverts: products beyond 256 bits, and a pot that promised
/// shares overdraw (S2). Such a bounty can never be settled.
pub fn settle(rules: &RuleSet, bounty: &ClosedBounty<'_>) -> Result<Rewards, Rejection> {
    let mut rewards = Rewards::default();
    settle_into(rules, bounty, &mut rewards)?;
    Ok(rewards)
}

/// [`settle`] in the memory of other rewards, which are gone even if it fails.
///
/// # Errors
///
/// As [`settle`].
pub fn settle_into(rules: &RuleSet, bounty: &ClosedBounty<'_>, rewards: &mut Rewards) -> Result<(), Rejection> {
    (rewards.refund, rewards.arbiter) = (Nct::ZERO, Nct::ZERO);
    rewards.experts.clear();
    rewards.experts.reserve(bounty.assertions.len());
    match rules.bids {
        Bids::PerArtifact => per_artifact(rules, bounty, rewards),
        Bids::PerBounty => per_bounty(rules, bounty, rewards),
    }
    .ok_or(OVERFLOW)
}

/// Everything the bounty took in but the bids: amount and fees.
fn pot_without_bids(bounty: &ClosedBounty<'_>) -> Option<Nct> {
    let fees = bounty.fees.assertion.checked_mul(bounty.assertions.len() as u64)?;
    fees.checked_add(bounty.fees.bounty)?.checked_add(bounty.amount)
}

/// Everything the bounty took in: amount, fees and bids.
fn pot(bounty: &ClosedBounty<'_>) -> Option<Nct> {
    bounty.assertions.iter().try_fold(pot_without_bids(bounty)?, |pot, assertion| pot.checked_add(assertion.staked()?))
}

/// What a settlement reckons in: the contracts' 256 bits ([`Nct`]), or 128 bits where they are known to suffice.
///
/// Every operation is exact or `None`, so a result in 128 bits is the contracts' result.
trait Wei: Copy + Default {
    fn of(amount: Nct) -> Option<Self>;
    fn nct(self) -> Nct;
    fn plus(self, other: Self) -> Option<Self>;
    fn minus(self, other: Self) -> Option<Self>;
    fn share(self, numerator: Self, denominator: Self) -> Option<Self>;
}

impl Wei for Nct {
    fn of(amount: Nct) -> Option<Nct> {
        Some(amount)
    }
    fn nct(self) -> Nct {
        self
    }
    fn plus(self, other: Nct) -> Option<Nct> {
        self.checked_add(other)
    }
    fn minus(self, other: Nct) -> Option<Nct> {
        self.checked_sub(other)
    }
    fn share(self, numerator: Nct, denominator: Nct) -> Option<Nct> {
        self.mul_div(numerator, denominator)
    }
}

impl Wei for u128 {
    #[inline]
    fn of(amount: Nct) -> Option<u128> {
        amount.to_wei()
    }
    #[inline]
    fn nct(self) -> Nct {
        Nct::wei(self)
    }
    #[inline]
    fn plus(self, other: u128) -> Option<u128> {
        self.checked_add(other)
    }
    #[inline]
    fn minus(self, other: u128) -> Option<u128> {
        self.checked_sub(other)
    }
    #[inline]
    fn share(self, numerator: u128, denominator: u128) -> Option<u128> {
        let product = match (u64::try_from(self), u64::try_from(numerator)) {
            (Ok(a), Ok(b)) => u128::from(a) * u128::from(b),
            _ => self.checked_mul(numerator)?,
        };
        Some(product / denominator)
    }
}

/// Winners' and losers' stakes on one artifact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Sides<N> {
    consensus: bool,
    winners: N,
    losers: N,
}

impl<N: Wei> Sides<N> {
    /// True if the assertion is revealed and right; an unrevealed one counts as wrong.
    #[inline]
    fn wins(&self, assertion: &Assertion, artifact: usize) -> bool {
        assertion.revealed().is_some_and(|opening| opening.verdicts.contains(artifact) == self.consensus)
    }

    /// Splits the assertions on `artifact`; `None` inside if nobody has an opinion on it.
    #[inline]
    fn split(rules: &RuleSet, bounty: &ClosedBounty<'_>, artifact: usize, bid: impl Fn(&Assertion) -> Nct) -> Option<Option<Sides<N>>> {
        let mut sides = Sides::nobody(bounty.tally.is_malicious(rules, artifact));
        let mut opinions = false;
        for assertion in bounty.assertions {
            if assertion.mask.contains(artifact) {
                opinions = true;
                sides.add(assertion, artifact, bid(assertion))?;
            }
        }
        Some(opinions.then_some(sides))
    }

    #[inline]
    fn nobody(consensus: bool) -> Sides<N> {
        Sides { consensus, winners: N::default(), losers: N::default() }
    }

    /// Adds the bid of an assertion that has an opinion on `artifact`.
    #[inline]
    fn add(&mut self, assertion: &Assertion, artifact: usize, bid: Nct) -> Option<()> {
        let side = if self.wins(assertion, artifact) { &mut self.winners } else { &mut self.losers };
        *side = side.plus(N::of(bid)?)?;
        Some(())
    }
}

/// 1.6.1: a bid per artifact, a portion of the amount per artifact, every share rounded down.
fn per_artifact(rules: &RuleSet, bounty: &ClosedBounty<'_>, rewards: &mut Rewards) -> Option<()> {
    match (bounty.assertions.is_empty(), bounty.tally.votes > 0) {
        (true, true) => rewards.refund = bounty.amount,
        (true, false) => rewards.refund = bounty.amount.checked_add(bounty.fees.bounty)?,
        (false, false) => {
            rewards.refund = bounty.fees.bounty;
            let share = bounty.amount / bounty.tally.malicious.len() as u64 / bounty.assertions.len() as u64;
            for assertion in bounty.assertions {
                rewards.experts.push(unvoted_reward(assertion, share, bounty.fees.assertion)?);
            }
        }
        // Twice as fast in 128 bits, which suffice for every amount of the real supply.
        (false, true) => return voted::<u128>(rules, bounty, rewards).or_else(|| voted::<Nct>(rules, bounty, rewards)),
    }
    let mut left = pot(bounty)?.checked_sub(rewards.refund)?;
    for reward in &rewards.experts {
        left = left.checked_sub(reward.payout)?;
    }
    if rules.switches.return_unclaimed_shares && bounty.tally.votes == 0 {
        rewards.refund = rewards.refund.checked_add(left)?;
        left = Nct::ZERO;
    }
    rewards.arbiter = left;
    Some(())
}

/// 1.6.1 with assertions and votes.
fn voted<N: Wei>(rules: &RuleSet, bounty: &ClosedBounty<'_>, rewards: &mut Rewards) -> Option<()> {
    rewards.experts.clear();
    let portion = bounty.amount / bounty.tally.malicious.len() as u64;
    let mut sides: SmallVec<[Option<Sides<N>>; 1]> = SmallVec::new();
    let mut refund = N::default();
    for artifact in 0..bounty.tally.malicious.len() {
        let split = Sides::split(rules, bounty, artifact, |assertion| bid_on(assertion, artifact))?;
        if split.is_none() {
            refund = refund.plus(N::of(portion)?)?;
        }
        sides.push(split);
    }
    let portion = N::of(portion)?;
    let (mut pot, mut paid) = (N::of(pot_without_bids(bounty)?)?, refund);
    for assertion in bounty.assertions {
        let Voted { staked, payout, reward } = voted_reward(&sides, assertion, portion, bounty.fees.assertion)?;
        pot = pot.plus(staked)?;
        paid = paid.plus(payout)?;
        rewards.experts.push(reward);
    }
    rewards.refund = refund.nct();
    rewards.arbiter = pot.minus(paid)?.nct();
    Some(())
}

/// One assertion's part of a bounty of 1.6.1 with votes.
struct Voted<N> {
    staked: N,
    payout: N,
    reward: ExpertReward,
}

#[inline(always)]
fn voted_reward<N: Wei>(sides: &[Option<Sides<N>>], assertion: &Assertion, portion: N, fee: Nct) -> Option<Voted<N>> {
    let (mut kept, mut losers_share, mut bounty_share) = (N::default(), N::default(), N::default());
    for (artifact, sides) in sides.iter().enumerate() {
        if let Some(sides) = sides
            && assertion.mask.contains(artifact)
            && sides.wins(assertion, artifact)
        {
            let bid = N::of(bid_on(assertion, artifact))?;
            kept = kept.plus(bid)?;
            losers_share = losers_share.plus(bid.share(sides.losers, sides.winners)?)?;
            bounty_share = bounty_share.plus(bid.share(portion, sides.winners)?)?;
        }
    }
    let staked = N::of(assertion.staked()?)?;
    let payout = kept.plus(losers_share)?.plus(bounty_share)?;
    let reward = ExpertReward {
        payout: payout.nct(),
        bounty_share: bounty_share.nct(),
        losers_share: losers_share.nct(),
        lost_stake: staked.minus(kept)?.nct(),
        fee_lost: fee,
        ..ExpertReward::default()
    };
    Some(Voted { staked, payout, reward })
}

/// One assertion's part of a bounty of 1.6.1 without votes.
fn unvoted_reward(assertion: &Assertion, share: Nct, fee: Nct) -> Option<ExpertReward> {
    // Once per bid, bits beyond the artifacts included (S2); whether it was revealed plays no role.
    let no_vote_share = share.checked_mul(assertion.bids.len() as u64)?;
    let payout = fee.checked_add(assertion.staked()?)?.checked_add(no_vote_share)?;
    Some(ExpertReward { payout, no_vote_share, ..ExpertReward::default() })
}

/// The bid of an assertion on an artifact that it has an opinion on.
#[inline]
fn bid_on(assertion: &Assertion, artifact: usize) -> Nct {
    match assertion.bids[..] {
        [only] => only,
        ref bids => bids[assertion.mask.rank(artifact)],
    }
}

/// 1.0.0: one bid shared by all artifacts; shares are summed undivided and divided once by the number of artifacts.
fn per_bounty(rules: &RuleSet, bounty: &ClosedBounty<'_>, rewards: &mut Rewards) -> Option<()> {
    let artifacts = bounty.tally.malicious.len() as u64;
    let voted = bounty.tally.votes > 0;
    let mut refund = Nct::ZERO; // times the number of artifacts, until the end
    match (bounty.assertions.is_empty(), voted) {
        (true, true) => refund = bounty.amount.checked_mul(artifacts)?,
        (true, false) => refund = bounty.amount.checked_add(bounty.fees.bounty)?.checked_mul(artifacts)?,
        (false, false) => {
            refund = bounty.fees.bounty.checked_mul(artifacts)?;
            let share = bounty.amount / bounty.assertions.len() as u64;
            for assertion in bounty.assertions {
                rewards.experts.push(undivided_unvoted(assertion, share, bounty.fees.assertion, artifacts)?);
            }
        }
        (false, true) => {
            let mut sides: SmallVec<[Option<Sides<Nct>>; 1]> = SmallVec::new();
            for artifact in 0..artifacts as usize {
                let split = Sides::split(rules, bounty, artifact, |assertion| assertion.bids[0])?;
                if split.is_none() {
                    refund = refund.checked_add(bounty.amount)?;
                }
                sides.push(split);
            }
            for assertion in bounty.assertions {
                rewards.experts.push(undivided_voted(&sides, assertion, bounty.amount)?);
            }
        }
    }
    rewards.refund = refund / artifacts;
    let mut left = pot(bounty)?.checked_sub(rewards.refund)?;
    for (assertion, reward) in bounty.assertions.iter().zip(&mut rewards.experts) {
        divide(reward, assertion, artifacts, voted.then_some(bounty.fees.assertion))?;
        left = left.checked_sub(reward.payout)?;
    }
    if rules.switches.return_unclaimed_shares && !voted {
        rewards.refund = rewards.refund.checked_add(left)?;
        left = Nct::ZERO;
    }
    rewards.arbiter = left;
    Some(())
}

/// One assertion's part of a bounty of 1.0.0 with votes, times the number of artifacts.
fn undivided_voted(sides: &[Option<Sides<Nct>>], assertion: &Assertion, amount: Nct) -> Option<ExpertReward> {
    let (mut reward, bid) = (ExpertReward::default(), assertion.bids[0]);
    for (artifact, sides) in sides.iter().enumerate() {
        match sides {
            Some(sides) if assertion.mask.contains(artifact) => {
                if sides.wins(assertion, artifact) {
                    let from_losers = bid.mul_div(sides.losers, sides.winners)?;
                    let from_bounty = amount.mul_div(bid, sides.winners)?;
                    reward.losers_share = reward.losers_share.checked_add(from_losers)?;
                    reward.bounty_share = reward.bounty_share.checked_add(from_bounty)?;
                    reward.payout = reward.payout.checked_add(bid)?.checked_add(from_losers)?.checked_add(from_bounty)?;
                } else {
                    reward.lost_stake = reward.lost_stake.checked_add(bid)?;
                }
            }
            // No opinion: this artifact's part of the bid comes back.
            _ => reward.payout = reward.payout.checked_add(bid)?,
        }
    }
    Some(reward)
}

/// One assertion's part of a bounty of 1.0.0 without votes, times the number of artifacts.
fn undivided_unvoted(assertion: &Assertion, share: Nct, fee: Nct, artifacts: u64) -> Option<ExpertReward> {
    let no_vote_share = share.checked_mul(artifacts)?;
    let payout = fee.checked_add(assertion.bids[0])?.checked_add(share)?.checked_mul(artifacts)?;
    Some(ExpertReward { payout, no_vote_share, ..ExpertReward::default() })
}

/// Divides an assertion's part by the number of artifacts; with votes, the fee is lost.
fn divide(reward: &mut ExpertReward, assertion: &Assertion, artifacts: u64, fee_lost: Option<Nct>) -> Option<()> {
    for part in [&mut reward.payout, &mut reward.bounty_share, &mut reward.losers_share, &mut reward.lost_stake, &mut reward.no_vote_share]
    {
        *part = *part / artifacts;
    }
    if let Some(fee_lost) = fee_lost {
        reward.fee_lost = fee_lost;
        let parts = assertion.bids[0].checked_add(reward.bounty_share)?.checked_add(reward.losers_share)?;
        reward.rounding = difference(reward.payout.checked_add(reward.lost_stake)?, parts);
    }
    Some(())
}

/// Winners' and losers' stakes on one artifact, in wei.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stakes(Sides<u128>);

/// What others have at stake on a bounty that is over: all that the reward of one more assertion depends on.
///
/// Amounts are those of a real supply, which fit 128 bits.
#[derive(Clone, Copy, Debug)]
pub struct Others<'a> {
    /// Reward for all artifacts together.
    pub amount: Nct,
    /// Fees that the settlement reckons with.
    pub fees: Fees,
    /// Artifacts that the votes made malicious; `None` without votes.
    pub consensus: Option<ArtifactSet>,
    /// Number of their assertions.
    pub assertions: u64,
    /// Their stakes on each artifact with an opinion, as [`Others::stakes`] found them.
    pub stakes: &'a [Option<Stakes>],
}

impl Others<'_> {
    /// Stakes on each artifact of `bounty`, appended to `stakes`.
    ///
    /// # Errors
    ///
    /// [`Rejection::Overflow`] beyond 128 bits.
    pub fn stakes(rules: &RuleSet, bounty: &ClosedBounty<'_>, stakes: &mut Vec<Option<Stakes>>) -> Result<(), Rejection> {
        for artifact in 0..bounty.tally.malicious.len() {
            let split = match rules.bids {
                Bids::PerArtifact => Sides::split(rules, bounty, artifact, |assertion| bid_on(assertion, artifact)),
                Bids::PerBounty => Sides::split(rules, bounty, artifact, |assertion| assertion.bids[0]),
            };
            stakes.push(split.ok_or(OVERFLOW)?.map(Stakes));
        }
        Ok(())
    }

    /// The reward of `assertion` if it is settled with those of others: as [`settle`] computes it with all of them.
    ///
    /// # Errors
    ///
    /// [`Rejection::Overflow`] where a product exceeds 256 bits.
    pub fn settle(&self, rules: &RuleSet, assertion: &Assertion) -> Result<ExpertReward, Rejection> {
        let (artifacts, count) = (self.stakes.len() as u64, self.assertions + 1);
        match (rules.bids, self.consensus) {
            (Bids::PerArtifact, Some(consensus)) => {
                let portion = self.amount / artifacts;
                let narrow = self.voted::<u128>(assertion, portion, consensus);
                narrow.or_else(|| self.voted::<Nct>(assertion, portion, consensus))
            }
            (Bids::PerArtifact, None) => unvoted_reward(assertion, self.amount / artifacts / count, self.fees.assertion),
            (Bids::PerBounty, Some(consensus)) => self.undivided(assertion, consensus),
            (Bids::PerBounty, None) => {
                let reward = undivided_unvoted(assertion, self.amount / count, self.fees.assertion, artifacts);
                reward.and_then(|mut reward| divide(&mut reward, assertion, artifacts, None).map(|()| reward))
            }
        }
        .ok_or(OVERFLOW)
    }

    fn voted<N: Wei>(&self, assertion: &Assertion, portion: Nct, consensus: ArtifactSet) -> Option<ExpertReward> {
        let sides = self.with::<N>(assertion, consensus, |artifact| bid_on(assertion, artifact))?;
        Some(voted_reward(&sides, assertion, N::of(portion)?, self.fees.assertion)?.reward)
    }

    fn undivided(&self, assertion: &Assertion, consensus: ArtifactSet) -> Option<ExpertReward> {
        let sides = self.with::<Nct>(assertion, consensus, |_| assertion.bids[0])?;
        let mut reward = undivided_voted(&sides, assertion, self.amount)?;
        divide(&mut reward, assertion, self.stakes.len() as u64, Some(self.fees.assertion))?;
        Some(reward)
    }

    /// Everybody's stakes, those of `assertion` included.
    fn with<N: Wei>(
        &self,
        assertion: &Assertion,
        consensus: ArtifactSet,
        bid: impl Fn(usize) -> Nct,
    ) -> Option<SmallVec<[Option<Sides<N>>; 1]>> {
        let mut all = SmallVec::new();
        for (artifact, stakes) in self.stakes.iter().enumerate() {
            let widen = |stake: u128| N::of(Nct::wei(stake));
            let mut sides = match stakes {
                Some(Stakes(stakes)) => {
                    Some(Sides { consensus: stakes.consensus, winners: widen(stakes.winners)?, losers: widen(stakes.losers)? })
                }
                None => None,
            };
            if assertion.mask.contains(artifact) {
                let sides = sides.get_or_insert_with(|| Sides::nobody(consensus.contains(artifact)));
                sides.add(assertion, artifact, bid(artifact))?;
            }
            all.push(sides);
        }
        Some(all)
    }
}

/// `a - b` where both may be near the top of 256 bits but differ by a few wei.
fn difference(a: Nct, b: Nct) -> NctDelta {
    Nct::minus(a.saturating_sub(b), b.saturating_sub(a))
}

impl Rewards {
    /// What `account` is due as ambassador, as expert and as the assigned arbiter.
    #[inline(always)]
    fn due(&self, bounty: &Bounty, account: AccountId, assigned: Option<AccountId>) -> [Option<&Nct>; 3] {
        let refund = (bounty.author == account).then_some(&self.refund);
        let expert = bounty.positions.of(account).map(|index| &self.experts[index].payout);
        let arbiter = (assigned == Some(account)).then_some(&self.arbiter);
        [refund, expert, arbiter]
    }

    /// What `account` is due: separate payments, as ambassador, as expert and as the assigned arbiter, in this order.
    #[inline]
    pub fn payments(&self, bounty: &Bounty, account: AccountId, assigned: Option<AccountId>) -> impl Iterator<Item = &Nct> {
        self.due(bounty, account, assigned).into_iter().flatten()
    }

    /// All of these together; `None` beyond 256 bits.
    #[inline]
    pub(crate) fn payout(&self, bounty: &Bounty, account: AccountId, assigned: Option<AccountId>) -> Option<Nct> {
        let mut payout = Nct::ZERO;
        let fits = self.due(bounty, account, assigned).map(|payment| payment.is_none_or(|&payment| payout.give(payment)));
        (fits == [true; 3]).then_some(payout)
    }
}

/// Draws the arbiter among `voters` (in vote order, each with its stake at this moment).
///
/// `hash` is the hash of the block that ends the vote window, zero when it is not known yet; `now` is the block of the
/// settlement that asks for the draw, so whoever settles first chooses the seed (S10). The first voter has one chance
/// in `sum` more than its stake, the last one less: the comparison is not strict.
///
/// # Errors
///
/// [`Rejection::DrawWithoutStake`] if no voter has stake (S8).
pub fn draw_arbiter(rules: &RuleSet, voters: &[(AccountId, Nct)], hash: B256, now: BlockNumber) -> Result<Option<AccountId>, Rejection> {
    draw_by(rules, voters, draw_number(hash, now))
}

/// The number that decides the draw of [`draw_arbiter`]; the same for all bounties that are over and settled in the same
/// blocks.
pub(crate) fn draw_number(hash: B256, now: BlockNumber) -> U256 {
    let mut seed = [0; 64];
    seed[..32].copy_from_slice(hash.as_slice());
    seed[56..].copy_from_slice(&now.0.to_be_bytes());
    U256::from_be_bytes(keccak256(seed).0)
}

/// [`draw_arbiter`] by the number that decides it.
///
/// # Errors
///
/// [`Rejection::DrawWithoutStake`] if no voter has stake (S8).
pub fn draw_by(rules: &RuleSet, voters: &[(AccountId, Nct)], number: U256) -> Result<Option<AccountId>, Rejection> {
    if voters.is_empty() {
        return Ok(None);
    }
    let overflow = Rejection::Overflow { what: "the sum of the voters' stakes" };
    let sum = voters.iter().try_fold(Nct::ZERO, |sum, &(_, stake)| sum.checked_add(stake)).ok_or(overflow)?;
    if sum.is_zero() && !rules.switches.draw_unstaked_voters {
        return Err(Rejection::DrawWithoutStake);
    }
    if sum.is_zero() {
        let index: usize = (number % U256::from(voters.len())).to();
        return Ok(Some(voters[index].0));
    }
    let mut left = Nct::from_uint(number % sum.to_uint());
    for &(voter, stake) in voters {
        let chosen = if rules.switches.even_draw { left < stake } else { left <= stake };
        if chosen {
            return Ok(Some(voter));
        }
        assert!(left.take(stake), "it is not less");
    }
    unreachable!("the remainder is below the sum of the stakes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        commitment::{Commitment, Opening},
        ruleset::{ALL, BOUNTY_REGISTRY_1_6_1},
    };

    /// Settles 1.6.1's voted bounty of `amount` with these bids, of which the first is wrong, in integers of type `N`.
    fn rewards_in<N: Wei>(amount: Nct, bids: &[Nct]) -> Option<Rewards> {
        let one = ArtifactSet::first(1);
        let assertion = |(index, &bid): (usize, &Nct)| {
            let opening = Opening { nonce: U256::ONE, verdicts: if index == 0 { ArtifactSet::EMPTY } else { one } };
            let commitment = Commitment::envelope(opening);
            Assertion { author: AccountId(9), bids: [bid].into(), mask: one, commitment, metadata: None, is_revealed: true }
        };
        let assertions: Vec<Assertion> = bids.iter().enumerate().map(assertion).collect();
        let tally = Tally { votes: 1, malicious: [1].into_iter().collect(), ..Tally::default() };
        let fees = Fees { bounty: BOUNTY_REGISTRY_1_6_1.bounty_fee, assertion: BOUNTY_REGISTRY_1_6_1.assertion_fee };
        let mut rewards = Rewards::default();
        let closed = ClosedBounty { amount, fees, assertions: &assertions, tally: &tally };
        voted::<N>(&BOUNTY_REGISTRY_1_6_1, &closed, &mut rewards)?;
        Some(rewards)
    }

    #[test]
    fn both_widths_settle_alike_and_the_narrow_one_knows_its_limit() {
        let ordinary = [Nct::wei(700_000_000_000_000_001), Nct::wei(300_000_000_000_000_007), Nct::whole(1)];
        let narrow = rewards_in::<u128>(Nct::whole(2), &ordinary);
        assert!(narrow.is_some());
        assert_eq!(narrow, rewards_in::<Nct>(Nct::whole(2), &ordinary));

        let vast = [Nct::whole(19), Nct::whole(19), Nct::whole(19)];
        assert_eq!(rewards_in::<u128>(Nct::whole(2), &vast), None, "19 NCT * 19 NCT exceeds 128 bits");
        assert!(rewards_in::<Nct>(Nct::whole(2), &vast).is_some());
    }

    #[test]
    fn an_assertion_settled_beside_the_stakes_of_others_gets_what_it_gets_among_them() {
        let (masks, bids) = ([0b011_u64, 0b110, 0b111, 0b010], [70_u128, 300, 501, 999]);
        let set = |bits: u64| ArtifactSet::from_uint(U256::from(bits));
        for (rules, votes, said) in ALL.iter().flat_map(|rules| (0..2).flat_map(move |votes| (0..8).map(move |said| (rules, votes, said))))
        {
            let assertion = |place: usize, verdicts: u64| {
                let bid = Nct::wei(bids[place] * 1_000_000_000_000_007);
                let bids = match rules.bids {
                    Bids::PerBounty => [bid].into_iter().collect(),
                    Bids::PerArtifact => (0..masks[place].count_ones()).map(|_| bid).collect(),
                };
                Assertion::opened(AccountId(9), bids, set(masks[place]), Opening { nonce: U256::ONE, verdicts: set(verdicts) })
            };
            for others in [&[][..], &[0], &[0, 1, 3]] {
                let mut all: Vec<Assertion> = others.iter().map(|&place| assertion(place, 0b101 ^ place as u64)).collect();
                let tally = Tally {
                    votes,
                    malicious: [1, 0, 1].into_iter().map(|malicious| malicious * votes as u32).collect(),
                    ..Tally::default()
                };
                let fees = Fees { bounty: rules.bounty_fee, assertion: rules.assertion_fee };
                let bounty = ClosedBounty { amount: Nct::whole(7), fees, assertions: &[], tally: &tally };
                let mut stakes = Vec::new();
                Others::stakes(rules, &ClosedBounty { assertions: &all, ..bounty }, &mut stakes).unwrap();
                let consensus = (votes > 0).then(|| tally.consensus(rules));
                let own = assertion(2, said);
                let others = Others { amount: Nct::whole(7), fees, consensus, assertions: all.len() as u64, stakes: &stakes };
                let apart = others.settle(rules, &own).unwrap();
                all.push(own);
                assert_eq!(
                    settle(rules, &ClosedBounty { assertions: &all, ..bounty }).unwrap().experts.pop(),
                    Some(apart),
                    "{} {votes} {said}",
                    rules.name
                );
            }
        }
    }
}
