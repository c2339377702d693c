//! Damaged bytes, thousands of times over: an error or another corpus, but never a panic.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datasets::{CheckOptions, Corpus};
use parquet::arrow::ArrowWriter;

const MANIFEST: &str = r#"schema = 1
name = "hostile"
title = "Damaged on purpose"
table = "TABLE"
[[engine]]
name = "A"
"#;

/// SplitMix64, so that a failing round can be run again.
struct Stream(u64);

impl Stream {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

fn damage(bytes: &[u8], stream: &mut Stream) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for _ in 0..=stream.below(3) {
        let at = stream.below(damaged.len());
        match stream.below(4) {
            0 => damaged[at] = stream.below(256) as u8,
            1 => damaged[at] ^= 1 << stream.below(8),
            2 => damaged.insert(at, *b"\",\n\r\0\xff'\\[="[..].get(stream.below(10)).unwrap()),
            _ => damaged.truncate(at.max(1)),
        }
    }
    damaged
}

/// Damages one file of a corpus, once for each seed.
fn damage_rounds(root: &Path, file: &str, seeds: impl IntoIterator<Item = u64>) {
    let path = root.join(file);
    let whole = fs::read(&path).unwrap();
    let check = || Corpus::open(root)?.check(CheckOptions { files: true }, &mut |_| {});
    check().unwrap();
    for seed in seeds {
        fs::write(&path, damage(&whole, &mut Stream(seed))).unwrap();
        let outcome = std::panic::catch_unwind(|| check().map_err(|error| error.to_string()));
        let outcome = outcome.unwrap_or_else(|_| panic!("panicked on {file} with seed {seed}"));
        if let Err(sentence) = outcome {
            let plain = |character: char| !character.is_control();
            assert!(sentence.len() < 600 && sentence.chars().all(plain), "seed {seed}: {sentence}");
        }
    }
}

fn corpus(table: &str) -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("manifest.toml"), MANIFEST.replace("TABLE", table)).unwrap();
    temp
}

fn csv() -> String {
    let row = |row: usize| format!("{row:064x},benign,\"pe32\",{row},2024-01-02 03:04:05,1\n");
    format!("sha256,label,file_type,size,first_seen,A\n{}", (0..6).map(row).collect::<String>())
}

#[test]
fn a_damaged_csv_table_never_panics() {
    let temp = corpus("t.csv");
    fs::write(temp.path().join("t.csv"), csv()).unwrap();
    damage_rounds(temp.path(), "t.csv", 0..300);
}

#[test]
fn a_damaged_manifest_never_panics() {
    let temp = corpus("t.csv");
    fs::write(temp.path().join("t.csv"), csv()).unwrap();
    damage_rounds(temp.path(), "manifest.toml", 0..300);
}

#[test]
fn a_damaged_parquet_table_never_panics() {
    let temp = corpus("t.parquet");
    let text = |cells: Vec<String>| Arc::new(StringArray::from(cells)) as ArrayRef;
    let columns = [
        ("sha256", text((0..50).map(|row| format!("{row:064x}")).collect())),
        ("label", text(vec!["benign".to_owned(); 50])),
        ("A", Arc::new(Int64Array::from(vec![Some(1); 50])) as ArrayRef),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = fs::File::create(temp.path().join("t.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    // With the last seed the Parquet library panics (60.1.0): a negative column start.
    damage_rounds(temp.path(), "t.parquet", (0..300).chain([5671]));
}
