//! Bundles of any size: a fixture with many more objects. Of the healthy stack there are kinds that grow, most of them faulty.

#![allow(dead_code, unreachable_pub, reason = "each bench uses a part")]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::fixtures;

/// A list that grows.
pub const PODS: &str = "kubernetes/api/v1/pods";
/// A list that grows.
pub const EVENTS: &str = "kubernetes/api/v1/events";
/// A list that grows.
pub const NODES: &str = "kubernetes/api/v1/nodes";
const SERVICES: &str = "kubernetes/api/v1/services";
const SLICES: &str = "kubernetes/apis/discovery.k8s.io/v1/endpointslices";
const MONITORS: &str = "kubernetes/apis/monitoring.coreos.com/v1/servicemonitors";
const RULES: &str = "kubernetes/apis/monitoring.coreos.com/v1/prometheusrules";
const CLAIMS: &str = "kubernetes/api/v1/persistentvolumeclaims";
const TOO_LITTLE_CPU: &str = "0/2 nodes are available: 2 Insufficient cpu.";

/// Brings so many more of a kind into a bundle.
pub type Grow = fn(&mut Grown, usize);

/// What can grow: its name, and how.
pub const KINDS: &[(&str, Grow)] = &[
    ("pods that run", |b, n| b.pods(n, |_| {})),
    ("pods that are pending", pending),
    ("Services with EndpointSlices", services),
    ("ServiceMonitors and Services", monitors),
    ("PrometheusRules", |b, n| b.many(RULES, "", n, |_, _| {})),
    ("events of one pod", events),
    ("targets that are down", targets),
    ("nodes", nodes),
    ("dashboards in ConfigMaps", dashboards),
    ("claims that are pending", claims),
    ("silences", silences),
];

/// A copy of a bundle that grows.
pub struct Grown {
    root: PathBuf,
    documents: BTreeMap<String, Value>,
}

impl Grown {
    /// Copies a fixture to `root`; what was there goes.
    pub fn of(fixture: &str, root: &Path) -> Self {
        let _ = std::fs::remove_dir_all(root);
        fixtures::copy(&fixtures::fixture(fixture), root);
        Self { root: root.to_owned(), documents: BTreeMap::new() }
    }

    /// Writes what has grown.
    pub fn write(self) {
        for (name, document) in self.documents {
            let plain = self.root.join(format!("{name}.json"));
            let _ = std::fs::remove_file(self.root.join(format!("{name}.json.gz")));
            std::fs::write(plain, document.to_string()).expect("a written document");
        }
    }

    fn document(&mut self, name: &str) -> &mut Value {
        let root = &self.root;
        self.documents.entry(name.to_owned()).or_insert_with(|| {
            let plain = root.join(format!("{name}.json"));
            let text = std::fs::read(&plain).unwrap_or_else(|_| {
                let packed = std::fs::File::open(root.join(format!("{name}.json.gz"))).expect("the document is there");
                let mut out = Vec::new();
                flate2::read::GzDecoder::new(packed).read_to_end(&mut out).expect("gzip");
                out
            });
            serde_json::from_slice(&text).expect("JSON")
        })
    }

    /// Changed copies of a list's first item until it has `count`.
    pub fn up_to(&mut self, list: &str, count: usize, change: impl Fn(usize, &mut Value)) {
        let more = count.saturating_sub(self.items(list).len());
        self.many(list, "", more, change);
    }

    fn items(&mut self, list: &str) -> &mut Vec<Value> {
        self.document(list)["items"].as_array_mut().expect("a list")
    }

    /// So many changed copies of the first item whose name begins so.
    fn many(&mut self, list: &str, like: &str, count: usize, change: impl Fn(usize, &mut Value)) {
        let items = self.items(list);
        let named = |item: &&Value| item["metadata"]["name"].as_str().is_some_and(|n| n.starts_with(like));
        let template = items.iter().find(named).expect("one to copy").clone();
        for n in 0..count {
            let mut item = template.clone();
            item["metadata"]["name"] = json!(format!("load-{n}"));
            item["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{n:012}"));
            change(n, &mut item);
            items.push(item);
        }
    }

    fn pods(&mut self, count: usize, change: impl Fn(&mut Value)) {
        self.many(PODS, "prometheus-stack-grafana", count, |n, pod| {
            pod["metadata"]["ownerReferences"] = json!([]);
            pod["status"]["podIP"] = json!(format!("10.8.{}.{}", n / 250, n % 250));
            change(pod);
        });
    }

    /// A warning for each of the copies of that kind.
    fn warn(&mut self, kind: &str, count: usize, reason: &str, message: &str, component: &str) {
        self.many(EVENTS, "", count, |n, event| {
            event["metadata"]["namespace"] = json!("monitoring");
            event["involvedObject"] = json!({
                "kind": kind, "namespace": "monitoring", "name": format!("load-{n}"),
                "uid": format!("00000000-0000-4000-8000-{n:012}"), "apiVersion": "v1",
            });
            event["type"] = json!("Warning");
            event["reason"] = json!(reason);
            event["message"] = json!(message);
            event["source"] = json!({"component": component});
        });
    }

    /// When the bundle was made.
    fn now(&self) -> String {
        let text = std::fs::read(self.root.join("kdoctor.json")).expect("the manifest");
        let manifest: Value = serde_json::from_slice(&text).expect("JSON");
        manifest["collected_at"].as_str().expect("a time").to_owned()
    }
}

