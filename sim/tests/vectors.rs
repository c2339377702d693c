//! The golden vectors of the real contracts, every file of them.

use std::path::Path;

use sim::vectors::{Outcome, files_below, verify_file};

#[test]
fn every_golden_vector_agrees() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let (mut vectors, mut skipped, mut mismatches) = (0, 0, Vec::new());
    for file in files_below(&folder).unwrap() {
        verify_file(&file, |checked| {
            vectors += 1;
            match checked.outcome {
                Outcome::Agrees => {}
                Outcome::Skipped(_) => skipped += 1,
                Outcome::Differs(difference) => mismatches.push(format!("{} {}: {difference:?}", file.display(), checked.id)),
            }
        })
        .unwrap();
    }
    assert!(mismatches.is_empty(), "{} mismatches, first: {:#?}", mismatches.len(), &mismatches[..mismatches.len().min(8)]);
    assert_eq!((vectors, skipped), (3678, 35), "a vector was lost or skipped");
}
