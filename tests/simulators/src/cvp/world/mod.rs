//! The data of the simulated CloudVision: devices, tasks, change controls, containers.

mod change_control;
mod container;
mod device;
mod diff;
mod fields;
mod task;

use std::collections::HashMap;

use tokio::time::Instant;

use super::knobs::Knobs;

pub use change_control::{ChangeControl, ChangeControlStatus};
pub use container::Container;
pub use device::Device;
pub use diff::ConfigDiff;
pub(crate) use diff::image_differs;
pub use fields::Fields;
pub(crate) use fields::empty_as_null;
pub use task::{Task, TaskKind, TaskStatus};

/// The first of the fixed times of a scenario, in milliseconds since 1970: 2024-11-19T07:06:40Z.
pub(crate) const BASE_TIME_MS: u64 = 1_732_000_000_000;
/// The same in RFC 3339.
pub(crate) const BASE_TIME: &str = "2024-11-19T07:06:40Z";

/// All objects, in the order in which they are listed.
#[derive(Clone, Debug)]
pub struct World {
    pub devices: Vec<Device>,
    /// Newest first.
    pub tasks: Vec<Task>,
    pub change_controls: Vec<ChangeControl>,
    pub containers: Vec<Container>,
}

impl Default for World {
    /// A world without devices, with the two containers of every CloudVision and one more.
    fn default() -> Self {
        Self {
            devices: Vec::new(),
            tasks: Vec::new(),
            change_controls: Vec::new(),
            containers: Container::usual(),
        }
    }
}

impl World {
    /// Adds a device.
    pub fn add_device(&mut self, device: Device) {
        self.devices.push(device);
    }

    /// Adds a task as the newest.
    pub fn add_task(&mut self, task: Task) {
        self.tasks.insert(0, task);
    }

    /// The device with this MAC address.
    pub fn device(&self, mac: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.mac == mac)
    }

    /// All devices by MAC address, for many lookups.
    pub(crate) fn devices_by_mac(&self) -> HashMap<&str, &Device> {
        let devices = self.devices.iter();
        devices.map(|device| (device.mac.as_str(), device)).collect()
    }

    /// The device with this MAC address, to change it.
    ///
    /// # Panics
    /// There is no such device: the scenario and its test disagree.
    pub fn device_mut(&mut self, mac: &str) -> &mut Device {
        let found = self.devices.iter_mut().find(|device| device.mac == mac);
        found.unwrap_or_else(|| panic!("the scenario has no device {mac}"))
    }

    /// The task with this id.
    pub fn task(&self, id: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id == id)
    }

    /// The same, to change it.
    ///
    /// # Panics
    /// There is no such task: the scenario and its test disagree.
    pub fn task_mut(&mut self, id: &str) -> &mut Task {
        let found = self.tasks.iter_mut().find(|task| task.id == id);
        found.unwrap_or_else(|| panic!("the scenario has no task {id}"))
    }

    /// Puts a task into a change control, which is created if it does not exist. The task object does not name it, as observed
    /// with CVP 2021.3; [`Task::in_change_control`] adds it there too.
    pub fn attach(&mut self, task: &str, change_control: &str) {
        let known = self.change_controls.iter().position(|it| it.id == change_control);
        let index = known.unwrap_or_else(|| {
            self.change_controls.push(ChangeControl::new(change_control));
            self.change_controls.len() - 1
        });
        self.change_controls[index].tasks.push(task.to_owned());
    }

    /// Whether an unfinished change control refers to the task.
    pub(crate) fn is_in_open_change_control(&self, task: &str) -> bool {
        let open = self.change_controls.iter().filter(|it| it.is_open());
        open.flat_map(|it| &it.tasks).any(|id| id == task)
    }

    /// Applies everything that is due: ends cancellations and executions, and updates compliance.
    pub(crate) fn settle(&mut self, now: Instant, knobs: &Knobs) {
        for task in &mut self.tasks {
            if task.settle(now, knobs)
                && task.status == TaskStatus::Completed
                && let Some(device) = self.devices.iter_mut().find(|device| device.mac == task.device)
            {
                device.change_configuration("0000");
            }
        }
        for device in &mut self.devices {
            device.settle(now, knobs.compliance_lag);
        }
    }
}
