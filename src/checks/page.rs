//! A check's page: front matter, prose for people, and the templates of its fixes.
//!
//! `## Fix`, `## Verify` and `## Rollback` hold sections `### Title {#variant}` (or none: for every variant). In them a
//! paragraph followed by a fenced block is one step: the paragraph says what and why, the block is the command. The
//! block's info string is `<language> [risk] [edit]`: `sh change`, `sh destructive`, `yaml change` (a manifest, applied),
//! `yaml edit` (an excerpt of a file to change), `text edit` (the same, its values not quoted). A block quote is a note without a command. A block that renders to
//! nothing is left out, so templates may be conditional.

use super::template;
use crate::model::{Params, Remediation, Risk, Step, StepKind};

/// A page, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<'a> {
    /// `key: value` lines of the front matter.
    pub front: Vec<(&'a str, &'a str)>,
    /// Everything after the front matter.
    pub body: &'a str,
    sections: Vec<Section<'a>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Section<'a> {
    heading: &'a str,
    title: &'a str,
    variant: &'a str,
    blocks: Vec<Block<'a>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Block<'a> {
    text: String,
    info: &'a str,
    code: String,
}

impl<'a> Page<'a> {
    /// Takes a page apart.
    pub fn parse(source: &'a str) -> Self {
        let (front, body) = match source.strip_prefix("---\n").and_then(|s| s.split_once("\n---\n")) {
            Some((front, body)) => (front, body),
            None => ("", source),
        };
        let front = front.lines().filter_map(|l| l.split_once(':')).map(|(k, v)| (k.trim(), v.trim())).collect();
        Self { front, body, sections: sections(body) }
    }

    /// A value of the front matter.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.front.iter().find(|(k, _)| *k == key).map(|(_, v)| *v)
    }

    /// Headings of the second level.
    pub fn headings(&self) -> Vec<&'a str> {
        self.body.lines().filter_map(|l| l.strip_prefix("## ")).map(str::trim).collect()
    }

    /// Variants of the fix.
    pub fn variants(&self) -> Vec<&'a str> {
        self.sections.iter().filter(|s| s.heading == "Fix" && !s.variant.is_empty()).map(|s| s.variant).collect()
    }

    /// The fix of one variant with these values.
    ///
    /// # Errors
    /// What is wrong with the page or the values: a bug of the check.
    pub fn remediation(&self, variant: &str, params: &Params) -> Result<Remediation, String> {
        let of = |heading: &str| -> Result<Vec<Step>, String> {
            let mut steps = Vec::new();
            for section in self.sections.iter().filter(|s| s.heading == heading) {
                if section.variant.is_empty() || section.variant == variant {
                    for block in &section.blocks {
                        steps.extend(block.render(params)?);
                    }
                }
            }
            Ok(steps)
        };
        let fix = self.sections.iter().find(|s| s.heading == "Fix" && s.variant == variant);
        let fix = fix.ok_or_else(|| format!("the page has no fix {variant:?}"))?;
        Ok(Remediation {
            title: template::text(fix.title, params)?,
            steps: of("Fix")?,
            verify: of("Verify")?,
            rollback: of("Rollback")?,
        })
    }
}

fn sections(body: &str) -> Vec<Section<'_>> {
    let mut all: Vec<Section<'_>> = Vec::new();
    let mut text = String::new();
    let mut code: Option<Block<'_>> = None;
    for line in body.lines() {
        if let Some(block) = &mut code {
            if line.trim_end() == "```" {
                let done = code.take().expect("inside the branch that holds it");
                if let Some(section) = all.last_mut() {
                    section.blocks.push(done);
                }
            } else {
                block.code.push_str(line);
                block.code.push('\n');
            }
            continue;
        }
        if let Some(heading) = line.strip_prefix("## ") {
            all.push(Section { heading: heading.trim(), title: "", variant: "", blocks: Vec::new() });
            text.clear();
        } else if let Some(title) = line.strip_prefix("### ") {
            let heading = all.last().map_or("", |s| s.heading);
            let (title, variant) = match title.split_once("{#") {
                Some((title, variant)) => (title.trim(), variant.trim_end_matches('}').trim()),
                None => (title.trim(), ""),
            };
            all.push(Section { heading, title, variant, blocks: Vec::new() });
            text.clear();
        } else if let Some(info) = line.strip_prefix("```") {
            code = Some(Block { text: std::mem::take(&mut text), info: info.trim(), code: String::new() });
        } else if let Some(note) = line.strip_prefix("> ") {
            if let Some(section) = all.last_mut() {
                match section.blocks.last_mut() {
                    Some(last) if last.info == "note" && text.is_empty() => {
                        last.text.push(' ');
                        last.text.push_str(note);
                    }
                    _ => section.blocks.push(Block { text: note.to_owned(), info: "note", code: String::new() }),
                }
            }
            text.clear();
        } else if line.trim().is_empty() {
            // A blank line ends a paragraph that no block follows; the last paragraph before a block is its text.
            if !text.is_empty() {
                text.push('\u{0}');
            }
        } else {
            if text.ends_with('\u{0}') {
                text.clear();
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(line.trim());
        }
    }
    all
}

