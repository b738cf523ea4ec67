//! Figures of events, in groups of those that have the same values.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::str::FromStr;

use jiff::Timestamp;

use super::expression::FieldPath;
use super::figures::EventFigures;
use super::{Figures, Sums, parse};
use crate::error::Error;
use crate::json::Json;
use crate::schema::{FIELDS, Line, MetricsRow, Usd};

/// The most groups that are held. Events of further ones are under [`Groups::other`].
const GROUPS_MAX: usize = 1_000;

/// How many values of late events are held, as lines spell them.
const LATE_VALUES: usize = 256;

/// What events are grouped by.
///
/// It is read from `day`, `hour` (both in UTC), `model`, `tenant`, `user`, `conversation`, or a field as an
/// [`Expression`](super::Expression) has it: `agent`, `data.tool`. The tenant is at `data.tenant`, the user at
/// `data.user`, the conversation at `data.conversation`.
#[derive(Clone, Debug)]
pub struct GroupBy(Key);

#[derive(Clone, Debug)]
enum Key {
    Day,
    Hour,
    Model,
    /// A field, and its place in the schema if the whole of it is meant.
    Field(FieldPath, Option<usize>),
}

/// What there is besides the fields of the schema.
const NAMES: [&str; 6] = ["model", "tenant", "user", "conversation", "day", "hour"];

impl FromStr for GroupBy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(Self(match text {
            "day" => Key::Day,
            "hour" => Key::Hour,
            "model" => Key::Model,
            field => {
                let field = match field {
                    "tenant" => "data.tenant",
                    "user" => "data.user",
                    "conversation" => "data.conversation",
                    field => field,
                };
                let path = parse::parse_field(field, &NAMES)?;
                let place = FIELDS.iter().position(|field| path.0 == [field.name]);
                Key::Field(path, place)
            }
        }))
    }
}

impl GroupBy {
    /// Whether the values are times.
    pub fn is_time(&self) -> bool {
        matches!(self.0, Key::Day | Key::Hour)
    }

    /// Appends the value as the line spells it, if that says what the value is.
    fn append_spelled(&self, line: &Line<'_>, out: &mut Vec<u8>) -> Option<()> {
        let spelled = match &self.0 {
            Key::Field(_, place) => line.spelled((*place)?)?,
            Key::Model => line.model()?.as_bytes(),
            Key::Day | Key::Hour => return None,
        };
        out.extend_from_slice(spelled);
        // Its length says where the next one begins.
        out.extend_from_slice(&spelled.len().to_le_bytes());
        Some(())
    }

    /// Whether totals have the values as labels.
    pub fn is_label(&self) -> bool {
        self.label(&MetricsRow::default(), 0).is_some()
    }

    /// The value of a row of totals of a time; empty if it has none. `None` if totals do not have the values.
    fn label<'r>(&self, row: &'r MetricsRow, time: i64) -> Option<Cow<'r, str>> {
        let Key::Field(path, _) = &self.0 else {
            return Some(match &self.0 {
                Key::Model => Cow::Borrowed(row.model.as_str()),
                _ => self.text_of_time(time).unwrap_or_default().into(),
            });
        };
        let label = match path.0.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["event_type"] => &row.event_type,
            ["agent"] => &row.agent,
            ["action"] => &row.action,
            ["status"] => row.status.name(),
            ["data", "model"] => &row.model,
            ["data", "tenant"] => &row.tenant,
            _ => return None,
        };
        Some(label.into())
    }

    /// The day or the hour of a time.
    fn text_of_time(&self, micros: i64) -> Option<String> {
        let format = if matches!(self.0, Key::Day) { "%Y-%m-%d" } else { "%Y-%m-%dT%H" };
        Some(Timestamp::from_microsecond(micros).ok()?.strftime(format).to_string())
    }

    /// Appends the value of a line; `-` if it has none. Notes if it is an object or a list.
    fn append_value(&self, line: &Line<'_>, is_compound: &mut bool, out: &mut String) {
        let owned = match &self.0 {
            Key::Day | Key::Hour => line.timestamp().and_then(|time| self.text_of_time(time)),
            Key::Model => return out.push_str(line.model().unwrap_or("-")),
            Key::Field(field, _) => match field.find(line) {
                None => None,
                Some(json) => match json.as_str() {
                    Some(text) => return out.push_str(text),
                    None => {
                        *is_compound |= json.is_object() || json.is_array();
                        text_of_value(json)
                    }
                },
            },
        };
        out.push_str(owned.as_deref().unwrap_or("-"));
    }
}

