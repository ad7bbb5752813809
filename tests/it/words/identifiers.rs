//! A small lexer that finds the identifiers and the comments of Rust and SQL sources.

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Rust,
    Sql,
}

impl Language {
    /// The language of a file, by its name.
    pub(super) fn of(file: &str) -> Option<Self> {
        match file.rsplit_once('.')?.1 {
            "rs" => Some(Self::Rust),
            "sql" => Some(Self::Sql),
            _ => None,
        }
    }
}

/// An identifier or a keyword.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identifier<'a> {
    pub(super) line: usize,
    pub(super) name: &'a str,
    /// Whether the keyword before it declares a type, a trait or a module.
    pub(super) declared: bool,
}

/// The identifiers and keywords of a source.
pub(super) fn identifiers(source: &str, language: Language) -> Vec<Identifier<'_>> {
    let mut found: Vec<Identifier<'_>> = Vec::new();
    for (line, token) in tokens(source, language) {
        let Token::Name(name) = token else {
            continue;
        };
        let declares =
            |word: &Identifier<'_>| ["struct", "enum", "union", "trait", "type", "mod"].contains(&word.name);
        found.push(Identifier {
            line,
            name,
            declared: found.last().is_some_and(declares),
        });
    }
    found
}

/// The comments of a source, each with the line in which it begins.
pub(super) fn comments(source: &str, language: Language) -> Vec<(usize, &str)> {
    let found = tokens(source, language).into_iter();
    found
        .filter_map(|(line, token)| match token {
            Token::Comment(text) => Some((line, text)),
            Token::Name(_) => None,
        })
        .collect()
}

/// A part of a source. Literals, numbers and punctuation are left out.
enum Token<'a> {
    Comment(&'a str),
    Name(&'a str),
}

/// The comments and names of a source, with their lines.
fn tokens(source: &str, language: Language) -> Vec<(usize, Token<'_>)> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let (comment, literal) = match language {
            Language::Rust => (rust_comment(rest), rust_literal(rest)),
            Language::Sql => (sql_comment(rest), sql_literal(rest)),
        };
        let name = rest.split(|c: char| !is_part(c)).next().unwrap_or_default();
        let length = if let Some(length) = comment {
            found.push((line, Token::Comment(&rest[..length])));
            length
        } else if let Some(length) = literal {
            length
        } else if name.is_empty() {
            first.len_utf8()
        } else {
            if !first.is_ascii_digit() {
                found.push((line, Token::Name(name)));
            }
            name.len()
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length up to and with the end of something that begins there; what has no end reaches to the end of the source.
fn to_end(rest: &str, begin: usize, end: &str) -> usize {
    let found = rest[begin..].find(end);
    found.map_or(rest.len(), |place| begin + place + end.len())
}

/// The length of the Rust comment at the beginning, if there is one.
fn rust_comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        Some(to_end(rest, 2, "\n"))
    } else if rest.starts_with("/*") {
        Some(block_comment(rest))
    } else {
        None
    }
}

/// The length of the Rust literal at the beginning, if there is one.
fn rust_literal(rest: &str) -> Option<usize> {
    if let Some(raw) = ["r", "br", "cr"]
        .iter()
        .find_map(|prefix| rest.strip_prefix(prefix))
    {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let begin = rest.len() - raw.len() + hashes + 1;
            return Some(to_end(rest, begin, &format!("\"{}", "#".repeat(hashes))));
        }
    }
    let prefix = usize::from(rest.starts_with("b\"") || rest.starts_with("c\"") || rest.starts_with("b'"));
    match rest[prefix..].chars().next()? {
        '"' => Some(quoted(rest, prefix + 1, '"')),
        '\'' => {
            let mut content = rest[prefix + 1..].chars();
            let character = content.next()? == '\\' || content.next() == Some('\'');
            // What else begins with a quote is a lifetime: its name is an identifier.
            character.then(|| quoted(rest, prefix + 1, '\''))
        }
        _ => None,
    }
}

/// The length of a literal whose content begins there. A backslash escapes the character after it.
fn quoted(rest: &str, begin: usize, quote: char) -> usize {
    let mut content = rest[begin..].char_indices();
    while let Some((place, c)) = content.next() {
        if c == '\\' {
            content.next();
        } else if c == quote {
            return begin + place + 1;
        }
    }
    rest.len()
}

/// The length of a block comment, which may hold others.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut place) = (0, 0);
    while let Some(here) = rest.as_bytes().get(place..).filter(|here| !here.is_empty()) {
        let step = if here.starts_with(b"/*") {
            depth += 1;
            2
        } else if here.starts_with(b"*/") {
            depth -= 1;
            2
        } else {
            1
        };
        place += step;
        if depth == 0 {
            return place;
        }
    }
    rest.len()
}

/// The length of the SQL comment at the beginning, if there is one.
fn sql_comment(rest: &str) -> Option<usize> {
    if rest.starts_with("--") {
        Some(to_end(rest, 2, "\n"))
    } else if rest.starts_with("/*") {
        Some(to_end(rest, 2, "*/"))
    } else {
        None
    }
}

/// The length of the SQL text at the beginning, if there is one. Names in double quotes are names.
fn sql_literal(rest: &str) -> Option<usize> {
    // Two quotes inside a text end it and begin the next one.
    rest.starts_with('\'').then(|| to_end(rest, 1, "'"))
}

fn names(source: &str, language: Language) -> Vec<&str> {
    let found = identifiers(source, language).into_iter();
    found.map(|identifier| identifier.name).collect()
}

#[test]
fn comments_and_literals_of_rust_are_left_out() {
    let table = [
        ("one // two\nthree", vec!["one", "three"]),
        ("one /* two /* three */ four */ five", vec!["one", "five"]),
        (r#"one "two \" three" four"#, vec!["one", "four"]),
        ("one \"two \\\\\" three", vec!["one", "three"]),
        (
            r###"r"one" two br##"three "# four"## five"###,
            vec!["two", "five"],
        ),
        (r#"b"one" c"two" b'x' b'\'' three"#, vec!["three"]),
        ("'a' '\\'' 'ä' '\\u{1F600}' one", vec!["one"]),
        ("&'one str, 'two: loop", vec!["one", "str", "two", "loop"]),
        ("r#type brief 0x1f 1_u32 x2", vec!["r", "type", "brief", "x2"]),
        ("\"without an end", vec![]),
    ];
    for (source, expected) in table {
        assert_eq!(names(source, Language::Rust), expected, "{source}");
    }
}

#[test]
fn comments_and_texts_of_sql_are_left_out() {
    let source =
        "CREATE TABLE one ( -- two\n three text CHECK (three IN ('four', 'it''s'))) /* five */; \"six\"";
    let expected = [
        "CREATE", "TABLE", "one", "three", "text", "CHECK", "three", "IN", "six",
    ];
    assert_eq!(names(source, Language::Sql), expected);
    let found = comments(source, Language::Sql);
    assert_eq!(found, [(1, "-- two\n"), (2, "/* five */")]);
}

#[test]
fn identifiers_have_lines_and_declarations() {
    let found = identifiers("/*\n*/ struct One\n(\"\n\",\nTwo);", Language::Rust);
    let expected = [(2, "struct", false), (2, "One", true), (5, "Two", false)];
    let expected = expected.map(|(line, name, declared)| Identifier { line, name, declared });
    assert_eq!(found, expected);
}
