//! Something that a program needs at its start does not answer: a database, a bucket, a store, a site on the internet.

use crate::domain::crash::{Class, Crash, Detail};
use crate::domain::kubernetes::service_host::{self, in_cluster};
use crate::domain::kubernetes::{cluster_dns, endpoints};
use crate::domain::text::dial::{Dial, Outcome, host};
use crate::domain::text::log_line::{Level, Line};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Service};
use crate::text::pattern::pattern;

/// Reads a line with which a program ends because a connection failed.
pub(crate) fn read(line: &Line<'_>) -> Option<Crash> {
    if !matches!(line.level, Level::Error | Level::Unknown) {
        return None;
    }
    let text = line.text();
    let why = why(&text)?;
    // Whom it asked may stand in a field of its own.
    let host = host(&text).or_else(|| ["url", "endpoint"].iter().find_map(|field| host(line.get(field))))?;
    Some(Crash::new(Class::Unreached, format!("{host} {why}")).what(host))
}

/// The EBS CSI driver 1.47.0 asks STS who it is before it says anything of itself, and is ended by its probe where nobody
/// answers: its log stops after the region. Whether it is that version the image says.
pub(crate) fn driver(text: &str) -> Option<Crash> {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let last = lines.last()?;
    let began = ["Region provided via AWS_REGION environment variable", "Initializing metadata"];
    if !began.iter().any(|b| last.contains(b)) || text.contains("Driver Information") {
        return None;
    }
    let region = pattern!(r#"region="([a-z0-9-]+)""#).captures(text).map(|c| c[1].to_owned());
    let zone = |region: &str| if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let host = region.map_or_else(|| "sts.amazonaws.com".to_owned(), |r| format!("sts.{r}.{}", zone(&r)));
    let reason = format!("it waits at its start for the API of AWS ({host}), which gives no answer");
    let advice = "The driver's log ends before it has said its version: 1.47.0 asks STS first, and its probe ends it meanwhile. 1.47.1 and later start without, and say what they cannot reach";
    let crash = Crash::new(Class::Unreached, reason).what(format!("{host}:443")).detail(Detail::Waits).advice(advice);
    Some(Crash { said: crate::domain::text::redact::redact(last), ..crash })
}

/// Says that a name is not found because there is no Service of that name, and which one was meant where that is known.
pub(crate) fn name_service(snap: &Snapshot, pod: &Pod, crash: &mut Crash) {
    name_api_server(snap, crash);
    let asked = crash.unreached().map(|(host, _)| host).filter(|_| crash.reason.contains("is not found in the DNS"));
    let Some(named) = asked.and_then(|host| in_cluster(snap, host, &pod.metadata.namespace)) else { return };
    if !matches!(snap.services.find(&named.namespace, &named.service), Ok(None)) {
        return;
    }
    let port = crash.unreached().and_then(|(_, port)| port?.parse().ok());
    let alike = service_host::alike(snap, &named, port);
    let place = |s: &&Service| match s.metadata.namespace == named.namespace {
        true => s.metadata.name.clone(),
        false => format!("{}/{}", s.metadata.namespace, s.metadata.name),
    };
    let alike: Vec<String> = alike.iter().map(place).collect();
    let of_dns = cluster_dns::serving(snap).filter(|_| named.namespace == cluster_dns::NAMESPACE);
    let instead = match of_dns {
        Some(service) => format!(": the cluster's DNS is Service {}", service.metadata.name),
        None if alike.is_empty() => String::new(),
        None => format!(" (there is {})", alike.join(", ")),
    };
    crash.reason = format!("{}; namespace {} has no Service {}{instead}", crash.reason, named.namespace, named.service);
}

/// The Service that every program asks the API server by: neither its address nor what is behind it is a setting of the program.
fn name_api_server(snap: &Snapshot, crash: &mut Crash) {
    let asked = crash.unreached().map(|(host, _)| host).filter(|_| crash.class == Class::Unreached);
    let service = asked.and_then(|host| snap.service_by_host(host)).map(|s| &s.metadata);
    if service.is_some_and(|meta| meta.namespace == "default" && meta.name == "kubernetes") {
        let what = crash.what.clone().unwrap_or_default();
        crash.reason = crash.reason.replacen(&what, &format!("the API server ({what})"), 1);
        crash.class = Class::ApiServer;
    }
}

/// Says that nobody is behind the Service that is asked, where no pod can say why.
pub(crate) fn name_backend(snap: &Snapshot, pod: &Pod, crash: &mut Crash) {
    let asked = crash.unreached().and_then(|(host, _)| in_cluster(snap, host, &pod.metadata.namespace));
    let Some(named) = asked else { return };
    let Ok(Some(service)) = snap.services.find(&named.namespace, &named.service) else { return };
    if service.spec.selector.is_empty() || !matches!(snap.endpoints_of(service), Some((0, _))) {
        return;
    }
    let why = match endpoints::Cause::of(snap, service) {
        Some(endpoints::Cause::ScaledToZero(workload)) => {
            format!("{} {} is scaled to 0", workload.kind, workload.metadata.name)
        }
        Some(endpoints::Cause::NoWorkload) => "no workload has the labels that it selects".to_owned(),
        _ => return,
    };
    crash.reason = format!("{}; nobody is behind Service {}/{}: {why}", crash.reason, named.namespace, named.service);
}

/// What became of the connection, as the end of a sentence.
fn why(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    let connects = has(&["dial ", "lookup ", "connect", "resolve", "get \"", "post \"", "head \"", "getaddrinfo"])
        || has(&["unknownhostexception", "net::err_"]);
    if !connects {
        return None;
    }
    if has(&["no such host", "could not resolve", "name or service not known", "could not translate host name"])
        || has(&["enotfound", "err_name_not_resolved", "unknownhostexception", "failed to resolve '"])
    {
        return Some("is not found in the DNS");
    }
    if has(&["server misbehaving", "eai_again"])
        || lower.contains("lookup ") && has(&["i/o timeout", "temporary failure"])
    {
        return Some("is not resolved: the DNS gives no answer");
    }
    if let Some(dial) = Dial::read(text) {
        return Some(if dial.outcome == Outcome::Refused { "refuses the connection" } else { "gives no answer" });
    }
    if has(&["connection refused", "econnrefused", "err_connection_refused"]) {
        return Some("refuses the connection");
    }
    if has(&[
        "i/o timeout",
        "context deadline exceeded",
        "client.timeout exceeded",
        "connection timed out",
        "operation timed out",
        "connect timed out",
        "etimedout",
        "timeout expired",
        "network is unreachable",
        "no route to host",
        "err_connection_timed_out",
        "err_address_unreachable",
    ]) {
        return Some("gives no answer");
    }
    None
}

/// What curl's exit code says; its `-s` leaves the log without a word, but `sh -x` has the command in it.
pub(crate) fn curl(text: &str, code: i32) -> Option<Crash> {
    let command = text.lines().rev().find(|l| l.contains("curl ") && l.contains("://"))?;
    let why = match code {
        5 | 6 => "is not found in the DNS",
        7 => "refuses the connection",
        22 => "answers with an error (HTTP 400 or above)",
        28 => "gives no answer",
        35 | 52 | 56 => "breaks the connection off",
        51 | 60 => "shows a certificate that is not trusted",
        _ => return None,
    };
    let host = host(command)?;
    let crash = Crash::new(Class::Unreached, format!("{host} {why} (curl ends with {code})")).what(host);
    Some(Crash { said: crate::domain::text::redact::redact(command), ..crash })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_not_reached() {
        for (line, wanted) in [
            (
                r#"level=error ts=2026-11-21T02:50:44Z caller=main.go:56 msg="error running application" err="error initialising module: store: Get \"https://mimir.s3.eu-west-1.amazonaws.com/\": dial tcp 52.218.1.1:443: i/o timeout""#,
                Some("mimir.s3.eu-west-1.amazonaws.com gives no answer"),
            ),
            (
                "Error: failed to connect to database: dial tcp: lookup grafana-pg.db.svc on 172.20.0.10:53: no such host",
                Some("grafana-pg.db.svc is not found in the DNS"),
            ),
            ("dial tcp 10.0.3.4:5432: connect: connection refused", Some("10.0.3.4:5432 refuses the connection")),
            (
                "redis.exceptions.ConnectionError: Error 111 connecting to redis-master:6379. Connection refused.",
                Some("redis-master:6379 refuses the connection"),
            ),
            (
                r#"{"failure":"net::ERR_NAME_NOT_RESOLVED","level":"error","message":"Browser request failed","url":"http://grafana.monitor:80/d-solo/a?render=1"}"#,
                Some("grafana.monitor:80 is not found in the DNS"),
            ),
            (r#"{"failure":"net::ERR_ABORTED","level":"error","message":"x","url":"http://grafana/"}"#, None),
            ("Error: connect ECONNREFUSED 10.0.3.4:5432", Some("10.0.3.4:5432 refuses the connection")),
            (
                "java.net.ConnectException: Connection refused: es/172.20.9.9:9200",
                Some("172.20.9.9:9200 refuses the connection"),
            ),
            ("curl: (6) Could not resolve host: grafana.com", Some("grafana.com is not found in the DNS")),
            ("level=info msg=\"dial tcp 10.0.3.4:5432: connection refused\"", None),
            ("panic: runtime error: index out of range", None),
            ("context deadline exceeded", None),
        ] {
            let found = read(&Line::parse(line)).map(|c| c.reason);
            assert_eq!(found.as_deref(), wanted, "{line}");
        }
    }

    #[test]
    fn a_driver_that_waits_for_its_cloud() {
        let log = "I1121 02:53:07.583195       1 main.go:153] \"Region provided via AWS_REGION environment variable\" region=\"eu-west-1\"\n";
        let crash = driver(log).expect("a crash");
        assert_eq!((crash.detail, crash.what.as_deref()), (Detail::Waits, Some("sts.eu-west-1.amazonaws.com:443")));
        let china = driver(&log.replace("eu-west-1", "cn-north-1")).and_then(|c| c.what);
        assert_eq!(china.as_deref(), Some("sts.cn-north-1.amazonaws.com.cn:443"));
        let well = format!("{log}I1121 02:53:08.1 1 driver.go:69] \"Driver Information\" Version=\"v1.47.1\"\n");
        assert!(driver(&well).is_none() && driver("").is_none());
    }

    #[test]
    fn curl_speaks_by_its_exit_code() {
        let log = "+ set -euf\n+ curl -skf --max-time 60 https://grafana.com/api/dashboards/2/revisions/2/download\n";
        assert_eq!(curl(log, 28).map(|c| c.reason).as_deref(), Some("grafana.com gives no answer (curl ends with 28)"));
        assert!(curl(log, 1).is_none() && curl("+ true", 28).is_none());
    }
}
