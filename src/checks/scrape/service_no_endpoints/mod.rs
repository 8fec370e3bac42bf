//! A Service has no ready endpoint.

mod fix;

use std::collections::{BTreeMap, BTreeSet};

use fix::Fix;

use crate::checks::support::back;
use crate::checks::support::scrape;
use crate::checks::support::seen::{event_evidence, log_evidence, service_evidence};
use crate::checks::{Check, check};
use crate::domain::kubernetes::complains::Complains;
use crate::domain::kubernetes::endpoints::{self, Cause};
use crate::domain::kubernetes::listening::Elsewhere;
use crate::domain::kubernetes::nodes::dead_nodes;
use crate::domain::kubernetes::starting::is_young;
use crate::domain::kubernetes::{managed, mesh, not_created, releases};
use crate::domain::prometheus::configured;
use crate::domain::prometheus::operator::front;
use crate::domain::prometheus::ports::PortCause;
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::{self, Address, Down};
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Pod, Service};
use crate::snapshot::{Platform, Snapshot, journal};

/// Last lines of a crashed container's log that are shown.
const LOG_LINES: usize = 5;

check! {
    /// See the check's page.
    ServiceNoEndpoints {
        id: "service-no-endpoints", suite: Scrape, severity: Error,
        title: "a Service has no ready endpoint",
        requires: [Services, EndpointSlices, Pods],
        uses: [PrometheusTargets, PrometheusConfig, Workloads, Events, CrashLogs, Nodes, ConfigMaps, MonitoringResources, OtherServers, ReplicaSets, HelmReleases, EksAddons, ComponentLogs, PartLogs],
        fix: Fix,
    }
}

impl Check for ServiceNoEndpoints {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let services = snap.services()?;
        snap.endpoint_slices()?;
        snap.pods()?;
        // Without the targets, the stack's own Services are still looked at, and those that its configuration names.
        let configured = configured::targets(snap);
        let unasked =
            |target| Down { target, failure: ScrapeFailure::Other, address: Address::parse(&target.scrape_url) };
        let down = targets::down(snap).unwrap_or_else(|_| configured.iter().map(unasked).collect());
        let mut groups: BTreeMap<(String, &str, String), Group<'_>> = BTreeMap::new();
        let mut findings = Vec::new();
        for service in services {
            let behind = targets_of(snap, service, &down);
            if !is_looked_at(snap, service, &behind) {
                continue;
            }
            let Some((ready, unready)) = snap.endpoints_of(service) else { continue };
            if ready > 0 {
                findings.extend(port_finding(snap, service, &behind));
                continue;
            }
            let Some(reason) = reason(snap, service, &behind) else { continue };
            let owners = reason.owners(snap).iter().map(ResourceRef::key).collect::<Vec<_>>().join(" ");
            let same = if owners.is_empty() { endpoints::selector(service) } else { owners };
            let key = (service.metadata.namespace.clone(), reason.word(), same);
            let group = groups.entry(key).or_insert_with(|| Group { reason, services: Vec::new(), unready: 0 });
            group.unready = group.unready.max(unready);
            group.services.push((service, behind));
        }
        findings.extend(groups.into_values().map(|g| g.finding(snap)));
        Ok(Diagnosis::Findings(findings))
    }
}

/// The targets that are down, or that nobody could ask for, and that a Service serves.
fn targets_of<'a>(snap: &Snapshot, service: &Service, down: &'a [Down<'a>]) -> Vec<&'a Down<'a>> {
    let meta = &service.metadata;
    let is_dns = meta.namespace == "kube-system" && meta.label("k8s-app") == Some("kube-dns");
    let serves = |d: &&Down<'_>| {
        if is_dns && d.failure == ScrapeFailure::Dns {
            return true;
        }
        let behind = d.address.as_ref().and_then(|a| targets::service_of(snap, d.target, a));
        behind.is_some_and(|(namespace, name)| namespace == meta.namespace && name == meta.name)
    };
    down.iter().filter(serves).collect()
}

