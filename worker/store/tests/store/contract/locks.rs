//! The order of locks: whichever two transactions meet, neither waits for the other in a circle.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use lockstep_protocol::commands::DeadLetterSelection;
use lockstep_protocol::results::DeadLetterAction;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{DeviceType, Kind};
use lockstep_store::{
    AttemptStart, Completion, DeadLetterSelector, DeliveryAttempt, DeviceEffect, DeviceSelector, Effects,
    FollowUpKey, InterfaceRow, Keys, Lease, Link, LinkChange, Origin, Records, SampleInterval,
    SettleDeadLetters, StoreError,
};

use super::device_names::{rename, version};
use super::groups::{changing, group, rules, starting};
use super::leases::LONG;
use super::related::{end, interface, linked};
use super::removed_devices::remove;
use super::repositories::{Refresh, change, flags, named};
use super::{
    Place, Store, absorb, create, create_all, devices, hostname, key, keys, message, row, unsynchronize,
};

const DEVICES: [&str; 6] = ["sw1", "sw2", "sw3", "sw4", "sw5", "sw6"];
/// How often each pair meets, and how many of each kind at once.
const TIMES: usize = 2;
const AT_ONCE: usize = 2;

/// Every kind of transaction.
#[derive(Clone, Copy, Debug)]
enum Kinds {
    Batch,
    Creation,
    GroupedCreation,
    GroupRules,
    BroadRefresh,
    NamedRefresh,
    Requeue,
    Redriven,
    Cause,
    Publication,
    Recovery,
    Attempts,
    Lease,
    Retention,
    Renaming,
    Removal,
}

const ALL: [Kinds; 16] = [
    Kinds::Batch,
    Kinds::Creation,
    Kinds::GroupedCreation,
    Kinds::GroupRules,
    Kinds::BroadRefresh,
    Kinds::NamedRefresh,
    Kinds::Requeue,
    Kinds::Redriven,
    Kinds::Cause,
    Kinds::Publication,
    Kinds::Recovery,
    Kinds::Attempts,
    Kinds::Lease,
    Kinds::Retention,
    Kinds::Renaming,
    Kinds::Removal,
];

struct Scene<'a> {
    place: &'a Place,
    number: AtomicUsize,
    broad: Lease,
    named: Lease,
    /// Revisions of the two repositories: refreshes of one never overlap.
    revisions: [Arc<tokio::sync::Mutex<i64>>; 2],
    dead_letters: Mutex<u64>,
}

