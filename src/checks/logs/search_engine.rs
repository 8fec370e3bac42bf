//! Elasticsearch or OpenSearch answers nothing: its cluster has no master or is red, or its security plugin was never set up.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::image::{tag_of, version};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::workload;
use crate::domain::loki::engine_log::{self, Cause, Engine, Failing};
use crate::domain::text::log_line;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ContainerLog;

check! {
    /// See the check's page.
    SearchEngine {
        id: "search-engine", suite: Logs, severity: Error,
        title: "Elasticsearch (OpenSearch) answers nothing",
        requires: [Pods],
        uses: [PartLogs, Workloads, Services],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    owner: String,
    pod: String,
    container: String,
    engine: &'static str,
    managed_by: String,
    /// What is missing is made in the cluster that runs.
    set_up: bool,
    /// Its log says nothing more until it is well: only the cluster itself tells.
    red: bool,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Discovery {
        /// The name that leads to the others and does not resolve; empty where that was not said.
        lost: String,
        /// The nodes that it waits for.
        wanted: String,
    },
    Bootstrap {
        /// The names of the nodes that found it, with commas; empty where they are not known.
        nodes: String,
    },
    Quorum,
    Security,
    Red {
        /// It speaks TLS, as far as is known, and then wants a login.
        https: bool,
        /// The name of Elastic's operator for the cluster; empty where another one made it.
        cluster: String,
    },
}

impl Check for SearchEngine {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut containers = snap.pods()?.iter().flat_map(|p| &p.spec.containers);
        if !containers.any(|c| Engine::of_image(&c.image).is_some()) {
            return Ok(Diagnosis::NotApplicable("no Elasticsearch or OpenSearch runs in the namespaces read".into()));
        }
        // Its nodes say the same.
        let mut groups: BTreeMap<(String, Cause), Vec<Failing<'_>>> = BTreeMap::new();
        for failing in engine_log::failing(snap)? {
            let Some(pod) = snap.pod_of_log(failing.log) else { continue };
            groups.entry((snap.owner_ref(pod).key(), failing.trouble)).or_default().push(failing);
        }
        Ok(Diagnosis::Findings(groups.values().filter_map(|group| finding(snap, group)).collect()))
    }
}

fn finding(snap: &Snapshot, group: &[Failing<'_>]) -> Option<Finding> {
    // The one that names what does not resolve says most.
    let said = group.iter().max_by_key(|f| (f.lost.is_some(), f.said.times))?;
    let log = said.log;
    let pod = snap.pod_of_log(log)?;
    let owner = snap.owner_ref(pod);
    let who = format!("{} ({} in {})", said.engine.name(), owner.kubectl_name(), log.namespace);
    let message = match said.trouble {
        Cause::Red => format!("{who} is red: {}", what(said)),
        _ => format!("{who} answers nothing: {}", what(said)),
    };
    let mut made = Finding::new(SearchEngine::META.id, Severity::Error, owner.clone(), message)
        .key(format!("{} {:?}", owner.key(), said.trouble))
        .evidence(told(log, said.line))
        .breaks(owner.clone());
    if let (Cause::Discovery, Some((_, line))) = (said.trouble, said.lost) {
        made = made.evidence(told(log, line));
    }
    for failing in group {
        made = made.breaks(ResourceRef::pod(&failing.log.namespace, &failing.log.pod));
    }
    // Nodes that do not run at all are missed by the others.
    for other in absent(snap, pod, said.engine) {
        made = made.depends_on(ResourceRef::pod(&other.metadata.namespace, &other.metadata.name));
    }
    if let Some(host) = said.lost.and_then(|(host, _)| host.split('.').next()) {
        made = made.depends_on(ResourceRef::service(&log.namespace, host));
    }
    Some(made.fix(Fix {
        namespace: log.namespace.clone(),
        owner: owner.kubectl_name(),
        pod: log.pod.clone(),
        container: log.container.clone(),
        engine: said.engine.name(),
        managed_by: workload(snap, &owner).map(|w| managed_by(&w.metadata)).unwrap_or_default(),
        set_up: said.trouble == Cause::Security,
        red: said.trouble == Cause::Red,
        way: match said.trouble {
            Cause::Discovery => Way::Discovery {
                lost: said.lost.map(|(host, _)| host.to_owned()).unwrap_or_default(),
                wanted: engine_log::wanted(said.line).join(", "),
            },
            Cause::Bootstrap => Way::Bootstrap { nodes: founders(snap, pod, said.engine) },
            Cause::Quorum => Way::Quorum,
            Cause::Security => Way::Security,
            Cause::Red => Way::Red {
                https: has_tls(pod, said.engine),
                cluster: pod.metadata.label(engine_log::OF_CLUSTER).unwrap_or_default().to_owned(),
            },
        },
    }))
}

/// It answers by TLS, as far as can be told: Elastic's operator names the port so. Of others the image does so by itself,
/// Elasticsearch from version 8 on; Bitnami's do not.
fn has_tls(pod: &Pod, engine: Engine) -> bool {
    let mut ports = pod.spec.containers.iter().flat_map(|c| &c.ports);
    let by_itself = |image: &str| {
        let since_eight = tag_of(image).and_then(version).is_some_and(|(major, ..)| major >= 8);
        !image.contains("bitnami") && (engine == Engine::OpenSearch || since_eight)
    };
    let by_operator = pod.metadata.label(engine_log::OF_CLUSTER).is_some();
    let mut own = pod.spec.containers.iter().filter(|c| Engine::of_image(&c.image) == Some(engine));
    ports.any(|p| p.name.as_deref() == Some("https")) || !by_operator && own.any(|c| by_itself(&c.image))
}

/// What a line says, without the fields that each line of JSON has around it.
fn told(log: &ContainerLog, line: &str) -> Evidence {
    line_evidence(log, &log_line::Line::parse(line).text())
}

/// Pods of the same engine in the namespace whose containers do not run.
fn absent<'a>(snap: &'a Snapshot, own: &Pod, engine: Engine) -> Vec<&'a Pod> {
    let runs = |p: &Pod| p.statuses().any(|s| s.running_since().is_some());
    beside(snap, own, engine).filter(|p| !runs(p)).collect()
}

