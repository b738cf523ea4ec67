//! Models of the ring under loom. Every event has exactly one end, no buffer is lost or doubled, and no
//! two threads touch a payload at the same time.
//!
//! A stalled producer is a thread that draws a ticket and never publishes. Every deliberate defect
//! of [`MUTANTS`] must make some model fail: `ci/loom-mutants.sh`.
#![allow(unsafe_code)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::free::{FreeList, NONE};
use super::slots::{DrainCursor, DrainStep, Slots};

/// Names that `LLM_AUDIT_MUTANT` understands.
///
/// `nap_unflagged`, `sleep_as_nap`, `request_after_wake`, `release_undrained`, `end_unsettled` and `close_unresolved` change
/// steps of a model, in which the model does what the writer does. The others change the code itself.
const MUTANTS: [&str; 26] = [
    "free_pop",
    "free_push",
    "publish_load",
    "publish",
    "publish_again",
    "take_load",
    "take_again",
    "evict_load",
    "evict",
    "count_early",
    "drop_seal",
    "take_old_lap",
    "forget_jumped",
    "sweep_without_seal",
    "sleep_unchecked",
    "sleep_on_one_flag",
    "sleep_by_one_lane",
    "sleep_without_held",
    "nap_unflagged",
    "sleep_as_nap",
    "drop_mark",
    "request_after_wake",
    "release_undrained",
    "end_unsettled",
    "drop_wake",
    "close_unresolved",
];

#[test]
fn loom_list_mutants() {
    for name in MUTANTS {
        println!("mutant: {name}");
    }
}

/// A payload that loom watches: two threads at it at once fail the model.
struct Payload(UnsafeCell<u64>);

// SAFETY: this is not upheld but checked. If two threads touch one at once, loom fails the model.
unsafe impl Sync for Payload {}

struct World {
    slots: Slots,
    free: FreeList,
    payloads: Vec<Payload>,
}

/// What a drainer found.
#[derive(Default)]
struct Found {
    events: Vec<u64>,
    lost: u64,
}

impl World {
    fn new(shift: u32, buffers: u32) -> Arc<Self> {
        Arc::new(Self {
            slots: Slots::new(shift, buffers),
            free: FreeList::with_all_free(buffers),
            payloads: (0..=buffers).map(|_| Payload(UnsafeCell::new(0))).collect(),
        })
    }

    fn write(&self, index: u32, value: u64) {
        // SAFETY: loom checks that nobody else is at it.
        self.payloads[index as usize].0.with_mut(|at| unsafe { *at = value });
    }

    fn read(&self, index: u32) -> u64 {
        // SAFETY: loom checks that nobody writes it.
        self.payloads[index as usize].0.with(|at| unsafe { *at })
    }

    /// Writes `event` into a free buffer.
    fn prepare(&self, event: u64) -> u32 {
        let index = self.free.pop().expect("a buffer for every thread");
        self.write(index, event);
        index
    }

    fn give_back(&self, index: u32) {
        if index != NONE {
            // Whoever owns a buffer may write it.
            self.write(index, 0);
            self.free.push_chain(index, index);
        }
    }

    /// Pushes `event`; `false` when the ring is closed. The second answer: wake the drainer.
    fn push(&self, event: u64) -> (bool, bool) {
        let index = self.prepare(event);
        match self.slots.push(index) {
            Some((displaced, wake)) => {
                self.give_back(displaced);
                (true, wake)
            }
            None => {
                self.give_back(index);
                (false, false)
            }
        }
    }

    /// Up to `steps` looks, then whatever the drainer has found.
    fn drain(&self, drain: &mut DrainCursor, found: &mut Found, steps: usize, seal: bool) {
        let mut seals = if seal { u32::MAX } else { 0 };
        for _ in 0..steps {
            match drain.take_next(&self.slots, &mut seals, None) {
                DrainStep::Taken(taken) => {
                    found.lost += taken.events_lost();
                    if taken.is_event() {
                        found.events.push(self.read(taken.index));
                    }
                    self.give_back(taken.index);
                }
                DrainStep::Unready => thread::yield_now(),
                DrainStep::Empty => return,
            }
        }
    }

