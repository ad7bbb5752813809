/// A container of the provisioning tree.
#[derive(Clone, Debug)]
pub struct Container {
    pub key: String,
    pub name: String,
    /// Name of the parent container; the root has none.
    pub parent: Option<String>,
}

/// The container of the devices of a scenario.
pub(crate) const USUAL_KEY: &str = "container_7";
pub(crate) const USUAL_NAME: &str = "My devices";

impl Container {
    pub(crate) fn usual() -> Vec<Self> {
        let container = |key: &str, name: &str, parent: Option<&str>| Self {
            key: key.to_owned(),
            name: name.to_owned(),
            parent: parent.map(str::to_owned),
        };
        vec![
            container("root", "Tenant", None),
            container("undefined_container", "Undefined", Some("Tenant")),
            container(USUAL_KEY, USUAL_NAME, Some("Tenant")),
        ]
    }
}
