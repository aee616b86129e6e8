//! Ground truth: a container under `strace -f` from its first instruction, and which paths of its image it used.
//!
//! strace shares nothing with the agent: it is told of each system call by ptrace, stops the process, and reads the
//! names from its memory. How its output is understood shares nothing with the agent either, the walk over symbolic
//! links included: an error in one would not hide in the other.

mod access;
mod calls;
mod freezer;
mod line;
mod names;
mod processes;
mod text;
mod tracer;

pub use access::Access;
pub use names::Visible;
pub use tracer::traced;
