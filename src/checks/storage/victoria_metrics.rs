//! VictoriaMetrics takes no samples, for its disk is nearly full, or refuses queries.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::line_evidence;
use crate::checks::support::volume::Larger;
use crate::checks::{Check, check};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::mounts;
use crate::domain::kubernetes::nodes::KUBELET_PORT;
use crate::domain::kubernetes::owner::{self, Target};
use crate::domain::kubernetes::proxy;
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::Address;
use crate::domain::prometheus::victoria::{self, Failing, Unscraped};
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::minute;
use crate::model::{Cause, CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::{Snapshot, journal};

check! {
    /// See the check's page.
    VictoriaMetrics {
        id: "victoria-metrics", suite: Storage, severity: Error,
        title: "VictoriaMetrics takes or scrapes no samples, or refuses queries",
        requires: [Pods],
        uses: [PartLogs, Workloads, PersistentVolumeClaims, StorageClasses, Nodes],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    pod: String,
    container: String,
    managed_by: String,
    #[serde(flatten)]
    way: Way,
}

/// What is wrong with it.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    ReadOnly {
        folder: String,
        /// None where its data lies on no claim that was read.
        claim: Option<String>,
        #[serde(flatten)]
        larger: Larger,
        /// What it keeps; empty where no argument says it.
        retention: String,
    },
    Series {
        detail: String,
        limit: String,
    },
    Busy {
        detail: String,
    },
    ScrapeSize {
        detail: String,
        job: String,
        url: String,
        /// Where the API server shows the answer; none where it is no node's and no pod's.
        answer_path: Option<String>,
        /// The limit that there is, and a larger one, in bytes.
        limit: u64,
        raised: u64,
        /// The operator's resource, where it made the agent.
        vmagent: String,
    },
    Scrape {
        detail: String,
        job: String,
        url: String,
        host: String,
        port: u16,
    },
}

impl Check for VictoriaMetrics {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let is_it = |c: &Container| victoria::is_victoria(&c.image) || victoria::scrapes(&c.image);
        if !snap.pods()?.iter().flat_map(|p| &p.spec.containers).any(is_it) {
            return Ok(Diagnosis::NotApplicable("no VictoriaMetrics runs in the namespaces that were read".into()));
        }
        // Replicas say the same of queries; each has a disk of its own.
        let mut groups: BTreeMap<(String, victoria::Cause), Vec<Failing<'_>>> = BTreeMap::new();
        for failing in victoria::failing(snap)? {
            let pod = snap.pod_of_log(failing.log);
            let owner = pod.map_or_else(|| failing.log.pod.clone(), |p| snap.owner_ref(p).key());
            let of = if failing.trouble == victoria::Cause::ReadOnly { failing.log.pod.clone() } else { owner };
            groups.entry((format!("{}/{of}", failing.log.namespace), failing.trouble)).or_default().push(failing);
        }
        let findings = groups.values().filter_map(|all| Some(finding(snap, all.iter().max_by_key(|f| f.last)?, all)));
        // One finding for what one program does not scrape of a job for one reason.
        let mut jobs: BTreeMap<(String, String, String), Vec<Unscraped<'_>>> = BTreeMap::new();
        for one in victoria::unscraped(snap)? {
            let owner = snap.owner_of_log(one.log).key();
            jobs.entry((owner, one.job.clone(), reason(&one))).or_default().push(one);
        }
        let unscraped = jobs.values().map(|all| not_scraped(snap, all));
        Ok(Diagnosis::Findings(findings.chain(unscraped).collect()))
    }
}

/// Why a target is not scraped, in words.
fn reason(one: &Unscraped<'_>) -> String {
    if victoria::scrape_size(&one.error).is_some() {
        return "its answer is larger than vmagent takes".to_owned();
    }
    match ScrapeFailure::classify(&one.error) {
        ScrapeFailure::Other => shorten(&redact(&one.error), 160),
        failure => failure.words(),
    }
}

