//! The contracts' functions that polyswarmd's transactions call: BountyRegistry 1.6.1, ArbiterStaking 1.2.1, NectarToken.

/// A function of one of the contracts: its name, its canonical signature and its selector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Function {
    /// Name and argument types, as hashed for the selector.
    pub signature: &'static str,
    /// The first four bytes of calldata.
    pub selector: [u8; 4],
}

/// `NectarToken.approve`.
pub const APPROVE: Function = Function { signature: "approve(address,uint256)", selector: [0x09, 0x5e, 0xa7, 0xb3] };
/// `NectarToken.transfer`.
pub const TRANSFER: Function = Function { signature: "transfer(address,uint256)", selector: [0xa9, 0x05, 0x9c, 0xbb] };
/// `BountyRegistry.postBounty`.
pub const POST_BOUNTY: Function = Function {
    signature: "postBounty(uint128,uint256,uint256,string,uint256,uint256,uint256[8],string)",
    selector: [0xb2, 0xe3, 0x66, 0xa8],
};
/// `BountyRegistry.postAssertion`.
pub const POST_ASSERTION: Function =
    Function { signature: "postAssertion(uint128,uint256[],uint256,uint256)", selector: [0xea, 0x11, 0x73, 0x1e] };
/// `BountyRegistry.revealAssertion`.
pub const REVEAL_ASSERTION: Function =
    Function { signature: "revealAssertion(uint128,uint256,uint256,uint256,string)", selector: [0xf8, 0xf3, 0x2d, 0xe6] };
/// `BountyRegistry.voteOnBounty`.
pub const VOTE_ON_BOUNTY: Function = Function { signature: "voteOnBounty(uint128,uint256,bool)", selector: [0x27, 0x02, 0x8a, 0xae] };
/// `BountyRegistry.settleBounty`.
pub const SETTLE_BOUNTY: Function = Function { signature: "settleBounty(uint128)", selector: [0x55, 0x92, 0xd6, 0x87] };
/// `ArbiterStaking.deposit`.
pub const DEPOSIT: Function = Function { signature: "deposit(uint256)", selector: [0xb6, 0xb5, 0x5f, 0x25] };
/// `ArbiterStaking.withdraw`.
pub const WITHDRAW: Function = Function { signature: "withdraw(uint256)", selector: [0x2e, 0x1a, 0x7d, 0x4d] };

/// Every function there is a [`Call`](crate::calldata::Call) of.
pub const FUNCTIONS: [Function; 9] =
    [APPROVE, TRANSFER, POST_BOUNTY, POST_ASSERTION, REVEAL_ASSERTION, VOTE_ON_BOUNTY, SETTLE_BOUNTY, DEPOSIT, WITHDRAW];

impl Function {
    /// The function with that selector.
    pub fn with_selector(selector: [u8; 4]) -> Option<Function> {
        FUNCTIONS.into_iter().find(|function| function.selector == selector)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    #[test]
    fn selectors_are_the_hashes_of_their_signatures() {
        for Function { signature, selector } in FUNCTIONS {
            assert_eq!(keccak256(signature)[..4], selector, "{signature}");
        }
    }
}
