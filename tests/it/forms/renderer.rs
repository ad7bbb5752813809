//! Runs JSON Forms in node.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const PACKAGES: &[&str] = &[
    "@jsonforms/core@3.8.0",
    "@jsonforms/react@3.8.0",
    "@jsonforms/vanilla-renderers@3.8.0",
    "react@19.3.1",
    "react-dom@19.3.1",
];

/// A form with data.
#[derive(Debug, Serialize)]
pub(super) struct Case<'a> {
    pub(super) schema: &'a Value,
    pub(super) uischema: Option<&'a Value>,
    pub(super) data: Value,
}

/// What JSON Forms made of it.
#[derive(Debug, Deserialize)]
pub(super) struct Rendered {
    pub(super) html: String,
    /// `shown`, `hidden` or `empty`, by the scope of the control.
    pub(super) controls: BTreeMap<String, String>,
    pub(super) errors: Vec<FormError>,
    pub(super) warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FormError {
    path: String,
    keyword: String,
    #[expect(dead_code, reason = "it is shown when a test fails")]
    message: Option<String>,
}

impl Rendered {
    /// The paths of the errors. An `if` is no error of its own: what its `then` or `else` finds is one.
    pub(super) fn paths(&self) -> BTreeSet<String> {
        let errors = self.errors.iter().filter(|error| error.keyword != "if");
        errors.map(|error| error.path.clone()).collect()
    }

    /// The names of the properties whose controls are hidden.
    pub(super) fn hidden(&self) -> BTreeSet<String> {
        let hidden = self.controls.iter().filter(|(_, control)| *control == "hidden");
        hidden
            .map(|(scope, _)| scope.trim_start_matches("#/properties/").to_owned())
            .collect()
    }
}

/// JSON Forms, as a page of the documentation uses it.
#[derive(Debug)]
pub(super) struct Renderer(PathBuf);

impl Renderer {
    /// `program` exports `Form` and `renderers`.
    pub(super) fn new(folder: &Path, program: &str) -> Result<Self> {
        let modules = lockstep_testbed::node_with(Path::new(env!("CARGO_TARGET_TMPDIR")), PACKAGES)?;
        symlink(modules, folder.join("node_modules"))?;
        std::fs::write(folder.join("form.mjs"), program)?;
        let script = folder.join("render.mjs");
        std::fs::write(&script, include_str!("render.mjs"))?;
        Ok(Self(script))
    }

    pub(super) fn render(&self, cases: &[Case<'_>]) -> Result<Vec<Rendered>> {
        let mut node = Command::new("node")
            .arg(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("run node")?;
        // The script reads all before it writes.
        let mut input = node.stdin.take().context("no input")?;
        input.write_all(&serde_json::to_vec(cases)?)?;
        drop(input);
        let output = node.wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{errors}");
        let rendered: Vec<Rendered> = serde_json::from_slice(&output.stdout)?;
        ensure!(
            rendered.len() == cases.len(),
            "{} of {}",
            rendered.len(),
            cases.len()
        );
        Ok(rendered)
    }
}
