//! What was done with the steps of the fixes, what was not, and the summary of it.

/// Letters of a command in a summary.
const SHORT: usize = 60;

/// What was done with one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// It ran, and did what it should.
    Ran,
    /// It ran, and failed.
    Failed,
    /// The person did it elsewhere.
    Done,
    /// It was left out.
    Skipped,
}

impl Mark {
    /// Nothing is left to do of it.
    pub(super) fn is_well(self) -> bool {
        matches!(self, Self::Ran | Self::Done)
    }

    /// A sign for it.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Ran | Self::Done => "✓",
            Self::Failed => "✗",
            Self::Skipped => "–",
        }
    }

    /// The same in words.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ran => "ran",
            Self::Failed => "failed",
            Self::Done => "done elsewhere",
            Self::Skipped => "skipped",
        }
    }
}

/// Which step: its root's fingerprint, its label, and its command as the report has it. Labels alone come again: in other
/// roots, and in the ways of what must be right before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StepId {
    root: String,
    pub(super) label: String,
    command: String,
}

impl StepId {
    pub(super) fn new(root: &str, label: &str, command: &str) -> Self {
        Self { root: root.to_owned(), label: label.to_owned(), command: command.to_owned() }
    }
}

/// Something that was done with a step.
#[derive(Debug)]
struct Deed {
    id: StepId,
    command: String,
    mark: Mark,
    ending: String,
}

/// What was done, and what was not.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    done: Vec<Deed>,
    /// Steps that are not done yet.
    open: Vec<StepId>,
    /// The label and the command.
    running: Option<(String, String)>,
}

impl Deeds {
    /// What lies ahead.
    pub(super) fn ahead(&mut self, root: &str, steps: &[(String, String)]) {
        self.open = steps.iter().map(|(label, command)| StepId::new(root, label, command)).collect();
    }

    /// A command is about to run.
    pub(super) fn starts(&mut self, id: &StepId, command: &str) {
        self.running = Some((id.label.clone(), command.to_owned()));
    }

    /// It ran.
    pub(super) fn ran(&mut self, id: &StepId, command: &str, mark: Mark, ending: String) {
        self.running = None;
        self.add(id, command, mark, ending);
    }

    /// Something else was done with a step.
    pub(super) fn marked(&mut self, id: &StepId, command: &str, mark: Mark) {
        self.add(id, command, mark, mark.word().to_owned());
    }

    fn add(&mut self, id: &StepId, command: &str, mark: Mark, ending: String) {
        self.open.retain(|open| open != id);
        self.done.push(Deed { id: id.clone(), command: command.to_owned(), mark, ending });
    }

    /// A line each. A part of a secret is known for none any more: a command is cleaned before it is cut.
    pub(super) fn summary(&self, clean: impl Fn(&str) -> String) -> String {
        let short = |command: &str| short(&clean(command));
        let mut out = String::new();
        for Deed { id, command, mark, ending } in &self.done {
            out.push_str(&format!("{} {}: {} ({ending})\n", mark.sign(), id.label, short(command)));
        }
        if let Some((label, command)) = &self.running {
            out.push_str(&format!("? {label}: {} (was running: what it did is not known)\n", short(command)));
        }
        let is_open = |id: &&StepId| !self.done.iter().any(|deed| deed.id == **id);
        for StepId { label, command, .. } in self.open.iter().filter(is_open) {
            out.push_str(&format!("· {label}: {} (not done)\n", short(command)));
        }
        if out.is_empty() {
            out.push_str("nothing was done, and nothing was changed\n");
        }
        out
    }
}

/// The begin of a command.
fn short(command: &str) -> String {
    let first = without_place(command.lines().next().unwrap_or_default());
    match first.char_indices().nth(SHORT) {
        Some((at, _)) => format!("{} …", first[..at].trim_end()),
        None if command.lines().count() > 1 => format!("{first} …"),
        None => first,
    }
}

/// A command without the flags that say which cluster: a summary has no room for them.
fn without_place(command: &str) -> String {
    let mut words = Vec::new();
    let mut rest = command.split(' ');
    while let Some(word) = rest.next() {
        match word {
            "--context" | "--kubeconfig" | "--kube-context" | "--profile" | "--region" => _ = rest.next(),
            word => words.push(word),
        }
    }
    words.join(" ")
}
