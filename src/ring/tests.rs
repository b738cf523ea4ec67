//! The ring as the logger and the writer use it: order, counts, memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;

use super::*;

fn push(ring: &Arc<Ring>, payload: &[u8]) -> Pushed {
    let mut chain = ring.begin_chain(usize::MAX, OnFull::Evict).expect("a buffer");
    chain.put(payload).expect("room");
    ring.push(chain)
}

/// Takes all there is: the events' bytes, and how many were overwritten.
fn drain(drainer: &mut Drainer) -> (Vec<Vec<u8>>, u64) {
    let (mut events, mut lost, mut scratch) = (Vec::new(), 0, Vec::new());
    let mut seals = u32::MAX;
    while let DrainStep::Taken(taken) = drainer.take_next(&mut seals, None) {
        lost += taken.events_lost();
        if taken.is_event() {
            events.push(drainer.event_bytes(&taken, &mut scratch).to_vec());
        }
        drainer.release(taken);
    }
    drainer.release_all();
    (events, lost)
}

fn number(n: u64) -> [u8; 8] {
    n.to_le_bytes()
}

#[test]
fn events_come_out_in_order() {
    let ring = Ring::new(64, 1 << 20);
    let mut drainer = Drainer::new(ring.clone());
    for n in 0..1000 {
        push(&ring, &number(n));
        if n % 50 == 49 {
            let (events, lost) = drain(&mut drainer);
            assert_eq!(events, (n - 49..=n).map(|n| number(n).to_vec()).collect::<Vec<_>>());
            assert_eq!(lost, 0);
        }
    }
}

#[test]
fn the_oldest_are_overwritten_and_counted() {
    let ring = Ring::new(64, 1 << 20);
    let mut drainer = Drainer::new(ring.clone());
    for n in 0..200 {
        push(&ring, &number(n));
    }
    assert_eq!(ring.count_events(), (64, 136));
    let (events, lost) = drain(&mut drainer);
    assert_eq!(events, (136..200).map(|n| number(n).to_vec()).collect::<Vec<_>>());
    assert_eq!(lost, 136);
    assert_eq!(ring.count_events(), (0, 0));
}

#[test]
fn capacity_is_rounded_up_within_its_bounds() {
    for (asked, capacity) in [(0, 64), (64, 64), (65, 128), (10_000, 16_384)] {
        assert_eq!(Ring::new(asked, 1 << 20).slots.capacity(), capacity);
    }
}

#[test]
fn a_closed_ring_refuses_and_gives_the_buffer_back() {
    let ring = Ring::new(64, 1 << 20);
    let mut drainer = Drainer::new(ring.clone());
    push(&ring, b"before");
    let end = ring.close();
    drainer.fix_end(end);
    for _ in 0..1000 {
        assert_eq!(push(&ring, b"after"), Pushed::Closed);
    }
    assert_eq!(drain(&mut drainer), (vec![b"before".to_vec()], 0));
    assert!(drainer.is_settled(end));
}

#[test]
fn every_length_survives_the_blocks() {
    let ring = Ring::new(64, 1 << 20);
    let mut drainer = Drainer::new(ring.clone());
    let mut rng = fastrand::Rng::with_seed(1);
    for len in (0..40).chain(1000..1060).chain(2040..2060).chain([10_000, 100_000]) {
        let payload: Vec<u8> = (0..len).map(|_| rng.u8(..)).collect();
        let mut chain = ring.begin_chain(usize::MAX, OnFull::Evict).unwrap();
        let mut rest = &payload[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rng.usize(1..=rest.len()));
            chain.put(piece).unwrap();
            rest = after;
        }
        assert_eq!(chain.len(), len);
        ring.push(chain);
        assert_eq!(drain(&mut drainer), (vec![payload], 0), "{len} bytes");
    }
}

#[test]
fn rewinding_forgets_and_frees() {
    let ring = Ring::new(64, 64 << 10);
    let before = ring.arena.blocks.count_free();
    let mut rng = fastrand::Rng::with_seed(2);
    for _ in 0..500 {
        let mut chain = ring.begin_chain(usize::MAX, OnFull::Evict).unwrap();
        let kept = vec![1; rng.usize(0..3000)];
        chain.put(&kept).unwrap();
        let mark = chain.mark();
        chain.put(&vec![2; rng.usize(0..5000)]).unwrap();
        chain.rewind(mark);
        chain.put(&[3; 10]).unwrap();
        assert_eq!(chain.to_vec(), [kept, vec![3; 10]].concat());
    }
    // The thread's spare keeps one.
    assert_eq!(ring.arena.blocks.count_free(), before - 1);
}

