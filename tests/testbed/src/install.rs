//! Installs the Debian packages that tests need.

use std::path::Path;

use anyhow::{Context, ensure};
use tokio::process::Command;

/// A package, and a file that exists if it is installed.
pub struct Package {
    pub name: &'static str,
    pub file: &'static str,
}

/// Packages with commands that tests run.
pub const TOOLS: [Package; 5] = [
    Package {
        name: "curl",
        file: "/usr/bin/curl",
    },
    Package {
        name: "faketime",
        file: "/usr/bin/faketime",
    },
    Package {
        name: "git",
        file: "/usr/bin/git",
    },
    Package {
        name: "openssl",
        file: "/usr/bin/openssl",
    },
    // Its analysis of units; no service is started.
    Package {
        name: "systemd",
        file: "/usr/bin/systemd-analyze",
    },
];

/// Packages of private brokers and databases.
pub const SERVERS: [Package; 2] = [
    Package {
        name: "rabbitmq-server",
        file: "/usr/lib/rabbitmq/bin/rabbitmq-server",
    },
    Package {
        name: "postgresql",
        file: "/usr/lib/postgresql",
    },
];

/// Installs the missing ones of `packages`, which needs root.
///
/// # Errors
///
/// Packages are missing and could not be installed; the error names them.
pub async fn missing(packages: impl IntoIterator<Item = &Package>) -> anyhow::Result<()> {
    let missing: Vec<&str> = packages
        .into_iter()
        .filter(|package| !Path::new(package.file).exists())
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    ensure!(
        rustix::process::geteuid().is_root(),
        "not root: install {} by hand",
        missing.join(" ")
    );
    apt_get(&["update"]).await?;
    let install = ["install", "-y", "--no-install-recommends"];
    apt_get(&[&install[..], &missing[..]].concat()).await
}

/// Installs the packages that Python needs for virtual environments, if they are missing.
///
/// # Errors
///
/// The packages are missing and could not be installed.
pub async fn python() -> anyhow::Result<()> {
    let check = ["python3", "-c", "import venv, ensurepip"];
    unless_it_runs(&check, &["python3", "python3-venv"]).await
}

/// Installs node and npm, if they are missing.
///
/// # Errors
///
/// They are missing and could not be installed.
pub async fn node() -> anyhow::Result<()> {
    let check = ["sh", "-c", "node --version && npm --version"];
    unless_it_runs(&check, &["nodejs", "npm"]).await
}

/// Installs `packages` unless the command `check` succeeds, which needs root.
async fn unless_it_runs(check: &[&str], packages: &[&str]) -> anyhow::Result<()> {
    let able = Command::new(check[0]).args(&check[1..]).output().await;
    if able.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    ensure!(
        rustix::process::geteuid().is_root(),
        "not root: install {} by hand",
        packages.join(" and ")
    );
    apt_get(&["update"]).await?;
    let install = ["install", "-y", "--no-install-recommends"];
    apt_get(&[&install[..], packages].concat()).await
}

async fn apt_get(arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("apt-get")
        .arg("-qq")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(std::process::Stdio::null())
        .status()
        .await
        .context("run apt-get")?;
    ensure!(status.success(), "apt-get {}: {status}", arguments.join(" "));
    Ok(())
}
