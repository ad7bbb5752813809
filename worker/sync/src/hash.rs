//! Digests of configurations and of differences.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Lines at the beginning of a running configuration that say how and when it was read or changed, not what it is. By platform: EOS and IOS
/// write `!`, Junos `##`.
const HEADER: [&str; 8] = [
    "! Command:",
    "! device:",
    "! Last configuration change",
    "! NVRAM config last updated",
    "! No configuration change since",
    "Building configuration",
    "Current configuration",
    "## Last",
];

/// So many lines may be before the last one of the header.
const HEADER_LINES: usize = 12;

/// The SHA-256 of a running configuration, in hexadecimal digits: without the lines of its header, blanks at the ends of lines, and empty
/// lines at the beginning and at the end.
pub fn configuration_hash(configuration: &str) -> String {
    let is_header = |line: &str| HEADER.iter().any(|begin| line.starts_with(begin));
    let lines = configuration.lines().map(str::trim_end).enumerate();
    let lines = lines.filter(|(index, line)| *index >= HEADER_LINES || !is_header(line));
    let mut hasher = Sha256::new();
    let mut empty = 0;
    let mut began = false;
    for (_, line) in lines {
        if line.is_empty() {
            empty += 1;
            continue;
        }
        if began {
            (0..empty).for_each(|_| hasher.update(b"\n"));
        }
        (began, empty) = (true, 0);
        hasher.update(line);
        hasher.update(b"\n");
    }
    hex::encode(hasher.finalize())
}

/// The HMAC-SHA-256 of a difference, in hexadecimal digits: without the two lines that name what is compared, which have the name of the
/// session.
pub(crate) fn difference_hash(key: &[u8; 32], difference: &str) -> String {
    let compared = |line: &str| line.starts_with("--- ") || line.starts_with("+++ ");
    let header = difference
        .lines()
        .take(2)
        .take_while(|line| compared(line))
        .count();
    // A key that is shorter than a block is filled up with zeros.
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    for line in difference.lines().skip(header) {
        mac.update(line.trim_end().as_bytes());
        mac.update(b"\n");
    }
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn configurations_are_equal_whenever_they_were_read() {
        let eos = "! Command: show running-config\n! device: leaf1 (vEOS, EOS-4.30.1F)\n!\nhostname leaf1\n!\nend\n";
        let table = [
            (eos, "!\nhostname leaf1\n!\nend\n", true),
            (
                eos,
                "! Command: show running-config all\n! device: leaf1 (vEOS, EOS-4.32.0F)\n!\r\nhostname leaf1  \n!\nend\n\n",
                true,
            ),
            (eos, "\n\n!\nhostname leaf1\n!\nend", true),
            (eos, "!\nhostname leaf2\n!\nend\n", false),
            (eos, "!\n hostname leaf1\n!\nend\n", false),
            (eos, "!\nhostname leaf1\n\n!\nend\n", false),
            (eos, "!\nhostname leaf1\nend\n!\n", false),
            (
                "## Last commit: 2026-01-01 by a\nx;\n",
                "## Last commit: 2026-02-02 by b\nx;\n",
                true,
            ),
            ("a\n", "", false),
        ];
        for (one, other, equal) in table {
            assert_eq!(
                configuration_hash(one) == configuration_hash(other),
                equal,
                "{one:?} {other:?}"
            );
        }
        assert_eq!(
            configuration_hash("a\n"),
            "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7",
            "as sha256sum says"
        );
    }

    #[test]
    fn a_line_that_looks_like_a_header_counts_further_down() {
        let text = |motd: &str| format!("{}banner motd\n{motd}\nEOF\n", "!\n".repeat(HEADER_LINES));
        let (one, other) = (text("! Command: reboot"), text("! Command: write erase"));
        assert_ne!(configuration_hash(&one), configuration_hash(&other));
    }

    #[test]
    fn differences_are_equal_whatever_the_session_is_called() {
        let difference = |session: &str, line: &str| {
            format!(
                "--- system:/running-config\n+++ session:/{session}-session-config\n@@ -1 +1 @@\n{line}\n"
            )
        };
        let hash = |session: &str, line: &str| difference_hash(&KEY, &difference(session, line));
        assert_eq!(
            hash("lockstep-1-2-1", "+vlan 7"),
            hash("lockstep-9-9-2", "+vlan 7")
        );
        assert_ne!(
            hash("lockstep-1-2-1", "+vlan 7"),
            hash("lockstep-1-2-1", "+vlan 8")
        );
        assert_ne!(
            hash("s", "+++ x"),
            hash("s", "+++ y"),
            "a line further down is no header"
        );
        assert_ne!(
            difference_hash(&KEY, "+vlan 7"),
            difference_hash(&[8; 32], "+vlan 7"),
            "who reads a hash cannot guess at what it is of"
        );
    }
}
