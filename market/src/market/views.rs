//! What anybody can read: the contracts' views, and the market's own state.

use std::borrow::Cow;

use alloy_primitives::{B256, U256};

use crate::{
    arbiter_staking::ArbiterStaking,
    block::{BlockNumber, Round, Windows},
    bounty::Bounty,
    id::{AccountId, AccountSet, Address, Guid},
    ledger::Ledger,
    nct::Nct,
    rejection::Rejection,
    ruleset::{Edition, RuleSet},
    settlement::{self, Fees, Rewards},
};

use super::Market;

impl Market {
    /// The rules in force.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The current block.
    pub fn now(&self) -> BlockNumber {
        self.now
    }

    /// Today's fees.
    pub fn fees(&self) -> Fees {
        self.fees
    }

    /// Today's windows.
    pub fn windows(&self) -> Windows {
        self.windows
    }

    /// Who has what.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Stakes and voting records.
    pub fn staking(&self) -> &ArbiterStaking {
        &self.staking
    }

    /// Nectar of an account.
    pub fn balance(&self, account: AccountId) -> Nct {
        self.ledger.balance(account)
    }

    /// The account of an address, if it was ever opened.
    pub fn known_account(&self, address: Address) -> Option<AccountId> {
        self.accounts.get(&address).copied()
    }

    /// The address of an account.
    pub fn address(&self, account: AccountId) -> Address {
        self.addresses[account.index()]
    }

    /// What `account` may withdraw from its stake now; nothing where the contract's view reverts.
    pub fn withdrawable_stake(&self, account: AccountId) -> Nct {
        match self.stakes_released() {
            Ok(released) => self.staking.withdrawable(account, self.now, self.stake_duration, released),
            Err(_) => Nct::ZERO,
        }
    }

    /// Registered arbiters, as the registry counts them.
    pub fn arbiter_count(&self) -> u64 {
        self.arbiters.count
    }

    /// True for a registered arbiter.
    ///
    /// # Errors
    ///
    /// [`Rejection::ZeroAddress`] for the zero address.
    pub fn is_arbiter(&self, account: AccountId) -> Result<bool, Rejection> {
        if account == AccountId::NOBODY && self.rules.edition == Edition::V1_6_1 {
            return Err(Rejection::ZeroAddress { role: "member" });
        }
        Ok(self.arbiters.contains(account))
    }

    /// The hash of `block` as a contract sees it now: zero unless it is one of the last 256 blocks.
    pub fn block_hash(&self, block: BlockNumber) -> B256 {
        let visible = block < self.now && self.now.0 - block.0 <= 256;
        if visible { (self.block_hashes)(block) } else { B256::ZERO }
    }

    /// A bounty that exists (and is not forgotten).
    #[inline]
    pub fn bounty(&self, guid: Guid) -> Option<&Bounty> {
        self.known(guid).ok()
    }

    #[inline]
    fn known(&self, guid: Guid) -> Result<&Bounty, Rejection> {
        self.slot(guid).map(|slot| &self.bounties[slot])
    }

    /// The round of a bounty.
    ///
    /// # Errors
    ///
    /// If it does not exist, or its windows overflow.
    pub fn current_round(&self, guid: Guid) -> Result<Round, Rejection> {
        self.round_of(self.known(guid)?)
    }

    /// First block after the vote window of a bounty.
    ///
    /// # Errors
    ///
    /// If it does not exist, or its windows overflow.
    pub fn vote_end(&self, guid: Guid) -> Result<BlockNumber, Rejection> {
        let bounty = self.known(guid)?;
        let end = self.windows_of(bounty).vote_end(bounty.expiration).ok_or(Rejection::Overflow { what: "the end of a window" })?;
        Ok(end)
    }

    /// Number of assertions of a bounty.
    ///
    /// # Errors
    ///
    /// If it does not exist.
    pub fn number_of_assertions(&self, guid: Guid) -> Result<usize, Rejection> {
        Ok(self.known(guid)?.assertions.len())
    }

    /// Voters of a bounty in order of voting.
    ///
    /// # Errors
    ///
    /// If it does not exist.
    pub fn voters(&self, guid: Guid) -> Result<Vec<AccountId>, Rejection> {
        Ok(self.known(guid)?.votes.iter().map(|vote| vote.voter).collect())
    }

    /// The bids of an assertion.
    ///
    /// # Errors
    ///
    /// An index that equals the number of assertions hits the contract's off-by-one, a greater one or an unknown
    /// bounty is refused without a message.
    pub fn bids(&self, guid: Guid, index: u64) -> Result<&[Nct], Rejection> {
        let refused = Rejection::Overflow { what: "the assertion's index" };
        let assertions = &self.bounty(guid).ok_or(refused)?.assertions;
        match assertions.get(usize::try_from(index).map_err(|_| refused)?) {
            Some(assertion) => Ok(&assertion.bids),
            None if index == assertions.len() as u64 => Err(Rejection::IndexOutOfRange { index }),
            None => Err(refused),
        }
    }

