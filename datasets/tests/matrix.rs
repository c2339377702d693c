//! Verdict matrices: opened as they are, without a manifest.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use datasets::{ArtifactKind, CheckOptions, Corpus, Recorded, Truth};
use flate2::{Compression, write::GzEncoder};

/// The shape of a public matrix; the last engine is called like a column of the artifact.
fn matrix() -> String {
    let mut text = String::from(
        "sha256,md5,label,label_source,family,first_seen,scan_date,file_type,size,compile_date,\
         positives,total,ClamAV,Kaspersky,size2\n",
    );
    let rows = [
        "malicious,lab,emotet,,2024-01-02T03:04:05Z,pe32,4096,,1,2,0,1,",
        "benign,store,,2024-01-01,2024-01-03T00:00:00Z,apk,,2008-02-29T13:33:46Z,0,3,0,0,0",
    ];
    for (number, row) in rows.iter().enumerate() {
        text.push_str(&format!("{number:064X},{number:032x},{row}\n"));
    }
    text
}

fn check(path: &Path) {
    let corpus = Corpus::open(path).unwrap();
    assert_eq!((corpus.name(), corpus.kind(), corpus.has_files()), ("m", ArtifactKind::File, false));
    let engines: Vec<&str> = corpus.engines().iter().map(|engine| &*engine.name).collect();
    assert_eq!(engines, ["ClamAV", "Kaspersky", "size2"]);

    let rows: Vec<_> = corpus.rows().unwrap().map(Result::unwrap).collect();
    let said = |malicious| Some(Recorded { malicious, confidence: None });
    assert_eq!((rows[0].line, rows[0].truth, rows[0].size), (2, Truth::Malicious, Some(4096)));
    assert_eq!(rows[0].family.as_deref(), Some("emotet"));
    assert_eq!(rows[0].recorded, [said(false), said(true), None]);
    // The scan date stands in where the first sighting is not known, and only there.
    assert_eq!(rows[0].first_seen, Some(1_704_164_645));
    assert_eq!(rows[1].first_seen, Some(1_704_067_200));
    assert_eq!((rows[1].truth, rows[1].size, rows[1].family.as_deref()), (Truth::Benign, None, None));

    let summary = corpus.check(CheckOptions::default(), &mut |_| {}).unwrap();
    assert_eq!((summary.malicious, summary.benign, summary.in_time_order), (1, 1, false));
}

#[test]
fn a_plain_matrix_is_a_corpus() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("m.csv");
    fs::write(&path, matrix()).unwrap();
    check(&path);
}

#[test]
fn a_gzipped_matrix_is_the_same_corpus() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("m.csv.gz");
    let mut gzip = GzEncoder::new(fs::File::create(&path).unwrap(), Compression::default());
    gzip.write_all(matrix().as_bytes()).unwrap();
    gzip.finish().unwrap();
    check(&path);
}
