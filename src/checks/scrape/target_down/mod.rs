//! Prometheus fails to scrape a job.

mod joined;

use std::collections::BTreeMap;

use crate::checks::support::probes;
use crate::checks::{Check, check};
use crate::domain::prometheus::joined::{samples_offered, sends_credential};
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::{self, Address, Down};
use crate::domain::prometheus::{authorizer, origin};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Params, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Service;

check! {
    /// See the check's page.
    TargetDown {
        id: "target-down", suite: Scrape, severity: Error,
        title: "Prometheus fails to scrape a job",
        requires: [PrometheusTargets],
        uses: [Services, Pods, Nodes, ConfigMaps, Workloads, TargetAnswers, Probes, PrometheusConfig, ScrapeSamples],
    }
}

impl Check for TargetDown {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let down = targets::down(snap)?;
        let mut families: BTreeMap<(&str, &str, String), Vec<&Down<'_>>> = BTreeMap::new();
        for target in &down {
            let (variant, words) = family(snap, target);
            families.entry((target.target.job(), variant, words)).or_default().push(target);
        }
        let mut findings = Vec::new();
        for ((job, variant, words), group) in &families {
            let total = targets::all(snap).iter().filter(|t| t.job() == *job).count();
            let all_down = down.iter().filter(|d| d.target.job() == *job).count() == total;
            findings.push(finding(snap, &Family { job, variant, words, group, total, all_down }));
        }
        Ok(Diagnosis::Findings(one_for_each_permission(findings)))
    }
}

/// Jobs that one missing permission of Prometheus' service account, or its token, keeps from their targets are one finding: the kubelet
/// alone is scraped by three.
fn one_for_each_permission(findings: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::with_capacity(findings.len());
    let value = |f: &Finding, name: &str| f.params.values().get(name).filter(|v| !v.is_null()).cloned();
    for finding in findings {
        let twin = kept.iter_mut().find(|k| {
            let same = |name: &str| value(k, name).is_some() && value(k, name) == value(&finding, name);
            matches!(k.variant, "forbidden" | "unauthorized")
                && finding.variant == k.variant
                && same("guard")
                && same("sends")
                && same("can_i")
                && same("account_user")
        });
        let Some(twin) = twin else {
            kept.push(finding);
            continue;
        };
        twin.severity = twin.severity.max(finding.severity);
        let job = finding.params.values().get("job").and_then(serde_json::Value::as_str).unwrap_or_default();
        twin.message = format!("{}; job {job} fails in the same way", twin.message);
        twin.evidence.extend(finding.evidence);
        for resource in finding.depends_on {
            if !twin.depends_on.contains(&resource) {
                twin.depends_on.push(resource);
            }
        }
        for subject in finding.subjects {
            if !twin.subjects.contains(&subject) {
                twin.subjects.push(subject);
            }
        }
    }
    kept
}

/// Targets of one job that fail in one way.
struct Family<'a> {
    job: &'a str,
    variant: &'static str,
    words: &'a str,
    group: &'a [&'a Down<'a>],
    /// All targets of the job.
    total: usize,
    /// None of the job's targets is up.
    all_down: bool,
}

/// The fix that applies, and the failure in words.
fn family(snap: &Snapshot, down: &Down<'_>) -> (&'static str, String) {
    let words = words(down);
    if down.address.as_ref().is_some_and(|a| targets::is_hidden_control_plane(snap, down.target, a)) {
        return ("control-plane", "EKS runs this part of the control plane out of reach".into());
    }
    if let Some(family) = joined::family(snap, down) {
        return family;
    }
    if let Some(url) = down.redirected_to() {
        return ("redirect", format!("redirected to {url}, and there {words}"));
    }
    (variant(&down.failure), words)
}

