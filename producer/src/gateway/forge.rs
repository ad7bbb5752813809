use std::fmt;

use super::headers::Headers;
use super::rejection::WebhookRejection;

/// The forges whose webhooks the gateway accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forge {
    /// GitHub, including Enterprise Server.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea.
    Gitea,
    /// Forgejo.
    Forgejo,
    /// Bitbucket Cloud.
    Bitbucket,
}

impl Forge {
    /// Every forge.
    pub const ALL: [Self; 5] = [
        Self::Github,
        Self::Gitlab,
        Self::Gitea,
        Self::Forgejo,
        Self::Bitbucket,
    ];

    /// The forge's name in paths.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
            Self::Forgejo => "forgejo",
            Self::Bitbucket => "bitbucket",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|forge| forge.as_str() == name)
    }

    /// Whether a header of this name is specific to this forge.
    fn is_indicated_by(self, name: &str) -> bool {
        match self {
            Self::Github => name.starts_with("x-github-"),
            Self::Gitlab => name.starts_with("x-gitlab-") || name == "webhook-signature",
            Self::Gitea => name.starts_with("x-gitea-"),
            Self::Forgejo => name.starts_with("x-forgejo-"),
            Self::Bitbucket => matches!(name, "x-event-key" | "x-hook-uuid"),
        }
    }

    /// Other forges whose headers this forge sends in addition to its own.
    fn also_indicates(self) -> &'static [Self] {
        match self {
            Self::Forgejo => &[Self::Gitea, Self::Github],
            Self::Gitea => &[Self::Github],
            Self::Github | Self::Gitlab | Self::Bitbucket => &[],
        }
    }

    /// Signature headers that this forge never sends.
    fn unexpected_signatures(self) -> &'static [&'static str] {
        match self {
            Self::Gitlab => &["x-hub-signature", "x-hub-signature-256"],
            Self::Bitbucket => &["x-hub-signature-256"],
            Self::Github | Self::Gitea | Self::Forgejo => &[],
        }
    }

    /// Checks that the headers can be from this forge. A mix is refused: one forge's signature must not authenticate a
    /// request that is read by another forge's headers.
    pub(super) fn check(self, headers: Headers<'_>) -> Result<(), WebhookRejection> {
        let mut found = [false; Self::ALL.len()];
        for name in headers.names() {
            for (forge, found) in Self::ALL.into_iter().zip(&mut found) {
                *found |= forge.is_indicated_by(name);
            }
        }
        let indicated = || {
            let all = Self::ALL.into_iter().zip(found);
            all.filter_map(|(forge, found)| found.then_some(forge))
        };
        let explains = |forge: Self| {
            let expected = |other: Self| other == forge || forge.also_indicates().contains(&other);
            indicated().all(expected)
        };
        if !explains(self) {
            let sender = indicated().find(|forge| explains(*forge));
            return Err(WebhookRejection::Sender(match sender {
                Some(sender) => {
                    format!(
                        "the headers are those of {sender}: configure the webhook with /webhooks/{sender}/…, not with /webhooks/{self}/…"
                    )
                }
                None => format!("the headers are those of {} at once", list(indicated())),
            }));
        }
        match self.unexpected_signatures().iter().find(|name| headers.has(name)) {
            Some(name) => Err(WebhookRejection::Sender(format!("{self} does not send {name}"))),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Forge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn list(forges: impl Iterator<Item = Forge>) -> String {
    let names: Vec<&str> = forges.map(Forge::as_str).collect();
    names.join(" and ")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    const GITHUB: &[&str] = &[
        "x-github-event",
        "x-github-delivery",
        "x-hub-signature",
        "x-hub-signature-256",
    ];
    const GITEA: &[&str] = &["x-gitea-event", "x-gitea-signature", "x-gogs-event"];
    const FORGEJO: &[&str] = &["x-forgejo-event", "x-forgejo-signature"];
    const GITLAB: &[&str] = &["x-gitlab-event", "x-gitlab-token"];
    const SIGNED: &[&str] = &["webhook-id", "webhook-timestamp", "webhook-signature"];
    const BITBUCKET: &[&str] = &["x-event-key", "x-hook-uuid", "x-hub-signature"];

    fn check(forge: Forge, sets: &[&[&'static str]]) -> Result<(), WebhookRejection> {
        let names = sets.iter().copied().flatten();
        let headers: HeaderMap = names
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("x")))
            .collect();
        forge.check(Headers(&headers))
    }

    #[test]
    fn the_headers_of_each_forge_are_accepted() {
        let table: &[(Forge, &[&[&'static str]])] = &[
            (Forge::Github, &[GITHUB]),
            (Forge::Gitea, &[GITEA, GITHUB]),
            (Forge::Forgejo, &[FORGEJO, GITEA, GITHUB]),
            (Forge::Gitlab, &[GITLAB]),
            (Forge::Gitlab, &[GITLAB, SIGNED]),
            (Forge::Bitbucket, &[BITBUCKET]),
            // Without any headers: the missing signature is found later.
            (Forge::Github, &[]),
        ];
        for (forge, sets) in table {
            assert_eq!(check(*forge, sets), Ok(()), "{forge} {sets:?}");
        }
    }

    #[test]
    fn headers_of_other_forges_are_refused_with_the_forge_named() {
        let table: &[(Forge, &[&[&'static str]], &str)] = &[
            (Forge::Github, &[GITEA, GITHUB], "those of gitea"),
            (Forge::Github, &[FORGEJO, GITEA, GITHUB], "those of forgejo"),
            (Forge::Gitea, &[FORGEJO, GITEA, GITHUB], "those of forgejo"),
            (Forge::Gitea, &[GITLAB], "those of gitlab"),
            (
                Forge::Github,
                &[GITHUB, GITLAB],
                "those of github and gitlab at once",
            ),
            (
                Forge::Github,
                &[GITHUB, SIGNED],
                "those of github and gitlab at once",
            ),
            (
                Forge::Gitlab,
                &[GITLAB, &["x-hub-signature-256"]],
                "does not send x-hub-signature-256",
            ),
            (
                Forge::Bitbucket,
                &[BITBUCKET, &["x-hub-signature-256"]],
                "does not send x-hub-signature-256",
            ),
            (Forge::Bitbucket, &[GITHUB], "those of github"),
            (
                Forge::Github,
                &[GITHUB, BITBUCKET],
                "github and bitbucket at once",
            ),
        ];
        for (forge, sets, expected) in table {
            let Err(WebhookRejection::Sender(said)) = check(*forge, sets) else {
                panic!("{forge} {sets:?}")
            };
            assert!(said.contains(expected), "{said}");
        }
    }
}
