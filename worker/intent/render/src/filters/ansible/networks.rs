//! The other filters of addresses and networks, and those of VLANs.

use minijinja::{Error, Value};

use super::ipaddr::query_value;
use super::netaddr::{Net, is_digits, text_of, with_length};
use crate::filters::address::{Ip, Prefix, Version, network_of_bits};
use crate::filters::arguments::{
    Arguments, Filter, MOST_ITEMS, Outcome, integer, invalid, none, python_int, texts, to_integer, too_many,
};

pub(super) const FILTERS: &[Filter] = &[
    ("ipsubnet", "value query? index?", subnet),
    ("ipmath", "value amount", |arguments| {
        let value = arguments.value(0).to_string();
        let net = Net::parse(&value, None)
            .ok_or_else(|| invalid(format!("You must pass a valid IP address; {value} is invalid")))?;
        moved(net.ip(), arguments.integer(1)?)
    }),
    ("nthhost", "value query?", |arguments| {
        let net = Net::parse(&arguments.value(0).to_string(), None);
        let index = arguments
            .some(1)
            .and_then(|index| to_integer(index).ok())
            .filter(|index| *index != 0);
        let ip = net.zip(index).and_then(|(net, index)| net.prefix.nth(index));
        Ok(ip.map_or(Value::from(false), |ip| Value::from(text_of(ip))))
    }),
    ("next_nth_usable", "value offset", |arguments| {
        usable(arguments, 1)
    }),
    ("previous_nth_usable", "value offset", |arguments| {
        usable(arguments, -1)
    }),
    ("network_in_usable", "value test", |arguments| {
        let (net, test) = (net(arguments, 0)?, net(arguments, 1)?);
        // Of one address, it is itself.
        let (first, last) = net.usable().unwrap_or((net.ip(), net.ip()));
        Ok(Value::from(
            first <= test.prefix.first() && test.prefix.last() <= last,
        ))
    }),
    ("network_in_network", "value test", |arguments| {
        let (net, test) = (net(arguments, 0)?, net(arguments, 1)?);
        Ok(Value::from(net.prefix.contains_network(test.prefix)))
    }),
    ("reduce_on_network", "value network", |arguments| {
        let network = net(arguments, 1)?;
        let mut left = Vec::new();
        for item in arguments.list(0)? {
            let net = parsed(&item)?;
            if network.prefix.contains_network(net.prefix) {
                left.push(item);
            }
        }
        Ok(Value::from(left))
    }),
    ("cidr_merge", "value action?", cidr_merge),
    ("ip4_hex", "arg delimiter?", |arguments| {
        let ip = net(arguments, 0)?.ip();
        if ip.version != Version::V4 {
            return Err(invalid(format!("{ip} is no IPv4 address")));
        }
        let octets: Vec<String> = ip.packed().iter().map(|octet| format!("{octet:02x}")).collect();
        Ok(Value::from(octets.join(&arguments.text_or(1, "")?)))
    }),
    ("ipv6form", "value format", |arguments| {
        let ip = net(arguments, 0)?.ip();
        Ok(Value::from(match arguments.text(1)?.as_str() {
            "expand" => ip.exploded(),
            "compress" => ip.to_string(),
            "x509" => {
                let groups: Vec<String> = ip
                    .exploded()
                    .split(':')
                    .map(|group| {
                        let group = group.trim_start_matches('0');
                        if group.is_empty() { "0" } else { group }.to_owned()
                    })
                    .collect();
                groups.join(":")
            }
            _ => return Ok(none()),
        }))
    }),
    ("ipcut", "value amount", |arguments| {
        let ip = net(arguments, 0)?.ip();
        let width = usize::from(ip.version.bits());
        let bits = format!("{:0width$b}", ip.number);
        let amount = arguments.integer(1)?;
        let count = usize::try_from(amount.unsigned_abs()).unwrap_or(width).min(width);
        let bits = if amount < 0 {
            &bits[width - count..]
        } else {
            &bits[..count]
        };
        let (size, between) = if ip.version == Version::V6 {
            (16, ":")
        } else {
            (8, ".")
        };
        let groups: Vec<String> = bits
            .as_bytes()
            .chunks(size)
            .map(|group| {
                let group = group
                    .iter()
                    .fold(0_u32, |sum, bit| sum << 1 | u32::from(*bit == b'1'));
                if ip.version == Version::V6 {
                    format!("{group:x}")
                } else {
                    group.to_string()
                }
            })
            .collect();
        Ok(Value::from(groups.join(between)))
    }),
    ("usable_range", "ip", |arguments| {
        let net = net(arguments, 0)?;
        if net.has_host_bits() {
            return Err(invalid(format!("{} has host bits set", net.text())));
        }
        if net.size() > MOST_ITEMS as u128 {
            return Err(too_many());
        }
        let (first, last) = (net.prefix.first(), net.prefix.last());
        let all = (first.number..=last.number).filter_map(|number| Ip::new(first.version, number));
        let count = crate::filters::arguments::number(net.size());
        Ok(Value::from_pairs([
            ("usable_ips", texts(all.map(|ip| ip.to_string()))),
            ("number_of_ips", count),
        ]))
    }),
];

