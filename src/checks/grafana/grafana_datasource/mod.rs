//! A datasource of Grafana does not lead to something that answers.

mod fault;

use fault::{depend, depend_with_reason, fault_evidence, fault_words, schemes};
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::grafana::{Grafana, KeptIn, SHOW_API, none_runs, running};
use crate::checks::support::probes;
use crate::checks::{Check, check};
use crate::domain::grafana::datasources::{self, health, shown_url};
use crate::domain::grafana::provisioned::Datasource;
use crate::domain::grafana::url::{self, Fault, Verdict, Written};
use crate::domain::kubernetes::endpoints;
use crate::domain::kubernetes::service_host::ServiceHost;
use crate::domain::kubernetes::{cluster_dns, proxy, proxy_env, service_host};
use crate::domain::prometheus::operator::chain;
use crate::domain::text::log_line::{Level, Line};
use crate::domain::traffic::flows;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::kubernetes::Service;
use crate::snapshot::probe::{Trial, Verdict as Trying};
use crate::snapshot::{Fetched, Snapshot, journal};

/// Types of datasources that are looked at.
const KINDS: &[&str] = &["prometheus", "loki", "alertmanager", "tempo"];
/// Lines of Grafana's log that are shown.
const LOG_LINES: usize = 2;
/// Characters of a log line that are shown.
const LOG_WIDTH: usize = 300;

