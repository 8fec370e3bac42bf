//! The command line: types only.

mod baseline;
mod connect;
mod shared;
mod values;
mod watch;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

pub use baseline::{Baseline, Write};
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
pub use connect::{Connect, ConnectApp};
pub use shared::{ResultArgs, ScopeArgs, SelectArgs, SourceArgs};
pub(crate) use values::parse_timeout;
pub use values::{Format, Output, ProbeMode, RightsFormat, Token, Wanted};
use values::{parse_kubernetes, parse_size};
pub use watch::Watch;

use crate::diagnose::{Grades, Mute, Thresholds};

/// Finds the root cause of a broken monitoring stack on Kubernetes and EKS, and prints the commands that fix it.
#[derive(Debug, Parser)]
#[command(name = "kdoctor", version, max_term_width = 100, propagate_version = true)]
#[command(
    after_help = "Exit code: 0 nothing found at or above --fail-on · 1 findings · 2 kdoctor could not do its job · \
    3 with --strict, a check could not be evaluated · 130 interrupted"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Plain text, no colours (also: NO_COLOR)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Settings [default: the nearest kdoctor.toml in the working folder and those above it]; flags and variables go before
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read no kdoctor.toml
    #[arg(long, global = true, conflicts_with = "config")]
    pub no_config: bool,
}

impl Cli {
    /// True if a program reads stdout as JSON.
    pub fn is_json(&self) -> bool {
        let of_report = |args: &ResultArgs| args.output.iter().any(|w| *w == Wanted::stdout(Format::Json));
        match &self.command {
            Command::Monitoring(args) => of_report(&args.result),
            Command::Preflight(args) => of_report(&args.result),
            Command::Why(args) => args.output == Output::Json,
            Command::List(args) => args.output == Output::Json,
            Command::Diff(args) => args.output == Output::Json,
            Command::Baseline(_)
            | Command::Capture(_)
            | Command::Watch(_)
            | Command::Connect(_)
            | Command::Fix(_)
            | Command::Transcript(_)
            | Command::Explain(_)
            | Command::Access(_)
            | Command::Permissions(_)
            | Command::Completions { .. }
            | Command::Man { .. }
            | Command::Complete { .. } => false,
        }
    }

