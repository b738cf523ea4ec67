//! `tail`: the last events, and the next ones as they are written.

use std::collections::VecDeque;
use std::io::{self, BufWriter, Write};
use std::thread;
use std::time::Duration;

use llm_audit::Status;
use llm_audit::reader::{
    Ending, Entry, Error, Filter, Folder, Follow, Line, Lines, LogFile, Writers,
};
use llm_audit_log::schema::notices::{NoticeType, ReadNotice};
use unicode_width::UnicodeWidthStr;

use crate::arguments::{
    FilterArgs, Followed, LogInput, complain_of_bad_lines, complain_of_damage,
    complain_of_unknown_type,
};
use crate::ui::{
    CommandExit, CommandFailure, Style, complain_on_stderr, escape_for_terminal,
    escape_json_for_terminal, fit_to_width, format_dollars, format_duration, format_time,
    terminal_columns,
};

/// Show the last events, and those that come.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct TailArgs {
    #[command(flatten)]
    input: LogInput,
    /// How many of the last events
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20,
          value_parser = parse_line_count)]
    lines: u32,
    /// Continue with what is written, across rotation
    #[arg(short, long)]
    follow: bool,
    /// Whole lines as they are in the log
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

const AFTER_HELP: &str = "\
The log's own audit.* lines are shown with --type audit; audit.loss is always shown.
Events are in the order of the log: under load an error may be before earlier events. If
several loggers write at once, events are in the order of their files. If the log has several
services, each event is named by its service too. With -f a pipe or - is shown as it comes, to its
end.

Exit codes: 0 events are shown, 1 they are and a file cannot be read to its end, 2 bad input, 3 no
such event.

Examples:
  llm-audit tail -f --status error,timeout
  llm-audit tail --since 1h -q 'latency_ms > 500 and data.model ~ \"gpt-4o\"'
  AUDIT_EXPORTER=stdout my-agent | llm-audit tail -f -
  llm-audit tail -n 100 --agent planner --type llm --json | jq .cost_usd";

/// How often is looked for new lines.
const POLL: Duration = Duration::from_millis(250);

/// A terminal with fewer columns has no room for ids.
const NARROW: usize = 60;

/// How many lines that cannot be read are named.
const NAMED_MAX: usize = 20;

fn parse_line_count(text: &str) -> Result<u32, &'static str> {
    let count = text.parse().ok().filter(|count| *count <= 1_000_000);
    count.ok_or("a whole number up to 1000000 is needed")
}

pub(crate) fn run_tail(args: &TailArgs) -> Result<CommandExit, CommandFailure> {
    let mut view = TailView::from_args(args);
    let mut out = BufWriter::new(io::stdout().lock());
    let folder = args.input.open()?;
    if let Some(folder) = &folder {
        if args.follow && folder.files().iter().any(LogFile::is_stream) {
            return view.follow_stream(folder, &mut out);
        }
        view.note_writers(folder);
    }
    let (mut exit, mut has_lines) = (CommandExit::NoData, false);
    if let Some(folder) = &folder {
        let lines = view.last_lines(folder, args.lines as usize)?;
        has_lines = !lines.is_empty();
        lines.iter().try_for_each(|line| view.print(line, &mut out))?;
        if !has_lines && args.lines > 0 && !args.follow {
            complain_on_stderr("no data: no such event");
            args.input.complain_of_unknown_values(folder, &args.filter);
        } else if view.is_partial {
            exit = CommandExit::Finding;
        } else {
            exit = CommandExit::Fine;
        }
    }
    out.flush().map_err(CommandFailure::writing)?;
    if !args.follow {
        return Ok(exit);
    }
    if !has_lines {
        complain_of_unknown_type(&args.filter);
    }
    let follow = match &folder {
        Some(folder) => Follow::after(folder)?,
        None => Follow::new(args.input.dir.path()),
    };
    view.follow_log(follow, &mut out)
}

/// Which lines are shown, and how.
struct TailView<'a> {
    args: &'a TailArgs,
    filter: Filter,
    style: Style,
    /// Of the terminal, if there is one.
    columns: Option<usize>,
    writers: Writers,
    /// The day of the last line that was printed.
    day: Option<String>,
    /// A line was shown whose `audit.start` was not read.
    misses_start: bool,
    /// A file cannot be read to its end.
    is_partial: bool,
}

/// A line as it is printed.
struct ShownLine {
    /// The day of its time, if the line itself leaves that out.
    day: Option<String>,
    text: String,
}

