//! The command line: types only.

mod baseline;
mod connect;
mod watch;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

pub use baseline::{Baseline, Write};
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
pub use connect::{Connect, ConnectApp};
use url::Url;
pub use watch::Watch;

use crate::diagnose::{FailOn, Grades, Mute};

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
    /// Look for conflicts with the cluster, too; --from, --context and --kubeconfig do the same
    #[arg(long, help_heading = "What to look at")]
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

/// Where of a cluster to look.
#[derive(Debug, Args)]
pub struct ScopeArgs {
    /// Namespace of the stack [default: found by looking for it, else monitoring]
    #[arg(short, long, value_name = "NAMESPACE", help_heading = "What to look at")]
    pub namespace: Option<String>,
    /// Judge storage, workloads and network in every namespace, not only in those of the stack
    #[arg(short = 'A', long, help_heading = "What to look at")]
    pub all_namespaces: bool,
}

/// Which checks run.
#[derive(Debug, Args)]
pub struct SelectArgs {
    /// Run only these checks or suites (repeat, or separate by commas)
    #[arg(long, value_name = "CHECK|SUITE", value_delimiter = ',', help_heading = "What to look at")]
    pub only: Vec<String>,
    /// Leave out these checks or suites
    #[arg(long, value_name = "CHECK|SUITE", value_delimiter = ',', help_heading = "What to look at")]
    pub skip: Vec<String>,
}

/// The report and the exit code.
#[derive(Debug, Args)]
pub struct ResultArgs {
    /// Exit with 1 from this severity on
    #[arg(long, value_enum, default_value = "error", help_heading = "Result")]
    pub fail_on: FailOn,
    /// What stands in this file does not fail the run: one of `kdoctor baseline write`, or a JSON report of before
    #[arg(long, value_name = "FILE", help_heading = "Result")]
    pub baseline: Option<PathBuf>,
    /// JSON report of before: tells beside the report what is new, resolved and unchanged since (table, markdown, json)
    #[arg(long, value_name = "REPORT", help_heading = "Result")]
    pub since: Option<PathBuf>,
    /// Exit with 3 if a check could not be evaluated
    #[arg(long, help_heading = "Result")]
    pub strict: bool,
    /// Output format: table, markdown, html, json; for CI: sarif, junit, github, gitlab. With =FILE it is written there (repeat)
    #[arg(
        short, long, value_name = "FORMAT[=FILE]", value_parser = parse_wanted, default_value = "table",
        help_heading = "Result"
    )]
    pub output: Vec<Wanted>,
    /// Show every check's outcome, all evidence and every symptom
    #[arg(short, long, help_heading = "Result")]
    pub verbose: bool,
    /// Print only the overview: each root cause in one line with its first command (not with -o json)
    #[arg(long, conflicts_with = "verbose", help_heading = "Result")]
    pub short: bool,
}

