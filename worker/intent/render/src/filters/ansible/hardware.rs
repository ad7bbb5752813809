//! MAC addresses: the filters `hwaddr`, `macaddr` and `slaac`.

use minijinja::{Error, Value};

use super::netaddr::{Net, text_of};
use crate::filters::address::{Ip, Version};
use crate::filters::arguments::{Arguments, Filter, Outcome, invalid, none};
use crate::filters::mac_groups;

pub(super) const FILTERS: &[Filter] = &[
    ("hwaddr", "value query? alias?", hardware),
    ("macaddr", "value query?", hardware),
    ("slaac", "value query?", |arguments| {
        let net = Net::parse(&arguments.value(0).to_string(), None);
        let mac = arguments.some(1).and_then(|mac| digits(&mac.to_string()));
        let (Some(net), Some(mac)) = (net.filter(|net| net.version() == Version::V6), mac) else {
            return Ok(Value::from(false));
        };
        let number = u128::from_str_radix(&mac, 16).unwrap_or(0);
        // The interface identifier of EUI-64: `fffe` in the middle, and the local bit inverted.
        let identifier = (number >> 24 << 40 | 0xff_fe00_0000 | number & 0xff_ffff) ^ 1 << 57;
        let ip = Ip::new(Version::V6, net.prefix.first().number + identifier);
        Ok(ip.map_or(Value::from(false), |ip| Value::from(text_of(ip))))
    }),
];

fn hardware(arguments: &Arguments) -> Outcome {
    let given = arguments.value(0);
    let query = arguments.text_or(1, "")?;
    let text = given.to_string();
    let Some(digits) = digits(&text) else {
        return match query.as_str() {
            "" | "bool" => Ok(none()),
            _ => Err(invalid(format!("not a hardware address: {text}"))),
        };
    };
    let upper = digits.to_uppercase();
    Ok(Value::from(match query.as_str() {
        "" => return Ok(given),
        "bool" => return Ok(Value::from(true)),
        "int" => return number(&digits),
        "bare" => upper,
        "cisco" => mac_groups(&digits, 4, "."),
        "eui48" | "win" => mac_groups(&upper, 2, "-"),
        "linux" => mac_groups(&digits, 2, ":"),
        "pgsql" | "postgresql" | "psql" => mac_groups(&digits, 6, ":"),
        "unix" => {
            let groups = mac_groups(&digits, 2, ":");
            let short: Vec<&str> = groups
                .split(':')
                .map(|group| group.strip_prefix('0').unwrap_or(group))
                .collect();
            short.join(":")
        }
        other => return Err(invalid(format!("unknown filter type: {other}"))),
    }))
}

fn number(digits: &str) -> Result<Value, Error> {
    u64::from_str_radix(digits, 16)
        .map(Value::from)
        .map_err(|error| invalid(error.to_string()))
}

/// The twelve digits of an address, in lower case: of six, three, two groups or one, with what is usual between them.
fn digits(text: &str) -> Option<String> {
    let separator = text.chars().find(|character| ":-.".contains(*character));
    let groups: Vec<&str> = match separator {
        Some(separator) => text.split(separator).collect(),
        None => vec![text],
    };
    let size = match (groups.len(), separator) {
        (6, Some(':' | '-')) => 2,
        (3, Some(_)) => 4,
        (2, Some(':' | '-')) => 6,
        (1, None) if text.len() == 12 => 12,
        _ => return None,
    };
    let valid = |group: &&str| {
        (1..=size).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    groups.iter().all(valid).then(|| {
        groups
            .iter()
            .map(|group| format!("{group:0>size$}").to_lowercase())
            .collect()
    })
}
