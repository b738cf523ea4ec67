//! The name of a log stream as a destination.

use crate::shipper::destination_name;

const KIND: &str = "cloudwatch";

/// Returns the name of a stream: group and stream, and region and endpoint if the environment sets them.
///
/// A region of a profile or of the machine is known only to the SDK, and not part of the name. If it changes, the new
/// region gets what comes from then on. `llm-audit ship forget` makes it get everything.
pub(super) fn stream_name(
    group: &str,
    stream: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> String {
    let variable = |names: [&str; 2]| {
        names.iter().find_map(|name| environment(name).filter(|value| !value.is_empty()))
    };
    let region = variable(["AWS_REGION", "AWS_DEFAULT_REGION"]);
    let endpoint = variable(["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "AWS_ENDPOINT_URL"]);
    let host = endpoint.as_deref().map(host_and_port);
    let parts: Vec<_> = [group, stream].into_iter().chain(region.as_deref()).chain(host).collect();
    destination_name(KIND, &parts)
}

/// Returns the host of a URL, with its port and without credentials.
fn host_and_port(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_by_where_it_is() {
        let name = |set: &[(&str, &str)]| {
            let value = |name: &str| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            stream_name("llm-audit", "benefits-h1", value)
        };
        assert_eq!(name(&[]), "cloudwatch_llm-audit_benefits-h1");
        let frankfurt = "cloudwatch_llm-audit_benefits-h1_eu-central-1";
        assert_eq!(name(&[("AWS_REGION", "eu-central-1"), ("AWS_DEFAULT_REGION", "x")]), frankfurt);
        assert_eq!(name(&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "eu-central-1")]), frankfurt);
        let local = [
            ("AWS_DEFAULT_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL", "http://user:pw@localhost:5000/x?key=secret"),
        ];
        assert_eq!(name(&local), format!("{frankfurt}_localhost=3A5000"));
    }
}
