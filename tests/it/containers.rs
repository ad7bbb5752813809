//! The compose file: each service without privileges, with limits, and with only what it uses. A new service is checked too, so it must
//! be listed here. No container is started.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_norway::Value;

/// What a service uses.
struct Uses {
    networks: &'static [&'static str],
    secrets: &'static [&'static str],
    /// Volumes with credentials; those of other services are not mounted.
    credentials: &'static [&'static str],
    /// The folder of its configuration, in `docker/`.
    config: Option<&'static str>,
    /// Ports that other machines reach. All others are bound to the loopback interface.
    open_ports: &'static [&'static str],
}

fn uses(service: &str) -> Option<Uses> {
    let nothing = Uses {
        networks: &[],
        secrets: &[],
        credentials: &[],
        config: None,
        open_ports: &[],
    };
    let uses = match service {
        "rabbitmq" => Uses {
            networks: &["broker"],
            secrets: &["rabbitmq-admin"],
            ..nothing
        },
        "postgres" => Uses {
            networks: &["database"],
            secrets: &["postgres-password"],
            ..nothing
        },
        "set-up-broker" => Uses {
            networks: &["broker"],
            secrets: &["management-url"],
            credentials: &["worker", "gateway", "console", "monitor"],
            ..nothing
        },
        "set-up-database" => Uses {
            networks: &["database"],
            secrets: &["database-admin-url"],
            credentials: &["migrate", "worker", "console"],
            ..nothing
        },
        "migrate" => Uses {
            networks: &["database"],
            credentials: &["migrate"],
            ..nothing
        },
        "gateway" => Uses {
            networks: &["front", "broker", "monitoring"],
            credentials: &["gateway"],
            config: Some("gateway"),
            ..nothing
        },
        "console" => Uses {
            networks: &["front", "broker", "database", "monitoring"],
            secrets: &["operator-token"],
            credentials: &["console"],
            config: Some("console"),
            ..nothing
        },
        "worker" => Uses {
            networks: &["broker", "database", "monitoring", "outside"],
            credentials: &["worker"],
            config: Some("worker"),
            ..nothing
        },
        "doctor" => Uses {
            networks: &["broker", "database", "outside"],
            credentials: &["worker", "monitor"],
            config: Some("worker"),
            ..nothing
        },
        "proxy" => Uses {
            networks: &["front"],
            secrets: &["tls-certificate", "tls-key"],
            open_ports: &["8443", "8444"],
            ..nothing
        },
        _ => return None,
    };
    Some(uses)
}

fn docker(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docker").join(path)
}

fn compose() -> Result<Value> {
    let mut compose: Value = serde_norway::from_str(&std::fs::read_to_string(docker("compose.yaml"))?)?;
    // Twice, because a merged mapping merges another one.
    compose.apply_merge()?;
    compose.apply_merge()?;
    Ok(compose)
}

fn services(compose: &Value) -> Result<Vec<(&str, &Value)>> {
    let services = compose["services"].as_mapping().context("no services")?;
    let named = services
        .iter()
        .map(|(name, service)| Some((name.as_str()?, service)));
    named.collect::<Option<_>>().context("a name")
}

/// The texts of a list; empty without one.
fn texts(value: &Value) -> Vec<&str> {
    value
        .as_sequence()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The default of `${NAME:-default}`, or the text itself.
fn default(text: &str) -> &str {
    text.strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}')?.split_once(":-"))
        .map_or(text, |(_, default)| default)
}

/// Without privileges, with limits.
fn hardened(service: &Value) -> Result<()> {
    ensure!(texts(&service["cap_drop"]) == ["ALL"], "cap_drop: [ALL]");
    ensure!(service["read_only"] == Value::Bool(true), "read_only: true");
    ensure!(
        texts(&service["security_opt"]) == ["no-new-privileges:true"],
        "security_opt: [no-new-privileges:true]"
    );
    let tmpfs = texts(&service["tmpfs"]);
    ensure!(tmpfs.contains(&"/tmp"), "tmpfs: [/tmp]");
    for limit in ["mem_limit", "pids_limit", "cpus"] {
        ensure!(!service[limit].is_null(), "{limit}");
    }
    let user = service["user"].as_str().context("user")?;
    ensure!(
        !user.is_empty() && !["root", "0"].contains(&user.split(':').next().unwrap_or_default()),
        "user {user:?} is not one without privileges"
    );
    for key in [
        "cap_add",
        "privileged",
        "devices",
        "pid",
        "ipc",
        "network_mode",
        "userns_mode",
        "env_file",
    ] {
        ensure!(service[key].is_null(), "{key} is not needed");
    }
    Ok(())
}

