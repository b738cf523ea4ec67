//! Uses of the attribute that compile without a warning.
#![deny(warnings)]
#![deny(
    elided_lifetimes_in_paths,
    missing_docs,
    single_use_lifetimes,
    trivial_casts,
    unreachable_pub,
    unused_lifetimes,
    unused_qualifications,
    unused_results
)]
#![forbid(unsafe_code, unused_imports)]
#![no_implicit_prelude]

use ::llm_audit::audit_span;

/// An agent.
pub struct Agent {
    /// Its name.
    pub name: ::std::string::String,
}

impl Agent {
    /// A method with documentation and attributes.
    #[must_use]
    #[inline]
    #[audit_span(agent = self.name, capture_args, capture_result, recoverable)]
    pub fn find(
        &self,
        at: usize,
        list: &[u8],
    ) -> ::core::result::Result<u8, ::std::string::String> {
        match list.get(at) {
            ::core::option::Option::Some(found) => ::core::result::Result::Ok(*found),
            ::core::option::Option::None => {
                ::core::result::Result::Err(::std::string::String::new())
            }
        }
    }

    /// An async method that returns a unit.
    #[audit_span(agent = "a", event = "cache.hit", skip(_text))]
    pub async fn wait(&mut self, _text: ::std::string::String) {
        ::std::future::ready(()).await;
    }

    /// A method that never returns.
    #[audit_span(agent = "a")]
    pub fn stop(&self) -> ! {
        ::std::process::exit(0)
    }
}

#[audit_span(agent = "a")]
fn plain() {}

fn main() {
    let mut agent = Agent { name: ::std::convert::From::from("a") };
    if agent.find(0, &[1]).is_err() {
        ::std::unreachable!()
    }
    ::core::mem::drop(agent.wait(::std::convert::From::from("b")));
    plain();
    agent.stop()
}
