//! IP addresses, networks and masks.

use minijinja::{Error, Value};

use crate::filters::address::{
    self, Ip, Ipaddress, Prefix, Version, attribute, of, to_address, to_interface, to_network,
};
use crate::filters::arguments::{Arguments, Filter, Outcome, integer, invalid, lazily, list, text, texts};

pub(super) const FILTERS: &[Filter] = &[
    ("ipaddress_address", "ip attr", |arguments| {
        let ip = to_address(&arguments.value(0))?;
        attribute(Ipaddress::Address(ip), &arguments.text(1)?, &[])
    }),
    ("ipaddress_interface", "ip attr", |arguments| {
        let interface = to_interface(&arguments.value(0))?;
        attribute(Ipaddress::Interface(interface), &arguments.text(1)?, &[])
    }),
    ("ipaddress_network", "ip attr **kwargs", |arguments| {
        let network = to_network(&arguments.value(0))?;
        attribute(
            Ipaddress::Network(network),
            &arguments.text(1)?,
            arguments.keywords(),
        )
    }),
    ("ip_to_hex", "ip", |arguments| {
        let ip = to_address(&arguments.value(0))?;
        let width = usize::from(ip.version.bits() / 4);
        Ok(Value::from(format!("{:0width$x}", ip.number)))
    }),
    ("ip_to_bin", "ip", |arguments| {
        let ip = to_address(&arguments.value(0))?;
        let width = usize::from(ip.version.bits());
        Ok(Value::from(format!("{:0width$b}", ip.number)))
    }),
    ("ip_addition", "ip val", |arguments| moved(arguments, 1)),
    ("ip_subtract", "ip val", |arguments| moved(arguments, -1)),
    ("is_classful", "ip_network", |arguments| {
        let network = to_network(&arguments.value(0))?;
        let first = network.first().packed().first().copied().unwrap_or(0);
        let length = match first {
            _ if network.ip.version == Version::V6 => return Ok(Value::from(false)),
            0..=127 => 8,
            128..=191 => 16,
            192..=223 => 24,
            _ => return Ok(Value::from(false)),
        };
        Ok(Value::from(network.length == length))
    }),
    ("is_ip", "ip", |arguments| {
        Ok(Value::from(to_address(&arguments.value(0)).is_ok()))
    }),
    ("is_ip_range", "ip_range", |arguments| {
        Ok(Value::from(range(&arguments.text(0)?).is_some()))
    }),
    ("is_ip_within", "ip ip_compare", is_within),
    ("is_netmask", "netmask", |arguments| {
        Ok(Value::from(netmask(&arguments.value(0)).is_some()))
    }),
    ("is_reversible_wildcardmask", "wildcardmask", |arguments| {
        Ok(Value::from(wildcard(&arguments.text(0)?).is_some()))
    }),
    ("is_network", "ip_network", |arguments| {
        let text = arguments.text(0)?;
        Ok(Value::from(text.contains('/') && address::network(&text).is_ok()))
    }),
    ("netmask_to_cidr", "netmask", |arguments| {
        let mask = netmask(&arguments.value(0)).ok_or_else(|| invalid("Subnet mask is not valid."))?;
        Ok(Value::from(mask.number.count_ones()))
    }),
    ("cidr_to_netmask", "cidr", |arguments| {
        let length = integer(&arguments.value(0))
            .ok()
            .and_then(|length| u8::try_from(length).ok());
        mask(Version::V4, length).ok_or_else(|| invalid("Parameter must be an integer between 0 and 32."))
    }),
    ("cidr_to_netmaskv6", "cidr", |arguments| {
        let length = integer(&arguments.value(0))
            .ok()
            .and_then(|length| u8::try_from(length).ok());
        mask(Version::V6, length).ok_or_else(|| invalid("Parameter must be an integer between 0 and 128."))
    }),
    ("netmask_to_wildcardmask", "netmask", |arguments| {
        match netmask(&arguments.value(0)).filter(|mask| mask.version == Version::V4) {
            Some(mask) => inverted(mask),
            None => Err(invalid("Subnet mask is not valid.")),
        }
    }),
    ("wildcardmask_to_netmask", "wildcardmask", |arguments| {
        let mask = wildcard(&arguments.text(0)?);
        mask.map_or_else(|| Err(invalid("Wildcard mask is not valid.")), inverted)
    }),
    ("get_all_host", "ip_network", |arguments| {
        let network = to_network(&arguments.value(0))?;
        let (first, last) = network.hosts();
        Ok(lazily(move || {
            (first.number..=last.number)
                .filter_map(move |number| Ip::new(first.version, number))
                .map(|ip| Value::from(ip.to_string()))
        }))
    }),
    ("get_broadcast_address", "ip_network", |arguments| {
        Ok(Value::from(to_network(&arguments.value(0))?.last().to_string()))
    }),
    ("get_first_usable", "ip_network", |arguments| {
        let network = to_network(&arguments.value(0))?;
        let index = i128::from(!matches!(network.length, 31 | 127));
        nth(network, index).map(|ip| Value::from(ip.to_string()))
    }),
    ("get_peer_ip", "ip_interface", peer),
    ("get_range_ips", "ip_range", |arguments| {
        let (first, last) = range_of(&arguments.text(0)?)?;
        let values = [first, last].map(|ip| of(Ipaddress::Address(ip)));
        Ok(Value::from(minijinja::value::Tuple::from(values)))
    }),
    ("get_usable_range", "ip_network", |arguments| {
        let network = to_network(&arguments.value(0))?;
        let (first, last) = if matches!(network.length, 31 | 127) {
            (0, 1)
        } else {
            (1, -2)
        };
        Ok(Value::from(format!(
            "{} - {}",
            nth(network, first)?,
            nth(network, last)?
        )))
    }),
    ("get_ips_sorted", "ips sort_type?", sorted),
    ("longest_prefix_match", "ip_addr routes", longest_prefix_match),
];

