//! The requests that an engine makes of polyswarmd, as types.
//!
//! A request that failed on the way, or that the server asks to repeat, is made up to four times: asking changes nothing,
//! building transactions changes nothing, and a signed transaction counts once however often it is sent.

use std::{fmt, str::FromStr, time::Duration};

use alloy_primitives::{Address, B256};
use market::{id::Guid, nct::Nct};
use serde::{Serialize, de::DeserializeOwned};
use wire::{
    account::{Balance, Nonce, Pending},
    artifact::{Artifact, UriKind},
    assertion::{self, PostAssertion, RevealAssertion},
    bounty::Bounty,
    envelope::{Envelope, Failure},
    parameters::BountyParameters,
    receipt::Receipt,
    transaction::{Inquiry, Submission, Submitted, ToSign},
    vote::Vote,
};

use super::{
    backoff::Backoff,
    http::{Method, Request, Response, Transport, TransportError},
};

/// Longest JSON answer that is read, in bytes: hundreds of assertions on 256 artifacts.
const JSON_LIMIT: usize = 16 << 20;
/// Largest artifact that is read, in bytes; polyswarmd's own limit is half of it.
const ARTIFACT_LIMIT: usize = 64 << 20;
/// For everything but artifacts and receipts.
const PATIENCE: Duration = Duration::from_secs(20);
/// For an artifact.
const ARTIFACT_PATIENCE: Duration = Duration::from_secs(60);
/// Times that a request is made, at most.
const ATTEMPTS: u32 = 4;
/// Wait after the answer 429.
const THROTTLE: Duration = Duration::from_secs(2);

/// One of the two chains.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Chain {
    /// Where bounties are.
    Side,
    /// Where Nectar comes from.
    Home,
}

impl Chain {
    /// How long the receipt of a transaction may take: polyswarmd waits 10 s on the side chain and 60 s on the home chain.
    fn receipt_patience(self) -> Duration {
        match self {
            Chain::Side => Duration::from_secs(20),
            Chain::Home => Duration::from_secs(80),
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Chain::Side => "side",
            Chain::Home => "home",
        })
    }
}

/// No chain of that name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is neither `side` nor `home`")]
pub struct UnknownChain(String);

impl FromStr for Chain {
    type Err = UnknownChain;

    fn from_str(text: &str) -> Result<Chain, UnknownChain> {
        [Chain::Side, Chain::Home]
            .into_iter()
            .find(|chain| chain.to_string() == text)
            .ok_or_else(|| UnknownChain(text.chars().take(40).collect()))
    }
}

/// Why a request has no result.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It failed on the way. Whether it arrived is not known.
    #[error("{path}: {cause}")]
    Transport {
        /// What was asked.
        path: String,
        /// What happened.
        cause: TransportError,
    },
    /// Too many requests.
    #[error("{path}: the server asks to slow down")]
    Throttled {
        /// What was asked.
        path: String,
    },
    /// polyswarmd says no.
    #[error("{path}: {failure}")]
    Refused {
        /// What was asked.
        path: String,
        /// HTTP status, for telling a missing bounty from a broken server; polyswarm-client does not look at it.
        status: u16,
        /// polyswarmd's words.
        failure: Failure,
    },
    /// An answer of another shape.
    #[error("{path}: an answer of status {status} that is not polyswarmd's: {cause}")]
    Malformed {
        /// What was asked.
        path: String,
        /// HTTP status.
        status: u16,
        /// What is wrong with it.
        cause: String,
    },
    /// An artifact URI that is neither a SHA-256 nor base58: it will not be put into a path.
    #[error("`{uri}` is no artifact URI")]
    ForeignUri {
        /// The beginning of it.
        uri: String,
    },
}

impl RequestError {
    /// True if making the same request again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            RequestError::Transport { cause, .. } => !matches!(cause, TransportError::TooLarge { .. }),
            RequestError::Throttled { .. } => true,
            RequestError::Refused { status, failure, .. } => *status >= 500 && matches!(failure, Failure::Text(_) | Failure::Other(_)),
            RequestError::Malformed { status, .. } => *status >= 500,
            RequestError::ForeignUri { .. } => false,
        }
    }

    /// True if polyswarmd says that there is no such thing.
    pub fn is_missing(&self) -> bool {
        matches!(self, RequestError::Refused { status: 404, .. })
    }
}

/// A polyswarmd, an account and a chain.
#[derive(Debug)]
pub struct Polyswarmd<T> {
    transport: T,
    account: Address,
    chain: Chain,
}

