//! The configurations that devices begin with.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, ensure};
use lockstep_simulators::fleet::FleetSimulator;

/// The longest configuration, in bytes.
const LONGEST: u64 = 4 << 20;

/// Gives each device the configuration in its file, if there is one, and returns the number of these devices.
pub(super) fn load(fleet: &FleetSimulator, folder: &Path) -> anyhow::Result<usize> {
    let mut loaded = 0;
    for index in 0..fleet.addresses().len() {
        let hostname = fleet.edit(index, |device| device.hostname.clone());
        let file = folder.join(format!("{hostname}.cfg"));
        if file.is_file() {
            let text = read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            fleet.set_configuration(index, &text);
            loaded += 1;
        }
    }
    ensure!(
        loaded > 0,
        "{} has no configuration of a device; files are named after devices, such as leaf00001.cfg",
        folder.display()
    );
    Ok(loaded)
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(LONGEST + 1).read_to_string(&mut text)?;
    ensure!(text.len() as u64 <= LONGEST, "it is longer than {LONGEST} bytes");
    Ok(text)
}
