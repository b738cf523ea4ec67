//! The grammar of an [`Expression`](super::Expression), and the types of its comparisons.

use std::fmt;

use winnow::ascii::{Caseless, float, multispace0};
use winnow::combinator::{alt, cut_err, delimited, not, preceded, repeat, separated, terminated};
use winnow::error::{ContextError, ParseError, StrContext, StrContextValue};
use winnow::prelude::*;
use winnow::token::{any, none_of, one_of, take_while};

use super::expression::{Condition, FieldPath, Operator, Value};
use super::filter::parse_moment;
use crate::closest::edit_distance;
use crate::error::Error;
use crate::schema::{FIELDS, Status};

/// What is wrong with another value for `timestamp`.
const TIME_FAULT: &str =
    "is compared with a time in quotes, such as \"2026-01-02T03:04:05Z\" or \"2026-01-02\"";
/// More of them could exhaust the stack.
const PARENTHESES_MAX: usize = 64;

pub(super) fn parse_condition(text: &str) -> Result<Condition, Error> {
    if nesting_depth(text) > PARENTHESES_MAX {
        let why = format!("more than {PARENTHESES_MAX} parentheses are open at once");
        return Err(Error::parse("expression", why));
    }
    preceded(multispace0, any_of)
        .parse(text)
        .map_err(|error| Error::parse("expression", describe(text, &error)))
}

/// How many parentheses are open at once at most. Those inside of quotes do not count.
fn nesting_depth(text: &str) -> usize {
    let (mut quote, mut depth, mut most) = (None, 0_usize, 0);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(_), '\\') => drop(characters.next()),
            (Some(open), _) => quote = quote.filter(|_| character != open),
            (None, '"' | '\'') => quote = Some(character),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
        most = most.max(depth);
    }
    most
}

/// Reads a field. An error lists `others` as well.
pub(super) fn parse_field(text: &str, others: &[&str]) -> Result<FieldPath, Error> {
    let field = names.try_map(|names| known_path(names, others)).context(expected("a field"));
    terminated(field, multispace0)
        .parse(text)
        .map_err(|error| Error::parse("field", describe(text, &error)))
}

/// Where the error is, and what is wrong or accepted there.
fn describe(text: &str, error: &ParseError<&str, ContextError>) -> String {
    let column = text[..error.offset()].chars().count() + 1;
    if let Some(cause) = error.inner().cause() {
        return format!("at column {column}: {cause}");
    }
    if let Some(hint) = hint(&text[..error.offset()], &text[error.offset()..]) {
        return format!("at column {column}: {hint}");
    }
    let expected = error.inner().context().find_map(|context| match context {
        StrContext::Expected(StrContextValue::Description(what)) => Some(*what),
        _ => None,
    });
    format!("at column {column}: expected {}", expected.unwrap_or("`and`, `or` or the end"))
}

/// What is said instead where people write what other languages have.
fn hint(before: &str, rest: &str) -> Option<&'static str> {
    let word = rest.split(|c| !is_of_name(c)).next();
    let is_unit = word.is_some_and(|word| ["us", "ms", "s", "m", "min", "h"].contains(&word));
    let is_after_number = before.trim_end().ends_with(|c: char| c.is_ascii_digit() || c == '.');
    match rest {
        _ if rest.starts_with("&&") => Some("write `and` instead of &&"),
        _ if rest.starts_with("||") => Some("write `or` instead of ||"),
        _ if rest.starts_with('!') => Some("write `not` instead of !"),
        _ if is_after_number && is_unit => {
            Some("a number has no unit; latency_ms is compared with milliseconds")
        }
        _ => None,
    }
}

fn expected(what: &'static str) -> StrContext {
    StrContext::Expected(StrContextValue::Description(what))
}

fn any_of(input: &mut &str) -> ModalResult<Condition> {
    let first = all_of.parse_next(input)?;
    let rest: Vec<_> = repeat(0.., preceded(word("or"), cut_err(all_of))).parse_next(input)?;
    Ok(if rest.is_empty() { first } else { Condition::Any([vec![first], rest].concat()) })
}

fn all_of(input: &mut &str) -> ModalResult<Condition> {
    let first = unit.parse_next(input)?;
    let rest: Vec<_> = repeat(0.., preceded(word("and"), cut_err(unit))).parse_next(input)?;
    Ok(if rest.is_empty() { first } else { Condition::All([vec![first], rest].concat()) })
}

fn unit(input: &mut &str) -> ModalResult<Condition> {
    let negations: usize = repeat(0.., word("not")).parse_next(input)?;
    let closing = cut_err(lexeme(')')).context(expected("`)`, `and` or `or`"));
    let group = delimited(lexeme('('), cut_err(any_of), closing);
    let condition = alt((group, comparison)).parse_next(input)?;
    Ok(if negations.is_multiple_of(2) { condition } else { Condition::Not(Box::new(condition)) })
}

