//! Runs workers under a steady load with random faults, on private servers, and checks that no message is lost or applied
//! twice.
//!
//! `tests/soak` sets duration and random seed in `LOCKSTEP_SOAK_SECONDS` and `LOCKSTEP_SOAK_SEED`. Without them, the soak
//! takes half a minute, and its faults have the same order each time.

mod fault;
mod traffic;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fault::Fault;
use lockstep_testbed::{Broker, Database, environment};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use tokio_util::sync::CancellationToken;

use crate::system::{Process, Scene};

const SECONDS: u64 = 30;
const SEED: u64 = 1;
const WORKERS: usize = 3;

/// Everything that faults apply to.
struct Soak {
    broker: Broker,
    database: Database,
    scene: Scene,
    workers: Vec<Process>,
    random: StdRng,
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "the report lists the faults")]
async fn private_soak() -> Result<()> {
    let time = Duration::from_secs(number(environment::SOAK_SECONDS, SECONDS)?);
    let seed = number(environment::SOAK_SEED, SEED)?;
    println!(
        "{} {}, {} {seed}",
        environment::SOAK_SECONDS,
        time.as_secs(),
        environment::SOAK_SEED
    );
    let mut soak = Soak::start(seed).await?;
    let bus = soak.scene.bus().await?;
    // The fleet first, because workers process the other messages concurrently.
    let fleet = traffic::FLEET.publish(&*bus).await?;
    soak.scene.oracle().processed(&fleet).await?;
    let (end_of_load, end_of_reading) = (CancellationToken::new(), CancellationToken::new());
    let load = tokio::spawn(traffic::publish(bus.clone(), fleet, end_of_load.clone()));
    let reading = tokio::spawn(traffic::read_results(bus.clone(), end_of_reading.clone()));

    let counts = soak.run(time).await?;
    end_of_load.cancel();
    let sent = load.await??;
    let oracle = soak.scene.oracle();
    let ended = Instant::now();
    oracle.processed(&sent).await?;
    println!(
        "all messages are processed {:.1} s after the load ended",
        ended.elapsed().as_secs_f64()
    );
    for worker in soak.workers {
        worker.stop().await?;
    }
    println!(
        "all workers ended {:.1} s after the load",
        ended.elapsed().as_secs_f64()
    );
    end_of_reading.cancel();
    let read = reading.await??;
    println!("{counts:?}");
    oracle.check_with(&sent, &read, &*bus).await
}

fn number(variable: &str, usual: u64) -> Result<u64> {
    match environment::variable(variable) {
        None => Ok(usual),
        Some(text) => text
            .parse()
            .with_context(|| format!("{variable} is {text:?}, not a number")),
    }
}

impl Soak {
    async fn start(seed: u64) -> Result<Self> {
        let (broker, database) = tokio::try_join!(Broker::start(), Database::start())?;
        let scene = Scene::on(broker.vhost().await?, database.schema().await?).await?;
        let workers: Result<_> = (0..WORKERS).map(|_| scene.worker(&[])).collect();
        Ok(Self {
            workers: workers?,
            broker,
            database,
            scene,
            random: StdRng::seed_from_u64(seed),
        })
    }

    /// Runs all faults in random order, again and again, with a short rest between two. Returns how often each
    /// one ran.
    #[expect(
        clippy::print_stdout,
        reason = "a failure is analysed by the times of the faults"
    )]
    async fn run(&mut self, time: Duration) -> Result<BTreeMap<Fault, usize>> {
        let begun = Instant::now();
        let mut counts = BTreeMap::new();
        loop {
            let mut faults = Fault::ALL;
            faults.shuffle(&mut self.random);
            for fault in faults {
                if begun.elapsed() >= time {
                    return Ok(counts);
                }
                // Sometimes one worker is stopped during the fault.
                let sleeper = (self.random.random_range(0..3) == 0).then(|| self.any_worker());
                println!(
                    "{:6.1} s: {fault:?}, asleep: {sleeper:?}",
                    begun.elapsed().as_secs_f64()
                );
                if let Some(sleeper) = sleeper {
                    self.workers[sleeper].signal(Signal::STOP)?;
                }
                fault.happen(self).await.with_context(|| format!("{fault:?}"))?;
                if let Some(sleeper) = sleeper {
                    self.workers[sleeper].signal(Signal::CONT)?;
                }
                *counts.entry(fault).or_default() += 1;
                self.rest(500, 2000).await;
            }
        }
    }

    fn any_worker(&mut self) -> usize {
        self.random.random_range(0..self.workers.len())
    }

    /// Sleeps for a random time. Only the soak may sleep, because it is about time.
    async fn rest(&mut self, from_ms: u64, to_ms: u64) {
        let time = Duration::from_millis(self.random.random_range(from_ms..=to_ms));
        tokio::time::sleep(time).await;
    }
}
