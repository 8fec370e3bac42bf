//! The companion in a real pseudo-terminal: on bundles, and against a served cluster with tools that write down how they
//! are called.
#![cfg(unix)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rexpect::reader::Options;
use rexpect::session::{PtySession, spawn_with_options};
use serde_json::{Value, json};
use support::api_server::{ApiServer, ServerOptions};
use support::fixtures::{self, fixture};
use support::kdoctor;
use tempfile::TempDir;

/// Patience of a test: the machine may be busy.
const PATIENCE: u64 = 30_000;
/// What stands below every list.
const HELP: &str = "Esc goes back]";

/// A home, a state folder and a folder of tools, and what is asked.
struct Scene {
    dir: TempDir,
    variables: Vec<(&'static str, String)>,
    columns: usize,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(dir.path().join("bin")).expect("a folder");
        Self { dir, variables: Vec::new(), columns: 110 }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A tool that writes down how it was called, and then does this.
    fn tool(&self, name: &str, body: &str) {
        let log = self.path("calls");
        let script = format!("#!/bin/sh\nprintf '%s\\n' \"{name} $*\" >>'{}'\n{body}\n", log.display());
        let path = self.path("bin").join(name);
        std::fs::write(&path, script).expect("writes");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("is a program");
    }

    /// How the tools were called.
    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn start(&self, arguments: &[&str]) -> Talk {
        let mut command = Command::new("/bin/sh");
        let start = format!("stty cols {} rows 50; tty >\"$HOME/tty\"; exec \"$0\" \"$@\"", self.columns);
        command.args(["-c", &start]).arg(kdoctor().get_program()).args(arguments);
        // Only the tools of the scene, and those that every system has.
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        command.env_clear().env("PATH", path).env("HOME", self.dir.path()).env("TERM", "xterm-256color");
        command.env("XDG_STATE_HOME", self.path("state")).env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8");
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("TZ", "UTC");
        command.envs(self.variables.iter().map(|(name, value)| (*name, value)));
        let options = Options::new().timeout_ms(Some(PATIENCE)).strip_ansi_escape_codes(false);
        Talk { session: spawn_with_options(command, options).expect("starts"), seen: String::new() }
    }

    /// The only transcript that was kept.
    fn transcript(&self) -> String {
        let folder = self.path("state/kdoctor/transcripts");
        let mut all: Vec<PathBuf> =
            std::fs::read_dir(&folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
        assert_eq!(all.len(), 1, "{all:?}");
        std::fs::read_to_string(all.remove(0)).expect("readable")
    }
}

/// A talk with the companion.
struct Talk {
    session: PtySession,
    /// All that was read.
    seen: String,
}

impl Talk {
    /// Waits until this is shown; gives what came before it.
    fn see(&mut self, text: &str) -> String {
        match self.session.exp_string(&as_read(text)) {
            Ok(before) => {
                let before = as_meant(&before);
                self.seen.push_str(&before);
                self.seen.push_str(text);
                before
            }
            Err(error) => panic!("{text:?} is not shown: {}\n{}", as_meant(&error.to_string()), self.seen),
        }
    }

    fn send(&mut self, keys: &str) {
        self.session.send(keys).expect("sends");
        self.session.flush().expect("flushes");
    }

    /// Chooses what begins like this from the list with this question; gives the list and what stood before it.
    fn choose(&mut self, question: &str, begin: &str) -> String {
        let mut before = self.see(&format!("? {question}"));
        before.push_str(&self.see(HELP));
        self.send(begin);
        self.send("\r");
        // The answer is repeated, once.
        self.see(&format!("· {question} {begin}"));
        before
    }

    /// Answers a question with a line.
    fn answer(&mut self, question: &str, line: &str) {
        self.see(question);
        self.send(line);
        self.send("\r");
    }

    /// Waits for the end; gives the exit code and the last words.
    fn end(&mut self) -> (String, String) {
        let last = as_meant(&self.session.exp_eof().expect("ends"));
        self.seen.push_str(&last);
        (format!("{:?}", self.session.process().wait().expect("has ended")), last)
    }
}

/// A text as rexpect reads it: each byte is a letter.
fn as_read(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

fn as_meant(text: &str) -> String {
    let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn exits(status: &str, code: i32) -> bool {
    status.starts_with("Exited(") && status.ends_with(&format!(", {code})"))
}

/// A cluster that answers from a bundle, and one that answers as it is after the fix.
struct Cluster {
    scene: Scene,
    _before: ApiServer,
    _after: Option<ApiServer>,
    now: String,
}

impl Cluster {
    fn serve(name: &str, change: Option<&dyn Fn(&Path)>) -> Self {
        let scene = Scene::new();
        let bundle = fixture(name);
        let header = std::fs::read_to_string(bundle.join("kdoctor.json")).expect("a bundle has a header");
        let header: Value = serde_json::from_str(&header).expect("JSON");
        let now = header["collected_at"].as_str().expect("a time").to_owned();
        let before = ApiServer::start(ServerOptions::bundle(&bundle).token("t0ken"));
        before.kubeconfig(scene.dir.path());
        let after = change.map(|change| {
            let copy = scene.path("after");
            fixtures::copy(&bundle, &copy);
            change(&copy);
            let server = ApiServer::start(ServerOptions::bundle(&copy).token("t0ken"));
            std::fs::create_dir(scene.path("fixed")).expect("a folder");
            server.kubeconfig(&scene.path("fixed"));
            server
        });
        Self { scene, _before: before, _after: after, now }
    }

    fn start(&self, command: &[&str], more: &[&str]) -> Talk {
        let kubeconfig = self.scene.path("kubeconfig").display().to_string();
        let mut arguments = command.to_vec();
        arguments.extend(["--now", &self.now, "--kubeconfig", &kubeconfig]);
        arguments.extend(more);
        self.scene.start(&arguments)
    }

    /// What a tool does to make the cluster the one after the fix.
    fn mends(&self) -> String {
        format!("cp '{}' '{}'", self.scene.path("fixed/kubeconfig").display(), self.scene.path("kubeconfig").display())
    }
}

/// Adds the class whose absence is the fault.
fn with_class(bundle: &Path) {
    let path = bundle.join("kubernetes/apis/storage.k8s.io/v1/storageclasses.json");
    let mut list: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("a list")).expect("JSON");
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "gp3"},
        "provisioner": "ebs.csi.aws.com", "volumeBindingMode": "WaitForFirstConsumer"});
    list["items"].as_array_mut().expect("items").push(class);
    std::fs::write(&path, list.to_string()).expect("writes");
}

