//! The latest recordings of each method of a handler.
//!
//! Before it: [`crate::catalog`] wants to run them again. After it: it reads those one by one. Which method a file is of stands in the file, so
//! that they are read, the newest first, until there are enough; what else is in one is not kept. This blocks: it is for threads that may wait.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    file::{self, Title},
    ring,
};

/// Files that are looked at: some seconds.
const MAX_FILES: usize = 10_000;

/// Files that cannot be read and are named; of more there is a number.
const MAX_NAMED: usize = 5;

/// A recording that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// The method.
    pub method: String,
    /// How many of its method are newer.
    pub newer: u32,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latest {
    /// The newest of each method first, then the second of each.
    pub found: Vec<Found>,
    /// Recordings of requests that got no answer (a trap, a timeout): they are none of those.
    pub unanswered: usize,
    /// Files that are no recordings, or damaged: the first of them, and why.
    pub damaged: Vec<(String, String)>,
    /// How many those are.
    pub damaged_count: usize,
    /// Whether there are files that were not looked at: too many, or too little time.
    pub is_cut: bool,
}

/// Looks for the latest `most` of each of these methods that have an answer, until `until`.
///
/// # Errors
///
/// Where the directory cannot be listed.
pub fn latest(
    directory: &Path,
    handler: &str,
    methods: &BTreeSet<String>,
    most: u32,
    until: Instant,
) -> io::Result<Latest> {
    let (mut latest, mut counts) = (Latest::default(), BTreeMap::<String, u32>::new());
    let mut missing = methods.len();
    for (looked, listed) in ring::list(directory)?.into_iter().rev().enumerate() {
        if missing == 0 {
            break;
        }
        if looked >= MAX_FILES || Instant::now() >= until {
            latest.is_cut = true;
            break;
        }
        let method = match file::title(&listed.path) {
            Ok(Title { handler: name, method, .. }) if name != handler || !methods.contains(&method) => continue,
            Ok(Title { is_answered: false, .. }) => {
                latest.unanswered += 1;
                continue;
            }
            Ok(Title { method, .. }) => method,
            // Removed since, to make room.
            Err(file::Error::Read(error)) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                latest.damaged_count += 1;
                if latest.damaged.len() < MAX_NAMED {
                    latest.damaged.push((listed.id, error.to_string()));
                }
                continue;
            }
        };
        let count = counts.entry(method.clone()).or_default();
        if *count < most {
            latest.found.push(Found { id: listed.id, path: listed.path, method, newer: *count });
            *count += 1;
            missing -= usize::from(*count == most);
        }
    }
    latest.found.sort_by_key(|found| found.newer);
    Ok(latest)
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;
    use crate::recording::{Ended, Recording, sample};

    fn put(directory: &Path, number: u64, handler: &str, method: &str) {
        let mut recording = sample();
        recording.id = format!("{number:013}-0123456789ab");
        (recording.handler.name, recording.request.method) = (handler.to_owned(), method.to_owned());
        fs::write(directory.join(format!("{}.recording.zst", recording.id)), file::encode(&recording)).unwrap();
    }

    fn look(directory: &Path, most: u32) -> Latest {
        let methods = ["m", "n", "rare"].map(str::to_owned).into();
        latest(directory, "a", &methods, most, Instant::now() + Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn the_latest_of_each_method_are_found_the_newest_of_each_first() {
        let scratch = tempfile::tempdir().unwrap();
        for number in 1..=4 {
            put(scratch.path(), 10 * number, "a", "m");
            put(scratch.path(), 10 * number + 1, "a", "n");
            put(scratch.path(), 10 * number + 2, "other", "m");
            put(scratch.path(), 10 * number + 3, "a", "gone");
        }
        let found = look(scratch.path(), 2);
        let numbers = |latest: &Latest| -> Vec<(u64, String)> {
            let number = |id: &str| id.split('-').next().unwrap().parse().unwrap();
            latest.found.iter().map(|found| (number(&found.id), found.method.clone())).collect()
        };
        let expected = [(41, "n"), (40, "m"), (31, "n"), (30, "m")].map(|(number, method)| (number, method.to_owned()));
        assert_eq!((numbers(&found), found.damaged_count, found.is_cut), (expected.to_vec(), 0, false));
    }

    #[test]
    fn requests_without_an_answer_take_no_place_of_those_with_one() {
        let scratch = tempfile::tempdir().unwrap();
        let mut recording = sample();
        recording.handler.name = "a".to_owned();
        let fault = || Ended::Faulted { kind: "trapped".to_owned(), message: String::new(), frames: Vec::new() };
        let failure = crate::envelope::Failure::new("builtins", "KeyError", "x");
        let ends = [Ended::Declined, Ended::Failed(failure), recording.ended.clone(), fault(), fault()];
        for (number, ended) in ends.into_iter().enumerate() {
            let recording = Recording { id: format!("{number}-a"), ended, ..recording.clone() };
            fs::write(scratch.path().join(format!("{number}-a.recording.zst")), file::encode(&recording)).unwrap();
        }
        let found = look(scratch.path(), 3);
        let ids: Vec<_> = found.found.iter().map(|found| found.id.as_str()).collect();
        assert_eq!((ids, found.unanswered, found.damaged_count), (vec!["2-a", "1-a", "0-a"], 2, 0));
    }

    #[test]
    fn damaged_files_are_passed_over_named_and_counted() {
        let scratch = tempfile::tempdir().unwrap();
        put(scratch.path(), 1, "a", "m");
        let good = fs::read(scratch.path().join("0000000000001-0123456789ab.recording.zst")).unwrap();
        let mut other = sample();
        other.format = 99;
        let unfit = ruzstd::encoding::compress_to_vec(&b"{\"a\": 1}"[..], ruzstd::encoding::CompressionLevel::Fastest);
        let bad = [Vec::new(), b"nonsense".to_vec(), good[..good.len() / 2].to_vec(), file::encode(&other), unfit];
        for (number, bytes) in bad.iter().chain(&bad).enumerate() {
            fs::write(scratch.path().join(format!("9-{number}.recording.zst")), bytes).unwrap();
        }
        let found = look(scratch.path(), 20);
        assert_eq!((found.found.len(), found.damaged_count, found.damaged.len()), (1, 10, MAX_NAMED));
        let said = found.damaged.iter().map(|(_, error)| error.as_str()).collect::<Vec<_>>().join("\n");
        for expected in ["it is empty", "does not begin as zstd", "has format 99", "is no recording"] {
            assert!(said.contains(expected), "no {expected} in {said}");
        }
        assert!(latest(&scratch.path().join("none"), "a", &BTreeSet::new(), 1, Instant::now()).is_err());
    }

    #[test]
    fn what_there_is_no_time_for_is_not_looked_at() {
        let scratch = tempfile::tempdir().unwrap();
        put(scratch.path(), 1, "a", "m");
        let found = latest(scratch.path(), "a", &["m".to_owned()].into(), 1, Instant::now()).unwrap();
        assert_eq!((found.found.len(), found.is_cut), (0, true));
    }
}
