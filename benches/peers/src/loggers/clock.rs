//! Nothing: what remains is the cost of reading the clock twice.

use std::hint::black_box;
use std::path::Path;

use super::Logger;
use crate::event::Event;

struct Clock;

pub fn start(_folder: &Path) -> Box<dyn Logger> {
    Box::new(Clock)
}

impl Logger for Clock {
    fn log(&self, event: &Event<'_>) {
        black_box(event);
    }

    fn close(self: Box<Self>) -> u64 {
        0
    }
}
