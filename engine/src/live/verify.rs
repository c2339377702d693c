//! Nothing is signed that was not asked for.
//!
//! polyswarmd builds the transactions and the engine signs them, so a server that is broken, or not ours, could have it
//! sign away its Nectar. Every transaction must be the expected call with the expected arguments, to the contract it
//! was when the account's journal was begun, on the chain it was then, without ether, and with a fee that is not absurd. The
//! nonce that the server proposes does not matter: the engine puts its own.
//!
//! The first transactions of a new journal are not compared with anything but `--chain-id`, where that is given: whoever
//! builds them says which contracts the market consists of.

use alloy_primitives::{Address, U256};
use market::nct::Nct;
use wire::{
    calldata::{self, Call, MalformedCall},
    transaction::Unsigned,
};

/// Most ether in wei that one transaction may cost: 0.1. Gas is free on the side chain.
const FEE_LIMIT: u64 = 100_000_000_000_000_000;

/// What was asked for, in the order of its transactions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expected {
    /// Lets the market take the stake and the fee, then asserts.
    Assertion {
        /// Bids and fee in wei.
        allowance: Nct,
        /// The assertion.
        assertion: calldata::PostAssertion,
    },
    /// One call of the market.
    Call(Call),
}

/// The contracts and the chain, as the first verified transactions had them; the journal keeps them between runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Contracts {
    /// Id of the chain.
    pub chain: Option<u64>,
    /// NectarToken.
    pub token: Option<Address>,
    /// BountyRegistry.
    pub registry: Option<Address>,
}

/// Why a transaction is not signed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// More or fewer than asked for.
    #[error("{found} transactions to sign instead of {expected}")]
    WrongCount {
        /// Asked for.
        expected: usize,
        /// There are.
        found: usize,
    },
    /// No call at all.
    #[error("transaction {position} to sign is no call of the market: {cause}")]
    NoCall {
        /// Which, from 1 on.
        position: usize,
        /// Why.
        cause: MalformedCall,
    },
    /// Another call, or other arguments.
    #[error("transaction {position} to sign was not asked for: {function} {difference}")]
    NotAsked {
        /// Which, from 1 on.
        position: usize,
        /// The function it would call.
        function: &'static str,
        /// What differs; no values, since nonces and verdicts are secret.
        difference: String,
    },
    /// It would send ether.
    #[error("transaction {position} to sign sends {value} wei of ether")]
    SendsEther {
        /// Which, from 1 on.
        position: usize,
        /// In wei.
        value: U256,
    },
    /// It could cost too much ether.
    #[error("transaction {position} to sign may cost {fee} wei of ether for gas, more than {FEE_LIMIT}")]
    Expensive {
        /// Which, from 1 on.
        position: usize,
        /// In wei.
        fee: U256,
    },
    /// It would be valid on every chain.
    #[error("transaction {position} to sign names no chain, so it would be valid on every chain")]
    NoChain {
        /// Which, from 1 on.
        position: usize,
    },
    /// Another chain than before.
    #[error("transaction {position} to sign is for chain {found}, those before were for chain {expected}")]
    AnotherChain {
        /// Which, from 1 on.
        position: usize,
        /// As before.
        expected: u64,
        /// Now.
        found: u64,
    },
    /// Another contract than before, or one contract in two roles.
    #[error("the {role} of transaction {position} to sign is {found}, but {reason}")]
    AnotherContract {
        /// Which transaction, from 1 on.
        position: usize,
        /// Which part.
        role: &'static str,
        /// The address.
        found: Address,
        /// Why that cannot be.
        reason: String,
    },
}

