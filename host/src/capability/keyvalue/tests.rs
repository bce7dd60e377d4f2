//! Both stores, held to the same.

use super::*;

/// A store in memory and one on disk, whose file goes with the value.
fn stores() -> [(Store, Option<tempfile::TempDir>); 2] {
    let directory = tempfile::tempdir().unwrap();
    let disk = Store::open(Some(&directory.path().join("state"))).unwrap();
    [(Store::open(None).unwrap(), None), (disk, Some(directory))]
}

fn bucket(store: &Store, handler: &str, quota: usize) -> Bucket {
    Bucket { store: store.clone(), handler: handler.to_owned(), quota }
}

fn value(text: &str) -> Write {
    Some((text.into(), None))
}

async fn set(bucket: &Bucket, key: &str, write: Write) -> Result<(), Error> {
    bucket.write(BTreeMap::from([(key.to_owned(), write)])).await
}

#[tokio::test]
async fn each_handler_has_its_own_keys() {
    for (store, _file) in stores() {
        let (one, other) = (bucket(&store, "a", 1000), bucket(&store, "a.b", 1000));
        set(&one, "k", value("1")).await.unwrap();
        set(&other, "k", value("2")).await.unwrap();
        set(&other, "l", value("3")).await.unwrap();
        assert_eq!(one.get("k").await.unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(one.get("l").await.unwrap(), None);
        assert_eq!(one.keys(None).await.unwrap(), Page { keys: vec!["k".into()], more: false });
        assert_eq!(other.keys(Some("k".into())).await.unwrap(), Page { keys: vec!["l".into()], more: false });
        set(&one, "k", None).await.unwrap();
        assert_eq!(one.get("k").await.unwrap(), None);
        assert_eq!(other.get("k").await.unwrap().as_deref(), Some(&b"2"[..]));
    }
}

#[tokio::test]
async fn many_keys_come_in_pages() {
    for (store, _file) in stores() {
        let all = bucket(&store, "h", 1 << 20);
        let writes = (0..PAGE + 3).map(|n| (format!("{n:05}"), value(""))).collect();
        all.write(writes).await.unwrap();
        let first = all.keys(None).await.unwrap();
        assert!(first.more && first.keys.len() == PAGE);
        let rest = all.keys(first.keys.last().cloned()).await.unwrap();
        assert_eq!((rest.keys.len(), rest.more), (3, false));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn increments_and_swaps_are_atomic() {
    for (store, _file) in stores() {
        let counter = bucket(&store, "h", 1000);
        let count = async |_| {
            let counter = counter.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    counter.increment("n", 1).await.unwrap();
                }
            })
            .await
            .unwrap();
        };
        futures_util::future::join_all((0..8).map(count)).await;
        assert_eq!(counter.get("n").await.unwrap().as_deref(), Some(&b"80"[..]));
        assert_eq!(counter.increment("n", -100).await, Ok(-20));
        let race = async |_| counter.swap("owner", None, Some(b"me".to_vec())).await.unwrap();
        let won = futures_util::future::join_all((0..8).map(race)).await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        assert_eq!(counter.swap("owner", Some(b"you".to_vec()), None).await, Ok(false));
        assert_eq!(counter.swap("owner", Some(b"me".to_vec()), None).await, Ok(true));
        assert_eq!(counter.get("owner").await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_is_no_number_is_not_added_to() {
    for (store, _file) in stores() {
        let bucket = bucket(&store, "h", 1000);
        for text in ["x", "", "1.5", "9223372036854775807"] {
            set(&bucket, "n", value(text)).await.unwrap();
            assert_eq!(bucket.increment("n", 1).await, Err(Error::NotANumber), "{text}");
            assert_eq!(bucket.get("n").await.unwrap().as_deref(), Some(text.as_bytes()));
        }
    }
}

#[tokio::test]
async fn a_quota_holds_for_all_writes_together_or_none() {
    for (store, _file) in stores() {
        let small = bucket(&store, "h", 40);
        set(&small, "a", value("0123456789")).await.unwrap();
        let both = BTreeMap::from([("b".to_owned(), value("1")), ("c".to_owned(), value("0123456789"))]);
        assert_eq!(small.write(both).await, Err(Error::Quota(40)));
        assert_eq!((small.get("b").await, small.get("c").await), (Ok(None), Ok(None)));
        // In place of the other it fits, and what is taken away makes room.
        let instead = BTreeMap::from([("a".to_owned(), None), ("c".to_owned(), value("0123456789012345678901"))]);
        small.write(instead).await.unwrap();
        set(&small, "c", value("")).await.unwrap();
        set(&small, "d", value("0123456789")).await.unwrap();
        assert_eq!(small.increment("n", 1_000_000).await, Err(Error::Quota(40)));
        assert_eq!(small.swap("e", None, Some(vec![0; 30])).await, Err(Error::Quota(40)));
    }
}

#[tokio::test]
async fn a_value_whose_time_is_over_is_gone_and_makes_room() {
    for (store, _file) in stores() {
        let small = bucket(&store, "h", 40);
        set(&small, "short", Some((vec![0; 20], Some(Duration::ZERO)))).await.unwrap();
        // Gone for whoever asks, while it still takes room.
        assert_eq!(small.keys(None).await.unwrap().keys, Vec::<String>::new());
        set(&small, "s", Some((vec![], Some(Duration::from_secs(3600))))).await.unwrap();
        assert_eq!(small.get("short").await, Ok(None));
        assert_eq!(small.keys(None).await.unwrap().keys, ["s"]);
        assert_eq!(small.swap("short", None, None).await, Ok(true));
        set(&small, "long", value("0123456789")).await.unwrap();
        assert_eq!(small.get("s").await, Ok(Some(vec![])));
        // A number whose time is over begins anew.
        set(&small, "s", Some((b"5".to_vec(), Some(Duration::ZERO)))).await.unwrap();
        assert_eq!(small.increment("s", 1).await, Ok(1));
    }
}

#[tokio::test]
async fn a_number_that_is_added_to_lasts_no_longer_than_it_was_set_for() {
    let rows = Arc::<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>::default();
    let small = bucket(&Store::Memory(Arc::clone(&rows)), "h", 1000);
    set(&small, "n", Some((b"5".to_vec(), Some(Duration::from_secs(3600))))).await.unwrap();
    let row = || rows.lock().unwrap()[b"h\0n".as_slice()].clone();
    let before = row();
    assert_eq!(small.increment("n", 1).await, Ok(6));
    assert_eq!(row(), [&before[..8], b"6"].concat());
}

#[tokio::test]
async fn what_is_on_disk_is_there_when_the_file_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let store = Store::open(Some(&path)).unwrap();
    set(&bucket(&store, "h", 1000), "k", value("kept")).await.unwrap();
    let taken = Store::open(Some(&path)).unwrap_err().to_string();
    assert!(taken.starts_with("keyvalue.path ") && taken.contains("already open"), "{taken}");
    drop(store);
    let store = Store::open(Some(&path)).unwrap();
    assert_eq!(bucket(&store, "h", 1000).get("k").await, Ok(Some(b"kept".to_vec())));
    drop(store);
    std::fs::write(&path, b"not a store").unwrap();
    assert!(Store::open(Some(&path)).is_err());
}
