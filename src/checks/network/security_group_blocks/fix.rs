//! Writes the finding of a group or an ACL that drops connections: message, evidence, and the rules to add.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::network::security_group_blocks::symptom::Queries;
use crate::checks::support::scrape;
use crate::checks::support::traffic::evidence;
use crate::domain::aws::firewall::words;
use crate::domain::aws::network_acl::free_number;
use crate::domain::kubernetes::network_policy::Protocol;
use crate::domain::kubernetes::nodes::KUBELET_PORT;
use crate::domain::traffic::attempts::{Attempt, Party};
use crate::domain::traffic::other_nodes::OtherNodes;
use crate::domain::traffic::seen::Seen;
use crate::domain::traffic::shut::{Culprit, Missing, Shut};
use crate::model::{CheckId, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::SecurityGroup;

/// Symptoms and observations that are shown at most.
const SHOWN: usize = 3;

const SHOW_GROUP: &str = "aws ec2 describe-security-groups --group-ids {{ group }}";
const SHOW_ACL: &str = "aws ec2 describe-network-acls --network-acl-ids {{ acl }}";

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Fix {
    Inbound {
        group: String,
        rules: Vec<Rule>,
        /// What only the API server's proxy needs.
        proxy_rules: Vec<Rule>,
        all_between: bool,
        queries: Queries,
    },
    Outbound {
        group: String,
        rules: Vec<Rule>,
        queries: Queries,
    },
    Acl {
        acl: String,
        acl_rules: Vec<AclRule>,
        queries: Queries,
    },
    Look {
        instances: Vec<String>,
        port: u16,
        queries: Queries,
    },
    Host {
        instance: String,
        queries: Queries,
    },
    Outside {
        cluster: String,
        vpc: String,
        node: String,
        address: String,
        /// Those that get no answer, in words.
        ports: String,
        queries: Queries,
    },
}

/// One command's values.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Rule {
    protocol: String,
    port: u16,
    peer: String,
    /// As `--ip-permissions` takes it.
    permission: String,
}

/// One rule of an ACL.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(super) struct AclRule {
    direction: String,
    number: u32,
    verb: String,
    protocol: String,
    ports: String,
    cidr: String,
}

/// The finding of connections that one culprit drops.
pub(super) fn finding(id: CheckId, snap: &Snapshot, culprit: &Culprit<'_>, shut: &Shut<'_>) -> Finding {
    let made = match culprit {
        Culprit::Inbound(group) => of_group(id, snap, group, shut, true),
        Culprit::Outbound(group) => of_group(id, snap, group, shut, false),
        Culprit::Acl(acl) => of_acl(id, snap, acl, shut),
    };
    let mut shown: Vec<&Seen> = Vec::new();
    let mut made = made;
    for attempt in &shut.attempts {
        made = attempt.breaks.iter().cloned().fold(made, Finding::breaks);
        let twin = |s: &&Seen| std::mem::discriminant(*s) == std::mem::discriminant(&attempt.seen);
        if shown.len() < SHOWN && shown.iter().filter(|s| twin(s)).count() < 2 {
            shown.push(&attempt.seen);
        }
    }
    shown.into_iter().map(|seen| evidence(snap, seen)).fold(made, Finding::evidence)
}

fn of_group(id: CheckId, snap: &Snapshot, group: &str, shut: &Shut<'_>, inbound: bool) -> Finding {
    let known = snap.security_groups.iter().flatten().find(|g| g.group_id == group);
    let subject = ResourceRef::aws("ec2", "security-group", group);
    let verb = if inbound { "does not admit" } else { "does not let out" };
    let message = format!(
        "security group {} {verb} {}: {}",
        named(known, group),
        lacks(snap, group, &shut.missing, inbound),
        symptoms(&shut.attempts)
    );
    let (rules, label) = match known {
        Some(g) if inbound => (words(&g.ip_permissions, "from"), "inbound rules"),
        Some(g) => (words(&g.ip_permissions_egress, "to"), "outbound rules"),
        None => (String::new(), "rules"),
    };
    let seen = Evidence::new(format!("{label} of {group}"), rules, SHOW_GROUP).with("group", group);
    let missing = with_long_answers(&shut.missing);
    let (mut proxied, mut needed): (Vec<&Missing<'_>>, Vec<&Missing<'_>>) =
        missing.iter().partition(|m| inbound && is_for_proxy(m, &shut.attempts));
    let mut queries = Queries::of(snap, &shut.attempts);
    if needed.is_empty() {
        needed = std::mem::take(&mut proxied);
    } else if !proxied.is_empty() {
        // They answer only to whoever takes the optional step.
        queries = queries.without_paths();
    }
    let rules: Vec<Rule> = needed.into_iter().map(rule).collect();
    let proxy_rules: Vec<Rule> = proxied.into_iter().map(rule).collect();
    let all_between = shut.missing.iter().any(|m| m.peer == group && !m.from_control_plane);
    let group = group.to_owned();
    let fix = match inbound {
        true => Fix::Inbound { group, rules, proxy_rules, all_between, queries },
        false => Fix::Outbound { group, rules, queries },
    };
    Finding::new(id, Severity::Error, subject.clone(), message)
        .key(if inbound { "inbound" } else { "outbound" })
        .breaks(subject)
        .evidence(seen)
        .fix(fix)
}

