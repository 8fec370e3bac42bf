//! Colour, wrapping and indentation of the text report.

use owo_colors::{OwoColorize, Style};

use crate::term::{sanitize, sanitize_lines};

/// Columns of the longest mark below which text is aligned.
const MARK: usize = 6;

/// Text that is built line by line.
pub(crate) struct Page {
    text: String,
    color: bool,
    /// Columns; `None`: nothing is wrapped.
    width: Option<usize>,
}

impl Page {
    pub(crate) fn new(color: bool, width: Option<usize>) -> Self {
        Self { text: String::new(), color, width }
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// One line of parts with styles, not wrapped; parts must be escaped already or ours.
    pub(crate) fn line(&mut self, indent: usize, parts: &[(&str, Style)]) {
        self.text.push_str(&" ".repeat(indent));
        for (part, style) in parts {
            let painted = self.paint(part, *style);
            self.text.push_str(&painted);
        }
        self.text.push('\n');
    }

    /// `number`, a tag in a colour of its own, and text from anywhere, wrapped below the tag; the branches of a tree go
    /// on beside it.
    pub(crate) fn tagged(&mut self, number: &str, tag: &str, style: Style, text: &str) {
        let hang: String = number.chars().map(|c| if matches!(c, '│' | '├') { '│' } else { ' ' }).collect();
        let lines = self.wrap(format!("{tag} {}", sanitize(text)).trim_end(), textwrap::core::display_width(number));
        for (at, line) in lines.iter().enumerate() {
            let line = match line.strip_prefix(tag).filter(|_| at == 0) {
                Some(rest) => format!("{number}{}{rest}", self.paint(tag, style)),
                None => format!("{hang}{line}"),
            };
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    /// A row of a list: what stands first, with styles of its own, and text from anywhere that is wrapped behind it.
    pub(super) fn row(&mut self, indent: usize, lead: &[(&str, Style)], text: &str, style: Style) {
        let hang = indent + lead.iter().map(|(part, _)| textwrap::core::display_width(part)).sum::<usize>();
        for (at, line) in self.wrap(&sanitize(text), hang).iter().enumerate() {
            if at == 0 {
                self.text.push_str(&" ".repeat(indent));
                for (part, of) in lead {
                    let painted = self.paint(part, *of);
                    self.text.push_str(&painted);
                }
            } else {
                self.text.push_str(&" ".repeat(hang));
            }
            let painted = self.paint(line, style);
            self.text.push_str(&painted);
            self.text.push('\n');
        }
    }

    /// A paragraph of text from anywhere, escaped and wrapped; `first` stands before its first line. Below a word of some
    /// length the text begins further left: a narrow column is hard to read.
    pub(crate) fn paragraph(&mut self, indent: usize, first: &str, text: &str, style: Style) {
        let mark = textwrap::core::display_width(first);
        let text = sanitize(text);
        let (hang, lines) = match mark {
            0..=MARK => (indent + mark, self.wrap(&text, indent + mark)),
            _ => (indent + 2, self.wrap_after(mark, &text, indent)),
        };
        for (at, line) in lines.iter().enumerate() {
            if at == 0 {
                self.text.push_str(&" ".repeat(indent));
                self.text.push_str(first);
            } else {
                self.text.push_str(&" ".repeat(hang));
            }
            let painted = self.paint(line, style);
            self.text.push_str(&painted);
            self.text.push('\n');
        }
    }

    /// Lines as they are, escaped and indented, cut to `max` lines.
    pub(crate) fn verbatim(&mut self, indent: usize, text: &str, style: Style, max: usize) {
        let text = sanitize_lines(text);
        let lines: Vec<&str> = text.lines().collect();
        for line in lines.iter().take(max) {
            for part in self.wrap(line, indent) {
                let painted = self.paint(&part, style);
                self.text.push_str(&" ".repeat(indent));
                self.text.push_str(&painted);
                self.text.push('\n');
            }
        }
        if lines.len() > max {
            let more = format!("… {} more lines", lines.len() - max);
            self.line(indent, &[(&more, style)]);
        }
    }

    /// An excerpt of a file, escaped and indented; never wrapped, because a broken line would be another file.
    pub(crate) fn excerpt(&mut self, indent: usize, text: &str, style: Style) {
        for line in sanitize_lines(text).lines() {
            self.line(indent, &[(line, style)]);
        }
    }

    /// A command, ready to be copied: a long one is continued with backslashes. One whose lines belong together starts at
    /// the margin, because an indented end of a here-document would not end it.
    pub(crate) fn command(&mut self, indent: usize, command: &str, style: Style) {
        if command.is_empty() {
            return;
        }
        let command = sanitize_lines(command);
        let (indent, lines) = if command.contains("<<") || !command.lines().all(is_whole) {
            (0, command.lines().map(str::to_owned).collect())
        } else {
            (indent, command.lines().flat_map(|line| self.continued(line, indent)).collect::<Vec<_>>())
        };
        for line in lines {
            let painted = self.paint(&line, style);
            self.text.push_str(&" ".repeat(indent));
            self.text.push_str(&painted);
            self.text.push('\n');
        }
    }

    fn wrap(&self, text: &str, indent: usize) -> Vec<String> {
        let Some(width) = self.width else { return vec![text.to_owned()] };
        let lines: Vec<String> =
            textwrap::wrap(text, wrapping(width, indent)).into_iter().map(|l| l.into_owned()).collect();
        if lines.is_empty() { vec![String::new()] } else { lines }
    }

    /// Wraps text whose first line begins after `mark` columns, and the others after two.
    fn wrap_after(&self, mark: usize, text: &str, indent: usize) -> Vec<String> {
        let Some(width) = self.width else { return vec![text.to_owned()] };
        let place = "x".repeat(mark);
        let options = wrapping(width, indent).subsequent_indent("  ");
        let whole = format!("{place}{text}");
        let lines = textwrap::wrap(&whole, options).into_iter().enumerate();
        lines.map(|(at, l)| l[if at == 0 { mark } else { 2 }..].to_owned()).collect()
    }

    /// Breaks a command before words, with a backslash; a word (quoted text included) is never broken.
    fn continued(&self, command: &str, indent: usize) -> Vec<String> {
        let Some(width) = self.width else { return vec![command.to_owned()] };
        let width = width.saturating_sub(indent).max(20);
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in words(command) {
            let long = textwrap::core::display_width(&line) + textwrap::core::display_width(word) + 3 > width;
            if long && !line.trim().is_empty() {
                lines.push(format!("{line} \\"));
                line = "  ".to_owned();
            }
            if !line.is_empty() && !line.ends_with(' ') {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
        lines
    }

    pub(crate) fn paint(&self, text: &str, style: Style) -> String {
        if self.color && !text.is_empty() { text.style(style).to_string() } else { text.to_owned() }
    }
}

/// Names are copied from here: they are never broken at their hyphens.
fn wrapping<'o>(width: usize, indent: usize) -> textwrap::Options<'o> {
    textwrap::Options::new(width.saturating_sub(indent).max(20))
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
        .break_words(false)
}

/// A command of its own: no quote and no continuation leads into the next line.
fn is_whole(line: &str) -> bool {
    let mut quote = None;
    let mut escaped = false;
    for letter in line.chars() {
        match (quote, letter) {
            _ if escaped => escaped = false,
            (Some('"') | None, '\\') => escaped = true,
            (Some(open), l) if l == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            _ => {}
        }
    }
    quote.is_none() && !escaped
}

/// Splits a command at spaces outside quotes, keeping the quotes; a flag is kept with the value that follows it, a redirection
/// with its file.
fn words(command: &str) -> Vec<&str> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let mut start = 0;
    let mut quote = None;
    let mut escaped = false;
    for (at, letter) in command.char_indices() {
        match (quote, letter) {
            _ if escaped => escaped = false,
            (Some('"') | None, '\\') => escaped = true,
            (Some(open), l) if l == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, ' ') => {
                spans.push((start, at));
                start = at + 1;
            }
            _ => {}
        }
    }
    spans.push((start, command.len()));
    spans.retain(|(start, end)| start < end);
    let is_flag = |(start, end): (usize, usize)| {
        let word = &command[start..end];
        word.starts_with('-') && !word.contains('=') || matches!(word, ">" | ">>" | "<")
    };
    let mut units: Vec<(usize, usize)> = Vec::new();
    let mut after_flag = false;
    for span in spans {
        match units.last_mut() {
            Some(last) if after_flag && !command[span.0..span.1].starts_with('-') => last.1 = span.1,
            _ => units.push(span),
        }
        after_flag = is_flag(span);
    }
    units.into_iter().map(|(start, end)| &command[start..end]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_go_on_beside_a_line_that_is_wrapped() {
        let mut page = Page::new(false, Some(30));
        page.tagged("   │  ├─ ", "check", Style::new(), "Service monitoring/alertmanager");
        page.tagged("   └─ ", "check", Style::new(), "Service monitoring/prometheus-stack");
        let (first, last) = (
            "   │  ├─ check Service\n   │  │  monitoring/alertmanager\n",
            "   └─ check Service\n      monitoring/prometheus-stack\n",
        );
        assert_eq!(page.finish(), format!("{first}{last}"));
    }

    #[test]
    fn a_long_command_is_continued_and_stays_the_same_command() {
        let command = "aws eks create-addon --cluster-name shop --addon-name aws-ebs-csi-driver --tags 'a b=c d' --region eu-west-1";
        let mut page = Page::new(false, Some(60));
        page.command(4, command, Style::new());
        let text = page.finish();
        assert!(text.lines().all(|l| l.len() <= 60), "{text}");
        assert!(text.lines().count() > 1);
        let joined = text.replace("\\\n", "");
        assert_eq!(shlex::split(&joined), shlex::split(command));
    }

    #[test]
    fn a_here_document_starts_at_the_margin() {
        let mut page = Page::new(false, Some(60));
        page.command(4, "kubectl apply -f - <<'EOF'\na: 1\nEOF", Style::new());
        assert_eq!(page.finish(), "kubectl apply -f - <<'EOF'\na: 1\nEOF\n");
    }

    #[test]
    fn several_commands_are_indented_and_the_lines_of_one_are_not() {
        let mut page = Page::new(false, Some(60));
        page.command(4, "kubectl get a\nkubectl get b", Style::new());
        page.command(4, "sh -c 'a\nb'", Style::new());
        assert_eq!(page.finish(), "    kubectl get a\n    kubectl get b\nsh -c 'a\nb'\n");
    }

    #[test]
    fn text_after_a_long_word_uses_the_width() {
        let mut page = Page::new(false, Some(30));
        page.paragraph(2, "service-no-endpoints: ", "Service monitoring/prometheus, monitoring/grafana", Style::new());
        page.paragraph(2, "· ", "one two three four five six seven", Style::new());
        let expected = "  service-no-endpoints: Service\n    monitoring/prometheus,\n    monitoring/grafana\n  · one two three four five\n    six seven\n";
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn text_from_outside_cannot_move_the_cursor() {
        let mut page = Page::new(false, None);
        page.paragraph(2, "- ", "evil\u{1b}[2J\nname", Style::new());
        assert_eq!(page.finish(), "  - evil\\u{1b}[2J\\nname\n");
    }
}
