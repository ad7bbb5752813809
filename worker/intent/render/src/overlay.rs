use lockstep_intent::IntentProblem;
use lockstep_intent::yaml;

use crate::Overlay;
use crate::settings::{entries, of_yaml};

/// Reads a file with variables, a map in YAML or JSON. Plain words mean what they mean in settings.
///
/// # Errors
/// The problem, with its place.
pub fn read_overlay(path: &[u8], bytes: &[u8]) -> Result<Overlay, IntentProblem> {
    let root = yaml::load(path, bytes)?;
    if root.as_map().is_none() && root.value != yaml::Value::Null {
        let reason = format!("must be a map of variables, is {}", root.kind());
        return Err(IntentProblem::at(path, root.place, reason));
    }
    Ok(entries(&of_yaml(&root)))
}
