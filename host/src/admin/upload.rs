//! A component that is sent: onto the disk piece by piece, and from there as any other.
//!
//! Before it: [`super::routes`]. After it: [`crate::operate`] adds the file, as it does for `nova-host handlers add`. What is sent lies
//! in the directory of handlers under a name that nobody looks at, and goes when the operation has ended.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use hyper::{
    StatusCode,
    body::{Body as _, Incoming},
};
use tempfile::TempDir;
use tokio::{task::spawn_blocking, time::timeout};

use super::{
    api::Api,
    asked::{Asked, next},
    problem::Problem,
    told::Told as _,
};
use crate::{
    canary::{Policy, policy::Wishes},
    catalog::load::{MAX_MANIFEST, checked_name},
    control::protocol::{Changed, ControlRequest},
    gate,
    sandbox::MAX_COMPONENT,
    shadow,
    web::PATIENCE,
};

/// What the body is said to be.
pub(super) const WASM: &str = "application/wasm";

/// Parameters of the query.
pub(super) const QUERY: &[(&str, &str)] = &[
    ("name", "The handler's name"),
    FORCE,
    GATE,
    IGNORE,
    (
        "manifest",
        "Bytes of the manifest (TOML) that stands in the body before the component; without it, the handler's own stays",
    ),
];

const FORCE: (&str, &str) =
    ("force", "Whether methods that were called recently may go, and no gate is to be passed: true or false");
const GATE: (&str, &str) = (
    "gate",
    "What it has to pass, beside what manifests demand: all, or interface,recordings=20,latency=1.5x and others",
);
const IGNORE: (&str, &str) =
    ("ignore", "Where the results of recordings may differ: JSON pointers, with commas between them");

/// Those of a canary, of which the name is in the path.
pub(super) const CANARY: &[(&str, &str)] = &[
    FORCE,
    GATE,
    IGNORE,
    ("manifest", "As for a component that is served at once"),
    ("steps", "The shares of requests that it gets, one after the other: 1%,10%,50%, with each % as %25"),
    ("every", "How long each step lasts at least: 2m"),
    ("max_failures", "How many more of its requests may fail than of the serving version's: 0.1%"),
    ("max_latency", "How much slower than the serving version it may be: 1.3x"),
    ("min_requests", "Requests of each version that it takes to go on from a step"),
    ("by", "By what requests are told apart: request-id, or a field of the context, such as context.project_id"),
];

/// Those of a shadow, of which the name is in the path.
pub(super) const SHADOW: &[(&str, &str)] = &[
    ("force", "Whether methods that were called recently may go: true or false"),
    ("manifest", "As for a component that is served at once"),
    ("share", "The share of requests that are compared: 10%, with the % as %25"),
    ("by", "By what requests are told apart: request-id, or a field of the context, such as context.project_id"),
    ("noise", "Whether what differs from itself on the serving version is ignored: true or false"),
    ("ignore", "Paths of results that may differ, with commas between them: /instances/*/updated_at,/**/host"),
    ("until", "After so many compared requests it ends by itself"),
];

/// Time for all of it: the largest component at 2 Mbit/s.
const ALL: Duration = Duration::from_secs(600);

/// Bytes that are written at once.
const PIECE: usize = 1 << 20;

/// What files of a version in the making are called, as those of an exchange are.
const PREFIX: &str = ".nova-host-";

/// A handler's files that are being written.
struct Upload {
    folder: TempDir,
    component: PathBuf,
    /// Bytes of the body that are still the manifest's.
    manifest_left: usize,
    manifest: BytesMut,
    file: File,
    length: usize,
}

/// Adds a handler of what is sent.
pub(super) async fn add(api: &Api, asked: &Asked, body: Incoming) -> Result<Changed, Problem> {
    let gate = demanded(asked)?;
    send(api, asked, body, |file, name, force| ControlRequest::Add { file, name: Some(name), force, gate }).await
}

/// Tries what is sent on a share of the requests.
pub(super) async fn canary(api: &Api, asked: &Asked, body: Incoming) -> Result<Changed, Problem> {
    let text = |name: &str| asked.parameters.get(name).cloned();
    let policy = Wishes {
        steps: text("steps"),
        every: text("every"),
        max_failures: text("max_failures"),
        max_latency: text("max_latency"),
        min_requests: asked.read("min_requests", "a number")?,
        by: text("by"),
    };
    // Before anything is sent.
    Policy::read(&policy).map_err(Problem::bad_request)?;
    let gate = demanded(asked)?;
    let request = |file, name, force| ControlRequest::Canary { file, name: Some(name), force, gate, policy };
    send(api, asked, body, request).await
}

/// What it has to pass. What makes no sense is said before anything is sent.
fn demanded(asked: &Asked) -> Result<gate::Wishes, Problem> {
    let force = asked.read::<bool>("force", "true or false")?.unwrap_or_default();
    let of = |name: &str| asked.parameters.get(name).map(String::as_str);
    let ignore = of("ignore").map(|paths| paths.split(',').map(str::to_owned).collect()).unwrap_or_default();
    let wishes = gate::Wishes::of(of("gate").as_slice(), ignore);
    let read = wishes.and_then(|wishes| gate::Terms::read(force, &wishes).map(|_| wishes));
    read.map_err(Problem::bad_request)
}

