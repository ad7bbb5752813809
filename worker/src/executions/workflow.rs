//! Which tasks a workflow leads to: they exist, none of them leads back to it, and workflows in workflows end. Pure, apart from [`load`].

use std::collections::BTreeMap;

use lockstep_execution::{Provider, Registry, TaskOfStep, or_empty};
use lockstep_protocol::Code;
use lockstep_protocol::commands::{TaskReference, TaskSaveRequested};
use lockstep_store::{ExecutionTransaction, StoreError, TaskRow};

use super::plan::run_arguments;
use crate::handlers::Rejection;

/// The most workflows in one another.
pub(super) const MOST_DEPTH: usize = 5;
/// The most tasks that a workflow leads to.
const MOST_TASKS: usize = 255;

/// A task, and those that it leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// Whether its provider runs other tasks.
    is_workflow: bool,
    leads_to: Vec<Edge>,
}

/// A task names another one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Edge {
    /// Where, as a JSON path within the task: `.arguments.steps[0].task`.
    place: String,
    /// As it is written.
    task: TaskReference,
    /// The name of the task, if there is one.
    name: Option<String>,
}

/// Why a task leads to no end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum WorkflowError {
    #[error("task {of} names {task}, which does not exist; `lockstep tasks list` shows all tasks")]
    Unknown {
        task: TaskReference,
        of: String,
        place: String,
    },
    #[error("task {} would run itself: {}; save one of them without the next one", .tasks[0], .tasks.join(" → "))]
    Cycle { tasks: Vec<String>, place: String },
    #[error("workflows are nested deeper than {MOST_DEPTH}: {}; let one of them have the steps of the next one", .tasks.join(" → "))]
    TooDeep { tasks: Vec<String>, place: String },
    #[error("it leads to more than {MOST_TASKS} tasks; name fewer")]
    TooMany,
}

impl WorkflowError {
    /// The rejection of a message that has the task at this place, or only names it there.
    fn rejection(&self, has_task: bool, root: &str) -> Rejection {
        let (code, place) = match self {
            Self::Unknown { place, .. } => (Code::UnknownTask, place.as_str()),
            Self::Cycle { place, .. } | Self::TooDeep { place, .. } => {
                (Code::InvalidArguments, place.as_str())
            }
            Self::TooMany => (Code::InvalidArguments, ""),
        };
        let place = if has_task { place } else { "" };
        Rejection::new(code, format!("{root}{place}"), self.to_string())
    }
}

