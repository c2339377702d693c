//! The engine on a real market: a client of polyswarmd that drives the [`Microengine`](crate::microengine::Microengine).
//!
//! Decisions are made elsewhere: the core decides on bounties, [`driver`] on what follows from what happened, and
//! neither waits for anything. [`run`] carries out what they ask for. The modules stand in reading order.
//!
//! Sources: polyswarmd 2.x in its "ethereum" mode, as polyswarm-client 2.13 speaks to it.
pub mod backoff; // how long to wait before trying again
pub mod wallet; // keystores
pub mod http; // requests and answers, as bytes
pub mod polyswarmd; // the requests there are, as types
pub mod events; // the WebSocket
pub mod verify; // nothing is signed that was not asked for
pub mod transactions; // nonces, signing, sending, receipts
pub mod journal; // what was promised, on disk
pub mod funds; // what can be staked
pub mod summary; // what was done
pub mod job; // what is asked for, and what comes of it
pub mod driver; // what follows from what happened
pub mod run; // jobs carried out, concurrently or in lockstep
pub mod cli; // the `microengine` command
