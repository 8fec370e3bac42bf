//! An EKS add-on that the stack needs is degraded, or the EBS CSI driver's own pods are not ready.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::checks::support::place::Place;
use crate::checks::{Check, check};
use crate::domain::aws::ebs;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::aws::{Addon, HealthIssue};
use crate::snapshot::kubernetes::{Pod, Workload};
use crate::snapshot::{Platform, Snapshot};

/// Seconds for which an add-on may be in the making or changing.
const WORKING: i64 = 20 * 60;
/// Seconds for which a workload may be without all its pods: a rollout takes some.
const ROLLOUT: i64 = 300;

check! {
    /// See the check's page.
    EbsCsiAddonDegraded {
        id: "ebs-csi-addon-degraded", suite: Storage, severity: Error,
        title: "an EKS add-on that the stack needs is degraded",
        requires: [Workloads, EksAddons],
        uses: [Pods, Nodes, EksCluster, Events, PersistentVolumeClaims, StorageClasses, CsiDrivers],
    }
}

/// The add-ons that storage, DNS and the network of pods hang on, with their workloads in kube-system.
const ADDONS: &[(&str, &[(&str, &str)])] = &[
    (ebs::ADDON, &[("Deployment", "ebs-csi-controller"), ("DaemonSet", "ebs-csi-node")]),
    ("vpc-cni", &[("DaemonSet", "aws-node")]),
    ("coredns", &[("Deployment", "coredns")]),
    ("kube-proxy", &[("DaemonSet", "kube-proxy")]),
    ("eks-pod-identity-agent", &[("DaemonSet", "eks-pod-identity-agent")]),
];

impl Check for EbsCsiAddonDegraded {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.workloads.covered(ebs::NAMESPACE)?;
        let addons = snap.eks_addons.as_deref().unwrap_or_default();
        let mut findings = Vec::new();
        for (name, workloads) in ADDONS {
            let addon = addons.iter().find(|a| a.addon_name == *name);
            let parts = parts(snap, workloads);
            // What was not installed as an add-on is somebody's own; only the driver concerns storage.
            if addon.is_none() && (*name != ebs::ADDON || !has_driver(&parts)) {
                continue;
            }
            let subject = Subject { snap, name, addon, parts };
            findings.extend(subject.judge());
        }
        if findings.is_empty() && snap.platform == Platform::Other {
            return Ok(Diagnosis::NotApplicable("the cluster is not on EKS".into()));
        }
        Ok(Diagnosis::Findings(findings))
    }
}

fn has_driver(parts: &[Part<'_>]) -> bool {
    let image = |c: &crate::snapshot::kubernetes::Container| c.image.contains("ebs-csi-driver");
    parts.iter().any(|p| p.workload.spec.template.spec.containers.iter().any(image))
}

/// One workload of an add-on.
struct Part<'a> {
    workload: &'a Workload,
    /// Pods of it that are not Ready on nodes that are.
    unready: Vec<&'a Pod>,
    /// Pods it lacks that cannot run, because their node does not.
    on_dead_nodes: usize,
    /// It was just made, or is just being rolled out.
    young: bool,
}

impl Part<'_> {
    fn reference(&self) -> ResourceRef {
        let meta = &self.workload.metadata;
        ResourceRef::kubernetes("apps", &self.workload.kind, &meta.namespace, &meta.name)
    }

    fn counts(&self) -> String {
        format!("{} of {} pods ready", self.workload.ready(), self.workload.desired())
    }

    /// Pods that are missing although their node runs. DaemonSets count a stopped node's pod as wanted.
    fn missing(&self) -> usize {
        let short = self.workload.desired().saturating_sub(self.workload.ready()) as usize;
        if self.young { 0 } else { short.saturating_sub(self.on_dead_nodes) }
    }

    /// Nothing of it works.
    fn is_down(&self) -> bool {
        self.workload.desired() > 0 && self.workload.ready() == 0 && self.missing() > 0
    }
}

fn parts<'a>(snap: &'a Snapshot, workloads: &[(&str, &str)]) -> Vec<Part<'a>> {
    let all = snap.workloads.items().unwrap_or_default().iter();
    let mine = all.filter(|w| {
        w.metadata.namespace == ebs::NAMESPACE
            && workloads.iter().any(|(kind, name)| w.kind == *kind && w.metadata.name == *name)
    });
    mine.map(|workload| part(snap, workload)).collect()
}

