use lockstep_protocol::SmolStr;

use crate::jinja::builtins::{integer, size, text as text_argument, truth};
use crate::jinja::failure::{Res, fail};
use crate::jinja::format;
use crate::jinja::interpreter::{Args, Run};
use crate::jinja::value::Val;

pub(super) fn is_method(name: &str) -> bool {
    matches!(
        name,
        "capitalize"
            | "casefold"
            | "center"
            | "count"
            | "endswith"
            | "expandtabs"
            | "find"
            | "format"
            | "format_map"
            | "index"
            | "isalnum"
            | "isalpha"
            | "isascii"
            | "isdecimal"
            | "isdigit"
            | "isidentifier"
            | "islower"
            | "isnumeric"
            | "isprintable"
            | "isspace"
            | "istitle"
            | "isupper"
            | "join"
            | "ljust"
            | "lower"
            | "lstrip"
            | "partition"
            | "removeprefix"
            | "removesuffix"
            | "replace"
            | "rfind"
            | "rindex"
            | "rjust"
            | "rpartition"
            | "rsplit"
            | "rstrip"
            | "split"
            | "splitlines"
            | "startswith"
            | "strip"
            | "swapcase"
            | "title"
            | "upper"
            | "zfill"
    )
}

pub(super) fn call(run: &Run<'_>, text: &SmolStr, name: &str, args: &Args) -> Res<Val> {
    run.charge_text(text.len())?;
    let result = match name {
        "split" | "rsplit" | "splitlines" | "partition" | "rpartition" => {
            return split_method(run, text, name, args);
        }
        "find" | "rfind" | "index" | "rindex" | "count" | "startswith" | "endswith" => {
            return search(text, name, args);
        }
        "format" => format::format(run, text, args)?,
        "format_map" => {
            let [Some(Val::Dict(dict))] = args.bind(name, ["mapping"])? else {
                fail!("`format_map` needs a dict");
            };
            let named = dict.borrow();
            let named = named
                .iter()
                .filter_map(|(key, value)| Some((SmolStr::new(key.value().as_str()?), value.clone())));
            let args = Args {
                positional: Vec::new(),
                named: named.collect(),
            };
            format::format(run, text, &args)?
        }
        "join" => return join(run, text, args),
        "replace" => return replace(run, text, args),
        "strip" | "lstrip" | "rstrip" => {
            let [characters] = args.bind(name, ["chars"])?;
            return Ok(Val::from(strip(text, name, characters.as_ref())?));
        }
        "center" | "ljust" | "rjust" | "zfill" => return pad(run, text, name, args),
        "removeprefix" => {
            let [prefix] = args.bind(name, ["prefix"])?;
            let prefix = text_argument(prefix.as_ref(), "prefix", "")?;
            text.strip_prefix(&*prefix).unwrap_or(text).to_owned()
        }
        "removesuffix" => {
            let [suffix] = args.bind(name, ["suffix"])?;
            let suffix = text_argument(suffix.as_ref(), "suffix", "")?;
            text.strip_suffix(&*suffix).unwrap_or(text).to_owned()
        }
        "expandtabs" => {
            let [tab] = args.bind(name, ["tabsize"])?;
            expand_tabs(run, text, size(tab.as_ref(), "tabsize", 8)?)?
        }
        _ => {
            let [] = args.bind(name, [])?;
            match name {
                "upper" => text.to_uppercase(),
                "lower" | "casefold" => text.to_lowercase(),
                "capitalize" => capitalize(text),
                "title" => title(text),
                "swapcase" => swap_case(text),
                _ => return Ok(Val::Bool(is(text, name))),
            }
        }
    };
    run.allocate(result.len())?;
    Ok(Val::from(result))
}

/// The first letter as an upper case letter, all others as lower case letters.
pub(in crate::jinja) fn capitalize(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first
            .to_uppercase()
            .chain(characters.as_str().to_lowercase().chars())
            .collect()
    })
}

fn title(text: &str) -> String {
    let mut after_cased = false;
    let mut titled = String::with_capacity(text.len());
    for character in text.chars() {
        if after_cased {
            titled.extend(character.to_lowercase());
        } else {
            titled.extend(character.to_uppercase());
        }
        after_cased = character.is_lowercase() || character.is_uppercase();
    }
    titled
}

fn swap_case(text: &str) -> String {
    let mut swapped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_uppercase() {
            swapped.extend(character.to_lowercase());
        } else {
            swapped.extend(character.to_uppercase());
        }
    }
    swapped
}

fn is(text: &str, name: &str) -> bool {
    let all = |is: fn(char) -> bool| !text.is_empty() && text.chars().all(is);
    match name {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isascii" => text.is_ascii(),
        "isdecimal" | "isdigit" => {
            all(|character| character.is_ascii_digit() || (!character.is_ascii() && character.is_numeric()))
        }
        "isnumeric" => all(char::is_numeric),
        "isspace" => all(char::is_whitespace),
        "islower" => text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase),
        "isupper" => text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase),
        "istitle" => text.chars().any(char::is_alphabetic) && title(text) == text,
        "isprintable" => text.chars().all(|character| !character.is_control()),
        "isidentifier" => {
            let starts = text.starts_with(|first: char| first == '_' || first.is_alphabetic());
            starts
                && text
                    .chars()
                    .all(|character| character == '_' || character.is_alphanumeric())
        }
        _ => false,
    }
}

