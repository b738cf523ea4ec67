//! The size of the future of an attributed function, next to the one that `tracing::instrument` makes.

use std::hint::black_box;
use std::task::{Context, Poll};

/// The most bytes that the attribute may need above that of `tracing`.
const MORE_MAX: usize = 512;

/// Is pending once, so that what is held across it is part of the future.
async fn pause() {
    let mut is_over = false;
    std::future::poll_fn(|_: &mut Context<'_>| {
        if std::mem::replace(&mut is_over, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Defines a function under each attribute, and compares the sizes of their futures.
macro_rules! compare {
    ($name:ident ($($arg:ident: $ty:ty = $value:expr),*) -> $ret:ty $body:block) => {{
        mod audited {
            use super::*;
            #[llm_audit::audit_span(agent = "size", capture_args, capture_result)]
            pub async fn $name($($arg: $ty),*) -> $ret $body
        }
        mod traced {
            use super::*;
            #[tracing::instrument(err)]
            pub async fn $name($($arg: $ty),*) -> $ret $body
        }
        let audited = size_of_val(&audited::$name($($value),*));
        let traced = size_of_val(&traced::$name($($value),*));
        assert!(audited <= traced + MORE_MAX, "{}: {audited}, {traced}", stringify!($name));
    }};
}

#[test]
fn a_future_is_hardly_larger_than_under_instrument() {
    compare!(nothing() -> Result<(), std::io::Error> { pause().await; Ok(()) });
    compare!(texts(a: String = String::new(), b: Vec<String> = Vec::new(), c: Option<String> = None) -> Result<String, String> {
        pause().await;
        Ok(format!("{a}{b:?}{c:?}"))
    });
    compare!(references(a: &'static str = "a", b: &'static [u64] = &[]) -> Result<usize, String> {
        pause().await;
        Ok(a.len() + b.len())
    });
    compare!(large_argument(a: [u8; 4096] = [0; 4096]) -> Result<u8, String> {
        pause().await;
        Ok(a[7])
    });
    compare!(large_body(a: u8 = 1) -> Result<u8, String> {
        let page = black_box([a; 8192]);
        pause().await;
        Ok(page[7])
    });
    compare!(large_result(a: u8 = 1) -> Result<[u8; 2048], String> {
        pause().await;
        Ok([a; 2048])
    });
}