/// Whether an image is named by a version. A digest is better, but only an operator can look it up and choose it.
fn has_version(image: &str) -> bool {
    if image.contains("@sha256:") {
        return true;
    }
    let tag = image.rsplit('/').next().and_then(|name| name.split_once(':'));
    tag.is_some_and(|(_, tag)| tag.starts_with(|first: char| first.is_ascii_digit()))
}

#[test]
fn images_without_a_version_are_detected() {
    for (image, expected) in [
        ("rabbitmq:4.1-management", true),
        ("registry:5000/postgres:15.14", true),
        ("postgres@sha256:0123", true),
        ("postgres", false),
        ("postgres:latest", false),
        ("debian:stable-slim", false),
        ("registry:5000/postgres", false),
    ] {
        assert_eq!(has_version(image), expected, "{image}");
    }
}

#[test]
fn every_service_is_without_privileges_and_has_limits() -> Result<()> {
    let compose = compose()?;
    for (name, service) in services(&compose)? {
        hardened(service).with_context(|| format!("service {name}"))?;
    }
    let anchors = compose.as_mapping().context("a mapping")?;
    ensure!(anchors.len() > 5, "the file was not read");
    Ok(())
}

#[test]
fn a_service_without_one_of_the_rules_is_detected() -> Result<()> {
    let compose = compose()?;
    let worker = compose["services"]["worker"].as_mapping().context("worker")?;
    ensure!(hardened(&Value::Mapping(worker.clone())).is_ok());
    for key in [
        "cap_drop",
        "read_only",
        "security_opt",
        "tmpfs",
        "mem_limit",
        "pids_limit",
        "cpus",
        "user",
    ] {
        let mut without = worker.clone();
        without.remove(key).with_context(|| key.to_owned())?;
        ensure!(hardened(&Value::Mapping(without)).is_err(), "{key}");
    }
    for (key, value) in [
        ("privileged", "true"),
        ("cap_add", "[NET_ADMIN]"),
        ("user", "root"),
        ("user", "0:0"),
    ] {
        let mut with = worker.clone();
        with.insert(key.into(), serde_norway::from_str(value)?);
        ensure!(hardened(&Value::Mapping(with)).is_err(), "{key}: {value}");
    }
    Ok(())
}

#[test]
fn every_image_is_configurable_and_has_a_version() -> Result<()> {
    let compose = compose()?;
    for (name, service) in services(&compose)? {
        let image = service["image"].as_str().context("image")?;
        ensure!(
            image.starts_with("${") && has_version(default(image)),
            "service {name}: {image} must be ${{NAME:-IMAGE:VERSION}}"
        );
    }
    let lockstep = compose["services"]["worker"]["image"].as_str().map(default);
    ensure!(
        lockstep == Some(concat!("lockstep:", env!("CARGO_PKG_VERSION"))),
        "{lockstep:?}"
    );

    let arguments = &compose["services"]["set-up-broker"]["build"]["args"];
    let dockerfile = std::fs::read_to_string(docker("Dockerfile"))?;
    let mut bases = 0;
    for line in dockerfile.lines() {
        if let Some((name, image)) = line.strip_prefix("ARG ").and_then(|rest| rest.split_once('='))
            && name.ends_with("_IMAGE")
        {
            bases += 1;
            ensure!(has_version(image), "{line}");
            let in_compose = arguments[name].as_str().map(default);
            ensure!(
                in_compose == Some(image),
                "{name}: {in_compose:?} in the compose file"
            );
        }
        if let Some(from) = line.strip_prefix("FROM ") {
            ensure!(
                from.starts_with("${") || from.starts_with("scratch "),
                "{line}: the base image must be an ARG"
            );
        }
    }
    ensure!(bases == 2, "{bases} base images");
    ensure!(
        dockerfile.contains("\nUSER 10001:10001\n"),
        "the image must not run as root"
    );

    // The file that lists the settings shows the same defaults.
    let example = std::fs::read_to_string(docker("env.example"))?;
    for line in std::fs::read_to_string(docker("compose.yaml"))?.lines() {
        for variable in line.split("${").skip(1) {
            let (name, rest) = variable.split_once(":-").context(line.to_owned())?;
            let value = rest.split('}').next().unwrap_or_default();
            ensure!(
                name == "PROFILE" || example.contains(&format!("#{name}={value}\n")),
                "env.example lacks #{name}={value}"
            );
        }
    }
    Ok(())
}

