//! The attribute `#[audit_span]` of `llm-audit`, which re-exports it.

use proc_macro::TokenStream;

mod async_block;
mod bindings;
mod events;
mod expand;
mod manifest;
mod options;

/// Records the calls of a function.
///
/// A call becomes `tool.call` before it runs, and `tool.result` or `tool.error` after it. With the
/// option `event` it becomes one event of another type, at its end. The event at the end has the
/// duration.
///
/// A call is a span below the current one. If there is none, it begins a new trace. The span is
/// current while the body runs. So the events of the body, and the calls of other functions under
/// `#[audit_span]`, are below it.
///
/// ```
/// use llm_audit::audit_span;
///
/// #[audit_span(agent = "benefits", action = "plan.search", capture_args, skip(session))]
/// async fn search(query: &str, limit: u32, session: &str) -> Result<Vec<String>, std::io::Error> {
///     # let _ = (query, limit, session);
///     // …
///     Ok(Vec::new())
/// }
/// # let seen = llm_audit::testing::capture();
/// # let mut call = std::pin::pin!(search("dental", 3, "s-1"));
/// # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// # assert!(call.as_mut().poll(&mut cx).is_ready());
/// # assert_eq!(seen.lines().len(), 2);
/// ```
///
/// # Options
///
/// | option | |
/// |---|---|
/// | `agent = …` | the agent: a string, or an expression whose value is `Display`. Required |
/// | `action = …` | the action; without it, the function's name |
/// | `event = …` | one event of this type at the end, instead of the three of a tool. It is a name of the schema (`"llm.invoke"`), a name of your own (`"cart.checkout"`), or an expression of type `EventType`. A name of your own is lower-case words joined by dots |
/// | `logger = …` | an `AuditLogger` that the events go to, instead of the recorder of the process |
/// | `capture_args` | puts all arguments into `data.arguments`, if content is captured |
/// | `capture_args(a, b)` | only these; each must be `Serialize` or `Debug` |
/// | `capture_result` | puts the returned value into `data.result`, if content is captured: the `v` of `Ok(v)` and `Some(v)` |
/// | `replay` | in a replay of a trace the function does not run: it returns what was recorded. Captures arguments and result. The result must be `Serialize` and `DeserializeOwned`, and an error `From<RecordedError>` |
/// | `skip(a, b)` | arguments that are never recorded, not even in a snapshot |
/// | `recoverable` | an error's `recoverable` is `true`; `recoverable = false` makes it `false` |
/// | `recoverable = …` | a function from `&E` to `bool` that decides it |
/// | `crate = …` | the path of `llm_audit`, if it has another name: `crate = audit` for `audit = { package = "llm-audit" }` |
///
/// The expressions are evaluated when the call begins, in the scope of the function: `agent =
/// self.name` is fine. Agent and action are copied.
///
/// # What is recorded
///
/// | the call | the event at the end | status |
/// |---|---|---|
/// | returns | `tool.result` | `ok` |
/// | returns `None` | `tool.result`, without a result | `ok` |
/// | returns `Err(e)` | `tool.error` | `error` |
/// | panics | `tool.error`, the error's type is `panic`; the text of the panic is not known | `error` |
/// | is a future dropped before its end | `tool.error`, the error's type is `cancelled` | `error` |
///
/// If a call fails with `event = "llm.invoke"`, the event is an `llm.error`. Any other type stays the
/// same. Do not use `event = "llm.invoke"` for a function that calls `record_llm_call`: the call would
/// be counted twice. The attribute knows neither tokens nor cost. The three tool events have the
/// action as `data.tool`.
///
/// An `error` contains the type's name and the text of its `Display`. If there is no `Display`, it
/// contains the text of `Debug`, or no text. The chain of its sources is the traceback, also for an
/// `anyhow::Error`. It also contains:
///
/// - `input_snapshot`: the arguments as they were when the call began. The target of a `&` is shown as
///   it is at the end, unless its type is named as a cell, an atomic or a lock. If
///   `AUDIT_INCLUDE_SNAPSHOTS` is `false`, there is no snapshot. It does not depend on `capture_args`.
///   If an argument must not be kept, name it in `skip`.
/// - `environment`: the values that the application registered with `Builder::environment` (the model,
///   versions of tools). It also has `crate`, the name and version of the function's package, and
///   `rustc`.
///
/// Content means arguments and results. It is captured if `llm_audit::captures_content()` returns
/// `true`. `AUDIT_CAPTURE_CONTENT=failed` keeps it in failed traces alone.
///
/// ```
/// use llm_audit::audit_span;
///
/// # #[derive(Debug)]
/// enum Failure { Busy, Refused }
/// impl Failure {
///     fn is_transient(&self) -> bool { matches!(self, Self::Busy) }
/// }
///
/// #[audit_span(agent = "benefits", event = "llm.invoke", recoverable = Failure::is_transient)]
/// fn ask(question: &str) -> Result<String, Failure> {
///     if question.is_empty() { Err(Failure::Refused) } else { Err(Failure::Busy) }
/// }
///
/// let seen = llm_audit::testing::capture();
/// let _ = ask("Is my plan dental?");
/// let line = &seen.lines()[0];
/// assert!(line.contains(r#""event_type":"llm.error""#));
/// assert!(line.contains(r#""recoverable":true"#));
/// assert!(line.contains(r#""input_snapshot":{"question":"Is my plan dental?"}"#));
/// ```
///
/// # Values
///
/// If a value is `Serialize`, that value is recorded. If it is only `Debug`, its text is recorded, at
/// most 64 KiB of it. In that text the value after a sensitive field's name (`password`, `token`, …)
/// becomes `[REDACTED]`, however it is nested. If a value is neither, the name of its type is recorded.
/// If an argument's own name is sensitive, the whole argument is redacted. All of it is redacted like
/// any other event. If a type is generic, the bounds of the function decide.
///
/// A `Mutex` or `RwLock`, also behind pointers and in containers, is never locked: of one that is
/// `Serialize`, the name of the type is recorded; `Debug` only tries the lock. A type of your own may
/// lock in its `Serialize`, for example for a field: name such an argument in `skip`.
///
/// If a value panics or fails while it is read, it becomes `[UNSERIALIZABLE]`, and the caller does not
/// notice. If a snapshot is too long for an event, it is cut.
///
/// # Functions
///
/// Signature, types, borrows, the order of drops and other attributes stay the same. If the future was
/// `Send`, it still is. The attribute accepts functions, methods and async functions, also generic
/// ones. It accepts `async_trait` methods, too: put the attribute on the method, inside the
/// `#[async_trait]` impl.
///
/// A function may end with `async { … }` or `Box::pin(async { … })`, and name `Future<Output = …>` in
/// its return type. It is then recorded like an async function, and its arguments are read inside
/// that block. If any other function returns a future, the call that makes the future is recorded.
///
/// If a function returns a stream, the call that makes the stream is recorded. `llm_audit::record_stream`
/// around it also records its end. If its items are chunks of a model's answer,
/// take `LlmCall::stream` instead of it: that also records tokens, cost and the time to the first
/// token.
///
/// The span of an async function begins at its first poll, inside the context that is current then. A
/// `const` or `extern` function is refused. If a closure is returned as `impl Fn(&T) -> &U`, the types
/// of its arguments must be written. `Location::caller()` in the body is the function.
///
/// # Cost
///
/// If nothing is recorded (`AUDIT_ENABLED=false`), a call costs one load, and no option is evaluated.
/// Otherwise it costs its events, a span and two readings of the clock. A part of the snapshot must be
/// taken before the body runs. Shared references and plain numbers are read only if there is an error.
/// All other arguments are encoded at once. Pass large ones by reference, or `skip` them.
#[proc_macro_attribute]
pub fn audit_span(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand_audit_span(arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
