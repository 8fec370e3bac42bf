//! Tests of the check.

use serde_json::json;

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::snapshot;
use crate::snapshot::kubernetes::MonitoringResource;
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Listing, Snapshot};

const AMP: &str = "https://aps-workspaces.eu-west-2.amazonaws.com/workspaces/ws-1/api/v1/remote_write";

/// A Prometheus of the operator that writes to this URL, and says so.
fn with(url: &str, msg: &str, err: &str, sigv4: &serde_json::Value, role: Option<&str>) -> Snapshot {
    let mut snap = snapshot(json!({"pods": [{
        "metadata": {"namespace": "monitoring", "name": "prometheus-main-0", "labels": {
            "app.kubernetes.io/managed-by": "prometheus-operator", "operator.prometheus.io/name": "main",
            "app.kubernetes.io/name": "prometheus"}, "ownerReferences": [{"kind": "StatefulSet", "name": "prometheus-main", "controller": true}]},
        "spec": {"serviceAccountName": "prometheus", "containers": [{"name": "prometheus", "image": "prometheus:v3.5.0"}]},
        "status": {"phase": "Running"}
    }]}));
    let mut write = json!({"url": url});
    if !sigv4.is_null() {
        write["sigv4"] = sigv4.clone();
    }
    let mut main: MonitoringResource = serde_json::from_value(
        json!({"metadata": {"namespace": "monitoring", "name": "main"}, "spec": {"remoteWrite": [{"url": "http://other/x"}, write]}}),
    )
    .expect("a resource");
    main.kind = "Prometheus".into();
    snap.monitoring_resources = Listing::cluster(vec![main]);
    let annotations = role.map_or(json!({}), |r| json!({"eks.amazonaws.com/role-arn": r}));
    let account = json!([{"metadata": {"namespace": "monitoring", "name": "prometheus", "annotations": annotations}}]);
    snap.service_accounts = Listing::cluster(serde_json::from_value(account).expect("accounts"));
    let line = |minute: u8| {
        format!(
            "time=2026-11-21T01:5{minute}:30Z level=ERROR msg={msg:?} component=remote remote_name=4e28b2 url={url} failedSampleCount=500 err={err:?}\n"
        )
    };
    *snap.component_logs = Ok(vec![ContainerLog {
        namespace: "monitoring".into(),
        pod: "prometheus-main-0".into(),
        container: "prometheus".into(),
        program: Some(Program::Prometheus),
        text: (line(8) + &line(9)).into(),
        ..ContainerLog::default()
    }]);
    snap
}

