//! YARA rules, run by one of two libraries: boreal, or YARA-X with the feature `yara-x`.
//!
//! Rules are read when the backend is opened, as their bytes are its fingerprint, and compiled when the first content is
//! scanned or [`prepare`](Backend::prepare) asks for it. Each file is a namespace of its own: rule names may repeat from
//! file to file, and a global rule filters the rules of its own file. `include` is refused: a folder is read as a whole.
//!
//! # What a match says
//!
//! A match is malicious, unless the rule has `verdict = "benign"` in its metadata, or a tag `benign` or `goodware`: such a
//! rule makes the answer benign if no other matches. No match is benign. Private and global rules say nothing by
//! themselves. The metadata that is honoured:
//!
//! | metadata | value | meaning |
//! |---|---|---|
//! | `verdict` | `"malicious"`, `"benign"` | what a match says |
//! | `confidence` | up to 1, or up to 100 for percent; a number or a text | how sure that is; 1 is certainty |
//! | `score` | 0 to 100 | the same, where there is no `confidence` |
//! | `family`, `malware_family`, `malware` | a text | the family; the first of them that is there |
//!
//! What a rule states is its confidence, but 0.5 where it states less: that it matches is never a reason to believe the
//! contrary. The answer has the confidence of the strongest rule of its side. A rule that states none is as strong as can
//! be, and the answer then states none either. The family is that of the strongest malicious rule that names one.
//!
//! # Time
//!
//! boreal looks at the clock after every ten thousand steps, and not at all while it looks for a regular expression without
//! two fixed bytes in a row, such as `/a*/`: with such rules an answer may come seconds after the deadline. YARA-X looks at a
//! counter of whole seconds: a scan may go on for two seconds after its deadline, and is never ended before it. A rule that
//! matched before time was up is a true finding, and the answer malicious; boreal tells of it, YARA-X does not. Without one,
//! a scan that ends after its deadline is a timeout, with either library and whether or not it came to its end: of what was
//! not looked at in time nobody says benign.

mod boreal;
#[cfg(all(test, feature = "yara-x"))]
mod differential;
#[cfg(feature = "yara-x")]
mod yara_x;

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
    time::Instant,
};

use sha2::{Digest as _, Sha256};

use super::{Backend, BackendError};
use crate::{
    artifact::{Artifact, Failure, FailureKind, Finding, ScanResult},
    config::{BackendConfig, YaraLibrary},
};

/// Raised whenever the same rules could answer otherwise than before.
const FORMAT: u32 = 1;
/// Versions as the lock file has them: they are part of the fingerprint, and neither library tells its own.
const BOREAL_VERSION: &str = "1.4.0";
const YARA_X_VERSION: &str = "1.22.1";
/// Most matches of one string that are counted, with either library: bounds memory, what `#a` can reach, and how often a
/// regular expression without fixed bytes, such as `/a*/`, walks to the end of the content.
const MATCH_LIMIT: u32 = 1_000;

/// Folders within folders of rules.
const DEPTH_LIMIT: u32 = 16;
/// Files of rules, and entries of folders that are looked at for them.
const FILE_LIMIT: usize = 20_000;
/// Bytes of all rules together.
const SIZE_LIMIT: u64 = 128 << 20;

const EXPECTED: &str = "files of YARA rules, or folders with `*.yar` or `*.yara` files";

/// One file of rules.
#[derive(Debug)]
struct Source {
    /// Path below the folder that was named, or the file's name: what the fingerprint and the order depend on.
    relative: String,
    /// Path as messages show it.
    shown: String,
    text: String,
}

/// Why rules cannot be compiled.
#[derive(Clone, Debug)]
struct CompileError {
    path: String,
    line: usize,
    problem: String,
}

