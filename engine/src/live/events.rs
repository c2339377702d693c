//! The WebSocket of events: connects again when the link breaks, waiting 1 s, 2 s, … 32 s.
//!
//! Events in between are lost for good: polyswarmd does not repeat them. The driver hears of every new connection, because
//! parameters may have changed meanwhile.

use std::{borrow::Cow, future::Future, time::Duration};

use futures_util::{SinkExt as _, Stream, StreamExt as _};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{self, protocol::WebSocketConfig};
use wire::message::Message;

use super::backoff::Backoff;

/// Longest message that is read, in bytes: a bounty with metadata on 256 artifacts takes a tenth.
const MESSAGE_LIMIT: usize = 4 << 20;
/// How long a connection may take to come up.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// Between two pings.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Without a word for so long, pongs included, a link is dead.
const SILENCE: Duration = Duration::from_secs(45);
/// Waits between connections.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(32));

/// What the driver hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Incoming {
    /// A new connection: parameters may have changed.
    Connected,
    /// An event.
    Message(Box<Message>),
}

/// Something that opens links to a stream of messages.
pub trait Connect: Send + 'static {
    /// Texts of messages until the link breaks, with an error or without.
    type Link: Stream<Item = Result<String, String>> + Send + Unpin;

    /// Opens a link.
    ///
    /// # Errors
    ///
    /// Why not, in a sentence.
    fn connect(&mut self) -> impl Future<Output = Result<Self::Link, String>> + Send;
}

/// Reads a message, unless it is of the many that an engine has no use for: what others assert, reveal and vote. What it
/// does itself, it learns from receipts.
fn read(text: &str) -> Result<Option<Message>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Name<'a> {
        #[serde(borrow)]
        event: Cow<'a, str>,
    }
    match &*serde_json::from_str::<Name<'_>>(text)?.event {
        "assertion" | "reveal" | "vote" => Ok(None),
        _ => serde_json::from_str(text).map(Some),
    }
}

/// Keeps a link open and passes on what comes, until nobody listens any more, or until a link could not be opened so many
/// times in a row, if a number is given.
pub async fn listen<C: Connect>(mut connect: C, to: mpsc::Sender<Incoming>, tries: Option<u32>) {
    let (mut backoff, mut failures) = (BACKOFF, 0);
    loop {
        let opened = tokio::select! {
            opened = connect.connect() => opened,
            () = to.closed() => return,
        };
        match opened {
            Ok(mut link) => {
                failures = 0;
                if to.send(Incoming::Connected).await.is_err() {
                    return;
                }
                loop {
                    let text = tokio::select! {
                        text = link.next() => text,
                        () = to.closed() => return,
                    };
                    match text {
                        Some(Ok(text)) => {
                            backoff.reset();
                            match read(&text) {
                                Ok(None) => {}
                                Ok(Some(message)) => {
                                    if to.send(Incoming::Message(Box::new(message))).await.is_err() {
                                        return;
                                    }
                                }
                                Err(error) => tracing::warn!(%error, "skipping a message that is not polyswarmd's"),
                            }
                        }
                        Some(Err(cause)) => {
                            tracing::warn!(%cause, "the event socket broke");
                            break;
                        }
                        None => {
                            tracing::warn!("the event socket was closed");
                            break;
                        }
                    }
                }
            }
            Err(cause) => {
                tracing::warn!(%cause, "cannot open the event socket");
                failures += 1;
                if tries.is_some_and(|tries| failures >= tries) {
                    return;
                }
            }
        }
        let wait = backoff.wait();
        tracing::info!(seconds = wait.as_secs(), "connecting again after a while");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = to.closed() => return,
        }
    }
}

/// A WebSocket over the network.
#[derive(Clone, Debug)]
pub struct WebSocket {
    address: String,
}

impl WebSocket {
    /// The socket at that address, `ws://…` or `wss://…`.
    pub fn new(address: String) -> WebSocket {
        WebSocket { address }
    }
}

impl Connect for WebSocket {
    type Link = std::pin::Pin<Box<dyn Stream<Item = Result<String, String>> + Send>>;

