//! Publishes a batch: writes all messages to one confirm channel, pipelined, and waits for each confirm.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{MaybeDone, maybe_done};
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{Confirmation, ErrorKind};
use tokio::time::{Instant, sleep};

use super::channel_error;
use super::pool::ConfirmChannel;
use super::properties;
use crate::{Outgoing, PublishError};

/// The most messages in flight at a time: enough to keep the broker busy, and a bound for memory.
const WINDOW: usize = 2048;

/// Codes with which the broker closes a channel because of a published message: content too large, access refused, exchange
/// not found, precondition failed.
const DENYING_CODES: [u16; 4] = [311, 403, 404, 406];

/// The confirm status of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConfirmStatus {
    /// The broker confirmed it.
    Confirmed,
    /// The broker refused it (nack): a queue is full, or unavailable.
    Refused,
    /// The outcome is unknown.
    Unknown,
}

/// How long the broker may confirm nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConfirmTimeouts {
    /// While nothing was confirmed on the connection.
    first: Duration,
    /// Afterwards.
    later: Duration,
}

impl ConfirmTimeouts {
    /// The first timeout of a connection.
    const FIRST: Duration = Duration::from_secs(3);

    /// A message that reaches a quorum queue before its leader is elected, such as right after a restart of the broker, is never
    /// answered, although the queue works a moment later (`docs/reference/rabbitmq.md`). Therefore a new connection without any confirm is
    /// given up sooner; but later each time, since a slow broker must have enough time. `unanswered` is the number of connections
    /// in a row without a confirm.
    pub(super) fn new(later: Duration, unanswered: u32) -> Self {
        Self {
            first: (Self::FIRST * 2_u32.pow(unanswered.min(8))).min(later),
            later,
        }
    }

    fn of(self, answered: bool) -> Duration {
        if answered { self.later } else { self.first }
    }
}

/// How a batch ended.
#[derive(Debug)]
pub(super) enum BatchEnd {
    /// The broker confirmed or refused every message.
    Answered,
    /// The channel or the connection was lost.
    Lost(lapin::Error),
    /// The broker confirmed nothing for `confirm_timeout`.
    TimedOut,
    /// The connection started closing.
    ConnectionClosing,
    /// The broker closed the channel because of a message, with this code and text.
    Denied(u16, String),
}

/// The result of a batch.
pub(super) struct PublishBatch {
    /// One status for each message, in their order.
    pub(super) statuses: Vec<ConfirmStatus>,
    pub(super) end: BatchEnd,
}

/// A message to publish. Its AMQP parts are built for each time it is written, since lapin consumes them.
pub(super) struct PendingMessage {
    pub(super) message: Outgoing,
    parts: Option<AmqpParts>,
    /// How often the broker refused it.
    pub(super) refusals: u32,
}

/// The parts of a message that lapin consumes.
struct AmqpParts {
    properties: lapin::BasicProperties,
    routing_key: ShortString,
}

impl AmqpParts {
    fn of(user: &ShortString, message: &Outgoing) -> Result<Self, String> {
        Ok(Self {
            properties: properties::to_amqp(user, &message.properties)?,
            routing_key: properties::short(message.destination.routing_key(), "routing key")?,
        })
    }
}

impl PendingMessage {
    /// # Errors
    /// [`PublishError::Denied`] if a text is longer than AMQP allows, [`PublishError::TooLarge`] if the body is.
    pub(super) fn new(user: &ShortString, message: Outgoing) -> Result<Self, PublishError> {
        message.check_size()?;
        match AmqpParts::of(user, &message) {
            Ok(parts) => Ok(Self {
                message,
                parts: Some(parts),
                refusals: 0,
            }),
            Err(reason) => Err(channel_error::denied(&message.destination, reason)),
        }
    }

    /// Builds the AMQP parts again, after they were consumed or the destination changed.
    pub(super) fn rebuild(&mut self, user: &ShortString) {
        self.parts = AmqpParts::of(user, &self.message).ok();
    }
}

/// Publishes the messages and waits for all confirms, as long as none of the `timeouts` passes without one.
///
/// Awaiting lapin's `basic_publish` waits until another thread has written that message to the socket. Instead each future
/// is polled once here, which queues its frames, so that lapin writes many at a time. Then only the oldest future is
/// awaited: the broker confirms many messages with one frame, and the confirms of the others cause no wake-ups.
pub(super) async fn publish_batch(
    channel: &ConfirmChannel,
    messages: &mut [PendingMessage],
    timeouts: ConfirmTimeouts,
) -> PublishBatch {
    let count = messages.len();
    let mut statuses = vec![ConfirmStatus::Unknown; count];
    let mut in_flight = VecDeque::with_capacity(count.min(WINDOW));
    let mut waiting = messages.iter_mut();
    let mut answered = 0;
    let mut watchdog = ConfirmWatchdog::new(timeouts);
    while answered < count {
        if in_flight.len() <= WINDOW / 2 {
            for pending in waiting.by_ref().take(WINDOW - in_flight.len()) {
                let mut sent = Box::pin(maybe_done(send(channel, pending)));
                let _ = sent.as_mut().poll_unpin(&mut Context::from_waker(Waker::noop()));
                in_flight.push_back(sent);
            }
        }
        let oldest = in_flight.front_mut().expect("unanswered messages are in flight");
        if let Err(end) = watchdog.wait(channel, oldest.as_mut()).await {
            collect_remaining(in_flight, &mut statuses[answered..]);
            return PublishBatch { statuses, end };
        }
        match oldest.as_mut().take_output().expect("the future was awaited") {
            Ok(status) => {
                if answered == 0 {
                    channel.generation.note_answer();
                }
                statuses[answered] = status;
            }
            Err(error) => {
                in_flight.pop_front();
                let cause = collect_remaining(in_flight, &mut statuses[answered + 1..]);
                return PublishBatch {
                    statuses,
                    end: end(&error, cause),
                };
            }
        }
        in_flight.pop_front();
        answered += 1;
    }
    PublishBatch {
        statuses,
        end: BatchEnd::Answered,
    }
}

