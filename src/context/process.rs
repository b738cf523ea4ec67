//! The span that this process was started in, and what its child processes are told.

use llm_audit_process::cell::OnceCell;

use super::TraceContext;

/// The span that `TRACEPARENT` names. A forked child inherits it.
static PARENT: OnceCell<TraceContext> = OnceCell::new();

impl TraceContext {
    /// Returns a span below the one that this process was started in, or the first of a new trace.
    ///
    /// `TRACEPARENT` and `TRACESTATE` name that span. The first logger that reads the environment reads them, so
    /// before [`init`](crate::init) this is the first span of a new trace. Events outside of any context, and the
    /// spans of the layers and of `#[audit_span]`, begin in the same way. Requests over HTTP, which `ServerLayer` and
    /// `McpServer` record, do not: one without a trace was not sent by the process that started this one. Nor do the
    /// requests of an `McpServer` that restarts traces.
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit::TraceContext;
    ///
    /// // In `main`, after `init`: all that follows is one span of the process that started this one.
    /// let _scope = TraceContext::new_root().enter();
    /// ```
    pub fn new_root() -> Self {
        PARENT.get().map_or_else(Self::new_trace, Self::new_span)
    }

    /// Returns `TRACEPARENT` and `TRACESTATE` with their values, for a process that is started in this span.
    ///
    /// If the trace has no state, the value of `TRACESTATE` is empty. So the child does not inherit the one of
    /// this process, which may be of another trace.
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit::TraceContext;
    ///
    /// let call = TraceContext::new_root();
    /// let mut command = std::process::Command::new("sh");
    /// command.args(["-c", "echo $TRACEPARENT"]).envs(call.to_env());
    /// # #[cfg(unix)]
    /// assert_eq!(command.output()?.stdout, format!("{}\n", call.to_traceparent()).into_bytes());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn to_env(&self) -> [(&'static str, String); 2] {
        let state = self.to_tracestate().unwrap_or_default();
        [("TRACEPARENT", self.to_traceparent()), ("TRACESTATE", state)]
    }
}

/// Sets the span that this process was started in, unless it is known already.
pub(crate) fn set_process_parent(parent: TraceContext) {
    PARENT.set(parent);
}