/// Where to look.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// Look at a captured bundle instead of a cluster: a folder, .tar.zst, .tar.gz or .tar; also a support bundle of
    /// troubleshoot.sh, or the folder of `kubectl cluster-info dump`
    #[arg(long, value_name = "PATH", conflicts_with = "demo", help_heading = "Source")]
    pub from: Option<PathBuf>,
    /// Look at an incident that is built in (`list` shows their names)
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "", help_heading = "Source")]
    pub demo: Option<String>,
    /// kubeconfig context [default: the current one]
    #[arg(long, value_name = "NAME", help_heading = "Source")]
    pub context: Option<String>,
    /// kubeconfig file [default: $KUBECONFIG, ~/.kube/config, the in-cluster service account]
    #[arg(long, value_name = "FILE", help_heading = "Source")]
    pub kubeconfig: Option<PathBuf>,
    /// EKS cluster name [default: from the kubeconfig or the nodes]
    #[arg(long, value_name = "NAME", help_heading = "Source")]
    pub cluster_name: Option<String>,
    /// AWS region [default: from the kubeconfig, the nodes or the AWS configuration]
    #[arg(long, value_name = "REGION", help_heading = "Source")]
    pub region: Option<String>,
    /// AWS profile [default: the kubeconfig's, $AWS_PROFILE]
    #[arg(long, value_name = "PROFILE", help_heading = "Source")]
    pub profile: Option<String>,
    /// Reach Prometheus at this URL instead of through the API server
    #[arg(long, value_name = "URL", env = "KDOCTOR_PROMETHEUS_URL", hide_env_values = true, help_heading = "Source")]
    pub prometheus_url: Option<Url>,
    /// Reach Alertmanager at this URL instead of through the API server
    #[arg(long, value_name = "URL", env = "KDOCTOR_ALERTMANAGER_URL", hide_env_values = true, help_heading = "Source")]
    pub alertmanager_url: Option<Url>,
    /// Reach Grafana at this URL instead of through the API server
    #[arg(long, value_name = "URL", env = "KDOCTOR_GRAFANA_URL", hide_env_values = true, help_heading = "Source")]
    pub grafana_url: Option<Url>,
    /// Service account token of Grafana (role Admin) to read its datasources and dashboards; it is sent to Grafana alone,
    /// at --grafana-url or through a port-forward. Prefer the variable: arguments can be seen in the process list
    #[arg(
        long,
        value_name = "TOKEN",
        env = "KDOCTOR_GRAFANA_TOKEN",
        hide_env_values = true,
        value_parser = parse_token,
        help_heading = "Source"
    )]
    pub grafana_token: Option<Token>,
    /// Longest time for one call, in seconds or with a unit (500ms, 10s, 1m)
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_timeout, help_heading = "Source")]
    pub timeout: std::time::Duration,
    /// Longest time for all calls together; what has no answer by then is reported as not seen
    #[arg(long, value_name = "TIME", value_parser = parse_timeout, help_heading = "Source")]
    pub deadline: Option<std::time::Duration>,
    /// Judge ages as of this time instead of now, so that a recorded cluster can be served and asked again.
    #[arg(long, value_name = "RFC3339", hide = true)]
    pub now: Option<jiff::Timestamp>,
    /// What no flag says.
    #[arg(skip)]
    pub settings: Settings,
}

impl SourceArgs {
    /// A cluster is asked, and no bundle.
    pub fn is_live(&self) -> bool {
        self.from.is_none() && self.demo.is_none()
    }
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

/// What `kdoctor permissions` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RightsFormat {
    /// A ClusterRole and its binding
    Rbac,
    /// An IAM policy
    Iam,
    /// Both, the policy as comments
    Both,
}

/// Who allows active probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProbeMode {
    /// The person at the terminal, one by one.
    Ask,
    /// The flag itself.
    Yes,
}

/// Output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For a pull request, a chat or a postmortem: details to unfold
    #[value(alias = "md")]
    Markdown,
    /// For machines: schema_version 1
    Json,
}

/// Formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For a pull request, a chat or a postmortem: details to unfold
    #[value(alias = "md")]
    Markdown,
    /// One page for a browser, to pass on: asks nothing of the outside
    Html,
    /// For machines: schema_version 1
    Json,
    /// SARIF 2.1.0, for code scanning: what is wrong in files
    Sarif,
    /// JUnit XML: a test case for each check
    Junit,
    /// Annotations of GitHub Actions
    Github,
    /// GitLab's code quality report: what is wrong in files
    Gitlab,
}

/// A format, and where the report goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The format.
    pub format: Format,
    /// The file; stdout where there is none.
    pub file: Option<PathBuf>,
}

impl Wanted {
    /// A format on stdout.
    pub fn stdout(format: Format) -> Self {
        Self { format, file: None }
    }
}

/// `1.33`, `v1.33.2`.
fn parse_kubernetes(text: &str) -> Result<String, String> {
    let mut numbers = text.trim_start_matches('v').split('.').map(str::parse::<u16>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(1)), Some(Ok(_))) => Ok(text.to_owned()),
        _ => Err("is written 1.33".into()),
    }
}

fn parse_wanted(text: &str) -> Result<Wanted, String> {
    let (name, file) = match text.split_once('=') {
        Some((_, "")) => return Err("after = comes a file: --output sarif=out.sarif".into()),
        Some((name, file)) => (name, Some(PathBuf::from(file))),
        None => (text, None),
    };
    let format = Format::from_str(name, true).map_err(|_| {
        let all = Format::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        format!("there is: {}", all.map(|v| v.get_name().to_owned()).collect::<Vec<_>>().join(", "))
    })?;
    Ok(Wanted { format, file })
}

