//! The routes: polyswarmd's own, and those under `/_mock/` that no polyswarmd has.
mod accounts; // balances, nonces, staking, the relay
mod answer; // envelopes, errors, and who asks
mod artifacts; // upload and download
mod bounties; // the road of a bounty
mod events; // the WebSocket
mod mock; // cheats
mod live; // the live page, and the WebSocket that it looks through
mod openapi; // the description of all of it
mod transactions; // posting them, and their receipts

use std::{any::Any, io, net::IpAddr, sync::Arc};

use axum::{
    Router, ServiceExt,
    extract::{DefaultBodyLimit, Request},
    http::{StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
    serve::ListenerExt,
};
use tokio::net::TcpListener;
use tower_http::{
    catch_panic::CatchPanicLayer,
    normalize_path::{NormalizePath, NormalizePathLayer},
};
use tower_layer::Layer;

pub use self::openapi::description;
use self::{answer::Fail, openapi::Operation};
use crate::{
    content::{METADATA_KEPT, STORE_MAXIMUM, UPLOAD_MAXIMUM},
    server::Server,
};

/// Largest JSON body in bytes.
const BODY_MAXIMUM: usize = 2 << 20;
/// Largest state that can be loaded, in bytes.
const STATE_MAXIMUM: usize = 1 << 30;
/// What was dumped can be loaded: hex and quoted text take twice the room, and a third is left for what was done.
const _: () = assert!(2 * (STORE_MAXIMUM + METADATA_KEPT) < STATE_MAXIMUM / 3 * 2);

/// An application that takes paths with and without a slash at their end.
pub type App = NormalizePath<Router>;

/// polyswarmd's routes; with `cheats`, those under `/_mock/`, too.
pub fn app(server: &Arc<Server>, cheats: bool) -> App {
    let routes = polyswarmd().into_iter().chain(clock()).chain(if cheats { mock() } else { Vec::new() });
    finish(routes, server)
}

/// The cheats alone, for a port of their own.
pub fn admin(server: &Arc<Server>) -> App {
    finish(mock(), server)
}

/// Serves `app` until the server stops.
///
/// # Errors
///
/// If the listener fails.
pub async fn serve(listener: TcpListener, app: App, server: Arc<Server>) -> io::Result<()> {
    // Messages are small and many: none is held back to travel with the next.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "a connection stays slow");
        }
    });
    let service = ServiceExt::<Request>::into_make_service(app);
    axum::serve(listener, service).with_graceful_shutdown(async move { server.stopped().await }).await
}

/// A path, what it is for by method, and who answers.
struct Route {
    path: &'static str,
    operations: Vec<Operation>,
    answers: MethodRouter<Arc<Server>>,
}

fn route<const N: usize>(path: &'static str, operations: [Operation; N], answers: MethodRouter<Arc<Server>>) -> Route {
    Route { path, operations: operations.to_vec(), answers }
}

