//! Bandwidths.

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use crate::filters::arguments::{Arguments, Filter, Outcome, integer, invalid};
use crate::jinja::{float_repr, round_float};

/// The units of bits, each a thousand times the one before, of which the first counts as 0 as in netutils.
const BITS: [&str; 8] = ["bps", "Kbps", "Mbps", "Gbps", "Tbps", "Pbps", "Ebps", "Zbps"];
/// The units of bytes.
const BYTES: [&str; 8] = ["Bps", "KBps", "MBps", "GBps", "TBps", "PBps", "EBps", "ZBps"];

pub(super) const FILTERS: &[Filter] = &[
    ("name_to_bits", "speed", |arguments| {
        let (number, unit) = normalized(&speed(arguments)?)?;
        Ok(integral(number * low(unit)))
    }),
    ("name_to_bytes", "speed", |arguments| {
        let (number, unit) = normalized(&speed(arguments)?)?;
        Ok(Value::from(bytes(number, unit)))
    }),
    ("bits_to_name", "speed nbr_decimal?", |arguments| {
        let speed = arguments.value(0);
        if speed.kind() != ValueKind::Number || !speed.is_integer() {
            return Err(invalid(format!(
                "Speed of {speed} was not a valid speed integer."
            )));
        }
        let digits = arguments.integer_or(1, 0)?;
        #[expect(clippy::cast_precision_loss, reason = "Python divides integers to floats too")]
        let speed = integer(&speed)? as f64;
        let unit = unit_of(&BITS, speed)?;
        let number = match low(unit) {
            0.0 => return Ok(Value::from(format!("{speed}{unit}"))),
            low => speed / low,
        };
        Ok(Value::from(if digits == 0 {
            format!("{}{unit}", number.round_ties_even())
        } else {
            format!("{}{unit}", float_repr(round_float(number, digits)))
        }))
    }),
    ("bytes_to_name", "speed nbr_decimal?", |arguments| {
        let speed = arguments.value(0);
        if speed.kind() != ValueKind::Number || speed.is_integer() {
            return Err(invalid(format!("Speed of {speed} was not a valid speed.")));
        }
        let speed = f64::try_from(speed)?;
        let unit = unit_of(&BYTES, speed)?;
        let bits = speed * 8.0;
        let number = if low(unit) == 0.0 { bits } else { bits / low(unit) };
        let number = round_float(number, arguments.integer_or(1, 0)?);
        Ok(Value::from(format!("{}{unit}", float_repr(number))))
    }),
    ("name_to_name", "speed speed_type nbr_decimal?", name_to_name),
];

fn name_to_name(arguments: &Arguments) -> Outcome {
    let given = speed(arguments)?;
    let (_, unit) = split(&given.replace(' ', ""))?;
    let is_bytes = BYTES.contains(&unit);
    let (number, unit) = normalized(&given.replace(' ', ""))?;
    let bits = if is_bytes {
        bytes(number, unit) * 8.0
    } else {
        (number * low(unit)).trunc()
    };
    let wanted = arguments.text(1)?;
    let Some(wanted) = BYTES.iter().chain(&BITS).find(|unit| **unit == wanted) else {
        return Err(invalid(format!("Speed type of {wanted} was not a valid type.")));
    };
    let digits = arguments.integer_or(2, 0)?;
    let text = match low(wanted) {
        // What is left of bits is an integer.
        0.0 if !is_bytes => format!("{bits}"),
        0.0 => float_repr(round_float(bits, digits)),
        low => float_repr(round_float(bits / low, digits)),
    };
    Ok(Value::from(format!("{text}{wanted}")))
}

fn speed(arguments: &Arguments) -> Result<String, Error> {
    let speed = arguments.value(0);
    speed
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| no_speed(&speed.to_string()))
}

fn no_speed(speed: &str) -> Error {
    invalid(format!("Speed of {speed} was not a valid speed representation."))
}

/// The bits of a unit, 0 for the smallest.
fn low(unit: &str) -> f64 {
    let position = |units: &[&str]| units.iter().position(|known| *known == unit);
    let (power, factor) = match (position(&BITS), position(&BYTES)) {
        (Some(power), _) => (power, 1.0),
        (None, power) => (power.unwrap_or(0), 8.0),
    };
    match i32::try_from(power) {
        Ok(power) if power > 0 => factor * 1000_f64.powi(power),
        _ => 0.0,
    }
}

fn unit_of(units: &[&'static str; 8], speed: f64) -> Result<&'static str, Error> {
    let high = |unit: &str| match low(unit) {
        0.0 if unit == BYTES[0] => 8000.0,
        0.0 => 1000.0,
        low => low * 1000.0,
    };
    units
        .iter()
        .find(|unit| (low(unit)..high(unit)).contains(&speed))
        .copied()
        .ok_or_else(|| no_speed(&float_repr(speed)))
}

fn bytes(number: f64, unit: &str) -> f64 {
    let product = number * low(unit);
    if BYTES.contains(&unit) {
        product / 8.0
    } else {
        product * 0.125
    }
}

/// The number and unit of a speed, of which the unit may be written in other ways.
fn normalized(speed: &str) -> Result<(f64, &'static str), Error> {
    let speed = speed.replace("bit", "b").replace("b/s", "b").replace(' ', "");
    let tail = speed.trim_start_matches(|character: char| character.is_ascii_digit());
    let head = if tail.is_empty() {
        ""
    } else {
        &speed[..speed.len() - tail.len()]
    };
    let known = BITS
        .iter()
        .chain(&BYTES)
        .any(|unit| unit.strip_suffix("ps") == Some(tail));
    let speed = if known {
        format!("{head}{tail}ps")
    } else {
        format!("{head}{tail}")
    };
    split(&speed)
}

/// What the regex `([0-9.]+)([A-Z]?[bB]ps)` matches at the start.
fn split(speed: &str) -> Result<(f64, &'static str), Error> {
    let unit = speed.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
    let number = &speed[..speed.len() - unit.len()];
    let number: f64 = number.parse().map_err(|_| no_speed(speed))?;
    BITS.iter()
        .chain(&BYTES)
        .find(|known| unit.starts_with(*known))
        .map(|unit| (number, *unit))
        .ok_or_else(|| no_speed(speed))
}

fn integral(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "int() of Python truncates")]
    let number = number.trunc() as i128;
    i64::try_from(number).map_or_else(|_| Value::from(number), Value::from)
}
