//! The protocol as clients meet it: a server in this process, spoken to over HTTP and WebSockets.
mod support; // the server, and who talks to it
mod conventions; // paths, envelopes, headers, queries
mod transactions; // what is to sign, what is taken, nonces
mod receipts; // what actions log, on both chains
mod events; // WebSockets
mod artifacts; // uploads, downloads, metadata
mod clock; // blocks, by time and in lockstep
mod cheats; // `/_mock/`
mod live; // the live page
mod visitors; // what one visitor must not be able to do to a run
mod hostile; // anything at all
