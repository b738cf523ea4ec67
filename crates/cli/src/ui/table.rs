//! Tables of names and numbers.

use unicode_width::UnicodeWidthStr;

use super::fit_to_width;

/// The fewest columns to which a name is cut, unless the table says otherwise.
const NAME_WIDTH_MIN: usize = 8;

/// Columns that give way in a narrow terminal, the first one first. The cost does so only if there is a
/// latency.
const GIVING_WAY: [&str; 16] = [
    "over time",
    "cached",
    "p90",
    "max",
    "share",
    "p50",
    "failed",
    "tokens in",
    "tokens out",
    "cost",
    "budget left",
    "unknown",
    "target",
    "should be",
    "bad",
    "in 1m: events",
];

/// Rows of names, to the left, and numbers, to the right.
pub(crate) struct Table {
    names: usize,
    /// The fewest columns to which a name is cut.
    name_width_min: usize,
    /// The header is the first one.
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes a table with these columns, the first `names` of which are names.
    pub(crate) fn new(names: usize, header: Vec<String>) -> Self {
        Self { names, name_width_min: NAME_WIDTH_MIN, rows: vec![header] }
    }

    /// Cuts names to no fewer columns than these, however narrow the terminal is.
    pub(crate) fn keep_names(self, width: usize) -> Self {
        Self { name_width_min: width, ..self }
    }

    /// How many columns are names, and all rows with the header.
    pub(crate) fn parts(&self) -> (usize, &[Vec<String>]) {
        (self.names, &self.rows)
    }

    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The rows as lines of at most `columns`, which are 40 or more. Names give way to numbers, the longest
    /// first, and then some numbers to the others.
    pub(crate) fn lines(&self, columns: usize) -> Vec<String> {
        let width_of = |at: usize| self.rows.iter().map(|row| row[at].width()).max().unwrap_or(0);
        let mut widths: Vec<_> = (0..self.rows[0].len()).map(|at| Some(width_of(at))).collect();
        let all = |widths: &[Option<usize>]| {
            widths.iter().flatten().map(|width| width + 2).sum::<usize>().saturating_sub(2)
        };
        let mut giving_way = GIVING_WAY.iter();
        while all(&widths) > columns {
            let longest = widths[..self.names].iter_mut().flatten().max();
            if let Some(longest) = longest.filter(|width| **width > self.name_width_min) {
                *longest -= 1;
                continue;
            }
            let Some(name) = giving_way.next() else { break };
            let numbers = &self.rows[0][self.names..];
            if *name == "cost" && !numbers.iter().any(|header| header == "p99") {
                continue;
            }
            if let Some(at) = numbers.iter().position(|header| header == name) {
                widths[self.names + at] = None;
            }
        }
        let lines = self.rows.iter().map(|row| self.line(row, &widths));
        lines.map(|line| fit_to_width(&line, columns)).collect()
    }

    fn line(&self, row: &[String], widths: &[Option<usize>]) -> String {
        let cells = row.iter().zip(widths).enumerate().filter_map(|(at, (cell, width))| {
            let cell = fit_to_width(cell, (*width)?);
            let padding = " ".repeat((*width)? - cell.width());
            Some(if at < self.names { cell + &padding } else { padding + &cell })
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_way_to_numbers() {
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let mut table = Table::new(2, row(["agent", "action", "events", "p50"]));
        table.push(row(["benefits", "名 GET /benefits/{member}/stream", "7", "12.5ms"]));
        assert_eq!(
            table.lines(80),
            [
                "agent     action                            events     p50",
                "benefits  名 GET /benefits/{member}/stream       7  12.5ms",
            ]
        );
        for columns in 1..80 {
            assert!(table.lines(columns).iter().all(|line| line.width() <= columns), "{columns}");
        }
        assert!(table.lines(40)[1].contains("… "), "{:?}", table.lines(40));
    }

    #[test]
    fn names_that_are_kept_make_numbers_give_way_first() {
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let header = row(["objective", "budget left", "target", "events"]);
        let mut table = Table::new(1, header).keep_names(14);
        table.push(row(["request-timeouts", "-269 %", "≤ 1 %", "1633"]));
        assert_eq!(table.lines(43)[1], "request-timeo…       -269 %   ≤ 1 %    1633");
        assert_eq!(table.lines(34)[1], "request-timeo…   ≤ 1 %    1633");
        assert_eq!(table.lines(24)[1], "request-timeo…    1633");
    }

    #[test]
    fn numbers_give_way_to_those_that_matter_more() {
        let row = |cells: [&str; 9]| cells.map(str::to_owned).to_vec();
        let header = ["agent", "action", "events", "failed", "p50", "p90", "p99", "max", "cost"];
        let mut table = Table::new(2, row(header));
        let cells = ["benefits", "member_record", "123456", "4321", "56.4ms", "99.1ms", "116ms"];
        let cells = [&cells[..], &["127ms", "$123.456789"]].concat();
        table.push(row(cells.try_into().unwrap()));
        for columns in 40..160 {
            assert!(table.lines(columns).iter().all(|line| line.width() <= columns), "{columns}");
        }
        assert_eq!(table.lines(44)[0], "agent     action    events    p99");
        let narrow = table.lines(46);
        assert_eq!(narrow[0], "agent     action    events    p99         cost");
        assert_eq!(narrow[1], "benefits  member_…  123456  116ms  $123.456789");
    }
}
