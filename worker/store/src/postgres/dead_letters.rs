//! Dead letters in the transaction of a batch: those its commands are about, and those it makes.

use lockstep_protocol::commands::{DeadLetterSelection, MAX_DEAD_LETTERS};
use tokio_postgres::types::ToSql;

use super::inbox::without_nul;
use super::microseconds::Microseconds;
use super::session::Session;
use super::write::Write;
use crate::{DeadLetterSelector, Facts, Keys, NewDeadLetter, StoreError, column};

const OPERATION: &str = "read dead letters";

const LOCK: &str = "SELECT number, state FROM dead_letter WHERE number = ANY($1) ORDER BY number FOR UPDATE";

/// One more than a command settles, so that it is known whether there are more.
const LOCK_MATCHING: &str = "\
    SELECT number FROM dead_letter \
    WHERE state = 'dead' AND number <= $1 AND ($2::text IS NULL OR code = $2) AND ($3::text IS NULL OR lane = $3) \
        AND ($4::text IS NULL OR kind = $4) \
    ORDER BY number LIMIT $5 FOR UPDATE";

/// One that is there already says the same.
pub(super) const INSERT: &str = "\
    INSERT INTO dead_letter (source, id, redrive_count, lane, kind, subject, actor, code, reason, place, attempts, first_at, \
        died_at, body, properties, state) \
    SELECT *, 'dead' FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], \
        $8::text[], $9::text[], $10::text[], $11::integer[], $12::timestamptz[], $13::timestamptz[], $14::bytea[], \
        $15::text[]) \
    ON CONFLICT (source, id, redrive_count) DO NOTHING";

pub(super) const WORKED: &str =
    "UPDATE dead_letter SET state = 'processed' WHERE number = ANY($1::bigint[]) AND state = 'requeued'";

pub(super) const SETTLE: &str = "\
    UPDATE dead_letter SET state = new.state, settled_at = new.at, settled_by = new.actor, \
        request_source = new.source, request_id = new.id \
    FROM unnest($2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[]) \
        AS new (state, at, actor, source, id) \
    WHERE number = ANY($1::bigint[]) AND dead_letter.state = 'dead'";

/// Locks the dead letters that the keys are about, and adds them to the facts.
pub(super) async fn know(session: &Session, keys: &Keys, facts: &mut Facts) -> Result<(), StoreError> {
    let mut named = Vec::new();
    let mut selections: Vec<&DeadLetterSelection> = Vec::new();
    for dead_letters in &keys.dead_letters {
        match dead_letters {
            DeadLetterSelector::One(number) => named.push(number_column(*number)),
            DeadLetterSelector::Matching(selection) => selections.push(selection),
        }
    }
    if !named.is_empty() {
        for row in session.rows_for(OPERATION, LOCK, &[&named]).await? {
            let state = column::read_dead_letter_state(row.get(1))?;
            facts.know_dead_letter(read_number(row.get(0)), state);
        }
    }
    for selection in selections {
        let up_to = number_column(selection.up_to);
        let code = selection.code.map(lockstep_protocol::Code::as_str);
        let lane = selection.lane.map(lockstep_protocol::topology::Lane::as_str);
        let limit = i64::from(MAX_DEAD_LETTERS) + 1;
        let asked: [&(dyn ToSql + Sync); 5] = [&up_to, &code, &lane, &selection.message_type, &limit];
        let rows = session.rows_for(OPERATION, LOCK_MATCHING, &asked).await?;
        let numbers = rows.iter().map(|row| read_number(row.get(0))).collect();
        facts.know_matching(selection.clone(), numbers);
    }
    Ok(())
}

/// What the batch does to dead letters.
pub(super) fn writes(facts: &Facts) -> Vec<Write<'_>> {
    let mut writes = Vec::new();
    let mut new: Vec<&NewDeadLetter> = facts.new_dead_letters().iter().collect();
    if !new.is_empty() {
        new.sort_unstable_by_key(|dead_letter| (&dead_letter.identity, dead_letter.redrive_count));
        writes.push(insert(&new));
    }
    let mut processed: Vec<i64> = facts
        .worked_dead_letters()
        .iter()
        .copied()
        .map(number_column)
        .collect();
    if !processed.is_empty() {
        processed.sort_unstable();
        writes.push(Write::new(WORKED).column(processed));
    }
    for settled in facts.settled_dead_letters() {
        let numbers = settled.numbers.iter().copied().map(number_column);
        let write = Write::new(SETTLE)
            .column(numbers)
            .column([column::dead_letter_state(settled.action)])
            .column([Microseconds(settled.at)])
            .column([settled.by.as_deref().map(without_nul)])
            .column([settled.request.source.as_str()])
            .column([settled.request.id.as_str()]);
        writes.push(write);
    }
    writes
}

fn insert<'a>(dead_letters: &[&'a NewDeadLetter]) -> Write<'a> {
    let dead_letters = dead_letters.iter().copied();
    Write::new(INSERT)
        .column(
            dead_letters
                .clone()
                .map(|dead_letter| dead_letter.identity.source.as_str()),
        )
        .column(
            dead_letters
                .clone()
                .map(|dead_letter| dead_letter.identity.id.as_str()),
        )
        .column(
            dead_letters
                .clone()
                .map(|dead_letter| column::redrive_count(dead_letter.redrive_count)),
        )
        .column(dead_letters.clone().map(|dead_letter| dead_letter.lane.as_str()))
        .column(
            dead_letters
                .clone()
                .map(|dead_letter| without_nul(&dead_letter.kind)),
        )
        .column(
            dead_letters
                .clone()
                .map(|dead_letter| dead_letter.subject.as_deref().map(without_nul)),
        )
        .column(
            dead_letters
                .clone()
                .map(|dead_letter| dead_letter.actor.as_deref().map(without_nul)),
        )
        .column(dead_letters.clone().map(|dead_letter| dead_letter.code.as_str()))
        .column(
            dead_letters
                .clone()
                .map(|dead_letter| without_nul(&dead_letter.reason)),
        )
        .column(
            dead_letters
                .clone()
                .map(|dead_letter| dead_letter.place.as_deref().map(without_nul)),
        )
        .column(
            dead_letters
                .clone()
                .map(|dead_letter| column::redrive_count(dead_letter.attempts)),
        )
        .column(
            dead_letters
                .clone()
                .map(|dead_letter| Microseconds(dead_letter.first_at)),
        )
        .column(
            dead_letters
                .clone()
                .map(|dead_letter| Microseconds(dead_letter.died_at)),
        )
        .column(dead_letters.clone().map(|dead_letter| &dead_letter.body[..]))
        .column(dead_letters.map(|dead_letter| column::dead_letter_properties(&dead_letter.properties)))
}

fn number_column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn read_number(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
