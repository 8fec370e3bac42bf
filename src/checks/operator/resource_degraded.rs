//! An operator of Grafana, Loki or Tempo says that it does not make what its resource asks for.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::operated::{self, Failing, How};
use crate::domain::kubernetes::selector;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Operated;

check! {
    /// See the check's page.
    ResourceDegraded {
        id: "resource-degraded", suite: Operator, severity: Error,
        title: "an operator does not make what its resource asks for",
        requires: [Operated],
        uses: [Pods, Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    /// As kubectl calls its kind.
    kind: String,
    namespace: String,
    name: String,
    detail: String,
    managed: String,
    #[serde(flatten)]
    way: Way,
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    StoreSecret {
        secret: String,
        /// It is a store of AWS.
        s3: bool,
        missing: bool,
        /// The key under which the operator looks for the name of the bucket.
        bucket: &'static str,
    },
    NoInstance {
        /// `namespace/name (label=value, …)` of the Grafanas that there are.
        instances: Vec<String>,
        /// What it asks for, as `kubectl -l` takes it; empty where any will do.
        selector: String,
        /// One has the labels, and lies in another namespace.
        elsewhere: bool,
        /// One has the labels, and is not ready: its name, and its namespace.
        unready: String,
        unready_namespace: String,
    },
    Said,
}

impl Check for ResourceDegraded {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let all = snap.operated()?;
        if all.is_empty() {
            return Ok(Diagnosis::NotApplicable("no resource of the operators of Grafana, Loki or Tempo".into()));
        }
        let failing = operated::failing(snap, all);
        Ok(Diagnosis::Findings(failing.iter().map(|f| finding(snap, all, f)).collect()))
    }
}

/// The API group of a kind.
fn group(kind: &str) -> &'static str {
    match kind {
        "LokiStack" => "loki.grafana.com",
        "TempoStack" | "TempoMonolithic" => "tempo.grafana.com",
        _ => "grafana.integreatly.org",
    }
}

fn finding(snap: &Snapshot, all: &[Operated], failing: &Failing<'_>) -> Finding {
    let object = failing.object;
    let (namespace, name) = (&object.metadata.namespace, &object.metadata.name);
    let said = shorten(&redact(&failing.said), 300);
    let secret = &object.spec.storage.secret;
    let way = way(all, failing);
    let why = match (&failing.how, &way) {
        (How::StoreSecret, _) => {
            let of = if secret.name.is_empty() { String::new() } else { format!(" (Secret {})", secret.name) };
            format!("its operator makes nothing of it: {said}{of}")
        }
        (How::NoInstance, Way::NoInstance { unready, unready_namespace, .. }) if !unready.is_empty() => format!(
            "it goes into no Grafana: the one that it asks for, {unready_namespace}/{unready}, is not ready as its operator sees it"
        ),
        (How::NoInstance, Way::NoInstance { elsewhere: true, .. }) => {
            "it goes into no Grafana: the one with the labels that it asks for is in another namespace".to_owned()
        }
        (How::NoInstance, _) => "it goes into no Grafana: none has the labels that it asks for".to_owned(),
        (How::Said, _) if said.is_empty() => format!("its operator says that it fails ({})", failing.reason),
        (How::Said, _) => format!("its operator says that it fails: {said}"),
    };
    let message = format!("{} {namespace}/{name}: {why}", object.kind);
    let kind = object.kind.to_ascii_lowercase();
    // A reason that ends with `Secret` is no key of what follows.
    let value = match (said.as_str(), failing.reason.as_str()) {
        (said, "") => said.to_owned(),
        ("", reason) => reason.to_owned(),
        (said, reason) => format!("{said} ({reason})"),
    };
    let seen = Evidence::new(
        format!("{} {namespace}/{name}, status", object.kind),
        value,
        "kubectl get {{ kind }} {{ name }} -n {{ namespace }} -o yaml",
    );
    // One dashboard or datasource is missing; a store of logs or a Grafana is another matter.
    let whole = matches!(object.kind.as_str(), "LokiStack" | "TempoStack" | "TempoMonolithic" | "Grafana");
    let severity = if whole { Severity::Error } else { Severity::Warning };
    let subject = ResourceRef::kubernetes(group(&object.kind), &object.kind, namespace, name);
    let mut made = Finding::new(ResourceDegraded::META.id, severity, subject, message)
        .evidence(seen.with("kind", &kind).with("namespace", namespace).with("name", name));
    if failing.how == How::StoreSecret && !secret.name.is_empty() {
        made = made.depends_on(ResourceRef::secret(namespace, &secret.name));
    }
    // What it made says more of its own failures.
    if failing.how == How::Said && whole {
        made = depend_on_pods(snap, made, namespace, name);
    }
    if let Way::NoInstance { unready, unready_namespace, .. } = &way
        && !unready.is_empty()
    {
        made = made.depends_on(ResourceRef::kubernetes(group("Grafana"), "Grafana", unready_namespace, unready));
        made = depend_on_pods(snap, made, unready_namespace, unready);
    }
    made.fix(Fix {
        kind,
        namespace: namespace.clone(),
        name: name.clone(),
        detail: said,
        managed: managed_by(&object.metadata),
        way,
    })
}

