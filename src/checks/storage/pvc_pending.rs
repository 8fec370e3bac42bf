//! A claim of the stack is Pending: why, from its spec, its class and what the provisioner said.

use std::collections::BTreeMap;

use crate::checks::support::claims::{claim_evidence, give_up_values};
use crate::checks::support::place::Place;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};

use crate::domain::aws::denied::{By, Denied};
use crate::domain::aws::{csi_node, ebs};
use crate::domain::kubernetes::claims::{self, ProvisioningFault, provisioning_error};
use crate::domain::kubernetes::scheduling;
use crate::domain::text::shorten::shorten;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Node, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass, annotation};
use crate::snapshot::{Snapshot, parse_quantity};

check! {
    /// See the check's page.
    PvcPending {
        id: "pvc-pending", suite: Storage, severity: Error,
        title: "a PersistentVolumeClaim of the stack is Pending",
        requires: [PersistentVolumeClaims, StorageClasses],
        uses: [Events, Pods, PersistentVolumes, CsiDrivers, EksCluster, Nodes, ResourceQuotas, Workloads],
    }
}

/// Why a claim is Pending.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// It names a class that does not exist.
    ClassMissing(String),
    /// It names no class, and there is no default one.
    NoDefaultClass,
    /// It asks for a hand-made volume, and there is none that fits: what each lacks.
    NoStaticVolume(String),
    /// It names a volume that does not exist, is taken, or does not fit: which, and why.
    VolumeNotAvailable(String),
    /// It wants to be shared by nodes, which its driver cannot.
    AccessMode(String),
    /// Its class makes volumes only in zones where no node is.
    Topology(String),
    /// Its pod has to be scheduled first, and is not.
    WaitsForPod,
    /// No pod uses it, and its class waits for one.
    NoConsumer,
    /// The provisioner says why.
    ProvisioningFailed(&'static str),
    /// The provisioner has not answered.
    NotProvisioned(String),
    /// It was bound to a volume that is gone.
    Lost(String),
}

impl Check for PvcPending {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut groups: BTreeMap<(Cause, Option<String>), Vec<&PersistentVolumeClaim>> = BTreeMap::new();
        let mut unknown: Option<Gap> = None;
        for claim in claims::pending(snap)? {
            let (cause, class) = match claims::class_of(snap, claim) {
                Ok(class) => (cause(snap, claim, class)?, class.map(|c| c.metadata.name.clone())),
                // Whoever may not list the classes still sees what the events say.
                Err(gap) => match by_events(snap, claim) {
                    Some(cause) => (cause, None),
                    None => {
                        unknown.get_or_insert(gap);
                        continue;
                    }
                },
            };
            groups.entry((cause, class)).or_default().push(claim);
        }
        if let Some(gap) = unknown.filter(|_| groups.is_empty()) {
            return Err(gap);
        }
        for claim in claims::lost(snap)? {
            let volume = claim.spec.volume_name.clone().unwrap_or_default();
            groups.entry((Cause::Lost(volume), claim.class().map(str::to_owned))).or_default().push(claim);
        }
        Ok(Diagnosis::Findings(
            groups.into_iter().map(|((cause, class), claims)| finding(snap, &cause, class, &claims)).collect(),
        ))
    }
}

fn cause(snap: &Snapshot, claim: &PersistentVolumeClaim, class: Option<&StorageClass>) -> Result<Cause, Gap> {
    if let Some(volume) = claim.spec.volume_name.as_deref().filter(|v| !v.is_empty()) {
        return Ok(Cause::VolumeNotAvailable(named_volume(snap, claim, volume)));
    }
    let Some(class) = class else {
        return Ok(match claim.class() {
            Some("") => Cause::NoStaticVolume(misfits(snap, claim)),
            // A class that only volumes made by hand carry needs no object.
            Some(name) if claims::has_static_volume(snap, claim, name) => Cause::NoStaticVolume(misfits(snap, claim)),
            Some(name) => Cause::ClassMissing(name.to_owned()),
            None => Cause::NoDefaultClass,
        });
    };
    if let Some(event) = provisioning_error(snap, claim) {
        return Ok(Cause::ProvisioningFailed(variant_of(ProvisioningFault::classify(&event.message))));
    }
    // The scheduler has chosen a node: the provisioner is next.
    let provisioning = claims::is_asked_for(snap, claim);
    if class.waits_for_consumer() && !provisioning {
        let consumers = consumers(snap, claim)?;
        if consumers.is_empty() {
            return Ok(Cause::NoConsumer);
        }
        return Ok(Cause::WaitsForPod);
    }
    if class.provisioner == "kubernetes.io/no-provisioner" {
        return Ok(Cause::NoStaticVolume(misfits(snap, claim)));
    }
    if let Some(mode) = shared_mode(claim, class) {
        return Ok(Cause::AccessMode(mode));
    }
    if let Some(text) = unreachable_topology(snap, class) {
        return Ok(Cause::Topology(text));
    }
    Ok(Cause::NotProvisioned(class.provisioner.clone()))
}

