//! Which labels of Kubernetes' objects kube-state-metrics shows.

use regex::Regex;

use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::parts::{self, Part};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Workload};

/// The argument that names labels, and the one that names annotations.
const LABELS: &str = "metric-labels-allowlist";
const ANNOTATIONS: &str = "metric-annotations-allowlist";
/// The arguments that say which metrics, and which objects, there are at all.
const ALLOWED: &str = "metric-allowlist";
pub(crate) const DENIED: &str = "metric-denylist";
pub(crate) const RESOURCES: &str = "resources";

/// Objects as kube-state-metrics' names have them.
const OBJECTS: &[&str] = &[
    "certificatesigningrequest",
    "clusterrole",
    "clusterrolebinding",
    "configmap",
    "cronjob",
    "daemonset",
    "deployment",
    "endpoint",
    "endpointslice",
    "horizontalpodautoscaler",
    "ingress",
    "ingressclass",
    "job",
    "lease",
    "limitrange",
    "mutatingwebhookconfiguration",
    "namespace",
    "networkpolicy",
    "node",
    "persistentvolume",
    "persistentvolumeclaim",
    "pod",
    "poddisruptionbudget",
    "replicaset",
    "replicationcontroller",
    "resourcequota",
    "role",
    "rolebinding",
    "secret",
    "service",
    "serviceaccount",
    "statefulset",
    "storageclass",
    "validatingwebhookconfiguration",
    "volumeattachment",
];

/// A label that a rule asks for and kube-state-metrics does not show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hidden {
    /// As the argument calls the objects: `pods`.
    pub(crate) resource: String,
    /// As the metric has it: `label_team`; empty where the metric itself is missing.
    pub(crate) label: String,
    /// The argument without its dashes.
    pub(crate) argument: &'static str,
}

/// The kube-state-metrics of the stack, where there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) workload: &'a Workload,
    pub(crate) container: &'a Container,
}

impl<'a> Shown<'a> {
    /// By its workloads; `None` where none is seen, or several show different things.
    pub(crate) fn of(snap: &'a Snapshot) -> Option<Self> {
        let mut all = parts::all(snap).into_iter().filter(|(part, _)| *part == Part::KubeStateMetrics);
        let (_, workload) = all.next()?;
        let containers = &workload.spec.template.spec.containers;
        let container = containers.iter().find(|c| c.image.contains("kube-state-metrics"))?;
        all.next().is_none().then_some(Self { workload, container })
    }

    /// What an argument names: `pods=[team,app],nodes=[*]`.
    pub(crate) fn named(self, argument: &str) -> String {
        arguments::flags(self.container, argument).collect::<Vec<_>>().join(",")
    }

    /// The label of a metric that it does not show; of the metric as a whole where no label is given.
    pub(crate) fn hides(self, metric: &str, label: Option<&str>) -> Option<Hidden> {
        let inner = metric.strip_prefix("kube_")?;
        let (object, argument, prefix) = inner
            .strip_suffix("_labels")
            .map(|object| (object, LABELS, "label_"))
            .or_else(|| inner.strip_suffix("_annotations").map(|object| (object, ANNOTATIONS, "annotation_")))?;
        let asked = match label {
            Some(label) => Some(label.strip_prefix(prefix)?),
            None => None,
        };
        let resource = plural(object);
        let allowed = allowed(&self.named(argument), &resource);
        let is_shown = match asked {
            Some(asked) => allowed.iter().any(|a| a == "*" || plain(a) == plain(asked)),
            None => !allowed.is_empty(),
        };
        let label = label.unwrap_or_default().to_owned();
        (!is_shown).then_some(Hidden { resource, label, argument })
    }

    /// The argument that leaves a metric out as a whole: it names others only, names it, or names other objects only.
    pub(crate) fn leaves_out(self, metric: &str) -> Option<&'static str> {
        let object = metric.strip_prefix("kube_")?.split('_').next()?;
        // Its own counters, and those of the API server and the scheduler, begin alike.
        if !OBJECTS.contains(&object) || metric.starts_with("kube_pod_resource_") {
            return None;
        }
        let lists = |argument: &str| {
            let value = self.named(argument);
            let patterns = value.split(',').map(str::trim).filter(|p| !p.is_empty());
            patterns.map(|p| Regex::new(&format!("^(?:{p})$"))).collect::<Result<Vec<_>, _>>().ok()
        };
        let named = |patterns: &[Regex]| patterns.iter().any(|p| p.is_match(metric));
        let (allowed, denied) = (lists(ALLOWED)?, lists(DENIED)?);
        if !allowed.is_empty() && !named(&allowed) {
            return Some(ALLOWED);
        }
        if named(&denied) {
            return Some(DENIED);
        }
        let resources = self.named(RESOURCES);
        let mut resources = resources.split(',').map(str::trim).filter(|r| !r.is_empty()).peekable();
        let of_others = resources.peek().is_some() && !resources.any(|r| r == plural(object));
        of_others.then_some(RESOURCES)
    }

    /// What such an argument has to list for the metric to be there.
    pub(crate) fn letting_in(self, argument: &'static str, metric: &str) -> Vec<String> {
        let now = self.named(argument);
        let kept = now.split(',').map(str::trim).filter(|e| !e.is_empty());
        let matches = |pattern: &&str| Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|p| p.is_match(metric));
        let more = match argument {
            DENIED => return kept.filter(|p| !matches(p)).map(str::to_owned).collect(),
            RESOURCES => plural(metric.trim_start_matches("kube_").split('_').next().unwrap_or_default()),
            _ => metric.to_owned(),
        };
        kept.map(str::to_owned).chain([more]).collect()
    }

    /// The argument's value with one more label.
    pub(crate) fn with(self, hidden: &Hidden, key: &str) -> String {
        let now = self.named(hidden.argument);
        let mut kept: Vec<String> = entries(&now)
            .filter(|(resource, _)| *resource != hidden.resource)
            .map(|(resource, keys)| format!("{resource}=[{keys}]"))
            .collect();
        let before = allowed(&now, &hidden.resource).into_iter().filter(|k| k != key);
        let keys: Vec<String> = before.chain([key.to_owned()]).collect();
        kept.push(format!("{}=[{}]", hidden.resource, keys.join(",")));
        kept.join(",")
    }
}

