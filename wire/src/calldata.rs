//! The contract calls of polyswarmd's transactions, encoded and decoded.
//!
//! A call is what the chain executes, so its numbers are as wide as there: an index or a duration beyond any sense decodes
//! as what it is, and the market refuses it.

use alloy_primitives::{B256, U256};
use market::{
    bloom::Bloom,
    id::{Address, Guid},
    nct::Nct,
    verdict::ArtifactSet,
};

use crate::{
    abi::{self, Argument, EmptyText, Reader, Unreadable},
    function::{
        APPROVE, DEPOSIT, Function, POST_ASSERTION, POST_BOUNTY, REVEAL_ASSERTION, SETTLE_BOUNTY, TRANSFER, VOTE_ON_BOUNTY, WITHDRAW,
    },
};

/// A call of one of the contracts. Which contract, the transaction's recipient says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// Lets a contract take up to `amount` from the sender.
    Approve {
        /// The contract: BountyRegistry or ArbiterStaking.
        spender: Address,
        /// In wei.
        amount: Nct,
    },
    /// Moves Nectar, to another account or to the relay between home and side chain.
    Transfer {
        /// Who receives it.
        to: Address,
        /// In wei.
        amount: Nct,
    },
    /// Posts a bounty.
    PostBounty(Box<PostBounty>),
    /// Posts an assertion.
    PostAssertion(PostAssertion),
    /// Reveals an assertion.
    RevealAssertion(RevealAssertion),
    /// Votes on a bounty.
    VoteOnBounty {
        /// The bounty.
        guid: Guid,
        /// Malicious artifacts.
        votes: ArtifactSet,
        /// Whether the bounty's filter matches its artifacts.
        valid_bloom: bool,
    },
    /// Settles a bounty for the sender.
    SettleBounty {
        /// The bounty.
        guid: Guid,
    },
    /// Stakes as an arbiter.
    Deposit {
        /// In wei.
        amount: Nct,
    },
    /// Takes a stake back.
    Withdraw {
        /// In wei.
        amount: Nct,
    },
}

/// Arguments of `postBounty`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PostBounty {
    /// Chosen by polyswarmd; see [`crate::guid`].
    pub guid: Guid,
    /// 0 for files, 1 for URLs; see [`crate::artifact::ArtifactType`].
    pub artifact_type: U256,
    /// In wei, without the fee.
    pub amount: Nct,
    /// Where the artifacts are listed.
    pub uri: String,
    /// Number of artifacts.
    pub artifacts: U256,
    /// In blocks.
    pub duration: U256,
    /// The filter over the artifacts' hashes.
    pub bloom: Bloom,
    /// URI of the metadata, or empty.
    pub metadata: String,
}

/// Arguments of `postAssertion`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PostAssertion {
    /// The bounty.
    pub guid: Guid,
    /// In wei, one for each artifact of the mask.
    pub bids: Vec<Nct>,
    /// Artifacts asserted on.
    pub mask: ArtifactSet,
    /// See [`market::commitment`].
    pub commitment: B256,
}

/// Arguments of `revealAssertion`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevealAssertion {
    /// The bounty.
    pub guid: Guid,
    /// Position of the assertion among the bounty's.
    pub index: U256,
    /// The secret of the commitment.
    pub nonce: U256,
    /// Malicious artifacts.
    pub verdicts: ArtifactSet,
    /// URI of the metadata, or empty.
    pub metadata: String,
}

