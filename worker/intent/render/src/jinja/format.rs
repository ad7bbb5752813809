//! Formatting of texts: `%`, `str.format` and format specifications.

use lockstep_protocol::SmolStr;

use super::failure::{Res, fail};
use super::interpreter::{Args, Run};
use super::print::{float, write_repr};
use super::value::{Val, float_of, int_of};

/// The widest field, beside the bound on texts.
const MAX_WIDTH: usize = 1 << 20;

/// How a value is laid out.
struct Layout {
    fill: char,
    /// `<`, `>`, `^` or `=` for zeros between sign and digits.
    align: Option<char>,
    /// `+`, `-` or a space.
    sign: char,
    alternate: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

impl Layout {
    fn new(align: Option<char>) -> Self {
        Self {
            fill: ' ',
            align,
            sign: '-',
            alternate: false,
            width: 0,
            grouping: None,
            precision: None,
            kind: None,
        }
    }
}

/// `text % arguments`.
pub(super) fn percent(run: &Run<'_>, text: &str, arguments: &Val) -> Res<String> {
    run.charge_text(text.len())?;
    let positional = match arguments {
        Val::Tuple(tuple) => tuple.items().to_vec(),
        _ => vec![arguments.clone()],
    };
    let mut percent = Percent {
        text: text.chars().peekable(),
        arguments,
        positional: positional.into_iter(),
        used_names: matches!(arguments, Val::Dict(_)),
    };
    let mut out = String::new();
    while let Some(character) = percent.text.next() {
        if character == '%' {
            let formatted = percent.field(run)?;
            run.append(&mut out, &formatted)?;
        } else {
            out.push(character);
        }
    }
    if percent.positional.next().is_some() && !percent.used_names {
        fail!("there are more values than `%` in the format");
    }
    run.allocate(out.len())?;
    Ok(out)
}

/// A format that is worked off.
struct Percent<'t> {
    text: std::iter::Peekable<std::str::Chars<'t>>,
    arguments: &'t Val,
    positional: std::vec::IntoIter<Val>,
    used_names: bool,
}

impl Percent<'_> {
    /// What follows a `%`.
    fn field(&mut self, run: &Run<'_>) -> Res<String> {
        let named = self.named()?;
        let mut layout = Layout::new(Some('>'));
        let mut is_left = false;
        let mut zeros = false;
        while let Some(flag) = self.text.next_if(|character| "-+ #0".contains(*character)) {
            match flag {
                '-' => is_left = true,
                '+' => layout.sign = '+',
                ' ' if layout.sign != '+' => layout.sign = ' ',
                '#' => layout.alternate = true,
                '0' => zeros = true,
                _ => {}
            }
        }
        let width = self.number()?.unwrap_or(0);
        is_left = is_left || width < 0;
        layout.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
        if self.text.next_if_eq(&'.').is_some() {
            let precision = self.number()?.unwrap_or(0);
            layout.precision = Some(usize::try_from(precision).unwrap_or(0));
        }
        while self
            .text
            .next_if(|character| "hlL".contains(*character))
            .is_some()
        {}
        let Some(kind) = self.text.next() else {
            fail!("the format ends after `%`");
        };
        if kind == '%' {
            return Ok("%".to_owned());
        }
        let Some(value) = named.or_else(|| self.positional.next()) else {
            fail!("there are fewer values than `%` in the format");
        };
        if is_left {
            layout.align = Some('<');
        } else if zeros && !"scra".contains(kind) {
            layout.fill = '0';
            layout.align = Some('=');
        }
        percent_value(run, kind, layout, &value)
    }

    /// The value that is named in parentheses.
    fn named(&mut self) -> Res<Option<Val>> {
        if self.text.next_if_eq(&'(').is_none() {
            return Ok(None);
        }
        let Val::Dict(dict) = self.arguments else {
            fail!("`%(…)` needs a dict");
        };
        let key: String = self
            .text
            .by_ref()
            .take_while(|character| *character != ')')
            .collect();
        self.used_names = true;
        match dict.get(&key) {
            Some(value) => Ok(Some(value)),
            None => fail!("`%({key})` is not in the dict"),
        }
    }

    /// A number, or `*` for one of the values.
    fn number(&mut self) -> Res<Option<i128>> {
        if self.text.next_if_eq(&'*').is_some() {
            return match self.positional.next().and_then(|value| value.as_int()) {
                Some(number) => Ok(Some(number)),
                None => fail!("`*` needs an integer"),
            };
        }
        let mut number = None;
        while let Some(digit) = self.text.peek().and_then(|character| character.to_digit(10)) {
            number = Some((number.unwrap_or(0) * 10 + i128::from(digit)).min(i128::from(u32::MAX)));
            self.text.next();
        }
        Ok(number)
    }
}

