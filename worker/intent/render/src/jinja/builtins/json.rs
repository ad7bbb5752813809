//! `tojson` and `pprint`.

use std::fmt::Write as _;

use super::{Args, Env, Res, Run, Val, integer};
use crate::jinja::failure::fail;
use crate::jinja::methods::split_lines;
use crate::jinja::print::{float, quoted, write_repr};
use crate::jinja::value::{Dict, MAX_NESTING};

/// JSON as Python writes it, sorted by keys, with the characters escaped that mean something in HTML.
pub(super) fn to_json(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [indent] = args.bind("tojson", ["indent"])?;
    let indent = match indent.filter(|indent| !matches!(indent, Val::None)) {
        None => None,
        Some(Val::Str(indent)) => Some(indent.to_string()),
        Some(indent) => {
            let width = usize::try_from(integer(Some(&indent), "indent", 0)?).unwrap_or(0);
            run.allocate(width)?;
            Some(" ".repeat(width))
        }
    };
    let mut out = String::new();
    write_json(run, &mut out, input, indent.as_deref(), 0)?;
    run.allocate(out.len())?;
    Ok(Val::from(out))
}

fn write_json(run: &Run<'_>, out: &mut String, value: &Val, indent: Option<&str>, depth: usize) -> Res<()> {
    if depth > MAX_NESTING {
        fail!("a value is nested more than {MAX_NESTING} deep");
    }
    run.charge(1)?;
    match value {
        Val::None => run.append(out, "null"),
        Val::Bool(truth) => run.append(out, if *truth { "true" } else { "false" }),
        Val::Int(number) => run.append(out, &number.to_string()),
        Val::Float(number) if number.is_nan() => run.append(out, "NaN"),
        Val::Float(number) if number.is_infinite() => {
            run.append(out, if *number > 0.0 { "Infinity" } else { "-Infinity" })
        }
        Val::Float(number) => run.append(out, &float(*number)),
        Val::Str(text) => run.append(out, &json_text(text)),
        Val::List(_) | Val::Tuple(_) => {
            let items = run.iterate(value)?;
            if items.is_empty() {
                return run.append(out, "[]");
            }
            run.append(out, "[")?;
            for (index, item) in items.iter().enumerate() {
                separate(run, out, index, indent, depth)?;
                write_json(run, out, item, indent, depth + 1)?;
            }
            close(run, out, "]", indent, depth)
        }
        Val::Dict(dict) => {
            let entries = sorted(run, dict)?;
            if entries.is_empty() {
                return run.append(out, "{}");
            }
            run.append(out, "{")?;
            for (index, (key, value)) in entries.iter().enumerate() {
                separate(run, out, index, indent, depth)?;
                match key {
                    Val::Str(key) => run.append(out, &json_text(key))?,
                    Val::None | Val::Bool(_) | Val::Int(_) | Val::Float(_) => {
                        run.append(out, "\"")?;
                        write_json(run, out, key, None, depth + 1)?;
                        run.append(out, "\"")?;
                    }
                    _ => fail!("a {} is no key of a JSON object", key.type_name()),
                }
                run.append(out, ": ")?;
                write_json(run, out, value, indent, depth + 1)?;
            }
            close(run, out, "}", indent, depth)
        }
        Val::Undefined(name) => Err(Run::undefined(name.as_deref())),
        _ => fail!("a {} cannot be written as JSON", value.type_name()),
    }
}

fn separate(run: &Run<'_>, out: &mut String, index: usize, indent: Option<&str>, depth: usize) -> Res<()> {
    if index > 0 {
        run.append(out, if indent.is_some() { "," } else { ", " })?;
    }
    new_line(run, out, indent, depth + 1)
}

fn close(run: &Run<'_>, out: &mut String, end: &str, indent: Option<&str>, depth: usize) -> Res<()> {
    new_line(run, out, indent, depth)?;
    run.append(out, end)
}

fn new_line(run: &Run<'_>, out: &mut String, indent: Option<&str>, depth: usize) -> Res<()> {
    let Some(indent) = indent else {
        return Ok(());
    };
    run.append(out, "\n")?;
    (0..depth).try_for_each(|_| run.append(out, indent))
}

/// The entries of a dictionary, sorted by their keys.
fn sorted(run: &Run<'_>, dict: &Dict) -> Res<Vec<(Val, Val)>> {
    let entries = dict.borrow();
    run.charge(entries.len() as u64)?;
    let mut entries: Vec<(Val, Val)> = entries
        .iter()
        .map(|(key, value)| (key.value().clone(), value.clone()))
        .collect();
    run.sort(&mut entries, false)?;
    Ok(entries)
}

fn json_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '<' | '>' | '&' | '\'' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            ' '..='~' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
    out
}

/// A value as Python's `pprint` prints it, 80 characters wide.
pub(super) fn pretty(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [] = args.bind("pprint", [])?;
    let mut printer = Pretty {
        run,
        out: String::new(),
    };
    printer.value(input, 0, 0, 0)?;
    let out = printer.out;
    run.allocate(out.len())?;
    Ok(Val::from(out))
}

struct Pretty<'a, 's> {
    run: &'a Run<'s>,
    out: String,
}

