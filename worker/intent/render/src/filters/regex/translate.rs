//! The syntax of Python's regexes in that of fancy-regex.

use std::iter::Peekable;
use std::str::Chars;

use fancy_regex::Regex;

/// A part of a replacement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Group(usize),
}

/// Translates a pattern. Where `$` may match before a newline at the end of the text, `dollar_before_newline` says so.
pub(super) fn pattern(pattern: &str, dollar_before_newline: bool) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern.chars().peekable();
    let multi_line = has_flag(pattern, 'm');
    while let Some(character) = rest.next() {
        match character {
            '\\' => escape(&mut rest, &mut out, false)?,
            '[' => class(&mut rest, &mut out)?,
            '{' => repetition(&mut rest, &mut out),
            '}' => out.push_str("\\}"),
            '$' if dollar_before_newline && !multi_line => out.push_str("(?=\\n?\\z)"),
            '(' if rest.peek() == Some(&'?') => group(&mut rest, &mut out)?,
            other => out.push(other),
        }
    }
    Ok(out)
}

/// Whether a pattern sets a flag for all of itself.
fn has_flag(pattern: &str, flag: char) -> bool {
    let Some(flags) = pattern.strip_prefix("(?").and_then(|rest| rest.split_once(')')) else {
        return false;
    };
    flags.0.bytes().all(|byte| byte.is_ascii_alphabetic()) && flags.0.contains(flag)
}

/// What follows `(`, from its `?` on.
fn group(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    rest.next();
    match rest.peek() {
        Some('#') => {
            for character in rest.by_ref() {
                if character == ')' {
                    return Ok(());
                }
            }
            Err("missing ), unterminated comment".to_owned())
        }
        Some(character) if character.is_ascii_alphabetic() && *character != 'P' => {
            let mut flags = String::new();
            while let Some(character) =
                rest.next_if(|character| character.is_ascii_alphabetic() || *character == '-')
            {
                // Texts are Unicode.
                if !matches!(character, 'a' | 'u' | 'L') {
                    flags.push(character);
                }
            }
            if flags.is_empty() && rest.next_if_eq(&')').is_some() {
                return Ok(());
            }
            out.push_str("(?");
            out.push_str(&flags);
            Ok(())
        }
        _ => {
            out.push_str("(?");
            Ok(())
        }
    }
}

/// What follows `{`: a repetition, or a brace.
fn repetition(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    let ahead: String = rest.clone().take(24).take_while(|next| *next != '}').collect();
    let closed = rest.clone().nth(ahead.chars().count()) == Some('}');
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (least, most) = ahead.split_once(',').unwrap_or((&ahead, &ahead));
    if !closed || !number(least) || !number(most) || ahead.is_empty() {
        out.push_str("\\{");
        return;
    }
    for _ in 0..=ahead.chars().count() {
        rest.next();
    }
    let least = if least.is_empty() { "0" } else { least };
    if ahead.contains(',') {
        out.extend([format!("{{{least},{most}}}")]);
    } else {
        out.extend([format!("{{{least}}}")]);
    }
}

/// What follows a backslash.
fn escape(rest: &mut Peekable<Chars<'_>>, out: &mut String, in_class: bool) -> Result<(), String> {
    let Some(character) = rest.next() else {
        return Err("bad escape (end of pattern)".to_owned());
    };
    match character {
        'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' => {
            out.push('\\');
            out.push(character);
        }
        'b' if in_class => out.push_str("\\x08"),
        'A' | 'b' | 'B' if !in_class => {
            out.push('\\');
            out.push(character);
        }
        'Z' if !in_class => out.push_str("\\z"),
        'u' | 'U' => {
            let length = if character == 'u' { 4 } else { 8 };
            let digits: String = rest.by_ref().take(length).collect();
            if digits.len() != length || u32::from_str_radix(&digits, 16).is_err() {
                return Err(format!("incomplete escape \\{character}{digits}"));
            }
            out.extend([format!("\\x{{{digits}}}")]);
        }
        '0' => {
            let mut digits = String::from("0");
            while digits.len() < 3
                && let Some(digit) = rest.next_if(|digit| digit.is_digit(8))
            {
                digits.push(digit);
            }
            let number = u32::from_str_radix(&digits, 8).unwrap_or(0);
            out.extend([format!("\\x{{{number:x}}}")]);
        }
        '1'..='9' if !in_class => {
            out.push('\\');
            out.push(character);
            if let Some(digit) = rest.next_if(char::is_ascii_digit) {
                out.push(digit);
            }
        }
        other if other.is_ascii_alphanumeric() => return Err(format!("bad escape \\{other}")),
        other => literal(other, out),
    }
    Ok(())
}