/// Services of the stack and those behind a down target, if it is Kubernetes that keeps their endpoints.
fn is_looked_at(snap: &Snapshot, service: &Service, behind: &[&Down<'_>]) -> bool {
    let meta = &service.metadata;
    let is_kept = !service.spec.selector.is_empty() && service.spec.kind.as_deref() != Some("ExternalName");
    is_kept
        && (snap.scope.is_stack(&meta.namespace) || !behind.is_empty())
        && !is_provided_elsewhere(snap, service)
        && meta.deletion_timestamp.is_none()
}

/// Services that charts make for parts which EKS runs out of the cluster: without pods they are as they should be.
fn is_provided_elsewhere(snap: &Snapshot, service: &Service) -> bool {
    let meta = &service.metadata;
    if snap.platform == Platform::Other
        || meta.namespace != "kube-system"
        || snap.pods_of_service(service).next().is_some()
    {
        return false;
    }
    let selects = |values: &[&str]| service.spec.selector.values().any(|v| values.contains(&v.as_str()));
    if targets::is_control_plane_name(&meta.name) || selects(&["kube-scheduler", "kube-controller-manager", "etcd"]) {
        return true;
    }
    // Auto Mode runs DNS and kube-proxy as services of its nodes.
    snap.nodes.items().unwrap_or_default().iter().any(|n| n.is_auto_mode())
        && selects(&["kube-dns", "coredns", "kube-proxy"])
}

/// The reason that is worth a finding.
fn reason<'a>(snap: &'a Snapshot, service: &'a Service, behind: &[&Down<'_>]) -> Option<Cause<'a>> {
    let namespace = &service.metadata.namespace;
    if !snap.pods.covers(namespace) {
        return None;
    }
    let reason = Cause::of(snap, service)?;
    let is_quiet = match &reason {
        // Off on purpose, as long as nobody asks for it.
        Cause::ScaledToZero(_) => true,
        Cause::NotReady(pods) | Cause::Pending(pods) => pods.iter().all(|p| is_young(snap, p)),
        // The operator leaves its governing Service behind when the Prometheus or Alertmanager is deleted.
        Cause::NoWorkload => service.metadata.labels.keys().any(|k| k.starts_with("operated-")),
        _ => false,
    };
    (!is_quiet || !behind.is_empty()).then_some(reason)
}

/// What may be why there is no workload behind a Service: its release, whose installation was refused, and the CRD of what the
/// operator would make it from.
fn not_made(service: &Service) -> Vec<ResourceRef> {
    let (meta, selector) = (&service.metadata, &service.spec.selector);
    let release = managed::release(meta).or_else(|| Some((releases::labelled(meta)?, meta.namespace.as_str())));
    let operation = release.map(|(name, home)| ResourceRef::kubernetes("helm.sh", "HelmOperation", home, name));
    let kind = selector.get("app.kubernetes.io/name").filter(|_| selector.contains_key("operator.prometheus.io/name"));
    let crd = match kind.map(String::as_str) {
        Some("prometheus") => Some("prometheuses"),
        Some("alertmanager") => Some("alertmanagers"),
        _ => None,
    };
    let crd = crd.map(|plural| ResourceRef::crd(&format!("{plural}.monitoring.coreos.com")));
    operation.into_iter().chain(crd).collect()
}

/// Services without a ready endpoint for one reason: a chart's Service and the governing one of its StatefulSet.
struct Group<'a> {
    reason: Cause<'a>,
    services: Vec<(&'a Service, Vec<&'a Down<'a>>)>,
    unready: usize,
}

