//! Causes as REST shows them.

use lockstep_protocol::rest::CauseView;
use lockstep_protocol::{CauseDetail, ConcernedDevice};
use lockstep_store::{CauseRow, Device};

/// A cause in a list of devices.
pub(super) fn brief(row: &CauseRow) -> CauseView {
    view(row, CauseDetail::default())
}

/// A cause of one device, with what the message says about it, as far as it concerns this device.
pub(super) fn detailed(row: &CauseRow, device: &ConcernedDevice<'_>) -> CauseView {
    let detail = row.detail.as_deref().cloned().unwrap_or_default();
    view(row, detail.concerning(device))
}

/// A cause with all that the message says about it, whichever devices it concerns.
pub(crate) fn whole(row: &CauseRow) -> CauseView {
    view(row, row.detail.as_deref().cloned().unwrap_or_default())
}

/// What paths are compared with.
pub(super) fn concerned(device: &Device) -> ConcernedDevice<'_> {
    ConcernedDevice {
        hostname: &device.hostname,
        device_type: &device.attributes.device_type,
        platform: device.attributes.platform.as_deref(),
        primary_group: device.primary_group.as_ref(),
    }
}

fn view(row: &CauseRow, detail: CauseDetail) -> CauseView {
    let CauseDetail {
        commit,
        paths,
        more_paths,
        interfaces,
        more_interfaces,
    } = detail;
    CauseView {
        cause: row.cause.clone(),
        event: row.kind.clone(),
        source: row.identity.source.as_str().to_owned(),
        id: row.identity.id.as_str().to_owned(),
        at: row.at,
        by: row.actor.clone(),
        note: row.note.clone(),
        commit,
        paths,
        more_paths,
        interfaces,
        more_interfaces,
    }
}
