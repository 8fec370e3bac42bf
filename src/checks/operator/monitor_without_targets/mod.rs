//! A monitor that Prometheus selects finds no target: no Service, no such port, no endpoint, or all of them dropped.

mod words;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use words::{monitor_seen, service_seen, words};

use crate::checks::support::operator::{Label, Loaded, Operator, Server, StackRelease, server_text};
use crate::checks::support::scrape::{SHOW_TARGETS, targets_params};
use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::prometheus::operator::chain::{self, End};
use crate::domain::prometheus::operator::selection::{self, Kind};
use crate::domain::prometheus::operator::{deployment, kubelet_services, log};
use crate::domain::prometheus::targets::{is_control_plane_name, is_of_auto_nodes};
use crate::model::{Cause, CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Monitor, MonitorEndpoint, MonitoringResource, Service};
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    MonitorWithoutTargets {
        id: "monitor-without-targets", suite: Operator, severity: Error,
        title: "a monitor finds no target",
        requires: [MonitoringResources, Monitors, Services],
        uses: [
            OtherServers, Namespaces, Nodes, Workloads, Pods, EndpointSlices, PrometheusConfig, PrometheusTargets, DroppedTargets,
            PrometheusRuntime, PartLogs, GitOps,
        ],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    kind: &'static str,
    /// Its kind as kubectl takes it.
    resource: &'static str,
    monitor: String,
    namespace: String,
    managed: String,
    /// It is to be switched off: no targets will come.
    off: bool,
    #[serde(flatten)]
    loaded: Loaded,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    NoService {
        /// None where it looks at all of them.
        namespaces: Option<BTreeSet<String>>,
        selector: String,
    },
    /// The Service of the kubelets, which the operator makes.
    Kubelet {
        /// `namespace/name` of the one that an operator is asked to keep.
        asked: Option<String>,
        #[serde(flatten)]
        operator: Operator,
        operator_managed: String,
    },
    Namespace {
        #[serde(flatten)]
        service: Named,
        patch: String,
    },
    ServiceLabels {
        #[serde(flatten)]
        service: Named,
        service_managed: String,
        service_labels: Vec<Label>,
    },
    Selector {
        #[serde(flatten)]
        service: Named,
        service_labels: Vec<Label>,
        /// The monitor's selector as the Service has its labels, where it can have them.
        patch: Option<String>,
    },
    Port {
        /// The number of the endpoint.
        at: usize,
        service: Option<String>,
        /// Names the port that is meant.
        patch: Option<String>,
    },
    TargetPort,
    /// The Service's own targetPort is no port of the containers.
    ServiceTarget {
        #[serde(flatten)]
        service: Named,
        service_managed: String,
        /// Leads to the only port that the containers declare.
        patch: Option<String>,
    },
    Endpoints {
        service_namespace: Option<String>,
    },
    /// Somebody has to write the addresses of a Service without selector.
    NoSelector {
        #[serde(flatten)]
        service: Named,
        /// Its port.
        port: String,
        number: u16,
        /// The Application of Argo CD that has them and may not bring them, and its namespace; none where nobody says so.
        application: Option<String>,
        application_namespace: String,
        sync_patch: String,
    },
    ControlPlane(StackRelease),
    /// Nodes of Auto Mode run it by themselves.
    AutoNodes(StackRelease),
    NoPod {
        namespaces: Option<BTreeSet<String>>,
    },
    Dropped {
        /// The field of the monitor's spec that holds its endpoints.
        list: &'static str,
    },
    Paused(Server),
    NotLoaded {
        #[serde(flatten)]
        server: Server,
        #[serde(flatten)]
        operator: Operator,
    },
}

/// A Service as commands name it.
#[derive(Serialize, JsonSchema)]
struct Named {
    service: String,
    service_namespace: String,
}

impl Named {
    fn of(service: &Service) -> Self {
        Self { service: service.metadata.name.clone(), service_namespace: service.metadata.namespace.clone() }
    }
}

/// Seconds within which a new object need not be in the configuration: operator, kubelet and reloader take their time.
const YOUNG: i64 = 300;

impl Check for MonitorWithoutTargets {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if selection::servers(snap, Kind::ServiceMonitor)?.is_empty() {
            return Ok(Diagnosis::NotApplicable("no Prometheus of the Prometheus Operator".into()));
        }
        snap.services()?;
        let view = View::new(snap);
        let mut findings = Vec::new();
        for monitor in snap.monitors()?.iter().filter(|m| m.metadata.deletion_timestamp.is_none()) {
            let Some(kind) = Kind::parse(&monitor.kind) else { continue };
            // Whom nobody selects is told of elsewhere.
            let Some(server) = selection::selecting(snap, kind, &monitor.metadata)?.into_iter().next() else {
                continue;
            };
            findings.extend(view.judge(kind, monitor, server));
        }
        Ok(Diagnosis::Findings(findings))
    }
}

