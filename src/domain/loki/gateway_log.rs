//! Reads the log of the nginx that the charts of Loki, Mimir and Tempo put before their stores.

use std::collections::BTreeMap;

use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::store::Store;
use crate::domain::text::lasting::{Lasting, RECENT};
use crate::domain::text::log_line;
use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// What the gateway cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The name of the store does not exist.
    Name,
    /// The DNS server that its configuration names does not answer.
    Resolver,
    /// Nobody answers at the store's address.
    Unreached,
    /// The store takes longer than the gateway waits.
    Slow,
    /// A request is larger than it lets through.
    Body,
    /// Who asks has no login, or a wrong one.
    Login,
}

impl Cause {
    /// Breaks while pods are replaced, and is of interest where it lasts.
    fn is_of_the_way(self) -> bool {
        !matches!(self, Self::Body | Self::Login)
    }
}

/// What one gateway's pod says of one trouble.
#[derive(Debug, Clone)]
pub(crate) struct Failing<'a> {
    pub(crate) store: Store,
    pub(crate) trouble: Cause,
    /// Requests that did not get through, or were refused.
    pub(crate) said: Lasting,
    /// The last line that says so.
    pub(crate) line: &'a str,
    pub(crate) log: &'a ContainerLog,
}

/// The store before which a container stands: the charts' nginx, by its image and by the labels or the name of its pod.
pub(crate) fn store_behind(pod: &Pod, container: &Container) -> Option<Store> {
    behind(&container.image, pod.metadata.label("app.kubernetes.io/component"), &named(pod))
}

/// The store before which the container stands that wrote a log.
pub(crate) fn store_of(snap: &Snapshot, log: &ContainerLog) -> Option<Store> {
    let pod = snap.pod_of_log(log)?;
    store_behind(pod, pod.spec.containers.iter().find(|c| c.name == log.container)?)
}

fn named(pod: &Pod) -> [&str; 3] {
    let label = |name| pod.metadata.label(name).unwrap_or_default();
    [label("app.kubernetes.io/name"), label("app.kubernetes.io/instance"), pod.metadata.name.as_str()]
}

fn behind(image: &str, component: Option<&str>, names: &[&str]) -> Option<Store> {
    let has = |word: &str| names.iter().any(|n| n.contains(word));
    let is_gateway = matches!(component, Some("gateway" | "nginx")) || has("gateway") || has("nginx");
    if !base_of(image).starts_with("nginx") || !is_gateway {
        return None;
    }
    let stores = [("loki", Store::Loki), ("mimir", Store::Mimir), ("tempo", Store::Tempo)];
    stores.into_iter().find(|(name, _)| has(name)).map(|(_, store)| store)
}

/// What the gateways fail at now.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failing(snap: &Snapshot) -> Result<Vec<Failing<'_>>, Gap> {
    let mut found = Vec::new();
    for log in snap.part_logs()?.iter().filter(|l| !l.previous) {
        let Some(store) = store_of(snap, log) else { continue };
        found.extend(of_log(snap, log, store));
    }
    Ok(found)
}

fn of_log<'a>(snap: &Snapshot, log: &'a ContainerLog, store: Store) -> Vec<Failing<'a>> {
    let mut by_trouble: BTreeMap<Cause, Failing<'a>> = BTreeMap::new();
    for line in log.text.lines() {
        let Some(trouble) = trouble(line) else { continue };
        let Some(age) = log_line::age(line, snap.collected_at).filter(|age| *age <= RECENT) else { continue };
        let failing = by_trouble.entry(trouble).or_insert_with(|| Failing {
            store,
            trouble,
            said: Lasting::before(age),
            line,
            log,
        });
        failing.said.add(age);
        failing.line = line;
    }
    by_trouble.retain(|trouble, f| if trouble.is_of_the_way() { f.said.goes_on() } else { f.said.is_several() });
    by_trouble.into_values().collect()
}

/// What an error of nginx is about; `None` for what is no trouble of the store, such as a file that a browser asks for.
pub(crate) fn trouble(line: &str) -> Option<Cause> {
    let error = pattern!(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(?:error|crit|alert)\] \d+#\d+: (?:\*\d+ )?(.*)$");
    let found = error.captures(line.trim())?;
    let text = &found[1];
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    match () {
        () if has(&["could not be resolved (3: Host not found)"]) => Some(Cause::Name),
        () if has(&["could not be resolved ("]) => Some(Cause::Resolver),
        () if has(&["while connecting to upstream"]) => Some(Cause::Unreached),
        () if has(&["upstream timed out"]) && has(&["while reading"]) => Some(Cause::Slow),
        () if has(&["client intended to send too large body"]) => Some(Cause::Body),
        () if has(&["was not found in \"", "password mismatch", "no user/password was provided"]) => Some(Cause::Login),
        () => None,
    }
}

