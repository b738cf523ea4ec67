//! fast_log, with a formatter that makes JSON.

use std::path::Path;

use fast_log::Config;
use fast_log::appender::{Command, FastLogRecord, RecordFormat};
use jiff::Timestamp;

use super::{Logger, QUEUE};
use crate::event::Event;

struct FastLog;

pub fn start(folder: &Path) -> Box<dyn Logger> {
    let file = folder.join("fast_log.jsonl");
    let config = Config::new().format(Json).chan_len(Some(QUEUE));
    fast_log::init(config.file(file.to_str().expect("a name in UTF-8"))).expect("the only logger");
    Box::new(FastLog)
}

struct Json;

impl RecordFormat for Json {
    fn do_format(&self, record: &mut FastLogRecord) {
        if record.command == Command::CommandRecord {
            let time = Timestamp::try_from(record.now).expect("a time of our days");
            let (level, fields) = (record.level, &record.args);
            record.formated =
                format!("{{\"time\":\"{time}\",\"level\":\"{level}\",\"fields\":{fields}}}\n");
        }
    }
}

impl Logger for FastLog {
    fn log(&self, event: &Event<'_>) {
        log::info!("{}", event.json());
    }

    fn close(self: Box<Self>) -> u64 {
        log::logger().flush();
        0
    }
}