    /// A page of guids in order of posting; empty beyond the last.
    ///
    /// # Errors
    ///
    /// If the page's first index exceeds 256 bits.
    pub fn bounty_guids(&self, page: U256) -> Result<&[Guid], Rejection> {
        let size = self.rules.guid_page;
        let start = page.checked_mul(U256::from(size)).ok_or(Rejection::Overflow { what: "the page number" })?;
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(self.history.guids.len());
        Ok(&self.history.guids[start..(start + size).min(self.history.guids.len())])
    }

    /// The guid of the bounty posted as number `index`.
    ///
    /// # Errors
    ///
    /// If there were fewer.
    pub fn bounty_guid(&self, index: u64) -> Result<Guid, Rejection> {
        let guid = usize::try_from(index).ok().and_then(|index| self.history.guids.get(index));
        guid.copied().ok_or(Rejection::IndexOutOfRange { index })
    }

    /// Ambassadors of the last 100 bounties by number of bounties.
    ///
    /// A selection sort that fills the hole with the last entry, as the contract does it: ties are not in order (S15).
    ///
    /// # Errors
    ///
    /// If no bounty was ever posted.
    pub fn arbiter_candidates(&self) -> Result<Vec<AccountId>, Rejection> {
        if self.history.recent_authors.is_empty() {
            return Err(Rejection::NoBounties);
        }
        let mut counts: Vec<(AccountId, usize)> = Vec::new();
        for &author in self.history.recent_authors.iter().rev() {
            match counts.iter_mut().find(|(known, _)| *known == author) {
                Some((_, count)) => *count += 1,
                None => counts.push((author, 1)),
            }
        }
        let mut candidates = Vec::with_capacity(counts.len());
        while let Some(most) = counts.iter().map(|&(_, count)| count).max() {
            let earliest = counts.iter().position(|&(_, count)| count == most).expect("the greatest count is there");
            candidates.push(counts.swap_remove(earliest).0);
        }
        Ok(candidates)
    }

    /// Arbiters who voted on the last 100 bounties, and how often: always two empty lists (S15).
    ///
    /// # Errors
    ///
    /// If no bounty was ever posted; in 1.0.0 also with more than 100 distinct voters in range.
    pub fn active_arbiters(&self) -> Result<(), Rejection> {
        if self.history.recent_authors.is_empty() {
            return Err(Rejection::NoBounties);
        }
        if self.rules.edition == Edition::V1_0_0 {
            let limit = self.rules.candidate_lookback;
            let mut voters = AccountSet::default();
            let recent = self.history.guids.iter().rev().take(limit).filter_map(|&guid| self.bounty(guid));
            let distinct = recent.flat_map(|bounty| &bounty.votes).filter(|vote| voters.insert(vote.voter)).count();
            if distinct > limit {
                return Err(Rejection::TooManyVoters { limit });
            }
        }
        Ok(())
    }

    /// The rewards of a bounty as of now, whatever its round.
    ///
    /// # Errors
    ///
    /// If it does not exist or its pot overflows.
    pub fn rewards(&self, guid: Guid) -> Result<Cow<'_, Rewards>, Rejection> {
        let bounty = self.known(guid)?;
        if bounty.rewards_current {
            return Ok(Cow::Borrowed(&bounty.rewards));
        }
        settlement::settle(&self.rules, &bounty.closed(*self.fees_of(bounty))).map(Cow::Owned)
    }

    /// 1.0.0's `calculateBountyRewards` as called by `sender`.
    ///
    /// # Errors
    ///
    /// If the bounty does not exist, `sender` has settled it, it cannot be settled yet, or its pot overflows.
    pub fn calculate_bounty_rewards(&self, sender: AccountId, guid: Guid) -> Result<Cow<'_, Rewards>, Rejection> {
        let bounty = self.known(guid)?;
        if bounty.has_settled(sender) {
            return Err(Rejection::AlreadySettled { account: sender });
        }
        let round = self.round_of(bounty)?;
        if !matches!(round, Round::Quorum | Round::Settle) {
            return Err(Rejection::NotSettleable { round });
        }
        self.rewards(guid)
    }

    /// 1.0.0's `getWeightedRandomArbiter`: who would be drawn now.
    ///
    /// # Errors
    ///
    /// If the bounty does not exist or no voter has stake.
    pub fn weighted_random_arbiter(&self, guid: Guid) -> Result<Option<AccountId>, Rejection> {
        let bounty = self.known(guid)?;
        let voters: Vec<_> = bounty.votes.iter().map(|vote| (vote.voter, self.staking.balance(vote.voter))).collect();
        settlement::draw_arbiter(&self.rules, &voters, self.block_hash(self.vote_end(guid)?), self.now)
    }
}
