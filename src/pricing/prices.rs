//! Prices for the lines of a log.

use std::array;
use std::path::Path;

use llm_audit_log::schema::MetricsRow;
use llm_audit_log::{Json, Line};

use super::table::PriceTable;
use super::{ServiceTier, Usage, Usd, open_pricing_file};
use crate::error::Error;

/// Prices by which the model calls of a log are priced again.
///
/// # Examples
///
/// ```
/// use llm_audit::{Prices, reader};
///
/// let mut line = br#"{"event_type":"llm.invoke","tokens_input":1000,"tokens_output":100,
///     "data":{"provider":"openai","model":"gpt-4o-mini","usage":{"cache_read":800}}}"#.to_vec();
/// let line = reader::parse(&mut line)?;
/// let prices = Prices::built_in();
/// assert_eq!(prices.cost_of(&line).unwrap().to_string(), "0.00015");
/// assert_eq!(prices.cost_without_cache(&line).unwrap().to_string(), "0.00021");
/// # Ok::<(), reader::Error>(())
/// ```
#[derive(Debug)]
pub struct Prices {
    /// The built-in ones overridden by a file's, if there is one.
    file: Option<PriceTable>,
}

impl Prices {
    /// Returns the prices that come with the library.
    pub fn built_in() -> Self {
        Self { file: None }
    }

    /// Reads prices in LiteLLM's JSON layout. The built-in prices count for models that the file lacks.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not a file of prices. The error says what is wrong.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { file: Some(open_pricing_file(path, "the price file")?) })
    }

    /// Returns the cost of the model call that a line reports, by its `data.model`, `data.provider`,
    /// `data.usage` and tokens. `None` if the model has no price, or if the line lacks one of the totals.
    pub fn cost_of(&self, line: &Line<'_>) -> Option<Usd> {
        self.cost(line, usage_of(line)?)
    }

    /// Whether the price of the model that a line names is one of the file's, and not one that comes with the
    /// library.
    pub fn is_of_file(&self, line: &Line<'_>) -> bool {
        let provider = line.data().and_then(|data| data.get("provider")?.as_str());
        let file = self.file.as_ref().zip(line.model());
        file.is_some_and(|(file, model)| file.is_of_file(provider.unwrap_or_default(), model))
    }

    /// Returns what the call would have cost without a cache: all tokens of input at the full price.
    pub fn cost_without_cache(&self, line: &Line<'_>) -> Option<Usd> {
        let usage = Usage {
            cache_read: 0,
            cache_write: 0,
            cache_write_1h: 0,
            audio_cache_read: 0,
            ..usage_of(line)?
        };
        self.cost(line, usage)
    }

    /// Returns what the calls of a row of totals would have cost without a cache, and what they cost by these
    /// prices, as if all of them had the same usage. `None` if the model has no price.
    pub fn costs_of_row(&self, row: &MetricsRow) -> [Option<Usd>; 2] {
        let calls = row.events.max(1);
        // What each call has, and what is left of the sums.
        let each = usages_of_row(row, |sum| sum / calls);
        let rest = usages_of_row(row, |sum| sum % calls);
        let table = self.file.as_ref().unwrap_or_else(|| PriceTable::built_in());
        let cost = |usage: Usage| table.cost("", &row.model, usage.with_fitted_parts());
        array::from_fn(|at| Some(cost(each[at])? * calls + cost(rest[at])?))
    }

    fn cost(&self, line: &Line<'_>, usage: Usage) -> Option<Usd> {
        let table = self.file.as_ref().unwrap_or_else(|| PriceTable::built_in());
        let provider = line.data().and_then(|data| data.get("provider")?.as_str());
        table.cost(provider.unwrap_or_default(), line.model()?, usage)
    }
}

/// The usage of a part of a row without a cache, and as it is.
fn usages_of_row(row: &MetricsRow, part: impl Fn(u64) -> u64) -> [Usage; 2] {
    let [cache_read, cache_write, cache_write_1h, reasoning, audio_input, audio_output] =
        row.usage.counts().map(&part);
    let without = Usage {
        reasoning,
        audio_input,
        audio_output,
        ..Usage::new(part(row.tokens_input), part(row.tokens_output))
    };
    [without, Usage { cache_read, cache_write, cache_write_1h, ..without }]
}

