//! Karpenter, or EKS Auto Mode, makes no nodes: a class finds nothing, an instance is refused, or it never joins.

mod fix;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::support::seen::{event_evidence, line_evidence};
use crate::checks::{Check, check};
use crate::domain::aws::denied::{By, Denied};
use crate::domain::aws::node_pool::{self, Cause, Launch, Stuck, Unfound};
use crate::domain::aws::node_pool_said;
use crate::domain::kubernetes::unschedulable::concerns;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ContainerLog;
use fix::Fix;

/// Longest part of a message that is shown in the sentence.
const QUOTED: usize = 240;

check! {
    /// See the check's page.
    NodePoolStuck {
        id: "node-pool-stuck", suite: Nodes, severity: Error,
        title: "a NodePool makes no nodes",
        requires: [NodeMakers],
        uses: [Crds, ApiServices, Nodes, Pods, Events, Workloads, Subnets, EksCluster, AccessEntries, ConfigMaps, PartLogs],
        fix: Fix,
    }
}

impl Check for NodePoolStuck {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.node_makers()?.is_empty() {
            return Ok(Diagnosis::NotApplicable("no NodePool: neither Karpenter nor EKS Auto Mode makes nodes".into()));
        }
        // Claims come and go: those of one pool that fail alike are one fault.
        let mut groups: BTreeMap<(String, Cause), Vec<Stuck<'_>>> = BTreeMap::new();
        for stuck in node_pool::stuck(snap) {
            let about = match stuck.object.kind.as_str() {
                "NodeClaim" => stuck.pools.join(", "),
                kind => format!("{kind} {}", stuck.object.metadata.name),
            };
            groups.entry((about, stuck.fault.clone())).or_default().push(stuck);
        }
        Ok(Diagnosis::Findings(groups.values().filter_map(|all| finding(snap, all)).collect()))
    }
}

/// The pods of the stack that wait for nodes of these pools.
fn waiting<'a>(snap: &'a Snapshot, pools: &BTreeSet<&str>) -> Vec<&'a Pod> {
    let all = snap.pods.items().unwrap_or_default().iter().filter(|p| concerns(snap, p));
    let wanted: Vec<ResourceRef> = pools.iter().map(|p| node_pool::pool_reference(p)).collect();
    let broken = node_pool::broken(snap);
    all.filter(|p| node_pool::awaited_by(snap, &broken, p).iter().any(|r| wanted.contains(r))).collect()
}

fn finding(snap: &Snapshot, all: &[Stuck<'_>]) -> Option<Finding> {
    let first = all.first()?;
    let pools: BTreeSet<&str> = all.iter().flat_map(|s| s.pools.iter().copied()).collect();
    let waiting = waiting(snap, &pools);
    let severity = if waiting.is_empty() { Severity::Warning } else { Severity::Error };
    let subject = match (first.object.kind.as_str(), first.object.pool()) {
        ("NodeClaim", Some(pool)) => node_pool::pool_reference(pool),
        _ => node_pool::reference(first.object),
    };
    let mut made = Finding::new(NodePoolStuck::META.id, severity, subject.clone(), message(snap, first, &pools))
        .key(format!("{} {:?}", subject.key(), first.fault).to_ascii_lowercase())
        .breaks(subject)
        .fix(fix::of(snap, first));
    for pool in &pools {
        made = made.breaks(node_pool::pool_reference(pool)).also(node_pool::pool_reference(pool));
    }
    for stuck in all.iter().take(3) {
        made = made.also(node_pool::reference(stuck.object)).evidence(seen(stuck));
        // The line about the class itself says what it meets, where the condition only says that it is looked at.
        if let Some((log, line, _)) = hanging(snap, stuck) {
            made = made.evidence(line_evidence(log, line));
        }
    }
    for event in snap.events.items().unwrap_or_default() {
        let object = &event.involved_object;
        let own = all.iter().any(|s| s.object.kind == object.kind && s.object.metadata.name == object.name);
        let recent = event.is_within(RECENT, snap.collected_at);
        if own && recent && event.kind == "Warning" {
            made = made.evidence(event_evidence(event));
        }
    }
    if let Some((log, line)) = said(snap, &pools) {
        made = made.evidence(line_evidence(log, line));
    }
    // What the controller may not do is a matter of its role.
    if matches!(first.fault, Cause::Unauthorized { .. } | Cause::Launch { why: Launch::Denied }) {
        let (namespace, name) = fix::controller(snap);
        made = made.depends_on(ResourceRef::workload("Deployment", &namespace, &name));
    }
    Some(made)
}

/// The controller's last error about one of the pools.
fn said<'a>(snap: &'a Snapshot, pools: &BTreeSet<&str>) -> Option<(&'a ContainerLog, &'a str)> {
    let mut logs = snap.part_logs.iter().flatten().filter(|l| node_pool_said::is_controller(&l.image) && !l.previous);
    let names = |line: &&str| {
        line.contains("\"ERROR\"")
            && pools.iter().any(|pool| line.contains(&format!("\"NodePool\":{{\"name\":\"{pool}\"}}")))
    };
    logs.find_map(|log| Some((log, log.text.lines().rev().find(names)?)))
}

