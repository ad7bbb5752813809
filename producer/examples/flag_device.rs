//! Publishes an event that an interface was configured, and prints the result:
//! `LOCKSTEP_BROKER_URL=amqp://… cargo run -p lockstep-producer --example flag_device -- sw1`

use lockstep_producer::protocol::events::{InterfaceUpdated, UpdateKind, UpdatedInterface};
use lockstep_producer::{Producer, ProducerOptions};

#[tokio::main]
#[expect(
    clippy::disallowed_methods,
    reason = "an example has no configuration of its own"
)]
#[expect(clippy::print_stdout, reason = "an example prints")]
async fn main() -> anyhow::Result<()> {
    let source = "urn:example:netbox".to_owned().try_into()?;
    let producer = Producer::connect(ProducerOptions::new(
        std::env::var("LOCKSTEP_BROKER_URL")?,
        source,
    ))
    .await?;
    let hostname = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "sw1".to_owned())
        .parse()?;
    let interface = UpdatedInterface {
        name: "Ethernet1".to_owned().try_into()?,
        configuration: None,
    };
    let event = InterfaceUpdated {
        hostname,
        interfaces: vec![interface],
        kind: UpdateKind::Configuration,
    };
    let result = producer.request(event).await?;
    println!("{}", serde_json::to_string_pretty(&result.message)?);
    producer.close().await;
    Ok(())
}
