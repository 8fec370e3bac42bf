//! The report for people: the verdict, each root cause with its fix, what could not be seen, the count.

mod signals;

use std::collections::{BTreeMap, BTreeSet};

use owo_colors::Style;

use super::layout::Page;
use crate::model::{
    Finding, FixOption, Gap, Outcome, Placeholder, Report, ResourceRef, Risk, RootGroup, Severity, Step, StepKind,
};
use crate::term::Printer;

/// A gap, and the checks that it kept from a verdict.
type Unseen<'a> = (&'a Gap, Vec<String>);

/// Gaps that say the same of several things, together.
fn alike<'a, 'b>(gaps: &'b [Unseen<'a>]) -> Vec<Vec<&'b Unseen<'a>>> {
    let mut groups: Vec<Vec<&Unseen<'_>>> = Vec::new();
    for gap in gaps {
        let same = |g: &Vec<&Unseen<'_>>| {
            let (one, other) = (g[0].0, gap.0);
            one.cause == other.cause && one.message == other.message && one.hint == other.hint
        };
        match groups.iter_mut().find(|g| same(g)) {
            Some(group) => group.push(gap),
            None => groups.push(vec![gap]),
        }
    }
    groups
}

/// How to print.
#[derive(Debug, Clone)]
pub struct TableOptions {
    color: bool,
    width: Option<usize>,
    verbose: bool,
}

impl TableOptions {
    /// As the printer's stdout wants it.
    pub fn new(printer: &Printer, verbose: bool) -> Self {
        Self { color: printer.color, width: printer.width, verbose }
    }
}

/// Observations of one finding that are shown without `--verbose`.
const EVIDENCE: usize = 4;
/// Lines of one observation.
const EVIDENCE_LINES: usize = 8;
/// Names in a list of symptoms without `--verbose`.
const NAMES: usize = 4;

/// Candidates of a placeholder without `--verbose`.
const CANDIDATES: usize = 6;

/// The report as text.
pub fn table(report: &Report, options: &TableOptions) -> String {
    let mut out = Out { page: Page::new(options.color, options.width), report, verbose: options.verbose };
    out.verdict();
    for (at, group) in report.roots.iter().enumerate() {
        out.root(at + 1, group);
    }
    out.unexplained();
    out.notes();
    out.unseen();
    out.runs();
    out.summary();
    out.page.finish()
}

struct Out<'a> {
    page: Page,
    report: &'a Report,
    verbose: bool,
}

fn plain() -> Style {
    Style::new()
}

fn dim() -> Style {
    Style::new().dimmed()
}

fn bold() -> Style {
    Style::new().bold()
}

fn of(severity: Severity) -> Style {
    match severity {
        Severity::Error => Style::new().red().bold(),
        Severity::Warning => Style::new().yellow().bold(),
        Severity::Info => Style::new().blue().bold(),
    }
}

fn plural(count: usize, one: &str) -> String {
    let many = match one {
        _ if count == 1 => one.to_owned(),
        _ if one.ends_with('y') && !one.ends_with("ay") => format!("{}ies", &one[..one.len() - 1]),
        _ if one.ends_with("ss") => format!("{one}es"),
        _ => format!("{one}s"),
    };
    format!("{count} {many}")
}

