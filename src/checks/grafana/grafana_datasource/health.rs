//! Grafana itself says that a datasource does not work, where its URL is well as far as it can be seen.

use super::fault::{depend_with_reason, schemes};
use super::finding::{behind, finish, start};
use super::fix::{End, Way};
use crate::domain::grafana::datasources::shown_url;
use crate::domain::grafana::provisioned::Datasource;
use crate::domain::grafana::url::Written;
use crate::domain::kubernetes::{cluster_dns, proxy_env};
use crate::domain::text::log_line::{Level, Line};
use crate::domain::traffic::flows;
use crate::model::{Evidence, Finding, Program, ResourceRef, Severity};
use crate::snapshot::{Fetched, Snapshot};

/// The URL is well as far as it can be seen, and Grafana says that the datasource does not work.
pub(super) fn by_health(snap: &Snapshot, datasource: &Datasource<'_>, answer: &str) -> Fetched<Finding> {
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
pub(super) fn told(snap: &Snapshot, datasource: &Datasource<'_>, answer: &str) -> Option<String> {
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
