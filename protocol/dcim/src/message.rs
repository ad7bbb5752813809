//! Messages about changes. Webhooks and the change log lead to the same ones.

use jiff::{SignedDuration, Timestamp};
use lockstep_protocol::authority::WEBHOOK_ACTOR;
use lockstep_protocol::identity::IdentityError;
use lockstep_protocol::{Digest, Envelope, Identity, Kind, MessageId, Source};

use super::change::{ObjectChange, System};
use super::mapping::Event;

/// The source of the messages about changes in the configured source with this name.
///
/// # Errors
/// The name cannot be part of a source.
pub fn source(system: System, name: &str) -> Result<Source, IdentityError> {
    Source::try_from(format!("{}{system}/{name}", Source::WEBHOOKS))
}

/// The actor of the messages about changes in such a system. It is that of the source, as for forges, so that an outcome is found by the
/// identity of its message alone.
pub fn actor(system: System) -> String {
    format!("{WEBHOOK_ACTOR}{system}")
}

/// The identity of a change, from which those of its messages derive: the request, the object and, where a system reports each change of
/// an object in one request, its revision. The time of a report is not part of it: of one change, two reports have different ones. The
/// digest of `body` stands in for a request that is not known.
///
/// NetBox's action is not part of it either: NetBox sends one webhook for each object of a request, and its action may differ from that of
/// the entries in the change log.
///
/// # Panics
/// Never: a digest is a valid id.
pub fn cause(source: Source, change: &ObjectChange, body: &[u8]) -> Identity {
    let (request, model, object) = (&change.request_id, change.model.as_str(), &change.object_id);
    let name = match request {
        Some(request) => {
            let revision = change.revision.as_deref().unwrap_or_default();
            format!("{request}\0{model}\0{object}\0{revision}")
        }
        None => format!("\0{}", Digest::of_bytes(body)),
    };
    let id = Digest::of_bytes(name.as_bytes()).to_string();
    Identity {
        source,
        id: MessageId::try_from(id).expect("a digest is a valid id"),
    }
}

/// The id of the message about the `index`-th event of a change. It does not depend on the kind of the event.
pub fn message_id(cause: &Identity, index: u64) -> MessageId {
    cause.derive(Kind::InventoryImported, index)
}

/// The messages about the events of a change.
pub fn messages(cause: &Identity, change: &ObjectChange, events: Vec<Event>) -> Vec<Envelope> {
    let last = events.len().saturating_sub(1);
    let message = |(index, event): (usize, Event)| Envelope {
        identity: Identity {
            source: cause.source.clone(),
            id: message_id(cause, index as u64),
        },
        subject: event.hostname().map(ToString::to_string),
        time: Some(before(change.at, last - index)),
        traceparent: None,
        causationid: change
            .request_id
            .as_deref()
            .and_then(|id| request(&cause.source, id)),
        actor: Some(actor(change.system)),
        message: event.into(),
    };
    events.into_iter().enumerate().map(message).collect()
}

/// The events of one change follow one another by a microsecond, so that workers order them whichever they process first.
fn before(time: Timestamp, microseconds: usize) -> Timestamp {
    let earlier = SignedDuration::from_micros(i64::try_from(microseconds).unwrap_or_default());
    time.checked_sub(earlier).unwrap_or(time)
}

/// The request as the cause of the message, if its id can be part of one.
fn request(source: &Source, id: &str) -> Option<String> {
    let plain = id.bytes().all(|byte| byte.is_ascii_graphic());
    (plain && id.len() <= 64).then(|| format!("{source} {id}"))
}
