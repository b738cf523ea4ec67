//! The drivers of redaction: a value that is emitted loses the same parts as its JSON in a filter. If
//! the JSON is cut off anywhere, it loses no less.
#![no_main]

#[path = "../../tests/differential/generate.rs"]
mod generate;

use generate::{Drawn, Draws, data_of};
use libfuzzer_sys::fuzz_target;
use llm_audit::Sanitizer;
use llm_audit::sanitize::{LineKind, Redactions};

fn redact(line: &str) -> (LineKind, String) {
    let mut out = String::new();
    let kind = Sanitizer::default().redact_line(line, &mut out, &mut Redactions::default());
    (kind, out)
}

fuzz_target!(|bytes: &[u8]| {
    let mut draws = Draws(bytes);
    let (cut, escape) = (draws.below(256), draws.below(8));
    let drawn = Drawn::new(&mut draws, true);
    let mut line = "{\"data\":".to_owned();
    let mut count = 0;
    drawn.tree.write_json(&mut line, &mut |_| {
        count += 1;
        escape > 0 && count % (escape + 1) == 0
    });
    line.push('}');
    let (kind, filtered) = redact(&line);
    assert_eq!(kind, LineKind::Json, "{line}");
    let emitted = llm_audit::__fuzz::fuzz_record_line(&drawn.tree);
    let emitted = String::from_utf8_lossy(&emitted);
    assert_eq!(data_of(&emitted), data_of(&filtered), "{line}\n{emitted}\n{filtered}");

    // Escape sequences are not read over a cut.
    if escape == 0 {
        let cut = line.floor_char_boundary(line.len() * cut / 256);
        let (kind, damaged) = redact(&line[..cut]);
        let is_lost = |mark: &String| line[..cut].contains(mark) && !filtered.contains(mark);
        for mark in drawn.marks().filter(is_lost).filter(|_| kind == LineKind::NotQuiteJson) {
            assert!(!damaged.contains(&mark), "{mark} of {}\n{damaged}", &line[..cut]);
        }
    }
});
