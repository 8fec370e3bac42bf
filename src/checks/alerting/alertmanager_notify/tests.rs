//! Real lines of Alertmanager 0.25 and 0.33, and what the check makes of them.

use serde_json::json;

use super::*;
use crate::checks::support::testing::applicable;
use crate::model::Fact;
use crate::pages;
use crate::snapshot::Listing;
use crate::snapshot::monitoring::{AlertmanagerConfig, AlertmanagerStatus, ContainerLog, Sample};

fn snapshot(log: &str) -> Snapshot {
    let mut snap = Snapshot::empty("2026-11-21T03:28:36Z".parse().expect("a time"));
    snap.scope.stack = vec!["monitoring".into()];
    let pods = json!([{"metadata": {"name": "am-0", "namespace": "monitoring"}, "status": {"phase": "Running"},
        "spec": {"nodeName": "n", "serviceAccountName": "am",
            "volumes": [{"name": "s", "secret": {"secretName": "am-slack"}}, {"name": "c", "configMap": {"name": "am-config"}}],
            "containers": [{"name": "alertmanager", "volumeMounts": [
                {"name": "s", "mountPath": "/etc/alertmanager/secrets"}, {"name": "c", "mountPath": "/etc/alertmanager"}]}]}}]);
    snap.pods = Listing::cluster(serde_json::from_value(pods).expect("pods"));
    let nodes =
        json!([{"metadata": {"name": "n"}, "status": {"addresses": [{"type": "InternalIP", "address": "10.0.1.5"}]}}]);
    snap.nodes = Listing::cluster(serde_json::from_value(nodes).expect("nodes"));
    let subnets = json!([{"SubnetId": "subnet-1", "CidrBlock": "10.0.1.0/24"}]);
    *snap.subnets = Ok(serde_json::from_value(subnets).expect("subnets"));
    let log = ContainerLog {
        namespace: "monitoring".into(),
        pod: "am-0".into(),
        program: Some(crate::model::Program::Alertmanager),
        text: log.into(),
        ..ContainerLog::default()
    };
    *snap.component_logs = Ok(vec![log]);
    snap
}

fn lost(cause: &str, integration: &str) -> String {
    let err = format!("team/{integration}[0]: notify retry canceled after 7 attempts: {cause}");
    let err = err.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("time=2026-11-21T03:20:00Z level=ERROR msg=\"Notify for alerts failed\" num_alerts=1 err=\"{err}\"\n")
}

fn findings(snap: &Snapshot) -> Vec<Finding> {
    applicable(&AlertmanagerNotify, snap)
}

fn only(snap: &Snapshot) -> (Finding, String) {
    let mut all = findings(snap);
    assert_eq!(all.len(), 1, "{all:?}");
    let finding = all.remove(0);
    let fix = pages::fix(&AlertmanagerNotify::META, finding.variant, &finding.params).expect("renders");
    for evidence in &finding.evidence {
        pages::command(evidence.reproduce_template, &evidence.params).expect("renders");
    }
    let commands: Vec<String> =
        fix.steps.iter().chain(&fix.verify).map(|s| format!("{} {}", s.text, s.command)).collect();
    (finding, commands.join("\n"))
}

