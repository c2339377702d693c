//! Long tables: read as a stream, and duplicates found however far apart they are.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use datasets::{CheckOptions, Corpus, CorpusError, Place, Rows};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

const ROWS: u64 = 200_000;

/// A gzipped table of `ROWS` rows in two gzip members; the row `repeat.1` has the id of `repeat.0`.
fn write_long(root: &Path, repeat: Option<(u64, u64)>) {
    let manifest = "schema = 1\nname = \"long\"\ntitle = \"Long\"\ntable = \"artifacts.csv.gz\"\n";
    fs::write(root.join("manifest.toml"), manifest).unwrap();
    let file = BufWriter::new(File::create(root.join("artifacts.csv.gz")).unwrap());
    let mut gzip = GzEncoder::new(file, Compression::fast());
    writeln!(gzip, "sha256,label,file_type,first_seen").unwrap();
    for row in 0..ROWS {
        if row == ROWS / 2 {
            gzip = GzEncoder::new(gzip.finish().unwrap(), Compression::fast());
        }
        let source = repeat.filter(|repeat| repeat.1 == row).map_or(row, |repeat| repeat.0);
        let id = hex::encode(Sha256::digest(source.to_le_bytes()));
        let label = if row % 4 == 0 { "malicious" } else { "benign" };
        writeln!(gzip, "{id},{label},type{},2024-01-{:02}", row % 3, 1 + row * 31 / ROWS).unwrap();
    }
    gzip.finish().unwrap().flush().unwrap();
}

#[test]
fn a_long_gzipped_table_is_read_to_its_end() {
    let temp = tempfile::tempdir().unwrap();
    write_long(temp.path(), None);
    let corpus = Corpus::open(temp.path()).unwrap();
    let mut progress = Vec::new();
    let summary = corpus.check(CheckOptions::default(), &mut |rows| progress.push(rows)).unwrap();
    assert_eq!((summary.rows, summary.malicious, summary.benign), (200_000, 50_000, 150_000));
    assert_eq!(summary.types.len(), 3);
    assert_eq!(summary.first_seen, Some((1_704_067_200, 1_706_659_200)));
    assert!(summary.in_time_order);
    assert!(progress.is_sorted() && progress.last() == Some(&ROWS) && progress.len() > 10);
    let last = corpus.rows().unwrap().last().unwrap().unwrap();
    assert_eq!(last.line, ROWS + 1);
}

#[test]
fn duplicates_far_apart_are_found() {
    let temp = tempfile::tempdir().unwrap();
    write_long(temp.path(), Some((7, ROWS - 3)));
    let corpus = Corpus::open(temp.path()).unwrap();
    let error = corpus.check(CheckOptions::default(), &mut |_| {}).unwrap_err();
    let CorpusError::DuplicateArtifact { at, first, .. } = error else { panic!("{error}") };
    // The header is line 1, so the row counted 0 is on line 2.
    assert_eq!((first, at), (Place::Line(9), Place::Line(ROWS - 1)));
}

#[test]
fn the_hash_of_a_corpus_changes_with_every_byte() {
    let temp = tempfile::tempdir().unwrap();
    let table = temp.path().join("artifacts.csv");
    let hash_with = |manifest: &str, row: &str| {
        fs::write(temp.path().join("manifest.toml"), manifest).unwrap();
        fs::write(&table, format!("sha256,label\n{}{row}\n", "0".repeat(63))).unwrap();
        let corpus = Corpus::open(temp.path()).unwrap();
        corpus.check(CheckOptions::default(), &mut |_| {}).unwrap().sha256
    };
    let manifest = "schema = 1\nname = \"n\"\ntitle = \"t\"\ntable = \"artifacts.csv\"\n";
    let first = hash_with(manifest, "1,benign");
    assert_eq!(first, hash_with(manifest, "1,benign"));
    assert_ne!(first, hash_with(manifest, "2,benign"));
    assert_ne!(first, hash_with(&format!("{manifest}\n"), "1,benign"));
}

#[test]
fn rows_may_be_read_on_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Rows>();
}
