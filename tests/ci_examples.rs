//! The examples of docs/ci.md and the steps of action.yml, run as they stand: they let a good change pass and stop a bad one.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kdoctor::lint::yaml::{self, Node};
use support::{kdoctor, kdoctor_process};

const GOOD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: obs}\ndata: {a: b}\n";
const RULE: &str = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: r, namespace: obs}\nspec:\n  groups:\n  - name: g\n    rules:\n    - alert: A\n      expr: sum(rate(x[5m]) > 1\n";

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("is there")
}

/// The YAML examples below a heading of docs/ci.md.
fn examples(heading: &str) -> Vec<Node> {
    let text = read("docs/ci.md");
    let (_, rest) = text.split_once(&format!("\n## {heading}\n")).expect("the heading is there");
    let part = rest.split("\n## ").next().unwrap_or_default();
    let blocks = part.split("```yaml\n").skip(1).filter_map(|b| b.split("```").next());
    blocks.flat_map(|text| yaml::documents(text).expect("is YAML")).collect()
}

/// The scripts of steps, in their order.
fn scripts(steps: &Node) -> Vec<String> {
    let all = steps.items().unwrap_or_default().iter();
    all.filter_map(|step| step.get("run")?.as_str().map(ToOwned::to_owned)).collect()
}

/// A checkout with a folder of manifests.
struct Checkout(tempfile::TempDir);

impl Checkout {
    fn of(rule: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("k8s")).expect("makable");
        std::fs::write(folder.path().join("k8s/good.yaml"), GOOD).expect("writable");
        std::fs::write(folder.path().join("k8s/rule.yaml"), rule).expect("writable");
        Self(folder)
    }

    /// Runs a script as the runners do it, with kdoctor in the path.
    fn bash(&self, script: &str, variables: &[(&str, &str)]) -> Output {
        let program = PathBuf::from(kdoctor_process().get_program());
        let path = std::env::var("PATH").unwrap_or_default();
        let folder = program.parent().expect("a folder").display().to_string();
        Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
            .current_dir(self.0.path())
            .env("PATH", format!("{folder}:{path}"))
            .env("HOME", self.0.path())
            .env("RUNNER_TEMP", self.0.path())
            .env("GITHUB_STEP_SUMMARY", self.0.path().join("step.md"))
            .envs(variables.iter().copied())
            .output()
            .expect("bash runs")
    }

    fn has(&self, name: &str) -> bool {
        std::fs::read_to_string(self.0.path().join(name)).is_ok_and(|text| !text.is_empty())
    }
}

fn mended() -> String {
    RULE.replace("[5m]) > 1", "[5m])) > 1")
}

#[test]
fn the_steps_of_github_stop_a_bad_change() {
    let all = examples("GitHub Actions");
    let workflow = all.iter().find(|n| n.get("jobs").is_some()).expect("a whole workflow");
    let steps = workflow.at(&["jobs", "preflight", "steps"]).expect("steps");
    // Installing is for the runner.
    let scripts: Vec<String> = scripts(steps).into_iter().filter(|s| !s.contains("cargo install")).collect();
    assert!(scripts.len() >= 2, "{scripts:?}");
    for (rule, code) in [(mended(), 0), (RULE.to_owned(), 1)] {
        let checkout = Checkout::of(&rule);
        let first = checkout.bash(&scripts[0], &[]);
        assert_eq!(first.status.code(), Some(code), "{}", String::from_utf8_lossy(&first.stderr));
        let annotated = String::from_utf8_lossy(&first.stdout).contains("::error file=k8s/rule.yaml,line=9");
        assert_eq!(annotated, code == 1);
        for script in &scripts[1..] {
            assert!(checkout.bash(script, &[]).status.success(), "{script}");
        }
        assert!(checkout.has("kdoctor.sarif") && checkout.has("step.md"));
    }
}

#[test]
fn the_action_stops_a_bad_change() {
    let action = yaml::document(&read("action.yml")).expect("is YAML").expect("is there");
    let steps = action.at(&["runs", "steps"]).expect("steps");
    let scripts = scripts(steps);
    let inputs = [("FILES", "k8s\n"), ("FAIL_ON", "error"), ("BASELINE", ""), ("MORE", ""), ("SARIF", "kdoctor.sarif")];
    let variables = steps.items().and_then(|s| s[1].get("env")?.entries()).expect("variables");
    assert!(variables.iter().all(|(k, _)| inputs.iter().any(|(name, _)| k.as_str() == Some(name))));
    for (rule, code) in [(mended(), 0), (RULE.to_owned(), 1)] {
        let checkout = Checkout::of(&rule);
        assert!(checkout.bash(&scripts[0], &[]).status.success(), "kdoctor is there already");
        let run = checkout.bash(&scripts[1], &inputs);
        assert_eq!(run.status.code(), Some(code), "{}", String::from_utf8_lossy(&run.stderr));
        assert!(checkout.has("kdoctor.sarif") && checkout.has("step.md"));
    }
    let checkout = Checkout::of(RULE);
    let write = "kdoctor baseline write accepted.json -f k8s";
    assert!(checkout.bash(write, &[]).status.success());
    let accepted: Vec<(&str, &str)> =
        inputs.iter().map(|(k, v)| (*k, if *k == "BASELINE" { "accepted.json" } else { v })).collect();
    assert!(checkout.bash(&scripts[1], &accepted).status.success(), "what is accepted does not fail it");
    let more: Vec<(&str, &str)> =
        inputs.iter().map(|(k, v)| (*k, if *k == "MORE" { "--skip\nrule-invalid" } else { v })).collect();
    assert!(checkout.bash(&scripts[1], &more).status.success(), "arguments are words");
}

#[test]
fn the_job_of_gitlab_stops_a_bad_change() {
    let all = examples("GitLab");
    let job = all.iter().find_map(|n| n.get("preflight")).expect("a job");
    let script: Vec<&str> =
        job.get("script").and_then(Node::items).expect("a script").iter().filter_map(Node::as_str).collect();
    for (rule, code) in [(mended(), 0), (RULE.to_owned(), 1)] {
        let checkout = Checkout::of(&rule);
        assert_eq!(checkout.bash(&script.join("\n"), &[]).status.code(), Some(code));
        for report in ["codequality", "junit"] {
            let name = job.at(&["artifacts", "reports", report]).and_then(Node::as_str).expect("a report");
            assert!(checkout.has(name), "{name}");
        }
    }
}

#[test]
fn the_hook_of_argo_cd_is_a_valid_set_of_objects() {
    let text = read("docs/ci.md");
    let (_, rest) = text.split_once("\n## Argo CD\n").expect("the heading is there");
    let block = rest.split("```yaml\n").nth(1).and_then(|b| b.split("```").next()).expect("an example");
    let output =
        kdoctor().args(["preflight", "-f", "-", "--strict", "--fail-on", "warning"]).write_stdin(block).output();
    let output = output.expect("kdoctor runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let hook = examples("Argo CD").into_iter().find(|n| n.get("kind").and_then(Node::as_str) == Some("Job"));
    let phase = hook.as_ref().and_then(|h| h.at(&["metadata", "annotations", "argocd.argoproj.io/hook"]));
    assert_eq!(phase.and_then(Node::as_str), Some("PreSync"));
}
