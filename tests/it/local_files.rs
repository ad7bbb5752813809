//! Files in the folder one stands in: which of them count, which tokens go where, and what they show.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::system::{Ground, Scene};

fn lockstep(folder: &Path, line: &str, environment: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir(folder)
        .args(line.split_whitespace());
    command.envs(environment.iter().copied());
    command.output().context("cannot start lockstep")
}

/// Both outputs and the exit code.
fn run(folder: &Path, line: &str, environment: &[(&str, &str)]) -> Result<(Option<i32>, String)> {
    let output = lockstep(folder, line, environment)?;
    let printed = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    Ok((output.status.code(), printed))
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    Ok(std::fs::set_permissions(
        path,
        std::fs::Permissions::from_mode(mode),
    )?)
}

/// Listens as the console of `console.json`, and tells whether somebody connects.
struct Trap {
    listener: std::net::TcpListener,
    folder: TempDir,
}

impl Trap {
    fn new() -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("lockstep-data");
        std::fs::create_dir(&data)?;
        set_mode(&data, 0o700)?;
        let address = format!(
            "{{\"url\": \"http://{}\", \"token\": \"of-the-file\"}}",
            listener.local_addr()?
        );
        std::fs::write(data.join("console.json"), address)?;
        Ok(Self { listener, folder })
    }

    fn was_called(&self) -> bool {
        self.listener.accept().is_ok()
    }
}

#[test]
fn a_token_goes_only_to_the_console_it_was_given_for() -> Result<()> {
    let trap = Trap::new()?;
    let folder = trap.folder.path();
    std::fs::write(folder.join("token"), "of-the-user")?;
    for (line, environment) in [
        ("devices list", [("LOCKSTEP_TOKEN", "of-the-user")]),
        ("devices list", [("LOCKSTEP_TOKEN_FILE", "token")]),
        ("devices list --token of-the-user", [("A", "b")]),
    ] {
        let (code, printed) = run(folder, line, &environment)?;
        ensure!(
            code == Some(2) && printed.contains("add --url or LOCKSTEP_URL"),
            "{line}: {printed}"
        );
        ensure!(
            !trap.was_called(),
            "{line} {environment:?} reached the address in the folder"
        );
    }
    let elsewhere = [
        ("LOCKSTEP_TOKEN", "of-the-user"),
        ("LOCKSTEP_URL", "http://127.0.0.1:1"),
    ];
    let (_, printed) = run(folder, "devices list", &elsewhere)?;
    ensure!(
        printed.contains("cannot connect to http://127.0.0.1:1") && !trap.was_called(),
        "{printed}"
    );
    Ok(())
}

#[test]
fn files_that_others_may_write_are_refused_with_the_reason() -> Result<()> {
    let trap = Trap::new()?;
    let folder = trap.folder.path();
    let (data, console) = (
        folder.join("lockstep-data"),
        folder.join("lockstep-data/console.json"),
    );
    let config = folder.join("lockstep.toml");
    std::fs::write(&config, "[worker]\nbatch_size = 7\n")?;
    set_mode(&config, 0o644)?;
    ensure!(run(folder, "config check", &[])?.0 == Some(0));
    for (path, mode, line, code) in [
        (&console, 0o666, "devices list", 1),
        (&data, 0o777, "devices list", 1),
        (
            &data,
            0o777,
            "up --listen 127.0.0.1:0 --gateway-listen 127.0.0.1:0",
            1,
        ),
        (&data, 0o777, "migrate", 1),
        (&data, 0o777, "doctor", 1),
        (&config, 0o666, "config check", 78),
        (&config, 0o666, "config check --config lockstep.toml", 78),
        (&config, 0o646, "cvp tasks", 78),
    ] {
        let before = std::fs::metadata(path)?.mode();
        set_mode(path, mode)?;
        let (found, printed) = run(folder, line, &[])?;
        let expected =
            format!("has mode {mode:04o}, so every user of this machine can change it; run chmod go-w");
        ensure!(
            found == Some(code) && printed.contains(&expected),
            "{line}: {found:?} {printed}"
        );
        ensure!(!trap.was_called(), "{line}");
        set_mode(path, before)?;
    }
    // A link may show to any file of ours.
    std::fs::rename(&console, folder.join("elsewhere.json"))?;
    std::os::unix::fs::symlink("../elsewhere.json", &console)?;
    for line in [
        "devices list",
        "up --listen 127.0.0.1:0 --gateway-listen 127.0.0.1:0",
    ] {
        let (code, printed) = run(folder, line, &[])?;
        ensure!(
            code == Some(1) && printed.contains("console.json"),
            "{line}: {printed}"
        );
        ensure!(!trap.was_called(), "{line}");
    }
    Ok(())
}

