//! Prometheus fails to scrape a job.

mod cause;
mod family;
mod fix;
mod joined;
mod way;

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::checks::support::authorizer::Authorizer;
use crate::checks::support::seen::service_evidence;
use crate::checks::support::severity::of_targets;
use crate::checks::support::{probes, scrape};
use crate::checks::{Check, check};
use crate::domain::prometheus::authorizer;
use crate::domain::prometheus::joined::{jobs_with_credential, samples_offered};
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::{self, Down};
use crate::model::{Cause, CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Service;
use family::{Credentials, Family};
use fix::Fix;

check! {
    /// See the check's page.
    TargetDown {
        id: "target-down", suite: Scrape, severity: Error,
        title: "Prometheus fails to scrape a job",
        requires: [PrometheusTargets],
        uses: [Services, Pods, Nodes, ConfigMaps, Workloads, TargetAnswers, Probes, PrometheusConfig, PartLogs, ScrapeSamples, Crds],
        fix: Fix,
    }
}

impl Check for TargetDown {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let down: Vec<Down<'_>> =
            targets::down(snap)?.into_iter().filter(|d| !targets::is_leaving(snap, d.target)).collect();
        let credentials: Credentials<'_> = LazyCell::new(Box::new(|| jobs_with_credential(snap)));
        let mut families: BTreeMap<(&str, cause::Cause, String), Vec<&Down<'_>>> = BTreeMap::new();
        for target in &down {
            let (kind, words) = cause::Cause::of(snap, target, &credentials);
            families.entry((target.target.job(), kind, words)).or_default().push(target);
        }
        let mut findings = Vec::new();
        for ((job, kind, words), group) in &families {
            let total = targets::all(snap).iter().filter(|t| t.job() == *job).count();
            findings.push(finding(snap, &Family { job, kind: *kind, words, group, total }));
        }
        Ok(Diagnosis::Findings(findings))
    }
}

fn finding(snap: &Snapshot, family: &Family<'_>) -> Finding {
    let Family { job, kind, words, group, total } = family;
    let (first, count) = (group[0], group.len());
    let severity = match kind {
        cause::Cause::ControlPlane => Severity::Info,
        _ => of_targets(snap, &[job], count),
    };
    let plural = if *total == 1 { "target" } else { "targets" };
    let is = if count == 1 { "is" } else { "are" };
    let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
    let mut message =
        format!("{count} of {total} {plural} of job {job} {is} down: {words} ({}{more})", first.target.scrape_url);
    if let Some((offered, limit)) = samples_offered(snap, first) {
        let limit = limit.map(|l| format!(", and the job takes {l}")).unwrap_or_default();
        message.push_str(&format!("; the target offers {offered} samples{limit}"));
    }
    if *kind == cause::Cause::CredentialRefused {
        message.push_str("; the job sends one, and it is not accepted");
    }
    let lacking = match kind {
        cause::Cause::Forbidden => first.address.as_ref().and_then(|a| authorizer::lacking(snap, first.target, a)),
        _ => None,
    };
    if let Some(lacking) = &lacking {
        message = format!("{message}: {lacking}");
    }
    let subject = ResourceRef::ScrapeJob { job: (*job).to_owned() };
    let mut made = Finding::new(TargetDown::META.id, severity, subject, message)
        .evidence(scrape::evidence(snap, job, group))
        .fix(Fix::of(snap, family));
    let key = format!("{job}/{}/{words}", made.variant);
    made = made.key(key);
    if let Some(cause) = shared(snap, family, lacking) {
        made = made.cause(cause);
    }
    for down in *group {
        made = dependencies(snap, down).into_iter().fold(made, Finding::depends_on);
    }
    let host = first.address.as_ref().map_or("", |a| a.host.as_str());
    for probe in crate::domain::kubernetes::probes::of_host(snap, Program::Prometheus, host) {
        made = made.evidence(probes::evidence(probe));
    }
    if let Some(ports) = ports_evidence(snap, first) {
        made = made.evidence(ports);
    }
    joined::evidence(snap, first, made)
}

