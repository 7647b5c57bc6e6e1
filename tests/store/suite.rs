//! The behaviours of a store, and how they become the tests of one database.
//!
//! A behaviour that is not listed here is dead code, and the lints say so.

/// Hands the list of all behaviours to another macro, behind what that one was given.
macro_rules! behaviours {
    ($then:ident!($($given:tt)*)) => {
        $then! {
            [$($given)*]
            submit {
                the_backlog_is_told_by_lane_and_kind_with_its_age,
                a_job_reads_back_as_it_was_sent,
                a_job_is_found_by_the_name_of_its_task,
                a_job_keeps_which_output_is_its_input,
                a_job_keeps_its_trace_for_its_worker_and_its_webhook,
                a_batch_is_told_of_in_the_trace_of_its_jobs,
                a_job_that_was_never_sent_is_not_there,
                a_submission_is_written_whole_or_not_at_all,
                a_full_queue_refuses_the_whole_submission,
                what_comes_at_once_is_all_accepted_and_takes_turns,
                one_that_cannot_be_written_is_no_others_affair,
                a_crowd_fills_the_queue_and_no_more,
                work_under_way_does_not_fill_the_queue,
                pressure_counts_what_waits_and_what_runs,
            }
            idempotency {
                the_same_request_is_done_once_and_answered_alike,
                a_key_used_with_another_body_is_a_conflict_and_changes_nothing,
                other_keys_and_no_key_are_other_requests,
                each_owner_has_keys_of_its_own,
                a_known_key_is_answered_although_the_queue_is_full,
                a_refused_request_does_not_use_its_key_up,
                a_hundred_requests_at_once_with_one_key_make_one_job,
                two_bodies_at_once_with_one_key_make_one_job,
                a_key_that_was_tidied_away_can_be_used_again,
            }
            overview {
                every_attempt_is_kept_with_its_worker_and_its_stages,
                workers_are_seen_with_what_they_have_in_their_hands,
                destinations_tell_how_they_have_been_doing,
                storage_is_summed_up_and_jobs_are_tallied,
                what_people_look_at_is_of_one_project,
            }
            condition {
                a_process_that_said_goodbye_or_never_would_is_not_missed,
                a_receiver_that_was_disabled_is_told_of_once_each_time,
                what_operators_are_told_is_of_no_project,
                an_operator_who_wants_no_more_is_not_told_of_that,
                nobody_is_told_where_there_is_no_operator,
                a_poisoned_job_is_told_of_with_its_end,
                a_process_that_says_nothing_is_missed_once,
                many_who_look_at_once_miss_each_process_once,
                a_low_disk_is_told_of_once_until_there_was_room,
                two_processes_on_one_disk_tell_of_it_once,
            }
            list {
                a_search_finds_a_part_of_the_input_and_ends_after_so_many_jobs,
                every_filter_with_every_cursor_leaves_what_it_names,
                every_status_can_be_asked_for,
                pages_walk_forth_and_back_in_both_orders,
                a_walk_misses_and_repeats_nothing_while_jobs_come_in,
                a_deleted_job_still_marks_its_place,
                a_list_shows_jobs_whole,
                no_walk_skips_or_repeats_whatever_comes_and_goes,
            }
            batch {
                a_batch_keeps_the_order_in_which_its_jobs_were_sent,
                a_batch_shows_how_its_jobs_stand_now,
                a_deleted_job_leaves_its_batch,
                a_batch_without_jobs_is_not_there,
                a_batch_is_told_of_when_its_last_job_has_ended,
                a_job_that_belongs_to_no_batch_tells_of_none,
                a_batch_whose_job_is_tried_again_ends_again,
                a_job_that_is_deleted_ends_its_batch_and_is_not_in_it,
                jobs_that_end_at_once_tell_of_their_batch_once,
                a_batch_is_kept_as_long_as_its_event,
                batches_are_listed_with_how_they_stand,
            }
            cancel {
                a_job_that_waits_is_cancelled_at_once,
                a_job_that_waits_for_its_next_try_is_cancelled_at_once,
                a_running_job_ends_when_its_worker_has_stopped,
                a_job_whose_end_was_asked_for_is_not_failed_or_tried_again,
                a_job_that_was_finished_first_is_finished,
                a_job_whose_end_was_asked_for_is_cancelled_when_its_worker_is_lost,
                a_job_that_has_ended_stays_as_it_ended,
                a_job_that_is_not_there_cannot_be_cancelled,
                a_claim_and_a_cancellation_at_once_leave_one_of_two_truths,
                ten_cancellations_at_once_make_one_event,
            }
            retry {
                a_failed_job_goes_back_into_the_queue_with_all_its_tries,
                a_cancelled_job_goes_back_into_the_queue_and_is_wanted_again,
                a_job_that_was_cancelled_before_it_began_can_be_tried,
                the_holder_of_an_earlier_attempt_stays_locked_out,
                a_job_in_any_other_state_cannot_be_tried_again,
                a_job_that_is_not_there_cannot_be_tried_again,
                ten_retries_at_once_queue_the_job_once,
            }
            delete {
                a_job_that_waits_is_cancelled_and_hidden,
                a_job_that_has_ended_is_hidden_and_not_told_again,
                the_outputs_of_a_deleted_job_vanish_and_may_go,
                the_worker_of_a_deleted_job_is_asked_to_stop,
                what_the_worker_of_a_deleted_job_finishes_is_never_seen,
                a_deleted_job_is_not_tried_again,
                a_job_that_is_not_there_cannot_be_deleted,
                a_finish_and_a_deletion_at_once_leave_no_file_behind,
                ten_deletions_at_once_delete_once,
            }
            access {
                a_key_reads_back_as_it_was_made,
                a_key_that_was_revoked_stays_revoked_and_is_logged_once,
                the_use_of_a_key_is_noted_once_a_minute,
                a_named_request_makes_one_key,
                what_was_done_is_logged_with_who_did_it_and_from_where,
                keys_are_walked_page_by_page,
                the_log_is_walked_page_by_page,
            }
            project {
                another_projects_job_is_as_if_it_were_not_there,
                a_list_is_of_one_project,
                another_projects_files_and_connections_are_not_there,
                another_projects_deliveries_are_neither_shown_nor_sent_again,
                a_receiver_that_refuses_one_project_is_not_dead_for_another,
            }
            connection {
                connections_are_walked_page_by_page,
                a_connection_reads_back_as_it_was_made,
                a_connection_that_was_deleted_is_gone_for_good,
                a_named_request_makes_one_connection,
                many_named_requests_at_once_make_one_connection,
                what_is_done_with_connections_is_logged_without_their_secrets,
                a_job_keeps_the_way_through_its_connection,
            }
            upload {
                an_upload_is_its_projects_alone,
                an_upload_that_is_removed_dooms_its_bytes,
                an_upload_whose_time_is_over_goes,
                an_upload_grows_part_by_part_until_it_is_whole,
                an_upload_of_unknown_size_is_whole_when_it_is_said_to_be,
                a_part_counts_only_where_the_upload_ends,
                of_many_who_send_the_same_bytes_one_counts,
                an_upload_that_is_used_is_kept_longer_and_never_shorter,
                an_upload_that_a_job_waits_for_stays,
            }
            claim {
                a_claim_is_the_job_as_it_is_from_now_on,
                tasks_are_taken_in_the_order_in_which_they_came,
                jobs_sent_together_are_all_taken,
                each_lane_is_a_queue_of_its_own,
                who_has_no_room_gets_nothing,
                a_task_is_not_taken_before_its_time,
                an_attempt_begins_with_the_claim_and_the_job_began_with_the_first,
                many_workers_at_once_never_get_the_same_task,
                the_last_task_has_one_winner,
            }
            companions {
                tasks_of_one_input_take_one_slot_and_are_claims_of_their_own,
                who_wants_no_companions_gets_none,
                only_what_can_be_made_of_the_same_bytes_comes_along,
                a_task_that_was_tried_before_comes_alone_and_brings_nobody,
                companions_that_lose_their_worker_come_alone_from_then_on,
                companions_count_for_their_key,
                a_companion_beats_and_is_cancelled_for_itself,
                many_workers_at_once_share_no_companion,
            }
            beat {
                a_beat_renews_the_lease,
                one_call_renews_all_leases_and_answers_in_order,
                no_beats_have_no_answers,
                a_beat_carries_progress_up_and_never_back,
                a_second_attempt_does_not_take_progress_back,
                a_beat_with_stages_shows_them,
                a_beat_of_somebody_else_is_lost_and_changes_nothing,
                a_beat_after_the_rescue_is_lost,
                a_beat_that_is_late_but_before_the_rescue_keeps_the_task,
                a_beat_and_a_rescue_at_once_agree_on_who_has_the_task,
                many_hearts_beat_at_once,
            }
            finish {
                the_end_of_a_task_shows_its_outputs_and_tells_of_it,
                a_finish_is_written_whole_or_not_at_all,
                what_was_finished_is_not_swept,
                a_finish_that_was_written_is_told_again_and_changes_nothing,
                a_finish_that_is_late_but_before_the_rescue_counts,
                ten_finishes_at_once_end_the_task_once,
                a_finish_and_a_rescue_at_once_leave_one_of_two_truths,
            }
            fail {
                a_failure_that_may_pass_is_tried_again_later_and_not_told,
                a_postponed_task_waits_and_keeps_its_tries,
                a_failure_for_good_ends_the_job_with_its_reason,
                what_a_failed_attempt_stored_may_go_and_is_never_seen,
                an_attempt_that_was_cancelled_ends_its_stages_and_its_job,
            }
            hand_back {
                a_task_that_is_handed_back_is_due_at_once,
                handing_back_never_uses_the_tries_up,
                a_try_that_counted_still_counts_after_a_hand_back,
                what_was_stored_before_the_hand_back_may_go,
            }
            fence {
                a_lease_is_one_workers_and_one_claims,
                a_lease_is_spent_once,
                after_the_rescue_the_lost_worker_can_change_nothing,
                the_same_worker_does_not_get_its_lost_lease_back,
                after_poison_the_last_worker_can_change_nothing,
            }
            rescue {
                a_process_that_starts_takes_over_what_nobody_else_can_hold,
                a_lease_that_holds_is_left_alone,
                a_lost_task_waits_longer_each_time,
                a_task_that_kills_its_workers_is_given_up_as_poison,
                failures_and_losses_use_the_same_tries_up,
                only_the_lost_are_found_and_all_of_them,
                many_rescuers_at_once_find_each_task_once,
                what_a_lost_attempt_stored_may_go_but_not_at_once,
                a_clock_that_jumps_back_loses_nothing,
            }
            turn {
                the_more_urgent_is_taken_first,
                who_comes_with_one_task_waits_for_one_of_each_other_owner,
                an_owner_who_waited_does_not_save_turns_up,
                a_task_that_comes_back_keeps_its_turn,
                only_the_kinds_that_are_wanted_are_taken,
                no_owner_runs_more_than_its_share,
                a_share_covers_both_lanes,
                many_workers_at_once_keep_to_an_owners_share,
            }
            provider {
                a_provider_is_asked_after_a_time_without_a_word,
                an_early_word_names_the_job_that_it_is_about,
                a_task_that_was_handed_over_holds_no_lease_and_is_in_no_queue,
                who_lost_the_lease_hands_nothing_over,
                a_word_of_the_end_ends_the_job_as_a_worker_would,
                each_end_that_a_provider_tells_ends_the_job_that_way,
                a_word_that_comes_twice_or_late_changes_nothing,
                ten_words_of_the_end_at_once_end_the_job_once,
                a_word_before_the_answer_counts_when_the_answer_is_there,
                an_early_end_is_not_taken_back_by_what_came_before_it,
                a_word_and_a_hand_over_at_once_miss_each_other_never,
                no_more_early_words_are_kept_than_there_is_room_for,
                a_job_that_a_provider_made_twice_ends_with_the_first_that_is_done,
                a_name_that_a_provider_gave_to_two_tasks_fails_the_second,
                no_more_is_asked_than_there_is_room_for_and_nothing_twice,
                a_hint_makes_a_job_due_and_changes_nothing_else,
                a_cancelled_job_ends_at_once_and_its_provider_is_told,
                a_job_that_was_cancelled_on_its_way_to_the_provider_never_stays_there,
                a_deleted_job_is_deleted_at_its_provider_whether_it_has_ended_or_not,
                a_job_that_is_tried_again_is_handed_over_anew,
                what_a_provider_has_takes_up_its_owners_share,
            }
            output {
                garbage_that_was_removed_is_forgotten_and_the_rest_is_not,
                an_output_is_seen_after_its_job_has_succeeded_and_not_before,
                an_output_has_one_key_and_no_other,
                garbage_comes_oldest_first_and_no_more_than_asked_for,
                garbage_whose_time_has_not_come_stays,
                what_was_swept_is_doomed_again_when_its_worker_was_only_slow,
            }
            event {
                an_event_is_the_job_as_it_was_when_it_ended,
                each_end_has_one_event_and_later_ends_have_higher_numbers,
                a_job_without_a_webhook_is_told_to_nobody,
                a_delivery_is_written_with_the_end_of_its_job,
                a_deleted_jobs_event_is_delivered_all_the_same,
            }
            delivery_claim {
                a_destination_with_a_thousand_waiting_does_not_stand_in_front_of_others,
                deliveries_of_one_destination_go_in_the_order_of_their_jobs_ends,
                what_is_under_way_takes_up_its_destinations_room,
                no_more_is_taken_than_asked_for,
                a_destination_is_told_by_its_path_and_not_by_its_query,
                a_destination_that_keeps_failing_gets_one_at_a_time,
                a_delivery_whose_deliverer_was_lost_is_due_again,
                the_next_delivery_is_due_when_it_says,
                a_delivery_without_room_does_not_call_for_its_deliverer,
                many_deliverers_at_once_never_send_the_same,
                many_deliverers_at_once_keep_to_a_destinations_room,
            }
            delivery_settle {
                a_delivery_that_arrived_is_done,
                a_delivery_that_did_not_arrive_waits_for_its_next_attempt,
                a_delivery_without_attempts_left_has_failed,
                a_stale_settlement_is_lost_and_changes_nothing,
                a_destination_is_failing_from_the_first_failure_to_the_next_success,
                a_disabled_destination_has_everything_held,
                what_was_under_way_when_its_destination_was_disabled_may_still_arrive,
            }
            replay {
                a_delivery_in_any_state_starts_again_at_its_first_try,
                an_unknown_delivery_cannot_be_replayed,
                a_replay_enables_its_destination_and_leaves_the_others_held,
                an_attempt_under_way_is_lost_to_its_replay,
                all_that_failed_since_a_moment_is_sent_again,
            }
            delivery_log {
                the_log_is_newest_first_and_ends_at_its_limit,
                the_log_is_filtered_by_state_job_and_name,
                the_log_keeps_the_latest_attempts,
            }
            keep {
                a_secret_is_kept_as_it_was_first_made,
                a_database_is_examined_from_outside,
                processes_that_start_at_once_agree_on_a_secret,
                deliveries_that_ended_long_ago_are_forgotten,
                a_job_whose_events_were_forgotten_can_go_on,
                another_process_sees_what_was_written,
                a_store_that_was_closed_does_not_answer,
                closing_waits_for_what_is_being_written,
            }
            piece {
                pieces_are_taken_in_their_order_and_each_once,
                many_who_help_at_once_get_other_pieces,
                a_piece_whose_maker_is_silent_is_made_by_another,
                a_piece_that_keeps_failing_is_left_to_the_task_and_then_given_up,
                what_an_earlier_attempt_has_made_of_the_same_pieces_counts,
                nobody_makes_pieces_of_a_job_that_is_unwanted,
                pieces_are_gone_with_the_end_of_their_job,
            }
            retention {
                outputs_of_jobs_that_ended_long_ago_expire,
                no_more_outputs_expire_than_asked_for_and_the_oldest_first,
                a_job_is_forgotten_when_nothing_of_it_is_left_to_see,
                deleted_jobs_are_forgotten_too,
                a_job_that_has_not_ended_is_never_forgotten,
                the_worker_of_a_forgotten_job_can_change_nothing,
            }
            hints {
                a_task_that_is_due_wakes_the_claimer,
                a_delivery_that_is_due_wakes_the_deliverer,
                a_running_job_that_is_unwanted_wakes_the_heart,
                every_change_of_a_job_is_told,
                who_hears_of_a_change_can_see_it,
                the_other_processes_hear_of_a_change,
            }
            schema {
                every_later_change_of_shape_only_adds,
                a_version_of_before_works_on_the_shape_of_a_later_one,
                a_webhook_of_a_later_version_is_left_to_it,
            }
            media_jobs {
                the_pipelines_table_has_a_row_for_each_job,
                the_pipelines_table_is_there_before_the_first_job,
                the_pipelines_times_are_those_of_the_jobs,
            }
        }
    };
}