/// Lines that cannot be read, the first of them by their places.
#[derive(Default)]
struct BadLines {
    count: u64,
    first: Vec<String>,
}

impl BadLines {
    fn add(&mut self, error: String) {
        self.count += 1;
        self.first.extend((self.first.len() < NAMED_MAX).then_some(error));
    }
}

impl<'a> TailView<'a> {
    fn from_args(args: &'a TailArgs) -> Self {
        let (filter, style) = (args.filter.to_filter(), Style::of_stdout());
        Self {
            args,
            filter,
            style,
            columns: terminal_columns(),
            writers: Writers::default(),
            day: None,
            misses_start: false,
            is_partial: false,
        }
    }

    /// Takes note of who writes: by the first line of each file, and by all lines of those that are
    /// followed from their end.
    fn note_writers(&mut self, folder: &Folder) {
        for file in folder.files().iter().filter(|file| !file.is_stream()) {
            let is_followed =
                self.args.follow && (!self.args.input.files.is_empty() || file.is_locked());
            self.writers.note_file(file, if is_followed { usize::MAX } else { 1 });
        }
    }

    /// The last `wanted` lines; the newest files first, and no more of them than are needed.
    fn last_lines(
        &mut self,
        folder: &Folder,
        wanted: usize,
    ) -> Result<VecDeque<ShownLine>, CommandFailure> {
        let (mut last, mut bad) = (VecDeque::new(), BadLines::default());
        let mut damage = Vec::new();
        for file in folder.files().iter().rev() {
            let damaged = damage.len();
            for part in file.parts_from_end() {
                if last.len() == wanted {
                    break;
                }
                let mut part = match part {
                    Ok(part) => part,
                    Err(error) => {
                        damage.push(error);
                        break;
                    }
                };
                if self.args.input.service.is_some() {
                    // The line that names a service is before those that are asked for.
                    part.start = 0;
                }
                let (is_first, most) = (part.start == 0, wanted - last.len());
                let mut lines = Lines::of_part(file, part.clone());
                let mut of_part = self.wanted_lines(&mut lines, most, &mut bad, &mut damage);
                if std::mem::take(&mut self.misses_start) && !is_first {
                    self.writers.note_file(file, usize::MAX);
                    let mut lines = Lines::of_part(file, part);
                    of_part = self.wanted_lines(
                        &mut lines,
                        most,
                        &mut BadLines::default(),
                        &mut Vec::new(),
                    );
                }
                of_part.append(&mut last);
                last = of_part;
                if is_first || damage.len() > damaged {
                    break;
                }
            }
        }
        if last.is_empty()
            && let Some(error) = damage.pop()
        {
            complain_of_damage(&damage);
            complain_of_bad_lines(bad.count, &bad.first);
            return Err(error.into());
        }
        complain_of_damage(&damage);
        complain_of_bad_lines(bad.count, &bad.first);
        self.is_partial = !damage.is_empty();
        Ok(last)
    }

    /// The last `most` of the lines that are wanted. Adds to `bad` how many cannot be read, and to `damage`
    /// why the rest of the file cannot.
    fn wanted_lines(
        &mut self,
        lines: &mut Lines<'_>,
        most: usize,
        bad: &mut BadLines,
        damage: &mut Vec<Error>,
    ) -> VecDeque<ShownLine> {
        let mut wanted = VecDeque::new();
        loop {
            let mut entry = match lines.next_line() {
                Ok(Some(entry)) => entry,
                Ok(None) => return wanted,
                Err(error) => {
                    damage.push(error);
                    return wanted;
                }
            };
            // Following gives it out when it is whole.
            if entry.ending == Ending::Torn && self.args.follow {
                continue;
            }
            match self.render_if_wanted(&mut entry) {
                Ok(Some(line)) => wanted.push_back(line),
                Ok(None) => {}
                Err(error) => bad.add(error),
            }
            if wanted.len() > most {
                wanted.pop_front();
            }
        }
    }

    /// Shows the lines of a pipe as they come.
    fn follow_stream(
        &mut self,
        folder: &Folder,
        out: &mut impl Write,
    ) -> Result<CommandExit, CommandFailure> {
        if folder.files().len() > 1 {
            return Err(CommandFailure::new("with --follow a pipe or - is the only FILE"));
        }
        let (mut lines, mut exit) = (folder.lines(), CommandExit::NoData);
        while let Some(mut entry) = lines.next_line()? {
            match self.render_if_wanted(&mut entry) {
                Ok(Some(line)) => {
                    self.print(&line, out)?;
                    out.flush().map_err(CommandFailure::writing)?;
                    exit = CommandExit::Fine;
                }
                Ok(None) => {}
                Err(error) => complain_on_stderr(error),
            }
        }
        if exit == CommandExit::NoData {
            complain_on_stderr("no data: no such event");
        }
        Ok(exit)
    }

