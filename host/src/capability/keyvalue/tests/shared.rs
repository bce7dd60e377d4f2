//! What only a Redis has: other hosts, connections, and a server that is gone, silent or strange.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

fn bucket_at(address: &str) -> Bucket {
    bucket(&at(&format!("redis://{address}")), "h", 1000)
}

/// A server that says one thing to whatever it is told.
async fn saying(answer: &'static [u8]) -> Bucket {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 1 << 14];
                while socket.read(&mut buffer).await.is_ok_and(|length| length > 0) {
                    socket.write_all(answer).await.ok();
                }
            });
        }
    });
    bucket_at(&address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hosts_share_what_handlers_keep() {
    let server = server::Redis::start(&[]);
    let hosts = [bucket_at(&server.address()), bucket_at(&server.address())];
    let count = |host: &Bucket| {
        let host = host.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                host.increment("n", 1).await.unwrap();
            }
        })
    };
    for counting in [0, 1, 0, 1, 0, 1].map(|host: usize| count(&hosts[host])) {
        counting.await.unwrap();
    }
    assert_eq!(hosts[1].increment("n", 0).await, Ok(60));
    let race = async |host: usize| hosts[host % 2].swap("owner", None, Some(b"me".to_vec())).await.unwrap();
    let won = futures_util::future::join_all((0..8).map(race)).await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    set(&hosts[0], "k", value("v")).await.unwrap();
    assert_eq!(hosts[1].get("k").await, Ok(Some(b"v".to_vec())));
    // The quota is one.
    assert_eq!(set(&hosts[1], "l", Some((vec![0; 960], None))).await, Err(Error::Quota(1000)));
}

#[tokio::test]
async fn no_name_of_a_handler_is_anothers_and_nothing_else_is_in_the_way() {
    let server = server::Redis::start(&[]);
    let store = at(&format!("redis://{}/3", server.address()));
    for name in ["a", "a:values", "a:order", "b:a"] {
        let bucket = bucket(&store, name, 1000);
        assert_eq!(bucket.increment("n", 1).await, Ok(1), "{name}");
        assert_eq!(bucket.keys(None).await.unwrap().keys, ["n"], "{name}");
    }
    assert_eq!(server.command(&["DBSIZE"]), "0");
    let keys = server.command(&["-n", "3", "KEYS", "*"]);
    assert!(keys.lines().count() == 8 && keys.lines().all(|key| key.starts_with("nova-host:")), "{keys}");
    // Somebody else's key in the place of ours is trouble for one handler only.
    server.command(&["-n", "3", "SET", "nova-host:c:values", "x"]);
    assert_eq!(bucket(&store, "c", 1000).increment("n", 1).await, Err(Error::Broken));
    assert_eq!(bucket(&store, "a", 1000).increment("n", 1).await, Ok(2));
}

#[tokio::test]
async fn what_takes_no_memory_or_writes_is_broken_and_nothing_is_half_done() {
    let server = server::Redis::start(&["--maxmemory-policy", "noeviction"]);
    let bucket = bucket_at(&server.address());
    set(&bucket, "old", value("1")).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let writes = BTreeMap::from([("new".to_owned(), value("2")), ("old".to_owned(), None)]);
    assert_eq!(bucket.write(writes.clone()).await, Err(Error::Broken));
    assert_eq!(bucket.get("old").await, Ok(Some(b"1".to_vec())));
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    bucket.write(writes).await.unwrap();
    assert_eq!(bucket.keys(None).await.unwrap().keys, ["new"]);
}

#[tokio::test]
async fn a_server_that_was_killed_is_found_again_and_has_what_it_was_told() {
    let mut server = server::Redis::start(&[]);
    let bucket = bucket_at(&server.address());
    assert_eq!(bucket.increment("n", 1).await, Ok(1));
    server.kill();
    for _ in 0..3 {
        assert_eq!(bucket.increment("n", 1).await, Err(Error::Broken));
        assert_eq!(bucket.get("n").await, Err(Error::Broken));
    }
    server.start_again();
    assert_eq!(bucket.increment("n", 1).await, Ok(2));
    // Where nobody asked meanwhile, nobody notices.
    server.kill();
    server.start_again();
    assert_eq!(bucket.increment("n", 1).await, Ok(3));
    // Nor where it has forgotten scripts.
    server.command(&["SCRIPT", "FLUSH"]);
    assert_eq!(bucket.increment("n", 1).await, Ok(4));
}

#[tokio::test]
async fn passwords_and_users_are_as_in_the_url() {
    let server =
        server::Redis::start(&["--requirepass", "hunter2", "--user", "ada", "on", ">hush", "~*", "&*", "+@all"]);
    let with = |credentials: &str| bucket(&at(&format!("redis://{credentials}{}", server.address())), "h", 1000);
    assert_eq!(with(":hunter2@").increment("n", 1).await, Ok(1));
    assert_eq!(with("ada:hush@").increment("n", 1).await, Ok(2));
    for wrong in ["", ":hunter3@", "ada:hunter2@", "eve:hunter2@"] {
        assert_eq!(with(wrong).increment("n", 1).await, Err(Error::Broken), "{wrong}");
    }
}

