//! Forms of an object that stays under a sensitive key: a schema, a reference to a secret, or a token
//! of a model's output.

use super::schema::{Keyword, is_schema_type, is_security_type};
use super::{Slot, Within};
use crate::keys::MANIFEST_KIND;
use crate::looks::{has_random_word, is_password_word};

/// The form of an object that stays under a sensitive key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectForm {
    /// It has no members.
    Empty,
    /// It describes a value in JSON Schema or OpenAPI.
    Schema,
    /// It has names of what a schema describes, and none of them is random.
    Names,
    /// It says where a secret is: `{"secretName": "db"}`.
    Reference,
    /// It is a token of a model's output: `{"id": 17, "text": " Hel"}`.
    ModelToken,
}

/// What the value under the key `type` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeValue {
    /// A type of JSON Schema, or a list of them.
    Schema,
    /// A type of an OpenAPI security scheme.
    Security,
    /// `token` beside it is a word of a model.
    Token,
    /// As a kind, it is that of a manifest of secrets.
    Manifest,
    /// Anything else.
    Other,
}

impl TypeValue {
    /// Returns what a text says as a type.
    pub fn from_text(text: &str) -> Self {
        match text {
            "token" => Self::Token,
            MANIFEST_KIND => Self::Manifest,
            _ if is_schema_type(text) => Self::Schema,
            _ if is_security_type(text) => Self::Security,
            _ => Self::Other,
        }
    }

    /// Returns what a list of texts says as a type. An element that is not a text is `None`.
    pub fn from_list<'t>(mut texts: impl Iterator<Item = Option<&'t str>>) -> Self {
        match texts.all(|text| text.is_some_and(is_schema_type)) {
            true => Self::Schema,
            false => Self::Other,
        }
    }
}

/// Reads the members of an object, and tells its form.
#[derive(Clone, Copy, Debug)]
pub struct ObjectProbe {
    may_be_model_token: bool,
    may_be_names: bool,
    may_be_schema: bool,
    /// Whether it has a keyword other than an extension, which may be anything.
    has_keyword: bool,
    /// Whether it is in a schema, or has a member that only schemas have.
    has_structure: bool,
    has_security_keyword: bool,
    is_security_scheme: bool,
    has_scopes: bool,
    has_schema: bool,
    may_be_reference: bool,
    refers: bool,
    is_secret_manifest: bool,
    members: usize,
    signs: ModelSigns,
}

/// Members that refer to a secret.
const REFERENCES: [&str; 17] = [
    "secretName",
    "secret_name",
    "secretRef",
    "secretKeyRef",
    "secretArn",
    "secret_arn",
    "existingSecret",
    "valueFrom",
    "fromSecret",
    // A volume of Kubernetes, the key of a certificate, a secret of Compose.
    "optional",
    "expirationSeconds",
    "rotationPolicy",
    "external",
    // A template of CloudFormation or of Azure.
    "Ref",
    "Fn::Sub",
    "Fn::GetAtt",
    "reference",
];
/// What may be beside them.
const BESIDE_REFERENCES: [&str; 14] = [
    "name",
    "key",
    "namespace",
    "version",
    "versionId",
    "defaultMode",
    "mode",
    "audience",
    "algorithm",
    "size",
    "encoding",
    "items",
    "path",
    "property",
];

/// Those of them that are no names.
const VERSIONS: [&str; 4] = ["version", "versionId", "defaultMode", "mode"];

/// Returns whether a member beside a reference says which version is meant, or a mode.
pub(super) fn is_version(key: &str) -> bool {
    VERSIONS.contains(&key)
}

impl ObjectProbe {
    /// Makes a probe for the object in this slot.
    pub fn new(slot: Slot) -> Self {
        let within = slot.below.within;
        Self {
            may_be_model_token: slot.may_be_model_token,
            may_be_names: matches!(within, Within::SchemaMap | Within::SchemaObject),
            may_be_schema: slot.has_forms && within != Within::SchemaObject,
            has_keyword: false,
            has_structure: matches!(within, Within::Schema | Within::SchemaMap),
            has_security_keyword: false,
            is_security_scheme: false,
            has_scopes: false,
            has_schema: false,
            may_be_reference: slot.has_forms
                && matches!(within, Within::Document | Within::Reference),
            refers: false,
            is_secret_manifest: false,
            members: 0,
            signs: ModelSigns::default(),
        }
    }

