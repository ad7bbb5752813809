//! The single objects that a query begins with. One that does not exist is null, as is one whose id can be no id.

use std::sync::Arc;

use async_graphql::{Context, ID, Result};
use lockstep_http::ReadScope;
use lockstep_protocol::commands::TaskReference;
use lockstep_protocol::{EntityType, GroupName, Hostname, Mac};
use lockstep_store::ExecutionReference;

use super::client::Client;
use super::device::{self, Device, device_id};
use super::element::Element;
use super::error;
use super::execution::Execution;
use super::field::{console, invalid, load, may_read};
use super::group::Group;
use super::interface::Interface;
use super::loads::{ClientKey, GroupKey, InterfaceKey, ProviderKey};
use super::provider::Provider;
use super::run_on::RunOn;
use super::task::NeopsTask;

/// What names an object: its id, or its name.
enum Reference {
    Id(u64),
    Name(String),
    /// The id is no number.
    Nothing,
}

/// The arguments of a field that takes an id or a name: one of them.
fn reference(id: Option<ID>, name: Option<String>, argument: &str) -> Result<Reference> {
    match (id, name) {
        (Some(id), None) => Ok(id.parse().map_or(Reference::Nothing, Reference::Id)),
        (None, Some(name)) => Ok(Reference::Name(name)),
        (Some(_), Some(_)) | (None, None) => Err(invalid(format!(
            "one of the arguments \"id\" and {argument:?} is needed, and only one"
        ))),
    }
}

pub(super) async fn device(
    context: &Context<'_>,
    id: Option<ID>,
    hostname: Option<String>,
) -> Result<Option<Device>> {
    may_read(context, ReadScope::Devices)?;
    match reference(id, hostname, "hostname")? {
        Reference::Id(id) => device::by_id(context, device_id(id)).await,
        Reference::Name(hostname) => {
            let Ok(hostname) = hostname.parse::<Hostname>() else {
                return Ok(None);
            };
            let found = console(context).fleet.device(&hostname).await;
            Ok(found.map_err(error::of_store)?.map(Arc::new).map(Device))
        }
        Reference::Nothing => Ok(None),
    }
}

pub(super) async fn group(
    context: &Context<'_>,
    id: Option<ID>,
    name: Option<String>,
) -> Result<Option<Group>> {
    may_read(context, ReadScope::Devices)?;
    match reference(id, name, "name")? {
        Reference::Id(id) => Ok(load(context, GroupKey(id)).await?.map(Group)),
        Reference::Name(name) => named_group(context, name).await,
        Reference::Nothing => Ok(None),
    }
}

async fn named_group(context: &Context<'_>, name: String) -> Result<Option<Group>> {
    let Ok(name) = GroupName::try_from(name) else {
        return Ok(None);
    };
    let found = console(context).entities.group_named(&name).await;
    Ok(found.map_err(error::of_store)?.map(Arc::new).map(Group))
}

pub(super) async fn interface(context: &Context<'_>, id: &ID) -> Result<Option<Interface>> {
    may_read(context, ReadScope::Devices)?;
    let Ok(id) = id.parse() else {
        return Ok(None);
    };
    Ok(load(context, InterfaceKey(id)).await?.map(Interface))
}

pub(super) async fn client(
    context: &Context<'_>,
    id: Option<ID>,
    mac: Option<String>,
) -> Result<Option<Client>> {
    may_read(context, ReadScope::Devices)?;
    match reference(id, mac, "mac")? {
        Reference::Id(id) => Ok(load(context, ClientKey(id)).await?.map(Client)),
        Reference::Name(mac) => {
            let Ok(mac) = Mac::try_from(mac) else {
                return Ok(None);
            };
            let found = console(context).entities.client(&mac).await;
            Ok(found.map_err(error::of_store)?.map(Arc::new).map(Client))
        }
        Reference::Nothing => Ok(None),
    }
}