/// The failure in words, as exact as the error tells.
fn words(down: &Down<'_>) -> String {
    let error = &down.target.last_error;
    let general = down.failure.words();
    let is_http = down.address.as_ref().is_some_and(|a| a.scheme == "http");
    match &down.failure {
        ScrapeFailure::Timeout => format!("{general}: {}", timeout_words(down)),
        ScrapeFailure::Reset => reset_words(error).to_owned(),
        ScrapeFailure::Certificate => match certificate_problem(error) {
            "expired" => format!("{general}: {}", expiry(error)),
            "authority" => format!("{general}: signed by an unknown authority"),
            "name" if has_common_name_only(error) => {
                format!("{general}: it is for no name at all (no subjectAltName; a Common Name does not count)")
            }
            "name" => format!("{general}: it is for another name"),
            "client" => format!("{general}: the target wants another client certificate"),
            _ => general,
        },
        ScrapeFailure::TlsMismatch => {
            let who = if down.redirected_to().is_some() { "redirect" } else { "job" };
            match scheme_spoken(error) {
                Some("http") => format!("{general}: the target speaks HTTP, the {who} asks for HTTPS"),
                _ => format!("{general}: the target speaks HTTPS, the {who} asks for HTTP"),
            }
        }
        ScrapeFailure::NotHttp => protocol(error).map_or(general, |p| format!("the port speaks {p}, not HTTP")),
        ScrapeFailure::Limit => limit_name(error).map_or(general, |limit| format!("{limit} is exceeded")),
        ScrapeFailure::BadLine if error.contains("invalid UTF-8") => "a label value is not valid UTF-8".into(),
        ScrapeFailure::BadLine if error.contains("# EOF") => "the answer breaks off: no # EOF at its end".into(),
        ScrapeFailure::BadLine if error.starts_with("gzip:") => "the compressed answer is broken (gzip)".into(),
        ScrapeFailure::Credentials => between(error, "open ", ": ").map_or(general, |file| {
            let why = error.rsplit(": ").next().unwrap_or_default();
            format!("the credentials file {file} cannot be read: {why}")
        }),
        ScrapeFailure::Status(400) if is_http => {
            format!("{general}, as a server that wants HTTPS answers HTTP")
        }
        ScrapeFailure::Status(status) => {
            status_words(*status).map_or_else(|| general.clone(), |words| format!("{general}, {words}"))
        }
        _ => general,
    }
}

/// `current time 2026-11-21T02:55:30Z is after 2026-11-20T00:00:00Z`.
fn expiry(error: &str) -> String {
    let date = |mark: &str| error.split_once(mark).and_then(|(_, rest)| rest.get(..10)).map(str::to_owned);
    if let Some(day) = date(" is after ") {
        return format!("it expired on {day}");
    }
    match date(" is before ") {
        Some(day) => {
            format!("it is valid from {day} on only: the clock of one side is off, or it was issued too early")
        }
        None => "it has expired or is not yet valid".into(),
    }
}

/// What a status says of the target.
fn status_words(status: u16) -> Option<&'static str> {
    Some(match status {
        401 | 407 => "the target wants credentials",
        403 => "whoever asks lacks the permission",
        404 | 410 => "the metrics are not at this path",
        429 => "the target limits the rate of requests",
        500 => "the application fails to make its metrics",
        502..=504 => "a proxy in front has no healthy backend",
        _ => return None,
    })
}

/// How far a scrape came that took too long, as far as Go tells.
fn timeout_words(down: &Down<'_>) -> String {
    let error = &down.target.last_error;
    let limit = &down.target.scrape_timeout;
    let by_name = down.address.as_ref().is_some_and(|a| a.host.parse::<std::net::IpAddr>().is_err());
    if error.contains("dial tcp") || error.contains("connection timed out") {
        "no answer to the connection, packets are dropped".into()
    } else if error.contains("awaiting headers") || error.contains("reading body") {
        format!("the answer takes longer than the scrape_timeout of {limit}")
    } else if by_name {
        format!(
            "no complete answer within the scrape_timeout of {limit}; name look-up, connection or answer is too slow"
        )
    } else {
        format!("no complete answer within the scrape_timeout of {limit}; connection or answer is too slow")
    }
}

