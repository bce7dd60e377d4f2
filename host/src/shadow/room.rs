//! Where all shadows of a service run: a sandbox and a thread of their own, made when the first begins.
//!
//! Before it: [`crate::catalog::keeper`] has a shadow that is to begin. After it: [`super::worker`]. So no shadow takes an instance, a permit or a turn
//! of a request, and the processor only where nobody else wants it.

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::AtomicUsize},
    thread,
};

use tokio::{
    runtime::Builder,
    sync::{
        OnceCell, Semaphore,
        mpsc::{UnboundedSender, unbounded_channel},
    },
    task::JoinSet,
};

use crate::sandbox::Sandbox;

/// Guests at once: one that runs, one that is loaded or tested meanwhile.
const GUESTS: u16 = 2;

/// The lowest priority of a thread on Linux: it runs where no other thread of the machine wants to.
const LOWEST: i32 = 19;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The place where shadows run.
#[derive(Debug, Default)]
pub struct Room(OnceCell<Arc<Furnished>>);

/// What is there.
#[derive(Debug)]
pub struct Furnished {
    /// Where guests run.
    pub sandbox: Arc<Sandbox>,
    /// Bytes of the requests that wait.
    pub waiting: Arc<AtomicUsize>,
    /// Held while a request runs.
    pub turn: Arc<Semaphore>,
    jobs: UnboundedSender<Job>,
}

impl Room {
    /// What is there, made where it is not.
    ///
    /// # Errors
    ///
    /// Where the machine refuses the address space or a thread.
    pub async fn furnished(&self, sandbox: &Sandbox) -> Result<Arc<Furnished>, String> {
        let made = self.0.get_or_try_init(|| async {
            let sandbox = Arc::new(sandbox.annex(GUESTS).map_err(|error| error.to_string())?);
            let jobs = begin().map_err(|error| format!("no thread compares requests: {error}"))?;
            let (waiting, turn) = (Arc::default(), Arc::new(Semaphore::new(1)));
            Ok(Arc::new(Furnished { sandbox, waiting, turn, jobs }))
        });
        made.await.cloned()
    }
}

impl Furnished {
    /// Runs a job on the thread, until it ends or everything does.
    pub fn run(&self, job: impl Future<Output = ()> + Send + 'static) {
        // A thread that has ended has said so.
        self.jobs.send(Box::pin(job)).ok();
    }
}

/// Starts the thread. It ends when nobody can give it jobs any more.
fn begin() -> io::Result<UnboundedSender<Job>> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let (jobs, mut waiting) = unbounded_channel::<Job>();
    let work = move || {
        if let Err(error) = rustix::process::setpriority_process(None, LOWEST) {
            tracing::warn!(%error, "requests are compared at the priority of all others");
        }
        runtime.block_on(async {
            let mut running = JoinSet::new();
            while let Some(job) = waiting.recv().await {
                while running.try_join_next().is_some() {}
                running.spawn(job);
            }
        });
    };
    thread::Builder::new().name("shadow".to_owned()).spawn(work)?;
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::channel;

    use super::*;

    #[tokio::test]
    async fn jobs_run_on_a_thread_of_the_lowest_priority_and_the_others_keep_theirs() {
        let jobs = begin().unwrap();
        let (tell, told) = channel();
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let own = priority();
        let job = async move { tell.send((priority(), thread::current().name().map(str::to_owned))).unwrap() };
        jobs.send(Box::pin(job)).unwrap();
        assert_eq!(told.await.unwrap(), (LOWEST, Some("shadow".to_owned())));
        assert_eq!(priority(), own);
    }
}
