//! A program listens on its own loopback at a port to which a Service leads.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::owner::{Target, keeper, made_from};
use crate::domain::traffic::loopback::{self, Deaf, How};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    ListensOnLoopback {
        id: "listens-on-loopback", suite: Network, severity: Error,
        title: "a program listens on its own loopback, where a Service leads to it",
        requires: [Services, Pods],
        uses: [PartLogs, ComponentLogs, ConfigMaps, Workloads, PrometheusTargets, MonitoringResources, EksAddons],
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
    /// A Service that leads there, and its port.
    service: String,
    at: u16,
    managed: String,
    #[serde(flatten)]
    way: Way,
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Argument {
        argument: String,
        open: String,
    },
    Receiver {
        map: String,
        key: String,
        /// What is to stand below the receivers.
        lines: String,
        /// It is Tempo, and no collector.
        tempo: bool,
        map_managed: String,
    },
    Said {
        line: String,
    },
}

impl Check for ListensOnLoopback {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.services()?;
        snap.pods()?;
        let mut owners: BTreeMap<ResourceRef, Vec<Deaf<'_>>> = BTreeMap::new();
        // What nobody of the stack asks is the matter of those whose namespace it is.
        let is_own = |d: &Deaf<'_>| snap.scope.is_judged(&d.service.metadata.namespace);
        let counts = |d: &Deaf<'_>| is_own(d) && d.is_sure() || loopback::refused(snap, d).is_some();
        for deaf in loopback::all(snap).into_iter().filter(counts) {
            owners.entry(snap.owner_ref(deaf.pod)).or_default().push(deaf);
        }
        Ok(Diagnosis::Findings(owners.into_iter().map(|(owner, found)| finding(snap, owner, &found)).collect()))
    }
}