fn strip<'t>(text: &'t str, name: &str, characters: Option<&Val>) -> Res<&'t str> {
    let characters = match characters {
        None | Some(Val::None) => None,
        given => Some(text_argument(given, "chars", "")?),
    };
    let strips = |character: char| match &characters {
        None => character.is_whitespace(),
        Some(characters) => characters.contains(character),
    };
    let text = if name == "rstrip" {
        text
    } else {
        text.trim_start_matches(strips)
    };
    Ok(if name == "lstrip" {
        text
    } else {
        text.trim_end_matches(strips)
    })
}

/// A text without the characters, or without whitespace, at both ends.
pub(in crate::jinja) fn trim<'t>(text: &'t str, characters: Option<&Val>) -> Res<&'t str> {
    strip(text, "strip", characters)
}

fn join(run: &Run<'_>, separator: &str, args: &Args) -> Res<Val> {
    let [Some(items)] = args.bind("join", ["iterable"])? else {
        fail!("`join` needs texts");
    };
    let mut joined = String::new();
    for (index, item) in run.iterate(&items)?.iter().enumerate() {
        if index > 0 {
            run.append(&mut joined, separator)?;
        }
        match item {
            Val::Str(item) => run.append(&mut joined, item)?,
            _ => fail!(
                "`join` joins texts, and item {index} is {}",
                crate::jinja::interpreter::article(item.type_name())
            ),
        }
    }
    run.allocate(joined.len())?;
    Ok(Val::from(joined))
}

fn replace(run: &Run<'_>, text: &str, args: &Args) -> Res<Val> {
    let [Some(old), Some(new), count] = args.bind("replace", ["old", "new", "count"])? else {
        fail!("`replace` needs what is replaced and by what");
    };
    let old = text_argument(Some(&old), "old", "")?;
    let new = text_argument(Some(&new), "new", "")?;
    let count = match count.filter(|count| !matches!(count, Val::None)) {
        None => usize::MAX,
        Some(count) => usize::try_from(integer(Some(&count), "count", -1)?).unwrap_or(usize::MAX),
    };
    replaced(run, text, &old, &new, count).map(Val::from)
}

/// A text with parts replaced.
pub(in crate::jinja) fn replaced(
    run: &Run<'_>,
    text: &str,
    old: &str,
    new: &str,
    count: usize,
) -> Res<String> {
    let found = if old.is_empty() {
        text.len() + 1
    } else {
        text.matches(old).count()
    };
    run.allocate(
        text.len()
            .saturating_add(found.min(count).saturating_mul(new.len())),
    )?;
    Ok(text.replacen(old, new, count))
}

fn pad(run: &Run<'_>, text: &str, name: &str, args: &Args) -> Res<Val> {
    let [Some(width), fill] = args.bind(name, ["width", "fillchar"])? else {
        fail!("`{name}` needs a width");
    };
    let width = size(Some(&width), "width", 0)?;
    let fill = text_argument(fill.as_ref(), "fillchar", if name == "zfill" { "0" } else { " " })?;
    if fill.chars().count() != 1 {
        fail!("the fill of `{name}` is one character");
    }
    let length = text.chars().count();
    let missing = width.saturating_sub(length);
    run.allocate(missing.saturating_mul(fill.len()).saturating_add(text.len()))?;
    Ok(Val::from(match name {
        "ljust" => format!("{text}{}", fill.repeat(missing)),
        "rjust" => format!("{}{text}", fill.repeat(missing)),
        "center" => {
            let left = centered(missing, width);
            format!("{}{text}{}", fill.repeat(left), fill.repeat(missing - left))
        }
        _ => {
            let (sign, digits) = if text.starts_with(['+', '-']) {
                text.split_at(1)
            } else {
                ("", text)
            };
            format!("{sign}{}{digits}", fill.repeat(missing))
        }
    }))
}

/// How much of the missing width Python puts before a centered text.
pub(in crate::jinja) fn centered(missing: usize, width: usize) -> usize {
    missing / 2 + (missing & width & 1)
}

fn expand_tabs(run: &Run<'_>, text: &str, tab: usize) -> Res<String> {
    run.allocate(
        text.matches('\t')
            .count()
            .saturating_mul(tab)
            .saturating_add(text.len()),
    )?;
    let mut expanded = String::new();
    let mut column = 0;
    for character in text.chars() {
        match character {
            '\t' => {
                let spaces = if tab == 0 { 0 } else { tab - column % tab };
                expanded.extend(std::iter::repeat_n(' ', spaces));
                column += spaces;
            }
            '\n' | '\r' => {
                expanded.push(character);
                column = 0;
            }
            _ => {
                expanded.push(character);
                column += 1;
            }
        }
    }
    Ok(expanded)
}

