//! Measures the latency that a requester sees: from publishing an event to its answer on the reply queue.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection};
use lockstep_protocol::Kind;
use lockstep_protocol::envelope::CONTENT_TYPE;
use lockstep_protocol::topology;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::bare;
use crate::messages;
use crate::other_build::OtherBuild;
use crate::rounds::alternate;
use crate::scene::{Host, Role, Scene};
use crate::table::{Goal, Row, Table};

/// Warm-up messages before the measurement, for connections, caches and query plans.
const WARM_UP: u32 = 100;
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// The load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Messages one at a time.
    pub(crate) idle: u32,
    /// Messages per second, sent without waiting for the answers to earlier ones.
    pub(crate) rate: u32,
    /// Duration in seconds.
    pub(crate) seconds: u32,
    pub(crate) devices: u32,
}

/// Percentiles of the latencies.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Latencies of the answers.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latencies {
    pub(crate) idle: Percentiles,
    pub(crate) loaded: Percentiles,
}

impl Percentiles {
    fn of(mut all: Vec<Duration>) -> anyhow::Result<Self> {
        all.sort_unstable();
        let at = |percent: usize| all.get((all.len() * percent / 100).min(all.len().saturating_sub(1)));
        Ok(Self {
            p50: *at(50).context("nothing was measured")?,
            p99: *at(99).context("nothing was measured")?,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contender {
    Bare,
    Lockstep,
    OtherBuild,
}

/// A figure of the table: its name, how to read it, and by how many milliseconds it may exceed the bare loop's.
type Figure = (&'static str, fn(&Latencies) -> Duration, f64);

const FIGURES: [Figure; 4] = [
    ("latency idle, p50", |one| one.idle.p50, 1.5),
    ("latency idle, p99", |one| one.idle.p99, 15.0),
    ("latency at 1,000 events/s, p50", |one| one.loaded.p50, 3.0),
    ("latency at 1,000 events/s, p99", |one| one.loaded.p99, 15.0),
];

/// Adds the rows of latency.
///
/// # Errors
/// The broker rejects a request, a worker fails, or an answer is missing.
pub(crate) async fn measure(
    host: &Host,
    load: Load,
    other: Option<&Path>,
    rounds: u32,
    table: &mut Table,
) -> anyhow::Result<()> {
    let other = other.map(OtherBuild);
    let mut contenders = vec![Contender::Bare, Contender::Lockstep];
    contenders.extend(other.map(|_| Contender::OtherBuild));
    let runs = alternate("latency", rounds, &contenders, async |contender| {
        let role = match contender {
            Contender::Bare => Role::Bare { linger: 0, ahead: 1 },
            Contender::Lockstep => Role::Lockstep,
            Contender::OtherBuild => return other.expect("it takes part").latency(load.devices).await,
        };
        one(&host.scene(load.devices).await?, role, load).await
    })
    .await?;
    for (what, of, most) in FIGURES {
        let millis = |contender| runs.each(contender, |one| of(one).as_secs_f64() * 1e3);
        let ours = millis(Contender::Lockstep);
        let bare = ("bare", &millis(Contender::Bare)[..]);
        table
            .rows
            .push(Row::new(what, "ms", &ours, bare, Goal::Plus(most)));
        if other.is_some() {
            let other = ("the other build", &millis(Contender::OtherBuild)[..]);
            table.rows.push(Row::new(what, "ms", &ours, other, Goal::None));
        }
    }
    Ok(())
}

/// Measures one contender.
async fn one(scene: &Scene, role: Role, load: Load) -> anyhow::Result<Latencies> {
    let worker = scene.start(role, WARM_UP + load.idle + load.rate * load.seconds)?;
    scene.consumed(topology::Lane::Events, 1).await?;
    let mut requester = Requester::connect(scene, load.devices).await?;
    requester.one_by_one(WARM_UP).await?;
    let idle = requester.one_by_one(load.idle).await?;
    let loaded = requester.open_loop(load).await?;
    requester.close().await?;
    worker.measured().await?;
    Ok(Latencies {
        idle: Percentiles::of(idle)?,
        loaded: Percentiles::of(loaded)?,
    })
}

struct Requester {
    publishing: Connection,
    consuming: Connection,
    channel: Channel,
    reply_queue: ShortString,
    user: ShortString,
    run: String,
    devices: u32,
    next: u32,
    /// The number of the answered event, and the time of arrival. Sent by the task that reads the reply queue.
    answers: mpsc::UnboundedReceiver<(u32, Instant)>,
}

impl Requester {
    async fn connect(scene: &Scene, devices: u32) -> anyhow::Result<Self> {
        let url = scene.vhost.url();
        let publishing = bare::connect(&url).await?;
        let consuming = bare::connect(&url).await?;
        let channel = consuming.create_channel().await?;
        let user = url
            .strip_prefix("amqp://")
            .and_then(|rest| rest.split(':').next())
            .context("an address has a user")?;
        // Only a queue of the user's own may be named.
        let name: ShortString = format!("{}{user}.{}", topology::REPLY_PREFIX, messages::run()).into();
        channel
            .queue_declare(
                name.clone(),
                QueueDeclareOptions::durable(),
                FieldTable::default(),
            )
            .await?;
        channel
            .queue_bind(
                name.clone(),
                topology::REPLIES.into(),
                name.clone(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let mut replies = channel
            .basic_consume(
                name.clone(),
                ShortString::default(),
                options,
                FieldTable::default(),
            )
            .await?;
        let (to_requester, answers) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(reply)) = replies.next().await {
                let came = Instant::now();
                let id = reply.properties.correlation_id().as_ref();
                let number = id.and_then(|id| id.as_str().rsplit_once('-')?.1.parse().ok());
                if let Some(number) = number
                    && to_requester.send((number, came)).is_err()
                {
                    break;
                }
            }
        });
        Ok(Self {
            channel: publishing.create_channel().await?,
            publishing,
            consuming,
            reply_queue: name,
            user: user.into(),
            run: messages::run(),
            devices,
            next: 0,
            answers,
        })
    }

    async fn publish(&mut self) -> anyhow::Result<u32> {
        let number = self.next;
        self.next += 1;
        let event = messages::event(&self.run, number, self.devices);
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_content_type(CONTENT_TYPE.into())
            .with_type(Kind::InterfaceUpdated.as_str().into())
            .with_message_id(event.id.into())
            .with_user_id(self.user.clone())
            .with_reply_to(self.reply_queue.clone());
        self.channel
            .basic_publish(
                topology::EVENTS.into(),
                Kind::InterfaceUpdated.as_str().into(),
                BasicPublishOptions::default(),
                event.body.as_bytes(),
                properties,
            )
            .await?;
        Ok(number)
    }

    async fn answer(&mut self) -> anyhow::Result<(u32, Instant)> {
        tokio::time::timeout(ANSWER_TIMEOUT, self.answers.recv())
            .await
            .context("an answer is missing")?
            .context("the reply queue ended")
    }

    /// Sends each message after the answer to the previous one.
    async fn one_by_one(&mut self, count: u32) -> anyhow::Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        for _ in 0..count {
            let began = Instant::now();
            let number = self.publish().await?;
            let (answered, came) = self.answer().await?;
            anyhow::ensure!(answered == number, "answer to {answered} instead of {number}");
            latencies.push(came - began);
        }
        Ok(latencies)
    }

    /// Sends each message at its scheduled time without waiting for answers. Latencies count from that time, so that a pause of
    /// the publisher counts too.
    async fn open_loop(&mut self, load: Load) -> anyhow::Result<Vec<Duration>> {
        let interval = Duration::from_secs(1) / load.rate;
        let first = self.next;
        let count = load.rate * load.seconds;
        let began = Instant::now();
        for number in 0..count {
            tokio::time::sleep_until((began + interval * number).into()).await;
            self.publish().await?;
        }
        let mut latencies = Vec::new();
        for _ in 0..count {
            let (number, came) = self.answer().await?;
            latencies.push(came - (began + interval * (number - first)));
        }
        Ok(latencies)
    }

    async fn close(self) -> anyhow::Result<()> {
        self.publishing.close(200, "done".into()).await?;
        self.consuming.close(200, "done".into()).await?;
        Ok(())
    }
}
