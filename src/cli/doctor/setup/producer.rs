use std::str::FromStr;

use lockstep_protocol::{Class, Kind, TypePattern};

/// A service that publishes: its user name, and the message types it may publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Producer {
    pub(super) name: String,
    pub(super) kinds: Vec<Kind>,
}

impl FromStr for Producer {
    type Err = String;

    /// `NAME` may publish every event; `NAME=TYPE,…` these types, with the patterns of tokens.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, types) = match text.split_once('=') {
            Some((name, types)) => (name, Some(types)),
            None => (text, None),
        };
        let publishable = Kind::ALL.iter().copied().filter(|kind| kind.ingress().is_some());
        let kinds = match types {
            None => publishable.filter(|kind| kind.class() == Class::Event).collect(),
            Some(types) => {
                let patterns: Result<Vec<TypePattern>, _> = types.split(',').map(str::parse).collect();
                let patterns = patterns.map_err(|error| error.to_string())?;
                publishable
                    .filter(|kind| patterns.iter().any(|pattern| pattern.allows(kind.as_str())))
                    .collect()
            }
        };
        Ok(Self {
            name: name.to_owned(),
            kinds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_patterns_as_in_tokens() {
        let one: Producer = "netbox=lockstep.interface.updated".parse().unwrap();
        assert_eq!(
            (one.name.as_str(), one.kinds),
            ("netbox", vec![Kind::InterfaceUpdated])
        );
        let events: Producer = "ztp".parse().unwrap();
        assert!(events.kinds.iter().all(|kind| kind.class() == Class::Event));
        let all: Producer = "admin=*".parse().unwrap();
        assert!(all.kinds.contains(&Kind::SyncRequested) && !all.kinds.contains(&Kind::EventApplied));
        assert!("netbox=lockstep.interface.udpated".parse::<Producer>().is_err());
    }
}
