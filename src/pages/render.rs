//! Steps from the sections of a page and the values of a finding.

use std::collections::BTreeSet;

use super::parse::{Block, NOTE, Page, Section};
use super::{placeholders, template, writes_files};
use crate::model::{CheckId, FixOption, Params, Placeholder, Remediation, Risk, Step, StepKind};

/// What a step is made with.
struct Context<'a> {
    check: CheckId,
    params: &'a Params,
    open: &'a [Placeholder],
}

impl Page {
    /// The fix of one variant with these values.
    ///
    /// # Errors
    /// What is wrong with the page or the values: a bug of the check.
    pub fn remediation(&self, check: CheckId, variant: &str, params: &Params) -> Result<Remediation, String> {
        let fix = self.sections.iter().find(|s| s.heading == "Fix" && s.variant == variant);
        let fix = fix.ok_or_else(|| format!("the page has no fix {variant:?}"))?;
        let (params, open) = placeholders::resolved(params);
        let with = Context { check, params: &params, open: &open };
        let plain = |heading| with.steps(self.of(heading, variant).flat_map(|s| &s.blocks));
        let mut steps = plain("Fix")?;
        let mut options = Vec::new();
        for option in self.of("Fix", variant).flat_map(|s| &s.options) {
            let made = FixOption { title: with.line(&option.title)?, steps: with.steps(&option.blocks)? };
            if !made.steps.is_empty() {
                options.push(made);
            }
        }
        // What is the only way is no choice.
        if options.len() == 1 {
            steps.extend(options.pop().map(|o| o.steps).unwrap_or_default());
        }
        Ok(Remediation {
            title: with.line(&fix.title)?,
            steps,
            options,
            verify: plain("Verify")?,
            rollback: plain("Rollback")?,
        })
    }

    /// The values that the templates of one variant name.
    ///
    /// # Errors
    /// A template that cannot be read.
    pub fn variables(&self, variant: &str) -> Result<BTreeSet<String>, String> {
        let mut all = BTreeSet::new();
        let headings = ["Fix", "Verify", "Rollback"];
        for section in headings.into_iter().flat_map(|h| self.of(h, variant)) {
            let titles = std::iter::once(&section.title).chain(section.options.iter().map(|o| &o.title));
            let parts = blocks(section).flat_map(|b| [&b.text, &b.code]);
            for source in titles.chain(parts) {
                all.extend(template::variables(source)?);
            }
        }
        Ok(all)
    }

    /// The shell templates of all fixes.
    pub fn shell_templates(&self) -> Vec<&str> {
        let is_shell = |b: &&Block| b.info != NOTE && matches!(b.language(), "sh");
        self.sections.iter().flat_map(blocks).filter(is_shell).map(|b| b.code.as_str()).collect()
    }

    /// The templates of steps that no words go before: nobody is told what they are for.
    pub fn wordless_templates(&self) -> Vec<&str> {
        let is_wordless = |b: &&Block| b.info != NOTE && b.text.trim().is_empty();
        self.sections.iter().flat_map(blocks).filter(is_wordless).map(|b| b.code.as_str()).collect()
    }

    /// The templates of manifests and parts of files of all fixes, whose values the engine quotes.
    pub fn manifest_templates(&self) -> Vec<&str> {
        let is_manifest = |b: &&Block| b.info != NOTE && matches!(b.language(), "yaml" | "json");
        self.sections.iter().flat_map(blocks).filter(is_manifest).map(|b| b.code.as_str()).collect()
    }
}

/// All steps of a section, those of its options too.
fn blocks(section: &Section) -> impl Iterator<Item = &Block> {
    section.blocks.iter().chain(section.options.iter().flat_map(|o| &o.blocks))
}

/// What is quoted at the end of a sentence may have a full stop of its own: one is enough.
pub(super) fn one_stop(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("..") {
        out.push_str(before);
        let ends_word = before.ends_with(|c: char| !c.is_whitespace() && !".`/".contains(c));
        let ends = after.is_empty() || after.starts_with(char::is_whitespace);
        out.push_str(if ends_word && ends { "." } else { ".." });
        rest = after;
    }
    out.push_str(rest);
    // Between two sentences one may be left out.
    out.replace("…. ", "… ").replace(".  ", ". ")
}

