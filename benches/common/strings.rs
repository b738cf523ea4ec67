//! The strings of events, and the time that redacting each of them takes.
//!
//! If the recordings are present, the events are real ones. Otherwise they are those of the sample.
//! This file is separate from the rest of `common`, because only the benches that redact need
//! `serde_json`.
#![allow(dead_code)] // no bench uses all of it

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use serde_json::Value;

use super::common::{ROUNDS, median, ns_per, quick};

/// Recordings of real events, one JSON object a line.
const RECORDINGS: [&str; 2] = ["transcripts.jsonl.gz", "agent-events.jsonl"];

/// Events of the same layout, for a clone without the recordings.
const SAMPLE: &str = "agent-events.jsonl";

/// The largest length, in bytes, of a string that counts as short.
const SHORT: usize = 64;

/// Strings that are redacted one by one.
pub struct Strings {
    /// The kind of strings, for the closing line.
    pub what: &'static str,
    all: Vec<String>,
}

/// Nanoseconds that all strings of a kind took.
pub struct Took {
    pub all: f64,
    pub short: f64,
    pub long: f64,
}

impl Strings {
    /// Returns three sets: every value and key at every depth, only the values, and only the values
    /// in `data`.
    ///
    /// If a recording is missing, the strings are those of the sample, and the bench prints so.
    pub fn of_events() -> Vec<Self> {
        let recorded: Option<Vec<String>> =
            RECORDINGS.map(testdata::recording).into_iter().collect();
        let texts = recorded.unwrap_or_else(|| {
            println!("a recording is missing: these are the strings of a small sample");
            vec![testdata::sample(SAMPLE)]
        });
        let events: Vec<BTreeMap<String, Value>> = texts
            .iter()
            .flat_map(|text| text.lines())
            .map(|line| serde_json::from_str(line).expect("an object"))
            .collect();
        let (mut both, mut values, mut data) = (Vec::new(), Vec::new(), Vec::new());
        for (key, value) in events.iter().flatten() {
            both.push(key.clone());
            collect(value, true, &mut both);
            collect(value, false, &mut values);
            if key == "data" {
                collect(value, false, &mut data);
            }
        }
        [("values and keys", both), ("values", values), ("values in data", data)]
            .map(|(what, all)| Self { what, all })
            .into()
    }

    pub fn all(&self) -> impl Iterator<Item = &str> + Clone {
        self.all.iter().map(String::as_str)
    }

    fn short(&self) -> impl Iterator<Item = &str> + Clone {
        self.all().filter(|text| text.len() <= SHORT)
    }

    fn long(&self) -> impl Iterator<Item = &str> + Clone {
        self.all().filter(|text| text.len() > SHORT)
    }

    /// Returns how many strings there are and how long they are.
    pub fn describe(&self) -> String {
        let mut lengths: Vec<usize> = self.all().map(str::len).collect();
        lengths.sort_unstable();
        let (count, bytes) = (lengths.len(), lengths.iter().sum::<usize>());
        let [mb, median] = [bytes as f64 / 1e6, lengths[count / 2] as f64];
        format!("{}: {count} strings, {mb:.3} MB, median {median} B", self.what)
    }

    /// Returns the figures of one redactor: over all strings, for the short ones, for the others.
    pub fn figures(&self, took: &Took) -> String {
        let bytes = |texts: &mut dyn Iterator<Item = &str>| texts.map(str::len).sum::<usize>();
        let (short, long) = (self.short().count(), self.long().count());
        format!(
            "{:>6.3} GB/s over all | {short} of up to {SHORT} B: {:>5.1} ns each | {long} above: \
             {:>6.3} GB/s",
            bytes(&mut self.all()) as f64 / took.all,
            took.short / short as f64,
            bytes(&mut self.long()) as f64 / took.long,
        )
    }

    /// Times some redactors, which take turns. In each run, each goes over the strings the given
    /// number of times.
    pub fn time<const N: usize>(&self, mut redactors: [(u64, Pass<'_>); N]) -> [Took; N] {
        let [all, short, long]: [Vec<&str>; 3] =
            [self.all().collect(), self.short().collect(), self.long().collect()];
        let rounds = if quick() { 1 } else { ROUNDS };
        let mut runs: [[Vec<f64>; 3]; N] = [const { [const { Vec::new() }; 3] }; N];
        for _ in 0..rounds {
            for ((passes, pass), runs) in redactors.iter_mut().zip(&mut runs) {
                let passes = if quick() { 1 } else { *passes };
                for (texts, runs) in [&all, &short, &long].into_iter().zip(runs) {
                    let begin = Instant::now();
                    (0..passes).for_each(|_| pass(texts));
                    runs.push(ns_per(passes, begin.elapsed()));
                }
            }
        }
        runs.map(|runs| {
            let [all, short, long] = runs.map(median);
            Took { all, short, long }
        })
    }
}

/// Redacts all of these texts.
pub type Pass<'r> = &'r mut dyn FnMut(&[&str]);

/// Redacts each text by a function that appends it to an empty text, which is reused.
pub fn each(mut redact: impl FnMut(&str, &mut String)) -> impl FnMut(&[&str]) {
    let mut out = String::with_capacity(1 << 20);
    move |texts| {
        for text in texts {
            out.clear();
            redact(black_box(text), &mut out);
            black_box(&out);
        }
    }
}

fn collect(value: &Value, with_keys: bool, strings: &mut Vec<String>) {
    match value {
        Value::String(text) => strings.push(text.clone()),
        Value::Array(values) => {
            values.iter().for_each(|value| collect(value, with_keys, strings));
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                if with_keys {
                    strings.push(key.clone());
                }
                collect(value, with_keys, strings);
            }
        }
        _ => {}
    }
}

/// Returns lines of about this many bytes in all, each with one match of a floor rule.
///
/// No two lines are alike. The rules take turns without a pattern, so that no branch can be
/// predicted.
pub fn hit_lines(bytes: usize) -> String {
    let (mut lines, mut n) = (String::new(), 1_u64);
    while lines.len() < bytes {
        n = n.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let [a, b] = [n >> 32 & 0xff_ffff, n >> 40];
        let written = match n >> 60 & 3 {
            0 => writeln!(lines, "Write to user.{a:x}@mail-{b:x}.example about the visit."),
            1 => {
                let [a, b] = [a % 10_000, b % 10_000];
                writeln!(lines, "The card was {a:04} {b:04} {b:04} {a:04} and was charged twice.")
            }
            2 => writeln!(lines, "The header said eyJ{a:x}.eyJ{n:x}.{b:x} and no more."),
            _ => writeln!(lines, "Then AKIA{n:016X} wrote the object {a}."),
        };
        written.expect("a String takes everything");
    }
    lines
}
