use std::fmt;

use super::headers::Headers;
use super::rejection::WebhookRejection;

/// Who sends webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forge {
    /// GitHub, also Enterprise Server.
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
    /// Every forge there is.
    pub const ALL: [Self; 5] = [
        Self::Github,
        Self::Gitlab,
        Self::Gitea,
        Self::Forgejo,
        Self::Bitbucket,
    ];

    /// Its name in paths.
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

    /// Whether it left its mark in the headers.
    fn marked(self, headers: Headers<'_>) -> bool {
        match self {
            Self::Github => headers.has_any("x-github-"),
            Self::Gitlab => headers.has_any("x-gitlab-") || headers.has("webhook-signature"),
            Self::Gitea => headers.has_any("x-gitea-"),
            Self::Forgejo => headers.has_any("x-forgejo-"),
            Self::Bitbucket => headers.has("x-event-key") || headers.has("x-hook-uuid"),
        }
    }

    /// Whose marks it leaves besides its own.
    fn imitates(self) -> &'static [Self] {
        match self {
            Self::Forgejo => &[Self::Gitea, Self::Github],
            Self::Gitea => &[Self::Github],
            Self::Github | Self::Gitlab | Self::Bitbucket => &[],
        }
    }

    /// Signatures it never sends.
    fn foreign_signatures(self) -> &'static [&'static str] {
        match self {
            Self::Gitlab => &["x-hub-signature", "x-hub-signature-256"],
            Self::Bitbucket => &["x-hub-signature-256"],
            Self::Github | Self::Gitea | Self::Forgejo => &[],
        }
    }

    /// Whether the headers may be those of this forge. A mix is refused: what one proves, another would decide.
    pub(super) fn check(self, headers: Headers<'_>) -> Result<(), WebhookRejection> {
        let marks: Vec<Self> = Self::ALL
            .into_iter()
            .filter(|forge| forge.marked(headers))
            .collect();
        let explains = |forge: Self| {
            let own = |mark: &Self| *mark == forge || forge.imitates().contains(mark);
            marks.iter().all(own)
        };
        if !explains(self) {
            let sender = marks.iter().copied().find(|forge| explains(*forge));
            return Err(WebhookRejection::Sender(match sender {
                Some(sender) => {
                    format!(
                        "they are those of {sender}: let it send to /webhooks/{sender}/…, not to /webhooks/{self}/…"
                    )
                }
                None => format!("they are those of {} at once", list(&marks)),
            }));
        }
        match self.foreign_signatures().iter().find(|name| headers.has(name)) {
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

fn list(forges: &[Forge]) -> String {
    let names: Vec<&str> = forges.iter().map(|forge| forge.as_str()).collect();
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
    fn each_forge_may_send_what_it_sends() {
        let table: &[(Forge, &[&[&'static str]])] = &[
            (Forge::Github, &[GITHUB]),
            (Forge::Gitea, &[GITEA, GITHUB]),
            (Forge::Forgejo, &[FORGEJO, GITEA, GITHUB]),
            (Forge::Gitlab, &[GITLAB]),
            (Forge::Gitlab, &[GITLAB, SIGNED]),
            (Forge::Bitbucket, &[BITBUCKET]),
            // Nothing at all: that it is not signed is found later.
            (Forge::Github, &[]),
        ];
        for (forge, sets) in table {
            assert_eq!(check(*forge, sets), Ok(()), "{forge} {sets:?}");
        }
    }

    #[test]
    fn a_mix_is_refused_and_says_whose_headers_they_are() {
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
