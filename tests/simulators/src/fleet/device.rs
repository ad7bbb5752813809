use std::fmt::Write as _;
use std::time::Duration;

use super::Behaviour;

/// A simulated device.
#[derive(Clone, Debug)]
pub struct Device {
    pub hostname: String,
    pub model: String,
    pub serial: String,
    pub system_mac: String,
    /// The EOS release.
    pub version: String,
    pub ports: Vec<Port>,
    pub behaviour: Behaviour,
    /// Time that each request takes.
    pub latency: Duration,
}

/// An Ethernet port.
#[derive(Clone, Debug)]
pub struct Port {
    pub name: String,
    pub description: String,
    pub vlan: u16,
    pub connected: bool,
    /// The device and port that LLDP sees.
    pub neighbor: Option<(String, String)>,
}

impl Device {
    /// The nth device of a fleet, counted from 1: `leaf00001` with four ports.
    pub fn numbered(n: u32) -> Self {
        let [_, high, middle, low] = n.to_be_bytes();
        let port = |number: u8| Port {
            name: format!("Ethernet{number}"),
            description: format!("server {number}"),
            vlan: 100 + u16::from(number),
            connected: number != 4,
            neighbor: (number == 1).then(|| ("spine1".to_owned(), format!("Ethernet{}", n % 64 + 1))),
        };
        Self {
            hostname: format!("leaf{n:05}"),
            model: "DCS-7050SX3-48YC8".to_owned(),
            serial: format!("SIM{n:08}"),
            system_mac: format!("00:1c:73:{high:02x}:{middle:02x}:{low:02x}"),
            version: "4.30.3M".to_owned(),
            ports: (1..=4).map(port).collect(),
            behaviour: Behaviour::Healthy,
            latency: Duration::ZERO,
        }
    }

    /// The same device with another behaviour.
    #[must_use]
    pub fn with(self, behaviour: Behaviour) -> Self {
        Self { behaviour, ..self }
    }

    /// The configuration that the device begins with, as `show running-config` prints it.
    pub fn running_configuration(&self) -> String {
        let mut text = format!(
            "! Command: show running-config\n! device: {} ({}, EOS-{})\n!\n! boot system flash:/EOS.swi\n!\nhostname {}\n!\n",
            self.hostname, self.model, self.version, self.hostname
        );
        for port in &self.ports {
            let (name, description, vlan) = (&port.name, &port.description, port.vlan);
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "interface {name}\n   description {description}\n   switchport access vlan {vlan}\n!\n"
            );
        }
        text.push_str("management api http-commands\n   no shutdown\n!\nend\n");
        text
    }
}
