//! Pages of HTML: one file each, which loads nothing and runs nothing.

use std::fs;
use std::path::Path;

use super::{CommandFailure, escape_for_terminal};

const STYLE: &str = "\
body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:72em;padding:0 1em;color:#1d2733}\
h1{font-size:1.3em}h2{font-size:1.05em;margin:1.6em 0 .4em;border-bottom:1px solid #d5dbe1}\
p,td,th,summary,pre{font-family:ui-monospace,monospace;font-size:.92em}\
p{margin:.25em 0;white-space:pre-wrap}table{border-collapse:collapse}\
th,td{padding:.2em .8em;text-align:left;border-bottom:1px solid #edf0f2;vertical-align:top}\
.n{text-align:right;font-variant-numeric:tabular-nums}th{color:#5b6773;font-weight:600}\
.failed,.f p:first-child{color:#b3261e;font-weight:600}.f{margin:.5em 0}\
.bars{width:22em;min-width:10em}.bar{height:.9em;margin-top:.25em;background:#5b8def;min-width:2px}\
.bar.failed{background:#d9483b}summary{cursor:pointer}pre{white-space:pre-wrap;margin:.3em 0}\
@media(prefers-color-scheme:dark){body{background:#12181f;color:#dfe5ea}\
h2,th,td{border-color:#2b343d}.failed,.f p:first-child{color:#ff8a80}}";

/// A document with this title and this markup as its body.
pub(crate) fn html_document(title: &str, body: &str) -> String {
    let title = escape_html(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title><style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n{body}</body></html>\n"
    )
}

/// Writes a page to a file that its reader named.
pub(crate) fn write_page(path: &Path, page: &str) -> Result<(), CommandFailure> {
    fs::write(path, page)
        .map_err(|error| CommandFailure::new(format!("{}: {error}", path.display())))
}

/// Returns `text` for HTML, in an element or in a quoted attribute, with control characters and changes
/// of direction spelled out.
pub(crate) fn escape_html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    for c in escape_for_terminal(text).chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            _ => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_text() {
        let text = "</script>\u{1b}\u{202e}'\" & é";
        assert_eq!(escape_html(text), r"&lt;/script&gt;\u{1b}\u{202e}&#39;&quot; &amp; é");
        assert!(html_document(text, "").contains("<title>&lt;/script&gt;"));
    }
}