impl Scene<'_> {
    fn id(&self) -> String {
        self.number.fetch_add(1, Ordering::Relaxed).to_string()
    }

    #[expect(clippy::too_many_lines, reason = "an arm for each kind of transaction")]
    async fn run(&self, kind: Kinds, store: &dyn Store) -> Result<()> {
        let id = self.id();
        match kind {
            Kinds::Batch => {
                // In an order of its own: the store sorts.
                let names = DEVICES.iter().rev().step_by(2).copied();
                let (mut facts, transaction) = store.begin(&[], &keys(&id, names.clone())).await?;
                absorb(&mut facts, &id, devices(names.map(unsynchronize)));
                transaction.commit(&facts).await?;
            }
            Kinds::Creation => {
                let new = format!("new{id}");
                let names = [new.as_str(), "sw3", "sw1"];
                let (mut facts, transaction) = store.begin(&[], &keys(&id, names)).await?;
                let effects = devices([unsynchronize("sw3"), create(&new), unsynchronize("sw1")]);
                absorb(&mut facts, &id, effects);
                transaction.commit(&facts).await?;
            }
            Kinds::GroupedCreation => {
                let new = format!("new{id}");
                let asked = Keys {
                    group_rules: true,
                    ..keys(&id, [new.as_str(), "sw4", "sw2"])
                };
                let (mut facts, transaction) = store.begin(&[], &asked).await?;
                let joins = [new.as_str(), "sw2"].map(|name| DeviceEffect::Join {
                    hostname: hostname(name),
                    groups: ["one", "two"].map(group).into(),
                });
                let effects = [unsynchronize("sw4"), create(&new)].into_iter().chain(joins);
                absorb(&mut facts, &id, devices(effects));
                transaction.commit(&facts).await?;
            }
            Kinds::GroupRules => {
                // Members and primary groups change each time.
                let digit = &id[id.len() - 1..];
                let new = vec![starting("one", "sw", 2), starting(&format!("of {digit}"), "", 3)];
                let (facts, transaction) = store.begin(&[], &changing(rules(new, &DEVICES))).await?;
                transaction.commit(&facts).await?;
            }
            Kinds::BroadRefresh => {
                let all = DeviceSelector {
                    device_types: [DeviceType::ACCESS].into(),
                    predicate: Some(Arc::new(|_| true)),
                    ..DeviceSelector::default()
                };
                self.refresh(store, &self.broad, 0, "settings", &id, all).await?;
            }
            Kinds::NamedRefresh => {
                let some = named(DEVICES.iter().rev().copied());
                self.refresh(store, &self.named, 1, "templates", &id, some)
                    .await?;
            }
            Kinds::Requeue => self.requeue(store, &id).await?,
            Kinds::Redriven => {
                let number = {
                    let mut last = self.dead_letters.lock().expect("no panic");
                    *last += 1;
                    *last
                };
                let (mut facts, transaction) = store.begin(&[], &keys(&id, ["sw2", "sw1"])).await?;
                absorb(&mut facts, &id, devices([unsynchronize("sw2")]));
                let numbers = BTreeSet::from([number % 40, 7, 3]);
                let processed = numbers.into_iter().map(|number| Completion {
                    follow_up: Some(FollowUpKey::DeadLetter(number)),
                    ..Completion::from(row(message(&format!("redriven {id} {number}"))))
                });
                for completion in processed {
                    facts.record(completion);
                }
                transaction.commit(&facts).await?;
            }
            Kinds::Cause => super::follow_ups::cause_work(store, &id).await?,
            Kinds::Publication => {
                let claimed = store.claim_overdue(16).await?;
                store.mark_published(&claimed, Duration::ZERO).await?;
            }
            Kinds::Recovery => {
                store.make_due(&[Lane::Events, Lane::Devices]).await?;
            }
            Kinds::Attempts => {
                let attempts = (0..10).map(|number| DeliveryAttempt {
                    message: key(&number.to_string()),
                    redrive_count: 0,
                });
                let attempts: BTreeSet<DeliveryAttempt> = attempts.collect();
                let starts = attempts.iter().cloned().map(|attempt| AttemptStart {
                    attempt,
                    unfinished: 0,
                });
                let starts: BTreeSet<AttemptStart> = starts.collect();
                store.record(&starts).await?;
                let keys = Keys {
                    starts: starts.clone(),
                    ..keys(&id, ["sw1"])
                };
                let (facts, transaction) = store.begin(&[], &keys).await?;
                transaction.commit(&facts).await?;
                store.give_back(&starts).await?;
                store.clear(&attempts).await?;
            }
            Kinds::Lease => {
                store.renew(&self.broad, LONG).await?;
                store.renew(&self.named, LONG).await?;
            }
            Kinds::Retention => expire(store).await?,
            Kinds::Renaming => rename_and_back(store, &id).await?,
            Kinds::Removal => create_and_remove(store, &id).await?,
        }
        Ok(())
    }

    async fn refresh(
        &self,
        store: &dyn Store,
        lease: &Lease,
        index: usize,
        repository: &str,
        id: &str,
        selector: DeviceSelector,
    ) -> Result<()> {
        let mut revision = self.revisions[index].lock().await;
        let mut refresh: Refresh = flags(lease, *revision, id, selector);
        refresh.change.name = repository.to_owned().try_into()?;
        change(store, &refresh).await?;
        *revision += 1;
        Ok(())
    }

    async fn requeue(&self, store: &dyn Store, id: &str) -> Result<()> {
        let selection = DeadLetterSelector::Requeueable(DeadLetterSelection {
            up_to: u64::MAX,
            code: None,
            lane: None,
            message_type: None,
        });
        let keys = Keys {
            dead_letters: [selection.clone()].into(),
            ..Keys::default()
        };
        let (mut facts, transaction) = store.begin(&[], &keys).await?;
        let numbers = facts.matching(&selection).take(3).collect();
        let identity = message(id);
        let origin = Origin {
            identity: &identity,
            kind: Kind::DeadLetterRequeueRequested,
            actor: None,
            at: store.now().await.unwrap_or_default(),
            reply: None,
        };
        let effects = Effects {
            dead_letters: Some(SettleDeadLetters {
                action: DeadLetterAction::Requeued,
                numbers,
            }),
            ..Effects::default()
        };
        facts.absorb(effects, &origin);
        facts.record(row(identity.clone()));
        transaction.commit(&facts).await?;
        Ok(())
    }
}

