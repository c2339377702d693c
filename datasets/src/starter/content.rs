//! What is in the files of the starter corpus.
//!
//! The test strings stand here in halves: this source must not trip a scanner by itself.

use super::MARKER;
use super::bytes::{base64, gif, png, zip};
use super::stream::Stream;

/// Words that files are named with, malicious or not.
pub(crate) const NAMES: [&str; 16] = [
    "agenda", "backup", "draft", "export", "index", "invoice", "letter", "list", "memo", "notes", "order", "plan", "report", "sample",
    "setup", "summary",
];

const WORDS: [&str; 40] = [
    "river", "table", "window", "garden", "market", "paper", "winter", "letter", "harbour", "bridge", "morning", "engine", "copper",
    "violet", "number", "meadow", "signal", "pencil", "lantern", "orchard", "quarter", "ribbon", "saddle", "thunder", "valley", "wagon",
    "yellow", "basket", "candle", "distance", "evening", "feather", "granite", "hollow", "island", "journey", "kettle", "ladder", "mirror",
    "needle",
];

const EICAR: [&str; 2] = ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STAND", "ARD-ANTIVIRUS-TEST-FILE!$H+H*"];
const GTUBE: [&str; 2] = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-", "ANTI-UBE-TEST-EMAIL*C.34X"];

const EICAR_FAMILY: &str = "EICAR-Test-File";
const GTUBE_FAMILY: &str = "GTUBE";

/// One file of the corpus; a family makes it malicious.
pub(crate) struct StarterFile {
    pub(crate) file_type: &'static str,
    pub(crate) family: Option<&'static str>,
    pub(crate) bytes: Vec<u8>,
}

/// All files, malicious ones first.
pub(crate) fn files(stream: &mut Stream) -> Vec<StarterFile> {
    let mut files = eicar(stream);
    for _ in 0..4 {
        let bytes = mail(stream, &GTUBE.concat()).into_bytes();
        files.push(StarterFile { file_type: "eml", family: Some(GTUBE_FAMILY), bytes });
    }
    dummies(stream, &mut files);
    harmless(stream, &mut files);
    files
}

fn eicar(stream: &mut Stream) -> Vec<StarterFile> {
    let eicar = EICAR.concat();
    let note = format!("{}\n", sentence(stream));
    let attached = format!("Attached, as announced:\n\n{}", base64(eicar.as_bytes()));
    let files = [
        ("txt", eicar.clone().into_bytes()),
        ("txt", format!("{eicar}\n").into_bytes()),
        ("txt", format!("{eicar}\r\n").into_bytes()),
        ("txt", format!("{eicar}{}", " ".repeat(60)).into_bytes()),
        ("txt", format!("{eicar}\t\t \r\n\x1a").into_bytes()),
        ("txt", format!("{}\n", base64(eicar.as_bytes())).into_bytes()),
        ("zip", zip(&[("eicar.com", eicar.as_bytes())])),
        ("zip", zip(&[("readme.txt", note.as_bytes()), ("data/eicar.txt", eicar.as_bytes())])),
        ("eml", mail(stream, &attached).into_bytes()),
    ];
    let files = files.into_iter();
    files.map(|(file_type, bytes)| StarterFile { file_type, family: Some(EICAR_FAMILY), bytes }).collect()
}

/// Text with the marker of its family, in four encodings of rising difficulty.
fn dummies(stream: &mut Stream, files: &mut Vec<StarterFile>) {
    type Encode = fn(&str) -> String;
    let encodings: [(&str, Encode, &[&str]); 4] = [
        ("Dummy.Plain", |marker| marker.to_owned(), &["txt", "html", "py", "json"]),
        ("Dummy.Hex", |marker| hex::encode(marker), &["txt", "sh", "csv", "html"]),
        ("Dummy.Base64", |marker| base64(marker.as_bytes()), &["txt", "py", "json", "eml"]),
        ("Dummy.Reversed", |marker| marker.chars().rev().collect(), &["txt", "sh", "html"]),
    ];
    for (family, encode, file_types) in encodings {
        let marker = encode(&format!("{MARKER}{family}"));
        for file_type in file_types {
            let bytes = text(stream, file_type, &marker).into_bytes();
            files.push(StarterFile { file_type, family: Some(family), bytes });
        }
    }
}

