//! The order in which a device shows its configuration, whatever the order was in which it was entered.

use super::grammar;
use super::pattern::beginning;
use super::section::{Entry, numbered};

/// The commands of the device, in the order in which it shows them. Others are shown between the interfaces and the routes.
const RANKS: &[&[&str]] = &[
    &["boot"],
    &["transceiver"],
    &["service"],
    &["queue-monitor"],
    &["alias", "schedule"],
    &["daemon"],
    &["logging", "no logging"],
    &["hostname"],
    &["ip name-server"],
    &["dns", "ip domain-name"],
    &["ntp"],
    &["sflow"],
    &["snmp-server", "no snmp-server"],
    &["spanning-tree", "no spanning-tree"],
    &["radius-server", "tacacs-server"],
    &["aaa", "no aaa"],
    &["role"],
    &["enable"],
    &["username"],
    &["clock"],
    &["vlan"],
    &["vrf instance"],
    &["interface Port-Channel"],
    &["interface Ethernet"],
    &["interface Loopback"],
    &["interface Management"],
    &["interface Vlan"],
    &["interface Vxlan"],
    &["interface"],
];

const LATER_RANKS: &[&[&str]] = &[
    &["mac"],
    &["ip virtual-router"],
    &["ip access-list", "ipv6 access-list"],
    &["ip routing", "no ip routing"],
    &["ip prefix-list"],
    &["mlag"],
    &["ip route"],
    &["ipv6"],
    &["route-map"],
    &["router"],
    &["banner"],
    &["management"],
];

/// The place of a line: it is shown after those with a lower one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    rank: usize,
    natural: Vec<Part>,
}

/// A number, or what is between numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Text(String),
}

/// The place of a line in the section with this first line; `None`: at the top.
pub(super) fn place(within: Option<&str>, entry: &Entry) -> Place {
    let line = &entry.line;
    let rank = match within {
        None => rank(line),
        Some(within) if grammar::is_numbered(within) => {
            let number = numbered(line).map_or(0, |(number, _)| number);
            return Place {
                rank: number as usize,
                natural: Vec::new(),
            };
        }
        Some(_) if line.starts_with("description ") => 0,
        Some(_) if entry.section.is_none() => 1,
        Some(_) => 2,
    };
    Place {
        rank,
        natural: natural(line),
    }
}

/// The rank of a line of the device. Between lines of different ranks there is a `!`.
pub(super) fn rank(line: &str) -> usize {
    let position = |ranks: &[&[&str]]| {
        ranks
            .iter()
            .position(|patterns| patterns.iter().any(|pattern| begins(pattern, line)))
    };
    position(RANKS)
        .or_else(|| position(LATER_RANKS).map(|later| RANKS.len() + 1 + later))
        .unwrap_or(RANKS.len())
}

/// The last word of a pattern may be the beginning of a word, as in `interface Ethernet`.
fn begins(pattern: &str, line: &str) -> bool {
    if pattern.starts_with("interface ") {
        line.starts_with(pattern)
    } else {
        beginning(pattern, line).is_some()
    }
}

fn natural(line: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let end = rest
            .find(|char: char| char.is_ascii_digit() != is_digit)
            .unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        parts.push(match part.parse() {
            Ok(number) if is_digit => Part::Number(number),
            _ => Part::Text(part.to_owned()),
        });
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(natural("interface Ethernet2") < natural("interface Ethernet10"));
        assert!(natural("interface Ethernet3/1") < natural("interface Ethernet3/20"));
        assert!(natural("10.0.0.9") < natural("10.0.0.10"));
    }

    #[test]
    fn a_device_has_its_own_order() {
        let mut lines = [
            "management ssh",
            "router bgp 65000",
            "interface Vlan10",
            "unknown",
            "interface Ethernet1",
            "vlan 10",
            "hostname x",
        ];
        lines.sort_by_key(|line| rank(line));
        let expected = [
            "hostname x",
            "vlan 10",
            "interface Ethernet1",
            "interface Vlan10",
            "unknown",
            "router bgp 65000",
            "management ssh",
        ];
        assert_eq!(lines, expected);
    }
}
