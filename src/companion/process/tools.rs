//! Programs of the person: the editor, the clipboard's.

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::term::interrupt::Held;

/// Runs a program in the foreground, with a file as its last argument.
///
/// # Errors
/// It could not be started.
pub(in crate::companion) fn in_foreground(
    program: &str,
    arguments: &[String],
    file: &Path,
) -> anyhow::Result<ExitStatus> {
    // Ctrl-C in an editor is the editor's.
    let _held = Held::new();
    Ok(Command::new(program).args(arguments).arg(file).status()?)
}

/// Gives a program a text to read.
///
/// # Errors
/// It could not be started, or failed.
pub(in crate::companion) fn feed(program: &str, arguments: &[&str], text: &str) -> anyhow::Result<()> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    anyhow::ensure!(child.wait()?.success(), "{program} failed");
    Ok(())
}
