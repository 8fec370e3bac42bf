//! What a report says to people, whatever it is printed on: the verdict, the place, the counts. Everything is bounded unless
//! all of it is asked for.

mod rest;
mod roots;
mod why;

pub(super) use rest::OpenSignals;
pub(super) use roots::{Brief, Entry, First, Rest};
pub(super) use why::{mark, verdict_of};

use std::collections::BTreeSet;

use super::words::{counted, plural};
use crate::model::{ManifestCount, Outcome, Report, ResourceRef, RootGroup, Severity, Signal, Weight};
use crate::term::sanitize;

/// Signals in the first line, and files that are named.
const NAMED: usize = 3;
/// The same where all is wanted: in JSON stand all of them.
const NAMED_IN_FULL: usize = 50;

/// A report, and how much of it is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) report: &'a Report,
    /// Everything, and every name.
    pub(super) verbose: bool,
}

/// How it stands, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) mark: &'static str,
    pub(super) text: String,
    /// `None`: all is well.
    pub(super) level: Option<Severity>,
}

/// Something is wrong; a note alone is no judgement.
fn has_found(report: &Report) -> bool {
    report.findings.iter().any(|f| f.severity > Severity::Info)
}

impl<'a> View<'a> {
    /// The first line.
    pub(super) fn verdict(self) -> Verdict {
        let report = self.report;
        let unseen = self.unevaluated();
        let of_checks = plural(report.runs.len(), "check");
        let unread = report.target.manifests.as_ref().map_or(0, |m| m.unread);
        let open = self.open().count();
        let worst = report.roots.iter().map(|g| report.findings[g.root].severity).max();
        let (mark, text, level) = match (report.roots.as_slice(), worst) {
            ([], _) | (_, None) if open > 0 => ("?", self.no_cause(), Some(Severity::Warning)),
            ([], _) | (_, None) if unseen == report.runs.len() && unseen > 0 && !has_found(report) => {
                ("?", "nothing is known: not one check could be evaluated".to_owned(), Some(Severity::Warning))
            }
            ([], _) | (_, None) if unseen > 0 => {
                let text =
                    format!("nothing wrong in what could be seen; {unseen} of {of_checks} could not be evaluated");
                ("?", text, Some(Severity::Warning))
            }
            ([], _) | (_, None) if unread > 0 => {
                let them =
                    if unread == 1 { "1 file or folder".to_owned() } else { format!("{unread} files or folders") };
                ("?", format!("nothing wrong in what was judged; {them} could not be"), Some(Severity::Warning))
            }
            ([], _) | (_, None) => ("✓", "no problem found".to_owned(), None),
            ([only], Some(severity)) => ("✗", self.one_cause(only), Some(severity)),
            (_, Some(severity)) => ("✗", self.causes(), Some(severity)),
        };
        let rest = match open {
            n if n > 0 && !report.roots.is_empty() => format!("; {} unexplained", plural(n, "signal")),
            n if n > 0 && unseen > 0 => format!("; {unseen} of {of_checks} could not be evaluated"),
            _ => String::new(),
        };
        let muted = match report.muted() {
            0 => String::new(),
            n => format!("; {} muted", plural(n, "finding")),
        };
        Verdict { mark, text: format!("{text}{rest}{muted}"), level }
    }

    /// `1 root cause: pod-pending, which explains 2 symptoms`.
    fn one_cause(self, only: &RootGroup) -> String {
        let explained = match self.symptoms(only) {
            0 => String::new(),
            n => format!(", which explains {}", plural(n, "symptom")),
        };
        format!("1 root cause: {}{explained}", self.report.findings[only.root].check)
    }

    /// Several: what only may go wrong some day is no cause of what is wrong now.
    fn causes(self) -> String {
        let roots = self.report.roots.iter().enumerate();
        let (mere, causes): (Vec<_>, Vec<_>) = roots.partition(|(at, group)| self.is_mere(*at, group));
        let names = |groups: &[(usize, &RootGroup)]| {
            let all: Vec<String> = groups.iter().map(|(_, g)| self.report.findings[g.root].check.to_string()).collect();
            counted(&all)
        };
        let told = match causes.as_slice() {
            [(_, only)] => self.one_cause(only),
            many => format!("{}: {}", plural(many.len(), "root cause"), names(many)),
        };
        match (causes.len(), mere.len()) {
            (_, 0) => told,
            (0, n) => format!("{}: {}", plural(n, "root cause"), names(&mere)),
            (_, n) => format!("{told}; {}: {}", plural(n, "warning"), names(&mere)),
        }
    }

    /// A warning that breaks nothing, and by which nothing that was seen is explained.
    fn is_mere(self, at: usize, group: &RootGroup) -> bool {
        let root = &self.report.findings[group.root];
        root.severity == Severity::Warning
            && root.broken().is_empty()
            && group.explains.is_empty()
            && !self.report.signals.iter().any(|s| s.explained_by == Some(at) && s.weight > Weight::Nothing)
    }

