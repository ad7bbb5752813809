//! Executions, their elements and results.

use lockstep_http::ReadScope;
use lockstep_protocol::rest::{
    ElementDetail, ElementPage, EntityResultPage, ExecutionPage, ExecutionView, StopView,
};
use lockstep_protocol::{ExecutionState, Hostname, Level};
use serde_json::json;

use super::Document;

impl Document {
    pub(super) fn executions(&mut self) {
        let scope = Some(ReadScope::Executions);
        let parameters = [
            self.query::<ExecutionState>("state", "Only executions in this state."),
            self.query::<String>("task", "Only executions of the task with this name."),
            self.query::<Hostname>("hostname", "Only executions with an element on this device."),
            self.query::<u64>(
                "parent",
                "Only the steps of the workflow whose execution has this number.",
            ),
            self.query::<u64>("before", "The end of the page before: its `next`."),
            self.limit(),
            self.total(),
        ];
        self.get::<ExecutionPage>(
            "/v1/executions",
            "list_executions",
            "Executions, newest first",
            scope,
            &parameters,
        );
        self.get::<StopView>(
            "/v1/executions/stopped",
            "stopped",
            "Whether all executions are stopped",
            scope,
            &[],
        );
        self.get::<ExecutionView>(
            "/v1/executions/{execution}",
            "execution",
            "The execution with this number or id",
            scope,
            &[],
        );
        let mut outcome = self.query::<String>(
            "outcome",
            "Only elements of which this became; `open` are those that have not ended.",
        );
        outcome["schema"] = json!({"type": "string", "enum": ["done", "failed", "skipped", "open"]});
        let parameters = [
            outcome,
            self.query::<u64>("after", "The end of the page before: its `next`."),
            self.limit(),
        ];
        self.get::<ElementPage>(
            "/v1/executions/{execution}/elements",
            "list_elements",
            "The elements of an execution, ordered by number",
            scope,
            &parameters,
        );
        let parameters = [
            self.query::<u8>(
                "phase",
                "The index of the phase: the pre-tasks first, then the task itself, then the post-tasks; the task itself if absent.",
            ),
            self.query::<Level>("level", "The level of the entities; that on which the task runs, if absent."),
            self.query::<String>(
                "of",
                "Only what is directly below the entity with this id, or this name: devices of a group, interfaces of a device, clients of \
                 an interface (hostname and name with a space between them) or of a group.",
            ),
            self.query::<u64>("after", "The end of the page before: its `next`."),
            self.limit(),
        ];
        self.get::<EntityResultPage>(
            "/v1/executions/{execution}/results",
            "list_results",
            "What the steps of a task came to for entities: the elements, where these are all that ran",
            Some(ReadScope::DeviceOutput),
            &parameters,
        );
        self.get::<ElementDetail>(
            "/v1/elements/{number}",
            "element",
            "One element, with what its provider returned",
            Some(ReadScope::DeviceOutput),
            &[],
        );
    }
}
