//! The app's model in a process of its own: what goes wrong there leaves the course alive.
//!
//! [`ModelProcess`] is the app's side: it starts the process at the first job, passes jobs on and news back, and says
//! what happened when the process dies or does not answer; the next job starts a fresh one. [`serve()`] is the other side,
//! `osai serve-model`. `wire` holds the words between them, `sandbox` what that side gives up,
//! `death` the sentences. Commands such as `osai generate` open the model in their own process.

mod death;
mod launch;
mod process;
mod sandbox;
mod serve;
mod wire;

pub use launch::Launch;
pub use process::ModelProcess;
pub use sandbox::{Confinement, probe};
pub use serve::serve;
pub(super) use wire::path_as_shown;
