//! The commands that list something, on a terminal and in a pipe. The console is simulated: it has 2,004 devices.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

const DEVICES: usize = 2004;

/// A console, and what it was asked for.
#[derive(Clone)]
struct Console {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Console {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let console = Self {
            address: listener.local_addr()?,
            asked: Arc::default(),
        };
        let served = console.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let console = served.clone();
                std::thread::spawn(move || console.serve(connection));
            }
        });
        Ok(console)
    }

    fn serve(&self, mut connection: TcpStream) -> Result<()> {
        let mut reader = BufReader::new(connection.try_clone()?);
        loop {
            let mut request = String::new();
            if reader.read_line(&mut request)? == 0 {
                return Ok(());
            }
            let mut header = String::new();
            while reader.read_line(&mut header)? > 2 {
                header.clear();
            }
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let body = page(&path).to_string();
            self.asked.lock().expect("no test panics here").push(path);
            write!(
                connection,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )?;
        }
    }

    /// The requests since the last call.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("no test panics here"))
    }

    /// Runs a command line, on a terminal if it has a size.
    fn run(&self, folder: &Path, line: &str, size: Option<(u16, u16)>) -> Result<Output> {
        let program = format!("{} {line}", env!("CARGO_BIN_EXE_lockstep"));
        let mut command = match size {
            None => Command::new("sh"),
            Some(_) => Command::new("script"),
        };
        match size {
            None => command.args(["-c", &program]),
            Some((columns, rows)) => {
                let program = format!("stty cols {columns} rows {rows}; {program} 2>notes");
                command.args(["-qec", &program, "/dev/null"])
            }
        };
        command
            .env_clear()
            .current_dir(folder)
            .env("PATH", "/usr/bin:/bin");
        command.envs([
            ("LOCKSTEP_URL", format!("http://{}", self.address)),
            ("LOCKSTEP_TOKEN", "x".to_owned()),
        ]);
        command
            .stdin(std::process::Stdio::null())
            .output()
            .context("cannot start lockstep")
    }
}

fn page(path: &str) -> Value {
    let parameter = |name: &str| {
        let (_, query) = path.split_once('?')?;
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    };
    let number = |name| parameter(name).and_then(|text| text.trim_start_matches("sw").parse::<usize>().ok());
    let limit = number("limit").unwrap_or(100);
    let first = number("after").map_or(1, |after| after + 1);
    let last = (first + limit - 1).min(DEVICES);
    let mut page = json!({"devices": (first..=last).map(device).collect::<Vec<_>>()});
    if last < DEVICES {
        page["next"] = format!("sw{last:05}").into();
    }
    if parameter("total") == Some("true") {
        page["total"] = DEVICES.into();
    }
    page
}