    fn follow_log(
        &mut self,
        follow: Follow,
        out: &mut impl Write,
    ) -> Result<CommandExit, CommandFailure> {
        let mut follow = Followed::new(follow);
        loop {
            while let Some(mut entry) = follow.next_line() {
                match self.render_if_wanted(&mut entry) {
                    Ok(Some(line)) => self.print(&line, out)?,
                    Ok(None) => {}
                    Err(error) => complain_on_stderr(error),
                }
            }
            out.flush().map_err(CommandFailure::writing)?;
            for file in follow.take_truncated() {
                complain_on_stderr(format_args!(
                    "{file} was cut off; it is read from its beginning"
                ));
            }
            thread::sleep(POLL);
        }
    }

    /// Prints a line, and its day before it if the line before was of another one.
    fn print(&mut self, line: &ShownLine, out: &mut impl Write) -> Result<(), CommandFailure> {
        if let Some(day) = &line.day
            && self.day.as_ref() != Some(day)
        {
            writeln!(out, "{}", self.style.paint_faint(day)).map_err(CommandFailure::writing)?;
            self.day = Some(day.clone());
        }
        writeln!(out, "{}", line.text).map_err(CommandFailure::writing)
    }

    /// The line as it is to be printed, if it is.
    fn render_if_wanted(&mut self, entry: &mut Entry<'_>) -> Result<Option<ShownLine>, String> {
        let (file, offset) = (entry.file, entry.offset);
        // Parsing unescapes in place.
        let raw = || escape_json_for_terminal(&String::from_utf8_lossy(entry.bytes)).into_owned();
        let raw = self.args.json.then(raw);
        let line = entry.parse().map_err(|error| format!("{file} at byte {offset}: {error}"))?;
        self.writers.note(&line);
        let is_wanted = self.wants(&line);
        self.misses_start |=
            is_wanted && line.instance().is_some() && self.writers.service_of(&line).is_none();
        Ok(is_wanted.then(|| match raw {
            Some(text) => ShownLine { day: None, text },
            None => self.render_line(&line),
        }))
    }

    fn wants(&self, line: &Line<'_>) -> bool {
        let is_of_service = self.writers.is_of(line, self.args.input.service.as_deref());
        let may_be_meant = !line.is_own() || self.args.filter.names_type();
        let is_loss = line.event_type() == Some(NoticeType::Loss.name());
        is_of_service && (is_loss || may_be_meant && self.filter.matches(line))
    }

    fn render_line(&self, line: &Line<'_>) -> ShownLine {
        let text = |text: Option<&str>| escape_for_terminal(text.unwrap_or("-")).into_owned();
        let mut numbers = Vec::new();
        if let Some(ReadNotice::Loss(loss)) = ReadNotice::of(line) {
            let (overwritten, io_lost) =
                loss.map_or((0, 0), |loss| (loss.overwritten, loss.io_lost));
            numbers.push(format!("{overwritten} overwritten, {io_lost} io_lost"));
        }
        numbers.extend(line.latency_ms().map(format_duration));
        let tokens = (line.tokens_input(), line.tokens_output());
        if tokens != (None, None) {
            let of = |tokens: Option<u64>| tokens.map_or("?".to_owned(), |n| n.to_string());
            numbers.push(format!("{}+{} tokens", of(tokens.0), of(tokens.1)));
        }
        numbers.extend(line.cost_usd().map(format_dollars));
        let time = line.timestamp().map_or("-".to_owned(), format_time);
        let day = time.split_once(' ').filter(|_| self.columns.is_some());
        let day = day.map(|(day, _)| day.to_owned());
        let row = TailRow {
            time,
            status: line.status(),
            event_type: text(line.event_type()),
            trace: text(line.trace_id()).chars().take(8).collect(),
            service: text(
                self.writers.service_of(line).filter(|_| self.writers.are_several()).or(Some("")),
            ),
            agent: text(line.agent()),
            action: text(line.action()),
            numbers: numbers.join("  "),
            message: line.error_message().map(|message| escape_for_terminal(message).into_owned()),
            text: described(line).map(|text| escape_for_terminal(text).into_owned()),
        };
        ShownLine { day, text: row.render(self.style, self.columns) }
    }
}

