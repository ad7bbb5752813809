//! Dead letters in the transaction of a batch: those its commands are about, and those it makes.

use lockstep_protocol::commands::MAX_DEAD_LETTERS;
use rusqlite::{Connection, OptionalExtension, params};

use super::error::Failure;
use crate::store::{Facts, Keys, Letters, column};

const SELECT_MATCHING: &str = "\
    SELECT number FROM dead_letter \
    WHERE state = 'dead' AND number <= ?1 AND (?2 IS NULL OR code = ?2) AND (?3 IS NULL OR lane = ?3) \
        AND (?4 IS NULL OR kind = ?4) \
    ORDER BY number LIMIT ?5";

const INSERT: &str = "\
    INSERT INTO dead_letter (source, id, epoch, lane, kind, subject, actor, code, reason, place, attempts, first_at, \
        died_at, body, properties, state) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 'dead') \
    ON CONFLICT (source, id, epoch) DO NOTHING";

const SETTLE: &str = "\
    UPDATE dead_letter SET state = ?2, settled_at = ?3, settled_by = ?4, request_source = ?5, request_id = ?6 \
    WHERE number = ?1 AND state = 'dead'";

/// Adds the dead letters that the keys are about to the facts.
pub(super) fn know(connection: &Connection, keys: &Keys, facts: &mut Facts) -> Result<(), Failure> {
    for letters in &keys.letters {
        match letters {
            Letters::One(number) => {
                let mut select =
                    connection.prepare_cached("SELECT state FROM dead_letter WHERE number = ?1")?;
                let state: Option<String> = select
                    .query_row([number_column(*number)], |row| row.get(0))
                    .optional()?;
                if let Some(state) = state {
                    facts.know_letter(*number, column::read_letter_state(&state)?);
                }
            }
            Letters::Matching(selection) => {
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
    for letter in facts.new_letters() {
        insert.execute(params![
            letter.identity.source.as_str(),
            letter.identity.id.as_str(),
            letter.epoch,
            letter.lane.as_str(),
            letter.kind,
            letter.subject,
            letter.actor,
            letter.code.as_str(),
            letter.reason,
            letter.place,
            letter.attempts,
            column::microseconds(letter.first_at),
            column::microseconds(letter.died_at),
            &letter.body[..],
            column::letter_properties(&letter.properties),
        ])?;
    }
    let mut worked = connection
        .prepare_cached("UPDATE dead_letter SET state = 'worked' WHERE number = ?1 AND state = 'requeued'")?;
    for number in facts.worked_letters() {
        worked.execute([number_column(*number)])?;
    }
    let mut settle = connection.prepare_cached(SETTLE)?;
    for settled in facts.settled_letters() {
        for number in &settled.numbers {
            settle.execute(params![
                number_column(*number),
                column::letter_state(settled.action),
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
