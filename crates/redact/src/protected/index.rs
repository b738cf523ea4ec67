//! The index of protected forms, by their grams. A scan reads it without a lock while values are
//! added and removed.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use llm_audit_process::lock::{self, InheritedLock as RwLock, spin_until};

use crate::confusables::{self, UndisguisedText};
use crate::{Kind, Match};

/// The length of a gram in bytes, and of the shortest value that can be found.
pub(super) const GRAM: usize = 4;
/// For long forms the table contains every gram that begins before this offset. The text is
/// examined at every place that this number divides.
pub(super) const STRIDE: usize = 8;
/// A form this long has a whole gram at each of these offsets.
pub(super) const LONG: usize = STRIDE + GRAM - 1;
/// The number of shards of a table. It has a bit for each of the 64 slots of a shard.
pub(super) const SHARDS: usize = 1 << 10;

pub(super) static SHORT_FORMS: GramIndex = GramIndex::new(1);
pub(super) static LONG_FORMS: GramIndex = GramIndex::new(STRIDE);

/// Returns whether nothing is protected at this moment.
#[inline]
pub(crate) fn nothing_is_protected() -> bool {
    SHORT_FORMS.is_empty() && LONG_FORMS.is_empty()
}

/// Returns the places of protected values in a text, in any order. They may overlap.
pub(crate) fn find_protected(text: &str) -> Vec<Match> {
    if nothing_is_protected() {
        return Vec::new();
    }
    let mut found = Vec::new();
    SHORT_FORMS.scan(text, &mut found);
    LONG_FORMS.scan(text, &mut found);
    if !text.is_ascii() && text.contains(confusables::is_disguise_char) {
        let plain = UndisguisedText::from_original(text);
        let mut undisguised = Vec::new();
        SHORT_FORMS.scan(&plain.text, &mut undisguised);
        LONG_FORMS.scan(&plain.text, &mut undisguised);
        found.extend(undisguised.into_iter().map(|found| plain.match_in_original(found, text)));
    }
    found
}

/// The number of times that each form is protected.
static FORMS: [RwLock<FormCounts>; FORM_SHARDS] =
    [const { RwLock::new(FormCounts::with_hasher(BuildHasherDefault::new())) }; FORM_SHARDS];

type FormCounts = HashMap<Arc<str>, usize, BuildHasherDefault<DefaultHasher>>;

const FORM_SHARDS: usize = 64;

pub(super) fn form_shard(form: &str) -> &'static RwLock<FormCounts> {
    let hash = BuildHasherDefault::<DefaultHasher>::new().hash_one(form);
    &FORMS[hash as usize % FORM_SHARDS]
}

/// The changes of the tables in progress, and forks, in units of [`FORK`]. A fork waits for these
/// changes and delays further ones, because a child must not inherit half a change.
static CHANGES: AtomicU64 = AtomicU64::new(0);
const FORK: u64 = 1 << 32;

/// A change in progress.
struct TableChange;

impl TableChange {
    fn begin() -> Self {
        // The first change of the tables makes forks wait.
        crate::hook_redaction_forks();
        let begun = |changes: u64| (changes < FORK).then_some(changes + 1);
        spin_until(|| CHANGES.fetch_update(Ordering::Acquire, Ordering::Relaxed, begun).is_ok());
        Self
    }
}

impl Drop for TableChange {
    fn drop(&mut self) {
        // Release: pairs with the acquire of a fork that waits.
        CHANGES.fetch_sub(1, Ordering::Release);
    }
}

/// Waits, before a fork, for the changes in progress and delays others. This takes microseconds.
pub(crate) fn hold_protection_changes() {
    CHANGES.fetch_add(FORK, Ordering::Relaxed);
    spin_until(|| CHANGES.load(Ordering::Acquire).is_multiple_of(FORK));
}

/// Allows changes again, after a fork, in the parent.
pub(crate) fn allow_protection_changes() {
    CHANGES.fetch_sub(FORK, Ordering::Relaxed);
}

/// Opens the locks that threads of the parent held. It runs after a fork, on the only thread of the
/// child.
#[allow(unsafe_code, reason = "locks are taken from threads that are not in this process")]
pub(crate) fn open_protection_in_child() {
    let shards = [&SHORT_FORMS, &LONG_FORMS].into_iter().flat_map(|index| &index.shards);
    // SAFETY: there is no other thread, and no change was in progress at the fork.
    unsafe {
        FORMS.iter().for_each(|forms| lock::open_inherited_lock(forms));
        shards.for_each(|shard| lock::open_inherited_lock(shard));
    }
    CHANGES.store(0, Ordering::Relaxed);
}

/// Protects a form once more.
pub(super) fn protect_form(form: &Arc<str>) {
    let _change = TableChange::begin();
    let mut forms = form_shard(form).write();
    let count = forms.entry(form.clone()).or_default();
    *count += 1;
    let is_new = *count == 1;
    drop(forms);
    if is_new {
        GramIndex::for_form(form).add(form);
    }
}

