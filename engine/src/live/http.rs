//! Requests and answers as bytes, with a limit on everything: the size of an answer and the time it takes.
//!
//! [`Transport`] is all that the rest of the client knows of HTTP, so tests bring their own.

use std::{fmt, future::Future, time::Duration};

use reqwest::{
    Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect::Policy,
};

/// How long a connection may take to come up.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// GET or POST.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Asks; in polyswarmd sometimes with a body.
    Get,
    /// Tells.
    Post,
}

/// A request to polyswarmd.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// GET or POST.
    pub method: Method,
    /// From the server's base on, with a leading slash.
    pub path: String,
    /// Names and values, not encoded.
    pub query: Vec<(&'static str, String)>,
    /// JSON, or nothing at all.
    pub body: Option<Vec<u8>>,
    /// Longest answer that is taken, in bytes.
    pub limit: usize,
    /// Longest time until the whole answer is here.
    pub patience: Duration,
}

/// An answer, whatever its status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// At most as long as the request allows.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// It took too long. Whether the request arrived is not known.
    #[error("no answer within {} s", patience.as_secs_f64())]
    Timeout {
        /// What the request allowed.
        patience: Duration,
    },
    /// The answer is too long.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// What the request allowed.
        limit: usize,
    },
    /// No connection, or it broke. Whether the request arrived is not known.
    #[error("{cause}")]
    Connection {
        /// Why, as the operating system says it.
        cause: String,
    },
}

/// Something that carries requests to a polyswarmd and brings back its answers.
pub trait Transport: Send + Sync + 'static {
    /// Carries one request.
    ///
    /// # Errors
    ///
    /// If no complete answer came; any status is an answer.
    fn send(&self, request: Request) -> impl Future<Output = Result<Response, TransportError>> + Send;
}

/// Where polyswarmd is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerAddress(Url);

/// Why an address cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// No URL.
    #[error("`{text}` is not an address such as `http://127.0.0.1:31337`: {cause}")]
    Malformed {
        /// As given.
        text: String,
        /// What the URL parser says.
        cause: String,
    },
    /// Another scheme than http and https.
    #[error("`{scheme}://` is neither http:// nor https://")]
    UnknownScheme {
        /// As given.
        scheme: String,
    },
    /// Credentials, a query or a fragment.
    #[error("`{text}` must be host, port and path alone; an API key goes into API_KEY")]
    TooMuch {
        /// As given.
        text: String,
    },
    /// https in a build without TLS.
    #[error("this build speaks no TLS: build with `--features tls`, or name an http:// address")]
    NoTls,
}

impl ServerAddress {
    /// Reads `http://host:port/prefix`, or `host:port`, which means http if `insecure` and https otherwise.
    ///
    /// # Errors
    ///
    /// If it is no such address, or TLS is not built in and needed.
    pub fn parse(text: &str, insecure: bool) -> Result<ServerAddress, AddressError> {
        let scheme = if insecure { "http" } else { "https" };
        let full = if text.contains("://") { text.to_owned() } else { format!("{scheme}://{text}") };
        let url = Url::parse(&full).map_err(|cause| AddressError::Malformed { text: text.to_owned(), cause: cause.to_string() })?;
        match url.scheme() {
            "http" => {}
            "https" if cfg!(feature = "tls") => {}
            "https" => return Err(AddressError::NoTls),
            scheme => return Err(AddressError::UnknownScheme { scheme: scheme.to_owned() }),
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::TooMuch { text: text.to_owned() });
        }
        Ok(ServerAddress(url))
    }

    /// True if what is sent there can be read on the way.
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// The address of a path on that server.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0.as_str().trim_end_matches('/'))
    }

    /// The address of its WebSocket for a chain.
    pub fn events(&self, chain: impl fmt::Display) -> String {
        self.join(&format!("/events/?chain={chain}")).replacen("http", "ws", 1)
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// HTTP over the network.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    server: ServerAddress,
    api_key: Option<HeaderValue>,
}

/// A key that no HTTP header can carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an API key is 32 lower-case hex digits")]
pub struct MalformedApiKey;

impl Http {
    /// A client of that server. The key, if any, goes with every request; it never shows in debug output.
    ///
    /// # Errors
    ///
    /// For a key that polyswarmd cannot have given out.
    ///
    /// # Panics
    ///
    /// If the TLS library cannot start.
    pub fn new(server: ServerAddress, api_key: Option<&str>) -> Result<Http, MalformedApiKey> {
        let header = |key: &str| {
            let digits = key.len() == 32 && key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            let mut value = HeaderValue::from_str(key).ok().filter(|_| digits).ok_or(MalformedApiKey)?;
            value.set_sensitive(true);
            Ok(value)
        };
        let api_key = api_key.map(header).transpose()?;
        // Redirects could carry the key or an answer elsewhere, and proxies are for browsers.
        let client = reqwest::Client::builder().connect_timeout(CONNECT_PATIENCE).redirect(Policy::none()).no_proxy().build();
        Ok(Http { client: client.expect("an HTTP client can be set up"), server, api_key })
    }
}

