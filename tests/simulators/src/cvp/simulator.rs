use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use thiserror::Error;
use tokio::net::TcpListener;

use super::endpoint::Endpoint;
use super::fault::Injection;
use super::knobs::Knobs;
use super::log::Logged;
use super::scenario::Scenario;
use super::serve::{Node, NodeMode, Shared, accept};
use super::state::{Accounts, State};
use super::world::{TaskStatus, World};
use crate::authority::{Authority, CertificateError};
use crate::hold::Hold;

/// Addresses and credentials of the simulator.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address of the first node; port 0 chooses a free one.
    pub listen: SocketAddr,
    /// Number of nodes. Their addresses are consecutive, and all have the same port.
    pub nodes: u8,
    pub username: String,
    pub password: String,
    /// Token of a service account.
    pub token: String,
}

impl Default for Options {
    /// One node on a free port of 127.0.0.1.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            nodes: 1,
            username: "cvpadmin".to_owned(),
            password: "simulated".to_owned(),
            token: "simulated-token".to_owned(),
        }
    }
}

/// The reason why the simulator did not start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("cannot listen on {address}; choose another address, or stop the program that uses it")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A simulated CloudVision that runs until it is dropped. All nodes share its state.
#[derive(Debug)]
pub struct CvpSimulator {
    shared: Arc<Shared>,
    nodes: Mutex<Vec<Node>>,
    tls: Arc<ServerConfig>,
    ca_pem: String,
}

impl CvpSimulator {
    /// Starts all nodes, in the Tokio runtime of the caller.
    ///
    /// # Errors
    /// An address is in use or does not belong to this machine.
    pub async fn start(scenario: Scenario, options: Options) -> Result<Self, StartError> {
        let listeners = listen(&options).await?;
        let ips: Vec<IpAddr> = listeners.iter().map(|(address, _)| address.ip()).collect();
        let authority = Authority::make("Simulated CloudVision CA")?;
        let local = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let tls = authority.server(
            &["cvp.example.net", "localhost"],
            ips.iter().copied().chain(local),
        )?;
        let accounts = Accounts {
            username: options.username,
            password: options.password,
            token: options.token,
        };
        let shared = Shared::new(State::new(scenario, accounts, ips.len()));
        let nodes = listeners
            .into_iter()
            .enumerate()
            .map(|(index, (address, listener))| {
                let serving = accept(listener, tls.clone(), shared.clone(), index);
                Node {
                    address,
                    listening: Some(tokio::spawn(serving)),
                }
            });
        let nodes = Mutex::new(nodes.collect());
        Ok(Self {
            shared,
            nodes,
            tls,
            ca_pem: authority.pem().to_owned(),
        })
    }

