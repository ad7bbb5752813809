use std::borrow::Cow;
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_device::{AddressError, DeviceAddress, DeviceConnection, DeviceError, PooledConnection};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{ElementState, EntityType, Level};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cycle::{CheckResult, CycleResult, Produced, Results, Steps, process_by_type};
use crate::{ChildExecutions, TaskOfStep};

/// What a provider is for (`ProviderTypeEnum` in neops; see docs/reference/providers.md).
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
    pub name: Cow<'static, str>,
    /// What it does, in one line.
    pub short_description: Cow<'static, str>,
    /// What it does, for people who write tasks: Markdown.
    pub description: Cow<'static, str>,
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
    /// For FACTS: the kinds of entities whose data become facts. Empty: the kind that it runs on. A fact of GLOBAL is one of the whole fleet.
    pub facts_for: Vec<ExecuteOn>,
    /// The lane of its elements: devices, or CloudVision.
    pub lane: Lane,
    /// The message of an element that was done without one of its own.
    pub success_message: Option<Cow<'static, str>>,
    /// Whether an element that was interrupted may be run again.
    pub repeatable: bool,
    /// What to use instead, if it is deprecated.
    pub deprecated: Option<Cow<'static, str>>,
    /// The JSON Schema of the arguments of a task.
    pub json_schema: Value,
    /// The JSON Schema of the arguments of a run.
    pub run_input_json_schema: Value,
    /// The UI schema of JSON Forms for `json_schema`. `None` for one that a form makes of the schema.
    pub ui_schema: Option<Value>,
    /// The UI schema of JSON Forms for `run_input_json_schema`.
    pub run_input_ui_schema: Option<Value>,
}

/// What a step returns: what it did, or why it failed. A failure, or a panic, stops the entity and all below it.
pub type StepResult = Result<StepDone, StepFailure>;

macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Code that a task runs on entities, by the run cycle: fourteen steps in an immutable order, each of which may be left out. It runs on
        /// any worker, and keeps no state between steps but what they return.
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

            /// The tasks that it runs as executions of their own, with these arguments of a task, in their order: they are checked when the
            /// task is saved and when it is requested.
            ///
            /// # Errors
            /// The arguments do not fit together, in a way that the schema does not show.
            fn tasks(&self, _arguments: &Value) -> Result<Vec<TaskOfStep>, String> {
                Ok(Vec::new())
            }

            /// The steps that it has, with these arguments of a task. A level without a step costs nothing.
            fn steps(&self, arguments: &Value) -> Steps;

            $(
                $(#[$doc])*
                async fn $name(&self, _run: &StepRun<'_>) -> StepResult {
                    Ok(StepDone::default())
                }
            )*

            /// What runs the steps of one unit instead, for a provider that keeps something open between them, such as a process. It is
            /// dropped with the unit. `None`: the provider itself.
            fn for_unit(&self) -> Option<Box<dyn Provider>> {
                None
            }

            /// Ends what [`Self::for_unit`] returned, after the last step and before the results are processed. `cancel` fires when the element is
            /// to end.
            ///
            /// # Errors
            /// What was open did not end well: the entity of the last step fails.
            async fn end_unit(&self, _cancel: &CancellationToken) -> Result<(), StepFailure> {
                Ok(())
            }

            /// Looks at the result of an entity that ended, children before parents, after the last step of the unit: changes it, or makes facts
            /// and checks of it. `below` are the results of all entities below. Entities that failed or were skipped are passed, too. The default
            /// is that of the provider's type: facts of FACTS, checks of CHECK.
            fn process_result(
                &self,
                arguments: &Value,
                result: &mut CycleResult,
                _below: &[CycleResult],
                produced: &mut Produced,
            ) {
                process_by_type(self, arguments, result, produced);
            }
        }
    };
}

steps!(
    /// Step 1, once: all arguments are passed.
    pre_run_global,
    /// Step 2, per group.
    pre_run_on_device_group,
    /// Step 3, per client of a group, which is a location then.
    pre_run_on_client_of_location,
    /// Step 4, per device that is connected to.
    pre_run_on_nornir_device,
    /// Step 5, per device.
    pre_run_on_device,
    /// Step 6, per interface of a device.
    pre_run_on_interface,
    /// Step 7, per client of an interface.
    pre_run_on_client_of_interface,
    /// Step 8, as 7.
    run_on_client_of_interface,
    /// Step 9, as 6.
    run_on_interface,
    /// Step 10, as 5.
    run_on_device,
    /// Step 11, as 4.
    run_on_nornir_device,
    /// Step 12, as 3.
    run_on_client_of_location,
    /// Step 13, as 2.
    run_on_device_group,
    /// Step 14, as 1.
    run_global,
    /// On an item that step 1 returned. This is none of the fourteen steps.
    run_on_item,
);

