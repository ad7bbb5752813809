use lockstep_protocol::rest::{ElementView, StageView};

/// What an element waits for: the stage of its execution by its name, the end of an execution, anything else as the store names it.
pub(in crate::cli) fn waits_for(element: &ElementView) -> Option<String> {
    let scope = element.waits_for.as_ref()?;
    if let Some(number) = scope.strip_prefix("ended/") {
        return Some(format!("the end of execution {number}"));
    }
    let stage = element.stage.as_ref().filter(|_| scope.starts_with("stage/"));
    Some(stage.map_or_else(|| scope.clone(), text))
}

/// A stage and its task.
pub(super) fn text(stage: &StageView) -> String {
    format!("stage {} of {}", stage.stage, stage.task)
}
