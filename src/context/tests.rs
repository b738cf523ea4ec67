//! Tests of headers, ids, scopes and futures.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use super::traceparent::TRACEPARENT_LEN;
use super::tracestate::TRACESTATE_BYTES_MAX;
use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

#[test]
fn traceparent_headers_that_are_read() {
    let cases = [
        (format!("00-{TRACE}-{SPAN}-01"), true),
        (format!("00-{TRACE}-{SPAN}-00"), false),
        (format!("00-{TRACE}-{SPAN}-03"), true),
        (format!("00-{TRACE}-{SPAN}-02"), false),
        (format!("00-{TRACE}-{SPAN}-fe"), false),
        (format!("01-{TRACE}-{SPAN}-01"), true),
        (format!("cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like"), true),
        (format!("fe-{TRACE}-{SPAN}-00-"), false),
    ];
    for (header, sampled) in cases {
        let context = TraceContext::from_traceparent(&header).expect(&header);
        assert_eq!(context.trace_id(), 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, "{header}");
        assert_eq!(context.span_id(), 0xb7ad_6b71_6920_3331, "{header}");
        assert_eq!(context.parent_span_id(), None, "{header}");
        assert_eq!(context.sampled(), Some(sampled), "{header}");
    }
}

#[test]
fn traceparent_headers_that_are_refused() {
    let (zero_trace, zero_span) = ("0".repeat(32), "0".repeat(16));
    let cases = [
        (String::new(), "0 bytes"),
        (format!("00-{TRACE}-{SPAN}-0"), "54 bytes"),
        (format!("00-{TRACE}-{SPAN}-01-"), "56 bytes"),
        (format!("00-{TRACE}-{SPAN}-01 "), "56 bytes"),
        (format!(" 00-{TRACE}-{SPAN}-01"), "no `-` at byte 3"),
        (format!("ff-{TRACE}-{SPAN}-01"), "version `ff`"),
        (format!("ff-{TRACE}-{SPAN}-01-more"), "version `ff`"),
        (format!("0g-{TRACE}-{SPAN}-01"), "hex digit at byte 2"),
        (format!("FE-{TRACE}-{SPAN}-01"), "hex digit at byte 1"),
        (format!("01-{TRACE}-{SPAN}-01x"), "no `-` at byte 56"),
        (format!("01-{TRACE}-{SPAN}-011"), "no `-` at byte 56"),
        (format!("00-{zero_trace}-{SPAN}-01"), "zeros"),
        (format!("00-{TRACE}-{zero_span}-01"), "zeros"),
        (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), "hex digit at byte 5"),
        (format!("00-{TRACE}-{}-01", SPAN.to_uppercase()), "hex digit at byte 37"),
        (format!("00-{TRACE}-{SPAN}-0x"), "hex digit at byte 55"),
        (format!("00-+{}-{SPAN}-01", &TRACE[1..]), "hex digit at byte 4"),
        (format!("00-{}-{SPAN}-01x", &TRACE[1..]), "no `-` at byte 36"),
        (format!("00_{TRACE}-{SPAN}-01"), "no `-` at byte 3"),
        (format!("00-{}é-{SPAN}-01", &TRACE[2..]), "hex digit at byte 34"),
    ];
    for (header, why) in cases {
        let error = TraceContext::from_traceparent(&header).expect_err(&header).to_string();
        assert!(error.contains(why) && error.contains("accepted:"), "{header}: {error}");
    }
}