/// One step on one entity: the entity, those above and below it, the arguments, and what the provider may use.
#[derive(Debug)]
pub struct StepRun<'a> {
    /// The element that the step is a part of.
    pub element: ElementAttempt,
    /// The entity.
    pub entity: &'a Entity,
    /// The entities above it with their pre-run results, outermost first: the fleet, its groups, the device that is connected to, its device,
    /// its interface. Entities without a step are there, too, with null.
    pub above: &'a [(&'a Entity, &'a Value)],
    /// What the pre-run step of the same entity returned. Null in pre-run steps.
    pub pre_run: &'a Value,
    /// The results of all entities below it in the same unit, parents before children. Those at levels without a step are PENDING.
    pub below: &'a [CycleResult],
    /// Results of earlier stages: those of devices and groups, for the steps of groups and of the fleet.
    pub results: &'a dyn Results,
    /// What is known about entities.
    pub entities: &'a dyn EntityData,
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
    /// Begins executions. `None` where there are none.
    pub children: Option<&'a dyn ChildExecutions>,
}

impl StepRun<'_> {
    /// A connection to the device of the entity, or to its controller.
    ///
    /// # Errors
    /// The entity belongs to no device, or the device cannot be connected to.
    pub async fn connect(&self) -> Result<PooledConnection, StepFailure> {
        let missing = || StepFailure::new("no-device", format!("{} belongs to no device", self.entity.name));
        let mut above = self.above.iter().map(|(entity, _)| *entity);
        let controller = above.rfind(|entity| entity.level == Level::NornirDevice);
        let device = controller.unwrap_or(self.entity).device.as_ref();
        Ok(self.devices.connect(device.ok_or_else(missing)?).await?)
    }

    /// The entity above it at this level, and its pre-run result.
    pub fn at(&self, level: Level) -> Option<(&Entity, &Value)> {
        let mut above = self.above.iter().rev();
        above.find(|(entity, _)| entity.level == level).copied()
    }

    /// The output of the future, which is dropped when the element is to end, or after `timeout`.
    ///
    /// # Errors
    /// The future did not end before.
    pub async fn until_stopped<F: Future>(
        &self,
        timeout: Option<Duration>,
        future: F,
    ) -> Result<F::Output, StepFailure> {
        let over = async {
            match timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.cancel.cancelled() => Err(StepFailure::new("cancelled", "it was told to stop")),
            () = over => {
                let seconds = timeout.unwrap_or_default().as_secs();
                Err(StepFailure::new("timed-out", format!("it took longer than {seconds} s")))
            }
        }
    }
}

/// An attempt of an element, for providers that keep rows of their own about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ElementAttempt {
    /// The number of the element.
    pub element: u64,
    /// The number of its execution.
    pub execution: u64,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The worker's session that runs it.
    pub owner: Uuid,
}

/// An entity of the fleet, or an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// Its level.
    pub level: Level,
    /// Its id; 0 for the fleet and for items.
    pub id: u64,
    /// Its name: a hostname, the name of an interface or of a group, the MAC address of a client, what step 1 called an item.
    pub name: String,
    /// The device that it is or belongs to.
    pub device: Option<TargetDevice>,
    /// What step 1 returned about an item.
    pub item: Option<Value>,
}

/// Reads what is known about entities.
#[async_trait]
pub trait EntityData: Debug + Send + Sync {
    /// What the store knows about an entity: an object of its attributes, with `facts` and `checks` by key.
    ///
    /// # Errors
    /// A text for people: the store cannot be read.
    async fn entity(&self, entity_type: EntityType, id: u64) -> Result<Value, String>;

    /// The newest result of a check of entities below or in another one, by their names: of the devices of a group, of the interfaces of a
    /// device. Entities without one are there with `None`.
    ///
    /// # Errors
    /// A text for people: the store cannot be read.
    async fn checks_below(
        &self,
        entity_type: EntityType,
        id: u64,
        below: EntityType,
        key: &str,
    ) -> Result<Vec<(String, Option<CheckResult>)>, String>;
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

/// What an inventory says about where a device is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Its management address.
    pub ip: Option<IpAddr>,
    /// A name or an address, for a device without management address.
    pub host: Option<String>,
    /// The port, if it is not the usual one.
    pub port: Option<String>,
}

impl TargetDevice {
    /// A device that is reached at its management address, else at its management host, else at its hostname.
    ///
    /// # Errors
    /// It has no management address, and its host is no address, or its port is none: the failure of elements on it.
    pub fn new(
        hostname: impl Into<String>,
        endpoint: &Endpoint,
        platform: Option<String>,
        groups: Vec<String>,
    ) -> Result<Self, StepFailure> {
        let hostname = hostname.into();
        let invalid = |reason: String| StepFailure::new("invalid-address", reason);
        let mut address = if let Some(ip) = endpoint.ip {
            DeviceAddress::of_ip(ip)
        } else {
            let host = endpoint.host.as_ref().unwrap_or(&hostname);
            host.parse()
                .map_err(|error: AddressError| invalid(error.to_string()))?
        };
        if let Some(port) = &endpoint.port {
            let port = port.parse().map_err(|_| {
                invalid(format!(
                    "management_port of the data of {hostname} is {port}, must be 1 to 65535; correct the inventory"
                ))
            })?;
            address = address.on_port(port);
        }
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

    /// A new connection to the device: what is read over it shows that the device can be reached now.
    ///
    /// # Errors
    /// See [`DeviceError`].
    async fn connect_anew(&self, device: &TargetDevice) -> Result<Box<dyn DeviceConnection>, DeviceError>;
}

/// A step was done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepDone {
    /// What was done, for people.
    pub message: Option<String>,
    /// Whether something changed, or would have in a dry run.
    pub changed: bool,
    /// The result: any JSON.
    pub data: Value,
    /// Facts about the entity, by key. Each replaces the fact with its key.
    pub facts: Vec<(String, Value)>,
    /// Items that step 1 found: their names and data. Each becomes an element on which `run_on_item` runs. Those of other steps are ignored.
    pub items: Vec<(String, Value)>,
}