#[test]
fn nothing_is_asked_without_a_terminal() {
    for arguments in [&["fix", "--demo"][..], &["monitoring", "-i", "--demo"], &["fix", "1", "--demo"]] {
        let output = kdoctor().args(arguments).output().expect("runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains("there is no terminal to ask on"), "{told}");
        assert!(output.stdout.is_empty());
    }
    let output = kdoctor().args(["monitoring", "--demo", "--read-only"]).output().expect("runs");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--read-only goes with --interactive"));
}

#[test]
fn the_demo_is_a_tour_without_running_anything() {
    let scene = Scene { columns: 80, ..Scene::new() };
    let mut talk = scene.start(&["monitoring", "-i", "--demo"]);
    talk.see("Nothing is run from here: this is a demo");
    talk.choose("Which root cause?", "1. ebs-csi");
    let menu = "1. ebs-csi-addon-missing:";
    talk.choose(menu, "evidence");
    talk.see("none is registered");
    talk.choose(menu, "chain");
    talk.see("└─ pod-pending");
    talk.choose(menu, "page");
    talk.see("Symptom");
    talk.choose(menu, "steps");
    talk.see("eksctl utils associate-iam-oidc-provider");
    let list = talk.choose("Step 1 of 4:", "copy");
    assert!(!list.contains("run it"), "{list}");
    let command =
        "eksctl utils associate-iam-oidc-provider --region ap-northeast-2 --cluster flash-tickets-eks --approve";
    talk.see(&format!("\u{1b}]52;c;{}\u{7}", STANDARD.encode(command)));
    talk.choose("Step 1 of 4:", "skip");
    talk.choose("Step 2 of 4:", "mark");
    talk.choose("Step 3 of 4:", "back");
    talk.see("done elsewhere");
    talk.choose("Step 2 of 4:", "quit");
    let (status, last) = talk.end();
    assert!(exits(&status, 1), "{status}");
    for line in ["– step 1 of 4: eksctl utils", "✓ step 2 of 4: eksctl create", "· step 3 of 4: aws eks create-addon"]
    {
        assert!(last.contains(line), "{last}");
    }
    let text = scene.transcript();
    for part in [
        "# kdoctor: flash-tickets-eks",
        "chose root cause 1: ebs-csi-addon-missing",
        "step 1 of 4: copied",
        "step 1 of 4: skipped",
        "step 2 of 4: done elsewhere",
        "Ended ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let listed = kdoctor().env("XDG_STATE_HOME", scene.path("state")).arg("transcript").output().expect("runs");
    assert!(String::from_utf8_lossy(&listed.stdout).contains("flash-tickets-eks · ended\n"));
    let mut again = kdoctor();
    let printed = again.env("XDG_STATE_HOME", scene.path("state")).args(["transcript", "last"]).output().expect("runs");
    assert_eq!(String::from_utf8_lossy(&printed.stdout).trim_end(), text.trim_end());
}

#[test]
fn a_way_is_chosen_by_its_letter_and_another_after_going_back() {
    let bundle = fixture("incidents/servicemonitor-label-mismatch");
    let scene = Scene::new();
    let mut talk =
        scene.start(&["fix", "servicemonitor-unselected", "--no-transcript", "--from", &bundle.display().to_string()]);
    talk.choose("1. servicemonitor-unselected:", "steps");
    talk.choose("Which way?", "b)");
    talk.see("helm upgrade prometheus-stack");
    talk.choose("Way b, step 2 of 2:", "back");
    talk.choose("Which way?", "a)");
    talk.see("kubectl label servicemonitor flash-api");
    talk.choose("Way a, step 1 of 1:", "skip");
    talk.see("That was the last step.");
    talk.choose("1. servicemonitor-unselected:", "quit");
    assert!(exits(&talk.end().0, 1));
    assert!(!scene.path("state/kdoctor/transcripts").exists(), "no transcript was wanted");
}

#[test]
fn a_value_is_chosen_among_candidates_and_stays_chosen() {
    let bundle = fixture("cases/ingress-refused-each-way").display().to_string();
    let scene = Scene::new();
    let report = kdoctor().args(["monitoring", "-o", "json", "--from", &bundle]).output().expect("runs");
    let report: Value = serde_json::from_slice(&report.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("findings");
    let is_it = |f: &&Value| f["root"] == true && f.to_string().contains("security-group-id");
    let id = findings.iter().find(is_it).expect("one asks for a group")["id"].as_str().expect("an id");
    let mut talk = scene.start(&["fix", id, "--from", &bundle]);
    let menu = talk.see("steps:");
    assert!(menu.contains("ingress"), "{menu}");
    talk.see(HELP);
    talk.send("steps\r");
    talk.choose("Step 1 of 3:", "skip");
    talk.see("<security-group-id> has to be chosen");
    talk.see("? <security-group-id>:");
    talk.see("❯ sg-");
    talk.see(HELP);
    talk.send("\r");
    talk.see("· <security-group-id>: sg-");
    let shown = talk.see("? Step 2 of 3:");
    assert!(!shown.contains("<security-group-id>") && shown.contains("aws "), "{shown}");
    talk.see(HELP);
    talk.send("back\r");
    talk.choose("Step 1 of 3:", "quit");
    talk.end();
    assert!(scene.transcript().contains("is sg-"), "{}", scene.transcript());
}

#[test]
fn a_command_is_edited_in_the_editor_of_the_person() {
    let scene = Scene::new();
    scene.tool("my-editor", "printf 'kubectl get nodes\\n' >\"$2\"");
    let scene = scene.with("EDITOR", "my-editor --wait");
    let mut talk = scene.start(&["fix", "1", "--demo"]);
    talk.choose("1. ebs-csi-addon-missing:", "steps");
    talk.choose("Step 1 of 4:", "edit");
    talk.see("kubectl get nodes");
    talk.choose("Step 1 of 4:", "quit");
    talk.end();
    assert!(scene.calls()[0].starts_with("my-editor --wait /"), "{:?}", scene.calls());
    assert!(scene.transcript().contains("step 1 of 4: edited"));
}

#[test]
fn a_fix_is_looked_at_run_and_seen_to_be_resolved() {
    let cluster = Cluster::serve("incidents/gp3-missing", Some(&with_class));
    let dry = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "gp3"},
        "provisioner": "ebs.csi.aws.com"});
    cluster.scene.tool(
        "kubectl",
        &format!(
            "case \"$*\" in\n*--dry-run=server*) cat >/dev/null; echo '{dry}' ;;\n*ignore-not-found*) ;;\n\
             *apply*) cat >\"$HOME/applied\"; echo 'storageclass created'; echo 'password: hunter2hunter2'; \
             printf '\\033[2Jdone\\n'; {} ;;\n*) echo \"looked at $*\" ;;\nesac",
            cluster.mends()
        ),
    );
    let mut talk = cluster.start(&["fix", "storage-class-missing"], &["--only", "storage-class-missing"]);
    talk.choose("1. storage-class-missing:", "steps");
    talk.choose("Step 1 of 1:", "skip");
    talk.choose("Which way?", "a)");
    talk.choose("Way a, step 1 of 2:", "skip");
    talk.choose("Way a, step 2 of 2:", "diff");
    talk.see("+provisioner: ebs.csi.aws.com");
    assert!(!cluster.scene.path("applied").exists(), "a dry run changes nothing");
    talk.choose("Way a, step 2 of 2:", "run");
    talk.answer("Run exactly this command?", "n");
    talk.see("not run");
    talk.choose("Way a, step 2 of 2:", "run");
    // Nothing but a yes is a yes.
    talk.answer("Run exactly this command?", "");
    talk.see("not run");
    assert!(!cluster.scene.path("applied").exists());
    talk.choose("Way a, step 2 of 2:", "run");
    talk.answer("Run exactly this command?", "y");
    talk.see("│ storageclass created");
    talk.see("│ password: <redacted>");
    talk.see("│ \\u{1b}[2Jdone");
    talk.see("✓ exit code 0");
    talk.answer("Run this command? It only looks.", "y");
    talk.see("looked at --context test --kubeconfig");
    talk.choose("Is it resolved?", "look again");
    talk.see("resolved: storage-class-missing");
    talk.see("No root cause is left.");
    talk.see(HELP);
    talk.send("quit\r");
    let (status, _) = talk.end();
    assert!(exits(&status, 0), "{status}: {}", talk.seen);
    let applied = std::fs::read_to_string(cluster.scene.path("applied")).expect("was applied");
    assert!(applied.starts_with("apiVersion: storage.k8s.io/v1\nkind: StorageClass\n"), "{applied}");
    let text = cluster.scene.transcript();
    for part in [
        "looked at what it would change",
        "not run, the answer was no",
        "way a, step 2 of 2 (change): ran, exit code 0",
        "storageclass created",
        "verify 1 of 1 (read-only): ran, exit code 0",
        "✓ resolved: storage-class-missing",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("hunter2") && !talk.seen.contains("hunter2"), "{text}");
    assert!(!text.contains('\u{1b}'));
    // Nothing was run but what was shown, and what a dry run asks.
    let changing: Vec<String> = cluster.scene.calls().into_iter().filter(|c| c.contains("apply")).collect();
    assert_eq!(changing.iter().filter(|c| !c.contains("--dry-run=server")).count(), 1, "{changing:?}");
    // Whatever becomes the current context meanwhile, it is the cluster that was looked at.
    assert!(cluster.scene.calls().iter().all(|c| c.contains("--context") && c.contains("test")), "{changing:?}");
}

