//! Answers in polyswarmd's envelope, always JSON, and what every request says about who asks.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, OptionalFromRequestParts, Path, Query, Request},
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE, request},
    response::{IntoResponse, Response},
};
use market::id::Address;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use wire::{
    envelope::{Envelope, Failure},
    receipt::Receipt,
    transaction::Submitted,
};

use crate::chain::ChainName;

/// A failure and its HTTP status, which clients do not look at.
#[derive(Debug)]
pub(super) struct Fail {
    status: StatusCode,
    failure: Failure,
}

impl Fail {
    pub(super) fn new(status: StatusCode, sentence: impl std::fmt::Display) -> Fail {
        Fail { status, failure: Failure::text(sentence) }
    }

    pub(super) fn bad(sentence: impl std::fmt::Display) -> Fail {
        Fail::new(StatusCode::BAD_REQUEST, sentence)
    }

    pub(super) fn missing(sentence: impl std::fmt::Display) -> Fail {
        Fail::new(StatusCode::NOT_FOUND, sentence)
    }

    /// Our own mistake: the log says more than the answer.
    pub(super) fn internal(error: impl std::fmt::Display) -> Fail {
        tracing::error!(%error, "an answer cannot be made");
        Fail::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; the server's log says more")
    }

    pub(super) fn of(failure: Failure) -> Fail {
        Fail { status: StatusCode::BAD_REQUEST, failure }
    }

    /// In the shape that clients expect of `POST /transactions`: a list with an entry for each.
    pub(super) fn of_submission(self) -> Fail {
        let failure = match self.failure {
            Failure::Text(sentence) => Failure::Submissions(vec![Submitted::refused(sentence)]),
            other => other,
        };
        Fail { failure, ..self }
    }

    /// In the shape that clients expect of `GET /transactions`: an object with a list of texts.
    pub(super) fn of_receipt(self) -> Fail {
        let failure = match self.failure {
            Failure::Text(sentence) => Failure::Receipt(Box::new(Receipt { errors: vec![sentence], ..Receipt::default() })),
            other => other,
        };
        Fail { failure, ..self }
    }
}

impl IntoResponse for Fail {
    fn into_response(self) -> Response {
        json(self.status, &Envelope::<()>::Fail(self.failure))
    }
}

/// A success.
#[derive(Debug)]
pub(super) struct Success<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &Envelope::Ok(self.0))
    }
}

pub(super) type Answer<T> = Result<Success<T>, Fail>;

/// A value as JSON. Amounts go beyond 64 bits, which only text carries.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    let bytes = serde_json::to_vec(value).map_err(|error| tracing::error!(%error, "an answer cannot be written"));
    let (status, bytes) = match bytes {
        Ok(bytes) => (status, bytes),
        Err(()) => (StatusCode::INTERNAL_SERVER_ERROR, br#"{"status":"FAIL","errors":"internal error"}"#.to_vec()),
    };
    (status, rendered(bytes.into())).into_response()
}

/// An answer that is JSON already.
pub(super) fn rendered(bytes: Bytes) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response()
}

/// A JSON body, whatever its content type says: some clients send none.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Fail;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, Fail> {
        let Raw(bytes) = Raw::from_request(request, state).await?;
        serde_json::from_slice(&bytes).map(Body).map_err(|error| Fail::bad(format_args!("the body is not what this path takes: {error}")))
    }
}

/// What stands in the path at its `{…}`; axum's own would refuse in plain text.
#[derive(Debug)]
pub(super) struct Segments<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Segments<T>, Fail> {
        let values = <Path<T> as FromRequestParts<S>>::from_request_parts(parts, state).await;
        values.map(|Path(values)| Segments(values)).map_err(|error| Fail::new(error.status(), error.body_text()))
    }
}

/// A body as it is.
#[derive(Debug)]
pub(super) struct Raw(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Fail;

    async fn from_request(request: Request, state: &S) -> Result<Raw, Fail> {
        Bytes::from_request(request, state).await.map(Raw).map_err(|error| Fail::new(error.status(), error.body_text()))
    }
}

/// What the query says: who asks, and about which chain. Anything else in it is skipped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) account: Option<Address>,
    pub(super) chain: ChainName,
    pub(super) base_nonce: u64,
    pub(super) ignore_pending: bool,
}

#[derive(Deserialize)]
struct CallerQuery {
    account: Option<String>,
    chain: Option<String>,
    base_nonce: Option<String>,
    ignore_pending: Option<String>,
}

impl Caller {
    /// Who asks.
    pub(super) fn account(&self) -> Result<Address, Fail> {
        self.account.ok_or_else(|| Fail::bad("the query needs `account`, the address of who asks"))
    }
}

impl FromRequestParts<std::sync::Arc<crate::server::Server>> for Caller {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut request::Parts, server: &std::sync::Arc<crate::server::Server>) -> Result<Caller, Fail> {
        let query = Query::<CallerQuery>::try_from_uri(&parts.uri).map_err(|error| Fail::bad(error.body_text()))?.0;
        let account = match query.account.as_deref() {
            None | Some("") => None,
            Some(text) => Some(address(text)?),
        };
        let chain = match query.chain.as_deref() {
            None | Some("side") => ChainName::Side,
            Some("home") => ChainName::Home,
            Some(_) => return Err(Fail::bad("`chain` is neither `side` nor `home`")),
        };
        if let Some(account) = account {
            server.visit(account);
        }
        let base_nonce = query.base_nonce.and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Caller { account, chain, base_nonce, ignore_pending: query.ignore_pending.is_some() })
    }
}

impl OptionalFromRequestParts<std::sync::Arc<crate::server::Server>> for Caller {
    type Rejection = std::convert::Infallible;

    /// For the two paths on which a client must never be told of an error.
    async fn from_request_parts(
        parts: &mut request::Parts,
        server: &std::sync::Arc<crate::server::Server>,
    ) -> Result<Option<Caller>, std::convert::Infallible> {
        Ok(<Caller as FromRequestParts<_>>::from_request_parts(parts, server).await.ok())
    }
}

/// An address in a path or a query, in any case of letters.
pub(super) fn address(text: &str) -> Result<Address, Fail> {
    wire::address::parse(text).map_err(Fail::bad)
}