impl Group<'_> {
    fn finding(mut self, snap: &Snapshot) -> Finding {
        let headless = |s: &Service| s.spec.cluster_ip.as_deref() == Some("None");
        self.services.sort_by_key(|(s, behind)| (behind.is_empty(), headless(s), s.metadata.name.clone()));
        let first = self.services[0].0;
        let subjects: Vec<ResourceRef> = self.services.iter().map(|(s, _)| reference(s)).collect();
        let names: Vec<String> = subjects.iter().map(ResourceRef::name).collect();
        let last = match &self.reason {
            Cause::NotReady(pods) => back::first_unready(snap, pods),
            _ => None,
        };
        let change = last.as_ref().map(|(_, last)| format!("; {}", back::words(last))).unwrap_or_default();
        // It only adds to what the probe met.
        let pods = self.reason.pods();
        let elsewhere = journal::aside(|| pods.iter().find_map(|p| Some((*p, elsewhere(snap, p)?))));
        let complains = || {
            let of = |p: &&Pod| Complains::of(snap, p, endpoints::unready_container(p)?);
            journal::aside(|| pods.iter().find_map(of)).map(|c| c.words())
        };
        let more = elsewhere.as_ref().map(|(_, e)| e.words()).or_else(complains);
        let more = more.map(|m| format!("; {m}")).unwrap_or_default();
        let words = format!("{}{more}{change}", self.reason.words(snap, first));
        let message = match names.as_slice() {
            [one] => format!("Service {one} has no ready endpoint: {words}"),
            many => format!("Services {} have no ready endpoint: {words}", many.join(", ")),
        };
        let owners = self.reason.owners(snap);
        let mut made = Finding::new(ServiceNoEndpoints::META.id, self.severity(snap), subjects[0].clone(), message)
            .also_all(subjects.iter().cloned())
            .fix(Fix::endpoints(snap, first, &self.reason, last.as_ref()))
            .key(subjects[0].key());
        // The workload is what has to be mended; what its fault takes away are the Services.
        made = subjects.into_iter().fold(made, Finding::breaks);
        let is_pod = |r: &ResourceRef| r.kind_label() == "Pod";
        made = made.also_all(owners.iter().filter(|o| !is_pod(o)).cloned());
        for pod in self.reason.pods() {
            made = made.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
            for authority in mesh::awaited(snap, pod) {
                let meta = &authority.metadata;
                made = made.depends_on(ResourceRef::pod(&meta.namespace, &meta.name));
            }
        }
        made = owners.into_iter().fold(made, Finding::depends_on);
        if matches!(self.reason, Cause::NoWorkload) {
            for server in self.services.iter().flat_map(|(s, _)| front::servers_behind(snap, s)) {
                made = made.depends_on(server.reference()).depends_on(server.set());
            }
            for (service, _) in &self.services {
                made = not_made(service).into_iter().fold(made, Finding::depends_on);
            }
        }
        made = dead_nodes(snap, self.reason.pods().iter().copied()).into_iter().fold(made, Finding::depends_on);
        let mut made = self.evidence(snap, made, first);
        if let Some((pod, elsewhere)) = &elsewhere
            && let Some(container) = endpoints::unready_container(pod)
        {
            let meta = &pod.metadata;
            made = made.evidence(log_evidence(&meta.namespace, &meta.name, &container.name, false, &elsewhere.line));
        }
        last.and_then(|(_, last)| back::evidence(&last)).into_iter().fold(made, Finding::evidence)
    }

    /// Error where something asks for it: a main part of the stack, or a target that is down.
    fn severity(&self, snap: &Snapshot) -> Severity {
        let is_wanted = self.services.iter().any(|(s, behind)| !behind.is_empty() || is_main(snap, s));
        match self.reason {
            Cause::ScaledToZero(_) => Severity::Warning,
            _ if is_wanted => Severity::Error,
            _ => Severity::Warning,
        }
    }

    fn evidence(&self, snap: &Snapshot, mut made: Finding, service: &Service) -> Finding {
        let meta = &service.metadata;
        made = made.evidence(
            Evidence::new(
                format!("EndpointSlices of Service {}/{}", meta.namespace, meta.name),
                format!("0 ready, {} not ready; selector {}", self.unready, endpoints::selector(service)),
                "kubectl get endpointslices -n {{ namespace }} -l {{ selector }} -o yaml",
            )
            .with("namespace", &meta.namespace)
            .with("selector", format!("kubernetes.io/service-name={}", meta.name)),
        );
        if let Some(pod) = self.reason.pods().first() {
            made = pod_evidence(snap, pod).into_iter().fold(made, Finding::evidence);
        }
        if let Some(workload) = self.reason.workload() {
            let labels = &workload.spec.template.metadata.labels;
            let shown: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let failure = not_created::condition(workload).map(|m| format!("; {m}")).unwrap_or_default();
            let value = format!("replicas {}, labels of its pods {}{failure}", workload.desired(), shown.join(","));
            let source = format!("{} {}/{}", workload.kind, workload.metadata.namespace, workload.metadata.name);
            made = made.evidence(
                Evidence::new(source, value, "kubectl get {{ workload }} -n {{ namespace }} -o yaml")
                    .with("namespace", &workload.metadata.namespace)
                    .with("workload", workload.kubectl_name()),
            );
        }
        made
    }
}

/// Where the container that is not ready says that it listens, where its probe asks elsewhere.
fn elsewhere(snap: &Snapshot, pod: &Pod) -> Option<Elsewhere> {
    let container = endpoints::unready_container(pod)?;
    Elsewhere::of(snap, pod, &container.name, &endpoints::unhealthy(snap, pod)?)
}

fn reference(service: &Service) -> ResourceRef {
    ResourceRef::service(&service.metadata.namespace, &service.metadata.name)
}

