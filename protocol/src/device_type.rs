use std::str::FromStr;

use smol_str::SmolStr;

use crate::NameError;
use crate::text::validated_text;

/// The role of a device in the network: 1 to 32 upper-case letters, digits and underscores, a letter first. Sites declare their
/// own types beside those of CNaaS NMS (see `docs/reference/sync-rules.md`); a worker knows which are declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceType(SmolStr);

validated_text!(DeviceType, NameError);

impl DeviceType {
    /// Not known yet, such as for a discovered device.
    pub const UNKNOWN: Self = Self(SmolStr::new_static("UNKNOWN"));
    /// An access switch.
    pub const ACCESS: Self = Self(SmolStr::new_static("ACCESS"));
    /// A distribution switch.
    pub const DIST: Self = Self(SmolStr::new_static("DIST"));
    /// A core router.
    pub const CORE: Self = Self(SmolStr::new_static("CORE"));
    /// A firewall.
    pub const FIREWALL: Self = Self(SmolStr::new_static("FIREWALL"));
    /// The types of CNaaS NMS, which every site has.
    pub const CNAAS: [Self; 5] = [
        Self::UNKNOWN,
        Self::ACCESS,
        Self::DIST,
        Self::CORE,
        Self::FIREWALL,
    ];

    fn checked(text: &str) -> Result<Self, NameError> {
        let word = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let is_valid = (1..=32).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_uppercase())
            && text.bytes().all(word);
        if is_valid {
            Ok(Self(text.into()))
        } else {
            Err(NameError::DeviceType(text.to_owned()))
        }
    }
}

impl FromStr for DeviceType {
    type Err = NameError;

    /// Parses a type, in lower case, too.
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::checked(&text.to_ascii_uppercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_a_word_in_upper_case() {
        for good in ["ACCESS", "SPINE", "A", "LEAF_2", &"A".repeat(32)] {
            let kind = DeviceType::try_from(good.to_owned()).unwrap();
            assert_eq!(kind.as_str(), good);
            assert_eq!(good.to_lowercase().parse(), Ok(kind));
        }
        for bad in ["", "spine", "2A", "_A", "A-B", "A/B", "A B", "Ä", &"A".repeat(33)] {
            let error = DeviceType::try_from(bad.to_owned()).unwrap_err();
            assert_eq!(error, NameError::DeviceType(bad.to_owned()));
        }
        for kind in DeviceType::CNAAS {
            assert_eq!(DeviceType::try_from(kind.as_str().to_owned()), Ok(kind));
        }
    }
}
