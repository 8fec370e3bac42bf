//! What the cluster itself says of a target that is down: it listens on its own loopback only, a mesh stands before it, the
//! job already sends a credential.

use std::collections::BTreeSet;

use crate::domain::kubernetes::mesh::Mesh;
use crate::domain::kubernetes::proxy_log;
use crate::domain::prometheus::running_config;
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::{self, Down, prometheus_pod};
use crate::domain::text::log_line::{Line, is_within};
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::lint::yaml::Node;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ConfigMap, Container, Pod};
use crate::snapshot::monitoring::ContainerLog;

/// A fact that explains a failure.
#[derive(Debug, Clone)]
pub(crate) enum Joined<'a> {
    /// An argument of the container makes it listen on loopback.
    Argument { pod: &'a Pod, container: &'a Container, argument: &'a str },
    /// kube-proxy's configuration does, or its default, where none was found.
    KubeProxy { map: Option<(&'a ConfigMap, &'a str, String)> },
    /// A side-car of a service mesh takes plain connections from within the mesh only.
    Mesh { pod: &'a Pod, mesh: Mesh },
    /// kube-rbac-proxy in front of it cannot ask the API server who asks: where that is said, and why.
    Review { pod: &'a Pod, log: &'a ContainerLog, line: &'a str, why: String },
    /// It says itself why it cannot gather its metrics.
    Gathering { pod: &'a Pod, log: &'a ContainerLog, line: &'a str, why: String },
}

/// Longest part of what an exporter says that stands in a sentence.
const QUOTED: usize = 240;
/// Seconds within which a line of kube-rbac-proxy is of now: it asks at each scrape.
const ASKED: i64 = 300;

/// Where kube-proxy serves its metrics.
const KUBE_PROXY_METRICS: u16 = 10249;

/// The fact that explains a failure, where one does.
pub(crate) fn of<'a>(snap: &'a Snapshot, down: &Down<'_>) -> Option<Joined<'a>> {
    let address = down.address.as_ref()?;
    let pod = targets::pod_of(snap, down.target, address)
        .and_then(|(namespace, name)| snap.pods.find(&namespace, &name).ok().flatten());
    match down.failure {
        ScrapeFailure::Refused => {
            let by_argument = pod.and_then(|pod| {
                let all = pod.spec.containers.iter();
                let mut bound = all.filter_map(|c| Some((c, local_argument(c, address.port)?)));
                let (container, argument) = bound.next()?;
                Some(Joined::Argument { pod, container, argument })
            });
            by_argument.or_else(|| kube_proxy(snap, pod, address.port))
        }
        ScrapeFailure::Reset => {
            let pod = pod?;
            let mesh = Mesh::of(pod).filter(|_| address.scheme == "http")?;
            // A Prometheus within the mesh has a certificate of its own.
            let outside = prometheus_pod(snap).is_some_and(|p| Mesh::of(p).is_none());
            outside.then_some(Joined::Mesh { pod, mesh })
        }
        // Without an answer kube-rbac-proxy knows nobody, and takes whoever asks for nobody.
        ScrapeFailure::Status(401) => review(snap, pod?),
        ScrapeFailure::Status(500) => review(snap, pod?).or_else(|| gathering(snap, pod?)),
        _ => None,
    }
}

/// What kube-rbac-proxy says of its own questions, where they fail now.
fn review<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Option<Joined<'a>> {
    let logs = snap.part_logs().map(Vec::as_slice).unwrap_or_default();
    let own = logs.iter().filter(|l| l.is_of(&pod.metadata));
    let mut proxies = own.filter(|l| !l.previous && l.container.contains("kube-rbac-proxy"));
    proxies.find_map(|log| {
        let is_question = |l: &&str| l.contains("/tokenreviews") || l.contains("/subjectaccessreviews");
        let recent = |l: &&str| is_within(l, snap.collected_at, ASKED);
        // One request that got lost is no lasting fault.
        let asked: Vec<&str> = log.text.lines().rev().filter(is_question).filter(recent).take(2).collect();
        let [line, _] = asked.as_slice() else { return None };
        // As it is, or within a quoted field.
        let said = line.split_once("reviews\": ").or_else(|| line.split_once("reviews\\\": "));
        let why = said.map(|(_, why)| why.trim_end_matches('"').to_owned())?;
        Some(Joined::Review { pod, log, line, why })
    })
}

/// What an exporter says of metrics that it cannot gather, where it goes on: Go's client library answers 500 then.
fn gathering<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Option<Joined<'a>> {
    let logs = snap.part_logs().map(Vec::as_slice).unwrap_or_default();
    let mut own = logs.iter().filter(|l| !l.previous && l.is_of(&pod.metadata));
    own.find_map(|log| {
        let fails = |l: &&str| l.contains("error gathering metrics") && is_within(l, snap.collected_at, ASKED);
        let said: Vec<&str> = log.text.lines().rev().filter(fails).take(2).collect();
        let [line, _] = said.as_slice() else { return None };
        let text = Line::parse(line).text();
        let why =
            text.split_once("error gathering metrics").map(|(_, why)| why.trim_start_matches([':', ' ']).to_owned())?;
        Some(Joined::Gathering { pod, log, line, why: redact(&shorten(&why, QUOTED)) })
    })
}

/// The argument that binds a port, or all ports where it names none, to loopback.
pub(crate) fn local_argument(container: &Container, port: u16) -> Option<&str> {
    let words = container.command.iter().chain(&container.args).map(String::as_str);
    words.into_iter().find(|argument| {
        let Some((name, value)) = argument.split_once('=') else { return false };
        // Where it asks others, or where others are to look for it, is no place where it listens.
        let of_others = ["advertise", "external", "upstream", "remote", "peer", "join", "backend", "target"];
        let binds = ["bind", "listen", "addr", "host"].iter().any(|w| name.contains(w))
            && !of_others.iter().any(|w| name.contains(w));
        let local = ["127.0.0.1", "localhost", "[::1]"];
        let rest = local.iter().find_map(|l| value.trim_start_matches("http://").strip_prefix(l));
        let fits = rest.is_some_and(|r| r.is_empty() || r.strip_prefix(':') == Some(port.to_string().as_str()));
        // `--bind-address` of a program with several ports is about all of them.
        binds && name.starts_with('-') && fits
    })
}

fn kube_proxy<'a>(snap: &'a Snapshot, pod: Option<&Pod>, port: u16) -> Option<Joined<'a>> {
    let is_it = pod.is_none_or(proxy_log::is_proxy);
    if port != KUBE_PROXY_METRICS || !is_it {
        return None;
    }
    let maps = snap.config_maps.items().unwrap_or_default().iter();
    let mut bound = maps.filter(|m| m.metadata.namespace == "kube-system").filter_map(|map| {
        let (key, text) = map.data.iter().find(|(_, text)| text.contains("metricsBindAddress"))?;
        let line = text.lines().find_map(|l| l.trim().strip_prefix("metricsBindAddress:"))?;
        Some((map, key.as_str(), line.trim().trim_matches(['"', '\'']).to_owned()))
    });
    match bound.next() {
        // It listens everywhere: something else refuses.
        Some((.., value)) if value.starts_with("0.0.0.0") || value.starts_with("[::]") || value.starts_with(':') => {
            None
        }
        map => Some(Joined::KubeProxy { map }),
    }
}

