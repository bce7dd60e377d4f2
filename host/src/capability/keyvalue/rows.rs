//! What rows mean: which are a handler's, how long a value lasts, and how much a handler keeps.
//!
//! A row's name is the handler's, a zero byte, and the key; its content is when its time is over, eight bytes of
//! milliseconds since 1970, and the value. The row without a key says how many bytes the others take. What does not last has
//! another row, whose name is the handler's, a byte of one, when its time is over, and the key: so what is over is found first.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{ENTRY, Error, Page, Write};

/// What stands between a handler's name, which has no control characters, and a key.
const BETWEEN: u8 = 0;

/// What stands between a handler's name and the time of what does not last.
const ENDS: u8 = 1;

/// The time of what lasts.
const NEVER: u64 = u64::MAX;

/// Bytes of the time.
const TIME: usize = 8;

/// Rows whose time is over that are taken away at once.
const SWEPT: usize = 100;

/// Rows that are looked at for one answer, whatever of them may be shown.
pub(super) const LOOKED: usize = 10_000;

/// Writes by their keys, each with its time.
type Dated = BTreeMap<String, Option<(u64, Vec<u8>)>>;

/// Rows in the order of their names, within one transaction.
pub(super) trait Look {
    /// Shows one row, if it is there.
    fn see(&self, name: &[u8], look: &mut dyn FnMut(&[u8])) -> Result<(), Error>;
    /// Shows the rows behind a name, for as long as `wanted` wants more.
    fn behind(&self, name: &[u8], wanted: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Error>;
}

/// The same to be changed.
pub(super) trait Rows: Look {
    /// Makes or replaces one.
    fn put(&mut self, name: Vec<u8>, content: Vec<u8>) -> Result<(), Error>;
    /// Takes one away, if it is there.
    fn remove(&mut self, name: &[u8]) -> Result<(), Error>;
}

impl Look for BTreeMap<Vec<u8>, Vec<u8>> {
    fn see(&self, name: &[u8], look: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        self.get(name).into_iter().for_each(|content| look(content));
        Ok(())
    }

    fn behind(&self, name: &[u8], wanted: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Error> {
        let behind = (std::ops::Bound::Excluded(name), std::ops::Bound::Unbounded);
        for (name, content) in self.range::<[u8], _>(behind) {
            if !wanted(name, content) {
                break;
            }
        }
        Ok(())
    }
}

impl Rows for BTreeMap<Vec<u8>, Vec<u8>> {
    fn put(&mut self, name: Vec<u8>, content: Vec<u8>) -> Result<(), Error> {
        self.insert(name, content);
        Ok(())
    }

    fn remove(&mut self, name: &[u8]) -> Result<(), Error> {
        BTreeMap::remove(self, name);
        Ok(())
    }
}

/// The rows of one handler, to look at.
pub(super) struct View<'a> {
    rows: &'a dyn Look,
    handler: &'a str,
    now: u64,
}

impl<'a> View<'a> {
    pub(super) fn new(rows: &'a dyn Look, handler: &'a str) -> Self {
        Self { rows, handler, now: now() }
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.lasting(key)?.map(|(_, value)| value))
    }

    pub(super) fn keys(&self, after: Option<&str>, most: usize) -> Result<Page, Error> {
        let (prefix, mut page) = (name(self.handler, ""), Page { keys: Vec::new(), next: None });
        let (mut looked, mut last) = (0, Vec::new());
        self.rows.behind(&name(self.handler, after.unwrap_or_default()), &mut |name, content| {
            let Some(key) = name.strip_prefix(prefix.as_slice()) else { return false };
            if page.keys.len() == most || looked == LOOKED {
                page.next = Some(String::from_utf8_lossy(&last).into_owned());
                return false;
            }
            if until(content) > self.now {
                page.keys.push(String::from_utf8_lossy(key).into_owned());
            }
            looked += 1;
            last.clear();
            last.extend_from_slice(key);
            true
        })?;
        Ok(page)
    }

    /// A value whose time is not over, and when it is.
    fn lasting(&self, key: &str) -> Result<Option<(u64, Vec<u8>)>, Error> {
        let mut lasting = None;
        self.rows.see(&name(self.handler, key), &mut |content| {
            if until(content) > self.now {
                lasting = Some((until(content), content.get(TIME..).unwrap_or_default().to_vec()));
            }
        })?;
        Ok(lasting)
    }

    /// When a row's time is over, and the bytes that it counts for.
    fn measure(&self, key: &str) -> Result<Option<(u64, usize)>, Error> {
        let mut measured = None;
        self.rows.see(&name(self.handler, key), &mut |content| {
            measured = Some((until(content), size(key, content.len().saturating_sub(TIME))));
        })?;
        Ok(measured)
    }

    fn used(&self) -> Result<usize, Error> {
        let mut used = 0;
        self.rows
            .see(&name(self.handler, ""), &mut |content| used = content.try_into().map_or(0, u64::from_be_bytes))?;
        Ok(usize::try_from(used).unwrap_or(usize::MAX))
    }

    /// The times and keys of some rows whose time is over, the first first.
    fn over(&self) -> Result<Vec<(u64, String)>, Error> {
        let (prefix, mut over) = ([self.handler.as_bytes(), &[ENDS]].concat(), Vec::new());
        self.rows.behind(&prefix, &mut |name, _| {
            let Some(end) = name.strip_prefix(prefix.as_slice()) else { return false };
            if over.len() == SWEPT || until(end) > self.now {
                return false;
            }
            over.push((until(end), String::from_utf8_lossy(end.get(TIME..).unwrap_or_default()).into_owned()));
            true
        })?;
        Ok(over)
    }
}

