//! What a command prints: in lines, without what a terminal would obey, without secrets, and trimmed for the transcript.

use crate::term::sanitize_lines;
use crate::text::redact::{MASK, mask};

/// Lines that are kept of the begin, and of the end.
const KEPT: usize = 40;
/// Letters of a line that are shown.
const LONGEST: usize = 2000;
/// Bytes of a line that are read to know its secrets; what stands behind them is dropped.
const HELD: usize = 4 * LONGEST;
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
    /// What was shown of the line already, before its end was there.
    part: Option<Part>,
    /// The line is longer than what is held of it.
    is_cut: bool,
    head: Vec<String>,
    tail: Vec<String>,
    left_out: usize,
}

/// The begin of a line that was shown without its end.
#[derive(Debug)]
struct Part {
    bytes: Vec<u8>,
    shown: String,
    /// Before it, one was within a private key.
    in_key: bool,
}

impl Lines {
    /// The lines that a piece of output completes; an empty piece completes what is open.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<String> {
        if piece.is_empty() {
            return if self.open.is_empty() { Vec::new() } else { self.close(false).into_iter().collect() };
        }
        let mut done = Vec::new();
        for byte in piece {
            let after_return = std::mem::replace(&mut self.returned, *byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' => done.extend(self.close(true)),
                // Progress that is written over itself is a line each time.
                b'\r' => done.extend(self.rest()),
                _ if self.open.len() + self.part.as_ref().map_or(0, |p| p.bytes.len()) >= HELD => self.is_cut = true,
                _ => self.open.push(*byte),
            }
        }
        done
    }

    /// What was not ended by a line break.
    pub(super) fn rest(&mut self) -> Vec<String> {
        if self.open.is_empty() && self.part.is_none() { Vec::new() } else { self.close(true).into_iter().collect() }
    }

    /// What is to be shown of the open line; `None`: all of it was. What was shown of it before is masked with the rest: only
    /// both together may be a secret.
    fn close(&mut self, is_ended: bool) -> Option<String> {
        let mut bytes = std::mem::take(&mut self.open);
        let part = self.part.take();
        if let Some(part) = &part {
            bytes.splice(0..0, part.bytes.iter().copied());
            self.in_key = part.in_key;
            if self.recent.last().is_some_and(|last| *last == raw(&part.bytes)) {
                self.recent.pop();
            }
        }
        let in_key = self.in_key;
        let whole = self.masked(&raw(&bytes));
        let mut shown = sanitize_lines(&whole);
        let longest = shown.char_indices().nth(LONGEST).map(|(at, _)| at);
        if longest.is_some() || self.is_cut {
            shown.truncate(longest.unwrap_or(shown.len()));
            shown.push_str(" …");
        }
        let line = part.as_ref().and_then(|part| shown.strip_prefix(&part.shown)).unwrap_or(&shown).to_owned();
        if is_ended {
            self.is_cut = false;
        } else {
            self.part = Some(Part { bytes, shown, in_key });
        }
        if part.is_some() && line.is_empty() {
            return None;
        }
        self.keep(&line);
        Some(line)
    }

    fn keep(&mut self, line: &str) {
        if self.head.len() < KEPT {
            self.head.push(line.to_owned());
        } else {
            self.tail.push(line.to_owned());
            if self.tail.len() > KEPT {
                self.tail.remove(0);
                self.left_out += 1;
            }
        }
    }

    /// A line without its secrets, as the lines before it make it one.
    fn masked(&mut self, raw: &str) -> String {
        if raw.contains("-----BEGIN") && raw.contains("PRIVATE KEY") {
            self.in_key = true;
        }
        if self.in_key {
            self.in_key = !raw.contains("-----END");
            return MASK.to_owned();
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

fn raw(bytes: &[u8]) -> String {
    without_colours(&String::from_utf8_lossy(bytes))
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
    fn the_rest_of_a_secret_is_one_too() {
        let mut lines = Lines::default();
        let long = format!("password: {}\nnext\n", "hunter2".repeat(3000));
        let shown: Vec<String> = long.as_bytes().chunks(500).flat_map(|piece| lines.take(piece)).collect();
        assert!(!shown.join("\n").contains("hunter2") && shown[0].ends_with(" …"), "{shown:?}");
        assert_eq!((shown.len(), shown[1].as_str()), (2, "next"));
        let shown = all(&format!("{}\n", "a ".repeat(3000)));
        assert!(shown.len() == 1 && shown[0].ends_with(" …") && shown[0].chars().count() == LONGEST + 2);

        let mut lines = Lines::default();
        let mut shown = Vec::new();
        for piece in
            ["password: hun", "", "ter2hun", "", "ter2\n", "Name: ", "", "shop\n", "asked: ", "", "\n", "end\n"]
        {
            shown.extend(lines.take(piece.as_bytes()));
        }
        assert_eq!(shown, ["password: <redacted>", "Name: ", "shop", "asked: ", "end"]);
        let mut lines = Lines::default();
        let mut shown = Vec::new();
        for piece in ["-----BEGIN PRIVATE KEY-----\n", "MIIE", "", "abc -----END", "", " PRIVATE KEY-----\n", "end\n"] {
            shown.extend(lines.take(piece.as_bytes()));
        }
        assert!(!shown.concat().contains("MIIE") && !shown.concat().contains("abc"), "{shown:?}");
        assert_eq!(shown.last().map(String::as_str), Some("end"));
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
