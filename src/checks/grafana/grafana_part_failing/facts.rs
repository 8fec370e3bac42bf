//! What a complaint and the cluster say of it, of which both the sentence and the fix speak.

use crate::domain::grafana::datasources;
use crate::domain::grafana::part_log::Said;
use crate::domain::grafana::provisioned::Instance;
use crate::domain::grafana::url::{self, Written};
use crate::domain::kubernetes::service_host::in_cluster;
use crate::domain::text::log_line::Line;
use crate::domain::text::redact::redact;
use crate::snapshot::kubernetes::annotation::NGINX_VHOST;
use crate::snapshot::kubernetes::{Ingress, Service};
use crate::snapshot::{Snapshot, journal};
use crate::text::pattern::pattern;

/// The names that a certificate is for, and the host that was asked for: `certificate is valid for *.corp.example.net, not grafana.com`.
pub(super) fn other_server(error: &str) -> Option<(String, String)> {
    let found = pattern!(r"certificate is valid for (\S.*?), not ([\w.-]+\w)").captures(error)?;
    Some((found[1].to_owned(), found[2].to_owned()))
}

/// The `root_url` that Grafana compared with.
pub(super) fn root_of(said: &Said<'_>) -> String {
    let url = Line::parse(&said.line).get("appUrl").to_owned();
    if url.is_empty() { "<root_url>".to_owned() } else { redact(&url) }
}

/// The row of the data key is not there: the database is another one than that in which it was made.
pub(super) fn lacks_row(said: &Said<'_>) -> bool {
    said.line.contains("data key not found")
}

pub(super) fn named_or<'s>(text: &'s str, other: &'s str) -> &'s str {
    if text.is_empty() { other } else { text }
}

/// `groups=[]`: the search for groups found none.
pub(super) fn has_no_groups(said: &Said<'_>) -> bool {
    Line::parse(&said.line).get("groups").trim() == "[]"
}

pub(super) fn is_unauthorized(said: &Said<'_>) -> bool {
    ["401 Unauthorized", "Unauthorized request", "Unauthenticated"].iter().any(|w| said.error.contains(w))
}

pub(super) fn client<'s>(said: &'s Said<'_>) -> &'s str {
    if said.what.is_empty() { "OAuth" } else { &said.what }
}

/// Types of datasources that Grafana does not bring along, as the known ones have them.
pub(super) fn wanted(snap: &Snapshot, instance: Instance<'_>) -> Vec<String> {
    let mut all: Vec<String> = datasources::all(snap, &[instance]).into_iter().map(|d| d.kind).collect();
    all.retain(|kind| !kind.is_empty() && !datasources::is_built_in(kind));
    all.sort_unstable();
    all.dedup();
    all
}

/// `grafana.corp` of `https://grafana.corp:8443`.
pub(super) fn host_of(origin: &str) -> &str {
    let rest = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    rest.split(':').next().unwrap_or(rest)
}

/// The ConfigMap of an nginx that leads to Grafana and passes no Host on, namespace and name: nginx then names the host of its
/// `proxy_pass`.
pub(super) fn bare_proxy(snap: &Snapshot, instance: Instance<'_>) -> Option<(String, String)> {
    let own = instance.pods(snap);
    let is_its = |s: &&Service| snap.pods_of_service(s).any(|p| own.iter().any(|o| std::ptr::eq(*o, p)));
    // What stands before Grafana is only shown: nothing hangs on it.
    journal::aside(|| {
        let services: Vec<&str> =
            snap.services.items().unwrap_or_default().iter().filter(is_its).map(|s| s.metadata.name.as_str()).collect();
        let leads = |line: &str| {
            let to = line.trim().strip_prefix("proxy_pass").map(str::trim);
            let host = to.and_then(|to| to.split_once("//")?.1.split(['.', ':', '/', ';']).next());
            host.is_some_and(|host| services.contains(&host))
        };
        let sets_host = |text: &str| pattern!(r"(?m)^\s*proxy_set_header\s+Host\b").is_match(text);
        let maps = snap.config_maps.items().unwrap_or_default().iter();
        let mut bare = maps.filter(|m| m.data.values().any(|text| text.lines().any(leads) && !sets_host(text)));
        bare.next().map(|m| (m.metadata.namespace.clone(), m.metadata.name.clone()))
    })
}

