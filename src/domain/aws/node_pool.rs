//! Why a NodePool of Karpenter, or of EKS Auto Mode, makes no nodes: what its controller says in conditions.

use std::borrow::Cow;

use crate::domain::aws::denied::Denied;
use crate::domain::aws::node_group;
use crate::domain::aws::node_pool_said::{controller_error, of_events, pool_of_claim};
use crate::domain::kubernetes::scheduling;
use crate::domain::text::windows::RECENT;
use crate::model::ResourceRef;
use crate::snapshot::kubernetes::{Condition, Event, NodeClassRef, NodeMaker, Pod};
use crate::snapshot::{Snapshot, journal};

/// The label of nodes and claims that names their NodePool.
const POOL: &str = "karpenter.sh/nodepool";
/// Seconds in which an instance joins.
const JOINS: i64 = 300;
/// Seconds for which a claim may wait for its instance.
const LAUNCHES: i64 = 60;
/// Seconds in which a class is looked through.
const LOOKED_THROUGH: i64 = 600;

/// What keeps nodes from coming.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The node class finds no subnets, security groups or images, or its role cannot be used.
    Class { what: Unfound },
    /// The controller may not do what the class asks for: it tried without doing it.
    Unauthorized { action: String },
    /// The class says that it is not ready, in other words.
    ClassOther,
    /// The NodePool names a class that does not exist.
    NoClass { name: String },
    /// The NodePool itself is not valid.
    Pool,
    /// Instances cannot be launched.
    Launch { why: Launch },
    /// Instances were launched and do not join.
    Joins,
}

/// What a node class looks for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unfound {
    Subnets,
    SecurityGroups,
    Images,
    InstanceProfile,
}

impl Unfound {
    /// As a word of a sentence.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Subnets => "subnets",
            Self::SecurityGroups => "security groups",
            Self::Images => "images",
            Self::InstanceProfile => "instance profile",
        }
    }
}

/// Why an instance cannot be launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Launch {
    Denied,
    Quota,
    Capacity,
    SpotRole,
    Key,
    /// The class asks for a smaller disk than its image has.
    Disk,
    Other,
}

/// A fault with the object that says so.
#[derive(Debug)]
pub(crate) struct Stuck<'a> {
    pub(crate) fault: Cause,
    /// The class, pool or claim whose condition it is.
    pub(crate) object: &'a NodeMaker,
    pub(crate) condition: Cow<'a, Condition>,
    /// What it was read from, where the claim that was refused is gone: Karpenter deletes it at once.
    pub(crate) event: Option<&'a Event>,
    /// The NodePools that it keeps from making nodes.
    pub(crate) pools: Vec<&'a str>,
}

/// The group of an object's API.
pub(crate) fn group(object: &NodeMaker) -> &'static str {
    match object.kind.as_str() {
        "EC2NodeClass" => "karpenter.k8s.aws",
        "NodeClass" => "eks.amazonaws.com",
        _ => "karpenter.sh",
    }
}

/// An object as a resource.
pub(crate) fn reference(object: &NodeMaker) -> ResourceRef {
    ResourceRef::kubernetes(group(object), &object.kind, "", &object.metadata.name)
}

/// A NodePool as a resource.
pub(crate) fn pool_reference(name: &str) -> ResourceRef {
    ResourceRef::kubernetes("karpenter.sh", "NodePool", "", name)
}

/// A node class of EKS Auto Mode, or a pool or claim by one.
pub(crate) fn is_of_auto_mode(object: &NodeMaker) -> bool {
    object.kind == "NodeClass" || object.class_ref().is_some_and(|class| class.kind == "NodeClass")
}

/// The class by which a pool or a claim makes its instances.
pub(crate) fn class<'a>(snap: &'a Snapshot, object: &NodeMaker) -> Option<&'a NodeMaker> {
    let named = object.class_ref()?;
    let all = snap.node_makers.items().unwrap_or_default();
    all.iter().find(|o| o.kind == named.kind && o.metadata.name == named.name)
}

