//! The marketplace as pure rules: BountyRegistry, ArbiterStaking and NectarToken, exact to the wei.
//!
//! No clock, no chance, no I/O, no floats, no hash order. Block numbers and block hashes come in, money is integer
//! wei, and every refusal is a [`Rejection`](rejection::Rejection) that carries its facts. The modules stand in reading
//! order; each uses only those above it.
//!
//! ```
//! use market::{command::{Command, PostBounty}, id::Guid, market::Market, nct::Nct, ruleset};
//!
//! let mut market = Market::new(ruleset::find("1.6.1").expect("a shipped rule set").clone());
//! let ambassador = market.fund("ambassador", Nct::whole(10));
//! let post = PostBounty { guid: Guid(7), amount: Nct::whole(2), ..PostBounty::one_artifact() };
//! market.submit(ambassador, Command::PostBounty(Box::new(post))).expect("within the rules");
//! assert_eq!(market.balance(ambassador).to_string(), "7.9375 NCT");
//! ```
mod word; // comparing 256-bit words
pub mod nct; // Nct, NctDelta: wei
pub mod block; // BlockNumber, Windows, Round
pub mod id; // Guid, AccountId, Address
pub mod verdict; // ArtifactSet: up to 256 bits
pub mod ruleset; // the numbers and choices of one contract version, as data
pub mod commitment; // what an assertion promises, and how it is opened
pub mod bloom; // the artifact filter of a bounty
pub mod rejection; // every way to be refused, with its facts
pub mod quorum; // votes into consensus
pub mod rewards; // Fees, Rewards
pub mod command; // what an account can ask for
pub mod bounty; // Bounty, Assertion, Vote
pub mod settlement; // who gets what, and which arbiter is drawn
pub mod ledger; // who has what: NectarToken
pub mod arbiter_staking; // deposits, withdrawals, response rates
pub mod event; // what happened
pub mod roles; // who may change the market itself
pub mod market; // Market::submit, Market::advance_to
