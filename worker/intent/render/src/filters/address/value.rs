//! The objects of `ipaddress` as values of templates.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{DynObject, Enumerator, Kwargs, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::registry::{mapped, property, six_to_four};
use super::{Ip, Prefix, Version};
use crate::filters::arguments::{self, bounded, invalid, lazily, number};

/// An object of Python's `ipaddress`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::filters) enum Ipaddress {
    Address(Ip),
    Interface(Prefix),
    Network(Prefix),
}

impl Ipaddress {
    fn prefix(self) -> Prefix {
        match self {
            Self::Address(ip) => Prefix {
                ip,
                length: ip.version.bits(),
            },
            Self::Interface(prefix) | Self::Network(prefix) => prefix,
        }
    }

    fn attribute(self, name: &str) -> Option<Value> {
        let prefix = self.prefix();
        let (ip, version) = (prefix.ip, prefix.ip.version);
        let with = |ip: &str, mask: String| Value::from(format!("{ip}/{mask}"));
        Some(match (name, self) {
            ("version", _) => Value::from(version.number()),
            ("max_prefixlen", _) => Value::from(version.bits()),
            ("compressed", _) => Value::from(self.to_string()),
            ("exploded", Self::Address(ip)) => Value::from(ip.exploded()),
            ("exploded", _) => with(&ip.exploded(), prefix.length.to_string()),
            ("packed", Self::Address(_) | Self::Interface(_)) => Value::from_bytes(ip.packed()),
            ("reverse_pointer", Self::Address(_) | Self::Interface(_)) => Value::from(ip.reverse_pointer()),
            ("ip", Self::Interface(_)) => of(Self::Address(ip)),
            ("network", Self::Interface(_)) => of(Self::Network(prefix.network())),
            ("network_address", Self::Network(_)) => of(Self::Address(prefix.first())),
            ("broadcast_address", Self::Network(_)) => of(Self::Address(prefix.last())),
            ("num_addresses", Self::Network(_)) => size(prefix),
            ("prefixlen", Self::Network(_)) => Value::from(prefix.length),
            ("netmask", Self::Network(_) | Self::Interface(_)) => of(Self::Address(prefix.netmask())),
            ("hostmask", Self::Network(_) | Self::Interface(_)) => of(Self::Address(prefix.hostmask())),
            ("with_prefixlen", Self::Network(_) | Self::Interface(_)) => Value::from(prefix.to_string()),
            ("with_netmask", Self::Network(_) | Self::Interface(_)) => {
                with(&ip.to_string(), prefix.netmask().to_string())
            }
            ("with_hostmask", Self::Network(_) | Self::Interface(_)) => {
                with(&ip.to_string(), prefix.hostmask().to_string())
            }
            ("ipv4_mapped", Self::Address(_) | Self::Interface(_)) if version == Version::V6 => {
                optional(mapped(ip))
            }
            ("sixtofour", Self::Address(_) | Self::Interface(_)) if version == Version::V6 => {
                optional(six_to_four(ip))
            }
            ("scope_id", Self::Address(_) | Self::Interface(_)) if version == Version::V6 => Value::from(()),
            (_, Self::Network(_)) => Value::from(property(name, prefix.first(), prefix.last())?),
            _ => Value::from(property(name, ip, ip)?),
        })
    }

    /// The address so much further, as Python adds. An interface keeps the length of its prefix.
    fn plus(self, count: &Value, sign: i128) -> Result<Value, Error> {
        let Prefix { ip, length } = self.prefix();
        let moved = arguments::integer(count)?
            .checked_mul(sign)
            .and_then(|count| ip.plus(count));
        match (moved, self) {
            (Some(ip), Self::Interface(_)) => Ok(of(Self::Interface(Prefix { ip, length }))),
            (Some(ip), _) => Ok(of(Self::Address(ip))),
            (None, _) => Err(invalid(format!("{ip} moved by {count} is no address"))),
        }
    }

