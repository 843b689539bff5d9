//! The models can fail: each mutant that can be put into a protocol is found by one of them.

use std::process::{Command, Stdio};
use table_sync::mutants::Mutant;

/// The models that are to find it, each.
fn models_for(mutant: Mutant) -> &'static [&'static str] {
    match mutant {
        Mutant::PushRelaxed => &["removal::a_push_is_seen_whole"],
        Mutant::KindRelaxed => &["removal::a_late_reader_does_not_disturb_a_later_entry"],
        Mutant::GenerationIgnored => &["removal::a_stale_handle_never_finds_a_later_entry"],
        Mutant::WornOutSlotReused => &["removal::a_worn_out_slot_retires"],
        Mutant::FreeListUnlocked => &["removal::pushes_do_not_meet"],
        Mutant::FullAtFirstSight => &["removal::a_busy_list_is_not_taken_for_empty"],
        Mutant::ReaderLeavesRelaxed => &["access::a_writer_excludes_a_counted_reader"],
        Mutant::WriterLeavesRelaxed => &["waiting::three_writers"],
        Mutant::PublishWithoutBarrier
        | Mutant::PublishWithoutLook
        | Mutant::RetractWithoutBarrier
        | Mutant::RetractWithoutLook
        | Mutant::RetractRelaxed
        | Mutant::ScanWithoutBarrier => &["access::a_writer_excludes_published_readers"],
        Mutant::DrainEndedUnsettled => &[
            "removal::a_writer_ends_the_drain_of_a_detached_entry",
            "removal::a_stale_writer_ends_the_drain_of_a_later_entry",
        ],
        Mutant::DetachWithoutDrain => &["removal::detach_leaves_the_value_to_its_holders"],
        Mutant::JoinWithoutLook | Mutant::LeaverCallsNobody | Mutant::CalledOnce => {
            &["waiting::three_writers"]
        }
        Mutant::QuitterCallsNobody => &["waiting::a_dropped_waiter_calls_the_next"],
        Mutant::KinNotLocked => &["kin::a_parent_goes_or_gets_a_child"],
        Mutant::AccessEndsUnseen => &["readiness::one_event_between_drop_and_making"],
        Mutant::EventDuringPollUnseen => &["readiness::two_waiters_see_one_lasting_condition"],
        Mutant::ReadinessQuitterCallsNobody => &["readiness::a_dropped_waiter_calls_the_next"],
    }
}

/// Each runs in a process of its own, so that nothing a mutant leaves behind stays. The bound is
/// wider than that of the models. That is affordable, because each run ends with what it finds.
fn finds(model: &str, mutant: Mutant) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", model])
        .env("TABLE_SYNC_MUTANT", format!("{mutant:?}"))
        .env("LOOM_MAX_PREEMPTIONS", "4")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    !status.success()
}

#[test]
fn each_is_found() {
    if std::env::var_os("TABLE_SYNC_MUTANT").is_some() {
        return;
    }
    let missed: Vec<_> = Mutant::ALL
        .iter()
        .copied()
        .flat_map(|mutant| models_for(mutant).iter().map(move |model| (mutant, *model)))
        .filter(|(mutant, model)| !finds(model, *mutant))
        .collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