fn not_scraped(snap: &Snapshot, all: &[Unscraped<'_>]) -> Finding {
    let one = &all[0];
    let log = one.log;
    let pod = snap.pod_of_log(log);
    let owner = snap.owner_of_log(log);
    let mut urls: Vec<&str> = all.iter().map(|u| u.url.as_str()).collect();
    urls.sort_unstable();
    urls.dedup();
    let targets = match urls.as_slice() {
        [url] => (*url).to_owned(),
        urls => format!("{} targets, such as {}", urls.len(), urls[0]),
    };
    let reason = reason(one);
    let message =
        format!("{} in {} does not scrape job {} ({targets}): {reason}", owner.kubectl_name(), log.namespace, one.job);
    let address = Address::parse(&one.url);
    // The kubelet is scraped by several jobs, and every name is asked of one DNS.
    let is_of_many = ScrapeFailure::classify(&one.error) == ScrapeFailure::Dns
        || address.as_ref().is_some_and(|a| a.port == KUBELET_PORT);
    let shared = is_of_many.then(|| {
        let who = format!("{} in {}", owner.kubectl_name(), log.namespace);
        let place = address.as_ref().filter(|a| a.port == KUBELET_PORT).map(|_| " of the kubelets").unwrap_or_default();
        Cause::keyed(
            format!("{}{place} {reason}", owner.key()),
            format!("{who} does not scrape several jobs{place} for one reason: {reason}"),
        )
    });
    let detail = shorten(&redact(advice_apart(&one.error)), 300);
    let (job, url) = (one.job.clone(), one.url.clone());
    let way = match victoria::scrape_size(&one.error) {
        Some(limit) => {
            let made_by = owner::workload(snap, &owner).and_then(|w| w.metadata.controller());
            let vmagent = made_by.filter(|o| o.kind == "VMAgent").map(|o| o.name.clone()).unwrap_or_default();
            // It only shortens the way to the number.
            let answer_path = address.as_ref().and_then(|a| journal::aside(|| answer_path(snap, a)));
            Way::ScrapeSize { detail, job, url, answer_path, limit, raised: limit.saturating_mul(4), vmagent }
        }
        None => Way::Scrape {
            detail,
            job,
            url,
            host: address.as_ref().map_or_else(|| "<host>".to_owned(), |a| a.host.clone()),
            port: address.as_ref().map_or(80, |a| a.port),
        },
    };
    let mut made = Finding::new(VictoriaMetrics::META.id, Severity::Warning, owner.clone(), message)
        .key(format!("{} scrapes {} {reason}", owner.key(), one.job))
        .evidence(line_evidence(log, &redact(advice_apart(one.line))))
        .breaks(ResourceRef::ScrapeJob { job: one.job.clone() });
    if let Some(shared) = shared {
        made = made.cause(shared);
    }
    // Who does not answer may have a reason of its own.
    if let Some(answering) = address.and_then(|a| snap.pod_by_ip(&a.host)) {
        let meta = &answering.metadata;
        made = made.depends_on(ResourceRef::pod(&meta.namespace, &meta.name)).depends_on(snap.owner_ref(answering));
    }
    made.fix(Fix {
        namespace: log.namespace.clone(),
        pod: log.pod.clone(),
        container: log.container.clone(),
        managed_by: pod.map(|p| Target::of(snap, p).managed_by).unwrap_or_default(),
        way,
    })
}

/// What is said, without what VictoriaMetrics advises behind it.
fn advice_apart(said: &str) -> &str {
    said.split_once(". Possible solutions").map_or(said, |(before, _)| before)
}

/// The answer of a kubelet or a pod as the API server shows it.
fn answer_path(snap: &Snapshot, address: &Address) -> Option<String> {
    let Address { scheme, host, port, path } = address;
    if *port == KUBELET_PORT {
        let nodes = snap.nodes.items().unwrap_or_default();
        let node = nodes.iter().find(|n| n.internal_ip() == Some(host.as_str()))?;
        return Some(proxy::of_node(&node.metadata.name, path));
    }
    let pod = snap.pod_by_ip(host)?;
    Some(proxy::of_pod(&pod.metadata.namespace, scheme, &pod.metadata.name, *port, path))
}

fn container<'a>(pod: Option<&'a Pod>, failing: &Failing<'_>) -> Option<&'a Container> {
    pod?.spec.containers.iter().find(|c| c.name == failing.log.container)
}

fn finding(snap: &Snapshot, failing: &Failing<'_>, all: &[Failing<'_>]) -> Finding {
    let log = failing.log;
    let pod = snap.pod_of_log(failing.log);
    let owner = snap.owner_of_log(log);
    let times: usize = all.iter().map(|f| f.times).sum();
    let (what, severity) = match failing.trouble {
        victoria::Cause::ReadOnly => {
            let since = failing.last.map(|t| format!(" since {}", minute(t))).unwrap_or_default();
            let left = victoria::number(failing.line, "of free space: ");
            let left = left.map(|b| format!(" ({b} bytes are left)")).unwrap_or_default();
            (format!("pod {} takes no samples{since}: its disk is nearly full{left}", log.pod), Severity::Error)
        }
        victoria::Cause::Series => (
            format!(
                "queries are refused, for they select more series than one query may{} ({times} times within 15 minutes)",
                limit(failing).map(|l| format!(" ({l})")).unwrap_or_default()
            ),
            Severity::Warning,
        ),
        victoria::Cause::Busy => (
            format!(
                "queries wait for others until they are given up ({times} times within 15 minutes): more come than it can answer"
            ),
            Severity::Warning,
        ),
    };
    let message = format!("VictoriaMetrics ({} in {}): {what}", owner.kubectl_name(), log.namespace);
    let made = Finding::new(VictoriaMetrics::META.id, severity, owner.clone(), message)
        .key(format!("{}/{} {:?}", log.namespace, log.pod, failing.trouble))
        .evidence(line_evidence(log, &redact(advice_apart(failing.line))));
    // Who writes to a storage that takes nothing is refused; a refused query breaks nothing.
    let made = if failing.trouble == victoria::Cause::ReadOnly { made } else { made.breaks_nothing() };
    made.fix(Fix {
        namespace: log.namespace.clone(),
        pod: log.pod.clone(),
        container: log.container.clone(),
        managed_by: pod.map(|p| Target::of(snap, p).managed_by).unwrap_or_default(),
        way: way(snap, failing, pod),
    })
}

