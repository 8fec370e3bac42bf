//! The manner at the shell: alone at a terminal, as a plugin of kubectl, completions, kubeconfig files, manual pages.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::api_server::{ApiServer, ServerOptions};
use support::{kdoctor, kdoctor_process};

const ARN: &str = "arn:aws:eks:ap-northeast-2:111122223333:cluster/shop";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn serve() -> (ApiServer, tempfile::TempDir) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/healthy/plain");
    let server = ApiServer::start(ServerOptions::bundle(fixture).token("t0ken"));
    (server, tempfile::tempdir().expect("a folder"))
}

/// The binary by another name.
fn called(dir: &Path, name: &str) -> std::process::Command {
    let link = dir.join(name);
    std::os::unix::fs::symlink(kdoctor_process().get_program(), &link).expect("a link can be made");
    let mut command = std::process::Command::new(link);
    command.env("NO_COLOR", "1").env("HOME", support::home()).env_remove("KUBECONFIG");
    command
}

#[test]
fn as_a_plugin_of_kubectl_it_is_called_as_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let help = called(dir.path(), "kubectl-kdoctor").args(["watch", "--help"]).output().expect("it runs");
    assert!(text(&help.stdout).contains("Usage: kubectl kdoctor watch [OPTIONS]"), "{}", text(&help.stdout));
    let wrong = std::process::Command::new(dir.path().join("kubectl-kdoctor")).output().expect("it runs");
    assert_eq!(wrong.status.code(), Some(2), "without a terminal it is wrong usage");
    assert!(text(&wrong.stderr).contains("Usage: kubectl kdoctor "), "{}", text(&wrong.stderr));
    // What kubectl calls for completions of its plugin.
    let asked = called(dir.path(), "kubectl_complete-kdoctor").args(["explain", "ebs-csi-addon-m"]).output();
    let said = text(&asked.expect("it runs").stdout);
    assert!(said.starts_with("ebs-csi-addon-missing\t") && said.ends_with("\n:4\n"), "{said}");
}

/// As kubectl does it: parts of one context may stand in several files, and files that are not there are passed over.
#[test]
fn kubeconfig_may_be_a_list_of_files() {
    let (server, dir) = serve();
    let whole = std::fs::read_to_string(server.kubeconfig(dir.path())).expect("it was written");
    let (head, users) = whole.split_once("users:\n").expect("users come last");
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    std::fs::write(&first, head.replace("current-context: test\n", "")).expect("writable");
    let other = format!("apiVersion: v1\nkind: Config\ncurrent-context: test\nusers:\n{users}");
    std::fs::write(&second, other).expect("writable");
    let missing = dir.path().join("missing");
    let list = std::env::join_paths([&missing, &first, &second]).expect("a list");
    let run = |args: &[&str]| kdoctor().env("KUBECONFIG", &list).args(args).output().expect("kdoctor runs");
    let output = run(&["monitoring", "--only", "pvc-pending", "--now", "2026-11-21T02:50:53Z", "-o", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["target"]["context"], output.status.code()), (&"test".into(), Some(0)), "{report:#}");
    assert_eq!(text(&run(&["__complete", "--", "monitoring", "--context", ""]).stdout), "test\n:4\n");
    let nothing = kdoctor().env("KUBECONFIG", &missing).arg("monitoring").output().expect("kdoctor runs");
    assert_eq!(nothing.status.code(), Some(2));
}

