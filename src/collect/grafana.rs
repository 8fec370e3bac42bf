//! Grafana: its API. What it is provisioned with is read from ConfigMaps; the API adds what was made by hand, and how
//! Grafana itself finds its datasources.

use futures::future::join_all;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Plan;
use super::client::Client;
use super::monitoring::where_unknown;
use super::source::{App, FetchError, Request};
use crate::domain::grafana::ini;
use crate::model::{Fact, Gap, GapCause, Program};
use crate::snapshot::grafana::{Dashboard, Datasource, DatasourceHealth, Health};
use crate::snapshot::kubernetes::Container;
use crate::snapshot::{Component, Fetched, Reading, Snapshot, not_collected};

/// Datasources whose health is asked at most.
const MAX_HEALTH: usize = 20;
/// Dashboards that are read at most.
const MAX_DASHBOARDS: usize = 200;
/// Datasources that Grafana's server can ask itself.
const WITH_HEALTH: &[&str] = &["prometheus", "loki", "tempo"];

struct Api<'a> {
    client: &'a Client,
    at: Option<Component>,
    /// Why its Service would not have been found.
    unseen: Option<Gap>,
}

impl Api<'_> {
    async fn get<T: DeserializeOwned + Send + 'static>(&self, path: &str, query: &str) -> Fetched<T> {
        let request = Request::App { app: App::Grafana, at: self.at.clone(), path: path.into(), query: query.into() };
        self.client.json(&request).await.map_err(|error| match error {
            FetchError::NotFound(message) => {
                Gap::new(request.label(), GapCause::BadAnswer, format!("not found: {message}"))
                    .hint("if it runs under a path prefix, give --grafana-url URL with it")
            }
            other => where_unknown(self.unseen.as_ref(), other.into_gap(&request.label())),
        })
    }
}

/// Asks Grafana.
pub(super) async fn gather(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    let prefix = sub_path(snap);
    if let Some(at) = &mut snap.scope.grafana {
        at.prefix = prefix;
    }
    let unseen = snap.services.gaps().first().cloned();
    let api = Api { client, at: snap.scope.grafana.clone(), unseen };
    let wants_datasources = plan.wants(Fact::GrafanaDatasources) || plan.wants(Fact::GrafanaDatasourceHealth);
    let (health, datasources) = futures::join!(
        async {
            if plan.wants(Fact::GrafanaHealth) {
                api.get::<Health>("/api/health", "").await
            } else {
                Err(not_collected(Fact::GrafanaHealth))
            }
        },
        async {
            if wants_datasources {
                api.get::<Vec<Datasource>>("/api/datasources", "").await
            } else {
                Err(not_collected(Fact::GrafanaDatasources))
            }
        }
    );
    let (of_datasources, dashboards) =
        futures::join!(datasource_health(&api, plan, &datasources), dashboards(&api, plan, &datasources));
    *snap.grafana_health = health;
    snap.grafana_datasource_health = of_datasources;
    snap.grafana_dashboards = dashboards;
    *snap.grafana_datasources = datasources;
}

async fn datasource_health(
    api: &Api<'_>,
    plan: &Plan,
    datasources: &Fetched<Vec<Datasource>>,
) -> Reading<Vec<DatasourceHealth>> {
    if !plan.wants(Fact::GrafanaDatasourceHealth) {
        return Err(not_collected(Fact::GrafanaDatasourceHealth)).into();
    }
    let asked = match datasources {
        Ok(all) => all.iter(),
        Err(gap) => return Err(gap.clone()).into(),
    };
    let asked = asked.filter(|d| WITH_HEALTH.contains(&d.kind.as_str()) && is_uid(&d.uid)).take(MAX_HEALTH);
    let answers = join_all(asked.map(|d| async {
        let health = api.get::<DatasourceHealth>(&format!("/api/datasources/uid/{}/health", d.uid), "").await?;
        Ok(DatasourceHealth { uid: d.uid.clone(), ..health })
    }));
    some_of(answers.await)
}