/// Why calldata is no call.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedCall {
    /// Fewer than four bytes.
    #[error("calldata of {length} bytes has no selector")]
    NoSelector {
        /// Bytes there are.
        length: usize,
    },
    /// No function of the contracts that polyswarmd's transactions call.
    #[error("no known function has the selector {}", hex::encode(selector))]
    UnknownSelector {
        /// The first four bytes.
        selector: [u8; 4],
    },
    /// An argument, or what an offset points to, is beyond the end.
    #[error("calldata ends before its arguments do")]
    TooShort,
    /// A number that its type cannot hold.
    #[error("{value:#x} is too large for {solidity}")]
    TooLarge {
        /// The argument's type.
        solidity: &'static str,
        /// The word found.
        value: U256,
    },
    /// A text that is none.
    #[error("a text argument is not UTF-8")]
    NotUtf8,
    /// The arguments are complete, but not laid out as every encoder does, or bytes follow them.
    #[error("calldata is not laid out canonically, or has bytes after its arguments")]
    NotCanonical,
}

impl From<Unreadable> for MalformedCall {
    fn from(reason: Unreadable) -> MalformedCall {
        match reason {
            Unreadable::TooShort => MalformedCall::TooShort,
            Unreadable::NotUtf8 => MalformedCall::NotUtf8,
        }
    }
}

impl Call {
    /// The function that is called.
    pub fn function(&self) -> Function {
        match self {
            Call::Approve { .. } => APPROVE,
            Call::Transfer { .. } => TRANSFER,
            Call::PostBounty(_) => POST_BOUNTY,
            Call::PostAssertion(_) => POST_ASSERTION,
            Call::RevealAssertion(_) => REVEAL_ASSERTION,
            Call::VoteOnBounty { .. } => VOTE_ON_BOUNTY,
            Call::SettleBounty { .. } => SETTLE_BOUNTY,
            Call::Deposit { .. } => DEPOSIT,
            Call::Withdraw { .. } => WITHDRAW,
        }
    }

