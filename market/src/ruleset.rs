//! The numbers and choices of one contract version, as data.
//!
//! Two versions are shipped: [`BOUNTY_REGISTRY_1_6_1`] (the default) and [`BOUNTY_REGISTRY_1_0_0`]. Both are facts of the
//! contracts as executed, surprises included; a [`Switches`] field names the sane behaviour for each surprise a user
//! could want to be without, and every one is off.

use serde::{Deserialize, Serialize};

use crate::nct::Nct;

/// One version of the market's rules.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct RuleSet {
    /// Name by which users choose it.
    pub name: &'static str,
    /// Short name.
    pub alias: &'static str,
    /// Which contract the behaviour that no number describes follows: order of checks, messages, roles.
    pub edition: Edition,
    /// How an assertion stakes.
    pub bids: Bids,
    /// Least bounty amount in wei: in total with [`Bids::PerBounty`], per artifact with [`Bids::PerArtifact`].
    pub bounty_minimum: Nct,
    /// Least bid in wei.
    pub bid_minimum: Nct,
    /// Greatest bid in wei.
    pub bid_maximum: Option<Nct>,
    /// Fee of a bounty in wei, until a fee manager changes it.
    pub bounty_fee: Nct,
    /// Fee of an assertion in wei, until a fee manager changes it.
    pub assertion_fee: Nct,
    /// Greatest duration of a bounty in blocks.
    pub duration_maximum: u64,
    /// Greatest number of artifacts in a bounty.
    pub artifacts_maximum: u64,
    /// Number of artifact types; type 0 is a file, type 1 a URL.
    pub artifact_types: u64,
    /// Reveal window in blocks, unless the market is deployed with another.
    pub reveal_window: u64,
    /// Vote window in blocks, unless the market is deployed with another.
    pub vote_window: u64,
    /// Weight of a malicious vote against a benign one, in quorum and consensus.
    pub malicious_weight: u64,
    /// Blocks after the vote window in which the arbiter is drawn; later, the first arbiter to settle is assigned.
    pub draw_blocks: u64,
    /// Bounties that the list of arbiter candidates looks back on.
    pub candidate_lookback: usize,
    /// Entries of a page of guids.
    pub guid_page: usize,
    /// Least total stake of an eligible arbiter in wei. Nothing on chain asks for it.
    pub stake_minimum: Nct,
    /// Greatest total stake of an arbiter in wei.
    pub stake_maximum: Nct,
    /// Blocks for which a deposit is locked, unless the market is deployed with another.
    pub stake_duration: u64,
    /// Share of bounties, in tenths, that an eligible arbiter voted on.
    pub response_tenths: u64,
    /// Recorded bounties before that share is looked at.
    pub response_grace: u64,
    /// Sane behaviour in place of surprises, each by name, all off.
    pub switches: Switches,
}

/// Which contract's code the rules follow where numbers do not say it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Edition {
    /// BountyRegistry 1.0.0 (2018): one owner, fixed fees and windows, no deprecation.
    #[serde(rename = "1.0.0")]
    V1_0_0,
    /// BountyRegistry 1.6.1 (2019-2021): managers, live fees and windows, deprecation.
    #[serde(rename = "1.6.1")]
    V1_6_1,
}

/// How an assertion stakes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bids {
    /// One bid for the whole assertion, shared evenly by the bounty's artifacts.
    PerBounty,
    /// One bid for each set bit of the mask, lowest bit first.
    PerArtifact,
}

macro_rules! switches {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Sane behaviour in place of a contract's surprise, by name. All are off by default.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Switches { $($(#[doc = $doc])+ pub $name: bool,)+ }

        impl Switches {
            /// Name, state and meaning of every switch.
            pub fn all(&self) -> Vec<(&'static str, bool, &'static str)> {
                vec![$((stringify!($name), self.$name, concat!($($doc),+).trim_ascii())),+]
            }

            /// Sets a switch by name; false if there is none of that name.
            pub fn set(&mut self, name: &str, on: bool) -> bool {
                match name {
                    $(stringify!($name) => self.$name = on,)+
                    _ => return false,
                }
                true
            }
        }
    };
}

