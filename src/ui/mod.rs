//! The app: the only place where content, engine, progress and labs meet.

pub mod connections;
pub mod draw;
pub mod event;
pub mod field;
pub mod keys;
pub mod prose;
pub mod screen;
