//! Many on one bounty in one call are the same as one after the other: same events, same balances, same refusal.

use alloy_primitives::U256;
use market::{
    block::BlockNumber,
    command::{Command, PostBounty, RevealAssertion},
    commitment::{Commitment, Opening},
    id::{AccountId, Guid},
    market::{Market, named_address},
    nct::Nct,
    rejection::Rejection,
    ruleset,
    verdict::ArtifactSet,
};

const GUID: Guid = Guid(7);

fn opening(index: u64) -> Opening {
    Opening { nonce: U256::from(index + 1), verdicts: if index == 1 { ArtifactSet::EMPTY } else { ArtifactSet::first(1) } }
}

/// A bounty with the assertions of three experts, two arbiters, and the accounts: ambassador, experts, arbiters.
fn asserted() -> (Market, Vec<AccountId>) {
    let mut market = Market::new(ruleset::find("1.6.1").unwrap().clone()).recording();
    let accounts: Vec<AccountId> =
        ["ambassador", "one", "two", "three", "red", "blue"].map(|name| market.fund(name, Nct::whole(20_000_000))).to_vec();
    let owner = market.account(named_address("owner"));
    for &arbiter in &accounts[4..] {
        market.submit(owner, Command::AddArbiter { arbiter, block: U256::ZERO }).unwrap();
        market.submit(arbiter, Command::Deposit(Nct::whole(10_000_000))).unwrap();
    }
    market.post_bounty(accounts[0], PostBounty { guid: GUID, ..PostBounty::one_artifact() }).unwrap();
    for (index, &expert) in (0..).zip(&accounts[1..4]) {
        let commitment = Commitment::envelope(opening(index));
        market.post_assertion(expert, GUID, &[Nct::whole(1)], ArtifactSet::first(1), commitment).unwrap();
    }
    (market, accounts)
}

/// Both ways from `market` to where the first is refused, if any is; answers with the market after it.
fn check(
    market: &Market,
    together: impl Fn(&mut Market) -> Result<(), Rejection>,
    apart: impl Fn(&mut Market) -> Result<(), Rejection>,
) -> Market {
    let (mut one, mut other) = (market.clone(), market.clone());
    assert_eq!(together(&mut one), apart(&mut other));
    assert_eq!(one.take_events(), other.take_events());
    assert_eq!(format!("{:?}", one.ledger()), format!("{:?}", other.ledger()));
    one
}

#[test]
fn a_batch_is_its_commands_one_after_the_other() {
    let (mut market, accounts) = asserted();
    let reveals = |market: &Market, order: &[usize]| {
        let reveals: Vec<(AccountId, u64, Opening)> =
            order.iter().map(|&index| (accounts[1 + index], index as u64, opening(index as u64))).collect();
        check(
            market,
            |market| market.reveal_all(reveals.iter().map(|&(expert, index, _)| (expert, index)), GUID),
            |market| {
                reveals.iter().try_for_each(|&(expert, index, opening)| {
                    market.reveal_assertion(expert, RevealAssertion { guid: GUID, index, opening, metadata: None })
                })
            },
        )
    };
    reveals(&market, &[0]); // too early
    reveals(&market, &[]);
    market.advance_to(BlockNumber(11));
    reveals(&market, &[0, 1, 0, 2]); // the third is refused
    market = reveals(&market, &[2, 0, 1]);
    market.advance_to(BlockNumber(21));
    for &arbiter in &accounts[4..] {
        market.vote_on_bounty(arbiter, GUID, ArtifactSet::first(1), true).unwrap();
    }
    let settle = |market: &Market, order: &[usize]| {
        let senders: Vec<AccountId> = order.iter().map(|&index| accounts[index]).collect();
        check(
            market,
            |market| market.settle_all(&senders, GUID).map(|_| ()),
            |market| senders.iter().try_for_each(|&sender| market.settle_bounty(sender, GUID).map(|_| ())),
        )
    };
    settle(&market, &[0, 4, 1]); // an arbiter, too early
    market = settle(&market, &[0, 3, 1]);
    market.advance_to(BlockNumber(122));
    settle(&market, &[4, 3, 2]); // one has settled before
    market = settle(&market, &[5, 2, 4]);
    assert_eq!(market.balance(AccountId::REGISTRY), Nct::ZERO);
}

#[test]
fn only_envelopes_with_a_nonce_are_opened() {
    let (mut market, accounts) = asserted();
    market.post_bounty(accounts[0], PostBounty { guid: Guid(8), ..PostBounty::one_artifact() }).unwrap();
    let blank = Opening { nonce: U256::ZERO, ..opening(0) };
    let hash = Commitment::from_hash(Commitment::compute(market.address(accounts[2]), opening(1)));
    for (&expert, commitment) in accounts[1..].iter().zip([Commitment::envelope(blank), hash, Commitment::envelope(opening(2))]) {
        market.post_assertion(expert, Guid(8), &[Nct::whole(1)], ArtifactSet::first(1), commitment).unwrap();
    }
    market.advance_to(BlockNumber(11));
    let mut open = |index: usize| market.reveal_all([(accounts[1 + index], index as u64)], Guid(8));
    assert_eq!([open(0), open(1), open(2)], [Err(Rejection::CommitmentMismatch), Err(Rejection::CommitmentMismatch), Ok(())]);
}
