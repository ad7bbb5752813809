//! The filters `ipaddr`, `ipv4` and `ipv6`, with their queries.

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use super::netaddr::{Net, is_digits, is_mask, text_of, with_length};
use crate::filters::address::{Ip, Ipaddress, Prefix, Version, attribute};
use crate::filters::arguments::{Arguments, Filter, Outcome, invalid, list, none, number, python_int};

pub(super) const FILTERS: &[Filter] = &[
    ("ipaddr", "value query? version? alias?", |arguments| {
        let version = match arguments.some(2).map(ToString::to_string).as_deref() {
            Some("4") => Some(Version::V4),
            Some("6") => Some(Version::V6),
            _ => None,
        };
        filter(arguments, version)
    }),
    ("ipv4", "value query?", |arguments| {
        filter(arguments, Some(Version::V4))
    }),
    ("ipv6", "value query?", |arguments| {
        filter(arguments, Some(Version::V6))
    }),
];

fn filter(arguments: &Arguments, version: Option<Version>) -> Outcome {
    let query = arguments.some(1).map(ToString::to_string).unwrap_or_default();
    query_value(&arguments.value(0), &query, version)
}

/// What a query returns of an address, or of each of a list. Nothing of the kind is false; of the kind, but without what is asked
/// for, none.
pub(super) fn query_value(value: &Value, query: &str, version: Option<Version>) -> Outcome {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Err(invalid(format!(
            "expected an address, a number or a list, got {value:?}"
        ))),
        ValueKind::Seq | ValueKind::Iterable => {
            let mut found = Vec::new();
            for item in list(value)? {
                let result = if item.is_none() || item.is_undefined() {
                    Value::from(false)
                } else {
                    query_value(&item, query, version)?
                };
                if result.is_true() {
                    found.push(result);
                }
            }
            Ok(Value::from(found))
        }
        ValueKind::Bool => Ok(Value::from(false)),
        _ => query_text(&value.to_string(), query, version),
    }
}

fn query_text(text: &str, query: &str, version: Option<Version>) -> Outcome {
    let Some(net) = Net::parse(text, version) else {
        return Ok(Value::from(false));
    };
    if version.is_some_and(|version| version != net.version()) {
        return Ok(Value::from(false));
    }
    // A number is not returned as it was given.
    let given = match text.split_once('/') {
        _ if is_digits(text) => net.text(),
        Some((address, _)) if is_digits(address) => net.text(),
        _ => text.to_owned(),
    };
    let keep = |holds: bool| {
        if holds {
            Value::from(given.as_str())
        } else {
            none()
        }
    };
    Ok(match answer(net, query, &keep)? {
        Some(result) => result,
        None => match Net::parse(query, None).filter(|_| !is_digits(query)) {
            Some(network) => keep(network.prefix.contains_network(net.prefix)),
            None => at_index(net, query)?,
        },
    })
}

/// The answer to a query by name; nothing for another query.
fn answer(net: Net, query: &str, keep: &dyn Fn(bool) -> Value) -> Result<Option<Value>, Error> {
    let Net { prefix, is_network } = net;
    let (ip, size) = (net.ip(), net.size());
    let text = |text: String| Value::from(text);
    let when = |holds: bool, value: String| if holds { Value::from(value) } else { none() };
    let ip_text = text_of(ip);
    let (network, mask) = (text_of(prefix.first()), prefix.netmask().to_string());
    let property = |name: &str, network: bool| {
        let object = if network {
            Ipaddress::Network(prefix.network())
        } else {
            Ipaddress::Address(ip)
        };
        attribute(object, name, &[]).is_ok_and(|value| value.is_true())
    };
    let is_host = size == 1 || net.has_host_bits() || net.broadcast().is_none();
    Ok(Some(match query {
        "" if is_network => text(net.text()),
        "" => text(ip_text),
        "6to4" => {
            let routed = !property("is_multicast", false) && !is_mask(ip) || !property("is_global", false);
            if ip.version == Version::V4 && !routed {
                return Ok(Some(Value::from(false)));
            }
            six_to_four(net, keep)
        }
        "address" | "ip" => when(is_host || ip.version == Version::V6, ip_text),
        "address/prefix" | "gateway" | "gw" | "host/prefix" | "hostnet" | "router" => {
            let is_end = size > 2 && (ip == prefix.first() || Some(ip) == net.broadcast());
            if is_end {
                Value::from(false)
            } else {
                text(net.text())
            }
        }
        "bool" => Value::from(true),
        "broadcast" => match net.broadcast().filter(|_| size > 2) {
            Some(broadcast) => text(text_of(broadcast)),
            None => none(),
        },
        "cidr" => text(net.text()),
        "host" => when(is_host, net.text()),
        "hostmask" | "wildcard" => text(prefix.hostmask().to_string()),
        "int" if is_network => text(format!("{}/{}", ip.number, prefix.length)),
        "int" => number(ip.number),
        "ip/prefix" => when(size == 2 || size > 1 && net.has_host_bits(), net.text()),
        "ip_netmask" => when(
            size == 2 || size > 1 && net.has_host_bits(),
            format!("{ip_text} {mask}"),
        ),
        "ipv4" | "v4" if ip.version == Version::V6 => match as_v4(prefix) {
            Some(prefix) => text(prefix.to_string()),
            None => Value::from(false),
        },
        "ipv6" | "v6" if ip.version == Version::V4 => match Ip::new(Version::V6, 0xffff << 32 | ip.number) {
            Some(mapped) => text(with_length(mapped, prefix.length + 96)),
            None => none(),
        },
        "link-local" => keep(property("is_link_local", false)),
        "lo" | "loopback" => keep(property("is_loopback", false)),
        "multicast" => keep(property("is_multicast", true)),
        "unicast" => keep(!property("is_multicast", true)),
        "private" => keep(!property("is_global", false)),
        "public" => {
            let hidden = property("is_multicast", false) || property("is_loopback", false) || is_mask(ip);
            keep(property("is_global", false) && !hidden)
        }
        "net" => when(
            size > 1 && !net.has_host_bits(),
            format!("{network}/{}", prefix.length),
        ),
        "netmask" => text(mask),
        "network" | "network_id" => text(network),
        "network/prefix" | "subnet" => text(format!("{network}/{}", prefix.length)),
        "network_netmask" => text(format!("{network} {mask}")),
        "network_wildcard" => text(format!("{network} {}", prefix.hostmask())),
        "peer" => peer(net)?,
        "prefix" => Value::from(prefix.length),
        "revdns" => text(format!("{}.", ip.reverse_pointer())),
        "size" => number(size),
        "size_usable" => number(match size {
            1 => 0,
            2 => 2,
            size => size - 2,
        }),
        "type" => text(if net.is_address() { "address" } else { "network" }.to_owned()),
        "version" => Value::from(ip.version.number()),
        "wrap" if ip.version == Version::V6 && is_network => text(format!("[{ip_text}]/{}", prefix.length)),
        "wrap" if ip.version == Version::V6 => text(format!("[{ip_text}]")),
        "ipv4" | "v4" | "ipv6" | "v6" | "wrap" => keep(true),
        _ => return usable(net, query),
    }))
}

