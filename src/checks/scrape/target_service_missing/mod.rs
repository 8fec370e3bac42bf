//! A scrape target names a Service that does not exist.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::origin::ChangeJob;
use crate::checks::support::scrape::{self, Targets};
use crate::checks::{Check, check};
use crate::domain::kubernetes::index::selects;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::{service_host, service_port};
use crate::domain::prometheus::configured;
use crate::domain::prometheus::origin::{self, Line};
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::{self, Address, Down};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Service, Workload};
use crate::snapshot::monitoring::ScrapeTarget;
use crate::text::near;

check! {
    /// See the check's page.
    TargetServiceMissing {
        id: "target-service-missing", suite: Scrape, severity: Error,
        title: "a scrape target names a Service that does not exist",
        requires: [Services],
        uses: [PrometheusTargets, PrometheusConfig, MonitoringResources, ConfigMaps, Workloads, Pods, Nodes],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    /// It is the job that has to be changed.
    changes_job: bool,
    #[serde(flatten)]
    change: ChangeJob,
    #[serde(flatten)]
    targets: Targets,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Rename {
        corrections: Vec<Correction>,
        meant: String,
        meant_namespace: String,
    },
    NotDeployed {
        corrections: Vec<Correction>,
        name: String,
        namespace: String,
        ports: String,
    },
    NoService {
        name: String,
        namespace: String,
        /// The labels of the workload's pods.
        selector: Vec<Label>,
        service_ports: BTreeSet<u16>,
        workload_kind: String,
        workload_managed_by: String,
    },
}

#[derive(Serialize, JsonSchema)]
struct Label {
    key: String,
    value: String,
}

impl Check for TargetServiceMissing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let configured = configured::targets(snap);
        // Where Prometheus cannot be asked, its configuration still names Services; that others are scraped is not known.
        let (all, down, mut unseen) = match targets::down(snap) {
            Ok(down) => (targets::all(snap), down, None),
            Err(gap) => (configured.as_slice(), configured.iter().filter_map(unasked).collect(), Some(gap)),
        };
        let mut missing: BTreeMap<(String, String), Vec<&Down<'_>>> = BTreeMap::new();
        for target in &down {
            let Some(host) = unresolved_host(target).and_then(|h| targets::cluster_host(snap, h)) else { continue };
            match snap.services.find(&host.namespace, &host.service) {
                Ok(None) => missing.entry((host.namespace, host.service)).or_default().push(target),
                Ok(Some(_)) => {}
                Err(gap) => unseen = unseen.or(Some(gap)),
            }
        }
        let missing = missing.into_iter().map(|((namespace, name), down)| Missing { namespace, name, down, all });
        let found: Vec<Finding> = missing.filter(|m| m.is_certain(snap)).map(|m| m.finding(snap)).collect();
        // What was found stays found, whatever else could not be seen.
        match unseen {
            Some(gap) if found.is_empty() => Err(gap),
            _ => Ok(Diagnosis::Findings(found)),
        }
    }
}

/// A target that nobody has scraped here: a name that no Service has is one that DNS does not know.
fn unasked(target: &ScrapeTarget) -> Option<Down<'_>> {
    let address = Address::parse(&target.scrape_url)?;
    let failure = ScrapeFailure::NoSuchHost(address.host.clone());
    Some(Down { target, failure, address: Some(address) })
}

/// The host that DNS does not know.
fn unresolved_host<'a>(down: &'a Down<'_>) -> Option<&'a str> {
    let own = down.address.as_ref().map(|a| a.host.as_str());
    match &down.failure {
        ScrapeFailure::NoSuchHost(host) if !host.is_empty() => Some(host),
        ScrapeFailure::NoSuchHost(_) | ScrapeFailure::Dns => own,
        _ => None,
    }
}

/// A Service that targets name and that does not exist.
struct Missing<'a> {
    namespace: String,
    name: String,
    down: Vec<&'a Down<'a>>,
    /// Every target that is known.
    all: &'a [ScrapeTarget],
}

