use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::rest::{
    ExecutionView, ExplainedElement, ExplainedThing, ExplanationView, MessageDetail,
};
use lockstep_protocol::{Hostname, MessageKey, counted};
use lockstep_store::{
    ByteBudget, Device, DeviceId, ElementQuery, ElementRow, ExecutionReference, ExecutionRow,
    HistoryPosition, MessageRow, Page, StoreError,
};

use super::parameters::{self, Parameters};
use super::{approvals, executions, messages, problem};
use crate::context::{ConsoleContext, Shared};
use crate::explanation::{
    Concerned, MOST_CAUSES, MOST_DEVICES, MOST_EXECUTIONS, Related, Rights, causes, concerned, devices,
    element, elements_of, execution_of, named, open_causes,
};

/// Of how many devices of an execution the causes are read.
const WITH_CAUSES: usize = 3;
/// The most events of the history of a device that are read.
const MOST_EVENTS: u32 = 50;
/// The most bytes that providers returned that are read, for how far they came.
const MOST_BYTES: u64 = 8 << 20;

/// `GET /v1/explain/{id}`: how one thing led to the next, from a message to what became of devices.
pub(crate) async fn explain(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    id: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Json<ExplanationView>, ProblemResponse> {
    let text = parameters::segment(id)?;
    let of = of(&mut parameters)?;
    let query = messages::Query::read(&mut parameters)?;
    parameters.finish("of, source, by")?;
    let reader = Reader::new(&operator, &shared);
    match reader.find(&text, of, &query).await? {
        Subject::Message(row) => reader.of_message(*row).await,
        Subject::Execution(row) => reader.of_execution(*row, ExplainedThing::Execution, None).await,
        Subject::Element(element, row) => {
            let thing = ExplainedThing::Element;
            reader.of_execution(*row, thing, Some(*element)).await
        }
    }
    .map(Json)
}

/// Takes `of`: what the id names.
fn of(parameters: &mut Parameters) -> Result<Option<ExplainedThing>, ProblemResponse> {
    match parameters.text("of")?.as_deref() {
        None => Ok(None),
        Some("message") => Ok(Some(ExplainedThing::Message)),
        Some("execution") => Ok(Some(ExplainedThing::Execution)),
        Some("element") => Ok(Some(ExplainedThing::Element)),
        Some(other) => Err(parameters::invalid(format!(
            "parameter \"of\": {other:?} is not one of message, execution, element"
        ))),
    }
}

/// What an id names.
enum Subject {
    Message(Box<MessageRow>),
    Execution(Box<ExecutionRow>),
    Element(Box<ElementRow>, Box<ExecutionRow>),
}

/// Reads what belongs to an explanation: each kind of row for all devices at once.
struct Reader<'a> {
    operator: &'a Operator,
    shared: &'a Shared,
    rights: Rights,
}

impl<'a> Reader<'a> {
    fn new(operator: &'a Operator, shared: &'a Shared) -> Self {
        let may = |scope| operator.may_read(scope).is_ok();
        Self {
            operator,
            shared,
            rights: Rights {
                devices: may(ReadScope::Devices),
                executions: may(ReadScope::Executions),
                device_output: may(ReadScope::DeviceOutput),
            },
        }
    }

