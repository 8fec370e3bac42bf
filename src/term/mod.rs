//! The terminal: who writes where, colour, width, progress, and the escaping of text that came from outside.

mod ask;
mod calls;
pub mod interrupt;
mod links;
mod printer;
mod progress;
mod sanitize;
pub mod screen;

pub use ask::Asking;
pub use calls::Calls;
pub use links::{addresses, linked};
pub use printer::Printer;
pub use progress::Progress;
pub use sanitize::{json_escaped, sanitize, sanitize_lines};

pub(crate) use crate::text::near::suggest;
