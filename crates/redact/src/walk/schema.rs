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
    Value,
    /// A list of such values. A list of words says what is accepted, and is public.
    Choices,
    /// Texts about the described value, if they are these.
    Texts(StayingTexts),
    /// An object of such texts.
    Object,
    /// A keyword of a security scheme, with such texts.
    Security(StayingTexts),
    /// The same, with an object of texts.
    SecurityObject,
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
const VALUES: [&str; 4] = ["default", "example", "examples", "const"];
/// What people write, and names.
const PROSE: [&str; 12] = [
    "title",
    "description",
    "$comment",
    "type",
    "format",
    "required",
    "contentEncoding",
    "contentMediaType",
    "$anchor",
    "$dynamicAnchor",
    "propertyOrdering",
    "property_ordering",
];
const LINKS: [&str; 5] = ["$ref", "$id", "$schema", "$dynamicRef", "$recursiveRef"];
/// Numbers and switches.
const NUMBERS: [&str; 23] = [
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
    "readOnly",
    "writeOnly",
    "deprecated",
    "nullable",
    "$recursiveAnchor",
];
const OBJECTS: [&str; 5] =
    ["$vocabulary", "dependentRequired", "discriminator", "externalDocs", "xml"];
const SECURITY_PROSE: [&str; 5] = ["name", "in", "scheme", "bearerFormat", "flow"];
const SECURITY_LINKS: [&str; 4] =
    ["authorizationUrl", "tokenUrl", "refreshUrl", "openIdConnectUrl"];
const SECURITY_OBJECTS: [&str; 2] = ["flows", "scopes"];

/// Keywords that make an object a schema without a type. All others may be members of anything.
const STRUCTURE: [&str; 6] =
    ["$ref", "$dynamicRef", "$recursiveRef", "enum", "minLength", "maxLength"];

/// The types of JSON Schema. Gemini spells them in capitals.
const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "object", "array", "null"];
const SECURITY_TYPES: [&str; 6] =
    ["apiKey", "http", "oauth2", "openIdConnect", "mutualTLS", "basic"];

impl Keyword {
    pub(super) fn from_key(key: &str) -> Option<Self> {
        use StayingTexts::{Links, Numbers, Patterns, Prose};
        match () {
            () if PROSE.contains(&key) => Some(Self::Texts(Prose)),
            () if NUMBERS.contains(&key) => Some(Self::Texts(Numbers)),
            () if LINKS.contains(&key) => Some(Self::Texts(Links)),
            () if key == "pattern" => Some(Self::Texts(Patterns)),
            () if OBJECTS.contains(&key) => Some(Self::Object),
            () if MAPS.contains(&key) => Some(Self::Map),
            () if SCHEMAS.contains(&key) => Some(Self::Schema),
            () if key == "enum" => Some(Self::Choices),
            () if VALUES.contains(&key) || key.starts_with("x-") => Some(Self::Value),
            () if SECURITY_PROSE.contains(&key) => Some(Self::Security(Prose)),
            () if SECURITY_LINKS.contains(&key) => Some(Self::Security(Links)),
            () if SECURITY_OBJECTS.contains(&key) => Some(Self::SecurityObject),
            () => None,
        }
    }

    /// Returns whether it is one of a security scheme.
    pub(super) fn is_of_security(self) -> bool {
        matches!(self, Self::Security(_) | Self::SecurityObject)
    }

    /// Returns whether an object with this keyword is a schema, if all its members are keywords.
    pub(super) fn is_structure(self, key: &str) -> bool {
        matches!(self, Self::Schema | Self::Map) || STRUCTURE.contains(&key)
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
    let (within, fate, staying) = match Keyword::from_key(key) {
        Some(Keyword::Map) => (Within::SchemaMap, Fate::Whole, StayingTexts::Empty),
        Some(Keyword::Value) => {
            (Within::SchemaTexts(StayingTexts::Empty), Fate::Texts, StayingTexts::Empty)
        }
        Some(Keyword::Choices) => {
            (Within::SchemaTexts(StayingTexts::Words), Fate::Texts, StayingTexts::Empty)
        }
        Some(Keyword::Texts(StayingTexts::Numbers)) => {
            (Within::SchemaTexts(StayingTexts::Numbers), Fate::Texts, StayingTexts::Numbers)
        }
        Some(Keyword::Texts(staying) | Keyword::Security(staying)) => {
            (Within::SchemaTexts(staying), Fate::Whole, staying)
        }
        Some(Keyword::Object | Keyword::SecurityObject) => {
            (Within::SchemaObject, Fate::Doubtful, StayingTexts::Prose)
        }
        Some(Keyword::Schema) | None => return slot.expect_schema(),
    };
    (slot.below.within, slot.fate, slot.staying) = (within, fate, staying);
    slot.has_forms = matches!(within, Within::SchemaMap | Within::SchemaObject);
}
