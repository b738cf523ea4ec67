//! Standard output as a descriptor: past the lock and the buffer of `io::stdout`, which a thread
//! that prints holds for as long as nobody reads, and without waiting where that is asked for.
#![allow(unsafe_code, reason = "the standard library has no poll, nor a write that does not wait")]

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

/// A write of at most so many bytes finds room in every pipe that has any, and is never mixed with
/// those of others.
const PIECE_BYTES_MAX: usize = libc::PIPE_BUF;

/// Where the lines go.
///
/// The flag `O_NONBLOCK` would be that of every process that shares the pipe or terminal, and so is
/// not set. A pipe is asked whether it has room and, on Linux from 6.4, told not to wait should
/// somebody take the room meanwhile. A terminal is opened once more, for a flag of its own; where
/// that cannot be, it is treated as a pipe. A file is written to as any file is.
#[derive(Debug)]
pub(super) struct Descriptor {
    fd: RawFd,
    /// What `fd` is of where it is not standard output.
    _owned: Option<OwnedFd>,
    waits: bool,
    /// Whether a write can be told not to wait.
    is_told: bool,
    /// Takes every write whole.
    is_file: bool,
}

impl Descriptor {
    pub(super) fn stdout() -> Self {
        Self::at(libc::STDOUT_FILENO)
    }

    /// Over a descriptor that stays open.
    fn at(fd: RawFd) -> Self {
        match again(fd) {
            Some(own) => Self { fd: own.as_raw_fd(), ..Self::over(own.into()) },
            None => Self::new(fd, None),
        }
    }

    /// Over a descriptor that is closed with it.
    pub(super) fn over(owned: OwnedFd) -> Self {
        Self::new(owned.as_raw_fd(), Some(owned))
    }

    fn new(fd: RawFd, owned: Option<OwnedFd>) -> Self {
        let kind = borrowed(fd).metadata().map(|metadata| metadata.file_type());
        let is = |what: &dyn Fn(&FileType) -> bool| kind.as_ref().is_ok_and(what);
        Self {
            fd,
            _owned: owned,
            waits: false,
            is_told: cfg!(target_os = "linux") && is(&|kind| kind.is_fifo() || kind.is_socket()),
            is_file: is(&|kind| kind.is_file()),
        }
    }

    /// Has every write wait for the reader.
    pub(super) fn wait(&mut self) {
        self.waits = true;
    }

    /// What one write is given.
    fn part<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        if self.is_file { bytes } else { piece(bytes) }
    }

    fn write_piece(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.is_told {
            match write_told(self.fd, piece) {
                Err(error) if is_unsupported(&error) => self.is_told = false,
                written => return written,
            }
        }
        borrowed(self.fd).write(piece)
    }
}

