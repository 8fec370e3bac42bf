//! What happened: kept for the summary, and written to the transcript as it happens. Whatever ends the talk, the transcript
//! holds what was done until then.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use jiff::Timestamp;

use super::deeds::{Deeds, Mark, StepId};
use super::process::Finished;
use super::transcript::{self, ENDED, INTERRUPTED, TITLE};
use crate::model::{Report, Risk};
use crate::pages;
use crate::render::escape::{code, fence, text};
use crate::render::{MarkdownOptions, markdown};
use crate::text::redact::{MASK, mask};

#[derive(Default)]
struct Inner {
    file: Option<File>,
    path: Option<PathBuf>,
    /// Why it is not written any more.
    failure: Option<String>,
    deeds: Deeds,
    /// What a person typed in and nobody else may read.
    secrets: Vec<String>,
    is_ended: bool,
}

/// Where the transcript goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// To the state folder.
    Kept,
    /// To this file.
    File(PathBuf),
    /// Nowhere.
    Nothing,
}

impl Wanted {
    /// As the flags say it.
    pub fn of(file: Option<&Path>, is_unwanted: bool) -> Self {
        match (file, is_unwanted) {
            (Some(file), _) => Self::File(file.to_owned()),
            (None, true) => Self::Nothing,
            (None, false) => Self::Kept,
        }
    }
}

/// The record of one talk, or of one watch. Its clones write to the same.
#[derive(Clone, Default)]
pub struct Record(Arc<Mutex<Inner>>);

impl Record {
    /// A record that is written to this file, where there is one.
    pub(super) fn new(file: Option<(PathBuf, File)>) -> Self {
        let (path, file) = file.unzip();
        Self(Arc::new(Mutex::new(Inner { file, path, ..Inner::default() })))
    }