async fn dashboards(api: &Api<'_>, plan: &Plan, datasources: &Fetched<Vec<Datasource>>) -> Reading<Vec<Dashboard>> {
    #[derive(Deserialize)]
    struct Hit {
        #[serde(default)]
        uid: String,
    }
    if !plan.wants(Fact::GrafanaDashboards) {
        return Err(not_collected(Fact::GrafanaDashboards)).into();
    }
    // Refused once, refused again: one gap says it.
    let same = |gap: &Gap| {
        matches!(
            gap.cause,
            GapCause::NotConfigured | GapCause::Unauthorized | GapCause::Unreachable | GapCause::Timeout
        )
    };
    if let Err(gap) = datasources
        && same(gap)
    {
        return Err(gap.clone()).into();
    }
    let hits: Vec<Hit> = match api.get("/api/search", &format!("type=dash-db&limit={MAX_DASHBOARDS}")).await {
        Ok(hits) => hits,
        Err(gap) => return Err(gap).into(),
    };
    let found = hits.iter().filter(|h| is_uid(&h.uid)).take(MAX_DASHBOARDS);
    let answers = join_all(found.map(|hit| async {
        let path = format!("/api/dashboards/uid/{}", hit.uid);
        api.get::<Dashboard>(&path, "").await
    }));
    some_of(answers.await)
}

/// What was answered, and the gaps of the rest.
fn some_of<T>(answers: Vec<Fetched<T>>) -> Reading<Vec<T>> {
    let mut good = Vec::new();
    let mut gaps = Vec::new();
    for answer in answers {
        match answer {
            Ok(found) => good.push(found),
            Err(gap) => gaps.push(gap),
        }
    }
    Reading::of_parts(good, gaps)
}

/// Grafana's uids are letters, digits, `-` and `_`; anything else would change the path that is asked.
fn is_uid(uid: &str) -> bool {
    !uid.is_empty() && uid.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// The path below which Grafana serves itself, without the slash at its end; empty mostly.
fn sub_path(snap: &Snapshot) -> String {
    let namespace = snap.scope.grafana.as_ref().map_or("", |g| g.namespace.as_str());
    let pods = snap.pods.items().unwrap_or_default().iter().filter(|p| p.metadata.namespace == namespace);
    let mut containers = pods.flat_map(|p| &p.spec.containers).filter(|c| c.program() == Some(Program::Grafana));
    let by_env = |c: &Container| {
        (c.env("GF_SERVER_SERVE_FROM_SUB_PATH") == Some("true"))
            .then(|| path_of(c.env("GF_SERVER_ROOT_URL").unwrap_or_default()))
    };
    if let Some(path) = containers.find_map(by_env) {
        return path;
    }
    let maps = snap.config_maps.items().unwrap_or_default().iter().filter(|m| m.metadata.namespace == namespace);
    maps.filter_map(|m| m.data.get("grafana.ini")).map(|ini| sub_path_of_ini(ini)).next().unwrap_or_default()
}

fn sub_path_of_ini(text: &str) -> String {
    let served = ini::value(text, "server", "serve_from_sub_path") == Some("true");
    let root = ini::value(text, "server", "root_url").unwrap_or_default();
    if served { path_of(root) } else { String::new() }
}

/// The path of a root URL, which may hold `%(domain)s` and the like.
fn path_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..]).trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sub_path_counts_only_where_grafana_serves_from_it() {
        let ini = "[paths]\nroot_url = http://x/no\n[server]\nroot_url = %(protocol)s://%(domain)s/grafana/\n";
        assert_eq!(sub_path_of_ini(ini), "");
        assert_eq!(sub_path_of_ini(&format!("{ini}serve_from_sub_path = true\n")), "/grafana");
        assert_eq!(path_of("https://grafana.example.com"), "");
    }

    #[test]
    fn a_uid_cannot_change_the_path() {
        assert!(is_uid("PBFA97CFB590B2093") && is_uid("my-dash_1"));
        assert!(!is_uid("../x") && !is_uid("a/b") && !is_uid("a?b") && !is_uid(""));
    }
}
