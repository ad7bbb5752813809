/// A pattern for paths, as in Python's `fnmatch.fnmatchcase`: `*` matches anything including slashes, `?` one character, `[seq]` one of
/// these characters, `[!seq]` any other one. A bracket that is not closed matches itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Vec<Token>);

impl Glob {
    pub(super) fn new(pattern: &str) -> Self {
        Self(parse(pattern))
    }

    /// Whether it matches a whole path, given as [`characters`]. Takes what it costs from `steps`; `None` if they are not enough.
    pub(super) fn matches(&self, text: &[char], steps: &mut u64) -> Option<bool> {
        let pattern = &self.0;
        // The last star, and how far it reaches. Earlier stars need not be tried again.
        let mut star = None;
        let (mut at, mut token) = (0, 0);
        *steps = steps.checked_sub(1)?;
        while at < text.len() {
            match pattern.get(token) {
                Some(Token::Star) => {
                    star = Some((token, at));
                    token += 1;
                }
                Some(one) if one.fits(text[at]) => {
                    *steps = steps.checked_sub(one.cost())?;
                    at += 1;
                    token += 1;
                }
                other => match &mut star {
                    Some((after, start)) => {
                        *steps = steps.checked_sub(other.map_or(1, Token::cost))?;
                        *start += 1;
                        at = *start;
                        token = *after + 1;
                    }
                    None => return Some(false),
                },
            }
        }
        Some(pattern[token..].iter().all(|token| *token == Token::Star))
    }
}

/// The characters of a path. Each byte that is not UTF-8 counts as one character.
pub(super) fn characters(path: &[u8]) -> Vec<char> {
    let mut characters = Vec::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        characters.extend(chunk.valid().chars());
        characters.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    characters
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Star,
    Any,
    Char(char),
    Class {
        ranges: Vec<(char, char)>,
        negated: bool,
    },
}

impl Token {
    /// How many comparisons [`fits`](Self::fits) takes.
    fn cost(&self) -> u64 {
        match self {
            Self::Class { ranges, .. } => ranges.len() as u64,
            Self::Star | Self::Any | Self::Char(_) => 1,
        }
    }

    fn fits(&self, c: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => true,
            Self::Char(own) => *own == c,
            Self::Class { ranges, negated } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated
            }
        }
    }
}

fn parse(pattern: &str) -> Vec<Token> {
    let pattern: Vec<char> = pattern.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < pattern.len() {
        let (token, length) = match pattern[at] {
            '*' => (Token::Star, 1),
            '?' => (Token::Any, 1),
            '[' => class(&pattern[at..]).unwrap_or((Token::Char('['), 1)),
            c => (Token::Char(c), 1),
        };
        tokens.push(token);
        at += length;
    }
    tokens
}

/// The class at the start of a pattern, and its length; `None` if it is not closed.
fn class(pattern: &[char]) -> Option<(Token, usize)> {
    let negated = pattern.get(1) == Some(&'!');
    let start = if negated { 2 } else { 1 };
    // A closing bracket that comes first is a member.
    let length = pattern.iter().skip(start + 1).position(|c| *c == ']')? + 1;
    let members = &pattern[start..start + length];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == '-' {
            ranges.push((members[at], members[at + 2]));
            at += 3;
        } else {
            ranges.push((members[at], members[at]));
            at += 1;
        }
    }
    Some((Token::Class { ranges, negated }, start + length + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &[u8]) -> bool {
        Glob::new(pattern)
            .matches(&characters(path), &mut 1_000_000)
            .unwrap()
    }

    #[test]
    fn patterns_match_as_in_python() {
        let table: [(&str, &[&str], &[&str]); 16] = [
            ("base.j2", &["base.j2"], &["base_j2", "base.j2x", "xbase.j2"]),
            (
                "access*.j2",
                &["access.j2", "access-vlan.j2", "access/a/b.j2"],
                &["access", "xaccess.j2"],
            ),
            ("*", &["", "a/b"], &[]),
            ("a*b*c", &["abc", "a--b--bc", "abbc"], &["ab", "acb"]),
            ("?.j2", &["a.j2", "ä.j2"], &[".j2", "ab.j2"]),
            ("[ab].j2", &["a.j2", "b.j2"], &["c.j2", "ab.j2"]),
            ("[!ab].j2", &["c.j2", "!.j2"], &["a.j2", ".j2"]),
            ("[a-c]", &["b"], &["d", "-"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("[]]", &["]"], &["[", "[]]"]),
            ("[!]]", &["a"], &["]"]),
            ("[", &["["], &["a"]),
            ("[a", &["[a"], &["a"]),
            ("[!a", &["[!a"], &["b"]),
            ("[z-a]", &[], &["a", "z", "-"]),
            ("{a,b}\\*", &["{a,b}\\x"], &["a", "{a,b}*"]),
        ];
        for (pattern, yes, no) in table {
            for text in yes {
                assert!(matches(pattern, text.as_bytes()), "{pattern} {text}");
            }
            for text in no {
                assert!(!matches(pattern, text.as_bytes()), "{pattern} {text}");
            }
        }
        assert!(matches("a?b*", b"a\xffb\xfe\xfd"));
    }

    #[test]
    fn many_stars_do_not_take_exponential_time() {
        let pattern = format!("{}b", "a*".repeat(50));
        assert!(!matches(&pattern, "a".repeat(4096).as_bytes()));
        let text = characters("a".repeat(4096).as_bytes());
        assert_eq!(
            Glob::new(&pattern).matches(&text, &mut 1000),
            None,
            "its steps are counted"
        );
        let class = Glob::new(&format!("*[{}]b", "x".repeat(1000)));
        assert_eq!(
            class.matches(&text, &mut 100_000),
            None,
            "so are those of a class"
        );
    }
}