fn pending(bundle: &mut Grown, count: usize) {
    let since = bundle.items(EVENTS)[0]["firstTimestamp"].clone();
    bundle.pods(count, |pod| {
        pod["spec"].as_object_mut().expect("a spec").remove("nodeName");
        pod["status"] = json!({"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": TOO_LITTLE_CPU,
            "lastTransitionTime": since,
        }]});
    });
    bundle.warn("Pod", count, "FailedScheduling", TOO_LITTLE_CPU, "default-scheduler");
}

fn services(bundle: &mut Grown, count: usize) {
    bundle.many(SERVICES, "prometheus-stack-grafana", count, |n, service| {
        service["metadata"]["labels"]["load"] = json!(n.to_string());
    });
    bundle.many(SLICES, "prometheus-stack-grafana", count, |n, slice| {
        slice["metadata"]["labels"]["kubernetes.io/service-name"] = json!(format!("load-{n}"));
        slice["endpoints"] = json!([]);
    });
}

fn monitors(bundle: &mut Grown, count: usize) {
    services(bundle, count);
    bundle.many(MONITORS, "", count, |n, monitor| {
        monitor["spec"]["selector"] = json!({"matchLabels": {"load": n.to_string()}});
    });
}

fn events(bundle: &mut Grown, count: usize) {
    let (name, uid) = {
        let pods = bundle.items(PODS);
        (pods[0]["metadata"]["name"].clone(), pods[0]["metadata"]["uid"].clone())
    };
    bundle.many(EVENTS, "", count, |n, event| {
        event["involvedObject"]["name"] = name.clone();
        event["involvedObject"]["uid"] = uid.clone();
        event["type"] = json!("Warning");
        event["reason"] = json!("Unhealthy");
        event["message"] = json!(format!("Readiness probe failed: attempt {n}"));
    });
}

fn targets(bundle: &mut Grown, count: usize) {
    let targets = bundle.document("prometheus/api/v1/targets")["data"]["activeTargets"].as_array_mut().expect("a list");
    let template = targets[0].clone();
    for n in 0..count {
        let address = format!("10.9.{}.{}:9100", n / 250, n % 250);
        let mut target = template.clone();
        target["health"] = json!("down");
        target["lastError"] =
            json!(format!("Get \"http://{address}/metrics\": dial tcp {address}: connect: connection refused"));
        target["scrapeUrl"] = json!(format!("http://{address}/metrics"));
        target["labels"]["instance"] = json!(address);
        target["discoveredLabels"]["__address__"] = json!(address);
        targets.push(target);
    }
}

fn nodes(bundle: &mut Grown, count: usize) {
    bundle.many(NODES, "", count, |n, node| {
        node["metadata"]["name"] = json!(format!("ip-10-1-{}-{}.ap-northeast-2.compute.internal", n / 250, n % 250));
    });
}

fn dashboards(bundle: &mut Grown, count: usize) {
    bundle.many("kubernetes/api/v1/configmaps", "prometheus-stack-kube-prom-k8s-resources-pod", count, |_, _| {});
}

fn claims(bundle: &mut Grown, count: usize) {
    bundle.many(CLAIMS, "", count, |_, claim| {
        claim["status"] = json!({"phase": "Pending"});
        claim["spec"].as_object_mut().expect("a spec").remove("volumeName");
    });
    let refused = "failed to provision volume with StorageClass \"gp3\": rpc error: code = Internal desc = no answer";
    bundle.warn("PersistentVolumeClaim", count, "ProvisioningFailed", refused, "ebs.csi.aws.com");
}

fn silences(bundle: &mut Grown, count: usize) {
    let now = bundle.now();
    let silences = bundle.document("alertmanager/api/v2/silences").as_array_mut().expect("a list");
    for n in 0..count {
        silences.push(json!({
            "id": format!("00000000-0000-4000-8000-{n:012}"), "status": {"state": "active"}, "updatedAt": now,
            "startsAt": now, "endsAt": "2099-01-01T00:00:00.000Z", "createdBy": "load", "comment": "load",
            "matchers": [{"name": "alertname", "value": format!("Load{n}"), "isRegex": false, "isEqual": true}],
        }));
    }
}

/// So many Services in one file, each with a node port that no cluster takes.
pub fn manifests(count: usize) -> String {
    (0..count)
        .map(|n| {
            format!(
                "apiVersion: v1\nkind: Service\nmetadata:\n  name: load-{n}\n  namespace: monitoring\nspec:\n  type: NodePort\n  \
                 selector:\n    app: load-{n}\n  ports:\n    - name: web\n      port: 80\n      nodePort: 1234\n---\n"
            )
        })
        .collect()
}
