//! Takes a page apart.
//!
//! A page is front matter, prose for people, and the templates of its fixes. `## Fix`, `## Verify` and `## Rollback` hold
//! sections `### Title {#variant}` (or none: for every variant). In them a paragraph followed by a fenced block is one step:
//! the paragraph says what and why, the block is the command, its info string `<language> [risk] [edit]`. A block quote is a
//! note without a command. `#### Title` begins one of several ways to choose from. A line `{% include "name" %}` stands for
//! the text of `checks/_shared/name.md`.
//!
//! The fixes of a page that is a folder are files of their own, `<variant>.md`: `### Title` with the steps, then
//! `### Verify` and `### Rollback` where they have their own.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};

/// A page, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// `key: value` lines of the front matter.
    pub front: Vec<(String, String)>,
    /// The page after the front matter, with what it includes.
    pub body: String,
    pub(super) sections: Vec<Section>,
}

/// What stands below one heading.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Section {
    /// The heading of the second level that it belongs to.
    pub(super) heading: String,
    pub(super) title: String,
    /// Empty: for every variant.
    pub(super) variant: String,
    pub(super) blocks: Vec<Block>,
    pub(super) options: Vec<Choice>,
}

/// One of several ways, with its steps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Choice {
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
}

/// One step as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) text: String,
    /// The info string of the fence, or [`NOTE`].
    pub(super) info: String,
    pub(super) code: String,
}

/// The info string of a step without a fence.
pub(super) const NOTE: &str = "note";

impl Page {
    /// Takes apart a page and the files of its fixes (name and text), with `shared` for what they include.
    ///
    /// # Errors
    /// Something that is included is not there.
    pub fn load(page: &str, fixes: &[(&str, &str)], shared: fn(&str) -> Option<&'static str>) -> Result<Self, String> {
        let (front, body) = match page.strip_prefix("---\n").and_then(|s| s.split_once("\n---\n")) {
            Some((front, body)) => (front, body),
            None => ("", page),
        };
        let front = front.lines().filter_map(|l| l.split_once(':'));
        let front = front.map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())).collect();
        let body = included(body, shared, 0)?;
        let mut sections = sections(&body, None);
        for (variant, text) in fixes {
            sections.extend(self::sections(&included(text, shared, 0)?, Some(variant)));
        }
        Ok(Self { front, body, sections })
    }

    /// A value of the front matter.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.front.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_str())
    }

    /// Headings of the second level.
    pub fn headings(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.sections.iter().map(|s| s.heading.as_str()).collect();
        all.dedup();
        all
    }

    /// Variants of the fix.
    pub fn variants(&self) -> Vec<&str> {
        let fixes = self.sections.iter().filter(|s| s.heading == "Fix" && !s.variant.is_empty());
        fixes.map(|s| s.variant.as_str()).collect()
    }

    /// The sections below a heading that apply to a variant.
    pub(super) fn of<'a>(&'a self, heading: &'a str, variant: &'a str) -> impl Iterator<Item = &'a Section> {
        let applies = move |s: &&Section| s.variant.is_empty() || s.variant == variant;
        self.sections.iter().filter(move |s| s.heading == heading).filter(applies)
    }
}