/// What the events say of a claim whose class cannot be read.
fn by_events(snap: &Snapshot, claim: &PersistentVolumeClaim) -> Option<Cause> {
    if let Some(event) = provisioning_error(snap, claim) {
        return Some(Cause::ProvisioningFailed(variant_of(ProvisioningFault::classify(&event.message))));
    }
    if claims::class_not_found(snap, claim).is_some() {
        return Some(Cause::ClassMissing(claim.class().unwrap_or_default().to_owned()));
    }
    if let Some(provisioner) = claims::awaited_provisioner(snap, claim) {
        return Some(Cause::NotProvisioned(provisioner.to_owned()));
    }
    let events = claims::events(snap, claim);
    let says = |reason: &str, part: &str| events.iter().any(|e| e.reason == reason && e.message.contains(part));
    if says("FailedBinding", "no storage class is set") && claim.class().is_none() {
        return Some(Cause::NoDefaultClass);
    }
    says("WaitForPodScheduled", "").then_some(Cause::WaitsForPod)
}

/// A mode for several nodes that EBS cannot serve (raw block volumes of io1 and io2 can).
fn shared_mode(claim: &PersistentVolumeClaim, class: &StorageClass) -> Option<String> {
    let ebs = ebs::serves(&class.provisioner) || class.provisioner == ebs::AUTO_MODE;
    let block = claim.spec.volume_mode.as_deref() == Some("Block");
    let mode = claim.spec.access_modes.iter().find(|m| matches!(m.as_str(), "ReadWriteMany" | "ReadOnlyMany"));
    mode.filter(|_| ebs && !block).cloned()
}

/// `allowedTopologies` that no node meets.
fn unreachable_topology(snap: &Snapshot, class: &StorageClass) -> Option<String> {
    let terms = class.allowed_topologies.iter().flat_map(|t| t.match_label_expressions.iter().flatten());
    let zones: Vec<&str> =
        terms.filter(|r| scheduling::is_zone_label(&r.key)).flat_map(|r| r.values.iter().map(String::as_str)).collect();
    let all: Vec<&Node> = snap.nodes.items().ok()?.iter().filter(|n| !n.is_fargate()).collect();
    let present = scheduling::zones(all.into_iter());
    if zones.is_empty() || present.is_empty() || zones.iter().any(|z| present.contains(z)) {
        return None;
    }
    let present = present.into_iter().collect::<Vec<_>>().join(", ");
    Some(format!("only in {}, and the nodes are in {present}", zones.join(", ")))
}

/// A volume that the claim names: why it does not bind.
fn named_volume(snap: &Snapshot, claim: &PersistentVolumeClaim, name: &str) -> String {
    let volume = match snap.persistent_volumes.named(name) {
        Ok(Some(volume)) => volume,
        Ok(None) => return format!("PersistentVolume {name}, which does not exist"),
        Err(_) => return format!("PersistentVolume {name}, which does not exist or is taken"),
    };
    match misfit(claim, volume) {
        Some(why) => format!("PersistentVolume {name}, which does not fit: {why}"),
        None => format!("PersistentVolume {name}, which is {}", volume.status.phase),
    }
}

/// What keeps the volumes made by hand from a claim, those first that come nearest.
fn misfits(snap: &Snapshot, claim: &PersistentVolumeClaim) -> String {
    let volumes = snap.persistent_volumes.items().unwrap_or_default().iter();
    // Volumes that a provisioner made belong to their claims.
    let by_hand = volumes
        .filter(|v| v.status.phase != "Bound" && !v.metadata.annotations.contains_key(annotation::PROVISIONED_BY));
    let same_class = |v: &&PersistentVolume| {
        v.spec.storage_class_name.as_deref().unwrap_or_default() == claim.class().unwrap_or_default()
    };
    let mut all: Vec<&PersistentVolume> = by_hand.collect();
    all.sort_by_key(|v| (!same_class(v), v.metadata.name.clone()));
    let told = all.into_iter().take(3).filter_map(|v| Some(format!("{}: {}", v.metadata.name, misfit(claim, v)?)));
    told.collect::<Vec<_>>().join("; ")
}

