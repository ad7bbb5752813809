//! Random histories of a fleet, delivered in order and in any order, with duplicates: the states, the links with their addresses and the
//! management domains are the same in the end, and every device that is flagged in order is flagged.
//!
//! A message that names a device by a hostname which it gets later is rejected, as in a worker, and processed again when others were:
//! an operator requeues its dead letter. Hostnames are not used again, and nobody sends events about a device that was removed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lockstep_protocol::{Code, DeviceState, Envelope, Hostname, Kind};
use lockstep_store::{Facts, Link, LinkAddresses, LinkEnd, ManagementDomain};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::super::fixtures::{device, facts, hostname, link, message, process};

const HISTORIES: u64 = 1_000;
const DEVICES: usize = 5;
const EVENTS: i64 = 14;

/// A device while a history is made.
struct Alive {
    name: String,
    former: Vec<String>,
    /// Events name it by a former name, which a removal would end.
    stays: bool,
    /// It was provisioned, which under a name that it gets later would create another device.
    keeps_name: bool,
}

struct History {
    random: StdRng,
    alive: Vec<Alive>,
    renames: usize,
}

impl History {
    fn new(seed: u64) -> Self {
        let alive = (0..DEVICES).map(|number| Alive {
            name: format!("sw{number}"),
            former: Vec::new(),
            stays: false,
            keeps_name: false,
        });
        Self {
            random: StdRng::seed_from_u64(seed),
            alive: alive.collect(),
            renames: 0,
        }
    }

    fn device(&mut self) -> usize {
        self.random.random_range(0..self.alive.len())
    }

    /// The present name, or a former one.
    fn name_of(&mut self, index: usize) -> String {
        let device = &mut self.alive[index];
        match device.former.choose(&mut self.random) {
            Some(former) if self.random.random_bool(0.3) => {
                device.stays = true;
                former.clone()
            }
            _ => device.name.clone(),
        }
    }

    fn name(&mut self) -> String {
        let index = self.device();
        self.name_of(index)
    }

    fn interface(&mut self) -> String {
        format!("E{}", self.random.random_range(1..=2))
    }

    fn ends(&mut self) -> Value {
        let (one, other) = self.two();
        let mut ends = json!({"a": {"hostname": one, "interface": self.interface()},
            "b": {"hostname": other, "interface": self.interface()}});
        for end in ["a", "b"] {
            if self.random.random_bool(0.3) {
                ends[end]["address"] = json!(format!("10.0.0.{}/31", self.random.random_range(0..200)));
            }
        }
        ends
    }

    fn two(&mut self) -> (String, String) {
        let one = self.device();
        let other = (one + self.random.random_range(1..self.alive.len())) % self.alive.len();
        (self.name_of(one), self.name_of(other))
    }

    fn upgraded(&mut self) -> (Kind, Value) {
        (Kind::DeviceUpgraded, json!({"hostname": self.name()}))
    }

