//! What the Debian package and the manifests for Kubernetes have: services without privileges, files that exist, valid objects. Nothing is
//! installed or started.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize as _;
use serde_norway::Value;

/// The schemas of Kubernetes are part of this package.
const VALIDATOR: &str = "kubernetes-validate==1.37.0";
/// The oldest version of Kubernetes that is maintained, and the newest one.
const VERSIONS: [&str; 2] = ["1.33", "1.37"];
/// The exposure in tenths from which on a service is rated worse than "OK".
const EXPOSURE: &str = "20";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).with_context(|| format!("cannot read {path}"))
}

fn names(folder: &str) -> Result<BTreeSet<String>> {
    let entries = std::fs::read_dir(root().join(folder)).with_context(|| format!("cannot list {folder}"))?;
    let name =
        |entry: std::io::Result<std::fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    entries.map(name).collect()
}

/// A folder with the units as they are installed, and a program that they start.
fn installed() -> Result<(tempfile::TempDir, Vec<String>)> {
    let folder = tempfile::tempdir()?;
    let units = folder.path().join("usr/lib/systemd/system");
    let program = folder.path().join("usr/bin");
    std::fs::create_dir_all(units.join("lockstep-.service.d"))?;
    std::fs::create_dir_all(&program)?;
    std::fs::copy("/bin/true", program.join("lockstep"))?;
    let drop_in = "lockstep-.service.d/hardening.conf";
    std::fs::copy(root().join("docker/systemd").join(drop_in), units.join(drop_in))?;
    let names: Vec<String> = names("docker/systemd")?
        .into_iter()
        .filter(|name| name.ends_with(".service"))
        .collect();
    for name in &names {
        std::fs::copy(root().join("docker/systemd").join(name), units.join(name))?;
    }
    for target in
        ["basic", "multi-user", "network-online", "shutdown", "sysinit"].map(|name| format!("{name}.target"))
    {
        std::fs::write(units.join(target), "[Unit]\nDescription=stands in\n")?;
    }
    Ok((folder, names))
}

#[test]
fn services_of_systemd_are_valid_and_without_privileges() -> Result<()> {
    let (folder, units) = installed()?;
    ensure!(units.len() == 4, "{units:?}");
    let root = format!("--root={}", folder.path().display());
    for unit in units {
        let analyze = |arguments: &[&str]| -> Result<()> {
            let output = Command::new("systemd-analyze")
                .args(arguments)
                .args([&root, &unit])
                .output()?;
            let said = [&output.stdout[..], &output.stderr].concat();
            ensure!(
                output.status.success(),
                "{unit}: {}",
                String::from_utf8_lossy(&said)
            );
            Ok(())
        };
        analyze(&["verify", "--man=no"])?;
        analyze(&[
            "security",
            "--offline=yes",
            "--no-pager",
            &format!("--threshold={EXPOSURE}"),
        ])?;
    }
    Ok(())
}

#[test]
fn the_debian_package_has_every_unit_and_files_that_exist() -> Result<()> {
    let manifest: toml::Value = toml::from_str(&read("Cargo.toml")?)?;
    let package = &manifest["package"]["metadata"]["deb"];
    let assets = package["assets"].as_array().context("no assets")?;
    let build = read("docker/debian/build")?;
    for asset in assets {
        let file = asset[0].as_str().context("a path")?;
        if let Some(made) = file.strip_prefix("target/package-files/") {
            let name = made.split(['/', '.']).next().context("a name")?;
            ensure!(
                build.contains(&format!("$files/{name}")),
                "docker/debian/build does not make {file}"
            );
        } else if let Some((folder, _)) = file.split_once("/*") {
            ensure!(!names(folder)?.is_empty(), "{folder} is empty");
        } else {
            ensure!(root().join(file).is_file(), "there is no {file}");
        }
    }
    let installs = |target: &str| {
        let folder = |asset: &toml::Value| {
            let (file, place) = (asset[0].as_str()?, asset[1].as_str()?);
            let name = Path::new(file).file_name()?.to_str()?;
            Some(if place.ends_with('/') {
                format!("/{place}{name}")
            } else {
                format!("/{place}")
            })
        };
        assets.iter().filter_map(folder).any(|path| path == target)
    };
    for file in package["conf-files"].as_array().context("no conf-files")? {
        let file = file.as_str().context("a path")?;
        ensure!(installs(file), "no asset is {file}");
        let config = read(&format!(
            "docker/debian/{}",
            file.trim_start_matches("/etc/lockstep/")
        ))?;
        toml::from_str::<toml::Value>(&config).with_context(|| file.to_owned())?;
    }
    for unit in names("docker/systemd")?
        .iter()
        .filter(|name| name.ends_with(".service"))
    {
        let text = read(&format!("docker/systemd/{unit}"))?;
        let config = text
            .lines()
            .find_map(|line| line.strip_prefix("Environment=LOCKSTEP_CONFIG="));
        ensure!(
            config.is_none_or(installs),
            "{unit}: {config:?} is not in the package"
        );
    }
    Ok(())
}

