//! The report as Markdown, for a pull request, a chat or a postmortem: the overview, and the details to unfold.

pub(crate) mod escape;
mod why;

pub use why::why_markdown;

use escape::{code, fence, prose, text};

use super::table::heading;
use super::view::{Brief, Entry, First, OpenSignals, View};
use super::words;
use crate::history::{Changes, PastFinding};
use crate::model::{Finding, FixOption, Placeholder, Report, Risk, RootGroup, Signal, Step};

/// How to print.
#[derive(Debug, Clone, Copy, Default)]
pub struct MarkdownOptions {
    /// All evidence, every name, every check's outcome.
    pub verbose: bool,
    /// The overview alone.
    pub short: bool,
}

/// Steps of one list without all.
const STEPS: usize = 20;
/// Candidates of a placeholder without all.
const CANDIDATES: usize = 6;

/// The report as Markdown.
pub fn markdown(report: &Report, options: MarkdownOptions) -> String {
    let mut out = Out { text: String::new(), view: View { report, verbose: options.verbose } };
    out.verdict();
    if options.short || report.roots.len() > 1 {
        out.overview(options.short);
    }
    if options.short {
        out.open_titles();
        return out.text;
    }
    for (number, group) in out.view.roots().0 {
        out.root(number, group);
    }
    out.unexplained();
    out.notes();
    out.unseen();
    let counts = out.view.counts();
    out.paragraph(&text(&counts));
    out.text
}

/// What changed since a report of before.
pub fn changes_markdown(changes: &Changes) -> String {
    let mut out = format!("\n### {}\n\n", text(&heading(changes)));
    let line = |word: &str, finding: &PastFinding, after: &str| {
        let symptom = if finding.root { "" } else { "a symptom: " };
        let what = code(&format!("{}[{}]", finding.severity, finding.check));
        format!("- {word} {what} {}\n", text(&format!("{symptom}{}{after}", finding.message)))
    };
    out.extend(changes.appeared.iter().map(|f| line("new", f, "")));
    out.extend(changes.resolved.iter().map(|f| line("resolved", f, "")));
    out.extend(changes.out_of_sight.iter().map(|l| line("out of sight", &l.finding, &format!(" ({})", l.why))));
    out
}

struct Out<'a> {
    text: String,
    view: View<'a>,
}