#[test]
fn a_failing_command_stops_its_sequence_and_offers_the_way_back() {
    let cluster = Cluster::serve("cases/pdb-never", None);
    cluster.scene.tool(
        "kubectl",
        "case \"$*\" in\n*maxUnavailable\\\":1*) echo 'Error from server: conflict' >&2; exit 3 ;;\n*) echo patched ;;\nesac",
    );
    let mut talk = cluster.start(&["fix", "pdb-blocks"], &["--only", "pdb-blocks"]);
    talk.choose("1. pdb-blocks:", "steps");
    talk.choose("Step 1 of 2:", "run");
    talk.answer("Run exactly this command?", "y");
    talk.see("│ Error from server: conflict");
    talk.see("✗ exit code 3");
    let list = talk.choose("Step 1 of 2:", "undo");
    for way in ["run it again", "edit it", "skip it", "undo what was done"] {
        assert!(list.contains(way), "{way}: {list}");
    }
    talk.see("As it was.");
    talk.choose("Undo 1 of 1:", "run");
    talk.answer("Run exactly this command?", "y");
    talk.see("✓ exit code 0");
    talk.see("? 1. pdb-blocks:");
    talk.see(HELP);
    talk.send("\u{3}");
    let (status, last) = talk.end();
    assert!(exits(&status, 130), "{status}");
    assert!(last.contains("interrupted") && last.contains("✗ step 1 of 2: kubectl"), "{last}");
    let text = cluster.scene.transcript();
    assert!(text.contains("step 1 of 2 (change): ran, exit code 3") && text.contains("Interrupted "), "{text}");
}

