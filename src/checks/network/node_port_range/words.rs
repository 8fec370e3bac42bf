//! What is said of ports that are not given, and where it was seen.

use super::asked::Asked;
use super::refusal::Refusal;
use super::{Case, Cause, Problem, full_name};
use crate::checks::support::seen::service_evidence;
use crate::lint;
use crate::model::{Evidence, Location, Severity};
use crate::snapshot::kubernetes::Service;

/// Lines of files that are shown at most; all places are named.
const EXCERPTS: usize = 50;

impl Case<'_> {
    pub(super) fn location(&self, asked: &Asked<'_>) -> Location {
        let lines = self.files.get(asked.file.path.as_str());
        let line = lines.and_then(|l| l.get(asked.place.line.saturating_sub(1))).copied().unwrap_or_default();
        let place = Location::file(&asked.file.path).field(&asked.path);
        place.at(asked.place.line, Some(asked.place.column)).excerpt(line)
    }

    pub(super) fn message(&self, kind: Cause, problems: &[Problem<'_>]) -> String {
        let one = problems.len() == 1;
        let names: Vec<String> = problems.iter().map(|p| format!("{} ({})", p.subject().name(), p.port)).collect();
        let what = problems.first().map(|p| p.subject().kind_label()).unwrap_or_default();
        let what = if one || what != "Service" { what } else { format!("{what}s") };
        let missing = problems.iter().all(|p| {
            p.service.as_ref().is_some_and(|(ns, name)| matches!(self.snap.services.find(ns, name), Ok(None)))
        });
        let so = match (missing, one) {
            (true, true) => ", so it does not exist",
            (true, false) => ", so they do not exist",
            _ => "",
        };
        let them = if one { "it" } else { "them" };
        match kind {
            Cause::Range => {
                let range = format!("{}-{}", self.range.first, self.range.last);
                let default = if self.range.known { "" } else { " (the default range)" };
                let ask = if one { "asks for a nodePort" } else { "ask for nodePorts" };
                let sure = problems.iter().all(|p| p.severity == Severity::Error);
                let when = if sure { "" } else { " if the chart's Service is of type NodePort or LoadBalancer" };
                let names = and(&names);
                format!("{what} {names} {ask} outside {range}{default}: the API server refuses {them}{when}{so}")
            }
            Cause::Taken => {
                let each =
                    problems.iter().map(|p| format!("{} asks for nodePort {}, which {}", p.who(), p.port, p.other));
                format!("{}: the API server refuses {them}{so}", each.collect::<Vec<_>>().join("; "))
            }
            Cause::Twice => {
                let each =
                    problems.iter().map(|p| format!("{} asks for nodePort {}, as does {}", p.who(), p.port, p.other));
                let each = each.collect::<Vec<_>>().join("; ");
                let sure = problems.iter().all(|p| p.severity == Severity::Error);
                let end = if sure { "a cluster gives a nodePort once" } else { "one cluster gives a nodePort once" };
                format!("{each}: {end}{so}")
            }
        }
    }

    pub(super) fn evidence(&self, problems: &[Problem<'_>]) -> Vec<Evidence> {
        let mut all: Vec<Evidence> = problems.iter().filter_map(|p| p.asked).take(EXCERPTS).map(written).collect();
        let told: Vec<&Refusal> = problems.iter().flat_map(|p| &p.refusals).copied().collect();
        let mut more = Vec::new();
        if let Some(first) = told.first() {
            let mut lines: Vec<&str> = Vec::new();
            for refusal in &told {
                // Who tries again is refused again.
                if !lines.contains(&refusal.text.as_str()) {
                    lines.push(&refusal.text);
                }
            }
            let (template, value) = &first.reproduce;
            more.push(Evidence::new(first.source.clone(), lines.join("\n"), template).with("value", value));
        }
        for problem in problems.iter().filter(|p| p.kind == Cause::Taken).take(EXCERPTS) {
            let of =
                |s: &&&Service| problem.other == format!("Service {}/{} has", s.metadata.namespace, s.metadata.name);
            if let Some(holder) = self.holders.get(&problem.port).into_iter().flatten().find(of) {
                more.push(service_evidence(holder, "", format!("nodePort {}", problem.port)));
            }
        }
        let missing: Vec<_> = problems
            .iter()
            .filter_map(|p| p.service.as_ref())
            .filter(|(ns, name)| matches!(self.snap.services.find(ns, name), Ok(None)))
            .collect();
        if let Some((namespace, _)) = missing.first() {
            let lines: Vec<String> = missing.iter().map(|(ns, name)| format!("{ns}/{name}: not there")).collect();
            let evidence =
                Evidence::new("Services of the cluster", lines.join("\n"), "kubectl get services -n {{ namespace }}");
            more.push(evidence.with("namespace", namespace));
        }
        // One excerpt, then what the API server says, then the other excerpts.
        let at = all.len().min(1);
        all.splice(at..at, more);
        all
    }
}

/// The line in its file.
fn written(asked: &Asked<'_>) -> Evidence {
    let of = asked.service.map(|s| format!(" of Service {}", full_name(s))).unwrap_or_default();
    let path = if asked.file.path == "-" { "standard input" } else { &asked.file.path };
    let source = format!("{path}:{} {}{of}", asked.place, asked.path);
    let frame = lint::frame(&asked.file.text, asked.place);
    let value = if frame.is_empty() { format!("{}: {}", asked.key, asked.wanted) } else { frame };
    if asked.file.path == "-" {
        let template = "helm template {{ release }} {{ chart }} | grep -n {{ key }}";
        let evidence = Evidence::new(source, value, template).with("release", "<release>").with("chart", "<chart>");
        return evidence.with("key", asked.key);
    }
    Evidence::new(source, value, "grep -n {{ key }} {{ file }}").with("key", asked.key).with("file", &asked.file.path)
}

/// `a, b and c`.
pub(super) fn and(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
