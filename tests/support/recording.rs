//! Makes a bundle of one recorded case: the least cluster in which that Prometheus or Alertmanager could have run.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

const NAMESPACE: &str = "monitoring";
/// For logs without a time.
const COLLECTED_AT: &str = "2026-11-21T03:20:00Z";

/// The last time that a log names: a recording is judged as of its end.
fn end_of(log: &str) -> String {
    let time = |line: &str| {
        let at = line.find("2026-11-21T")?;
        let text: String = line[at..].chars().take_while(|c| c.is_ascii_digit() || "-:.TZ".contains(*c)).collect();
        text.ends_with('Z').then_some(text)
    };
    log.lines().filter_map(time).max().unwrap_or_else(|| COLLECTED_AT.to_owned())
}

/// One line of the recordings' index.
#[derive(Debug, Clone, Deserialize)]
pub struct Recording {
    pub id: String,
    pub version: String,
    pub kind: String,
    pub file: String,
    pub expected_root_cause: String,
    #[serde(default)]
    pub negative: bool,
    #[serde(default)]
    pub state: Option<String>,
    #[serde(default)]
    pub exit_code: Option<i32>,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub other_files: Vec<String>,
    #[serde(default)]
    pub job: Option<String>,
}

/// The folder of the recordings.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings")
}

/// Every line of the index.
pub fn all() -> Vec<Recording> {
    let text = std::fs::read_to_string(root().join("index.jsonl")).expect("fixtures/recordings/index.jsonl is there");
    text.lines().map(|l| serde_json::from_str(l).expect("an index line")).collect()
}

impl Recording {
    fn is_alertmanager(&self) -> bool {
        self.version.starts_with("alertmanager")
    }

    fn release(&self) -> &str {
        self.version.split(' ').nth(1).expect("name and version")
    }

    /// The text of one of its files.
    fn text(&self, ending: &str) -> Option<String> {
        let names = std::iter::once(&self.file).chain(&self.other_files).filter(|f| !f.contains('#'));
        let name =
            names.into_iter().find(|f| f.ends_with(ending) && !(ending == ".yml" && f.ends_with(".rules.yml")))?;
        Some(std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}")))
    }

    /// An Alertmanager ran beside Prometheus.
    fn has_alertmanager(&self) -> bool {
        self.version.contains(" + alertmanager ")
    }

    /// Prometheus sent to `alertmanager` in its namespace, and the name could be looked up.
    fn names_alertmanager(&self, log: &str) -> bool {
        let config = self.text(".yml").unwrap_or_default();
        let named = config.contains("alertmanager.monitoring.svc.cluster.local:9093");
        self.kind == "notifications" && named && !log.contains("no such host")
    }

    /// The whole folder of a scrape recording is one case; the others are one file each.
    fn scrape_file(&self, name: &str) -> Option<String> {
        let whole =
            matches!(self.kind.as_str(), "scrape" | "rules" | "notifications") && self.file.starts_with("scrape/");
        let path = root().join("scrape").join(self.release()).join(name);
        if whole { std::fs::read_to_string(path).ok() } else { None }
    }
}

/// Writes files of a bundle.
struct Writer<'a>(&'a Path);

impl Writer<'_> {
    fn text(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("can be made");
        std::fs::write(path, text).expect("can be written");
    }

    fn json(&self, name: &str, value: &Value) {
        self.text(&format!("{name}.json"), &value.to_string());
    }

    /// An answer that is not JSON.
    fn body(&self, name: &str, text: &str) {
        self.json(name, &json!({"status": 200, "body": text}));
    }

    fn list(&self, path: &str, items: &[Value]) {
        self.json(&format!("kubernetes/{path}"), &json!({"kind": "List", "metadata": {}, "items": items}));
    }
}