#[test]
fn whom_the_work_is_for_goes_down_and_not_out() {
    let plain = TraceContext::from_traceparent(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
    assert_eq!((plain.user(), plain.tenant(), plain.conversation()), (None, None, None));
    let ann = plain.clone().with_user("ann@example.org").with_tenant("acme");
    let ann = ann.with_conversation("c-7");
    let below = ann.new_span();
    let other = below.clone().with_user("bob");
    assert_eq!((below.user(), below.tenant()), (Some("ann@example.org"), Some("acme")));
    assert_eq!((below.conversation(), other.conversation()), (Some("c-7"), Some("c-7")));
    assert_eq!((other.user(), other.tenant()), (Some("bob"), Some("acme")));
    assert_eq!(ann.to_traceparent(), plain.to_traceparent());
    assert_eq!(ann.to_tracestate(), plain.to_tracestate());
    let shown = format!("{ann:?}");
    assert!(shown.contains("identity") && !shown.contains("ann@"), "{shown}");
    let nobody = ann.with_user("").with_tenant("").with_conversation("");
    assert_eq!(nobody, plain);
}

#[test]
fn traceparent_round_trip() {
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..2_000 {
        let flag = rng.u8(..4);
        let header =
            format!("00-{:032x}-{:016x}-{flag:02x}", rng.u128(1..), rng.u64(1..) >> rng.u8(..63));
        match TraceContext::from_traceparent(&header) {
            Ok(context) => assert_eq!(context.to_traceparent(), header),
            Err(_) => assert!(header.contains("-0000000000000000-"), "{header}"),
        }
        // One byte changed: the header is refused, or read with its new value.
        let mut changed = header.into_bytes();
        changed[rng.usize(..TRACEPARENT_LEN)] = rng.u8(b' '..=b'~');
        let changed = String::from_utf8(changed).unwrap();
        if let Ok(context) = TraceContext::from_traceparent(&changed) {
            assert_eq!(context.to_traceparent()[3..53], changed[3..53]);
        }
    }
}

#[test]
fn a_trace_that_begins_here_says_what_its_id_decides() {
    let context = |id| TraceContext::from_ids(id, 1, None).unwrap();
    assert!(context((1 << 56) - 1).to_traceparent_at_rate(0.2).ends_with("-01"));
    assert!(context(1 << 56).to_traceparent_at_rate(0.2).ends_with("-00"));
    assert!(context(1 << 56).to_traceparent_at_rate(1.0).ends_with("-01"));
    // Its own ids are random, and so are those of its spans.
    let drawn = TraceContext::new_trace();
    assert!(drawn.to_traceparent_at_rate(1.0).ends_with("-03"));
    assert!(drawn.new_span().to_traceparent_at_rate(0.0).ends_with("-02"));
}

#[test]
fn spans() {
    assert_eq!(TraceContext::from_ids(0, 1, None), None);
    assert_eq!(TraceContext::from_ids(1, 0, None), None);
    assert_eq!(TraceContext::from_ids(1, 2, Some(0)).unwrap().parent_span_id(), None);
    let header = format!("00-{TRACE}-{SPAN}-00");
    let caller = TraceContext::from_traceparent(&header).unwrap().with_tracestate("a=b");
    let child = caller.new_span();
    assert_eq!(child.trace_id(), caller.trace_id());
    assert_ne!(child.span_id(), caller.span_id());
    assert_eq!(child.parent_span_id(), Some(caller.span_id()));
    assert_eq!((child.sampled(), child.tracestate()), (Some(false), Some("a=b")));
    let new = TraceContext::new_trace();
    assert_eq!((new.parent_span_id(), new.sampled(), new.tracestate()), (None, None, None));
}

#[test]
fn random_ids_do_not_follow_the_application_s_seed() {
    let draw = || {
        fastrand::seed(7);
        (random_trace_id(), random_span_id())
    };
    let other_thread = std::thread::spawn(draw).join().unwrap();
    let drawn = [draw(), draw(), other_thread];
    assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2] && drawn[0] != drawn[2]);
}

#[test]
fn tracestate_within_the_limits() {
    let (key, value) = ("k".repeat(256), "v".repeat(256));
    let members = |n: usize| vec!["a=1"; n].join(",");
    let longest = format!("{key}={value}");
    let good = [
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        ("fw529a3039@dt=FfhxU, 1a-_*/@b=x y,,\t z=!~", "fw529a3039@dt=FfhxU,1a-_*/@b=x y,z=!~"),
        (&longest, &longest),
        (&members(32), &members(32)),
        (&format!("{},, ", members(32)), &members(32)),
    ];
    let bad = [
        String::new(),
        " , ".into(),
        "novalue".into(),
        "=v".into(),
        "k=".into(),
        "Key=v".into(),
        "k=a=b".into(),
        "k=ü".into(),
        "k=a\u{7f}".into(),
        "@k=v".into(),
        format!("k{key}=v"),
        format!("k=v{value}"),
        members(33),
        format!("a=b{}", " ".repeat(TRACESTATE_BYTES_MAX)),
    ];
    let carried = |header: &str| {
        let context = TraceContext::new_trace().with_tracestate("old=1");
        context.with_tracestate(header).tracestate().map(String::from)
    };
    for (header, expected) in good {
        assert_eq!(carried(header).as_deref(), Some(expected));
    }
    for header in bad {
        assert_eq!(carried(&header), None, "{header}");
    }
}

