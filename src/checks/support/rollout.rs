//! What a step that replaces a Deployment's pods has to reckon with.

use super::data;
use crate::domain::grafana::database;
use crate::domain::kubernetes::label_selector;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::{self, operator_owner};
use crate::domain::kubernetes::rollout::waits_for_itself;
use crate::domain::prometheus::running_config::sends_on;
use crate::domain::prometheus::server::Server;
use crate::domain::prometheus::tsdb::Place;
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod, Workload};

/// The labels that find the pods of a workload, as kubectl's `-l` takes them.
pub(crate) fn labels_of(workload: &Workload) -> Option<String> {
    Some(label_selector::words(workload.spec.selector.as_ref()?))
}

/// A Deployment whose new pod waits for what its old one holds, in words; `None` where a restart goes through.
pub(crate) fn hazard(snap: &Snapshot, namespace: &str, name: &str) -> Option<String> {
    let (workload, claim) = waits_for_itself(snap, namespace, name)?;
    let kept = match managed_by(&workload.metadata) {
        keeper if keeper.is_empty() => String::new(),
        keeper => format!(" It belongs to {keeper}: set the strategy there too."),
    };
    Some(format!(
        "Let the old pod go before the new one comes: {} mounts claim {claim}, which only one of them can have, and a rolling update would wait for it.{kept}",
        workload.kubectl_name()
    ))
}

/// What a program loses with its pod.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// More than what people set for a while: nothing brings it back.
    pub(crate) records: bool,
    /// In words.
    pub(crate) text: String,
}

/// What a step starts over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Started {
    Workload {
        kind: String,
        namespace: String,
        name: String,
        /// All replicas end at once.
        stops: bool,
    },
    /// A resource of the operator, by its kind as kubectl takes it.
    Operated {
        kind: String,
        namespace: String,
        name: String,
    },
    Pod {
        namespace: String,
        name: String,
    },
}

impl Started {
    /// The workload whose pods it is about.
    pub(crate) fn workload<'a>(&self, snap: &'a Snapshot) -> Option<&'a Workload> {
        let mut all = snap.workloads.items().ok()?.iter();
        match self {
            Self::Workload { kind, namespace, name, .. } => all.find(|w| {
                w.kind.eq_ignore_ascii_case(kind) && w.metadata.namespace == *namespace && w.metadata.name == *name
            }),
            Self::Operated { kind, namespace, name } => all.find(|w| {
                let of = operator_owner(&w.metadata);
                w.metadata.namespace == *namespace && of == Some((kind.as_str(), name.as_str()))
            }),
            Self::Pod { namespace, name } => {
                let pod = snap.pods.find(namespace, name).ok().flatten()?;
                owner::workload(snap, &snap.owner_ref(pod))
            }
        }
    }

    /// The pod that it deletes, where no controller recreates it.
    pub(crate) fn not_made_again<'a>(&self, snap: &'a Snapshot) -> Option<&'a str> {
        let Self::Pod { namespace, name } = self else { return None };
        let pod = snap.pods.find(namespace, name).ok().flatten()?;
        pod.metadata.controller().is_none().then_some(pod.metadata.name.as_str())
    }

    /// Whether it ends this pod.
    fn ends(&self, pod: &Pod) -> bool {
        match self {
            Self::Pod { name, .. } => pod.metadata.name == *name,
            _ => true,
        }
    }
}

/// What is lost when the pods of a workload are recreated; `None` where its data lasts, or is none yet. `sends` says whether
/// what Prometheus sends elsewhere gets there.
pub(crate) fn loss(snap: &Snapshot, started: &Started, sends: bool) -> Option<Loss> {
    let workload = started.workload(snap)?;
    let spec = &workload.spec.template.spec;
    let (container, data) = data::of(spec)?;
    let place = match data.place {
        Place::EmptyDir(_) => "an emptyDir",
        Place::Container => "the container's own file system",
        Place::Claim(_) | Place::Other => return None,
    };
    let mut pods = snap.pods_of_workload(workload).filter(|p| started.ends(p)).peekable();
    let ran = pods.peek().is_none()
        || pods.any(|p| p.status.container_statuses.iter().any(|s| s.ready || s.restart_count > 0));
    let elsewhere = |program| lasts_elsewhere(snap, started, workload, container, program, sends);
    if !ran || data.program.is_some_and(elsewhere) {
        return None;
    }
    // What a store of several members holds may be with another, too.
    let others =
        data.program.is_none() && workload.desired() > 1 && !matches!(started, Started::Workload { stops: true, .. });
    let unless = if others { ", unless another member has it" } else { "" };
    Some(Loss {
        records: data.program != Some(Program::Alertmanager),
        text: format!("Its data lies in {place}: {} gone with the pod{unless}.", data.what),
    })
}

