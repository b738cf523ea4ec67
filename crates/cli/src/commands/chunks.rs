//! Lines of an input in chunks, and threads that work on them.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::{self, Scope};

/// The most bytes that one read brings. A chunk is longer only if a line is.
const READ_BYTES: usize = 256 << 10;
/// More threads would wait for the one that reads and writes.
const THREADS_MAX: usize = 8;
/// How much is given for each thread and not yet taken, beyond what is given last.
const AHEAD_BYTES: usize = 2 * READ_BYTES;
/// Fewer lines are not worth a thread.
pub(super) const THREAD_BYTES_MIN: usize = 16 << 10;

/// Reads an input by chunks of whole lines.
pub(super) struct LineChunks<R> {
    input: R,
    /// The beginning of a line.
    rest: Vec<u8>,
}

impl<R: Read> LineChunks<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, rest: Vec::new() }
    }

    /// Reads once, and returns the whole lines that are there. They are empty if the first one has not ended yet.
    /// At the end of the input, returns the last line without its newline, and then `None`.
    pub(super) fn next_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut chunk = std::mem::take(&mut self.rest);
        let filled = chunk.len();
        chunk.resize(filled + READ_BYTES, 0);
        let read = loop {
            match self.input.read(&mut chunk[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        chunk.truncate(filled + read.as_ref().map_or(0, |read| *read));
        match read {
            Ok(0) => return Ok(Some(chunk).filter(|chunk| !chunk.is_empty())),
            Ok(_) => {}
            Err(error) => {
                self.rest = chunk;
                return Err(error);
            }
        }
        let whole = memchr::memrchr(b'\n', &chunk[filled..]).map(|newline| filled + newline + 1);
        match whole {
            Some(whole) => {
                self.rest.extend_from_slice(&chunk[whole..]);
                chunk.truncate(whole);
            }
            None => self.rest = std::mem::take(&mut chunk),
        }
        Ok(Some(chunk))
    }

    /// Returns what was read of a line before an error.
    pub(super) fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.rest)
    }
}

/// Returns the length of the first line, with its newline if it has one.
pub(super) fn first_line_length(lines: &[u8]) -> usize {
    memchr::memchr(b'\n', lines).map_or(lines.len(), |newline| newline + 1)
}

/// A chunk and its number, from 0.
type Chunk = (usize, Vec<u8>);
/// The way of chunks to a thread, and back with what was made of them.
type ChunkThread<T> = (Sender<Chunk>, Receiver<(Vec<u8>, T)>);
/// What is done with a chunk of this number.
type Work<'w, T> = dyn Fn(usize, &mut [u8]) -> T + Sync + 'w;

/// Threads that do the same work on each chunk. What they make of the chunks is taken in the order in which the
/// chunks were given.
pub(super) struct ChunkThreads<'scope, 'env, T> {
    scope: &'scope Scope<'scope, 'env>,
    work: &'env Work<'env, T>,
    /// They take the chunks in turn, and begin with their first one.
    threads: Vec<ChunkThread<T>>,
    threads_max: usize,
    /// What the caller has made, if no thread can be started.
    made_here: VecDeque<(Vec<u8>, T)>,
    given: usize,
    taken: usize,
    /// The bytes that are given and not yet taken.
    bytes: usize,
}

impl<'scope, 'env, T: Send + 'scope> ChunkThreads<'scope, 'env, T> {
    pub(super) fn new(scope: &'scope Scope<'scope, 'env>, work: &'env Work<'env, T>) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads_max = cores.min(THREADS_MAX);
        let (threads, made_here) = (Vec::new(), VecDeque::new());
        Self { scope, work, threads, threads_max, made_here, given: 0, taken: 0, bytes: 0 }
    }

    /// Returns whether what was made of a chunk has to be taken before another one is given. A chunk with a long
    /// line is worked on nearly alone.
    pub(super) fn is_full(&self) -> bool {
        !self.is_idle() && self.bytes >= AHEAD_BYTES * self.threads_max
    }

    /// Returns whether all that was made was taken.
    pub(super) fn is_idle(&self) -> bool {
        self.given == self.taken
    }

    pub(super) fn give(&mut self, mut chunk: Vec<u8>) {
        if self.given == self.threads.len() && self.given < self.threads_max {
            match self.start_thread() {
                Ok(thread) => self.threads.push(thread),
                // Those that run are enough, and if there are none, so is the caller.
                Err(_) => self.threads_max = self.threads.len(),
            }
        }
        self.bytes += chunk.len();
        match self.given.checked_rem(self.threads_max) {
            // If the thread has panicked, `take` says so.
            Some(turn) => drop(self.threads[turn].0.send((self.given, chunk))),
            None => {
                let made = (self.work)(self.given, &mut chunk);
                self.made_here.push_back((chunk, made));
            }
        }
        self.given += 1;
    }

    /// Waits for the oldest chunk, and returns it with what was made of it.
    pub(super) fn take(&mut self) -> Option<(Vec<u8>, T)> {
        if self.is_idle() {
            return None;
        }
        let taken = match self.taken.checked_rem(self.threads_max) {
            Some(turn) => self.threads[turn].1.recv().expect("the thread panicked"),
            None => self.made_here.pop_front()?,
        };
        self.taken += 1;
        self.bytes -= taken.0.len();
        Some(taken)
    }

    fn start_thread(&self) -> io::Result<ChunkThread<T>> {
        let ((give, given), (make, made), work) = (channel::<Chunk>(), channel(), self.work);
        thread::Builder::new().spawn_scoped(self.scope, move || {
            for (number, mut chunk) in given {
                let worked = work(number, &mut chunk);
                if make.send((chunk, worked)).is_err() {
                    break;
                }
            }
        })?;
        Ok((give, made))
    }
}

