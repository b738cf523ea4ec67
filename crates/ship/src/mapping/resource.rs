//! The attributes of a resource.

use super::{Attribute, AttributeValue};
use crate::shipper::Origin;

/// Returns the attributes of the resource of a logger, and `others`. What the log says of its logger comes first, since
/// the process that ships may be another one.
pub fn resource_of<'l>(
    instance: &'l str,
    origin: Option<&'l Origin>,
    others: &'l [(String, String)],
) -> Vec<Attribute<'l>> {
    let mut attributes: Vec<Attribute<'l>> = Vec::new();
    let mut add = |key: &str, value: Option<AttributeValue<'l>>| {
        attributes.extend(value.map(|value| (key.to_owned().into(), value)));
    };
    let text = |text: &'l str| AttributeValue::Text(text.into());
    let service = origin.and_then(|origin| origin.service.as_deref());
    let is_named = others.iter().any(|(key, _)| key == "service.name");
    add("service.name", service.or((!is_named).then_some("unknown_service")).map(text));
    add("service.instance.id", Some(instance).filter(|id| !id.is_empty()).map(text));
    add("host.name", origin.and_then(|origin| origin.host.as_deref()).map(text));
    let pid = origin.and_then(|origin| i64::try_from(origin.pid?).ok());
    add("process.pid", pid.map(AttributeValue::Int));
    for (key, value) in others {
        if !attributes.iter().any(|(known, _)| known == key) {
            attributes.push((key.clone().into(), text(value)));
        }
    }
    attributes
}
