//! Text of peers on the terminal: whatever a repository, CloudVision, a message or an argument contains, no command prints what a
//! terminal or a CI system obeys.

mod console;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

use crate::affected::repository::Repository;

/// Sets the clipboard, clears the screen, begins lines that CI systems obey, and turns the direction of text.
const HOSTILE: &str =
    "::error::forged \u{1b}]52;c;eA==\u{7}\u{9b}2J\r\n::error::forged\n##[error]forged\u{202e}\u{2028}\u{7f}";

/// What shows that the text arrived.
const VISIBLE: &str = "]52;c;eA==\\u";

fn lockstep(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    command.env_clear().current_dir(folder).args(arguments);
    command
        .envs(environment.iter().copied())
        .env("PATH", "/usr/bin:/bin");
    command
        .stdin(Stdio::null())
        .output()
        .context("cannot start lockstep")
}

/// Why a text must not be printed; none if it may be.
fn obeyed(text: &str) -> Option<String> {
    let obeys = |c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if let Some(c) = text.chars().find(|c| obeys(*c)) {
        return Some(format!("it contains {c:?}"));
    }
    let is_command = |line: &&str| line.trim_start().starts_with("::") || line.contains("##[");
    text.lines()
        .find(is_command)
        .map(|line| format!("a command: {line}"))
}

/// Both outputs, after they were checked.
fn checked(what: &str, output: &Output) -> Result<String> {
    let mut all = String::new();
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8(bytes.clone()).with_context(|| what.to_owned())?;
        ensure!(obeyed(&text).is_none(), "{what}: {:?}: {text:?}", obeyed(&text));
        all += &text;
    }
    Ok(all)
}

