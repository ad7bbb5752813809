//! The contract of every store. Each test has a new store with the schema of this program.

pub(crate) mod access;
pub(crate) mod ages;
pub(crate) mod audit;
pub(crate) mod broad;
pub(crate) mod broad_causes;
pub(crate) mod controller_leases;
pub(crate) mod dead_letter_writing;
pub(crate) mod dead_letters;
pub(crate) mod delivery_attempts;
pub(crate) mod device_names;
pub(crate) mod devices;
pub(crate) mod element_claims;
pub(crate) mod element_ends;
pub(crate) mod element_stages;
pub(crate) mod entities;
pub(crate) mod execution_levels;
pub(crate) mod execution_life;
pub(crate) mod execution_pages;
pub(crate) mod execution_relaunches;
pub(crate) mod execution_starts;
pub(crate) mod executions;
pub(crate) mod facts_and_checks;
pub(crate) mod flags;
pub(crate) mod fleet_samples;
pub(crate) mod follow_ups;
pub(crate) mod groups;
pub(crate) mod history;
pub(crate) mod inbox;
pub(crate) mod inventory_sources;
pub(crate) mod isolation;
pub(crate) mod leased;
pub(crate) mod leases;
pub(crate) mod link_versions;
pub(crate) mod listing;
pub(crate) mod locks;
pub(crate) mod management_domains;
pub(crate) mod messages;
pub(crate) mod migration;
pub(crate) mod named;
pub(crate) mod related;
pub(crate) mod removed_devices;
pub(crate) mod renamed_elements;
pub(crate) mod render_facts;
pub(crate) mod repositories;
pub(crate) mod retention;
pub(crate) mod run_cycle;
pub(crate) mod selector;
pub(crate) mod stats;
pub(crate) mod syncs;
pub(crate) mod tasks;
pub(crate) mod texts;
pub(crate) mod unchanged;
pub(crate) mod undo;
pub(crate) mod workflow_steps;

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::results::{EventApplied, Outcome, Scope};
use lockstep_protocol::{
    Cause, DeviceState, DeviceType, Digest, Hostname, Identity, Kind, Mac, MessageId, MessageKey, Serial,
    Source, WorkResult,
};
use lockstep_store::{
    AccessTokens, Attributes, AuditLog, CauseRow, DeadLetters, DeliveryAttempts, Device, DeviceEffect,
    Effects, Entities, Executions, Facts, Fleet, FleetTrend, FollowUps, Inbox, InboxRow, InboxState,
    InventorySources, Keys, Leases, LoginSessions, Messages, OidcLogins, Origin, RenderFacts, Repositories,
    Retention, RunCycle, Schema, Stats, StoreError, SyncPlans, SyncRuns, Tasks, UnitOfWork,
};
use serde_json::json;