fn reset_words(error: &str) -> &'static str {
    if error.contains("connection reset") {
        "connection reset by peer"
    } else if error.ends_with("EOF") {
        "the target closes the connection before its answer is complete"
    } else {
        "connection closed early"
    }
}

/// The scheme that the target speaks where it is not the one of the URL that was asked.
fn scheme_spoken(error: &str) -> Option<&'static str> {
    if error.contains("does not look like a TLS handshake") || error.contains("HTTP response to HTTPS client") {
        return Some("http");
    }
    error.contains("\\x15\\x03").then_some("https")
}

/// The protocol of a port that answered HTTP with its own words.
fn protocol(error: &str) -> Option<&'static str> {
    let answer = error.split_once("malformed HTTP ").map(|(_, rest)| rest)?;
    let said = answer.split_once('"').map_or("", |(_, said)| said);
    // Redis: `-ERR wrong number of arguments for 'get' command`. HTTP/2: a SETTINGS frame, type 4 of stream 0.
    if answer.starts_with("status code \"wrong\"") || said.starts_with("-ERR") || said.starts_with("-DENIED") {
        Some("the Redis protocol")
    } else if said.starts_with("\\x00\\x00") && said.contains("\\x04\\x00\\x00\\x00\\x00\\x00") {
        Some("HTTP/2 without TLS (gRPC)")
    } else if said.starts_with("SSH-") {
        Some("SSH")
    } else if said.contains("mysql") || said.contains("MariaDB") || said.contains("caching_sha2") {
        Some("the MySQL protocol")
    } else if said.starts_with("220 ") || answer.starts_with("status code \"220") {
        Some("SMTP or FTP")
    } else {
        None
    }
}

fn has_common_name_only(error: &str) -> bool {
    error.contains("Common Name") || error.contains("not valid for any names")
}

fn variant(failure: &ScrapeFailure) -> &'static str {
    match failure {
        ScrapeFailure::Timeout => "timeout",
        ScrapeFailure::Refused => "refused",
        ScrapeFailure::NoSuchHost(_) => "no-such-host",
        ScrapeFailure::Dns => "dns",
        ScrapeFailure::NoRoute => "no-route",
        ScrapeFailure::Reset => "reset",
        ScrapeFailure::Certificate => "certificate",
        ScrapeFailure::TlsMismatch => "scheme",
        ScrapeFailure::Tls => "tls",
        ScrapeFailure::NotHttp => "not-http",
        ScrapeFailure::Status(401 | 407) => "unauthorized",
        ScrapeFailure::Status(403) => "forbidden",
        ScrapeFailure::Status(404 | 410) => "not-found",
        ScrapeFailure::Status(500..=599) => "server-error",
        ScrapeFailure::Status(_) => "status",
        ScrapeFailure::NotMetrics | ScrapeFailure::BlankContentType => "not-metrics",
        ScrapeFailure::BadLine => "bad-line",
        ScrapeFailure::Limit => "limits",
        ScrapeFailure::Credentials => "credentials",
        ScrapeFailure::Redirects => "redirect",
        ScrapeFailure::Other => "other",
    }
}

