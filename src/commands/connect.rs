//! `kdoctor connect`: local ports that lead to the programs of the stack, through restarts and rollouts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, bail};
use jiff::{Timestamp, Zoned};
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;

use super::run::{self, Opened, wait_for};
use crate::cli::{Connect, ConnectApp};
use crate::collect;
use crate::collect::live::{Cut, Line, Notice, Tunnel};
use crate::collect::source::Source;
use crate::domain::kubernetes::forwarding::Fate;
use crate::domain::kubernetes::store::Store;
use crate::model::{Fact, Params, Program};
use crate::pages::{self, Invocation};
use crate::snapshot::{Component, Snapshot};
use crate::term::interrupt::{INTERRUPTED, Termination};
use crate::term::{Printer, Progress, sanitize, sanitize_lines};

/// A session on a node that leads to a pod: it needs the SSM agent and AmazonSSMManagedInstanceCore on the node, and the
/// Session Manager plugin here.
const SESSION: &str = "aws ssm start-session --target {{ instance }} \
    --document-name AWS-StartPortForwardingSessionToRemoteHost --parameters {{ forward }}";

/// Runs the command until it is interrupted.
///
/// # Errors
/// The cluster cannot be asked, the program is not there, or the port is taken.
pub(super) fn run(args: &Connect, printer: &Printer) -> anyhow::Result<u8> {
    if !args.source.is_live() {
        bail!("kdoctor connect leads to pods of a cluster; a bundle has none that run");
    }
    if args.port.is_some() && args.apps.len() != 1 {
        bail!("--port is for one program: kdoctor connect grafana --port 3001");
    }
    wait_for(connect(args, printer))
}

/// A program, where it is asked, and the port here that leads to it.
struct Door {
    app: ConnectApp,
    local: SocketAddr,
    url: String,
    at: Component,
    tunnel: Tunnel,
}

async fn connect(args: &Connect, printer: &Printer) -> anyhow::Result<u8> {
    let live = Arc::new(run::live(&args.source, false).await?);
    let line = Arc::new(Line::new(&live, run::options(&args.source, false)));
    let known = live.known();
    let progress = Arc::new(Progress::new(printer.progress));
    let plan = run::plan([Fact::Services, Fact::MonitoringResources].into(), args.namespace.as_deref(), false);
    let opened = Opened { source: live, collected_at: Timestamp::now(), scope: None };
    let gathered = run::gather(opened, plan, progress.clone()).await;
    progress.finish();
    let snap = gathered?.snapshot;
    let invocation = run::invocation(&args.source, Some(&known), &snap);

    let mut doors = Vec::new();
    for (app, at) in wanted(args, &snap)? {
        doors.push(open(args, app, at, printer).await?);
    }
    let (sender, mut notices) = unbounded_channel();
    for door in doors {
        let Door { app, local, url, at, tunnel } = door;
        let (name, service) = (app.name(), format!("{}/{}", at.namespace, at.service));
        printer.stdout(&format!("{name:<13} {url}  (Service {})\n", sanitize(&service)))?;
        if args.open && open::that_detached(&url).is_err() {
            printer.stderr(&format!("kdoctor: no browser could be started; the address is {url}"));
        }
        let (own, of_app) = unbounded_channel();
        tokio::spawn(tunnel.serve(Arc::clone(&line), own));
        let words = Words { name, local, namespace: at.namespace, invocation: invocation.clone() };
        tokio::spawn(relay(of_app, words, sender.clone()));
    }
    drop(sender);
    printer.stderr("Ctrl-C ends it");
    let mut ended = Termination::listen();
    loop {
        tokio::select! {
            text = notices.recv() => match text {
                Some(text) => printer.stderr(&format!("{} {}", Zoned::now().strftime("%H:%M:%S"), sanitize_lines(&text))),
                None => return Ok(0),
            },
            () = ended.heard() => return Ok(INTERRUPTED),
        }
    }
}

/// Puts what there is to say into words, each tunnel for itself.
async fn relay(
    mut notices: tokio::sync::mpsc::UnboundedReceiver<Notice>,
    words: Words,
    out: tokio::sync::mpsc::UnboundedSender<String>,
) {
    while let Some(notice) = notices.recv().await {
        if out.send(words.of(&notice)).is_err() {
            return;
        }
    }
}

