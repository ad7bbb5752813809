//! Decides about a webhook: whether it is authenticated, and which messages to publish for it. Pure.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use jiff::Timestamp;
use lockstep_protocol::authority::WEBHOOK_ACTOR;
use lockstep_protocol::events::RepositoryChanged;
use lockstep_protocol::{Envelope, Identity, Kind, MessageId, Source};
use sha2::{Digest, Sha256};

use super::change::{Change, ParsedWebhook};
use super::headers::Headers;
use super::rejection::WebhookRejection;
use super::repositories::Repository;
use super::{Forge, bitbucket, forgejo, gitea, github, gitlab};

/// The decision about an authenticated webhook.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum WebhookDecision {
    /// Publish these messages. They are derived from the webhook alone, so that a redelivery produces the same messages.
    Publish(Vec<Envelope>),
    /// Ignore the webhook, for this reason.
    Ignore(String),
}

/// Checks the headers that decide whether the body is read at all.
pub(super) fn check_headers(forge: Forge, headers: &HeaderMap) -> Result<(), WebhookRejection> {
    check_media_type(headers)?;
    forge.check(Headers(headers))
}

/// Checks that the body is declared as JSON.
pub(super) fn check_media_type(headers: &HeaderMap) -> Result<(), WebhookRejection> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    if !media_type.trim().eq_ignore_ascii_case("application/json") {
        let detail = "set the content type of the webhook to application/json";
        return Err(WebhookRejection::MediaType(format!(
            "the content type is {media_type:?}; {detail}"
        )));
    }
    Ok(())
}

/// Decides about a webhook that was sent to the path of this repository.
pub(super) fn decide(
    forge: Forge,
    repository: &Repository,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<WebhookDecision, WebhookRejection> {
    let headers = Headers(headers);
    let secrets = &repository.secrets;
    if secrets.is_empty() {
        let why = "no webhook_secret is configured for this repository";
        return Err(WebhookRejection::Unauthenticated { why });
    }
    match forge {
        Forge::Github => github::authenticate(headers, body, secrets),
        Forge::Gitlab => gitlab::authenticate(headers, body, secrets, now),
        Forge::Gitea => gitea::authenticate(headers, body, secrets),
        Forge::Forgejo => forgejo::authenticate(headers, body, secrets),
        Forge::Bitbucket => bitbucket::authenticate(headers, body, secrets),
    }?;
    let parsed = match forge {
        Forge::Github => github::read(headers, body),
        Forge::Gitlab => gitlab::read(headers, body),
        Forge::Gitea => gitea::read(headers, body),
        Forge::Forgejo => forgejo::read(headers, body),
        Forge::Bitbucket => bitbucket::read(headers, body),
    }?;
    let changes = match parsed {
        ParsedWebhook::Changes(changes) => changes,
        ParsedWebhook::Ignored(why) => return Ok(WebhookDecision::Ignore(why)),
    };
    let cause = cause(forge, repository, headers, body)?;
    let message = |change| message(forge, repository, &cause, change);
    Ok(WebhookDecision::Publish(
        changes.into_iter().map(message).collect(),
    ))
}

/// The identity of the webhook, from which the ids of its messages are derived: what its sender authenticated, and nothing else.
///
/// That is the body, by its digest. The id of the delivery is not signed (except by GitLab), so whoever has seen one signed body
/// could send it again under new ids for ever. A forge that delivers a webhook again sends the same bytes. Two pushes with the
/// same bytes are one message, too; the payloads of most forges contain a time, and otherwise the periodic check of the remote
/// finds the second one.
///
/// GitLab authenticates the whole request, by its token or a signature over the id. Its payloads contain no time, so there
/// the id counts, too.
fn cause(
    forge: Forge,
    repository: &Repository,
    headers: Headers<'_>,
    body: &[u8],
) -> Result<Identity, WebhookRejection> {
    let delivery = delivery(forge, headers)?;
    let mut digest = Sha256::new();
    if forge == Forge::Gitlab {
        digest.update(delivery);
        digest.update([0]);
    }
    digest.update(body);
    let mut digits = vec![0; 64];
    hex::encode_to_slice(digest.finalize(), &mut digits).expect("there is room for its digits");
    let id = String::from_utf8(digits).expect("digits are ASCII");
    let id = MessageId::try_from(id).expect("a digest is a valid id");
    let source = Source::try_from(format!("/webhooks/{forge}/{}", repository.name)).map_err(|error| {
        WebhookRejection::Sender(format!(
            "the repository's name cannot be part of a message source: it {error}"
        ))
    })?;
    Ok(Identity { source, id })
}

/// The id of the delivery, which every forge sends.
fn delivery(forge: Forge, headers: Headers<'_>) -> Result<&str, WebhookRejection> {
    let names = match forge {
        Forge::Github => github::DELIVERY,
        Forge::Gitlab => gitlab::DELIVERY,
        Forge::Gitea => gitea::DELIVERY,
        Forge::Forgejo => forgejo::DELIVERY,
        Forge::Bitbucket => bitbucket::DELIVERY,
    };
    let present = names.iter().copied().filter(|name| headers.has(name));
    let name = present
        .chain(names.iter().copied())
        .next()
        .expect("every forge has a delivery header");
    let id = headers.required(name)?;
    match id.len() {
        1..=255 => Ok(id),
        _ => Err(WebhookRejection::header(name, "must have 1 to 255 characters")),
    }
}

fn message(forge: Forge, repository: &Repository, cause: &Identity, change: Change) -> Envelope {
    let id = cause.derive(Kind::RepositoryChanged, change.index);
    let body = RepositoryChanged {
        repository: repository.name.clone(),
        branch: change.branch,
        before: change.before,
        after: change.after,
        forced: change.forced,
        paths: change.paths,
    };
    Envelope {
        identity: Identity {
            source: cause.source.clone(),
            id,
        },
        subject: None,
        // The payload has no time of the push, and the time of receipt would differ between redeliveries.
        time: None,
        traceparent: None,
        causationid: None,
        actor: Some(format!("{WEBHOOK_ACTOR}{forge}")),
        message: body.into(),
    }
}

#[cfg(test)]
mod tests;
