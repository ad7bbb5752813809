//! Banners, times, digests, and the commands of platforms.

use minijinja::Value;

use super::tables::{RUNNING_CONFIGURATION, look_up};
use crate::filters::arguments::{Arguments, Filter, Outcome, invalid, to_integer};
use crate::filters::digest;
use crate::filters::regex::{self, Flags};

const UNITS: [(&str, u64); 6] = [
    ("years", 31_536_000),
    ("weeks", 604_800),
    ("days", 86_400),
    ("hours", 3600),
    ("minutes", 60),
    ("seconds", 1),
];

/// The texts that devices show their time since the last start by.
const UPTIMES: [&str; 3] = [
    concat!(
        r"((?P<years>\d+) year(s)?,\s+)?((?P<weeks>\d+) week(s)?,\s+)?",
        r"((?P<days>\d+) day(s)?,\s+)?((?P<hours>\d+) ",
        r"hour(s)?,\s+)?((?P<minutes>\d+) minute(s)?)"
    ),
    r"((?P<days>\d+) day(s)?,\s+)?((?P<hours>\d+)):((?P<minutes>\d+)):((?P<seconds>\d+))",
    concat!(
        r"(((?P<years>\d+)y)?(?P<weeks>\d+)w)?((?P<days>\d+)d)?((?P<hours>\d+)h)?",
        r"((?P<minutes>\d+)m)?((?P<seconds>\d+)s)"
    ),
];

pub(super) const FILTERS: &[Filter] = &[
    (
        "delimiter_change",
        "config from_delimiter to_delimiter",
        |arguments| {
            let (config, from, to) = (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?);
            Ok(changed(&config, &from, &to))
        },
    ),
    ("normalise_delimiter_caret_c", "delimiter config", |arguments| {
        Ok(changed(&arguments.text(1)?, &arguments.text(0)?, "^C"))
    }),
    ("uptime_seconds_to_string", "uptime_seconds", |arguments| {
        let mut left = u64::try_from(to_integer(&arguments.value(0))?)
            .map_err(|_| invalid("the seconds must be a number from 0"))?;
        let parts: Vec<String> = UNITS
            .iter()
            .filter_map(|(unit, seconds)| {
                let count = left / seconds;
                left %= seconds;
                let unit = if count == 1 {
                    unit.trim_end_matches('s')
                } else {
                    unit
                };
                (count > 0).then(|| format!("{count} {unit}"))
            })
            .collect();
        Ok(Value::from(parts.join(", ")))
    }),
    ("uptime_string_to_seconds", "uptime_string", uptime),
    ("hash_data", "data algorithm", |arguments| {
        let data = digest::bytes(&arguments.value(0));
        let algorithm = arguments.text(1)?;
        digest::hexadecimal(&algorithm, &data)
            .map(Value::from)
            .ok_or_else(|| {
                invalid(format!(
                    "unknown algorithm '{algorithm}': use md5, sha1, sha224, sha256, sha384 or sha512"
                ))
            })
    }),
    ("get_running_config_command", "platform", |arguments| {
        let platform = arguments.text(0)?.to_lowercase();
        Ok(Value::from(
            look_up(RUNNING_CONFIGURATION, &platform).unwrap_or("show run"),
        ))
    }),
];

fn changed(config: &str, from: &str, to: &str) -> Value {
    let mut changed = config.replace(from, to);
    if to == "^C" {
        while changed.contains("^CC") {
            changed = changed.replace("^CC", "^C");
        }
    }
    Value::from(changed)
}

fn uptime(arguments: &Arguments) -> Outcome {
    let text = arguments.text(0)?;
    for pattern in UPTIMES {
        let regex = arguments.regex(pattern, Flags::default(), &text)?;
        let Some(found) = regex::search(&regex, &text)? else {
            continue;
        };
        let seconds = UNITS.iter().try_fold(0_u64, |sum, (unit, seconds)| {
            let Some(count) = found.name(unit) else {
                return Some(sum);
            };
            let count: u64 = count.as_str().parse().ok()?;
            sum.checked_add(count.checked_mul(*seconds)?)
        });
        return seconds
            .map(Value::from)
            .ok_or_else(|| invalid("the time is too long"));
    }
    Err(invalid("Unable to parse uptime string."))
}
