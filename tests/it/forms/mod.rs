//! JSON Forms renders the forms of every built-in provider, and of a task with arguments of its own, as `docs/how-to/forms.md` says.

mod cases;
mod renderer;

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use lockstep_execution::{ArgumentsError, check_arguments};
use lockstep_protocol::rest::{ProviderView, TaskForm};
use serde_json::{Value, json};

use self::cases::Tables;
use self::renderer::{Case, Rendered, Renderer};
use crate::system::{Process, shell};

const PAGE: &str = include_str!("../../../docs/how-to/forms.md");

/// A running `lockstep up` with the task of the page.
struct Site {
    folder: tempfile::TempDir,
    process: Process,
}

impl Site {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let arguments = ["up", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"];
        let process = Process::start(folder.path(), &arguments, &[])?;
        process.prints("lockstep messages show").await?;
        let site = Self { folder, process };
        std::fs::write(site.folder.path().join("vlan.yml"), block(PAGE, "yaml")?)?;
        let fleet = "- {hostname: sw1, device_type: ACCESS, platform: eos, synchronized: true}\n";
        std::fs::write(site.folder.path().join("fleet.yml"), fleet)?;
        site.shell("lockstep devices import fleet.yml")?;
        Ok(site)
    }

    fn shell(&self, script: &str) -> Result<String> {
        shell(self.folder.path(), script)
    }

    fn json<T: serde::de::DeserializeOwned>(&self, command: &str) -> Result<T> {
        Ok(serde_json::from_str(&self.shell(&format!("{command} --json"))?)?)
    }

    /// The providers as the command shows them.
    fn providers(&self) -> Result<Vec<ProviderView>> {
        let listed: Vec<Value> = self.json("lockstep providers list")?;
        let names = listed
            .iter()
            .map(|provider| provider["name"].as_str().context("no name"));
        names
            .map(|name| self.json(&format!("lockstep providers show {}", name?)))
            .collect()
    }
}

