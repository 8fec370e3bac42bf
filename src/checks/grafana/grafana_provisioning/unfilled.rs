//! A dashboard's file that what was to fill it left empty, or broken.

use super::{Fix, GrafanaProvisioning};
use crate::checks::support::grafana::At;
use crate::checks::support::origin::path_of_key;
use crate::checks::support::seen::line_evidence;
use crate::domain::grafana::fetched::{self, Broken, Source};
use crate::domain::grafana::provision_log::Said;
use crate::domain::grafana::provisioned::Instance;
use crate::domain::kubernetes::managed::managed_by;
use crate::model::{Finding, Severity};
use crate::snapshot::Snapshot;

/// A dashboard that is no JSON because what was to fill its file brought nothing, or a part, or a page for people.
pub(super) fn find(snap: &Snapshot, instance: Instance<'_>, said: &Said<'_>, file: &str) -> Option<Finding> {
    let broken = Broken::of(&said.error)?;
    let at = At::of(instance, &said.log.container);
    let who = instance.kubectl_name();
    let is = |broken: Broken| match broken {
        Broken::Empty => "is empty",
        Broken::Cut => "breaks off",
        Broken::Page => "is a page of HTML",
    };
    let (subject, message, key, fix) = match fetched::source(snap, instance, file)? {
        Source::Map { map, key, broken } => {
            let meta = &map.metadata;
            let bytes = map.data.get(key).map_or(0, String::len);
            let message = format!(
                "dashboard {key} {} in ConfigMap {}/{} ({bytes} bytes), so that Grafana ({who}) cannot load it ({}): what wrote the ConfigMap got no more",
                is(broken),
                meta.namespace,
                meta.name,
                said.error
            );
            let fix = Fix::Emptied {
                at,
                key: key.to_owned(),
                config_map: meta.name.clone(),
                config_namespace: meta.namespace.clone(),
                config_path: format!("jsonpath={}", path_of_key(key)),
                managed_by: managed_by(meta),
            };
            (map.reference(), message, key.to_owned(), fix)
        }
        Source::Download { container, url } => {
            let message = format!(
                "dashboard {file} {}, so that Grafana ({who}) cannot load it ({}): container {container} got {} from {url}",
                is(broken),
                said.error,
                match broken {
                    Broken::Empty => "nothing",
                    Broken::Cut => "a part",
                    Broken::Page => "something else",
                }
            );
            let fix = Fix::Download {
                at,
                file: file.to_owned(),
                pod: said.log.pod.clone(),
                fetcher: container.to_owned(),
                url,
                page: broken == Broken::Page,
            };
            (instance.reference(), message, format!("load {file}"), fix)
        }
    };
    let made = Finding::new(GrafanaProvisioning::META.id, Severity::Warning, subject, message)
        .key(key)
        .breaks_nothing()
        .evidence(line_evidence(said.log, &said.line));
    Some(made.fix(fix))
}