/// Pods of the same engine in the namespace.
fn beside<'a>(snap: &'a Snapshot, own: &Pod, engine: Engine) -> impl Iterator<Item = &'a Pod> {
    let of_engine = move |p: &Pod| p.spec.containers.iter().any(|c| Engine::of_image(&c.image) == Some(engine));
    let namespace = own.metadata.namespace.clone();
    let pods = snap.pods.items().unwrap_or_default().iter();
    pods.filter(move |p| p.metadata.namespace == namespace && of_engine(p))
}

/// The names of the nodes that found a new cluster. Empty where there are several workloads: not all of them may be master.
fn founders(snap: &Snapshot, own: &Pod, engine: Engine) -> String {
    let owner = snap.owner_ref(own);
    let all: Vec<&Pod> = beside(snap, own, engine).collect();
    if !owner.kubectl_name().starts_with("statefulset/") || all.iter().any(|p| snap.owner_ref(p) != owner) {
        return String::new();
    }
    all.iter().map(|p| p.metadata.name.as_str()).collect::<Vec<_>>().join(",")
}

fn what(said: &Failing<'_>) -> String {
    let leader = said.engine.leader();
    match (said.trouble, &said.lost) {
        (Cause::Discovery, Some((host, _))) => {
            format!("its nodes do not find each other, because {host} does not resolve, and no {leader} is chosen")
        }
        (Cause::Discovery, None) if engine_log::knows_nobody(said.line) => {
            format!("a node knows no address of the others, and no {leader} is chosen")
        }
        (Cause::Discovery, None) => format!("its nodes do not find each other, and no {leader} is chosen"),
        (Cause::Bootstrap, _) => {
            format!("no {leader} is chosen, because no node is told which nodes found the cluster")
        }
        (Cause::Quorum, _) => {
            format!("too few of the nodes that may be {leader} are there to choose one")
        }
        (Cause::Red, _) => {
            let which = engine_log::shards(said.line).map(|s| format!(" ({s})")).unwrap_or_default();
            format!(
                "shards of indices are on no node{which}: what was in them is not found, and what is written to these indices is refused"
            )
        }
        (Cause::Security, _) => {
            "its security plugin is not initialised: the index of it was never made, or cannot be read".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;

    fn with(image: &str, messages: &[&str]) -> Snapshot {
        let mut snap = snapshot(json!({"pods": [{
            "metadata": {"namespace": "logging", "name": "es-0", "ownerReferences": [{"kind": "StatefulSet", "name": "es", "controller": true}]},
            "spec": {"containers": [{"name": "es", "image": image}]},
            "status": {"phase": "Running"}
        }]}));
        let line = |m: &str, message: &str| format!("[2026-11-21T01:{m}:00,412][WARN ][x] [es-0] {message}\n");
        let text: String = ["52", "55", "58"].iter().flat_map(|m| messages.iter().map(|s| line(m, s))).collect();
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "logging".into(),
            pod: "es-0".into(),
            container: "es".into(),
            image: image.into(),
            text: text.into(),
            ..ContainerLog::default()
        }]);
        snap
    }

    #[test]
    fn each_trouble_has_a_fix() {
        let image = "docker.elastic.co/elasticsearch/elasticsearch:8.10.4";
        assert!(findings(&SearchEngine, &with(image, &["started"])).is_empty());
        let alone = "master not discovered yet, this node must discover master-eligible nodes [es-0, es-1] to bootstrap a cluster: have discovered [{es-0}]; discovery will continue using [] from hosts providers";
        let lost = "failed to resolve host [es-headless]";
        let found = findings(&SearchEngine, &with(image, &[alone, lost]));
        assert_eq!(found[0].variant, "discovery");
        assert!(found[0].message.contains("es-headless does not resolve"), "{}", found[0].message);
        assert!(steps(&found[0]).contains("es-0, es-1"), "{}", steps(&found[0]));
        for (message, variant) in [
            ("master not discovered yet, and [cluster.initial_master_nodes] is empty on this node", "bootstrap"),
            (
                "master not discovered or elected yet, an election requires at least 2 nodes with ids from [a], have only discovered non-quorum [{es-0}]",
                "quorum",
            ),
        ] {
            assert_eq!(findings(&SearchEngine, &with(image, &[message]))[0].variant, variant, "{message}");
        }
        let never =
            with(image, &["master not discovered yet, and [cluster.initial_master_nodes] is empty on this node"]);
        assert!(steps(&findings(&SearchEngine, &never)[0]).contains("value: es-0"));
        let open = with("opensearchproject/opensearch:2.17.0", &["OpenSearch Security not initialized."]);
        assert_eq!(findings(&SearchEngine, &open)[0].variant, "security");
    }
}