/// The files of a kustomization, with those of the kustomizations that it includes.
fn resources(folder: &str) -> Result<Vec<PathBuf>> {
    let kustomization: Value = serde_norway::from_str(&read(&format!("{folder}/kustomization.yaml"))?)?;
    let mut files = Vec::new();
    for resource in kustomization["resources"].as_sequence().context("no resources")? {
        let resource = resource.as_str().context("a path")?;
        match resource.strip_prefix("../") {
            Some(other) => files.extend(resources(&format!("docker/kubernetes/{other}"))?),
            None => files.push(root().join(folder).join(resource)),
        }
    }
    for map in kustomization["configMapGenerator"]
        .as_sequence()
        .into_iter()
        .flatten()
    {
        for file in map["files"].as_sequence().context("no files")? {
            let (_, file) = file
                .as_str()
                .and_then(|file| file.split_once('='))
                .context("NAME=FILE")?;
            toml::from_str::<toml::Value>(&read(&format!("{folder}/{file}"))?)
                .with_context(|| file.to_owned())?;
        }
    }
    Ok(files)
}

#[test]
fn manifests_of_kubernetes_are_valid_and_complete() -> Result<()> {
    let files = resources("docker/kubernetes/keda")?;
    // Each file is named once, and none is left out.
    let named: BTreeSet<&PathBuf> = files.iter().collect();
    let here = names("docker/kubernetes/base")?.len() + names("docker/kubernetes/keda")?.len();
    let others = [
        "kustomization.yaml",
        "kustomization.yaml",
        "console.toml",
        "gateway.toml",
        "worker.toml",
    ]
    .len();
    ensure!(
        named.len() == files.len() && files.len() + others == here,
        "{files:?}"
    );

    let python = lockstep_testbed::python_with(Path::new(env!("CARGO_TARGET_TMPDIR")), &[VALIDATOR])?;
    let standard: Vec<&PathBuf> = files
        .iter()
        .filter(|file| !file.ends_with("scaled-object.yaml"))
        .collect();
    for version in VERSIONS {
        let mut command = Command::new(&python);
        command.args(["-m", "kubernetes_validate"]);
        command
            .args(["--strict", "--kubernetes-version", version])
            .args(&standard);
        let output = command.output()?;
        let said = [&output.stdout[..], &output.stderr].concat();
        ensure!(
            output.status.success(),
            "{version}: {}",
            String::from_utf8_lossy(&said)
        );
    }
    Ok(())
}

#[test]
fn pods_run_without_privileges_and_workers_finish_what_they_hold() -> Result<()> {
    let mut pods = 0;
    for file in resources("docker/kubernetes/base")? {
        let text = std::fs::read_to_string(&file)?;
        for document in serde_norway::Deserializer::from_str(&text) {
            let object = Value::deserialize(document)?;
            let spec = &object["spec"]["template"]["spec"];
            let Some(containers) = spec["containers"].as_sequence() else {
                continue;
            };
            pods += 1;
            let place = file.display();
            ensure!(
                spec["securityContext"]["runAsNonRoot"] == Value::Bool(true),
                "{place}"
            );
            ensure!(
                spec["automountServiceAccountToken"] == Value::Bool(false),
                "{place}"
            );
            for container in containers {
                let context = &container["securityContext"];
                ensure!(
                    context["allowPrivilegeEscalation"] == Value::Bool(false),
                    "{place}"
                );
                ensure!(context["readOnlyRootFilesystem"] == Value::Bool(true), "{place}");
                ensure!(context["capabilities"]["drop"][0] == "ALL", "{place}");
                ensure!(container["resources"]["limits"]["memory"].is_string(), "{place}");
            }
            if file.ends_with("worker.yaml") {
                // worker.grace_seconds is 30.
                let seconds = spec["terminationGracePeriodSeconds"].as_u64();
                ensure!(seconds.is_some_and(|seconds| seconds > 30), "{seconds:?}");
            }
        }
    }
    ensure!(pods == 4, "{pods} pods");
    Ok(())
}

#[test]
fn workers_are_scaled_by_metrics_that_exist() -> Result<()> {
    let object: Value = serde_norway::from_str(&read("docker/kubernetes/keda/scaled-object.yaml")?)?;
    let triggers = object["spec"]["triggers"].as_sequence().context("no triggers")?;
    let operations = read("docs/how-to/operations.md")?;
    for trigger in triggers {
        let query = trigger["metadata"]["query"].as_str().context("a query")?;
        let metrics: Vec<&str> = query
            .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
            .filter(|word| word.starts_with("lockstep_"))
            .collect();
        ensure!(!metrics.is_empty(), "{query}");
        for metric in metrics {
            ensure!(
                operations.contains(&format!("| `{metric}")),
                "{metric} does not exist"
            );
        }
    }
    Ok(())
}
