//! What a command prints: in lines, without what a terminal would obey, without secrets, and trimmed for the transcript.

use crate::term::sanitize_lines;
use crate::text::redact::mask;

/// Lines that are kept of the begin, and of the end.
const KEPT: usize = 40;
/// Bytes of the longest line.
const LONGEST: usize = 2000;
/// Lines before one that say what it is: a key above its block.
const CONTEXT: usize = 24;

/// Lines as they come.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The begin of a line whose end is not there yet.
    open: Vec<u8>,
    /// The last byte went back to the begin of the line.
    returned: bool,
    /// The last lines as they came.
    recent: Vec<String>,
    /// Within a private key.
    in_key: bool,
    head: Vec<String>,
    tail: Vec<String>,
    left_out: usize,
}

impl Lines {
    /// The lines that a piece of output completes; an empty piece completes what is open.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<String> {
        if piece.is_empty() {
            return self.rest();
        }
        let mut done = Vec::new();
        for byte in piece {
            let after_return = std::mem::replace(&mut self.returned, *byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' => done.push(self.close()),
                // Progress that is written over itself is a line each time.
                b'\r' => done.extend(self.rest()),
                _ => {
                    if self.open.len() >= LONGEST {
                        done.push(self.close());
                    }
                    self.open.push(*byte);
                }
            }
        }
        done
    }

    /// What was not ended by a line break.
    pub(super) fn rest(&mut self) -> Vec<String> {
        if self.open.is_empty() { Vec::new() } else { vec![self.close()] }
    }

    fn close(&mut self) -> String {
        let bytes = std::mem::take(&mut self.open);
        let raw = without_colours(&String::from_utf8_lossy(&bytes));
        let line = sanitize_lines(&self.masked(&raw));
        if self.head.len() < KEPT {
            self.head.push(line.clone());
        } else {
            self.tail.push(line.clone());
            if self.tail.len() > KEPT {
                self.tail.remove(0);
                self.left_out += 1;
            }
        }
        line
    }

    /// A line without its secrets, as the lines before it make it one.
    fn masked(&mut self, raw: &str) -> String {
        if raw.contains("-----BEGIN") && raw.contains("PRIVATE KEY") {
            self.in_key = true;
        }
        if self.in_key {
            self.in_key = !raw.contains("-----END");
            return "<redacted>".to_owned();
        }
        self.recent.push(raw.to_owned());
        if self.recent.len() > CONTEXT {
            self.recent.remove(0);
        }
        let masked = mask(&self.recent.join("\n"));
        masked.rsplit('\n').next().unwrap_or_default().to_owned()
    }

    /// What is kept of it all.
    pub(super) fn kept(&self) -> String {
        let mut lines = self.head.clone();
        if self.left_out > 0 {
            lines.push(format!("… {} lines left out …", self.left_out));
        }
        lines.extend(self.tail.iter().cloned());
        lines.join("\n")
    }
}

/// A line without the sequences that colour it: they are the tool's, and say nothing.
fn without_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let end = after.find(|c: char| !(c.is_ascii_digit() || c == ';')).unwrap_or(after.len());
        match after[end..].strip_prefix('m') {
            Some(behind) => rest = behind,
            None => {
                out.push_str("\u{1b}[");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut lines = Lines::default();
        // However it comes in pieces.
        let mut done: Vec<String> = text.as_bytes().chunks(7).flat_map(|piece| lines.take(piece)).collect();
        done.extend(lines.rest());
        done
    }

    #[test]
    fn nothing_in_it_moves_the_cursor() {
        let shown = all("a\u{1b}[2Jb\r10%\r100%\r\n\n\u{1b}[32mgreen\u{1b}[0m\n");
        assert_eq!(shown, ["a\\u{1b}[2Jb", "10%", "100%", "", "green"]);
    }

    #[test]
    fn secrets_are_masked_also_below_their_key() {
        let text = "password: hunter2hunter2\nstringData:\n  token: |\n    s3cr3tvalue\n-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----\nend\n";
        let shown = all(text).join("\n");
        for secret in ["hunter2", "s3cr3tvalue", "MIIEabc"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.ends_with("end"));
    }

    #[test]
    fn of_much_the_begin_and_the_end_are_kept() {
        let mut lines = Lines::default();
        for n in 0..200 {
            lines.take(format!("line {n}\n").as_bytes());
        }
        let kept = lines.kept();
        assert!(kept.starts_with("line 0\n") && kept.ends_with("line 199") && kept.contains("… 120 lines left out …"));
    }
}
