//! CoreDNS runs, and its readiness probe finds nobody who answers: the plugin `ready` is not in its Corefile.

use super::fix::{Fix, Names};
use super::{CorednsFailing, NAMESPACE, is_image};
use crate::checks::support::located::Text;
use crate::checks::support::seen::event_evidence;
use crate::domain::kubernetes::cluster_dns::has_plugin;
use crate::domain::kubernetes::owner::keeper;
use crate::domain::text::windows::{GRACE, RECENT};
use crate::model::{Evidence, Finding, Location, ResourceRef, Severity};
use crate::snapshot::kubernetes::{ConfigMap, Event, Pod};
use crate::snapshot::{Snapshot, journal};

/// The path at which the plugin answers.
const PATH: &str = "/ready";

/// The finding, where a Corefile was read that does not have it.
pub(super) fn finding(snap: &Snapshot) -> Option<Finding> {
    let pods = snap.pods.items().ok()?.iter();
    let own =
        pods.filter(|p| p.metadata.namespace == NAMESPACE && p.spec.containers.iter().any(|c| is_image(&c.image)));
    let unready: Vec<(&Pod, &Event)> = own.clone().filter_map(|p| Some((p, unanswered(snap, p)?))).collect();
    let (first, event) = *unready.first()?;
    // Without its file nobody knows.
    let map = journal::aside(|| corefile(snap, first))?;
    let text = map.data.get("Corefile")?;
    // What it imports may have it.
    if has_plugin(text, "ready") || has_plugin(text, "import") {
        return None;
    }
    let workload = snap.owner_ref(first);
    let serves = own.into_iter().any(|p| p.is_ready() && p.metadata.deletion_timestamp.is_none());
    let severity = if serves { Severity::Warning } else { Severity::Error };
    let names = Names::of(snap, &workload);
    let message = format!(
        "{workload} runs and never becomes ready: its readiness probe asks {PATH}, which the plugin `ready` answers, and its Corefile (ConfigMap {}) does not have it",
        map.metadata.name
    );
    let mut made = Finding::new(CorednsFailing::META.id, severity, workload.clone(), message)
        .key("ready")
        .breaks(workload)
        .evidence(event_evidence(event))
        .evidence(
            Evidence::new(
                format!("ConfigMap {NAMESPACE}/{}, Corefile", map.metadata.name),
                text.trim(),
                "kubectl get configmap {{ map }} -n kube-system -o jsonpath='{.data.Corefile}'",
            )
            .with("map", &map.metadata.name),
        )
        .fix(Fix::Ready {
            of: names.kept(),
            map: map.metadata.name.clone(),
            reloads: has_plugin(text, "reload"),
            map_managed: keeper(&map.metadata),
        });
    // There the plugin is to stand.
    made.locations.extend(place(map, |line| line.trim_end().ends_with('{')));
    for (pod, _) in unready {
        made = made.breaks(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
    }
    Some(made)
}

/// That nobody answers the readiness probe of a pod that has had its time.
fn unanswered<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<&'a Event> {
    if pod.is_ready() || pod.status.phase != "Running" || snap.age_seconds(&pod.metadata) < GRACE {
        return None;
    }
    let asks = |c: &crate::snapshot::kubernetes::Container| {
        c.readiness_probe.as_ref().and_then(|p| p.http_get.as_ref()).is_some_and(|g| g.path.as_deref() == Some(PATH))
    };
    if !pod.spec.containers.iter().any(asks) {
        return None;
    }
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    let lost = |e: &&Event| {
        e.reason == "Unhealthy"
            && e.message.starts_with("Readiness probe failed")
            && (e.message.contains("connection refused") || e.message.contains("statuscode: 404"))
    };
    events.into_iter().find(lost).filter(|e| e.times() > 1)
}

/// The ConfigMap of its Corefile.
pub(super) fn corefile<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<&'a ConfigMap> {
    let names = pod.spec.volumes.iter().filter_map(|v| v.config_map.as_ref()).map(|m| m.name.as_str());
    let maps = names.filter_map(|name| snap.config_maps.find(NAMESPACE, name).ok().flatten());
    maps.into_iter().find(|m| m.data.contains_key("Corefile"))
}

/// The first line of a Corefile that is meant.
pub(super) fn place(map: &ConfigMap, is_meant: impl Fn(&str) -> bool) -> Option<Location> {
    let text = map.data.get("Corefile")?;
    Text { map: &map.reference(), key: "Corefile", text }.first_line(is_meant)
}
