//! The run against simulated devices with EOS, over eAPI, in both dialects.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_device::eapi::{EapiDriver, EapiOptions};
use lockstep_device::{DevicePool, PoolOptions};
use lockstep_execution::StepResult;
use lockstep_protocol::Cause;
use lockstep_simulators::fleet::{
    Device, Dialect, Fault as DeviceFault, FleetSimulator, ForeignSession, Injection, Options, Time, Totals,
};
use lockstep_sync::SyncOptions;
use serde_json::{Value, json};

use crate::outcomes::{changed, failed, unchanged};
use crate::world::{Fault, Login, Pool, SECRET, World};

/// A simulated device, and the store of the other tests.
struct Scene {
    world: World,
    fleet: FleetSimulator,
    devices: Pool,
}

impl Scene {
    async fn of(dialect: Dialect) -> Result<Self> {
        let options = Options {
            time: Time::StandsStill,
            ..Options::default()
        };
        let fleet = FleetSimulator::start(vec![Device::numbered(1)], options).await?;
        fleet.tune(0, |knobs| knobs.dialect = dialect);
        let driver = || -> Result<Arc<EapiDriver>> {
            let options = EapiOptions {
                timeout: Duration::from_secs(30),
                ..EapiOptions::default()
            };
            Ok(Arc::new(EapiDriver::new(client(fleet.ca_pem())?, options)))
        };
        let pool = DevicePool::new(driver()?, Arc::new(Login), PoolOptions::default());
        let devices = Pool(pool.with_unpooled(driver()?));
        let world = World::new();
        world.with(|inner| {
            inner.elsewhere = true;
            inner.store.configuration_hash = None;
        });
        Ok(Self {
            world,
            fleet,
            devices,
        })
    }

    /// Runs an element. `None` if its worker was killed.
    async fn run_with(
        &self,
        element: u64,
        dry_run: bool,
        arguments: Value,
        fault: Option<(usize, Fault)>,
    ) -> Option<StepResult> {
        let options = SyncOptions {
            read_back_pause: Duration::ZERO,
            ..SyncOptions::default()
        };
        let address = self.fleet.addresses()[0].to_string();
        let running = self.world.run_on(
            &self.devices,
            &address,
            element,
            dry_run,
            arguments,
            options,
            fault,
        );
        running.await
    }

    async fn run(&self, dry_run: bool) -> Result<StepResult> {
        let element = self.world.element(|_| {});
        let result = self.run_with(element, dry_run, json!({}), None).await;
        result.context("nothing kills the worker")
    }

    /// Whether it runs the configuration of a generation, for good, also after a restart.
    fn keeps(&self, generation: i64) -> bool {
        let vlan = format!("vlan {generation}\n");
        let running = self.fleet.running_configuration(0);
        running.contains(&vlan)
            && self.fleet.startup_configuration(0).contains(&vlan)
            && self.fleet.sessions(0).is_empty()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "src/roles builds clients for processes; this one is for a test"
)]
fn client(ca_pem: &str) -> Result<reqwest::Client> {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(ca_pem.as_bytes())?])
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?)
}

