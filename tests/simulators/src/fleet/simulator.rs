use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hyper::service::service_fn;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::respond::respond;
use super::shared::{Accounts, Shared};
use super::{Behaviour, Device, Time};
use crate::authority::{Authority, CertificateError};
use crate::connection;

/// Addresses and credentials of the fleet.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address of the first device; the next devices have the next addresses and the same port. Port 0 chooses a free one.
    pub listen: SocketAddr,
    pub username: String,
    pub password: String,
    /// The password of `enable`, if it asks for one.
    pub enable_password: Option<String>,
    pub time: Time,
}

impl Default for Options {
    /// A free port on 127.64.0.1 and the addresses after it.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::new(127, 64, 0, 1), 0)),
            username: "admin".to_owned(),
            password: "simulated".to_owned(),
            enable_password: None,
            time: Time::Passes,
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
    #[error(
        "{devices} devices need that many IPv4 addresses from {first} on; only addresses of this machine (127.0.0.0/8) are allowed"
    )]
    Addresses { first: IpAddr, devices: usize },
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Simulated devices that run until it is dropped.
#[derive(Debug)]
pub struct FleetSimulator {
    pub(super) shared: Arc<Shared>,
    authority: Arc<Certificates>,
    devices: Mutex<Vec<Listening>>,
}

/// A device's address, and its listener while it is reachable.
#[derive(Debug)]
struct Listening {
    address: SocketAddr,
    task: Option<JoinHandle<()>>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl FleetSimulator {
    /// Starts all devices, in the Tokio runtime of the caller.
    ///
    /// # Errors
    /// An address is in use, or is not a loopback address.
    pub async fn start(devices: Vec<Device>, options: Options) -> Result<Self, StartError> {
        let addresses = addresses(options.listen, devices.len())?;
        let authority = Arc::new(Certificates(Authority::make("Simulated fleet CA")?));
        let shared = Arc::new(Shared::new(
            devices,
            Accounts {
                username: options.username,
                password: options.password,
                enable_password: options.enable_password,
            },
            options.time,
        ));
        let mut port = options.listen.port();
        let mut listening = Vec::with_capacity(addresses.len());
        for (index, ip) in addresses.into_iter().enumerate() {
            let listener = bind(SocketAddr::new(ip.into(), port)).await?;
            let address = local_address(&listener, SocketAddr::new(ip.into(), port))?;
            port = address.port();
            let task = tokio::spawn(accept(
                listener,
                index,
                ip.into(),
                authority.clone(),
                shared.clone(),
            ));
            listening.push(Listening {
                address,
                task: Some(task),
            });
        }
        Ok(Self {
            shared,
            authority,
            devices: Mutex::new(listening),
        })
    }

    /// The certificate of the authority that signed the certificates of the devices, in PEM.
    pub fn ca_pem(&self) -> &str {
        self.authority.0.pem()
    }

    /// The addresses of all devices, in their order.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.with_devices(|devices| devices.iter().map(|device| device.address).collect())
    }

    /// Reads or changes a device.
    ///
    /// # Panics
    /// There is no such device.
    pub fn edit<R>(&self, device: usize, edit: impl FnOnce(&mut Device) -> R) -> R {
        edit(&mut self.shared.device(device).device)
    }

    /// Changes the behaviour of a device. Requests that are being answered keep the former one.
    ///
    /// # Panics
    /// There is no such device.
    pub fn behave(&self, device: usize, behaviour: Behaviour) {
        self.edit(device, |device| device.behaviour = behaviour);
    }

    /// Changes the password of all devices.
    pub fn set_password(&self, password: &str) {
        password.clone_into(&mut self.shared.accounts().password);
    }

    /// Closes the listener of a device and its connections. When this returns, connections to it are refused.
    ///
    /// # Panics
    /// There is no such device.
    pub async fn take_down(&self, device: usize) {
        if let Some(task) = self.with_devices(|devices| devices[device].task.take()) {
            task.abort();
            // The cancellation of the task is expected.
            let _ = task.await;
        }
    }

    /// Makes a device reachable again.
    ///
    /// # Errors
    /// Its address is in use meanwhile.
    ///
    /// # Panics
    /// There is no such device.
    pub async fn bring_up(&self, device: usize) -> Result<(), StartError> {
        self.take_down(device).await;
        let address = self.addresses()[device];
        let listener = bind(address).await?;
        let serving = accept(
            listener,
            device,
            address.ip(),
            self.authority.clone(),
            self.shared.clone(),
        );
        self.with_devices(|devices| devices[device].task = Some(tokio::spawn(serving)));
        Ok(())
    }