/// Only requests through the API server's proxy fail for want of it: the stack itself does without.
fn is_for_proxy(missing: &Missing<'_>, attempts: &[Attempt<'_>]) -> bool {
    let of_port =
        |a: &&Attempt<'_>| matches!(a.from, Party::ControlPlane) && a.to.iter().any(|(_, port)| *port == missing.port);
    let mut all = attempts.iter().filter(of_port).peekable();
    missing.from_control_plane
        && missing.port != KUBELET_PORT
        && all.peek().is_some()
        && all.all(|a| matches!(a.seen, Seen::Proxy { .. }))
}

/// Answers that are too long for UDP come over TCP.
fn with_long_answers<'a>(missing: &BTreeSet<Missing<'a>>) -> BTreeSet<Missing<'a>> {
    let dns = missing.iter().filter(|m| m.protocol == Protocol::Udp && m.port == 53);
    dns.map(|m| Missing { protocol: Protocol::Tcp, ..*m }).chain(missing.iter().copied()).collect()
}

fn rule(missing: &Missing<'_>) -> Rule {
    let protocol = lower(missing.protocol);
    let (port, peer) = (missing.port, missing.peer);
    let permission =
        format!("IpProtocol={protocol},FromPort={port},ToPort={port},UserIdGroupPairs=[{{GroupId={peer}}}]");
    Rule { protocol: protocol.to_owned(), port, peer: peer.to_owned(), permission }
}

