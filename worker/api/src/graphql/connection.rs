//! Pages of lists in the form of Relay: `edges`, `nodes`, `pageInfo` and `totalCount`.

use std::sync::Arc;

use async_graphql::connection::{Connection, Edge};
use async_graphql::{Context, Error, Object, OutputType, Result};
use lockstep_protocol::{Hostname, Level};
use lockstep_store::{DeviceQuery, ExecutionQuery, Page, Relation, ResultPosition, TotalOf};

use super::error;
use super::field::{console, invalid, load, may_read};
use super::loads::{CountKey, Counted, PageKey, PageOf};

/// Entries of a page without `first`, and the most.
const DEFAULT_FIRST: u32 = 100;
const MOST_FIRST: u32 = 1000;

/// A page of a list.
pub(super) type List<N> = Connection<String, N, Total>;

/// How many fields a page may select: those of an entry as often as it may have entries.
pub(super) fn cost(first: Option<i32>, entry: usize) -> usize {
    let first = first.map_or(DEFAULT_FIRST, |first| {
        u32::try_from(first).unwrap_or(0).clamp(1, MOST_FIRST)
    });
    1 + entry * first as usize
}

/// The arguments of a page.
pub(super) struct Arguments {
    pub(super) first: Option<i32>,
    pub(super) after: Option<String>,
}

/// The place of an entry in its list, as a cursor has it.
pub(super) trait Position: Sized {
    fn to_cursor(&self) -> String;
    fn of_cursor(cursor: &str) -> Option<Self>;
}

impl Position for u64 {
    fn to_cursor(&self) -> String {
        self.to_string()
    }

    fn of_cursor(cursor: &str) -> Option<Self> {
        cursor.parse().ok()
    }
}

impl Position for String {
    fn to_cursor(&self) -> String {
        self.clone()
    }

    fn of_cursor(cursor: &str) -> Option<Self> {
        Some(cursor.to_owned())
    }
}

impl Position for Hostname {
    fn to_cursor(&self) -> String {
        self.to_string()
    }

    fn of_cursor(cursor: &str) -> Option<Self> {
        cursor.parse().ok()
    }
}

impl Position for (u64, u64) {
    fn to_cursor(&self) -> String {
        format!("{}/{}", self.0, self.1)
    }

    fn of_cursor(cursor: &str) -> Option<Self> {
        let (one, other) = cursor.split_once('/')?;
        Some((one.parse().ok()?, other.parse().ok()?))
    }
}

impl Position for ResultPosition {
    fn to_cursor(&self) -> String {
        format!("{}/{}/{}", self.phase, self.level, self.entity)
    }

    fn of_cursor(cursor: &str) -> Option<Self> {
        let (phase, rest) = cursor.split_once('/')?;
        let (level, entity) = rest.split_once('/')?;
        Some(Self {
            phase: phase.parse().ok()?,
            level: level.parse::<Level>().ok()?,
            entity: entity.parse().ok()?,
        })
    }
}

impl Arguments {
    fn first(&self) -> Result<u32> {
        let Some(first) = self.first else {
            return Ok(DEFAULT_FIRST);
        };
        let within = u32::try_from(first)
            .ok()
            .filter(|first| (1..=MOST_FIRST).contains(first));
        within.ok_or_else(|| {
            invalid(format!(
                "argument \"first\" is {first}; it must be between 1 and {MOST_FIRST}"
            ))
        })
    }

    /// The page that is read: one entry more than asked for shows whether there are more.
    pub(super) fn page<P: Position>(&self) -> Result<Page<P>> {
        let after = self.after.as_deref().map(|cursor| {
            P::of_cursor(cursor).ok_or_else(|| {
                invalid(format!(
                    "argument \"after\": {cursor:?} is not a cursor of this list; use \"endCursor\" of the page before"
                ))
            })
        });
        Ok(Page {
            after: after.transpose()?,
            limit: self.first()? + 1,
        })
    }

