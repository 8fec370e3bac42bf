//! An EKS add-on that the stack needs is degraded, or the EBS CSI driver's own pods are not ready.

mod fix;
mod part;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use crate::checks::support::place::Place;
use crate::checks::{Check, check};
use crate::domain::aws::addon::issue_text;
use crate::domain::aws::addon_part::{Part, parts};
use crate::domain::aws::ebs;
use crate::domain::aws::node_group;
use crate::domain::kubernetes::{not_created, webhooks};
use crate::domain::text::shorten::shorten;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::aws::{Addon, HealthIssue};
use crate::snapshot::{Platform, Snapshot};
use fix::Fix;
use part::{has_driver, lost_nodes, part_evidence, unanswered};

/// Seconds for which an add-on may be in the making or changing.
const WORKING: i64 = 20 * 60;

check! {
    /// See the check's page.
    AddonDegraded {
        id: "addon-degraded", suite: Nodes, severity: Error,
        title: "an EKS add-on is degraded",
        requires: [Workloads, EksAddons],
        uses: [Pods, Nodes, EksCluster, EksNodegroups, Events, PersistentVolumeClaims, StorageClasses, CsiDrivers, Webhooks,
            PodIdentityAssociations, IamOidcProviders, ServiceAccounts],
        fix: Fix,
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

struct Subject<'a> {
    snap: &'a Snapshot,
    name: &'a str,
    addon: Option<&'a Addon>,
    parts: Vec<Part<'a>>,
}

/// What is to be said of an add-on.
struct Verdict {
    severity: Severity,
    cause: Cause,
    what: String,
}

/// Why an add-on is not well.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Somebody else keeps a field that EKS wants to set.
    Conflict,
    /// EKS may not change its objects.
    Access,
    /// It may not do what it has to do in AWS.
    Permission,
    /// It lacks pods.
    Replicas,
    /// The API server makes none of the pods that it lacks.
    Refused,
    /// Its version does not fit the cluster's.
    Version,
    /// An object as this version writes it is refused: it is not valid here, or cannot be changed into it.
    Objects,
    /// An admission webhook refuses its objects.
    Admission,
    /// An admission webhook that is asked about its objects cannot be called.
    Webhook,
    /// It needs cert-manager, which is not installed.
    CertManager,
    /// EKS would give it rights that EKS itself does not have.
    Rights,
    /// An object of it was deleted.
    ResourceMissing,
    /// EKS failed of its own.
    Retry,
    /// No node is Ready.
    NoNodes,
    /// Its DaemonSets want pods on Fargate nodes.
    Fargate,
    /// It has been in the making or changing for too long.
    Stuck,
    /// It could not be deleted.
    Delete,
    /// Nothing is wrong with its pods.
    Artefact,
    /// EKS gives no reason, or one that is not known.
    Other,
}