fn finding(snap: &Snapshot, family: &Family<'_>) -> Finding {
    let Family { job, variant, words, group, total, all_down } = family;
    let (first, count) = (group[0], group.len());
    let severity = match (*variant, all_down) {
        ("control-plane", _) => Severity::Info,
        (_, true) => Severity::Error,
        (_, false) => Severity::Warning,
    };
    let plural = if *total == 1 { "target" } else { "targets" };
    let is = if count == 1 { "is" } else { "are" };
    let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
    let mut message =
        format!("{count} of {total} {plural} of job {job} {is} down: {words} ({}{more})", first.target.scrape_url);
    if let Some((offered, limit)) = samples_offered(snap, first) {
        let limit = limit.map(|l| format!(", and the job takes {l}")).unwrap_or_default();
        message.push_str(&format!("; the target offers {offered} samples{limit}"));
    }
    if *variant == "unauthorized" && sends_credential(snap, job) {
        message.push_str("; the job sends one, and it is not accepted");
    }
    if *variant == "forbidden"
        && let Some(lacking) = first.address.as_ref().and_then(|a| authorizer::lacking(snap, first.target, a))
    {
        message = format!("{message}: {lacking}");
    }
    let subject = ResourceRef::ScrapeJob { job: (*job).to_owned() };
    let mut made = Finding::new(TargetDown::META.id, severity, subject, message)
        .evidence(crate::checks::support::scrape::evidence(snap, job, group))
        .fix(*variant)
        .key(format!("{job}/{variant}/{words}"));
    for down in *group {
        made = dependencies(snap, down).into_iter().fold(made, Finding::depends_on);
    }
    let host = first.address.as_ref().map_or("", |a| a.host.as_str());
    for probe in crate::domain::kubernetes::probes::of_host(snap, Program::Prometheus, host) {
        made = made.evidence(probes::evidence(probe));
    }
    if let Some(ports) = ports_evidence(snap, first) {
        made = made.evidence(ports);
    }
    made = joined::evidence(snap, first, made);
    made.params = params(snap, family);
    made
}

/// What would explain that one target is down.
fn dependencies(snap: &Snapshot, down: &Down<'_>) -> Vec<ResourceRef> {
    let url = ResourceRef::ScrapeUrl { url: down.target.scrape_url.clone() };
    // Whoever answers is alive: only what is served at the path can be wrong.
    if matches!(down.failure, ScrapeFailure::NotMetrics | ScrapeFailure::BlankContentType) {
        return vec![url];
    }
    let Some(address) = &down.address else { return vec![url] };
    if let ScrapeFailure::NoSuchHost(host) = &down.failure {
        let host = if host.is_empty() { &address.host } else { host };
        let service = targets::cluster_host(snap, host);
        return service.map(|s| ResourceRef::service(&s.namespace, &s.service)).into_iter().chain([url]).collect();
    }
    let service = targets::service_of(snap, down.target, address).map(|(ns, name)| ResourceRef::service(&ns, &name));
    let pod = targets::pod_of(snap, down.target, address).map(|(ns, name)| ResourceRef::pod(&ns, &name));
    let node = targets::node_of(down.target, address).map(|name| ResourceRef::kubernetes("", "Node", "", name));
    let mut all: Vec<ResourceRef> = service.into_iter().chain(pod).chain(node).collect();
    match down.failure {
        ScrapeFailure::Timeout | ScrapeFailure::Refused | ScrapeFailure::NoRoute | ScrapeFailure::Reset => {
            all.push(url)
        }
        ScrapeFailure::Dns => {
            all.push(ResourceRef::service("kube-system", "kube-dns"));
            all.push(ResourceRef::kubernetes("apps", "Deployment", "kube-system", "coredns"));
            all.push(url);
        }
        _ => {}
    }
    all
}

/// The ports on the way to a target whose connection is refused.
fn ports_evidence(snap: &Snapshot, down: &Down<'_>) -> Option<Evidence> {
    if down.failure != ScrapeFailure::Refused {
        return None;
    }
    let service = targets::existing_service_of(snap, down.target, down.address.as_ref()?)?;
    let value = ports_of(snap, service);
    let (namespace, name) = (&service.metadata.namespace, &service.metadata.name);
    let source = format!("Service {namespace}/{name} spec.ports");
    Some(
        Evidence::new(source, value, "kubectl get service -n {{ namespace }} {{ name }} -o yaml")
            .with("namespace", namespace)
            .with("name", name),
    )
}