#[test]
fn the_limit_holds_to_the_byte() {
    let ring = Ring::new(64, 64 << 10);
    let mut chain = ring.begin_chain(2000, OnFull::Evict).unwrap();
    assert_eq!(chain.put(&[0; 1999]), Ok(()));
    assert_eq!(chain.put(&[0; 2]), Err(ChainFull::Limit));
    assert_eq!(chain.put(&[0; 1]), Ok(()));
    assert_eq!(chain.put(&[0; 1]), Err(ChainFull::Limit));
}

#[test]
fn without_memory_the_oldest_events_make_room() {
    // 64 blocks, so the ring is full of memory long before it is full of events.
    let ring = Ring::new(1024, 64 << 10);
    let mut drainer = Drainer::new(ring.clone());
    for n in 0..200 {
        push(&ring, &number(n));
    }
    let (queued, lost) = ring.count_events();
    assert_eq!(queued + lost, 200);
    assert!((60..=64).contains(&queued), "{queued}");
    let (events, lost) = drain(&mut drainer);
    let newest = (200 - events.len() as u64..200).map(|n| number(n).to_vec());
    assert_eq!(events, newest.collect::<Vec<_>>());
    assert_eq!(events.len() as u64 + lost, 200);
}

#[test]
fn an_event_too_large_for_the_memory_says_so_and_harms_eight() {
    let ring = Ring::new(1024, 64 << 10);
    for n in 0..60 {
        push(&ring, &number(n));
    }
    let mut chain = ring.begin_chain(usize::MAX, OnFull::Evict).unwrap();
    assert_eq!(chain.put(&vec![0; 63 << 10]), Err(ChainFull::Memory));
    drop(chain);
    assert_eq!(ring.count_events(), (52, 8));
}

#[test]
fn a_thread_that_ends_gives_its_spare_back() {
    let ring = Ring::new(64, 1 << 20);
    let mut drainer = Drainer::new(ring.clone());
    let (blocks, buffers) = (ring.arena.blocks.count_free(), ring.buffers.count_free());
    std::thread::scope(|scope| {
        for n in 0..8 {
            let ring = &ring;
            scope.spawn(move || {
                for _ in 0..20 {
                    push(ring, &number(n));
                }
            });
        }
    });
    drain(&mut drainer);
    // The scope may end before the threads' locals are dropped; a join is not enough to know.
    while ring.spares.load(Ordering::Relaxed) > 0 {
        std::thread::yield_now();
    }
    let all_back =
        || ring.arena.blocks.count_free() == blocks && ring.buffers.count_free() == buffers;
    while !all_back() {
        std::thread::yield_now();
    }
}

#[test]
fn a_spare_outlives_its_ring() {
    let ring = Ring::new(64, 1 << 20);
    push(&ring, b"x");
    push(&ring, b"y");
    drop(ring);
    let other = Ring::new(64, 1 << 20);
    push(&other, b"z");
    assert_eq!(drain(&mut Drainer::new(other)), (vec![b"z".to_vec()], 0));
}

