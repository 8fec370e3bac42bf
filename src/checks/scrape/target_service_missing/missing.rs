//! A Service that does not exist, the targets that name it, and the one that is meant.

use std::collections::BTreeSet;

use super::TargetServiceMissing;
use crate::checks::support::scrape;
use crate::domain::kubernetes::index::selects;
use crate::domain::kubernetes::{service_host, service_port};
use crate::domain::prometheus::origin::{self, Line};
use crate::domain::prometheus::targets::{self, Address, Down};
use crate::model::{Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Service, Workload};
use crate::snapshot::monitoring::ScrapeTarget;
use crate::text::near;

/// A Service that targets name and that does not exist.
pub(super) struct Missing<'a> {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) down: Vec<&'a Down<'a>>,
    /// Every target that is known.
    pub(super) all: &'a [ScrapeTarget],
}

impl Missing<'_> {
    fn resource(&self) -> ResourceRef {
        ResourceRef::service(&self.namespace, &self.name)
    }

    /// Prometheus says that it does not find it, or it is missing among others: a job may be there before its application, and
    /// where nobody has asked Prometheus, nothing says that anybody waits for that.
    pub(super) fn is_certain(&self, snap: &Snapshot) -> bool {
        let told = self.down.iter().any(|d| !d.target.last_error.is_empty());
        told || service_host::has_services(snap, &self.namespace) || self.meant(snap).is_some()
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = (&Down<'_>, &Address)> {
        self.down.iter().filter_map(|d| Some((*d, d.address.as_ref()?)))
    }

    pub(super) fn jobs(&self) -> Vec<&str> {
        self.down.iter().map(|d| d.target.job()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(super) fn ports(&self) -> BTreeSet<u16> {
        self.addresses().map(|(_, a)| a.port).collect()
    }

    /// Error where a job has no target left.
    fn severity(&self) -> Severity {
        let is_down = |t: &ScrapeTarget| t.health == "down" || self.down.iter().any(|d| std::ptr::eq(d.target, t));
        let all_down = |job: &&str| self.all.iter().filter(|t| t.job() == *job).all(is_down);
        if self.jobs().iter().any(all_down) { Severity::Error } else { Severity::Warning }
    }

    /// Without its fix.
    pub(super) fn finding(&self, snap: &Snapshot, meant: Option<&Service>, line: Option<Line<'_>>) -> Finding {
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
        made.key(self.resource().key())
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
    pub(super) fn workload<'a>(&self, snap: &'a Snapshot) -> Option<&'a Workload> {
        let found = snap.workloads.find(&self.namespace, &self.name).ok().flatten()?;
        let selected = snap.services.items().unwrap_or_default().iter().any(|s| {
            s.metadata.namespace == self.namespace && selects(&s.spec.selector, &found.spec.template.metadata.labels)
        });
        (!selected).then_some(found)
    }

    /// The Service that is probably meant, where exactly one comes into question. It must offer the scraped ports, and
    /// no other job may scrape it there already: then it is the other one that is meant.
    pub(super) fn meant<'a>(&self, snap: &'a Snapshot) -> Option<&'a Service> {
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

    pub(super) fn lines<'a>(&self, snap: &'a Snapshot) -> Vec<Line<'a>> {
        self.addresses().map(|(_, a)| origin::lines_with(snap, &a.host)).find(|l| !l.is_empty()).unwrap_or_default()
    }
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