    /// The commands that a device was asked to run, oldest first.
    ///
    /// # Panics
    /// There is no such device.
    pub fn commands(&self, device: usize) -> Vec<String> {
        self.shared.device(device).commands.clone()
    }

    /// Number of connections that a device accepted.
    ///
    /// # Panics
    /// There is no such device.
    pub fn connections(&self, device: usize) -> usize {
        self.shared.device(device).connections
    }

    /// Number of requests to a device.
    ///
    /// # Panics
    /// There is no such device.
    pub fn requests_to(&self, device: usize) -> usize {
        self.shared.device(device).counts.requests
    }

    /// Maximum number of concurrent requests to a device.
    ///
    /// # Panics
    /// There is no such device.
    pub fn peak_concurrency_of(&self, device: usize) -> usize {
        self.shared.device(device).counts.peak
    }

    /// Number of requests to all devices that are being answered.
    pub fn in_flight(&self) -> usize {
        self.shared.counts().running
    }

    /// Number of requests to all devices.
    pub fn requests(&self) -> usize {
        self.shared.counts().requests
    }

    /// Maximum number of concurrent requests to all devices.
    pub fn peak_concurrency(&self) -> usize {
        self.shared.counts().peak
    }

    fn with_devices<R>(&self, see: impl FnOnce(&mut Vec<Listening>) -> R) -> R {
        see(&mut self.devices.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes the certificate of each device when it is needed for the first time.
struct Certificates(Authority);

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificates")
    }
}

/// Serves a device until it is aborted, which closes its listener and its connections.
async fn accept(
    listener: TcpListener,
    index: usize,
    ip: IpAddr,
    certificates: Arc<Certificates>,
    shared: Arc<Shared>,
) {
    let acceptor: OnceLock<Option<TlsAcceptor>> = OnceLock::new();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(_) if shared.device(index).device.behaviour == Behaviour::Unreachable => {}
                Ok((stream, _)) => {
                    let acceptor = acceptor.get_or_init(|| tls(&certificates.0, &shared, index, ip));
                    if let Some(acceptor) = acceptor {
                        connections.spawn(serve(stream, acceptor.clone(), index, shared.clone()));
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    // Most likely out of file descriptors; other connections free some when they end.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

fn tls(authority: &Authority, shared: &Shared, index: usize, ip: IpAddr) -> Option<TlsAcceptor> {
    let hostname = shared.device(index).device.hostname.clone();
    match authority.server(&[&hostname], [ip]) {
        Ok(config) => Some(TlsAcceptor::from(config)),
        Err(error) => {
            tracing::error!(error = %error, hostname, "the device has no certificate");
            None
        }
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, index: usize, shared: Arc<Shared>) {
    let Some(stream) = connection::handshake(stream, &acceptor).await else {
        return;
    };
    shared.device(index).connections += 1;
    let service = service_fn(move |request| respond(shared.clone(), index, request));
    connection::serve(stream, service).await;
}

/// The addresses of so many devices. Only loopback addresses: nobody else is to reach a simulated device.
fn addresses(first: SocketAddr, devices: usize) -> Result<Vec<Ipv4Addr>, StartError> {
    let none = || StartError::Addresses {
        first: first.ip(),
        devices,
    };
    let IpAddr::V4(first) = first.ip() else {
        return Err(none());
    };
    let first = u32::from(first);
    let last = u32::try_from(devices.max(1) - 1)
        .ok()
        .and_then(|more| first.checked_add(more));
    let range = first..=last.ok_or_else(none)?;
    let addresses: Vec<Ipv4Addr> = range.map(Ipv4Addr::from).take(devices).collect();
    if addresses.iter().all(Ipv4Addr::is_loopback) {
        Ok(addresses)
    } else {
        Err(none())
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })
}

fn local_address(listener: &TcpListener, asked: SocketAddr) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Listen {
        address: asked,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_consecutive_loopback_addresses() {
        let table = [
            ("127.64.0.1:443", 2, Some("127.64.0.2")),
            ("127.64.0.255:443", 3, Some("127.64.1.1")),
            ("127.255.255.254:443", 3, None),
            ("192.0.2.1:443", 1, None),
            ("[::1]:443", 1, None),
        ];
        for (first, devices, last) in table {
            let made = addresses(first.parse().unwrap(), devices);
            assert_eq!(
                made.ok()
                    .and_then(|made| made.last().map(ToString::to_string))
                    .as_deref(),
                last,
                "{first}"
            );
        }
    }
}
