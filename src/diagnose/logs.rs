//! Commands that read the log of a workload with several pods read all of them: of those that elect a leader it is the one, and
//! of the others any, that says what is looked for. kubectl alone would choose one pod.

use regex::Captures;

use crate::checks::support::rollout::{Started, labels_of};
use crate::model::Finding;
use crate::pages::quote_shell;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Workload;
use crate::text::pattern::pattern;

/// Pods of a Deployment or StatefulSet up to which all are read: of more nobody reads what comes.
const MANY: u32 = 10;
/// The same of a DaemonSet, which has one on each node.
const MANY_NODES: u32 = 5;

/// Lets the commands of a fix read the logs of all pods.
pub(super) fn widen(snap: &Snapshot, finding: &mut Finding) {
    // One call, up to the end of the command or of its part of a pipe.
    let calls = pattern!(r"\bkubectl logs [^|;&\n]*");
    for step in finding.remediation.all_steps_mut() {
        if step.command.contains("kubectl logs ") {
            step.command = calls.replace_all(&step.command, |call: &Captures<'_>| of_all(snap, &call[0])).into_owned();
        }
    }
}

fn of_all(snap: &Snapshot, call: &str) -> String {
    widened(snap, call).unwrap_or_else(|| call.to_owned())
}

fn widened(snap: &Snapshot, call: &str) -> Option<String> {
    // Of most pods there is no log of a container before.
    if call.contains(" --previous") || call.contains(" -p ") {
        return None;
    }
    let named =
        pattern!(r" (deployment|daemonset|statefulset)(?:\.apps)?/([a-z0-9][a-z0-9.-]*)(?: |$)").captures(call)?;
    let placed = pattern!(r" -n ([a-z0-9][a-z0-9-]*)(?: |$)").captures(call)?;
    let (kind, name, namespace) = (&named[1], &named[2], &placed[1]);
    let started = Started::Workload {
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        stops: false,
    };
    let workload = started.workload(snap)?;
    let most = if kind == "daemonset" { MANY_NODES } else { MANY };
    let labels = selector(workload).filter(|_| (2..=most).contains(&workload.desired()))?;
    let word = named.get(0)?;
    let end = if word.as_str().ends_with(' ') { " " } else { "" };
    let prefix = if call.contains(" --prefix") { "" } else { " --prefix" };
    // With labels kubectl gives ten lines of each pod.
    let tail = if call.contains(" --tail") { "" } else { " --tail=-1" };
    // One pod that has no log yet is not to hide the others.
    let errors = if call.contains(" --ignore-errors") { "" } else { " --ignore-errors" };
    let (before, after) = (&call[..word.start()], &call[word.end()..]);
    Some(format!("{before} -l {labels}{prefix}{tail}{errors}{end}{after}"))
}

/// The labels that find the pods of a workload, as a word of the shell.
fn selector(workload: &Workload) -> Option<String> {
    let words = labels_of(workload)?;
    let is_plain = words.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=,".contains(c));
    let word = if is_plain { words } else { quote_shell(&words) };
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::snapshot::Listing;

    fn snapshot(replicas: u32) -> Snapshot {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let mut workload: Workload = serde_json::from_value(json!({
            "metadata": {"namespace": "kube-system", "name": "ebs-csi-controller"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "ebs-csi-controller"}}}
        }))
        .expect("a workload");
        workload.kind = "Deployment".into();
        snap.workloads = Listing::cluster(vec![workload]);
        snap
    }

    #[test]
    fn the_logs_of_all_pods_are_read_where_there_are_several() {
        let call = "kubectl logs -n kube-system deployment/ebs-csi-controller -c csi-attacher --since=5m ";
        assert_eq!(
            of_all(&snapshot(2), call),
            "kubectl logs -n kube-system -l app=ebs-csi-controller --prefix --tail=-1 --ignore-errors -c csi-attacher --since=5m "
        );
        assert_eq!(of_all(&snapshot(1), call), call);
        let short = "kubectl logs --tail=50 -n kube-system deployment/ebs-csi-controller";
        assert_eq!(
            of_all(&snapshot(2), short),
            "kubectl logs --tail=50 -n kube-system -l app=ebs-csi-controller --prefix --ignore-errors"
        );
        let mut others = snapshot(2);
        let selects = json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]});
        let mut workload = others.workloads.items().expect("workloads")[0].clone();
        workload.spec.selector = serde_json::from_value(selects).ok();
        others.workloads = Listing::cluster(vec![workload]);
        assert_eq!(
            of_all(&others, short),
            "kubectl logs --tail=50 -n kube-system -l 'app in (a,b)' --prefix --ignore-errors"
        );
        let hostile = json!({"matchLabels": {"app": "a' $(id) '"}});
        let mut workload = others.workloads.items().expect("workloads")[0].clone();
        workload.spec.selector = serde_json::from_value(hostile).ok();
        others.workloads = Listing::cluster(vec![workload]);
        let words = shlex::split(&of_all(&others, short)).expect("is shell");
        assert!(words.contains(&"app=a' $(id) '".to_owned()), "one word: {words:?}");
        assert_eq!(of_all(&snapshot(11), call), call, "too many");
        let before = "kubectl logs -n kube-system deployment/ebs-csi-controller --previous --tail=50";
        assert_eq!(of_all(&snapshot(2), before), before);
        for other in
            ["kubectl logs -n kube-system deployment/other", "kubectl logs -n other deployment/ebs-csi-controller"]
        {
            assert_eq!(of_all(&snapshot(2), other), other);
        }
    }
}
