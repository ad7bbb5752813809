use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::str::FromStr;

use thiserror::Error;

/// Where a device is reached: a host name or an IP address, and a port if it is not the usual one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeviceAddress {
    host: String,
    port: Option<u16>,
}

/// The text is not the address of a device.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not the address of a device; write a host name or an IP address, such as sw1.example.org, 192.0.2.7:8443 or [2001:db8::7]:8443"
)]
pub struct AddressError(String);

impl DeviceAddress {
    /// The address of a device on the usual port of its protocol.
    pub fn of_ip(ip: IpAddr) -> Self {
        Self {
            host: ip.to_string(),
            port: None,
        }
    }

    /// The same host on this port.
    #[must_use]
    pub fn on_port(self, port: NonZeroU16) -> Self {
        Self {
            port: Some(port.get()),
            ..self
        }
    }

    /// The host: a name or an IP address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if the address has one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The port, or `usual` if the address has none.
    pub fn port_or(&self, usual: u16) -> u16 {
        self.port.unwrap_or(usual)
    }

    /// The host as URLs have it: IPv6 addresses in brackets.
    pub(crate) fn url_host(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }
}

impl FromStr for DeviceAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.to_owned());
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::of_ip(ip));
        }
        let (host, port) = match text.rsplit_once(':') {
            // The colon belongs to an IPv6 address without a port.
            Some(_) if text.ends_with(']') => (text, None),
            Some((host, port)) => {
                let port = port.parse().ok().filter(|port| *port > 0);
                (host, Some(port.ok_or_else(error)?))
            }
            None => (text, None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => is_name(host),
        };
        if !is_host {
            return Err(error());
        }
        Ok(Self {
            host: bare.unwrap_or(host).to_owned(),
            port,
        })
    }
}

/// Whether the text is a host name: labels of letters, digits, hyphens and underscores.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

impl fmt::Display for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.url_host()),
            None => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_with_an_optional_port() {
        let table = [
            ("sw1", Some("sw1")),
            ("sw_1.example.org:8443", Some("sw_1.example.org:8443")),
            ("192.0.2.7", Some("192.0.2.7")),
            ("192.0.2.7:443", Some("192.0.2.7:443")),
            ("2001:db8::7", Some("2001:db8::7")),
            ("[2001:db8::7]", Some("2001:db8::7")),
            ("[2001:db8::7]:443", Some("[2001:db8::7]:443")),
            ("", None),
            ("sw1:", None),
            ("sw1:0", None),
            ("sw1:65536", None),
            ("sw1/x", None),
            ("user@sw1", None),
            ("sw..1", None),
            ("[sw1]", None),
        ];
        for (text, expected) in table {
            let address: Result<DeviceAddress, AddressError> = text.parse();
            assert_eq!(
                address.as_ref().ok().map(ToString::to_string).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn the_usual_port_stands_in() {
        assert_eq!("sw1".parse::<DeviceAddress>().unwrap().port_or(443), 443);
        assert_eq!("[::1]:8443".parse::<DeviceAddress>().unwrap().port_or(443), 8443);
        assert_eq!("[::1]:8443".parse::<DeviceAddress>().unwrap().url_host(), "[::1]");
    }
}