/// One target to correct.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
struct Correction {
    job: String,
    path: String,
    old: String,
    new: String,
    /// The job has no other target.
    alone: bool,
}

impl Missing<'_> {
    fn resource(&self) -> ResourceRef {
        ResourceRef::service(&self.namespace, &self.name)
    }

    /// Prometheus says that it does not find it, or it is missing among others: a job may be there before its application, and
    /// where nobody has asked Prometheus, nothing says that anybody waits for that.
    fn is_certain(&self, snap: &Snapshot) -> bool {
        let told = self.down.iter().any(|d| !d.target.last_error.is_empty());
        told || service_host::has_services(snap, &self.namespace) || self.meant(snap).is_some()
    }

    fn addresses(&self) -> impl Iterator<Item = (&Down<'_>, &Address)> {
        self.down.iter().filter_map(|d| Some((*d, d.address.as_ref()?)))
    }

    fn jobs(&self) -> Vec<&str> {
        self.down.iter().map(|d| d.target.job()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn ports(&self) -> BTreeSet<u16> {
        self.addresses().map(|(_, a)| a.port).collect()
    }

    /// Error where a job has no target left.
    fn severity(&self) -> Severity {
        let is_down = |t: &ScrapeTarget| t.health == "down" || self.down.iter().any(|d| std::ptr::eq(d.target, t));
        let all_down = |job: &&str| self.all.iter().filter(|t| t.job() == *job).all(is_down);
        if self.jobs().iter().any(all_down) { Severity::Error } else { Severity::Warning }
    }

    fn finding(&self, snap: &Snapshot) -> Finding {
        let meant = self.meant(snap);
        let line = self.lines(snap).into_iter().next();
        let made = match (meant, line) {
            (Some(service), Some(line)) => self.renamed(service, line),
            (Some(service), None) => {
                self.start(self.resource(), &self.renamed_message(service)).evidence(like(service))
            }
            (None, _) => self.not_deployed(snap),
        };
        let made = self.jobs().into_iter().fold(made, |made, job| {
            let told = |d: &&&Down<'_>| d.target.job() == job && !d.target.last_error.is_empty();
            let of_job: Vec<&Down<'_>> = self.down.iter().filter(told).copied().collect();
            if of_job.is_empty() { made } else { made.evidence(scrape::evidence(snap, job, &of_job)) }
        });
        // What Prometheus was not asked for, its configuration says.
        let written = line.filter(|_| meant.is_none() && self.down.iter().all(|d| d.target.last_error.is_empty()));
        let made = written.map(|line| line_evidence(&line)).into_iter().fold(made, Finding::evidence);
        made.key(self.resource().key()).fix(self.fix(snap, meant, line))
    }

    fn start(&self, subject: ResourceRef, message: &str) -> Finding {
        let absent = Evidence::new(
            format!("Services of namespace {}", self.namespace),
            format!("no Service {}", self.name),
            "kubectl get service -n {{ namespace }}",
        );
        Finding::new(TargetServiceMissing::META.id, self.severity(), subject, message)
            .evidence(absent.with("namespace", &self.namespace))
    }

    fn renamed_message(&self, meant: &Service) -> String {
        let (namespace, name) = (&self.namespace, &self.name);
        let meta = &meant.metadata;
        let jobs = listed("job", &self.jobs());
        format!("{jobs} names Service {namespace}/{name}, which does not exist; {}/{} does", meta.namespace, meta.name)
    }

    /// The configuration is wrong: it is what has to change, and the Service it names is what others miss.
    fn renamed(&self, meant: &Service, line: Line<'_>) -> Finding {
        let map = &line.config_map.metadata;
        let subject = ResourceRef::config_map(&map.namespace, &map.name);
        self.start(subject, &self.renamed_message(meant))
            .also(self.resource())
            .breaks(self.resource())
            .evidence(line_evidence(&line))
            .evidence(like(meant))
    }

    fn not_deployed(&self, snap: &Snapshot) -> Finding {
        let (namespace, name) = (&self.namespace, &self.name);
        let jobs = listed("job", &self.jobs());
        let workload = self.workload(snap);
        let rest = match workload {
            Some(w) => format!("; {} {name} runs without one", w.kind),
            None if !service_host::has_services(snap, namespace) => {
                "; its namespace holds no Service at all".to_owned()
            }
            None if snap.workloads.covers(namespace) => ", and no workload has its name".to_owned(),
            None => String::new(),
        };
        let message = format!("{jobs} names Service {namespace}/{name}, which does not exist{rest}");
        self.start(self.resource(), &message)
    }

    /// A workload of the Service's name that runs without it.
    fn workload<'a>(&self, snap: &'a Snapshot) -> Option<&'a Workload> {
        let found = snap.workloads.find(&self.namespace, &self.name).ok().flatten()?;
        let selected = snap.services.items().unwrap_or_default().iter().any(|s| {
            s.metadata.namespace == self.namespace && selects(&s.spec.selector, &found.spec.template.metadata.labels)
        });
        (!selected).then_some(found)
    }

    /// The Service that is probably meant, where exactly one comes into question. It must offer the scraped ports, and
    /// no other job may scrape it there already: then it is the other one that is meant.
    fn meant<'a>(&self, snap: &'a Snapshot) -> Option<&'a Service> {
        let namespace_exists = service_host::has_services(snap, &self.namespace);
        let rank = |s: &Service| {
            let (namespace, name) = (s.metadata.namespace.as_str(), s.metadata.name.as_str());
            if name == self.name {
                return near::same_namespace(&self.namespace, namespace, namespace_exists).then_some(0);
            }
            if namespace != self.namespace {
                return None;
            }
            if near::same_service(&self.name, name) {
                return Some(1);
            }
            near::typo(&self.name, name, 1).then_some(2)
        };
        let mut ranked: Vec<(i32, &Service)> = snap
            .services
            .items()
            .unwrap_or_default()
            .iter()
            .filter_map(|s| Some((rank(s)?, s)))
            .filter(|(_, s)| self.offers_ports(s) && !self.is_scraped(snap, s))
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        let (best, service) = ranked.first()?;
        (ranked.iter().filter(|(rank, _)| rank == best).count() == 1).then_some(*service)
    }

    fn offers_ports(&self, service: &Service) -> bool {
        let ports = self.ports();
        !ports.is_empty() && ports.iter().all(|port| service.spec.ports.iter().any(|p| p.port == *port))
    }

    /// True if another target leads to `service` on a port and path that these targets ask for.
    fn is_scraped(&self, snap: &Snapshot, service: &Service) -> bool {
        let wanted: BTreeSet<(u16, &str)> = self.addresses().map(|(_, a)| (a.port, a.bare_path())).collect();
        let key = (service.metadata.namespace.clone(), service.metadata.name.clone());
        self.all.iter().any(|t| {
            let Some(address) = Address::parse(&t.scrape_url) else { return false };
            // Discovered targets carry the pod's port, which may differ from the Service's.
            let behind = |p: u16| {
                service_port::find(service, p).is_some_and(|(_, of_service)| {
                    snap.pods_of_service(service).any(|pod| service_port::target(of_service, pod) == Some(address.port))
                })
            };
            let port = |p: u16| p == address.port || behind(p);
            wanted.iter().any(|(p, path)| port(*p) && *path == address.bare_path())
                && targets::service_of(snap, t, &address).as_ref() == Some(&key)
        })
    }

    fn lines<'a>(&self, snap: &'a Snapshot) -> Vec<Line<'a>> {
        self.addresses().map(|(_, a)| origin::lines_with(snap, &a.host)).find(|l| !l.is_empty()).unwrap_or_default()
    }

    fn corrections(&self, meant: Option<&Service>) -> Vec<Correction> {
        let new = |address: &Address| match meant {
            Some(service) => corrected(address, &self.namespace, &self.name, service),
            None => address.host_port(),
        };
        let all = self.addresses().map(|(down, address)| Correction {
            job: down.target.job().to_owned(),
            path: address.bare_path().to_owned(),
            old: address.host_port(),
            new: new(address),
            alone: self.all.iter().filter(|t| t.job() == down.target.job()).count() == 1,
        });
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn fix(&self, snap: &Snapshot, meant: Option<&Service>, line: Option<Line<'_>>) -> Fix {
        let jobs = self.jobs();
        let way = match (meant, self.workload(snap)) {
            (Some(service), _) => Way::Rename {
                corrections: self.corrections(meant),
                meant: service.metadata.name.clone(),
                meant_namespace: service.metadata.namespace.clone(),
            },
            (None, Some(workload)) => self.served(workload),
            (None, None) => Way::NotDeployed {
                corrections: self.corrections(None),
                name: self.name.clone(),
                namespace: self.namespace.clone(),
                ports: self.ports().iter().map(u16::to_string).collect::<Vec<_>>().join(", "),
            },
        };
        Fix {
            changes_job: matches!(way, Way::Rename { .. }),
            change: ChangeJob::at(snap, jobs[0], line),
            targets: Targets::of(snap, (jobs.len() == 1).then_some(jobs[0])),
            way,
        }
    }

    /// The Service that the workload of its name lacks.
    fn served(&self, workload: &Workload) -> Way {
        let labels = workload.spec.selector.as_ref().and_then(|s| s.match_labels.clone()).unwrap_or_default();
        Way::NoService {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            selector: labels.into_iter().map(|(key, value)| Label { key, value }).collect(),
            service_ports: self.ports(),
            workload_kind: workload.kind.to_lowercase(),
            workload_managed_by: managed_by(&workload.metadata),
        }
    }
}