/// A step failed: its entity, and all below it.
#[derive(Clone, Debug, PartialEq)]
pub struct StepFailure {
    /// How it failed: `FAILED`, `PARTIAL_FAILED`, `PRECHECK_FAILED` or `POSTCHECK_FAILED`; or `FILTERED`, if there was a reason to leave the
    /// entity alone: it counts as skipped.
    pub state: ElementState,
    /// Why: a word for programs, such as `unreachable`.
    pub reason: Cow<'static, str>,
    /// Why, for people.
    pub message: String,
    /// Whether something changed nevertheless.
    pub changed: bool,
    /// What the provider has so far: any JSON.
    pub data: Value,
    /// The step is not possible now, and nothing was done: the element waits without a place and without a lease, and runs from its
    /// beginning later. Only for elements that run one step on themselves alone.
    pub parked: Option<Parked>,
}

/// How long an element that is not possible now waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parked {
    /// For a time.
    Until {
        /// When it runs again.
        resume_at: Timestamp,
        /// When it is skipped instead, with the reason of the failure.
        expires_at: Timestamp,
    },
    /// Until the execution with this number ended, which it began. The data of the failure is kept: [`ChildExecutions::written`].
    Ended {
        /// The number.
        execution: u64,
    },
}

impl StepFailure {
    /// A failure before anything changed.
    pub fn new(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            state: ElementState::Failed,
            reason: reason.into(),
            message: message.into(),
            changed: false,
            data: Value::Null,
            parked: None,
        }
    }
}

impl From<DeviceError> for StepFailure {
    fn from(error: DeviceError) -> Self {
        let reason = match &error {
            DeviceError::Unreachable { .. } => "unreachable",
            DeviceError::Certificate { .. } => "untrusted-certificate",
            DeviceError::Authentication { .. } => "wrong-credentials",
            DeviceError::NoCredentials => "no-credentials",
            DeviceError::TimedOut { .. } => "timed-out",
            DeviceError::Interrupted { .. } => "connection-lost",
            DeviceError::Refused { .. } => "refused",
            DeviceError::Line { .. } => "refused-line",
            DeviceError::EmptyConfiguration => "empty-configuration",
            DeviceError::TooManySessions { .. } => "too-many-sessions",
            DeviceError::SessionInUse { .. } => "session-in-use",
            DeviceError::Locked { .. } => "configuration-locked",
            DeviceError::NotPending { .. } => "not-pending",
            DeviceError::NotSaved { .. } => "not-saved",
            DeviceError::RequestTooLarge { .. } | DeviceError::TooLarge { .. } => "too-large",
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
        let reached = |hostname: &str, endpoint: &Endpoint| {
            let device = TargetDevice::new(hostname, endpoint, None, Vec::new());
            device
                .map(|device| device.address.to_string())
                .map_err(|failure| failure.reason)
        };
        let address = |hostname: &str, ip| {
            let endpoint = Endpoint {
                ip,
                ..Endpoint::default()
            };
            reached(hostname, &endpoint)
        };
        assert_eq!(address("leaf1", Some(ip)), Ok("2001:db8::7".to_owned()));
        assert_eq!(address("not a name", Some(ip)), Ok("2001:db8::7".to_owned()));
        assert_eq!(
            address("leaf1.example.org", None),
            Ok("leaf1.example.org".to_owned())
        );
        assert_eq!(address("not a name", None), Err("invalid-address".into()));
        let table = [
            (Some(ip), Some("there"), Some("8443"), Ok("[2001:db8::7]:8443")),
            (None, Some("sw1.example.org"), None, Ok("sw1.example.org")),
            (None, Some("192.0.2.7"), Some("8443"), Ok("192.0.2.7:8443")),
            (None, None, Some("8443"), Ok("leaf1:8443")),
            (None, Some("not a name"), None, Err("invalid-address")),
            (None, None, Some("0"), Err("invalid-address")),
            (None, None, Some("65536"), Err("invalid-address")),
            (None, None, Some("{}"), Err("invalid-address")),
        ];
        for (ip, host, port, expected) in table {
            let endpoint = Endpoint {
                ip,
                host: host.map(str::to_owned),
                port: port.map(str::to_owned),
            };
            let expected = expected.map(str::to_owned).map_err(Into::into);
            assert_eq!(reached("leaf1", &endpoint), expected, "{endpoint:?}");
        }
    }
}
