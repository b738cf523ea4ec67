//! What the `tracing` layer says if a filter of the whole subscriber keeps all spans from it.
#![cfg(all(feature = "tracing", not(loom)))]

mod common;

use common::alone::{self, Alone};
use common::{DEADLINE, logger};
use llm_audit::AuditLogger;
use llm_audit::layer::tracing::AuditLayer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{fmt, registry};

/// Runs the test of this name alone: in the other process `install` gets the layer, and a call of a
/// model follows. Returns what was recorded, and what that process said on stderr.
fn told(name: &str, install: impl FnOnce(AuditLayer)) -> Option<(bool, Vec<String>)> {
    told_of(name, |layer| {
        install(layer);
        call_model();
    })
}

fn call_model() {
    for _ in 0..2 {
        drop(tracing::info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "gpt-4o"
        ));
    }
}

/// The same for a program that does `act` with the layer.
fn told_of(name: &str, act: impl FnOnce(AuditLayer)) -> Option<(bool, Vec<String>)> {
    if let Some(folder) = alone::folder() {
        let audit: AuditLogger = logger(&folder.join("logs")).debug(true).build().unwrap();
        act(AuditLayer::new("benefits").logger(audit.clone()));
        let recorded = audit.shutdown(DEADLINE).unwrap().written;
        std::fs::write(folder.join("recorded"), recorded.to_string()).unwrap();
        return None;
    }
    let mut alone = Alone::new(name);
    let ended = alone.run();
    assert!(ended.status.success(), "{}{}", ended.out, ended.err);
    let lines = ended.err.lines().map(str::to_owned).collect();
    let recorded = std::fs::read_to_string(alone.path().join("recorded")).unwrap();
    Some((recorded == "2", lines))
}

fn assert_told_once(told: Option<(bool, Vec<String>)>) {
    let Some((is_recorded, lines)) = told else { return };
    assert!(!is_recorded);
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["gen_ai", "RUST_LOG=info", "with_filter", "AUDIT_NOTICES=none"] {
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }
}

#[test]
fn a_filter_around_the_layer_is_told_once() {
    assert_told_once(told("a_filter_around_the_layer_is_told_once", |layer| {
        registry().with(layer).with(LevelFilter::ERROR).init();
    }));
}

#[test]
fn a_filter_below_the_layer_is_told_once() {
    assert_told_once(told("a_filter_below_the_layer_is_told_once", |layer| {
        registry().with(LevelFilter::ERROR).with(layer).init();
    }));
}

#[test]
fn a_filter_of_other_targets_is_told_once() {
    assert_told_once(told("a_filter_of_other_targets_is_told_once", |layer| {
        registry().with(Targets::new().with_target("other", LevelFilter::INFO)).with(layer).init();
    }));
}

#[test]
fn a_filter_of_another_layer_is_none_of_this_one() {
    let told = told("a_filter_of_another_layer_is_none_of_this_one", |layer| {
        let log = fmt::layer().with_writer(std::io::stderr).with_filter(LevelFilter::ERROR);
        registry().with(layer).with(log).init();
    });
    let Some((is_recorded, lines)) = told else { return };
    assert!(is_recorded && lines.is_empty(), "{lines:?}");
}

#[test]
fn what_an_earlier_subscriber_saw_is_not_told() {
    let told = told_of("what_an_earlier_subscriber_saw_is_not_told", |layer| {
        let early = tracing::subscriber::set_default(registry());
        call_model();
        drop(early);
        registry().with(layer).init();
    });
    let Some((_, lines)) = told else { return };
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn a_disabled_event_or_verbose_span_is_not_told() {
    let told = told_of("a_disabled_event_or_verbose_span_is_not_told", |layer| {
        let filter = Targets::new()
            .with_default(LevelFilter::INFO)
            .with_target("other", LevelFilter::DEBUG)
            .with_target("noisy", LevelFilter::OFF);
        registry().with(filter).with(layer).init();
        tracing::debug!(gen_ai.operation.name = "chat", "asked");
        drop(tracing::debug_span!("chat", gen_ai.operation.name = "chat"));
        tracing::info!(target: "noisy", { gen_ai.operation.name = "chat" }, "asked");
    });
    let Some((_, lines)) = told else { return };
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn a_layer_whose_logger_is_off_tells_nothing() {
    let told = told_of("a_layer_whose_logger_is_off_tells_nothing", |_| {
        let off = AuditLogger::builder().without_environment().enabled(false).build().unwrap();
        registry().with(AuditLayer::new("benefits").logger(off)).init();
        call_model();
    });
    let Some((_, lines)) = told else { return };
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn a_running_program_is_told_without_an_end() {
    let name = "a_running_program_is_told_without_an_end";
    if let Some(folder) = alone::folder() {
        let _audit = logger(&folder.join("logs")).build().unwrap();
        registry().with(AuditLayer::new("benefits")).with(LevelFilter::ERROR).init();
        loop {
            std::thread::park();
        }
    }
    let mut alone = Alone::new(name);
    alone.command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut child = alone.command.spawn().unwrap();
    let mut line = String::new();
    let mut err = std::io::BufReader::new(child.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut err, &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.contains("a filter disables the spans"), "{line}");
}