/// Defines a test for each part of the contract, for the store that `$open` opens.
macro_rules! contract {
    ($open:path) => {
        contract! { $open:
            migration {
                a_store_without_schema_says_so,
                eight_migrations_at_once_apply_once,
                each_version_keeps_what_the_one_before_had,
                a_newer_schema_with_only_additions_is_accepted,
                a_newer_schema_with_removals_is_refused,
                the_clock_is_that_of_this_machine,
            }
            devices {
                a_device_is_created_described_and_moved,
                a_device_may_be_created_and_flagged_in_one_batch,
                what_is_not_there_is_not_known,
                owners_of_addresses_and_serial_numbers_are_known,
                an_address_or_serial_number_that_is_taken_is_refused_and_nothing_written,
                of_two_devices_that_claim_the_same_at_once_one_gets_it,
                another_spelling_of_a_name_is_known,
                a_name_that_is_taken_is_refused,
                a_thousand_devices_are_one_batch,
                the_time_of_a_state_is_that_of_its_change,
            }
            device_names {
                a_renamed_device_keeps_what_belongs_to_it,
                renames_take_place_one_after_the_other,
                an_event_by_an_old_name_reaches_the_device,
                a_name_may_be_another_devices_next,
                a_device_may_be_created_and_renamed_in_one_batch,
                a_name_that_another_device_has_is_refused,
                neighbors_are_read_and_locked,
                no_flag_is_lost_while_a_device_is_renamed,
            }
            removed_devices {
                a_removed_device_takes_with_it_what_belongs_to_it,
                the_names_of_a_removed_device_are_remembered,
                a_removed_device_is_created_again_by_the_next_transaction,
                executions_of_a_removed_device_go_on,
            }
            flags {
                a_cause_unsynchronizes_and_synchronizing_closes_it,
                who_marked_a_device_and_why_is_kept,
                the_newest_32_causes_stay_open,
                forgotten_causes_leave_the_flag,
                one_cause_may_hit_many_devices,
                the_clock_starts_anew_on_return_to_managed,
                synced_never_exceeds_desired,
            }
            history {
                what_happened_is_listed_newest_first_in_pages,
                one_batch_may_close_causes_more_than_once,
                causes_of_many_devices_are_in_the_history_of_each,
                a_history_lists_the_newest_32_causes_that_it_closed,
                a_message_that_is_processed_again_leaves_one_row,
                causes_that_expired_are_counted,
                the_primary_group_is_known_if_it_is_stored,
                a_renamed_device_keeps_its_history_and_a_removed_one_loses_it,
            }
            inbox {
                a_row_comes_back_as_it_was,
                an_unknown_message_has_no_outcome,
                the_next_batch_knows_the_message,
                one_of_two_transactions_with_the_same_message_commits,
                each_sender_has_its_own_messages,
                a_row_derived_from_content_is_written_once,
                the_row_of_a_reused_identity_is_read_with_the_message,
                a_message_that_is_wrongly_taken_for_new_is_a_conflict,
                one_of_two_that_take_the_same_message_for_new_commits,
                what_is_recorded_is_what_is_read_again,
            }
            messages {
                a_message_is_found_by_its_id_in_all_sources,
                the_causes_of_a_message_are_found,
                the_dead_letters_of_a_message_are_found,
            }
            dead_letter_writing {
                unsettled_dead_letters_are_counted,
                a_dead_letter_commits_with_its_row_and_comes_back_as_it_was,
                the_same_dead_lettering_has_one_row,
                a_requeued_message_takes_the_place_of_its_dead_row,
                what_was_settled_is_not_settled_again,
                a_selection_takes_what_matches_up_to_its_number,
                a_selection_is_one_longer_than_a_command_settles,
                what_is_final_is_not_requeueable,
            }
            delivery_attempts {
                attempts_are_counted_until_they_are_cleared,
                a_completed_message_has_no_attempts_until_it_is_requeued,
                a_start_is_recorded_and_given_back_once,
                the_start_of_a_transaction_is_counted_until_it_commits,
                a_transaction_that_waits_for_a_lock_has_not_begun,
                many_record_the_same_attempts_at_once,
            }
            follow_ups {
                a_message_and_its_follow_ups_commit_together,
                a_published_follow_up_is_due_again_later_and_later,
                a_follow_up_ends_when_its_message_is_processed,
                a_result_ends_when_the_broker_confirmed_it,
                a_delayed_follow_up_is_not_published_before_its_time,
                what_waits_changes_its_row,
                a_follow_up_under_a_held_lease_is_not_due,
                follow_ups_of_a_lane_are_made_due,
                a_requeued_dead_letter_is_its_own_follow_up,
                a_page_begins_behind_the_one_before_it,
                two_that_claim_at_once_claim_each_follow_up_once,
            }
            leased {
                a_lost_lease_leaves_out_its_part_only,
                a_lease_is_released_with_the_commit_and_not_without_it,
            }
            locks {
                every_pair_of_transactions_ends_without_a_deadlock,
            }
            isolation {
                a_dropped_transaction_changes_nothing_and_frees_its_locks,
                a_cancelled_beginning_leaves_nothing_locked,
                a_second_batch_about_a_device_waits_for_the_first,
                batches_that_overlap_at_random_add_up,
            }
            listing {
                pages_go_through_all_devices_in_order_of_bytes,
                filters_choose_devices,
                pages_of_a_filter_follow_each_other_and_are_counted,
                one_device_is_found_by_name,
                groups_and_causes_of_many_devices_are_read_at_once,
            }
            related {
                a_link_and_its_mirror_image_are_one,
                a_link_to_nowhere_is_refused,
                links_end_alike_in_whichever_order_they_come,
                groups_by_list_are_replaced,
                a_location_stays_one_until_somebody_says_otherwise,
                interfaces_keep_what_is_not_said_anew,
                clients_keep_what_is_not_said_anew,
            }
            groups {
                rules_make_members_and_primary_groups,
                members_by_list_and_by_rule_are_members_of_one_group,
                a_group_that_is_referred_to_stays,
                every_device_is_a_member_of_default,
                a_new_device_joins_by_the_rules_that_are_read_with_it,
                a_device_that_is_created_while_the_rules_change_has_the_groups_of_the_new_ones,
                a_dropped_change_of_rules_changes_nothing,
                under_a_lost_lease_no_rules_are_written,
            }
            link_versions {
                a_removed_link_is_remembered_with_its_version,
                a_link_has_the_addresses_of_the_newest_message_that_says_any,
                a_link_that_was_never_known_is_removed,
            }
            leases {
                a_lease_is_for_one_until_it_is_released,
                an_expired_lease_cannot_be_used_by_its_holder,
                a_renewal_counts_from_now,
                one_of_sixteen_acquires_it,
            }
            access {
                a_token_is_found_by_its_secret_until_it_is_revoked,
                a_name_of_a_token_is_used_once,
                a_rotated_token_accepts_its_former_secret_for_a_time,
                limits_are_those_of_accepted_tokens_and_stay_when_the_last_is_revoked,
                tokens_are_paged_by_name,
                a_session_is_kept_until_its_end,
                all_sessions_of_a_principal_end_together,
                a_login_is_accepted_once_and_an_account_is_one_principal,
                the_last_login_limits_a_principal_as_a_token_does,
            }
            audit {
                a_decision_is_written_with_the_inbox_row_of_its_command_or_not_at_all,
                entries_are_added_together_and_read_by_page,
                long_texts_are_cut_and_nul_is_replaced,
                entries_expire_by_their_age,
            }
            fleet_samples {
                a_sample_counts_managed_devices_once_in_a_minute,
                minutes_and_hours_expire_apart,
            }
            inventory_sources {
                a_place_in_a_change_log_never_moves_back,
                an_error_of_a_source_is_kept_until_a_poll_succeeds,
            }
            repositories {
                a_change_commits_all_of_it_together,
                a_failure_is_kept_until_an_attempt_succeeds,
                a_time_that_is_ahead_is_corrected_by_the_next_cause,
                under_a_lost_lease_nothing_is_written,
                a_superseded_revision_writes_nothing,
                a_message_that_was_processed_makes_it_a_conflict,
                a_cause_that_hits_nobody_leaves_no_row,
                a_listing_may_have_any_bytes,
                the_names_of_all_devices_are_read,
                repositories_are_listed_by_name,
            }
            retention {
                old_inbox_rows_go_in_chunks_and_young_ones_stay,
                inbox_rows_that_unsettled_dead_letters_need_stay,
                settled_dead_letters_go_and_others_stay,
                causes_that_a_device_lists_as_open_stay,
                young_causes_stay,
                old_delivery_attempts_go,
                old_former_hostnames_and_removed_links_go,
                the_history_of_a_device_is_bounded_by_age_and_by_number,
                old_executions_go_with_their_elements_in_chunks,
                old_executions_go_with_results_targets_and_journals,
            }
            render_facts {
                what_an_inventory_says_is_replaced_and_read_only_if_asked_for,
                a_device_is_read_with_its_surroundings,
                who_serves_no_domain_is_read_with_all,
                many_devices_are_read_at_once,
            }
            management_domains {
                the_newest_message_about_a_domain_counts,
                a_domain_keeps_its_renamed_devices_and_goes_with_removed_ones,
                a_domain_of_nobody_is_refused,
                the_devices_of_a_stored_domain_are_read_and_locked,
                removed_domains_go_when_they_are_old,
            }
            selector {
                devices_are_flagged_by_what_they_are,
                the_first_cause_starts_the_clock_and_the_newest_32_stay_open,
                the_first_thousand_are_named_and_all_are_counted,
            }
            broad {
                changes_and_batches_at_once_never_deadlock_and_add_up,
                a_broad_change_waits_for_a_batch_and_sees_what_it_did,
            }
            broad_causes {
                they_are_listed_in_order_among_those_of_the_device,
                a_device_that_becomes_another_type_keeps_its_causes,
                a_new_device_has_no_earlier_ones,
                closed_ones_do_not_become_open_again,
                a_return_to_managed_restarts_their_clock,
                of_a_hundred_the_newest_32_are_listed,
                a_device_that_is_named_and_matched_has_one,
                open_ones_are_kept_and_closed_ones_expire,
                the_fleet_is_unsynchronized_since_the_first,
                a_batch_at_the_same_time_is_before_or_after,
            }
            dead_letters {
                a_dead_letter_comes_back_as_it_was,
                pages_go_from_the_newest_to_the_oldest,
                filters_choose_dead_letters,
                unknown_lanes_and_codes_of_a_newer_worker_are_read_as_texts,
                counts_are_by_lane_type_and_code_and_the_total_is_of_all,
                what_a_command_requeued_is_found_by_its_command,
            }
            stats {
                the_fleet_is_summarized_by_state,
                its_sessions_are_counted,
            }
            ages {
                a_synchronized_device_that_was_never_compared_is_as_old_as_its_state,
                managed_devices_are_as_old_as_their_flag,
                unmanaged_devices_are_as_old_as_their_state,
                what_should_have_ended_is_expired_in_any_state,
                filters_choose_whose_age_counts,
                broad_causes_start_the_clock,
                what_belongs_to_a_device_and_where_its_links_lead,
            }
            unchanged {
                what_is_said_again_writes_nothing,
            }
            tasks {
                a_task_is_found_by_number_and_name_and_replaced,
                tasks_and_schedules_are_listed_by_name_in_pages,
                a_schedule_is_due_once_for_one_transaction,
                schedules_that_another_transaction_holds_are_left_out,
            }
            facts_and_checks {
                a_fact_keeps_the_values_that_it_had,
                a_value_that_is_found_at_the_same_time_is_kept,
                checks_are_kept_and_the_newest_is_known,
                checks_of_all_below_an_entity_are_read_at_once,
                attributes_of_each_kind_of_entity_are_known,
                a_device_has_the_controller_that_it_was_given_last,
                former_facts_and_checks_expire_and_the_newest_stay,
            }
            entities {
                what_belongs_to_entities_is_read_in_pages,
                all_entities_are_listed_and_found_by_their_ids,
                facts_and_checks_of_many_are_the_newest,
                json_beyond_the_budget_is_left_out,
                elements_and_executions_of_many_are_read_in_pages,
            }
            execution_starts {
                an_execution_comes_back_as_it_was,
                entities_are_resolved_along_their_relations,
                all_the_fleet_and_failed_elements_are_sources,
                an_id_without_an_entity_stores_nothing,
                the_first_elements_are_queued_and_the_others_wait,
                a_cancellation_that_came_first_is_remembered,
            }
            named {
                entities_are_found_by_the_names_that_elements_have,
            }
            execution_levels {
                the_examples_of_neops,
                targets_have_all_above_and_below_them,
                a_client_below_nothing_that_takes_part_is_skipped_at_once,
                devices_behind_a_controller_are_one_element,
            }
            execution_relaunches {
                what_failed_is_run_again_with_all_above_it,
                of_an_element_only_what_failed_is_run_again,
            }
            workflow_steps {
                elements_that_were_not_done_in_earlier_steps_are_left_out,
                an_element_waits_for_the_end_of_an_execution_with_its_data,
                steps_are_found_by_their_workflow,
                a_step_of_a_cancelled_workflow_needs_a_look,
                steps_are_kept_until_their_workflow_ended,
            }
            execution_pages {
                pages_of_elements_follow_each_other,
                filters_choose_executions,
            }
            element_claims {
                a_candidate_has_what_is_needed_to_run_it,
                what_begins_is_counted_in_its_scopes_until_its_time_is_over,
                what_waits_is_released_in_order,
                many_devices_release_one_element_each,
                one_element_at_a_time_runs_on_a_device,
                a_lease_that_passed_on_is_not_given_back,
                two_claims_at_once_never_exceed_a_cap,
                a_stop_is_seen_by_every_claim,
                workers_at_once_end_every_element_once,
            }
            element_ends {
                an_element_ends_once_by_its_attempt_and_its_owner,
                facts_replace_those_with_the_same_key,
                huge_and_strange_texts_come_back,
                what_runs_is_renewed_and_told_to_stop,
                an_element_whose_worker_is_lost_is_queued_again,
                a_lost_message_is_overdue_later_and_later,
                what_has_not_begun_is_skipped_in_chunks,
                an_execution_is_changed_and_found_when_it_is_neglected,
                an_end_is_announced_once,
            }
            element_stages {
                an_element_goes_on_when_its_next_stage_begins,
                an_element_that_waits_for_a_stage_is_skipped,
                a_stage_that_did_not_begin_is_noticed,
                items_become_elements_of_the_next_stage,
                a_lost_element_has_the_provider_of_its_phase,
            }
            controller_leases {
                a_candidate_names_the_devices_that_are_run_on,
                all_leases_are_held_renewed_and_given_back_together,
                an_element_begins_with_all_its_leases_or_with_none,
            }
            renamed_elements {
                an_element_goes_on_under_the_new_name_of_its_device,
                a_device_behind_a_controller_is_held_under_its_new_name,
            }
            run_cycle {
                a_unit_has_its_entities_in_order,
                a_unit_sees_the_pre_run_results_above_it,
                results_of_entities_are_replaced_and_read_in_pages,
                the_journal_is_written_by_whoever_runs_the_element,
            }
            syncs {
                elements_are_bound_to_what_was_accepted,
                each_device_is_an_element_of_its_own,
                a_plan_is_applied_to_the_devices_that_it_would_change,
                only_who_runs_an_element_writes_about_it,
                a_run_sees_causes_by_type,
                the_key_of_hashes_is_made_once,
                texts_go_before_their_executions,
                approvals_are_one_for_each_sender_and_go_with_their_plan,
            }
            texts {
                texts_come_back_as_they_were,
                a_message_with_nul_can_be_remembered,
            }
        }
    };
    ($open:path: $($file:ident { $($name:ident,)* })*) => {
        mod keeps {
            $(mod $file {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $name() -> anyhow::Result<()> {
                        let place = $open().await?;
                        $crate::contract::$file::$name(&place).await
                    }
                )*
            })*
        }
    };
}

