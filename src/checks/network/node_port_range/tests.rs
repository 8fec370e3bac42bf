use jiff::Timestamp;

use super::*;
use crate::lint::yaml;
use crate::model::{Fact, GapCause};
use crate::snapshot::manifests::{Manifest, ManifestFile, apply_errors};
use crate::snapshot::{Listing, Platform, Scope};

fn snapshot(files: &[(&str, &str)]) -> Snapshot {
    let mut snap = Snapshot::empty(Timestamp::UNIX_EPOCH);
    let files = files.iter().map(|(path, text)| {
        let log = path.ends_with(".log");
        let documents = if log { Vec::new() } else { yaml::documents(text).expect("is YAML") };
        let (objects, values): (Vec<_>, Vec<_>) =
            documents.into_iter().partition(|d| Manifest::of(d.clone()).is_some());
        ManifestFile {
            objects: objects.into_iter().filter_map(Manifest::of).collect(),
            values,
            errors: if log { apply_errors(text) } else { Vec::new() },
            ..ManifestFile::new(*path, *text)
        }
    });
    snap.manifests = Listing::cluster(files.collect());
    snap
}

fn cluster(mut snap: Snapshot, services: serde_json::Value) -> Snapshot {
    let services: Vec<Service> = serde_json::from_value(services).expect("are Services");
    snap.services = Listing::cluster(services);
    snap.scope = Scope { stack: vec!["monitoring".into()], discovered: true, ..Scope::default() };
    snap
}

fn found(snap: &Snapshot) -> Vec<Finding> {
    match NodePortRange.diagnose(snap).expect("was seen") {
        Diagnosis::Findings(findings) => findings,
        Diagnosis::NotApplicable(why) => panic!("does not apply: {why}"),
    }
}

fn messages(snap: &Snapshot) -> Vec<String> {
    found(snap).into_iter().map(|f| format!("{}: {}", f.severity, f.message)).collect()
}

fn service(name: &str, kind: &str, port: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: monitoring}}\nspec:\n  type: {kind}\n  ports:\n  - port: 9090\n    {port}\n"
    )
}