async fn send(channel: &ConfirmChannel, pending: &mut PendingMessage) -> lapin::Result<ConfirmStatus> {
    let parts = pending
        .parts
        .take()
        .expect("`new` or `rebuild` was called before");
    let written = channel
        .channel
        .basic_publish(
            pending.message.destination.exchange().into(),
            parts.routing_key,
            // Not `mandatory`: alternate exchanges take unroutable messages, and lapin assigns returned messages to the
            // wrong confirms when several are in flight (docs/reference/rabbitmq.md).
            BasicPublishOptions::default(),
            &pending.message.body,
            parts.properties,
        )
        .await?;
    Ok(match written.await? {
        Confirmation::Ack(_) => ConfirmStatus::Confirmed,
        Confirmation::Nack(_) => ConfirmStatus::Refused,
        Confirmation::NotRequested => ConfirmStatus::Unknown,
    })
}

/// Collects the statuses of the other messages in flight, and returns the AMQP error among them, which tells more about the
/// cause than the errors that follow from it.
fn collect_remaining<F>(
    in_flight: VecDeque<Pin<Box<MaybeDone<F>>>>,
    statuses: &mut [ConfirmStatus],
) -> Option<lapin::Error>
where
    F: Future<Output = lapin::Result<ConfirmStatus>>,
{
    let mut cause: Option<lapin::Error> = None;
    for (mut sent, status) in in_flight.into_iter().zip(statuses) {
        let _ = sent.as_mut().poll_unpin(&mut Context::from_waker(Waker::noop()));
        match sent.as_mut().take_output() {
            Some(Ok(answered)) => *status = answered,
            Some(Err(error)) if error.is_amqp_error() => {
                cause.get_or_insert(error);
            }
            Some(Err(_)) | None => {}
        }
    }
    cause
}

fn end(first: &lapin::Error, other: Option<lapin::Error>) -> BatchEnd {
    let error = match other {
        Some(other) if !first.is_amqp_error() => other,
        _ => first.clone(),
    };
    match error.kind() {
        ErrorKind::ProtocolError(said)
            if error.is_amqp_soft_error() && DENYING_CODES.contains(&said.get_id()) =>
        {
            BatchEnd::Denied(said.get_id(), said.get_message().to_string())
        }
        _ => BatchEnd::Lost(error),
    }
}

/// Limits how long the broker may confirm nothing. Time in which the broker blocks the connection does not count, since
/// nothing is written then.
struct ConfirmWatchdog {
    timeouts: ConfirmTimeouts,
    last_confirm: Instant,
    timer: Pin<Box<tokio::time::Sleep>>,
}

impl ConfirmWatchdog {
    fn new(timeouts: ConfirmTimeouts) -> Self {
        Self {
            timeouts,
            last_confirm: Instant::now(),
            timer: Box::pin(sleep(timeouts.first / 4)),
        }
    }

    /// Waits for the confirm of one message, or returns why the batch ends.
    async fn wait<F: Future>(
        &mut self,
        channel: &ConfirmChannel,
        mut sent: Pin<&mut MaybeDone<F>>,
    ) -> Result<(), BatchEnd> {
        // Does not read the clock if the confirm has already arrived.
        if sent.as_mut().now_or_never().is_some() {
            return Ok(());
        }
        self.last_confirm = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = sent.as_mut() => return Ok(()),
                () = channel.generation.closing_started() => return Err(BatchEnd::ConnectionClosing),
                () = self.timer.as_mut() => {}
            }
            let now = Instant::now();
            if channel.generation.connection.status().blocked() {
                self.last_confirm = now;
            }
            let timeout = self.timeouts.of(channel.generation.answered());
            if now.duration_since(self.last_confirm) >= timeout {
                return Err(BatchEnd::TimedOut);
            }
            self.timer.as_mut().reset(now + timeout / 4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_without_a_confirm_is_given_up_sooner_and_later_each_time() {
        let later = Duration::from_secs(15);
        for (unanswered, seconds) in [(0, 3), (1, 6), (2, 12), (3, 15), (u32::MAX, 15)] {
            let timeouts = ConfirmTimeouts::new(later, unanswered);
            assert_eq!(timeouts.of(false), Duration::from_secs(seconds));
            assert_eq!(timeouts.of(true), later);
        }
        let short = Duration::from_secs(1);
        assert_eq!(ConfirmTimeouts::new(short, 5).of(false), short);
    }
}
