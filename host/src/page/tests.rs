//! What a browser gets: the files, the events, and the end of the log.

use std::{
    fs,
    io::Read,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use flate2::read::GzDecoder;
use futures_util::{Stream, StreamExt};
use http_body_util::BodyExt;
use hyper::{HeaderMap, StatusCode, header};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::SubscriberExt;

use super::{
    Page,
    board::{Board, Shown},
    events::{You, events},
    files,
    tail::Tail,
};
use crate::{
    catalog::{Policy, keeper::Keeper, load},
    journal::Recorder,
    levels::Levels,
    metrics::Metrics,
    testing::{answering, load_config, sandbox, tight},
};

/// All that a browser loads before it shows anything; what is sent is packed, and smaller.
const MAX_PAGE: usize = 150_000;

fn sources() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page/static");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|file| (file.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(file).unwrap()))
        .collect()
}

async fn get(path: &str, asked: &[(header::HeaderName, &str)]) -> Option<(StatusCode, HeaderMap, Bytes)> {
    let asked = asked.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
    let (head, body) = files::answer(path, &asked)?.into_parts();
    Some((head.status, head.headers, body.collect().await.unwrap().to_bytes()))
}

#[tokio::test]
async fn every_file_is_served_whole_or_packed_and_not_again_where_it_is_known() {
    let mut size = 0;
    for path in files::paths() {
        let (status, head, plain) = get(path, &[]).await.unwrap();
        assert_eq!((status, head.get(header::CONTENT_ENCODING)), (StatusCode::OK, None));
        assert_eq!(head[header::CONTENT_SECURITY_POLICY], files::POLICY);
        assert!(!files::POLICY.contains("unsafe"));
        let (_, head, packed) = get(path, &[(header::ACCEPT_ENCODING, "br, gzip;q=0.8")]).await.unwrap();
        assert_eq!(head[header::CONTENT_ENCODING], "gzip");
        let mut unpacked = Vec::new();
        GzDecoder::new(&*packed).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
        let tag = head[header::ETAG].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("\"x\", W/{tag}")] {
            let (status, head, body) = get(path, &[(header::IF_NONE_MATCH, &known)]).await.unwrap();
            assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
            assert_eq!(head[header::ETAG], *tag);
        }
        let (_, head, _) = get(path, &[(header::ACCEPT_ENCODING, "gzip;q=0")]).await.unwrap();
        assert!(head.get(header::CONTENT_ENCODING).is_none());
        size += plain.len();
    }
    assert!(size < MAX_PAGE, "{size} bytes");
    assert!(get("/page/../page.rs", &[]).await.is_none());
}

#[test]
fn every_file_there_is_is_served_and_all_that_is_asked_for_is_there() {
    let served: Vec<_> = files::paths().map(|path| path.trim_start_matches("/page/").to_owned()).collect();
    let index = "index.html".to_owned();
    for (name, text) in sources() {
        assert!(name == index || served.contains(&name), "{name} is not served");
        let wanted = text.split(['"', '\'']).filter_map(|word| word.strip_prefix("./").or(word.strip_prefix("page/")));
        for wanted in wanted.filter(|word| word.ends_with(".js") || word.ends_with(".css")) {
            assert!(served.iter().any(|path| path == wanted), "{name} wants {wanted}");
        }
        let lines = text.lines().count();
        assert!(lines <= 400, "{name} has {lines} lines");
    }
}

#[test]
fn no_script_and_no_style_is_within_the_page_and_nothing_is_asked_of_others() {
    for (name, text) in sources() {
        let is_handler = |word: &str| word.starts_with("on") && word.contains('=');
        let is_inline = text.contains("<style") || text.contains(" style=") || text.split_whitespace().any(is_handler);
        assert!(!name.ends_with(".html") || !is_inline, "{name}");
        let scripts = text.matches("<script").count();
        assert_eq!(scripts, text.matches("<script type=\"module\" src=\"page/").count(), "{name}");
        // Nothing is asked of anybody else.
        assert!(!text.contains("://") && !text.contains("url(") && !text.contains("@import"), "{name}");
    }
}

