//! Where lines go besides the files.

mod stdout;

pub use stdout::Stdout;

/// Takes the log's lines as they are written.
///
/// It is called on the writer's own thread, batch after batch, in the order of the file. While it
/// runs nothing is drained, and what does not fit into the queue meanwhile is overwritten: it does
/// what takes microseconds, and hands on to a thread of its own what takes longer. It may not wait
/// for the recorder (`flush` and `shutdown` are refused on this thread), and should not emit:
/// every event it emits comes back to it. It stays with the process it was made in: a forked child's
/// recorder has none, and a child that it forks itself is ended, with status 1, where it returns here.
///
/// # Examples
///
/// ```
/// use std::io;
/// use llm_audit::export::Exporter;
///
/// struct CountLines(usize);
///
/// impl Exporter for CountLines {
///     fn export(&mut self, lines: &[u8]) -> io::Result<()> {
///         self.0 += lines.iter().filter(|byte| **byte == b'\n').count();
///         Ok(())
///     }
/// }
/// ```
pub trait Exporter: Send {
    /// Takes whole lines, at least one, each a JSON object and its `\n`.
    ///
    /// # Errors
    ///
    /// These lines were not taken. They are not given again; those that follow are.
    fn export(&mut self, lines: &[u8]) -> std::io::Result<()>;

    /// Goes on with lines that were taken and kept, without waiting, and returns how many bytes it
    /// still keeps. The writer calls it while it has nothing else to do: about every millisecond as
    /// long as that number falls, then once a second; and at the close, which does not wait for a
    /// number that does not fall. Where no files are written and it is the first exporter, its lines
    /// are the log: then the writer waits until it keeps none, before it counts them as written. Who
    /// hands everything on at once has nothing to do here.
    ///
    /// # Errors
    ///
    /// What was kept is lost.
    fn resume(&mut self) -> std::io::Result<usize> {
        Ok(0)
    }
}
