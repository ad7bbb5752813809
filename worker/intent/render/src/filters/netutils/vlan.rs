//! Lists of VLANs.

use minijinja::{Error, Value};

use crate::filters::arguments::{Arguments, Filter, MOST_ITEMS, Outcome, integer, invalid, texts, too_many};

pub(super) const FILTERS: &[Filter] = &[
    (
        "vlanlist_to_config",
        "vlan_list first_line_len? other_line_len? min_grouping_size? return_empty?",
        to_config,
    ),
    ("vlanconfig_to_list", "vlan_config", to_list),
];

fn to_config(arguments: &Arguments) -> Outcome {
    let mut vlans = arguments
        .list(0)?
        .iter()
        .map(integer)
        .collect::<Result<Vec<i128>, Error>>()?;
    if vlans.is_empty() {
        return if arguments.is_true(4) {
            Ok(texts(Vec::<String>::new()))
        } else {
            Err(invalid(
                "The `vlan_list` argument provided is empty, a list of vlans is required, e.g. [10,20,30].",
            ))
        };
    }
    let size = arguments.integer_or(3, 3)?;
    if size < 1 {
        return Err(invalid(
            "Minimum grouping size must be equal to or greater than one.",
        ));
    }
    vlans.sort_unstable();
    vlans.dedup();
    let lines = (arguments.integer_or(1, 48)?, arguments.integer_or(2, 44)?);
    if size == 1 {
        let each: Vec<String> = vlans.iter().map(i128::to_string).collect();
        return lines_of(&each.join(","), lines).map(texts);
    }
    let valid = 1..=4094;
    if !vlans.iter().all(|vlan| valid.contains(vlan)) {
        return Err(invalid("Valid VLAN range is 1-4094"));
    }
    let groups = vlans.chunk_by(|left, right| left + 1 == *right);
    let groups: Vec<String> = groups
        .filter_map(|group| {
            let (first, last) = (group.first()?, group.last()?);
            Some(if group.len() as i128 >= size {
                format!("{first}-{last}")
            } else if let Some(second) = group.get(1) {
                // Of a group that is too small, netutils writes no more than two.
                format!("{first},{second}")
            } else {
                first.to_string()
            })
        })
        .collect();
    lines_of(&groups.join(","), lines).map(texts)
}

/// Breaks a list at commas into lines of at most so many characters, the first and the others.
fn lines_of(list: &str, (first, other): (i128, i128)) -> Result<Vec<String>, Error> {
    let width = |length: i128| usize::try_from(length).unwrap_or(0);
    if list.len() <= width(first) {
        return Ok(vec![list.to_owned()]);
    }
    let is_comma = |index: &usize| list.as_bytes().get(*index) == Some(&b',');
    let Some(end) = (0..=width(first)).rev().find(is_comma) else {
        return Err(invalid(format!(
            "Line with comma seperated vlans is expected.(E.g. 1-3,5,6,1000,1002) Received {list}"
        )));
    };
    let mut lines = vec![list[..end].to_owned()];
    let mut position = end;
    // A line begins after a comma; one that has none where it could end is left out, as netutils does.
    while position < list.len() {
        let begins = position > 0 && list.as_bytes()[position - 1] == b',';
        let end = (position..=(position + width(other)).min(list.len()))
            .rev()
            .find(|index| *index == list.len() || is_comma(index));
        match end {
            Some(end) if begins => {
                lines.push(list[position..end].to_owned());
                position = end.max(position + 1);
            }
            _ => position += 1,
        }
    }
    Ok(lines)
}

fn to_list(arguments: &Arguments) -> Outcome {
    let config = arguments.text(0)?;
    let runs: Vec<&str> = config
        .split(|character: char| !character.is_ascii_digit())
        .filter(|run| !run.is_empty())
        .collect();
    if config
        .chars()
        .last()
        .is_some_and(|last| !last.is_ascii_digit() && last != '-')
    {
        return Err(invalid(if runs.is_empty() {
            format!("No digits found in `{config}`")
        } else {
            format!("There were non-digits and dashes found in `{config}`.")
        }));
    }
    let number = |text: &str| text.parse::<u32>().map_err(|_| out_of_range(text));
    let mut vlans = runs
        .iter()
        .map(|run| number(run))
        .collect::<Result<Vec<u32>, Error>>()?;
    let mut rest = config.as_str();
    while let Some(dash) = rest.find('-') {
        let digits = |text: &str| {
            text.len()
                - text
                    .trim_start_matches(|character: char| character.is_ascii_digit())
                    .len()
        };
        let before = rest[..dash].len()
            - rest[..dash]
                .trim_end_matches(|character: char| character.is_ascii_digit())
                .len();
        let after = digits(&rest[dash + 1..]);
        if before > 0 && after > 0 {
            let first = number(&rest[dash - before..dash])?;
            let last = number(&rest[dash + 1..dash + 1 + after])?;
            if last.saturating_sub(first) as usize > MOST_ITEMS {
                return Err(too_many());
            }
            vlans.extend(first + 1..last);
            // The digits after the dash belong to this range.
            rest = &rest[dash + 1 + after..];
        } else {
            rest = &rest[dash + 1..];
        }
    }
    vlans.sort_unstable();
    match vlans.last() {
        None => Err(invalid("list index out of range")),
        Some(last) if *last > 4094 => Err(out_of_range(&last.to_string())),
        Some(_) => Ok(Value::from(vlans)),
    }
}

fn out_of_range(vlan: &str) -> Error {
    invalid(format!("Valid VLAN range is 1-4094, found {vlan}"))
}
