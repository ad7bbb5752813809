use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::Hostname;
use lockstep_protocol::rest::{SyncConfigurationView, SyncDevicePage, SyncDeviceView};
use lockstep_store::{SyncElement, SyncElementQuery};

use super::parameters::{self, Parameters};
use super::{executions, problem};
use crate::context::Shared;

/// The most bytes of differences in a page of several devices.
const MOST_BYTES: usize = 8 << 20;

type DevicePath = Result<Path<(String, String)>, PathRejection>;

/// `GET /v1/executions/{execution}/devices`: one page of the devices of a sync, ordered by the numbers of their elements.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    execution: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Json<SyncDevicePage>, ProblemResponse> {
    operator.may_read(ReadScope::DeviceOutput)?;
    let text = parameters::segment(execution)?;
    let after = parameters.value("after")?;
    let limit = parameters.limit()?;
    parameters.finish("after, limit")?;
    let execution = executions::find(&shared, &text).await?;
    let query = SyncElementQuery {
        execution: execution.number,
        after,
        // One more than requested shows whether there is a next page.
        limit: limit + 1,
        ..SyncElementQuery::default()
    };
    let rows = shared.context.syncs.sync_elements(&query).await;
    let mut rows = rows.map_err(problem::store_error)?;
    let next = parameters::cut(&mut rows, limit, |element| element.number);
    Ok(Json(page(rows, next)))
}

/// `GET /v1/executions/{execution}/devices/{hostname}`: what a sync found on one device.
pub(crate) async fn show(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    path: DevicePath,
) -> Result<Json<SyncDeviceView>, ProblemResponse> {
    operator.may_read(ReadScope::DeviceOutput)?;
    find(&shared, path, false)
        .await
        .map(|element| Json(view(element)))
}

/// `GET /v1/executions/{execution}/devices/{hostname}/configuration`: the whole texts, with secrets.
pub(crate) async fn configuration(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    path: DevicePath,
) -> Result<Json<SyncConfigurationView>, ProblemResponse> {
    operator.may_read(ReadScope::Configurations)?;
    let element = find(&shared, path, true).await?;
    Ok(Json(SyncConfigurationView {
        hostname: element.hostname,
        diff: element.diff,
        rendered: element.rendered,
        previous: element.previous,
    }))
}

async fn find(shared: &Shared, path: DevicePath, whole: bool) -> Result<SyncElement, ProblemResponse> {
    let Path((execution, hostname)) = path.map_err(|error| parameters::invalid(error.body_text()))?;
    let execution = executions::find(shared, &execution).await?;
    let unknown = || {
        let detail = format!(
            "execution {} is no sync of a device {hostname:?}; `lockstep sync show {}` lists its devices",
            execution.number, execution.number
        );
        ProblemResponse::not_found("unknown-device", "the sync does not have this device", detail)
    };
    let query = SyncElementQuery {
        execution: execution.number,
        hostname: Some(Hostname::try_from(hostname.clone()).map_err(|_| unknown())?),
        whole,
        limit: 1,
        ..SyncElementQuery::default()
    };
    let found = shared.context.syncs.sync_elements(&query).await;
    let mut found = found.map_err(problem::store_error)?;
    found.pop().ok_or_else(unknown)
}

/// As many devices as fit, the first one whatever its size.
fn page(rows: Vec<SyncElement>, next: Option<u64>) -> SyncDevicePage {
    let mut page = SyncDevicePage {
        devices: Vec::with_capacity(rows.len()),
        next,
    };
    let mut bytes = 0;
    for row in rows {
        bytes += row.masked.as_ref().map_or(0, String::len);
        if bytes > MOST_BYTES && !page.devices.is_empty() {
            page.next = page.devices.last().map(|device| device.number);
            break;
        }
        page.devices.push(view(row));
    }
    page
}

fn view(row: SyncElement) -> SyncDeviceView {
    SyncDeviceView {
        number: row.number,
        hostname: row.hostname,
        state: row.state,
        outcome: row.state.outcome(),
        reason: row.reason,
        message: row.message,
        changed: row.changed,
        generation: row.generation,
        outdated: row.is_outdated,
        settings_commit: row.settings,
        templates_commit: row.templates,
        diff: row.masked,
        hash: row.hash,
        change_score: row.score,
    }
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::ElementState;

    use super::*;

    fn element(number: u64, bytes: usize) -> SyncElement {
        SyncElement {
            number,
            hostname: "sw1".parse().unwrap(),
            state: ElementState::Successful,
            reason: None,
            message: None,
            changed: true,
            generation: 2,
            is_outdated: false,
            settings: None,
            templates: None,
            masked: Some("x".repeat(bytes)),
            hash: None,
            score: Some(1.5),
            diff: None,
            rendered: None,
            previous: None,
        }
    }

    #[test]
    fn a_page_takes_the_first_device_whatever_its_size_and_ends_when_it_is_full() {
        let numbers =
            |page: &SyncDevicePage| -> Vec<u64> { page.devices.iter().map(|it| it.number).collect() };
        let large = page(vec![element(1, 9 << 20), element(2, 1)], None);
        assert_eq!((numbers(&large), large.next), (vec![1], Some(1)));
        let whole = page((1..=3).map(|number| element(number, 1 << 20)).collect(), Some(3));
        assert_eq!((numbers(&whole), whole.next), (vec![1, 2, 3], Some(3)));
    }
}