fn ports_of(snap: &Snapshot, service: &Service) -> String {
    let target_port = |value: &serde_json::Value| match value {
        serde_json::Value::String(name) => name.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        _ => "the same".to_owned(),
    };
    let ports =
        service.spec.ports.iter().map(|p| format!("port {} → targetPort {}", p.port, target_port(&p.target_port)));
    let mut declared: Vec<String> = snap
        .pods_of_service(service)
        .flat_map(|p| &p.spec.containers)
        .flat_map(|c| &c.ports)
        .map(|p| {
            p.name.as_ref().map_or_else(|| p.container_port.to_string(), |n| format!("{} ({n})", p.container_port))
        })
        .collect();
    declared.sort();
    declared.dedup();
    let declared =
        if declared.is_empty() { String::new() } else { format!("; containers declare {}", declared.join(", ")) };
    format!("{}{declared}", ports.collect::<Vec<_>>().join(", "))
}

/// Values for the page: what is not known is null.
fn params(snap: &Snapshot, family: &Family<'_>) -> Params {
    let down = family.group[0];
    let (target, address) = (down.target, down.address.as_ref());
    let mut params = crate::checks::support::scrape::targets_params(snap, Some(family.job));
    crate::checks::support::origin::set_params(snap, family.job, &mut params);
    crate::checks::support::authorizer::set_params(snap, target, address, &mut params);
    place_params(snap, down, &mut params);
    joined::set_params(snap, down, &mut params);
    params.set("sends", sends_credential(snap, family.job));
    params.set("probed", snap.probes().is_ok());
    params.set("job", family.job);
    params.set("url", &target.scrape_url);
    params.set("error", &target.last_error);
    params.set("interval", &target.scrape_interval);
    params.set("timeout", &target.scrape_timeout);
    params.set("duration", format!("{:.1}s", target.last_scrape_duration));
    redirect_params(down, &mut params);
    params.set("right_scheme", if address.is_some_and(|a| a.scheme == "https") { "http" } else { "https" });
    params.set("certificate", certificate_problem(&target.last_error));
    params.set("limit", limit_name(&target.last_error));
    params.set("limit_field", camel_case(limit_name(&target.last_error).unwrap_or("<limit>")));
    // Room for a fifth more, in whole hundreds.
    let roomy = samples_offered(snap, down).map(|(offered, _)| (offered * 6 / 5).div_ceil(100) * 100);
    params.set(
        "new_limit",
        roomy.map_or_else(|| serde_json::json!("<above what the target offers>"), |n| serde_json::json!(n)),
    );
    params.set("file", between(&target.last_error, "open ", ": "));
    let renew = family.variant == "certificate" && certificate_problem(&target.last_error) == "expired";
    let sends = family.variant == "unauthorized" && sends_credential(snap, family.job);
    params.set("changes_job", changes_job(family.variant) && !renew && !sends);
    release_params(snap, &mut params);
    params
}

/// Where a redirect leads, and what of the job must change to scrape there.
fn redirect_params(down: &Down<'_>, params: &mut Params) {
    let to = down.redirected_to();
    let there = to.as_deref().and_then(Address::parse);
    let own = down.address.as_ref();
    let same_place =
        there.as_ref().zip(own).is_some_and(|(there, own)| (&there.host, there.port) == (&own.host, own.port));
    params.set("redirected_to", to.as_deref());
    params.set("final_scheme", there.as_ref().map_or("<scheme of the final URL>", |a| a.scheme.as_str()));
    params.set("final_path", there.as_ref().map_or("<path of the final URL>", Address::bare_path));
    params.set("final_target", there.as_ref().filter(|_| !same_place).map(Address::host_port));
    params.set("redirect_spoken", scheme_spoken(&down.target.last_error));
}