/// The summary of an alert, or the text of another program's line that `record --raw` kept.
fn described<'a>(line: &'a Line<'_>) -> Option<&'a str> {
    let names: &[&str] = match line.event_type()? {
        "log.line" => &["text", "message", "msg", "event"],
        "alert.fired" | "alert.resolved" => &["summary"],
        _ => return None,
    };
    let data = line.data()?;
    names.iter().find_map(|name| data.get(name)?.as_str())
}

/// What is shown of an event.
struct TailRow {
    time: String,
    status: Option<Status>,
    event_type: String,
    trace: String,
    /// Empty if the log has one service.
    service: String,
    agent: String,
    action: String,
    numbers: String,
    /// The error's.
    message: Option<String>,
    /// What the line says in words. An error's message takes its place.
    text: Option<String>,
}

impl TailRow {
    /// One line with everything in it; on a terminal of `columns`, 40 and more, rows that fit: without the
    /// day, in a narrow one without the trace, the message below.
    fn render(self, style: Style, columns: Option<usize>) -> String {
        let is_loss = self.event_type == NoticeType::Loss.name();
        let numbers = |text: &str| if is_loss { style.paint_error(text) } else { text.to_owned() };
        let word = format!("{:<7}", self.status.map_or("-", Status::name));
        let word = style.paint_by_status(self.status, &word);
        let is_error = self.message.is_some();
        let text = self.message.or(self.text);
        let paint = |text: &str| if is_error { style.paint_error(text) } else { text.to_owned() };
        let Some(columns) = columns else {
            let mut parts = vec![
                style.paint_faint(&self.time),
                word,
                format!("{:<17}", self.event_type),
                style.paint_faint(&self.trace),
            ];
            parts.extend(Some(self.service).filter(|service| !service.is_empty()));
            parts.extend([self.agent, self.action]);
            parts.extend(Some(numbers(&self.numbers)).filter(|_| !self.numbers.is_empty()));
            parts.extend(text.map(|text| paint(&text)));
            return parts.join("  ");
        };
        let time = self.time.split_once(' ').map_or("-", |(_, time)| time.trim_end_matches('Z'));
        let (kind_width, trace_width) = match columns < NARROW {
            true => (12, 0),
            false => (17, 8 + 1),
        };
        let kind = fit_to_width(&self.event_type, kind_width);
        let free = columns.saturating_sub(12 + 1 + 7 + 1 + kind_width + 1 + trace_width);
        let trace = style.paint_faint(&format!("{:<8}", self.trace)) + " ";
        let mut short = self.numbers.replace(" tokens", "").replace("  ", " ");
        if columns < NARROW && free < short.width() + 10 {
            short.clear();
        }
        let room = free.saturating_sub(short.width() + 1).max(4);
        let who = match columns < NARROW {
            true => self.action,
            false => format!("{} {} {}", self.service, self.agent, self.action),
        };
        let who = fit_to_width(who.trim_start(), room);
        let left = fit_to_width(&short, free.saturating_sub(who.width() + 1));
        let mut row = format!(
            "{} {word} {kind:<kind_width$} {}{who} {}",
            style.paint_faint(&format!("{time:<12}")),
            if trace_width > 0 { &trace } else { "" },
            numbers(&left),
        );
        row.truncate(row.trim_end().len());
        if let Some(text) = text {
            let text = fit_to_width(&text, columns.saturating_sub(21));
            row += &format!("\n{:21}{}", "", paint(&text));
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fit_a_terminal() {
        let row = |columns| {
            TailRow {
                time: "2026-01-02 03:04:05.678Z".to_owned(),
                status: Some(Status::Error),
                event_type: "prompt.efficiency".to_owned(),
                trace: "0af76519".to_owned(),
                service: String::new(),
                agent: "benefits".to_owned(),
                action: "POST /benefits/{member}/stream".to_owned(),
                numbers: "490ms  374+37 tokens".to_owned(),
                message: Some("the directory closed the connection of somebody ".repeat(3)),
                text: None,
            }
            .render(Style { colour: false }, columns)
        };
        let expected = "\
03:04:05.678 error   prompt.efficiency 0af76519 benefits POST /ben… 490ms 374+37
                     the directory closed the connection of somebody the direct…";
        assert_eq!(row(Some(80)), expected);
        assert!(row(Some(120)).contains(" benefits POST /benefits/{member}/stream 490ms "));
        for columns in [40, 50, 60, 80, 120, 400] {
            assert!(row(Some(columns)).lines().all(|line| line.width() <= columns), "{columns}");
        }
        assert_eq!(row(None).lines().count(), 1);
    }
}
