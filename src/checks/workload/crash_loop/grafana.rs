//! The fixes of what only Grafana knows.

use crate::checks::workload::crash_loop::own_values::{Ini, Provisioning, SecondDefault};

use crate::checks::support::kept::Kept;
use crate::checks::workload::crash_loop::case::Case;
use crate::checks::workload::crash_loop::datasources::{self, DefaultSource};
use crate::checks::workload::crash_loop::files::kept_map;
use crate::checks::workload::crash_loop::way::Way;
use crate::domain::crash::{Class, Crash};
use crate::domain::kubernetes::mounts::Origin;
use crate::model::Placeholder;

/// What only Grafana knows.
pub(super) fn grafana(case: &Case<'_>, crash: &Crash) -> Way {
    let pod = case.pod_name();
    match crash.class {
        Class::SecondDefault => second_default(case, pod),
        Class::Provisioning => {
            let (map, key) = match &case.origin {
                Origin::ConfigMap { name, key } => (name.clone(), key.clone()),
                _ => (String::new(), String::new()),
            };
            let file = crash.file.clone().unwrap_or_default();
            Way::Provisioning(Provisioning {
                advice: crash.advice.clone(),
                file,
                map,
                key,
                kept_map: kept_map(case),
                pod,
            })
        }
        Class::Plugin => {
            Way::Plugin { advice: crash.advice.clone(), asked: wanted_plugins(case), kept: Kept::of(&case.target) }
        }
        Class::TwoSources => {
            Way::TwoSources { variable: crash.what.clone().unwrap_or_default(), kept: Kept::of(&case.target) }
        }
        Class::Ini => {
            let map = match &case.origin {
                Origin::ConfigMap { name, .. } => Some(name.clone()),
                _ => None,
            };
            Way::Ini(Ini { advice: crash.advice.clone(), map, kept_map: kept_map(case), pod })
        }
        Class::Migration => Way::Migration { kept: Kept::of(&case.target) },
        Class::DatabaseLocked => {
            Way::DatabaseLocked { recreate_patch: case.recreate_patch(), kept: Kept::of(&case.target) }
        }
        _ => Way::Database { advice: crash.advice.clone(), pod },
    }
}

/// The plugins that the container is told to install.
fn wanted_plugins(case: &Case<'_>) -> String {
    let names = ["GF_INSTALL_PLUGINS", "GF_PLUGINS_PREINSTALL", "GF_PLUGINS_PREINSTALL_SYNC"];
    names.iter().find_map(|name| case.failing.container.env(name)).unwrap_or_default().to_owned()
}

fn second_default(case: &Case<'_>, pod: String) -> Way {
    let all = datasources::defaults(case.snap);
    // The stack's own datasource stays the default.
    let second = all.iter().find(|d| d.kind != "prometheus").or(all.last());
    let of = |name: &str, value: fn(&DefaultSource) -> &String| match second {
        Some(second) => Placeholder::known(name, value(second)),
        None => Placeholder::new(name),
    };
    let shown: Vec<String> =
        all.iter().map(|d| format!("{} ({}, in ConfigMap {}/{})", d.name, d.kind, d.namespace, d.map)).collect();
    Way::SecondDefault(SecondDefault {
        default_datasources: shown.join(", "),
        datasource: of("datasource", |d| &d.name),
        datasource_map: of("configmap", |d| &d.map),
        datasource_namespace: second.map_or_else(|| case.namespace().to_owned(), |d| d.namespace.clone()),
        pod,
    })
}
