use super::*;

/// What stores that have gone have noted is not kept.
#[test]
fn notes_go_with_their_stores() {
    let opens = Opens::new(EndSignal::new());
    let kept = OpenInProgress::default();
    opens.register(&kept.noted);
    for _ in 0..1000 {
        opens.register(&OpenInProgress::default().noted);
    }
    let stores = lock(&opens.stores);
    assert!(stores.all.len() <= 32, "{}", stores.all.len());
    let alive = |noted: &&Weak<Mutex<Noted>>| noted.strong_count() > 0;
    assert_eq!(stores.all.iter().filter(alive).count(), 1);
}
