use std::fmt;
use std::str::FromStr;

use crate::Source;

/// Sources that belong to a principal: exactly one (`urn:example:netbox`), or those with a prefix (`urn:example:netbox:*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePattern(Pattern);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Under(String),
    Exactly(String),
}

/// The text is not a pattern of sources, or claims sources that belong to Lockstep itself.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SourcePatternError {
    /// Not a source, with or without a `*` at its end.
    #[error("{0:?} is not a source (`urn:example:netbox`) or a prefix of sources (`urn:example:netbox:*`)")]
    Malformed(String),
    /// Only workers or the gateway send messages with these sources.
    #[error("{0:?} matches a reserved source: {1} belongs to Lockstep itself")]
    Reserved(String, &'static str),
}

impl SourcePattern {
    /// Whether a source belongs to this pattern.
    pub fn matches(&self, source: &Source) -> bool {
        match &self.0 {
            Pattern::Under(prefix) => source.as_str().starts_with(prefix.as_str()),
            Pattern::Exactly(text) => source.as_str() == text,
        }
    }
}

impl FromStr for SourcePattern {
    type Err = SourcePatternError;

    fn from_str(text: &str) -> Result<Self, SourcePatternError> {
        let prefix = text.strip_suffix('*');
        let literal = prefix.unwrap_or(text);
        let is_source = !literal.contains('*') && Source::try_from(literal.to_owned()).is_ok();
        if !is_source {
            return Err(SourcePatternError::Malformed(text.to_owned()));
        }
        let claims = |reserved: &&&str| {
            literal.starts_with(**reserved) || prefix.is_some_and(|prefix| reserved.starts_with(prefix))
        };
        if let Some(reserved) = Source::RESERVED.iter().find(claims) {
            return Err(SourcePatternError::Reserved(text.to_owned(), reserved));
        }
        Ok(Self(match prefix {
            Some(prefix) => Pattern::Under(prefix.to_owned()),
            None => Pattern::Exactly(text.to_owned()),
        }))
    }
}

impl fmt::Display for SourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pattern::Under(prefix) => write!(f, "{prefix}*"),
            Pattern::Exactly(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_sources_and_prefixes() {
        let table = [
            ("urn:example:netbox", "urn:example:netbox", true),
            ("urn:example:netbox", "urn:example:netbox:1", false),
            ("urn:example:netbox:*", "urn:example:netbox:1", true),
            ("urn:example:netbox:*", "urn:example:netbox", false),
        ];
        for (pattern, source, expected) in table {
            let parsed: SourcePattern = pattern.parse().unwrap();
            let source = Source::try_from(source.to_owned()).unwrap();
            assert_eq!(parsed.matches(&source), expected, "{pattern} {source}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn reserved_and_malformed_patterns_are_refused() {
        for text in [
            "urn:lockstep:worker",
            "urn:lockstep:*",
            "urn:*",
            "/webhooks/github/*",
            "/*",
        ] {
            let error = text.parse::<SourcePattern>().unwrap_err();
            assert!(
                matches!(error, SourcePatternError::Reserved(..)),
                "{text}: {error}"
            );
        }
        for text in ["", "*", "a b", "a*b", "**", "urn:ä"] {
            let error = text.parse::<SourcePattern>().unwrap_err();
            assert!(
                matches!(error, SourcePatternError::Malformed(_)),
                "{text}: {error}"
            );
        }
    }
}
