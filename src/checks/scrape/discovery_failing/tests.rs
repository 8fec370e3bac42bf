//! What `discovery-failing` finds, and what leaves it quiet.

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::{pod, service, snapshot, up};
use crate::model::Program;
use crate::snapshot::monitoring::{ContainerLog, Sample};
use serde_json::json;

const CONFIG: &str = "scrape_configs:\n- job_name: serviceMonitor/tb/web/0\n  kubernetes_sd_configs: [{role: endpoints, namespaces: {names: [tb]}}]\n\
    - job_name: pods\n  kubernetes_sd_configs: [{role: pod}]\n- job_name: file-sd\n  file_sd_configs: [{files: ['/t/*.json']}]\n\
    - job_name: ec2\n  ec2_sd_configs: [{region: eu-central-1}]\n";

/// A Prometheus that wrote this log; the snapshot is of 02:00.
fn with(log: &str) -> Snapshot {
    let mut prometheus = pod("monitoring", "prometheus", true);
    prometheus["spec"]["serviceAccountName"] = json!("prometheus-k8s");
    let mut snap = snapshot(json!({
        "services": [service("monitoring", "prometheus", &[9090])], "pods": [prometheus],
        "targets": [up("pods", "http://10.0.0.9:80/metrics")]
    }));
    *snap.prometheus_config = Ok(CONFIG.to_owned());
    *snap.component_logs = Ok(vec![ContainerLog {
        namespace: "monitoring".into(),
        pod: "prometheus-5d9-abcde".into(),
        container: "prometheus".into(),
        program: Some(Program::Prometheus),
        text: log.into(),
        ..ContainerLog::default()
    }]);
    snap
}

fn found(log: &str) -> Vec<Finding> {
    findings(&DiscoveryFailing, &with(log))
}

#[test]
fn what_is_over_or_passes_is_quiet() {
    for log in [
        // Healthy lines.
        r#"time=2026-11-21T01:59:00Z level=INFO msg="Using pod service account via in-cluster config" component="discovery manager scrape" discovery=kubernetes config=pods"#,
        // Too old.
        r#"ts=2026-11-20T22:00:00Z level=error component="discovery manager scrape" discovery=ec2 config=ec2 msg="Unable to refresh target groups" err="NoCredentialProviders: no valid providers in chain""#,
        // client-go repeats itself each minute: forty minutes of silence mean that it works.
        "E1121 01:19:00.000000 1 reflector.go:1] \"Failed to watch\" err=\"failed to list *v1.Pod: pods is forbidden: User \\\"system:serviceaccount:monitoring:prometheus-k8s\\\" cannot list resource \\\"pods\\\" in API group \\\"\\\" at the cluster scope\"\n\
         E1121 01:20:00.000000 1 reflector.go:1] \"Failed to watch\" err=\"failed to list *v1.Pod: pods is forbidden: User \\\"system:serviceaccount:monitoring:prometheus-k8s\\\" cannot list resource \\\"pods\\\" in API group \\\"\\\" at the cluster scope\"",
        // The end of a reload.
        r#"ts=2026-11-21T01:59:00Z level=error component="discovery manager scrape" discovery=dns config=x msg="Unable to refresh target groups" err="context canceled""#,
        // A watch that ends is begun again.
        r#"W1121 01:59:00.000000 1 reflector.go:539] watch of *v1.Pod ended with: very short watch: Unexpected watch close"#,
        // Once, while the targets are there.
        r#"E1121 01:59:00.000000 1 reflector.go:1] failed to list *v1.Pod: Get "https://172.20.0.1:443/api/v1/pods": dial tcp 172.20.0.1:443: connect: connection refused"#,
        // Loaded again without a fault.
        "ts=2026-11-21T01:50:00Z level=error component=\"discovery manager scrape\" msg=\"Cannot create service discovery\" err=\"unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST\" type=kubernetes config=pods\n\
         ts=2026-11-21T01:55:00Z level=info msg=\"Loading configuration file\" filename=/etc/prometheus/prometheus.yml",
    ] {
        let mut snap = with(log);
        *snap.prometheus_targets = Ok(serde_json::from_value(json!([
            up("pods", "http://10.0.0.9:80/metrics"),
            up("serviceMonitor/tb/web/0", "http://10.0.0.8:80/metrics")
        ]))
        .expect("are targets"));
        assert_eq!(findings(&DiscoveryFailing, &snap), [], "{log}");
    }
}

