//! Floats as Python rounds and prints them.

/// What `repr` prints.
pub(super) fn repr(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = number.to_string();
        return if plain.contains('.') {
            plain
        } else {
            format!("{plain}.0")
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// What `round(number, digits)` returns.
pub(super) fn round(number: f64, digits: i128) -> f64 {
    match usize::try_from(digits) {
        Ok(digits) => format!("{number:.0$}", digits.min(400)).parse().unwrap_or(number),
        Err(_) => {
            let power = 10_f64.powi(i32::try_from(-digits).unwrap_or(400).min(400));
            (number / power).round_ties_even() * power
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_prints_as_in_python() {
        for (number, expected) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(repr(number), expected);
        }
    }

    #[test]
    fn a_float_is_rounded_to_the_even_digit_of_what_it_is() {
        for (number, digits, expected) in [
            (2.675, 2, 2.67),
            (0.5, 0, 0.0),
            (1.5, 0, 2.0),
            (1234.0, -2, 1200.0),
            (1.25, 1, 1.2),
        ] {
            assert!((round(number, digits) - expected).abs() < 1e-12, "{number}");
        }
    }
}