fn percent_value(run: &Run<'_>, kind: char, mut layout: Layout, value: &Val) -> Res<String> {
    match kind {
        's' | 'r' | 'a' => {
            let mut text = String::new();
            if kind == 's' {
                text.push_str(&run.text(value)?);
            } else {
                write_repr(run, &mut text, value, 0)?;
            }
            if let Some(precision) = layout.precision {
                text = text.chars().take(precision).collect();
            }
            layout.precision = None;
            pad(run, &layout, "", &text)
        }
        'c' => {
            let character = match value {
                Val::Str(text) if text.chars().count() == 1 => text.to_string(),
                _ => match value
                    .as_int()
                    .and_then(|code| u32::try_from(code).ok())
                    .and_then(char::from_u32)
                {
                    Some(character) => character.to_string(),
                    None => fail!("`%c` needs a character"),
                },
            };
            pad(run, &layout, "", &character)
        }
        'd' | 'i' | 'u' => {
            let number = match value {
                Val::Float(number) => int_of(*number),
                _ => value.as_int(),
            };
            let Some(number) = number else {
                fail!("`%{kind}` needs a number, not {}", value.type_name());
            };
            integer(run, &layout, number, 'd')
        }
        'x' | 'X' | 'o' => match value.as_int() {
            Some(number) => integer(run, &layout, number, kind),
            None => fail!("`%{kind}` needs an integer, not {}", value.type_name()),
        },
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => match value.as_number() {
            Some(number) => {
                layout.kind = Some(kind);
                layout.precision = Some(layout.precision.unwrap_or(6));
                real(run, &layout, number)
            }
            None => fail!("`%{kind}` needs a number, not {}", value.type_name()),
        },
        _ => fail!("`%{kind}` is no format"),
    }
}

/// `text.format(arguments)`.
pub(super) fn format(run: &Run<'_>, text: &str, args: &Args) -> Res<String> {
    format_nested(run, text, args, &mut 0, 0)
}

fn format_nested(run: &Run<'_>, text: &str, args: &Args, next: &mut usize, depth: usize) -> Res<String> {
    run.charge_text(text.len())?;
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        run.append(&mut out, &rest[..at])?;
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if rest.starts_with(brace) {
            out.push_str(brace);
            rest = &rest[1..];
            continue;
        }
        if brace == "}" {
            fail!("the format has a single `}}`");
        }
        let mut open = 1_usize;
        let end = rest.char_indices().find(|(_, character)| {
            match character {
                '{' => open += 1,
                '}' => open -= 1,
                _ => {}
            }
            open == 0
        });
        let Some((end, _)) = end else {
            fail!("the format has a single `{{`");
        };
        let field = &rest[..end];
        rest = &rest[end + 1..];
        let (name, spec) = field.split_once(':').unwrap_or((field, ""));
        let (name, conversion) = name.split_once('!').unwrap_or((name, ""));
        let value = field_value(run, name, args, next)?;
        let value = match conversion {
            "" => value,
            "s" => Val::str(run.text(&value)?),
            "r" | "a" => {
                let mut text = String::new();
                write_repr(run, &mut text, &value, 0)?;
                Val::from(text)
            }
            _ => fail!("`!{conversion}` is no conversion"),
        };
        if depth > 1 {
            fail!("a format is nested more than twice");
        }
        let spec = format_nested(run, spec, args, next, depth + 1)?;
        let formatted = with_spec(run, &value, &spec)?;
        run.append(&mut out, &formatted)?;
    }
    run.append(&mut out, rest)?;
    run.allocate(out.len())?;
    Ok(out)
}

fn field_value(run: &Run<'_>, name: &str, args: &Args, next: &mut usize) -> Res<Val> {
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (first, mut path) = name.split_at(end);
    let index = if first.is_empty() {
        *next += 1;
        Some(*next - 1)
    } else {
        first.parse().ok()
    };
    let found = match index {
        Some(index) => args.positional.get(index),
        None => args
            .named
            .iter()
            .find(|(own, _)| **own == *first)
            .map(|(_, value)| value),
    };
    let Some(mut value) = found.cloned() else {
        fail!("the format has no value for `{{{first}}}`");
    };
    while !path.is_empty() {
        if let Some(rest) = path.strip_prefix('.') {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            value = run.attribute(&value, &SmolStr::new(&rest[..end]))?;
            path = &rest[end..];
        } else if let Some((key, rest)) = path.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let key = key.parse().map_or_else(|_| Val::from(key), Val::Int);
            value = run.item(&value, &key)?;
            path = rest;
        } else {
            fail!("`{{{name}}}` is no field of a format");
        }
    }
    Ok(value)
}

