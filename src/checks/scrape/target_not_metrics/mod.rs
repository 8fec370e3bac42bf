//! A scrape URL answers something else than metrics.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::origin::{ChangeJob, monitor_list};
use crate::checks::support::scrape::SHOW_ANSWER;
use crate::checks::support::scrape::{self, Targets};
use crate::checks::{Check, check};
use crate::domain::prometheus::origin;
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::{self, Address, Down};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Service;

/// Characters of an answer that are shown.
const SHOWN: usize = 200;

check! {
    /// See the check's page.
    TargetNotMetrics {
        id: "target-not-metrics", suite: Scrape, severity: Error,
        title: "a scrape URL answers something else than metrics",
        requires: [PrometheusTargets],
        uses: [Services, Pods, TargetAnswers, ConfigMaps, Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    job: String,
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
    NotMetrics {
        path: String,
        url: String,
        answer_path: Option<String>,
        /// It is known what it answers.
        is_known: bool,
        targets: Vec<JobTarget>,
        /// The URLs of a probe in place of the job, its name and the exporter that makes it.
        probed: BTreeSet<String>,
        probe_name: Option<String>,
        blackbox: String,
    },
    Path {
        better_path: String,
        better_target: String,
        better_answer_path: Option<String>,
        /// Where it is known from.
        better_source: String,
        monitor_list: Option<&'static str>,
    },
    ContentType {
        url: String,
        answer_path: Option<String>,
    },
}

impl Check for TargetNotMetrics {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let down = targets::down(snap)?;
        let mut pages: BTreeMap<(String, String), Vec<&Down<'_>>> = BTreeMap::new();
        for target in &down {
            let Some(address) = &target.address else { continue };
            let answered = matches!(target.failure, ScrapeFailure::NotMetrics | ScrapeFailure::BlankContentType);
            if answered {
                let service = targets::service_of(snap, target.target, address);
                // Without a Service the job says which targets are replicas of each other.
                let server =
                    service.map_or_else(|| target.target.job().to_owned(), |(ns, name)| format!("{ns}/{name}"));
                pages.entry((server, address.bare_path().to_owned())).or_default().push(target);
            }
        }
        Ok(Diagnosis::Findings(pages.values().filter_map(|targets| Answer::of(snap, targets)?.finding()).collect()))
    }
}

/// What a URL answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Html,
    /// HTML that asks for a login.
    Login,
    Words,
    Empty,
    /// Metrics, under a Content-Type that Prometheus does not take.
    Metrics,
    /// Not known; the Content-Type says nothing.
    Undeclared,
    /// Not known, but no metrics.
    Unknown,
}

impl Kind {
    /// By the body where it is known, else by what Prometheus says of it.
    fn of(error: &str, body: Option<&str>) -> Self {
        if let Some(body) = body {
            return Self::of_body(body);
        }
        if error.contains("blank Content-Type") || error.contains("cannot parse Content-Type") {
            return Self::Undeclared;
        }
        if let Some((_, declared)) = error.split_once("unsupported Content-Type \"") {
            let declared = declared.split(['"', ';']).next().unwrap_or_default();
            return match declared.trim() {
                json if json.ends_with("json") => Self::Json,
                "text/html" | "application/xhtml+xml" => Self::Html,
                _ => Self::Undeclared,
            };
        }
        match error.split_once(" while parsing: ") {
            Some((_, seen)) => Self::of_body(&seen.trim_matches('"').replace("\\n", "\n").replace("\\\"", "\"")),
            None => Self::Unknown,
        }
    }

    fn of_body(body: &str) -> Self {
        match body.trim_start().chars().next() {
            None => Self::Empty,
            Some('{' | '[') => Self::Json,
            Some('<') if is_login(body) => Self::Login,
            Some('<') => Self::Html,
            Some(_) if targets::is_exposition(body) => Self::Metrics,
            Some(_) => Self::Words,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Html => "HTML",
            Self::Login => "a login page (HTML)",
            Self::Words => "plain text that is no metric",
            Self::Empty => "nothing",
            Self::Metrics => "metrics under a Content-Type that Prometheus does not take",
            Self::Undeclared => "without a Content-Type that Prometheus 3 takes (no fallback_scrape_protocol is set)",
            Self::Unknown => "something else than metrics",
        }
    }
}

/// A page that wants to know who asks.
fn is_login(body: &str) -> bool {
    let lower = body.to_ascii_lowercase();
    ["type=\"password\"", "type='password'", "<title>login", "<title>sign in", "<title>log in"]
        .iter()
        .any(|w| lower.contains(w))
}