    /// The same of arguments that are not understood as a whole.
    pub fn ask_for_json(arguments: &[String]) -> bool {
        let asks = |pair: &[String]| matches!(pair[0].as_str(), "-o" | "--output") && pair[1] == "json";
        let whole = ["-ojson", "-o=json", "--output=json"];
        arguments.windows(2).any(asks) || arguments.iter().any(|a| whole.contains(&a.as_str()))
    }
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Diagnose the Prometheus, Alertmanager and Grafana stack
    #[command(visible_alias = "check")]
    Monitoring(Box<Monitoring>),
    /// Go through the fix of a root cause, step by step, to the verified end; asks before it runs anything
    Fix(Box<Fix>),
    /// Look again and again: what appears, what is resolved, and since when; as a live view, or as lines
    Watch(Box<Watch>),
    /// Open local ports to Prometheus, Alertmanager, Grafana and Loki that survive restarts and rollouts
    Connect(Box<Connect>),
    /// Show the chain of one thing, link by link, down to the root cause and its fix: why does this not work?
    #[command(after_help = WHAT)]
    Why(Box<Why>),
    /// Judge manifests and Helm values before they are applied; needs no cluster
    Preflight(Box<Preflight>),
    /// Keep what the checks read as a file, without secrets, for `--from`: here, elsewhere, later
    Capture(Box<Capture>),
    /// Compare two JSON reports, or bundles: what is new, resolved, unchanged; exits with 1 where something is new
    Diff(Diff),
    /// Accept what is found now, so that a gate fails on what is new
    #[command(subcommand)]
    Baseline(Baseline),
    /// List the checks by suite, with severity and the facts they need
    List(List),
    /// Show what a check looks for, why it fires and how it is fixed
    Explain(Explain),
    /// Say as whom kdoctor looks, what it may read, and what is missing for which check
    Access(Box<AccessArgs>),
    /// Print the least that the checks need to read: ClusterRole, binding and IAM policy
    Permissions(Permissions),
    /// List the transcripts of fixes and watches, or print one
    Transcript(Transcript),
    /// Print the shell completion script: it knows checks, contexts and namespaces (bash, zsh, fish)
    #[command(
        after_help = "bash: source <(kdoctor completions bash)\nzsh: kdoctor completions zsh > \"${fpath[1]}/_kdoctor\"\nfish: \
        kdoctor completions fish > ~/.config/fish/completions/kdoctor.fish\nkubectl kdoctor: a link to kdoctor named \
        kubectl_complete-kdoctor, in a folder of $PATH"
    )]
    Completions {
        /// Shell
        shell: Shell,
    },
    /// Write the manual pages into a folder
    Man {
        /// Folder; made where it is not there
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Candidates for the last word, for completion scripts
    #[command(name = "__complete", hide = true)]
    Complete {
        /// What is typed, without the program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

/// What of a command a file of settings fills in.
pub struct Parts<'a> {
    /// Where to look.
    pub source: &'a mut SourceArgs,
    /// A cluster is asked, so that a file may say which.
    pub asks_cluster: bool,
    /// Namespace of the stack, and whether all are judged.
    pub scope: Option<&'a mut ScopeArgs>,
    /// Which checks.
    pub select: Option<&'a mut SelectArgs>,
    /// What comes of it.
    pub result: Option<&'a mut ResultArgs>,
}

impl<'a> Parts<'a> {
    /// Where to look, and nothing else.
    fn of_source(source: &'a mut SourceArgs) -> Self {
        Self { asks_cluster: source.is_live(), source, scope: None, select: None, result: None }
    }
}

impl Command {
    /// What a file of settings fills in; `None` where a command reads none.
    pub fn parts(&mut self) -> Option<Parts<'_>> {
        Some(match self {
            Self::Monitoring(args) => Parts {
                scope: Some(&mut args.scope),
                select: Some(&mut args.select),
                result: Some(&mut args.result),
                ..Parts::of_source(&mut args.source)
            },
            Self::Capture(args) => Parts {
                scope: (!args.all).then_some(&mut args.scope),
                select: (!args.all).then_some(&mut args.select),
                ..Parts::of_source(&mut args.source)
            },
            // Files alone are judged unless a cluster is named on the command line.
            Self::Preflight(args) => Parts {
                asks_cluster: args.source.is_live() && (args.against_cluster || args.source.kubeconfig.is_some()),
                select: Some(&mut args.select),
                result: Some(&mut args.result),
                ..Parts::of_source(&mut args.source)
            },
            Self::Fix(args) => Parts {
                scope: Some(&mut args.scope),
                select: Some(&mut args.select),
                ..Parts::of_source(&mut args.source)
            },
            Self::Watch(args) => Parts {
                scope: Some(&mut args.scope),
                select: Some(&mut args.select),
                ..Parts::of_source(&mut args.source)
            },
            Self::Baseline(Baseline::Write(args)) => Parts {
                asks_cluster: args.source.is_live()
                    && (args.filename.is_empty() || args.against_cluster || args.source.kubeconfig.is_some()),
                scope: Some(&mut args.scope),
                select: Some(&mut args.select),
                ..Parts::of_source(&mut args.source)
            },
            Self::Why(args) => Parts { scope: Some(&mut args.scope), ..Parts::of_source(&mut args.source) },
            Self::Access(args) => Parts::of_source(&mut args.source),
            Self::Connect(args) => Parts::of_source(&mut args.source),
            _ => return None,
        })
    }
}

/// What only a file of settings says.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Severities of checks.
    pub grades: Grades,
    /// Findings that are accepted.
    pub mutes: Vec<Mute>,
    /// The companion runs nothing.
    pub read_only: bool,
    /// Bounds of checks.
    pub thresholds: Thresholds,
}

