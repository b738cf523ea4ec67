//! The attribute `#[audit_span]` of `llm-audit`; use it from there.

use proc_macro::TokenStream;

mod async_block;
mod bindings;
mod events;
mod expand;
mod options;

/// Records the calls of a function: `tool.call` before it runs, `tool.result` or `tool.error` after
/// it, or one event of another type at its end, with how long it took.
///
/// A call is a span: below the current one, or the first of a new trace. It is current while the
/// body runs, so that what the body emits, and the functions under `#[audit_span]` that it calls,
/// lie below it.
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
/// | `agent = …` | who does it: a string, or an expression of anything that displays itself. Required |
/// | `action = …` | what it does; the function's name without it |
/// | `event = …` | one event of this type at the end, instead of the three of a tool: a name of the schema (`"llm.invoke"`), a name of your own in lower-case words joined by dots (`"cart.checkout"`), or an expression of type `EventType` |
/// | `logger = …` | an `AuditLogger` that the events go to, instead of the recorder of the process |
/// | `capture_args` | puts all arguments into `data.arguments`, where content is captured |
/// | `capture_args(a, b)` | only these; each has to be `Serialize` or `Debug` |
/// | `capture_result` | puts what was returned into `data.result`, where content is captured: of `Ok(v)` and `Some(v)` the `v` |
/// | `skip(a, b)` | arguments that are recorded nowhere, not in a snapshot either |
/// | `recoverable` | an error's `recoverable` is `true`; `recoverable = false` says the opposite |
/// | `recoverable = …` | a function from `&E` to `bool` that is asked |
/// | `crate = …` | the path of `llm_audit`, where it has another name |
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
/// | panics | `tool.error`, the error's type is `panic`; the text of the panic is not known here | `error` |
/// | is a future dropped before its end | `tool.error`, the error's type is `cancelled` | `error` |
///
/// With `event = "llm.invoke"` what fails is an `llm.error`; any other type stays what it is. Of
/// every call there is one such event, so a function that calls `record_llm_call` needs no
/// `event = "llm.invoke"`, which knows neither tokens nor cost: both would count the call. The three
/// tool events have the action as `data.tool`.
///
/// An `error` has the type's name, the text of its `Display` (else of its `Debug`, else none), the
/// chain of its sources as the traceback (of an `anyhow::Error` too), and:
///
/// - `input_snapshot`: the arguments as they were when the call began (of what is behind a `&`, and
///   is not by its type's name a cell, an atomic or a lock, as it is at the end), unless
///   `AUDIT_INCLUDE_SNAPSHOTS` is `false`. It does not depend on `capture_args`. Name what must not
///   be kept in `skip`;
/// - `environment`: what the application registered with `Builder::environment` (the model, versions
///   of tools), `crate` (name and version of the package that the function is in), and `rustc`.
///
/// Content means arguments and results; it is captured where `llm_audit::captures_content()` says
/// so (`AUDIT_CAPTURE_CONTENT`).
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
/// A value that is `Serialize` is recorded as such. One that is only `Debug` becomes that text, at
/// most 64 KiB of it; what stands behind the name of a sensitive field there (`password`, `token`, …)
/// becomes `[REDACTED]`, however it is nested. Of one that is neither its type's name is recorded. An
/// argument whose own name is sensitive goes as a whole. All of it is redacted as everything is that
/// is emitted. Generic types are seen by the bounds that the function states.
///
/// A value that panics or fails while it is looked at becomes `[UNSERIALIZABLE]`, and costs the
/// caller nothing. A snapshot is cut where it would be too long for an event.
///
/// # Functions
///
/// Signature, types, borrows, the order of drops and other attributes stay as they are; a future
/// that was `Send` is. Functions, methods and async functions are taken, generic ones included, and
/// so are `async_trait` methods: put the attribute on the method, inside the `#[async_trait]` impl.
/// A function that ends with `async { … }` or `Box::pin(async { … })` and names `Future<Output = …>`
/// as what it returns is taken for an async function, too, and its arguments are looked at inside
/// that block. Any other function that returns a future is recorded as what it is: a call that
/// makes one.
///
/// The span of an async function begins when it is first polled, inside the context that is current
/// then. A `const` or `extern` function is refused. A closure that is returned as `impl Fn(&T) -> &U`
/// has to spell the types of its arguments, and `Location::caller()` in the body is the function.
///
/// # Cost
///
/// Where nothing is recorded (`AUDIT_ENABLED=false`): one load, and no option is evaluated. Else the
/// events, and for each call a span, two readings of the clock, and the part of the snapshot that has
/// to be taken before the body runs: arguments that are shared references or plain numbers are read
/// only when there is an error, all others are encoded at once. Pass large ones by reference, or
/// `skip` them.
#[proc_macro_attribute]
pub fn audit_span(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
