//! The road of a bounty: post, assert, reveal, vote, settle. Each checks in the contract's order, then takes effect.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::{
    block::{BlockNumber, Round, Windows},
    bounty::{Assertion, Bounty, Vote, check_bids},
    command::{PostBounty, RevealAssertion},
    commitment::{Commitment, Opening},
    event::Event,
    id::{AccountId, Guid},
    nct::Nct,
    rejection::{Missed, Rejection, refuse},
    ruleset::{Bids, Edition},
    settlement::{self, Fees},
    verdict::ArtifactSet,
    word,
};

use super::Market;

impl Market {
    /// Where the bounty of that guid stands.
    #[inline]
    fn find(&mut self, guid: Guid) -> Result<usize, Rejection> {
        let recent = &mut self.recent[Market::place(guid)];
        if let Some((last, slot)) = *recent
            && last == guid
        {
            return Ok(slot as usize);
        }
        let slot = *self.slots.get(&guid).ok_or(Rejection::UnknownBounty { guid })?;
        *recent = Some((guid, slot as u32));
        Ok(slot)
    }

    /// [`Market::find`] for those who only look.
    #[inline]
    pub(super) fn slot(&self, guid: Guid) -> Result<usize, Rejection> {
        match self.recent[Market::place(guid)] {
            Some((recent, slot)) if recent == guid => Ok(slot as usize),
            _ => self.slots.get(&guid).copied().ok_or(Rejection::UnknownBounty { guid }),
        }
    }

    /// The place of a guid among the recent ones.
    #[inline]
    fn place(guid: Guid) -> usize {
        guid.0 as usize % super::RECENT
    }

    /// The windows that govern a bounty: today's, or its own if they are frozen.
    #[inline]
    pub fn windows_of<'a>(&'a self, bounty: &'a Bounty) -> &'a Windows {
        if self.rules.switches.freeze_windows { &bounty.windows } else { &self.windows }
    }

    /// The fees that govern a bounty: today's, or its own if they are frozen.
    #[inline]
    pub(super) fn fees_of<'a>(&'a self, bounty: &'a Bounty) -> &'a Fees {
        if self.rules.switches.freeze_fees { &bounty.fees } else { &self.fees }
    }

    #[inline]
    pub(super) fn round_of(&self, bounty: &Bounty) -> Result<Round, Rejection> {
        Round::at(self.now, bounty.expiration, *self.windows_of(bounty), bounty.tally.reached.is_some())
            .ok_or(Rejection::Overflow { what: "the end of a window" })
    }

    /// [`Command::PostBounty`](crate::command::Command::PostBounty), without the detour over [`Market::submit`].
    ///
    /// # Errors
    ///
    /// As [`Market::submit`].
    pub fn post_bounty(&mut self, sender: AccountId, post: PostBounty) -> Result<(), Rejection> {
        self.roles.pausable.check_running()?;
        if self.deprecation.is_some() {
            return refuse(Rejection::Deprecated);
        }
        if self.slots.contains_key(&post.guid) {
            return refuse(Rejection::GuidInUse { guid: post.guid });
        }
        match self.rules.edition {
            Edition::V1_0_0 => {
                self.check_amount(&post)?;
                self.check_artifacts(&post)?;
                self.check_duration(&post)?;
            }
            Edition::V1_6_1 => {
                self.check_artifacts(&post)?;
                self.check_duration(&post)?;
                self.check_amount(&post)?;
            }
        }
        let price = post.amount.checked_add(self.fees.bounty).ok_or(Rejection::Overflow { what: "amount and fee" })?;
        self.pull(sender, AccountId::REGISTRY, price)?;

        let expiration = BlockNumber(self.now.0 + post.duration);
        self.emit(|| Event::NewBounty {
            guid: post.guid,
            artifact_type: post.artifact_type,
            author: sender,
            amount: post.amount,
            artifact_uri: post.artifact_uri.clone(),
            expiration,
            metadata: post.metadata.clone(),
        });
        self.history.push(post.guid, sender, self.rules.candidate_lookback);
        self.open_bounty(sender, post);
        Ok(())
    }

    fn check_amount(&self, post: &PostBounty) -> Result<(), Rejection> {
        let minimum = self.rules.bounty_minimum_for(post.artifacts.min(self.rules.artifacts_maximum));
        if post.amount < minimum { refuse(Rejection::AmountBelowMinimum { amount: post.amount, minimum }) } else { Ok(()) }
    }

