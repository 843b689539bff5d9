//! A ray tracer: spheres over a floor, with shadows and mirrors.

use crate::random::Random;

type Vector = [f64; 3];

const WIDTH: usize = 320;
const ROWS: usize = 12;

struct Sphere {
    centre: Vector,
    radius: f64,
    colour: f64,
    mirror: f64,
}

/// Twelve rows of a picture.
pub fn task(task: u32) -> u64 {
    let mut random = Random::new(7);
    let spheres: Vec<_> = (0..24)
        .map(|_| Sphere {
            centre: [random.unit() * 8.0 - 4.0, random.unit() * 3.0, random.unit() * 6.0 + 3.0],
            radius: random.unit() * 0.6 + 0.2,
            colour: random.unit(),
            mirror: random.unit() * 0.8,
        })
        .collect();
    let mut sum = 0_u64;
    for row in 0..ROWS {
        let y = 1.0 - ((task as usize * ROWS + row) % 240) as f64 / 120.0;
        for column in 0..WIDTH {
            let x = column as f64 / 160.0 - 1.0;
            let way = unit([x * 1.33, y, 1.0]);
            let light = trace(&spheres, [0.0, 1.0, -3.0], way, 4);
            sum = sum.rotate_left(1).wrapping_add((light * 255.0) as u64);
        }
    }
    sum
}

fn trace(spheres: &[Sphere], from: Vector, way: Vector, depth: u32) -> f64 {
    let Some((distance, sphere)) = nearest(spheres, from, way) else {
        if way[1] < 0.0 {
            let distance = (from[1] + 1.0) / -way[1];
            let at = add(from, scale(way, distance));
            let dark = (at[0].floor() + at[2].floor()) as i64 & 1 == 0;
            return if dark { 0.2 } else { 0.7 };
        }
        return 0.3 + 0.5 * way[1];
    };
    let at = add(from, scale(way, distance));
    let normal = unit(add(at, scale(sphere.centre, -1.0)));
    let lamp = unit([0.5, 1.0, -0.7]);
    let at = add(at, scale(normal, 1e-6));
    let lit = match nearest(spheres, at, lamp) {
        Some(_) => 0.1,
        None => dot(normal, lamp).max(0.1),
    };
    let own = sphere.colour * lit;
    if depth == 0 {
        return own;
    }
    let mirrored = add(way, scale(normal, -2.0 * dot(way, normal)));
    own * (1.0 - sphere.mirror) + sphere.mirror * trace(spheres, at, mirrored, depth - 1)
}

fn nearest(spheres: &[Sphere], from: Vector, way: Vector) -> Option<(f64, &Sphere)> {
    let mut best: Option<(f64, &Sphere)> = None;
    for sphere in spheres {
        let to = add(sphere.centre, scale(from, -1.0));
        let along = dot(to, way);
        let square = dot(to, to) - along * along;
        let inside = sphere.radius * sphere.radius - square;
        if inside > 0.0 {
            let distance = along - inside.sqrt();
            if distance > 1e-6 && best.is_none_or(|(least, _)| distance < least) {
                best = Some((distance, sphere));
            }
        }
    }
    best
}

fn add(a: Vector, b: Vector) -> Vector {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

fn scale(a: Vector, by: f64) -> Vector {
    [a[0] * by, a[1] * by, a[2] * by]
}

fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn unit(a: Vector) -> Vector {
    scale(a, 1.0 / dot(a, a).sqrt())
}
