//! Which keys of an inventory are secrets. Pure.

use serde_json::{Map, Value};

/// Parts of the names of keys whose values are secrets, in lower case and without separators.
const PARTS: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "privatekey",
    "credential",
    "community",
    "pkey",
];

/// Whether the value of this key is a secret.
pub(super) fn is_secret(key: &str) -> bool {
    let plain: String = key
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|character| character.to_ascii_lowercase())
        .collect();
    PARTS.iter().any(|part| plain.contains(part))
}

/// Takes the secrets out of a map and of what is in it. Returns their paths; `place` is that of the map.
pub(super) fn take(map: &mut Map<String, Value>, place: &str) -> Vec<String> {
    let mut taken = Vec::new();
    map.retain(|key, value| {
        let is_taken = is_secret(key);
        // One that is not set is none.
        if is_taken && !value.is_null() {
            taken.push(format!("{place}.{key}"));
        }
        !is_taken
    });
    for (key, value) in map {
        take_within(value, &format!("{place}.{key}"), &mut taken);
    }
    taken
}

fn take_within(value: &mut Value, place: &str, taken: &mut Vec<String>) {
    match value {
        Value::Object(map) => taken.extend(take(map, place)),
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                take_within(item, &format!("{place}[{index}]"), taken);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_found_by_their_names() {
        for key in [
            "password",
            "secret",
            "enable_password",
            "auth_password",
            "key_passphrase",
            "auth_private_key_passphrase",
            "API-Key",
            "apiToken",
            "snmp_community",
            "pkey",
        ] {
            assert!(is_secret(key), "{key}");
        }
        for key in [
            "username",
            "port",
            "key_file",
            "ssh_config_file",
            "transport",
            "hostkey_verify",
        ] {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn secrets_are_taken_wherever_they_are() {
        let mut extras = json!({
            "secret": "s", "token": null, "timeout": 9,
            "optional_args": {"secret": "s", "port": 8443, "list": [{"password": "p", "a": 1}]},
        });
        let taken = take(extras.as_object_mut().unwrap(), "extras");
        assert_eq!(
            extras,
            json!({"timeout": 9, "optional_args": {"port": 8443, "list": [{"a": 1}]}})
        );
        assert_eq!(
            taken,
            [
                "extras.secret",
                "extras.optional_args.secret",
                "extras.optional_args.list[0].password"
            ]
        );
    }
}
