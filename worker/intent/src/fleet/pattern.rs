//! The regexes of groups. Hostnames are ASCII, so a regex that is ASCII too is compiled without the tables of Unicode, which are
//! a hundred times as large and match the same hostnames. What needs no back-tracking runs in linear time.

use fancy_regex::{BytesMode, CompileError, Error, Regex, RegexBuilder, RegexInput};
use lockstep_protocol::Hostname;

use crate::bounds::{MOST_COMPILED_BYTES, MOST_PATTERN_BYTES, MOST_STEPS_OF_MATCH};

/// The back-tracking steps that a match may take, tried one after another. The engine does not tell how many steps it took, so
/// these bound what is charged for a match by about thirty times what it took.
const TIERS: [usize; 4] = [0, 32, 2000, MOST_STEPS_OF_MATCH];

/// So many bytes of a regex count as one step of a match.
const BYTES_OF_STEP: usize = 32;

/// Escapes by which a regex of ASCII characters can name others.
const NAMES_OTHERS: [&str; 6] = ["\\x", "\\u", "\\U", "\\p", "\\P", "\\N"];

/// A valid regex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Box<str>);

/// Why a regex cannot be used.
#[derive(Debug)]
pub(super) enum PatternError {
    /// It has so many bytes.
    TooLong(usize),
    /// It is too large when it is compiled.
    TooLarge,
    Invalid(Box<Error>),
}

/// A regex takes too many steps on a hostname, so it is unknown whether it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManySteps;

/// Matches hostnames with one regex. It is compiled for that and dropped with this, because a thousand compiled regexes take much
/// memory.
pub(super) struct Matcher<'a> {
    pattern: &'a Pattern,
    compiled: [Option<Regex>; TIERS.len()],
}

impl Pattern {
    pub(super) fn new(text: String) -> Result<Self, PatternError> {
        if text.len() > MOST_PATTERN_BYTES {
            return Err(PatternError::TooLong(text.len()));
        }
        match compile(&text, MOST_STEPS_OF_MATCH) {
            Ok(_) => Ok(Self(text.into())),
            Err(error) if is_too_large(&error) => Err(PatternError::TooLarge),
            Err(error) => Err(PatternError::Invalid(Box::new(error))),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn matcher(&self) -> Matcher<'_> {
        Matcher {
            pattern: self,
            compiled: [const { None }; TIERS.len()],
        }
    }
}

impl Matcher<'_> {
    /// Whether a hostname matches from its start, as with Python's `re.match`. Takes what it costs from `steps`.
    pub(super) fn matches(&mut self, hostname: &Hostname, steps: &mut u64) -> Result<bool, TooManySteps> {
        let length = (self.pattern.0.len() / BYTES_OF_STEP) as u64;
        for (tier, most) in TIERS.into_iter().enumerate() {
            let cost = 1 + length + most as u64;
            *steps = steps.checked_sub(cost).ok_or(TooManySteps)?;
            let regex = match &mut self.compiled[tier] {
                Some(regex) => regex,
                // It was compiled before with the same result.
                empty => empty.insert(compile(&self.pattern.0, most).map_err(|_| TooManySteps)?),
            };
            let input = RegexInput::new(hostname.as_str().as_bytes()).anchored(true);
            if let Ok(found) = regex.find_input(input) {
                // `\K` moves the start.
                return Ok(found.is_some_and(|found| found.start() == 0));
            }
        }
        Err(TooManySteps)
    }
}

fn compile(text: &str, steps: usize) -> Result<Regex, Error> {
    let mut builder = RegexBuilder::new(text);
    builder
        .backtrack_limit(steps)
        .delegate_size_limit(MOST_COMPILED_BYTES);
    if text.is_ascii() && !NAMES_OTHERS.iter().any(|escape| text.contains(escape)) {
        // What ASCII alone cannot express, Unicode decides.
        if let Ok(regex) = builder.bytes_mode(BytesMode::Ascii).build() {
            return Ok(regex);
        }
    }
    builder.bytes_mode(BytesMode::Unicode).build()
}