/// What the controller says of a class that it looks at and does not get through with: the log, its line, and the error.
fn hanging<'a>(snap: &'a Snapshot, stuck: &Stuck<'_>) -> Option<(&'a ContainerLog, &'a str, String)> {
    let hangs = stuck.object.kind.ends_with("NodeClass") && stuck.condition.status == "Unknown";
    hangs.then(|| node_pool_said::controller_error(snap, stuck.object)).flatten()
}

/// The condition, or the event, as evidence.
fn seen(stuck: &Stuck<'_>) -> Evidence {
    if let Some(event) = stuck.event {
        return event_evidence(event);
    }
    let condition = &stuck.condition;
    let said = [condition.reason.as_deref(), condition.message.as_deref()];
    let said: Vec<&str> = said.into_iter().flatten().filter(|t| !t.is_empty()).collect();
    Evidence::new(
        format!("{} {}, condition {}", stuck.object.kind, stuck.object.metadata.name, condition.kind),
        format!("{}: {}", condition.status, said.join(": ")),
        "kubectl describe {{ kind }} {{ name }}",
    )
    .with("kind", node_pool::kubectl_kind(stuck.object))
    .with("name", &stuck.object.metadata.name)
}

fn message(snap: &Snapshot, stuck: &Stuck<'_>, pools: &BTreeSet<&str>) -> String {
    let names = pools.iter().copied().collect::<Vec<_>>().join(", ");
    let pool = match pools.len() {
        0 => "no NodePool uses it".to_owned(),
        1 => format!("NodePool {names} makes no nodes"),
        _ => format!("NodePools {names} make no nodes"),
    };
    let hanging = hanging(snap, stuck).map(|(_, _, error)| error);
    let said = hanging.as_deref().or(stuck.condition.message.as_deref()).unwrap_or_default();
    let object = format!("{} {}", stuck.object.kind, stuck.object.metadata.name);
    match &stuck.fault {
        Cause::Class { what: Unfound::InstanceProfile } => {
            format!("{pool}: the role of {object} cannot be used ({})", shorten(said, QUOTED))
        }
        Cause::Class { what } => {
            let near = fix::near_tag(snap, stuck).map(|(_, words)| format!("; {words}")).unwrap_or_default();
            format!("{pool}: {object} finds no {} by its selector{}{near}", what.words(), fix::selector_text(stuck))
        }
        Cause::Unauthorized { action } => format!("{pool}: the controller may not {action}, says {object}"),
        Cause::ClassOther => format!("{pool}: {object} is not ready ({})", shorten(said, QUOTED)),
        Cause::NoClass { name } => match stuck.condition.reason.as_deref() {
            Some("NodeClassTerminating") => format!("{pool}: its node class {name} is being deleted"),
            _ => format!("{pool}: its node class {name} does not exist"),
        },
        Cause::Pool => format!("{pool}: it is not valid ({})", shorten(said, QUOTED)),
        Cause::Joins if fix::is_untainted(stuck) => format!(
            "{pool}: its nodes join without the taint karpenter.sh/unregistered, by which Karpenter knows that they begin, so it does not take them for its own"
        ),
        Cause::Joins => match fix::is_unmapped(snap, stuck) {
            Some(role) => format!("{pool}: instances start and do not join, and their role {role} has no access entry"),
            None => format!("{pool}: instances start and do not join the cluster"),
        },
        Cause::Launch { why } => format!("{pool}: {}", launch(*why, said)),
    }
}

fn launch(why: Launch, said: &str) -> String {
    // What comes before the codes of EC2 is the same each time.
    let told = said.split_once("with fleet error(s), ").map_or(said, |(_, rest)| rest);
    let told = shorten(told, QUOTED);
    match why {
        Launch::Denied => match Denied::read(said) {
            Some(denied) => {
                let who = denied.role().map_or_else(|| "its controller".to_owned(), |r| format!("role {r}"));
                let action = denied.action.as_deref().unwrap_or("launch instances");
                let by = match denied.by {
                    By::Boundary => " (its permissions boundary does not allow it)",
                    By::ControlPolicy => " (a service control policy of the organization denies it)",
                    By::ExplicitDeny => " (a policy denies it, whatever the role is allowed)",
                    _ => "",
                };
                format!("{who} may not {action}{by}")
            }
            None => format!("its controller is refused by EC2 ({told})"),
        },
        Launch::Quota => format!("a quota of the account is used up ({told})"),
        Launch::Capacity => format!("AWS has no instance of the types and zones that it allows ({told})"),
        Launch::SpotRole => "the account lacks the service-linked role of EC2 Spot".to_owned(),
        Launch::Key => format!("the key that encrypts the volumes of its instances cannot be used ({told})"),
        Launch::Disk => format!("the disk that its class asks for is smaller than its image ({told})"),
        Launch::Other => format!("instances cannot be launched ({told})"),
    }
}
