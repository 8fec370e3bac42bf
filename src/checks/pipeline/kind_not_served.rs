//! A program asks the API server for a kind that it does not serve: it is older than the cluster, or a CRD is missing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::addon;
use crate::checks::support::place::Place;
use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::chart::release_of;
use crate::domain::kubernetes::cluster_dns;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::not_served::{self, Asked};
use crate::domain::kubernetes::owner;
use crate::domain::kubernetes::proxy_log::is_proxy_container;
use crate::domain::kubernetes::skew;
use crate::lint::kubernetes::removed;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    KindNotServed {
        id: "kind-not-served", suite: Pipeline, severity: Error,
        title: "a program asks for a kind that the API server does not serve",
        requires: [PartLogs],
        uses: [ComponentLogs, CrashLogs, Pods, Workloads, Crds, EksAddons, EksCluster, HelmReleases, KubernetesVersion],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    KubeProxy {
        /// The add-on keeps it already.
        is_addon: bool,
        /// Whether it is an add-on could be read.
        seen: bool,
        /// What was given to the add-on, as options of an update.
        kept: Vec<String>,
        cluster: String,
        kubernetes: String,
    },
    Newer {
        #[serde(flatten)]
        program: Program,
        /// Without its repository, as a search finds it.
        chart_name: String,
        kubernetes: String,
    },
    Crd {
        #[serde(flatten)]
        program: Program,
        kind: String,
        /// `volumesnapshots.snapshot.storage.k8s.io`, or the group.
        word: String,
        /// The kinds of snapshots, which an add-on of EKS brings.
        snapshots: bool,
        cluster: String,
    },
}

/// The program and what keeps it.
#[derive(Serialize, JsonSchema)]
struct Program {
    namespace: String,
    target: String,
    container: String,
    image: String,
    /// The release of Helm; empty where it is of none.
    release: String,
    release_namespace: String,
    /// Repository and chart.
    chart: String,
    managed: String,
}

/// Groups whose kinds other checks judge: of the Prometheus operator, and those that APIServices serve.
const ELSEWHERE: &[&str] = &["monitoring.coreos.com", "metrics.k8s.io"];

/// The group of the kinds of snapshots.
const SNAPSHOTS: &str = "snapshot.storage.k8s.io";

impl Check for KindNotServed {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        // The logs of programs that an update left behind are read by it: without it they are not looked into.
        _ = snap.kubernetes_version();
        let parts = snap.part_logs()?.iter().filter(|l| !l.previous);
        let others = [snap.component_logs(), snap.crash_logs()].into_iter().flatten().flatten();
        let mut found: BTreeMap<(ResourceRef, String), Case<'_>> = BTreeMap::new();
        for log in parts.chain(others) {
            for (asked, line, _) in not_served::of(snap, log) {
                if ELSEWHERE.iter().any(|group| asked.group.ends_with(group)) {
                    continue;
                }
                let owner = snap.owner_of_log(log);
                let case = found.entry((owner.clone(), log.container.clone()));
                let case = case.or_insert_with(|| Case { snap, owner, log, asked: Vec::new() });
                if !case.asked.iter().any(|(known, _)| *known == asked) {
                    case.asked.push((asked, line));
                }
            }
        }
        Ok(Diagnosis::Findings(found.values().filter_map(Case::finding).collect()))
    }
}

/// One program and what it asks for in vain.
struct Case<'a> {
    snap: &'a Snapshot,
    owner: ResourceRef,
    log: &'a ContainerLog,
    asked: Vec<(Asked, &'a str)>,
}

