//! Python's Jinja2, with the variables that Lockstep made, gives the same configurations.

use std::process::Command;

use anyhow::{Result, ensure};
use lockstep_testbed::python_with;

use super::{campus, render, text};

/// Renders as CNaaS NMS does. Secrets are masked in the variables, so this one is set.
const SCRIPT: &str = "
import json, sys
from jinja2 import Environment, FileSystemLoader
class Relative(Environment):
    def join_path(self, template, parent):
        return template
environment = Relative(loader=FileSystemLoader(sys.argv[1]), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
shown = json.load(sys.stdin)
variables = {name: variable['value'] for name, variable in shown.items()}
variables['TEMPLATE_SECRET_ENABLE'] = 'hush'
variables['host'] = type('Host', (), {'name': variables['hostname']})()
sys.stdout.write(environment.get_template(sys.argv[2]).render(**variables))
";

#[test]
fn jinja2_gives_the_same_configurations() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let python = python_with(folder.path(), &["jinja2"])?;
    for (host, template) in [
        ("a1", "access.j2"),
        ("a2", "access.j2"),
        ("d1", "dist.j2"),
        ("d2", "dist.j2"),
    ] {
        let variables = folder.path().join(format!("{host}.json"));
        std::fs::write(
            &variables,
            render(&campus(), host, &["--origins", "--json"])?.stdout,
        )?;
        let output = Command::new(&python)
            .args(["-c", SCRIPT])
            .arg(campus().join("templates/eos"))
            .arg(template)
            .stdin(std::fs::File::open(&variables)?)
            .output()?;
        ensure!(output.status.success(), "{host}: {}", text(&output.stderr));
        let ours = render(&campus(), host, &[])?;
        ensure!(
            ours.stdout == output.stdout,
            "{host}:\n{}\n{}",
            text(&ours.stdout),
            text(&output.stdout)
        );
    }
    Ok(())
}