/// Only root can give files away; the rule itself is tested by its table.
#[test]
fn files_of_another_user_are_refused() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let trap = Trap::new()?;
    let folder = trap.folder.path();
    let config = folder.join("lockstep.toml");
    std::fs::write(
        &config,
        "[cvp.main]\nhosts = ['127.0.0.1:1']\ntoken = 'x'\ninsecure = true\n",
    )?;
    let data = folder.join("lockstep-data");
    for (path, line, code) in [
        (&config, "cvp tasks", 78),
        (&config, "config check", 78),
        (&data, "devices list", 1),
        (&data.join("console.json"), "devices list", 1),
        (&data, "migrate", 1),
    ] {
        std::os::unix::fs::chown(path, Some(65_534), None)?;
        let (found, printed) = run(folder, line, &[])?;
        ensure!(
            found == Some(code) && printed.contains("belongs to user 65534"),
            "{line}: {printed}"
        );
        ensure!(!trap.was_called(), "{line}");
        std::os::unix::fs::chown(path, Some(0), None)?;
    }
    std::os::unix::fs::chown(&config, Some(65_534), None)?;
    let (code, printed) = run(folder, "config check --config lockstep.toml", &[])?;
    ensure!(
        code == Some(0),
        "a file that an operator names counts whoever owns it: {printed}"
    );
    Ok(())
}

#[test]
fn no_file_decides_where_the_credentials_of_variables_go() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("lockstep.toml");
    std::fs::write(
        &path,
        "[cvp.environment]\nproxy = 'http://127.0.0.1:1'\ninsecure = true\n",
    )?;
    let environment = [
        ("CVP_HOSTNAME", "cvp1"),
        ("CVP_USERNAME", "u"),
        ("CVP_PASSWORD", "hush"),
    ];
    let (code, printed) = run(folder.path(), "cvp tasks", &environment)?;
    ensure!(
        code == Some(78) && printed.contains("no file decides where CVP_PASSWORD"),
        "{printed}"
    );
    ensure!(
        printed.contains("cvp.environment.insecure") && !printed.contains("hush"),
        "{printed}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_created_is_private_whatever_the_umask() -> Result<()> {
    let scene = Scene::new(Ground::Embedded).await?;
    std::fs::remove_dir_all(scene.folder().join("lockstep-data"))?;
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_lockstep");
    let line = format!("umask 000; exec {program} up --listen 127.0.0.1:0 --gateway-listen 127.0.0.1:0");
    command.args(["-c", &line]).current_dir(scene.folder());
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut up = command.spawn()?;
    let console = scene.folder().join("lockstep-data/console.json");
    let started = lockstep_testbed::wait::until("the start", std::time::Duration::from_mins(2), async || {
        if console.exists() {
            Ok(())
        } else {
            Err("not started".to_owned())
        }
    });
    let started = started.await;
    let mut modes = Vec::new();
    for entry in std::fs::read_dir(scene.folder().join("lockstep-data"))? {
        let entry = entry?;
        modes.push((entry.file_name(), entry.metadata()?.mode() & 0o777));
    }
    up.kill()?;
    up.wait()?;
    started?;
    let folder = std::fs::metadata(scene.folder().join("lockstep-data"))?.mode() & 0o777;
    ensure!(folder == 0o700, "{folder:o}");
    ensure!(
        modes.len() >= 6 && modes.iter().all(|(_, mode)| *mode == 0o600),
        "{modes:?}"
    );
    Ok(())
}