impl CompileError {
    /// An error at a byte of a source, with what to do about it.
    fn at(source: &Source, offset: usize, problem: &str, remedy: &str) -> CompileError {
        let before = &source.text.as_bytes()[..offset.min(source.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        CompileError { path: source.shown.clone(), line, problem: format!("{}; {remedy}", problem.escape_debug()) }
    }
}

/// What to do about an `include`.
const REMEDY_INCLUDE: &str = "name the included file, or the folder of both, in `rules` instead";
/// What to do about any other rule that does not compile.
const REMEDY_RULE: &str = "correct the rule, or keep the file out of `rules`";

/// What the match of a rule says.
#[derive(Clone, PartialEq, Debug)]
struct Meaning {
    malicious: bool,
    confidence: Option<f32>,
    family: Option<String>,
}

/// A value of a rule's metadata, whichever library it comes from.
enum Meta<'a> {
    Text(&'a str),
    Number(f64),
    Other,
}

impl Meaning {
    fn of<'a>(tags: impl Iterator<Item = &'a str>, metadata: impl Iterator<Item = (&'a str, Meta<'a>)>) -> Meaning {
        let mut verdict = None;
        let (mut confidence, mut score) = (None, None);
        let mut families = [None; 3];
        for (key, value) in metadata {
            match (key, value) {
                ("verdict", Meta::Text(text)) => verdict = verdict.or(verdict_of(text)),
                ("confidence", value) => {
                    confidence = confidence.or(number(&value, |value| if value > 1.0 { value / 100.0 } else { value }))
                }
                ("score", value) => score = score.or(number(&value, |value| value / 100.0)),
                ("family" | "malware_family" | "malware", Meta::Text(text)) => {
                    let rank = ["family", "malware_family", "malware"].iter().position(|name| *name == key).expect("one of the three");
                    families[rank] = families[rank].or(Some(text));
                }
                _ => {}
            }
        }
        let tagged = tags.into_iter().any(|tag| ["benign", "goodware"].iter().any(|name| tag.eq_ignore_ascii_case(name)));
        Meaning {
            malicious: verdict.unwrap_or(!tagged),
            confidence: confidence.or(score).map(|value: f64| value.max(0.5) as f32),
            family: families.into_iter().flatten().next().map(str::to_owned),
        }
    }
}

fn verdict_of(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "malicious" | "malware" => Some(true),
        "benign" | "goodware" => Some(false),
        _ => None,
    }
}

/// A number, brought to 0..=1; none if it is no number or beyond.
fn number(value: &Meta<'_>, share: impl Fn(f64) -> f64) -> Option<f64> {
    let value = match value {
        Meta::Number(number) => *number,
        Meta::Text(text) => text.trim().parse().ok()?,
        Meta::Other => return None,
    };
    Some(share(value)).filter(|share| (0.0..=1.0).contains(share))
}

/// A rule by its namespace and its name.
type RuleName = (String, String);

/// What one scan came to.
#[derive(Default, Debug)]
struct Outcome {
    matched: Vec<RuleName>,
    timed_out: bool,
}

/// Rules, compiled by one of the libraries.
#[derive(Debug)]
struct Compiled {
    program: Program,
    /// What the rules say that say something: neither private nor global ones.
    meanings: BTreeMap<RuleName, Meaning>,
}

#[derive(Debug)]
enum Program {
    Boreal(boreal::Program),
    #[cfg(feature = "yara-x")]
    YaraX(Box<yara_x::Program>),
}

impl Compiled {
    fn compile(library: YaraLibrary, sources: &[Source]) -> Result<Compiled, CompileError> {
        match library {
            YaraLibrary::Boreal => {
                let (program, meanings) = boreal::compile(sources)?;
                Ok(Compiled { program: Program::Boreal(program), meanings })
            }
            #[cfg(feature = "yara-x")]
            YaraLibrary::YaraX => {
                let (program, meanings) = yara_x::compile(sources)?;
                Ok(Compiled { program: Program::YaraX(Box::new(program)), meanings })
            }
            #[cfg(not(feature = "yara-x"))]
            YaraLibrary::YaraX => unreachable!("refused when the backend is opened"),
        }
    }

