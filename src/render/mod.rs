//! A report as text for people or JSON for machines.

pub mod json;
mod layout;
mod table;

pub use json::{json, json_failure, schema};
pub use table::{TableOptions, table};
