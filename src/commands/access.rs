//! `kdoctor access`: as whom kdoctor looks, what it may read, and what is missing for which check.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::run::{self, Aim};
use crate::cli::{AccessArgs, SelectArgs};
use crate::collect::Plan;
use crate::diagnose;
use crate::model::{Gap, GapCause, Outcome, Report};
use crate::term::{Printer, sanitize_lines};

/// Everything that was asked for could be read.
const ALL: u8 = 0;
/// Something could not.
const SOME: u8 = 1;
/// Checks that are named one by one.
const NAMED: usize = 12;

/// Prints it; the exit code says whether something is missing.
///
/// # Errors
/// What kept kdoctor from looking at all.
pub(super) fn run(args: &AccessArgs, printer: &Printer) -> anyhow::Result<u8> {
    let checks = run::selected(&SelectArgs { only: args.only.clone(), skip: Vec::new() })?;
    let mut plan = Plan::new(diagnose::facts_of(&checks), Timestamp::default());
    plan.namespace.clone_from(&args.namespace);
    let work = run::run(&args.source, plan, None, &checks, Aim::Checks, None, printer);
    let report = run::wait_for(work)?.report;
    let missing = missing(&report);
    printer.stdout(&format!("{}\n", sanitize_lines(&text(&report, &missing))))?;
    Ok(if missing.is_empty() { ALL } else { SOME })
}

/// What could not be read, with the checks that could not be evaluated for it. What is not set up, and what nobody asked
/// for, is no matter of access.
fn missing(report: &Report) -> BTreeMap<String, (&Gap, Vec<&'static str>)> {
    let of_access = |g: &&Gap| !matches!(g.cause, GapCause::NotConfigured | GapCause::NotCollected);
    let mut all: BTreeMap<String, (&Gap, Vec<&'static str>)> = BTreeMap::new();
    for gap in report.gaps.iter().filter(of_access) {
        all.entry(gap.what.clone()).or_insert((gap, Vec::new()));
    }
    for run in &report.runs {
        if let Outcome::NotEvaluated(gap) = &run.outcome
            && of_access(&gap)
        {
            all.entry(gap.what.clone()).or_insert((gap, Vec::new())).1.push(run.check.id.0);
        }
    }
    all
}

/// The first checks of a list.
fn some(checks: &[&str]) -> String {
    match checks.get(..NAMED) {
        Some(first) if checks.len() > NAMED => format!("{} and {} more", first.join(", "), checks.len() - NAMED),
        _ => checks.join(", "),
    }
}

fn text(report: &Report, missing: &BTreeMap<String, (&Gap, Vec<&'static str>)>) -> String {
    let mut out = String::from("looking at\n");
    let target = &report.target;
    let known = [
        ("context", target.context.as_deref()),
        ("cluster", target.cluster.as_deref()),
        ("region", target.region.as_deref()),
        ("AWS account", target.account.as_deref()),
        ("Kubernetes", target.kubernetes_version.as_deref()),
    ];
    for (name, value) in known {
        let _ = writeln!(out, "  {name:<12} {}", value.unwrap_or("not known"));
    }
    let _ = writeln!(out, "  {:<12} {}", "namespaces", target.namespaces.join(", "));
    for finding in report.findings.iter().filter(|f| f.check.0 == "api-access") {
        let _ = writeln!(out, "\n{}[{}] {}", finding.severity.as_str(), finding.check, finding.message);
        for step in finding.remediation.steps.iter().chain(finding.remediation.options.iter().flat_map(|o| &o.steps)) {
            for line in step.command.lines() {
                let _ = writeln!(out, "  {line}");
            }
        }
    }
    if missing.is_empty() {
        out.push_str("\nall that the checks ask for may be read\n");
        return out;
    }
    out.push_str("\nmay not be read\n");
    let mut checks: Vec<&str> = Vec::new();
    for (what, (gap, of)) in missing {
        let _ = writeln!(out, "  {what}: {}: {}", gap.cause.as_str(), gap.message);
        if let GapCause::Forbidden { permission } = &gap.cause {
            let _ = writeln!(out, "    needs: {permission}");
        }
        if !of.is_empty() {
            let _ = writeln!(out, "    not evaluated: {}", some(of));
        }
        if !gap.hint.is_empty() {
            let _ = writeln!(out, "    → {}", gap.hint);
        }
        checks.extend(of);
    }
    checks.sort_unstable();
    checks.dedup();
    if !checks.is_empty() {
        // Where nearly all of them lack something, the list of all is the shorter one.
        let only = if checks.len() > NAMED { String::new() } else { format!(" --only {}", checks.join(",")) };
        let _ = write!(
            out,
            "\nwhat these checks need, to be applied by whoever may grant it\n  kdoctor permissions --format rbac{only} | kubectl apply -f -\n  kdoctor permissions --format iam{only}\n"
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_up_is_no_matter_of_access() {
        let gap = |cause| Gap::new("iam:GetRole", cause, "no");
        let mut report = crate::diagnose::run_checks(&crate::snapshot::Snapshot::empty(Timestamp::UNIX_EPOCH), &[]);
        report.gaps = vec![gap(GapCause::NotConfigured)];
        assert!(missing(&report).is_empty());
        report.gaps = vec![gap(GapCause::Forbidden { permission: "iam:GetRole".into() })];
        let found = missing(&report);
        assert_eq!(found.len(), 1);
        let said = text(&report, &found);
        assert!(said.contains("iam:GetRole: forbidden: no\n    needs: iam:GetRole\n"), "{said}");
    }
}
