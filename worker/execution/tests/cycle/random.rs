//! Random units with random steps that fail, against the rule written as a recursion.

use std::collections::BTreeSet;

use lockstep_execution::cycle::{UnitRun, UnitTree, run_unit};
use lockstep_execution::{CycleStep, ProviderType};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, Level};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::engine::unit;
use crate::fleet::entity;
use crate::recorder::{Behaviour, Called, Recorder};

const LEVELS: [Level; 4] = [
    Level::NornirDevice,
    Level::Device,
    Level::Interface,
    Level::InterfaceClient,
];

/// An entity with those below it.
struct Below {
    level: usize,
    id: u64,
    children: Vec<Below>,
}

impl Below {
    fn random(level: usize, ids: &mut std::ops::RangeFrom<u64>, rng: &mut StdRng) -> Self {
        let id = ids.next().unwrap_or_default();
        let most = if level + 1 < LEVELS.len() { 3 } else { 0 };
        let children = (0..rng.random_range(0..=most)).map(|_| Self::random(level + 1, ids, rng));
        Self {
            level,
            id,
            children: children.collect(),
        }
    }

    fn name(&self) -> String {
        format!("e{:03}", self.id)
    }

    fn add_to(&self, tree: &mut UnitTree, parent: Option<usize>) {
        let level = LEVELS[self.level];
        let index = tree.add(parent, level, entity(level, self.id, &self.name()));
        for child in &self.children {
            child.add_to(tree, Some(index));
        }
    }
}

/// What is to happen.
#[derive(Default)]
struct Expected {
    down: Vec<Called>,
    up: Vec<Called>,
    states: Vec<(String, ElementState)>,
}

impl Expected {
    fn visit(&mut self, node: &Below, blocked: bool, steps: &[u8], fails: &BTreeSet<Called>) {
        let number = u8::try_from(node.level).expect("there are four levels") + 4;
        let (pre_run, run) = ((number, node.name()), (15 - number, node.name()));
        let has = |step: &Called| steps.contains(&step.0);
        let fails_before = !blocked && has(&pre_run) && fails.contains(&pre_run);
        if !blocked && has(&pre_run) {
            self.down.push(pre_run.clone());
        }
        let place = self.states.len();
        self.states.push((node.name(), ElementState::Pending));
        for child in &node.children {
            self.visit(child, blocked || fails_before, steps, fails);
        }
        let runs = !blocked && !fails_before && has(&run);
        if runs {
            self.up.push(run.clone());
        }
        self.states[place].1 = if blocked && (has(&pre_run) || has(&run)) {
            ElementState::Filtered
        } else if fails_before || runs && fails.contains(&run) {
            ElementState::Failed
        } else if has(&pre_run) || has(&run) {
            ElementState::Successful
        } else {
            // It is there as a parent only.
            ElementState::Pending
        };
    }
}

#[tokio::test]
async fn any_unit_runs_by_the_rule() {
    let mut failed = 0;
    for seed in 0..2000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let root = Below::random(0, &mut (1..), &mut rng);
        let mut tree = UnitTree::default();
        root.add_to(&mut tree, None);
        let steps: Vec<u8> = (4..=11).filter(|_| rng.random_bool(0.7)).collect();
        let mut fails = BTreeSet::new();
        let mut recorder = Recorder::of(ProviderType::Execute, ExecuteOn::Device, &steps);
        for node in tree.nodes() {
            for pre_run in [true, false] {
                let step = CycleStep::of_level(node.level, pre_run).and_then(CycleStep::number);
                let step = step.expect("each level has both steps");
                if rng.random_bool(0.1) {
                    fails.insert((step, node.entity.name.clone()));
                    recorder = recorder.with(step, &node.entity.name, Behaviour::Fails);
                }
            }
        }
        let mut expected = Expected::default();
        expected.visit(&root, false, &steps, &fails);

        let cancel = CancellationToken::new();
        let mut run = UnitRun::begin(&tree, Vec::new(), &[]);
        run_unit(&unit(&recorder, &tree, &cancel, &Value::Null), &mut run)
            .await
            .unwrap();
        let calls = [expected.down, expected.up].concat();
        assert_eq!(recorder.called(), calls, "seed {seed}: {steps:?} {fails:?}");
        let states: Vec<(String, ElementState)> = run
            .results
            .iter()
            .map(|result| (result.name.clone(), result.state))
            .collect();
        assert_eq!(states, expected.states, "seed {seed}: {steps:?} {fails:?}");
        failed += run.results.iter().filter(|result| result.is_failed()).count();
    }
    assert!(failed > 1000, "{failed}");
}
