//! What the recorder counts and measures beside events, under the names that all exports have.

use super::{Accounting, Metrics, ShippingHealth, Timings};

/// Counts with one label: of a counter or a gauge.
pub(crate) struct OwnCounter {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) unit: OwnUnit,
    /// Empty if there is none.
    pub(crate) label: &'static str,
    pub(crate) counts: Vec<(String, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnUnit {
    Events,
    Bytes,
    Redactions,
    Seconds,
    Other,
}

/// How long something took.
pub(crate) struct OwnTiming<'a> {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) timings: &'a Timings,
}

pub(crate) fn own_counters(metrics: &Metrics, accounting: &Accounting) -> Vec<OwnCounter> {
    // What is queued has no end yet.
    let ends = accounting.ends().into_iter().filter(|(end, _)| *end != "queued");
    let redactions = accounting.redactions.iter().filter(|(_, count)| *count > 0);
    let faults = [
        ("unserializable", accounting.unserializable),
        ("truncated", accounting.truncated),
        ("export_errors", accounting.export_errors),
        ("unpriced", accounting.unpriced),
        ("unmetered", accounting.unmetered),
        ("hold_full", accounting.hold_full),
        ("label_sets", metrics.others),
    ];
    let mut counters = vec![
        OwnCounter {
            name: "recorder_events",
            description: "What became of events",
            unit: OwnUnit::Events,
            label: "end",
            counts: named(ends),
        },
        OwnCounter {
            name: "redactions",
            description: "Redactions, in events that were kept or held",
            unit: OwnUnit::Redactions,
            label: "kind",
            counts: named(redactions.map(|(kind, count)| (kind.name(), count))),
        },
        OwnCounter {
            name: "recorder_faults",
            description: "What the recorder could not do in full",
            unit: OwnUnit::Other,
            label: "kind",
            counts: named(faults),
        },
        OwnCounter {
            name: "written",
            description: "Bytes that were written to the files of the log",
            unit: OwnUnit::Bytes,
            label: "",
            counts: vec![(String::new(), metrics.bytes_written)],
        },
        OwnCounter {
            name: "counts",
            description: "Counters of the application",
            unit: OwnUnit::Other,
            label: "name",
            counts: named(metrics.counters.iter().map(|(name, count)| (&**name, *count))),
        },
    ];
    if !metrics.shipping.is_empty() {
        counters.extend(shipping_counters(metrics));
    }
    counters
}

/// Counts of the destinations that this process ships to.
fn shipping_counters(metrics: &Metrics) -> [OwnCounter; 3] {
    let held = || metrics.shipping.iter().filter(|of| of.is_held_here);
    [
        OwnCounter {
            name: "ship_sent",
            description: "Events that were shipped, with those that were refused",
            unit: OwnUnit::Events,
            label: "destination",
            counts: named(held().map(|of| (&*of.destination, of.sent))),
        },
        OwnCounter {
            name: "ship_refused",
            description: "Events that a destination refused for good",
            unit: OwnUnit::Events,
            label: "destination",
            counts: named(held().map(|of| (&*of.destination, of.refused))),
        },
        OwnCounter {
            name: "ship_lost",
            description: "Events that retention removed before they were shipped",
            unit: OwnUnit::Events,
            label: "destination",
            counts: named(held().map(|of| (&*of.destination, of.lost))),
        },
    ]
}

/// Returns how far the destinations are that this process ships to.
pub(crate) fn own_gauges(metrics: &Metrics) -> [OwnCounter; 3] {
    let held = || metrics.shipping.iter().filter(|of| of.is_held_here);
    let lags = |lag: fn(&ShippingHealth) -> Option<u64>| {
        named(held().filter_map(|of| Some((&*of.destination, lag(of)?))))
    };
    [
        OwnCounter {
            name: "ship_lag_events",
            description: "About how many events a destination has not got",
            unit: OwnUnit::Events,
            label: "destination",
            counts: lags(|of| of.lag_events),
        },
        OwnCounter {
            name: "ship_lag_bytes",
            description: "Bytes of the log that a destination has not got",
            unit: OwnUnit::Bytes,
            label: "destination",
            counts: lags(|of| of.lag_bytes),
        },
        OwnCounter {
            name: "ship_lag_seconds",
            description: "The age of the last event that a destination has got, if others wait",
            unit: OwnUnit::Seconds,
            label: "destination",
            // Without an age nothing waits.
            counts: lags(|of| of.lag_bytes.map(|_| of.lag_seconds.unwrap_or(0))),
        },
    ]
}

pub(crate) fn own_timings(metrics: &Metrics) -> [OwnTiming<'_>; 2] {
    [
        OwnTiming {
            name: "write_latency",
            description: "How long writes of batches took",
            timings: &metrics.writes,
        },
        OwnTiming {
            name: "sync_latency",
            description: "How long syncs of files took",
            timings: &metrics.syncs,
        },
    ]
}

fn named<'a>(counts: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<(String, u64)> {
    counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}