/// A command line, whether `--json` prints a result, and whether the text of the console is in the output.
type Row<'a> = (&'a [&'a str], bool, bool);

#[test]
#[expect(clippy::too_many_lines, reason = "a table of all commands")]
fn every_command_of_a_console_shows_its_text_and_obeys_none() -> Result<()> {
    let url = format!("http://{}", console::start(HOSTILE)?);
    let folder = tempfile::tempdir()?;
    std::fs::write(
        folder.path().join("fleet.yml"),
        "- {hostname: sw1, device_type: ACCESS}\n",
    )?;
    std::fs::write(folder.path().join("task.yml"), "{name: uptime, provider: ping}\n")?;
    let commit = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";
    let table: &[Row<'_>] = &[
        (&["publish", "lockstep.device.removed", "--wait"], true, true),
        (&["publish", HOSTILE], true, false),
        (&["devices", "import", "fleet.yml"], true, true),
        (&["devices", "list"], true, true),
        (&["devices", "list", "-o", "wide"], false, true),
        (&["devices", "list", "-o", "jsonl"], true, false),
        (&["devices", "list", "--sort", "-causes"], true, true),
        (&["devices", "show", "sw1"], true, true),
        (&["devices", "show", "sw2"], false, true),
        (&["devices", "why", "sw1"], true, true),
        (&["devices", "why", "sw2"], false, true),
        (&["devices", "history", "sw1"], true, true),
        (&["devices", "history", "sw1", "-o", "wide"], false, true),
        (
            &["devices", "set-state", "sw1", "MANAGED", "--note", HOSTILE],
            true,
            true,
        ),
        (
            &["devices", "mark", "sw1", "--synchronized", "--note", HOSTILE],
            true,
            true,
        ),
        (&["groups", "list"], true, true),
        (&["groups", "list", "-o", "wide"], false, true),
        (&["groups", "show", "EDGE"], true, true),
        (&["sync", "select", "--all"], true, true),
        (&["sync", "plan", "--all", "--note", HOSTILE], true, true),
        (&["sync", "apply", "--all", "--yes"], true, true),
        (&["sync", "show", "1", "--diffs"], true, true),
        (&["sync", "diff", "1", "sw1"], true, true),
        (&["sync", "diff", "1", "sw1", "--whole"], true, true),
        (&["sync", "diff", "1", "sw2"], false, true),
        (&["sync", "rollback", "1"], true, true),
        (&["devices", "drift", "sw1"], true, true),
        (&["devices", "sessions", "sw1", "--abort", HOSTILE], true, true),
        (
            &["devices", "rename", "sw1", "sw2", "--note", HOSTILE],
            true,
            true,
        ),
        (
            &["devices", "remove", "sw1", "--yes", "--note", HOSTILE],
            true,
            true,
        ),
        (&["check", "sync-age"], true, true),
        (&["check", "unmanaged-age"], true, true),
        (&["check", "verdict-age"], true, true),
        (&["repositories", "list"], true, true),
        (&["repositories", "list", "-o", "wide"], false, true),
        (&["repositories", "refresh", "settings"], true, true),
        (&["repositories", "accept", "settings", commit], true, true),
        (&["dead", "list", "--limit", "1"], true, true),
        (&["dead", "list", "--limit", "1", "-o", "wide"], false, true),
        (&["dead", "list"], false, false),
        (&["dead", "show", "1"], true, true),
        (&["dead", "show", "2"], false, true),
        (&["dead", "requeue", "1"], true, true),
        (&["dead", "drop", "2"], true, true),
        (&["dead", "requeue", "--all", "--yes"], true, true),
        (&["messages", "show", "1"], true, true),
        (&["explain", "1"], true, true),
        (&["tokens", "list"], true, true),
        (&["tokens", "list", "-o", "wide"], false, true),
        (&["tokens", "show", "laptop"], true, true),
        (&["tokens", "create", "laptop", "--role", "viewer"], true, true),
        (&["tokens", "rotate", "laptop"], true, true),
        (&["tokens", "revoke", "laptop"], true, true),
        (&["sessions", "end", "laptop"], true, true),
        (&["audit", "list"], true, true),
        (&["audit", "list", "-o", "wide"], false, true),
        (&["devices", "facts", "sw1"], true, true),
        (&["providers", "list"], true, true),
        (&["providers", "list", "-o", "wide"], false, true),
        (&["providers", "show", "command"], true, true),
        (&["tasks", "list"], true, true),
        (&["tasks", "list", "-o", "wide"], false, true),
        (&["tasks", "show", "uptime"], true, false),
        (&["tasks", "show", "nothing"], false, true),
        (&["tasks", "validate", "task.yml"], true, true),
        (&["tasks", "save", "task.yml"], false, true),
        (&["tasks", "run", "uptime", "--host", "sw1"], true, true),
        (&["tasks", "run", "uptime", "--on", "GROUP", HOSTILE], false, true),
        (&["tasks", "delete", "uptime"], true, true),
        (&["executions", "list"], true, true),
        (&["executions", "list", "-o", "wide"], false, true),
        (&["executions", "show", "1"], true, true),
        (&["executions", "show", "1", "--element", "sw1"], true, true),
        (&["executions", "show", "2"], true, true),
        (&["executions", "results", "1"], true, true),
        (&["executions", "results", "1", "-o", "wide"], false, true),
        (&["executions", "results", "2"], false, true),
        (&["executions", "watch", "1"], true, true),
        (&["executions", "cancel", "1"], true, true),
        (&["executions", "pause", "1"], true, true),
        (&["executions", "resume", "1"], true, true),
        (&["executions", "relaunch", "1", "--failed"], true, true),
        (&["elements", "list", "1"], true, true),
        (&["elements", "list", "1", "-o", "wide"], false, true),
        (&["elements", "show", "1"], true, true),
        (&["schedules", "list"], true, true),
        (
            &[
                "schedules",
                "save",
                "nightly",
                "--cron",
                HOSTILE,
                "--task",
                "uptime",
                "--all",
            ],
            true,
            true,
        ),
        (&["schedules", "delete", HOSTILE], true, true),
        (&["stop-all", "--note", HOSTILE], true, true),
        (&["resume-all"], true, true),
    ];
    let environment = [("LOCKSTEP_URL", url.as_str()), ("LOCKSTEP_TOKEN", "x")];
    for (line, has_json, has_text) in table {
        let output = lockstep(folder.path(), line, &environment)?;
        let printed = checked(&format!("{line:?}"), &output)?;
        ensure!(printed.contains(VISIBLE) || !has_text, "{line:?}: {printed}");

        let output = lockstep(folder.path(), &[line, &["--json"][..]].concat(), &environment)?;
        checked(&format!("{line:?} --json"), &output)?;
        if *has_json {
            let value: serde_json::Value = serde_json::from_slice(&output.stdout)
                .with_context(|| format!("{line:?}: {}", String::from_utf8_lossy(&output.stdout)))?;
            let holds = holds(&value, HOSTILE) || output.stdout.len() < 300;
            ensure!(holds, "{line:?}: the value is what the console sent: {value}");
        }
    }
    Ok(())
}

fn holds(value: &serde_json::Value, text: &str) -> bool {
    match value {
        serde_json::Value::String(string) => string == text,
        serde_json::Value::Array(items) => items.iter().any(|item| holds(item, text)),
        serde_json::Value::Object(fields) => fields.values().any(|field| holds(field, text)),
        _ => false,
    }
}

/// Command lines of every command that repeat what they do not understand.
const REPEATED: &[&[&str]] = &[
    &[HOSTILE],
    &["devices", HOSTILE],
    &["devices", "show", HOSTILE],
    &["devices", "why", HOSTILE],
    &["devices", "history", HOSTILE],
    &["devices", "list", "--url", HOSTILE, "--token", "x"],
    &["devices", "list", "--config", HOSTILE],
    &["devices", "list", "--sort", HOSTILE],
    &["devices", "list", "--json", "--columns", HOSTILE],
    &["devices", "list", "--config", "bad.toml"],
    &["devices", "import", HOSTILE],
    &["devices", "import", "bad.yml"],
    &["devices", "import", HOSTILE, "--from", "nornir"],
    &["groups", "show", HOSTILE],
    &["sync", "select", "--group", HOSTILE],
    &["sync", "plan", "--host", HOSTILE],
    &["sync", "apply", HOSTILE, "--yes"],
    &["sync", "show", HOSTILE],
    &["sync", "diff", HOSTILE, HOSTILE],
    &["sync", "rollback", HOSTILE],
    &["render", HOSTILE],
    &["devices", "drift", HOSTILE],
    &["devices", "sessions", HOSTILE, "--abort", HOSTILE],
    &["check", "verdict-age", "--repositories", HOSTILE],
    &["devices", "import", HOSTILE, "--from", "cnaas"],
    &["devices", "import", "bad.yml", "--from", "cnaas"],
    &["devices", "import", "--from", "cvp", "--cluster", HOSTILE],
    &["devices", "set-state", "sw1", "UNMANAGED", "--until", HOSTILE],
    &["devices", "rename", "sw1", HOSTILE],
    &["devices", "remove", HOSTILE, "--yes"],
    &["check", HOSTILE],
    &["check", "sync-age", "--group", HOSTILE],
    &["check", "sync-age", "--warning", HOSTILE],
    &["check", "unmanaged-age", "--type", HOSTILE],
    &["repositories", "refresh", HOSTILE],
    &["repositories", "accept", "settings", HOSTILE],
    &["dead", "list", "--type", HOSTILE, "--lane", HOSTILE],
    &["dead", "requeue", HOSTILE],
    &["messages", "show", HOSTILE],
    &["explain", HOSTILE],
    &["tokens", "show", HOSTILE],
    &["tokens", "create", HOSTILE, "--role", HOSTILE],
    &["tokens", "revoke", HOSTILE],
    &["sessions", "end", HOSTILE],
    &["audit", "list", "--kind", HOSTILE],
    &["audit", "export", "--since", HOSTILE],
    &["sync", "approve", HOSTILE],
    &["devices", "facts", HOSTILE],
    &["tasks", "show", HOSTILE],
    &["tasks", "validate", HOSTILE],
    &["tasks", "save", HOSTILE, "--pre", HOSTILE],
    &["tasks", "run", HOSTILE, "--execute-on", HOSTILE],
    &["tasks", "run", "uptime", "--on", HOSTILE],
    &["tasks", "run", "uptime", "--on", "INTERFACE", HOSTILE],
    &["executions", "results", "1", "--level", HOSTILE],
    &["executions", "results", HOSTILE, "--of", HOSTILE],
    &["tasks", "run", "uptime", "--all", "--argument", HOSTILE],
    &["tasks", "run", "uptime", "--group", HOSTILE],
    &["executions", "list", "--state", HOSTILE],
    &["executions", "show", HOSTILE],
    &["elements", "list", "1", "--outcome", HOSTILE],
    &["elements", "show", HOSTILE],
    &["stop-all", HOSTILE],
    &["resume-all", HOSTILE],
    &["schedules", "delete", HOSTILE],
    &["providers", "show", HOSTILE],
    &["publish", "x", "--data", HOSTILE],
    &["publish", "x", "--source", HOSTILE],
    &[
        "affected",
        "--repository",
        "settings",
        "--path",
        HOSTILE,
        "--settings",
        HOSTILE,
    ],
    &[
        "affected",
        "--repository",
        "settings",
        "--git",
        HOSTILE,
        "--from",
        HOSTILE,
        "--to",
        "b",
    ],
    &["cvp", "tasks", "--cluster", HOSTILE],
    &["cvp", "sweep", "--ca-file", HOSTILE],
    &["schema", HOSTILE],
    &["simulate", HOSTILE],
    &["config", "check", "--config", "bad.toml"],
    &["config", "check", "--json", "--config", "bad.toml"],
    &["doctor", "--probe", HOSTILE],
    &["doctor", "--role", HOSTILE],
    &["up", "--listen", HOSTILE],
    &["worker", "--lanes", HOSTILE],
    &["console", "--listen", HOSTILE],
    &["gateway", "--listen", HOSTILE],
    &["migrate", "--config", HOSTILE],
    &["demo", HOSTILE],
    &["completions", HOSTILE],
    &["man", HOSTILE, HOSTILE],
];

#[test]
fn arguments_files_and_variables_are_repeated_visibly() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(
        folder.path().join("bad.yml"),
        format!("- {{hostname: {HOSTILE:?}, device_type: x}}\n- {{hostname: 1}}\n"),
    )?;
    std::fs::write(
        folder.path().join("bad.toml"),
        format!("[{HOSTILE:?}]\nx = {HOSTILE:?}\n[log]\nformat = \"\"\n"),
    )?;
    for line in REPEATED {
        let output = lockstep(folder.path(), line, &[])?;
        checked(&format!("{line:?}"), &output)?;
        ensure!(!output.status.success(), "{line:?}: {output:?}");
    }
    let output = lockstep(
        folder.path(),
        &["config", "check"],
        &[("LOCKSTEP__LOG__FORMAT", HOSTILE)],
    )?;
    ensure!(checked("a variable", &output)?.contains(VISIBLE));

    // A command that is added later belongs in this test.
    let help = lockstep(folder.path(), &["--help"], &[])?;
    let help = String::from_utf8(help.stdout)?;
    let commands = help.split("Commands:\n").nth(1).context("no commands")?;
    let names = commands.lines().take_while(|line| !line.is_empty());
    // Further lines of a description are indented more.
    let names = names.filter(|line| !line.starts_with("   "));
    for name in names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
    {
        ensure!(
            REPEATED.iter().any(|line| line[0] == name),
            "{name} is not in this test"
        );
    }
    Ok(())
}