/// The running jobs that send a credential: a file with a token, a user with a password.
pub(crate) fn jobs_with_credential(snap: &Snapshot) -> BTreeSet<String> {
    let keys = ["authorization", "bearer_token", "bearer_token_file", "basic_auth", "oauth2", "sigv4"];
    let Some(config) = running_config::document(snap) else { return BTreeSet::new() };
    let jobs = config.get("scrape_configs").and_then(Node::items).unwrap_or_default().iter();
    let sending = jobs.filter(|j| keys.iter().any(|k| j.get(k).is_some()));
    sending.filter_map(|j| j.get("job_name")?.as_str().map(str::to_owned)).collect()
}

/// A job as Prometheus runs it.
fn job(snap: &Snapshot, name: &str) -> Option<Node> {
    let config = running_config::document(snap)?;
    let jobs = config.get("scrape_configs").and_then(Node::items).unwrap_or_default();
    jobs.iter().find(|j| j.get("job_name").and_then(Node::as_str) == Some(name)).cloned()
}

/// Samples that a target offered at a scrape that was dropped for their number, and the limit of its job. Prometheus counts
/// what it read also where it keeps none of it.
pub(crate) fn samples_offered(snap: &Snapshot, down: &Down<'_>) -> Option<(u64, Option<u64>)> {
    if !down.target.last_error.replace(' ', "_").starts_with("sample_limit") {
        return None;
    }
    let label = |name: &str| down.target.labels.get(name);
    let of_job = snap.scrape_samples().ok()?.get(label("job")?)?;
    let offered = of_job.iter().find(|t| Some(&t.instance) == label("instance")).map(|t| t.samples as u64)?;
    let limit = job(snap, down.target.job()).and_then(|j| j.get("sample_limit")?.as_str()?.parse().ok());
    (offered > limit.unwrap_or(0)).then_some((offered, limit))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_dropped_scrape_offered_is_known() {
        use crate::domain::testing::{snapshot, target};
        let mut snap = snapshot(json!({}));
        let target = target(
            json!({"scrapePool": "self", "scrapeUrl": "http://a:1/m", "lastError": "sample limit exceeded", "labels": {"job": "self", "instance": "a:1"}}),
        );
        *snap.prometheus_config = Ok("scrape_configs:\n- job_name: self\n  sample_limit: 5\n".into());
        *snap.scrape_samples = Ok([(
            "self".to_owned(),
            vec![crate::snapshot::monitoring::TargetSamples { instance: "a:1".into(), samples: 351.0 }],
        )]
        .into());
        let down = Down { target: &target, failure: ScrapeFailure::Limit, address: None };
        assert_eq!(samples_offered(&snap, &down), Some((351, Some(5))));
    }

    fn container(args: &[&str]) -> Container {
        serde_json::from_value(json!({"name": "c", "args": args})).expect("a container")
    }

    #[test]
    fn an_argument_that_binds_the_port_to_loopback_is_found() {
        let all = container(&["--bind-address=127.0.0.1", "--v=2"]);
        assert_eq!(local_argument(&all, 10259), Some("--bind-address=127.0.0.1"));
        let one = container(&["--metrics-bind-address=127.0.0.1:8080", "--health-probe-bind-address=:8081"]);
        assert_eq!(local_argument(&one, 8080), Some("--metrics-bind-address=127.0.0.1:8080"));
        assert_eq!(local_argument(&one, 8081), None);
        assert_eq!(
            local_argument(&container(&["--kube-api=127.0.0.1:8080", "--upstream=http://127.0.0.1:8080/"]), 8080),
            None
        );
    }
}
