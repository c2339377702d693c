//! The pages of `sim report`: charts have data, dark mode and print work, nothing is fetched, and hostile names are only text.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::driver::{Browser, Page, Scheme};

/// Environment variable that names a folder for pictures of all pages, to look at.
const PICTURES: &str = "PICTURES";
/// Names that want to be more than text.
const HOSTILE: [&str; 5] = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "\u{202e}\u{2066}txt.exe",
    "nul\0\u{1b}[31m",
    "' onclick=alert(3) \"`x`",
];

/// The program, up to date. It plays one market in a process, so it is run as one.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let status = Command::new(env!("CARGO")).args(["build", "--quiet", "--offline", "-p", "sim", "--bin", "sim"]).status();
        assert!(status.unwrap().success(), "sim cannot be built");
        // This test is in `deps` beside it.
        let test = env::current_exe().unwrap();
        test.parent().and_then(Path::parent).unwrap().join("sim").with_extension(env::consts::EXE_EXTENSION)
    })
}

/// Runs `sim` with these words.
fn sim(words: &[&str]) {
    let ran = Command::new(program()).args(words).output().unwrap();
    assert!(ran.status.success(), "sim {words:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

/// A page about these results.
fn report(folder: &TempDir, results: &[&str]) -> PathBuf {
    let page = path(folder, "report.html");
    let paths: Vec<String> = results.iter().map(|results| path(folder, results)).collect();
    let words: Vec<&str> = ["report", "-o", &page, "--force", "--quiet"].into_iter().chain(paths.iter().map(String::as_str)).collect();
    sim(&words);
    page.into()
}

/// Opens a page and waits for its charts; answers how many there are, and after how many milliseconds they were drawn.
async fn drawn(page: &mut Page, file: &Path) -> (u64, f64) {
    page.open_file(file).await;
    page.until("document.documentElement.dataset.charts > 0").await;
    let charts = page.evaluate("document.querySelectorAll('[data-chart]').length").await.as_u64().unwrap();
    (charts, page.evaluate("performance.getEntriesByName('charts drawn')[0].startTime").await.as_f64().unwrap())
}

/// Kinds of charts in whose boxes nothing is drawn: a line, a bar or a dot has a colour that is not that of text or of axes.
async fn empty_charts(page: &mut Page) -> Value {
    page.evaluate(
        "[...document.querySelectorAll('[data-chart]')]
            .filter(box => { const svg = box.querySelector('svg'); return !svg || svg.querySelectorAll('path, rect, circle, polyline').length < 4
                || svg.getBoundingClientRect().width < 200 })
            .map(box => box.dataset.chart)",
    )
    .await
}

/// By how many pixels the page is wider than the window.
async fn overflow(page: &mut Page, width: u32) -> Value {
    page.evaluate(&format!("Math.max(0, document.documentElement.scrollWidth - {width})")).await
}

async fn picture(page: &mut Page, name: &str, everything: bool) {
    if env::var_os(PICTURES).is_some() {
        keep(name, &page.screenshot(everything).await);
    }
}

/// Keeps a picture for whoever asked for them.
fn keep(name: &str, content: &[u8]) {
    if let Some(folder) = env::var_os(PICTURES).map(PathBuf::from) {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), content).unwrap();
    }
}

