//! The filters of texts.

use std::fmt::Write as _;

use super::{Filter, integer, size, text, truth, wrap};
use crate::jinja::failure::{Res, fail};
use crate::jinja::format::percent;
use crate::jinja::interpreter::{Args, Env, Run};
use crate::jinja::methods;
use crate::jinja::value::Val;

/// A filter of texts.
pub(super) fn filter(name: &str) -> Option<Filter> {
    Some(match name {
        "upper" => |run, _, input, args| plain(run, "upper", input, args, str::to_uppercase),
        "lower" => |run, _, input, args| plain(run, "lower", input, args, str::to_lowercase),
        "capitalize" => |run, _, input, args| plain(run, "capitalize", input, args, methods::capitalize),
        "title" => |run, _, input, args| plain(run, "title", input, args, title),
        // Nothing is escaped by itself, so nothing is to be marked as safe.
        "string" | "safe" => |run, _, input, args| plain(run, "string", input, args, str::to_owned),
        "e" | "escape" | "forceescape" => |run, _, input, args| plain(run, "escape", input, args, escape),
        "striptags" => |run, _, input, args| plain(run, "striptags", input, args, strip_tags),
        "trim" => trim,
        "replace" => replace,
        "center" => center,
        "indent" => indent,
        "truncate" => truncate,
        "wordcount" => word_count,
        "wordwrap" => wrap::word_wrap,
        "format" => format,
        "urlencode" => url_encode,
        "xmlattr" => xml_attributes,
        "urlize" => |_, _, _, _| fail!("`urlize` is not supported: configurations are no HTML"),
        _ => return None,
    })
}

fn plain(run: &Run<'_>, name: &str, input: &Val, args: &Args, change: fn(&str) -> String) -> Res<Val> {
    let [] = args.bind(name, [])?;
    let changed = change(&run.text(input)?);
    run.allocate(changed.len())?;
    Ok(Val::from(changed))
}

/// The first letters of words as upper case letters, as Jinja2 has words.
fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut begins = true;
    for character in text.chars() {
        if character.is_whitespace() || "-({[<".contains(character) {
            titled.push(character);
            begins = true;
        } else if begins {
            titled.extend(character.to_uppercase());
            begins = false;
        } else {
            titled.extend(character.to_lowercase());
        }
    }
    titled
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&#39;"),
            '"' => escaped.push_str("&#34;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

fn strip_tags(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        kept.push_str(&rest[..start]);
        let end = if rest[start..].starts_with("<!--") {
            "-->"
        } else {
            ">"
        };
        let Some(at) = rest[start..].find(end) else {
            rest = &rest[start..];
            break;
        };
        rest = &rest[start + at + end.len()..];
    }
    kept.push_str(rest);
    let words: Vec<&str> = kept.split_whitespace().collect();
    let plain = words.join(" ");
    let plain = plain
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#34;", "\"");
    plain
        .replace("&#39;", "'")
        .replace("&nbsp;", "\u{a0}")
        .replace("&amp;", "&")
}

fn trim(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [characters] = args.bind("trim", ["chars"])?;
    let trimmed = methods::trim(&run.text(input)?, characters.as_ref())?.to_owned();
    run.allocate(trimmed.len())?;
    Ok(Val::from(trimmed))
}

fn replace(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [Some(old), Some(new), count] = args.bind("replace", ["old", "new", "count"])? else {
        fail!("`replace` needs what is replaced and by what");
    };
    let count = match count.filter(|count| !matches!(count, Val::None)) {
        None => usize::MAX,
        Some(count) => usize::try_from(integer(Some(&count), "count", -1)?).unwrap_or(usize::MAX),
    };
    let replaced = methods::replaced(run, &run.text(input)?, &run.text(&old)?, &run.text(&new)?, count)?;
    Ok(Val::from(replaced))
}

fn center(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [width] = args.bind("center", ["width"])?;
    let width = size(width.as_ref(), "width", 80)?;
    let input = run.text(input)?;
    let missing = width.saturating_sub(input.chars().count());
    run.allocate(missing.saturating_add(input.len()))?;
    let left = methods::centered(missing, width);
    Ok(Val::from(format!(
        "{}{input}{}",
        " ".repeat(left),
        " ".repeat(missing - left)
    )))
}

