//! An EKS add-on that the stack needs is degraded, or the EBS CSI driver's own pods are not ready.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::checks::support::addon::{kept, kept_role};
use crate::checks::support::place::Place;
use crate::checks::{Check, check};
use crate::domain::aws::addon::{self, Conflict, issue_text};
use crate::domain::aws::ebs;
use crate::domain::aws::node_group;
use crate::domain::kubernetes::scheduling;
use crate::domain::kubernetes::unschedulable::for_fargate;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::aws::Addon;
use crate::snapshot::kubernetes::{Pod, Workload};
use crate::snapshot::{Platform, Snapshot};

/// Seconds for which an add-on may be in the making or changing.
const WORKING: i64 = 20 * 60;
/// Seconds for which a workload may be without all its pods: a rollout takes some.
const ROLLOUT: i64 = 300;

check! {
    /// See the check's page.
    AddonDegraded {
        id: "addon-degraded", suite: Nodes, severity: Error,
        title: "an EKS add-on is degraded",
        requires: [Workloads, EksAddons],
        uses: [Pods, Nodes, EksCluster, EksNodegroups, Events, PersistentVolumeClaims, StorageClasses, CsiDrivers],
    }
}

impl Check for AddonDegraded {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.workloads.covered(ebs::NAMESPACE)?;
        let addons = snap.eks_addons.as_deref().unwrap_or_default();
        let mut findings = Vec::new();
        for addon in addons {
            let parts = parts(snap, &addon.addon_name, Some(addon));
            findings.extend(Subject { snap, name: &addon.addon_name, addon: Some(addon), parts }.judge());
        }
        // A driver that was not installed as an add-on is somebody's own, but volumes hang on it.
        if !addons.iter().any(|a| a.addon_name == ebs::ADDON) {
            let parts = parts(snap, ebs::ADDON, None);
            if has_driver(&parts) {
                findings.extend(Subject { snap, name: ebs::ADDON, addon: None, parts }.judge());
            }
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
    /// Pods of a DaemonSet for Fargate nodes, which run none.
    on_fargate: usize,
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
        if self.young { 0 } else { short.saturating_sub(self.on_dead_nodes + self.on_fargate) }
    }

    /// Nothing of it works.
    fn is_down(&self) -> bool {
        self.workload.desired() > 0 && self.workload.ready() == 0 && self.missing() > 0
    }
}

fn parts<'a>(snap: &'a Snapshot, name: &str, addon: Option<&Addon>) -> Vec<Part<'a>> {
    addon::workloads(snap, name, addon).into_iter().map(|workload| part(snap, workload)).collect()
}

