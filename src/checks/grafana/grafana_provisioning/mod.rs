//! A running Grafana does not take a file that it is provisioned with.

mod unfilled;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::grafana::{self as support, At, none_runs, running};
use crate::checks::support::origin::path_of_key;
use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::crash;
use crate::domain::grafana::provision_log::{self, Refusal, Said};
use crate::domain::grafana::provisioned::{self, Datasource, File, Instance, Kind};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::text::redact::redact;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::{Snapshot, journal};

check! {
    /// See the check's page.
    GrafanaProvisioning {
        id: "grafana-provisioning", suite: Grafana, severity: Warning,
        title: "Grafana does not take a file that it is provisioned with",
        requires: [ConfigMaps, Workloads, ComponentLogs],
        uses: [Pods, GrafanaDatasources],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Dashboard {
        #[serde(flatten)]
        at: At,
        file: String,
        error: String,
        /// What to write, where the error says it.
        meant: &'static str,
        config_map: String,
        config_namespace: String,
        config_path: String,
        managed_by: String,
    },
    /// The ConfigMap holds nothing, or a part.
    Emptied {
        #[serde(flatten)]
        at: At,
        key: String,
        config_map: String,
        config_namespace: String,
        config_path: String,
        managed_by: String,
    },
    /// A container fetched it, and got nothing, or something else.
    Download {
        #[serde(flatten)]
        at: At,
        file: String,
        pod: String,
        fetcher: String,
        url: String,
        /// A page for people came.
        page: bool,
    },
    NotSaved {
        #[serde(flatten)]
        at: At,
        file: String,
        error: String,
        /// Shell command that has Grafana read its providers anew.
        reload: String,
    },
    Folder {
        #[serde(flatten)]
        at: At,
        path: String,
        /// The folder that it would lie in.
        parent: String,
        provider: String,
        managed_by: String,
    },
    Duplicates {
        #[serde(flatten)]
        at: At,
        twice: Vec<String>,
        first: String,
        providers: String,
        maps: Vec<String>,
    },
    File {
        #[serde(flatten)]
        at: At,
        kind: &'static str,
        error: String,
        advice: &'static str,
        /// Datasources whose uid differs, in the database and in a file; or that have the same in two files.
        other_uids: Vec<String>,
        /// Label of the ConfigMaps that the side-car reads.
        label: &'static str,
    },
    Plugin {
        #[serde(flatten)]
        at: At,
        plugin: String,
    },
}

impl Check for GrafanaProvisioning {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let Some(instances) = running(snap)? else { return Ok(none_runs()) };
        let found = provision_log::refusals(snap)?.into_iter().filter_map(|said| {
            let of = |i: &&Instance<'_>| i.pods(snap).iter().any(|p| p.metadata.name == said.log.pod);
            let instance = instances.iter().find(of).or_else(|| instances.first())?;
            // One that does not start with the file is told of as such.
            let of_start = matches!(said.refusal, Refusal::File { .. }) && !is_ready(snap, &said);
            if of_start || was_half_written(snap, *instance, &said) {
                return None;
            }
            Some(finding(snap, *instance, &said))
        });
        Ok(Diagnosis::Findings(found.collect()))
    }
}

/// The pod that says so runs, and serves.
fn is_ready(snap: &Snapshot, said: &Said<'_>) -> bool {
    snap.pod_of_log(said.log).is_none_or(Pod::is_ready)
}

/// Grafana read the file while the side-car wrote it: what the ConfigMap has is whole, and was read the next time.
fn was_half_written(snap: &Snapshot, instance: Instance<'_>, said: &Said<'_>) -> bool {
    let Refusal::Dashboard { file } = &said.refusal else { return false };
    let half = ["EOF", "unexpected end of JSON input"].iter().any(|end| said.error.ends_with(end));
    let is_whole = |f: File<'_>| serde_json::from_str::<serde_json::Value>(f.text).is_ok_and(|v| v.is_object());
    half && holder(snap, instance, file).is_some_and(is_whole)
}