fn comparison(input: &mut &str) -> ModalResult<Condition> {
    let field = lexeme(field_path).context(expected("a field")).parse_next(input)?;
    let operator = cut_err(lexeme(operator))
        .context(expected("one of `==`, `!=`, `<`, `<=`, `>`, `>=`, `~`"))
        .parse_next(input)?;
    let typed = literal.try_map(|value| with_type(&field, operator, value));
    let value = cut_err(lexeme(typed))
        .context(expected("a text in quotes, a number, `true`, `false` or `null`"))
        .parse_next(input)?;
    Ok(Condition::Compare { field, operator, value })
}

fn field_path(input: &mut &str) -> ModalResult<FieldPath> {
    names.try_map(|names| known_path(names, &[])).parse_next(input)
}

fn names(input: &mut &str) -> ModalResult<Vec<String>> {
    let name = alt((take_while(1.., is_of_name).map(str::to_owned), quoted));
    separated(1.., name, '.').parse_next(input)
}

fn operator(input: &mut &str) -> ModalResult<Operator> {
    alt((
        "==".value(Operator::Equals),
        "!=".value(Operator::Differs),
        "<=".value(Operator::AtMost),
        ">=".value(Operator::AtLeast),
        '<'.value(Operator::Below),
        '>'.value(Operator::Above),
        '~'.value(Operator::Contains),
    ))
    .parse_next(input)
}

fn literal(input: &mut &str) -> ModalResult<Value> {
    alt((
        quoted.map(Value::Text),
        word("true").value(Value::Flag(true)),
        word("false").value(Value::Flag(false)),
        word("null").value(Value::Null),
        float.with_taken().verify_map(finite_number),
    ))
    .parse_next(input)
}

/// A number, with all of its digits if it is a whole one.
fn finite_number((nearest, text): (f64, &str)) -> Option<Value> {
    nearest.is_finite().then(|| Value::Number { nearest, whole: text.parse().ok() })
}

/// A text in quotes. A backslash takes its meaning from the character after it.
fn quoted(input: &mut &str) -> ModalResult<String> {
    let quote = one_of(['"', '\'']).parse_next(input)?;
    let escaped = preceded('\\', any).map(|character| match character {
        'n' => '\n',
        't' => '\t',
        other => other,
    });
    let text = repeat(0.., alt((escaped, none_of(['\\', quote]))));
    terminated(text, cut_err(quote).context(expected("the closing quote"))).parse_next(input)
}

/// A word, in upper case too.
fn word<'t>(text: &'static str) -> impl ModalParser<&'t str, (), ContextError> {
    lexeme((Caseless(text), not(one_of(is_of_name)))).void()
}

/// Skips the blanks after something.
fn lexeme<'t, T>(
    parser: impl ModalParser<&'t str, T, ContextError>,
) -> impl ModalParser<&'t str, T, ContextError> {
    terminated(parser, multispace0)
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-')
}

/// Why a comparison makes no sense.
#[derive(Debug)]
struct TypeFault(String);

impl fmt::Display for TypeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TypeFault {}

/// Refuses names that the schema does not have. `others` are accepted where this is read.
fn known_path(names: Vec<String>, others: &[&str]) -> Result<FieldPath, TypeFault> {
    let fields = || FIELDS.iter().map(|field| (field.name, field.type_name));
    let Some((name, type_name)) = fields().find(|(name, _)| *name == names[0]) else {
        let known: Vec<_> = fields().map(|(name, _)| name).chain(others.iter().copied()).collect();
        let meant = closest(&names[0], &known);
        let meant = meant.map_or_else(|| format!("data.{}", names.join(".")), str::to_owned);
        let known = known.join(", ");
        let why = format!("no such field, did you mean {meant}? accepted: {known}");
        return Err(TypeFault(why));
    };
    if names.len() > 1 && type_name != "object" {
        return Err(TypeFault(format!("{name} has no members")));
    }
    Ok(FieldPath(names))
}

/// The known name that was meant: one of which this is a part, or one that differs in few letters.
fn closest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let is_part = |known: &&str| {
        let mut parts = known.split('_');
        name == "time" && *known == "timestamp" || parts.any(|part| part == name)
    };
    let edits_max = if name.chars().count() < 5 { 1 } else { 2 };
    let part = known.iter().find(|known| is_part(known)).copied();
    part.or_else(|| {
        let near = known.iter().map(|known| (edit_distance(name, known), *known));
        near.min_by_key(|(edits, _)| *edits).filter(|(edits, _)| *edits <= edits_max).map(|n| n.1)
    })
}

