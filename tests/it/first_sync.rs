//! Runs the commands of `docs/tutorials/first-sync.md` as they are written, block by block: with `lockstep up`, and with RabbitMQ, PostgreSQL and two
//! workers, of which one is killed while it pushes.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use lockstep_testbed::{Database, free_port, wait};
use rustix::process::{Pid, Signal, kill_process};

use crate::system::{PATIENCE, Page, shell};

const PAGE: &str = include_str!("../../docs/tutorials/first-sync.md");
const DEVICES: usize = 12;

/// How the page is run.
struct Run {
    page: Page,
    /// The addresses of the devices, without the last number, and their port.
    network: &'static str,
    port: u16,
    /// What a log says when Lockstep works, and the logs.
    started: &'static str,
    logs: &'static [&'static str],
}

impl Run {
    fn new(
        network: &'static str,
        started: &'static str,
        logs: &'static [&'static str],
        more: Vec<(&'static str, String)>,
    ) -> Result<Self> {
        let port = free_port()?;
        let mut replaced = vec![
            ("127.64.0.", network.to_owned()),
            (":8443/", format!(":{port}/")),
            ("port = 8443", format!("port = {port}")),
            ("--devices 12", format!("--devices 12 --listen {network}1:{port}")),
        ];
        replaced.extend(more);
        Ok(Self {
            page: Page::new(PAGE, replaced)?,
            network,
            port,
            started,
            logs,
        })
    }

    async fn set_up(&mut self) -> Result<()> {
        let page = &mut self.page;
        page.run("git init -q -b main settings")?;
        page.run("lockstep simulate fleet")?;
        page.logged("fleet.log", "12 simulated devices listen").await?;
        let checked = page.run("lockstep config check")?;
        ensure!(!checked.contains("simulated\n"), "{checked}");
        page.run("lockstep up")?;
        for log in self.logs {
            page.logged(log, self.started).await?;
        }
        let imported = page.run("lockstep devices import domain.yml")?;
        ensure!(imported.contains("imported 12 devices"), "{imported}");
        Ok(())
    }

    fn first_plan(&mut self) -> Result<()> {
        let plan = self.page.run("lockstep sync plan --all --resync")?;
        ensure!(
            plan.contains("12: 12 would change, 0 unchanged, 0 failed, 0 skipped"),
            "{plan}"
        );
        ensure!(plan.contains("+ntp server 192.0.2.123"), "{plan}");
        let applied = self.page.run("lockstep sync apply 1")?;
        ensure!(
            applied.contains("12: 12 changed") && applied.contains("CHG-1"),
            "{applied}"
        );
        ensure!(!applied.contains("refresh_settings"), "{applied}");
        self.unsynchronized(0)
    }

    /// Until the differences were looked at.
    fn change(&mut self) -> Result<()> {
        let flagged = self.page.run("lockstep repositories refresh settings")?;
        ensure!(flagged.contains("refresh_settings"), "{flagged}");
        self.unsynchronized(DEVICES)?;
        let plan = self.page.run("lockstep sync plan --all --wait")?;
        ensure!(plan.contains("12: 12 would change"), "{plan}");
        ensure!(plan.contains("+ip name-server vrf default 192.0.2.53"), "{plan}");
        Ok(())
    }

    fn after_the_apply(&mut self, applied: &str) -> Result<()> {
        // A device that had confirmed when its worker was killed is not changed again.
        ensure!(applied.contains("0 failed, 0 skipped"), "{applied}");
        let execution = self.page.execution(4)?;
        let counts = ["elements", "done", "failed", "skipped"].map(|name| execution[name].as_u64());
        ensure!(counts == [Some(12), Some(12), Some(0), Some(0)], "{execution}");
        self.unsynchronized(0)?;
        for number in 1..=DEVICES {
            let running = self.ask(number, "show running-config")?;
            ensure!(
                running.contains("ip name-server vrf default 192.0.2.53"),
                "{running}"
            );
            let sessions = self.ask(number, "show configuration sessions detail")?;
            ensure!(!sessions.contains("pendingCommitTimer"), "{sessions}");
        }
        let report = self.page.run("lockstep sync show 4")?;
        ensure!(report.contains("0 failed, 0 skipped"), "{report}");
        Ok(())
    }