#[test]
fn completions_know_the_namespaces_and_say_nothing_where_they_cannot() {
    let (mut server, dir) = serve();
    let kubeconfig = server.kubeconfig(dir.path());
    let ask = || {
        let mut command = kdoctor();
        command.args(["__complete", "--", "watch", "--kubeconfig"]).arg(&kubeconfig).args(["-n", "mon"]);
        command.output().expect("kdoctor runs")
    };
    assert_eq!(text(&ask().stdout), "monitoring\n:4\n");
    server.stop();
    let start = Instant::now();
    let silent = ask();
    assert_eq!((text(&silent.stdout).as_str(), silent.status.code()), (":4\n", Some(0)));
    assert!(silent.stderr.is_empty(), "{}", text(&silent.stderr));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn bash_completes_names_with_colons() {
    let dir = tempfile::tempdir().expect("a folder");
    let kubeconfig = dir.path().join("config");
    let context = format!("- name: {ARN}\n  context: {{cluster: a, user: a}}\n");
    let config = format!("apiVersion: v1\nkind: Config\ncurrent-context: {ARN}\ncontexts:\n{context}");
    std::fs::write(&kubeconfig, config).expect("writable");
    let script = text(&kdoctor().args(["completions", "bash"]).output().expect("kdoctor runs").stdout);
    let complete = |line: &str| {
        let program = kdoctor_process();
        let line = line.replace("kdoctor", &program.get_program().to_string_lossy());
        let code = format!(
            "{script}\nCOMP_LINE={line:?} COMP_POINT={}; _kdoctor; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            line.len()
        );
        let mut bash = std::process::Command::new("bash");
        bash.args(["--norc", "-c", &code]).env("KUBECONFIG", &kubeconfig);
        let output = bash.output().expect("bash runs");
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(complete("kdoctor conn"), "connect\n");
    assert_eq!(complete("kdoctor monitoring --context "), format!("{ARN}\n"));
    // bash has the first part already.
    assert_eq!(complete("kdoctor monitoring --context arn:aws:eks:ap"), "ap-northeast-2:111122223333:cluster/shop\n");
    assert_eq!(complete("kdoctor monitoring --fail-on=war"), "warning\n");
    assert_eq!(complete("kdoctor explain pvc-pend"), "pvc-pending\n");
}

/// A folder with the binary by its name, for shells that look for it on `PATH`; and the script for a shell.
fn for_shell(dir: &Path, shell: &str) -> (String, PathBuf) {
    let link = dir.join("kdoctor");
    std::os::unix::fs::symlink(kdoctor_process().get_program(), &link).expect("a link can be made");
    let script = dir.join(format!("script.{shell}"));
    let output = kdoctor().args(["completions", shell]).output().expect("kdoctor runs");
    std::fs::write(&script, output.stdout).expect("writable");
    (format!("{}:/usr/bin:/bin", dir.display()), script)
}

/// Says so where a shell is not installed: the tests run everywhere.
#[expect(clippy::print_stderr, reason = "who runs the tests is told what was skipped")]
fn has(shell: &str) -> bool {
    let there = ["/bin", "/usr/bin", "/usr/local/bin"].iter().any(|folder| Path::new(folder).join(shell).exists());
    if !there {
        eprintln!("{shell} is not installed");
    }
    there
}

#[test]
fn fish_completes() {
    if !has("fish") {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let (path, script) = for_shell(dir.path(), "fish");
    let complete = |line: &str| {
        let code = format!("source '{}'; complete -C '{line}'", script.display());
        let mut fish = std::process::Command::new("fish");
        fish.args(["--no-config", "-c", &code]).env("PATH", &path).env("HOME", dir.path()).current_dir(dir.path());
        text(&fish.output().expect("fish runs").stdout)
    };
    assert!(complete("kdoctor conn").starts_with("connect\tOpen local ports"));
    assert!(complete("kdoctor explain pvc-pend").starts_with("pvc-pending\t"));
    assert!(complete("kdoctor monitoring --fail-on=war").starts_with("--fail-on=warning"));
    assert!(complete("kdoctor diff script").contains("script.fish"), "files are offered where files may stand");
    assert_eq!(complete("kdoctor monitoring --region x"), "");
}

#[test]
fn zsh_completes() {
    if !has("zsh") {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let (path, script) = for_shell(dir.path(), "zsh");
    let mut zsh = std::process::Command::new("zsh");
    zsh.args(["-f", "-i"]).env_clear().env("PATH", &path).env("HOME", dir.path()).env("TERM", "dumb");
    let mut shell = rexpect::session::spawn_command(zsh, Some(30_000)).expect("a pseudo-terminal");
    let setup = format!("autoload -Uz compinit; compinit -D -u; source '{}'; echo rea''dy", script.display());
    shell.send_line(&setup).expect("it reads");
    shell.exp_string("ready").expect("it is set up");
    for (typed, completed) in [
        ("kdoctor conn", "connect"),
        ("kdoctor explain pvc-pend", "pvc-pending"),
        ("kdoctor monitoring --fail-on=war", "--fail-on=warning"),
    ] {
        shell.send(&format!("{typed}\t")).expect("it reads");
        shell.flush().expect("it reads");
        shell.exp_string(completed).unwrap_or_else(|e| panic!("{typed}: {e}"));
        // Away with the line.
        shell.send("\u{15}").expect("it reads");
        shell.flush().expect("it reads");
    }
    // A shell that is asked things lets no signal end it.
    shell.send_line("exit").expect("it reads");
    shell.exp_eof().expect("it ends");
}

/// Runs it at a terminal to its end; gives what it said.
fn at_terminal(args: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = kdoctor_process();
    command.args(args).env("TERM", "xterm-256color").envs(variables.iter().copied());
    let mut terminal = rexpect::session::spawn_command(command, Some(30_000)).expect("a pseudo-terminal");
    terminal.exp_eof().expect("it ends")
}

#[test]
fn the_roots_of_the_last_report_are_completed() {
    let dir = tempfile::tempdir().expect("a folder");
    let state = dir.path().display().to_string();
    let state = state.as_str();
    let complete = |words: &[&str]| {
        let asked = kdoctor().env("XDG_STATE_HOME", state).args(["__complete", "--"]).args(words).output();
        text(&asked.expect("kdoctor runs").stdout)
    };
    let all = complete(&["fix", "--demo=", ""]);
    assert!(all.lines().count() > 40, "nothing is known yet: {all}");
    kdoctor().env("XDG_STATE_HOME", state).args(["monitoring", "--demo"]).output().expect("kdoctor runs");
    assert!(!dir.path().join("kdoctor").exists(), "a pipeline leaves nothing behind");
    at_terminal(&["monitoring", "--demo"], &[("XDG_STATE_HOME", state)]);
    let roots = complete(&["fix", "--demo=", ""]);
    assert!(roots.starts_with("ebs-csi-addon-missing\t") && roots.lines().count() == 2, "{roots}");
    let things = complete(&["why", "--demo=", "pvc/"]);
    assert!(things.contains("pvc/flash-tickets-prometheus"), "{things}");
    assert!(complete(&["fix", ""]).lines().count() > 40, "of another cluster nothing is known");
}

#[test]
fn addresses_are_links_where_the_terminal_has_them() {
    let page = |args: &[&str], variables: &[(&str, &str)]| {
        at_terminal(&[&["explain", "api-access"][..], args].concat(), variables)
    };
    let link = "\u{1b}]8;;https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html\u{1b}\\";
    let forced = [("FORCE_HYPERLINK", "1"), ("NO_COLOR", "0")];
    assert!(page(&[], &forced).contains(link));
    for (args, variables) in [
        (&[][..], &[("FORCE_HYPERLINK", "0"), ("NO_COLOR", "0")][..]),
        (&["--no-color"][..], &forced[..]),
        (&[][..], &[("FORCE_HYPERLINK", "1"), ("NO_COLOR", "1")][..]),
        (&[][..], &[("FORCE_HYPERLINK", "1"), ("NO_COLOR", "0"), ("TERM", "dumb")][..]),
    ] {
        assert!(!page(args, variables).contains("\u{1b}]8"), "{args:?} {variables:?}");
    }
    let piped = kdoctor().args(["explain", "api-access"]).env("FORCE_HYPERLINK", "1").output().expect("kdoctor runs");
    assert!(!text(&piped.stdout).contains('\u{1b}'));
}

#[test]
fn alone_at_a_terminal_it_says_where_one_is_and_what_comes_next() {
    let (server, dir) = serve();
    let page = |kubeconfig: PathBuf| {
        let mut command = kdoctor_process();
        command.env("KUBECONFIG", kubeconfig).env("TERM", "xterm");
        let mut terminal = rexpect::session::spawn_command(command, Some(30_000)).expect("a pseudo-terminal");
        let said = terminal.exp_eof().expect("it ends");
        let ended = terminal.process().wait().expect("it is our child");
        assert!(matches!(ended, rexpect::process::WaitStatus::Exited(_, 0)), "{ended:?}: {said}");
        said
    };
    let said = page(server.kubeconfig(dir.path()));
    assert!(said.contains("context test"), "{said}");
    assert!(said.contains("Prometheus, Alertmanager, Grafana in namespace monitoring"), "{said}");
    assert!(said.contains("kdoctor connect grafana"), "{said}");
    let said = page(dir.path().join("nowhere"));
    assert!(said.contains("kdoctor monitoring --demo"), "{said}");
    let piped = kdoctor().output().expect("kdoctor runs");
    assert_eq!(piped.status.code(), Some(2));
    assert!(text(&piped.stderr).contains("Usage: kdoctor "), "{}", text(&piped.stderr));
}

#[test]
fn each_command_has_a_manual_page() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = kdoctor().arg("man").arg(dir.path().join("man1")).output().expect("kdoctor runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = |name: &str| std::fs::read_to_string(dir.path().join("man1").join(name)).expect("a page");
    assert!(page("kdoctor.1").contains("kdoctor\\-monitoring(1)"), "{}", page("kdoctor.1"));
    let watch = page("kdoctor-watch.1");
    assert!(watch.contains("\\-\\-until\\-resolved") && watch.contains("SYNOPSIS"), "{watch}");
    let names = std::fs::read_dir(dir.path().join("man1")).expect("a folder");
    assert!(
        names.flatten().all(|e| !e.file_name().to_string_lossy().contains("complete")),
        "hidden commands have none"
    );
}

/// The krew plugin's template: what its index asks of a manifest, and no checksum that nobody computed.
#[test]
fn the_krew_template_has_what_its_index_asks_for() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".krew.yaml")).expect("the template");
    let lines: Vec<&str> = text.lines().collect();
    let value = |key: &str| lines.iter().find_map(|l| l.trim().strip_prefix(key)).expect(key).trim().to_owned();
    assert_eq!(value("name:"), "kdoctor");
    assert!(value("shortDescription:").len() <= 60 && !value("shortDescription:").ends_with('.'));
    assert_eq!(lines.iter().filter(|l| l.contains("{{addURIAndSha ")).count(), 4);
    assert_eq!(lines.iter().filter(|l| l.trim() == "bin: kdoctor").count(), 4);
    assert!(!text.contains("sha256"));
}