/// Options of `kdoctor monitoring`.
#[derive(Debug, Args)]
pub struct Monitoring {
    /// Where to look.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Which namespaces.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Manifests or Helm values to judge, too: file, folder, or - for standard input (repeat)
    #[arg(short, long, value_name = "FILE|DIR|-", help_heading = "What to look at")]
    pub filename: Vec<String>,
    /// Also try things from inside the stack's pods: DNS and HTTP(S) by exec of tools that the image has, and a
    /// port-forward. Each probe is named and asked for; `--probe=yes` runs all of them without asking
    #[arg(long, value_name = "yes", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "ask",
        hide_possible_values = true, help_heading = "What to look at")]
    pub probe: Option<ProbeMode>,
    /// Go on from the report: choose a root cause, look at its evidence, work through its steps (needs a terminal)
    #[arg(short, long, help_heading = "Companion")]
    pub interactive: bool,
    /// How that is done.
    #[command(flatten)]
    pub companion: CompanionArgs,
    /// Which checks.
    #[command(flatten)]
    pub select: SelectArgs,
    /// What comes of it.
    #[command(flatten)]
    pub result: ResultArgs,
}

impl Monitoring {
    /// What these words mean behind `kdoctor monitoring`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn of_words<W: Into<OsString> + Clone>(words: impl IntoIterator<Item = W>) -> Result<Self, clap::Error> {
        let command = clap::Command::new("kdoctor monitoring").no_binary_name(true);
        Self::from_arg_matches(&Self::augment_args(command).try_get_matches_from(words)?)
    }
}

/// Options of `kdoctor fix`.
#[derive(Debug, Args)]
pub struct Fix {
    /// Number of the root cause in the overview, or its check [default: asks]
    #[arg(value_name = "ROOT|CHECK")]
    pub root: Option<String>,
    /// Where to look.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Which namespaces.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Which checks.
    #[command(flatten)]
    pub select: SelectArgs,
    /// How it is done.
    #[command(flatten)]
    pub companion: CompanionArgs,
}

/// How the companion works.
#[derive(Debug, Args)]
pub struct CompanionArgs {
    /// Run nothing from here: copy a command, run it elsewhere, mark it as done (also: KDOCTOR_READ_ONLY, and
    /// read-only in kdoctor.toml)
    #[arg(long, help_heading = "Companion")]
    pub read_only: bool,
    /// Write the transcript to this file instead of the state folder; what stands in it stays
    #[arg(long, value_name = "FILE", conflicts_with = "no_transcript", help_heading = "Companion")]
    pub transcript: Option<PathBuf>,
    /// Keep no transcript
    #[arg(long, help_heading = "Companion")]
    pub no_transcript: bool,
    /// Ask by numbers and whole lines: nothing moves the cursor (for screen readers; also: TERM=dumb)
    #[arg(long, help_heading = "Companion")]
    pub plain: bool,
    /// Longest time for a command that only looks, and for waiting until a root cause is resolved
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_timeout, help_heading = "Companion")]
    pub patience: std::time::Duration,
}

/// Options of `kdoctor transcript`.
#[derive(Debug, Args)]
pub struct Transcript {
    /// Which one to print: last, its name, or the beginning of it [default: lists all]
    pub name: Option<String>,
}