    fn everything_else(&mut self) -> Result<()> {
        let rendered = self.page.run("lockstep render leaf00001")?;
        ensure!(
            rendered.starts_with("hostname leaf00001\n!\nip name-server"),
            "{rendered}"
        );
        ensure!(rendered.contains("\n+ip name-server"), "{rendered}");

        self.page.run("description by hand")?;
        let drifted = self.page.run("lockstep devices drift leaf00003")?;
        ensure!(
            drifted.contains("somebody changed it") && drifted.contains("confighash"),
            "{drifted}"
        );
        let refused = self.page.run("lockstep sync apply 9")?;
        ensure!(refused.contains("drift"), "{refused}");
        self.unsynchronized(1)?;
        let forced = self.page.run("--force")?;
        ensure!(forced.contains("1: 1 changed"), "{forced}");
        self.unsynchronized(0)?;

        let sessions = self.page.run("lockstep devices sessions leaf00002")?;
        ensure!(sessions.contains("friday"), "{sessions}");
        let gone = self.ask(2, "show configuration sessions detail")?;
        ensure!(!gone.contains("friday"), "{gone}");

        let back = self.page.run("lockstep sync rollback 4")?;
        ensure!(
            back.contains("12: 12 changed") && back.contains("apply_config"),
            "{back}"
        );
        self.unsynchronized(DEVICES)
    }

    async fn freeze(&mut self) -> Result<()> {
        self.page.run("[freeze.today]")?;
        self.page.logged("up-2.log", self.started).await?;
        let accepted = self.page.run("--no-wait")?;
        ensure!(accepted.contains("execution 18 is under way"), "{accepted}");
        let page = &self.page;
        wait::until("the devices to be parked", PATIENCE, async || {
            let elements = page
                .json("elements list 18")
                .map_err(|error| format!("{error:#}"))?;
            let parked = elements.as_array().into_iter().flatten();
            let parked = parked.filter(|element| element["reason"] == "frozen");
            if parked.count() == DEVICES {
                Ok(())
            } else {
                Err(elements.to_string())
            }
        })
        .await?;
        let parked = self.page.run("lockstep executions cancel 18")?;
        ensure!(
            parked.contains("the freeze window \"today\" lasts until"),
            "{parked}"
        );
        let execution = self.page.execution(18)?;
        ensure!(execution["skipped"] == DEVICES, "{execution}");
        self.unsynchronized(DEVICES)
    }

    /// Each commit was confirmed, or its device rolled it back.
    async fn clean_up(&mut self, rolled_back: impl Fn(u64) -> bool) -> Result<()> {
        self.page.run("kill")?;
        self.page.logged("fleet.log", "rolled back").await?;
        let log = std::fs::read_to_string(self.page.folder().join("fleet.log"))?;
        let end = log.lines().next_back().context("no log")?;
        let numbers: Vec<u64> = end
            .split([' ', ';', ','])
            .filter_map(|word| word.parse().ok())
            .collect();
        let [_requests, _peak, commits, confirmed, back] = numbers[..] else {
            anyhow::bail!("{end}");
        };
        // All devices three times, and one of them once more.
        ensure!(confirmed == 3 * 12 + 1, "{end}");
        ensure!(commits == confirmed + back && rolled_back(back), "{end}");
        self.page.ended()
    }

    fn unsynchronized(&self, expected: usize) -> Result<()> {
        let devices = self.page.json("devices list --unsynchronized --state MANAGED")?;
        ensure!(
            devices.as_array().map(Vec::len) == Some(expected),
            "{expected} devices: {devices}"
        );
        Ok(())
    }

