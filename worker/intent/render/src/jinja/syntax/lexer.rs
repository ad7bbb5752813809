//! Tokens of a template, as Jinja2's lexer has them with `trim_blocks` and `lstrip_blocks`.

use lockstep_protocol::SmolStr;

use crate::jinja::failure::{Res, fail};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Data(String),
    VariableBegin,
    VariableEnd,
    BlockBegin,
    BlockEnd,
    Name(SmolStr),
    Text(String),
    Int(i128),
    Float(f64),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// The longest first.
const SIGNS: [&str; 27] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<",
    "=", ".", ":", "|", ",", ";", "!",
];

/// The tokens of a template with their lines. The last one is [`Token::End`].
pub(super) fn tokens(source: &str) -> Result<Vec<(Token, u32)>, (crate::jinja::failure::Failure, u32)> {
    let source = if source.contains('\r') {
        source.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        source.to_owned()
    };
    let mut lexer = Lexer {
        rest: &source,
        line: 1,
        line_starts: true,
        tokens: Vec::new(),
    };
    match lexer.run() {
        Ok(()) => Ok(lexer.tokens),
        Err(failure) => Err((failure, lexer.line)),
    }
}

struct Lexer<'s> {
    rest: &'s str,
    line: u32,
    /// Whether what was read last ended a line: `lstrip_blocks` strips only from there.
    line_starts: bool,
    tokens: Vec<(Token, u32)>,
}

impl<'s> Lexer<'s> {
    fn run(&mut self) -> Res<()> {
        while let Some(at) = self.next_tag() {
            let (data, tag) = self.rest.split_at(at);
            let sign = tag[2..].chars().next().filter(|sign| matches!(sign, '-' | '+'));
            let is_variable = tag.starts_with("{{");
            let kept = self.kept(data, sign, is_variable);
            self.push_data(kept);
            self.advance(at);
            let opened = 2 + usize::from(sign.is_some());
            if tag.starts_with("{#") {
                self.advance(opened);
                self.comment()?;
            } else if is_variable {
                self.push(Token::VariableBegin);
                self.advance(opened);
                self.expression("}}")?;
            } else if let Some(length) = raw_begin(tag) {
                self.advance(length);
                self.raw()?;
            } else {
                self.push(Token::BlockBegin);
                self.advance(opened);
                self.expression("%}")?;
            }
        }
        self.push_data(self.rest);
        self.advance(self.rest.len());
        self.push(Token::End);
        Ok(())
    }

    /// Where the next tag begins.
    fn next_tag(&self) -> Option<usize> {
        let bytes = self.rest.as_bytes();
        let mut at = 0;
        while let Some(brace) = self.rest[at..].find('{') {
            at += brace;
            if matches!(bytes.get(at + 1), Some(b'{' | b'%' | b'#')) {
                return Some(at);
            }
            at += 1;
        }
        None
    }

