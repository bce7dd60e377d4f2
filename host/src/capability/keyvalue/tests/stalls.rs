//! Handlers that try to keep others from their state, or the host from its memory: what is counted is rows, not time.

use std::cell::Cell;

use super::{super::rows::LOOKED, *};
use crate::testing::memory::peak;

/// Rows that count how many of them are looked at.
#[derive(Default)]
struct Counted {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    looked: Cell<usize>,
}

impl Look for Counted {
    fn see(&self, name: &[u8], look: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        self.looked.set(self.looked.get() + 1);
        self.rows.see(name, look)
    }

    fn behind(&self, name: &[u8], wanted: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Error> {
        self.rows.behind(name, &mut |name, content| {
            self.looked.set(self.looked.get() + 1);
            wanted(name, content)
        })
    }
}

impl Rows for Counted {
    fn put(&mut self, name: Vec<u8>, content: Vec<u8>) -> Result<(), Error> {
        self.rows.put(name, content)
    }

    fn remove(&mut self, name: &[u8]) -> Result<(), Error> {
        Rows::remove(&mut self.rows, name)
    }
}

/// So many rows, of which each lasts so long; and how many are looked at then.
fn rows(count: usize, ttl: Option<Duration>) -> Counted {
    let mut counted = Counted::default();
    let writes = (0..count).map(|n| (format!("{n:06}"), Some((Vec::new(), ttl)))).collect();
    Part::new(&mut counted, "h", usize::MAX).write(writes).unwrap();
    counted.looked.set(0);
    counted
}

/// Attacks the host's memory: entries without letters, of which the places and the times take more than what is in them.
#[tokio::test]
async fn what_counts_is_about_what_an_entry_takes() {
    for (ttl, times) in [(None, 1), (Some(Duration::from_secs(3600)), 2)] {
        let writes: BTreeMap<_, _> = (0..20_000).map(|n| (format!("{n:06}"), Some((Vec::new(), ttl)))).collect();
        let mut rows = BTreeMap::<Vec<u8>, Vec<u8>>::new();
        let (_, most) = peak(async {
            writes.into_iter().for_each(|(key, write)| {
                let one = BTreeMap::from([(key, write)]);
                Part::new(&mut rows, "handler", usize::MAX).write(one).unwrap();
            })
        })
        .await;
        assert!(most < times * 20_000 * (6 + ENTRY), "{} each", most / 20_000);
    }
}

/// Attacks the others: a million keys, and then one more, again and again.
#[test]
fn a_write_that_is_refused_looks_at_few_rows_however_many_there_are() {
    let mut counted = rows(5000, None);
    for _ in 0..100 {
        let refused = Part::new(&mut counted, "h", 5000 * (ENTRY + 6)).increment("new", 1);
        assert!(matches!(refused, Err(Error::Quota(_))));
    }
    assert!(counted.looked.get() < 1000, "{}", counted.looked.get());
}

/// The same with keys whose time is over: each is taken away once, and no more than are needed at once.
#[test]
fn what_is_over_is_taken_away_as_far_as_it_needs_be() {
    let mut counted = rows(5000, Some(Duration::ZERO));
    let quota = 5000 * (ENTRY + 6);
    Part::new(&mut counted, "h", quota).increment("new", 1).unwrap();
    assert!(counted.looked.get() < 500, "{}", counted.looked.get());
    let left = counted.rows.len();
    // More than all of them make room for: it is seen before any is looked for.
    let large = BTreeMap::from([("large".to_owned(), Some((vec![0; quota], None)))]);
    assert!(matches!(Part::new(&mut counted, "h", quota).write(large), Err(Error::Quota(_))));
    assert_eq!(counted.rows.len(), left);
    // All but one: the number and what is used.
    let large = BTreeMap::from([("large".to_owned(), Some((vec![0; quota - 2 * ENTRY - 9], None)))]);
    Part::new(&mut counted, "h", quota).write(large).unwrap();
    assert_eq!(counted.rows.len(), 3, "{:?}", counted.rows.keys().take(5).collect::<Vec<_>>());
    assert!(Part::new(&mut counted, "h", quota).increment("other", 1).is_err());
}

#[test]
fn a_page_of_keys_looks_at_a_bounded_number_of_rows() {
    let counted = rows(2 * LOOKED + 10, Some(Duration::ZERO));
    let (mut pages, mut next) = (0, None);
    loop {
        let page = View::new(&counted, "h").keys(next.as_deref(), PAGE).unwrap();
        assert!(page.keys.is_empty() && counted.looked.replace(0) <= LOOKED + 1);
        (pages, next) = (pages + 1, page.next);
        if next.is_none() {
            break;
        }
    }
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn keys_behind_thousands_that_are_over_are_found_in_every_store() {
    for (store, _home) in stores() {
        let bucket = bucket(&store, "h", 4 << 20);
        let ttl = |n: usize| (n < LOOKED + 10).then_some(Duration::ZERO);
        bucket
            .write((0..LOOKED + 12).map(|n| (format!("{n:06}"), Some((Vec::new(), ttl(n))))).collect())
            .await
            .unwrap();
        let first = bucket.keys(None).await.unwrap();
        assert_eq!(first, Page { keys: Vec::new(), next: Some(format!("{:06}", LOOKED - 1)) });
        let second = bucket.keys(first.next).await.unwrap();
        assert_eq!(second, Page { keys: vec!["010010".to_owned(), "010011".to_owned()], next: None });
    }
}

#[tokio::test]
async fn no_handler_waits_for_another_handlers_rows() {
    let parts = Arc::<Parts>::default();
    let store = Store::Rows(Kept::Memory(Arc::clone(&parts)));
    let _held = parts.of("a").lock_owned().await;
    let other = bucket(&store, "b", 1000);
    assert_eq!(other.increment("n", 1).await, Ok(1));
    assert_eq!(other.get("n").await, Ok(Some(b"1".to_vec())));
}

#[tokio::test]
async fn who_reads_waits_for_no_write_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let disk = disk::Disk::open(&directory.path().join("state")).unwrap();
    let reader = bucket(&Store::Rows(Kept::Disk(disk.clone())), "h", 1000);
    set(&reader, "k", value("v")).await.unwrap();
    let ((begun, has_begun), (end, may_end)) = (tokio::sync::oneshot::channel(), std::sync::mpsc::channel::<()>());
    let writing = tokio::spawn(async move {
        let work = move |_: &mut dyn Rows| {
            begun.send(()).unwrap();
            may_end.recv().ok();
            Ok(())
        };
        disk.transact(work).await
    });
    has_begun.await.unwrap();
    let read = async { (reader.get("k").await, reader.keys(None).await.map(|page| page.keys)) };
    let read = tokio::time::timeout(Duration::from_secs(60), read).await;
    drop(end);
    assert_eq!(read.unwrap(), (Ok(Some(b"v".to_vec())), Ok(vec!["k".to_owned()])));
    writing.await.unwrap().unwrap();
}

/// Large writes are made aside; what is written is the same.
#[tokio::test]
async fn a_large_write_in_memory_is_whole() {
    let large = bucket(&Store::default(), "h", 4 << 20);
    large.write((0..2000).map(|n| (format!("{n}"), Some((vec![7; 1000], None)))).collect()).await.unwrap();
    assert_eq!(large.get("1999").await, Ok(Some(vec![7; 1000])));
    assert_eq!(set(&large, "more", Some((vec![7; 2 << 20], None))).await, Err(Error::Quota(4 << 20)));
}