impl Contracts {
    /// Checks the transactions of an action and remembers contracts and chain if all is well.
    ///
    /// # Errors
    ///
    /// The first thing that is not as asked for.
    pub fn verify(&mut self, expected: &Expected, transactions: &[Unsigned]) -> Result<(), Refusal> {
        let mut seen = *self;
        match (expected, transactions) {
            (Expected::Assertion { allowance, assertion }, [approve, assert]) => {
                // Who may take the allowance: the market itself, which is whom the second transaction calls.
                let spender = assert.to;
                seen.check(1, approve, &Call::Approve { spender, amount: *allowance }, Role::Token)?;
                seen.check(2, assert, &Call::PostAssertion(assertion.clone()), Role::Registry)?;
            }
            (Expected::Call(call), [only]) => seen.check(1, only, call, Role::Registry)?,
            (expected, found) => {
                let expected = if matches!(expected, Expected::Assertion { .. }) { 2 } else { 1 };
                return Err(Refusal::WrongCount { expected, found: found.len() });
            }
        }
        *self = seen;
        Ok(())
    }

    fn check(&mut self, position: usize, transaction: &Unsigned, expected: &Call, role: Role) -> Result<(), Refusal> {
        let found = Call::decode(&transaction.data).map_err(|cause| Refusal::NoCall { position, cause })?;
        if found != *expected {
            let difference = match difference(&found, expected) {
                Some(argument) => format!("with another {argument}"),
                None => format!("instead of {}", name(expected)),
            };
            return Err(Refusal::NotAsked { position, function: name(&found), difference });
        }
        if !transaction.value.is_zero() {
            return Err(Refusal::SendsEther { position, value: transaction.value });
        }
        let fee = transaction.gas_price.saturating_mul(U256::from(transaction.gas));
        if fee > U256::from(FEE_LIMIT) {
            return Err(Refusal::Expensive { position, fee });
        }
        let chain = transaction.chain_id.ok_or(Refusal::NoChain { position })?;
        let before = *self.chain.get_or_insert(chain);
        if before != chain {
            return Err(Refusal::AnotherChain { position, expected: before, found: chain });
        }
        let found = transaction.to;
        let another = |reason| Refusal::AnotherContract { position, role: "recipient", found, reason };
        let (pinned, other, name) = match role {
            Role::Token => (&mut self.token, self.registry, "token"),
            Role::Registry => (&mut self.registry, self.token, "market"),
        };
        if found.is_zero() || other == Some(found) {
            return Err(another(format!("that cannot be the {name}")));
        }
        let before = *pinned.get_or_insert(found);
        if before != found {
            return Err(another(format!("the {name} was {before} before")));
        }
        // An allowance for a contract that is not the known market never gets here: the call would differ in its spender,
        // unless the second transaction went there too, which is refused. All transactions are checked before any is signed.
        Ok(())
    }
}

/// Name of the function that is called.
fn name(call: &Call) -> &'static str {
    match call {
        Call::Approve { .. } => "approve",
        Call::Transfer { .. } => "transfer",
        Call::PostBounty(_) => "postBounty",
        Call::PostAssertion(_) => "postAssertion",
        Call::RevealAssertion(_) => "revealAssertion",
        Call::VoteOnBounty { .. } => "voteOnBounty",
        Call::SettleBounty { .. } => "settleBounty",
        Call::Deposit { .. } => "deposit",
        Call::Withdraw { .. } => "withdraw",
    }
}

