//! `--exec`: a command of the user that is told of each change, one after the other.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::history::{Board, Event, PastFinding};
use crate::model::Report;
use crate::render::live::event_lines;

/// Longest time for one call.
const DEADLINE: Duration = Duration::from_secs(30);
/// Time for the last words of a command that has ended.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// Bytes of what it says that are kept.
const COMPLAINT: usize = 16 << 10;

/// Runs the command for each change, in their order, beside the looks.
pub(super) struct Hook {
    calls: UnboundedSender<Call>,
    failures: UnboundedReceiver<String>,
    worker: JoinHandle<()>,
}

/// One change: the variables and the document that the command gets.
struct Call {
    variables: Vec<(&'static str, String)>,
    document: String,
}

/// What the command reads from its standard input.
#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    at: String,
    context: Option<&'a str>,
    cluster: Option<&'a str>,
    /// What changed in this look.
    events: Vec<Told<'a>>,
    /// What stands after it.
    open: Vec<&'a PastFinding>,
    /// Why nothing is seen, where nothing is.
    cannot_see: Option<&'a str>,
}

#[derive(Serialize)]
struct Told<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<&'a PastFinding>,
    /// How long it stood, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    after_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn of(event: &'a Event) -> Self {
        let (name, after_seconds, why) = match event {
            Event::Open(_) => ("open", None, None),
            Event::New(_) => ("new", None, None),
            Event::Resolved(_, after) => ("resolved", *after, None),
            Event::Changed(..) => ("changed", None, None),
            Event::Hidden(_, why) => ("out_of_sight", None, Some(why.as_str())),
            Event::Back(_) => ("seen_again", None, None),
            Event::Blind(why) => ("cannot_see", None, Some(why.as_str())),
            Event::Sees(after) => ("can_see", Some(*after), None),
        };
        Self { event: name, finding: event.finding(), after_seconds, why }
    }
}

impl Hook {
    /// Starts the task that runs `command`.
    pub(super) fn start(command: &str) -> Self {
        let command = command.to_owned();
        let (calls, mut waiting) = unbounded_channel::<Call>();
        let (failed, failures) = unbounded_channel();
        let worker = tokio::spawn(async move {
            while let Some(call) = waiting.recv().await {
                if let Err(failure) = run(&command, call).await
                    && failed.send(format!("--exec {failure}")).is_err()
                {
                    return;
                }
            }
        });
        Self { calls, failures, worker }
    }

    /// Tells the command of a look that changed something.
    pub(super) fn call(&self, at: Timestamp, events: &[Event], board: &Board, report: &Report) {
        let roots = |wanted: fn(&Event) -> bool| {
            events.iter().filter(|e| wanted(e) && e.finding().is_some_and(|f| f.root)).count().to_string()
        };
        let open: Vec<&PastFinding> = board.entries().iter().map(|e| &e.finding).collect();
        let lines: Vec<String> = event_lines(at, events).into_iter().map(|l| l.text).collect();
        let variables = vec![
            ("KDOCTOR_NEW", roots(|e| matches!(e, Event::New(_)))),
            ("KDOCTOR_RESOLVED", roots(|e| matches!(e, Event::Resolved(..)))),
            ("KDOCTOR_OPEN", open.iter().filter(|f| f.root).count().to_string()),
            ("KDOCTOR_TEXT", lines.join("\n")),
        ];
        let document = Document {
            schema_version: 1,
            at: at.to_string(),
            context: report.target.context.as_deref(),
            cluster: report.target.cluster.as_deref(),
            events: events.iter().map(Told::of).collect(),
            open,
            cannot_see: board.blind().map(|b| b.why.as_str()),
        };
        // Plain data; and the worker lives as long as the hook.
        let document = serde_json::to_string(&document).unwrap_or_default();
        let _ = self.calls.send(Call { variables, document });
    }

    /// What went wrong since the last time.
    pub(super) fn failures(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.failures.try_recv().ok()).collect()
    }

    /// Lets what was begun end, within the deadline; gives what went wrong.
    pub(super) async fn finish(mut self) -> Vec<String> {
        drop(self.calls);
        if timeout(DEADLINE, &mut self.worker).await.is_err() {
            self.worker.abort();
        }
        std::iter::from_fn(|| self.failures.try_recv().ok()).collect()
    }
}

/// Keeps the end of what a command says, as long as anybody holds the stream.
async fn hear(mut stderr: ChildStderr, said: Arc<Mutex<Vec<u8>>>) {
    let mut part = [0; 4096];
    while let Ok(count @ 1..) = stderr.read(&mut part).await {
        let Ok(mut said) = said.lock() else { return };
        said.extend_from_slice(&part[..count]);
        let old = said.len().saturating_sub(COMPLAINT);
        said.drain(..old);
    }
}

/// Runs it once; says what went wrong.
async fn run(command: &str, call: Call) -> Result<(), String> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .envs(call.variables)
        .stdin(Stdio::piped())
        // The terminal is not its own.
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("cannot be run by sh: {e}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        let document = call.document;
        // A command that does not read its input is in its right.
        tokio::spawn(async move { stdin.write_all(document.as_bytes()).await });
    }
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = child.stderr.take().map(|stderr| tokio::spawn(hear(stderr, Arc::clone(&said))));
    let Ok(ended) = timeout(DEADLINE, child.wait()).await else {
        return Err(format!("was ended: it took longer than {} s", DEADLINE.as_secs()));
    };
    let status = ended.map_err(|e| format!("failed: {e}"))?;
    if status.success() {
        return Ok(());
    }
    // What it left in the background may hold the stream open for as long as it likes.
    if let Some(heard) = heard {
        let _ = timeout(LAST_WORDS, heard).await;
    }
    let said = said.lock().map(|said| String::from_utf8_lossy(&said).into_owned()).unwrap_or_default();
    let said = said.lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default();
    Err(format!("ended with {status}: {said}").trim_end_matches([':', ' ']).to_owned())
}
