//! The road of a bounty: reading it, and building the transactions of every step for the client to sign.

use std::sync::Arc;

use alloy_primitives::U256;
use axum::{
    body::Bytes,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use market::{bloom::Bloom, bounty::Bounty, id::Guid, nct::Nct};
use serde::{Deserialize, Serialize};
use wire::{
    assertion, bloom::BountyBloom, bounty, bounty::Guids, calldata::Call, envelope::Envelope, json::Json, parameters::BountyParameters,
    transaction::ToSign, vote,
};

use super::answer::{Answer, Body, Caller, Fail, Raw, Segments, Success, json, rendered};
use crate::{
    chain::ChainName,
    http::transactions::to_sign,
    messages,
    node::{Node, View},
    server::Server,
};

type Shared = State<Arc<Server>>;

/// Guids on a page, unless the query says otherwise; polyswarm-client asks for as many.
const PAGE: usize = 75;
/// Most guids on a page.
const PAGE_MAXIMUM: usize = 1000;

pub(super) fn guid(text: &str) -> Result<Guid, Fail> {
    wire::guid::parse(text).map_err(Fail::bad)
}

fn find(node: &Node, guid: Guid) -> Result<&Bounty, Fail> {
    let bounty = node.chains().market(ChainName::Side).bounty(guid);
    bounty.ok_or_else(|| Fail::missing(format_args!("bounty {guid} does not exist")))
}

pub(super) async fn parameters(State(server): Shared, _: Option<Caller>) -> impl IntoResponse {
    let node = server.node();
    let market = node.chains().market(ChainName::Side);
    let (rules, fees, windows) = (market.rules(), market.fees(), market.windows());
    json(
        axum::http::StatusCode::OK,
        &Envelope::Ok(BountyParameters {
            bounty_fee: fees.bounty,
            assertion_fee: fees.assertion,
            bounty_amount_minimum: rules.bounty_minimum,
            assertion_bid_minimum: rules.bid_minimum,
            assertion_bid_maximum: rules.bid_maximum.unwrap_or(Nct::from_uint(U256::MAX)),
            arbiter_lookback_range: rules.candidate_lookback as u64,
            max_duration: rules.duration_maximum,
            assertion_reveal_window: windows.reveal().saturating_to(),
            arbiter_vote_window: windows.vote().saturating_to(),
        }),
    )
}

pub(super) async fn metadata(State(server): Shared, _: Caller, Raw(body): Raw) -> Answer<String> {
    let text = std::str::from_utf8(&body).map_err(|_| Fail::bad("metadata are not UTF-8"))?;
    let json = Json::from_text(text).map_err(|error| Fail::bad(format_args!("metadata are not JSON: {error}")))?;
    server.node().store_mut().describe(json).map(Success).map_err(Fail::bad)
}

#[derive(Deserialize)]
pub(super) struct Page {
    page: Option<u64>,
    count: Option<u64>,
}

pub(super) async fn list(
    State(server): Shared,
    _: Caller,
    page: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Answer<Guids> {
    let Query(Page { page, count }) = page.map_err(|error| Fail::bad(error.body_text()))?;
    let count = count.map_or(PAGE, |count| usize::try_from(count).unwrap_or(PAGE_MAXIMUM)).clamp(1, PAGE_MAXIMUM);
    let start = usize::try_from(page.unwrap_or(0)).ok().and_then(|page| page.checked_mul(count)).unwrap_or(usize::MAX);
    let node = server.node();
    let market = node.chains().market(ChainName::Side);
    let guids = (start..start.saturating_add(count)).map_while(|index| market.bounty_guid(index as u64).ok());
    Ok(Success(Guids(guids.collect())))
}

/// Answers a question about a bounty, from memory if it was asked before.
fn answer<T: Serialize>(server: &Server, text: &str, view: View, make: impl FnOnce(&Bounty, &Node) -> T) -> Result<Response, Fail> {
    let guid = guid(text)?;
    let bytes = server.node().render(guid, view, |node| {
        let answer = make(find(node, guid)?, node);
        serde_json::to_vec(&Envelope::Ok(answer)).map(Bytes::from).map_err(Fail::internal)
    })?;
    Ok(rendered(bytes))
}

pub(super) async fn read(State(server): Shared, _: Caller, Segments(text): Segments<String>) -> Result<Response, Fail> {
    answer(&server, &text, View::Bounty, |bounty, node| messages::bounty(bounty, node.chains().market(ChainName::Side), node.store()))
}

pub(super) async fn assertions(State(server): Shared, _: Caller, Segments(text): Segments<String>) -> Result<Response, Fail> {
    answer(&server, &text, View::Assertions, |bounty, node| -> Vec<assertion::Assertion> {
        let market = node.chains().market(ChainName::Side);
        bounty.assertions.iter().map(|assertion| messages::assertion(assertion, bounty.artifacts, market)).collect()
    })
}

pub(super) async fn votes(State(server): Shared, _: Caller, Segments(text): Segments<String>) -> Result<Response, Fail> {
    answer(&server, &text, View::Votes, |bounty, node| -> Vec<vote::Vote> {
        let market = node.chains().market(ChainName::Side);
        let votes = bounty.votes.iter().map(|vote| vote::Vote {
            voter: market.address(vote.voter),
            votes: wire::flags::Flags::new(vote.votes, bounty.artifacts),
            valid_bloom: vote.valid_bloom,
        });
        votes.collect()
    })
}

pub(super) async fn bloom(State(server): Shared, _: Caller, Segments(text): Segments<String>) -> Answer<BountyBloom> {
    let guid = guid(&text)?;
    let node = server.node();
    let bloom = find(&node, guid)?.bloom.as_deref().copied().unwrap_or_default();
    Ok(Success(BountyBloom { bloom }))
}

pub(super) async fn post(State(server): Shared, caller: Caller, Body(request): Body<bounty::PostBounty>) -> Answer<ToSign> {
    let account = caller.account()?;
    let mut node = server.node();
    node.recall(&request.uri).map_err(Fail::missing)?;
    let listing = node.store().listing(&request.uri).map_err(Fail::missing)?;
    let (artifacts, bloom) = (listing.artifacts.len(), Bloom::of(listing.artifacts.iter().map(|artifact| artifact.hash.as_str())));
    let price = plus(request.amount, node.chains().fees().bounty)?;
    let guid = node.new_guid(account);
    let call = request.call(guid, artifacts as u64, bloom);
    Ok(Success(to_sign(&caller, Some(price), call)))
}

pub(super) async fn assert(
    State(server): Shared,
    caller: Caller,
    Segments(text): Segments<String>,
    Body(request): Body<assertion::PostAssertion>,
) -> Answer<ToSign> {
    caller.account()?;
    let guid = guid(&text)?;
    let node = server.node();
    find(&node, guid)?;
    let staked = request.total_bid().ok_or_else(|| Fail::bad("the bids exceed 256 bits"))?;
    let price = plus(staked, node.chains().fees().assertion)?;
    let call = request.call(guid);
    Ok(Success(to_sign(&caller, Some(price), call)))
}

pub(super) async fn reveal(
    State(server): Shared,
    caller: Caller,
    Segments((text, index)): Segments<(String, String)>,
    Body(request): Body<assertion::RevealAssertion>,
) -> Answer<ToSign> {
    caller.account()?;
    let guid = guid(&text)?;
    let index: U256 = wire::decimal::parse(&index).map_err(|error| Fail::bad(format_args!("the assertion's index: {error}")))?;
    find(&server.node(), guid)?;
    let call = request.call(guid, index);
    Ok(Success(to_sign(&caller, None, call)))
}

pub(super) async fn vote(
    State(server): Shared,
    caller: Caller,
    Segments(text): Segments<String>,
    Body(request): Body<vote::PostVote>,
) -> Answer<ToSign> {
    caller.account()?;
    let guid = guid(&text)?;
    find(&server.node(), guid)?;
    let call = request.call(guid);
    Ok(Success(to_sign(&caller, None, call)))
}

/// Takes no body: clients send none, and a content type of their own.
pub(super) async fn settle(State(server): Shared, caller: Caller, Segments(text): Segments<String>) -> Answer<ToSign> {
    caller.account()?;
    let guid = guid(&text)?;
    find(&server.node(), guid)?;
    Ok(Success(to_sign(&caller, None, Call::SettleBounty { guid })))
}

fn plus(sum: Nct, amount: Nct) -> Result<Nct, Fail> {
    sum.checked_add(amount).ok_or_else(|| Fail::bad("the amounts exceed 256 bits"))
}
