//! `microengine new`: a project to start from, that compiles and replays as it is.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};

/// A file of a project: where it goes, and what is in it.
type Template = (&'static str, &'static str);

const RUST: &[Template] = &[
    ("Cargo.toml", include_str!("../../../templates/rust/Cargo.toml.in")),
    ("README.md", include_str!("../../../templates/rust/README.md")),
    ("engine.toml", include_str!("../../../templates/rust/engine.toml")),
    ("src/lib.rs", include_str!("../../../templates/rust/src/lib.rs")),
    ("src/backend.rs", include_str!("../../../templates/rust/src/backend.rs")),
    ("src/strategy.rs", include_str!("../../../templates/rust/src/strategy.rs")),
    ("src/bin/sim.rs", include_str!("../../../templates/rust/src/bin/sim.rs")),
    ("src/bin/microengine.rs", include_str!("../../../templates/rust/src/bin/microengine.rs")),
    ("tests/backtest.rs", include_str!("../../../templates/rust/tests/backtest.rs")),
];

const COMMAND: &[Template] = &[
    ("README.md", include_str!("../../../templates/command/README.md")),
    ("engine.toml", include_str!("../../../templates/command/engine.toml")),
    ("scanner.py", include_str!("../../../templates/command/scanner.py")),
    ("test_scanner.py", include_str!("../../../templates/command/test_scanner.py")),
];

/// Start a project: a backend, a strategy, an engine file, a test
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Name of the engine, and of the new folder: lower-case letters, digits and hyphens
    name: String,
    /// What the scanner is written in
    #[arg(long, value_enum, default_value_t)]
    language: Language,
    /// Folder of the engine's sources, which a Rust project is built on [default: where this program was built]
    #[arg(long, value_name = "FOLDER")]
    source: Option<PathBuf>,
}

/// What a project is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum Language {
    /// A backend and a strategy that run inside the engine
    #[default]
    Rust,
    /// A program that is started for each artifact; the example is in Python, any language will do
    Command,
}

impl NewArgs {
    /// Writes the project; what to do next.
    pub(super) fn run(&self) -> anyhow::Result<String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let sound = self.name.len() <= 64 && self.name.starts_with(|c: char| c.is_ascii_lowercase()) && self.name.chars().all(plain);
        ensure!(
            sound && !self.name.ends_with('-') && !TAKEN.contains(&self.name.as_str()),
            "`{}` is no name for an engine; use lower-case letters, digits and hyphens, as in `my-engine`",
            self.name.escape_debug()
        );
        let folder = Path::new(&self.name);
        let (templates, source) = match self.language {
            Language::Rust => (RUST, self.source()?),
            Language::Command => (COMMAND, String::new()),
        };
        match fs::create_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                bail!("{} is there already; choose another name, or move it away", folder.display())
            }
            other => other.with_context(|| format!("cannot make the folder {}", folder.display()))?,
        }
        for (file, text) in templates {
            let path = folder.join(file);
            let text =
                text.replace("{{name}}", &self.name).replace("{{crate}}", &self.name.replace('-', "_")).replace("{{source}}", &source);
            let write = || fs::create_dir_all(path.parent().unwrap_or(folder)).and_then(|()| fs::write(&path, text));
            write().with_context(|| format!("cannot write {}", path.display()))?;
        }
        if self.language == Language::Rust {
            // What is built on is known to compile with these.
            for file in ["Cargo.lock", "rust-toolchain.toml"] {
                let from = Path::new(&source).join(file);
                if from.is_file() {
                    fs::copy(&from, folder.join(file)).with_context(|| format!("cannot copy {}", from.display()))?;
                }
            }
        }
        let replay = match self.language {
            Language::Rust => "cargo run --bin sim -- replay starter --engine engine.toml",
            Language::Command => "sim replay starter --engine engine.toml",
        };
        Ok(format!("wrote {0}; now:\n  cd {0}\n  {replay}\nREADME.md says what comes next\n", self.name))
    }

    /// The folder of the sources, as a TOML string holds it.
    fn source(&self) -> anyhow::Result<String> {
        let folder = match &self.source {
            Some(folder) => folder.clone(),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        };
        let whole = folder.canonicalize().ok().filter(|folder| folder.join("engine/Cargo.toml").is_file());
        let whole = whole.with_context(|| format!("the engine's sources are not in {}; say where with --source", folder.display()))?;
        let text = whole.to_str().filter(|text| !text.contains(['"', '\\', '\n']));
        Ok(text.context("the path of the engine's sources has characters that Cargo.toml cannot hold")?.to_owned())
    }
}

/// Names that a crate of Rust cannot have here: keywords, and what a project is built on.
const TAKEN: &[&str] = &[
    "alloc",
    "as",
    "async",
    "await",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "dyn",
    "else",
    "engine",
    "enum",
    "extern",
    "false",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "market",
    "match",
    "mod",
    "move",
    "mut",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde-json",
    "sim",
    "static",
    "std",
    "struct",
    "super",
    "tempfile",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "union",
    "unsafe",
    "use",
    "where",
    "while",
    "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_be_filled_in() {
        for (file, text) in RUST.iter().chain(COMMAND) {
            let filled = ["{{name}}", "{{crate}}", "{{source}}"].iter().fold((*text).to_owned(), |text, key| text.replace(key, "x"));
            assert!(!filled.contains("{{") || file.ends_with(".py"), "{file}");
        }
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        for name in ["", "-x", "x-", "X", "../x", "a b", "engine", "match", "std", "x\u{1b}"] {
            let args = NewArgs { name: name.to_owned(), language: Language::Command, source: None };
            assert!(args.run().unwrap_err().to_string().contains("no name for an engine"), "{name}");
        }
    }
}
