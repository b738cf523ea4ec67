//! What goes wrong with a trip.

use std::error::Error;
use std::fmt;

use http::StatusCode;
use tower::BoxError;

/// Why there is no plan.
#[derive(Debug)]
#[allow(missing_docs, reason = "their texts say it")]
pub enum TripError {
    Refused(StatusCode),
    TimedOut,
    NoAnswer(BoxError),
    Unreadable(serde_json::Error),
    NoSuchTool(String),
    NoSeats(String),
    Endless,
}

impl fmt::Display for TripError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status) => write!(f, "the service said {status}"),
            Self::TimedOut => f.write_str("the service took too long"),
            Self::NoAnswer(cause) => write!(f, "no whole answer came: {cause}"),
            Self::Unreadable(cause) => write!(f, "the answer is not what was agreed: {cause}"),
            Self::NoSuchTool(name) => write!(f, "there is no tool {name}"),
            Self::NoSeats(city) => write!(f, "no seats to {city}"),
            Self::Endless => f.write_str("the model calls for tools without end"),
        }
    }
}

impl Error for TripError {}

impl From<BoxError> for TripError {
    fn from(cause: BoxError) -> Self {
        Self::NoAnswer(cause)
    }
}
