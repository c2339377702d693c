//! What pages look like: style sheet, chart library, and the policy that lets a page use these and nothing else.
//!
//! The files are in `sim/assets`, whose `README.md` says where they are from. The live page of `mock-polyswarmd` uses them, too.

use base64::prelude::{BASE64_STANDARD as BASE64, Engine as _};
use sha2::{Digest as _, Sha256};

/// The style sheet of every page.
pub const STYLE: &str = include_str!("../assets/look.css");
/// The chart library: a script that defines `echarts.init`.
pub const CHARTS: &str = include_str!("../assets/charts.min.js");

/// What a Content-Security-Policy names an inline script or style sheet by: the hash of its text.
pub fn source(text: &str) -> String {
    format!("'sha256-{}'", BASE64.encode(Sha256::digest(text)))
}

/// The Content-Security-Policy of a page that is one file: these inline scripts and styles, and nothing from anywhere.
pub fn policy(scripts: &[&str], styles: &[&str]) -> String {
    let sources = |texts: &[&str]| texts.iter().map(|text| source(text)).collect::<Vec<_>>().join(" ");
    format!("default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'", sources(scripts), sources(styles))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_named_by_hash_and_nothing_is_fetched() {
        // The example of the Content Security Policy specification, level 3.
        assert_eq!(source("alert('Hello, world.');"), "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='");
        let policy = policy(&["a"], &["b"]);
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn assets_can_stand_in_a_page() {
        for (asset, end) in [(CHARTS, "</script"), (STYLE, "</style")] {
            assert!(!asset.to_lowercase().contains(end) && !asset.contains("<!--"));
        }
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
        assert!(CHARTS.contains("Copyright (c) 2017, Baidu Inc.") && CHARTS.contains("Apache License 2.0"));
    }
}