    /// The second step of a producer whose ticket was drawn long ago.
    fn publish_late(&self, ticket: u64, index: u32) {
        match self.slots.publish_at_ticket(ticket, index) {
            Some(displaced) => self.give_back(displaced),
            None => match self.slots.push(index) {
                Some((displaced, _)) => self.give_back(displaced),
                None => unreachable!("nobody closes"),
            },
        }
    }

    /// Drains as the writer does for a flush: an event, then a look whether `to` is settled.
    fn flush(&self, drain: &mut DrainCursor, found: &mut Found, to: u64) {
        while !drain.is_settled(to) {
            match drain.take_next(&self.slots, &mut u32::MAX.clone(), Some(to)) {
                DrainStep::Taken(taken) => {
                    found.lost += taken.events_lost();
                    found.events.push(self.read(taken.index));
                    self.give_back(taken.index);
                }
                DrainStep::Unready => thread::yield_now(),
                DrainStep::Empty => break,
            }
        }
    }

    /// With all producers gone: drains the rest and checks the books.
    fn settle(&self, mut drain: DrainCursor, mut found: Found, pushed: u64, buffers: u32) -> Found {
        self.drain(&mut drain, &mut found, usize::MAX, true);
        assert_eq!(found.events.len() as u64 + found.lost, pushed, "every event has one end");
        let mut seen = found.events.clone();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), found.events.len(), "no event twice");
        assert!(!seen.contains(&0), "no buffer read after it was given back");
        assert_eq!(self.slots.count_events(), (0, 0), "nothing is left");
        assert_eq!(self.free.count_free(), buffers as usize, "every buffer is free again");
        found
    }
}

fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(body);
}

fn spawn<T: 'static>(
    world: &Arc<World>,
    body: impl FnOnce(&World) -> T + 'static,
) -> thread::JoinHandle<T> {
    let world = world.clone();
    thread::spawn(move || body(&world))
}

/// Two producers and the drainer, on one slot and on two.
fn two_producers(shift: u32, each: u64) {
    model(move || {
        let buffers = 4 + 2;
        let world = World::new(shift, buffers);
        let producers = [1, 10].map(|first| {
            spawn(&world, move |world| {
                for event in first..first + each {
                    world.push(event);
                }
            })
        });
        let (mut drain, mut found) = (DrainCursor::default(), Found::default());
        world.drain(&mut drain, &mut found, 2, true);
        for producer in producers {
            producer.join().unwrap();
        }
        world.settle(drain, found, 2 * each, buffers);
    });
}

#[test]
fn loom_two_producers_one_slot() {
    two_producers(0, 1);
}

#[test]
fn loom_two_producers_two_slots() {
    two_producers(1, 1);
}

#[test]
fn loom_overwrite_against_drain() {
    model(|| {
        let world = World::new(0, 5);
        let producer = spawn(&world, |world| {
            for event in 1..=3 {
                world.push(event);
            }
        });
        let (mut drain, mut found) = (DrainCursor::default(), Found::default());
        world.drain(&mut drain, &mut found, 3, false);
        producer.join().unwrap();
        let found = world.settle(drain, found, 3, 5);
        assert!(found.events.is_sorted(), "one producer's events stay in order");
        assert_eq!(found.events.last(), Some(&3), "the newest survives");
    });
}

/// Displacing a buffer hands it over: who overwrites may write into it at once.
#[test]
fn loom_overwrite_only() {
    model(|| {
        let world = World::new(0, 4);
        let producer = spawn(&world, |world| {
            world.push(1);
        });
        world.push(2);
        producer.join().unwrap();
        world.settle(DrainCursor::default(), Found::default(), 2, 4);
    });
}