#[test]
fn every_reason_has_its_fix() {
    let cases = [
        ("slack", r#"Post "<redacted>": context deadline exceeded"#, "egress"),
        ("slack", "dial tcp: lookup hooks.slack.com on 172.20.0.10:53: no such host", "dns"),
        ("slack", "dial tcp: lookup login.example.com on 172.20.0.10:53: no such host", "dns"),
        ("slack", r#"Post "<redacted>": dial tcp 10.0.1.30:443: connect: connection refused"#, "refused"),
        ("slack", "tls: failed to verify certificate: x509: certificate signed by unknown authority", "certificate"),
        ("slack", "tls: first record does not look like a TLS handshake", "plain-http"),
        ("slack", "proxyconnect tcp: dial tcp 10.0.0.9:3128: connect: connection refused", "proxy"),
        ("slack", r##"channel "#a": unexpected status code 403: invalid_token"##, "credential"),
        ("slack", r##"channel "#a": error response from Slack: channel_not_found"##, "channel"),
        ("slack", r##"channel "#a": unexpected status code 400: invalid_payload"##, "payload"),
        ("slack", r##"channel "#a": unexpected status code 429: rate_limited"##, "rate-limit"),
        ("slack", r##"channel "#a": unexpected status code 500: internal_error"##, "server"),
        ("slack", r#"template: :1:12: executing "" at <{{template "x" .}}>: template "x" not defined"#, "template"),
        ("slack", "open /etc/alertmanager/secrets/url: no such file or directory", "file"),
        ("slack", "open /else/where: no such file or directory", "file"),
        ("webhook", "unexpected status code 404: 404 page not found\n", "not-found"),
        (
            "webhook",
            "unexpected status code 404: http://hook.ops.svc.cluster.local:5001/alert: 404 page not found\n",
            "service",
        ),
        ("pagerduty", "unexpected status code 400: Event object is invalid: Invalid routing key", "credential"),
        ("email", "*email.loginAuth auth: 535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6", "smtp-auth"),
        ("email", "'require_tls' is true (default) but \"m:25\" does not advertise the STARTTLS extension", "starttls"),
        (
            "sns",
            "NoCredentialProviders: no valid providers in chain. Deprecated.\n\tFor verbose messaging",
            "aws-credentials",
        ),
        ("webhook", "unexpected status code 400: Summary or Text is required.", "own-form"),
        ("email", "*smtp.plainAuth auth: wrong host name", "starttls"),
        ("webhook", "something new", "other"),
    ];
    for (integration, cause, variant) in cases {
        let (finding, _) = only(&snapshot(&lost(cause, integration)));
        assert_eq!((finding.variant, finding.severity), (variant, Severity::Error), "{cause}");
        assert_eq!(*finding.subject(), ResourceRef::Receiver { name: "team".into() });
    }
}

#[test]
fn a_timeout_depends_on_the_subnet_of_the_pod_and_a_refusal_does_not() {
    let subnet = ResourceRef::aws("ec2", "subnet", "subnet-1");
    let (finding, _) = only(&snapshot(&lost("dial tcp 3.68.175.98:443: i/o timeout", "slack")));
    assert_eq!(finding.depends_on, [subnet]);
    let (finding, _) = only(&snapshot(&lost(r##"channel "#a": unexpected status code 404: no_service"##, "slack")));
    assert_eq!(finding.depends_on, []);
    let (finding, _) = only(&snapshot(&lost("dial tcp 10.0.7.7:443: i/o timeout", "slack")));
    assert_eq!(finding.depends_on, [], "a private address does not need the internet");
}

#[test]
fn a_webhook_in_the_cluster_depends_on_its_service() {
    let cause = "Post \"http://flash-hook.shop.svc.cluster.local:5001/alert\": dial tcp 10.0.1.30:5001: connect: connection refused";
    let (finding, commands) = only(&snapshot(&lost(cause, "webhook")));
    assert_eq!(finding.depends_on, [ResourceRef::service("shop", "flash-hook")]);
    assert!(commands.contains("kubectl logs -n shop service/flash-hook --since=1h"), "{commands}");
}

#[test]
fn a_bare_deadline_belongs_to_what_its_retries_said() {
    let retry = "time=2026-11-21T03:19:00Z level=WARN msg=\"Notify attempt failed, will retry later\" receiver=team integration=slack[0] attempts=1 err=\"channel \\\"#a\\\": unexpected status code 503: x\"\n";
    let (finding, _) = only(&snapshot(&format!("{retry}{}", lost("context deadline exceeded", "slack"))));
    assert_eq!((finding.variant, finding.severity), ("server", Severity::Error));
    let (finding, _) = only(&snapshot(retry));
    assert_eq!(finding.severity, Severity::Warning);
}

#[test]
fn names_the_secret_that_holds_the_webhook_and_never_the_webhook() {
    let url = "Post \"https://hooks.slack.com/services/T0/B0/TOKEN\"";
    let mut snap = snapshot(&lost(&format!("{url}: unexpected status code 403: invalid_token"), "slack"));
    let original =
        "receivers:\n  - name: team\n    slack_configs:\n      - api_url_file: /etc/alertmanager/secrets/slack-url\n";
    let config = AlertmanagerConfig { original: original.into() };
    *snap.alertmanager_status = Ok(AlertmanagerStatus { config, ..AlertmanagerStatus::default() });
    let (finding, commands) = only(&snap);
    assert!(commands.contains("kubectl patch secret am-slack -n monitoring --type=merge"), "{commands}");
    assert!(!format!("{finding:?}{commands}").contains("TOKEN"));
    assert!(!commands.contains("rollout restart"), "{commands}");
}

#[test]
fn a_redirect_to_another_name_is_pointed_out() {
    let (_, commands) =
        only(&snapshot(&lost("dial tcp: lookup login.example.com on 172.20.0.10:53: no such host", "slack")));
    assert!(commands.contains("redirected the request to login.example.com"), "{commands}");
}

#[test]
fn counters_speak_only_where_no_log_can() {
    let count = |name: &str, value: f64| Sample {
        name: name.into(),
        labels: [("integration".to_owned(), "slack".to_owned())].into(),
        value,
    };
    let failing =
        vec![count("alertmanager_notifications_total", 10.0), count("alertmanager_notifications_failed_total", 4.0)];
    let mut snap = snapshot("level=info msg=\"Listening on\"");
    *snap.alertmanager_metrics = Ok(failing);
    assert_eq!(findings(&snap), []);
    let gap = Gap::new("log", GapCause::Forbidden { permission: "get pods/log".into() }, "");
    snap.forget(Fact::ComponentLogs, &gap);
    let (finding, _) = only(&snap);
    assert_eq!(finding.severity, Severity::Warning);
    *snap.alertmanager_metrics = Ok(vec![count("alertmanager_notifications_total", 10.0)]);
    assert_eq!(AlertmanagerNotify.diagnose(&snap), Err(gap));
}

#[test]
fn a_running_alertmanager_without_a_log_is_a_gap() {
    let mut snap = snapshot("");
    *snap.component_logs = Ok(Vec::new());
    assert!(AlertmanagerNotify.diagnose(&snap).is_err());
    snap.pods = Listing::cluster(Vec::new());
    assert!(matches!(AlertmanagerNotify.diagnose(&snap), Ok(Diagnosis::NotApplicable(_))));
}

/// Without Alertmanager's API its file still tells of the proxy.
#[test]
fn the_proxy_of_the_mounted_file_is_named() {
    let mut snap = snapshot(&lost("Post \"<redacted>\": context deadline exceeded", "slack"));
    *snap.alertmanager_status = Err(Gap::new("status", GapCause::Timeout, ""));
    let file = "route: {receiver: team}\nreceivers: [{name: team, slack_configs: [{http_config: {proxy_url: 'http://proxy.corp:3128'}}]}]\n";
    let maps =
        json!([{"metadata": {"name": "am-config", "namespace": "monitoring"}, "data": {"alertmanager.yml": file}}]);
    snap.config_maps = Listing::cluster(serde_json::from_value(maps).expect("ConfigMaps"));
    let found = applicable(&AlertmanagerNotify, &snap);
    assert!(found[0].message.contains("through the proxy http://proxy.corp:3128"), "{}", found[0].message);
}