/// Which attribute of a volume does not fit a claim; `None` if it would bind.
fn misfit(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<String> {
    let spec = &volume.spec;
    let (wanted, has) = (claim.class().unwrap_or_default(), spec.storage_class_name.as_deref().unwrap_or_default());
    if wanted != has {
        let or_none = |name: &str| if name.is_empty() { "none".to_owned() } else { name.to_owned() };
        return Some(format!("its class is {}, not {}", or_none(has), or_none(wanted)));
    }
    if let Some(mode) = claim.spec.access_modes.iter().find(|m| !spec.access_modes.contains(m)) {
        return Some(format!("its access mode is {}, not {mode}", spec.access_modes.join(", ")));
    }
    let size = |map: &crate::snapshot::kubernetes::Map| map.get("storage").cloned().unwrap_or_default();
    let (asked, capacity) = (size(&claim.spec.resources.requests), size(&spec.capacity));
    if let (Some(a), Some(c)) = (parse_quantity(&asked), parse_quantity(&capacity))
        && a > c
    {
        return Some(format!("its size is {capacity}, less than {asked}"));
    }
    let mode = |m: &Option<String>| m.clone().unwrap_or_else(|| "Filesystem".into());
    if mode(&claim.spec.volume_mode) != mode(&spec.volume_mode) {
        return Some(format!("its volume mode is {}, not {}", mode(&spec.volume_mode), mode(&claim.spec.volume_mode)));
    }
    let labels = claim.spec.selector.as_ref().and_then(|s| s.match_labels.as_ref());
    if let Some((key, value)) =
        labels.iter().flat_map(|l| l.iter()).find(|(k, v)| volume.metadata.labels.get(*k) != Some(v))
    {
        return Some(format!("it lacks the label {key}={value} that the claim selects"));
    }
    let other =
        spec.claim_ref.as_ref().filter(|r| r.namespace != claim.metadata.namespace || r.name != claim.metadata.name);
    if let Some(other) = other {
        return Some(format!("it is reserved for claim {}/{}", other.namespace, other.name));
    }
    let phase = volume.status.phase.as_str();
    matches!(phase, "Released" | "Failed").then(|| format!("it is {phase}, with the data of a former claim"))
}

fn variant_of(fault: ProvisioningFault) -> &'static str {
    match fault {
        ProvisioningFault::AccessMode => "access-mode",
        ProvisioningFault::Parameter => "parameter",
        ProvisioningFault::Topology => "topology",
        ProvisioningFault::Timeout => "provisioner-silent",
        ProvisioningFault::Credentials | ProvisioningFault::Permission | ProvisioningFault::Kms => "iam",
        ProvisioningFault::Denied => "denied",
        ProvisioningFault::Key => "key",
        ProvisioningFault::Source => "source",
        ProvisioningFault::Zone => "zone",
        ProvisioningFault::Quota => "quota",
        ProvisioningFault::Other => "provisioning",
    }
}

/// What is refused, and by which kind of policy.
fn refused(denied: Option<&Denied>, message: &str) -> String {
    let what = denied.and_then(|d| d.action.clone()).unwrap_or_else(|| "the call".to_owned());
    let by = match denied.map(|d| d.by) {
        Some(By::ControlPolicy) => "a service control policy of the organization",
        Some(By::Boundary) => "the permissions boundary of its role",
        Some(By::EndpointPolicy) => "the policy of the VPC endpoint",
        Some(By::ResourcePolicy) => "the policy of the resource",
        _ => return format!("{what} ({})", first_line(message)),
    };
    let on = denied.and_then(|d| d.resource.clone()).map(|r| format!(" on {r}")).unwrap_or_default();
    format!("{what}{on}: it is {by}")
}

/// The first line, cut to what a sentence holds.
fn first_line(message: &str) -> String {
    shorten(message.lines().next().unwrap_or_default(), 300)
}

/// Pods that mount a claim and want to run.
fn consumers<'a>(snap: &'a Snapshot, claim: &PersistentVolumeClaim) -> Result<Vec<&'a Pod>, Gap> {
    let namespace = &claim.metadata.namespace;
    // Pods that were not read may well use it.
    snap.pods.covered(namespace)?;
    let pods = snap.pods()?.iter().filter(|p| p.metadata.namespace == *namespace && !p.is_finished());
    Ok(pods.filter(|p| p.claims().any(|c| c == claim.metadata.name)).collect())
}

