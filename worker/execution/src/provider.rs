use std::fmt::Debug;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_device::{AddressError, DeviceAddress, DeviceError, PooledConnection};
use lockstep_protocol::ElementState;
use lockstep_protocol::commands::ExecuteOn;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// What a provider is for (`ProviderTypeEnum` in neops; see docs/providers.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProviderType {
    /// It looks whether something is as it should be.
    Check,
    /// It changes configurations.
    Configure,
    /// It does something else.
    Execute,
    /// It collects facts.
    Facts,
    /// Nothing of these.
    None,
}

/// The properties of a provider, which its author states.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderProperties {
    /// Its unique name.
    pub name: &'static str,
    /// What it does, in one line.
    pub short_description: &'static str,
    /// What it does, for people who write tasks: Markdown.
    pub description: &'static str,
    /// What it is for.
    pub provider_type: ProviderType,
    /// The kind of entity that it runs on. `None` if the arguments of the task decide (GENERIC in neops): see
    /// [`Provider::run_on`].
    pub run_on: Option<ExecuteOn>,
    /// Whether a run may name only entities of the kind that it runs on. Otherwise these are resolved from the named ones.
    pub run_on_strict: bool,
    /// Whether a run that names no entity runs on all. Otherwise it runs on none.
    pub run_on_all_if_empty: bool,
    /// The kind of entity that its results are about, if it is another one.
    pub run_on_result: Option<ExecuteOn>,
    /// The message of an element that was done without one of its own.
    pub success_message: Option<&'static str>,
    /// Whether an element that was interrupted may be run again.
    pub repeatable: bool,
    /// What to use instead, if it is deprecated.
    pub deprecated: Option<&'static str>,
    /// The JSON Schema of the arguments of a task.
    pub json_schema: Value,
    /// The JSON Schema of the arguments of a run.
    pub run_input_json_schema: Value,
}

/// Code that a task runs on entities: per element, on any worker. It keeps no state between elements.
#[async_trait]
pub trait Provider: Debug + Send + Sync + 'static {
    /// Its properties.
    fn properties(&self) -> &ProviderProperties;

    /// The kind of entity that it runs on, with these arguments of a task.
    ///
    /// # Errors
    /// The arguments decide it, and do not.
    fn run_on(&self, _arguments: &Value) -> Result<ExecuteOn, String> {
        let missing = || "the provider does not say what it runs on".to_owned();
        self.properties().run_on.ok_or_else(missing)
    }

    /// Runs on one entity. When `run.cancel` fires, it ends soon; its future is dropped after the grace time.
    ///
    /// # Errors
    /// Why the element failed. A panic fails the element, too.
    async fn run(&self, run: &ElementRun<'_>) -> Result<ElementDone, ElementFailure>;
}

/// One element: the entity, the arguments, and what the provider may use.
#[derive(Debug)]
pub struct ElementRun<'a> {
    /// The entity.
    pub entity: &'a Entity,
    /// Whether nothing may be changed outside.
    pub dry_run: bool,
    /// The arguments of the task, valid by `json_schema`.
    pub arguments: &'a Value,
    /// The arguments of the run, valid by `run_input_json_schema`.
    pub run_arguments: &'a Value,
    /// Fires when the element is to end: its execution was cancelled or is over its deadline, its worker stops, or its lease is lost.
    pub cancel: &'a CancellationToken,
    /// Opens connections to devices.
    pub devices: &'a dyn Devices,
}

impl ElementRun<'_> {
    /// A connection to the device of the entity.
    ///
    /// # Errors
    /// The entity belongs to no device, or the device cannot be connected to.
    pub async fn connect(&self) -> Result<PooledConnection, ElementFailure> {
        let missing =
            || ElementFailure::new("no-device", format!("{} belongs to no device", self.entity.name));
        let device = self.entity.device.as_ref().ok_or_else(missing)?;
        Ok(self.devices.connect(device).await?)
    }

    /// The output of the future, which is dropped when the element is to end, or after `timeout`.
    ///
    /// # Errors
    /// The future did not end before.
    pub async fn until_stopped<F: Future>(
        &self,
        timeout: Option<Duration>,
        future: F,
    ) -> Result<F::Output, ElementFailure> {
        let over = async {
            match timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.cancel.cancelled() => Err(ElementFailure::new("cancelled", "it was told to stop")),
            () = over => {
                let seconds = timeout.unwrap_or_default().as_secs();
                Err(ElementFailure::new("timed-out", format!("it took longer than {seconds} s")))
            }
        }
    }
}

