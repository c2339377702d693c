//! Nonces, signing and sending: one queue per chain, so that nonces go out without gaps and in order.
//!
//! The nonce is counted locally after the first `GET /nonce` and `GET /pending`, and asked for again when it may be wrong.
//! What is most urgent goes first: reveals, assertions, settlements. A transaction that failed on its way is sent again as
//! it is, since it counts once however often it arrives.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    sync::Arc,
    time::Duration,
};

use alloy_primitives::B256;
use market::block::BlockNumber;
use tokio::sync::{mpsc, oneshot, watch};
use wire::{
    receipt::{Problem, Receipt},
    transaction::Unsigned,
};

use super::{
    backoff::Backoff,
    http::Transport,
    polyswarmd::{Polyswarmd, RequestError},
    wallet::Wallet,
};

/// What goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Urgency {
    /// The bid is lost if the window closes.
    Reveal,
    /// The bounty is missed if it expires.
    Assert,
    /// It can wait.
    Settle,
}

/// Why transactions did not go out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Their time passed while they waited; nothing was sent.
    #[error("it would come too late")]
    Late,
    /// The server does not take them; the last of them is not on its way.
    #[error("not taken: {message}")]
    NotTaken {
        /// The server's words.
        message: String,
    },
    /// Trouble before any was sent.
    #[error("cannot ask for a nonce: {0}")]
    NoNonce(RequestError),
    /// Trouble on the way: whether they arrived is not known.
    #[error("lost on the way: {0}")]
    Unknown(RequestError),
    /// The engine stops.
    #[error("the engine stops")]
    Stopped,
}

impl SendError {
    /// True if the last transaction may be on its way all the same.
    pub fn may_have_arrived(&self) -> bool {
        matches!(self, SendError::Unknown(_))
    }
}

/// What became of transactions that were taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The contract refused.
    #[error("{reason}")]
    Failed {
        /// The contract's words.
        reason: String,
    },
    /// Nobody knows (yet).
    #[error("no receipt: {cause}")]
    Unknown {
        /// Why.
        cause: String,
    },
}

/// Nonces of one account on one chain.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Nonces {
    next: Option<u64>,
    pending: BTreeSet<u64>,
}

impl Nonces {
    /// Starts with what the chain says.
    fn learn(&mut self, next: u64, pending: impl IntoIterator<Item = u64>) {
        self.next = Some(next);
        self.pending = pending.into_iter().collect();
    }

    /// The next free one, if any is known.
    fn peek(&self) -> Option<u64> {
        let mut nonce = self.next?;
        while self.pending.contains(&nonce) {
            nonce = nonce.checked_add(1)?;
        }
        Some(nonce)
    }

    /// That one is in use now.
    fn used(&mut self, nonce: u64) {
        self.next = nonce.checked_add(1);
    }

    /// They may be wrong.
    fn forget(&mut self) {
        self.next = None;
    }
}

struct Order {
    transactions: Vec<Unsigned>,
    /// Block in which the last of them must be mined at the latest.
    latest: Option<BlockNumber>,
    reply: oneshot::Sender<Result<Vec<B256>, SendError>>,
}

enum Message {
    Send(Urgency, Order),
    Resync,
}

/// The way into the queue.
#[derive(Clone, Debug)]
pub struct Queue {
    messages: mpsc::UnboundedSender<Message>,
}

impl Queue {
    /// Starts the queue of an account. `blocks` tells the last block there is.
    pub fn start<T: Transport>(client: Arc<Polyswarmd<T>>, wallet: Wallet, blocks: watch::Receiver<BlockNumber>) -> Queue {
        let (messages, inbox) = mpsc::unbounded_channel();
        tokio::spawn(run(client, wallet, blocks, inbox));
        Queue { messages }
    }

    /// Signs and sends verified transactions one after the other, when it is their turn. The answer is their hashes.
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    pub async fn send(&self, urgency: Urgency, transactions: Vec<Unsigned>, latest: Option<BlockNumber>) -> Result<Vec<B256>, SendError> {
        let (reply, answer) = oneshot::channel();
        self.messages.send(Message::Send(urgency, Order { transactions, latest, reply })).map_err(|_| SendError::Stopped)?;
        answer.await.map_err(|_| SendError::Stopped)?
    }

    /// The nonce is to be asked for again.
    pub fn resync(&self) {
        // Nobody there to hear it: then nobody uses nonces either.
        let _ = self.messages.send(Message::Resync);
    }
}

