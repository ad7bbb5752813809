use lockstep_render::{VariableOrigin, Variables};
use minijinja::Value;
use serde::{Serialize, Serializer};

use crate::cli::output;

/// Shows the variables of a device with the origin of each; as JSON with the values, of which secrets are masked.
pub(super) fn show(variables: &Variables, as_json: bool) {
    if as_json {
        output::json(&Shown(variables));
        return;
    }
    let rows: Vec<[String; 2]> = variables
        .iter()
        .map(|(name, _, origin)| [name.to_owned(), described(origin)])
        .collect();
    output::lines(&output::table(["VARIABLE", "ORIGIN"], &rows), None);
}

/// All variables by name. Keys have the order that templates see.
struct Shown<'a>(&'a Variables);

#[derive(Serialize)]
struct Variable<'a> {
    value: &'a Value,
    origin: String,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let masked = Value::from("***");
        serializer.collect_map(self.0.iter().map(|(name, value, origin)| {
            let is_secret = *origin == VariableOrigin::Secret || name.starts_with("TEMPLATE_SECRET");
            let value = if is_secret { &masked } else { value };
            let origin = described(origin);
            (name, Variable { value, origin })
        }))
    }
}

fn described(origin: &VariableOrigin) -> String {
    match origin {
        VariableOrigin::Settings(origin) => origin.to_string(),
        VariableOrigin::Device => "device".to_owned(),
        VariableOrigin::Secret => "secret".to_owned(),
        VariableOrigin::Overlay => "--variables".to_owned(),
    }
}
