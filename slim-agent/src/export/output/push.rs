//! A registry, with the credentials of `docker login`.

use anyhow::Result;
use futures_util::future::{FutureExt, LocalBoxFuture};

use super::{Format, Written};
use crate::container::Runtime;
use crate::container::endpoint::Surroundings;
use crate::export::image::{Built, Reference};
use crate::export::registry::push;
use crate::registry::{Access, Session};

pub(super) struct Push<'a>(pub &'a Reference);

impl Format for Push<'_> {
    /// The registry must answer and accept who asks, before a long export is made for nothing.
    fn check(&self) -> Result<()> {
        Session::open(self.0, Access::Push, &Surroundings::real())?.greet()
    }

    fn write<'a>(
        &'a self,
        image: &'a Built,
        _runtime: &'a dyn Runtime,
    ) -> LocalBoxFuture<'a, Result<Written>> {
        async move {
            let mut session = Session::open(self.0, Access::Push, &Surroundings::real())?;
            let digest = push(&mut session, image, self.0.tag())?;
            Ok(Written { kind: "registry", to: self.0.to_string(), digest })
        }
        .boxed_local()
    }
}
