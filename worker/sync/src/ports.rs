use std::fmt::Debug;

use async_trait::async_trait;
use lockstep_protocol::{Cause, CommitId, Hostname};
use lockstep_store::{DeviceId, RunningElement, StoreError};
use secrecy::SecretString;
use thiserror::Error;

/// Renders intended configurations.
#[async_trait]
pub trait Renderer: Debug + Send + Sync + 'static {
    /// The configuration of a device from these commits of the settings and of the templates.
    ///
    /// # Errors
    /// See [`RenderFailure`].
    async fn render(
        &self,
        device: DeviceId,
        settings: &CommitId,
        templates: &CommitId,
    ) -> Result<String, RenderFailure>;

    /// The secret values that rendered configurations may contain. No difference shows them.
    fn secrets(&self) -> Vec<SecretString> {
        Vec::new()
    }
}

/// A configuration cannot be rendered.
#[derive(Debug, Error)]
pub enum RenderFailure {
    /// Settings, templates or facts of the device do not allow it: somebody has to change them. The text has the place.
    #[error("{0}")]
    Invalid(String),
    /// A repository or the store cannot be read now.
    #[error("{0}")]
    Unavailable(String),
}

/// Writes what a run found out about the sync flag of its device.
#[async_trait]
pub trait SyncFlags: Debug + Send + Sync + 'static {
    /// Writes a conclusion in a transaction that checks that the element is still run by this attempt. False if it is not: nothing was
    /// written, and the run must not go on.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn conclude(
        &self,
        run: &RunningElement,
        device: &Hostname,
        conclusion: &Conclusion,
    ) -> Result<bool, StoreError>;
}

/// What a run found out about the sync flag of its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// The device has the configuration of this generation: nothing differed, or it was pushed, confirmed and verified. Older causes are
    /// closed if no newer generation is desired.
    Synchronized {
        /// The generation.
        generation: i64,
        /// The SHA-256 of the running configuration, in hexadecimal digits.
        configuration_hash: String,
    },
    /// It differs, as this cause says. The flag of a device that is unsynchronized already stays as it is. Otherwise the cause raises the
    /// desired generation. If the one that the element is bound to was the desired one before, the element is bound to the raised one, in
    /// the same transaction: the cause says that the device is behind, not that something newer is intended, and a plan still fits.
    Differs(Cause),
    /// An operator accepts the running configuration as the one that changes are measured against. The flag stays as it is.
    Accepted {
        /// The SHA-256 of the running configuration, in hexadecimal digits.
        configuration_hash: String,
    },
}
