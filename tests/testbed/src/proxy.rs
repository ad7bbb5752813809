//! A TCP proxy that injects network faults into its connections.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::ports::free_port;

/// How the proxy handles bytes and connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything.
    Pass,
    /// Like a server that does not run: connections are reset, new ones refused.
    Refuse,
    /// Like a pulled cable: connections stay and new ones are accepted, but no bytes pass. Bytes sent meanwhile pass after
    /// [`Mode::Pass`].
    Blackhole,
    /// Blocks one direction: bytes from clients do not pass until [`Mode::Pass`], bytes from the server do.
    Deaf,
    /// Blocks the other direction: bytes from the server do not pass until [`Mode::Pass`], bytes from clients do.
    Mute,
    /// Low bandwidth: this number of bytes per second and direction on each connection, with a delay of a tenth of a second.
    Thin(u32),
    /// Passes this number of bytes from clients to the server, over all connections; then resets all of them once and
    /// changes to [`Mode::Pass`].
    CutAfter(u64),
}

/// The delay of [`Mode::Thin`].
const DELAY: Duration = Duration::from_millis(100);

/// A direction of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    /// From a client to the server.
    Up,
    /// From the server to a client.
    Down,
}

/// A proxy on a port of 127.0.0.1 in front of one server. Dropping it resets its connections.
pub struct FaultProxy {
    addr: SocketAddr,
    faults: Arc<Faults>,
    /// Accepts connections; `None` while the proxy refuses them.
    listener: Mutex<Option<JoinHandle<()>>>,
}

/// State that the handle of the proxy sets and its connections read.
struct Faults {
    upstream: SocketAddr,
    mode: watch::Sender<Mode>,
    /// Remaining bytes of [`Mode::CutAfter`].
    budget: AtomicU64,
    /// Counts the resets; a connection ends at the first one after its start.
    cuts: watch::Sender<u64>,
}

impl FaultProxy {
    /// Starts a proxy that passes everything to `upstream`, which need not listen yet.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn to(upstream: SocketAddr) -> anyhow::Result<Self> {
        let addr = (Ipv4Addr::LOCALHOST, free_port()?).into();
        let faults = Arc::new(Faults {
            upstream,
            mode: watch::Sender::new(Mode::Pass),
            budget: AtomicU64::new(0),
            cuts: watch::Sender::new(0),
        });
        let listener = Mutex::new(Some(listen(addr, Arc::clone(&faults)).await?));
        Ok(Self {
            addr,
            faults,
            listener,
        })
    }

    /// The address for clients.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Changes the mode, also of existing connections. It applies to every connection made after this returns.
    ///
    /// # Errors
    ///
    /// After [`Mode::Refuse`], the port is in use by another process.
    pub async fn set(&self, mode: Mode) -> anyhow::Result<()> {
        let mut listener = self.listener.lock().await;
        if let Mode::CutAfter(bytes) = mode {
            self.faults.budget.store(bytes, Ordering::SeqCst);
        }
        self.faults.mode.send_replace(mode);
        if mode != Mode::Refuse {
            if listener.is_none() {
                *listener = Some(listen(self.addr, Arc::clone(&self.faults)).await?);
            }
            return Ok(());
        }
        if let Some(task) = listener.take() {
            task.abort();
            // The port is free when the task has ended.
            let _ = task.await;
        }
        self.faults.cut();
        Ok(())
    }

    /// Resets all connections. The mode stays, so clients can reconnect at once.
    pub fn cut(&self) {
        self.faults.cut();
    }

    /// Number of open connections.
    pub fn connections(&self) -> usize {
        self.faults.cuts.receiver_count()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(task) = self.listener.get_mut() {
            task.abort();
        }
        self.faults.cut();
    }
}

impl Faults {
    fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }

    /// Waits for a mode in which bytes pass in this direction.
    async fn passing(&self, direction: Direction) -> Mode {
        let mut modes = self.mode.subscribe();
        let passing = modes
            .wait_for(|mode| match mode {
                Mode::Pass | Mode::CutAfter(_) | Mode::Thin(_) => true,
                Mode::Refuse | Mode::Blackhole => false,
                Mode::Deaf => direction == Direction::Down,
                Mode::Mute => direction == Direction::Up,
            })
            .await;
        *passing.expect("the sender is in `self`")
    }

    /// Delays bytes according to [`Mode::Thin`], unless the mode changes meanwhile.
    async fn squeeze(&self, mode: Mode, length: usize) {
        let Mode::Thin(rate) = mode else { return };
        let mut modes = self.mode.subscribe();
        let time = DELAY + Duration::from_secs(length as u64) / rate.max(1);
        let _ = timeout(time, modes.wait_for(|now| *now != mode)).await;
    }

    /// How many of `length` bytes may pass to the server; resets the connections when the budget is used up.
    fn take(&self, length: usize) -> usize {
        let wanted = length as u64;
        let before = self
            .budget
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                Some(left.saturating_sub(wanted))
            })
            .expect("always Some");
        usize::try_from(before.min(wanted)).expect("at most `length`")
    }
}

async fn listen(addr: SocketAddr, faults: Arc<Faults>) -> anyhow::Result<JoinHandle<()>> {
    let listener = TcpListener::bind(addr)
        .await
        .with_context(|| format!("listen on {addr}"))?;
    Ok(tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let cuts = faults.cuts.subscribe();
            tokio::spawn(carry(client, Arc::clone(&faults), cuts));
        }
    }))
}

/// Serves one connection until it is closed or reset.
async fn carry(mut client: TcpStream, faults: Arc<Faults>, mut cuts: watch::Receiver<u64>) {
    let connected = tokio::select! {
        connected = connect(&faults) => connected,
        _ = cuts.changed() => Err(io::ErrorKind::ConnectionReset.into()),
    };
    let Ok(mut server) = connected else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);

    let broken = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            ends = async { tokio::try_join!(
                upwards(&faults, from_client, to_server),
                downwards(&faults, from_server, to_client),
            ) } => ends.is_err(),
            _ = cuts.changed() => true,
        }
    };
    if broken {
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

async fn connect(faults: &Faults) -> io::Result<TcpStream> {
    // A handshake needs both directions.
    faults.passing(Direction::Up).await;
    faults.passing(Direction::Down).await;
    TcpStream::connect(faults.upstream).await
}

async fn upwards(faults: &Faults, mut client: ReadHalf<'_>, mut server: WriteHalf<'_>) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = client.read(&mut buffer).await?;
        let mode = faults.passing(Direction::Up).await;
        faults.squeeze(mode, length).await;
        if length == 0 {
            return server.shutdown().await;
        }
        let Mode::CutAfter(_) = mode else {
            server.write_all(&buffer[..length]).await?;
            continue;
        };
        let allowed = faults.take(length);
        server.write_all(&buffer[..allowed]).await?;
        if allowed < length {
            faults.mode.send_replace(Mode::Pass);
            faults.cut();
        }
    }
}

async fn downwards(faults: &Faults, mut server: ReadHalf<'_>, mut client: WriteHalf<'_>) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = server.read(&mut buffer).await?;
        let mode = faults.passing(Direction::Down).await;
        faults.squeeze(mode, length).await;
        if length == 0 {
            return client.shutdown().await;
        }
        client.write_all(&buffer[..length]).await?;
    }
}