/// The key that a label of a metric stands for, where an object has it: `app_kubernetes_io_name` is
/// `app.kubernetes.io/name`. Pods and workloads are looked at.
pub(crate) fn key_of(snap: &Snapshot, label: &str) -> Option<String> {
    let asked = plain(label.strip_prefix("label_")?);
    let pods = snap.pods.items().unwrap_or_default().iter().flat_map(|p| p.metadata.labels.keys());
    let workloads = snap.workloads.items().unwrap_or_default().iter().flat_map(|w| w.metadata.labels.keys());
    pods.chain(workloads).find(|key| plain(key) == asked).cloned()
}

/// `resource=[keys]` of an argument.
fn entries(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.split("],").filter_map(|entry| {
        let (resource, keys) = entry.split_once("=[")?;
        Some((resource.trim_start_matches(',').trim(), keys.trim_end_matches(']')))
    })
}

fn allowed(value: &str, resource: &str) -> Vec<String> {
    let of = entries(value).filter(|(named, _)| *named == resource || *named == "*");
    of.flat_map(|(_, keys)| keys.split(',')).map(|k| k.trim().to_owned()).filter(|k| !k.is_empty()).collect()
}

/// Without what Prometheus does not take in names, and without case: kube-state-metrics writes `teamName` as `team_name`.
fn plain(key: &str) -> String {
    key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn plural(object: &str) -> String {
    match object {
        o if o.ends_with("ss") => format!("{o}es"),
        o if o.ends_with('y') => format!("{}ies", o.trim_end_matches('y')),
        o if o.ends_with('s') => o.to_owned(),
        o => format!("{o}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(args: &[&str]) -> Option<Hidden> {
        let workload = Workload::default();
        let args = args.iter().map(|a| (*a).to_owned()).collect();
        let container = Container { args, ..Container::default() };
        Shown { workload: &workload, container: &container }.hides("kube_pod_labels", Some("label_team"))
    }

    #[test]
    fn what_is_allowed_is_shown() {
        for args in [
            "--metric-labels-allowlist=pods=[app,team],nodes=[*]",
            "--metric-labels-allowlist=nodes=[x],pods=[*]",
            "--metric-labels-allowlist=*=[*]",
        ] {
            assert_eq!(shown(&[args]), None, "{args}");
        }
        assert!(shown(&[]).is_some_and(|h| h.resource == "pods" && h.argument == LABELS));
        assert!(shown(&["--metric-labels-allowlist=nodes=[team]"]).is_some());
        assert!(shown(&["--metric-annotations-allowlist=pods=[team]"]).is_some());
    }

    #[test]
    fn metrics_that_are_left_out_are_told_by_the_argument() {
        let workload = Workload::default();
        let of = |args: &[&str], metric: &str| {
            let args = args.iter().map(|a| (*a).to_owned()).collect();
            let container = Container { args, ..Container::default() };
            let shown = Shown { workload: &workload, container: &container };
            shown.leaves_out(metric).map(|a| (a, shown.letting_in(a, metric)))
        };
        assert_eq!(of(&[], "kube_job_status_failed"), None);
        assert_eq!(of(&["--metric-allowlist=kube_pod_.*,kube_job_.*"], "kube_job_status_failed"), None);
        assert_eq!(
            of(&["--metric-allowlist=kube_pod_.*"], "kube_job_status_failed"),
            Some(("metric-allowlist", vec!["kube_pod_.*".to_owned(), "kube_job_status_failed".to_owned()]))
        );
        assert_eq!(
            of(&["--metric-denylist=kube_secret_.*,kube_job_.*"], "kube_job_status_failed"),
            Some(("metric-denylist", vec!["kube_secret_.*".to_owned()]))
        );
        assert_eq!(
            of(&["--resources=pods,nodes"], "kube_job_status_failed"),
            Some(("resources", vec!["pods".to_owned(), "nodes".to_owned(), "jobs".to_owned()]))
        );
        assert_eq!(of(&["--resources=pods,jobs"], "kube_job_status_failed"), None);
        assert_eq!(of(&["--resources=pods"], "node_load1"), None, "of another exporter");
        assert_eq!(of(&["--resources=pods"], "kube_state_metrics_list_total"), None, "of itself");
        assert_eq!(of(&["--metric-allowlist=("], "kube_job_status_failed"), None, "no regular expression");
    }

    #[test]
    fn what_is_allowed_stays_so() {
        let workload = Workload::default();
        let args = vec!["--metric-labels-allowlist=nodes=[zone],pods=[app]".to_owned()];
        let container = Container { args, ..Container::default() };
        let shown = Shown { workload: &workload, container: &container };
        let hidden = shown.hides("kube_pod_labels", Some("label_team")).expect("not allowed");
        assert_eq!(shown.with(&hidden, "team"), "nodes=[zone],pods=[app,team]");
        assert_eq!(shown.hides("kube_ingress_labels", None).map(|h| h.resource).as_deref(), Some("ingresses"));
        assert_eq!(shown.hides("kube_pod_info", Some("label_team")), None);
        assert_eq!(shown.hides("kube_pod_labels", Some("pod")), None);
    }
}
