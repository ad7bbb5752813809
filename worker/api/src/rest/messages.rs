use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use lockstep_http::{Operator, ProblemResponse, ReadScope, Token};
use lockstep_protocol::authority::WEBHOOK_ACTOR;
use lockstep_protocol::rest::MessageView;
use lockstep_protocol::{Identity, Message, MessageId, MessageKey, Source};
use tokio::time::Instant;

use super::parameters::{self, Parameters};
use crate::context::Shared;
use crate::outcome::{Awaited, await_outcome};
use lockstep_store::InboxRow;

/// `GET /v1/messages?source=&id=&by=&anonymous=&digest=&wait=`: the outcome of a message of the caller, of the sender `by`, or of
/// one that the broker did not validate; with `digest`, of the message with this content. With `wait`, answers as soon as
/// there is one, or after that many seconds.
pub(crate) async fn outcome(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    parameters: Parameters,
) -> Result<Json<MessageView>, ProblemResponse> {
    let query = OutcomeQuery::read(parameters, &operator, shared.limits.longest_wait)?;
    let row = await_outcome(&shared, &query.awaited, Instant::now() + query.wait).await?;
    row.map(|row| Json(view(row)))
        .ok_or_else(|| no_outcome(&query.awaited.message))
}

struct OutcomeQuery {
    awaited: Awaited,
    wait: Duration,
}

impl OutcomeQuery {
    fn read(mut parameters: Parameters, caller: &Token, longest: Duration) -> Result<Self, ProblemResponse> {
        let missing = || parameters::invalid("parameters \"source\" and \"id\" are both required");
        let source = parameters.text("source")?.ok_or_else(missing)?;
        let id = parameters.text("id")?.ok_or_else(missing)?;
        let source = Source::try_from(source)
            .map_err(|error| parameters::invalid(format!("parameter \"source\" {error}")))?;
        let anonymous = parameters.value("anonymous")?.unwrap_or(false);
        let by = parameters.text("by")?;
        let actor = match (by, anonymous) {
            (Some(_), true) => {
                let detail = "give one of the parameters \"by\" and \"anonymous\"";
                return Err(parameters::invalid(detail));
            }
            (None, true) => None,
            (Some(by), false) => Some(by),
            (None, false) => Some(sender(&source, caller)),
        };
        if actor.as_deref() != Some(caller.principal()) {
            caller.may_read(ReadScope::Messages)?;
        }
        let digest = parameters.value("digest")?;
        let seconds: u64 = parameters.value("wait")?.unwrap_or(0);
        parameters.finish("source, id, by, anonymous, digest, wait")?;
        let id = MessageId::try_from(id)
            .map_err(|error| parameters::invalid(format!("parameter \"id\" {error}")))?;
        let wait = Duration::from_secs(seconds);
        if wait > longest {
            let detail = format!(
                "parameter \"wait\" is {seconds}; it must be at most {} seconds",
                longest.as_secs()
            );
            return Err(parameters::invalid(detail));
        }
        let message = MessageKey {
            identity: Identity { source, id },
            actor: actor.map(Into::into),
        };
        Ok(Self {
            awaited: Awaited { message, digest },
            wait,
        })
    }
}

/// Whose message is meant where the request does not say: a forge's for the source of a webhook, else the caller's.
fn sender(source: &Source, caller: &Token) -> String {
    let forge = source
        .as_str()
        .strip_prefix(Source::WEBHOOKS)
        .and_then(|rest| rest.split('/').next());
    forge.map_or_else(
        || caller.principal().to_owned(),
        |forge| format!("{WEBHOOK_ACTOR}{forge}"),
    )
}

fn no_outcome(message: &MessageKey) -> ProblemResponse {
    let sender = message.actor.as_deref().unwrap_or("a sender without a name");
    let detail = format!(
        "message {} of {sender} is not processed yet, or was never published; ask again, add wait=SECONDS to wait for its outcome, \
         or by=NAME for a message of another sender",
        message.identity
    );
    ProblemResponse::not_found("no-outcome", "the message has no outcome yet", detail)
}

fn view(row: InboxRow) -> MessageView {
    MessageView {
        source: row.identity.source.into(),
        id: row.identity.id.into(),
        kind: row.kind.into(),
        state: row.state,
        at: row.at,
        by: row.actor.map(Into::into),
        result_type: row.result.kind().as_str().to_owned(),
        result: Message::Result(row.result.into_result()).to_data(),
    }
}
