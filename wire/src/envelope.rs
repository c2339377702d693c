//! The envelope of every JSON answer: `{"status":"OK","result":…}` or `{"status":"FAIL","errors":…}`.
//!
//! Clients look at `status` alone, never at the HTTP code (except 429), and at `errors` in the one shape that they expect
//! at that place: another one is an exception in the middle of an action.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, de::DeserializeOwned, ser::SerializeMap};

use crate::{json::Json, receipt::Receipt, transaction::Submitted};

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Envelope<T> {
    /// Done, or found.
    Ok(T),
    /// Refused, or failed.
    Fail(Failure),
}

impl<T> Envelope<T> {
    /// The answer as a result.
    ///
    /// # Errors
    ///
    /// The failure, if it is one.
    pub fn into_result(self) -> Result<T, Failure> {
        match self {
            Envelope::Ok(result) => Ok(result),
            Envelope::Fail(failure) => Err(failure),
        }
    }
}

impl<T> From<Result<T, Failure>> for Envelope<T> {
    fn from(result: Result<T, Failure>) -> Envelope<T> {
        match result {
            Ok(result) => Envelope::Ok(result),
            Err(failure) => Envelope::Fail(failure),
        }
    }
}

impl<T: Serialize> Serialize for Envelope<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        match self {
            Envelope::Ok(result) => {
                map.serialize_entry("status", "OK")?;
                map.serialize_entry("result", result)?;
            }
            Envelope::Fail(failure) => {
                map.serialize_entry("status", "FAIL")?;
                map.serialize_entry("errors", failure)?;
            }
        }
        map.end()
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Envelope<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Envelope<T>, D::Error> {
        #[derive(Deserialize)]
        struct Frame {
            status: String,
            #[serde(default)]
            result: Json,
            #[serde(default)]
            errors: Json,
        }
        let frame = Frame::deserialize(deserializer)?;
        if frame.status == "OK" { frame.result.read().map(Envelope::Ok) } else { frame.errors.read().map(Envelope::Fail) }
            .map_err(de::Error::custom)
    }
}

/// What `errors` says, in the shapes that polyswarmd gives it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// A text: every request but the two of `/transactions`.
    Text(String),
    /// `POST /transactions`: one entry for each transaction, refused or not.
    Submissions(Vec<Submitted>),
    /// `GET /transactions`: an object whose `errors` lists texts, beside what other transactions logged.
    Receipt(Box<Receipt>),
    /// Any other shape.
    Other(Json),
}

impl Failure {
    /// A failure in one sentence.
    pub fn text(sentence: impl fmt::Display) -> Failure {
        Failure::Text(sentence.to_string())
    }

    /// The failure of `GET /transactions`, one text for each transaction that failed.
    pub fn receipt(errors: Vec<String>) -> Failure {
        Failure::Receipt(Box::new(Receipt { errors, ..Receipt::default() }))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Text(text) => f.write_str(text),
            Failure::Submissions(entries) => {
                let refusals: Vec<&str> = entries.iter().filter(|entry| entry.is_error).map(|entry| entry.message.as_str()).collect();
                f.write_str(&refusals.join("; "))
            }
            Failure::Receipt(receipt) => f.write_str(&receipt.errors.join("; ")),
            Failure::Other(json) if json.is_null() => f.write_str("no reason given"),
            Failure::Other(json) => f.write_str(json.text()),
        }
    }
}

impl std::error::Error for Failure {}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Failure::Text(text) => text.serialize(serializer),
            Failure::Submissions(entries) => entries.serialize(serializer),
            Failure::Receipt(receipt) => receipt.serialize(serializer),
            Failure::Other(json) => json.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Failure, D::Error> {
        let json = Json::deserialize(deserializer)?;
        Ok(match json.text().as_bytes().first() {
            Some(b'"') => json.read().ok().map(Failure::Text),
            Some(b'[') => json.read().ok().map(Failure::Submissions),
            Some(b'{') => json.read().ok().filter(Receipt::has_failed).map(|receipt| Failure::Receipt(Box::new(receipt))),
            _ => None,
        }
        .unwrap_or(Failure::Other(json)))
    }
}
