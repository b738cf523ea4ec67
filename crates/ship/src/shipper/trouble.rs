//! Decides when trouble is said, so that it is noticed and does not fill a log.

use std::time::{Duration, Instant};

/// At most so often something is said.
const EVERY: Duration = Duration::from_secs(60);

/// The trouble that was said last.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    said: Option<(String, Instant)>,
}

impl Trouble {
    /// Returns whether to say this reason now. The first one is said at once, and another one after a minute. The
    /// same one is said again each minute if it `repeats`.
    pub fn is_news(&mut self, reason: &str, now: Instant, repeats: bool) -> bool {
        let is_news = self.said.as_ref().is_none_or(|(said, at)| {
            (repeats || said != reason) && now.saturating_duration_since(*at) >= EVERY
        });
        if is_news {
            self.said = Some((reason.to_owned(), now));
        }
        is_news
    }

    /// Takes note that it is over. Returns whether it was said.
    pub fn end(&mut self) -> bool {
        self.said.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_reason_is_said_after_a_minute_and_the_same_one_if_it_repeats() {
        let (start, mut trouble) = (Instant::now(), Trouble::default());
        for (seconds, reason, repeats, is_news) in [
            (0, "down", false, true),
            (1, "refused", false, false),
            (60, "down", false, false),
            (61, "refused", false, true),
            (100, "refused", true, false),
            (121, "refused", true, true),
        ] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(trouble.is_news(reason, now, repeats), is_news, "{seconds}");
        }
        assert!(trouble.end() && !trouble.end());
        assert!(trouble.is_news("refused", start, false));
    }
}