    async fn connect(&mut self) -> Result<Self::Link, String> {
        let limits = WebSocketConfig::default().max_message_size(Some(MESSAGE_LIMIT)).max_frame_size(Some(MESSAGE_LIMIT));
        let opening = tokio_tungstenite::connect_async_with_config(self.address.as_str(), Some(limits), true);
        let (socket, _) = tokio::time::timeout(CONNECT_PATIENCE, opening)
            .await
            .map_err(|_| format!("{}: no answer within {} s", self.address, CONNECT_PATIENCE.as_secs()))?
            .map_err(|cause| format!("{}: {cause}", self.address))?;
        let (mut sink, stream) = socket.split();
        let (pings, stop) = mpsc::channel::<()>(1);
        // Pings go out beside the reading; the task ends when the reader drops its end.
        tokio::spawn(async move {
            let mut stop = stop;
            loop {
                tokio::select! {
                    () = tokio::time::sleep(PING_EVERY) => {
                        if sink.send(tungstenite::Message::Ping(Vec::new().into())).await.is_err() {
                            return;
                        }
                    }
                    _ = stop.recv() => {
                        let _ = sink.close().await;
                        return;
                    }
                }
            }
        });
        Ok(Box::pin(futures_util::stream::unfold(Some((stream, pings)), |open| async move {
            let (mut stream, pings) = open?;
            loop {
                let text = match tokio::time::timeout(SILENCE, stream.next()).await {
                    Err(_) => return Some((Err(format!("not a word for {} s", SILENCE.as_secs())), None)),
                    Ok(None | Some(Ok(tungstenite::Message::Close(_)))) => return None,
                    Ok(Some(Err(cause))) => return Some((Err(cause.to_string()), None)),
                    Ok(Some(Ok(tungstenite::Message::Text(text)))) => text.as_str().to_owned(),
                    Ok(Some(Ok(tungstenite::Message::Binary(bytes)))) => String::from_utf8_lossy(&bytes).into_owned(),
                    Ok(Some(Ok(_))) => continue,
                };
                return Some((Ok(text), Some((stream, pings))));
            }
        })))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::stream;
    use tokio::time::Instant;

    use super::*;

    /// Links that bring these texts and then break; `None` cannot be opened. Notes when each was asked for.
    struct Links {
        links: Vec<Option<Vec<&'static str>>>,
        asked: Arc<Mutex<Vec<u64>>>,
        start: Instant,
    }

    impl Connect for Links {
        type Link = stream::Iter<std::vec::IntoIter<Result<String, String>>>;

        async fn connect(&mut self) -> Result<Self::Link, String> {
            self.asked.lock().unwrap().push(self.start.elapsed().as_secs());
            if self.links.is_empty() {
                return std::future::pending().await;
            }
            let texts = self.links.remove(0).ok_or("refused")?;
            Ok(stream::iter(texts.into_iter().map(|text| Ok(text.to_owned())).collect::<Vec<_>>()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_a_market_can_be_over_nobody_waits_for_ever() {
        let asked = Arc::default();
        let connect = Links { links: vec![None, Some(vec![]), None, None, None], asked: Arc::clone(&asked), start: Instant::now() };
        let (to, mut from) = mpsc::channel(8);
        listen(connect, to, Some(2)).await;
        assert_eq!((from.recv().await, from.recv().await), (Some(Incoming::Connected), None));
        assert_eq!(asked.lock().unwrap().len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_link_is_opened_again_ever_more_slowly_until_it_works() {
        let asked = Arc::default();
        let block = r#"{"event":"block","data":{"number":7}}"#;
        let links = vec![None, None, None, None, None, None, None, Some(vec!["junk", block]), Some(vec![]), None];
        let connect = Links { links, asked: Arc::clone(&asked), start: Instant::now() };
        let (to, mut from) = mpsc::channel(8);
        let listening = tokio::spawn(listen(connect, to, None));
        assert_eq!(from.recv().await, Some(Incoming::Connected));
        let Some(Incoming::Message(message)) = from.recv().await else { panic!("a block comes") };
        assert_eq!(message.event.name(), "block");
        assert_eq!(from.recv().await, Some(Incoming::Connected));
        tokio::time::sleep(Duration::from_secs(60)).await;
        // 1, 2, 4 … 32 s, 32 s; then it worked: 1, 2, 4 s.
        assert_eq!(*asked.lock().unwrap(), [0, 1, 3, 7, 15, 31, 63, 95, 96, 98, 102]);
        drop(from);
        listening.await.unwrap();
    }

    #[tokio::test]
    async fn texts_and_binary_frames_come_through_a_real_socket_until_it_is_closed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("ws://{}/events/?chain=side", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            for message in [
                tungstenite::Message::text("one"),
                tungstenite::Message::Ping(Vec::new().into()),
                tungstenite::Message::binary(b"two".to_vec()),
            ] {
                socket.send(message).await.unwrap();
            }
            let pong = socket.next().await.unwrap().unwrap();
            socket.close(None).await.unwrap();
            pong
        });
        let link = WebSocket::new(address.clone()).connect().await.unwrap();
        assert_eq!(link.collect::<Vec<_>>().await, [Ok("one".to_owned()), Ok("two".to_owned())]);
        assert!(serving.await.unwrap().is_pong());
        let Err(refused) = WebSocket::new(address.clone()).connect().await else { panic!("nobody is there any more") };
        assert!(refused.starts_with(&address), "{refused}");
    }
}
