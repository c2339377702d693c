//! The example of a strategy of one's own is played by `sim` like any other.

use std::{process::Command, str};

use assert_cmd::cargo::cargo_bin;
use sim::{cli, exit::Exit};

#[path = "../examples/own_strategy.rs"]
#[expect(dead_code, reason = "its `main` is for a process of its own")]
mod example;

/// What a command prints.
fn printed(words: &[&str]) -> anyhow::Result<String> {
    let mut out = Vec::new();
    assert_eq!(cli::run([&["sim"], words].concat(), &mut out)?, Exit::Success);
    Ok(String::from_utf8(out)?)
}

// One test, because strategies are registered once in a process.
#[test]
fn a_strategy_of_ones_own_is_listed_checked_and_compared_like_any_other() {
    example::register();
    let list = printed(&["strategies", "list"]).unwrap();
    assert!(list.lines().any(|line| line.starts_with("own/record") && line.contains("own: bids by the share")), "{list}");
    let shown = printed(&["strategies", "show", "own/record?most=0.5"]).unwrap();
    assert!(shown.contains("--strategy 'own/record?most=0.5'"), "{shown}");
    let wrong = printed(&["strategies", "show", "own/record?least=1"]).unwrap_err();
    assert_eq!(Exit::of(&wrong), Exit::Usage);
    assert!(wrong.to_string().contains("has no parameter `least`; it takes `most`"), "{wrong}");

    let compare = ["compare", "panel", "--set", "bounties=400", "--quiet", "--format", "json"];
    let json = printed(&[&compare[..], &["-s", "own/record", "-s", "own/record?most=0.1"]].concat()).unwrap();
    let comparison: serde_json::Value = serde_json::from_str(&json).unwrap();
    let earned = |name: &str| {
        let all = comparison["strategies"].as_array().unwrap();
        let facts = all.iter().find(|facts| facts["strategy"] == name).unwrap_or_else(|| panic!("{name} is not in {json}"));
        assert_eq!(facts["refused"], 0, "{name}");
        facts["profit_nct"].as_f64().unwrap()
    };
    // The panel's first engine is right more often than not: whoever bids more on that earns more.
    assert!(earned("own/record") > earned("own/record?most=0.1") && earned("own/record?most=0.1") > earned("null/min"));
}

#[test]
fn help_and_readme_say_how() {
    let command = "cargo run --release -p sim --example own_strategy -- compare panel -s own/record";
    assert!(include_str!("../../README.md").contains(command));
    assert!(include_str!("../examples/own_strategy.rs").contains(command));
    let help = Command::new(cargo_bin!("sim")).args(["strategies", "--help"]).output().unwrap().stdout;
    assert!(str::from_utf8(&help).unwrap().contains("sim/examples/own_strategy.rs"));
}