/// The value as its field is compared with it.
fn with_type(field: &FieldPath, operator: Operator, value: Value) -> Result<Value, TypeFault> {
    let is_equality = matches!(operator, Operator::Equals | Operator::Differs);
    match (field.0.as_slice(), value) {
        (_, Value::Null | Value::Flag(_)) if !is_equality => {
            Err(TypeFault("only == and != compare with this".to_owned()))
        }
        (_, Value::Null) => Ok(Value::Null),
        (_, Value::Number { .. }) if operator == Operator::Contains => {
            Err(TypeFault("~ looks for a text".to_owned()))
        }
        ([name], value) => with_type_of_field(name, operator, value),
        (_, Value::Text(text)) if operator == Operator::Contains => {
            Ok(Value::Text(text.to_lowercase()))
        }
        (_, value) => Ok(value),
    }
}

fn with_type_of_field(name: &str, operator: Operator, value: Value) -> Result<Value, TypeFault> {
    let fault = |what: &str| Err(TypeFault(format!("{name} {what}")));
    let type_name = FIELDS.iter().find(|field| field.name == name).map(|field| field.type_name);
    match (name, value) {
        ("timestamp", Value::Text(text)) => match parse_moment(&text) {
            Some(time) if operator != Operator::Contains => Ok(Value::Time(time)),
            _ => fault(TIME_FAULT),
        },
        ("timestamp", Value::Number { .. }) => fault(TIME_FAULT),
        ("status", Value::Text(text))
            if operator != Operator::Contains && Status::from_name(&text).is_none() =>
        {
            fault("is one of \"ok\", \"error\", \"timeout\", \"retry\"")
        }
        (_, value) => match (type_name, value) {
            (Some("object"), _) => fault("is an object; compare a member of it, or null"),
            (Some("number" | "integer"), value @ Value::Number { .. }) => Ok(value),
            (Some("number" | "integer"), _) => fault("is a number"),
            (_, Value::Text(text)) if operator == Operator::Contains => {
                Ok(Value::Text(text.to_lowercase()))
            }
            (_, value @ Value::Text(_)) => Ok(value),
            _ => fault("is a text"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        match parse_condition(text) {
            Ok(condition) => panic!("{text}: {condition:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn errors_name_the_column_and_what_is_accepted() {
        let cases = [
            ("", "at column 1: expected a field"),
            ("  ", "at column 3: expected a field"),
            ("stauts == 'ok'", "at column 1: no such field, did you mean status? accepted: event_"),
            ("model == 'x'", "at column 1: no such field, did you mean data.model?"),
            ("usage.total > 1", "did you mean data.usage.total?"),
            ("latency > 1", "did you mean latency_ms?"),
            ("time > '2026-01-02'", "did you mean timestamp?"),
            ("latency_ms > 500ms", "at column 17: a number has no unit; latency_ms is compared"),
            ("latency_ms > 0.5s and agent == 'x'", "at column 17: a number has no unit"),
            ("agent == 'x' && agent == 'y'", "at column 14: write `and`"),
            ("agent == 'x' || agent == 'y'", "at column 14: write `or`"),
            ("!(agent == 'x')", "at column 1: write `not`"),
            ("timestamp > 2026-11-29", "at column 13: timestamp is compared with a time in quotes"),
            ("agent.x == 1", "at column 1: agent has no members"),
            ("agent", "at column 6: expected one of `==`"),
            ("agent = 'x'", "at column 7: expected one of `==`"),
            ("agent == planner", "at column 10: expected a text in quotes"),
            ("agent == 'x", "at column 12: expected the closing quote"),
            ("agent == 7", "at column 10: agent is a text"),
            ("agent == 'ä' latency_ms > 1", "at column 14: expected `and`, `or` or the end"),
            ("agent == 'x' and", "at column 17: expected a field"),
            ("(agent == 'x'", "at column 14: expected `)`"),
            ("latency_ms > '500'", "at column 14: latency_ms is a number"),
            ("latency_ms ~ 500", "at column 14: ~ looks for a text"),
            ("status == 'fine'", "at column 11: status is one of"),
            ("timestamp > 'yesterday'", "at column 13: timestamp is compared with a time"),
            ("data == 'x'", "at column 9: data is an object"),
            ("data.x < null", "at column 10: only == and !="),
            ("not", "at column 4: expected a field"),
        ];
        for (text, expected) in cases {
            let error = error(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn nesting_cannot_exhaust_the_stack() {
        let nested = |depth| format!("{}agent=='x'{}", "(".repeat(depth), ")".repeat(depth));
        parse_condition(&nested(PARENTHESES_MAX)).unwrap();
        assert!(error(&nested(100_000)).contains("more than 64 parentheses are open at once"));
        parse_condition(&format!("{}agent=='x'", "not ".repeat(100_000))).unwrap();
        parse_condition(&format!("agent=='\\'{}' or (agent=='x')", "(".repeat(100))).unwrap();
        parse_condition(&vec!["(agent=='x')"; 100].join(" or ")).unwrap();
    }
}
