//! Parquet tables: the same rows as CSV, whichever of the accepted types their columns have.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
    UInt8Array, UInt64Array,
};
use datasets::{CheckOptions, Corpus, CorpusError, Row};
use expect_test::{Expect, expect};
use parquet::arrow::ArrowWriter;

const ROWS: usize = 3_000;

const MANIFEST: &str = r#"schema = 1
name = "both"
title = "The same rows twice"
table = "TABLE"
[[engine]]
name = "A"
confidence = "A_conf"
[[engine]]
name = "B"
"#;

fn ids() -> Vec<String> {
    (0..ROWS).map(|row| format!("{:064x}", row + 1)).collect()
}

fn label(row: usize) -> &'static str {
    if row.is_multiple_of(5) { "malicious" } else { "benign" }
}

fn verdict(row: usize) -> Option<bool> {
    [Some(true), Some(false), None][row % 3]
}

fn size(row: usize) -> Option<u64> {
    (!row.is_multiple_of(7)).then_some(row as u64 * 1000)
}

fn seconds(row: usize) -> Option<i64> {
    (!row.is_multiple_of(11)).then_some(1_700_000_000 + 86_400 * row as i64 / 10)
}

fn confidence(row: usize) -> Option<f32> {
    verdict(row).filter(|_| row.is_multiple_of(2)).map(|_| row as f32 / ROWS as f32)
}

fn write_csv(root: &Path) {
    let mut text = String::from("sha256,label,file_type,size,first_seen,A,A_conf,B\n");
    for (row, id) in ids().iter().enumerate() {
        let said = verdict(row).map(u8::from).map(|said| said.to_string()).unwrap_or_default();
        let size = size(row).map(|size| size.to_string()).unwrap_or_default();
        let time = seconds(row).map(|s| jiff::Timestamp::from_second(s).unwrap().to_string());
        let confidence = confidence(row).map(|number| number.to_string()).unwrap_or_default();
        let (label, time) = (label(row), time.unwrap_or_default());
        text.push_str(&format!("{id},{label},pe32,{size},{time},{said},{confidence},{said}\n"));
    }
    fs::write(root.join("t.csv"), text).unwrap();
}

fn required() -> Vec<(&'static str, ArrayRef)> {
    vec![("sha256", Arc::new(StringArray::from(ids()))), ("label", Arc::new(StringArray::from_iter_values((0..ROWS).map(label))))]
}