impl Pretty<'_, '_> {
    fn write(&mut self, text: &str) -> Res<()> {
        self.run.append(&mut self.out, text)
    }

    /// On one line, with the keys of dictionaries sorted.
    fn line(&self, out: &mut String, value: &Val, depth: usize) -> Res<()> {
        if depth > MAX_NESTING {
            fail!("a value is nested more than {MAX_NESTING} deep");
        }
        let run = self.run;
        match value {
            Val::Dict(dict) => {
                run.append(out, "{")?;
                for (index, (key, value)) in sorted(run, dict)?.iter().enumerate() {
                    if index > 0 {
                        run.append(out, ", ")?;
                    }
                    self.line(out, key, depth + 1)?;
                    run.append(out, ": ")?;
                    self.line(out, value, depth + 1)?;
                }
                run.append(out, "}")
            }
            Val::List(_) | Val::Tuple(_) => {
                let (open, close) = brackets(value);
                let items = run.iterate(value)?;
                run.append(out, open)?;
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        run.append(out, ", ")?;
                    }
                    self.line(out, item, depth + 1)?;
                }
                run.append(
                    out,
                    if items.len() == 1 && close == ")" {
                        ",)"
                    } else {
                        close
                    },
                )
            }
            _ => write_repr(run, out, value, depth),
        }
    }

    fn value(&mut self, value: &Val, indent: usize, allowance: usize, level: usize) -> Res<()> {
        let mut line = String::new();
        self.line(&mut line, value, level)?;
        if line.chars().count() <= 80_usize.saturating_sub(indent + allowance) {
            return self.write(&line);
        }
        match value {
            Val::Dict(dict) => {
                let entries = sorted(self.run, dict)?;
                self.write("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.separate(index, indent + 1)?;
                    let mut text = String::new();
                    self.line(&mut text, key, level)?;
                    self.write(&text)?;
                    self.write(": ")?;
                    let allowance = if index + 1 == entries.len() {
                        allowance + 1
                    } else {
                        1
                    };
                    self.value(value, indent + 1 + text.chars().count() + 2, allowance, level + 1)?;
                }
                self.write("}")
            }
            Val::List(_) | Val::Tuple(_) => {
                let items = self.run.iterate(value)?;
                let (open, close) = brackets(value);
                let close = if items.len() == 1 && close == ")" {
                    ",)"
                } else {
                    close
                };
                self.write(open)?;
                for (index, item) in items.iter().enumerate() {
                    self.separate(index, indent + 1)?;
                    let allowance = if index + 1 == items.len() {
                        allowance + close.len()
                    } else {
                        1
                    };
                    self.value(item, indent + 1, allowance, level + 1)?;
                }
                self.write(close)
            }
            Val::Str(text) => self.text(text, indent, allowance, level),
            _ => self.write(&line),
        }
    }

    fn separate(&mut self, index: usize, indent: usize) -> Res<()> {
        if index > 0 {
            self.write(",\n")?;
            self.write(&" ".repeat(indent))?;
        }
        Ok(())
    }

    fn text(&mut self, text: &str, indent: usize, allowance: usize, level: usize) -> Res<()> {
        let is_top = level == 0;
        let (indent, allowance) = if is_top {
            (indent + 1, allowance + 1)
        } else {
            (indent, allowance)
        };
        let width = 80_usize.saturating_sub(indent);
        let lines = split_lines(text, true);
        let mut chunks = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let is_last_line = index + 1 == lines.len();
            let line_width = if is_last_line {
                width.saturating_sub(allowance)
            } else {
                width
            };
            if quoted(line).chars().count() <= line_width {
                chunks.push(quoted(line));
                continue;
            }
            let parts = words_with_spaces(line);
            let mut current = String::new();
            for (number, part) in parts.iter().enumerate() {
                let is_last = is_last_line && number + 1 == parts.len();
                let width = if is_last {
                    width.saturating_sub(allowance)
                } else {
                    width
                };
                self.run.charge_text(current.len() + part.len())?;
                let candidate = format!("{current}{part}");
                if quoted(&candidate).chars().count() > width {
                    if !current.is_empty() {
                        chunks.push(quoted(&current));
                    }
                    (*part).clone_into(&mut current);
                } else {
                    current = candidate;
                }
            }
            if !current.is_empty() {
                chunks.push(quoted(&current));
            }
        }
        if let [chunk] = &*chunks {
            return self.write(chunk);
        }
        if is_top {
            self.write("(")?;
        }
        for (index, chunk) in chunks.iter().enumerate() {
            if index > 0 {
                self.write("\n")?;
                self.write(&" ".repeat(indent))?;
            }
            self.write(chunk)?;
        }
        if is_top { self.write(")") } else { Ok(()) }
    }
}

fn brackets(value: &Val) -> (&'static str, &'static str) {
    if matches!(value, Val::List(_)) {
        ("[", "]")
    } else {
        ("(", ")")
    }
}

/// Words, each with the whitespace behind it.
fn words_with_spaces(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let space = rest[word..].find(|character: char| !character.is_whitespace());
        let end = space.map_or(rest.len(), |space| word + space);
        parts.push(&rest[..end]);
        rest = &rest[end..];
    }
    parts
}
