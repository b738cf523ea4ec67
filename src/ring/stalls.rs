//! A thread stopped at any point of a push holds up nobody, and its event has one end when it goes
//! on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use super::*;
use crate::sync::pause::{POINTS, ThreadStop};

/// The event of the thread that is stopped; the others' count from 0.
const STALLED: u64 = 1 << 40;
/// Points that a push passes in the logger.
const NOT_OF_THE_RING: usize = 2;

fn push(ring: &Arc<Ring>, n: u64) {
    loop {
        let mut chain = ring.begin_chain(usize::MAX, OnFull::Evict).expect("a buffer");
        // The memory is little: for a moment the drainer may have it all.
        if chain.put(&n.to_le_bytes()).is_ok() {
            assert!(matches!(ring.push(chain), Pushed::Stored { .. }));
            return;
        }
    }
}

/// What a drainer found.
#[derive(Default)]
struct Found {
    events: Vec<u64>,
    lost: u64,
}

impl Found {
    /// Takes what there is, or, for a flush, until every ticket below `settle` has its end.
    fn drain(&mut self, drainer: &mut Drainer, settle: Option<u64>) {
        let mut scratch = Vec::new();
        let mut seals = if settle.is_some() { u32::MAX } else { 0 };
        while let DrainStep::Taken(taken) = drainer.take_next(&mut seals, settle) {
            self.lost += taken.events_lost();
            if taken.is_event() {
                let bytes = drainer.event_bytes(&taken, &mut scratch);
                self.events.push(u64::from_le_bytes(bytes.try_into().unwrap()));
            }
            drainer.release(taken);
        }
        drainer.release_all();
        assert!(settle.is_none_or(|to| drainer.is_settled(to)), "a flush is done");
    }

    fn ends(&self) -> u64 {
        self.events.len() as u64 + self.lost
    }
}

/// A ring so full that one push passes every point, and how many events it has seen.
fn full() -> (Arc<Ring>, u64) {
    // Less memory than places: a push overwrites the oldest for its block, and then displaces the
    // tombstone.
    let ring = Ring::new(256, 200 * BLOCK_BYTES);
    (0..2000).for_each(|n| push(&ring, n));
    (ring, 2000)
}

/// Runs `body` while a thread is stopped at each of `points`. One after the other, since a thread
/// further on may have left what spares the next its way past a point.
fn stalled_at<R>(ring: &Arc<Ring>, points: &[&'static str], body: impl FnOnce() -> R) -> R {
    let mut stalled = Vec::new();
    for (n, point) in (STALLED..).zip(points) {
        let stop = ThreadStop::at_point(point);
        let thread = {
            let (ring, stop) = (ring.clone(), stop.clone());
            thread::spawn(move || stop.run_until_released(|| push(&ring, n)))
        };
        assert!(stop.wait_until_held(), "a push into a full ring passes {point}");
        stalled.push((stop, thread));
    }
    let result = body();
    stalled.iter().for_each(|(stop, _)| stop.release());
    stalled.into_iter().for_each(|(_, thread)| thread.join().unwrap());
    result
}

fn points() -> &'static [&'static str] {
    &POINTS[..POINTS.len() - NOT_OF_THE_RING]
}

/// Every event that was pushed has one end, those of the stopped threads too.
fn settle(ring: &Arc<Ring>, drainer: &mut Drainer, mut found: Found, pushed: u64) {
    found.drain(drainer, Some(ring.tail()));
    assert_eq!(found.ends(), pushed);
    assert_eq!(ring.count_events(), (0, 0));
    found.events.sort_unstable();
    assert!(found.events.windows(2).all(|pair| pair[0] != pair[1]), "none is taken twice");
}

/// If the other threads leave each other room, none of their events is lost. Each is taken without a
/// flush as soon as something is pushed after it.
#[test]
fn at_each_point_the_others_lose_nothing() {
    const BURST: u64 = 32;
    const BURSTS: u64 = 500;
    for point in points() {
        let (ring, before) = full();
        let mut drainer = Drainer::new(ring.clone());
        let found = stalled_at(&ring, &[point], || {
            let mut found = Found::default();
            found.drain(&mut drainer, Some(ring.tail()));
            for burst in 1..=BURSTS {
                let mut taken = Found::default();
                (0..BURST).for_each(|n| push(&ring, burst << 20 | n));
                taken.drain(&mut drainer, None);
                let own = taken.events.iter().filter(|n| **n < STALLED).count() as u64;
                assert_eq!((own, taken.lost), (BURST, 0), "{point}");
                found.events.append(&mut taken.events);
            }
            found
        });
        settle(&ring, &mut drainer, found, before + BURST * BURSTS + 1);
    }
}

/// With a thread stopped at every point at once, two others push a million events at full speed
/// against the drainer, and a flush returns.
#[test]
#[allow(clippy::print_stdout, reason = "real times are told, not asserted")]
fn with_threads_stopped_at_all_points_a_million_pushes_complete() {
    const EACH: u64 = 500_000;
    let (ring, before) = full();
    let mut drainer = Drainer::new(ring.clone());
    let are_done = AtomicBool::new(false);
    let found = stalled_at(&ring, points(), || {
        let begin = Instant::now();
        let found = thread::scope(|scope| {
            let draining = scope.spawn(|| {
                let mut found = Found::default();
                while !are_done.load(Ordering::Acquire) {
                    found.drain(&mut drainer, None);
                }
                found
            });
            let pushing = [1, 2].map(|thread| {
                let ring = &ring;
                scope.spawn(move || (0..EACH).for_each(|n| push(ring, thread << 32 | n)))
            });
            pushing.into_iter().for_each(|thread| thread.join().unwrap());
            are_done.store(true, Ordering::Release);
            draining.join().unwrap()
        });
        let (pushed, flush) = (begin.elapsed(), Instant::now());
        let mut found = found;
        found.drain(&mut drainer, Some(ring.tail()));
        println!("a million pushes in {pushed:?}, then a flush in {:?}", flush.elapsed());
        let published =
            found.ends() + ring.count_events().0 + ring.count_events().1 - before - 2 * EACH;
        assert!(published <= points().len() as u64, "only they are not counted yet");
        found
    });
    settle(&ring, &mut drainer, found, before + 2 * EACH + points().len() as u64);
}
