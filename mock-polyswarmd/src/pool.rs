//! Transactions that wait to be mined, per chain and account in order of nonces.
//!
//! Clients reserve nonces in pairs and post them concurrently, so they arrive in any order. A gap is waited for, because
//! what comes after it (an assertion after its approval) counts on it; but not for ever, because a transaction that was
//! refused leaves a gap that nobody will fill.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use market::id::Address;

use crate::{chain::ChainName, transaction::Transaction};

/// How long a gap in the nonces is waited for.
pub const GAP_PATIENCE: Duration = Duration::from_secs(5);
/// Transactions that one account can have waiting.
pub const WAITING_MAXIMUM: usize = 10_000;

/// Bytes of transactions that can wait in all.
const BYTES_MAXIMUM: usize = 256 << 20;

/// Why a transaction is not taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotTaken {
    #[error("{}: {hash:x}", wire::transaction::KNOWN_TRANSACTION)]
    Known { hash: B256 },
    #[error("nonce too low: {nonce} was used already")]
    Used { nonce: u64 },
    #[error("nonce too high: {nonce} is more than {WAITING_MAXIMUM} after {next}, the next one")]
    TooHigh { nonce: u64, next: u64 },
    #[error("nonce {nonce} is taken by {by:x}, which waits to be mined")]
    Taken { nonce: u64, by: B256 },
    #[error("too many transactions wait to be mined; mine a block first")]
    Full,
}

/// One account's queue on one chain.
#[derive(Debug, Default)]
struct Queue {
    /// The first nonce that was never used.
    next: u64,
    waiting: BTreeMap<u64, (Instant, Transaction)>,
}

/// All that waits.
#[derive(Debug, Default)]
pub struct Pool {
    queues: BTreeMap<(ChainName, Address), Queue>,
    known: HashMap<B256, ChainName>,
    /// Bytes that wait.
    bytes: usize,
}

impl Pool {
    /// Takes in a transaction that was checked.
    ///
    /// # Errors
    ///
    /// If its nonce is used, or it is known.
    pub fn add(&mut self, chain: ChainName, transaction: Transaction, now: Instant) -> Result<(), NotTaken> {
        let (hash, nonce) = (transaction.hash(), transaction.nonce());
        if self.known.contains_key(&hash) {
            return Err(NotTaken::Known { hash });
        }
        let queue = self.queues.entry((chain, transaction.sender())).or_default();
        if nonce < queue.next {
            return Err(NotTaken::Used { nonce });
        }
        // A gap that is given up would jump there for good.
        if nonce - queue.next > WAITING_MAXIMUM as u64 {
            return Err(NotTaken::TooHigh { nonce, next: queue.next });
        }
        if let Some((_, other)) = queue.waiting.get(&nonce) {
            return Err(NotTaken::Taken { nonce, by: other.hash() });
        }
        if queue.waiting.len() >= WAITING_MAXIMUM || self.bytes + transaction.bytes() > BYTES_MAXIMUM {
            return Err(NotTaken::Full);
        }
        self.bytes += transaction.bytes();
        self.known.insert(hash, chain);
        queue.waiting.insert(nonce, (now, transaction));
        Ok(())
    }

    /// Takes out what can be mined: by account in order of addresses, each in order of nonces up to its first gap.
    pub fn take(&mut self, chain: ChainName, now: Instant) -> Vec<Transaction> {
        let mut ready = Vec::new();
        for ((_, _), queue) in self.queues.iter_mut().filter(|((on, _), _)| *on == chain) {
            while let Some(entry) = queue.waiting.first_entry() {
                let gap = *entry.key() > queue.next;
                if gap && now.saturating_duration_since(entry.get().0) < GAP_PATIENCE {
                    break;
                }
                queue.next = entry.key() + 1;
                let (_, transaction) = entry.remove();
                self.bytes -= transaction.bytes();
                ready.push(transaction);
            }
        }
        ready
    }

