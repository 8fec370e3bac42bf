//! Builds a chain: looks at the facts of each link, and joins what the report says of its resources.

mod about;
mod causes;

use std::collections::BTreeSet;

use about::{is_of_another, names, speaks_of};
use causes::{roots_of, told_here, with_causes};

use crate::model::{Chain, CheckId, Evidence, Finding, Gap, Link, LinkState, Report, ResourceRef, Severity};
use crate::snapshot::{Fetched, Snapshot, journal};
use crate::text::redact::mask;

/// What a look at a link saw.
pub(super) struct Seen {
    state: LinkState,
    text: String,
    evidence: Option<Evidence>,
}

/// It is right.
pub(super) fn right(text: impl Into<String>) -> Seen {
    Seen { state: LinkState::Right, text: text.into(), evidence: None }
}

/// It is broken.
pub(super) fn broken(text: impl Into<String>) -> Seen {
    Seen { state: LinkState::Broken, text: text.into(), evidence: None }
}

/// It does not count now.
pub(super) fn idle(text: impl Into<String>) -> Seen {
    Seen { state: LinkState::Idle, text: text.into(), evidence: None }
}

/// Nothing that was read tells; the evidence has the command that does.
pub(super) fn untold(text: impl Into<String>) -> Seen {
    Seen { state: LinkState::Unseen, text: text.into(), evidence: None }
}

impl Seen {
    /// Where it was seen.
    pub(super) fn with(mut self, evidence: Evidence) -> Self {
        self.evidence = Some(evidence);
        self
    }

    /// It is right.
    pub(super) fn is_right(&self) -> bool {
        self.state == LinkState::Right
    }
}

/// Which findings about its resources break a link.
#[derive(Debug, Clone)]
pub(super) enum Claims {
    /// Those that say that one of its resources does not work; warnings only where it is seen to be broken.
    All,
    /// These.
    These(Vec<usize>),
    /// Those of these checks, where it is seen to be broken.
    IfBroken(&'static [&'static str]),
    /// Those of these checks.
    Of(&'static [&'static str]),
    /// Those of these checks, whatever they are about: there is one such thing in the cluster.
    Check(&'static [&'static str]),
    /// Those of these checks that are about its resources, or that explain what breaks another link.
    Cause(&'static [&'static str]),
}

struct Draft {
    link: Link,
    claims: Claims,
    direct: Vec<usize>,
}

