//! Grafana is reached below a path of its host, and does not know it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::grafana::{none_runs, running};
use crate::checks::{Check, check};
use crate::domain::grafana::ini;
use crate::domain::grafana::provisioned::Instance;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::mounts::Mounts;
use crate::domain::kubernetes::proxy;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{EnvVar, HttpPath, Ingress};

check! {
    /// See the check's page.
    GrafanaSubPath {
        id: "grafana-sub-path", suite: Grafana, severity: Error,
        title: "Grafana is reached below a path that it does not serve",
        requires: [ConfigMaps, Workloads, Ingresses],
        uses: [Pods, Services],
        fix: Fix,
    }
}

/// See the page's fix.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Serve {
        namespace: String,
        grafana: String,
        container: String,
        managed_by: String,
        root_url: String,
        login_path: String,
    },
}

impl Check for GrafanaSubPath {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let ingresses = snap.ingresses()?;
        let Some(instances) = running(snap)? else { return Ok(none_runs()) };
        let of = |instance: Instance<'_>| {
            let below = ingresses.iter().find_map(|i| Some((i, below(snap, i, instance)?)));
            below.and_then(|(ingress, route)| finding(snap, instance, ingress, &route))
        };
        Ok(Diagnosis::Findings(instances.iter().filter_map(|i| of(*i)).collect()))
    }
}

/// Where an Ingress leads to Grafana.
struct Route {
    host: String,
    /// Without slashes at its ends: `grafana`.
    path: String,
    /// Service and port behind it.
    service: String,
    port: String,
}

/// The route of an Ingress to Grafana below a path that stays in the request.
fn below(snap: &Snapshot, ingress: &Ingress, instance: Instance<'_>) -> Option<Route> {
    // What changes the path on the way is the business of the controller.
    let changes = ["rewrite", "middleware", "transform", "actions.", "snippet", "plugins", "strip"];
    if ingress.metadata.annotations.keys().any(|k| changes.iter().any(|c| k.contains(c))) {
        return None;
    }
    let rules =
        ingress.spec.rules.iter().filter_map(|r| Some((r.host.as_deref().unwrap_or_default(), r.http.as_ref()?)));
    let mut paths = rules.flat_map(|(host, http)| http.paths.iter().map(move |p| (host, p)));
    paths.find_map(|(host, path)| route(snap, ingress, instance, host, path))
}

fn route(snap: &Snapshot, ingress: &Ingress, instance: Instance<'_>, host: &str, path: &HttpPath) -> Option<Route> {
    let below = path.path.as_deref()?.trim_end_matches('*').trim_matches('/');
    // Patterns say too little of what is asked for.
    if below.is_empty() || below.contains(['(', '$', '|']) {
        return None;
    }
    let backend = path.backend.service.as_ref()?;
    let service = snap.services.find(&ingress.metadata.namespace, &backend.name).ok().flatten()?;
    let pods = instance.pods(snap);
    let is_its = snap.pods_of_service(service).any(|p| pods.iter().any(|own| std::ptr::eq(*own, p)));
    let port = backend.port.number.map(|n| n.to_string()).or_else(|| backend.port.name.clone());
    is_its.then(|| Route {
        host: host.to_owned(),
        path: below.to_owned(),
        service: backend.name.clone(),
        port: port.unwrap_or_default(),
    })
}

fn finding(snap: &Snapshot, instance: Instance<'_>, ingress: &Ingress, route: &Route) -> Option<Finding> {
    let settings = Settings::of(snap, instance)?;
    if settings.serves {
        return None;
    }
    let host = if route.host.is_empty() { "<host>" } else { &route.host };
    let root_url = match settings.root_url.as_str() {
        url if url.trim_end_matches('/').ends_with(&format!("/{}", route.path)) => url.to_owned(),
        _ => format!("https://{host}/{}/", route.path),
    };
    let meta = &ingress.metadata;
    let message = format!(
        "Grafana ({}) is reached below /{} of {host} and serves at / only: its pages are not found (404), or lead round in a circle",
        instance.kubectl_name(),
        route.path
    );
    let show = "kubectl get ingress {{ name }} -n {{ namespace }} -o yaml";
    let made = Finding::new(GrafanaSubPath::META.id, Severity::Error, instance.reference(), message)
        .key(format!("{} sub path", instance.reference().key()))
        .breaks_nothing()
        .evidence(
            Evidence::new(
                format!("Ingress {}/{}", meta.namespace, meta.name),
                format!("{host}/{} → Service {}", route.path, route.service),
                show,
            )
            .with("namespace", &meta.namespace)
            .with("name", &meta.name),
        );
    Some(made.fix(Fix::Serve {
        namespace: instance.namespace().to_owned(),
        grafana: instance.kubectl_name(),
        container: instance.container.name.clone(),
        managed_by: managed_by(&instance.workload.metadata),
        root_url,
        login_path: proxy::of_service(
            &meta.namespace,
            "http",
            &route.service,
            &route.port,
            &format!("{}/login", route.path),
        ),
    }))
}

/// What Grafana is told of where it is reached.
struct Settings {
    root_url: String,
    serves: bool,
}

impl Settings {
    /// `None` where its configuration may stand in what was not seen.
    fn of(snap: &Snapshot, instance: Instance<'_>) -> Option<Self> {
        let container = instance.container;
        let pods = instance.pods(snap);
        let files = Mounts::of_pod(snap, pods.first()?, container).files();
        let file = files.iter().find(|f| f.key == "grafana.ini");
        let mounts_secrets = container.volume_mounts.iter().any(|m| m.mount_path.ends_with("grafana.ini"));
        let is_unseen = |e: &EnvVar| e.name == "GF_SERVER_SERVE_FROM_SUB_PATH" && e.value.is_none();
        let hides_variables = !container.env_from.is_empty() || container.env.iter().any(is_unseen);
        if hides_variables || file.is_none() && mounts_secrets {
            return None;
        }
        let of_file = |key: &str| file.and_then(|f| ini::value(f.text, "server", key)).unwrap_or_default().to_owned();
        let of = |variable: &str, key: &str| container.env(variable).map_or_else(|| of_file(key), str::to_owned);
        let serves = of("GF_SERVER_SERVE_FROM_SUB_PATH", "serve_from_sub_path");
        Some(Self { root_url: of("GF_SERVER_ROOT_URL", "root_url"), serves: matches!(serves.as_str(), "true" | "1") })
    }
}