/// What polyswarmd itself has.
fn polyswarmd() -> Vec<Route> {
    const SIGN: &str = "ToSign";
    vec![
        route("/bounties/parameters", [Operation::get("Fees, limits and windows", "BountyParameters")], get(bounties::parameters)),
        route("/bounties/metadata", [Operation::post("Store metadata", "Json", "Uri")], post(bounties::metadata)),
        route(
            "/bounties",
            [Operation::get("Guids of all bounties, by pages", "Guids"), Operation::post("Post a bounty", "PostBounty", SIGN)],
            get(bounties::list).post(bounties::post),
        ),
        route("/bounties/{guid}", [Operation::get("A bounty", "Bounty")], get(bounties::read)),
        route(
            "/bounties/{guid}/assertions",
            [
                Operation::get("Its assertions", "Assertions"),
                Operation::post("Assert: commit to verdicts and stake on them", "PostAssertion", SIGN),
            ],
            get(bounties::assertions).post(bounties::assert),
        ),
        route(
            "/bounties/{guid}/assertions/{index}/reveal",
            [Operation::post("Reveal an assertion", "RevealAssertion", SIGN)],
            post(bounties::reveal),
        ),
        route("/bounties/{guid}/votes", [Operation::get("Its votes", "Votes")], get(bounties::votes)),
        route("/bounties/{guid}/vote", [Operation::post("Vote, as an arbiter", "PostVote", SIGN)], post(bounties::vote)),
        route("/bounties/{guid}/bloom", [Operation::get("The filter of its artifacts", "Bloom")], get(bounties::bloom)),
        route("/bounties/{guid}/settle", [Operation::post("Collect what is due", "", SIGN)], post(bounties::settle)),
        route(
            "/artifacts",
            [Operation::post("Upload the files of a form", "Files", "Uri")],
            post(artifacts::upload).layer(DefaultBodyLimit::max(UPLOAD_MAXIMUM + BODY_MAXIMUM)),
        ),
        route("/artifacts/{uri}", [Operation::get("The artifacts at an address", "Artifacts")], get(artifacts::listing)),
        route("/artifacts/{uri}/{index}", [Operation::get("The bytes of one", "Bytes")], get(artifacts::content)),
        route(
            "/staking/parameters",
            [Operation::get("Limits of an arbiter's stake", "StakingParameters")],
            get(accounts::staking_parameters),
        ),
        route("/staking/deposit", [Operation::post("Stake, as an arbiter", "Amount", SIGN)], post(accounts::deposit)),
        route("/staking/withdraw", [Operation::post("Take a stake back", "Amount", SIGN)], post(accounts::withdraw)),
        route("/balances/{address}/nct", [Operation::get("Nectar of an account", "Wei")], get(accounts::nct)),
        route("/balances/{address}/eth", [Operation::get("Ether of an account", "Wei")], get(accounts::eth)),
        route("/balances/{address}/staking/total", [Operation::get("Stake of an account", "Wei")], get(accounts::stake)),
        route(
            "/balances/{address}/staking/withdrawable",
            [Operation::get("What it may take back now", "Wei")],
            get(accounts::withdrawable),
        ),
        route("/relay/deposit", [Operation::post("Move Nectar from home to side", "Amount", SIGN)], post(accounts::relay_deposit)),
        route("/relay/withdrawal", [Operation::post("Move Nectar from side to home", "Amount", SIGN)], post(accounts::relay_withdrawal)),
        route("/nonce", [Operation::get("The account's next nonce", "Number")], get(accounts::nonce)),
        route("/pending", [Operation::get("Nonces that wait to be mined", "Pending")], get(accounts::pending)),
        route(
            "/transactions",
            [
                Operation::get("Receipts, once all are mined; the body lists hashes", "Receipt"),
                Operation::post("Send signed transactions", "Submission", "Submitted"),
            ],
            get(transactions::receipts).post(transactions::submit),
        ),
        route("/syncing", [Operation::get("False: never behind", "Bool")], get(accounts::syncing)),
        route("/status", [Operation::get("Both chains and the artifact store", "Json")], get(accounts::status)),
        route("/events", [Operation::get("WebSocket of everything on a chain", "Upgrade")], get(events::events)),
    ]
}

/// The one cheat that participants of a lockstep need: it belongs to the clock and is always there.
fn clock() -> Vec<Route> {
    keep_local(vec![route(
        "/_mock/pass",
        [Operation::post("Do nothing more until the block is over (lockstep)", "Pass", "Null")],
        post(mock::pass),
    )])
}

