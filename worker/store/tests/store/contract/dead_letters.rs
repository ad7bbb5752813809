//! Reading of dead letters. The tests insert the rows directly.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use jiff::{Timestamp, ToSpan};
use lockstep_protocol::topology::Lane;
use lockstep_store::{
    DeadLetterCountQuery, DeadLetterGroupCount, DeadLetterQuery, DeadLetterState, DeadLetterTotals,
    FollowUpKey, MessageProperties,
};

use super::{Place, at, key, message};

/// A row to insert, with the columns that tests choose.
#[derive(Clone)]
struct New {
    id: &'static str,
    redrive_count: u32,
    lane: &'static str,
    kind: &'static str,
    code: &'static str,
    state: &'static str,
    /// Time and command of its requeue or drop.
    settled: Option<(Timestamp, &'static str)>,
}

const DEAD: New = New {
    id: "1",
    redrive_count: 0,
    lane: "events",
    kind: "lockstep.device.removed",
    code: "unknown-device",
    state: "dead",
    settled: None,
};

const BODY: &[u8] = b"\x00not \xff text";

impl New {
    /// Inserts the row and returns its number.
    async fn put(&self, place: &Place) -> Result<u64> {
        let (settled_at, by, source, id) = match self.settled {
            None => ("NULL".to_owned(), "NULL", "NULL", "NULL".to_owned()),
            Some((at, request)) => (
                place.probe.time(at),
                "'netbox'",
                "'urn:test'",
                format!("'{request}'"),
            ),
        };
        let Self {
            id: message,
            redrive_count,
            lane,
            kind,
            code,
            state,
            ..
        } = self;
        let (first_at, dead_lettered_at) = (place.probe.time(at()), place.probe.time(at() + 1.second()));
        let body = place.probe.blob(BODY);
        let insert = format!(
            "INSERT INTO dead_letter (source, id, redrive_count, lane, kind, subject, actor, code, reason, place, attempts, \
                first_at, dead_lettered_at, body, properties, state, settled_at, settled_by, request_source, request_id) \
             VALUES ('urn:test', '{message}', {redrive_count}, '{lane}', '{kind}', 'sw9', 'netbox', '{code}', 'no such device', \
                '$.data.hostname', 3, {first_at}, {dead_lettered_at}, {body}, \
                '{{\"message_id\": \"{message}\", \"reply_to\": \"lockstep.reply.x\", \"of_a_newer\": 1}}', \
                '{state}', {settled_at}, {by}, {source}, {id}) \
             RETURNING CAST(number AS text)"
        );
        let numbers = place.probe.texts(&insert).await?;
        Ok(numbers.first().context("a number")?.parse()?)
    }
}

async fn numbers(place: &Place, query: &DeadLetterQuery) -> Result<Vec<u64>> {
    let heads = place.store.dead_letters(query).await?;
    Ok(heads.into_iter().map(|head| head.number).collect())
}

fn all() -> DeadLetterQuery {
    DeadLetterQuery {
        limit: 100,
        ..DeadLetterQuery::default()
    }
}

pub(crate) async fn a_dead_letter_comes_back_as_it_was(place: &Place) -> Result<()> {
    let settled_at = at() + 1.hour();
    let number = New {
        redrive_count: 2,
        state: "requeued",
        settled: Some((settled_at, "r")),
        ..DEAD
    }
    .put(place)
    .await?;
    let dead_letter = place.store.dead_letter(number).await?.context("the letter")?;
    let head = &dead_letter.head;
    ensure!((head.number, head.state) == (number, DeadLetterState::Requeued));
    ensure!(head.settled_at == Some(settled_at) && head.settled_by.as_deref() == Some("netbox"));
    ensure!(head.identity == message("1") && head.redrive_count == 2);
    ensure!(head.lane == "events" && head.known_lane() == Some(Lane::Events));
    ensure!(head.kind == DEAD.kind && head.code == DEAD.code);
    ensure!(head.subject.as_deref() == Some("sw9") && head.actor.as_deref() == Some("netbox"));
    ensure!(head.reason == "no such device" && head.place.as_deref() == Some("$.data.hostname"));
    ensure!((head.attempts, head.first_at, head.dead_lettered_at) == (3, at(), at() + 1.second()));
    ensure!(head.bytes == BODY.len() as u64 && dead_letter.body == Bytes::from_static(BODY));
    let properties = MessageProperties {
        message_id: Some("1".to_owned()),
        reply_to: Some("lockstep.reply.x".to_owned()),
        ..MessageProperties::default()
    };
    ensure!(
        dead_letter.properties == properties,
        "{:?}",
        dead_letter.properties
    );
    ensure!(place.store.dead_letters(&all()).await? == vec![head.clone()]);
    for absent in [0, number + 1, u64::MAX] {
        ensure!(place.store.dead_letter(absent).await?.is_none(), "{absent}");
    }
    Ok(())
}

pub(crate) async fn pages_go_from_the_newest_to_the_oldest(place: &Place) -> Result<()> {
    let mut put = Vec::new();
    for (redrive_count, state) in (0..).zip(["dead", "processed", "dead", "dropped", "dead"]) {
        let settled = (state != "dead").then(|| (at(), "r"));
        let new = New {
            redrive_count,
            state,
            settled,
            ..DEAD
        };
        put.push(new.put(place).await?);
    }
    ensure!(put.is_sorted());
    put.reverse();
    let page = |before, limit| DeadLetterQuery {
        before,
        limit,
        ..DeadLetterQuery::default()
    };
    ensure!(numbers(place, &page(None, 2)).await? == put[..2]);
    ensure!(numbers(place, &page(Some(put[1]), 2)).await? == put[2..4]);
    ensure!(numbers(place, &page(Some(put[3]), 2)).await? == put[4..]);
    ensure!(numbers(place, &page(Some(put[4]), 2)).await?.is_empty());
    ensure!(numbers(place, &page(Some(u64::MAX), 9)).await? == put);
    ensure!(numbers(place, &page(None, 0)).await?.is_empty());
    let counted = place.store.count_dead_letters(&page(Some(put[1]), 2)).await?;
    ensure!(counted == put.len() as u64, "on all pages: {counted}");
    Ok(())
}

pub(crate) async fn filters_choose_dead_letters(place: &Place) -> Result<()> {
    let mut put = Vec::new();
    for new in [
        DEAD,
        New {
            id: "2",
            lane: "commands",
            ..DEAD
        },
        New {
            id: "3",
            kind: "lockstep.x",
            code: "unknown-type",
            ..DEAD
        },
        New {
            id: "4",
            state: "requeued",
            settled: Some((at(), "r")),
            ..DEAD
        },
        New {
            id: "5",
            state: "processed",
            settled: Some((at(), "r")),
            ..DEAD
        },
        New {
            id: "6",
            state: "dropped",
            settled: Some((at(), "r")),
            ..DEAD
        },
    ] {
        put.push(new.put(place).await?);
    }
    let state = |state| DeadLetterQuery {
        state: Some(state),
        ..all()
    };
    let code = |code: &str| DeadLetterQuery {
        code: Some(code.to_owned()),
        ..state(DeadLetterState::Dead)
    };
    let table = [
        (all(), vec![5, 4, 3, 2, 1, 0]),
        (state(DeadLetterState::Dead), vec![2, 1, 0]),
        (state(DeadLetterState::Requeued), vec![3]),
        (state(DeadLetterState::Processed), vec![4]),
        (state(DeadLetterState::Dropped), vec![5]),
        (code("unknown-device"), vec![1, 0]),
        (code("UNKNOWN-DEVICE"), vec![]),
        (
            DeadLetterQuery {
                lane: Some(Lane::Commands),
                ..all()
            },
            vec![1],
        ),
        (
            DeadLetterQuery {
                kind: Some("lockstep.x".to_owned()),
                ..all()
            },
            vec![2],
        ),
        (
            DeadLetterQuery {
                lane: Some(Lane::Events),
                kind: Some(DEAD.kind.to_owned()),
                before: Some(put[5]),
                limit: 1,
                ..code("unknown-device")
            },
            vec![0],
        ),
        (
            DeadLetterQuery {
                kind: Some("a\0b".to_owned()),
                ..all()
            },
            vec![],
        ),
    ];
    for (query, expected) in table {
        let expected: Vec<u64> = expected.into_iter().map(|index: usize| put[index]).collect();
        let found = numbers(place, &query).await?;
        ensure!(found == expected, "{query:?}: {found:?}");
        if query.before.is_none() {
            let counted = place.store.count_dead_letters(&query).await?;
            ensure!(counted == expected.len() as u64, "{query:?}: {counted}");
        }
    }
    Ok(())
}

pub(crate) async fn unknown_lanes_and_codes_of_a_newer_worker_are_read_as_texts(place: &Place) -> Result<()> {
    let newer = New {
        lane: "satellites",
        code: "lost-in-space",
        kind: "lockstep.rocket.launched",
        state: "requeued",
        settled: Some((at(), "r")),
        ..DEAD
    };
    let number = newer.put(place).await?;
    New { id: "2", ..DEAD }.put(place).await?;
    let heads = place.store.dead_letters(&all()).await?;
    ensure!(heads.len() == 2);
    let head = &heads[1];
    ensure!(head.lane == "satellites" && head.code == "lost-in-space");
    ensure!(head.known_lane().is_none());
    ensure!(place.store.dead_letter(number).await?.is_some());
    // A worker that cannot publish it again sees so.
    let requeued = place.store.unpublished(&key("r"), None, 10).await?;
    ensure!(requeued.len() == 1 && requeued[0].lane.as_deref() == Some("satellites"));
    Ok(())
}

pub(crate) async fn counts_are_by_lane_type_and_code_and_the_total_is_of_all(place: &Place) -> Result<()> {
    let none = place
        .store
        .dead_letter_totals(&DeadLetterCountQuery::default())
        .await?;
    ensure!(none == DeadLetterTotals::default());
    let crashed = New {
        code: "crashed",
        ..DEAD
    };
    let mut newest = 0;
    for new in [
        New { id: "1", ..DEAD },
        New { id: "2", ..DEAD },
        New { id: "3", ..DEAD },
        New {
            id: "4",
            ..crashed.clone()
        },
        New {
            id: "5",
            ..crashed.clone()
        },
        New {
            id: "6",
            lane: "commands",
            ..DEAD
        },
    ] {
        newest = new.put(place).await?;
    }
    New {
        id: "7",
        state: "dropped",
        settled: Some((at(), "r")),
        ..DEAD
    }
    .put(place)
    .await?;
    let group = |lane: &str, code: &str, count| DeadLetterGroupCount {
        lane: lane.to_owned(),
        kind: DEAD.kind.to_owned(),
        code: code.to_owned(),
        count,
    };
    let query = DeadLetterCountQuery {
        limit: 10,
        ..DeadLetterCountQuery::default()
    };
    let expected = DeadLetterTotals {
        newest: Some(newest),
        total: 6,
        groups: vec![
            group("events", "unknown-device", 3),
            group("events", "crashed", 2),
            group("commands", "unknown-device", 1),
        ],
    };
    let counts = place.store.dead_letter_totals(&query).await?;
    ensure!(counts == expected, "{counts:?}");

    let cut = DeadLetterCountQuery {
        limit: 1,
        ..query.clone()
    };
    let counts = place.store.dead_letter_totals(&cut).await?;
    ensure!((counts.total, counts.newest, counts.groups.len()) == (6, Some(newest), 1));

    let predicate = DeadLetterCountQuery {
        code: Some("unknown-device".to_owned()),
        lane: Some(Lane::Events),
        kind: Some(DEAD.kind.to_owned()),
        ..query
    };
    let counts = place.store.dead_letter_totals(&predicate).await?;
    ensure!(counts.total == 3 && counts.groups == [group("events", "unknown-device", 3)]);
    ensure!(counts.newest < Some(newest));
    Ok(())
}

pub(crate) async fn what_a_command_requeued_is_found_by_its_command(place: &Place) -> Result<()> {
    let requeued = |id, request| New {
        id,
        state: "requeued",
        settled: Some((at(), request)),
        ..DEAD
    };
    let mut put = Vec::new();
    for new in [
        requeued("1", "a"),
        requeued("2", "b"),
        requeued("3", "a"),
        New {
            state: "processed",
            ..requeued("4", "a")
        },
        requeued("5", "a"),
    ] {
        put.push(new.put(place).await?);
    }
    let found = async |request, limit| -> Result<Vec<FollowUpKey>> {
        let rows = place.store.unpublished(&key(request), None, limit).await?;
        ensure!(rows.iter().all(|row| row.body == Bytes::from_static(BODY)));
        Ok(rows.into_iter().map(|row| row.key).collect())
    };
    let keys: Vec<FollowUpKey> = put.into_iter().map(FollowUpKey::DeadLetter).collect();
    ensure!(found("a", 2).await? == [keys[0], keys[2]]);
    ensure!(found("a", 10).await? == [keys[0], keys[2], keys[4]]);
    ensure!(found("b", 10).await? == [keys[1]]);
    ensure!(found("c", 10).await?.is_empty());
    Ok(())
}