/// The entity of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// Its kind.
    pub kind: ExecuteOn,
    /// Its id; 0 for the fleet.
    pub id: u64,
    /// Its name: a hostname, the name of an interface or of a group, the MAC address of a client.
    pub name: String,
    /// The device that it is or belongs to.
    pub device: Option<TargetDevice>,
}

/// A device to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetDevice {
    /// Its hostname.
    pub hostname: String,
    /// Where it is reached.
    pub address: DeviceAddress,
    /// Its platform, such as `eos`.
    pub platform: Option<String>,
    /// Its groups, by which its credentials may be found.
    pub groups: Vec<String>,
}

impl TargetDevice {
    /// A device that is reached at its management address, else at its hostname.
    ///
    /// # Errors
    /// It has no management address, and its hostname is no address: the failure of elements on it.
    pub fn new(
        hostname: impl Into<String>,
        management_ip: Option<IpAddr>,
        platform: Option<String>,
        groups: Vec<String>,
    ) -> Result<Self, ElementFailure> {
        let hostname = hostname.into();
        let address = match management_ip {
            Some(ip) => DeviceAddress::of_ip(ip),
            None => hostname
                .parse()
                .map_err(|error: AddressError| ElementFailure::new("invalid-address", error.to_string()))?,
        };
        Ok(Self {
            hostname,
            address,
            platform,
            groups,
        })
    }
}

/// Opens connections to devices.
#[async_trait]
pub trait Devices: Debug + Send + Sync + 'static {
    /// A connection to the device, pooled.
    ///
    /// # Errors
    /// See [`DeviceError`].
    async fn connect(&self, device: &TargetDevice) -> Result<PooledConnection, DeviceError>;
}

/// An element was done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ElementDone {
    /// What was done, for people.
    pub message: Option<String>,
    /// Whether something changed, or would have in a dry run.
    pub changed: bool,
    /// The result: any JSON.
    pub data: Value,
    /// Facts about the entity, by key. Each replaces the fact with its key.
    pub facts: Vec<(String, Value)>,
}

/// An element failed.
#[derive(Clone, Debug, PartialEq)]
pub struct ElementFailure {
    /// How it failed: `FAILED`, `PARTIAL_FAILED`, `PRECHECK_FAILED` or `POSTCHECK_FAILED`.
    pub state: ElementState,
    /// Why: a word for programs, such as `unreachable`.
    pub reason: &'static str,
    /// Why, for people.
    pub message: String,
    /// Whether something changed nevertheless.
    pub changed: bool,
    /// What the provider has so far: any JSON.
    pub data: Value,
}

impl ElementFailure {
    /// A failure before anything changed.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            state: ElementState::Failed,
            reason,
            message: message.into(),
            changed: false,
            data: Value::Null,
        }
    }
}

impl From<DeviceError> for ElementFailure {
    fn from(error: DeviceError) -> Self {
        let reason = match &error {
            DeviceError::Unreachable { .. } => "unreachable",
            DeviceError::Certificate { .. } => "untrusted-certificate",
            DeviceError::Authentication { .. } => "wrong-credentials",
            DeviceError::NoCredentials => "no-credentials",
            DeviceError::TimedOut { .. } => "timed-out",
            DeviceError::Interrupted { .. } => "connection-lost",
            DeviceError::Refused { .. } => "refused",
            DeviceError::TooLarge { .. } => "too-large",
            DeviceError::Status { .. } | DeviceError::Unreadable { .. } => "unreadable-answer",
        };
        Self::new(reason, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_reached_at_its_management_address_or_its_hostname() {
        let ip: IpAddr = "2001:db8::7".parse().unwrap();
        let address = |hostname: &str, ip| {
            let device = TargetDevice::new(hostname, ip, None, Vec::new());
            device
                .map(|device| device.address.to_string())
                .map_err(|failure| failure.reason)
        };
        assert_eq!(address("leaf1", Some(ip)), Ok("2001:db8::7".to_owned()));
        assert_eq!(address("not a name", Some(ip)), Ok("2001:db8::7".to_owned()));
        assert_eq!(
            address("leaf1.example.org", None),
            Ok("leaf1.example.org".to_owned())
        );
        assert_eq!(address("not a name", None), Err("invalid-address"));
    }
}
