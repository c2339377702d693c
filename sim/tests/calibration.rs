//! What calibration is worth on the shipped panel: probabilities of a calibrated stack against those of the stock engine,
//! and whether intervals hold what they promise. Prequential: every probability was stated before its bounty was settled.

use std::fs;

use assert_cmd::{Command, cargo::cargo_bin};
use serde_json::Value;
use tempfile::tempdir;

const ONE: &[&str] = &["K7GW"];
const FIVE: &[&str] = &["ClamAV", "K7GW", "DrWeb", "Ikarus", "Jiangmin"];
const SIX: &[&str] = &["Kaspersky", "Microsoft", "ESET-NOD32", "Avast", "BitDefender", "Symantec"];
const TEN: &[&str] = &["Ikarus", "NANO-Antivirus", "K7GW", "DrWeb", "Qihoo-360", "Jiangmin", "Rising", "Zillya", "VBA32", "Alibaba"];

/// `calibration` of `run.json` for an engine of these columns on the whole panel.
fn calibration(columns: &[&str], distiller: &str, map: &str) -> Value {
    let folder = tempdir().unwrap();
    let file = folder.path().join("engine.toml");
    let mut engine = format!("[distiller]\nkind = \"{distiller}\"\n[calibration]\nmap = \"{map}\"\n");
    for column in columns {
        engine += &format!("[[backends]]\nkind = \"recorded\"\ncolumn = \"{column}\"\n");
    }
    fs::write(&file, engine).unwrap();
    let mut sim = Command::new(cargo_bin!("sim"));
    sim.args(["replay", "--quiet", "--no-nulls", "--format", "json", "--set", "rivals=[]", "--engine"]).arg(file);
    let output = sim.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut run: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(run["engine"]["calibration_map"], map);
    run["engine"]["calibration"].take()
}

fn figure(calibration: &Value, path: &str) -> f64 {
    calibration.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path} in {calibration}"))
}

#[test]
fn a_calibrated_stack_beats_the_stock_engine_on_the_held_out_segment() {
    for columns in [ONE, FIVE, SIX, TEN] {
        let (stock, stack) = (calibration(columns, "stock-any", "none"), calibration(columns, "stack", "auto"));
        for truth in ["vs_consensus", "vs_label"] {
            for score in ["brier", "log_loss"] {
                let path = format!("/held_out/{truth}/{score}");
                let (stock, stack) = (figure(&stock, &path), figure(&stack, &path));
                assert!(stack < stock, "{path} of {columns:?}: {stack} against {stock}");
            }
        }
    }
}

#[test]
fn the_readme_says_what_comes_out() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let short = |figure: f64, digits: usize| format!("{figure:.digits$}").trim_start_matches('0').to_owned();
    for (distiller, map) in [("stock-any", "none"), ("stack", "auto")] {
        let found = calibration(TEN, distiller, map);
        let figure = |score: &str| figure(&found, &format!("/held_out/vs_consensus/{score}"));
        let row = format!("| {} | {} |", short(figure("brier"), 4), short(figure("log_loss"), 3));
        assert!(readme.contains(&row), "{distiller}: {row}");
    }
}

/// Share of groups covered, groups, and mean width, over two engines of one backend and engines of five, six and ten.
fn covered(distiller: &str, map: &str) -> (f64, f64, f64) {
    let (mut covered, mut groups, mut width) = (0.0, 0.0, 0.0);
    for columns in [&["ClamAV"][..], ONE, FIVE, SIX, TEN] {
        let found = calibration(columns, distiller, map);
        let figure = |name: &str| figure(&found, &format!("/vs_consensus/{name}"));
        covered += figure("interval_coverage") * figure("interval_groups");
        groups += figure("interval_groups");
        width += figure("interval_mean_width") / 5.0;
    }
    (covered / groups, groups, width)
}

#[test]
fn intervals_that_were_learned_cover_what_they_promise() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    for (distiller, map) in [("stack", "auto"), ("log-odds", "auto"), ("dawid-skene", "auto")] {
        let (coverage, groups, width) = covered(distiller, map);
        // The share itself is known no better than this.
        let error = (0.9 * 0.1 / groups).sqrt();
        assert!((0.87 - error..=0.93 + error).contains(&coverage) && groups > 150.0, "{distiller}, {map}: {coverage} of {groups}");
        // And not by promising nothing: of the width from 0 to 1, a fifth on average.
        assert!(width < 0.2, "{distiller}, {map}: {width}");
        let row = format!("| `{distiller}`, `{map}` | {:.1} % of {groups} | {width:.2} |", 100.0 * coverage);
        assert!(readme.contains(&row), "{row}");
    }
}

#[test]
fn calibration_mends_a_prior_that_is_wrong() {
    let (raw, mended) = (calibration(FIVE, "log-odds", "none"), calibration(FIVE, "log-odds", "auto"));
    for path in ["/held_out/vs_consensus/ece_equal_width", "/held_out/vs_consensus/ece_equal_mass", "/held_out/vs_consensus/log_loss"] {
        let (raw, mended) = (figure(&raw, path), figure(&mended, path));
        assert!(mended < 0.8 * raw, "{path}: {mended} after {raw}");
    }
}
