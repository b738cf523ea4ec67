//! Measures what redacting the strings of real events costs, next to Hyperscan with the floor
//! rules.
//!
//! Hyperscan runs the four rules at once and reports where each match begins (`SOM_LEFTMOST`),
//! which a redactor has to know. The rest of a redactor is in this file. llm-audit runs all its
//! rules. Hyperscan's `\b` does not follow Unicode's tables, so `\b`, `\d` and `\s` are those of
//! ASCII.
//!
//! Needs libhs: `apt-get install libhyperscan-dev` (Debian, x86_64). Then
//! `cargo run --release --manifest-path benches/peers/Cargo.toml --features hyperscan --bin hyperscan`
#![allow(missing_docs)]

#[path = "../../../common/mod.rs"]
mod common;
#[path = "../../../common/strings.rs"]
mod strings;

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::ptr;

use common::{dense_text, title};
use llm_audit::Sanitizer;
use llm_audit::sanitize::Redactions;
use strings::{Strings, each};

/// The floor rules and the placeholders for their matches.
const RULES: [(&CStr, &str); 4] = [
    (c"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\\.[a-zA-Z]{2,}", "[REDACTED_email]"),
    (c"\\b\\d{4}[\\s-]?\\d{4}[\\s-]?\\d{4}[\\s-]?\\d{4}\\b", "[REDACTED_card]"),
    (c"eyJ[a-zA-Z0-9_-]+\\.eyJ[a-zA-Z0-9_-]+\\.[a-zA-Z0-9_-]+", "[REDACTED_jwt]"),
    (c"AKIA[0-9A-Z]{16}", "[REDACTED_aws_key]"),
];

/// The part of libhs that is used, as `hs.h` declares it.
mod hs {
    use super::{c_char, c_int, c_uint, c_ulonglong, c_void};

    pub const FLAG_SOM_LEFTMOST: c_uint = 256;
    pub const MODE_BLOCK: c_uint = 1;

    pub type OnMatch =
        extern "C" fn(c_uint, c_ulonglong, c_ulonglong, c_uint, *mut c_void) -> c_int;

    #[link(name = "hs")]
    unsafe extern "C" {
        pub safe fn hs_version() -> *const c_char;
        pub fn hs_compile_multi(
            expressions: *const *const c_char,
            flags: *const c_uint,
            ids: *const c_uint,
            elements: c_uint,
            mode: c_uint,
            platform: *const c_void,
            database: *mut *mut c_void,
            error: *mut *mut c_void,
        ) -> c_int;
        pub fn hs_alloc_scratch(database: *const c_void, scratch: *mut *mut c_void) -> c_int;
        pub fn hs_scan(
            database: *const c_void,
            data: *const c_char,
            length: c_uint,
            flags: c_uint,
            scratch: *mut c_void,
            on_event: OnMatch,
            context: *mut c_void,
        ) -> c_int;
    }
}

/// A match as Hyperscan reports it: one for each position at which a rule could end.
struct Found {
    rule: usize,
    start: usize,
    end: usize,
}

/// A redactor that uses Hyperscan. Its tables live as long as the process.
struct Hyperscan {
    database: *const c_void,
    scratch: *mut c_void,
    found: RefCell<Vec<Found>>,
}

impl Hyperscan {
    fn new() -> Self {
        let expressions = RULES.map(|(rule, _)| rule.as_ptr());
        let (flags, ids) = ([hs::FLAG_SOM_LEFTMOST; RULES.len()], [0, 1, 2, 3]);
        let [mut database, mut error, mut scratch] = [ptr::null_mut(); 3];
        // SAFETY: the three arrays have the given length, and their strings end in a zero byte. A
        // null platform means this one.
        let compiled = unsafe {
            hs::hs_compile_multi(
                expressions.as_ptr(),
                flags.as_ptr(),
                ids.as_ptr(),
                RULES.len() as c_uint,
                hs::MODE_BLOCK,
                ptr::null(),
                &mut database,
                &mut error,
            )
        };
        assert_eq!(compiled, 0, "Hyperscan compiles the rules");
        // SAFETY: the database was just compiled.
        let allocated = unsafe { hs::hs_alloc_scratch(database, &mut scratch) };
        assert_eq!(allocated, 0, "Hyperscan has memory");
        Self { database, scratch, found: RefCell::default() }
    }

    /// Finds every match of every rule, in the order of their ends.
    fn scan(&self, text: &str, found: &mut Vec<Found>) {
        extern "C" fn note(
            rule: c_uint,
            start: c_ulonglong,
            end: c_ulonglong,
            _flags: c_uint,
            found: *mut c_void,
        ) -> c_int {
            // SAFETY: nothing else uses the vector of `scan` until Hyperscan returns.
            let found = unsafe { &mut *found.cast::<Vec<Found>>() };
            found.push(Found { rule: rule as usize, start: start as usize, end: end as usize });
            0
        }

        let length = c_uint::try_from(text.len()).expect("below 4 GiB");
        // SAFETY: the text has the given length, and the scratch was made for this database. Both
        // are pointers, so neither can leave this thread.
        let scanned = unsafe {
            hs::hs_scan(
                self.database,
                text.as_ptr().cast(),
                length,
                0,
                self.scratch,
                note,
                ptr::from_mut(found).cast(),
            )
        };
        assert_eq!(scanned, 0, "Hyperscan scans");
    }

    /// Appends the redacted text. If matches overlap, the first counts, at its longest.
    fn redact(&self, text: &str, out: &mut String) {
        let mut found = self.found.borrow_mut();
        found.clear();
        self.scan(text, &mut found);
        found.sort_unstable_by_key(|found| (found.start, usize::MAX - found.end));
        let mut copied = 0;
        for found in found.iter() {
            if found.start >= copied {
                out.push_str(&text[copied..found.start]);
                out.push_str(RULES[found.rule].1);
                copied = found.end;
            }
        }
        out.push_str(&text[copied..]);
    }
}

fn main() {
    let (ours, peer) = (Sanitizer::default(), Hyperscan::new());
    let (dense, mut redacted) = (dense_text(4096), String::new());
    peer.redact(&dense, &mut redacted);
    assert_eq!(redacted, ours.redact_str(&dense), "dense text is redacted differently");

    // SAFETY: a version ends in a zero byte and lasts as long as the process.
    let version = unsafe { CStr::from_ptr(hs::hs_version()) };
    println!("Hyperscan {}", version.to_string_lossy());
    title("peers: the strings of real events, one redaction each into the same String");
    let mut counts = Redactions::default();
    let mut our_pass = each(|text, out| ours.redact_text(text, out, &mut counts));
    let mut its_pass = each(|text, out| peer.redact(text, out));
    let mut scan_alone = each(|text, _| {
        let mut found = peer.found.borrow_mut();
        found.clear();
        peer.scan(text, &mut found);
    });
    for strings in Strings::of_events() {
        let [our, its, alone] =
            strings.time([(20, &mut our_pass), (5, &mut its_pass), (5, &mut scan_alone)]);
        println!("{}", strings.describe());
        println!("         llm-audit: {}", strings.figures(&our));
        println!("         Hyperscan: {}", strings.figures(&its));
        println!("    its scan alone: {}", strings.figures(&alone));
        println!("    {:.1}x the speed of Hyperscan over all", its.all / our.all);
    }
}
