//! Groups: their rules, the members that these make, and members by list.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::{GroupName, Hostname};
use lockstep_store::{
    ClientRow, Device, DeviceEffect, DeviceQuery, Effects, Group, GroupMatches, GroupQuery, GroupRow,
    GroupRule, GroupRuleMembers, GroupsByRule, Keys, NewGroupRules, StoreError,
};

use super::leases::{LONG, acquire};
use super::{Place, Store, create, create_all, devices, hostname, keys, mac, work};

pub(crate) fn group(text: &str) -> GroupName {
    GroupName::try_from(text.to_owned()).expect("a group")
}

pub(crate) fn starting(name: &str, with: &str, priority: u8) -> GroupRule {
    GroupRule {
        name: group(name),
        members: GroupRuleMembers::Matching(with.to_owned()),
        priority,
    }
}

fn listing(name: &str, hostnames: &[&str], priority: u8) -> GroupRule {
    GroupRule {
        name: group(name),
        members: GroupRuleMembers::Listed(hostnames.iter().map(|name| hostname(name)).collect()),
        priority,
    }
}

/// As the rules of the tests mean it: a regex is the start of a hostname.
fn is_member(rule: &GroupRule, hostname: &Hostname) -> bool {
    match &rule.members {
        GroupRuleMembers::Matching(start) => hostname.as_str().starts_with(start.as_str()),
        GroupRuleMembers::Listed(hostnames) => hostnames.contains(hostname),
    }
}

fn primary(rules: &[GroupRule], hostname: &Hostname) -> GroupName {
    let of_device = rules
        .iter()
        .filter(|rule| rule.priority > 0 && is_member(rule, hostname));
    let highest = of_device.rev().max_by_key(|rule| rule.priority);
    highest.map_or_else(|| group("DEFAULT"), |rule| rule.name.clone())
}

fn matches(rules: &[GroupRule], hostnames: Vec<Hostname>) -> GroupMatches {
    let members = rules.iter().map(|rule| {
        let places = (0..).zip(&hostnames);
        places
            .filter(|(_, hostname)| is_member(rule, hostname))
            .map(|(place, _)| place)
            .collect()
    });
    GroupMatches {
        members: members.collect(),
        primaries: hostnames
            .iter()
            .map(|hostname| Some(primary(rules, hostname)))
            .collect(),
        hostnames,
    }
}

/// Rules whose members were matched among these devices only.
pub(crate) fn rules(rules: Vec<GroupRule>, matched: &[&str]) -> NewGroupRules {
    let hostnames = matched.iter().map(|name| hostname(name)).collect();
    let of_matching = rules.clone();
    NewGroupRules {
        matched: Arc::new(matches(&rules, hostnames)),
        rules,
        matching: Arc::new(move |hostnames| matches(&of_matching, hostnames)),
    }
}

pub(crate) fn changing(new: NewGroupRules) -> Keys {
    Keys {
        new_group_rules: Some(new),
        ..Keys::default()
    }
}

async fn change(store: &dyn Store, new: NewGroupRules) -> Result<(), StoreError> {
    let (facts, transaction) = store.begin(&[], &changing(new)).await?;
    transaction.commit(&facts).await
}

fn names<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    names.join(" ")
}

async fn members(place: &Place, name: &str) -> Result<String> {
    let query = DeviceQuery {
        group: Some(group(name)),
        limit: 100,
        ..DeviceQuery::default()
    };
    let found = place.store.devices(&query).await?;
    ensure!(place.store.count_devices(&query).await? == found.len() as u64);
    Ok(names(found.iter().map(|device| &device.hostname)))
}

async fn device(place: &Place, name: &str) -> Result<Device> {
    place.store.device(&hostname(name)).await?.context("the device")
}

async fn primary_of(place: &Place, name: &str) -> Result<String> {
    Ok(device(place, name)
        .await?
        .primary_group
        .map_or_else(|| "unknown".to_owned(), |group| group.to_string()))
}