/// Options of `kdoctor capture`.
#[derive(Debug, Args)]
#[command(mut_arg("all_namespaces", |arg| {
    arg.help("Storage, workloads and network in every namespace, not only in those of the stack")
}))]
pub struct Capture {
    /// Where to look.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Where the bundle goes: a name that ends in .tar.zst, .tar.gz or .tar, else a new folder
    /// [default: kdoctor-CLUSTER-TIME.tar.zst]
    #[arg(short, long, value_name = "PATH", help_heading = "Result")]
    pub output: Option<PathBuf>,
    /// Leave out what would make the files together larger than this before they are packed (K, M, G)
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = parse_size, help_heading = "Result")]
    pub max_size: u64,
    /// Also replace names of objects and hosts, numbers of accounts, addresses and ids of AWS, the same by the same: the
    /// report stays the same but for them
    #[arg(long, help_heading = "Result")]
    pub anonymize: bool,
    /// Which namespaces.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Everything that kdoctor can read, in every namespace
    #[arg(long, conflicts_with_all = ["namespace", "only", "skip"], help_heading = "What to look at")]
    pub all: bool,
    /// Also what probes find out from inside the stack's pods, as with `monitoring --probe`
    #[arg(long, value_name = "yes", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "ask",
        hide_possible_values = true, help_heading = "What to look at")]
    pub probe: Option<ProbeMode>,
    /// Which checks.
    #[command(flatten)]
    pub select: SelectArgs,
}

/// What `kdoctor why` knows the chains of.
const WHAT: &str = "WHAT is a kind and a name, or words that a name holds:
  alert/TargetDown              rule → condition → Alertmanager → not muted → route → receiver → delivery
  pod/[NAMESPACE/]prometheus-0  owner → admission → scheduling → volume → image → start → ready
  deploy/… sts/… ds/…           the same of the pod that fares worst
  target/flash-api              a job, a pool or an instance: object → Service → pods → policy → answer
  servicemonitor/… podmonitor/… the same from the operator's object
  svc/grafana                   selector → pods → endpoints → port → policy → ingress
  pvc/data-prometheus-0         class → driver → role → provider → volume
  receiver/slack                routes → integrations → delivery
  panel \"Dashboard/Panel\"       dashboard → datasource → metric → labels → value
  datasource/Prometheus         defined → URL → Service → health
  node/ip-10-0-1-7              node group → ready → network → pressure
  url http://web.shop:8080/live host → Service → pods → policy → answer

Exit code: 0 no link is broken · 1 a link is broken · 2 there is no such thing, or kdoctor could not do its job ·
3 with --strict, a link could not be seen · 130 interrupted";

/// Options of `kdoctor why`.
#[derive(Debug, Args)]
#[command(
    mut_arg("namespace", |arg| arg.help("Namespace of the thing [default: those of the stack and of what it scrapes]")),
    mut_arg("all_namespaces", |arg| arg.help("Look for it in every namespace"))
)]
pub struct Why {
    /// What does not work: KIND/NAME, KIND NAME, a URL, or words that its name holds
    #[arg(required = true, value_name = "WHAT")]
    pub what: Vec<String>,
    /// Where to look.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Which namespaces.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Namespace of the stack [default: found by looking for it, else monitoring]
    #[arg(long, value_name = "NAMESPACE", help_heading = "What to look at")]
    pub stack: Option<String>,
    /// Output format
    #[arg(short, long, value_enum, default_value = "table", help_heading = "Result")]
    pub output: Output,
    /// Exit with 3 if no link is broken and one could not be seen
    #[arg(long, help_heading = "Result")]
    pub strict: bool,
    /// Show the commands of every link, and the root cause with all its evidence
    #[arg(short, long, help_heading = "Result")]
    pub verbose: bool,
}

/// Charts whose values are known.
const CHARTS: [&str; 5] = ["kube-prometheus-stack", "prometheus", "grafana", "loki", "alertmanager"];