fn limit(failing: &Failing<'_>) -> Option<u64> {
    victoria::number(failing.line, "timeseries exceeds ")
}

fn way(snap: &Snapshot, failing: &Failing<'_>, pod: Option<&Pod>) -> Way {
    // Time, level and place in the program say nothing more.
    let said = failing.line.rsplit('\t').next().unwrap_or(failing.line);
    let detail = redact(advice_apart(said));
    match failing.trouble {
        victoria::Cause::ReadOnly => {
            let folder = victoria::folder(failing.line).unwrap_or("<storage-folder>").to_owned();
            let container = container(pod, failing);
            let origin = pod.zip(container).map(|(p, c)| mounts::origin(snap, p, c, &folder));
            let claim = origin.as_ref().and_then(|o| mounts::claim(snap, &failing.log.namespace, o));
            Way::ReadOnly {
                claim: claim.map(|c| c.metadata.name.clone()),
                larger: Larger::of_claim(snap, claim),
                retention: container.and_then(|c| arguments::flag(c, "retentionPeriod")).unwrap_or_default().to_owned(),
                folder,
            }
        }
        victoria::Cause::Series => {
            let raised = limit(failing).map_or_else(|| "<limit>".to_owned(), |l| (l * 2).to_string());
            Way::Series { detail, limit: raised }
        }
        victoria::Cause::Busy => Way::Busy { detail },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::monitoring::ContainerLog;

    const IMAGE: &str = "victoriametrics/vmstorage:v1.102.1-cluster";

    fn with(line: &str) -> Snapshot {
        let mut snap = snapshot(json!({"pods": [{
            "metadata": {"namespace": "vm", "name": "vmstorage-0", "ownerReferences": [{"kind": "StatefulSet", "name": "vmstorage", "controller": true}]},
            "spec": {"containers": [{"name": "vmstorage", "image": IMAGE, "args": ["--retentionPeriod=6", "--storageDataPath=/storage"]}]},
            "status": {"phase": "Running"}
        }]}));
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "vm".into(),
            pod: "vmstorage-0".into(),
            container: "vmstorage".into(),
            image: IMAGE.into(),
            text: line.repeat(3).into(),
            ..ContainerLog::default()
        }]);
        snap
    }

    #[test]
    fn each_trouble_has_a_fix() {
        for (said, variant, step) in [
            (
                "switching the storage at /storage to read-only mode, since it has less than -storage.minFreeDiskSpaceBytes=10000000 of free space: 0 bytes left",
                "read-only",
                "retentionPeriod",
            ),
            ("the number of matching timeseries exceeds 30000; either narrow down", "series", "60000"),
            (
                "couldn't start executing the request in 10.000 seconds, since -search.maxConcurrentRequests=8 concurrent requests are executed",
                "busy",
                "kubectl top",
            ),
        ] {
            let found = findings(&VictoriaMetrics, &with(&format!("2026-11-21T01:58:00.1Z\twarn\tx.go:1\t{said}\n")));
            assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), [variant], "{said}");
            assert!(steps(&found[0]).contains(step), "{}", steps(&found[0]));
        }
        let image = "victoriametrics/vmagent:v1.126.0";
        for (error, variant, step) in [
            (
                "the response from \"http://10.0.1.5:8080/metrics\" exceeds -promscrape.maxScrapeSize=16777216; either reduce the response size",
                "scrape-size",
                "67108864",
            ),
            (
                "Get \"http://10.0.1.5:8080/metrics\": dial tcp 10.0.1.5:8080: connect: connection refused",
                "scrape",
                "8080",
            ),
        ] {
            let line = |minute: u32| {
                format!(
                    "2026-11-21T01:{minute}:00.1Z\terror\tx.go:1\terror when scraping \"http://10.0.1.5:8080/metrics\" from job \"ksm\" with labels {{a=\"b\"}}: {error}\n"
                )
            };
            let mut snap = with(&[54, 56, 58].map(line).concat());
            *snap.part_logs = snap
                .part_logs
                .as_ref()
                .map_err(Clone::clone)
                .map(|logs| logs.iter().map(|log| ContainerLog { image: image.into(), ..log.clone() }).collect());
            let found = findings(&VictoriaMetrics, &snap);
            assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), [variant], "{error}");
            assert!(steps(&found[0]).contains(step), "{}", steps(&found[0]));
        }
        let well = "2026-11-21T01:58:00.1Z\tinfo\tx.go:1\tnothing\n";
        assert!(findings(&VictoriaMetrics, &with(well)).is_empty());
    }
}
