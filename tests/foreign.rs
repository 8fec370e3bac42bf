//! What people already have, read as far as it goes.

mod support;

use kdoctor::bundle::Bundle;
use kdoctor::collect::source::{FetchError, Request, Source};
use kdoctor::model::GapCause;
use serde_json::{Value, json};
use support::fixtures::fixture;
use support::kdoctor;
use tempfile::TempDir;

const FIXTURE: &str = "demo/ebs-csi-missing";

/// A list of a fixture, or of one of its namespaces.
fn list(path: &str) -> Value {
    let file = fixture(FIXTURE).join(format!("kubernetes{path}.json"));
    let bytes = std::fs::read(&file).unwrap_or_else(|_| {
        let packed = std::fs::read(format!("{}.gz", file.display())).unwrap_or_else(|e| panic!("{path}: {e}"));
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut bytes).expect("gzip");
        bytes
    });
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The part of a cluster-wide list that lies in a namespace.
fn part(path: &str, namespace: &str) -> Vec<Value> {
    let all = list(path)["items"].as_array().expect("a list").clone();
    all.into_iter().filter(|item| item["metadata"]["namespace"] == namespace).collect()
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    fn report(&self) -> Value {
        let output =
            kdoctor().args(["monitoring", "-o", "json", "--from"]).arg(self.0.path()).output().expect("it runs");
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

fn fetch(bundle: &Bundle, request: &Request) -> Result<String, FetchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
    runtime.block_on(bundle.fetch(request)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn log(pod: &str, container: &str, previous: bool) -> Request {
    Request::Log { namespace: "monitoring".into(), pod: pod.into(), container: container.into(), previous }
}

fn outcomes(report: &Value, outcome: &str) -> usize {
    report["runs"].as_array().expect("runs").iter().filter(|run| run["outcome"] == outcome).count()
}

/// As `kubectl cluster-info dump --all-namespaces --output-directory` writes it.
fn dump() -> Folder {
    let folder = Folder::new();
    folder.write("nodes.json", list("/api/v1/nodes").to_string());
    for namespace in ["monitoring", "kube-system"] {
        for (kind, api) in [("pods", "/api/v1"), ("services", "/api/v1"), ("deployments", "/apis/apps/v1")] {
            let items = part(&format!("{api}/{kind}"), namespace);
            let dumped = json!({"kind": "List", "apiVersion": api.trim_start_matches("/api/").trim_start_matches("/apis/"), "items": items});
            folder.write(&format!("{namespace}/{kind}.json"), dumped.to_string());
        }
    }
    folder.write(
        "monitoring/prometheus-0/logs.txt",
        "==== START logs for container prometheus of pod monitoring/prometheus-0 ====\nfirst line\nlast line\n\
         ==== END logs for container prometheus of pod monitoring/prometheus-0 ====\n\
         ==== START logs for container reloader of pod monitoring/prometheus-0 ====\n\
         Request log error: container is waiting to start\n\
         ==== END logs for container reloader of pod monitoring/prometheus-0 ====\n",
    );
    folder
}

#[test]
fn a_dump_of_kubectl_is_read_as_far_as_it_goes() {
    let folder = dump();
    let bundle = Bundle::open(folder.0.path()).expect("it is known");
    assert_eq!(fetch(&bundle, &log("prometheus-0", "prometheus", false)).as_deref(), Ok("first line\nlast line\n"));
    let refused = fetch(&bundle, &log("prometheus-0", "reloader", false));
    assert!(matches!(&refused, Err(FetchError::Gap(g)) if g.message == "container is waiting to start"), "{refused:?}");
    let claims = fetch(&bundle, &Request::kubernetes("/api/v1/namespaces/monitoring/persistentvolumeclaims"));
    assert!(matches!(&claims, Err(FetchError::Gap(g)) if g.is_not_collected()), "{claims:?}");
    let report = folder.report();
    assert_eq!(report["target"]["namespaces"], json!(["monitoring"]));
    assert!(outcomes(&report, "findings") > 0 && outcomes(&report, "not_evaluated") > 20, "{:#}", report["summary"]);
    let found = report["findings"].to_string();
    assert!(found.contains("pod-pending") && !found.contains("storage-class-missing"), "{found}");
}

/// As troubleshoot.sh writes it, below a folder of its own.
fn support_bundle() -> Folder {
    let folder = Folder::new();
    let top = "support-bundle-2026-11-21T02_54_26/cluster-resources";
    let items = |path: &str| list(path)["items"].clone();
    folder.write(
        &format!("{top}/nodes.json"),
        json!({"kind": "NodeList", "apiVersion": "v1", "items": items("/api/v1/nodes")}).to_string(),
    );
    // Older versions write arrays.
    folder.write(&format!("{top}/storage-classes.json"), items("/apis/storage.k8s.io/v1/storageclasses").to_string());
    let folders = [
        ("pods", "/api/v1/pods"),
        ("services", "/api/v1/services"),
        ("events", "/api/v1/events"),
        ("pvcs", "/api/v1/persistentvolumeclaims"),
        ("deployments", "/apis/apps/v1/deployments"),
        ("statefulsets", "/apis/apps/v1/statefulsets"),
    ];
    for (kind, path) in folders {
        for namespace in ["monitoring", "kube-system"] {
            folder.write(&format!("{top}/{kind}/{namespace}.json"), json!(part(path, namespace)).to_string());
        }
    }
    folder.write(&format!("{top}/jobs-errors.json"), r#"{"monitoring": "jobs.batch is forbidden: no"}"#);
    folder.write(&format!("{top}/events-errors.json"), "null");
    folder.write(&format!("{top}/pods/logs/monitoring/prometheus-0/prometheus.log"), "a\n");
    folder.write(&format!("{top}/pods/logs/monitoring/prometheus-0/prometheus-previous.log"), "b\n");
    folder.write(&format!("{top}/groups.json"), r#"[{"name": "apps"}, {"name": "monitoring.coreos.com"}]"#);
    let probes = r#"[{"apiVersion": "monitoring.coreos.com/v1", "kind": "Probe", "metadata": {"name": "p", "namespace": "monitoring"}}]"#;
    folder.write(&format!("{top}/custom-resources/probes.monitoring.coreos.com/monitoring.json"), probes);
    folder.write(
        &format!("{top}/ingress/monitoring.json"),
        r#"{"apiVersion": "networking.k8s.io/v1beta1", "items": []}"#,
    );
    let version = r#"{"info": {"gitVersion": "v1.36.2-eks-3025e55"}, "string": "v1.36.2"}"#;
    folder.write("support-bundle-2026-11-21T02_54_26/cluster-info/cluster_version.json", version);
    folder
}

#[test]
fn a_support_bundle_is_read_as_far_as_it_goes() {
    let folder = support_bundle();
    let bundle = Bundle::open(folder.0.path()).expect("it is known");
    assert_eq!(fetch(&bundle, &log("prometheus-0", "prometheus", true)).as_deref(), Ok("b\n"));
    let get = |path: &str| fetch(&bundle, &Request::kubernetes(path));
    assert!(get("/apis/monitoring.coreos.com/v1/namespaces/monitoring/probes").is_ok());
    let jobs = get("/apis/batch/v1/namespaces/monitoring/jobs");
    assert!(matches!(&jobs, Err(FetchError::Gap(g)) if matches!(g.cause, GapCause::Forbidden { .. })), "{jobs:?}");
    // A group that the server does not know has no objects; a list of another version is of no use.
    assert!(matches!(get("/apis/vpcresources.k8s.aws/v1beta1/x"), Err(FetchError::NotFound(_))));
    let ingresses = get("/apis/networking.k8s.io/v1/namespaces/monitoring/ingresses");
    assert!(ingresses.is_err(), "{ingresses:?}");
    let report = folder.report();
    assert_eq!(report["target"]["kubernetes_version"], "v1.36.2-eks-3025e55");
    assert_eq!(report["target"]["platform"], "eks");
    let found = report["findings"].to_string();
    // Drivers are not in it: what the claims wait for is not claimed to be known.
    assert!(found.contains("pvc-pending") && !found.contains("ebs-csi-addon-missing"), "{found}");
}

#[test]
fn links_of_a_support_bundle_are_left_out() {
    let folder = support_bundle();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all(".", folder.0.path()).expect("it is readable");
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, "prometheus/prometheus-0.log", "/etc/passwd").expect("in memory");
    let path = folder.0.path().join("support-bundle.tar");
    std::fs::write(&path, tar.into_inner().expect("in memory")).expect("a file");
    let bundle = Bundle::open(&path).expect("it is known");
    assert!(fetch(&bundle, &Request::kubernetes("/api/v1/nodes")).is_ok());
}

#[test]
fn no_content_of_others_is_too_odd() {
    for text in [
        "",
        "null",
        "[]",
        "{}",
        "[1]",
        "{\"items\": 3}",
        "{\"items\": [null]}",
        "\u{feff}",
        "{\"apiVersion\": 3, \"items\": [{}]}",
    ] {
        let folder = Folder::new();
        let files = [
            "nodes.json",
            "namespaces.json",
            "pods/a.json",
            "groups.json",
            "pods-errors.json",
            "nodes-errors.json",
            "custom-resources/probes.monitoring.coreos.com/a.json",
            "custom-resources/x/a.json",
            "pods/logs/a/b/c.log",
        ];
        for file in files {
            folder.write(&format!("cluster-resources/{file}"), text);
        }
        folder.write("cluster-info/cluster_version.json", text);
        let bundle = Bundle::open(folder.0.path()).expect("it is known by its folders");
        let _ = fetch(&bundle, &Request::kubernetes("/api/v1/nodes"));
        let folder = Folder::new();
        for file in ["nodes.json", "a/pods.json", "a/b/logs.txt"] {
            folder.write(file, text);
        }
        assert!(Bundle::open(folder.0.path()).is_ok(), "{text}");
    }
}

/// As `oc adm must-gather` writes it: lists and objects in YAML, below a folder for the image that gathered.
fn must_gather() -> Folder {
    let folder = Folder::new();
    let top = "must-gather.local.1/quay-io-openshift";
    for namespace in ["monitoring", "kube-system"] {
        for (group, kind, resource, path) in [
            ("core", "PodList", "pods", "/api/v1/pods"),
            ("core", "ServiceList", "services", "/api/v1/services"),
            ("core", "EventList", "events", "/api/v1/events"),
            ("core", "PersistentVolumeClaimList", "persistentvolumeclaims", "/api/v1/persistentvolumeclaims"),
            ("apps", "DeploymentList", "deployments", "/apis/apps/v1/deployments"),
        ] {
            let version = if group == "core" { "v1" } else { "apps/v1" };
            let written = json!({"apiVersion": version, "kind": kind, "items": part(path, namespace)});
            folder.write(&format!("{top}/namespaces/{namespace}/{group}/{resource}.yaml"), written.to_string());
        }
    }
    for node in list("/api/v1/nodes")["items"].as_array().expect("a list") {
        let mut node = node.clone();
        node["apiVersion"] = json!("v1");
        node["kind"] = json!("Node");
        let name = node["metadata"]["name"].as_str().expect("it has a name").to_owned();
        folder.write(&format!("{top}/cluster-scoped-resources/core/nodes/{name}.yaml"), node.to_string());
    }
    let rule =
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: r\n  namespace: monitoring\n";
    folder.write(&format!("{top}/namespaces/monitoring/monitoring.coreos.com/prometheusrules/r.yaml"), rule);
    // Objects that some operator names are no list of all.
    let definition =
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x.example.com}\n";
    let of_cluster = format!("{top}/cluster-scoped-resources/apiextensions.k8s.io/customresourcedefinitions");
    folder.write(&format!("{of_cluster}/x.example.com.yaml"), definition);
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, namespace: monitoring}\n";
    folder.write(&format!("{top}/namespaces/monitoring/core/serviceaccounts/a.yaml"), account);
    folder.write(
        &format!("{top}/namespaces/monitoring/core/secrets.yaml"),
        "apiVersion: v1\nkind: SecretList\nitems:\n- metadata: {name: s}\n  data: {a: aHVudGVyMg==}\n",
    );
    let logs = format!("{top}/namespaces/monitoring/pods/prometheus-0/prometheus/prometheus/logs");
    folder.write(&format!("{logs}/current.log"), "2026-11-21T02:54:26.123456789Z first line\nnot dated\n");
    folder.write(&format!("{logs}/previous.log"), "2026-11-21T02:50:26.123456789Z before\n");
    folder
}

#[test]
fn a_must_gather_is_read_as_far_as_it_goes() {
    let folder = must_gather();
    let bundle = Bundle::open(folder.0.path()).expect("it is known");
    let text = fetch(&bundle, &log("prometheus-0", "prometheus", false));
    assert_eq!(text.as_deref(), Ok("first line\nnot dated\n"));
    assert_eq!(fetch(&bundle, &log("prometheus-0", "prometheus", true)).as_deref(), Ok("before\n"));
    let rules = Request::kubernetes("/apis/monitoring.coreos.com/v1/namespaces/monitoring/prometheusrules");
    assert!(fetch(&bundle, &rules).is_ok_and(|list| list.contains("\"r\"")));
    for path in [
        "/api/v1/namespaces/monitoring/secrets",
        "/api/v1/namespaces/monitoring/serviceaccounts",
        "/api/v1/namespaces",
        "/apis/storage.k8s.io/v1/storageclasses",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    ] {
        let absent = fetch(&bundle, &Request::kubernetes(path));
        assert!(matches!(&absent, Err(FetchError::Gap(g)) if g.is_not_collected()), "{path}: {absent:?}");
    }
    let report = folder.report();
    assert_eq!(report["target"]["namespaces"], json!(["monitoring"]));
    let found = report["findings"].to_string();
    assert!(found.contains("pod-pending") && !found.contains("storage-class-missing"), "{found}");
}