fn part<'a>(snap: &'a Snapshot, workload: &'a Workload) -> Part<'a> {
    let nodes = snap.nodes.items().unwrap_or_default();
    let dead: BTreeSet<&str> = nodes.iter().filter(|n| !n.is_ready()).map(|n| n.metadata.name.as_str()).collect();
    let pods = snap.pods_of_workload(workload);
    let unready = pods.filter(|p| !p.is_ready() && p.metadata.deletion_timestamp.is_none());
    let (on_fargate, unready): (Vec<&Pod>, Vec<&Pod>) = unready.partition(|p| for_fargate(p));
    let on_dead = |p: &&Pod| p.spec.node_name.as_deref().is_some_and(|n| dead.contains(n));
    let young = snap.age_seconds(&workload.metadata) < ROLLOUT
        || (!unready.is_empty() && unready.iter().all(|p| snap.age_seconds(&p.metadata) < ROLLOUT))
        // A node that has just joined has no pod yet.
        || (workload.kind == "DaemonSet" && unready.is_empty() && on_fargate.is_empty() && workload.ready() > 0);
    let on_dead_nodes = match workload.kind.as_str() {
        // A node that is off has a pod there that is not Ready, or none at all.
        "DaemonSet" => dead.len(),
        _ => unready.iter().filter(|p| on_dead(p)).count(),
    };
    Part {
        workload,
        unready: unready.into_iter().filter(|p| !on_dead(p)).collect(),
        on_dead_nodes,
        on_fargate: on_fargate.len(),
        young,
    }
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
        if counted && self.no_node_runs() {
            let what = format!(
                "is {status}: no node of the cluster is Ready, so that none of its pods runs ({})",
                self.told()
            );
            return Verdict { severity: Severity::Error, variant: "no-nodes", what };
        }
        let on_fargate: Vec<&str> =
            self.parts.iter().filter(|p| p.on_fargate > 0).map(|p| p.workload.metadata.name.as_str()).collect();
        if counted && !on_fargate.is_empty() && !self.is_short() {
            let what = format!(
                "is {status}: {} also {} pods on Fargate nodes, which run none of a DaemonSet: it tolerates every taint ({})",
                list(&on_fargate),
                if on_fargate.len() == 1 { "wants" } else { "want" },
                self.told()
            );
            return Verdict { severity: Severity::Warning, variant: "fargate", what };
        }
        let why = self.told();
        if status == "DEGRADED" && counted && !self.snap.nodes.is_whole() {
            let what = format!(
                "is {status} ({why}); whether its pods are missing on nodes that run cannot be told, for the nodes could \
                 not be read"
            );
            return Verdict { severity: Severity::Info, variant: "artefact", what };
        }
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

    /// What EKS says of it.
    fn told(&self) -> String {
        let issues = self.addon.map(|a| a.health.issues.as_slice()).unwrap_or_default();
        let all: Vec<String> = issues.iter().map(issue_text).collect();
        if all.is_empty() { "EKS gives no reason".to_owned() } else { all.join("; ") }
    }

    /// Nodes could be read, and none of them is Ready.
    fn no_node_runs(&self) -> bool {
        self.snap.nodes.is_whole() && !self.snap.nodes.items().unwrap_or_default().iter().any(|n| n.is_ready())
    }

    /// The add-on says nothing of it, or there is none: the workload itself is short of pods.
    fn short_of_pods(&self) -> Option<Verdict> {
        // Others are seen through what they break.
        if self.name != ebs::ADDON {
            return None;
        }
        // A DaemonSet counts the pods of nodes that are off.
        let can_tell = |p: &&Part<'_>| p.workload.kind != "DaemonSet" || self.snap.nodes.is_whole();
        let short: Vec<&Part<'_>> = self.parts.iter().filter(|p| p.missing() > 0).filter(can_tell).collect();
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
        let mut finding = Finding::new(AddonDegraded::META.id, severity, subject.clone(), format!("{who} {what}"))
            .breaks(subject)
            .key(format!("{} {variant}", self.name))
            .fix(variant);
        for part in &self.parts {
            if part.missing() > 0 || (variant == "fargate" && part.on_fargate > 0) {
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
        if variant == "no-nodes" {
            for group in self.snap.eks_nodegroups.iter().flatten() {
                finding = finding.depends_on(node_group::reference(group));
            }
            for node in self.snap.nodes.items().unwrap_or_default() {
                finding = finding.depends_on(ResourceRef::node(&node.metadata.name));
            }
        }
        // Its workload is what has the cause: an image, a crash, a place to run.
        for part in self.parts.iter().filter(|p| p.missing() > 0) {
            finding = finding.depends_on(part.reference());
        }
        // Pods that end on a node that is gone are missing until others take their place.
        for node in self.parts.iter().filter(|p| p.missing() > 0).flat_map(|p| lost_nodes(self.snap, p.workload)) {
            finding = finding.depends_on(ResourceRef::node(node));
        }
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
        let conflicts: Vec<Conflict> =
            self.addon.iter().flat_map(|a| &a.health.issues).flat_map(addon::conflicts).collect();
        let workload = self.parts.iter().find(|p| p.missing() > 0).or(self.parts.first());
        let (kind, name) =
            workload.map_or(("deployment", ""), |p| (lower(&p.workload.kind), p.workload.metadata.name.as_str()));
        let configuration = self.configuration(&conflicts);
        let role =
            self.addon.and_then(|a| a.service_account_role_arn.as_deref()).and_then(|arn| arn.rsplit('/').next());
        let policy = addon::policy(self.name).map(|name| format!("arn:{}:iam::aws:policy/{name}", place.partition));
        let mut objects: Vec<String> = conflicts.iter().map(|c| format!("{}/{}", c.kind, c.name)).collect();
        objects.dedup();
        // Its configuration has tolerations for all of its DaemonSets.
        let tolerations = self
            .addon
            .filter(|a| a.addon_name == "amazon-cloudwatch-observability")
            .and_then(|a| tolerations(self.snap, a));
        finding
            .param("addon", self.name)
            .param("cluster", &place.cluster)
            .param("region", &place.region)
            .param("kubernetes", cluster.map_or("<version>", |c| c.version.as_str()))
            .param("version", self.addon.map_or("", |a| a.addon_version.as_str()))
            .param("is_addon", self.addon.is_some())
            .param("role", role)
            .param("policy_arn", policy)
            .param("namespace", addon::namespace(self.name))
            .param("target", format!("{kind}/{name}"))
            .param("has_target", !name.is_empty())
            .param(
                "targets",
                self.parts
                    .iter()
                    .map(|p| format!("{}/{}", lower(&p.workload.kind), p.workload.metadata.name))
                    .collect::<Vec<_>>(),
            )
            .param(
                "pods",
                self.parts.iter().flat_map(|p| &p.unready).map(|p| p.metadata.name.as_str()).collect::<Vec<_>>(),
            )
            .param("has_pods", self.parts.iter().any(|p| !p.unready.is_empty()))
            .param("configuration", configuration.as_deref().unwrap_or_default())
            .param("has_configuration", configuration.is_some())
            .param("kept", kept(self.addon))
            .param("kept_role", kept_role(self.addon))
            .param("status", self.addon.map_or("", |a| a.status.as_str()))
            .param("objects", objects)
            .param(
                "fields",
                conflicts.iter().map(|c| format!("{} {} {}", c.kind, c.name, c.field)).collect::<Vec<_>>().join(", "),
            )
            .param("saved", format!("{}-before.yaml", self.name))
            .param("tolerations", tolerations)
            .param(
                "daemon_sets",
                self.parts
                    .iter()
                    .filter(|p| p.on_fargate > 0)
                    .map(|p| format!("daemonset/{}", p.workload.metadata.name))
                    .collect::<Vec<_>>(),
            )
    }

    /// The add-on's configuration with the values that its DaemonSet has now, where all that is in conflict can be put there.
    fn configuration(&self, conflicts: &[Conflict]) -> Option<String> {
        if self.name != "vpc-cni" || conflicts.is_empty() {
            return None;
        }
        let mut env = serde_json::Map::new();
        for name in conflicts.iter().map(conflicting_env) {
            env.insert(name?.to_owned(), self.env_value(name?)?.into());
        }
        addon::with_values(self.addon, &serde_json::json!({"env": env}))
    }

    /// What a variable of the workload is set to, where it may be read.
    fn env_value(&self, name: &str) -> Option<&str> {
        let containers = self.parts.iter().flat_map(|p| &p.workload.spec.template.spec.containers);
        let mut env = containers.flat_map(|c| &c.env).filter(|e| e.name == name);
        env.find_map(|e| e.value.as_deref())
    }
}

/// Nodes that are not Ready, with pods of a workload.
fn lost_nodes<'a>(snap: &'a Snapshot, workload: &'a Workload) -> BTreeSet<&'a str> {
    let nodes = snap.nodes.items().unwrap_or_default();
    let is_lost = |name: &&str| nodes.iter().any(|n| n.metadata.name == *name && !n.is_ready());
    snap.pods_of_workload(workload).filter_map(|p| p.spec.node_name.as_deref()).filter(is_lost).collect()
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

/// The variable that a conflict is about: `….env[name="ENABLE_PREFIX_DELEGATION"].value`.
fn conflicting_env(conflict: &Conflict) -> Option<&str> {
    let rest = conflict.field.split_once(".env[name=\"")?.1;
    rest.split_once('"').map(|(name, _)| name)
}

fn list(names: &[&str]) -> String {
    match names {
        [one] => format!("DaemonSet {one}"),
        many => format!("DaemonSets {}", many.join(", ")),
    }
}

/// Configuration values that have the add-on's DaemonSets tolerate the taints of the nodes that are there, and no more: the
/// ones that it has already are kept.
fn tolerations(snap: &Snapshot, addon: &Addon) -> Option<String> {
    let text = addon.configuration_values.as_deref().unwrap_or("{}");
    let mut values: serde_json::Value = serde_json::from_str(if text.trim().is_empty() { "{}" } else { text }).ok()?;
    let nodes = snap.nodes.items().unwrap_or_default().iter().filter(|n| !n.is_fargate());
    let keys: BTreeSet<&str> = nodes.flat_map(|n| &n.spec.taints).map(|t| t.key.as_str()).collect();
    let own = keys.into_iter().filter(|k| scheduling::signal(k).is_none());
    let list: Vec<serde_json::Value> = own.map(|key| serde_json::json!({"key": key, "operator": "Exists"})).collect();
    values.as_object_mut()?.insert("tolerations".into(), list.into());
    Some(values.to_string())
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
