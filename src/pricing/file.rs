//! Prices in LiteLLM's JSON layout (`model_prices_and_context_window.json`).
//!
//! The file is an object of models. Each model is an object of prices in dollars per token, which
//! are read from their spelling. These fields are read:
//!
//! - `input_cost_per_token`, `output_cost_per_token`
//! - `cache_read_input_token_cost`
//! - `cache_creation_input_token_cost`, and the same with `_above_1hr`
//! - `output_cost_per_reasoning_token`
//! - `input_cost_per_audio_token`, `output_cost_per_audio_token`,
//!   `cache_read_input_audio_token_cost`
//! - each of these with `_above_200k_tokens` (any number), and with `_batches`, `_flex` or
//!   `_priority`
//! - `tiered_pricing`
//! - `litellm_provider`: if it is `xai`, a step begins at its number and not above it
//!
//! `base_model`, which LiteLLM has elsewhere, names a model whose prices the entry inherits. With
//! it a deployment of any name has a price. Other fields are ignored.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::Usd;
use super::rates::{Rate, Rates, TokenKind};
use crate::pricing::ServiceTier;

/// The names of the fields without their suffixes. If one name begins with another, the longer one
/// comes first.
const FIELDS: [(&str, TokenKind); 10] = [
    ("input_cost_per_token_cache_hit", TokenKind::CacheRead),
    ("input_cost_per_token", TokenKind::Input),
    ("output_cost_per_token", TokenKind::Output),
    ("cache_read_input_token_cost", TokenKind::CacheRead),
    ("cache_creation_input_token_cost_above_1hr", TokenKind::CacheWrite1h),
    ("cache_creation_input_token_cost", TokenKind::CacheWrite),
    ("output_cost_per_reasoning_token", TokenKind::Reasoning),
    ("input_cost_per_audio_token", TokenKind::AudioInput),
    ("output_cost_per_audio_token", TokenKind::AudioOutput),
    ("cache_read_input_audio_token_cost", TokenKind::AudioCacheRead),
];
/// The entry that documents the layout.
const SAMPLE: &str = "sample_spec";

/// The contents of a file.
#[derive(Debug, Default)]
pub(super) struct PriceFile {
    pub(super) models: BTreeMap<String, Rates>,
    pub(super) aliases: Vec<PriceAlias>,
}

/// An entry with a `base_model`.
#[derive(Debug)]
pub(super) struct PriceAlias {
    pub(super) name: String,
    pub(super) base: String,
    pub(super) own: Vec<Rate>,
    line: usize,
}

impl PriceAlias {
    pub(super) fn unknown_base_error(&self) -> String {
        let Self { name, base, line, .. } = self;
        format!("line {line}: the base_model {base:?} of {name:?} is not known")
    }
}

type EntryMembers<'t> = BTreeMap<String, &'t RawValue>;

/// Reads a whole file.
///
/// # Errors
///
/// Returns what is wrong, and the line.
pub(super) fn parse_price_file(text: &str) -> Result<PriceFile, String> {
    let entries: EntryMembers<'_> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut parsed = PriceFile::default();
    for (name, entry) in entries.into_iter().filter(|(name, _)| name != SAMPLE) {
        let at = PriceEntryPlace { text, name: &name };
        let members: EntryMembers<'_> = serde_json::from_str(entry.get())
            .map_err(|_| at.error_with_line(entry, "is not an object of prices"))?;
        let rates = parse_price_entry(&members, at)?;
        match members.get("base_model") {
            Some(base) => parsed.aliases.push(PriceAlias {
                base: serde_json::from_str(base.get()).map_err(|_| {
                    at.error_with_line(base, "has a base_model that is not a string")
                })?,
                own: rates,
                line: at.line_of_value(base),
                name,
            }),
            None => {
                let mut model = Rates::default();
                rates.into_iter().for_each(|rate| model.set(rate));
                if !model.is_empty() {
                    parsed.models.insert(name, model);
                }
            }
        }
    }
    Ok(parsed)
}

/// A model's entry in the file, for errors that name it and the line.
#[derive(Clone, Copy)]
struct PriceEntryPlace<'t> {
    text: &'t str,
    name: &'t str,
}

