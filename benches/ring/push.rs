//! Measures one push into a full ring, next to `ArrayQueue::force_push`.
//!
//! Nothing drains, so every push overwrites the oldest event. Both copy the payload into the queue.
//! Neither encodes, redacts or wakes a thread. The bench does not show a drainer on another core,
//! between which cache lines would travel.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use crossbeam_queue::ArrayQueue;
use llm_audit::__bench::BenchRing;

use crate::common::{against, criterion, ns_per, on_threads, quick, title};

const CAPACITY: usize = 1024;
const BYTES: usize = 64 << 20;
const PRODUCERS: [usize; 4] = [1, 2, 3, 4];

/// Returns a ring after enough pushes to fill it.
fn full_ring<const SIZE: usize>() -> BenchRing {
    let ring = BenchRing::new(CAPACITY, BYTES);
    (0..2 * CAPACITY).for_each(|_| ring.push(&[7; SIZE]));
    ring
}

fn full_queue<const SIZE: usize>() -> ArrayQueue<[u8; SIZE]> {
    let queue = ArrayQueue::new(CAPACITY);
    for _ in 0..2 * CAPACITY {
        queue.force_push([7; SIZE]);
    }
    queue
}

/// Checks that a full ring holds as many events as its capacity.
fn check() {
    assert_eq!(full_ring::<8>().drain(), CAPACITY);
    assert_eq!(full_queue::<8>().len(), CAPACITY);
}

fn groups<const SIZE: usize>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("ring/{SIZE}_B"));
    let (ring, queue) = (full_ring::<SIZE>(), full_queue::<SIZE>());
    for producers in PRODUCERS {
        group.bench_function(BenchmarkId::new("llm-audit", producers), |bencher| {
            bencher.iter_custom(|steps| {
                on_threads(producers, steps, || ring.push(black_box(&[7; SIZE])))
            });
        });
        group.bench_function(BenchmarkId::new("force_push", producers), |bencher| {
            bencher.iter_custom(|steps| {
                on_threads(producers, steps, || queue.force_push(black_box([7; SIZE])))
            });
        });
    }
}

fn closing_lines<const SIZE: usize>() {
    let (ring, queue) = (full_ring::<SIZE>(), full_queue::<SIZE>());
    let steps = if quick() { 1_000 } else { 1_000_000 };
    for producers in PRODUCERS {
        let (ours, peer) = against(
            || ns_per(steps, on_threads(producers, steps, || ring.push(black_box(&[7; SIZE])))),
            || {
                let push = || queue.force_push(black_box([7; SIZE]));
                ns_per(steps, on_threads(producers, steps, push))
            },
        );
        let each = producers as f64;
        println!(
            "{SIZE:>4} B {producers} producers: {:>5.1} ns per push, {:>11.0} pushes/s, {:.2}x the \
             speed of force_push ({:.1} ns)",
            ours / each,
            each * 1e9 / ours,
            peer / ours,
            peer / each,
        );
    }
}

/// Checks both queues, then measures and prints.
pub fn run() {
    check();
    let mut criterion = criterion();
    groups::<8>(&mut criterion);
    groups::<256>(&mut criterion);
    criterion.final_summary();
    title("ring: one push into a full ring of 1,024; ns are wall time over all pushes");
    closing_lines::<8>();
    closing_lines::<256>();
}
