use lockstep_render::{VariableOrigin, Variables};
use serde_json::{Map, Value, json};

use crate::cli::output;

/// Shows the variables of a device with the origin of each; as JSON with the values, of which secrets are masked.
pub(super) fn show(variables: &Variables, as_json: bool) {
    if as_json {
        let all = variables.iter().map(|(name, value, origin)| {
            let value = match origin {
                VariableOrigin::Secret => json!("***"),
                VariableOrigin::Overlay if name.starts_with("TEMPLATE_SECRET") => json!("***"),
                _ => serde_json::to_value(value).unwrap_or_else(|_| json!(value.to_string())),
            };
            (
                name.to_owned(),
                json!({"value": value, "origin": described(origin)}),
            )
        });
        output::json(&Value::Object(all.collect::<Map<String, Value>>()));
        return;
    }
    let rows: Vec<[String; 2]> = variables
        .iter()
        .map(|(name, _, origin)| [name.to_owned(), described(origin)])
        .collect();
    output::lines(&output::table(["VARIABLE", "ORIGIN"], &rows), None);
}

fn described(origin: &VariableOrigin) -> String {
    match origin {
        VariableOrigin::Settings(origin) => origin.to_string(),
        VariableOrigin::Device => "device".to_owned(),
        VariableOrigin::Secret => "secret".to_owned(),
        VariableOrigin::Overlay => "--variables".to_owned(),
    }
}