fn device(number: usize) -> Value {
    let cause = json!({"cause": format!("refresh_settings_with_a_long_name_{number}"), "event": "x", "source": "urn:test", "id": "1",
        "at": "2026-02-03T04:05:06Z", "by": null, "note": null});
    json!({
        "id": number, "hostname": format!("sw{number:05}"), "device_type": "ACCESS", "platform": "a, \"b\"", "state": "MANAGED",
        "note": null, "until": null, "synchronized": false, "unsynchronized_since": "2026-02-03T04:05:06Z", "desired_generation": 2,
        "synced_generation": 1, "management_ip": null, "mac": null, "serial": null, "vendor": null, "model": null,
        "os_version": null, "controller": null, "primary_group": null, "checked_at": null, "groups": ["Lund"], "causes": [cause], "marked": null,
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_pipe_gets_every_row_in_full() -> Result<()> {
    let (console, folder) = (Console::start()?, tempfile::tempdir()?);
    let run = |line: &str| console.run(folder.path(), line, None);
    let output = run("devices list")?;
    let printed = text(&output.stdout);
    ensure!(
        printed.lines().count() == DEVICES + 1,
        "{}",
        printed.lines().count()
    );
    ensure!(
        printed.contains("refresh_settings_with_a_long_name_2004\n"),
        "no cell is cut"
    );
    ensure!(
        text(&output.stderr) == "2,004 devices\n",
        "{}",
        text(&output.stderr)
    );
    ensure!(console.asked()[1] == "/v1/devices?limit=1000&after=sw01000");

    let output = run("devices list --limit 2")?;
    ensure!(text(&output.stdout).lines().count() == 3);
    let expected = "2 of 2,004 devices; --limit 0 or -o jsonl shows all\n";
    ensure!(text(&output.stderr) == expected, "{}", text(&output.stderr));
    ensure!(console.asked() == ["/v1/devices?limit=2&total=true"]);

    let output = run("devices list --json")?;
    let all: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    ensure!(all.len() == DEVICES && all[3] == device(4) && output.stderr.is_empty());
    let output = run("devices list -o jsonl --unsynchronized")?;
    let lines: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(serde_json::from_slice)
        .collect::<Result<_, _>>()?;
    ensure!(lines == all);
    ensure!(
        console
            .asked()
            .iter()
            .any(|path| path.contains("synchronized=false&limit=1000&after="))
    );

    let output = run("devices list -o csv --columns hostname,platform,since --limit 1")?;
    let expected = "hostname,platform,since\nsw00001,\"a, \"\"b\"\"\",2026-02-03T04:05:06Z\n";
    ensure!(text(&output.stdout) == expected, "{}", text(&output.stdout));
    let output = run("devices list --sort -hostname --columns hostname --limit 2")?;
    ensure!(
        text(&output.stdout) == "HOSTNAME\nsw02004\nsw02003\n",
        "{}",
        text(&output.stdout)
    );
    Ok(())
}

#[test]
fn a_terminal_gets_the_first_rows_at_its_width_and_a_pager() -> Result<()> {
    let (console, folder) = (Console::start()?, tempfile::tempdir()?);
    let run = |line: &str| console.run(folder.path(), line, Some((80, 24)));
    let output = run("devices list --no-pager")?;
    let printed = text(&output.stdout);
    ensure!(printed.lines().count() == 101, "{printed}");
    let widest = printed.lines().map(|line| line.chars().count()).max();
    ensure!(widest == Some(80), "{widest:?}: {printed}");
    ensure!(console.asked() == ["/v1/devices?limit=100&total=true"]);
    let notes = std::fs::read_to_string(folder.path().join("notes"))?;
    ensure!(notes.starts_with("100 of 2,004 devices; "), "{notes}");

    // The pager of the user; for a short table, and for data, there is none.
    let output = run("devices list --pager 'sed s/^/paged:/'")?;
    let printed = text(&output.stdout);
    ensure!(
        printed.lines().all(|line| line.starts_with("paged:")),
        "{printed}"
    );
    for line in [
        "devices list --limit 3 --pager false",
        "devices list --limit 50 --json --pager false",
    ] {
        ensure!(text(&run(line)?.stdout).contains("sw00003"), "{line}");
    }
    // One that is not there does not hide the table.
    let printed = text(&run("devices list --pager /nowhere/pager")?.stdout);
    ensure!(printed.contains("sw00100"), "{printed}");

    let wide = text(&run("devices list --limit 1 -o wide")?.stdout);
    ensure!(
        wide.contains("refresh_settings_with_a_long_name_1 ") && wide.contains("OS-VERSION"),
        "{wide}"
    );
    Ok(())
}

#[test]
fn a_watched_list_ends_with_ctrl_c() -> Result<()> {
    let (console, folder) = (Console::start()?, tempfile::tempdir()?);
    // The second reading has no change to print.
    let line = "devices list --limit 2 --watch 1 > watched & pid=$!; while [ ! -e watched ] || [ $(wc -l < watched) -lt 2 ]; do :; done; \
        kill -INT $pid; wait $pid; echo exit $?";
    let program = format!("trap : INT; set -m; {} {line}", env!("CARGO_BIN_EXE_lockstep"));
    let mut command = Command::new("timeout");
    command
        .args(["60", "bash", "-c", &program])
        .current_dir(folder.path());
    command.envs([
        ("LOCKSTEP_URL", format!("http://{}", console.address)),
        ("LOCKSTEP_TOKEN", "x".to_owned()),
    ]);
    let output = command.output()?;
    ensure!(text(&output.stdout).contains("exit 0"), "{output:?}");
    let watched = std::fs::read_to_string(folder.path().join("watched"))?;
    let changes: Vec<Value> = watched
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(changes.len() == 2 && changes[0]["change"] == "added", "{watched}");
    ensure!(changes[1]["row"] == device(2), "{watched}");
    Ok(())
}