/// The text with what it includes.
fn included(text: &str, shared: fn(&str) -> Option<&'static str>, depth: usize) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let name = line.trim().strip_prefix("{% include \"").and_then(|l| l.strip_suffix("\" %}"));
        match name {
            Some(name) if depth > 4 => return Err(format!("{name:?} includes itself")),
            Some(name) => {
                let text = shared(name).ok_or_else(|| format!("there is no checks/_shared/{name}.md"))?;
                out.push_str(&included(text, shared, depth + 1)?);
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    Ok(out)
}

/// The sections of a page, or of the file of one fix.
fn sections(body: &str, fix: Option<&str>) -> Vec<Section> {
    let mut reader = Reader { fix, ..Reader::default() };
    let mut events = Parser::new(body).into_offset_iter();
    while let Some((event, range)) = events.next() {
        let Event::Start(tag) = event else { continue };
        let mut code = String::new();
        // To the end of this block; templates are read from the source, so that no sign in them is taken for markup.
        let mut depth = 1;
        let end = tag.to_end();
        while depth > 0 {
            match events.next() {
                Some((Event::Start(inner), _)) if inner.to_end() == end => depth += 1,
                Some((Event::End(inner), _)) if inner == end => depth -= 1,
                Some((Event::Text(text), _)) if end == TagEnd::CodeBlock => code.push_str(&text),
                Some(_) => {}
                None => break,
            }
        }
        reader.block(&tag, body, range, code);
    }
    reader.sections
}

#[derive(Default)]
struct Reader<'a> {
    fix: Option<&'a str>,
    sections: Vec<Section>,
    /// The paragraph before the next fence.
    text: String,
}

impl Reader<'_> {
    fn block(&mut self, tag: &Tag<'_>, body: &str, range: Range<usize>, code: String) {
        let source = &body[range];
        match tag {
            Tag::Heading { level, .. } => {
                self.text.clear();
                self.heading(*level, source.trim().trim_start_matches('#').trim());
            }
            Tag::CodeBlock(CodeBlockKind::Fenced(info)) => {
                let text = std::mem::take(&mut self.text);
                self.push(Block { text, info: info.trim().to_owned(), code });
            }
            Tag::BlockQuote(_) => {
                self.text.clear();
                let text = joined(source.lines().map(|l| l.trim_start().trim_start_matches('>')));
                self.push(Block { text, info: NOTE.to_owned(), code: String::new() });
            }
            _ => self.text = joined(source.lines()),
        }
    }

    fn heading(&mut self, level: HeadingLevel, text: &str) {
        if level == HeadingLevel::H4 {
            if let Some(section) = self.sections.last_mut() {
                section.options.push(Choice { title: text.to_owned(), blocks: Vec::new() });
            }
            return;
        }
        if level != HeadingLevel::H2 && level != HeadingLevel::H3 {
            return;
        }
        let section = match (self.fix, level) {
            (Some(variant), _) => {
                let own = matches!(text, "Verify" | "Rollback");
                let (heading, title) = if own { (text, "") } else { ("Fix", text) };
                Section { heading: heading.into(), title: title.into(), variant: variant.into(), ..Section::default() }
            }
            (None, HeadingLevel::H2) => Section { heading: text.to_owned(), ..Section::default() },
            (None, _) => {
                let heading = self.sections.last().map_or_else(String::new, |s| s.heading.clone());
                let (title, variant) = match text.split_once("{#") {
                    Some((title, variant)) => (title.trim(), variant.trim_end_matches('}').trim()),
                    None => (text, ""),
                };
                Section { heading, title: title.into(), variant: variant.into(), ..Section::default() }
            }
        };
        self.sections.push(section);
    }

    /// Where the next step goes.
    fn blocks(&mut self) -> Option<&mut Vec<Block>> {
        let section = self.sections.last_mut()?;
        Some(section.options.last_mut().map_or(&mut section.blocks, |o| &mut o.blocks))
    }

    fn push(&mut self, block: Block) {
        if let Some(blocks) = self.blocks() {
            blocks.push(block);
        }
    }
}

/// Lines as one.
fn joined<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(name: &str) -> Option<&'static str> {
        (name == "restart").then_some("Restart it.\n\n```sh disruptive\nrestart {{ pod }}\n```\n")
    }

    #[test]
    fn a_page_may_be_a_folder_whose_fixes_are_files() {
        let page = "---\nid: x\n---\n\n## Fix\n\n## Verify\n\nLook.\n\n```sh\nlook\n```\n";
        let fix = "### Raise it\n\nRaise.\n\n```sh change\nraise\n```\n\n{% include \"restart\" %}\n\n### Verify\n\nSee.\n\n```sh\nsee\n```\n";
        let page = Page::load(page, &[("raise", fix)], shared).expect("loads");
        assert_eq!(page.variants(), ["raise"]);
        let steps =
            |heading| page.of(heading, "raise").flat_map(|s| &s.blocks).map(|b| b.code.trim()).collect::<Vec<_>>();
        assert_eq!(steps("Fix"), ["raise", "restart {{ pod }}"]);
        assert_eq!(steps("Verify"), ["look", "see"]);
    }

    #[test]
    fn what_is_included_must_be_there_and_must_end() {
        let missing = Page::load("{% include \"nothing\" %}", &[], shared);
        assert_eq!(missing.expect_err("no such page"), "there is no checks/_shared/nothing.md");
        let endless = Page::load("{% include \"x\" %}", &[], |_| Some("{% include \"x\" %}"));
        assert_eq!(endless.expect_err("a circle"), "\"x\" includes itself");
    }

    #[test]
    fn options_begin_at_the_fourth_level() {
        let page = "## Fix\n\n### Do {#do}\n\nFirst.\n\n```sh\nfirst\n```\n\n#### One\n\nA.\n\n```sh\na\n```\n\n#### Two\n\n> B.\n";
        let page = Page::load(page, &[], shared).expect("loads");
        let section = page.of("Fix", "do").find(|s| s.variant == "do").expect("is there");
        assert_eq!(section.blocks.len(), 1);
        let titles: Vec<_> = section.options.iter().map(|o| (o.title.as_str(), o.blocks.len())).collect();
        assert_eq!(titles, [("One", 1), ("Two", 1)]);
    }
}
