//! Values as alerts and tables show them.

use llm_audit_log::Usd;

/// Shows a share: `5.1 %`, `0.04 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", number(share * 100.0))
}

/// Shows how fast a budget of bad events burns: `14.4 times the budget of 2 %`.
pub(crate) fn burn_rate(factor: f64, budget: f64) -> String {
    format!("{} times the budget of {}", number(factor), percent(budget))
}

/// Shows a number with at most three digits, or all before the point, in groups of thousands.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction}", in_thousands(whole))
}

fn in_thousands(whole: &str) -> String {
    let mut text = String::new();
    for (at, digit) in whole.chars().enumerate() {
        let left = whole.len() - at;
        if at > 0 && left.is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Shows US dollars, with cents, or with up to six digits if the amount is below a cent.
pub(crate) fn dollars(cost: Usd) -> String {
    let value = cost.as_f64();
    if value.abs() >= 0.01 || value == 0.0 {
        let text = format!("{value:.2}");
        let (whole, cents) = text.split_once('.').unwrap_or((&text, "00"));
        return format!("${}.{cents}", in_thousands(whole));
    }
    format!("${}", format!("{value:.6}").trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short() {
        let cases = [
            (percent(0.0512), "5.12 %"),
            (percent(0.0004), "0.04 %"),
            (percent(0.12345), "12.3 %"),
            (percent(1.0), "100 %"),
            (number(1730.4), "1,730"),
            (number(1_234_567.0), "1,234,567"),
            (number(-0.5), "-0.5"),
            (number(-123456.0), "-123,456"),
            (dollars("12.5".parse().unwrap()), "$12.50"),
            (dollars("0.00123".parse().unwrap()), "$0.00123"),
            (dollars("1234.5".parse().unwrap()), "$1,234.50"),
        ];
        for (shown, expected) in cases {
            assert_eq!(shown, expected);
        }
    }
}