#[tokio::test]
async fn a_request_that_ends_half_way_leaves_no_answer_for_the_next() {
    let server = server::Redis::start(&[]);
    let bucket = bucket_at(&server.address());
    set(&bucket, "one", value("1")).await.unwrap();
    set(&bucket, "two", value("2")).await.unwrap();
    for _ in 0..50 {
        // Sent, and the answer is not there yet.
        let mut one = Box::pin(bucket.get("one"));
        let _ = futures_util::poll!(one.as_mut());
        drop(one);
        assert_eq!(bucket.get("two").await, Ok(Some(b"2".to_vec())));
    }
}

#[tokio::test]
async fn a_host_has_so_many_connections_and_no_more() {
    let server = server::Redis::start(&[]);
    let bucket = bucket_at(&server.address());
    let ask = async |_| bucket.increment("n", 1).await.unwrap();
    futures_util::future::join_all((0..100).map(ask)).await;
    let clients = server.command(&["CLIENT", "LIST"]);
    let ours = clients.lines().filter(|client| client.contains("cmd=evalsha")).count();
    assert!((2..=16).contains(&ours), "{clients}");
}

#[tokio::test]
async fn a_server_that_is_none_is_a_store_that_does_not_work() {
    for answer in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(),
        b"$99999999999999\r\n",
        b"*1000000000\r\n$20\r\n01234567890123456789\r\n$40\r\n",
        b"+OK\r\n",
        b"-ERR \x1b[31mno\r\n",
        b"\0\n",
        // A digest for the script, and for the operation what is no answer to it.
        b"$3\r\nabc\r\n",
    ] {
        let bucket = saying(answer).await;
        assert_eq!(bucket.increment("n", 1).await, Err(Error::Broken));
        assert_eq!(set(&bucket, "k", value("v")).await, Err(Error::Broken));
        assert_eq!(bucket.swap("k", None, None).await, Err(Error::Broken));
        assert_eq!(bucket.keys(None).await, Err(Error::Broken));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_not_waited_for_for_ever() {
    let bucket = saying(b"").await;
    // Those that wait for a place wait no longer than the others.
    let get = async |_| bucket.get("k").await;
    let all = futures_util::future::join_all((0..40).map(get));
    let all = tokio::time::timeout(Duration::from_secs(11), all).await.unwrap();
    assert_eq!(all, [const { Err(Error::Broken) }; 40]);
}

#[tokio::test]
async fn connections_to_a_server_that_has_stopped_answering_are_all_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bucket = bucket_at(&listener.local_addr().unwrap().to_string());
    // A digest for the script, and a value.
    let answer = b"$3\r\nabc\r\n";
    let (stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let stopped = stopped.clone();
            let is_early = !*stopped.borrow();
            tokio::spawn(async move {
                let mut buffer = [0; 1 << 14];
                while socket.read(&mut buffer).await.is_ok_and(|length| length > 0) {
                    let is_silent = is_early && *stopped.borrow();
                    if !is_silent {
                        socket.write_all(answer).await.ok();
                    }
                }
            });
        }
    });
    let get = async |_| bucket.get("k").await.unwrap();
    futures_util::future::join_all((0..4).map(get)).await;
    stop.send(true).unwrap();
    // The clock goes as fast as nothing else happens, while nothing can.
    tokio::time::pause();
    assert_eq!(bucket.get("k").await, Err(Error::Broken));
    tokio::time::resume();
    for _ in 0..4 {
        assert_eq!(bucket.get("k").await, Ok(Some(b"abc".to_vec())));
    }
}

#[tokio::test]
async fn a_number_that_is_added_to_lasts_no_longer() {
    let server = server::Redis::start(&[]);
    let bucket = bucket_at(&server.address());
    let end = || server.command(&["ZSCORE", "nova-host:h:ends", "n"]);
    // Its own clock, in milliseconds.
    let clock = || {
        let time = server.command(&["TIME"]);
        let (seconds, micros) = time.split_once('\n').unwrap();
        seconds.parse::<u64>().unwrap() * 1000 + micros.parse::<u64>().unwrap() / 1000
    };
    let early = clock();
    set(&bucket, "n", Some((b"5".to_vec(), Some(Duration::from_secs(3600))))).await.unwrap();
    let before = end();
    assert!((early..=clock()).contains(&(before.parse::<u64>().unwrap() - 3_600_000)), "{early} {before}");
    assert_eq!(bucket.increment("n", 1).await, Ok(6));
    assert_eq!(end(), before);
    assert_eq!(bucket.swap("n", Some(b"6".to_vec()), Some(b"7".to_vec())).await, Ok(true));
    assert_eq!(end(), "");
}
