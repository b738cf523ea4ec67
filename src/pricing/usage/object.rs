//! Reads the counts of a usage object by the names of its members.

use std::cell::Cell;

use llm_audit_log::json::Json;

/// The most tokens of one call. A larger number is a fault of its writer, and no usage.
pub(crate) const TOKENS_MAX: u64 = 1_000_000_000_000;

/// An object that is asked for many names, most of which it does not have.
#[derive(Clone, Copy)]
pub(super) struct IndexedObject<'a> {
    pub(super) json: Json<'a>,
    /// A bit for each name of a member; see [`name_bit`].
    names: u64,
}

impl<'a> IndexedObject<'a> {
    pub(super) fn new(json: Json<'a>) -> Self {
        let names = json.members().fold(0, |all, (name, _)| all | name_bit(name));
        Self { json, names }
    }

    /// Returns the member of this name.
    #[inline]
    pub(super) fn get(self, name: &str) -> Option<Json<'a>> {
        if self.names & name_bit(name) == 0 { None } else { self.json.get(name) }
    }
}

/// Returns the bit of a name. Its length and its last byte tell most names apart.
#[inline]
fn name_bit(name: &str) -> u64 {
    let last = name.as_bytes().last().copied().unwrap_or_default();
    1 << ((name.len() + 5 * usize::from(last)) % 64)
}

/// A usage object, and whether one of the counts that were read is absurd.
pub(super) struct UsageObject<'a> {
    pub(super) object: IndexedObject<'a>,
    is_absurd: Cell<bool>,
}

impl<'a> UsageObject<'a> {
    pub(super) fn new(object: IndexedObject<'a>) -> Self {
        Self { object, is_absurd: Cell::new(false) }
    }

    /// Returns the member of this name.
    pub(super) fn get(&self, name: &str) -> Option<Json<'a>> {
        self.object.get(name)
    }

    /// Reports whether a count that was read is over [`TOKENS_MAX`].
    pub(super) fn is_absurd(&self) -> bool {
        self.is_absurd.get()
    }

    /// Reports whether one of these members exists and is not null.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.get(name).is_some_and(|json| !json.is_null()))
    }

    /// Returns a whole number from 0 on, even if it is written as `12.0` or `"12"`.
    pub(super) fn count(&self, json: Json<'_>) -> Option<u64> {
        let count = read_whole_number(json);
        let is_absurd = match count {
            Some(count) => count > TOKENS_MAX,
            None => read_number(json).is_some_and(|number| number > TOKENS_MAX as f64),
        };
        self.is_absurd.set(self.is_absurd.get() || is_absurd);
        count
    }

    /// Returns the first of these members that is a number.
    pub(super) fn first(&self, names: &[&str]) -> Option<u64> {
        names.iter().find_map(|name| self.count(self.get(name)?))
    }

    /// Returns a part: the first of these members that is not zero, or 0.
    pub(super) fn part(&self, names: &[&str]) -> u64 {
        self.first_part(names.iter().filter_map(|name| self.get(name)))
    }

    /// Returns a part of an object inside the usage.
    pub(super) fn part_of(&self, json: Json<'_>, names: &[&str]) -> u64 {
        self.first_part(names.iter().filter_map(|name| json.get(name)))
    }

    fn first_part<'j>(&self, places: impl Iterator<Item = Json<'j>>) -> u64 {
        let mut counts = places.filter_map(|place| self.count(place));
        counts.find(|count| *count > 0).unwrap_or(0)
    }

    /// Returns a part inside an object of details, which may have any of these names.
    pub(super) fn detail(&self, objects: &[&str], names: &[&str]) -> u64 {
        let details = objects.iter().filter_map(|object| self.get(object));
        details.map(|details| self.part_of(details, names)).find(|count| *count > 0).unwrap_or(0)
    }

    /// Returns a total: the first of these members that is not zero, or 0 if one is zero.
    ///
    /// Some providers write zeros under the names of another one beside their own. A member may also
    /// be an object with its `total`.
    ///
    /// # Errors
    ///
    /// A member exists and is not a count. Otherwise half of a usage would look like a whole one.
    pub(super) fn total(&self, names: &[&str]) -> Result<Option<u64>, NotACount> {
        let mut total = None;
        for name in names {
            let Some(given) = self.get(name) else { continue };
            let given = if given.is_object() { given.get("total") } else { Some(given) };
            let Some(given) = given.filter(|given| !given.is_null()) else { continue };
            let count = self.count(given).ok_or(NotACount)?;
            total = total.filter(|total| *total > 0).or(Some(count));
        }
        Ok(total)
    }
}

/// A total that is not a number of tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotACount;

fn read_number(json: Json<'_>) -> Option<f64> {
    json.as_f64().or_else(|| digits_of(json)?.parse().ok())
}

fn digits_of(json: Json<'_>) -> Option<&str> {
    json.as_str().map(str::trim).filter(|text| text.starts_with(|c: char| c.is_ascii_digit()))
}

pub(super) fn read_whole_number(json: Json<'_>) -> Option<u64> {
    /// The largest number up to which an `f64` holds every whole number.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let exact = json.as_u64().or_else(|| digits_of(json)?.parse().ok());
    exact.or_else(|| {
        let number = read_number(json)?;
        let is_exact = number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&number);
        is_exact.then_some(number as u64)
    })
}
