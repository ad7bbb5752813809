/// The most numbers of a name that count.
const MOST_NUMBERS: usize = 4;

/// The number of an interface by its name: up to four numbers, each plus one, are the digits of base 100. `Ethernet1` is 2 and `Ethernet1/0`
/// is 201. A name of another shape is 0.
pub(super) fn index_number(name: &str) -> u64 {
    numbers(name).unwrap_or(0)
}

fn numbers(name: &str) -> Option<u64> {
    let first = name.find(|c: char| c.is_ascii_digit())?;
    let (word, numbers) = name.split_at(first);
    if !word.chars().all(|c| c.is_ascii_alphabetic() || c == '-') {
        return None;
    }
    let mut index: u64 = 0;
    for (place, number) in numbers.split('/').enumerate() {
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u32 = number.parse().ok().filter(|_| digits && place < MOST_NUMBERS)?;
        index = index.checked_mul(100)?.checked_add(u64::from(number) + 1)?;
    }
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_name_are_digits_of_base_100() {
        let table = [
            ("Ethernet1", 2),
            ("Ethernet1/0", 201),
            ("Ethernet4/3/2/1", 5_040_302),
            ("ge-0/0/1", 10_102),
            ("Port-Channel10", 11),
            ("Ethernet", 0),
            ("Ethernet1/", 0),
            ("Ethernet1.100", 0),
            ("Ethernet1/2/3/4/5", 0),
            ("Ethernet99999999999", 0),
            ("1", 2),
            ("é1", 0),
            ("", 0),
        ];
        for (name, expected) in table {
            assert_eq!(index_number(name), expected, "{name}");
        }
    }
}
