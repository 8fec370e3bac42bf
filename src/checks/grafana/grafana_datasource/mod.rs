//! A datasource of Grafana does not lead to something that answers.

mod agent;
mod fault;
mod finding;
mod fix;
mod health;
mod old_store;
#[cfg(test)]
mod tests;
mod unread;

use fault::{depend, fault_evidence, fault_words};
use finding::{behind, finish, start};
use fix::{End, Fix, Way, chart};
use health::by_health;

use crate::checks::support::grafana::{none_runs, running};
use crate::checks::support::probes;
use crate::checks::{Check, check};
use crate::domain::grafana::datasources::{self, shown_url};
use crate::domain::grafana::provisioned::Datasource;
use crate::domain::grafana::url::{self, Cause, Verdict, Written};
use crate::domain::kubernetes::endpoints;
use crate::domain::kubernetes::service_host;
use crate::domain::prometheus::operator::chain;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::probe::{Trial, Verdict as Trying};
use crate::snapshot::{Fetched, Snapshot, journal};

/// Types of datasources that are looked at.
const KINDS: &[&str] = &["prometheus", "loki", "alertmanager", "tempo"];

check! {
    /// See the check's page.
    GrafanaDatasource {
        id: "grafana-datasource", suite: Grafana, severity: Error,
        title: "a Grafana datasource leads nowhere",
        requires: [ConfigMaps, Workloads, Services],
        uses: [
            EndpointSlices, Pods, Nodes, ComponentLogs, GrafanaHealth, GrafanaDatasources, GrafanaDatasourceHealth,
            PrometheusMetricNames, PrometheusTargets, PrometheusConfig, MonitoringResources, Probes, PartLogs,
        ],
        fix: Fix,
    }
}

impl Check for GrafanaDatasource {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.services()?;
        let Some(instances) = running(snap)? else { return Ok(none_runs()) };
        let all = datasources::all(snap, &instances);
        let mut findings: Vec<Finding> = unread::find(snap, &instances).into_iter().collect();
        let mut unseen = None;
        for datasource in all.iter().filter(|d| KINDS.contains(&d.kind.as_str())) {
            match of(snap, datasource) {
                Ok(found) => findings.extend(found),
                Err(gap) => unseen = unseen.or(Some(gap)),
            }
        }
        match unseen {
            Some(gap) if findings.is_empty() => Err(gap),
            _ => Ok(Diagnosis::Findings(findings)),
        }
    }
}

fn of(snap: &Snapshot, datasource: &Datasource<'_>) -> Fetched<Option<Finding>> {
    let verdict = url::judge(snap, datasource)?;
    let ill = datasources::health(snap, datasource).filter(|(status, _)| *status != "OK").map(|(_, message)| message);
    let found = match (verdict, ill) {
        (Some(verdict), ill) => Some(by_url(snap, datasource, &verdict, ill)),
        (None, Some(message)) => Some(match old_store::of_health(snap, datasource, message) {
            Some(found) => found,
            None => by_health(snap, datasource, message)?,
        }),
        (None, None) => match old_store::of_log(snap, datasource) {
            Some(found) => Some(found),
            None => without_data(snap, datasource)?,
        },
    };
    Ok(found.map(|finding| finding.evidence_all(tried(snap, datasource))))
}

/// What a probe from Grafana's own pod met at the Service that the datasource asks.
fn tried(snap: &Snapshot, datasource: &Datasource<'_>) -> Vec<Evidence> {
    let own = datasource.instance.namespace();
    let at = |url: &str| {
        let written = Written::parse(url)?;
        Some((service_host::in_cluster(snap, &written.host, own)?, written.port))
    };
    let Some(asked) = at(&datasource.url) else { return Vec::new() };
    let all = snap.probes.items().unwrap_or_default().iter();
    all.filter(|p| p.program == Program::Grafana && p.namespace == own && p.verdict != Trying::NotTried)
        .filter(|p| matches!(&p.trial, Trial::Http { url } if at(url).as_ref() == Some(&asked)))
        .map(probes::evidence)
        .collect()
}

