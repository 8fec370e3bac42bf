//! One fault that a check found.

use std::collections::BTreeSet;

use super::{Change, CheckId, Evidence, FixValues, Gap, Location, Params, Remediation, ResourceRef, Severity};

/// What several findings of one check have in common: they are one finding about it, and one fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What makes two causes the same: the taint, the webhook, the node group.
    pub key: String,
    /// The resource that is the cause, where it is one; it becomes the main subject.
    pub subject: Option<ResourceRef>,
    /// One sentence about the cause, which stands for the findings' own messages where there are several.
    pub message: String,
}

impl Cause {
    /// A resource is the cause.
    pub fn resource(subject: ResourceRef, message: impl Into<String>) -> Self {
        Self { key: subject.key(), subject: Some(subject), message: message.into() }
    }

    /// Something that is no resource of its own is the cause: `taint dedicated=gpu:NoSchedule`.
    pub fn keyed(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), subject: None, message: message.into() }
    }
}

/// Why a finding does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Muted {
    /// Why.
    pub reason: String,
    /// The last day on which it does not, `2026-12-31`.
    pub until: Option<String>,
}

/// One fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The check that found it.
    pub check: CheckId,
    /// How bad it is.
    pub severity: Severity,
    /// What is broken; replicas and equals are one finding with several subjects. Never empty.
    pub subjects: Vec<ResourceRef>,
    /// What it shares with other findings of its check, where it may.
    pub cause: Option<Cause>,
    /// Resources that this finding says are not working: what others may depend on. `None`: the subjects.
    pub breaks: Option<Vec<ResourceRef>>,
    /// Resources whose failure would explain this finding.
    pub depends_on: Vec<ResourceRef>,
    /// Resources that must be right before this finding's fix can work.
    pub fix_needs: Vec<ResourceRef>,
    /// Subject, fact and threshold in one sentence.
    pub message: String,
    /// What was seen.
    pub evidence: Vec<Evidence>,
    /// Places in files and objects where the fault is written.
    pub locations: Vec<Location>,
    /// Which fix of the page applies.
    pub variant: &'static str,
    /// Values for the page's templates.
    pub params: Params,
    /// What was changed shortly before it was first seen; filled in by the engine for roots.
    pub changes: Vec<Change>,
    /// The rendered fix; filled in by the engine.
    pub remediation: Remediation,
    /// Stable identity: check, owner-level subject and key, without pod suffixes and times.
    pub fingerprint: String,
    /// What distinguishes two findings of one check. Those with one key are one, under the words of the first: where several
    /// subjects may suffer alike, it names the subject. Empty where the subject alone tells them apart.
    pub key: String,
    /// Its place among the findings of its check: what others hang on has a lower one.
    pub rank: u8,
    /// Somebody has accepted it: it is shown, and does not count.
    pub muted: Option<Muted>,
    /// What the check looked at and could not see; filled in by the engine. With it the finding might read otherwise.
    pub unseen: Vec<Gap>,
}

impl Finding {
    /// A finding of `check` about `subject`.
    pub fn new(check: CheckId, severity: Severity, subject: ResourceRef, message: impl Into<String>) -> Self {
        Self {
            check,
            severity,
            subjects: vec![subject],
            cause: None,
            breaks: None,
            depends_on: Vec::new(),
            fix_needs: Vec::new(),
            message: message.into(),
            evidence: Vec::new(),
            locations: Vec::new(),
            variant: "",
            params: Params::default(),
            changes: Vec::new(),
            remediation: Remediation::default(),
            fingerprint: String::new(),
            key: String::new(),
            rank: u8::MAX,
            muted: None,
            unseen: Vec::new(),
        }
    }

    /// Puts it before others of its check: the lower, the earlier.
    #[must_use]
    pub fn rank(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }

    /// The main subject.
    pub fn subject(&self) -> &ResourceRef {
        self.subjects.first().expect("a finding is made with a subject and none is ever removed")
    }

    /// Adds a further subject.
    #[must_use]
    pub fn also(mut self, subject: ResourceRef) -> Self {
        if !self.subjects.contains(&subject) {
            self.subjects.push(subject);
        }
        self
    }

    /// Adds further subjects.
    #[must_use]
    pub fn also_all(mut self, subjects: impl IntoIterator<Item = ResourceRef>) -> Self {
        let mut known: BTreeSet<ResourceRef> = self.subjects.iter().cloned().collect();
        self.subjects.extend(subjects.into_iter().filter(|s| known.insert(s.clone())));
        self
    }

    /// Says that `resource`, and not the subjects, is what does not work. May be called several times.
    #[must_use]
    pub fn breaks(mut self, resource: ResourceRef) -> Self {
        self.breaks.get_or_insert_default().push(resource);
        self
    }

    /// Says that nothing stops working by it: no other finding is explained by this one.
    #[must_use]
    pub fn breaks_nothing(mut self) -> Self {
        self.breaks = Some(Vec::new());
        self
    }

    /// Names what it may share with other findings of its check: those with the same cause become one.
    #[must_use]
    pub fn cause(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Adds a place where the fault is written.
    #[must_use]
    pub fn location(mut self, location: Location) -> Self {
        self.locations.push(location);
        self
    }

    /// Says that the failure of `resource` would explain this finding.
    #[must_use]
    pub fn depends_on(mut self, resource: ResourceRef) -> Self {
        if !self.depends_on.contains(&resource) {
            self.depends_on.push(resource);
        }
        self
    }

    /// Says it of several.
    #[must_use]
    pub fn depends_on_all(mut self, resources: impl IntoIterator<Item = ResourceRef>) -> Self {
        let mut known: BTreeSet<ResourceRef> = self.depends_on.iter().cloned().collect();
        self.depends_on.extend(resources.into_iter().filter(|r| known.insert(r.clone())));
        self
    }

    /// Says that `resource` must be right before the fix can work.
    #[must_use]
    pub fn fix_needs(mut self, resource: ResourceRef) -> Self {
        self.fix_needs.push(resource);
        self
    }

    /// Adds an observation.
    #[must_use]
    pub fn evidence(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }

    /// Adds several observations.
    #[must_use]
    pub fn evidence_all(self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        evidence.into_iter().fold(self, Self::evidence)
    }

    /// Gives the fix: a value of the check's own type. A finding has one: another takes its place, with all its values.
    #[must_use]
    pub fn fix(mut self, fix: impl FixValues) -> Self {
        (self.variant, self.params) = fix.values();
        self
    }

    /// Sets what distinguishes this finding from all others of the same check, by its subject too (see [`Finding::key`]).
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }

    /// Resources that this finding says are not working.
    pub fn broken(&self) -> &[ResourceRef] {
        self.breaks.as_deref().unwrap_or(&self.subjects)
    }
}