/// Runs what is sent on a share of the requests, after they are answered.
pub(super) async fn shadow(api: &Api, asked: &Asked, body: Incoming) -> Result<Changed, Problem> {
    let text = |name: &str| asked.parameters.get(name).cloned();
    let paths = |paths: String| paths.split(',').map(str::to_owned).collect();
    let policy = shadow::policy::Wishes {
        share: text("share"),
        by: text("by"),
        noise: asked.read("noise", "true or false")?.unwrap_or_default(),
        ignore: text("ignore").map(paths).unwrap_or_default(),
        until: asked.read("until", "a number")?,
    };
    // Before anything is sent.
    shadow::Policy::read(&policy).map_err(Problem::bad_request)?;
    send(api, asked, body, |file, name, force| ControlRequest::Shadow { file, name: Some(name), force, policy }).await
}

/// Has done what is asked for with what is sent.
async fn send(
    api: &Api,
    asked: &Asked,
    body: Incoming,
    request: impl FnOnce(PathBuf, String, bool) -> ControlRequest,
) -> Result<Changed, Problem> {
    asked.is_of(WASM)?;
    let given = asked.parameters.get("name").ok_or_else(|| Problem::bad_request("the parameter name is needed"))?;
    let name = checked_name(given).map_err(|error| Problem::bad_request(error.to_string()))?;
    let force = asked.read::<bool>("force", "true or false")?.unwrap_or_default();
    let manifest = asked.read::<usize>("manifest", "a number of bytes")?;
    if manifest.is_some_and(|length| length > MAX_MANIFEST) {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a manifest has at most {MAX_MANIFEST} bytes"),
        ));
    }
    // Who says so is told at once; who does not say it is told when it is seen.
    if body.size_hint().lower() > (MAX_COMPONENT + manifest.unwrap_or_default()) as u64 {
        return Err(too_large());
    }
    let place = timeout(PATIENCE, api.uploads.acquire()).await;
    let Ok(Ok(_place)) = place else {
        let detail = "other components are being sent; try again when they are there";
        return Err(Problem::later(StatusCode::SERVICE_UNAVAILABLE, PATIENCE, detail));
    };
    let directory = api.operated.keeper.directory().to_owned();
    let upload = on_disk({
        let name = name.clone();
        move || Upload::begin(&directory, &name, manifest)
    });
    let receive = receive(upload.await?, body);
    let received = timeout(ALL, receive).await;
    let (folder, file) =
        received.unwrap_or_else(|_| Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the component does not come")))?;
    Changed::of(api.operate(request(file, name, force), asked, folder).await?).map_err(|other| Problem::of(*other))
}

/// Takes all that is sent; gives the folder, and the component in it.
async fn receive(mut upload: Upload, mut body: Incoming) -> Result<(TempDir, PathBuf), Problem> {
    let mut waiting = BytesMut::new();
    while let Some(piece) = next(&mut body, PATIENCE).await? {
        waiting.extend_from_slice(&piece);
        if waiting.len() >= PIECE {
            upload = upload.take(waiting.split().freeze()).await?;
        }
    }
    upload.take(waiting.freeze()).await?.end().await
}

impl Upload {
    fn begin(directory: &Path, name: &str, manifest: Option<usize>) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(directory)?;
        let component = folder.path().join(format!("{name}.wasm"));
        if manifest.is_some() {
            // One of no bytes is a manifest too.
            File::create_new(component.with_extension("toml"))?;
        }
        let file = File::create_new(&component)?;
        let manifest_left = manifest.unwrap_or_default();
        Ok(Self { folder, component, manifest_left, manifest: BytesMut::new(), file, length: 0 })
    }

    async fn take(mut self, mut piece: Bytes) -> Result<Self, Problem> {
        if self.manifest_left > 0 {
            let of_manifest = piece.split_to(piece.len().min(self.manifest_left));
            self.manifest_left -= of_manifest.len();
            self.manifest.extend_from_slice(&of_manifest);
        }
        self.length += piece.len();
        if self.length > MAX_COMPONENT {
            return Err(too_large());
        }
        on_disk(move || self.file.write_all(&piece).map(|()| self)).await
    }

    async fn end(self) -> Result<(TempDir, PathBuf), Problem> {
        if self.manifest_left > 0 {
            return Err(Problem::bad_request("the body is shorter than the manifest is said to be"));
        }
        let Self { folder, component, manifest, .. } = self;
        on_disk(move || {
            if !manifest.is_empty() {
                std::fs::write(component.with_extension("toml"), &manifest)?;
            }
            Ok((folder, component))
        })
        .await
    }
}

fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a component has at most {} MiB", MAX_COMPONENT >> 20))
}

/// Does what may wait for a disk.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Problem> {
    let done = spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|error| {
        let detail = format!("what is sent cannot be written into the directory of handlers: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })
}