fn by_url(snap: &Snapshot, datasource: &Datasource<'_>, verdict: &Verdict<'_>, ill: Option<&str>) -> Finding {
    let meant = verdict.meant.as_ref();
    let subject = datasource.reference();
    let detail = fault_words(snap, datasource, &verdict.fault);
    let proposal = match (&verdict.fault, meant) {
        (Cause::UnknownService(_) | Cause::Loopback | Cause::NoUrl, Some(meant)) => {
            format!("; {} does exist", meant.text().trim_end_matches('/'))
        }
        _ => String::new(),
    };
    let name = subject.name();
    let url = shown_url(&datasource.url);
    let switch = left_on(datasource, verdict);
    let severity = if switch.is_some() { Severity::Warning } else { Severity::Error };
    let mut made = start(datasource, severity, format!("datasource {name} ({url}) {detail}{proposal}"));
    made = depend(snap, made, &verdict.fault, meant);
    made = made.evidence(fault_evidence(&verdict.fault, datasource));
    let end = End::of(snap, datasource, meant);
    let way = match (&verdict.fault, meant) {
        (Cause::NoEndpoints(service, _), _) => Way::NoEndpoints {
            service: service.metadata.name.clone(),
            service_namespace: service.metadata.namespace.clone(),
            slice_selector: format!("kubernetes.io/service-name={}", service.metadata.name),
            selector: Some(endpoints::selector(service)).filter(|s| !s.is_empty()),
        },
        (Cause::Agent(_, server), _) => Way::Agent {
            agent: server.target(),
            agent_namespace: server.namespace().to_owned(),
            writes_to: agent::writes_to(snap, *server),
        },
        (Cause::UnknownService(_), None) => Way::ServiceMissing {
            host_namespace: end.namespace(datasource),
            host_service: end.host.as_ref().map(|h| h.service.clone()),
            switch,
        },
        _ => Way::Url { host_namespace: end.namespace(datasource) },
    };
    finish(snap, made, datasource, end, way, ill)
}

/// The value of kube-prometheus-stack that leaves its own datasource out: the chart provisions that of Alertmanager also where
/// it installs none, and nobody misses anything then.
fn left_on(datasource: &Datasource<'_>, verdict: &Verdict<'_>) -> Option<&'static str> {
    let leads_nowhere = matches!(verdict.fault, Cause::UnknownService(_)) && verdict.meant.is_none();
    let is_own = datasource.kind == "alertmanager" && datasource.name == "Alertmanager";
    (leads_nowhere && is_own && chart(datasource)?.starts_with("kube-prometheus-stack"))
        .then_some("grafana.sidecar.datasources.alertmanager.enabled")
}

/// All is well, but there is nothing to show: worth a line.
fn without_data(snap: &Snapshot, datasource: &Datasource<'_>) -> Fetched<Option<Finding>> {
    let Some(at) = snap.scope.prometheus.as_ref().filter(|_| datasource.kind == "prometheus") else { return Ok(None) };
    // A server of the operator that has no job is told as that, with the reason why it has none; this would only repeat it.
    let idle = || {
        chain::answering(snap).is_some_and(|s| !s.spec.paused)
            && chain::loaded_jobs(snap).is_some_and(|jobs| jobs.is_empty())
    };
    if journal::aside(idle) {
        return Ok(None);
    }
    let is_own =
        behind(snap, datasource).is_some_and(|s| s.metadata.namespace == at.namespace && s.metadata.name == at.service);
    if !is_own {
        return Ok(None);
    }
    let targets = snap.prometheus_targets().map(Vec::as_slice).unwrap_or_default();
    let all_down = !targets.is_empty() && targets.iter().all(|t| t.health == "down");
    let no_series = snap.prometheus_metric_names().is_ok_and(|names| names.is_empty());
    let why = match (no_series, all_down) {
        (true, _) => "holds no series at all",
        (false, true) => "scrapes no target successfully",
        _ => return Ok(None),
    };
    let name = datasource.reference().name();
    let text = format!("datasource {name} works, and its Prometheus {}/{} {why}", at.namespace, at.service);
    let made = start(datasource, Severity::Info, text);
    let made = targets
        .iter()
        .filter(|t| t.health == "down")
        .fold(made, |made, t| made.depends_on(ResourceRef::ScrapeJob { job: t.job().to_owned() }));
    Ok(Some(finish(snap, made, datasource, End::of(snap, datasource, None), Way::NoData, None)))
}