/// What an operator made of a resource, and is not ready.
fn depend_on_pods(snap: &Snapshot, mut made: Finding, namespace: &str, name: &str) -> Finding {
    let own = snap.pods().unwrap_or_default().iter().filter(|p| {
        p.metadata.namespace == namespace
            && (p.metadata.label("app.kubernetes.io/instance") == Some(name) || p.metadata.label("app") == Some(name))
    });
    for pod in own.filter(|p| !p.is_ready()) {
        made = made.depends_on(ResourceRef::pod(namespace, &pod.metadata.name)).depends_on(snap.owner_ref(pod));
    }
    made
}

fn way(all: &[Operated], failing: &Failing<'_>) -> Way {
    let object = failing.object;
    match failing.how {
        How::StoreSecret => Way::StoreSecret {
            secret: object.spec.storage.secret.name.clone(),
            s3: object.spec.storage.secret.kind == "s3",
            missing: failing.reason.starts_with("Missing") || failing.said.contains("not found"),
            bucket: if object.kind == "LokiStack" { "bucketnames" } else { "bucket" },
        },
        How::NoInstance => {
            let grafanas: Vec<&Operated> = all.iter().filter(|o| o.kind == "Grafana").collect();
            let wanted = &object.spec.instance_selector;
            let meant = grafanas.iter().filter(|g| selector::selects(wanted, &g.metadata.labels));
            let (own, others): (Vec<&Operated>, Vec<&Operated>) = meant.copied().partition(|g| {
                object.spec.allow_cross_namespace_import || g.metadata.namespace == object.metadata.namespace
            });
            // The operator passes over one that is not complete, and says the same of it as of none.
            let unready = own.iter().find(|g| !operated::is_complete(g)).map(|g| &g.metadata);
            Way::NoInstance {
                instances: grafanas.iter().map(|g| described(g)).collect(),
                selector: selector::text(wanted),
                elsewhere: own.is_empty() && !others.is_empty(),
                unready: unready.map(|m| m.name.clone()).unwrap_or_default(),
                unready_namespace: unready.map(|m| m.namespace.clone()).unwrap_or_default(),
            }
        }
        How::Said => Way::Said,
    }
}

