use std::sync::Arc;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONNECTION;
use lockstep_http::ProblemResponse;
use lockstep_protocol::rest::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a permit stands for: permits are counted in 32 bits.
const UNIT: usize = 1024;

/// Bounds the bodies that are held in memory: each by itself before and while it is read, and all of them together.
#[derive(Debug)]
pub(super) struct Inflow {
    room: Arc<Semaphore>,
    timeout: Duration,
}

/// A body, and its room as long as it is held.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Inflow {
    /// Room for so many bytes; each body has to be there within this time.
    pub(super) fn new(bytes: usize, timeout: Duration) -> Self {
        Self {
            room: Arc::new(Semaphore::new(bytes.div_ceil(UNIT))),
            timeout,
        }
    }

    /// Reads a body of at most so many bytes. The route's `DefaultBodyLimit` has to be the same.
    pub(super) async fn read(&self, request: Request, most: usize) -> Result<Held, ProblemResponse> {
        let declared = request.body().size_hint().upper();
        let declared = declared.and_then(|bytes| usize::try_from(bytes).ok());
        if request.body().size_hint().lower() > most as u64 {
            return Err(ProblemResponse::too_large(most));
        }
        // A body that does not say how long it is may become as long as it may.
        let units = declared.unwrap_or(most).min(most).div_ceil(UNIT);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(units) else {
            return Err(ProblemResponse::busy());
        };
        match tokio::time::timeout(self.timeout, Bytes::from_request(request, &())).await {
            Ok(Ok(bytes)) => Ok(Held { bytes, _room: room }),
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