#[test]
fn doctor_warns_about_loose_modes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("secret"), "sixteen characters")?;
    set_mode(&at("secret"), 0o444)?;
    let text = "[[console.tokens]]\nname = 'a'\ntoken = 'a token in the file'\n[[console.tokens]]\nname = 'b'\ntoken_file = 'secret'\n";
    std::fs::write(at("lockstep.toml"), text)?;
    set_mode(&at("lockstep.toml"), 0o644)?;
    std::fs::create_dir(at("lockstep-data"))?;
    set_mode(&at("lockstep-data"), 0o755)?;
    std::fs::write(at("lockstep-data/store.sqlite"), "")?;
    set_mode(&at("lockstep-data/store.sqlite"), 0o644)?;
    let (_, printed) = run(folder.path(), "doctor", &[])?;
    for expected in [
        "warning  local files",
        "lockstep.toml has mode 0644, so every user of this machine can read it",
        "secret has mode 0444, so every user of this machine can read it",
        "warning  data folder",
        "lockstep-data has mode 0755, so other users can use it; run chmod 700",
        "(store.sqlite)",
    ] {
        ensure!(printed.contains(expected), "{expected}: {printed}");
    }
    Ok(())
}

#[test]
fn no_output_contains_the_user_information_of_a_url() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = "
        [broker]\nurl = 'amqp://hush1:hush2@127.0.0.1:1/v'
        [store]\nurl = 'postgres://hush3:hush4@127.0.0.1:1/d?password=hush5'
        [repositories.settings]\nurl = 'https://hush6@127.0.0.1:1/s.git'
        [repositories.templates]\nurl = 'https://hush7:hush8@127.0.0.1:1/t.git?private_token=hush9'
        [cvp.main]\nhosts = ['127.0.0.1:1']\nusername = 'u'\npassword = 'hush'\nproxy = 'http://hush10:hush11@127.0.0.1:1'
    ";
    std::fs::write(folder.path().join("good.toml"), text)?;
    let wrong = text.replace("127.0.0.1:1", "127.0.0.1:x");
    std::fs::write(folder.path().join("wrong.toml"), &wrong)?;
    let lists = text.replace(" '", " ['").replace("'\n", "']\n");
    std::fs::write(folder.path().join("lists.toml"), lists)?;
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        ("LOCKSTEP_MANAGEMENT_URL", "http://hush12:hush13@127.0.0.1:1"),
    ];
    for config in ["good.toml", "wrong.toml", "lists.toml"] {
        for line in [
            "config check",
            "config check --json",
            "doctor",
            "doctor --json",
            "doctor -vv --role gateway",
            "doctor --setup-broker --dry-run",
            "migrate -vv",
            "cvp tasks -vv",
            "cvp tasks -vv --json",
            "repositories list",
            "repositories list --url http://hush14:hush15@127.0.0.1:1 --token x",
            "repositories list --url http://hush14@127.0.0.1:1",
            "doctor --probe http://hush16:hush17@127.0.0.1:1/healthz",
        ] {
            let line = format!("{line} --config {config}");
            let (_, printed) = run(folder.path(), &line, &environment)?;
            ensure!(!printed.is_empty(), "{line}");
            ensure!(!printed.contains("hush"), "{line}: {printed}");
        }
    }
    let collector = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://hush18:hush19@127.0.0.1:1")];
    let (code, printed) = run(folder.path(), "config check", &collector)?;
    ensure!(code == Some(78) && !printed.contains("hush"), "{printed}");
    let (_, printed) = run(folder.path(), "config check --json --config good.toml", &[])?;
    for expected in [
        "amqp://***@127.0.0.1:1/v",
        "https://***@127.0.0.1:1/s.git",
        "http://***@127.0.0.1:1",
    ] {
        ensure!(printed.contains(expected), "{expected}: {printed}");
    }
    Ok(())
}

#[test]
fn a_secret_that_is_too_short_is_named_and_not_repeated() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (key, text) in [
        (
            "console.tokens[0].token",
            "[[console.tokens]]\nname = 'a'\ntoken = 'hush'\n",
        ),
        (
            "gateway.tokens[0].token",
            "[[gateway.tokens]]\nname = 'a'\ntoken_file = 'short'\n",
        ),
        (
            "repositories.settings.webhook_secret",
            "[repositories.settings]\nurl = '/x'\nwebhook_secret = \"\"\"a-long-enough-secret\nhush\"\"\"\n",
        ),
    ] {
        std::fs::write(folder.path().join("short"), "hush")?;
        std::fs::write(folder.path().join("lockstep.toml"), text)?;
        let (code, printed) = run(folder.path(), "config check", &[])?;
        let expected = format!("{key}: is shorter than 16 characters");
        ensure!(code == Some(78) && printed.contains(&expected), "{printed}");
        ensure!(!printed.contains("hush"), "{printed}");
    }
    Ok(())
}
