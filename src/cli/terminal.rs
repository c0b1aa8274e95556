//! What the standard output is: its width, and whether it may be styled.

#![allow(clippy::disallowed_methods, reason = "`define` is answered before the environment is read as a whole")]

use std::env;

/// Columns of the terminal on standard output; 80 where it does not say.
pub fn columns() -> usize {
    let asked = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    asked.or_else(window_columns).filter(|columns| *columns > 0).unwrap_or(80)
}

#[cfg(unix)]
fn window_columns() -> Option<usize> {
    // SAFETY: `winsize` is plain numbers, and the call writes nothing but this one.
    let (answer, size) = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size), size)
    };
    (answer == 0).then_some(size.ws_col.into())
}

#[cfg(not(unix))]
fn window_columns() -> Option<usize> {
    None
}

/// Whether the environment allows weight and underline: no `NO_COLOR` (<https://no-color.org>), no dumb terminal.
pub fn may_style() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}
