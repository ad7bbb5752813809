//! Bounds of the text of a request, checked before anything that takes more than linear time or stack: the parser descends into each
//! bracket, and validation walks through a fragment again each time it is used.

use std::collections::HashMap;

use async_graphql::Name;
use async_graphql::parser::types::{
    ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet,
};

/// The most bytes of the text of a request. Large values belong into its variables.
const MAX_BYTES: usize = 256 * 1024;
/// How deep brackets of any kind may be nested.
const MAX_NESTING: usize = 40;
/// The most fields of a request, with those of a fragment counted each time it is used.
const MAX_FIELDS: usize = 2000;
/// The most operations and fragments of a request.
const MAX_DEFINITIONS: usize = 100;
/// The most mutations of a request. They run one after another, and each publishes a message.
const MAX_MUTATIONS: usize = 20;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DocumentError {
    #[error("the query has more than {MAX_BYTES} bytes; pass large values as variables")]
    Bytes,
    #[error("brackets are nested more than {MAX_NESTING} deep")]
    Nesting,
    #[error(
        "the query selects more than {MAX_FIELDS} fields, counting those of a fragment each time it is used"
    )]
    Fields,
    #[error("the query has more than {MAX_DEFINITIONS} operations and fragments")]
    Definitions,
    #[error("the query has more than {MAX_MUTATIONS} mutations; send them in several requests")]
    Mutations,
    #[error("a fragment uses itself")]
    Cycle,
}

/// Checks a text before it is parsed.
///
/// # Errors
/// The first bound that it exceeds.
pub(super) fn check_text(query: &str) -> Result<(), DocumentError> {
    if query.len() > MAX_BYTES {
        return Err(DocumentError::Bytes);
    }
    if nesting(query.as_bytes()) > MAX_NESTING {
        return Err(DocumentError::Nesting);
    }
    Ok(())
}

/// How deep brackets are nested, outside of strings and comments.
fn nesting(mut text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    while let Some((&byte, rest)) = text.split_first() {
        text = match byte {
            b'"' => after_string(text),
            b'#' => after(rest, |rest| matches!(rest[0], b'\n' | b'\r')),
            b'{' | b'[' | b'(' => {
                depth += 1;
                deepest = deepest.max(depth);
                rest
            }
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                rest
            }
            _ => rest,
        };
    }
    deepest
}

/// What follows a string that begins here.
fn after_string(text: &[u8]) -> &[u8] {
    if let Some(mut rest) = text.strip_prefix(b"\"\"\"") {
        while !rest.is_empty() {
            if let Some(end) = rest.strip_prefix(b"\"\"\"") {
                return end;
            }
            rest = rest.strip_prefix(b"\\\"\"\"").unwrap_or(&rest[1..]);
        }
        return rest;
    }
    let mut rest = &text[1..];
    while let Some((&byte, next)) = rest.split_first() {
        match byte {
            // A line ends a string that is not closed; what follows counts.
            b'"' | b'\n' | b'\r' => return next,
            b'\\' => rest = next.get(1..).unwrap_or_default(),
            _ => rest = next,
        }
    }
    rest
}

/// The rest that begins where this is the case.
fn after(mut text: &[u8], ends: impl Fn(&[u8]) -> bool) -> &[u8] {
    while !text.is_empty() && !ends(text) {
        text = &text[1..];
    }
    text
}

/// Checks a document before it is validated.
///
/// # Errors
/// The first bound that it exceeds.
pub(super) fn check(document: &ExecutableDocument) -> Result<(), DocumentError> {
    let operations: Vec<&OperationDefinition> = document
        .operations
        .iter()
        .map(|(_, operation)| &operation.node)
        .collect();
    if operations.len() + document.fragments.len() > MAX_DEFINITIONS {
        return Err(DocumentError::Definitions);
    }
    let mut fields = Fields {
        document,
        all: Counts::default(),
        top: Counts::default(),
    };
    // Validation visits unused fragments, too.
    let mut all = 0;
    for name in document.fragments.keys() {
        all += fields.of_fragment(name, false)?;
    }
    for operation in operations {
        all += fields.of(&operation.selection_set.node, false)?;
        if operation.ty == OperationType::Mutation
            && fields.of(&operation.selection_set.node, true)? > MAX_MUTATIONS
        {
            return Err(DocumentError::Mutations);
        }
        if all > MAX_FIELDS {
            return Err(DocumentError::Fields);
        }
    }
    Ok(())
}

/// The counts of fragments; `None` while one is being counted.
type Counts<'a> = HashMap<&'a Name, Option<usize>>;

/// Counts fields, each fragment once.
struct Fields<'a> {
    document: &'a ExecutableDocument,
    all: Counts<'a>,
    top: Counts<'a>,
}

