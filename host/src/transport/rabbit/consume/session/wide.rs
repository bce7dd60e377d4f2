//! More deliveries than the prefetch, for a while.
//!
//! Before it: [`super::super::consumer`] hears that some of those who were taken wait for others. After it: nothing.

use futures_util::{StreamExt, future::try_join_all, stream};
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};

use super::{
    super::{
        super::wire::{declare, failure},
        consuming::{Arrival, arrival, wide_tag},
    },
    Session,
};

impl Session {
    /// Gives each queue a second consumer that takes `more` messages before some are settled; 0 ends that. (The prefetch of
    /// a consumer that is there cannot be changed.) Of a stream, there is no more to be had: it is read in its order.
    ///
    /// # Errors
    ///
    /// Why the connection is lost.
    pub(crate) async fn widen(&mut self, more: u16) -> Result<(), String> {
        if (more > 0) == self.is_wide {
            return Ok(());
        }
        // A classic queue counts for each consumer what is unsettled: what an earlier one has left here would come on top.
        let waiting = u16::try_from(self.waiting.len()).unwrap_or(u16::MAX);
        let more = if more > 0 { more.saturating_sub(waiting).max(1) } else { 0 };
        let queues = self.topology.queues.clone();
        let plain = queues.iter().enumerate().filter(|(_, queue)| !self.streams.contains_key(*queue));
        let channel = self.channel.clone();
        let arguments = declare::table(&self.topology.consumer_arguments).map_err(|error| error.to_string())?;
        let prefetch = self.prefetch;
        let asking = async {
            if more > 0 {
                channel.basic_qos(more, BasicQosOptions { global: false }).await?;
            }
            // All at once: nothing is handed over meanwhile.
            let changing = plain.filter_map(|(index, queue)| Some((index, declare::short(queue).ok()?))).map(
                async |(index, queue)| {
                    if more > 0 {
                        let options = BasicConsumeOptions::default();
                        let consumer =
                            channel.basic_consume(queue, wide_tag(index), options, arguments.clone()).await?;
                        return Ok(Some((index, consumer)));
                    }
                    channel.basic_cancel(wide_tag(index), BasicCancelOptions::default()).await.map(|()| None)
                },
            );
            let consumers = try_join_all(changing).await?;
            // For consumers that are made again.
            channel.basic_qos(prefetch, BasicQosOptions { global: false }).await?;
            Ok::<_, lapin::Error>(consumers)
        };
        let asked = self.link.events.answer(asking).await.and_then(|asked| asked);
        for (index, consumer) in asked.map_err(|error| failure::text(&error))?.into_iter().flatten() {
            let arrivals = consumer.map(move |delivery| arrival(index, delivery));
            self.arrivals.push(arrivals.chain(stream::once(async { Arrival::Narrowed })).boxed());
        }
        self.is_wide = more > 0;
        Ok(())
    }
}