/// Protects a form once less.
pub(super) fn release_form(form: &Arc<str>) {
    let _change = TableChange::begin();
    let mut forms = form_shard(form).write();
    let Some(count) = forms.get_mut(form) else { return };
    *count -= 1;
    if *count > 0 {
        return;
    }
    forms.remove(form);
    drop(forms);
    // If another thread protects it meanwhile, it adds to the same sums. The order does not matter.
    GramIndex::for_form(form).remove(form);
}

/// Forms by their grams.
pub(super) struct GramIndex {
    /// The text is examined at every place that this number divides.
    pub(super) stride: usize,
    pub(super) forms: AtomicUsize,
    /// Whether a slot has an entry.
    pub(super) bits: [AtomicU64; SHARDS],
    pub(super) shards: [RwLock<Vec<GramEntry>>; SHARDS],
}

/// A gram of forms of one length.
pub(super) struct GramEntry {
    pub(super) slot: u16,
    /// The offset of the gram in the form.
    pub(super) offset: u16,
    /// The length of the forms, in bytes.
    pub(super) length: usize,
    /// The number of forms.
    pub(super) count: isize,
}

impl GramIndex {
    const fn new(stride: usize) -> Self {
        Self {
            stride,
            forms: AtomicUsize::new(0),
            bits: [const { AtomicU64::new(0) }; SHARDS],
            shards: [const { RwLock::new(Vec::new()) }; SHARDS],
        }
    }

    /// Returns the index for a form of this length.
    fn for_form(form: &str) -> &'static Self {
        if form.len() < LONG { &SHORT_FORMS } else { &LONG_FORMS }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        // Relaxed: if a thread has to find a value, it learned of the value, and so of this, by
        // other means.
        self.forms.load(Ordering::Relaxed) == 0
    }

    fn add(&self, form: &str) {
        self.change_form(form, 1);
        self.forms.fetch_add(1, Ordering::Relaxed);
    }

    fn remove(&self, form: &str) {
        self.forms.fetch_sub(1, Ordering::Relaxed);
        self.change_form(form, -1);
    }

    fn change_form(&self, form: &str, by: isize) {
        for offset in 0..self.stride {
            let slot = gram_slot(form.as_bytes(), offset);
            let (offset, length) = (offset as u16, form.len());
            let mut shard = self.shards[usize::from(slot >> 6)].write();
            let is_it = |entry: &GramEntry| {
                (entry.slot, entry.offset, entry.length) == (slot, offset, length)
            };
            let at = shard.iter().position(is_it).unwrap_or_else(|| {
                shard.push(GramEntry { slot, offset, length, count: 0 });
                shard.len() - 1
            });
            shard[at].count += by;
            if shard[at].count == 0 {
                shard.swap_remove(at);
            }
            // Under the lock. Relaxed: a reader that sees the bit takes the lock.
            let (bits, bit) = (&self.bits[usize::from(slot >> 6)], 1 << (slot & 63));
            match shard.iter().any(|entry| entry.slot == slot) {
                true => bits.fetch_or(bit, Ordering::Relaxed),
                false => bits.fetch_and(!bit, Ordering::Relaxed),
            };
        }
    }

    pub(super) fn scan(&self, text: &str, found: &mut Vec<Match>) {
        if self.is_empty() || text.len() < GRAM {
            return;
        }
        for at in (0..=text.len() - GRAM).step_by(self.stride) {
            let slot = gram_slot(text.as_bytes(), at);
            let bits = &self.bits[usize::from(slot >> 6)];
            if bits.load(Ordering::Relaxed) >> (slot & 63) & 1 == 1 {
                self.compare_forms(text, at, slot, found);
            }
        }
    }

    /// Adds the forms over this gram as one match, because they overlap in it.
    #[cold]
    fn compare_forms(&self, text: &str, at: usize, slot: u16, found: &mut Vec<Match>) {
        let entries = self.shards[usize::from(slot >> 6)].read();
        let mut whole: Option<(usize, usize)> = None;
        for entry in entries.iter().filter(|entry| entry.slot == slot) {
            let Some(start) = at.checked_sub(usize::from(entry.offset)) else { continue };
            let end = start + entry.length;
            let Some(form) = text.get(start..end) else { continue };
            if form_shard(form).read().contains_key(form) {
                let (from, to) = whole.unwrap_or((start, end));
                whole = Some((from.min(start), to.max(end)));
            }
        }
        let known = |(start, end)| Match { start, end, kind: Kind::Known };
        found.extend(whole.map(known));
    }
}

/// Returns the slot in the table of the gram that begins at `at`.
#[inline]
pub(super) fn gram_slot(text: &[u8], at: usize) -> u16 {
    let gram = text[at..].first_chunk::<GRAM>().map_or(0, |gram| u32::from_le_bytes(*gram));
    // Fibonacci hashing: the upper bits of a product with 2^32 over the golden ratio.
    (gram.wrapping_mul(0x9E37_79B1) >> 16) as u16
}