impl Out<'_> {
    fn paragraph(&mut self, line: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn item(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A block of code. Lists would indent it, and an indented end of a here-document does not end it.
    fn block(&mut self, language: &str, body: &str) {
        if !body.trim().is_empty() {
            let fenced = fence(language, body);
            self.paragraph(&fenced);
        }
    }

    fn verdict(&mut self) {
        let verdict = self.view.verdict();
        self.paragraph(&format!("## {} {}", verdict.mark, text(&verdict.text)));
        self.paragraph(&text(&self.view.place().join(" · ")));
    }

    /// Each root cause in one line, with what to do first. `alone`: no details follow.
    fn overview(&mut self, alone: bool) {
        for entry in self.view.entries() {
            let Entry { number, severity, check, what, explains, first } = entry;
            let explains = if explains.is_empty() { String::new() } else { format!(" · {explains}") };
            self.paragraph(&format!(
                "**{number}. {severity}** {}: {}{}",
                code(&check.to_string()),
                prose(&what),
                text(&explains)
            ));
            if let Some(first) = first {
                self.first(&first, alone);
            }
        }
        for rest in self.view.roots().1 {
            let line = format!("{} more: {} (--verbose shows all)", rest.count, rest.names);
            self.paragraph(&format!("**+ {}** {}: {}", rest.severity, code(&rest.check.to_string()), text(&line)));
        }
    }

    fn first(&mut self, first: &First<'_>, alone: bool) {
        let step = first.step;
        if let Some(option) = first.option {
            self.paragraph(&format!("one way: {}", text(&option.title)));
        }
        if let Some(caution) = first.caution {
            self.paragraph(&prose(&words::line(caution)));
        }
        let warning = first.warning();
        if let Some((risk, what)) = &warning {
            self.paragraph(format!("**{}** {}", risk.as_str(), prose(what)).trim_end());
        }
        if let Some(purpose) = first.purpose() {
            self.paragraph(&prose(purpose));
        }
        if alone && step.kind.is_shell() {
            self.block("sh", &step.command);
            for placeholder in &step.placeholders {
                self.placeholder(placeholder);
            }
            return;
        }
        match first.brief() {
            Brief::Command(command, _) => self.block("sh", command),
            Brief::Text(_) if warning.is_some() => {}
            Brief::Text(line) => self.paragraph(&format!("→ {}", prose(&line))),
            Brief::Apply(what) => self.paragraph(&format!("→ {} (in full below)", prose(&what))),
        }
    }

    fn root(&mut self, number: usize, group: &RootGroup) {
        let report = self.view.report;
        let finding = &report.findings[group.root];
        self.paragraph(&format!("### {number}. {}: {}", finding.severity, code(&finding.check.to_string())));
        self.paragraph(&prose(&format!("{}{}", finding.message, self.view.accepted(finding))));
        for need in &group.prerequisites {
            let need = &report.findings[*need];
            self.paragraph(&format!("First needed: {} ({})", text(&need.message), code(&need.check.to_string())));
        }
        self.evidence(finding);
        self.victims(number - 1, group);
        self.changed(finding);
        self.fix(group);
    }

    fn open_details(&mut self, summary: &str) {
        self.paragraph(&format!("<details><summary>{summary}</summary>"));
    }

    fn close_details(&mut self) {
        self.paragraph("</details>");
    }

    fn evidence(&mut self, finding: &Finding) {
        let (seen, more) = self.view.evidence(finding);
        if seen.is_empty() {
            return;
        }
        self.open_details("Why");
        let about = self.view.names(&finding.subjects);
        self.paragraph(&format!("About {}.", text(&about)));
        for one in seen {
            self.paragraph(&format!("**{}**", text(one.source)));
            self.block("text", &one.value);
            self.block("sh", one.reproduce);
        }
        if more > 0 {
            self.paragraph(&format!("{more} more with --verbose"));
        }
        if let Some(without) = self.view.judged_without(finding) {
            self.paragraph(&text(&without));
        }
        self.close_details();
    }

    /// What it explains, and where it shows.
    fn victims(&mut self, root: usize, group: &RootGroup) {
        let seen_in = self.view.seen_in(root);
        let explained = self.view.explained(group);
        if explained.is_none() && seen_in.is_empty() {
            return;
        }
        let counts = explained.as_ref().map(|e| e.counts.as_str()).filter(|c| !c.is_empty());
        self.open_details(&format!("Explains {}", text(counts.unwrap_or("signals"))));
        self.text.push('\n');
        for (check, names) in explained.into_iter().flat_map(|e| e.by_check) {
            self.item(&format!("- {}: {}", code(&check.to_string()), text(&names)));
        }
        if !seen_in.is_empty() {
            self.item(&format!("- seen in {}", text(&seen_in)));
        }
        self.close_details();
    }

    /// What was changed shortly before.
    fn changed(&mut self, finding: &Finding) {
        if finding.changes.is_empty() {
            return;
        }
        self.open_details("Changed shortly before, which need not be why");
        self.text.push('\n');
        for change in &finding.changes {
            self.item(&format!("- {}", text(&change.text)));
        }
        self.close_details();
    }

    fn fix(&mut self, group: &RootGroup) {
        let report = self.view.report;
        let fixes = report.fixes(group);
        let own = &report.findings[group.root].remediation;
        self.paragraph(&format!("**Fix: {}**", text(&own.title)));
        let mut number = 0;
        for fix in &fixes {
            number = self.steps(number, &fix.steps);
            self.options(&fix.options, number > 0);
        }
        self.list("Verify", &report.verification(group));
        self.list("Undo", &own.rollback.iter().collect::<Vec<_>>());
    }

    fn steps(&mut self, before: usize, steps: &[Step]) -> usize {
        let max = if self.view.verbose { steps.len() } else { STEPS };
        for (at, step) in steps.iter().take(max).enumerate() {
            self.step(&format!("{}\\. ", before + at + 1), step);
        }
        if steps.len() > max {
            self.paragraph(&format!("{} more steps with --verbose", steps.len() - max));
        }
        before + steps.len()
    }

    fn options(&mut self, options: &[FixOption], after: bool) {
        if options.is_empty() {
            return;
        }
        self.paragraph(if after { "then one of these:" } else { "one of these:" });
        for (letter, option) in ('a'..='z').zip(options) {
            self.paragraph(&format!("**{letter}) {}**", text(&option.title)));
            self.steps(0, &option.steps);
        }
    }

    fn list(&mut self, title: &str, steps: &[&Step]) {
        if steps.is_empty() {
            return;
        }
        self.open_details(title);
        let max = if self.view.verbose { steps.len() } else { STEPS };
        for step in steps.iter().take(max) {
            self.step("", step);
        }
        if steps.len() > max {
            self.paragraph(&format!("{} more steps with --verbose", steps.len() - max));
        }
        self.close_details();
    }

    fn step(&mut self, mark: &str, step: &Step) {
        let risk = if step.risk == Risk::ReadOnly { String::new() } else { format!("**{}** ", step.risk.as_str()) };
        self.paragraph(&format!("{mark}{risk}{}", prose(&step.text)));
        let language = if step.kind.is_shell() { "sh" } else { "text" };
        self.block(language, &step.command);
        for placeholder in &step.placeholders {
            self.placeholder(placeholder);
        }
    }

    fn placeholder(&mut self, placeholder: &Placeholder) {
        let name = code(&format!("<{}>", placeholder.name));
        match (placeholder.candidates.as_slice(), placeholder.how.as_str()) {
            ([], "") => {}
            ([], how) => self.paragraph(&format!("{name}: {}", code(how))),
            (candidates, _) => {
                let max = if self.view.verbose { candidates.len() } else { CANDIDATES };
                self.paragraph(&format!("{name}: one of {}", text(&words::few(candidates, max))));
            }
        }
    }

    fn open_titles(&mut self) {
        let OpenSignals { shown, more } = self.view.unexplained();
        if shown.is_empty() || self.view.report.roots.is_empty() {
            return;
        }
        let titles: Vec<&str> = shown.iter().map(|s| s.title.as_str()).collect();
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        self.paragraph(&format!("**unexplained**: {}{rest}", text(&titles.join(" · "))));
    }

    fn unexplained(&mut self) {
        let OpenSignals { shown, more } = self.view.unexplained();
        if shown.is_empty() {
            return;
        }
        self.paragraph("### Unexplained");
        for signal in shown {
            self.signal(signal);
        }
        if more > 0 {
            self.paragraph(&format!("{more} more with --verbose"));
        }
    }

    fn signal(&mut self, signal: &Signal) {
        let since = signal.since.map_or(String::new(), |t| format!(", since {}", t.strftime("%Y-%m-%d %H:%M UTC")));
        self.paragraph(&text(&format!("{} ({}){since}", signal.title, signal.subject)));
        self.block("text", &signal.text);
        self.block("sh", &signal.evidence.reproduce);
        if !signal.next.is_empty() {
            self.paragraph(&format!("→ {}", prose(&signal.next)));
        }
    }

    fn notes(&mut self) {
        let notes = self.view.notes();
        if notes.is_empty() {
            return;
        }
        self.open_details("Worth knowing");
        self.text.push('\n');
        for note in notes {
            self.item(&format!("- {}", prose(&note)));
        }
        self.close_details();
    }

    fn unseen(&mut self) {
        let unseen = self.view.unseen();
        if unseen.is_empty() {
            return;
        }
        self.open_details("Could not be seen");
        self.text.push('\n');
        for one in unseen {
            let checks = if one.checks.is_empty() { String::new() } else { format!("; not evaluated: {}", one.checks) };
            let hint = if one.hint.is_empty() { String::new() } else { format!(" → {}", one.hint) };
            self.item(&format!("- {}", text(&format!("{}{checks}{hint}", one.text))));
        }
        self.close_details();
    }
}
