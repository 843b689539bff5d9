//! A ring by itself, and with a reader beside its writer.

use super::*;

fn ran(at: u64, weight: u32) -> SampleHead {
    SampleHead {
        within: SampledIn::Wasm,
        call: 7,
        weight,
        at,
        blocked: None,
        cut: false,
    }
}

fn write(ring: &Ring, head: SampleHead, frames: &[u32]) {
    ring.write(head, |push| {
        for frame in frames {
            if !push(*frame) {
                return;
            }
        }
    });
}

#[test]
fn samples_come_out_as_they_went_in_however_often_the_ring_goes_round() {
    let ring = Ring::new(Duration::from_millis(1));
    let deep: Vec<u32> = (0..300).collect();
    let mut next = 0;
    for round in 0..3000 {
        write(&ring, ran(round, 3), &deep[..round as usize % 300]);
        if round % 20 != 0 {
            continue;
        }
        ring.read(|head, frames| {
            let len = next as usize % 300;
            let cut = len > SAMPLED_FRAMES;
            assert_eq!(
                head,
                SampleHead {
                    cut,
                    ..ran(next, 3)
                }
            );
            assert_eq!(frames, &deep[..len.min(SAMPLED_FRAMES)]);
            next += 1;
        });
        assert_eq!(next, round + 1);
    }
    assert_eq!(ring.take_lost(), 0);
    // A reader that is late: all samples are there, or counted.
    ring.read(|_, _| ());
    for _ in 0..1000 {
        write(&ring, ran(1, 2), &deep);
    }
    let mut there = 0;
    ring.read(|_, _| there += 1);
    assert!(there > 60, "{there}");
    assert_eq!(ring.take_lost(), 2 * (1000 - there));
    ring.read(|_, _| panic!("it was read to its end"));
}

/// The thread writes while another reads: each sample is whole, in its place, or counted as lost.
#[test]
fn a_reader_beside_the_writer_sees_whole_samples() {
    const SAMPLES: u64 = 100_000;
    let ring = Ring::new(Duration::from_millis(1));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=SAMPLES {
                let frames = vec![number as u32; number as usize % 40];
                write(&ring, ran(number, 1), &frames);
            }
            ring.close(1);
        });
        let (mut last, mut there, mut lost) = (0, 0, 0);
        loop {
            let over = ring.closed().is_some();
            ring.read(|head, frames| {
                assert!(head.at > last);
                last = head.at;
                assert_eq!(frames, vec![last as u32; last as usize % 40]);
                there += 1;
            });
            lost += ring.take_lost();
            if over {
                break;
            }
        }
        assert!(there > 0);
        assert_eq!(there + lost, SAMPLES);
    });
}

#[test]
fn a_sample_in_a_sample_is_taken_where_that_is() {
    let ring = Ring::new(Duration::from_millis(1));
    let once = std::cell::Cell::new(true);
    let waited = SampleHead {
        blocked: Some(7),
        ..ran(1, 1)
    };
    ring.write(waited, |push| {
        if once.take() {
            write(&ring, ran(2, 5), &[1]);
        }
        push(9);
    });
    let mut all = Vec::new();
    ring.read(|head, frames| all.push((head, frames.to_vec())));
    assert_eq!(all, [(waited, vec![9]), (ran(1, 5), vec![9])]);
    assert_eq!(ring.take_lost(), 0);
}

#[test]
fn time_without_processor_adds_up_to_samples() {
    let ring = Ring::new(Duration::from_nanos(1000));
    let mut weight = 0;
    for round in 0..100 {
        ring.begin(SampledIn::Wait, 0, round * 10_000 + 1);
        let sample = ring.end(round * 10_000 + 301);
        weight += sample.map_or(0, |sample| sample.weight);
    }
    assert_eq!(weight, 30);
    // What was computed in it is the timer's.
    ring.begin(SampledIn::HostCode, 3, 1_000_000);
    write(&ring, ran(1, 40), &[]);
    let sample = ring.end(1_050_000).unwrap();
    assert_eq!((sample.weight, sample.call), (10, 3));
    assert_eq!(sample.blocked, Some(50_000));
    // And never counts twice: a debt is paid first.
    ring.begin(SampledIn::HostCode, 3, 1);
    write(&ring, ran(1, 40), &[]);
    assert_eq!(ring.end(20_001), None);
    ring.begin(SampledIn::HostCode, 3, 1);
    assert_eq!(ring.end(20_001), None);
    assert_eq!(ring.end(30_001), None, "nothing had begun");
    // A thread that asks meanwhile takes what has passed.
    ring.begin(SampledIn::Wait, 0, 1);
    assert_eq!(ring.split(5_001).unwrap().weight, 5);
    assert_eq!(ring.split(5_001), None);
    assert_eq!(ring.end(10_001).unwrap().blocked, Some(5_000));
}