struct View<'a> {
    snap: &'a Snapshot,
    /// The server whose API answered, and what it has loaded.
    answering: Option<&'a MonitoringResource>,
    jobs: Option<BTreeSet<String>>,
    active: Option<BTreeMap<&'a str, usize>>,
    refused: BTreeSet<(Kind, String, String)>,
}

/// What one endpoint of a monitor comes to.
enum Fault<'a> {
    Walk(End<'a>),
    /// The job is there; relabelling drops everything.
    Dropped(Option<u64>),
    /// The job is not in the configuration that Prometheus runs with.
    NotLoaded,
}

impl<'a> View<'a> {
    fn new(snap: &'a Snapshot) -> Self {
        let active = snap.prometheus_targets().ok().map(|targets| {
            let mut counts = BTreeMap::new();
            for target in targets {
                *counts.entry(target.job()).or_default() += 1;
            }
            counts
        });
        let said = log::said(snap).unwrap_or_default();
        let refused = said.refused.into_iter().map(|r| (r.kind, r.namespace, r.name)).collect();
        Self { snap, answering: chain::answering(snap), jobs: chain::loaded_jobs(snap), active, refused }
    }

    /// The first endpoint that finds nothing; the monitor's other endpoints mostly fail for the same reason.
    fn judge(&self, kind: Kind, monitor: &'a Monitor, server: &'a MonitoringResource) -> Option<Finding> {
        let meta = &monitor.metadata;
        // What the operator leaves out cannot have targets: its refusal is the finding.
        if self.refused.contains(&(kind, meta.namespace.clone(), meta.name.clone())) {
            return None;
        }
        let asked = self.answering.is_some_and(|s| s.reference() == server.reference());
        monitor.spec.endpoints.iter().enumerate().find_map(|(at, endpoint)| {
            let jobs = chain::job_names(kind, &meta.namespace, &meta.name, at);
            let fault = self.fault(server, monitor, endpoint, &jobs, asked)?;
            Some(self.finding(kind, monitor, server, at, endpoint, fault))
        })
    }

