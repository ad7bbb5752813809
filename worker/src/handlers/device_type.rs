use lockstep_intent::fleet::DeviceTypes;
use lockstep_protocol::{Code, DeviceType};

use super::Rejection;

/// Rejects a type that the site does not have: no settings folder and no template would ever concern the device.
pub(crate) fn check(
    device_type: &DeviceType,
    types: &DeviceTypes,
    place: impl Into<String>,
) -> Result<(), Rejection> {
    if types.contains(device_type) {
        return Ok(());
    }
    let known: Vec<&str> = types.names().collect();
    let reason = format!(
        "{device_type} is not a device type of this site: {}; declare it in the configuration of the workers ([devices.types.{device_type}])",
        known.join(", ")
    );
    Err(Rejection::new(Code::UnknownDeviceType, place, reason))
}
