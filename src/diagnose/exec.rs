//! Commands that run a tool in a container whose image has none (distroless, Ubuntu without wget) run it in a container that
//! `kubectl debug` puts beside it: in the same pod, with its network, its names and, where files are looked at, its files.

use regex::Captures;

use crate::checks::support::rollout::{Started, labels_of};
use crate::model::{Finding, Step};
use crate::pages::quote_shell;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod, Workload};
use crate::text::pattern::pattern;

/// What has the tools that an image lacks.
const BUSYBOX: &str = "busybox:1.36";

/// Lets the commands of a fix bring the tools that an image lacks.
pub(super) fn equip(snap: &Snapshot, finding: &mut Finding) {
    for step in finding.remediation.all_steps_mut() {
        if step.kind.is_shell() && step.command.contains("kubectl exec ") {
            equip_step(snap, step);
        }
    }
}

fn equip_step(snap: &Snapshot, step: &mut Step) {
    let calls = pattern!(
        r"\bkubectl exec -n (?P<namespace>[a-z0-9-]+) (?P<target>[a-z0-9./-]+)(?: -c (?P<container>[a-z0-9-]+))? -- (?P<run>(?P<tool>[a-z]+)\b(?:'[^'\n]*'|[^|;&\n'])*)"
    );
    let mut said = "";
    let command = calls.replace_all(&step.command, |call: &Captures<'_>| {
        let made = equipped(snap, &step.command, call);
        said = made.as_ref().map_or(said, |made| made.1);
        made.map_or_else(|| call[0].to_owned(), |(made, _)| made)
    });
    step.command = command.into_owned();
    if !said.is_empty() {
        step.text = format!("{} {said}", step.text).trim_start().to_owned();
    }
}

/// The call as it can be run, and what is said of it.
fn equipped(snap: &Snapshot, command: &str, call: &Captures<'_>) -> Option<(String, &'static str)> {
    const NETWORK: &str = "The image has no such tool: `kubectl debug` adds a container to the pod for it, which ends at once and stays listed until the pod goes. Where Docker Hub is not reached (a closed VPC), name an image that the cluster can pull.";
    const FILES: &str = "The image has no such tool: `kubectl debug` adds a container to the pod for it, which sees the files below /proc/1/root, ends at once and stays listed until the pod goes. Where Docker Hub is not reached (a closed VPC), name an image that the cluster can pull.";
    const SHELL: &str =
        "The image has no shell: this needs its variant that has one (mostly the tag without `-distroless`).";
    let (namespace, target, tool) = (&call["namespace"], &call["target"], &call["tool"]);
    let run = &call["run"];
    let there = Place::of(snap, namespace, target)?;
    let container = there.container(call.name("container").map(|c| c.as_str()))?;
    let (name, bare) = (&container.name, container.lacks_shell());
    // As another user than root it needs no rights, and is let into every namespace.
    let debug = |image: &str, otherwise: &str, more: &str| {
        let pod = there.pod(namespace);
        let profile = if there.is_not_root() { "restricted" } else { otherwise };
        format!("kubectl debug -n {namespace} {pod} -i --image={image}{more} --profile={profile} --")
    };
    match tool {
        "wget" | "nslookup" if container.lacks_wget() => {
            Some((format!("{} {run}", debug(BUSYBOX, "baseline", "")), NETWORK))
        }
        // A script that only asks for names needs nothing of the image.
        "sh" if container.lacks_wget() && run.contains("nslookup ") => {
            Some((format!("{} {run}", debug(BUSYBOX, "baseline", "")), NETWORK))
        }
        "cat" | "df" | "du" | "grep" | "kill" | "ls" if bare => {
            // df looks for the mount, which is another container's.
            let run = run.replacen("df -h ", "stat -f ", usize::from(tool == "df"));
            let files = pattern!(r"(?P<before>^| |')/").replace_all(&run, "${before}/proc/1/root/");
            Some((format!("{} {files}", debug(BUSYBOX, "general", &format!(" --target={name}"))), FILES))
        }
        // The variant with a shell has the program's own tools, too.
        "sh" if bare => match container.image.strip_suffix("-distroless").filter(|_| command.contains("amtool ")) {
            Some(image) => Some((format!("{} {run}", debug(&quote_shell(image), "baseline", "")), NETWORK)),
            None => Some((call[0].to_owned(), SHELL)),
        },
        _ => None,
    }
}