/// A thread that stops after drawing its ticket holds up neither the others nor the drainer.
#[test]
fn loom_stalled_for_ever() {
    model(|| {
        let world = World::new(1, 5);
        let stalled = spawn(&world, |world| {
            let index = world.prepare(9);
            world.slots.draw_ticket().unwrap();
            index
        });
        let producer = spawn(&world, |world| {
            world.push(1);
        });
        let (mut drain, mut found) = (DrainCursor::default(), Found::default());
        world.drain(&mut drain, &mut found, 2, true);
        producer.join().unwrap();
        let held = stalled.join().unwrap();
        world.give_back(held);
        world.settle(drain, found, 1, 5);
    });
}

/// A ticket sealed under a slow producer makes it draw another; its event is not lost.
#[test]
fn loom_seal_against_publish() {
    model(|| {
        let world = World::new(1, 4);
        let producer = spawn(&world, |world| {
            world.push(1);
        });
        let (mut drain, mut found) = (DrainCursor::default(), Found::default());
        world.drain(&mut drain, &mut found, 3, true);
        producer.join().unwrap();
        let found = world.settle(drain, found, 1, 4);
        assert_eq!(found.events, [1]);
    });
}

/// The drainer takes the buffer of an older lap while the ticket's own producer is at it.
#[test]
fn loom_take_of_an_older_lap() {
    model(|| {
        let world = World::new(0, 4);
        world.push(1);
        // Lapped: the next look jumps over ticket 0 to ticket 1, whose slot holds lap 1 still.
        let producer = spawn(&world, |world| {
            world.push(2);
        });
        let (mut drain, mut found) = (DrainCursor::default(), Found::default());
        world.drain(&mut drain, &mut found, 3, true);
        producer.join().unwrap();
        world.settle(drain, found, 2, 4);
    });
}

/// What a jump passes is swept, and sealed, before the drainer calls the ring empty.
#[test]
fn loom_jump_and_sweep() {
    model(|| {
        let world = World::new(1, 6);
        for event in 1..=3 {
            world.push(event);
        }
        let producer = spawn(&world, |world| {
            world.push(4);
        });
        let (mut drain, mut found) = (DrainCursor::with_margin(1), Found::default());
        world.drain(&mut drain, &mut found, 4, true);
        producer.join().unwrap();
        world.settle(drain, found, 4, 6);
    });
}

/// As above with the producer already between its steps when the jump passes it.
#[test]
fn loom_jump_over_a_producer() {
    model(|| {
        let world = World::new(1, 6);
        world.push(1);
        let slow = world.prepare(2);
        let (ticket, _) = world.slots.draw_ticket().unwrap();
        world.push(3);
        let producer = spawn(&world, move |world| world.publish_late(ticket, slow));
        let (mut drain, mut found) = (DrainCursor::with_margin(1), Found::default());
        world.drain(&mut drain, &mut found, 4, true);
        producer.join().unwrap();
        world.settle(drain, found, 3, 6);
    });
}

#[test]
fn loom_close_against_push() {
    model(|| {
        let world = World::new(1, 4);
        let producers = [1, 2].map(|event| spawn(&world, move |world| world.push(event).0));
        let mut drain = DrainCursor::default();
        let mut found = Found::default();
        let end = world.slots.close();
        drain.fix_end(end);
        if crate::sync::is_mutant_asked("close_unresolved") {
            // Gives up on the producers that drew before the close.
            world.drain(&mut drain, &mut found, 2, false);
            let taken = found.events.len() as u64 + found.lost;
            let accepted = producers.map(|producer| u64::from(producer.join().unwrap()));
            assert_eq!(taken, accepted.iter().sum::<u64>());
            return;
        }
        // Sealed, a producer draws again and is refused: every ticket below the end is resolved.
        world.drain(&mut drain, &mut found, usize::MAX, true);
        assert!(drain.is_settled(end));
        let taken = found.events.len() as u64 + found.lost;
        let accepted = producers.map(|producer| u64::from(producer.join().unwrap()));
        assert_eq!(taken, accepted.iter().sum::<u64>(), "accepted is written, refused is refused");
    });
}