impl PriceEntryPlace<'_> {
    /// Returns the line of a value, which must be a slice of the text.
    fn line_of_value(self, value: &RawValue) -> usize {
        let offset = (value.get().as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn error_with_line(self, value: &RawValue, what: &str) -> String {
        format!("line {}: {:?} {what}", self.line_of_value(value), self.name)
    }
}

/// Returns the prices of one model. If two prices are for the same thing, the last one applies.
fn parse_price_entry(
    members: &EntryMembers<'_>,
    at: PriceEntryPlace<'_>,
) -> Result<Vec<Rate>, String> {
    let provider = members.get("litellm_provider").and_then(|raw| json_string(raw));
    let from = u64::from(provider.as_deref() == Some("xai"));
    let mut rates = Vec::new();
    // The aliases of a field come first, so that the field itself overrides them.
    let (aliases, fields): (Vec<_>, Vec<_>) =
        members.iter().partition(|(name, _)| name.contains("_cache_hit"));
    for (name, value) in aliases.into_iter().chain(fields) {
        if let (Some((kind, above, tier)), true) =
            (parse_price_field_name(name), value.get() != "null")
        {
            let price = parse_price_file_value(value, name, at)?;
            rates.push(Rate { kind, above: above.saturating_sub(from), tier, price });
        }
    }
    if let Some(steps) = members.get("tiered_pricing").filter(|steps| steps.get() != "null") {
        let wrong =
            || at.error_with_line(steps, "has a tiered_pricing that is not a list of steps");
        let steps: Vec<EntryMembers<'_>> =
            serde_json::from_str(steps.get()).map_err(|_| wrong())?;
        for step in steps {
            // A step that does not price tokens has no range.
            let Some(range) = step.get("range") else { continue };
            let range: Vec<f64> = serde_json::from_str(range.get()).map_err(|_| wrong())?;
            let [start, ..] = range[..] else { return Err(wrong()) };
            for (name, value) in &step {
                if let Some((kind, 0, tier)) = parse_price_field_name(name) {
                    rates.push(Rate {
                        kind,
                        above: start as u64,
                        tier,
                        price: parse_price_file_value(value, name, at)?,
                    });
                }
            }
        }
    }
    Ok(rates)
}

/// Reads a price from its spelling, which is a number or a string.
fn parse_price_file_value(
    value: &RawValue,
    field: &str,
    at: PriceEntryPlace<'_>,
) -> Result<Usd, String> {
    let text = json_string(value).unwrap_or_else(|| value.get().to_owned());
    let price: Option<Usd> = text.parse().ok();
    price.filter(|price| !price.is_negative()).ok_or_else(|| {
        at.error_with_line(
            value,
            &format!("has a field {field} that is not a number of dollars from 0 on"),
        )
    })
}

fn json_string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// Returns what the price in a field is for: kind, step and tier.
fn parse_price_field_name(name: &str) -> Option<(TokenKind, u64, ServiceTier)> {
    let (kind, mut rest) = FIELDS
        .iter()
        .find_map(|(field, kind)| name.strip_prefix(field).map(|rest| (*kind, rest)))?;
    let (mut above, mut tier) = (0, ServiceTier::Standard);
    while !rest.is_empty() {
        let tiers = [
            ("_batches", ServiceTier::Batch),
            ("_flex", ServiceTier::Flex),
            ("_priority", ServiceTier::Priority),
        ];
        let found = tiers.iter().find_map(|(name, tier)| Some((rest.strip_prefix(name)?, *tier)));
        if let Some((after, found)) = found {
            (rest, tier) = (after, found);
        } else {
            let (step, after) = rest.strip_prefix("_above_")?.split_once("_tokens")?;
            let (digits, unit) = step.strip_suffix('k').map_or((step, 1), |k| (k, 1_000));
            above = digits.parse::<u64>().ok()?.checked_mul(unit)?;
            rest = after;
        }
    }
    Some((kind, above, tier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_say_what_they_are_for() {
        use ServiceTier::{Batch, Flex, Priority, Standard};
        let cases = [
            ("input_cost_per_token", Some((TokenKind::Input, 0, Standard))),
            ("input_cost_per_token_cache_hit", Some((TokenKind::CacheRead, 0, Standard))),
            ("output_cost_per_token_batches", Some((TokenKind::Output, 0, Batch))),
            ("input_cost_per_token_above_200k_tokens", Some((TokenKind::Input, 200_000, Standard))),
            ("input_cost_per_token_above_512_tokens", Some((TokenKind::Input, 512, Standard))),
            (
                "cache_read_input_token_cost_above_272k_tokens_flex",
                Some((TokenKind::CacheRead, 272_000, Flex)),
            ),
            (
                "input_cost_per_token_priority_above_200k_tokens",
                Some((TokenKind::Input, 200_000, Priority)),
            ),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
                Some((TokenKind::CacheWrite1h, 200_000, Standard)),
            ),
            ("cache_creation_input_token_cost_above_12hr", None),
            ("input_cost_per_token_ultrafast", None),
            ("input_cost_per_image_token", None),
            ("output_cost_per_image", None),
            ("input_cost_per_token_above_99999999999999999999k_tokens", None),
            ("max_tokens", None),
        ];
        for (name, expected) in cases {
            assert_eq!(parse_price_field_name(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let cases = [
            ("", "line 1"),
            ("{\n\"a\": {\n}", "line 3"),
            ("[]", "line 1"),
            ("{\n\n\"a\": 7}", "line 3: \"a\" is not an object of prices"),
            (
                "{\n\"a\": {\n\"input_cost_per_token\": true}}",
                "line 3: \"a\" has a field input_cost_per_token that is not a number of dollars from 0 on",
            ),
            ("{\"a\": {\"output_cost_per_token\": -1e-6}}", "not a number of dollars from 0 on"),
            ("{\"a\": {\"output_cost_per_token\": 1e-30}}", "not a number of dollars from 0 on"),
            ("{\"a\": {\"tiered_pricing\": 7}}", "not a list of steps"),
            ("{\"a\": {\"base_model\": 7}}", "not a string"),
        ];
        for (text, expected) in cases {
            let error = parse_price_file(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