/// Host and port that a line says were to be asked; the port is not known where a name did not resolve.
pub(crate) fn upstream(line: &str) -> Option<(String, Option<u16>)> {
    let upstream = pattern!(r#"upstream: "[a-z]+://(\[[0-9a-f:]+\]|[^:/"]+)(?::(\d+))?"#);
    let name = pattern!(r"\*\d+ (\S+) could not be resolved");
    if let Some(found) = upstream.captures(line) {
        let port = found.get(2).and_then(|p| p.as_str().parse().ok());
        return Some((found[1].trim_matches(['[', ']']).to_owned(), port));
    }
    Some((name.captures(line)?[1].trim_end_matches('.').to_owned(), None))
}

/// The user that a line says is not let in.
pub(crate) fn user(line: &str) -> Option<&str> {
    line.split_once("user \"")?.1.split('"').next().filter(|u| !u.is_empty())
}

/// A line of nginx's configuration: what a directive is set to, the first time it stands there.
pub(crate) fn directive<'a>(config: &'a str, name: &str) -> Option<&'a str> {
    let lines = config.lines().map(str::trim).filter(|l| !l.starts_with('#'));
    let mut values = lines.filter_map(|l| l.strip_prefix(name)?.strip_prefix([' ', '\t']));
    values.next().map(|v| v.trim().trim_end_matches(';').trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = r#"2026/11/21 02:50:00 [error] 10#10: *42 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.1.1, server: , request: "POST /loki/api/v1/push HTTP/1.1", upstream: "http://172.20.77.40:3100/loki/api/v1/push", host: "loki-gateway""#;

    #[test]
    fn errors_are_told_apart() {
        let with = |message: &str| format!("2026/11/21 02:50:00 [error] 10#10: *42 {message}, client: 10.0.1.1");
        for (message, wanted) in [
            ("loki.loki.svc could not be resolved (110: Operation timed out)", Some(Cause::Resolver)),
            ("loki.loki.svc could not be resolved (3: Host not found)", Some(Cause::Name)),
            ("no live upstreams while connecting to upstream", Some(Cause::Unreached)),
            ("upstream timed out (110: Operation timed out) while connecting to upstream", Some(Cause::Unreached)),
            ("upstream timed out (110: x) while reading response header from upstream", Some(Cause::Slow)),
            ("upstream timed out (110: x) while proxying upgraded connection", None),
            ("client intended to send too large body: 1572864 bytes", Some(Cause::Body)),
            ("user \"g\" was not found in \"/etc/nginx/secrets/.htpasswd\"", Some(Cause::Login)),
            ("open() \"/etc/nginx/html/favicon.ico\" failed (2: No such file or directory)", None),
        ] {
            assert_eq!(trouble(&with(message)), wanted, "{message}");
        }
        assert_eq!(trouble(&REFUSED.replace("[error]", "[warn]")), None);
        assert_eq!(upstream(REFUSED), Some(("172.20.77.40".into(), Some(3100))));
        assert_eq!(
            upstream(&with("loki.loki.svc. could not be resolved (3: x)")),
            Some(("loki.loki.svc".into(), None))
        );
        assert_eq!(user(&with("user \"g\" was not found in \"x\"")), Some("g"));
    }

    #[test]
    fn only_the_charts_gateways_count() {
        let nginx = "docker.io/nginxinc/nginx-unprivileged:1.27-alpine";
        assert_eq!(behind(nginx, Some("gateway"), &["loki", "loki", "x"]), Some(Store::Loki));
        assert_eq!(behind(nginx, Some("nginx"), &["mimir", "metrics", "x"]), Some(Store::Mimir));
        assert_eq!(behind(nginx, None, &["", "", "loki-gateway-7d-x"]), Some(Store::Loki));
        assert_eq!(behind(nginx, None, &["shop", "shop", "shop-nginx-0"]), None);
        assert_eq!(behind("grafana/loki:3.0.0", Some("gateway"), &["loki", "loki", "x"]), None);
    }

    #[test]
    fn the_first_value_of_a_directive() {
        let config = "http {\n  # resolver old;\n  resolver kube-dns.kube-system.svc.cluster.local.;\n}\n";
        assert_eq!(directive(config, "resolver"), Some("kube-dns.kube-system.svc.cluster.local."));
        assert_eq!(directive(config, "client_max_body_size"), None);
    }
}
