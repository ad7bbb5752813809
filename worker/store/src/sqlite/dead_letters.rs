//! Dead letters in the transaction of a batch: those its commands are about, and those it makes.

use lockstep_protocol::commands::MAX_DEAD_LETTERS;
use rusqlite::{Connection, OptionalExtension, params};

use super::error::Failure;
use crate::{DeadLetterSelector, Facts, Keys, column};

const SELECT_MATCHING: &str = "\
    SELECT number FROM dead_letter \
    WHERE state = 'dead' AND number <= ?1 AND (?2 IS NULL OR code = ?2) AND (?3 IS NULL OR lane = ?3) \
        AND (?4 IS NULL OR kind = ?4) \
    ORDER BY number LIMIT ?5";

const INSERT: &str = "\
    INSERT INTO dead_letter (source, id, redrive_count, lane, kind, subject, actor, code, reason, place, attempts, first_at, \
        died_at, body, properties, state) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 'dead') \
    ON CONFLICT (source, id, redrive_count) DO NOTHING";

const SETTLE: &str = "\
    UPDATE dead_letter SET state = ?2, settled_at = ?3, settled_by = ?4, request_source = ?5, request_id = ?6 \
    WHERE number = ?1 AND state = 'dead'";

/// Adds the dead letters that the keys are about to the facts.
pub(super) fn know(connection: &Connection, keys: &Keys, facts: &mut Facts) -> Result<(), Failure> {
    for dead_letters in &keys.dead_letters {
        match dead_letters {
            DeadLetterSelector::One(number) => {
                let mut select =
                    connection.prepare_cached("SELECT state FROM dead_letter WHERE number = ?1")?;
                let state: Option<String> = select
                    .query_row([number_column(*number)], |row| row.get(0))
                    .optional()?;
                if let Some(state) = state {
                    facts.know_dead_letter(*number, column::read_dead_letter_state(&state)?);
                }
            }
            DeadLetterSelector::Matching(selection) => {
                let mut select = connection.prepare_cached(SELECT_MATCHING)?;
                let numbers = select.query_map(
                    params![
                        number_column(selection.up_to),
                        selection.code.map(lockstep_protocol::Code::as_str),
                        selection.lane.map(lockstep_protocol::topology::Lane::as_str),
                        selection.message_type,
                        i64::from(MAX_DEAD_LETTERS) + 1,
                    ],
                    |row| row.get::<_, i64>(0),
                )?;
                let numbers: Vec<i64> = numbers.collect::<Result<_, _>>()?;
                let numbers = numbers
                    .into_iter()
                    .map(|number| u64::try_from(number).unwrap_or(0));
                facts.know_matching(selection.clone(), numbers.collect());
            }
        }
    }
    Ok(())
}

/// Writes what the batch does to dead letters.
pub(super) fn write(connection: &Connection, facts: &Facts) -> Result<(), Failure> {
    let mut insert = connection.prepare_cached(INSERT)?;
    for dead_letter in facts.new_dead_letters() {
        insert.execute(params![
            dead_letter.identity.source.as_str(),
            dead_letter.identity.id.as_str(),
            dead_letter.redrive_count,
            dead_letter.lane.as_str(),
            dead_letter.kind,
            dead_letter.subject,
            dead_letter.actor,
            dead_letter.code.as_str(),
            dead_letter.reason,
            dead_letter.place,
            dead_letter.attempts,
            column::microseconds(dead_letter.first_at),
            column::microseconds(dead_letter.died_at),
            &dead_letter.body[..],
            column::dead_letter_properties(&dead_letter.properties),
        ])?;
    }
    let mut processed = connection.prepare_cached(
        "UPDATE dead_letter SET state = 'processed' WHERE number = ?1 AND state = 'requeued'",
    )?;
    for number in facts.worked_dead_letters() {
        processed.execute([number_column(*number)])?;
    }
    let mut settle = connection.prepare_cached(SETTLE)?;
    for settled in facts.settled_dead_letters() {
        for number in &settled.numbers {
            settle.execute(params![
                number_column(*number),
                column::dead_letter_state(settled.action),
                column::microseconds(settled.at),
                settled.by,
                settled.request.source.as_str(),
                settled.request.id.as_str(),
            ])?;
        }
    }
    Ok(())
}

fn number_column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
