//! Vectors of what both versions share: commitments and bloom filters.

use alloy_primitives::B256;
use anyhow::Result;
use market::{
    bloom::Bloom,
    commitment::{Commitment, Opening},
};
use serde_json::{Value, json};

use super::{
    Outcome,
    calls::{address, field, hex, list, set, text, uint},
    compare,
};

pub(super) fn commitment(vector: &Value) -> Result<Outcome> {
    let opening = Opening { nonce: uint(field(vector, "nonce")?)?, verdicts: set(field(vector, "verdicts")?)? };
    let author = address(field(vector, "address")?)?;
    let hash = Commitment::compute(author, opening);
    let opens = Commitment::from_hash(B256::from(uint(field(vector, "commitment")?)?)).opens(author, opening);
    Ok(compare(
        &json!({ "commitment": hex(uint(field(vector, "commitment")?)?), "opens": true }),
        &json!({ "commitment": hex(hash.into()), "opens": opens }),
    ))
}

pub(super) fn bloom(vector: &Value) -> Result<Outcome> {
    let hashes: Vec<&str> = list(vector, "hashes")?.iter().map(|hash| text(hash, "a hash")).collect::<Result<_>>()?;
    let bloom = Bloom::of(hashes.iter().copied());
    let probes = list(vector, "contains")?;
    let contains: Vec<Value> =
        probes.iter().map(|probe| Ok(json!([probe[0], bloom.may_contain(text(&probe[0], "a probe")?)]))).collect::<Result<_>>()?;
    let words: Vec<Value> = bloom.0.iter().map(|word| json!(format!("0x{word:064x}"))).collect();
    let mut actual = json!({ "bloom": words, "contains": contains });
    let mut expected = json!({ "bloom": field(vector, "bloom")?, "contains": probes });
    if let Some(value) = vector.get("value") {
        expected["value"] = value.clone();
        actual["value"] = json!(format!("0x{}", bloom.to_hex().trim_start_matches('0')));
        if bloom == Bloom::default() {
            actual["value"] = json!("0x0");
        }
    }
    if let Some(bits) = vector.get("first_bits") {
        expected["first_bits"] = bits.clone();
        actual["first_bits"] = hashes.first().map_or(json!([]), |hash| json!(Bloom::bits(hash)));
    }
    Ok(compare(&expected, &actual))
}
