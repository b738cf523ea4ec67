//! ftlog, with a formatter that makes JSON.

use std::fmt::Display;
use std::path::Path;

use ftlog::appender::FileAppender;
use ftlog::{FtLogFormat, LoggerGuard, Record};

use super::{Logger, QUEUE};
use crate::event::Event;

struct Ftlog(LoggerGuard);

pub fn start(folder: &Path) -> Box<dyn Logger> {
    let guard = ftlog::builder()
        .format(Json)
        .time_format(time::format_description::parse_owned::<2>(TIME).expect("a format"))
        .bounded(QUEUE, false)
        .root(FileAppender::new(folder.join("ftlog.jsonl")))
        .try_init();
    Box::new(Ftlog(guard.expect("the only logger")))
}

/// ftlog writes the time, how late it is, and the message, with spaces between them. So the time
/// begins the object and the message ends it.
const TIME: &str = concat!(
    r#"{"time":"[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]"#,
    r#"[offset_hour sign:mandatory]:[offset_minute]","late":""#,
);

struct Json;

impl FtLogFormat for Json {
    fn msg(&self, record: &Record<'_>) -> Box<dyn Send + Sync + Display> {
        Box::new(format!(r#"","level":"{}","fields":{}}}"#, record.level(), record.args()))
    }
}

impl Logger for Ftlog {
    fn log(&self, event: &Event<'_>) {
        log::info!("{}", event.json());
    }

    fn close(self: Box<Self>) -> u64 {
        drop(self.0); // waits until all is written
        0
    }
}
