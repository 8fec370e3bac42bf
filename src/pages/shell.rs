//! Finds the commands in a piece of shell: what is run, and where its words stand.
//!
//! Quotes, comments and here-documents are data; pipes, lists, sub-shells, command substitutions and keywords lead to new
//! commands. That is all of the shell that pages use, and enough to leave alone what is not understood.

use std::ops::Range;

/// One simple command: the places of its words, redirections left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Simple {
    pub(super) words: Vec<Range<usize>>,
}

/// All commands of a text, in the order in which they end.
pub(super) fn commands(text: &str) -> Vec<Simple> {
    read(text).found
}

/// The files that a text writes into, as they are named there.
pub(super) fn written(text: &str) -> Vec<&str> {
    read(text).written.into_iter().map(|target| &text[target]).collect()
}

/// In what a place of a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// Words without quotes.
    Words,
    /// Single quotes.
    Single,
    /// Double quotes.
    Double,
    /// The body of a here-document.
    Document,
}

/// The innermost of what a place of a text stands in.
pub(super) fn within(text: &str, at: usize) -> Within {
    let around = read(text).spans.into_iter().filter(|(span, _)| span.contains(&at));
    around.max_by_key(|(span, _)| span.start).map_or(Within::Words, |(_, within)| within)
}

fn read(text: &str) -> Reader<'_> {
    let (found, written, spans, documents) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut reader = Reader { text: text.as_bytes(), at: 0, found, written, spans, documents };
    while reader.at < reader.text.len() {
        reader.list(None);
        // A parenthesis that nothing opened.
        reader.at += 1;
    }
    reader
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    found: Vec<Simple>,
    /// Targets of redirections that write.
    written: Vec<Range<usize>>,
    /// Quotes, here-documents, and the substitutions that may stand in them.
    spans: Vec<(Range<usize>, Within)>,
    /// Ends of the here-documents that begin on the next line, and whether tabs may stand before them.
    documents: Vec<(Vec<u8>, bool)>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn starts_with(&self, what: &str) -> bool {
        self.text[self.at..].starts_with(what.as_bytes())
    }

    /// Commands up to `until`, which is left unread, or to the end.
    fn list(&mut self, until: Option<u8>) {
        let mut now = Simple::default();
        while let Some(letter) = self.peek(0) {
            match letter {
                l if Some(l) == until => break,
                b')' => break,
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\\' if self.peek(1) == Some(b'\n') => self.at += 2,
                b'\n' => {
                    self.at += 1;
                    self.end(&mut now);
                    self.skip_documents();
                }
                b'#' => self.skip_line(),
                b';' | b'|' => {
                    self.at += 1;
                    self.end(&mut now);
                }
                b'&' if self.peek(1) == Some(b'>') => self.redirection(),
                b'&' => {
                    self.at += 1;
                    self.end(&mut now);
                }
                b'(' => {
                    self.end(&mut now);
                    self.nested(1, b')');
                }
                b'<' | b'>' => self.redirection(),
                _ => {
                    let start = self.at;
                    self.word(until);
                    let is_descriptor = matches!(self.peek(0), Some(b'<' | b'>'))
                        && self.text[start..self.at].iter().all(u8::is_ascii_digit);
                    if !is_descriptor {
                        now.words.push(start..self.at);
                    }
                }
            }
        }
        self.end(&mut now);
    }

    fn end(&mut self, now: &mut Simple) {
        let done = std::mem::take(now);
        if !done.words.is_empty() {
            self.found.push(done);
        }
    }

    /// Commands within `opening` bytes and `close`.
    fn nested(&mut self, opening: usize, close: u8) {
        self.at += opening;
        self.list(Some(close));
        if self.peek(0).is_some() {
            self.at += 1;
        }
    }

    fn skip_line(&mut self) {
        while self.peek(0).is_some_and(|l| l != b'\n') {
            self.at += 1;
        }
    }

    fn skip_documents(&mut self) {
        let start = self.at;
        for (end, tabs) in std::mem::take(&mut self.documents) {
            while self.at < self.text.len() {
                let start = self.at;
                self.skip_line();
                let mut line = &self.text[start..self.at];
                self.at += 1;
                while tabs && line.first() == Some(&b'\t') {
                    line = &line[1..];
                }
                if line == end {
                    break;
                }
            }
        }
        self.at = self.at.min(self.text.len());
        self.span(start, Within::Document);
    }

    fn redirection(&mut self) {
        if self.starts_with("<<<") {
            self.at += 3;
        } else if self.starts_with("<<") {
            self.at += 2;
            let tabs = self.peek(0) == Some(b'-');
            self.at += usize::from(tabs);
            self.skip_blanks();
            let start = self.at;
            self.word(None);
            let quotes = |l: &u8| !matches!(l, b'\'' | b'"' | b'\\');
            let end = self.text[start..self.at].iter().copied().filter(quotes).collect();
            self.documents.push((end, tabs));
            return;
        } else if self.starts_with("<(") || self.starts_with(">(") {
            self.nested(2, b')');
            return;
        } else {
            let start = self.at;
            while matches!(self.peek(0), Some(b'<' | b'>' | b'&' | b'|')) {
                self.at += 1;
            }
            let writes = self.text[start..self.at].contains(&b'>');
            // `2>&1` joins two streams.
            let joins = self.text[..self.at].ends_with(b">&");
            self.skip_blanks();
            let target = self.at;
            self.word(None);
            let is_stream = self.text[target..self.at].iter().all(|l| l.is_ascii_digit() || *l == b'-');
            if writes && !(joins && is_stream) {
                self.written.push(target..self.at);
            }
            return;
        }
        self.skip_blanks();
        self.word(None);
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(0), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// One word, with the commands that stand in it.
    fn word(&mut self, until: Option<u8>) {
        while let Some(letter) = self.peek(0) {
            match letter {
                l if Some(l) == until => return,
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'|' | b'&' | b'(' | b')' | b'<' | b'>' => return,
                b'\\' => self.at += 2,
                b'\'' => self.single_quoted(),
                b'"' => self.double_quoted(),
                b'$' => self.dollar(),
                b'`' => self.nested(1, b'`'),
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.text.len());
    }

    /// What was read since `start`.
    fn span(&mut self, start: usize, within: Within) {
        self.spans.push((start..self.at, within));
    }

    fn single_quoted(&mut self) {
        let start = self.at;
        self.at += 1;
        while self.peek(0).is_some_and(|l| l != b'\'') {
            self.at += 1;
        }
        self.at = (self.at + 1).min(self.text.len());
        self.span(start, Within::Single);
    }

    fn double_quoted(&mut self) {
        let start = self.at;
        self.at += 1;
        while let Some(letter) = self.peek(0) {
            match letter {
                b'"' => break,
                b'\\' => self.at += 2,
                b'$' => self.dollar(),
                b'`' => self.nested(1, b'`'),
                _ => self.at += 1,
            }
        }
        self.at = (self.at + 1).min(self.text.len());
        self.span(start, Within::Double);
    }

    fn dollar(&mut self) {
        if self.starts_with("$((") {
            // Arithmetic holds no commands.
            while self.at < self.text.len() && !self.starts_with("))") {
                self.at += 1;
            }
            self.at = (self.at + 2).min(self.text.len());
        } else if self.starts_with("$(") {
            let start = self.at;
            self.nested(2, b')');
            self.span(start, Within::Words);
        } else if self.starts_with("${") {
            while self.peek(0).is_some_and(|l| l != b'}') {
                self.at += 1;
            }
        } else {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<&str>> {
        commands(text).iter().map(|c| c.words.iter().map(|w| &text[w.clone()]).collect()).collect()
    }

    #[test]
    fn pipes_lists_and_lines_hold_commands() {
        assert_eq!(
            words("a b | c && d; e || f & g\nh \\\n i"),
            [vec!["a", "b"], vec!["c"], vec!["d"], vec!["e"], vec!["f"], vec!["g"], vec!["h", "i"]]
        );
    }

    #[test]
    fn substitutions_are_commands_also_within_quotes() {
        assert_eq!(
            words("a \"x $(b 'c d') y\" `e f`"),
            [vec!["b", "'c d'"], vec!["e", "f"], vec!["a", "\"x $(b 'c d') y\"", "`e f`"]]
        );
        assert_eq!(words("(a; b) | c <(d)"), [vec!["a"], vec!["b"], vec!["d"], vec!["c"]]);
        assert_eq!(words("a $((1 + 2)) ${x:-kubectl get}"), [vec!["a", "$((1 + 2))", "${x:-kubectl get}"]]);
    }

    #[test]
    fn quotes_comments_and_here_documents_are_data() {
        assert_eq!(words("a 'b | c' \"d; e\" # f | g\nh"), [vec!["a", "'b | c'", "\"d; e\""], vec!["h"]]);
        assert_eq!(words("a - <<'EOF'\nkubectl get; x\nEOF\nb"), [vec!["a", "-"], vec!["b"]]);
        assert_eq!(words("a <<-X | b\n\tkubectl\n\tX\nc"), [vec!["a"], vec!["b"], vec!["c"]]);
        assert_eq!(words("a <<<'x | y' 2>&1 >/dev/null &>z"), [vec!["a"]]);
    }

    #[test]
    fn what_is_broken_ends_all_the_same() {
        for text in ["'", "\"", "$(", "`", "a )b", "<<", "a \\", "${", "$((", "<<'", "((", "a <<E\nb"] {
            commands(text);
        }
    }
}