impl Context<'_> {
    fn line(&self, source: &str) -> Result<String, String> {
        Ok(one_stop(template::text(source, self.params)?.trim()))
    }

    /// The steps that are left of these blocks: one whose command renders to nothing is none.
    fn steps<'a>(&self, blocks: impl IntoIterator<Item = &'a Block>) -> Result<Vec<Step>, String> {
        let mut steps: Vec<Step> = Vec::new();
        // Notes that stand together are one.
        let mut joins = false;
        for block in blocks {
            let is_note = block.info == NOTE;
            match (self.step(block)?, steps.last_mut()) {
                (Some(note), Some(last)) if is_note && joins && last.kind == StepKind::Note => {
                    last.text.push(' ');
                    last.text.push_str(&note.text);
                }
                (step, _) => steps.extend(step),
            }
            joins = is_note;
        }
        Ok(steps)
    }

    fn step(&self, block: &Block) -> Result<Option<Step>, String> {
        // The text of a step that is left out may name what is not there.
        let step = |kind, risk, command: String| -> Result<Step, String> {
            let placeholders = placeholders::of_step(&command, &block.code, self.open);
            let text = self.line(&block.text)?;
            let keeps = kind == StepKind::Command && risk == Risk::ReadOnly && writes_files(&command);
            Ok(Step { kind, risk, text, command, keeps, of: self.check, placeholders })
        };
        if block.info == NOTE {
            let note = step(StepKind::Note, Risk::ReadOnly, String::new())?;
            return Ok(Some(note).filter(|n| !n.text.is_empty()));
        }
        let (risk, edit) = block.risk()?;
        let render = match (block.language(), edit) {
            // Lines of a file as they are: nobody runs them.
            ("text", true) => template::text,
            ("yaml", _) => template::yaml,
            ("json", _) => template::json,
            _ => template::shell,
        };
        let code = render(&block.code, self.params)?;
        let code = code.trim_end();
        if code.trim().is_empty() {
            return Ok(None);
        }
        let (kind, command) = match (block.language(), edit) {
            (_, true) => (StepKind::Edit, code.to_owned()),
            ("yaml", false) => (StepKind::Manifest, format!("kubectl apply -f - <<'EOF'\n{code}\nEOF")),
            _ => (StepKind::Command, code.to_owned()),
        };
        let risk = if kind == StepKind::Edit && risk == Risk::ReadOnly { Risk::Change } else { risk };
        step(kind, risk, command).map(Some)
    }
}

impl Block {
    fn language(&self) -> &str {
        self.info.split_whitespace().next().unwrap_or("sh")
    }

    /// What it changes, and whether it is an excerpt of a file.
    fn risk(&self) -> Result<(Risk, bool), String> {
        let (mut risk, mut edit) = (Risk::ReadOnly, false);
        for word in self.info.split_whitespace().skip(1) {
            match Risk::parse(word) {
                Some(found) => risk = found,
                None if word == "edit" => edit = true,
                None => return Err(format!("unknown word {word:?} in a block's info string")),
            }
        }
        Ok((risk, edit))
    }
}

