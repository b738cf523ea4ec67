//! Outputs for lines besides the files.

mod stdout;

pub use stdout::{Stderr, Stdout};

/// Receives the log's lines as they are written.
///
/// It is called on the writer's own thread, batch after batch, in the order of the file. While it
/// runs, nothing is drained. Events that then do not fit into the queue overwrite older ones. So an
/// exporter does only what takes microseconds, and leaves longer work to its own thread.
///
/// It cannot wait for the recorder: `flush` and `shutdown` return an error on this thread. It
/// should not emit, because every event that it emits comes back to it.
///
/// It stays with the process that made it. A forked child's recorder has no exporter. If the
/// exporter itself forks and the child returns from it, the child exits with status 1.
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
    /// Receives at least one whole line. Each is a JSON object and its `\n`.
    ///
    /// # Errors
    ///
    /// An error means that these lines were not taken. They are not passed again; later lines are.
    fn export(&mut self, lines: &[u8]) -> std::io::Result<()>;

    /// Continues with lines that were taken and kept. It must not wait. Returns how many bytes it
    /// still keeps.
    ///
    /// If an exporter keeps nothing, it need not implement this.
    ///
    /// The writer calls it while it has nothing else to do. As long as the number of kept bytes
    /// falls, it is called about every two milliseconds, for a second after that too, and then once a second. It is also called
    /// at the close, which does not wait for a number that does not fall.
    ///
    /// If no files are written, the lines of the first exporter are the log. The writer then waits
    /// until it keeps none before it counts its lines as written.
    ///
    /// # Errors
    ///
    /// An error means that the kept lines are lost.
    fn resume(&mut self) -> std::io::Result<usize> {
        Ok(0)
    }
}
