//! The generated parts of docs/ and README.md: `--check` (the default) fails where they are not current, `--write`
//! writes them.

#![allow(clippy::print_stdout, reason = "a test harness of its own talks to the person who runs it")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory;
use kdoctor::checks;
use kdoctor::cli::Cli;
use kdoctor::model::{Fact, Rights, Suite};
use kdoctor::signals;

const NOTE: &str = "<!-- Generated: cargo test --test docs -- --write -->\n\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn checks_table() -> String {
    let mut out = String::from("| check | suite | severity | it finds |\n| --- | --- | --- | --- |\n");
    for suite in Suite::ALL {
        for meta in checks::registry().iter().map(|c| c.meta()).filter(|m| m.suite == suite) {
            let name = format!("{}/{}", meta.suite, meta.id.0.replace('-', "_"));
            let is_folder = root().join("checks").join(&name).is_dir();
            let page = if is_folder { format!("{name}/page.md") } else { format!("{name}.md") };
            let _ = writeln!(
                out,
                "| [{0}](PREFIXchecks/{page}) | {1} | {2} | {3} |",
                meta.id, meta.suite, meta.severity, meta.title
            );
        }
    }
    out
}

fn checks_page() -> String {
    let mut out = format!("# Checks\n\n{NOTE}{}", checks_table().replace("PREFIX", "../"));
    for check in checks::registry() {
        let meta = check.meta();
        let list = |facts: &[Fact]| facts.iter().map(|f| f.as_str()).collect::<Vec<_>>().join(", ");
        let _ = write!(out, "\n## {}\n\nNeeds: {}.\n", meta.id, list(meta.requires));
        if !meta.uses.is_empty() {
            let _ = write!(out, "\nSharper with: {}.\n", list(meta.uses));
        }
    }
    out
}

fn cli_page() -> String {
    let mut out = format!("# Command line\n\n{NOTE}");
    let mut command = Cli::command().term_width(100);
    command.build();
    let _ = write!(out, "```text\n{}```\n", trimmed(&command.render_long_help().to_string()));
    for sub in command.get_subcommands_mut().filter(|c| c.get_name() != "help" && !c.is_hide_set()) {
        let help = trimmed(&sub.render_long_help().to_string());
        let _ = write!(out, "\n## kdoctor {}\n\n```text\n{help}```\n", sub.get_name());
    }
    out
}

fn trimmed(text: &str) -> String {
    text.lines().map(|l| format!("{}\n", l.trim_end())).collect()
}

fn permissions_page() -> String {
    let of_checks = checks::registry();
    let of_checks = of_checks.iter().flat_map(|c| c.meta().requires.iter().chain(c.meta().uses));
    let facts: Vec<Fact> = of_checks.chain(signals::FACTS).copied().collect();
    // What probes take is asked for by a flag only; whoever may list Secrets may read them.
    let rights = Rights::of(facts.into_iter().filter(|f| !matches!(f, Fact::Probes | Fact::HelmReleases)));
    let mut out = format!(
        "# Permissions\n\n{NOTE}kdoctor works with what it may read and says what it could not see. With the following it sees \
         everything its checks ask for. It never reads the data of Secrets, and it changes nothing.\n\n## Kubernetes\n\n\
         `pods/portforward` is used only where the API server's service proxy is refused; leave it out if you give \
         `--prometheus-url`, `--alertmanager-url` and `--grafana-url`. `kdoctor permissions --only CHECK` prints what single \
         checks need.\n\n```yaml\n{}",
        rights.cluster_role("kdoctor")
    );
    let _ = write!(
        out,
        "```\n\n`--probe` also takes the following; without it kdoctor never runs anything in a pod.\n\n```yaml\n"
    );
    out.push_str(&Rights::of([Fact::Probes]).rules());
    let _ = write!(
        out,
        "```\n\nThe state of Helm releases stands in labels of Secrets. kdoctor asks for metadata only, so that no data of a \
         Secret is sent; but RBAC cannot grant the metadata alone. Without the following, releases that failed or hang \
         are not seen, and nothing else is lost.\n\n```yaml\n"
    );
    out.push_str(&Rights::of([Fact::HelmReleases]).rules());
    let _ = write!(out, "```\n\n## AWS\n\n```json\n");
    let _ = writeln!(out, "{}```", rights.iam_policy());
    out
}

/// The README with its table of checks replaced.
fn readme() -> String {
    let text = std::fs::read_to_string(root().join("README.md")).expect("README.md is there");
    let (start, end) = ("<!-- checks -->\n", "<!-- /checks -->");
    let (before, rest) = text.split_once(start).expect("README.md has the start mark of the table");
    let (_, after) = rest.split_once(end).expect("README.md has the end mark of the table");
    format!("{before}{start}{}{end}{after}", checks_table().replace("PREFIX", ""))
}

fn documents() -> Vec<(&'static str, String)> {
    let schema = serde_json::to_string_pretty(&kdoctor::render::schema()).expect("plain data");
    let why = serde_json::to_string_pretty(&kdoctor::render::why_schema()).expect("plain data");
    vec![
        ("docs/checks.md", checks_page()),
        ("docs/cli.md", cli_page()),
        ("docs/permissions.md", permissions_page()),
        ("docs/report.schema.json", format!("{schema}\n")),
        ("docs/why.schema.json", format!("{why}\n")),
        ("README.md", readme()),
    ]
}

fn main() -> ExitCode {
    let write = std::env::args().any(|a| a == "--write");
    let (mut current, mut stale) = (0, Vec::new());
    for (name, text) in documents() {
        let path = root().join(name);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
            current += 1;
        } else if write {
            std::fs::write(&path, text).unwrap_or_else(|e| panic!("{name}: {e}"));
            println!("wrote {name}");
            current += 1;
        } else {
            stale.push(name);
        }
    }
    for name in &stale {
        println!("{name} is not current: cargo test --test docs -- --write");
    }
    println!("{current} passed, {} failed", stale.len());
    if stale.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
