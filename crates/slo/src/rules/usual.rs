//! The usual cost of a time of the day.

use llm_audit_log::Usd;

use crate::minutes::Minutes;
use crate::span::{DAY, Span};

/// How many days are looked at, and how many of them must have events.
const DAYS: i64 = 7;
const DAYS_MIN: usize = 3;

/// Returns the median cost of the same time of the day over the last days. `None` if too few of these have an event,
/// or if it is nothing.
pub(super) fn usual_cost(minutes: &Minutes, objective: usize, end: i64, span: Span) -> Option<Usd> {
    let windows = (1..=DAYS).map(|days| end - days * DAY).map(|end| (end - span.micros(), end));
    let with_events = windows.filter(|(from, to)| minutes.has_events(*from, *to));
    let mut costs: Vec<_> =
        with_events.map(|(from, to)| minutes.sum(objective, from, to).cost).collect();
    costs.sort_unstable();
    let (middle, is_odd) = (costs.len() / 2, costs.len() % 2 == 1);
    let median = match is_odd {
        true => costs[middle],
        // Of two in the middle the higher one, so that money is not divided.
        false => costs.get(middle).copied()?,
    };
    (costs.len() >= DAYS_MIN && median > Usd::ZERO).then_some(median)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::Objectives;
    use crate::span::MINUTE;
    use crate::testing::TestEvent;

    #[test]
    fn a_median_needs_three_days() {
        let objectives = Objectives::built_in().objectives;
        let at = objectives.iter().position(|objective| objective.name == "cost").unwrap();
        let mut minutes = Minutes::default();
        let hour = Span::parse("1h").unwrap();
        let end = 20_000 * DAY;
        let usual =
            |minutes: &Minutes| usual_cost(minutes, at, end, hour).map(|usd| usd.to_string());
        for (days, cost, expected) in [
            (1, 9.0, None),
            (2, 1.0, None),
            (5, 4.0, Some("4")),
            (7, 5.0, Some("5")),
            (8, 1.0, Some("5")),
        ] {
            let time = end - days * DAY - MINUTE;
            let mut line = TestEvent::model_call(time).cost(cost).line();
            minutes.add_test_line(&llm_audit_log::parse(&mut line).unwrap(), &objectives);
            assert_eq!(usual(&minutes).as_deref(), expected, "{days}");
        }
    }
}