#[test]
fn a_missing_tool_is_told_before_and_what_deletes_wants_its_name() {
    let cluster = Cluster::serve("cases/apiservice-leftover", None);
    cluster.scene.tool("kubectl", "echo deleted");
    let mut talk = cluster.start(&["fix", "apiservice-unavailable"], &["--only", "apiservice-unavailable"]);
    talk.choose("1. apiservice-unavailable:", "steps");
    talk.see("helm is not on PATH: https://helm.sh/docs/intro/install/");
    let list = talk.choose("Step 1 of 2:", "skip");
    assert!(!list.contains("run it"), "{list}");
    let name = "v1beta1.custom.metrics.k8s.io";
    talk.choose("Step 2 of 2:", "run");
    talk.see(&format!("this deletes for good: {name}"));
    talk.answer("to run exactly this command:", "v1beta1.other");
    talk.see(&format!("type {name} to run it"));
    talk.send("\u{1b}");
    talk.see("not run");
    assert!(cluster.scene.calls().is_empty(), "{:?}", cluster.scene.calls());
    talk.choose("Step 2 of 2:", "run");
    talk.answer("to run exactly this command:", name);
    talk.see("✓ exit code 0");
    let calls = cluster.scene.calls();
    assert!(calls[0].ends_with(&format!("delete apiservice {name}")), "{calls:?}");
    talk.see("Run this command? It only looks.");
    talk.send("\u{3}");
    assert!(exits(&talk.end().0, 130));
}