/// What was pushed before a flush is taken, or counted in what displaced it, when it is done.
#[test]
fn loom_flush() {
    model(|| {
        let world = World::new(0, 5);
        world.push(1);
        let other = spawn(&world, |world| {
            world.push(2);
        });
        let to = world.slots.tail();
        let (mut drain, mut found) = (DrainCursor::default(), Found::default());
        world.flush(&mut drain, &mut found, to);
        let gone =
            found.events.contains(&1) || found.lost == 1 || world.slots.count_events().1 == 1;
        other.join().unwrap();
        assert!(
            gone || found.lost + world.slots.count_events().1 == 1,
            "the flushed event has its end"
        );
        world.settle(drain, found, 2, 5);
    });
}

/// A flush waits for an event that a jump passed while the one to overwrite it is between its steps.
#[test]
fn loom_flush_after_a_jump() {
    model(|| {
        let world = World::new(1, 7);
        world.push(1);
        let to = world.slots.tail();
        world.push(2);
        // Ticket 2 would overwrite event 1, and is late.
        let slow = world.prepare(3);
        let (ticket, _) = world.slots.draw_ticket().unwrap();
        world.push(4);
        let producer = spawn(&world, move |world| world.publish_late(ticket, slow));
        let (mut drain, mut found) = (DrainCursor::default(), Found::default());
        world.flush(&mut drain, &mut found, to);
        let is_taken = found.events.contains(&1);
        let is_counted = found.lost > 0 || world.slots.count_events().1 > 0;
        producer.join().unwrap();
        assert!(is_taken || is_counted, "the flushed event has its end");
        world.settle(drain, found, 4, 7);
    });
}

/// No push is slept through: loom reports a drainer that never wakes as a deadlock.
#[test]
fn loom_sleep_and_wake() {
    model(|| {
        let world = World::new(1, 5);
        let drainer = spawn(&world, |world| {
            let (mut drain, mut found) = (DrainCursor::default(), Found::default());
            while found.events.len() as u64 + found.lost < 2 {
                world.drain(&mut drain, &mut found, 1, true);
                if found.events.len() as u64 + found.lost == 2 {
                    break;
                }
                if drain.may_sleep(&world.slots) {
                    thread::park();
                    world.slots.clear_sleep();
                }
            }
            (drain, found)
        });
        let producer = {
            let (world, sleeper) = (world.clone(), drainer.thread().clone());
            thread::spawn(move || {
                if world.push(1).1 {
                    sleeper.unpark();
                }
            })
        };
        if world.push(2).1 {
            drainer.thread().unpark();
        }
        producer.join().unwrap();
        let (drain, found) = drainer.join().unwrap();
        world.settle(drain, found, 2, 5);
    });
}

/// One drainer sleeps over two lanes, and a push into either wakes it.
#[test]
fn loom_sleep_over_two_lanes() {
    model(|| {
        let lanes = [World::new(0, 3), World::new(0, 3)];
        let drainer = {
            let lanes = lanes.clone();
            thread::spawn(move || {
                let mut drains = [DrainCursor::default(), DrainCursor::default()];
                let mut found = [Found::default(), Found::default()];
                loop {
                    for ((world, drain), found) in lanes.iter().zip(&mut drains).zip(&mut found) {
                        world.drain(drain, found, 1, true);
                    }
                    if found.iter().all(|found| found.events.len() == 1) {
                        return (drains, found);
                    }
                    let [first, second] = &mut drains;
                    let over = [(first, &lanes[0].slots), (second, &lanes[1].slots)];
                    if DrainCursor::may_sleep_over(over) {
                        thread::park();
                        lanes.iter().for_each(|world| world.slots.clear_sleep());
                    }
                }
            })
        };
        let producer = {
            let (world, sleeper) = (lanes[0].clone(), drainer.thread().clone());
            thread::spawn(move || {
                if world.push(1).1 {
                    sleeper.unpark();
                }
            })
        };
        if lanes[1].push(1).1 {
            drainer.thread().unpark();
        }
        producer.join().unwrap();
        let (drains, found) = drainer.join().unwrap();
        for ((world, drain), found) in lanes.iter().zip(drains).zip(found) {
            world.settle(drain, found, 1, 3);
        }
    });
}