impl<'a> Fields<'a> {
    /// The fields of a selection with its fragments; with `top`, without what is below them. An error as soon as there are too many,
    /// so the numbers stay small.
    fn of(&mut self, set: &'a SelectionSet, top: bool) -> Result<usize, DocumentError> {
        let mut count = 0_usize;
        for selection in &set.items {
            count += match &selection.node {
                Selection::Field(_) if top => 1,
                Selection::Field(field) => 1 + self.of(&field.node.selection_set.node, top)?,
                Selection::InlineFragment(fragment) => self.of(&fragment.node.selection_set.node, top)?,
                Selection::FragmentSpread(spread) => {
                    self.of_fragment(&spread.node.fragment_name.node, top)?
                }
            };
            if count > MAX_FIELDS {
                return Err(DocumentError::Fields);
            }
        }
        Ok(count)
    }

    /// The fields of a fragment; none of one that does not exist, which validation reports.
    fn of_fragment(&mut self, name: &Name, top: bool) -> Result<usize, DocumentError> {
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
            return Ok(0);
        };
        match self.counts(top).get(name) {
            Some(Some(count)) => return Ok(*count),
            Some(None) => return Err(DocumentError::Cycle),
            None => {}
        }
        self.counts(top).insert(name, None);
        let count = self.of(&fragment.node.selection_set.node, top)?;
        self.counts(top).insert(name, Some(count));
        Ok(count)
    }

    fn counts(&mut self, top: bool) -> &mut Counts<'a> {
        if top { &mut self.top } else { &mut self.all }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    #[test]
    fn brackets_count_outside_of_strings_and_comments() {
        let table = [
            ("", 0),
            ("{a{b}c{d}}", 2),
            ("{a(x:[{y:[1]}])}", 5),
            (r#"{a(x:"{{{[[[")}"#, 2),
            (r#"{a(x:"\"{{{")}"#, 2),
            (r#"{a(x:"""{{ " \""" {{""")}"#, 2),
            ("# {{{{\n{a}", 1),
            ("# {{{{\r{a{b}}", 2),
            ("}}}{a{b}}", 2),
            // An open string hides only what is on its line.
            ("{a(x:\"{{\n{{{", 5),
            (r#"{a(x:"\"#, 2),
        ];
        for (text, expected) in table {
            assert_eq!(nesting(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_or_too_deep_is_refused_before_it_is_parsed() {
        let table = [
            ("{a".repeat(MAX_NESTING), Ok(())),
            ("{a".repeat(100_000), Err(DocumentError::Nesting)),
            (
                format!("{{a(x:{}", "[".repeat(100_000)),
                Err(DocumentError::Nesting),
            ),
            ("a".repeat(MAX_BYTES + 1), Err(DocumentError::Bytes)),
        ];
        for (text, expected) in table {
            assert_eq!(check_text(&text), expected, "{} bytes", text.len());
        }
    }

    #[test]
    fn fields_count_each_time_a_fragment_is_used() {
        let doubling = |levels: usize| {
            let mut text = "{...f0} ".to_owned();
            for level in 0..levels {
                let next = level + 1;
                text = format!("{text}fragment f{level} on Query {{...f{next} ...f{next}}} ");
            }
            text + &format!("fragment f{levels} on Query {{a}}")
        };
        let aliases = |number: usize| {
            let fields: Vec<String> = (0..number).map(|index| format!("a{index}:b")).collect();
            format!("{{{}}}", fields.join(" "))
        };
        let table = [
            (aliases(2000), Ok(())),
            (aliases(2001), Err(DocumentError::Fields)),
            (aliases(10_000), Err(DocumentError::Fields)),
            (doubling(8), Ok(())),
            (doubling(60), Err(DocumentError::Fields)),
            (
                "{...a} fragment a on Query {...a}".to_owned(),
                Err(DocumentError::Cycle),
            ),
            (
                "{b} fragment a on Query {x{...c}} fragment c on Query {... {...a}}".to_owned(),
                Err(DocumentError::Cycle),
            ),
            ("{...missing}".to_owned(), Ok(())),
            (
                (0..101)
                    .map(|index| format!("query q{index} {{a}}"))
                    .collect::<Vec<_>>()
                    .join(" "),
                Err(DocumentError::Definitions),
            ),
        ];
        for (text, expected) in table {
            let document = parse_query(&text).unwrap();
            assert_eq!(check(&document), expected, "{}", &text[..text.len().min(60)]);
        }
    }

    #[test]
    fn mutations_are_bounded_however_they_are_written() {
        let twenty: Vec<String> = (0..20).map(|index| format!("a{index}:m{{b c}}")).collect();
        let twenty = twenty.join(" ");
        let table = [
            (format!("mutation {{{twenty}}}"), Ok(())),
            (
                format!("mutation {{{twenty} m{{b}}}}"),
                Err(DocumentError::Mutations),
            ),
            (
                format!("mutation {{...f m{{b}}}} fragment f on Mutation {{... {{{twenty}}}}}"),
                Err(DocumentError::Mutations),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(check(&parse_query(&text).unwrap()), expected, "{text}");
        }
    }
}