impl Subject<'_> {
    fn judge(&self) -> Option<Finding> {
        let verdict = match self.addon.map(|a| a.status.as_str()) {
            Some(status) if is_failed(status) => self.failed(status),
            Some(status @ ("CREATING" | "UPDATING" | "DELETING")) if self.is_stuck() => Verdict {
                severity: if self.is_short() { Severity::Error } else { Severity::Warning },
                cause: Cause::Stuck,
                what: format!("has been {status} for more than {} minutes", WORKING / 60),
            },
            _ => self.short_of_pods()?,
        };
        Some(self.finding(self.unready(self.refused(verdict))))
    }

    /// Where pods are not even made, that is why they are not ready.
    fn refused(&self, verdict: Verdict) -> Verdict {
        let counted = matches!(verdict.cause, Cause::Replicas | Cause::Stuck | Cause::Other);
        let Some((part, said)) = self.not_made().filter(|_| counted) else { return verdict };
        let said = shorten(said.lines().next().unwrap_or_default(), 250);
        let what = format!("{}; the API server makes no pods of {}: {said}", verdict.what, part.reference());
        Verdict { cause: Cause::Refused, what, ..verdict }
    }

    /// Where its pods run and a probe is not answered, that is why they do not count.
    fn unready(&self, verdict: Verdict) -> Verdict {
        let counted = verdict.cause == Cause::Replicas;
        let mut pods = self.parts.iter().filter(|p| counted && p.missing() > 0).flat_map(|p| &p.unready);
        let told = pods.find_map(|p| Some((p, unanswered(self.snap, p)?)));
        let Some((pod, event)) = told else { return verdict };
        let said = shorten(event.message.trim(), 250);
        Verdict {
            what: format!("{}; pod {} runs and is not ready: {said}", verdict.what, pod.metadata.name),
            ..verdict
        }
    }

    /// A workload of which pods are missing that nobody made, and what is said of it.
    fn not_made(&self) -> Option<(&Part<'_>, &str)> {
        let lacks = |p: &&Part<'_>| p.missing() > p.unready.len();
        self.parts.iter().filter(lacks).find_map(|p| Some((p, not_created::said(self.snap, p.workload)?)))
    }

    fn is_short(&self) -> bool {
        self.parts.iter().any(|p| p.missing() > 0)
    }

    /// An add-on whose workload is there and has all its pods, save those of nodes that are off.
    fn works(&self) -> bool {
        !self.parts.is_empty() && !self.is_short()
    }

    fn is_rolling(&self) -> bool {
        self.parts.iter().any(Part::is_rolling)
    }

    fn is_stuck(&self) -> bool {
        let since = self.addon.and_then(|a| a.modified_at.as_deref()).and_then(|t| t.parse::<Timestamp>().ok());
        since.is_some_and(|t| self.snap.seconds_since(t) > WORKING)
    }

    fn failed(&self, status: &str) -> Verdict {
        let issues = self.addon.map(|a| a.health.issues.as_slice()).unwrap_or_default();
        let named = issues.iter().map(cause_of).find(|c| *c != Cause::Other).unwrap_or(Cause::Other);
        let counted = matches!(named, Cause::Replicas | Cause::Other);
        if counted && self.no_node_runs() {
            let what = format!(
                "is {status}: no node of the cluster is Ready, so that none of its pods runs ({})",
                self.told()
            );
            return Verdict { severity: Severity::Error, cause: Cause::NoNodes, what };
        }
        let on_fargate: Vec<&str> =
            self.parts.iter().filter(|p| p.on_fargate > 0).map(|p| p.workload.metadata.name.as_str()).collect();
        if counted && !on_fargate.is_empty() && !self.is_short() {
            let what = format!(
                "is {status}: {} also {} pods on Fargate nodes, which run none of a DaemonSet: {} every taint ({})",
                list(&on_fargate),
                if on_fargate.len() == 1 { "wants" } else { "want" },
                if on_fargate.len() == 1 { "it tolerates" } else { "they tolerate" },
                self.told()
            );
            return Verdict { severity: Severity::Warning, cause: Cause::Fargate, what };
        }
        let why = self.told();
        if status == "DEGRADED" && counted && !self.snap.nodes.is_whole() {
            let what = format!(
                "is {status} ({why}); whether its pods are missing on nodes that run cannot be told, for the nodes could \
                 not be read"
            );
            return Verdict { severity: Severity::Info, cause: Cause::Artefact, what };
        }
        if status == "DEGRADED" && counted && self.works() && self.is_rolling() {
            let what =
                format!("is {status} ({why}); pods of it were made within the last minutes, and are on their way");
            return Verdict { severity: Severity::Info, cause: Cause::Artefact, what };
        }
        // EKS counts the pods of nodes that are off, of warm pools for example: that is no fault of the driver.
        if status == "DEGRADED" && counted && self.works() {
            let what = format!("is {status} ({why}), but its pods are ready on every node that runs");
            return Verdict { severity: Severity::Info, cause: Cause::Artefact, what };
        }
        let severity = if self.works() { Severity::Warning } else { Severity::Error };
        let cause = match named {
            _ if status == "DELETE_FAILED" => Cause::Delete,
            Cause::Other if self.is_short() => Cause::Replicas,
            named => named,
        };
        Verdict { severity, cause, what: format!("is {status}: {why}") }
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
        Some(Verdict { severity, cause: Cause::Replicas, what })
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
        let Verdict { severity, cause, what } = verdict;
        let mut finding = Finding::new(AddonDegraded::META.id, severity, subject.clone(), format!("{who} {what}"))
            .breaks(subject)
            .rank(rank(self.name))
            .fix(Fix::of(self, cause, &place));
        finding.key = format!("{} {}", self.name, finding.variant);
        for part in &self.parts {
            if part.missing() > 0 || (cause == Cause::Fargate && part.on_fargate > 0) {
                finding = finding.breaks(part.reference());
            }
            finding = finding.evidence(part_evidence(self.snap, part));
        }
        if self.name == ebs::ADDON && (self.is_short() || severity == Severity::Error) {
            finding = finding.breaks(ResourceRef::csi_driver(ebs::DRIVER));
        }
        if self.name == "coredns" && self.parts.iter().any(Part::is_down) {
            finding = finding.breaks(ResourceRef::service(ebs::NAMESPACE, "kube-dns"));
        }
        finding = self.causes(finding, cause);
        if let Some(addon) = self.addon {
            finding = finding.evidence(addon_evidence(addon, &place));
        }
        finding
    }

    /// What would explain it: pods that find no node, credentials that do not work.
    fn causes(&self, mut finding: Finding, cause: Cause) -> Finding {
        if cause == Cause::NoNodes {
            for group in self.snap.eks_nodegroups.iter().flatten() {
                finding = finding.depends_on(node_group::reference(group));
            }
            for node in self.snap.nodes.items().unwrap_or_default() {
                finding = finding.depends_on(ResourceRef::node(&node.metadata.name));
            }
        }
        // A webhook that cannot be called keeps others out, too.
        for issue in self.addon.iter().flat_map(|a| &a.health.issues) {
            for webhook in webhooks::blamed(self.snap, &issue.message) {
                finding = finding.depends_on(webhook);
            }
        }
        // Its workload is what has the cause: an image, a crash, a place to run.
        for part in self.parts.iter().filter(|p| p.missing() > 0) {
            finding = finding.depends_on(part.reference());
        }
        if let Some((_, said)) = self.not_made().filter(|_| cause == Cause::Refused) {
            finding = webhooks::blamed(self.snap, said).into_iter().fold(finding, Finding::depends_on);
        }
        // Pods that end on a node that is gone are missing until others take their place.
        for node in self.parts.iter().filter(|p| p.missing() > 0).flat_map(|p| lost_nodes(self.snap, p.workload)) {
            finding = finding.depends_on(ResourceRef::node(node));
        }
        for pod in self.parts.iter().flat_map(|p| &p.unready) {
            finding = finding.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
        }
        let credentials = matches!(cause, Cause::Permission | Cause::Access) || self.is_refused();
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
}

