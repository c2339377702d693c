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
    use std::sync::Mutex;

    use alloy_primitives::{Address, Bytes};
    use futures_util::future::join_all;
    use wire::{
        signature::SecretKey,
        transaction::{Signed, Submission},
    };

    use super::{
        super::{
            http::{Request, Response, TransportError},
            polyswarmd::Chain,
        },
        *,
    };

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

    /// Takes every transaction, after the first nonce was asked for and the gate opened; notes their gas, which tells them
    /// apart, and their nonces.
    struct Gate {
        open: watch::Receiver<bool>,
        sent: Mutex<Vec<(u64, u64)>>,
    }

    impl Transport for Arc<Gate> {
        async fn send(&self, request: Request) -> Result<Response, TransportError> {
            let body = match request.path.as_str() {
                "/nonce" => {
                    self.open.clone().wait_for(|open| *open).await.unwrap();
                    r#"{"status":"OK","result":5}"#
                }
                "/pending" => r#"{"status":"OK","result":["6"]}"#,
                _ => {
                    let submission: Submission = serde_json::from_slice(&request.body.unwrap()).unwrap();
                    let signed = Signed::decode(&submission.transactions[0]).unwrap();
                    self.sent.lock().unwrap().push((signed.transaction().gas, signed.transaction().nonce));
                    if signed.transaction().gas == 99 {
                        r#"{"status":"FAIL","errors":[{"is_error":true,"message":"no"}]}"#
                    } else {
                        r#"{"status":"OK","result":[{"is_error":false,"message":"0x"}]}"#
                    }
                }
            };
            Ok(Response { status: 200, body: body.as_bytes().to_vec() })
        }
    }

    fn transaction(gas: u64) -> Unsigned {
        let (gas_price, value) = Default::default();
        Unsigned { nonce: 0, chain_id: Some(1), gas, gas_price, value, to: Address::repeat_byte(1), data: Bytes::new() }
    }

    #[tokio::test]
    async fn reveals_go_before_assertions_before_settlements_and_nonces_have_no_gaps() {
        let open = watch::Sender::new(false);
        let gate = Arc::new(Gate { open: open.subscribe(), sent: Mutex::default() });
        let wallet = Wallet::of(SecretKey::from_bytes(&[0x46; 32]).unwrap());
        let client = Arc::new(Polyswarmd::new(Arc::clone(&gate), wallet.address(), Chain::Side));
        let blocks = watch::Sender::new(BlockNumber(10));
        let queue = Queue::start(client, wallet, blocks.subscribe());
        let orders = [
            (Urgency::Settle, vec![1], None),
            (Urgency::Settle, vec![2], None),
            (Urgency::Assert, vec![3, 4], Some(11)),
            (Urgency::Assert, vec![99, 5], Some(11)),
            (Urgency::Reveal, vec![6], Some(11)),
            (Urgency::Reveal, vec![7], Some(10)),
        ];
        let send = |(urgency, gas, latest): (Urgency, Vec<u64>, Option<u64>)| {
            let queue = queue.clone();
            async move { queue.send(urgency, gas.into_iter().map(transaction).collect(), latest.map(BlockNumber)).await }
        };
        let (results, ()) = tokio::join!(join_all(orders.map(send)), async {
            // The queue has all of them, the first of them is waiting for its nonce.
            tokio::task::yield_now().await;
            open.send_replace(true);
        });
        // 6 is pending. What is not taken leaves no gap: the nonce is asked for again.
        assert_eq!(*gate.sent.lock().unwrap(), [(6, 5), (3, 7), (4, 8), (99, 9), (1, 5), (2, 7)]);
        let lengths: Vec<_> = results.into_iter().map(|result| result.map(|hashes| hashes.len())).collect();
        let not_taken = Err(SendError::NotTaken { message: "no".to_owned() });
        assert_eq!(lengths, [Ok(1), Ok(1), Ok(2), not_taken, Ok(1), Err(SendError::Late)]);
    }
}
