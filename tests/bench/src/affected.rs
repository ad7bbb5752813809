//! Measures which devices a large change of settings concerns: from two listings to the devices,
//! on one thread, without a server.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write;

use anyhow::{Context, bail, ensure};
use lockstep_intent::fleet::{Candidate, DeviceTypes, select};
use lockstep_intent::{
    Cancellation, Change, Examination, Listing, ObjectId, ReadObjects, RepositoryKind, examine,
};
use lockstep_protocol::{DeviceType, Hostname};

use crate::processes::cpu_time;
use crate::table::{Goal, Row, Table};

/// Changed paths: half of all paths.
const PATHS: u32 = 50_000;
/// Devices of the fleet.
const DEVICES: u32 = 100_000;
/// Number of groups that can be a primary group.
const GROUPS: u32 = 20;

/// The input of all rounds.
struct Scene {
    old: Vec<u8>,
    new: Vec<u8>,
    contents: Contents,
    fleet: Vec<(Hostname, DeviceType)>,
}

/// The contents of all objects.
struct Contents(HashMap<ObjectId, Vec<u8>>);

impl ReadObjects for &Contents {
    type Error = Infallible;

    fn sizes(&mut self, objects: &[ObjectId]) -> Result<HashMap<ObjectId, u64>, Infallible> {
        let sizes = objects
            .iter()
            .filter_map(|object| Some((object.clone(), self.0.get(object)?.len() as u64)));
        Ok(sizes.collect())
    }

    fn contents(&mut self, objects: &[ObjectId]) -> Result<HashMap<ObjectId, Vec<u8>>, Infallible> {
        let contents = objects
            .iter()
            .filter_map(|object| Some((object.clone(), self.0.get(object)?.clone())));
        Ok(contents.collect())
    }
}

/// Measures the CPU time of the decision, with reading the listings and the settings that changed, and of its part that
/// reads no file.
pub(crate) fn measure(rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let (mut whole, mut rules) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let (all, without_files) = scene.once()?;
        eprintln!(
            "affected, round {round}: {all:.0} ms, of which {without_files:.0} ms without reading settings"
        );
        whole.push(all);
        rules.push(without_files);
    }
    let nothing = ("nothing", &[0.0][..]);
    let what = "affected: 50,000 changed settings files, 100,000 devices, CPU";
    table
        .rows
        .push(Row::new(what, "ms", &whole, nothing, Goal::Plus(1000.0)));
    let what = "affected: the same without reading settings, CPU";
    table
        .rows
        .push(Row::new(what, "ms", &rules, nothing, Goal::Plus(1000.0)));
    Ok(())
}

fn cpu() -> anyhow::Result<f64> {
    Ok(cpu_time(std::process::id())?.as_secs_f64() * 1e3)
}

impl Scene {
    fn new() -> anyhow::Result<Self> {
        let mut contents = HashMap::new();
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for number in 0..2 * PATHS {
            let device = number / 2;
            let (path, text) = if number % 2 == 0 {
                (format!("devices/sw{device}/base_system.yml"), base_system(device))
            } else {
                (format!("devices/sw{device}/interfaces.yml"), String::new())
            };
            let (before, after) = (
                id(number),
                id(number + if number % 2 == 0 { 1_000_000 } else { 0 }),
            );
            record(&mut old, &before, &path);
            record(&mut new, &after, &path);
            contents.insert(after.parse()?, text.into_bytes());
        }
        let mut groups = "groups:\n".to_owned();
        for group in 0..GROUPS {
            writeln!(
                groups,
                "- group: {{name: G{group}, regex: 'sw.*{group}$', group_priority: {}}}",
                99 - group
            )?;
        }
        record(&mut old, &id(3_000_000), "global/groups.yml");
        record(&mut new, &id(3_000_000), "global/groups.yml");
        contents.insert(id(3_000_000).parse()?, groups.into_bytes());
        record(&mut new, &id(3_000_001), "groups/G7/routing.yml");
        contents.insert(id(3_000_001).parse()?, b"vrfs: []\n".to_vec());
        let fleet = (0..DEVICES).map(|number| {
            let kind = [DeviceType::ACCESS, DeviceType::DIST][number as usize % 2].clone();
            Ok((format!("sw{number}").parse()?, kind))
        });
        let fleet = fleet.collect::<anyhow::Result<_>>()?;
        Ok(Self {
            old,
            new,
            contents: Contents(contents),
            fleet,
        })
    }

    /// Runs one decision. Returns its CPU time in milliseconds, in total and without the part that reads files.
    fn once(&self) -> anyhow::Result<(f64, f64)> {
        let begin = cpu()?;
        let old = Listing::parse(&self.old)?;
        let new = Listing::parse(&self.new)?;
        let types = DeviceTypes::default();
        let change = Change::between(&old, &new, &types);
        let compared = cpu()?;
        let mut contents = &self.contents;
        let impact = match examine(
            RepositoryKind::Settings,
            &change,
            &mut contents,
            &Cancellation::never(),
        )? {
            Examination::Valid(impact) => impact,
            Examination::Invalid(problems) => {
                bail!("{} problems, the first: {}", problems.len(), problems[0])
            }
        };
        let examined = cpu()?;
        let candidates = self.fleet.iter().map(|(hostname, device_type)| Candidate {
            hostname,
            device_type,
            platform: Some("eos"),
        });
        let selection = select(&impact.affected, &impact.groups, candidates);
        let end = cpu()?;
        let expected = usize::try_from(PATHS).context("a small number")?;
        ensure!(
            change.changed.len() == expected + 1,
            "{} paths changed",
            change.changed.len()
        );
        // Every second device has a path of its own; of the others, the members of the group are concerned.
        ensure!(selection.devices.len() > expected && selection.unknown_hostnames.is_empty());
        Ok((end - begin, end - examined + compared - begin))
    }
}

fn id(number: u32) -> String {
    format!("{number:040x}")
}

/// A line of `git ls-tree -r -z` for a file.
fn record(listing: &mut Vec<u8>, id: &str, path: &str) {
    listing.extend_from_slice(format!("100644 blob {id}\t{path}\0").as_bytes());
}

fn base_system(device: u32) -> String {
    format!(
        "---\nntp_servers:\n  - host: 10.255.0.1\n  - host: 10.255.0.2\nsyslog_servers:\n  - host: 10.255.0.21\n    port: 514\n\
         organization_name: \"site {device}\"\ndot1x_fail_vlan: 13\n"
    )
}
