use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use lockstep_producer::gateway;
use lockstep_protocol::schema;

use super::output;

/// Print the schemas of messages and APIs, and the broker's definitions
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep schema messages > messages.schema.json
  lockstep schema broker > definitions.json")]
pub(super) struct Schema {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the JSON Schemas of all messages
    #[command(after_help = "Example:\n  lockstep schema messages > messages.schema.json")]
    Messages,
    /// Print the `AsyncAPI` 3 document: exchanges, queues and messages
    #[command(after_help = "Example:\n  lockstep schema asyncapi > asyncapi.json")]
    Asyncapi,
    /// Print the `OpenAPI` 3 document of the gateway or the console
    #[command(after_help = "Examples:
  lockstep schema openapi > openapi.json
  lockstep schema openapi console > openapi.json")]
    Openapi {
        /// Server whose document is printed; it serves it at /openapi.json, too
        #[arg(value_enum, default_value = "gateway")]
        server: Server,
    },
    /// Print the schema of the console's GraphQL, in its schema definition language
    #[command(after_help = "Example:\n  lockstep schema graphql > schema.graphql")]
    Graphql,
    /// Print the JSON Schema of external providers: their description, and what they and workers say to each other
    #[command(after_help = "Example:\n  lockstep schema provider > provider.schema.json")]
    Provider,
    /// Print the broker's users, permissions, exchanges, queues and policies as a RabbitMQ definitions file
    ///
    /// The file has no passwords: its users cannot log in until an administrator sets one. `lockstep doctor --setup-broker` makes the
    /// same objects, and the passwords, by the management API.
    #[command(after_help = "Examples:
  lockstep schema broker > definitions.json
  lockstep schema broker --vhost network --user-prefix network > definitions.json
  rabbitmqctl import_definitions definitions.json")]
    Broker {
        /// Virtual host of the objects
        #[arg(long, default_value = "lockstep")]
        vhost: String,
        /// Prefix of the names of the users
        #[arg(long, value_name = "TEXT", default_value = "lockstep")]
        user_prefix: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Server {
    Gateway,
    Console,
}

impl Schema {
    pub(super) fn run(self) -> ExitCode {
        match self.what {
            What::Messages => output::json(&schema::messages()),
            What::Asyncapi => output::json(&schema::asyncapi()),
            What::Openapi { server } => output::json(&match server {
                Server::Gateway => gateway::openapi(),
                Server::Console => lockstep_api::openapi::document(),
            }),
            What::Graphql => output::data(&lockstep_api::graphql::document()),
            What::Provider => output::json(&lockstep_external::schema()),
            What::Broker { vhost, user_prefix } => {
                output::json(&schema::broker_definitions(&vhost, &user_prefix));
            }
        }
        ExitCode::SUCCESS
    }
}
