//! Balances, stakes, nonces, the relay between the chains, and how the node is.

use std::sync::Arc;

use axum::extract::State;
use market::{
    id::{AccountId, Address},
    market::Market,
    nct::Nct,
};
use serde::Serialize;
use wire::{
    account::{Amount, Balance, Nonce, Pending},
    calldata::Call,
    parameters::StakingParameters,
    transaction::ToSign,
};

use super::{
    answer::{Answer, Body, Caller, Fail, Segments, Success, address, json},
    transactions::to_sign,
};
use crate::{
    chain::{self, ChainName},
    server::Server,
};

type Shared = State<Arc<Server>>;

/// Ether of every account: gas is free, but clients ask whether there is any.
const ETHER: u64 = 1_000;

fn balance(server: &Server, caller: &Caller, text: &str, read: impl Fn(&Market, AccountId) -> Nct) -> Answer<Balance> {
    let address: Address = address(text)?;
    let node = server.node();
    let account = node.chains().account(caller.chain, address);
    Ok(Success(Balance(account.map_or(Nct::ZERO, |account| read(node.chains().market(caller.chain), account)))))
}

pub(super) async fn nct(State(server): Shared, caller: Caller, Segments(text): Segments<String>) -> Answer<Balance> {
    balance(&server, &caller, &text, Market::balance)
}

pub(super) async fn eth(_: Caller, Segments(text): Segments<String>) -> Answer<Balance> {
    address(&text)?;
    Ok(Success(Balance(Nct::whole(ETHER))))
}

pub(super) async fn stake(State(server): Shared, caller: Caller, Segments(text): Segments<String>) -> Answer<Balance> {
    balance(&server, &caller, &text, |market, account| market.staking().balance(account))
}

pub(super) async fn withdrawable(State(server): Shared, caller: Caller, Segments(text): Segments<String>) -> Answer<Balance> {
    balance(&server, &caller, &text, Market::withdrawable_stake)
}

pub(super) async fn staking_parameters(State(server): Shared, _: Option<Caller>) -> axum::response::Response {
    let node = server.node();
    let rules = node.chains().market(ChainName::Side).rules();
    let parameters = StakingParameters {
        minimum_stake: rules.stake_minimum,
        maximum_stake: rules.stake_maximum,
        vote_ratio_numerator: rules.response_tenths,
        vote_ratio_denominator: 10,
    };
    json(axum::http::StatusCode::OK, &wire::envelope::Envelope::Ok(parameters))
}

pub(super) async fn deposit(caller: Caller, Body(request): Body<Amount>) -> Answer<ToSign> {
    caller.account()?;
    Ok(Success(to_sign(&caller, Some(request.amount), Call::Deposit { amount: request.amount })))
}

pub(super) async fn withdraw(caller: Caller, Body(request): Body<Amount>) -> Answer<ToSign> {
    caller.account()?;
    Ok(Success(to_sign(&caller, None, Call::Withdraw { amount: request.amount })))
}

pub(super) async fn relay_deposit(caller: Caller, Body(request): Body<Amount>) -> Answer<ToSign> {
    to_other_chain(&caller, ChainName::Home, request.amount)
}

pub(super) async fn relay_withdrawal(caller: Caller, Body(request): Body<Amount>) -> Answer<ToSign> {
    to_other_chain(&caller, ChainName::Side, request.amount)
}

fn to_other_chain(caller: &Caller, from: ChainName, amount: Nct) -> Answer<ToSign> {
    caller.account()?;
    if caller.chain != from {
        return Err(Fail::bad(format_args!("this path moves Nectar away from the {0} chain: ask with `chain={0}`", from.name())));
    }
    Ok(Success(to_sign(caller, None, Call::Transfer { to: chain::relay(), amount })))
}

pub(super) async fn nonce(State(server): Shared, caller: Caller) -> Answer<Nonce> {
    let account = caller.account()?;
    Ok(Success(Nonce(server.node().pool().next_nonce(caller.chain, account, caller.ignore_pending))))
}

pub(super) async fn pending(State(server): Shared, caller: Caller) -> Answer<Pending> {
    let account = caller.account()?;
    Ok(Success(Pending(server.node().pool().pending(caller.chain, account))))
}

/// A chain in memory is never behind.
pub(super) async fn syncing(_: Caller) -> Answer<bool> {
    Ok(Success(false))
}

#[derive(Debug, Serialize)]
pub(super) struct Status {
    artifact_services: Service,
    home: Chain,
    side: Chain,
}

#[derive(Debug, Serialize)]
struct Service {
    reachable: bool,
}

#[derive(Debug, Serialize)]
struct Chain {
    reachable: bool,
    syncing: bool,
    block: u64,
}

pub(super) async fn status(State(server): Shared) -> Answer<Status> {
    let node = server.node();
    let chain = |chain| Chain { reachable: true, syncing: false, block: node.chains().market(chain).now().0 };
    Ok(Success(Status { artifact_services: Service { reachable: true }, home: chain(ChainName::Home), side: chain(ChainName::Side) }))
}
