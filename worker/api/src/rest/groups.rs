use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::GroupName;
use lockstep_protocol::rest::{GroupDetail, GroupPage, GroupRuleView, GroupView};

use super::parameters::{self, Parameters};
use super::problem;
use crate::context::Shared;
use lockstep_store::{DeviceQuery, Group, GroupQuery};

/// How many members the answer about one group names.
const FIRST_MEMBERS: u32 = 100;

/// How many groups a problem names.
const NAMED: u32 = 20;

/// `GET /v1/groups`: one page of the groups, ordered by name.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Json<GroupPage>, ProblemResponse> {
    operator.may_read(ReadScope::Devices)?;
    let after = parameters.text("after")?.map(GroupName::try_from).transpose();
    let after = after.map_err(|error| parameters::invalid(format!("parameter \"after\": {error}")))?;
    let limit = parameters.limit()?;
    parameters.finish("after, limit")?;
    // One more than requested shows whether there is a next page.
    let query = GroupQuery {
        after,
        limit: limit + 1,
    };
    let groups = shared.context.fleet.groups(&query).await;
    let mut groups = groups.map_err(problem::store_error)?;
    let next = parameters::cut(&mut groups, limit, |group| group.name.clone());
    Ok(Json(GroupPage {
        groups: groups.into_iter().map(view).collect(),
        next,
    }))
}

/// `GET /v1/groups/{name}`: one group, with its first members.
pub(crate) async fn show(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<GroupDetail>, ProblemResponse> {
    operator.may_read(ReadScope::Devices)?;
    let group = find(&shared, &parameters::segment(name)?).await?;
    let members = DeviceQuery {
        group: Some(group.name.clone()),
        limit: FIRST_MEMBERS + 1,
        ..DeviceQuery::default()
    };
    let devices = shared.context.fleet.devices(&members).await;
    let mut devices = devices.map_err(problem::store_error)?;
    let next = parameters::cut(&mut devices, FIRST_MEMBERS, |device| device.hostname.clone());
    Ok(Json(GroupDetail {
        group: view(group),
        devices: devices.into_iter().map(|device| device.hostname).collect(),
        next,
    }))
}

/// The group with this name; else a problem that names those that exist.
pub(super) async fn find(shared: &Shared, text: &str) -> Result<Group, ProblemResponse> {
    let fleet = &shared.context.fleet;
    let name = GroupName::try_from(text.to_owned()).ok();
    let found = match &name {
        Some(name) => fleet.group(name).await.map_err(problem::store_error)?,
        None => None,
    };
    if let Some(group) = found {
        return Ok(group);
    }
    let query = GroupQuery {
        after: None,
        limit: NAMED + 1,
    };
    let known = fleet.groups(&query).await.map_err(problem::store_error)?;
    let mut names: Vec<String> = known.iter().map(|group| group.name.to_string()).collect();
    if names.len() > NAMED as usize {
        names.truncate(NAMED as usize);
        names.push("more, which `lockstep groups list` shows".to_owned());
    }
    let detail = format!("no group is named {text:?}; there are {}", names.join(", "));
    Err(ProblemResponse::not_found(
        "unknown-group",
        "the group does not exist",
        detail,
    ))
}

fn view(group: Group) -> GroupView {
    GroupView {
        id: group.id,
        name: group.name,
        location: group.location,
        rule: group.rule.map(|rule| GroupRuleView {
            regex: rule.regex,
            hostnames: rule.hostnames,
            priority: rule.priority,
            position: rule.position,
        }),
        members: group.members,
        listed: group.listed,
        by_rule: group.by_rule,
        primary: group.primary,
    }
}