    /// The page that was read.
    pub(super) fn list<R, P: Position, N: OutputType>(
        &self,
        mut rows: Vec<R>,
        position: impl Fn(&R) -> P,
        node: impl Fn(R) -> Option<N>,
        total: Total,
    ) -> Result<List<N>> {
        let first = self.first()? as usize;
        let has_next = rows.len() > first;
        rows.truncate(first);
        let mut list = Connection::with_additional_fields(self.after.is_some(), has_next, total);
        list.edges = rows
            .into_iter()
            .filter_map(|row| {
                let cursor = position(&row).to_cursor();
                node(row).map(|node| Edge::new(cursor, node))
            })
            .collect();
        Ok(list)
    }
}

/// A page of what belongs to the object with this id.
pub(super) async fn nested<R>(
    context: &Context<'_>,
    of: R,
    id: u64,
    arguments: Arguments,
) -> Result<List<R::Node>>
where
    R: Counted,
    R::Position: Position,
{
    let total = Total::Each(of.relation(), id);
    nested_with(context, of, id, arguments, total).await
}

/// The same, with how many entries there are.
pub(super) async fn nested_with<R>(
    context: &Context<'_>,
    of: R,
    id: u64,
    arguments: Arguments,
    total: Total,
) -> Result<List<R::Node>>
where
    R: PageOf,
    R::Position: Position,
{
    may_read(context, R::SCOPE)?;
    let page = arguments.page()?;
    let rows = load(context, PageKey { of, id, page }).await?;
    let position = |row: &Arc<R::Row>| R::position(row);
    arguments.list(rows.unwrap_or_default(), position, R::node, total)
}

/// How many entries a list has, counted if it is asked for.
#[derive(Debug)]
pub(super) enum Total {
    /// It is known.
    Known(u64),
    /// What belongs to the object with an id.
    Each(Relation, u64),
    /// All there are.
    All(TotalOf),
    /// The devices that match.
    Devices(DeviceQuery),
    /// The executions that match.
    Executions(ExecutionQuery),
}

#[Object]
impl Total {
    /// How many entries the list has, on all pages. Counting takes time.
    #[graphql(complexity = 10)]
    async fn total_count(&self, context: &Context<'_>) -> Option<Result<u64>> {
        Some(self.count(context).await)
    }
}

impl Total {
    async fn count(&self, context: &Context<'_>) -> Result<u64, Error> {
        let console = console(context);
        let counted = match self {
            Self::Known(count) => return Ok(*count),
            Self::Each(relation, id) => {
                let count = load(context, CountKey(*relation, *id)).await?;
                return Ok(count.unwrap_or_default());
            }
            Self::All(of) => console.entities.total(*of).await,
            Self::Devices(query) => console.fleet.count_devices(query).await,
            Self::Executions(query) => console.executions.count_executions(query).await,
        };
        counted.map_err(error::of_store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_as_positions() {
        let result = ResultPosition {
            phase: 2,
            level: Level::InterfaceClient,
            entity: 7,
        };
        assert_eq!(result.to_cursor(), "2/INTERFACE_CLIENT/7");
        assert_eq!(ResultPosition::of_cursor(&result.to_cursor()), Some(result));
        assert_eq!(<(u64, u64)>::of_cursor(&(3, 4).to_cursor()), Some((3, 4)));
        for bad in ["", "3", "3/", "3/x/4", "-1/2", "3/4/5/6"] {
            assert_eq!(<(u64, u64)>::of_cursor(bad), None, "{bad}");
            assert_eq!(ResultPosition::of_cursor(bad), None, "{bad}");
        }
        assert_eq!((u64::of_cursor("7"), u64::of_cursor("x")), (Some(7), None));
    }

    #[test]
    fn the_cost_of_a_page_grows_with_its_length() {
        for (first, expected) in [
            (None, 301),
            (Some(20), 61),
            (Some(0), 4),
            (Some(-5), 4),
            (Some(i32::MAX), 3001),
        ] {
            assert_eq!(cost(first, 3), expected, "{first:?}");
        }
    }
}