/// The target with the Service that is meant, written as the old one was.
fn corrected(address: &Address, namespace: &str, name: &str, meant: &Service) -> String {
    let meta = &meant.metadata;
    let mut labels: Vec<String> = address.host.split('.').map(str::to_owned).collect();
    if labels.len() == 1 {
        let host =
            if meta.namespace == namespace { meta.name.clone() } else { format!("{}.{}", meta.name, meta.namespace) };
        return format!("{host}:{}", address.port);
    }
    // <service>.<namespace>… or <pod>.<service>.<namespace>.svc…
    if let Some(at) = labels.windows(2).position(|pair| pair[0] == name && pair[1] == namespace) {
        labels[at].clone_from(&meta.name);
        labels[at + 1].clone_from(&meta.namespace);
    }
    format!("{}:{}", labels.join("."), address.port)
}

fn line_evidence(line: &Line<'_>) -> Evidence {
    let map = &line.config_map.metadata;
    let source = format!("ConfigMap {}/{} {}:{}", map.namespace, map.name, line.key, line.number);
    Evidence::new(source, line.text.trim(), "kubectl get configmap {{ name }} -n {{ namespace }} -o yaml")
        .with("namespace", &map.namespace)
        .with("name", &map.name)
}

fn like(service: &Service) -> Evidence {
    let meta = &service.metadata;
    let ports: Vec<String> = service.spec.ports.iter().map(|p| p.port.to_string()).collect();
    Evidence::new(
        format!("Service {}/{} spec.ports", meta.namespace, meta.name),
        format!("exists, port {}", ports.join(", ")),
        "kubectl get service {{ name }} -n {{ namespace }}",
    )
    .with("namespace", &meta.namespace)
    .with("name", &meta.name)
}

fn listed(word: &str, names: &[&str]) -> String {
    match names {
        [one] => format!("{word} {one}"),
        many => format!("each of {word}s {}", many.join(", ")),
    }
}

#[cfg(test)]
mod tests;
