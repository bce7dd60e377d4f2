//! All stores, held to the same.

mod shared;
mod stalls;

use super::*;

#[path = "../../../../tests/harness/redis.rs"]
mod server;

/// What goes with a store.
#[expect(dead_code, reason = "it is held, and not read")]
enum Home {
    Memory,
    Directory(tempfile::TempDir),
    Server(server::Redis),
}

/// A store in memory, one on disk, and one in a Redis of its own.
fn stores() -> [(Store, Home); 3] {
    let directory = tempfile::tempdir().unwrap();
    let disk = Store::open(&Place::Path(directory.path().join("state"))).unwrap();
    let server = server::Redis::start(&[]);
    [
        (Store::open(&Place::Memory).unwrap(), Home::Memory),
        (disk, Home::Directory(directory)),
        (at(&format!("redis://{}", server.address())), Home::Server(server)),
    ]
}

/// The store in the Redis of a URL.
fn at(url: &str) -> Store {
    use crate::settings::Setting as _;
    Store::open(&Place::Url(Url::parse(url).unwrap())).unwrap()
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
    for (store, _home) in stores() {
        let (one, other) = (bucket(&store, "a", 1000), bucket(&store, "a.b", 1000));
        set(&one, "k", value("1")).await.unwrap();
        set(&other, "k", value("2")).await.unwrap();
        set(&other, "l", value("3")).await.unwrap();
        assert_eq!(one.get("k").await.unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(one.get("l").await.unwrap(), None);
        assert_eq!(one.keys(None).await.unwrap(), Page { keys: vec!["k".into()], next: None });
        assert_eq!(other.keys(Some("k".into())).await.unwrap(), Page { keys: vec!["l".into()], next: None });
        set(&one, "k", None).await.unwrap();
        assert_eq!(one.get("k").await.unwrap(), None);
        assert_eq!(other.get("k").await.unwrap().as_deref(), Some(&b"2"[..]));
    }
}

#[tokio::test]
async fn many_keys_come_in_pages() {
    for (store, _home) in stores() {
        let all = bucket(&store, "h", 2 << 20);
        let writes = (0..PAGE + 3).map(|n| (format!("{n:05}"), value(""))).collect();
        all.write(writes).await.unwrap();
        let first = all.keys(None).await.unwrap();
        assert_eq!((first.keys.len(), first.next.as_ref()), (PAGE, first.keys.last()));
        let rest = all.keys(first.next.clone()).await.unwrap();
        assert_eq!((rest.keys.len(), rest.next), (3, None));
        // Also for one who may keep less by now.
        set(&all, "large", Some((vec![0; 100_000], None))).await.unwrap();
        let less = bucket(&store, "h", 1);
        assert_eq!(less.keys(None).await.unwrap(), first);
        assert_eq!(less.get("large").await.unwrap().unwrap().len(), 100_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn increments_and_swaps_are_atomic() {
    for (store, _home) in stores() {
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
    let long = format!("1{}", "0".repeat(200));
    for (store, _home) in stores() {
        let bucket = bucket(&store, "h", 1000);
        for text in [
            "x",
            "",
            "1.5",
            "9223372036854775807",
            "9223372036854775808",
            " 1",
            "1\0",
            "+",
            "-",
            "1e3",
            "+-5",
            "0-5",
            &long,
        ] {
            set(&bucket, "n", value(text)).await.unwrap();
            assert_eq!(bucket.increment("n", 1).await, Err(Error::NotANumber), "{text}");
            assert_eq!(bucket.get("n").await.unwrap().as_deref(), Some(text.as_bytes()));
        }
        set(&bucket, "n", Some((vec![b'1', 0xff], None))).await.unwrap();
        assert_eq!(bucket.increment("n", 1).await, Err(Error::NotANumber));
    }
}

#[tokio::test]
async fn numbers_are_whole_to_the_last_digit() {
    for (store, _home) in stores() {
        let bucket = bucket(&store, "h", 1000);
        for (text, delta, sum) in [
            ("9223372036854775806", 1, i64::MAX),
            ("-9223372036854775808", i64::MAX, -1),
            ("0", i64::MIN, i64::MIN),
            ("9007199254740993", 2, 9_007_199_254_740_995),
            ("+5", 1, 6),
            ("007", 0, 7),
            ("-0", 0, 0),
            ("-010", -1, -11),
            ("000", 1, 1),
        ] {
            set(&bucket, "n", value(text)).await.unwrap();
            assert_eq!(bucket.increment("n", delta).await, Ok(sum), "{text}");
            assert_eq!(bucket.get("n").await, Ok(Some(sum.to_string().into_bytes())), "{text}");
        }
        set(&bucket, "n", value("-2")).await.unwrap();
        assert_eq!(bucket.increment("n", i64::MIN).await, Err(Error::NotANumber));
    }
}

#[tokio::test]
async fn keys_and_values_are_any_bytes_and_keys_are_in_their_order() {
    let keys = ["\0", "\r\n", "+", "-", "10", "9", "A", "a", "a\0", "ab", "ä", "\u{10ffff}"];
    let every: Vec<u8> = (0..=255).chain(*b"\r\n$-1\r\n").collect();
    for (store, _home) in stores() {
        let bucket = bucket(&store, "h", 10_000);
        let writes = keys.map(|key| (key.to_owned(), Some((every.clone(), None))));
        bucket.write(writes.into()).await.unwrap();
        assert_eq!(bucket.keys(None).await.unwrap().keys, keys);
        assert_eq!(bucket.keys(Some("a".into())).await.unwrap().keys, keys[8..]);
        assert_eq!(bucket.keys(Some("aa".into())).await.unwrap().keys, keys[9..]);
        for key in keys {
            assert_eq!(bucket.get(key).await, Ok(Some(every.clone())), "{key:?}");
        }
        assert_eq!(bucket.swap("+", Some(every.clone()), Some(b"-".to_vec())).await, Ok(true));
        assert_eq!(bucket.swap("+", Some(b"-".to_vec()), Some(Vec::new())).await, Ok(true));
        assert_eq!(bucket.swap("+", None, None).await, Ok(false));
        assert_eq!(bucket.get("+").await, Ok(Some(Vec::new())));
    }
}

#[tokio::test]
async fn a_quota_holds_for_all_writes_together_or_none() {
    for (store, _home) in stores() {
        let small = bucket(&store, "h", 400);
        set(&small, "a", value("0123456789")).await.unwrap();
        let both = BTreeMap::from([("b".to_owned(), value("1")), ("c".to_owned(), value("0123456789"))]);
        assert_eq!(small.write(both).await, Err(Error::Quota(400)));
        assert_eq!((small.get("b").await, small.get("c").await), (Ok(None), Ok(None)));
        // In place of the other it fits, and what is taken away makes room.
        let instead = BTreeMap::from([("a".to_owned(), None), ("c".to_owned(), value("0123456789012345678901"))]);
        small.write(instead).await.unwrap();
        set(&small, "c", value("")).await.unwrap();
        set(&small, "d", value("0123456789")).await.unwrap();
        assert_eq!(small.increment("n", 1_000_000).await, Err(Error::Quota(400)));
        assert_eq!(small.swap("e", None, Some(vec![0; 30])).await, Err(Error::Quota(400)));
    }
}

#[tokio::test]
async fn a_value_whose_time_is_over_is_gone_and_makes_room() {
    for (store, _home) in stores() {
        let small = bucket(&store, "h", 280);
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
        assert_eq!(small.get("s").await, Ok(Some(b"1".to_vec())));
    }
}

#[tokio::test]
async fn many_values_whose_time_is_over_make_room_for_one() {
    for (store, _home) in stores() {
        let bucket = bucket(&store, "h", 470_000);
        let ends = Some(Duration::ZERO);
        bucket.write((0..3500).map(|n| (format!("{n:04}"), Some((vec![0], ends)))).collect()).await.unwrap();
        assert_eq!(bucket.keys(None).await, Ok(Page { keys: Vec::new(), next: None }));
        set(&bucket, "large", Some((vec![0; 469_867], None))).await.unwrap();
        assert_eq!(set(&bucket, "k", value("")).await, Err(Error::Quota(470_000)));
        assert_eq!(bucket.keys(None).await.unwrap().keys, ["large"]);
    }
}

#[tokio::test]
async fn keys_whose_time_is_over_are_left_out_of_pages_and_the_others_come_once() {
    let lasts = |n: usize| n.is_multiple_of(2);
    let expected: Vec<_> = (0..3000).filter(|n| lasts(*n)).map(|n| format!("{n:04}")).collect();
    for (store, _home) in stores() {
        let bucket = bucket(&store, "h", 1 << 20);
        let write = |n| (format!("{n:04}"), Some((Vec::new(), (!lasts(n)).then_some(Duration::ZERO))));
        bucket.write((0..3000).map(write).collect()).await.unwrap();
        let (mut keys, mut next) = (Vec::new(), None);
        loop {
            let page = bucket.keys(next).await.unwrap();
            keys.extend(page.keys);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(keys, expected);
    }
}

#[tokio::test]
async fn a_value_lasts_as_long_as_it_was_set_for() {
    for (store, _home) in stores() {
        let bucket = bucket(&store, "h", 1000);
        let lasts = |milliseconds| Some((b"1".to_vec(), Some(Duration::from_millis(milliseconds))));
        set(&bucket, "hour", lasts(3_600_000)).await.unwrap();
        set(&bucket, "ever", lasts(u64::MAX)).await.unwrap();
        set(&bucket, "short", lasts(300)).await.unwrap();
        let started = std::time::Instant::now();
        while bucket.get("short").await.unwrap().is_some() {
            assert!(started.elapsed() < Duration::from_secs(60), "it lasts");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(bucket.keys(None).await.unwrap().keys, ["ever", "hour"]);
        // What is set again without a time lasts.
        set(&bucket, "short", lasts(0)).await.unwrap();
        set(&bucket, "short", value("2")).await.unwrap();
        assert_eq!(bucket.get("short").await, Ok(Some(b"2".to_vec())));
        assert_eq!(bucket.swap("short", Some(b"2".to_vec()), Some(b"3".to_vec())).await, Ok(true));
        assert_eq!(bucket.get("short").await, Ok(Some(b"3".to_vec())));
    }
}

#[tokio::test]
async fn a_number_that_is_added_to_lasts_no_longer_than_it_was_set_for() {
    let parts = Arc::<Parts>::default();
    let small = bucket(&Store::Rows(Kept::Memory(Arc::clone(&parts))), "h", 1000);
    set(&small, "n", Some((b"5".to_vec(), Some(Duration::from_secs(3600))))).await.unwrap();
    let row = || parts.of("h").try_lock().unwrap()[b"h\0n".as_slice()].clone();
    let before = row();
    assert_eq!(small.increment("n", 1).await, Ok(6));
    assert_eq!(row(), [&before[..8], b"6"].concat());
}

#[tokio::test]
async fn what_is_on_disk_is_there_when_the_file_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let place = Place::Path(path.clone());
    let store = Store::open(&place).unwrap();
    set(&bucket(&store, "h", 1000), "k", value("kept")).await.unwrap();
    let taken = Store::open(&place).unwrap_err().to_string();
    assert!(taken.starts_with("keyvalue.path ") && taken.contains("already open"), "{taken}");
    drop(store);
    let store = Store::open(&place).unwrap();
    assert_eq!(bucket(&store, "h", 1000).get("k").await, Ok(Some(b"kept".to_vec())));
    drop(store);
    std::fs::write(&path, b"not a store").unwrap();
    assert!(Store::open(&place).is_err());
}

#[test]
fn state_is_kept_in_one_place() {
    let read = |text: &str| {
        let mut settings = Settings::default();
        settings.add_file(text).unwrap();
        let place = Place::read(&mut settings);
        settings.finish().map(|_| place.to_string()).map_err(|problems| problems.0)
    };
    assert_eq!(read(""), Ok("memory".to_owned()));
    assert_eq!(read("keyvalue.path = \"/var/lib/state\""), Ok("/var/lib/state".to_owned()));
    assert_eq!(read("keyvalue.url = \"redis://:hush@h/2\""), Ok("redis://h:6379/2".to_owned()));
    let both = "keyvalue.path = \"/state\"\nkeyvalue.url = \"redis://:hush@h\"\nkeyvalue.uri = \"x\"";
    let expected = [
        "keyvalue.url: state is kept in one place: give keyvalue.path or keyvalue.url",
        "keyvalue.uri: no such setting; did you mean keyvalue.url?",
    ];
    assert_eq!(read(both), Err(expected.map(str::to_owned).into()));
    let wrong = "keyvalue.url: the port is not a number from 1 to 65535; write '/' in a password as %2F";
    assert_eq!(read("keyvalue.url = \"redis://:hush@h:x\""), Err(vec![wrong.to_owned()]));
}