    /// Calls a method; nothing if there is none of this name.
    fn method(
        self,
        name: &str,
        arguments: &[Value],
        keywords: Option<&Kwargs>,
    ) -> Option<Result<Value, Error>> {
        let Self::Network(network) = self else {
            return match name {
                "__int__" => Some(Ok(number(self.prefix().ip.number))),
                "__str__" => Some(Ok(Value::from(self.to_string()))),
                "__add__" => arguments.first().map(|count| self.plus(count, 1)),
                "__sub__" => arguments.first().map(|count| self.plus(count, -1)),
                _ => None,
            };
        };
        let argument = |index: usize, name: &str| -> Option<Value> {
            let given = arguments.get(index).cloned();
            given.or_else(|| keywords.and_then(|keywords| keywords.get(name).ok()))
        };
        let other = || match argument(0, "other") {
            Some(value) => to_network(&value),
            None => Err(invalid("missing argument 'other'")),
        };
        let length = |default: i128, sign: i128| -> Result<u8, Error> {
            let given = |index: usize, name: &str| -> Result<Option<i128>, Error> {
                match argument(index, name) {
                    Some(value) if !value.is_none() => arguments::integer(&value).map(Some),
                    _ => Ok(None),
                }
            };
            let length = match given(1, "new_prefix")? {
                Some(length) => length,
                None => i128::from(network.length) + sign * given(0, "prefixlen_diff")?.unwrap_or(default),
            };
            u8::try_from(length)
                .ok()
                .filter(|length| *length <= network.ip.version.bits())
                .ok_or_else(|| {
                    invalid(format!(
                        "a prefix of length {length} is invalid for netblock {network}"
                    ))
                })
        };
        Some(match name {
            "__str__" => Ok(Value::from(self.to_string())),
            "hosts" => {
                let (first, last) = network.hosts();
                Ok(lazily(move || addresses(first, last)))
            }
            "subnets" => length(1, 1).and_then(|length| network_subnets(network, length)),
            "supernet" => length(1, -1).and_then(|length| {
                if length > network.length {
                    return Err(invalid("new prefix must be shorter"));
                }
                let ip = network.ip;
                Ok(of(Self::Network(Prefix { ip, length }.network())))
            }),
            "overlaps" => other().map(|other| {
                let within = [other.first(), other.last()]
                    .iter()
                    .any(|ip| network.contains(*ip));
                Value::from(within || other.contains_network(network))
            }),
            "subnet_of" => other().map(|other| Value::from(other.contains_network(network))),
            "supernet_of" => other().map(|other| Value::from(network.contains_network(other))),
            "address_exclude" => other().and_then(|other| exclude(network, other)),
            _ => return None,
        })
    }
}

impl fmt::Display for Ipaddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => ip.fmt(formatter),
            Self::Interface(prefix) | Self::Network(prefix) => prefix.fmt(formatter),
        }
    }
}

/// What Python's `repr` prints.
impl fmt::Debug for Ipaddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self {
            Self::Address(_) => "Address",
            Self::Interface(_) => "Interface",
            Self::Network(_) => "Network",
        };
        let version = self.prefix().ip.version.number();
        write!(formatter, "IPv{version}{class}('{self}')")
    }
}

impl Object for Ipaddress {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if let Some(name) = key.as_str() {
            return self.attribute(name);
        }
        let Self::Network(network) = **self else {
            return None;
        };
        let index = arguments::integer(key).ok()?;
        network.nth(index).map(|ip| of(Self::Address(ip)))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match **self {
            Self::Network(network) => {
                Enumerator::Iter(Box::new(bounded(addresses(network.first(), network.last()))))
            }
            Self::Address(_) | Self::Interface(_) => Enumerator::NonEnumerable,
        }
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        None
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State<'_, '_>,
        method: &str,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        let (keywords, arguments) = match arguments.split_last() {
            Some((last, before)) if last.is_kwargs() => (Some(Kwargs::try_from(last.clone())?), before),
            _ => (None, arguments),
        };
        self.method(method, arguments, keywords.as_ref())
            .unwrap_or_else(|| Err(Error::from(ErrorKind::UnknownMethod)))
    }

    /// As Python sorts them: by version, address, and length of the prefix. An interface is sorted by its network first.
    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = *other.downcast_ref::<Self>()?;
        let key = |value: Self| {
            let prefix = value.prefix();
            let kind = match value {
                Self::Address(_) => 0,
                Self::Interface(_) => 1,
                Self::Network(_) => 2,
            };
            (kind, prefix.network().ip, prefix.length, prefix.ip)
        };
        Some(key(**self).cmp(&key(other)))
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, formatter)
    }
}

/// A value of one.
pub(in crate::filters) fn of(value: Ipaddress) -> Value {
    Value::from_object(value)
}

pub(in crate::filters) fn is_address(value: &Value) -> bool {
    value.downcast_object_ref::<Ipaddress>().is_some()
}

/// What Python's `repr` prints of an address; nothing for another value.
pub(crate) fn repr(value: &Value) -> Option<String> {
    value
        .downcast_object_ref::<Ipaddress>()
        .map(|address| format!("{address:?}"))
}

/// Whether a value is a network, which has addresses that can be asked for with `in`.
pub(crate) fn is_network(value: &Value) -> bool {
    matches!(value.downcast_object_ref(), Some(Ipaddress::Network(_)))
}

/// Whether a network contains an address.
pub(crate) fn contains(network: &Value, item: &Value) -> bool {
    match (network.downcast_object_ref(), item.downcast_object_ref()) {
        (Some(Ipaddress::Network(network)), Some(Ipaddress::Address(ip))) => network.contains(*ip),
        (Some(Ipaddress::Network(network)), Some(Ipaddress::Interface(prefix))) => {
            network.contains(prefix.ip)
        }
        _ => false,
    }
}

