//! NetBox signs the body of its webhooks with HMAC-SHA512.

use lockstep_dcim::PayloadError;
use lockstep_dcim::netbox::{self, Reported};
use lockstep_protocol::Code;

use super::Secrets;
use super::headers::Headers;
use super::rejection::WebhookRejection;

const SIGNATURE: &str = "x-hook-signature";

pub(super) fn authenticate(
    headers: Headers<'_>,
    body: &[u8],
    secrets: &Secrets,
) -> Result<(), WebhookRejection> {
    if secrets.signed_hex_sha512(headers.authentication(SIGNATURE)?, body) {
        return Ok(());
    }
    Err(WebhookRejection::Unauthenticated {
        why: "the signature is wrong",
    })
}

pub(super) fn read(body: &[u8]) -> Result<Reported, WebhookRejection> {
    netbox::webhook(body).map_err(|error| invalid(&error))
}

/// The place and the reason of an error in a payload.
pub(super) fn invalid(error: &PayloadError) -> WebhookRejection {
    let code = if error.syntax {
        Code::InvalidJson
    } else {
        Code::InvalidData
    };
    WebhookRejection::payload(code, error.place.clone(), &error.reason)
}
