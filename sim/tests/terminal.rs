//! What a terminal, a shell and a packager get: progress, widths, completions, manual pages, and what is installed.

use std::{
    collections::BTreeMap,
    fs,
    process::{Command as Process, Stdio},
};

use assert_cmd::{Command, cargo::cargo_bin};
use clap::CommandFactory as _;
use serde_json::Value;

fn sim(args: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin!("sim"));
    command.args(args).env("SIM_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/verdicts"));
    for variable in ["COLUMNS", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// stdout and stderr of a command that is to succeed.
fn run(args: &[&str]) -> (String, String) {
    let output = sim(args).assert().success().get_output().clone();
    (text(&output.stdout), text(&output.stderr))
}

// Progress.

/// The lines of progress among what was written to stderr, by phase.
fn phases(stderr: &str) -> BTreeMap<String, Vec<Value>> {
    let mut phases = BTreeMap::new();
    for line in stderr.lines().filter(|line| line.starts_with('{')) {
        let line: Value = serde_json::from_str(line).unwrap();
        let phase = line["phase"].as_str().unwrap().to_owned();
        phases.entry(phase).or_insert_with(Vec::new).push(line);
    }
    phases
}

/// A command, and its phases with what they come to; 0 and 1 for at least that.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, u64)]);

#[test]
fn every_phase_tells_its_beginning_and_its_end_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (run_folder, sweep, registry, space, model) =
        (path("run"), path("sweep"), path("registry"), path("space.toml"), path("model.toml"));
    fs::write(&space, "strategies = [\"null/min\", \"fixed?bid=0.5\"]\n").unwrap();
    let few = ["--set", "bounties=600", "--progress", "json"];
    let cases: [Case<'_>; 10] = [
        (&["replay", "--no-nulls", "--out", &run_folder], &[("checking the corpus", 6000), ("playing", 600)]),
        (&["compare", "-s", "null/min"], &[("playing", 0), ("resampling", 1)]),
        (&["compare", "-s", "null/min", "--split", "20/40/40", "--allow-bias", "window"], &[("reading dates", 600)]),
        (
            &["walkforward", "-s", "null/min", "--folds", "2", "--train", "50", "--allow-bias", "window"],
            &[("reading dates", 600), ("playing", 0), ("resampling", 1)],
        ),
        (&["sweep", "--space", &space, "--out", &sweep, "--registry", &registry], &[("drawing trials", 2), ("playing", 0)]),
        (&["tournament", "-s", "null/min", "-s", "fixed", "--rounds", "1", "--size", "3"], &[("playing", 0)]),
        (&["scan", "starter", "--set", "engine.backends.0.kind=eicar"], &[("checking the corpus", 60), ("scanning", 60)]),
        (&["corpus", "check", "starter", "--files"], &[("checking the corpus", 60), ("hashing files", 60)]),
        (&["corpus", "info", "panel"], &[("checking the corpus", 6000), ("counting verdicts", 6000)]),
        (&["model", "train", "starter", "-o", &model], &[("reading files", 60), ("fitting", 0)]),
    ];
    for (args, expected) in cases {
        let played = !["corpus", "model"].contains(&args[0]);
        let args: Vec<&str> = args.iter().copied().chain(few.into_iter().skip(if played { 0 } else { 2 })).collect();
        let (_, stderr) = run(&args);
        let phases = phases(&stderr);
        for (phase, done) in expected {
            let lines = phases.get(*phase).unwrap_or_else(|| panic!("no phase `{phase}` in {args:?}:\n{stderr}"));
            assert!(lines.len() >= 2, "{args:?}: {lines:?}");
            let (first, last) = (&lines[0], &lines[lines.len() - 1]);
            assert_eq!(first["done"], 0, "{args:?}: {first}");
            let (ended, total) = (last["done"].as_u64().unwrap(), last["total"].as_u64());
            assert!(ended >= *done && (*done == 0 || *done == 1 || ended == *done), "{args:?}: {last}");
            if *phase != "resampling" && *phase != "playing" {
                assert!(total.is_none_or(|total| total == ended), "{args:?}: {last}");
            }
            for figure in ["rate", "elapsed_seconds"] {
                assert!(last[figure].is_f64(), "{args:?}: {last}");
            }
        }
    }
    let (_, stderr) = run(&["explain", &run_folder, "--sensitivity", "--progress", "json"]);
    let phases = phases(&stderr);
    assert!(["checking the corpus", "playing", "resampling"].iter().all(|phase| phases.contains_key(*phase)), "{stderr}");
}

