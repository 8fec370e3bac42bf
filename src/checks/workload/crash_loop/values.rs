//! Values that several fixes of a crash share.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::volume::{Full, Repair};
use crate::checks::workload::crash_loop::case::Case;
use crate::checks::workload::crash_loop::origin::data_path;
use crate::domain::alertmanager::config::is_silent;
use crate::domain::crash::{Class, Crash, Detail};
use crate::domain::kubernetes::image::{Image, base_of};
use crate::model::Program;
use crate::snapshot::kubernetes::Container;

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

impl Lines {
    /// The same where another file is corrected: its lines have other numbers.
    pub(super) fn in_file(self, name: &str) -> Self {
        Self { file_name: name.to_owned(), line: None, ..self }
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

/// The node of its pod.
pub(super) fn node(case: &Case<'_>) -> String {
    case.failing.pod.spec.node_name.as_deref().unwrap_or("<node>").to_owned()
}

/// The image with a tag that is to be put in; of one that cannot be read, `otherwise` is meant.
pub(super) fn newer_image(image: &str, otherwise: &str) -> String {
    let repository = Image::parse(image).map(|i| format!("{}/{}", i.host, i.repository));
    format!("{}:<newer-version>", repository.as_deref().unwrap_or(otherwise))
}

/// User and group of the program's image, and what sets them for the pod.
#[derive(Serialize, JsonSchema)]
pub(super) struct Ownership {
    uid: i64,
    /// The pod has both: setting them again would change nothing.
    is_set: bool,
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
        let own = case.failing.pod.spec.security_context.as_ref();
        let is_set = own.is_some_and(|c| c.run_as_user == Some(uid) && c.fs_group == Some(gid));
        Self { uid, is_set, patch: patch.to_string() }
    }
}

/// Users of images, as whom they also own what they write.
const USERS: &[(&str, i64)] = &[
    ("loki", 10001),
    ("enterprise-logs", 10001),
    ("mimir", 10001),
    ("tempo", 10001),
    ("tempo-query", 10001),
    ("alloy", 473),
    ("thanos", 1001),
    ("elasticsearch", 1000),
    ("opensearch", 1000),
];

/// User and group of the program's image.
pub(super) fn ids(container: &Container) -> (i64, i64) {
    let base = base_of(&container.image);
    let known = USERS.iter().find(|(name, _)| base == *name || base.starts_with(&format!("{name}-")));
    match container.program() {
        Some(Program::Grafana) => (472, 472),
        None if container.image.contains("bitnami") => (1001, 1001),
        None if known.is_some() => known.map_or((65534, 65534), |(_, id)| (*id, *id)),
        None if base.starts_with("grafana") || container.name.contains("chown") => (472, 472),
        _ => (65534, 65534),
    }
}

/// What is damaged is moved aside.
#[derive(Serialize, JsonSchema)]
pub(super) struct Damaged {
    damaged: String,
    #[serde(flatten)]
    repair: Repair,
}

impl Damaged {
    pub(super) fn of(case: &Case<'_>, crash: &Crash) -> Self {
        let what = || crash.what.clone();
        let damaged = match crash.class {
            Class::Wal => "wal".to_owned(),
            Class::HeadChunks => "chunks_head".to_owned(),
            Class::Block | Class::NewerData => what().unwrap_or_else(|| "<block>".to_owned()),
            _ => what().unwrap_or_else(|| "nflog".to_owned()),
        };
        let container = case.failing.container;
        let data = data_path(case.failing.pod, container);
        Self {
            damaged: inside(data, &damaged),
            repair: Repair::of(&case.target, case.failing.pod, container, &case.origin, data),
        }
    }
}

/// Shell command that shows how the index of each block begins.
pub(super) fn look_at_blocks(case: &Case<'_>) -> String {
    let data = data_path(case.failing.pod, case.failing.container).trim_end_matches('/');
    format!("for f in {data}/*/index; do echo \"$f $(od -An -tx1 -N4 \"$f\")\"; done")
}

/// A path in the folder of the data.
fn inside(data: &str, file: &str) -> String {
    format!("{}/{file}", data.trim_end_matches('/')).trim_end_matches('/').to_owned()
}

/// A larger claim, or less data.
#[derive(Serialize, JsonSchema)]
pub(super) struct DiskFull {
    container: String,
    is_prometheus: bool,
    /// The kubelet there knows how full the volume is.
    node: Option<String>,
    #[serde(flatten)]
    full: Full,
}

impl DiskFull {
    pub(super) fn of(case: &Case<'_>) -> Self {
        Self {
            container: case.failing.container.name.clone(),
            is_prometheus: case.is_prometheus(),
            node: case.failing.pod.spec.node_name.clone(),
            full: Full::of(case.snap, case.namespace(), &case.origin),
        }
    }
}
