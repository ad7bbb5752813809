use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::{DeviceType, GroupName};
use lockstep_store::{Attributes, DeviceEffect, InboxRow};

use super::{Place, create_all, devices, hostname, key, keys, message, row, work};

pub(crate) const ODD: &str = "O'Brien \"\\\" {a,b} NULL \u{1f680} 日本 \r\n\t $1; DROP TABLE device; --";

pub(crate) async fn texts_come_back_as_they_were(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let group = GroupName::try_from("Göteborg {'\"\\}, NULL".to_owned())?;
    let describe = DeviceEffect::Describe {
        hostname: hostname("sw1"),
        attributes: Attributes {
            vendor: Some(ODD.to_owned()),
            model: Some(String::new()),
            platform: Some("NULL".to_owned()),
            ..Attributes::of(DeviceType::ACCESS)
        },
    };
    let join = DeviceEffect::Join {
        hostname: hostname("sw1"),
        groups: [group.clone()].into(),
    };
    work(place, &keys("2", ["sw1"]), devices([describe, join])).await?;
    let device = place.store.device(&hostname("sw1")).await?.context("sw1")?;
    let attributes = &device.attributes;
    ensure!(attributes.vendor.as_deref() == Some(ODD) && attributes.platform.as_deref() == Some("NULL"));
    ensure!(attributes.model.as_deref() == Some(""));
    ensure!(place.store.groups_of(&[device.id]).await? == HashMap::from([(device.id, vec![group])]));
    Ok(())
}

pub(crate) async fn a_message_with_nul_can_be_remembered(place: &Place) -> Result<()> {
    let odd = InboxRow {
        kind: "a\0b".into(),
        subject: Some(format!("{ODD}\0")),
        ..row(message("1"))
    };
    let (mut facts, transaction) = place.store.begin(&[], &keys("1", [])).await?;
    facts.record(odd.clone());
    transaction.commit(&facts).await?;
    let found = place.store.outcome(&key("1")).await?.context("the row")?;
    ensure!(found.kind.replace('\u{fffd}', "\0") == odd.kind);
    ensure!(found.result == odd.result && found.digest == odd.digest);
    Ok(())
}
