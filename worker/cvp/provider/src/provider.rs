use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lockstep_cvp::ComplianceCode;
use lockstep_cvp::gate::Reason;
use lockstep_cvp::sweep::{
    Action, Afterwards, Found, Summary, SweepEvent, SweepOptions, TaskOutcome, TaskSweep, list,
};
use lockstep_execution::{
    CycleStep, Provider, ProviderProperties, StepDone, StepFailure, StepResult, StepRun, Steps,
};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{Level, counted};
use lockstep_telemetry::cvp::SweepMetrics;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::SweptCluster;
use crate::arguments::Arguments;
use crate::item::Item;
use crate::outcome::{NOT_AGAIN, looked_again, step_result};
use crate::properties::properties;
use crate::summary::{count, message};

/// Sweeps clusters of CloudVision.
#[derive(Debug)]
pub struct CvpSweep {
    properties: ProviderProperties,
    /// The clusters by name. `None` if this process only describes the provider.
    clusters: Option<Clusters>,
}

#[derive(Debug)]
struct Clusters {
    by_name: BTreeMap<String, SweptCluster>,
    metrics: SweepMetrics,
}

impl CvpSweep {
    /// The provider on a worker with these clusters.
    pub fn new(clusters: BTreeMap<String, SweptCluster>) -> Self {
        Self {
            properties: properties(),
            clusters: Some(Clusters {
                by_name: clusters,
                metrics: SweepMetrics::new(),
            }),
        }
    }

    /// The provider in a process that runs nothing, and does not know the clusters of workers.
    pub fn described() -> Self {
        Self {
            properties: properties(),
            clusters: None,
        }
    }

    fn cluster(&self, name: &str) -> Result<(&SweptCluster, &SweepMetrics), String> {
        let clusters = self.clusters.as_ref().ok_or("this process sweeps no clusters")?;
        let known: Vec<&str> = clusters.by_name.keys().map(String::as_str).collect();
        let unknown = || {
            if known.is_empty() {
                "no cluster of CloudVision is configured on this worker; add a section [cvp.NAME] to its configuration".to_owned()
            } else {
                format!("unknown cluster {name:?}; expected one of {}", known.join(", "))
            }
        };
        let cluster = clusters.by_name.get(name).ok_or_else(unknown)?;
        Ok((cluster, &clusters.metrics))
    }

    fn cluster_of(
        &self,
        run: &StepRun<'_>,
    ) -> Result<(Arguments, &SweptCluster, &SweepMetrics), StepFailure> {
        let arguments = Arguments::read(run.arguments)?;
        let known = self.cluster(&arguments.cluster);
        let (cluster, metrics) = known.map_err(|reason| StepFailure::new("unknown-cluster", reason))?;
        Ok((arguments, cluster, metrics))
    }
}

#[async_trait]
impl Provider for CvpSweep {
    fn properties(&self) -> &ProviderProperties {
        &self.properties
    }

    fn run_on(&self, arguments: &Value) -> Result<ExecuteOn, String> {
        if self.clusters.is_some() {
            let arguments = Arguments::read(arguments).map_err(|failure| failure.message)?;
            self.cluster(&arguments.cluster)?;
        }
        Ok(ExecuteOn::Global)
    }

    fn steps(&self, _arguments: &Value) -> Steps {
        Steps::of(&[
            CycleStep::PreRunGlobal,
            CycleStep::RunOnItem,
            CycleStep::RunGlobal,
        ])
    }

    /// Lists the tasks.
    async fn pre_run_global(&self, run: &StepRun<'_>) -> StepResult {
        let (arguments, cluster, _) = self.cluster_of(run)?;
        if !arguments.look_again.is_empty() {
            let items = arguments.look_again.into_iter();
            let items = items.map(|device| (device.task_id.clone(), Item::LookAgain(device).to_json()));
            return Ok(StepDone {
                items: items.collect(),
                ..StepDone::default()
            });
        }
        let sweep = Uuid::new_v4().to_string();
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let observe = {
            let warnings = warnings.clone();
            move |event: SweepEvent<'_>| {
                if let SweepEvent::Warning { what, error } = event {
                    let mut warnings = warnings.lock().unwrap_or_else(PoisonError::into_inner);
                    warnings.push(format!("{what}: {error}"));
                }
            }
        };
        let context = cluster.context(Arc::new(observe));
        let options = SweepOptions {
            only: arguments.only(),
            devices: arguments.only_devices(),
            ..cluster.options(&sweep, run.dry_run)
        };
        let found = run.until_stopped(None, list(&context, &options)).await?;
        let found = found.map_err(|error| {
            let message = format!("cannot list the tasks; nothing was cancelled: {error}");
            StepFailure::new("not-listed", message)
        })?;
        let items: Vec<(String, Value)> = found.into_iter().map(|found| item(found, &sweep)).collect();
        let warnings = std::mem::take(&mut *warnings.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(StepDone {
            message: Some(format!("{} listed", counted(items.len(), "task"))),
            data: json!({"sweep": sweep, "listed": items.len(), "warnings": warnings}),
            items,
            ..StepDone::default()
        })
    }