/// Writes the bundle of a recording into an empty folder.
pub fn write_bundle(case: &Recording, dir: &Path) {
    let out = Writer(dir);
    let log = case.scrape_file("prometheus.log").or_else(|| case.text(".log")).unwrap_or_default();
    let program = if case.is_alertmanager() { "alertmanager" } else { "prometheus" };
    out.json(
        "kdoctor",
        &json!({"format": 1, "collected_at": end_of(&log), "target": {"platform": "kubernetes", "context": "recording"}}),
    );
    out.json("kubernetes/version", &json!({"gitVersion": "v1.34.1"}));
    for path in [
        "api/v1/events",
        "api/v1/persistentvolumes",
        "api/v1/resourcequotas",
        "api/v1/serviceaccounts",
        "apis/apps/v1/daemonsets",
        "apis/apps/v1/statefulsets",
        "apis/networking.k8s.io/v1/networkpolicies",
        "apis/storage.k8s.io/v1/csidrivers",
        "apis/storage.k8s.io/v1/storageclasses",
        "apis/monitoring.coreos.com/v1/prometheuses",
        "apis/monitoring.coreos.com/v1/alertmanagers",
        "apis/monitoring.coreos.com/v1/prometheusrules",
    ] {
        out.list(path, &[]);
    }
    out.list(
        "api/v1/nodes",
        &[json!({"metadata": {"name": "node-1"}, "spec": {}, "status": {"allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}]}})],
    );
    let workload = Workload::new(case, program);
    let beside = case.has_alertmanager().then(|| Workload::new(case, "alertmanager"));
    let all = || std::iter::once(&workload).chain(&beside);
    out.list("apis/apps/v1/deployments", &all().map(Workload::deployment).collect::<Vec<_>>());
    out.list("api/v1/pods", &all().map(Workload::pod).collect::<Vec<_>>());
    out.list("api/v1/persistentvolumeclaims", &all().map(Workload::claim).collect::<Vec<_>>());
    out.list("api/v1/configmaps", &config_maps(case, program));
    let (services, slices) = services(case, &workload, &log);
    out.list("api/v1/services", &services);
    out.list("apis/discovery.k8s.io/v1/endpointslices", &slices);

    let suffix = if workload.crashed() { ".previous.log" } else { ".log" };
    let name = format!("kubernetes/api/v1/namespaces/{NAMESPACE}/pods/{program}-5d9c7b-x2x4z/log/{program}{suffix}");
    out.text(&name, &log);
    if let (Some(_), Some(text)) = (&beside, case.text(".alertmanager.log")) {
        let folder = format!("kubernetes/api/v1/namespaces/{NAMESPACE}/pods/alertmanager-5d9c7b-x2x4z/log");
        out.text(&format!("{folder}/alertmanager.log"), &text);
    }
    if !workload.crashed() {
        answers(case, &out);
    }
}

struct Workload<'a> {
    case: &'a Recording,
    program: &'a str,
}

impl<'a> Workload<'a> {
    fn new(case: &'a Recording, program: &'a str) -> Self {
        Self { case, program }
    }

    fn crashed(&self) -> bool {
        self.case.state.as_deref() == Some("exited")
    }

    fn port(&self) -> u16 {
        if self.program == "alertmanager" { 9093 } else { 9090 }
    }

    /// The program that the case is about.
    fn is_of_case(&self) -> bool {
        (self.program == "alertmanager") == self.case.is_alertmanager()
    }

    fn release(&self) -> &str {
        let beside = self.case.version.rsplit(' ').next().unwrap_or_default();
        if self.is_of_case() { self.case.release() } else { beside }
    }

    fn claim(&self) -> Value {
        json!({"metadata": {"name": format!("{}-data", self.program), "namespace": NAMESPACE, "creationTimestamp": "2026-11-01T00:00:00Z"},
            "spec": {"accessModes": ["ReadWriteOnce"], "volumeName": "pv-1", "resources": {"requests": {"storage": "10Gi"}}},
            "status": {"phase": "Bound"}})
    }

    fn pod_spec(&self) -> Value {
        let program = self.program;
        let mut mounts = vec![
            json!({"name": "config", "mountPath": format!("/etc/{program}")}),
            json!({"name": "data", "mountPath": format!("/{program}")}),
        ];
        let mut volumes = vec![
            json!({"name": "config", "configMap": {"name": format!("{program}-config")}}),
            json!({"name": "data", "persistentVolumeClaim": {"claimName": format!("{program}-data")}}),
        ];
        // A file mounted by a subPath whose key is missing becomes a directory.
        if self.case.id.ends_with("config-is-directory") {
            mounts[0] = json!({"name": "config", "mountPath": format!("/etc/{program}/{program}.yml"), "subPath": format!("{program}.yaml")});
        }
        if program == "prometheus" && rules(self.case).is_some() {
            mounts.push(json!({"name": "rules", "mountPath": "/etc/prometheus/rules"}));
            volumes.push(json!({"name": "rules", "configMap": {"name": "prometheus-rules"}}));
        }
        if self.case.text(".tmpl").is_some() {
            mounts.push(json!({"name": "templates", "mountPath": "/etc/alertmanager/templates"}));
            volumes.push(json!({"name": "templates", "configMap": {"name": "alertmanager-templates"}}));
        }
        let image =
            if program == "alertmanager" { "quay.io/prometheus/alertmanager" } else { "quay.io/prometheus/prometheus" };
        let args = if self.case.args.is_empty() || !self.is_of_case() {
            vec![format!("--config.file=/etc/{program}/{program}.yml")]
        } else {
            self.case.args.clone()
        };
        json!({"nodeName": "node-1", "securityContext": {"runAsUser": 65534, "fsGroup": 65534}, "volumes": volumes,
            "containers": [{"name": program, "image": format!("{image}:v{}", self.release()), "args": args,
                "ports": [{"name": "web", "containerPort": self.port()}], "volumeMounts": mounts}]})
    }

    fn deployment(&self) -> Value {
        let labels = json!({"app": self.program});
        let ready = u8::from(!self.crashed());
        json!({"metadata": {"name": self.program, "namespace": NAMESPACE, "labels": labels, "creationTimestamp": "2026-11-01T00:00:00Z"},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": self.pod_spec()}},
            "status": {"replicas": 1, "readyReplicas": ready}})
    }

    fn pod(&self) -> Value {
        let code = self.case.exit_code.unwrap_or(1);
        let terminated =
            json!({"terminated": {"reason": "Error", "exitCode": code, "finishedAt": "2026-11-21T03:19:00Z"}});
        let state = if self.crashed() {
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}})
        } else {
            json!({"running": {"startedAt": "2026-11-21T02:30:00Z"}})
        };
        let mut status = json!({"name": self.program, "ready": !self.crashed(), "restartCount": 0, "state": state});
        if self.crashed() {
            status["lastState"] = terminated;
            status["restartCount"] = json!(6);
        }
        let ready = if self.crashed() { "False" } else { "True" };
        let ip = if self.is_of_case() { "10.0.1.5" } else { "10.0.1.40" };
        json!({"metadata": {"name": format!("{}-5d9c7b-x2x4z", self.program), "namespace": NAMESPACE, "labels": {"app": self.program, "pod-template-hash": "5d9c7b"},
                "uid": "6f1d7a52-0000-4000-8000-000000000001", "creationTimestamp": "2026-11-21T02:30:00Z",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{}-5d9c7b", self.program), "controller": true}]},
            "spec": self.pod_spec(),
            "status": {"phase": "Running", "podIP": ip, "hostIP": "10.0.1.2",
                "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready}], "containerStatuses": [status]}})
    }
}

fn rules(case: &Recording) -> Option<String> {
    case.scrape_file("rules.yml").or_else(|| case.text(".rules.yml"))
}

fn config_maps(case: &Recording, program: &str) -> Vec<Value> {
    let map = |name: &str, key: &str, text: Option<String>| {
        let data = text.map_or(json!({}), |text| json!({key: text}));
        json!({"metadata": {"name": name, "namespace": NAMESPACE}, "data": data})
    };
    let config = case.scrape_file("prometheus.yml").or_else(|| case.text(".yml"));
    let mut all = vec![map(&format!("{program}-config"), &format!("{program}.yml"), config)];
    if case.has_alertmanager() {
        all.push(map("alertmanager-config", "alertmanager.yml", case.text(".alertmanager.yml")));
    }
    all.extend(rules(case).map(|text| map("prometheus-rules", "flash.yml", Some(text))));
    all.extend(case.text(".tmpl").map(|text| map("alertmanager-templates", "flash.tmpl", Some(text))));
    all
}

/// The program's own Service, and those that its targets name and that could be looked up.
fn services(case: &Recording, workload: &Workload<'_>, log: &str) -> (Vec<Value>, Vec<Value>) {
    let mut services = Vec::new();
    let mut slices = Vec::new();
    let mut add = |namespace: &str, name: &str, port: u16, ready: bool| {
        services.push(json!({"metadata": {"name": name, "namespace": namespace, "labels": {"app": name}, "creationTimestamp": "2026-11-01T00:00:00Z"},
            "spec": {"clusterIP": "172.20.10.1", "selector": {"app": name}, "ports": [{"name": "http", "port": port, "targetPort": port}]}}));
        slices.push(json!({"metadata": {"name": format!("{name}-abcde"), "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
            "endpoints": [{"addresses": ["10.0.1.40"], "conditions": {"ready": ready}}], "ports": [{"name": "http", "port": port}]}));
    };
    add(NAMESPACE, workload.program, workload.port(), !workload.crashed());
    if case.names_alertmanager(log) {
        add(NAMESPACE, "alertmanager", 9093, true);
    }
    let mut seen = std::collections::BTreeSet::new();
    for target in targets(case) {
        let text = |key: &str| target[key].as_str().unwrap_or_default().to_owned();
        let Ok(url) = url::Url::parse(&text("scrapeUrl")) else { continue };
        let host = url.host_str().unwrap_or_default().to_owned();
        let Some((name, namespace)) = host.strip_suffix(".svc.cluster.local").and_then(|h| h.split_once('.')) else {
            continue;
        };
        if !text("lastError").contains("no such host") && seen.insert(host.clone()) {
            add(namespace, name, url.port_or_known_default().unwrap_or(80), true);
        }
    }
    (services, slices)
}

fn targets(case: &Recording) -> Vec<Value> {
    let answer = case.scrape_file("targets.json").map(|text| serde_json::from_str::<Value>(&text).expect("JSON"));
    answer.and_then(|a| a["data"]["activeTargets"].as_array().cloned()).unwrap_or_default()
}

/// What the running server answered.
fn answers(case: &Recording, out: &Writer<'_>) {
    let program = if case.is_alertmanager() { "alertmanager" } else { "prometheus" };
    for (file, path) in [
        ("targets.json", "api/v1/targets"),
        ("rules.json", "api/v1/rules"),
        ("alerts.json", "api/v1/alerts"),
        ("alertmanagers.json", "api/v1/alertmanagers"),
        ("config.json", "api/v1/status/config"),
        ("buildinfo.json", "api/v1/status/buildinfo"),
        ("runtimeinfo.json", "api/v1/status/runtimeinfo"),
        ("query_scrape_samples.json", "api/v1/query/scrape_samples_scraped"),
    ] {
        if let Some(text) = case.scrape_file(file) {
            out.text(&format!("prometheus/{path}.json"), &text);
        }
    }
    let metrics = case.scrape_file("metrics.txt").or_else(|| case.text(".metrics.txt"));
    if let Some(text) = metrics {
        out.body(&format!("{program}/metrics"), &text);
    }
    if let Some(text) = case.text(".status.json") {
        out.text("alertmanager/api/v2/status.json", &text);
    }
    let Some(api) = case.text(".api.json") else { return };
    let api: Value = serde_json::from_str(&api).expect("JSON");
    for (request, answer) in api.as_object().into_iter().flatten() {
        // Beside Prometheus: `alertmanager GET /api/v2/status`.
        let (program, request) = match request.strip_prefix("alertmanager ") {
            Some(request) => ("alertmanager", request),
            None => (program, request.as_str()),
        };
        let Some(path) = request.trim_start_matches("GET ").strip_prefix('/') else { continue };
        let path = path.split('?').next().unwrap_or(path);
        match answer {
            Value::String(text) if path == "metrics" => out.body(&format!("{program}/metrics"), text),
            Value::Object(_) | Value::Array(_) => out.json(&format!("{program}/{path}"), answer),
            _ => {}
        }
    }
}