switches! {
    /// A bounty keeps the fees of its posting, instead of being settled with the fees of the day (S1).
    freeze_fees,
    /// A bounty keeps the windows of its posting, instead of moving with every change of them (S13).
    freeze_windows,
    /// A mask with bits beyond the artifacts is refused, instead of staking on nothing (S2, S11).
    reject_stray_bits,
    /// An assertion with an empty mask is refused, instead of diluting the others when nobody votes (S4).
    reject_empty_masks,
    /// Without votes, shares that nobody is due go back to the ambassador, instead of staying locked (S3).
    return_unclaimed_shares,
    /// No votes after quorum, instead of late votes that can flip a consensus already paid on (S5, S6).
    close_votes_at_quorum,
    /// Quorum counts the arbiters there were at the first vote, instead of those there are now (S5, S7).
    freeze_arbiter_count,
    /// The draw gives each wei of stake exactly one chance, instead of one more to the first voter (S10).
    even_draw,
    /// Voters without any stake are drawn from evenly, instead of blocking every arbiter's settlement (S8).
    draw_unstaked_voters,
    /// An arbiter drawn after having settled as somebody else is paid at once, instead of never (S9).
    pay_settled_arbiter,
    /// Only a manager may remove managers and deprecators, instead of anybody (S14).
    guard_roles,
    /// A deposit that leaves an arbiter below the minimum stake is refused (S17).
    enforce_stake_minimum,
    /// A reveal with verdict bits beyond the artifacts is refused, instead of opening any commitment both ways (1.0.0, surprise 1).
    binding_commitments,
}

/// BountyRegistry 1.6.1 with ArbiterStaking 1.2.1: one amount for all artifacts, a bid per artifact.
pub const BOUNTY_REGISTRY_1_6_1: RuleSet = RuleSet {
    name: "bounty-registry-1.6.1",
    alias: "1.6.1",
    edition: Edition::V1_6_1,
    bids: Bids::PerArtifact,
    bounty_minimum: Nct::whole(2),
    bid_minimum: Nct::wei(62_500_000_000_000_000),
    bid_maximum: Some(Nct::whole(1)),
    bounty_fee: Nct::wei(62_500_000_000_000_000),
    assertion_fee: Nct::wei(31_250_000_000_000_000),
    duration_maximum: 100,
    artifacts_maximum: 256,
    artifact_types: 2,
    reveal_window: 10,
    vote_window: 100,
    malicious_weight: 1,
    draw_blocks: 256,
    candidate_lookback: 100,
    guid_page: 25,
    stake_minimum: Nct::whole(10_000_000),
    stake_maximum: Nct::whole(100_000_000),
    stake_duration: 100,
    response_tenths: 9,
    response_grace: 10,
    switches: NO_SWITCHES,
};

/// BountyRegistry 1.0.0 as published in January 2019: one bid per assertion, ten to one for malicious votes.
pub const BOUNTY_REGISTRY_1_0_0: RuleSet = RuleSet {
    name: "bounty-registry-1.0.0",
    alias: "1.0.0",
    edition: Edition::V1_0_0,
    bids: Bids::PerBounty,
    bounty_minimum: Nct::wei(62_500_000_000_000_000),
    bid_maximum: None,
    artifact_types: 1,
    reveal_window: 25,
    malicious_weight: 10,
    ..BOUNTY_REGISTRY_1_6_1
};

const NO_SWITCHES: Switches = Switches {
    freeze_fees: false,
    freeze_windows: false,
    reject_stray_bits: false,
    reject_empty_masks: false,
    return_unclaimed_shares: false,
    close_votes_at_quorum: false,
    freeze_arbiter_count: false,
    even_draw: false,
    draw_unstaked_voters: false,
    pay_settled_arbiter: false,
    guard_roles: false,
    enforce_stake_minimum: false,
    binding_commitments: false,
};

/// Every shipped rule set, the default first.
pub const ALL: [&RuleSet; 2] = [&BOUNTY_REGISTRY_1_6_1, &BOUNTY_REGISTRY_1_0_0];

/// The rule set of that name or short name.
pub fn find(name: &str) -> Option<&'static RuleSet> {
    ALL.into_iter().find(|rules| rules.name == name || rules.alias == name)
}

impl RuleSet {
    /// The least amount in wei of a bounty on `artifacts` artifacts.
    #[inline]
    pub fn bounty_minimum_for(&self, artifacts: u64) -> Nct {
        match self.bids {
            Bids::PerBounty => self.bounty_minimum,
            Bids::PerArtifact => self.bounty_minimum.checked_mul(artifacts).expect("a minimum for at most 256 artifacts fits"),
        }
    }

    /// True if `malicious` of `votes` votes make an artifact malicious; a weighted tie does.
    #[inline]
    pub fn is_malicious(&self, malicious: u64, votes: u64) -> bool {
        self.malicious_weight * malicious >= votes - malicious
    }
}
