//! A StatefulSet was mended, and the pod that does not work keeps the template of before.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::held_update::{self, Held, Hold};
use crate::domain::kubernetes::managed::managed_by;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    UpdateHeld {
        id: "update-held", suite: Workload, severity: Error,
        title: "a broken pod keeps a template that was changed since",
        requires: [Workloads, Pods],
        uses: [KubernetesVersion],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Delete {
        namespace: String,
        pods: Vec<String>,
        on_delete: bool,
    },
    Partition {
        namespace: String,
        pods: Vec<String>,
        set: String,
        /// The partition that begins at the lowest number of the pods that do not work.
        patch: String,
        /// Who keeps the StatefulSet; empty where nobody does.
        managed: String,
    },
}

impl Check for UpdateHeld {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.pods()?;
        let judged = snap.workloads()?.iter().filter(|w| snap.scope.is_judged(&w.metadata.namespace));
        let held = judged.filter_map(|w| held_update::of(snap, w));
        Ok(Diagnosis::Findings(held.filter_map(|h| finding(snap, &h)).collect()))
    }
}

fn finding(snap: &Snapshot, held: &Held<'_>) -> Option<Finding> {
    let first = *held.pods.first()?;
    let meta = &held.set.metadata;
    let names: Vec<String> = held.pods.iter().map(|p| p.metadata.name.clone()).collect();
    let change = held.differs.first()?;
    let more = match held.differs.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let why = match held.hold {
        Hold::OnDelete => "its updateStrategy is OnDelete".to_owned(),
        Hold::Partition(n) => format!("its partition keeps pods below number {n} as they are"),
        Hold::NotReady => "it waits for that very pod to become ready first".to_owned(),
    };
    let message = format!(
        "{} was changed ({}: {} → {}{more}), and {} which does not work, keeps the earlier template: {why}",
        held.set.reference(),
        change.field,
        shown(&change.before),
        shown(&change.after),
        match names.as_slice() {
            [one] => format!("pod {one},"),
            many => format!("{} of its pods,", many.len()),
        },
    );
    let severity = severity_of(snap, first, Severity::Error);
    let mut made = Finding::new(UpdateHeld::META.id, severity, held.set.reference(), message);
    let reproduce = "kubectl get statefulset {{ set }} -n {{ namespace }} -o jsonpath='{.status.updateRevision}{\"\\n\"}{.spec.template.spec}'";
    for (at, pod) in held.pods.iter().enumerate() {
        made = made.also(ResourceRef::pod(&meta.namespace, &pod.metadata.name));
        made = held_update::revision(pod).into_iter().fold(made, Finding::breaks);
        let revision = pod.metadata.label("controller-revision-hash").unwrap_or_default();
        let newest = held.set.status.update_revision.as_deref().unwrap_or_default();
        let differs = held.differs.iter().filter(|_| at == 0);
        let said: Vec<String> =
            differs.map(|d| format!("{}: {} → {}", d.field, shown(&d.before), shown(&d.after))).collect();
        let said = if said.is_empty() { String::new() } else { format!(" ({})", said.join("; ")) };
        made = made.evidence(
            Evidence::new(
                format!("Pod {}/{}, revision", meta.namespace, pod.metadata.name),
                format!("{revision}; the StatefulSet is at {newest}{said}"),
                reproduce,
            )
            .with("namespace", &meta.namespace)
            .with("set", &meta.name),
        );
    }
    let (namespace, set) = (meta.namespace.clone(), meta.name.clone());
    Some(made.fix(match held.hold {
        Hold::Partition(_) => Fix::Partition {
            namespace,
            pods: names,
            set,
            patch: partition(held.first_ordinal()),
            managed: managed_by(meta),
        },
        hold => Fix::Delete { namespace, pods: names, on_delete: hold == Hold::OnDelete },
    }))
}

fn partition(from: u64) -> String {
    json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": from}}}}).to_string()
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "none" } else { value }
}
