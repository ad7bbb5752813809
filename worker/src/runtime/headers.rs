//! AMQP headers of Lockstep. They are trusted only on deliveries through exchanges that only workers publish to.

/// The number of the attempt, from 1.
pub(super) const ATTEMPT: &str = "lockstep-attempt";
/// The authenticated actor of the original message.
pub(crate) const ACTOR: &str = "lockstep-actor";
/// The user as which the original message was published at the broker.
pub(super) const BROKER_USER: &str = "lockstep-broker-user";
/// The lane in which a message was dead-lettered.
pub(super) const LANE: &str = "lockstep-lane";
/// The code of the dead letter, for programs.
pub(super) const CODE: &str = "lockstep-code";
/// The reason of the dead letter, for people.
pub(super) const REASON: &str = "lockstep-reason";
/// The JSON path in the message to which the reason refers.
pub(super) const PLACE: &str = "lockstep-place";
/// The source in the identity of the inbox row; it differs from the message's own if the id was reused.
pub(super) const SOURCE: &str = "lockstep-source";
/// The id in the identity of the inbox row.
pub(super) const ID: &str = "lockstep-id";
/// The time of the first attempt, in RFC 3339.
pub(super) const FIRST_AT: &str = "lockstep-first-at";
/// How often the dead letter was requeued.
pub(super) const REDRIVE_COUNT: &str = "lockstep-redrive-count";
/// The key of the follow-up from which this copy was published.
pub(super) const FOLLOW_UP: &str = "lockstep-follow-up";
/// Present if the sender waits for the outcome of the message.
pub(super) const AWAITED: &str = "lockstep-awaited";
