use std::collections::BTreeSet;

use lockstep_http::TypePattern;
use secrecy::{ExposeSecret, SecretString};

use super::reader::Reader;

/// One of `[[console.tokens]]` or `[[gateway.tokens]]`
#[derive(Debug)]
pub(crate) struct TokenConfig {
    /// The `actor` of everything that is published with it.
    pub(crate) name: String,
    pub(crate) token: SecretString,
    /// The message types it may publish. Without any, it can only read.
    pub(crate) types: Vec<TypePattern>,
}

impl TokenConfig {
    /// Reads all tokens of a list. Each needs a name and a secret that no other has.
    pub(super) fn list(reader: &mut Reader, list: &str) -> Vec<Self> {
        let count = reader.count(list);
        let mut names = BTreeSet::new();
        let tokens: Vec<Self> = (0..count)
            .filter_map(|index| Self::of(reader, &format!("{list}[{index}]"), &mut names))
            .collect();
        let secrets: BTreeSet<&str> = tokens.iter().map(|token| token.token.expose_secret()).collect();
        if secrets.len() < tokens.len() {
            let reason = "two entries have the same token; each needs its own";
            reader.problem(list, None, reason);
        }
        tokens
    }

    fn of(reader: &mut Reader, place: &str, names: &mut BTreeSet<String>) -> Option<Self> {
        let key = |name: &str| format!("{place}.{name}");
        let origin = reader
            .origin(&key("name"))
            .or_else(|| reader.origin(&key("types")));
        let name = reader.text(&key("name"));
        let token = reader.long_secret(&key("token"));
        let types = reader.list(&key("types"), Vec::new());
        if token.is_none() {
            reader.problem(
                &key("token"),
                origin.as_ref(),
                "is missing; set token or token_file",
            );
        }
        match &name {
            None => reader.problem(
                &key("name"),
                origin.as_ref(),
                "is missing; set the name that becomes the actor of published messages",
            ),
            Some(name) if !name_fits(name) => {
                let reason = "must be 1 to 64 letters, digits, dots, hyphens, underscores or @";
                reader.problem(&key("name"), origin.as_ref(), reason);
            }
            Some(name) if !names.insert(name.clone()) => {
                reader.problem(
                    &key("name"),
                    origin.as_ref(),
                    format!("{name:?} is already the name of another token"),
                );
            }
            Some(_) => {}
        }
        Some(Self {
            name: name?,
            token: token?,
            types,
        })
    }
}

fn name_fits(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
    (1..=64).contains(&name.len()) && name.chars().all(fits)
}