/// A chain in the making.
pub(super) struct Builder<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) report: &'a Report,
    drafts: Vec<Draft>,
    note: String,
    beside: Vec<usize>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(snap: &'a Snapshot, report: &'a Report) -> Self {
        Self { snap, report, drafts: Vec::new(), note: String::new(), beside: Vec::new() }
    }

    /// Says which of several it is.
    pub(super) fn note(&mut self, note: String) {
        self.note = note;
    }

    /// Adds findings that are to be told beside the chain.
    pub(super) fn beside(&mut self, findings: Vec<usize>) {
        self.beside.extend(findings);
    }

    /// Adds a link. Right is only what was looked at: a gap that the look meets makes it unseen.
    pub(super) fn link(
        &mut self,
        title: &str,
        about: Vec<ResourceRef>,
        claims: Claims,
        look: impl FnOnce() -> Fetched<Seen>,
    ) {
        let (seen, met) = journal::watched(look);
        let nowhere = self.snap.gaps_of_nothing();
        let met = met.into_iter().find(|gap| !nowhere.contains(&gap));
        let met = met.or_else(|| self.snap.scope.unknown().cloned());
        let (state, text, evidence, gap) = match (seen, met) {
            (Err(gap), _) => (LinkState::Unseen, String::new(), None, Some(gap)),
            (Ok(seen), Some(gap)) if seen.is_right() => (LinkState::Unseen, seen.text, seen.evidence, Some(gap)),
            (Ok(seen), _) => (seen.state, seen.text, seen.evidence, None),
        };
        let about = about.into_iter().map(as_reported).collect();
        let link = Link { title: title.to_owned(), state, text, about, evidence, gap, findings: Vec::new() };
        self.drafts.push(Draft { link, claims, direct: Vec::new() });
    }

    /// Findings that break a link.
    fn of_report(&self, draft: &Draft) -> Vec<usize> {
        let all = self.report.findings.iter().enumerate().filter(|(_, f)| f.severity > Severity::Info);
        let is_about = |f: &Finding| !is_of_another(&draft.link, f) && names(f).any(|r| draft.link.about.contains(r));
        let is_broken = draft.link.state == LinkState::Broken;
        let breaks = |at: usize, f: &Finding| match &draft.claims {
            Claims::All => {
                (is_broken || f.severity > Severity::Warning) && f.broken().iter().any(|r| draft.link.about.contains(r))
            }
            Claims::These(those) => is_broken && those.contains(&at),
            Claims::IfBroken(checks) => is_broken && checks.contains(&f.check.0) && is_about(f),
            Claims::Of(checks) | Claims::Cause(checks) => checks.contains(&f.check.0) && is_about(f),
            Claims::Check(checks) => checks.contains(&f.check.0),
        };
        all.filter(|(at, f)| breaks(*at, f)).map(|(at, _)| at).collect()
    }

    /// The chain, with what the report says of it.
    pub(super) fn finish(mut self, what: String) -> Chain {
        let mut beside = self.assign();
        beside.extend(self.beside.iter().copied().filter(|at| !beside.contains(at)).collect::<Vec<_>>());
        let report = self.report;
        let told_at: BTreeSet<usize> = self.drafts.iter().flat_map(|d| d.direct.iter().copied()).collect();
        let mut roots = Vec::new();
        let mut links = Vec::new();
        for Draft { mut link, direct, .. } in self.drafts {
            if !direct.is_empty() && link.state != LinkState::Broken {
                link.state = LinkState::Broken;
                link.text.clone_from(&report.findings[direct[0]].message);
                link.evidence = None;
                link.gap = None;
            }
            link.findings = told_here(report, &direct, &told_at);
            for root in roots_of(report, &with_causes(report, &direct)) {
                if !roots.contains(&root) {
                    roots.push(root);
                }
            }
            links.push(link);
        }
        // What the chain explains, or is told in it, needs no second word.
        let told: BTreeSet<usize> = links.iter().flat_map(|l| l.findings.iter().copied()).collect();
        let is_told = |at: &usize| with_causes(report, &[*at]).iter().any(|cause| told.contains(cause));
        let beside = beside.into_iter().filter(|at| !is_told(at)).collect();
        let mut chain = Chain { what, note: self.note, links, roots, beside };
        redact(&mut chain);
        chain
    }

    /// Gives each finding to its link: one that claims it, those first that are seen to be broken; else the first broken link
    /// about the same thing that nothing explains yet. What remains is told beside.
    fn assign(&mut self) -> Vec<usize> {
        let claimed: Vec<Vec<usize>> = self.drafts.iter().map(|d| self.of_report(d)).collect();
        let mut beside = Vec::new();
        for (at, finding) in self.report.findings.iter().enumerate() {
            let claiming = |broken: bool| {
                (0..self.drafts.len())
                    .find(|d| claimed[*d].contains(&at) && (!broken || self.drafts[*d].link.state == LinkState::Broken))
            };
            if let Some(link) = claiming(true).or_else(|| claiming(false)) {
                self.drafts[link].direct.push(at);
            } else if finding.subjects.iter().any(|s| self.drafts.iter().any(|d| d.link.about.contains(s))) {
                beside.push(at);
            }
        }
        self.assign_causes();
        let direct: Vec<usize> = self.drafts.iter().flat_map(|d| d.direct.iter().copied()).collect();
        // What explains a link that is told is told there.
        let explained = with_causes(self.report, &direct);
        let open: Vec<usize> = (0..self.drafts.len())
            .filter(|d| self.drafts[*d].link.state == LinkState::Broken && self.drafts[*d].direct.is_empty())
            .collect();
        beside.retain(|at| {
            let finding = &self.report.findings[*at];
            let is_about = |d: &&usize| {
                let link = &self.drafts[**d].link;
                !is_of_another(link, finding) && finding.broken().iter().any(|s| link.about.contains(s))
            };
            let counts = finding.severity > Severity::Info && !explained.contains(at);
            match open.iter().find(is_about).filter(|_| counts) {
                Some(link) => self.drafts[*link].direct.push(*at),
                None => return true,
            }
            false
        });
        beside
    }

    /// Gives what explains a broken link to the link that it is about: a policy before an answer that does not come.
    fn assign_causes(&mut self) {
        let direct: Vec<usize> = self.drafts.iter().flat_map(|d| d.direct.iter().copied()).collect();
        for cause in with_causes(self.report, &direct) {
            let check = self.report.findings[cause].check.0;
            let claims = |d: &&mut Draft| matches!(d.claims, Claims::Cause(checks) if checks.contains(&check));
            if let Some(draft) = self.drafts.iter_mut().find(claims).filter(|d| !d.direct.contains(&cause)) {
                draft.direct.push(cause);
            }
        }
    }

    /// True where a link of this title was seen to be broken.
    pub(super) fn is_broken(&self, title: &str) -> bool {
        self.drafts.iter().any(|d| d.link.title == title && d.link.state == LinkState::Broken)
    }

    /// Findings of a check that speak of one of these names.
    pub(super) fn these(&self, check: &str, names: &[String]) -> Vec<usize> {
        let all = self.report.findings.iter().enumerate().filter(|(_, f)| f.check.0 == check);
        let speaks = |f: &Finding| names.iter().any(|n| speaks_of(&f.message, n));
        all.filter(|(_, f)| speaks(f)).map(|(at, _)| at).collect()
    }

    /// True where a finding of the check says that one of these does not work.
    pub(super) fn breaks(&self, check: &str, resources: &[ResourceRef]) -> bool {
        let resources: Vec<ResourceRef> = resources.iter().cloned().map(as_reported).collect();
        self.report.findings.iter().any(|f| f.check.0 == check && names(f).any(|r| resources.contains(r)))
    }

    /// How a check ended, for a link that it judges: right where it saw everything and found nothing here, else what kept
    /// it from a verdict.
    pub(super) fn verdict(&self, check: &'static str, passed: impl Into<String>) -> Fetched<Seen> {
        use crate::model::Outcome;
        let run = self.report.runs.iter().find(|r| r.check.id == CheckId(check));
        let unseen = run.and_then(|r| r.unseen.first());
        match run.map(|r| &r.outcome) {
            Some(Outcome::Pass) => Ok(right(passed)),
            Some(Outcome::Findings(_)) => unseen.map_or_else(|| Ok(right(passed)), |gap| Err(gap.clone())),
            Some(Outcome::NotApplicable(why)) => Ok(idle(why.clone())),
            Some(Outcome::NotEvaluated(gap)) => Err(gap.clone()),
            Some(Outcome::Failed(_)) | None => Ok(untold(format!("the check {check} did not run"))),
        }
    }
}

/// The report masks what URLs hold.
fn as_reported(resource: ResourceRef) -> ResourceRef {
    match resource {
        ResourceRef::ScrapeUrl { url } => ResourceRef::ScrapeUrl { url: mask(&url) },
        other => other,
    }
}

/// Nothing secret leaves.
fn redact(chain: &mut Chain) {
    chain.note = mask(&chain.note);
    for link in &mut chain.links {
        link.text = mask(&link.text);
        if let Some(evidence) = &mut link.evidence {
            evidence.source = mask(&evidence.source);
            evidence.value = mask(&evidence.value);
            evidence.params.change_texts(&mask);
        }
        if let Some(gap) = &mut link.gap {
            *gap = Gap { what: mask(&gap.what), message: mask(&gap.message), hint: mask(&gap.hint), ..gap.clone() };
        }
    }
}
