//! Measures whether redacting takes time linear in the length of the text.
//!
//! It compares the time for 2n with the time for n. In these texts every position looks like the
//! beginning of a match. Before it is redacted, a text of any length is removed from the caches.
//! Otherwise a text that outgrows a cache would take more than twice as long.

use std::hint::black_box;
use std::time::{Duration, Instant};

use llm_audit::Sanitizer;
use llm_audit::sanitize::Redactions;

use super::common::{ROUNDS, ns_per, quick};

/// The shortest run. A shorter text is repeated for as long, because the clock and the machine are
/// too coarse for one.
const RUN_AT_LEAST: Duration = Duration::from_millis(2);

/// More bytes than the caches of the machine hold.
const CACHES_BYTES: usize = 128 << 20;

/// If a text takes longer than this, it is not doubled again. The time is then not linear, and the
/// figures so far show it.
const DOUBLED_WITHIN: Duration = Duration::from_secs(10);

/// A text that can grow, and how it is redacted.
struct Case {
    name: &'static str,
    text: fn(usize) -> String,
    redact: Redact,
}

type Redact = fn(&Sanitizer, &str, &mut String);

const CASES: [Case; 9] = [
    Case { name: "@", text: |n| of("@", n), redact: text },
    Case { name: "digits", text: |n| of("0123456789", n), redact: text },
    Case { name: "eyJ", text: |n| of("eyJ", n), redact: text },
    Case { name: "-----BEGIN", text: |n| of("-----BEGIN", n), redact: text },
    Case { name: "sk-", text: |n| of("sk-", n), redact: text },
    Case { name: "a@a.", text: |n| of("a@a.", n), redact: text },
    Case { name: "[ and as many ]", text: |n| of("[", n / 2) + &of("]", n / 2), redact: line },
    Case { name: "[ unclosed", text: |n| of("[", n), redact: line },
    Case { name: "\"[\" in a string", text: |n| format!("\"{}\"", of("[", n - 2)), redact: line },
];

/// A plain copy, which shows what the memory alone does to the ratios.
const COPY: Case =
    Case { name: "a plain copy", text: |n| of("@", n), redact: |_, text, out| out.push_str(text) };

fn of(unit: &str, bytes: usize) -> String {
    unit.repeat(bytes / unit.len())
}

fn text(ours: &Sanitizer, text: &str, out: &mut String) {
    ours.redact_text(text, out, &mut Redactions::default());
}

fn line(ours: &Sanitizer, line: &str, out: &mut String) {
    ours.redact_line(line, out, &mut Redactions::default());
}

/// Prints a line for each case, and the largest ratio of all.
pub fn table(ours: &Sanitizer) {
    let largest = CASES.iter().map(|case| row(ours, case)).fold(0.0, f64::max);
    row(ours, &COPY);
    println!("largest of all, that copy aside: {largest:.2}");
}

/// Prints one line, and returns the largest ratio in it.
fn row(ours: &Sanitizer, case: &Case) -> f64 {
    let smallest = if quick() { 256 } else { 1_000_000 };
    let texts: Vec<String> = (0..7).map(|doubled| (case.text)(smallest << doubled)).collect();
    let ns = time(ours, &texts, case.redact);
    let ratios: Vec<f64> = ns.windows(2).map(|pair| pair[1] / pair[0]).collect();
    let largest = ratios.iter().copied().fold(0.0, f64::max);
    let ratios: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    let rate = |at: usize| texts[at].len() as f64 / ns[at];
    let last = ns.len() - 1;
    println!(
        "{:>15}: {:>6.3} GB/s at {:.0} MB, {:>6.3} at {:.0} MB; 2n/n {}; largest {largest:.2}",
        case.name,
        rate(0),
        texts[0].len() as f64 / 1e6,
        rate(last),
        texts[last].len() as f64 / 1e6,
        ratios.join(" "),
    );
    largest
}

/// Returns nanoseconds for each text, up to the first that takes too long.
///
/// Each figure is the shortest of the runs, because other processes only ever add to it. Ratios of
/// medians showed those processes instead.
fn time(ours: &Sanitizer, texts: &[String], redact: Redact) -> Vec<f64> {
    let mut out = String::with_capacity(2 * texts.last().map_or(0, String::len));
    let mut other = vec![1_u8; if quick() { 1 } else { CACHES_BYTES }];
    let mut call = |text: &str| {
        // Writing this buffer evicts the text from the caches.
        black_box(&mut other).iter_mut().step_by(64).for_each(|byte| *byte ^= 1);
        out.clear();
        let begin = Instant::now();
        redact(ours, black_box(text), &mut out);
        black_box(&out);
        begin.elapsed()
    };
    let mut ns = Vec::new();
    for text in texts {
        let first = call(text).max(Duration::from_nanos(1)); // it also touches the pages first
        let calls = RUN_AT_LEAST.div_duration_f64(first).ceil() as u64;
        let (rounds, calls) = if quick() { (1, 1) } else { (ROUNDS, calls) };
        let run = |_| ns_per(calls, (0..calls).map(|_| call(text)).sum());
        ns.push((0..rounds).map(run).fold(f64::INFINITY, f64::min));
        if first > DOUBLED_WITHIN {
            break;
        }
    }
    ns
}
