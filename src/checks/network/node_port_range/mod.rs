//! A Service in manifests or Helm values asks for a nodePort that the API server does not give.

mod asked;
mod choice;
mod fix;
mod refusal;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use crate::checks::{Check, check};
use crate::domain::kubernetes::gitops;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::manifests::together::Together;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Meta, Service};
use asked::Asked;
use choice::Range;
use fix::Fix;
use refusal::{Bringer, Refusal};

check! {
    /// See the check's page.
    NodePortRange {
        id: "node-port-range", suite: Network, severity: Error,
        title: "a manifest asks for a nodePort that the API server does not give",
        requires: [Manifests],
        uses: [Services, Events, Pods, GitOps],
        fix: Fix,
    }
}

impl Check for NodePortRange {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(self.diagnose(snap))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let files = snap.manifests()?;
        let refusals = refusal::all(snap);
        if files.is_empty() && refusals.is_empty() {
            return Ok(Diagnosis::NotApplicable("no manifest was given (-f)".into()));
        }
        let asked = asked::all(snap);
        let case = Case::new(snap, &asked, &refusals);
        let mut groups: BTreeMap<(Severity, Cause, Source), Vec<Problem<'_>>> = BTreeMap::new();
        for problem in case.problems() {
            groups.entry((problem.severity, problem.kind, problem.source())).or_default().push(problem);
        }
        let findings = groups
            .into_iter()
            .map(|((severity, kind, source), problems)| case.finding(severity, kind, source, &problems));
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

/// Who has a port that nobody is seen to have.
const TAKEN_THEN: &str = "another Service had when it was applied";

/// Why a port is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// Outside of the range.
    Range,
    /// A Service of the cluster has it.
    Taken,
    /// Two Services of the files ask for it.
    Twice,
}

/// Where a number comes from, and has to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// The values of a HelmRelease of Flux.
    Flux,
    /// The repository that Argo CD, or a Kustomization of Flux, applies.
    GitOps,
    /// A file with the Service.
    Manifest,
    /// What a chart makes, or a pipe.
    Rendered,
    /// A file of Helm values.
    Values,
}

/// One port that is not given.
struct Problem<'a> {
    kind: Cause,
    severity: Severity,
    /// Who asks, in a file.
    asked: Option<&'a Asked<'a>>,
    /// What the API server said of it.
    refusals: Vec<&'a Refusal>,
    /// The Service; its name is the chart's business in Helm values.
    service: Option<(String, String)>,
    port: i64,
    /// Who has it or asks for it, too.
    other: String,
    /// What to ask for instead.
    new: i64,
}