/// A test of its own for each behaviour.
macro_rules! each_as_a_test {
    ([$backend:expr] $($area:ident { $($behaviour:ident,)+ })+) => {$(
        mod $area {
            use crate::backend::Backend;
            use crate::world::World;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    if !$backend.is_here() {
                        return;
                    }
                    crate::$area::$behaviour(World::of($backend).await).await;
                }
            )+
        }
    )+};
}

/// Every behaviour by its name, to be run in one go.
macro_rules! as_a_table {
    ([] $($area:ident { $($behaviour:ident,)+ })+) => {
        vec![$($(crate::suite::Behaviour {
            name: concat!(stringify!($area), "::", stringify!($behaviour)),
            run: |world| Box::pin(crate::$area::$behaviour(world)),
        },)+)+]
    };
}

/// Runs the whole suite over one database.
macro_rules! conformance {
    ($name:ident, $backend:expr) => {
        mod $name {
            use crate::backend::Backend;

            behaviours!(each_as_a_test!($backend));

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn every_verb_is_exercised() {
                if $backend.is_here() {
                    crate::suite::exercises_every_verb($backend).await;
                }
            }

            /// The database for the model, which is chosen by type.
            #[derive(Debug)]
            struct Here;

            impl crate::model::Instance for Here {
                const BACKEND: Backend = $backend;
            }

            #[test]
            fn leases_follow_their_model() {
                if $backend.is_here() {
                    crate::model::check::<Here>();
                }
            }
        }
    };
}

