//! A polyswarmd that replays a labelled corpus: the market of the simulator behind polyswarmd's own REST and WebSocket
//! protocol, with simulated rivals and arbiters, for real clients to trade on unmodified.
//!
//! It has no rule of its own: every refusal is the market's. The modules stand in reading order.
pub mod transaction; // a signed transaction, read
pub mod chain; // both chains: inputs in, events out
pub mod pool; // transactions that wait
pub mod content; // artifacts and metadata by address
pub mod messages; // the market's log in polyswarmd's words
pub mod live; // what the live page shows
pub mod node; // all of it behind one lock
pub mod server; // what all requests share
pub mod clock; // when blocks are mined
pub mod http; // the routes
pub mod run; // the files of a run
pub mod cli; // from the command line to the report