async fn groups_of(place: &Place, name: &str) -> Result<String> {
    let id = device(place, name).await?.id;
    let groups = place.store.groups_of(&[id]).await?.remove(&id);
    Ok(names(groups.unwrap_or_default()))
}

async fn found(place: &Place, name: &str) -> Result<Option<Group>> {
    Ok(place.store.group(&group(name)).await?)
}

/// The number of members, of those by list, of those by rule, and of devices that have it as their primary group.
async fn counts(place: &Place, name: &str) -> Result<[u64; 4]> {
    let group = found(place, name).await?.context("the group")?;
    Ok([group.members, group.listed, group.by_rule, group.primary])
}

fn join(name: &str, groups: &[&str]) -> DeviceEffect {
    DeviceEffect::Join {
        hostname: hostname(name),
        groups: groups.iter().map(|text| group(text)).collect(),
    }
}

pub(crate) async fn rules_make_members_and_primary_groups(place: &Place) -> Result<()> {
    create_all(place, &["edge1", "edge2", "core1", "other1"]).await?;
    ensure!(primary_of(place, "edge1").await? == "unknown");
    ensure!(place.store.group_rules().await?.is_none());
    let first = vec![
        starting("ALL", "", 0),
        starting("EDGE", "edge", 10),
        listing("SOME", &["edge2", "core1", "nobody"], 20),
    ];
    // Only some were matched before; the others were created since.
    change(&*place.store, rules(first.clone(), &["edge1", "core1", "gone1"])).await?;
    let stored = place.store.group_rules().await?.context("rules")?;
    ensure!(stored.rules == first && stored.revision == 1, "{stored:?}");
    ensure!(members(place, "ALL").await? == "core1 edge1 edge2 other1");
    ensure!(members(place, "EDGE").await? == "edge1 edge2");
    ensure!(members(place, "SOME").await? == "core1 edge2");
    ensure!(groups_of(place, "edge2").await? == "ALL EDGE SOME");
    for (name, primary) in [
        ("edge1", "EDGE"),
        ("edge2", "SOME"),
        ("core1", "SOME"),
        ("other1", "DEFAULT"),
    ] {
        ensure!(primary_of(place, name).await? == primary, "{name}");
    }
    ensure!(counts(place, "SOME").await? == [2, 0, 2, 2]);

    let flags = async || -> Result<Vec<i64>> {
        let mut generations = Vec::new();
        for name in ["edge1", "edge2", "core1", "other1"] {
            generations.push(device(place, name).await?.sync.desired);
        }
        Ok(generations)
    };
    let before = flags().await?;
    let second = vec![
        starting("EDGE", "edge1", 10),
        listing("SOME", &["edge2"], 5),
        starting("CORE", "core", 9),
    ];
    change(
        &*place.store,
        rules(second.clone(), &["edge1", "edge2", "core1", "other1"]),
    )
    .await?;
    let stored = place.store.group_rules().await?.context("rules")?;
    ensure!(stored.rules == second && stored.revision == 2, "{stored:?}");
    ensure!(members(place, "EDGE").await? == "edge1" && members(place, "CORE").await? == "core1");
    ensure!(primary_of(place, "core1").await? == "CORE");
    ensure!(found(place, "ALL").await?.is_none(), "nothing refers to it");
    ensure!(
        flags().await? == before,
        "the flags of devices are another matter"
    );
    Ok(())
}