struct Case<'a> {
    snap: &'a Snapshot,
    range: Range,
    asked: &'a [Asked<'a>],
    refusals: &'a [Refusal],
    /// Places in `asked` by the port.
    by_port: BTreeMap<i64, Vec<usize>>,
    /// Services of the cluster by the ports that they have.
    holders: BTreeMap<i64, Vec<&'a Service>>,
    /// Which files are applied together.
    together: Together,
    /// The lines of the files, by their paths.
    files: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Case<'a> {
    fn new(snap: &'a Snapshot, asked: &'a [Asked<'a>], refusals: &'a [Refusal]) -> Self {
        let mut by_port: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (at, one) in asked.iter().enumerate() {
            by_port.entry(one.wanted).or_default().push(at);
        }
        let mut holders: BTreeMap<i64, Vec<&Service>> = BTreeMap::new();
        for service in snap.services.items().unwrap_or_default() {
            for port in service.spec.ports.iter().filter_map(|p| p.node_port) {
                holders.entry(port.into()).or_default().push(service);
            }
        }
        let files = snap.manifests.items().unwrap_or_default().iter();
        let files = files.map(|f| (f.path.as_str(), f.text.lines().collect())).collect();
        let (range, together) = (Range::of(snap, refusals), Together::of(snap));
        Self { snap, range, asked, refusals, by_port, holders, together, files }
    }

    fn problems(&self) -> Vec<Problem<'a>> {
        let mut problems: Vec<Problem<'a>> = Vec::new();
        for (at, asked) in self.asked.iter().enumerate() {
            problems.extend(self.judge(at, asked));
        }
        for refusal in self.refusals {
            problems.extend(self.only_refused(refusal, &problems));
        }
        let mut taken = choice::given(self.snap);
        taken.extend(self.asked.iter().map(|a| a.wanted));
        for problem in &mut problems {
            let ports = problem.asked.map_or(&[][..], |a| &a.ports);
            problem.new = choice::choose(problem.port, ports, &self.range, &taken).unwrap_or_default();
            taken.insert(problem.new);
        }
        problems
    }

    fn judge(&self, at: usize, asked: &'a Asked<'a>) -> Option<Problem<'a>> {
        let service = asked.service.map(|s| (self.namespace(&s.namespace), s.name.clone()));
        let said = |r: &&Refusal| r.port == asked.wanted && asked.service.is_none_or(|s| s.name == r.service);
        let refusals: Vec<&Refusal> = self.refusals.iter().filter(said).collect();
        let unsure = if asked.sure { Severity::Error } else { Severity::Warning };
        let (kind, severity, other) = if !self.range.contains(asked.wanted) {
            (Cause::Range, unsure, String::new())
        } else if let Some(holder) = self.holder(asked) {
            let Meta { namespace, name, .. } = &holder.metadata;
            (Cause::Taken, unsure, format!("Service {namespace}/{name} has"))
        } else if let Some(first) =
            self.before(at).find(|first| collide(first, asked) && !self.together.are_apart(first.file, asked.file))
        {
            let other = match first.service {
                Some(service) => format!("Service {} ({}:{})", full_name(service), first.file.path, first.place.line),
                None => format!("{} ({}:{})", first.path, first.file.path, first.place.line),
            };
            // Folders may be for different clusters.
            let near = folder(&first.file.path) == folder(&asked.file.path);
            (Cause::Twice, if near { unsure } else { Severity::Warning }, other)
        } else {
            let refused = refusals.iter().any(|r| r.taken) && self.absent(service.as_ref());
            (refused.then_some(Cause::Taken)?, unsure, TAKEN_THEN.to_owned())
        };
        // The chart's name for the Service is known once the API server has refused it.
        let service = service.or_else(|| refusals.first().map(|r| self.service_of(r)));
        Some(Problem { kind, severity, asked: Some(asked), refusals, service, port: asked.wanted, other, new: 0 })
    }

    /// Who asks for the same port in front of this one.
    fn before(&self, at: usize) -> impl Iterator<Item = &'a Asked<'a>> {
        let same = self.by_port.get(&self.asked[at].wanted).map(Vec::as_slice).unwrap_or_default();
        same.iter().take_while(move |other| **other < at).map(|other| &self.asked[*other])
    }

    /// A refusal of something that is in no file: the object was piped, or comes from a chart.
    fn only_refused(&self, refusal: &'a Refusal, problems: &[Problem<'_>]) -> Option<Problem<'a>> {
        let service = self.service_of(refusal);
        let told = problems.iter().any(|p| p.port == refusal.port && p.service.as_ref() == Some(&service));
        // A manifest that says something else by now was corrected; a Service that exists was applied since.
        let corrected = self.asked.iter().any(|a| a.service.is_some_and(|s| s.name == refusal.service));
        let has = || self.holders.get(&refusal.port).is_some_and(|all| all.iter().any(|s| names(s) == service));
        let past = !self.absent(Some(&service)) && (!refusal.stands || has());
        if told || corrected || past {
            return None;
        }
        Some(Problem {
            kind: if refusal.taken { Cause::Taken } else { Cause::Range },
            severity: Severity::Error,
            asked: None,
            refusals: vec![refusal],
            service: Some(service),
            port: refusal.port,
            other: self.any_holder(refusal.port).unwrap_or_else(|| TAKEN_THEN.to_owned()),
            new: 0,
        })
    }

    fn service_of(&self, refusal: &Refusal) -> (String, String) {
        (self.namespace(refusal.namespace.as_deref().unwrap_or_default()), refusal.service.clone())
    }

    /// Where something without a namespace goes: to the stack's, if there is one.
    fn namespace(&self, named: &str) -> String {
        let stack = self.snap.scope.stack.first().filter(|_| self.snap.scope.discovered);
        if named.is_empty() { stack.cloned().unwrap_or_default() } else { named.to_owned() }
    }

    /// Nobody knows of such a Service in the cluster: it is not there, or no cluster was asked.
    fn absent(&self, service: Option<&(String, String)>) -> bool {
        service.is_none_or(|(namespace, name)| {
            !self.snap.services.find(namespace, name).is_ok_and(|found| found.is_some())
        })
    }

    fn any_holder(&self, port: i64) -> Option<String> {
        let found = self.holders.get(&port)?.first()?;
        Some(format!("Service {}/{} has", found.metadata.namespace, found.metadata.name))
    }

    /// The Service of the cluster that keeps a port from this one. Numbers are given once per cluster, whatever the
    /// protocol; only within one Service may TCP and UDP share.
    fn holder(&self, asked: &Asked<'_>) -> Option<&'a Service> {
        let holders = self.holders.get(&asked.wanted)?;
        holders.iter().copied().find(|s| {
            let itself = match asked.service {
                Some(service) => {
                    let anywhere = service.namespace.is_empty();
                    s.metadata.name == service.name && (anywhere || s.metadata.namespace == service.namespace)
                }
                // The values may be those of the release that has it.
                None => !managed_by(&s.metadata).is_empty(),
            };
            !itself
        })
    }

    fn finding(&self, severity: Severity, kind: Cause, source: Source, problems: &[Problem<'a>]) -> Finding {
        let subjects: Vec<ResourceRef> = problems.iter().map(Problem::subject).collect();
        let first = subjects[0].clone();
        let mut finding = Finding::new(NodePortRange::META.id, severity, first, self.message(kind, problems))
            .fix(Fix::of(self, source, problems));
        // What exists goes on working as it was applied before.
        let broken = problems.iter().filter(|p| p.service.is_some() && self.absent(p.service.as_ref()));
        let late = problems.iter().filter(|p| p.refusals.iter().any(|r| r.stands));
        let late = late.filter_map(Problem::bringer).map(|b| gitops::reference_of(&b.kind, &b.namespace, &b.name));
        finding.breaks = Some(broken.map(Problem::subject).chain(late).collect());
        finding = finding.also_all(subjects);
        let kind = match kind {
            Cause::Range => "range",
            Cause::Taken => "taken",
            Cause::Twice => "twice",
        };
        let key = format!("{kind} {} {}", finding.variant, finding.subject().key());
        finding = finding.key(key);
        for evidence in self.evidence(problems) {
            finding = finding.evidence(evidence);
        }
        finding.locations.extend(problems.iter().filter_map(|p| p.asked).map(|asked| self.location(asked)));
        finding
    }
}

impl Problem<'_> {
    fn subject(&self) -> ResourceRef {
        match (&self.service, self.asked) {
            (Some((namespace, name)), _) => ResourceRef::service(namespace, name),
            (None, Some(asked)) => {
                ResourceRef::kubernetes("", "Helm values", "", format!("{} in {}", asked.path, asked.file.path))
            }
            (None, None) => ResourceRef::service("", ""),
        }
    }

    fn who(&self) -> String {
        self.subject().to_string()
    }

    /// Who renders the manifest, if it is not written by hand.
    fn chart(&self) -> String {
        let meta = self.asked.and_then(|a| a.service).and_then(|s| s.as_object::<Service>()).map(|s| s.metadata);
        meta.map(|m| managed_by(&m)).filter(|m| m.starts_with("Helm")).unwrap_or_default()
    }

    /// What brings it into the cluster.
    fn bringer(&self) -> Option<&Bringer> {
        self.refusals.iter().find_map(|r| r.bringer.as_ref())
    }

    /// Where the number comes from, and has to be changed.
    fn source(&self) -> Source {
        match self.asked {
            Some(asked) if asked.service.is_none() && !asked.embedded => Source::Values,
            Some(asked) if asked.file.path == "-" || !self.chart().is_empty() => Source::Rendered,
            Some(_) => Source::Manifest,
            None if self.refusals.iter().any(|r| r.file.is_some()) => Source::Manifest,
            None if self.bringer().is_some_and(|b| b.kind == "HelmRelease") => Source::Flux,
            None if self.bringer().is_some() => Source::GitOps,
            None => Source::Rendered,
        }
    }
}

/// Two Services that cannot both have their port.
fn collide(first: &Asked<'_>, second: &Asked<'_>) -> bool {
    if first.wanted != second.wanted {
        return false;
    }
    match (first.service, second.service) {
        (Some(a), Some(b)) if a.name == b.name && a.namespace == b.namespace => {
            // Another version of the same Service; or, within it, TCP and UDP, which may share.
            std::ptr::eq(a, b) && first.protocol == second.protocol
        }
        (Some(_), Some(_)) => true,
        // Another values file overrides this one, or is for another release.
        (None, None) => {
            first.sure && second.sure && first.file.path == second.file.path && first.protocol == second.protocol
        }
        // The manifest may be what the chart makes of the values.
        _ => false,
    }
}

fn names(service: &Service) -> (String, String) {
    (service.metadata.namespace.clone(), service.metadata.name.clone())
}

fn full_name(service: &crate::snapshot::manifests::Manifest) -> String {
    if service.namespace.is_empty() { service.name.clone() } else { format!("{}/{}", service.namespace, service.name) }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
