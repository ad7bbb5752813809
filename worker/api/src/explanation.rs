//! Puts explanations together from what was read. Pure: `rest::explanations` reads.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use lockstep_http::ReadScope;
use lockstep_protocol::rest::{
    CauseView, ExplainedCause, ExplainedDevice, ExplainedElement, ExplanationPart, NotAllowedPart, RuleView,
};
use lockstep_protocol::{Hostname, WorkResult};
use lockstep_store::{
    CauseRow, Device, ElementRow, ExecutionRow, HistoryEntry, HistoryEvent, HistoryWhat, SyncedTo,
};
use serde_json::Value;
use uuid::Uuid;

use crate::rest::{cause, elements};

/// The most devices that an explanation shows.
pub(crate) const MOST_DEVICES: usize = 10;
/// The most executions on each device that are looked at, the newest first.
pub(crate) const MOST_EXECUTIONS: u32 = 20;
/// The most elements that are shown.
pub(crate) const MOST_ELEMENTS: usize = 50;
/// The most causes that are shown.
pub(crate) const MOST_CAUSES: usize = 20;

/// The provider of syncs.
const SYNC: &str = "sync";

/// What the holder of a token may read of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) devices: bool,
    pub(crate) executions: bool,
    pub(crate) device_output: bool,
}

impl Rights {
    /// The parts that are not allowed, with what they need. `message` is whether the message may be read.
    pub(crate) fn missing(self, message: bool) -> Vec<NotAllowedPart> {
        let parts = [
            (message, ExplanationPart::Message, ReadScope::Messages),
            (self.devices, ExplanationPart::Devices, ReadScope::Devices),
            (
                self.executions,
                ExplanationPart::Executions,
                ReadScope::Executions,
            ),
            (
                self.device_output,
                ExplanationPart::Steps,
                ReadScope::DeviceOutput,
            ),
        ];
        let missing = parts.into_iter().filter(|(allowed, ..)| !allowed);
        missing
            .map(|(_, part, scope)| NotAllowedPart {
                part,
                needs: scope.to_string(),
            })
            .collect()
    }
}

/// The devices that a message concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Concerned {
    /// How many flags changed; `None` if the message is not about flags.
    pub(crate) flagged: Option<u64>,
    /// The first devices.
    pub(crate) first: Vec<Hostname>,
    /// How many more its result lists.
    pub(crate) more: u64,
    /// Whether the result does not list all of them.
    pub(crate) truncated: bool,
}

/// The devices that a message concerned, by its result.
pub(crate) fn concerned(result: &WorkResult) -> Concerned {
    let WorkResult::EventApplied(applied) = result else {
        return Concerned::default();
    };
    let first = applied.devices.iter().take(MOST_DEVICES);
    Concerned {
        flagged: Some(applied.flipped),
        first: first.cloned().collect(),
        more: applied.devices.len().saturating_sub(MOST_DEVICES) as u64,
        truncated: applied.truncated,
    }
}

/// The execution that a command began, or is about.
pub(crate) fn execution_of(result: &WorkResult) -> Option<Uuid> {
    match result {
        WorkResult::ExecutionAccepted(accepted) => Some(accepted.execution),
        WorkResult::CommandApplied(applied) => applied.execution,
        _ => None,
    }
}

/// Of the history of a device before an execution was accepted, newest first: the causes since it was synchronized last, which the
/// execution found open. The oldest first.
pub(crate) fn open_causes(before: Vec<HistoryEntry>) -> Vec<CauseRow> {
    let closes = |what: &str| {
        let closing = [HistoryWhat::Synchronized, HistoryWhat::CausesClosed];
        closing.iter().any(|closing| closing.as_str() == what)
    };
    let since = before.into_iter().take_while(|entry| match &entry.event {
        HistoryEvent::Changed { row, .. } => !closes(&row.what),
        HistoryEvent::Unsynchronized { .. } => true,
    });
    let causes = since.filter_map(|entry| match entry.event {
        HistoryEvent::Unsynchronized { cause, .. } => Some(cause),
        HistoryEvent::Changed { .. } => None,
    });
    let mut causes: Vec<CauseRow> = causes.collect();
    causes.reverse();
    causes
}

