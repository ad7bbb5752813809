use std::path::Path;

use anyhow::Result;
use serde_json::Value;

#[test]
fn the_committed_schema_is_that_of_the_code() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.json");
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_default())?;
    assert!(
        committed == lockstep_external::schema(),
        "write it again: lockstep schema provider > {}",
        path.display()
    );
    Ok(())
}
