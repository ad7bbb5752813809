//! A TCP proxy that breaks the connections through it.

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

/// What the proxy does with bytes and connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything.
    Pass,
    /// As if nobody listened: connections are reset, new ones refused.
    Refuse,
    /// As a cable pulled: connections stay and new ones are taken, but nothing comes through. What was sent in the
    /// meantime comes through after [`Mode::Pass`].
    Blackhole,
    /// Half a cable pulled: what clients send does not come through until [`Mode::Pass`], what the server sends does.
    Deaf,
    /// The other half: what the server sends does not come through until [`Mode::Pass`], what clients send does.
    Mute,
    /// A thin cable: so many bytes a second and direction on each connection, with a tenth of a second of delay.
    Thin(u32),
    /// Passes that many bytes more from clients to the server, over all connections; then resets all of them, once, and
    /// is [`Mode::Pass`].
    CutAfter(u64),
}

/// The delay of [`Mode::Thin`].
const DELAY: Duration = Duration::from_millis(100);

/// Which way bytes go.
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
    /// Takes connections; `None` while the proxy refuses them.
    listener: Mutex<Option<JoinHandle<()>>>,
}

/// Shared by the proxy's handle (which sets) and its connections (which obey).
struct Faults {
    upstream: SocketAddr,
    mode: watch::Sender<Mode>,
    /// What is left of [`Mode::CutAfter`].
    budget: AtomicU64,
    /// Counts the cuts; a connection ends at the first after its beginning.
    cuts: watch::Sender<u64>,
}

impl FaultProxy {
    /// Starts a proxy that passes everything to `upstream`, which need not listen yet.
    ///
    /// # Errors
    ///
    /// There is no port to listen on.
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

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Changes the mode, also for connections that exist. Afterwards a new connection finds the new mode.
    ///
    /// # Errors
    ///
    /// After [`Mode::Refuse`], the port is taken by another.
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
            // The port is free when the task is gone.
            let _ = task.await;
        }
        self.faults.cut();
        Ok(())
    }

    /// Resets all connections; the mode stays, so clients may come back at once.
    pub fn cut(&self) {
        self.faults.cut();
    }

    /// How many connections pass through it now.
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

    /// Holds back what a thin cable would not have carried yet, unless the mode changes meanwhile.
    async fn squeeze(&self, mode: Mode, length: usize) {
        let Mode::Thin(rate) = mode else { return };
        let mut modes = self.mode.subscribe();
        let time = DELAY + Duration::from_secs(length as u64) / rate.max(1);
        let _ = timeout(time, modes.wait_for(|now| *now != mode)).await;
    }

    /// How many of `length` bytes may go to the server; cuts when that uses up the budget.
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

/// One connection, until an end closes it or it is cut.
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
