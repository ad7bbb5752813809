//! Makes what is wished for, step by step, and leaves alone what is there.

use anyhow::{Context, bail};
use lockstep_bus::Bus;
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_protocol::topology::Topology;
use lockstep_protocol::topology::access::Role;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::management::Management;
use super::credentials::Credentials;
use super::desired_state::{DesiredState, DesiredUser};
use crate::config::Config;
use crate::roles;

/// One thing of the set-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    what: String,
    done: Done,
}

/// What was done about it, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Done {
    /// It was not there.
    Made,
    /// It was different.
    Changed,
    /// It is as it should be.
    Kept,
    /// It is there now; the broker does not tell whether it was before.
    Declared,
}

impl Step {
    pub(super) fn line(&self, dry_run: bool) -> String {
        let word = match (self.done, dry_run) {
            (Done::Made, false) => "made",
            (Done::Made, true) => "would make",
            (Done::Changed, false) => "changed",
            (Done::Changed, true) => "would change",
            (Done::Kept, _) => "is there",
            (Done::Declared, false) => "declared",
            (Done::Declared, true) => "would declare",
        };
        format!("{word:<13} {}", self.what)
    }
}

/// The set-up under way.
pub(super) struct SettingUp<'a> {
    pub(super) management: &'a Management,
    pub(super) credentials: Credentials,
    pub(super) dry_run: bool,
    pub(super) renew: bool,
    pub(super) steps: Vec<Step>,
}

/// What to do about a user's password.
enum Password {
    /// The file's, or a new one that goes into the file first.
    Set { password: SecretString, new: bool },
    /// The user has one that nobody here knows.
    Keep,
}

