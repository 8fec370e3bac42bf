//! What makes the job scrape metrics.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::scrape::target_not_metrics::answer::{Answer, Better, is_health_path};
use crate::checks::scrape::target_not_metrics::cause::Cause;
use crate::checks::support::origin::{ChangeJob, monitor_list};
use crate::checks::support::scrape::Targets;
use crate::domain::prometheus::origin;
use crate::domain::prometheus::targets::{self, Address, Down};
use crate::snapshot::Snapshot;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
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
        /// The name of the port that it is at; none where it is the same port.
        better_port: Option<String>,
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

/// One target of a job in the configuration's own words.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
struct JobTarget {
    job: String,
    target: String,
    url: String,
    /// The job has no other target.
    alone: bool,
}

impl Answer<'_> {
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

    pub(super) fn fix(&self, job: &str, better: Option<&Better>) -> Fix {
        let path = self.address.bare_path();
        let way = match (self.kind, better) {
            (Cause::Undeclared, None) if is_health_path(path) => self.not_metrics(job),
            (Cause::Metrics | Cause::Undeclared, _) => {
                Way::ContentType { url: self.first.target.scrape_url.clone(), answer_path: self.answer_path() }
            }
            (_, Some(better)) => Way::Path {
                better_path: better.path.clone(),
                better_port: better.name.clone(),
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
            is_known: !matches!(self.kind, Cause::Unknown | Cause::Undeclared),
            targets: self.job_targets(),
            probed: self.probed(),
            probe_name: origin::monitor_of(job).map(|m| format!("{}-probe", m.name)),
            blackbox: blackbox(self.snap),
        }
    }
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
