//! The identity of a message, its `(source, id)` pair, and how ids of follow-up messages are derived from it.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use crate::Kind;
use crate::text::validated_text;

/// The namespace of every derived id. Part of the protocol: with another namespace the results of redelivered messages
/// would get new ids.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d1d_7f0a_53c6_5f0e_9c51_0b6c_6f63_6b73);

const WORKER: &str = "urn:lockstep:worker";
const UNDECODABLE: &str = "urn:lockstep:undecodable";
const ID_REUSED: &str = "urn:lockstep:id-reused";
const NOT_ALLOWED: &str = "urn:lockstep:not-allowed";

/// The digits of the largest index.
const MAX_INDEX: usize = 20;

/// The longest `id` and `source` in bytes: the limit of an AMQP short string.
pub const MAX_LENGTH: usize = 255;

/// The `id` of a message, unique within its source: 1 to 255 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(SmolStr);

/// The origin of a message: a URI reference of 1 to 255 ASCII characters without blanks, such as `urn:example:netbox`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(SmolStr);

/// Why a text is not a valid id or source.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdentityError {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text is longer than [`MAX_LENGTH`] bytes.
    #[error("is {0} bytes long; the maximum is {MAX_LENGTH}")]
    TooLong(usize),
    /// The text contains a character that identifiers must not contain.
    #[error("contains the character {0:?}, which is not allowed there")]
    Character(char),
}

fn check(text: &str, refused: impl Fn(&char) -> bool) -> Result<(), IdentityError> {
    if text.is_empty() {
        return Err(IdentityError::Empty);
    }
    if text.len() > MAX_LENGTH {
        return Err(IdentityError::TooLong(text.len()));
    }
    match text.chars().find(refused) {
        Some(c) => Err(IdentityError::Character(c)),
        None => Ok(()),
    }
}

validated_text!(MessageId, IdentityError);
validated_text!(Source, IdentityError);

impl MessageId {
    /// Generates an id for a message that has no cause: a UUIDv7, which sorts by creation time.
    pub fn new() -> Self {
        Uuid::now_v7().into()
    }

    fn checked(text: &str) -> Result<Self, IdentityError> {
        check(text, |c| c.is_control())?;
        Ok(Self(text.into()))
    }
}

impl Default for MessageId {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Uuid> for MessageId {
    fn from(id: Uuid) -> Self {
        let mut text = Uuid::encode_buffer();
        Self(SmolStr::new(id.hyphenated().encode_lower(&mut text)))
    }
}

impl Source {
    /// The prefix of the sources of webhooks.
    pub const WEBHOOKS: &str = "/webhooks/";

    /// The sources, or prefixes of sources, that only Lockstep itself uses.
    pub const RESERVED: &[&str] = &[WORKER, UNDECODABLE, ID_REUSED, NOT_ALLOWED, Self::WEBHOOKS];

    /// The entry of [`Source::RESERVED`] to which this source belongs; `None` if clients may use it.
    pub fn reserved(&self) -> Option<&'static str> {
        Self::RESERVED
            .iter()
            .copied()
            .find(|prefix| self.0.starts_with(prefix))
    }

    /// The source of every result. All workers use the same one, so that a result published twice has one identity.
    pub fn worker() -> Self {
        Self(SmolStr::new_static(WORKER))
    }

    fn checked(text: &str) -> Result<Self, IdentityError> {
        check(text, |c| !c.is_ascii_graphic())?;
        Ok(Self(text.into()))
    }
}

/// The identity of a message: the same pair twice is the same message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Identity {
    /// The origin of the message.
    pub source: Source,
    /// The id, unique within the source.
    pub id: MessageId,
}

impl Identity {
    /// The identity under which the store keeps a body without a readable identity, derived from its bytes.
    pub fn of_undecodable(body: &[u8]) -> Self {
        Self {
            source: Source(SmolStr::new_static(UNDECODABLE)),
            id: Uuid::new_v5(&NAMESPACE, body).into(),
        }
    }

    /// The identity under which the store keeps a message that reuses the identity of another one, derived from the reused
    /// identity and the digest.
    #[must_use]
    pub fn of_reuse(&self, digest: &crate::Digest) -> Self {
        self.of_content(ID_REUSED, digest)
    }

    /// The identity under which the store keeps a message that its sender was not allowed to publish, so that it takes no
    /// identity away from a message that is allowed.
    #[must_use]
    pub fn of_denied(&self, digest: &crate::Digest) -> Self {
        self.of_content(NOT_ALLOWED, digest)
    }

    fn of_content(&self, source: &'static str, digest: &crate::Digest) -> Self {
        let name = [
            self.source.0.as_bytes(),
            b"\0",
            self.id.0.as_bytes(),
            b"\0",
            digest.as_bytes(),
        ]
        .concat();
        Self {
            source: Source(SmolStr::new_static(source)),
            id: Uuid::new_v5(&NAMESPACE, &name).into(),
        }
    }

