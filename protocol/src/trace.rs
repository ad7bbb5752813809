//! W3C trace context, which is propagated from a request to all follow-up messages.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A `traceparent` of version 00: `00-<trace id>-<parent id>-<flags>` in lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent(String);

/// The text is not a valid `traceparent` of version 00.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("is not a W3C traceparent (00-<32 hex digits>-<16 hex digits>-<2 hex digits>, neither id all zeros)")]
pub struct TraceParentError;

impl TraceParent {
    /// The trace id: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }

    /// The id of the parent span: 16 hexadecimal digits.
    pub fn parent_id(&self) -> &str {
        &self.0[36..52]
    }

    /// Whether the caller may have recorded the trace (the `sampled` flag).
    pub fn is_sampled(&self) -> bool {
        // `sampled` is the lowest bit of the flags.
        matches!(
            self.0.as_bytes().last(),
            Some(b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f')
        )
    }

    /// The whole header value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TraceParent {
    type Error = TraceParentError;

    fn try_from(text: String) -> Result<Self, TraceParentError> {
        let parts: Vec<&str> = text.split('-').collect();
        let [version, trace, parent, flags] = parts.as_slice() else {
            return Err(TraceParentError);
        };
        let hex = |part: &str, digits: usize| {
            part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let zero = |part: &str| part.bytes().all(|b| b == b'0');
        let valid = *version == "00"
            && hex(trace, 32)
            && hex(parent, 16)
            && hex(flags, 2)
            && !zero(trace)
            && !zero(parent);
        if valid {
            Ok(Self(text))
        } else {
            Err(TraceParentError)
        }
    }
}

impl From<TraceParent> for String {
    fn from(parent: TraceParent) -> Self {
        parent.0
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_version_00_with_nonzero_ids_is_accepted() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(
            TraceParent::try_from(good.to_owned()).unwrap().trace_id(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        let parsed = TraceParent::try_from(good.to_owned()).unwrap();
        assert_eq!(
            (parsed.parent_id(), parsed.is_sampled()),
            ("00f067aa0ba902b7", true)
        );
        for (flags, sampled) in [
            ("00", false),
            ("03", true),
            ("02", false),
            ("ff", true),
            ("fe", false),
        ] {
            let parent = TraceParent::try_from(good.replace("-01", &format!("-{flags}"))).unwrap();
            assert_eq!(parent.is_sampled(), sampled, "{flags}");
        }
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert!(TraceParent::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
