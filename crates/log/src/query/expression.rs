//! Conditions on the fields of a line: `status == "error" and data.model ~ "gpt-4o"`.

use std::cmp::Ordering;
use std::str::FromStr;

use jiff::Timestamp;

use super::parse;
use crate::error::Error;
use crate::json::Json;
use crate::schema::Line;

/// A condition on the fields of a line.
///
/// A comparison is a field, an operator and a value. Comparisons are joined by `and`, `or`, `not` and
/// parentheses; `and` binds closer than `or`.
///
/// - A field is one of the schema, or a member below `data` or `error`: `data.model`,
///   `data.messages.0.role`, `data."my key"`.
/// - The operators are `==`, `!=`, `<`, `<=`, `>`, `>=`, and `~`: contains, whatever the case.
/// - A value is a text in double or single quotes, a number, `true`, `false` or `null`. `timestamp` is
///   compared with a time or a date in quotes, in UTC if it has no offset.
///
/// A comparison with a field that is absent, `null` or of another type does not hold. Only `!=`
/// holds then. `== null` asks whether a field is absent.
///
/// # Examples
///
/// ```
/// use llm_audit_log::{Expression, parse};
///
/// let expression: Expression = r#"latency_ms > 500 and data.model ~ "GPT-4o""#.parse()?;
/// let mut line = br#"{"latency_ms":812.5,"data":{"model":"gpt-4o-mini"}}"#.to_vec();
/// assert!(expression.matches(&parse(&mut line)?));
///
/// let error = r#"latency_ms > "slow""#.parse::<Expression>().unwrap_err();
/// assert!(error.to_string().contains("at column 14: latency_ms is a number"), "{error}");
/// # Ok::<(), llm_audit_log::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Expression(Condition);

impl Expression {
    /// Whether the condition holds for a line.
    pub fn matches(&self, line: &Line<'_>) -> bool {
        self.0.holds(line)
    }
}

impl FromStr for Expression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse::parse_condition(text).map(Self)
    }
}

#[derive(Clone, Debug)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare { field: FieldPath, operator: Operator, value: Value },
}

impl Condition {
    fn holds(&self, line: &Line<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(line)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(line)),
            Self::Not(part) => !part.holds(line),
            Self::Compare { field, operator, value } => {
                let found = field.find(line);
                match operator {
                    Operator::Contains => value.is_contained(found),
                    Operator::Differs => value.order(found) != Some(Ordering::Equal),
                    _ => value.order(found).is_some_and(|order| operator.accepts(order)),
                }
            }
        }
    }
}

/// The names from the top of a line down to a value.
#[derive(Clone, Debug)]
pub(super) struct FieldPath(pub(super) Vec<String>);

impl FieldPath {
    /// The value at the path. `None` if it is absent or `null`.
    pub(super) fn find<'l>(&self, line: &'l Line<'_>) -> Option<Json<'l>> {
        // Other programs write an error as a text: its message.
        if self.0 == ["error", "message"] && line.error()?.as_str().is_some() {
            return line.error();
        }
        let step = |json: Json<'l>, name: &String| match json.is_array() {
            true => json.items().nth(name.parse().ok()?),
            false => json.get(name),
        };
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(line.field(first)?, step).filter(|json| !json.is_null())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equals,
    Differs,
    Below,
    AtMost,
    Above,
    AtLeast,
    Contains,
}

impl Operator {
    /// Whether the operator holds, by how the field is to the value.
    fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Equals | Self::Contains => order.is_eq(),
            Self::Differs => order.is_ne(),
            Self::Below => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Above => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// In lower case if it is to be contained.
    Text(String),
    Number {
        nearest: f64,
        whole: Option<u64>,
    },
    Time(Timestamp),
    Flag(bool),
    Null,
}

