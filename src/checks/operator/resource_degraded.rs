//! An operator says that it does not make what its resource asks for: in the resource's status, or in its own log alone.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::operated::{self, Failing, How};
use crate::domain::kubernetes::operator_log::{self, Unmade, Wants};
use crate::domain::kubernetes::{selector, service_host};
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::model::{Cause, CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Operated;
use crate::text::pattern::pattern;

check! {
    /// See the check's page.
    ResourceDegraded {
        id: "resource-degraded", suite: Operator, severity: Error,
        title: "an operator does not make what its resource asks for",
        requires: [Operated],
        uses: [Pods, Services, Nodes, Workloads, PartLogs],
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
    /// The pod whose log alone says it; empty where the resource's status does.
    operator: String,
    operator_namespace: String,
    operator_container: String,
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
    /// Only the operator's log says it.
    Log {
        /// It goes into a Grafana, whose API gave the answer.
        grafana: bool,
        /// The status of the answer; 0 where it was none.
        status: u16,
        secret: String,
        config_map: String,
    },
}

impl Check for ResourceDegraded {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let all = snap.operated()?;
        let logged = operator_log::failing(snap).unwrap_or_default();
        if all.is_empty() && logged.is_empty() {
            return Ok(Diagnosis::NotApplicable("no resource of the operators of Grafana, Loki or Tempo".into()));
        }
        let failing = operated::failing(snap, all);
        let is_told = |u: &Unmade<'_>| {
            let is_it =
                |o: &Operated| o.kind == u.kind && o.metadata.namespace == u.namespace && o.metadata.name == u.name;
            // What was deleted since is nobody's any more.
            let is_gone = all.iter().any(|o| o.kind == u.kind) && !all.iter().any(is_it);
            is_gone || failing.iter().any(|f| is_it(f.object))
        };
        let of_status = failing.iter().map(|f| finding(snap, all, f));
        let of_log = logged.iter().filter(|u| !is_told(u)).map(|u| finding_of_log(snap, u));
        Ok(Diagnosis::Findings(of_status.chain(of_log).collect()))
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
    let whole = is_whole(&object.kind);
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
        operator: String::new(),
        operator_namespace: String::new(),
        operator_container: String::new(),
        way,
    })
}

/// One dashboard or datasource is missing; a store of logs or a Grafana is another matter.
fn is_whole(kind: &str) -> bool {
    matches!(kind, "LokiStack" | "TempoStack" | "TempoMonolithic" | "Grafana")
}

fn finding_of_log(snap: &Snapshot, unmade: &Unmade<'_>) -> Finding {
    let Unmade { kind, namespace, name, log, .. } = unmade;
    let said = shorten(&redact(&unmade.said), 300);
    let message = format!(
        "{kind} {namespace}/{name}: its operator fails at it again and again ({} times within the hour), and says so in its log: {said}",
        unmade.lasting.times
    );
    let severity = if is_whole(kind) { Severity::Error } else { Severity::Warning };
    let subject = ResourceRef::kubernetes(&unmade.group, kind, namespace, name);
    let wants = Wants::read(&unmade.said);
    let status = status_of(&unmade.said);
    let mut made =
        Finding::new(ResourceDegraded::META.id, severity, subject, message).evidence(line_evidence(log, unmade.line));
    // Who does not answer, or knows nobody, does so for all of them.
    if matches!(status, 401 | 403 | 500..) || status == 0 && wants.host.is_some() {
        let last = unmade.said.rsplit(": ").next().unwrap_or_default();
        let key =
            format!("{}/{} {} {status} {last}", log.namespace, log.pod, wants.host.as_deref().unwrap_or_default());
        let about = format!(
            "the operator in pod {}/{} fails at several resources for one reason: {said}",
            log.namespace, log.pod
        );
        made = made.cause(Cause::keyed(key, about));
    }
    if let Some(secret) = &wants.secret {
        made = made.depends_on(ResourceRef::secret(namespace, secret));
    }
    if let Some(config_map) = &wants.config_map {
        made = made.depends_on(ResourceRef::config_map(namespace, config_map));
    }
    // Whom it does not reach, or who answers with an error.
    let host = wants.host.as_deref().and_then(|h| service_host::in_cluster(snap, h, &log.namespace));
    if let Some(host) = host {
        made = made.depends_on(ResourceRef::service(&host.namespace, &host.service));
        let service = snap.services.find(&host.namespace, &host.service).ok().flatten();
        for pod in service.into_iter().flat_map(|s| snap.pods_of_service(s)).filter(|p| !p.is_ready()) {
            made = made.depends_on(snap.owner_ref(pod));
        }
    }
    made.fix(Fix {
        kind: kind.to_ascii_lowercase(),
        namespace: namespace.clone(),
        name: name.clone(),
        operator: log.pod.clone(),
        operator_namespace: log.namespace.clone(),
        operator_container: log.container.clone(),
        way: Way::Log {
            grafana: unmade.group == group("Grafana"),
            status,
            secret: wants.secret.unwrap_or_default(),
            config_map: wants.config_map.unwrap_or_default(),
        },
        detail: said,
        managed: String::new(),
    })
}

