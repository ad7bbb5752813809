//! `wordwrap`, as Python's `textwrap` wraps.

use std::sync::LazyLock;

use fancy_regex::Regex;

use super::{size, text, truth};
use crate::jinja::failure::{Res, fail};
use crate::jinja::interpreter::{Args, Env, Run};
use crate::jinja::methods::split_lines;
use crate::jinja::value::Val;

pub(super) fn word_wrap(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let names = ["width", "break_long_words", "wrapstring", "break_on_hyphens"];
    let [width, long_words, separator, hyphens] = args.bind("wordwrap", names)?;
    let wrap = Wrap {
        width: size(width.as_ref(), "width", 79)?.max(1),
        long_words: truth(run, long_words.as_ref(), true)?,
        hyphens: truth(run, hyphens.as_ref(), true)?,
    };
    let separator = separator.filter(|separator| !matches!(separator, Val::None));
    let separator = text(separator.as_ref(), "wrapstring", "\n")?;
    let input = run.text(input)?;
    run.charge(input.len() as u64)?;
    run.allocate(input.len().saturating_mul(separator.len() + 1))?;
    let lines = split_lines(&input, false);
    let wrapped = lines
        .into_iter()
        .map(|line| Ok(wrap.line(line)?.join(&separator)));
    Ok(Val::from(wrapped.collect::<Res<Vec<_>>>()?.join(&separator)))
}

struct Wrap {
    width: usize,
    long_words: bool,
    hyphens: bool,
}

impl Wrap {
    fn line(&self, line: &str) -> Res<Vec<String>> {
        let mut chunks = chunks(line, self.hyphens)?;
        chunks.reverse();
        let mut lines: Vec<String> = Vec::new();
        while !chunks.is_empty() {
            let mut current: Vec<String> = Vec::new();
            let mut length = 0;
            if !lines.is_empty() && chunks.last().is_some_and(|chunk| chunk.trim().is_empty()) {
                chunks.pop();
            }
            while let Some(chunk) = chunks.pop_if(|chunk| length + chunk.chars().count() <= self.width) {
                length += chunk.chars().count();
                current.push(chunk);
            }
            if let Some(chunk) = chunks.pop_if(|chunk| chunk.chars().count() > self.width) {
                self.break_word(chunk, &mut chunks, &mut current, length);
            }
            current.pop_if(|chunk| chunk.trim().is_empty());
            if !current.is_empty() {
                lines.push(current.concat());
            }
        }
        Ok(lines)
    }

    fn break_word(&self, chunk: String, chunks: &mut Vec<String>, current: &mut Vec<String>, length: usize) {
        if !self.long_words {
            if current.is_empty() {
                current.push(chunk);
            } else {
                chunks.push(chunk);
            }
            return;
        }
        let characters: Vec<char> = chunk.chars().collect();
        let mut end = self.width - length.min(self.width);
        if self.hyphens && characters.len() > end {
            let hyphen = characters[..end].iter().rposition(|character| *character == '-');
            if let Some(hyphen) =
                hyphen.filter(|hyphen| characters[..*hyphen].iter().any(|character| *character != '-'))
            {
                end = hyphen + 1;
            }
        }
        current.push(characters[..end].iter().collect());
        chunks.push(characters[end..].iter().collect());
    }
}

/// The parts of a line between which it may be broken.
fn chunks(line: &str, hyphens: bool) -> Res<Vec<String>> {
    static HYPHENS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let pattern = r#"(?x)[\t\n\x0b\x0c\r\ ]+
            | (?<=[\w!"'&.,?]) -{2,} (?=\w)
            | [^\t\n\x0b\x0c\r\ ]+? (?:
                -(?: (?<=[^\d\W]{2}-) | (?<=[^\d\W]-[\w!"'&.,?]-)) (?= [^\d\W] -? [^\d\W])
                | (?=[\t\n\x0b\x0c\r\ ]|\z)
                | (?<=[\w!"'&.,?]) (?=-{2,}\w)
            )"#;
        Regex::new(pattern).ok()
    });
    static SPACES: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"[\t\n\x0b\x0c\r ]+|[^\t\n\x0b\x0c\r ]+").ok());
    let pattern = if hyphens { &HYPHENS } else { &SPACES };
    let Some(pattern) = &**pattern else {
        fail!("the text cannot be wrapped");
    };
    let mut chunks = Vec::new();
    for found in pattern.find_iter(line) {
        match found {
            Ok(found) => chunks.push(found.as_str().to_owned()),
            Err(error) => fail!("the text cannot be wrapped: {error}"),
        }
    }
    Ok(chunks)
}
