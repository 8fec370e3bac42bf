//! What changed since a report of before, for people.

use owo_colors::Style;

use super::{TableOptions, bold, dim, of, plain};
use crate::history::{Changes, PastFinding};
use crate::model::Severity;
use crate::render::layout::Page;

/// The new, the resolved and those out of sight, each in a line; of the unchanged their number.
pub fn changes_text(changes: &Changes, options: &TableOptions) -> String {
    let mut page = Page::new(options.color, options.width);
    page.blank();
    page.paragraph(0, "", &heading(changes), bold());
    let lists = [("+", "new", &changes.appeared), ("✓", "resolved", &changes.resolved)];
    for (mark, word, list) in lists {
        for finding in list {
            line(&mut page, mark, finding, word, "");
        }
    }
    for lost in &changes.out_of_sight {
        line(&mut page, "?", &lost.finding, "out of sight", &format!(" ({})", lost.why));
    }
    if options.verbose {
        for finding in &changes.unchanged {
            line(&mut page, "·", finding, "unchanged", "");
        }
    }
    page.finish()
}

/// `since 2026-11-21T02:54:00Z: 1 new, 2 resolved, 3 unchanged`.
pub(in crate::render) fn heading(changes: &Changes) -> String {
    let counts = [
        (changes.appeared.len(), "new"),
        (changes.resolved.len(), "resolved"),
        (changes.out_of_sight.len(), "out of sight"),
        (changes.unchanged.len(), "unchanged"),
    ];
    let told = counts.iter().filter(|(count, word)| *count > 0 || *word != "out of sight");
    let told: Vec<String> = told.map(|(count, word)| format!("{count} {word}")).collect();
    format!("since {}: {}", changes.old, told.join(", "))
}

fn line(page: &mut Page, mark: &str, finding: &PastFinding, word: &str, after: &str) {
    let style = match word {
        "new" => severity(&finding.severity).map_or_else(plain, of),
        "resolved" => Style::new().green(),
        _ => dim(),
    };
    let symptom = if finding.root { "" } else { "a symptom: " };
    let tag = format!("{word} {}[{}]", finding.severity, finding.check);
    page.tagged(
        &format!("  {mark} "),
        &crate::term::sanitize(&tag),
        style,
        &format!("{symptom}{}{after}", finding.message),
    );
}

/// The severity of that name.
pub fn severity(name: &str) -> Option<Severity> {
    [Severity::Error, Severity::Warning, Severity::Info].into_iter().find(|s| s.as_str() == name)
}
