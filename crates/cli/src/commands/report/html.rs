//! The page as HTML.

use std::fmt::Write;

use super::page::{Block, Page};
use crate::ui::{Table, escape_html, html_document};

/// The page as a document.
pub(super) fn page_as_html(page: &Page) -> String {
    let mut body = String::new();
    for (name, blocks) in &page.sections {
        let _ = writeln!(body, "<h2>{}</h2>", escape_html(name));
        blocks.iter().for_each(|block| push_block(block, &mut body));
    }
    html_document(&page.title, &body)
}

fn push_block(block: &Block, html: &mut String) {
    match block {
        Block::Line(line) => push_line(line, html),
        Block::Failure(lines) => {
            *html += "<div class=\"f\">";
            lines.iter().for_each(|line| push_line(line, html));
            *html += "</div>\n";
        }
        Block::Table(table) => push_table(table, html),
    }
}

fn push_line(line: &str, html: &mut String) {
    let _ = writeln!(html, "<p>{}</p>", escape_html(line.trim()));
}

fn push_table(table: &Table, html: &mut String) {
    let (names, rows) = table.parts();
    *html += "<table>\n";
    for (at, row) in rows.iter().enumerate() {
        let tag = if at == 0 { "th" } else { "td" };
        *html += "<tr>";
        for (column, cell) in row.iter().enumerate() {
            let class = if column < names { "" } else { " class=\"n\"" };
            let _ = write!(html, "<{tag}{class}>{}</{tag}>", escape_html(cell));
        }
        *html += "</tr>\n";
    }
    *html += "</table>\n";
}
