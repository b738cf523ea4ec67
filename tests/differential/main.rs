//! Compares the drivers of redaction: the same value loses the same parts on every path.

mod generate;

use generate::{Drawn, Draws, Tree, data_of};
use llm_audit::sanitize::{LineKind, Redactions};
use llm_audit::{AuditEvent, EventType, Sanitizer, testing};

const BATCH: u64 = 500;

/// How many values are tried: 6,000, or `REDACT_ROUNDS`, in batches.
fn seeds() -> u64 {
    let rounds = std::env::var("REDACT_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    rounds.unwrap_or(6_000_u64).next_multiple_of(BATCH)
}

fn drawn(seed: u64, has_json_in_texts: bool) -> Drawn {
    let mut random = fastrand::Rng::with_seed(seed);
    let bytes: Vec<u8> = (0..600).map(|_| random.u8(..)).collect();
    Drawn::new(&mut Draws(&bytes), has_json_in_texts)
}

fn redact(line: &str) -> (LineKind, String) {
    let mut out = String::new();
    let kind = Sanitizer::default().redact_line(line, &mut out, &mut Redactions::default());
    (kind, out)
}

/// The line that a filter would see of a value, with some characters as escape sequences.
fn line_of(tree: &Tree, seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let escapes_any = seed.is_multiple_of(3);
    let mut line = "{\"data\":".to_owned();
    tree.write_json(&mut line, &mut |_| escapes_any && random.u8(..4) == 0);
    line.push('}');
    line
}

#[test]
fn an_emit_and_a_filter_redact_the_same_parts() {
    let mut redacted = 0;
    let mut differing = Vec::new();
    for first in (0..seeds()).step_by(BATCH as usize) {
        let seen = testing::capture();
        let trees: Vec<Tree> = (first..first + BATCH).map(|seed| drawn(seed, true).tree).collect();
        for tree in &trees {
            llm_audit::emit(&AuditEvent::new(EventType::Serialize, "a", "b").data(tree));
        }
        for ((tree, line), seed) in trees.iter().zip(seen.lines()).zip(first..) {
            let given = line_of(tree, seed);
            let (kind, filtered) = redact(&given);
            assert_eq!(kind, LineKind::Json, "{given}");
            if data_of(&line) != data_of(&filtered) {
                differing
                    .push(format!("seed {seed}: {given}\n emit:   {line}\n filter: {filtered}"));
            }
            redacted += usize::from(filtered != given);
        }
    }
    assert!(redacted > seeds() as usize / 2, "{redacted}");
    assert_none("differ", &differing);
}

/// Fails with the first few of what was found, if anything was.
fn assert_none(what: &str, found: &[String]) {
    let shown: Vec<&str> = found.iter().take(5).map(String::as_str).collect();
    assert!(found.is_empty(), "{} of {} {what}\n{}", found.len(), seeds(), shown.join("\n"));
}

#[test]
fn a_value_and_its_json_lose_the_same_parts() {
    let mut redacted = 0;
    for seed in 0..seeds() {
        let tree = drawn(seed, true).tree;
        let given = serde_json::to_value(&tree).expect("JSON");
        let line = given.to_string();
        let filtered = redact(&line).1;
        let filtered: serde_json::Value = serde_json::from_str(&filtered).expect("JSON");
        assert_eq!(llm_audit::sanitize::sanitize(&tree), filtered, "seed {seed}: {line}");
        redacted += usize::from(filtered != given);
    }
    assert!(redacted > seeds() as usize / 2, "{redacted}");
}

#[test]
fn what_json_loses_is_lost_when_the_line_is_cut() {
    let (mut lost, mut cuts, mut leaks) = (0, 0, Vec::new());
    for seed in 0..seeds() {
        let drawn = drawn(seed, true);
        let line = line_of(&drawn.tree, 1);
        let whole = redact(&line).1;
        let mut random = fastrand::Rng::with_seed(seed);
        let cut = line.floor_char_boundary(random.usize(..line.len()));
        let (kind, damaged) = redact(&line[..cut]);
        if kind != LineKind::NotQuiteJson {
            continue;
        }
        cuts += 1;
        for mark in drawn.marks().filter(|mark| line[..cut].contains(mark) && !whole.contains(mark))
        {
            lost += 1;
            if damaged.contains(&mark) {
                leaks.push(format!("seed {seed}: {mark} of {}\n becomes {damaged}", &line[..cut]));
            }
        }
    }
    assert!(lost > 500 && cuts > 1_000, "{lost} {cuts}");
    assert_none("leak", &leaks);
}

/// JSON inside of a string of `Debug` text is not read as JSON.
#[test]
fn what_json_loses_is_lost_in_debug_text() {
    let (mut lost, mut kept, mut leaks) = (0, 0, Vec::new());
    for seed in 0..seeds() {
        let drawn = drawn(seed, false);
        let whole = redact(&line_of(&drawn.tree, 1)).1;
        let is_pretty = seed.is_multiple_of(2);
        let shown = if is_pretty { format!("{:#}", drawn.tree) } else { drawn.tree.to_string() };
        let text = Shown(&shown);
        let (sanitizer, mut counts) = (Sanitizer::default(), Redactions::default());
        let text = llm_audit_redact::debug::redacted(&text, &sanitizer, &mut counts);
        let text = text.expect("a text");
        for mark in drawn.marks() {
            let goes = !whole.contains(&mark);
            lost += usize::from(goes);
            kept += usize::from(!goes && text.contains(&mark));
            if goes && text.contains(&mark) {
                leaks.push(format!("seed {seed}: {mark} of {shown}\n becomes {text}"));
            }
        }
    }
    assert!(lost > 500 && kept > 500, "{lost} {kept}");
    assert_none("leak", &leaks);
}

/// A text that is its own `Debug`.
struct Shown<'t>(&'t str);

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}