    fn check_artifacts(&self, post: &PostBounty) -> Result<(), Rejection> {
        let (artifacts, maximum) = (post.artifacts, self.rules.artifacts_maximum);
        if post.artifact_uri.is_empty() {
            return refuse(Rejection::EmptyUri);
        }
        if artifacts > maximum {
            return refuse(Rejection::TooManyArtifacts { artifacts, maximum });
        }
        if artifacts == 0 {
            return refuse(Rejection::NoArtifacts);
        }
        if self.rules.artifact_types > 1 && post.artifact_type >= self.rules.artifact_types {
            return refuse(Rejection::UnknownArtifactType { artifact_type: post.artifact_type });
        }
        Ok(())
    }

    fn check_duration(&self, post: &PostBounty) -> Result<(), Rejection> {
        let (duration, maximum) = (post.duration, self.rules.duration_maximum);
        if (1..=maximum).contains(&duration) { Ok(()) } else { refuse(Rejection::BadDuration { duration, maximum }) }
    }

    /// Takes a bounty in, in the memory of one that was forgotten where there is any.
    fn open_bounty(&mut self, author: AccountId, post: PostBounty) {
        let slot = self.free_slots.pop().unwrap_or(self.bounties.len());
        self.slots.insert(post.guid, slot);
        self.recent[Market::place(post.guid)] = Some((post.guid, slot as u32));
        let bounty = Bounty::new(author, post, self.now, self.fees, self.windows);
        match self.bounties.get_mut(slot) {
            Some(old) => {
                let (assertions, votes) = (std::mem::take(&mut old.assertions), std::mem::take(&mut old.votes));
                let mut positions = std::mem::take(&mut old.positions);
                positions.clear();
                *old = Bounty { assertions, votes, positions, ..bounty };
            }
            None => self.bounties.push(bounty),
        }
    }

    /// [`Command::PostAssertion`](crate::command::Command::PostAssertion) by its fields; answers the assertion's position.
    ///
    /// # Errors
    ///
    /// As [`Market::submit`].
    pub fn post_assertion(
        &mut self,
        sender: AccountId,
        guid: Guid,
        bids: &[Nct],
        mask: ArtifactSet,
        commitment: Commitment,
    ) -> Result<u64, Rejection> {
        self.roles.pausable.check_running()?;
        let slot = self.find(guid)?;
        let bounty = &self.bounties[slot];
        let expired = self.now >= bounty.expiration;
        let check_open = || {
            if expired { refuse(Rejection::BountyExpired { expiration: bounty.expiration }) } else { Ok(()) }
        };
        let check_new = || {
            if bounty.has_asserted(sender) { refuse(Rejection::AlreadyAsserted { account: sender }) } else { Ok(()) }
        };
        let masked = match self.rules.bids {
            Bids::PerBounty => 1,
            Bids::PerArtifact => mask.len(),
        };
        let check_count = || {
            if bids.len() == masked { Ok(()) } else { refuse(Rejection::BidCount { bids: bids.len(), masked }) }
        };
        match self.rules.edition {
            Edition::V1_0_0 => {
                check_count()?;
                check_bids(&self.rules, bids)?;
                check_open()?;
                check_new()?;
            }
            Edition::V1_6_1 => {
                check_open()?;
                check_count()?;
                check_new()?;
                check_bids(&self.rules, bids)?;
            }
        }
        if self.rules.switches.reject_stray_bits && mask.reaches_beyond(bounty.artifacts) {
            return refuse(Rejection::StrayMaskBits { artifacts: bounty.artifacts });
        }
        if self.rules.switches.reject_empty_masks && mask.is_empty() {
            return refuse(Rejection::EmptyMask);
        }
        let mut price = self.fees_of(bounty).assertion;
        for &bid in bids {
            if !price.give(bid) {
                return refuse(Rejection::Overflow { what: "bids and fee" });
            }
        }
        let artifacts = bounty.artifacts;
        self.pull(sender, AccountId::REGISTRY, price)?;

        let index = self.bounties[slot].assertions.len() as u64;
        if self.recording {
            let (bids, commitment) = (SmallVec::from_slice(bids), commitment.hash(self.addresses[sender.index()]));
            self.events.push(Event::NewAssertion { guid, author: sender, index, bids, mask, artifacts, commitment });
        }
        let bounty = &mut self.bounties[slot];
        bounty.positions.set(sender, bounty.assertions.len());
        bounty.rewards_current = false;
        // Made where it stays: a pushed one would be made elsewhere, and copying what was just written has to wait for it.
        let assertion = || {
            let bids = match bids {
                // By far the most bounties are on one artifact.
                &[only] => SmallVec::from_buf([only]),
                _ => SmallVec::from_slice(bids),
            };
            Assertion { author: sender, bids, mask, commitment, metadata: None, is_revealed: false }
        };
        bounty.assertions.extend(std::iter::once_with(assertion));
        Ok(index)
    }