impl Write for Descriptor {
    /// Writes all of it to a file; elsewhere a piece that begins and, as far as that goes, ends with a
    /// line, so that what others write there comes between lines. `WouldBlock`: there is no room at
    /// the moment.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.waits {
            return match borrowed(self.fd).write(self.part(bytes)) {
                // Somebody else has set the flag.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    has_room(self.fd, -1)?;
                    Err(ErrorKind::Interrupted.into())
                }
                written => written,
            };
        }
        if !has_room(self.fd, 0)? {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.write_piece(self.part(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whole lines, or the beginning of one that is longer than a piece may be.
fn piece(bytes: &[u8]) -> &[u8] {
    let most = &bytes[..bytes.len().min(PIECE_BYTES_MAX)];
    match memchr::memrchr(b'\n', most) {
        Some(end) => &most[..=end],
        None => most,
    }
}

/// A file of a descriptor that it does not close.
fn borrowed(fd: RawFd) -> ManuallyDrop<File> {
    // SAFETY: a `File` needs a descriptor that is not closed under it. Standard output is not
    // closed by a sound program while its output is in use, as `io::stdout` relies on, too; any
    // other is owned by the `Descriptor` that calls this. `ManuallyDrop` closes neither.
    ManuallyDrop::new(unsafe { File::from_raw_fd(fd) })
}

/// A terminal with a flag of its own: a description that nobody shares.
fn again(fd: RawFd) -> Option<File> {
    if !borrowed(fd).is_terminal() {
        return None;
    }
    let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
    let path = format!("/dev/fd/{fd}");
    let file = OpenOptions::new().write(true).custom_flags(flags).open(path).ok()?;
    file.is_terminal().then_some(file)
}

/// Whether a piece can be written, or the write would say why not; waits so long for that.
fn has_room(fd: RawFd, timeout_ms: libc::c_int) -> io::Result<bool> {
    let mut polled = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: the call is handed one `pollfd` that outlives it.
    match unsafe { libc::poll(&raw mut polled, 1, timeout_ms) } {
        -1 => Err(io::Error::last_os_error()),
        ready => Ok(ready > 0),
    }
}

#[cfg(target_os = "linux")]
fn write_told(fd: RawFd, piece: &[u8]) -> io::Result<usize> {
    let part = libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() };
    // SAFETY: the call reads `piece` alone, which is borrowed, through one `iovec` that outlives it.
    let written = unsafe { libc::pwritev2(fd, &raw const part, 1, -1, libc::RWF_NOWAIT) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

#[cfg(not(target_os = "linux"))]
fn write_told(_: RawFd, _: &[u8]) -> io::Result<usize> {
    Err(ErrorKind::Unsupported.into())
}

fn is_unsupported(error: &io::Error) -> bool {
    let codes = [libc::EOPNOTSUPP, libc::ENOSYS, libc::EINVAL, libc::ESPIPE];
    error.kind() == ErrorKind::Unsupported
        || error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Read;

    use super::*;

    /// A terminal and who shows it.
    fn terminal() -> (File, OwnedFd) {
        let master = OpenOptions::new().read(true).write(true).open("/dev/ptmx").unwrap();
        let fd = master.as_raw_fd();
        let mut locked: libc::c_int = 0;
        let flags = libc::O_RDWR | libc::O_NOCTTY;
        // SAFETY: the first call reads an int that outlives it; the second is handed numbers alone
        // and returns a new descriptor, or -1, which is looked for.
        let slave = unsafe {
            assert_eq!(libc::ioctl(fd, libc::TIOCSPTLCK, &raw mut locked), 0);
            let slave = libc::ioctl(fd, libc::TIOCGPTPEER, flags);
            assert!(slave >= 0);
            OwnedFd::from_raw_fd(slave)
        };
        (master, slave)
    }

    /// What is written until there is no room.
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
        let mut out = Descriptor::at(slave.as_raw_fd());
        assert!(out._owned.is_some(), "it is opened once more");
        let line = [&[b'x'; 1000][..], b"\n"].concat();
        let written = fill(&mut out, &line);
        assert!(written > 0);
        // SAFETY: the call is handed numbers alone.
        let flags = unsafe { libc::fcntl(slave.as_raw_fd(), libc::F_GETFL) };
        assert_eq!(flags & libc::O_NONBLOCK, 0);
        // With the reader back it goes on.
        let shown = std::thread::spawn(move || {
            let (mut piece, mut shown) = (vec![0; 1 << 16], 0);
            // To the end, which is an error here.
            while let Ok(read @ 1..) = master.read(&mut piece) {
                shown += read;
            }
            shown
        });
        assert!(has_room(out.fd, -1).unwrap());
        assert!(out.write(&line).unwrap() > 0);
        drop((out, slave));
        assert!(shown.join().unwrap() >= written);
    }

    #[test]
    fn a_full_pipe_holds_up_nobody_and_keeps_its_flags() {
        // Told not to wait, and as where a kernel cannot be told.
        for is_told in [true, false] {
            let (mut reader, writer) = io::pipe().unwrap();
            let fd = writer.as_raw_fd();
            let mut out = Descriptor { is_told, ..Descriptor::over(writer.into()) };
            let line = [&[b'x'; 1000][..], b"\n"].concat();
            let written = fill(&mut out, &line);
            // SAFETY: the call is handed numbers alone.
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
        let mut out = Descriptor::over(writer.into());
        drop(reader);
        assert_eq!(out.write(b"x\n").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let file = tempfile::tempfile().unwrap();
        let mut out = Descriptor::over(file.into());
        out.write_all(&[b'\n'; 100_000]).unwrap();
        assert_eq!(borrowed(out.fd).metadata().unwrap().len(), 100_000);
    }

    #[test]
    fn pieces_are_whole_lines_as_far_as_those_are_short() {
        assert_eq!(piece(b"a\nb\nc"), b"a\nb\n");
        let long = [b'x'; PIECE_BYTES_MAX + 1];
        assert_eq!(piece(&long), &long[1..]);
        let after = [b"a\n", &long[..]].concat();
        assert_eq!(piece(&after), b"a\n");
    }
}