/// Checks a task that is to be saved, which is at `root` in the message; the arguments of its steps, too, as far as they are known.
pub(super) async fn check_new(
    executions: &mut (dyn ExecutionTransaction + '_),
    registry: &Registry,
    provider: &dyn Provider,
    task: &TaskSaveRequested,
    root: &str,
) -> Result<Result<(), Rejection>, StoreError> {
    let steps = match provider.tasks(&or_empty(&task.arguments)) {
        Ok(steps) => steps,
        Err(reason) => {
            let place = format!("{root}.arguments");
            return Ok(Err(Rejection::new(Code::InvalidArguments, place, reason)));
        }
    };
    let node = node(&steps, &task.pre_tasks, &task.post_tasks);
    let (nodes, tasks) = load(executions, registry, &task.name, node).await?;
    if let Err(error) = check(&task.name, &nodes) {
        return Ok(Err(error.rejection(true, root)));
    }
    let edges = nodes[&task.name].leads_to.iter();
    for (index, (step, edge)) in steps.iter().zip(edges).enumerate() {
        let row = edge.name.as_ref().and_then(|name| tasks.get(name));
        let provider = row.and_then(|row| registry.get(&row.provider));
        if let (Some(row), Some(provider), Some(arguments)) = (row, provider, &step.arguments) {
            let place = format!("{root}.arguments.steps[{index}].arguments");
            let own = row.run_input_json_schema.as_ref();
            if let Err(rejection) = run_arguments(&**provider, own, arguments, &place) {
                return Ok(Err(rejection));
            }
        }
    }
    Ok(Ok(()))
}

/// Checks a saved task before it runs, which the message names at this place: the tasks that it leads to may have changed.
pub(super) async fn check_saved(
    executions: &mut (dyn ExecutionTransaction + '_),
    registry: &Registry,
    task: &TaskRow,
    place: &str,
) -> Result<Result<(), Rejection>, StoreError> {
    let node = node_of(task, registry);
    let (nodes, _) = load(executions, registry, &task.name, node).await?;
    Ok(check(&task.name, &nodes).map_err(|error| error.rejection(false, place)))
}

fn node_of(task: &TaskRow, registry: &Registry) -> Node {
    let provider = registry.get(&task.provider);
    // What was saved was checked; a provider that changed is noticed when the task is planned.
    let steps = provider.and_then(|provider| provider.tasks(&or_empty(&task.arguments)).ok());
    node(&steps.unwrap_or_default(), &task.pre_tasks, &task.post_tasks)
}

/// The steps come first.
fn node(steps: &[TaskOfStep], pre_tasks: &[String], post_tasks: &[String]) -> Node {
    let edge = |place: String, task: TaskReference| Edge {
        place,
        task,
        name: None,
    };
    let named = |list: &'static str, names: &[String]| -> Vec<Edge> {
        let names = names.iter().enumerate();
        names
            .map(|(index, name)| edge(format!(".{list}[{index}]"), TaskReference::Name(name.clone())))
            .collect()
    };
    let of_steps = steps.iter().enumerate();
    let of_steps =
        of_steps.map(|(index, step)| edge(format!(".arguments.steps[{index}].task"), step.task.clone()));
    Node {
        is_workflow: !steps.is_empty(),
        leads_to: of_steps
            .chain(named("pre_tasks", pre_tasks))
            .chain(named("post_tasks", post_tasks))
            .collect(),
    }
}

/// Reads all tasks that a task leads to. More than it may lead to are not read.
async fn load(
    executions: &mut (dyn ExecutionTransaction + '_),
    registry: &Registry,
    name: &str,
    node: Node,
) -> Result<(BTreeMap<String, Node>, BTreeMap<String, TaskRow>), StoreError> {
    let mut nodes = BTreeMap::new();
    let mut tasks: BTreeMap<String, TaskRow> = BTreeMap::new();
    let mut open = vec![(name.to_owned(), node)];
    while let Some((of, mut node)) = open.pop() {
        for edge in &mut node.leads_to {
            if nodes.len() + open.len() > MOST_TASKS {
                break;
            }
            let Some(row) = executions.task(&edge.task).await? else {
                // The task itself is not there before it is saved for the first time.
                let is_first = matches!(&edge.task, TaskReference::Name(task) if task == name);
                edge.name = is_first.then(|| name.to_owned());
                continue;
            };
            edge.name = Some(row.name.clone());
            if row.name != name && !tasks.contains_key(&row.name) {
                open.push((row.name.clone(), node_of(&row, registry)));
                tasks.insert(row.name.clone(), row);
            }
        }
        nodes.insert(of, node);
    }
    Ok((nodes, tasks))
}

/// Whether everything that a task leads to exists and ends.
fn check(name: &str, nodes: &BTreeMap<String, Node>) -> Result<(), WorkflowError> {
    if nodes.len() > MOST_TASKS {
        return Err(WorkflowError::TooMany);
    }
    let mut walk = Walk {
        nodes,
        open: Vec::new(),
        depths: BTreeMap::new(),
        place: String::new(),
    };
    let deepest = walk.depth(name)?;
    if deepest.len() > MOST_DEPTH {
        let tasks = deepest.iter().map(|task| (*task).to_owned()).collect();
        let next = deepest[1];
        let edges = nodes.get(name).into_iter().flat_map(|node| &node.leads_to);
        let place = edges
            .filter(|edge| edge.name.as_deref() == Some(next))
            .map(|edge| edge.place.clone())
            .next();
        return Err(WorkflowError::TooDeep {
            tasks,
            place: place.unwrap_or_default(),
        });
    }
    Ok(())
}

/// The tasks that are walked over.
struct Walk<'a> {
    nodes: &'a BTreeMap<String, Node>,
    /// From the first one to the one that is looked at.
    open: Vec<&'a str>,
    /// The longest sequence of workflows in one another, for each task that was looked at.
    depths: BTreeMap<&'a str, Vec<&'a str>>,
    /// Where the first task leads to the one that is looked at.
    place: String,
}

impl<'a> Walk<'a> {
    fn depth(&mut self, name: &str) -> Result<Vec<&'a str>, WorkflowError> {
        let Some((name, node)) = self.nodes.get_key_value(name) else {
            return Ok(Vec::new());
        };
        if let Some(begin) = self.open.iter().position(|open| open == name) {
            let cycle = self.open[begin..].iter().copied().chain([name.as_str()]);
            return Err(WorkflowError::Cycle {
                tasks: cycle.map(str::to_owned).collect(),
                place: self.place.clone(),
            });
        }
        if let Some(known) = self.depths.get(name.as_str()) {
            return Ok(known.clone());
        }
        self.open.push(name);
        let mut deepest = Vec::new();
        for edge in &node.leads_to {
            if self.open.len() == 1 {
                self.place.clone_from(&edge.place);
            }
            let Some(next) = &edge.name else {
                return Err(WorkflowError::Unknown {
                    task: edge.task.clone(),
                    of: name.clone(),
                    place: self.place.clone(),
                });
            };
            let below = self.depth(next)?;
            if below.len() > deepest.len() {
                deepest = below;
            }
        }
        self.open.pop();
        if node.is_workflow {
            deepest.insert(0, name);
        }
        self.depths.insert(name, deepest.clone());
        Ok(deepest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Workflows have a name in capitals; `?` is a task that does not exist.
    fn nodes(tasks: &[(&str, &[&str])]) -> BTreeMap<String, Node> {
        let node = |(name, leads_to): &(&str, &[&str])| {
            let edges = leads_to.iter().enumerate().map(|(index, task)| Edge {
                place: format!(".steps[{index}]"),
                task: TaskReference::from(*task),
                name: (*task != "?").then(|| (*task).to_owned()),
            });
            let is_workflow = name.chars().all(char::is_uppercase);
            let node = Node {
                is_workflow,
                leads_to: edges.collect(),
            };
            ((*name).to_owned(), node)
        };
        tasks.iter().map(node).collect()
    }

    #[test]
    fn a_workflow_leads_to_tasks_that_exist_and_never_back() {
        type Tasks = &'static [(&'static str, &'static [&'static str])];
        type Expected = Result<(), (&'static str, &'static str)>;
        let table: [(Tasks, Expected); 9] = [
            (&[("a", &[])], Ok(())),
            (&[("A", &["a", "a", "b"]), ("a", &[]), ("b", &["a"])], Ok(())),
            (&[("A", &["a", "A"]), ("a", &[])], Err((".steps[1]", "A → A"))),
            (
                &[("A", &["B"]), ("B", &["b"]), ("b", &["A"])],
                Err((".steps[0]", "A → B → b → A")),
            ),
            // The cycle is not one of the first task.
            (
                &[("A", &["b", "B"]), ("B", &["b"]), ("b", &["B"])],
                Err((".steps[0]", "b → B → b")),
            ),
            (&[("A", &["?"])], Err((".steps[0]", "task A names ?"))),
            (
                &[("A", &["a", "b"]), ("a", &[]), ("b", &["?"])],
                Err((".steps[1]", "task b names ?")),
            ),
            (
                &[
                    ("A", &["B"]),
                    ("B", &["C"]),
                    ("C", &["D"]),
                    ("D", &["E"]),
                    ("E", &["e"]),
                    ("e", &[]),
                ],
                Ok(()),
            ),
            (
                &[
                    ("A", &["B"]),
                    ("B", &["C"]),
                    ("C", &["D"]),
                    ("D", &["e"]),
                    ("e", &["E"]),
                    ("E", &["F"]),
                    ("F", &["f"]),
                    ("f", &[]),
                ],
                Err((".steps[0]", "deeper than 5: A → B → C → D → E → F")),
            ),
        ];
        for (tasks, expected) in table {
            let nodes = nodes(tasks);
            let found = check(tasks[0].0, &nodes).map_err(|error| error.rejection(true, ""));
            match (found, expected) {
                (Ok(()), Ok(())) => {}
                (Err(rejection), Err((place, reason))) => {
                    assert_eq!(rejection.place, place, "{rejection:?}");
                    assert!(rejection.reason.contains(reason), "{rejection:?}");
                }
                (found, expected) => panic!("{tasks:?}: {found:?} instead of {expected:?}"),
            }
        }
        let many: BTreeMap<String, Node> = (0..300)
            .map(|number| (number.to_string(), Node::default()))
            .collect();
        assert_eq!(check("0", &many), Err(WorkflowError::TooMany));
    }
}