/// What keeps several jobs from their targets: a permission of Prometheus' service account, or its token. The kubelet
/// alone is scraped by three.
fn shared(snap: &Snapshot, family: &Family<'_>, lacking: Option<String>) -> Option<Cause> {
    if let Some(lacking) = lacking {
        let message = format!("several jobs are refused with HTTP 403: {lacking}");
        return Some(Cause::keyed(lacking, message));
    }
    if family.kind == cause::Cause::Other && family::is_out_of_files(family.group[0]) {
        let message = "Prometheus reaches none of its targets: it has no file descriptor left (too many open files)";
        return Some(Cause::keyed("own files", message));
    }
    let is_gone = family::gone_node(snap, family.group[0]).is_some();
    if is_gone || matches!(family.kind, cause::Cause::Certificate(_) | cause::Cause::Tls) {
        return same_places(family);
    }
    let why = match family.kind {
        cause::Cause::Unauthorized => "does not know who asks",
        cause::Cause::CredentialRefused => "does not accept the token that they send",
        _ => return None,
    };
    let first = family.group[0];
    let authorizer = Authorizer::of(snap, first.target, first.address.as_ref());
    let guard = authorizer.guard?;
    let message = format!("several jobs are refused with HTTP 401: what they scrape ({guard}) {why}");
    Some(Cause::keyed(format!("401 {guard} {why} {}", authorizer.account_user), message))
}

/// The addresses at which a job meets a certificate that is not taken: other jobs meet the same there, as the three of the
/// kubelet do.
fn same_places(family: &Family<'_>) -> Option<Cause> {
    let places: BTreeSet<String> =
        family.group.iter().filter_map(|d| d.address.as_ref()).map(|a| format!("{}:{}", a.host, a.port)).collect();
    let first = places.first()?.clone();
    let more = if places.len() > 1 { format!(" and {} more", places.len() - 1) } else { String::new() };
    let all = places.into_iter().collect::<Vec<_>>().join(" ");
    let message = format!("several jobs fail alike at {first}{more}: {}", family.words);
    Some(Cause::keyed(format!("{} at {all}", family.words), message))
}

/// What would explain that one target is down.
fn dependencies(snap: &Snapshot, down: &Down<'_>) -> Vec<ResourceRef> {
    let url = ResourceRef::ScrapeUrl { url: down.target.scrape_url.clone() };
    // Whoever answers is alive: only what is served at the path can be wrong.
    if matches!(down.failure, ScrapeFailure::NotMetrics | ScrapeFailure::BlankContentType) {
        return vec![url];
    }
    let Some(address) = &down.address else { return vec![url] };
    if let ScrapeFailure::NoSuchHost(host) = &down.failure {
        let host = if host.is_empty() { &address.host } else { host };
        let service = targets::cluster_host(snap, host);
        return service.map(|s| ResourceRef::service(&s.namespace, &s.service)).into_iter().chain([url]).collect();
    }
    let service = targets::service_of(snap, down.target, address).map(|(ns, name)| ResourceRef::service(&ns, &name));
    let pod = targets::pod_of(snap, down.target, address).map(|(ns, name)| ResourceRef::pod(&ns, &name));
    let node = targets::node_of(down.target, address).map(|name| ResourceRef::kubernetes("", "Node", "", name));
    let mut all: Vec<ResourceRef> = service.into_iter().chain(pod).chain(node).collect();
    match down.failure {
        ScrapeFailure::Timeout
        | ScrapeFailure::Refused
        | ScrapeFailure::NoRoute
        | ScrapeFailure::Reset
        | ScrapeFailure::Certificate
        | ScrapeFailure::Tls => all.push(url),
        // What the prober says of the module is the deeper word.
        ScrapeFailure::Status(400 | 500) if family::asks_to_probe(down) => all.push(url),
        ScrapeFailure::Dns => {
            all.push(ResourceRef::service("kube-system", "kube-dns"));
            all.push(ResourceRef::kubernetes("apps", "Deployment", "kube-system", "coredns"));
            all.push(url);
        }
        _ => {}
    }
    all
}

/// The ports on the way to a target whose connection is refused.
fn ports_evidence(snap: &Snapshot, down: &Down<'_>) -> Option<Evidence> {
    if down.failure != ScrapeFailure::Refused {
        return None;
    }
    let service = targets::existing_service_of(snap, down.target, down.address.as_ref()?)?;
    let value = ports_of(snap, service);
    Some(service_evidence(service, "spec.ports", value))
}

fn ports_of(snap: &Snapshot, service: &Service) -> String {
    let target_port = |value: &serde_json::Value| match value {
        serde_json::Value::String(name) => name.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        _ => "the same".to_owned(),
    };
    let ports =
        service.spec.ports.iter().map(|p| format!("port {} → targetPort {}", p.port, target_port(&p.target_port)));
    let mut declared: Vec<String> = snap
        .pods_of_service(service)
        .flat_map(|p| &p.spec.containers)
        .flat_map(|c| &c.ports)
        .map(|p| {
            p.name.as_ref().map_or_else(|| p.container_port.to_string(), |n| format!("{} ({n})", p.container_port))
        })
        .collect();
    declared.sort();
    declared.dedup();
    let declared =
        if declared.is_empty() { String::new() } else { format!("; containers declare {}", declared.join(", ")) };
    format!("{}{declared}", ports.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
