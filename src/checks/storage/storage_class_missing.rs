//! A claim, a StatefulSet, an operator resource or a manifest of one names a StorageClass that does not exist.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::claims::{ClassChange, Waiting, claim_evidence};
use crate::checks::support::pipeline::release_ref;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::ebs;
use crate::domain::kubernetes::claim_templates::{self, Template};
use crate::domain::kubernetes::claims;
use crate::domain::kubernetes::leftovers;
use crate::domain::manifests::values;
use crate::lint::yaml::Node;
use crate::lint::{self, Place};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Location, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{PersistentVolumeClaim, StorageClass, annotation};
use crate::snapshot::manifests::ManifestFile;

check! {
    /// See the check's page.
    StorageClassMissing {
        id: "storage-class-missing", suite: Storage, severity: Error,
        title: "a StorageClass that is asked for does not exist",
        requires: [StorageClasses, PersistentVolumeClaims],
        uses: [Workloads, MonitoringResources, PersistentVolumes, Events, EksCluster, Manifests, HelmReleases, Services],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Create {
        class: String,
        provisioner: String,
        volume_type: &'static str,
        #[serde(flatten)]
        claims: Waiting,
    },
    CreateOrUse {
        class: String,
        provisioner: String,
        volume_type: &'static str,
        existing: String,
        #[serde(flatten)]
        claims: Waiting,
        #[serde(flatten)]
        change: ClassChange,
    },
    UseExisting {
        #[serde(flatten)]
        claims: Waiting,
        #[serde(flatten)]
        change: ClassChange,
    },
    CreateOther {
        class: String,
        provisioner: String,
    },
}

impl Fix {
    /// `known`: the classes that there are, where they could be read.
    fn of(snap: &Snapshot, known: Option<&[StorageClass]>, name: &str, claims: &[&PersistentVolumeClaim]) -> Self {
        let classes = known.unwrap_or_default();
        let class = name.to_owned();
        let waiting = Waiting::of(claims);
        let existing = best(classes).unwrap_or("<storage-class>").to_owned();
        let change = || ClassChange::of(snap, claims, &existing);
        // Volumes that were made of it tell who made them.
        if !classes.is_empty()
            && let Some(provisioner) = made_of(snap, name).map(|(driver, _)| driver).filter(|d| ebs::serves(d))
        {
            let (volume_type, change) = (volume_type(name).unwrap_or("gp3"), change());
            return Self::CreateOrUse { class, provisioner, volume_type, existing, claims: waiting, change };
        }
        match (provisioner(snap, classes), volume_type(name)) {
            (Some(provisioner), of_name) if classes.is_empty() => {
                Self::Create { class, provisioner, volume_type: of_name.unwrap_or("gp3"), claims: waiting }
            }
            (Some(provisioner), Some(volume_type)) => {
                let change = change();
                Self::CreateOrUse { class, provisioner, volume_type, existing, claims: waiting, change }
            }
            (provisioner, _) if classes.is_empty() && known.is_some() => {
                Self::CreateOther { class, provisioner: provisioner.unwrap_or_else(|| "<provisioner>".into()) }
            }
            _ => Self::UseExisting { claims: waiting, change: change() },
        }
    }
}

/// Who names a missing class.
#[derive(Default)]
struct Users<'a> {
    claims: Vec<&'a PersistentVolumeClaim>,
    owners: Vec<ResourceRef>,
    manifests: Vec<Written<'a>>,
}

/// A manifest that names a class.
struct Written<'a> {
    file: &'a ManifestFile,
    /// Where the class is named.
    place: Place,
    object: ResourceRef,
}

impl Check for StorageClassMissing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let (classes, missing) = match snap.storage_classes() {
            Ok(classes) => (Some(classes), missing(snap, classes)?),
            // Whoever may not list the classes still sees what the events say of them.
            Err(gap) => match by_events(snap)? {
                told if told.is_empty() => return Err(gap),
                told => (None, told),
            },
        };
        Ok(Diagnosis::Findings(missing.into_iter().map(|(name, users)| finding(snap, classes, name, &users)).collect()))
    }
}

fn missing<'a>(snap: &'a Snapshot, classes: &[StorageClass]) -> Result<BTreeMap<&'a str, Users<'a>>, Gap> {
    let exists = |name: &str| classes.iter().any(|c| c.metadata.name == name);
    let mut found: BTreeMap<&str, Users<'_>> = BTreeMap::new();
    for claim in claims::pending(snap)? {
        match claim.class() {
            // A claim that names its volume needs no class.
            Some(name)
                if !name.is_empty()
                    && !exists(name)
                    && claim.spec.volume_name.as_deref().unwrap_or_default().is_empty()
                    && !claims::has_static_volume(snap, claim, name) =>
            {
                found.entry(name).or_default().claims.push(claim);
            }
            _ => {}
        }
    }
    for Template { owner, class } in claim_templates::of_stack(snap) {
        let Some(name) = class.filter(|c| !c.is_empty() && !exists(c)) else { continue };
        if !claims::has_available_volume(snap, name) {
            found.entry(name).or_default().owners.push(owner);
        }
    }
    let made: Vec<&str> =
        snap.manifest_objects("storage.k8s.io", "StorageClass").map(|(_, o)| o.name.as_str()).collect();
    for (name, written) in manifests(snap) {
        // What is applied together with its class is well.
        if !exists(name) && !made.contains(&name) && !claims::has_available_volume(snap, name) {
            found.entry(name).or_default().manifests.push(written);
        }
    }
    Ok(found)
}

