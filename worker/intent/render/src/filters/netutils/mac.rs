//! MAC addresses.

use minijinja::{Error, Value};

use crate::filters::arguments::{Arguments, Filter, invalid, none, number};

/// The formats of netutils: their names, how many digits a group has, and what is between the groups.
const FORMATS: [(&str, usize, &str); 7] = [
    ("MAC_COLON_TWO", 2, ":"),
    ("MAC_COLON_FOUR", 4, ":"),
    ("MAC_DASH_TWO", 2, "-"),
    ("MAC_DASH_FOUR", 4, "-"),
    ("MAC_DOT_TWO", 2, "."),
    ("MAC_DOT_FOUR", 4, "."),
    ("MAC_NO_SPECIAL", 12, ""),
];

pub(super) const FILTERS: &[Filter] = &[
    ("is_valid_mac", "mac", |arguments| {
        Ok(Value::from(format_of(&arguments.text(0)?).is_some()))
    }),
    ("mac_to_format", "mac frmt?", |arguments| {
        let digits = digits(arguments)?;
        let wanted = arguments.text_or(1, "MAC_NO_SPECIAL")?;
        let Some((_, size, between)) = FORMATS.iter().find(|(name, ..)| *name == wanted) else {
            return Err(invalid(format!(
                "An invalid mac format was provided in: `{wanted}`, not one of [{}]",
                FORMATS.map(|(name, ..)| name).join(", ")
            )));
        };
        Ok(Value::from(grouped(&digits, *size, between)))
    }),
    ("mac_to_int", "mac", |arguments| {
        let digits = digits(arguments)?;
        u128::from_str_radix(&digits, 16)
            .map(number)
            .map_err(|error| invalid(error.to_string()))
    }),
    ("mac_type", "mac", |arguments| {
        digits(arguments)?;
        Ok(format_of(&arguments.text(0)?).map_or_else(none, Value::from))
    }),
    ("mac_normalize", "mac", |arguments| {
        digits(arguments).map(Value::from)
    }),
];

/// The name of the format that an address is written in.
fn format_of(mac: &str) -> Option<&'static str> {
    let digits: String = mac.chars().filter(char::is_ascii_hexdigit).collect();
    if digits.len() != 12 {
        return None;
    }
    let format = FORMATS
        .iter()
        .find(|(_, size, between)| grouped(&digits, *size, between) == mac)?;
    Some(format.0)
}

fn digits(arguments: &Arguments) -> Result<String, Error> {
    let mac = arguments.text(0)?;
    if format_of(&mac).is_none() {
        return Err(invalid(format!("There was not a valid mac address in: `{mac}`")));
    }
    Ok(mac.replace([':', '-', '.'], ""))
}

/// The digits in groups. They are ASCII.
pub(in crate::filters) fn grouped(digits: &str, size: usize, between: &str) -> String {
    let groups: Vec<String> = digits
        .as_bytes()
        .chunks(size)
        .map(|group| group.iter().copied().map(char::from).collect())
        .collect();
    groups.join(between)
}
