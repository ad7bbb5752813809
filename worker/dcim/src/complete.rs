//! Reads what an entry of a change log refers to, so that it can be mapped like a webhook.

use lockstep_dcim::{Action, Model, ObjectChange, System};
use serde_json::{Value, json};

use super::client::ChangeLogClient;
use super::error::ClientError;
use super::log::LoggedChange;

const INTERFACE: &str = "dcim.interface";

/// A change with what it refers to.
#[derive(Clone, Debug, PartialEq)]
pub enum Completed {
    /// It can be mapped.
    Change(Box<ObjectChange>),
    /// Something that it refers to does not exist any more, so nothing is left to say about it.
    Gone(String),
}

impl Completed {
    fn gone(what: &str) -> Self {
        Self::Gone(format!("{what} does not exist any more"))
    }
}

impl ChangeLogClient {
    /// Reads what the mapping of a change needs: in NetBox the object as it is now, in Nautobot its fields before the change.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn complete(&self, logged: LoggedChange) -> Result<Completed, ClientError> {
        let LoggedChange { change, cable_ends } = logged;
        match (self.options.system, change.action) {
            (System::Nautobot, _) => self.complete_nautobot(change).await,
            (System::NetBox, Action::Deleted) => self.restore(change, &cable_ends).await,
            (System::NetBox, Action::Created | Action::Updated) => self.read_object(change).await,
        }
    }

    async fn read_object(&self, mut change: ObjectChange) -> Result<Completed, ClientError> {
        let path = match &change.model {
            Model::Device => "dcim/devices",
            Model::Interface => "dcim/interfaces",
            Model::Cable => "dcim/cables",
            Model::IpAddress => "ipam/ip-addresses",
            Model::Other(_) => return Ok(Completed::Change(Box::new(change))),
        };
        let query = [("exclude", "config_context".to_owned())];
        let query = if change.model == Model::Device {
            &query[..]
        } else {
            &[]
        };
        let Some(object) = self.find(&format!("{path}/{}", change.object_id), query).await? else {
            return Ok(Completed::gone("the object"));
        };
        change.object = object;
        Ok(Completed::Change(Box::new(change)))
    }

    /// Builds a deleted object from its fields, with what they refer to.
    async fn restore(
        &self,
        mut change: ObjectChange,
        cable_ends: &[Value],
    ) -> Result<Completed, ClientError> {
        let before = change.before.clone().unwrap_or_default();
        let object = match &change.model {
            Model::Device => {
                let role = before.get("role").or_else(|| before.get("device_role"));
                let role = self
                    .referenced("dcim/device-roles", role)
                    .await?
                    .unwrap_or_default();
                json!({"id": change.object_id, "name": before.get("name"), "role": role})
            }
            Model::Interface => {
                let Some(device) = self.referenced("dcim/devices", before.get("device")).await? else {
                    return Ok(Completed::gone("the device of the interface"));
                };
                json!({"id": change.object_id, "name": before.get("name"), "device": device})
            }
            Model::Cable => {
                let mut ends = [Vec::new(), Vec::new()];
                for end in cable_ends {
                    let of = |field: &str| end.get(field);
                    let Some(interface) = self
                        .interface(of("termination_type"), of("termination_id"))
                        .await?
                    else {
                        return Ok(Completed::gone("an interface at the cable"));
                    };
                    let side = usize::from(end.get("cable_end").and_then(Value::as_str) == Some("B"));
                    ends[side].push(json!({"object_type": INTERFACE, "object": interface}));
                }
                let [a, b] = ends;
                json!({"id": change.object_id, "a_terminations": a, "b_terminations": b})
            }
            Model::IpAddress => {
                let of = |field: &str| before.get(field);
                let interface = self
                    .interface(of("assigned_object_type"), of("assigned_object_id"))
                    .await?;
                let object_type = interface.is_some().then_some(INTERFACE);
                json!({"id": change.object_id, "assigned_object_type": object_type, "assigned_object": interface})
            }
            Model::Other(_) => Value::Null,
        };
        change.object = object;
        Ok(Completed::Change(Box::new(change)))
    }

    /// The object that a reference by number points at.
    async fn referenced(&self, path: &str, id: Option<&Value>) -> Result<Option<Value>, ClientError> {
        match id.and_then(Value::as_u64) {
            Some(id) => self.find(&format!("{path}/{id}"), &[]).await,
            None => Ok(None),
        }
    }

    /// The interface that a generic reference points at, if it is one: the change log has the number of the type.
    async fn interface(
        &self,
        of_type: Option<&Value>,
        id: Option<&Value>,
    ) -> Result<Option<Value>, ClientError> {
        // By version: 4.4, 4.0, 3.
        const TYPES: [&str; 3] = ["core/object-types", "extras/object-types", "extras/content-types"];
        let query = [
            ("app_label", "dcim".to_owned()),
            ("model", "interface".to_owned()),
        ];
        for path in TYPES {
            let Some(types) = self.find(path, &query).await? else {
                continue;
            };
            let number = types.pointer("/results/0/id");
            if number.is_none() || number != of_type {
                return Ok(None);
            }
            return self.referenced("dcim/interfaces", id).await;
        }
        Ok(None)
    }

    async fn complete_nautobot(&self, mut change: ObjectChange) -> Result<Completed, ClientError> {
        if change.action == Action::Updated && change.before.is_none() {
            change.before = self.entry_before(&change).await?;
        }
        if change.model == Model::Cable {
            // The log names the interfaces at the ends, but not their devices.
            for end in ["termination_a", "termination_b"] {
                let id = change
                    .object
                    .get(format!("{end}_id"))
                    .and_then(Value::as_str)
                    .map(str::to_owned);
                let id = id.filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'));
                let is_interface =
                    change.object.get(format!("{end}_type")).and_then(Value::as_str) == Some(INTERFACE);
                let Some(id) = id.filter(|_| is_interface) else {
                    continue;
                };
                let query = [("depth", "1".to_owned())];
                let Some(interface) = self.find(&format!("dcim/interfaces/{id}"), &query).await? else {
                    return Ok(Completed::gone("an interface at the cable"));
                };
                change.object[end] = interface;
            }
        }
        Ok(Completed::Change(Box::new(change)))
    }

    /// The fields before a change: those of the entry before.
    async fn entry_before(&self, change: &ObjectChange) -> Result<Option<Value>, ClientError> {
        let query = [
            ("changed_object_id", change.object_id.clone()),
            ("time__lt", change.at.to_string()),
            ("sort", "-time".to_owned()),
            ("limit", "1".to_owned()),
        ];
        let page = self.get("extras/object-changes", &query).await?;
        let fields = page.pointer("/results/0/object_data_v2");
        Ok(fields.filter(|fields| fields.is_object()).cloned())
    }
}
