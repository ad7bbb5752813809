use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::rest::{SchedulePage, ScheduleView};

use super::parameters::{self, Parameters};
use super::problem;
use crate::context::Shared;
use lockstep_store::ScheduleRow;

/// `GET /v1/schedules`: one page of schedules, ordered by name.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Json<SchedulePage>, ProblemResponse> {
    operator.may_read(ReadScope::Tasks)?;
    let after = parameters.text("after")?;
    let limit = parameters.limit()?;
    parameters.finish("after, limit")?;
    // One more than requested shows whether there is a next page.
    let rows = shared.context.tasks.schedules(after.as_deref(), limit + 1).await;
    let mut rows = rows.map_err(problem::store_error)?;
    let next = parameters::cut(&mut rows, limit, |schedule| schedule.name.clone());
    let schedules = rows.into_iter().map(view).collect();
    Ok(Json(SchedulePage { schedules, next }))
}

fn view(row: ScheduleRow) -> ScheduleView {
    ScheduleView {
        number: row.number,
        name: row.name,
        cron: row.cron,
        time_zone: row.time_zone,
        task: row.request,
        enabled: row.enabled,
        next_at: row.next_at,
        last_at: row.last_at,
        saved_at: row.saved_at,
        saved_by: row.saved_by,
    }
}