    /// The calldata: selector and arguments.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(EmptyText::Bare)
    }

    fn encode_with(&self, empty_text: EmptyText) -> Vec<u8> {
        let encode = |arguments: &[Argument<'_>]| abi::encode(self.function().selector, arguments, empty_text);
        match self {
            Call::Approve { spender: account, amount } | Call::Transfer { to: account, amount } => {
                encode(&[Argument::Word(U256::from_be_slice(account.as_slice())), Argument::Word(amount.to_uint())])
            }
            Call::PostBounty(post) => {
                let mut arguments = vec![
                    Argument::Word(U256::from(post.guid.0)),
                    Argument::Word(post.artifact_type),
                    Argument::Word(post.amount.to_uint()),
                    Argument::Text(&post.uri),
                    Argument::Word(post.artifacts),
                    Argument::Word(post.duration),
                ];
                arguments.extend(post.bloom.0.map(Argument::Word));
                arguments.push(Argument::Text(&post.metadata));
                encode(&arguments)
            }
            Call::PostAssertion(post) => {
                let bids: Vec<U256> = post.bids.iter().map(|bid| bid.to_uint()).collect();
                encode(&[
                    Argument::Word(U256::from(post.guid.0)),
                    Argument::Words(&bids),
                    Argument::Word(post.mask.to_uint()),
                    Argument::Word(post.commitment.into()),
                ])
            }
            Call::RevealAssertion(reveal) => encode(&[
                Argument::Word(U256::from(reveal.guid.0)),
                Argument::Word(reveal.index),
                Argument::Word(reveal.nonce),
                Argument::Word(reveal.verdicts.to_uint()),
                Argument::Text(&reveal.metadata),
            ]),
            Call::VoteOnBounty { guid, votes, valid_bloom } => {
                encode(&[Argument::Word(U256::from(guid.0)), Argument::Word(votes.to_uint()), Argument::Word(U256::from(*valid_bloom))])
            }
            Call::SettleBounty { guid } => encode(&[Argument::Word(U256::from(guid.0))]),
            Call::Deposit { amount } | Call::Withdraw { amount } => encode(&[Argument::Word(amount.to_uint())]),
        }
    }

    /// Reads calldata.
    ///
    /// What comes back is all that the bytes say: encoding it again gives the same bytes, or eth-abi's variant of them.
    ///
    /// # Errors
    ///
    /// For unknown functions, arguments that are cut off or out of their type's range, and any layout that neither the
    /// ABI specification nor eth-abi produces, trailing bytes included.
    pub fn decode(calldata: &[u8]) -> Result<Call, MalformedCall> {
        let Some((selector, arguments)) = calldata.split_first_chunk::<4>() else {
            return Err(MalformedCall::NoSelector { length: calldata.len() });
        };
        let mut reader = Reader::new(arguments);
        let call = match Function::with_selector(*selector) {
            Some(APPROVE) => Call::Approve { spender: address(&mut reader)?, amount: amount(&mut reader)? },
            Some(TRANSFER) => Call::Transfer { to: address(&mut reader)?, amount: amount(&mut reader)? },
            Some(POST_BOUNTY) => Call::PostBounty(Box::new(PostBounty {
                guid: guid(&mut reader)?,
                artifact_type: reader.word()?,
                amount: amount(&mut reader)?,
                uri: reader.text()?.to_owned(),
                artifacts: reader.word()?,
                duration: reader.word()?,
                bloom: bloom(&mut reader)?,
                metadata: reader.text()?.to_owned(),
            })),
            Some(POST_ASSERTION) => Call::PostAssertion(PostAssertion {
                guid: guid(&mut reader)?,
                bids: reader.words()?.into_iter().map(Nct::from_uint).collect(),
                mask: ArtifactSet::from_uint(reader.word()?),
                commitment: reader.word()?.into(),
            }),
            Some(REVEAL_ASSERTION) => Call::RevealAssertion(RevealAssertion {
                guid: guid(&mut reader)?,
                index: reader.word()?,
                nonce: reader.word()?,
                verdicts: ArtifactSet::from_uint(reader.word()?),
                metadata: reader.text()?.to_owned(),
            }),
            Some(VOTE_ON_BOUNTY) => Call::VoteOnBounty {
                guid: guid(&mut reader)?,
                votes: ArtifactSet::from_uint(reader.word()?),
                valid_bloom: boolean(&mut reader)?,
            },
            Some(SETTLE_BOUNTY) => Call::SettleBounty { guid: guid(&mut reader)? },
            Some(DEPOSIT) => Call::Deposit { amount: amount(&mut reader)? },
            Some(WITHDRAW) => Call::Withdraw { amount: amount(&mut reader)? },
            _ => return Err(MalformedCall::UnknownSelector { selector: *selector }),
        };
        if calldata != call.encode() && calldata != call.encode_with(EmptyText::PaddedWord) {
            return Err(MalformedCall::NotCanonical);
        }
        Ok(call)
    }
}

fn guid(reader: &mut Reader<'_>) -> Result<Guid, MalformedCall> {
    let value = reader.word()?;
    value.try_into().map(Guid).map_err(|_| MalformedCall::TooLarge { solidity: "uint128", value })
}

fn amount(reader: &mut Reader<'_>) -> Result<Nct, MalformedCall> {
    Ok(Nct::from_uint(reader.word()?))
}

fn address(reader: &mut Reader<'_>) -> Result<Address, MalformedCall> {
    let value = reader.word()?;
    if value.bit_len() > 160 {
        return Err(MalformedCall::TooLarge { solidity: "address", value });
    }
    Ok(Address::from_word(value.into()))
}

fn boolean(reader: &mut Reader<'_>) -> Result<bool, MalformedCall> {
    let value = reader.word()?;
    match u8::try_from(value) {
        Ok(0) => Ok(false),
        Ok(1) => Ok(true),
        _ => Err(MalformedCall::TooLarge { solidity: "bool", value }),
    }
}

fn bloom(reader: &mut Reader<'_>) -> Result<Bloom, MalformedCall> {
    let mut bloom = Bloom::default();
    for word in &mut bloom.0 {
        *word = reader.word()?;
    }
    Ok(bloom)
}
