//! AS numbers.

use minijinja::Value;

use crate::filters::arguments::{Filter, invalid, number, python_int, to_integer};

pub(super) const FILTERS: &[Filter] = &[
    ("asn_to_int", "asplain", |arguments| {
        let asplain = arguments.text(0)?;
        let int = |text: &str| {
            python_int(text)
                .and_then(|number| u128::try_from(number).ok())
                .ok_or_else(|| invalid(format!("'{asplain}' is no AS number")))
        };
        let Some((high, low)) = asplain.split_once('.') else {
            return int(&asplain).map(number);
        };
        let (high, low) = (int(high)?, int(low.split('.').next().unwrap_or_default())?);
        // The second part takes 16 bits, or as many as it needs.
        let bits = (128 - low.leading_zeros()).max(16);
        match high.checked_mul(1 << bits.min(127)) {
            Some(high) => Ok(number(high | low)),
            None => Err(invalid(format!("'{asplain}' is no AS number"))),
        }
    }),
    ("int_to_asdot", "asn_int", |arguments| {
        let asn = to_integer(&arguments.value(0))?;
        match u32::try_from(asn) {
            Ok(asn) if asn > 0xffff => Ok(Value::from(format!("{}.{}", asn >> 16, asn & 0xffff))),
            Ok(asn) if asn > 0 => Ok(Value::from(asn.to_string())),
            _ => Err(invalid(format!("`{asn}` is not within range of 1 - 2^32-1"))),
        }
    }),
];
