//! One fault that a check found.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{CheckId, Evidence, Remediation, ResourceRef, Severity};

/// Values for the command templates of a finding. Lists are joined by spaces, each element quoted on its own.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Params(BTreeMap<&'static str, Value>);

impl Params {
    /// Sets a value. Values that do not serialize to JSON cannot occur here: all are strings, numbers, lists.
    pub fn set(&mut self, name: &'static str, value: impl Serialize) {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.0.insert(name, value);
    }

    /// All values by name.
    pub fn values(&self) -> &BTreeMap<&'static str, Value> {
        &self.0
    }
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
    /// Which `### … {#variant}` sections of the page's Fix, Verify and Rollback apply.
    pub variant: &'static str,
    /// Values for the page's templates.
    pub params: Params,
    /// The rendered fix; filled in by the engine.
    pub remediation: Remediation,
    /// Stable identity: check, owner-level subject and key, without pod suffixes and times.
    pub fingerprint: String,
    /// What distinguishes two findings of one check on one subject.
    pub key: String,
}

impl Finding {
    /// A finding of `check` about `subject`.
    pub fn new(check: CheckId, severity: Severity, subject: ResourceRef, message: impl Into<String>) -> Self {
        Self {
            check,
            severity,
            subjects: vec![subject],
            breaks: None,
            depends_on: Vec::new(),
            fix_needs: Vec::new(),
            message: message.into(),
            evidence: Vec::new(),
            variant: "",
            params: Params::default(),
            remediation: Remediation::default(),
            fingerprint: String::new(),
            key: String::new(),
        }
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
    pub fn also_all(self, subjects: impl IntoIterator<Item = ResourceRef>) -> Self {
        subjects.into_iter().fold(self, Self::also)
    }

    /// Says that `resource`, and not the subjects, is what does not work. May be called several times.
    #[must_use]
    pub fn breaks(mut self, resource: ResourceRef) -> Self {
        self.breaks.get_or_insert_default().push(resource);
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

    /// Names the fix: the `{#variant}` of the page's sections.
    #[must_use]
    pub fn fix(mut self, variant: &'static str) -> Self {
        self.variant = variant;
        self
    }

    /// Sets a value for the templates.
    #[must_use]
    pub fn param(mut self, name: &'static str, value: impl Serialize) -> Self {
        self.params.set(name, value);
        self
    }

    /// Sets what distinguishes this finding from another of the same check on the same subject.
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
