//! Options of `kdoctor connect`.

use std::net::IpAddr;

use clap::{Args, ValueEnum};

use super::SourceArgs;

/// Options of `kdoctor connect`.
#[derive(Debug, Args)]
#[command(
    mut_arg("from", |arg| arg.hide(true)),
    mut_arg("demo", |arg| arg.hide(true)),
    after_help = "A port-forward that goes to the next ready pod where its own restarts, is replaced or lost, and says why. The local \
    port stays open meanwhile. It needs the verbs get and create on pods/portforward, as kubectl port-forward does."
)]
pub struct Connect {
    /// What to connect to [default: all that are there]
    #[arg(value_name = "PROGRAM", value_enum)]
    pub apps: Vec<ConnectApp>,
    /// Open the address in the browser
    #[arg(long, help_heading = "Connect")]
    pub open: bool,
    /// Local port [default: the usual one, else a free one]
    #[arg(long, value_name = "PORT", help_heading = "Connect")]
    pub port: Option<u16>,
    /// Local address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", value_parser = parse_address, help_heading = "Connect")]
    pub address: IpAddr,
    /// Namespace of the stack [default: found by looking for it, else monitoring]
    #[arg(short, long, value_name = "NAMESPACE", help_heading = "What to look at")]
    pub namespace: Option<String>,
    /// Where to look.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// What `kdoctor connect` leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConnectApp {
    /// Prometheus, usually at 9090
    Prometheus,
    /// Alertmanager, usually at 9093
    Alertmanager,
    /// Grafana, usually at 3000
    Grafana,
    /// Loki, usually at 3100
    Loki,
}

impl ConnectApp {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Prometheus, Self::Alertmanager, Self::Grafana, Self::Loki];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::Alertmanager => "Alertmanager",
            Self::Grafana => "Grafana",
            Self::Loki => "Loki",
        }
    }
}

fn parse_address(text: &str) -> Result<IpAddr, String> {
    let text = if text == "localhost" { "127.0.0.1" } else { text };
    text.parse().map_err(|_| format!("{text:?} is no IP address"))
}