/// Producers run at full speed against the drainer, with events of all sizes. Every event is taken once
/// or counted, and what is taken is whole. Each producer's events stay in order, except those that a jump
/// passed and that were swept later.
#[test]
fn under_load_every_event_has_one_end() {
    for (capacity, bytes, seed) in [(64, 1 << 20, 1), (256, 64 << 10, 2), (4096, 1 << 22, 3)] {
        let ring = Ring::new(capacity, bytes);
        let pushed = AtomicU64::new(0);
        let done = AtomicBool::new(false);
        let (events, lost) = std::thread::scope(|scope| {
            let drainer = scope.spawn(|| {
                let mut drainer = Drainer::new(ring.clone());
                let (mut events, mut lost) = (Vec::new(), 0);
                loop {
                    let last = done.load(Ordering::Acquire);
                    let (some, more) = drain(&mut drainer);
                    events.extend(some);
                    lost += more;
                    if last {
                        return (events, lost);
                    }
                }
            });
            let producers: Vec<_> = (0..3_u64)
                .map(|producer| {
                    let (ring, pushed) = (&ring, &pushed);
                    scope.spawn(move || {
                        let mut rng = fastrand::Rng::with_seed(seed * 10 + producer);
                        for n in 0..20_000_u64 {
                            let id = producer << 32 | n;
                            let len = if rng.u8(..) == 0 {
                                rng.usize(0..9000)
                            } else {
                                rng.usize(0..200)
                            };
                            // None if the drainer, who gives nothing back before it has all,
                            // holds every buffer at the moment.
                            let Some(mut chain) = ring.begin_chain(usize::MAX, OnFull::Evict)
                            else {
                                continue;
                            };
                            let mut event = id.to_le_bytes().to_vec();
                            event.resize(8 + len, n as u8);
                            if chain.put(&event).is_ok() {
                                ring.push(chain);
                                pushed.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    })
                })
                .collect();
            let ended: Vec<_> = producers.into_iter().map(ScopedJoinHandle::join).collect();
            done.store(true, Ordering::Release);
            assert!(ended.iter().all(Result::is_ok), "a producer panicked");
            drainer.join().unwrap()
        });
        assert!(pushed.load(Ordering::Relaxed) > 0);
        assert_eq!(events.len() as u64 + lost, pushed.load(Ordering::Relaxed));
        let mut ids: Vec<u64> = events
            .iter()
            .map(|event| {
                let id = u64::from_le_bytes(event[..8].try_into().unwrap());
                assert!(event[8..].iter().all(|byte| *byte == id as u8), "torn");
                id
            })
            .collect();
        ids.sort_unstable();
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "twice");
        assert_eq!(ring.count_events(), (0, 0));
    }
}

/// Three lanes and their drainers.
fn lanes(capacity: usize, bytes: usize) -> (Lanes<Arc<Ring>>, Lanes<Drainer>) {
    let rings = Lanes::new(capacity, bytes, bytes);
    let drainers = Lanes::drainers_over(&rings);
    (rings, drainers)
}

#[test]
fn sleep_is_refused_while_something_is_left_in_any_lane() {
    let (rings, mut drainers) = lanes(64, 1 << 20);
    for lane in [&rings.primary, &rings.secondary, &rings.held] {
        push(lane, b"x");
        assert!(!drainers.may_sleep());
        // If it is refused, it leaves no flag.
        for lane in [&rings.primary, &rings.secondary, &rings.held] {
            assert_eq!(push(lane, b"y"), Pushed::Stored { wake: false });
        }
        drain(&mut drainers.primary);
        drain(&mut drainers.secondary);
        drain(&mut drainers.held);
        assert!(drainers.may_sleep());
        for lane in [&rings.primary, &rings.secondary, &rings.held] {
            assert_eq!(push(lane, b"y"), Pushed::Stored { wake: true });
        }
        drainers.clear_sleep();
        for lane in [&rings.primary, &rings.secondary, &rings.held] {
            assert_eq!(push(lane, b"z"), Pushed::Stored { wake: false });
        }
        drain(&mut drainers.primary);
        drain(&mut drainers.secondary);
        drain(&mut drainers.held);
    }
}

/// Takes all there is in every lane.
fn drain_all(drainers: &mut Lanes<Drainer>) {
    let Lanes { primary, secondary, held } = drainers;
    for lane in [primary, secondary, held] {
        drain(lane);
    }
}

/// At a steady rate no event wakes the writer, however many come: each nap ends by itself.
#[test]
fn no_event_of_a_steady_rate_wakes_a_nap() {
    let (rings, mut drainers) = lanes(64, 1 << 20);
    for lane in [&rings.secondary, &rings.held] {
        for nap in 0..1000 {
            assert!(drainers.may_nap());
            // From no event in a nap to just below a quarter of the slots.
            for _ in 0..nap % 16 {
                assert_eq!(push(lane, b"x"), Pushed::Stored { wake: false });
            }
            drainers.end_nap();
            drain_all(&mut drainers);
        }
    }
}

#[test]
fn an_error_wakes_a_nap_and_only_a_nap() {
    let (rings, mut drainers) = lanes(64, 1 << 20);
    assert!(drainers.may_nap());
    assert_eq!(push(&rings.primary, b"x"), Pushed::Stored { wake: true });
    drainers.end_nap();
    assert_eq!(push(&rings.primary, b"y"), Pushed::Stored { wake: false });
    assert!(!drainers.may_nap(), "errors are waiting");
    assert_eq!(push(&rings.primary, b"z"), Pushed::Stored { wake: false }, "it left no flag");
    drain_all(&mut drainers);
    assert!(drainers.may_nap());
}

/// The events of a nap never get far beyond a quarter of the slots, from any position on.
#[test]
fn a_lane_that_fills_up_wakes_a_nap() {
    let (rings, mut drainers) = lanes(64, 1 << 20);
    for lane in [&rings.secondary, &rings.held] {
        for before in 0..64 {
            (0..before).for_each(|_| _ = push(lane, b"x"));
            drain_all(&mut drainers);
            let wakes = |_: &u64| push(lane, b"x") == Pushed::Stored { wake: true };
            let first = (1..64).find(wakes);
            assert!(first.is_some_and(|events| (17..=32).contains(&events)), "{first:?}");
            drain_all(&mut drainers);
        }
    }
}

/// A producer that stops before it wakes is not the only one that could.
#[test]
fn a_stopped_producer_at_the_mark_leaves_the_wake_to_the_next() {
    let ring = Ring::new(64, 1 << 20);
    (0..16).for_each(|_| _ = push(&ring, b"x"));
    assert_eq!(ring.slots.draw_ticket(), Some((16, true)));
    let wakes: Vec<_> = (17..33).map(|_| push(&ring, b"x")).collect();
    assert_eq!(wakes.iter().position(|pushed| *pushed == Pushed::Stored { wake: true }), Some(15));
}

/// The memory may be used up long before the slots are.
#[test]
fn an_event_that_overwrites_for_memory_wakes_a_nap() {
    let ring = Ring::new(4096, 8 * BLOCK_BYTES);
    let wakes = (0..12).map(|_| push(&ring, b"x") == Pushed::Stored { wake: true });
    assert_eq!(wakes.collect::<Vec<_>>(), [vec![false; 8], vec![true; 4]].concat());
}

#[test]
fn lanes_divide_places_and_memory() {
    for (asked, others, errors, held) in
        [(1, 64, 64, 64), (256, 256, 64, 256), (10_000, 16_384, 4096, 2048)]
    {
        let rings = Lanes::new(asked, 16 << 20, 2 << 20);
        assert_eq!(rings.held.slots.capacity(), held, "a place for every block");
        assert_eq!(rings.secondary.slots.capacity(), others);
        assert_eq!(rings.primary.slots.capacity(), errors);
        let bytes = |ring: &Ring| ring.arena.block_count() as usize * BLOCK_BYTES;
        let (of_errors, of_others) = (bytes(&rings.primary), bytes(&rings.secondary));
        assert!((4 << 20) - of_errors < BLOCK_BYTES, "{of_errors}");
        assert!((12 << 20) - of_others < BLOCK_BYTES, "{of_others}");
    }
}

/// A flood in one lane takes nothing of the other: neither its places nor, when the memory is used
/// up by long events, its memory.
#[test]
fn a_flood_in_one_lane_leaves_the_other_alone() {
    for payload in [8, 5000] {
        let (rings, mut drainers) = lanes(64, 256 << 10);
        for n in 0..40 {
            push(&rings.primary, &number(n));
        }
        for n in 0..1000 {
            push(&rings.secondary, &vec![n as u8; payload]);
            push(&rings.held, &vec![n as u8; payload]);
        }
        assert_eq!(rings.primary.count_events(), (40, 0));
        let (queued, lost) = rings.secondary.count_events();
        assert!(queued <= 64 && queued + lost == 1000, "{queued} {lost}");
        let count = rings.count();
        assert_eq!((count.primary, count.secondary), ((40, 0), (queued, lost)));
        assert_eq!(count.held.0 + count.held.1, 1000);
        let all = (0..40).map(|n| number(n).to_vec()).collect();
        assert_eq!(drain(&mut drainers.primary), (all, 0));
        let (events, lost) = drain(&mut drainers.secondary);
        assert_eq!(events.len() as u64 + lost, 1000);
    }
}

#[test]
fn tickets_reach_others_in_all_lanes_or_not_at_all() {
    let tickets = |primary, secondary, held| Tickets { primary, secondary, held };
    assert!(tickets(3, 5, 7).reach(tickets(3, 5, 7)));
    for short in [tickets(2, 9, 9), tickets(9, 4, 9), tickets(9, 9, 6)] {
        assert!(!short.reach(tickets(3, 5, 7)));
    }
    assert_eq!(tickets(1, 9, 2).max(tickets(3, 5, 7)), tickets(3, 9, 7));
}