pub(crate) async fn members_by_list_and_by_rule_are_members_of_one_group(place: &Place) -> Result<()> {
    create_all(place, &["edge1", "edge2", "core1"]).await?;
    work(
        place,
        &keys("2", ["edge1", "core1"]),
        devices([join("edge1", &["EDGE"]), join("core1", &["EDGE", "OWN"])]),
    )
    .await?;
    let all = ["edge1", "edge2", "core1"];
    change(&*place.store, rules(vec![starting("EDGE", "edge", 10)], &all)).await?;
    ensure!(members(place, "EDGE").await? == "core1 edge1 edge2");
    ensure!(counts(place, "EDGE").await? == [3, 2, 2, 2]);
    // A list replaces only what is by list.
    work(
        place,
        &keys("3", ["edge1", "core1"]),
        devices([join("edge1", &["OWN"]), join("core1", &["EDGE"])]),
    )
    .await?;
    ensure!(members(place, "EDGE").await? == "core1 edge1 edge2" && members(place, "OWN").await? == "edge1");
    ensure!(counts(place, "EDGE").await? == [3, 1, 2, 2]);
    work(place, &keys("4", ["edge2"]), devices([join("edge2", &["EDGE"])])).await?;
    ensure!(counts(place, "EDGE").await? == [3, 2, 2, 2]);
    // The rule goes, the list stays.
    change(&*place.store, rules(Vec::new(), &all)).await?;
    ensure!(members(place, "EDGE").await? == "core1 edge2");
    ensure!(counts(place, "EDGE").await? == [2, 2, 0, 0]);
    ensure!(found(place, "EDGE").await?.context("it stays")?.rule.is_none());
    ensure!(primary_of(place, "edge1").await? == "DEFAULT");
    work(
        place,
        &keys("5", ["core1", "edge2"]),
        devices([join("core1", &[]), join("edge2", &[])]),
    )
    .await?;
    ensure!(members(place, "EDGE").await?.is_empty());
    Ok(())
}

pub(crate) async fn a_group_that_is_referred_to_stays(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let new = ["CLIENTS", "LUND", "NOBODY"].map(|name| starting(name, "sw", 1));
    change(&*place.store, rules(new.into(), &["sw1"])).await?;
    let effects = Effects {
        groups: vec![GroupRow {
            name: group("LUND"),
            location: Some(true),
        }],
        clients: vec![ClientRow {
            mac: mac("44:4c:a8:00:00:01"),
            name: None,
            ip: None,
            interface: None,
            group: Some(group("CLIENTS")),
        }],
        ..Effects::default()
    };
    work(place, &keys("2", []), effects).await?;
    change(&*place.store, rules(Vec::new(), &["sw1"])).await?;
    let left = place
        .store
        .groups(&GroupQuery {
            after: None,
            limit: 10,
        })
        .await?;
    ensure!(
        names(left.iter().map(|group| &group.name)) == "CLIENTS DEFAULT LUND",
        "{left:?}"
    );
    ensure!(left.iter().all(|group| group.rule.is_none()));
    Ok(())
}

pub(crate) async fn every_device_is_a_member_of_default(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    ensure!(members(place, "DEFAULT").await? == "sw1 sw2");
    let implied = found(place, "DEFAULT").await?.context("it is implied")?;
    ensure!(implied.id.is_none() && implied.rule.is_none() && implied.members == 2 && implied.primary == 0);
    let defined = vec![
        starting("A", "sw1", 2),
        starting("DEFAULT", "none", 1),
        starting("Z", "", 0),
    ];
    change(&*place.store, rules(defined, &["sw1", "sw2"])).await?;
    ensure!(members(place, "DEFAULT").await? == "sw1 sw2");
    let query = |after: Option<&str>, limit| GroupQuery {
        after: after.map(group),
        limit,
    };
    let page = place.store.groups(&query(None, 2)).await?;
    ensure!(
        names(page.iter().map(|group| &group.name)) == "A DEFAULT",
        "{page:?}"
    );
    let rule = page[1].rule.as_ref().context("a rule")?;
    ensure!(
        rule.regex.as_deref() == Some("none") && rule.priority == 1 && rule.position == 1,
        "{rule:?}"
    );
    ensure!(page[1].primary == 1 && page[1].members == 2);
    let page = place.store.groups(&query(Some("DEFAULT"), 2)).await?;
    ensure!(names(page.iter().map(|group| &group.name)) == "Z", "{page:?}");
    ensure!(found(place, "nobody").await?.is_none());
    Ok(())
}

