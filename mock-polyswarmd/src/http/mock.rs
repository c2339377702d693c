//! Cheats: what no polyswarmd has. They are for tests and for whoever watches a run.

use std::{io::Write, sync::Arc};

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use market::{id::Address, nct::Nct};
use prometheus_client::{encoding::text::encode, metrics::gauge::Gauge, registry::Registry};
use replay::{
    journal::Journal,
    world::{Blind, PlayError},
};
use serde::{Deserialize, Serialize};
use wire::account::Balance;

use super::answer::{Answer, Body, Caller, Fail, Raw, Segments, Success, json};
use crate::{
    chain::Order,
    clock,
    node::{Figures, Node, State as NodeState, StateError},
    server::Server,
};

type Shared = State<Arc<Server>>;

/// Blocks that one request can mine.
const BLOCKS_MAXIMUM: u64 = 100_000;

#[derive(Deserialize)]
pub(super) struct Pass {
    block: u64,
}

pub(super) async fn pass(State(server): Shared, caller: Caller, Body(pass): Body<Pass>) -> Answer<()> {
    let account = caller.account()?;
    server.node().pass(account, pass.block);
    server.activity.notify_one();
    Ok(Success(()))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Mine {
    blocks: Option<u64>,
}

/// Mines blocks, one if the body does not say; answers with the number of the last.
pub(super) async fn mine(State(server): Shared, query: Result<Query<Mine>, QueryRejection>, Raw(body): Raw) -> Answer<u64> {
    let Query(asked) = query.map_err(|error| Fail::bad(error.body_text()))?;
    let mine: Mine = if body.is_empty() { asked } else { serde_json::from_slice(&body).map_err(Fail::bad)? };
    let blocks = mine.blocks.unwrap_or(1);
    if !(1..=BLOCKS_MAXIMUM).contains(&blocks) {
        return Err(Fail::bad(format_args!("`blocks` is {blocks}, but must be within 1 and {BLOCKS_MAXIMUM}")));
    }
    for _ in 0..blocks {
        if server.is_stopping() {
            return Err(Fail::new(StatusCode::SERVICE_UNAVAILABLE, "the server stops"));
        }
        if !clock::mine(&server).await {
            return Err(broken());
        }
    }
    Ok(Success(server.node().now().0))
}

fn broken() -> Fail {
    Fail::new(StatusCode::INTERNAL_SERVER_ERROR, "the run broke off; the server's log says more")
}

#[derive(Deserialize)]
pub(super) struct Fund {
    #[serde(with = "wire::address")]
    account: Address,
    #[serde(with = "wire::decimal::string")]
    amount: Nct,
}

/// Answers with the balance afterwards.
pub(super) async fn fund(State(server): Shared, caller: Caller, Body(fund): Body<Fund>) -> Answer<Balance> {
    let mut node = server.node();
    match node.fund(caller.chain, fund.account, fund.amount) {
        Ok((mail, refused)) => {
            server.deliver(mail);
            if let Some(reason) = refused {
                return Err(Fail::bad(reason));
            }
        }
        Err(error) => return Err(break_off(&server, error)),
    }
    let market = node.chains().market(caller.chain);
    let balance = market.known_account(fund.account).map_or(Nct::ZERO, |account| market.balance(account));
    Ok(Success(Balance(balance)))
}

fn break_off(server: &Server, error: PlayError) -> Fail {
    server.break_off(error);
    broken()
}

fn govern(server: &Server, order: Order) -> Answer<()> {
    let mut node = server.node();
    match node.govern(order) {
        Ok((mail, refused)) => {
            server.deliver(mail);
            refused.map_or(Ok(Success(())), |reason| Err(Fail::bad(reason)))
        }
        Err(error) => Err(break_off(server, error)),
    }
}

#[derive(Deserialize)]
pub(super) struct Fees {
    #[serde(with = "wire::decimal::string")]
    bounty_fee: Nct,
    #[serde(with = "wire::decimal::string")]
    assertion_fee: Nct,
}

pub(super) async fn fees(State(server): Shared, Body(fees): Body<Fees>) -> Answer<()> {
    govern(&server, Order::Fees { bounty: fees.bounty_fee, assertion: fees.assertion_fee })
}

#[derive(Deserialize)]
pub(super) struct Windows {
    assertion_reveal_window: u64,
    arbiter_vote_window: u64,
}

pub(super) async fn windows(State(server): Shared, Body(windows): Body<Windows>) -> Answer<()> {
    govern(&server, Order::Windows { reveal: windows.assertion_reveal_window, vote: windows.arbiter_vote_window })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Deprecate {
    rollover: bool,
}

pub(super) async fn deprecate(State(server): Shared, Raw(body): Raw) -> Answer<()> {
    let deprecate: Deprecate = if body.is_empty() { Deprecate::default() } else { serde_json::from_slice(&body).map_err(Fail::bad)? };
    govern(&server, Order::Deprecate { rollover: deprecate.rollover })
}

pub(super) async fn undeprecate(State(server): Shared) -> Answer<()> {
    govern(&server, Order::Undeprecate)
}

pub(super) async fn snapshots(State(server): Shared) -> Answer<Vec<String>> {
    Ok(Success(server.node().snapshots()))
}

fn state_fail(server: &Server, error: StateError) -> Fail {
    match error {
        StateError::Play(error) => break_off(server, error),
        StateError::NoSnapshot { .. } => Fail::missing(error),
        error => Fail::bad(error),
    }
}

pub(super) async fn snapshot(State(server): Shared, Segments(name): Segments<String>) -> Answer<u64> {
    let mut node = server.node();
    node.snapshot(name).map_err(|error| state_fail(&server, error))?;
    Ok(Success(node.now().0))
}

/// Work on the node that takes its time, beside the threads that answer requests; answers with the block afterwards.
async fn travel(server: Arc<Server>, work: impl FnOnce(&mut Node) -> Result<(), StateError> + Send + 'static) -> Answer<u64> {
    let traveller = server.clone();
    let travelled = tokio::task::spawn_blocking(move || {
        let mut node = traveller.node();
        work(&mut node).map(|()| node.now().0)
    });
    let now = travelled.await.map_err(|_| broken())?.map_err(|error| state_fail(&server, error))?;
    server.jumped();
    Ok(Success(now))
}

pub(super) async fn revert(State(server): Shared, Segments(name): Segments<String>) -> Answer<u64> {
    travel(server, move |node| node.revert(&name)).await
}

pub(super) async fn dump(State(server): Shared) -> Response {
    let state = server.node().dump();
    json(StatusCode::OK, &wire::envelope::Envelope::Ok(state))
}

/// Takes what [`dump`] gives, with or without its envelope.
pub(super) async fn load(State(server): Shared, Raw(body): Raw) -> Answer<u64> {
    #[derive(Deserialize)]
    struct Enveloped {
        result: NodeState,
    }
    let state = match serde_json::from_slice::<Enveloped>(&body) {
        Ok(enveloped) => Ok(enveloped.result),
        Err(error) => serde_json::from_slice(&body).map_err(|_| error),
    };
    let state = state.map_err(|error| Fail::bad(format_args!("the body is no state: {error}")))?;
    drop(body);
    // A state that cannot be played is refused; nothing is broken, because the node stays as it was.
    travel(server, move |node| {
        node.load(state).map_err(|error| match error {
            StateError::Play(error) => StateError::Unplayable { reason: error.to_string() },
            error => error,
        })
    })
    .await
}

#[derive(Debug, Serialize)]
pub(super) struct Health {
    block: u64,
    bounties_planned: u64,
    bounties_over: u64,
    waiting_transactions: usize,
    websockets: usize,
    over: bool,
    figures: Figures,
}

pub(super) async fn health(State(server): Shared) -> Answer<Health> {
    let node = server.node();
    Ok(Success(Health {
        block: node.now().0,
        bounties_planned: node.setup().bounties,
        bounties_over: node.chains().world().closed(),
        waiting_transactions: node.pool().len(),
        websockets: server.listeners(),
        over: node.is_over(),
        figures: node.figures(),
    }))
}

pub(super) async fn metrics(State(server): Shared) -> Result<Response, Fail> {
    let node = server.node();
    let (figures, mut registry) = (node.figures(), Registry::with_prefix("mock_polyswarmd"));
    let mut gauge = |name: &str, help: &str, value: u64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge("block", "Current block", node.now().0);
    gauge("bounties_posted", "Bounties posted", figures.bounties);
    gauge("bounties_over", "Bounties settled by everybody", node.chains().world().closed());
    gauge("assertions", "Assertions posted", figures.assertions);
    gauge("reveals", "Assertions revealed", figures.reveals);
    gauge("votes", "Votes cast", figures.votes);
    gauge("settlements", "Settlements", figures.settlements);
    gauge("transactions", "Transactions carried out", figures.transactions);
    gauge("transactions_failed", "Transactions that the contracts refused", figures.failures);
    gauge("transactions_waiting", "Transactions that wait to be mined", node.pool().len() as u64);
    gauge("websockets", "WebSockets open", server.listeners() as u64);
    drop(node);
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| Fail::new(StatusCode::INTERNAL_SERVER_ERROR, error))?;
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// The journal so far, uncompressed: what the run directory would hold.
pub(super) async fn journal(State(server): Shared) -> Result<Response, Fail> {
    let lines = tokio::task::spawn_blocking(move || {
        let mut lines = Vec::new();
        let recording = server.node().recording();
        recording.play::<PlayError>(&mut Blind, &mut |now, event, names| {
            Journal::<std::io::Sink>::line(now, event, names, &mut lines).map_err(PlayError::from)
        })?;
        lines.flush()?;
        Ok::<_, PlayError>(lines)
    });
    let lines = lines.await.map_err(|_| broken())?.map_err(|error| Fail::new(StatusCode::INTERNAL_SERVER_ERROR, error))?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))], lines).into_response())
}
