use super::*;

fn immutable(kind: &str, name: &str, field: &str, forced: bool) -> Refusal {
    Refusal::Immutable { kind: kind.into(), name: name.into(), field: field.into(), forced }
}

#[test]
fn reads_the_words_of_helm() {
    let selector = r#"Error: UPGRADE FAILED: cannot patch "obs-node-exporter" with kind DaemonSet: DaemonSet.apps "obs-node-exporter" is invalid: spec.selector: Invalid value: v1.LabelSelector{}: field is immutable"#;
    assert_eq!(read(selector), [immutable("DaemonSet", "obs-node-exporter", "spec.selector", false)]);
    let set = r#"Error: UPGRADE FAILED: cannot patch "loki" with kind StatefulSet: StatefulSet.apps "loki" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden"#;
    assert_eq!(read(set), [immutable("StatefulSet", "loki", "spec", false)]);
    let owned = r#"Error: INSTALLATION FAILED: Unable to continue with install: ServiceAccount "op" in namespace "monitoring" exists and cannot be imported into the current release: invalid ownership metadata; annotation validation error: key "meta.helm.sh/release-name" must equal "obs": current value is "stack""#;
    let expected = Refusal::Owned {
        kind: "ServiceAccount".into(),
        name: "op".into(),
        namespace: "monitoring".into(),
        by: Some("stack".into()),
        wanted: Some("obs".into()),
    };
    assert_eq!(read(owned), [expected]);
    let kind = r#"Error: INSTALLATION FAILED: unable to build kubernetes objects from release manifest: resource mapping not found for name: "x" namespace: "" from "": no matches for kind "PodSecurityPolicy" in version "policy/v1beta1""#;
    assert_eq!(read(kind), [Refusal::NoKind { kind: "PodSecurityPolicy".into(), version: "policy/v1beta1".into() }]);
    let long = r#"The CustomResourceDefinition "prometheuses.monitoring.coreos.com" is invalid: metadata.annotations: Too long: must have at most 262144 bytes"#;
    assert_eq!(read(long), [Refusal::TooLong { name: "prometheuses.monitoring.coreos.com".into() }]);
    assert_eq!(read("deployment.apps/web configured"), []);
}

#[test]
fn what_cannot_be_changed_is_said_in_many_ways() {
    let several = r#"Error: UPGRADE FAILED: failed to replace object: PersistentVolumeClaim "loki" is invalid: spec: Forbidden: is immutable after creation except resources.requests for bound claims && failed to replace object: Service "grafana" is invalid: spec.clusterIP: Invalid value: "": field is immutable"#;
    let expected = [
        immutable("PersistentVolumeClaim", "loki", "spec", true),
        immutable("Service", "grafana", "spec.clusterIP", true),
    ];
    assert_eq!(read(several), expected);
    for (text, expected) in [
        (
            r#"Helm upgrade failed for release monitoring/kps with chart kube-prometheus-stack@79.5.0: cannot patch "kps-grafana" with kind PersistentVolumeClaim: PersistentVolumeClaim "kps-grafana" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests for bound claims"#,
            immutable("PersistentVolumeClaim", "kps-grafana", "spec", false),
        ),
        (
            r#"Error: UPGRADE FAILED: PersistentVolumeClaim "t1-grafana" is invalid: spec: Forbidden: is immutable after creation except resources.requests for bound claims"#,
            immutable("PersistentVolumeClaim", "t1-grafana", "spec", false),
        ),
        (
            r#"Error: UPGRADE FAILED: cannot patch "gp3" with kind StorageClass: StorageClass.storage.k8s.io "gp3" is invalid: parameters: Forbidden: updates to parameters are forbidden."#,
            immutable("StorageClass", "gp3", "parameters", false),
        ),
        (
            r#"Error: UPGRADE FAILED: cannot patch "op" with kind ClusterRoleBinding: ClusterRoleBinding.rbac.authorization.k8s.io "op" is invalid: roleRef: Invalid value: rbac.RoleRef{}: cannot change roleRef"#,
            immutable("ClusterRoleBinding", "op", "roleRef", false),
        ),
    ] {
        assert_eq!(read(text), [expected], "{text}");
    }
    let by_kubectl = r#"The Deployment "web" is invalid: spec.selector: Invalid value: {}: field is immutable"#;
    assert_eq!(read(by_kubectl), [], "Helm has no part in it");
}

#[test]
fn fields_that_are_not_known_are_said_by_three_programs() {
    let field = |field: &str| [Refusal::UnknownField { kind: "Prometheus".into(), field: field.into() }];
    let old = r#"Error: UPGRADE FAILED: error validating "": error validating data: ValidationError(Prometheus.spec): unknown field "shards" in com.coreos.monitoring.v1.Prometheus.spec"#;
    assert_eq!(read(old), field("shards"));
    let typed = "unable to determine cluster state: Prometheus/monitoring/kps dry-run failed: failed to create typed patch object (monitoring/kps; monitoring.coreos.com/v1, Kind=Prometheus): .spec.scrapeConfigSelector: field not declared in schema";
    assert_eq!(read(typed), field("spec.scrapeConfigSelector"));
}

