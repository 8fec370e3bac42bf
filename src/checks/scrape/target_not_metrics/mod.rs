//! A scrape URL answers something else than metrics.

mod answer;
mod cause;
mod fix;

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::scrape::target_not_metrics::answer::{Answer, is_health_path};
use crate::checks::scrape::target_not_metrics::fix::Fix;
use crate::checks::support::scrape;
use crate::checks::support::severity::of_targets;
use crate::checks::{Check, check};
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::{self, Down};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef};
use crate::snapshot::Snapshot;

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

impl Answer<'_> {
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
        let severity = of_targets(self.snap, &jobs, self.targets.len());
        let mut made = Finding::new(TargetNotMetrics::META.id, severity, subject.clone(), message)
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
}

#[cfg(test)]
mod tests;
