//! The order in which a task and its pre- and post-tasks run. Pure, apart from [`load`].

use std::collections::BTreeMap;

use lockstep_protocol::Code;
use lockstep_protocol::commands::TaskReference;
use lockstep_store::{ExecutionTransaction, StoreError, TaskRow};

use crate::handlers::Rejection;

/// The most tasks in a sequence: the index of a phase is a byte.
pub(super) const MOST_PHASES: usize = 255;

/// A task with the names of its pre- and post-tasks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Related<'a> {
    pub(super) name: &'a str,
    pub(super) pre_tasks: &'a [String],
    pub(super) post_tasks: &'a [String],
}

impl<'a> From<&'a TaskRow> for Related<'a> {
    fn from(row: &'a TaskRow) -> Self {
        Self {
            name: &row.name,
            pre_tasks: &row.pre_tasks,
            post_tasks: &row.post_tasks,
        }
    }
}

/// The names of the tasks that run before and after a task, each list in the order in which they run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sequence<'a> {
    pub(super) before: Vec<&'a str>,
    pub(super) after: Vec<&'a str>,
}

/// Why a task has no sequence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SequenceError {
    /// No task has the name that another one gives.
    #[error("task {of} names {task}, which does not exist; `lockstep tasks list` shows all tasks")]
    Unknown {
        /// The name.
        task: String,
        /// The task that gives it.
        of: String,
        /// Where the first task does so: `.pre_tasks[1]`.
        place: String,
    },
    /// A task runs before or after itself.
    #[error("task {} would run before or after itself: {}; save one of them without the next one", .tasks[0], .tasks.join(" → "))]
    Cycle {
        /// The tasks, each of which names the next one. The last one is the first.
        tasks: Vec<String>,
        /// Where the first task names it.
        place: String,
    },
    /// It has too many tasks.
    #[error("with its pre- and post-tasks, and theirs, it has more than {MOST_PHASES} tasks; name fewer")]
    TooLong,
}

impl SequenceError {
    /// The rejection of a message that has the lists of the first task at this place, or names the task there.
    pub(super) fn rejection(&self, has_lists: bool, place: &str) -> Rejection {
        let (code, list) = match self {
            Self::Unknown { place, .. } => (Code::UnknownTask, place.as_str()),
            Self::Cycle { place, .. } => (Code::InvalidArguments, place.as_str()),
            Self::TooLong => (Code::InvalidArguments, ".pre_tasks"),
        };
        let list = if has_lists { list } else { "" };
        Rejection::new(code, format!("{place}{list}"), self.to_string())
    }
}

/// The sequence of a task: its pre-tasks, the task, its post-tasks, each with its own around it. A task that would run twice in a row runs
/// once. `tasks` has all tasks that are named, by name.
pub(super) fn sequence<'a>(
    task: Related<'a>,
    tasks: &'a BTreeMap<String, TaskRow>,
) -> Result<Sequence<'a>, SequenceError> {
    // Not all of them were read.
    if tasks.len() > MOST_PHASES {
        return Err(SequenceError::TooLong);
    }
    let mut expansion = Expansion {
        tasks,
        open: vec![task.name],
        order: Vec::new(),
        place: String::new(),
    };
    expansion.list(task.name, ".pre_tasks", task.pre_tasks)?;
    let before = std::mem::take(&mut expansion.order);
    expansion.list(task.name, ".post_tasks", task.post_tasks)?;
    let after = expansion.order;
    if before.len() + 1 + after.len() > MOST_PHASES {
        return Err(SequenceError::TooLong);
    }
    Ok(Sequence { before, after })
}

/// The names that are expanded.
struct Expansion<'a> {
    tasks: &'a BTreeMap<String, TaskRow>,
    /// The tasks from the first one to the one that is being expanded.
    open: Vec<&'a str>,
    order: Vec<&'a str>,
    /// Where the first task names the one that is being expanded.
    place: String,
}

impl<'a> Expansion<'a> {
    fn list(&mut self, of: &str, list: &str, names: &'a [String]) -> Result<(), SequenceError> {
        for (index, name) in names.iter().enumerate() {
            if self.open.len() == 1 {
                self.place = format!("{list}[{index}]");
            }
            self.task(of, name)?;
        }
        Ok(())
    }

    fn task(&mut self, of: &str, name: &'a str) -> Result<(), SequenceError> {
        if let Some(begin) = self.open.iter().position(|open| *open == name) {
            let cycle = self.open[begin..].iter().copied().chain([name]);
            return Err(SequenceError::Cycle {
                tasks: cycle.map(str::to_owned).collect(),
                place: self.place.clone(),
            });
        }
        let task = self.tasks.get(name).ok_or_else(|| SequenceError::Unknown {
            task: name.to_owned(),
            of: of.to_owned(),
            place: self.place.clone(),
        })?;
        self.open.push(name);
        self.list(name, ".pre_tasks", &task.pre_tasks)?;
        if self.order.last() != Some(&name) {
            self.order.push(name);
        }
        self.list(name, ".post_tasks", &task.post_tasks)?;
        self.open.pop();
        if self.order.len() > MOST_PHASES {
            return Err(SequenceError::TooLong);
        }
        Ok(())
    }
}

