//! Writes the JSON Schemas or the AsyncAPI document to standard output.
//! `cargo run -p lockstep-protocol --features schema --example generate_schema messages`

use std::io::Write as _;

use lockstep_protocol::schema;

fn main() -> std::io::Result<()> {
    let document = match std::env::args().nth(1).as_deref() {
        Some("messages") => schema::messages(),
        Some("asyncapi") => schema::asyncapi(),
        _ => return Err(std::io::Error::other("say which: messages or asyncapi")),
    };
    writeln!(std::io::stdout(), "{document:#}")
}
