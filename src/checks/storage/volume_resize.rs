//! A claim asks for more than its volume has, and it does not grow.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::place::Place;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::denied::{By, Denied};
use crate::domain::aws::ebs;
use crate::domain::kubernetes::claims;
use crate::domain::text::windows::GRACE;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Event, PersistentVolumeClaim, StorageClass};
use crate::snapshot::{Snapshot, parse_quantity};

check! {
    /// See the check's page.
    VolumeResize {
        id: "volume-resize", suite: Storage, severity: Warning,
        title: "a volume does not grow to the size that is asked for",
        requires: [PersistentVolumeClaims],
        uses: [StorageClasses, PersistentVolumes, Events, Pods, Workloads, EksCluster],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Cooldown {
        #[serde(flatten)]
        of: Of,
        volume_id: String,
    },
    FileSystem {
        #[serde(flatten)]
        of: Of,
        pods: Vec<String>,
    },
    Denied {
        #[serde(flatten)]
        of: Of,
        /// The role that asked, and the policy that lets it; empty where AWS does not name it, and where a deny stands above it.
        role: String,
        policy_arn: String,
    },
    NotExpandable {
        #[serde(flatten)]
        of: Of,
        class: String,
    },
    Template {
        #[serde(flatten)]
        of: Of,
        patch: String,
    },
    Stuck {
        #[serde(flatten)]
        of: Of,
        is_ebs: bool,
    },
}

/// The claim.
#[derive(Serialize, JsonSchema)]
struct Of {
    namespace: String,
    claim: String,
}

impl From<&PersistentVolumeClaim> for Of {
    fn from(claim: &PersistentVolumeClaim) -> Self {
        Self { namespace: claim.metadata.namespace.clone(), claim: claim.metadata.name.clone() }
    }
}

impl Check for VolumeResize {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let claims = snap.persistent_volume_claims()?.iter();
        let own = claims.filter(|c| {
            snap.scope.is_stack(&c.metadata.namespace)
                && c.status.phase == "Bound"
                && c.metadata.deletion_timestamp.is_none()
        });
        let found = own.filter_map(|claim| growing(snap, claim).or_else(|| template(snap, claim)));
        Ok(Diagnosis::Findings(found.collect()))
    }
}

fn bytes(size: &str) -> Option<f64> {
    parse_quantity(size)
}

fn asked(claim: &PersistentVolumeClaim) -> &str {
    claim.spec.resources.requests.get("storage").map_or("", String::as_str)
}

/// It asks for more than it has.
fn growing(snap: &Snapshot, claim: &PersistentVolumeClaim) -> Option<Finding> {
    let has = claim.status.capacity.get("storage")?;
    let condition = |kind: &str| claim.status.conditions.iter().find(|c| c.kind == kind && c.status == "True");
    let waits = condition("FileSystemResizePending");
    if bytes(asked(claim))? <= bytes(has)? && waits.is_none() {
        return None;
    }
    let since = waits.or(condition("Resizing")).and_then(|c| c.last_transition_time);
    if since.is_some_and(|t| snap.seconds_since(t) < GRACE * 5) {
        return None;
    }
    let class = claims::class_of(snap, claim).ok().flatten();
    let events = claims::events(snap, claim);
    let failed =
        events.iter().find(|e| matches!(e.reason.as_str(), "VolumeResizeFailed" | "VolumeModifyFailed")).copied();
    let (fix, why) = explain(snap, claim, class, failed, waits.is_some());
    let name = format!("{}/{}", claim.metadata.namespace, claim.metadata.name);
    let message = format!("PersistentVolumeClaim {name} asks for {} and has {has}: {why}", asked(claim));
    let mut made = finding(claim, message, "growing").fix(fix).evidence(claim_evidence(claim, has));
    if let Some(event) = failed {
        made = made.evidence(event_evidence(event));
        if claims::ProvisioningCause::classify(&event.message).is_iam() {
            made = made.depends_on(ebs::credentials_ref(snap));
        }
    }
    Some(made)
}

fn explain(
    snap: &Snapshot,
    claim: &PersistentVolumeClaim,
    class: Option<&StorageClass>,
    failed: Option<&Event>,
    file_system: bool,
) -> (Fix, String) {
    let of = Of::from(claim);
    let message = failed.map(|e| e.message.as_str()).unwrap_or_default();
    if message.contains("VolumeModificationRateExceeded") || message.contains("maximum modification rate") {
        let volumes = snap.persistent_volumes.items().unwrap_or_default();
        let volume = volumes.iter().find(|v| Some(&v.metadata.name) == claim.spec.volume_name.as_ref());
        let id = volume.and_then(|v| v.ebs_id()).unwrap_or("<volume-id>").to_owned();
        let why =
            "EBS takes no further change of its volume yet, so soon after the last; the driver tries again by itself";
        return (Fix::Cooldown { of, volume_id: id }, why.to_owned());
    }
    if let Some(denied) = Denied::read(message) {
        let role = denied.role().unwrap_or_default().to_owned();
        // What the nodes' role gets, all pods get.
        let of_node = denied.is_of_node();
        let of_ec2 = denied.action.as_deref().is_none_or(|a| a.starts_with("ec2:"));
        let allows = !of_node && of_ec2 && matches!(denied.by, By::NoIdentityPolicy | By::Unknown);
        let policy_arn = if allows { Place::of(snap).policy_arn(ebs::POLICY) } else { String::new() };
        let what = denied.action.unwrap_or_else(|| "ec2:ModifyVolume".to_owned());
        return (Fix::Denied { of, role, policy_arn }, format!("the driver may not {what}"));
    }
    if let Some(class) = class.filter(|c| c.allow_volume_expansion != Some(true)) {
        let why = format!("its class {} does not allow it (allowVolumeExpansion)", class.metadata.name);
        return (Fix::NotExpandable { of, class: class.metadata.name.clone() }, why);
    }
    if file_system {
        let namespace = &claim.metadata.namespace;
        let pods = snap.pods.items().unwrap_or_default().iter().filter(|p| p.metadata.namespace == *namespace);
        let users = pods.filter(|p| !p.is_finished() && p.claims().any(|c| c == claim.metadata.name));
        let pods: Vec<String> = users.map(|p| p.metadata.name.clone()).collect();
        let why = match pods.as_slice() {
            [] => "the volume has grown, and its file system grows when a pod mounts it".to_owned(),
            [one, ..] => format!("the volume has grown, and the file system that pod {one} has mounted did not"),
        };
        return (Fix::FileSystem { of, pods }, why);
    }
    let is_ebs = class.is_some_and(|c| ebs::serves(&c.provisioner));
    let why = message.lines().next().filter(|l| !l.is_empty()).map_or_else(
        || "nobody has worked on it; the csi-resizer beside the driver does".to_owned(),
        |l| l.chars().take(300).collect(),
    );
    (Fix::Stuck { of, is_ebs }, why)
}

