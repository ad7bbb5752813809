use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONNECTION;
use hyper::body::Frame;
use lockstep_protocol::rest::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::ProblemResponse;

/// The bytes per permit. `Semaphore` counts permits in 32 bits, so one permit per byte would not be enough.
const UNIT: usize = 1024;
/// How long a sender may send nothing.
const PAUSE: Duration = Duration::from_secs(10);

/// Limits the memory for request bodies: the size of each, and the sum of all. Only what has arrived counts, not what is
/// announced. If there is no room for what arrives, the largest of the bodies that are still arriving is refused: clients that
/// send much cannot keep out those that send little.
#[derive(Debug)]
pub struct BodyLimiter {
    memory: Arc<Semaphore>,
    timeout: Duration,
    numbers: AtomicU64,
    arriving: Mutex<HashMap<u64, Arriving>>,
}

/// A body that has not arrived completely.
#[derive(Debug)]
struct Arriving {
    bytes: usize,
    refuse: CancellationToken,
}

/// A body in memory, with its share of the limit.
#[derive(Debug)]
pub struct BufferedBody {
    /// The whole body.
    pub bytes: Bytes,
    _memory: Option<OwnedSemaphorePermit>,
}

impl BodyLimiter {
    /// Limits all bodies together to `bytes`. `timeout` is the time in which each body must arrive.
    pub fn new(bytes: usize, timeout: Duration) -> Self {
        Self {
            memory: Arc::new(Semaphore::new(bytes.div_ceil(UNIT))),
            timeout,
            numbers: AtomicU64::new(0),
            arriving: Mutex::default(),
        }
    }

    /// Reads a body of at most `most` bytes.
    ///
    /// # Errors
    /// The problem to respond with: the body is too large, arrives too slowly or not at all, or there is no room for it.
    pub async fn read(&self, mut body: Body, most: usize) -> Result<BufferedBody, ProblemResponse> {
        if body.size_hint().lower() > most as u64 {
            return Err(ProblemResponse::too_large(most));
        }
        let end = Instant::now() + self.timeout;
        let announced = body.size_hint().upper();
        let announced = announced.and_then(|bytes| usize::try_from(bytes).ok());
        let largest = announced.map_or(most, |bytes| bytes.min(most));
        let mut bytes = Vec::new();
        let mut memory: Option<OwnedSemaphorePermit> = None;
        let mut place: Option<Place<'_>> = None;
        let mut asked = false;
        while !body.is_end_stream() {
            let next = if let Some(place) = &place {
                let pause = end.min(Instant::now() + PAUSE);
                let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
                place.wait(pause, frame).await?
            } else if let Some(next) = arrived(&mut body, &mut asked).await {
                next
            } else {
                place = Some(Place::of(self, bytes.capacity()));
                continue;
            };
            let data = match next {
                Some(Ok(frame)) => frame.into_data(),
                Some(Err(_)) => return Err(unreadable()),
                None => break,
            };
            let Ok(data) = data else { continue };
            let needed = bytes.len() + data.len();
            if needed > most {
                return Err(ProblemResponse::too_large(most));
            }
            if needed > bytes.capacity() {
                // Twice what has arrived at most, so that the body is not copied for each piece.
                let capacity = (bytes.len() * 2).min(largest).max(needed);
                let held = memory.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
                let permits = permits(capacity, held);
                let more = if let Ok(more) = Arc::clone(&self.memory).try_acquire_many_owned(permits) {
                    more
                } else {
                    let place = place.get_or_insert_with(|| Place::of(self, bytes.capacity()));
                    self.make_room(permits, capacity, place, end).await?
                };
                match &mut memory {
                    Some(memory) => memory.merge(more),
                    None => memory = Some(more),
                }
                bytes.reserve_exact(capacity - bytes.len());
            }
            bytes.extend_from_slice(&data);
            if let Some(place) = &place {
                place.holds(bytes.capacity());
            }
        }
        Ok(BufferedBody {
            bytes: bytes.into(),
            _memory: memory,
        })
    }

