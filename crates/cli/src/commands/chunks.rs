//! Lines of an input in chunks, and threads that work on them.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex};
use std::thread::{self, Scope};

/// The most bytes that one read brings. A chunk is longer only if a line is.
const READ_BYTES: usize = 256 << 10;
/// More threads would wait for the one that reads and writes.
const THREADS_MAX: usize = 8;
/// The most chunks of a thread that are given and not yet taken.
const AHEAD: usize = 2;

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

    /// Returns the whole lines that are there, at the end of the input the last line without its newline, and
    /// then `None`. Waits for the first line.
    pub(super) fn next_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut chunk = std::mem::take(&mut self.rest);
        loop {
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
            if let Some(newline) = memchr::memrchr(b'\n', &chunk[filled..]) {
                self.rest.extend_from_slice(&chunk[filled + newline + 1..]);
                chunk.truncate(filled + newline + 1);
                return Ok(Some(chunk));
            }
        }
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
    given: usize,
    taken: usize,
}

impl<'scope, 'env, T: Send + 'scope> ChunkThreads<'scope, 'env, T> {
    pub(super) fn new(scope: &'scope Scope<'scope, 'env>, work: &'env Work<'env, T>) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads_max = cores.min(THREADS_MAX);
        Self { scope, work, threads: Vec::new(), threads_max, given: 0, taken: 0 }
    }

    /// Returns whether what was made of a chunk has to be taken before another one is given.
    pub(super) fn is_full(&self) -> bool {
        self.given - self.taken == AHEAD * self.threads_max
    }

    /// Returns whether all that was made was taken.
    pub(super) fn is_idle(&self) -> bool {
        self.given == self.taken
    }

    pub(super) fn give(&mut self, chunk: Vec<u8>) {
        let turn = self.given % self.threads_max;
        if turn == self.threads.len() {
            self.threads.push(self.start_thread());
        }
        // If the thread has panicked, `take` says so.
        let _ = self.threads[turn].0.send((self.given, chunk));
        self.given += 1;
    }

    /// Waits for the oldest chunk, and returns it with what was made of it.
    pub(super) fn take(&mut self) -> Option<(Vec<u8>, T)> {
        if self.is_idle() {
            return None;
        }
        let (_, made) = &self.threads[self.taken % self.threads_max];
        self.taken += 1;
        Some(made.recv().expect("the thread panicked"))
    }

    fn start_thread(&self) -> ChunkThread<T> {
        let ((give, given), (make, made), work) = (channel::<Chunk>(), channel(), self.work);
        self.scope.spawn(move || {
            for (number, mut chunk) in given {
                let worked = work(number, &mut chunk);
                if make.send((chunk, worked)).is_err() {
                    break;
                }
            }
        });
        (give, made)
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

    /// Waits for the turn of this chunk. If `work` panicked on an earlier one, this panics too.
    pub(super) fn take_turn(&self, number: usize, take: impl FnOnce(&mut V)) {
        let state = self.state.lock().expect("a thread panicked");
        let waits = |state: &mut TurnState<V>| state.number != number && !state.is_abandoned;
        let mut state = self.next.wait_while(state, waits).expect("a thread panicked");
        assert!(!state.is_abandoned, "a thread panicked");
        take(&mut state.value);
        state.number += 1;
        drop(state);
        self.next.notify_all();
    }

    /// Uses the value while no thread has a chunk.
    pub(super) fn lock<R>(&self, take: impl FnOnce(&mut V) -> R) -> R {
        take(&mut self.state.lock().expect("a thread panicked").value)
    }

    /// Does what comes before a turn. If it panics, nobody waits for that turn.
    pub(super) fn before_turn<R>(&self, work: impl FnOnce() -> R) -> R {
        struct Abandon<'t, V>(&'t Turns<V>);
        impl<V> Drop for Abandon<'_, V> {
            fn drop(&mut self) {
                if thread::panicking()
                    && let Ok(mut state) = self.0.state.lock()
                {
                    state.is_abandoned = true;
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
                assert!(chunk.ends_with(b"\n") || read.len() + chunk.len() == text.len());
                read.extend(chunk);
            }
            assert!(read == text.as_bytes());
        }
    }

    #[test]
    fn what_threads_make_is_taken_in_order() {
        let sum = |chunk: &[u8]| chunk.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        let turns = Turns::new(Vec::new());
        let work = |number, chunk: &mut [u8]| {
            turns.take_turn(number, |numbers: &mut Vec<_>| numbers.push(number));
            sum(chunk)
        };
        thread::scope(|scope| {
            let (mut threads, mut taken) = (ChunkThreads::new(scope, &work), Vec::new());
            for number in 0..100_u8 {
                if threads.is_full() {
                    taken.extend(threads.take());
                }
                threads.give(vec![number; 100 - usize::from(number)]);
            }
            taken.extend(std::iter::from_fn(|| threads.take()));
            assert!(threads.is_idle());
            let numbers: Vec<_> = taken.iter().map(|(chunk, _)| chunk[0]).collect();
            assert_eq!(numbers, (0..100).collect::<Vec<_>>());
            assert!(taken.iter().all(|(chunk, made)| sum(chunk) == *made));
        });
        turns.lock(|numbers| assert_eq!(*numbers, (0..100).collect::<Vec<_>>()));
    }
}