/// The held lane comes last, and a push into it wakes the drainer of all three.
#[test]
fn loom_sleep_over_three_lanes() {
    model(|| {
        let lanes = [World::new(0, 2), World::new(0, 2), World::new(0, 2)];
        let drainer = {
            let lanes = lanes.clone();
            thread::spawn(move || {
                let (mut drains, mut found) = (<[DrainCursor; 3]>::default(), Found::default());
                loop {
                    lanes[2].drain(&mut drains[2], &mut found, 1, true);
                    if found.events.len() == 1 {
                        return drains;
                    }
                    let mut over = drains.iter_mut().zip(&lanes);
                    let over = [(); 3].map(|()| over.next().expect("a lane"));
                    if DrainCursor::may_sleep_over(over.map(|(drain, world)| (drain, &world.slots)))
                    {
                        thread::park();
                        lanes.iter().for_each(|world| world.slots.clear_sleep());
                    }
                }
            })
        };
        if lanes[2].push(1).1 {
            drainer.thread().unpark();
        }
        let drains = drainer.join().unwrap();
        for (world, drain) in lanes.iter().zip(drains) {
            assert!(drain.is_settled(world.slots.tail()));
        }
    });
}

/// A drainer that naps over the lane of errors and another one. It looks at the errors alone, sets their
/// flag, and naps. A nap of the model never ends by itself: only a wake ends it.
fn nap_until_error(errors: &World, other: &World) -> [(DrainCursor, Found); 2] {
    let mut lanes = <[(DrainCursor, Found); 2]>::default();
    loop {
        let [(errors_drain, errors_found), (other_drain, other_found)] = &mut lanes;
        errors.drain(errors_drain, errors_found, 1, true);
        other.drain(other_drain, other_found, 1, true);
        if errors_found.events.len() == 1 {
            return lanes;
        }
        if crate::sync::is_mutant_asked("nap_unflagged") || errors_drain.may_sleep(&errors.slots) {
            thread::park();
            errors.slots.clear_sleep();
        }
    }
}

/// An error wakes a drainer that naps. Another event does not have to, so nobody is woken for it here.
#[test]
fn loom_error_wakes_a_nap() {
    model(|| {
        let [errors, other] = [World::new(0, 3), World::new(0, 3)];
        let drainer = {
            let (errors, other) = (errors.clone(), other.clone());
            thread::spawn(move || nap_until_error(&errors, &other))
        };
        let producer = spawn(&other, |other| {
            other.push(1);
        });
        if errors.push(9).1 {
            drainer.thread().unpark();
        }
        producer.join().unwrap();
        let lanes = drainer.join().unwrap();
        for (world, (drain, found)) in [errors, other].iter().zip(lanes) {
            world.settle(drain, found, 1, 3);
        }
    });
}

