//! Files of certificates and keys.
//!
//! Before it: a setting names a file. After it: rustls. What is in a key file is never shown.

use std::{
    fmt, fs,
    io::{self, Read as _},
    path::Path,
};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};

use crate::confine::explained;

/// The largest file of certificates or keys that is read, in bytes; a whole system's CA bundle has a quarter of it.
const MAX_FILE_LENGTH: u64 = 1 << 20;

/// What is wrong with a file, with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake(String);

impl Mistake {
    pub(crate) fn new(path: &Path, text: impl fmt::Display) -> Self {
        Self(format!("{}: {text}", path.display()))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All of a file of at most 1 MiB.
pub(crate) fn content(path: &Path) -> Result<Vec<u8>, Mistake> {
    let read = || {
        let mut content = Vec::new();
        // Before it is opened: to open a FIFO waits until somebody writes to it.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("is not a regular file"));
        }
        fs::File::open(path)?.take(MAX_FILE_LENGTH + 1).read_to_end(&mut content)?;
        Ok(content)
    };
    let content = read().map_err(|error: io::Error| Mistake::new(path, explained(error)))?;
    if u64::try_from(content.len()).is_ok_and(|length| length <= MAX_FILE_LENGTH) {
        Ok(content)
    } else {
        Err(Mistake::new(path, "is larger than 1 MiB"))
    }
}

/// All certificates of what was read of a file, at least one.
pub(crate) fn certificates(path: &Path, content: &[u8]) -> Result<Vec<CertificateDer<'static>>, Mistake> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(content)
        .collect::<Result<_, _>>()
        .map_err(|_| Mistake::new(path, "is not PEM"))?;
    match certificates.is_empty() {
        true => Err(Mistake::new(path, "holds no certificate in PEM")),
        false => Ok(certificates),
    }
}

/// The key in what was read of a file.
pub(crate) fn key(path: &Path, content: &[u8]) -> Result<PrivateKeyDer<'static>, Mistake> {
    PrivateKeyDer::from_pem_slice(content).map_err(|error| match error {
        pem::Error::NoItemsFound => Mistake::new(path, "holds no private key in PEM that is not encrypted"),
        // The error may quote the file.
        _ => Mistake::new(path, "is not PEM"),
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_before_it_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for path in [Path::new("/dev/null"), directory.path(), &fifo] {
            let said = content(path).unwrap_err().to_string();
            assert!(said.ends_with(": is not a regular file"), "{said}");
        }
    }
}