/// The pools that EKS Auto Mode brings: they can be switched on and off, and not changed.
const BUILT_IN: &[&str] = &["general-purpose", "system"];

/// Whether a pool is one that EKS Auto Mode brings. Where pools could not be read, a node of Auto Mode tells.
pub(crate) fn is_built_in(snap: &Snapshot, name: &str) -> bool {
    let all = journal::aside(|| snap.node_makers.items().unwrap_or_default());
    let pool = all.iter().find(|o| o.kind == "NodePool" && o.metadata.name == name);
    let nodes = || journal::aside(|| snap.nodes.items().unwrap_or_default()).iter().any(|n| n.is_auto_mode());
    BUILT_IN.contains(&name) && pool.map_or_else(nodes, is_of_auto_mode)
}

/// Its resource, without the group.
pub(crate) fn resource(object: &NodeMaker) -> &'static str {
    match object.kind.as_str() {
        "EC2NodeClass" => "ec2nodeclasses",
        "NodeClass" => "nodeclasses",
        "NodeClaim" => "nodeclaims",
        _ => "nodepools",
    }
}

/// As kubectl takes it: other kinds have the same short names.
pub(crate) fn kubectl_kind(object: &NodeMaker) -> String {
    format!("{}.{}", resource(object), group(object))
}

/// All that is stuck, by the deepest object.
pub(crate) fn stuck(snap: &Snapshot) -> Vec<Stuck<'_>> {
    let all = snap.node_makers.items().unwrap_or_default();
    let classes = all.iter().filter(|o| o.kind.ends_with("NodeClass")).filter_map(|c| of_class(snap, all, c));
    let pools = all.iter().filter(|o| o.kind == "NodePool").filter_map(of_pool);
    let claims = all.iter().filter(|o| o.kind == "NodeClaim").filter_map(|c| of_claim(snap, c));
    let mut found: Vec<Stuck<'_>> = classes.chain(pools).chain(claims).collect();
    for refused in of_events(snap) {
        // What an object that is there says is more than what an event tells of one that is gone.
        if !found.iter().any(|s| s.pools.iter().any(|p| refused.pools.contains(p))) {
            found.push(refused);
        }
    }
    found
}

fn is_false(condition: &&Condition) -> bool {
    condition.status == "False"
}

fn of_class<'a>(snap: &'a Snapshot, all: &'a [NodeMaker], class: &'a NodeMaker) -> Option<Stuck<'a>> {
    let ready = class.condition("Ready")?;
    let since = ready.last_transition_time.map_or(0, |t| snap.seconds_since(t));
    // The controller does not get through with it: what it meets stands in its log alone.
    let hangs = ready.status == "Unknown" && since >= LOOKED_THROUGH;
    if ready.status != "False" && !hangs {
        return None;
    }
    let failing = class.status.conditions.iter().filter(|c| c.status == ready.status && c.kind != "Ready");
    // What only waits for the others says nothing.
    let own = failing.filter(|c| c.reason.as_deref() != Some("DependenciesNotReady"));
    let condition = own.min_by_key(|c| c.kind == "ValidationSucceeded").unwrap_or(ready);
    let message = condition.message.as_deref().unwrap_or_default();
    let told = hangs.then(|| controller_error(snap, class)).flatten().map(|(_, _, error)| Launch::read(&error));
    let fault = match condition.kind.as_str() {
        _ if hangs && told == Some(Launch::Disk) => Cause::Launch { why: Launch::Disk },
        _ if hangs => Cause::ClassOther,
        "SubnetsReady" => Cause::Class { what: Unfound::Subnets },
        "SecurityGroupsReady" => Cause::Class { what: Unfound::SecurityGroups },
        "AMIsReady" => Cause::Class { what: Unfound::Images },
        "InstanceProfileReady" => Cause::Class { what: Unfound::InstanceProfile },
        _ => match message.split_once("authorized to call ") {
            Some((_, action)) => Cause::Unauthorized { action: action.trim().to_owned() },
            None => Cause::ClassOther,
        },
    };
    let uses = |p: &&NodeMaker| {
        let own = p.spec.template.spec.node_class_ref.as_ref();
        p.kind == "NodePool" && own.is_some_and(|r| is_it(r, class))
    };
    let pools = all.iter().filter(uses).map(|p| p.metadata.name.as_str()).collect();
    Some(Stuck { fault, object: class, condition: Cow::Borrowed(condition), event: None, pools })
}

