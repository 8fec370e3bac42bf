//! Puts the step before a restart without which it would wait for itself, and says what is lost with the pod, whatever
//! check's fix it is of.

use super::call::Call;
use crate::checks::support::rollout::{Started, hazard, loss};
use crate::model::{CheckId, Finding, Params, Risk, Step, StepKind};
use crate::pages;
use crate::snapshot::Snapshot;

/// Lets the old pod go first: the new one needs its claim.
const RECREATE: &str = r#"kubectl patch deployment {{ name }} -n {{ namespace }} --type=merge -p '{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}'"#;

/// Puts the step into a finding's fix where it is needed.
pub(super) fn guard(snap: &Snapshot, finding: &mut Finding) {
    let check = finding.check;
    let fix = &mut finding.remediation;
    let mut said = Vec::new();
    fix.steps.iter_mut().for_each(|step| warn(snap, check, step, &mut said));
    for option in &mut fix.options {
        // Each option is a way of its own.
        let mut said = said.clone();
        option.steps.iter_mut().for_each(|step| warn(snap, check, step, &mut said));
    }
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
        for deployment in replaced(&steps[at]) {
            if guarded.contains(&deployment) {
                continue;
            }
            if let Some(step) = recreate(snap, check, &deployment) {
                steps.insert(at, step);
                at += 1;
            }
            guarded.push(deployment);
        }
        at += 1;
    }
}

/// Says what a step loses that starts a server over: its data, where it has no volume. Once in each way.
fn warn(snap: &Snapshot, check: CheckId, step: &mut Step, said: &mut Vec<String>) {
    let started = started(step);
    // Some steps speak of it themselves.
    let is_said = step.text.to_ascii_lowercase().contains("nothing makes");
    if let Some(pod) = started.iter().find_map(|one| one.not_made_again(snap)).filter(|_| !is_said) {
        step.risk = Risk::Destructive;
        step.text = format!("{} Nothing makes pod {pod} again: save its manifest first.", step.text).trim().to_owned();
    }
    // What is not sent lies nowhere else.
    let sends = check.0 != "remote-write-failing";
    let Some(loss) = started.iter().find_map(|one| loss(snap, one, sends)) else { return };
    if loss.records {
        step.risk = Risk::Destructive;
    }
    let is_known = step.text.contains("emptyDir") || step.text.contains(" is lost") || said.contains(&loss.text);
    if !is_known {
        step.text = format!("{} {}", step.text, loss.text).trim().to_owned();
        said.push(loss.text);
    }
}

/// What a step starts over: pods that it deletes, and workloads and resources of the operator that it changes.
fn started(step: &Step) -> Vec<Started> {
    if step.risk < Risk::Disruptive {
        return Vec::new();
    }
    let starts = |call: &Call| match call.verb.as_str() {
        "delete" => call.kind == "pod",
        "scale" => call.stops,
        "rollout restart" | "rollout undo" | "edit" | "patch" => true,
        verb => verb.starts_with("set "),
    };
    let objects = |call: Call| {
        let Call { kind, namespace, names, stops, .. } = call;
        names.into_iter().filter_map(move |name| {
            let (kind, namespace) = (kind.clone(), namespace.clone());
            match kind.as_str() {
                "pod" => Some(Started::Pod { namespace, name }),
                "deployment" | "statefulset" | "daemonset" => Some(Started::Workload { kind, namespace, name, stops }),
                "prometheus" | "alertmanager" => Some(Started::Operated { kind, namespace, name }),
                _ => None,
            }
        })
    };
    Call::of_step(step).into_iter().filter(starts).flat_map(objects).collect()
}

/// The Deployments whose pods a step replaces: namespaces and names.
fn replaced(step: &Step) -> Vec<(String, String)> {
    if step.risk == Risk::ReadOnly {
        return Vec::new();
    }
    let replaces = |call: &Call| match call.verb.as_str() {
        "rollout restart" | "rollout undo" | "edit" => true,
        "set image" | "set env" | "set resources" | "set serviceaccount" => true,
        "patch" => call.text.contains("template"),
        _ => false,
    };
    let of_deployments = |call: &Call| call.kind == "deployment" && !call.namespace.is_empty();
    let calls = Call::of_step(step).into_iter().filter(|c| replaces(c) && of_deployments(c));
    calls.flat_map(|c| c.names.into_iter().map(move |name| (c.namespace.clone(), name))).collect()
}

/// The step for one Deployment, if it needs it.
fn recreate(snap: &Snapshot, check: CheckId, (namespace, name): &(String, String)) -> Option<Step> {
    let text = hazard(snap, namespace, name)?;
    let mut params = Params::default();
    params.set("name", name);
    params.set("namespace", namespace);
    let command = pages::command(RECREATE, &params).ok()?;
    Some(Step {
        kind: StepKind::Command,
        risk: Risk::Change,
        text,
        command,
        keeps: false,
        of: check,
        placeholders: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_replaces_the_pods_of_the_deployments_that_it_names() {
        let step = |command: &str| Step {
            kind: StepKind::Command,
            risk: Risk::Disruptive,
            text: String::new(),
            command: command.to_owned(),
            keeps: false,
            of: CheckId("crash-loop"),
            placeholders: Vec::new(),
        };
        let names = |command: &str| replaced(&step(command)).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(names("kubectl rollout restart deployment/a deployment/b -n m"), ["a", "b"]);
        assert_eq!(names("kubectl patch deployment a -n m -p '{\"spec\":{\"template\":{}}}'"), ["a"]);
        assert_eq!(names("kubectl get pods -n m && kubectl set image deployment/a c=x:1 -n m"), ["a"]);
        for other in [
            "kubectl patch deployment a -n m -p '{\"spec\":{\"replicas\":1}}'",
            "kubectl scale deployment/a -n m --replicas=0",
            "kubectl rollout restart statefulset/a -n m",
            "kubectl rollout restart deployment/a",
        ] {
            assert_eq!(names(other), Vec::<String>::new(), "{other}");
        }
    }
}
