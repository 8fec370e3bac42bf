//! Where output goes: the report to stdout, everything else to stderr; colour and width of each.

use std::io::{self, IsTerminal, Write};

use crate::text::redact::mask;

/// Widest text: longer lines are hard to read.
const MAX_WIDTH: usize = 120;
/// Narrowest width that is honoured.
const MIN_WIDTH: usize = 40;

/// Writes output.
#[derive(Debug, Clone)]
pub struct Printer {
    /// Colour on stdout.
    pub color: bool,
    /// Columns of the terminal on stdout; `None` where stdout is none, so that nothing is wrapped.
    pub width: Option<usize>,
    /// stderr is a terminal that can show progress.
    pub progress: bool,
}

impl Printer {
    /// Looks at the streams and at `NO_COLOR`, `CLICOLOR_FORCE`, `TERM`.
    pub fn detect(no_color: bool, quiet: bool) -> Self {
        let color = !no_color && supports_color::on(supports_color::Stream::Stdout).is_some_and(|c| c.has_basic);
        let width = io::stdout().is_terminal().then(columns);
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        Self { color, width, progress: !quiet && !dumb && io::stderr().is_terminal() }
    }

    /// The same for the terminal as it is now: its window may have changed.
    #[must_use]
    pub fn resized(&self) -> Self {
        Self { width: self.width.map(|_| columns()), ..self.clone() }
    }

    /// Terminals that have links in texts show these as such. Who wants no colours wants none of them either.
    pub fn has_links(&self) -> bool {
        self.color && self.width.is_some() && supports_hyperlinks::on(supports_hyperlinks::Stream::Stdout)
    }

    /// For a file: no colour, nothing wrapped.
    pub fn plain() -> Self {
        Self { color: false, width: None, progress: false }
    }

    /// A person can be asked: both sides of the talk are a terminal.
    pub fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// A person can be talked with: they read what is printed, and answer.
    pub fn can_talk(&self) -> bool {
        self.can_ask() && io::stdout().is_terminal()
    }

    /// Writes the report. A reader that has gone (a closed pipe) is no error.
    ///
    /// # Errors
    /// Any other failure to write.
    pub fn stdout(&self, text: &str) -> io::Result<()> {
        let mut out = stdout()?;
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Writes a line for the person at the terminal, without the secrets that errors echo.
    pub fn stderr(&self, text: &str) {
        // Nobody is left to hear that stderr is closed.
        let _ = writeln!(io::stderr().lock(), "{}", mask(text));
    }
}

fn columns() -> usize {
    terminal_size::terminal_size().map_or(80, |(w, _)| usize::from(w.0)).clamp(MIN_WIDTH, MAX_WIDTH)
}

/// The stream itself: the standard library's takes a stream that cannot be written for one that nobody reads.
#[cfg(unix)]
fn stdout() -> io::Result<std::fs::File> {
    use std::os::fd::AsFd;
    Ok(std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(not(unix))]
fn stdout() -> io::Result<io::Stdout> {
    Ok(io::stdout())
}
