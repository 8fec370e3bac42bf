//! What ingress-nginx says of the hosts of the stack: answers and requests that it does not let through, and answers that it does
//! not wait for.

use std::collections::BTreeMap;

use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::ingress::{self, Served};
use crate::domain::loki::gateway_log;
use crate::domain::text::dial::{Dial, Outcome};
use crate::domain::text::lasting::Lasting;
use crate::domain::text::log_line;
use crate::domain::text::windows::RECENT;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Backend, Ingress, Pod};
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// Seconds since the last of them: people log in, and open a dashboard, now and then.
const STILL: i64 = 1800;

/// What it does not let through, or wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The header of an answer is longer than its buffer: 502.
    Header,
    /// A request is larger than it lets through: 413.
    Body,
    /// An answer takes longer than it waits: 504.
    Slow,
    /// Nothing listens where the Service leads: 502.
    Refused,
}

/// What is said of one Ingress.
#[derive(Debug, Clone)]
pub(crate) struct Failing<'a> {
    pub(crate) trouble: Cause,
    pub(crate) ingress: &'a Ingress,
    pub(crate) host: String,
    pub(crate) said: Lasting,
    /// The last line that says so.
    pub(crate) line: &'a str,
    pub(crate) log: &'a ContainerLog,
}

/// The image of ingress-nginx, whoever builds it.
pub(crate) fn is_controller(image: &str) -> bool {
    let base = base_of(image);
    base.contains("nginx-ingress-controller")
        || base.contains("ingress-nginx-controller")
        || (matches!(base, "controller" | "controller-chroot") && image.contains("ingress-nginx/"))
}

/// An error of a request that it passes on: whose it is, the host says.
pub(crate) fn is_of_request(text: &str) -> bool {
    text.contains(", client: ") && text.contains(", server: ")
}

/// It serves this Ingress.
pub(crate) fn serves(snap: &Snapshot, ingress: &Ingress) -> bool {
    match ingress::served(snap, ingress) {
        Some(Served::Other("")) => ingress.class().is_some_and(|c| c == "nginx"),
        Some(Served::Other(controller)) => controller.contains("ingress-nginx"),
        _ => false,
    }
}

/// An Ingress of the stack is served by it.
pub(crate) fn serves_stack(snap: &Snapshot) -> bool {
    ingress::of_stack(snap).any(|i| serves(snap, i))
}

/// What it says of the hosts of the stack, within the last hour.
pub(crate) fn failing(snap: &Snapshot) -> Vec<Failing<'_>> {
    if !serves_stack(snap) {
        return Vec::new();
    }
    let mut all: BTreeMap<(Cause, String, String), Failing<'_>> = BTreeMap::new();
    let mut owners: BTreeMap<(&str, Option<String>), Option<&Ingress>> = BTreeMap::new();
    let logs = snap.part_logs.iter().flatten().filter(|l| !l.previous && is_controller(&l.image));
    for (log, line) in logs.flat_map(|log| log.text.lines().map(move |line| (log, line))) {
        let Some(trouble) = trouble(line) else { continue };
        let Some(age) = log_line::age(line, snap.collected_at).filter(|age| *age <= RECENT) else { continue };
        let Some(host) = asked(line) else { continue };
        let of_line = (host, gateway_log::upstream(line).map(|(address, _)| address));
        let owner = owners.entry(of_line).or_insert_with_key(|(host, address)| owner(snap, host, address.as_deref()));
        let Some(ingress) = *owner else { continue };
        let meta = &ingress.metadata;
        let key = (trouble, meta.namespace.clone(), meta.name.clone());
        let failing = all.entry(key).or_insert_with(|| Failing {
            trouble,
            ingress,
            host: host.to_owned(),
            said: Lasting::before(age),
            line,
            log,
        });
        failing.said.add(age);
        failing.line = line;
    }
    // One request is tried with several pods within a moment; and what somebody has set right is said no more.
    let all = all.into_values().filter(|f| f.said.lasted() && f.said.is_within(STILL));
    // While a pod starts, nothing listens there either.
    all.filter(|f| f.trouble != Cause::Refused || f.asked(snap).is_some_and(|(pod, _)| pod.is_ready())).collect()
}

