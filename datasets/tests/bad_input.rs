//! Everything that can be wrong with a corpus, and the one sentence that says so.
//!
//! Each test breaks one thing in a corpus that is otherwise fine; the folder is shown as `C`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use datasets::{CheckOptions, Corpus, CorpusError, MAX_RECORD_BYTES};
use expect_test::{Expect, expect};
use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

const MANIFEST: &str = r#"schema = 1
name = "tiny"
title = "A tiny corpus"
table = "artifacts.csv"
[[engine]]
name = "ClamAV"
verdict = "clamav"
confidence = "clamav_conf"
"#;

const HEADER: &str = "sha256,label,path,file_type,size,family,first_seen,clamav,clamav_conf";

/// SHA-256 of `hello\n`.
const HELLO: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

/// A corpus folder with one artifact file, `files/a.txt`.
struct Broken {
    temp: TempDir,
}

impl Broken {
    fn new(manifest: &str, table: &[u8]) -> Broken {
        let broken = Broken { temp: tempfile::tempdir().unwrap() };
        fs::create_dir_all(broken.at("files")).unwrap();
        fs::write(broken.at("files/a.txt"), "hello\n").unwrap();
        fs::write(broken.at("manifest.toml"), manifest).unwrap();
        fs::write(broken.at("artifacts.csv"), table).unwrap();
        broken
    }

    /// One good row, then `row`.
    fn row(row: &str) -> Broken {
        let good = format!("{HELLO},benign,files/a.txt,txt,6,,2024-01-02,0,0.5");
        Broken::new(MANIFEST, format!("{HEADER}\n{good}\n{row}\n").as_bytes())
    }

    fn header(header: &str) -> Broken {
        Broken::new(MANIFEST, format!("{header}\n").as_bytes())
    }