/// All traits of a store.
pub(crate) trait Store:
    UnitOfWork
    + Inbox
    + Fleet
    + Schema
    + Leases
    + Repositories
    + InventorySources
    + AccessTokens
    + LoginSessions
    + OidcLogins
    + AuditLog
    + FleetTrend
    + DeadLetters
    + FollowUps
    + DeliveryAttempts
    + Retention
    + Stats
    + Tasks
    + Executions
    + RunCycle
    + Entities
    + RenderFacts
    + SyncRuns
    + SyncPlans
    + Messages
{
}

impl<
    S: UnitOfWork
        + Inbox
        + Fleet
        + Schema
        + Leases
        + Repositories
        + InventorySources
        + AccessTokens
        + LoginSessions
        + OidcLogins
        + AuditLog
        + FleetTrend
        + DeadLetters
        + FollowUps
        + DeliveryAttempts
        + Retention
        + Stats
        + Tasks
        + Executions
        + RunCycle
        + Entities
        + RenderFacts
        + SyncRuns
        + SyncPlans
        + Messages,
> Store for S
{
}

/// Direct access to the database of a store.
#[async_trait]
pub(crate) trait Probe: Send + Sync {
    /// Runs a query that both databases understand, and returns the first column of its rows as text.
    async fn texts(&self, query: &str) -> anyhow::Result<Vec<String>>;