fn lower(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

/// `sg-1 (nodes)`.
fn named(group: Option<&SecurityGroup>, id: &str) -> String {
    match group.map(|g| g.group_name.as_str()) {
        Some(name) if !name.is_empty() => format!("{id} ({name})"),
        _ => id.to_owned(),
    }
}

/// `TCP 9100 from its own members and TCP 4443 from the control plane (sg-2)`.
fn lacks(snap: &Snapshot, group: &str, missing: &BTreeSet<Missing<'_>>, inbound: bool) -> String {
    let mut by_peer: Vec<(String, Vec<String>)> = Vec::new();
    for one in missing {
        let peer = match (one.peer == group, one.from_control_plane && inbound) {
            (true, _) => "members of the same group".to_owned(),
            (false, true) => format!("the control plane ({})", one.peer),
            (false, false) => {
                let known = snap.security_groups.iter().flatten().find(|g| g.group_id == one.peer);
                named(known, one.peer)
            }
        };
        let what = format!("{} {}", one.protocol.as_str(), one.port);
        match by_peer.iter_mut().find(|(p, _)| *p == peer) {
            Some((_, ports)) => ports.push(what),
            None => by_peer.push((peer, vec![what])),
        }
    }
    let word = if inbound { "from" } else { "to" };
    let all: Vec<String> = by_peer.iter().map(|(peer, ports)| format!("{} {word} {peer}", ports.join(", "))).collect();
    all.join(" and ")
}

/// Each once, the first few by name.
fn symptoms(attempts: &[Attempt<'_>]) -> String {
    let mut each: Vec<&str> = Vec::new();
    for attempt in attempts {
        if !each.contains(&attempt.symptom.as_str()) {
            each.push(&attempt.symptom);
        }
    }
    let more = each.len().saturating_sub(SHOWN);
    each.truncate(SHOWN);
    let text = each.join(", ");
    if more > 0 { format!("{text} and {more} more") } else { text }
}

fn of_acl(id: CheckId, snap: &Snapshot, acl: &str, shut: &Shut<'_>) -> Finding {
    let known = snap.network_acls.iter().flatten().find(|a| a.network_acl_id == acl);
    let cidr = vpc_cidr(snap);
    let mut rules: Vec<AclRule> = Vec::new();
    let mut dropped: Vec<String> = Vec::new();
    for missing in &shut.missing {
        let Some((egress, by, answer)) = missing.acl else { continue };
        let ports = if answer { "1024-65535".to_owned() } else { missing.port.to_string() };
        let direction = if egress { "egress" } else { "ingress" };
        let words = format!("{direction} {} {ports} by rule {by}", missing.protocol.as_str());
        if dropped.contains(&words) {
            continue;
        }
        dropped.push(words);
        let taken = rules.iter().filter(|r| r.direction == direction).map(|r| r.number).min();
        let free = known.and_then(|a| free_number(a, egress, taken.unwrap_or(by)));
        let bounds = if answer { (1024, 65535) } else { (missing.port, missing.port) };
        rules.push(AclRule {
            direction: direction.to_owned(),
            number: free.unwrap_or(by),
            verb: if free.is_some() { "create-network-acl-entry" } else { "replace-network-acl-entry" }.to_owned(),
            protocol: lower(missing.protocol).to_owned(),
            ports: format!("From={},To={}", bounds.0, bounds.1),
            cidr: cidr.clone(),
        });
    }
    let subject = ResourceRef::aws("ec2", "network-acl", acl);
    let message = format!("network ACL {acl} drops {}: {}", dropped.join(" and "), symptoms(&shut.attempts));
    let seen = Evidence::new(format!("network ACL {acl}"), dropped.join("; "), SHOW_ACL).with("acl", acl);
    Finding::new(id, Severity::Error, subject.clone(), message).breaks(subject).evidence(seen).fix(Fix::Acl {
        acl: acl.to_owned(),
        acl_rules: rules,
        queries: Queries::of(snap, &shut.attempts),
    })
}

fn vpc_cidr(snap: &Snapshot) -> String {
    let vpc = snap.vpcs.iter().flatten().next().map(|v| v.cidr_block.clone());
    vpc.unwrap_or_else(|| "<vpc-cidr>".to_owned())
}

/// Targets time out on all nodes but Prometheus' own, and no rule that was read says why.
pub(super) fn between_nodes(
    id: CheckId,
    snap: &Snapshot,
    pattern: &OtherNodes<'_>,
    admitted: bool,
    unread: Option<&Gap>,
) -> Finding {
    let why = match (admitted, unread) {
        (true, _) => "although security groups and network ACLs admit it: a firewall on the nodes drops it, or the network plugin".to_owned(),
        (false, Some(gap)) => format!("by a security group most likely, which could not be read ({})", gap.what),
        (false, None) => "by what, AWS' answers do not tell".to_owned(),
    };
    let nodes: Vec<&str> = pattern.nodes.iter().copied().collect();
    let message = format!(
        "port {} is dropped between nodes, {why}: of its targets those on Prometheus' own node {} are up, all on other nodes time out ({})",
        pattern.port,
        pattern.own,
        nodes.join(", ")
    );
    let subject = ResourceRef::port("other-nodes", pattern.port);
    let errors: Vec<(&str, &str)> =
        pattern.down.iter().map(|d| (d.target.scrape_url.as_str(), d.target.last_error.as_str())).collect();
    let job = pattern.down.first().map_or("", |d| d.target.job());
    let instances: Vec<String> = snap
        .nodes
        .items()
        .unwrap_or_default()
        .iter()
        .filter(|n| pattern.nodes.contains(n.metadata.name.as_str()) || n.metadata.name == pattern.own)
        .filter_map(|n| n.instance_id().map(str::to_owned))
        .collect();
    let far = snap.nodes.items().unwrap_or_default().iter().find(|n| pattern.nodes.contains(n.metadata.name.as_str()));
    let queries = Queries::of_targets(snap);
    let fix = match admitted {
        true => {
            Fix::Host { instance: far.and_then(|n| n.instance_id()).unwrap_or("<instance-id>").to_owned(), queries }
        }
        false => Fix::Look { instances, port: pattern.port, queries },
    };
    let mut made = Finding::new(id, Severity::Error, subject, message)
        .key(format!("other-nodes/{}", pattern.port))
        .evidence(scrape::errors_evidence(snap, job, &errors))
        .evidence(scrape::api_evidence(
            snap,
            format!("target on {}", pattern.own),
            format!("{}: up", pattern.up.scrape_url),
            "/api/v1/targets?state=active",
        ))
        .fix(fix);
    for down in &pattern.down {
        made = made.breaks(ResourceRef::ScrapeUrl { url: down.target.scrape_url.clone() });
    }
    made
}
