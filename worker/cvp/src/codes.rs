use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($variant:ident = $code:literal, $meaning:literal;)*) => {
        /// CloudVision's compliance code of a device: four digits, kept as text.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ComplianceCode {
            $(#[doc = concat!("`", $code, "`: ", $meaning)] $variant,)*
            /// An unknown code, as it was received.
            Other(String),
        }

        impl ComplianceCode {
            /// All known codes, in order.
            pub const KNOWN: &[Self] = &[$(Self::$variant),*];

            /// The code as CloudVision writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Other(code) => code,
                }
            }

            /// The meaning, in CloudVision's words.
            pub fn meaning(&self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)*
                    Self::Other(_) => "Unknown compliance code",
                }
            }
        }

        impl From<&str> for ComplianceCode {
            fn from(code: &str) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }
    };
}

codes! {
    InSync = "0000", "Configuration is in sync";
    Config = "0001", "Config is out of sync";
    Image = "0002", "Image is out of sync";
    ConfigImage = "0003", "Config & image out of sync";
    ConfigImageTimeInSync = "0004", "Config, Image and Device time are in sync";
    Unreachable = "0005", "Device is not reachable";
    UnsupportedVersion = "0006", "The current EOS version on this device is not supported by CVP. Upgrade the device to manage.";
    Extensions = "0007", "Extensions are out of sync";
    ConfigImageExtensions = "0008", "Config, Image and Extensions are out of sync";
    ConfigExtensions = "0009", "Config and Extensions are out of sync";
    ImageExtensions = "0010", "Image and Extensions are out of sync";
    Unauthorized = "0011", "Unauthorized User";
    ConfigImageExtensionsTime = "0012", "Config, Image, Extension and Device time are out of sync";
    ConfigImageTime = "0013", "Config, Image and Device time are out of sync";
    ConfigExtensionsTime = "0014", "Config, Extensions and Device time are out of sync";
    ImageExtensionsTime = "0015", "Image, Extensions and Device time are out of sync";
    ConfigTime = "0016", "Config and Device time are out of sync";
    ImageTime = "0017", "Image and Device time are out of sync";
    ExtensionsTime = "0018", "Extensions and Device time are out of sync";
    Time = "0019", "Device time is out of sync";
}

impl FromStr for ComplianceCode {
    type Err = Infallible;

    fn from_str(code: &str) -> Result<Self, Infallible> {
        Ok(code.into())
    }
}

impl fmt::Display for ComplianceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ComplianceCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twenty_codes_are_in_order_and_parse_as_they_are_written() {
        let codes: Vec<&str> = ComplianceCode::KNOWN.iter().map(ComplianceCode::as_str).collect();
        let expected: Vec<String> = (0..20).map(|number| format!("{number:04}")).collect();
        assert_eq!(codes, expected);
        for code in ComplianceCode::KNOWN {
            assert_eq!(&ComplianceCode::from(code.as_str()), code);
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn an_unknown_code_is_kept_as_received() {
        for text in ["0020", "0", "", "0000 ", "in sync"] {
            let code = ComplianceCode::from(text);
            assert_eq!(
                (&code, code.as_str()),
                (&ComplianceCode::Other(text.to_owned()), text)
            );
        }
    }
}
