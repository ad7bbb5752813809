/// The most interfaces that the settings of a device may list, after ranges.
pub(super) const MOST_INTERFACES: usize = 20_000;

/// The names of a range such as `Ethernet[1-4]/[1,3]`; a name without a range is one.
///
/// # Errors
/// Why it is no range, or that it has more than `most` names.
pub(super) fn expand(name: &str, most: usize) -> Result<Vec<String>, String> {
    let mut names = vec![String::new()];
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('[') {
        let (range, after) = after
            .split_once(']')
            .ok_or_else(|| format!("{name:?} has a [ without a ]"))?;
        let numbers = numbers(range, most).ok_or_else(|| {
            format!("[{range}] of {name:?} is no range of at most {most} numbers, such as [1-4] or [1,3]")
        })?;
        if names.len().saturating_mul(numbers.len()) > most {
            return Err(format!("{name:?} has more than {most} interfaces"));
        }
        let longer = names.iter().flat_map(|start| {
            numbers
                .iter()
                .map(move |number| format!("{start}{before}{number}"))
        });
        names = longer.collect();
        rest = after;
    }
    for name in &mut names {
        name.push_str(rest);
    }
    Ok(names)
}

/// The numbers of `1-4,7`.
fn numbers(range: &str, most: usize) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for part in range.split(',') {
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        let room = most.checked_sub(numbers.len())?;
        if first > last || (last - first) as usize >= room {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_interfaces_are_expanded() {
        let table = [
            ("Ethernet1", "Ethernet1"),
            ("Ethernet[1-3]", "Ethernet1 Ethernet2 Ethernet3"),
            (
                "Ethernet[1-2]/[1,3]",
                "Ethernet1/1 Ethernet1/3 Ethernet2/1 Ethernet2/3",
            ),
            ("Ethernet[5]/1", "Ethernet5/1"),
            ("Ethernet[1-", "\"Ethernet[1-\" has a [ without a ]"),
            (
                "Ethernet[3-1]",
                "[3-1] of \"Ethernet[3-1]\" is no range of at most 100 numbers, such as [1-4] or [1,3]",
            ),
            (
                "E[a]",
                "[a] of \"E[a]\" is no range of at most 100 numbers, such as [1-4] or [1,3]",
            ),
            (
                "E[1-4294967295]",
                "[1-4294967295] of \"E[1-4294967295]\" is no range of at most 100 numbers, such as [1-4] or [1,3]",
            ),
            ("E[1-50][1-50]", "\"E[1-50][1-50]\" has more than 100 interfaces"),
        ];
        for (name, expected) in table {
            let expanded = expand(name, 100).map_or_else(|error| error, |names| names.join(" "));
            assert_eq!(expanded, expected, "{name}");
        }
    }
}