impl Out<'_> {
    fn verdict(&mut self) {
        let report = self.report;
        let unseen = self.unevaluated();
        let worst = report.roots.iter().map(|g| report.findings[g.root].severity).max();
        let open = self.open().len();
        let (mark, text, style) = match (report.roots.as_slice(), worst) {
            ([], _) | (_, None) if open > 0 => ("?", self.no_cause(), of(Severity::Warning)),
            ([], _) | (_, None) if unseen > 0 => {
                let text = format!(
                    "nothing wrong in what could be seen; {} of {} could not be evaluated",
                    unseen,
                    plural(report.runs.len(), "check")
                );
                ("?", text, of(Severity::Warning))
            }
            ([], _) | (_, None) => ("✓", "no problem found".to_owned(), Style::new().green().bold()),
            ([only], Some(severity)) => {
                let root = &report.findings[only.root];
                let explained = match self.symptoms(only) {
                    0 => String::new(),
                    n => format!(", which explains {}", plural(n, "symptom")),
                };
                ("✗", format!("1 root cause: {}{explained}", root.check), of(severity))
            }
            (many, Some(severity)) => {
                let names: Vec<String> = many.iter().map(|g| report.findings[g.root].check.to_string()).collect();
                ("✗", format!("{}: {}", plural(many.len(), "root cause"), counted(&names)), of(severity))
            }
        };
        let rest = match open {
            n if n > 0 && !report.roots.is_empty() => format!("; {} unexplained", plural(n, "signal")),
            n if n > 0 && unseen > 0 => {
                format!("; {unseen} of {} could not be evaluated", plural(report.runs.len(), "check"))
            }
            _ => String::new(),
        };
        self.page.paragraph(0, &format!("{mark} "), &format!("{text}{rest}"), style);
        let target = &report.target;
        let mut place: Vec<String> = Vec::new();
        place.extend(target.cluster.clone().or(target.context.clone()));
        place.extend(target.region.clone());
        place.extend(target.account.as_ref().map(|a| format!("account {a}")));
        place.extend(target.kubernetes_version.as_ref().map(|v| format!("Kubernetes {v}")));
        if !target.namespaces.is_empty() {
            let word = if target.namespaces.len() == 1 { "namespace" } else { "namespaces" };
            place.push(format!("{word} {}", target.namespaces.join(", ")));
        }
        let files = target.manifests.filter(|m| m.files > 0);
        place.extend(files.map(|m| format!("{} with {}", plural(m.files, "file"), plural(m.objects, "object"))));
        place.push(report.collected_at.strftime("%Y-%m-%d %H:%M UTC").to_string());
        self.page.paragraph(2, "", &place.join(" · "), dim());
    }

    /// Resources that a root explains.
    fn symptoms(&self, group: &RootGroup) -> usize {
        let all = group.explains.iter().flat_map(|i| &self.report.findings[*i].subjects);
        all.collect::<BTreeSet<_>>().len()
    }

    fn root(&mut self, number: usize, group: &RootGroup) {
        let finding = &self.report.findings[group.root];
        self.page.blank();
        self.headline(&format!("{number}. "), finding);
        self.page.paragraph(3, "", &finding.message, plain());
        for need in &group.prerequisites {
            let need = &self.report.findings[*need];
            self.page.paragraph(3, "first needed: ", &format!("{} ({})", need.message, need.check), plain());
        }
        self.evidence(finding);
        self.explains(group);
        self.seen_in(number - 1);
        self.fix(group);
    }

    fn headline(&mut self, number: &str, finding: &Finding) {
        let tag = format!("{}[{}]", finding.severity, finding.check);
        let subjects: Vec<ResourceRef> = finding.subjects.clone();
        let shown = self.names(&subjects);
        self.page.line(0, &[(number, bold()), (&tag, of(finding.severity))]);
        self.page.paragraph(3, "", &shown, bold());
    }

    /// `Pod a/b, a/c and 3 more`, grouped by kind.
    fn names(&self, resources: &[ResourceRef]) -> String {
        let mut kinds: Vec<(String, Vec<String>)> = Vec::new();
        for resource in resources {
            let kind = resource.kind_label();
            match kinds.iter_mut().find(|(k, _)| *k == kind) {
                Some((_, names)) => names.push(resource.name()),
                None => kinds.push((kind, vec![resource.name()])),
            }
        }
        let max = if self.verbose { usize::MAX } else { NAMES };
        let lists = kinds.into_iter().map(|(kind, names)| {
            let more = names.len().saturating_sub(max);
            let list = names.iter().take(max).cloned().collect::<Vec<_>>().join(", ");
            if more > 0 { format!("{kind} {list} and {more} more") } else { format!("{kind} {list}") }
        });
        lists.collect::<Vec<_>>().join("; ")
    }

    fn evidence(&mut self, finding: &Finding) {
        if finding.evidence.is_empty() {
            return;
        }
        self.page.blank();
        self.page.line(3, &[("why", bold())]);
        let max = if self.verbose { usize::MAX } else { EVIDENCE };
        for evidence in finding.evidence.iter().take(max) {
            self.page.paragraph(5, "· ", &evidence.source, plain());
            self.page.verbatim(7, &evidence.value, Style::new().yellow(), EVIDENCE_LINES);
            self.page.command(7, &evidence.reproduce, dim());
        }
        if finding.evidence.len() > max {
            let more = format!("· {} more with --verbose", finding.evidence.len() - max);
            self.page.line(5, &[(&more, dim())]);
        }
    }

    fn explains(&mut self, group: &RootGroup) {
        if group.explains.is_empty() {
            return;
        }
        let explained: Vec<&Finding> = group.explains.iter().map(|i| &self.report.findings[*i]).collect();
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        // What two checks speak of is one thing.
        let subjects: BTreeSet<&ResourceRef> = explained.iter().flat_map(|f| &f.subjects).collect();
        for subject in subjects {
            *kinds.entry(subject.kind_label()).or_default() += 1;
        }
        let counts: Vec<String> = kinds.iter().map(|(kind, count)| plural(*count, kind)).collect();
        self.page.blank();
        let explains = self.page.paint("explains ", bold());
        self.page.paragraph(3, &explains, &counts.join(", "), plain());
        let mut by_check: Vec<(String, Vec<ResourceRef>)> = Vec::new();
        for finding in explained {
            let check = finding.check.to_string();
            match by_check.iter_mut().find(|(c, _)| *c == check) {
                Some((_, subjects)) => subjects.extend(finding.subjects.iter().cloned()),
                None => by_check.push((check, finding.subjects.clone())),
            }
        }
        for (check, subjects) in by_check {
            let names = self.names(&subjects);
            self.page.paragraph(5, &format!("{check}: "), &names, dim());
        }
    }

    /// The fix of a root. What must be right before comes first, as part of it.
    fn fix(&mut self, group: &RootGroup) {
        let fixes = self.report.fixes(group);
        let own = &self.report.findings[group.root].remediation;
        self.page.blank();
        self.page.paragraph(3, "", &format!("fix: {}", own.title), bold());
        let mut number = 0;
        for fix in &fixes {
            for step in &fix.steps {
                number += 1;
                self.step(5, &format!("{number}. "), step);
            }
            self.options(&fix.options, number > 0);
        }
        self.list("verify", fixes.iter().flat_map(|f| &f.verify));
        self.list("undo", own.rollback.iter());
    }

    /// Ways to choose from, by letters; each has its own numbers.
    fn options(&mut self, options: &[FixOption], after: bool) {
        if options.is_empty() {
            return;
        }
        let lead = if after { "then one of these:" } else { "one of these:" };
        self.page.paragraph(5, "", lead, plain());
        for (letter, option) in ('a'..='z').zip(options) {
            self.page.paragraph(5, &format!("{letter}) "), &option.title, bold());
            for (at, step) in option.steps.iter().enumerate() {
                self.step(8, &format!("{}. ", at + 1), step);
            }
        }
    }

    fn list<'s>(&mut self, title: &str, steps: impl Iterator<Item = &'s Step>) {
        let mut steps = steps.peekable();
        if steps.peek().is_none() {
            return;
        }
        self.page.blank();
        self.page.line(3, &[(title, bold())]);
        for step in steps {
            self.step(5, "· ", step);
        }
    }

    fn step(&mut self, indent: usize, mark: &str, step: &Step) {
        let style = match step.risk {
            Risk::ReadOnly | Risk::Change => plain(),
            Risk::Disruptive => Style::new().yellow(),
            Risk::Destructive => Style::new().red().bold(),
        };
        let risk = if step.risk == Risk::ReadOnly { String::new() } else { format!("[{}] ", step.risk.as_str()) };
        self.page.paragraph(indent, mark, &format!("{risk}{}", step.text), style);
        let indent = indent + textwrap::core::display_width(mark);
        match step.kind {
            StepKind::Note => {}
            StepKind::Edit => self.page.excerpt(indent, &step.command, Style::new().cyan()),
            StepKind::Command | StepKind::Manifest => self.page.command(indent, &step.command, Style::new().cyan()),
        }
        for placeholder in &step.placeholders {
            self.placeholder(indent, placeholder);
        }
    }

    /// What may stand in the place of `<name>`, where that is known.
    fn placeholder(&mut self, indent: usize, placeholder: &Placeholder) {
        let mark = format!("<{}>: ", placeholder.name);
        match (placeholder.candidates.as_slice(), placeholder.how.as_str()) {
            ([], "") => {}
            ([], how) => self.page.paragraph(indent, &mark, how, dim()),
            (candidates, _) => {
                let max = if self.verbose { usize::MAX } else { CANDIDATES };
                let more = candidates.len().saturating_sub(max);
                let mut text = format!("one of {}", candidates[..candidates.len() - more].join(", "));
                if more > 0 {
                    text.push_str(&format!(" and {more} more"));
                }
                self.page.paragraph(indent, &mark, &text, dim());
            }
        }
    }

    /// Findings that are only worth knowing.
    fn notes(&mut self) {
        let report = self.report;
        let notes: Vec<&Finding> = report.findings.iter().filter(|f| f.severity == Severity::Info).collect();
        let told = self.notes_of_signals();
        if notes.is_empty() && told.is_empty() {
            return;
        }
        self.page.blank();
        self.page.line(0, &[("worth knowing", bold())]);
        for note in notes {
            self.page.paragraph(2, "· ", &format!("{} ({})", note.message, note.check), plain());
        }
        for note in told {
            self.page.paragraph(2, "· ", &note, plain());
        }
    }

    fn unevaluated(&self) -> usize {
        self.report.runs.iter().filter(|r| matches!(r.outcome, Outcome::NotEvaluated(_) | Outcome::Failed(_))).count()
    }

    /// What could not be seen, with the checks that it kept from a verdict.
    fn unseen(&mut self) {
        let report = self.report;
        let mut gaps: Vec<(&Gap, Vec<String>)> = Vec::new();
        let mut note = |gap: &'_ Gap, check: Option<String>| -> Option<()> {
            let stored = report.gaps.iter().find(|g| *g == gap)?;
            match gaps.iter_mut().find(|(g, _)| *g == stored) {
                Some((_, checks)) => checks.extend(check),
                None => gaps.push((stored, Vec::from_iter(check))),
            }
            Some(())
        };
        let mut others: Vec<(String, String)> = Vec::new();
        for run in &report.runs {
            match &run.outcome {
                Outcome::NotEvaluated(gap) if note(gap, Some(run.check.id.to_string())).is_none() => {
                    others.push((run.check.id.to_string(), gap.to_string()));
                }
                Outcome::Failed(bug) => others.push((run.check.id.to_string(), bug.clone())),
                _ => {}
            }
        }
        // A bundle without something that only sharpens verdicts is not worth a line, a refusal is.
        for gap in report.gaps.iter().filter(|g| self.verbose || !g.is_not_collected()) {
            note(gap, None);
        }
        if gaps.is_empty() && others.is_empty() {
            return;
        }
        self.page.blank();
        self.page.line(0, &[("could not be seen", of(Severity::Warning))]);
        for alike in alike(&gaps) {
            let gap = alike[0].0;
            let whats: Vec<&str> = alike.iter().map(|(g, _)| g.what.as_str()).collect();
            let told = Gap { what: whats.join(", "), ..gap.clone() };
            self.page.paragraph(2, "· ", &told.to_string(), plain());
            let checks: Vec<&str> = alike.iter().flat_map(|(_, checks)| checks).map(String::as_str).collect();
            if !checks.is_empty() {
                self.page.paragraph(4, "not evaluated: ", &checks.join(", "), plain());
            }
            if !gap.hint.is_empty() {
                self.page.paragraph(4, "→ ", &gap.hint, dim());
            }
        }
        for (check, why) in others {
            self.page.paragraph(2, "· ", &format!("{check}: {why}"), plain());
        }
    }

    fn runs(&mut self) {
        if !self.verbose {
            return;
        }
        let report = self.report;
        self.page.blank();
        self.page.line(0, &[("checks", bold())]);
        for run in &report.runs {
            let (mark, text, style) = match &run.outcome {
                Outcome::Pass => ("✓ ", String::new(), Style::new().green()),
                Outcome::Findings(n) => ("✗ ", format!(": {}", plural(*n, "finding")), of(run.check.severity)),
                Outcome::NotApplicable(why) => ("- ", format!(": does not apply, {why}"), dim()),
                Outcome::NotEvaluated(gap) => ("? ", format!(": {gap}"), of(Severity::Warning)),
                Outcome::Failed(bug) => ("! ", format!(": {bug}"), of(Severity::Error)),
            };
            self.page.paragraph(2, mark, &format!("{}{text}", run.check.id), style);
        }
    }

    fn summary(&mut self) {
        let report = self.report;
        let runs = |wanted: fn(&Outcome) -> bool| report.runs.iter().filter(|r| wanted(&r.outcome)).count();
        let mut parts = Vec::new();
        for (count, word) in [
            (runs(|o| matches!(o, Outcome::Findings(_))), "with findings"),
            (runs(|o| matches!(o, Outcome::Pass)), "passed"),
            (runs(|o| matches!(o, Outcome::NotApplicable(_))), "not applicable"),
            (self.unevaluated(), "not evaluated"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {word}"));
            }
        }
        let time = match report.stats.elapsed_ms {
            Some(ms) => format!(" · {} in {:.1} s", plural(report.stats.calls, "call"), ms as f64 / 1000.0),
            None => String::new(),
        };
        self.page.blank();
        let text = format!("{}: {}{time}", plural(report.runs.len(), "check"), parts.join(", "));
        self.page.paragraph(0, "", &text, dim());
    }
}

/// `a (2), b`.
fn counted(names: &[String]) -> String {
    let mut seen: Vec<(&str, usize)> = Vec::new();
    for name in names {
        match seen.iter_mut().find(|(n, _)| n == name) {
            Some((_, count)) => *count += 1,
            None => seen.push((name, 1)),
        }
    }
    let parts = seen.into_iter().map(|(n, c)| if c > 1 { format!("{n} ({c})") } else { n.to_owned() });
    parts.collect::<Vec<_>>().join(", ")
}