/// The rows of one handler, to change.
pub(super) struct Part<'a> {
    rows: &'a mut dyn Rows,
    handler: &'a str,
    quota: usize,
    now: u64,
}

impl<'a> Part<'a> {
    pub(super) fn new(rows: &'a mut dyn Rows, handler: &'a str, quota: usize) -> Self {
        Self { rows, handler, quota, now: now() }
    }

    pub(super) fn increment(&mut self, key: &str, delta: i64) -> Result<i64, Error> {
        let (until, value) = self.view().lasting(key)?.unwrap_or((NEVER, b"0".to_vec()));
        let number = std::str::from_utf8(&value).ok().and_then(|text| text.parse::<i64>().ok());
        let sum = number.and_then(|number| number.checked_add(delta)).ok_or(Error::NotANumber)?;
        self.put(BTreeMap::from([(key.to_owned(), Some((until, sum.to_string().into_bytes())))]))?;
        Ok(sum)
    }

    pub(super) fn swap(&mut self, key: &str, current: Option<Vec<u8>>, next: Option<Vec<u8>>) -> Result<bool, Error> {
        if self.view().get(key)? != current {
            return Ok(false);
        }
        self.put(BTreeMap::from([(key.to_owned(), next.map(|value| (NEVER, value)))]))?;
        Ok(true)
    }

    pub(super) fn write(&mut self, writes: BTreeMap<String, Write>) -> Result<(), Error> {
        let until = |ttl: Option<std::time::Duration>| match ttl {
            Some(ttl) => self.now.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(NEVER)),
            None => NEVER,
        };
        let dated = |(key, write): (String, Write)| (key, write.map(|(value, ttl)| (until(ttl), value)));
        let writes = writes.into_iter().map(dated).collect();
        self.put(writes)
    }

    fn view(&self) -> View<'_> {
        View { rows: self.rows, handler: self.handler, now: self.now }
    }

    /// All writes, or none where they are too much: the quota is looked at before anything is done.
    fn put(&mut self, writes: Dated) -> Result<(), Error> {
        let after = self.make_room(&writes)?;
        for (key, write) in writes {
            if let Some((until, _)) = self.view().measure(&key)? {
                self.lasts_again(until, &key)?;
            }
            let name = name(self.handler, &key);
            match write {
                Some((until, value)) => {
                    self.rows.put(name, [&until.to_be_bytes(), value.as_slice()].concat())?;
                    if until != NEVER {
                        self.rows.put(self.end(until, &key), Vec::new())?;
                    }
                }
                None => self.rows.remove(&name)?,
            }
        }
        self.note(after)
    }

    /// Says what is used after some writes. Where that is too much, what is over is taken away, as far as it needs be: each
    /// row once, so that who writes pays for no more than has been written.
    fn make_room(&mut self, writes: &Dated) -> Result<usize, Error> {
        let (mut used, mut replaced, mut added) = (self.view().used()?, 0_usize, 0_usize);
        for (key, write) in writes {
            let size = write.as_ref().map_or(0, |(_, value)| size(key, value.len()));
            added = added.saturating_add(size);
            replaced = replaced.saturating_add(self.view().measure(key)?.map_or(0, |(_, size)| size));
        }
        let refused = Err(Error::Quota(self.quota));
        if added > self.quota {
            return refused;
        }
        while used.saturating_sub(replaced).saturating_add(added) > self.quota {
            let over = self.view().over()?;
            if over.is_empty() {
                self.note(used)?;
                return refused;
            }
            for (until, key) in over {
                let freed = self.view().measure(&key)?.filter(|(now, _)| *now == until).map_or(0, |(_, size)| size);
                self.rows.remove(&self.end(until, &key))?;
                if freed > 0 {
                    self.rows.remove(&name(self.handler, &key))?;
                }
                used = used.saturating_sub(freed);
                if writes.contains_key(&key) {
                    replaced = replaced.saturating_sub(freed);
                }
            }
        }
        Ok(used.saturating_sub(replaced).saturating_add(added))
    }

    fn lasts_again(&mut self, until: u64, key: &str) -> Result<(), Error> {
        if until == NEVER { Ok(()) } else { self.rows.remove(&self.end(until, key)) }
    }

    fn note(&mut self, used: usize) -> Result<(), Error> {
        let used = u64::try_from(used).unwrap_or(u64::MAX);
        self.rows.put(name(self.handler, ""), used.to_be_bytes().to_vec())
    }

    /// The name of the row that says when a key's time is over.
    fn end(&self, until: u64, key: &str) -> Vec<u8> {
        [self.handler.as_bytes(), &[ENDS], &until.to_be_bytes(), key.as_bytes()].concat()
    }
}

fn name(handler: &str, key: &str) -> Vec<u8> {
    [handler.as_bytes(), &[BETWEEN], key.as_bytes()].concat()
}

/// What a value counts for.
fn size(key: &str, value: usize) -> usize {
    key.len().saturating_add(ENTRY).saturating_add(value)
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(NEVER)
}

/// The time at the beginning of some bytes; at once where they say nothing.
fn until(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |time| u64::from_be_bytes(*time))
}
