//! The acknowledgements of one channel: one frame for many where that says the same.
//!
//! Before it: [`super::settle`] has deliveries that are done with. After it: the broker. Each frame costs both sides as
//! much as a small request does, and the broker confirms replies in bulk, so that requests end in bulk too.

use std::collections::BTreeSet;

use tokio::sync::{mpsc, oneshot};

use super::super::wire::task::{Task, let_others_run};

/// The most acknowledgements that are taken together.
const MAX_BATCH: usize = 1024;

/// The way to the task that acknowledges. Not bounded: a delivery is settled once, and the broker bounds those.
#[derive(Clone, Debug)]
pub(crate) struct Acks(mpsc::UnboundedSender<Settled>);

/// A delivery that is done with.
#[derive(Debug)]
struct Settled {
    tag: u64,
    how: How,
}

/// How it is settled.
#[derive(Debug)]
enum How {
    /// By an acknowledgement; told when that is written.
    Acknowledged(oneshot::Sender<()>),
    /// It is to be given back.
    GivenBack,
    /// It was settled in another way.
    Otherwise,
}

/// Which deliveries of a channel are settled. The broker numbers them from 1 without a gap, whatever their queue.
#[derive(Debug)]
struct Ledger {
    /// Those below `next` that are not settled: no more than the broker leaves unsettled at once.
    unsettled: BTreeSet<u64>,
    /// This one and all behind it are not settled.
    next: u64,
}

/// What is written to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Acknowledges one delivery or, where `multiple` is set, it and all before it.
    Ack {
        /// The number of the delivery.
        tag: u64,
        /// Whether all before it are meant too.
        multiple: bool,
    },
    /// Gives the delivery with this number back. It may have been begun: that counts as an attempt.
    GiveBack(u64),
}

impl Acks {
    /// Starts the task for a channel. `write` sends a frame, and says whether that was possible; it may never return
    /// where the connection ends. When the task is dropped, what waits is not acknowledged.
    pub(crate) fn start<F>(write: impl Fn(Frame) -> F + Send + 'static) -> (Self, Task)
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let (sender, settled) = mpsc::unbounded_channel();
        (Self(sender), Task::spawn(run(settled, write)))
    }

    /// Acknowledges a delivery, and returns when that is written; whether it was.
    pub(crate) async fn acknowledge(&self, tag: u64) -> bool {
        let (written, is_written) = oneshot::channel();
        self.0.send(Settled { tag, how: How::Acknowledged(written) }).is_ok() && is_written.await.is_ok()
    }

    /// Notes that a delivery was settled in another way. Without that, none behind it is acknowledged together with
    /// others.
    pub(crate) fn note(&self, tag: u64) {
        // Without the task there is nothing to be noted for.
        self.0.send(Settled { tag, how: How::Otherwise }).ok();
    }

    /// Gives a delivery back to the broker that nobody will settle. Waits for nothing.
    pub(crate) fn give_back(&self, tag: u64) {
        // Without the task the connection has gone, and the broker has it back.
        self.0.send(Settled { tag, how: How::GivenBack }).ok();
    }
}

#[cfg(test)]
impl Acks {
    /// Where every frame is written at once, without a runtime or a task that anybody would have to keep.
    pub(crate) fn written() -> Self {
        let (sender, mut settled) = mpsc::unbounded_channel::<Settled>();
        std::thread::spawn(move || {
            while let Some(settled) = settled.blocking_recv() {
                if let How::Acknowledged(waiting) = settled.how {
                    waiting.send(()).ok();
                }
            }
        });
        Self(sender)
    }
}

impl Ledger {
    fn new() -> Self {
        Self { unsettled: BTreeSet::new(), next: 1 }
    }

    fn settle(&mut self, tag: u64) {
        if tag < self.next {
            self.unsettled.remove(&tag);
        } else {
            self.unsettled.extend(self.next..tag);
            self.next = tag.saturating_add(1);
        }
    }

    /// The last delivery before which all are settled, and which is itself; 0 where there is none.
    fn settled_up_to(&self) -> u64 {
        self.unsettled.first().unwrap_or(&self.next).saturating_sub(1)
    }

    /// The fewest frames that acknowledge deliveries which are noted as settled, and no others.
    fn frames(&self, tags: &[u64]) -> Vec<Frame> {
        let up_to = self.settled_up_to();
        let (together, alone): (Vec<u64>, Vec<u64>) = tags.iter().partition(|tag| **tag <= up_to);
        let together = together.iter().max().map(|tag| Frame::Ack { tag: *tag, multiple: together.len() > 1 });
        together.into_iter().chain(alone.into_iter().map(|tag| Frame::Ack { tag, multiple: false })).collect()
    }
}

