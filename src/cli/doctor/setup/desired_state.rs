//! What should be at the broker: pure.

use lockstep_protocol::schema::{STANDING_ROLES, policy_body};
use lockstep_protocol::topology::access::{self, Rights, Role};
use serde_json::{Value, json};

use super::producer::Producer;

/// All of it.
#[derive(Debug)]
pub(super) struct DesiredState {
    pub(super) vhost: String,
    pub(super) users: Vec<DesiredUser>,
    pub(super) policies: Vec<(&'static str, Value)>,
}

/// A user.
#[derive(Debug)]
pub(super) struct DesiredUser {
    pub(super) role: Role,
    pub(super) name: String,
    /// The folder of its address among the credentials.
    pub(super) folder: String,
    pub(super) rights: Rights,
}

impl DesiredState {
    /// For this virtual host.
    ///
    /// # Errors
    /// Why a name cannot be used.
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
                    "the name {name:?} is taken; choose another for this producer"
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
    /// Its rights in the words of the management API.
    pub(super) fn permissions(&self) -> Value {
        json!({"configure": self.rights.configure, "write": self.rights.write, "read": self.rights.read})
    }
}

/// Names of users are parts of file names and of reply queues.
fn check(name: &str) -> Result<(), String> {
    let fits = |dead_letter: char| dead_letter.is_ascii_alphanumeric() || matches!(dead_letter, '-' | '_');
    if (1..=64).contains(&name.len()) && name.chars().all(fits) {
        Ok(())
    } else {
        Err(format!(
            "{name:?} is no name of a user here: 1 to 64 letters, digits, - and _"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_collide_or_escape_are_refused() {
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
