//! Values that several fixes of a crash share.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::workload::crash_loop::case::{Case, data_path};
use crate::domain::alertmanager::config::is_silent;
use crate::domain::crash::{Class, Crash, Detail};
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::model::Program;
use crate::snapshot::kubernetes::Container;
use crate::snapshot::{format_bytes, parse_quantity};

/// What every fix is verified by.
#[derive(Serialize, JsonSchema)]
pub(super) struct Workload {
    namespace: String,
    owner: String,
    rolls: bool,
    stateful: bool,
    has_rollout: bool,
}

impl Workload {
    pub(super) fn of(case: &Case<'_>) -> Self {
        Self {
            namespace: case.namespace().to_owned(),
            owner: case.target.name.clone(),
            rolls: case.target.rolls,
            stateful: case.target.stateful,
            has_rollout: case.target.has_rollout,
        }
    }
}

/// The lines of a file that are wrong, and as they should be.
#[derive(Serialize, JsonSchema)]
pub(super) struct Lines {
    file_name: String,
    line: Option<usize>,
    /// A receiver that is used and not defined.
    receiver: Option<String>,
    silent_receiver: bool,
    new_key: Option<String>,
    new_value: Option<String>,
    advice: String,
}

impl Lines {
    pub(super) fn of(case: &Case<'_>, crash: &Crash) -> Self {
        let receiver = crash.what.clone().filter(|_| crash.detail == Detail::UndefinedReceiver);
        let new = new_line(crash, case.text);
        Self {
            file_name: file_name(crash),
            line: crash.line,
            silent_receiver: receiver.as_deref().is_none_or(is_silent),
            receiver,
            new_value: new.as_ref().map(|(_, value)| value.clone()),
            new_key: new.map(|(key, _)| key),
            advice: crash.advice.clone(),
        }
    }
}

/// The line as it has to be, as key and value, where that can be told.
fn new_line(crash: &Crash, text: Option<&str>) -> Option<(String, String)> {
    let (what, instead) = (crash.what.as_ref()?, crash.instead.as_ref()?);
    if let Some((key, value)) = instead.split_once(": ") {
        return Some((key.to_owned(), value.to_owned()));
    }
    let (Some(text), Some(line)) = (text, crash.line) else {
        // A field whose value is not known.
        return (crash.detail == Detail::UnknownField).then(|| (instead.clone(), String::new()));
    };
    let written = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim().trim_start_matches("- ");
    let (key, value) = written.split_once(':').filter(|_| written.contains(what.as_str()))?;
    let value = value.split(" #").next().unwrap_or_default().trim();
    // More than one plain value is better edited by hand.
    if value.starts_with(['[', '{', '|', '>', '&', '*']) {
        return None;
    }
    let new = |part: &str| part.trim_matches(['"', '\'']).replace(what.as_str(), instead);
    let key = if key.trim() == what { instead.clone() } else { key.trim().to_owned() };
    Some((key, new(value)))
}

/// The file that a crash is about.
pub(super) fn file(crash: &Crash) -> String {
    crash.file.clone().unwrap_or_else(|| "<file>".to_owned())
}

/// The same without its folder.
pub(super) fn file_name(crash: &Crash) -> String {
    let file = file(crash);
    file.rsplit('/').next().unwrap_or(&file).to_owned()
}

/// The JSONPath of a key of a ConfigMap or Secret.
pub(super) fn key_path(key: &str) -> String {
    format!("jsonpath={{.data.{}}}", key.replace('.', "\\."))
}

/// User and group of the program's image, and what sets them for the pod.
#[derive(Serialize, JsonSchema)]
pub(super) struct Ownership {
    uid: i64,
    pub(super) patch: String,
}

impl Ownership {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let (uid, gid) = ids(case.failing.container);
        let context = serde_json::json!({"runAsUser": uid, "runAsGroup": gid, "runAsNonRoot": true, "fsGroup": gid});
        let patch = match case.target.operator_kind() {
            "" => serde_json::json!({"spec": {"template": {"spec": {"securityContext": context}}}}),
            _ => serde_json::json!({"spec": {"securityContext": context}}),
        };
        Self { uid, patch: patch.to_string() }
    }
}

/// User and group of the program's image.
pub(super) fn ids(container: &Container) -> (i64, i64) {
    match container.program() {
        Some(Program::Grafana) => (472, 472),
        None if container.image.contains("grafana") || container.name.contains("chown") => (472, 472),
        None if container.image.contains("elasticsearch") || container.image.contains("opensearch") => (1000, 1000),
        _ => (65534, 65534),
    }
}

