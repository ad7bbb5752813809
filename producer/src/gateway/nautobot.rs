//! Nautobot signs its webhooks as NetBox does, from which it descends. The payloads differ.

use lockstep_dcim::nautobot;
use lockstep_dcim::netbox::Reported;

use super::rejection::WebhookRejection;

pub(super) use super::netbox::authenticate;
use super::netbox::invalid;

pub(super) fn read(body: &[u8]) -> Result<Reported, WebhookRejection> {
    nautobot::webhook(body).map_err(|error| invalid(&error))
}