#[test]
fn nothing_is_told_where_nobody_looks_and_nothing_asked() {
    let args = ["compare", "-s", "null/min", "--set", "bounties=60"];
    let (whole, stderr) = run(&args);
    assert!(!stderr.contains('{') && stderr.lines().count() == 1, "the name of the run alone: {stderr}");
    let quiet = |more: &[&str]| run(&[&args[..], more].concat()).1;
    assert_eq!(quiet(&["--quiet"]), "");
    assert_eq!(quiet(&["--quiet", "--progress", "none"]), "");
    let asked = quiet(&["--quiet", "--progress", "json"]);
    assert!(!asked.is_empty() && asked.lines().all(|line| line.starts_with('{')), "{asked}");
    // What it is told does not change what it does, nor what it says of itself.
    let same = |text: &str| text.lines().filter(|line| !line.starts_with("Time ")).collect::<Vec<_>>().join("\n");
    assert_eq!(same(&run(&[&args[..], &["--progress=json"]].concat()).0), same(&whole));
}

// Widths.

/// stdout in a terminal of that width, as far as `COLUMNS` makes one.
fn at(columns: &str, args: &[&str]) -> String {
    text(&sim(args).env("COLUMNS", columns).assert().success().get_output().stdout)
}

#[test]
fn reports_fit_their_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (played, space, registry) = (path("run"), path("space.toml"), path("registry"));
    fs::write(&space, "strategies = [\"null/min\", \"fixed?bid=0.5\"]\n[set]\narbiters.error = [0.0, 0.05]\n").unwrap();
    run(&["replay", "--set", "bounties=300", "--out", &played]);
    for columns in [40, 80, 120, 200] {
        let sweep = path(&format!("sweep{columns}"));
        let reports: [&[&str]; 11] = [
            &["replay", "--set", "bounties=300"],
            &["compare", "-s", "stock/default", "--set", "bounties=300"],
            &["walkforward", "-s", "pm-ev", "--folds", "3", "--train", "40", "--set", "bounties=600", "--allow-bias", "window"],
            &["tournament", "-s", "null/min", "-s", "stock/conservative", "-s", "fixed", "--rounds", "1", "--set", "bounties=100"],
            &["sweep", "--space", &space, "--out", &sweep, "--registry", &registry, "--set", "bounties=100"],
            &["explain", &played, "--sensitivity"],
            &["scan", "starter", "--set", "engine.backends.0.kind=eicar"],
            &["corpus", "info", "panel"],
            &["strategies"],
            &["rules", "diff", "1.6.1", "1.0.0"],
            &["doctor"],
        ];
        for args in reports {
            let report = at(&columns.to_string(), args);
            for line in report.lines().filter(|line| line.chars().count() > columns) {
                // Commands to copy, and single words that nobody can break.
                let copied = ["Repeat ", "Play it again ", "Be sure "].iter().any(|label| line.starts_with(label));
                assert!(copied || line.trim().split("  ").last().is_some_and(|word| !word.contains(' ')), "{args:?} at {columns}: {line}");
            }
            assert!(!report.contains('\x1b'));
        }
    }
}

#[test]
fn a_file_gets_the_whole_table_and_a_terminal_is_told_what_it_lacks() {
    let args = ["compare", "-s", "stock/default", "--set", "bounties=60"];
    let (whole, _) = run(&args);
    assert!(whole.lines().any(|line| line.chars().count() > 120) && !whole.contains("no room for"), "{whole}");
    let narrow = at("40", &args);
    assert!(narrow.contains("(no room for: "), "{narrow}");
    let wide = at("80", &args);
    for figure in ["unfunded", "of hindsight", "adjusted"] {
        assert!(wide.contains(figure), "no `{figure}` in:\n{wide}");
    }
}

