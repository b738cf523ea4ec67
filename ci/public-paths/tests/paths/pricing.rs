//! Exact money, the tokens of a call, and what they cost.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul};
use std::path::Path;
use std::str::FromStr;

use llm_audit::metrics::MetricsRow;
use llm_audit::reader::{Json, Line};
use llm_audit::{Error, Prices, ServiceTier, Usage, Usd, calculate_cost};
use serde::Serialize;

use crate::{Plain, converted, fields, implement, variants};

fn usd() {
    const _: Usd = Usd::ZERO;
    let _: fn(Usd) -> f64 = Usd::as_f64;
    let _: fn(Usd) -> bool = Usd::is_negative;
}

fn usd_of_a_text(text: &str) -> Result<Usd, Error> {
    converted(Usd::from_str(text))
}

fn usd_of_a_number(number: f64) -> Result<Usd, Error> {
    converted(Usd::try_from(number))
}

/// A constant is a pattern only if its type derives its equality.
fn is_zero(usd: Usd) -> bool {
    matches!(usd, Usd::ZERO)
}

implement! {
    Usd: Plain, Clone, Copy, Debug, Default, Display, FromStr, TryFrom<f64>;
    Usd: PartialEq, Eq, PartialOrd, Ord, Hash;
    Usd: Add<Output = Usd>, AddAssign, Mul<u64, Output = Usd>, Sum, Sum<&'static Usd>;
}

fn cost(model: &str, usage: impl Into<Usage>) -> Option<Usd> {
    calculate_cost(model, usage)
}

fn prices() {
    let _: fn() -> Prices = Prices::built_in;
    let _: fn(&Prices, &Line<'_>) -> Option<Usd> = Prices::cost_of;
    let _: fn(&Prices, &Line<'_>) -> Option<Usd> = Prices::cost_without_cache;
    let _: fn(&Prices, &Line<'_>) -> bool = Prices::is_of_file;
    let _: fn(&Prices, &MetricsRow) -> [Option<Usd>; 2] = Prices::costs_of_row;
}

fn prices_of_a_file(path: &Path) -> Result<Prices, Error> {
    converted(Prices::open(path))
}

implement! {
    Prices: Plain, Debug;
}

variants!(ServiceTier { Standard, Batch, Flex, Priority });

fn service_tier() {
    let _: fn(ServiceTier) -> &'static str = ServiceTier::name;
    let _: fn(&str) -> ServiceTier = ServiceTier::from_name;
}

implement! {
    ServiceTier: Plain, Clone, Copy, Debug, Default, PartialEq, Eq, Hash;
}

fields!(Usage {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    cache_write_1h: u64,
    reasoning: u64,
    audio_input: u64,
    audio_cache_read: u64,
    audio_output: u64,
    service_tier: ServiceTier,
});

fn usage() {
    let _: fn(u64, u64) -> Usage = Usage::new;
    let _: fn(&str) -> Option<Usage> = Usage::from_json;
    let _: fn(Json<'_>) -> Option<Usage> = Usage::from_object;
    let _: fn(&Usage) -> Option<u64> = Usage::tokens_input;
    let _: fn(&Usage) -> Option<u64> = Usage::tokens_output;
    let _: fn(&Usage) -> bool = Usage::is_partial;
}

fn usage_of_counts<'a>(counts: [(&'a str, Json<'a>); 2]) -> Option<Usage> {
    Usage::from_counts(counts)
}

fn usage_of_an_answer<T: Serialize + ?Sized>(answer: &T) -> Option<Usage> {
    Usage::from_answer::<T>(answer)
}

implement! {
    Usage: Plain, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize;
    Usage: From<(u64, u64)>, From<&'static Usage>;
}

#[test]
fn money_that_does_not_parse_is_an_error_of_the_library() {
    assert_eq!(usd_of_a_text("0.25").ok(), usd_of_a_number(0.25).ok());
    assert!(usd_of_a_text("").is_err());
    assert!(usd_of_a_number(f64::NAN).is_err());
    assert!(is_zero(Usd::default()));
}