/// The programs that were asked for, or all that are there.
fn wanted(args: &Connect, snap: &Snapshot) -> anyhow::Result<Vec<(ConnectApp, Component)>> {
    let at = |app: ConnectApp| match app {
        ConnectApp::Prometheus => snap.scope.prometheus.clone(),
        ConnectApp::Alertmanager => snap.scope.alertmanager.clone(),
        ConnectApp::Grafana => snap.scope.grafana.clone(),
        ConnectApp::Loki => collect::loki_service(snap),
    };
    let mut apps = args.apps.clone();
    apps.dedup();
    if apps.is_empty() {
        let all: Vec<_> = ConnectApp::ALL.into_iter().filter_map(|app| Some((app, at(app)?))).collect();
        if all.is_empty() {
            bail!("no Service of a monitoring stack was found; name its namespace with -n{}", unread(snap));
        }
        return Ok(all);
    }
    let named = apps.into_iter().map(|app| {
        let place = args.namespace.as_ref().map_or(String::new(), |n| format!(" in namespace {n}"));
        let hint = if args.namespace.is_none() { "; name its namespace with -n" } else { "" };
        let missing = || format!("no Service of {} was found{place}{hint}{}", app.name(), unread(snap));
        Ok((app, at(app).with_context(missing)?))
    });
    named.collect()
}

/// What could not be looked at while the Services were looked for.
fn unread(snap: &Snapshot) -> String {
    snap.services.gaps().first().map(|gap| format!("\n  {gap}")).unwrap_or_default()
}

/// The port that people know a program by.
fn usual_port(app: ConnectApp) -> u16 {
    match app {
        ConnectApp::Prometheus => Program::Prometheus.port(),
        ConnectApp::Alertmanager => Program::Alertmanager.port(),
        ConnectApp::Grafana => Program::Grafana.port(),
        ConnectApp::Loki => Store::Loki.port(),
    }
}

async fn open(args: &Connect, app: ConnectApp, at: Component, printer: &Printer) -> anyhow::Result<Door> {
    let usual = usual_port(app);
    let ports = args.port.map_or(vec![usual, 0], |port| vec![port]);
    let tunnel = Tunnel::open(at.clone(), args.address, &ports).await.with_context(|| match args.port {
        Some(port) => {
            format!("port {port} of {} cannot be listened on; without --port a free one is taken", args.address)
        }
        None => format!("no port of {} can be listened on", args.address),
    })?;
    let local = tunnel.local()?;
    if args.port.is_none() && local.port() != usual {
        printer.stderr(&format!("kdoctor: port {usual} is taken here, so {} is at {}", app.name(), local.port()));
    }
    if !local.ip().is_loopback() {
        printer.stderr(&format!("kdoctor: {} can be reached by whoever reaches this machine", app.name()));
    }
    // One cannot go to "any address".
    let host = match local.ip() {
        ip if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        ip => ip,
    };
    let url = format!("{}://{}{}/", at.scheme, SocketAddr::new(host, local.port()), at.prefix);
    Ok(Door { app, local, url: url.trim_end_matches('/').to_owned(), at, tunnel })
}

/// How one tunnel is spoken of.
struct Words {
    name: &'static str,
    local: SocketAddr,
    namespace: String,
    invocation: Invocation,
}

impl Words {
    fn of(&self, notice: &Notice) -> String {
        let port = self.local.port();
        let name = self.name;
        match notice {
            Notice::To { pod, port, ready: true } => format!("{name}: to pod {pod}, port {port}"),
            Notice::To { pod, port, ready: false } => {
                format!("{name}: to pod {pod}, port {port}, which runs and is not ready")
            }
            Notice::Lost { pod, fate } => format!("{name}: pod {pod} {}", what_became(fate)),
            Notice::Nobody => {
                let pods = format!("kubectl get pods -n {}", self.namespace);
                let pods = pages::in_context(&pods, &self.invocation);
                format!("{name}: no pod of the Service runs; port {port} stays open and waits for one\n  {pods}")
            }
            Notice::Blind(said) => format!("{name}: the cluster cannot be asked ({said}); port {port} stays open"),
            Notice::Sees => format!("{name}: the cluster can be asked again"),
            Notice::Refused { pod, said } => format!("{name}: pod {pod} cannot be connected to: {said}"),
            Notice::Cut(cut) => format!("{name}: {}{}", cut_off(cut), self.way_round(cut)),
        }
    }