/// The vectors follow the text of OpenTelemetry's "TraceState: Probability Sampling" and "TraceState
/// Handling".
#[test]
fn the_randomness_of_a_trace_is_that_of_its_id_unless_ot_has_an_explicit_one() {
    let of_id = 0xcd_43dd_8448_eb21;
    let header = format!("00-0af7651916cd43dd84{of_id:014x}-{SPAN}-00");
    let cases = [
        ("vendor=1", of_id),
        ("ot=rv:00000000000001", 1),
        ("vendor=rv:00000000000002, ot=th:8;rv:FFFFFFFFFFFFFF;x:y", (1 << 56) - 1),
        ("ot=th:8", of_id),
        // Neither fewer nor more than 14 digits, and nothing else.
        ("ot=rv:1", of_id),
        ("ot=rv:000000000000010", of_id),
        ("ot=rv:0000000000000g", of_id),
        ("ot=rv:+0000000000001", of_id),
        ("ot=xrv:00000000000001;rv", of_id),
        ("tenant@ot=rv:00000000000001", of_id),
        ("ot=rv:00000000000003,ot=rv:00000000000004", 3),
    ];
    for (state, expected) in cases {
        let context = TraceContext::from_traceparent(&header).unwrap().with_tracestate(state);
        assert_eq!(context.randomness(), expected, "{state}");
        assert_eq!(context.new_span().randomness(), expected, "{state}");
    }
}

#[test]
fn a_trace_that_begins_here_says_at_which_threshold_it_is_kept() {
    let context = |id: u128| TraceContext::from_ids(id, 1, None).unwrap();
    let (kept, dropped) = (context((1 << 56) - 1), context(1 << 56));
    let sent = |context: &TraceContext, rate| context.to_tracestate_at_rate(rate);
    let at = |rate| sent(&kept, rate).unwrap_or_default();
    // 1 % at full precision; the standard's example has its first five digits.
    assert_eq!(at(0.01), "ot=th:fd70a3d70a3d7");
    let rates = [(1.0, "0"), (0.5, "8"), (0.25, "c"), (0.75, "4"), (0.2, "ccccccccccccd")];
    for (rate, threshold) in rates {
        assert_eq!(at(rate), format!("ot=th:{threshold}"));
    }
    assert_eq!((sent(&kept, 0.0), sent(&dropped, 0.2)), (None, None));
    assert_eq!(sent(&kept.new_span(), 0.5).as_deref(), Some("ot=th:8"));

    // The randomness and what else is in the header stay; the changed member is the first.
    let cases = [
        (&kept, "a=1,b=2", Some("ot=th:8,a=1,b=2")),
        (&kept, "a=1 ,\tot=p:8;th:4;k1:7 , b=2", Some("ot=th:8;p:8;k1:7,a=1,b=2")),
        (&kept, "a=1,ot=th:8;p:8", Some("a=1,ot=th:8;p:8")),
        (&dropped, "ot=rv:80000000000000", Some("ot=th:8;rv:80000000000000")),
        (&kept, "ot=rv:7fffffffffffff", Some("ot=rv:7fffffffffffff")),
        (&dropped, "a=1,ot=th:8;p:8", Some("ot=p:8,a=1")),
        (&dropped, "a=1,ot=th:8", Some("a=1")),
        (&dropped, "ot=th:8", None),
    ];
    for (context, state, expected) in cases {
        let context = context.clone().with_tracestate(state);
        assert_eq!(sent(&context, 0.5).as_deref(), expected, "{state}");
    }
}