    fn fault(
        &self,
        server: &MonitoringResource,
        monitor: &Monitor,
        endpoint: &MonitorEndpoint,
        jobs: &[String],
        asked: bool,
    ) -> Option<Fault<'a>> {
        let active = self.active.as_ref().filter(|_| asked);
        if active.is_some_and(|a| jobs.iter().any(|j| a.contains_key(j.as_str()))) {
            return None;
        }
        let end = chain::walk(self.snap, server, monitor, endpoint);
        match end {
            End::Found | End::Unknown => {}
            // Addresses that someone else keeps may stand in Endpoints alone.
            End::NoEndpoints(ref services)
                if active.is_none() && services.iter().all(|s| s.spec.selector.is_empty()) => {}
            end => return Some(Fault::Walk(end)),
        }
        let loaded = self.jobs.as_ref().filter(|_| asked)?;
        let Some(job) = jobs.iter().find(|j| loaded.contains(*j)) else {
            let young = self.snap.age_seconds(&monitor.metadata) < YOUNG;
            return (!young).then_some(Fault::NotLoaded);
        };
        // Each shard keeps its part only.
        if active.is_none() || server.spec.shards.unwrap_or(1) > 1 || matches!(end, End::Unknown) {
            return None;
        }
        let dropped = self.snap.dropped_targets().ok().map(|all| all.get(job).copied().unwrap_or(0));
        (self.settled() && may_drop(endpoint)).then_some(Fault::Dropped(dropped))
    }

    /// Discovery had a minute since the configuration was loaded.
    fn settled(&self) -> bool {
        let runtime = self.snap.prometheus_runtime().ok();
        let loaded = runtime.and_then(|r| r.last_config_time.max(r.start_time));
        loaded.is_none_or(|t| self.snap.seconds_since(t) > 60)
    }

    fn finding(
        &self,
        kind: Kind,
        monitor: &'a Monitor,
        server: &'a MonitoringResource,
        at: usize,
        endpoint: &MonitorEndpoint,
        fault: Fault<'a>,
    ) -> Finding {
        let meta = &monitor.metadata;
        let subject = kind.reference(&meta.namespace, &meta.name);
        let mut words = words(self.snap, server, monitor, at, &fault);
        if self.is_hidden(monitor, &fault) {
            let of_nodes = is_of_auto_nodes(self.snap, &meta.name);
            let make = if of_nodes { Way::AutoNodes } else { Way::ControlPlane };
            words.way = make(StackRelease::of(server));
        }
        let job = chain::job_names(kind, &meta.namespace, &meta.name, at).swap_remove(0);
        let severity = self.severity(monitor, &fault);
        let message = format!(
            "{} {}/{} is selected by {} and has no target: {}",
            kind.as_str(),
            meta.namespace,
            meta.name,
            server_text(server),
            words.why
        );
        let mut made = Finding::new(MonitorWithoutTargets::META.id, severity, subject.clone(), message)
            .breaks(subject.clone())
            .breaks(ResourceRef::ScrapeJob { job: job.clone() })
            .depends_on(subject)
            .depends_on(ResourceRef::ScrapeJob { job: job.clone() });
        // Alerts name the job as its samples do, which is after the Service unless a label says otherwise.
        if monitor.spec.job_label.is_none() {
            let services = words.services.iter().map(|s| ResourceRef::ScrapeJob { job: s.metadata.name.clone() });
            made = services.fold(made, Finding::breaks);
        }
        made = self.dependencies(&fault, monitor, server).into_iter().fold(made, Finding::depends_on);
        if matches!(words.way, Way::Paused(_)) {
            let text = format!(
                "{} is paused: what its monitors ask for is not written into its configuration",
                server_text(server)
            );
            made = made.cause(Cause::resource(server.reference(), text));
        }
        made.evidence.push(monitor_seen(kind, monitor, at, endpoint));
        made.evidence.extend(words.services.iter().take(3).map(|s| service_seen(s)));
        made.evidence.extend(self.targets_seen(&job, &fault));
        made = made.fix(Fix {
            kind: kind.as_str(),
            resource: kind.kubectl(),
            monitor: meta.name.clone(),
            namespace: meta.namespace.clone(),
            managed: managed_by(meta),
            off: matches!(words.way, Way::ControlPlane(_) | Way::AutoNodes(_)),
            loaded: Loaded::of(self.snap, kind, &meta.namespace, &meta.name),
            way: words.way,
        });
        made.key = made.variant.to_owned();
        made
    }

    /// The monitor is for a part of the control plane, which EKS keeps to itself.
    fn is_hidden(&self, monitor: &Monitor, fault: &Fault<'_>) -> bool {
        matches!(fault, Fault::Walk(End::NoEndpoints(_) | End::NoService(None)))
            && self.snap.platform != Platform::Other
            && (is_control_plane_name(&monitor.metadata.name) || is_of_auto_nodes(self.snap, &monitor.metadata.name))
    }

    fn severity(&self, monitor: &Monitor, fault: &Fault<'_>) -> Severity {
        match fault {
            _ if self.is_hidden(monitor, fault) => Severity::Info,
            // An application at zero, or not deployed: nothing is there to be scraped.
            Fault::Walk(End::NoEndpoints(services)) => {
                if services.iter().all(|s| s.spec.selector.is_empty()) {
                    Severity::Warning
                } else {
                    Severity::Info
                }
            }
            Fault::Walk(End::NoService(None) | End::NoPod) => Severity::Warning,
            Fault::Walk(_) | Fault::NotLoaded => Severity::Error,
            Fault::Dropped(_) => Severity::Warning,
        }
    }

    fn dependencies(&self, fault: &Fault<'_>, monitor: &Monitor, server: &MonitoringResource) -> Vec<ResourceRef> {
        let services = |all: &[&Service]| {
            all.iter().map(|s| ResourceRef::service(&s.metadata.namespace, &s.metadata.name)).collect::<Vec<_>>()
        };
        match fault {
            Fault::Walk(End::NoEndpoints(all)) => services(all),
            Fault::Walk(End::NoService(None)) if kubelet_services::is_meant(monitor) => {
                deployment::operators(self.snap).iter().map(|o| o.workload.reference()).collect()
            }
            Fault::NotLoaded => {
                let operators = deployment::operators(self.snap);
                let mut all: Vec<ResourceRef> = operators.iter().map(|o| o.workload.reference()).collect();
                all.push(server.reference());
                all.push(server.set());
                all
            }
            _ => Vec::new(),
        }
    }

    fn targets_seen(&self, job: &str, fault: &Fault<'_>) -> Option<Evidence> {
        let value = match fault {
            Fault::NotLoaded => {
                let runtime = self.snap.prometheus_runtime().ok();
                let since =
                    runtime.and_then(|r| r.last_config_time).map(|t| format!(", loaded {t}")).unwrap_or_default();
                format!("no such job in the configuration that Prometheus runs with{since}")
            }
            Fault::Dropped(Some(n)) => format!("no active target, {n} dropped"),
            _ if self.active.is_some() => "no active target".to_owned(),
            _ => return None,
        };
        let mut seen = Evidence::new(format!("Prometheus scrape pool {job}"), value, SHOW_TARGETS);
        seen.params = targets_params(self.snap, Some(job));
        Some(seen)
    }
}

/// The endpoint has relabelings of its own that can drop a target; the operator's fit what was walked.
fn may_drop(endpoint: &MonitorEndpoint) -> bool {
    let action = |r: &serde_json::Value| r.get("action").and_then(|a| a.as_str()).map(str::to_ascii_lowercase);
    let drops = ["keep", "drop", "keepequal", "dropequal"];
    endpoint.relabelings.iter().filter_map(action).any(|a| drops.contains(&a.as_str()))
}
