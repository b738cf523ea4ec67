//! Costs of each user or tenant, in bounded memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use llm_audit_log::Usd;
use llm_audit_log::schema::notices::UserTotals;
use serde::{Deserialize, Serialize};

/// How many payers a minute keeps: those who pay most.
const PAYERS_KEPT: usize = 256;
/// How many it has at most, before the others are left out.
const PAYERS_MAX: usize = 16 * PAYERS_KEPT;

/// What each user or tenant pays, between two bounds.
///
/// # Examples
///
/// ```
/// use llm_audit_log::Usd;
/// use llm_audit_slo::Payers;
///
/// let usd = |text: &str| text.parse::<Usd>();
/// let mut payers = Payers::default();
/// payers.add("ana", usd("2.5")?, Usd::ZERO);
/// payers.add("ana", usd("1")?, usd("0.25")?);
/// let bounds: Vec<_> = payers.iter().collect();
/// assert_eq!(bounds, [("ana", usd("3.5")?, usd("3.75")?)]);
/// # Ok::<(), llm_audit_log::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredPayers", into = "StoredPayers")]
pub struct Payers {
    /// What each pays at least, and what may come on top of it.
    known: BTreeMap<String, (Usd, Usd)>,
    /// What may come on top of all this, for anybody. It is zero as long as everybody is known.
    rest_max: Usd,
}

impl Payers {
    /// Adds what somebody pays at least, and what may come on top of it. Of many payers, those who pay most are kept.
    pub fn add(&mut self, payer: &str, least: Usd, error: Usd) {
        self.add_unbounded(payer, least, error);
        if self.known.len() >= PAYERS_MAX {
            self.keep_highest(PAYERS_KEPT);
        }
    }

    fn add_unbounded(&mut self, payer: &str, least: Usd, error: Usd) {
        match self.known.get_mut(payer) {
            Some((sum, errors)) => {
                *sum += least;
                *errors += error;
            }
            None => drop(self.known.insert(payer.to_owned(), (least, error))),
        }
    }

    /// Adds the users of totals. Calls without a user are nobody's.
    pub fn add_users(&mut self, users: &UserTotals) {
        for row in &users.top {
            self.add(&row.user, row.cost_usd, row.cost_usd_error);
        }
        self.rest_max += users.rest_max.1;
    }

    /// Takes away those of a minute that was merged.
    pub(super) fn take_away(&mut self, other: &Self) {
        for (payer, (least, error)) in &other.known {
            let Some((sum, errors)) = self.known.get_mut(payer) else { continue };
            (*sum, *errors) = (*sum - *least, *errors - *error);
            if (*sum, *errors) == (Usd::ZERO, Usd::ZERO) {
                self.known.remove(payer);
            }
        }
        self.rest_max = self.rest_max - other.rest_max;
    }

    /// Adds those of another time. The sum can have all of both.
    pub fn merge(&mut self, other: &Self) {
        for (payer, (least, error)) in &other.known {
            self.add_unbounded(payer, *least, *error);
        }
        self.rest_max += other.rest_max;
    }

    /// Keeps so many of those who pay most. The most that any of the others pays is remembered.
    pub fn keep_highest(&mut self, count: usize) {
        if self.known.len() <= count {
            return;
        }
        let mut all: Vec<_> = std::mem::take(&mut self.known).into_iter().collect();
        all.sort_by_key(|(_, (least, error))| Reverse(*least + *error));
        let left_out = all.split_off(count);
        self.rest_max +=
            left_out.iter().map(|(_, (least, error))| *least + *error).max().unwrap_or_default();
        self.known = all.into_iter().collect();
    }

    /// Returns everybody with what they pay at least and at most.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Usd, Usd)> {
        let all = self.known.iter();
        all.map(|(payer, (least, error))| (payer.as_str(), *least, *least + *error + self.rest_max))
    }

    /// Returns how many are known.
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// Returns the most that somebody pays who is not known.
    pub fn rest_max(&self) -> Usd {
        self.rest_max
    }

    /// Returns the most that anybody pays, also those who are not known.
    pub fn most(&self) -> Usd {
        self.iter().map(|(_, _, most)| most).max().unwrap_or(self.rest_max)
    }
}

/// The payers as they are stored: amounts of money are texts.
#[derive(Serialize, Deserialize)]
struct StoredPayers(BTreeMap<String, (String, String)>, String);

impl From<Payers> for StoredPayers {
    fn from(mut payers: Payers) -> Self {
        payers.keep_highest(PAYERS_KEPT);
        let known = payers.known.into_iter();
        let known =
            known.map(|(payer, (least, error))| (payer, (least.to_string(), error.to_string())));
        Self(known.collect(), payers.rest_max.to_string())
    }
}

impl From<StoredPayers> for Payers {
    fn from(StoredPayers(known, rest_max): StoredPayers) -> Self {
        let usd = |text: &str| text.parse().unwrap_or_default();
        let known =
            known.into_iter().map(|(payer, (least, error))| (payer, (usd(&least), usd(&error))));
        Self { known: known.collect(), rest_max: usd(&rest_max) }
    }
}

#[cfg(test)]
mod tests {
    use llm_audit_log::schema::notices::UserRow;

    use super::*;

    fn usd(value: f64) -> Usd {
        Usd::try_from(value).unwrap()
    }

    #[test]
    fn calls_without_a_user_are_nobodys() {
        let mut payers = Payers::default();
        payers.add_users(&UserTotals::default());
        assert_eq!((payers.iter().count(), payers.most()), (0, Usd::ZERO));
        let ana = UserRow { user: "ana".to_owned(), cost_usd: usd(2.0), ..UserRow::default() };
        let users = UserTotals { top: vec![ana], rest_max: (1, usd(0.5)) };
        payers.add_users(&users);
        assert_eq!(payers.iter().collect::<Vec<_>>(), [("ana", usd(2.0), usd(2.5))]);
    }

    #[test]
    fn those_who_pay_most_are_kept_and_nobody_pays_more_than_is_said() {
        let mut draws = fastrand::Rng::with_seed(3);
        let (mut payers, mut exact) = (Payers::default(), BTreeMap::<String, Usd>::new());
        for _ in 0..15_000 {
            let payer = format!("u{}", draws.u32(..9_000));
            let cost = usd(f64::from(draws.u32(1..100)) / 1_000.0);
            payers.add(&payer, cost, Usd::ZERO);
            *exact.entry(payer).or_default() += cost;
            payers.add("spender", usd(0.01), Usd::ZERO);
        }
        let stored: Payers =
            serde_json::from_str(&serde_json::to_string(&payers).unwrap()).unwrap();
        for payers in [&payers, &stored] {
            let (least, _) = payers.known["spender"];
            assert_eq!(least, usd(150.0));
            for (payer, least, most) in payers.iter().filter(|(payer, ..)| *payer != "spender") {
                assert!(least <= exact[payer] && exact[payer] <= most, "{payer}");
            }
            assert!(exact.values().all(|cost| *cost <= payers.most()));
            assert!(payers.known.len() < PAYERS_MAX);
        }
        assert!(stored.known.len() <= PAYERS_KEPT);
    }
}