    /// The id of the `index`-th follow-up message of a kind. It depends only on its arguments and this identity, so a message
    /// processed twice produces follow-up messages with the same ids.
    pub fn derive(&self, kind: Kind, index: u64) -> MessageId {
        self.derive_for(None, kind, index)
    }

    /// Like [`Identity::derive`], and different for each sender.
    pub fn derive_for(&self, actor: Option<&str>, kind: Kind, index: u64) -> MessageId {
        let (separator, actor) = actor.map_or(("", ""), |actor| ("\0", actor));
        let (source, id, kind) = (self.source.as_str(), self.id.as_str(), kind.as_str());
        let longest = source.len() + id.len() + kind.len() + actor.len() + MAX_INDEX + 4;
        let mut name = String::with_capacity(longest);
        // Writing to a text does not fail.
        let _ = write!(name, "{source}\0{id}\0{kind}\0{index}{separator}{actor}");
        Uuid::new_v5(&NAMESPACE, name.as_bytes()).into()
    }
}

/// What the store knows a message by: its identity, among the messages of its sender. Two senders may use the same identity for
/// different messages; neither stands for the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey {
    /// The identity of the message.
    pub identity: Identity,
    /// The sender, as authenticated. `None` for senders that the broker did not validate.
    pub actor: Option<SmolStr>,
}

impl MessageKey {
    /// The key of another message, with this content, that reuses the identity; see [`Identity::of_reuse`].
    #[must_use]
    pub fn of_reuse(&self, digest: &crate::Digest) -> Self {
        Self {
            identity: self.identity.of_reuse(digest),
            actor: self.actor.clone(),
        }
    }

    /// The id of the `index`-th follow-up message of a kind, like [`Identity::derive`], and different for each sender.
    pub fn derive(&self, kind: Kind, index: u64) -> MessageId {
        self.identity.derive_for(self.actor.as_deref(), kind, index)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.source, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(source: &str, id: &str) -> Identity {
        Identity {
            source: Source::try_from(source.to_owned()).unwrap(),
            id: MessageId::try_from(id.to_owned()).unwrap(),
        }
    }

    #[test]
    fn derived_ids_depend_on_cause_kind_and_index_only() {
        let cause = identity("urn:a", "1");
        let id = cause.derive(Kind::EventApplied, 0);
        assert_eq!(id, identity("urn:a", "1").derive(Kind::EventApplied, 0));
        assert_ne!(id, cause.derive(Kind::EventApplied, 1));
        assert_ne!(id, cause.derive(Kind::MessageRejected, 0));
        assert_ne!(id, identity("urn:a", "2").derive(Kind::EventApplied, 0));
    }

    #[test]
    fn a_derived_id_never_changes_between_versions() {
        let id = identity("urn:example:netbox", "42").derive(Kind::EventApplied, 0);
        assert_eq!(id.as_str(), "edd103b0-52ef-5157-b400-98c104b01f23");
    }

    #[test]
    fn derived_ids_depend_on_the_sender_too() {
        let key = |actor: Option<&str>| MessageKey {
            identity: identity("urn:a", "1"),
            actor: actor.map(SmolStr::new),
        };
        let derive = |actor| key(actor).derive(Kind::EventApplied, 0);
        assert_eq!(derive(None), identity("urn:a", "1").derive(Kind::EventApplied, 0));
        assert_eq!(derive(Some("anna")), derive(Some("anna")));
        assert_ne!(derive(Some("anna")), derive(Some("bert")));
        assert_ne!(derive(Some("anna")), derive(None));
    }

    #[test]
    fn identities_derived_from_content_are_reserved() {
        let of = identity("urn:a", "1");
        let digest = crate::Digest::from_bytes([7; 32]);
        for derived in [
            of.of_reuse(&digest),
            of.of_denied(&digest),
            Identity::of_undecodable(b"x"),
        ] {
            assert!(derived.source.reserved().is_some(), "{derived}");
        }
        assert!(Source::worker().reserved().is_some());
        assert!(of.source.reserved().is_none());
    }

    #[test]
    fn ids_and_sources_are_checked() {
        let id = |text: &str| MessageId::try_from(text.to_owned()).map(drop);
        assert_eq!(id(""), Err(IdentityError::Empty));
        assert_eq!(id(&"x".repeat(256)), Err(IdentityError::TooLong(256)));
        assert_eq!(id("a\nb"), Err(IdentityError::Character('\n')));
        assert_eq!(id("order 17"), Ok(()));
        assert_eq!(
            Source::try_from("a b".to_owned()),
            Err(IdentityError::Character(' '))
        );
        assert_eq!(
            Source::try_from("urn:ä".to_owned()),
            Err(IdentityError::Character('ä'))
        );
    }
}
