//! The app: the only place where content, engine, progress and labs meet.

pub mod event;
pub mod screen;