#[test]
fn a_caller_s_threshold_stays_if_it_agrees_with_the_flag() {
    let cases = [
        ("01", "ot=th:8;rv:80000000000000,a=1", "ot=th:8;rv:80000000000000,a=1"),
        ("01", "a=1,ot=th:80000000000001;rv:80000000000000", "ot=rv:80000000000000,a=1"),
        ("00", "a=1,ot=th:8;rv:80000000000000", "ot=rv:80000000000000,a=1"),
        ("00", "a=1,ot=th:80000000000001;rv:80000000000000", ""),
        // Without a threshold of the caller there is none, whatever this process would decide.
        ("01", "a=1,ot=rv:80000000000000", ""),
        ("01", "a=1,ot=th:g;rv:80000000000000", ""),
        ("01", "a=1,ot=th:0", ""),
    ];
    for (flag, state, expected) in cases {
        let header = format!("00-{TRACE}-{SPAN}-{flag}");
        let context = TraceContext::from_traceparent(&header).unwrap().with_tracestate(state);
        let expected = if expected.is_empty() { state } else { expected };
        for rate in [0.0, 0.5, 1.0] {
            let sent = context.new_span().to_tracestate_at_rate(rate);
            assert_eq!(sent.as_deref(), Some(expected), "{flag} {state}");
        }
    }
}

#[test]
fn a_sent_tracestate_is_within_the_limits() {
    let kept = TraceContext::from_ids((1 << 56) - 1, 1, None).unwrap();
    let others: Vec<_> = (0..32).map(|n| format!("k{n}=1")).collect();
    let sent = kept.clone().with_tracestate(&others.join(",")).to_tracestate_at_rate(0.5);
    assert_eq!(sent.unwrap(), format!("ot=th:8,{}", others[..31].join(",")));
    // What does not fit beside the threshold is left out, never a part of it.
    let long = "v".repeat(246);
    let sent = kept.with_tracestate(&format!("ot=p:8;x:{long};q:9")).to_tracestate_at_rate(0.5);
    assert_eq!(sent.unwrap(), "ot=th:8;p:8;q:9");
}

#[test]
fn ids_as_logs_have_them() {
    let trace = TraceContext::parse_trace_id;
    let cases = [
        (TRACE, Some(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c)),
        ("0AF76519-16CD-43DD-8448-EB211C80319C", Some(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c)),
        ("a1b2c3d4e5f6", Some(0xa1b2_c3d4_e5f6)),
        ("1", Some(1)),
        ("", None),
        ("+1", None),
        ("0x1", None),
        (" 1", None),
        ("0", None),
        ("00000000-0000-0000-0000-000000000000", None),
        ("0af7651-916cd-43dd-8448-eb211c80319c", None),
        ("a1b2-c3d4", None),
        ("00af7651916cd43dd8448eb211c80319c", None),
        ("ééééééééé", None),
    ];
    for (text, id) in cases {
        assert_eq!(trace(text).ok(), id, "{text}");
    }
    let span = TraceContext::parse_span_id;
    assert_eq!(span("DEADBEEF").unwrap(), 0xdead_beef);
    assert_eq!(span(SPAN).unwrap(), 0xb7ad_6b71_6920_3331);
    for bad in ["", "0", "-1", "0b7ad6b7169203331", "b7ad6b71-69203331"] {
        assert!(span(bad).is_err(), "{bad}");
    }
}

fn context(span: u64) -> TraceContext {
    TraceContext::from_ids(9, span, None).unwrap()
}

fn current_span() -> Option<u64> {
    TraceContext::with_current(|current| current.map(TraceContext::span_id))
}

#[test]
fn scopes_nest() {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut open = Vec::new();
    for step in 1..5_000 {
        if rng.bool() {
            open.push((context(step).enter(), step));
        } else {
            open.pop();
        }
        assert_eq!(current_span(), open.last().map(|(_, span)| *span));
    }
    while open.pop().is_some() {}
    assert_eq!(current_span(), None);
}

