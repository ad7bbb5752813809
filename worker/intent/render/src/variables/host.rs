use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};

use crate::DeviceFacts;
use crate::json::of_json;

/// The attributes of a host.
const ATTRIBUTES: &[&str] = &["name", "hostname", "platform", "groups", "data"];

/// The device as Nornir's host: it prints its name and has attributes.
#[derive(Debug)]
struct Host {
    name: String,
    /// Its management address, else its management host, as in an inventory of Nornir.
    hostname: Value,
    platform: Value,
    groups: Value,
    data: Value,
}

pub(super) fn host(device: &DeviceFacts, groups: Value) -> Value {
    let address = device.management_ip.map(|address| address.to_string());
    let host = device
        .data
        .get("management_host")
        .and_then(serde_json::Value::as_str);
    let address = address.or_else(|| host.map(str::to_owned));
    Value::from_object(Host {
        name: device.hostname.to_string(),
        hostname: address.into(),
        platform: device.platform.as_deref().into(),
        groups,
        data: of_json(&device.data),
    })
}

impl Object for Host {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "name" => Some(self.name.as_str().into()),
            "hostname" => Some(self.hostname.clone()),
            "platform" => Some(self.platform.clone()),
            "groups" => Some(self.groups.clone()),
            "data" => Some(self.data.clone()),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(ATTRIBUTES)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
