//! The fleet at a glance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Html;
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::rest::{AgeOf, HistoryPeriod};
use lockstep_protocol::{DeviceState, DeviceType};
use lockstep_store::{AgeQuery, DeviceCount};
use serde_json::{Value, json};

use super::failure::Failure;
use super::kept::Kept;
use super::link;
use super::page::{self, Page};
use super::section::section;
use super::trend;
use super::viewer::Viewer;
use crate::context::Shared;
use crate::rest::parameters::Parameters;
use crate::rest::{ages, dead_letters, executions, fleet_history, problem, repositories};

/// The ages of a flag that are told apart: those of the alarm, and a day.
const OLD: Duration = Duration::from_hours(1);
const VERY_OLD: Duration = Duration::from_hours(24);
/// How many devices, executions and repositories the page names.
const NAMED: u32 = 10;

/// What all viewers share.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    counts: Kept<Value>,
    dead: Kept<Value>,
    /// The plot of each period.
    trends: [Kept<String>; HistoryPeriod::ALL.len()],
}

impl Glance {
    /// How many devices there are, and the ages of their flags.
    async fn counts(&self, shared: &Shared) -> Result<Value, ProblemResponse> {
        self.counts.get(count(shared)).await
    }

    /// How many dead letters there are, for a viewer who may read them.
    async fn dead(&self, shared: &Arc<Shared>, operator: &Operator) -> Result<Json<Value>, ProblemResponse> {
        operator.may_read(ReadScope::DeadLetters)?;
        let state = State(Arc::clone(shared));
        let read = async {
            let all = Parameters::of(&[]);
            let Json(counts) = dead_letters::counts(operator.clone(), state, all).await?;
            Ok(json!(counts))
        };
        self.dead.get(read).await.map(Json)
    }

    /// The plot, for a viewer who may read devices.
    async fn trend(
        &self,
        shared: &Arc<Shared>,
        operator: &Operator,
        period: HistoryPeriod,
    ) -> Result<Json<String>, ProblemResponse> {
        operator.may_read(ReadScope::Devices)?;
        let state = State(Arc::clone(shared));
        let read = async {
            let wanted = Parameters::of(&[("period", period.as_str())]);
            let Json(history) = fleet_history::show(operator.clone(), state, wanted).await?;
            trend::html(&history)
        };
        let place = HistoryPeriod::ALL.iter().position(|each| *each == period);
        self.trends[place.unwrap_or(0)].get(read).await.map(Json)
    }

    /// The types of which there are devices, in alphabetical order.
    pub(super) async fn types(&self, shared: &Shared) -> Result<Vec<String>, ProblemResponse> {
        let counts = self.counts(shared).await?;
        let lines = counts["table"]["lines"].as_array().into_iter().flatten();
        let types = lines.filter_map(|line| line["device_type"].as_str().map(str::to_owned));
        Ok(types.collect())
    }
}

/// Counts the devices, and measures the ages of their flags.
async fn count(shared: &Shared) -> Result<Value, ProblemResponse> {
    let fleet = &shared.context.fleet;
    let query = AgeQuery {
        of: AgeOf::Unsynchronized,
        device_type: None,
        group: None,
        warning: OLD,
        critical: VERY_OLD,
        limit: NAMED,
    };
    let found = tokio::try_join!(fleet.device_counts(), fleet.ages(&query));
    let (counted, aged) = found.map_err(problem::store_error)?;
    let aged = ages::answer(shared, &aged).await?;
    Ok(json!({"table": table(&counted), "ages": aged}))
}