/// A number, `true` or `false`.
fn text_of_value(json: Json<'_>) -> Option<String> {
    let number = || Some(json.as_u64()?.to_string()).or_else(|| Some(json.as_f64()?.to_string()));
    number().or_else(|| Some(json.as_bool()?.to_string()))
}

/// Figures of the events with each combination of values.
#[derive(Clone, Debug)]
pub struct Groups {
    by: Vec<GroupBy>,
    /// Whether a value of each of them was an object or a list.
    compound: Vec<bool>,
    groups: Vec<(Vec<String>, Figures)>,
    /// The place of the group of each combination of values.
    places: HashMap<Vec<String>, usize>,
    /// Values of late events as the lines spell them, and the place of the group, by a hash.
    late: Vec<(Vec<u8>, usize)>,
    /// The values of the last event, and how its line spells them.
    values: Vec<String>,
    spelled: Vec<u8>,
    /// All events.
    pub total: Figures,
    /// Those of groups past the first 1,000.
    pub other: Figures,
}

impl Groups {
    /// Makes empty groups.
    pub fn new(by: Vec<GroupBy>) -> Self {
        let (total, other) = (Figures::default(), Figures::default());
        let (compound, values) = (vec![false; by.len()], vec![String::new(); by.len()]);
        let (groups, places, spelled) = (Vec::new(), HashMap::new(), Vec::new());
        let late = vec![(Vec::new(), 0); LATE_VALUES];
        Self { by, compound, groups, places, late, values, spelled, total, other }
    }

    /// Adds an event that counts as `weight` of them.
    pub fn add(&mut self, line: &Line<'_>, weight: f64) {
        self.add_priced(line, weight, line.cost_usd());
    }

    /// Adds an event that counts as `weight` of them, at another cost than the line has.
    pub fn add_priced(&mut self, line: &Line<'_>, weight: f64, cost: Option<Usd>) {
        let event = EventFigures::of(line, weight, cost);
        self.total.add_event(&event);
        match self.group_of(line) {
            Some(place) => self.groups[place].1.add_event(&event),
            None => self.other.add_event(&event),
        }
    }

    fn figures_of_values(&mut self) -> &mut Figures {
        match self.place_of_values() {
            Some(place) => &mut self.groups[place].1,
            None => &mut self.other,
        }
    }

    /// The place of the group of a line. `None` if there are too many.
    fn group_of(&mut self, line: &Line<'_>) -> Option<usize> {
        self.spelled.clear();
        let spelled = &mut self.spelled;
        let is_spelled = self.by.iter().all(|by| by.append_spelled(line, spelled).is_some())
            && !spelled.is_empty();
        let slot = slot_of(spelled);
        // Nearly always the values were there lately.
        if is_spelled && self.late[slot].0 == *spelled {
            return Some(self.late[slot].1);
        }
        for ((by, is_compound), value) in
            self.by.iter().zip(&mut self.compound).zip(&mut self.values)
        {
            value.clear();
            by.append_value(line, is_compound, value);
        }
        let place = self.place_of_values()?;
        if is_spelled {
            let late = &mut self.late[slot];
            late.0.clone_from(&self.spelled);
            late.1 = place;
        }
        Some(place)
    }

    fn place_of_values(&mut self) -> Option<usize> {
        self.places.get(&self.values).copied().or_else(|| self.make_group())
    }

    fn make_group(&mut self) -> Option<usize> {
        let place = self.groups.len();
        (place < GROUPS_MAX).then(|| {
            self.places.insert(self.values.clone(), place);
            self.groups.push((self.values.clone(), Figures::default()));
            place
        })
    }

    /// What the events are grouped by, and whether a value was an object or a list, which counts as
    /// none.
    pub fn by(&self) -> impl Iterator<Item = (&GroupBy, bool)> {
        self.by.iter().zip(self.compound.iter().copied())
    }

    /// The values of each group and its figures, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&[String], &Figures)> {
        self.groups.iter().map(|(values, figures)| (values.as_slice(), figures))
    }
}

impl Sums for Groups {
    /// What totals do not have as [labels](GroupBy::is_label) counts as none.
    fn add_row(&mut self, row: &MetricsRow, times: Range<i64>) {
        self.total.add_row(row, times.clone());
        for (by, value) in self.by.iter().zip(&mut self.values) {
            let label = by.label(row, times.start).filter(|label| !label.is_empty());
            value.replace_range(.., label.as_deref().unwrap_or("-"));
        }
        self.figures_of_values().add_row(row, times);
    }

