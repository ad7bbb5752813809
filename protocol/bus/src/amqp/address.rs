//! Parses the broker's address. Errors never contain the password.

use std::time::Duration;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};

/// Parses `amqp://user:password@host:port/vhost?heartbeat=10`.
///
/// Not lapin's parser, since some of its errors contain the address with the password, it takes an IPv6 address for
/// `localhost`, and it takes an address that ends in `/` for a virtual host with an empty name.
///
/// # Errors
/// What is wrong, without any part of the address that might be the password.
pub(super) fn parse(text: &str) -> Result<AMQPUri, String> {
    let (scheme, rest) = text
        .split_once("://")
        .ok_or("it must look like amqp://user:password@host:port/vhost")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "amqp" => AMQPScheme::AMQP,
        "amqps" => AMQPScheme::AMQPS,
        _ => return Err("it must begin with amqp:// or amqps://".to_owned()),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, vhost) = rest.split_once('/').unwrap_or((rest, ""));
    if vhost.contains(['@', '/']) || query.contains('@') || text.contains('#') {
        return Err(
            "`/`, `?`, `#` and `@` in user, password or virtual host must be written %2F, %3F, %23 and %40"
                .to_owned(),
        );
    }
    let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, port) = place_of(place, scheme.default_port())?;
    Ok(AMQPUri {
        scheme,
        authority: AMQPAuthority {
            userinfo: login_of(login)?,
            host,
            port,
        },
        vhost: match decode(vhost, "virtual host")? {
            empty if empty.is_empty() => "/".to_owned(),
            named => named,
        },
        query: query_of(query)?,
    })
}

/// User and password; RabbitMQ's default user `guest` if the address has none.
fn login_of(login: &str) -> Result<AMQPUserInfo, String> {
    if login.is_empty() {
        return Ok(AMQPUserInfo {
            username: "guest".to_owned(),
            password: "guest".to_owned(),
        });
    }
    let (username, password) = login.split_once(':').unwrap_or((login, ""));
    Ok(AMQPUserInfo {
        username: decode(username, "user")?,
        password: decode(password, "password")?,
    })
}

fn place_of(place: &str, default_port: u16) -> Result<(String, u16), String> {
    let (host, port) = match place.strip_prefix('[').map(|inner| inner.split_once(']')) {
        Some(Some((host, rest))) => (host, rest.strip_prefix(':')),
        Some(None) => return Err("the IPv6 address has no closing bracket".to_owned()),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.is_empty() {
        return Err("the host is missing".to_owned());
    }
    // The error does not quote the text: with a `/` in the password it is the beginning of the password.
    let port = match port {
        Some(port) => port
            .parse()
            .map_err(|_| "the port is not a number below 65536".to_owned())?,
        None => default_port,
    };
    Ok((host.to_owned(), port))
}

/// The parameters that lapin knows, except for the authentication mechanism: Lockstep uses user and password.
fn query_of(query: &str) -> Result<AMQPQueryString, String> {
    let mut known = AMQPQueryString::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let number = |name: &str| format!("`{name}` is not a number in its range");
        match key {
            "heartbeat" => known.heartbeat = Some(value.parse().map_err(|_| number(key))?),
            "connection_timeout" => known.connection_timeout = Some(value.parse().map_err(|_| number(key))?),
            "frame_max" => known.frame_max = Some(value.parse().map_err(|_| number(key))?),
            "channel_max" => known.channel_max = Some(value.parse().map_err(|_| number(key))?),
            _ => {
                return Err(
                    "unknown parameter after `?`; expected heartbeat, connection_timeout, frame_max or channel_max"
                        .to_owned(),
                );
            }
        }
    }
    Ok(known)
}

/// The heartbeat in whole seconds, within the range of AMQP's 16-bit field.
pub(super) fn heartbeat_seconds(heartbeat: Duration) -> u16 {
    u16::try_from(heartbeat.as_secs().max(1)).unwrap_or(u16::MAX)
}

fn decode(text: &str, what: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let digits = tail.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or_else(|| format!("`%` in the {what} must be written %25"))?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| format!("the {what} is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_into_its_parts() {
        let table = [
            ("amqp://rabbit", "guest", "guest", "rabbit", 5672, "/"),
            ("amqp://rabbit/", "guest", "guest", "rabbit", 5672, "/"),
            ("amqps://u:p@rabbit/x", "u", "p", "rabbit", 5671, "x"),
            ("AMQP://u:p@[::1]:1234/%2F", "u", "p", "::1", 1234, "/"),
            ("amqp://u@[fe80::1]", "u", "", "fe80::1", 5672, "/"),
            (
                "amqp://a%40b:p%2Fw%25@127.0.0.1:1/v%20h",
                "a@b",
                "p/w%",
                "127.0.0.1",
                1,
                "v h",
            ),
            ("amqp://u:p@ss:w@rabbit", "u", "p@ss:w", "rabbit", 5672, "/"),
        ];
        for (text, user, password, host, port, vhost) in table {
            let uri = parse(text).expect(text);
            assert_eq!(uri.authority.userinfo.username, user, "{text}");
            assert_eq!(uri.authority.userinfo.password, password, "{text}");
            assert_eq!(uri.authority.host, host, "{text}");
            assert_eq!(uri.authority.port, port, "{text}");
            assert_eq!(uri.vhost, vhost, "{text}");
        }
        let query = parse("amqp://r?heartbeat=5&connection_timeout=100")
            .unwrap()
            .query;
        assert_eq!((query.heartbeat, query.connection_timeout), (Some(5), Some(100)));
    }

    #[test]
    fn errors_never_contain_the_password() {
        let table = [
            "u:hunter2@rabbit",
            "http://u:hunter2@rabbit",
            "amqp://u:hunter2/x@rabbit",
            "amqp://u:1/hunter2@rabbit",
            "amqp://u:x?hunter2@rabbit",
            "amqp://u:hunter2#@rabbit",
            "amqp://u:hunter2%zz@rabbit",
            "amqp://u:hunter2%ff@rabbit",
            "amqp://u:hunter2@",
            "amqp://u:hunter2@rabbit:port",
            "amqp://u:hunter2@[::1",
            "amqp://u:hunter2@rabbit?heartbeat=often",
            "amqp://u:hunter2@rabbit?password=hunter2",
        ];
        for text in table {
            let error = parse(text).expect_err(text);
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
