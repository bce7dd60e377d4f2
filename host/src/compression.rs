//! The compressions that a message's header `compression` names.
//!
//! Used by [`crate::envelope`], which reads what others compressed, and by [`crate::transport`], which compresses what
//! is sent where `kombu_compression` says so. Names and formats are kombu's. Pure: no IO, no clock.

use std::io::{self, Read, Write};

use flate2::{Decompress, FlushDecompress, Status};
use lzma_rust2::{XzOptions, XzReader, XzWriter};

use crate::settings::Setting;

/// zlib's level, bzip2's block size and xz's preset: what Python's modules use unless told otherwise, and so kombu.
const ZLIB_LEVEL: u32 = 6;
const BZIP2_BLOCKS: u32 = 9;
const XZ_PRESET: u32 = 6;

/// The smallest dictionary that xz allows, and the one of [`XZ_PRESET`], in bytes.
const XZ_DICTIONARY: (u32, u32) = (4 << 10, 8 << 20);

/// Memory for the dictionary of an xz stream, in KiB: enough for `xz -9`, which has 64 MiB. The stream says how much it
/// wants, up to 4 GiB.
const XZ_MEMORY: u32 = 80 << 10;

/// How many bytes are made room for at a time.
const CHUNK: usize = 64 << 10;

/// What gzip begins with. kombu means zlib by `application/x-gzip`; others may mean what it says.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// zlib (RFC 1950), which kombu calls gzip; a gzip stream is read too.
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Lzma,
}

/// Why a body is not decompressed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such compression.
    #[error("it is not known")]
    Unknown,
    /// More comes out of it than is allowed. Nothing of it is kept.
    #[error("it has more than {0} bytes decompressed")]
    TooLarge(usize),
    /// It is not what its header says, or ends too early.
    #[error("it cannot be decompressed: {0}")]
    Corrupt(String),
}

impl Compression {
    /// The header's value.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Gzip => "application/x-gzip",
            Self::Bzip2 => "application/x-bz2",
            Self::Lzma => "application/x-lzma",
        }
    }

    /// Reads the header's value: a content type, or one of kombu's names for it.
    #[must_use]
    pub fn from_header(value: &str) -> Option<Self> {
        match value {
            "application/x-gzip" | "gzip" | "zlib" => Some(Self::Gzip),
            "application/x-bz2" | "bzip2" | "bzip" => Some(Self::Bzip2),
            "application/x-lzma" | "lzma" | "xz" => Some(Self::Lzma),
            _ => None,
        }
    }

    /// Compresses.
    ///
    /// # Errors
    ///
    /// The encoder's own, for which no reason is known.
    pub fn compress(self, body: &[u8]) -> io::Result<Vec<u8>> {
        let out = Vec::with_capacity(body.len() / 4 + 64);
        match self {
            Self::Gzip => {
                let mut encoder = flate2::write::ZlibEncoder::new(out, flate2::Compression::new(ZLIB_LEVEL));
                encoder.write_all(body)?;
                encoder.finish()
            }
            Self::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(out, bzip2::Compression::new(BZIP2_BLOCKS));
                encoder.write_all(body)?;
                encoder.finish()
            }
            Self::Lzma => {
                let mut options = XzOptions::with_preset(XZ_PRESET);
                // No larger than the body: the encoder sets aside ten times as much, for the smallest reply too.
                let size = u32::try_from(body.len().next_power_of_two()).unwrap_or(u32::MAX);
                options.lzma_options.dict_size = size.clamp(XZ_DICTIONARY.0, XZ_DICTIONARY.1);
                let mut encoder = XzWriter::new(out, options)?;
                encoder.write_all(body)?;
                encoder.finish()
            }
        }
    }

    /// Decompresses up to `limit` bytes; memory grows with what comes out, to a little more than that.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] and [`Error::Corrupt`].
    pub fn decompress(self, body: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
        match self {
            Self::Gzip if body.starts_with(&GZIP_MAGIC) => read(flate2::bufread::MultiGzDecoder::new(body), limit),
            Self::Gzip => inflate(body, limit),
            Self::Bzip2 => read(bzip2::bufread::MultiBzDecoder::new(body), limit),
            Self::Lzma => read(XzReader::new_mem_limit(body, true, XZ_MEMORY), limit),
        }
    }
}

/// Decompresses as a header says.
///
/// # Errors
///
/// [`Error`].
pub fn decompress(header: &str, body: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    Compression::from_header(header).ok_or(Error::Unknown)?.decompress(body, limit)
}

fn read(mut stream: impl Read, limit: usize) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    loop {
        reserve(&mut out, limit)?;
        let chunk = stream.by_ref().take(room(&out)).read_to_end(&mut out).map_err(corrupt)?;
        if chunk == 0 {
            return Ok(out);
        }
    }
}

/// zlib by hand: flate2's reader takes a stream that ends too early for one that is whole.
fn inflate(body: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let mut stream = Decompress::new(true);
    let (mut rest, mut out) = (body, Vec::new());
    loop {
        reserve(&mut out, limit)?;
        let (taken, made) = (stream.total_in(), stream.total_out());
        let status = stream.decompress_vec(rest, &mut out, FlushDecompress::None);
        let status = status.map_err(|error| corrupt(error.into()))?;
        let taken = usize::try_from(stream.total_in() - taken).unwrap_or(usize::MAX);
        rest = rest.get(taken..).unwrap_or_default();
        match status {
            Status::StreamEnd if out.len() > limit => return Err(Error::TooLarge(limit)),
            Status::StreamEnd => return Ok(out),
            Status::Ok | Status::BufError if taken == 0 && stream.total_out() == made => {
                return Err(corrupt(io::ErrorKind::UnexpectedEof.into()));
            }
            Status::Ok | Status::BufError => {}
        }
    }
}