    /// A record where it is wanted, named after the cluster of this report. What keeps it out of the state folder is told,
    /// and nothing else: an incident does not wait for a disk.
    ///
    /// # Errors
    /// The file that was asked for cannot be written.
    pub fn open(wanted: &Wanted, report: &Report, complain: impl FnOnce(&str)) -> anyhow::Result<Self> {
        let file = match wanted {
            Wanted::Nothing => None,
            Wanted::File(path) => {
                let file = transcript::open(path).with_context(|| format!("{} cannot be written", path.display()))?;
                Some((path.clone(), file))
            }
            Wanted::Kept => {
                let made = transcript::folder()
                    .and_then(|folder| Ok(transcript::create(&folder, &place(report), Timestamp::now())?));
                made.map_err(|error| complain(&format!("no transcript is kept: {error:#}"))).ok()
            }
        };
        Ok(Self::new(file))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it is read.
    pub fn how_to_read(&self) -> Option<String> {
        let inner = self.inner();
        let path = inner.path.as_ref()?;
        let is_kept = transcript::folder().is_ok_and(|folder| path.starts_with(folder));
        Some(if is_kept { "kdoctor transcript last".to_owned() } else { path.display().to_string() })
    }

    /// Why it could not be written, told once.
    pub fn failure(&self) -> Option<String> {
        self.inner().failure.take()
    }

    /// Keeps a value out of all that is written, as it is and as a command holds it.
    pub(super) fn keep_secret(&self, value: &str) {
        if value.len() <= 2 {
            return;
        }
        let secrets = &mut self.inner().secrets;
        secrets.extend(pages::forms(value));
        // The longest first: one form may stand within another.
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
    }

    /// A command as it may be shown: without what the person typed in as a secret.
    pub(super) fn clean_values(&self, text: &str) -> String {
        without(text, &self.inner().secrets)
    }

    /// A text as it may be shown.
    pub(super) fn clean(&self, text: &str) -> String {
        clean(text, &self.inner().secrets)
    }

    /// What was found, and how it was asked; what follows is `ahead`.
    pub fn begin(&self, report: &Report, how: &str, ahead: &str) {
        let place = place(report);
        let now = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC");
        let found = markdown(report, MarkdownOptions::default());
        // Their headings stand below this one.
        let found: String =
            found.lines().map(|l| if l.starts_with("##") { format!("#{l}\n") } else { format!("{l}\n") }).collect();
        self.write(&format!(
            "{TITLE}{}\n\nBegun {now} by {}, kdoctor {}.\n\n## What was found\n\n{found}\n## {ahead}\n",
            text(&place),
            code(how),
            env!("CARGO_PKG_VERSION")
        ));
    }

    /// A line of the timeline.
    pub(super) fn note(&self, line: &str) {
        self.note_with(line, &[]);
    }

    /// A line of the timeline with blocks below it.
    pub fn note_with(&self, line: &str, blocks: &[(&str, &str)]) {
        self.entry(&text(&self.clean_values(line)), blocks);
    }

    fn entry(&self, line: &str, blocks: &[(&str, &str)]) {
        let now = Timestamp::now().strftime("%H:%M:%S UTC");
        let mut out = format!("\n**{now}** {line}\n");
        for (language, body) in blocks.iter().filter(|(_, body)| !body.trim().is_empty()) {
            out.push_str(&format!("\n{}\n", fence(language, body)));
        }
        self.write(&out);
    }

    /// What lies ahead.
    pub(super) fn ahead(&self, root: &str, steps: Vec<(String, String)>) {
        self.inner().deeds.ahead(root, &steps);
    }

    /// A command is about to run. That is written down before: whatever ends this program, it is known.
    pub(super) fn starts(&self, id: &StepId, command: &str) {
        let label = &id.label;
        self.entry(&text(&format!("{label}: starts")), &[("sh", command)]);
        self.inner().deeds.starts(id, command);
    }

    /// A command ran.
    pub(super) fn ran(&self, id: &StepId, command: &str, risk: Risk, finished: &Finished) {
        let label = &id.label;
        let mark = if finished.is_well() { Mark::Ran } else { Mark::Failed };
        let seconds = finished.took.as_secs_f64();
        let line = format!("{label} ({}): ran, {}, {seconds:.1} s", risk.as_str(), finished.ending());
        self.entry(&text(&line), &[("text", &finished.output)]);
        self.inner().deeds.ran(id, command, mark, finished.ending());
    }

    /// Something else was done with a step.
    pub(super) fn marked(&self, id: &StepId, command: &str, mark: Mark) {
        self.entry(&text(&format!("{}: {}", id.label, mark.word())), &[("sh", command)]);
        self.inner().deeds.marked(id, command, mark);
    }

    /// Ends it: writes the summary, and gives it.
    pub(super) fn end(&self, is_interrupted: bool) -> String {
        let summary = {
            let inner = self.inner();
            clean(&inner.deeds.summary(|command| clean(command, &inner.secrets)), &inner.secrets)
        };
        if self.finish(&summary, is_interrupted) { summary } else { String::new() }
    }

    /// Writes this summary and the end; false where it has ended already.
    pub fn finish(&self, summary: &str, is_interrupted: bool) -> bool {
        let mut inner = self.inner();
        if std::mem::replace(&mut inner.is_ended, true) {
            return false;
        }
        let now = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC");
        let word = if is_interrupted { INTERRUPTED } else { ENDED };
        let mut lines = String::from("\n## Summary\n\n");
        for line in summary.lines() {
            lines.push_str(&format!("- {}\n", text(line.trim())));
        }
        lines.push_str(&format!("\n{word}{now}.\n"));
        let lines = clean(&lines, &inner.secrets);
        write(&mut inner, &lines);
        true
    }

    fn write(&self, text: &str) {
        let mut inner = self.inner();
        let cleaned = clean(text, &inner.secrets);
        write(&mut inner, &cleaned);
    }
}

fn write(inner: &mut Inner, text: &str) {
    let Some(file) = &mut inner.file else { return };
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.flush()) {
        inner.failure = Some(error.to_string());
        inner.file = None;
    }
}

fn clean(text: &str, secrets: &[String]) -> String {
    mask(&without(text, secrets))
}

fn without(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
}

