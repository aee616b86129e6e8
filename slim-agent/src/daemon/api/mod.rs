//! The interface of a running daemon: HTTP and JSON over a unix socket, versioned by path, described by `openapi.json`.
//!
//! ```text
//! curl --unix-socket /run/slim-agent/control.sock http://localhost/v1/profiles/web
//! ```
//!
//! Only root and the members of one group are answered. What a peer can hold is bounded: connections, their time, heads
//! and bodies. A listener on TCP, off unless it is asked for, serves the metrics and the health, to anybody.

mod answer;
mod peer;
mod route;
mod server;
mod socket;

pub use answer::ErrorBody;
pub use route::StartRequest;
pub use server::{Options, Server};

/// The interface's description: OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("openapi.json");

#[cfg(test)]
mod tests;
