//! The users, permissions and policies that the broker should have. Pure.

use lockstep_protocol::schema::{STANDING_ROLES, policy_body};
use lockstep_protocol::topology::access::{self, Rights, Role};
use serde_json::{Value, json};

use super::producer::Producer;

/// The desired state of a virtual host.
#[derive(Debug)]
pub(super) struct DesiredState {
    pub(super) vhost: String,
    pub(super) users: Vec<DesiredUser>,
    pub(super) policies: Vec<(&'static str, Value)>,
}

/// A user and its permissions.
#[derive(Debug)]
pub(super) struct DesiredUser {
    pub(super) role: Role,
    pub(super) name: String,
    /// The folder for its address, below the folder of credentials.
    pub(super) folder: String,
    pub(super) rights: Rights,
}

impl DesiredState {
    /// The desired state for this prefix of user names, these producers, and this length of ingress lanes.
    ///
    /// # Errors
    /// If a name is not valid or used twice.
    pub(super) fn new(
        vhost: &str,
        prefix: &str,
        producers: &[Producer],
        max_length: u32,
    ) -> Result<Self, String> {
        check(prefix)?;
        let mut users: Vec<DesiredUser> = STANDING_ROLES
            .iter()
            .map(|role| {
                let name = format!("{prefix}-{role}");
                DesiredUser {
                    role: *role,
                    rights: role.rights(&name),
                    folder: role.as_str().to_owned(),
                    name,
                }
            })
            .collect();
        for producer in producers {
            check(&producer.name)?;
            let name = &producer.name;
            if users
                .iter()
                .any(|user| user.name == *name || user.folder == *name)
            {
                return Err(format!(
                    "the name {name:?} is already used; choose another for this producer"
                ));
            }
            users.push(DesiredUser {
                role: Role::Producer,
                name: name.clone(),
                folder: name.clone(),
                rights: Role::Producer
                    .rights(name)
                    .publishing(producer.kinds.iter().copied()),
            });
        }
        let policies = access::policies(max_length);
        let policies = policies
            .iter()
            .map(|policy| (policy.name, Value::Object(policy_body(policy))));
        Ok(Self {
            vhost: vhost.to_owned(),
            users,
            policies: policies.collect(),
        })
    }
}

impl DesiredUser {
    /// The permissions in the format of the management API.
    pub(super) fn permissions(&self) -> Value {
        json!({"configure": self.rights.configure, "write": self.rights.write, "read": self.rights.read})
    }
}

/// Checks a user name: it is part of file names and of reply queues.
pub(super) fn check(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if (1..=64).contains(&name.len()) && name.chars().all(fits) {
        Ok(())
    } else {
        Err(format!(
            "{name:?} is not a valid user name; expected 1 to 64 letters, digits, - and _"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_collide_or_leave_the_folder_are_refused() {
        let producer = |name: &str| vec![name.parse::<Producer>().unwrap()];
        for name in ["worker", "lockstep-worker", "../x", "a.b", "", "a b"] {
            assert!(
                DesiredState::new("v", "lockstep", &producer(name), 1).is_err(),
                "{name:?}"
            );
        }
        assert!(DesiredState::new("v", "../x", &[], 1).is_err());
        let desired = DesiredState::new("v", "lockstep", &producer("netbox"), 1).unwrap();
        let names: Vec<&str> = desired.users.iter().map(|user| user.name.as_str()).collect();
        let expected = [
            "lockstep-setup",
            "lockstep-worker",
            "lockstep-gateway",
            "lockstep-console",
            "lockstep-monitor",
            "netbox",
        ];
        assert_eq!(names, expected);
    }
}
