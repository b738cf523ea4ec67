//! The prices of all known models: the built-in ones, overridden by a file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::names::{canonical_claude_name, resolve_model_at_provider, resolve_model_name};
use super::rates::{Rate, Rates, TokenKind};
use super::{Usd, file};
use crate::pricing::{ServiceTier, Usage};
use llm_audit_process::cell::Lazy;

/// The prices that come with the library, one model a line. The top of the file explains its
/// layout.
const BUILT_IN: &str = include_str!("../prices.txt");

/// Prices by model.
#[derive(Debug)]
pub(super) struct PriceTable {
    models: BTreeMap<String, Arc<Rates>>,
    /// The names that a file has, in each spelling.
    of_file: BTreeSet<String>,
}

impl PriceTable {
    /// Returns the prices that come with the library.
    pub(super) fn built_in() -> &'static Self {
        static BUILT_IN_TABLE: Lazy<PriceTable> =
            Lazy::new(|| PriceTable::new(parse_built_in_prices(BUILT_IN)));
        &BUILT_IN_TABLE
    }

    /// Returns the built-in prices overridden by those of a file.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the text, and where.
    pub(super) fn with_file(text: &str) -> Result<Self, String> {
        let parsed = file::parse_price_file(text)?;
        let mut models = parse_built_in_prices(BUILT_IN);
        let aliases = parsed.aliases.iter().map(|alias| alias.name.clone());
        let of_file =
            parsed.models.keys().flat_map(|name| spellings(name)).chain(aliases).collect();
        models.extend(parsed.models);
        let mut table = Self::new(models);
        for alias in parsed.aliases {
            let base = table.rates(&alias.base).cloned();
            let mut rates = base.ok_or_else(|| alias.unknown_base_error())?.as_ref().clone();
            alias.own.into_iter().for_each(|rate| rates.set(rate));
            table.models.insert(alias.name, Arc::new(rates));
        }
        table.of_file = of_file;
        Ok(table)
    }

    /// Adds the spellings that the resolution of names asks for, unless a model has that name.
    fn new(models: BTreeMap<String, Rates>) -> Self {
        let exact = models.into_iter().map(|(name, rates)| (name, Arc::new(rates)));
        let mut models: BTreeMap<_, _> = exact.collect();
        for (name, rates) in models.clone() {
            for spelling in spellings(&name).rev() {
                models.entry(spelling).or_insert_with(|| rates.clone());
            }
        }
        Self { models, of_file: BTreeSet::new() }
    }

    fn rates(&self, model: &str) -> Option<&Arc<Rates>> {
        resolve_model_name(model, |name| self.models.get(name))
    }

    /// Whether the price of such a call is one of the file's.
    pub(super) fn is_of_file(&self, provider: &str, model: &str) -> bool {
        let of_file = |name: &str| self.models.get(name).filter(|_| self.of_file.contains(name));
        resolve_model_at_provider(provider, model, of_file).is_some()
    }

    /// Returns the cost of a call of a model that this provider ran. An empty provider means that
    /// it is unknown.
    pub(super) fn cost(&self, provider: &str, model: &str, usage: Usage) -> Option<Usd> {
        resolve_model_at_provider(provider, model, |name| self.models.get(name))?.cost(usage)
    }
}

/// The names by which a model is found: its own, in lower case, and as another provider writes it.
fn spellings(name: &str) -> impl DoubleEndedIterator<Item = String> + use<> {
    let lower = name.to_lowercase();
    let canonical = canonical_claude_name(&lower);
    [Some(name.to_owned()), Some(lower), canonical].into_iter().flatten()
}

/// Reads the models of the built-in text. Lines that do not parse are left out; a test finds them.
fn parse_built_in_prices(text: &str) -> BTreeMap<String, Rates> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(parse_built_in_model).collect()
}

fn parse_built_in_model(line: &str) -> Option<(String, Rates)> {
    let (name, prices) = line.split_once(' ')?;
    let mut rates = Rates::default();
    prices.split(' ').filter_map(parse_built_in_price).for_each(|rate| rates.set(rate));
    Some((name.to_owned(), rates))
}

/// Reads a price such as `in>200000/batch=1.25`: kind, step, tier, dollars per million tokens.
fn parse_built_in_price(text: &str) -> Option<Rate> {
    let (what, price) = text.split_once('=')?;
    let (what, tier) = what.split_once('/').unwrap_or((what, "standard"));
    let (kind, above) = what.split_once('>').unwrap_or((what, "0"));
    let kind = match kind {
        "in" => TokenKind::Input,
        "out" => TokenKind::Output,
        "read" => TokenKind::CacheRead,
        "write" => TokenKind::CacheWrite,
        "write1h" => TokenKind::CacheWrite1h,
        "reason" => TokenKind::Reasoning,
        "audio_in" => TokenKind::AudioInput,
        "audio_read" => TokenKind::AudioCacheRead,
        "audio_out" => TokenKind::AudioOutput,
        _ => return None,
    };
    let price = format!("{price}e-6").parse().ok()?;
    Some(Rate { kind, above: above.parse().ok()?, tier: ServiceTier::from_name(tier), price })
}

#[cfg(test)]
mod tests;