/// Reads all tasks that a task names, and that these name. More than a sequence may have are not read.
pub(super) async fn load(
    executions: &mut (dyn ExecutionTransaction + '_),
    task: Related<'_>,
) -> Result<BTreeMap<String, TaskRow>, StoreError> {
    let mut tasks: BTreeMap<String, TaskRow> = BTreeMap::new();
    let mut open: Vec<String> = task.pre_tasks.iter().chain(task.post_tasks).cloned().collect();
    while let Some(name) = open.pop() {
        if name == task.name || tasks.contains_key(&name) {
            continue;
        }
        let Some(row) = executions.task(&TaskReference::Name(name.clone())).await? else {
            continue;
        };
        open.extend(row.pre_tasks.iter().chain(&row.post_tasks).cloned());
        tasks.insert(name, row);
        if tasks.len() > MOST_PHASES {
            break;
        }
    }
    Ok(tasks)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::Value;

    use super::*;

    type Lists<'a> = (&'a str, &'a [&'a str], &'a [&'a str]);
    type Names = &'static [&'static str];

    fn row((name, before, after): Lists<'_>) -> TaskRow {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        TaskRow {
            number: 1,
            name: name.to_owned(),
            description: None,
            provider: "ping".to_owned(),
            arguments: Value::Null,
            pre_tasks: names(before),
            post_tasks: names(after),
            run_input_json_schema: None,
            run_input_ui_schema: None,
            saved_at: Timestamp::UNIX_EPOCH,
            saved_by: None,
        }
    }

    fn rows(tasks: &[Lists<'_>]) -> BTreeMap<String, TaskRow> {
        let rows = tasks.iter().map(|task| row(*task));
        rows.map(|row| (row.name.clone(), row)).collect()
    }

    #[test]
    fn pre_and_post_tasks_run_around_their_task_and_consecutive_ones_once() {
        let tasks = rows(&[
            ("save", &[], &[]),
            ("check", &["save"], &[]),
            ("report", &[], &["mail"]),
            ("mail", &[], &[]),
        ]);
        let table: [(Names, Names, Names, Names); 6] = [
            // pre-tasks, post-tasks, order before, order after
            (&[], &[], &[], &[]),
            (&["check"], &["report"], &["save", "check"], &["report", "mail"]),
            (&["save", "check"], &[], &["save", "check"], &[]),
            (&["save", "save"], &["mail", "mail"], &["save"], &["mail"]),
            (
                &["check", "save"],
                &["report", "mail"],
                &["save", "check", "save"],
                &["report", "mail"],
            ),
            (&["save", "mail", "save"], &[], &["save", "mail", "save"], &[]),
        ];
        for (pre_tasks, post_tasks, before, after) in table {
            let main = row(("main", pre_tasks, post_tasks));
            let found = sequence(Related::from(&main), &tasks).unwrap();
            let expected = Sequence {
                before: before.to_vec(),
                after: after.to_vec(),
            };
            assert_eq!(found, expected, "{pre_tasks:?} {post_tasks:?}");
        }
    }

    #[test]
    fn a_cycle_and_an_unknown_task_are_rejected_with_their_place() {
        let tasks = rows(&[
            ("a", &["b"], &[]),
            ("b", &[], &["a"]),
            ("lost", &["nobody"], &[]),
            ("back", &["main"], &[]),
        ]);
        let table = [
            // pre-tasks, post-tasks, code, place, a part of the reason
            (
                vec!["main"],
                vec![],
                Code::InvalidArguments,
                ".pre_tasks[0]",
                "main → main",
            ),
            (
                vec![],
                vec!["a"],
                Code::InvalidArguments,
                ".post_tasks[0]",
                "a → b → a",
            ),
            (
                vec![],
                vec!["back"],
                Code::InvalidArguments,
                ".post_tasks[0]",
                "main → back → main",
            ),
            (
                vec!["other"],
                vec![],
                Code::UnknownTask,
                ".pre_tasks[0]",
                "task main names other",
            ),
            (
                vec![],
                vec!["lost"],
                Code::UnknownTask,
                ".post_tasks[0]",
                "task lost names nobody",
            ),
        ];
        for (pre_tasks, post_tasks, code, place, reason) in table {
            let main = row(("main", &pre_tasks, &post_tasks));
            let error = sequence(Related::from(&main), &tasks).unwrap_err();
            let rejection = error.rejection(true, "$.data");
            assert_eq!(
                (rejection.code, rejection.place),
                (code, format!("$.data{place}"))
            );
            assert!(rejection.reason.contains(reason), "{}", rejection.reason);
            assert_eq!(error.rejection(false, "$.data.task").place, "$.data.task");
        }
    }

    #[test]
    fn a_sequence_has_as_many_tasks_as_phases_have_indexes() {
        let name = |number: usize| format!("task{number}");
        let chain = |length: usize| -> BTreeMap<String, TaskRow> {
            let rows = (0..length).map(|number| {
                let next = [name(number + 1)];
                let next: Vec<&str> = next.iter().map(String::as_str).collect();
                let last = number + 1 == length;
                row((&name(number), if last { &[] } else { &next }, &[]))
            });
            rows.map(|row| (row.name.clone(), row)).collect()
        };
        let main = row(("main", &["task0"], &[]));
        let tasks = chain(MOST_PHASES - 1);
        let found = sequence(Related::from(&main), &tasks).unwrap();
        assert_eq!((found.before.len(), found.before[0]), (254, "task253"));
        let tasks = chain(MOST_PHASES);
        assert_eq!(
            sequence(Related::from(&main), &tasks),
            Err(SequenceError::TooLong)
        );
        // Each level names the next one twenty times.
        let names = ["x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9"];
        let tasks: BTreeMap<String, TaskRow> = (0..9)
            .map(|level| row((names[level], &[names[level + 1]; 20], &[names[9]])))
            .chain([row((names[9], &[], &[]))])
            .map(|row| (row.name.clone(), row))
            .collect();
        let main = row(("main", &["x0"], &[]));
        assert_eq!(
            sequence(Related::from(&main), &tasks),
            Err(SequenceError::TooLong)
        );
    }
}