impl Failing<'_> {
    /// The pod and the port that was asked.
    pub(crate) fn asked<'a>(&self, snap: &'a Snapshot) -> Option<(&'a Pod, u16)> {
        let (address, port) = gateway_log::upstream(self.line)?;
        Some((snap.pod_by_ip(&address)?, port?))
    }
}

fn trouble(line: &str) -> Option<Cause> {
    if line.contains("[error]") && line.contains("upstream sent too big header while reading response header") {
        return Some(Cause::Header);
    }
    match gateway_log::trouble(line)? {
        gateway_log::Cause::Body => Some(Cause::Body),
        gateway_log::Cause::Slow => Some(Cause::Slow),
        gateway_log::Cause::Unreached => {
            Dial::read(line).filter(|dial| dial.outcome == Outcome::Refused).map(|_| Cause::Refused)
        }
        _ => None,
    }
}

/// The host that was asked for.
fn asked(line: &str) -> Option<&str> {
    let host = pattern!(r#", host: "([^":]+)"#);
    host.captures(line).and_then(|found| found.get(1)).map(|host| host.as_str())
}

/// The Ingress by which a request went: that of whose pods this address was asked, or the only one of the host.
fn owner<'a>(snap: &'a Snapshot, host: &str, address: Option<&str>) -> Option<&'a Ingress> {
    let has = |i: &Ingress| i.spec.rules.iter().filter_map(|r| r.host.as_deref()).any(|h| h.eq_ignore_ascii_case(host));
    let all = snap.ingresses.items().unwrap_or_default();
    let of_host: Vec<&Ingress> = all.iter().filter(|i| has(i) && serves(snap, i)).collect();
    if !of_host.iter().any(|i| snap.scope.is_stack(&i.metadata.namespace)) {
        return None;
    }
    let leads = |i: &Ingress, b: &Backend| {
        let service =
            b.service.as_ref().and_then(|s| snap.services.find(&i.metadata.namespace, &s.name).ok().flatten());
        service.is_some_and(|s| {
            snap.pods_of_service(s).any(|p| p.status.pod_ip.is_some() && p.status.pod_ip.as_deref() == address)
        })
    };
    let by_pod = of_host.iter().find(|i| ingress::backends(i).into_iter().any(|b| leads(i, b)));
    by_pod.copied().or(if let [one] = of_host[..] { Some(one) } else { None })
}

/// It waits for a header of the PROXY protocol, and whoever asks sends none.
#[derive(Debug, Clone)]
pub(crate) struct Unheaded<'a> {
    pub(crate) said: Lasting,
    /// The last line that says so.
    pub(crate) line: &'a str,
    pub(crate) log: &'a ContainerLog,
}

/// Pods of it that are asked without that header. A connection that says nothing is the load balancer's health check, and pods
/// of the cluster that ask past the load balancer say nothing of it. Where requests are served meanwhile, the header is sent.
pub(crate) fn unheaded(snap: &Snapshot) -> Vec<Unheaded<'_>> {
    if !serves_stack(snap) {
        return Vec::new();
    }
    let mut all = Vec::new();
    for log in snap.part_logs.iter().flatten().filter(|l| !l.previous && is_controller(&l.image)) {
        if !log.text.contains("while reading PROXY protocol") {
            continue;
        }
        let mut found: Option<Unheaded<'_>> = None;
        let lines: Vec<&str> = log.text.lines().collect();
        let begun = lines.iter().copied().enumerate().filter(|(_, line)| begins_otherwise(line));
        let mut first = None;
        for (at, line) in begun.filter(|(at, _)| !is_inside(snap, &lines[*at..])) {
            let Some(age) = log_line::age(line, snap.collected_at).filter(|age| *age <= RECENT) else { continue };
            let found = found.get_or_insert_with(|| Unheaded { said: Lasting::before(age), line, log });
            found.said.add(age);
            found.line = line;
            first.get_or_insert(at);
        }
        let is_served = |at: usize| lines[at..].iter().any(|line| is_access(line));
        let lasts = |f: &Unheaded<'_>| f.said.lasted() && f.said.is_within(STILL);
        all.extend(found.filter(|f| lasts(f) && !first.is_some_and(is_served)));
    }
    all
}