fn one(snap: &Snapshot) -> Finding {
    let mut found = findings(&RemoteWriteFailing, snap);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

const RETRY: &str = "Failed to send batch, retrying";
const LOST: &str = "non-recoverable error";

fn assume(session: &str, wanted: &str) -> String {
    format!(
        "Post \"{AMP}\": failed to sign request: AccessDenied: User: arn:aws:sts::111122223333:assumed-role/{session} is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/{wanted}\n\tstatus code: 403"
    )
}

#[test]
fn a_healthy_remote_write_is_quiet() {
    let mut snap = with(AMP, LOST, "x", &json!({}), None);
    if let Ok(logs) = snap.component_logs.as_mut() {
        logs[0].text = "level=INFO component=remote msg=\"Done replaying WAL\"".into();
    }
    assert!(findings(&RemoteWriteFailing, &snap).is_empty());
}

#[test]
fn a_role_that_assumes_itself_is_taken_out() {
    let url = AMP.replace("/ws-1/", "/ws-1//");
    let sigv4 = json!({"region": "eu-west-2", "roleArn": "arn:aws:iam::111122223333:role/prom"});
    let found =
        one(&with(&url, RETRY, &assume("prom/17", "prom"), &sigv4, Some("arn:aws:iam::111122223333:role/prom")));
    assert_eq!(found.variant, "itself");
    assert!(found.message.contains("may not assume itself") && found.message.contains("slash too many"));
    let told = steps(&found);
    assert!(told.contains(r#"{"op":"remove","path":"/spec/remoteWrite/1/sigv4/roleArn"}]"#), "{told}");
    assert!(told.contains(AMP), "{told}");
}

#[test]
fn the_role_of_the_node_means_that_the_account_gives_none() {
    let sigv4 = json!({"region": "eu-west-2", "roleArn": "arn:aws:iam::111122223333:role/amp-ingest"});
    let found = one(&with(AMP, RETRY, &assume("nodes/i-0123456789", "amp-ingest"), &sigv4, None));
    assert_eq!(found.variant, "no-role");
    let told = steps(&found);
    assert!(told.contains("eks.amazonaws.com/role-arn=arn:aws:iam::111122223333:role/amp-ingest"), "{told}");
}

#[test]
fn a_denied_write_attaches_the_policy_to_the_role_that_was_denied() {
    let err = r#"server returned HTTP status 403 Forbidden: {"Message":"User: arn:aws:sts::111122223333:assumed-role/prom/17 is not authorized to perform: aps:RemoteWrite on resource: arn:aws:aps:eu-west-2:111122223333:workspace/ws-1"}"#;
    let found = one(&with(AMP, LOST, err, &json!({"region": "eu-west-2"}), None));
    assert_eq!(found.variant, "forbidden");
    assert!(steps(&found).contains("attach-role-policy --role-name prom --policy-arn"), "{}", steps(&found));
}

#[test]
fn an_unsigned_request_and_a_wrong_region_are_told_apart() {
    let missing = r#"server returned HTTP status 403 Forbidden: {"message":"Missing Authentication Token"}"#;
    assert_eq!(one(&with(AMP, LOST, missing, &serde_json::Value::Null, None)).variant, "unsigned");
    let signed = json!({"region": "eu-west-2"});
    assert_eq!(one(&with(&format!("{AMP}/"), LOST, missing, &signed, None)).variant, "url");
    let scope =
        r#"server returned HTTP status 403 Forbidden: {"message":"Credential should be scoped to a valid region."}"#;
    assert_eq!(one(&with(AMP, LOST, scope, &json!({"region": "us-east-1"}), None)).variant, "region");
}

#[test]
fn each_answer_has_its_own_fix() {
    let mimir = "http://mimir.metrics.svc:8080/api/v1/push";
    let status = |text: &str| format!("server returned HTTP status {text}");
    for (url, err, variant) in [
        (mimir, status("401 Unauthorized: no org id"), "tenant"),
        (mimir, status("401 Unauthorized: authentication error"), "credential"),
        (mimir, status("404 Not Found: 404 page not found"), "path"),
        (mimir, status("400 Bad Request: out of order (err-mimir-sample-out-of-order)"), "out-of-order"),
        (mimir, status("400 Bad Request: limit (err-mimir-max-series-per-user)"), "series"),
        (mimir, status("400 Bad Request: x (err-mimir-label-value-too-long)"), "labels"),
        (mimir, status("413 Request Entity Too Large: "), "too-large"),
        (mimir, status("429 Too Many Requests: slow down"), "rate"),
        (mimir, status("503 Service Unavailable: x"), "server"),
        (mimir, format!("Post \"{mimir}\": dial tcp 10.0.0.1:8080: connect: connection refused"), "unreachable"),
        (mimir, format!("Post \"{mimir}\": dial tcp: lookup mimir on 10.0.0.2:53: no such host"), "name"),
        (mimir, format!("Post \"{mimir}\": x509: certificate signed by unknown authority"), "tls"),
        (
            "http://prom.other.svc:9090/api/v1/write",
            status("404 Not Found: remote write receiver needs to be enabled with --web.enable-remote-write-receiver"),
            "receiver-off",
        ),
    ] {
        let msg = if err.starts_with("Post") || err.contains(" 503") { RETRY } else { LOST };
        assert_eq!(one(&with(url, msg, &err, &serde_json::Value::Null, None)).variant, variant, "{err}");
    }
}

#[test]
fn a_policy_that_is_none_of_the_role_is_changed_where_it_is() {
    let err = |why: &str| {
        format!(
            "server returned HTTP status 403 Forbidden: {{\"message\":\"User: arn:aws:sts::111122223333:assumed-role/prom/1 is not authorized to perform: aps:RemoteWrite on resource: arn:aws:aps:eu-west-2:111122223333:workspace/ws-1 {why}\"}}"
        )
    };
    let of = |why: &str| with(AMP, LOST, &err(why), &json!({"region": "eu-west-2"}), None);
    let mut snap = of("because no VPC endpoint policy allows the aps:RemoteWrite action");
    *snap.vpc_endpoints = Ok(serde_json::from_value(json!([{"VpcEndpointId": "vpce-1",
        "ServiceName": "com.amazonaws.eu-west-2.aps-workspaces",
        "PolicyDocument": r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"aps:QueryMetrics","Resource":"*"}]}"#}]))
    .expect("an endpoint"));
    let found = one(&snap);
    assert_eq!(found.variant, "elsewhere");
    let told = steps(&found);
    let keeps = told.contains("aps:QueryMetrics") && told.contains("aps:RemoteWrite");
    assert!(told.contains("--vpc-endpoint-id vpce-1") && keeps, "{told}");
    assert!(!told.contains("attach-role-policy"), "{told}");
    let denied = one(&of("with an explicit deny in a service control policy"));
    assert!(denied.message.contains("a service control policy of the organization denies it"), "{}", denied.message);
    let own = one(&of("because no identity-based policy allows the aps:RemoteWrite action"));
    assert_eq!(own.variant, "forbidden");
}