    /// What a device itself answers.
    fn ask(&self, device: usize, command: &str) -> Result<String> {
        let (network, port) = (self.network, self.port);
        shell(
            self.page.folder(),
            &format!(
                "curl -sS --cacert fleet-ca.pem -u admin:simulated https://{network}{device}:{port}/command-api -d '{}'",
                serde_json::json!({"jsonrpc": "2.0", "method": "runCmds", "id": 1,
                    "params": {"version": 1, "format": "text", "cmds": ["enable", command]}})
            ),
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_sync_goes_as_written() -> Result<()> {
    let free = "--listen 127.0.0.1:0 --gateway-listen 127.0.0.1:0";
    let up = |log: &str| format!("lockstep up {free} >{log}");
    let mut run = Run::new(
        "127.71.0.",
        "lockstep is up",
        &["up.log"],
        vec![
            ("lockstep up >up.log", up("up.log")),
            ("lockstep up >up-2.log", up("up-2.log")),
        ],
    )?;
    run.set_up().await?;
    run.first_plan()?;
    run.change()?;
    let applied = run.page.run("--canary 1 --wave 3")?;
    run.after_the_apply(&applied)?;
    run.everything_else()?;
    run.freeze().await?;
    run.clean_up(|back| back == 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_sync_goes_as_written_while_one_of_two_workers_is_killed() -> Result<()> {
    let vhost = lockstep_testbed::vhost().await?;
    let database = Database::start().await?;
    let console = free_port()?;
    let servers = format!(
        "[broker]\nurl = \"{}\"\n\n[store]\nurl = \"{}\"\n\n[[console.tokens]]\nname = \"anna\"\ntoken = \"a token for the first sync\"\n\
         types = [\"*\"]\n\n[console]\nlisten = \"127.0.0.1:{console}\"\n\n[repositories.settings]",
        vhost.url(),
        database.url()
    );
    let start =
        |role: &str, name: &str, log: &str| format!("lockstep {role} >{log} 2>&1 &\necho $! >{name}.pid\n");
    let all = [
        "lockstep migrate\n".to_owned(),
        start("worker", "worker-1", "worker-1.log"),
        start("worker", "worker-2", "worker-2.log"),
        start("console", "console", "console.log"),
    ];
    let mut run = Run::new(
        "127.72.0.",
        "worker started",
        &["worker-1.log", "worker-2.log"],
        vec![
            ("[repositories.settings]", servers),
            ("lockstep up >up.log 2>&1 &\necho $! >up.pid\n", all.concat()),
            (
                "lockstep up >up-2.log 2>&1 &\necho $! >up.pid\n",
                start("worker", "worker-1", "up-2.log"),
            ),
            ("\"$(cat up.pid)\"", "\"$(cat worker-1.pid)\"".to_owned()),
        ],
    )?;
    run.page.export(&format!(
        "export LOCKSTEP_URL=http://127.0.0.1:{console} LOCKSTEP_TOKEN='a token for the first sync'\n"
    ));
    run.set_up().await?;
    run.first_plan()?;
    run.change()?;
    let apply = run.page.block("--canary 1 --wave 3")?;
    let workers = [run.page.process("worker-1")?, run.page.process("worker-2")?];
    let folder = run.page.folder().to_owned();
    let exports = run.page.exports().to_owned();
    let applying = tokio::task::spawn_blocking(move || shell(&folder, &format!("{exports}{apply}")));
    let killed = kill_while_it_pushes(workers, &database).await?;
    if killed == workers[0] {
        // The page goes on with the other one.
        std::fs::rename(
            run.page.folder().join("worker-2.pid"),
            run.page.folder().join("worker-1.pid"),
        )?;
    }
    let applied = applying.await??;
    let again = run.page.json("elements list 4")?;
    let again = again.as_array().context("no list")?.iter();
    let again: BTreeMap<&str, u64> = again
        .filter_map(|element| Some((element["name"].as_str()?, element["attempts"].as_u64()?)))
        .filter(|(_, attempts)| *attempts > 1)
        .collect();
    ensure!(!again.is_empty(), "the killed worker ran no device");
    run.after_the_apply(&applied)?;
    run.everything_else()?;
    run.freeze().await?;
    run.clean_up(|back| back <= again.len() as u64).await
}

/// Kills a worker while it has an element of the application, once other devices are done, and returns its process.
async fn kill_while_it_pushes(workers: [Pid; 2], database: &Database) -> Result<Pid> {
    let (client, connection) = tokio_postgres::connect(&database.url(), tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let mut killed = workers[1];
    wait::until("a worker to push", PATIENCE, async || {
        let query = "SELECT worker, state FROM element WHERE execution = 4";
        let rows = client
            .query(query, &[])
            .await
            .map_err(|error| error.to_string())?;
        let rows = rows.iter().map(|row| (row.get(0), row.get(1)));
        let rows: Vec<(Option<String>, String)> = rows.collect();
        let any_done = rows.iter().any(|(_, state)| state == "SUCCESSFUL");
        // MACHINE:PROCESS
        let busy = rows.iter().filter(|(_, state)| state == "RUNNING");
        let busy = busy.filter_map(|(worker, _)| worker.as_ref()?.rsplit(':').next()?.parse().ok());
        let busy = busy.filter_map(Pid::from_raw).find(|pid| workers.contains(pid));
        match busy.filter(|_| any_done) {
            Some(worker) => {
                killed = worker;
                Ok(())
            }
            None => Err(format!("{workers:?}: {rows:?}")),
        }
    })
    .await?;
    kill_process(killed, Signal::KILL)?;
    Ok(killed)
}
