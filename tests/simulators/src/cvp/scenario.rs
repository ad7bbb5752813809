use super::knobs::Knobs;
use super::version::Version;
use super::world::{Device, Task, World};

/// The initial state of the simulated CloudVision.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub world: World,
    pub knobs: Knobs,
    pub version: Version,
}

impl Default for Scenario {
    /// The release of the article, without devices and tasks.
    fn default() -> Self {
        Self {
            world: World::default(),
            knobs: Knobs::default(),
            version: Version::SEED,
        }
    }
}

impl Scenario {
    /// The fourteen pending tasks of the article on empty tasks, in its order, with its devices and compliance codes.
    pub fn seed() -> Self {
        let mut scenario = Self::default();
        for (id, mac, code) in SEED.iter().rev() {
            let number = scenario.world.devices.len() + 1;
            scenario = scenario.with_pending(id, mac, &format!("leaf{number}"), code);
        }
        scenario
    }

    /// Pending tasks, each on its own device. `empty_percent` of them, spread evenly, have nothing left to do.
    pub fn many(tasks: usize, empty_percent: usize) -> Self {
        let mut scenario = Self::default();
        for index in 0..tasks {
            let empty = (index + 1) * empty_percent / 100 > index * empty_percent / 100;
            let code = if empty { "0000" } else { "0001" };
            let mac = mac(index);
            scenario =
                scenario.with_pending(&format!("{}", 1000 + index), &mac, &format!("leaf{index}"), code);
        }
        scenario
    }

    /// One more device and, as the newest, its pending task.
    #[must_use]
    pub fn with_pending(mut self, task: &str, mac: &str, hostname: &str, code: &str) -> Self {
        let mut device = Device::new(mac, hostname);
        device.set_code(code);
        self.world.add_device(device);
        self.world.add_task(Task::new(task, mac));
        self
    }

    /// Sets another release, and the features of a new installation of it.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self.knobs.per_task_diff = version.has_resources();
        self.knobs.provisioning = version.is_cvaas() || version.installs_provisioning();
        self
    }

    /// Changes the knobs.
    #[must_use]
    pub fn tuned(mut self, tune: impl FnOnce(&mut Knobs)) -> Self {
        tune(&mut self.knobs);
        self
    }

    /// Changes the world.
    #[must_use]
    pub fn edited(mut self, edit: impl FnOnce(&mut World)) -> Self {
        edit(&mut self.world);
        self
    }
}

fn mac(index: usize) -> String {
    let [.., a, b, c] = index.to_be_bytes();
    format!("44:4c:a8:{a:02x}:{b:02x}:{c:02x}")
}

const SEED: [(&str, &str, &str); 14] = [
    ("1811", "fc:9b:59:6a:83:8c", "0000"),
    ("1810", "a4:9f:e4:8d:c2:4e", "0000"),
    ("1809", "a4:9f:e4:8d:c0:96", "0000"),
    ("1795", "48:49:b7:a2:a9:ea", "0007"),
    ("1788", "48:49:b7:a2:9a:82", "0001"),
    ("1785", "48:49:b7:59:d2:e0", "0001"),
    ("1784", "48:49:b7:91:36:50", "0001"),
    ("1783", "48:49:b7:de:d2:e0", "0001"),
    ("1782", "48:49:b7:59:e2:f2", "0001"),
    ("1781", "a4:9f:e4:8d:d0:b8", "0001"),
    ("1780", "38:f8:2e:ec:f2:76", "0001"),
    ("1779", "f8:be:d6:39:fa:24", "0001"),
    ("1778", "48:49:b7:59:dc:c4", "0001"),
    ("1777", "48:49:b7:59:fb:a4", "0001"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_is_listed_as_in_the_article() {
        let scenario = Scenario::seed();
        let listed: Vec<_> = scenario
            .world
            .tasks
            .iter()
            .map(|task| (task.id.as_str(), task.device.as_str()))
            .collect();
        let article: Vec<_> = SEED.iter().map(|(id, mac, _)| (*id, *mac)).collect();
        assert_eq!(listed, article);
    }

    #[test]
    fn of_many_tasks_as_many_are_empty_as_was_asked_for() {
        for (tasks, percent, empty) in [(2000, 10, 200), (10, 0, 0), (10, 100, 10), (7, 50, 3)] {
            let scenario = Scenario::many(tasks, percent);
            let codes = scenario
                .world
                .devices
                .iter()
                .filter(|it| it.compliance_code == "0000");
            assert_eq!((scenario.world.tasks.len(), codes.count()), (tasks, empty));
        }
    }
}