    /// Settles one task.
    async fn run_on_item(&self, run: &StepRun<'_>) -> StepResult {
        let (arguments, cluster, metrics) = self.cluster_of(run)?;
        let unreadable = |error: serde_json::Error| StepFailure::new("unreadable-item", error.to_string());
        let item = Item::deserialize(run.entity.item.as_ref().unwrap_or(&Value::Null)).map_err(unreadable)?;
        let (sweep, listed) = match item {
            Item::Settled(report) => {
                metrics.settled("kept");
                return Ok(kept_by_lists(with_cluster(report, &arguments.cluster)));
            }
            Item::LookAgain(device) => {
                let sweep = TaskSweep::new(
                    &cluster.context(Arc::new(|_| {})),
                    cluster.options("", true),
                    cluster.controls.clone(),
                    true,
                );
                let looked = run
                    .until_stopped(None, sweep.look_again(&device.net_element_id))
                    .await;
                let (code, afterwards) = looked?;
                if afterwards == Afterwards::NoLongerCompliant {
                    tracing::error!(
                        cvp.cluster = arguments.cluster,
                        cvp.task = device.task_id,
                        device.hostname = device.hostname,
                        code = code.as_ref().map_or("", ComplianceCode::as_str),
                        "a device is no longer compliant some time after its task was cancelled; CloudVision does not create a new task by itself"
                    );
                }
                let result = looked_again(&device, code.as_ref().map(ComplianceCode::as_str), afterwards);
                count_alert(&result, metrics);
                return result;
            }
            Item::Listed { sweep, listed } => (sweep, listed),
        };
        let options = SweepOptions {
            stop: run.cancel.clone(),
            ..cluster.options(&sweep, run.dry_run)
        };
        let (context, controls) = (cluster.context(Arc::new(|_| {})), cluster.controls.clone());
        let sweep = TaskSweep::new(&context, options, controls, listed.controls_read);
        let report = sweep.settle(&listed).await;
        if let TaskOutcome::Kept { reasons, .. } = &report.outcome
            && reasons.contains(&Reason::Stopped)
        {
            return Err(StepFailure::new(
                "cancelled",
                "it was told to stop; the task is kept",
            ));
        }
        metrics.settled(action(report.outcome.action()));
        let data = serde_json::to_value(&report).unwrap_or_default();
        let result = step_result(&report, with_cluster(data, &arguments.cluster));
        count_alert(&result, metrics);
        result
    }

    /// Counts what the tasks came to.
    async fn run_global(&self, run: &StepRun<'_>) -> StepResult {
        let arguments = Arguments::read(run.arguments)?;
        let mut summary = Summary::default();
        let mut after = None;
        loop {
            let page = run.results.page(Level::Item, None, after).await;
            let page = page.map_err(|error| StepFailure::new("store-unavailable", error))?;
            let Some(last) = page.last() else { break };
            after = Some(last.entity);
            for result in &page {
                count(&mut summary, result);
            }
        }
        if !arguments.look_again.is_empty() {
            let alerts = counted(summary.alerts, "device");
            return Ok(StepDone {
                message: Some(format!(
                    "{} checked once more; {alerts} no longer compliant",
                    counted(summary.listed, "device")
                )),
                data: json!({"cluster": arguments.cluster, "checked": summary.listed, "alerts": summary.alerts}),
                ..StepDone::default()
            });
        }
        let message = message(&summary, run.dry_run);
        let message = match summary.cancelled {
            0 => message,
            _ => format!("{message}. {NOT_AGAIN}"),
        };
        Ok(StepDone {
            message: Some(message),
            changed: summary.cancelled > 0 || summary.reasons.contains_key("dry-run"),
            data: json!({
                "cluster": arguments.cluster,
                "dry_run": run.dry_run,
                "counts": summary,
                "warnings": run.pre_run["warnings"],
            }),
            ..StepDone::default()
        })
    }
}

fn item(found: Found, sweep: &str) -> (String, Value) {
    match found {
        Found::Settled(report) => {
            let data = serde_json::to_value(&report).unwrap_or_default();
            (report.task_id.to_string(), Item::Settled(data).to_json())
        }
        Found::ToRead(listed) => {
            let name = listed.task.task_id().to_string();
            let item = Item::Listed {
                sweep: sweep.to_owned(),
                listed,
            };
            (name, item.to_json())
        }
    }
}

/// The result of a task that the lists keep.
fn kept_by_lists(report: Value) -> StepDone {
    let reasons = report["reasons"].as_array();
    let reasons: Vec<&str> = reasons.into_iter().flatten().filter_map(Value::as_str).collect();
    StepDone {
        message: Some(format!("kept: {}", reasons.join(", "))),
        data: report,
        ..StepDone::default()
    }
}

fn with_cluster(mut report: Value, cluster: &str) -> Value {
    if let Value::Object(fields) = &mut report {
        fields.insert("cluster".to_owned(), cluster.into());
    }
    report
}

fn count_alert(result: &StepResult, metrics: &SweepMetrics) {
    if matches!(result, Err(failure) if failure.reason == "no-longer-compliant") {
        metrics.alert();
    }
}

const fn action(action: Action) -> &'static str {
    match action {
        Action::Cancelled => "cancelled",
        Action::Kept => "kept",
        Action::Failed => "failed",
        Action::Gone => "gone",
    }
}