/// What no polyswarmd has.
fn mock() -> Vec<Route> {
    keep_local(vec![
        route("/", [Operation::get("The live page", "Page")], get(live::page)),
        route("/_mock", [Operation::get("The live page", "Page")], get(live::page)),
        route("/_mock/page/{file}", [Operation::get("A file of the page", "Page")], get(live::file)),
        route("/_mock/live", [Operation::get("WebSocket of what the page shows", "Upgrade")], get(live::look_on)),
        route("/_mock/openapi.json", [Operation::get("This description", "Page")], get(openapi::openapi)),
        route("/_mock/health", [Operation::get("How the server is", "Json")], get(mock::health)),
        route("/_mock/metrics", [Operation::get("Figures for Prometheus", "Page")], get(mock::metrics)),
        route("/_mock/journal", [Operation::get("One line per market event so far", "Page")], get(mock::journal)),
        route("/_mock/mine", [Operation::post("Mine blocks", "Mine", "Number")], post(mock::mine)),
        route("/_mock/fund", [Operation::post("Give Nectar to an account", "Fund", "Wei")], post(mock::fund)),
        route("/_mock/fees", [Operation::post("Set the fees", "Fees", "Null")], post(mock::fees)),
        route("/_mock/windows", [Operation::post("Set the windows", "Windows", "Null")], post(mock::windows)),
        route("/_mock/deprecate", [Operation::post("Take no more bounties", "Deprecate", "Null")], post(mock::deprecate)),
        route("/_mock/undeprecate", [Operation::post("Take bounties again", "", "Null")], post(mock::undeprecate)),
        route("/_mock/snapshots", [Operation::get("Names of the snapshots", "Names")], get(mock::snapshots)),
        route("/_mock/snapshots/{name}", [Operation::post("Keep the present under a name", "", "Number")], post(mock::snapshot)),
        route("/_mock/snapshots/{name}/revert", [Operation::post("Go back to a snapshot", "", "Number")], post(mock::revert)),
        route(
            "/_mock/state",
            [Operation::get("Everything, to be loaded again", "State"), Operation::put("Load what was dumped", "State", "Number")],
            get(mock::dump).put(mock::load).layer(DefaultBodyLimit::max(STATE_MAXIMUM)),
        ),
    ])
}

/// The same routes, but not for pages from elsewhere.
fn keep_local(mut routes: Vec<Route>) -> Vec<Route> {
    for route in &mut routes {
        route.answers = std::mem::take(&mut route.answers).layer(from_fn(no_web_pages));
    }
    routes
}

/// Pages from elsewhere must not cheat by way of a browser that can reach this server.
async fn no_web_pages(request: Request, next: Next) -> Response {
    if is_from_here(&request) {
        next.run(request).await
    } else {
        Fail::new(StatusCode::FORBIDDEN, "cheats are not for web pages from elsewhere; ask by IP address or as localhost").into_response()
    }
}

/// Browsers say where a page is from, and by which name they found the server.
fn is_from_here(request: &Request) -> bool {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(host, |(name, _)| name);
    let known = name.is_empty() || name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    known && text(header::ORIGIN).is_none_or(|origin| origin.strip_prefix("http://") == Some(host))
}

fn finish(routes: impl IntoIterator<Item = Route>, server: &Arc<Server>) -> App {
    let mut router = Router::new();
    for Route { path, answers, .. } in routes {
        router = router.route(path, answers);
    }
    guard(router.with_state(server.clone()))
}

/// What holds for all routes: what is not there, what is too large, and what panics is told in JSON.
fn guard(router: Router) -> App {
    let router = router
        .fallback(|| async { Fail::new(StatusCode::NOT_FOUND, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async { Fail::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method") })
        .layer(DefaultBodyLimit::max(BODY_MAXIMUM))
        .layer(CatchPanicLayer::custom(panicked));
    NormalizePathLayer::trim_trailing_slash().layer(router)
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    Fail::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; the server's log says more").into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer_in_json() {
        async fn broken() {
            panic!("a handler is wrong");
        }
        let app = guard(Router::new().route("/broken", get(broken)));
        let answer = app.oneshot(Request::get("/broken/").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()["content-type"], "application/json");
        let body = to_bytes(answer.into_body(), 1000).await.unwrap();
        assert_eq!(body, r#"{"status":"FAIL","errors":"internal error; the server's log says more"}"#);
    }
}
