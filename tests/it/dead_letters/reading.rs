//! Lists and shows dead letters that the test inserts into the table directly.

use anyhow::{Result, ensure};

use super::Operator;
use crate::system::{Ground, Scene};

/// All columns. The first ones have the same value in each row.
const COLUMNS: &str = "source, redrive_count, attempts, reason, place, properties, id, lane, kind, code, state, body, first_at, dead_lettered_at";
const ALIKE: &str =
    "'urn:test', 0, 1, 'no device is named sw9', '$.data.hostname', '{\"reply_to\": \"lockstep.reply.x\"}'";

/// Lane, type, code, state and body (in hex) of each.
const ROWS: [[&str; 5]; 4] = [
    [
        "events",
        "lockstep.device.removed",
        "unknown-device",
        "dead",
        "7b2261223a317d",
    ],
    ["events", "", "invalid-json", "dead", "1b5b324aff"],
    [
        "satellites",
        "lockstep.rocket.launched",
        "lost-in-space",
        "dead",
        "",
    ],
    [
        "commands",
        "lockstep.device.state-requested",
        "unknown-device",
        "processed",
        "7b7d",
    ],
];

/// Inserts the rows; their numbers begin with 1.
async fn fill(scene: &Scene, ground: Ground) -> Result<()> {
    let insert =
        |blob: fn(&str) -> String, time: &str| {
            let rows = ROWS.iter().enumerate().map(|(index, [lane, kind, code, state, body])| {
            let body = blob(body);
            format!("({ALIKE}, '{index}', '{lane}', '{kind}', '{code}', '{state}', {body}, {time}, {time})")
        });
            let rows: Vec<String> = rows.collect();
            format!("INSERT INTO dead_letter ({COLUMNS}) VALUES {}", rows.join(", "))
        };
    match ground {
        Ground::Servers => {
            let client = scene.servers()?.schema.connect().await?;
            let insert = insert(|hex| format!("decode('{hex}', 'hex')"), "now()");
            client.execute(&insert, &[]).await?;
        }
        Ground::Embedded => {
            let connection = rusqlite::Connection::open(scene.folder().join("lockstep-data/store.sqlite"))?;
            connection.execute(&insert(|hex| format!("x'{hex}'"), "0"), [])?;
        }
    }
    Ok(())
}

async fn dead_letters_are_listed_and_shown(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    fill(&scene, ground).await?;
    let operator = Operator::in_the(scene, ground).await?;

    let numbers = async |flags: &str| -> Result<Vec<u64>> {
        let list = operator.json(&format!("dead list{flags}")).await?;
        let dead_letters = list.as_array().into_iter().flatten();
        Ok(dead_letters
            .filter_map(|dead_letter| dead_letter["number"].as_u64())
            .collect())
    };
    for (flags, expected) in [
        ("", vec![3, 2, 1]),
        (" --all-states", vec![4, 3, 2, 1]),
        (" --state processed", vec![4]),
        (" --code unknown-device", vec![1]),
        (" --lane events --limit 1", vec![2]),
        (" --type lockstep.rocket.launched", vec![3]),
        (" --state dropped", vec![]),
    ] {
        let found = numbers(flags).await?;
        ensure!(found == expected, "dead list{flags}: {found:?}");
    }
    let table = operator.expect_exit("dead list --limit 2 -o wide", 0).await?;
    let lines: Vec<&str> = table.stdout.lines().collect();
    ensure!(lines.len() == 3 && lines[0].starts_with("NUMBER"), "{table:?}");
    ensure!(
        lines[1].contains("satellites") && lines[1].contains("lost-in-space"),
        "{table:?}"
    );
    ensure!(table.stderr.contains("2 of 3 dead letters"), "{table:?}");
    let none = operator.expect_exit("dead list --state dropped", 0).await?;
    ensure!(none.stderr.contains("no dead letter matches"), "{none:?}");

    let shown = operator.expect_exit("dead show 1", 0).await?.stdout;
    for expected in [
        "state         dead",
        "code          unknown-device",
        "place         $.data.hostname",
        "reply to      lockstep.reply.x",
        "{\n  \"a\": 1\n}",
    ] {
        ensure!(shown.contains(expected), "{expected}: {shown}");
    }
    let bytes = operator.expect_exit("dead show 2", 0).await?.stdout;
    ensure!(bytes.ends_with("in base64:)\nG1sySv8=\n"), "{bytes}");
    let json = operator.json("dead show 2").await?;
    ensure!(
        json["body_base64"] == "G1sySv8=" && json.get("body").is_none(),
        "{json}"
    );
    let none = operator.expect_exit("dead show 99", 1).await?;
    ensure!(
        none.stderr.contains("no dead letter has the number \"99\""),
        "{none:?}"
    );
    operator.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_and_shown_on_servers() -> Result<()> {
    dead_letters_are_listed_and_shown(Ground::Servers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_and_shown_embedded() -> Result<()> {
    dead_letters_are_listed_and_shown(Ground::Embedded).await
}
