use std::fmt;
use std::str::FromStr;

use crate::Kind;

/// The message types a token may publish: all (`*`), those with a prefix (`lockstep.device.*`), or exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypePattern(Pattern);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    All,
    /// The prefix, including its last dot.
    Under(String),
    Exactly(String),
}

/// The text is not a pattern, or matches no type that can be published.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} matches no event or command; expected a type (`lockstep.device.provisioned`), a prefix (`lockstep.device.*`), or all (`*`)"
)]
pub struct TypePatternError(String);

impl TypePattern {
    /// Every type.
    pub const ALL: Self = Self(Pattern::All);

    /// Whether messages of this type are allowed.
    pub fn allows(&self, kind: &str) -> bool {
        match &self.0 {
            Pattern::All => true,
            Pattern::Under(prefix) => kind.starts_with(prefix.as_str()),
            Pattern::Exactly(name) => kind == name,
        }
    }
}

impl FromStr for TypePattern {
    type Err = TypePatternError;

    /// Refuses a pattern that matches no type, which is a spelling mistake.
    fn from_str(text: &str) -> Result<Self, TypePatternError> {
        let pattern = match text.strip_suffix('*') {
            Some("") => Pattern::All,
            Some(prefix) if prefix.ends_with('.') => Pattern::Under(prefix.to_owned()),
            _ => Pattern::Exactly(text.to_owned()),
        };
        let pattern = Self(pattern);
        let publishable = |kind: &&Kind| kind.ingress().is_some();
        let useful = Kind::ALL
            .iter()
            .filter(publishable)
            .any(|kind| pattern.allows(kind.as_str()));
        if useful {
            Ok(pattern)
        } else {
            Err(TypePatternError(text.to_owned()))
        }
    }
}

impl fmt::Display for TypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pattern::All => f.write_str("*"),
            Pattern::Under(prefix) => write!(f, "{prefix}*"),
            Pattern::Exactly(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_types_and_prefixes() {
        let table = [
            ("*", "lockstep.sync.requested", true),
            ("lockstep.device.*", "lockstep.device.upgraded", true),
            ("lockstep.device.*", "lockstep.device.state-requested", true),
            ("lockstep.device.*", "lockstep.devices.upgraded", false),
            ("lockstep.device.*", "lockstep.device", false),
            ("lockstep.device.upgraded", "lockstep.device.upgraded", true),
            (
                "lockstep.device.upgraded",
                "lockstep.device.upgraded.twice",
                false,
            ),
        ];
        for (pattern, kind, expected) in table {
            let parsed: TypePattern = pattern.parse().unwrap();
            assert_eq!(parsed.allows(kind), expected, "{pattern} {kind}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn a_pattern_that_allows_nothing_is_refused() {
        for text in [
            "",
            "lockstep.devize.*",
            "lockstep.dev*",
            "lockstep.event.applied",
            "**",
            "*.device",
        ] {
            assert_eq!(
                text.parse::<TypePattern>(),
                Err(TypePatternError(text.to_owned())),
                "{text}"
            );
        }
    }
}
