use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::GroupName;
use lockstep_protocol::rest::{AgedDevice, FleetAges};

use super::parameters::{self, Parameters};
use super::problem;
use crate::context::Shared;
use lockstep_store::{AgeQuery, Ages, CauseId, CauseRow};

/// `GET /v1/fleet/ages`: how many devices are over thresholds of age, and the oldest ones.
pub(crate) async fn show(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    parameters: Parameters,
) -> Result<Json<FleetAges>, ProblemResponse> {
    operator.may_read(ReadScope::Devices)?;
    let query = query(parameters)?;
    let ages = shared.context.fleet.ages(&query).await;
    answer(&shared, &ages.map_err(problem::store_error)?)
        .await
        .map(Json)
}

/// The ages with the causes of the devices that are listed: one more call of the store.
pub(crate) async fn answer(shared: &Shared, ages: &Ages) -> Result<FleetAges, ProblemResponse> {
    let listed = || ages.oldest.iter().chain(&ages.longest_expired);
    let mut open: Vec<CauseId> = listed()
        .flat_map(|aged| aged.device.open_causes.iter().copied())
        .collect();
    // One cause may be open on many devices.
    open.sort_unstable();
    open.dedup();
    let causes = shared.context.fleet.causes(&open).await;
    let causes = causes.map_err(problem::store_error)?;
    let views = |aged: &[lockstep_store::AgedDevice]| {
        let views = aged.iter().map(|aged| view(aged, ages.at, &causes));
        views.collect()
    };
    Ok(FleetAges {
        at: ages.at,
        matching: ages.matching,
        in_state: ages.in_state,
        aged: ages.aged,
        over_warning: ages.over_warning,
        over_critical: ages.over_critical,
        oldest: views(&ages.oldest),
        expired: ages.expired,
        longest_expired: views(&ages.longest_expired),
    })
}

fn view(aged: &lockstep_store::AgedDevice, at: Timestamp, causes: &HashMap<CauseId, CauseRow>) -> AgedDevice {
    let device = &aged.device;
    let mut reasons: Vec<String> = Vec::new();
    for row in device.open_causes.iter().filter_map(|id| causes.get(id)) {
        if !reasons.contains(&row.cause) {
            reasons.push(row.cause.clone());
        }
    }
    // A time ahead of the store's clock, of a worker with a wrong one, is no age.
    let age = |since| u64::try_from(at.duration_since(since).as_secs()).unwrap_or(0);
    AgedDevice {
        hostname: device.hostname.clone(),
        device_type: device.attributes.device_type.clone(),
        state: device.lifecycle.state,
        since: aged.since,
        age_seconds: aged.since.map(age),
        causes: reasons,
        note: device.lifecycle.note.clone(),
        until: device.lifecycle.until,
    }
}

fn query(mut parameters: Parameters) -> Result<AgeQuery, ProblemResponse> {
    const KNOWN: &str = "of, warning, critical, device_type, group, limit";
    let missing = |name: &str| parameters::invalid(format!("parameter {name:?} is missing"));
    let of = parameters.value("of")?.ok_or_else(|| missing("of"))?;
    let mut seconds = |name| -> Result<Duration, ProblemResponse> {
        let seconds = parameters.value(name)?.ok_or_else(|| missing(name))?;
        Ok(Duration::from_secs(seconds))
    };
    let (warning, critical) = (seconds("warning")?, seconds("critical")?);
    let group = parameters.text("group")?.map(GroupName::try_from);
    let query = AgeQuery {
        of,
        device_type: parameters.value("device_type")?,
        group: group
            .transpose()
            .map_err(|error| parameters::invalid(format!("parameter \"group\": {error}")))?,
        warning,
        critical,
        limit: parameters.limit()?,
    };
    parameters.finish(KNOWN)?;
    Ok(query)
}
