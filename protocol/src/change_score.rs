//! How large a change of a configuration is: the change score of CNaaS NMS.

/// Which lines of a difference a rule is about.
#[derive(Clone, Copy)]
enum Lines {
    /// Added and removed ones that begin with the word, after blanks. So does `name-server` with `name`.
    Begin(&'static str),
    /// Removed ones that begin with the word.
    RemovedBegin(&'static str),
    /// Removed ones that contain one of the words.
    RemovedContain(&'static [&'static str]),
}

/// The score of a line by the first rule that is about it. Any other changed line counts 1.
const RULES: [(Lines, f64); 15] = [
    (Lines::Begin("description"), 0.0),
    (Lines::Begin("name"), 0.0),
    (Lines::Begin("!"), 0.0),
    (Lines::Begin("dot1x"), 0.5),
    (Lines::Begin("ntp"), 0.5),
    (Lines::Begin("snmp"), 0.5),
    (Lines::Begin("vrf"), 5.0),
    (Lines::RemovedContain(&["ip address"]), 10.0),
    (Lines::RemovedBegin("vlan"), 10.0),
    (Lines::Begin("spanning-tree mode"), 50.0),
    (Lines::Begin("spanning-tree"), 5.0),
    (Lines::RemovedContain(&["routing", "router"]), 50.0),
    (Lines::RemovedBegin("neighbor"), 10.0),
    (Lines::Begin("address-family"), 10.0),
    (Lines::Begin("redistribute"), 10.0),
];

/// How large the change of one device is, by its intended configuration and the difference.
///
/// Lines are what stands between line feeds: after a line feed at the end, there is one more. Lines of the difference that begin with `+`
/// or `-` are changed, with those of its header.
#[expect(
    clippy::cast_precision_loss,
    reason = "configurations have far fewer lines than 2^52"
)]
pub fn device_change_score(configuration: &str, difference: &str) -> f64 {
    let lines: Vec<&str> = difference.split('\n').collect();
    let changed: Vec<f64> = lines.iter().filter_map(|line| line_score(line)).collect();
    let distinct: std::collections::HashSet<&str> = lines.iter().copied().collect();
    let share = changed.len() as f64 / configuration.split('\n').count() as f64 * 100.0;
    let sum: f64 = changed.iter().sum();
    (share * 0.2 + sum * 0.8) * distinct.len() as f64 / lines.len() as f64
}

/// How large the change of a whole execution is, from 0 to 100, by the scores of its devices: 0 without devices, 100 if one of them
/// failed or has no score, else the largest score, at least 1.
pub fn total_change_score(devices: impl IntoIterator<Item = Option<f64>>) -> u8 {
    let mut largest: Option<f64> = None;
    for score in devices {
        let Some(score) = score else { return 100 };
        largest = Some(largest.map_or(score, |largest| largest.max(score)));
    }
    // The conversion cuts off the fraction, as the original does.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is from 1 to 100"
    )]
    largest.map_or(0, |largest| (largest + 0.5).clamp(1.0, 100.0) as u8)
}

/// The score of a line. `None` if it is not changed.
fn line_score(line: &str) -> Option<f64> {
    let (removed, rest) = match line.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, line.strip_prefix('+')?),
    };
    let text = rest.trim_start();
    let is_about = |lines: Lines| match lines {
        Lines::Begin(word) => text.starts_with(word),
        Lines::RemovedBegin(word) => removed && text.starts_with(word),
        Lines::RemovedContain(words) => removed && words.iter().any(|word| rest.contains(word)),
    };
    let rule = RULES.iter().find(|(lines, _)| is_about(*lines));
    Some(rule.map_or(1.0, |(_, score)| *score))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_about_its_lines_and_the_first_one_counts() {
        let table = [
            ("+  description uplink", Some(0.0)),
            ("-description uplink", Some(0.0)),
            ("+ip name-server 192.0.2.1", Some(1.0)),
            ("+name-server 192.0.2.1", Some(0.0)),
            ("-   name users", Some(0.0)),
            ("+!", Some(0.0)),
            ("-dot1x system-auth-control", Some(0.5)),
            ("+ntp server 192.0.2.1", Some(0.5)),
            ("-snmp-server community x", Some(0.5)),
            ("+vrf instance MGMT", Some(5.0)),
            ("-   ip address 192.0.2.1/24", Some(10.0)),
            ("-   no ip address", Some(10.0)),
            ("+   ip address 192.0.2.1/24", Some(1.0)),
            ("-vlan 7", Some(10.0)),
            ("+vlan 7", Some(1.0)),
            ("-spanning-tree mode mstp", Some(50.0)),
            ("+spanning-tree mode none", Some(50.0)),
            ("+   spanning-tree portfast", Some(5.0)),
            ("-ip routing", Some(50.0)),
            ("-router bgp 64512", Some(50.0)),
            ("+router bgp 64512", Some(1.0)),
            ("-   neighbor 192.0.2.1 remote-as 64512", Some(10.0)),
            ("+   neighbor 192.0.2.1 remote-as 64512", Some(1.0)),
            ("+   address-family ipv4", Some(10.0)),
            ("-   redistribute connected", Some(10.0)),
            ("-   neighbor 192.0.2.1 description router", Some(50.0)),
            ("+   Description uplink", Some(1.0)),
            ("--- system:/running-config", Some(1.0)),
            ("+++ session:/s-session-config", Some(1.0)),
            ("@@ -1,2 +1,2 @@", None),
            ("    description uplink", None),
            ("", None),
        ];
        for (line, expected) in table {
            assert_eq!(line_score(line), expected, "{line}");
        }
    }

    #[test]
    fn the_score_of_a_device_is_that_of_the_formula() {
        let table = [
            // Nothing differs.
            ("a\nb\n", "", 0.0),
            // One changed line of four: (1/4·100·0.2 + 1·0.8) · 2/2.
            ("a\nb\nc\n", "+x\n y", 5.8),
            // Two of ten, equal, with a line feed at the end: (20·0.2 + 10·0.8·2) · 2/3.
            ("1\n2\n3\n4\n5\n6\n7\n8\n9\n10", "-vlan 7\n-vlan 7\n", 40.0 / 3.0),
        ];
        for (configuration, difference, expected) in table {
            let score = device_change_score(configuration, difference);
            assert!((score - expected).abs() < 1e-9, "{difference:?}: {score}");
        }
    }

    #[test]
    fn the_score_of_an_execution_is_the_largest_and_100_if_one_is_missing() {
        let table: [(&[Option<f64>], u8); 8] = [
            (&[], 0),
            (&[Some(0.0)], 1),
            (&[Some(0.2), Some(0.0)], 1),
            (&[Some(3.49), Some(1.0)], 3),
            (&[Some(3.5)], 4),
            (&[Some(99.5)], 100),
            (&[Some(4000.0)], 100),
            (&[Some(1.0), None], 100),
        ];
        for (devices, expected) in table {
            assert_eq!(
                total_change_score(devices.iter().copied()),
                expected,
                "{devices:?}"
            );
        }
    }
}
