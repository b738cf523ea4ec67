//! What was counted since an earlier time.

use std::collections::HashMap;

use llm_audit_log::schema::MetricsRow;

/// Returns what the rows have counted since `earlier`, an earlier state of the same counters. Rows without new
/// events are left out.
pub(crate) fn rows_since(rows: &[MetricsRow], earlier: &[MetricsRow]) -> Vec<MetricsRow> {
    let earlier: HashMap<_, _> = earlier.iter().map(|row| (labels(row), row)).collect();
    let since = |row: &MetricsRow| match earlier.get(&labels(row)) {
        Some(before) => row.clone().since(before),
        None => row.clone(),
    };
    rows.iter().map(since).filter(|row| row.events > 0).collect()
}

fn labels(row: &MetricsRow) -> [&str; 6] {
    let MetricsRow { event_type, agent, action, model, tenant, .. } = row;
    [event_type, row.status.name(), agent, action, model, tenant]
}
