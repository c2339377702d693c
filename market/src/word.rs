//! Comparing 256-bit words limb by limb.
//!
//! The derived comparison of a word reads it in vectors. Where arithmetic or a caller wrote it in limbs a moment ago,
//! such a read waits until the limbs have left the store buffer, which takes longer than a whole command's checks.

use alloy_primitives::U256;

/// `a == b`.
#[inline]
pub(crate) fn same(a: &U256, b: &U256) -> bool {
    let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (*a.as_limbs(), *b.as_limbs());
    (a0 ^ b0) | (a1 ^ b1) | (a2 ^ b2) | (a3 ^ b3) == 0
}

/// `a == 0`.
#[inline]
pub(crate) fn is_zero(a: &U256) -> bool {
    // As a subtraction, because the compiler makes vectors of anything plainer.
    *a < U256::ONE
}
