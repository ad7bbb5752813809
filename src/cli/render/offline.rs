use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use lockstep_intent::fleet::DeviceTypes;
use lockstep_protocol::{DeviceType, Hostname};
use lockstep_render::{RenderError, read_overlay};

use super::{Render, variables};
use crate::cli::{Global, output};
use crate::config::Overrides;
use crate::inventory::read_file;
use crate::offline::{Offline, Surroundings, files};
use crate::terminal::Failure;

/// Renders from folders.
pub(super) fn run(
    command: &Render,
    settings: &Path,
    templates: &Path,
    devices: &Path,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let config = global.configuration(Overrides::default())?;
    let surroundings = inventory(devices, command.default_type.clone(), &config.devices.types)?;
    let overlay = match &command.variables {
        None => None,
        Some(file) => {
            let name = file.display().to_string();
            let bytes = std::fs::read(file).with_context(|| format!("cannot read {name}"))?;
            match read_overlay(name.as_bytes(), &bytes) {
                Ok(overlay) => Some(overlay),
                Err(problem) => {
                    output::error(&problem.to_string());
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
    };
    let Some(mut device) = surroundings.facts(&command.host) else {
        output::error(&unknown(&command.host, &surroundings, devices));
        return Ok(ExitCode::FAILURE);
    };
    let offline = Offline::new(
        files(settings)?,
        files(templates)?,
        overlay,
        &config.render,
        &config.devices,
    )?;
    if let Ok(Some(branch)) = offline.settings.templates_branch(&command.host) {
        output::note(&format!(
            "the primary group of {} names the branch {branch} of the templates; {} must be a folder of that branch",
            command.host,
            templates.display()
        ));
    }
    let failed = |error: &RenderError| {
        output::failure(&failure(error));
        ExitCode::FAILURE
    };
    if command.origins {
        let named = surroundings.add_named(&mut device, &offline.settings);
        return Ok(
            match named.and_then(|()| offline.rendering().variables(&device)) {
                Ok(found) => {
                    variables::show(&found, global.json);
                    ExitCode::SUCCESS
                }
                Err(error) => failed(&error),
            },
        );
    }
    Ok(match offline.render(device, &surroundings) {
        Ok(text) if global.json => {
            output::json(&serde_json::json!({"hostname": command.host, "configuration": text}));
            ExitCode::SUCCESS
        }
        Ok(text) => {
            output::data(&text);
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    })
}

/// The devices of an inventory with their surroundings. Warnings go to stderr.
pub(in crate::cli) fn inventory(
    file: &Path,
    default_type: Option<DeviceType>,
    types: &DeviceTypes,
) -> anyhow::Result<Surroundings> {
    let inventory = read_file(file, default_type, types)?;
    for warning in &inventory.warnings {
        output::note(&format!("warning: {warning}"));
    }
    Ok(Surroundings::new(inventory))
}

/// The failure of a configuration that cannot be rendered: the first line says why, the others where.
fn failure(error: &RenderError) -> Failure {
    let text = error.to_string();
    let mut lines = text.lines();
    let mut failure = Failure::new("render-failed", lines.next().unwrap_or_default());
    failure.details = lines.map(str::to_owned).collect();
    failure
}

fn unknown(host: &Hostname, surroundings: &Surroundings, file: &Path) -> String {
    let all = surroundings.hostnames();
    let similar = all.iter().filter(|known| {
        let (known, host) = (known.folded(), host.folded());
        known.starts_with(&host) || host.starts_with(&known)
    });
    let similar: Vec<&str> = similar.take(3).map(|known| known.as_str()).collect();
    let hint = match similar[..] {
        [] => String::new(),
        _ => format!("; did you mean {}?", similar.join(" or ")),
    };
    format!("{} has no device {host}{hint}", file.display())
}