/// An event that comes while a nap turns into a sleep wakes the drainer, if the drainer does not see it.
#[test]
fn loom_push_while_a_nap_becomes_a_sleep() {
    model(|| {
        let lanes = [World::new(0, 3), World::new(0, 3)];
        let drainer = {
            let lanes = lanes.clone();
            thread::spawn(move || {
                let (mut drains, mut found) = (<[DrainCursor; 2]>::default(), Found::default());
                // The last nap, which ends by itself.
                if drains[0].may_sleep(&lanes[0].slots) {
                    thread::yield_now();
                    lanes[0].slots.clear_sleep();
                }
                loop {
                    lanes[1].drain(&mut drains[1], &mut found, 1, true);
                    if found.events.len() == 1 {
                        return (drains, found);
                    }
                    let [errors, other] = &mut drains;
                    let may_sleep = match crate::sync::is_mutant_asked("sleep_as_nap") {
                        true => errors.may_sleep(&lanes[0].slots),
                        false => DrainCursor::may_sleep_over([
                            (errors, &lanes[0].slots),
                            (other, &lanes[1].slots),
                        ]),
                    };
                    if may_sleep {
                        thread::park();
                        lanes.iter().for_each(|world| world.slots.clear_sleep());
                    }
                }
            })
        };
        if lanes[1].push(1).1 {
            drainer.thread().unpark();
        }
        let ([_, other], found) = drainer.join().unwrap();
        lanes[1].settle(other, found, 1, 3);
    });
}

/// A drainer that naps is woken when a quarter of the slots is full, whichever producer fills them.
#[test]
fn loom_mark_wakes_a_nap() {
    model(|| {
        let world = World::new(3, 8);
        let mark = world.slots.mark;
        let drainer = spawn(&world, move |world| {
            thread::park();
            let (mut drain, mut found) = (DrainCursor::default(), Found::default());
            world.drain(&mut drain, &mut found, mark as usize, true);
            (drain, found)
        });
        let producer = {
            let (world, sleeper) = (world.clone(), drainer.thread().clone());
            thread::spawn(move || {
                if world.push(1).1 {
                    sleeper.unpark();
                }
            })
        };
        for event in 2..=mark + 1 {
            if world.push(event).1 {
                drainer.thread().unpark();
            }
        }
        producer.join().unwrap();
        let (drain, found) = drainer.join().unwrap();
        world.settle(drain, found, mark + 1, 8);
    });
}

/// A flush or a close is noted before the wake, so a drainer that wakes, or is about to nap, sees it.
#[test]
fn loom_request_wakes_a_nap() {
    model(|| {
        let world = World::new(0, 3);
        let request = Arc::new(loom::sync::Mutex::new(None));
        let drainer = {
            let (world, request) = (world.clone(), request.clone());
            thread::spawn(move || {
                let (mut drain, mut found) = (DrainCursor::default(), Found::default());
                loop {
                    let to = *request.lock().unwrap();
                    if let Some(to) = to {
                        world.flush(&mut drain, &mut found, to);
                        assert_eq!(found.events, [1], "what was pushed before the request");
                        return (drain, found);
                    }
                    thread::park();
                }
            })
        };
        assert_eq!(world.push(1), (true, false));
        let to = Some(world.slots.tail());
        if crate::sync::is_mutant_asked("request_after_wake") {
            drainer.thread().unpark();
        }
        *request.lock().unwrap() = to;
        if !crate::sync::is_mutant_asked("request_after_wake") {
            drainer.thread().unpark();
        }
        let (drain, found) = drainer.join().unwrap();
        world.settle(drain, found, 1, 3);
    });
}

/// The lane of errors and the held lane, with what is found in each.
struct ErrorsAndHeld {
    errors: (DrainCursor, Found),
    held: (DrainCursor, Found),
}

