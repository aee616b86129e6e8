//! An image as a tree of names that can be walked.

use std::cell::RefCell;
use std::collections::HashMap;

use anyhow::Result;

use super::{ImageSource, Kind};
use crate::manifest::PathBytes;
use crate::resolve::walk::{Node, Tree, Walked, walk};

/// The names of an image. What was looked up is remembered.
pub struct Names<'a> {
    source: &'a dyn ImageSource,
    known: RefCell<HashMap<PathBytes, Node>>,
    /// The first error, as a walk cannot return one.
    failure: RefCell<Option<anyhow::Error>>,
}

impl Tree for Names<'_> {
    fn node(&self, path: &PathBytes) -> Node {
        if let Some(node) = self.known.borrow().get(path) {
            return node.clone();
        }
        let node = match self.source.lookup(path) {
            Ok(entry) => entry.map_or(Node::Missing, |entry| match entry.kind {
                Kind::Directory => Node::Directory,
                Kind::Symlink(target) => Node::Symlink(target),
                _ => Node::Other,
            }),
            Err(error) => {
                self.failure.borrow_mut().get_or_insert(error);
                Node::Missing
            }
        };
        self.known.borrow_mut().insert(path.clone(), node.clone());
        node
    }
}

impl<'a> Names<'a> {
    /// Of an image, none of them looked up yet.
    pub fn new(source: &'a dyn ImageSource) -> Self {
        Self { source, known: RefCell::default(), failure: RefCell::default() }
    }

    /// The image.
    pub fn source(&self) -> &'a dyn ImageSource {
        self.source
    }

    /// Walks from the root; see [`walk`].
    ///
    /// # Errors
    /// The image cannot be read.
    pub fn walk(&self, name: &[u8], follow_last: bool) -> Result<Walked> {
        let walked = walk(self, name, follow_last);
        self.whole(walked)
    }

    /// `found`, unless the image could not be read since this was asked last.
    ///
    /// # Errors
    /// Why the image could not be read.
    pub fn whole<T>(&self, found: T) -> Result<T> {
        self.failure.take().map_or(Ok(found), Err)
    }
}
