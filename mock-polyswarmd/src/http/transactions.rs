//! Transactions: built for the client to sign, taken back signed, and their receipts.

use std::sync::Arc;

use alloy_primitives::{B256, U256};
use axum::extract::State;
use market::{id::Address, nct::Nct};
use tokio::time::{Instant, timeout_at};
use wire::{
    calldata::Call,
    envelope::Failure,
    receipt::{Problem, Receipt},
    transaction::{Inquiry, Submission, Submitted, TRANSACTIONS_MAXIMUM, ToSign, Unsigned},
};

use super::answer::{Answer, Body, Caller, Fail, Success};
use crate::{
    server::Server,
    transaction::{Transaction, contract},
};

type Shared = State<Arc<Server>>;

/// Gas of every transaction, as polyswarmd sets it.
const GAS: u64 = 50_000_000;

/// The transactions of an action: an approval of `price` first, if it costs anything, then the call itself.
pub(super) fn to_sign(caller: &Caller, price: Option<Nct>, call: Call) -> ToSign {
    let (_, to) = contract(&call);
    let calls = price.map(|amount| Call::Approve { spender: to, amount }).into_iter().chain([call]);
    let unsigned = |(position, call): (usize, Call)| Unsigned {
        nonce: caller.base_nonce.saturating_add(position as u64),
        chain_id: Some(caller.chain.id()),
        gas: GAS,
        gas_price: U256::ZERO,
        value: U256::ZERO,
        to: contract(&call).1,
        data: call.encode().into(),
    };
    ToSign { transactions: calls.enumerate().map(unsigned).collect() }
}

/// Every refusal is a list of entries, whatever is wrong: clients look into nothing else.
pub(super) async fn submit(
    State(server): Shared,
    caller: Result<Caller, Fail>,
    body: Result<Body<Submission>, Fail>,
) -> Answer<Vec<Submitted>> {
    take(&server, caller, body).map_err(Fail::of_submission)
}

fn take(server: &Server, caller: Result<Caller, Fail>, body: Result<Body<Submission>, Fail>) -> Answer<Vec<Submitted>> {
    let caller = caller?;
    let account = caller.account()?;
    let Body(submission) = body?;
    let count = submission.transactions.len();
    if count == 0 || count > TRANSACTIONS_MAXIMUM {
        return Err(Fail::bad(format_args!("{count} transactions at once; 1 to {TRANSACTIONS_MAXIMUM} are taken")));
    }
    // Reading them takes long enough (a signature each) to be done before the node is locked.
    let read: Vec<Result<Transaction, String>> = submission
        .transactions
        .into_iter()
        .map(|raw| {
            let transaction = Transaction::read(raw).map_err(|error| error.to_string())?;
            transaction.check(caller.chain, account).map_err(|error| error.to_string())?;
            Ok(transaction)
        })
        .collect();
    let mut node = server.node();
    let answers: Vec<Submitted> = read
        .into_iter()
        .map(|read| {
            let taken = read.and_then(|transaction| {
                let hash = transaction.hash();
                node.submit(caller.chain, transaction).map(|()| hash).map_err(|error| error.to_string())
            });
            taken.map_or_else(Submitted::refused, Submitted::accepted)
        })
        .collect();
    drop(node);
    server.activity.notify_one();
    if answers.iter().any(|answer| answer.is_error) { Err(Fail::of(Failure::Submissions(answers))) } else { Ok(Success(answers)) }
}

/// Notes who waits for what, for the clock, and forgets it however the wait ends.
struct Waiting<'a> {
    server: &'a Server,
    account: Option<Address>,
    hashes: &'a [B256],
}

impl<'a> Waiting<'a> {
    fn new(server: &'a Server, account: Option<Address>, hashes: &'a [B256]) -> Waiting<'a> {
        if let Some(account) = account {
            server.node().awaits(account, hashes);
            server.activity.notify_one();
        }
        Waiting { server, account, hashes }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(account) = self.account {
            self.server.node().gave_up(account, self.hashes);
        }
    }
}

/// Waits until all are mined. A GET with a body, as polyswarmd has it; every refusal is an object with a list of texts.
pub(super) async fn receipts(State(server): Shared, caller: Result<Caller, Fail>, body: Result<Body<Inquiry>, Fail>) -> Answer<Receipt> {
    wait(&server, caller, body).await.map_err(Fail::of_receipt)
}

async fn wait(server: &Server, caller: Result<Caller, Fail>, body: Result<Body<Inquiry>, Fail>) -> Answer<Receipt> {
    let (caller, Body(inquiry)) = (caller?, body?);
    let hashes = inquiry.transactions;
    if hashes.len() > TRANSACTIONS_MAXIMUM {
        return Err(Fail::bad(format_args!("{} transactions at once; at most {TRANSACTIONS_MAXIMUM} are taken", hashes.len())));
    }
    let mut blocks = server.blocks();
    blocks.mark_unchanged();
    let receipt = server.node().receipt(&hashes);
    let receipt = match receipt {
        Some(receipt) => receipt,
        None => {
            let _waiting = Waiting::new(server, caller.account, &hashes);
            let deadline = Instant::now() + server.patience().receipt(caller.chain);
            loop {
                // Mined before this request listened, or by the block it just heard of.
                let receipt = server.node().receipt(&hashes);
                if let Some(receipt) = receipt {
                    break receipt;
                }
                let next = tokio::select! {
                    next = timeout_at(deadline, blocks.changed()) => next.is_ok_and(|changed| changed.is_ok()),
                    () = server.stopped() => false,
                };
                if !next {
                    let node = server.node();
                    let missing = hashes.iter().filter(|hash| node.receipt(&[**hash]).is_none());
                    return Err(Fail::of(Failure::receipt(missing.map(|hash| Problem::Timeout.text(*hash)).collect())));
                }
            }
        }
    };
    if receipt.errors.is_empty() { Ok(Success(receipt)) } else { Err(Fail::of(Failure::Receipt(Box::new(receipt)))) }
}
