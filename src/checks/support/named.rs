//! What the words of a program name that is set for it: values of the shared steps `setting-corrected`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::back;
use crate::checks::support::kept::KeptMap;
use crate::checks::support::origin::path_of_key;
use crate::domain::kubernetes::mounts::Origin;
use crate::domain::kubernetes::owner::{Target, maker};
use crate::domain::kubernetes::settings::{Setting, Source};
use crate::domain::text::shorten::shorten;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::{Snapshot, journal};

/// Letters of a place that are shown.
const PLACE: usize = 300;

/// Where they are set, as a list.
pub(crate) fn places(all: &[Setting]) -> String {
    all.iter().map(|s| shorten(&s.place(), PLACE)).collect::<Vec<_>>().join(", ")
}

/// What a program's words name, and the place where it is set.
#[derive(Default, Serialize, JsonSchema)]
pub(crate) struct Named {
    /// What is named; empty where nothing is.
    named: String,
    /// It is more than one thing: which of them is wrong, nobody can say from here.
    several: bool,
    /// The ConfigMap that holds it, with its key and line.
    named_map: String,
    named_key: String,
    named_line: Option<usize>,
    #[serde(flatten)]
    kept_map: KeptMap,
    /// The Secret that holds it, its key, and the path of that.
    named_secret: String,
    secret_key: String,
    secret_path: String,
    /// A variable that stands in the pod's template, or is missing there.
    variable: String,
    /// An argument.
    argument: String,
    /// The workload's own template can be changed.
    in_place: bool,
    /// The pod is replaced after that.
    renewed: bool,
    /// Nothing makes the pod again.
    bare_pod: bool,
}

impl Named {
    pub(crate) fn of(snap: &Snapshot, pod: &Pod, target: &Target<'_>, all: &[Setting]) -> Self {
        let in_place = target.in_place() && !back::is_remade(target);
        let bare_pod = pod.metadata.controller().is_none();
        let Some(first) = all.first() else { return Self { in_place, bare_pod, ..Self::default() } };
        let several = all.len() > 1;
        let mut made = Self { named: places(all), several, in_place, bare_pod, ..Self::default() };
        match first {
            Setting::Variable { source: Source::ConfigMap { name, key }, .. }
            | Setting::File { origin: Origin::ConfigMap { name, key }, .. } => {
                (made.named_map, made.named_key) = (name.clone(), key.clone());
            }
            Setting::Line { map, key, line, .. } => {
                (made.named_map, made.named_key, made.named_line) = (map.clone(), key.clone(), Some(*line));
            }
            Setting::Variable { source: Source::Secret { name, key }, .. }
            | Setting::File { origin: Origin::Secret { name, key }, .. }
                if !key.is_empty() =>
            {
                (made.named_secret, made.secret_key) = (name.clone(), key.clone());
                made.secret_path = format!("jsonpath={}", path_of_key(key));
            }
            Setting::Variable { name, source: Source::Template } | Setting::Unset { name } => {
                made.variable.clone_from(name);
            }
            Setting::Argument { argument } => made.argument.clone_from(argument),
            Setting::Variable { .. } | Setting::File { .. } => {}
        }
        let namespace = &pod.metadata.namespace;
        let map = journal::aside(|| snap.config_maps.find(namespace, &made.named_map).ok().flatten());
        // What another controller writes, it writes again; what an operator makes of a resource is changed there.
        if map.is_some_and(|m| m.metadata.controller().is_some() && maker(&m.metadata).is_none()) {
            (made.named_map, made.named_key, made.named_line) = (String::new(), String::new(), None);
        }
        if target.custom.is_some() {
            made.named_secret.clear();
        }
        let kept = map.filter(|m| m.metadata.name == made.named_map);
        made.kept_map = KeptMap::of(kept);
        made.renewed = !several && (!made.named_map.is_empty() || !made.named_secret.is_empty());
        made
    }
}
