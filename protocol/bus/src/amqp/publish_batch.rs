//! One flight of messages: all written to one confirm channel, pipelined, then each confirm awaited.

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

/// How many messages may wait for their confirm at once: enough to keep the broker busy, and a bound for memory.
const WINDOW: usize = 2048;

/// Codes with which the broker closes a channel because of what was published there: too large, not allowed, not
/// there, not acceptable.
const DENIALS: [u16; 4] = [311, 403, 404, 406];

/// What became of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConfirmStatus {
    /// The broker is responsible for it.
    Confirmed,
    /// The broker refused it: a queue is full, or has no quorum.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// How a flight ended.
#[derive(Debug)]
pub(super) enum BatchEnd {
    /// The broker answered for every message.
    Answered,
    /// The channel or the connection is gone.
    Lost(lapin::Error),
    /// The broker said nothing for too long.
    Silent,
    /// The connection was given up meanwhile.
    GivenUp,
    /// The broker closed the channel because of a message; and what it said.
    Denied(u16, String),
}

/// What became of the messages, in their order, and of the channel.
pub(super) struct PublishBatch {
    pub(super) statuses: Vec<ConfirmStatus>,
    pub(super) end: BatchEnd,
}

/// A message on its way out. AMQP's own form of it is made once for each time it is written, since lapin consumes it.
pub(super) struct Prepared {
    pub(super) message: Outgoing,
    head: Option<Head>,
    /// How often it was refused.
    pub(super) refusals: u32,
}

/// What lapin consumes of a message.
struct Head {
    properties: lapin::BasicProperties,
    routing_key: ShortString,
}

impl Head {
    fn of(user: &ShortString, message: &Outgoing) -> Result<Self, String> {
        Ok(Self {
            properties: properties::to_amqp(user, &message.properties)?,
            routing_key: properties::short(message.destination.routing_key(), "routing key")?,
        })
    }
}

impl Prepared {
    /// # Errors
    /// [`PublishError::Denied`]: AMQP has no room for one of its texts.
    pub(super) fn new(user: &ShortString, message: Outgoing) -> Result<Self, PublishError> {
        match Head::of(user, &message) {
            Ok(head) => Ok(Self {
                message,
                head: Some(head),
                refusals: 0,
            }),
            Err(reason) => Err(channel_error::of(&message.destination, reason)),
        }
    }

    /// Makes it ready to be written again.
    pub(super) fn renew(&mut self, user: &ShortString) {
        self.head = Head::of(user, &self.message).ok();
    }
}

/// Publishes the messages and waits for all confirms, at most `patience` without any.
///
/// Awaiting lapin's `basic_publish` waits until that message is written to the socket by another thread. Here each
/// future is polled once, which queues its frames, so that lapin writes many at a time; and then only the oldest
/// one waits, so that confirms of the others, of which the broker sends one for many, wake nobody.
pub(super) async fn publish_batch(
    lent: &ConfirmChannel,
    messages: &mut [Prepared],
    patience: Duration,
) -> PublishBatch {
    let count = messages.len();
    let mut statuses = vec![ConfirmStatus::Unknown; count];
    let mut flying = VecDeque::with_capacity(count.min(WINDOW));
    let mut waiting = messages.iter_mut();
    let mut answered = 0;
    let mut alarm = Alarm::new(patience);
    while answered < count {
        if flying.len() <= WINDOW / 2 {
            for prepared in waiting.by_ref().take(WINDOW - flying.len()) {
                let mut sent = Box::pin(maybe_done(send(lent, prepared)));
                let _ = sent.as_mut().poll_unpin(&mut Context::from_waker(Waker::noop()));
                flying.push_back(sent);
            }
        }
        let oldest = flying.front_mut().expect("what did not land is flying");
        if let Err(end) = alarm.wait(lent, oldest.as_mut()).await {
            sweep(flying, &mut statuses[answered..]);
            return PublishBatch { statuses, end };
        }
        match oldest.as_mut().take_output().expect("it was awaited") {
            Ok(status) => statuses[answered] = status,
            Err(error) => {
                flying.pop_front();
                let cause = sweep(flying, &mut statuses[answered + 1..]);
                return PublishBatch {
                    statuses,
                    end: end(&error, cause),
                };
            }
        }
        flying.pop_front();
        answered += 1;
    }
    PublishBatch {
        statuses,
        end: BatchEnd::Answered,
    }
}

async fn send(lent: &ConfirmChannel, prepared: &mut Prepared) -> lapin::Result<ConfirmStatus> {
    let head = prepared.head.take().expect("it is made ready before each flight");
    let written = lent
        .channel
        .basic_publish(
            prepared.message.destination.exchange().into(),
            head.routing_key,
            // Not `mandatory`: alternate exchanges route what nobody bound, and lapin gives returned messages to the
            // wrong confirms when several are in flight.
            BasicPublishOptions::default(),
            &prepared.message.body,
            head.properties,
        )
        .await?;
    Ok(match written.await? {
        Confirmation::Ack(_) => ConfirmStatus::Confirmed,
        Confirmation::Nack(_) => ConfirmStatus::Refused,
        Confirmation::NotRequested => ConfirmStatus::Unknown,
    })
}

/// Notes what else landed before the end, and returns the error that says most about it.
fn sweep<F>(flying: VecDeque<Pin<Box<MaybeDone<F>>>>, statuses: &mut [ConfirmStatus]) -> Option<lapin::Error>
where
    F: Future<Output = lapin::Result<ConfirmStatus>>,
{
    let mut cause: Option<lapin::Error> = None;
    for (mut sent, status) in flying.into_iter().zip(statuses) {
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
        ErrorKind::ProtocolError(said) if error.is_amqp_soft_error() && DENIALS.contains(&said.get_id()) => {
            BatchEnd::Denied(said.get_id(), said.get_message().to_string())
        }
        _ => BatchEnd::Lost(error),
    }
}

/// Goes off when nothing was confirmed for too long. It does not while the broker holds us back: then nothing is
/// written, and waiting is all there is to do.
struct Alarm {
    patience: Duration,
    quiet_since: Instant,
    timer: Pin<Box<tokio::time::Sleep>>,
}

impl Alarm {
    fn new(patience: Duration) -> Self {
        Self {
            patience,
            quiet_since: Instant::now(),
            timer: Box::pin(sleep(patience / 4)),
        }
    }

    /// Waits for the message, or says why there is no point.
    async fn wait<F: Future>(
        &mut self,
        lent: &ConfirmChannel,
        mut sent: Pin<&mut MaybeDone<F>>,
    ) -> Result<(), BatchEnd> {
        // No clock where nothing has to be waited for.
        if sent.as_mut().now_or_never().is_some() {
            return Ok(());
        }
        self.quiet_since = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = sent.as_mut() => return Ok(()),
                () = lent.generation.given_up() => return Err(BatchEnd::GivenUp),
                () = self.timer.as_mut() => {}
            }
            let now = Instant::now();
            if lent.generation.connection.status().blocked() {
                self.quiet_since = now;
            }
            if now.duration_since(self.quiet_since) >= self.patience {
                return Err(BatchEnd::Silent);
            }
            self.timer.as_mut().reset(now + self.patience / 4);
        }
    }
}
