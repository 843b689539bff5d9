//! Names of functions as they were written before rustc gave them hashes.

use crate::Finished;

impl Finished {
    /// Takes the hashes of crates from names of functions on stderr: `app[57ef79a762155846]::work`
    /// is `app::work`. rustc's names have had them since 1.97.
    pub fn without_hashes(mut self) -> Self {
        let mut plain = String::new();
        let mut rest = &*self.stderr;
        while let Some((before, behind)) = rest.split_once('[') {
            let hash = behind.split_once(']');
            let is_hash =
                |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            plain.push_str(before);
            rest = match hash {
                Some((hash, behind)) if is_hash(hash) && behind.starts_with("::") => behind,
                _ => {
                    plain.push('[');
                    behind
                }
            };
        }
        plain.push_str(rest);
        self.stderr = plain;
        self
    }
}
