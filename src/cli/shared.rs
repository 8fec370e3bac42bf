//! Arguments that several commands take.

use std::path::PathBuf;

use clap::Args;
use url::Url;

use super::Settings;
use super::values::{Token, Wanted, parse_timeout, parse_token, parse_wanted};
use crate::diagnose::FailOn;

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
    /// troubleshoot.sh, a must-gather of OpenShift, or the folder of `kubectl cluster-info dump`
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