#[test]
fn ctrl_c_ends_a_command_and_says_what_is_not_known() {
    let cluster = Cluster::serve("cases/pdb-never", None);
    cluster.scene.tool("kubectl", "echo begun; exec sleep 60");
    let mut talk = cluster.start(&["fix", "1"], &["--only", "pdb-blocks"]);
    talk.choose("1. pdb-blocks:", "steps");
    talk.choose("Step 1 of 2:", "run");
    talk.answer("Run exactly this command?", "y");
    talk.see("│ begun");
    talk.send("\u{3}");
    let (status, last) = talk.end();
    assert!(exits(&status, 130), "{status}: {last}");
    assert!(last.contains("✗ step 1 of 2") && last.contains("(interrupted)"), "{last}");
    let text = cluster.scene.transcript();
    assert!(text.contains("step 1 of 2 (change): ran, interrupted") && text.contains("\nInterrupted "), "{text}");
}

#[test]
fn waiting_has_an_end_and_says_what_still_fails() {
    let cluster = Cluster::serve("cases/pdb-never", None);
    cluster.scene.tool("kubectl", "sleep 30");
    let mut talk = cluster.start(&["fix", "1"], &["--only", "pdb-blocks", "--patience", "1s"]);
    talk.choose("1. pdb-blocks:", "verify");
    talk.answer("Run this command? It only looks.", "y");
    talk.see("✗ ended after its time");
    talk.choose("Is it resolved?", "wait");
    talk.see("the time is over: it is not resolved yet");
    talk.see("✗ still failing: pdb-blocks (shop/web), because ");
    talk.choose("Is it resolved?", "back");
    talk.choose("1. pdb-blocks:", "quit");
    assert!(cluster.scene.transcript().contains("✗ still failing: pdb-blocks"));
}