/// The filters of `ansible.netcommon`.
pub(super) const NETCOMMON: &[Filter] = &[
    ("vlan_parser", "data first_line_len? other_line_len?", vlan_parser),
    ("vlan_expander", "data", |arguments| {
        let data = arguments.value(0).to_string();
        let mut vlans = Vec::new();
        for part in data.split(',') {
            let int = |text: &str| python_int(text).ok_or_else(|| invalid(format!("'{part}' is no VLAN")));
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (int(first)?, int(last)?);
            if last.saturating_sub(first) >= MOST_ITEMS as i128 - vlans.len() as i128 {
                return Err(too_many());
            }
            vlans.extend(first..=last);
        }
        vlans.sort_unstable();
        Ok(Value::from_iter(vlans))
    }),
];

fn net(arguments: &Arguments, index: usize) -> Result<Net, Error> {
    parsed(&arguments.value(index))
}

fn parsed(value: &Value) -> Result<Net, Error> {
    let text = value.to_string();
    Net::parse(&text, None).ok_or_else(|| invalid(format!("{text} is no valid address or network")))
}

fn moved(ip: Ip, count: i128) -> Outcome {
    ip.plus(count)
        .map(|ip| Value::from(text_of(ip)))
        .ok_or_else(|| invalid(format!("{ip} moved by {count} is no address")))
}

fn usable(arguments: &Arguments, sign: i128) -> Outcome {
    let Some(net) = Net::parse(&arguments.value(0).to_string(), None) else {
        return Ok(Value::from(false));
    };
    let count = integer(&arguments.value(1)).map_err(|_| invalid("Must pass in an integer"))?;
    let moved = count.checked_mul(sign).and_then(|count| net.ip().plus(count));
    Ok(match net.usable().zip(moved) {
        Some(((first, last), ip)) if first <= ip && ip <= last => Value::from(text_of(ip)),
        _ => none(),
    })
}

fn subnet(arguments: &Arguments) -> Outcome {
    let given = arguments.value(0);
    if !query_value(&given, "type", None)?.is_true() {
        return Ok(Value::from(false));
    }
    let value = parsed(&given)?.prefix.network();
    let bits = value.ip.version.bits();
    let one_address = value.length == bits;
    let query = arguments.some(1).map(ToString::to_string).unwrap_or_default();
    if query.is_empty() {
        return Ok(Value::from(with_length(value.ip, value.length)));
    }
    if !is_digits(&query) {
        return subnet_number(value, &query);
    }
    let Some(length) = query.parse::<u8>().ok().filter(|length| *length <= bits) else {
        return Ok(Value::from(false));
    };
    let super_network = |length: u8| {
        let network = network_of_bits(value.ip, length);
        Value::from(with_length(network.ip, network.length))
    };
    let Some(index) = arguments.some(2).map(to_integer).transpose()? else {
        return match value.length {
            _ if one_address => Ok(super_network(length)),
            own if length < own => Err(invalid(format!("Requested subnet size of {length} is invalid"))),
            own => Ok(Value::from(count_text(length - own))),
        };
    };
    if one_address {
        // The networks that contain the address, the largest first.
        let all = i128::from(bits - length);
        let index = if index < 0 { index + all } else { index };
        return Ok(match u8::try_from(index).ok().filter(|_| index < all) {
            Some(index) => super_network(length + index),
            None => Value::from(false),
        });
    }
    if length < value.length {
        return Ok(Value::from(false));
    }
    let count = 1_i128
        .checked_shl(u32::from(length - value.length))
        .unwrap_or(i128::MAX);
    let index = if index < 0 {
        index.saturating_add(count)
    } else {
        index
    };
    if index < 0 || index >= count {
        return Ok(Value::from(false));
    }
    // Less than the count of networks, so it fits.
    let offset = u128::try_from(index).unwrap_or(0) << (bits - length).min(127);
    Ok(match Ip::new(value.ip.version, value.ip.number | offset) {
        Some(ip) => Value::from(with_length(ip, length)),
        None => Value::from(false),
    })
}