    fn event(&mut self) -> (Kind, Value) {
        match self.random.random_range(0..18) {
            0..=2 => {
                let state = [DeviceState::Managed, DeviceState::Unmanaged, DeviceState::Init];
                let state = state.choose(&mut self.random);
                (
                    Kind::DeviceStateChanged,
                    json!({"hostname": self.name(), "state": state}),
                )
            }
            3..=8 => {
                let mut data = self.ends();
                let action = ["added", "added", "updated", "removed"]
                    .choose(&mut self.random)
                    .unwrap();
                data["action"] = json!(action);
                if *action == "updated" && self.random.random_bool(0.5) {
                    data["previous"] = self.ends();
                }
                (Kind::LinknetChanged, data)
            }
            9 => self.upgraded(),
            10 => {
                let (a, b) = self.two();
                let actions = ["added", "updated", "removed"];
                let action = actions.choose(&mut self.random);
                (
                    Kind::MgmtdomainChanged,
                    json!({"action": action, "device_a": a, "device_b": b}),
                )
            }
            16..=17 => {
                let (a, b) = self.two();
                let actions = ["added", "updated", "removed"];
                let action = actions.choose(&mut self.random);
                let (id, vlan) = (self.random.random_range(0..3), self.random.random_range(1..4000));
                let data = json!({"action": action, "device_a": a, "device_b": b, "id": id, "vlan": vlan});
                (Kind::MgmtdomainChanged, data)
            }
            11 => {
                let interfaces = json!([{"name": "E1"}]);
                let data =
                    json!({"hostname": self.name(), "kind": "configuration", "interfaces": interfaces});
                (Kind::InterfaceUpdated, data)
            }
            12 => {
                let index = self.device();
                let other = (index + 1) % self.alive.len();
                // A neighbour by a name that it gets later is reported as unknown, and not asked for again.
                if [index, other]
                    .iter()
                    .any(|index| !self.alive[*index].former.is_empty())
                {
                    return self.upgraded();
                }
                self.alive[index].keeps_name = true;
                let here = self.alive[index].name.clone();
                let there = self.alive[other].name.clone();
                let neighbor = json!({"interface": self.interface(), "neighbor_hostname": there,
                    "neighbor_interface": self.interface()});
                let data = json!({"hostname": here, "device_type": "DIST", "platform": "eos", "neighbors": [neighbor]});
                (Kind::DeviceProvisioned, data)
            }
            13..=14 => {
                let index = self.device();
                if self.alive[index].keeps_name {
                    return self.upgraded();
                }
                self.renames += 1;
                let to = format!("new{}", self.renames);
                let device = &mut self.alive[index];
                let from = std::mem::replace(&mut device.name, to.clone());
                device.former.push(from.clone());
                (Kind::DeviceRenamed, json!({"hostname": from, "new_hostname": to}))
            }
            _ => {
                let index = self.device();
                if self.alive.len() <= 3 || self.alive[index].stays {
                    return self.upgraded();
                }
                let device = self.alive.remove(index);
                (Kind::DeviceRemoved, json!({"hostname": device.name}))
            }
        }
    }

    fn events(&mut self) -> Vec<Envelope> {
        let event = |second| {
            let (kind, data) = self.event();
            message(kind, second, &data)
        };
        (10..10 + EVENTS).map(event).collect()
    }

    /// The fleet before.
    fn fleet(&mut self) -> Facts {
        let states = [DeviceState::Managed, DeviceState::Unmanaged];
        let rows = (0..DEVICES).map(|number| {
            let state = states.choose(&mut self.random).copied().unwrap();
            device(&format!("sw{number}"), |row| {
                row.id = Some(i64::try_from(number).unwrap());
                row.lifecycle.state = state;
            })
        });
        let mut facts = facts(rows.collect::<Vec<_>>());
        facts.add_link(link(("sw0", "E1"), ("sw1", "E1")), true, None);
        facts.add_link(link(("sw1", "E2"), ("sw2", "E2")), true, None);
        facts.add_neighbor_by_configuration(hostname("sw0"), hostname("sw3"));
        facts
    }
}

/// Processes all messages, those that are rejected for a name again behind the others.
fn run(mut facts: Facts, messages: impl IntoIterator<Item = Envelope>) -> Facts {
    let mut queue: VecDeque<Envelope> = messages.into_iter().collect();
    let mut rejected = 0;
    while let Some(next) = queue.pop_front() {
        match process(&next, &mut facts) {
            Ok(_) => rejected = 0,
            Err(rejection) => {
                assert_eq!(rejection.code, Code::UnknownDevice, "{rejection}");
                queue.push_back(next);
                rejected += 1;
                assert!(rejected <= queue.len(), "nobody has the names in {queue:?}");
            }
        }
    }
    facts
}

/// The addresses of each link.
type Addressed = BTreeMap<Link, LinkAddresses>;