    fn context(&self) -> &'a ConsoleContext {
        &self.shared.context
    }

    /// What an id names: a number an execution, or else an element; any other text a message, or else an execution.
    async fn find(
        &self,
        text: &str,
        of: Option<ExplainedThing>,
        query: &messages::Query,
    ) -> Result<Subject, ProblemResponse> {
        let is = |thing| of.is_none_or(|of| of == thing);
        let number: Option<u64> = text.parse().ok();
        if (number.is_none() || of == Some(ExplainedThing::Message))
            && is(ExplainedThing::Message)
            && let Some(row) = self.message(text, query).await?
        {
            return Ok(Subject::Message(Box::new(row)));
        }
        let reference = number.map(ExecutionReference::Number);
        let reference = reference.or_else(|| text.parse().ok().map(ExecutionReference::Id));
        if is(ExplainedThing::Execution)
            && let Some(reference) = reference
        {
            self.operator.may_read(ReadScope::Executions)?;
            let found = self.context().executions.execution(&reference).await;
            if let Some(row) = found.map_err(problem::store_error)? {
                return Ok(Subject::Execution(Box::new(row)));
            }
        }
        if is(ExplainedThing::Element)
            && let Some(number) = number
        {
            self.operator.may_read(ReadScope::Executions)?;
            if let Some((element, execution)) = self.element(number).await.map_err(problem::store_error)? {
                return Ok(Subject::Element(Box::new(element), Box::new(execution)));
            }
        }
        Err(unknown(text))
    }

    /// The only message with this id that may be read.
    async fn message(
        &self,
        text: &str,
        query: &messages::Query,
    ) -> Result<Option<MessageRow>, ProblemResponse> {
        let (mut rows, more) = messages::matching(self.operator, self.shared, text, query).await?;
        if rows.len() > 1 {
            let names = rows.iter().map(|row| {
                let by = row.actor.as_deref().unwrap_or("a sender without a name");
                format!("source {} by {by}", row.identity.source)
            });
            let names: Vec<String> = names.collect();
            let more = if more { ", and more" } else { "" };
            return Err(parameters::invalid(format!(
                "{} have the id {text:?}: {}{more}; name one by \"source\" and \"by\"",
                counted(rows.len(), "message"),
                names.join(", ")
            )));
        }
        Ok(rows.pop())
    }

    async fn element(&self, number: u64) -> Result<Option<(ElementRow, ExecutionRow)>, StoreError> {
        let store = &self.context().executions;
        let Some(found) = store.element(number).await? else {
            return Ok(None);
        };
        let reference = ExecutionReference::Number(found.row.execution);
        let execution = store.execution(&reference).await?;
        Ok(execution.map(|execution| (found.row, execution)))
    }

    async fn of_message(&self, row: MessageRow) -> Result<ExplanationView, ProblemResponse> {
        if let Some(id) = execution_of(&row.result)
            && self.rights.executions
        {
            let reference = ExecutionReference::Id(id);
            let found = self.context().executions.execution(&reference).await;
            if let Some(execution) = found.map_err(problem::store_error)? {
                let mut view = self
                    .of_execution(execution, ExplainedThing::Message, None)
                    .await?;
                view.trace_id = row.trace_id.as_ref().map(ToString::to_string);
                view.message = Some(messages::detail(self.operator, self.shared, row).await?);
                return Ok(view);
            }
        }
        let (key, at, trace_id) = (row.key(), row.at, row.trace_id.clone());
        let concerned = concerned(&row.result);
        let message = messages::detail(self.operator, self.shared, row).await?;
        let mut view = ExplanationView {
            trace_id: trace_id.map(Into::into),
            message: Some(message),
            flagged: concerned.flagged,
            more_devices: concerned.more,
            ..empty(ExplainedThing::Message, self.rights.missing(true))
        };
        let rows = self.devices_named(&concerned.first).await?;
        if self.rights.devices {
            self.causes_of(&key, &mut view).await?;
            view.devices = devices(&rows);
            view.notes.extend(of_devices(&concerned, rows.len()));
        }
        if self.rights.executions {
            let ids: Vec<u64> = rows.iter().map(|device| device.id.number()).collect();
            self.executions_on(&ids, Related::Since(at), Vec::new(), &mut view)
                .await?;
        }
        Ok(view)
    }

    async fn of_execution(
        &self,
        row: ExecutionRow,
        about: ExplainedThing,
        only: Option<ElementRow>,
    ) -> Result<ExplanationView, ProblemResponse> {
        let (message, may_read, trace_id) = self.request_of(&row).await?;
        let mut view = ExplanationView {
            trace_id,
            ..empty(about, self.rights.missing(may_read))
        };
        if may_read && message.is_none() {
            let note = "the message that requested it is not kept any more (retention)";
            view.notes.push(note.to_owned());
        }
        view.message = message;
        let query = ElementQuery {
            execution: row.number,
            limit: u32::try_from(MOST_DEVICES).unwrap_or(u32::MAX),
            ..ElementQuery::default()
        };
        let elements = match only {
            Some(element) => vec![element],
            None => self
                .context()
                .executions
                .elements(&query)
                .await
                .map_err(problem::store_error)?,
        };
        let rows = self.devices_of(&elements).await?;
        if self.rights.devices {
            self.causes_before(&row, &rows, &mut view).await?;
            view.devices = devices(&rows);
            if about != ExplainedThing::Element {
                view.more_devices = row.counts.elements.saturating_sub(elements.len() as u64);
            }
        }
        let ids: Vec<u64> = rows.iter().map(|device| device.id.number()).collect();
        let known: Vec<ElementRow> = if ids.is_empty() { elements } else { Vec::new() };
        self.executions_on(&ids, Related::About(&row), known, &mut view)
            .await?;
        Ok(view)
    }

    /// The message that requested an execution, whether it may be read, and its trace.
    async fn request_of(
        &self,
        row: &ExecutionRow,
    ) -> Result<(Option<MessageDetail>, bool, Option<String>), ProblemResponse> {
        let request = &row.request;
        let is_own = request.actor.as_deref() == Some(self.operator.name());
        let may_read = is_own || self.operator.may_read(ReadScope::Messages).is_ok();
        let key = MessageKey {
            identity: request.identity.clone(),
            actor: request.actor.as_deref().map(Into::into),
        };
        let found = messages::of_key(self.shared, &key).await?;
        let trace_id = found.as_ref().and_then(|row| row.trace_id.as_ref());
        let trace_id = trace_id.map(ToString::to_string);
        let message = match found.filter(|_| may_read) {
            Some(row) => Some(messages::detail(self.operator, self.shared, row).await?),
            None => None,
        };
        Ok((message, may_read, trace_id))
    }

    /// The devices with these names.
    async fn devices_named(&self, names: &[Hostname]) -> Result<Vec<Device>, ProblemResponse> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let found = self.context().executions.named(ExecuteOn::Device, &names).await;
        let ids = found.map_err(problem::store_error)?.ids;
        self.devices_by_id(ids.into_iter()).await
    }

    /// The devices of these elements.
    async fn devices_of(&self, elements: &[ElementRow]) -> Result<Vec<Device>, ProblemResponse> {
        let numbers: Vec<u64> = elements.iter().map(|element| element.number).collect();
        let found = self.context().entities.devices_of_elements(&numbers).await;
        let found = found.map_err(problem::store_error)?;
        let ids: BTreeSet<u64> = found.into_values().map(DeviceId::number).collect();
        self.devices_by_id(ids.into_iter()).await
    }

    async fn devices_by_id(&self, ids: impl Iterator<Item = u64>) -> Result<Vec<Device>, ProblemResponse> {
        let ids: Vec<DeviceId> = ids
            .filter_map(|id| i64::try_from(id).ok())
            .map(DeviceId)
            .collect();
        let found = self.context().fleet.devices_by_id(&ids).await;
        found.map_err(problem::store_error)
    }

    /// The causes that a message gave to devices.
    async fn causes_of(&self, key: &MessageKey, view: &mut ExplanationView) -> Result<(), ProblemResponse> {
        let most = u32::try_from(MOST_CAUSES).unwrap_or(u32::MAX);
        let ids = self.context().messages.causes_of_message(key, most + 1).await;
        let ids = ids.map_err(problem::store_error)?;
        let rows = self.context().fleet.detailed_causes(&ids).await;
        let rows = rows.map_err(problem::store_error)?.into_values().collect();
        self.show_causes(rows, view);
        Ok(())
    }

    /// The causes that an execution found open on its first devices.
    async fn causes_before(
        &self,
        execution: &ExecutionRow,
        rows: &[Device],
        view: &mut ExplanationView,
    ) -> Result<(), ProblemResponse> {
        let accepted_at = execution.request.at;
        let mut found = Vec::new();
        for device in rows.iter().take(WITH_CAUSES) {
            let before = Some(HistoryPosition::before(accepted_at));
            let history = self.context().fleet.history(device, before, MOST_EVENTS).await;
            found.extend(open_causes(history.map_err(problem::store_error)?));
        }
        if rows.len() > WITH_CAUSES {
            view.notes.push(format!(
                "the causes are those of {}; `lockstep devices history` has those of any",
                counted(WITH_CAUSES, "device")
            ));
        }
        self.show_causes(found, view);
        Ok(())
    }

    fn show_causes(&self, rows: Vec<lockstep_store::CauseRow>, view: &mut ExplanationView) {
        let rules = &self.context().sync_rules;
        let (shown, left_out) = causes(rows, |kind, cause| rules.rules(kind, cause));
        view.causes = shown;
        if left_out > 0 {
            view.notes
                .push(format!("{} are left out", counted(left_out, "older cause")));
        }
    }

    /// The executions on these devices that belong to the explanation, and what they did there. `known` are elements without a device.
    async fn executions_on(
        &self,
        devices: &[u64],
        related: Related<'_>,
        known: Vec<ElementRow>,
        view: &mut ExplanationView,
    ) -> Result<(), ProblemResponse> {
        let page = Page {
            after: None,
            limit: MOST_EXECUTIONS,
        };
        let entities = &self.context().entities;
        let found = entities.elements_of_devices(devices, &page).await;
        let found = found.map_err(problem::store_error)?;
        let is_cut = found.values().any(|rows| rows.len() >= MOST_EXECUTIONS as usize);
        let rows: Vec<ElementRow> = found.into_values().flatten().chain(known).collect();
        let numbers: BTreeSet<u64> = rows.iter().map(|row| row.execution).collect();
        let executions = entities.executions_by_number(&numbers).await;
        let mut executions = executions.map_err(problem::store_error)?;
        executions.retain(|execution| related.contains(execution));
        if let Related::About(about) = related {
            self.add_named(about, &mut executions).await?;
        }
        executions.sort_by_key(|execution| execution.number);
        if is_cut {
            view.notes.push(format!(
                "only the newest {} on each device are looked at",
                counted(MOST_EXECUTIONS as usize, "element")
            ));
        }
        let (rows, left_out) = elements_of(rows, &executions);
        if left_out > 0 {
            view.notes
                .push(format!("{} are left out", counted(left_out, "element")));
        }
        view.elements = self.elements(rows, &executions).await?;
        view.executions = self.views(executions).await?;
        Ok(())
    }

    /// Adds the execution that is explained, and those that it names, where no element on the devices led to them.
    async fn add_named(
        &self,
        about: &ExecutionRow,
        executions: &mut Vec<ExecutionRow>,
    ) -> Result<(), ProblemResponse> {
        let has = |executions: &[ExecutionRow], id| executions.iter().any(|row| row.id == id);
        if !has(executions, about.id) {
            executions.push(about.clone());
        }
        for id in named(about) {
            if has(executions, id) {
                continue;
            }
            let found = self
                .context()
                .executions
                .execution(&ExecutionReference::Id(id))
                .await;
            executions.extend(found.map_err(problem::store_error)?);
        }
        Ok(())
    }

    async fn elements(
        &self,
        rows: Vec<ElementRow>,
        executions: &[ExecutionRow],
    ) -> Result<Vec<ExplainedElement>, ProblemResponse> {
        let numbers: Vec<u64> = rows.iter().map(|row| row.number).collect();
        let bound = self.context().syncs.synced_to(&numbers).await;
        let bound = bound.map_err(problem::store_error)?;
        let data = if self.rights.device_output {
            let mut budget = ByteBudget(MOST_BYTES);
            let data = self
                .context()
                .entities
                .data_of_elements(&numbers, &mut budget)
                .await;
            data.map_err(problem::store_error)?
        } else {
            HashMap::new()
        };
        let view = |row: ElementRow| {
            let data = data.get(&row.number).filter(|data| data.is_whole);
            element(row, executions, &bound, data.map(|data| &data.row))
        };
        Ok(rows.into_iter().map(view).collect())
    }

    async fn views(&self, rows: Vec<ExecutionRow>) -> Result<Vec<ExecutionView>, ProblemResponse> {
        let mut approvals = approvals::of(self.shared, rows.iter()).await?;
        let view = |row: ExecutionRow| {
            let approvals = approvals.remove(&row.number).unwrap_or_default();
            executions::view(row, approvals)
        };
        Ok(rows.into_iter().map(view).collect())
    }
}

/// What is to be said about the devices of a message, of which `found` still have the names that they had.
fn of_devices(concerned: &Concerned, found: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if concerned.truncated {
        notes.push("the message concerned more devices than its result lists".to_owned());
    }
    let gone = concerned.first.len() - found;
    if gone > 0 {
        notes.push(format!(
            "{} since removed or renamed {} left out",
            counted(gone, "device"),
            if gone == 1 { "is" } else { "are" }
        ));
    }
    notes
}

fn empty(
    about: ExplainedThing,
    not_allowed: Vec<lockstep_protocol::rest::NotAllowedPart>,
) -> ExplanationView {
    ExplanationView {
        about,
        trace_id: None,
        message: None,
        causes: Vec::new(),
        flagged: None,
        devices: Vec::new(),
        more_devices: 0,
        executions: Vec::new(),
        elements: Vec::new(),
        not_allowed,
        notes: Vec::new(),
    }
}

fn unknown(text: &str) -> ProblemResponse {
    let detail = format!(
        "{text:?} is no id of a message that was processed and that this token may read (those of others with `messages`), and no execution \
         or element; ended ones are deleted after a while"
    );
    ProblemResponse::not_found("nothing-to-explain", "nothing has this id", detail)
}