/// Makes room for what comes next, where the limit allows it.
fn reserve(out: &mut Vec<u8>, limit: usize) -> Result<(), Error> {
    if out.len() > limit {
        return Err(Error::TooLarge(limit));
    }
    if out.len() == out.capacity() {
        // Twice as much each time, but never much beyond the limit.
        let more = out.len().max(CHUNK).min(limit.saturating_sub(out.len()).max(CHUNK));
        out.reserve_exact(more);
    }
    Ok(())
}

/// The room there is without another allocation.
fn room(out: &Vec<u8>) -> u64 {
    (out.capacity() - out.len()) as u64
}

impl Setting for Compression {
    /// oslo.messaging's choices, and `bz2`, which its help offers and its client does not take.
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "gzip" => Ok(Self::Gzip),
            "bzip2" | "bz2" => Ok(Self::Bzip2),
            "lzma" | "xz" => Ok(Self::Lzma),
            _ => Err(format!("{text:?} is not a compression: it takes gzip, bzip2 (or bz2) or lzma (or xz)")),
        }
    }
}

fn corrupt(error: io::Error) -> Error {
    Error::Corrupt(error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Compression; 3] = [Compression::Gzip, Compression::Bzip2, Compression::Lzma];

    const LIMIT: usize = 1 << 17;

    #[test]
    fn what_ends_too_early_or_is_damaged_is_corrupt() {
        for compression in ALL {
            let whole = compression.compress(&[b'x'; 5000]).unwrap();
            for end in 0..whole.len() {
                let outcome = compression.decompress(&whole[..end], LIMIT);
                assert!(matches!(outcome, Err(Error::Corrupt(_))), "{compression:?} {end}: {outcome:?}");
            }
            let outcome = compression.decompress(b"{\"method\": \"m\"}", LIMIT);
            assert!(matches!(outcome, Err(Error::Corrupt(_))), "{compression:?}: {outcome:?}");
        }
    }

    #[test]
    fn a_bomb_is_refused_and_takes_no_more_memory_than_is_allowed() {
        for compression in ALL {
            for size in [LIMIT + 1, 3 * LIMIT] {
                let bomb = compression.compress(&vec![0; size]).unwrap();
                assert!(bomb.len() < 20_000, "{compression:?} {}", bomb.len());
                assert!(matches!(compression.decompress(&bomb, LIMIT), Err(Error::TooLarge(LIMIT))), "{compression:?}");
            }
            let exact = compression.compress(&vec![0; LIMIT]).unwrap();
            let out = compression.decompress(&exact, LIMIT).unwrap();
            assert!(out.len() == LIMIT && out.capacity() <= LIMIT + 2 * CHUNK, "{}", out.capacity());
        }
    }

    #[test]
    fn an_xz_stream_gets_no_more_memory_than_the_largest_preset_needs() {
        let mut options = XzOptions::with_preset(0);
        options.lzma_options.dict_size = 256 << 20;
        let mut writer = XzWriter::new(Vec::new(), options).unwrap();
        writer.write_all(b"{}").unwrap();
        let greedy = writer.finish().unwrap();
        assert!(matches!(Compression::Lzma.decompress(&greedy, LIMIT), Err(Error::Corrupt(_))));
    }

    #[test]
    fn a_gzip_stream_is_read_too() {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(b"{}").unwrap();
        let stream = writer.finish().unwrap();
        assert_eq!(Compression::Gzip.decompress(&stream, LIMIT).unwrap(), b"{}");
        assert!(Compression::Gzip.decompress(&stream[..stream.len() - 1], LIMIT).is_err());
    }

    #[test]
    fn names_are_kombus() {
        for compression in ALL {
            assert_eq!(Compression::from_header(compression.header()), Some(compression));
        }
        for (name, compression) in [("zlib", ALL[0]), ("bzip", ALL[1]), ("xz", ALL[2])] {
            assert_eq!(Compression::from_header(name), Some(compression));
        }
        assert!(matches!(decompress("application/x-brotli", b"", LIMIT), Err(Error::Unknown)));
        assert_eq!(
            ["gzip", "bz2", "bzip2", "lzma", "xz"].map(|name| Compression::parse(name).unwrap()),
            [ALL[0], ALL[1], ALL[1], ALL[2], ALL[2]]
        );
        assert!(Compression::parse("zip").unwrap_err().contains("it takes gzip"));
    }

    proptest! {
        // The encoders are slow where they are not optimised.
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn anything_comes_back_as_it_was(body: Vec<u8>) {
            for compression in ALL {
                let compressed = compression.compress(&body).unwrap();
                prop_assert_eq!(compression.decompress(&compressed, LIMIT).unwrap(), &body[..]);
            }
        }

        #[test]
        fn any_bytes_decompress_or_fail_without_a_panic(body: Vec<u8>, whole: Vec<u8>, at: usize, byte: u8) {
            for compression in ALL {
                let _ = compression.decompress(&body, LIMIT);
                // Damage gets further into a decoder than noise.
                let mut damaged = compression.compress(&whole).unwrap();
                let length = damaged.len();
                damaged[at % length] = byte;
                let _ = compression.decompress(&damaged, LIMIT);
            }
        }
    }
}