#[test]
fn every_service_has_only_the_networks_secrets_and_files_that_it_uses() -> Result<()> {
    let compose = compose()?;
    let (mut used_secrets, mut used_volumes) = (BTreeSet::new(), BTreeSet::new());
    let mut readers_of_credentials = BTreeSet::new();
    for (name, service) in services(&compose)? {
        let uses = uses(name).with_context(|| format!("say here what the service {name} uses"))?;
        ensure!(texts(&service["networks"]) == uses.networks, "{name}: networks");

        let secrets = service["secrets"].as_sequence().into_iter().flatten();
        let secrets: Vec<&str> = secrets
            .filter_map(|secret| secret.as_str().or(secret["source"].as_str()))
            .collect();
        ensure!(secrets == uses.secrets, "{name}: secrets {secrets:?}");
        used_secrets.extend(secrets);

        let mut credentials = Vec::new();
        for volume in texts(&service["volumes"]) {
            let (source, target) = volume.split_once(':').unwrap_or(("", volume));
            if let Some(role) = source.strip_suffix("-credentials") {
                credentials.push(role);
                let writes = name.starts_with("set-up-");
                let mode = if writes { "" } else { ":ro" };
                ensure!(
                    target == format!("/run/lockstep/{role}{mode}"),
                    "{name}: {volume}"
                );
                if !writes {
                    readers_of_credentials.insert(role);
                }
            } else if source.starts_with('.') {
                let expected = uses
                    .config
                    .map(|role| format!("./config/{role}:/etc/lockstep:ro"));
                let proxy = name == "proxy" && volume == "./proxy:/etc/nginx/conf.d:ro";
                ensure!(proxy || Some(volume) == expected.as_deref(), "{name}: {volume}");
            } else if !source.is_empty() {
                ensure!(source == name, "{name}: {volume} belongs to another service");
            }
            used_volumes.insert(source);
        }
        ensure!(
            credentials == uses.credentials,
            "{name}: credentials {credentials:?}"
        );

        for port in texts(&service["ports"]) {
            let inner = port.rsplit(':').next().unwrap_or_default();
            ensure!(
                port.starts_with("127.0.0.1:") || uses.open_ports.contains(&inner),
                "{name}: {port} is open to other machines"
            );
        }
        let environment = service["environment"].as_mapping();
        for (variable, value) in environment.into_iter().flatten() {
            let (variable, value) = (
                variable.as_str().unwrap_or_default(),
                value.as_str().unwrap_or_default(),
            );
            let is_secret = ["PASS", "SECRET", "TOKEN", "LOCKSTEP_MANAGEMENT_URL", "STORE__URL"]
                .iter()
                .any(|word| variable.contains(word));
            let is_name = variable.ends_with("__NAME") || variable.ends_with("__TYPES");
            ensure!(
                !is_secret || variable.ends_with("_FILE") || is_name,
                "{name}: {variable} has a secret; use {variable}_FILE"
            );
            ensure!(!value.contains('@'), "{name}: {variable} has a login");
        }
    }
    let names = |key: &str| -> Vec<&str> {
        let mapping = compose[key].as_mapping().into_iter().flatten();
        mapping.filter_map(|(name, _)| name.as_str()).collect()
    };
    for secret in names("secrets") {
        ensure!(
            used_secrets.contains(secret),
            "no service uses the secret {secret}"
        );
    }
    for volume in names("volumes") {
        ensure!(
            used_volumes.contains(volume),
            "no service uses the volume {volume}"
        );
        if let Some(role) = volume.strip_suffix("-credentials") {
            ensure!(readers_of_credentials.contains(role), "no service reads {volume}");
        }
    }
    for network in ["broker", "database", "monitoring"] {
        ensure!(
            compose["networks"][network]["internal"] == Value::Bool(true),
            "{network} must have no way out"
        );
    }
    Ok(())
}

