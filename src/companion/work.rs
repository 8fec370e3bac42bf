//! A step that is worked on.

use super::deeds::StepId;
use crate::model::{Risk, Step};
use crate::pages::Language;

/// What a step is for the person: the command as it is now, and what of it is still open.
pub(super) struct Work {
    pub(super) label: String,
    pub(super) step: Step,
    /// The command with the values that were chosen, or as it was edited.
    pub(super) command: String,
    pub(super) risk: Risk,
    pub(super) is_edited: bool,
}

impl Work {
    /// Which step it is, whatever became of its command.
    pub(super) fn id(&self, fingerprint: &str) -> StepId {
        StepId::new(fingerprint, &self.label, &self.step.command)
    }

    /// What its text is.
    pub(super) fn language(&self) -> Language {
        if self.step.kind.is_shell() { Language::Shell } else { Language::File }
    }
}
