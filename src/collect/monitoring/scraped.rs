//! What Prometheus scrapes, seen from outside of it: the namespaces in which it fails to, and what scrape URLs answer.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use url::Url;

use crate::collect::Plan;
use crate::collect::client::Client;
use crate::collect::source::Request;
use crate::domain::kubernetes::service_host::in_cluster;
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::{Address, existing_service_of, service_port};
use crate::model::Fact;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::{ScrapeTarget, TargetAnswer};

/// Scrape URLs that are asked at most.
const MAX_ANSWERS: usize = 10;

/// Namespaces that are read at most because Prometheus fails to scrape something there.
const MAX_SCRAPED: usize = 25;

/// Namespaces where Prometheus fails to scrape; none where it cannot be asked.
pub(super) fn scraped_namespaces(snap: &Snapshot) -> BTreeSet<String> {
    let of_services = snap.services.items().unwrap_or_default().iter().map(|s| s.metadata.namespace.as_str());
    // Pods may be scraped where no Service is.
    let named = snap.namespaces.items().unwrap_or_default().iter().map(|n| n.metadata.name.as_str());
    let known: BTreeSet<&str> = of_services.chain(named).collect();
    let Ok(targets) = snap.prometheus_targets() else { return BTreeSet::new() };
    let own = snap.scope.prometheus.as_ref().map_or("", |p| p.namespace.as_str());
    let down = targets.iter().filter(|t| t.health != "up");
    let by_name = down.clone().filter_map(|t| {
        let url = Url::parse(&t.scrape_url).ok()?;
        let host = url.host_str()?.to_owned();
        match in_cluster(snap, &host, own) {
            Some(service) => Some(service.namespace),
            None => snap.service_by_host(&host).map(|s| s.metadata.namespace.clone()),
        }
    });
    let by_discovery = down.filter_map(|t| t.discovered_labels.get("__meta_kubernetes_namespace").cloned());
    // An exporter answers its scrapes whether it measures something or not: its own log tells.
    let by_exporter = targets.iter().filter(|t| is_of_exporter(t)).filter_map(|t| t.labels.get("namespace").cloned());
    by_name
        .chain(by_discovery)
        .chain(by_exporter)
        .filter(|n| !snap.scope.is_stack(n) && (known.contains(n.as_str()) || known.is_empty()))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .take(MAX_SCRAPED)
        .collect()
}

/// A target of an exporter of another program, by the name of its job, container or Service. Charts of databases call their
/// exporter's container `metrics`.
fn is_of_exporter(target: &ScrapeTarget) -> bool {
    if target.labels.get("container").is_some_and(|name| name == "metrics") {
        return true;
    }
    let mut named = ["job", "container", "service"].iter().filter_map(|label| target.labels.get(*label));
    named.any(|name| name.contains("exporter") && !name.contains("node-exporter"))
}

/// Asks the scrape URLs that answered something else than metrics, through the API server: what do they say?
pub(in crate::collect) async fn ask_targets(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    if !plan.wants(Fact::TargetAnswers) {
        return;
    }
    let Ok(targets) = snap.prometheus_targets() else { return };
    let mut wanted: BTreeMap<String, Request> = BTreeMap::new();
    for target in targets.iter().filter(|t| t.health == "down") {
        let failure = ScrapeFailure::classify(&target.last_error);
        if !matches!(failure, ScrapeFailure::NotMetrics | ScrapeFailure::BlankContentType) {
            continue;
        }
        let Some(address) = Address::parse(&target.scrape_url) else { continue };
        let Some(service) = existing_service_of(snap, target, &address) else { continue };
        let Some(port) = service_port(service, target, &address) else { continue };
        let request = Request::Service {
            namespace: service.metadata.namespace.clone(),
            service: service.metadata.name.clone(),
            scheme: address.scheme,
            port,
            path: address.path,
        };
        wanted.insert(target.scrape_url.clone(), request);
    }
    let wanted: Vec<(String, Request)> = wanted.into_iter().take(MAX_ANSWERS).collect();
    let answers = join_all(wanted.iter().map(|(_, request)| client.text(request))).await;
    // An answer only sharpens a finding, that of a target that is down; one that is missing is no gap of the report.
    let answers = wanted.into_iter().zip(answers);
    *snap.target_answers =
        Ok(answers.filter_map(|((url, _), body)| Some(TargetAnswer { url, body: body.ok()? })).collect());
}
