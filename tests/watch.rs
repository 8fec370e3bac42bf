//! What changes from one report to the next: `--since`, and the live view of a cluster that changes.

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::api_server::{ApiServer, ServerOptions};
use support::fixtures::{copy, fixture};
use support::running::Running;
use support::{kdoctor, kdoctor_process};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `kdoctor monitoring --from` a fixture with further arguments.
fn monitoring(name: &str, args: &[&str]) -> std::process::Output {
    kdoctor().args(["monitoring", "--from"]).arg(fixture(name)).args(args).output().expect("kdoctor runs")
}

#[test]
fn since_tells_what_is_new_and_resolved_beside_the_report() {
    let dir = tempfile::tempdir().expect("a folder");
    let old = dir.path().join("old.json");
    let to = format!("json={}", old.display());
    let since = old.display().to_string();
    assert_eq!(monitoring("demo/ebs-csi-missing", &["-o", &to]).status.code(), Some(1));

    let same = monitoring("demo/ebs-csi-missing", &["--since", &since]);
    let out = text(&same.stdout);
    assert_eq!(same.status.code(), Some(1), "--since changes no exit code");
    assert!(out.contains("\nsince 2026-11-21T02:54:26Z: 0 new, 0 resolved, "), "{out}");

    let other = monitoring("incidents/targets-down", &["--since", &since, "-o", "json"]);
    let report: Value = serde_json::from_slice(&other.stdout).expect("JSON");
    let checks = |list: &str| {
        let all = report["since"][list].as_array().expect("a list").iter();
        all.map(|f| f["check"].as_str().expect("a check").to_owned()).collect::<Vec<_>>()
    };
    assert!(checks("appeared").contains(&"target-down".to_owned()), "{report:#}");
    assert!(checks("resolved").contains(&"pvc-pending".to_owned()), "{:#}", report["since"]);
    let markdown = text(&monitoring("incidents/targets-down", &["--since", &since, "-o", "markdown"]).stdout);
    assert!(
        markdown.contains("\n### since 2026-11-21T02:54:26Z: ") && markdown.contains("- new `error[target-down]`"),
        "{markdown}"
    );
    let missing = monitoring("demo/ebs-csi-missing", &["--since", "nowhere.json"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(missing.stdout.is_empty(), "no report without its comparison");
}

#[test]
fn what_could_not_be_looked_at_is_not_resolved() {
    let dir = tempfile::tempdir().expect("a folder");
    let old = dir.path().join("old.json");
    let to = format!("json={}", old.display());
    monitoring("demo/ebs-csi-missing", &["-o", &to]);
    // The same cluster, and claims that nobody may list any more.
    let bundle = dir.path().join("bundle");
    copy(&fixture("demo/ebs-csi-missing"), &bundle);
    let api = bundle.join("kubernetes/api/v1");
    std::fs::remove_file(api.join("persistentvolumeclaims.json")).expect("the fixture holds claims");
    let refused = json!({"code": 403, "reason": "Forbidden", "message": "persistentvolumeclaims is forbidden"});
    std::fs::write(api.join("persistentvolumeclaims.error.json"), refused.to_string()).expect("writable");
    let output = kdoctor()
        .args(["monitoring", "-o", "json", "--from"])
        .arg(&bundle)
        .arg("--since")
        .arg(&old)
        .output()
        .expect("kdoctor runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let has =
        |list: &str, check: &str| report["since"][list].as_array().expect("a list").iter().any(|f| f["check"] == check);
    assert!(has("out_of_sight", "pvc-pending") && !has("resolved", "pvc-pending"), "{:#}", report["since"]);
}

/// Long enough for any one step on a machine that does other things, too.
const SOON: Duration = Duration::from_secs(30);
/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// A cluster that changes.
struct Changing {
    server: ApiServer,
    dir: tempfile::TempDir,
}

impl Changing {
    fn start(name: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        copy(&fixture(name), &dir.path().join("bundle"));
        let options = ServerOptions::bundle(dir.path().join("bundle")).token("t0ken").fresh();
        Self { server: ApiServer::start(options), dir }
    }

    /// The cluster is now as this fixture has it.
    fn becomes(&self, name: &str) {
        copy(&fixture(name), &self.dir.path().join("bundle"));
    }

    /// `kdoctor watch` of the claims alone.
    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = kdoctor_process();
        let interval = format!("{}s", INTERVAL.as_secs());
        command.args(["watch", "--only", "pvc-pending", "--now", "2026-11-21T02:54:26Z", "-i", &interval]);
        command.args(["--timeout", "2s", "--kubeconfig"]).arg(self.server.kubeconfig(self.dir.path())).args(args);
        command
    }

    fn watch(&self, args: &[&str]) -> Running {
        Running::start(&mut self.command(args))
    }
}

#[test]
fn a_fault_appears_and_is_resolved_while_the_server_restarts_in_between() {
    let mut cluster = Changing::start("healthy/plain");
    let file = cluster.dir.path().join("watch.md").display().to_string();
    let mut watch = cluster.watch(&["--for", "5m", "--transcript", &file]);
    watch.expect("watching test · namespace monitoring, every 2s", SOON);
    watch.expect("✓ no problem found", SOON);

    cluster.becomes("demo/ebs-csi-missing");
    let start = Instant::now();
    let line = watch.expect(" new error[pvc-pending] 3 PersistentVolumeClaims are Pending", SOON);
    // Two intervals, and as long as two looks take.
    assert!(start.elapsed() < INTERVAL * 2 + Duration::from_secs(6), "{:?}", start.elapsed());
    assert!(line.as_bytes()[2] == b':' && line.as_bytes()[5] == b':', "a line begins with its time: {line}");

    cluster.server.stop();
    watch.expect(" cannot see: the cluster cannot be asked: ", SOON);
    // Another look in vain says nothing new.
    std::thread::sleep(INTERVAL * 2);
    cluster.server.start_again();
    watch.expect(" can see again after ", SOON);
    assert!(watch.seen.iter().all(|l| !l.contains(" resolved error[")), "{:#?}", watch.seen);
    assert_eq!(watch.seen.iter().filter(|l| l.contains(" cannot see: ")).count(), 1, "{:#?}", watch.seen);

    cluster.becomes("healthy/plain");
    let start = Instant::now();
    let line = watch.expect(" resolved error[pvc-pending] ", SOON);
    assert!(start.elapsed() < INTERVAL * 2 + Duration::from_secs(6), "{:?}", start.elapsed());
    assert!(line.contains(" after "), "{line}");
    watch.expect("✓ no problem found", SOON);
    watch.signal("TERM");
    assert_eq!(watch.end(SOON).code(), Some(130));
    let transcript = std::fs::read_to_string(&file).expect("a transcript was kept");
    let mut rest = transcript.as_str();
    for part in [
        "# kdoctor: test\n",
        "by `kdoctor watch`",
        "no problem found",
        "## What changed",
        " new error\\[pvc-pending\\] 3 PersistentVolumeClaims are Pending",
        "kubectl ",
        " cannot see: the cluster cannot be asked: ",
        " can see again after ",
        " resolved error\\[pvc-pending\\] ",
        "## Summary",
        "- ✓ error\\[pvc-pending\\] 3 PersistentVolumeClaims are Pending",
        "\nInterrupted ",
    ] {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part} is not there, or not in its order: {transcript}"));
        rest = &rest[at + part.len()..];
    }
}

/// The text of one file of a fixture with a word changed, beside the rest of it.
fn with_event(name: &str, dir: &std::path::Path, says: &str) {
    copy(&fixture(name), dir);
    let events = dir.join("kubernetes/api/v1/events.json");
    let text = std::fs::read_to_string(&events).expect("the fixture has events");
    let changed =
        text.replace("Waiting for a volume to be created", &format!("Waiting for a volume to be created {says}"));
    assert_ne!(changed, text);
    std::fs::write(&events, changed).expect("writable");
}

/// What a cluster says, and what a command prints, may hold what nobody may read.
#[test]
fn no_secret_is_told_or_kept() {
    let cluster = Changing::start("healthy/plain");
    let file = cluster.dir.path().join("watch.md").display().to_string();
    let exec = "echo 'denied: password=hunter2exec' >&2; exit 3";
    let mut watch = cluster.watch(&["--for", "5m", "--transcript", &file, "--exec", exec]);
    watch.expect("✓ no problem found", SOON);
    let staged = cluster.dir.path().join("staged");
    with_event("demo/ebs-csi-missing", &staged, "(password=hunter2event)");
    copy(&staged, &cluster.dir.path().join("bundle"));
    watch.expect(" new error[pvc-pending] ", SOON);
    watch.expect("--exec ended with exit status: 3: denied: ", SOON);
    watch.signal("TERM");
    assert_eq!(watch.end(SOON).code(), Some(130));
    let transcript = std::fs::read_to_string(&file).expect("a transcript was kept");
    for part in ["Waiting for a volume to be created", "--exec ended with"] {
        assert!(transcript.contains(part), "{part} is not there: {transcript}");
    }
    for text in [&transcript, &watch.seen.join("\n")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_transcript_is_kept_unless_nobody_wants_one() {
    let cluster = Changing::start("demo/ebs-csi-missing");
    let state = cluster.dir.path().join("state");
    for (args, count) in [(&["--for", "2s", "--no-transcript"][..], 0), (&["--for", "2s"], 1)] {
        let mut watch = Running::start(cluster.command(args).env("XDG_STATE_HOME", &state));
        assert_eq!(watch.end(SOON).code(), Some(1), "{:#?}", watch.seen);
        let kept = std::fs::read_dir(state.join("kdoctor/transcripts")).map_or(0, Iterator::count);
        assert_eq!(kept, count, "{args:?}");
    }
    let printed = kdoctor().env("XDG_STATE_HOME", &state).args(["transcript", "last"]).output().expect("kdoctor runs");
    let printed = text(&printed.stdout);
    assert!(printed.contains("(from the beginning; still there)") && printed.contains("\nEnded "), "{printed}");
}

/// Requests so far for the claims of the stack: whole lists, and what changed.
fn asked(server: &ApiServer) -> (usize, usize) {
    let all = server.requests();
    let claims: Vec<_> = all.iter().filter(|r| r.path().ends_with("/monitoring/persistentvolumeclaims")).collect();
    let changes = claims.iter().filter(|r| r.line.contains("watch=1")).count();
    (claims.len() - changes, changes)
}

#[test]
fn a_list_is_read_once_and_then_only_what_changed() {
    let mut cluster = Changing::start("healthy/plain");
    let mut watch = cluster.watch(&["--for", "5m"]);
    watch.expect("✓ no problem found", SOON);
    cluster.becomes("demo/ebs-csi-missing");
    watch.expect(" new error[pvc-pending] ", SOON);
    cluster.becomes("healthy/plain");
    watch.expect(" resolved error[pvc-pending] ", SOON);
    let (lists, changes) = asked(&cluster.server);
    assert!(lists == 1 && changes >= 2, "{lists} lists, {changes} times what changed");
    // After a restart the server does not know what changed before: the list is read again.
    cluster.becomes("demo/ebs-csi-missing");
    cluster.server.stop();
    cluster.server.start_again();
    watch.expect(" new error[pvc-pending] ", SOON);
    assert_eq!(asked(&cluster.server).0, 1);
}

#[test]
fn expired_credentials_and_a_list_that_is_refused_resolve_nothing() {
    let cluster = Changing::start("demo/ebs-csi-missing");
    let mut watch = cluster.watch(&["--for", "5m"]);
    watch.expect(" open error[pvc-pending] ", SOON);
    cluster.server.kubeconfig_as(cluster.dir.path(), "expired");
    watch.expect(" cannot see: ", SOON);
    cluster.server.kubeconfig(cluster.dir.path());
    watch.expect(" can see again after ", SOON);

    let claims = cluster.dir.path().join("bundle/kubernetes/api/v1/persistentvolumeclaims.json");
    let error = claims.with_file_name("persistentvolumeclaims.error.json");
    std::fs::rename(&claims, claims.with_extension("away")).expect("it is there");
    let refused = json!({"code": 403, "reason": "Forbidden", "message": "persistentvolumeclaims is forbidden"});
    std::fs::write(&error, refused.to_string()).expect("writable");
    let line = watch.expect(" out of sight error[pvc-pending] ", SOON);
    assert!(line.contains("(not seen: GET /api/v1/namespaces/monitoring/persistentvolumeclaims)"), "{line}");
    std::fs::rename(claims.with_extension("away"), &claims).expect("it is there");
    std::fs::remove_file(&error).expect("it is there");
    watch.expect(" seen again error[pvc-pending] ", SOON);
    assert!(watch.seen.iter().all(|l| !l.contains(" resolved error[")), "{:#?}", watch.seen);
}

#[test]
fn a_pipeline_waits_for_the_end_of_a_fault_and_not_for_ever() {
    let cluster = Changing::start("demo/ebs-csi-missing");
    let mut late = cluster.watch(&["--until-resolved", "--for", "5s"]);
    assert_eq!(late.end(SOON).code(), Some(1), "{:#?}", late.seen);
    let told = cluster.dir.path().join("told");
    let exec = format!(
        "{{ echo \"$KDOCTOR_NEW new, $KDOCTOR_RESOLVED resolved, $KDOCTOR_OPEN open: $KDOCTOR_TEXT\"; cat; }} > {}",
        told.display()
    );
    let mut wait = cluster.watch(&["--until-resolved", "--for", "5m", "--exec", &exec]);
    wait.expect(" open error[pvc-pending] ", SOON);
    cluster.becomes("healthy/plain");
    wait.expect(" resolved error[pvc-pending] ", SOON);
    assert_eq!(wait.end(SOON).code(), Some(0), "{:#?}", wait.seen);
    let told = std::fs::read_to_string(told).expect("the command was run, and ended");
    let (line, document) = told.split_once('\n').expect("a line and a document");
    assert!(line.starts_with("0 new, 1 resolved, 0 open: resolved error[pvc-pending] "), "{told}");
    let document: Value = serde_json::from_str(document).expect("JSON");
    assert_eq!(
        (&document["events"][0]["event"], &document["context"]),
        (&json!("resolved"), &json!("test")),
        "{document}"
    );

    let unreachable = Changing::start("healthy/plain");
    let mut command = unreachable.command(&["--for", "4s"]);
    drop(unreachable.server);
    assert_eq!(Running::start(&mut command).end(SOON).code(), Some(2), "it never saw anything");
}

#[test]
fn a_command_that_fails_is_told_and_ends_nothing() {
    let cluster = Changing::start("healthy/plain");
    let mut watch = cluster.watch(&["--for", "5m", "--exec", "echo no such channel >&2; exit 3"]);
    watch.expect("✓ no problem found", SOON);
    cluster.becomes("demo/ebs-csi-missing");
    watch.expect(" new error[pvc-pending] ", SOON);
    watch.expect("--exec ended with exit status: 3: no such channel", SOON);
    cluster.becomes("healthy/plain");
    watch.expect(" resolved error[pvc-pending] ", SOON);
}

#[test]
fn what_no_waiting_mends_is_said_at_once() {
    let bundle = kdoctor().args(["watch", "--demo"]).output().expect("kdoctor runs");
    assert_eq!(bundle.status.code(), Some(2));
    assert!(text(&bundle.stderr).contains("a bundle does not change"), "{}", text(&bundle.stderr));
    let cluster = Changing::start("healthy/plain");
    for (args, word) in [(&["--context", "tset"][..], "has no context"), (&["-n", "no-such"], "no-such")] {
        let mut watch = cluster.watch(args);
        assert_eq!(watch.end(SOON).code(), Some(2));
        assert!(watch.seen.iter().any(|l| l.contains(word)), "{:#?}", watch.seen);
    }
}

/// Makes the window of a terminal smaller.
fn resize(terminal: &str) {
    let set = std::process::Command::new("stty").args(["-F", terminal.trim(), "cols", "50", "rows", "16"]).status();
    assert!(set.is_ok_and(|status| status.success()));
}

/// A terminal that is taken is given back, whatever ends the view.
#[test]
fn on_a_terminal_it_is_a_live_view_that_leaves_the_terminal_as_it_was() {
    let cluster = Changing::start("demo/ebs-csi-missing");
    for key in ["q", "\u{3}", "TERM"] {
        let tty = cluster.dir.path().join("tty");
        let watch = cluster.command(&[]);
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", "tty >\"$TTY_FILE\"; exec \"$0\" \"$@\""]).arg(watch.get_program()).args(watch.get_args());
        command.envs(watch.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("TTY_FILE", &tty).env("TERM", "xterm-256color");
        let mut view = rexpect::session::spawn_command(command, Some(30_000)).expect("a pseudo-terminal");
        view.exp_string("\u{1b}[?1049h").expect("the alternate screen");
        view.exp_string("1 root cause: pvc-pending").expect("the verdict");
        view.exp_string("1. error[pvc-pending]").expect("the root");
        view.exp_string("q ends").expect("the keys");
        resize(&std::fs::read_to_string(&tty).expect("it was written"));
        for _ in 0..2 {
            view.exp_string("q ends").expect("another picture");
        }
        let picture = view.exp_string("q ends").expect("another picture");
        // Each byte is read as a letter.
        let picture: Vec<u8> = picture.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
        let picture = String::from_utf8_lossy(&picture);
        let text = |part: &str| part.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).chars().skip(1).count();
        let widest = picture.split("\u{1b}[").map(text).max();
        assert!(widest.is_some_and(|columns| columns <= 50), "{widest:?} {picture}");
        if key == "TERM" {
            view.process_mut().signal(rexpect::process::Signal::SIGTERM).expect("it runs");
        } else {
            view.send(key).expect("it reads");
            view.flush().expect("it reads");
        }
        view.exp_string("\u{1b}[?1049l").expect("the screen of before");
        let rest = view.exp_eof().expect("it ends");
        assert!(rest.contains("open error[pvc-pending]"), "what happened stays on the terminal: {rest}");
        let code = match view.process().wait().expect("it is our child") {
            rexpect::process::WaitStatus::Exited(_, code) => code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code, if key == "q" { 1 } else { 130 });
    }
}