fn finding(snap: &Snapshot, cause: &Cause, class: Option<String>, claims: &[&PersistentVolumeClaim]) -> Finding {
    let refs: Vec<ResourceRef> =
        claims.iter().map(|c| ResourceRef::pvc(&c.metadata.namespace, &c.metadata.name)).collect();
    let first = claims[0];
    let (variant, mut why) = explain(cause);
    if let (Cause::ProvisioningFailed(_), Some(event)) = (cause, provisioning_error(snap, first)) {
        why = format!("provisioning fails: {}", first_line(&event.message));
    }
    if claims.len() > 1 {
        why = of_several(&why);
    }
    let severity = if *cause == Cause::NoConsumer { Severity::Info } else { Severity::Error };
    let phase = &first.status.phase;
    let who = match claims {
        [one] => format!("PersistentVolumeClaim {}/{} is {phase}", one.metadata.namespace, one.metadata.name),
        many => format!("{} PersistentVolumeClaims are {phase}", many.len()),
    };
    let said = provisioning_error(snap, first).map(|e| e.message.as_str()).unwrap_or_default();
    let denied = Denied::read(said);
    if *cause == Cause::ProvisioningFailed("denied") {
        why = format!("a policy denies the driver {}", refused(denied.as_ref(), said));
    }
    let class_object = class.as_deref().and_then(|name| snap.storage_classes.named(name).ok().flatten());
    let names: Vec<&str> = claims
        .iter()
        .filter(|c| c.metadata.namespace == first.metadata.namespace)
        .map(|c| c.metadata.name.as_str())
        .collect();
    let owner_key =
        names.iter().map(|n| n.trim_end_matches(|c: char| c.is_ascii_digit())).collect::<Vec<_>>().join(",");
    let mut finding = Finding::new(PvcPending::META.id, severity, refs[0].clone(), format!("{who}: {why}"))
        .also_all(refs)
        .key(format!(
            "{}/{owner_key} {variant} {}",
            first.metadata.namespace,
            class.as_deref().or(first.class()).unwrap_or("")
        ))
        .fix(variant)
        .param("namespace", &first.metadata.namespace)
        .param("pvc", &first.metadata.name)
        .param("pvcs", &names)
        .param("class", class.clone().or_else(|| first.class().map(str::to_owned)).unwrap_or_default())
        .param(
            "is_ebs",
            class.as_deref().is_some_and(|name| {
                snap.storage_classes.named(name).is_ok_and(|c| c.is_some_and(|c| ebs::serves(&c.provisioner)))
            }),
        )
        .param("candidate", candidate(snap))
        .param("encoded", denied.and_then(|d| d.encoded).unwrap_or_default())
        .param(
            "kms_key",
            class_object
                .and_then(|c| c.parameters.get("kmsKeyId"))
                .cloned()
                .unwrap_or_else(|| "<kms-key-id>".to_owned()),
        )
        .param("region", Place::of(snap).region)
        .param("volume", first.spec.volume_name.clone().unwrap_or_default())
        .param("size", first.spec.resources.requests.get("storage").cloned().unwrap_or_else(|| "<size>".to_owned()))
        .evidence(claim_evidence(first));
    if let Cause::Lost(volume) = cause {
        let pod = consumers(snap, first).unwrap_or_default().first().map(|p| p.metadata.name.clone());
        finding = finding
            .param("claim", &first.metadata.name)
            .param("volume", volume)
            .param("pod", pod)
            .param("region", snap.target.region.as_deref().unwrap_or_default());
        finding = give_up_values(finding, snap, &first.metadata.namespace, &first.metadata.name, None);
    }
    for resource in depends_on(snap, cause, claims) {
        finding = finding.depends_on(resource);
    }
    let telling = |e: &&&crate::snapshot::kubernetes::Event| {
        matches!(
            e.reason.as_str(),
            "ProvisioningFailed"
                | "ExternalProvisioning"
                | "FailedBinding"
                | "WaitForFirstConsumer"
                | "WaitForPodScheduled"
                | "ClaimLost"
        )
    };
    let events = claims::events(snap, first);
    let shown = provisioning_error(snap, first).or_else(|| events.iter().find(telling).copied());
    if let Some(event) = shown {
        finding = finding.evidence(event_evidence(event));
    }
    finding
}

