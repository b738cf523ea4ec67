//! Reserves room on the disk for a file.
#![allow(unsafe_code, reason = "the standard library has no fallocate")]

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;

/// Reserves the range without changing the file's length. A later write into it finds room, even if
/// the disk is full by then.
pub(super) fn reserve_disk_range(file: &File, from: u64, bytes: u64) -> io::Result<()> {
    let range = (libc::off64_t::try_from(from), libc::off64_t::try_from(bytes));
    let (Ok(from), Ok(bytes)) = range else { return Err(ErrorKind::FileTooLarge.into()) };
    loop {
        // SAFETY: the call gets only numbers, and the descriptor is open while `file` is borrowed.
        let done =
            unsafe { libc::fallocate64(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, from, bytes) };
        match io::Error::last_os_error() {
            _ if done == 0 => return Ok(()),
            error if error.kind() == ErrorKind::Interrupted => {}
            error => return Err(error),
        }
    }
}
