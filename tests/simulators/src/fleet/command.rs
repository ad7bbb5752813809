//! What a device answers to each command, in both formats.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Device;

/// The format of the answers of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Text,
}

/// Why a command failed, with the code of eAPI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: i32,
    pub(crate) reason: &'static str,
    pub(crate) errors: Vec<String>,
}

impl Failure {
    fn invalid(error: String) -> Self {
        Self {
            code: 1002,
            reason: "invalid command",
            errors: vec![error],
        }
    }

    fn unconverted() -> Self {
        Self {
            code: 1003,
            reason: "unconverted command",
            errors: vec!["Command cannot be used over the API at this time. To see ASCII output, set format='text' in your request".to_owned()],
        }
    }
}

/// The state of one request: whether `enable` preceded.
#[derive(Debug, Default)]
pub(crate) struct Mode {
    privileged: bool,
}

impl Mode {
    /// Runs a command. `input` is what the command asks for: the password of `enable`.
    pub(crate) fn run(
        &mut self,
        device: &Device,
        enable_password: Option<&str>,
        command: &str,
        input: &str,
        format: Format,
    ) -> Result<Value, Failure> {
        let words: Vec<&str> = command.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["enable"] => {
                if enable_password.is_some_and(|password| password != input) {
                    return Err(Failure {
                        code: 1000,
                        reason: "could not run command",
                        errors: vec!["Bad secret".to_owned()],
                    });
                }
                self.privileged = true;
                return Ok(match format {
                    Format::Json => json!({}),
                    Format::Text => json!({"output": ""}),
                });
            }
            ["show", "version"] => version(device),
            ["show", "hostname"] => hostname(device),
            ["show", "interfaces", "status"] => interfaces_status(device),
            ["show", "lldp", "neighbors"] => lldp_neighbors(device),
            ["show", "running-config" | "startup-config", ..] if !self.privileged => {
                return Err(Failure::invalid(
                    "Invalid input (privileged mode required)".to_owned(),
                ));
            }
            ["show", "running-config" | "startup-config"] | ["show", "running-config", "all"] => {
                configuration(device)
            }
            ["show", "tech-support"] => Answer {
                json: None,
                text: format!(
                    "------------- show version -------------\n\n{}",
                    version(device).text
                ),
            },
            ["show", word, ..] => {
                return Err(Failure::invalid(format!("Invalid input (at token 1: '{word}')")));
            }
            _ => {
                let word = words.first().copied().unwrap_or_default();
                return Err(Failure::invalid(format!("Invalid input (at token 0: '{word}')")));
            }
        };
        match format {
            Format::Text => Ok(json!({"output": answer.text})),
            Format::Json => answer.json.ok_or_else(Failure::unconverted),
        }
    }
}

/// The output of a command. Some have none in JSON.
struct Answer {
    json: Option<Value>,
    text: String,
}

fn version(device: &Device) -> Answer {
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
            "imageOptimization": "Default", "bootupTimestamp": 1_700_000_000.0, "uptime": 86400.0,
            "memTotal": 8_099_732, "memFree": 5_821_664, "isIntlVersion": false,
        })),
        text: format!(
            "Arista {model}\nHardware version: 11.03\nSerial number: {serial}\nHardware MAC address: {system_mac}\n\
             System MAC address: {system_mac}\n\nSoftware image version: {version}\nArchitecture: x86_64\n\n\
             Uptime: 1 day\nTotal memory: 8099732 kB\nFree memory: 5821664 kB\n\n"
        ),
    }
}

fn hostname(device: &Device) -> Answer {
    let name = &device.hostname;
    Answer {
        json: Some(json!({"hostname": name, "fqdn": name})),
        text: format!("Hostname: {name}\nFQDN:     {name}\n"),
    }
}

fn interfaces_status(device: &Device) -> Answer {
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

fn lldp_neighbors(device: &Device) -> Answer {
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

fn configuration(device: &Device) -> Answer {
    let text = device.running_configuration();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('!') && *line != "end")
        .collect();
    Answer {
        json: Some(json!({
            "header": [format!("! device: {} ({}, EOS-{})\n!", device.hostname, device.model, device.version)],
            "comments": [],
            "cmds": commands(&lines),
        })),
        text,
    }
}

/// Configuration lines as EOS nests them: what is indented belongs to the line above. Two levels are enough here.
fn commands(lines: &[&str]) -> Value {
    let mut tree = Map::new();
    let mut at = 0;
    while at < lines.len() {
        let inner = lines[at + 1..]
            .iter()
            .take_while(|line| line.starts_with(' '))
            .count();
        let inside: Map<String, Value> = lines[at + 1..=at + inner]
            .iter()
            .map(|line| (line.trim().to_owned(), Value::Null))
            .collect();
        let value = if inside.is_empty() {
            Value::Null
        } else {
            json!({"comments": [], "cmds": inside})
        };
        tree.insert(lines[at].to_owned(), value);
        at += inner + 1;
    }
    Value::Object(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(commands: &[&str], format: Format) -> Result<Value, Failure> {
        let mut mode = Mode::default();
        let device = Device::numbered(7);
        let mut last = Ok(Value::Null);
        for command in commands {
            last = mode.run(&device, None, command, "", format);
        }
        last
    }

    #[test]
    fn every_command_answers_in_the_format_that_was_asked_for() {
        for command in [
            "enable",
            "show version",
            "show hostname",
            "show interfaces status",
            "show lldp neighbors",
            "show running-config",
            "show running-config all",
            "show startup-config",
            "show  version ",
        ] {
            assert!(
                run(&["enable", command], Format::Json).unwrap().is_object(),
                "{command}"
            );
            assert!(
                run(&["enable", command], Format::Text).unwrap()["output"].is_string(),
                "{command}"
            );
        }
    }

    #[test]
    fn failures_have_the_codes_of_eapi() {
        for (command, format, code) in [
            ("show nothing", Format::Json, 1002),
            ("reload now", Format::Json, 1002),
            ("", Format::Json, 1002),
            ("show running-config", Format::Text, 1002),
            ("show tech-support", Format::Json, 1003),
        ] {
            assert_eq!(run(&[command], format).unwrap_err().code, code, "{command}");
        }
        assert!(run(&["show tech-support"], Format::Text).is_ok());
        let mut mode = Mode::default();
        let wrong = mode.run(
            &Device::numbered(1),
            Some("secret"),
            "enable",
            "guess",
            Format::Json,
        );
        assert_eq!(wrong.unwrap_err().errors, ["Bad secret"]);
    }

    #[test]
    fn the_configuration_is_nested_in_json() {
        let tree = run(&["enable", "show running-config"], Format::Json).unwrap();
        assert_eq!(tree["cmds"]["hostname leaf00007"], Value::Null);
        let inside = &tree["cmds"]["interface Ethernet2"]["cmds"];
        assert!(
            inside
                .as_object()
                .unwrap()
                .contains_key("switchport access vlan 102")
        );
    }
}