#[test]
fn a_scope_dropped_out_of_order_takes_only_itself_away() {
    let outer = context(1).enter();
    let (first, second) = (context(2).enter(), context(3).enter());
    drop(first);
    assert_eq!(current_span(), Some(3));
    let third = context(4).enter();
    drop(outer);
    assert_eq!(current_span(), Some(4));
    drop(third);
    assert_eq!(current_span(), Some(3));
    drop(second);
    assert_eq!(current_span(), None);
}

#[test]
fn contexts_may_be_entered_while_one_is_looked_at() {
    let _outer = context(1).enter();
    TraceContext::with_current(|seen| {
        let _inner = context(2).enter();
        assert_eq!(current_span(), Some(2));
        assert_eq!(seen.map(TraceContext::span_id), Some(1));
    });
    assert_eq!(current_span(), Some(1));
}

struct AtThreadsEnd(mpsc::Sender<Option<u64>>);

impl Drop for AtThreadsEnd {
    fn drop(&mut self) {
        let _scope = context(2).enter();
        let _new = TraceContext::new_trace();
        self.0.send(current_span()).unwrap();
    }
}

#[test]
fn contexts_while_the_thread_s_storage_is_torn_down() {
    thread_local! {
        static BEFORE: RefCell<Option<AtThreadsEnd>> = const { RefCell::new(None) };
        static AFTER: RefCell<Option<AtThreadsEnd>> = const { RefCell::new(None) };
    }
    let (send, seen) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        BEFORE.set(Some(AtThreadsEnd(send.clone())));
        std::mem::forget(context(1).enter());
        AFTER.set(Some(AtThreadsEnd(send)));
    });
    // A panic in such a destructor would have aborted the process.
    thread.join().unwrap();
    let seen: Vec<_> = seen.iter().collect();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|span| matches!(span, None | Some(2))), "{seen:?}");
}

/// A future that is pending once.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

async fn watched(span: u64) -> u64 {
    for _ in 0..3 {
        assert_eq!(current_span(), Some(span));
        Yield(false).await;
    }
    async { assert_eq!(current_span(), Some(span + 10)) }.in_span(context(span + 10)).await;
    assert_eq!(current_span(), Some(span));
    span
}

#[test]
fn interleaved_futures_keep_their_contexts() {
    let mut cx = Context::from_waker(Waker::noop());
    let mut tasks = [1, 2].map(|span| Box::pin(watched(span).in_span(context(span))));
    let _outer = context(5).enter();
    let mut ends = vec![];
    for _ in 0..4 {
        for task in &mut tasks {
            if let Poll::Ready(span) = task.as_mut().poll(&mut cx) {
                ends.push(span);
            }
            assert_eq!(current_span(), Some(5));
        }
    }
    assert_eq!(ends, [1, 2]);
}

#[test]
fn a_task_takes_its_context_to_another_thread() {
    let mut task = Box::pin(watched(1).in_span(context(1)));
    for _ in 0..3 {
        task = std::thread::spawn(move || {
            assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert_eq!(current_span(), None);
            task
        })
        .join()
        .unwrap();
    }
}

#[test]
fn a_panic_in_poll_puts_the_context_back() {
    let _outer = context(5).enter();
    let mut task = pin!(async { panic!("expected") }.in_span(context(1)));
    let poll = || task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let panicked: Result<Poll<()>, _> = catch_unwind(AssertUnwindSafe(poll));
    assert!(panicked.is_err());
    assert_eq!(current_span(), Some(5));
}

#[test]
fn a_future_is_dropped_within_its_context() {
    struct OnDrop(mpsc::Sender<Option<u64>>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.send(current_span()).unwrap();
        }
    }
    let (send, seen) = mpsc::channel();
    for polls in [0, 1] {
        let held = OnDrop(send.clone());
        let task = async move {
            let _held = held;
            Yield(false).await;
        };
        let mut task = Box::pin(task.in_span(context(1)));
        for _ in 0..polls {
            assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        drop(task);
        assert_eq!(seen.recv().unwrap(), Some(1), "after {polls} polls");
        assert_eq!(current_span(), None);
    }
}
