//! The variables of a template: the settings of a device, and over them what is known about the device.

mod access;
mod fabric;
mod host;
mod index;
mod range;
mod secrets;
mod vlans;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use lockstep_protocol::{DeviceType, GroupName, Hostname};
use minijinja::Value;
use thiserror::Error;

use crate::json::of_json;
use crate::settings::{DeviceSettings, Origin, SettingsSet};
use crate::{DeviceFacts, PeerFacts};

pub use secrets::TemplateSecrets;

/// The variables of a device cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{hostname}: {reason}")]
pub struct VariablesError {
    /// The device.
    pub hostname: Hostname,
    /// What is missing, and what to do.
    pub reason: String,
}

/// The variables of a device.
#[derive(Clone, Debug)]
pub struct Variables {
    values: BTreeMap<Arc<str>, (Value, VariableOrigin)>,
}

/// Where a variable comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableOrigin {
    /// A key of the settings.
    Settings(Origin),
    /// What is known about the device.
    Device,
    /// A secret; its value must not be shown.
    Secret,
    /// Values that were laid over all others.
    Overlay,
}

/// What is laid over all variables, by name. With it, what the device lacks is left out instead of being an error.
pub type Overlay = Vec<(Value, Value)>;

impl Variables {
    /// The variables of a device.
    ///
    /// # Errors
    /// If something is missing that its templates need.
    pub fn new(
        device: &DeviceFacts,
        set: &SettingsSet,
        settings: &DeviceSettings,
        groups: &[GroupName],
        secrets: &TemplateSecrets,
        overlay: Option<&Overlay>,
    ) -> Result<Self, VariablesError> {
        let of_settings = settings.iter().map(|(key, value, origin)| {
            (
                key.clone(),
                (value.clone(), VariableOrigin::Settings(origin.clone())),
            )
        });
        let mut builder = Builder {
            device,
            set,
            settings,
            values: of_settings.collect(),
            is_complete: overlay.is_none(),
        };
        builder.add_common(groups)?;
        if device.device_type == DeviceType::ACCESS {
            access::add(&mut builder)?;
        } else if set.rule(&device.device_type).is_some_and(|rule| rule.fabric) {
            fabric::add(&mut builder)?;
        }
        let mut values = builder.values;
        for (name, value) in secrets.variables() {
            values.insert(name, (value, VariableOrigin::Secret));
        }
        for (key, value) in overlay.into_iter().flatten() {
            let name = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            values.insert(name.into(), (value.clone(), VariableOrigin::Overlay));
        }
        Ok(Self { values })
    }

    /// All of them as one map, as templates take them.
    pub fn value(&self) -> Value {
        Value::from_pairs(
            self.values
                .iter()
                .map(|(key, (value, _))| (Value::from(key.clone()), value.clone())),
        )
    }

    /// The names, values and origins, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value, &VariableOrigin)> {
        self.values
            .iter()
            .map(|(key, (value, origin))| (&**key, value, origin))
    }
}

/// Variables that are being made.
struct Builder<'a> {
    device: &'a DeviceFacts,
    set: &'a SettingsSet,
    settings: &'a DeviceSettings,
    values: BTreeMap<Arc<str>, (Value, VariableOrigin)>,
    /// Whether what is missing is an error.
    is_complete: bool,
}

impl Builder<'_> {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.values
            .insert(name.into(), (value.into(), VariableOrigin::Device));
    }

    fn error(&self, reason: String) -> VariablesError {
        VariablesError {
            hostname: self.device.hostname.clone(),
            reason,
        }
    }

    /// Something is missing: an error unless other variables are laid over these.
    fn missing(&self, reason: String) -> Result<(), VariablesError> {
        if self.is_complete {
            Err(self.error(reason))
        } else {
            Ok(())
        }
    }

    /// An address in the device's data.
    fn address(&self, key: &str) -> Result<Option<IpAddr>, VariablesError> {
        match self.device.data.get(key) {
            None | Some(serde_json::Value::Null) => Ok(None),
            Some(value) => {
                let address = value.as_str().and_then(|text| text.parse().ok());
                let wrong = || self.error(format!("its {key} is {value}, must be an IP address"));
                address.ok_or_else(wrong).map(Some)
            }
        }
    }

    /// Whether a peer is a device of the fabric.
    fn is_fabric(&self, peer: &PeerFacts) -> bool {
        self.set.rule(&peer.device_type).is_some_and(|rule| rule.fabric)
    }

    fn add_common(&mut self, groups: &[GroupName]) -> Result<(), VariablesError> {
        let device = self.device;
        if device.device_type == DeviceType::UNKNOWN {
            return Err(self.error("its type is UNKNOWN; give it a type".to_owned()));
        }
        if device.management_ip.is_none() {
            self.missing("it has no management address; import it".to_owned())?;
        }
        let groups: Value = groups.iter().map(GroupName::as_str).collect();
        self.set("hostname", device.hostname.as_str());
        self.set("device_model", device.model.as_deref());
        self.set("device_os_version", device.os_version.as_deref());
        self.set("device_id", device.id);
        let members = device.data.get("stack_members");
        self.set(
            "stack_members",
            members.map_or_else(|| Vec::<Value>::new().into(), of_json),
        );
        if let Some(address) = device.management_ip {
            self.set("mgmt_ip", address.to_string());
        }
        self.set("host", host::host(device, groups));
        Ok(())
    }
}
