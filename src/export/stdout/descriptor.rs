//! Writes to standard output or standard error as a descriptor.
//!
//! The writes bypass the lock and the buffer of `io::stdout`, because a thread that prints holds
//! the lock as long as nobody reads. They also do not wait, unless that is asked for.
#![allow(unsafe_code, reason = "the standard library has no poll, nor a write that does not wait")]

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

/// The largest write that fits into every pipe that has any room, and is never mixed with the
/// writes of others.
const PIECE_BYTES_MAX: usize = libc::PIPE_BUF;

/// The descriptor to which the lines are written.
///
/// The flag `O_NONBLOCK` is not set, because every process that shares the pipe or terminal would
/// have it. Before a write to a pipe, it polls for room. On Linux from 6.4 the write is also told
/// not to wait, because another process may take the room first. A terminal is opened again, so
/// that it has its own flag. If that fails, it is treated as a pipe. Writes to a file are ordinary
/// writes.
#[derive(Debug)]
pub(super) struct Descriptor {
    fd: RawFd,
    /// The owner of `fd`, unless that is one of the process's own streams.
    _owned: Option<OwnedFd>,
    waits: bool,
    /// Whether a write can be told not to wait.
    is_told: bool,
    /// Whether the descriptor is a file, which takes every write whole.
    is_file: bool,
}

impl Descriptor {
    pub(super) fn stdout() -> Self {
        Self::from_open_fd(libc::STDOUT_FILENO)
    }

    pub(super) fn stderr() -> Self {
        Self::from_open_fd(libc::STDERR_FILENO)
    }

    /// Uses a descriptor that stays open.
    fn from_open_fd(fd: RawFd) -> Self {
        match reopen_terminal(fd) {
            Some(own) => Self { fd: own.as_raw_fd(), ..Self::from_owned_fd(own.into()) },
            None => Self::new(fd, None),
        }
    }

    /// Uses a descriptor and closes it on drop.
    pub(super) fn from_owned_fd(owned: OwnedFd) -> Self {
        Self::new(owned.as_raw_fd(), Some(owned))
    }

    fn new(fd: RawFd, owned: Option<OwnedFd>) -> Self {
        let kind = borrow_descriptor(fd).metadata().map(|metadata| metadata.file_type());
        let is = |what: &dyn Fn(&FileType) -> bool| kind.as_ref().is_ok_and(what);
        Self {
            fd,
            _owned: owned,
            waits: false,
            is_told: cfg!(target_os = "linux") && is(&|kind| kind.is_fifo() || kind.is_socket()),
            is_file: is(&|kind| kind.is_file()),
        }
    }

    /// Makes every write wait for the reader.
    pub(super) fn make_writes_wait(&mut self) {
        self.waits = true;
    }

    /// Returns the bytes to pass to one write.
    fn bytes_for_one_write<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        if self.is_file { bytes } else { first_stdout_piece(bytes) }
    }

    fn write_piece(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.is_told {
            match write_without_waiting(self.fd, piece) {
                Err(error) if is_nowait_unsupported(&error) => self.is_told = false,
                written => return written,
            }
        }
        borrow_descriptor(self.fd).write(piece)
    }
}

