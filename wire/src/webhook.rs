//! Webhook engines: what a platform posts to them, how it signs that, and what they post back.
//!
//! Source: `polyswarm-engine` 3.2.5 and `microengine-webhooks-py` 1.0.0. They read the same request, but not the same
//! keys of it, and answer in slightly different shapes; these types serve both.

use hmac::{Hmac, KeyInit, Mac};
use market::nct::Nct;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{artifact::ArtifactType, decimal, json::Json};

/// Header that names the event: [`BOUNTY`] or [`PING`].
pub const EVENT_HEADER: &str = "X-POLYSWARM-EVENT";
/// Header with the [signature](sign) of the body.
pub const SIGNATURE_HEADER: &str = "X-POLYSWARM-SIGNATURE";
/// Header with the name of the delivery, which engines ignore.
pub const DELIVERY_HEADER: &str = "X-POLYSWARM-DELIVERY";
/// Event of a [`Request`].
pub const BOUNTY: &str = "bounty";
/// Event without a body, by which a platform finds out whether the engine is there.
pub const PING: &str = "ping";

/// The signature of a body: HMAC-SHA256 of exactly the bytes sent, in lower-case hex. A ping signs no bytes.
pub fn sign(secret: &[u8], body: &[u8]) -> String {
    hex::encode(mac(secret, body).finalize().into_bytes())
}

/// True if `signature` is that of the body. Upper-case digits and prefixes are not, and the comparison takes the same
/// time wherever it fails.
pub fn is_signed(secret: &[u8], body: &[u8], signature: &str) -> bool {
    let lower_case = !signature.bytes().any(|byte| byte.is_ascii_uppercase());
    lower_case && hex::decode(signature).is_ok_and(|signature| mac(secret, body).verify_slice(&signature).is_ok())
}

fn mac(secret: &[u8], body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length");
    mac.update(body);
    mac
}

/// Body of a bounty event: one artifact to scan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The platform's number of this request.
    pub id: u64,
    /// What the artifact is.
    pub artifact_type: ArtifactType,
    /// Where the engine fetches the artifact, without any key.
    pub artifact_uri: String,
    /// Until when an answer counts: ISO 8601 with an offset. Without one, one engine refuses it and one takes it for
    /// local time.
    pub expiration: String,
    /// What is asked for.
    pub phase: Phase,
    /// Where the engine posts its [`Answer`]; a platform tells assertions from votes by it.
    pub response_url: String,
    /// Limits of the bid.
    pub rules: Rules,
    /// Seconds in which to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
    /// 64 hex digits; `microengine-webhooks-py` reads it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Such as `text/plain`; `microengine-webhooks-py` reads it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mimetype: Option<String>,
    /// What the ambassador says about the artifact; `polyswarm-engine` reads digest and type here.
    #[serde(default)]
    pub metadata: Json,
}

/// What an engine is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// A verdict with a bid.
    Assertion,
    /// A vote. Engines may send a bid with it, which means nothing.
    Arbitration,
}

/// Limits of a bid, in wei.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rules {
    /// Least bid.
    #[serde(with = "decimal::integer")]
    pub min_allowed_bid: Nct,
    /// Greatest bid. Engines do not check it.
    #[serde(with = "decimal::integer")]
    pub max_allowed_bid: Nct,
}

/// What an engine posts to the response URL. It is not signed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// What the engine makes of the artifact.
    pub verdict: Verdict,
    /// From 0 to 1; `polyswarm-engine` sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// In wei; zero if there is none.
    #[serde(default, with = "decimal::integer")]
    pub bid: Nct,
    /// What the engine says about the artifact; see [`crate::metadata::VerdictMetadata`].
    #[serde(default)]
    pub metadata: Json,
}

/// What an engine makes of an artifact.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It does harm.
    Malicious,
    /// It does none.
    Benign,
    /// It might; no assertion.
    Suspicious,
    /// No opinion; no assertion.
    Unknown,
}

impl Verdict {
    /// True for malicious, false for benign, `None` for an answer that asserts nothing.
    pub fn asserts(self) -> Option<bool> {
        match self {
            Verdict::Malicious => Some(true),
            Verdict::Benign => Some(false),
            Verdict::Suspicious | Verdict::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_hmac_sha256_in_lower_case_hex() {
        // Test case 2 of RFC 4231.
        let (secret, body) = (b"Jefe", b"what do ya want for nothing?");
        let signature = sign(secret, body);
        assert_eq!(signature, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(is_signed(secret, body, &signature));
        assert!(!is_signed(secret, b"what do ya want for nothing", &signature));
        for other in [signature.to_uppercase(), format!("sha256={signature}"), signature[..62].to_owned(), String::new()] {
            assert!(!is_signed(secret, body, &other), "{other}");
        }
        // A ping signs no bytes at all.
        assert!(is_signed(secret, b"", &sign(secret, b"")));
    }
}