impl Value {
    /// How a field is to this value. `None` if they cannot be compared.
    fn order(&self, field: Option<Json<'_>>) -> Option<Ordering> {
        let Some(field) = field else {
            return matches!(self, Self::Null).then_some(Ordering::Equal);
        };
        match self {
            Self::Text(text) => Some(field.as_str()?.cmp(text)),
            // Large whole numbers differ in digits that no `f64` has.
            Self::Number { nearest, whole } => match (field.as_u64(), whole) {
                (Some(field), Some(whole)) => Some(field.cmp(whole)),
                _ => field.as_f64()?.partial_cmp(nearest),
            },
            Self::Time(time) => Some(field.as_str()?.parse::<Timestamp>().ok()?.cmp(time)),
            Self::Flag(flag) => Some(field.as_bool()?.cmp(flag)),
            Self::Null => None,
        }
    }

    fn is_contained(&self, field: Option<Json<'_>>) -> bool {
        let Self::Text(text) = self else { return false };
        field.and_then(Json::as_str).is_some_and(|field| field.to_lowercase().contains(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"timestamp":"2026-01-02T05:04:05+02:00","event_type":"llm.invoke",
        "agent":"planner","action":"chat","status":"error","latency_ms":812.5,"cost_usd":0.25,
        "data":{"model":"gpt-4o-mini","stream":true,"my key":7,"id":12345678901234567,"none":null,
            "messages":[{"role":"user"},{"role":"Tool"}]},
        "error":{"type":"Timeout","message":"it's \"late\""}}"#;

    fn holds(expression: &str) -> bool {
        let expression: Expression = expression.parse().unwrap_or_else(|e| panic!("{e}"));
        let mut line = LINE.as_bytes().to_vec();
        expression.matches(&crate::parse(&mut line).unwrap())
    }

    #[test]
    fn comparisons_hold_by_the_type_of_the_value() {
        for expression in [
            r#"status == "error""#,
            "status == 'error'",
            "latency_ms > 500",
            "latency_ms >= 812.5 and latency_ms <= 8.125e2",
            "cost_usd < 1",
            r#"agent != "router""#,
            r#"timestamp >= "2026-01-02T03:04:05Z""#,
            r#"timestamp < "2026-01-02T03:04:05.000001Z""#,
            r#"timestamp >= "2026-01-02" and timestamp < '2026-01-03'"#,
            "timestamp == '2026-01-02T03:04:05' AND NOT agent == 'x' Or agent == 'y'",
            r#"data.model ~ "GPT-4o""#,
            r#"error.message == "it's \"late\"""#,
            r#"error.message ~ '"late\"'"#,
            "data.stream == true",
            r#"data."my key" == 7"#,
            r#"data.messages.1.role == "Tool""#,
            "data.messages.2.role == null",
            "data.none == null and data.absent == null",
            "data.id == 12345678901234567 and data.id != 12345678901234568",
            "status ~ 'ERR'",
            "data.model != null",
        ] {
            assert!(holds(expression), "{expression}");
            assert!(!holds(&format!("not ({expression})")), "{expression}");
        }
    }

    #[test]
    fn what_is_absent_or_of_another_type_is_only_unequal() {
        for field in ["data.absent", "data.none", "data.stream", "data.messages"] {
            for operator in ["==", "<", "<=", ">", ">=", "~"] {
                assert!(!holds(&format!("{field} {operator} \"x\"")), "{field} {operator}");
            }
            assert!(holds(&format!("{field} != \"x\"")), "{field}");
        }
    }

    #[test]
    fn an_error_that_is_a_text_is_its_message() {
        let expression: Expression = "error.message ~ 'LATE'".parse().unwrap();
        let mut line = br#"{"event_type":"a.b","error":"too late"}"#.to_vec();
        assert!(expression.matches(&crate::parse(&mut line).unwrap()));
    }

    #[test]
    fn words_bind_as_in_other_languages() {
        let (yes, no) = ("agent=='planner'", "agent=='router'");
        assert!(holds(&format!("{yes} or {no} and {no}")));
        assert!(!holds(&format!("({yes} or {no}) and {no}")));
        assert!(holds(&format!("not {no} and {yes}")));
        assert!(!holds(&format!("not ({no} or {yes})")));
        assert!(holds(&format!("not not {yes}")));
        assert!(holds(&format!("{yes}\n\tand\n{yes}")));
    }
}
