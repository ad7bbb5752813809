use std::process::ExitCode;

use clap::{Args, Subcommand};
use lockstep_producer::gateway;
use lockstep_protocol::schema;

use super::output;

/// Prints the contract: what messages look like and where they go
#[derive(Debug, Args)]
pub(super) struct Schema {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// JSON Schemas of all messages
    #[command(after_help = "Example:\n  lockstep schema messages > messages.schema.json")]
    Messages,
    /// The `AsyncAPI` 3 document
    #[command(after_help = "Example:\n  lockstep schema asyncapi > asyncapi.json")]
    Asyncapi,
    /// The `OpenAPI` 3 document of the gateway
    #[command(after_help = "Example:\n  lockstep schema openapi > openapi.json")]
    Openapi,
}

impl Schema {
    pub(super) fn run(self) -> ExitCode {
        match self.what {
            What::Messages => output::json(&schema::messages()),
            What::Asyncapi => output::json(&schema::asyncapi()),
            What::Openapi => output::json(&gateway::openapi()),
        }
        ExitCode::SUCCESS
    }
}