impl<T: Transport> Polyswarmd<T> {
    /// That account's access to that chain.
    pub fn new(transport: T, account: Address, chain: Chain) -> Polyswarmd<T> {
        Polyswarmd { transport, account, chain }
    }

    /// Whose.
    pub fn account(&self) -> Address {
        self.account
    }

    /// Where.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// Fees, limits and windows in force.
    ///
    /// # Errors
    ///
    /// As [`RequestError`].
    pub async fn bounty_parameters(&self) -> Result<BountyParameters, RequestError> {
        self.ask(self.get("/bounties/parameters")).await
    }

    /// The account's Nectar on the chain, in wei.
    ///
    /// # Errors
    ///
    /// As [`RequestError`].
    pub async fn balance(&self) -> Result<Nct, RequestError> {
        let Balance(balance) = self.ask(self.get(format!("/balances/{}/nct", wire::address::to_text(self.account)))).await?;
        Ok(balance)
    }

    /// Number of the account's mined transactions.
    ///
    /// # Errors
    ///
    /// As [`RequestError`].
    pub async fn nonce(&self) -> Result<u64, RequestError> {
        let mut request = self.get("/nonce");
        // Not empty, because polyswarm-client's is not either.
        request.query.push(("ignore_pending", " ".to_owned()));
        let Nonce(nonce) = self.ask(request).await?;
        Ok(nonce)
    }

    /// Nonces of the account's transactions that are not mined yet.
    ///
    /// # Errors
    ///
    /// As [`RequestError`].
    pub async fn pending(&self) -> Result<Vec<u64>, RequestError> {
        let Pending(nonces) = self.ask(self.get("/pending")).await?;
        Ok(nonces)
    }

    /// The artifacts of a bounty.
    ///
    /// # Errors
    ///
    /// As [`RequestError`].
    pub async fn artifacts(&self, uri: &str) -> Result<Vec<Artifact>, RequestError> {
        self.ask(self.get(format!("/artifacts/{}/", checked(uri)?))).await
    }

    /// The content of one of them.
    ///
    /// # Errors
    ///
    /// As [`RequestError`].
    pub async fn artifact(&self, uri: &str, index: usize) -> Result<Vec<u8>, RequestError> {
        let mut request = self.get(format!("/artifacts/{}/{index}/", checked(uri)?));
        request.query.truncate(1);
        (request.limit, request.patience) = (ARTIFACT_LIMIT, ARTIFACT_PATIENCE);
        self.repeat(request, |path, Response { status, body }| match status {
            200 => Ok(body),
            _ => Err(malformed(path, status, "an artifact comes with status 200")),
        })
        .await
    }

    /// A bounty as it stands.
    ///
    /// # Errors
    ///
    /// As [`RequestError`].
    pub async fn bounty(&self, guid: Guid) -> Result<Bounty, RequestError> {
        self.ask(self.get(format!("/bounties/{guid}"))).await
    }

    /// Its assertions, in order of index.
    ///
    /// # Errors
    ///
    /// As [`RequestError`].
    pub async fn assertions(&self, guid: Guid) -> Result<Vec<assertion::Assertion>, RequestError> {
        self.ask(self.get(format!("/bounties/{guid}/assertions"))).await
    }

    /// Its votes, in order of arrival.
    ///
    /// # Errors
    ///
    /// As [`RequestError`].
    pub async fn votes(&self, guid: Guid) -> Result<Vec<Vote>, RequestError> {
        self.ask(self.get(format!("/bounties/{guid}/votes"))).await
    }

    /// Stores metadata; the answer is its URI.
    ///
    /// # Errors
    ///
    /// As [`RequestError`].
    pub async fn post_metadata(&self, metadata: &impl Serialize) -> Result<String, RequestError> {
        self.ask(self.post("/bounties/metadata", Some(metadata))).await
    }

    /// The transactions that assert.
    ///
    /// # Errors
    ///
    /// As [`RequestError`].
    pub async fn build_assertion(&self, guid: Guid, assertion: &PostAssertion) -> Result<ToSign, RequestError> {
        self.build(format!("/bounties/{guid}/assertions"), Some(assertion)).await
    }

    /// The transaction that reveals the assertion of that index.
    ///
    /// # Errors
    ///
    /// As [`RequestError`].
    pub async fn build_reveal(&self, guid: Guid, index: u64, reveal: &RevealAssertion) -> Result<ToSign, RequestError> {
        self.build(format!("/bounties/{guid}/assertions/{index}/reveal"), Some(reveal)).await
    }

