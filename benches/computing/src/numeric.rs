//! A product of matrices and the motion of bodies, in doubles.

use crate::random::Random;

/// Rows and columns of a matrix.
const SIZE: usize = 192;

/// A product of two matrices.
pub fn matrix(task: u32) -> u64 {
    let mut random = Random::new(task);
    let mut fill = || (0..SIZE * SIZE).map(|_| random.unit()).collect::<Vec<f64>>();
    let (a, b) = (fill(), fill());
    let mut product = vec![0.0; SIZE * SIZE];
    for (row, out) in product.chunks_exact_mut(SIZE).enumerate() {
        for (k, line) in b.chunks_exact(SIZE).enumerate() {
            let factor = a[row * SIZE + k];
            for (sum, value) in out.iter_mut().zip(line) {
                *sum += factor * value;
            }
        }
    }
    bits(&product)
}

/// Twenty thousand steps of five bodies that attract each other.
pub fn nbody(task: u32) -> u64 {
    let mut random = Random::new(task);
    let mut bodies: [([f64; 3], [f64; 3], f64); 5] = std::array::from_fn(|_| {
        let place = std::array::from_fn(|_| random.unit() * 10.0);
        let speed = std::array::from_fn(|_| random.unit() - 0.5);
        (place, speed, random.unit() + 0.1)
    });
    for _ in 0..20_000 {
        for one in 0..bodies.len() {
            for two in one + 1..bodies.len() {
                let way: [f64; 3] =
                    std::array::from_fn(|at| bodies[one].0[at] - bodies[two].0[at]);
                let square = way.iter().map(|part| part * part).sum::<f64>() + 0.01;
                let pull = 0.001 / (square * square.sqrt());
                let (mass, other) = (bodies[one].2, bodies[two].2);
                for at in 0..3 {
                    bodies[one].1[at] -= way[at] * other * pull;
                    bodies[two].1[at] += way[at] * mass * pull;
                }
            }
        }
        for (place, speed, _) in &mut bodies {
            for (place, speed) in place.iter_mut().zip(speed) {
                *place += *speed * 0.001;
            }
        }
    }
    bits(&bodies.map(|(place, _, _)| place[0] + place[1] + place[2]))
}

/// A check value of doubles.
fn bits(values: &[f64]) -> u64 {
    values
        .iter()
        .fold(0, |sum: u64, value| sum.rotate_left(5) ^ value.to_bits())
}
