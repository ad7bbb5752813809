//! Device types that the site declares.

use anyhow::{Result, ensure};
use lockstep_protocol::events::InventoryImported;
use serde_json::{Value, json};

use super::{Site, push, push_to};
use crate::system::Ground;
use crate::system::load::envelope;

const TYPES: [(&str, &str); 2] = [
    ("LOCKSTEP__DEVICES__TYPES__SPINE__DIRECTORY", "spine"),
    ("LOCKSTEP__DEVICES__TYPES__SPINE__FABRIC", "true"),
];

fn import(devices: &Value) -> Result<InventoryImported> {
    Ok(serde_json::from_value(json!({"devices": devices}))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_type_is_concerned_by_its_folder_and_templates_and_others_are_not_imported() -> Result<()>
{
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    worker.stop().await?;
    let worker = site.worker(&TYPES)?;
    let devices = json!([
        {"hostname": "spine1", "device_type": "SPINE", "platform": "eos", "synchronized": true},
        {"hostname": "leaf1", "device_type": "LEAF"},
    ]);
    let imported = envelope(import(&devices)?);
    site.publish(std::slice::from_ref(&imported)).await?;
    let outcome = site.outcome(&imported).await?;
    ensure!(outcome["devices"] == json!(["spine1"]), "{outcome}");
    let rejected = &outcome["rejected"][0];
    ensure!(
        rejected["code"] == "unknown-device-type" && rejected["place"] == "$.data.devices[1].device_type",
        "{outcome}"
    );
    ensure!(
        rejected["reason"].as_str().is_some_and(|reason| {
            reason.contains(
                "LEAF is not a device type of this site: UNKNOWN, ACCESS, DIST, CORE, FIREWALL, SPINE",
            )
        }),
        "{outcome}"
    );
    for (file, concerned) in [
        ("spine/base_system.yml", &["spine1"][..]),
        ("fabric/base_system.yml", &["core1", "dist1", "spine1"]),
        (
            "global/base_system.yml",
            &["access1", "access2", "core1", "dist1", "spine1"],
        ),
    ] {
        site.settings
            .write(file, format!("dns_servers: [] # {file}\n").as_bytes())?;
        let message = push(&site.settings.commit(file)?)?;
        site.publish(std::slice::from_ref(&message)).await?;
        let outcome = site.outcome(&message).await?;
        ensure!(outcome["devices"] == json!(concerned), "{file}: {outcome}");
    }
    site.templates
        .write("eos/mapping.yml", b"SPINE: {entrypoint: access.j2}\n")?;
    let message = push_to("templates", "main", &site.templates.commit("mapping")?)?;
    site.publish(std::slice::from_ref(&message)).await?;
    let outcome = site.outcome(&message).await?;
    ensure!(outcome["devices"] == json!(["access1", "spine1"]), "{outcome}");
    worker.stop().await
}
