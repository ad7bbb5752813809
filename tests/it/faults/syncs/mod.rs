//! Faults of syncs on real servers, with simulated devices and repositories: what the devices did is compared with their flags. The steps
//! of a run, one by one, are in `worker/sync/tests`.

mod answers;
mod approvals;
mod generations;
mod killed;
mod limits;
mod outages;
mod site;
