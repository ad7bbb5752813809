//! The baseline: consumes, publishes a confirmed answer of the same size, and acknowledges. It decodes nothing and has no
//! database.

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use anyhow::ensure;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use lockstep_protocol::Kind;
use lockstep_protocol::envelope::CONTENT_TYPE;
use lockstep_protocol::topology::{self, Lane};

use crate::messages;
use crate::meter::{Measured, Meter, Servers};

/// Options of the bare loop.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Bare {
    #[arg(long)]
    pub(crate) amqp: String,
    /// Number of messages after which it ends.
    #[arg(long)]
    pub(crate) messages: u32,
    #[arg(long, default_value_t = 2000)]
    pub(crate) prefetch: u16,
    #[arg(long, default_value_t = 500)]
    pub(crate) batch: usize,
    /// How long a batch waits for more, in milliseconds.
    #[arg(long, default_value_t = 2)]
    pub(crate) linger: u64,
    /// How many batches may wait for their confirms at a time.
    #[arg(long, default_value_t = 1)]
    pub(crate) ahead: usize,
    #[command(flatten)]
    pub(crate) servers: Servers,
}

type Confirm = Pin<Box<dyn Future<Output = lapin::Result<Confirmation>> + Send>>;

/// Processes this number of messages.
///
/// # Errors
/// The broker rejects a request or closes the connection.
pub(crate) async fn run(bare: Bare) -> anyhow::Result<Measured> {
    let publishing = connect(&bare.amqp).await?;
    let consuming = connect(&bare.amqp).await?;
    let out = publishing.create_channel().await?;
    out.confirm_select(ConfirmSelectOptions::default()).await?;
    let channel = consuming.create_channel().await?;
    channel
        .basic_qos(bare.prefetch, BasicQosOptions { global: false })
        .await?;
    let body = messages::answer();

    let meter = Meter::start(bare.servers)?;
    let mut deliveries = channel
        .basic_consume(
            Lane::Events.queue().into(),
            ShortString::default(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let (mut taken, mut settled, mut batches) = (0, 0, 0);
    // Batches are acknowledged in their order.
    let mut flying = FuturesOrdered::new();
    while settled < bare.messages {
        let has_place = taken < bare.messages && flying.len() < bare.ahead;
        // Only the first delivery is awaited beside the confirms, so nothing is lost when those come first.
        tokio::select! {
            first = deliveries.next(), if has_place => {
                let batch = fill(first, &mut deliveries, &bare, bare.messages - taken).await?;
                let last = batch.last().expect("a batch has a message").delivery_tag;
                let count = u32::try_from(batch.len())?;
                taken += count;
                let confirms = publish(&out, &body, batch);
                flying.push_back(async move { confirmed(confirms).await.map(|()| (last, count)) });
            }
            Some(confirmed) = flying.next() => {
                let (last, count) = confirmed?;
                channel
                    .basic_ack(last, BasicAckOptions { multiple: true })
                    .await?;
                settled += count;
                batches += 1;
            }
        }
    }
    let measured = meter.stop(settled, batches)?;
    consuming.close(200, "done".into()).await?;
    publishing.close(200, "done".into()).await?;
    Ok(measured)
}

/// A connection with the options of the bus.
pub(crate) async fn connect(amqp: &str) -> anyhow::Result<Connection> {
    Ok(Connection::connect(amqp, ConnectionProperties::default()).await?)
}

/// The batch that begins with this delivery.
async fn fill(
    first: Option<lapin::Result<Delivery>>,
    deliveries: &mut lapin::Consumer,
    bare: &Bare,
    left: u32,
) -> anyhow::Result<Vec<Delivery>> {
    let most = bare.batch.min(usize::try_from(left)?);
    let mut batch = Vec::with_capacity(most);
    batch.push(first.ok_or_else(|| anyhow::anyhow!("the consumer ended"))??);
    let deadline = tokio::time::Instant::now() + Duration::from_millis(bare.linger);
    while batch.len() < most {
        let next = match deliveries.next().now_or_never() {
            Some(next) => next,
            None if bare.linger == 0 => break,
            None => match tokio::time::timeout_at(deadline, deliveries.next()).await {
                Ok(next) => next,
                Err(_) => break,
            },
        };
        batch.push(next.ok_or_else(|| anyhow::anyhow!("the consumer ended"))??);
    }
    Ok(batch)
}

async fn confirmed(confirms: Vec<Confirm>) -> anyhow::Result<()> {
    for confirm in confirms {
        ensure!(matches!(confirm.await?, Confirmation::Ack(_)), "refused");
    }
    Ok(())
}

/// Publishes an answer to each message. The first poll of a future queues its frames, so lapin writes many frames at a time.
fn publish(out: &Channel, body: &[u8], batch: Vec<Delivery>) -> Vec<Confirm> {
    let answers = batch.into_iter().map(|delivery| {
        let (exchange, key) = match delivery.properties.reply_to() {
            Some(reply_to) => (topology::REPLIES, reply_to.clone()),
            None => (topology::RESULTS, Kind::EventApplied.as_str().into()),
        };
        let properties = answer_properties(&delivery);
        let (out, body) = (out.clone(), body.to_vec());
        let mut sent = async move {
            let options = BasicPublishOptions::default();
            let publish = out.basic_publish(exchange.into(), key, options, &body, properties);
            publish.await?.await
        }
        .boxed();
        match sent.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(early) => std::future::ready(early).boxed(),
            std::task::Poll::Pending => sent,
        }
    });
    answers.collect()
}

/// The properties of Lockstep's answers, without the `user_id`.
fn answer_properties(delivery: &Delivery) -> BasicProperties {
    let asked = &delivery.properties;
    let cause = asked.message_id().clone().unwrap_or_default();
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type(CONTENT_TYPE.into())
        .with_type(Kind::EventApplied.as_str().into())
        .with_message_id("01234567-89ab-5def-8123-456789abcdef".into())
        .with_correlation_id(cause)
        .with_timestamp(asked.timestamp().unwrap_or_default())
}