/// What stands on what in `page.css`.
const ON: [(&str, &[&str]); 7] = [
    ("ground", &["ink", "quiet", "link"]),
    ("sheet", &["ink", "quiet", "link", "good", "warn", "bad"]),
    ("raised", &["ink", "quiet", "link", "warn", "bad"]),
    ("good-tint", &["good", "ink"]),
    ("warn-tint", &["warn", "ink"]),
    ("bad-tint", &["bad", "ink"]),
    // What is said at the bottom of the page has them the other way round.
    ("ink", &["sheet"]),
];

/// The relative luminance of WCAG 2.
fn luminance(color: &str) -> f64 {
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

#[test]
fn every_colour_can_be_read_on_what_it_stands_on_by_day_and_by_night() {
    let (_, style) = sources().into_iter().find(|(name, _)| name == "page.css").unwrap();
    let (light, dark) = style.split_once("prefers-color-scheme: dark").unwrap();
    for (scheme, text) in [("light", light), ("dark", dark)] {
        let color = |name: &str| {
            let value = text.split(&format!("--{name}: ")).nth(1).unwrap();
            luminance(value.split(';').next().unwrap())
        };
        for (ground, names) in ON {
            for name in names {
                let (one, other) = (color(ground), color(name));
                let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
                assert!(contrast >= 4.5, "{scheme}: {name} on {ground}: {contrast:.2}");
            }
        }
        // Borders of what can be pressed: 3.
        let contrast = |one: f64, other: f64| (one.max(other) + 0.05) / (one.min(other) + 0.05);
        assert!(contrast(color("edge"), color("sheet")) >= 3.0, "{scheme}");
    }
}

struct Story {
    page: Page,
    keeper: Arc<Keeper>,
    tail: Tail,
    _directory: tempfile::TempDir,
}

type Heard = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

impl Story {
    async fn begin() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.wasm"), answering("1")).unwrap();
        let load = load::Config { directory: directory.path().to_owned(), ..load_config() };
        let keeper = Keeper::new(&load, &tight(), Policy::default(), sandbox(), Metrics::default());
        keeper.load().await.unwrap();
        let (tail, stop) = (Tail::default(), CancellationToken::new());
        let shown = Shown {
            keeper: Arc::clone(&keeper),
            metrics: Metrics::default(),
            recorder: Recorder::default(),
            tail: tail.clone(),
            server: "host-1".to_owned(),
        };
        let page = Page { board: Board::new(shown), stop };
        Self { page, keeper, tail, _directory: directory }
    }

    fn look_while(&self, you: You, is_welcome: impl Fn() -> bool + Send + Sync + 'static) -> Heard {
        Box::pin(events(&self.page, you, is_welcome))
    }

    fn look(&self) -> Heard {
        let you = You { name: "alice".to_owned(), role: "read".to_owned(), ..You::default() };
        self.look_while(you, || true)
    }

    /// A handler says something.
    fn log(&self, handler: &str, text: &str) {
        logged(&self.tail, "info", || tracing::info!(target: "handler", handler, "{text}"));
    }
}

async fn hear(heard: &mut Heard) -> Value {
    let event = String::from_utf8(heard.next().await.unwrap().to_vec()).unwrap();
    let event = event.strip_prefix("retry: 1000\n").unwrap_or(&event);
    let data = event.strip_prefix("event: state\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
    assert!(!data.contains('\n'));
    serde_json::from_str(data).unwrap()
}

#[tokio::test]
async fn the_first_event_is_the_whole_and_those_after_it_are_what_changed() {
    let story = Story::begin().await;
    story.log("a", "before");
    let mut heard = story.look();
    let whole = hear(&mut heard).await;
    assert_eq!(
        (&whole["whole"], &whole["you"]["role"], &whole["server"]),
        (&true.into(), &"read".into(), &"host-1".into())
    );
    assert_eq!(whole["handlers"][0]["name"], "a");
    assert_eq!(whole["health"]["phase"], "loading handlers");
    assert_eq!((&whole["log"][0]["text"], &whole["log"][0]["handler"]), (&"before".into(), &"a".into()));
    assert!(whole["requests"].is_array() && whole["failures"].is_array() && whole["methods"].is_array());
    story.log("a", "after");
    let next = hear(&mut heard).await;
    assert_eq!((next.get("whole"), next.get("handlers"), next.get("failures")), (None, None, None));
    assert_eq!((&next["log"][0]["text"], next["log"].as_array().unwrap().len()), (&"after".into(), 1));
    story.keeper.remove("a").unwrap();
    let changed = hear(&mut heard).await;
    assert_eq!((&changed["handlers"], changed.get("log")), (&Value::Array(Vec::new()), None));
    // Who comes again hears all of it again.
    assert_eq!(hear(&mut story.look()).await["whole"], true);
}

#[tokio::test]
async fn who_is_slow_is_told_what_is_new_at_once_and_all_end_when_the_service_does() {
    let story = Story::begin().await;
    let (mut slow, mut other) = (story.look(), story.look());
    let (first, _) = (hear(&mut slow).await, hear(&mut other).await);
    for number in 0..3 {
        story.log("a", &number.to_string());
        assert_eq!(hear(&mut other).await["log"][0]["text"], number.to_string());
    }
    let late = hear(&mut slow).await;
    assert_eq!(late["log"].as_array().unwrap().len(), 3);
    assert!(late["now_ms"].as_u64() > first["now_ms"].as_u64());
    story.page.stop.cancel();
    assert!(slow.next().await.is_none() && other.next().await.is_none());
}

#[tokio::test]
async fn who_may_not_look_any_more_is_told_nothing_more() {
    let story = Story::begin().await;
    let is_welcome = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&is_welcome);
    let mut heard = story.look_while(You::default(), move || asked.load(Ordering::Relaxed));
    assert_eq!(hear(&mut heard).await["whole"], true);
    is_welcome.store(false, Ordering::Relaxed);
    story.log("a", "not theirs");
    assert!(heard.next().await.is_none());
}

