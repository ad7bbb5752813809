//! What happened to a device: rows of its history, merged with the causes that it had. `docs/how-to/history.md` has the rules.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use lockstep_protocol::Identity;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{CauseId, CauseRow, Device, column};

/// What a row of the history is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryWhat {
    /// The device was created.
    Created,
    /// It was moved to another state.
    Moved,
    /// It got another hostname.
    Renamed,
    /// It became synchronized, which closed its causes.
    Synchronized,
    /// Its causes were closed, and its flag did not change.
    CausesClosed,
}

impl HistoryWhat {
    /// As it is written in the store and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Moved => "moved",
            Self::Renamed => "renamed",
            Self::Synchronized => "synchronized",
            Self::CausesClosed => "causes-closed",
        }
    }

    fn closes(text: &str) -> bool {
        [Self::Synchronized, Self::CausesClosed]
            .iter()
            .any(|what| what.as_str() == text)
    }
}

/// A former and a new state, or hostname, or the execution. A new device has only a new state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryChange {
    /// What it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The execution by which it became synchronized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<Uuid>,
}

/// A stored row of the history of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// Rows of a device are numbered in their order.
    pub number: i64,
    /// When the message was applied.
    pub at: Timestamp,
    /// A [`HistoryWhat`] as text, because a newer worker may know more.
    pub what: String,
    /// The message.
    pub identity: Identity,
    /// The type of the message.
    pub kind: String,
    /// The authenticated sender of the message.
    pub actor: Option<String>,
    /// The note of the operator who sent it.
    pub note: Option<String>,
    /// What changed.
    pub change: HistoryChange,
    /// The desired generation afterwards.
    pub generation: i64,
    /// The causes that it closed, oldest first: the newest 32. Some may have expired.
    pub causes: Vec<CauseId>,
}

/// Something that happened to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its place: where the next page begins.
    pub position: HistoryPosition,
    /// What happened.
    pub event: HistoryEvent,
}

/// What happened to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryEvent {
    /// It changed.
    Changed {
        /// The stored row.
        row: HistoryRow,
        /// How many of the causes that it closed are not stored any more.
        expired: u64,
    },
    /// It got a cause.
    Unsynchronized {
        /// The cause, with its detail.
        cause: CauseRow,
        /// Whether it is open.
        open: bool,
    },
}

/// A place in the history of a device. Later ones are greater. As text: microseconds since 1970, the order among what happened in the
/// same batch, and a number, separated by dots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryPosition {
    at: i64,
    order: Order,
    number: i64,
}

/// Messages of one batch have the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    /// A device is created before it gets a cause, and moved before it is flagged for that.
    Changed,
    /// A cause that is closed at the same time.
    Cause,
    /// What closes causes.
    Closed,
    /// A cause that is still open, or closed later.
    LaterCause,
}

impl Order {
    const ALL: [Self; 4] = [Self::Changed, Self::Cause, Self::Closed, Self::LaterCause];
}

/// The text is not the `next` of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the `next` of a page of a history")]
pub struct InvalidPosition;

impl HistoryPosition {
    /// The place of whatever happened before this time, and not at it.
    pub fn before(time: Timestamp) -> Self {
        Self {
            at: column::microseconds(time),
            order: Order::Changed,
            number: i64::MIN,
        }
    }

    /// The time.
    pub(crate) fn at(self) -> i64 {
        self.at
    }
}

impl fmt::Display for HistoryPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.at, self.order as u8, self.number)
    }
}

impl FromStr for HistoryPosition {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let mut parts = text.splitn(3, '.').map(|part| part.parse::<i64>().ok());
        let mut next = || parts.next().flatten().ok_or(InvalidPosition);
        let (at, order, number) = (next()?, next()?, next()?);
        // A time that no store has would be an error of the database.
        Timestamp::from_microsecond(at).map_err(|_| InvalidPosition)?;
        let order = usize::try_from(order)
            .ok()
            .and_then(|order| Order::ALL.get(order));
        Ok(Self {
            at,
            order: *order.ok_or(InvalidPosition)?,
            number,
        })
    }
}

/// The causes that a page may show: those that the rows closed, and the open ones of the device.
pub(crate) fn causes(rows: &[HistoryRow], device: &Device) -> Vec<CauseId> {
    let closed = rows.iter().flat_map(|row| &row.causes);
    let mut causes: Vec<CauseId> = closed.chain(&device.open_causes).copied().collect();
    causes.sort_unstable();
    causes.dedup();
    causes
}

/// One page of the history, newest first. `rows` are the newest before `before`, all of the same time, and the oldest one after it that
/// closed causes, because these may be older than `before`. `causes` has those of [`causes`] that are stored.
pub(crate) fn merge(
    rows: Vec<HistoryRow>,
    mut causes: HashMap<CauseId, CauseRow>,
    before: Option<HistoryPosition>,
    limit: u32,
) -> Vec<HistoryEntry> {
    let mut entries = Vec::new();
    let mut seen = HashSet::new();
    for row in rows {
        let closed_at = column::microseconds(row.at);
        let found = row.causes.len();
        for id in &row.causes {
            if let Some(cause) = causes.remove(id) {
                seen.insert(*id);
                entries.push(HistoryEntry::of_cause(*id, cause, Some(closed_at)));
            }
        }
        let stored = row.causes.iter().filter(|id| seen.contains(id)).count();
        entries.push(HistoryEntry::of_row(row, found - stored));
    }
    entries.extend(
        causes
            .into_iter()
            .map(|(id, cause)| HistoryEntry::of_cause(id, cause, None)),
    );
    entries.retain(|entry| before.is_none_or(|before| entry.position < before));
    entries.sort_unstable_by_key(|entry| Reverse(entry.position));
    entries.truncate(limit as usize);
    entries
}