fn moved(arguments: &Arguments, sign: i128) -> Outcome {
    let ip = to_address(&arguments.value(0))?;
    let count = arguments.integer(1)?.checked_mul(sign);
    match count.and_then(|count| ip.plus(count)) {
        Some(ip) => Ok(Value::from(ip.to_string())),
        None => Err(invalid(format!(
            "{ip} moved by {} is no address",
            arguments.value(1)
        ))),
    }
}

fn nth(network: Prefix, index: i128) -> Result<Ip, Error> {
    network.nth(index).ok_or_else(|| invalid("address out of range"))
}

/// An IPv4 or IPv6 netmask. One of no bits is none, as in netutils, but for IPv6.
fn netmask(value: &Value) -> Option<Ip> {
    let mask = to_address(value).ok()?;
    // A small IPv6 address may be the number of an IPv4 mask.
    let is_mask = |version: Version| {
        mask.number != 0 && (1..=version.bits()).any(|length| version.mask(length) == mask.number)
    };
    (is_mask(Version::V4) || is_mask(Version::V6)).then_some(mask)
}

fn wildcard(text: &str) -> Option<Ip> {
    let octets: Vec<u128> = text
        .split('.')
        .map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|octet| digits && *octet <= 255)
        })
        .collect::<Option<_>>()?;
    if octets.len() != 4 {
        return None;
    }
    let number = octets.iter().fold(0, |number, octet| number << 8 | octet);
    let inverted = Ip::new(Version::V4, Version::V4.largest() & !number)?;
    netmask(&of(Ipaddress::Address(inverted)))?;
    Ip::new(Version::V4, number)
}

fn inverted(mask: Ip) -> Outcome {
    let ip = Ip::new(Version::V4, Version::V4.largest() & !mask.number);
    ip.map(|ip| Value::from(ip.to_string()))
        .ok_or_else(|| invalid("Subnet mask is not valid."))
}

fn mask(version: Version, length: Option<u8>) -> Option<Value> {
    let length = length.filter(|length| *length <= version.bits())?;
    Ip::new(version, version.mask(length)).map(|ip| Value::from(ip.to_string()))
}

/// The ends of a range, of which the first is before the last.
fn range(text: &str) -> Option<(Ip, Ip)> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (address::address(first).ok()?, address::address(last).ok()?);
    (first.version == last.version && first < last).then_some((first, last))
}

