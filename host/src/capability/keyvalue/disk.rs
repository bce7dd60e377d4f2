//! Rows in a file, with redb: one file, one process at a time, whole after a crash.

use std::{path::Path, sync::Arc};

use redb::{Database, ReadOnlyTable, ReadableDatabase as _, ReadableTable, Table, TableDefinition};

use super::{
    Error,
    rows::{Look, Rows},
};

const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");

/// A file of rows. Clones are the same.
#[derive(Clone, Debug)]
pub(in crate::capability) struct Disk(Arc<Database>);

impl Disk {
    /// Opens the file, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let open = || -> Result<Database, redb::Error> {
            let database = Database::create(path)?;
            // What only reads finds a table.
            let transaction = database.begin_write()?;
            transaction.open_table(ROWS)?;
            transaction.commit()?;
            Ok(database)
        };
        open().map(|database| Self(Arc::new(database))).map_err(|error| error.to_string())
    }

    /// Looks at the rows as they are, on a thread that may be blocked. It waits for no write, and no write for it.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Look) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let database = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            let transaction = database.begin_read().map_err(broken)?;
            work(&transaction.open_table(ROWS).map_err(broken)?)
        });
        done.await.unwrap_or_else(|error| Err(broken(error)))
    }

    /// One transaction, on a thread that may be blocked; on disk when it returns. Dropped half-way, it is done or not.
    pub(super) async fn transact<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Rows) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let database = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            let transaction = database.begin_write().map_err(broken)?;
            let done = {
                let mut table = transaction.open_table(ROWS).map_err(broken)?;
                work(&mut table)
            };
            match done {
                // What is over was taken away, and is not to be looked for again.
                Ok(_) | Err(Error::Quota(_)) => transaction.commit().map_err(broken)?,
                Err(_) => transaction.abort().map_err(broken)?,
            }
            done
        });
        done.await.unwrap_or_else(|error| Err(broken(error)))
    }
}

impl Look for Table<'_, &'static [u8], &'static [u8]> {
    fn see(&self, name: &[u8], look: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        see(self, name, look)
    }

    fn behind(&self, name: &[u8], wanted: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Error> {
        behind(self, name, wanted)
    }
}

impl Look for ReadOnlyTable<&'static [u8], &'static [u8]> {
    fn see(&self, name: &[u8], look: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        see(self, name, look)
    }

    fn behind(&self, name: &[u8], wanted: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Error> {
        behind(self, name, wanted)
    }
}

impl Rows for Table<'_, &'static [u8], &'static [u8]> {
    fn put(&mut self, name: Vec<u8>, content: Vec<u8>) -> Result<(), Error> {
        self.insert(name.as_slice(), content.as_slice()).map_err(broken)?;
        Ok(())
    }

    fn remove(&mut self, name: &[u8]) -> Result<(), Error> {
        Table::remove(self, name).map_err(broken)?;
        Ok(())
    }
}

type Bytes = &'static [u8];

fn see(table: &impl ReadableTable<Bytes, Bytes>, name: &[u8], look: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
    if let Some(row) = table.get(name).map_err(broken)? {
        look(row.value());
    }
    Ok(())
}

fn behind(
    table: &impl ReadableTable<Bytes, Bytes>,
    name: &[u8],
    wanted: &mut dyn FnMut(&[u8], &[u8]) -> bool,
) -> Result<(), Error> {
    let behind = (std::ops::Bound::Excluded(name), std::ops::Bound::Unbounded);
    for row in table.range::<&[u8]>(behind).map_err(broken)? {
        let (name, content) = row.map_err(broken)?;
        if !wanted(name.value(), content.value()) {
            break;
        }
    }
    Ok(())
}

/// What is wrong is the operator's to know.
fn broken(error: impl std::fmt::Display) -> Error {
    tracing::error!(%error, "the key-value store does not work");
    Error::Broken
}