fn is_too_large(error: &Error) -> bool {
    match error {
        Error::CompileError(error) => {
            matches!(&**error, CompileError::InnerError(error) if error.size_limit().is_some())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// As it was matched before: with Unicode, and by searching the leftmost match.
    fn reference(pattern: &str, hostname: &str) -> Option<bool> {
        let regex = RegexBuilder::new(pattern)
            .backtrack_limit(1_000_000)
            .build()
            .ok()?;
        let found = regex.find(hostname).ok()?;
        Some(found.is_some_and(|found| found.start() == 0))
    }

    fn matches(pattern: &Pattern, hostname: &str) -> Result<bool, TooManySteps> {
        let mut steps = u64::MAX;
        pattern.matcher().matches(&hostname.parse().unwrap(), &mut steps)
    }

    #[test]
    fn ascii_and_anchors_change_no_match() {
        let pieces = [
            "a",
            "b",
            "sw",
            "-",
            ".",
            "\\w",
            "\\W",
            "\\d",
            "\\D",
            "\\s",
            "\\S",
            "\\b",
            "\\B",
            "^",
            "$",
            "[ab]",
            "[^a]",
            "[a-z0-9]+",
            "(?i)K",
            "(?i:S)",
            "[[:alpha:]]",
            "*",
            "+",
            "?",
            "{2}",
            "{0,3}",
            "|",
            "(",
            ")",
            "(?:",
            "(?=",
            "(?!",
            "(?<=",
            "\\1",
            "(?>",
            ".*",
            ".+?",
            "\\.",
            "\\Z",
            "\\A",
            "\\z",
            "\\x61",
            "\\p{L}",
            "ä",
            "[ä-ö]",
            "(?i)\u{212a}",
            "\\h",
            "\\R",
            "(?P<n>",
            "(?P=n)",
            "\\G",
        ];
        let hostnames = ["a", "sw", "k", "s1", "aab-b1", "sw12-a.b", "AB-ab", "k-s.k"];
        let mut random = StdRng::seed_from_u64(11);
        let (mut valid, mut matched) = (0, 0);
        for _ in 0..400 {
            let count = random.random_range(1..7);
            let pattern: String = (0..count)
                .map(|_| pieces[random.random_range(0..pieces.len())])
                .collect();
            for hostname in hostnames {
                let before = reference(&pattern, hostname);
                let Ok(compiled) = Pattern::new(pattern.clone()) else {
                    assert_eq!(before, None, "{pattern} is valid");
                    break;
                };
                let now = matches(&compiled, hostname);
                valid += 1;
                matched += u32::from(now == Ok(true));
                assert_eq!(now.ok(), before, "{pattern} {hostname}");
            }
        }
        assert!(valid > 500 && matched > 100, "{valid} {matched}");
    }

    #[test]
    fn a_match_without_back_tracking_costs_one_step() {
        for pattern in ["(a|aa)+$", "eosdist.*", "\\w+-\\w+", "(?i)A.*B.*C"] {
            let pattern = Pattern::new(pattern.to_owned()).unwrap();
            let mut steps = 10;
            let hostname = "a".repeat(60).parse().unwrap();
            assert!(pattern.matcher().matches(&hostname, &mut steps).is_ok());
            assert_eq!(steps, 9, "{pattern:?}");
        }
    }

    #[test]
    fn a_match_that_takes_too_long_ends() {
        let hostname = format!("{}-c", "a".repeat(50));
        // A back-reference needs back-tracking.
        let pattern = |text: &str| Pattern::new(text.to_owned()).unwrap();
        assert_eq!(
            matches(&pattern("(?:(a|aa)+)+\\1-b$"), &hostname),
            Err(TooManySteps)
        );
        assert_eq!(matches(&pattern("(?!lab-).*-fw[0-9]"), "site-fw1"), Ok(true));
        let pattern = Pattern::new("(?!lab-).*".to_owned()).unwrap();
        assert_eq!(
            pattern.matcher().matches(&"sw".parse().unwrap(), &mut 3),
            Err(TooManySteps)
        );
    }

    #[test]
    fn a_regex_is_bounded_in_length_and_compiled_size() {
        let error = |pattern: &str| Pattern::new(pattern.to_owned()).unwrap_err();
        assert!(matches!(error(&"a".repeat(8193)), PatternError::TooLong(8193)));
        for large in ["a{9999}{9}", "[ä-ö]{9999}", "(?=.{99999})x", "\\p{L}{900}"] {
            assert!(matches!(error(large), PatternError::TooLarge), "{large}");
        }
        assert!(matches!(error("("), PatternError::Invalid(_)));
        // What an operator may well write.
        let names: Vec<String> = (0..200)
            .map(|number| format!("access-sw{number:03}-building{}", number % 31))
            .collect();
        for fits in [
            "\\w{50}-\\w{50}",
            "(?i)ac-\\w+-\\d{2}",
            &format!("^({})$", names.join("|")),
            "räume-.*",
        ] {
            assert!(Pattern::new(fits.to_owned()).is_ok(), "{fits}");
        }
    }
}