impl Case<'_> {
    fn finding(&self) -> Option<Finding> {
        let old = self.asked.iter().find_map(|(asked, _)| Some((asked, asked.removed()?)));
        let (asked, _) = self.asked.first()?;
        let kubernetes = self.kubernetes();
        let who = format!("container {} of {}", self.log.container, self.owner);
        let (message, fix, severity) = match old {
            Some((asked, removed)) => {
                let message = format!(
                    "{who} asks for {} of {}, removed in Kubernetes 1.{}: image {} is too old for this cluster{}",
                    asked.kind,
                    asked.api_version(),
                    removed.since,
                    self.log.image,
                    kubernetes.as_ref().map(|v| format!(" ({v})")).unwrap_or_default()
                );
                (message, self.newer(kubernetes.unwrap_or_else(|| "<version>".to_owned())), Severity::Error)
            }
            // The program is of a later time than the cluster.
            None if self.is_of_later(asked) => {
                let since = removed::added(&asked.version, &asked.kind).unwrap_or_default();
                let message = format!(
                    "{who} asks for {} of version {}, which Kubernetes serves from 1.{since} on: image {} is too new for this cluster{}",
                    asked.kind,
                    asked.version,
                    self.log.image,
                    kubernetes.as_ref().map(|v| format!(" ({v})")).unwrap_or_default()
                );
                (message, self.newer(kubernetes.unwrap_or_else(|| "<version>".to_owned())), Severity::Error)
            }
            None => {
                let message = format!(
                    "{who} asks for {} of {}, but the cluster has no such kind: its CustomResourceDefinition is not installed",
                    asked.kind,
                    asked.api_version()
                );
                // Without the kind nobody has asked for a snapshot: the side-car waits, and only writes these lines.
                let idle = self.log.container == "csi-snapshotter" && asked.group == SNAPSHOTS;
                (message, self.crd(asked)?, if idle { Severity::Info } else { Severity::Warning })
            }
        };
        let mut made = Finding::new(KindNotServed::META.id, severity, self.owner.clone(), message)
            .key(format!("{} {}", self.owner.key(), self.log.container))
            .fix(fix);
        for (_, line) in &self.asked {
            made = made.evidence(line_evidence(self.log, line));
        }
        // Without it no Service of the cluster leads anywhere, names among them.
        if old.is_some() && self.is_kube_proxy() {
            return Some(made.breaks(self.owner.clone()));
        }
        if severity < Severity::Error {
            return Some(made.breaks_nothing());
        }
        Some(made)
    }

    /// A kind of Kubernetes itself, in a version that this cluster does not have yet.
    fn is_of_later(&self, asked: &Asked) -> bool {
        let since = removed::added(&asked.version, &asked.kind).filter(|_| asked.resource.is_none());
        since.zip(skew::of_server(self.snap)).is_some_and(|(since, minor)| minor < since)
    }

    fn is_kube_proxy(&self) -> bool {
        is_proxy_container(&self.log.container, &self.log.image) && self.log.namespace == cluster_dns::NAMESPACE
    }

    /// `1.36`.
    fn kubernetes(&self) -> Option<String> {
        let version = self.snap.kubernetes_version().ok()?.trim_start_matches('v');
        let mut parts = version.split('.');
        Some(format!("{}.{}", parts.next()?, parts.next()?.trim_end_matches('+')))
    }

    fn newer(&self, kubernetes: String) -> Fix {
        if self.is_kube_proxy() && self.snap.platform == Platform::Eks {
            let Place { cluster, .. } = Place::of(self.snap);
            let addon = addon::named(self.snap, "kube-proxy");
            let (is_addon, seen, kept) = (addon.is_some(), self.snap.eks_addons().is_ok(), addon::kept(addon));
            return Fix::KubeProxy { is_addon, seen, kept, cluster, kubernetes };
        }
        let program = self.program();
        let chart_name = program.chart.rsplit('/').next().unwrap_or_default().to_owned();
        Fix::Newer { program, chart_name, kubernetes }
    }

    /// `None` where the kind is there by now.
    fn crd(&self, asked: &Asked) -> Option<Fix> {
        let all = self.snap.crds.items().unwrap_or_default();
        let is_there = |name: &str| {
            Some(name) == asked.resource.as_deref() || not_served::defines(name, &asked.group, &asked.kind)
        };
        if all.iter().any(|c| is_there(&c.metadata.name)) {
            return None;
        }
        let Place { cluster, .. } = Place::of(self.snap);
        let word = asked.resource.clone().unwrap_or_else(|| asked.group.clone());
        let snapshots = asked.group == SNAPSHOTS && self.snap.platform == Platform::Eks;
        Some(Fix::Crd { program: self.program(), kind: asked.kind.clone(), word, snapshots, cluster })
    }

    fn program(&self) -> Program {
        let workload = owner::workload(self.snap, &self.owner);
        let release = workload.and_then(|w| release_of(self.snap, &w.metadata));
        let known = release.as_ref();
        Program {
            namespace: self.log.namespace.clone(),
            target: self.owner.kubectl_name(),
            container: self.log.container.clone(),
            image: self.log.image.clone(),
            release: known.map_or_else(String::new, |r| r.release.clone()),
            release_namespace: known.map_or_else(String::new, |r| r.namespace.clone()),
            chart: known.map_or_else(String::new, |r| r.chart.clone()),
            managed: workload.map(|w| managed_by(&w.metadata)).unwrap_or_default(),
        }
    }
}