    /// The other groups are by the same.
    fn merge(&mut self, other: &Self) {
        self.total.merge(&other.total);
        self.other.merge(&other.other);
        for (mine, is_compound) in self.compound.iter_mut().zip(&other.compound) {
            *mine |= is_compound;
        }
        for (values, figures) in &other.groups {
            self.values.clone_from(values);
            self.figures_of_values().merge(figures);
        }
    }
}

/// The slot of values as lines spell them.
fn slot_of(spelled: &[u8]) -> usize {
    let word = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    // The length of the last value is at the end.
    let values = &spelled[..spelled.len().saturating_sub(size_of::<usize>())];
    let ends = word(values.first_chunk()) ^ word(values.last_chunk()).rotate_left(29);
    let hash = (ends ^ values.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> 32) as usize % LATE_VALUES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(groups: &mut Groups, agent: &str, more: &str) {
        let text = format!(
            r#"{{"timestamp":"2026-01-02T03:04:05Z","event_type":"a.b","agent":"{agent}",
                "action":"x","status":"ok"{more}}}"#
        );
        groups.add(&crate::parse(&mut text.into_bytes()).unwrap(), 1.0);
    }

    fn grouped(by: &[&str]) -> Groups {
        Groups::new(by.iter().map(|field| field.parse().unwrap()).collect())
    }

    #[test]
    fn events_are_grouped_by_the_text_of_their_values() {
        let mut groups = grouped(&["agent", "data.user", "model", "day", "hour"]);
        add(&mut groups, "a", r#","data":{"user":7,"model":"m"}"#);
        add(&mut groups, "a", r#","data":{"user":7,"model":"m"}"#);
        add(&mut groups, "b", r#","data":{"user":true}"#);
        add(&mut groups, "b", r#","data":{"user":{"id":1}}"#);
        let mut found: Vec<_> =
            groups.iter().map(|(values, figures)| (values.join(" "), figures.events)).collect();
        found.sort();
        let time = "2026-01-02 2026-01-02T03";
        let expected = [
            (format!("a 7 m {time}"), 2),
            (format!("b - - {time}"), 1),
            (format!("b true - {time}"), 1),
        ];
        assert_eq!(found, expected);
        assert_eq!((groups.total.events, groups.other.events), (4, 0));
        let by: Vec<_> = groups.by().map(|(by, is_compound)| (by.is_time(), is_compound)).collect();
        let plain = (false, false);
        assert_eq!(by, [plain, (false, true), plain, (true, false), (true, false)]);
    }

    #[test]
    fn values_are_the_same_however_lines_spell_them() {
        let line = |action: &str, data: &str| {
            format!(
                r#"{{"event_type":"a.b","agent":"a","action":"{action}","status":"ok","data":{{"model":"{data}"}}}}"#
            )
        };
        let mut groups = grouped(&["action", "model"]);
        let mut none = grouped(&[]);
        for text in [line("xy", "z"), line("x", "yz"), line("x\\u0079", "z"), line("xy", "\\u007a")]
        {
            for text in [text.clone(), format!(" {text}"), text] {
                groups.add(&crate::parse(&mut text.clone().into_bytes()).unwrap(), 1.0);
                none.add(&crate::parse(&mut text.into_bytes()).unwrap(), 1.0);
            }
        }
        let mut found: Vec<_> =
            groups.iter().map(|(values, figures)| (values.join(" "), figures.events)).collect();
        found.sort();
        assert_eq!(found, [("x yz".to_owned(), 3), ("xy z".to_owned(), 9)]);
        assert_eq!(none.iter().map(|(_, figures)| figures.events).collect::<Vec<_>>(), [12]);
    }

    #[test]
    fn there_are_not_more_groups_than_memory_is_for() {
        let mut groups = grouped(&["agent"]);
        for n in 0..GROUPS_MAX + 7 {
            add(&mut groups, &n.to_string(), "");
        }
        add(&mut groups, "0", "");
        assert_eq!(groups.iter().count(), GROUPS_MAX);
        assert_eq!((groups.total.events, groups.other.events), (GROUPS_MAX as u64 + 8, 7));
    }

    #[test]
    fn a_field_that_the_schema_lacks_is_refused() {
        for text in ["", "modle", "agent.x", "day.x"] {
            assert!(text.parse::<GroupBy>().is_err(), "{text}");
        }
        for (text, meant) in [("modle", "model"), ("days", "day"), ("tool", "data.tool")] {
            let error = text.parse::<GroupBy>().unwrap_err().to_string();
            assert!(error.contains(&format!("no such field, did you mean {meant}?")), "{error}");
            assert!(
                error.ends_with("error, model, tenant, user, conversation, day, hour"),
                "{error}"
            );
        }
    }
}
