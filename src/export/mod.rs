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
/// recorder has none.
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
}
