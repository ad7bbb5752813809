//! Reads entries of the change log, oldest first.

use std::collections::HashSet;

use jiff::Timestamp;
use lockstep_dcim::{ObjectChange, System, nautobot, netbox};
use serde_json::Value;

use super::client::ChangeLogClient;
use super::error::ClientError;

/// A change in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedChange {
    /// The change. Objects of NetBox are not in it yet.
    pub change: ObjectChange,
    /// The ends of the cable, if it is one of NetBox that was deleted.
    pub(crate) cable_ends: Vec<Value>,
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadChanges {
    /// The changes, oldest first.
    pub changes: Vec<LoggedChange>,
    /// Everything until this time was read.
    pub read_until: Timestamp,
    /// Whether there may be more changes in the time that was asked for.
    pub more: bool,
    /// Entries that do not have the format of the change log, with the reason of the first.
    pub unreadable: Option<(usize, String)>,
}

impl ChangeLogClient {
    /// The time of the newest change; `None` if there is none.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn newest(&self) -> Result<Option<Timestamp>, ClientError> {
        let order = match self.options.system {
            System::NetBox => ("ordering", "-time".to_owned()),
            System::Nautobot => ("sort", "-time".to_owned()),
        };
        let query = [order, ("limit", "1".to_owned())];
        let (path, page) = self.log(&query).await?;
        let newest = results(&path, &page)?
            .first()
            .and_then(|entry| entry.get("time")?.as_str());
        match newest {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| ClientError::Unreadable {
                url: path,
                reason: format!("{text:?} is not a time"),
            }),
        }
    }

    /// The changes from one time until another, both included.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn changes(&self, from: Timestamp, until: Timestamp) -> Result<ReadChanges, ClientError> {
        let [after, before, order] = match self.options.system {
            System::NetBox => ["time_after", "time_before", "ordering"],
            System::Nautobot => ["time__gte", "time__lte", "sort"],
        };
        let mut seen = HashSet::new();
        let mut changes = Vec::new();
        let mut unreadable: Option<(usize, String)> = None;
        let mut more = true;
        for page in 0..self.options.pages {
            let query = [
                (after, from.to_string()),
                (before, until.to_string()),
                (order, "time".to_owned()),
                ("limit", self.options.page.to_string()),
                ("offset", (page * self.options.page).to_string()),
            ];
            let (path, answer) = self.log(&query).await?;
            let entries = results(&path, &answer)?;
            let before = seen.len();
            let known = unreadable.as_ref().map(|(count, _)| *count);
            for entry in entries {
                let read = match self.options.system {
                    System::NetBox => netbox::entry(entry),
                    System::Nautobot => nautobot::entry(entry),
                };
                match read {
                    Ok((id, change)) => changes.extend(seen.insert(id).then_some(change)),
                    Err(error) => {
                        let (count, reason) = unreadable.take().unwrap_or_else(|| (0, error.to_string()));
                        unreadable = Some((count + 1, reason));
                    }
                }
            }
            // The link to the next page is not followed: it could lead to another host.
            more = answer.get("next").is_some_and(|next| !next.is_null());
            if !more {
                break;
            }
            if seen.len() == before && unreadable.as_ref().map(|(count, _)| *count) == known {
                return Err(ClientError::Endless { url: path });
            }
        }
        let last = changes.iter().map(|change| change.at).max();
        let read_until = if more { last.unwrap_or(from) } else { until };
        Ok(ReadChanges {
            changes: self.logged(changes),
            read_until,
            more,
            unreadable,
        })
    }

    /// NetBox before 4.1, and Nautobot, have the change log among the extras.
    async fn log(&self, query: &[(&str, String)]) -> Result<(String, Value), ClientError> {
        const EXTRAS: &str = "extras/object-changes";
        const CORE: &str = "core/object-changes";
        if self.options.system == System::NetBox
            && let Some(answer) = self.find(CORE, query).await?
        {
            return Ok((CORE.to_owned(), answer));
        }
        Ok((EXTRAS.to_owned(), self.get(EXTRAS, query).await?))
    }

    /// Combines the steps of each request in NetBox, and gives the ends of a deleted cable to its change.
    fn logged(&self, changes: Vec<ObjectChange>) -> Vec<LoggedChange> {
        let ends: Vec<(Option<String>, Value)> = changes.iter().filter_map(cable_end).collect();
        let changes = match self.options.system {
            System::NetBox => netbox::coalesce(changes),
            System::Nautobot => changes,
        };
        let logged = |change: ObjectChange| {
            let of_cable = |(request, end): &&(Option<String>, Value)| {
                let cable = end.get("cable").map(Value::to_string);
                *request == change.request_id && cable.as_deref() == Some(&change.object_id)
            };
            LoggedChange {
                cable_ends: ends.iter().filter(of_cable).map(|(_, end)| end.clone()).collect(),
                change,
            }
        };
        changes.into_iter().map(logged).collect()
    }
}

/// The end of a cable of NetBox that was deleted: an object of its own, with the id of the cable.
fn cable_end(change: &ObjectChange) -> Option<(Option<String>, Value)> {
    let deleted = change.action == lockstep_dcim::Action::Deleted
        && change.model.as_str().ends_with("cabletermination");
    deleted
        .then(|| Some((change.request_id.clone(), change.before.clone()?)))
        .flatten()
}

pub(super) fn results<'a>(path: &str, page: &'a Value) -> Result<&'a Vec<Value>, ClientError> {
    page.get("results")
        .and_then(Value::as_array)
        .ok_or_else(|| ClientError::Unreadable {
            url: path.to_owned(),
            reason: "it has no list of results".to_owned(),
        })
}
