use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use lockstep_http::{Operator, ProblemResponse};
use lockstep_protocol::rest::MessageView;
use lockstep_protocol::{Identity, Message, MessageId, Source};
use tokio::time::Instant;

use super::parameters::{self, Parameters};
use super::problem;
use crate::console::Shared;
use lockstep_store::InboxRow;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// `GET /v1/messages?source=&id=&wait=`: what became of a message; waits for it if asked to.
pub(crate) async fn outcome(
    _operator: Operator,
    State(shared): State<Arc<Shared>>,
    parameters: Parameters,
) -> Result<Json<MessageView>, ProblemResponse> {
    let question = Question::read(parameters, shared.limits.longest_wait)?;
    let deadline = Instant::now() + question.wait;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(row) = shared
            .context
            .inbox
            .outcome(&question.identity)
            .await
            .map_err(problem::of_store)?
        {
            return Ok(Json(view(row)));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(not_worked(&question.identity));
        }
        tokio::select! {
            () = shared.stop.cancelled() => return Err(ProblemResponse::stopping()),
            () = tokio::time::sleep(pause.min(left)) => {}
        }
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Which message is asked for, and how long the client waits.
struct Question {
    identity: Identity,
    wait: Duration,
}

impl Question {
    fn read(mut parameters: Parameters, longest: Duration) -> Result<Self, ProblemResponse> {
        let missing = || parameters::invalid("parameters \"source\" and \"id\" are both needed");
        let source = parameters.text("source")?.ok_or_else(missing)?;
        let id = parameters.text("id")?.ok_or_else(missing)?;
        let seconds: u64 = parameters.value("wait")?.unwrap_or(0);
        parameters.finish("source, id, wait")?;
        let source = Source::try_from(source)
            .map_err(|error| parameters::invalid(format!("parameter \"source\" {error}")))?;
        let id = MessageId::try_from(id)
            .map_err(|error| parameters::invalid(format!("parameter \"id\" {error}")))?;
        let wait = Duration::from_secs(seconds);
        if wait > longest {
            let detail = format!(
                "parameter \"wait\" is {seconds}, the most is {} seconds",
                longest.as_secs()
            );
            return Err(parameters::invalid(detail));
        }
        Ok(Self {
            identity: Identity { source, id },
            wait,
        })
    }
}

fn not_worked(identity: &Identity) -> ProblemResponse {
    let detail = format!(
        "message {identity} was not worked yet, or never published; ask again, with wait=SECONDS to be answered at once when it is"
    );
    ProblemResponse::not_found("no-outcome", "there is no outcome of this message", detail)
}

fn view(row: InboxRow) -> MessageView {
    MessageView {
        source: row.identity.source.into(),
        id: row.identity.id.into(),
        kind: row.kind,
        state: row.state,
        at: row.at,
        by: row.actor,
        result_type: row.result.kind().as_str().to_owned(),
        result: Message::Result(row.result).to_data(),
    }
}