#[test]
fn refused_permissions_of_all_wordings_are_one_finding_for_the_account() {
    let user = r#"User \"system:serviceaccount:monitoring:prometheus-k8s\" cannot list resource"#;
    let log = [
        format!(r#"ts=2026-11-21T01:59:28.779Z caller=klog.go:116 level=error component=k8s_client_runtime func=ErrorDepth msg="pkg/mod/k8s.io/client-go@v0.24.0/tools/cache/reflector.go:167: Failed to watch *v1.Endpoints: failed to list *v1.Endpoints: endpoints is forbidden: {user} \"endpoints\" in API group \"\" in the namespace \"tb\"""#),
        format!(r#"E1121 01:59:49.826213      32 reflector.go:227] "Failed to watch" err="failed to list *v1.Node: nodes is forbidden: {user} \"nodes\" in API group \"\" at the cluster scope" logger="UnhandledError""#),
        r#"W1121 01:59:50.000000       1 reflector.go:324] k8s.io/client-go/informers/factory.go:134: failed to list *v1.EndpointSlice: endpointslices.discovery.k8s.io is forbidden: User "system:serviceaccount:monitoring:prometheus-k8s" cannot list resource "endpointslices" in API group "discovery.k8s.io" in the namespace "trec""#.to_owned(),
        r#"level=error ts=2026-11-21T01:59:51Z caller=main.go:216 component=k8s_client_runtime err="/app/discovery/kubernetes/kubernetes.go:302: Failed to list *v1.Service: services is forbidden: User \"system:serviceaccount:monitoring:prometheus-k8s\" cannot list services in the namespace \"old\"""#.to_owned(),
    ]
    .join("\n");
    let found = found(&log);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].subject().key(), "k8s//ServiceAccount/monitoring/prometheus-k8s");
    let message = &found[0].message;
    for part in [
        "endpoints in namespace tb",
        "endpointslices in namespace trec",
        "services in namespace old",
        "nodes in the cluster",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(message.ends_with("; job serviceMonitor/tb/web/0 gets no new targets"), "{message}");
    let steps = steps(&found[0]);
    assert!(
        steps.contains("kubectl auth can-i list endpoints -n tb --as=system:serviceaccount:monitoring:prometheus-k8s"),
        "{steps}"
    );
    assert!(steps.contains("kubectl auth can-i list endpointslices.discovery.k8s.io -n trec"), "{steps}");
    assert!(steps.contains("kind: ClusterRole\nmetadata:\n  name: prometheus-k8s-discovery\nrules:"), "{steps}");
    assert!(steps.contains("  name: prometheus-k8s-discovery\n  namespace: tb\nrules:\n  - apiGroups: [\"\"]\n    resources:\n      - endpoints\n      - pods\n      - services\n"), "{steps}");
}

#[test]
fn reasons_are_told_apart() {
    let line = |discovery: &str, message: &str, rest: &str| {
        format!(
            r#"time=2026-11-21T01:59:49.363Z level=ERROR msg="{message}" component="discovery manager scrape" discovery={discovery} config={discovery}-job {rest}"#
        )
    };
    let refresh =
        |discovery: &str, error: &str| line(discovery, "Unable to refresh target groups", &format!("err=\"{error}\""));
    for (log, variant, says) in [
        (
            r#"time=2026-11-21T01:59:49Z level=ERROR msg="Cannot create service discovery" component="discovery manager scrape" err="open /var/run/secrets/kubernetes.io/serviceaccount/token: no such file or directory" type=kubernetes config=pods"#.to_owned(),
            "token",
            "automountServiceAccountToken",
        ),
        (
            r#"E1121 01:59:58.601671      32 reflector.go:227] "Failed to watch" err="failed to list *v1.Pod: Get \"https://172.20.0.1:443/api/v1/pods?limit=500\": tls: failed to verify certificate: x509: certificate signed by unknown authority""#.to_owned(),
            "certificate",
            "kube-root-ca.crt",
        ),
        (r#"E1121 01:59:58.601671 1 reflector.go:1] failed to list *v1.Pod: Unauthorized"#.to_owned(), "unauthorized", "rollout restart"),
        (
            r#"E1121 01:59:58.601671 1 reflector.go:1] failed to list *v1.Endpoints: Get "https://172.20.0.1:443/api/v1/pods": dial tcp 172.20.0.1:443: i/o timeout"#.to_owned(),
            "unreachable",
            "kubectl describe networkpolicy -n monitoring",
        ),
        (line("file", "Error adding file watch", r#"path=/etc/t/ err="no such file or directory""#), "file", "mountPath: \"/etc/t\""),
        (line("file", "Error reading file", r#"path=/etc/t/a.json err="invalid character '}'""#), "file", "cat /etc/t/a.json"),
        (refresh("ec2", "could not describe instances: NoCredentialProviders: no valid providers in chain"), "aws-credentials", "eksctl create iamserviceaccount --name prometheus-k8s"),
        (
            refresh("ec2", "could not describe instances: UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/prom-role/17 is not authorized to perform: ec2:DescribeInstances because no identity-based policy allows"),
            "aws-denied",
            "aws iam put-role-policy --role-name prom-role",
        ),
        (
            refresh("ec2", "could not describe instances: UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/nodes/i-0abc is not authorized to perform: ec2:DescribeInstances because no identity-based policy allows"),
            "aws-credentials",
            "eksctl create iamserviceaccount --name prometheus-k8s",
        ),
        (refresh("ec2", "WebIdentityErr: failed to retrieve credentials caused by: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"), "aws-role", "system:serviceaccount:monitoring:prometheus-k8s"),
        (refresh("http", r#"Get \"http://sd.ops.svc:8080/t\": dial tcp 10.0.0.1:8080: connect: connection refused"#), "other", "http discovery of job http-job"),
        (refresh("dns", r#"could not resolve \"_web._tcp.ops\": all servers responded with errors"#), "other", "all servers responded"),
    ] {
        let mut snap = with(&log);
        *snap.prometheus_targets = Ok(Vec::new());
        let found = findings(&DiscoveryFailing, &snap);
        assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), [variant], "{log}");
        assert!(steps(&found[0]).contains(says), "{variant}: {}", steps(&found[0]));
    }
}

#[test]
fn requests_without_any_answer_are_found_though_nothing_is_logged() {
    let sample = |code: &str, value: f64| Sample {
        name: "prometheus_sd_kubernetes_http_request_total".into(),
        labels: [("status_code".to_owned(), code.to_owned())].into(),
        value,
    };
    let mut snap = with("");
    *snap.prometheus_targets = Ok(Vec::new());
    *snap.prometheus_metrics = Ok(vec![sample("<error>", 12.0)]);
    let found = findings(&DiscoveryFailing, &snap);
    assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), ["unreachable"]);
    assert!(found[0].message.contains("none of its 12 requests was answered"), "{}", found[0].message);
    *snap.prometheus_metrics = Ok(vec![sample("<error>", 12.0), sample("200", 4.0)]);
    assert_eq!(findings(&DiscoveryFailing, &snap), [], "it did answer");
}
