//! Merging sets until few are left.

/// Merges items until only `count` are left, so that few places are mistaken for one. In each turn
/// the two items become one that add the least weight together.
pub(super) fn merge_into<T: Copy>(
    count: usize,
    items: Vec<T>,
    merge: impl Fn(&T, &T) -> T,
    merged_weight: impl Fn(&T, &T) -> f32,
) -> Vec<T> {
    let weight = |item: &T| merged_weight(item, item);
    let mut items: Vec<_> = items.into_iter().map(|item| (item, weight(&item))).collect();
    // What both add together.
    let more = |one: &(T, f32), other: &(T, f32)| merged_weight(&one.0, &other.0) - one.1 - other.1;
    // The later item that fits best with each.
    let best = |items: &[(T, f32)], i: usize| {
        let all = (i + 1..items.len()).map(|j| (j, more(&items[i], &items[j])));
        all.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((i, f32::INFINITY))
    };
    let mut pairs: Vec<_> = (0..items.len()).map(|i| best(&items, i)).collect();
    while items.len() > count {
        let least = (0..pairs.len()).min_by(|&a, &b| pairs[a].1.total_cmp(&pairs[b].1));
        let Some(one) = least else { break };
        let other = pairs[one].0;
        let merged = merge(&items[one].0, &items[other].0);
        items[one] = (merged, weight(&merged));
        let last = items.len() - 1;
        items.swap_remove(other);
        pairs.swap_remove(other);
        for i in 0..last {
            if i == one || i == other || [one, other, last].contains(&pairs[i].0) {
                pairs[i] = best(&items, i);
            } else if i < one {
                let more = more(&items[i], &items[one]);
                if more < pairs[i].1 {
                    pairs[i] = (one, more);
                }
            }
        }
    }
    items.into_iter().map(|(item, _)| item).collect()
}