impl HistoryEntry {
    fn of_row(row: HistoryRow, expired: usize) -> Self {
        let closes = HistoryWhat::closes(&row.what) || !row.causes.is_empty();
        let position = HistoryPosition {
            at: column::microseconds(row.at),
            order: if closes { Order::Closed } else { Order::Changed },
            number: row.number,
        };
        let expired = expired as u64;
        Self {
            position,
            event: HistoryEvent::Changed { row, expired },
        }
    }

    fn of_cause(id: CauseId, cause: CauseRow, closed_at: Option<i64>) -> Self {
        let at = column::microseconds(cause.at);
        let position = HistoryPosition {
            at,
            order: if closed_at == Some(at) {
                Order::Cause
            } else {
                Order::LaterCause
            },
            number: id.0,
        };
        let open = closed_at.is_none();
        Self {
            position,
            event: HistoryEvent::Unsynchronized { cause, open },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn identity(id: &str) -> Identity {
        Identity {
            source: "nms".to_owned().try_into().unwrap(),
            id: id.to_owned().try_into().unwrap(),
        }
    }

    fn row(number: i64, second: i64, what: HistoryWhat, causes: &[i64]) -> HistoryRow {
        HistoryRow {
            number,
            at: at(second),
            what: what.as_str().to_owned(),
            identity: identity("h"),
            kind: "lockstep.device.mark-requested".to_owned(),
            actor: None,
            note: None,
            change: HistoryChange::default(),
            generation: 1,
            causes: causes.iter().copied().map(CauseId).collect(),
        }
    }

    fn stored(causes: &[(i64, i64)]) -> HashMap<CauseId, CauseRow> {
        let cause = |second| CauseRow {
            cause: "interface_updated".to_owned(),
            identity: identity("c"),
            kind: "lockstep.interface.updated".to_owned(),
            actor: None,
            at: at(second),
            note: None,
            detail: None,
        };
        causes
            .iter()
            .map(|(id, second)| (CauseId(*id), cause(*second)))
            .collect()
    }

    fn shown(entries: &[HistoryEntry]) -> String {
        let show = |entry: &HistoryEntry| match &entry.event {
            HistoryEvent::Changed { row, expired: 0 } => format!("{} {}", row.what, row.number),
            HistoryEvent::Changed { row, expired } => {
                format!("{} {} ({expired} expired)", row.what, row.number)
            }
            HistoryEvent::Unsynchronized { open: true, .. } => format!("open {}", entry.position.number),
            HistoryEvent::Unsynchronized { .. } => format!("cause {}", entry.position.number),
        };
        entries.iter().map(show).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn rows_and_causes_are_merged_in_the_order_of_their_times() {
        let rows = || {
            vec![
                row(3, 40, HistoryWhat::Synchronized, &[7, 8, 9]),
                row(2, 20, HistoryWhat::Moved, &[]),
                row(1, 5, HistoryWhat::Created, &[]),
            ]
        };
        // The ids of causes are not in the order of time. Cause 9 has expired.
        let causes = || stored(&[(7, 30), (8, 10), (4, 50)]);
        let all = merge(rows(), causes(), None, 100);
        let expected = "open 4, synchronized 3 (1 expired), cause 7, moved 2, cause 8, created 1";
        assert_eq!(shown(&all), expected);
        let mut pages = Vec::new();
        let mut before = None;
        loop {
            let page = merge(rows(), causes(), before, 2);
            let Some(last) = page.last() else { break };
            before = Some(last.position.to_string().parse().unwrap());
            pages.extend(page);
        }
        assert_eq!(shown(&pages), expected);
    }

    #[test]
    fn within_one_batch_causes_are_around_what_closed_them() {
        let rows = vec![
            row(2, 10, HistoryWhat::Synchronized, &[5]),
            row(1, 10, HistoryWhat::Created, &[]),
        ];
        let entries = merge(rows, stored(&[(5, 10), (4, 10)]), None, 9);
        assert_eq!(shown(&entries), "open 4, synchronized 2, cause 5, created 1");
    }

    #[test]
    fn only_the_next_of_a_page_is_a_position() {
        for bad in [
            "",
            "1",
            "1.2",
            "1.4.5",
            "1.-1.5",
            "x.1.2",
            "1.1.2.3",
            "9223372036854775807.1.1",
        ] {
            assert_eq!(bad.parse::<HistoryPosition>(), Err(InvalidPosition), "{bad}");
        }
        let position: HistoryPosition = "-5.3.-7".parse().unwrap();
        assert_eq!(position.to_string(), "-5.3.-7");
    }
}
