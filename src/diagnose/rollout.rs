//! Puts the step before a restart without which it would wait for itself, and says what is lost with the pod, whatever
//! check's fix it is of.

use crate::checks::support::rollout::{hazard, loss};
use crate::model::{CheckId, Finding, Params, Program, Risk, Step, StepKind};
use crate::pages;
use crate::snapshot::Snapshot;

/// Lets the old pod go first: the new one needs its claim.
const RECREATE: &str = r#"kubectl patch deployment {{ name }} -n {{ namespace }} --type=merge -p '{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}'"#;

/// Puts the step into a finding's fix where it is needed.
pub(super) fn guard(snap: &Snapshot, finding: &mut Finding) {
    let fix = &mut finding.remediation;
    let of_options = fix.options.iter_mut().flat_map(|o| &mut o.steps);
    fix.steps.iter_mut().chain(of_options).for_each(|step| warn(snap, step));
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
        let replaced = replaced(&steps[at]).filter(|d| !guarded.contains(d));
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

/// Says what a restart loses: the data of a server without a volume.
fn warn(snap: &Snapshot, step: &mut Step) {
    let Some(loss) = restarted(step).and_then(|[kind, namespace, name]| loss(snap, &kind, &namespace, &name)) else {
        return;
    };
    if step.text.contains("emptyDir") {
        return;
    }
    step.text = format!("{} {}", step.text, loss.text).trim().to_owned();
    if loss.program != Program::Alertmanager {
        step.risk = Risk::Destructive;
    }
}

/// The workload that a step starts over: kind, namespace and name.
fn restarted(step: &Step) -> Option<[String; 3]> {
    step.command.lines().find_map(|line| {
        let words = shlex::split(line)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ["kubectl", "rollout", "restart", rest @ ..] = words.as_slice() else { return None };
        let namespace = rest.iter().position(|w| *w == "-n").and_then(|i| rest.get(i + 1))?;
        let (kind, name) = rest.iter().find_map(|w| w.split_once('/'))?;
        Some([kind.to_owned(), (*namespace).to_owned(), name.to_owned()])
    })
}

/// The Deployment whose pods a step replaces: namespace and name.
fn replaced(step: &Step) -> Option<(String, String)> {
    if step.kind != StepKind::Command || step.risk == Risk::ReadOnly {
        return None;
    }
    step.command.lines().find_map(|line| {
        let words = shlex::split(line)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let replaces = match words.as_slice() {
            ["kubectl", "rollout", "restart" | "undo", ..] | ["kubectl", "edit", ..] => true,
            ["kubectl", "set", what, ..] => matches!(*what, "image" | "env" | "resources" | "serviceaccount"),
            ["kubectl", "patch", ..] => line.contains("template"),
            _ => false,
        };
        let after = |flag: &str| words.iter().position(|w| *w == flag).and_then(|i| words.get(i + 1));
        let named =
            words.iter().find_map(|w| w.strip_prefix("deployment/").or_else(|| w.strip_prefix("deployment.apps/")));
        let name = named.or_else(|| after("deployment").copied().filter(|w| !w.starts_with('-')))?;
        replaces.then_some((after("-n")?.to_string(), name.to_owned()))
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
