//! A page that is scraped, and where else its Service offers metrics.

use crate::checks::scrape::target_not_metrics::cause::Cause;
use crate::checks::support::scrape::SHOW_ANSWER;
use crate::domain::kubernetes::service_port;
use crate::domain::prometheus::targets::{self, Address, Down};
use crate::model::{Evidence, Finding};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Service, ServicePort};

/// Characters of an answer that are shown.
pub(super) const SHOWN: usize = 200;

/// One page that is scraped, at one or several targets.
pub(super) struct Answer<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) targets: &'a [&'a Down<'a>],
    pub(super) first: &'a Down<'a>,
    pub(super) address: &'a Address,
    pub(super) service: Option<&'a Service>,
    pub(super) body: Option<&'a str>,
    pub(super) kind: Cause,
}

/// Where else the same Service offers metrics.
pub(super) struct Better {
    pub(super) path: String,
    pub(super) port: Option<u16>,
    /// The name of that port, where it is another one than the job's.
    pub(super) name: Option<String>,
    pub(super) source: String,
}

impl<'a> Answer<'a> {
    pub(super) fn of(snap: &'a Snapshot, targets: &'a [&'a Down<'a>]) -> Option<Self> {
        let first = *targets.first()?;
        let address = first.address.as_ref()?;
        let body = targets.iter().find_map(|d| targets::answer(snap, &d.target.scrape_url));
        Some(Self {
            snap,
            targets,
            first,
            address,
            service: targets::existing_service_of(snap, first.target, address),
            body,
            kind: Cause::of(&first.target.last_error, body),
        })
    }

    pub(super) fn answer_path(&self) -> Option<String> {
        targets::answer_path(self.snap, self.first.target, self.address)
    }

    /// The same place at another path and port, as the API server's proxy calls it.
    pub(super) fn answer_path_of(&self, better: &Better) -> Option<String> {
        let port = better.port.unwrap_or(self.address.port);
        let address = Address { path: better.path.clone(), port, ..self.address.clone() };
        targets::answer_path(self.snap, self.first.target, &address)
    }

    /// The begin of the answer, where it is known.
    pub(super) fn answer_evidence(&self, made: Finding) -> Finding {
        let Some(body) = self.body else { return made };
        let mut shown: String = body.trim().chars().take(SHOWN).collect();
        if shown.len() < body.trim().len() {
            shown.push('…');
        }
        let url = &self.first.target.scrape_url;
        made.evidence(
            Evidence::new(format!("answer of {url}"), shown, SHOW_ANSWER)
                .with("url", url)
                .with("answer_path", self.answer_path()),
        )
    }

    /// Another path of the same Service that is scraped with success, or that its annotations name.
    pub(super) fn better(&self) -> Option<Better> {
        let service = self.service?;
        let key = (service.metadata.namespace.clone(), service.metadata.name.clone());
        let path = self.address.bare_path();
        let scraped = targets::all(self.snap).iter().filter(|t| t.health == "up").find_map(|t| {
            let address = Address::parse(&t.scrape_url)?;
            let same = targets::service_of(self.snap, t, &address).as_ref() == Some(&key);
            let better = Better {
                path: address.bare_path().to_owned(),
                // A target found by discovery carries the pod's port, not the Service's.
                port: service.spec.ports.iter().any(|p| p.port == address.port).then_some(address.port),
                name: None,
                source: format!("job {}, which is up", t.job()),
            };
            (same && better.path != path).then_some(better)
        });
        let pod = self.snap.pods_of_service(service).next();
        let annotated = || {
            let metas = [Some(&service.metadata), pod.map(|p| &p.metadata)];
            metas.into_iter().flatten().find_map(|meta| {
                let annotated = meta
                    .annotations
                    .get(crate::snapshot::kubernetes::annotation::SCRAPE_PATH)
                    .filter(|p| *p != path && p.starts_with('/'))?;
                let port = meta
                    .annotations
                    .get(crate::snapshot::kubernetes::annotation::SCRAPE_PORT)
                    .and_then(|p| p.parse().ok());
                let source = format!("annotation prometheus.io/path of {}/{}", meta.namespace, meta.name);
                let offered = port.filter(|p| service.spec.ports.iter().any(|own| own.port == *p));
                Some(Better { path: annotated.clone(), port: offered, name: None, source })
            })
        };
        scraped.or_else(annotated).or_else(|| self.actuator()).or_else(|| self.port(service))
    }

    /// Another port of the Service that is called by what it serves.
    fn port(&self, service: &Service) -> Option<Better> {
        let pod = self.snap.pods_of_service(service).next()?;
        let asked = self.address.port;
        let is_other = |p: &&ServicePort| p.port != asked && service_port::target(p, pod).is_some_and(|t| t != asked);
        let of_metrics = |p: &&ServicePort| p.name.as_deref().is_some_and(is_of_metrics);
        let mut named = service_port::tcp(service).map(|(_, p)| p).filter(is_other).filter(of_metrics);
        let port = named.next().filter(|_| named.next().is_none())?;
        let (name, meta) = (port.name.clone()?, &service.metadata);
        let source = format!("port {name} of Service {}/{}, by its name", meta.namespace, meta.name);
        Some(Better { path: "/metrics".to_owned(), port: Some(port.port), name: Some(name), source })
    }

    /// Spring Boot's exposition, where its actuator answers.
    fn actuator(&self) -> Option<Better> {
        let path = self.address.bare_path();
        if self.kind != Cause::Json || !is_actuator(path, self.body.unwrap_or_default()) {
            return None;
        }
        let base = path.find("/actuator").map_or("", |at| &path[..at]);
        let source = format!("Spring Boot, whose actuator answers JSON at {path}");
        let path = format!("{base}/actuator/prometheus");
        Some(Better { path, port: Some(self.address.port), name: None, source })
    }

    /// What it answers, with the type that it declares.
    pub(super) fn answers(&self) -> String {
        let declared = self.first.target.last_error.split_once("unsupported Content-Type \"");
        match (self.kind, declared.and_then(|(_, rest)| rest.split('"').next())) {
            (Cause::Metrics, Some(declared)) => {
                format!("metrics as Content-Type {declared}, which Prometheus does not take,")
            }
            (kind, _) => kind.words().to_owned(),
        }
    }
}

impl Better {
    pub(super) fn place(&self) -> String {
        self.port.map_or_else(|| self.path.clone(), |port| format!("port {port}, {}", self.path))
    }
}

/// The name of a port at which metrics are.
fn is_of_metrics(name: &str) -> bool {
    name.contains("metrics") || name.starts_with("prom") || name.ends_with("-prom")
}

/// Spring Boot's actuator, by its list of endpoints or of meters: its exposition lies at a path of its own.
fn is_actuator(path: &str, body: &str) -> bool {
    let listed = body.contains("\"_links\"") && body.contains("/actuator/");
    let meters = body.contains("\"names\"") && body.contains("\"jvm.");
    listed || meters || path.ends_with("/actuator") || path.ends_with("/actuator/metrics")
}

/// Paths at which applications say whether they live; metrics are never there.
pub(super) fn is_health_path(path: &str) -> bool {
    const NAMES: &[&str] = &[
        "live",
        "liveness",
        "livez",
        "ready",
        "readiness",
        "readyz",
        "health",
        "healthz",
        "healthcheck",
        "health-check",
        "ping",
        "alive",
        "startup",
        "heartbeat",
        "status",
    ];
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    NAMES.contains(&last.strip_prefix('_').unwrap_or(last).to_ascii_lowercase().as_str())
}