    /// What is kept of the data before a tag.
    fn kept(&self, data: &'s str, sign: Option<char>, is_variable: bool) -> &'s str {
        match sign {
            Some('-') => data.trim_end(),
            Some(_) => data,
            None if is_variable => data,
            None => {
                let line = data.rfind('\n').map_or(0, |newline| newline + 1);
                let at_line = line > 0 || self.line_starts;
                if at_line && data[line..].chars().all(char::is_whitespace) {
                    &data[..line]
                } else {
                    data
                }
            }
        }
    }

    fn push(&mut self, token: Token) {
        self.tokens.push((token, self.line));
    }

    fn push_data(&mut self, data: &str) {
        if !data.is_empty() {
            self.push(Token::Data(data.to_owned()));
        }
    }

    fn advance(&mut self, length: usize) {
        let (passed, rest) = self.rest.split_at(length);
        let newlines = passed.bytes().filter(|byte| *byte == b'\n').count();
        self.line += u32::try_from(newlines).unwrap_or(0);
        if !passed.is_empty() {
            self.line_starts = passed.ends_with('\n');
        }
        self.rest = rest;
    }

    fn comment(&mut self) -> Res<()> {
        let Some(end) = self.rest.find("#}") else {
            fail!("a comment is not closed: `#}}` is missing");
        };
        let signed = self.rest[..end].ends_with(['-', '+']);
        self.advance(end - usize::from(signed));
        let length = closing(self.rest, "#}", true).unwrap_or(2);
        self.advance(length);
        Ok(())
    }

    fn raw(&mut self) -> Res<()> {
        let mut at = 0;
        while let Some(found) = self.rest[at..].find("{%") {
            at += found;
            let tag = &self.rest[at + 2..];
            let sign = tag.chars().next().filter(|sign| matches!(sign, '-' | '+'));
            let name = tag[usize::from(sign.is_some())..].trim_start();
            let end = name.strip_prefix("endraw").map(str::trim_start);
            if let Some(length) = end.and_then(|end| closing(end, "%}", true)) {
                let kept = self.kept(&self.rest[..at], sign, false);
                self.push_data(kept);
                let end = end.map_or(0, str::len);
                self.advance(self.rest.len() - end);
                self.advance(length);
                return Ok(());
            }
            at += 2;
        }
        fail!("a raw block is not closed: `{{% endraw %}}` is missing");
    }

    /// The tokens up to the end of a tag.
    fn expression(&mut self, end: &str) -> Res<()> {
        let mut brackets = Vec::new();
        loop {
            let space = self.rest.len() - self.rest.trim_start().len();
            self.advance(space);
            if brackets.is_empty() {
                let is_block = end == "%}";
                if let Some(length) = closing(self.rest, end, is_block) {
                    let token = if is_block {
                        Token::BlockEnd
                    } else {
                        Token::VariableEnd
                    };
                    self.push(token);
                    self.advance(length);
                    return Ok(());
                }
            }
            let Some(first) = self.rest.chars().next() else {
                fail!("a tag is not closed: `{end}` is missing");
            };
            if first.is_ascii_digit() {
                self.number()?;
            } else if first == '_' || first.is_alphanumeric() {
                self.name();
            } else if first == '"' || first == '\'' {
                self.text(first)?;
            } else {
                self.sign(first, &mut brackets)?;
            }
        }
    }

    fn name(&mut self) {
        let end = self
            .rest
            .find(|character: char| character != '_' && !character.is_alphanumeric());
        let end = end.unwrap_or(self.rest.len());
        self.push(Token::Name(self.rest[..end].into()));
        self.advance(end);
    }

    fn sign(&mut self, first: char, brackets: &mut Vec<char>) -> Res<()> {
        let Some(sign) = SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) else {
            fail!("unexpected character {first:?}");
        };
        match first {
            '(' => brackets.push(')'),
            '[' => brackets.push(']'),
            '{' => brackets.push('}'),
            ')' | ']' | '}' => match brackets.pop() {
                Some(expected) if expected == first => {}
                Some(expected) => fail!("unexpected `{first}`, expected `{expected}`"),
                None => fail!("unexpected `{first}`"),
            },
            _ => {}
        }
        self.push(Token::Sign(sign));
        self.advance(sign.len());
        Ok(())
    }

