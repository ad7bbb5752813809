use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::Value;

/// The beginning of the names of secrets in templates.
const PREFIX: &str = "TEMPLATE_SECRET_";

/// The secrets that templates may use, by the names after `TEMPLATE_SECRET_`.
#[derive(Clone, Default)]
pub struct TemplateSecrets(BTreeMap<String, String>);

impl TemplateSecrets {
    /// Secrets by their names, with `TEMPLATE_SECRET_` before them or without.
    pub fn new(secrets: impl IntoIterator<Item = (String, String)>) -> Self {
        let secrets = secrets.into_iter().map(|(name, secret)| {
            let name = name.strip_prefix(PREFIX).map(str::to_owned).unwrap_or(name);
            (name, secret)
        });
        Self(secrets.collect())
    }

    /// The secrets themselves, to be masked wherever a configuration is shown.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }

    /// Each under its whole name, and all of them as the map `TEMPLATE_SECRET`.
    pub(super) fn variables(&self) -> Vec<(Arc<str>, Value)> {
        let each = self.0.iter();
        let each = each.map(|(name, secret)| (Arc::from(format!("{PREFIX}{name}")), secret.as_str().into()));
        let all = Value::from_pairs(
            self.0
                .iter()
                .map(|(name, secret)| (name.as_str(), secret.as_str())),
        );
        each.chain([(Arc::from("TEMPLATE_SECRET"), all)]).collect()
    }
}

impl fmt::Debug for TemplateSecrets {
    /// The names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