/// An error overtakes what was held before it. If the held lane is drained up to its tail after the error
/// was taken, all of that is there.
#[test]
fn loom_error_overtakes_held() {
    model(|| {
        let [errors, held] = [World::new(0, 3), World::new(1, 5)];
        let other = spawn(&held, |held| {
            held.push(2);
        });
        let failing = {
            let (errors, held) = (errors.clone(), held.clone());
            thread::spawn(move || {
                held.push(1);
                errors.push(9);
            })
        };
        let mut at = ErrorsAndHeld { errors: Default::default(), held: Default::default() };
        let early = held.slots.tail();
        errors.drain(&mut at.errors.0, &mut at.errors.1, 2, true);
        if at.errors.1.events == [9] {
            let is_early = crate::sync::is_mutant_asked("release_undrained");
            let to = if is_early { early } else { held.slots.tail() };
            held.flush(&mut at.held.0, &mut at.held.1, to);
            assert!(at.held.1.events.contains(&1), "its trace is whole");
        }
        failing.join().unwrap();
        other.join().unwrap();
        errors.settle(at.errors.0, at.errors.1, 1, 3);
        held.settle(at.held.0, at.held.1, 2, 5);
    });
}

/// The end of a trace, in the held lane, overtakes its error. If the end counts only after the errors
/// were taken up to their tail at that moment, the error is known.
#[test]
fn loom_end_overtakes_error() {
    model(|| {
        let [errors, held] = [World::new(1, 5), World::new(0, 3)];
        let other = spawn(&errors, |errors| {
            errors.push(8);
        });
        let ending = {
            let (errors, held) = (errors.clone(), held.clone());
            thread::spawn(move || {
                errors.push(9);
                held.push(1);
            })
        };
        let mut at = ErrorsAndHeld { errors: Default::default(), held: Default::default() };
        errors.drain(&mut at.errors.0, &mut at.errors.1, 1, true);
        held.drain(&mut at.held.0, &mut at.held.1, 2, true);
        if at.held.1.events == [1] {
            if !crate::sync::is_mutant_asked("end_unsettled") {
                errors.flush(&mut at.errors.0, &mut at.errors.1, errors.slots.tail());
            }
            assert!(at.errors.1.events.contains(&9), "the trace is known to have failed");
        }
        ending.join().unwrap();
        other.join().unwrap();
        errors.settle(at.errors.0, at.errors.1, 2, 5);
        held.settle(at.held.0, at.held.1, 1, 3);
    });
}

/// An eviction races the drainer and a push; the victim is counted once.
#[test]
fn loom_evict() {
    model(|| {
        let world = World::new(1, 6);
        let producer = spawn(&world, |world| {
            world.push(1);
            world.push(2);
        });
        let evictor = spawn(&world, |world| {
            let tombstone = world.prepare(0);
            match world.slots.evict_oldest(tombstone) {
                Some(victim) => world.give_back(victim),
                None => world.give_back(tombstone),
            }
        });
        let (mut drain, mut found) = (DrainCursor::default(), Found::default());
        world.drain(&mut drain, &mut found, 2, true);
        producer.join().unwrap();
        evictor.join().unwrap();
        world.settle(drain, found, 2, 6);
    });
}

/// A tombstone may itself be displaced; what it counted travels on.
#[test]
fn loom_displaced_tombstone() {
    model(|| {
        let world = World::new(0, 6);
        world.push(1);
        let evictor = spawn(&world, |world| {
            let tombstone = world.prepare(0);
            match world.slots.evict_oldest(tombstone) {
                Some(victim) => world.give_back(victim),
                None => world.give_back(tombstone),
            }
        });
        world.push(2);
        evictor.join().unwrap();
        let found = world.settle(DrainCursor::default(), Found::default(), 2, 6);
        assert!(found.lost >= 1);
    });
}

/// An index popped twice, or before its last owner is done, is a race on its payload.
#[test]
fn loom_free_list() {
    model(|| {
        let world = World::new(0, 2);
        let other = spawn(&world, |world| {
            for round in 1..=2 {
                if let Some(index) = world.free.pop() {
                    world.write(index, round);
                    world.free.push_chain(index, index);
                }
            }
        });
        for round in 3..=4 {
            if let Some(index) = world.free.pop() {
                world.write(index, round);
                world.free.push_chain(index, index);
            }
        }
        other.join().unwrap();
        assert_eq!(world.free.count_free(), 2);
    });
}
