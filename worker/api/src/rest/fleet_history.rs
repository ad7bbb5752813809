use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::rest::{FleetHistory, FleetSampleView, HistoryPeriod};
use lockstep_store::{FleetSample, SampleInterval};

use super::parameters::Parameters;
use super::problem;
use crate::context::Shared;

/// `GET /v1/fleet/history`: how many devices were synchronized over time.
pub(crate) async fn show(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Json<FleetHistory>, ProblemResponse> {
    operator.may_read(ReadScope::Devices)?;
    let period = parameters.value::<HistoryPeriod>("period")?.unwrap_or_default();
    parameters.finish("period")?;
    let interval = match period {
        HistoryPeriod::SixHours | HistoryPeriod::TwoDays => SampleInterval::Minute,
        HistoryPeriod::ThirtyDays | HistoryPeriod::Year => SampleInterval::Hour,
    };
    let trend = &shared.context.fleet_trend;
    let found = trend.fleet_samples(interval, period.seconds()).await;
    let found = found.map_err(problem::store_error)?;
    Ok(Json(FleetHistory {
        period,
        from: found.now - Duration::from_secs(period.seconds().into()),
        to: found.now,
        every_seconds: interval.seconds(),
        samples: found.samples.into_iter().map(view).collect(),
    }))
}

fn view(sample: FleetSample) -> FleetSampleView {
    FleetSampleView {
        at: sample.at,
        synchronized: sample.synchronized,
        unsynchronized: sample.unsynchronized,
    }
}
