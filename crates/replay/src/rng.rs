//! The generator of all policies.

/// SplitMix64 (Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, OOPSLA
/// 2014).
///
/// It is a part of the guarantee that a seed is a run. Its numbers, and how policies draw from it,
/// change only with the major version. It uses no floating point, because those functions differ
/// between systems.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The generator whose state is `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`: the upper half of its product with the next number. 0 if the bound
    /// is 0.
    ///
    /// One is drawn whatever the bound is. The bias is below `bound` / 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.draw()) * u128::from(bound);
        (wide >> 64) as u64
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of `choices`; `None` if there is none.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        let at = self.below(choices.len() as u64);
        choices.get(usize::try_from(at).ok()?).copied()
    }

    /// A length of at least 1 whose mean is about `mean`; its tail reaches four times that.
    ///
    /// 1 plus the product of two uniform numbers, which is small more often than large, as a
    /// geometric length is.
    pub fn length(&mut self, mean: u64) -> u64 {
        let most = mean.saturating_sub(1).saturating_mul(4);
        let first = self.below(most.saturating_add(1));
        1 + self.below(first.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers that the reference implementation gives for the seed 1234567.
    #[test]
    fn the_published_numbers() {
        let mut rng = SplitMix64::new(1_234_567);
        let drawn: Vec<_> = (0..5).map(|_| rng.draw()).collect();
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821
            ]
        );
    }

    #[test]
    fn numbers_are_below_their_bound_and_reach_it() {
        let mut rng = SplitMix64::new(7);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[rng.below(5) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.one_of::<u8>(&[]), None);
        assert!(rng.below(u64::MAX) < u64::MAX);
    }

    #[test]
    fn lengths_have_their_mean() {
        for mean in [1, 3, 10, 1000] {
            let mut rng = SplitMix64::new(mean);
            let drawn: Vec<_> = (0..20_000).map(|_| rng.length(mean)).collect();
            let found = drawn.iter().sum::<u64>() / 20_000;
            assert!(
                found >= mean * 8 / 10 && found <= mean * 12 / 10 + 1,
                "{mean}: {found}"
            );
            assert!(drawn.iter().all(|length| (1..=4 * mean).contains(length)));
        }
        assert_eq!(SplitMix64::new(1).length(u64::MAX).min(1), 1);
    }
}
