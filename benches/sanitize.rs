//! Measures what redacting one text costs, next to the floor rules run one after the other by
//! `regex`.
//!
//! The texts are generated ones, the strings of real events, and worst cases of up to 64 MB.
#![allow(missing_docs, clippy::print_stdout)]

mod common;
#[path = "sanitize/linearity.rs"] // a file next to this one would be a bench of its own
mod linearity;
#[path = "common/sequential.rs"]
mod sequential;
#[path = "common/strings.rs"]
mod strings;

use std::hint::black_box;
use std::time::Instant;

use common::{against, clean_text, criterion, dense_text, ns_per, quick, title, title_of};
use criterion::{BenchmarkId, Criterion, Throughput};
use llm_audit::Sanitizer;
use llm_audit::sanitize::Redactions;
use sequential::Sequential;
use strings::{Strings, each, hit_lines};

fn texts() -> [(&'static str, String); 5] {
    [
        ("short_clean", clean_text(24)),
        ("256B_clean", clean_text(256)),
        ("4KB_clean", clean_text(4096)),
        ("4KB_dense", dense_text(4096)),
        ("64KB_hits", hit_lines(65_536)),
    ]
}

fn time(calls: u64, call: impl Fn()) -> f64 {
    let begin = Instant::now();
    (0..calls).for_each(|_| call());
    ns_per(calls, begin.elapsed())
}

fn groups(criterion: &mut Criterion, ours: &Sanitizer, peer: &Sequential) {
    let mut group = criterion.benchmark_group("sanitize");
    for (name, text) in &texts() {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new("llm-audit", name), |bencher| {
            bencher.iter(|| ours.redact_str(black_box(text)).len());
        });
        group.bench_function(BenchmarkId::new("regex", name), |bencher| {
            bencher.iter(|| peer.redact(black_box(text)).len());
        });
    }
}

fn closing_line(ours: &Sanitizer, peer: &Sequential, name: &str, text: &str) {
    let calls = if quick() { 10 } else { 40_000_000 / (text.len() as u64 + 500) };
    let (our_ns, peer_ns) = against(
        || {
            time(calls, || {
                black_box(ours.redact_str(black_box(text)));
            })
        },
        || {
            time(calls, || {
                black_box(peer.redact(black_box(text)));
            })
        },
    );
    println!(
        "{name:>12} ({:>5} B): {our_ns:>7.0} ns, {:>6.3} GB/s, {:.1}x the speed of four regex passes \
         ({peer_ns:.0} ns)",
        text.len(),
        text.len() as f64 / our_ns,
        peer_ns / our_ns,
    );
}

/// Copies each string, redacted, into a reused text, by the redactor and by its peer.
fn real_strings(ours: &Sanitizer, peer: &Sequential) {
    let mut counts = Redactions::default();
    let mut our_pass = each(|text, out| ours.redact_text(text, out, &mut counts));
    let mut its_pass = each(|text, out| out.push_str(&peer.redact(text)));
    for strings in Strings::of_events() {
        let mut hit = 0;
        for text in strings.all() {
            let redacted = ours.redact_str(text);
            // The digits of an id may look like a card to rules that know no ids.
            if !is_uuid(text) {
                assert_eq!(redacted, peer.redact(&redacted), "the floor rules find more");
            }
            hit += usize::from(redacted != text);
        }
        let [our, its] = strings.time([(20, &mut our_pass), (2, &mut its_pass)]);
        println!("{}, {hit} of them redacted", strings.describe());
        println!("    llm-audit: {}", strings.figures(&our));
        println!("        regex: {}", strings.figures(&its));
        println!("    {:.1}x the speed of four regex passes over all", its.all / our.all);
    }
}

fn is_uuid(text: &str) -> bool {
    let is_of_uuid = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_of_uuid)
}

fn main() {
    let (ours, peer) = (Sanitizer::default(), Sequential::new());
    for (name, text) in &texts() {
        assert_eq!(ours.redact_str(text), peer.redact(text), "{name} is redacted differently");
    }
    let mut criterion = criterion();
    groups(&mut criterion, &ours, &peer);
    criterion.final_summary();
    title("sanitize: one redact_str, one thread");
    for (name, text) in &texts() {
        closing_line(&ours, &peer, name, text);
    }
    title("sanitize: the strings of real events, one redact_text each into the same String");
    real_strings(&ours, &peer);
    title_of("shortest", "sanitize: time for 2n over time for n, from 1 to 64 MB by doublings");
    linearity::table(&ours);
}