    /// The certificate of the authority that signed the certificate of the nodes, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The addresses of all nodes, including nodes that are down.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.with_nodes(|nodes| nodes.iter().map(|node| node.address).collect())
    }

    /// The base URL of a node.
    ///
    /// # Panics
    /// There is no such node.
    pub fn url(&self, node: usize) -> String {
        format!("https://{}", self.addresses()[node])
    }

    /// Reads or changes the world.
    pub fn edit<R>(&self, edit: impl FnOnce(&mut World) -> R) -> R {
        let mut state = self.shared.state();
        state.settle();
        edit(&mut state.world)
    }

    /// Changes knobs.
    pub fn tune(&self, tune: impl FnOnce(&mut Knobs)) {
        tune(&mut self.shared.state().knobs);
    }

    /// Breaks later requests. Of several injections that match a request, the first one applies.
    pub fn inject(&self, injection: Injection) {
        self.shared.state().faults.inject(injection);
    }

    /// Removes all injections.
    pub fn heal(&self) {
        self.shared.state().faults.clear();
    }

    /// Changes the world once, right after the nth request from now to this endpoint about this task (id) or device (MAC
    /// address); about anything if `None`. The response to that request still shows the world before the change. Requests
    /// without a session, and requests that a fault prevents, do not count.
    pub fn after(
        &self,
        endpoint: Endpoint,
        subject: Option<&str>,
        nth: u32,
        action: impl FnOnce(&mut World) + Send + 'static,
    ) {
        self.shared
            .state()
            .hooks
            .add(endpoint, subject, nth, Box::new(action));
    }

    /// Number of such changes that have not happened yet.
    pub fn changes_to_come(&self) -> usize {
        self.shared.state().hooks.waiting()
    }

    /// Stops requests to this endpoint about this task or device (about anything if `None`) before they are executed.
    pub fn hold(&self, endpoint: Endpoint, subject: Option<&str>) -> Hold {
        self.shared
            .state()
            .holds
            .add((endpoint, subject.map(str::to_owned)))
    }

    /// Ends all sessions. Clients notice it at their next request.
    pub fn expire_sessions(&self) {
        self.shared.state().sessions.expire_all();
    }

    /// Number of logins.
    pub fn logins(&self) -> usize {
        self.shared.state().sessions.logins()
    }

    /// Number of open sessions.
    pub fn open_sessions(&self) -> usize {
        self.shared.state().sessions.open()
    }

    /// The requests so far, oldest first.
    pub fn requests(&self) -> Vec<Logged> {
        self.shared.state().log.entries()
    }

    /// Number of requests to an endpoint.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.counts().get(&endpoint).copied().unwrap_or_default()
    }

    /// Number of requests to each endpoint.
    pub fn counts(&self) -> BTreeMap<Endpoint, usize> {
        self.shared.state().log.counts()
    }

    /// Maximum number of concurrent requests.
    pub fn peak_concurrency(&self) -> usize {
        self.shared.state().log.peak()
    }

    /// Number of connections.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// Forgets all requests and counts.
    pub fn forget_requests(&self) {
        self.shared.state().log.forget();
    }

    /// Ids of the tasks whose cancellation was triggered, in that order.
    pub fn cancelled(&self) -> Vec<String> {
        self.shared.state().cancelled.clone()
    }

    /// The current status of a task.
    pub fn task_status(&self, id: &str) -> Option<TaskStatus> {
        self.edit(|world| world.task(id).map(|task| task.status))
    }

    /// Changes the behaviour of a node.
    ///
    /// # Panics
    /// There is no such node.
    pub fn set_mode(&self, node: usize, mode: NodeMode) {
        self.shared.state().modes[node] = mode;
    }

    /// Closes a node's listener and its connections. When this returns, connections to it are refused.
    ///
    /// # Panics
    /// There is no such node.
    pub async fn take_down(&self, node: usize) {
        let listening = self.with_nodes(|nodes| nodes[node].listening.take());
        if let Some(listening) = listening {
            listening.abort();
            // The cancellation of the task is expected.
            let _ = listening.await;
        }
    }

    /// Starts the listener of a node again.
    ///
    /// # Errors
    /// Its address is in use meanwhile.
    ///
    /// # Panics
    /// There is no such node.
    pub async fn bring_up(&self, node: usize) -> Result<(), StartError> {
        self.take_down(node).await;
        let address = self.addresses()[node];
        let listener = bind(address).await?;
        let serving = accept(listener, self.tls.clone(), self.shared.clone(), node);
        self.with_nodes(|nodes| nodes[node].listening = Some(tokio::spawn(serving)));
        Ok(())
    }

    fn with_nodes<R>(&self, see: impl FnOnce(&mut Vec<Node>) -> R) -> R {
        see(&mut self.nodes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

type Listeners = Vec<(SocketAddr, TcpListener)>;

/// Number of attempts to find a port that is free on all addresses.
const PORTS_TRIED: usize = 16;

async fn listen(options: &Options) -> Result<Listeners, StartError> {
    let mut tried = 1;
    loop {
        match listen_on_one_port(options).await {
            Err(_) if options.listen.port() == 0 && tried < PORTS_TRIED => tried += 1,
            settled => return settled,
        }
    }
}

async fn listen_on_one_port(options: &Options) -> Result<Listeners, StartError> {
    let mut listeners = Listeners::new();
    let mut port = options.listen.port();
    for index in 0..options.nodes.max(1) {
        let asked = SocketAddr::new(following(options.listen.ip(), index), port);
        let listener = bind(asked).await?;
        let address = listener.local_addr().map_err(|source| StartError::Listen {
            address: asked,
            source,
        })?;
        port = address.port();
        listeners.push((address, listener));
    }
    Ok(listeners)
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })
}

fn following(ip: IpAddr, by: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from(u32::from(ip).wrapping_add(by.into())).into(),
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip).wrapping_add(by.into())).into(),
    }
}
