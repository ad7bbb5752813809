/// The response of the per-task diff service: lines of the designed against the running configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigDiff {
    pub compliant: bool,
    pub nop: u32,
    pub ignore: u32,
    pub add: u32,
    pub delete: u32,
    pub change: u32,
    /// Empty, or an error code of the service such as `UNREACHABLEDEVICE`.
    pub error: String,
}

impl ConfigDiff {
    /// A diff without differences.
    pub fn empty() -> Self {
        Self {
            compliant: true,
            nop: 120,
            ..Self::default()
        }
    }

    /// The diff that matches a compliance code.
    pub fn of_code(code: &str) -> Self {
        let error = match code {
            "0005" => "UNREACHABLEDEVICE",
            "0006" | "0011" => "DEVICEERROR",
            _ => "",
        };
        let differs = configuration_differs(code);
        Self {
            compliant: !differs && error.is_empty(),
            nop: 120,
            ignore: 0,
            add: 2 * u32::from(differs),
            delete: u32::from(differs),
            change: u32::from(differs),
            error: error.to_owned(),
        }
    }
}

fn configuration_differs(code: &str) -> bool {
    matches!(
        code,
        "0001" | "0003" | "0008" | "0009" | "0012" | "0013" | "0014" | "0016"
    )
}

/// Whether a compliance code means that the image differs.
pub(crate) fn image_differs(code: &str) -> bool {
    matches!(
        code,
        "0002" | "0003" | "0008" | "0010" | "0012" | "0013" | "0015" | "0017"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diff_is_empty_for_codes_that_do_not_concern_the_configuration() {
        for (code, compliant, lines) in [
            ("0000", true, 0),
            ("0001", false, 4),
            ("0002", true, 0),
            ("0005", false, 0),
            ("0007", true, 0),
            ("0012", false, 4),
            ("0019", true, 0),
        ] {
            let diff = ConfigDiff::of_code(code);
            assert_eq!(
                (diff.compliant, diff.add + diff.delete + diff.change),
                (compliant, lines),
                "{code}"
            );
        }
    }
}
