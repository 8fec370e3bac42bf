//! A page for reading: prose as it stands, and each fix as it would be printed, with `<placeholders>` for its values.

use super::outline::{Values, alternatives, first};
use super::parse::{Block, NOTE, Page, Section};

/// Sections that are shown fix by fix.
const STEPS: [&str; 3] = ["Fix", "Verify", "Rollback"];

/// The page for reading, as Markdown.
pub fn readable(page: &Page) -> String {
    let mut out = String::new();
    let mut in_steps = false;
    for line in page.body.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            in_steps = STEPS.contains(&heading.trim());
            if heading.trim() == "Fix" {
                fixes(page, &mut out);
            }
            for (name, title) in [("Verify", "Verify"), ("Rollback", "Undo")] {
                if heading.trim() == name {
                    common(page, name, title, &mut out);
                }
            }
        }
        if !in_steps {
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out
}

/// Each fix with its own verification and its way back.
fn fixes(page: &Page, out: &mut String) {
    out.push_str("## Fix\n\n");
    for section in page.sections.iter().filter(|s| s.heading == "Fix") {
        if section.variant.is_empty() {
            steps(&section.blocks, out);
            continue;
        }
        out.push_str(&format!("### {}\n\n", first(&section.title)));
        whole(section, out);
        for (heading, title) in [("Verify", "Verify"), ("Rollback", "Undo")] {
            let own = page.sections.iter().filter(|s| s.heading == heading && s.variant == section.variant);
            for section in own.filter(|s| !s.blocks.is_empty()) {
                out.push_str(&format!("**{title}**\n\n"));
                whole(section, out);
            }
        }
    }
}

/// What is the same for all fixes.
fn common(page: &Page, heading: &str, title: &str, out: &mut String) {
    let mut sections = page.sections.iter().filter(|s| s.heading == heading && s.variant.is_empty());
    if sections.clone().any(|s| !s.blocks.is_empty()) {
        out.push_str(&format!("## {title}\n\n"));
        sections.by_ref().for_each(|s| whole(s, out));
    }
}

fn whole(section: &Section, out: &mut String) {
    steps(&section.blocks, out);
    for (letter, option) in ('a'..='z').zip(&section.options) {
        out.push_str(&format!("**{letter}) {}**\n\n", first(&option.title)));
        steps(&option.blocks, out);
    }
}

fn steps(blocks: &[Block], out: &mut String) {
    for block in blocks {
        if block.info == NOTE {
            for text in alternatives(&block.text, Values::Plain) {
                out.push_str(&format!("> {text}\n\n"));
            }
            continue;
        }
        let text = first(&block.text);
        if !text.is_empty() {
            out.push_str(&format!("{text}\n\n"));
        }
        let language = block.info.split_whitespace().next().unwrap_or_default();
        let values = if language == "sh" { Values::Quoted } else { Values::Plain };
        let codes = alternatives(&block.code, values).into_iter().map(|code| format!("```{language}\n{code}\n```\n\n"));
        out.push_str(&codes.collect::<Vec<_>>().join("or\n\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "---\nid: x\n---\n\n## Symptom\n\nIt is `{broken}`.\n\n## Fix\n\n### Do {{ it }} {#do}\n\nRestart.\n\n```sh disruptive\n{% if rolls %}kubectl rollout restart {{ target }}{% else %}kubectl delete pod {{ pod_name }}{% endif %}\n```\n\n## Verify\n\n### {#do}\n\nLook.\n\n```sh\nlook\n```\n\n## References\n\n- A book\n";

    #[test]
    fn branches_are_shown_as_what_they_are() {
        let page = Page::load(PAGE, &[], |_| None).expect("loads");
        let text = readable(&page);
        assert!(
            text.contains("kubectl rollout restart '<target>'\n```\n\nor\n\n```sh\nkubectl delete pod '<pod-name>'\n"),
            "{text}"
        );
        assert!(text.contains("### Do <it>\n") && text.contains("**Verify**\n\nLook."), "{text}");
        assert!(text.contains("It is `{broken}`.") && text.ends_with("## References\n\n- A book\n"), "{text}");
    }
}