    /// The SQL literal of a time.
    fn time(&self, at: Timestamp) -> String;

    /// The SQL literal of bytes.
    fn blob(&self, bytes: &[u8]) -> String;

    /// A time in a column, so many minutes earlier, as it is written in a query.
    fn earlier(&self, column: &str, minutes: i64) -> String;

    /// The table expression of all causes, with `message_id` and `cause`.
    fn causes(&self) -> &'static str;

    /// Statements after which each row that is written in a table is a row of the table `written`.
    fn watch(&self, table: &str) -> Vec<String>;

    /// What takes each version of the schema after the first back to the one before it, the newest first.
    fn undo(&self) -> &'static [(u32, &'static [&'static str])];
}

/// A store, with the values that must live as long.
pub(crate) struct Place {
    pub(crate) store: Arc<dyn Store>,
    /// Another store on the same database, as in another process.
    pub(crate) other: Arc<dyn Store>,
    /// Two stores that may migrate. On PostgreSQL the others have the rights of a worker only.
    pub(crate) owners: [Arc<dyn Store>; 2],
    pub(crate) probe: Box<dyn Probe>,
    pub(crate) keep: Box<dyn Any + Send + Sync>,
}

pub(crate) fn at() -> Timestamp {
    "2026-01-02T03:04:05.678901Z".parse().expect("a time")
}

pub(crate) fn hostname(text: &str) -> Hostname {
    text.parse().expect("a hostname")
}

pub(crate) fn mac(text: &str) -> Mac {
    Mac::try_from(text.to_owned()).expect("a MAC address")
}

pub(crate) fn serial(text: &str) -> Serial {
    Serial::try_from(text.to_owned()).expect("a serial number")
}

pub(crate) fn message(id: &str) -> Identity {
    Identity {
        source: Source::try_from("urn:test".to_owned()).expect("a source"),
        id: MessageId::try_from(id.to_owned()).expect("an id"),
    }
}

/// What the store knows the message of [`row`] by.
pub(crate) fn key(id: &str) -> MessageKey {
    MessageKey {
        identity: message(id),
        actor: Some("netbox".into()),
    }
}

/// The message of [`row`] as it is received.
pub(crate) fn received(id: &str) -> (MessageKey, Digest) {
    (key(id), row(message(id)).digest)
}

/// The keys of a message and of devices.
pub(crate) fn keys<'a>(id: &str, hostnames: impl IntoIterator<Item = &'a str>) -> Keys {
    Keys {
        messages: BTreeSet::from([received(id)]),
        hostnames: hostnames.into_iter().map(hostname).collect(),
        ..Keys::default()
    }
}

