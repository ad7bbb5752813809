//! Validated names and identifiers in messages.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::text::validated_text;

/// A device's hostname: labels of letters, digits and inner hyphens, separated by dots, at most 253 characters
/// (see `docs/reference/sync-rules.md`). One trailing dot is removed; letters keep their case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hostname(SmolStr);

/// Why a text is not a valid name of its kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// Not a hostname.
    #[error(
        "{0:?} is not a hostname: labels of 1 to 63 letters, digits and inner hyphens, separated by dots, at most 253 characters"
    )]
    Hostname(String),
    /// Not a MAC address.
    #[error("{0:?} is not a MAC address: twelve hexadecimal digits, such as 44:4c:a8:00:00:01")]
    Mac(String),
    /// Not a device type.
    #[error("{0:?} is not a device type: 1 to 32 upper-case letters, digits and underscores, a letter first")]
    DeviceType(String),
    /// Empty, too long, or with control characters.
    #[error("{0:?} is not a {1}: 1 to 255 characters, none of them a control character")]
    Text(String, &'static str),
    /// Not an address with the length of its prefix.
    #[error("{0:?} is not an address with the length of its prefix, such as 10.0.0.1/31 or 2001:db8::1/64")]
    InterfaceAddress(String),
    /// Not the id of a commit.
    #[error("{0:?} is not a commit: 40 or 64 hexadecimal digits")]
    Commit(String),
}

validated_text!(Hostname, NameError);

impl std::str::FromStr for Hostname {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::checked(text)
    }
}

impl Hostname {
    fn checked(text: &str) -> Result<Self, NameError> {
        if text.len() > 253 {
            return Err(NameError::Hostname(text.to_owned()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if name.split('.').all(label) {
            Ok(Self(name.into()))
        } else {
            Err(NameError::Hostname(name.to_owned()))
        }
    }

    /// The hostname in lower case: names with the same folded text are one name, as in DNS.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// A MAC address. The common notations are accepted (`44:4C:A8:00:00:01`, `444c.a800.0001`, `444ca8000001`) and normalized
/// to `44:4c:a8:00:00:01`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(SmolStr);

validated_text!(Mac, NameError);

impl Mac {
    fn checked(text: &str) -> Result<Self, NameError> {
        let digits: Vec<char> = text
            .chars()
            .filter(|c| !matches!(c, ':' | '-' | '.'))
            .map(|c| c.to_ascii_lowercase())
            .collect();
        if digits.len() != 12 || !digits.iter().all(char::is_ascii_hexdigit) {
            return Err(NameError::Mac(text.to_owned()));
        }
        let pairs: Vec<String> = digits.chunks(2).map(|pair| pair.iter().collect()).collect();
        Ok(Self(pairs.join(":").into()))
    }
}

/// An IPv4 or IPv6 address of an interface with the length of its prefix, such as `10.0.0.1/31`. IPv6 addresses are normalized.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceAddress(SmolStr);

validated_text!(InterfaceAddress, NameError);

impl InterfaceAddress {
    fn checked(text: &str) -> Result<Self, NameError> {
        let refused = || NameError::InterfaceAddress(text.to_owned());
        let (ip, length) = text.split_once('/').ok_or_else(refused)?;
        let ip: IpAddr = ip.parse().map_err(|_| refused())?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        // `parse` alone would accept a plus sign.
        if !(1..=3).contains(&length.len()) || !length.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused());
        }
        match length.parse::<u8>() {
            Ok(length) if length <= most => Ok(Self(format!("{ip}/{length}").into())),
            _ => Err(refused()),
        }
    }
}

/// A full commit id: 40 (SHA-1) or 64 (SHA-256) hexadecimal digits, normalized to lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

impl TryFrom<String> for CommitId {
    type Error = NameError;

    fn try_from(mut text: String) -> Result<Self, NameError> {
        let whole = matches!(text.len(), 40 | 64);
        if !whole || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NameError::Commit(text));
        }
        text.make_ascii_lowercase();
        Ok(Self(text))
    }
}

impl From<CommitId> for String {
    fn from(commit: CommitId) -> Self {
        commit.0
    }
}

impl std::str::FromStr for CommitId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::try_from(text.to_owned())
    }
}

