//! What happens to an execution, as server-sent events for its page.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use lockstep_http::{GoesOn, ReadScope};
use lockstep_store::ExecutionRow;

use super::execution;
use super::failure::Failure;
use super::viewer::Viewer;
use crate::context::Shared;
use crate::graphql::Progress;
use crate::rest::executions;
use crate::rest::parameters::segment;

/// How often a comment is sent if nothing else is, so that proxies keep the connection and a browser that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `GET /executions/{execution}/events`: an event `progress` with the HTML of the progress at once and after each change, `ended` after the
/// last one. All viewers share what is read.
pub(super) async fn events(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    execution: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    viewer.operator.may_read(ReadScope::Executions)?;
    let row = executions::find(&shared, &segment(execution)?).await?;
    let place = shared.streams.place()?;
    let stop = shared.stop.clone().cancelled_owned();
    let ended = stream::once(std::future::ready(Event::default().event("ended").data("")));
    let events = changes(&shared, row)
        .map(|row| event(row.as_ref()))
        .chain(ended)
        .take_until(stop)
        .map(move |event| {
            // Given back when the browser is gone, too.
            let _place = &place;
            Ok::<_, Infallible>(event)
        });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    response.extensions_mut().insert(GoesOn);
    Ok(response)
}

/// The execution as it is now, and after each change; `None` if it was deleted.
fn changes(
    shared: &Arc<Shared>,
    row: ExecutionRow,
) -> impl Stream<Item = Option<ExecutionRow>> + Send + use<> {
    let receiver = (!row.state.is_final()).then(|| shared.streams.watches.listen(shared, row.clone()));
    let first = stream::once(std::future::ready(Some(row)));
    let rest = stream::unfold(receiver, |receiver| async move {
        let mut receiver = receiver?;
        receiver.changed().await.ok()?;
        let now = receiver.borrow_and_update().clone();
        let goes_on = (!now.is_last()).then_some(receiver);
        let row = match now {
            Progress::Row(row) => Some(*row),
            Progress::Gone => None,
        };
        Some((row, goes_on))
    });
    first.chain(rest)
}

fn event(row: Option<&ExecutionRow>) -> Event {
    let view = row.map(|row| executions::view(row.clone(), Vec::new()));
    let html = view.and_then(|view| execution::progress(&view).ok());
    Event::default().event("progress").data(html.unwrap_or_default())
}
