//! Numbers that look random and are the same everywhere.

/// A generator by Marsaglia's xorshift.
pub struct Random(u64);

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u32) -> Self {
        Self(u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// The next number below `most`.
    pub fn below(&mut self, most: u64) -> u64 {
        (self.next() >> 11) % most
    }

    /// The next number from 0 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A text of `words` words, of a vocabulary of 512.
pub fn text(random: &mut Random, words: usize) -> String {
    let mut text = String::new();
    for at in 0..words {
        let word = random.below(512);
        for letter in 0..3 + word % 7 {
            let code = (word * 31 + letter * 17 + word / 7) % 26;
            text.push((b'a' + code as u8) as char);
        }
        text.push(if at % 12 == 11 { '\n' } else { ' ' });
    }
    text
}