async fn run<F: Future<Output = bool>>(mut settled: mpsc::UnboundedReceiver<Settled>, write: impl Fn(Frame) -> F) {
    let mut ledger = Ledger::new();
    let mut batch = Vec::new();
    while settled.recv_many(&mut batch, MAX_BATCH).await > 0 {
        // Others that end at this moment come along.
        let_others_run().await;
        while batch.len() < MAX_BATCH
            && let Ok(more) = settled.try_recv()
        {
            batch.push(more);
        }
        batch.iter().for_each(|settled| ledger.settle(settled.tag));
        let (mut tags, mut given_back) = (Vec::new(), Vec::new());
        for settled in &batch {
            match settled.how {
                How::Acknowledged(_) => tags.push(settled.tag),
                How::GivenBack => given_back.push(Frame::GiveBack(settled.tag)),
                How::Otherwise => {}
            }
        }
        // First what is given back: an acknowledgement of all before it must not take it along.
        futures_util::future::join_all(given_back.into_iter().map(&write)).await;
        let frames = ledger.frames(&tags);
        let written = futures_util::future::join_all(frames.into_iter().map(&write)).await;
        for settled in batch.drain(..) {
            // Nobody waits any more where the connection is lost for others.
            if let How::Acknowledged(waiting) = settled.how
                && written.iter().all(|written| *written)
            {
                waiting.send(()).ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;

    /// What a broker makes of a frame: the unsettled deliveries that are acknowledged.
    fn acknowledged(unsettled: &mut BTreeSet<u64>, frame: Frame) -> Vec<u64> {
        let Frame::Ack { tag: last, multiple } = frame else { return Vec::new() };
        let is_meant = |tag: &u64| if multiple { *tag <= last } else { *tag == last };
        let meant: Vec<u64> = unsettled.iter().copied().filter(is_meant).collect();
        unsettled.retain(|tag| !is_meant(tag));
        meant
    }

    fn frame(tag: u64, multiple: bool) -> Frame {
        Frame::Ack { tag, multiple }
    }

    /// Acknowledgements, and the frames that are written for them.
    fn writing() -> (Acks, Task, Arc<Mutex<Vec<Frame>>>) {
        let frames = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&frames);
        let (acks, task) = Acks::start(move |frame| {
            written.lock().unwrap().push(frame);
            async { true }
        });
        (acks, task, frames)
    }

    #[test]
    fn what_is_settled_without_a_gap_is_acknowledged_together() {
        let mut ledger = Ledger::new();
        let mut settle = |tags: &[u64]| {
            tags.iter().for_each(|tag| ledger.settle(*tag));
            ledger.frames(tags)
        };
        assert_eq!(settle(&[1]), [frame(1, false)]);
        assert_eq!(settle(&[4, 2, 3]), [frame(4, true)]);
        assert_eq!(settle(&[6, 8, 7]), [6, 8, 7].map(|tag| frame(tag, false)));
        assert_eq!(settle(&[5, 9]), [frame(9, true)]);
        assert_eq!(settle(&[]), []);
    }

    proptest! {
        /// In whatever order requests end and however they are bundled: each is acknowledged once, by the frame of its
        /// own bundle, and none before its end.
        #[test]
        fn nothing_is_acknowledged_that_is_not_done(
            order in Just((1..=40_u64).collect::<Vec<_>>()).prop_shuffle(),
            sizes in prop::collection::vec(1..8_usize, 40),
            rejected in prop::collection::btree_set(1..=40_u64, 0..10),
        ) {
            let (mut ledger, mut order) = (Ledger::new(), &order[..]);
            let mut unsettled: BTreeSet<u64> = (1..=50).collect();
            for size in sizes {
                let (bundle, rest) = order.split_at(size.min(order.len()));
                order = rest;
                let (refused, done): (Vec<u64>, Vec<u64>) = bundle.iter().partition(|tag| rejected.contains(*tag));
                unsettled.retain(|tag| !refused.contains(tag));
                bundle.iter().for_each(|tag| ledger.settle(*tag));
                let frames = ledger.frames(&done).into_iter();
                let mut meant: Vec<u64> = frames.flat_map(|frame| acknowledged(&mut unsettled, frame)).collect();
                meant.sort_unstable();
                prop_assert_eq!(meant, done.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
            }
            prop_assert_eq!(unsettled, (41..=50).collect::<BTreeSet<_>>());
            prop_assert!(ledger.unsettled.is_empty());
        }
    }

    #[tokio::test]
    async fn those_that_end_together_share_a_frame_and_each_is_told() {
        let (acks, _task, frames) = writing();
        acks.note(1);
        let (first, second) = tokio::join!(acks.acknowledge(2), acks.acknowledge(3));
        assert!(first && second);
        assert_eq!(*frames.lock().unwrap(), [frame(3, true)]);
        assert!(acks.acknowledge(5).await);
        assert_eq!(frames.lock().unwrap().last(), Some(&frame(5, false)));
    }

    /// One worker, which runs a task that was woken before those that were ready already.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn those_that_are_ready_come_along() {
        let (acks, _task, frames) = writing();
        let ready = async move {
            let acknowledge = |tag| {
                let acks = acks.clone();
                tokio::spawn(async move { acks.acknowledge(tag).await })
            };
            let both = [acknowledge(2), acknowledge(1)];
            futures_util::future::join_all(both).await.into_iter().all(Result::unwrap)
        };
        assert!(tokio::spawn(ready).await.unwrap());
        assert_eq!(*frames.lock().unwrap(), [frame(2, true)]);
    }

    #[tokio::test]
    async fn what_was_not_written_is_not_acknowledged() {
        let (acks, _task) = Acks::start(|_| async { false });
        assert!(!acks.acknowledge(1).await);
        let (acks, task) = Acks::start(|_| std::future::pending());
        let ends = async {
            tokio::task::yield_now().await;
            drop(task);
        };
        assert!(!tokio::join!(acks.acknowledge(1), ends).0);
        assert!(!acks.acknowledge(2).await);
    }
}
