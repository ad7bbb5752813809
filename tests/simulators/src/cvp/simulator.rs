use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use thiserror::Error;
use tokio::net::TcpListener;

use super::endpoint::Endpoint;
use super::fault::Injection;
use super::hold::Hold;
use super::knobs::Knobs;
use super::log::Logged;
use super::scenario::Scenario;
use super::serve::{Certificates, Node, NodeMode, Shared, accept};
use super::state::{Accounts, State};
use super::world::{TaskStatus, World};

/// Where it listens, and who may come in.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address of the first node; port 0 chooses a free one.
    pub listen: SocketAddr,
    /// How many nodes; each has the address after the one before, and all have the same port.
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

/// Why it did not start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("cannot listen on {address}; choose another address, or end what uses it")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot use the certificate that was made")]
    Tls(#[from] rustls::Error),
}

/// A CloudVision that runs until it is dropped. What it shows and what can be changed is the same for all its nodes.
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
    /// An address is taken or not ours.
    pub async fn start(scenario: Scenario, options: Options) -> Result<Self, StartError> {
        let listeners = listen(&options).await?;
        let ips: Vec<IpAddr> = listeners.iter().map(|(address, _)| address.ip()).collect();
        let Certificates { ca_pem, server: tls } = Certificates::make(&ips)?;
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
            ca_pem,
        })
    }

    /// The certificate of the authority that signed the nodes' one.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Where the nodes listen, or would if they were up.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.with_nodes(|nodes| nodes.iter().map(|node| node.address).collect())
    }

    /// The address of a node as the begin of a URL.
    ///
    /// # Panics
    /// There is no such node.
    pub fn url(&self, node: usize) -> String {
        format!("https://{}", self.addresses()[node])
    }

    /// Looks at the world, or changes it.
    pub fn edit<R>(&self, edit: impl FnOnce(&mut World) -> R) -> R {
        let mut state = self.shared.state();
        state.settle();
        edit(&mut state.world)
    }

    /// Turns knobs.
    pub fn tune(&self, tune: impl FnOnce(&mut Knobs)) {
        tune(&mut self.shared.state().knobs);
    }

    /// Breaks requests to come. Of several injections that fit one request, the first is the one that happens.
    pub fn inject(&self, injection: Injection) {
        self.shared.state().faults.inject(injection);
    }

    /// Takes all injections back.
    pub fn heal(&self) {
        self.shared.state().faults.clear();
    }

    /// Changes the world once, right after the nth request from now to this endpoint about this task (id) or device (MAC
    /// address); about anything if `None`. The answer to that request still shows the world as it was. Requests that are
    /// not done do not count: for want of a session, or by a fault.
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

    /// How many such changes are still to happen.
    pub fn changes_to_come(&self) -> usize {
        self.shared.state().hooks.waiting()
    }

    /// Stops requests to this endpoint about this task or device (about anything if `None`) before they are done.
    pub fn hold(&self, endpoint: Endpoint, subject: Option<&str>) -> Hold {
        self.shared.state().holds.add(endpoint, subject)
    }

    /// Ends all sessions, without telling anyone.
    pub fn expire_sessions(&self) {
        self.shared.state().sessions.expire_all();
    }

    /// How often somebody logged in.
    pub fn logins(&self) -> usize {
        self.shared.state().sessions.logins()
    }

    /// How many sessions are open.
    pub fn open_sessions(&self) -> usize {
        self.shared.state().sessions.open()
    }

    /// The requests so far, the oldest first.
    pub fn requests(&self) -> Vec<Logged> {
        self.shared.state().log.entries()
    }

    /// How often an endpoint was asked.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.counts().get(&endpoint).copied().unwrap_or_default()
    }

    /// How often each endpoint was asked.
    pub fn counts(&self) -> BTreeMap<Endpoint, usize> {
        self.shared.state().log.counts()
    }

    /// How many requests were under way at once, at most.
    pub fn peak_concurrency(&self) -> usize {
        self.shared.state().log.peak()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// Begins to count and to remember requests anew.
    pub fn forget_requests(&self) {
        self.shared.state().log.forget();
    }

    /// Ids of the tasks whose cancellation was triggered, in that order.
    pub fn cancelled(&self) -> Vec<String> {
        self.shared.state().cancelled.clone()
    }

    /// Where a task is now.
    pub fn task_status(&self, id: &str) -> Option<TaskStatus> {
        self.edit(|world| world.task(id).map(|task| task.status))
    }

    /// Lets a node behave otherwise.
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
            // That it was cut off is what was wanted.
            let _ = listening.await;
        }
    }

    /// Lets a node listen again.
    ///
    /// # Errors
    /// Its address was taken meanwhile.
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

/// How often a port is tried that is free on the first address but not on all.
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
