//! What is known of an end that nobody has a reader for: what its words name and where that is set, and what was changed before
//! it began.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::origin::path_of_key;
use crate::checks::workload::crash_loop::cause::Cause;
use crate::checks::workload::crash_loop::failing::Failing;
use crate::domain::crash::{Class, telling};
use crate::domain::kubernetes::last_revision::{self, LastRevision, Ran};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::mounts::Origin;
use crate::domain::kubernetes::owner::{Target, workload};
use crate::domain::kubernetes::settings::{self, Setting, Source};
use crate::domain::text::log_line::Line;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::minute;
use crate::model::{Evidence, ResourceRef};
use crate::snapshot::{Snapshot, journal};

/// Letters of what differs that are shown.
const DIFFERENCE: usize = 300;

/// What there is.
#[derive(Default)]
pub(super) struct Clue {
    named: Vec<Setting>,
    last: Option<LastRevision>,
}

impl Clue {
    pub(super) fn of(snap: &Snapshot, failing: &Failing<'_>) -> Self {
        let is_panic = failing.cause.class() == Some(Class::Panic);
        let is_unknown = matches!(failing.cause, Cause::Unknown(..) | Cause::Ends(..) | Cause::Probe(_));
        if !is_unknown && !is_panic {
            return Self::default();
        }
        // Both only add to what is told.
        let named = journal::aside(|| match &failing.cause {
            Cause::Unknown(lines, _) => named(snap, failing, lines),
            _ => Vec::new(),
        });
        Self { named, last: journal::aside(|| last_revision::of(snap, failing.pod)) }
    }

    /// Both as the end of a sentence; empty where there is neither.
    pub(super) fn words(&self) -> String {
        let mut text = String::new();
        if !self.named.is_empty() {
            text.push_str(&format!("; it names {}", places(&self.named)));
        }
        if let Some(last) = &self.last {
            text.push_str(&format!("; {}", of_revision(last)));
        }
        text
    }

    /// The change, as evidence.
    pub(super) fn evidence(&self) -> Option<Evidence> {
        let last = self.last.as_ref()?;
        let ResourceRef::Kubernetes { namespace, .. } = &last.workload else { return None };
        let of = if last.revision.is_empty() { "pod " } else { "" };
        let value = format!("{of}made {}: {}", minute(last.at), difference(last));
        let show = "kubectl rollout history {{ target }} -n {{ namespace }}";
        let source = format!("{}, {}", last.workload, revision(last));
        Some(
            Evidence::new(source, value, show)
                .with("target", last.workload.kubectl_name())
                .with("namespace", namespace),
        )
    }

    pub(super) fn named(&self, snap: &Snapshot, failing: &Failing<'_>, target: &Target<'_>) -> Named {
        Named::of(snap, failing, target, &self.named)
    }

    pub(super) fn back(&self, snap: &Snapshot, failing: &Failing<'_>, target: &Target<'_>) -> Back {
        Back::of(snap, failing, target, self.last.as_ref())
    }
}

fn places(all: &[Setting]) -> String {
    all.iter().map(|s| shorten(&s.place(), DIFFERENCE)).collect::<Vec<_>>().join(", ")
}

/// By the line that tells most, read in its fields, else as it stands.
fn named(snap: &Snapshot, failing: &Failing<'_>, lines: &[String]) -> Vec<Setting> {
    let Some(line) = telling(lines) else { return Vec::new() };
    let of = |text: &str| settings::named(snap, failing.pod, failing.container, text);
    let read = of(&Line::parse(&line).text());
    if read.is_empty() { of(&line) } else { read }
}

fn revision(last: &LastRevision) -> String {
    if last.revision.is_empty() { "the newest revision".to_owned() } else { format!("revision {}", last.revision) }
}

