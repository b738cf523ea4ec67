//! The parts of a function that stay unchanged: types, borrows, drop order, attributes, lints.

use std::cell::RefCell;
use std::fmt::Display;

use llm_audit::audit_span;
use llm_audit::testing::capture;

use super::{events, types};

#[derive(Default)]
struct Store {
    names: Vec<String>,
    last: usize,
}

trait Named {
    fn first(&self) -> Option<&str>;
    fn provided(&self) -> usize {
        0
    }
}

impl Named for Store {
    #[audit_span(agent = "a")]
    fn first(&self) -> Option<&str> {
        Some(self.names.first()?.as_str())
    }

    #[audit_span(agent = "a")]
    fn provided(&self) -> usize {
        self.names.len()
    }
}

impl Store {
    #[audit_span(agent = "a", action = "entry")]
    fn entry(&mut self, name: &str) -> &mut String {
        if let Some(at) = self.names.iter().position(|known| known == name) {
            return &mut self.names[at];
        }
        self.names.push(name.to_owned());
        self.last = self.names.len() - 1;
        &mut self.names[self.last]
    }

    #[audit_span(agent = "a")]
    fn longest<'s, 'n: 's>(&'s self, name: &'n str) -> &'s str {
        self.names.iter().map(String::as_str).chain([name]).max_by_key(|n| n.len()).unwrap_or(name)
    }

    #[audit_span(agent = "a")]
    fn long(&self, than: usize) -> impl Iterator<Item = &String> + '_ {
        self.names.iter().filter(move |name| name.len() > than)
    }

    #[audit_span(agent = "a")]
    fn boxed(self: Box<Self>) -> Vec<String> {
        self.names
    }

    #[audit_span(agent = "a")]
    fn grown(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }
}

#[test]
fn borrows_of_the_receiver() {
    let seen = capture();
    let mut store = Store::default();
    assert_eq!(store.first(), None);
    store.entry("one").push('!');
    store.entry("one!").push('!');
    assert_eq!(store.first(), Some("one!!"));
    assert_eq!(store.longest("x"), "one!!");
    assert_eq!(store.provided(), 1);
    assert_eq!(store.long(2).count(), 1);
    let store = store.grown("two");
    assert_eq!(Box::new(store).boxed(), ["one!!", "two"]);
    assert_eq!(events(&seen).len(), 18);
}

#[test]
fn types_are_inferred_as_before() {
    #[audit_span(agent = "a")]
    fn boxed(n: u8) -> Box<dyn Display> {
        if n == 1 {
            return Box::new("one");
        }
        Box::new(n)
    }
    #[audit_span(agent = "a")]
    fn collected() -> Result<Vec<u8>, std::num::ParseIntError> {
        let numbers = "1 2".split(' ').map(str::parse).collect::<Result<_, _>>()?;
        Ok(numbers)
    }
    #[audit_span(agent = "a")]
    fn within(ok: bool) -> Result<impl Iterator<Item = u8>, Box<dyn std::error::Error>> {
        if !ok {
            return Err("no".into());
        }
        Ok([1, 2].into_iter())
    }
    #[audit_span(agent = "a")]
    fn converted() -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
        Ok("7".parse::<u8>()?)
    }
    #[audit_span(agent = "a")]
    fn applied<F, const N: usize>(f: F, to: [u8; N]) -> [u8; N]
    where
        F: Fn(u8) -> u8,
    {
        to.map(f)
    }
    #[audit_span(agent = "a")]
    fn unit(stop: bool) {
        if stop {
            return;
        }
        drop(seen_in_unit());
    }
    fn seen_in_unit() -> String {
        String::new()
    }
    let seen = capture();
    assert_eq!(boxed(1).to_string() + &boxed(2).to_string(), "one2");
    assert_eq!(collected().expect("numbers"), [1, 2]);
    assert_eq!(within(true).expect("one").count(), 2);
    assert!(within(false).is_err());
    assert_eq!(converted().expect("a number"), 7);
    assert_eq!(applied(|n| n + 1, [1, 2]), [2, 3]);
    unit(true);
    unit(false);
    let events = events(&seen);
    assert_eq!(types(&events).iter().filter(|name| **name == "tool.error").count(), 1);
    assert_eq!(events.len(), 18);
}