fn write_parquet(root: &Path, columns: Vec<(&'static str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(root.join("t.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn open(root: &Path, table: &str) -> Result<Corpus, CorpusError> {
    fs::write(root.join("manifest.toml"), MANIFEST.replace("TABLE", table)).unwrap();
    Corpus::open(root)
}

/// The rows without their lines, which count differently.
fn rows(root: &Path, table: &str) -> Vec<Row> {
    let corpus = open(root, table).unwrap();
    corpus.check(CheckOptions { files: true }, &mut |_| {}).unwrap();
    let rows = corpus.rows().unwrap().map(|row| Row { line: 0, ..row.unwrap() });
    rows.collect()
}

/// A table with the given last columns has the rows of the CSV table.
fn check(file_type: ArrayRef, size: ArrayRef, first_seen: ArrayRef, a: ArrayRef, a_conf: ArrayRef, b: ArrayRef) {
    let temp = tempfile::tempdir().unwrap();
    write_csv(temp.path());
    let mut columns = required();
    columns.extend([("file_type", file_type), ("size", size), ("first_seen", first_seen)]);
    columns.extend([("A", a), ("A_conf", a_conf), ("B", b)]);
    write_parquet(temp.path(), columns);
    let (csv, parquet) = (rows(temp.path(), "t.csv"), rows(temp.path(), "t.parquet"));
    assert_eq!(csv.len(), ROWS);
    assert!(csv == parquet, "the rows differ");
}

#[test]
fn csv_and_parquet_give_the_same_rows() {
    let said = || (0..ROWS).map(verdict);
    check(
        Arc::new(StringArray::from(vec!["pe32"; ROWS])),
        Arc::new(UInt64Array::from_iter((0..ROWS).map(size))),
        Arc::new(Int64Array::from_iter((0..ROWS).map(seconds))),
        Arc::new(BooleanArray::from_iter(said())),
        Arc::new(Float32Array::from_iter((0..ROWS).map(confidence))),
        Arc::new(UInt8Array::from_iter(said().map(|said| said.map(u8::from)))),
    );
}

#[test]
fn every_accepted_type_gives_the_same_rows() {
    let said = || (0..ROWS).map(verdict);
    let digits = said().map(|said| said.map_or("", |said| if said { "1" } else { "0" }));
    check(
        Arc::new(arrow_array::LargeStringArray::from(vec!["pe32"; ROWS])),
        Arc::new(Int32Array::from_iter((0..ROWS).map(|row| size(row).map(|size| size as i32)))),
        // The odd milliseconds are rounded down.
        Arc::new(TimestampMillisecondArray::from_iter((0..ROWS).map(|row| Some(seconds(row)? * 1000 + 999))).with_timezone("UTC")),
        Arc::new(Int64Array::from_iter(said().map(|said| said.map(i64::from)))),
        Arc::new(Float64Array::from_iter((0..ROWS).map(|row| confidence(row).map(f64::from)))),
        Arc::new(StringArray::from_iter_values(digits)),
    );
}

fn says(columns: Vec<(&'static str, ArrayRef)>, expected: Expect) {
    let temp = tempfile::tempdir().unwrap();
    let text: ArrayRef = Arc::new(StringArray::from(vec!["1"; ROWS]));
    let confidence: ArrayRef = Arc::new(Float32Array::from(vec![0.5; ROWS]));
    let mut all = required();
    all.extend([("A", Arc::clone(&text)), ("A_conf", confidence), ("B", text)]);
    for (name, column) in columns {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = column,
            None => all.push((name, column)),
        }
    }
    write_parquet(temp.path(), all);
    let checked = open(temp.path(), "t.parquet").and_then(|corpus| corpus.check(CheckOptions::default(), &mut |_| {}));
    let sentence = checked.unwrap_err().to_string();
    expected.assert_eq(&sentence.replace(&*temp.path().to_string_lossy(), "C"));
}

#[test]
fn a_column_of_the_wrong_type_is_named() {
    says(
        vec![("size", Arc::new(Float64Array::from(vec![1.0; ROWS])))],
        expect![["C/t.parquet: column `size` has type `Float64`; write it as an integer"]],
    );
    says(
        vec![("label", Arc::new(BooleanArray::from(vec![true; ROWS])))],
        expect![["C/t.parquet: column `label` has type `Boolean`; write it as text (UTF-8)"]],
    );
    says(
        vec![("A_conf", Arc::new(StringArray::from(vec!["1"; ROWS])))],
        expect![["C/t.parquet: column `A_conf` has type `Utf8`; write it as a 32-bit or 64-bit float"]],
    );
}

#[test]
fn a_bad_value_is_named_with_its_row() {
    let sizes = Int64Array::from_iter_values((0..ROWS as i64).map(|row| if row == 2_499 { -1 } else { row }));
    says(
        vec![("size", Arc::new(sizes))],
        expect![["C/t.parquet, row 2500: `size` is `-1`; write a whole number of bytes, or leave it empty"]],
    );
    says(
        vec![("B", Arc::new(UInt8Array::from(vec![2; ROWS])))],
        expect![[
            "C/t.parquet, row 1: verdict `B` is `2`; write `1` (malicious), `0` (benign or nothing said) or leave it empty (no verdict)"
        ]],
    );
    says(
        vec![("A_conf", Arc::new(Float32Array::from(vec![f32::NAN; ROWS])))],
        expect![["C/t.parquet, row 1: confidence `A_conf` is `NaN`; write a number from 0 to 1, or leave it empty"]],
    );
    says(
        vec![("A", Arc::new(BooleanArray::from(vec![None; ROWS])))],
        expect![["C/t.parquet, row 1: confidence `A_conf` is given without a verdict; give the verdict, or leave both empty"]],
    );
    says(
        vec![("label", Arc::new(StringArray::from(vec![None::<&str>; ROWS])))],
        expect![["C/t.parquet, row 1: `label` is empty; write `malicious` or `benign`"]],
    );
    says(
        vec![("first_seen", Arc::new(Int64Array::from(vec![i64::MAX; ROWS])))],
        expect![[
            "C/t.parquet, row 1: `first_seen` is `9223372036854775807`; write it as `2024-01-31T12:00:00Z`, `2024-01-31 12:00:00` (UTC) or `2024-01-31`"
        ]],
    );
    let long = "x".repeat(5_000);
    says(
        vec![("family", Arc::new(StringArray::from(vec![&*long; ROWS])))],
        expect![["C/t.parquet, row 1: field 6 has 5000 bytes, more than 4096; shorten it"]],
    );
}

#[test]
fn a_duplicate_is_named_with_both_rows() {
    let mut ids = ids();
    ids[2_000] = ids[3].to_uppercase();
    says(
        vec![("sha256", Arc::new(StringArray::from(ids)))],
        expect![[
            "C/t.parquet, row 2001: artifact 0000000000000000000000000000000000000000000000000000000000000004 is already on row 4; remove one of the two"
        ]],
    );
}

#[test]
fn a_broken_parquet_is_an_error_and_never_a_panic() {
    let temp = tempfile::tempdir().unwrap();
    let mut columns = required();
    columns.push(("A", Arc::new(BooleanArray::from_iter((0..ROWS).map(verdict)))));
    columns.push(("A_conf", Arc::new(Float32Array::from(vec![None; ROWS]))));
    columns.push(("B", Arc::new(BooleanArray::from(vec![true; ROWS]))));
    write_parquet(temp.path(), columns);
    let table = temp.path().join("t.parquet");
    let whole = fs::read(&table).unwrap();
    let corpus = open(temp.path(), "t.parquet").unwrap();
    for cut in (0..whole.len()).step_by(whole.len() / 50) {
        fs::write(&table, &whole[..cut]).unwrap();
        corpus.check(CheckOptions::default(), &mut |_| {}).unwrap_err();
    }
}