/// Host, path, Service and Pod of the first target.
fn place_params(snap: &Snapshot, down: &Down<'_>, params: &mut Params) {
    let (target, address) = (down.target, down.address.as_ref());
    let service = address.and_then(|a| targets::service_of(snap, target, a));
    let pod = address.and_then(|a| targets::pod_of(snap, target, a));
    let exists = service.as_ref().and_then(|(ns, name)| snap.services.find(ns, name).ok()).map(|s| s.is_some());
    let namespace = service.as_ref().or(pod.as_ref()).map(|(namespace, _)| namespace.as_str());
    params.set("namespace", namespace);
    params.set("service", service.as_ref().map(|(_, name)| name.as_str()));
    params.set("service_exists", exists);
    params.set("slice_selector", service.as_ref().map(|(_, name)| format!("kubernetes.io/service-name={name}")));
    params.set("pod", pod.as_ref().map(|(_, name)| name.as_str()));
    let node = address.and_then(|a| targets::node_of(target, a));
    params.set("configz_path", node.as_ref().map(|n| format!("/api/v1/nodes/{n}/proxy/configz")));
    params.set("node", node);
    params.set("host", address.map(|a| a.host.as_str()));
    params.set("host_port", address.map(Address::host_port));
    params.set("port", address.map(|a| a.port));
    params.set("path", address.map(Address::bare_path));
    params.set("scheme", address.map(|a| a.scheme.as_str()));
    params.set("answer_path", address.and_then(|a| targets::answer_path(snap, target, a)));
    let selected = address.and_then(|a| targets::existing_service_of(snap, target, a));
    let of_pod = || {
        let (namespace, name) = pod.as_ref()?;
        snap.pods.find(namespace, name).ok().flatten().map(|p| snap.owner_ref(p).kubectl_name())
    };
    let owner = selected.and_then(|s| origin::workload_behind(snap, s)).or_else(of_pod);
    params.set("workload", owner);
}

/// Fixes that change the scrape job itself. A longer timeout is one of the rarer fixes of a timeout.
fn changes_job(variant: &str) -> bool {
    matches!(
        variant,
        "redirect" | "certificate" | "scheme" | "unauthorized" | "not-found" | "limits" | "not-http" | "tls"
    )
}

fn certificate_problem(error: &str) -> &'static str {
    let has = |part: &str| error.contains(part);
    if has("has expired or is not yet valid") {
        "expired"
    } else if has("unknown authority") || has("self-signed") || has("self signed") || has("not trusted") {
        "authority"
    } else if has("not valid for")
        || has("is valid for")
        || has("cannot validate certificate for")
        || has("Common Name")
    {
        "name"
    } else if has("bad certificate") || has("certificate required") || has("unknown certificate") {
        "client"
    } else {
        ""
    }
}

/// The field of the scrape job that an error of exceeded limits is about.
fn limit_name(error: &str) -> Option<&'static str> {
    let words = error.split(" exceeded").next()?.replace(' ', "_");
    let known = [
        "sample_limit",
        "body_size_limit",
        "label_limit",
        "label_name_length_limit",
        "label_value_length_limit",
        "target_limit",
    ];
    if words.ends_with("bucket_limit") {
        return Some("native_histogram_bucket_limit");
    }
    known.into_iter().find(|k| words == *k)
}

/// The operator's spelling of a field.
fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        let upper: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
        name + &upper + letters.as_str()
    })
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map(|(found, _)| found)
}

/// The Helm release that Prometheus' Service belongs to.
fn release_params(snap: &Snapshot, params: &mut Params) {
    let component = snap.scope.prometheus.as_ref();
    let service = component.and_then(|c| snap.services.find(&c.namespace, &c.service).ok().flatten());
    let annotation = |name: &str| service.and_then(|s| s.metadata.annotations.get(name)).map(String::as_str);
    params.set("release", annotation(crate::snapshot::kubernetes::annotation::HELM_RELEASE).unwrap_or("<release>"));
    let namespace =
        annotation(crate::snapshot::kubernetes::annotation::HELM_NAMESPACE).or(component.map(|c| c.namespace.as_str()));
    params.set("release_namespace", namespace.unwrap_or("<namespace>"));
    let chart = service.and_then(|s| s.metadata.label("helm.sh/chart"));
    let version = chart.and_then(|c| c.strip_prefix("kube-prometheus-stack-"));
    params.set("chart_version", version.unwrap_or("<installed chart version>"));
}

#[cfg(test)]
mod tests;
