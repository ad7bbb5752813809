use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::respond::respond;
use super::webhook::Webhook;

/// Which system, and which version, is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// NetBox 4.6.
    NetBox,
    /// NetBox 4.0, whose change log is among the extras.
    NetBox40,
    /// Nautobot 2.
    Nautobot,
}

/// How requests are answered instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// As they should be.
    #[default]
    None,
    /// With this status and no body.
    Status(u16),
    /// Never.
    Hang,
    /// With a text that is not JSON.
    Garbage,
    /// With half of the answer.
    Truncated,
    /// With a redirect to this address.
    Redirect(String),
    /// With the first page, whichever is asked for, and a link to a next one.
    Endless,
    /// With links to next pages at this address.
    NextAt(String),
}

/// A change of an object.
#[derive(Clone, Debug)]
pub struct Change {
    /// `create`, `update` or `delete`.
    pub action: &'static str,
    /// Such as `dcim.device`.
    pub object_type: &'static str,
    /// Where the object is below `/api/`, such as `dcim/devices`.
    pub path: &'static str,
    /// The object in the REST representation, with its id.
    pub object: Value,
    /// The fields before the change.
    pub before: Value,
    /// The fields after the change.
    pub after: Value,
    /// The request that made it.
    pub request: String,
    /// The user who made it.
    pub user: &'static str,
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Path and query.
    pub target: String,
    /// The header `Authorization`.
    pub authorization: String,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) flavor: Flavor,
    pub(super) token: String,
    pub(super) fault: Fault,
    pub(super) objects: BTreeMap<String, Value>,
    pub(super) log: Vec<Value>,
    pub(super) seen: Vec<Seen>,
}

/// A running system. It ends when it is dropped.
#[derive(Debug)]
pub struct Inventory {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

impl Drop for Inventory {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Inventory {
    /// Starts a system without objects, which accepts this token.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start(flavor: Flavor, token: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State {
            flavor,
            token: token.to_owned(),
            fault: Fault::None,
            objects: BTreeMap::new(),
            log: Vec::new(),
            seen: Vec::new(),
        }));
        let serving = tokio::spawn(accept(listener, state.clone()));
        Ok(Self {
            address,
            state,
            serving,
        })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next requests in this way.
    pub fn set_fault(&self, fault: Fault) {
        self.state().fault = fault;
    }

    /// Accepts this token instead.
    pub fn set_token(&self, token: &str) {
        token.clone_into(&mut self.state().token);
    }

    /// The requests that came.
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// Adds an object without a change, as one that was there before.
    pub fn add(&self, path: &str, object: Value) {
        let key = format!("{path}/{}", shown(&object["id"]));
        self.state().objects.insert(key, object);
    }

    /// Makes a change at this time: the log has it, and the webhook says it.
    pub fn change(&self, change: &Change, time: &str) -> Webhook {
        let mut state = self.state();
        let key = format!("{}/{}", change.path, shown(&change.object["id"]));
        if change.action == "delete" {
            state.objects.remove(&key);
        } else {
            state.objects.insert(key, change.object.clone());
        }
        let number = state.log.len() + 1;
        let flavor = state.flavor;
        let mut entry = json!({
            "id": number,
            "display": "",
            "time": time,
            "user_name": change.user,
            "request_id": change.request,
            "action": {"value": change.action, "label": change.action},
            "changed_object_type": change.object_type,
            "changed_object_id": change.object["id"],
            "object_repr": "",
        });
        if flavor == Flavor::Nautobot {
            entry["id"] = format!("{number:08x}-372b-46df-a50a-c26357475bee").into();
            entry["object_data"] = json!({});
            entry["object_data_v2"] = change.object.clone();
        } else {
            entry["prechange_data"] = change.before.clone();
            entry["postchange_data"] = change.after.clone();
        }
        state.log.push(entry);
        Webhook::of(flavor, change, time)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A key as it is part of paths.
pub(super) fn shown(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        let service = service_fn(move |request| respond(state.clone(), request));
        connections.spawn(async move {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "a connection ended early");
            }
        });
    }
}