/// A read-only command from its template.
///
/// # Errors
/// What is wrong with the template or the values: a bug of the check.
pub fn command(source: &str, params: &Params) -> Result<String, String> {
    let (params, _) = placeholders::resolved(params);
    Ok(template::shell(source, &params)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "---\nid: x\nseverity: error\n---\n\n## Symptom\n\nText.\n\n## Fix\n\n### Do it {#do}\n\nLost.\n\nMake\n`{{ name }}`.\n\n```sh change\nmake {{ name }}\n```\n\n```sh\n{% if no %}never{% endif %}\n```\n\n> Mind {{ name }}.\n> And more.\n\n```yaml change\nname: {{ name }}\n```\n\n## Verify\n\nLook.\n\n```sh\nget {{ name }}\n```\n";
    const OPTIONS: &str = "## Fix\n\n### Do it {#do}\n\nFirst.\n\n```sh\nfirst\n```\n\n#### Once\n\nOne.\n\n```sh\n{% if one %}one{% endif %}\n```\n\n#### Twice\n\nTwo.\n\n```sh\n{% if two %}two {{ role }}{% endif %}\n```\n";

    fn fix(page: &str, set: impl FnOnce(&mut Params)) -> Remediation {
        let mut params = Params::default();
        set(&mut params);
        let page = Page::load(page, &[], |_| None).expect("loads");
        page.remediation(CheckId("x"), "do", &params).expect("renders")
    }

    fn commands(steps: &[Step]) -> Vec<&str> {
        steps.iter().map(|s| s.command.as_str()).collect()
    }

    #[test]
    fn a_quoted_sentence_needs_no_second_stop() {
        assert_eq!(
            one_stop("What was said: request timed out.. The limit is theirs."),
            "What was said: request timed out. The limit is theirs."
        );
        for as_it_is in
            ["and so on... And", "cut off…, and more", "up with `cd ..`", "the folder ../x, or a/.. too", "one."]
        {
            assert_eq!(one_stop(as_it_is), as_it_is);
        }
    }

    #[test]
    fn steps_carry_their_paragraph_risk_and_quoted_values() {
        let fix = fix(PAGE, |params| {
            params.set("name", "a b");
            params.set("no", false);
        });
        assert_eq!(fix.title, "Do it");
        assert_eq!(fix.steps.len(), 3, "{:?}", fix.steps);
        assert_eq!((fix.steps[0].text.as_str(), fix.steps[0].command.as_str()), ("Make `a b`.", "make 'a b'"));
        assert_eq!((fix.steps[0].risk, fix.steps[0].of), (Risk::Change, CheckId("x")));
        assert_eq!(fix.steps[1].text, "Mind a b. And more.");
        assert_eq!(fix.steps[2].command, "kubectl apply -f - <<'EOF'\nname: \"a b\"\nEOF");
        assert_eq!(fix.verify[0].command, "get 'a b'");
    }

    #[test]
    fn options_without_steps_vanish_and_the_only_one_left_is_no_choice() {
        let made = |one: bool, two: bool| {
            fix(OPTIONS, |params| {
                params.set("one", one);
                params.set("two", two);
                params.set("role", "r");
            })
        };
        let both = made(true, true);
        assert_eq!(commands(&both.steps), ["first"]);
        let titles: Vec<_> = both.options.iter().map(|o| (o.title.as_str(), commands(&o.steps))).collect();
        assert_eq!(titles, [("Once", vec!["one"]), ("Twice", vec!["two r"])]);
        let one = made(false, true);
        assert_eq!((commands(&one.steps), one.options.len()), (vec!["first", "two r"], 0));
        assert_eq!(commands(&made(false, false).steps), ["first"]);
    }

    #[test]
    fn an_open_placeholder_is_quoted_and_listed_and_a_known_one_is_filled_in() {
        let with = |role: Placeholder| {
            fix(OPTIONS, |params| {
                params.set("one", false);
                params.set("two", true);
                params.set("role", role);
            })
        };
        let role = Placeholder::new("role-name").candidates(["a", "b"]);
        let open = with(role.clone());
        assert_eq!(open.steps[1].command, "two '<role-name>'");
        assert_eq!(open.steps[1].placeholders, [role]);
        assert!(open.steps[0].placeholders.is_empty());
        let known = with(Placeholder::known("role-name", "a"));
        assert_eq!((known.steps[1].command.as_str(), known.steps[1].placeholders.len()), ("two a", 0));
    }

    #[test]
    fn variables_are_those_of_texts_and_commands() {
        let page = Page::load(OPTIONS, &[], |_| None).expect("loads");
        let names = page.variables("do").expect("reads");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["one", "role", "two"]);
    }
}
