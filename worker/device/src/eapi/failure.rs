//! What a failed HTTP request says about the device.

use std::error::Error;
use std::time::Duration;

use crate::DeviceError;

/// The error of a request that failed before its answer was read, or while it was read.
pub(super) fn failure(error: &reqwest::Error, timeout: Duration) -> DeviceError {
    let causes = causes(error);
    let innermost = causes
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string);
    if let Some(certificate) = causes.iter().find_map(|cause| certificate_error(*cause)) {
        return DeviceError::Certificate { reason: certificate };
    }
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => DeviceError::Unreachable {
            reason: "no connection came about in time".to_owned(),
        },
        (true, false) => DeviceError::Unreachable { reason: innermost },
        (false, true) => DeviceError::TimedOut { after: timeout },
        (false, false) => DeviceError::Interrupted { reason: innermost },
    }
}

/// The error and what it was caused by. An I/O error may wrap another error that is not its source.
fn causes<'error>(error: &'error (dyn Error + 'static)) -> Vec<&'error (dyn Error + 'static)> {
    let mut causes = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        causes.push(cause);
        let wrapped = cause
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => cause.source(),
        };
    }
    causes
}

fn certificate_error(cause: &(dyn Error + 'static)) -> Option<String> {
    match cause.downcast_ref::<rustls::Error>()? {
        error @ (rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            Some(error.to_string())
        }
        _ => None,
    }
}
