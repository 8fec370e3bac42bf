//! A Service leads to pods of the caller's node alone, and there is none.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::{log_evidence, service_evidence};
use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::traffic::flows;
use crate::domain::traffic::local_only::{self, Stranded};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    NoLocalEndpoint {
        id: "no-local-endpoint", suite: Network, severity: Error,
        title: "a Service leads to pods of the caller's node alone, and there is none",
        requires: [Services],
        uses: [Pods, ComponentLogs, PartLogs, GrafanaDatasourceHealth],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Everywhere {
        namespace: String,
        service: String,
        patch: &'static str,
        managed: String,
    },
    /// It is meant for agents that each node has, and the caller's node lacks its own.
    Agent {
        namespace: String,
        service: String,
        agents: String,
        node: String,
    },
}

impl Check for NoLocalEndpoint {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.services()?;
        let mut all: BTreeMap<ResourceRef, Vec<Stranded<'_>>> = BTreeMap::new();
        for one in local_only::all(snap) {
            let meta = &one.service.metadata;
            all.entry(ResourceRef::service(&meta.namespace, &meta.name)).or_default().push(one);
        }
        Ok(Diagnosis::Findings(all.into_iter().map(|(own, found)| finding(snap, own, &found)).collect()))
    }
}

fn finding(snap: &Snapshot, own: ResourceRef, found: &[Stranded<'_>]) -> Finding {
    let service = found[0].service;
    let meta = &service.metadata;
    let ready = snap.pods_of_service(service).filter(|p| p.is_ready());
    let nodes: BTreeSet<&str> = ready.filter_map(|p| p.spec.node_name.as_deref()).collect();
    let callers: BTreeSet<String> = found.iter().map(|s| snap.owner_ref(s.pod).to_string()).collect();
    let text = format!(
        "Service {}/{} has internalTrafficPolicy Local, and its ready pods are only on {}: what {} sends there from another node reaches nobody",
        meta.namespace,
        meta.name,
        nodes.into_iter().collect::<Vec<_>>().join(", "),
        callers.into_iter().collect::<Vec<_>>().join(", ")
    );
    let key = own.key();
    let mut made = Finding::new(NoLocalEndpoint::META.id, Severity::Error, own, text)
        .key(key)
        .breaks_nothing()
        .evidence(service_evidence(service, "", "internalTrafficPolicy: Local"));
    for one in found {
        let pod = &one.pod.metadata;
        made = flows::connection(&snap.owner_ref(one.pod), one.said).into_iter().fold(made, Finding::breaks);
        if !one.container.is_empty() {
            made = made.evidence(log_evidence(&pod.namespace, &pod.name, one.container, false, one.said.trim()));
        }
    }
    if let Some(agents) = found.iter().find_map(|s| s.agents.as_ref()) {
        return made.depends_on(agents.clone()).fix(Fix::Agent {
            namespace: meta.namespace.clone(),
            service: meta.name.clone(),
            agents: agents.kubectl_name(),
            node: found[0].pod.spec.node_name.clone().unwrap_or_default(),
        });
    }
    made.fix(Fix::Everywhere {
        namespace: meta.namespace.clone(),
        service: meta.name.clone(),
        patch: r#"{"spec":{"internalTrafficPolicy":"Cluster"}}"#,
        managed: managed_by(meta),
    })
}