/// The same of several claims.
fn of_several(why: &str) -> String {
    let words = [
        ("its StorageClass", "their StorageClass"),
        (
            "its class binds when its pod is scheduled, and the pod is not",
            "their class binds when their pods are scheduled, and they are not",
        ),
        ("its class binds when a pod uses it, and none does", "their class binds when a pod uses them, and none does"),
        ("its class", "their class"),
        ("it names", "they name"),
        ("it takes", "they take"),
        ("it asks", "they ask"),
        ("a volume for it", "volumes for them"),
    ];
    words
        .iter()
        .find(|(one, _)| why.contains(one))
        .map_or_else(|| why.to_owned(), |(one, many)| why.replacen(one, many, 1))
}

fn explain(cause: &Cause) -> (&'static str, String) {
    match cause {
        Cause::ClassMissing(name) => ("class-missing", format!("its StorageClass {name} does not exist")),
        Cause::NoDefaultClass => {
            ("no-default-class", "it names no StorageClass and the cluster has no default one".into())
        }
        Cause::NoStaticVolume(misfits) => {
            let general = "it takes only a volume made by hand, and none that fits is Available";
            let why = if misfits.is_empty() { general.into() } else { format!("{general} ({misfits})") };
            ("no-volume", why)
        }
        Cause::VolumeNotAvailable(volume) => ("no-volume", format!("it asks for {volume}")),
        Cause::AccessMode(mode) => {
            ("access-mode", format!("it asks for {mode}, and an EBS volume can be attached to one node only"))
        }
        Cause::Topology(text) => ("topology", format!("its class makes volumes {text}")),
        Cause::WaitsForPod => ("waits-for-pod", "its class binds when its pod is scheduled, and the pod is not".into()),
        Cause::NoConsumer => {
            ("no-consumer", "its class binds when a pod uses it, and none does yet; this is normal".into())
        }
        Cause::ProvisioningFailed(variant) => (variant, "provisioning fails".into()),
        Cause::Lost(volume) => {
            ("lost", format!("it was bound to PersistentVolume {volume}, which does not exist any more"))
        }
        Cause::NotProvisioned(provisioner) => {
            ("not-provisioned", format!("the provisioner {provisioner} has not made a volume for it"))
        }
    }
}

/// What would explain it.
fn depends_on(snap: &Snapshot, cause: &Cause, claims: &[&PersistentVolumeClaim]) -> Vec<ResourceRef> {
    match cause {
        Cause::ClassMissing(name) => vec![ResourceRef::storage_class(name)],
        // With a default class it would still wait for the driver, where the cluster has no other.
        Cause::NoDefaultClass => vec![ResourceRef::default_storage_class(), ResourceRef::csi_driver(ebs::DRIVER)],
        // The driver may be absent, or not run on the node that was chosen.
        Cause::NotProvisioned(provisioner) => {
            let driver = if ebs::serves(provisioner) { ebs::DRIVER } else { provisioner };
            let chosen = claims.iter().filter_map(|c| c.metadata.annotations.get(annotation::SELECTED_NODE));
            let nodes = chosen.map(|node| csi_node::reference(node));
            nodes.chain([ResourceRef::csi_driver(driver)]).collect()
        }
        // The driver may not run on the node that the volume is for.
        Cause::ProvisioningFailed("topology") => {
            let nodes = claims
                .iter()
                .filter_map(|c| provisioning_error(snap, c))
                .filter_map(|e| csi_node::named_in(&e.message));
            nodes.map(csi_node::reference).collect()
        }
        Cause::ProvisioningFailed("provisioner-silent") => vec![ResourceRef::csi_driver(ebs::DRIVER)],
        Cause::ProvisioningFailed("iam") => {
            let mut all = vec![ebs::credentials_ref(snap)];
            if let Ok(cluster) = snap.eks_cluster() {
                all.push(ResourceRef::aws("iam", "oidc-provider", cluster.issuer_host_path()));
            }
            all
        }
        Cause::WaitsForPod => {
            let pods = claims.iter().flat_map(|c| consumers(snap, c).unwrap_or_default());
            pods.map(|p| ResourceRef::pod(&p.metadata.namespace, &p.metadata.name)).collect()
        }
        _ => Vec::new(),
    }
}

/// The class that would make a good default.
fn candidate(snap: &Snapshot) -> String {
    let classes = snap.storage_classes.items().unwrap_or_default();
    let auto_mode = snap.eks_cluster().is_ok_and(|c| c.auto_mode_storage());
    let own = if auto_mode { ebs::AUTO_MODE } else { ebs::DRIVER };
    let first = classes.first().map(|c| c.metadata.name.as_str());
    claims::candidate(classes, own).or(first).unwrap_or("<storage-class>").to_owned()
}