/// `monitoring/grafana (dashboards=grafana)`.
fn described(grafana: &Operated) -> String {
    let meta = &grafana.metadata;
    let labels: Vec<String> = meta.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let labels = if labels.is_empty() { "no labels".to_owned() } else { labels.join(", ") };
    format!("{}/{} ({labels})", meta.namespace, meta.name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;

    fn with(objects: &[(&str, Value)]) -> Snapshot {
        let mut snap = snapshot(json!({}));
        let made = objects.iter().map(|(kind, value)| {
            let object: Operated = serde_json::from_value(value.clone()).expect("an object");
            Operated { kind: (*kind).to_owned(), ..object }
        });
        snap.operated = Listing::cluster(made.collect());
        snap
    }

    #[test]
    fn a_dashboard_without_a_grafana_names_those_that_there_are() {
        let dashboard = json!({
            "metadata": {"namespace": "monitoring", "name": "flash"},
            "spec": {"instanceSelector": {"matchLabels": {"dashboards": "external"}}},
            "status": {"conditions": [{"type": "NoMatchingInstance", "status": "True", "reason": "EmptyAPIReply"}]}});
        let grafana = |namespace: &str, label: &str| json!({"metadata": {"namespace": namespace, "name": "grafana", "labels": {"dashboards": label}}});
        let other = findings(
            &ResourceDegraded,
            &with(&[("GrafanaDashboard", dashboard.clone()), ("Grafana", grafana("monitoring", "own"))]),
        );
        assert!(other[0].message.contains("none has the labels"), "{}", other[0].message);
        assert!(steps(&other[0]).contains("monitoring/grafana (dashboards=own)"), "{}", steps(&other[0]));
        let away = findings(
            &ResourceDegraded,
            &with(&[("GrafanaDashboard", dashboard), ("Grafana", grafana("grafana", "external"))]),
        );
        assert!(away[0].message.contains("in another namespace"), "{}", away[0].message);
        assert!(steps(&away[0]).contains("allowCrossNamespaceImport: true"), "{}", steps(&away[0]));
    }

    #[test]
    fn a_grafana_that_is_not_ready_is_none_to_its_operator() {
        let datasource = json!({
            "metadata": {"namespace": "monitoring", "name": "prometheus"},
            "spec": {"instanceSelector": {"matchExpressions": [{"key": "dashboards", "operator": "Exists"}]}},
            "status": {"conditions": [{"type": "NoMatchingInstance", "status": "True", "reason": "EmptyAPIReply"}]}});
        let grafana = json!({"metadata": {"namespace": "monitoring", "name": "own", "labels": {"dashboards": "a"}},
            "status": {"stage": "deployment", "stageStatus": "inprogress"}});
        let found = findings(&ResourceDegraded, &with(&[("GrafanaDatasource", datasource), ("Grafana", grafana)]));
        assert_eq!(found.len(), 1, "a Grafana that is being made is no fault of its own");
        assert!(found[0].message.contains("monitoring/own, is not ready"), "{}", found[0].message);
        assert!(!steps(&found[0]).contains("kubectl edit"), "{}", steps(&found[0]));
    }

    #[test]
    fn the_keys_of_a_secret_are_those_of_its_operator() {
        let tempo = json!({
            "metadata": {"namespace": "tracing", "name": "traces"},
            "spec": {"storage": {"secret": {"name": "traces-s3", "type": "s3"}}},
            "status": {"conditions": [{"type": "ConfigurationError", "status": "True", "reason": "InvalidStorageConfig",
                "message": "could not fetch Secret: secrets \"traces-s3\" not found"}]}});
        let found = findings(&ResourceDegraded, &with(&[("TempoStack", tempo)]));
        assert!(steps(&found[0]).contains("--from-file=bucket "), "{}", steps(&found[0]));
    }

    #[test]
    fn a_store_without_its_secret_names_it() {
        let stack = json!({
            "metadata": {"namespace": "logging", "name": "logs"},
            "spec": {"storage": {"secret": {"name": "logs-s3", "type": "s3"}}},
            "status": {"conditions": [{"type": "Degraded", "status": "True", "reason": "MissingObjectStorageSecret",
                "message": "Missing object storage secret"}]}});
        let found = findings(&ResourceDegraded, &with(&[("LokiStack", stack)]));
        assert!(found[0].message.contains("Secret logs-s3"), "{}", found[0].message);
        assert!(steps(&found[0]).contains("create secret generic logs-s3"), "{}", steps(&found[0]));
    }
}
