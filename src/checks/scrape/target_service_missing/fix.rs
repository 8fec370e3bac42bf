//! What has to change: the target, or what is to have the Service.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::missing::Missing;
use crate::checks::support::origin::ChangeJob;
use crate::checks::support::scrape::Targets;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::prometheus::origin::Line;
use crate::domain::prometheus::targets::Address;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Service, Workload};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
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

impl Fix {
    /// What fixes it: the Service that is meant, or none, and the line of the configuration that names it.
    pub(super) fn of(missing: &Missing<'_>, snap: &Snapshot, meant: Option<&Service>, line: Option<Line<'_>>) -> Self {
        let jobs = missing.jobs();
        let way = match (meant, missing.workload(snap)) {
            (Some(service), _) => Way::Rename {
                corrections: missing.corrections(meant),
                meant: service.metadata.name.clone(),
                meant_namespace: service.metadata.namespace.clone(),
            },
            (None, Some(workload)) => missing.served(workload),
            (None, None) => Way::NotDeployed {
                corrections: missing.corrections(None),
                name: missing.name.clone(),
                namespace: missing.namespace.clone(),
                ports: missing.ports().iter().map(u16::to_string).collect::<Vec<_>>().join(", "),
            },
        };
        Self {
            changes_job: matches!(way, Way::Rename { .. }),
            change: ChangeJob::at(snap, jobs[0], line),
            targets: Targets::of(snap, (jobs.len() == 1).then_some(jobs[0])),
            way,
        }
    }
}

impl Missing<'_> {
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
