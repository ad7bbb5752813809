//! The transaction in which a worker takes over elements: it counts what runs in each scope with a cap, and begins as many elements as
//! find a place everywhere.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_execution::{Admission, Caps, Limit, Registry, Request, admit};
use lockstep_store::{
    CandidateElement, Candidates, CapScope, ElementOwner, ExecutionRow, Halt, HeldBack, Keys, QueuedElement,
    StoreError,
};

use super::ExecutionContext;
use super::advance::own_cap;
use super::device_leases::{AcquiredLeases, devices};
use super::phase::task_of_stage;

/// What a claim did.
#[derive(Debug, Default)]
pub(super) struct Claim {
    /// The elements that this worker runs now.
    pub(super) begun: Vec<CandidateElement>,
    /// Their executions.
    pub(super) executions: Vec<ExecutionRow>,
    /// Elements that were queued instead of those that have to wait.
    pub(super) queued: Vec<QueuedElement>,
}

/// How a transaction ended.
pub(super) enum Claimed {
    /// It is committed.
    Committed(Claim),
    /// Nothing is written: these scopes have to be locked before.
    Lock(BTreeSet<CapScope>),
}

/// Claims elements in one transaction, under the locks of all caps, and of those of their executions that are known to limit themselves.
pub(super) async fn claim(
    context: &ExecutionContext,
    elements: &BTreeSet<u64>,
    owner: ElementOwner,
    limited: &BTreeSet<CapScope>,
) -> Result<Claimed, StoreError> {
    let options = &context.options;
    let (facts, mut transaction) = context.store.begin(&[], &Keys::default()).await?;
    let mut claim = Claim::default();
    {
        let mut tx = transaction.executions();
        let stop = tx.stop().await?;
        let mut locked = configured(&options.caps);
        if !limited.is_empty() {
            let executions = tx.executions_of(elements).await?;
            let own = executions.into_iter().map(CapScope::Execution);
            locked.extend(own.filter(|scope| limited.contains(scope)));
        }
        if !locked.is_empty() {
            tx.lock_caps(&locked).await?;
        }
        let Candidates {
            mut elements,
            executions,
        } = tx.candidates(elements).await?;
        let own: BTreeSet<CapScope> = executions
            .iter()
            .filter(|row| own_cap(row).is_some())
            .map(|row| CapScope::Execution(row.number))
            .collect();
        if !own.is_subset(&locked) {
            return Ok(Claimed::Lock(own));
        }
        let rows: BTreeMap<u64, &ExecutionRow> = executions.iter().map(|row| (row.number, row)).collect();
        elements.retain(|element| {
            let row = rows.get(&element.execution);
            row.is_some_and(|row| is_due(element, row) && is_known(element, row, &context.registry))
        });
        let requests: Vec<Request<CapScope, Halt>> = elements
            .iter()
            .map(|element| request(element, rows[&element.execution], &options.caps, stop.is_some()))
            .collect();
        let limits = limits(&requests, &rows, &options.caps, &mut *tx).await?;
        let mut answers = admit(&requests, &limits);
        let admitted = elements.iter().zip(&answers);
        let admitted = admitted.filter(|(_, answer)| matches!(answer, Admission::Run));
        let hostnames: BTreeSet<_> = admitted.flat_map(|(element, _)| devices(element)).collect();
        let fences = tx.acquire_devices(&hostnames, owner, options.lease_time).await?;
        let mut leases = AcquiredLeases(fences);
        let mut begins = Vec::new();
        let mut held_back = Vec::new();
        for (element, answer) in elements.iter().zip(&mut answers) {
            if matches!(answer, Admission::Run) {
                match leases.take(element) {
                    Ok(begin) => begins.push(begin),
                    Err(missing) => *answer = Admission::Wait(CapScope::Device(missing.to_string())),
                }
            }
            match answer {
                Admission::Wait(scope) => held_back.push(HeldBack {
                    number: element.number,
                    waits_for: scope.clone(),
                }),
                // Whoever halted the execution skips what has not begun.
                Admission::Run | Admission::Skip(_) => {}
            }
        }
        if !begins.is_empty() {
            tx.begin(&begins, owner, &options.worker, options.lease_time)
                .await?;
        }
        if !held_back.is_empty() {
            tx.hold_back(&held_back).await?;
        }
        for (scope, places) in passed_on(&requests, &answers, &limits) {
            let released = tx.release(&scope, places, options.lease_time).await?;
            claim.queued.extend(released);
        }
        if !leases.0.is_empty() {
            // Of controllers that have to wait for another device.
            tx.give_back_devices(&leases.0, owner).await?;
            let free = leases
                .0
                .keys()
                .map(|hostname| CapScope::Device(hostname.to_string()));
            let released = tx.release_one_each(&free.collect(), options.lease_time).await?;
            claim.queued.extend(released);
        }
        let mut answers = answers.into_iter();
        elements.retain(|_| matches!(answers.next(), Some(Admission::Run)));
        claim.begun = elements;
        claim.executions = executions;
    }
    transaction.commit(&facts).await?;
    Ok(Claimed::Committed(claim))
}