/// Looks at a page as everybody might: light, dark, on a telephone, on paper.
async fn look_at(page: &mut Page, file: &Path, name: &str, least_charts: u64) {
    page.prefer(Scheme::Light).await;
    page.resize(1280, 900).await;
    let (charts, _) = drawn(page, file).await;
    assert!(charts >= least_charts, "{name}: {charts} charts");
    assert_eq!(empty_charts(page).await, json!([]), "{name}");
    assert_eq!(overflow(page, 1280).await, 0, "{name}");
    picture(page, &format!("{name}-light.png"), true).await;
    let light = page.evaluate("document.querySelector('[data-chart] svg').outerHTML").await;

    page.prefer(Scheme::Dark).await;
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))").await;
    let dark = page.evaluate("document.querySelector('[data-chart] svg').outerHTML").await;
    assert_ne!(light, dark, "{name}: charts follow the system's colours");
    picture(page, &format!("{name}-dark.png"), true).await;

    page.resize(390, 844).await;
    page.until("[...document.querySelectorAll('[data-chart] svg')].every(svg => svg.getBoundingClientRect().width <= 390)").await;
    assert_eq!(overflow(page, 390).await, 0, "{name} on a telephone");
    assert_eq!(empty_charts(page).await, json!([]), "{name} on a telephone");
    picture(page, &format!("{name}-phone.png"), true).await;

    // What was done for paper is undone afterwards: the page is dark again, and charts as wide as their boxes.
    page.resize(1280, 900).await;
    page.until("document.querySelector('[data-chart] svg').getBoundingClientRect().width > 400").await;
    page.evaluate("globalThis.printed = []; addEventListener('beforeprint', () => printed.push(getComputedStyle(document.body).colorScheme, document.querySelector('[data-chart] svg').getBoundingClientRect().width))").await;
    let pdf = page.pdf().await;
    assert!(pdf.starts_with(b"%PDF-") && pdf.len() > 20_000, "{name}: {} bytes", pdf.len());
    assert_eq!(page.evaluate("printed").await, json!(["light", 660]), "{name}");
    assert_eq!(page.evaluate("document.documentElement.dataset.theme === undefined").await, true, "{name}");
    page.until("document.querySelector('[data-chart] svg').getBoundingClientRect().width !== 660").await;
    keep(&format!("{name}.pdf"), &pdf);

    assert_eq!(page.problems().await, Vec::<String>::new(), "{name}");
    let elsewhere: Vec<String> = page.requests().await.into_iter().filter(|address| !address.starts_with("file://")).collect();
    assert_eq!(elsewhere, Vec::<String>::new(), "{name}");
}

#[tokio::test]
async fn a_run_can_be_looked_at() {
    let Some(mut browser) = Browser::start().await else { return };
    let folder = TempDir::new().unwrap();
    let [run, other] = [path(&folder, "run"), path(&folder, "other")];
    sim(&["replay", "panel", "--set", "bounties=1500", "--out", &run, "--quiet"]);
    sim(&["replay", "panel", "--set", "bounties=1500", "--strategy", "stock/aggressive", "--no-nulls", "--out", &other, "--quiet"]);
    let mut page = browser.page().await;
    // A page is as large as it gets from some hundred bounties on: curves have a bounded number of points. The least of some
    // times, for others are at work on this machine, too.
    let (mut least, file) = (f64::INFINITY, report(&folder, &["run"]));
    for _ in 0..5 {
        least = least.min(drawn(&mut page, &file).await.1);
    }
    assert!(least < 2_000.0 && fs::metadata(&file).unwrap().len() < 2_000_000, "drawn after {least} ms");
    look_at(&mut page, &file, "run", 8).await;
    look_at(&mut page, &report(&folder, &["run", "other"]), "two-runs", 16).await;

    // The keyboard reaches the choice of colours, and says so.
    drawn(&mut page, &report(&folder, &["run"])).await;
    page.prefer(Scheme::Light).await;
    page.evaluate("document.body.focus()").await;
    let reached = "document.activeElement.matches('#theme select')";
    for _ in 0..30 {
        if page.evaluate(reached).await == true {
            break;
        }
        page.press(("Tab", 9)).await;
    }
    assert_eq!(page.evaluate(reached).await, true);
    let ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle").await;
    assert_eq!(ring, "solid");
    page.press(("ArrowDown", 40)).await;
    page.press(("ArrowDown", 40)).await;
    assert_eq!(page.evaluate("document.activeElement.value").await, "dark");
    assert_eq!(page.evaluate("getComputedStyle(document.body).colorScheme").await, "dark");
    assert_eq!(page.problems().await, Vec::<String>::new());
}