/// The HTTP status that an error holds, in the words of Grafana's and Go's clients.
fn status_of(error: &str) -> u16 {
    let words = pattern!(r"(?i)(?:\bstatus(?: code)?:? |\[(?:GET|POST|PUT|DELETE) [^\]]*\]\[)([45]\d\d)\b");
    words.captures(error).and_then(|f| f[1].parse().ok()).unwrap_or_default()
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
    use crate::snapshot::monitoring::ContainerLog;

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
    fn what_an_operator_says_in_its_log_alone_is_told() {
        let line = |minute: u32| {
            format!(
                r#"{{"level":"error","ts":"2026-11-21T02:{minute}:00Z","msg":"Reconciler error","controllerGroup":"grafana.integreatly.org","controllerKind":"GrafanaDatasource","namespace":"monitoring","name":"prometheus","error":"status: 400, body: bad request data"}}"#
            )
        };
        let with_log = |objects: &[(&str, Value)]| {
            let mut snap = with(objects);
            let text = [40, 45, 50].map(line).join("\n").into();
            *snap.part_logs = Ok(vec![ContainerLog { text, ..ContainerLog::default() }]);
            findings(&ResourceDegraded, &snap)
        };
        let source = |name: &str, status: Value| json!({"metadata": {"namespace": "monitoring", "name": name}, "status": status});
        let found = with_log(&[("GrafanaDatasource", source("prometheus", json!({"lastMessage": ""})))]);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("3 times within the hour"), "{}", found[0].message);
        assert!(steps(&found[0]).contains("jsonData"), "{}", steps(&found[0]));
        assert!(found[0].cause.is_none(), "what one of them holds is its own fault");
        assert!(with_log(&[("GrafanaDatasource", source("other", json!({})))]).is_empty(), "it is gone");
        let told = json!({"conditions": [{"type": "DatasourceSynchronized", "status": "False", "message": "bad"}]});
        assert_eq!(with_log(&[("GrafanaDatasource", source("prometheus", told))]).len(), 1, "told once");
    }

    #[test]
    fn who_does_not_answer_is_one_cause_of_all() {
        let line = |name: &str, minute: u32| {
            format!(
                r#"{{"level":"error","ts":"2026-11-21T02:{minute}:00Z","msg":"Reconciler error","controllerGroup":"grafana.integreatly.org","controllerKind":"GrafanaDashboard","namespace":"monitoring","name":"{name}","error":"Get \"http://grafana.monitoring:3000/api/dashboards/uid/{name}\": dial tcp 172.20.0.9:3000: connect: connection refused"}}"#
            )
        };
        let mut snap = with(&[]);
        let text =
            [40, 45, 50].iter().flat_map(|m| [line("a", *m), line("b", *m)]).collect::<Vec<_>>().join("\n").into();
        *snap.part_logs = Ok(vec![ContainerLog { text, ..ContainerLog::default() }]);
        let found = findings(&ResourceDegraded, &snap);
        assert_eq!(found.len(), 2);
        let keys: Vec<_> = found.iter().filter_map(|f| f.cause.as_ref().map(|c| &c.key)).collect();
        assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
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
