//! Reads whole lists of objects, for an import.

use lockstep_dcim::System;
use serde_json::Value;

use super::client::ChangeLogClient;
use super::error::ClientError;

/// The most objects of a list.
const MOST: usize = 2_000_000;

impl ChangeLogClient {
    /// Every object of a list, such as `dcim/devices`, in the REST representation with nested objects. `progress` gets how many there are
    /// so far.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn objects(
        &self,
        path: &str,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Value>, ClientError> {
        let page = self.options.page;
        let mut objects: Vec<Value> = Vec::new();
        loop {
            let mut query = vec![("limit", page.to_string()), ("offset", objects.len().to_string())];
            query.push(match self.options.system {
                System::NetBox => ("ordering", "id".to_owned()),
                System::Nautobot => ("sort", "id".to_owned()),
            });
            match self.options.system {
                System::NetBox if path == "dcim/devices" => {
                    query.push(("exclude", "config_context".to_owned()));
                }
                System::NetBox => {}
                System::Nautobot => query.push(("depth", "1".to_owned())),
            }
            let answer = self.get(path, &query).await?;
            let results = super::log::results(path, &answer)?;
            let more = answer.get("next").is_some_and(|next| !next.is_null());
            let repeats = |first: &Value| {
                objects
                    .iter()
                    .rev()
                    .take(page)
                    .any(|known| known["id"] == first["id"])
            };
            if results.first().is_some_and(repeats) || objects.len() > MOST {
                return Err(ClientError::Endless { url: path.to_owned() });
            }
            objects.extend(results.iter().cloned());
            progress(objects.len());
            if !more || results.is_empty() {
                return Ok(objects);
            }
        }
    }
}