/// What follows `[`, up to its end. Brackets and operators of sets in it are characters.
fn class(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let mut first = true;
    while let Some(character) = rest.next() {
        match character {
            ']' if !first => {
                out.push(']');
                return Ok(());
            }
            '\\' => escape(rest, out, true)?,
            // A range, unless it is the first or the last.
            '-' if !first && rest.peek() != Some(&']') && !out.ends_with(['d', 'D', 's', 'S', 'w', 'W']) => {
                out.push('-');
            }
            other => literal(other, out),
        }
        first = false;
    }
    Err("unterminated character set".to_owned())
}

fn literal(character: char, out: &mut String) {
    if character.is_ascii_punctuation() || character == ' ' {
        out.push('\\');
    }
    match character {
        // An escaped one would be the boundary of a word.
        '<' | '>' => {
            out.pop();
            out.extend([format!("\\x{:02x}", u32::from(character))]);
        }
        other => out.push(other),
    }
}

/// Translates a replacement: its escapes and its references to groups.
pub(super) fn replacement(replacement: &str, regex: &Regex) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = replacement.chars().peekable();
    let numbered = |number: usize| {
        if number < regex.captures_len() {
            Ok(number)
        } else {
            Err(format!("invalid group reference {number}"))
        }
    };
    while let Some(character) = rest.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        let group = match rest.next() {
            None => return Err("bad escape (end of pattern)".to_owned()),
            Some('g') => {
                let name: String = match rest.next() {
                    Some('<') => rest.by_ref().take_while(|next| *next != '>').collect(),
                    _ => return Err("missing <".to_owned()),
                };
                match name.parse() {
                    Ok(number) => numbered(number)?,
                    Err(_) => regex
                        .capture_names()
                        .position(|known| known == Some(&name))
                        .ok_or_else(|| format!("unknown group name '{name}'"))?,
                }
            }
            Some('0') => {
                let mut number = 0;
                for _ in 0..2 {
                    if let Some(digit) = rest
                        .next_if(|digit| digit.is_digit(8))
                        .and_then(|digit| digit.to_digit(8))
                    {
                        number = number * 8 + digit;
                    }
                }
                text.extend(char::from_u32(number));
                continue;
            }
            Some(digit @ '1'..='9') => {
                let mut digits = String::from(digit);
                digits.extend(rest.next_if(char::is_ascii_digit));
                // Two digits are one number.
                numbered(digits.parse().unwrap_or(usize::MAX))?
            }
            Some(other) => {
                match other {
                    'a' => text.push('\u{7}'),
                    'b' => text.push('\u{8}'),
                    'f' => text.push('\u{c}'),
                    'n' => text.push('\n'),
                    'r' => text.push('\r'),
                    't' => text.push('\t'),
                    'v' => text.push('\u{b}'),
                    '\\' => text.push('\\'),
                    other if other.is_ascii_alphabetic() => return Err(format!("bad escape \\{other}")),
                    other => {
                        text.push('\\');
                        text.push(other);
                    }
                }
                continue;
            }
        };
        parts.push(Part::Text(std::mem::take(&mut text)));
        parts.push(Part::Group(group));
    }
    parts.push(Part::Text(text));
    Ok(parts)
}
