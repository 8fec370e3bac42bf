//! A node of which nothing answers, and no rule of AWS says why: what lies between, or the node itself, drops it.

use super::fix::Fix;
use super::symptom::Queries;
use crate::checks::support::scrape;
use crate::domain::kubernetes::nodes::KUBELET_PORT;
use crate::domain::traffic::attempts::Attempt;
use crate::domain::traffic::other_nodes::other_nodes;
use crate::domain::traffic::shut::Judged;
use crate::domain::traffic::silent_node::{SilentNode, silent_nodes};
use crate::model::{CheckId, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;

/// Nodes outside of EC2, and instances whose groups let in what gets no answer.
pub(super) fn findings(id: CheckId, snap: &Snapshot, judged: &Judged<'_>) -> Vec<Finding> {
    let silent = silent_nodes(snap);
    if silent.is_empty() {
        return Vec::new();
    }
    // What is dropped between all nodes is told as that.
    let between: Vec<_> = other_nodes(snap);
    let told = |url: &str| between.iter().flat_map(|p| &p.down).any(|d| d.target.scrape_url == url);
    let breaks = |a: &Attempt<'_>, url: &str| {
        a.breaks.iter().any(|r| matches!(r, ResourceRef::ScrapeUrl { url: own } if own == url))
    };
    let mut found = Vec::new();
    for node in silent {
        let urls: Vec<&str> = node.down.iter().map(|d| d.target.scrape_url.as_str()).collect();
        let shut = judged.shut.values().flat_map(|s| &s.attempts).any(|a| urls.iter().any(|u| breaks(a, u)));
        let open = urls.iter().all(|u| judged.open.iter().any(|a| breaks(a, u)));
        if !shut && !urls.iter().any(|u| told(u)) && (open || node.is_outside()) {
            found.push(finding(id, snap, &node));
        }
    }
    found
}

fn finding(id: CheckId, snap: &Snapshot, silent: &SilentNode<'_>) -> Finding {
    let name = &silent.node.metadata.name;
    let ports: Vec<String> = silent.ports.iter().map(u16::to_string).collect();
    let why = match silent.is_outside() {
        true => {
            "it is a hybrid node, so a firewall or a route between the VPC and its network drops what is sent to it"
        }
        false => {
            "security groups and network ACLs admit it, so a firewall of the node itself drops it, or the network plugin"
        }
    };
    let message = format!(
        "node {name} ({}) is Ready, and nothing of it answers Prometheus: TCP {} time out, which other nodes answer; {why}",
        silent.address,
        ports.join(", ")
    );
    let errors: Vec<(&str, &str)> =
        silent.down.iter().map(|d| (d.target.scrape_url.as_str(), d.target.last_error.as_str())).collect();
    let job = silent.down.first().map_or("", |d| d.target.job());
    let queries = Queries::of_targets(snap);
    let fix = match (silent.is_outside(), silent.node.instance_id()) {
        (false, Some(instance)) => Fix::Host { instance: instance.to_owned(), queries },
        _ => {
            let config = snap.eks_cluster.as_ref().ok();
            Fix::Outside {
                cluster: config.map_or_else(|| "<cluster-name>".to_owned(), |c| c.name.clone()),
                vpc: config.map_or_else(|| "<vpc-id>".to_owned(), |c| c.resources_vpc_config.vpc_id.clone()),
                node: name.clone(),
                address: silent.address.to_owned(),
                ports: ports.join(", "),
                queries,
            }
        }
    };
    let mut made = Finding::new(id, Severity::Warning, ResourceRef::node(name), message)
        .key(format!("silent-node/{name}"))
        .evidence(scrape::errors_evidence(snap, job, &errors))
        .breaks_nothing()
        .fix(fix);
    for down in &silent.down {
        made = made.breaks(ResourceRef::ScrapeUrl { url: down.target.scrape_url.clone() });
    }
    if silent.ports.contains(&KUBELET_PORT) {
        made = made.breaks(ResourceRef::port(name, KUBELET_PORT));
    }
    made
}
