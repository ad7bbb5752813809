//! Temporary faults of workers, their servers, and the network between them.

use anyhow::Result;
use lockstep_testbed::Mode;
use rustix::process::Signal;

use super::Soak;

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    WorkerKilled,
    WorkerStoppedAndResumed,
    WorkerReplaced,
    ConnectionsCut,
    ConnectionsClosed,
    BrokerRefused,
    BrokerSilent,
    BrokerDeaf,
    BrokerMute,
    BrokerThin,
    BrokerKilled,
    MemoryAlarm,
    DiskAlarm,
    BackendsTerminated,
    InboxLocked,
    DatabaseRefused,
    DatabaseSilent,
    DatabaseDeaf,
    DatabaseMute,
    DatabaseKilled,
}

const TERMINATE: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                         WHERE pid <> pg_backend_pid() AND application_name LIKE 'lockstep%'";

impl Fault {
    pub(super) const ALL: [Self; 20] = [
        Self::WorkerKilled,
        Self::WorkerStoppedAndResumed,
        Self::WorkerReplaced,
        Self::ConnectionsCut,
        Self::ConnectionsClosed,
        Self::BrokerRefused,
        Self::BrokerSilent,
        Self::BrokerDeaf,
        Self::BrokerMute,
        Self::BrokerThin,
        Self::BrokerKilled,
        Self::MemoryAlarm,
        Self::DiskAlarm,
        Self::BackendsTerminated,
        Self::InboxLocked,
        Self::DatabaseRefused,
        Self::DatabaseSilent,
        Self::DatabaseDeaf,
        Self::DatabaseMute,
        Self::DatabaseKilled,
    ];

    /// Starts the fault and ends it.
    pub(super) async fn happen(self, soak: &mut Soak) -> Result<()> {
        match self {
            Self::WorkerKilled => {
                let index = soak.any_worker();
                let new = soak.scene.worker(&[])?;
                let mut old = std::mem::replace(&mut soak.workers[index], new);
                old.signal(Signal::KILL)?;
                old.ended().await?;
                Ok(())
            }
            // Usually longer than the heartbeat timeout.
            Self::WorkerStoppedAndResumed => {
                let index = soak.any_worker();
                soak.workers[index].signal(Signal::STOP)?;
                soak.rest(3000, 10_000).await;
                soak.workers[index].signal(Signal::CONT)
            }
            Self::WorkerReplaced => {
                let index = soak.any_worker();
                let new = soak.scene.worker(&[])?;
                let old = std::mem::replace(&mut soak.workers[index], new);
                // This worker may be the stopped one.
                old.signal(Signal::CONT)?;
                old.stop().await
            }
            Self::ConnectionsCut => {
                let servers = soak.scene.servers()?;
                servers.to_broker.cut();
                servers.to_database.cut();
                Ok(())
            }
            Self::ConnectionsClosed => {
                soak.scene.servers()?.vhost.close_all_connections().await?;
                Ok(())
            }
            Self::BrokerRefused => broker(soak, Mode::Refuse).await,
            Self::BrokerSilent => broker(soak, Mode::Blackhole).await,
            Self::BrokerDeaf => broker(soak, Mode::Deaf).await,
            Self::BrokerMute => broker(soak, Mode::Mute).await,
            Self::BrokerThin => broker(soak, Mode::Thin(50_000)).await,
            Self::BrokerKilled => {
                soak.broker.kill().await?;
                soak.broker.restart().await
            }
            Self::MemoryAlarm => {
                let watermark = "set_vm_memory_high_watermark";
                alarm(soak, [watermark, "0"], [watermark, "0.4"]).await
            }
            Self::DiskAlarm => {
                let limit = "set_disk_free_limit";
                alarm(soak, [limit, "9000GB"], [limit, "50MB"]).await
            }
            Self::BackendsTerminated => {
                let client = soak.scene.servers()?.schema.connect().await?;
                client.execute(TERMINATE, &[]).await?;
                Ok(())
            }
            Self::InboxLocked => {
                let client = soak.scene.servers()?.schema.connect().await?;
                client
                    .batch_execute("BEGIN; LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
                    .await?;
                soak.rest(2000, 8000).await;
                Ok(client.batch_execute("COMMIT").await?)
            }
            Self::DatabaseRefused => database(soak, Mode::Refuse).await,
            Self::DatabaseSilent => database(soak, Mode::Blackhole).await,
            Self::DatabaseDeaf => database(soak, Mode::Deaf).await,
            Self::DatabaseMute => database(soak, Mode::Mute).await,
            Self::DatabaseKilled => {
                soak.database.kill().await?;
                soak.database.restart().await
            }
        }
    }
}

async fn broker(soak: &mut Soak, mode: Mode) -> Result<()> {
    soak.scene.servers()?.to_broker.set(mode).await?;
    soak.rest(1000, 7000).await;
    soak.scene.servers()?.to_broker.set(Mode::Pass).await
}

async fn database(soak: &mut Soak, mode: Mode) -> Result<()> {
    soak.scene.servers()?.to_database.set(mode).await?;
    soak.rest(1000, 7000).await;
    soak.scene.servers()?.to_database.set(Mode::Pass).await
}

async fn alarm(soak: &mut Soak, begin: [&str; 2], end: [&str; 2]) -> Result<()> {
    soak.broker.ctl(&begin).await?;
    soak.rest(1000, 5000).await;
    soak.broker.ctl(&end).await?;
    Ok(())
}
