//! A lease, held as long as something runs.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use lockstep_store::{Lease, Leases, StoreError};

/// How often a lease is asked for that somebody else has.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// A lease that is renewed until it is released or dropped. What is dropped runs out by itself.
#[derive(Debug)]
pub struct HeldLease {
    lease: Lease,
    leases: Arc<dyn Leases>,
    time: Duration,
    renewing: AbortOnDropHandle<()>,
}

impl HeldLease {
    /// Takes a lease, waiting for whoever has it. `None` if that took too long.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn acquire(
        leases: Arc<dyn Leases>,
        name: &str,
        time: Duration,
        wait: Duration,
    ) -> Result<Option<Self>, StoreError> {
        let patience = tokio::time::Instant::now() + wait;
        loop {
            if let Some(lease) = leases.acquire(name, time).await? {
                let renewing = tokio::spawn(renew(leases.clone(), lease.clone(), time));
                return Ok(Some(Self {
                    lease,
                    leases,
                    time,
                    renewing: AbortOnDropHandle::new(renewing),
                }));
            }
            if tokio::time::Instant::now() >= patience {
                return Ok(None);
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// The lease, as the store checks it.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Holds it for longer, now. False if it is lost: nothing more is to be begun under it.
    ///
    /// # Errors
    /// See [`StoreError`]; it is not known whether it is still held.
    pub async fn renew(&self) -> Result<bool, StoreError> {
        self.leases.renew(&self.lease, self.time).await
    }

    /// Gives it back.
    pub async fn release(self) {
        drop(self.renewing);
        if let Err(error) = self.leases.release(&self.lease).await {
            tracing::debug!(lease = self.lease.name, %error, "lease not given back; it runs out");
        }
    }
}

/// Renews at a third of its time, so that two failures do no harm. A lease that is lost is found out by the store when
/// something is to be committed.
async fn renew(leases: Arc<dyn Leases>, lease: Lease, time: Duration) {
    loop {
        tokio::time::sleep(time / 3).await;
        match leases.renew(&lease, time).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(lease = lease.name, fence = lease.fence, "lease lost");
                return;
            }
            Err(error) => tracing::warn!(lease = lease.name, %error, "lease not renewed"),
        }
    }
}