check! {
    /// See the check's page.
    GrafanaDatasource {
        id: "grafana-datasource", suite: Grafana, severity: Error,
        title: "a Grafana datasource leads nowhere",
        requires: [ConfigMaps, Workloads, Services],
        uses: [
            EndpointSlices, Pods, Nodes, ComponentLogs, GrafanaHealth, GrafanaDatasources, GrafanaDatasourceHealth,
            PrometheusMetricNames, PrometheusTargets, PrometheusConfig, MonitoringResources, Probes,
        ],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    name: String,
    r#type: String,
    old_url: String,
    new_url: String,
    /// What the datasource is changed for is in its own definition.
    changes: bool,
    /// What answers where all is well: the URL as Grafana asks it, and through the API server.
    check_url: String,
    proxy_path: Option<String>,
    /// A call without the datasource's own login, header or certificate gets that answer.
    is_bare: bool,
    /// Where the chart keeps the datasource.
    values_key: Option<&'static str>,
    /// The side-car that lets Grafana load the change.
    reloader: Option<String>,
    #[serde(flatten)]
    kept_in: KeptIn,
    #[serde(flatten)]
    grafana: Grafana,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Url {
        host_namespace: String,
    },
    ServiceMissing {
        host_namespace: String,
        host_service: Option<String>,
        /// The chart's value that leaves the datasource out.
        switch: Option<&'static str>,
    },
    NoEndpoints {
        service: String,
        service_namespace: String,
        slice_selector: String,
        /// None where the Service has none.
        selector: Option<String>,
    },
    Refused {
        /// A tenant is asked for.
        tenant: bool,
    },
    Tls {
        host_port: Option<String>,
    },
    Timeout {
        host_namespace: String,
    },
    Proxy {
        /// `NO_PROXY=…` with the host.
        no_proxy: String,
    },
    Unhealthy,
    NoData,
}

impl Check for GrafanaDatasource {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.services()?;
        let Some(instances) = running(snap)? else { return Ok(none_runs()) };
        let all = datasources::all(snap, &instances);
        let mut findings = Vec::new();
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
    let ill = health(snap, datasource).filter(|(status, _)| *status != "OK").map(|(_, message)| message);
    let found = match (verdict, ill) {
        (Some(verdict), ill) => Some(by_url(snap, datasource, &verdict, ill)),
        (None, Some(message)) => Some(by_health(snap, datasource, message)?),
        (None, None) => without_data(snap, datasource)?,
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

fn start(datasource: &Datasource<'_>, severity: Severity, message: String) -> Finding {
    let subject = datasource.reference();
    Finding::new(GrafanaDatasource::META.id, severity, subject.clone(), message)
        .breaks(subject.clone())
        .key(format!("{} {}", subject.key(), datasource.org))
        .evidence(written_evidence(datasource))
}

fn written_evidence(datasource: &Datasource<'_>) -> Evidence {
    let url = shown_url(&datasource.url);
    let value = format!("{}: type {}, url {url}", datasource.name, datasource.kind);
    crate::checks::support::grafana::in_datasource(datasource, value)
}

fn by_url(snap: &Snapshot, datasource: &Datasource<'_>, verdict: &Verdict<'_>, ill: Option<&str>) -> Finding {
    let meant = verdict.meant.as_ref();
    let subject = datasource.reference();
    let detail = fault_words(snap, datasource, &verdict.fault);
    let proposal = match (&verdict.fault, meant) {
        (Fault::UnknownService(_) | Fault::Loopback | Fault::NoUrl, Some(meant)) => {
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
        (Fault::NoEndpoints(service, _), _) => Way::NoEndpoints {
            service: service.metadata.name.clone(),
            service_namespace: service.metadata.namespace.clone(),
            slice_selector: format!("kubernetes.io/service-name={}", service.metadata.name),
            selector: Some(endpoints::selector(service)).filter(|s| !s.is_empty()),
        },
        (Fault::UnknownService(_), None) => Way::ServiceMissing {
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
    let leads_nowhere = matches!(verdict.fault, Fault::UnknownService(_)) && verdict.meant.is_none();
    let is_own = datasource.kind == "alertmanager" && datasource.name == "Alertmanager";
    (leads_nowhere && is_own && chart(datasource)?.starts_with("kube-prometheus-stack"))
        .then_some("grafana.sidecar.datasources.alertmanager.enabled")
}

/// The chart that brought a datasource's file.
fn chart<'a>(datasource: &Datasource<'a>) -> Option<&'a str> {
    let meta = &datasource.file?.config_map.metadata;
    meta.label("helm.sh/chart").or(meta.label("chart"))
}

/// What a datasource asks, or is to ask.
struct End {
    /// The URL that is to stand there, where another is meant.
    new: Option<String>,
    url: Option<Written>,
    /// The Service that its host is.
    host: Option<ServiceHost>,
}

impl End {
    fn of(snap: &Snapshot, datasource: &Datasource<'_>, meant: Option<&Written>) -> Self {
        let url = meant.cloned().or_else(|| Written::parse(&datasource.url));
        let own = datasource.instance.namespace();
        let host = url.as_ref().and_then(|w| service_host::in_cluster(snap, &w.host, own));
        Self { new: meant.map(Written::text), url, host }
    }

    fn namespace(&self, datasource: &Datasource<'_>) -> String {
        self.host.as_ref().map_or(datasource.instance.namespace(), |h| h.namespace.as_str()).to_owned()
    }
}

/// The Service that the URL names, where it exists.
fn behind<'a>(snap: &'a Snapshot, datasource: &Datasource<'_>) -> Option<&'a Service> {
    let written = Written::parse(&datasource.url)?;
    url::service_behind(snap, datasource.instance.namespace(), &written).ok().flatten()
}

/// The URL is well as far as it can be seen, and Grafana says that the datasource does not work.
fn by_health(snap: &Snapshot, datasource: &Datasource<'_>, answer: &str) -> Fetched<Finding> {
    let told = told(snap, datasource, answer);
    let message = told.as_deref().unwrap_or(answer);
    let first = message.lines().next().unwrap_or_default();
    let subject = datasource.reference();
    let service = behind(snap, datasource);
    let proxy = service.and(asked_through(datasource)).filter(|_| !is_direct(message));
    let through = proxy
        .as_ref()
        .map(|(proxy, host)| format!("it asks through the proxy {proxy}, and NO_PROXY does not name {host}: "));
    let text = format!(
        "Grafana cannot use datasource {} ({}): {}{first}",
        subject.name(),
        shown_url(&datasource.url),
        through.unwrap_or_default()
    );
    let mut made = start(datasource, Severity::Error, text);
    if let Some(service) = service {
        made = depend_with_reason(snap, made, service, None);
    }
    // A key that does not fit, or a name that this Grafana asks of the wrong resolver: that is told of itself.
    if answer.contains("decrypt") || (answer.contains("lookup ") && answer.contains("no such host")) {
        made = made.depends_on(datasource.instance.reference());
    }
    // The cluster's DNS is asked for every name, and gives no answer.
    if answer.contains("lookup ") && !answer.contains("no such host") {
        made = cluster_dns::service(snap)
            .map(|s| ResourceRef::service(&s.metadata.namespace, &s.metadata.name))
            .into_iter()
            .fold(made, Finding::depends_on);
    }
    // What keeps the connection from an answer is deeper than that none comes.
    let owner = datasource.instance.reference();
    made = flows::connection(&owner, message).into_iter().fold(made, Finding::depends_on);
    let has = |words: &[&str]| words.iter().any(|w| message.to_ascii_lowercase().contains(w));
    let other_scheme =
        has(&["gave http response to https", "http request to an https server", "malformed http response"]);
    let meant = Written::parse(&datasource.url).filter(|_| other_scheme).map(|w| {
        let (_, served) = schemes(datasource);
        Written { scheme: served.to_owned(), ..w }
    });
    let end = End::of(snap, datasource, meant.as_ref());
    let way = if let Some((_, host)) = &proxy {
        let old = proxy_env::no_proxy(datasource.instance.container).unwrap_or_default();
        made = made.evidence(environment(datasource, old));
        let own = if host.contains(".svc") { String::new() } else { format!(",{host}") };
        let new = format!("{old},.svc,.svc.cluster.local{own}");
        Way::Proxy { no_proxy: format!("NO_PROXY={}", new.trim_start_matches(',')) }
    } else if meant.is_some() {
        Way::Url { host_namespace: end.namespace(datasource) }
    } else if has(&["x509:", "certificate"]) {
        Way::Tls { host_port: end.url.as_ref().map(|w| format!("{}:{}", w.host, w.port)) }
    } else if has(&["unauthorized", "forbidden", "no org id"]) || says_status(message, &["401", "403"]) {
        Way::Refused { tenant: has(&["no org id"]) }
    } else if has(&["timeout", "deadline exceeded", "timed out"]) {
        Way::Timeout { host_namespace: end.namespace(datasource) }
    } else {
        Way::Unhealthy
    };
    Ok(finish(snap, made, datasource, end, way, Some(answer)))
}

/// What the log says of the datasource, where its health only points there.
fn told(snap: &Snapshot, datasource: &Datasource<'_>, answer: &str) -> Option<String> {
    let points =
        ["check the server logs", "Please check the", "An error occurred within the plugin", "error decrypting"];
    if !points.iter().any(|w| answer.contains(w)) {
        return None;
    }
    let logs = snap.logs_of(Program::Grafana).ok()?;
    let lines =
        logs.into_iter().filter(|l| l.namespace == datasource.instance.namespace()).flat_map(|l| l.text.lines());
    let mut own = lines.map(Line::parse).filter(|l| {
        let named = [l.get("dsUID"), l.get("datasourceUid"), l.get("uid")].contains(&datasource.uid.as_str())
            || [l.get("dsName"), l.get("datasource")].contains(&datasource.name.as_str());
        named && l.level == Level::Error && !l.err.is_empty()
    });
    let last = own.next_back()?;
    let status = Some(last.get("statusCode")).filter(|s| !s.is_empty()).map(|s| format!("{s} ")).unwrap_or_default();
    Some(format!("{status}{}", last.err))
}

/// The proxy of Grafana's environment that a datasource is asked through, and the host.
fn asked_through<'a>(datasource: &Datasource<'a>) -> Option<(&'a str, String)> {
    let written = Written::parse(&datasource.url)?;
    let proxy = proxy_env::for_host(datasource.instance.container, &written.scheme, &written.host)?;
    Some((proxy, written.host))
}

/// The message is of a connection that Grafana made itself.
fn is_direct(message: &str) -> bool {
    says_status(message, &["401"])
        || ["no such host", "dial tcp", "x509:", "no org id"].iter().any(|m| message.contains(m))
}

/// One of these statuses stands in a message as a number of its own, and not as a port or a part of one.
fn says_status(message: &str, statuses: &[&str]) -> bool {
    let is_own = |(at, status): (usize, &str)| {
        let before = message[..at].chars().next_back();
        let after = message[at + status.len()..].chars().next();
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit() || matches!(c, ':' | '.'));
        !is_part(before) && !after.is_some_and(|c| c.is_ascii_digit())
    };
    statuses.iter().any(|status| message.match_indices(status).any(is_own))
}

/// What Grafana's environment holds.
fn environment(datasource: &Datasource<'_>, no_proxy: &str) -> Evidence {
    Evidence::new(
        format!("environment of container {}", datasource.instance.container.name),
        format!("NO_PROXY={no_proxy}"),
        "kubectl set env {{ grafana }} -n {{ namespace }} --list",
    )
    .with("namespace", datasource.instance.namespace())
    .with("grafana", datasource.instance.kubectl_name())
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

/// Adds what Grafana says, and the values of the page.
fn finish(
    snap: &Snapshot,
    mut made: Finding,
    datasource: &Datasource<'_>,
    end: End,
    way: Way,
    ill: Option<&str>,
) -> Finding {
    if let Some(message) = ill {
        let path = format!("/api/datasources/uid/{}/health", datasource.uid);
        let shown = Evidence::new(format!("grafana {path}"), message, SHOW_API);
        made = made.evidence(shown.with("path", format!("<grafana-url>{path}")));
    }
    if let Some(logged) = logged(snap, datasource) {
        made = made.evidence(logged);
    }
    let changes = matches!(way, Way::Url { .. } | Way::ServiceMissing { switch: None, .. });
    if let Some(file) = datasource.file.filter(|_| changes) {
        made = made.also(file.config_map.reference());
    }
    let is_bare = !matches!(
        way,
        Way::Refused { .. } | Way::Tls { .. } | Way::Proxy { .. } | Way::ServiceMissing { switch: Some(_), .. }
    );
    let path = probe_path(&datasource.kind);
    let base = end.url.as_ref().map(|w| w.text().trim_end_matches('/').to_owned());
    let proxy_path = end
        .host
        .zip(end.url.as_ref())
        .map(|(h, w)| proxy::of_service(&h.namespace, &w.scheme, &h.service, w.port, &format!("{}{path}", w.path)));
    made.fix(Fix {
        name: datasource.name.clone(),
        r#type: datasource.kind.clone(),
        old_url: shown_url(&datasource.url),
        new_url: end.new.unwrap_or_else(|| "<url that works>".to_owned()),
        changes,
        check_url: format!("{}{path}", base.as_deref().unwrap_or("<url of the datasource>")),
        proxy_path,
        is_bare,
        values_key: values_key(datasource),
        reloader: datasource.file.and_then(|f| f.reloader).map(str::to_owned),
        kept_in: KeptIn::of(datasource.file),
        grafana: Grafana::of(datasource.instance),
        way,
    })
}

/// What a program of this type answers without a login.
fn probe_path(kind: &str) -> &'static str {
    match kind {
        "prometheus" => "/api/v1/query?query=up",
        "alertmanager" => "/api/v2/status",
        "loki" => "/loki/api/v1/labels",
        _ => "/ready",
    }
}

/// Where the charts keep the datasource, so that the change lasts.
fn values_key(datasource: &Datasource<'_>) -> Option<&'static str> {
    let chart = chart(datasource)?;
    match () {
        () if chart.starts_with("kube-prometheus-stack") && datasource.kind == "prometheus" => {
            Some("grafana.sidecar.datasources.url")
        }
        () if chart.starts_with("kube-prometheus-stack") && datasource.kind == "alertmanager" => {
            Some("grafana.sidecar.datasources.alertmanager.url")
        }
        () if chart.starts_with("kube-prometheus-stack") => Some("grafana.additionalDataSources"),
        () if chart.starts_with("loki-stack") => Some("loki.url"),
        () if chart.starts_with("grafana") => Some("datasources"),
        () => None,
    }
}

/// Lines of Grafana's log that speak of the datasource's host.
fn logged(snap: &Snapshot, datasource: &Datasource<'_>) -> Option<Evidence> {
    let host = Written::parse(&datasource.url)?.host;
    let quoted = [format!("//{host}:"), format!("//{host}/"), format!("lookup {host}")];
    let is_about = |l: &&str| {
        let failed = l.contains("level=error") || l.contains("level=warn") || l.contains("\"level\":\"error\"");
        failed && quoted.iter().any(|q| l.contains(q.as_str()))
    };
    let logs = snap.logs_of(Program::Grafana).ok()?;
    let log = logs
        .into_iter()
        .find(|l| l.namespace == datasource.instance.namespace() && l.text.lines().any(|line| is_about(&line)))?;
    let lines: Vec<String> =
        log.text.lines().filter(|l| is_about(l)).map(|l| l.chars().take(LOG_WIDTH).collect()).collect();
    let shown = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
    let source = format!("log of container {} of Pod {}/{}", log.container, log.namespace, log.pod);
    let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --tail=200";
    Some(
        Evidence::new(source, shown, show)
            .with("namespace", &log.namespace)
            .with("pod", &log.pod)
            .with("container", &log.container),
    )
}

#[cfg(test)]
mod tests;
