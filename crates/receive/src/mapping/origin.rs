//! The origin of records: their resource and their scope.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::{Map, Value};

use super::value::{json_of, text_of};

/// The scope of events that `llm-audit` itself sends.
const OWN_SCOPE: &str = "llm-audit";
/// How many other attributes of a resource are kept.
const ATTRIBUTES_MAX: usize = 32;

/// Attributes of a resource, and the members of `data.origin` that they are.
pub(super) const RESOURCE: &[(&str, &str)] = &[
    ("service.name", "service"),
    ("service.namespace", "namespace"),
    ("service.version", "version"),
    ("service.instance.id", "instance"),
    ("host.name", "host"),
    ("process.pid", "pid"),
    ("deployment.environment.name", "environment"),
    ("deployment.environment", "environment"),
];

/// Attributes of a resource that are members of `data` for records without an own value.
pub(super) const SHARED: &[(&str, &str)] = &[
    ("session.id", "conversation"),
    ("gen_ai.conversation.id", "conversation"),
    ("user.id", "user"),
    ("enduser.id", "user"),
    ("tenant.id", "tenant"),
    ("organization.id", "tenant"),
];

/// Attributes that say how a machine is built, and not whose it is.
pub(super) const LEFT_OUT: &[&str] = &["telemetry.", "os.", "host.", "process."];

/// The origin of the records of one resource.
#[derive(Debug, Default)]
pub(super) struct Origin {
    pub(super) service: Option<String>,
    pub(super) scope: String,
    /// Members of `data.origin`.
    members: Map<String, Value>,
    shared: Vec<(&'static str, Value)>,
}

impl Origin {
    pub(super) fn of_resource(resource: Option<Resource>) -> Self {
        let mut origin = Self::default();
        let (mut others, mut left_out) = (Map::new(), 0_u64);
        for attribute in resource.unwrap_or_default().attributes {
            let value = json_of(attribute.value);
            let member = |table: &[(&str, &'static str)]| {
                table.iter().find(|(name, _)| *name == attribute.key).map(|(_, member)| *member)
            };
            if let Some(member) = member(RESOURCE) {
                origin.members.entry(member).or_insert(value);
            } else if let Some(member) = member(SHARED) {
                origin.shared.push((member, value));
            } else if LEFT_OUT.iter().any(|prefix| attribute.key.starts_with(prefix)) {
            } else if others.len() < ATTRIBUTES_MAX {
                others.insert(attribute.key, value);
            } else {
                left_out += 1;
            }
        }
        if !others.is_empty() {
            origin.members.insert("attributes".to_owned(), Value::Object(others));
        }
        if left_out > 0 {
            origin.members.insert("attributes_left_out".to_owned(), left_out.into());
        }
        origin.service = origin.members.get("service").and_then(text_of);
        origin
    }

    pub(super) fn enter_scope(&mut self, scope: Option<&InstrumentationScope>) {
        self.scope = scope.map_or(String::new(), |scope| scope.name.clone());
    }

    /// Whether `llm-audit` itself sent the records.
    pub(super) fn is_own(&self) -> bool {
        self.scope == OWN_SCOPE
    }

    /// Returns the members of `data.origin`.
    pub(super) fn members(&self) -> Map<String, Value> {
        self.members.clone()
    }

    /// Adds the values that all records of the resource share.
    pub(super) fn put_shared(&self, data: &mut Map<String, Value>) {
        for (member, value) in &self.shared {
            if !data.contains_key(*member) {
                data.insert((*member).to_owned(), value.clone());
            }
        }
    }

    /// Who did it, if no attribute says it.
    pub(super) fn agent(&self) -> &str {
        let scope = Some(&*self.scope).filter(|scope| !scope.is_empty());
        self.service.as_deref().or(scope).unwrap_or("unknown")
    }
}
