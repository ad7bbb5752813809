//! Decides about a webhook of NetBox or Nautobot: whether it is authenticated and new, and which messages to publish for it. Pure.

use axum::http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use lockstep_dcim::netbox::Reported;
use lockstep_dcim::{Mapped, System, cause, map, messages, source};

use super::headers::Headers;
use super::rejection::WebhookRejection;
use super::sources::InventorySource;
use super::webhook_decision::WebhookDecision;
use super::{nautobot, netbox};

/// Decides about a webhook that was sent to the path of this source.
pub(super) fn decide(
    configured: &InventorySource,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<WebhookDecision, WebhookRejection> {
    let (headers, secrets) = (Headers(headers), &configured.secrets);
    if secrets.is_empty() {
        let why = "no webhook_secret is configured for this source";
        return Err(WebhookRejection::Unauthenticated { why });
    }
    match configured.system {
        System::NetBox => netbox::authenticate(headers, body, secrets),
        System::Nautobot => nautobot::authenticate(headers, body, secrets),
    }?;
    let reported = match configured.system {
        System::NetBox => netbox::read(body),
        System::Nautobot => nautobot::read(body),
    }?;
    let change = match reported {
        Reported::Change(change) => change,
        Reported::Other(why) => return Ok(WebhookDecision::Ignore(why)),
    };
    if let Some(why) = outdated(configured, change.at, now) {
        return Ok(WebhookDecision::Ignore(why));
    }
    let events = match map(&change, &configured.rules) {
        Mapped::Events(events) => events,
        Mapped::Ignored(why) => return Ok(WebhookDecision::Ignore(why)),
    };
    let source = source(configured.system, &configured.rules.source).map_err(|error| {
        WebhookRejection::Sender(format!(
            "the name of the source cannot be part of a message source: it {error}"
        ))
    })?;
    let cause = cause(source, &change, body);
    Ok(WebhookDecision::Publish(messages(&cause, &change, events)))
}

/// Why a webhook is too old, or from a clock that is too fast. Its time is signed with it.
fn outdated(configured: &InventorySource, at: Timestamp, now: Timestamp) -> Option<String> {
    let max_age = SignedDuration::try_from(configured.max_age).unwrap_or(SignedDuration::MAX);
    let age = now.duration_since(at);
    if age > max_age {
        let seconds = age.as_secs();
        return Some(format!(
            "it is {seconds} s old, more than webhook_max_age; the poll of the change log takes what is older"
        ));
    }
    (age < -max_age).then(|| format!("its time is {} s ahead; synchronize the clocks", -age.as_secs()))
}

#[cfg(test)]
mod tests;
