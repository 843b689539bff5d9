//! Fills in today's options from older ones.

/// Sets `option` to `value`, unless today's option was given.
pub(super) fn given<V: Clone>(option: &mut Option<V>, value: &Option<V>) {
    if option.is_none() {
        option.clone_from(value);
    }
}

/// Switches `option` on, if the older one was given.
pub(super) fn on(option: &mut Option<bool>, given: bool) {
    if given {
        *option = Some(true);
    }
}

/// Switches `option` off, if the older one was given.
pub(super) fn off(option: &mut Option<bool>, given: bool) {
    if given {
        *option = Some(false);
    }
}
