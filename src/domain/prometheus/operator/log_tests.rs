use super::*;
use crate::domain::testing::snapshot;
use serde_json::json;

fn of(text: &str) -> Snapshot {
    let mut snap = snapshot(json!({}));
    *snap.part_logs = Ok(vec![ContainerLog {
        namespace: "monitoring".into(),
        pod: "op-1".into(),
        container: "kube-prometheus-stack".into(),
        image: "quay.io/prometheus-operator/prometheus-operator:v0.70.0".into(),
        text: text.into(),
        ..ContainerLog::default()
    }]);
    snap
}

#[test]
fn reads_each_wording_of_an_object_left_out() {
    let snap = of(concat!(
        r#"level=warn ts=2026-11-21T01:00:00.1Z caller=operator.go:2255 component=prometheusoperator msg="skipping servicemonitor" error="it accesses file system via bearer token file which Prometheus specification prohibits" servicemonitor=a/m namespace=monitoring prometheus=k8s"#,
        "\n",
        r#"ts=2026-11-21T01:00:00.2Z level=warn caller=x.go:1 msg="skipping object" component=prometheus-controller key=monitoring/k8s kind=PodMonitor error="endpoint[0]: basicAuth: failed to get basic auth username: unable to get secret \"creds\": secrets \"creds\" not found" object=a/p"#,
        "\n",
        r#"{"ts":"2026-11-21T01:00:00.3Z","level":"warn","msg":"skipping prometheusrule","error":"1:32: parse error: x","prometheusrule":"r","namespace":"b"}"#,
        "\n",
        r#"level=info ts=2026-11-21T01:00:00.4Z msg="invalid rule" err="group \"g\", rule 1: could not parse" prometheusrule=s prometheusrule-namespace=b"#,
        "\n",
        r#"level=warn ts=2026-11-21T01:00:00.4Z msg="skipping prometheusrule" error="invalid rule" prometheusrule=s namespace=b"#,
        "\n",
        r#"level=warn ts=2026-11-21T01:00:01Z msg="skipping alertmanagerconfig" error="key \"url\" in secret \"slack\" not found" alertmanagerconfig=c/am namespace=monitoring alertmanager=main"#,
    ));
    let said = said(&snap).expect("logs are there");
    let all: Vec<(Kind, &str, &str)> =
        said.refused.iter().map(|r| (r.kind, r.namespace.as_str(), r.name.as_str())).collect();
    assert_eq!(
        all,
        [
            (Kind::ServiceMonitor, "a", "m"),
            (Kind::PodMonitor, "a", "p"),
            (Kind::PrometheusRule, "b", "r"),
            (Kind::PrometheusRule, "b", "s"),
            (Kind::AlertmanagerConfig, "c", "am"),
        ]
    );
    assert_eq!(said.refused[0].reason, Cause::FileAccess("bearerTokenFile"));
    assert_eq!(said.refused[0].server, Some(("monitoring".into(), "k8s".into())));
    assert_eq!(said.refused[1].reason, Cause::SecretMissing { name: "creds".into() });
    assert_eq!(said.refused[3].text, "group \"g\", rule 1: could not parse");
    let key = Cause::KeyMissing { kind: "Secret", name: "slack".into(), key: "url".into() };
    assert_eq!(said.refused[4].reason, key);
}

#[test]
fn a_key_that_the_servers_resource_names_wrongly_is_known() {
    let text = "creating config failed: loading additional scrape configs from Secret failed: key extra.yaml could not be found in secret extra-scrape";
    let key = Cause::KeyMissing { kind: "Secret", name: "extra-scrape".into(), key: "extra.yaml".into() };
    assert_eq!(reason(Kind::ServiceMonitor, text), key);
}

#[test]
fn a_later_reconciliation_without_the_complaint_ends_it() {
    let skip = r#"level=warn ts=2026-11-21T01:00:01Z msg="skipping servicemonitor" error="x" servicemonitor=a/m namespace=monitoring prometheus=k8s"#;
    let sync = |at: &str, who: &str| format!(r#"level=info ts={at} msg="sync prometheus" key=monitoring/{who}"#);
    let left = |text: &str| {
        let snap = of(text);
        let log = &snap.part_logs().expect("logs")[0];
        let kept = without_the_past(&snap, log, (&*log.text).into());
        let refused = said(&snap).expect("logs").refused.len();
        assert_eq!(kept.matches("skipping").count(), refused, "what is over is no sign of now");
        refused
    };
    assert_eq!(left(&format!("{}\n{skip}", sync("2026-11-21T01:00:00Z", "k8s"))), 1);
    assert_eq!(left(&format!("{skip}\n{}", sync("2026-11-21T01:30:00Z", "k8s"))), 0);
    assert_eq!(left(&format!("{skip}\n{}", sync("2026-11-21T01:30:00Z", "other"))), 1);
}

#[test]
fn reads_each_wording_of_a_failed_reconciliation() {
    for text in [
        r#"level=error ts=2026-11-21T01:00:01Z caller=klog.go:116 component=k8s_client_runtime func=ErrorDepth msg="Sync \"monitoring/main\" failed: provision alertmanager configuration: base config from Secret could not be parsed: yaml: unmarshal errors:\n  line 11: field x not found""#,
        r#"{"ts":"2026-11-21T01:00:01Z","level":"error","caller":{"line":5},"msg":"Unhandled Error","logger":"UnhandledError","err":"sync \"monitoring/main\" failed: provision alertmanager configuration: failed to initialize from secret: bad"}"#,
        r#"E1121 01:00:01.237972       1 operator.go:972] Sync "monitoring/main" failed: provision alertmanager configuration: bad"#,
    ] {
        let snap =
            of(&format!("level=info ts=2026-11-21T01:00:00Z msg=\"sync alertmanager\" key=monitoring/main\n{text}"));
        let said = said(&snap).expect("logs");
        assert_eq!(said.failed.len(), 1, "{text}");
        let one = &said.failed[0];
        assert_eq!((one.namespace.as_str(), one.name.as_str(), one.kind), ("monitoring", "main", Some("Alertmanager")));
        assert!(one.text.starts_with("provision alertmanager configuration"), "{}", one.text);
    }
    let conflict = r#"level=error ts=2026-11-21T01:00:01Z msg="sync \"a/b\" failed: Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest version and try again""#;
    assert!(said(&of(conflict)).expect("logs").failed.is_empty());
}