    /// The first nonce that `account` never used, those that wait included.
    pub fn next_nonce(&self, chain: ChainName, account: Address, ignore_pending: bool) -> u64 {
        let Some(queue) = self.queues.get(&(chain, account)) else { return 0 };
        let mut next = queue.next;
        if !ignore_pending {
            while queue.waiting.contains_key(&next) {
                next += 1;
            }
        }
        next
    }

    /// Nonces of `account` that wait to be mined.
    pub fn pending(&self, chain: ChainName, account: Address) -> Vec<u64> {
        self.queues.get(&(chain, account)).map_or_else(Vec::new, |queue| queue.waiting.keys().copied().collect())
    }

    /// True if the transaction waits or was mined.
    pub fn knows(&self, hash: B256) -> bool {
        self.known.contains_key(&hash)
    }

    /// Transactions that wait, on both chains.
    pub fn len(&self) -> usize {
        self.queues.values().map(|queue| queue.waiting.len()).sum()
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Notes that a transaction was carried out, as when a saved state is played again.
    pub fn mined(&mut self, chain: ChainName, transaction: &Transaction) {
        self.known.insert(transaction.hash(), chain);
        let queue = self.queues.entry((chain, transaction.sender())).or_default();
        queue.next = queue.next.max(transaction.nonce().saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;
    use market::{market::named_address, nct::Nct};
    use wire::{calldata::Call, signature::SecretKey, transaction::Unsigned};

    use super::*;

    fn transaction(nonce: u64) -> Transaction {
        let data = Call::Approve { spender: Address::ZERO, amount: Nct::ZERO }.encode().into();
        let (gas_price, value) = (U256::ZERO, U256::ZERO);
        let unsigned = Unsigned { nonce, chain_id: Some(1338), gas: 1, gas_price, value, to: named_address("NectarToken"), data };
        Transaction::read(unsigned.sign(&SecretKey::from_bytes(&[7; 32]).unwrap()).encode()).unwrap()
    }

    /// Adds nonces, takes, waits, takes again: what came out the first and the second time.
    fn check(nonces: &[u64], waited: Duration, first: &[u64], second: &[u64]) {
        let (mut pool, start) = (Pool::default(), Instant::now());
        for nonce in nonces {
            pool.add(ChainName::Side, transaction(*nonce), start).unwrap();
        }
        let mut take = |now| pool.take(ChainName::Side, now).iter().map(Transaction::nonce).collect::<Vec<_>>();
        assert_eq!((take(start).as_slice(), take(start + waited).as_slice()), (first, second), "{nonces:?}");
        assert!(pool.take(ChainName::Home, start + waited).is_empty());
    }

    #[test]
    fn a_gap_is_waited_for_but_not_for_ever() {
        let almost = GAP_PATIENCE - Duration::from_millis(1);
        check(&[1, 0, 2], almost, &[0, 1, 2], &[]);
        check(&[0, 3, 2], almost, &[0], &[]);
        check(&[0, 3, 2], GAP_PATIENCE, &[0], &[2, 3]);
        check(&[9, 5], GAP_PATIENCE, &[], &[5, 9]);
        let far = WAITING_MAXIMUM as u64;
        check(&[far], GAP_PATIENCE, &[], &[far]);
    }

    #[test]
    fn a_nonce_that_was_passed_over_is_used() {
        let (mut pool, start) = (Pool::default(), Instant::now());
        pool.add(ChainName::Side, transaction(2), start).unwrap();
        pool.take(ChainName::Side, start + GAP_PATIENCE);
        let refused = pool.add(ChainName::Side, transaction(1), start);
        assert!(matches!(refused, Err(NotTaken::Used { nonce: 1 })), "{refused:?}");
        let known = pool.add(ChainName::Side, transaction(2), start);
        assert!(matches!(known, Err(NotTaken::Known { .. })), "{known:?}");
        let last = pool.add(ChainName::Side, transaction(u64::MAX), start);
        assert!(matches!(last, Err(NotTaken::TooHigh { .. })), "{last:?}");
        assert_eq!(pool.next_nonce(ChainName::Side, transaction(0).sender(), false), 3);
    }
}
