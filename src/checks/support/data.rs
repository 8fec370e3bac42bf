//! What a program keeps in its pod, and where.

use crate::domain::kubernetes::arguments::flag;
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::store::Store;
use crate::domain::loki::ring::ingests;
use crate::domain::prometheus::thanos;
use crate::domain::prometheus::tsdb::{Place, place};
use crate::model::Program;
use crate::snapshot::kubernetes::{Container, PodSpec};

/// What a container keeps.
pub(crate) struct Data {
    /// The program of the stack, where it is one.
    pub(crate) program: Option<Program>,
    /// In words: `silences are`.
    pub(crate) what: &'static str,
    pub(crate) place: Place,
}

/// The data of a pod, by the first of its containers that keeps some.
pub(crate) fn of(spec: &PodSpec) -> Option<(&Container, Data)> {
    spec.containers.iter().find_map(|c| Some((c, of_container(spec, c)?)))
}

fn of_container(spec: &PodSpec, container: &Container) -> Option<Data> {
    let program = container.program();
    let (paths, what) = match program {
        Some(program) => own(program, container),
        None => other(container)?,
    };
    let lies = |path: &String| place(&spec.volumes, container, path);
    // A program whose folder its configuration says may have it in any of these.
    let place = match paths.as_slice() {
        [one] => lies(one),
        all => all.iter().map(lies).find(|p| *p != Place::Container).unwrap_or(Place::Other),
    };
    Some(Data { program, what, place })
}

/// A folder that is written from the root, or the usual one.
fn folder(given: Option<&str>, usual: &str) -> Vec<String> {
    vec![given.filter(|p| p.starts_with('/')).unwrap_or(usual).to_owned()]
}

fn own(program: Program, container: &Container) -> (Vec<String>, &'static str) {
    match program {
        Program::Prometheus => (folder(flag(container, "storage.tsdb.path"), "/prometheus"), "what it has recorded is"),
        Program::Alertmanager => (folder(flag(container, "storage.path"), "/alertmanager"), "silences are"),
        Program::Grafana => (
            folder(container.env("GF_PATHS_DATA"), "/var/lib/grafana"),
            "users, API keys and dashboards that were made in it are",
        ),
    }
}

/// Stores beside the stack's own programs, by their images.
fn other(container: &Container) -> Option<(Vec<String>, &'static str)> {
    let list = |paths: &[&str]| paths.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
    if let Some(store) = Store::of_image(&container.image) {
        let (paths, what): (&[&str], _) = match store {
            Store::Loki => {
                (&["/var/loki", "/loki", "/data/loki", "/data"], "logs that it has not sent to a bucket are")
            }
            Store::Mimir => (&["/data", "/var/mimir", "/mimir"], "samples that it has not sent to a bucket are"),
            Store::Tempo => (&["/var/tempo", "/tempo", "/data"], "traces that it has not sent to a bucket are"),
        };
        return ingests(container).then(|| (list(paths), what));
    }
    if thanos::is_image(&container.image) {
        const UNSENT: &str = "samples that it has not sent to the bucket are";
        return match thanos::component(container) {
            "receive" => Some((folder(flag(container, "tsdb.path"), "/data"), UNSENT)),
            "rule" => Some((folder(flag(container, "data-dir"), "/data"), UNSENT)),
            _ => None,
        };
    }
    let held = "what it holds is";
    match base_of(&container.image) {
        base @ ("victoria-metrics" | "vmstorage" | "victoria-logs") => {
            Some((folder(flag(container, "storageDataPath"), &format!("/{base}-data")), "what it has recorded is"))
        }
        "elasticsearch" | "elasticsearch-oss" | "elasticsearch-wolfi" => {
            Some((list(&["/usr/share/elasticsearch/data", "/bitnami/elasticsearch/data"]), held))
        }
        "opensearch" => Some((list(&["/usr/share/opensearch/data", "/bitnami/opensearch/data"]), held)),
        "postgres" | "postgresql" => Some((list(&["/var/lib/postgresql/data", "/bitnami/postgresql"]), held)),
        "mysql" | "mariadb" => Some((list(&["/var/lib/mysql", "/bitnami/mysql", "/bitnami/mariadb"]), held)),
        "influxdb" => Some((list(&["/var/lib/influxdb", "/var/lib/influxdb2"]), held)),
        "minio" => Some((list(&["/data", "/export", "/bitnami/minio/data"]), held)),
        _ => None,
    }
}
