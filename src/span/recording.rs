//! A stream or a model call that has begun: polled and dropped inside its span, and recorded once, at
//! its end.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::context::TraceContext;
use crate::llm::{CallEnd, PendingCall};
use crate::record::event::{AuditEvent, ErrorDetail, EventType, Status};
use crate::recorder::Outlet;

/// An event that is emitted at the end of what has begun.
pub(super) struct Recording {
    pub(super) outlet: Outlet,
    kind: RecordedKind,
    context: TraceContext,
    began: Instant,
    items: u64,
    /// The first error among the items.
    error: Option<KeptError>,
    /// The stream is being polled. If that is so at a drop or at the next poll, it panicked.
    is_running: bool,
    has_ended: bool,
}

/// The event at the end.
pub(super) enum RecordedKind {
    /// `stream.end`
    Stream { agent: Cow<'static, str>, action: Cow<'static, str> },
    /// `llm.invoke` or `llm.error`
    Call(Box<PendingCall>),
}

/// The texts of an [`ErrorDetail`], which can go to another thread.
struct KeptError {
    error_type: Cow<'static, str>,
    message: Cow<'static, str>,
    traceback: Option<Cow<'static, str>>,
    recoverable: Option<bool>,
}

impl KeptError {
    fn new(detail: ErrorDetail<'static>) -> Self {
        let ErrorDetail { error_type, message, traceback, recoverable, .. } = detail;
        Self { error_type, message, traceback, recoverable }
    }

    fn detail(&self) -> ErrorDetail<'_> {
        let detail = ErrorDetail::new(&*self.error_type, &*self.message);
        let traceback = self.traceback.as_deref().map(Cow::Borrowed);
        ErrorDetail { traceback, recoverable: self.recoverable, ..detail }
    }
}

/// Says whether an item is an error.
pub(super) type ErrorOf<T> = fn(&T) -> Option<ErrorDetail<'static>>;
/// Reads an item of a model call; returns the error if it is one.
pub(super) type ReadItem<T> = fn(&T, &mut PendingCall, Instant) -> Option<ErrorDetail<'static>>;

impl Recording {
    pub(super) fn begin(kind: RecordedKind) -> Self {
        let chosen = match &kind {
            RecordedKind::Call(call) => call.context().cloned(),
            RecordedKind::Stream { .. } => None,
        };
        Self {
            outlet: Outlet::default(),
            kind,
            context: chosen.unwrap_or_else(TraceContext::new_span_below_current),
            began: Instant::now(),
            items: 0,
            error: None,
            is_running: false,
            has_ended: false,
        }
    }

    pub(super) fn begin_stream(&mut self) {
        if let RecordedKind::Call(call) = &mut self.kind {
            call.begin_stream();
        }
    }

    /// Looks at an item before it goes to the caller.
    pub(super) fn add_item<T>(
        &mut self,
        item: &T,
        error_of: Option<ErrorOf<T>>,
        read: Option<ReadItem<T>>,
    ) {
        self.items += 1;
        let found = match (&mut self.kind, read) {
            (RecordedKind::Call(call), Some(read)) if !self.outlet.is_off() => {
                read(item, call, self.began)
            }
            _ => None,
        };
        if self.error.is_none() {
            let detail = error_of.and_then(|error_of| error_of(item)).or(found);
            self.error = detail.map(KeptError::new);
        }
    }

    /// Ends what failed before its first item.
    pub(super) fn fail(&mut self, error: ErrorDetail<'static>) {
        self.error.get_or_insert_with(|| KeptError::new(error));
        self.emit_end();
    }

    /// Ends what came to its own end.
    pub(super) fn end(&mut self) {
        if self.has_ended {
            return;
        }
        if let (RecordedKind::Call(call), None) = (&self.kind, &self.error) {
            self.error = call.end_error().map(KeptError::new);
        }
        self.emit_end();
    }

    fn drop_error(&self) -> Option<ErrorDetail<'static>> {
        match &self.kind {
            RecordedKind::Call(call) => call.drop_error(),
            RecordedKind::Stream { .. } => {
                Some(ErrorDetail::new("cancelled", "the stream was dropped before its end"))
            }
        }
    }

    fn note_panic(&mut self) {
        self.error.get_or_insert_with(|| {
            let what = match &self.kind {
                RecordedKind::Call(_) => "call",
                RecordedKind::Stream { .. } => "stream",
            };
            let message = format!("the {what} panicked; the panic hook has the text");
            KeptError::new(ErrorDetail::new("panic", message))
        });
    }

    fn emit_end(&mut self) {
        self.has_ended = true;
        let (detail, latency) = (self.error.as_ref().map(KeptError::detail), self.began.elapsed());
        let error = detail.as_ref();
        match &mut self.kind {
            RecordedKind::Call(call) => {
                call.emit(&self.outlet, &CallEnd { context: &self.context, latency, error });
            }
            RecordedKind::Stream { agent, action } => {
                let data = StreamEndData { items: self.items };
                let status = if error.is_some() { Status::Error } else { Status::Ok };
                let event = AuditEvent::new(EventType::Custom("stream.end"), agent, action)
                    .status(status)
                    .latency(latency)
                    .span(&self.context)
                    .data(&data);
                self.outlet.emit(&AuditEvent { error, ..event });
            }
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if !self.has_ended {
            if self.is_running {
                self.note_panic();
            }
            if self.error.is_none() {
                self.error = self.drop_error().map(KeptError::new);
            }
            self.emit_end();
        }
    }
}

struct StreamEndData {
    items: u64,
}

impl Serialize for StreamEndData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("items", &self.items)?;
        map.end()
    }
}

pin_project_lite::pin_project! {
    /// A stream or a future that is polled and dropped inside the span of its recording.
    pub(super) struct Recorded<P> {
        // `None` only while being dropped.
        #[pin]
        inner: Option<P>,
        // `None` after it was taken.
        recording: Option<Recording>,
    }

    impl<P> PinnedDrop for Recorded<P> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _scope = this.recording.as_ref().map(|recording| recording.context.enter());
            this.inner.set(None);
        }
    }
}

impl<P> Recorded<P> {
    pub(super) fn new(inner: P, recording: Recording) -> Self {
        Self { inner: Some(inner), recording: Some(recording) }
    }

    pub(super) fn inner(&self) -> Option<&P> {
        self.inner.as_ref()
    }

    pub(super) fn recording(&mut self) -> Option<&mut Recording> {
        self.recording.as_mut()
    }

    pub(super) fn take_recording(self: Pin<&mut Self>) -> Option<Recording> {
        self.project().recording.take()
    }

    /// Polls inside the span. `look` sees what comes out of it, as a part of what is recorded.
    pub(super) fn poll_with<R>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut P>, &mut Context<'_>) -> Poll<R>,
        look: impl FnOnce(&mut Recording, &R),
    ) -> Poll<R> {
        let this = self.project();
        let inner = this.inner.as_pin_mut().expect("nothing is polled after its drop");
        let Some(recording) = this.recording else { return poll(inner, cx) };
        let scope = recording.context.enter();
        // Somebody caught the panic of the last poll.
        if std::mem::replace(&mut recording.is_running, true) {
            recording.note_panic();
        }
        let polled = poll(inner, cx);
        drop(scope);
        if let Poll::Ready(out) = &polled {
            look(recording, out);
        }
        recording.is_running = false;
        polled
    }
}
