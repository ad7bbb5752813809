use std::sync::Mutex;

use async_trait::async_trait;
use lockstep_execution::cycle::{Unit, UnitRun, UnitTree, run_unit};
use lockstep_execution::{
    DeviceConnection, DeviceError, Devices, Endpoint, Entity, PooledConnection, ProviderType, TargetDevice,
};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, Level};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::engine::unit;
use crate::fleet::entity;
use crate::recorder::{Behaviour, Recorder};

/// Devices none of which can be connected to. It keeps the hostnames that were tried.
#[derive(Debug, Default)]
struct Unreachable(Mutex<Vec<String>>);

#[async_trait]
impl Devices for Unreachable {
    async fn connect(&self, device: &TargetDevice) -> Result<PooledConnection, DeviceError> {
        let mut tried = self.0.lock().expect("nobody panics while it holds it");
        tried.push(device.hostname.clone());
        Err(DeviceError::NoCredentials)
    }

    async fn connect_anew(&self, _: &TargetDevice) -> Result<Box<dyn DeviceConnection>, DeviceError> {
        Err(DeviceError::NoCredentials)
    }
}

fn device(level: Level, id: u64, name: &str) -> Entity {
    Entity {
        device: TargetDevice::new(
            format!("{name}.example.org"),
            &Endpoint::default(),
            None,
            Vec::new(),
        )
        .ok(),
        ..entity(level, id, name)
    }
}

#[tokio::test]
async fn a_device_that_cannot_be_connected_to_leaves_alone_all_below_it() {
    use ElementState::{Failed, Filtered, Pending};
    let mut tree = UnitTree::default();
    let controller = tree.add(
        None,
        Level::NornirDevice,
        device(Level::NornirDevice, 1, "controller"),
    );
    let leaf = tree.add(Some(controller), Level::Device, device(Level::Device, 2, "leaf"));
    let port = tree.add(Some(leaf), Level::Interface, entity(Level::Interface, 3, "port"));
    tree.add(
        Some(port),
        Level::InterfaceClient,
        entity(Level::InterfaceClient, 4, "phone"),
    );
    let states = [
        (4, "controller", [Failed, Filtered, Filtered, Filtered]),
        (5, "leaf", [Pending, Failed, Filtered, Filtered]),
    ];
    for (step, name, expected) in states {
        let steps: &[u8] = if step == 4 {
            &[4, 5, 6, 7, 8, 9, 10, 11]
        } else {
            &[5, 6, 7, 8, 9, 10]
        };
        let recorder = Recorder::of(ProviderType::Execute, ExecuteOn::Device, steps);
        let recorder = recorder.with(step, name, Behaviour::Connects);
        let (cancel, devices) = (CancellationToken::new(), Unreachable::default());
        let unit = Unit {
            devices: &devices,
            children: None,
            ..unit(&recorder, &tree, &cancel, &Value::Null)
        };
        let mut run = UnitRun::begin(&tree, Vec::new(), &[]);
        run_unit(&unit, &mut run).await.unwrap();
        let states: Vec<ElementState> = run.results.iter().map(|result| result.state).collect();
        assert_eq!(states, expected);
        let failed = run.results.iter().find(|result| result.is_failed()).unwrap();
        assert_eq!(failed.reason.as_deref(), Some("no-credentials"));
        assert_eq!(recorder.called(), []);
        // A device behind a controller is reached by the controller.
        assert_eq!(*devices.0.lock().unwrap(), ["controller.example.org"]);
    }
}