    fn number(&mut self) -> Res<()> {
        let bytes = self.rest.as_bytes();
        let digits = |from: usize, is_digit: fn(&u8) -> bool| {
            let mut at = from;
            while bytes.get(at).is_some_and(is_digit)
                || (at > from && bytes.get(at) == Some(&b'_') && bytes.get(at + 1).is_some_and(is_digit))
            {
                at += 1;
            }
            at
        };
        let radix = match bytes.get(1).map(u8::to_ascii_lowercase) {
            Some(b'x') if bytes[0] == b'0' => Some(16),
            Some(b'o') if bytes[0] == b'0' => Some(8),
            Some(b'b') if bytes[0] == b'0' => Some(2),
            _ => None,
        };
        if let Some(radix) = radix {
            let end = digits(2, u8::is_ascii_hexdigit);
            let text = self.rest[2..end].replace('_', "");
            let Ok(number) = i128::from_str_radix(&text, radix) else {
                fail!("`{}` is no number", &self.rest[..end]);
            };
            self.push(Token::Int(number));
            self.advance(end);
            return Ok(());
        }
        let whole = digits(0, u8::is_ascii_digit);
        let mut end = whole;
        // In `a.0.1` the numbers are subscripts.
        let after_dot = matches!(self.tokens.last(), Some((Token::Sign("."), _)));
        if !after_dot {
            if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
                end = digits(end + 1, u8::is_ascii_digit);
            }
            if matches!(bytes.get(end), Some(b'e' | b'E')) {
                let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
                let exponent = digits(end + 1 + signed, u8::is_ascii_digit);
                if exponent > end + 1 + signed {
                    end = exponent;
                }
            }
        }
        let text = self.rest[..end].replace('_', "");
        let token = if end == whole {
            text.parse().ok().map(Token::Int)
        } else {
            text.parse().ok().map(Token::Float)
        };
        let Some(token) = token else {
            fail!("the number {text} is too large");
        };
        self.push(token);
        self.advance(end);
        Ok(())
    }

    fn text(&mut self, quote: char) -> Res<()> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1).peekable();
        let end = loop {
            let Some((at, character)) = characters.next() else {
                fail!("a text is not closed: `{quote}` is missing");
            };
            if character == quote {
                break at;
            }
            if character != '\\' {
                text.push(character);
                continue;
            }
            let Some((at, escaped)) = characters.next() else {
                fail!("a text is not closed: `{quote}` is missing");
            };
            let digits = match escaped {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                _ => 0,
            };
            match escaped {
                '\n' => {}
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                'a' => text.push('\x07'),
                'b' => text.push('\x08'),
                'f' => text.push('\x0c'),
                'v' => text.push('\x0b'),
                '\\' | '\'' | '"' => text.push(escaped),
                '0'..='7' => {
                    let mut code = escaped.to_digit(8).unwrap_or(0);
                    for _ in 0..2 {
                        let Some(digit) = characters.peek().and_then(|(_, next)| next.to_digit(8)) else {
                            break;
                        };
                        code = code * 8 + digit;
                        characters.next();
                    }
                    text.extend(char::from_u32(code));
                }
                'x' | 'u' | 'U' => {
                    let code = self.rest.get(at + 1..at + 1 + digits);
                    let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
                    let Some(code) = code.and_then(char::from_u32) else {
                        fail!("`\\{escaped}` needs {digits} hexadecimal digits of a character");
                    };
                    text.push(code);
                    for _ in 0..digits {
                        characters.next();
                    }
                }
                other => text.extend(['\\', other]),
            }
        };
        self.push(Token::Text(text));
        self.advance(end + 1);
        Ok(())
    }
}

/// The length of the end of a tag at the beginning of a text, with what is removed behind it.
fn closing(text: &str, end: &str, trims: bool) -> Option<usize> {
    if let Some(rest) = text.strip_prefix('-').and_then(|text| text.strip_prefix(end)) {
        return Some(text.len() - rest.trim_start().len());
    }
    if trims && text.strip_prefix('+').is_some_and(|text| text.starts_with(end)) {
        return Some(1 + end.len());
    }
    let rest = text.strip_prefix(end)?;
    let newline = usize::from(trims && rest.starts_with('\n'));
    Some(end.len() + newline)
}

/// The length of the beginning of a raw block, if the tag is one.
fn raw_begin(tag: &str) -> Option<usize> {
    let rest = &tag[2..];
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest).trim_start();
    let rest = rest.strip_prefix("raw")?.trim_start();
    let length = closing(rest, "%}", false)?;
    Some(tag.len() - rest.len() + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(source: &str) -> Vec<String> {
        let tokens = tokens(source).map_err(|(failure, line)| format!("{line}: {failure:?}"));
        let data = tokens.unwrap().into_iter().filter_map(|(token, _)| match token {
            Token::Data(data) => Some(data),
            _ => None,
        });
        data.collect()
    }

    #[test]
    fn whitespace_around_tags_is_that_of_jinja2() {
        for (source, expected) in [
            (
                "a\n  {% if x %}\nb\n  {% endif %}\nc\n",
                vec!["a\n", "b\n", "c\n"],
            ),
            ("a {%- if x -%}\n b {%+ endif +%}\nc", vec!["a", "b ", "\nc"]),
            ("  {{ x }}\n  {# c #}\n  d", vec!["  ", "\n", "  d"]),
            ("  {%+ if x %}", vec!["  "]),
            ("{{ x -}}\n\n a", vec!["a"]),
            (
                "x{% raw %}\n{{ a }}\n  {% endraw %}\ny",
                vec!["x", "\n{{ a }}\n", "y"],
            ),
            ("{#- c -#}  a", vec!["a"]),
            ("{{ a }}  {% if b %}", vec!["  "]),
        ] {
            assert_eq!(data(source), expected, "{source:?}");
        }
    }
}