use std::collections::BTreeMap;

use futures::future::{BoxFuture, join_all};

use crate::backend::Backend;
use crate::recorder::Verbs;
use crate::world::World;

/// How many behaviours run at once: each has a database open, some two.
const AT_ONCE: usize = 4;

/// Something that every store does.
pub(crate) struct Behaviour {
    pub(crate) name: &'static str,
    pub(crate) run: fn(World) -> BoxFuture<'static, ()>,
}

impl Behaviour {
    fn area(&self) -> &'static str {
        self.name.split("::").next().unwrap_or(self.name)
    }
}

/// Runs behaviours in this process until every verb of the trait was used: each behaviour is a
/// test of its own, and need not run twice for more than that. So what alone uses a verb stands
/// first in its area.
pub(crate) async fn exercises_every_verb(backend: Backend) {
    let verbs = Verbs::default();
    let declared = Verbs::of_the_trait();
    assert!(declared.len() > 20, "the trait was not read: {declared:?}");
    let all = one_of_each_area_by_turns(behaviours!(as_a_table!()));
    for some in all.chunks(AT_ONCE) {
        let running = some.iter().map(|Behaviour { name, run }| {
            let verbs = &verbs;
            async move {
                let world = World::recorded(backend, verbs).await;
                let done = tokio::spawn(run(world)).await;
                assert!(done.is_ok(), "{name} failed");
            }
        });
        join_all(running).await;
        if verbs.used() == declared {
            return;
        }
    }
    assert_eq!(verbs.used(), declared);
}

/// The first of each area, then the second of each, and so on.
fn one_of_each_area_by_turns(all: Vec<Behaviour>) -> Vec<Behaviour> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut placed: Vec<(usize, Behaviour)> = all
        .into_iter()
        .map(|behaviour| {
            let place = seen.entry(behaviour.area()).or_default();
            *place += 1;
            (*place, behaviour)
        })
        .collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, behaviour)| behaviour).collect()
}