/// Each link with its addresses, and the domains.
fn kept(facts: &Facts, links: &BTreeSet<Link>) -> (Addressed, Vec<Option<ManagementDomain>>) {
    let addressed = links
        .iter()
        .map(|link| (link.clone(), facts.link(link).unwrap().addresses.clone()));
    let domains = (0..3).map(|id| facts.management_domain(id).and_then(|row| row.domain.clone()));
    (addressed.collect(), domains.collect())
}

/// What is the same in whichever order.
fn outcome(facts: &Facts) -> (BTreeMap<Hostname, DeviceState>, BTreeSet<Link>) {
    let states = facts
        .devices()
        .map(|row| (row.hostname.clone(), row.lifecycle.state));
    let states: BTreeMap<Hostname, DeviceState> = states.collect();
    let links = states
        .keys()
        .flat_map(|hostname| facts.links_of(hostname).cloned());
    let links = links.collect();
    (states, links)
}

fn flagged(facts: &Facts) -> BTreeSet<Hostname> {
    let flagged = facts.devices().filter(|row| !row.sync.synchronized());
    flagged.map(|row| row.hostname.clone()).collect()
}

#[test]
fn any_order_with_duplicates_ends_as_the_order_of_time_does_and_no_flag_is_lost() {
    let mut late = 0;
    for seed in 0..HISTORIES {
        let mut history = History::new(seed);
        let fleet = history.fleet();
        let events = history.events();
        let in_order = run(fleet.clone(), events.clone());
        for _ in 0..4 {
            let mut messages = events.clone();
            let again: Vec<Envelope> = messages
                .iter()
                .filter(|_| history.random.random_bool(0.2))
                .cloned()
                .collect();
            messages.extend(again);
            messages.shuffle(&mut history.random);
            let told = || {
                let lines = messages
                    .iter()
                    .map(|envelope| format!("{:?} {:?}", envelope.time, envelope.message));
                lines.collect::<Vec<_>>().join("\n")
            };
            let shuffled = run(fleet.clone(), messages.clone());
            let ((states, links), (expected_states, expected_links)) =
                (outcome(&shuffled), outcome(&in_order));
            assert_eq!(states, expected_states, "seed {seed}:\n{}", told());
            // A link to a removed device is forgotten with it, so what is older than that link may come back: one link too many
            // flags too much, and none is missing.
            let is_exact = states.len() == DEVICES;
            assert!(
                links.is_superset(&expected_links),
                "seed {seed}: {links:?} for {expected_links:?}:\n{}",
                told()
            );
            assert!(
                !is_exact || links == expected_links,
                "seed {seed}: {links:?} for {expected_links:?}:\n{}",
                told()
            );
            assert!(
                !is_exact || kept(&shuffled, &links) == kept(&in_order, &links),
                "seed {seed}: {:?} for {:?}:\n{}",
                kept(&shuffled, &links),
                kept(&in_order, &links),
                told()
            );
            let (flagged, expected) = (flagged(&shuffled), flagged(&in_order));
            assert!(
                flagged.is_superset(&expected),
                "seed {seed}: {flagged:?} for {expected:?}:\n{}",
                told()
            );
            late += usize::from(messages != events);
        }
    }
    assert!(late > 0);
}

/// An end of a link has at most one link, whatever happens.
#[test]
fn an_interface_never_has_two_links() {
    for seed in 0..HISTORIES / 10 {
        let mut history = History::new(seed);
        let fleet = history.fleet();
        let mut events = history.events();
        events.shuffle(&mut history.random);
        let after = run(fleet, events);
        let (_, links) = outcome(&after);
        let ends: Vec<&LinkEnd> = links.iter().flat_map(Link::ends).collect();
        let unique: BTreeSet<&LinkEnd> = ends.iter().copied().collect();
        assert_eq!(unique.len(), ends.len(), "seed {seed}: {links:?}");
    }
}