thread_local! {
    static DROPPED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

struct Noted(&'static str);

impl Drop for Noted {
    fn drop(&mut self) {
        DROPPED.with_borrow_mut(|dropped| dropped.push(self.0));
    }
}

impl Noted {
    #[allow(clippy::needless_pass_by_value, reason = "it is about drops")]
    fn plain(self, one: Self, (two, three): (Self, Self), four: Self) {
        let _local = Self("local");
        drop(one);
        let _ = (&self, &two, &three, &four);
    }

    #[audit_span(agent = "a")]
    fn recorded(self, one: Self, (two, three): (Self, Self), four: Self) {
        let _local = Self("local");
        drop(one);
        let _ = (&self, &two, &three, &four);
    }

    async fn plain_async(self, one: Self, (two, three): (Self, Self), four: Self) {
        let _local = Self("local");
        drop(one);
        std::future::ready(()).await;
        let _ = (&self, &two, &three, &four);
    }

    #[audit_span(agent = "a")]
    async fn recorded_async(self, one: Self, (two, three): (Self, Self), four: Self) {
        let _local = Self("local");
        drop(one);
        std::future::ready(()).await;
        let _ = (&self, &two, &three, &four);
    }
}

#[test]
fn arguments_are_dropped_in_the_same_order() {
    let _seen = capture();
    let order = |call: &dyn Fn(Noted, Noted, (Noted, Noted), Noted)| {
        call(Noted("self"), Noted("one"), (Noted("two"), Noted("three")), Noted("four"));
        DROPPED.take()
    };
    let expected = ["one", "local", "four", "three", "two", "self"];
    assert_eq!(order(&Noted::plain), expected);
    assert_eq!(order(&Noted::recorded), expected);
    let run = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    assert_eq!(order(&|a, b, c, d| run.block_on(a.plain_async(b, c, d))), expected);
    assert_eq!(order(&|a, b, c, d| run.block_on(a.recorded_async(b, c, d))), expected);
}

/// Uses the names of the expansion for values of its own.
#[test]
fn names_do_not_meet() {
    #[audit_span(agent = "a", capture_args, capture_result)]
    fn names(span: u8, result: u8, outlet: u8, error: u8, value: u8, look: u8) -> Result<u8, u8> {
        Ok(span + result + outlet + error + value + look)
    }
    #[audit_span(agent = "a")]
    fn raw(r#type: u8, r#match: &str) -> Result<u8, usize> {
        Err(usize::from(r#type) + r#match.len())
    }
    trait Everywhere {
        fn audit_span_value(&self) {}
        fn value(&self) {}
        fn detail(&self) {}
    }
    impl Everywhere for u8 {}
    let seen = capture();
    assert_eq!(names(1, 2, 3, 4, 5, 6), Ok(21));
    assert_eq!(raw(1, "two"), Err(4));
    1_u8.value();
    1_u8.detail();
    Everywhere::audit_span_value(&1_u8);
    let events = events(&seen);
    let snapshot = &events[3]["error"]["input_snapshot"];
    assert_eq!(*snapshot, serde_json::json!({"type": 1, "match": "two"}));
}

mod renamed {
    /// Plays a crate that has the library under another name.
    pub mod audit {
        pub use llm_audit::*;
    }
}

#[test]
fn the_library_may_have_another_name() {
    #[audit_span(agent = "a", crate = "renamed::audit")]
    fn text() {}
    #[audit_span(agent = "a", event = "api.call", crate = crate::unchanged::renamed::audit)]
    fn path() {}
    use super::unchanged::renamed;
    let seen = capture();
    text();
    path();
    assert_eq!(events(&seen).len(), 3);
}

/// On one line, as `rustfmt` leaves it with some settings: the compiler warns of no braces.
#[rustfmt::skip]
#[test]
fn a_short_body_causes_no_warning() {
    #[audit_span(agent = "a")]
    fn five() -> u32 { 5 }
    #[audit_span(agent = "a")]
    async fn six(x: u32) -> u32 { x + 1 }
    let seen = capture();
    assert_eq!(five(), 5);
    drop(six(5));
    assert_eq!(events(&seen).len(), 2);
}
