//! A host, a group or the defaults as the files have them, without their secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::secrets;

/// The keys of an element.
const KEYS: [&str; 8] = [
    "hostname",
    "port",
    "username",
    "password",
    "platform",
    "groups",
    "data",
    "connection_options",
];

/// A host, a group or the defaults. `None` is not set; an empty text and zero are set.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Element {
    pub(super) hostname: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) username: Option<String>,
    pub(super) platform: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) groups: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) data: Map<String, Value>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) connection_options: BTreeMap<String, Option<ConnectionOptions>>,
}

/// The options of connections of one kind, such as `napalm`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ConnectionOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extras: Option<Map<String, Value>>,
}

/// What an element has that deserves a warning.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Remarks {
    /// The paths of secrets that were taken out.
    pub(super) secrets: Vec<String>,
    /// Keys of `data` that seem to be secrets, and stay.
    pub(super) doubtful: Vec<String>,
    /// Keys that elements do not have.
    pub(super) unknown: Vec<String>,
}

/// Reads an element; without a body it is an empty one. An error begins with the path.
pub(super) fn read(value: Value) -> Result<(Element, Remarks), String> {
    let mut remarks = Remarks::default();
    let mut fields = match value {
        Value::Null => Map::new(),
        Value::Object(fields) => fields,
        _ => return Err(format!("must be a map with keys such as {}", KEYS.join(", "))),
    };
    let unknown = fields.keys().filter(|key| !KEYS.contains(&key.as_str()));
    remarks.unknown.extend(unknown.cloned());
    take_password(&mut fields, "", &mut remarks);
    if let Some(Value::Object(connections)) = fields.get_mut("connection_options") {
        for (name, options) in connections {
            let Value::Object(options) = options else { continue };
            let place = format!("connection_options.{name}.");
            take_password(options, &place, &mut remarks);
            if let Some(Value::Object(extras)) = options.get_mut("extras") {
                let taken = secrets::take(extras, &format!("{place}extras"));
                remarks.secrets.extend(taken);
            }
        }
    }
    if let Some(Value::Object(data)) = fields.get("data") {
        let doubtful = data.keys().filter(|key| secrets::is_secret(key));
        remarks.doubtful.extend(doubtful.cloned());
    }
    if let Some(Value::Array(groups)) = fields.get_mut("groups") {
        for group in groups.iter_mut().filter(|group| group.is_i64() || group.is_u64()) {
            *group = group.to_string().into();
        }
    }
    let element = serde_path_to_error::deserialize(Value::Object(fields));
    let element = element.map_err(|error| format!("{}: {}", error.path(), error.inner()))?;
    Ok((element, remarks))
}

fn take_password(fields: &mut Map<String, Value>, place: &str, remarks: &mut Remarks) {
    if fields
        .remove("password")
        .is_some_and(|password| !password.is_null())
    {
        remarks.secrets.push(format!("{place}password"));
    }
}

/// Null is the same as absent.
fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_element_keeps_all_but_its_secrets() {
        let value = json!({
            "hostname": "h", "port": 22, "username": "u", "password": "p0", "platform": "", "groups": ["a", 7], "site": "lund",
            "data": {"snmp_community": "c", "x": 1},
            "connection_options": {
                "napalm": {"port": 0, "password": "p1", "extras": {"optional_args": {"secret": "p2", "transport": "https"}}},
                "netmiko": null,
            },
        });
        let (element, remarks) = read(value).unwrap();
        assert_eq!((element.hostname.as_deref(), element.port), (Some("h"), Some(22)));
        assert_eq!(element.platform.as_deref(), Some(""), "an empty text is set");
        assert_eq!(element.groups, ["a", "7"]);
        let napalm = element.connection_options["napalm"].as_ref();
        assert_eq!(
            json!(napalm),
            json!({"port": 0, "extras": {"optional_args": {"transport": "https"}}})
        );
        let expected = Remarks {
            secrets: vec![
                "password".to_owned(),
                "connection_options.napalm.password".to_owned(),
                "connection_options.napalm.extras.optional_args.secret".to_owned(),
            ],
            doubtful: vec!["snmp_community".to_owned()],
            unknown: vec!["site".to_owned()],
        };
        assert_eq!(remarks, expected);
    }

    #[test]
    fn null_is_not_set() {
        let empty = json!({"hostname": null, "password": null, "groups": null, "data": null, "connection_options": null});
        for value in [json!(null), json!({}), empty] {
            let (element, remarks) = read(value).unwrap();
            assert_eq!((element.hostname, element.groups.len()), (None, 0));
            assert_eq!(remarks, Remarks::default());
        }
    }

    #[test]
    fn a_wrong_type_is_named_with_its_path() {
        let table = [
            (json!(7), "must be a map with keys such as hostname"),
            (
                json!({"hostname": 7}),
                "hostname: invalid type: integer `7`, expected a string",
            ),
            (json!({"port": "ssh"}), "port: invalid type: string \"ssh\""),
            (json!({"port": 65536}), "port: invalid value: integer `65536`"),
            (json!({"groups": "a"}), "groups: invalid type: string \"a\""),
            (json!({"groups": [["a"]]}), "groups[0]: invalid type"),
            (json!({"data": []}), "data: invalid type: sequence"),
            (
                json!({"connection_options": {"napalm": {"extras": 7}}}),
                "connection_options.napalm.extras: invalid type",
            ),
        ];
        for (value, expected) in table {
            let problem = read(value.clone()).unwrap_err();
            assert!(problem.starts_with(expected), "{value}: {problem}");
        }
    }
}
