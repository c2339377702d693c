//! Comparing 256-bit words limb by limb.
//!
//! The derived comparison of a word reads it in vectors. Where arithmetic or a caller wrote it in limbs a moment ago,
//! such a read waits until the limbs have left the store buffer, which takes longer than a whole command's checks.

use alloy_primitives::U256;

/// `a == b`.
#[inline]
pub(crate) fn same([a0, a1, a2, a3]: [u64; 4], [b0, b1, b2, b3]: [u64; 4]) -> bool {
    (a0 ^ b0) | (a1 ^ b1) | (a2 ^ b2) | (a3 ^ b3) == 0
}

/// `a == 0`.
#[inline]
pub(crate) fn is_zero(a: [u64; 4]) -> bool {
    // As a subtraction, because the compiler makes vectors of anything plainer.
    U256::from_limbs(a) < U256::ONE
}
