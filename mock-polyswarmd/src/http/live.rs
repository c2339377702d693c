//! The live page: its files, which come from this program alone, and the WebSocket through which it looks on.
//!
//! No queue stands between the market and a page. A page is told what it does not know whenever it has taken what it was told
//! before, and not too often: one that is slow misses what was overtaken meanwhile, and holds nobody up.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sim::{look, text};
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::{Fail, Segments};
use crate::{
    clock::Clock,
    live::{Heard, News},
    node::Figures,
    server::{Onlooker, Server},
};

const PAGE: &str = include_str!("../../assets/live.html");
const SCRIPT: &str = include_str!("../../assets/live.js");
const STYLE: &str = include_str!("../../assets/live.css");
const ICON: &str = include_str!("../../assets/icon.svg");

/// Time between two messages to a page.
const PAUSE: Duration = Duration::from_millis(100);
/// Largest message from a page in bytes; pages have nothing to say.
const FRAME_MAXIMUM: usize = 1 << 10;

/// The files that the page asks for.
fn asset(file: &str) -> Option<(&'static str, &'static str)> {
    Some(match file {
        "look.css" => (look::STYLE, "text/css; charset=utf-8"),
        "live.css" => (STYLE, "text/css; charset=utf-8"),
        "charts.js" => (look::CHARTS, "text/javascript; charset=utf-8"),
        "live.js" => (SCRIPT, "text/javascript; charset=utf-8"),
        "icon.svg" => (ICON, "image/svg+xml"),
        _ => return None,
    })
}

/// The page: the same for everybody. What it shows comes through the WebSocket.
pub(super) async fn page(headers: HeaderMap) -> Result<Response, Fail> {
    // `keep_local` has looked at the host: it is a number or localhost. Not every browser takes 'self' for its WebSockets, too.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let sockets = if host.is_empty() { String::new() } else { format!(" ws://{host}") };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'{sockets}; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    let mut answer = served(&headers, PAGE, "text/html; charset=utf-8");
    let policy = HeaderValue::try_from(policy).map_err(|_| Fail::bad("the host has no name that a header can hold"))?;
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(answer)
}

pub(super) async fn file(headers: HeaderMap, Segments(file): Segments<String>) -> Result<Response, Fail> {
    let (text, kind) = asset(&file).ok_or_else(|| Fail::missing("the page has no such file"))?;
    Ok(served(&headers, text, kind))
}

/// A text that browsers keep, and ask about each time: another build of this program has others.
fn served(asked: &HeaderMap, text: &'static str, kind: &'static str) -> Response {
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(text)[..16]));
    let known = asked.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let fresh = known.is_some_and(|known| known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag));
    let mut answer = if fresh { StatusCode::NOT_MODIFIED.into_response() } else { text.into_response() };
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    answer
}

/// What a page is told.
#[derive(Serialize)]
struct Report {
    about: About,
    state: Status,
    #[serde(flatten)]
    news: News,
}

/// What stays as it is.
#[derive(Serialize)]
struct About {
    version: &'static str,
    corpus: String,
    rules: &'static str,
    seed: u64,
    /// Where clients connect, if that is another port than the page's.
    port: Option<u16>,
    /// Bounties of the corpus.
    planned: u64,
    /// `manual`, `every` or `lockstep`.
    clock: &'static str,
    /// Time between blocks, if they come by themselves.
    period_ms: Option<u64>,
}

/// How the server is.
#[derive(Serialize)]
struct Status {
    block: u64,
    over: bool,
    closed: u64,
    waiting: usize,
    websockets: usize,
    figures: Figures,
}

impl Report {
    fn of(server: &Server, since: Option<Heard>) -> Report {
        let node = server.node();
        let (setup, market) = (node.setup(), node.chains().market(crate::chain::ChainName::Side));
        let (clock, period) = match server.clock() {
            Clock::Manual => ("manual", None),
            Clock::Every(period) => ("every", Some(period)),
            Clock::Lockstep { .. } => ("lockstep", None),
        };
        Report {
            about: About {
                version: env!("CARGO_PKG_VERSION"),
                corpus: text::cut(setup.corpus.name(), 60),
                rules: market.rules().name,
                seed: setup.scenario.seed,
                port: server.port(),
                planned: setup.bounties,
                clock,
                period_ms: period.map(|period| u64::try_from(period.as_millis()).unwrap_or(u64::MAX)),
            },
            state: Status {
                block: node.now().0,
                over: node.is_over(),
                closed: node.chains().world().closed(),
                waiting: node.pool().len(),
                websockets: server.listeners(),
                figures: node.figures(),
            },
            news: node.news(since),
        }
    }
}

pub(super) async fn look_on(
    State(server): State<Arc<Server>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Fail> {
    let upgrade = upgrade.map_err(|error| Fail::new(error.status(), error.body_text()))?;
    let onlooker = server.look_on();
    let onlooker = onlooker.ok_or_else(|| Fail::new(StatusCode::SERVICE_UNAVAILABLE, "enough pages look on; close one of them"))?;
    let upgrade = upgrade.max_message_size(FRAME_MAXIMUM).max_frame_size(FRAME_MAXIMUM);
    Ok(upgrade.on_upgrade(async move |socket| {
        if let Err(reason) = show(&server, socket, onlooker).await {
            tracing::debug!(reason, "a page ends");
        }
    }))
}

async fn show(server: &Server, socket: WebSocket, mut onlooker: Onlooker) -> Result<(), &'static str> {
    let (mut sender, mut receiver) = socket.split();
    let mut since = None;
    loop {
        onlooker.changes.mark_unchanged();
        since = Some(tell(server, &mut sender, since).await?);
        let next = Instant::now() + PAUSE;
        let mut changed = false;
        // What comes too soon is told with the rest.
        while !changed || Instant::now() < next {
            tokio::select! {
                () = sleep_until(next), if changed => {}
                news = onlooker.changes.changed(), if !changed => {
                    news.map_err(|_| "the server is gone")?;
                    changed = true;
                }
                jump = onlooker.jumps.changed() => {
                    jump.map_err(|_| "the server is gone")?;
                    // Nothing that it was told holds any more.
                    (since, changed) = (None, true);
                }
                // Reading is what answers pings.
                heard = receiver.next() => match heard {
                    Some(Ok(Message::Close(_))) | None => return Ok(()),
                    Some(Ok(_)) => {}
                    Some(Err(_)) => return Err("the page broke off"),
                },
                () = server.stopped() => {
                    tell(server, &mut sender, since).await?;
                    let _ = sender.send(Message::Close(None)).await;
                    return Ok(());
                }
            }
        }
    }
}

/// Tells a page what it does not know; answers with what it knows then.
async fn tell(server: &Server, sender: &mut SplitSink<WebSocket, Message>, since: Option<Heard>) -> Result<Heard, &'static str> {
    let report = Report::of(server, since);
    let text = serde_json::to_string(&report).map_err(|_| "a report cannot be written")?;
    match timeout(server.patience().reader, sender.send(Message::text(text))).await {
        Ok(Ok(())) => Ok(report.news.heard),
        Ok(Err(_)) => Err("the page is gone"),
        Err(_) => Err("the page does not read"),
    }
}