#[test]
fn colours_are_as_the_environment_says() {
    let help = |variables: &[(&str, &str)]| {
        let mut command = sim(&["replay", "--help"]);
        command.envs(variables.iter().copied());
        text(&command.assert().success().get_output().stdout)
    };
    assert!(!help(&[]).contains('\x1b'), "a pipe");
    assert!(help(&[("CLICOLOR_FORCE", "1")]).contains('\x1b'), "forced");
    assert!(!help(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains('\x1b'), "forbidden");
    assert!(!at("80", &["replay", "--set", "bounties=10"]).contains('\x1b'));
}

/// What a command writes to a terminal of that many columns; nothing where `script`, which makes terminals, is not installed.
fn in_terminal(columns: u16, environment: &str, args: &[&str]) -> Option<String> {
    let command = format!("stty rows 24 cols {columns}; {environment} {} {}", cargo_bin!("sim").display(), args.join(" "));
    let mut script = Process::new("script");
    script.args(["-qec", &command, "/dev/null"]).env_remove("COLUMNS").env_remove("NO_COLOR").stdin(Stdio::null());
    let output = script.output().ok().filter(|output| output.status.success())?;
    Some(text(&output.stdout).replace('\r', ""))
}

#[test]
fn a_terminal_is_as_wide_as_it_is_and_shows_a_bar_if_it_can() {
    let Some(list) = in_terminal(50, "TERM=xterm", &["strategies"]) else { return };
    assert!(list.lines().count() > 20 && list.lines().all(|line| line.chars().count() <= 50), "{list}");
    let widest = list.lines().map(|line| line.chars().count()).max();
    assert!(widest > Some(40), "it uses the room that there is: {widest:?}");
    let shown = in_terminal(80, "TERM=xterm", &["replay", "--set", "bounties=3000"]).unwrap();
    // Which of its frames are drawn depends on the machine; that the last one is cleared does not.
    assert!(shown.contains("\x1b[2K"), "{shown}");
    for (environment, flag) in [("TERM=dumb", "--no-nulls"), ("TERM=xterm", "--quiet"), ("TERM=xterm", "--progress=none")] {
        let shown = in_terminal(80, environment, &["replay", "--set", "bounties=3000", flag]).unwrap();
        assert!(shown.contains("Replay of") && !shown.contains('\x1b') && !shown.contains("checking"), "{environment} {flag}: {shown}");
    }
}

// Completions and manual pages.

/// The names of all commands, as in `sim rules verify`.
fn commands(command: &clap::Command, path: &str, all: &mut Vec<String>) {
    let path = format!("{path}{}", command.get_name());
    for below in command.get_subcommands() {
        commands(below, &format!("{path} "), all);
    }
    all.push(path);
}

#[test]
fn every_command_has_a_manual_page_and_is_completed_in_every_shell() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    run(&["man", "--out", path("man").to_str().unwrap()]);
    run(&["completions", "--out", path("completions").to_str().unwrap()]);
    let mut all = Vec::new();
    commands(&sim::cli::Cli::command(), "", &mut all);
    assert!(all.len() > 20, "{all:?}");
    for command in &all {
        let page = fs::read_to_string(path("man").join(command.replace(' ', "-") + ".1")).unwrap();
        assert!(page.contains(".TH") && page.contains(".SH SYNOPSIS"), "{command}");
    }
    for file in ["sim.bash", "_sim", "sim.fish", "sim.elv", "_sim.ps1"] {
        let script = fs::read_to_string(path("completions").join(file)).unwrap();
        for word in all.iter().filter_map(|command| command.split(' ').nth(1)) {
            assert!(script.contains(word), "{file} does not know `{word}`");
        }
    }
    let (page, _) = run(&["man"]);
    assert!(page.contains("EXAMPLES") || page.contains("Examples"), "{page}");
    assert_eq!(run(&["completions", "bash"]).0, fs::read_to_string(path("completions/sim.bash")).unwrap());
    sim(&["completions"]).assert().code(2);
}

#[test]
fn bash_completes_words() {
    let Ok(output) = Process::new("bash").arg("--version").stdout(Stdio::null()).status() else { return };
    assert!(output.success());
    let (script, _) = run(&["completions", "bash"]);
    let complete = |words: &str| {
        let last = words.split(' ').count() - 1;
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}); [ ${{#COMP_WORDS[@]}} -gt {last} ] || COMP_WORDS+=(''); COMP_CWORD={last}\n\
             _sim sim \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{last} - 1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let output = Process::new("bash").args(["--norc", "-c", &ask]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("sim tourn"), ["tournament"]);
    assert_eq!(complete("sim replay --no-n"), ["--no-nulls"]);
    assert_eq!(complete("sim replay --progress "), ["auto", "json", "none"]);
    assert_eq!(complete("sim completions z"), ["zsh"]);
}

// What is installed.

#[test]
fn the_doctor_says_what_everything_is_for_and_runs_nothing_from_here() {
    let folder = tempfile::tempdir().unwrap();
    let trap = folder.path().join("valgrind");
    fs::write(&trap, "#!/bin/sh\ntouch \"$(dirname \"$0\")/sprung\"\n").unwrap();
    fs::set_permissions(&trap, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = sim(&["doctor", "--format", "json"]);
    // `.` and an empty folder in PATH are this folder.
    command.current_dir(folder.path()).env("PATH", ".::bin").env("SIM_REGISTRY", folder.path().join("registry"));
    let output = command.assert().success().get_output().clone();
    let diagnosis: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = diagnosis["findings"].as_array().unwrap();
    let of = |name: &str| findings.iter().find(|finding| finding["name"] == name).unwrap_or_else(|| panic!("nothing on {name}"));
    for name in ["machine", "terminal", "corpora", "verdicts", "trials", "yara", "clamd", "python", "chromium", "valgrind", "onnxruntime"] {
        assert!(of(name)["enables"].as_str().is_some_and(|enables| !enables.is_empty()), "{name}");
    }
    assert_eq!((&of("valgrind")["health"], &of("yara")["health"]), (&"missing".into(), &"ok".into()));
    assert!(of("valgrind")["advice"].as_str().unwrap().contains("install valgrind"));
    assert!(!folder.path().join("sprung").exists(), "it ran a program of the folder it is in");
}

#[test]
fn what_is_broken_is_an_error() {
    let output = sim(&["doctor", "--cache", "/proc/self/nowhere"]).assert().code(2).get_output().clone();
    let report = text(&output.stdout);
    assert!(report.contains("BROKEN: /proc/self/nowhere") && report.contains("--cache"), "{report}");
}
