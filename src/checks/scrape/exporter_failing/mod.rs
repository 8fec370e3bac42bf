//! An exporter answers its scrapes and measures nothing: it does not get into what it measures.

mod fix;
#[cfg(test)]
mod tests;
mod touched;

use std::collections::BTreeMap;

use crate::checks::scrape::exporter_failing::fix::{Fix, Way, field, module, statsd_metric, way};
use crate::checks::scrape::exporter_failing::touched::{asking, is_up, jobs, probed};
use crate::checks::support::behind::depends_on_service;
use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::owner::Target;
use crate::domain::prometheus::exporter_log::{self, Failing, Why, exporter, measured, pushed, user};
use crate::domain::text::redact::redact;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, GapCause, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

check! {
    /// See the check's page.
    ExporterFailing {
        id: "exporter-failing", suite: Scrape, severity: Error,
        title: "an exporter measures nothing, although its target is up",
        requires: [Pods],
        uses: [PartLogs, PrometheusTargets, Services, ConfigMaps, Workloads, NetworkPolicies, Nodes],
        fix: Fix,
    }
}

impl Check for ExporterFailing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let pods: Vec<&Pod> = snap.pods()?.iter().filter(|p| p.spec.containers.iter().any(exporter)).collect();
        let said = exporter_log::failing(snap);
        if pods.is_empty() && !said.as_ref().is_ok_and(|s| !s.is_empty()) {
            return Ok(Diagnosis::NotApplicable(
                "no exporter of another program runs in the namespaces that were read".into(),
            ));
        }
        let mut groups: BTreeMap<(String, Why), Vec<Failing<'_>>> = BTreeMap::new();
        for failing in said? {
            let pod = snap.pod_of_log(failing.log);
            let owner = pod.map_or_else(|| failing.log.pod.clone(), |p| snap.owner_ref(p).key());
            groups.entry((owner, failing.why)).or_default().push(failing);
        }
        let findings: Vec<Finding> = groups.values().filter_map(|g| finding(snap, g)).collect();
        // Of those that run, one log at least has to be there before all is said to be well.
        let logs = snap.part_logs()?;
        let unread = pods.iter().find(|p| p.status.phase == "Running" && !logs.iter().any(|l| l.is_of(&p.metadata)));
        match unread {
            Some(pod) if findings.is_empty() && logs.iter().all(|l| !exporter_log::is_exporter(&l.image)) => {
                Err(Gap::new(
                    format!("log of pod {}/{}", pod.metadata.namespace, pod.metadata.name),
                    GapCause::NotCollected,
                    "the log was not read",
                ))
            }
            _ => Ok(Diagnosis::Findings(findings)),
        }
    }
}

