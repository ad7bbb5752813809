//! Compares the cost of the bus on RabbitMQ with plain lapin: the same messages, batches and queue, in turns.
//! `LOCKSTEP_TEST_AMQP_URL=amqp://… cargo run --release --features amqp --example amqp_overhead`

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_bus::{Acknowledge, Bus, ConsumeOptions, Headers, Outgoing, Properties};
use lockstep_protocol::topology::{Destination, Lane, Queue, Topology, WORK};

const BATCH: usize = 500;
const PREFETCH: u16 = 2000;

#[tokio::main]
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program for the terminal"
)]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("LOCKSTEP_TEST_AMQP_URL")?;
    let count = |index: usize, default: usize| {
        std::env::args()
            .nth(index)
            .map_or(Ok(default), |text| text.parse())
    };
    let (batches, rounds) = (count(1, 40)?, count(2, 5)?);
    let bus = AmqpBus::connect(AmqpOptions::new(&url)).await?;
    bus.declare(&Topology::new(1.0)).await?;
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;

    let messages = batches * BATCH;
    println!("{batches} batches of {BATCH}; messages/s, µs of CPU per message");
    for round in 0..rounds {
        let mut line = format!("round {round}:");
        for (publish, consume) in [("lapin", "lapin"), ("joined", ""), ("bus", "bus"), ("bus x4", "")] {
            let (started, cpu) = (Instant::now(), cpu());
            match publish {
                "lapin" => bare_publish(&connection, batches).await?,
                "joined" => joined_publish(&connection, batches).await?,
                "bus x4" => {
                    try_join_all((0..4).map(|_| bus_publish(&bus, batches / 4))).await?;
                }
                _ => bus_publish(&bus, batches).await?,
            }
            line += &report(&format!("publish {publish}"), messages, started, cpu);
            let (started, cpu) = (Instant::now(), self::cpu());
            if consume == "lapin" {
                bare_consume(&connection, messages).await?;
            } else {
                bus_consume(&bus, messages).await?;
            }
            if !consume.is_empty() {
                line += &report(&format!("consume {consume}"), messages, started, cpu);
            }
        }
        println!("{line}");
    }
    bus.close().await;
    Ok(())
}

fn report(what: &str, messages: usize, started: Instant, before: f64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a few thousands")]
    let messages = messages as f64;
    let rate = messages / started.elapsed().as_secs_f64();
    let micros = (cpu() - before) * 1e6 / messages;
    format!("  {what} {rate:.0} ({micros:.1})")
}

/// The processor time of this process, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}

const BODY: &[u8] = &[b'x'; 300];

fn outgoing(number: usize) -> Outgoing {
    Outgoing {
        destination: Destination::Lane(Lane::Devices),
        properties: Properties {
            message_id: Some(format!("01938d2e-0000-7000-8000-{number:012}").into()),
            kind: Some("lockstep.interface.updated".into()),
            content_type: Some("application/cloudevents+json".into()),
            correlation_id: Some(format!("01938d2e-0000-7000-8000-{number:012}").into()),
            timestamp: Some(jiff::Timestamp::UNIX_EPOCH),
            headers: Headers::from([("lockstep-attempt".to_owned(), "1".to_owned())]),
            ..Properties::default()
        },
        body: Bytes::from_static(BODY),
    }
}

fn properties(number: usize) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("lockstep-attempt".into(), AMQPValue::LongString("1".into()));
    BasicProperties::default()
        .with_message_id(format!("01938d2e-0000-7000-8000-{number:012}").into())
        .with_type("lockstep.interface.updated".into())
        .with_content_type("application/cloudevents+json".into())
        .with_correlation_id(format!("01938d2e-0000-7000-8000-{number:012}").into())
        .with_timestamp(0)
        .with_delivery_mode(2)
        .with_headers(headers)
}

async fn confirm_channel(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

async fn bare_publish(connection: &Connection, batches: usize) -> anyhow::Result<()> {
    let channel = confirm_channel(connection).await?;
    for batch in 0..batches {
        let mut confirms = Vec::with_capacity(BATCH);
        for number in 0..BATCH {
            let written = channel.basic_publish(
                WORK.into(),
                "devices".into(),
                BasicPublishOptions::default(),
                BODY,
                properties(batch * BATCH + number),
            );
            confirms.push(written.await?);
        }
        for confirm in confirms {
            anyhow::ensure!(confirm.await?.is_ack());
        }
    }
    channel.close(200, "done".into()).await?;
    Ok(())
}

async fn joined_publish(connection: &Connection, batches: usize) -> anyhow::Result<()> {
    let channel = confirm_channel(connection).await?;
    for batch in 0..batches {
        let confirms = try_join_all((0..BATCH).map(|number| {
            let channel = &channel;
            async move {
                let written = channel.basic_publish(
                    WORK.into(),
                    "devices".into(),
                    BasicPublishOptions::default(),
                    BODY,
                    properties(batch * BATCH + number),
                );
                written.await?.await
            }
        }))
        .await?;
        anyhow::ensure!(confirms.iter().all(lapin::Confirmation::is_ack));
    }
    channel.close(200, "done".into()).await?;
    Ok(())
}

async fn bus_publish(bus: &Arc<AmqpBus>, batches: usize) -> anyhow::Result<()> {
    for batch in 0..batches {
        let messages = (0..BATCH).map(|number| outgoing(batch * BATCH + number));
        bus.publish(messages.collect()).await?;
    }
    Ok(())
}

async fn bare_consume(connection: &Connection, messages: usize) -> anyhow::Result<()> {
    let channel = connection.create_channel().await?;
    channel
        .basic_qos(PREFETCH, BasicQosOptions { global: false })
        .await?;
    let mut deliveries = channel
        .basic_consume(
            Lane::Devices.queue().into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    for _ in 0..messages / BATCH {
        let mut batch = Vec::with_capacity(BATCH);
        while batch.len() < BATCH {
            batch.push(deliveries.next().await.expect("the queue exists")?);
        }
        let last = batch.last().expect("the batch is full");
        last.ack(BasicAckOptions { multiple: true }).await?;
    }
    channel.close(200, "done".into()).await?;
    Ok(())
}

async fn bus_consume(bus: &Arc<AmqpBus>, messages: usize) -> anyhow::Result<()> {
    let options = ConsumeOptions {
        prefetch: PREFETCH,
        acknowledge: Acknowledge::InOrder,
    };
    let mut consumer = bus.consume(Queue::Lane(Lane::Devices), options).await?;
    let mut taken = 0;
    while taken < messages {
        let batch = consumer.take(BATCH).await.expect("the bus is open");
        taken += batch.deliveries.len();
        batch.receipt.ack().await;
    }
    consumer.close().await;
    Ok(())
}