    /// [`Command::RevealAssertion`](crate::command::Command::RevealAssertion).
    ///
    /// # Errors
    ///
    /// As [`Market::submit`].
    pub fn reveal_assertion(&mut self, sender: AccountId, reveal: RevealAssertion) -> Result<(), Rejection> {
        let RevealAssertion { guid, index, opening, metadata } = reveal;
        self.roles.pausable.check_running()?;
        let slot = self.find(guid)?;
        self.check_reveal_window(&self.bounties[slot])?;
        self.reveal_slot(sender, slot, index, Some(opening), metadata)
    }

    /// [`Market::reveal_assertion`] of one after the other, without metadata, by these senders at these positions, up to the
    /// first that is refused. They committed in envelopes, and the market opens these: what they say is what they promised.
    ///
    /// # Errors
    ///
    /// As [`Market::submit`]; [`Rejection::CommitmentMismatch`] for a commitment by hash, or an envelope without a nonce.
    pub fn reveal_all(&mut self, reveals: impl IntoIterator<Item = (AccountId, u64)>, guid: Guid) -> Result<(), Rejection> {
        self.roles.pausable.check_running()?;
        let slot = self.find(guid)?;
        // Nothing that a round depends on changes by revealing.
        let window = self.check_reveal_window(&self.bounties[slot]);
        for (sender, index) in reveals {
            window?;
            self.reveal_slot(sender, slot, index, None, None)?;
        }
        Ok(())
    }

    fn check_reveal_window(&self, bounty: &Bounty) -> Result<(), Rejection> {
        match self.round_of(bounty)? {
            Round::Reveal => Ok(()),
            round => {
                let missed = if round == Round::Assertion { Missed::Early } else { Missed::Late };
                refuse(Rejection::RevealWindow { missed, round })
            }
        }
    }

    #[inline]
    fn reveal_slot(
        &mut self,
        sender: AccountId,
        slot: usize,
        index: u64,
        opening: Option<Opening>,
        metadata: Option<Arc<str>>,
    ) -> Result<(), Rejection> {
        let bounty = &mut self.bounties[slot];
        let has_nonce = |opening: &Opening| !word::is_zero(*opening.nonce.as_limbs());
        if !opening.as_ref().is_none_or(has_nonce) {
            return refuse(Rejection::ZeroNonce);
        }
        let unknown = Rejection::UnknownAssertion { index, assertions: bounty.assertions.len() };
        let assertion = usize::try_from(index).ok().and_then(|index| bounty.assertions.get_mut(index)).ok_or(unknown)?;
        if assertion.author != sender {
            return refuse(Rejection::NotTheAuthor { index });
        }
        if assertion.is_revealed {
            return refuse(Rejection::AlreadyRevealed { index });
        }
        let commitment = &mut assertion.commitment;
        let opened = match opening {
            Some(opening) => commitment.opens(self.addresses[sender.index()], opening),
            None => commitment.opening().is_some_and(has_nonce),
        };
        if !opened {
            return refuse(Rejection::CommitmentMismatch);
        }
        let (guid, artifacts) = (bounty.guid, bounty.artifacts);
        let verdicts = opening.as_ref().or(commitment.opening()).map(|opening| opening.verdicts);
        if self.rules.switches.binding_commitments && verdicts.is_some_and(|verdicts| verdicts.reaches_beyond(artifacts)) {
            return refuse(Rejection::StrayVerdictBits { artifacts });
        }

        bounty.rewards_current = false;
        if let Some(opening) = opening {
            commitment.open(opening);
        }
        assertion.is_revealed = true;
        assertion.metadata = metadata;
        if self.recording {
            let (opening, metadata) = (*assertion.revealed().expect("just opened"), assertion.metadata.clone());
            self.events.push(Event::RevealedAssertion { guid, author: sender, index, opening, artifacts, metadata });
        }
        Ok(())
    }