impl CommitId {
    /// Whether all digits are zero, with which git and the forges denote the absence of a commit.
    pub fn is_zero(&self) -> bool {
        self.0.bytes().all(|b| b == b'0')
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! text_names {
    ($($(#[$doc:meta])* $name:ident = $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        validated_text!($name, NameError);

        impl $name {
            fn checked(text: &str) -> Result<Self, NameError> {
                if crate::bounds::is_label(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameError::Text(text.to_owned(), $what))
                }
            }
        }
    )*};
}

text_names! {
    /// The name of an interface as the device spells it, such as `Ethernet1`.
    InterfaceName = "name of an interface";
    /// The name of a group of devices.
    GroupName = "name of a group";
    /// The name of a repository as configured: `settings` or `templates`.
    RepositoryName = "name of a repository";
    /// The serial number of a device.
    Serial = "serial number";
}

/// The lifecycle state of a device (see `docs/reference/sync-rules.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeviceState {
    /// The state is not known.
    Unknown,
    /// Prepared before the device was first seen.
    PreConfigured,
    /// The device requested an address by DHCP.
    DhcpBoot,
    /// The device was reached and its facts were read.
    Discovered,
    /// The device is being initialized.
    Init,
    /// Managed: synchronization includes it, and alarms count it.
    Managed,
    /// Managed, except for its interfaces.
    ManagedNoif,
    /// Excluded from management by an operator.
    Unmanaged,
}

macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The value as it is serialized and stored.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            /// Parses a value, ignoring case.
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|value| value.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
                    let known: Vec<&str> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    format!("{text:?} is not one of {}", known.join(", "))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(DeviceState {
    Unknown = "UNKNOWN",
    PreConfigured = "PRE_CONFIGURED",
    DhcpBoot = "DHCP_BOOT",
    Discovered = "DISCOVERED",
    Init = "INIT",
    Managed = "MANAGED",
    ManagedNoif = "MANAGED_NOIF",
    Unmanaged = "UNMANAGED",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostnames_follow_the_rule_of_cnaas() {
        let valid = |text: &str| Hostname::try_from(text.to_owned()).is_ok();
        for good in ["sw1", "SW1.example.org", "sw1.", "README.md", "a-b", "1"] {
            assert!(valid(good), "{good}");
        }
        let long = format!("{}.x", "a".repeat(64));
        for bad in [
            "",
            ".",
            "-a",
            "a-",
            "a..b",
            "a_b",
            "a b",
            "ä",
            &long,
            &"a.".repeat(130),
        ] {
            assert!(!valid(bad), "{bad}");
        }
        assert_eq!("sw1.".parse::<Hostname>().unwrap().as_str(), "sw1");
    }

    #[test]
    fn macs_are_accepted_in_every_common_notation() {
        for text in [
            "44:4C:A8:00:00:01",
            "444c.a800.0001",
            "444ca8000001",
            "44-4c-a8-00-00-01",
        ] {
            assert_eq!(
                Mac::try_from(text.to_owned()).unwrap().as_str(),
                "44:4c:a8:00:00:01"
            );
        }
        assert!(Mac::try_from("44:4c:a8:00:00".to_owned()).is_err());
    }

    #[test]
    fn an_address_of_an_interface_has_the_length_of_its_prefix() {
        let read = |text: &str| InterfaceAddress::try_from(text.to_owned());
        for (text, normal) in [
            ("10.0.0.1/31", "10.0.0.1/31"),
            ("10.0.0.1/0", "10.0.0.1/0"),
            ("10.0.0.1/032", "10.0.0.1/32"),
            ("2001:DB8:0::1/128", "2001:db8::1/128"),
        ] {
            assert_eq!(read(text).unwrap().as_str(), normal);
        }
        for bad in [
            "",
            "10.0.0.1",
            "10.0.0.1/",
            "10.0.0.1/33",
            "10.0.0.1/+1",
            "10.0.0.1/0031",
            "10.0.0/24",
            "2001:db8::1/129",
            "a/24",
            "10.0.0.1/24/24",
            " 10.0.0.1/24",
            "010.0.0.1/24",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn abbreviated_commit_ids_are_refused() {
        let commit: CommitId = "0123456789ABCDEF0123456789abcdef01234567".parse().unwrap();
        assert_eq!(commit.as_str(), "0123456789abcdef0123456789abcdef01234567");
        assert!(!commit.is_zero());
        assert!("0".repeat(64).parse::<CommitId>().unwrap().is_zero());
        for bad in ["", "0123456", "HEAD", &"g".repeat(40), &"0".repeat(41)] {
            assert!(bad.parse::<CommitId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn serialized_values_equal_those_in_the_store() {
        for state in DeviceState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(state.as_str().to_lowercase().parse(), Ok(*state));
        }
        assert_eq!(
            "STARTED".parse::<DeviceState>().unwrap_err(),
            "\"STARTED\" is not one of UNKNOWN, PRE_CONFIGURED, DHCP_BOOT, DISCOVERED, INIT, MANAGED, MANAGED_NOIF, UNMANAGED"
        );
    }
}