async fn in_both_dialects(check: impl AsyncFn(Scene) -> Result<()>) -> Result<()> {
    for dialect in [Dialect::UpTo431, Dialect::Since432] {
        check(Scene::of(dialect).await?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_simulated_device_is_planned_pushed_and_then_in_lockstep() -> Result<()> {
    in_both_dialects(async |scene| {
        let before = scene.fleet.running_configuration(0);
        let result = scene.run(true).await?;
        let diff = changed(&result)["diff"].as_str().context("no difference")?;
        ensure!(diff.contains("+vlan 2") && !diff.contains(SECRET), "{diff}");
        assert_eq!(scene.fleet.running_configuration(0), before);
        assert_eq!(scene.fleet.sessions(0), []);

        let connections = scene.fleet.connections(0);
        changed(&scene.run(false).await?);
        ensure!(scene.keeps(2) && scene.world.flag());
        ensure!(
            scene.fleet.connections(0) > connections,
            "it is read back over a new connection"
        );
        let expected = Totals {
            commits: 1,
            confirms: 1,
            ..scene.fleet.totals(0)
        };
        assert_eq!(scene.fleet.totals(0), expected);

        assert_eq!(unchanged(&scene.run(false).await?)["drifted"], false);
        scene.fleet.advance(Duration::from_hours(1));
        ensure!(scene.keeps(2));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_a_killed_worker_leaves_on_a_simulated_device_is_settled() -> Result<()> {
    in_both_dialects(async |scene| {
        // The calls to the store in a push: the binding twice, the difference, the intent, the lease, the completion, …
        for (killed_at, kind) in [
            (5, Fault::KilledBefore),
            (5, Fault::KilledAfter),
            (7, Fault::KilledBefore),
        ] {
            scene.world.with(|inner| inner.store.change());
            let generation = scene.world.with(|inner| inner.store.desired);
            let element = scene.world.element(|_| {});
            let killed = scene
                .run_with(element, false, json!({}), Some((killed_at, kind)))
                .await;
            let calls = scene.world.with(|inner| inner.calls.clone());
            ensure!(killed.is_none(), "{killed_at}: {calls:?}");
            let again = scene
                .run_with(element, false, json!({}), None)
                .await
                .context("killed")?;
            changed(&again);
            ensure!(
                scene.keeps(generation) && scene.world.flag(),
                "{killed_at}: {calls:?}"
            );
            scene
                .world
                .with(|inner| assert_eq!(inner.store.causes, [], "no false drift"));
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn faults_of_a_simulated_device_around_the_confirmation_leave_no_false_flag() -> Result<()> {
    in_both_dialects(async |scene| {
        let confirmation = "configure session * commit";
        scene
            .fleet
            .inject(0, Injection::after(confirmation, DeviceFault::Lost).times(1));
        changed(&scene.run(false).await?);
        ensure!(scene.world.flag(), "the answer was lost, and it was confirmed");

        scene.world.with(|inner| inner.store.change());
        scene
            .fleet
            .inject(0, Injection::before(confirmation, DeviceFault::Lost).times(1));
        changed(&scene.run(false).await?);
        ensure!(scene.world.flag() && scene.keeps(3), "it was confirmed once more");

        scene.world.with(|inner| inner.store.change());
        scene
            .fleet
            .inject(0, Injection::before(confirmation, DeviceFault::Restarts).times(1));
        let result = scene.run(false).await?;
        ensure!(
            ["rolled-back", "not-confirmed"].contains(&failed(&result).0),
            "{result:?}"
        );
        ensure!(!scene.world.flag() && scene.keeps(3));
        changed(&scene.run(false).await?);
        ensure!(scene.world.flag() && scene.keeps(4));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_simulated_device_refuses_is_changed_by_hand_and_has_sessions_of_others() -> Result<()> {
    in_both_dialects(async |scene| {
        scene
            .fleet
            .tune(0, |knobs| knobs.refuses_commit = Some("not now".to_owned()));
        let result = scene.run(false).await?;
        ensure!(failed(&result).1["stage"] == "commit", "{result:?}");
        assert_eq!(scene.fleet.sessions(0), []);
        scene.fleet.tune(0, |knobs| knobs.refuses_commit = None);
        changed(&scene.run(false).await?);

        scene.fleet.change_by_hand(0, &["vlan 99"]).unwrap();
        let result = scene.run(false).await?;
        assert_eq!(failed(&result).0, "drift");
        scene
            .world
            .with(|inner| assert_eq!(inner.store.causes, [Cause::Confighash]));
        ensure!(
            scene.fleet.running_configuration(0).contains("vlan 99"),
            "it is not overwritten"
        );

        let foreign = ForeignSession {
            timer: Some(Duration::from_mins(5)),
            ..ForeignSession::new("maintenance")
        };
        scene.fleet.open_session(0, &foreign).unwrap();
        let result = scene.run(true).await?;
        assert_eq!(failed(&result).0, "session-in-use");
        let message = result
            .map_err(|failure| failure.message)
            .err()
            .unwrap_or_default();
        ensure!(
            message.contains("maintenance") && message.contains("alice"),
            "{message}"
        );
        let element = scene.world.element(|_| {});
        let abort = json!({"action": "abort-session", "session": "maintenance"});
        changed(
            &scene
                .run_with(element, false, abort, None)
                .await
                .context("killed")?,
        );
        let element = scene.world.element(|_| {});
        let forced = scene.run_with(element, false, json!({"force": true}), None).await;
        changed(&forced.context("killed")?);
        ensure!(scene.world.flag() && scene.keeps(2));
        Ok(())
    })
    .await
}