pub(super) async fn task(
    context: &Context<'_>,
    id: Option<ID>,
    name: Option<String>,
) -> Result<Option<NeopsTask>> {
    may_read(context, ReadScope::Tasks)?;
    let reference = match reference(id, name, "name")? {
        Reference::Id(number) => TaskReference::Number(number),
        Reference::Name(name) => TaskReference::Name(name),
        Reference::Nothing => return Ok(None),
    };
    let found = console(context).tasks.task(&reference).await;
    let found = found.map_err(error::of_store)?.map(Arc::new);
    Ok(found.map(NeopsTask::of_row))
}

pub(super) async fn provider(context: &Context<'_>, name: String) -> Result<Option<Provider>> {
    may_read(context, ReadScope::Tasks)?;
    Ok(load(context, ProviderKey(name)).await?.map(Provider))
}

pub(super) async fn execution(context: &Context<'_>, id: &ID) -> Result<Option<Execution>> {
    may_read(context, ReadScope::Executions)?;
    let number = id.parse().map(ExecutionReference::Number);
    let Ok(reference) = number.or_else(|_| id.parse().map(ExecutionReference::Id)) else {
        return Ok(None);
    };
    let found = console(context).executions.execution(&reference).await;
    Ok(found.map_err(error::of_store)?.map(Execution))
}

pub(super) async fn element(context: &Context<'_>, id: &ID) -> Result<Option<Element>> {
    may_read(context, ReadScope::Executions)?;
    let Ok(number) = id.parse() else {
        return Ok(None);
    };
    let found = console(context).executions.element(number).await;
    let found = found.map_err(error::of_store)?;
    Ok(found.map(|detail| Element(Arc::new(detail.row))))
}

/// The entity that facts or checks are about: the whole fleet without arguments.
pub(super) fn entity(entity_type: Option<RunOn>, id: Option<ID>) -> Result<(EntityType, u64)> {
    let entity_type = match entity_type.unwrap_or(RunOn::Global) {
        RunOn::Global => EntityType::Global,
        RunOn::Group => EntityType::Group,
        RunOn::Device => EntityType::Device,
        RunOn::Interface => EntityType::Interface,
        RunOn::Client => EntityType::Client,
        RunOn::Generic => {
            let detail = "argument \"entityType\": GENERIC is no kind of entity; it must be GLOBAL, GROUP, DEVICE, INTERFACE or CLIENT";
            return Err(invalid(detail));
        }
    };
    let id = match (entity_type, id) {
        (EntityType::Global, None) => 0,
        (EntityType::Global, Some(_)) => {
            return Err(invalid(
                "argument \"entityId\": the whole fleet has none; leave it out",
            ));
        }
        (_, Some(id)) => id
            .parse()
            .map_err(|_| invalid(format!("argument \"entityId\": {:?} is no id", id.as_str())))?,
        (kind, None) => return Err(invalid(format!("argument \"entityId\" is needed for a {kind}"))),
    };
    Ok((entity_type, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_and_checks_are_about_one_entity() {
        let id = |text: &str| Some(ID::from(text));
        for (kind, entity, expected) in [
            (None, None, Some((EntityType::Global, 0))),
            (Some(RunOn::Global), None, Some((EntityType::Global, 0))),
            (Some(RunOn::Device), id("7"), Some((EntityType::Device, 7))),
            (Some(RunOn::Client), id("7"), Some((EntityType::Client, 7))),
            (None, id("7"), None),
            (Some(RunOn::Device), None, None),
            (Some(RunOn::Device), id("sw1"), None),
            (Some(RunOn::Generic), id("7"), None),
        ] {
            assert_eq!(entity_of(kind, entity.clone()), expected, "{kind:?} {entity:?}");
        }
    }

    fn entity_of(kind: Option<RunOn>, id: Option<ID>) -> Option<(EntityType, u64)> {
        entity(kind, id).ok()
    }

    #[test]
    fn an_object_is_named_by_its_id_or_its_name() {
        let id = || Some(ID::from("7"));
        let name = || Some("sw1".to_owned());
        assert!(matches!(reference(id(), None, "name"), Ok(Reference::Id(7))));
        assert!(matches!(reference(None, name(), "name"), Ok(Reference::Name(_))));
        assert!(matches!(
            reference(Some(ID::from("x")), None, "name"),
            Ok(Reference::Nothing)
        ));
        assert!(reference(id(), name(), "name").is_err() && reference(None, None, "name").is_err());
    }
}