/// The Ingress of a host that has ingress-nginx name another one to what is behind it, namespace and name.
pub(super) fn renaming_ingress(snap: &Snapshot, origin: &str) -> Option<(String, String)> {
    let host = host_of(origin);
    // It only says where the other name comes from.
    journal::aside(|| {
        let mut all = snap.ingresses.items().unwrap_or_default().iter();
        let renames = |i: &&Ingress| {
            i.metadata.annotations.get(NGINX_VHOST).is_some_and(|to| to != host)
                && i.spec.rules.iter().any(|r| r.host.as_deref() == Some(host))
        };
        all.find(renames).map(|i| (i.metadata.namespace.clone(), i.metadata.name.clone()))
    })
}

/// What names the other host.
pub(super) fn proxy_words(snap: &Snapshot, instance: Instance<'_>, origin: &str) -> String {
    if let Some((namespace, name)) = renaming_ingress(snap, origin) {
        return format!("Ingress {namespace}/{name} has that set ({NGINX_VHOST})");
    }
    match bare_proxy(snap, instance) {
        Some((namespace, name)) => {
            format!("the nginx of ConfigMap {namespace}/{name} leads to it and passes no Host on")
        }
        None => "a proxy before it does not pass the Host on".to_owned(),
    }
}

/// The Service that a datasource asks.
pub(super) fn asked<'a>(snap: &'a Snapshot, instance: Instance<'a>, source: &str) -> Option<&'a Service> {
    let own = datasources::all(snap, &[instance]).into_iter().find(|d| d.name == source)?;
    url::service_behind(snap, instance.namespace(), &Written::parse(&own.url)?).ok().flatten()
}

/// The renderer is told to open Grafana at a Service that is not there, or that has no such port; empty where it is not so.
pub(super) fn callback(snap: &Snapshot, instance: Instance<'_>, said: &Said<'_>) -> String {
    // The page that is to be drawn is a parameter of the request.
    let asked = said.line.split("url=http").nth(1).and_then(|rest| rest.split(['&', '"', ' ', '\\']).next());
    let asked = asked.map(|rest| format!("http{}", rest.replace("%3A", ":").replace("%2F", "/")));
    let of_setting = || instance.setting(snap, "rendering", "callback_url").ok().flatten().map(str::to_owned);
    let Some(url) = asked.or_else(of_setting).and_then(|u| ::url::Url::parse(&u).ok()) else { return String::new() };
    let Some(named) = url.host_str().and_then(|h| in_cluster(snap, h, instance.namespace())) else {
        return String::new();
    };
    let place = format!("its renderer is told to open Grafana at {}://{}", url.scheme(), authority(&url));
    match snap.services.find(&named.namespace, &named.service) {
        Ok(None) => format!("{place}, and there is no Service {}/{}", named.namespace, named.service),
        Ok(Some(service)) => {
            let port = url.port_or_known_default();
            // A headless Service hands out the pods' own addresses, with all their ports.
            let headless = service.spec.cluster_ip.as_deref() == Some("None");
            if headless || service.spec.ports.iter().any(|p| Some(p.port) == port) {
                return String::new();
            }
            let has: Vec<String> = service.spec.ports.iter().map(|p| p.port.to_string()).collect();
            let (namespace, name) = (&named.namespace, &named.service);
            format!("{place}, and Service {namespace}/{name} has no such port (it has {})", has.join(", "))
        }
        Err(_) => String::new(),
    }
}

/// `host:port`, as it is written.
fn authority(url: &::url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
