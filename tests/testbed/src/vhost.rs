//! Makes one virtual host per test, and administers it.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::http::Management;
use crate::url::{Url, encode};
use crate::{environment, wait};

const AMQP_PORT: u16 = 5672;
const MANAGEMENT_PORT: u16 = 15672;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A new virtual host on the broker of this test run.
///
/// # Errors
///
/// The run has no broker (the error says: run `tests/run`), or the broker rejected the virtual host.
pub async fn vhost() -> anyhow::Result<Vhost> {
    let amqp = environment::required(environment::AMQP_URL)?;
    let management = match environment::variable(environment::MANAGEMENT_URL) {
        Some(url) => url,
        None => default_management_url(&amqp)?,
    };
    Vhost::create(&amqp, &management).await
}

fn default_management_url(amqp: &str) -> anyhow::Result<String> {
    let url = Url::parse(amqp, AMQP_PORT)?;
    let authority = format!("{}:{MANAGEMENT_PORT}", url.host());
    Ok(Url {
        scheme: "http".into(),
        authority,
        ..url
    }
    .with_path(""))
}

/// The virtual host of a test. Dropping the value deletes it with its users.
pub struct Vhost {
    name: String,
    amqp: Url,
    management: Management,
    users: Mutex<Vec<String>>,
}

/// A user without permissions; see [`Vhost::set_permissions`].
#[derive(Clone, Debug)]
pub struct User {
    /// Unique on the broker, because users are global.
    pub name: String,
    pub password: String,
    /// AMQP URL of the virtual host as this user.
    pub url: String,
    amqp: Url,
    vhost: String,
}

/// The state of a queue, up to a quarter of a second old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    pub name: String,
    /// `quorum`, `classic` or `stream`.
    pub kind: String,
    /// Number of messages waiting for delivery.
    pub ready: u64,
    /// Number of delivered messages without acknowledgement.
    pub unacknowledged: u64,
}

/// A connection of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The broker's name of the connection, for [`Vhost::close_connection`].
    pub name: String,
    pub user: String,
}

impl User {
    /// AMQP URL as this user with another address, such as that of a [`FaultProxy`](crate::FaultProxy).
    pub fn url_through(&self, proxy: SocketAddr) -> String {
        through(&self.amqp, proxy).with_path(&self.vhost)
    }
}

impl Vhost {
    /// Makes a virtual host on the broker with these URLs.
    pub(crate) async fn create(amqp: &str, management: &str) -> anyhow::Result<Self> {
        let amqp = Url::parse(amqp, AMQP_PORT)?;
        let management = Management::new(Url::parse(management, MANAGEMENT_PORT)?);
        let mut this = Self {
            name: format!("test-{}", uuid::Uuid::now_v7().simple()),
            amqp,
            management,
            users: Mutex::default(),
        };
        this.put(&format!("/vhosts/{}", this.name), json!({}))
            .await
            .context("create a virtual host")?;
        // Each virtual host has its own owner, because closing the connections of a user affects all virtual hosts.
        let owner = this.create_user("owner").await?;
        this.set_permissions(&owner.name, ".*", ".*", ".*").await?;
        this.amqp.user = owner.name;
        this.amqp.password = owner.password;
        Ok(this)
    }

    /// AMQP URL of this virtual host, as a user with all permissions in it.
    pub fn url(&self) -> String {
        self.amqp.with_path(&self.name)
    }

    /// The same URL with another address, such as that of a [`FaultProxy`](crate::FaultProxy).
    pub fn url_through(&self, proxy: SocketAddr) -> String {
        through(&self.amqp, proxy).with_path(&self.name)
    }

    /// URL of the broker's management API, as administrator.
    pub fn management_url(&self) -> String {
        self.management.url().with_path("")
    }