    /// The transaction that settles.
    ///
    /// # Errors
    ///
    /// As [`RequestError`].
    pub async fn build_settlement(&self, guid: Guid) -> Result<ToSign, RequestError> {
        self.build(format!("/bounties/{guid}/settle"), None::<&()>).await
    }

    /// Sends a signed transaction; the answer is whether it was taken.
    ///
    /// # Errors
    ///
    /// As [`RequestError`]; a refusal of the transaction is an answer.
    pub async fn submit(&self, raw: Vec<u8>) -> Result<Submitted, RequestError> {
        let request = self.post("/transactions", Some(&Submission { transactions: vec![raw] }));
        let path = request.path.clone();
        let entries: Vec<Submitted> = match self.ask(request).await {
            Err(RequestError::Refused { failure: Failure::Submissions(entries), .. }) => entries,
            other => other?,
        };
        // One was sent, so one answer is due.
        let [entry] = <[Submitted; 1]>::try_from(entries)
            .map_err(|found| malformed(&path, 200, format!("{} entries about one transaction", found.len())))?;
        Ok(entry)
    }

    /// What the transactions of an action logged. The server waits for them to be mined, up to its own limit.
    ///
    /// # Errors
    ///
    /// As [`RequestError`]; transactions that failed are an answer.
    pub async fn receipt(&self, hashes: &[B256]) -> Result<Receipt, RequestError> {
        let mut request = self.get("/transactions");
        request.body = Some(json(&Inquiry { transactions: hashes.to_vec() }));
        request.patience = self.chain.receipt_patience();
        match self.ask(request).await {
            Err(RequestError::Refused { failure: Failure::Receipt(receipt), .. }) => Ok(*receipt),
            other => other,
        }
    }

    /// Tells a market in lockstep that the account has nothing more to do before the block after `block`.
    ///
    /// # Errors
    ///
    /// As [`RequestError`].
    pub async fn pass(&self, block: u64) -> Result<(), RequestError> {
        #[derive(Serialize)]
        struct Pass {
            block: u64,
        }
        let mut request = self.post("/_mock/pass", Some(&Pass { block }));
        request.patience = Duration::from_secs(120);
        let _: wire::json::Json = self.ask(request).await?;
        Ok(())
    }

    async fn build(&self, path: String, body: Option<&impl Serialize>) -> Result<ToSign, RequestError> {
        let mut request = self.post(path, body);
        request.query.push(("base_nonce", "0".to_owned()));
        self.ask(request).await
    }

    fn get(&self, path: impl Into<String>) -> Request {
        let query = vec![("account", wire::address::to_text(self.account)), ("chain", self.chain.to_string())];
        Request { method: Method::Get, path: path.into(), query, body: None, limit: JSON_LIMIT, patience: PATIENCE }
    }

    fn post(&self, path: impl Into<String>, body: Option<&impl Serialize>) -> Request {
        Request { method: Method::Post, body: body.map(json), ..self.get(path) }
    }

    /// Makes a request whose answer comes in polyswarmd's envelope.
    async fn ask<R: DeserializeOwned>(&self, request: Request) -> Result<R, RequestError> {
        self.repeat(request, |path, Response { status, body }| {
            let envelope: Envelope<R> = serde_json::from_slice(&body).map_err(|cause| malformed(path, status, cause))?;
            envelope.into_result().map_err(|failure| RequestError::Refused { path: path.to_owned(), status, failure })
        })
        .await
    }

    async fn repeat<R>(&self, request: Request, read: impl Fn(&str, Response) -> Result<R, RequestError>) -> Result<R, RequestError> {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(2));
        let path = request.path.clone();
        let mut attempt = 1;
        loop {
            let error = match self.transport.send(request.clone()).await {
                Ok(Response { status: 429, .. }) => RequestError::Throttled { path: path.clone() },
                Ok(response) => match read(&path, response) {
                    Ok(result) => return Ok(result),
                    Err(error) => error,
                },
                Err(cause) => RequestError::Transport { path: path.clone(), cause },
            };
            if attempt == ATTEMPTS || !error.is_transient() {
                return Err(error);
            }
            attempt += 1;
            tracing::debug!(%error, "asking again");
            let wait = backoff.wait();
            tokio::time::sleep(if matches!(error, RequestError::Throttled { .. }) { THROTTLE } else { wait }).await;
        }
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("the wire's types have JSON")
}

fn malformed(path: &str, status: u16, cause: impl ToString) -> RequestError {
    RequestError::Malformed { path: path.to_owned(), status, cause: cause.to_string() }
}