/// Datasources that the database has by another uid than the file gives them.
fn other_uids(snap: &Snapshot, instance: Instance<'_>) -> Vec<String> {
    // It only adds to what Grafana says.
    let known = journal::aside(|| snap.grafana_datasources().map(Vec::as_slice).unwrap_or_default());
    let differs = |own: &Datasource<'_>| {
        let there = known.iter().find(|k| k.name == own.name && k.org_id.max(1) == own.org)?;
        // Without one of its own, the file leaves the uid as it is.
        let file = own.file.filter(|f| there.uid != own.uid && f.text.contains(&own.uid))?;
        let meta = &file.config_map.metadata;
        Some(format!(
            "datasource {} has uid {}, and key {} of ConfigMap {}/{} gives it {}",
            own.name, there.uid, file.key, meta.namespace, meta.name, own.uid
        ))
    };
    provisioned::datasources(snap, instance).iter().filter_map(differs).collect()
}

/// Datasources of different names to which the files give one uid.
fn same_uids(snap: &Snapshot, instance: Instance<'_>) -> Vec<String> {
    let all = provisioned::datasources(snap, instance);
    let place = |d: &Datasource<'_>| {
        let file = d.file.as_ref()?;
        let meta = &file.config_map.metadata;
        Some(format!("{} (key {} of ConfigMap {}/{})", d.name, file.key, meta.namespace, meta.name))
    };
    let mut found = Vec::new();
    for (at, one) in all.iter().enumerate().filter(|(_, d)| !d.uid.is_empty()) {
        let is_twice = |o: &&Datasource<'_>| o.uid == one.uid && o.name != one.name && o.org == one.org;
        let places = all[..at].iter().find(is_twice).and_then(place).zip(place(one));
        if let Some((other, this)) = places {
            found.push(format!("{other} and {this} both have uid {}: each needs one of its own", one.uid));
        }
    }
    found
}

/// The ConfigMap that holds a file, by its name.
fn holder<'a>(snap: &'a Snapshot, instance: Instance<'a>, file: &str) -> Option<File<'a>> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let mut same = instance.files(snap, Kind::Dashboards).into_iter().filter(|f| f.key == name);
    same.next().filter(|_| same.next().is_none())
}

/// ConfigMaps of dashboards whose text names one of the ids or titles.
fn holding(snap: &Snapshot, instance: Instance<'_>, said: &Said<'_>) -> Vec<String> {
    let files = instance.files(snap, Kind::Dashboards);
    let holds = |f: &File<'_>| said.twice.iter().any(|t| f.text.contains(&format!("\"{t}\"")));
    let mut names: Vec<String> = files
        .iter()
        .filter(|f| holds(f))
        .map(|f| format!("{}/{} ({})", f.config_map.metadata.namespace, f.config_map.metadata.name, f.key))
        .collect();
    names.dedup();
    names
}

/// Errors that are about what the file holds, though it is read and is JSON, and what is meant.
const OF_FILE: &[(&str, &str)] = &[
    (
        "unique identifier needed",
        "Its `uid` is null or empty, and it has no `id` that Grafana knows: give it a uid of its own, such as the name of the file (at most 40 letters, digits, - and _).",
    ),
    ("title cannot be empty", "Give it a title."),
    ("empty title", "Give it a title."),
    ("uid contains illegal characters", "A uid holds letters, digits, - and _ only."),
    ("uid too long", "A uid has at most 40 characters."),
    ("cannot be the same as folder", "Give it another title than its folder has."),
    (
        "with the same name in the folder already exists",
        "Another dashboard of that folder has the title: give one of the two another, or take one away.",
    ),
];

/// Asks the Grafana that says so, with the login that the chart's container has in its variables.
fn reload(snap: &Snapshot, said: &Said<'_>) -> String {
    let pod = snap.pods.find(&said.log.namespace, &said.log.pod).ok().flatten();
    let container = pod.and_then(|p| p.spec.containers.iter().find(|c| c.name == said.log.container));
    support::reload(pod.zip(container), "dashboards")
}

/// What the file itself is wrong in, and no restart mends.
fn is_of_file(refusal: &Refusal, error: &str) -> bool {
    matches!(refusal, Refusal::Dashboard { .. }) || !meant(error).is_empty()
}