/// What differs, in a few words.
fn difference(last: &LastRevision) -> String {
    let parts: Vec<String> = last.differs.iter().take(3).map(ToString::to_string).collect();
    let more = last.differs.len().saturating_sub(parts.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let sums = last.sums.join(", ");
    match (parts.is_empty(), last.sums.is_empty()) {
        (false, true) => shorten(&format!("{}{more}", parts.join("; ")), DIFFERENCE),
        (false, false) => shorten(&format!("{}{more}; what it reads ({sums})", parts.join("; ")), DIFFERENCE),
        (true, false) => format!("only what it reads ({sums})"),
        (true, true) => "something that is not read here".to_owned(),
    }
}

fn of_revision(last: &LastRevision) -> String {
    let (revision, what, at) = (revision(last), difference(last), minute(last.at));
    match &last.ran {
        Ran::Runs(pods) => {
            let pods = if *pods == 1 { "a pod".to_owned() } else { format!("{pods} pods") };
            let run = if pods == "a pod" { "runs" } else { "run" };
            let before = match last.before.as_str() {
                "" => "the one before".to_owned(),
                number => format!("revision {number}"),
            };
            let differs = match last.revision.as_str() {
                "" => format!("{revision} differs in {what} (this pod was made {at})"),
                _ => format!("{revision}, made {at}, differs in {what}"),
            };
            format!("no pod of {revision} is ready, while {pods} of {before} {run}; {differs}")
        }
        Ran::Until => format!("it was available until {revision} was made ({at}), which differs in {what}"),
    }
}

/// Another object makes the workload, and undoes what is changed of it.
fn is_remade(snap: &Snapshot, target: &Target<'_>) -> bool {
    target.custom.is_some() || workload(snap, &target.owner).is_some_and(|w| w.metadata.controller().is_some())
}

/// What its last words name, and the place where it is set.
#[derive(Default, Serialize, JsonSchema)]
pub(super) struct Named {
    /// What is named; empty where nothing is.
    named: String,
    /// It is more than one thing: which of them is wrong, nobody can say from here.
    several: bool,
    /// The ConfigMap that holds it, with its key and line.
    named_map: String,
    named_key: String,
    named_line: Option<usize>,
    map_managed: String,
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
}

impl Named {
    fn of(snap: &Snapshot, failing: &Failing<'_>, target: &Target<'_>, all: &[Setting]) -> Self {
        let in_place = target.in_place() && !is_remade(snap, target);
        let Some(first) = all.first() else { return Self { in_place, ..Self::default() } };
        let several = all.len() > 1;
        let mut made = Self { named: places(all), several, in_place, ..Self::default() };
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
        let namespace = &failing.pod.metadata.namespace;
        let map = journal::aside(|| snap.config_maps.find(namespace, &made.named_map).ok().flatten());
        // What an operator or another controller writes, it writes again.
        if map.is_some_and(|m| m.metadata.controller().is_some()) {
            (made.named_map, made.named_key, made.named_line) = (String::new(), String::new(), None);
        }
        if target.custom.is_some() {
            made.named_secret.clear();
        }
        let kept = map.filter(|m| m.metadata.name == made.named_map);
        made.map_managed = kept.map(|m| managed_by(&m.metadata)).unwrap_or_default();
        made.renewed = !several && (!made.named_map.is_empty() || !made.named_secret.is_empty());
        made
    }
}

/// The way back to the revision that ran.
#[derive(Default, Serialize, JsonSchema)]
pub(super) struct Back {
    /// What was changed; empty where nothing is known.
    changed: String,
    /// The number of the revision that ran; empty where it has none.
    ran_revision: String,
    /// `kubectl rollout undo` takes it back.
    undo: bool,
    /// `--to-revision=7`.
    to_revision: String,
    /// The ControllerRevision that has the number, where it is not known.
    ran_hash: String,
    /// The upgrade by Helm that changed it, and the revision to go back to.
    back_release: String,
    back_namespace: String,
    back_revision: u32,
    /// The claim whose data the newer image may have changed.
    back_claim: String,
}

impl Back {
    fn of(snap: &Snapshot, failing: &Failing<'_>, target: &Target<'_>, last: Option<&LastRevision>) -> Self {
        let Some(last) = last.filter(|_| target.addon.is_none()) else { return Self::default() };
        let helm = journal::aside(|| last.helm(snap, target));
        // What the operator makes it makes again.
        let undo = helm.is_none() && !is_remade(snap, target) && last.is_in_template();
        if helm.is_none() && !undo {
            return Self::default();
        }
        let image = last.differs.iter().any(|d| d.field.starts_with("image of "));
        let claim = failing.pod.claims().next().filter(|_| image);
        Self {
            changed: difference(last),
            ran_revision: last.before.clone(),
            undo,
            to_revision: match last.before.as_str() {
                "" => String::new(),
                number => format!("--to-revision={number}"),
            },
            ran_hash: last.hash.clone(),
            back_release: helm.as_ref().map(|h| h.release.clone()).unwrap_or_default(),
            back_namespace: helm.as_ref().map(|h| h.namespace.clone()).unwrap_or_default(),
            back_revision: helm.as_ref().map_or(0, |h| h.revision),
            back_claim: claim.unwrap_or_default().to_owned(),
        }
    }
}
