use std::sync::Arc;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONNECTION;
use lockstep_http::ProblemResponse;
use lockstep_protocol::rest::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bytes per permit. `Semaphore` counts permits in 32 bits, so one permit per byte would not be enough.
const UNIT: usize = 1024;

/// Limits the memory for request bodies: the size of each, checked before and while it is read, and the sum of all.
#[derive(Debug)]
pub(super) struct BodyLimiter {
    memory: Arc<Semaphore>,
    timeout: Duration,
}

/// A body in memory, with its share of the limit.
#[derive(Debug)]
pub(super) struct BufferedBody {
    pub(super) bytes: Bytes,
    _memory: OwnedSemaphorePermit,
}

impl BodyLimiter {
    /// Limits all bodies together to `bytes`. `timeout` is the time in which each body must arrive.
    pub(super) fn new(bytes: usize, timeout: Duration) -> Self {
        Self {
            memory: Arc::new(Semaphore::new(bytes.div_ceil(UNIT))),
            timeout,
        }
    }

    /// Reads a body of at most `most` bytes. The route's `DefaultBodyLimit` must have the same value.
    pub(super) async fn read(&self, request: Request, most: usize) -> Result<BufferedBody, ProblemResponse> {
        let declared = request.body().size_hint().upper();
        let declared = declared.and_then(|bytes| usize::try_from(bytes).ok());
        if request.body().size_hint().lower() > most as u64 {
            return Err(ProblemResponse::too_large(most));
        }
        // A body without a declared length counts with the maximum.
        let units = declared.unwrap_or(most).min(most).div_ceil(UNIT);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let Ok(memory) = Arc::clone(&self.memory).try_acquire_many_owned(units) else {
            return Err(ProblemResponse::busy());
        };
        match tokio::time::timeout(self.timeout, Bytes::from_request(request, &())).await {
            Ok(Ok(bytes)) => Ok(BufferedBody {
                bytes,
                _memory: memory,
            }),
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ProblemResponse::too_large(most))
            }
            Ok(Err(rejection)) => Err(ProblemResponse::from(rejection)),
            Err(_) => Err(too_slow()),
        }
    }
}

fn too_slow() -> ProblemResponse {
    let problem =
        Problem::new(408, "timeout", "the body took too long to arrive").with_detail("send it again");
    ProblemResponse::from(problem).with_header(CONNECTION, "close")
}