    /// Makes a probe for the members of an object that stays anyway.
    pub fn of_members() -> Self {
        Self { may_be_model_token: true, ..Self::new(Slot::default()) }
    }

    /// Returns whether [`read`](Self::read) needs to know the value under this key.
    pub fn needs_type(key: &str) -> bool {
        key == "type"
    }

    /// Returns the same for the members of an object that stays anyway.
    pub fn needs_type_or_kind(key: &str) -> bool {
        matches!(key, "type" | "kind")
    }

    /// Reads a member: its key and, under `type`, its value. Returns whether the object still may
    /// have a form.
    pub fn read(&mut self, key: &str, value: TypeValue) -> bool {
        self.members += 1;
        self.signs.read_key(key);
        self.may_be_names &= !has_random_word(key) && !is_password_word(key);
        self.refers |= REFERENCES.contains(&key);
        self.may_be_reference &= REFERENCES.contains(&key) || BESIDE_REFERENCES.contains(&key);
        if key == "type" {
            self.read_type(value);
        }
        self.is_secret_manifest |= key == "kind" && value == TypeValue::Manifest;
        let keyword = Keyword::from_key(key);
        self.may_be_schema &= keyword.is_some();
        self.has_keyword |= keyword.is_some() && !key.starts_with("x-");
        self.has_structure |= keyword.is_some_and(|keyword| keyword.is_structure(key));
        self.has_security_keyword |= keyword.is_some_and(Keyword::is_of_security);
        // A flow of OAuth, and a parameter of OpenAPI.
        self.has_scopes |= key == "scopes";
        self.has_schema |= key == "schema";
        self.may_be_schema || self.may_be_reference || self.may_be_model_token || self.may_be_names
    }

    fn read_type(&mut self, value: TypeValue) {
        match value {
            TypeValue::Schema => self.has_structure = true,
            TypeValue::Security => (self.is_security_scheme, self.has_structure) = (true, true),
            TypeValue::Token | TypeValue::Manifest | TypeValue::Other => self.may_be_schema = false,
        }
        if value == TypeValue::Token {
            self.signs.read_token_type();
        }
    }

    /// Returns the form of the object, after all its members or those until `read` returned `false`.
    pub fn form(&self) -> Option<ObjectForm> {
        let is_schema = self.may_be_schema
            && self.has_keyword
            && (self.has_structure || self.has_scopes)
            && (self.is_security_scheme
                || !self.has_security_keyword
                || self.has_scopes
                || self.has_schema);
        match () {
            () if self.members == 0 => Some(ObjectForm::Empty),
            () if self.may_be_names => Some(ObjectForm::Names),
            () if is_schema => Some(ObjectForm::Schema),
            () if self.may_be_reference && self.refers => Some(ObjectForm::Reference),
            () if self.may_be_model_token && self.signs.are_of_model_output() => {
                Some(ObjectForm::ModelToken)
            }
            () => None,
        }
    }

    pub(super) fn is_secret_manifest(&self) -> bool {
        self.is_secret_manifest
    }

    pub(super) fn signs(&self) -> ModelSigns {
        self.signs
    }
}

/// Members that make `token` beside them, or the object itself, a word of a model.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ModelSigns {
    has_sign: bool,
    has_text: bool,
    has_id: bool,
}

impl ModelSigns {
    pub(super) fn read_key(&mut self, key: &str) {
        match key {
            "logprob" | "lemma" | "pos" | "entity" | "word" | "chunk" => self.has_sign = true,
            "text" => self.has_text = true,
            "id" => self.has_id = true,
            _ => {}
        }
    }

    /// Takes note of `"type": "token"`.
    pub(super) fn read_token_type(&mut self) {
        self.has_sign = true;
    }

    pub(super) fn are_of_model_output(self) -> bool {
        self.has_sign || self.has_text && self.has_id
    }
}
