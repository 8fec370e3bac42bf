//! Where a remote write is configured, and how it signs.

use crate::domain::kubernetes::owner::operator_resource;
use crate::domain::prometheus::running_config;
use crate::lint::yaml::{self, Node};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ConfigMap, MonitoringResource, Pod};

/// Where it is written down.
#[derive(Debug, Clone)]
pub(crate) enum Origin<'a> {
    /// In the operator's resource, at this place of `spec.remoteWrite`.
    Object { resource: &'a MonitoringResource, index: usize },
    /// In a ConfigMap, at this line of a file.
    File { map: &'a ConfigMap, key: &'a str, line: usize },
    /// That could not be seen.
    Unknown,
}

/// A remote write as it is configured.
#[derive(Debug, Clone)]
pub(crate) struct Configured<'a> {
    pub(crate) origin: Origin<'a>,
    /// It signs for AWS; `None` where the configuration could not be seen.
    pub(crate) signs: Option<bool>,
    pub(crate) region: Option<String>,
    pub(crate) role_arn: Option<String>,
    /// Goes through a proxy.
    pub(crate) proxy: Option<String>,
}

impl<'a> Configured<'a> {
    /// The remote write of this URL.
    pub(crate) fn of(snap: &'a Snapshot, pod: Option<&'a Pod>, url: &str) -> Self {
        if let Some((resource, index)) = pod.and_then(|p| object(snap, p, url)) {
            let write = &resource.spec.remote_write[index];
            let sigv4 = write.sigv4.as_ref();
            return Self {
                origin: Origin::Object { resource, index },
                signs: Some(sigv4.is_some()),
                region: sigv4.and_then(|s| s.region.clone()),
                role_arn: sigv4.and_then(|s| s.role_arn.clone()),
                proxy: write.proxy_url.clone(),
            };
        }
        let file = running_config::in_file(snap);
        let in_file = file.and_then(|(_, _, text)| entry(&yaml::document(text).ok()??, url));
        let running = || running_config::document(snap).and_then(|root| entry(&root, url));
        let origin = match (&in_file, file) {
            (Some(node), Some((map, key, _))) => Origin::File { map, key, line: node.place.line },
            _ => Origin::Unknown,
        };
        let Some(node) = in_file.or_else(running) else {
            return Self { origin, signs: None, region: None, role_arn: None, proxy: None };
        };
        let text = |path: &[&str]| node.at(path).and_then(Node::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
        Self {
            origin,
            signs: Some(node.get("sigv4").is_some()),
            region: text(&["sigv4", "region"]),
            role_arn: text(&["sigv4", "role_arn"]),
            proxy: text(&["proxy_url"]),
        }
    }
}

/// The operator's resource of a pod that holds this URL.
fn object<'a>(snap: &'a Snapshot, pod: &'a Pod, url: &str) -> Option<(&'a MonitoringResource, usize)> {
    let (kind, name) = operator_resource(snap, pod)?;
    let all = snap.monitoring_resources().ok()?;
    let resource = all.iter().find(|r| {
        r.kind.eq_ignore_ascii_case(kind) && r.metadata.namespace == pod.metadata.namespace && r.metadata.name == name
    })?;
    let index = resource.spec.remote_write.iter().position(|w| same(&w.url, url))?;
    Some((resource, index))
}

fn entry(root: &Node, url: &str) -> Option<Node> {
    let all = root.get("remote_write").and_then(Node::items)?;
    all.iter().find(|w| w.get("url").and_then(Node::as_str).is_some_and(|u| same(u, url))).cloned()
}

/// The log and the API hide passwords in URLs.
fn same(configured: &str, logged: &str) -> bool {
    let bare = |url: &str| {
        let mut parsed = url::Url::parse(url).ok()?;
        parsed.set_password(None).ok()?;
        parsed.set_username("").ok()?;
        Some(parsed.to_string())
    };
    configured == logged || bare(configured).is_some_and(|a| bare(logged) == Some(a))
}