/// The URI, if it is one that can stand in a path.
fn checked(uri: &str) -> Result<&str, RequestError> {
    match UriKind::of(uri) {
        Some(_) => Ok(uri),
        None => Err(RequestError::ForeignUri { uri: uri.chars().take(80).collect() }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Answers with what it is given, last first, and remembers what it was asked.
    struct Script {
        answers: Mutex<Vec<Result<Response, TransportError>>>,
        asked: Mutex<Vec<Request>>,
    }

    impl Transport for &'static Script {
        async fn send(&self, request: Request) -> Result<Response, TransportError> {
            self.asked.lock().unwrap().push(request);
            self.answers.lock().unwrap().pop().expect("no more requests than answers")
        }
    }

    fn script(mut answers: Vec<Result<Response, TransportError>>) -> (&'static Script, Polyswarmd<&'static Script>) {
        answers.reverse();
        let script: &'static Script = Box::leak(Box::new(Script { answers: Mutex::new(answers), asked: Mutex::default() }));
        (script, Polyswarmd::new(script, Address::repeat_byte(0x11), Chain::Side))
    }

    fn answer(status: u16, body: &str) -> Result<Response, TransportError> {
        Ok(Response { status, body: body.as_bytes().to_vec() })
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_on_the_way_is_asked_again() {
        let broken = || Err(TransportError::Connection { cause: "reset".to_owned() });
        let (script, client) =
            script(vec![broken(), answer(429, "slow down"), answer(502, "<html>"), answer(200, r#"{"status":"OK","result":"7"}"#)]);
        assert_eq!(client.balance().await, Ok(Nct::wei(7)));
        let asked = script.asked.lock().unwrap();
        assert_eq!(asked.len(), 4);
        assert_eq!(asked[0].path, "/balances/0x1111111111111111111111111111111111111111/nct");
        assert_eq!(asked[0].query[1], ("chain", "side".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_not_asked_again_and_keeps_its_words() {
        let (_, client) = script(vec![answer(404, r#"{"status":"FAIL","errors":"Bounty not found"}"#)]);
        let error = client.bounty(Guid(7)).await.unwrap_err();
        assert!(error.is_missing());
        assert_eq!(error.to_string(), "/bounties/00000000-0000-0000-0000-000000000007: Bounty not found");
        let (_, client) = script(vec![answer(200, "[]")]);
        assert!(client.balance().await.unwrap_err().to_string().contains("not polyswarmd's"));
    }

    #[tokio::test]
    async fn refused_transactions_and_failed_receipts_are_answers() {
        let refused = r#"{"status":"FAIL","errors":[{"is_error":true,"message":"nonce too low"}]}"#;
        let failed = r#"{"status":"FAIL","errors":{"errors":["transaction 11: transaction failed at block 138, error: Settled"]}}"#;
        let (script, client) = script(vec![answer(400, refused), answer(400, failed), answer(200, r#"{"status":"OK","result":[]}"#)]);
        assert_eq!(client.submit(vec![1, 2]).await, Ok(Submitted::refused("nonce too low")));
        assert_eq!(client.receipt(&[B256::ZERO]).await.unwrap().errors.len(), 1);
        assert!(client.submit(vec![1]).await.is_err(), "one transaction, one entry");
        let asked = script.asked.lock().unwrap();
        assert_eq!((asked[1].method, asked[1].body.is_some()), (Method::Get, true), "a GET with a body");
    }

    #[tokio::test]
    async fn artifact_uris_cannot_leave_their_path() {
        let (script, client) = script(vec![answer(200, "MZ")]);
        let error = client.artifact("../../transactions", 0).await.unwrap_err();
        assert_eq!(error.to_string(), "`../../transactions` is no artifact URI");
        assert_eq!(client.artifact("QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o", 2).await.unwrap(), b"MZ");
        let asked = &script.asked.lock().unwrap()[0];
        assert_eq!(asked.path, "/artifacts/QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o/2/");
        assert_eq!(asked.query.len(), 1, "the account alone");
    }

    #[tokio::test]
    async fn an_action_without_content_has_no_body() {
        let (script, client) = script(vec![answer(200, r#"{"status":"OK","result":{"transactions":[]}}"#)]);
        client.build_settlement(Guid(7)).await.unwrap();
        let asked = &script.asked.lock().unwrap()[0];
        assert_eq!((asked.method, &asked.body), (Method::Post, &None));
        assert_eq!(asked.query[2], ("base_nonce", "0".to_owned()));
    }
}
