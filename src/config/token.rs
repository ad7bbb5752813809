use std::collections::BTreeSet;

use lockstep_http::{ReadScope, Token, is_token_name};
use lockstep_protocol::{Role, SourcePattern, TypePattern};
use secrecy::{ExposeSecret, SecretString};

use super::reader::Reader;

/// One of `[[console.tokens]]` or `[[gateway.tokens]]`
#[derive(Debug)]
pub(crate) struct TokenConfig {
    /// Its name; without a person, the `actor` of everything that is published with it.
    pub(crate) name: String,
    /// The person or the service that it belongs to: the `actor`.
    pub(crate) person: Option<String>,
    /// What it may do at most.
    pub(crate) role: Option<Role>,
    pub(crate) token: SecretString,
    /// The message types it may publish. Without any, it can only read.
    pub(crate) types: Vec<TypePattern>,
    /// The sources that belong to it: it may use only these, and nobody else may use them. Without any, it may use every source
    /// that belongs to nobody.
    pub(crate) sources: Vec<SourcePattern>,
    /// What it may read at the console. `None`: everything, or nothing for a token that publishes only events.
    pub(crate) reads: Option<Vec<ReadScope>>,
}

impl TokenConfig {
    /// The token as a server knows it.
    pub(crate) fn token(&self) -> Token {
        let token = Token::new(&self.name, &self.token, self.types.clone())
            .with_sources(self.sources.clone())
            .with_person(self.person.clone());
        let token = match self.role {
            Some(role) => token.with_role(role),
            None => token,
        };
        match &self.reads {
            Some(reads) => token.with_reads(reads.iter().copied()),
            None => token,
        }
    }

    /// Reads all tokens of a list. Each needs a name and a secret that no other has. `reads`: whether the server has something to
    /// read.
    pub(super) fn list(reader: &mut Reader, list: &str, reads: bool) -> Vec<Self> {
        let count = reader.count(list);
        let mut names = BTreeSet::new();
        let tokens: Vec<Self> = (0..count)
            .filter_map(|index| Self::of(reader, &format!("{list}[{index}]"), reads, &mut names))
            .collect();
        let secrets: BTreeSet<&str> = tokens.iter().map(|token| token.token.expose_secret()).collect();
        if secrets.len() < tokens.len() {
            let reason = "two entries have the same token; each needs its own";
            reader.problem(list, None, reason);
        }
        tokens
    }

    fn of(reader: &mut Reader, place: &str, reads: bool, names: &mut BTreeSet<String>) -> Option<Self> {
        let key = |name: &str| format!("{place}.{name}");
        let origin = reader
            .origin(&key("name"))
            .or_else(|| reader.origin(&key("types")));
        let name = reader.text(&key("name"));
        let token = reader.long_secret(&key("token"));
        let person = reads.then(|| reader.text(&key("person"))).flatten();
        if let Some(person) = person.as_deref().filter(|person| !is_token_name(person)) {
            let reason =
                format!("is {person:?}, must be 1 to 64 letters, digits, dots, hyphens, underscores or @");
            reader.problem(&key("person"), origin.as_ref(), reason);
        }
        let role = if reads {
            reader.optional(&key("role"), "viewer, operator, approver or admin")
        } else {
            None
        };
        // A role says which types there are; without it, a token without types only reads.
        let default = if role.is_some() {
            vec![TypePattern::ALL]
        } else {
            Vec::new()
        };
        let types = reader.list(&key("types"), default);
        let sources = reader.list(&key("sources"), Vec::new());
        let is_set = reads && reader.origin(&key("reads")).is_some();
        let reads = is_set.then(|| reader.list(&key("reads"), Vec::new()));
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
            Some(name) if !is_token_name(name) => {
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
            person,
            role,
            token: token?,
            types,
            sources,
            reads,
        })
    }
}