/// Spring Boot's actuator, by its list of endpoints or of meters: its exposition lies at a path of its own.
fn is_actuator(path: &str, body: &str) -> bool {
    let listed = body.contains("\"_links\"") && body.contains("/actuator/");
    let meters = body.contains("\"names\"") && body.contains("\"jvm.");
    listed || meters || path.ends_with("/actuator") || path.ends_with("/actuator/metrics")
}

/// One page that is scraped, at one or several targets.
struct Answer<'a> {
    snap: &'a Snapshot,
    targets: &'a [&'a Down<'a>],
    first: &'a Down<'a>,
    address: &'a Address,
    service: Option<&'a Service>,
    body: Option<&'a str>,
    kind: Kind,
}

/// One target of a job in the configuration's own words.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
struct JobTarget {
    job: String,
    target: String,
    url: String,
    /// The job has no other target.
    alone: bool,
}

/// Where else the same Service offers metrics.
struct Better {
    path: String,
    port: Option<u16>,
    source: String,
}

impl<'a> Answer<'a> {
    fn of(snap: &'a Snapshot, targets: &'a [&'a Down<'a>]) -> Option<Self> {
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
            kind: Kind::of(&first.target.last_error, body),
        })
    }

    fn finding(&self) -> Option<Finding> {
        let (subject, name) = match self.service {
            Some(s) => {
                let (namespace, name) = (&s.metadata.namespace, &s.metadata.name);
                (ResourceRef::service(namespace, name), format!("Service {namespace}/{name}"))
            }
            None => (ResourceRef::ScrapeUrl { url: self.first.target.scrape_url.clone() }, self.first.host_port()),
        };
        let jobs: BTreeSet<&str> = self.targets.iter().map(|d| d.target.job()).collect();
        let jobs: Vec<&str> = jobs.into_iter().collect();
        let path = self.address.bare_path();
        let health = if is_health_path(path) { " (a health endpoint by its name)" } else { "" };
        let message =
            format!("{name} answers {} at {path}{health}, which job {} scrapes", self.answers(), jobs.join(", "));
        let better = self.better();
        let mut made = Finding::new(TargetNotMetrics::META.id, self.severity(&jobs), subject.clone(), message)
            .fix(self.fix(jobs[0], better.as_ref()))
            .key(format!("{} {path}", subject.key()));
        for down in self.targets {
            let url = ResourceRef::ScrapeUrl { url: down.target.scrape_url.clone() };
            made = made.breaks(url.clone());
            if self.service.is_none() {
                made = made.also(url);
            }
        }
        for job in &jobs {
            let of_job: Vec<&Down<'_>> = self.targets.iter().filter(|d| d.target.job() == *job).copied().collect();
            made = made.evidence(scrape::evidence(self.snap, job, &of_job));
        }
        made = self.answer_evidence(made);
        if let Some(better) = &better {
            let show = "kubectl get --raw {{ path }}";
            let shown = self.answer_path_of(better);
            if let Some(shown) = shown {
                made = made.evidence(Evidence::new(&better.source, better.place(), show).with("path", shown));
            }
        }
        Some(made)
    }

    /// Error where a job has no target left.
    fn severity(&self, jobs: &[&str]) -> Severity {
        let all_down =
            |job: &&str| targets::all(self.snap).iter().filter(|t| t.job() == *job).all(|t| t.health == "down");
        if jobs.iter().any(all_down) { Severity::Error } else { Severity::Warning }
    }

    fn answer_path(&self) -> Option<String> {
        targets::answer_path(self.snap, self.first.target, self.address)
    }

    /// The same place at another path and port, as the API server's proxy calls it.
    fn answer_path_of(&self, better: &Better) -> Option<String> {
        let port = better.port.unwrap_or(self.address.port);
        let address = Address { path: better.path.clone(), port, ..self.address.clone() };
        targets::answer_path(self.snap, self.first.target, &address)
    }

    /// The begin of the answer, where it is known.
    fn answer_evidence(&self, made: Finding) -> Finding {
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
    fn better(&self) -> Option<Better> {
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
                Some(Better { path: annotated.clone(), port: offered, source })
            })
        };
        scraped.or_else(annotated).or_else(|| self.actuator())
    }

    /// Spring Boot's exposition, where its actuator answers.
    fn actuator(&self) -> Option<Better> {
        let path = self.address.bare_path();
        if self.kind != Kind::Json || !is_actuator(path, self.body.unwrap_or_default()) {
            return None;
        }
        let base = path.find("/actuator").map_or("", |at| &path[..at]);
        let source = format!("Spring Boot, whose actuator answers JSON at {path}");
        Some(Better { path: format!("{base}/actuator/prometheus"), port: Some(self.address.port), source })
    }

    /// What it answers, with the type that it declares.
    fn answers(&self) -> String {
        let declared = self.first.target.last_error.split_once("unsupported Content-Type \"");
        match (self.kind, declared.and_then(|(_, rest)| rest.split('"').next())) {
            (Kind::Metrics, Some(declared)) => {
                format!("metrics as Content-Type {declared}, which Prometheus does not take,")
            }
            (kind, _) => kind.words().to_owned(),
        }
    }

    fn job_targets(&self) -> Vec<JobTarget> {
        let all: BTreeSet<JobTarget> = self
            .targets
            .iter()
            .map(|d| JobTarget {
                job: d.target.job().to_owned(),
                target: d.host_port(),
                url: d.target.scrape_url.clone(),
                alone: targets::all(self.snap).iter().filter(|t| t.job() == d.target.job()).count() == 1,
            })
            .collect();
        all.into_iter().collect()
    }

    /// What a probe asks: Services by their names, as pods come and go with their addresses.
    fn probed(&self) -> BTreeSet<String> {
        let url = |down: &&Down<'_>| {
            let address = down.address.as_ref()?;
            let service = targets::existing_service_of(self.snap, down.target, address)?;
            let port = targets::service_port(service, down.target, address);
            let port = port.or_else(|| service.spec.ports.first().map(|p| p.port))?;
            let meta = &service.metadata;
            let (scheme, path) = (&address.scheme, &address.path);
            Some(format!("{scheme}://{}.{}.svc:{port}{path}", meta.name, meta.namespace))
        };
        self.targets.iter().map(|d| url(d).unwrap_or_else(|| d.target.scrape_url.clone())).collect()
    }

    fn fix(&self, job: &str, better: Option<&Better>) -> Fix {
        let path = self.address.bare_path();
        let way = match (self.kind, better) {
            (Kind::Undeclared, None) if is_health_path(path) => self.not_metrics(job),
            (Kind::Metrics | Kind::Undeclared, _) => {
                Way::ContentType { url: self.first.target.scrape_url.clone(), answer_path: self.answer_path() }
            }
            (_, Some(better)) => Way::Path {
                better_path: better.path.clone(),
                better_target: match better.port {
                    Some(port) => Address { port, ..self.address.clone() }.host_port(),
                    None => self.first.host_port(),
                },
                better_answer_path: self.answer_path_of(better),
                better_source: better.source.clone(),
                monitor_list: monitor_list(job),
            },
            (_, None) => self.not_metrics(job),
        };
        Fix {
            job: job.to_owned(),
            // How it is changed depends on the way that is chosen.
            changes_job: !matches!(way, Way::NotMetrics { .. }),
            change: ChangeJob::of(self.snap, job),
            targets: Targets::of(self.snap, Some(job)),
            way,
        }
    }

    fn not_metrics(&self, job: &str) -> Way {
        Way::NotMetrics {
            path: self.address.bare_path().to_owned(),
            url: self.first.target.scrape_url.clone(),
            answer_path: self.answer_path(),
            is_known: !matches!(self.kind, Kind::Unknown | Kind::Undeclared),
            targets: self.job_targets(),
            probed: self.probed(),
            probe_name: origin::monitor_of(job).map(|m| format!("{}-probe", m.name)),
            blackbox: blackbox(self.snap),
        }
    }
}

impl Better {
    fn place(&self) -> String {
        self.port.map_or_else(|| self.path.clone(), |port| format!("port {port}, {}", self.path))
    }
}

/// Paths at which applications say whether they live; metrics are never there.
fn is_health_path(path: &str) -> bool {
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

/// Host and port of a blackbox_exporter of the cluster, or a placeholder.
fn blackbox(snap: &Snapshot) -> String {
    let mut services = snap.services.items().unwrap_or_default().iter();
    let found = services.find(|s| s.metadata.name.contains("blackbox") && !s.spec.ports.is_empty());
    found.map_or_else(
        || "<blackbox-exporter service>:9115".to_owned(),
        |s| format!("{}.{}.svc:{}", s.metadata.name, s.metadata.namespace, s.spec.ports[0].port),
    )
}

#[cfg(test)]
mod tests;
