//! A store and a fleet for tests, of which there is nothing.

use async_trait::async_trait;
use lockstep_protocol::{EntityType, Level};
use serde_json::Value;

use crate::cycle::{CheckResult, Results};
use crate::{
    CycleResult, DeviceConnection, DeviceError, Devices, EntityData, PooledConnection, TargetDevice,
};

/// A store without results, facts and checks.
#[derive(Clone, Copy, Debug)]
pub struct EmptyStore;

#[async_trait]
impl Results for EmptyStore {
    async fn page(&self, _: Level, _: Option<u64>, _: Option<u64>) -> Result<Vec<CycleResult>, String> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl EntityData for EmptyStore {
    async fn entity(&self, _: EntityType, _: u64) -> Result<Value, String> {
        Ok(Value::Null)
    }

    async fn checks_below(
        &self,
        _: EntityType,
        _: u64,
        _: EntityType,
        _: &str,
    ) -> Result<Vec<(String, Option<CheckResult>)>, String> {
        Ok(Vec::new())
    }
}

/// Devices without credentials: none can be connected to.
#[derive(Clone, Copy, Debug)]
pub struct NoDevices;

#[async_trait]
impl Devices for NoDevices {
    async fn connect(&self, _: &TargetDevice) -> Result<PooledConnection, DeviceError> {
        Err(DeviceError::NoCredentials)
    }

    async fn connect_anew(&self, _: &TargetDevice) -> Result<Box<dyn DeviceConnection>, DeviceError> {
        Err(DeviceError::NoCredentials)
    }
}