impl Transport for Http {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let Request { method, path, query, body, limit, patience } = request;
        let mut url = Url::parse(&self.server.join(&path)).map_err(|cause| TransportError::Connection { cause: cause.to_string() })?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(&query);
        }
        let mut builder = match method {
            Method::Get => self.client.get(url),
            Method::Post => self.client.post(url),
        };
        if let Some(key) = &self.api_key {
            builder = builder.header(AUTHORIZATION, key.clone());
        }
        if let Some(body) = body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body);
        }
        let connection = |error: reqwest::Error| {
            if error.is_timeout() {
                return TransportError::Timeout { patience };
            }
            let mut cause: &dyn std::error::Error = &error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            TransportError::Connection { cause: cause.to_string() }
        };
        let mut response = builder.timeout(patience).send().await.map_err(connection)?;
        let status = response.status().as_u16();
        let mut body = Vec::with_capacity(response.content_length().unwrap_or(0).min(limit as u64) as usize);
        while let Some(chunk) = response.chunk().await.map_err(connection)? {
            if body.len() + chunk.len() > limit {
                return Err(TransportError::TooLarge { limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, body })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn addresses_keep_their_prefix_and_need_no_scheme() {
        let parse = |text| ServerAddress::parse(text, true).unwrap();
        for text in ["http://127.0.0.1:31337", "http://127.0.0.1:31337/", "127.0.0.1:31337"] {
            assert_eq!(parse(text).join("/nonce"), "http://127.0.0.1:31337/nonce");
        }
        let prefixed = parse("http://localhost:8080/v1/default/");
        assert_eq!(prefixed.join("/nonce"), "http://localhost:8080/v1/default/nonce");
        assert_eq!(prefixed.events("side"), "ws://localhost:8080/v1/default/events/?chain=side");
    }

    #[test]
    fn addresses_that_cannot_be_used_say_why() {
        let refused = |text| ServerAddress::parse(text, false).unwrap_err().to_string();
        assert_eq!(refused("ftp://example.org"), "`ftp://` is neither http:// nor https://");
        assert!(refused("http://").starts_with("`http://` is not an address such as"));
        assert!(refused("http://key@example.org").contains("API_KEY"));
        if cfg!(not(feature = "tls")) {
            assert_eq!(refused("api.example.org"), "this build speaks no TLS: build with `--features tls`, or name an http:// address");
        }
    }

    #[test]
    fn an_api_key_is_checked_and_never_shown() {
        let server = || ServerAddress::parse("http://127.0.0.1:1", true).unwrap();
        assert!(Http::new(server(), Some("0123456789ABCDEF0123456789ABCDEF")).is_err());
        assert!(Http::new(server(), Some("0123456789abcdef")).is_err());
        let key = "0123456789abcdef0123456789abcdef";
        let shown = format!("{:?}", Http::new(server(), Some(key)).unwrap());
        assert!(!shown.contains(key), "{shown}");
    }

    /// Answers one request with these bytes; the thread hands back what it read.
    fn answer(bytes: &'static [u8]) -> (ServerAddress, std::thread::JoinHandle<String>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = ServerAddress::parse(&format!("http://{}/v1", listener.local_addr().unwrap()), true).unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut read = Vec::new();
            while !read.ends_with(b"{}") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap() == 0 {
                    break;
                }
                read.push(byte[0]);
            }
            // The client may hang up before it has read everything.
            let _ = stream.write_all(bytes);
            String::from_utf8(read).unwrap()
        });
        (address, serving)
    }

    fn request(limit: usize) -> Request {
        let query = vec![("account", "0xA b".to_owned())];
        let (method, path, patience) = (Method::Get, "/nonce".to_owned(), Duration::from_secs(20));
        Request { method, path, query, body: Some(b"{}".to_vec()), limit, patience }
    }

    #[tokio::test]
    async fn a_get_carries_its_body_the_key_and_the_prefix() {
        let (address, serving) = answer(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno");
        let http = Http::new(address, Some("0123456789abcdef0123456789abcdef")).unwrap();
        assert_eq!(http.send(request(2)).await, Ok(Response { status: 404, body: b"no".to_vec() }));
        let read = serving.join().unwrap().to_lowercase();
        assert!(read.starts_with("get /v1/nonce?account=0xa+b http/1.1\r\n"), "{read}");
        assert!(read.contains("\r\nauthorization: 0123456789abcdef0123456789abcdef\r\n"), "{read}");
        assert!(read.contains("\r\ncontent-type: application/json\r\n") && read.ends_with("\r\n\r\n{}"), "{read}");
    }

    #[tokio::test]
    async fn answers_are_limited_however_they_come_and_redirects_are_not_followed() {
        for long in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        ] {
            let (address, _serving) = answer(long);
            assert_eq!(Http::new(address, None).unwrap().send(request(2)).await, Err(TransportError::TooLarge { limit: 2 }));
        }
        let (address, _serving) = answer(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(Http::new(address, None).unwrap().send(request(2)).await.map(|response| response.status), Ok(302));
        let (address, _serving) = answer(b"");
        assert!(matches!(Http::new(address, None).unwrap().send(request(2)).await, Err(TransportError::Connection { .. })));
    }
}
