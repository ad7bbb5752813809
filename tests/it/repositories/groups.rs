//! Groups of the settings repository and groups of inventories are one thing: members, primary groups, and what a sync run would contact.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::told::Told;

const FLEET: &str = "
- {hostname: edge1, device_type: ACCESS, state: MANAGED, synchronized: true}
- {hostname: edge2, device_type: ACCESS, state: MANAGED}
- {hostname: core1, device_type: CORE, state: MANAGED, synchronized: true, groups: [EDGE, OWN]}
- {hostname: old1, device_type: CORE, state: UNMANAGED}
";

impl Told {
    async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let printed = self.run(&[arguments, &["--json"]].concat()).await?;
        let start = printed.find(['{', '[']).context("JSON")?;
        let mut values = serde_json::Deserializer::from_str(&printed[start..]).into_iter();
        values.next().context("JSON")?.context("valid JSON")
    }

    async fn import(&self, fleet: &str) -> Result<()> {
        let file = self.folder().join("fleet.yml");
        std::fs::write(&file, fleet)?;
        self.run(&["devices", "import", &file.display().to_string()])
            .await?;
        Ok(())
    }

    async fn push(&self, groups: &str) -> Result<()> {
        self.settings().write("global/groups.yml", groups.as_bytes())?;
        self.settings().commit("groups")?;
        self.run(&["repositories", "refresh", "settings"]).await?;
        Ok(())
    }

    /// The members of a group, with their primary groups.
    async fn members(&self, group: &str) -> Result<Vec<String>> {
        let devices = self.json(&["devices", "list", "--group", group]).await?;
        let devices = devices.as_array().context("a list")?.iter();
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        Ok(devices
            .map(|device| format!("{} {}", text(&device["hostname"]), text(&device["primary_group"])))
            .collect())
    }

    async fn flags(&self) -> Result<Vec<(String, i64)>> {
        let devices = self.json(&["devices", "list"]).await?;
        let devices = devices.as_array().context("a list")?.iter();
        Ok(devices
            .map(|device| {
                let hostname = device["hostname"].as_str().unwrap_or_default().to_owned();
                (
                    hostname,
                    device["desired_generation"].as_i64().unwrap_or_default(),
                )
            })
            .collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_settings_and_of_inventories_are_one() -> Result<()> {
    let told = Told::new().await?;
    told.import(FLEET).await?;
    ensure!(
        told.members("EDGE").await? == ["core1 DEFAULT"],
        "the settings have no groups yet"
    );
    ensure!(told.members("DEFAULT").await?.len() == 4);

    told.push("groups:\n  - group: {name: EDGE, regex: edge, group_priority: 10}\n  - group: {name: ALL, regex: '', group_priority: 0}\n")
        .await?;
    ensure!(told.members("EDGE").await? == ["core1 DEFAULT", "edge1 EDGE", "edge2 EDGE"]);
    ensure!(told.members("ALL").await?.len() == 4);
    let group = told.json(&["groups", "show", "EDGE"]).await?;
    let counts = ["members", "by_rule", "listed", "primary"].map(|name| group["group"][name].as_u64());
    ensure!(counts == [Some(3), Some(2), Some(1), Some(2)], "{group}");
    let names = told.json(&["groups", "list"]).await?;
    let names: Vec<&str> = names
        .as_array()
        .context("a list")?
        .iter()
        .filter_map(|group| group["name"].as_str())
        .collect();
    ensure!(names == ["ALL", "DEFAULT", "EDGE", "OWN"], "{names:?}");

    // A new device joins at once; the rules change; nothing but global/ itself flips a flag.
    told.import("- {hostname: edge3, device_type: DIST, state: MANAGED, synchronized: true}\n")
        .await?;
    ensure!(told.members("EDGE").await?.contains(&"edge3 EDGE".to_owned()));
    let before = told.flags().await?;
    told.push("groups:\n  - group: {name: CORE, regex: core, group_priority: 10}\n")
        .await?;
    ensure!(
        told.members("EDGE").await? == ["core1 CORE"],
        "{:?}",
        told.members("EDGE").await?
    );
    ensure!(told.members("CORE").await? == ["core1 CORE"]);
    ensure!(told.members("ALL").await?.is_empty());
    let after = told.flags().await?;
    let expected: Vec<(String, i64)> = before
        .into_iter()
        .map(|(hostname, desired)| (hostname, desired + 1))
        .collect();
    ensure!(after == expected, "{after:?}");

    let selection = told.json(&["sync", "select", "--group", "CORE"]).await?;
    ensure!(
        selection["selected"] == serde_json::json!(["core1"]),
        "{selection}"
    );
    let text = told.run(&["sync", "select", "--all"]).await?;
    ensure!(
        text.contains("4 devices selected, 1 skipped: 1 state UNMANAGED"),
        "{text}"
    );
    let unknown = told
        .scene()
        .run(&["sync", "select", "--group", "NOBODY"], &[])?
        .ended()
        .await?;
    ensure!(!unknown.success());
    Ok(())
}
