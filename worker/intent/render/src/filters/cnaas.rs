//! The filters of CNaaS NMS.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Error, Value};

use super::address::{self, Ip, Ipaddress, Prefix, Version, of, to_address, to_interface, to_network};
use super::arguments::{Arguments, Filter, Outcome, invalid, text};
use super::digest;

pub(super) const FILTERS: &[Filter] = &[
    ("increment_ip", "ip_string increment?", increment),
    ("isofy_ipv4", "ip_string prefix?", isofy),
    ("ipv4_to_ipv6", "v6_network v4_address", |arguments| {
        let (left, right) = (arguments.value(0), arguments.value(1));
        // Either of them may be the one that is filtered.
        let is_v4 = to_interface(&left).is_ok_and(|left| left.ip.version == Version::V4);
        let (network, address) = if is_v4 { (right, left) } else { (left, right) };
        let (network, address) = (to_network(&network)?, to_interface(&address)?.ip);
        if network.ip.version != Version::V6 || address.version != Version::V4 {
            return Err(invalid("needs an IPv6 network and an IPv4 address"));
        }
        let index = i128::try_from(address.number).unwrap_or(i128::MAX);
        interface_at(network, index)
    }),
    ("get_interface", "network index", |arguments| {
        let network = to_interface(&arguments.value(0))?.network();
        if arguments.value(0).as_str().is_some() {
            to_network(&arguments.value(0))?;
        }
        interface_at(network, arguments.integer(1)?)
    }),
    ("ipwrap", "address", |arguments| {
        let given = arguments.value(0);
        Ok(match to_address(&given) {
            Ok(ip) if ip.version == Version::V6 => Value::from(format!("[{ip}]")),
            _ => given,
        })
    }),
    ("b64encode", "s encoding?", |arguments| {
        Ok(Value::from(STANDARD.encode(bytes(arguments)?)))
    }),
    ("b64decode", "s encoding?", |arguments| {
        let decoded = STANDARD
            .decode(bytes(arguments)?)
            .map_err(|error| invalid(error.to_string()))?;
        utf8(decoded)
    }),
    ("b16encode", "s", |arguments| {
        Ok(Value::from(hex::encode_upper(bytes(arguments)?)))
    }),
    ("b16decode", "s", |arguments| {
        let digits = bytes(arguments)?;
        if digits.iter().any(u8::is_ascii_lowercase) {
            return Err(invalid("Non-base16 digit found"));
        }
        utf8(hex::decode(digits).map_err(|error| invalid(error.to_string()))?)
    }),
    ("sha1", "s", |arguments| digest_of("sha1", arguments)),
    ("sha256", "s", |arguments| digest_of("sha256", arguments)),
    ("sha512", "s", |arguments| digest_of("sha512", arguments)),
    ("md5", "s", |arguments| digest_of("md5", arguments)),
    ("ip_address", "address", |arguments| {
        Ok(of(Ipaddress::Address(to_address(&arguments.value(0))?)))
    }),
    ("ip_interface", "address", |arguments| {
        Ok(of(Ipaddress::Interface(to_interface(&arguments.value(0))?)))
    }),
    ("ip_network", "address strict?", |arguments| {
        let network = if arguments.has(1) && !arguments.is_true(1) {
            to_interface(&arguments.value(0))?.network()
        } else {
            to_network(&arguments.value(0))?
        };
        Ok(of(Ipaddress::Network(network)))
    }),
];

fn bytes(arguments: &Arguments) -> Result<Vec<u8>, Error> {
    let value = arguments.value(0);
    match value.as_bytes() {
        Some(bytes) => Ok(bytes.to_vec()),
        None => text(&value).map(String::into_bytes),
    }
}

fn utf8(bytes: Vec<u8>) -> Outcome {
    String::from_utf8(bytes)
        .map(Value::from)
        .map_err(|_| invalid("what was encoded is no text in UTF-8"))
}

fn digest_of(algorithm: &str, arguments: &Arguments) -> Outcome {
    digest::hexadecimal(algorithm, &bytes(arguments)?)
        .map(Value::from)
        .ok_or_else(|| invalid("unknown algorithm"))
}

fn increment(arguments: &Arguments) -> Outcome {
    let count = arguments.integer_or(1, 1)?;
    let given = text(&arguments.value(0))?;
    let moved = |ip: Ip| {
        ip.plus(count)
            .ok_or_else(|| invalid(format!("{ip} cannot be incremented by {count}")))
    };
    if let Ok(ip) = address::address(&given) {
        return moved(ip).map(|ip| Value::from(ip.to_string()));
    }
    let interface = address::interface(&given).map_err(invalid)?;
    let ip = moved(interface.ip)?;
    let network = interface.network();
    if !network.contains(ip) {
        return Err(invalid(format!("IP address {ip} is not in network {network}")));
    }
    Ok(Value::from(format!("{ip}/{}", network.length)))
}

/// The digits of an IPv4 address in groups of four; with a prefix, an ISO address.
fn isofy(arguments: &Arguments) -> Outcome {
    let ip = to_address(&arguments.value(0))?;
    if ip.version != Version::V4 {
        return Err(invalid(format!("{ip} is no IPv4 address")));
    }
    let digits = ip
        .packed()
        .iter()
        .map(|octet| format!("{octet:03}"))
        .collect::<Vec<_>>()
        .concat();
    let system = super::mac_groups(&digits, 4, ".");
    let prefix = arguments.text_or(1, "")?;
    if prefix.is_empty() {
        return Ok(Value::from(system));
    }
    let mut parts = prefix.split('.').map(str::len);
    if parts.next() != Some(2) || !parts.all(|length| length == 4) {
        return Err(invalid(format!(
            "{prefix} cannot be used as ISO prefix, please check formatting"
        )));
    }
    Ok(Value::from(format!("{prefix}.{system}.00")))
}

fn interface_at(network: Prefix, index: i128) -> Outcome {
    let ip = network
        .nth(index)
        .ok_or_else(|| invalid(format!("{network} has no address {index}")))?;
    Ok(of(Ipaddress::Interface(Prefix {
        ip,
        length: network.length,
    })))
}
