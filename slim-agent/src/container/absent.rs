//! What a runtime does not have, told apart from a runtime that failed: only of the former another one may know.

use std::error::Error;
use std::fmt;

/// Something that is not there. The text says what, and what to do next.
#[derive(Debug)]
pub enum Absent {
    /// Nothing that can be used answers at an address.
    Runtime(String),
    /// A runtime answers, and has no such container.
    Container(String),
    /// A runtime answers, and has no such image.
    Image(String),
}

impl Absent {
    /// Whether `error` is about a container that does not exist.
    pub fn is_container(error: &anyhow::Error) -> bool {
        matches!(error.downcast_ref(), Some(Self::Container(_)))
    }

    /// Whether `error` is about an image that does not exist.
    pub fn is_image(error: &anyhow::Error) -> bool {
        matches!(error.downcast_ref(), Some(Self::Image(_)))
    }

    /// Whether `error` is about an address at which no runtime is.
    pub fn is_runtime(error: &anyhow::Error) -> bool {
        matches!(error.downcast_ref(), Some(Self::Runtime(_)))
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Runtime(text) | Self::Container(text) | Self::Image(text)) = self;
        out.write_str(text)
    }
}

impl Error for Absent {}