/// Harmless files; some of them only talk about the test strings, as a naive engine should learn.
fn harmless(stream: &mut Stream, files: &mut Vec<StarterFile>) {
    let mut add = |file_type, bytes| files.push(StarterFile { file_type, family: None, bytes });
    let talk = [
        ("txt", "The EICAR test file is sixty-eight characters long and does nothing."),
        ("eml", "Please send the GTUBE line through the new mail filter and tell me what it says."),
        ("html", "No marker here, although this page mentions the word marker."),
    ];
    for (file_type, phrase) in talk {
        add(file_type, text(stream, file_type, phrase).into_bytes());
    }
    let plain = [("txt", 3), ("json", 4), ("csv", 4), ("html", 3), ("sh", 3), ("py", 3), ("eml", 2)];
    for (file_type, count) in plain {
        for _ in 0..count {
            let phrase = sentence(stream);
            add(file_type, text(stream, file_type, &phrase).into_bytes());
        }
    }
    // Encoded text is not malicious by being encoded.
    let phrase = sentence(stream);
    add("txt", format!("{}\n", base64(phrase.as_bytes())).into_bytes());
    for side in [8, 16] {
        let pixels: Vec<u8> = (0..side * side).map(|_| stream.next() as u8).collect();
        add("png", png(side, &pixels));
        let shades: Vec<u8> = pixels.iter().map(|pixel| pixel & 3).collect();
        add("gif", gif(side as u16, &shades));
    }
    for name in ["readme.txt", "notes/today.txt"] {
        let phrase = sentence(stream);
        add("zip", zip(&[(name, phrase.as_bytes())]));
    }
}

/// A file of the given type around `payload`.
fn text(stream: &mut Stream, file_type: &str, payload: &str) -> String {
    match file_type {
        "html" => {
            let (title, before, after) = (stream.pick(&WORDS), sentence(stream), sentence(stream));
            format!(
                "<!DOCTYPE html>\n<html>\n<head><title>{title}</title></head>\n<body>\n<p>{before}</p>\n\
                 <p>{payload}</p>\n<p>{after}</p>\n</body>\n</html>\n"
            )
        }
        "json" => {
            let (name, count) = (stream.pick(&WORDS), stream.between(1, 9_999));
            format!("{{\n  \"name\": \"{name}\",\n  \"count\": {count},\n  \"note\": \"{payload}\"\n}}\n")
        }
        "csv" => {
            let mut table = String::from("id,item,amount,note\n");
            for id in 1..=6 {
                let (item, amount) = (stream.pick(&WORDS), stream.between(1, 500));
                let note = if id == 4 { payload } else { "" };
                table.push_str(&format!("{id},{item},{amount},\"{note}\"\n"));
            }
            table
        }
        "sh" => {
            let (name, value) = (stream.pick(&WORDS), sentence(stream));
            format!("#!/bin/sh\n# {value}\n{name}='{payload}'\nprintf '%s\\n' \"${name}\"\n")
        }
        "py" => {
            let (name, value, times) = (stream.pick(&WORDS), sentence(stream), stream.between(2, 9));
            format!(
                "\"\"\"{value}\"\"\"\n\n{name} = \"{payload}\"\n\nfor number in range({times}):\n    \
                 print(number, len({name}))\n"
            )
        }
        "eml" => mail(stream, payload),
        _ => {
            let (before, after) = (sentence(stream), sentence(stream));
            format!("{before}\n{payload}\n{after}\n")
        }
    }
}

fn mail(stream: &mut Stream, body: &str) -> String {
    let (sender, receiver, subject) = (stream.pick(&WORDS), stream.pick(&WORDS), stream.pick(&WORDS));
    let (day, greeting) = (stream.between(1, 28), sentence(stream));
    format!(
        "From: {sender}@example.org\r\nTo: {receiver}@example.com\r\nSubject: {subject}\r\n\
         Date: {day} Feb 2024 09:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n\
         {greeting}\r\n\r\n{}\r\n",
        body.replace('\n', "\r\n")
    )
}

fn sentence(stream: &mut Stream) -> String {
    let length = stream.between(6, 14);
    let words: Vec<&str> = (0..length).map(|_| stream.pick(&WORDS)).collect();
    format!("The {}.", words.join(" "))
}
