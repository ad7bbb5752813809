//! Compares the configurations that devices have before and after a change.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{anyhow, bail};
use lockstep_intent::bounds::MOST_RENDERED_BYTES;
use lockstep_intent::{Cancellation, ExamineError, RepositoryKind, text_files};
use lockstep_protocol::{Hostname, counted};
use lockstep_render::{Files, RenderError, SettingsSet};
use serde::Serialize;
use similar::TextDiff;

use super::git::Git;
use crate::cli::output;
use crate::config::Config;
use crate::offline::{Offline, Surroundings, files};

/// Which configurations differ. Scripts rely on the names of its fields.
#[derive(Debug, Default, Serialize)]
pub(super) struct Rendered {
    changed: BTreeSet<Hostname>,
    unchanged: BTreeSet<Hostname>,
    failed: Vec<Failed>,
    /// How the configuration of one device differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
}

/// A device whose configuration cannot be rendered after the change.
#[derive(Debug, Serialize)]
struct Failed {
    hostname: Hostname,
    error: String,
}

/// What the configuration of a device becomes.
enum Outcome {
    Changed,
    Unchanged,
    Failed(String),
}

/// Where the repositories are.
pub(super) struct Sources<'a> {
    /// The one that changes.
    pub(super) kind: RepositoryKind,
    /// Its clone.
    pub(super) git: &'a Path,
    /// The folder of the other one.
    pub(super) other: &'a Path,
    pub(super) config: &'a Config,
}

impl Sources<'_> {
    /// Renders these devices from both commits, on all processors. At a time, only as many configurations are in memory as there are
    /// processors.
    pub(super) fn compare(
        &self,
        from: &str,
        to: &str,
        devices: &[Hostname],
        surroundings: &Surroundings,
        diff: Option<&Hostname>,
    ) -> anyhow::Result<Rendered> {
        let other = files(self.other)?;
        let side = |revision: &str| -> anyhow::Result<Offline> {
            let own = self.files(revision)?;
            let (settings, templates) = match self.kind {
                RepositoryKind::Settings => (own, other.clone()),
                RepositoryKind::Templates => (other.clone(), own),
            };
            let side = Offline::new(
                settings,
                templates,
                None,
                &self.config.render,
                &self.config.devices,
            )?;
            // Problems of the groups are those of each device later.
            let _ = side.settings.prepare(&surroundings.hostnames());
            Ok(side)
        };
        let (before, after) = (side(from)?, side(to)?);
        let mut rendered = Rendered::default();
        if let Some(hostname) = diff {
            rendered.diff = Some(difference(&before, &after, surroundings, hostname)?);
        }
        for (hostname, outcome) in outcomes(&before, &after, surroundings, devices) {
            let hostname = hostname.clone();
            match outcome {
                Outcome::Changed => drop(rendered.changed.insert(hostname)),
                Outcome::Unchanged => drop(rendered.unchanged.insert(hostname)),
                Outcome::Failed(error) => rendered.failed.push(Failed { hostname, error }),
            }
        }
        rendered
            .failed
            .sort_by(|one, other| one.hostname.cmp(&other.hostname));
        Ok(rendered)
    }

    /// The files of a commit.
    fn files(&self, revision: &str) -> anyhow::Result<Arc<Files>> {
        let mut git = Git::new(self.git);
        let listing = git.listing(revision)?.map_err(|problem| anyhow!("{problem}"))?;
        let wanted = |path: &str| self.kind == RepositoryKind::Templates || SettingsSet::reads(path);
        match text_files(
            &listing,
            &wanted,
            MOST_RENDERED_BYTES,
            &mut git,
            &Cancellation::never(),
        ) {
            Ok(Ok(files)) => Ok(Arc::new(files.into_iter().collect())),
            Ok(Err(problem)) => Err(anyhow!("{problem}")),
            Err(ExamineError::Read(error)) => Err(error),
            Err(ExamineError::Cancelled(cancelled)) => Err(cancelled.into()),
        }
    }
}

/// What the configuration of each device becomes.
fn outcomes<'a>(
    before: &Offline,
    after: &Offline,
    surroundings: &Surroundings,
    devices: &'a [Hostname],
) -> Vec<(&'a Hostname, Outcome)> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::with_capacity(devices.len()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(devices.len()) {
            scope.spawn(|| {
                while let Some(hostname) = devices.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = outcome(before, after, surroundings, hostname);
                    let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                    outcomes.push((hostname, outcome));
                }
            });
        }
    });
    outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn outcome(before: &Offline, after: &Offline, surroundings: &Surroundings, hostname: &Hostname) -> Outcome {
    let Some(device) = surroundings.facts(hostname) else {
        return Outcome::Failed(format!("the inventory has no device {hostname}"));
    };
    let new = match after.render(device.clone(), surroundings) {
        Ok(new) => new,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    // What could not be rendered before is another configuration now.
    match before.render(device, surroundings) {
        Ok(old) if old == new => Outcome::Unchanged,
        Ok(_) | Err(_) => Outcome::Changed,
    }
}

/// How the configuration of a device differs, as a unified diff with secrets masked; empty if it does not.
fn difference(
    before: &Offline,
    after: &Offline,
    surroundings: &Surroundings,
    hostname: &Hostname,
) -> anyhow::Result<String> {
    let Some(device) = surroundings.facts(hostname) else {
        bail!("--diff: the inventory has no device {hostname}");
    };
    let rendered = |side: &Offline, when: &str| {
        let text = side.render(device.clone(), surroundings);
        text.map(|text| side.masked(&text)).map_err(|error: RenderError| {
            anyhow!("the configuration of {hostname} {when} the change cannot be rendered: {error}")
        })
    };
    let (old, new) = (rendered(before, "before")?, rendered(after, "after")?);
    let diff = TextDiff::from_lines(&old, &new);
    let names = [format!("{hostname} before"), format!("{hostname} after")];
    Ok(diff.unified_diff().header(&names[0], &names[1]).to_string())
}

impl Rendered {
    /// Prints the difference of one device, or the devices of these rows with what their configuration becomes.
    pub(super) fn show(&self, rows: &[[String; 3]]) {
        if let Some(diff) = &self.diff {
            output::difference(diff, None);
        } else {
            let words = self.words();
            let rows: Vec<[String; 4]> = rows
                .iter()
                .map(|[hostname, kind, platform]| {
                    [
                        hostname.clone(),
                        kind.clone(),
                        platform.clone(),
                        words.get(hostname.as_str()).copied().unwrap_or("same").to_owned(),
                    ]
                })
                .collect();
            output::lines(
                &output::table(["HOSTNAME", "TYPE", "PLATFORM", "RENDERED"], &rows),
                None,
            );
        }
        for Failed { hostname, error } in &self.failed {
            for line in error.lines() {
                output::note(&format!("{hostname}: {line}"));
            }
        }
        output::note(&format!(
            "the configurations of {} differ, {} stay the same, {} cannot be rendered",
            counted(self.changed.len(), "device"),
            self.unchanged.len(),
            self.failed.len(),
        ));
    }

    /// What the configuration of each device becomes, in a word.
    fn words(&self) -> HashMap<&str, &'static str> {
        let changed = self.changed.iter().map(|hostname| (hostname.as_str(), "changed"));
        let failed = self
            .failed
            .iter()
            .map(|failed| (failed.hostname.as_str(), "failed"));
        changed.chain(failed).collect()
    }
}
