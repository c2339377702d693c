//! What a run has met with, so that agreement about nothing cannot pass for agreement.

use std::collections::BTreeMap;

use alloy_primitives::U256;

use crate::book::{Action, Answer, Book, Bounty, Name, Refusal, STAKE_MINIMUM};

/// How often each thing happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage {
    counts: BTreeMap<String, u64>,
}

impl Coverage {
    pub(crate) fn met(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    pub(crate) fn count(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or_default()
    }

    pub(crate) fn require(&self, whats: &[&str], least: u64) {
        let missing: Vec<_> = whats.iter().filter(|what| self.count(what) < least).collect();
        assert!(missing.is_empty(), "met fewer than {least} times: {missing:?}; all counts: {:#?}", self.counts);
    }

    /// Notes a call on which both books agreed; `before` is the second book before it.
    pub(crate) fn note(&mut self, before: &Book, after: &Book, who: &str, action: &Action, answer: Result<Answer, Refusal>) {
        if after.bounties.len() > 100 {
            self.met("more than 100 bounties");
        }
        let recorded = after.recorded();
        let staked = |name: &&Name| after.stake(name) >= U256::from(STAKE_MINIMUM);
        if recorded >= 10 && after.addresses.keys().filter(staked).any(|name| after.responses(name) * 10 / recorded == 9) {
            self.met("nine tenths of the bounties answered");
        }
        let call = format!("{action:?}");
        let call = call.split([' ', '(']).next().expect("a name");
        if before.paused && matches!(action, Action::Vote { .. }) && !before.is_arbiter(who_of(before, who)) {
            self.met("a stranger votes while paused");
        }
        match answer {
            Ok(_) => self.met(call),
            Err(Refusal::Message(message)) => self.met(format!("{call}: {message}")),
            Err(Refusal::Empty) => self.met(format!("{call}: empty")),
            Err(Refusal::InvalidOpcode) => self.met(format!("{call}: invalid opcode")),
        }
        match (action, answer) {
            (Action::Settle { guid }, Ok(_)) => {
                let (before, bounty) = (before.bounty(*guid).expect("settled"), after.bounty(*guid).expect("settled"));
                self.settled(after, before, bounty, who);
            }
            (Action::Settle { guid }, Err(Refusal::Message("Sender already settled")))
                if after.bounty(*guid).is_ok_and(|bounty| after.round(bounty).is_ok_and(|round| round < 3)) =>
            {
                self.met("settled again in an earlier round");
            }
            (Action::Settle { guid }, Err(Refusal::Empty)) if !before.paused => {
                let bounty = after.bounty(*guid).expect("an unknown bounty has a message");
                match after.rewards(bounty) {
                    Err(_) if bounty.votes.is_empty() => self.met("pot underflow without votes"),
                    Err(_) => self.met("pot overflow or underflow with votes"),
                    Ok(_) if after.round(bounty).is_err() => self.met("windows overflow at settlement"),
                    Ok(_) => self.met("the registry cannot pay"),
                }
            }
            (Action::Vote { guid, .. }, Ok(_)) => {
                let (before, bounty) = (before.bounty(*guid).expect("voted on"), after.bounty(*guid).expect("voted on"));
                let had_quorum = after.tally(before).expect("accepted").reached.is_some();
                if had_quorum {
                    self.met("late vote");
                    if after.consensus(before) != after.consensus(bounty) {
                        self.met("late vote flips the consensus");
                    }
                }
                let arbiters = bounty.votes.last().expect("just voted").arbiters;
                if !had_quorum && (bounty.votes.len() as u64) < arbiters && after.tally(bounty).expect("accepted").reached.is_some() {
                    self.met("quorum before the last arbiter");
                }
            }
            (Action::Vote { .. }, Err(Refusal::Empty)) if !before.paused && before.is_arbiter(who_of(before, who)) => {
                self.met("vote underflows after removals");
            }
            (Action::Withdraw(value), Ok(_)) if !value.is_zero() => {
                let (oldest, _) = before.deposits[who][0];
                self.met(if oldest + after.stake_duration > after.now { "withdrawn early" } else { "withdrawn" });
            }
            _ => {}
        }
    }

    fn settled(&mut self, book: &Book, before: &Bounty, bounty: &Bounty, who: &str) {
        let experts = if bounty.assertions.is_empty() { "without assertions" } else { "with assertions" };
        let votes = if bounty.votes.is_empty() { "without votes" } else { "with votes" };
        self.met(format!("settled {experts}, {votes}"));
        if U256::from(book.now) < book.vote_end(bounty).expect("settled") {
            self.met("settled before the end");
        }
        let artifacts = bounty.artifacts as usize;
        if !bounty.votes.is_empty() && bounty.assertions.iter().any(|assertion| assertion.nonce.is_zero()) {
            self.met("settled with an unrevealed assertion");
        }
        if bounty.assertions.iter().any(|assertion| assertion.mask.is_zero()) {
            self.met("settled with an empty mask");
        }
        if artifacts < 256 && bounty.assertions.iter().any(|assertion| !(assertion.mask >> artifacts).is_zero()) {
            self.met("settled with stray bits");
        }
        if !bounty.assertions.is_empty() && (0..artifacts).any(|i| bounty.assertions.iter().all(|assertion| !assertion.mask.bit(i))) {
            self.met("settled with an artifact nobody asserted on");
        }
        let experts: Vec<U256> = book.rewards(bounty).expect("settled").experts;
        if !bounty.votes.is_empty() && experts.iter().filter(|reward| !reward.is_zero()).count() >= 2 {
            self.met("settled with several winners");
            if experts.iter().any(|reward| reward.is_zero()) {
                self.met("settled with several winners and a loser");
            }
        }
        if !bounty.votes.is_empty() && experts.iter().any(|reward| !reward.is_zero()) {
            let greatest_bid = bounty.assertions.iter().flat_map(|assertion| &assertion.bids).max().expect("a winner's bid");
            let product = bounty.amount.saturating_mul(*greatest_bid) >> 128;
            match (bounty.amount >> 128 != U256::ZERO, product != U256::ZERO) {
                (true, _) => self.met("shared an amount beyond 128 bits"),
                (false, true) => self.met("shared by way of products beyond 128 bits"),
                (false, false) => self.met("shared within 128 bits"),
            }
        }
        let tally = book.tally(bounty).expect("accepted");
        if tally.malicious.iter().any(|malicious| *malicious > 0 && 2 * malicious == bounty.votes.len() as u64) {
            self.met("settled with a tie");
        }
        let roles = [
            bounty.author == who,
            bounty.assertions.iter().any(|assertion| assertion.author == who),
            bounty.assigned.is_some_and(|arbiter| arbiter == who),
        ];
        self.met(match roles.into_iter().filter(|role| *role).count() {
            0 => "settled by somebody without a claim",
            1 => "settled for one role",
            _ => "settled for several roles",
        });
        if artifacts >= 64 {
            self.met("settled with 64 artifacts or more");
        }
        if book.bounties.last().is_some_and(|last| last.guid != bounty.guid) {
            self.met("settled while a later bounty was there");
        }
        if before.assigned.is_none()
            && let Some(arbiter) = bounty.assigned
        {
            let end = book.vote_end(bounty).expect("settled");
            let now = U256::from(book.now);
            match now - end {
                ago if ago.is_zero() => self.met("drawn with a zero hash"),
                ago if ago < U256::from(256) => self.met("drawn with a hash"),
                ago if ago == U256::from(256) => self.met("drawn in the last block"),
                ago if ago == U256::from(257) => self.met("first come in the first block"),
                _ => self.met("first come"),
            }
            if now - end <= U256::from(256) && arbiter != who {
                self.met("drawn somebody else");
            }
            if bounty.votes.iter().all(|vote| vote.voter != arbiter) {
                self.met("first come, without a vote");
            }
        }
    }
}

fn who_of(book: &Book, who: &str) -> Name {
    book.addresses.keys().copied().find(|name| *name == who).expect("one of the people")
}
