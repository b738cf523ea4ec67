//! The body of an async function, polled inside its span.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::{KeptArguments, Span};
use crate::context::TraceContext;

/// Runs the body of an async function inside its span.
pub fn run<'s, K: KeptArguments, F: Future>(
    span: &'s mut Option<Span<'_, K>>,
    body: F,
) -> Run<'s, F> {
    let polling = |span: &'s mut Span<'_, K>| PolledSpan {
        context: &span.open.context,
        is_running: &mut span.open.is_running,
    };
    Run { body: Some(body), polling: span.as_mut().map(polling) }
}

#[derive(Debug)]
struct PolledSpan<'s> {
    context: &'s TraceContext,
    is_running: &'s mut bool,
}

pin_project_lite::pin_project! {
    /// A body that is polled and dropped inside its span; made by [`run`].
    #[derive(Debug)]
    pub struct Run<'s, F> {
        // `None` only while being dropped.
        #[pin]
        body: Option<F>,
        polling: Option<PolledSpan<'s>>,
    }

    impl<F> PinnedDrop for Run<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _scope = this.polling.as_ref().map(|polling| polling.context.enter());
            this.body.set(None);
        }
    }
}

impl<F: Future> Future for Run<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let body = this.body.as_pin_mut().expect("a future is not polled after its drop");
        let Some(polling) = this.polling else { return body.poll(cx) };
        let _scope = polling.context.enter();
        *polling.is_running = true;
        let polled = body.poll(cx);
        *polling.is_running = polled.is_ready();
        polled
    }
}