impl SettingUp<'_> {
    /// Everything, in an order in which each step finds what it needs.
    ///
    /// # Errors
    /// The first step that failed.
    pub(super) async fn run(&mut self, config: &Config, desired: &DesiredState) -> anyhow::Result<()> {
        let passwords = self.passwords(desired).await?;
        let vhost = desired.vhost.as_str();
        self.thing(format!("virtual host {vhost}"), &["vhosts", vhost], &json!({}))
            .await?;
        let mut declarer = None;
        for (user, (exists, password)) in desired.users.iter().zip(passwords) {
            self.user(user, exists, &password).await?;
            self.rights(vhost, user).await?;
            if let (Role::Setup, Password::Set { password, .. }) = (user.role, password) {
                declarer = Some(self.credentials.address(&user.name, &password)?);
            }
        }
        if !self.dry_run {
            let address = declarer.context("the set-up user has no password")?;
            declare(config, &address).await?;
        }
        self.step("exchanges, queues and bindings".to_owned(), Done::Declared);
        for (name, body) in &desired.policies {
            self.thing(format!("policy {name}"), &["policies", vhost, name], body)
                .await?;
        }
        Ok(())
    }

    /// Decides about all passwords before anything is done, so that a refusal leaves nothing half done.
    async fn passwords(&self, desired: &DesiredState) -> anyhow::Result<Vec<(bool, Password)>> {
        let mut all = Vec::with_capacity(desired.users.len());
        for user in &desired.users {
            let exists = self.management.get(&["users", &user.name]).await?.is_some();
            let known = self.credentials.read(&user.folder, &user.name)?;
            let password = match known {
                Some(password) => Password::Set { password, new: false },
                // Needed now and never again: each set-up gives it another.
                None if user.role == Role::Setup => Password::Set {
                    password: roles::new_secret(),
                    new: false,
                },
                None if exists && !self.renew => Password::Keep,
                None if self.credentials.file(&user.folder).is_some() => Password::Set {
                    password: roles::new_secret(),
                    new: true,
                },
                None => bail!(
                    "the user {:?} is to be made and needs a password: say with --credentials in which folder its address is to be kept",
                    user.name
                ),
            };
            all.push((exists, password));
        }
        Ok(all)
    }

    async fn user(&mut self, user: &DesiredUser, exists: bool, password: &Password) -> anyhow::Result<()> {
        let name = &user.name;
        let (what, done) = match (exists, password) {
            (false, _) => (format!("user {name}"), Done::Made),
            (true, Password::Set { new: true, .. }) => {
                (format!("user {name}, with a new password"), Done::Changed)
            }
            (true, Password::Set { new: false, .. }) => (format!("user {name}"), Done::Kept),
            (true, Password::Keep) => (format!("user {name}, with the password it has"), Done::Kept),
        };
        if let (false, Password::Set { password, new }) = (self.dry_run, password) {
            // First where it is kept: after a crash in between, the next run sets what the file says.
            if *new {
                self.credentials.write(&user.folder, name, password)?;
            }
            let body = json!({"password": password.expose_secret(), "tags": user.role.tag()});
            self.management.put(&["users", name], &body).await?;
        }
        self.step(what, done);
        Ok(())
    }

    async fn rights(&mut self, vhost: &str, user: &DesiredUser) -> anyhow::Result<()> {
        let name = user.name.as_str();
        self.thing(
            format!("rights of {name}"),
            &["permissions", vhost, name],
            &user.permissions(),
        )
        .await?;
        let path = ["topic-permissions", vhost, name];
        let found = self.management.get(&path).await?.map(|answer| answer.body);
        for topic in &user.rights.topics {
            let (exchange, desired) = (topic.exchange, json!(topic));
            let what = format!("topics of {name} at {exchange}");
            let there = found
                .as_ref()
                .and_then(Value::as_array)
                .and_then(|all| all.iter().find(|one| one["exchange"] == exchange));
            self.put_unless(what, &path, &desired, there).await?;
        }
        Ok(())
    }

    /// A thing with a path of its own.
    async fn thing(&mut self, what: String, path: &[&str], desired: &Value) -> anyhow::Result<()> {
        let found = self.management.get(path).await?.map(|answer| answer.body);
        self.put_unless(what, path, desired, found.as_ref()).await
    }

    async fn put_unless(
        &mut self,
        what: String,
        path: &[&str],
        desired: &Value,
        found: Option<&Value>,
    ) -> anyhow::Result<()> {
        let done = compare(desired, found);
        if done != Done::Kept && !self.dry_run {
            self.management
                .put(path, desired)
                .await
                .with_context(|| format!("cannot make the {what}"))?;
        }
        self.step(what, done);
        Ok(())
    }

    fn step(&mut self, what: String, done: Done) {
        self.steps.push(Step { what, done });
    }
}

/// As the set-up user, so that its rights are seen to be enough.
async fn declare(config: &Config, address: &SecretString) -> anyhow::Result<()> {
    let options = AmqpOptions {
        ca_file: config.broker.ca_file.clone(),
        ..AmqpOptions::new(address.expose_secret())
    };
    let bus = AmqpBus::connect(options).await?;
    let declared = bus.declare(&Topology::new(1.0)).await;
    bus.close().await;
    Ok(declared?)
}

/// What is to be done where one thing is wished for and another is found. More may be found than was wished for: the broker
/// adds what it knows itself.
fn compare(desired: &Value, found: Option<&Value>) -> Done {
    let Some(found) = found else { return Done::Made };
    let same = |(key, value): (&String, &Value)| found.get(key) == Some(value);
    let all = desired
        .as_object()
        .is_some_and(|desired| desired.iter().all(same));
    if all { Done::Kept } else { Done::Changed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_kept_and_what_differs_is_changed() {
        let desired = json!({"write": "^a$", "read": "^$"});
        let table = [
            (None, Done::Made),
            (
                Some(json!({"write": "^a$", "read": "^$", "user": "u"})),
                Done::Kept,
            ),
            (Some(json!({"write": ".*", "read": "^$"})), Done::Changed),
            (Some(json!({"write": "^a$"})), Done::Changed),
        ];
        for (found, expected) in table {
            assert_eq!(compare(&desired, found.as_ref()), expected, "{found:?}");
        }
        assert_eq!(compare(&json!({}), Some(&json!({"name": "v"}))), Done::Kept);
    }
}