    fn root(&self) -> PathBuf {
        self.temp.path().join("C")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    fn error_of(&self, path: &Path) -> CorpusError {
        let checked = Corpus::open(path).and_then(|corpus| corpus.check(CheckOptions { files: true }, &mut |_| {}));
        checked.expect_err("the corpus is broken")
    }

    fn says(&self, expected: Expect) {
        self.says_at(&self.root(), expected);
    }

    fn says_at(&self, path: &Path, expected: Expect) {
        let sentence = self.error_of(path).to_string();
        assert!(!sentence.ends_with('.') && !sentence.contains('\n'), "{sentence}");
        expected.assert_eq(&sentence.replace(&*self.root().to_string_lossy(), "C"));
    }
}

fn row(cells: &[(&str, &str)]) -> Broken {
    let cell = |name: &str| {
        let given = cells.iter().find(|(column, _)| *column == name).map(|(_, value)| *value);
        given.unwrap_or(match name {
            "sha256" => "0000000000000000000000000000000000000000000000000000000000000001",
            "label" => "malicious",
            _ => "",
        })
    };
    Broken::row(&HEADER.split(',').map(cell).collect::<Vec<_>>().join(","))
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_good_corpus_is_good() {
    let good = row(&[("label", "malicious"), ("clamav", "1")]);
    let corpus = Corpus::open(&good.root()).unwrap();
    let summary = corpus.check(CheckOptions { files: true }, &mut |_| {}).unwrap();
    assert_eq!((summary.rows, summary.malicious, summary.benign, summary.files), (2, 1, 1, 1));
}

// What was opened.

#[test]
fn a_missing_corpus_is_named() {
    let broken = row(&[]);
    broken.says_at(
        &broken.at("nowhere"),
        expect![["C/nowhere: there is no corpus here; give a corpus folder, or a verdict matrix (.csv or .csv.gz)"]],
    );
    broken.says_at(
        &broken.at("artifacts.csv/nowhere"),
        expect![["C/artifacts.csv/nowhere: there is no corpus here; give a corpus folder, or a verdict matrix (.csv or .csv.gz)"]],
    );
}

#[test]
fn a_folder_without_a_manifest_is_named() {
    let broken = row(&[]);
    fs::remove_file(broken.at("manifest.toml")).unwrap();
    broken.says(expect![["C: this folder has no `manifest.toml`; add one with `schema`, `name`, `title` and `table`"]]);
}

#[test]
fn a_folder_in_place_of_the_manifest_is_named() {
    let broken = row(&[]);
    fs::remove_file(broken.at("manifest.toml")).unwrap();
    fs::create_dir(broken.at("manifest.toml")).unwrap();
    broken.says(expect![["C/manifest.toml: this is a folder, where a file is expected; name a regular file"]]);
}

#[test]
fn a_file_that_is_no_corpus_is_quoted() {
    let broken = row(&[]);
    broken.says_at(&broken.at("artifacts.csv"), expect![["C/artifacts.csv: this file is no corpus: it starts with `sha256,label,path,file_type,size,family,first_seen,clamav,cl…`; give a folder with a `manifest.toml`, or a verdict matrix (.csv or .csv.gz) whose header starts `sha256,md5,label,label_source`"]]);
    broken.says_at(&broken.at("files/a.txt"), expect![["C/files/a.txt: this file is no corpus: it starts with `hello`; give a folder with a `manifest.toml`, or a verdict matrix (.csv or .csv.gz) whose header starts `sha256,md5,label,label_source`"]]);
}

#[test]
fn a_matrix_without_total_is_named() {
    let broken = row(&[]);
    fs::write(broken.at("m.csv"), "sha256,md5,label,label_source,family,totl,ClamAV\n").unwrap();
    broken.says_at(&broken.at("m.csv"), expect![["C/m.csv: the header has no column `total` (the nearest is `totl`); add or rename it"]]);
}

#[cfg(target_os = "linux")]
#[test]
fn an_unreadable_file_is_named() {
    // Reading the start of this file fails for root too.
    let broken = row(&[]);
    std::os::unix::fs::symlink("/proc/self/mem", broken.at("m.csv")).unwrap();
    broken.says_at(
        &broken.at("m.csv"),
        expect![["C/m.csv: cannot be read (Input/output error (os error 5)); check its permissions and its disk"]],
    );
}

// The manifest.

#[test]
fn broken_toml_is_named_with_its_line() {
    let broken = Broken::new(&MANIFEST.replace("\"tiny\"", "tiny"), b"");
    broken.says(expect![["C/manifest.toml, line 2: invalid boolean, expected `true`; correct it (datasets/README.md shows every key)"]]);
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_its_line() {
    let broken = Broken::new(&MANIFEST.replace("\"tiny\"", "7"), b"");
    broken.says(expect![[
        "C/manifest.toml, line 2: invalid type: integer `7`, expected a string; correct it (datasets/README.md shows every key)"
    ]]);
}

#[test]
fn a_missing_key_is_named() {
    let broken = Broken::new(&MANIFEST.replace("title = \"A tiny corpus\"\n", ""), b"");
    broken.says(expect![["C/manifest.toml, line 1: missing field `title`; correct it (datasets/README.md shows every key)"]]);
}

#[test]
fn an_unknown_key_is_named_with_the_nearest() {
    Broken::new(&MANIFEST.replace("title", "tilte"), b"")
        .says(expect![["C/manifest.toml: unknown key `tilte` (the nearest is `title`); correct or remove it"]]);
    Broken::new(&MANIFEST.replace("confidence", "confidense"), b"")
        .says(expect![["C/manifest.toml: unknown key `engine.confidense` (the nearest is `confidence`); correct or remove it"]]);
    Broken::new(&format!("colour = 1\n{MANIFEST}"), b"").says(expect![["C/manifest.toml: unknown key `colour`; correct or remove it"]]);
}

#[test]
fn an_unsupported_schema_is_named() {
    Broken::new(&MANIFEST.replace("schema = 1", "schema = 2\nnews = true"), b"").says(expect![[
        "C/manifest.toml: `schema` is `2`, and this version reads schema 1; write `schema = 1`, or use a version that reads it"
    ]]);
    Broken::new(&MANIFEST.replace("schema = 1", ""), b"").says(expect![["C/manifest.toml: `schema` is missing; write `schema = 1`"]]);
}

#[test]
fn a_title_of_several_lines_is_refused() {
    Broken::new(&MANIFEST.replace("A tiny corpus", "A\\ntiny corpus"), b"")
        .says(expect![[r#"C/manifest.toml: `title` is `A\ntiny corpus`; write one line of text"#]]);
}

#[test]
fn a_table_outside_the_folder_is_refused() {
    Broken::new(&MANIFEST.replace("artifacts.csv", "../artifacts.csv"), b"")
        .says(expect![["C/manifest.toml: `table` is `../artifacts.csv`, which leaves the corpus folder; name a file inside it"]]);
    Broken::new(&MANIFEST.replace("artifacts.csv", "/etc/passwd.csv"), b"")
        .says(expect![["C/manifest.toml: `table` is `/etc/passwd.csv`, which leaves the corpus folder; name a file inside it"]]);
}

#[cfg(unix)]
#[test]
fn a_table_that_is_a_link_out_of_the_folder_is_refused() {
    let broken = row(&[]);
    let outside = broken.temp.path().join("outside.csv");
    fs::rename(broken.at("artifacts.csv"), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, broken.at("artifacts.csv")).unwrap();
    broken.says(expect![["C/manifest.toml: `table` is `artifacts.csv`, which leads out of the corpus folder; put the table itself there"]]);
}

#[test]
fn a_missing_table_is_named() {
    Broken::new(&MANIFEST.replace("artifacts.csv", "artefacts.csv"), b"").says(expect![[
        "C/manifest.toml: `table` is `artefacts.csv`, which does not exist; name a .csv, .csv.gz or .parquet file of this folder"
    ]]);
}

#[test]
fn a_table_of_another_format_is_named() {
    Broken::new(&MANIFEST.replace("artifacts.csv", "artifacts.json"), b"")
        .says(expect![["C/manifest.toml: `table` is `artifacts.json`; name a .csv, .csv.gz or .parquet file"]]);
}

#[test]
fn a_folder_in_place_of_the_table_is_named() {
    let broken = row(&[]);
    fs::remove_file(broken.at("artifacts.csv")).unwrap();
    fs::create_dir(broken.at("artifacts.csv")).unwrap();
    broken.says(expect![["C/artifacts.csv: this is a folder, where a file is expected; name a regular file"]]);
}

#[test]
fn two_engines_of_one_name_are_refused() {
    let engine = "[[engine]]\nname = \"ClamAV\"\nverdict = \"other\"\n";
    Broken::new(&format!("{MANIFEST}{engine}"), b"")
        .says(expect![["C/manifest.toml: `engine.name` is `ClamAV` twice; give every engine its own name"]]);
}

#[test]
fn an_engine_cannot_read_the_label() {
    Broken::new(&MANIFEST.replace("\"clamav\"", "\"label\""), b"").says(expect![[
        "C/manifest.toml: `engine` `ClamAV` uses the column `label`, which describes the artifact; name a column of verdicts"
    ]]);
    Broken::new(&MANIFEST.replace("\"clamav_conf\"", "\"clamav\""), b"")
        .says(expect![["C/manifest.toml: `engine` `ClamAV` uses the column `clamav`, which is already taken; give every column one use"]]);
}

// The header.

#[test]
fn an_empty_table_is_named() {
    Broken::new(MANIFEST, b"")
        .says(expect![["C/artifacts.csv: the table is empty; its first line must name the columns, `sha256` and `label` among them"]]);
    Broken::new(MANIFEST, b"\n\r\n")
        .says(expect![["C/artifacts.csv: the table is empty; its first line must name the columns, `sha256` and `label` among them"]]);
}

#[test]
fn a_corpus_without_rows_is_named() {
    Broken::header(HEADER).says(expect![["C/artifacts.csv: the corpus has no rows; add at least one artifact below the header"]]);
}

#[test]
fn a_missing_column_is_named() {
    Broken::header("sha256,path,clamav,clamav_conf").says(expect![["C/artifacts.csv: the header has no column `label`; add or rename it"]]);
    Broken::header("sha256,label,clamav").says(expect![["C/artifacts.csv: the header has no column `clamav_conf`; add or rename it"]]);
}

#[test]
fn an_unknown_column_is_named_with_the_nearest() {
    Broken::header(&HEADER.replace("first_seen", "fisrt_seen")).says(expect![["C/artifacts.csv: column 7 is `fisrt_seen`, which is not known (the nearest is `first_seen`); rename or remove it, or declare it as an `[[engine]]` in `manifest.toml`"]]);
    Broken::header("sha256,label,clamav,clamav_conf,md5").says(expect![[
        "C/artifacts.csv: column 5 is `md5`, which is not known; rename or remove it, or declare it as an `[[engine]]` in `manifest.toml`"
    ]]);
    Broken::header("sha256;label;path").says(expect![["C/artifacts.csv: column 1 is `sha256;label;path`, which is not known; rename or remove it, or declare it as an `[[engine]]` in `manifest.toml`"]]);
}

#[test]
fn a_duplicate_column_is_named_with_both_places() {
    Broken::header("sha256,label,size,clamav,clamav_conf,size")
        .says(expect![["C/artifacts.csv: columns 3 and 6 have the same name, `size`; remove or rename one"]]);
}

// A row.

#[test]
fn a_label_that_is_neither_is_quoted() {
    row(&[("label", "Malicious")]).says(expect![["C/artifacts.csv, line 3: `label` is `Malicious`; write `malicious` or `benign`"]]);
    row(&[("label", "")]).says(expect![["C/artifacts.csv, line 3: `label` is empty; write `malicious` or `benign`"]]);
}

#[test]
fn a_sha256_that_is_not_64_hex_digits_is_quoted() {
    row(&[("sha256", "abc")])
        .says(expect![["C/artifacts.csv, line 3: `sha256` is `abc`; write the 64 hex digits of the artifact's SHA-256"]]);
    row(&[("sha256", &"g".repeat(64))]).says(expect![["C/artifacts.csv, line 3: `sha256` is `gggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg…`; write the 64 hex digits of the artifact's SHA-256"]]);
}

#[test]
fn a_bad_verdict_is_quoted() {
    row(&[("clamav", "true")]).says(expect![["C/artifacts.csv, line 3: verdict `clamav` is `true`; write `1` (malicious), `0` (benign or nothing said) or leave it empty (no verdict)"]]);
}

#[test]
fn a_bad_confidence_is_quoted() {
    row(&[("clamav", "1"), ("clamav_conf", "1.5")])
        .says(expect![["C/artifacts.csv, line 3: confidence `clamav_conf` is `1.5`; write a number from 0 to 1, or leave it empty"]]);
    row(&[("clamav_conf", "0.5")]).says(expect![[
        "C/artifacts.csv, line 3: confidence `clamav_conf` is given without a verdict; give the verdict, or leave both empty"
    ]]);
}

#[test]
fn a_bad_size_is_quoted() {
    row(&[("size", "6 bytes")])
        .says(expect![["C/artifacts.csv, line 3: `size` is `6 bytes`; write a whole number of bytes, or leave it empty"]]);
}

#[test]
fn a_bad_time_is_quoted() {
    row(&[("first_seen", "31/01/2024")]).says(expect![["C/artifacts.csv, line 3: `first_seen` is `31/01/2024`; write it as `2024-01-31T12:00:00Z`, `2024-01-31 12:00:00` (UTC) or `2024-01-31`"]]);
}

#[test]
fn a_ragged_row_is_counted() {
    Broken::row("a,b,c").says(expect![["C/artifacts.csv, line 3: 3 fields where the header has 9; correct the commas or quotes"]]);
}

#[test]
fn foreign_text_is_escaped_and_cut() {
    row(&[("label", "\u{202e}\u{1b}[2J")])
        .says(expect![[r#"C/artifacts.csv, line 3: `label` is `\u{202e}\u{1b}[2J`; write `malicious` or `benign`"#]]);
    row(&[("label", &"x".repeat(3000))]).says(expect![[
        "C/artifacts.csv, line 3: `label` is `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`; write `malicious` or `benign`"
    ]]);
}

#[test]
fn text_that_is_not_utf_8_is_named() {
    let mut table = format!("{HEADER}\n\n{HELLO},benign,files/a.txt,").into_bytes();
    table.extend(b"t\xffxt,6,,,,\n");
    Broken::new(MANIFEST, &table).says(expect![[r#"C/artifacts.csv, line 3: field 4, `t\xffxt`, is not UTF-8; save the table as UTF-8"#]]);
}

#[test]
fn an_over_long_record_is_refused_without_being_read() {
    Broken::row(&"x".repeat(2 * MAX_RECORD_BYTES))
        .says(expect![["C/artifacts.csv, line 3: the record is longer than 1048576 bytes; shorten it, or close its quotes"]]);
    Broken::row(&format!("\"{}", "x\n".repeat(MAX_RECORD_BYTES)))
        .says(expect![["C/artifacts.csv, line 3: the record is longer than 1048576 bytes; shorten it, or close its quotes"]]);
}

#[test]
fn an_over_long_field_is_refused() {
    row(&[("family", &"x".repeat(5000))]).says(expect![["C/artifacts.csv, line 3: field 6 has 5000 bytes, more than 4096; shorten it"]]);
}

#[test]
fn a_quote_that_is_never_closed_is_named_with_its_line() {
    Broken::row("\"aa,bb\ncc,dd").says(expect![[r#"C/artifacts.csv, line 3: a quoted field is never closed; add the missing `"`"#]]);
}

#[test]
fn a_duplicate_artifact_is_named_with_both_lines() {
    row(&[("sha256", &HELLO.to_uppercase())]).says(expect![["C/artifacts.csv, line 3: artifact 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 is already on line 2; remove one of the two"]]);
}

#[test]
fn lines_are_physical_lines() {
    let good = format!("{HELLO},benign,,\"two\nlines\",,,,,");
    let table = format!("\u{feff}{HEADER}\r\n\r\n\r\n{good}\r\n\r\nbad,benign,,,,,,,\r\n");
    Broken::new(MANIFEST, table.as_bytes())
        .says(expect![["C/artifacts.csv, line 7: `sha256` is `bad`; write the 64 hex digits of the artifact's SHA-256"]]);
    // The same without the last line break.
    Broken::new(MANIFEST, table.trim_end().as_bytes())
        .says(expect![["C/artifacts.csv, line 7: `sha256` is `bad`; write the 64 hex digits of the artifact's SHA-256"]]);
}

// The bytes of a table.

#[test]
fn a_truncated_gzip_is_named() {
    let rows: String = (0..2000).map(|n| format!("{n:064x},benign,,,{},,,,\n", n * 7919)).collect();
    let whole = gzip(format!("{HEADER}\n{rows}").as_bytes());
    let manifest = MANIFEST.replace("artifacts.csv", "artifacts.csv.gz");
    let broken = Broken::new(&manifest, b"");
    fs::write(broken.at("artifacts.csv.gz"), &whole[..whole.len() - 4]).unwrap();
    assert!(matches!(broken.error_of(&broken.root()), CorpusError::TruncatedGzip { .. }));
    fs::write(broken.at("artifacts.csv.gz"), &whole[..12]).unwrap();
    broken.says(expect![["C/artifacts.csv.gz: the gzip data ends early, after its start; fetch or compress the file again"]]);
}

#[test]
fn a_file_that_is_no_gzip_is_named() {
    let broken = Broken::new(&MANIFEST.replace("artifacts.csv", "artifacts.csv.gz"), b"");
    fs::write(broken.at("artifacts.csv.gz"), HEADER).unwrap();
    broken.says(expect![[
        "C/artifacts.csv.gz: the gzip data is broken after its start (invalid gzip header); fetch or compress the file again"
    ]]);
    fs::write(broken.at("artifacts.csv.gz"), "").unwrap();
    broken.says(expect![["C/artifacts.csv.gz: the gzip data ends early, after its start; fetch or compress the file again"]]);
}

#[test]
fn a_file_that_is_no_parquet_is_named() {
    let broken = Broken::new(&MANIFEST.replace("artifacts.csv", "artifacts.parquet"), b"");
    fs::write(broken.at("artifacts.parquet"), HEADER).unwrap();
    broken.says(expect![[
        "C/artifacts.parquet, at or after row 1: broken Parquet (Invalid Parquet file. Corrupt footer); write the file again"
    ]]);
}

// The file of a row.

#[test]
fn a_missing_artifact_is_named() {
    row(&[("path", "files/b.txt")]).says(expect![["C/artifacts.csv, line 3: there is no file `files/b.txt`; add it, or correct `path`"]]);
}

#[test]
fn a_path_out_of_the_folder_is_refused() {
    row(&[("path", "../a.txt")])
        .says(expect![["C/artifacts.csv, line 3: path `../a.txt` leaves the corpus folder; write a relative path of plain names"]]);
    row(&[("path", "/etc/passwd")])
        .says(expect![["C/artifacts.csv, line 3: path `/etc/passwd` leaves the corpus folder; write a relative path of plain names"]]);
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_refused() {
    let broken = row(&[("path", "files/link.txt")]);
    fs::write(broken.temp.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../../secret", broken.at("files/link.txt")).unwrap();
    broken.says(expect![["C/artifacts.csv, line 3: path `files/link.txt` leaves the corpus folder; write a relative path of plain names"]]);
}

#[cfg(unix)]
#[test]
fn what_is_not_a_regular_file_is_refused() {
    row(&[("path", "files")])
        .says(expect![["C/artifacts.csv, line 3: `files` is a folder, not a regular file; put the artifact itself there"]]);
    let broken = row(&[("path", "files/socket")]);
    let _socket = std::os::unix::net::UnixListener::bind(broken.at("files/socket")).unwrap();
    broken.says(expect![[
        "C/artifacts.csv, line 3: `files/socket` is a device, a pipe or a socket, not a regular file; put the artifact itself there"
    ]]);
}

#[test]
fn a_file_of_another_size_is_refused() {
    let broken = row(&[]);
    fs::write(broken.at("files/a.txt"), "hello, world\n").unwrap();
    broken.says(expect![["C/artifacts.csv, line 2: `files/a.txt` has 13 bytes, not the 6 of `size`; correct `size`, or restore the file"]]);
}

#[test]
fn a_file_of_another_sha256_is_refused() {
    let broken = row(&[]);
    fs::write(broken.at("files/a.txt"), "jello\n").unwrap();
    broken.says(expect![["C/artifacts.csv, line 2: `files/a.txt` has the sha256 8b128914480c08c1d7a9c8a8ef78487f4f21cbc802a8134aa3850c9501571a15, not the one in the table; correct `sha256`, or restore the file"]]);
}

#[test]
fn an_artifact_beyond_the_limit_is_not_read() {
    let broken = row(&[]);
    let corpus = Corpus::open(&broken.root()).unwrap();
    let rows: Vec<_> = corpus.rows().unwrap().map(Result::unwrap).collect();
    assert_eq!(corpus.read_artifact(&rows[0], 6).unwrap(), b"hello\n");
    let sentence = |row, limit| {
        let error = corpus.read_artifact(row, limit).unwrap_err().to_string();
        error.replace(&*broken.root().to_string_lossy(), "C")
    };
    expect![["C/artifacts.csv, line 2: `files/a.txt` is larger than the limit of 5 bytes; raise the limit, or leave the artifact out"]]
        .assert_eq(&sentence(&rows[0], 5));
    expect![["C/artifacts.csv, line 3: the row has no `path`, so there are no bytes to read; add the file and its `path`"]]
        .assert_eq(&sentence(&rows[1], 5));
}

#[test]
fn rows_end_after_the_first_error() {
    let broken = Broken::row("a,b,c\nd,e,f");
    let corpus = Corpus::open(&broken.root()).unwrap();
    let rows: Vec<bool> = corpus.rows().unwrap().map(|row| row.is_ok()).collect();
    assert_eq!(rows, [true, false]);
}