fn part<'a>(snap: &'a Snapshot, workload: &'a Workload) -> Part<'a> {
    let nodes = snap.nodes.items().unwrap_or_default();
    let dead: BTreeSet<&str> = nodes.iter().filter(|n| !n.is_ready()).map(|n| n.metadata.name.as_str()).collect();
    let pods = snap.pods_of_workload(workload);
    let unready: Vec<&Pod> = pods.filter(|p| !p.is_ready() && p.metadata.deletion_timestamp.is_none()).collect();
    let on_dead = |p: &&Pod| p.spec.node_name.as_deref().is_some_and(|n| dead.contains(n));
    let young = snap.age_seconds(&workload.metadata) < ROLLOUT
        || (!unready.is_empty() && unready.iter().all(|p| snap.age_seconds(&p.metadata) < ROLLOUT))
        // A node that has just joined has no pod yet.
        || (workload.kind == "DaemonSet" && unready.is_empty() && workload.ready() > 0);
    let on_dead_nodes = match workload.kind.as_str() {
        // A node that is off has a pod there that is not Ready, or none at all.
        "DaemonSet" => dead.len(),
        _ => unready.iter().filter(|p| on_dead(p)).count(),
    };
    Part { workload, unready: unready.into_iter().filter(|p| !on_dead(p)).collect(), on_dead_nodes, young }
}

struct Subject<'a> {
    snap: &'a Snapshot,
    name: &'a str,
    addon: Option<&'a Addon>,
    parts: Vec<Part<'a>>,
}

/// What is to be said of an add-on.
struct Verdict {
    severity: Severity,
    variant: &'static str,
    what: String,
}