/// What a report is about, in a few words.
fn place(report: &Report) -> String {
    let target = &report.target;
    let name = target.cluster.as_deref().or(target.context.as_deref()).unwrap_or("a cluster");
    // Of an ARN the name.
    name.rsplit('/').next().unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn finished(code: i32, output: &str) -> Finished {
        let took = Duration::from_millis(1200);
        Finished { code: Some(code), output: output.into(), took, is_late: false, is_interrupted: false }
    }

    #[test]
    fn it_is_written_as_it_happens_and_holds_no_secret() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("t.md");
        let file = transcript::open(&path).expect("opens");
        let record = Record::new(Some((path.clone(), file)));
        record.ahead("r", vec![("step 1".into(), "a".into()), ("step 2".into(), "kubectl delete pvc x".into())]);
        record.keep_secret("hunter2hunter2");
        let id = StepId::new("r", "step 1", "a");
        record.starts(&id, "login hunter2hunter2");
        assert!(std::fs::read_to_string(&path).expect("is there").contains("step 1: starts"));
        record.ran(&id, "login hunter2hunter2", Risk::Change, &finished(1, "```\npassword: s3cr3tvalue\n"));
        let read = || std::fs::read_to_string(&path).expect("is there");
        assert!(read().contains("step 1 (change): ran, exit code 1, 1.2 s"), "{}", read());
        let summary = record.end(true);
        assert!(summary.contains("✗ step 1: login <redacted> (exit code 1)"), "{summary}");
        assert!(summary.contains("· step 2: kubectl delete pvc x (not done)"), "{summary}");
        assert!(read().lines().last().is_some_and(|l| l.starts_with(INTERRUPTED)));
        for secret in ["hunter2", "s3cr3t"] {
            assert!(!read().contains(secret), "{}", read());
        }
        assert_eq!(record.end(false), "");
    }

    #[test]
    fn a_secret_is_kept_out_however_a_command_holds_it() {
        let record = Record::default();
        let secret = "p$a\"ss it's `x`";
        record.keep_secret(secret);
        for command in
            ["set password='<redacted>'", "set \"password=<redacted>\"", "apply <<'EOF'\npassword: \"<redacted>\"\nEOF"]
        {
            let filled = pages::fill(command, pages::Language::Shell, "redacted", &[secret.to_owned()]);
            let Ok(filled) = filled else { continue };
            assert!(!record.clean_values(&filled).contains("ss it"), "{filled}");
        }
        record.note(&format!("typed {secret}"));
        assert!(!record.clean_values(&pages::quoted(secret)).contains("ss it"));
    }

    #[test]
    fn a_secret_that_is_cut_in_the_summary_is_still_one() {
        let record = Record::default();
        record.keep_secret("hunter2hunter2");
        let long = "kubectl create secret generic grafana-admin-user --from-literal=";
        for (number, value) in ["hunter2hunter2", "admin=hunter2hunter2"].into_iter().enumerate() {
            for cut in 0..8 {
                let command = format!("{}{value}", &long[cut..]);
                let id = StepId::new("r", &format!("step {number}.{cut}"), &command);
                record.ran(&id, &command, Risk::Change, &finished(0, ""));
            }
        }
        let token = format!("curl -H 'Authorization: Bearer {}' x", "s3cr3tvalue".repeat(5));
        record.ran(&StepId::new("r", "last", &token), &token, Risk::Change, &finished(0, ""));
        let summary = record.end(false);
        assert!(!summary.contains("hunt") && !summary.contains("s3cr3t"), "{summary}");
    }

    #[test]
    fn a_step_of_one_root_is_not_one_of_another() {
        let record = Record::default();
        let well = finished(0, "");
        record.ran(&StepId::new("one", "step 1 of 2", "a"), "a", Risk::Change, &well);
        record.ran(&StepId::new("two", "way a, step 1 of 2", "before"), "before", Risk::Change, &well);
        let open = [("step 1 of 2", "b"), ("way a, step 1 of 2", "c")];
        record.ahead("two", open.map(|(label, command)| (label.to_owned(), command.to_owned())).to_vec());
        let summary = record.end(false);
        for line in ["· step 1 of 2: b (not done)", "· way a, step 1 of 2: c (not done)"] {
            assert!(summary.contains(line), "{summary}");
        }
    }
}