/// A value that threads use in the order of their chunks.
pub(super) struct Turns<V> {
    state: Mutex<TurnState<V>>,
    next: Condvar,
}

struct TurnState<V> {
    number: usize,
    /// A thread panicked before its turn.
    is_abandoned: bool,
    value: V,
}

impl<V> Turns<V> {
    pub(super) fn new(value: V) -> Self {
        let state = TurnState { number: 0, is_abandoned: false, value };
        Self { state: Mutex::new(state), next: Condvar::new() }
    }

    /// Waits for the turn of this chunk. If the work on an earlier one panicked, this panics too.
    pub(super) fn take_turn(&self, number: usize, take: impl FnOnce(&mut V)) {
        self.or_abandon(|| {
            let state = self.state.lock().expect("a thread panicked");
            let waits = |state: &mut TurnState<V>| state.number != number && !state.is_abandoned;
            let mut state = self.next.wait_while(state, waits).expect("a thread panicked");
            assert!(!state.is_abandoned, "a thread panicked");
            take(&mut state.value);
            state.number += 1;
        });
        self.next.notify_all();
    }

    /// Uses the value while no thread has a chunk.
    pub(super) fn lock<R>(&self, take: impl FnOnce(&mut V) -> R) -> R {
        take(&mut self.state.lock().expect("a thread panicked").value)
    }

    /// Does what belongs to a turn. If it panics, nobody waits for that turn.
    pub(super) fn or_abandon<R>(&self, work: impl FnOnce() -> R) -> R {
        struct Abandon<'t, V>(&'t Turns<V>);
        impl<V> Drop for Abandon<'_, V> {
            fn drop(&mut self) {
                if thread::panicking() {
                    let state = self.0.state.lock();
                    state.unwrap_or_else(PoisonError::into_inner).is_abandoned = true;
                    self.0.next.notify_all();
                }
            }
        }
        let _abandon = Abandon(self);
        work()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_whole_lines() {
        let long = "x".repeat(3 * READ_BYTES);
        for text in ["", "a", "a\n", "a\nb", &format!("a\n{long}\nb\n"), &format!("{long}\n")] {
            let (mut chunks, mut read) = (LineChunks::new(text.as_bytes()), Vec::new());
            while let Some(chunk) = chunks.next_chunk().unwrap() {
                let is_last = read.len() + chunk.len() == text.len();
                assert!(chunk.is_empty() || chunk.ends_with(b"\n") || is_last);
                read.extend(chunk);
            }
            assert!(read == text.as_bytes());
        }
    }

    #[test]
    fn a_line_that_has_not_ended_is_not_waited_for() {
        let (first, second) = (&b"a\nb"[..], &b"c\nd"[..]);
        let mut chunks = LineChunks::new(first.chain(&b"b"[..]).chain(second));
        let read: Vec<_> = std::iter::from_fn(|| chunks.next_chunk().unwrap()).collect();
        assert_eq!(read, [&b"a\n"[..], b"", b"bbc\n", b"d"]);
    }

    fn check_order(threads_max: usize) {
        let sum = |chunk: &[u8]| chunk.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        let turns = Turns::new(Vec::new());
        let work = |number, chunk: &mut [u8]| {
            turns.take_turn(number, |numbers: &mut Vec<_>| numbers.push(number));
            sum(chunk)
        };
        thread::scope(|scope| {
            let (mut threads, mut taken) = (ChunkThreads::new(scope, &work), Vec::new());
            threads.threads_max = threads_max;
            for number in 0..100_u8 {
                if threads.is_full() {
                    taken.extend(threads.take());
                }
                let length = if number % 10 == 0 { AHEAD_BYTES } else { 100 - usize::from(number) };
                threads.give(vec![number; length]);
                assert!(threads.bytes <= AHEAD_BYTES * (threads_max + 1));
            }
            taken.extend(std::iter::from_fn(|| threads.take()));
            assert!(threads.is_idle());
            let numbers: Vec<_> = taken.iter().map(|(chunk, _)| chunk[0]).collect();
            assert_eq!(numbers, (0..100).collect::<Vec<_>>());
            assert!(taken.iter().all(|(chunk, made)| sum(chunk) == *made));
        });
        turns.lock(|numbers| assert_eq!(*numbers, (0..100).collect::<Vec<_>>()));
    }

    #[test]
    fn what_threads_make_is_taken_in_order() {
        check_order(3);
    }

    #[test]
    fn the_caller_works_if_there_is_no_thread() {
        check_order(0);
    }

    #[test]
    fn nobody_waits_for_a_turn_whose_work_panicked() {
        for panics_in_turn in [false, true] {
            let turns = Turns::new(());
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                thread::scope(|scope| {
                    scope.spawn(|| turns.take_turn(1, |()| {}));
                    if panics_in_turn {
                        turns.take_turn(0, |()| panic!("in its turn"));
                    } else {
                        turns.or_abandon(|| panic!("before its turn"));
                    }
                });
            }));
            assert!(outcome.is_err());
        }
    }
}
