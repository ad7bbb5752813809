use std::fmt;

use super::envelope::short;

/// The release of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// The cloud service, which has the newest release.
    Cloud,
    /// A release, such as 2022.2.4.
    Release {
        /// Year, release of the year, and patch.
        numbers: (u32, u32, u32),
        /// The text of CloudVision.
        text: String,
    },
    /// The text has no release number.
    Unknown(String),
}

impl Version {
    /// Reads `2022.2.4`, with or without a patch, a build or `-rc1`.
    pub(super) fn parse(text: &str) -> Self {
        let text = &short(text);
        let number = |part: &str| {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u32>().ok()
        };
        let mut parts = text.split('.').map(number);
        let (Some(Some(year)), Some(Some(release))) = (parts.next(), parts.next()) else {
            return Self::Unknown(text.to_owned());
        };
        Self::Release {
            numbers: (year, release, parts.next().flatten().unwrap_or(0)),
            text: text.to_owned(),
        }
    }

    /// Whether the release has the resource APIs, such as that for change controls (since 2021.2). True if the release is unknown.
    pub fn has_resource_apis(&self) -> bool {
        match self {
            Self::Release { numbers, .. } => *numbers >= (2021, 2, 0),
            Self::Cloud | Self::Unknown(_) => true,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cloud => f.write_str("cloud service"),
            Self::Release { text, .. } | Self::Unknown(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        let table = [
            ("2022.2.4", true),
            ("2021.2", true),
            ("2021.1.1", false),
            ("2020.3.0", false),
            ("2018.2.5-rc1", false),
            ("2026.1.0.54321", true),
            ("next", true),
        ];
        for (text, has) in table {
            assert_eq!(Version::parse(text).has_resource_apis(), has, "{text}");
        }
        assert!(Version::Cloud.has_resource_apis());
        assert_eq!(Version::parse("x.y"), Version::Unknown("x.y".to_owned()));
        assert!(Version::parse(&"9.".repeat(10_000)).to_string().len() < 300);
    }
}