#[test]
fn paths_and_problems_of_a_repository_are_lines_of_ours() -> Result<()> {
    let repository = Repository::new()?;
    let path = |name: &str| {
        format!("devices/{HOSTILE}/{name}")
            .replace("##", "#")
            .into_bytes()
    };
    let first = repository.commit(&[("100644", b"global/base_system.yml", "ntp_servers: []\n")])?;
    let key = format!("{HOSTILE:?}: 1\n::error::x: 1\n");
    let long = format!("{}: 1\n", "k".repeat(100_000));
    let (named, misnamed) = (path("base_system.yml"), "::error::x.yml".as_bytes());
    let broken = repository.commit(&[
        ("100644", b"global/base_system.yml", &key),
        ("100644", b"access/base_system.yml", &long),
        ("100644", &named, "a: [\n"),
        ("100644", misnamed, ": : :"),
        (
            "100644",
            b"global/groups.yml",
            &format!("groups: [{{group: {{name: {HOSTILE:?}, regex: '('}}}}]\n"),
        ),
    ])?;
    let renamed = repository.commit(&[
        ("100644", b"global/base_system.yml", "ntp_servers: []\n"),
        ("100644", &named, ""),
        ("100644", misnamed, ""),
    ])?;
    for to in [&broken, &renamed] {
        let arguments = [
            "affected",
            "--repository",
            "settings",
            "--git",
            ".",
            "--from",
            &first,
            "--to",
            to,
        ];
        let output = lockstep(repository.path(), &arguments, &[])?;
        let printed = checked(to, &output)?;
        ensure!(printed.contains("\\u{1b}]52"), "{printed}");
        let longest = printed.lines().map(str::len).max().unwrap_or_default();
        ensure!(longest < 5000, "a line has {longest} bytes");
        let output = lockstep(repository.path(), &[&arguments[..], &["--json"]].concat(), &[])?;
        checked(to, &output)?;
        serde_json::from_slice::<serde_json::Value>(&output.stdout)?;
    }
    Ok(())
}

