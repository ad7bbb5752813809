//! Facts and messages for the tables of this module's tests.

use jiff::Timestamp;
use lockstep_protocol::{
    Cause, DeviceState, DeviceType, Envelope, Hostname, Identity, Kind, Message, MessageId, Source,
};

use super::{Decision, FleetHandlers, Handlers as _, Rejection};
use lockstep_store::{
    Attributes, DeviceRow, Facts, Flips, FormerHostname, Lifecycle, Link, LinkEnd, Origin, SyncState, Version,
};

pub(super) fn hostname(name: &str) -> Hostname {
    name.parse().unwrap()
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn version(second: i64) -> Version {
    Version {
        time: at(second),
        id: MessageId::try_from(format!("at-{second}")).unwrap(),
    }
}

/// A synchronized MANAGED access switch, after the test's changes.
pub(super) fn device(name: &str, change: impl FnOnce(&mut DeviceRow)) -> DeviceRow {
    let mut row = DeviceRow {
        id: Some(1),
        hostname: hostname(name),
        attributes: Attributes::of(DeviceType::ACCESS),
        lifecycle: Lifecycle {
            state: DeviceState::Managed,
            note: None,
            until: None,
            version: None,
            since: None,
        },
        sync: SyncState::SYNCHRONIZED,
        marked: None,
        groups: None,
        by_rule: None,
        data: None,
        causes: Vec::new(),
        forgets_causes: false,
        described: false,
        flagged: false,
    };
    change(&mut row);
    row
}

pub(super) fn facts(devices: impl IntoIterator<Item = DeviceRow>) -> Facts {
    let mut facts = Facts::default();
    for row in devices {
        facts.add_device(row);
    }
    facts
}

/// A message of this kind with this data, whose `time` is this second.
pub(super) fn message(kind: Kind, second: i64, data: &serde_json::Value) -> Envelope {
    Envelope {
        identity: Identity {
            source: Source::try_from("urn:test".to_owned()).unwrap(),
            id: MessageId::try_from(format!("at-{second}")).unwrap(),
        },
        subject: None,
        time: Some(at(second)),
        traceparent: None,
        causationid: None,
        actor: None,
        message: Message::from_data(kind, data).unwrap(),
    }
}

/// Decides a message at a time after all of the tests' seconds, and applies its effects to the facts.
pub(super) fn process(envelope: &Envelope, facts: &mut Facts) -> Result<(Decision, Flips), Rejection> {
    let decision = FleetHandlers::default().decide(envelope, facts, at(1_000_000))?;
    let kind = envelope.message.kind();
    let origin = Origin {
        identity: &envelope.identity,
        kind,
        actor: None,
        at: at(1_000_000),
        reply: None,
    };
    let flips = facts.absorb(decision.effects.clone(), &origin);
    Ok((decision, flips))
}

pub(super) fn flips(names: &[&str]) -> Flips {
    names.iter().map(|name| hostname(name)).collect()
}

/// A link between two ends: hostname and interface.
pub(super) fn link(one: (&str, &str), other: (&str, &str)) -> Link {
    let end = |(name, interface): (&str, &str)| LinkEnd {
        hostname: hostname(name),
        interface: interface.to_owned().try_into().unwrap(),
    };
    Link::between(end(one), end(other))
}

/// A device with this name was removed at this second.
pub(super) fn removed(name: &str, second: i64) -> FormerHostname {
    FormerHostname {
        hostname: hostname(name),
        current: None,
        version: version(second),
    }
}

/// The causes that the messages of the test gave to a device, oldest first.
pub(super) fn causes(facts: &Facts, name: &str) -> Vec<Cause> {
    let row = facts.device(&hostname(name)).unwrap();
    let causes = row.causes.iter().map(|index| facts.new_causes()[*index].cause);
    causes.collect()
}
