//! `cost --by user` of a sampled log, by the users of totals, and of many users.

use std::cmp::Reverse;
use std::io::{self, Write};
use std::ops::Range;

use llm_audit::Usd;
use llm_audit::reader::{Basis, Figures, Line, Sums};
use llm_audit_log::schema::MetricsRow;
use llm_audit_log::schema::notices::UserTotals;
use llm_audit_slo::Payers;
use serde::Serialize;
use serde_json::value::RawValue;

use super::figures::{FiguresObject, basis_notes, format_cost, format_share};
use crate::ui::{
    Table, escape_for_terminal, escape_json_for_terminal, format_count, format_dollars,
    format_exact_cost, terminal_columns, wrap_to_terminal,
};

/// The most users that are told apart. Past it the half that spent least is left out.
const USERS_MAX: usize = 100_000;

/// What the calls of each user cost.
#[derive(Clone, Default)]
pub(super) struct UserCosts {
    users: Payers,
    /// All calls, also those without a user.
    pub(super) total: Figures,
}

impl Sums for UserCosts {
    fn add_row(&mut self, row: &MetricsRow, times: Range<i64>) {
        if row.is_paid() {
            self.total.add_row(row, times);
        }
    }

    fn add_users(&mut self, users: &UserTotals) {
        let mut payers = Payers::default();
        payers.add_users(users);
        self.merge_users(&payers);
    }

    fn merge(&mut self, other: &Self) {
        self.total.merge(&other.total);
        self.merge_users(&other.users);
    }
}

/// A user, what the calls cost at least, and at most.
type Row<'u> = (&'u str, Usd, Usd);

impl UserCosts {
    /// Adds a call that no totals contain. It may stand for others.
    pub(super) fn add(&mut self, line: &Line<'_>, weight: f64) {
        if !line.is_paid() {
            return;
        }
        self.total.add(line, weight);
        let user = line.data().and_then(|data| data.get("user")?.as_str());
        if let (Some(user), Some(cost)) = (user, line.cost_usd()) {
            let others = Usd::try_from(cost.as_f64() * (weight - 1.0).max(0.0)).unwrap_or_default();
            let mut payers = Payers::default();
            payers.add(user, cost, others);
            self.merge_users(&payers);
        }
    }

    fn merge_users(&mut self, users: &Payers) {
        self.users.merge(users);
        if self.users.count() > USERS_MAX {
            self.users.keep_highest(USERS_MAX / 2);
        }
    }

    /// Those who spent most come first.
    fn sorted(&self) -> Vec<Row<'_>> {
        let mut rows: Vec<_> = self.users.iter().collect();
        rows.sort_by_key(|(_, least, _)| Reverse(*least));
        rows
    }

    /// What calls cost that are of nobody, or of a user who is not named.
    fn others(&self) -> Usd {
        let named: Usd = self.users.iter().map(|(_, least, _)| least).sum();
        (self.total.cost_usd - named).max(Usd::ZERO)
    }

    pub(super) fn print_table(
        &self,
        by: &[String],
        basis: &Basis,
        limit: usize,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let rows = self.sorted();
        let has_error = rows.iter().any(|(_, least, most)| most > least);
        let mut header = vec![by[0].clone(), "cost".to_owned(), "share".to_owned()];
        header.extend(has_error.then(|| "at most".to_owned()));
        let mut table = Table::new(1, header);
        let all = self.total.estimate.cost_usd;
        let mut push = |name: &str, least: String, share: f64, most: Option<Usd>| {
            let name = escape_for_terminal(name).into_owned();
            let mut row = vec![name, least, format_share(share, all)];
            row.extend(has_error.then(|| most.map_or("-".to_owned(), format_dollars)));
            table.push(row);
        };
        for (user, least, most) in rows.iter().take(limit) {
            push(user, format_dollars(*least), least.as_f64(), Some(*most));
        }
        let others = self.others();
        if others > Usd::ZERO {
            push("other calls", format_dollars(others), others.as_f64(), None);
        }
        push("all", format_cost(&self.total), all, None);
        for line in table.lines(terminal_columns().unwrap_or(usize::MAX)) {
            writeln!(out, "{line}")?;
        }
        let left_out = rows.len().saturating_sub(limit);
        if left_out > 0 {
            let left_out = format_count(left_out as u64, "more group");
            writeln!(out, "{left_out}: -n shows them")?;
        }
        for note in self.notes(basis) {
            writeln!(out, "{}", wrap_to_terminal(&note))?;
        }
        Ok(())
    }

    fn notes(&self, basis: &Basis) -> Vec<String> {
        let mut notes = vec![match basis.counted {
            0 => "so many users are shown with their cost alone".to_owned(),
            _ => "users by audit.totals, which name those who spent most".to_owned(),
        }];
        let rest = self.users.rest_max();
        if rest > Usd::ZERO {
            let rest = format_dollars(rest);
            notes.push(format!("a user who is not named spent at most {rest}"));
        }
        let unpriced = self.total.unpriced;
        if unpriced > 0 {
            let calls = format_count(unpriced, "call");
            notes.push(format!("no cost is known for {calls}, which are not in the sum"));
        }
        notes.extend(basis_notes(&self.total, basis));
        notes
    }

    pub(super) fn print_json(
        &self,
        by: &[String],
        basis: &Basis,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let object = UsersObject {
            by,
            groups: self.sorted().into_iter().map(UserObject::new).collect(),
            other: CostObject { cost_usd: format_exact_cost(self.others()) },
            rest_cost_usd_max: format_exact_cost(self.users.rest_max()),
            total: FiguresObject::new(&[], &self.total),
            basis,
        };
        writeln!(out, "{}", escape_json_for_terminal(&serde_json::to_string(&object)?))
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct UsersObject<'u> {
    by: &'u [String],
    groups: Vec<UserObject<'u>>,
    /// Calls of nobody, or of a user who is not named.
    other: CostObject,
    /// The most that a user spent who is not named.
    rest_cost_usd_max: Option<Box<RawValue>>,
    total: FiguresObject<'u>,
    basis: &'u Basis,
}

#[derive(Serialize)]
struct CostObject {
    cost_usd: Option<Box<RawValue>>,
}

/// A user, for `--json`.
#[derive(Serialize)]
struct UserObject<'u> {
    values: [&'u str; 1],
    cost_usd: Option<Box<RawValue>>,
    cost_usd_max: Option<Box<RawValue>>,
}

impl<'u> UserObject<'u> {
    fn new((user, least, most): Row<'u>) -> Self {
        let (cost_usd, cost_usd_max) = (format_exact_cost(least), format_exact_cost(most));
        Self { values: [user], cost_usd, cost_usd_max }
    }
}
