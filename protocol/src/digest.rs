//! The digest of a message. It distinguishes a redelivery from a different message with the same identity.

use std::str::FromStr;
use std::{fmt, io};

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// SHA-256 of type, subject and data of a message. The order of keys and white space have no influence, since a producer
/// may encode the same message in different ways; time and trace are not part of the digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Adapts a hash to [`io::Write`].
struct Text(Sha256);

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Digest {
    /// Computes the digest of a message.
    pub fn of(kind: &str, subject: Option<&str>, data: &Value) -> Self {
        Self::of_canonical(kind, subject, data)
    }

    /// Computes the digest of a message from data whose keys are serialized in their order.
    pub(crate) fn of_canonical(kind: &str, subject: Option<&str>, data: &impl Serialize) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind.as_bytes());
        hash.update([0]);
        hash.update(subject.unwrap_or_default().as_bytes());
        hash.update([0]);
        // The keys are sorted, so this text is canonical. It is hashed while it is written, so the whole text is never in memory.
        let mut text = Text(hash);
        serde_json::to_writer(&mut text, data).expect("hashing never fails, and all JSON can be serialized");
        Self(text.0.finalize().into())
    }

    /// Computes the digest of a body that could not be decoded.
    pub fn of_bytes(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }

    /// The 32 bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Restores a digest from the database.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The text is no digest.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a digest: 64 hexadecimal digits")]
pub struct DigestError(String);

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let mut bytes = [0; 32];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(DigestError(text.to_owned())),
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_digest_depends_on_content_and_not_on_its_encoding() {
        let one: Value = serde_json::from_str(r#"{"b": 1, "a": [true]}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"a":[true],"b":1}"#).unwrap();
        assert_eq!(
            Digest::of("t", Some("s"), &one),
            Digest::of("t", Some("s"), &other)
        );
        assert_ne!(Digest::of("t", Some("s"), &one), Digest::of("t", None, &one));
        assert_ne!(Digest::of("t", Some("s"), &one), Digest::of("u", Some("s"), &one));
        assert_ne!(
            Digest::of("t", Some("s"), &one),
            Digest::of("t", Some("s"), &json!({"a": [true], "b": 2}))
        );
    }

    #[test]
    fn a_digest_is_parsed_from_its_text() {
        let digest = Digest::of_bytes(b"x");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for text in ["", "abc", &"g".repeat(64), &"0".repeat(66)] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_digest_never_changes_between_versions() {
        let data = json!({"hostname": "sw1", "note": "ä\n\"", "numbers": [1, -2, 0.5, 1e300]});
        assert_eq!(
            Digest::of("lockstep.device.mark-requested", Some("sw1"), &data).to_string(),
            "fe2e243b410a7aa42b36ded69c1dc6de849ab109d8a1fd00dbf249e92b424e9b"
        );
    }
}