fn is_it(reference: &NodeClassRef, class: &NodeMaker) -> bool {
    reference.name == class.metadata.name && (reference.kind.is_empty() || reference.kind == class.kind)
}

fn of_pool(pool: &NodeMaker) -> Option<Stuck<'_>> {
    pool.condition("Ready").filter(is_false)?;
    let name = pool.metadata.name.as_str();
    if let Some(condition) = pool.condition("ValidationSucceeded").filter(is_false) {
        let condition = Cow::Borrowed(condition);
        return Some(Stuck { fault: Cause::Pool, object: pool, condition, event: None, pools: vec![name] });
    }
    let condition = pool.condition("NodeClassReady").filter(is_false)?;
    // A class that is there says more itself.
    if !matches!(condition.reason.as_deref(), Some("NodeClassNotFound" | "NodeClassTerminating")) {
        return None;
    }
    let named = pool.spec.template.spec.node_class_ref.as_ref().map(|r| r.name.clone()).unwrap_or_default();
    let condition = Cow::Borrowed(condition);
    Some(Stuck { fault: Cause::NoClass { name: named }, object: pool, condition, event: None, pools: vec![name] })
}

fn of_claim<'a>(snap: &Snapshot, claim: &'a NodeMaker) -> Option<Stuck<'a>> {
    if claim.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let age = snap.age_seconds(&claim.metadata);
    let pools = claim.pool().into_iter().collect();
    if let Some(condition) = claim.condition("Launched").filter(|c| c.status != "True") {
        let said = condition.reason.as_deref() == Some("LaunchFailed");
        let why = Launch::read(condition.message.as_deref().unwrap_or_default());
        return (said && age >= LAUNCHES).then_some(Stuck {
            fault: Cause::Launch { why },
            object: claim,
            condition: Cow::Borrowed(condition),
            event: None,
            pools,
        });
    }
    let launched = claim.condition("Launched").filter(|c| c.status == "True")?;
    let since = launched.last_transition_time.map_or(age, |t| snap.seconds_since(t));
    let condition = claim.condition("Registered").filter(|c| c.status != "True")?;
    let condition = Cow::Borrowed(condition);
    (since >= JOINS).then_some(Stuck { fault: Cause::Joins, object: claim, condition, event: None, pools })
}

impl Launch {
    /// Reads the words of EC2's fleet.
    pub(crate) fn read(message: &str) -> Self {
        let has = |parts: &[&str]| parts.iter().any(|p| message.contains(p));
        if has(&["ServiceLinkedRoleCreationNotPermitted"]) {
            return Self::SpotRole;
        }
        if node_group::is_small_disk(message) {
            return Self::Disk;
        }
        if Denied::read(message).is_some() || has(&["UnauthorizedOperation", "AccessDenied", "is not authorized"]) {
            return Self::Denied;
        }
        if has(&["VcpuLimitExceeded", "MaxSpotInstanceCountExceeded", "InstanceLimitExceeded", "LimitExceeded"]) {
            return Self::Quota;
        }
        if has(&["InsufficientInstanceCapacity", "UnfulfillableCapacity", "InsufficientCapacity", "Unsupported"]) {
            return Self::Capacity;
        }
        if has(&["KMSKey", "KmsKey", "KMS key"]) {
            return Self::Key;
        }
        Self::Other
    }
}

/// The NodePools that make no nodes.
pub(crate) fn broken(snap: &Snapshot) -> Vec<&str> {
    stuck(snap).into_iter().flat_map(|s| s.pools).collect()
}