impl Subject<'_> {
    fn judge(&self) -> Option<Finding> {
        let verdict = match self.addon.map(|a| a.status.as_str()) {
            Some(status) if is_failed(status) => self.failed(status),
            Some(status @ ("CREATING" | "UPDATING" | "DELETING")) if self.is_stuck() => Verdict {
                severity: if self.is_short() { Severity::Error } else { Severity::Warning },
                variant: "stuck",
                what: format!("has been {status} for more than {} minutes", WORKING / 60),
            },
            _ => self.short_of_pods()?,
        };
        Some(self.finding(verdict))
    }

    fn is_short(&self) -> bool {
        self.parts.iter().any(|p| p.missing() > 0)
    }

    /// An add-on whose workload is there and has all its pods, save those of nodes that are off.
    fn works(&self) -> bool {
        !self.parts.is_empty() && !self.is_short()
    }

    fn is_stuck(&self) -> bool {
        let since = self.addon.and_then(|a| a.modified_at.as_deref()).and_then(|t| t.parse::<Timestamp>().ok());
        since.is_some_and(|t| self.snap.collected_at.as_second() - t.as_second() > WORKING)
    }

    fn failed(&self, status: &str) -> Verdict {
        let issues = self.addon.map(|a| a.health.issues.as_slice()).unwrap_or_default();
        let variant = issues.iter().map(|i| variant_of(&i.code)).find(|v| *v != "other").unwrap_or("other");
        let counted = matches!(variant, "replicas" | "other");
        let why = issues.first().map_or_else(|| "EKS gives no reason".to_owned(), issue_text);
        // EKS counts the pods of nodes that are off, of warm pools for example: that is no fault of the driver.
        if status == "DEGRADED" && counted && self.works() {
            let what = format!("is {status} ({why}), but its pods are ready on every node that runs");
            return Verdict { severity: Severity::Info, variant: "artefact", what };
        }
        let severity = if self.works() { Severity::Warning } else { Severity::Error };
        let variant = if variant == "other" && self.is_short() { "replicas" } else { variant };
        let variant = if status == "DELETE_FAILED" { "delete" } else { variant };
        Verdict { severity, variant, what: format!("is {status}: {why}") }
    }

    /// The add-on says nothing of it, or there is none: the workload itself is short of pods.
    fn short_of_pods(&self) -> Option<Verdict> {
        // Others are seen through what they break.
        if self.name != ebs::ADDON {
            return None;
        }
        let short: Vec<&Part<'_>> = self.parts.iter().filter(|p| p.missing() > 0).collect();
        let first = short.first()?;
        let severity = if short.iter().any(|p| p.is_down()) { Severity::Error } else { Severity::Warning };
        let what = format!("is not ready: {} has {}", first.reference(), first.counts());
        Some(Verdict { severity, variant: "replicas", what })
    }

    fn finding(&self, verdict: Verdict) -> Finding {
        let place = Place::of(self.snap);
        let subject = match (self.addon, self.parts.first()) {
            (None, Some(part)) => part.reference(),
            _ => ResourceRef::aws("eks", "addon", self.name),
        };
        let who = match self.addon {
            Some(addon) => format!("EKS add-on {} {} of cluster {}", self.name, addon.addon_version, place.cluster),
            None => format!("the EBS CSI driver ({})", ebs::DRIVER),
        };
        let Verdict { severity, variant, what } = verdict;
        let mut finding =
            Finding::new(EbsCsiAddonDegraded::META.id, severity, subject.clone(), format!("{who} {what}"))
                .breaks(subject)
                .key(format!("{} {variant}", self.name))
                .fix(variant);
        for part in &self.parts {
            if part.missing() > 0 {
                finding = finding.breaks(part.reference());
            }
            finding = finding.evidence(part_evidence(part));
        }
        if self.name == ebs::ADDON && (self.is_short() || severity == Severity::Error) {
            finding = finding.breaks(ResourceRef::csi_driver(ebs::DRIVER));
        }
        if self.name == "coredns" && self.parts.iter().any(Part::is_down) {
            finding = finding.breaks(ResourceRef::service(ebs::NAMESPACE, "kube-dns"));
        }
        finding = self.causes(finding, variant);
        if let Some(addon) = self.addon {
            finding = finding.evidence(addon_evidence(addon, &place));
        }
        self.params(finding, &place)
    }

    /// What would explain it: pods that find no node, credentials that do not work.
    fn causes(&self, mut finding: Finding, variant: &str) -> Finding {
        for pod in self.parts.iter().flat_map(|p| &p.unready) {
            finding = finding.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
        }
        let credentials = matches!(variant, "permission" | "access") || self.is_refused();
        if self.name == ebs::ADDON && credentials {
            finding = finding.depends_on(ebs::credentials_ref(self.snap));
            if let Ok(cluster) = self.snap.eks_cluster() {
                finding = finding.depends_on(ResourceRef::aws("iam", "oidc-provider", cluster.issuer_host_path()));
            }
        }
        finding
    }

    /// A controller that gets no credentials restarts over and over.
    fn is_refused(&self) -> bool {
        let pods = self.parts.iter().filter(|p| p.workload.kind == "Deployment").flat_map(|p| &p.unready);
        let mut statuses = pods.flat_map(|p| &p.status.container_statuses);
        statuses.any(|s| s.state.waiting.as_ref().is_some_and(|w| w.reason == "CrashLoopBackOff"))
    }

    fn params(&self, finding: Finding, place: &Place) -> Finding {
        let cluster = self.snap.eks_cluster().ok();
        let conflict = self.addon.and_then(|a| conflicting_env(&a.health.issues));
        let workload = self.parts.iter().find(|p| p.missing() > 0).or(self.parts.first());
        let (kind, name) =
            workload.map_or(("deployment", ""), |p| (lower(&p.workload.kind), p.workload.metadata.name.as_str()));
        let value = conflict.as_deref().and_then(|env| self.env_value(env));
        let configuration =
            conflict.as_deref().map(|env| serde_json::json!({"env": {env: value.unwrap_or("<value>")}}).to_string());
        finding
            .param("addon", self.name)
            .param("cluster", &place.cluster)
            .param("region", &place.region)
            .param("kubernetes", cluster.map_or("<version>", |c| c.version.as_str()))
            .param("version", self.addon.map_or("", |a| a.addon_version.as_str()))
            .param("is_addon", self.addon.is_some())
            .param("namespace", ebs::NAMESPACE)
            .param("target", format!("{kind}/{name}"))
            .param("has_target", !name.is_empty())
            .param(
                "pods",
                self.parts.iter().flat_map(|p| &p.unready).map(|p| p.metadata.name.as_str()).collect::<Vec<_>>(),
            )
            .param("has_pods", self.parts.iter().any(|p| !p.unready.is_empty()))
            .param("configuration", configuration.clone().unwrap_or_default())
            .param("has_configuration", configuration.is_some() && self.name == "vpc-cni")
    }

    /// What a variable of the workload is set to, where it may be read.
    fn env_value(&self, name: &str) -> Option<&str> {
        let containers = self.parts.iter().flat_map(|p| &p.workload.spec.template.spec.containers);
        let mut env = containers.flat_map(|c| &c.env).filter(|e| e.name == name);
        env.find_map(|e| e.value.as_deref())
    }
}