/// Classes that, by the last word on a claim, do not exist.
fn by_events(snap: &Snapshot) -> Result<BTreeMap<&str, Users<'_>>, Gap> {
    let mut found: BTreeMap<&str, Users<'_>> = BTreeMap::new();
    for claim in claims::pending(snap)? {
        if let Some(class) = claim.class().filter(|_| claims::class_not_found(snap, claim).is_some()) {
            found.entry(class).or_default().claims.push(claim);
        }
    }
    Ok(found)
}

/// Classes that manifests name, of objects that do not work yet.
fn manifests(snap: &Snapshot) -> Vec<(&str, Written<'_>)> {
    const CLAIM: &[&str] = &["spec", "storageClassName"];
    let bound = |namespace: &str, name: &str| {
        let all = snap.persistent_volume_claims.items().unwrap_or_default().iter();
        let mut same =
            all.filter(|c| c.metadata.name == name && (namespace.is_empty() || c.metadata.namespace == namespace));
        same.any(|c| c.status.phase == "Bound")
    };
    let mut found = Vec::new();
    for (group, kind) in [
        ("", "PersistentVolumeClaim"),
        ("apps", "StatefulSet"),
        ("monitoring.coreos.com", "Prometheus"),
        ("monitoring.coreos.com", "Alertmanager"),
    ] {
        for (file, object) in snap.manifest_objects(group, kind) {
            let claims: Vec<&Node> = match kind {
                "PersistentVolumeClaim" if bound(&object.namespace, &object.name) => Vec::new(),
                "PersistentVolumeClaim" => vec![&object.node],
                "StatefulSet" => object
                    .node
                    .at(&["spec", "volumeClaimTemplates"])
                    .and_then(Node::items)
                    .map(|i| i.iter().collect())
                    .unwrap_or_default(),
                _ => object.node.at(&["spec", "storage", "volumeClaimTemplate"]).into_iter().collect(),
            };
            for claim in claims {
                let Some(node) = claim.at(CLAIM) else { continue };
                // A claim that names its volume needs no class.
                let Some(class) =
                    node.as_str().filter(|c| !c.is_empty() && claim.at(&["spec", "volumeName"]).is_none())
                else {
                    continue;
                };
                let object = ResourceRef::kubernetes(group, kind, &object.namespace, &object.name);
                found.push((class, Written { file, place: node.place, object }));
            }
        }
    }
    for file in snap.manifests.items().unwrap_or_default() {
        for values in values::all(file) {
            let object = match values.object {
                Some(o) => ResourceRef::kubernetes(o.group(), &o.kind, &o.namespace, &o.name),
                None => ResourceRef::file(&file.path, values.path),
            };
            in_values(values.node, &mut |class, place| {
                found.push((class, Written { file, place, object: object.clone() }))
            });
        }
    }
    found
}

/// Classes that Helm values ask for, of what is not switched off.
fn in_values<'a>(node: &'a Node, say: &mut dyn FnMut(&'a str, Place)) {
    if node.get("enabled").and_then(Node::as_str) == Some("false") {
        return;
    }
    for (key, value) in node.entries().unwrap_or_default() {
        match (key.as_str(), value.as_str()) {
            // Charts take `-` for the empty class.
            (Some("storageClassName" | "storageClass"), Some(class)) if !class.is_empty() && class != "-" => {
                say(class, value.place);
            }
            _ => in_values(value, say),
        }
    }
    node.items().unwrap_or_default().iter().for_each(|item| in_values(item, say));
}