fn meant(error: &str) -> &'static str {
    let lower = error.to_ascii_lowercase();
    OF_FILE.iter().find(|(words, _)| lower.contains(words)).map_or("", |(_, meant)| meant)
}

fn finding(snap: &Snapshot, instance: Instance<'_>, said: &Said<'_>) -> Finding {
    let error = redact(&said.error);
    let at = At::of(instance, &said.log.container);
    let who = instance.kubectl_name();
    let mut subject: ResourceRef = instance.reference();
    if let Refusal::Dashboard { file } = &said.refusal
        && let Some(made) = unfilled::find(snap, instance, said, file)
    {
        return made;
    }
    let (message, key, fix) = match &said.refusal {
        Refusal::Dashboard { file } | Refusal::NotSaved { file } if is_of_file(&said.refusal, &error) => {
            let map = holder(snap, instance, file);
            if let Some(map) = map {
                subject = map.config_map.reference();
            }
            let meta = map.map(|f| &f.config_map.metadata);
            let place = meta.map(|m| format!(" (ConfigMap {}/{})", m.namespace, m.name)).unwrap_or_default();
            let key = map.map_or_else(|| file.rsplit('/').next().unwrap_or(file), |f| f.key);
            let fix = Fix::Dashboard {
                at,
                file: file.clone(),
                error: error.clone(),
                meant: meant(&error),
                config_map: meta.map(|m| m.name.clone()).unwrap_or_default(),
                config_namespace: meta.map(|m| m.namespace.clone()).unwrap_or_default(),
                config_path: format!("jsonpath={}", path_of_key(key)),
                managed_by: meta.map(managed_by).unwrap_or_default(),
            };
            let (verb, key) = match &said.refusal {
                Refusal::NotSaved { .. } => ("save", format!("save {file}")),
                _ => ("load", format!("load {file}")),
            };
            (format!("Grafana ({who}) cannot {verb} dashboard {file}{place}: {error}"), key, fix)
        }
        Refusal::Dashboard { file } | Refusal::NotSaved { file } => {
            let fix = Fix::NotSaved { at, file: file.clone(), error: error.clone(), reload: reload(snap, said) };
            (format!("Grafana ({who}) cannot save dashboard {file}: {error}"), format!("save {file}"), fix)
        }
        Refusal::Folder { path, provider } => {
            let fix = Fix::Folder {
                at,
                path: path.clone(),
                parent: path.rsplit_once('/').map_or("/", |(above, _)| above).to_owned(),
                provider: provider.clone(),
                managed_by: managed_by(&instance.workload.metadata),
            };
            let message = format!(
                "Grafana ({who}) looks for the dashboards of provider {provider} in {path}, and there is no such folder: none of them is loaded"
            );
            (message, format!("folder {path}"), fix)
        }
        Refusal::Duplicates => {
            let twice: Vec<String> = said.twice.iter().take(5).cloned().collect();
            let providers = said.providers.iter().cloned().collect::<Vec<_>>().join(", ");
            let named = if twice.is_empty() { String::new() } else { format!(" ({})", twice.join(", ")) };
            let message = format!(
                "Grafana ({who}) takes no change of the dashboards of {}: some are there twice{named}, and it writes none of a provider with duplicates",
                if providers.is_empty() { "its providers" } else { &providers }
            );
            let maps = holding(snap, instance, said);
            (
                message,
                "duplicates".to_owned(),
                Fix::Duplicates { at, first: twice.first().cloned().unwrap_or_default(), twice, providers, maps },
            )
        }
        Refusal::File { kind } => {
            let is_taken = error.contains("same uid already exists");
            let other_uids = match () {
                () if error.contains("data source not found") => other_uids(snap, instance),
                () if is_taken => same_uids(snap, instance),
                () => Vec::new(),
            };
            // Where the files themselves say who has it, it is no former name.
            let is_known = is_taken && !other_uids.is_empty();
            let which = other_uids.first().map(|one| format!(" ({one})")).unwrap_or_default();
            let message = format!(
                "Grafana ({who}) does not take what it is provisioned with of {kind}: {error}{which}; it goes on with what it had"
            );
            let fix = Fix::File {
                at,
                kind,
                advice: if is_known { "" } else { crash::provisioned(&error.to_ascii_lowercase()) },
                error: error.clone(),
                other_uids,
                label: if *kind == "alerting" { "grafana_alert" } else { "grafana_datasource" },
            };
            (message, format!("file {kind}"), fix)
        }
        Refusal::Plugin { id } => {
            let message = format!("Grafana ({who}) lacks plugin {id}: panels or datasources that need it do not work");
            (message, format!("plugin {id}"), Fix::Plugin { at, plugin: id.clone() })
        }
    };
    Finding::new(GrafanaProvisioning::META.id, Severity::Warning, subject, message)
        .key(key)
        .breaks_nothing()
        .evidence(line_evidence(said.log, &said.line))
        .fix(fix)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::grafana::{grafana, snapshot};
    use crate::model::Program;
    use crate::snapshot::Listing;
    use crate::snapshot::monitoring::ContainerLog;

    fn with(line: &str) -> Snapshot {
        let mut snap = snapshot(json!({"workloads": [grafana(json!({}))], "config_maps": [{
            "metadata": {"namespace": "monitoring", "name": "grafana-dashboards"},
            "data": {"ops.json": "{\"uid\": \"abc\", \"panels\": [],}"}
        }]}));
        *snap.component_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "grafana-1".into(),
            container: "grafana".into(),
            program: Some(Program::Grafana),
            text: format!("logger=provisioning.dashboard t=2026-11-21T01:55:00Z {line}").into(),
            ..ContainerLog::default()
        }]);
        snap
    }

    #[test]
    fn each_refusal_has_its_fix() {
        assert!(
            findings(&GrafanaProvisioning, &with("level=info msg=\"finished to provision dashboards\"")).is_empty()
        );
        let load_of = |error: &str| {
            let file = "/var/lib/grafana/dashboards/ops.json";
            format!("level=error msg=\"failed to load dashboard from \" file={file} error=\"{error}\"")
        };
        let load = with(&load_of("invalid character '}'"));
        let found = findings(&GrafanaProvisioning, &load);
        assert!(found[0].message.contains("ConfigMap monitoring/grafana-dashboards"), "{}", found[0].message);
        assert!(steps(&found[0]).contains("python3 -m json.tool"), "{}", steps(&found[0]));
        let half = load_of("unexpected EOF");
        assert_eq!(findings(&GrafanaProvisioning, &with(&half)).len(), 1, "what the ConfigMap has is no JSON");
        let mut whole = with(&half);
        let mut maps = whole.config_maps.items().expect("were read").to_vec();
        for map in maps.iter_mut().filter(|m| m.data.contains_key("ops.json")) {
            map.data.insert("ops.json".into(), "{\"uid\": \"abc\", \"panels\": []}".into());
        }
        whole.config_maps = Listing::cluster(maps);
        assert!(findings(&GrafanaProvisioning, &whole).is_empty(), "it was half written");
        let null = with(
            "level=error msg=\"failed to save dashboard\" file=/tmp/dashboards/ops.json error=\"Unique identifier needed to be able to get a dashboard\"",
        );
        let told = steps(&findings(&GrafanaProvisioning, &null)[0]);
        assert!(told.contains("edit configmap grafana-dashboards") && !told.contains("rollout restart"), "{told}");
        for (line, variant) in [
            (
                "level=error msg=\"failed to save dashboard\" file=/d/ops.json error=\"could not resolve dashboards:uid:x: Dashboard not found\"",
                "not-saved",
            ),
            (
                "level=error msg=\"failed to save dashboard\" file=/tmp/dashboards/ops.json error=\"Unique identifier needed to be able to get a dashboard\"",
                "dashboard",
            ),
            (
                "level=warn msg=\"the same UID is used more than once\" uid=abc times=2 providers=\"[a b]\"",
                "duplicates",
            ),
            ("level=error msg=\"Plugin not found\" pluginId=grafana-piechart-panel", "plugin"),
            (
                "level=error msg=\"Failed to provision data sources\" error=\"Datasource provisioning error: data source not found\"",
                "file",
            ),
        ] {
            assert_eq!(findings(&GrafanaProvisioning, &with(line))[0].variant, variant, "{line}");
        }
    }
}
