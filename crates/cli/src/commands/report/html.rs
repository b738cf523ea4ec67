//! The page as HTML: one file that loads nothing.

use std::fmt::Write;

use super::page::{Block, Page};
use crate::ui::{Table, escape_html};

const STYLE: &str = "\
body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:62em;padding:0 1em;color:#1d2733}\
h1{font-size:1.3em}h2{font-size:1.05em;margin:1.6em 0 .4em;border-bottom:1px solid #d5dbe1}\
p{margin:.25em 0;white-space:pre-wrap}table{border-collapse:collapse}\
th,td{padding:.2em .8em;text-align:left;border-bottom:1px solid #edf0f2}\
.n{text-align:right;font-variant-numeric:tabular-nums}th{color:#5b6773;font-weight:600}\
tr:last-child td{font-weight:600}.f{margin:.5em 0}.f p:first-child{color:#b3261e;font-weight:600}\
.f p,p{font-family:ui-monospace,monospace;font-size:.92em}\
@media(prefers-color-scheme:dark){body{background:#12181f;color:#dfe5ea}\
h2,th,td{border-color:#2b343d}.f p:first-child{color:#ff8a80}}";

/// The page as a document.
pub(super) fn page_as_html(page: &Page) -> String {
    let title = escape_html(&page.title);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title><style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n"
    );
    for (name, blocks) in &page.sections {
        let _ = writeln!(html, "<h2>{}</h2>", escape_html(name));
        blocks.iter().for_each(|block| push_block(block, &mut html));
    }
    html + "</body></html>\n"
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
