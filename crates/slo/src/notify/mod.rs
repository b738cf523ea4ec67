//! Notifiers of alerts: webhooks, Alertmanager, Slack, PagerDuty, Amazon SNS, a command, the application's own.
//!
//! A [`Dispatcher`] tells each [`Notifier`] when an alert fires and when it resolves. [`notifiers`] makes the
//! notifiers that the environment asks for.
//!
//! ```
//! use std::time::Duration;
//!
//! use llm_audit_slo::notify::{Dispatcher, notifiers};
//!
//! let variables = |name: &str| (name == "AUDIT_ALERTMANAGER_URL").then(|| "http://127.0.0.1:9".to_owned());
//! let dispatcher = Dispatcher::builder()
//!     .notifiers(notifiers("benefits", variables)?)
//!     .on_trouble(|text| eprintln!("{text}"))
//!     .start()?;
//! // After each evaluation: `dispatcher.notify(&alert)` for each alert, and then
//! dispatcher.evaluated();
//! dispatcher.shutdown(Duration::from_secs(5));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is lost
//!
//! An alert that cannot be sent is tried again, and given up after the attempts of [`Retry`]. If 1,000 alerts wait
//! for one notifier, a new one displaces the oldest. [`Dispatcher::failures`] counts both. At most 10,000 alerts
//! are known at one time.
//!
//! A child process made by `fork` inherits no threads. It needs a dispatcher of its own.

mod alertmanager;
mod command;
mod destinations;
mod dispatcher;
mod heartbeat;
mod http;
mod ledger;
mod lines;
mod notifier;
mod outbox;
mod pagerduty;
mod payload;
mod slack;
#[cfg(feature = "sns")]
mod sns;
mod text;
mod watch;
mod webhook;
mod worker;

pub use alertmanager::Alertmanager;
pub use command::Command;
pub use destinations::{InvalidDestination, notifiers, shown};
pub use dispatcher::{Dispatcher, DispatcherBuilder, NotifierFailures};
pub use heartbeat::Heartbeat;
pub use lines::Lines;
pub use notifier::{Evaluation, Notifier, NotifyError};
pub use pagerduty::PagerDuty;
pub use slack::Slack;
#[cfg(feature = "sns")]
pub use sns::Sns;
pub use watch::Watch;
pub use webhook::Webhook;
pub use worker::Retry;