/// `GET /`: how many devices there are and how they are, what runs, and what needs somebody.
pub(super) async fn show(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Html<String>, Failure> {
    let sent = page::sent(&mut parameters)?;
    let period = parameters.value("period")?.unwrap_or_default();
    parameters.finish("period")?;
    let operator = &viewer.operator;
    let counts = match operator.may_read(ReadScope::Devices) {
        Ok(()) => Ok(Json(shared.glance.counts(&shared).await?)),
        Err(problem) => Err(problem),
    };
    let running = Parameters::of(&[
        ("state", "RUNNING"),
        ("limit", &NAMED.to_string()),
        ("total", "true"),
    ]);
    let state = || State(Arc::clone(&shared));
    let (trend, running, stopped, dead, all) = tokio::join!(
        shared.glance.trend(&shared, operator, period),
        executions::list(operator.clone(), state(), running),
        executions::stopped(operator.clone(), state()),
        shared.glance.dead(&shared, operator),
        repositories::list(operator.clone(), state()),
    );
    let values = json!({
        "now": shared.context.clock.now(),
        "counts": section(counts)?,
        "trend": section(trend)?,
        "running": section(running)?,
        "stopped": section(stopped)?,
        "dead": section(dead)?,
        "repositories": section(all)?,
        "named": NAMED,
    });
    let page = Page {
        viewer: &viewer,
        section: "/",
        title: "Fleet",
        sent,
    };
    page.render("fleet.html", values)
}

/// A table of types and states, with the sums of rows and columns. Pure.
fn table(counts: &[DeviceCount]) -> Value {
    let states: BTreeSet<DeviceState> = counts.iter().map(|count| count.state).collect();
    let mut rows: BTreeMap<&DeviceType, BTreeMap<DeviceState, &DeviceCount>> = BTreeMap::new();
    for count in counts {
        rows.entry(&count.device_type)
            .or_default()
            .insert(count.state, count);
    }
    let cell = |device_type: &str, state: &str, counted: &[&DeviceCount]| {
        let filters = [("device_type", device_type), ("state", state)];
        let devices: u64 = counted.iter().map(|count| count.devices).sum();
        let unsynchronized: u64 = counted.iter().map(|count| count.unsynchronized).sum();
        json!({
            "devices": devices,
            "unsynchronized": unsynchronized,
            "path": link::with("/devices", filters),
            "unsynchronized_path": link::with("/devices", filters.into_iter().chain([("synchronized", "false")])),
        })
    };
    let lines = rows.iter().map(|(device_type, of_type)| {
        let name = device_type.as_str();
        let cells = states.iter().map(|state| {
            let counted: Vec<&DeviceCount> = of_type.get(state).copied().into_iter().collect();
            cell(name, state.as_str(), &counted)
        });
        let cells: Vec<Value> = cells.collect();
        let all: Vec<&DeviceCount> = of_type.values().copied().collect();
        json!({"device_type": name, "cells": cells, "all": cell(name, "", &all)})
    });
    let lines: Vec<Value> = lines.collect();
    let sums = states.iter().map(|state| {
        let counted: Vec<&DeviceCount> = counts.iter().filter(|count| count.state == *state).collect();
        cell("", state.as_str(), &counted)
    });
    let sums: Vec<Value> = sums.collect();
    let all: Vec<&DeviceCount> = counts.iter().collect();
    let managed: Vec<&DeviceCount> = counts
        .iter()
        .filter(|count| count.state == DeviceState::Managed)
        .collect();
    json!({
        "states": states,
        "lines": lines,
        "sums": sums,
        "all": cell("", "", &all),
        "managed": cell("", DeviceState::Managed.as_str(), &managed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_add_up() {
        let count = |device_type: &str, state, devices, unsynchronized| DeviceCount {
            device_type: device_type.parse().unwrap(),
            state,
            devices,
            unsynchronized,
        };
        let counts = [
            count("ACCESS", DeviceState::Init, 1, 0),
            count("ACCESS", DeviceState::Managed, 5, 2),
            count("DIST", DeviceState::Managed, 3, 1),
        ];
        let table = table(&counts);
        assert_eq!(table["states"], json!(["INIT", "MANAGED"]));
        assert_eq!(table["lines"][1]["cells"][0]["devices"], 0);
        assert_eq!(
            (&table["sums"][1]["devices"], &table["sums"][1]["unsynchronized"]),
            (&json!(8), &json!(3))
        );
        assert_eq!(
            (&table["all"]["devices"], &table["lines"][0]["all"]["devices"]),
            (&json!(9), &json!(6))
        );
        assert_eq!(
            table["lines"][0]["cells"][1]["unsynchronized_path"],
            "/devices?device_type=ACCESS&state=MANAGED&synchronized=false"
        );
    }
}
