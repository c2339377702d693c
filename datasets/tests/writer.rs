//! The writer: what it writes is read back, and what could not be is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datasets::{ArtifactId, CheckOptions, Corpus, CorpusError, CorpusWriter, Manifest, ManifestEngine, Recorded, Row, Truth};
use expect_test::expect;

fn manifest(table: &str) -> Manifest {
    let mut manifest = Manifest::new("written", "Written by a test");
    manifest.table = table.to_owned();
    manifest.engines = vec![
        ManifestEngine { name: "A".into(), verdict: None, confidence: Some("A conf".into()) },
        ManifestEngine { name: "B, Inc.".into(), verdict: Some("b".into()), confidence: None },
    ];
    manifest
}

fn row(number: u8) -> Row {
    let said = |malicious, confidence| Some(Recorded { malicious, confidence });
    Row {
        line: u64::from(number) + 1,
        id: ArtifactId([number; 32]),
        truth: if number.is_multiple_of(2) { Truth::Malicious } else { Truth::Benign },
        path: None,
        file_type: Some(Arc::from("a \"quoted\", odd\ntype")),
        size: Some(u64::MAX - u64::from(number)),
        family: number.is_multiple_of(3).then(|| Arc::from("emotet\r")),
        first_seen: Some(i64::from(number) * 1000 - 5000),
        recorded: vec![said(true, Some(0.1 * f32::from(number))), if number == 2 { None } else { said(false, None) }],
    }
}

fn names_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_is_written_is_read_back() {
    for table in ["artifacts.csv", "data/artifacts.csv.gz"] {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("corpus");
        let mut writer = CorpusWriter::create(&folder, &manifest(table)).unwrap();
        for number in 1..=9 {
            writer.write(&row(number)).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(names_in(temp.path()), std::slice::from_ref(&folder));

        let corpus = Corpus::open(&folder).unwrap();
        assert_eq!(corpus.check(CheckOptions::default(), &mut |_| {}).unwrap().rows, 9);
        assert!(!corpus.has_files());
        for (number, read) in (1..).zip(corpus.rows().unwrap()) {
            // Each row before has a line break inside, so the line is not the row's number.
            assert_eq!(Row { line: u64::from(number) + 1, ..read.unwrap() }, row(number));
        }
    }
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let temp = tempfile::tempdir().unwrap();
    let bytes = |name: &str| {
        let folder = temp.path().join(name);
        let mut writer = CorpusWriter::create(&folder, &manifest("t.csv.gz")).unwrap();
        writer.write(&row(1)).unwrap();
        writer.finish().unwrap();
        fs::read(folder.join("t.csv.gz")).unwrap()
    };
    assert_eq!(bytes("first"), bytes("second"));
}

#[test]
fn files_are_written_beside_the_table() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("corpus");
    let mut writer = CorpusWriter::create(&folder, &Manifest::new("n", "t")).unwrap();
    writer.add_file(Path::new("files/a/b.txt"), b"b").unwrap();
    writer.add_file(Path::new("../b.txt"), b"b").unwrap_err();
    writer.add_file(Path::new("manifest.toml"), b"b").unwrap_err();
    writer.add_file(Path::new("files/a/b.txt"), b"again").unwrap_err();
    let with_path = Row { path: Some("files/a/b.txt".into()), recorded: Vec::new(), ..row(1) };
    writer.write(&with_path).unwrap();
    writer.finish().unwrap();
    let corpus = Corpus::open(&folder).unwrap();
    assert!(corpus.has_files());
    let read = corpus.rows().unwrap().next().unwrap().unwrap();
    assert_eq!(corpus.read_artifact(&read, 100).unwrap(), b"b");
}

#[test]
fn an_unfinished_corpus_leaves_nothing_behind() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("corpus");
    let mut writer = CorpusWriter::create(&folder, &manifest("t.csv")).unwrap();
    writer.write(&row(1)).unwrap();
    drop(writer);
    assert!(names_in(temp.path()).is_empty());
    let empty = CorpusWriter::create(&folder, &manifest("t.csv")).unwrap().finish();
    assert!(matches!(empty, Err(CorpusError::Empty { .. })));
    assert!(names_in(temp.path()).is_empty());
}

#[test]
fn an_existing_folder_is_never_overwritten() {
    let temp = tempfile::tempdir().unwrap();
    let again = CorpusWriter::create(temp.path(), &manifest("t.csv")).err().unwrap();
    assert!(matches!(again, CorpusError::AlreadyExists { .. }), "{again}");
}

#[test]
fn a_row_that_could_not_be_read_back_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let mut writer = CorpusWriter::create(&temp.path().join("corpus"), &manifest("t.csv")).unwrap();
    writer.write(&row(1)).unwrap();
    let mut sentence = |row: Row| writer.write(&row).unwrap_err().to_string();
    let with = |recorded| Row { recorded, ..row(2) };
    let said = |confidence| Some(Recorded { malicious: true, confidence });
    let sentences = [
        sentence(Row { path: Some("late.txt".into()), ..row(2) }),
        sentence(Row { first_seen: Some(i64::MAX), ..row(2) }),
        sentence(Row { family: Some("x".repeat(5_000).into()), ..row(2) }),
        sentence(with(vec![None])),
        sentence(with(vec![said(Some(1.5)), None])),
        sentence(with(vec![None, said(Some(0.5))])),
    ];
    expect![[r#"
        row 2 cannot be written: it has a path and the first row had none; give the first row one too
        row 2 cannot be written: its first_seen is outside the calendar; correct it
        row 2 cannot be written: its family has 5000 bytes, more than 4096; shorten it
        row 2 cannot be written: it has 1 verdicts for 2 engines; give one for each
        row 2 cannot be written: the confidence of `A` is 1.5; give a number from 0 to 1
        row 2 cannot be written: `B, Inc.` has a confidence but no column for it; declare one in the manifest"#]]
    .assert_eq(&sentences.join("\n"));
    // Refused rows left nothing in the table.
    writer.write(&row(3)).unwrap();
    writer.finish().unwrap();
    let corpus = Corpus::open(&temp.path().join("corpus")).unwrap();
    assert_eq!(corpus.rows().unwrap().map(Result::unwrap).count(), 2);
}
