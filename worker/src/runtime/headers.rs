//! AMQP headers of our own. They count only on deliveries that came through `lockstep.work`, where only workers publish.

/// Which attempt this is, from 1.
pub(super) const ATTEMPT: &str = "lockstep-attempt";
/// Who sent the message first, as authenticated then.
pub(super) const ACTOR: &str = "lockstep-actor";
/// The lane in which a message was dead-lettered.
pub(super) const LANE: &str = "lockstep-lane";
/// Why it was dead-lettered, for programs.
pub(super) const CODE: &str = "lockstep-code";
/// Why it was dead-lettered, for people.
pub(super) const REASON: &str = "lockstep-reason";
/// Where in the message the reason is.
pub(super) const PLACE: &str = "lockstep-place";
/// The source of the identity under which the inbox has the message.
pub(super) const SOURCE: &str = "lockstep-source";
/// The id of the identity under which the inbox has the message.
pub(super) const ID: &str = "lockstep-id";
/// When it was received first.
pub(super) const FIRST_AT: &str = "lockstep-first-at";
/// How often it was requeued as a dead letter.
pub(super) const REDRIVE_COUNT: &str = "lockstep-redrive-count";
/// The row of the store that caused this copy.
pub(super) const FOLLOW_UP: &str = "lockstep-follow-up";
