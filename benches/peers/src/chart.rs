//! Charts as SVG, with logarithmic axes of time.

use std::fmt::Write;

use crate::figures::{Row, duration, percent};
use crate::loggers::{CLOCK, PEERS, SAMPLING};

/// The rates that the chart of all loggers shows.
const BAR_MODES: [&str; 3] = ["saturated", "100,000/s", "2,000/s"];
const WIDTH: f64 = 880.0;
const BARS_TOP: f64 = 66.0;
/// From the top of a bar to that of the next one.
const BAR_STEP: f64 = 22.0;

/// A logarithmic axis from one power of ten to another.
struct Axis {
    low: f64,
    high: f64,
    /// The positions of both ends.
    ends: [f64; 2],
}

impl Axis {
    /// Returns an axis that contains all values.
    fn around(values: impl Iterator<Item = f64> + Clone, ends: [f64; 2]) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min).max(1.0).log10().floor();
        let high = values.fold(1.0, f64::max).log10().ceil().max(low + 1.0);
        Self { low, high, ends }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.max(1.0).log10() - self.low) / (self.high - self.low);
        self.ends[0] + share * (self.ends[1] - self.ends[0])
    }

    /// Returns the powers of ten on the axis.
    fn powers(&self) -> impl Iterator<Item = f64> {
        (self.low as i32..=self.high as i32).map(|power| 10f64.powi(power))
    }
}

/// An SVG that is written line by line.
struct Svg(String);

