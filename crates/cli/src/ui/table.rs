//! Tables of names and numbers.

use unicode_width::UnicodeWidthStr;

use super::fit_to_width;

/// The fewest columns to which a name is cut.
const NAME_WIDTH_MIN: usize = 8;

/// Rows of names, to the left, and numbers, to the right.
pub(crate) struct Table {
    names: usize,
    /// The header is the first one.
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes a table with these columns, the first `names` of which are names.
    pub(crate) fn new(names: usize, header: Vec<String>) -> Self {
        Self { names, rows: vec![header] }
    }

    /// How many columns are names, and all rows with the header.
    pub(crate) fn parts(&self) -> (usize, &[Vec<String>]) {
        (self.names, &self.rows)
    }

    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The rows as lines of at most `columns`. Names give way to numbers, the longest first.
    pub(crate) fn lines(&self, columns: usize) -> Vec<String> {
        let width_of = |at: usize| self.rows.iter().map(|row| row[at].width()).max().unwrap_or(0);
        let mut widths: Vec<_> = (0..self.rows[0].len()).map(width_of).collect();
        let all = |widths: &[usize]| widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
        while all(&widths) > columns {
            let longest = widths[..self.names].iter_mut().max().filter(|w| **w > NAME_WIDTH_MIN);
            let Some(longest) = longest else { break };
            *longest -= 1;
        }
        self.rows.iter().map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let cells = row.iter().zip(widths).enumerate().map(|(at, (cell, width))| {
            let cell = fit_to_width(cell, *width);
            let padding = " ".repeat(width - cell.width());
            if at < self.names { cell + &padding } else { padding + &cell }
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
        for columns in 34..80 {
            assert!(table.lines(columns).iter().all(|line| line.width() <= columns), "{columns}");
        }
        assert!(table.lines(40)[1].contains("… "), "{:?}", table.lines(40));
        assert_eq!(table.lines(1), table.lines(34));
    }
}
