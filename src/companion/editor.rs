//! Lets the person change a command in their own editor before it is run.

use std::io::{Read, Seek, Write};

use anyhow::{Context, bail};

use super::process;

/// What is opened where neither `VISUAL` nor `EDITOR` is set.
const DEFAULT: &str = "vi";

/// The text as the person left it; `None` where nothing was changed, or nothing is left.
///
/// # Errors
/// There is no such editor, or it failed.
pub(super) fn edit(text: &str) -> anyhow::Result<Option<String>> {
    let set = |name| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| DEFAULT.to_owned());
    let words = shlex::split(&editor).filter(|w| !w.is_empty());
    let Some(words) = words else { bail!("$EDITOR cannot be read: {editor}") };
    // Nobody else may read it: a command can hold a secret.
    let mut file = tempfile::Builder::new().prefix("kdoctor-").suffix(".sh").tempfile()?;
    writeln!(file, "{text}")?;
    file.flush()?;
    let finished = process::in_foreground(&words[0], &words[1..], file.path())
        .with_context(|| format!("{} cannot be started; set $EDITOR", words[0]))?;
    if !finished.success() {
        bail!("{} ended with {finished}: nothing was changed", words[0]);
    }
    // Editors write in place, or put another file there.
    let mut edited = String::new();
    match std::fs::read_to_string(file.path()) {
        Ok(text) => edited = text,
        Err(_) => {
            file.rewind()?;
            file.read_to_string(&mut edited)?;
        }
    }
    let edited = edited.trim_end().to_owned();
    Ok((!edited.trim().is_empty() && edited != text.trim_end()).then_some(edited))
}