fn finding(snap: &Snapshot, owner: ResourceRef, found: &[Deaf<'_>]) -> Finding {
    let deaf = &found[0];
    let meta = &deaf.pod.metadata;
    let mut ports: Vec<u16> = found.iter().map(|d| d.port).collect();
    ports.sort_unstable();
    ports.dedup();
    let mut services: Vec<&str> = found.iter().map(|d| d.service.metadata.name.as_str()).collect();
    services.sort_unstable();
    services.dedup();
    let listed: Vec<String> = ports.iter().map(u16::to_string).collect();
    let client = found.iter().find_map(|d| loopback::refused(snap, d));
    let refused = match client {
        Some((log, _)) => format!(", as pod {}/{} is", log.namespace, log.pod),
        None => String::new(),
    };
    let message = format!(
        "{} in {} listens on port{} {} of its loopback address only: whoever comes through Service {} is refused{refused}",
        owner.kubectl_name(),
        meta.namespace,
        if listed.len() == 1 { "" } else { "s" },
        listed.join(" and "),
        services.join(", "),
    );
    // Perhaps nobody uses the port.
    let severity = if client.is_some() { Severity::Error } else { Severity::Warning };
    let key = owner.key();
    let mut made = Finding::new(ListensOnLoopback::META.id, severity, owner.clone(), message).key(key);
    made = found.iter().map(evidence).fold(made, Finding::evidence);
    if let Some((log, line)) = client {
        made = made.evidence(line_evidence(log, line.trim()));
    }
    for service in services {
        made = made.breaks(ResourceRef::service(&meta.namespace, service));
    }
    let target = Target::of(snap, deaf.pod);
    made.fix(Fix {
        namespace: meta.namespace.clone(),
        owner: owner.kubectl_name(),
        pod: meta.name.clone(),
        container: deaf.container.name.clone(),
        service: deaf.service.metadata.name.clone(),
        at: deaf.offered,
        managed: undone_by(&target),
        way: way(found),
    })
}

/// Who would undo a change of the workload.
fn undone_by(target: &Target<'_>) -> String {
    let of_operator = target.custom.map(|(kind, name)| format!("the {kind} resource {name}"));
    of_operator.or_else(|| made_from(target.meta)).unwrap_or_else(|| target.managed_by.clone())
}

fn evidence(deaf: &Deaf<'_>) -> Evidence {
    let meta = &deaf.pod.metadata;
    match &deaf.how {
        How::Argument(argument) => {
            let source =
                format!("Pod {}/{}, arguments of container {}", meta.namespace, meta.name, deaf.container.name);
            Evidence::new(source, *argument, "kubectl get pod {{ pod }} -n {{ namespace }} -o yaml")
                .with("namespace", &meta.namespace)
                .with("pod", &meta.name)
        }
        How::Receiver { file, receiver } => {
            let map = &file.map.metadata;
            let source = format!("ConfigMap {}/{}, {}", map.namespace, map.name, file.key);
            let value = format!(
                "receivers.{}: no endpoint that others reach, in {}",
                receiver.path.join("."),
                deaf.container.image
            );
            Evidence::new(source, value, "kubectl get configmap {{ name }} -n {{ namespace }} -o yaml")
                .with("namespace", &map.namespace)
                .with("name", &map.name)
        }
        How::Said { log, line } => line_evidence(log, line.trim()),
    }
}

fn way(found: &[Deaf<'_>]) -> Way {
    let deaf = &found[0];
    match &deaf.how {
        How::Argument(argument) => {
            let open = ["127.0.0.1", "localhost"].iter().fold((*argument).to_owned(), |a, l| a.replace(l, "0.0.0.0"));
            Way::Argument { argument: (*argument).to_owned(), open: open.replace("[::1]", "[::]") }
        }
        How::Receiver { file, .. } => {
            let receivers = found.iter().filter_map(|d| match &d.how {
                How::Receiver { receiver, .. } => Some((receiver.path, d.port)),
                _ => None,
            });
            Way::Receiver {
                map: file.map.metadata.name.clone(),
                key: file.key.to_owned(),
                lines: lines(receivers),
                tempo: deaf.container.image.contains("tempo"),
                map_managed: keeper(&file.map.metadata),
            }
        }
        How::Said { line, .. } => Way::Said { line: line.trim().to_owned() },
    }
}

/// YAML below `receivers`: each path once, with the endpoint of its port.
fn lines<'a>(receivers: impl Iterator<Item = (&'a [&'a str], u16)>) -> String {
    let mut all: Vec<(&[&str], u16)> = receivers.collect();
    all.sort_unstable();
    all.dedup();
    let mut out: Vec<String> = Vec::new();
    let mut before: &[&str] = &[];
    for (path, port) in all {
        let same = path.iter().zip(before).take_while(|(a, b)| a == b).count();
        for (depth, name) in path.iter().enumerate().skip(same) {
            out.push(format!("{}{name}:", "  ".repeat(depth)));
        }
        out.push(format!("{}endpoint: 0.0.0.0:{port}", "  ".repeat(path.len())));
        before = path;
    }
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::monitoring::ContainerLog;

    fn with(image: &str, args: &[&str], config: &str, log: &str) -> Snapshot {
        let mut snap = snapshot(json!({
            "pods": [{"metadata": {"namespace": "t", "name": "p-0", "labels": {"app": "p"}},
                "spec": {"volumes": [{"name": "c", "configMap": {"name": "conf"}}],
                    "containers": [{"name": "p", "image": image, "args": args,
                        "ports": [{"containerPort": 4317}, {"containerPort": 4318}],
                        "volumeMounts": [{"name": "c", "mountPath": "/conf"}]}]},
                "status": {"phase": "Running", "podIP": "10.0.1.5", "conditions": [{"type": "Ready", "status": "True"}]}}],
            "services": [{"metadata": {"namespace": "t", "name": "p"},
                "spec": {"clusterIP": "172.20.1.1", "selector": {"app": "p"}, "ports": [{"port": 4317}, {"port": 4318}]}}],
            "config_maps": [{"metadata": {"namespace": "t", "name": "conf"}, "data": {"c.yaml": config}}],
        }));
        let one = |pod: &str, text: &str| ContainerLog {
            namespace: "t".into(),
            pod: pod.into(),
            container: "p".into(),
            image: image.into(),
            text: text.into(),
            ..ContainerLog::default()
        };
        *snap.part_logs = Ok(vec![
            one("p-0", log),
            one("client", "2026-11-21T01:58:00Z error dial tcp 172.20.1.1:4317: connect: connection refused\n"),
        ]);
        snap
    }

    #[test]
    fn each_way_has_its_fix() {
        let config = "receivers:\n  otlp:\n    protocols:\n      grpc: {}\n      http: {}\n";
        let mut snap = with("otel/opentelemetry-collector:0.117.0", &[], config, "");
        snap.scope.stack = vec!["t".into()];
        let collector = findings(&ListensOnLoopback, &snap);
        assert_eq!((collector.len(), collector[0].severity), (1, Severity::Error));
        assert!(collector[0].message.contains("4317 and 4318"), "{}", collector[0].message);
        let told = steps(&collector[0]);
        assert!(told.contains("endpoint: 0.0.0.0:4318") && told.matches("otlp:").count() == 1, "{told}");
        let argument = findings(&ListensOnLoopback, &with("a/b:1", &["--listen=127.0.0.1:4317"], "", ""));
        assert!(steps(&argument[0]).contains("--listen=0.0.0.0:4317"), "{}", steps(&argument[0]));
        let within = |namespace: &str, args: &[&str], refused: &str| {
            let mut snap = with("a/b:1", args, "", "");
            snap.scope.stack = vec![namespace.into()];
            for log in snap.part_logs.as_mut().expect("logs").iter_mut().filter(|l| l.pod == "client") {
                log.text = log.text.replace(":4317", refused).into();
            }
            findings(&ListensOnLoopback, &snap).len()
        };
        let bare = |args: &[&str], refused: &str| within("t", args, refused);
        assert_eq!(bare(&["--listen=127.0.0.1:4317"], ":9999"), 1, "it says which port it is about");
        assert_eq!(within("other", &["--listen=127.0.0.1:4317"], ":9999"), 0, "nobody of the stack asks");
        assert_eq!(
            bare(&["--host=127.0.0.1", "--db-host=localhost"], ":9999"),
            0,
            "nobody says which port it is about"
        );
        assert_eq!(bare(&["--host=127.0.0.1"], ":4317"), 1, "a client is refused");
        assert_eq!(bare(&["--advertise-address=127.0.0.1:4317"], ":9999"), 0, "where others are to look for it");
        let said = findings(&ListensOnLoopback, &with("a/b:1", &[], "", "Listening on localhost:4317\n"));
        assert!(steps(&said[0]).contains("Listening on localhost:4317"), "{}", steps(&said[0]));
        let other = with("a/b:1", &[], "", "Listening on localhost:4318\n");
        assert!(findings(&ListensOnLoopback, &other).is_empty(), "nobody complains of that port");
        assert!(findings(&ListensOnLoopback, &with("a/b:1", &[], "", "Listening on :4317\n")).is_empty());
    }
}