/// A value with a format specification.
fn with_spec(run: &Run<'_>, value: &Val, spec: &str) -> Res<String> {
    if spec.is_empty() {
        return Ok(run.text(value)?.into_owned());
    }
    let mut layout = parse_spec(spec)?;
    let number = value.as_int().map(Val::Int);
    let value = number.as_ref().unwrap_or(value);
    match (value, layout.kind) {
        (_, Some('b' | 'c' | 'd' | 'o' | 'x' | 'X' | 'n')) => {
            let Some(number) = value.as_int() else {
                fail!("the format `{spec}` needs an integer, not {}", value.type_name());
            };
            if layout.kind == Some('c') {
                let character = u32::try_from(number).ok().and_then(char::from_u32);
                return pad(run, &layout, "", &character.map(String::from).unwrap_or_default());
            }
            layout.align = layout.align.or(Some('>'));
            integer(run, &layout, number, layout.kind.unwrap_or('d'))
        }
        (_, Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%')) => {
            let Some(number) = value.as_number() else {
                fail!("the format `{spec}` needs a number, not {}", value.type_name());
            };
            layout.align = layout.align.or(Some('>'));
            layout.precision = Some(layout.precision.unwrap_or(6));
            real(run, &layout, number)
        }
        (Val::Int(number), None) => {
            layout.align = layout.align.or(Some('>'));
            integer(run, &layout, *number, 'd')
        }
        (Val::Float(number), None) => {
            layout.align = layout.align.or(Some('>'));
            real(run, &layout, *number)
        }
        (_, None) | (Val::Str(_), Some('s')) => {
            let text = run.text(value)?;
            let text: String = match layout.precision {
                Some(precision) => text.chars().take(precision).collect(),
                None => text.into_owned(),
            };
            layout.align = layout.align.or(Some('<'));
            pad(run, &layout, "", &text)
        }
        _ => fail!("the format `{spec}` does not fit {}", value.type_name()),
    }
}

fn parse_spec(spec: &str) -> Res<Layout> {
    let mut layout = Layout::new(None);
    let characters: Vec<char> = spec.chars().collect();
    let mut at = 0;
    let is_align = |character: Option<&char>| character.is_some_and(|character| "<>^=".contains(*character));
    if is_align(characters.get(1)) {
        layout.fill = characters[0];
        layout.align = characters.get(1).copied();
        at = 2;
    } else if is_align(characters.first()) {
        layout.align = characters.first().copied();
        at = 1;
    }
    if let Some(sign) = characters.get(at).filter(|sign| "+- ".contains(**sign)) {
        layout.sign = *sign;
        at += 1;
    }
    if characters.get(at) == Some(&'#') {
        layout.alternate = true;
        at += 1;
    }
    if characters.get(at) == Some(&'0') {
        if layout.align.is_none() {
            layout.fill = '0';
            layout.align = Some('=');
        }
        at += 1;
    }
    let number = |at: &mut usize| {
        let mut number = None;
        while let Some(digit) = characters.get(*at).and_then(|digit| digit.to_digit(10)) {
            let digit = usize::try_from(digit).unwrap_or(0);
            number = Some(number.unwrap_or(0_usize).saturating_mul(10).saturating_add(digit));
            *at += 1;
        }
        number
    };
    layout.width = number(&mut at).unwrap_or(0);
    if let Some(grouping) = characters.get(at).filter(|grouping| ",_".contains(**grouping)) {
        layout.grouping = Some(*grouping);
        at += 1;
    }
    if characters.get(at) == Some(&'.') {
        at += 1;
        layout.precision = number(&mut at);
    }
    layout.kind = characters.get(at).copied();
    if characters.len() > at + 1 {
        fail!("`{spec}` is no format specification");
    }
    Ok(layout)
}

fn sign_of(layout: &Layout, is_negative: bool) -> &'static str {
    match (is_negative, layout.sign) {
        (true, _) => "-",
        (false, '+') => "+",
        (false, ' ') => " ",
        _ => "",
    }
}

