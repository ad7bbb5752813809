//! Dead letters in the transaction of a batch: those its commands are about, and those it makes.

use lockstep_protocol::commands::{DeadLetterSelection, MAX_DEAD_LETTERS};
use tokio_postgres::types::ToSql;

use super::inbox::without_nul;
use super::microseconds::Microseconds;
use super::session::Session;
use super::write::Write;
use crate::store::{DeadLetter, Facts, Keys, Letters, StoreError, column};

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
    INSERT INTO dead_letter (source, id, epoch, lane, kind, subject, actor, code, reason, place, attempts, first_at, \
        died_at, body, properties, state) \
    SELECT *, 'dead' FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], \
        $8::text[], $9::text[], $10::text[], $11::integer[], $12::timestamptz[], $13::timestamptz[], $14::bytea[], \
        $15::text[]) \
    ON CONFLICT (source, id, epoch) DO NOTHING";

pub(super) const WORKED: &str =
    "UPDATE dead_letter SET state = 'worked' WHERE number = ANY($1::bigint[]) AND state = 'requeued'";

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
    for letters in &keys.letters {
        match letters {
            Letters::One(number) => named.push(number_column(*number)),
            Letters::Matching(selection) => selections.push(selection),
        }
    }
    if !named.is_empty() {
        for row in session.rows_for(OPERATION, LOCK, &[&named]).await? {
            let state = column::read_letter_state(row.get(1))?;
            facts.know_letter(read_number(row.get(0)), state);
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
    let mut new: Vec<&DeadLetter> = facts.new_letters().iter().collect();
    if !new.is_empty() {
        new.sort_unstable_by_key(|letter| (&letter.identity, letter.epoch));
        writes.push(insert(&new));
    }
    let mut worked: Vec<i64> = facts
        .worked_letters()
        .iter()
        .copied()
        .map(number_column)
        .collect();
    if !worked.is_empty() {
        worked.sort_unstable();
        writes.push(Write::new(WORKED).column(worked));
    }
    for settled in facts.settled_letters() {
        let numbers = settled.numbers.iter().copied().map(number_column);
        let write = Write::new(SETTLE)
            .column(numbers)
            .column([column::letter_state(settled.action)])
            .column([Microseconds(settled.at)])
            .column([settled.by.as_deref().map(without_nul)])
            .column([settled.request.source.as_str()])
            .column([settled.request.id.as_str()]);
        writes.push(write);
    }
    writes
}

fn insert<'a>(letters: &[&'a DeadLetter]) -> Write<'a> {
    let letters = letters.iter().copied();
    Write::new(INSERT)
        .column(letters.clone().map(|letter| letter.identity.source.as_str()))
        .column(letters.clone().map(|letter| letter.identity.id.as_str()))
        .column(letters.clone().map(|letter| column::epoch(letter.epoch)))
        .column(letters.clone().map(|letter| letter.lane.as_str()))
        .column(letters.clone().map(|letter| without_nul(&letter.kind)))
        .column(
            letters
                .clone()
                .map(|letter| letter.subject.as_deref().map(without_nul)),
        )
        .column(
            letters
                .clone()
                .map(|letter| letter.actor.as_deref().map(without_nul)),
        )
        .column(letters.clone().map(|letter| letter.code.as_str()))
        .column(letters.clone().map(|letter| without_nul(&letter.reason)))
        .column(
            letters
                .clone()
                .map(|letter| letter.place.as_deref().map(without_nul)),
        )
        .column(letters.clone().map(|letter| column::epoch(letter.attempts)))
        .column(letters.clone().map(|letter| Microseconds(letter.first_at)))
        .column(letters.clone().map(|letter| Microseconds(letter.died_at)))
        .column(letters.clone().map(|letter| &letter.body[..]))
        .column(letters.map(|letter| column::letter_properties(&letter.properties)))
}

fn number_column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn read_number(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
