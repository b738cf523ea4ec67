//! Which events are shown.

use std::convert::Infallible;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use llm_audit::Status;
use llm_audit::reader::{Expression, Filter};

/// The filters.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterArgs {
    /// Not before: a time, or how long ago; 2026-01-02, 2026-01-02T03:04:05Z, today, yesterday, now,
    /// 3h, 2d; days are in UTC
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    since: Option<i64>,
    /// Before, in the same forms
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    until: Option<i64>,
    /// This agent's
    #[arg(long)]
    agent: Option<String>,
    /// This action
    #[arg(long)]
    action: Option<String>,
    /// This event type, or all below it: `tool` is tool.call, tool.result, tool.error; case does
    /// not matter
    #[arg(long = "type", value_name = "TYPE", value_parser = lower_case)]
    event_type: Option<String>,
    /// This status, or several with commas between them: ok, error, timeout, retry
    #[arg(long = "status", value_name = "STATUS", value_parser = parse_status_name,
          value_delimiter = ',')]
    statuses: Vec<Status>,
    /// Models whose name begins so; case does not matter
    #[arg(long)]
    model: Option<String>,
    /// Traces whose id begins so
    #[arg(long, value_name = "ID", value_parser = parse_trace_start)]
    trace: Option<String>,
    /// Slower than this: 500ms, 2s
    #[arg(long, value_name = "TIME", value_parser = parse_milliseconds, allow_hyphen_values = true)]
    slower: Option<f64>,
    /// A condition: 'latency_ms > 500 and data.user == "ana"'; ==, !=, <, <=, >, >=, ~ (contains),
    /// and, or, not
    #[arg(short, long = "query", value_name = "EXPR")]
    query: Option<Expression>,
}

impl FilterArgs {
    pub(crate) fn to_filter(&self) -> Filter {
        let mut filter = Filter::default();
        (filter.since, filter.until) = (self.since, self.until);
        (filter.agent, filter.action) = (self.agent.clone(), self.action.clone());
        filter.event_type = self.event_type.clone();
        filter.statuses = self.statuses.clone();
        (filter.model, filter.trace) = (self.model.clone(), self.trace.clone());
        filter.slower = self.slower;
        filter.expression = self.query.clone();
        filter
    }

    /// Whether any filter is given.
    pub(crate) fn are_given(&self) -> bool {
        let texts = [&self.agent, &self.action, &self.event_type, &self.model, &self.trace];
        texts.iter().any(|text| text.is_some())
            || [self.since, self.until].iter().any(Option::is_some)
            || !self.statuses.is_empty()
            || self.slower.is_some()
            || self.query.is_some()
    }

    /// Whether nothing is asked for, or a time alone.
    pub(crate) fn is_of_time(&self) -> bool {
        !Self { since: None, until: None, ..self.clone() }.are_given()
    }

    /// The texts that are asked for, by what they are called.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let texts =
            [("agent", &self.agent), ("action", &self.action), ("event_type", &self.event_type)];
        texts.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?)))
    }

    /// Whether an event type is asked for, so that the log's own lines can be meant.
    pub(crate) fn names_type(&self) -> bool {
        self.event_type.is_some()
    }
}

fn parse_status_name(name: &str) -> Result<Status, String> {
    Status::from_name(&name.trim().to_lowercase()).ok_or_else(|| {
        "accepted: ok, error, timeout, retry, or several with commas between them".to_owned()
    })
}

/// Event types are lower case; people write them as they like.
fn lower_case(text: &str) -> Result<String, Infallible> {
    Ok(text.to_lowercase())
}

fn parse_trace_start(text: &str) -> Result<String, &'static str> {
    match text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("--trace takes the first hex digits of a trace id"),
    }
}

/// A time, a day by its name, or how long before now, as microseconds since the Unix epoch.
pub(crate) fn parse_time(text: &str) -> Result<i64, String> {
    let before = || Timestamp::now().checked_sub(parse_duration(text)?).ok();
    let day = |days_ago: i64| {
        let today = TimeZone::UTC.to_datetime(Timestamp::now()).date().at(0, 0, 0, 0);
        let today = TimeZone::UTC.to_timestamp(today).ok()?;
        today.checked_sub(SignedDuration::from_hours(24 * days_ago)).ok()
    };
    let named = match text.to_lowercase().as_str() {
        "now" => Some(Timestamp::now()),
        "today" => day(0),
        "yesterday" => day(1),
        _ => None,
    };
    let micros = |time: Option<Timestamp>| time.map(Timestamp::as_microsecond);
    let time = micros(named).or_else(|| llm_audit_log::parse_time(text));
    time.or_else(|| micros(before())).ok_or_else(|| {
        "accepted: 2026-01-02, 2026-01-02T03:04:05Z, today, yesterday, now, or how long ago: 90s, \
         3h, 2d"
            .to_owned()
    })
}

fn parse_milliseconds(text: &str) -> Result<f64, &'static str> {
    let duration = parse_duration(text).ok_or("accepted: 500ms, 2s, 1m30s")?;
    Ok(duration.as_millis_f64())
}

/// Reads a duration such as `10m`.
pub(crate) fn parse_duration(text: &str) -> Option<SignedDuration> {
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    (!duration.is_negative()).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_moments_or_ages() {
        let moment = 1_767_323_045_000_000;
        for text in ["2026-01-02T03:04:05Z", "2026-01-02 03:04:05", "2026-01-02T05:04:05+02:00"] {
            assert_eq!(parse_time(text), Ok(moment), "{text}");
        }
        assert_eq!(parse_time("2026-01-02"), Ok(1_767_312_000_000_000));
        for (text, seconds) in [("90s", 90), ("3h", 10_800), ("2d", 172_800), ("1h30m", 5_400)] {
            let (before, found) = (Timestamp::now().as_microsecond(), parse_time(text).unwrap());
            let age = Timestamp::now().as_microsecond() - found;
            assert!(found >= before - seconds * 1_000_000, "{text}");
            assert!(age >= seconds * 1_000_000, "{text}");
        }
        let day = 86_400_000_000;
        for (text, days) in [("today", 0), ("Yesterday", 1)] {
            let before = Timestamp::now().as_microsecond() / day;
            let found = parse_time(text).unwrap();
            let after = Timestamp::now().as_microsecond() / day;
            assert!(found % day == 0 && (before..=after).contains(&(found / day + days)), "{text}");
        }
        let before = Timestamp::now().as_microsecond();
        assert!(parse_time("now").unwrap() >= before);
        for text in ["", "tomorrow", "-3h", "3", "2026-13-01", "1mo"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(parse_milliseconds("500ms"), Ok(500.0));
        assert_eq!(parse_milliseconds("1m 2.5s"), Ok(62_500.0));
        assert!(parse_milliseconds("500").is_err());
    }
}