/// Options of `kdoctor preflight`.
#[derive(Debug, Args)]
pub struct Preflight {
    /// Manifests or Helm values: file, folder (*.yaml, *.yml, *.json below it), or - for standard input (repeat)
    #[arg(
        short, long, value_name = "FILE|DIR|-", help_heading = "What to look at",
        required_unless_present_any = ["files", "from", "demo"]
    )]
    pub filename: Vec<String>,
    /// The same without a flag: `kdoctor preflight deploy/ prometheus.yml`
    #[arg(value_name = "FILE", help_heading = "What to look at")]
    pub files: Vec<String>,
    /// Judge them against the cluster, too: kinds, classes, drivers, quotas, roles, webhooks; --from, --context and
    /// --kubeconfig do the same
    #[arg(long, visible_alias = "live", help_heading = "What to look at")]
    pub against_cluster: bool,
    /// Count what is wrong in the cluster anyway, too, and not only what the files bring
    #[arg(long, help_heading = "What to look at")]
    pub include_cluster: bool,
    /// Kubernetes that the files are for (1.33): which versions of APIs it serves [default: that of the cluster, else the
    /// newest]
    #[arg(long, value_name = "VERSION", value_parser = parse_kubernetes, help_heading = "What to look at")]
    pub kubernetes_version: Option<String>,
    /// Chart that files of Helm values are for; said where neither a `Chart.yaml` beside them nor their keys tell
    #[arg(long, value_name = "CHART", value_parser = CHARTS, help_heading = "What to look at")]
    pub chart: Option<String>,
    /// Where to look.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Which checks.
    #[command(flatten)]
    pub select: SelectArgs,
    /// What comes of it.
    #[command(flatten)]
    pub result: ResultArgs,
}

/// Options of `kdoctor diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// JSON report or bundle (folder or archive) of before
    pub old: PathBuf,
    /// JSON report or bundle (folder or archive) of after
    pub new: PathBuf,
    /// Output format
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Options of `kdoctor list`.
#[derive(Debug, Args)]
pub struct List {
    /// Output format
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Options of `kdoctor explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Id of the check (`kdoctor list` shows them)
    pub check: String,
}

/// Options of `kdoctor access`.
#[derive(Debug, Args)]
pub struct AccessArgs {
    /// Where to look.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Namespace of the stack [default: found by looking for it, else monitoring]
    #[arg(short, long, value_name = "NAMESPACE", help_heading = "What to look at")]
    pub namespace: Option<String>,
    /// Only what these checks or suites read (repeat, or separate by commas)
    #[arg(long, value_name = "CHECK|SUITE", value_delimiter = ',', help_heading = "What to look at")]
    pub only: Vec<String>,
}

/// Options of `kdoctor permissions`.
#[derive(Debug, Args)]
pub struct Permissions {
    /// Only what these checks or suites read (repeat, or separate by commas)
    #[arg(long, value_name = "CHECK|SUITE", value_delimiter = ',')]
    pub only: Vec<String>,
    /// What to print
    #[arg(long, value_enum, default_value = "both")]
    pub format: RightsFormat,
    /// Also what `monitoring --probe` takes
    #[arg(long)]
    pub probe: bool,
    /// Also the right to list Secrets, whose labels hold the state of Helm releases; it includes the right to read them
    #[arg(long)]
    pub helm_releases: bool,
    /// Also the verb watch: with it kdoctor watch and fix fetch only what changed, without it they list again
    #[arg(long)]
    pub watch: bool,
}

/// What the program is called by: as a plugin of kubectl it is a word behind it.
pub fn program() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    match file_stem(&called).strip_prefix("kubectl-") {
        Some(plugin) => format!("kubectl {plugin}"),
        None => "kdoctor".to_owned(),
    }
}

fn file_stem(path: &OsStr) -> String {
    std::path::Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Reads the command line.
///
/// # Errors
/// What is wrong with it; also a call for help.
pub fn parse() -> Result<(Cli, ArgMatches), clap::Error> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    // kubectl asks an executable of this name for the completions of its plugin.
    if arguments.first().is_some_and(|called| file_stem(called).starts_with("kubectl_complete-")) {
        arguments.splice(1..1, ["__complete".into(), "--".into()]);
    }
    let mut command = Cli::command().bin_name(program());
    let found = command.try_get_matches_from_mut(arguments)?;
    let cli = Cli::from_arg_matches(&found).map_err(|error| error.format(&mut command))?;
    Ok((cli, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_plugin_of_kubectl_is_called_as_one() {
        assert_eq!(file_stem("/usr/bin/kubectl-kdoctor.exe".as_ref()), "kubectl-kdoctor");
        assert_eq!(program(), "kdoctor", "called by any other name");
    }
}