/// Patch of the operator's resource that starts its replicas again.
pub(super) fn operator_up(case: &Case<'_>) -> String {
    format!(r#"{{"spec":{{"replicas":{}}}}}"#, case.target.replicas)
}

/// Moves what is damaged aside, from a pod of its own: the values of `data-stopped` and `data-started`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Repair {
    pod: String,
    operated: bool,
    operator_kind: String,
    operator_name: String,
    operator_down: &'static str,
    operator_up: String,
    replicas: u32,
    has_claim: bool,
    claim: String,
    repair: String,
    repair_image: &'static str,
    mount_path: String,
    sub_path: String,
    damaged: String,
}

impl Repair {
    pub(super) fn of(case: &Case<'_>, crash: &Crash) -> Self {
        let what = || crash.what.clone();
        let damaged = match crash.class {
            Class::Wal => "wal".to_owned(),
            Class::HeadChunks => "chunks_head".to_owned(),
            Class::Block | Class::NewerData => what().unwrap_or_else(|| "<block>".to_owned()),
            _ => what().unwrap_or_else(|| "nflog".to_owned()),
        };
        let container = case.failing.container;
        let data = data_path(container);
        let mount = mounts::mount_of(container, data);
        let damaged = inside(data, &damaged);
        let claim = claim_name(case);
        let operator_kind = case.target.operator_kind().to_owned();
        Self {
            pod: case.pod_name(),
            operated: !operator_kind.is_empty(),
            operator_kind,
            operator_name: case.target.operator_name().to_owned(),
            operator_down: r#"{"spec":{"replicas":0}}"#,
            operator_up: operator_up(case),
            replicas: case.target.replicas,
            has_claim: claim.is_some(),
            claim: claim.unwrap_or_default(),
            repair: format!("{}-repair", case.target.name.rsplit('/').next().unwrap_or_default()),
            repair_image: "busybox:1.36",
            mount_path: mount.map_or(data, |m| m.mount_path.as_str()).to_owned(),
            sub_path: mount.and_then(|m| m.sub_path.clone()).unwrap_or_default(),
            damaged,
        }
    }
}

/// Shell command that shows how the index of each block begins.
pub(super) fn look_at_blocks(case: &Case<'_>) -> String {
    let data = data_path(case.failing.container).trim_end_matches('/');
    format!("for f in {data}/*/index; do echo \"$f $(od -An -tx1 -N4 \"$f\")\"; done")
}

fn claim_name(case: &Case<'_>) -> Option<String> {
    match &case.origin {
        Origin::Claim { name, .. } => Some(name.clone()),
        _ => None,
    }
}

/// A path in the folder of the data.
fn inside(data: &str, file: &str) -> String {
    format!("{}/{file}", data.trim_end_matches('/')).trim_end_matches('/').to_owned()
}

/// A larger claim, or less data.
#[derive(Serialize, JsonSchema)]
pub(super) struct DiskFull {
    container: String,
    claim: Option<String>,
    size: String,
    bigger_patch: String,
    storage_class: String,
    expandable: bool,
    not_expandable: bool,
    is_prometheus: bool,
    retention_arg: String,
    retention_patch: String,
}

impl DiskFull {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let claim = mounts::claim(case.snap, case.namespace(), &case.origin);
        let size = claim.and_then(|c| c.spec.resources.requests.get("storage"));
        let bytes = size.and_then(|q| parse_quantity(q));
        let class_name = claim.and_then(|c| c.class()).unwrap_or_default();
        let class = case.snap.storage_classes.find("", class_name).ok().flatten();
        let expands = class.map(|c| c.allow_volume_expansion == Some(true));
        let bigger = bytes.map_or_else(|| "<size>".to_owned(), |b| format_bytes(b * 2.0));
        // A fifth stays free for the write-ahead log and for compaction; where the class allows it, of the size that the
        // step before gives it.
        let room = bytes.map(|b| if expands == Some(true) { b * 2.0 } else { b });
        let retention = room
            .map_or_else(|| "<size>GB".to_owned(), |b| format!("{}GB", (b * 0.8 / 1_073_741_824.0).floor().max(1.0)));
        Self {
            container: case.failing.container.name.clone(),
            claim: claim_name(case),
            size: size.cloned().unwrap_or_default(),
            bigger_patch: format!(r#"{{"spec":{{"resources":{{"requests":{{"storage":"{bigger}"}}}}}}}}"#),
            storage_class: class_name.to_owned(),
            expandable: expands == Some(true),
            not_expandable: expands == Some(false),
            is_prometheus: case.is_prometheus(),
            retention_arg: format!("--storage.tsdb.retention.size={retention}"),
            retention_patch: format!(r#"{{"spec":{{"retentionSize":"{retention}"}}}}"#),
        }
    }
}