/// `known`: the classes that there are, where they could be read.
fn finding(snap: &Snapshot, known: Option<&[StorageClass]>, name: &str, users: &Users<'_>) -> Finding {
    let classes = known.unwrap_or_default();
    let have: Vec<&str> = classes.iter().map(|c| c.metadata.name.as_str()).collect();
    let who = match (users.claims.as_slice(), users.owners.as_slice()) {
        ([], []) => {
            let asks = if users.manifests.len() == 1 { "asks" } else { "ask" };
            let places: Vec<String> =
                users.manifests.iter().map(|m| format!("{} ({}:{})", m.object, m.file.path, m.place.line)).collect();
            format!("{} {asks} for it", places.join(", "))
        }
        ([], [owner]) => format!("{owner} asks for it"),
        ([], owners) => format!("{} ask for it", owners.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        ([one], _) => format!("PersistentVolumeClaim {}/{} asks for it", one.metadata.namespace, one.metadata.name),
        (many, _) => format!("{} PersistentVolumeClaims ask for it", many.len()),
    };
    let there = if known.is_none() {
        "says the event, and the classes cannot be listed".to_owned()
    } else if have.is_empty() {
        "there is none".to_owned()
    } else {
        format!("there is {}", have.join(", "))
    };
    // Where the classes are not known, it may be there.
    let was = match known.and_then(|_| made_of(snap, name)) {
        Some((_, 1)) => "; a volume was made of it, so that it was deleted since".to_owned(),
        Some((_, count)) => format!("; {count} volumes were made of it, so that it was deleted since"),
        None => String::new(),
    };
    let message = format!("StorageClass {name} does not exist ({there}), and {who}{was}");
    let mut finding =
        Finding::new(StorageClassMissing::META.id, Severity::Error, ResourceRef::storage_class(name), message)
            .fix(Fix::of(snap, known, name, &users.claims));
    if known.is_some() {
        finding = finding.evidence(Evidence::new(
            "StorageClasses of the cluster",
            if have.is_empty() { "none".to_owned() } else { have.join(", ") },
            "kubectl get storageclass",
        ));
    }
    // What a removed release left behind asks for what its values once said.
    let of_claims = users.claims.iter().filter_map(|c| leftovers::release_of_claim(snap, c));
    let of_owners = users.owners.iter().filter_map(|o| leftovers::release_of_owner(snap, o));
    let gone: Vec<_> = of_claims.chain(of_owners).collect();
    let all_gone = !gone.is_empty() && gone.len() == users.claims.len() + users.owners.len();
    for (namespace, release) in gone.iter().filter(|_| all_gone) {
        finding = finding.depends_on(release_ref(namespace, release));
    }
    for claim in &users.claims {
        finding = finding.evidence(claim_evidence(claim));
        let said = claims::events(snap, claim).into_iter().find(|e| e.message.contains("not found"));
        if let Some(event) = said {
            finding = finding.evidence(event_evidence(event));
        }
    }
    for written in &users.manifests {
        let source = format!("{}:{} {}", written.file.path, written.place, written.object);
        let frame = lint::frame(&written.file.text, written.place);
        let value = if frame.is_empty() { format!("storageClassName: {name}") } else { frame };
        let evidence = Evidence::new(source, value, "grep -n storageClassName {{ file }}");
        let place = Location::file(&written.file.path).field("storageClassName");
        finding = finding
            .evidence(evidence.with("file", &written.file.path))
            .location(place.at(written.place.line, Some(written.place.column)));
    }
    for owner in users.owners.iter() {
        finding = finding.evidence(
            Evidence::new(
                owner.to_string(),
                format!("storageClassName {name} in its volume claim template"),
                "kubectl get {{ owner }} -n {{ namespace }} -o yaml",
            )
            .with("owner", owner.kubectl_name())
            .with("namespace", claim_templates::namespace_of(owner)),
        );
    }
    finding
}

/// EBS volume types that are used as class names.
fn volume_type(class: &str) -> Option<&'static str> {
    let parts: Vec<&str> = class.split(['-', '_', '.']).collect();
    ["gp3", "gp2", "st1", "sc1"].into_iter().find(|t| parts.contains(t))
}

/// The EBS provisioner that works here, if one does.
fn provisioner(snap: &Snapshot, classes: &[StorageClass]) -> Option<String> {
    if snap.eks_cluster().is_ok_and(|c| c.auto_mode_storage()) {
        return Some(ebs::AUTO_MODE.into());
    }
    let used = classes.iter().any(|c| ebs::serves(&c.provisioner));
    (used || snap.platform == crate::snapshot::Platform::Eks).then(|| ebs::DRIVER.to_owned())
}

/// The driver that made volumes of a class while it was there, and how many.
fn made_of(snap: &Snapshot, class: &str) -> Option<(String, usize)> {
    let volumes = snap.persistent_volumes.items().unwrap_or_default().iter();
    let own = volumes.filter(|v| v.spec.storage_class_name.as_deref() == Some(class));
    let made: Vec<&str> =
        own.filter_map(|v| v.metadata.annotations.get(annotation::PROVISIONED_BY).map(String::as_str)).collect();
    made.first().map(|driver| ((*driver).to_owned(), made.len()))
}

/// The class to use instead: the default one, else one of EBS, else the first.
fn best(classes: &[StorageClass]) -> Option<&str> {
    let by = |f: fn(&StorageClass) -> bool| classes.iter().find(|c| f(c));
    let chosen = by(StorageClass::is_default).or_else(|| by(|c| ebs::serves(&c.provisioner))).or(classes.first());
    chosen.map(|c| c.metadata.name.as_str())
}
