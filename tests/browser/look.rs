//! The common look: readable in light and dark, light in print; and a driver that notices what goes wrong.

use std::{fs, path::PathBuf};

use serde_json::Value;
use sim::look::{STYLE, policy};
use tempfile::TempDir;

use crate::driver::{Browser, Page, Scheme};

/// Texts, and the grounds that they stand on.
const PAIRS: [(&str, &[&str]); 7] = [
    ("text", &["ground", "surface", "raised"]),
    ("muted", &["ground", "surface", "raised"]),
    ("accent", &["ground", "surface", "raised"]),
    ("on-accent", &["accent"]),
    ("good", &["surface", "raised", "good-ground"]),
    ("bad", &["surface", "raised", "bad-ground"]),
    ("warn", &["surface", "raised", "warn-ground"]),
];
/// What is not text has to be told from the ground as well.
const MARKS: [&str; 8] = ["series-1", "series-2", "series-3", "series-4", "series-5", "series-6", "line-strong", "accent"];

fn page(folder: &TempDir, body: &str) -> PathBuf {
    let file = folder.path().join("page.html");
    let policy = policy(&[], &[STYLE]);
    let head = format!("<meta charset=utf-8><meta http-equiv=Content-Security-Policy content=\"{policy}\"><style>{STYLE}</style>");
    fs::write(&file, format!("<!doctype html><html lang=en><title>x</title>{head}<body><main>{body}</main></html>")).unwrap();
    file
}

/// The contrast of two colours, by their names (WCAG 2.2, relative luminance).
async fn contrast(page: &mut Page, text: &str, ground: &str) -> f64 {
    let script = format!(
        "(() => {{
            const probe = document.querySelector('main');
            const luminance = name => {{
                probe.style.color = `var(--${{name}})`;
                const [r, g, b] = getComputedStyle(probe).color.match(/[0-9]+/g)
                    .map(part => part / 255).map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            }};
            const [a, b] = [luminance('{text}'), luminance('{ground}')].sort((a, b) => b - a);
            return (a + 0.05) / (b + 0.05);
        }})()"
    );
    page.evaluate(&script).await.as_f64().unwrap()
}

#[tokio::test]
async fn colours_can_be_read_in_light_and_dark() {
    let Some(mut browser) = Browser::start().await else { return };
    let (folder, mut page) = (TempDir::new().unwrap(), browser.page().await);
    page.open_file(&self::page(&folder, "")).await;
    let mut grounds = Vec::new();
    for scheme in [Scheme::Light, Scheme::Dark] {
        page.prefer(scheme).await;
        for (text, on) in PAIRS {
            for ground in on {
                let contrast = contrast(&mut page, text, ground).await;
                assert!(contrast >= 4.5, "{text} on {ground}, {scheme:?}: {contrast}");
            }
        }
        for mark in MARKS {
            let contrast = contrast(&mut page, mark, "surface").await;
            assert!(contrast >= 3.0, "{mark}, {scheme:?}: {contrast}");
        }
        grounds.push(page.evaluate("getComputedStyle(document.body).backgroundColor").await);
    }
    assert_ne!(grounds[0], grounds[1], "dark is another colour");
    page.evaluate("document.documentElement.dataset.theme = 'light'").await;
    assert_eq!(page.evaluate("getComputedStyle(document.body).backgroundColor").await, grounds[0], "the page's own choice counts more");
    assert_eq!(page.problems().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_driver_notices_what_goes_wrong() {
    let Some(mut browser) = Browser::start().await else { return };
    let (folder, mut page) = (TempDir::new().unwrap(), browser.page().await);
    page.open_file(&self::page(&folder, "<script>alert(1)</script><p style='color: red'>x</p>")).await;
    let problems = page.problems().await;
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems.iter().all(|problem| problem.contains("Content Security Policy")), "{problems:#?}");
    for (wrong, what) in [
        ("console.error('oh')", "oh"),
        ("alert('hello')", "hello"),
        ("setTimeout(() => { throw new Error('later') })", "later"),
        ("fetch('http://127.0.0.1:9/').catch(() => {})", "connect-src"),
    ] {
        page.evaluate(&format!("{{ {wrong}; }} new Promise(done => setTimeout(done))")).await;
        let problems = page.problems().await;
        assert!(problems.iter().any(|problem| problem.contains(what)), "{what}: {problems:#?}");
    }
    let value: Value = page.evaluate("Promise.resolve(document.title)").await;
    assert_eq!(value, "x");
}
