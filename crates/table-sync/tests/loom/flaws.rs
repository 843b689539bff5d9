//! The models can fail: each flaw that can be put into a protocol is found by one of them.

use std::process::{Command, Stdio};
use table_sync::flaw::Flaw;

/// The models that are to find it, each.
fn models_for(flaw: Flaw) -> &'static [&'static str] {
    match flaw {
        Flaw::PushRelaxed => &["removal::a_push_is_seen_whole"],
        Flaw::KindRelaxed => &["removal::a_late_reader_does_not_disturb_a_later_entry"],
        Flaw::GenerationIgnored => &["removal::a_stale_handle_never_finds_a_later_entry"],
        Flaw::WornOutSlotReused => &["removal::a_worn_out_slot_retires"],
        Flaw::FreeListUnlocked => &["removal::pushes_do_not_meet"],
        Flaw::FullAtFirstSight => &["removal::a_busy_list_is_not_taken_for_empty"],
        Flaw::ReaderLeavesRelaxed => &["access::a_writer_excludes_a_counted_reader"],
        Flaw::WriterLeavesRelaxed => &["waiting::three_writers"],
        Flaw::PublishWithoutBarrier
        | Flaw::PublishWithoutLook
        | Flaw::RetractWithoutBarrier
        | Flaw::RetractWithoutLook
        | Flaw::RetractRelaxed
        | Flaw::ScanWithoutBarrier => &["access::a_writer_excludes_published_readers"],
        Flaw::DrainEndedUnsettled => &[
            "removal::a_writer_ends_the_drain_of_a_detached_entry",
            "removal::a_stale_writer_ends_the_drain_of_a_later_entry",
        ],
        Flaw::DetachWithoutDrain => &["removal::detach_leaves_the_value_to_its_holders"],
        Flaw::JoinWithoutLook | Flaw::LeaverWakesNobody | Flaw::CalledOnce => {
            &["waiting::three_writers"]
        }
        Flaw::QuitterKeepsTurn => &["waiting::a_dropped_waiter_hands_its_turn_on"],
        Flaw::KinNotLocked => &["kin::a_parent_goes_or_gets_a_child"],
        Flaw::AccessEndsUnseen => &["readiness::one_event_between_drop_and_making"],
        Flaw::EventDuringPollUnseen => &["readiness::two_waiters_see_one_lasting_condition"],
        Flaw::ReadyQuitterKeepsTurn => &["readiness::a_dropped_waiter_hands_its_turn_on"],
    }
}

/// In a process of its own: what a flaw leaves behind is nobody's business. With a wider bound than
/// the models have, which is affordable as each ends with what it finds.
fn finds(model: &str, flaw: Flaw) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", model])
        .env("TABLE_SYNC_FLAW", format!("{flaw:?}"))
        .env("LOOM_MAX_PREEMPTIONS", "4")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    !status.success()
}

#[test]
fn each_is_found() {
    if std::env::var_os("TABLE_SYNC_FLAW").is_some() {
        return;
    }
    let missed: Vec<_> = Flaw::ALL
        .into_iter()
        .flat_map(|flaw| models_for(flaw).iter().map(move |model| (flaw, *model)))
        .filter(|(flaw, model)| !finds(model, *flaw))
        .collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
