//! What a request for the facts or the checks of a device asks for.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use lockstep_http::{Operator, ProblemResponse, ReadScope};

use super::devices;
use super::parameters::{HISTORY, Parameters};
use crate::context::Shared;

/// The newest values of all keys of a device, or with a key all values that it had.
pub(super) struct Asked {
    /// The id of the device.
    pub(super) device: u64,
    pub(super) key: Option<String>,
    pub(super) limit: u32,
}

pub(super) async fn asked(
    operator: &Operator,
    shared: &Shared,
    hostname: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Asked, ProblemResponse> {
    operator.may_read(ReadScope::DeviceOutput)?;
    let (key, limit) = parameters.history()?;
    parameters.finish(HISTORY)?;
    let device = devices::find(shared, hostname).await?.id.number();
    Ok(Asked { device, key, limit })
}
