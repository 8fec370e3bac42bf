//! Dashboards and datasources in ConfigMaps do not come to Grafana: its side-car may not read them, or passes them by.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::checks::support::grafana::{none_runs, running};
use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::grafana::provisioned::{Instance, Kind, Passed, PassedBy};
use crate::domain::kubernetes::forbidden::{self, Account, Act};
use crate::domain::kubernetes::image::Image;
use crate::domain::kubernetes::owner::{Target, keeper};
use crate::domain::text::complaint::{Group, groups};
use crate::domain::text::lasting::SEVERAL;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;

check! {
    /// See the check's page.
    GrafanaSidecar {
        id: "grafana-sidecar", suite: Grafana, severity: Warning,
        title: "Grafana's side-car does not load what it is meant to",
        requires: [ConfigMaps, Workloads],
        uses: [PartLogs, Pods],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Forbidden {
        namespace: String,
        pod: String,
        owner: String,
        container: String,
        account: String,
        account_namespace: String,
        user: String,
        role: String,
        resource: String,
        everywhere: bool,
        within: String,
        where_words: Vec<String>,
    },
    Strict {
        namespace: String,
        owner: String,
        managed_by: String,
        /// `CONTAINER=IMAGE` of an image that asks for less.
        images: Vec<String>,
        before: &'static str,
    },
    Label {
        namespace: String,
        config_map: String,
        pair: String,
        managed_by: String,
        owner: String,
        grafana_namespace: String,
    },
    Namespace {
        config_map: String,
        namespace: String,
        search: String,
        owner: String,
        grafana_namespace: String,
    },
    Ending {
        namespace: String,
        config_map: String,
        ending: &'static str,
        /// Gives its keys the names that Grafana reads.
        patch: String,
        managed_by: String,
        owner: String,
        grafana_namespace: String,
    },
}

/// Seconds for which a refusal counts.
const RECENT: i64 = 3 * 3600;
/// Seconds for which a connection that fails counts: it is made again every few seconds.
const NOW: i64 = 900;
/// What Python demands of an authority from version 3.13 on, and those of old clusters do not have.
const STRICT: &[&str] = &[
    "Missing Authority Key Identifier",
    "Missing Subject Key Identifier",
    "CA cert does not include key usage extension",
    "Basic Constraints of CA cert not marked critical",
];
/// The last version whose Python does not.
const BEFORE: &str = "1.30.3";

impl Check for GrafanaSidecar {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let Some(instances) = running(snap)? else { return Ok(none_runs()) };
        let mut findings = forbidden(snap);
        findings.extend(strict(snap));
        // Who may read nothing passes everything by.
        if findings.is_empty() {
            for instance in &instances {
                for (kind, what) in [(Kind::Dashboards, "dashboard"), (Kind::Datasources, "datasource file")] {
                    let passed = instance.passed_by(snap, kind);
                    // A second Grafana may load it.
                    let elsewhere = |p: &&PassedBy<'_>| {
                        !instances
                            .iter()
                            .any(|i| i.files(snap, kind).iter().any(|f| std::ptr::eq(f.config_map, p.config_map)))
                    };
                    findings.extend(passed.iter().filter(elsewhere).map(|p| passed_by(*instance, p, what)));
                }
            }
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// The side-cars of which `read` knows a complaint of the last seconds, with what it reads and what they say.
fn told<T>(snap: &Snapshot, seconds: i64, read: impl Fn(&Group) -> Option<T>) -> Vec<(&ContainerLog, T, String)> {
    let logs = snap.part_logs().map(Vec::as_slice).unwrap_or_default().iter();
    let own = logs.filter(|l| l.image.contains("k8s-sidecar") && !l.previous);
    let of_now = |last: jiff::Timestamp| snap.seconds_since(last) < seconds;
    let first = own.filter_map(|log| {
        let mut said = groups(&log.text, snap.collected_at).into_iter().filter(|g| g.last.is_none_or(of_now));
        said.find_map(|g| Some((log, read(&g)?, g.text)))
    });
    first.collect()
}

/// Side-cars whose Python does not accept the certificate of the API server, one finding for each owner.
fn strict(snap: &Snapshot) -> Vec<Finding> {
    let mut found: BTreeMap<String, Finding> = BTreeMap::new();
    let refused = |said: &Group| {
        let goes_on = said.count >= SEVERAL && of_api_server(&said.text);
        STRICT.iter().find(|w| goes_on && said.text.contains(**w))
    };
    for (log, what, text) in told(snap, NOW, refused) {
        let pod = snap.pod_of_log(log);
        let owner = snap.owner_of_log(log);
        let own = pod.into_iter().flat_map(|p| p.all_containers()).filter(|c| c.image.contains("k8s-sidecar"));
        let images =
            own.filter_map(|c| Some(format!("{}={}", c.name, Image::parse(&c.image)?.with_tag(BEFORE)))).collect();
        let message = format!(
            "side-car {} of {} does not accept the certificate of the API server ({what}), so nothing of a ConfigMap or Secret is loaded: its Python demands more of the authority that signed it than that has",
            log.container,
            owner.kubectl_name()
        );
        let fix = Fix::Strict {
            namespace: log.namespace.clone(),
            owner: owner.kubectl_name(),
            managed_by: pod.map(|p| Target::of(snap, p).managed_by.clone()).unwrap_or_default(),
            images,
            before: BEFORE,
        };
        found.entry(owner.key()).or_insert_with(|| {
            Finding::new(GrafanaSidecar::META.id, Severity::Warning, owner.clone(), message)
                .key(format!("{} strict", owner.key()))
                .breaks_nothing()
                .evidence(line_evidence(log, &text))
                .fix(fix)
        });
    }
    found.into_values().collect()
}

/// A request for ConfigMaps or Secrets failed, and not one to the program beside it.
fn of_api_server(text: &str) -> bool {
    text.contains("CERTIFICATE_VERIFY_FAILED") && ["/configmaps", "/secrets"].iter().any(|kind| text.contains(kind))
}

/// Refusals of the API server, one finding for each pod.
fn forbidden(snap: &Snapshot) -> Vec<Finding> {
    let mut found: BTreeMap<(&str, &str), Finding> = BTreeMap::new();
    for (log, refusal, text) in told(snap, RECENT, |said| forbidden::read(&said.text)) {
        found.entry((&log.namespace, &log.pod)).or_insert_with(|| refused(snap, log, &refusal, &text));
    }
    found.into_values().collect()
}

fn refused(snap: &Snapshot, log: &ContainerLog, (account, act): &(Account, Act), text: &str) -> Finding {
    let owner = snap.owner_of_log(log);
    let (Account { namespace, name: account }, Act { resource, namespace: within, .. }) = (account, act);
    let place = within.as_ref().map_or_else(|| "in all namespaces".to_owned(), |n| format!("in namespace {n}"));
    let what = match log.container.as_str() {
        name if name.contains("dashboard") => "dashboard",
        name if name.contains("datasource") => "datasource",
        _ => "file",
    };
    let message = format!(
        "side-car {} of Grafana ({}) may not list {resource} {place}: ServiceAccount {namespace}/{account} lacks the right, so no {what} of a ConfigMap is loaded",
        log.container,
        owner.kubectl_name()
    );
    let fix = Fix::Forbidden {
        namespace: log.namespace.clone(),
        pod: log.pod.clone(),
        owner: owner.kubectl_name(),
        container: log.container.clone(),
        account: account.clone(),
        account_namespace: namespace.clone(),
        user: format!("system:serviceaccount:{namespace}:{account}"),
        role: format!("{account}-sidecar"),
        resource: resource.clone(),
        everywhere: within.is_none(),
        within: within.clone().unwrap_or_default(),
        where_words: within.as_ref().map_or_else(|| vec!["-A".to_owned()], |n| vec!["-n".to_owned(), n.clone()]),
    };
    let key = format!("{} forbidden", owner.key());
    Finding::new(GrafanaSidecar::META.id, Severity::Warning, owner, message)
        .key(key)
        .breaks_nothing()
        .evidence(line_evidence(log, text))
        .fix(fix)
}

fn passed_by(instance: Instance<'_>, passed: &PassedBy<'_>, what: &str) -> Finding {
    let meta = &passed.config_map.metadata;
    let wants = passed.value.map_or_else(|| passed.label.to_owned(), |value| format!("{}={value}", passed.label));
    let map = format!("ConfigMap {}/{}", meta.namespace, meta.name);
    let (why, seen) = match &passed.why {
        Passed::Value { has } => {
            let has = format!("{}={has}", passed.label);
            (format!("its label is {has}, and the side-car loads what has {wants}"), has)
        }
        Passed::Label { has } => {
            let value = meta.label(has).unwrap_or_default();
            (format!("its label is {has}, and the side-car loads what has {wants}"), format!("{has}={value}"))
        }
        Passed::Ending { keys } => {
            let named = keys.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", ");
            (format!("Grafana reads no files there but those that end in {}", ending(keys)), named)
        }
        Passed::Namespace { watches } => {
            let seen = format!("{}={}", passed.label, meta.label(passed.label).unwrap_or_default());
            (format!("the side-car looks into namespace {} only", watches.join(", ")), seen)
        }
    };
    let message = format!("{what} {} of {map} is not loaded by {}: {why}", passed.key, instance.kubectl_name());
    let (owner, grafana_namespace) = (instance.kubectl_name(), instance.namespace().to_owned());
    let (config_map, namespace) = (meta.name.clone(), meta.namespace.clone());
    let fix = match &passed.why {
        Passed::Namespace { watches } => {
            let search = watches.iter().chain([&namespace]).map(String::as_str).collect::<Vec<_>>().join(",");
            Fix::Namespace { config_map, namespace, search, owner, grafana_namespace }
        }
        Passed::Ending { keys } => {
            let moves = keys.iter().map(
                |(key, right)| json!({"op": "move", "from": format!("/data/{key}"), "path": format!("/data/{right}")}),
            );
            let patch = Value::Array(moves.collect()).to_string();
            let managed_by = keeper(meta);
            Fix::Ending { namespace, config_map, ending: ending(keys), patch, managed_by, owner, grafana_namespace }
        }
        Passed::Value { .. } | Passed::Label { .. } => {
            let pair = format!("{}={}", passed.label, passed.value.unwrap_or("1"));
            Fix::Label { namespace, config_map, pair, managed_by: keeper(meta), owner, grafana_namespace }
        }
    };
    let (seen_in, show) = match &passed.why {
        Passed::Ending { .. } => ("keys", "kubectl describe configmap {{ name }} -n {{ namespace }}"),
        _ => ("labels", "kubectl get configmap {{ name }} -n {{ namespace }} --show-labels"),
    };
    Finding::new(GrafanaSidecar::META.id, Severity::Warning, passed.config_map.reference(), message)
        .key(format!("{map} passed by"))
        .breaks_nothing()
        .evidence(
            Evidence::new(format!("{map}, {seen_in}"), seen, show)
                .with("namespace", &meta.namespace)
                .with("name", &meta.name),
        )
        .fix(fix)
}

/// What names have to end in.
fn ending(keys: &[(String, String)]) -> &'static str {
    if keys.iter().any(|(_, right)| right.ends_with(".json")) { ".json" } else { ".yaml or .yml" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::grafana::{grafana, snapshot};

    fn with(labels: Value, namespace: &str) -> Snapshot {
        let mut workload = grafana(json!({}));
        workload["spec"]["template"]["spec"]["containers"].as_array_mut().expect("a list").push(json!({
            "name": "grafana-sc-dashboard", "image": "quay.io/kiwigrid/k8s-sidecar:1.28.0",
            "env": [{"name": "LABEL", "value": "grafana_dashboard"}, {"name": "LABEL_VALUE", "value": "1"}, {"name": "FOLDER", "value": "/tmp/dashboards"}]
        }));
        snapshot(json!({"workloads": [workload], "config_maps": [{
            "metadata": {"namespace": namespace, "name": "orders", "labels": labels},
            "data": {"orders.json": "{\"title\": \"Orders\", \"panels\": []}"}
        }]}))
    }

    #[test]
    fn what_is_loaded_or_not_meant_is_quiet() {
        for labels in
            [json!({"grafana_dashboard": "1"}), json!({"grafana_dashboard": "false"}), json!({"app": "orders"})]
        {
            assert!(findings(&GrafanaSidecar, &with(labels.clone(), "monitoring")).is_empty(), "{labels}");
        }
        assert!(findings(&GrafanaSidecar, &with(json!({"app": "orders"}), "tools")).is_empty());
    }

    #[test]
    fn a_file_of_another_name_is_not_read() {
        let with = |data: Value| {
            let mut snap = with(json!({"grafana_dashboard": "1"}), "monitoring");
            let map = json!([{"metadata": {"namespace": "monitoring", "name": "orders", "labels": {"grafana_dashboard": "1"}}, "data": data}]);
            snap.config_maps = crate::snapshot::Listing::cluster(serde_json::from_value(map).expect("ConfigMaps"));
            findings(&GrafanaSidecar, &snap)
        };
        let board = "{\"title\": \"Orders\", \"panels\": []}";
        let found = with(json!({"orders.yaml": board}));
        assert_eq!(found[0].variant, "ending");
        let shown = steps(&found[0]);
        assert!(shown.contains(r#""from":"/data/orders.yaml""#) && shown.contains("/data/orders.json"), "{shown}");
        assert!(with(json!({"orders.json": board})).is_empty());
        assert!(with(json!({"orders.url": "https://example.org/orders.json"})).is_empty(), "the side-car loads it");
    }

    #[test]
    fn each_reason_to_pass_it_by_has_its_fix() {
        let value = findings(&GrafanaSidecar, &with(json!({"grafana_dashboard": "true"}), "monitoring"));
        assert!(steps(&value[0]).contains("grafana_dashboard=1"), "{}", steps(&value[0]));
        let label = findings(&GrafanaSidecar, &with(json!({"grafana-dashboard": "1"}), "monitoring"));
        assert_eq!(label[0].variant, "label");
        let elsewhere = findings(&GrafanaSidecar, &with(json!({"grafana_dashboard": "1"}), "tools"));
        assert_eq!(elsewhere[0].variant, "namespace");
    }

    #[test]
    fn an_old_authority_is_not_accepted_by_a_new_python() {
        let said = |reason: &str, minutes: [u8; 3], path: &str| {
            let mut snap = with(json!({"grafana_dashboard": "1"}), "monitoring");
            let line = |m: u8| {
                format!(
                    r#"{{"time": "2026-11-21T01:{m:02}:00.269709+00:00", "level": "ERROR", "msg": "MaxRetryError when calling kubernetes: HTTPSConnectionPool(host='172.20.0.1', port=443): Max retries exceeded with url: {path}?watch=True (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {reason} (_ssl.c:1028)')))"}}"#
                )
            };
            *snap.part_logs = Ok(vec![ContainerLog {
                namespace: "monitoring".into(),
                pod: "grafana-0".into(),
                container: "grafana-sc-dashboard".into(),
                image: "quay.io/kiwigrid/k8s-sidecar:1.30.5".into(),
                text: minutes.map(line).join("\n").as_str().into(),
                ..ContainerLog::default()
            }]);
            findings(&GrafanaSidecar, &snap)
        };
        let reason = "Missing Authority Key Identifier";
        let found = said(reason, [52, 54, 56], "/api/v1/configmaps");
        assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), ["strict"]);
        assert!(found[0].message.contains("(Missing Authority Key Identifier)"), "{}", found[0].message);
        assert!(said(reason, [2, 4, 6], "/api/v1/configmaps").is_empty(), "it is over");
        assert!(said(reason, [52, 54, 56], "/api/admin/provisioning/dashboards/reload").is_empty(), "Grafana's own");
        assert!(said("unable to get local issuer certificate", [52, 54, 56], "/api/v1/configmaps").is_empty());
    }

    #[test]
    fn a_refusal_names_the_account_and_comes_first() {
        let mut snap = with(json!({"grafana_dashboard": "true"}), "monitoring");
        let line = r#"{"time": "2026-11-21T01:55:00+00:00", "level": "ERROR", "msg": "ApiException when calling kubernetes: (403)\nReason: Forbidden\nHTTP response body: {\"message\":\"configmaps is forbidden: User \\\"system:serviceaccount:monitoring:grafana\\\" cannot list resource \\\"configmaps\\\" in API group \\\"\\\" at the cluster scope\"}"}"#;
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "grafana-0".into(),
            container: "grafana-sc-dashboard".into(),
            image: "quay.io/kiwigrid/k8s-sidecar:1.28.0".into(),
            text: line.into(),
            ..ContainerLog::default()
        }]);
        let found = findings(&GrafanaSidecar, &snap);
        assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), ["forbidden"]);
        assert!(steps(&found[0]).contains("--as=system:serviceaccount:monitoring:grafana"), "{}", steps(&found[0]));
    }
}