async fn run<T: Transport>(
    client: Arc<Polyswarmd<T>>,
    wallet: Wallet,
    blocks: watch::Receiver<BlockNumber>,
    mut inbox: mpsc::UnboundedReceiver<Message>,
) {
    let mut nonces = Nonces::default();
    // In order of urgency, then of arrival.
    let mut heap = BinaryHeap::new();
    let mut orders = std::collections::BTreeMap::new();
    let mut arrivals = 0u64;
    loop {
        let mut message = if heap.is_empty() { inbox.recv().await } else { inbox.try_recv().ok() };
        if message.is_none() && heap.is_empty() {
            return;
        }
        while let Some(arrived) = message {
            match arrived {
                Message::Send(urgency, order) => {
                    heap.push(Reverse((urgency, arrivals)));
                    orders.insert(arrivals, order);
                    arrivals += 1;
                }
                Message::Resync => nonces.forget(),
            }
            message = inbox.try_recv().ok();
        }
        let Some(Reverse((_, arrival))) = heap.pop() else { continue };
        let Order { transactions, latest, reply } = orders.remove(&arrival).expect("one order for each entry of the heap");
        // What is sent now can be mined in the next block.
        let late = latest.is_some_and(|latest| *blocks.borrow() >= latest);
        let result = if late { Err(SendError::Late) } else { send(&client, &wallet, &mut nonces, transactions).await };
        // Whoever asked may be gone; what was sent stays sent.
        let _ = reply.send(result);
    }
}

async fn send<T: Transport>(
    client: &Polyswarmd<T>,
    wallet: &Wallet,
    nonces: &mut Nonces,
    transactions: Vec<Unsigned>,
) -> Result<Vec<B256>, SendError> {
    let mut hashes = Vec::with_capacity(transactions.len());
    for unsigned in transactions {
        let nonce = match nonces.peek() {
            Some(nonce) => nonce,
            None => {
                let (next, pending) = (client.nonce().await, client.pending().await);
                nonces.learn(next.map_err(SendError::NoNonce)?, pending.map_err(SendError::NoNonce)?);
                nonces.peek().ok_or(SendError::NotTaken { message: "the account has used up its nonces".to_owned() })?
            }
        };
        let signed = Unsigned { nonce, ..unsigned }.sign(wallet.key());
        match client.submit(signed.encode()).await {
            Ok(submitted) if submitted.is_underway() => {
                nonces.used(nonce);
                hashes.push(signed.hash());
            }
            Ok(submitted) => {
                // Not in use, unless the server knows something that we do not.
                nonces.forget();
                return Err(SendError::NotTaken { message: submitted.message });
            }
            Err(error) => {
                nonces.forget();
                return Err(match error {
                    // A plain answer that is not about the transaction: it was not even looked at.
                    RequestError::Refused { failure, .. } => SendError::NotTaken { message: failure.to_string() },
                    error => SendError::Unknown(error),
                });
            }
        }
    }
    Ok(hashes)
}

/// Times that a receipt is asked for, at most: polyswarmd waits 10 s each time.
const RECEIPT_ATTEMPTS: u32 = 6;

/// Waits for what the transactions logged.
///
/// # Errors
///
/// See [`ReceiptError`].
pub async fn receipt<T: Transport>(
    client: &Polyswarmd<T>,
    queue: &Queue,
    hashes: &[B256],
    attempts: Attempts,
) -> Result<Receipt, ReceiptError> {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(4));
    let mut attempt = 1;
    loop {
        let cause = match client.receipt(hashes).await {
            Ok(receipt) if receipt.errors.is_empty() => return Ok(receipt),
            Ok(receipt) => {
                let text = receipt.errors.join("; ");
                let problems: Vec<Option<Problem>> = receipt.errors.iter().map(|text| Problem::of(text)).collect();
                if problems.iter().any(|problem| matches!(problem, Some(Problem::Failed { .. } | Problem::OutOfGas))) {
                    return Err(ReceiptError::Failed { reason: text });
                }
                if !problems.contains(&Some(Problem::Timeout)) {
                    return Err(ReceiptError::Unknown { cause: text });
                }
                // It may never have been there: another transaction of ours could wait for its nonce.
                queue.resync();
                text
            }
            Err(error) if error.is_transient() => error.to_string(),
            Err(error) => return Err(ReceiptError::Unknown { cause: error.to_string() }),
        };
        if attempts == Attempts::One || attempt == RECEIPT_ATTEMPTS {
            return Err(ReceiptError::Unknown { cause });
        }
        attempt += 1;
        tokio::time::sleep(backoff.wait()).await;
    }
}

/// How often a receipt is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attempts {
    /// Once: whoever asks knows that it is there.
    One,
    /// Until it is there, for about a minute.
    Several,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_are_counted_locally_and_skip_what_is_pending() {
        let mut nonces = Nonces::default();
        assert_eq!(nonces.peek(), None, "they are asked for first");
        nonces.learn(5, [6, 7, 9]);
        let mut take = || {
            let nonce = nonces.peek().unwrap();
            nonces.used(nonce);
            nonce
        };
        assert_eq!([take(), take(), take(), take()], [5, 8, 10, 11]);
        // One that was not taken is free again.
        assert_eq!(nonces.peek(), nonces.peek());
        nonces.forget();
        assert_eq!(nonces.peek(), None);
        nonces.learn(u64::MAX, [u64::MAX]);
        assert_eq!(nonces.peek(), None);
    }

    #[test]
    fn reveals_go_before_assertions_before_settlements() {
        assert!(Urgency::Reveal < Urgency::Assert && Urgency::Assert < Urgency::Settle);
    }
}