#[test]
fn what_is_too_large_or_too_long() {
    let record = r#"Error: create: failed to create: Secret "sh.helm.release.v1.prometheus-operator-crds.v1" is invalid: data: Too long: must have at most 1048576 bytes"#;
    assert_eq!(read(record), [Refusal::RecordTooLarge { release: Some("prometheus-operator-crds".into()) }]);
    let cut = "Error: UPGRADE FAILED: create: failed to create: the server responded with the status code 413 but did not return more information (post secrets)";
    assert_eq!(read(cut), [Refusal::RecordTooLarge { release: None }]);
    let name = r#"Error: UPGRADE FAILED: failed to create resource: Service "a-b-prometheus-server-headless" is invalid: metadata.name: Invalid value: "a-b-prometheus-server-headless": must be no more than 63 characters"#;
    let long = |kind: &str, name: &str| [Refusal::LongName { kind: kind.into(), name: name.into() }];
    assert_eq!(read(name), long("Service", "a-b-prometheus-server-headless"));
    assert_eq!(read(r#"Error: INSTALLATION FAILED: release name "abc" exceeds max length of 53"#), long("", "abc"));
}

#[test]
fn what_the_chart_or_another_program_does() {
    let conflict = r#"Error: UPGRADE FAILED: conflict occurred while applying object /op-admission admissionregistration.k8s.io/v1, Kind=MutatingWebhookConfiguration: Apply failed with 1 conflict: conflict with "kube-webhook-certgen" using admissionregistration.k8s.io/v1: .webhooks[name="x.y"].clientConfig.caBundle"#;
    let expected = Refusal::Conflict {
        kind: "MutatingWebhookConfiguration".into(),
        name: "op-admission".into(),
        namespace: String::new(),
        manager: "kube-webhook-certgen".into(),
        field: r#".webhooks[name="x.y"].clientConfig.caBundle"#.into(),
    };
    assert_eq!(read(conflict), [expected]);
    let order = r#"Error: UPGRADE FAILED: cannot patch "opencost" with kind Deployment: The order in patch list: [map[name:A value:1] map[name:N value:x] map[name:N value:x]] doesn't match $setElementOrder list: [map[name:A] map[name:N] map[name:B] map[name:N]]"#;
    let expected =
        Refusal::Doubled { kind: "Deployment".into(), name: "opencost".into(), entries: vec!["name N".into()] };
    assert_eq!(read(order), [expected]);
    let nil = r#"Error: UPGRADE FAILED: template: kube-prometheus-stack/templates/thanos-ruler/servicemonitor.yaml:1:18: executing "x" at <.Values.thanosRuler.enabled>: nil pointer evaluating interface {}.enabled"#;
    assert_eq!(read(nil), [Refusal::NoValue { value: "thanosRuler.enabled".into() }]);
    let number = r#"Helm upgrade failed: unable to decode "": json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"#;
    assert_eq!(read(number), [Refusal::NotText { field: "metadata.labels".into() }]);
}

#[test]
fn hooks_are_named_with_their_job() {
    let hook = "Error: UPGRADE FAILED: pre-upgrade hooks failed: timed out waiting for the condition";
    assert_eq!(read(hook), [Refusal::Hook { kind: "pre-upgrade", name: None }]);
    let left = r#"Error: warning: Hook pre-delete rancher-monitoring-crd/templates/jobs.yaml failed: jobs.batch "rancher-monitoring-crd-delete" already exists"#;
    assert_eq!(read(left), [Refusal::Hook { kind: "pre-delete", name: Some("rancher-monitoring-crd-delete".into()) }]);
}

#[test]
fn what_values_charts_and_rights_are_to_blame_for() {
    let text = "Error: UPGRADE FAILED: values don't meet the specifications of the schema(s) in the following chart(s): grafana: - (root): Additional property adminPasswrd is not allowed";
    let faults = "grafana: - (root): Additional property adminPasswrd is not allowed".to_owned();
    assert_eq!(read(text), [Refusal::Schema { faults }]);
    let text = "Error: INSTALLATION FAILED: chart requires kubeVersion: >=1.25.0-0 which is incompatible with Kubernetes v1.24.17-eks-f8587cb";
    let expected = Refusal::KubeVersion { wanted: ">=1.25.0-0".into(), has: "v1.24.17-eks-f8587cb".into() };
    assert_eq!(read(text), [expected]);
    let text = "Error: found in Chart.yaml, but missing in charts/ directory: kube-state-metrics, grafana";
    assert_eq!(read(text), [Refusal::MissingCharts { names: "kube-state-metrics, grafana".into() }]);
    for (text, file, says) in [
        (
            "Error: INSTALLATION FAILED: execution error at (kps/charts/grafana/templates/deployment.yaml:36:28): Sensitive key 'client_secret' should not be defined explicitly in values.",
            "kps/charts/grafana/templates/deployment.yaml:36:28",
            "Sensitive key 'client_secret' should not be defined explicitly in values.",
        ),
        (
            "Error: UPGRADE FAILED: YAML parse error on kps/templates/prometheus/prometheus.yaml: error converting YAML to JSON: yaml: line 94: did not find expected key",
            "kps/templates/prometheus/prometheus.yaml",
            "yaml: line 94: did not find expected key",
        ),
        (
            r#"Error: template: kps/templates/prometheus/x.yaml:12:4: executing "kps/templates/prometheus/x.yaml" at <include "kps.fullname" .>: error calling include: template: no template "kps.fullname" associated with template "gotpl""#,
            "kps/templates/prometheus/x.yaml:12:4",
            r#"error calling include: template: no template "kps.fullname" associated with template "gotpl""#,
        ),
    ] {
        assert_eq!(read(text), [Refusal::Template { file: file.into(), says: says.into() }], "{text}");
    }
}

#[test]
fn what_the_api_server_refuses_helm() {
    let invalid = |kind: &str, name: &str, field: &str, says: &str| Refusal::Invalid {
        kind: kind.into(),
        name: name.into(),
        field: field.into(),
        says: says.into(),
    };
    for (text, expected) in [
        (
            r#"Error: UPGRADE FAILED: cannot patch "kps-grafana" with kind Service: Service "kps-grafana" is invalid: spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"#,
            invalid(
                "Service",
                "kps-grafana",
                "spec.ports[0].nodePort",
                "Forbidden: may not be used when `type` is 'ClusterIP'",
            ),
        ),
        (
            r#"Error: UPGRADE FAILED: failed to create resource: Prometheus in version "v1" cannot be handled as a Prometheus: json: cannot unmarshal string into Go struct field PrometheusSpec.spec.replicas of type int32"#,
            invalid("Prometheus", "", "spec.replicas", "it is a string, and has to be of type int32"),
        ),
        (
            r#"Error: UPGRADE FAILED: failed to replace object: Service "kps-prometheus" is invalid: spec.clusterIPs[0]: Invalid value: []string(nil): primary clusterIP can not be unset"#,
            immutable("Service", "kps-prometheus", "spec.clusterIPs[0]", true),
        ),
    ] {
        assert_eq!(read(text), [expected], "{text}");
    }
    let text = r#"Error: UPGRADE FAILED: query: failed to query with labels: secrets is forbidden: User "system:serviceaccount:ci:deployer" cannot list resource "secrets" in API group "" in the namespace "monitoring""#;
    let expected = Refusal::Rights {
        who: "system:serviceaccount:ci:deployer".into(),
        verb: "list".into(),
        resource: "secrets".into(),
        namespace: "monitoring".into(),
    };
    assert_eq!(read(text), [expected]);
    let text = r#"Helm upgrade failed for release monitoring/kps with chart kube-prometheus-stack@79.5.0: cannot patch "kps-operator" with kind ClusterRole: clusterroles.rbac.authorization.k8s.io "kps-operator" is forbidden: user "system:serviceaccount:monitoring:flux" (groups=["system:serviceaccounts" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:
{APIGroups:["monitoring.coreos.com"], Resources:["alertmanagers/status"], Verbs:["*"]}
{NonResourceURLs:["/metrics"], Verbs:["get"]}"#;
    let expected = Refusal::Escalates {
        who: "system:serviceaccount:monitoring:flux".into(),
        kind: "ClusterRole".into(),
        name: "kps-operator".into(),
        lacks: vec![
            r#"APIGroups:["monitoring.coreos.com"], Resources:["alertmanagers/status"], Verbs:["*"]"#.into(),
            r#"NonResourceURLs:["/metrics"], Verbs:["get"]"#.into(),
        ],
    };
    assert_eq!(read(text), [expected]);
    let by_kubectl = r#"Error from server (Forbidden): User "dev" cannot list resource "secrets" in API group "" in the namespace "monitoring""#;
    assert_eq!(read(by_kubectl), [], "Helm has no part in it");
    let taken = r#"Error: UPGRADE FAILED: Service "g" is invalid: spec.ports[0].nodePort: Invalid value: 32100: provided port is already allocated"#;
    assert_eq!(read(taken), [], "who has the port is another finding");
}

#[test]
fn a_quota_that_is_used_up() {
    let key = "count/prometheusrules.monitoring.coreos.com";
    let text = format!(
        "failed to create resource: prometheusrules.monitoring.coreos.com \"stack-kubelet\" is forbidden: exceeded quota: object-counts, requested: {key}=1, used: {key}=10, limited: {key}=10"
    );
    let Some(Refusal::Quota { resource, name, quota, key: of, used, limited }) = read(&text).pop() else {
        panic!("a quota")
    };
    assert_eq!((resource.as_str(), name.as_str()), ("prometheusrules.monitoring.coreos.com", "stack-kubelet"));
    assert_eq!((quota.as_str(), of.as_str(), used.as_str(), limited.as_str()), ("object-counts", key, "10", "10"));
    let two = "services \"web\" is forbidden: exceeded quota: q, requested: services.loadbalancers=1,services.nodeports=1, used: services.loadbalancers=2,services.nodeports=0, limited: services.loadbalancers=2,services.nodeports=9";
    assert!(matches!(read(two).pop(), Some(Refusal::Quota { key, .. }) if key == "services.loadbalancers"));
}