/// A bearer token. Neither its Debug output nor an error message shows it.
#[derive(Debug, Clone)]
pub struct Token(Option<http::HeaderValue>);

impl Token {
    /// The `Authorization` header with it, marked as sensitive; `None` where no header can hold it.
    pub fn header(&self) -> Option<&http::HeaderValue> {
        self.0.as_ref()
    }
}

/// Never fails: the message of a failure would repeat the token.
fn parse_token(text: &str) -> Result<Token, std::convert::Infallible> {
    let token = text.trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token);
    let is_token = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    let header = http::HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| is_token);
    Ok(Token(header.map(|mut value| {
        value.set_sensitive(true);
        value
    })))
}

pub(crate) fn parse_timeout(text: &str) -> Result<std::time::Duration, String> {
    let seconds = seconds(text)?;
    if !(0.001..=600.0).contains(&seconds) {
        return Err("must be between 1ms and 10m".into());
    }
    Ok(std::time::Duration::from_secs_f64(seconds))
}

/// A time that people wait.
fn parse_span(text: &str) -> Result<std::time::Duration, String> {
    let seconds = seconds(text)?;
    if !(1.0..=7.0 * 86_400.0).contains(&seconds) {
        return Err("must be between 1s and 168h".into());
    }
    Ok(std::time::Duration::from_secs_f64(seconds))
}

/// A number with a unit; seconds without one.
fn seconds(text: &str) -> Result<f64, String> {
    let (digits, factor) = match text {
        t if t.ends_with("ms") => (&t[..t.len() - 2], 0.001),
        t if t.ends_with('s') => (&t[..t.len() - 1], 1.0),
        t if t.ends_with('m') => (&t[..t.len() - 1], 60.0),
        t if t.ends_with('h') => (&t[..t.len() - 1], 3600.0),
        t => (t, 1.0),
    };
    let number: f64 = digits.trim().parse().map_err(|_| format!("{text:?} is not a time; try 10s"))?;
    Ok(number * factor)
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

/// Bytes a capture may have at most: less than what is read again.
const MAX_CAPTURE: u64 = 2 << 30;

fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size; try 500M");
    let bare = text.trim_end_matches(['B', 'b', 'i']);
    let (digits, shift) = match bare.char_indices().next_back() {
        Some((at, 'K' | 'k')) => (&bare[..at], 10),
        Some((at, 'M' | 'm')) => (&bare[..at], 20),
        Some((at, 'G' | 'g')) => (&bare[..at], 30),
        _ => (bare, 0),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let bytes = number.checked_mul(1 << shift).ok_or_else(wrong)?;
    if !(1 << 10..=MAX_CAPTURE).contains(&bytes) {
        return Err("must be between 1K and 2G".into());
    }
    Ok(bytes)
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

    #[test]
    fn a_token_is_not_shown() {
        let token = parse_token(" Bearer glsa_s3cret\n").expect("never fails");
        assert_eq!(token.header().map(|h| h.as_bytes()), Some(&b"Bearer glsa_s3cret"[..]));
        assert!(!format!("{token:?}").contains("s3cret"));
        assert!(parse_token("").is_ok_and(|t| t.header().is_none()));
        assert!(parse_token("a\nb").is_ok_and(|t| t.header().is_none()));
    }

    #[test]
    fn sizes_have_units_and_bounds() {
        assert_eq!(parse_size("500M"), Ok(500 << 20));
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        assert_eq!(parse_size("4096"), Ok(4096));
        for bad in ["", "x", "1", "3G", "-1M", "1T", "99999999999999999999", "G"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_have_units_and_bounds() {
        assert_eq!(parse_timeout("500ms").map(|d| d.as_millis()), Ok(500));
        assert_eq!(parse_timeout("2").map(|d| d.as_secs()), Ok(2));
        for bad in ["", "x", "0", "-1s", "1h", "11m", "NaN"] {
            assert!(parse_timeout(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_span("2h").map(|d| d.as_secs()), Ok(7200));
        for bad in ["100ms", "200h", "-1h", "NaN", "inf"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }
}
