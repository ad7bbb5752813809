//! The table is complete, the documentation shows it, and it agrees with CNaaS NMS but for the listed differences.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use lockstep_protocol::{Class, DeviceState};
use serde::Deserialize;

use super::*;

const BEGIN: &str = "<!-- The table of worker/intent/src/fleet/transitions/table.rs; a test compares. -->\n";
const END: &str = "<!-- End of the table. -->\n";

fn rendered() -> String {
    let mut text = String::from(
        "| what happens | message | state | devices concerned | flag | cause | earlier causes |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in TRANSITIONS {
        let public = row.kinds.iter().filter(|kind| kind.is_public());
        let kinds: Vec<String> = public.map(|kind| format!("`{kind}`")).collect();
        let state = match row.states {
            States::Any => "any",
            States::Managed => "MANAGED",
            States::Unmanaged => "UNMANAGED",
            States::Others => "any other than UNMANAGED",
        };
        let flag = match row.effect.synchronized() {
            Some(true) => "synchronized",
            Some(false) => "unsynchronized",
            None => "unchanged",
        };
        let cause = row
            .effect
            .cause()
            .map_or("–".to_owned(), |cause| format!("`{cause}`"));
        let causes = if row.effect.closes_causes() {
            "closed"
        } else {
            "kept"
        };
        writeln!(
            text,
            "| {} | {} | {state} | {} | {flag} | {cause} | {causes} |",
            row.event,
            if kinds.is_empty() {
                "–".to_owned()
            } else {
                kinds.join(", ")
            },
            row.devices,
        )
        .unwrap();
    }
    text
}

#[test]
fn the_documentation_shows_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/sync-rules.md");
    let document = std::fs::read_to_string(path).unwrap();
    let (_, behind) = document
        .split_once(BEGIN)
        .expect("docs/reference/sync-rules.md has the beginning of the table");
    let (shown, _) = behind
        .split_once(END)
        .expect("docs/reference/sync-rules.md has the end of the table");
    let rendered = rendered();
    assert_eq!(
        shown, rendered,
        "write this between the marks of docs/reference/sync-rules.md:\n{rendered}"
    );
}

#[test]
fn every_cause_and_every_event_has_a_row_and_rows_have_their_own_names() {
    let causes: BTreeSet<Cause> = TRANSITIONS.iter().filter_map(|row| row.effect.cause()).collect();
    assert_eq!(causes, Cause::ALL.iter().copied().collect());
    for kind in Kind::ALL.iter().filter(|kind| kind.class() == Class::Event) {
        assert!(TRANSITIONS.iter().any(|row| row.kinds.contains(kind)), "{kind}");
    }
    let names: BTreeSet<&str> = TRANSITIONS.iter().map(|row| row.id).collect();
    assert_eq!(names.len(), TRANSITIONS.len());
}

#[test]
fn states_contain_what_they_say() {
    for state in DeviceState::ALL {
        let is_unmanaged = *state == DeviceState::Unmanaged;
        let is_managed = *state == DeviceState::Managed;
        let contained = [States::Any, States::Managed, States::Unmanaged, States::Others];
        let contained = contained.map(|states| states.contain(*state));
        assert_eq!(
            contained,
            [true, is_managed, is_unmanaged, !is_unmanaged],
            "{state}"
        );
    }
}

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

/// What CNaaS NMS does, read in its code.
#[derive(Deserialize)]
struct Case {
    id: String,
    sets_synchronized: Option<bool>,
    sync_event: Option<String>,
    clears_sync_events: bool,
}

/// What one of our rows does in the same terms.
fn agrees(case: &Case, row: &Transition) -> bool {
    let events = case.sync_event.iter().flat_map(|events| events.split(" / "));
    let events: Vec<&str> = events.collect();
    let same_cause = match row.effect.cause() {
        Some(added) => events.contains(&added.as_str()),
        None => events.is_empty(),
    };
    case.sets_synchronized == row.effect.synchronized()
        && same_cause
        && case.clears_sync_events == row.effect.closes_causes()
}

#[test]
fn the_table_agrees_with_cnaas_nms_but_for_the_listed_differences() {
    let cases: Cases = serde_json::from_str(include_str!("cnaas_transitions.json")).unwrap();
    let listed: BTreeMap<String, BTreeSet<String>> =
        serde_json::from_str(include_str!("differences.json")).unwrap();
    assert_eq!(cases.cases.len(), 53);
    let reasons = |id: &str| -> Vec<&str> {
        let with = listed.iter().filter(|(_, ids)| ids.contains(id));
        with.map(|(reason, _)| reason.as_str()).collect()
    };
    for case in &cases.cases {
        let mut rows = TRANSITIONS
            .iter()
            .filter(|row| row.cnaas.contains(&case.id.as_str()))
            .peekable();
        let agrees = rows.peek().is_some() && rows.all(|row| agrees(case, row));
        match (agrees, &reasons(&case.id)[..]) {
            (true, []) | (false, [_]) => {}
            (true, _) => panic!("{} is listed as a difference and agrees", case.id),
            (false, []) => panic!(
                "{} differs, or no row covers it, and no reason is listed",
                case.id
            ),
            (false, several) => panic!("{} has several reasons: {several:?}", case.id),
        }
    }
    let known: BTreeSet<&str> = cases.cases.iter().map(|case| case.id.as_str()).collect();
    let named = TRANSITIONS.iter().flat_map(|row| row.cnaas.iter().copied());
    for id in named.chain(listed.values().flatten().map(String::as_str)) {
        assert!(known.contains(id), "{id} is no case");
    }
}