fn indent(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [width, first, blank] = args.bind("indent", ["width", "first", "blank"])?;
    let first = truth(run, first.as_ref(), false)?;
    let blank = truth(run, blank.as_ref(), false)?;
    let indention = match width {
        Some(Val::Str(indention)) => indention.to_string(),
        width => {
            let width = size(width.as_ref(), "width", 4)?;
            run.allocate(width)?;
            " ".repeat(width)
        }
    };
    // Python's method drops the end of the last line.
    let input = format!("{}\n", run.text(input)?);
    let lines = methods::split_lines(&input, false);
    run.allocate(
        lines
            .len()
            .saturating_mul(indention.len() + 1)
            .saturating_add(input.len()),
    )?;
    let mut indented = String::new();
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            indented.push('\n');
        }
        if if index == 0 {
            first
        } else {
            blank || !line.is_empty()
        } {
            indented.push_str(&indention);
        }
        indented.push_str(line);
    }
    Ok(Val::from(indented))
}

fn truncate(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [length, kill_words, end, leeway] =
        args.bind("truncate", ["length", "killwords", "end", "leeway"])?;
    let length = size(length.as_ref(), "length", 255)?;
    let kill_words = truth(run, kill_words.as_ref(), false)?;
    let end = text(end.as_ref(), "end", "...")?;
    let leeway = leeway.filter(|leeway| !matches!(leeway, Val::None));
    let leeway = size(leeway.as_ref(), "leeway", 5)?;
    let input = run.text(input)?;
    if input.chars().count() <= length.saturating_add(leeway) {
        return Ok(Val::str(input));
    }
    let Some(kept) = length.checked_sub(end.chars().count()) else {
        fail!("`truncate` to {length} characters is shorter than its end");
    };
    let kept: String = input.chars().take(kept).collect();
    let kept = match kept.rsplit_once(' ') {
        Some((words, _)) if !kill_words => words,
        _ => &kept,
    };
    Ok(Val::from(format!("{kept}{end}")))
}

fn word_count(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [] = args.bind("wordcount", [])?;
    let input = run.text(input)?;
    let words = input.split(|character: char| character != '_' && !character.is_alphanumeric());
    Ok(Val::size(words.filter(|word| !word.is_empty()).count()))
}

fn format(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    if !args.positional.is_empty() && !args.named.is_empty() {
        fail!("`format` takes values with names or without, not both");
    }
    let values = if args.named.is_empty() {
        Val::tuple(args.positional.clone())
    } else {
        let dict = crate::jinja::value::Dict::default();
        args.named
            .iter()
            .for_each(|(name, value)| dict.insert(name, value.clone()));
        Val::Dict(std::rc::Rc::new(dict))
    };
    percent(run, &run.text(input)?, &values).map(Val::from)
}

fn url_encode(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [] = args.bind("urlencode", [])?;
    let pairs = match input {
        Val::Dict(dict) => run.iterate(&Val::View(
            crate::jinja::value::View::Items,
            std::rc::Rc::clone(dict),
        ))?,
        Val::List(_) | Val::Tuple(_) | Val::Iterator(_) | Val::View(..) => run.iterate(input)?,
        _ => return url_quote(run, input, false).map(Val::from),
    };
    let mut encoded = String::new();
    for pair in pairs {
        let pair = run.iterate(&pair)?;
        let [key, value] = &*pair else {
            fail!("`urlencode` takes a text or pairs");
        };
        if !encoded.is_empty() {
            encoded.push('&');
        }
        let pair = format!("{}={}", url_quote(run, key, true)?, url_quote(run, value, true)?);
        run.append(&mut encoded, &pair)?;
    }
    Ok(Val::from(encoded))
}

fn url_quote(run: &Run<'_>, value: &Val, in_query: bool) -> Res<String> {
    let value = run.text(value)?;
    run.allocate(value.len().saturating_mul(3))?;
    let mut quoted = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'/' if !in_query => quoted.push('/'),
            b' ' if in_query => quoted.push('+'),
            b'-' | b'_' | b'.' | b'~' => quoted.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => quoted.push(byte.into()),
            _ => {
                let _ = write!(quoted, "%{byte:02X}");
            }
        }
    }
    Ok(quoted)
}

fn xml_attributes(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [space] = args.bind("xmlattr", ["autospace"])?;
    let space = truth(run, space.as_ref(), true)?;
    let Val::Dict(dict) = input else {
        fail!("`xmlattr` takes a dict, not {}", input.type_name());
    };
    let mut attributes = Vec::new();
    for (key, value) in &*dict.borrow() {
        if matches!(value, Val::None | Val::Undefined(_)) {
            continue;
        }
        let key = run.text(key.value())?;
        if key.contains(|character: char| character.is_whitespace() || "/>=".contains(character)) {
            fail!("{} is no name of an attribute", crate::jinja::print::quoted(&key));
        }
        attributes.push(format!("{}=\"{}\"", escape(&key), escape(&run.text(value)?)));
    }
    let joined = attributes.join(" ");
    Ok(Val::from(if space && !joined.is_empty() {
        format!(" {joined}")
    } else {
        joined
    }))
}