    /// The command that reaches the pod through another node; empty where none is known.
    fn way_round(&self, cut: &Cut) -> String {
        let (Some(instance), Some(host)) = (&cut.instance, &cut.pod_ip) else { return String::new() };
        let port = self.local.port();
        // The port here is taken by this very program.
        let local = port.checked_add(10_000).unwrap_or_else(|| port - 10_000);
        let forward =
            json!({"host": [host], "portNumber": [cut.port.to_string()], "localPortNumber": [local.to_string()]});
        let mut params = Params::default();
        params.set("instance", instance);
        params.set("forward", forward.to_string());
        let Ok(command) = pages::command(SESSION, &params) else { return String::new() };
        let command = pages::in_context(&command, &self.invocation);
        format!(
            "\n  a session on node instance {instance} leads there, too, at port {local} here (it needs the SSM agent there and the \
             Session Manager plugin here):\n  {command}"
        )
    }
}

fn cut_off(cut: &Cut) -> String {
    let Cut { node, said, is_lost, .. } = cut;
    if *is_lost {
        return format!("node {node} is not ready: {said}");
    }
    format!("the API server cannot talk to the kubelet of node {node} ({said})")
}

fn what_became(fate: &Fate) -> String {
    match fate {
        Fate::Gone => "is gone".to_owned(),
        Fate::Leaving => "is being deleted".to_owned(),
        Fate::Ended(reason) => format!("ended: {reason}"),
        Fate::Restarted { container, reason, .. } if reason == "OOMKilled" => {
            format!("restarts: container {container} was OOM-killed (kdoctor explain oom-killed)")
        }
        Fate::Restarted { container, reason, exit_code } => {
            let why = match (reason.as_str(), exit_code) {
                ("", _) => String::new(),
                (reason, Some(code)) => format!(" ({reason}, exit code {code})"),
                (reason, None) => format!(" ({reason})"),
            };
            format!("restarts: container {container} ended{why}")
        }
        Fate::NodeLost { node, .. } => format!("is lost with its node {node}"),
        Fate::NotReady(Some(why)) => format!("is not ready any more ({why})"),
        Fate::NotReady(None) => "is not ready any more".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(region: &str) -> Words {
        Words {
            name: "Grafana",
            local: SocketAddr::from(([127, 0, 0, 1], 3000)),
            namespace: "monitoring".into(),
            invocation: Invocation { region: Some(region.into()), ..Invocation::default() },
        }
    }

    #[test]
    fn a_kubelet_that_is_not_reached_is_gone_round_with_the_right_instance() {
        let said = "Get \"https://10.0.2.1:10250/…\": dial tcp 10.0.2.1:10250: i/o timeout";
        let cut = Cut {
            node: "node-1".into(),
            said: said.into(),
            is_lost: false,
            instance: Some("i-0abc".into()),
            pod_ip: Some("10.0.2.7".into()),
            port: 3000,
        };
        let text = words("eu-west-1").of(&Notice::Cut(cut.clone()));
        assert!(text.starts_with("Grafana: the API server cannot talk to the kubelet of node node-1 ("), "{text}");
        let command = text.lines().last().expect("a command").trim();
        let parts = shlex::split(command).expect("shell words");
        assert_eq!(parts[..3], ["aws", "ssm", "start-session"].map(str::to_owned), "{command}");
        assert!(parts.contains(&"i-0abc".to_owned()) && parts.contains(&"eu-west-1".to_owned()), "{command}");
        let forward: serde_json::Value = serde_json::from_str(parts.last().expect("parameters")).expect("JSON");
        assert_eq!(forward["host"][0], "10.0.2.7");
        let alone = words("eu-west-1").of(&Notice::Cut(Cut { instance: None, ..cut }));
        assert_eq!(alone.lines().count(), 1, "{alone}");
    }

    #[test]
    fn what_became_of_a_pod_is_said_with_its_reason() {
        let restarted = |reason: &str, exit_code| {
            what_became(&Fate::Restarted { container: "prometheus".into(), reason: reason.into(), exit_code })
        };
        assert_eq!(
            restarted("OOMKilled", Some(137)),
            "restarts: container prometheus was OOM-killed (kdoctor explain oom-killed)"
        );
        assert_eq!(restarted("Error", Some(2)), "restarts: container prometheus ended (Error, exit code 2)");
        assert_eq!(restarted("", None), "restarts: container prometheus ended");
        assert_eq!(what_became(&Fate::Ended("Evicted".into())), "ended: Evicted");
    }
}
