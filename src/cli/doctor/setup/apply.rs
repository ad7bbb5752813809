//! Brings the broker to the desired state step by step, and leaves alone what already matches.

use anyhow::Context;
use lockstep_bus::Bus;
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_protocol::topology::Topology;
use lockstep_protocol::topology::access::Role;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::super::management::Management;
use super::credentials::{Credentials, Password};
use super::desired_state::{DesiredState, DesiredUser};
use super::step::{Done, Step};
use crate::config::Config;
use crate::roles;

/// A running set-up.
pub(super) struct SettingUp<'a> {
    pub(super) management: &'a Management,
    /// The files with the broker's address.
    pub(super) credentials: Credentials,
    /// The file of the monitor, with the address of the management API.
    pub(super) monitor: Credentials,
    pub(super) dry_run: bool,
    pub(super) renew: bool,
    pub(super) steps: Vec<Step>,
}

impl SettingUp<'_> {
    /// Runs all steps, each after those it depends on.
    ///
    /// # Errors
    /// The first step that failed.
    pub(super) async fn run(&mut self, config: &Config, desired: &DesiredState) -> anyhow::Result<()> {
        let passwords = self.passwords(desired).await?;
        let vhost = desired.vhost.as_str();
        self.object(format!("virtual host {vhost}"), &["vhosts", vhost], &json!({}))
            .await?;
        let mut declarer = None;
        for (user, (exists, password)) in desired.users.iter().zip(passwords) {
            self.user(user, exists, &password).await?;
            self.permissions(vhost, user).await?;
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
            self.object(format!("policy {name}"), &["policies", vhost, name], body)
                .await?;
        }
        Ok(())
    }

    /// Chooses all passwords before the first change, so that an error here leaves the broker unchanged.
    async fn passwords(&self, desired: &DesiredState) -> anyhow::Result<Vec<(bool, Password)>> {
        let mut all = Vec::with_capacity(desired.users.len());
        for user in &desired.users {
            let exists = self.management.get(&["users", &user.name]).await?.is_some();
            let files = self.files(user);
            let known = files.read(&user.folder, &user.name)?;
            // Each set-up gives its own user a new password, which nothing else needs.
            let password = if user.role == Role::Setup && known.is_none() {
                Password::Set {
                    password: roles::new_secret(),
                    new: false,
                }
            } else {
                files.password(&user.folder, &user.name, known, exists && !self.renew)?
            };
            all.push((exists, password));
        }
        Ok(all)
    }

    /// Where the address of a user is.
    fn files(&self, user: &DesiredUser) -> &Credentials {
        if user.role == Role::Monitor {
            &self.monitor
        } else {
            &self.credentials
        }
    }

    async fn user(&mut self, user: &DesiredUser, exists: bool, password: &Password) -> anyhow::Result<()> {
        let name = &user.name;
        if let (false, Password::Set { password, new }) = (self.dry_run, password) {
            // The file comes first: after a crash in between, the next run sets the password from the file.
            if *new {
                self.files(user).write(&user.folder, name, password)?;
            }
            let body = json!({"password": password.expose_secret(), "tags": user.role.tag()});
            self.management.put(&["users", name], &body).await?;
        }
        let done = if exists { Done::Kept } else { Done::Made };
        self.steps
            .push(Step::login(&format!("user {name}"), done, password));
        Ok(())
    }

    async fn permissions(&mut self, vhost: &str, user: &DesiredUser) -> anyhow::Result<()> {
        let name = user.name.as_str();
        self.object(
            format!("permissions of {name}"),
            &["permissions", vhost, name],
            &user.permissions(),
        )
        .await?;
        let path = ["topic-permissions", vhost, name];
        let found = self.management.get(&path).await?.map(|answer| answer.body);
        for topic in &user.rights.topics {
            let (exchange, desired) = (topic.exchange, json!(topic));
            let what = format!("topic permissions of {name} at {exchange}");
            let there = found
                .as_ref()
                .and_then(Value::as_array)
                .and_then(|all| all.iter().find(|one| one["exchange"] == exchange));
            self.put_unless(what, &path, &desired, there).await?;
        }
        Ok(())
    }

    /// Creates or changes the object at a path, unless it already matches.
    async fn object(&mut self, what: String, path: &[&str], desired: &Value) -> anyhow::Result<()> {
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
                .with_context(|| format!("cannot create the {what}"))?;
        }
        self.step(what, done);
        Ok(())
    }

    fn step(&mut self, what: String, done: Done) {
        self.steps.push(Step::new(what, done));
    }
}

/// Declares as the set-up user, which also proves that its permissions are enough.
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

/// The change that turns the found object into the desired one. The broker adds fields of its own, which are ignored.
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
    fn objects_that_match_are_kept_and_others_changed() {
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
