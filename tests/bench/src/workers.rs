//! Measures two workers on one lane against one, with servers and workers on all cores, and each on a core of its own.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::mpsc;

use crate::affinity::{self, Pinned};
use crate::lockstep::READY;
use crate::meter::{Cpu, Measured};
use crate::processes::cpu_time;
use crate::rounds::alternate;
use crate::scene::{Host, Scene};
use crate::table::{CpuRow, Goal, Row, Table};
use crate::wal;

const WORK_TIMEOUT: Duration = Duration::from_mins(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Contender {
    workers: usize,
    /// Whether the servers are on the first core, and the workers on the second one.
    pinned: bool,
}

impl Contender {
    const fn name(self) -> &'static str {
        match (self.workers, self.pinned) {
            (1, false) => "one worker",
            (1, true) => "one worker, pinned",
            (_, false) => "two workers",
            (_, true) => "two workers, pinned",
        }
    }
}

/// Adds the rows.
///
/// # Errors
/// A server or a worker fails, or an event was not processed.
pub(crate) async fn measure(
    host: &Host,
    (events, devices): (u32, u32),
    rounds: u32,
    table: &mut Table,
) -> anyhow::Result<()> {
    let mut contenders = Vec::new();
    for pinned in [false, true] {
        if pinned && affinity::cores()?.len() < 2 {
            eprintln!("workers: not measured on two cores, because there is only one");
            continue;
        }
        contenders.extend([1, 2].map(|workers| Contender { workers, pinned }));
    }
    let runs = alternate("workers", rounds, &contenders, async |contender| {
        let scene = host.scene(devices).await?;
        scene.publish_events(events).await?;
        let before = wal::position(&scene).await?;
        let mut measured = run(&scene, contender, events).await?;
        measured.wal = Some(wal::written_since(&scene, &before).await?.bytes);
        scene.check(events).await?;
        Ok(measured)
    })
    .await?;
    for (pinned, what) in [
        (false, "two workers on one lane"),
        (true, "the same, servers on one core, workers on another"),
    ] {
        let [one, two] = [1, 2].map(|workers| Contender { workers, pinned });
        if contenders.contains(&two) {
            let alone = (one.name(), &runs.each(one, Measured::rate)[..]);
            let ours = runs.each(two, Measured::rate);
            table.rows.push(Row::new(what, "msg/s", &ours, alone, Goal::None));
        }
    }
    for contender in contenders {
        table.cpu.push(CpuRow::new(contender.name(), runs.of(contender)));
    }
    Ok(())
}

/// Runs the workers from the start of their consumers to the last acknowledgement, which they count together.
async fn run(scene: &Scene, contender: Contender, events: u32) -> anyhow::Result<Measured> {
    let mut workers = Vec::new();
    for _ in 0..contender.workers {
        workers.push(Connected::start(scene)?);
    }
    for worker in &mut workers {
        worker.ready().await?;
    }
    let ids: Vec<u32> = workers.iter().map(Connected::id).collect::<Result<_, _>>()?;
    let servers = [scene.servers.broker, scene.servers.database];
    let _pinned = match affinity::cores()?[..] {
        [first, second, ..] if contender.pinned => {
            Some([Pinned::to(first, &servers)?, Pinned::to(second, &ids)?])
        }
        _ => None,
    };
    let cpu = || -> anyhow::Result<Cpu> {
        let workers = ids.iter().map(|id| cpu_time(*id));
        Ok(Cpu {
            worker: workers.sum::<anyhow::Result<Duration>>()?,
            ..Cpu::now(ids[0], scene.servers)?
        })
    };
    let before = cpu()?;
    let (to_here, mut counts) = mpsc::unbounded_channel();
    let began = Instant::now();
    let mut running = Vec::new();
    for worker in workers {
        running.push(worker.begin(to_here.clone()).await?);
    }
    drop(to_here);
    let (mut messages, mut batches) = (0, 0);
    while messages < events {
        let count = tokio::time::timeout(WORK_TIMEOUT, counts.recv()).await;
        let count = count.context("the workers do not end")?;
        messages += count.context("the workers ended before their work was done")?;
        batches += 1;
    }
    let wall = began.elapsed();
    let cpu = cpu()?.since(before);
    for worker in running {
        worker.end().await?;
    }
    Ok(Measured {
        messages,
        batches,
        wall,
        cpu,
        wal: None,
        allocations: None,
    })
}

/// A worker that waits for the others.
struct Connected {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// A worker that processes messages.
struct Running {
    child: Child,
    input: ChildStdin,
}

impl Connected {
    fn start(scene: &Scene) -> anyhow::Result<Self> {
        let mut child = scene.start_together()?;
        let input = child.stdin.take().context("no standard input")?;
        let output = child.stdout.take().context("no standard output")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output).lines(),
        })
    }

    fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("a worker ended")
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let line = self.output.next_line().await?;
        ensure!(line.as_deref() == Some(READY), "a worker printed {line:?}");
        Ok(())
    }

    /// Lets it begin, and passes its counts on.
    async fn begin(mut self, counts: mpsc::UnboundedSender<u32>) -> anyhow::Result<Running> {
        self.input.write_all(b"begin\n").await?;
        let mut output = self.output;
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                let Ok(count) = line.parse() else {
                    break;
                };
                if counts.send(count).is_err() {
                    break;
                }
            }
        });
        Ok(Running {
            child: self.child,
            input: self.input,
        })
    }
}

impl Running {
    async fn end(mut self) -> anyhow::Result<()> {
        drop(self.input);
        ensure!(self.child.wait().await?.success(), "a worker failed");
        Ok(())
    }
}