#[cfg(feature = "simulators")]
mod cvp {
    use lockstep_simulators::cvp::{CvpSimulator, Endpoint, Fault, Injection, Options, Scenario};
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Runs `lockstep` against a simulated CloudVision; with an answer, on a terminal.
    async fn run(simulator: &CvpSimulator, line: &str, answer: Option<&str>) -> Result<Output> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("ca.pem"), simulator.ca_pem())?;
        let line = format!("{} {line} --ca-file ca.pem", env!("CARGO_BIN_EXE_lockstep"));
        let mut command = match answer {
            None => tokio::process::Command::new("sh"),
            Some(_) => tokio::process::Command::new("script"),
        };
        match answer {
            None => command.args(["-c", &line]),
            Some(_) => command.args(["-qec", &line, "/dev/null"]),
        };
        let host = simulator.addresses()[0].to_string();
        command.current_dir(folder.path()).envs([
            ("CVP_HOSTNAME", host.as_str()),
            ("CVP_USERNAME", "cvpadmin"),
            ("CVP_PASSWORD", "simulated"),
        ]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().context("cannot start")?;
        let mut stdin = child.stdin.take().context("no stdin")?;
        stdin
            .write_all(format!("{}\n", answer.unwrap_or_default()).as_bytes())
            .await?;
        let output = child.wait_with_output().await?;
        drop(stdin);
        Ok(output)
    }

    fn hostile() -> Scenario {
        Scenario::seed().edited(|world| {
            for device in &mut world.devices {
                device.hostname = format!("{}{HOSTILE}", device.hostname);
                HOSTILE.clone_into(&mut device.serial);
                HOSTILE.clone_into(&mut device.model);
            }
            for task in &mut world.tasks {
                HOSTILE.clone_into(&mut task.note);
                HOSTILE.clone_into(&mut task.created_by);
            }
        })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn tasks_of_cloudvision_are_lines_of_ours() -> Result<()> {
        for line in [
            "cvp tasks",
            "cvp tasks -o wide --sort device",
            "cvp tasks --json",
            "cvp sweep --dry-run",
            "cvp sweep --yes",
            "cvp sweep --yes --json",
        ] {
            let simulator = CvpSimulator::start(hostile(), Options::default()).await?;
            let refusal = Fault::ErrorCode(HOSTILE.repeat(1000), HOSTILE.to_owned());
            simulator.inject(Injection::new(Endpoint::Cancel, refusal).about("1810"));
            let output = run(&simulator, line, None).await?;
            let printed = checked(line, &output)?;
            let has_text =
                printed.contains(VISIBLE) || printed.contains("\\u009b2J") || line.contains("dry-run");
            ensure!(has_text, "{line}: {printed}");
        }
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_list_before_a_question_is_visible() -> Result<()> {
        let simulator = CvpSimulator::start(hostile(), Options::default()).await?;
        let output = run(&simulator, "cvp sweep", Some("n")).await?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(printed.contains("Cancel these tasks? [y/N]"), "{printed:?}");
        ensure!(printed.contains(VISIBLE), "{printed:?}");
        // The progress bar itself controls the terminal.
        for forged in ["\u{1b}]52", "\u{9b}", "\n::error::", "##[", "\u{202e}"] {
            ensure!(!printed.contains(forged), "{forged:?} in {printed:?}");
        }
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_endless_error_of_a_login_is_cut() -> Result<()> {
        let simulator = CvpSimulator::start(Scenario::seed(), Options::default()).await?;
        let refusal = Fault::ErrorCode(format!("{HOSTILE}{}", "9".repeat(100_000)), HOSTILE.to_owned());
        simulator.inject(Injection::new(Endpoint::Login, refusal));
        for line in ["cvp tasks", "cvp sweep --yes"] {
            let output = run(&simulator, line, None).await?;
            ensure!(output.status.code() == Some(1), "{line}: {}", output.status);
            let printed = checked(line, &output)?;
            ensure!(printed.len() < 1000, "{line}: {}", printed.len());
        }
        Ok(())
    }
}