    /// `no known cause for 2 signals: alert X, 14 errors in the log of prometheus-0`.
    fn no_cause(self) -> String {
        let titles: Vec<&str> = self.open().map(|s| s.title.as_str()).collect();
        let more = titles.len().saturating_sub(NAMED);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named = titles.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        format!("no known cause for {}: {named}{rest}", plural(titles.len(), "signal"))
    }

    /// Cluster, namespaces and time.
    pub(super) fn place(self) -> Vec<String> {
        let target = &self.report.target;
        let mut place: Vec<String> = Vec::new();
        place.extend(target.cluster.clone().or(target.context.clone()));
        place.extend(target.region.clone());
        place.extend(target.account.as_ref().map(|a| format!("account {a}")));
        place.extend(target.kubernetes_version.as_ref().map(|v| format!("Kubernetes {v}")));
        if !target.namespaces.is_empty() {
            let word = if target.namespaces.len() == 1 { "namespace" } else { "namespaces" };
            place.push(format!("{word} {}", target.namespaces.join(", ")));
        }
        if target.all_namespaces {
            place.push("storage, workloads and network of all namespaces".to_owned());
        }
        if let Some(manifests) = &target.manifests {
            place.extend(self.files(manifests));
        }
        place.push(self.report.collected_at.strftime("%Y-%m-%d %H:%M UTC").to_string());
        place
    }

    /// `9 files with 12 objects and 2 configurations`, and which were left alone.
    fn files(self, read: &ManifestCount) -> Vec<String> {
        let held = [
            (read.objects, "object", "objects"),
            (read.configurations, "configuration", "configurations"),
            (read.values, "set of Helm values", "sets of Helm values"),
        ];
        let held = held.into_iter().filter(|(count, ..)| *count > 0);
        let mut held: Vec<String> =
            held.map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many })).collect();
        if let Some(last) = held.pop() {
            let first = held.join(", ");
            held = vec![if first.is_empty() { last } else { format!("{first} and {last}") }];
        }
        let mut said: Vec<String> =
            held.into_iter().map(|held| format!("{} with {held}", plural(read.files, "file"))).collect();
        if !read.others.is_empty() {
            let max = if self.verbose { NAMED_IN_FULL } else { NAMED };
            let named = read.others.iter().take(max).map(|(path, what)| format!("{} ({what})", sanitize(path)));
            let more = read.others.len().saturating_sub(max);
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            let named = named.collect::<Vec<_>>().join(", ");
            said.push(format!("{} not judged: {named}{rest}", plural(read.others.len(), "file")));
        }
        said
    }

    /// The last line: how the checks ended.
    pub(super) fn counts(self) -> String {
        let report = self.report;
        let runs = |wanted: fn(&Outcome) -> bool| report.runs.iter().filter(|r| wanted(&r.outcome)).count();
        let parts = [
            (runs(|o| matches!(o, Outcome::Findings(_))), "with findings"),
            (runs(|o| matches!(o, Outcome::Pass)), "passed"),
            (runs(|o| matches!(o, Outcome::NotApplicable(_))), "not applicable"),
            (self.unevaluated(), "not evaluated"),
        ];
        let parts: Vec<String> =
            parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        let time = match report.stats.elapsed_ms {
            Some(ms) => format!(" · {} in {:.1} s", plural(report.stats.calls, "call"), ms as f64 / 1000.0),
            None => String::new(),
        };
        format!("{}: {}{time}", plural(report.runs.len(), "check"), parts.join(", "))
    }

    fn unevaluated(self) -> usize {
        self.report.runs.iter().filter(|r| matches!(r.outcome, Outcome::NotEvaluated(_) | Outcome::Failed(_))).count()
    }

    /// What is wrong and unexplained.
    pub(super) fn open(self) -> impl Iterator<Item = &'a Signal> {
        self.report.signals.iter().filter(|s| s.is_open())
    }

    /// Resources that a root explains.
    fn symptoms(self, group: &RootGroup) -> usize {
        let own = self.own(group);
        let all = group.explains.iter().flat_map(|i| &self.report.findings[*i].subjects);
        all.filter(|s| !own.contains(s)).collect::<BTreeSet<_>>().len()
    }

    /// What a root is about, and what must be right before: nothing is a symptom of itself.
    fn own(self, group: &RootGroup) -> BTreeSet<&'a ResourceRef> {
        let members = std::iter::once(&group.root).chain(&group.prerequisites);
        members.flat_map(|i| &self.report.findings[*i].subjects).collect()
    }

    /// The bound, unless all is wanted.
    fn up_to(self, max: usize) -> usize {
        if self.verbose { usize::MAX - 1 } else { max }
    }
}