/// The usage in a line, as [`Usage`] serializes it. `None` if a total is missing, or if the terms of the
/// call have no known price.
fn usage_of(line: &Line<'_>) -> Option<Usage> {
    let parts = line.data().and_then(|data| data.get("usage"));
    let member = |name: &str| parts.and_then(|parts| parts.get(name));
    if member("modifier").is_some() {
        return None;
    }
    let part = |name: &str| member(name).and_then(Json::as_u64).unwrap_or(0);
    let tier = member("service_tier").and_then(Json::as_str).unwrap_or_default();
    let usage = Usage {
        cache_read: part("cache_read"),
        cache_write: part("cache_write"),
        cache_write_1h: part("cache_write_1h"),
        reasoning: part("reasoning"),
        audio_input: part("audio_input"),
        audio_cache_read: part("audio_cache_read"),
        audio_output: part("audio_output"),
        service_tier: ServiceTier::from_name(tier),
        ..Usage::new(line.tokens_input()?, line.tokens_output()?)
    };
    Some(usage.with_fitted_parts())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(prices: &Prices, line: &str) -> [Option<String>; 2] {
        let mut bytes = line.as_bytes().to_vec();
        let line = llm_audit_log::parse(&mut bytes).unwrap();
        [prices.cost_of(&line), prices.cost_without_cache(&line)]
            .map(|cost| cost.map(|cost| cost.to_string()))
    }

    #[test]
    fn a_line_is_priced_like_the_call_that_it_reports() {
        let usage = Usage { cache_write: 300, cache_read: 500, ..Usage::new(1_000, 100) };
        let expected = super::super::built_in_cost("", &["claude-sonnet-4-5"], usage).unwrap();
        let text = serde_json::to_string(&usage).unwrap();
        let line = format!(
            r#"{{"tokens_input":1000,"tokens_output":100,
                "data":{{"model":"claude-sonnet-4-5","usage":{text}}}}}"#
        );
        let [cost, without] = costs(&Prices::built_in(), &line);
        assert_eq!(cost, Some(expected.to_string()));
        assert_eq!(without.as_deref(), Some("0.0045"));
    }

    #[test]
    fn a_row_is_priced_as_so_many_equal_calls() {
        let usage = Usage { cache_read: 600, ..Usage::new(1_000, 100) };
        let [without, with] = [Usage::new(1_000, 100), usage]
            .map(|usage| super::super::built_in_cost("", &["gpt-4o"], usage).map(|cost| cost * 3));
        let mut row = MetricsRow::default();
        row.model = "gpt-4o".to_owned();
        (row.events, row.tokens_input, row.tokens_output) = (3, 3_000, 300);
        row.usage.cache_read = 1_800;
        assert!(with < without && with.is_some());
        assert_eq!(Prices::built_in().costs_of_row(&row), [without, with]);
        // Calls that are not equal: nothing of the sums is rounded away.
        (row.tokens_input, row.tokens_output, row.usage.cache_read) = (3_002, 301, 1_801);
        let [dearer, cheaper] = [Usage::new(2, 1), Usage { cache_read: 1, ..Usage::new(2, 1) }]
            .map(|usage| super::super::built_in_cost("", &["gpt-4o"], usage));
        let sum = |one: Option<Usd>, other: Option<Usd>| Some(one? + other?);
        let expected = [sum(without, dearer), sum(with, cheaper)];
        assert_eq!(Prices::built_in().costs_of_row(&row), expected);
        row.model = "no-such".to_owned();
        assert_eq!(Prices::built_in().costs_of_row(&row), [None, None]);
    }

    #[test]
    fn what_cannot_be_priced_has_no_cost() {
        for line in [
            r#"{"tokens_input":1000,"data":{"model":"gpt-4o"}}"#,
            r#"{"tokens_input":1000,"tokens_output":1,"data":{"model":"no-such"}}"#,
            r#"{"tokens_input":1000,"tokens_output":1}"#,
            r#"{"tokens_input":1,"tokens_output":1,"data":{"model":"gpt-4o","usage":{"modifier":"speed"}}}"#,
        ] {
            assert_eq!(costs(&Prices::built_in(), line), [None, None], "{line}");
        }
    }

    #[test]
    fn a_file_overrides_the_built_in_prices() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prices.json");
        let prices = r#"{"mine": {"input_cost_per_token": 1e-3, "output_cost_per_token": 0.5}}"#;
        std::fs::write(&path, prices).unwrap();
        let prices = Prices::open(&path).unwrap();
        let line = r#"{"tokens_input":2,"tokens_output":1,"data":{"model":"mine"}}"#;
        assert_eq!(costs(&prices, line)[0].as_deref(), Some("0.502"));
        let known = line.replace("mine", "gpt-4o");
        assert_eq!(costs(&prices, &known), costs(&Prices::built_in(), &known));
        std::fs::write(&path, "[]").unwrap();
        let error = Prices::open(&path).unwrap_err().to_string();
        assert!(error.contains("LiteLLM"), "{error}");
    }
}
