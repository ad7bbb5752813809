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
    /// The broker's objects, users and rights as RabbitMQ imports them, without passwords
    #[command(after_help = "Example:\n  lockstep schema broker > definitions.json")]
    Broker {
        /// The virtual host
        #[arg(long, default_value = "lockstep")]
        vhost: String,
        /// How the names of the users begin
        #[arg(long, value_name = "TEXT", default_value = "lockstep")]
        user_prefix: String,
    },
}

impl Schema {
    pub(super) fn run(self) -> ExitCode {
        match self.what {
            What::Messages => output::json(&schema::messages()),
            What::Asyncapi => output::json(&schema::asyncapi()),
            What::Openapi => output::json(&gateway::openapi()),
            What::Broker { vhost, user_prefix } => {
                output::json(&schema::broker_definitions(&vhost, &user_prefix));
            }
        }
        ExitCode::SUCCESS
    }
}