    fn scan(&self, content: &[u8], deadline: Instant) -> Result<Finding, Failure> {
        let outcome = match &self.program {
            Program::Boreal(program) => program.scan(content, deadline),
            #[cfg(feature = "yara-x")]
            Program::YaraX(program) => program.scan(content, deadline),
        }?;
        let mut matched: Vec<&Meaning> = outcome
            .matched
            .iter()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .filter_map(|rule| self.meanings.get(rule))
            .collect();
        // Stable: among equals the first by namespace and name comes first, whatever order a library reports them in.
        matched.sort_by_key(|meaning| (!meaning.malicious, Reverse(ordered(meaning.confidence.unwrap_or(f32::MAX)))));
        let malicious = matched.first().is_some_and(|meaning| meaning.malicious);
        if !malicious && (outcome.timed_out || Instant::now() > deadline) {
            return Err(Failure::new(FailureKind::TimedOut, "time was up before all rules were through"));
        }
        let confidence = matched.first().and_then(|meaning| meaning.confidence);
        let family = matched.iter().filter(|meaning| meaning.malicious).find_map(|meaning| meaning.family.as_deref());
        Ok(Finding::new(ScanResult { malicious: Some(malicious), confidence }, family))
    }
}

/// Positive floats in their order.
fn ordered(value: f32) -> u32 {
    value.to_bits()
}

/// Runs rules over contents.
#[derive(Debug)]
pub struct Yara {
    name: String,
    fingerprint: String,
    library: YaraLibrary,
    /// Until they are compiled.
    sources: Mutex<Vec<Source>>,
    compiled: OnceLock<Result<Compiled, CompileError>>,
}

impl Yara {
    /// Reads the rules that `config` names, relative to `folder`, and compiles none.
    ///
    /// Of a folder, every `*.yar` and `*.yara` below it is read. Names that begin with a dot are passed over, symbolic links
    /// to folders too, and those to files unless they stay within the folder.
    ///
    /// # Errors
    ///
    /// If rules cannot be read, are no text, or are too many; if there are none; if the library is not part of the build.
    pub fn open(config: &BackendConfig, folder: &Path) -> Result<Yara, BackendError> {
        let library = config.library.unwrap_or_default();
        if library == YaraLibrary::YaraX && cfg!(not(feature = "yara-x")) {
            return Err(BackendError::NotBuilt { name: config.name().to_owned(), what: "the library `yara-x`", feature: "yara-x" });
        }
        let mut reader = Reader { name: config.name(), sources: Vec::new(), entries: 0, size: 0 };
        for rules in config.rules.iter().flatten() {
            reader.named(&folder.join(rules))?;
        }
        let mut sources = reader.sources;
        if sources.is_empty() {
            let problem = format!("`rules` names no file; name {EXPECTED}");
            return Err(BackendError::Unusable { name: config.name().to_owned(), problem });
        }
        sources.sort_by(|a, b| (&a.relative, &a.text).cmp(&(&b.relative, &b.text)));
        let mut digest = Sha256::new();
        for source in &sources {
            for part in [&source.relative, &source.text] {
                digest.update((part.len() as u64).to_le_bytes());
                digest.update(part);
            }
        }
        let library_name = match library {
            YaraLibrary::Boreal => format!("boreal-{BOREAL_VERSION}"),
            YaraLibrary::YaraX => format!("yara-x-{YARA_X_VERSION}"),
        };
        Ok(Yara {
            name: config.name().to_owned(),
            fingerprint: format!("yara:{FORMAT}:{library_name}:{}", hex::encode(&digest.finalize()[..16])),
            library,
            sources: Mutex::new(sources),
            compiled: OnceLock::new(),
        })
    }

    /// The rules, compiled by whoever needs them first; all others wait for that.
    fn compiled(&self) -> &Result<Compiled, CompileError> {
        self.compiled.get_or_init(|| {
            let sources = std::mem::take(&mut *self.sources.lock().unwrap_or_else(PoisonError::into_inner));
            Compiled::compile(self.library, &sources)
        })
    }
}