#[tokio::test]
async fn comparisons_and_sweeps_can_be_looked_at() {
    let Some(mut browser) = Browser::start().await else { return };
    let folder = TempDir::new().unwrap();
    let [compared, walked, space, swept, registry] =
        ["compare.json", "walk.json", "space.toml", "sweep", "registry"].map(|name| path(&folder, name));
    let few = ["--set", "bounties=800", "--quiet"];
    sim(&[&["compare", "panel", "-s", "fixed", "-s", "stock/default", "--out", &compared], few.as_slice()].concat());
    sim(&[&["walkforward", "panel", "-s", "fixed", "--folds", "4", "--out", &walked], few.as_slice()].concat());
    let searched = "strategies = [\"fixed?bid={bid}\", \"stock/default\"]\n[parameters]\nbid = [0.1, 0.2, 0.4]\n\
                    [set]\nengine.distiller.kind = [\"log-odds\", \"majority\"]\narbiters.error = [0.0, 0.1]\n";
    fs::write(&space, searched).unwrap();
    sim(&[&["sweep", "panel", "--space", &space, "--sampler", "grid", "--registry", &registry, "--out", &swept], few.as_slice()].concat());
    let shared = path(&folder, "tournament.json");
    sim(&["tournament", "panel", "-s", "fixed", "-s", "null/min", "--set", "bounties=300", "--out", &shared, "--quiet"]);
    let mut page = browser.page().await;
    look_at(&mut page, &report(&folder, &["tournament.json"]), "tournament", 2).await;
    look_at(&mut page, &report(&folder, &["compare.json"]), "compare", 4).await;
    look_at(&mut page, &report(&folder, &["walk.json"]), "walkforward", 2).await;
    let swept = report(&folder, &["sweep"]);
    look_at(&mut page, &swept, "sweep", 2).await;
    // Other axes, another picture.
    drawn(&mut page, &swept).await;
    let grid = "document.querySelector('[data-chart=grid] svg').textContent";
    let before = page.evaluate(grid).await;
    page.evaluate("{ const [across, up] = ['.across', '.up'].map(end => document.querySelector(end)); [across.value, up.value] = [up.value, across.value]; up.dispatchEvent(new Event('change', { bubbles: true })); }").await;
    assert_ne!(page.evaluate(grid).await, before);
    assert_eq!(page.problems().await, Vec::<String>::new());
}

/// Puts a hostile text, another each time, wherever a run says a name.
fn spoil(value: &mut Value, key: &str, count: &mut usize) {
    const NAMES: [&str; 14] = [
        "name",
        "strategy",
        "file_type",
        "family",
        "command",
        "warnings",
        "backends",
        "distiller",
        "rules",
        "switches",
        "inputs",
        "path",
        "change",
        "reason",
    ];
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| spoil(value, key, count)),
        Value::Array(values) => values.iter_mut().for_each(|value| spoil(value, key, count)),
        Value::String(text) if NAMES.contains(&key) => {
            *count += 1;
            let long = format!("{}{}", HOSTILE[*count % HOSTILE.len()], "<b>x".repeat(2_500));
            *text = if count.is_multiple_of(7) { long } else { HOSTILE[*count % HOSTILE.len()].to_owned() };
        }
        _ => {}
    }
}

#[tokio::test]
async fn hostile_names_are_only_text() {
    let Some(mut browser) = Browser::start().await else { return };
    let folder = TempDir::new().unwrap();
    let [run, compared] = [path(&folder, "run"), path(&folder, "compare.json")];
    sim(&["replay", "panel", "--set", "bounties=600", "--out", &run, "--quiet"]);
    sim(&["explain", &run, "--save", "--sensitivity", "--quiet"]);
    sim(&["compare", "panel", "-s", "fixed", "--set", "bounties=600", "--out", &compared, "--quiet"]);
    for file in ["run/run.json", "run/explain.json", "compare.json"] {
        let mut value: Value = serde_json::from_slice(&fs::read(path(&folder, file)).unwrap()).unwrap();
        let mut count = 0;
        spoil(&mut value, "", &mut count);
        assert!(count > 10, "{file}: {count}");
        fs::write(path(&folder, file), value.to_string()).unwrap();
    }
    let mut page = browser.page().await;
    let file = report(&folder, &["run", "compare.json"]);
    drawn(&mut page, &file).await;
    let injected = "document.querySelectorAll('img, [onclick], [onerror], b, iframe, object, link').length + document.scripts.length \
                    - document.querySelectorAll('script[type=\"application/json\"]').length - 2";
    assert_eq!(page.evaluate(injected).await, 0);
    assert!(page.evaluate("document.body.innerText.includes('<script>alert(1)</script>')").await == true, "it is there, as text");
    let hidden = "/[\\u202a-\\u202e\\u2066-\\u2069\\u0000\\u001b]/.test(document.documentElement.outerHTML)";
    assert_eq!(page.evaluate(hidden).await, false, "nothing turns or hides the text around it");
    assert_eq!(overflow(&mut page, 1280).await, 0);
    assert_eq!(page.problems().await, Vec::<String>::new());
    assert!(fs::metadata(&file).unwrap().len() < 2_000_000);
}