/// The first block of a page in this language.
fn block(page: &'static str, language: &str) -> Result<&'static str> {
    let fence = format!("```{language}\n");
    let (_, rest) = page
        .split_once(&fence)
        .with_context(|| format!("no block of {language}"))?;
    Ok(rest.split_once("```").context("a block without an end")?.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn json_forms_renders_the_forms_of_every_provider_and_of_a_task() -> Result<()> {
    let site = Site::start().await?;
    let renderer = Renderer::new(site.folder.path(), block(PAGE, "js")?)?;
    let providers = site.providers()?;
    ensure!(!providers.is_empty());
    let mut forms = Vec::new();
    for provider in providers {
        let name = provider.name;
        forms.push((format!("{name}, task"), provider.json_schema, provider.ui_schema));
        let run = (provider.run_input_json_schema, provider.run_input_ui_schema);
        forms.push((format!("{name}, run"), run.0, run.1));
    }
    site.shell(block(PAGE, "sh")?)?;
    let form: TaskForm = site.json("lockstep tasks form 'vlan is there'")?;
    ensure!(
        form.arguments["check_key"] == "vlan" && form.provider == "template_check",
        "{form:?}"
    );
    ensure!(
        form.json_schema["properties"]["template"]["x-display"] == "editor-jinja2",
        "{form:?}"
    );
    let run = (form.run_input_json_schema, form.run_input_ui_schema);
    forms.push(("vlan is there, run".to_owned(), run.0, run.1));

    let tables: Vec<Tables> = forms.iter().map(|(name, _, _)| cases::of(name)).collect();
    let mut cases = Vec::new();
    for ((_, schema, ui_schema), tables) in forms.iter().zip(&tables) {
        cases.extend(tables.data().map(|data| Case {
            schema,
            uischema: ui_schema.as_ref(),
            data,
        }));
    }
    let mut answers = renderer.render(&cases)?.into_iter();
    for ((name, schema, _), tables) in forms.iter().zip(&tables) {
        let shown: Vec<Rendered> = answers.by_ref().take(tables.data().count()).collect();
        let (empty, rest) = shown.split_first().context("no answer")?;
        every_property_has_a_control(schema, empty).with_context(|| name.clone())?;
        for one in &shown {
            is_whole(one).with_context(|| name.clone())?;
        }
        let (checked, ruled) = rest.split_at(tables.arguments.len());
        for ((arguments, valid), rendered) in tables.arguments.iter().zip(checked) {
            let case = format!("{name}: {arguments}");
            let ours = errors(schema, arguments)?;
            ensure!(ours.is_empty() == *valid, "{case}: {ours:?}");
            ensure!(
                rendered.paths() == ours,
                "{case}: {:?} and {ours:?}",
                rendered.errors
            );
        }
        for ((arguments, hidden), rendered) in tables.shown.iter().zip(ruled) {
            let found = rendered.hidden();
            let hidden: BTreeSet<String> = hidden.iter().map(|name| (*name).to_owned()).collect();
            ensure!(found == hidden, "{name}: {arguments}: {found:?} is hidden");
        }
    }
    site.process.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_what_is_wrong_in_its_arguments_and_where_they_are_described() -> Result<()> {
    let site = Site::start().await?;
    site.shell("lockstep tasks validate vlan.yml && lockstep tasks save vlan.yml")?;
    let described = site.shell("lockstep tasks form 'vlan is there'")?;
    let lines: Vec<Vec<&str>> = described
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    ensure!(
        lines[1].starts_with(&["mode", "access", "|", "trunk", "no", "\"access\"", "How"]),
        "{described}"
    );
    ensure!(lines[3] == ["vlan", "integer", "yes", "VLAN"], "{described}");
    let run = "lockstep tasks run 'vlan is there' --host sw1 --no-wait";
    for (arguments, expected) in [
        ("", "\"vlan\" is a required property"),
        (
            "--argument vlan=5000",
            "/vlan: 5000 is greater than the maximum of 4094",
        ),
        ("--argument vlan=7 --argument vlna=7", "('vlna' was unexpected)"),
    ] {
        let Err(refused) = site.shell(&format!("{run} {arguments}")) else {
            anyhow::bail!("{arguments:?} was accepted");
        };
        let refused = format!("{refused:#}");
        ensure!(refused.contains(expected), "{refused}");
        ensure!(
            refused.contains("`lockstep tasks form \"vlan is there\"` shows what a run takes"),
            "{refused}"
        );
    }
    site.shell(&format!("{run} --argument vlan=7"))?;
    let execution: Value = site.json("lockstep executions show 1")?;
    ensure!(
        execution["arguments"] == json!({"vlan": 7, "mode": "access"}),
        "{execution}"
    );

    // What is shown can be saved again, with its schemas.
    let again = site.shell("lockstep tasks show 'vlan is there' | lockstep tasks save -")?;
    ensure!(again.contains("unchanged"), "{again}");
    let wrong = site.shell("sed 's/maximum: 4094/maximum: many/; s/default: access/default: none/' vlan.yml | lockstep tasks save -");
    let wrong = format!("{:#}", wrong.err().context("a wrong schema was saved")?);
    ensure!(
        wrong.contains("$.run_input_json_schema.properties.vlan.maximum: "),
        "{wrong}"
    );
    let default = site.shell("sed 's/default: access/default: none/' vlan.yml | lockstep tasks validate -");
    let default = format!("{:#}", default.err().context("a wrong default is valid")?);
    ensure!(
        default.contains("$.run_input_json_schema.properties.mode.default: "),
        "{default}"
    );
    site.process.stop().await
}

/// The paths of the errors that Lockstep finds.
fn errors(schema: &Value, arguments: &Value) -> Result<BTreeSet<String>> {
    match check_arguments(schema, arguments) {
        Ok(()) => Ok(BTreeSet::new()),
        Err(ArgumentsError::Invalid { errors, .. }) => {
            Ok(errors.into_iter().map(|error| error.path).collect())
        }
        Err(error) => Err(error.into()),
    }
}

/// Properties that are only information need none.
fn every_property_has_a_control(schema: &Value, rendered: &Rendered) -> Result<()> {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let scope = format!("#/properties/{name}");
        let is_information = property["readOnly"] == true;
        ensure!(
            rendered.controls.contains_key(&scope) != is_information,
            "{scope}: {:?}",
            rendered.controls
        );
    }
    Ok(())
}

/// JSON Forms knew what to make of each element.
fn is_whole(rendered: &Rendered) -> Result<()> {
    ensure!(rendered.warnings.is_empty(), "{:?}", rendered.warnings);
    ensure!(!rendered.html.contains("No applicable"), "{}", rendered.html);
    let empty = rendered.controls.values().any(|control| control == "empty");
    ensure!(!empty, "{:?}", rendered.controls);
    Ok(())
}
