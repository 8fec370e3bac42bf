//! A report as text for people, as Markdown or a page, or as JSON for machines.

pub mod ci;
mod html;
pub mod json;
mod layout;
pub mod live;
mod markdown;
mod table;
mod view;
mod words;

pub use html::html;
pub use json::{json, json_failure, json_since, schema, why_json, why_schema};
pub(crate) use layout::Page;
pub(crate) use markdown::escape;
pub use markdown::{MarkdownOptions, changes_markdown, markdown, why_markdown};
pub use table::{Pieces, TableOptions, changes_text, table, why};
pub(crate) use table::{bold, cyan, dim, plain};