fn integer(run: &Run<'_>, layout: &Layout, number: i128, kind: char) -> Res<String> {
    let size = number.unsigned_abs();
    let (prefix, mut digits) = match kind {
        'x' => ("0x", format!("{size:x}")),
        'X' => ("0X", format!("{size:X}")),
        'o' => ("0o", format!("{size:o}")),
        'b' => ("0b", format!("{size:b}")),
        _ => ("", size.to_string()),
    };
    if let Some(precision) = layout.precision {
        check_width(precision)?;
        digits = format!("{digits:0>precision$}");
    }
    if let Some(separator) = layout.grouping {
        let size = if kind == 'd' { 3 } else { 4 };
        digits = grouped(&digits, separator, size);
    }
    let prefix = if layout.alternate { prefix } else { "" };
    pad(
        run,
        layout,
        &format!("{}{prefix}", sign_of(layout, number < 0)),
        &digits,
    )
}

fn grouped(digits: &str, separator: char, size: usize) -> String {
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(size) {
            grouped.push(separator);
        }
        grouped.push(digit);
    }
    grouped
}

fn real(run: &Run<'_>, layout: &Layout, number: f64) -> Res<String> {
    let precision = layout.precision.unwrap_or(6);
    check_width(precision)?;
    let size = number.abs();
    let digits = if size.is_nan() {
        "nan".to_owned()
    } else if size.is_infinite() {
        "inf".to_owned()
    } else {
        match layout.kind {
            Some('f' | 'F') => format!("{size:.precision$}"),
            Some('%') => format!("{:.precision$}%", size * 100.0),
            Some('e' | 'E') => exponential(size, precision),
            Some('g' | 'G') => general(size, precision, layout.alternate),
            _ if layout.precision.is_some() => {
                let text = general(size, precision.max(1), false);
                if text.contains(['.', 'e']) {
                    text
                } else {
                    format!("{text}.0")
                }
            }
            _ => float(size),
        }
    };
    let mut digits = match layout.kind {
        Some('E' | 'G' | 'F') => digits.to_uppercase(),
        _ => digits,
    };
    if let Some(separator) = layout.grouping {
        let whole = digits
            .find(|digit: char| !digit.is_ascii_digit())
            .unwrap_or(digits.len());
        digits = format!("{}{}", grouped(&digits[..whole], separator, 3), &digits[whole..]);
    }
    pad(
        run,
        layout,
        sign_of(layout, number.is_sign_negative() && !number.is_nan()),
        &digits,
    )
}

fn exponential(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn general(number: f64, precision: usize, keeps_zeros: bool) -> String {
    let precision = precision.max(1);
    let text = exponential(number, precision - 1);
    let exponent: i32 = text
        .rsplit_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
        .unwrap_or(0);
    let strip = |text: &str| {
        if keeps_zeros || !text.contains('.') {
            text.to_owned()
        } else {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    };
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= limit {
        let (digits, exponent) = text.rsplit_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{exponent}", strip(digits));
    }
    let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    strip(&format!("{number:.decimals$}"))
}

fn check_width(width: usize) -> Res<()> {
    if width > MAX_WIDTH {
        fail!("a field of a format has at most {MAX_WIDTH} characters");
    }
    Ok(())
}

/// Pads a value to its width.
fn pad(run: &Run<'_>, layout: &Layout, sign: &str, digits: &str) -> Res<String> {
    check_width(layout.width)?;
    let length = sign.chars().count() + digits.chars().count();
    let missing = layout.width.saturating_sub(length);
    run.allocate(missing + digits.len())?;
    let fill = |count: usize| -> String { std::iter::repeat_n(layout.fill, count).collect() };
    Ok(match layout.align {
        Some('<') => format!("{sign}{digits}{}", fill(missing)),
        Some('^') => format!(
            "{}{sign}{digits}{}",
            fill(missing / 2),
            fill(missing - missing / 2)
        ),
        Some('=') => format!("{sign}{}{digits}", fill(missing)),
        _ => format!("{}{sign}{digits}", fill(missing)),
    })
}

/// A float rounded to decimals as Python rounds, half to even of what the float really is.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(crate) fn round(number: f64, decimals: i128) -> f64 {
    if !number.is_finite() || decimals > 300 {
        return number;
    }
    if decimals >= 0 {
        let decimals = decimals.unsigned_abs() as usize;
        return format!("{number:.decimals$}").parse().unwrap_or(number);
    }
    if decimals < -300 {
        return 0.0;
    }
    let power = float_of(10).powi(-(decimals as i32));
    (number / power).round_ties_even() * power
}
