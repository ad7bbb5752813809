//! Answers reach their requester in the same trace and are the same each time; no user can act as another one.

use anyhow::{Context, Result, ensure};
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_producer::{Producer, ProducerError, ProducerOptions};
use lockstep_protocol::results::Outcome;
use lockstep_protocol::topology::access::Role;
use lockstep_protocol::{Code, Message, TraceParent, WorkResult};

use crate::system::access::user_of;
use crate::system::load::{envelope, hostname, outgoing, update};
use crate::system::{Expected, Ground, Load, Scene};

const FLEET: Load = Load {
    devices: 3,
    events: 0,
};

/// A producer with the minimal rights: its own reply queues, and publishing to the exchange for all producers.
async fn producer(scene: &Scene) -> Result<(Producer, String)> {
    let user = user_of(&scene.servers()?.vhost, Role::Producer).await?;
    let options = ProducerOptions::new(user.url.clone(), "urn:example:netbox".to_owned().try_into()?);
    Ok((Producer::connect(options).await?, user.name))
}

async fn import(scene: &Scene) -> Result<()> {
    let bus = AmqpBus::connect(AmqpOptions::new(scene.servers()?.vhost.url())).await?;
    let fleet = FLEET.fleet();
    lockstep_bus::Bus::publish(&*bus, vec![outgoing(&fleet)]).await?;
    scene
        .oracle()
        .processed(&[(fleet.identity, Expected::Applied { flags: None })].into())
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_returns_to_its_requester_in_the_same_trace() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let worker = scene.worker(&[])?;
    import(&scene).await?;
    let (producer, _) = producer(&scene).await?;

    let mut event = update(&hostname(0));
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned();
    event.traceparent = Some(TraceParent::try_from(trace)?);
    let answer = producer.request_envelope(&event).await?;
    ensure!(answer.traceparent == event.traceparent, "{answer:?}");
    ensure!(answer.subject.as_deref() == Some("sw0"), "{answer:?}");
    ensure!(
        answer.causationid == Some(event.identity.to_string()),
        "{answer:?}"
    );
    let Message::Result(WorkResult::EventApplied(applied)) = &answer.message else {
        anyhow::bail!("{answer:?}");
    };
    ensure!(
        (applied.outcome, applied.flipped) == (Outcome::Applied, 1),
        "{applied:?}"
    );

    // The same request again: the same answer with the same id and time.
    ensure!(producer.request_envelope(&event).await? == answer);

    let ghost = producer.request_envelope(&update(&"ghost".parse()?)).await?;
    let Message::Result(WorkResult::MessageRejected(rejected)) = &ghost.message else {
        anyhow::bail!("{ghost:?}");
    };
    ensure!(
        rejected.code == Code::UnknownDevice && rejected.reason.contains("ghost"),
        "{rejected:?}"
    );
    producer.close().await;
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_each_get_their_own_answer() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let worker = scene.worker(&[])?;
    import(&scene).await?;
    let (producer, _) = producer(&scene).await?;
    let requests = (0..300).map(|number| {
        let producer = producer.clone();
        tokio::spawn(async move {
            let event = update(&hostname(number % 3));
            let answer = producer.request_envelope(&event).await?;
            ensure!(
                answer.causationid == Some(event.identity.to_string()),
                "{answer:?}"
            );
            Ok(())
        })
    });
    for request in requests.collect::<Vec<_>>() {
        request.await??;
    }
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cause_names_the_user_the_broker_validated_whatever_the_body_says() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let worker = scene.worker(&[])?;
    import(&scene).await?;
    let (producer, user) = producer(&scene).await?;
    let mut event = update(&hostname(0));
    event.actor = Some("the-boss".to_owned());
    producer.request_envelope(&event).await?;
    let client = scene.servers()?.schema.connect().await?;
    let select = "SELECT actor FROM inbox WHERE id = $1 AND cause_id IS NOT NULL";
    let actor: Option<String> = client
        .query_one(select, &[&event.identity.id.as_str()])
        .await?
        .get(0);
    ensure!(actor.as_deref() == Some(user.as_str()), "{actor:?}");
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn results_and_internal_messages_cannot_be_published_and_a_closed_producer_rejects() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let (producer, _) = producer(&scene).await?;
    let result: Message = serde_json::from_value::<lockstep_protocol::results::MessageRejected>(
        serde_json::json!({"code": "crashed", "reason": "none"}),
    )?
    .into();
    let internal: Message = serde_json::from_value::<lockstep_protocol::internal::RepositoryTipMoved>(
        serde_json::json!({"repository": "settings", "tip": "7".repeat(40)}),
    )?
    .into();
    for message in [result, internal] {
        let error = producer
            .publish_envelope(&envelope(message))
            .await
            .err()
            .context("it was published")?;
        ensure!(matches!(error, ProducerError::NotPublishable { .. }), "{error}");
    }
    let clone = producer.clone();
    producer.close().await;
    let error = clone
        .publish_envelope(&update(&hostname(0)))
        .await
        .err()
        .context("it was published")?;
    ensure!(matches!(error, ProducerError::Closed), "{error}");
    Ok(())
}
