//! Schemas under sensitive keys: keywords of JSON Schema and OpenAPI, and what is under each.

use super::stays::StayingTexts;
use super::{Fate, Slot, Within};

/// What the value of a keyword is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    /// A schema, or a list of them.
    Schema,
    /// An object of names and their schemas.
    Map,
    /// A value that the described one may have.
    Value(StayingTexts),
    /// A text or a number about the described value.
    Annotation,
    /// The same, only of a security scheme.
    Security,
}

const SCHEMAS: [&str; 18] = [
    "items",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "anyOf",
    "any_of",
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "contentSchema",
    "schema",
];
const MAPS: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
const VALUES: [&str; 3] = ["default", "example", "examples"];
/// A list of words says what is accepted, and is public.
const CHOICES: [&str; 2] = ["const", "enum"];
const ANNOTATIONS: [&str; 45] = [
    "$ref",
    "$id",
    "$schema",
    "$anchor",
    "$comment",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
    "$vocabulary",
    "title",
    "description",
    "type",
    "format",
    "pattern",
    "required",
    "minLength",
    "min_length",
    "maxLength",
    "max_length",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "min_items",
    "maxItems",
    "max_items",
    "uniqueItems",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
    "dependentRequired",
    "contentEncoding",
    "contentMediaType",
    "readOnly",
    "writeOnly",
    "deprecated",
    "nullable",
    "discriminator",
    "externalDocs",
    "propertyOrdering",
    "property_ordering",
];
const SECURITY: [&str; 10] = [
    "name",
    "in",
    "scheme",
    "bearerFormat",
    "flow",
    "flows",
    "scopes",
    "authorizationUrl",
    "tokenUrl",
    "openIdConnectUrl",
];

/// The types of JSON Schema. Gemini spells them in capitals.
const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "object", "array", "null"];
const SECURITY_TYPES: [&str; 6] =
    ["apiKey", "http", "oauth2", "openIdConnect", "mutualTLS", "basic"];

impl Keyword {
    pub(super) fn from_key(key: &str) -> Option<Self> {
        match () {
            () if ANNOTATIONS.contains(&key) => Some(Self::Annotation),
            () if MAPS.contains(&key) => Some(Self::Map),
            () if SCHEMAS.contains(&key) => Some(Self::Schema),
            () if CHOICES.contains(&key) => Some(Self::Value(StayingTexts::Words)),
            () if VALUES.contains(&key) || key.starts_with("x-") => {
                Some(Self::Value(StayingTexts::Empty))
            }
            () if SECURITY.contains(&key) => Some(Self::Security),
            () => None,
        }
    }
}

/// Returns whether a text is a type of JSON Schema.
pub(super) fn is_schema_type(text: &str) -> bool {
    let is_upper = text.starts_with(|c: char| c.is_ascii_uppercase());
    let is_capitals = text.bytes().all(|byte| byte.is_ascii_uppercase());
    TYPES.iter().any(|one| one.eq_ignore_ascii_case(text)) && (!is_upper || is_capitals)
}

/// Returns whether a text is a type of an OpenAPI security scheme.
pub(super) fn is_security_type(text: &str) -> bool {
    SECURITY_TYPES.contains(&text)
}

/// Changes the slot of the value under a keyword of a schema.
pub(super) fn apply_keyword(key: &str, slot: &mut Slot) {
    match Keyword::from_key(key) {
        Some(Keyword::Map) => {
            (slot.below.within, slot.fate) = (Within::SchemaMap, Fate::Whole);
            (slot.has_forms, slot.staying) = (false, StayingTexts::Empty);
        }
        Some(Keyword::Value(staying)) => {
            (slot.below.within, slot.fate) = (Within::SchemaValue(staying), Fate::Texts);
            (slot.has_forms, slot.staying) = (false, staying);
        }
        Some(Keyword::Annotation | Keyword::Security) => {
            (slot.below.within, slot.fate) = (Within::Document, Fate::Read);
        }
        Some(Keyword::Schema) | None => slot.expect_schema(),
    }
}