/// Puts the files that a service would find in its container into a folder, and returns its environment with their paths.
fn environment(service: &Value, config: Option<&str>, folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut environment = BTreeMap::new();
    for (name, value) in service["environment"].as_mapping().into_iter().flatten() {
        let (name, value) = (name.as_str().context("name")?, value.as_str().context("value")?);
        let mut value = value.to_owned();
        if let Some(file) = value.strip_prefix('/') {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().context("a folder")?)?;
            let text = match path.file_name().and_then(|name| name.to_str()) {
                Some("broker-url") => "amqp://lockstep-x:secret@rabbitmq:5672/lockstep".to_owned(),
                Some("store-url" | "database-admin-url") => {
                    "postgres://x:secret@postgres/lockstep".to_owned()
                }
                Some("lockstep.toml") => {
                    let file = format!("config/{}/lockstep.toml", config.context("no configuration")?);
                    std::fs::read_to_string(docker(&file)).context(file)?
                }
                _ => "a-secret-of-a-file-0123456789abcdef".to_owned(),
            };
            std::fs::write(&path, text)?;
            value = path.display().to_string();
        }
        environment.insert(name.to_owned(), value);
    }
    Ok(environment)
}

#[test]
fn every_service_of_lockstep_has_a_valid_configuration() -> Result<()> {
    let compose = compose()?;
    let mut checked = 0;
    for (name, service) in services(&compose)? {
        if !service["image"]
            .as_str()
            .is_some_and(|image| image.contains("LOCKSTEP_IMAGE"))
        {
            continue;
        }
        let folder = tempfile::tempdir()?;
        let config = uses(name).and_then(|uses| uses.config);
        let output = Command::new(env!("CARGO_BIN_EXE_lockstep"))
            .args(["config", "check", "--json"])
            .current_dir(folder.path())
            .env_clear()
            .envs(environment(service, config, folder.path())?)
            .output()?;
        let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "service {name}: {printed}");
        ensure!(!printed.contains("secret@"), "service {name}: {printed}");
        checked += 1;
    }
    ensure!(checked == 7, "{checked} services");
    Ok(())
}

#[test]
fn secrets_are_made_once_and_only_their_owner_enters_the_folder() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("make-secrets");
    std::fs::copy(docker("make-secrets"), &script)?;
    let secrets = folder.path().join("secrets");
    let make = || -> Result<BTreeMap<String, String>> {
        let output = Command::new("sh").arg(&script).output()?;
        ensure!(output.status.success() && output.stdout.is_empty(), "{output:?}");
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(&secrets)? {
            let entry = entry?;
            ensure!(
                entry.metadata()?.permissions().mode() & 0o777 == 0o444,
                "{entry:?}"
            );
            let name = entry.file_name().to_string_lossy().into_owned();
            files.insert(name, std::fs::read_to_string(entry.path())?);
        }
        Ok(files)
    };
    let first = make()?;
    ensure!(std::fs::metadata(&secrets)?.permissions().mode() & 0o777 == 0o700);
    ensure!(make()? == first, "another run changed something");

    let compose = compose()?;
    for (name, secret) in compose["secrets"].as_mapping().into_iter().flatten() {
        let file = secret["file"].as_str().context("file")?;
        let file = file.strip_prefix("./secrets/").context("in another folder")?;
        ensure!(
            first.contains_key(file) || file.starts_with("tls-"),
            "make-secrets does not make {name:?}"
        );
    }
    let broker = first["management-url"].trim();
    let password = broker
        .strip_prefix("http://admin:")
        .and_then(|rest| rest.strip_suffix("@rabbitmq:15672"));
    let password = password.context("password")?;
    ensure!(password.len() == 64, "32 random bytes");
    ensure!(first["rabbitmq-admin.conf"] == format!("default_user = admin\ndefault_pass = {password}\n"));
    let database = first["postgres-password"].trim();
    ensure!(
        first["database-admin-url"].trim()
            == format!("postgres://postgres:{database}@postgres:5432/lockstep")
    );
    ensure!(password != database && first["operator-token"].trim().len() == 64);
    Ok(())
}

#[test]
fn the_proxy_forwards_neither_health_nor_metrics() -> Result<()> {
    let configuration = std::fs::read_to_string(docker("proxy/default.conf"))?;
    let places: Vec<&str> = configuration
        .lines()
        .filter_map(|line| line.trim().strip_prefix("location "))
        .collect();
    let expected = [
        "/ {",
        "/webhooks/ {",
        "= /v1/events {",
        "= /openapi.json {",
        "/ {",
        "/v1/ {",
    ];
    ensure!(places == expected, "{places:?}");
    ensure!(configuration.matches("location / {\n        return 404;").count() == 2);
    Ok(())
}
