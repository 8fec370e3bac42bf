//! What to do: steps with their risk, the ways to choose from, the commands that verify them and the way back.

use super::{CheckId, Placeholder};

/// What a step changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Risk {
    /// Looks only.
    ReadOnly,
    /// Changes configuration; nothing stops working meanwhile.
    Change,
    /// Interrupts a running component for a moment.
    Disruptive,
    /// Deletes data or objects for good.
    Destructive,
}

impl Risk {
    /// The word used in pages and outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Change => "change",
            Self::Disruptive => "disruptive",
            Self::Destructive => "destructive",
        }
    }

    /// Reads the word of a page.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::ReadOnly, Self::Change, Self::Disruptive, Self::Destructive].into_iter().find(|r| r.as_str() == word)
    }
}

/// What kind of work a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepKind {
    /// A shell command, complete.
    Command,
    /// A manifest, applied by the command that carries it.
    Manifest,
    /// A change in a file or values; the text says which.
    Edit,
    /// Something to know; no command.
    Note,
}

impl StepKind {
    /// The word used in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Manifest => "manifest",
            Self::Edit => "edit",
            Self::Note => "note",
        }
    }

    /// True where the step's command is for a shell.
    pub fn is_shell(self) -> bool {
        matches!(self, Self::Command | Self::Manifest)
    }
}

/// One step of a fix.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Step {
    /// What kind of work it is.
    pub kind: StepKind,
    /// What it changes.
    pub risk: Risk,
    /// One sentence: what the step does and why.
    pub text: String,
    /// The complete command (or the file excerpt of an edit); empty for a note.
    pub command: String,
    /// A look whose command writes what it shows into a file: a copy, or what a later step takes.
    pub keeps: bool,
    /// The check whose fix it belongs to.
    pub of: CheckId,
    /// Values in the command that only a person can fill in, each as it stands there: `<name>`.
    pub placeholders: Vec<Placeholder>,
}

/// One of several ways that lead to the same end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FixOption {
    /// What this way is, in a few words.
    pub title: String,
    /// Its steps in order.
    pub steps: Vec<Step>,
}

/// The fix of one finding, rendered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remediation {
    /// What the fix is, in a few words.
    pub title: String,
    /// Steps in order; done before one of the options.
    pub steps: Vec<Step>,
    /// Ways to choose one from; empty, or at least two.
    pub options: Vec<FixOption>,
    /// Read-only steps that show that the fix worked.
    pub verify: Vec<Step>,
    /// Steps that undo the fix.
    pub rollback: Vec<Step>,
}

impl Remediation {
    /// All steps in the order in which they are printed: common ones, options, verification, rollback.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        let options = self.options.iter().flat_map(|o| &o.steps);
        self.steps.iter().chain(options).chain(&self.verify).chain(&self.rollback)
    }

    /// The same, to be changed.
    pub fn all_steps_mut(&mut self) -> impl Iterator<Item = &mut Step> {
        let options = self.options.iter_mut().flat_map(|o| &mut o.steps);
        self.steps.iter_mut().chain(options).chain(&mut self.verify).chain(&mut self.rollback)
    }
}