impl Svg {
    fn new(height: f64, title: &str) -> Self {
        let ground = format!(
            r#"<rect class="ground" x="0.5" y="0.5" width="879" height="{}" rx="8"/>"#,
            height - 1.0
        );
        Self(format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img"
  aria-labelledby="title" font-family="ui-sans-serif, system-ui, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif" font-size="12">
  <title id="title">{title}</title>
  <style>
    .ground {{ fill: #f6f8fa; stroke: #d0d7de }}
    .text {{ fill: #1f2328 }}
    .dim {{ fill: #59636e }}
    .name {{ fill: #1f2328; font-weight: 600 }}
    .grid {{ stroke: #d0d7de }}
    .ours {{ fill: #0969da; stroke: #0969da }}
    .other {{ fill: #8c959f; stroke: #8c959f }}
    .line {{ fill: none; stroke-width: 2 }}
    .tail {{ opacity: 0.35 }}
    .dashed {{ stroke-dasharray: 5 4 }}
    @media (prefers-color-scheme: dark) {{
      .ground {{ fill: #151b23; stroke: #3d444d }}
      .text, .name {{ fill: #f0f6fc }}
      .dim {{ fill: #9198a1 }}
      .grid {{ stroke: #3d444d }}
      .ours {{ fill: #4493f8; stroke: #4493f8 }}
      .line {{ fill: none }}
    }}
  </style>
  {ground}
  <text class="name" x="24" y="28" font-size="14">{title}</text>
"#
        ))
    }

    fn text(&mut self, class: &str, [x, y]: [f64; 2], anchor: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.push(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
        ));
    }

    fn bar(&mut self, class: &str, [x, y]: [f64; 2], [width, height]: [f64; 2]) {
        self.push(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height}"/>"#
        ));
    }

    fn line(&mut self, class: &str, points: &[[f64; 2]]) {
        let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        self.push(format_args!(r#"<polyline class="{class}" points="{}"/>"#, points.join(" ")));
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.0, "  {element}").expect("a string grows");
    }

    fn end(self) -> String {
        self.0 + "</svg>\n"
    }
}

/// Draws what a call costs in each logger: a panel for each rate, and a bar for each logger.
pub fn bars(rows: &[Row]) -> String {
    let names: Vec<&str> = PEERS
        .iter()
        .map(|peer| peer.name)
        .filter(|name| ![SAMPLING, CLOCK].contains(name))
        .collect();
    let shown =
        |row: &&Row| !row.regex_first && BAR_MODES.contains(&row.mode) && names.contains(&row.peer);
    let values = rows.iter().filter(shown).flat_map(|row| [row.p50, row.p999]).flatten();
    let bottom = BARS_TOP + names.len() as f64 * BAR_STEP;
    let mut svg = Svg::new(bottom + 46.0, "What an event costs the caller");
    let note = "Bar: the median. Pale: up to p99.9, on a logarithmic axis. Only llm-audit redacts.";
    svg.text("dim", [24.0, bottom + 36.0], "start", note);
    for (line, name) in names.iter().enumerate() {
        svg.text("text", [160.0, BARS_TOP + 14.0 + line as f64 * BAR_STEP], "end", name);
    }
    for (column, mode) in BAR_MODES.iter().enumerate() {
        let left = 172.0 + column as f64 * 234.0;
        let axis = Axis::around(values.clone(), [left, left + 210.0]);
        svg.text("name", [left, 54.0], "start", mode);
        powers_below(&mut svg, &axis, bottom);
        for row in rows.iter().filter(shown).filter(|row| row.mode == *mode) {
            let line = names.iter().position(|name| *name == row.peer).expect("a shown row");
            bar(&mut svg, &axis, row, BARS_TOP + line as f64 * BAR_STEP);
        }
    }
    svg.end()
}

fn powers_below(svg: &mut Svg, axis: &Axis, bottom: f64) {
    for (number, power) in axis.powers().enumerate() {
        let x = axis.at(power);
        svg.line("grid", &[[x, BARS_TOP - 4.0], [x, bottom]]);
        // There is room for every second one.
        if number % 2 == 0 {
            svg.text("dim", [x, bottom + 14.0], "middle", &duration(power));
        }
    }
}

fn bar(svg: &mut Svg, axis: &Axis, row: &Row, top: f64) {
    let class = if row.peer == PEERS[0].name { "ours" } else { "other" };
    let bars = [(row.p999, format!("{class} tail")), (row.p50, class.to_owned())];
    for (ns, class) in bars {
        if let Some(ns) = ns {
            svg.bar(&class, [axis.ends[0], top + 2.0], [axis.at(ns) - axis.ends[0], 16.0]);
        }
    }
    if let Some(lost @ 1..) = row.lost {
        let lost = format!("{} lost", percent(lost, row.emitted));
        svg.text("text", [axis.ends[1], top + 14.0], "end", &lost);
    }
}

/// A line of a chart, with a value for each tick.
pub struct Series {
    pub name: String,
    pub ours: bool,
    pub dashed: bool,
    pub values: Vec<Option<f64>>,
}

/// A chart with a line for each series.
pub struct Lines {
    pub title: &'static str,
    /// The name of the axis, and its ticks.
    pub axis: &'static str,
    pub ticks: Vec<String>,
    pub series: Vec<Series>,
    /// Rows of text below the ticks, each with its name.
    pub below: Vec<(String, Vec<String>)>,
}

impl Lines {
    pub fn draw(&self) -> String {
        let (top, bottom) = (74.0, 300.0);
        let mut svg = Svg::new(bottom + 50.0 + 18.0 * self.below.len() as f64, self.title);
        let values = self.series.iter().flat_map(|series| &series.values).flatten().copied();
        let axis = Axis::around(values, [bottom, top]);
        for power in axis.powers() {
            svg.line("grid", &[[150.0, axis.at(power)], [856.0, axis.at(power)]]);
            svg.text("dim", [142.0, axis.at(power) + 4.0], "end", &duration(power));
        }
        self.draw_below(&mut svg, bottom);
        for (number, series) in self.series.iter().enumerate() {
            self.draw_series(&mut svg, &axis, series, 150.0 + 180.0 * number as f64);
        }
        svg.end()
    }

    fn x(&self, tick: usize) -> f64 {
        180.0 + 650.0 * tick as f64 / (self.ticks.len() - 1) as f64
    }

    fn draw_below(&self, svg: &mut Svg, bottom: f64) {
        let ticks = [(self.axis.to_owned(), self.ticks.clone())];
        for (line, (name, cells)) in ticks.iter().chain(&self.below).enumerate() {
            let y = bottom + 26.0 + 18.0 * line as f64;
            svg.text("dim", [24.0, y], "start", name);
            for (tick, cell) in cells.iter().enumerate() {
                svg.text("text", [self.x(tick), y], "middle", cell);
            }
        }
    }

    fn draw_series(&self, svg: &mut Svg, axis: &Axis, series: &Series, legend: f64) {
        let class = if series.ours { "ours" } else { "other" };
        let line = format!("{class} line{}", if series.dashed { " dashed" } else { "" });
        let values = series.values.iter().enumerate();
        let points: Vec<[f64; 2]> =
            values.filter_map(|(tick, ns)| Some([self.x(tick), axis.at((*ns)?)])).collect();
        svg.line(&line, &points);
        svg.line(&line, &[[legend, 50.0], [legend + 24.0, 50.0]]);
        svg.text("text", [legend + 30.0, 54.0], "start", &series.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_whole_powers_around_its_values() {
        let axis = Axis::around([250.0, 42_000.0].into_iter(), [0.0, 300.0]);
        assert_eq!(axis.powers().collect::<Vec<_>>(), [1e2, 1e3, 1e4, 1e5]);
        assert_eq!([axis.at(1e2), axis.at(1e3), axis.at(1e5)], [0.0, 100.0, 300.0]);
    }

    #[test]
    fn a_gap_in_a_series_is_left_out() {
        let values = vec![Some(100.0), None, Some(1000.0)];
        let ticks = ["1", "2", "3"].map(str::to_owned).to_vec();
        let series = Series { name: "p50 < all".to_owned(), ours: true, dashed: false, values };
        let lines = Lines { title: "t", axis: "a", ticks, series: vec![series], below: vec![] };
        let svg = lines.draw();
        assert!(svg.contains(r#"<polyline class="ours line" points="180.0,300.0 830.0,74.0"/>"#));
        assert!(svg.contains("p50 &lt; all"));
    }
}
