//! What keeps a receiver from its work.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// A receiver cannot start, or cannot go on.
#[derive(Debug)]
pub struct Error(Cause);

#[derive(Debug)]
pub(crate) enum Cause {
    /// The address is not a loopback address.
    Remote(SocketAddr),
    /// Other machines are allowed, and there is no token.
    NoToken,
    Listen(SocketAddr, io::Error),
    /// The logger records nothing, so nothing could be acknowledged.
    Disabled,
    /// Events with content wait until their trace fails, so an acknowledged one might not be written.
    HoldsContent,
    /// A thread, the runtime or a signal handler cannot be had.
    Start(io::Error),
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self(cause)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Remote(address) => {
                write!(
                    f,
                    "{address} is not a loopback address; other machines are served only if you allow it"
                )
            }
            Cause::NoToken => f.write_str("other machines are allowed, so a token is required"),
            Cause::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Cause::Disabled => f.write_str("AUDIT_ENABLED is false, so nothing would be recorded"),
            Cause::HoldsContent => f.write_str(
                "AUDIT_CAPTURE_CONTENT is failed, so events would wait in memory; set it to true or false",
            ),
            Cause::Start(error) => write!(f, "cannot start the receiver: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Cause::Listen(_, error) | Cause::Start(error) => Some(error),
            _ => None,
        }
    }
}
