//! The identity of a message, its `(source, id)` pair, and how ids of follow-up messages are derived from it.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Kind;

/// The namespace of every derived id. Part of the protocol: with another namespace the results of redelivered messages
/// would get new ids.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d1d_7f0a_53c6_5f0e_9c51_0b6c_6f63_6b73);

/// The longest `id` and `source` in bytes: the limit of an AMQP short string.
pub const MAX_LENGTH: usize = 255;

/// The `id` of a message, unique within its source: 1 to 255 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageId(String);

/// The origin of a message: a URI reference of 1 to 255 ASCII characters without blanks, such as `urn:example:netbox`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Source(String);

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

impl TryFrom<String> for MessageId {
    type Error = IdentityError;

    fn try_from(text: String) -> Result<Self, IdentityError> {
        check(&text, |c| c.is_control())?;
        Ok(Self(text))
    }
}

impl TryFrom<String> for Source {
    type Error = IdentityError;

    fn try_from(text: String) -> Result<Self, IdentityError> {
        check(&text, |c| !c.is_ascii_graphic())?;
        Ok(Self(text))
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.0
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.0
    }
}

impl MessageId {
    /// Generates an id for a message that has no cause: a UUIDv7, which sorts by creation time.
    pub fn new() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for MessageId {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Uuid> for MessageId {
    fn from(id: Uuid) -> Self {
        Self(id.to_string())
    }
}

impl Source {
    /// The source of every result. All workers use the same one, so that a result published twice has one identity.
    pub fn worker() -> Self {
        Self("urn:lockstep:worker".to_owned())
    }

    /// The source as text.
    pub fn as_str(&self) -> &str {
        &self.0
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
            source: Source("urn:lockstep:undecodable".to_owned()),
            id: Uuid::new_v5(&NAMESPACE, body).into(),
        }
    }

    /// The identity under which the store keeps a message that reuses the identity of another one, derived from the reused
    /// identity and the digest.
    #[must_use]
    pub fn of_reuse(&self, digest: &crate::Digest) -> Self {
        let name = [
            self.source.0.as_bytes(),
            b"\0",
            self.id.0.as_bytes(),
            b"\0",
            digest.as_bytes(),
        ]
        .concat();
        Self {
            source: Source("urn:lockstep:id-reused".to_owned()),
            id: Uuid::new_v5(&NAMESPACE, &name).into(),
        }
    }

    /// The id of the `index`-th follow-up message of a kind. It depends only on its arguments and this identity, so a message
    /// processed twice produces follow-up messages with the same ids.
    pub fn derive(&self, kind: Kind, index: u64) -> MessageId {
        let name = format!("{}\0{}\0{}\0{index}", self.source.0, self.id.0, kind.as_str());
        Uuid::new_v5(&NAMESPACE, name.as_bytes()).into()
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