    /// Takes memory that a body of `bytes` lacks, after larger bodies were refused until there is enough.
    async fn make_room(
        &self,
        permits: u32,
        bytes: usize,
        place: &Place<'_>,
        end: Instant,
    ) -> Result<OwnedSemaphorePermit, ProblemResponse> {
        if !place.make_room(permits as usize * UNIT, bytes) {
            return Err(ProblemResponse::busy());
        }
        let memory = Arc::clone(&self.memory).acquire_many_owned(permits);
        place
            .wait(end, memory)
            .await?
            .map_err(|_| ProblemResponse::stopping())
    }

    fn arriving(&self) -> MutexGuard<'_, HashMap<u64, Arriving>> {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a body among those that are arriving, until this is dropped.
struct Place<'a> {
    limiter: &'a BodyLimiter,
    number: u64,
    refuse: CancellationToken,
}

impl<'a> Place<'a> {
    /// The place of a body that holds this many bytes already.
    fn of(limiter: &'a BodyLimiter, bytes: usize) -> Self {
        let number = limiter.numbers.fetch_add(1, Ordering::Relaxed);
        let refuse = CancellationToken::new();
        let arriving = Arriving {
            bytes,
            refuse: refuse.clone(),
        };
        limiter.arriving().insert(number, arriving);
        Self {
            limiter,
            number,
            refuse,
        }
    }

    /// Waits for `work` until `end`, unless the body is refused.
    async fn wait<T>(&self, end: Instant, work: impl Future<Output = T>) -> Result<T, ProblemResponse> {
        tokio::select! {
            biased;
            () = self.refuse.cancelled() => Err(ProblemResponse::busy()),
            done = timeout_at(end, work) => done.map_err(|_| too_slow()),
        }
    }

    fn holds(&self, bytes: usize) {
        if let Some(own) = self.limiter.arriving().get_mut(&self.number) {
            own.bytes = bytes;
        }
    }

    /// Refuses bodies of more than `own` bytes, the largest first, until they make room for `bytes`; false if they are too few.
    fn make_room(&self, bytes: usize, own: usize) -> bool {
        let mut arriving = self.limiter.arriving();
        let mut freed = 0;
        while freed < bytes {
            let larger = arriving.values_mut().filter(|other| other.bytes > own);
            let Some(largest) = larger.max_by_key(|other| other.bytes) else {
                return false;
            };
            largest.refuse.cancel();
            freed += std::mem::take(&mut largest.bytes);
        }
        true
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.limiter.arriving().remove(&self.number);
    }
}

/// What a body asks for `bytes`, less what it holds.
fn permits(bytes: usize, held: usize) -> u32 {
    let units = bytes.div_ceil(UNIT).saturating_sub(held);
    u32::try_from(units).unwrap_or(u32::MAX)
}

type NextFrame = Option<Result<Frame<Bytes>, axum::Error>>;

/// The next part of a body, if it is there. Hyper passes on what it has read only after it was asked, so the first question is
/// repeated: most bodies arrive with their head, and need neither timers nor a place.
async fn arrived(body: &mut Body, asked: &mut bool) -> Option<NextFrame> {
    poll_fn(|context| match Pin::new(&mut *body).poll_frame(context) {
        Poll::Ready(next) => Poll::Ready(Some(next)),
        Poll::Pending if *asked => Poll::Ready(None),
        Poll::Pending => {
            *asked = true;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

fn too_slow() -> ProblemResponse {
    let problem =
        Problem::new(408, "timeout", "the body took too long to arrive").with_detail("send it again");
    ProblemResponse::from(problem).with_header(CONNECTION, "close")
}

fn unreadable() -> ProblemResponse {
    ProblemResponse::bad_request(
        "unreadable-body",
        "the body could not be read",
        "the connection ended before the whole body arrived",
    )
}