/// Another place has the data as well: a database, other members, or whom Prometheus sends its samples to.
fn lasts_elsewhere(
    snap: &Snapshot,
    started: &Started,
    workload: &Workload,
    container: &Container,
    program: Program,
    sends: bool,
) -> bool {
    match program {
        // The members of a cluster tell each other, while one of them runs.
        Program::Alertmanager if matches!(started, Started::Workload { stops: true, .. }) => false,
        Program::Alertmanager => workload.kind == "StatefulSet" && workload.spec.replicas.is_some_and(|n| n > 1),
        Program::Prometheus => {
            sends && sends_on(snap, Server { workload, container })
                || workload.spec.template.spec.containers.iter().any(|c| c.image.contains("thanos"))
        }
        Program::Grafana => database::may_be_on_server(snap, workload, container),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::snapshot::Listing;

    fn of(volume: &Value, env: &Value) -> Option<Loss> {
        let container = json!({"name": "grafana", "image": "grafana/grafana:12.0.0", "env": env,
                "volumeMounts": [{"name": "storage", "mountPath": "/var/lib/grafana"}]});
        of_container(volume, &container, 1)
    }

    fn of_container(volume: &Value, container: &Value, replicas: u32) -> Option<Loss> {
        let mut snap = Snapshot::empty("2026-11-21T12:00:00Z".parse().expect("a time"));
        let made = json!({"metadata": {"name": "grafana", "namespace": "m"},
            "spec": {"replicas": replicas, "template": {"spec": {"volumes": [volume], "containers": [container]}}}});
        let workload: Workload = serde_json::from_value(made).expect("a workload");
        snap.workloads = Listing::cluster(vec![Workload { kind: "Deployment".into(), ..workload }]);
        let started = Started::Workload {
            kind: "deployment".into(),
            namespace: "m".into(),
            name: "grafana".into(),
            stops: false,
        };
        loss(&snap, &started, true)
    }

    #[test]
    fn what_lasts_is_not_lost() {
        let claim = json!({"name": "storage", "persistentVolumeClaim": {"claimName": "grafana"}});
        let empty = json!({"name": "storage", "emptyDir": {}});
        assert_eq!(of(&claim, &json!([])), None);
        assert_eq!(of(&empty, &json!([{"name": "GF_DATABASE_TYPE", "value": "postgres"}])), None);
        let lost = of(&empty, &json!([])).expect("a loss");
        assert!(lost.text.contains("an emptyDir") && lost.text.contains("API keys"), "{}", lost.text);
    }
    #[test]
    fn what_a_store_has_not_sent_is_lost() {
        let empty = json!({"name": "storage", "emptyDir": {}});
        let store = |image: &str, args: &[&str], path: &str| json!({"name": "x", "image": image, "args": args, "volumeMounts": [{"name": "storage", "mountPath": path}]});
        let lost = |container: &Value, replicas| of_container(&empty, container, replicas).map(|l| (l.records, l.text));
        let loki = store("grafana/loki:3.4.2", &["-config.file=/etc/loki/config.yaml"], "/var/loki");
        let (records, text) = lost(&loki, 1).expect("a loss");
        assert!(
            records && text.contains("logs that it has not sent to a bucket") && text.ends_with("the pod."),
            "{text}"
        );
        assert!(lost(&loki, 3).is_some_and(|(_, text)| text.ends_with("unless another member has it.")));
        // Who only asks keeps nothing, and a folder that is not known tells nothing.
        assert_eq!(lost(&store("grafana/loki:3.4.2", &["-target=querier"], "/var/loki"), 1), None);
        assert_eq!(lost(&store("grafana/loki:3.4.2", &["-target=write"], "/tmp"), 1), None);
        assert!(lost(&store("quay.io/thanos/thanos:v0.38.0", &["receive", "--tsdb.path=/x"], "/x"), 1).is_some());
        assert_eq!(lost(&store("quay.io/thanos/thanos:v0.38.0", &["store", "--data-dir=/x"], "/x"), 1), None);
        assert!(
            lost(&store("victoriametrics/victoria-metrics:v1.110.0", &["--storageDataPath=/s"], "/s"), 1).is_some()
        );
        let claim = json!({"name": "storage", "persistentVolumeClaim": {"claimName": "loki"}});
        assert_eq!(of_container(&claim, &loki, 1), None);
    }
}