    /// [`Command::VoteOnBounty`](crate::command::Command::VoteOnBounty); true if the vote completed the quorum.
    ///
    /// # Errors
    ///
    /// As [`Market::submit`].
    pub fn vote_on_bounty(&mut self, sender: AccountId, guid: Guid, votes: ArtifactSet, valid_bloom: bool) -> Result<bool, Rejection> {
        if !self.arbiters.contains(sender) {
            return refuse(Rejection::NotAnArbiter { account: sender });
        }
        self.roles.pausable.check_running()?;
        let slot = self.find(guid)?;
        let bounty = &self.bounties[slot];
        let round = self.round_of(bounty)?;
        let closed = self.rules.switches.close_votes_at_quorum && bounty.tally.reached.is_some();
        if !matches!(round, Round::Vote | Round::Quorum) || closed {
            let missed = if round < Round::Vote { Missed::Early } else { Missed::Late };
            return refuse(Rejection::VoteWindow { missed, round });
        }
        if bounty.has_voted(sender) {
            return refuse(Rejection::AlreadyVoted { account: sender });
        }
        if self.linked_registry != AccountId::REGISTRY {
            return refuse(Rejection::NotTheRegistry);
        }
        let (now, arbiters) = (self.now, self.arbiters.count);
        let bounty = &mut self.bounties[slot];
        let (first, had_quorum) = (bounty.votes.is_empty(), bounty.tally.reached.is_some());
        bounty.tally.add(&self.rules, votes, arbiters, bounty.expiration, now)?;

        let (artifacts, quorum) = (bounty.artifacts, bounty.tally.reached.is_some() && !had_quorum);
        bounty.voted.insert(sender);
        bounty.votes.push(Vote { voter: sender, votes, valid_bloom });
        bounty.rewards_current = false;
        self.record_vote(sender, guid, first);
        if quorum {
            self.emit(|| Event::QuorumReached { guid });
        }
        self.emit(|| Event::NewVote { guid, votes, artifacts, voter: sender });
        Ok(quorum)
    }

    /// [`Command::SettleBounty`](crate::command::Command::SettleBounty); answers what `sender` was paid.
    ///
    /// # Errors
    ///
    /// As [`Market::submit`].
    pub fn settle_bounty(&mut self, sender: AccountId, guid: Guid) -> Result<Nct, Rejection> {
        self.settle_all(&[sender], guid)
    }

    /// [`Market::settle_bounty`] by one of `senders` after the other, up to the first who is refused; answers what they
    /// were paid together.
    ///
    /// # Errors
    ///
    /// As [`Market::submit`].
    pub fn settle_all(&mut self, senders: &[AccountId], guid: Guid) -> Result<Nct, Rejection> {
        self.roles.pausable.check_running()?;
        let slot = self.find(guid)?;
        // Nothing that a round depends on changes by settling.
        let round = self.round_of(&self.bounties[slot]).and_then(|round| match round {
            Round::Quorum | Round::Settle => Ok(round),
            _ => refuse(Rejection::NotSettleable { round }),
        });
        let mut paid = Nct::ZERO;
        for &sender in senders {
            let payout = self.settle_slot(sender, slot, &round)?;
            assert!(paid.give(payout), "together they are paid at most the supply");
        }
        Ok(paid)
    }