/// Whether the element runs in the stage that its execution is in. A message may come again after that.
fn is_due(element: &CandidateElement, row: &ExecutionRow) -> bool {
    element.stage == row.stage.index
}

/// Whether this process runs the provider of the element.
fn is_known(element: &CandidateElement, row: &ExecutionRow, registry: &Registry) -> bool {
    let task = task_of_stage(&row.request, element.stage);
    let provider = task.map(|task| task.provider);
    let known = provider.is_some_and(|provider| registry.runs(provider));
    if !known {
        tracing::warn!(
            element = element.number,
            provider,
            "this worker does not run the provider of an element; it is left to another one"
        );
    }
    known
}

/// The scopes of all caps that workers are configured with.
fn configured(caps: &Caps) -> BTreeSet<CapScope> {
    let overall = caps.overall.map(|_| CapScope::Overall);
    let providers = caps.providers.keys().cloned().map(CapScope::Provider);
    let groups = caps.groups.keys().cloned().map(CapScope::Group);
    overall.into_iter().chain(providers).chain(groups).collect()
}

/// The scopes with a cap in which an element takes a place, but for its execution and its device.
pub(super) fn scopes(caps: &Caps, provider: &str, groups: impl Iterator<Item = String>) -> Vec<CapScope> {
    let overall = caps.overall.map(|_| CapScope::Overall);
    let provider = caps
        .providers
        .contains_key(provider)
        .then(|| CapScope::Provider(provider.to_owned()));
    let groups = groups
        .filter(|group| caps.groups.contains_key(group))
        .map(CapScope::Group);
    overall.into_iter().chain(provider).chain(groups).collect()
}

/// The groups of an element's device.
pub(super) fn groups(element: &CandidateElement) -> impl Iterator<Item = String> {
    let device = element.device.iter();
    device.flat_map(|device| device.groups.iter().map(ToString::to_string))
}

fn request(
    element: &CandidateElement,
    row: &ExecutionRow,
    caps: &Caps,
    stopped: bool,
) -> Request<CapScope, Halt> {
    let execution = CapScope::Execution(row.number);
    let own = own_cap(row).map(|_| execution.clone());
    let shared = scopes(caps, &row.request.provider, groups(element));
    Request {
        halt: row.halt,
        held: match (stopped, row.paused) {
            (true, _) => Some(CapScope::Stop),
            (false, true) => Some(execution),
            (false, false) => None,
        },
        scopes: own.into_iter().chain(shared).collect(),
        device: element
            .device
            .as_ref()
            .map(|device| CapScope::Device(device.hostname.to_string())),
    }
}

