//! What a device shows of itself, in both formats.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Device, configuration, duration};

/// The output of a command. Some have none in JSON.
pub(super) struct Answer {
    pub(super) json: Option<Value>,
    pub(super) text: String,
}

impl Answer {
    /// The answer of a command that only acts.
    pub(super) fn nothing() -> Self {
        Self {
            json: Some(json!({})),
            text: String::new(),
        }
    }

    pub(super) fn message(message: &str) -> Self {
        Self {
            json: Some(json!({"messages": [message]})),
            text: format!("{message}\n"),
        }
    }
}

/// How long a device runs when the simulator starts.
const INITIAL_UPTIME: Duration = Duration::from_hours(24);

/// How long a device runs at a time; both times are counted from the start of the simulator.
pub(super) fn uptime(restarted: Option<Duration>, at: Duration) -> Duration {
    match restarted {
        None => INITIAL_UPTIME + at,
        Some(restarted) => at.saturating_sub(restarted),
    }
}

pub(super) fn version(device: &Device, uptime: Duration, booted: f64) -> Answer {
    let Device {
        model,
        serial,
        system_mac,
        version,
        ..
    } = device;
    Answer {
        json: Some(json!({
            "mfgName": "Arista", "modelName": model, "hardwareRevision": "11.03", "serialNumber": serial,
            "systemMacAddress": system_mac, "hwMacAddress": system_mac, "configMacAddress": "00:00:00:00:00:00",
            "version": version, "architecture": "x86_64", "internalVersion": format!("{version}-33434233.4303M"),
            "internalBuildId": "00000000-0000-0000-0000-000000000000", "imageFormatVersion": "3.0",
            "imageOptimization": "Default", "bootupTimestamp": booted, "uptime": uptime.as_secs_f64(),
            "memTotal": 8_099_732, "memFree": 5_821_664, "isIntlVersion": false,
        })),
        text: format!(
            "Arista {model}\nHardware version: 11.03\nSerial number: {serial}\nHardware MAC address: {system_mac}\n\
             System MAC address: {system_mac}\n\nSoftware image version: {version}\nArchitecture: x86_64\n\n\
             Uptime: {}\nTotal memory: 8099732 kB\nFree memory: 5821664 kB\n\n",
            duration::show(uptime)
        ),
    }
}

pub(super) fn hostname(name: &str) -> Answer {
    Answer {
        json: Some(json!({"hostname": name, "fqdn": name})),
        text: format!("Hostname: {name}\nFQDN:     {name}\n"),
    }
}

pub(super) fn interfaces(device: &Device, changed: f64) -> Answer {
    let mut interfaces = Map::new();
    let mut text = String::new();
    for port in &device.ports {
        let (line, status) = if port.connected {
            ("up", "connected")
        } else {
            ("down", "notconnect")
        };
        interfaces.insert(
            port.name.clone(),
            json!({
                "name": port.name, "description": port.description, "hardware": "ethernet", "mtu": 9214,
                "lineProtocolStatus": line, "interfaceStatus": status, "bandwidth": 10_000_000_000_u64,
                "forwardingModel": "bridged", "physicalAddress": device.system_mac, "interfaceAddress": [],
                "lastStatusChangeTimestamp": changed,
            }),
        );
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} is {line}, line protocol is {line} ({status})\n  Hardware is Ethernet, address is {}\n  Description: {}",
            port.name, device.system_mac, port.description
        );
    }
    Answer {
        json: Some(json!({"interfaces": interfaces})),
        text,
    }
}

pub(super) fn interfaces_status(device: &Device) -> Answer {
    let mut statuses = Map::new();
    let mut text = "Port       Name               Status       Vlan     Duplex Speed  Type         Flags Encapsulation\n".to_owned();
    for port in &device.ports {
        let status = if port.connected { "connected" } else { "notconnect" };
        statuses.insert(
            port.name.clone(),
            json!({
                "description": port.description, "linkStatus": status,
                "lineProtocolStatus": if port.connected { "up" } else { "down" },
                "bandwidth": 10_000_000_000_u64, "duplex": "duplexFull", "autoNegotiateActive": false,
                "interfaceType": "10GBASE-SR",
                "vlanInformation": {
                    "interfaceMode": "bridged", "vlanId": port.vlan, "interfaceForwardingModel": "bridged",
                },
            }),
        );
        let short = port.name.replace("Ethernet", "Et");
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{short:<10} {:<18} {status:<12} {:<8} full   10G    10GBASE-SR",
            port.description, port.vlan
        );
    }
    Answer {
        json: Some(json!({"interfaceStatuses": statuses})),
        text,
    }
}

pub(super) fn lldp_neighbors(device: &Device) -> Answer {
    let mut rows = Vec::new();
    let mut text = "Port          Neighbor Device ID       Neighbor Port ID    TTL\n------------- ------------------------ ------------------- ---\n".to_owned();
    for port in &device.ports {
        let Some((neighbor, neighbor_port)) = &port.neighbor else {
            continue;
        };
        rows.push(json!({
            "port": port.name, "neighborDevice": neighbor, "neighborPort": neighbor_port, "ttl": 120,
        }));
        let short = port.name.replace("Ethernet", "Et");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{short:<13} {neighbor:<24} {neighbor_port:<19} 120");
    }
    let count = rows.len();
    Answer {
        json: Some(json!({
            "tablesLastChangeTime": 1_700_000_000.0, "tablesAgeOuts": 0, "tablesInserts": count,
            "tablesDeletes": 0, "tablesDrops": 0, "lldpNeighbors": rows,
        })),
        text,
    }
}

/// A configuration, with the lines before and after it. `command` is what shows it.
pub(super) fn configuration(device: &Device, hostname: &str, command: &str, text: &str) -> Answer {
    let Device { model, version, .. } = device;
    Answer {
        json: Some(json!({
            "header": [format!("! device: {hostname} ({model}, EOS-{version})\n!")],
            "comments": [],
            "cmds": configuration::json(&configuration::read(text)),
        })),
        text: format!(
            "! Command: show {command}\n! device: {hostname} ({model}, EOS-{version})\n!\n\
             ! boot system flash:/EOS.swi\n!\n{text}end\n"
        ),
    }
}