#[test]
fn what_the_api_server_takes_is_quiet() {
    for text in [
        service("a", "NodePort", "nodePort: 30090"),
        service("a", "NodePort", "nodePort: 32767"),
        service("a", "NodePort", "nodePort: 0"),
        service("a", "NodePort", "name: http"),
        service("a", "ClusterIP", "name: http"),
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {clusterIP: None, ports: [{port: 9090}]}\n".into(),
        "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}\nspec: {type: NodePort, ports: [{nodePort: 1}]}\n".into(),
        "grafana:\n  service: {type: ClusterIP, nodePort: 33000}\n".into(),
        "grafana:\n  enabled: false\n  service: {type: NodePort, nodePort: 33000}\n".into(),
        "service: {type: NodePort, nodePort: null}\nallocateLoadBalancerNodePorts: true\n".into(),
    ] {
        assert_eq!(messages(&snapshot(&[("x.yaml", &text)])), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn without_files_the_check_does_not_apply() {
    let mut snap = snapshot(&[]);
    assert!(matches!(NodePortRange.diagnose(&snap), Ok(Diagnosis::NotApplicable(_))));
    snap.forget(Fact::Manifests, &Gap::new("manifests", GapCause::Unreadable, ""));
    assert!(NodePortRange.diagnose(&snap).is_err());
}

#[test]
fn values_are_judged_as_the_chart_uses_them() {
    let said = |text: &str| messages(&snapshot(&[("values.yaml", text)]));
    let grafana = "grafana:\n  service:\n    type: NodePort\n    nodePort: 33000\n";
    assert_eq!(
        said(grafana),
        [
            "error: Helm values grafana.service.nodePort in values.yaml (33000) asks for a nodePort outside 30000-32767 (the default range): the API server refuses it"
        ]
    );
    assert!(said("service: {nodePort: 39090}\n")[0].starts_with("warning"), "the chart's type is not known");
    assert!(
        said("controller:\n  service:\n    type: LoadBalancer\n    nodePorts: {http: 80}\n")[0].starts_with("error")
    );
    assert_eq!(said("service: {type: NodePort, httpNodePort: 8080, grpcNodePort: 30091}\n").len(), 1);
    let flux = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: a}\nspec:\n  values: {grafana: {service: {type: NodePort, nodePort: 33000}}}\n";
    let of_flux = &found(&snapshot(&[("release.yaml", flux)]))[0];
    assert!(of_flux.message.contains("spec.values.grafana.service.nodePort"), "{}", of_flux.message);
    assert_eq!(of_flux.variant, "manifest");
    let base = "prometheus: {service: {type: NodePort}}\n";
    let over = "prometheus: {service: {nodePort: 39090}}\n";
    assert!(messages(&snapshot(&[("a.yaml", base), ("b.yaml", over)]))[0].starts_with("error"));
}

#[test]
fn two_services_cannot_have_one_port() {
    let (a, b) = (service("a", "NodePort", "nodePort: 30090"), service("b", "NodePort", "nodePort: 30090"));
    assert!(
        messages(&snapshot(&[("k8s/a.yaml", &a), ("k8s/b.yaml", &b)]))[0].starts_with("error: Service monitoring/b")
    );
    let folders = messages(&snapshot(&[("dev/a.yaml", &a), ("prod/b.yaml", &b)]));
    assert!(folders[0].starts_with("warning"), "{folders:?}");
    assert!(messages(&snapshot(&[("base/a.yaml", &a), ("overlay/a.yaml", &a)])).is_empty());
    let both = service("dns", "NodePort", "nodePort: 30053\n    protocol: UDP\n  - port: 53\n    nodePort: 30053");
    assert!(messages(&snapshot(&[("x.yaml", &both)])).is_empty(), "TCP and UDP of one Service");
}

#[test]
fn a_port_of_the_cluster_is_taken_by_others_only() {
    let file = service("grafana", "NodePort", "nodePort: 30902");
    let has = |namespace: &str, name: &str| {
        let list = serde_json::json!([{"metadata": {"namespace": namespace, "name": name}, "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30902}]}}]);
        found(&cluster(snapshot(&[("x.yaml", &file)]), list))
    };
    assert!(has("monitoring", "grafana").is_empty(), "it is itself");
    let taken = has("shop", "grafana");
    assert!(taken[0].message.contains("nodePort 30902, which Service shop/grafana has"), "{}", taken[0].message);
    assert!(taken[0].message.ends_with("so it does not exist"));
    assert_eq!(taken[0].params.values()["new"], "30903 is");
}

#[test]
fn the_range_is_the_one_of_the_api_server() {
    let file = service("a", "NodePort", "nodePort: 20080");
    let server = |flag: &str| -> crate::snapshot::kubernetes::Pod {
        serde_json::from_value(serde_json::json!({"metadata": {"namespace": "kube-system", "name": "kube-apiserver-x"}, "spec": {"containers": [{"name": "kube-apiserver", "command": ["kube-apiserver", flag]}]}})).expect("is a Pod")
    };
    let mut snap = snapshot(&[("x.yaml", &file)]);
    snap.pods = Listing::cluster(vec![server("--service-node-port-range=20000-22767")]);
    assert!(messages(&snap).is_empty());
    snap.pods = Listing::cluster(vec![server("--v=2")]);
    assert!(messages(&snap)[0].contains("outside 30000-32767: "));
    // A port that was given shows a wider range, except where it cannot be one.
    let given = serde_json::json!([{"metadata": {"namespace": "x", "name": "y"}, "spec": {"ports": [{"port": 1, "nodePort": 20001}]}}]);
    let mut wide = cluster(snapshot(&[("x.yaml", &file)]), given);
    assert!(messages(&wide).is_empty());
    wide.platform = Platform::Eks;
    assert_eq!(messages(&wide).len(), 1);
}

const REFUSED: &str = "$ kubectl apply -f k8s/grafana.yaml\nThe Service \"grafana\" is invalid: spec.ports[0].nodePort: Invalid value: 33000: provided port is not in the valid range. The range of valid ports is 30000-32767\n";

#[test]
fn the_api_servers_words_are_enough() {
    let none = serde_json::json!([]);
    let finding = &found(&cluster(snapshot(&[("apply.log", REFUSED)]), none))[0];
    assert_eq!(finding.subject(), &ResourceRef::service("monitoring", "grafana"));
    assert_eq!((finding.variant, &finding.params.values()["new"]), ("manifest", &"30030 is".into()));
    // It was corrected since, or applied.
    let corrected = service("grafana", "NodePort", "nodePort: 30030");
    let none = serde_json::json!([]);
    assert!(found(&cluster(snapshot(&[("apply.log", REFUSED), ("x.yaml", &corrected)]), none)).is_empty());
    let there = serde_json::json!([{"metadata": {"namespace": "monitoring", "name": "grafana"}, "spec": {"ports": [{"port": 80, "nodePort": 31000}]}}]);
    assert!(found(&cluster(snapshot(&[("apply.log", REFUSED)]), there)).is_empty());
}

#[test]
fn what_argo_cd_is_refused_stands_in_its_application() {
    let refused = "Service \"grafana\" is invalid: spec.ports[0].nodePort: Invalid value: 32100: provided port is already allocated";
    let application = serde_json::json!({"metadata": {"name": "stack", "namespace": "argocd"},
        "spec": {"destination": {"namespace": "monitoring"}},
        "status": {"sync": {"status": "OutOfSync"}, "operationState": {"phase": "Failed", "syncResult": {"resources": [
            {"kind": "Service", "namespace": "monitoring", "name": "grafana", "status": "SyncFailed", "message": refused}]}}}});
    let mut object: crate::snapshot::kubernetes::GitOpsObject =
        serde_json::from_value(application).expect("an application");
    object.kind = "Application".into();
    let has = |grafana: i32| {
        let services = serde_json::json!([
            {"metadata": {"namespace": "monitoring", "name": "grafana"}, "spec": {"ports": [{"port": 80, "nodePort": grafana}]}},
            {"metadata": {"namespace": "monitoring", "name": "prometheus"}, "spec": {"ports": [{"port": 8080, "nodePort": 32100}]}}]);
        let mut snap = cluster(snapshot(&[]), services);
        snap.git_ops = Listing::cluster(vec![object.clone()]);
        found(&snap)
    };
    let finding = &has(0)[0];
    assert_eq!(finding.variant, "git-ops");
    assert!(finding.message.contains("32100, which Service monitoring/prometheus has"), "{}", finding.message);
    let late = ResourceRef::kubernetes("argoproj.io", "Application", "argocd", "stack");
    assert_eq!(finding.breaks, Some(vec![late]), "the Service is there, and what is changed in it does not come");
}

#[test]
fn refusals_are_read_in_all_their_wordings() {
    let short = |text: &str| -> Vec<_> {
        refusal::read(text).into_iter().map(|r| (r.service, r.port, r.taken, r.range)).collect()
    };
    let range = Some((30000, 32767));
    let helm = r#"Error: INSTALLATION FAILED: 2 errors occurred: * Service "a-grafana" is invalid: spec.ports[0].nodePort: Invalid value: 33000: provided port is not in the valid range. The range of valid ports is 30000-32767 * Service "a-prom" is invalid: spec.ports[0].nodePort: Invalid value: 30900: provided port is already allocated"#;
    assert_eq!(short(helm), [("a-grafana".into(), 33000, false, range), ("a-prom".into(), 30900, true, None)]);
    let event = r#"Helm install failed: Service \"x\" is invalid: [spec.ports[0].nodePort: Invalid value: 1: provided port is already allocated, spec.ports[1].nodePort: Invalid value: 2: provided port is already allocated]"#;
    assert_eq!(short(event).len(), 2);
    let old = "Service \"dns\" is invalid: spec.ports[1].nodePort: invalid value '30053', Details: provided port is already allocated";
    assert_eq!(short(old), [("dns".into(), 30053, true, None)]);
    assert!(short("The Service \"a\" is invalid: spec.clusterIP: Invalid value: \"10.0.0.1\": provided IP is already allocated").is_empty());
}
