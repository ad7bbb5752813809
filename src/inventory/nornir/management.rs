//! Where workers reach a host, by what its inventory says about connections. Pure.

use std::net::IpAddr;

use lockstep_device::DeviceAddress;
use serde_json::Value;

use super::element::ConnectionOptions;
use super::resolution::Host;

/// The connections that use eAPI; the first one that says something counts.
const CONNECTIONS: [&str; 3] = ["eapi", "pyeapi", "napalm"];

/// Where a host is reached.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Management {
    pub(super) ip: Option<IpAddr>,
    /// A name that is not that of the device.
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
}

impl Management {
    /// The address is that of a connection that uses eAPI, else `hostname`. The port is only that of such a connection: `port` by itself is
    /// that of all connections, which is that of SSH as a rule.
    ///
    /// # Errors
    /// The address is none.
    pub(super) fn of(host: &Host) -> Result<Self, String> {
        let options = || CONNECTIONS.into_iter().filter_map(|name| used(host, name));
        let address = options().find_map(|options| options.hostname.as_deref());
        let address = address
            .or(host.hostname.as_deref())
            .filter(|text| !text.is_empty());
        let port = options().find_map(port).filter(|port| *port > 0);
        let Some(address) = address else {
            return Ok(Self {
                port,
                ..Self::default()
            });
        };
        if let Ok(ip) = address.parse() {
            return Ok(Self {
                ip: Some(ip),
                port,
                ..Self::default()
            });
        }
        let is_host = address
            .parse::<DeviceAddress>()
            .is_ok_and(|parsed| parsed.port_or(0) == 0);
        if !is_host {
            return Err(format!(
                "hostname: {address:?} is neither a host name nor an IP address; the port belongs into connection_options.eapi.port"
            ));
        }
        Ok(Self {
            host: Some(address.to_owned()).filter(|address| !address.eq_ignore_ascii_case(&host.name)),
            port,
            ..Self::default()
        })
    }
}

/// The options of a connection, if it uses eAPI. NAPALM does so for EOS.
fn used<'a>(host: &'a Host, connection: &str) -> Option<&'a ConnectionOptions> {
    let options = host.options.get(connection)?;
    let platform = options.platform.as_ref().or(host.platform.as_ref());
    let is_used = connection != "napalm" || platform.is_some_and(|platform| platform == "eos");
    is_used.then_some(options)
}

/// As nornir-napalm, the port of the optional arguments before that of the options.
fn port(options: &ConnectionOptions) -> Option<u16> {
    let arguments = options
        .extras
        .as_ref()
        .and_then(|extras| extras.get("optional_args"));
    let port = arguments.and_then(|arguments| arguments.get("port"));
    let port = port
        .and_then(Value::as_u64)
        .and_then(|port| u16::try_from(port).ok());
    port.or(options.port)
}