/// What a handler does with the rules that it reads.
async fn create_by_rules(store: &dyn Store, id: &str, name: &str) -> Result<()> {
    let asked = Keys {
        group_rules: true,
        ..keys(id, [name])
    };
    let (mut facts, transaction) = store.begin(&[], &asked).await?;
    let mut effects = vec![create(name)];
    if let Some(known) = facts.group_rules() {
        let groups = known.rules.iter().filter(|rule| is_member(rule, &hostname(name)));
        effects.push(DeviceEffect::JoinByRule {
            hostname: hostname(name),
            groups: GroupsByRule {
                groups: groups.map(|rule| rule.name.clone()).collect::<BTreeSet<_>>(),
                primary: Some(primary(&known.rules, &hostname(name))),
            },
        });
    }
    super::absorb(&mut facts, id, devices(effects));
    transaction.commit(&facts).await?;
    Ok(())
}

pub(crate) async fn a_new_device_joins_by_the_rules_that_are_read_with_it(place: &Place) -> Result<()> {
    create_by_rules(&*place.store, "1", "early1").await?;
    ensure!(groups_of(place, "early1").await?.is_empty() && primary_of(place, "early1").await? == "unknown");
    let first = vec![starting("EDGE", "edge", 10), listing("SOME", &["edge2"], 20)];
    change(&*place.store, rules(first, &[])).await?;
    create_by_rules(&*place.other, "2", "edge1").await?;
    create_by_rules(&*place.store, "3", "edge2").await?;
    ensure!(groups_of(place, "edge1").await? == "EDGE" && primary_of(place, "edge1").await? == "EDGE");
    ensure!(groups_of(place, "edge2").await? == "EDGE SOME" && primary_of(place, "edge2").await? == "SOME");
    // Both processes see the next rules.
    change(&*place.other, rules(vec![starting("NEW", "", 3)], &[])).await?;
    create_by_rules(&*place.store, "4", "edge3").await?;
    create_by_rules(&*place.other, "5", "edge4").await?;
    ensure!(members(place, "NEW").await? == "early1 edge1 edge2 edge3 edge4");
    ensure!(primary_of(place, "edge3").await? == "NEW" && primary_of(place, "early1").await? == "NEW");
    Ok(())
}

pub(crate) async fn a_device_that_is_created_while_the_rules_change_has_the_groups_of_the_new_ones(
    place: &Place,
) -> Result<()> {
    change(&*place.store, rules(vec![starting("OLD", "", 3)], &[])).await?;
    for round in 0..10 {
        let name = format!("sw{round}");
        let new = rules(vec![starting(&format!("G{round}"), "", 3)], &[]);
        let create = create_by_rules(&*place.other, &name, &name);
        let change = async { Ok::<_, anyhow::Error>(change(&*place.store, new).await?) };
        tokio::time::timeout(Duration::from_secs(30), async {
            tokio::try_join!(create, change)
        })
        .await??;
        let group = format!("G{round}");
        ensure!(
            groups_of(place, &name).await? == group,
            "{}",
            groups_of(place, &name).await?
        );
        ensure!(primary_of(place, &name).await? == group);
    }
    Ok(())
}

pub(crate) async fn a_dropped_change_of_rules_changes_nothing(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    change(&*place.store, rules(vec![starting("OLD", "", 3)], &[])).await?;
    let dropped = changing(rules(vec![starting("NEW", "", 3)], &[]));
    drop(place.store.begin(&[], &dropped).await?);
    create_by_rules(&*place.store, "2", "sw2").await?;
    ensure!(groups_of(place, "sw1").await? == "OLD" && groups_of(place, "sw2").await? == "OLD");
    ensure!(place.store.group_rules().await?.context("rules")?.revision == 1);
    Ok(())
}

pub(crate) async fn under_a_lost_lease_no_rules_are_written(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let lease = acquire(place, LONG).await?;
    place.store.release(&lease).await?;
    let new = changing(rules(vec![starting("NEW", "", 3)], &["sw1"]));
    let (facts, transaction) = place.store.begin(std::slice::from_ref(&lease), &new).await?;
    ensure!(!facts.holds(&lease));
    transaction.commit(&facts).await?;
    ensure!(place.store.group_rules().await?.is_none());
    ensure!(groups_of(place, "sw1").await?.is_empty() && primary_of(place, "sw1").await? == "unknown");
    Ok(())
}
