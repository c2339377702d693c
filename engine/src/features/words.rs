//! Words that tell something, found in one pass, whatever their case and whether in UTF-8 or UTF-16.
//!
//! A word is a fact about a file, not a verdict: every administrator's script starts programs. What it weighs depends on the
//! type of the file and on the rest.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};

use super::{Feature, Features, kind::Kind};

/// Where a word counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Any,
    Text,
    Document,
    Pdf,
    Archive,
    /// Decides what kind of script a text is.
    Script(Kind),
}

/// What is looked for, in lower case.
const WORDS: &[(In, Feature, &[&str])] = &[
    (In::Any, Feature::Urls, &["http://", "https://", "ftp://"]),
    (
        In::Any,
        Feature::CommandWords,
        &[
            "cmd.exe",
            "cmd /c",
            "powershell",
            "wscript",
            "cscript",
            "mshta",
            "rundll32",
            "regsvr32",
            "certutil",
            "bitsadmin",
            "wmic ",
            "/bin/sh",
            "/bin/bash",
            "schtasks",
            "taskkill",
            "netsh ",
        ],
    ),
    (
        In::Any,
        Feature::PersistenceWords,
        &[
            "\\currentversion\\run",
            "\\start menu\\programs\\startup",
            "schtasks /create",
            "/etc/cron",
            "crontab -",
            "/etc/rc.local",
            "launchagents",
            "launchdaemons",
            ".bashrc",
            "authorized_keys",
            "image file execution options",
            "\\winlogon",
        ],
    ),
    (
        In::Any,
        Feature::RansomWords,
        &[
            "vssadmin",
            "shadowcopy",
            "wbadmin",
            "bcdedit",
            "your files have been",
            "files are encrypted",
            "decrypt your",
            ".onion",
            "to decrypt",
            "ransom",
            "bitcoin",
        ],
    ),
    (
        In::Any,
        Feature::StealerWords,
        &[
            "login data",
            "logins.json",
            "wallet.dat",
            "\\cookies",
            "key3.db",
            "key4.db",
            "web data",
            "moz_logins",
            "discord\\local storage",
            "filezilla",
        ],
    ),
    (
        In::Any,
        Feature::EvasionWords,
        &[
            "vmware",
            "virtualbox",
            "vboxservice",
            "sbiedll",
            "ollydbg",
            "wireshark",
            "procmon",
            "x64dbg",
            "sandbox",
            "qemu",
            "amsiscanbuffer",
            "set-mppreference",
        ],
    ),
    (In::Any, Feature::DosStubs, &["program cannot be run in dos mode", "program must be run under win32"]),
    (
        In::Any,
        Feature::PackerWords,
        &[
            "upx!",
            "upx0",
            "upx1",
            ".aspack",
            ".adata",
            "mpress",
            ".themida",
            ".vmp0",
            ".vmp1",
            "pecompact",
            ".petite",
            "confuserex",
            ".enigma",
            "this file is packed with",
        ],
    ),
    (
        In::Text,
        Feature::ScriptEval,
        &[
            "eval(",
            "eval (",
            "execute(",
            "executeglobal",
            "invoke-expression",
            "iex ",
            "iex(",
            "|iex",
            "assert(",
            "create_function(",
            "new function(",
            "exec(",
            "preg_replace(",
        ],
    ),
    (
        In::Text,
        Feature::ScriptDecode,
        &[
            "base64_decode",
            "frombase64string",
            "atob(",
            "unescape(",
            "fromcharcode",
            "gzinflate",
            "gzuncompress",
            "str_rot13",
            "chr(",
            "strreverse",
            "b64decode",
            "base64 -d",
            "base64 --decode",
            "decodeuricomponent",
            "xxd -r",
            "-bxor",
            "zlib.decompress",
            "hex2bin",
            "-join",
        ],
    ),
    (
        In::Text,
        Feature::ScriptRun,
        &[
            "wscript.shell",
            "shell.application",
            "shell_exec",
            "passthru(",
            "system(",
            "popen(",
            "proc_open",
            "start-process",
            "subprocess",
            "createobject",
            "activexobject",
            ".run(",
            "winmgmts",
            "os.system",
            "chmod +x",
            "chmod 777",
            "virtualalloc",
        ],
    ),
    (
        In::Text,
        Feature::ScriptDownload,
        &[
            "downloadstring",
            "downloadfile",
            "invoke-webrequest",
            "net.webclient",
            "xmlhttp",
            "wget ",
            "curl ",
            "urlretrieve",
            "urlopen",
            "bitstransfer",
            "adodb.stream",
            "fsockopen",
            "/dev/tcp/",
            "savetofile",
        ],
    ),
    (
        In::Text,
        Feature::ScriptHidden,
        &[
            "-windowstyle hidden",
            "-w hidden",
            "-nop",
            "-noprofile",
            "executionpolicy bypass",
            "-ep bypass",
            "-encodedcommand",
            "-enc ",
            "error_reporting(0)",
            "@ini_set",
            "history -c",
        ],
    ),
    (In::Text, Feature::ScriptInput, &["$_post", "$_get", "$_request", "$_cookie", "$_files", "php://input"]),
    (
        In::Text,
        Feature::ScriptEvalOfDecoded,
        &[
            "eval(base64_decode",
            "eval(gzinflate",
            "eval(str_rot13",
            "eval(atob",
            "eval(unescape",
            "eval(string.fromcharcode",
            "eval(function(p,a,c,k",
            "eval($_",
            "assert($_",
            "system($_",
            "exec($_",
            "exec(base64",
            "exec(zlib",
            "exec(__import__",
            "| base64 -d | sh",
            "|base64 -d|sh",
            "|base64 -d|bash",
            "| base64 -d | bash",
            "eval(gzuncompress",
            "iex (new-object",
            "iex(new-object",
            "iex ((new-object",
            "net.webclient).downloadstring",
            "execute(chr",
            "executeglobal(",
        ],
    ),
    (In::Text, Feature::ScriptEscapes, &["\\x", "\\u00", "%u", "&#", "chrw("]),
    (In::Text, Feature::ScriptJoins, &["\"+\"", "'+'", "\" + \"", "' + '", "\"&\"", "\" & \"", "'.'", "\".\"", "^"]),
    (In::Document, Feature::MacroMarks, &["vbaproject", "_vba_project", "attribut", "xl4macro", "excel 4.0", "macrosheets"]),
    (
        In::Document,
        Feature::MacroAutoOpen,
        &["autoopen", "auto_open", "document_open", "workbook_open", "autoexec", "autoclose", "document_close"],
    ),
    (
        In::Document,
        Feature::DocumentObjects,
        &["\\objdata", "\\objupdate", "attachedtemplate", "oleobject", "ddeauto", "equation.3", "embeddings/", "\\objclass"],
    ),
    (In::Pdf, Feature::PdfScript, &["/javascript", "/js ", "/js(", "/js<"]),
    (In::Pdf, Feature::PdfOpen, &["/openaction", "/aa ", "/aa<"]),
    (In::Pdf, Feature::PdfLaunch, &["/launch", "/gotoe", "/submitform"]),
    (In::Pdf, Feature::PdfEmbedded, &["/embeddedfile", "/xfa", "/richmedia", "/objstm"]),
    (In::Archive, Feature::ArchiveNames, &[".exe", ".scr", ".js", ".vbs", ".jse", ".wsf", ".hta", ".lnk", ".bat", ".ps1", ".pif", ".dll"]),
    (
        In::Archive,
        Feature::ArchiveDoubleNames,
        &[
            ".pdf.exe",
            ".doc.exe",
            ".docx.exe",
            ".jpg.exe",
            ".txt.exe",
            ".pdf.js",
            ".doc.js",
            ".pdf.scr",
            ".pdf.lnk",
            ".pdf.vbs",
            ".xls.exe",
            ".png.exe",
        ],
    ),
    (In::Script(Kind::Php), Feature::IsPhp, &["<?php", "<?="]),
    (In::Script(Kind::Html), Feature::IsHtml, &["<!doctype html", "<html", "<head", "<body", "<script"]),
    (
        In::Script(Kind::PowerShell),
        Feature::IsPowerShell,
        &[
            "write-host",
            "write-output",
            "new-object",
            "invoke-",
            "get-childitem",
            "param(",
            "[system.",
            "$env:",
            "-erroraction",
            "[convert]::",
            "powershell -",
        ],
    ),
    (
        In::Script(Kind::VbScript),
        Feature::IsVbScript,
        &["\ndim ", "createobject(", "wscript.", "end sub", "end function", "\nset ", "on error resume next", "msgbox"],
    ),
    (
        In::Script(Kind::JavaScript),
        Feature::IsJavaScript,
        &[
            "function(",
            "function (",
            "\nvar ",
            "var _",
            "document.",
            "window.",
            "=> {",
            "===",
            "require(",
            "eval(",
            "new activexobject",
            "\nconst ",
            "\nlet ",
        ],
    ),
    (In::Script(Kind::Batch), Feature::IsBatch, &["@echo off", "%~dp0", "\nset ", "errorlevel", "goto ", "%~1", "setlocal"]),
    (
        In::Script(Kind::Shell),
        Feature::IsShell,
        &["#!/bin/sh", "#!/bin/bash", "#!/usr/bin/env bash", "#!/bin/dash", "\nfi\n", "; then", "\ndone", "chmod "],
    ),
    (
        In::Script(Kind::Python),
        Feature::IsPython,
        &["#!/usr/bin/env python", "#!/usr/bin/python", "\nimport ", "\ndef ", "\nfrom ", "__name__", "self."],
    ),
];

