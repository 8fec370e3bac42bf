//! The LimitRange that refuses the pods of a workload.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::refusal::Refusal;
use super::way::{Kept, Way};
use crate::domain::kubernetes::limit_range::{self, Bound, Side};
use crate::domain::kubernetes::owner::{Settable, is_settable, operator_owner};
use crate::model::{Cause, Evidence, Finding};
use crate::snapshot::kubernetes::{LimitRange, Workload};
use crate::snapshot::{Snapshot, journal, parse_quantity};

/// The LimitRange that refuses a workload's pods.
pub(super) struct Range<'a> {
    bounds: Vec<Bound>,
    /// The first range that sets one of the bounds, with the path of that bound.
    pub(super) first: Option<(&'a LimitRange, String)>,
    /// A patch for it that lets these pods pass.
    patch: Vec<Value>,
}

impl<'a> Range<'a> {
    pub(super) fn of(snap: &'a Snapshot, workload: &Workload, message: &str, refusal: Refusal) -> Self {
        let namespace = &workload.metadata.namespace;
        let mut bounds = if refusal == Refusal::LimitRange { limit_range::bounds(message) } else { Vec::new() };
        if bounds.is_empty() && refusal == Refusal::LimitRange {
            bounds = journal::aside(|| limit_range::left_by(snap, namespace, &workload.spec.template.spec));
        }
        // The message says what is refused; which object does it sharpens the fix.
        let of = |b: &Bound| journal::aside(|| limit_range::of_bound(snap, namespace, b));
        let first = bounds.iter().find_map(of);
        let own = |r: &LimitRange| first.as_ref().is_some_and(|(f, _)| f.metadata.name == r.metadata.name);
        let patch = bounds.iter().filter_map(|b| {
            let (range, path) = of(b)?;
            let asked = b.asked.as_ref().filter(|_| own(range))?;
            Some(limit_range::set(range, &path, asked))
        });
        let patch = patch.flatten().collect();
        Self { bounds, first, patch }
    }

    pub(super) fn text(&self) -> String {
        let said: Vec<String> = self.bounds.iter().map(Bound::text).collect();
        let name = self.first.as_ref().map_or("a LimitRange", |(r, _)| r.metadata.name.as_str());
        format!("LimitRange {name} does not allow it ({})", said.join("; "))
    }

    /// What each container would have to ask for, word by word: `-c prometheus --limits=memory=2Gi`.
    fn changes(&self, workload: &Workload) -> Vec<Vec<String>> {
        let spec = &workload.spec.template.spec;
        let mut of: BTreeMap<&str, BTreeMap<&str, Vec<String>>> = BTreeMap::new();
        for bound in self.bounds.iter().filter(|b| b.per == "Container") {
            for container in limit_range::leaving(spec, bound) {
                let flag = if bound.side == Side::Max { "limits" } else { "requests" };
                let set = of.entry(&container.name).or_default();
                set.entry(flag).or_default().push(format!("{}={}", bound.resource, bound.bound));
                // A request above its limit would be refused in turn.
                let request = container.resources.requests.get(&bound.resource).and_then(|r| parse_quantity(r));
                let above = request.zip(parse_quantity(&bound.bound)).is_some_and(|(r, b)| r > b);
                if bound.side == Side::Max && above {
                    set.entry("requests").or_default().push(format!("{}={}", bound.resource, bound.bound));
                }
                // Nor may the limit stay below the request that is raised.
                let limit = container.resources.limits.get(&bound.resource).and_then(|l| parse_quantity(l));
                let below = limit.zip(parse_quantity(&bound.bound)).is_some_and(|(l, b)| l < b);
                if bound.side == Side::Min && below {
                    set.entry("limits").or_default().push(format!("{}={}", bound.resource, bound.bound));
                }
            }
        }
        let flags = |(container, set): (&str, BTreeMap<&str, Vec<String>>)| {
            let each = set.into_iter().map(|(flag, values)| format!("--{flag}={}", values.join(",")));
            ["-c".to_owned(), container.to_owned()].into_iter().chain(each).collect()
        };
        of.into_iter().map(flags).collect()
    }

    /// The way to let the pods pass.
    pub(super) fn way(&self, snap: &Snapshot, workload: &Workload, kept: Kept) -> Way {
        let custom = operator_owner(&workload.metadata);
        Way::LimitRange {
            range: self.first.as_ref().map(|(r, _)| r.metadata.name.clone()).unwrap_or_default(),
            range_patch: (!self.patch.is_empty()).then(|| json!(self.patch).to_string()),
            changes: self.changes(workload),
            settable: is_settable(snap, &workload.reference()) == Settable::Yes,
            custom: custom.map(|(kind, _)| kind),
            custom_name: custom.map(|(_, name)| name.to_owned()),
            kept,
        }
    }

    /// The range as the cause, and what it says.
    pub(super) fn tell(&self, finding: Finding) -> Finding {
        let Some((range, _)) = &self.first else { return finding };
        let meta = &range.metadata;
        let text = format!("LimitRange {}/{} refuses the pods of several workloads", meta.namespace, meta.name);
        let said: Vec<String> = self.bounds.iter().map(Bound::text).collect();
        let seen = Evidence::new(
            format!("LimitRange {}/{}", meta.namespace, meta.name),
            said.join("; "),
            "kubectl describe limitrange {{ name }} -n {{ namespace }}",
        );
        let seen = seen.with("namespace", &meta.namespace).with("name", &meta.name);
        finding.cause(Cause::resource(limit_range::reference(range), text)).evidence(seen)
    }
}
