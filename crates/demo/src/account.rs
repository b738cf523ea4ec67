//! Who a member is for the log: a user, and the employer that pays for the plan.

use http::request::Parts;

/// The employers, who are the tenants of the service.
const EMPLOYERS: [&str; 3] = ["acme", "globex", "initech"];
/// One member of so many signs in with a mail address.
const MAIL_EVERY: usize = 4;

/// Returns the user of a request.
///
/// The service has no authentication. A real one reads the session that its authentication has checked.
pub(crate) fn user_of_request(head: &Parts) -> Option<String> {
    let member = member_of_request(head)?;
    let has_mail = number_of_member(member)? % MAIL_EVERY == 0;
    Some(if has_mail { format!("{member}@members.example") } else { member.to_owned() })
}

/// Returns the employer of the member who asks.
pub(crate) fn tenant_of_request(head: &Parts) -> Option<String> {
    let number = number_of_member(member_of_request(head)?)?;
    Some(EMPLOYERS[number % EMPLOYERS.len()].to_owned())
}

fn member_of_request(head: &Parts) -> Option<&str> {
    head.uri.path().strip_prefix("/benefits/")?.split('/').next()
}

fn number_of_member(member: &str) -> Option<usize> {
    member.strip_prefix("m-")?.parse().ok()
}
