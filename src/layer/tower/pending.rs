//! The future of a response, polled in the span of its request.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::exchange::Exchange;

pin_project! {
    /// A future with its exchange, which ends as cancelled if the future is dropped too early.
    pub(super) struct Pending<F> {
        // `None` after it is ready, and while being dropped.
        #[pin]
        future: Option<F>,
        // `None` if nothing is recorded.
        exchange: Option<Box<Exchange>>,
    }

    impl<F> PinnedDrop for Pending<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(exchange) = this.exchange {
                exchange.run_in_span(|| this.future.set(None));
            }
        }
    }
}

impl<F: Future> Pending<F> {
    pub(super) fn new(future: F, exchange: Option<Box<Exchange>>) -> Self {
        Self { future: Some(future), exchange }
    }

    /// Polls the future; returns its output and the exchange, which continues.
    pub(super) fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<(F::Output, Option<Box<Exchange>>)> {
        let mut this = self.project();
        let future = &mut this.future;
        let mut poll = || {
            let polled = future.as_mut().as_pin_mut().map(|future| future.poll(cx));
            let polled = polled.expect("a future is not polled after it was ready");
            if polled.is_ready() {
                future.set(None);
            }
            polled
        };
        let output = ready!(match this.exchange {
            Some(exchange) => exchange.run_in_span(poll),
            None => poll(),
        });
        Poll::Ready((output, this.exchange.take()))
    }
}
