//! The README, run as written: what it shows is what comes out.

use std::{fs, path::Path};

use assert_cmd::{Command, cargo::cargo_bin};
use tempfile::tempdir;

/// A command of a block, and the lines that are shown below it.
struct Shown {
    command: String,
    lines: Vec<String>,
}

/// The commands of a page's blocks, block by block.
fn blocks(page: &str) -> Vec<Vec<Shown>> {
    let console = page.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let commands = |block: &str| {
        let mut commands: Vec<Shown> = Vec::new();
        for line in block.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => {
                    let command = command.split(" #").next().unwrap().trim().to_owned();
                    commands.push(Shown { command, lines: Vec::new() });
                }
                None => commands.last_mut().unwrap().lines.push(line.to_owned()),
            }
        }
        commands
    };
    console.map(commands).collect()
}

/// Runs a command, if it is one of `sim`, and compares what it prints with what is shown; `...` stands for any lines.
fn run(shown: &Shown, folder: &Path) {
    let Some(arguments) = shown.command.strip_prefix("sim ") else { return };
    let registry = folder.join("trials");
    let mut sim = Command::new(cargo_bin!("sim"));
    let output = sim.args(arguments.split_whitespace()).current_dir(folder).env("SIM_REGISTRY", registry).output().unwrap();
    assert!(output.status.success(), "{}: {}", shown.command, String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut printed = text.lines();
    let mut gap = false;
    for line in &shown.lines {
        if line == "..." {
            gap = true;
            continue;
        }
        let found = if gap { printed.any(|printed| printed == line) } else { printed.next() == Some(line) };
        assert!(found, "{}: `{line}` is not at its place in\n{text}", shown.command);
        gap = false;
    }
    assert!(text.lines().all(|line| line.chars().count() <= 160), "{text}");
}

#[test]
fn the_readme_shows_what_comes_out() {
    let page = include_str!("../../README.md");
    let (before, rest) = page.split_once("## The first half hour\n").unwrap();
    let (half_hour, after) = rest.split_once("\n## ").unwrap();
    let folder = tempdir().unwrap();
    // The first half hour whole, in one folder; of the rest, what is shown with its output.
    let blocks_of_it = blocks(half_hour);
    let commands: Vec<&str> = blocks_of_it.iter().flatten().map(|shown| shown.command.as_str()).collect();
    for wanted in ["sim replay", "sim compare", "sim explain"] {
        assert!(commands.iter().any(|command| command.starts_with(wanted)), "{wanted} is not in {commands:?}");
    }
    blocks_of_it.iter().flatten().for_each(|shown| run(shown, folder.path()));
    for block in blocks(before).into_iter().chain(blocks(after)).filter(|block| block.iter().any(|shown| !shown.lines.is_empty())) {
        block.iter().for_each(|shown| run(shown, folder.path()));
    }
    fs::metadata(folder.path().join("run/run.json")).unwrap();
}