/// The NodePools that a pod waits for: those that it names, that a claim was nominated of, or, where it names none, all of
/// them if none works.
pub(crate) fn awaited_by(snap: &Snapshot, broken: &[&str], pod: &Pod) -> Vec<ResourceRef> {
    let all = snap.node_makers.items().unwrap_or_default();
    let mut wanted = asked_of(snap, pod);
    let names = || all.iter().filter(|o| o.kind == "NodePool").map(|p| p.metadata.name.as_str());
    if wanted.is_empty() && names().all(|pool| broken.contains(&pool)) {
        wanted.extend(names());
    }
    wanted.sort_unstable();
    wanted.dedup();
    wanted.into_iter().map(pool_reference).collect()
}

/// The NodePools that a pod names, or of which Karpenter meant a claim for it.
pub(crate) fn asked_of<'a>(snap: &'a Snapshot, pod: &Pod) -> Vec<&'a str> {
    let all = snap.node_makers.items().unwrap_or_default();
    let names = all.iter().filter(|o| o.kind == "NodePool").map(|p| p.metadata.name.as_str());
    let mut wanted: Vec<&str> = names.filter(|pool| names_pool(pod, pool)).collect();
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    for event in events.iter().filter(|e| e.reason == "Nominated") {
        let claim =
            event.message.split_once("nodeclaim/").map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or(rest));
        wanted.extend(claim.and_then(|name| pool_of_claim(all, name)).map(|p| p.metadata.name.as_str()));
    }
    wanted
}

/// The pod asks for nodes of this pool alone.
fn names_pool(pod: &Pod, pool: &str) -> bool {
    if let Some(named) = pod.spec.node_selector.get(POOL) {
        return named == pool;
    }
    let terms = scheduling::required_affinity(pod).map(|s| s.node_selector_terms.as_slice()).unwrap_or_default();
    let asked = terms.iter().flat_map(|t| t.match_expressions.iter().flatten());
    asked.filter(|r| r.key == POOL && r.operator == "In").any(|r| r.values.iter().flatten().any(|v| v == pool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_fleet() {
        for (text, why) in [
            (
                "creating instance, with fleet error(s), UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/k/1 is not authorized to perform: ec2:RunInstances on resource: arn:aws:ec2:eu-west-1:1:instance/* with an explicit deny in a service control policy",
                Launch::Denied,
            ),
            (
                "creating instance, with fleet error(s), AuthFailure.ServiceLinkedRoleCreationNotPermitted: The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances.",
                Launch::SpotRole,
            ),
            (
                "creating instance, with fleet error(s), VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket that the specified instance type belongs to.",
                Launch::Quota,
            ),
            (
                "creating instance, insufficient capacity, with fleet error(s), InsufficientInstanceCapacity: We currently do not have sufficient c7g.large capacity",
                Launch::Capacity,
            ),
            (
                "creating instance, with fleet error(s), InvalidBlockDeviceMapping: Volume of size 2GB is smaller than snapshot 'snap-05543b312a1c519d3', expect size>= 4GB; UnfulfillableCapacity: Unable to fulfill capacity due to your request configuration.",
                Launch::Disk,
            ),
            (
                "creating instance, insufficient capacity, with fleet error(s), AuthFailure.ServiceLinkedRoleCreationNotPermitted: The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances.",
                Launch::SpotRole,
            ),
            ("creating instance, with fleet error(s), InvalidParameterValue: x", Launch::Other),
        ] {
            assert_eq!(Launch::read(text), why, "{text}");
        }
    }

    #[test]
    fn kinds_are_named_with_their_group() {
        let of = |kind: &str| kubectl_kind(&NodeMaker { kind: kind.to_owned(), ..NodeMaker::default() });
        assert_eq!(of("NodePool"), "nodepools.karpenter.sh");
        assert_eq!(of("NodeClaim"), "nodeclaims.karpenter.sh");
        assert_eq!(of("EC2NodeClass"), "ec2nodeclasses.karpenter.k8s.aws");
        assert_eq!(of("NodeClass"), "nodeclasses.eks.amazonaws.com");
    }
}