impl Write for Descriptor {
    /// Writes everything to a file. To anything else it writes one piece, which begins with a line
    /// and if possible ends with one. So what others write there comes between lines.
    ///
    /// Returns `WouldBlock` if there is no room at the moment.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.waits {
            return match borrow_descriptor(self.fd).write(self.bytes_for_one_write(bytes)) {
                // Another process has set the flag.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    descriptor_has_room(self.fd, -1)?;
                    Err(ErrorKind::Interrupted.into())
                }
                written => written,
            };
        }
        if !descriptor_has_room(self.fd, 0)? {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.write_piece(self.bytes_for_one_write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns whole lines, or the beginning of a line that is longer than a piece may be.
fn first_stdout_piece(bytes: &[u8]) -> &[u8] {
    let most = &bytes[..bytes.len().min(PIECE_BYTES_MAX)];
    match memchr::memrchr(b'\n', most) {
        Some(end) => &most[..=end],
        None => most,
    }
}

/// Returns a file that does not close its descriptor.
fn borrow_descriptor(fd: RawFd) -> ManuallyDrop<File> {
    // SAFETY: a `File` needs a descriptor that stays open while it is used. A sound program does
    // not close its streams while they are in use; `io::stdout` relies on this, too. Any other
    // descriptor is owned by the `Descriptor` that calls this. `ManuallyDrop` closes neither.
    ManuallyDrop::new(unsafe { File::from_raw_fd(fd) })
}

/// Opens a terminal again. The new description is not shared, so it has its own flag.
fn reopen_terminal(fd: RawFd) -> Option<File> {
    if !borrow_descriptor(fd).is_terminal() {
        return None;
    }
    let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
    let path = format!("/dev/fd/{fd}");
    let file = OpenOptions::new().write(true).custom_flags(flags).open(path).ok()?;
    file.is_terminal().then_some(file)
}

/// Waits up to the timeout and reports whether a write would not block. It would not if there is
/// room for a piece, or if it would fail.
fn descriptor_has_room(fd: RawFd, timeout_ms: libc::c_int) -> io::Result<bool> {
    let mut polled = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: the call gets one `pollfd` that outlives it.
    match unsafe { libc::poll(&raw mut polled, 1, timeout_ms) } {
        -1 => Err(io::Error::last_os_error()),
        ready => Ok(ready > 0),
    }
}

#[cfg(target_os = "linux")]
fn write_without_waiting(fd: RawFd, piece: &[u8]) -> io::Result<usize> {
    let part = libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() };
    // SAFETY: the call reads only `piece`, which is borrowed, through one `iovec` that outlives it.
    let written = unsafe { libc::pwritev2(fd, &raw const part, 1, -1, libc::RWF_NOWAIT) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

#[cfg(not(target_os = "linux"))]
fn write_without_waiting(_: RawFd, _: &[u8]) -> io::Result<usize> {
    Err(ErrorKind::Unsupported.into())
}

fn is_nowait_unsupported(error: &io::Error) -> bool {
    let codes = [libc::EOPNOTSUPP, libc::ENOSYS, libc::EINVAL, libc::ESPIPE];
    error.kind() == ErrorKind::Unsupported
        || error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Read;

    use super::*;

    /// Returns the master and the slave of a new terminal.
    fn terminal() -> (File, OwnedFd) {
        let master = OpenOptions::new().read(true).write(true).open("/dev/ptmx").unwrap();
        let fd = master.as_raw_fd();
        let mut locked: libc::c_int = 0;
        let flags = libc::O_RDWR | libc::O_NOCTTY;
        // SAFETY: the first call reads an int that outlives it. The second call gets only numbers
        // and returns a new descriptor, or -1, which the assertion rejects.
        let slave = unsafe {
            assert_eq!(libc::ioctl(fd, libc::TIOCSPTLCK, &raw mut locked), 0);
            let slave = libc::ioctl(fd, libc::TIOCGPTPEER, flags);
            assert!(slave >= 0);
            OwnedFd::from_raw_fd(slave)
        };
        (master, slave)
    }

    /// Writes until there is no room, and returns the number of bytes written.
    fn fill(out: &mut Descriptor, line: &[u8]) -> usize {
        let mut written = 0;
        loop {
            match out.write(&line[written % line.len()..]) {
                Ok(taken) => written += taken,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    return written;
                }
            }
        }
    }

    #[test]
    fn a_terminal_that_nobody_shows_holds_up_nobody_and_keeps_its_flags() {
        let (mut master, slave) = terminal();
        let mut out = Descriptor::from_open_fd(slave.as_raw_fd());
        assert!(out._owned.is_some(), "it is opened again");
        let line = [&[b'x'; 1000][..], b"\n"].concat();
        let written = fill(&mut out, &line);
        assert!(written > 0);
        // SAFETY: the call gets only numbers.
        let flags = unsafe { libc::fcntl(slave.as_raw_fd(), libc::F_GETFL) };
        assert_eq!(flags & libc::O_NONBLOCK, 0);
        // If the terminal is read again, writing continues.
        let shown = std::thread::spawn(move || {
            let (mut piece, mut shown) = (vec![0; 1 << 16], 0);
            // Read to the end, which is an error on a terminal.
            while let Ok(read @ 1..) = master.read(&mut piece) {
                shown += read;
            }
            shown
        });
        assert!(descriptor_has_room(out.fd, -1).unwrap());
        assert!(out.write(&line).unwrap() > 0);
        drop((out, slave));
        assert!(shown.join().unwrap() >= written);
    }

    #[test]
    fn a_full_pipe_holds_up_nobody_and_keeps_its_flags() {
        // Once told not to wait, and once as with a kernel that cannot be told.
        for is_told in [true, false] {
            let (mut reader, writer) = io::pipe().unwrap();
            let fd = writer.as_raw_fd();
            let mut out = Descriptor { is_told, ..Descriptor::from_owned_fd(writer.into()) };
            let line = [&[b'x'; 1000][..], b"\n"].concat();
            let written = fill(&mut out, &line);
            // SAFETY: the call gets only numbers.
            let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
            assert_eq!(flags & libc::O_NONBLOCK, 0);
            let mut taken = vec![0; written];
            reader.read_exact(&mut taken).unwrap();
            assert_eq!(fill(&mut out, &line), written);
        }
    }

    #[test]
    fn a_reader_that_left_is_an_error_and_a_file_is_just_written() {
        let (reader, writer) = io::pipe().unwrap();
        let mut out = Descriptor::from_owned_fd(writer.into());
        drop(reader);
        assert_eq!(out.write(b"x\n").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let file = tempfile::tempfile().unwrap();
        let mut out = Descriptor::from_owned_fd(file.into());
        out.write_all(&[b'\n'; 100_000]).unwrap();
        assert_eq!(borrow_descriptor(out.fd).metadata().unwrap().len(), 100_000);
    }

    #[test]
    fn pieces_are_whole_lines_as_far_as_those_are_short() {
        assert_eq!(first_stdout_piece(b"a\nb\nc"), b"a\nb\n");
        let long = [b'x'; PIECE_BYTES_MAX + 1];
        assert_eq!(first_stdout_piece(&long), &long[1..]);
        let after = [b"a\n", &long[..]].concat();
        assert_eq!(first_stdout_piece(&after), b"a\n");
    }
}
