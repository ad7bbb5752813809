//! Devices that lose their name to another one in the same batch.

use std::sync::Arc;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use lockstep_protocol::results::Scope;
use lockstep_protocol::{DeviceState, DeviceType, Envelope, Event, Hostname, Message};
use lockstep_store::{Attributes, DeviceEffect, Effects, Facts, Keys, Version};
use lockstep_worker::handlers::{Decision, EventAppliedDraft, FleetHandlers, Handlers, Rejection};

use crate::scene::{Ground, Scene, update, update_of};

/// An event about an interface with one of these names does it to the device; all others are decided as always.
#[derive(Debug, Default)]
struct Passing(FleetHandlers);

const REMOVE: &str = "removed";
const CREATE: &str = "created";
/// Gives the name of the device to the next one.
const RENAME: &str = "renamed";

/// The device and the interface of an event.
fn about(envelope: &Envelope) -> Option<(&Hostname, &str)> {
    match &envelope.message {
        Message::Event(Event::InterfaceUpdated(event)) => {
            Some((&event.hostname, event.interfaces.first()?.name.as_str()))
        }
        _ => None,
    }
}

fn renamed(hostname: &Hostname) -> Hostname {
    format!("{hostname}-renamed").parse().expect("it is a hostname")
}

impl Handlers for Passing {
    fn keys(&self, envelope: &Envelope, keys: &mut Keys) {
        self.0.keys(envelope, keys);
        if let Some((hostname, _)) = about(envelope) {
            keys.hostnames.insert(renamed(hostname));
        }
    }

    fn decide(&self, envelope: &Envelope, facts: &Facts, now: Timestamp) -> Result<Decision, Rejection> {
        let version = Version {
            time: now,
            id: envelope.identity.id.clone(),
        };
        let (hostname, effect) = match about(envelope) {
            Some((hostname, REMOVE)) => {
                let hostname = hostname.clone();
                (hostname.clone(), DeviceEffect::Remove { hostname, version })
            }
            Some((hostname, RENAME)) => {
                let (hostname, to) = (hostname.clone(), renamed(hostname));
                (
                    hostname.clone(),
                    DeviceEffect::Rename {
                        hostname,
                        to,
                        version,
                    },
                )
            }
            Some((hostname, CREATE)) => {
                let create = DeviceEffect::Create {
                    hostname: hostname.clone(),
                    attributes: Attributes::of(DeviceType::ACCESS),
                    state: DeviceState::Managed,
                    version: Some(version),
                };
                (hostname.clone(), create)
            }
            _ => return self.0.decide(envelope, facts, now),
        };
        Ok(Decision {
            effects: Effects {
                devices: vec![effect],
                ..Effects::default()
            },
            result: EventAppliedDraft::applied(Scope::Device, [hostname]).into(),
        })
    }
}

/// The store writes neither in one transaction, so the messages are processed one by one, in their order.
async fn a_name_passes_on(ground: Ground, leaves: &str) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let messages = [
        update(0),
        update(1),
        update_of(1, leaves),
        update_of(1, CREATE),
        update(1),
        update(2),
    ];
    scene.publish(&messages).await?;
    let worker = scene.worker_with(Arc::new(Passing::default()), 100);
    let results = scene.results(messages.len()).await?;
    worker.stop().await?;
    for results in results.values() {
        let result: serde_json::Value = serde_json::from_slice(&results[0])?;
        ensure!(result["data"]["outcome"] == "applied", "{result}");
    }
    // The new device has the last flag only.
    ensure!(scene.flags().await? == [1, 1, 1, 0, 0, 0, 0, 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_device_is_created_again_in_one_batch_on_sqlite() -> Result<()> {
    a_name_passes_on(Ground::Sqlite, REMOVE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_device_is_created_again_in_one_batch_on_postgres() -> Result<()> {
    a_name_passes_on(Ground::Postgres, REMOVE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_renamed_device_is_created_in_one_batch_on_sqlite() -> Result<()> {
    a_name_passes_on(Ground::Sqlite, RENAME).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_renamed_device_is_created_in_one_batch_on_postgres() -> Result<()> {
    a_name_passes_on(Ground::Postgres, RENAME).await
}
