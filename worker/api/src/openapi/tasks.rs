//! Providers, tasks and schedules.

use lockstep_http::ReadScope;
use lockstep_protocol::rest::{
    ProviderList, ProviderView, SchedulePage, TaskForm, TaskPage, TaskValidation, TaskView,
};
use serde_json::json;

use super::{Document, operation, response_of};

impl Document {
    pub(super) fn tasks(&mut self) {
        let scope = Some(ReadScope::Tasks);
        self.get::<ProviderList>("/v1/providers", "list_providers", "Providers", scope, &[]);
        self.get::<ProviderView>(
            "/v1/providers/{name}",
            "provider",
            "One provider, with the schemas of its arguments",
            scope,
            &[],
        );
        let pages = [
            self.query::<String>("after", "The end of the page before: its `next`."),
            self.limit(),
        ];
        self.get::<TaskPage>("/v1/tasks", "list_tasks", "Tasks, ordered by name", scope, &pages);
        self.get::<TaskView>(
            "/v1/tasks/{task}",
            "task",
            "The task with this number, else the one with this name",
            scope,
            &[],
        );
        self.get::<TaskForm>(
            "/v1/tasks/{task}/form",
            "task_form",
            "The forms of a task and of its runs: JSON Schemas and UI schemas of JSON Forms",
            scope,
            &[],
        );
        self.paths["/v1/tasks/{task}/form"]["get"]["responses"]["409"] = response_of("409");
        self.get::<SchedulePage>(
            "/v1/schedules",
            "list_schedules",
            "Schedules, ordered by name",
            scope,
            &pages,
        );
        let answer = self.schema::<TaskValidation>();
        let mut validate = operation(
            "validate_task",
            "Everything that is wrong in a task, which is not saved",
            scope,
            &answer,
            &[],
        );
        validate["requestBody"] = json!({
            "description": "A task: the data of `lockstep.task.save-requested`.",
            "required": true,
            "content": {"application/json": {"schema": self.schema::<lockstep_protocol::commands::TaskSaveRequested>()}},
        });
        for status in ["408", "413"] {
            validate["responses"][status] = response_of(status);
        }
        self.add("/v1/tasks/validate", "post", validate);
        let view = self.schema::<TaskView>();
        let mut named = operation(
            "task_named_validate",
            "The task with the name `validate`",
            scope,
            &view,
            &[],
        );
        named["responses"]["404"] = response_of("404");
        self.add("/v1/tasks/validate", "get", named);
    }
}
