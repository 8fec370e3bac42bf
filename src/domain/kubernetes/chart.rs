//! Charts: which one a release was installed from, and where it keeps the storage of its parts in its values.

use crate::domain::kubernetes::managed::release;
use crate::domain::kubernetes::releases;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Meta;

/// Value paths of one part's storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StorageValues {
    /// Path of the StorageClass.
    pub(crate) class: String,
    /// Path of the size.
    pub(crate) size: String,
    /// Path that switches a claim on; `None` where naming it is enough.
    pub(crate) enable: Option<String>,
}

/// The chart of an object: `helm.sh/chart`, or the label of older charts; its version where the label has one.
fn label_of(meta: &Meta) -> Option<(&str, &str)> {
    let label = meta.label("helm.sh/chart").or(meta.label("chart"))?;
    let is_version = |text: &str| text.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    Some(label.rsplit_once('-').filter(|(_, version)| is_version(version)).unwrap_or((label, "")))
}

/// The chart of an object without its version.
pub(crate) fn chart_of(meta: &Meta) -> Option<String> {
    label_of(meta).map(|(name, _)| name.to_owned())
}

/// Where the storage of the part that an object is of lies in the values of the release that made it. Charts that are part
/// of another one have their values below their own name.
pub(crate) fn storage_values(snap: &Snapshot, meta: &Meta) -> Option<StorageValues> {
    let chart = chart_of(meta)?;
    let mut found = own_values(&chart, part(meta))?;
    if parent(snap, meta, &chart).is_some() {
        let prefix = |path: &mut String| *path = format!("{chart}.{path}");
        prefix(&mut found.class);
        prefix(&mut found.size);
        if let Some(enable) = &mut found.enable {
            prefix(enable);
        }
    }
    Some(found)
}

/// What an object is in its chart.
fn part(meta: &Meta) -> &str {
    let label = |key: &str| meta.label(key).unwrap_or_default();
    let component = match label("app.kubernetes.io/component") {
        "" => label("component"),
        named => named,
    };
    match (component, label("app.kubernetes.io/name")) {
        ("", "") => meta.label("app").unwrap_or_default(),
        ("", name) => name,
        (component, _) => component,
    }
}

fn own_values(chart: &str, part: &str) -> Option<StorageValues> {
    let values = |class: &str, size: &str, enable: Option<&str>| StorageValues {
        class: class.to_owned(),
        size: size.to_owned(),
        enable: enable.map(str::to_owned),
    };
    let simple = |prefix: &str, class: &str| {
        values(&format!("{prefix}.{class}"), &format!("{prefix}.size"), Some(&format!("{prefix}.enabled")))
    };
    let template = |prefix: &str| {
        let spec = format!("{prefix}.volumeClaimTemplate.spec");
        values(&format!("{spec}.storageClassName"), &format!("{spec}.resources.requests.storage"), None)
    };
    Some(match (chart, part) {
        ("prometheus", "alertmanager") => simple("alertmanager.persistence", "storageClass"),
        ("prometheus", "server" | "prometheus") => simple("server.persistentVolume", "storageClass"),
        ("kube-prometheus-stack", part) if part.contains("alertmanager") => {
            template("alertmanager.alertmanagerSpec.storage")
        }
        ("kube-prometheus-stack", part) if part.contains("thanos-ruler") => {
            template("thanosRuler.thanosRulerSpec.storage")
        }
        ("kube-prometheus-stack", part) if part.contains("prometheus") => {
            template("prometheus.prometheusSpec.storageSpec")
        }
        ("alertmanager", _) => simple("persistence", "storageClass"),
        ("grafana", _) => simple("persistence", "storageClassName"),
        ("prometheus-pushgateway", _) => simple("persistentVolume", "storageClass"),
        ("loki", "single-binary") => simple("singleBinary.persistence", "storageClass"),
        ("loki", "backend") => values("backend.persistence.storageClass", "backend.persistence.size", None),
        ("loki", "write") => values("write.persistence.storageClass", "write.persistence.size", None),
        ("loki-stack" | "loki", _) => simple("persistence", "storageClassName"),
        _ => return None,
    })
}

/// The chart that the release of an object was installed from, as `helm upgrade` takes it: its own, or the one that brought
/// it; and its version, empty where it is not known.
pub(crate) fn installed(snap: &Snapshot, meta: &Meta) -> Option<(String, String)> {
    let (name, version) = parent(snap, meta, &chart_of(meta)?).or_else(|| {
        let (name, version) = label_of(meta)?;
        Some((name.to_owned(), version.to_owned()))
    })?;
    Some((format!("{}/{name}", repository(&name)), version))
}

/// The repository of a chart under the name that its documentation gives it.
fn repository(chart: &str) -> &'static str {
    match chart {
        "grafana" | "loki" | "loki-stack" | "promtail" | "alloy" => "grafana",
        "metrics-server" => "metrics-server",
        name if name == "alertmanager" || name.contains("prometheus") || name.starts_with("kube-state-metrics") => {
            "prometheus-community"
        }
        _ => "<repository>",
    }
}

/// A release as `helm upgrade` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installed {
    /// Name of the release.
    pub(crate) release: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Repository and chart; what is not known stands in angle brackets.
    pub(crate) chart: String,
    /// Version of the chart; empty where no object says it.
    pub(crate) version: String,
}