fn lower(kind: &str) -> &'static str {
    if kind == "DaemonSet" { "daemonset" } else { "deployment" }
}

fn is_failed(status: &str) -> bool {
    matches!(status, "DEGRADED" | "CREATE_FAILED" | "UPDATE_FAILED" | "DELETE_FAILED")
}

/// The fix for a code of EKS' add-on health.
fn variant_of(code: &str) -> &'static str {
    match code {
        "ConfigurationConflict" => "conflict",
        "AccessDenied" => "access",
        "AddonPermissionFailure" => "permission",
        "InsufficientNumberOfReplicas" => "replicas",
        "UnsupportedAddonVersion" => "version",
        "AdmissionRequestDenied" => "admission",
        "K8sResourceNotFound" => "resource-missing",
        "ClusterUnreachable" | "InternalFailure" => "retry",
        _ => "other",
    }
}

fn issue_text(issue: &HealthIssue) -> String {
    let message: String = issue.message.lines().next().unwrap_or_default().chars().take(400).collect();
    if message.is_empty() { issue.code.clone() } else { format!("{}: {message}", issue.code) }
}

/// The variable that a conflict is about: `….env[name="ENABLE_PREFIX_DELEGATION"].value`.
fn conflicting_env(issues: &[HealthIssue]) -> Option<String> {
    issues.iter().find_map(|issue| {
        let rest = issue.message.split_once(".env[name=\"")?.1;
        rest.split_once('"').map(|(name, _)| name.to_owned())
    })
}

fn addon_evidence(addon: &Addon, place: &Place) -> Evidence {
    let issues: Vec<String> = addon.health.issues.iter().map(issue_text).collect();
    let value = if issues.is_empty() {
        format!("status {}, no health issue", addon.status)
    } else {
        format!("status {}\n{}", addon.status, issues.join("\n"))
    };
    Evidence::new(
        format!("eks:DescribeAddon {}, status and health", addon.addon_name),
        value,
        "aws eks describe-addon --cluster-name {{ cluster }} --addon-name {{ addon }} --region {{ region }} --query 'addon.[status,health]'",
    )
    .with("cluster", &place.cluster)
    .with("addon", &addon.addon_name)
    .with("region", &place.region)
}

fn part_evidence(part: &Part<'_>) -> Evidence {
    let mut lines = vec![part.counts()];
    if part.workload.kind == "DaemonSet" && part.on_dead_nodes > 0 {
        lines.push(format!("{} nodes are not Ready; their pods count as wanted", part.on_dead_nodes));
    }
    for pod in part.unready.iter().take(5) {
        let statuses = pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses);
        let waiting = statuses.filter_map(|s| Some((s, s.state.waiting.as_ref()?))).find(|(_, w)| !w.reason.is_empty());
        let why = waiting.map_or_else(
            || pod.status.phase.clone(),
            |(status, waiting)| format!("container {} {}", status.name, waiting.reason),
        );
        lines.push(format!("pod {}: {why}", pod.metadata.name));
    }
    Evidence::new(
        format!("{} {}/{}", part.workload.kind, part.workload.metadata.namespace, part.workload.metadata.name),
        lines.join("\n"),
        "kubectl get -n {{ namespace }} {{ target }} -o wide",
    )
    .with("namespace", &part.workload.metadata.namespace)
    .with("target", format!("{}/{}", lower(&part.workload.kind), part.workload.metadata.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_variable_of_a_conflict() {
        let issue = |message: &str| HealthIssue { message: message.into(), ..HealthIssue::default() };
        let text = "Conflicts: DaemonSet.apps aws-node - .spec.template.spec.containers[name=\"aws-node\"].env[name=\"WARM_IP_TARGET\"].value";
        assert_eq!(conflicting_env(&[issue("x"), issue(text)]).as_deref(), Some("WARM_IP_TARGET"));
        assert_eq!(conflicting_env(&[issue("Conflicts: ServiceAccount aws-node - .metadata.annotations")]), None);
    }
}