#[test]
fn read_only_takes_running_away() {
    for (variable, flags) in [(Some("1"), &[][..]), (None, &["--read-only"][..]), (None, &["--config"])] {
        let mut arguments = vec!["--only", "pdb-blocks", "--no-transcript"];
        arguments.extend(flags);
        let mut cluster = Cluster::serve("cases/pdb-never", None);
        let settings = cluster.scene.path("kdoctor.toml");
        std::fs::write(&settings, "read-only = true\n").expect("writes");
        let settings = settings.display().to_string();
        if flags.contains(&"--config") {
            arguments.push(&settings);
        }
        cluster.scene.tool("kubectl", "echo never");
        cluster.scene.variables.extend(variable.map(|v| ("KDOCTOR_READ_ONLY", v.to_owned())));
        let mut talk = cluster.start(&["fix", "1"], &arguments);
        talk.see("Nothing is run from here: ");
        talk.choose("1. pdb-blocks:", "steps");
        let list = talk.choose("Step 1 of 2:", "mark");
        assert!(!list.contains("run it"), "{list}");
        talk.see("? Is it resolved?");
        talk.see(HELP);
        talk.send("\u{3}");
        talk.end();
        assert!(cluster.scene.calls().is_empty());
    }
}

/// A bundle of a budget whose name looks like a token: the report must not show it, so the person is asked for it.
fn with_masked_name(dir: &Path) -> String {
    let bundle = dir.join("masked");
    fixtures::copy(&fixture("cases/pdb-never"), &bundle);
    let path = bundle.join("kubernetes/apis/policy/v1/poddisruptionbudgets.json");
    let text = std::fs::read_to_string(&path).expect("budgets");
    let masked = text.replacen("\"web\"", "\"xoxb-123456789012-1234567890123-abcdefghijklmnop\"", 1);
    assert_ne!(text, masked);
    std::fs::write(&path, masked).expect("writes");
    bundle.display().to_string()
}

