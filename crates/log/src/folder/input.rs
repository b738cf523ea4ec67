//! The content of a file, compressed or not.

use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use crate::gzip;
use crate::zst;

/// How the content of a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Zstd,
    Gzip,
}

/// The most bytes with which a format begins.
const MAGIC_BYTES: usize = 4;

impl Packing {
    /// By the end of the name.
    pub(super) fn of_name(path: &Path) -> Self {
        match path.extension().and_then(|end| end.to_str()) {
            Some("zst") => Self::Zstd,
            Some("gz") => Self::Gzip,
            _ => Self::Plain,
        }
    }

    /// By the end of the name, else by what the file begins with.
    pub(super) fn of_file(path: &Path) -> Self {
        match Self::of_name(path) {
            Self::Plain => {
                let head = File::open(path).and_then(|mut file| read_magic(&mut file));
                head.map_or(Self::Plain, |head| Self::of_magic(&head))
            }
            named => named,
        }
    }

    /// By what the content begins with.
    fn of_magic(head: &[u8]) -> Self {
        match head {
            [0x28, 0xb5, 0x2f, 0xfd] => Self::Zstd,
            [0x1f, 0x8b, ..] => Self::Gzip,
            _ => Self::Plain,
        }
    }

    /// The name that a file of this name has, or had, without compression.
    pub(super) fn plain_name(self, name: &str) -> &str {
        let end = match self {
            Self::Plain => "",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        };
        name.strip_suffix(end).unwrap_or(name)
    }
}

fn read_magic(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    input.take(MAGIC_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// The bytes of a file. What is compressed by Zstandard or gzip is decompressed.
pub struct Input(Source);

enum Source {
    Plain(Arc<File>),
    Other(Box<dyn Read + Send + Sync>),
}

impl Input {
    /// Opens the file. The end of its name says how it is compressed, `.zst` or `.gz`, else its first bytes.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or is compressed and the feature `zstd` or `gzip` is not built in.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let file = File::open(path)?;
        match Packing::of_name(path) {
            Packing::Plain => Self::detect(file),
            packing => Self::unpack(file, packing),
        }
    }

    /// Standard input. Its first bytes say how it is compressed, and are waited for.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn stdin() -> io::Result<Self> {
        Self::detect(io::stdin())
    }

    /// The content of an input, whose first bytes say how it is compressed.
    pub(super) fn detect(mut input: impl Read + Send + Sync + 'static) -> io::Result<Self> {
        let head = read_magic(&mut input)?;
        let packing = Packing::of_magic(&head);
        Self::unpack(Cursor::new(head).chain(input), packing)
    }

    /// The content of an input that is compressed so.
    pub(super) fn unpack(
        input: impl Read + Send + Sync + 'static,
        packing: Packing,
    ) -> io::Result<Self> {
        Ok(match packing {
            Packing::Plain => Self(Source::Other(Box::new(input))),
            Packing::Zstd => Self(Source::Other(Box::new(zst::reader(input)?))),
            Packing::Gzip => Self(Source::Other(Box::new(gzip::reader(input)?))),
        })
    }

    /// The content of a file that is not compressed.
    pub(super) fn plain(file: File) -> Self {
        Self(Source::Plain(Arc::new(file)))
    }

    /// The file whose bytes these are, if it is not compressed.
    pub(super) fn plain_file(&self) -> Option<&Arc<File>> {
        match &self.0 {
            Source::Plain(file) => Some(file),
            Source::Other(_) => None,
        }
    }
}

impl Read for Input {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Source::Plain(file) => file.read(piece),
            Source::Other(input) => input.read(piece),
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").finish_non_exhaustive()
    }
}

/// Reads at a place until the piece is full or the file ends. Returns how much was read. Several threads can
/// do so at once.
#[cfg(unix)]
pub(super) fn read_at(file: &File, piece: &mut [u8], offset: u64) -> io::Result<usize> {
    use std::os::unix::fs::FileExt;

    let mut filled = 0;
    while filled < piece.len() {
        match file.read_at(&mut piece[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(not(unix))]
pub(super) fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}
