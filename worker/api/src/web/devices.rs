//! The list of devices, and what is begun on several of them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{Html, IntoResponse, Redirect, Response};
use lockstep_http::ReadScope;
use lockstep_protocol::commands::{RunLimits, SyncAction, SyncRequested, SyncTargets};
use lockstep_protocol::{DeviceState, GroupName, Hostname, Message};
use serde_json::json;

use super::command;
use super::failure::Failure;
use super::filters::Filters;
use super::form::{Form, Submitted, invalid, unknown_command};
use super::page::{self, Page};
use super::section::section;
use super::task;
use super::viewer::Viewer;
use crate::context::Shared;
use crate::rest::parameters::Parameters;
use crate::rest::{devices, problem, tasks};

/// How many devices the page has if it does not say.
const PAGE: &str = "50";
/// How many groups, types and tasks there are to choose from. Others can be written into the address.
const CHOICES: u32 = 500;
/// The most devices that get a plan each: each plan is an execution of its own. For more, there are groups and types.
const PLANS: usize = 20;

/// `GET /devices`: one page of devices by hostname, with filters.
pub(super) async fn list(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Html<String>, Failure> {
    let sent = page::sent(&mut parameters)?;
    let filters = Filters::of(&mut parameters, "/devices", "after", PAGE);
    let chosen = |name| filters.chosen(name);
    let operator = &viewer.operator;
    let all_tasks = Parameters::of(&[("limit", &CHOICES.to_string())]);
    let groups = lockstep_store::Page {
        after: None,
        limit: CHOICES,
    };
    let (found, all_tasks, groups, counts) = tokio::join!(
        devices::list(operator.clone(), State(Arc::clone(&shared)), parameters),
        tasks::list(operator.clone(), State(Arc::clone(&shared)), all_tasks),
        // Without the numbers of their members, which would be counted.
        shared.context.entities.group_entities(&groups),
        shared.glance.types(&shared),
    );
    let found = found?.0;
    let groups = groups.map_err(problem::store_error)?;
    let values = json!({
        "now": shared.context.clock.now(),
        "next": filters.next(found.next.as_ref()),
        "first": filters.first(),
        "counted": filters.with("total", "true"),
        "page": found,
        "tasks": section(all_tasks)?,
        "states": DeviceState::ALL,
        "types": counts?,
        "groups": groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(),
        "plans": PLANS,
        "chosen": {
            "synchronized": chosen("synchronized"), "state": chosen("state"), "device_type": chosen("device_type"),
            "group": chosen("group"), "limit": chosen("limit"),
        },
        "target": target_name(chosen("state"), chosen("device_type"), chosen("group")),
    });
    let page = Page {
        viewer: &viewer,
        section: "/devices",
        title: "Devices",
        sent,
    };
    page.render("devices.html", values)
}

/// The target of a sync that a filter is, for people. `None` for a filter that is no target.
fn target_name(state: &str, device_type: &str, group: &str) -> Option<String> {
    match (state, device_type, group) {
        ("" | "MANAGED", "", "") => Some("all devices".to_owned()),
        ("" | "MANAGED", device_type, "") => Some(format!("all devices of type {device_type}")),
        ("" | "MANAGED", "", group) => Some(format!("all devices of group {group}")),
        _ => None,
    }
}

/// `POST /devices`: plans a sync of the checked devices or of those of the filter, or asks what a task on the checked ones needs.
pub(super) async fn command(
    State(shared): State<Arc<Shared>>,
    Submitted { viewer, form }: Submitted,
) -> Result<Response, Failure> {
    let checked: Vec<&str> = form.all("hostname").collect();
    match form.text("command") {
        Some("plan-checked") => {
            let commands = plans(&checked)?;
            if let [command] = &commands[..] {
                return command::send(&shared, &viewer, &form, command.clone(), "/devices").await;
            }
            command::publish(&shared, &viewer, &form, commands).await?;
            Ok(Redirect::to("/executions?task=sync").into_response())
        }
        Some("plan-filter") => {
            let command = plan(target(&form)?);
            command::send(&shared, &viewer, &form, command, "/devices").await
        }
        Some("task") => {
            if checked.is_empty() {
                return Err(none_checked().into());
            }
            viewer.operator.may_read(ReadScope::Tasks)?;
            let name: String = form.required("task")?;
            let html = task::prefilled(&viewer, &shared, &name, &checked).await?;
            Ok(html.into_response())
        }
        _ => Err(unknown_command(&form).into()),
    }
}

/// A dry run of each of these devices.
fn plans(hostnames: &[&str]) -> Result<Vec<Message>, Failure> {
    if hostnames.is_empty() {
        return Err(none_checked().into());
    }
    if hostnames.len() > PLANS {
        let detail = format!(
            "{} devices are checked; at most {PLANS} get a plan each. Plan a group, a type or all devices instead",
            hostnames.len()
        );
        return Err(invalid(detail).into());
    }
    let plans = hostnames.iter().map(|hostname| {
        let hostname = hostname.parse::<Hostname>();
        let hostname = hostname.map_err(|error| invalid(format!("field \"hostname\": {error}")))?;
        Ok(plan(SyncTargets::Hostname(hostname)))
    });
    plans.collect()
}

/// The target that the filter of the page is.
fn target(form: &Form) -> Result<SyncTargets, Failure> {
    let group = form
        .text("group")
        .map(|name| GroupName::try_from(name.to_owned()));
    let group = group.transpose();
    let group = group.map_err(|error| invalid(format!("field \"group\": {error}")))?;
    match (form.value("device_type")?, group) {
        (None, None) => Ok(SyncTargets::All),
        (Some(device_type), None) => Ok(SyncTargets::DeviceType(device_type)),
        (None, Some(group)) => Ok(SyncTargets::Group(group)),
        (Some(_), Some(_)) => {
            Err(invalid("a sync has one target: leave out the type or the group in the filter").into())
        }
    }
}

/// A dry run with this target.
fn plan(targets: SyncTargets) -> Message {
    dry_run(targets).into()
}

/// What a form asks for that plans a sync of these devices.
pub(super) fn dry_run(targets: SyncTargets) -> SyncRequested {
    SyncRequested {
        targets: Some(targets),
        plan: None,
        rollback: None,
        action: SyncAction::Synchronize,
        resync: false,
        dry_run: true,
        force: false,
        commit: None,
        session: None,
        limits: RunLimits::default(),
        note: None,
    }
}

fn none_checked() -> lockstep_http::ProblemResponse {
    invalid("no device is checked; check at least one in the list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_filters_that_are_targets_of_syncs_have_a_name() {
        for (filter, expected) in [
            (["", "", ""], Some("all devices")),
            (["MANAGED", "ACCESS", ""], Some("all devices of type ACCESS")),
            (["", "", "LAB"], Some("all devices of group LAB")),
            (["", "ACCESS", "LAB"], None),
            (["INIT", "", ""], None),
        ] {
            let [state, device_type, group] = filter;
            assert_eq!(
                target_name(state, device_type, group).as_deref(),
                expected,
                "{filter:?}"
            );
        }
    }

    #[test]
    fn too_many_plans_are_refused() {
        let many = vec!["sw1"; PLANS + 1];
        assert!(plans(&many).is_err() && plans(&[]).is_err());
        assert_eq!(plans(&many[..PLANS]).unwrap().len(), PLANS);
    }
}
