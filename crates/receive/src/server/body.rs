//! Reads bodies, within limits on size, time and the memory of all requests together.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::answer::Refusal;
use crate::decode::over_limit;
use crate::settings::{BODIES_MAX, BODY_WITHIN};

/// Memory is counted in these units.
const UNIT: usize = 1 << 10;
/// How much of a body is read after the answer is known. A client that reads only after it has sent everything gets
/// the answer then.
const DRAINED_BYTES_MAX: usize = 64 << 20;
const DRAIN_WITHIN: Duration = Duration::from_secs(1);

/// The memory for all bodies.
#[derive(Debug)]
pub(super) struct BodyMemory {
    units: Arc<Semaphore>,
    body_bytes_max: usize,
}

/// A body as it was sent, with its share of the memory.
pub(super) struct RawBody {
    pub(super) bytes: Bytes,
    /// Given back when the body is dropped.
    _share: OwnedSemaphorePermit,
}

impl BodyMemory {
    pub(super) fn new(body_bytes_max: usize) -> Self {
        let units = body_bytes_max.div_ceil(UNIT) * BODIES_MAX;
        Self { units: Arc::new(Semaphore::new(units)), body_bytes_max }
    }

    /// Reads a body whole.
    pub(super) async fn read(&self, body: &mut Incoming) -> Result<RawBody, Refusal> {
        if body.size_hint().lower() > self.body_bytes_max as u64 {
            return Err(over_limit(self.body_bytes_max));
        }
        timeout(BODY_WITHIN, self.collect(body)).await.unwrap_or_else(|_| {
            let why = format!("the body took more than {} seconds", BODY_WITHIN.as_secs());
            // OTLP says that clients do not retry a 408.
            Err(Refusal::unavailable(why))
        })
    }

    /// Takes memory for what has arrived, so that a client gets none for what it only announces.
    async fn collect(&self, body: &mut Incoming) -> Result<RawBody, Refusal> {
        let (mut bytes, mut share) = (BytesMut::new(), self.take_units(0)?);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refusal::malformed("the body is cut short"))?;
            let Ok(data) = frame.into_data() else { continue };
            let length = bytes.len() + data.len();
            if length > self.body_bytes_max {
                return Err(over_limit(self.body_bytes_max));
            }
            share.merge(self.take_units(length.div_ceil(UNIT) - share.num_permits())?);
            bytes.extend_from_slice(&data);
        }
        Ok(RawBody { bytes: bytes.freeze(), _share: share })
    }

    fn take_units(&self, units: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let units = u32::try_from(units).ok();
        let taken =
            units.and_then(|units| Arc::clone(&self.units).try_acquire_many_owned(units).ok());
        taken.ok_or_else(|| Refusal::unavailable("too many requests at the same time"))
    }
}

/// Reads the rest of a body, and drops it.
pub(super) async fn drain(mut body: Incoming) {
    let read = async {
        let mut drained = 0;
        while let Some(Ok(frame)) = body.frame().await
            && drained < DRAINED_BYTES_MAX
        {
            drained += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // The client may be as slow as it was.
    let _ = timeout(DRAIN_WITHIN, read).await;
}