/// What `int()` makes of an address.
pub(crate) fn as_number(value: &Value) -> Option<u128> {
    match value.downcast_object_ref::<Ipaddress>()? {
        Ipaddress::Address(ip) => Some(ip.number),
        Ipaddress::Interface(prefix) => Some(prefix.ip.number),
        Ipaddress::Network(_) => None,
    }
}

/// What `ip_address` makes of a value: of a text, a number, or an address.
pub(in crate::filters) fn to_address(value: &Value) -> Result<Ip, Error> {
    match value.downcast_object_ref::<Ipaddress>() {
        Some(Ipaddress::Address(ip)) => return Ok(*ip),
        Some(other) => return super::address(&other.to_string()).map_err(invalid),
        None => {}
    }
    if value.kind() == ValueKind::Number
        && let Ok(number) = u128::try_from(value.clone())
    {
        let ip = Ip::new(Version::V4, number).or_else(|| Ip::new(Version::V6, number));
        return ip.ok_or_else(|| invalid("the number is no address"));
    }
    super::address(&arguments::text(value)?).map_err(invalid)
}

/// What `ip_interface` makes of a value.
pub(in crate::filters) fn to_interface(value: &Value) -> Result<Prefix, Error> {
    match value.downcast_object_ref::<Ipaddress>() {
        Some(address) => Ok(address.prefix()),
        None if value.kind() == ValueKind::Number => to_address(value).map(whole),
        None => super::interface(&arguments::text(value)?).map_err(invalid),
    }
}

/// What `ip_network` makes of a value.
pub(in crate::filters) fn to_network(value: &Value) -> Result<Prefix, Error> {
    match value.downcast_object_ref::<Ipaddress>() {
        Some(Ipaddress::Network(network)) => Ok(*network),
        Some(other) => super::network(&other.to_string()).map_err(invalid),
        None if value.kind() == ValueKind::Number => to_address(value).map(whole),
        None => super::network(&arguments::text(value)?).map_err(invalid),
    }
}

fn whole(ip: Ip) -> Prefix {
    Prefix {
        ip,
        length: ip.version.bits(),
    }
}

/// An attribute by its dotted path, called if it is a method: what `attrgetter` and `methodcaller` get.
pub(in crate::filters) fn attribute(
    object: Ipaddress,
    path: &str,
    keywords: &[(String, Value)],
) -> Result<Value, Error> {
    let mut value = of(object);
    for name in path.split('.') {
        let found = match value.downcast_object_ref::<Ipaddress>() {
            Some(object) => match object.method(name, &[], Some(&keywords.iter().cloned().collect())) {
                Some(result) => Some(result?),
                None => object.attribute(name),
            },
            None => None,
        };
        let class = || repr(&value).unwrap_or_else(|| format!("{value:?}"));
        value = found.ok_or_else(|| invalid(format!("{} has no attribute '{name}'", class())))?;
    }
    Ok(value)
}

/// The subnets of a network that have prefixes of this length.
pub(in crate::filters) fn network_subnets(network: Prefix, length: u8) -> Result<Value, Error> {
    if length < network.length {
        return Err(invalid("new prefix must be longer"));
    }
    let step = Prefix {
        ip: network.ip,
        length,
    }
    .size();
    let Some(step) = step else {
        return Ok(Value::from(vec![of(Ipaddress::Network(network))]));
    };
    let (first, last) = (network.first(), network.last());
    Ok(lazily(move || {
        let starts = std::iter::successors(Some(first.number), move |start| {
            start.checked_add(step).filter(|next| *next <= last.number)
        });
        starts.map(move |start| {
            of(Ipaddress::Network(Prefix {
                ip: first.with(start),
                length,
            }))
        })
    }))
}

/// The networks that are left of a network without another.
fn exclude(network: Prefix, other: Prefix) -> Result<Value, Error> {
    if !network.contains_network(other) {
        return Err(invalid(format!("{other} not contained in {network}")));
    }
    let mut left = Vec::new();
    let mut rest = network;
    while rest != other {
        let length = rest.length + 1;
        let lower = Prefix { ip: rest.ip, length };
        let upper = Prefix {
            ip: rest.ip.with(lower.last().number + 1),
            length,
        };
        let (keep, next) = if lower.contains_network(other) {
            (upper, lower)
        } else {
            (lower, upper)
        };
        left.push(of(Ipaddress::Network(keep)));
        rest = next;
    }
    Ok(Value::from(left))
}

fn addresses(first: Ip, last: Ip) -> impl Iterator<Item = Value> + Send + Sync + use<> {
    (first.number..=last.number).map(move |number| of(Ipaddress::Address(first.with(number))))
}

fn size(prefix: Prefix) -> Value {
    // Two to the power of 128 does not fit into a number, but prints the same.
    prefix
        .size()
        .map_or_else(|| Value::from("340282366920938463463374607431768211456"), number)
}

fn optional(ip: Option<Ip>) -> Value {
    ip.map_or_else(|| Value::from(()), |ip| of(Ipaddress::Address(ip)))
}
