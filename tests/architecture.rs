//! The walls of the house: who may depend on whom, read from `cargo metadata`, and the order of modules.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

/// Crate, and the crates of this workspace that it may use. Changing a line here is a decision: say why in the change.
const EDGES: [(&str, &[&str]); 7] = [
    ("market", &[]),
    ("wire", &["market"]),
    // With the feature `live` only; the simulator goes without.
    ("engine", &["market", "wire"]),
    ("datasets", &[]),
    ("replay", &["market", "engine", "datasets"]),
    ("sim", &["market", "engine", "datasets", "replay"]),
    // It scores what was played with `sim`, and never meets the engine: what trades on it comes over the wire.
    ("mock-polyswarmd", &["market", "wire", "datasets", "replay", "sim"]),
];

#[test]
fn crates_use_only_what_stands_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let ours: BTreeMap<&str, &serde_json::Value> =
        metadata["packages"].as_array().unwrap().iter().map(|package| (package["name"].as_str().unwrap(), package)).collect();
    for (name, allowed) in EDGES {
        for dependency in ours[name]["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            let for_tests = dependency["kind"] == "dev";
            assert!(!ours.contains_key(used) || allowed.contains(&used) || for_tests, "`{name}` must not use `{used}`");
            assert!(used != "tests" && used != "benches", "nothing uses `{used}`");
        }
    }
    for package in ours.keys() {
        let known = EDGES.iter().any(|(name, _)| name == package) || ["tests", "benches"].contains(package);
        assert!(known, "`{package}` has no line in the table of edges");
    }
}

/// `sim` is for one machine and no network: no HTTP stack may come in through the back door.
#[test]
fn sim_links_no_http_stack() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO"))
        .args(["tree", "-p", "sim", "-e", "normal", "--prefix", "none", "--offline"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout);
    for banned in ["hyper ", "reqwest ", "axum ", "tokio "] {
        assert!(!tree.lines().any(|line| line.starts_with(banned)), "`{banned}` is in the tree of `sim`");
    }
}

#[test]
fn a_module_uses_only_modules_above_it() {
    for name in ["market", "wire", "engine", "replay"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src");
        let lib = fs::read_to_string(source.join("lib.rs")).unwrap();
        let order: Vec<&str> =
            lib.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.split(';').next()).collect();
        assert!(order.len() > 4, "{name}: {order:?}");
        for (position, module) in order.iter().enumerate() {
            let text = fs::read_to_string(source.join(format!("{module}.rs"))).unwrap();
            // Documentation may point anywhere.
            let code = |line: &&str| !line.trim_start().starts_with("//");
            let text: String = text.split("#[cfg(test)]").next().unwrap().lines().filter(code).flat_map(|line| [line, "\n"]).collect();
            for later in &order[position + 1..] {
                let uses = text.contains(&format!("crate::{later}::")) || text.contains(&format!("\n    {later}::"));
                assert!(!uses, "{name}/src/{module}.rs uses `{later}`, which stands below it");
            }
        }
    }
}
