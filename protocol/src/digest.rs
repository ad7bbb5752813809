//! The digest by which a redelivered message is told from another one under the same identity.

use std::{fmt, io};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// SHA-256 over type, subject and data of a message. Order of keys and white space do not count, since a producer may
/// encode the same message twice in different ways; time and trace do not count either.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// A hash as something to write to.
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
    /// The digest of a message of this type and subject with this data.
    #[expect(clippy::missing_panics_doc, reason = "it cannot happen, as the message says")]
    pub fn of(kind: &str, subject: Option<&str>, data: &Value) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind.as_bytes());
        hash.update([0]);
        hash.update(subject.unwrap_or_default().as_bytes());
        hash.update([0]);
        // `serde_json::Value` keeps its keys sorted, so this text is canonical. It is never whole in memory.
        let mut text = Text(hash);
        serde_json::to_writer(&mut text, data).expect("a hash takes all text, and JSON values have text");
        Self(text.0.finalize().into())
    }

    /// The digest of bytes that could not be decoded.
    pub fn of_bytes(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }

    /// The digest as bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads a digest back from a store.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
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
    fn spelling_does_not_count_and_content_does() {
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
    fn a_digest_never_changes_between_versions() {
        let data = json!({"hostname": "sw1", "note": "ä\n\"", "numbers": [1, -2, 0.5, 1e300]});
        assert_eq!(
            Digest::of("lockstep.device.mark-requested", Some("sw1"), &data).to_string(),
            "fe2e243b410a7aa42b36ded69c1dc6de849ab109d8a1fd00dbf249e92b424e9b"
        );
    }
}
