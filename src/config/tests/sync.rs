use std::time::Duration;

use lockstep_sync::{Freeze, WindowKind};

use super::{assert_reported, problems, read};
use crate::config::sync::Approval;

#[test]
fn without_keys_changes_need_no_plan_and_nothing_is_frozen() {
    let sync = read("", &[]).unwrap().sync;
    assert_eq!(sync.approval, Approval::None);
    assert_eq!(sync.commit_timer, Duration::from_mins(5));
    let day = Duration::from_hours(24);
    assert_eq!((sync.plan_expires, sync.park_expires), (day, day));
    assert_eq!(sync.approval_valid, Duration::from_hours(8));
    let now = "2026-12-24T12:00:00Z".parse().unwrap();
    assert_eq!(sync.windows.at(now, &[]), Freeze::Open);
}

#[test]
fn keys_and_windows_are_read_from_the_file_and_from_variables() {
    let text = "[sync]\napproval = 'required'\ncommit_timer = '10m'\n\
        [freeze.year-end]\ncron = '0 0 24 12 *'\ntime_zone = 'Europe/Stockholm'\nlength = '8d'\n\
        [freeze.nights]\ncron = '0 22 * * *'\nlength = '4h'\ngroups = ['core']\nkind = 'allow'\n";
    let variables = [
        ("LOCKSTEP__SYNC__PLAN_EXPIRES", "2h"),
        ("LOCKSTEP__FREEZE__NIGHTS__LENGTH", "5h"),
    ];
    let config = read(text, &variables).unwrap();
    assert_eq!(config.sync.approval, Approval::Required);
    assert_eq!(config.sync.commit_timer, Duration::from_mins(10));
    assert_eq!(config.sync.plan_expires, Duration::from_hours(2));
    let closed = |window: &str, kind, until: &str| Freeze::Closed {
        window: window.to_owned(),
        kind,
        until: until.parse().unwrap(),
    };
    let core = ["core".to_owned()];
    let at = |now: &str, groups: &[String]| config.sync.windows.at(now.parse().unwrap(), groups);
    let year_end = closed("year-end", WindowKind::Deny, "2026-12-31T23:00:00Z");
    assert_eq!(at("2026-12-24T12:00:00Z", &[]), year_end);
    assert_eq!(at("2026-11-30T02:59:00Z", &core), Freeze::Open, "by the variable");
    let nights = closed("nights", WindowKind::Allow, "2026-11-30T22:00:00Z");
    assert_eq!(at("2026-11-30T12:00:00Z", &core), nights);
    assert_eq!(config.effective["freeze"]["nights"]["length"], "5h");
    assert_eq!(config.effective["freeze"]["nights"]["kind"], "allow");
    assert_eq!(config.effective["freeze"]["year-end"]["kind"], "deny");
}

#[test]
fn a_sender_is_one_person() {
    let text = "[[broker.persons]]\nperson = 'anna'\nnames = ['anna-amqp', 'anna-2']\n";
    let persons = read(text, &[]).unwrap().broker.persons;
    assert_eq!(persons.len(), 1);
    assert_eq!((persons[0].person.as_str(), persons[0].names.len()), ("anna", 2));
    let text = "[[broker.persons]]\nperson = 'anna'\nnames = ['shared']\n\
        [[broker.persons]]\nperson = 'berta'\nnames = ['shared']\n\
        [[broker.persons]]\nnames = ['x']\n\
        [[broker.persons]]\nperson = 'carla'\n";
    let expected = [
        ":6: broker.persons[1].names: \"shared\" is already the name of a person",
        "broker.persons[2].person: is missing",
        "broker.persons[3].names: is missing",
    ];
    assert_reported(&problems(text, &[]), &expected);
}

#[test]
fn problems_of_windows_are_reported_with_key_and_line() {
    let text = "[sync]\napproval = 'maybe'\ncommit_timer = '5s'\n\
        [freeze.a]\ncron = '0 25 * * *'\nlength = '1h'\n\
        [freeze.b]\ncron = '0 8 * * *'\n\
        [freeze.c]\nlength = '1h'\n\
        [freeze.d]\ncron = '0 8 * * *'\nlength = '1h'\ntime_zone = 'Europe/Atlantis'\nkind = 'maybe'\ngroups = ['']\n\
        [freeze]\ncron = '0 8 * * *'\n";
    let expected = [
        ":2: sync.approval: is \"maybe\", must be \"none\" or \"required\"",
        ":3: sync.commit_timer: is \"5s\", must be a duration from 1m to 1h",
        ":5: freeze.a.cron: \"0 25 * * *\" is not a cron expression",
        "freeze.b.length: is missing",
        "freeze.c.cron: is missing",
        "freeze.d.cron: \"Europe/Atlantis\" is not a time zone",
        "freeze.d.kind: is \"maybe\", must be \"deny\" or \"allow\"",
        "freeze.d.groups: has an empty text",
        "freeze.cron: must be in a section with a name, such as [freeze.year-end]",
    ];
    assert_reported(&problems(text, &[]), &expected);
}
