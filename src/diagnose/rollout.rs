//! Puts the step before a restart without which it would wait for itself, and says what is lost with the pod, whatever
//! check's fix it is of.

use crate::checks::support::rollout::{hazard, keeper, loss};
use crate::model::{CheckId, Finding, Params, Program, Risk, Step, StepKind};
use crate::pages;
use crate::snapshot::Snapshot;

/// Lets the old pod go first: the new one needs its claim.
const RECREATE: &str = r#"kubectl patch deployment {{ name }} -n {{ namespace }} --type=merge -p '{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}'"#;

/// Words of a fix that knows who keeps what it changes.
const KEEPERS: &[&str] = &["Helm", "Argo CD", "Flux", "GitOps", "helm ", "chart", "the values", "undoes"];

/// Puts the step into a finding's fix where it is needed.
pub(super) fn guard(snap: &Snapshot, finding: &mut Finding) {
    let fix = &mut finding.remediation;
    let of_options = fix.options.iter_mut().flat_map(|o| &mut o.steps);
    fix.steps.iter_mut().chain(of_options).for_each(|step| warn(snap, step));
    let said: String = fix.all_steps().map(|s| format!("{}\n{}\n", s.text, s.command)).collect();
    keep(snap, &said, &mut fix.steps);
    fix.options.iter_mut().for_each(|option| keep(snap, &said, &mut option.steps));
    if fix.all_steps().any(|s| s.command.contains("Recreate")) {
        return;
    }
    let mut guarded = Vec::new();
    insert(snap, finding.check, &mut fix.steps, &mut guarded);
    for option in &mut fix.options {
        // Each option is a way of its own.
        insert(snap, finding.check, &mut option.steps, &mut guarded.clone());
    }
}

fn insert(snap: &Snapshot, check: CheckId, steps: &mut Vec<Step>, guarded: &mut Vec<(String, String)>) {
    let mut at = 0;
    while at < steps.len() {
        let replaced = replaced(&steps[at]).filter(|w| w.kind == "deployment").map(|w| (w.namespace, w.name));
        let replaced = replaced.filter(|d| !guarded.contains(d));
        if let Some(deployment) = replaced {
            if let Some(step) = recreate(snap, check, &deployment) {
                steps.insert(at, step);
                at += 1;
            }
            guarded.push(deployment);
        }
        at += 1;
    }
}

/// Says what is lost with the pods that a step replaces: the data of a server without a volume.
fn warn(snap: &Snapshot, step: &mut Step) {
    let Some(Workload { kind, namespace, name }) = replaced(step) else { return };
    let Some(loss) = loss(snap, &kind, &namespace, &name) else { return };
    if !["emptyDir", " lost", "file system"].iter().any(|said| step.text.contains(said)) {
        step.text = format!("{} {}", step.text, loss.text).trim().to_owned();
    }
    if loss.program != Program::Alertmanager {
        step.risk = Risk::Destructive;
    }
}

/// Says who undoes what the first of some steps changes in place, where no step says so.
fn keep(snap: &Snapshot, said: &str, steps: &mut [Step]) {
    let found = steps.iter_mut().find_map(|step| {
        let Workload { kind, namespace, name } = changed(step)?;
        Some((keeper(snap, &kind, &namespace, &name)?, step))
    });
    let Some((keeper, step)) = found else { return };
    if !KEEPERS.iter().any(|word| said.contains(word)) {
        step.text =
            format!("{} It belongs to {keeper}: set it there too, or the next deployment undoes it.", step.text);
    }
}

/// A workload that a command names.
#[derive(Debug, PartialEq, Eq)]
struct Workload {
    kind: String,
    namespace: String,
    name: String,
}

/// The workload whose pods a step replaces.
fn replaced(step: &Step) -> Option<Workload> {
    named(step, |words, line| match words {
        ["rollout", "restart" | "undo", ..] | ["edit", ..] => true,
        ["set", what, ..] => matches!(*what, "image" | "env" | "resources" | "serviceaccount"),
        ["patch", ..] => line.contains("template"),
        _ => false,
    })
}

/// The workload that a step changes in place.
fn changed(step: &Step) -> Option<Workload> {
    named(step, |words, _| matches!(words.first(), Some(&("set" | "patch" | "edit"))))
}

/// The workload that a changing command is about, if the words after `kubectl` are such.
fn named(step: &Step, is_meant: impl Fn(&[&str], &str) -> bool) -> Option<Workload> {
    if step.kind != StepKind::Command || step.risk == Risk::ReadOnly {
        return None;
    }
    step.command.lines().find_map(|line| {
        let words = shlex::split(line)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ["kubectl", rest @ ..] = words.as_slice() else { return None };
        let at = rest.iter().position(|w| *w == "-n").and_then(|i| rest.get(i + 1))?;
        let (kind, name) = rest.iter().enumerate().find_map(|(i, word)| {
            let (kind, slash) = word.split_once('/').map_or((*word, None), |(kind, name)| (kind, Some(name)));
            let kind = kind.strip_suffix(".apps").unwrap_or(kind);
            let is_workload = matches!(kind, "deployment" | "statefulset" | "daemonset");
            let name = slash.or_else(|| rest.get(i + 1).copied().filter(|next| !next.starts_with('-')));
            Some((kind.to_owned(), name.filter(|_| is_workload)?.to_owned()))
        })?;
        is_meant(rest, line).then(|| Workload { kind, namespace: (*at).to_owned(), name })
    })
}

/// The step for one Deployment, if it needs it.
fn recreate(snap: &Snapshot, check: CheckId, (namespace, name): &(String, String)) -> Option<Step> {
    let text = hazard(snap, namespace, name)?;
    let mut params = Params::default();
    params.set("name", name);
    params.set("namespace", namespace);
    let command = pages::command(RECREATE, &params).ok()?;
    Some(Step { kind: StepKind::Command, risk: Risk::Change, text, command, of: check, placeholders: Vec::new() })
}
