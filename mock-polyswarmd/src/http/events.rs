//! The WebSocket: everything that is logged on a chain, and every block. Whoever does not read is dropped.

use std::sync::Arc;

use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use tokio::sync::broadcast::error::RecvError;
use wire::message::{self, Block, Connected};

use super::answer::{Caller, Fail};
use crate::server::{Listener, Server};

/// Largest frame from a client in bytes; clients send nothing but pings.
const FRAME_MAXIMUM: usize = 1 << 16;

pub(super) async fn events(
    State(server): State<Arc<Server>>,
    caller: Caller,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Fail> {
    let upgrade = upgrade.map_err(|error| Fail::new(error.status(), error.body_text()))?;
    let upgrade = upgrade.max_message_size(FRAME_MAXIMUM).max_frame_size(FRAME_MAXIMUM);
    // From here on nothing is missed.
    let listener = server.listen(caller.chain);
    Ok(upgrade.on_upgrade(async move |socket| {
        if let Err(reason) = talk(&server, socket, listener).await {
            tracing::debug!(chain = caller.chain.name(), reason, "a WebSocket ends");
        }
    }))
}

async fn talk(server: &Server, socket: WebSocket, listener: Listener) -> Result<(), &'static str> {
    let Listener { mut news, mut jumps, now } = listener;
    let (mut sender, mut receiver) = socket.split();
    let start_time = format!("{:.7}", server.started());
    let hello = message::Message::plain(message::Event::Connected(Connected { start_time }));
    // Whoever comes between two blocks can act in this one.
    let block = message::Message::plain(message::Event::Block(Block { number: now }));
    for greeting in [hello, block] {
        let text = serde_json::to_string(&greeting).map_err(|_| "a greeting cannot be written")?;
        say(server, &mut sender, Message::text(text)).await?;
    }
    loop {
        tokio::select! {
            said = news.recv() => match said {
                Ok(text) => say(server, &mut sender, Message::text(&*text)).await?,
                Err(RecvError::Lagged(_)) => return Err("the client is too far behind"),
                Err(RecvError::Closed) => return Ok(()),
            },
            // Reading is what answers pings.
            heard = receiver.next() => match heard {
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(_)) => return Err("the client broke off"),
            },
            _ = jumps.changed() => {
                let _ = sender.send(Message::Close(None)).await;
                return Err("time went elsewhere");
            }
            () = server.stopped() => {
                // Whatever was said before is told; the client may be gone already.
                while let Ok(text) = news.try_recv() {
                    if sender.send(Message::text(&*text)).await.is_err() {
                        break;
                    }
                }
                let _ = sender.send(Message::Close(None)).await;
                return Ok(());
            }
        }
    }
}

async fn say(server: &Server, sender: &mut SplitSink<WebSocket, Message>, message: Message) -> Result<(), &'static str> {
    match tokio::time::timeout(server.patience().reader, sender.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err("the client is gone"),
        Err(_) => Err("the client does not read"),
    }
}