/// The caps of all scopes in the requests, and how many elements run there.
async fn limits(
    requests: &[Request<CapScope, Halt>],
    rows: &BTreeMap<u64, &ExecutionRow>,
    caps: &Caps,
    tx: &mut (dyn lockstep_store::ExecutionTransaction + '_),
) -> Result<BTreeMap<CapScope, Limit>, StoreError> {
    let scopes = requests
        .iter()
        .flat_map(|request| request.scopes.iter().chain(&request.device));
    let scopes: BTreeSet<CapScope> = scopes.cloned().collect();
    if scopes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let running = tx.running(&scopes).await?;
    let with_cap = scopes.into_iter().filter_map(|scope| {
        let own = |number: &u64| rows.get(number).and_then(|row| own_cap(row));
        let cap = cap(caps, &scope, own)?;
        let running = running.get(&scope).copied().unwrap_or(0);
        Some((scope, Limit { cap, running }))
    });
    Ok(with_cap.collect())
}

/// How many elements may run at once in a scope. `None` if it has no cap. `own` gives the cap of an execution.
pub(super) fn cap(caps: &Caps, scope: &CapScope, own: impl Fn(&u64) -> Option<u32>) -> Option<u32> {
    match scope {
        // The execution begins its stages by itself, and time lets go on what is parked. Until an execution ended, nothing that waits for it begins.
        CapScope::Stop | CapScope::Stage(..) | CapScope::Parked | CapScope::Ended(_) => Some(0),
        CapScope::Overall => caps.overall.map(u32::from),
        CapScope::Provider(name) => caps.providers.get(name).copied().map(u32::from),
        CapScope::Group(name) => caps.groups.get(name).copied().map(u32::from),
        CapScope::Execution(number) => own(number),
        CapScope::Device(_) | CapScope::Cluster(_) => Some(1),
    }
}

/// An element that has to wait was queued for a place in another scope, which nobody takes now: it goes to an element that waits for
/// it. Pure.
fn passed_on(
    requests: &[Request<CapScope, Halt>],
    answers: &[Admission<CapScope, Halt>],
    limits: &BTreeMap<CapScope, Limit>,
) -> BTreeMap<CapScope, u32> {
    let mut free: BTreeMap<&CapScope, u32> = BTreeMap::new();
    let mut passed: BTreeMap<CapScope, u32> = BTreeMap::new();
    for (scope, limit) in limits {
        let begins = requests
            .iter()
            .zip(answers)
            .filter(|(request, answer)| matches!(answer, Admission::Run) && request.scopes.contains(scope));
        let taken = u32::try_from(begins.count()).unwrap_or(u32::MAX);
        free.insert(
            scope,
            limit.cap.saturating_sub(limit.running).saturating_sub(taken),
        );
    }
    for (request, answer) in requests.iter().zip(answers) {
        let Admission::Wait(waits_for) = answer else {
            continue;
        };
        // What is stopped or paused as a whole releases all of it when it goes on.
        if request.held.is_some() {
            continue;
        }
        for scope in request.scopes.iter().filter(|scope| *scope != waits_for) {
            let given = passed.get(scope).copied().unwrap_or(0);
            if free.get(scope).is_some_and(|free| *free > given) {
                passed.insert(scope.clone(), given + 1);
            }
        }
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(scopes: &[CapScope]) -> Request<CapScope, Halt> {
        Request {
            halt: None,
            held: None,
            scopes: scopes.to_vec(),
            device: None,
        }
    }

    #[test]
    fn a_place_that_an_element_was_queued_for_and_does_not_take_goes_to_the_next() {
        let site = CapScope::Group("site".to_owned());
        let both = request(&[CapScope::Overall, site.clone()]);
        let limit = |cap, running| Limit { cap, running };
        // caps of both scopes, places passed on for two elements that wait for the site
        let table = [
            (limit(9, 3), Some(2)),
            (limit(4, 3), Some(1)),
            (limit(3, 3), None),
        ];
        for (overall, expected) in table {
            let limits = [(CapScope::Overall, overall), (site.clone(), limit(1, 1))].into();
            let answers = [Admission::Wait(site.clone()), Admission::Wait(site.clone())];
            let passed = passed_on(&[both.clone(), both.clone()], &answers, &limits);
            let expected: BTreeMap<CapScope, u32> = expected
                .into_iter()
                .map(|places| (CapScope::Overall, places))
                .collect();
            assert_eq!(passed, expected, "{overall:?}");
        }
        // The place is taken by a neighbour of the same claim.
        let limits = [(CapScope::Overall, limit(1, 0)), (site.clone(), limit(0, 0))].into();
        let answers = [Admission::Wait(site), Admission::Run];
        let passed = passed_on(&[both, request(&[CapScope::Overall])], &answers, &limits);
        assert!(passed.is_empty(), "{passed:?}");
    }
}
