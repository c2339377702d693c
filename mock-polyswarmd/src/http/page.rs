//! A short page about the server, for a browser.

use std::{fmt::Write, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse},
};

use crate::{chain::ChainName, server::Server};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#1c2733;background:#fff}\
    h1{font-size:1.4rem}table{border-collapse:collapse;width:100%}td,th{padding:.3rem .5rem;border-bottom:1px solid #8884;text-align:left}\
    td.n{text-align:right;font-variant-numeric:tabular-nums}code{background:#8882;padding:.1rem .3rem;border-radius:.2rem}\
    @media(prefers-color-scheme:dark){body{color:#dde5ec;background:#12181f}a{color:#8ab8ff}}";

pub(super) async fn page(State(server): State<Arc<Server>>) -> impl IntoResponse {
    let mut html = String::new();
    write_page(&server, &mut html);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, Html(html))
}

fn write_page(server: &Server, html: &mut String) {
    let node = server.node();
    let (world, figures, setup) = (node.chains().world(), node.figures(), node.setup());
    let market = node.chains().market(ChainName::Side);
    let mut rows = String::new();
    let mut row = |what: &str, value: String| {
        let _ = write!(rows, "<tr><th scope=row>{what}<td class=n>{}", escape(&value));
    };
    row("Corpus", setup.corpus.name().to_owned());
    row("Rules", market.rules().name.to_owned());
    row("Seed", setup.scenario.seed.to_string());
    row("Block", market.now().0.to_string());
    row("Bounties of the corpus", setup.bounties.to_string());
    row("Bounties posted, visitors' included", figures.bounties.to_string());
    row("Bounties settled by everybody", world.closed().to_string());
    row("Assertions", figures.assertions.to_string());
    row("Reveals", figures.reveals.to_string());
    row("Votes", figures.votes.to_string());
    row("Settlements", figures.settlements.to_string());
    row("Transactions", format!("{}, {} failed, {} waiting", figures.transactions, figures.failures, node.pool().len()));
    row("WebSockets", server.listeners().to_string());
    let _ = write!(
        html,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
        <meta http-equiv=refresh content=2><title>mock-polyswarmd</title><style>{STYLE}</style>\
        <h1>mock-polyswarmd {}</h1><p>A labelled corpus replayed over polyswarmd's protocol. Nothing here is worth any real NCT.</p>\
        <table>{rows}</table>\
        <p>Cheats: <a href=/_mock/health>health</a>, <a href=/_mock/metrics>metrics</a>, <a href=/_mock/journal>journal</a>, \
        <a href=/_mock/openapi.json>OpenAPI</a>, <code>POST /_mock/mine</code>.</p>",
        env!("CARGO_PKG_VERSION")
    );
}

fn escape(text: &str) -> String {
    sim::text::plain(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