/// Prometheus, Alertmanager or Grafana: without it the stack does not work.
fn is_main(snap: &Snapshot, service: &Service) -> bool {
    let meta = &service.metadata;
    let components = [&snap.scope.prometheus, &snap.scope.alertmanager];
    if components.into_iter().flatten().any(|c| c.namespace == meta.namespace && c.service == meta.name) {
        return true;
    }
    let is_part = |name: &str| matches!(name, "prometheus" | "alertmanager" | "grafana");
    let label = meta.label("app.kubernetes.io/name").or(meta.label("app")).or(service
        .spec
        .selector
        .get("app")
        .map(String::as_str));
    snap.scope.is_stack(&meta.namespace) && (is_part(&meta.name) || label.is_some_and(is_part))
}

fn pod_evidence(snap: &Snapshot, pod: &Pod) -> Vec<Evidence> {
    let meta = &pod.metadata;
    let about = |evidence: Evidence| evidence.with("namespace", &meta.namespace).with("pod", &meta.name);
    let ready = pod.condition("Ready");
    let scheduled = pod.condition("PodScheduled").filter(|c| c.status == "False");
    let mut value = vec![format!("phase {}", pod.status.phase)];
    value.extend(ready.map(|c| format!("Ready={}", c.status)));
    value.extend(ready.and_then(|c| c.message.clone()).filter(|m| !m.is_empty()));
    value.extend(scheduled.and_then(|c| c.message.clone()));
    let asked = Some(pod).filter(|p| !endpoints::is_being_created(p)).and_then(endpoints::unready_container);
    value.extend(asked.and_then(endpoints::probe_words).map(|p| format!("readiness probe {p}")));
    let restarts: u32 = pod.status.container_statuses.iter().map(|s| s.restart_count).sum();
    value.push(format!("{restarts} restarts"));
    let source = format!("Pod {}/{} status", meta.namespace, meta.name);
    let mut all =
        vec![about(Evidence::new(source, value.join(", "), "kubectl describe pod {{ pod }} -n {{ namespace }}"))];
    if let Some(message) = endpoints::unhealthy(snap, pod) {
        let source = format!("Event Unhealthy of Pod {}/{}", meta.namespace, meta.name);
        let show = "kubectl get events -n {{ namespace }} --field-selector {{ field }}";
        let field = format!("involvedObject.name={},reason=Unhealthy", meta.name);
        all.push(about(Evidence::new(source, message, show)).with("field", field));
    }
    // What a pod waits for that is not made yet its events say, and nothing else does.
    if endpoints::is_being_created(pod) {
        let told = snap.events_about("Pod", meta, RECENT).into_iter().find(|e| e.kind == "Warning");
        all.extend(told.map(event_evidence));
    }
    let logs = snap.crash_logs().map(Vec::as_slice).unwrap_or_default();
    if let Some(log) = logs.iter().find(|l| l.is_of(meta)) {
        let lines: Vec<&str> = log.text.lines().filter(|l| !l.trim().is_empty()).collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        let source = format!("log of container {} of Pod {}/{}", log.container, meta.namespace, meta.name);
        let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }}{% if previous %} --previous{% endif %} --tail=50";
        all.push(
            about(Evidence::new(source, last, show)).with("container", &log.container).with("previous", log.previous),
        );
    }
    all
}

/// A scraped port that leads nowhere, although pods are ready.
fn port_finding(snap: &Snapshot, service: &Service, behind: &[&Down<'_>]) -> Option<Finding> {
    let faulty: Vec<(PortCause, &Down<'_>)> =
        behind.iter().filter_map(|d| Some((PortCause::of(snap, service, d)?, *d))).collect();
    let (fault, down) = faulty.first()?;
    let meta = &service.metadata;
    let message = format!("Service {}/{} has no endpoint for a scrape: {}", meta.namespace, meta.name, fault.words());
    let shown = service_evidence(service, "spec.ports", fault.words());
    let mut made = Finding::new(ServiceNoEndpoints::META.id, Severity::Error, reference(service), message)
        .fix(Fix::port(snap, service, fault, down))
        .evidence(shown)
        .evidence(scrape::evidence(snap, down.target.job(), &[down]));
    made.key = format!("{} {}", reference(service).key(), made.variant);
    // The Service works for others: only these URLs do not.
    let same = faulty.iter().filter(|(f, _)| f == fault);
    let urls: BTreeSet<&str> = same.map(|(_, d)| d.target.scrape_url.as_str()).collect();
    made = urls.into_iter().fold(made, |made, url| made.breaks(ResourceRef::ScrapeUrl { url: url.to_owned() }));
    Some(made)
}

#[cfg(test)]
mod tests;
