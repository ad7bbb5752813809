//! Lists as sets. Results keep the order in which values come first, where Python's order is that of hashes.

use std::collections::HashSet;

use minijinja::Value;
use minijinja::value::Tuple;

use crate::filters::arguments::{Arguments, Filter, MOST_ITEMS, Outcome, list, too_many};

const TWO: &str = "a b";

/// `unique` is a filter of the engine.
pub(super) const FILTERS: &[Filter] = &[
    ("union", TWO, |arguments| {
        let all = arguments.list(0)?.into_iter().chain(arguments.list(1)?);
        Ok(unique(all))
    }),
    ("intersect", TWO, |arguments| {
        let other: HashSet<Value> = arguments.list(1)?.into_iter().collect();
        Ok(unique(
            arguments.list(0)?.into_iter().filter(|item| other.contains(item)),
        ))
    }),
    ("difference", TWO, |arguments| {
        let other: HashSet<Value> = arguments.list(1)?.into_iter().collect();
        Ok(unique(
            arguments
                .list(0)?
                .into_iter()
                .filter(|item| !other.contains(item)),
        ))
    }),
    ("symmetric_difference", TWO, |arguments| {
        let (left, right) = (arguments.list(0)?, arguments.list(1)?);
        let sets: [HashSet<Value>; 2] = [left.iter().cloned().collect(), right.iter().cloned().collect()];
        let in_one = |item: &Value| !(sets[0].contains(item) && sets[1].contains(item));
        Ok(unique(left.into_iter().chain(right).filter(in_one)))
    }),
    ("zip", "value *others", |arguments| {
        let columns = columns(arguments)?;
        let rows = columns.iter().map(Vec::len).min().unwrap_or(0);
        Ok((0..rows)
            .map(|row| tuple(columns.iter().map(|column| column[row].clone())))
            .collect())
    }),
    ("zip_longest", "value *others fillvalue?", |arguments| {
        let columns = columns(arguments)?;
        let rows = columns.iter().map(Vec::len).max().unwrap_or(0);
        let fill = arguments.some(1).cloned().unwrap_or_else(|| Value::from(()));
        Ok((0..rows)
            .map(|row| {
                let cell = |column: &Vec<Value>| column.get(row).unwrap_or(&fill).clone();
                tuple(columns.iter().map(cell))
            })
            .collect())
    }),
    ("product", "value *others repeat?", |arguments| {
        let times = usize::try_from(arguments.integer_or(1, 1)?).unwrap_or(0);
        let columns = columns(arguments)?;
        let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
        for column in std::iter::repeat_n(&columns, times.min(32)).flatten() {
            if rows.len().saturating_mul(column.len()) > MOST_ITEMS {
                return Err(too_many());
            }
            rows = rows
                .iter()
                .flat_map(|row| {
                    column.iter().map(move |item| {
                        let mut row = row.clone();
                        row.push(item.clone());
                        row
                    })
                })
                .collect();
        }
        Ok(rows.into_iter().map(|row| tuple(row.into_iter())).collect())
    }),
    ("combinations", "value r", |arguments| {
        chosen(arguments, |row, next| row.last().is_none_or(|last| *last < next))
    }),
    ("permutations", "value r?", |arguments| {
        chosen(arguments, |row, next| !row.contains(&next))
    }),
];

fn tuple(items: impl Iterator<Item = Value>) -> Value {
    Value::from(Tuple::new(items.collect()))
}

fn columns(arguments: &Arguments) -> Result<Vec<Vec<Value>>, minijinja::Error> {
    let first = arguments.value(0);
    std::iter::once(&first)
        .chain(arguments.rest())
        .map(list)
        .collect()
}

/// The ways to choose so many items, where `may_follow` says which index may be appended to those that are chosen.
fn chosen(arguments: &Arguments, may_follow: fn(&[usize], usize) -> bool) -> Outcome {
    let items = arguments.list(0)?;
    let count = arguments.integer_or(1, items.len() as i128)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(items.len() + 1);
    let mut rows: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..count {
        let mut longer = Vec::new();
        for row in &rows {
            for next in (0..items.len()).filter(|next| may_follow(row, *next)) {
                if longer.len() == MOST_ITEMS {
                    return Err(too_many());
                }
                let mut row = row.clone();
                row.push(next);
                longer.push(row);
            }
        }
        rows = longer;
    }
    Ok(rows
        .into_iter()
        .map(|row| tuple(row.into_iter().map(|index| items[index].clone())))
        .collect())
}

/// Each value once.
fn unique(items: impl Iterator<Item = Value>) -> Value {
    let mut seen = HashSet::new();
    items.filter(|item| seen.insert(item.clone())).collect()
}
