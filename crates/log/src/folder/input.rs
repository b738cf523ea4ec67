//! The content of a file, compressed or not.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::file_name;
use crate::zst;

/// The bytes of a file. A file whose name ends in `.zst` is decompressed.
pub struct Input(Box<dyn Read + Send + Sync>);

impl Input {
    /// Opens the file.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or is compressed and the feature `zstd` is not built in.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        Self::from_file(File::open(path)?, file_name::is_compressed_path(path))
    }

    /// Standard input, as it is.
    pub(crate) fn stdin() -> Self {
        Self(Box::new(io::stdin()))
    }

    pub(crate) fn from_file(file: File, is_compressed: bool) -> io::Result<Self> {
        Ok(match is_compressed {
            true => Self(Box::new(zst::reader(file)?)),
            false => Self(Box::new(file)),
        })
    }
}

impl Read for Input {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.0.read(piece)
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").finish_non_exhaustive()
    }
}