/// The release that an object was installed by. None where Argo CD or Flux render the chart: Helm knows nothing of it then.
pub(crate) fn release_of(snap: &Snapshot, meta: &Meta) -> Option<Installed> {
    if releases::is_of_gitops(meta) {
        return None;
    }
    let by_label = || releases::labelled(meta).map(|name| (name, meta.namespace.as_str()));
    let (name, namespace) = release(meta).or_else(by_label)?;
    Some(release_named(snap, name, namespace))
}

/// A release by its name, with the chart that its objects say.
pub(crate) fn release_named(snap: &Snapshot, name: &str, namespace: &str) -> Installed {
    let (chart, version) = chart_named(snap, name, namespace).unwrap_or(("<chart>", ""));
    Installed {
        release: name.to_owned(),
        namespace: namespace.to_owned(),
        chart: format!("{}/{chart}", repository(chart)),
        version: version.to_owned(),
    }
}

/// Chart and version of a release: that of its objects, and where they are of several charts, the one that brings others.
fn chart_named<'a>(snap: &'a Snapshot, name: &str, namespace: &str) -> Option<(&'a str, &'a str)> {
    let workloads = snap.workloads.items().unwrap_or_default().iter().map(|w| &w.metadata);
    let resources = snap.monitoring_resources.items().unwrap_or_default().iter().map(|r| &r.metadata);
    let services = snap.services.items().unwrap_or_default().iter().map(|s| &s.metadata);
    let hooks = snap.webhooks.items().unwrap_or_default().iter().map(|h| &h.metadata);
    let is_own = |m: &&Meta| match release(m) {
        Some((of, home)) => of == name && home == namespace,
        None => release_name(m) == Some(name) && (m.namespace == namespace || m.namespace.is_empty()),
    };
    let mut charts: Vec<(&str, &str)> =
        workloads.chain(resources).chain(services).chain(hooks).filter(is_own).filter_map(label_of).collect();
    charts.sort_unstable();
    charts.dedup_by_key(|(chart, _)| *chart);
    let bringing = ["kube-prometheus-stack", "loki-stack", "prometheus"];
    let parent = bringing.iter().find_map(|b| charts.iter().find(|(chart, _)| chart == b));
    parent.copied().or_else(|| charts.first().copied().filter(|_| charts.len() == 1))
}

/// The chart that brought another one: the release has objects of it.
fn parent(snap: &Snapshot, meta: &Meta, chart: &str) -> Option<(String, String)> {
    let parents: &[&str] = match chart {
        "grafana" => &["kube-prometheus-stack", "loki-stack"],
        "alertmanager" | "prometheus-pushgateway" => &["prometheus"],
        "loki" => &["loki-stack"],
        _ => &[],
    };
    let own = release_name(meta)?;
    let workloads = snap.workloads.items().unwrap_or_default().iter().map(|w| &w.metadata);
    let resources = snap.monitoring_resources.items().unwrap_or_default().iter().map(|r| &r.metadata);
    let services = snap.services.items().unwrap_or_default().iter().map(|s| &s.metadata);
    let mut labels = workloads
        .chain(resources)
        .chain(services)
        .filter(|m| m.namespace == meta.namespace && release_name(m) == Some(own))
        .filter_map(label_of);
    labels.find(|(name, _)| parents.contains(name)).map(|(name, version)| (name.to_owned(), version.to_owned()))
}

fn release_name(meta: &Meta) -> Option<&str> {
    let label = || meta.label("release").or(meta.label("app.kubernetes.io/instance"));
    release(meta).map(|(name, _)| name).or_else(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use serde_json::json;

    fn meta(labels: serde_json::Value) -> Meta {
        serde_json::from_value(json!({"name": "x", "namespace": "n", "labels": labels})).expect("metadata")
    }

    #[test]
    fn each_chart_has_its_own_paths() {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let class = |snap: &Snapshot, labels| storage_values(snap, &meta(labels)).map(|v| v.class);
        let server = json!({"helm.sh/chart": "prometheus-27.3.0", "app.kubernetes.io/component": "server",
            "app.kubernetes.io/name": "prometheus", "app.kubernetes.io/instance": "prom"});
        assert_eq!(class(&snap, server.clone()).as_deref(), Some("server.persistentVolume.storageClass"));
        let alone = json!({"helm.sh/chart": "alertmanager-1.15.0", "app.kubernetes.io/instance": "prom"});
        assert_eq!(class(&snap, alone.clone()).as_deref(), Some("persistence.storageClass"));
        let workload = json!([{"metadata": {"name": "s", "namespace": "n", "labels": server}}]);
        snap.workloads = Listing::cluster(serde_json::from_value(workload).expect("workloads"));
        assert_eq!(class(&snap, alone).as_deref(), Some("alertmanager.persistence.storageClass"));
        let operator = json!({"chart": "kube-prometheus-stack-75.1.0", "app": "kube-prometheus-stack-prometheus"});
        let path = "prometheus.prometheusSpec.storageSpec.volumeClaimTemplate.spec.storageClassName";
        assert_eq!(class(&snap, operator).as_deref(), Some(path));
        assert_eq!(class(&snap, json!({"helm.sh/chart": "signoz-0.1.0"})), None);
    }
}