/// Where a command is run.
enum Place<'a> {
    Pod(&'a Pod),
    Workload(&'a Workload),
}

impl<'a> Place<'a> {
    fn of(snap: &'a Snapshot, namespace: &str, target: &str) -> Option<Self> {
        match target.split_once('/') {
            Some((kind, name)) if kind != "pod" => {
                let (kind, namespace, name) = (kind.to_owned(), namespace.to_owned(), name.to_owned());
                let workload = Started::Workload { kind, namespace, name, stops: false }.workload(snap);
                // Without a selector nobody knows which pods are its own.
                workload.filter(|w| labels_of(w).is_some_and(|l| !l.is_empty())).map(Self::Workload)
            }
            _ => {
                let name = target.strip_prefix("pod/").unwrap_or(target);
                snap.pods.find(namespace, name).ok().flatten().map(Self::Pod)
            }
        }
    }

    /// Its pods run as somebody, whatever the image says.
    fn is_not_root(&self) -> bool {
        let spec = match self {
            Self::Pod(pod) => &pod.spec,
            Self::Workload(workload) => &workload.spec.template.spec,
        };
        spec.security_context.as_ref().and_then(|c| c.run_as_user).is_some_and(|user| user != 0)
    }

    /// The container of this name, else the first.
    fn container(&self, name: Option<&str>) -> Option<&'a Container> {
        let all = match self {
            Self::Pod(pod) => &pod.spec.containers,
            Self::Workload(workload) => &workload.spec.template.spec.containers,
        };
        match name {
            Some(name) => all.iter().find(|c| c.name == name),
            None => all.first(),
        }
    }

    /// One pod, as a word: kubectl chooses none of a workload for this.
    fn pod(&self, namespace: &str) -> String {
        match self {
            Self::Pod(pod) => pod.metadata.name.clone(),
            Self::Workload(workload) => {
                let labels = quote_shell(&labels_of(workload).unwrap_or_default());
                format!(
                    "\"$(kubectl get pods -n {namespace} -l {labels} --field-selector=status.phase=Running -o name | head -n 1)\""
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{CheckId, Risk, StepKind};
    use crate::snapshot::Listing;

    fn snapshot(image: &str) -> Snapshot {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let containers = json!([{"name": "main", "image": image}, {"name": "other", "image": "nginx:1"}]);
        let pod = json!({"metadata": {"namespace": "m", "name": "p-0"}, "spec": {"containers": containers}});
        snap.pods = Listing::cluster(vec![serde_json::from_value(pod).expect("a pod")]);
        let mut workload: Workload = serde_json::from_value(json!({
            "metadata": {"namespace": "m", "name": "w"},
            "spec": {"selector": {"matchLabels": {"app": "w"}}, "template": {"spec": {"containers": containers}}}
        }))
        .expect("a workload");
        workload.kind = "Deployment".into();
        snap.workloads = Listing::cluster(vec![workload]);
        snap
    }

    fn step(image: &str, command: &str) -> Step {
        let mut step = Step {
            kind: StepKind::Command,
            risk: Risk::ReadOnly,
            text: "Does it answer?".into(),
            command: command.into(),
            keeps: false,
            of: CheckId("x"),
            placeholders: Vec::new(),
        };
        equip_step(&snapshot(image), &mut step);
        step
    }

    #[test]
    fn what_has_no_wget_gets_one_beside_it() {
        let call = "kubectl exec -n m p-0 -c main -- wget -qO- http://a:1/";
        for image in ["grafana/loki:3.5.8", "grafana/grafana:12.3.0-ubuntu"] {
            let made = step(image, call);
            assert_eq!(
                made.command,
                "kubectl debug -n m p-0 -i --image=busybox:1.36 --profile=baseline -- wget -qO- http://a:1/"
            );
            assert!(made.text.starts_with("Does it answer? The image has no such tool"), "{}", made.text);
        }
        let made = step("prom/prometheus:v3.5.0", call);
        assert_eq!((made.command.as_str(), made.text.as_str()), (call, "Does it answer?"));
        let other = "kubectl exec -n m p-0 -c other -- nslookup a | grep b";
        assert_eq!(step("grafana/loki:3.5.8", other).command, other);
    }

    #[test]
    fn who_is_not_root_asks_for_no_rights() {
        let mut snap = snapshot("prom/prometheus:v3.10.0-distroless");
        let mut pods = snap.pods.items().expect("pods").to_vec();
        pods[0].spec.security_context = serde_json::from_value(json!({"runAsUser": 1000})).expect("a context");
        snap.pods = Listing::cluster(pods);
        let mut made = step("x", "kubectl exec -n m p-0 -c main -- df -h /prometheus");
        equip_step(&snap, &mut made);
        assert_eq!(
            made.command,
            "kubectl debug -n m p-0 -i --image=busybox:1.36 --target=main --profile=restricted -- stat -f /proc/1/root/prometheus"
        );
    }

    #[test]
    fn of_a_workload_one_pod_is_chosen() {
        let made = step("prom/prometheus:v3.10.0-distroless", "kubectl exec -n m deployment/w -- nslookup a && true");
        assert_eq!(
            made.command,
            "kubectl debug -n m \"$(kubectl get pods -n m -l 'app=w' --field-selector=status.phase=Running -o name | head -n 1)\" -i --image=busybox:1.36 --profile=baseline -- nslookup a && true"
        );
    }

    #[test]
    fn files_are_those_of_the_container_beside() {
        let bare = "quay.io/prometheus/alertmanager:v0.33.0-distroless";
        let made = step(bare, "kubectl exec -n m p-0 -c main -- ls -lan /alertmanager '/a b'");
        assert_eq!(
            made.command,
            "kubectl debug -n m p-0 -i --image=busybox:1.36 --target=main --profile=general -- ls -lan /proc/1/root/alertmanager '/proc/1/root/a b'"
        );
        let made = step(bare, "kubectl exec -n m p-0 -c main -- grep -rE 'name:|uid:' /etc/grafana | head -n 3");
        assert!(
            made.command.ends_with("--profile=general -- grep -rE 'name:|uid:' /proc/1/root/etc/grafana | head -n 3"),
            "{}",
            made.command
        );
        let own = "kubectl exec -n m p-0 -c main -- amtool --alertmanager.url=http://localhost:9093 config show";
        assert_eq!(step(bare, own).command, own);
        let trusting = "kubectl exec -n m p-0 -c main -- sh -c 'echo x | amtool \"$@\"' amtool config show";
        assert_eq!(
            step(bare, trusting).command,
            "kubectl debug -n m p-0 -i --image=quay.io/prometheus/alertmanager:v0.33.0 --profile=baseline -- sh -c 'echo x | amtool \"$@\"' amtool config show"
        );
        let names = step(bare, "kubectl exec -n m p-0 -c main -- sh -c 'nslookup \"$1\"; nslookup \"$1\".' sh a.b");
        assert!(names.command.ends_with("--profile=baseline -- sh -c 'nslookup \"$1\"; nslookup \"$1\".' sh a.b"));
        let script = "kubectl exec -n m p-0 -c main -- sh -c 'id'";
        let made = step(bare, script);
        assert!(made.command == script && made.text.contains("has no shell"), "{made:?}");
    }
}
