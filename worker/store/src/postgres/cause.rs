//! Writes causes that are not part of an inbox row, and reads both. Their ids are assigned before, so that devices and causes are written in one round trip.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Mutex;

use super::microseconds::Microseconds;
use super::session::Session;
use super::write::Write;
use crate::{Facts, NewCause, StoreError};

/// The increment of the sequence.
const BLOCK: i64 = 1000;

pub(super) const NEXT_BLOCK: &str = "SELECT nextval('cause_block')";

pub(super) const INSERT: &str = "\
    INSERT INTO cause (id, cause, source, message_id, kind, actor, at, note, detail) \
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], \
        $8::text[], $9::text[])";

/// A table of all causes, of both kinds, in a statement that has their ids in the column `wanted.id`. `OFFSET 0` prevents a join of
/// tables: each cause is looked up by an index, however old the statistics are.
macro_rules! wanted_causes {
    () => {
        "CROSS JOIN LATERAL (\
            SELECT id, cause, kind, source, message_id, at, actor, note, detail FROM cause WHERE cause.id = wanted.id \
            UNION ALL \
            SELECT cause_id, cause, kind, source, id, at, nullif(actor, ''), nullif(note, ''), detail FROM inbox WHERE inbox.cause_id = wanted.id \
            OFFSET 0) AS cause"
    };
}
pub(super) use wanted_causes;

/// Ids that are reserved for this process. The ids of a failed transaction are lost, which does no harm.
#[derive(Debug, Default)]
pub(super) struct CauseIds {
    free: Mutex<VecDeque<Range<i64>>>,
}

impl CauseIds {
    /// Whether a batch of this many messages may need more ids than are left.
    pub(super) fn short_of(&self, messages: usize) -> bool {
        let free = self.free.lock().expect("nothing panics while it holds the lock");
        let left: i64 = free.iter().map(|range| range.end - range.start).sum();
        usize::try_from(left).is_ok_and(|left| left < messages + messages / 2)
    }

    /// Adds the block that begins with this id.
    pub(super) fn add_block(&self, first: i64) {
        let mut free = self.free.lock().expect("nothing panics while it holds the lock");
        free.push_back(first..first + BLOCK);
    }

    /// Takes up to `count` ids.
    fn take(&self, count: usize, ids: &mut Vec<i64>) {
        let mut free = self.free.lock().expect("nothing panics while it holds the lock");
        while ids.len() < count {
            let Some(range) = free.front_mut() else {
                return;
            };
            ids.extend(range.by_ref().take(count - ids.len()));
            if range.is_empty() {
                free.pop_front();
            }
        }
    }

    /// Returns `count` ids. Reserves a block in the database if too few are left, which is rare.
    pub(super) async fn assign(&self, session: &Session, count: usize) -> Result<Vec<i64>, StoreError> {
        let mut ids = Vec::with_capacity(count);
        self.take(count, &mut ids);
        while ids.len() < count {
            let block = session.query_one(NEXT_BLOCK, &[]);
            let block = session.answer("number causes", block).await?;
            self.add_block(block.get(0));
            self.take(count, &mut ids);
        }
        Ok(ids)
    }
}

/// Writes those causes that are not part of an inbox row, with the ids of all causes of the facts.
pub(super) fn insert<'a>(facts: &'a Facts, ids: &[i64]) -> Option<Write<'a>> {
    let mut in_inbox = vec![false; ids.len()];
    for index in facts.first_causes().iter().flatten() {
        in_inbox[*index] = true;
    }
    let all = facts.new_causes().iter().zip(ids).zip(in_inbox);
    let others: Vec<_> = all
        .filter_map(|(cause, in_inbox)| (!in_inbox).then_some(cause))
        .collect();
    (!others.is_empty()).then(|| write(others.into_iter()))
}

/// Writes a cause of which the facts know nothing.
pub(super) fn insert_one(cause: &NewCause, id: i64) -> Write<'_> {
    write([(cause, &id)].into_iter())
}

fn write<'a, 'b>(causes: impl Iterator<Item = (&'a NewCause, &'b i64)> + Clone) -> Write<'a> {
    let ids: Vec<i64> = causes.clone().map(|(_, id)| *id).collect();
    let causes = causes.map(|(cause, _)| cause);
    Write::new(INSERT)
        .column(ids)
        .column(causes.clone().map(|cause| cause.cause.as_str()))
        .column(causes.clone().map(|cause| cause.identity.source.as_str()))
        .column(causes.clone().map(|cause| cause.identity.id.as_str()))
        .column(causes.clone().map(|cause| cause.kind.as_str()))
        .column(
            causes
                .clone()
                .map(|cause| cause.actor.as_deref().map(crate::column::without_nul)),
        )
        .column(causes.clone().map(|cause| Microseconds(cause.at)))
        .column(causes.clone().map(|cause| cause.note.as_deref()))
        .column(causes.map(|cause| crate::column::cause_detail(cause.detail.as_deref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_is_taken_once_from_the_blocks() {
        let ids = CauseIds::default();
        assert!(ids.short_of(1));
        ids.add_block(1);
        ids.add_block(5001);
        assert!(!ids.short_of(1333) && ids.short_of(1334));
        let mut taken = Vec::new();
        ids.take(999, &mut taken);
        ids.take(1002, &mut taken);
        assert_eq!(taken[998..], [999, 1000, 5001, 5002]);
        ids.take(5000, &mut taken);
        assert_eq!((taken.len(), taken.last()), (2000, Some(&6000)));
    }
}
