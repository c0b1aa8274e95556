//! Builds the table of embedded content.

fn main() {}