/// The answer to a query for addresses that hosts can have.
fn usable(net: Net, query: &str) -> Result<Option<Value>, Error> {
    if !matches!(
        query,
        "first_usable" | "last_usable" | "range_usable" | "next_usable" | "previous_usable"
    ) {
        return Ok(None);
    }
    if !net.is_network {
        return Err(invalid("Not a network address"));
    }
    let Some((first, last)) = net.usable() else {
        return Ok(Some(none()));
    };
    let neighbor = |count: i128| {
        let ip = net.ip().plus(count).filter(|ip| first <= *ip && *ip <= last);
        ip.map_or_else(none, |ip| Value::from(text_of(ip)))
    };
    Ok(Some(match query {
        "first_usable" => Value::from(text_of(first)),
        "last_usable" => Value::from(text_of(last)),
        "range_usable" => Value::from(format!("{}-{}", text_of(first), text_of(last))),
        "next_usable" => neighbor(1),
        _ => neighbor(-1),
    }))
}

/// The address of a network by its index, with the length of its prefix.
fn at_index(net: Net, query: &str) -> Outcome {
    let Some(index) = python_int(query) else {
        return Err(invalid(format!("unknown filter type: {query}")));
    };
    if net.size() == 1 {
        let text = if net.is_network {
            net.text()
        } else {
            text_of(net.ip())
        };
        return Ok(Value::from(text));
    }
    Ok(match net.prefix.nth(index) {
        Some(ip) => Value::from(with_length(ip, net.prefix.length)),
        None => Value::from(false),
    })
}

fn as_v4(prefix: Prefix) -> Option<Prefix> {
    let number = prefix.ip.number;
    let number = match number >> 32 {
        0 | 0xffff => number & 0xffff_ffff,
        _ => return None,
    };
    let (ip, length) = (Ip::new(Version::V4, number)?, prefix.length.checked_sub(96)?);
    Some(Prefix { ip, length })
}

fn six_to_four(net: Net, keep: &dyn Fn(bool) -> Value) -> Value {
    let ip = net.ip();
    if ip.version == Version::V4 {
        if net.size() > 1 && !net.has_host_bits() {
            return Value::from(false);
        }
        let number = ip.number;
        return Value::from(format!("2002:{:04x}:{:04x}::1/48", number >> 16, number & 0xffff));
    }
    let is_6to4 = ip.number >> 112 == 0x2002;
    if is_6to4 && (!net.is_network || net.has_host_bits()) {
        keep(true)
    } else {
        Value::from(false)
    }
}

fn peer(net: Net) -> Outcome {
    if !net.is_network {
        return Err(invalid("Not a network address"));
    }
    let ip = net.ip();
    let mask = match (net.size(), ip.number % 4) {
        (2, _) => 1,
        (4, 0) => return Err(invalid("Network address of /30 has no peer")),
        (4, 3) => return Err(invalid("Broadcast address of /30 has no peer")),
        (4, _) => 3,
        _ => return Err(invalid("Not a point-to-point network")),
    };
    Ok(Ip::new(ip.version, ip.number ^ mask).map_or_else(none, |ip| Value::from(text_of(ip))))
}