/// Pods need the network and names before all else.
fn rank(addon: &str) -> u8 {
    match addon {
        "vpc-cni" => 0,
        "kube-proxy" => 1,
        "coredns" => 2,
        ebs::ADDON => 3,
        _ => u8::MAX,
    }
}

fn is_failed(status: &str) -> bool {
    matches!(status, "DEGRADED" | "CREATE_FAILED" | "UPDATE_FAILED" | "DELETE_FAILED")
}

/// The cause that a code of EKS' add-on health names.
fn cause_of(issue: &HealthIssue) -> Cause {
    let said = |part: &str| issue.message.contains(part);
    match issue.code.as_str() {
        "AccessDenied" if said("attempting to grant RBAC permissions not currently held") => Cause::Rights,
        "AdmissionRequestDenied" if said("cert-manager is not installed") => Cause::CertManager,
        "AdmissionRequestDenied" if said("failed calling webhook") => Cause::Webhook,
        "ConfigurationConflict" => Cause::Conflict,
        "AccessDenied" => Cause::Access,
        "AddonPermissionFailure" => Cause::Permission,
        "InsufficientNumberOfReplicas" => Cause::Replicas,
        "UnsupportedAddonVersion" => Cause::Version,
        "UnsupportedAddonModification" => Cause::Objects,
        "AdmissionRequestDenied" => Cause::Admission,
        "K8sResourceNotFound" => Cause::ResourceMissing,
        "ClusterUnreachable" | "InternalFailure" => Cause::Retry,
        _ => Cause::Other,
    }
}

fn list(names: &[&str]) -> String {
    match names {
        [one] => format!("DaemonSet {one}"),
        many => format!("DaemonSets {}", many.join(", ")),
    }
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
        "aws eks describe-addon --cluster-name {{ cluster }} --addon-name {{ addon }} --query 'addon.[status,health]'",
    )
    .with("cluster", &place.cluster)
    .with("addon", &addon.addon_name)
}