/// `broken header: "GET / HTTP/1.1…`: what came is shown as it is, with its ends of lines.
fn begins_otherwise(line: &str) -> bool {
    let shown = line.split_once(r#"broken header: ""#).filter(|(before, _)| before.contains("[error]"));
    shown.is_some_and(|(_, header)| !header.starts_with('"'))
}

/// A request that was answered, as it stands in the access log: `10.0.1.9 - - [21/Nov/2026:01:50:00 +0000] "GET / HTTP/1.1" 200 …`.
fn is_access(line: &str) -> bool {
    pattern!(r#"^\S+ - \S+ \[[^\]]+\] "[A-Z]+ \S+ HTTP/[\d.]+" \d{3} "#).is_match(line)
}

/// Lines of a header that are shown at most.
const SHOWN: usize = 40;

/// Whoever asks is a pod of the cluster, or nginx itself: the client stands after the header, which has lines of its own.
fn is_inside(snap: &Snapshot, lines: &[&str]) -> bool {
    let end = lines.iter().take(SHOWN).find_map(|line| line.split_once("while reading PROXY protocol, client: "));
    let client = end.and_then(|(_, rest)| rest.split([',', ' ']).next());
    client.is_none_or(|address| address == "127.0.0.1" || snap.pod_by_ip(address).is_some())
}

/// Bytes of a request that was too large.
pub(crate) fn body(line: &str) -> Option<u64> {
    line.split_once("too large body: ")?.1.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_images_have_many_names() {
        for image in [
            "registry.k8s.io/ingress-nginx/controller:v1.11.3@sha256:d56f",
            "k8s.gcr.io/ingress-nginx/controller-chroot:v1.1.0",
            "quay.io/kubernetes-ingress-controller/nginx-ingress-controller:0.30.0",
            "111122223333.dkr.ecr.eu-west-1.amazonaws.com/ingress-nginx-controller:v1.9.4",
            "rancher/nginx-ingress-controller:v1.9.6-rancher1",
        ] {
            assert!(is_controller(image), "{image}");
        }
        for image in
            ["registry.k8s.io/ingress-nginx/kube-webhook-certgen:v1.4.4", "nginx:1.27", "metallb/controller:v0.14"]
        {
            assert!(!is_controller(image), "{image}");
        }
    }

    #[test]
    fn troubles_are_told_apart() {
        let with = |text: &str| {
            format!(
                "2026/11/21 01:50:00 [error] 34#34: *8 {text}, client: 10.0.1.1, server: g.example, request: \"GET / HTTP/1.1\", upstream: \"http://10.0.1.5:3000/\", host: \"g.example:443\""
            )
        };
        for (text, wanted) in [
            ("upstream sent too big header while reading response header from upstream", Some(Cause::Header)),
            ("client intended to send too large body: 2201923 bytes", Some(Cause::Body)),
            (
                "upstream timed out (110: Operation timed out) while reading response header from upstream",
                Some(Cause::Slow),
            ),
            ("connect() failed (111: Connection refused) while connecting to upstream", Some(Cause::Refused)),
            ("connect() failed (113: Host is unreachable) while connecting to upstream", None),
            ("upstream timed out (110: Operation timed out) while proxying upgraded connection", None),
        ] {
            assert_eq!(trouble(&with(text)), wanted, "{text}");
        }
        let body_line = with("client intended to send too large body: 2201923 bytes");
        assert_eq!((asked(&body_line), body(&body_line)), (Some("g.example"), Some(2_201_923)));
    }
}