    /// Deletes a user made by the code under test together with the virtual host.
    pub fn adopt_user(&self, name: &str) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.push(name.to_owned());
    }

    /// Deletes the virtual host, so that the code under test can make it. It is deleted again on drop.
    ///
    /// # Errors
    ///
    /// As [`Vhost::create_user`].
    pub async fn vanish(&self) -> anyhow::Result<()> {
        self.delete(&format!("/vhosts/{}", self.name)).await
    }

    /// Whether the virtual host exists.
    ///
    /// # Errors
    ///
    /// As [`Vhost::create_user`].
    pub async fn exists(&self) -> anyhow::Result<bool> {
        let all = self.list("/vhosts".to_owned()).await?;
        Ok(all.iter().any(|vhost| vhost["name"] == self.name.as_str()))
    }

    /// Imports a definitions file.
    ///
    /// # Errors
    ///
    /// As [`Vhost::create_user`].
    pub async fn import(&self, definitions: Value) -> anyhow::Result<()> {
        let path = "/definitions".to_owned();
        self.management.request("POST", path, Some(definitions)).await?;
        Ok(())
    }

    /// The AMQP address of the broker.
    ///
    /// # Errors
    ///
    /// The host name does not resolve.
    pub fn addr(&self) -> anyhow::Result<SocketAddr> {
        self.amqp.resolve()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new user without permissions. Its name begins with `role`.
    ///
    /// # Errors
    ///
    /// The broker rejected the request or did not answer.
    pub async fn create_user(&self, role: &str) -> anyhow::Result<User> {
        let name = format!("{role}-{}", &self.name["test-".len()..]);
        let password = uuid::Uuid::now_v7().simple().to_string();
        self.put(
            &format!("/users/{}", encode(&name)),
            json!({"password": password, "tags": ""}),
        )
        .await?;
        self.users
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(name.clone());
        let amqp = Url {
            user: name.clone(),
            password: password.clone(),
            ..self.amqp.clone()
        };
        Ok(User {
            name,
            password,
            url: amqp.with_path(&self.name),
            amqp,
            vhost: self.name.clone(),
        })
    }

    /// Sets what the user may configure, write and read: regular expressions on names.
    ///
    /// # Errors
    ///
    /// As [`Vhost::create_user`].
    pub async fn set_permissions(
        &self,
        user: &str,
        configure: &str,
        write: &str,
        read: &str,
    ) -> anyhow::Result<()> {
        self.put(
            &format!("/permissions/{}/{}", self.name, encode(user)),
            json!({"configure": configure, "write": write, "read": read}),
        )
        .await
    }

    /// Takes the user's permissions away.
    ///
    /// # Errors
    ///
    /// As [`Vhost::create_user`].
    pub async fn clear_permissions(&self, user: &str) -> anyhow::Result<()> {
        self.delete(&format!("/permissions/{}/{}", self.name, encode(user)))
            .await
    }

    /// Sets the routing keys with which the user may publish to a topic exchange and bind to it.
    ///
    /// # Errors
    ///
    /// As [`Vhost::create_user`].
    pub async fn set_topic_permissions(
        &self,
        user: &str,
        exchange: &str,
        write: &str,
        read: &str,
    ) -> anyhow::Result<()> {
        self.put(
            &format!("/topic-permissions/{}/{}", self.name, encode(user)),
            json!({"exchange": exchange, "write": write, "read": read}),
        )
        .await
    }

    /// Publishes an empty message with a header of `depth` arrays within each other.
    ///
    /// # Errors
    ///
    /// As [`Vhost::create_user`], or if no queue takes the message.
    pub async fn publish_nested(
        &self,
        exchange: &str,
        routing_key: &str,
        depth: usize,
    ) -> anyhow::Result<()> {
        let (management, key) = (self.management.clone(), routing_key.to_owned());
        let path = format!("/exchanges/{}/{}/publish", self.name, encode(exchange));
        let work = move || {
            let nested = (0..depth).fold(json!([]), |inner, _| Value::Array(vec![inner]));
            let properties = json!({"headers": {"nested": nested}, "delivery_mode": 2});
            let body = json!({
                "properties": properties, "routing_key": key, "payload": "", "payload_encoding": "string",
            });
            management.request_now("POST", &path, Some(&body))
        };
        // The value is written and dropped by recursion, in this thread.
        let thread = std::thread::Builder::new().stack_size(1 << 30).spawn(work)?;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await?;
        let answer = joined.map_err(|_| anyhow::anyhow!("the thread panicked"))??;
        anyhow::ensure!(answer["routed"] == true, "no queue takes the message: {answer}");
        Ok(())
    }

    /// Sets a policy for the queues whose names match `pattern`, such as `json!({"max-length": 10})`.
    ///
    /// # Errors
    ///
    /// As [`Vhost::create_user`].
    pub async fn set_policy(&self, name: &str, pattern: &str, definition: Value) -> anyhow::Result<()> {
        self.put(
            &format!("/policies/{}/{}", self.name, encode(name)),
            json!({"pattern": pattern, "definition": definition, "apply-to": "queues"}),
        )
        .await
    }

    /// Deletes a policy.
    ///
    /// # Errors
    ///
    /// As [`Vhost::create_user`].
    pub async fn delete_policy(&self, name: &str) -> anyhow::Result<()> {
        self.delete(&format!("/policies/{}/{}", self.name, encode(name)))
            .await
    }

    /// Publishes a text by the management API, for what no client of Lockstep publishes.
    ///
    /// # Errors
    ///
    /// As [`Vhost::create_user`], and if it reaches no queue.
    pub async fn publish(&self, exchange: &str, routing_key: &str, body: &str) -> anyhow::Result<()> {
        let path = format!("/exchanges/{}/{}/publish", self.name, encode(exchange));
        let message = json!({
            "properties": {}, "routing_key": routing_key, "payload": body, "payload_encoding": "string",
        });
        let answer = self.management.request("POST", path, Some(message)).await?;
        ensure!(answer["routed"] == true, "no queue takes {routing_key}: {answer}");
        Ok(())
    }

    /// All queues, by name.
    ///
    /// # Errors
    ///
    /// As [`Vhost::create_user`].
    pub async fn queues(&self) -> anyhow::Result<Vec<Queue>> {
        let path = format!(
            "/queues/{}?disable_stats=true&enable_queue_totals=true",
            self.name
        );
        let mut queues: Vec<Queue> = self.list(path).await?.iter().map(queue).collect();
        queues.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(queues)
    }

    /// The queue with this name; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// As [`Vhost::create_user`].
    pub async fn queue(&self, name: &str) -> anyhow::Result<Option<Queue>> {
        let queues = self.queues().await?;
        Ok(queues.into_iter().find(|queue| queue.name == name))
    }

    /// The leader node of a quorum queue, as `NAME@HOST`.
    ///
    /// # Errors
    ///
    /// The queue does not exist, or as [`Vhost::create_user`].
    pub async fn leader(&self, queue: &str) -> anyhow::Result<String> {
        let path = format!("/queues/{}/{}", self.name, encode(queue));
        let entry = self.management.request("GET", path, None).await?;
        let leader = entry["leader"].as_str().or_else(|| entry["node"].as_str());
        leader
            .map(str::to_owned)
            .with_context(|| format!("{queue} has no leader"))
    }

    /// Deletes a queue with its messages.
    ///
    /// # Errors
    ///
    /// As [`Vhost::create_user`].
    pub async fn delete_queue(&self, name: &str) -> anyhow::Result<()> {
        self.delete(&format!("/queues/{}/{}", self.name, encode(name)))
            .await
    }

    /// The connections of clients to this virtual host.
    ///
    /// # Errors
    ///
    /// As [`Vhost::create_user`].
    pub async fn connections(&self) -> anyhow::Result<Vec<Connection>> {
        // Without statistics, the broker reports the current state.
        let all = self.list("/connections?disable_stats=true".into()).await?;
        let ours = all.iter().filter(|entry| entry["vhost"] == self.name);
        Ok(ours.map(connection).collect())
    }

    /// Closes one connection from the broker's side. It may take five seconds, because the management API knows a new
    /// connection only after that time.
    ///
    /// # Errors
    ///
    /// The connection does not exist, or as [`Vhost::create_user`].
    pub async fn close_connection(&self, name: &str) -> anyhow::Result<()> {
        let path = format!("/connections/{}", encode(name));
        wait::until("the broker to close a connection", CLOSE_TIMEOUT, async || {
            self.delete(&path).await
        })
        .await?;
        Ok(())
    }

    /// Closes the connections of all clients from the broker's side, and returns their number.
    ///
    /// # Errors
    ///
    /// As [`Vhost::create_user`].
    pub async fn close_all_connections(&self) -> anyhow::Result<usize> {
        let connections = self.connections().await?;
        for user in self.users() {
            self.delete(&format!("/connections/username/{}", encode(&user)))
                .await?;
        }
        Ok(connections.len())
    }

    fn users(&self) -> Vec<String> {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.clone()
    }

    async fn put(&self, path: &str, body: Value) -> anyhow::Result<()> {
        self.management
            .request("PUT", path.to_owned(), Some(body))
            .await?;
        Ok(())
    }

    async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.management.request("DELETE", path.to_owned(), None).await?;
        Ok(())
    }

    async fn list(&self, path: String) -> anyhow::Result<Vec<Value>> {
        match self.management.request("GET", path, None).await? {
            Value::Array(entries) => Ok(entries),
            other => anyhow::bail!("not a list: {other}"),
        }
    }
}

impl Drop for Vhost {
    /// Blocks for about 100 ms. Best effort: a private broker may have ended already.
    fn drop(&mut self) {
        let users = self.users();
        let users = users.iter().map(|user| format!("/users/{}", encode(user)));
        for path in users.chain([format!("/vhosts/{}", self.name)]) {
            let _ = self.management.request_now("DELETE", &path, None);
        }
    }
}

fn queue(entry: &Value) -> Queue {
    Queue {
        name: text(&entry["name"]),
        kind: text(&entry["type"]),
        ready: entry["messages_ready"].as_u64().unwrap_or(0),
        unacknowledged: entry["messages_unacknowledged"].as_u64().unwrap_or(0),
    }
}

fn connection(entry: &Value) -> Connection {
    Connection {
        name: text(&entry["name"]),
        user: text(&entry["user"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn through(url: &Url, proxy: SocketAddr) -> Url {
    Url {
        authority: proxy.to_string(),
        ..url.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn management_is_on_the_host_of_the_broker_by_default() {
        let url = default_management_url("amqp://u:p@rabbit:5671/x").unwrap();
        assert_eq!(url, "http://u:p@rabbit:15672/");
    }
}