pub(crate) fn row(identity: Identity) -> InboxRow {
    let result = WorkResult::EventApplied(EventApplied {
        outcome: Outcome::Applied,
        reason: None,
        scope: Scope::Device,
        flipped: 1,
        devices: vec![hostname("sw1")],
        truncated: false,
        unknown_hostnames: Vec::new(),
        commit: None,
        rejected: Vec::new(),
        marked: Vec::new(),
        warnings: Vec::new(),
    });
    InboxRow {
        digest: Digest::of(
            "lockstep.interface.updated",
            None,
            &json!({"id": identity.id.as_str()}),
        ),
        identity,
        redrive_count: 0,
        kind: "lockstep.interface.updated".into(),
        state: InboxState::Applied,
        at: at(),
        actor: Some("netbox".into()),
        subject: None,
        result: result.into(),
        follow_ups: false,
        trace_id: None,
    }
}

/// Absorbs the effects of a message, and adds its inbox row.
pub(crate) fn absorb(facts: &mut Facts, id: &str, effects: Effects) {
    let identity = message(id);
    let from = Origin {
        identity: &identity,
        kind: Kind::InterfaceUpdated,
        actor: Some("netbox"),
        at: at(),
        reply: None,
    };
    facts.absorb(effects, &from);
    facts.record(row(identity));
}