fn search(text: &str, name: &str, args: &Args) -> Res<Val> {
    let [Some(wanted), start, end] = args.bind(name, ["sub", "start", "end"])? else {
        fail!("`{name}` needs a text");
    };
    let length = text.chars().count();
    let place = |bound: Option<&Val>, name: &str, default: usize| -> Res<usize> {
        let Some(bound) = bound.filter(|bound| !matches!(bound, Val::None)) else {
            return Ok(default);
        };
        let bound = integer(Some(bound), name, 0)?;
        let length = i128::try_from(length).unwrap_or(i128::MAX);
        let bound = if bound < 0 { bound + length } else { bound };
        Ok(usize::try_from(bound.clamp(0, length)).unwrap_or(0))
    };
    let start = place(start.as_ref(), "start", 0)?;
    let end = place(end.as_ref(), "end", length)?;
    let part: String = text.chars().take(end).skip(start).collect();
    if name == "startswith" || name == "endswith" {
        let candidates = match &wanted {
            Val::Tuple(tuple) => tuple.items().to_vec(),
            other => vec![other.clone()],
        };
        for candidate in &candidates {
            let candidate = text_argument(Some(candidate), "prefix", "")?;
            let found = if name == "startswith" {
                part.starts_with(&*candidate)
            } else {
                part.ends_with(&*candidate)
            };
            if found && start <= end {
                return Ok(Val::Bool(true));
            }
        }
        return Ok(Val::Bool(false));
    }
    let wanted = text_argument(Some(&wanted), "sub", "")?;
    if name == "count" {
        return Ok(Val::size(part.matches(&*wanted).count()));
    }
    let found = if name.starts_with('r') {
        part.rfind(&*wanted)
    } else {
        part.find(&*wanted)
    };
    match found {
        Some(at) => Ok(Val::size(start + part[..at].chars().count())),
        None if name.ends_with("index") => {
            fail!("{} is not in the text", crate::jinja::print::quoted(&wanted))
        }
        None => Ok(Val::Int(-1)),
    }
}

fn split_method(run: &Run<'_>, text: &str, name: &str, args: &Args) -> Res<Val> {
    if name == "splitlines" {
        let [keep] = args.bind(name, ["keepends"])?;
        let lines = split_lines(text, truth(run, keep.as_ref(), false)?);
        run.allocate_items(lines.len())?;
        return Ok(Val::list(lines.into_iter().map(Val::from).collect()));
    }
    if name.ends_with("partition") {
        let [separator] = args.bind(name, ["sep"])?;
        let separator = text_argument(separator.as_ref(), "sep", "")?;
        if separator.is_empty() {
            fail!("`{name}` needs a separator");
        }
        let is_last = name.starts_with('r');
        let found = if is_last {
            text.rsplit_once(&*separator)
        } else {
            text.split_once(&*separator)
        };
        let parts = match found {
            Some((before, after)) => [before, &separator, after],
            None if is_last => ["", "", text],
            None => [text, "", ""],
        };
        return Ok(Val::tuple(parts.map(Val::from).to_vec()));
    }
    let [separator, most] = args.bind(name, ["sep", "maxsplit"])?;
    let most = integer(most.as_ref(), "maxsplit", -1)?;
    let most = usize::try_from(most).unwrap_or(usize::MAX - 1);
    let from_end = name == "rsplit";
    let parts: Vec<&str> = match separator.filter(|separator| !matches!(separator, Val::None)) {
        None if from_end => split_whitespace_from_end(text, most),
        None => split_whitespace(text, most),
        Some(separator) => {
            let separator = text_argument(Some(&separator), "sep", "")?;
            if separator.is_empty() {
                fail!("the separator of `{name}` is not empty");
            }
            if from_end {
                let mut parts: Vec<&str> = text.rsplitn(most + 1, &*separator).collect();
                parts.reverse();
                parts
            } else {
                text.splitn(most + 1, &*separator).collect()
            }
        }
    };
    run.allocate_items(parts.len())?;
    run.allocate(text.len())?;
    Ok(Val::list(parts.into_iter().map(Val::from).collect()))
}

fn split_whitespace(text: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if parts.len() == most {
            parts.push(rest);
            break;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    parts
}

fn split_whitespace_from_end(text: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_end();
    while !rest.is_empty() {
        if parts.len() == most {
            parts.push(rest);
            break;
        }
        let start = rest
            .char_indices()
            .rev()
            .find(|(_, character)| character.is_whitespace());
        let start = start.map_or(0, |(at, character)| at + character.len_utf8());
        parts.push(&rest[start..]);
        rest = rest[..start].trim_end();
    }
    parts.reverse();
    parts
}

/// The lines of a text, where Python ends them.
pub(in crate::jinja) fn split_lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let is_end = matches!(
            character,
            '\n' | '\r' | '\x0b' | '\x0c' | '\x1c' | '\x1d' | '\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        );
        if !is_end {
            continue;
        }
        let mut end = at + character.len_utf8();
        if character == '\r' && characters.next_if(|(_, next)| *next == '\n').is_some() {
            end += 1;
        }
        lines.push(&text[start..if keep_ends { end } else { at }]);
        start = end;
    }
    if start < text.len() {
        lines.push(&text[start..]);
    }
    lines
}
