//! The terms of a call that change its price: the price list, and modifiers of it.

use llm_audit_log::json::Json;

use super::attributes::{SERVICE_TIER, attribute_text};
use super::object::IndexedObject;
use super::{PriceModifier, ServiceTier, Usage};

/// The terms that an answer names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PriceTerms {
    tier: ServiceTier,
    modifier: Option<PriceModifier>,
    /// The answer is of a batch, whatever the tier inside of it says.
    is_batch: bool,
}

impl PriceTerms {
    /// Returns the terms of an object inside of another one, which has these terms.
    pub(super) fn of_inner(self, object: IndexedObject<'_>) -> Self {
        if self.is_batch || is_batch(object) {
            return Self { tier: ServiceTier::Batch, modifier: None, is_batch: true };
        }
        let Some(name) = tier_name(object) else { return self };
        let tier = ServiceTier::from_known_name(name);
        let modifier = tier.is_none().then_some(PriceModifier::ServiceTier);
        Self { tier: tier.unwrap_or_default(), modifier, is_batch: false }
    }

    /// Returns the usage under these terms and those of its own object.
    pub(super) fn apply(self, usage: Usage, object: IndexedObject<'_>) -> Usage {
        let terms = self.of_inner(object);
        let text =
            |name| object.get(name).and_then(Json::as_str).unwrap_or("").to_ascii_lowercase();
        let (speed, geo) = (text("speed"), text("inference_geo"));
        let modifier = if !matches!(speed.as_str(), "" | "standard" | "default" | "normal") {
            Some(PriceModifier::Speed)
        } else if !matches!(geo.as_str(), "" | "global" | "not_available" | "default") {
            Some(PriceModifier::InferenceGeo)
        } else {
            terms.modifier
        };
        Usage { service_tier: terms.tier, modifier, ..usage }
    }
}

/// Returns the name of the price list that this object names.
fn tier_name(object: IndexedObject<'_>) -> Option<&str> {
    let names = ["service_tier", "serviceTier", "trafficType", "traffic_type"];
    let own = names.iter().find_map(|name| {
        let tier = object.get(name)?;
        // Bedrock's tier is an object.
        tier.as_str().or_else(|| tier.get("type")?.as_str())
    });
    own.or_else(|| attribute_text(object, SERVICE_TIER))
}

/// Reports whether this is a batch, or a line of a batch's output.
///
/// OpenAI, Mistral and Anthropic write the caller's `custom_id` beside the answer, Gemini its `key`,
/// Vertex the request, and Bedrock a `recordId`.
fn is_batch(object: IndexedObject<'_>) -> bool {
    let has = |name| object.get(name).is_some();
    let has_object = |name| object.get(name).is_some_and(Json::is_object);
    let has_inner = |outer, inner| object.get(outer).and_then(|json| json.get(inner)).is_some();
    // Other programs may write a `key` beside an answer, but not it alone.
    let is_pair = || object.json.members().count() == 2;
    object.get("object").and_then(Json::as_str) == Some("batch")
        || has("custom_id") && (has_inner("response", "body") || has_inner("result", "message"))
        || has("key") && has_inner("response", "usageMetadata") && is_pair()
        || has("processed_time") && has("request") && has_object("response")
        || has("recordId") && has_object("modelOutput")
}