/// The words' own machine, and which of [`WORDS`] each of its patterns is of.
static MACHINE: LazyLock<(AhoCorasick, Vec<usize>)> = LazyLock::new(|| {
    let patterns = || WORDS.iter().enumerate().flat_map(|(group, (.., words))| words.iter().map(move |word| (group, *word)));
    let machine = AhoCorasickBuilder::new().ascii_case_insensitive(true).build(patterns().map(|(_, word)| word));
    (machine.expect("a few hundred short words fit"), patterns().map(|(group, _)| group).collect())
});

/// Counts the words of `content`, and says which kind of script it is, if it is text.
pub(super) fn fill(features: &mut Features, content: &[u8], kind: Kind) -> Kind {
    // Without zeros, UTF-16 of plain letters is the plain letters.
    let text: Vec<u8> = content.iter().copied().filter(|byte| *byte != 0).collect();
    let (machine, groups) = &*MACHINE;
    let mut counts = vec![0_usize; WORDS.len()];
    for found in machine.find_overlapping_iter(&text) {
        counts[groups[found.pattern().as_usize()]] += 1;
    }
    let kind = if kind == Kind::Text { script(&text, &counts) } else { kind };
    for ((place, feature, _), count) in WORDS.iter().zip(counts) {
        let counts_here = match place {
            In::Any => true,
            In::Text => kind.is_text() || kind == Kind::Shortcut,
            In::Document => matches!(kind, Kind::Ole | Kind::Rtf | Kind::Archive),
            In::Pdf => kind == Kind::Pdf,
            In::Archive => kind == Kind::Archive,
            In::Script(_) => false,
        };
        if counts_here {
            match feature {
                Feature::ScriptEscapes | Feature::ScriptJoins => {
                    features.set(*feature, libm::log1p(count as f64 * 1024.0 / text.len().max(1) as f64));
                }
                _ => features.count(*feature, count),
            }
        }
    }
    let locked = kind == Kind::Archive && content.starts_with(b"PK\x03\x04") && content.get(6).is_some_and(|flags| flags & 1 != 0);
    features.flag(Feature::ArchiveLocked, locked);
    kind
}

/// Which script a text is: what it begins with decides, else the kind with most of its words, if there are two.
fn script(text: &[u8], counts: &[usize]) -> Kind {
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if first.starts_with(b"#!") {
        let names = |name: &[u8]| first.windows(name.len()).any(|window| window == name);
        return match () {
            () if names(b"python") => Kind::Python,
            () if names(b"node") => Kind::JavaScript,
            () if names(b"php") => Kind::Php,
            () if names(b"pwsh") => Kind::PowerShell,
            () => Kind::Shell,
        };
    }
    let mut best = (1, Kind::Text);
    for ((place, ..), count) in WORDS.iter().zip(counts) {
        match place {
            // The tag is proof enough: without it, PHP is plain text.
            In::Script(Kind::Php) if *count > 0 => return Kind::Php,
            In::Script(kind) if *count > best.0 => best = (*count, *kind),
            _ => {}
        }
    }
    // A single line of JavaScript or PowerShell has few words.
    if best.1 == Kind::Text && text.starts_with(b"eval(") { Kind::JavaScript } else { best.1 }
}