/// Two to a power, as text.
fn count_text(power: u8) -> String {
    1_u128.checked_shl(u32::from(power)).map_or_else(
        || "340282366920938463463374607431768211456".to_owned(),
        |count| count.to_string(),
    )
}

/// The place of a network among those of its size in another, from 1.
fn subnet_number(value: Prefix, query: &str) -> Outcome {
    let network = Net::parse(query, None)
        .ok_or_else(|| {
            invalid(format!(
                "You must pass a valid subnet or IP address; {query} is invalid"
            ))
        })?
        .prefix
        .network();
    if !network.contains_network(value) {
        return Err(invalid(format!("{value} is not in the subnet {network}")));
    }
    let step = u32::from(value.ip.version.bits() - value.length);
    let number = (value.ip.number - network.ip.number)
        .checked_shr(step)
        .unwrap_or(0);
    Ok(Value::from((number + 1).to_string()))
}

fn cidr_merge(arguments: &Arguments) -> Outcome {
    let networks = arguments
        .list(0)?
        .iter()
        .map(|item| Ok(parsed(item)?.prefix.network()))
        .collect::<Result<Vec<Prefix>, Error>>()?;
    match arguments.text_or(1, "merge")?.as_str() {
        "merge" => Ok(texts(
            merged(networks)
                .iter()
                .map(|network| with_length(network.ip, network.length)),
        )),
        "span" => {
            let Some(first) = networks.first() else {
                return Ok(none());
            };
            if let [only] = networks[..] {
                return Ok(Value::from(with_length(
                    parsed(&arguments.list(0)?[0])?.ip(),
                    only.length,
                )));
            }
            let mut span = *first;
            if networks
                .iter()
                .any(|network| network.ip.version != first.ip.version)
            {
                return Err(invalid("IPv4 and IPv6 networks have no common network"));
            }
            while !networks.iter().all(|network| span.contains_network(*network)) {
                span = network_of_bits(span.ip, span.length - 1);
            }
            Ok(Value::from(with_length(span.ip, span.length)))
        }
        other => Err(invalid(format!("invalid action '{other}'"))),
    }
}

/// The fewest networks with the same addresses.
fn merged(mut networks: Vec<Prefix>) -> Vec<Prefix> {
    networks.sort_unstable();
    let mut merged: Vec<Prefix> = Vec::new();
    for mut network in networks {
        if merged.last().is_some_and(|last| last.contains_network(network)) {
            continue;
        }
        // Two halves are one network, which may be half of another.
        while let Some(last) = merged.last()
            && last.length == network.length
            && network.length > 0
            && network_of_bits(last.ip, last.length - 1).contains_network(network)
        {
            network = network_of_bits(last.ip, last.length - 1);
            merged.pop();
        }
        merged.push(network);
    }
    merged
}

/// VLANs as a device lists them, in lines; a line breaks where the next range would be beyond its length.
fn vlan_parser(arguments: &Arguments) -> Outcome {
    let mut vlans = arguments
        .list(0)?
        .iter()
        .map(integer)
        .collect::<Result<Vec<_>, _>>()?;
    vlans.sort_unstable();
    vlans.dedup();
    if vlans.is_empty() || !vlans.iter().all(|vlan| (1..=4094).contains(vlan)) {
        return Err(invalid("Valid VLAN range is 1-4094"));
    }
    let width = |index: usize, default: i128| -> Result<usize, Error> {
        Ok(usize::try_from(arguments.integer_or(index, default)?).unwrap_or(0))
    };
    let (first, other) = (width(1, 48)?, width(2, 44)?);
    let mut lines = vec![String::new()];
    for run in vlans.chunk_by(|left, right| left + 1 == *right) {
        let ranges = match run {
            [start, _, .., end] => vec![format!("{start}-{end}")],
            run => run.iter().map(ToString::to_string).collect(),
        };
        for range in ranges {
            let most = if lines.len() == 1 { first } else { other };
            match lines.last_mut() {
                Some(line) if line.len() + range.len() <= most => line.extend([range.as_str(), ","]),
                _ => lines.push(format!("{range},")),
            }
        }
    }
    Ok(texts(
        lines
            .iter()
            .map(|line| line.trim_end_matches(','))
            .filter(|line| !line.is_empty()),
    ))
}