/// The first argument that differs between two calls of one function.
fn difference(found: &Call, expected: &Call) -> Option<&'static str> {
    let first = |fields: &[(bool, &'static str)]| fields.iter().find(|(same, _)| !same).map(|&(_, field)| field);
    match (found, expected) {
        (Call::Approve { spender, amount }, Call::Approve { spender: to, amount: asked }) => {
            first(&[(spender == to, "spender"), (amount == asked, "amount")])
        }
        (Call::PostAssertion(found), Call::PostAssertion(asked)) => first(&[
            (found.guid == asked.guid, "guid"),
            (found.bids == asked.bids, "bid"),
            (found.mask == asked.mask, "mask"),
            (found.commitment == asked.commitment, "commitment"),
        ]),
        (Call::RevealAssertion(found), Call::RevealAssertion(asked)) => first(&[
            (found.guid == asked.guid, "guid"),
            (found.index == asked.index, "index"),
            (found.nonce == asked.nonce, "nonce"),
            (found.verdicts == asked.verdicts, "verdicts"),
            (found.metadata == asked.metadata, "metadata"),
        ]),
        (Call::SettleBounty { .. }, Call::SettleBounty { .. }) => Some("guid"),
        _ => None,
    }
}

/// Which contract a transaction calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Token,
    Registry,
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, Bytes};
    use market::{id::Guid, verdict::ArtifactSet};
    use proptest::prelude::*;

    use super::*;

    const TOKEN: Address = Address::repeat_byte(0x2a);
    const REGISTRY: Address = Address::repeat_byte(0x21);

    fn unsigned(to: Address, call: &Call) -> Unsigned {
        let (gas_price, value) = (U256::ZERO, U256::ZERO);
        Unsigned { nonce: 0, chain_id: Some(1338), gas: 50_000_000, gas_price, value, to, data: call.encode().into() }
    }

    fn assertion(bids: &[u128]) -> calldata::PostAssertion {
        let bids: Vec<Nct> = bids.iter().copied().map(Nct::wei).collect();
        let mask = ArtifactSet::first(bids.len());
        calldata::PostAssertion { guid: Guid::random(7), bids, mask, commitment: B256::repeat_byte(5) }
    }

    fn allowance(assertion: &calldata::PostAssertion) -> Nct {
        assertion.bids.iter().copied().sum::<Nct>().checked_add(Nct::wei(31_250_000_000_000_000)).unwrap()
    }

    fn asked(assertion: &calldata::PostAssertion) -> (Expected, Vec<Unsigned>) {
        let allowance = allowance(assertion);
        let approve = unsigned(TOKEN, &Call::Approve { spender: REGISTRY, amount: allowance });
        let assert = unsigned(REGISTRY, &Call::PostAssertion(assertion.clone()));
        (Expected::Assertion { allowance, assertion: assertion.clone() }, vec![approve, assert])
    }

    fn reveal() -> (Expected, Unsigned) {
        let call = Call::RevealAssertion(calldata::RevealAssertion {
            guid: Guid::random(7),
            index: U256::from(3),
            nonce: U256::from(99),
            verdicts: ArtifactSet::first(1),
            metadata: "QmRRX2".to_owned(),
        });
        (Expected::Call(call.clone()), unsigned(REGISTRY, &call))
    }

    #[test]
    fn what_was_asked_for_is_signed_and_the_contracts_are_remembered() {
        let mut contracts = Contracts::default();
        let (expected, transactions) = asked(&assertion(&[10, 20]));
        assert_eq!(contracts.verify(&expected, &transactions), Ok(()));
        assert_eq!(contracts, Contracts { chain: Some(1338), token: Some(TOKEN), registry: Some(REGISTRY) });
        let (expected, transaction) = reveal();
        assert_eq!(contracts.verify(&expected, &[transaction]), Ok(()));
    }

    #[test]
    fn other_contracts_and_chains_than_before_are_refused_and_not_remembered() {
        let (expected, transactions) = asked(&assertion(&[10]));
        let mut contracts = Contracts::default();
        contracts.verify(&expected, &transactions).unwrap();
        let known = contracts;
        let thief = Address::repeat_byte(0x66);
        let check = |change: &dyn Fn(&mut Vec<Unsigned>), words: &str| {
            let mut contracts = known;
            let (expected, mut transactions) = asked(&assertion(&[10]));
            change(&mut transactions);
            let refusal = contracts.verify(&expected, &transactions).unwrap_err().to_string();
            assert!(refusal.contains(words), "{refusal}");
            assert_eq!(contracts, known);
        };
        let allow = |spender| -> Bytes { Call::Approve { spender, amount: allowance(&assertion(&[10])) }.encode().into() };
        check(&|all| all[0].data = allow(thief), "transaction 1 to sign was not asked for");
        check(
            &|all| {
                all[0].data = allow(thief);
                all[1].to = thief;
            },
            &format!("the market was {REGISTRY} before"),
        );
        check(&|all| all[0].to = thief, &format!("the token was {TOKEN} before"));
        check(&|all| all[0].to = REGISTRY, "cannot be the token");
        check(&|all| all[1].chain_id = Some(1), "is for chain 1, those before were for chain 1338");
        check(&|all| all[1].chain_id = None, "valid on every chain");
        check(&|all| all[1].value = U256::from(1), "sends 1 wei of ether");
        check(&|all| all[1].gas_price = U256::from(1_000_000_000_000u64), "may cost 50000000000000000000 wei");
        check(&|all| all[1].data = Bytes::new(), "no call of the market: calldata of 0 bytes has no selector");
        check(&|all| all.truncate(1), "1 transactions to sign instead of 2");
        check(&|all| all.push(all[0].clone()), "3 transactions to sign instead of 2");
        check(&|all| all.reverse(), "was not asked for");
    }

    #[test]
    fn a_refused_reveal_gives_no_secret_away() {
        let (expected, _) = reveal();
        let refused = |change: &dyn Fn(&mut calldata::RevealAssertion)| {
            let (Expected::Call(Call::RevealAssertion(mut call)), _) = reveal() else { unreachable!("it is a reveal") };
            change(&mut call);
            let transaction = unsigned(REGISTRY, &Call::RevealAssertion(call));
            Contracts::default().verify(&expected, &[transaction]).unwrap_err().to_string()
        };
        let said = |field: &str| format!("transaction 1 to sign was not asked for: revealAssertion with another {field}");
        assert_eq!(refused(&|call| call.nonce = U256::from(12_345)), said("nonce"));
        assert_eq!(refused(&|call| call.verdicts = ArtifactSet::EMPTY), said("verdicts"));
        assert_eq!(refused(&|call| call.metadata = "1".repeat(100_000)), said("metadata"));
        let (_, transaction) = reveal();
        let settle = Expected::Call(Call::SettleBounty { guid: Guid::random(7) });
        let refused = Contracts::default().verify(&settle, &[transaction]).unwrap_err().to_string();
        assert_eq!(refused, "transaction 1 to sign was not asked for: revealAssertion instead of settleBounty");
    }

    fn flipped(data: &Bytes, at: prop::sample::Index, bit: u8) -> Bytes {
        let mut data = data.to_vec();
        let at = at.index(data.len());
        data[at] ^= 1 << bit;
        data.into()
    }

    proptest! {
        #[test]
        fn any_bit_of_an_assertion_that_differs_is_refused(
            bids in prop::collection::vec(1u128..1 << 100, 1..5),
            which in 0usize..2,
            at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let (expected, mut transactions) = asked(&assertion(&bids));
            let data = &mut transactions[which].data;
            *data = flipped(data, at, bit);
            let mut contracts = Contracts::default();
            prop_assert!(contracts.verify(&expected, &transactions).is_err());
            prop_assert_eq!(contracts, Contracts::default());
        }

        #[test]
        fn any_bit_of_a_reveal_that_differs_is_refused(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let (expected, mut transaction) = reveal();
            transaction.data = flipped(&transaction.data, at, bit);
            prop_assert!(Contracts::default().verify(&expected, &[transaction]).is_err());
        }

        #[test]
        fn any_other_assertion_than_the_one_asked_for_is_refused(
            bids in prop::collection::vec(1u128..1 << 100, 1..5),
            others in prop::collection::vec(1u128..1 << 100, 1..5),
        ) {
            prop_assume!(bids != others);
            let (expected, _) = asked(&assertion(&bids));
            let (_, transactions) = asked(&assertion(&others));
            prop_assert!(Contracts::default().verify(&expected, &transactions).is_err());
        }
    }
}