fn range_of(text: &str) -> Result<(Ip, Ip), Error> {
    range(text).ok_or_else(|| invalid("Not a valid IP range format of `{start_ip}-{end_ip}`"))
}

/// The first and last address of an address, a network or a range.
fn ends(text: &str) -> Result<(Ip, Ip), Error> {
    if text.contains('-') {
        return range_of(text);
    }
    let network = address::network(text).map_err(invalid)?;
    Ok((network.first(), network.last()))
}

fn is_within(arguments: &Arguments) -> Outcome {
    let (first, last) = ends(&arguments.text(0)?)?;
    let compared = arguments.value(1);
    let compared = match compared.as_str() {
        Some(text) => vec![text.to_owned()],
        None => arguments.texts(1)?,
    };
    for item in compared {
        let (start, end) = ends(&item)?;
        if start.version != first.version {
            return Err(invalid(format!(
                "{start} and {first} are not of the same version"
            )));
        }
        if start <= first && last <= end {
            return Ok(Value::from(true));
        }
    }
    Ok(Value::from(false))
}

fn peer(arguments: &Arguments) -> Outcome {
    let interface = to_interface(&arguments.value(0))?;
    let (version, length) = (interface.ip.version, interface.length);
    let between = version.bits() - length;
    if !matches!(between, 1 | 2) {
        let (acceptable, number) = match version {
            Version::V4 => ("30 or 31", 4),
            Version::V6 => ("126 or 127", 6),
        };
        return Err(invalid(format!(
            "{interface} did not conform to IPv{number} acceptable masks of {acceptable}"
        )));
    }
    let ends = [interface.first(), interface.last()];
    if between == 2 && ends.contains(&interface.ip) {
        return Err(invalid(format!(
            "{interface} is not an IP in the point-to-point link usable range."
        )));
    }
    let mask = if between == 2 { 3 } else { 1 };
    Ip::new(version, interface.ip.number ^ mask)
        .map(|ip| Value::from(ip.to_string()))
        .ok_or_else(|| invalid("address out of range"))
}

fn sorted(arguments: &Arguments) -> Outcome {
    let kind = arguments.text_or(1, "network")?;
    let parse: fn(&str) -> Result<Prefix, String> = match kind.as_str() {
        "address" => |text| {
            address::address(text).map(|ip| Prefix {
                ip,
                length: ip.version.bits(),
            })
        },
        "interface" => address::interface,
        "network" => address::network,
        _ => {
            return Err(invalid(
                "Invalid sort type passed. Must be `address`, `interface`, or `network`.",
            ));
        }
    };
    let given = arguments.value(0);
    let items = match given.as_str() {
        Some(text) if text.contains(',') => text.replace(' ', "").split(',').map(str::to_owned).collect(),
        Some(_) => return Err(invalid("Not a concatenated list of IPs as expected.")),
        None => list(&given)?.iter().map(text).collect::<Result<Vec<_>, _>>()?,
    };
    let mut sorted = items
        .iter()
        .map(|item| parse(item))
        .collect::<Result<Vec<_>, String>>()
        .map_err(|error| invalid(format!("Invalid IP of {kind} input: {error}")))?;
    sorted.sort_by_key(|prefix| (prefix.network().ip, prefix.length, prefix.ip));
    Ok(texts(sorted.iter().map(|prefix| {
        if kind == "address" {
            prefix.ip.to_string()
        } else {
            prefix.to_string()
        }
    })))
}

fn longest_prefix_match(arguments: &Arguments) -> Outcome {
    let ip = to_address(&arguments.value(0))?;
    let mut best: Option<Prefix> = None;
    let routes = arguments.list(1)?;
    if routes.is_empty() {
        return Err(invalid(
            "'routing_table' should have more than zero indexes. Got 0",
        ));
    }
    for route in routes {
        let (network, mask) = (route.get_attr("network")?, route.get_attr("mask")?);
        let network = address::network(&format!("{network}/{mask}")).map_err(invalid)?;
        if network.contains(ip) {
            best = best.max(Some(network));
        }
    }
    best.map(|network| Value::from(network.to_string()))
        .ok_or_else(|| invalid("No Matching Route Found."))
}
