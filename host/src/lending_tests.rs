//! What is lent, for how long, and how much of it.

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::*;
use crate::journal::{Arrived, Recorder};

struct Scene {
    lending: Lending,
    permits: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Scene {
    fn new(most: u16) -> Self {
        let one = || Arc::new(Semaphore::new(1));
        Self {
            lending: Lending::new(Lent { by_callers: most, unconfirmed: 1, in_line: 0 }),
            permits: one(),
            places: one(),
        }
    }

    fn request(&self) -> Standing {
        let slot = |free: &Arc<Semaphore>| {
            let permit = Arc::clone(free).try_acquire_owned().unwrap();
            Arc::new(Slot::new(Arc::clone(free), permit))
        };
        let standing = Standing::new(self.lending.clone(), slot(&self.permits));
        standing.enter(Some(slot(&self.places)));
        standing
    }

    fn request_without_place(&self) -> Slot {
        let permit = Arc::clone(&self.permits).try_acquire_owned().unwrap();
        Slot::new(Arc::clone(&self.permits), permit)
    }

    fn free(&self) -> (usize, usize, u16) {
        (self.permits.available_permits(), self.places.available_permits(), self.lending.lent().borrow().sum())
    }
}

#[tokio::test]
async fn what_is_held_is_lent_while_its_holder_waits() {
    let scene = Scene::new(2);
    let outer = scene.request();
    assert_eq!(scene.free(), (0, 0, 0));
    outer
        .waiting_for(async {
            assert_eq!(scene.free(), (1, 1, 1));
            // The request that is waited for runs by them.
            drop(scene.request());
        })
        .await;
    assert_eq!(scene.free(), (0, 0, 0));
    drop(outer);
    assert_eq!(scene.free(), (1, 1, 0));
}

#[tokio::test]
async fn an_operator_sees_that_it_waits_until_the_last_wait_is_over() {
    let recorder = Recorder::default();
    let entry = recorder.begin(&Arrived::default());
    let state = || recorder.activity().requests[0].state;
    for most in [0, 2] {
        let outer = Scene::new(most).request().telling(entry.progress().clone());
        let both = outer.waiting_for(async {
            outer.waiting_for(async { assert_eq!(state(), State::WaitingForCall) }).await;
            assert_eq!(state(), State::WaitingForCall);
        });
        both.await;
        assert_eq!(state(), State::Running, "whether it lends or not");
    }
}

#[tokio::test]
async fn a_place_is_waited_for_and_a_permit_is_not() {
    let scene = Scene::new(2);
    let outer = scene.request();
    let mut other = None;
    let mut waiting = Box::pin(outer.waiting_for(async { other = Some(scene.request()) }));
    assert!(waiting.as_mut().now_or_never().is_none(), "the handler's place is taken");
    drop(waiting);
    drop(other);
    drop(outer);
    assert_eq!(scene.free(), (1, 1, 0));
}

#[tokio::test]
async fn several_waits_of_one_request_lend_once() {
    let scene = Scene::new(2);
    let outer = scene.request();
    let (first_is_done, first) = oneshot::channel::<()>();
    let (second_is_done, second) = oneshot::channel::<()>();
    let both = async { tokio::join!(outer.waiting_for(first), outer.waiting_for(second)) };
    let mut both = Box::pin(both);
    assert!(both.as_mut().now_or_never().is_none());
    first_is_done.send(()).unwrap();
    assert!(both.as_mut().now_or_never().is_none());
    assert_eq!(scene.free(), (1, 1, 1), "one of them still waits");
    second_is_done.send(()).unwrap();
    both.await.0.unwrap();
    assert_eq!(scene.free(), (0, 0, 0));
}

#[tokio::test]
async fn who_goes_on_without_its_permit_counts_until_it_ends() {
    let scene = Scene::new(1);
    let outer = scene.request();
    let mut others = None;
    outer
        .waiting_for(async {
            let permit = Arc::clone(&scene.permits).try_acquire_owned().unwrap();
            others = Some(permit);
        })
        .await;
    assert_eq!(scene.free(), (0, 0, 1), "more than one runs, and that is bounded");
    // It waits again, and does not count twice.
    outer.waiting_for(async { assert_eq!(scene.free(), (0, 1, 1)) }).await;
    drop(outer);
    assert_eq!(scene.free(), (0, 1, 0));
}

#[tokio::test]
async fn a_place_that_is_lent_again_is_not_taken_back_meanwhile() {
    let scene = Scene::new(1);
    let outer = scene.request();
    let other = Mutex::new(None);
    let mut first = Box::pin(outer.waiting_for(async {
        *lock(&other) = Arc::clone(&scene.places).try_acquire_owned().ok();
    }));
    assert!(first.as_mut().now_or_never().is_none(), "the place is taken");
    let (is_done, second) = oneshot::channel::<()>();
    let mut second = Box::pin(outer.waiting_for(second));
    assert!(second.as_mut().now_or_never().is_none());
    // The place is free, and stays so for whoever the second waits for.
    drop(lock(&other).take());
    assert!(first.as_mut().now_or_never().is_some());
    assert_eq!(scene.places.available_permits(), 1);
    is_done.send(()).unwrap();
    second.await.unwrap();
    assert_eq!(scene.places.available_permits(), 0);
}

#[tokio::test]
async fn beyond_the_bound_nothing_is_lent_and_a_wait_that_is_dropped_counts_no_more() {
    let scene = Scene::new(0);
    let outer = scene.request();
    outer.waiting_for(async { assert_eq!(scene.free(), (0, 0, 0)) }).await;
    let scene = Scene::new(1);
    let outer = scene.request();
    assert!(outer.waiting_for(std::future::pending::<()>()).now_or_never().is_none());
    drop(outer);
    assert_eq!(scene.free(), (1, 1, 0));
}

#[tokio::test]
async fn what_the_broker_has_yet_to_confirm_lends_its_permit_within_a_bound_of_its_own() {
    let scene = Scene::new(0);
    let request = scene.request();
    let loan = scene.lending.lend_unconfirmed(&request.permit).expect("there is room for one");
    assert_eq!(scene.free(), (1, 0, 1));
    let next = scene.request_without_place();
    assert!(scene.lending.lend_unconfirmed(&next).is_none(), "and for no more");
    assert_eq!(scene.free(), (0, 0, 1));
    drop(loan);
    assert_eq!(scene.free(), (0, 0, 0));
}