fn finding(snap: &Snapshot, group: &[Failing<'_>]) -> Option<Finding> {
    let failing = group.iter().max_by_key(|f| f.last)?;
    let log = failing.log;
    let pod = snap.pod_of_log(log)?;
    let container = pod.spec.containers.iter().find(|c| c.name == log.container)?;
    let owner = snap.owner_ref(pod);
    let host = measured(&failing.text);
    let what = host.clone().unwrap_or_else(|| "what it measures".to_owned());
    let name = user(&failing.text);
    let of_user = name.as_ref().map(|u| format!(" of user {u}")).unwrap_or_default();
    let module = module(&failing.line);
    let collectors = match failing.why {
        Why::Collector => exporter_log::collectors(snap, &log.text).join(", "),
        _ => String::new(),
    };
    let why = match failing.why {
        Why::Login => format!("{what} does not accept the login{of_user}"),
        Why::Rights => format!(
            "its user{} may not read what it measures",
            name.as_ref().map(|u| format!(" {u}")).unwrap_or_default()
        ),
        Why::Name => format!("the name of {what} does not resolve"),
        Why::Unreached => format!("{what} cannot be reached"),
        Why::Tls if failing.text.contains("SSL is not enabled on the server") => {
            format!("{what} speaks no TLS, and the exporter asks for it")
        }
        Why::Tls => format!("TLS to {what} fails"),
        Why::Pushed => match pushed(&failing.text) {
            Some((metric, job)) => {
                let of = if job.is_empty() { "pushes".to_owned() } else { format!("the pushes of job {job}") };
                let how = match exporter_log::pushed_types(&failing.text) {
                    Some((held, sent)) => format!("is pushed as {sent}, and another group holds it as {held}"),
                    None => "contradicts what another group holds".to_owned(),
                };
                format!("it refuses {of}: metric {metric} {how}")
            }
            None => "it refuses pushes, which are not valid".to_owned(),
        },
        Why::Snmp => format!("{what} does not answer over SNMP{}", asked_with(&failing.line)),
        Why::Throttled => {
            "AWS answers fewer calls in a second than it makes (Rate exceeded): what it could not ask for is missing"
                .to_owned()
        }
        Why::Socket => "it may not open the sockets that ICMP probes need: all of them fail".to_owned(),
        Why::Collector => format!(
            "collector {collectors} of node-exporter gives nothing: {}",
            failing.said.trim_start_matches("collector failed: ")
        ),
        Why::Textfile => format!(
            "node-exporter exports nothing of its text file {}: {}",
            field(&failing.line, "file"),
            field(&failing.line, "err")
        ),
        Why::Conflict => format!(
            "it throws values of metric {} away, which come with other labels, or of another type, than before",
            statsd_metric(&failing.line)
        ),
        Why::Module => format!("probes ask for module {module}, which its configuration does not have"),
    };
    let times: usize = group.iter().map(|f| f.times).sum();
    let up = match failing.why {
        Why::Module | Why::Socket | Why::Snmp | Why::Pushed | Why::Conflict => "",
        _ if is_up(snap, pod) => "; its own target is up all the same",
        _ => "",
    };
    let message =
        format!("exporter {} in {}: {why} ({times} lines within 15 minutes){up}", owner.kubectl_name(), log.namespace);
    // What is throttled gets a part of what it asks for.
    let in_part = matches!(failing.why, Why::Throttled | Why::Collector | Why::Conflict | Why::Textfile);
    let severity = if in_part { Severity::Warning } else { Severity::Error };
    let mut made = Finding::new(ExporterFailing::META.id, severity, owner.clone(), message)
        .key(format!("{} {:?}", owner.key(), failing.why))
        .evidence(line_evidence(log, &failing.line));
    made = made.breaks(owner.clone());
    if failing.line.contains("no such host") {
        // Whom its pod asks for names is deeper.
        made = made.depends_on(ResourceRef::pod(&log.namespace, &log.pod));
    }
    made = match failing.why {
        Why::Pushed => made,
        Why::Snmp => probed(snap, host.as_deref().unwrap_or_default()).into_iter().fold(made, Finding::breaks),
        Why::Module | Why::Socket => asking(snap, &module).into_iter().fold(made, Finding::breaks),
        _ => jobs(snap, pod).into_iter().fold(made, |made, job| made.breaks(ResourceRef::ScrapeJob { job })),
    };
    let way = way(snap, failing, (pod, container), host.as_deref(), module, collectors);
    if let Way::Reach { service: Some(service), service_namespace: Some(namespace), .. } = &way {
        made = depends_on_service(snap, made, namespace, service);
    }
    let target = Target::of(snap, pod);
    Some(made.fix(Fix {
        namespace: log.namespace.clone(),
        owner: owner.kubectl_name(),
        container: log.container.clone(),
        detail: redact(&failing.said),
        host: host.unwrap_or_else(|| "<host>".to_owned()),
        managed_by: target.managed_by,
        way,
    }))
}

/// ` (module if_mib, auth public_v2)`.
fn asked_with(line: &str) -> String {
    match (module(line), field(line, "auth")) {
        (module, _) if module.is_empty() => String::new(),
        (module, auth) if auth.is_empty() => format!(" (module {module})"),
        (module, auth) => format!(" (module {module}, auth {auth})"),
    }
}