/// Logs something where this tail is one reader of the log.
fn logged(tail: &Tail, levels: &str, act: impl FnOnce()) {
    let levels = Levels::new(levels).unwrap();
    let subscriber = tracing_subscriber::registry().with(levels.filter()).with(Some(tail.clone()));
    tracing::subscriber::with_default(subscriber, act);
}

#[test]
fn a_line_belongs_to_the_handler_that_it_names_or_whose_request_it_is_in() {
    let tail = Tail::default();
    logged(&tail, "info,handler=debug", || {
        tracing::info!("of nobody");
        let request = tracing::error_span!("request", handler = tracing::field::Empty, request_id = "req-1");
        let entered = request.enter();
        tracing::info!("not found yet");
        request.record("handler", "a");
        tracing::debug!(target: "handler", "said");
        tracing::debug!("too quiet");
        tracing::info!(outcome = "failed", took = ?std::time::Duration::from_secs(1), "handled\nwith \u{1b}[31mcolours");
        drop(entered);
        tracing::warn!(handler = "b", "handler refused");
    });
    let (lines, last) = tail.after(0);
    let told: Vec<_> =
        lines.iter().map(|line| (&*line.handler, line.level, &*line.text, line.request_id.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("a", "debug", "said", Some("req-1")),
            ("a", "info", "handled\\nwith \\u{1b}[31mcolours outcome=\"failed\" took=1s", Some("req-1")),
            ("b", "warn", "handler refused", None),
        ]
    );
    assert_eq!((last, tail.after(2).0.len(), tail.after(3).0.len()), (3, 1, 0));
}

#[test]
fn a_handler_that_is_loud_takes_no_room_of_the_others_and_nobody_takes_it_without_a_bound() {
    let tail = Tail::default();
    logged(&tail, "info", || {
        tracing::info!(handler = "quiet", "once");
        for number in 0..5000 {
            tracing::info!(handler = "loud", "{number}");
        }
        tracing::info!(handler = "large", "{}", "x".repeat(100_000));
        for _ in 0..100 {
            tracing::info!(handler = "large", "{}", "y".repeat(1500));
        }
    });
    let (lines, _) = tail.after(0);
    let of = |handler: &str| {
        lines.iter().filter(|line| &*line.handler == handler).map(|line| line.text.len()).collect::<Vec<_>>()
    };
    assert_eq!((of("quiet").len(), of("loud").len()), (1, 200));
    assert!(of("large").iter().sum::<usize>() <= 32 << 10 && of("large").len() > 20);
    // Names are bounded too: who was silent for longest goes.
    logged(&tail, "info", || {
        for number in 0..62 {
            tracing::info!(handler = number.to_string(), "here");
        }
    });
    let (lines, _) = tail.after(0);
    assert!(!lines.iter().any(|line| &*line.handler == "quiet") && lines.iter().any(|line| &*line.handler == "loud"));
}