impl Backend for Yara {
    fn name(&self) -> &str {
        &self.name
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn prepare(&self) -> Result<(), BackendError> {
        match self.compiled() {
            Ok(_) => Ok(()),
            Err(CompileError { path, line, problem }) => {
                Err(BackendError::Malformed { name: self.name.clone(), path: path.clone(), line: *line, problem: problem.clone() })
            }
        }
    }

    fn scan(&self, artifact: &Artifact<'_>, deadline: Instant) -> Result<Finding, Failure> {
        let content = artifact.content.ok_or_else(|| Failure::new(FailureKind::Missing, "no content to scan"))?;
        match self.compiled() {
            Ok(compiled) => compiled.scan(content, deadline),
            Err(CompileError { path, line, problem }) => {
                Err(Failure::new(FailureKind::Unavailable, format!("{path}, line {line}: {problem}")))
            }
        }
    }
}

/// Collects rules from files and folders, within limits.
struct Reader<'a> {
    name: &'a str,
    sources: Vec<Source>,
    entries: usize,
    size: u64,
}

impl Reader<'_> {
    fn unreadable(&self, path: &Path, cause: io::Error) -> BackendError {
        BackendError::Unreadable { name: self.name.to_owned(), path: path.display().to_string(), cause, expected: EXPECTED }
    }

    fn unusable(&self, problem: String) -> BackendError {
        BackendError::Unusable { name: self.name.to_owned(), problem }
    }

    /// Reads what `rules` names: a file of whatever name, or a folder.
    fn named(&mut self, path: &Path) -> Result<(), BackendError> {
        let metadata = fs::metadata(path).map_err(|cause| self.unreadable(path, cause))?;
        if metadata.is_dir() {
            let root = path.canonicalize().map_err(|cause| self.unreadable(path, cause))?;
            let before = self.sources.len();
            self.folder(path, &root, Path::new(""), 0)?;
            if self.sources.len() == before {
                return Err(self.unusable(format!("{} holds no rules; name {EXPECTED}", path.display())));
            }
            Ok(())
        } else if metadata.is_file() {
            self.file(path, path.file_name().map(PathBuf::from).unwrap_or_default().as_path())
        } else {
            Err(self.unusable(format!("{} is neither a file nor a folder; name {EXPECTED}", path.display())))
        }
    }

    fn folder(&mut self, path: &Path, root: &Path, relative: &Path, depth: u32) -> Result<(), BackendError> {
        if depth > DEPTH_LIMIT {
            return Err(self.unusable(format!("{} is more than {DEPTH_LIMIT} folders deep; name the folders below it", path.display())));
        }
        for entry in fs::read_dir(path).map_err(|cause| self.unreadable(path, cause))? {
            let entry = entry.map_err(|cause| self.unreadable(path, cause))?;
            self.entries += 1;
            if self.entries > FILE_LIMIT {
                return Err(self.unusable(format!("{} holds more than {FILE_LIMIT} files; name fewer folders", path.display())));
            }
            let (file_name, below) = (entry.file_name(), entry.path());
            if file_name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let kind = entry.file_type().map_err(|cause| self.unreadable(&below, cause))?;
            let relative = relative.join(&file_name);
            if kind.is_dir() {
                self.folder(&below, root, &relative, depth + 1)?;
            } else if below.extension().is_some_and(|extension| extension == "yar" || extension == "yara") {
                let inside = || below.canonicalize().is_ok_and(|target| target.starts_with(root) && target.is_file());
                if kind.is_file() || (kind.is_symlink() && inside()) {
                    self.file(&below, &relative)?;
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, relative: &Path) -> Result<(), BackendError> {
        use io::Read as _;
        let mut bytes = Vec::new();
        let left = SIZE_LIMIT - self.size;
        let file = fs::File::open(path).map_err(|cause| self.unreadable(path, cause))?;
        let read = file.take(left + 1).read_to_end(&mut bytes).map_err(|cause| self.unreadable(path, cause))? as u64;
        if read > left {
            let limit = SIZE_LIMIT >> 20;
            return Err(self.unusable(format!("with {} there are more than {limit} MiB of rules; name fewer files", path.display())));
        }
        self.size += read;
        let shown = path.display().to_string();
        let text = String::from_utf8(bytes).map_err(|error| {
            let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
            let problem = "not UTF-8; save the file as UTF-8, and write other bytes in strings as `\\x..`".to_owned();
            BackendError::Malformed { name: self.name.to_owned(), path: shown.clone(), line, problem }
        })?;
        self.sources.push(Source { relative: relative.to_string_lossy().into_owned(), shown, text });
        Ok(())
    }
}

/// The namespace of the source at `index`.
fn namespace(index: usize) -> String {
    format!("file{index:06}")
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, time::Duration};

    use super::*;
    use crate::config::BackendKind;

    const LONG: Duration = Duration::from_secs(60);

    /// The libraries of this build.
    const LIBRARIES: &[YaraLibrary] = &[
        YaraLibrary::Boreal,
        #[cfg(feature = "yara-x")]
        YaraLibrary::YaraX,
    ];

    fn open(folder: &Path, library: YaraLibrary, rules: &[&str]) -> Result<Yara, BackendError> {
        let rules = Some(rules.iter().map(|rule| (*rule).to_owned()).collect());
        Yara::open(&BackendConfig { rules, library: Some(library), ..BackendConfig::of(BackendKind::Yara) }, folder)
    }

    fn of_text(library: YaraLibrary, text: &str) -> Yara {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("some.yar"), text).unwrap();
        open(folder.path(), library, &["some.yar"]).unwrap()
    }

    fn scan(yara: &Yara, content: &[u8], within: Duration) -> Result<Finding, Failure> {
        yara.scan(&Artifact { content: Some(content), ..Artifact::default() }, Instant::now() + within)
    }

    fn finding(malicious: bool, confidence: Option<f32>, family: Option<&str>) -> Finding {
        Finding::new(ScanResult { malicious: Some(malicious), confidence }, family)
    }

    /// Rules of one line each: tags, metadata, and the text that they match.
    fn check(rules: &[(&str, &str, &str)], content: &str, expected: &Finding) {
        let text: String = rules
            .iter()
            .enumerate()
            .map(|(index, (tags, metadata, text))| {
                let metadata = if metadata.is_empty() { String::new() } else { format!("meta: {metadata} ") };
                format!("rule r{index} {tags} {{ {metadata}strings: $a = \"{text}\" condition: $a }}\n")
            })
            .collect();
        for library in LIBRARIES {
            assert_eq!(scan(&of_text(*library, &text), content.as_bytes(), LONG).as_ref(), Ok(expected), "{library:?} of\n{text}");
        }
    }

    #[test]
    fn a_match_is_malicious_and_none_is_benign() {
        check(&[("", "", "one"), ("", "", "two")], "one", &finding(true, None, None));
        check(&[("", "", "one"), ("", "", "two")], "other", &finding(false, None, None));
    }

    #[test]
    fn metadata_states_confidence_and_family() {
        for (metadata, confidence, family) in [
            ("confidence = 80", Some(0.8), None),
            ("confidence = 1", Some(1.0), None),
            ("confidence = \"0.75\"", Some(0.75), None),
            ("confidence = \" 75 \"", Some(0.75), None),
            ("confidence = 10", Some(0.5), None),
            ("confidence = \"high\"", None, None),
            ("confidence = \"NaN\"", None, None),
            ("confidence = -5", None, None),
            ("confidence = 101", None, None),
            ("confidence = true", None, None),
            ("score = 75", Some(0.75), None),
            ("score = 1", Some(0.5), None),
            ("score = 60 confidence = 90", Some(0.9), None),
            ("score = 60 confidence = \"?\"", Some(0.6), None),
            ("malware = \"C\" malware_family = \"B\" family = \"A\"", None, Some("A")),
            ("malware = \"C\" malware_family = \"B\"", None, Some("B")),
            ("malware = \"C\"", None, Some("C")),
            ("family = 7", None, None),
            ("family = \"\\x1b[31m\"", None, Some("\u{1b}[31m")),
        ] {
            check(&[("", metadata, "one")], "one", &finding(true, confidence, family));
        }
    }

    #[test]
    fn a_rule_can_call_benign_and_the_malicious_ones_have_precedence() {
        for (tags, metadata) in [("", "verdict = \"benign\""), (": benign", ""), (": Goodware x", "")] {
            let benign = (tags, metadata, "one");
            check(&[benign], "one", &finding(false, None, None));
            check(&[benign, ("", "confidence = 70", "two")], "one two", &finding(true, Some(0.7), None));
        }
        check(&[("", "verdict = \"benign\" confidence = 90 family = \"F\"", "one")], "one", &finding(false, Some(0.9), None));
        check(&[(": benign", "verdict = \"malicious\"", "one")], "one", &finding(true, None, None));
        check(&[("", "verdict = \"who knows\"", "one")], "one", &finding(true, None, None));
    }

    #[test]
    fn the_strongest_rule_speaks() {
        let weak = ("", "confidence = 60 family = \"weak\"", "one");
        let strong = ("", "confidence = 90 family = \"strong\"", "one");
        let nameless = ("", "confidence = 95", "one");
        let sure = ("", "family = \"sure\"", "one");
        check(&[weak, strong], "one", &finding(true, Some(0.9), Some("strong")));
        check(&[strong, weak, nameless], "one", &finding(true, Some(0.95), Some("strong")));
        check(&[strong, sure, weak], "one", &finding(true, None, Some("sure")));
        check(&[("", "family = \"first\"", "one"), sure], "one", &finding(true, None, Some("first")));
    }

    #[test]
    fn private_and_global_rules_say_nothing_by_themselves() {
        let text = "private rule p { strings: $a = \"one\" condition: $a }
            global rule g { condition: filesize > 2 }
            rule r { strings: $a = \"two\" condition: p and $a }";
        for library in LIBRARIES {
            let yara = of_text(*library, text);
            for (content, malicious) in [("one", false), ("one two", true), ("two", false), ("", false)] {
                assert_eq!(scan(&yara, content.as_bytes(), LONG), Ok(finding(malicious, None, None)), "{library:?}: {content}");
            }
        }
    }

    #[test]
    fn files_are_namespaces_and_a_folder_is_read_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let rule = |text: &str| format!("rule same {{ meta: family = \"{text}\" strings: $a = \"{text}\" condition: $a }}");
        fs::create_dir_all(folder.path().join("rules/below/deeper")).unwrap();
        fs::create_dir_all(folder.path().join("rules/.git")).unwrap();
        fs::create_dir_all(folder.path().join("outside")).unwrap();
        for (file, text) in [
            ("rules/a.yar", "one"),
            ("rules/below/b.yara", "two"),
            ("rules/below/deeper/c.yar", "three"),
            ("rules/notes.txt", "four"),
            ("rules/.git/d.yar", "five"),
            ("outside/e.yar", "six"),
            ("single", "seven"),
            ("rules/below/target", "eight"),
        ] {
            fs::write(folder.path().join(file), rule(text)).unwrap();
        }
        fs::write(folder.path().join("rules/global.yar"), "global rule never { condition: false } rule x { condition: true }").unwrap();
        symlink("../outside/e.yar", folder.path().join("rules/e.yar")).unwrap();
        symlink("../outside", folder.path().join("rules/all")).unwrap();
        symlink("..", folder.path().join("rules/below/loop")).unwrap();
        symlink("below/target", folder.path().join("rules/within.yar")).unwrap();
        symlink("/nowhere", folder.path().join("rules/dangling.yar")).unwrap();
        symlink("rules", folder.path().join("by-link")).unwrap();
        for library in LIBRARIES {
            for rules in ["rules", "by-link"] {
                let yara = open(folder.path(), *library, &[rules, "single"]).unwrap();
                for (text, read) in [
                    ("one", true),
                    ("two", true),
                    ("three", true),
                    ("four", false),
                    ("five", false),
                    ("six", false),
                    ("seven", true),
                    ("eight", true),
                ] {
                    let expected = finding(read, None, read.then_some(text));
                    assert_eq!(scan(&yara, text.as_bytes(), LONG), Ok(expected), "{library:?}: {text}");
                }
            }
        }
    }

    #[test]
    fn a_fingerprint_is_of_names_and_rules_and_library_wherever_they_are() {
        let of = |library: YaraLibrary, files: &[(&str, &str)]| {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("rules")).unwrap();
            for (name, text) in files {
                fs::write(folder.path().join("rules").join(name), text).unwrap();
            }
            open(folder.path(), library, &["rules"]).unwrap().fingerprint
        };
        let boreal = |files: &[(&str, &str)]| of(YaraLibrary::Boreal, files);
        // Not compiled for it: these are no rules at all.
        let first = boreal(&[("a.yar", "one"), ("b.yar", "two")]);
        assert!(first.starts_with("yara:1:boreal-1."), "{first}");
        assert_eq!(first, boreal(&[("b.yar", "two"), ("a.yar", "one")]));
        assert_ne!(first, boreal(&[("a.yar", "one"), ("b.yar", "2")]));
        assert_ne!(first, boreal(&[("a.yar", "one"), ("c.yar", "two")]));
        assert_ne!(boreal(&[("a.yar", "")]), boreal(&[("a.yar", ""), ("b.yar", "")]));
        if let [_, other] = LIBRARIES {
            assert_ne!(first, of(*other, &[("a.yar", "one"), ("b.yar", "two")]));
        }
    }

    #[test]
    fn the_versions_are_those_of_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock");
        for (name, version) in [("boreal", BOREAL_VERSION), ("yara-x", YARA_X_VERSION)] {
            assert!(
                lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n")),
                "{name} is another version now: change it here"
            );
        }
    }

    #[test]
    fn what_does_not_compile_is_said_before_the_first_scan() {
        for library in LIBRARIES {
            for (text, line, remedy) in [
                ("rule a { condition: true }\n\nrule b {\n condition: nothing }\n", 4, REMEDY_RULE),
                ("rule a {\n", 2, REMEDY_RULE),
                ("\nimport \"vt\"\n", 2, REMEDY_RULE),
                ("rule a { condition: true }\ninclude \"/etc/passwd\"\n", 2, REMEDY_INCLUDE),
                ("\n\nrule \x1b { condition: true }", 3, REMEDY_RULE),
                ("rule a {\n strings:\n $a = /a(/\n condition: $a }", 3, REMEDY_RULE),
            ] {
                let yara = of_text(*library, text);
                let error = yara.prepare().unwrap_err().to_string();
                assert!(error.contains(&format!("some.yar, line {line}: ")) && error.ends_with(remedy), "{library:?}: {error}");
                assert!(!error.contains(['\x1b', '\n']), "{library:?}: {error}");
                let failure = scan(&yara, b"", LONG).unwrap_err();
                assert!(failure.kind == FailureKind::Unavailable && failure.detail.contains(&format!("line {line}: ")), "{failure}");
                assert_eq!(yara.prepare().unwrap_err().to_string(), error, "as often as it is asked");
            }
            assert!(of_text(*library, "rule a { condition: true }").prepare().is_ok());
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_when_opened() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("empty")).unwrap();
        fs::write(folder.path().join("latin.yar"), b"// one\n// M\xE4rz\n").unwrap();
        let mut deep = folder.path().join("deep");
        (0..20).for_each(|_| deep.push("x"));
        fs::create_dir_all(&deep).unwrap();
        for (rules, problem) in [
            ("none.yar", "name files of YARA rules, or folders"),
            ("empty", "empty holds no rules"),
            ("latin.yar", "latin.yar, line 2: not UTF-8"),
            ("deep", "more than 16 folders deep"),
            ("/dev/null", "/dev/null is neither a file nor a folder"),
        ] {
            let error = open(folder.path(), YaraLibrary::Boreal, &[rules]).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        assert!(open(folder.path(), YaraLibrary::Boreal, &[]).unwrap_err().to_string().contains("`rules` names no file"));
        #[cfg(not(feature = "yara-x"))]
        assert!(matches!(open(folder.path(), YaraLibrary::YaraX, &["none"]), Err(BackendError::NotBuilt { feature: "yara-x", .. })));
    }

    /// A rule that is never done.
    const ENDLESS: &str = "rule endless { condition: for all i in (0..filesize) : ( for all j in (0..filesize) : \
        ( for all k in (0..filesize) : ( i * j + k >= 0 ) ) ) }";

    #[test]
    fn rules_without_end_run_out_of_time() {
        for library in LIBRARIES {
            let yara = of_text(*library, ENDLESS);
            assert_eq!(scan(&yara, &[0; 1 << 20], Duration::from_millis(100)).unwrap_err().kind, FailureKind::TimedOut, "{library:?}");
            assert_eq!(scan(&yara, b"", Duration::ZERO).unwrap_err().kind, FailureKind::TimedOut, "{library:?}, without any time");
        }
    }

    #[test]
    fn a_match_before_time_is_up_stands() {
        let text = format!("rule first {{ strings: $a = \"here\" condition: $a }}\n{ENDLESS}");
        let mut content = vec![0; 1 << 20];
        content.extend(b"here");
        let found = scan(&of_text(YaraLibrary::Boreal, &text), &content, Duration::from_millis(1000));
        assert_eq!(found, Ok(finding(true, None, None)));
        // A benign one does not: another rule might have called it malicious.
        let benign = text.replace("rule first", "rule first : benign");
        let kind = scan(&of_text(YaraLibrary::Boreal, &benign), &content, Duration::from_millis(1000)).unwrap_err().kind;
        assert_eq!(kind, FailureKind::TimedOut);
    }

    #[test]
    fn rules_that_match_everywhere_come_to_an_end() {
        let contents = [vec![b'a'; 256 << 10], b"ab".repeat(128 << 10), vec![0; 256 << 10]];
        for pattern in [
            "\"a\"",
            "{ 61 }",
            "{ 61 [0-1000] 62 [0-1000] 63 }",
            "/a.{0,1000}b.{0,1000}c/s",
            "/(a|ab|b){1,500}c/",
            "/(a+b+)+c/",
            "/a.*c/s",
            "/.+c/s",
            "/[ab]{1000}/",
            "/a*/",
        ] {
            let text = format!("rule r {{ strings: $a = {pattern} condition: #a > 500 }}");
            for library in LIBRARIES {
                let yara = of_text(*library, &text);
                for content in &contents {
                    // Refused, out of time, or an answer: but an end.
                    let end = scan(&yara, content, Duration::from_millis(100)).map_err(|failure| failure.kind);
                    assert!(matches!(end, Ok(_) | Err(FailureKind::TimedOut | FailureKind::Unavailable)), "{library:?} {pattern}: {end:?}");
                }
            }
        }
        for library in LIBRARIES {
            let yara = of_text(*library, "rule r { strings: $a = \"a\" condition: #a > 900 }");
            assert_eq!(scan(&yara, &contents[0], LONG), Ok(finding(true, None, None)), "{library:?}");
            let yara = of_text(*library, "rule r { strings: $a = \"a\" condition: #a > 1000 }");
            assert_eq!(scan(&yara, &contents[0], LONG), Ok(finding(false, None, None)), "{library:?}: more are not counted");
        }
    }

    #[test]
    fn a_regular_expression_of_any_size_is_no_end_of_memory() {
        let text = "rule r { strings: $a = /((a{1,1000}b){1,1000}c){1,1000}/ condition: $a }";
        let error = of_text(YaraLibrary::Boreal, text).prepare().unwrap_err().to_string();
        assert!(error.contains("line 1: ") && error.ends_with(REMEDY_RULE), "{error}");
        // YARA-X takes it.
        if let [_, other] = LIBRARIES {
            assert_eq!(scan(&of_text(*other, text), b"abababc", LONG), Ok(finding(true, None, None)));
        }
    }
}