    /// In a round that was found to be one of settling, or why not.
    #[inline(always)]
    fn settle_slot(&mut self, sender: AccountId, slot: usize, round: &Result<Round, Rejection>) -> Result<Nct, Rejection> {
        let bounty = &self.bounties[slot];
        if bounty.has_settled(sender) {
            return refuse(Rejection::AlreadySettled { account: sender });
        }
        let round = (*round)?;
        let (mut assigned, rewards_current) = (bounty.assigned_arbiter, bounty.rewards_current);
        if self.arbiters.contains(sender) {
            if round != Round::Settle {
                return refuse(Rejection::ArbiterTooEarly { round });
            }
            if assigned.is_none() {
                assigned = self.assign_arbiter(sender, slot)?;
            }
        }
        if !rewards_current {
            self.compute_rewards(slot)?;
        }

        let Market { bounties, ledger, rules, events, recording, .. } = self;
        let bounty = &mut bounties[slot];
        let overflow = Rejection::Overflow { what: "a payout" };
        let payout = bounty.rewards.payout(bounty, sender, assigned).ok_or(overflow)?;
        // An arbiter drawn only now may have settled as somebody else before (S9).
        let belated = match assigned {
            Some(arbiter) if rules.switches.pay_settled_arbiter && bounty.assigned_arbiter.is_none() => {
                (arbiter != sender && bounty.has_settled(arbiter)).then_some(arbiter)
            }
            _ => None,
        };
        if belated.is_some() {
            let total = payout.checked_add(bounty.rewards.arbiter).ok_or(overflow)?;
            ledger.check_transfer(AccountId::REGISTRY, total)?;
        }

        if !payout.is_zero() {
            // One move of the sum, one log entry for each payment.
            ledger.transfer(AccountId::REGISTRY, sender, payout)?;
            if *recording {
                for &value in bounty.rewards.payments(bounty, sender, assigned).filter(|payment| !payment.is_zero()) {
                    events.push(Event::Transfer { from: AccountId::REGISTRY, to: sender, value });
                }
            }
        }
        bounty.assigned_arbiter = assigned;
        bounty.settled.insert(sender);
        let guid = bounty.guid;
        if let Some(to) = belated {
            let value = bounty.rewards.arbiter;
            self.ledger.transfer(AccountId::REGISTRY, to, value).expect("the registry holds the total");
            self.emit(|| Event::Transfer { from: AccountId::REGISTRY, to, value });
        }
        self.emit(|| Event::SettledBounty { guid, settler: sender, payout });
        Ok(payout)
    }

    /// The arbiter to assign when `sender`, an arbiter, is the first of them to settle.
    fn assign_arbiter(&mut self, sender: AccountId, slot: usize) -> Result<Option<AccountId>, Rejection> {
        let bounty = &self.bounties[slot];
        let overflow = Rejection::Overflow { what: "the end of a window" };
        let target = self.windows_of(bounty).vote_end(bounty.expiration).ok_or(overflow)?;
        if self.now.0 > target.0.saturating_add(self.rules.draw_blocks) {
            // Whoever comes first, voted or not.
            return Ok(Some(sender));
        }
        let mut voters: SmallVec<[_; 8]> = SmallVec::new();
        voters.extend(bounty.votes.iter().map(|vote| (vote.voter, self.staking.balance(vote.voter))));
        // Bounties that end together are settled together: they share a number.
        let blocks = (target, self.now);
        let number = match self.last_draw {
            Some((last, number)) if last == blocks => number,
            _ => settlement::draw_number(self.block_hash(target), self.now),
        };
        self.last_draw = Some((blocks, number));
        settlement::draw_by(&self.rules, &voters, number)
    }

    /// Brings the rewards of a bounty up to date.
    fn compute_rewards(&mut self, slot: usize) -> Result<(), Rejection> {
        let fees = *self.fees_of(&self.bounties[slot]);
        let bounty = &mut self.bounties[slot];
        let mut rewards = std::mem::take(&mut bounty.rewards);
        if rewards.experts.capacity() == 0 {
            rewards = self.spare_rewards.pop().unwrap_or_default();
        }
        let settled = settlement::settle_into(&self.rules, &bounty.closed(fees), &mut rewards);
        bounty.rewards = rewards;
        settled?;
        bounty.rewards_current = true;
        Ok(())
    }

    /// Drops a bounty and its memory of it. Only a [forgetful](Market::forgetful) market does; nobody can settle it
    /// any more, and what it still holds stays in escrow.
    pub fn forget(&mut self, guid: Guid) {
        if !self.history.forgetful {
            return;
        }
        if let Some(slot) = self.slots.remove(&guid) {
            let bounty = &mut self.bounties[slot];
            bounty.assertions.clear();
            bounty.votes.clear();
            // Bounties have rewards for a few blocks of their lives only: the memory goes to the next that is settled.
            self.spare_rewards.push(std::mem::take(&mut bounty.rewards));
            bounty.rewards_current = false;
            self.free_slots.push(slot);
            self.recent[Market::place(guid)] = None;
        }
    }
}

impl super::History {
    fn push(&mut self, guid: Guid, author: AccountId, lookback: usize) {
        if !self.forgetful {
            self.guids.push(guid);
        }
        if self.recent_authors.len() == lookback {
            self.recent_authors.pop_front();
        }
        self.recent_authors.push_back(author);
    }
}