async fn rename_and_back(store: &dyn Store, id: &str) -> Result<()> {
    // There and back, so that the others find the device. Both of its neighbours are locked with it.
    let name = format!("renamed{id}");
    let links = [("sw2", "Ethernet1"), ("sw6", "Ethernet2")].map(|(name, port)| {
        let link = Link::between(end("sw4", port), end(name, "Ethernet9"));
        let version = Some(version(id));
        let present = true;
        LinkChange {
            link,
            present,
            version,
            addresses: None,
        }
    });
    let effects = [
        rename("sw4", &name, id),
        unsynchronize("sw6"),
        unsynchronize("sw2"),
        rename(&name, "sw4", id),
    ];
    let effects = Effects {
        links: links.into(),
        ..devices(effects)
    };
    let asked = Keys {
        links_of: [hostname("sw4")].into(),
        // As every message that changes names.
        group_rules: true,
        ..keys(id, ["sw4", "sw6", "sw2", &name])
    };
    let (mut facts, transaction) = store.begin(&[], &asked).await?;
    absorb(&mut facts, id, effects);
    transaction.commit(&facts).await?;
    Ok(())
}

async fn create_and_remove(store: &dyn Store, id: &str) -> Result<()> {
    let new = format!("removed{id}");
    for (step, effect) in [create(&new), remove(&new, id)].into_iter().enumerate() {
        let id = format!("{step} {id}");
        let link = Link::between(end(&new, "Ethernet1"), end("sw5", "Ethernet1"));
        let effects = Effects {
            interfaces: vec![InterfaceRow {
                hostname: hostname("sw5"),
                name: interface("Ethernet1"),
                configuration: None,
            }],
            ..linked(&link, true, None)
        };
        let effects = Effects {
            devices: vec![effect, unsynchronize("sw5")],
            ..if step == 0 { effects } else { Effects::default() }
        };
        let asked = Keys {
            group_rules: true,
            ..keys(&id, ["sw5", new.as_str()])
        };
        let (mut facts, transaction) = store.begin(&[], &asked).await?;
        absorb(&mut facts, &id, effects);
        transaction.commit(&facts).await?;
    }
    Ok(())
}

async fn expire(store: &dyn Store) -> Result<()> {
    let before = store.now().await?;
    for records in [
        Records::Inbox(Arc::default()),
        Records::DeadLetters,
        Records::DeliveryAttempts,
        Records::Executions,
        Records::FormerHostnames,
        Records::RemovedLinks,
        Records::RemovedManagementDomains,
        Records::DeviceHistory,
        Records::LoginSessions,
        Records::Audit,
        Records::FleetSamples(SampleInterval::Minute),
    ] {
        store
            .expire(&records, before - Duration::from_hours(1), 0, 10)
            .await?;
    }
    Ok(())
}

fn is_deadlock(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<StoreError>(),
        Some(StoreError::Conflict { .. })
    )
}

pub(crate) async fn every_pair_of_transactions_ends_without_a_deadlock(place: &Place) -> Result<()> {
    create_all(place, &DEVICES).await?;
    for id in 0..40 {
        super::dead_letter_writing::dead(place, &format!("dead {id}")).await?;
    }
    let acquired = async |name: &str| place.store.acquire(name, LONG).await?.context("free");
    let scene = Scene {
        place,
        number: AtomicUsize::new(1000),
        broad: acquired("repository/settings").await?,
        named: acquired("repository/templates").await?,
        revisions: [Arc::default(), Arc::default()],
        dead_letters: Mutex::new(0),
    };
    for (index, one) in ALL.into_iter().enumerate() {
        for other in &ALL[index..] {
            for _ in 0..TIMES {
                let kinds = [one, *other].into_iter().cycle().take(2 * AT_ONCE);
                let runs = kinds.enumerate().map(async |(number, kind)| {
                    let store = if number.is_multiple_of(2) {
                        &scene.place.store
                    } else {
                        &scene.place.other
                    };
                    scene.run(kind, &**store).await
                });
                try_join_all(runs).await.map_err(|error| {
                    let what = if is_deadlock(&error) {
                        "a deadlock"
                    } else {
                        "a failure"
                    };
                    error.context(format!("{what} between {one:?} and {other:?}"))
                })?;
            }
        }
    }
    Ok(())
}
