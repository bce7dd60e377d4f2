//! Looks for an exchange that others declare, on a connection of its own that ends with the answer.
//!
//! Before it: [`super::super::Client::require_exchange`], once at the start. After it: nothing.

use super::{
    connect::{Purpose, Role},
    declare, failure,
    link::Link,
};
use crate::transport::{error::Error, topology::Exchange};

/// The exchange to look for.
pub(crate) struct Look(pub(crate) Exchange);

impl Purpose for Look {
    type Ready = ();

    const ROLE: Role = Role::Looking;

    async fn prepare(&self, link: Link) -> Result<(), Error> {
        let broker = link.broker().to_owned();
        let channel =
            link.connection.create_channel().await.map_err(|error| failure::of_declaration(broker.clone(), &error))?;
        declare::exchange(&channel, &self.0).await.map_err(|error| match &error {
            declare::Error::Lapin(lapin) if let Some(reason) = failure::missing(&self.0, lapin) => {
                Error::Refused { broker, reason }
            }
            _ => error.meaning(broker, false),
        })
    }
}