/// Processes one message in its own batch.
pub(crate) async fn work(place: &Place, keys: &Keys, effects: Effects) -> Result<(), StoreError> {
    let id = keys
        .messages
        .first()
        .expect("a message")
        .0
        .identity
        .id
        .as_str()
        .to_owned();
    let (mut facts, transaction) = place.store.begin(&[], keys).await?;
    absorb(&mut facts, &id, effects);
    transaction.commit(&facts).await
}

pub(crate) fn devices(effects: impl IntoIterator<Item = DeviceEffect>) -> Effects {
    Effects {
        devices: effects.into_iter().collect(),
        ..Effects::default()
    }
}

pub(crate) fn create(name: &str) -> DeviceEffect {
    DeviceEffect::Create {
        hostname: hostname(name),
        attributes: Attributes::of(DeviceType::ACCESS),
        state: DeviceState::Managed,
        version: None,
    }
}

pub(crate) fn unsynchronize(name: &str) -> DeviceEffect {
    DeviceEffect::Unsynchronize {
        hostname: hostname(name),
        cause: Cause::InterfaceUpdated,
    }
}

/// The open causes of a device, oldest first.
pub(crate) async fn causes(place: &Place, device: &Device) -> Result<Vec<CauseRow>, StoreError> {
    let found = place.store.causes(&device.open_causes).await?;
    let open = device.open_causes.iter();
    Ok(open.filter_map(|id| found.get(id).cloned()).collect())
}

/// The messages behind the open causes of a device, oldest first.
pub(crate) async fn messages(place: &Place, device: &Device) -> Result<Vec<String>, StoreError> {
    let causes = causes(place, device).await?.into_iter();
    Ok(causes.map(|cause| cause.identity.id.into()).collect())
}

/// The reasons of all causes that are kept.
pub(crate) async fn kept_causes(place: &Place) -> anyhow::Result<Vec<String>> {
    let select = format!("SELECT cause FROM {}", place.probe.causes());
    place.probe.texts(&select).await
}

/// The messages of all causes that are kept, in order.
pub(crate) async fn messages_with_causes(place: &Place) -> anyhow::Result<Vec<String>> {
    let select = format!("SELECT message_id FROM {} ORDER BY 1", place.probe.causes());
    place.probe.texts(&select).await
}

/// Creates devices in one batch.
pub(crate) async fn create_all(place: &Place, names: &[&str]) -> Result<(), StoreError> {
    let keys = keys("create", names.iter().copied());
    work(place, &keys, devices(names.iter().map(|name| create(name)))).await
}
