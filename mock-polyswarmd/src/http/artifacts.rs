//! Upload and download of artifacts, by the address of their content.

use std::sync::Arc;

use axum::{
    extract::{Multipart, State, multipart::MultipartRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use wire::artifact::Artifact;

use super::answer::{Answer, Caller, Fail, Segments, Success};
use crate::{
    content::{NoContent, UPLOAD_MAXIMUM, Upload},
    server::Server,
};

type Shared = State<Arc<Server>>;

fn fail(error: NoContent) -> Fail {
    match error {
        NoContent::TooLarge { .. } => Fail::new(StatusCode::PAYLOAD_TOO_LARGE, error),
        NoContent::BadCount | NoContent::Damaged { .. } => Fail::bad(error),
        NoContent::Corpus(error) => {
            tracing::error!(%error, "an artifact of the corpus cannot be read");
            Fail::new(StatusCode::INTERNAL_SERVER_ERROR, "the artifact cannot be read from the corpus; the server's log says more")
        }
        _ => Fail::missing(error),
    }
}

/// Takes in the files of a form, in order, whatever they are called.
pub(super) async fn upload(State(server): Shared, _: Caller, form: Result<Multipart, MultipartRejection>) -> Answer<String> {
    let mut form = form.map_err(|error| Fail::new(error.status(), error.body_text()))?;
    let (mut files, mut bytes) = (Vec::new(), 0);
    while let Some(mut part) = form.next_field().await.map_err(|error| Fail::new(error.status(), error.body_text()))? {
        let mut file = Vec::new();
        while let Some(chunk) = part.chunk().await.map_err(|error| Fail::new(error.status(), error.body_text()))? {
            bytes += chunk.len();
            if bytes > UPLOAD_MAXIMUM {
                return Err(fail(NoContent::TooLarge { what: "uploads", bytes, limit: UPLOAD_MAXIMUM }));
            }
            file.extend_from_slice(&chunk);
        }
        files.push(file);
        if files.len() > 256 {
            return Err(fail(NoContent::BadCount));
        }
    }
    let upload = tokio::task::spawn_blocking(move || Upload::of(files)).await;
    let upload = upload.map_err(Fail::internal)?.map_err(fail)?;
    let uri = upload.uri.clone();
    server.node().upload(upload).map_err(fail)?;
    Ok(Success(uri))
}

pub(super) async fn listing(State(server): Shared, _: Caller, Segments(uri): Segments<String>) -> Answer<Vec<Artifact>> {
    server.node().store().listing(&uri).map(|listing| Success(listing.artifacts.clone())).map_err(fail)
}

/// The bytes, and nothing but 200: clients take any other success for nothing.
pub(super) async fn content(
    State(server): Shared,
    _: Caller,
    Segments((uri, index)): Segments<(String, String)>,
) -> Result<Response, Fail> {
    let index = index.parse().map_err(|_| Fail::bad("an artifact's index is a number"))?;
    let (found, setup) = {
        let node = server.node();
        (node.store().find(&uri, index).map_err(fail)?, node.setup().clone())
    };
    let read = tokio::task::spawn_blocking(move || found.read(&setup.corpus)).await;
    let bytes = read.map_err(|_| Fail::new(StatusCode::INTERNAL_SERVER_ERROR, "the artifact cannot be read"))?.map_err(fail)?;
    // Hostile bytes: nobody is to guess what they are, or to show them.
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment")),
    ];
    Ok((headers, bytes).into_response())
}