/// Causes of several devices, each once, the oldest first, with their rules; and how many are left out.
pub(crate) fn causes(
    rows: Vec<CauseRow>,
    rules: impl Fn(&str, &str) -> Vec<RuleView>,
) -> (Vec<ExplainedCause>, usize) {
    let mut rows = rows;
    rows.sort_by(|a, b| (a.at, &a.identity.id, &a.cause).cmp(&(b.at, &b.identity.id, &b.cause)));
    rows.dedup_by(|a, b| (&a.identity, &a.actor, &a.cause) == (&b.identity, &b.actor, &b.cause));
    let left_out = rows.len().saturating_sub(MOST_CAUSES);
    // The newest ones are why the devices are unsynchronized now.
    let shown = rows.drain(left_out..).map(|row| ExplainedCause {
        rules: rules(&row.kind, &row.cause),
        cause: view(&row),
    });
    (shown.collect(), left_out)
}

fn view(row: &CauseRow) -> CauseView {
    cause::whole(row)
}

/// The executions that belong to an explanation, the oldest first: with `since`, the syncs that were accepted from then on; with `about`, that
/// execution, what it names (its plan, the execution that it takes back or runs again), and what names it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Related<'a> {
    Since(Timestamp),
    About(&'a ExecutionRow),
}

impl Related<'_> {
    /// Whether an execution belongs to it.
    pub(crate) fn contains(self, execution: &ExecutionRow) -> bool {
        match self {
            Self::Since(time) => execution.request.provider == SYNC && execution.request.at >= time,
            Self::About(about) => {
                execution.id == about.id
                    || named(about).contains(&execution.id)
                    || named(execution).contains(&about.id)
            }
        }
    }
}

/// The executions that an execution names.
pub(crate) fn named(execution: &ExecutionRow) -> Vec<Uuid> {
    let request = &execution.request;
    let arguments = ["plan", "rollback"].map(|key| {
        let id = request.task_arguments[key].as_str()?;
        id.parse().ok().filter(|_| request.provider == SYNC)
    });
    let named = arguments.into_iter().chain([request.relaunch_of]);
    named.flatten().collect()
}

/// Devices as they are shown, ordered by hostname.
pub(crate) fn devices(rows: &[Device]) -> Vec<ExplainedDevice> {
    let mut devices: Vec<ExplainedDevice> = rows
        .iter()
        .map(|device| ExplainedDevice {
            hostname: device.hostname.clone(),
            desired_generation: device.sync.desired,
            synced_generation: device.sync.synced,
        })
        .collect();
    devices.sort_by(|a, b| a.hostname.cmp(&b.hostname));
    devices
}

/// The elements of these executions as they are shown, by execution and number; and how many are left out.
pub(crate) fn elements_of(
    rows: impl IntoIterator<Item = ElementRow>,
    executions: &[ExecutionRow],
) -> (Vec<ElementRow>, usize) {
    let known: BTreeSet<u64> = executions.iter().map(|execution| execution.number).collect();
    let rows = rows.into_iter().filter(|row| known.contains(&row.execution));
    let by_number: BTreeMap<(u64, u64), ElementRow> =
        rows.map(|row| ((row.execution, row.number), row)).collect();
    let left_out = by_number.len().saturating_sub(MOST_ELEMENTS);
    (by_number.into_values().take(MOST_ELEMENTS).collect(), left_out)
}

/// An element with what a sync binds it to, and how far it came by the data that its provider returned.
pub(crate) fn element(
    row: ElementRow,
    executions: &[ExecutionRow],
    bound: &HashMap<u64, SyncedTo>,
    data: Option<&Value>,
) -> ExplainedElement {
    let bound = bound.get(&row.number);
    let mut of = executions.iter();
    let execution = of.find(|execution| execution.number == row.execution);
    let is_sync = execution.is_some_and(|execution| execution.request.provider == SYNC);
    let step = data.filter(|_| is_sync).and_then(|data| data["stage"].as_str());
    ExplainedElement {
        generation: bound.map(|bound| bound.generation),
        settings_commit: bound.and_then(|bound| bound.settings.clone()),
        templates_commit: bound.and_then(|bound| bound.templates.clone()),
        step: step.map(str::to_owned),
        element: elements::view(row, execution.map(|execution| &execution.request)),
    }
}

#[cfg(test)]
mod tests;