impl Block<'_> {
    fn render(&self, params: &Params) -> Result<Option<Step>, String> {
        let text = template::text(self.text.trim_end_matches('\u{0}').trim(), params)?.trim().to_owned();
        if self.info == "note" {
            let step = Step { kind: StepKind::Note, risk: Risk::ReadOnly, text: text.clone(), command: String::new() };
            return Ok((!text.is_empty()).then_some(step));
        }
        let mut words = self.info.split_whitespace();
        let language = words.next().unwrap_or("sh");
        let mut risk = Risk::ReadOnly;
        let mut edit = false;
        for word in words {
            match Risk::parse(word) {
                Some(found) => risk = found,
                None if word == "edit" => edit = true,
                None => return Err(format!("unknown word {word:?} in a block's info string")),
            }
        }
        let render = match (language, edit) {
            // Lines of a file as they are: nobody runs them.
            ("text", true) => template::text,
            ("yaml", _) => template::yaml,
            ("json", _) => template::json,
            _ => template::shell,
        };
        let code = render(&self.code, params)?;
        let code = code.trim_end();
        if code.trim().is_empty() {
            return Ok(None);
        }
        let (kind, command) = match (language, edit) {
            (_, true) => (StepKind::Edit, code.to_owned()),
            ("yaml", false) => (StepKind::Manifest, format!("kubectl apply -f - <<'EOF'\n{code}\nEOF")),
            _ => (StepKind::Command, code.to_owned()),
        };
        let risk = if kind == StepKind::Edit && risk == Risk::ReadOnly { Risk::Change } else { risk };
        Ok(Some(Step { kind, risk, text, command }))
    }
}

/// A read-only command from its template.
///
/// # Errors
/// What is wrong with the template or the values: a bug of the check.
pub fn command(source: &str, params: &Params) -> Result<String, String> {
    Ok(template::shell(source, params)?.trim().to_owned())
}

/// The page for reading: templates shown as `<placeholders>`, markers of variants and conditions left out.
pub fn readable(body: &str) -> String {
    let mut out = String::new();
    for line in body.lines() {
        let mut line = line.to_owned();
        while let (Some(start), Some(end)) = (line.find("{%"), line.find("%}")) {
            if end < start {
                break;
            }
            line.replace_range(start..end + 2, "");
        }
        while let Some(start) = line.find("{{") {
            let Some(end) = line[start..].find("}}").map(|e| start + e) else { break };
            let expression = line[start + 2..end].trim().split(['|', ' ']).next().unwrap_or_default();
            let name = expression.rsplit('.').next().unwrap_or_default().replace('_', "-");
            line.replace_range(start..end + 2, &format!("<{name}>"));
        }
        if let Some(at) = line.starts_with('#').then(|| line.find("{#")).flatten() {
            line.truncate(at);
        }
        if let Some(info) = line.strip_prefix("```") {
            line = format!("```{}", info.split_whitespace().next().unwrap_or_default());
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "---\nid: x\nseverity: error\n---\n\n## Symptom\n\nText.\n\n## Fix\n\n### Do it {#do}\n\nLost.\n\nMake\n`{{ name }}`.\n\n```sh change\nmake {{ name }}\n```\n\n```sh\n{% if no %}never{% endif %}\n```\n\n> Mind {{ name }}.\n> And more.\n\n```yaml change\nname: {{ name }}\n```\n\n## Verify\n\nLook.\n\n```sh\nget {{ name }}\n```\n";

    #[test]
    fn steps_carry_their_paragraph_risk_and_quoted_values() {
        let page = Page::parse(PAGE);
        assert_eq!(page.get("severity"), Some("error"));
        let mut params = Params::default();
        params.set("name", "a b");
        params.set("no", false);
        let fix = page.remediation("do", &params).expect("renders");
        assert_eq!(fix.title, "Do it");
        assert_eq!(fix.steps.len(), 3, "{:?}", fix.steps);
        assert_eq!((fix.steps[0].text.as_str(), fix.steps[0].command.as_str()), ("Make `a b`.", "make 'a b'"));
        assert_eq!(fix.steps[0].risk, Risk::Change);
        assert_eq!(fix.steps[1].text, "Mind a b. And more.");
        assert_eq!(fix.steps[2].command, "kubectl apply -f - <<'EOF'\nname: \"a b\"\nEOF");
        assert_eq!(fix.verify[0].command, "get 'a b'");
        assert!(page.remediation("other", &params).is_err());
    }
}
