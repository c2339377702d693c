//! The live page of `mock-polyswarmd`: a market that is stepped by its buttons, and what people see of it.

use std::{env, fs, net::Ipv4Addr, path::Path, sync::Arc};

use datasets::{CheckOptions, Corpus};
use market::nct::Nct;
use mock_polyswarmd::{
    clock::{self, Clock},
    http,
    node::{Guests, Node},
    server::Server,
};
use replay::{
    plan::Setup,
    scenario::{AmbassadorConfig, Arrival, MarketConfig, RivalConfig, RivalModel, Scenario},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::driver::{Browser, Page, Scheme};

/// A server whose blocks come when they are asked for; dropping it ends it.
struct Market {
    server: Arc<Server>,
    address: String,
}

impl Drop for Market {
    fn drop(&mut self) {
        self.server.stop();
    }
}

impl Market {
    async fn start(corpus: &Path, scenario: Scenario) -> Market {
        let corpus = Corpus::open(corpus).unwrap();
        let summary = corpus.check(CheckOptions::default(), &mut |_| {}).unwrap();
        let setup = Setup::new(scenario, corpus, summary, Path::new(".")).unwrap();
        let guests = Guests { seat: None, expected: Vec::new(), gift: Nct::whole(50_000_000) };
        let server = Server::new(Node::new(Arc::new(setup), guests).unwrap());
        let market = Market::serve(server, 0).await;
        tokio::spawn(clock::run(market.server.clone(), Clock::Manual, 0, false));
        market
    }

    async fn serve(server: Arc<Server>, port: u16) -> Market {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(http::serve(listener, http::app(&server, true), server.clone()));
        Market { server, address }
    }
}

fn lively() -> Scenario {
    Scenario {
        seed: 7,
        bounties: 60,
        market: MarketConfig { reveal_window: Some(5), vote_window: Some(8), ..MarketConfig::default() },
        ambassadors: AmbassadorConfig { arrival: Arrival::Fixed, bounties_per_block: 1.0, duration: 8, ..AmbassadorConfig::default() },
        ..Scenario::default()
    }
}

fn shipped(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/corpora").join(name)
}

/// Waits until the page has heard of a block.
async fn until_block(page: &mut Page, block: u64) {
    let shown = format!("Number(document.getElementById('block').textContent.replaceAll(',', '')) >= {block}");
    page.until(&shown).await;
}

/// Keeps a picture where `SCREENSHOTS` names a folder: to be looked at.
async fn keep(page: &mut Page, name: &str) {
    if let Some(folder) = env::var_os("SCREENSHOTS") {
        fs::create_dir_all(&folder).unwrap();
        fs::write(Path::new(&folder).join(name), page.screenshot(true).await).unwrap();
        fs::write(Path::new(&folder).join(format!("window-{name}")), page.screenshot(false).await).unwrap();
    }
}

const OVERFLOWS: &str = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
/// Marks of charts: lines and bars, not axes.
const DRAWN: &str =
    "[...document.querySelectorAll('#profit path, #pace path')].filter(path => (path.getAttribute('d') ?? '').length > 60).length";

#[tokio::test(flavor = "multi_thread")]
async fn the_market_is_stepped_by_buttons_and_seen() {
    let Some(mut browser) = Browser::start().await else { return };
    let market = Market::start(&shipped("starter"), lively()).await;
    let first = market.server.node().now().0;
    let mut page = browser.page().await;
    page.prefer(Scheme::Light).await;
    page.resize(1280, 900).await;
    page.open(&market.address).await;
    page.until("document.getElementById('connection').textContent === 'live'").await;
    assert_eq!(page.evaluate("document.getElementById('controls').hidden").await, false);
    assert_eq!(page.evaluate("document.querySelectorAll('#bounties > li').length").await, 0);

    // One block, by the mouse; the next by the keyboard.
    page.evaluate("document.getElementById('step').click()").await;
    until_block(&mut page, first + 1).await;
    page.until("document.querySelectorAll('#bounties > li').length === 1").await;
    page.evaluate("document.getElementById('leap').focus()").await;
    page.press(("Enter", 13)).await;
    until_block(&mut page, first + 11).await;
    for _ in 0..3 {
        let next = market.server.node().now().0 + 10;
        page.evaluate("document.getElementById('leap').click()").await;
        until_block(&mut page, next).await;
    }
    page.until("[...document.querySelectorAll('#bounties .badge')].some(badge => badge.textContent === 'closed')").await;
    let figures = market.server.node().figures();
    assert_eq!(page.evaluate("Number(document.getElementById('posted').textContent)").await, json!(figures.bounties));
    assert_eq!(page.evaluate("document.querySelectorAll('#bounties > li').length").await, json!(figures.bounties.min(40)));
    assert!(page.evaluate("document.querySelectorAll('#events li').length").await.as_u64().unwrap() > 100);
    assert!(page.evaluate("document.querySelectorAll('#balances tr').length").await.as_u64().unwrap() > 9);

    // Who said what, opened by the keyboard.
    let closed = "[...document.querySelectorAll('#bounties details')].find(box => box.textContent.includes('closed'))";
    page.evaluate(&format!("{closed}.querySelector('summary').focus()")).await;
    page.press(("Enter", 13)).await;
    page.until(&format!("{closed}.querySelectorAll('.more li').length > 3")).await;
    let inside = page.evaluate(&format!("{closed}.textContent")).await;
    assert!(["Assertions", "Votes", "rival:", "arbiter:", "benign"].iter().all(|word| inside.as_str().unwrap().contains(word)), "{inside}");

    // Charts have data: as many blocks as were mined.
    page.until(&format!("{DRAWN} > 3")).await;
    assert_eq!(
        page.evaluate("['profit', 'pace'].every(id => document.getElementById(id).clientHeight > 150)").await,
        true,
        "they are seen"
    );
    keep(&mut page, "live-desktop.png").await;

    // It runs by itself, and pauses.
    let before = market.server.node().now().0;
    page.evaluate("document.getElementById('speed').value = '0'; document.getElementById('run').click()").await;
    until_block(&mut page, before + 5).await;
    page.evaluate("document.getElementById('run').click()").await;
    assert_eq!(page.evaluate("document.getElementById('run').textContent").await, "Run");

    let light = page.evaluate("getComputedStyle(document.body).backgroundColor").await;
    let line = "document.querySelector('#profit path[stroke]:not([stroke=none])').getAttribute('stroke')";
    page.prefer(Scheme::Dark).await;
    page.until(&format!("getComputedStyle(document.body).backgroundColor !== '{}'", light.as_str().unwrap())).await;
    page.until(&format!("{line} !== null")).await;
    keep(&mut page, "live-dark.png").await;
    let pdf = page.pdf().await;
    assert!(pdf.len() > 20_000);
    if let Some(folder) = env::var_os("SCREENSHOTS") {
        fs::write(Path::new(&folder).join("live.pdf"), pdf).unwrap();
    }
    page.until("document.documentElement.dataset.theme === undefined").await;
    page.prefer(Scheme::Light).await;
    for (width, height, name) in [(390, 844, "live-phone.png"), (320, 640, "live-small.png"), (1920, 1080, "live-wide.png")] {
        page.resize(width, height).await;
        page.until(&format!("!({OVERFLOWS}) && innerWidth === {width}")).await;
        keep(&mut page, name).await;
    }
    assert_eq!(page.problems().await, Vec::<String>::new());
    let elsewhere: Vec<String> = page.requests().await.into_iter().filter(|request| !request.starts_with(&market.address)).collect();
    assert!(elsewhere.iter().all(|request| request == "about:blank" || request.starts_with("ws://")), "{elsewhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_when_the_server_is_gone_and_comes_back() {
    let Some(mut browser) = Browser::start().await else { return };
    let market = Market::start(&shipped("starter"), lively()).await;
    let mut page = browser.page().await;
    page.open(&market.address).await;
    page.until("document.getElementById('connection').textContent === 'live'").await;
    let port: u16 = market.address.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    drop(market);
    page.until("document.getElementById('connection').textContent.startsWith('not connected; trying again in')").await;
    // Another market at the same address: nothing of the first is left.
    let corpus = Corpus::open(&shipped("starter")).unwrap();
    let summary = corpus.check(CheckOptions::default(), &mut |_| {}).unwrap();
    let setup = Setup::new(Scenario { seed: 8, ..lively() }, corpus, summary, Path::new(".")).unwrap();
    let guests = Guests { seat: None, expected: Vec::new(), gift: Nct::whole(1) };
    let server = Server::new(Node::new(Arc::new(setup), guests).unwrap());
    let again = Market::serve(server, port).await;
    page.until("document.getElementById('connection').textContent === 'live'").await;
    page.until("document.getElementById('about').textContent.includes('seed 8')").await;
    drop(again);
}

/// Names of engines, types and corpora are the work of strangers; control characters are refused where they are read.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_stay_text() {
    let Some(mut browser) = Browser::start().await else { return };
    let folder = TempDir::new().unwrap();
    let names = [
        "<script>alert(1)</script>".to_owned(),
        "<img src=x onerror=alert(2)>".to_owned(),
        "\u{202e}gnp.exe\u{2066}".to_owned(),
        "x".repeat(10_000),
    ];
    let toml = |text: &str| toml_text(text);
    let engines: String = names.iter().map(|name| format!("[[engine]]\nname = {}\nverdict = \"v{}\"\n", toml(name), name.len())).collect();
    let manifest = format!(
        "schema = 1\nname = {}\ntitle = \"t\"\nlicense = \"CC0-1.0\"\nsource = \"s\"\ntable = \"artifacts.csv\"\n{engines}",
        toml("<b onmouseover=alert(3)>corpus</b>\u{202e}")
    );
    fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
    let columns: String = names.iter().map(|name| format!(",v{}", name.len())).collect();
    let mut table = format!("sha256,label,file_type{columns}\n");
    for row in 0..40_u32 {
        let (label, kind) =
            (if row % 2 == 0 { "malicious" } else { "benign" }, ["<svg onload=alert(4)>", "'\"><iframe>", "pe32"][row as usize % 3]);
        let verdict = if row % 2 == 0 { ",1" } else { ",0" };
        table += &format!("{row:064x},{label},\"{}\"{}\n", kind.replace('"', "\"\""), verdict.repeat(names.len()));
    }
    fs::write(folder.path().join("artifacts.csv"), table).unwrap();
    let rivals = RivalConfig { model: RivalModel::Recorded, engines: names.to_vec(), ..RivalConfig::default() };
    let market = Market::start(folder.path(), Scenario { rivals: vec![rivals], ..lively() }).await;
    let mut page = browser.page().await;
    page.resize(390, 844).await;
    page.open(&market.address).await;
    page.until("document.getElementById('connection').textContent === 'live'").await;
    let last = market.server.node().now().0 + 31;
    for _ in 0..31 {
        assert!(market.server.mine());
    }
    until_block(&mut page, last).await;
    page.evaluate("document.querySelectorAll('#bounties details').forEach(box => { box.open = true; })").await;
    page.until("document.querySelectorAll('#bounties .more li').length > 20").await;
    let text = page.evaluate("document.body.textContent").await;
    let text = text.as_str().unwrap();
    for shown in ["<script>alert(1)</script>", "<img src=x onerror=alert(2)>", "<svg onload=alert(4)>", "\\u{202e}gnp.exe"] {
        assert!(text.contains(shown), "no `{shown}`");
    }
    assert!(!text.contains('\u{202e}') && !text.contains('\u{0}') && !text.contains(&"x".repeat(100)));
    assert_eq!(
        page.evaluate("document.querySelectorAll('iframe, #bounties img, #bounties svg, main script, [onload], [onerror]').length").await,
        0
    );
    keep(&mut page, "live-hostile.png").await;
    assert_eq!(page.evaluate(OVERFLOWS).await, false);
    assert_eq!(page.problems().await, Vec::<String>::new());
}

/// A text as TOML has it.
fn toml_text(text: &str) -> String {
    let letter = |letter: char| match letter {
        '"' | '\\' => format!("\\{letter}"),
        control if control.is_control() => format!("\\u{:04x}", u32::from(control)),
        other => other.to_string(),
    };
    format!("\"{}\"", text.chars().map(letter).collect::<String>())
}
