use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::rest::TokenView;

use crate::cli::client::Client;
use crate::cli::{Global, output};

/// Show a stored token, without its secret
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep tokens show alice-laptop
  lockstep tokens show alice-laptop --json | jq -r .expires_at")]
pub(super) struct Show {
    /// Name of the token
    #[arg(value_name = "NAME")]
    name: String,
}

impl Show {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let token = Client::new(global)?.stored_token(&self.name).await?;
        print(&token, global.json);
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints a token.
pub(super) fn print(token: &TokenView, json: bool) {
    if json {
        output::json(token);
        return;
    }
    for line in fields(token) {
        output::line(&line);
    }
}

fn fields(token: &TokenView) -> Vec<String> {
    let time = |time: Option<jiff::Timestamp>| time.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let all = |texts: String, none: &str| if texts.is_empty() { none.to_owned() } else { texts };
    let pairs = [
        ("name", token.name.clone()),
        ("person", token.person.clone()),
        ("role", token.role.to_string()),
        ("active", if token.active { "yes" } else { "no" }.to_owned()),
        ("groups", all(joined(&token.groups), "all devices")),
        ("tasks", all(joined(&token.tasks), "all tasks")),
        ("reads", all(joined(&token.reads), "what the role reads")),
        (
            "sources",
            all(joined(&token.sources), "all that belong to nobody"),
        ),
        ("secret", format!("{}…", token.prefix)),
        ("created", format!("{} by {}", token.created_at, token.created_by)),
        ("expires", time(token.expires_at)),
        ("rotated", time(token.rotated_at)),
        ("former until", time(token.former_until)),
        ("revoked", time(token.revoked_at)),
        ("used", time(token.used_at)),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| format!("{name:<14}{value}"))
        .collect()
}

/// Texts in one line.
pub(super) fn joined<T: ToString>(texts: &[T]) -> String {
    let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