#[test]
fn a_secret_is_typed_unseen_and_stays_out_of_the_transcript() {
    for manner in [&[][..], &["--plain"]] {
        let scene = Scene::new();
        let bundle = with_masked_name(scene.dir.path());
        let mut arguments = vec!["fix", "pdb-blocks", "--only", "pdb-blocks", "--from", &bundle];
        arguments.extend(manner);
        let mut talk = scene.start(&arguments);
        if manner.is_empty() {
            talk.choose("1. pdb-blocks:", "steps");
        } else {
            talk.answer("(nothing: back): ", "steps");
        }
        talk.see("<redacted> has to be chosen");
        talk.answer("<redacted>", "hunter2hunter2");
        if manner.is_empty() {
            talk.choose("Step 1 of 2:", "copy");
        } else {
            talk.answer("(nothing: back): ", "copy");
        }
        let copied = talk.see("\u{7}");
        let copied = copied.rsplit(';').next().and_then(|text| STANDARD.decode(text).ok()).expect("it was copied");
        let copied = String::from_utf8(copied).expect("text");
        assert!(copied.starts_with("kubectl ") && copied.contains("patch pdb hunter2hunter2 -n shop"), "{copied}");
        talk.see("Step 1 of 2:");
        talk.send("\u{3}");
        talk.end();
        let text = scene.transcript();
        assert!(text.contains("step 1 of 2: copied"), "{text}");
        assert!(!text.contains("hunter2") && !talk.seen.contains("hunter2"), "{}", talk.seen);
    }
}

/// The widest line, without what only moves the cursor or sets a style.
fn widest(shown: &str) -> usize {
    let mut text = String::new();
    let mut letters = shown.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => _ = letters.by_ref().skip(1).find(char::is_ascii_alphabetic),
            '\r' => {}
            letter => text.push(letter),
        }
    }
    text.lines().map(|line| line.chars().count()).max().unwrap_or_default()
}

#[test]
fn a_window_that_becomes_smaller_is_written_in_as_it_is_then() {
    let scene = Scene::new();
    let mut talk = scene.start(&["fix", "1", "--demo", "--no-transcript"]);
    talk.choose("1. ebs-csi-addon-missing:", "evidence");
    let wide = talk.see("? 1. ebs-csi-addon-missing:");
    assert!(widest(&wide) > 80, "{wide}");
    talk.see(HELP);
    let terminal = std::fs::read_to_string(scene.path("tty")).expect("it was written");
    let set = Command::new("stty").args(["-F", terminal.trim(), "cols", "80", "rows", "40"]).status();
    assert!(set.is_ok_and(|status| status.success()));
    // Nobody types in the moment in which a window changes: of both at once the terminal library hears the change, and the key
    // with the next one.
    std::thread::sleep(Duration::from_millis(500));
    for part in ["evidence", "page"] {
        talk.send(&format!("{part}\r"));
        talk.see(&format!("· 1. ebs-csi-addon-missing: {part}"));
        let narrow = talk.see("? 1. ebs-csi-addon-missing:");
        let narrow = narrow.split_once('\n').map_or("", |(_, rest)| rest);
        assert!(widest(narrow) <= 80, "{}: {narrow}", widest(narrow));
        talk.see(HELP);
    }
    talk.send("\u{3}");
    talk.end();
}

#[test]
fn lines_are_enough_where_nothing_may_move_the_cursor() {
    let scene = Scene::new();
    let mut talk = scene.start(&["fix", "1", "--demo", "--plain", "--no-transcript"]);
    talk.see("1. ebs-csi-addon-missing:");
    talk.see("1: steps:");
    talk.answer("(nothing: back): ", "chain");
    talk.see("└─ pod-pending");
    talk.answer("(nothing: back): ", "1");
    talk.see("Step 1 of 4");
    talk.answer("(nothing: back): ", "quit");
    let (status, _) = talk.end();
    assert!(exits(&status, 1), "{status}");
    assert!(!talk.seen.contains("\u{1b}["), "{:?}", talk.seen);
}

#[test]
fn a_root_that_is_not_there_is_told_with_those_that_are() {
    let scene = Scene::new();
    for (word, told) in [
        ("9", "there is no root cause 9: the last one is 1"),
        ("ebs-csi-adon-missing", "did you mean \"ebs-csi-addon-missing\"?"),
        ("pod-pending", "it belongs to 1. ebs-csi-addon-missing"),
    ] {
        let mut talk = scene.start(&["fix", word, "--demo"]);
        talk.see(told);
        assert!(exits(&talk.end().0, 2));
    }
}
