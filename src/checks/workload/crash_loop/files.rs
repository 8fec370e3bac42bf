//! The fixes of a file that is refused, missing or not readable.

use crate::checks::workload::crash_loop::own_values::{
    Config, ConfigDirectory, ConfigMissing, ConfigOperator, ConfigSecret, RulesOperator, Unreadable, WebConfig,
};

use crate::checks::support::helm::Release;
use crate::checks::support::kept::{Kept, KeptMap};
use crate::checks::support::origin::path_of_key;
use crate::checks::workload::crash_loop::case::Case;
use crate::checks::workload::crash_loop::cluster::crds;
use crate::checks::workload::crash_loop::flags::flag;
use crate::checks::workload::crash_loop::values::{Lines, Ownership, file, file_name};
use crate::checks::workload::crash_loop::way::Way;
use crate::domain::crash::{Class, Crash, Detail};
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::model::Placeholder;

/// A file of the configuration is refused.
pub(super) fn configuration(case: &Case<'_>, crash: &Crash) -> Way {
    let operator = (case.target.operator_kind().to_owned(), case.target.operator_name().to_owned());
    let is_operated = !operator.0.is_empty();
    let pod = case.pod_name();
    let lines = Lines::of(case, crash);
    match &case.origin {
        _ if crash.class == Class::Agent && crash.what.is_none() => flag(case, crash),
        Origin::ConfigMap { name, .. } if case.is_corrected => Way::ConfigCorrected { map: name.clone(), pod },
        Origin::ConfigMap { name, .. } if is_operated && name.contains("-rulefiles-") => {
            let (rule_namespace, rule_name) = match case.rule_object() {
                Some((namespace, name)) => {
                    (Placeholder::known("namespace", namespace), Placeholder::known("name", name))
                }
                None => (Placeholder::known("namespace", case.namespace()), Placeholder::new("name")),
            };
            Way::RulesOperator(RulesOperator { file: file(crash), rule_namespace, rule_name, lines })
        }
        Origin::ConfigMap { name, .. } => {
            Way::Config(Config { map: name.clone(), kept_map: kept_map(case), pod, lines })
        }
        _ if is_operated && crash.detail == Detail::EmptyDuration => {
            Way::ConfigCrds { crds: crds(case.snap), operator_kind: operator.0, operator_name: operator.1 }
        }
        Origin::Volume | Origin::Secret { .. } if is_operated => {
            let (additional, additional_key) = case.additional().unzip();
            let additional_key = additional_key.unwrap_or_default();
            let lines = if additional_key.is_empty() { lines } else { lines.in_file(&additional_key) };
            Way::ConfigOperator(ConfigOperator {
                file: file(crash),
                is_prometheus: case.is_prometheus(),
                operator_kind: operator.0,
                operator_name: operator.1,
                additional,
                additional_path: format!("jsonpath={}", path_of_key(&additional_key)),
                additional_key,
                release: Release::of(case.release().as_ref()),
                lines,
            })
        }
        Origin::Secret { name, key } => Way::ConfigSecret(ConfigSecret {
            map: name.clone(),
            key: key.clone(),
            key_path: format!("jsonpath={}", path_of_key(key)),
            pod,
            lines,
        }),
        _ => Way::ConfigOther { pod, lines },
    }
}

/// Who keeps the ConfigMap that holds the file.
pub(super) fn kept_map(case: &Case<'_>) -> KeptMap {
    KeptMap::of(mounts::config_map(case.snap, case.namespace(), &case.origin).map(|(map, _)| map))
}

/// A file is missing, or cannot be read.
pub(super) fn file_way(case: &Case<'_>, crash: &Crash) -> Way {
    let (file, pod, kept) = (file(crash), case.pod_name(), Kept::of(&case.target));
    let (map, secret, key) = match &case.origin {
        Origin::ConfigMap { name, key } => (Some(name.clone()), None, key.clone()),
        Origin::Secret { name, key } => (None, Some(name.clone()), key.clone()),
        _ => (None, None, file_name(crash)),
    };
    match crash.class {
        Class::ConfigMissing => {
            Way::ConfigMissing(ConfigMissing { file, map, secret, key, kept_map: kept_map(case), pod })
        }
        Class::ConfigDirectory => {
            let file_name = case.meant_key().map_or_else(|| file_name(crash), str::to_owned);
            Way::ConfigDirectory(ConfigDirectory { file, file_name, pod, kept })
        }
        Class::Unreadable => {
            Way::Unreadable(Unreadable { file, map, secret, pod, ownership: Ownership::of(case), kept })
        }
        _ => Way::WebConfig(WebConfig { file, reason: crash.reason.clone(), secret, pod, kept }),
    }
}