/// The template that made it asks for more: templates make new claims and change none.
fn template(snap: &Snapshot, claim: &PersistentVolumeClaim) -> Option<Finding> {
    let (set, template) = claims::maker(snap, claim)?;
    let wanted = asked(template);
    if bytes(wanted)? <= bytes(asked(claim))? {
        return None;
    }
    let name = format!("{}/{}", claim.metadata.namespace, claim.metadata.name);
    let message = format!(
        "PersistentVolumeClaim {name} has {}, although the template of {} asks for {wanted}: a template makes new claims and changes none",
        asked(claim),
        set.reference()
    );
    let patch = json!({"spec": {"resources": {"requests": {"storage": wanted}}}}).to_string();
    let made = finding(claim, message, "template").fix(Fix::Template { of: claim.into(), patch });
    Some(made.evidence(claim_evidence(claim, asked(claim))))
}

fn finding(claim: &PersistentVolumeClaim, message: String, key: &str) -> Finding {
    let own = ResourceRef::pvc(&claim.metadata.namespace, &claim.metadata.name);
    let key = format!("{} {key}", own.key());
    Finding::new(VolumeResize::META.id, Severity::Warning, own, message).key(key).breaks_nothing()
}

fn claim_evidence(claim: &PersistentVolumeClaim, has: &str) -> Evidence {
    let conditions: Vec<&str> =
        claim.status.conditions.iter().filter(|c| c.status == "True").map(|c| c.kind.as_str()).collect();
    let conditions = if conditions.is_empty() { "none".to_owned() } else { conditions.join(", ") };
    Evidence::new(
        format!("PersistentVolumeClaim {}/{}", claim.metadata.namespace, claim.metadata.name),
        format!("requests {}, has {has}; conditions: {conditions}", asked(claim)),
        "kubectl describe pvc {{ name }} -n {{ namespace }}",
    )
    .with("namespace", &claim.metadata.namespace)
    .with("name", &claim.metadata.name)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;

    fn snap(asked: &str, has: &str, conditions: Value, events: Value, expandable: bool) -> Snapshot {
        let mut snap = snapshot(json!({"events": events}));
        snap.persistent_volume_claims = Listing::cluster(
            serde_json::from_value(json!([{"metadata": {"name": "data", "namespace": "monitoring"},
                "spec": {"storageClassName": "gp3", "volumeName": "pv-1", "resources": {"requests": {"storage": asked}}},
                "status": {"phase": "Bound", "capacity": {"storage": has}, "conditions": conditions}}]))
            .expect("a claim"),
        );
        snap.storage_classes = Listing::cluster(
            serde_json::from_value(json!([{"metadata": {"name": "gp3"}, "provisioner": "ebs.csi.aws.com",
                "allowVolumeExpansion": expandable}]))
            .expect("a class"),
        );
        snap
    }

    fn event(message: &str) -> Value {
        json!([{"reason": "VolumeResizeFailed", "message": message, "lastTimestamp": "2026-11-21T01:59:00Z",
            "involvedObject": {"kind": "PersistentVolumeClaim", "namespace": "monitoring", "name": "data"}}])
    }

    #[test]
    fn what_has_its_size_is_quiet() {
        assert!(findings(&VolumeResize, &snap("50Gi", "50Gi", json!([]), json!([]), true)).is_empty());
        let young = json!([{"type": "Resizing", "status": "True", "lastTransitionTime": "2026-11-21T01:59:00Z"}]);
        assert!(findings(&VolumeResize, &snap("60Gi", "50Gi", young, json!([]), true)).is_empty());
    }

    #[test]
    fn each_reason_has_its_fix() {
        let rate = "resize volume \"pv-1\" failed: VolumeModificationRateExceeded: You've reached the maximum modification rate per volume limit.";
        let found = findings(&VolumeResize, &snap("60Gi", "50Gi", json!([]), event(rate), true));
        assert!(found[0].message.contains("so soon after the last"), "{}", found[0].message);
        let found = findings(&VolumeResize, &snap("60Gi", "50Gi", json!([]), json!([]), false));
        assert!(steps(&found[0]).contains("kubectl patch storageclass gp3"), "{}", steps(&found[0]));
        let pending = json!([{"type": "FileSystemResizePending", "status": "True", "lastTransitionTime": "2026-11-21T00:59:00Z"}]);
        let found = findings(&VolumeResize, &snap("60Gi", "50Gi", pending, json!([]), true));
        assert!(found[0].message.contains("grows when a pod mounts it"), "{}", found[0].message);
    }
}
