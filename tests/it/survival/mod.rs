//! A daemon that is killed, replaced, out of room or without its engine: nothing that happened is missing afterwards, and
//! what cannot be known is said.

mod disk;
mod engine;
mod host;
mod kills;
mod load;
mod truth;
mod upgrade;
