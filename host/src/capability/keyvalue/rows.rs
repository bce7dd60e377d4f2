//! What rows mean: which are a handler's, how long a value lasts, and how much a handler keeps.
//!
//! A row's name is the handler's, a zero byte, and the key; its content is when its time is over, eight bytes of
//! milliseconds since 1970, and the value. The row without a key says how many bytes the others have.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Error, Page, Write};

/// What stands between a handler's name, which has no control characters, and a key.
const BETWEEN: u8 = 0;

/// The time of what lasts.
const NEVER: u64 = u64::MAX;

/// Bytes of the time.
const TIME: usize = 8;

/// Rows in the order of their names, within one transaction.
pub(super) trait Rows {
    /// One row.
    fn get(&self, name: &[u8]) -> Result<Option<Vec<u8>>, Error>;
    /// Makes or replaces one.
    fn put(&mut self, name: Vec<u8>, content: Vec<u8>) -> Result<(), Error>;
    /// Takes one away, if it is there.
    fn remove(&mut self, name: &[u8]) -> Result<(), Error>;
    /// The rows behind a name, for as long as `wanted` wants more.
    fn behind(&self, name: &[u8], wanted: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Error>;
}

impl Rows for BTreeMap<Vec<u8>, Vec<u8>> {
    fn get(&self, name: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.get(name).cloned())
    }

    fn put(&mut self, name: Vec<u8>, content: Vec<u8>) -> Result<(), Error> {
        self.insert(name, content);
        Ok(())
    }

    fn remove(&mut self, name: &[u8]) -> Result<(), Error> {
        BTreeMap::remove(self, name);
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

/// The rows of one handler.
pub(super) struct Part<'a> {
    rows: &'a mut dyn Rows,
    handler: &'a str,
    quota: usize,
    now: u64,
}

impl<'a> Part<'a> {
    pub(super) fn new(rows: &'a mut dyn Rows, handler: &'a str, quota: usize) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { rows, handler, quota, now: u64::try_from(now.as_millis()).unwrap_or(NEVER) }
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.lasting(key)?.map(|(_, value)| value))
    }

    pub(super) fn increment(&mut self, key: &str, delta: i64) -> Result<i64, Error> {
        let (until, value) = self.lasting(key)?.unwrap_or((NEVER, b"0".to_vec()));
        let number = std::str::from_utf8(&value).ok().and_then(|text| text.parse::<i64>().ok());
        let sum = number.and_then(|number| number.checked_add(delta)).ok_or(Error::NotANumber)?;
        self.put(&BTreeMap::from([(key.to_owned(), Some((until, sum.to_string().into_bytes())))]))?;
        Ok(sum)
    }

    pub(super) fn swap(&mut self, key: &str, current: Option<Vec<u8>>, next: Option<Vec<u8>>) -> Result<bool, Error> {
        if self.get(key)? != current {
            return Ok(false);
        }
        self.put(&BTreeMap::from([(key.to_owned(), next.map(|value| (NEVER, value)))]))?;
        Ok(true)
    }

    pub(super) fn write(&mut self, writes: &BTreeMap<String, Write>) -> Result<(), Error> {
        let until = |ttl: Option<std::time::Duration>| match ttl {
            Some(ttl) => self.now.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(NEVER)),
            None => NEVER,
        };
        let dated = |(key, write): (&String, &Write)| {
            (key.clone(), write.as_ref().map(|(value, ttl)| (until(*ttl), value.clone())))
        };
        self.put(&writes.iter().map(dated).collect())
    }

    pub(super) fn keys(&self, after: Option<&str>, most: usize) -> Result<Page, Error> {
        let (prefix, mut page) = (self.name(""), Page { keys: Vec::new(), more: false });
        self.rows.behind(&self.name(after.unwrap_or_default()), &mut |name, content| {
            let Some(key) = name.strip_prefix(prefix.as_slice()) else { return false };
            if page.keys.len() == most {
                page.more = true;
                return false;
            }
            if until(content) > self.now {
                page.keys.push(String::from_utf8_lossy(key).into_owned());
            }
            true
        })?;
        Ok(page)
    }

    /// A value whose time is not over, and when it is.
    fn lasting(&self, key: &str) -> Result<Option<(u64, Vec<u8>)>, Error> {
        let content = self.rows.get(&self.name(key))?;
        let content = content.filter(|content| until(content) > self.now);
        Ok(content.map(|mut content| (until(&content), content.split_off(TIME.min(content.len())))))
    }

    /// All writes, or none where they are too much: the quota is looked at before anything is done.
    fn put(&mut self, writes: &BTreeMap<String, Option<(u64, Vec<u8>)>>) -> Result<(), Error> {
        let mut used = self.used()?;
        if self.after(used, writes)? > self.quota {
            used = self.sweep()?;
        }
        let after = self.after(used, writes)?;
        if after > self.quota {
            return Err(Error::Quota(self.quota));
        }
        for (key, write) in writes {
            let name = self.name(key);
            match write {
                Some((until, value)) => self.rows.put(name, [&until.to_be_bytes(), value.as_slice()].concat())?,
                None => self.rows.remove(&name)?,
            }
        }
        self.note(after)
    }

    /// What would be used after some writes.
    fn after(&self, used: usize, writes: &BTreeMap<String, Option<(u64, Vec<u8>)>>) -> Result<usize, Error> {
        let mut after = used;
        for (key, write) in writes {
            if let Some(content) = self.rows.get(&self.name(key))? {
                after = after.saturating_sub(key.len() + content.len());
            }
            if let Some((_, value)) = write {
                after = after.saturating_add(key.len() + TIME + value.len());
            }
        }
        Ok(after)
    }

    /// Takes away what has lasted long enough; returns what is used then.
    fn sweep(&mut self) -> Result<usize, Error> {
        let (prefix, mut over, mut used) = (self.name(""), Vec::new(), 0_usize);
        self.rows.behind(&prefix, &mut |name, content| {
            let Some(key) = name.strip_prefix(prefix.as_slice()) else { return false };
            match until(content) > self.now {
                true => used = used.saturating_add(key.len() + content.len()),
                false => over.push(name.to_vec()),
            }
            true
        })?;
        over.iter().try_for_each(|name| self.rows.remove(name))?;
        self.note(used)?;
        Ok(used)
    }

    fn used(&self) -> Result<usize, Error> {
        let used = self.rows.get(&self.name(""))?.and_then(|used| used.try_into().ok()).map_or(0, u64::from_be_bytes);
        Ok(usize::try_from(used).unwrap_or(usize::MAX))
    }

    fn note(&mut self, used: usize) -> Result<(), Error> {
        let used = u64::try_from(used).unwrap_or(u64::MAX);
        self.rows.put(self.name(""), used.to_be_bytes().to_vec())
    }

    fn name(&self, key: &str) -> Vec<u8> {
        [self.handler.as_bytes(), &[BETWEEN], key.as_bytes()].concat()
    }
}

/// When the time of a row is over; at once where it says nothing.
fn until(content: &[u8]) -> u64 {
    content.first_chunk().map_or(0, |time| u64::from_be_bytes(*time))
}
