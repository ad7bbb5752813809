//! An explanation as people read it: a line for each idea, indented by what it follows from. Pure; the texts are untrusted until they are
//! printed.

use jiff::Timestamp;
use lockstep_protocol::counted;
use lockstep_protocol::rest::{
    ExecutionView, ExplainedCause, ExplainedElement, ExplanationPart, ExplanationView, MessageDetail,
};

use crate::cli::devices::cause;
use crate::cli::executions::{approved, status};
use crate::cli::messages::report::{result, state};

/// Indents lines below a heading.
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, depth: usize, text: impl AsRef<str>) {
        self.0
            .push(format!("{:width$}{}", "", text.as_ref(), width = 2 * depth));
    }
}

/// The lines of an explanation.
pub(super) fn lines(explanation: &ExplanationView) -> Vec<String> {
    let mut lines = Lines(Vec::new());
    message(&mut lines, explanation);
    causes(&mut lines, explanation);
    devices(&mut lines, explanation);
    executions(&mut lines, explanation);
    for note in &explanation.notes {
        lines.add(0, format!("Note: {note}"));
    }
    lines.0
}

/// "not allowed", if the part is.
fn not_allowed(explanation: &ExplanationView, part: ExplanationPart) -> Option<String> {
    let missing = explanation
        .not_allowed
        .iter()
        .find(|missing| missing.part == part)?;
    Some(format!("not allowed: needs `{}`", missing.needs))
}

fn message(lines: &mut Lines, explanation: &ExplanationView) {
    lines.add(0, "Message");
    if let Some(text) = not_allowed(explanation, ExplanationPart::Message) {
        lines.add(1, text);
    } else if let Some(message) = &explanation.message {
        sent(lines, message);
    } else {
        lines.add(1, "not kept any more");
    }
    if let Some(trace) = &explanation.trace_id {
        lines.add(1, format!("trace {trace}"));
    }
}

fn sent(lines: &mut Lines, message: &MessageDetail) {
    let view = &message.outcome;
    let by = view.by.as_deref().unwrap_or("nobody that the broker knows");
    let about = message
        .subject
        .as_ref()
        .map(|subject| format!(" about {subject}"));
    lines.add(1, format!("{}{} by {by}", view.kind, about.unwrap_or_default()));
    lines.add(1, format!("{} of {}", view.id, view.source));
    lines.add(
        1,
        format!("{} at {:.0}: {}", state(view.state), view.at, result(message)),
    );
    for dead_letter in message.dead_letters.iter().flatten() {
        lines.add(
            1,
            format!(
                "dead letter {} ({}): {}",
                dead_letter.number, dead_letter.state, dead_letter.code
            ),
        );
    }
}

fn causes(lines: &mut Lines, explanation: &ExplanationView) {
    let denied = not_allowed(explanation, ExplanationPart::Devices);
    if denied.is_none() && explanation.causes.is_empty() {
        return;
    }
    lines.add(0, "Rules and causes");
    if let Some(text) = denied {
        lines.add(1, text);
    }
    for explained in &explanation.causes {
        one_cause(lines, explained);
    }
}

fn one_cause(lines: &mut Lines, explained: &ExplainedCause) {
    for rule in &explained.rules {
        lines.add(1, format!("rule: {}: {}", rule.event, rule.devices));
    }
    let mut texts = cause(&explained.cause).into_iter();
    if let Some(first) = texts.next() {
        lines.add(1, first);
    }
    for text in texts {
        lines.add(2, text);
    }
}

fn devices(lines: &mut Lines, explanation: &ExplanationView) {
    let shown = explanation.devices.len();
    if shown == 0 && explanation.flagged.is_none() {
        return;
    }
    lines.add(0, "Devices");
    if let Some(flagged) = explanation.flagged {
        lines.add(1, format!("{} changed", counted(flagged, "sync flag")));
    }
    for device in &explanation.devices {
        let (desired, synced) = (device.desired_generation, device.synced_generation);
        let now = if synced >= desired {
            format!("synchronized, generation {synced}")
        } else {
            format!("unsynchronized, has generation {synced} of {desired}")
        };
        lines.add(1, format!("{}: {now}", device.hostname));
    }
    if explanation.more_devices > 0 {
        lines.add(
            1,
            format!("… and {}", counted(explanation.more_devices, "more device")),
        );
    }
}

fn executions(lines: &mut Lines, explanation: &ExplanationView) {
    lines.add(0, "Executions");
    if let Some(text) = not_allowed(explanation, ExplanationPart::Executions) {
        lines.add(1, text);
        return;
    }
    if explanation.executions.is_empty() {
        lines.add(1, "none yet");
    }
    for execution in &explanation.executions {
        let by = execution
            .by
            .as_ref()
            .map(|by| format!(" by {by}"))
            .unwrap_or_default();
        let at = time(execution.accepted_at);
        lines.add(
            1,
            format!(
                "{}{}: requested {at}{by}",
                status(execution),
                role(explanation, execution)
            ),
        );
        for approval in &execution.approvals {
            lines.add(2, format!("approved {}", approved(approval)));
        }
        let own = explanation
            .elements
            .iter()
            .filter(|one| one.element.execution == execution.number);
        for element in own {
            lines.add(2, said(element));
        }
    }
    let has_elements = !explanation.elements.is_empty();
    if let Some(text) = not_allowed(explanation, ExplanationPart::Steps).filter(|_| has_elements) {
        lines.add(1, format!("steps {text}"));
    }
}

/// What an execution is for another one of the explanation.
fn role(explanation: &ExplanationView, execution: &ExecutionView) -> String {
    let arguments = &execution.task_arguments;
    let number = |id: &str| {
        let mut others = explanation.executions.iter();
        let other = others.find(|other| other.id.to_string() == id);
        other.map_or_else(|| id.to_owned(), |other| other.number.to_string())
    };
    let named = [("plan", "applies plan"), ("rollback", "takes back")];
    let named = named.into_iter().filter_map(|(key, text)| {
        let id = arguments[key].as_str()?;
        Some(format!("{text} {}", number(id)))
    });
    let again = execution
        .relaunch_of
        .map(|id| format!("runs {} again", number(&id.to_string())));
    let roles: Vec<String> = named.chain(again).collect();
    if roles.is_empty() {
        return String::new();
    }
    format!(" ({})", roles.join(", "))
}

/// What became of an element, with the time that it took.
fn said(explained: &ExplainedElement) -> String {
    let element = &explained.element;
    let mut parts = vec![format!("{} {}", element.name, element.state)];
    parts.extend(
        explained
            .generation
            .map(|generation| format!("generation {generation}")),
    );
    parts.extend(explained.step.as_ref().map(|step| format!("came to step {step}")));
    parts.extend(element.reason.clone());
    parts.extend(element.message.clone());
    if let (Some(started), Some(ended)) = (element.started_at, element.ended_at) {
        let milliseconds = ended
            .as_millisecond()
            .saturating_sub(started.as_millisecond())
            .max(0);
        parts.push(format!("{} in {milliseconds} ms", time(started)));
    }
    parts.join(", ")
}

fn time(time: Timestamp) -> String {
    format!("{time:.0}")
}

#[cfg(test)]
mod tests;
