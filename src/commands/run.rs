//! One run: where the facts come from, what is collected, and what it means.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use include_dir::{Dir, include_dir};
use jiff::Timestamp;

use crate::bundle::{Bundle, Scope};
use crate::checks::{self, Check};
use crate::cli::{ProbeMode, SelectArgs, SourceArgs};
use crate::collect::client::Client;
use crate::collect::live::{ConnectOptions, Live};
use crate::collect::manifests::{self, Read};
use crate::collect::memory::{Memory, Remembering};
use crate::collect::probe::Consent;
use crate::collect::source::{Known, Source};
use crate::collect::until::Until;
use crate::collect::{self, Plan};
use crate::diagnose;
use crate::domain::aws::identity::Identity;
use crate::model::{Fact, Gap, GapCause, Observer, Report};
use crate::pages::{self, Invocation};
use crate::snapshot::Snapshot;
use crate::term::{Asking, Printer, Progress, sanitize, suggest};

/// Incidents that are part of the binary.
static DEMOS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/demo");
/// The incident that `--demo` shows without a name.
const DEFAULT_DEMO: &str = "ebs-csi-missing";

/// Bytes of a worker's stack: many lists at once make a large future, larger still without optimisation.
const STACK: usize = 8 << 20;

/// Threads that wait for answers and read them.
const THREADS: usize = 4;

/// Waits for what asks the outside.
pub(super) fn wait_for<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // The number is ours: the runtime would take it from a variable, and panic over a bad one.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_stack_size(STACK)
        .enable_all()
        .build();
    let runtime = runtime.context("no async runtime")?;
    let result = runtime.block_on(work);
    // Calls that are still open must not hold up the exit.
    runtime.shutdown_background();
    result
}

/// Waits no longer than this for work that may block, as plugins for credentials do; then it is left to itself.
pub(super) fn at_most<T: Send + 'static>(
    deadline: Duration,
    work: impl FnOnce() -> Option<T> + Send + 'static,
) -> Option<T> {
    let (sender, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Nobody may wait for it any more.
        let _ = sender.send(work());
    });
    answer.recv_timeout(deadline).ok().flatten()
}

/// Reads the files that were given, where any were.
///
/// # Errors
/// Not one of them is readable.
pub(super) fn read(files: &[String]) -> anyhow::Result<Option<Read>> {
    if files.is_empty() {
        return Ok(None);
    }
    let read = manifests::read(files);
    if read.is_empty() {
        let faults: Vec<String> = read.faults.iter().map(ToString::to_string).collect();
        bail!("{}", faults.join("\nkdoctor: "))
    }
    Ok(Some(read))
}

/// The checks that the flags choose.
pub(super) fn selected(args: &SelectArgs) -> anyhow::Result<Vec<&'static dyn Check>> {
    let known = checks::selectors();
    for word in args.only.iter().chain(&args.skip) {
        if !known.contains(&word.as_str()) {
            match suggest(word, known.iter().copied()) {
                Some(near) => {
                    bail!("no check or suite is called {word:?}; did you mean {near:?}? (kdoctor list shows all)")
                }
                None => bail!("no check or suite is called {word:?}; kdoctor list shows all"),
            }
        }
    }
    let checks = checks::select(&args.only, &args.skip);
    if checks.is_empty() {
        bail!("--only and --skip leave no check to run");
    }
    Ok(checks)
}

/// What to collect, and where.
pub(super) fn plan(facts: BTreeSet<Fact>, namespace: Option<&str>, all_namespaces: bool) -> Plan {
    let mut plan = Plan::new(facts, Timestamp::default());
    plan.facts.extend(all_namespaces.then_some(Fact::Namespaces));
    plan.namespace = namespace.map(str::to_owned);
    plan.all_namespaces = all_namespaces;
    plan
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// The checks, and what the systems themselves say is wrong.
    Everything,
    /// Some checks alone.
    Checks,
    /// What files would bring.
    Files {
        /// What the cluster has anyway counts, too.
        cluster_too: bool,
    },
}

/// What a run of these checks reads, and what for. Whoever asks for some checks asks for nothing else.
pub(super) fn aim(args: &SelectArgs, checks: &[&'static dyn Check]) -> (BTreeSet<Fact>, Aim) {
    if args.only.is_empty() {
        (diagnose::facts(checks), Aim::Everything)
    } else {
        (diagnose::facts_of(checks), Aim::Checks)
    }
}

/// What a run saw, and what it means.
pub(super) struct Run {
    /// The facts.
    pub(super) snapshot: Snapshot,
    /// What they mean.
    pub(super) report: Report,
    /// What commands need to reach the same cluster.
    pub(super) invocation: Invocation,
}

/// The cluster cannot be asked at all.
#[derive(Debug, thiserror::Error)]
#[error("the cluster cannot be asked: {0}\n  {hint}", hint = .0.hint)]
pub(super) struct Unasked(pub(super) Gap);

/// What was asked, and how often.
pub(super) struct Gathered {
    /// The facts.
    pub(super) snapshot: Snapshot,
    /// Calls made.
    pub(super) calls: usize,
}

/// Collects what the plan asks for.
///
/// # Errors
/// [`Unasked`]
pub(super) async fn gather(opened: Opened, plan: Plan, observer: Arc<dyn Observer>) -> anyhow::Result<Gathered> {
    let Opened { source, collected_at, scope } = opened;
    // What a bundle does not hold for nobody asked for it is not missing.
    let none_ran = scope.as_ref().is_some_and(|scope| !scope.probes);
    let mut plan = within(Plan { collected_at, ..plan }, scope);
    plan.probe = plan.probe.filter(|_| !none_ran);
    let endpoint = source.known().endpoint;
    let client = Client::new(source, observer);
    let snapshot = collect::gather(&client, &plan).await.map_err(|gap| Unasked(at(endpoint, gap)))?;
    Ok(Gathered { snapshot, calls: client.calls() })
}

/// Where nothing answers, who was meant: `Connection refused (https://10.0.0.1/)`.
fn at(endpoint: Option<String>, mut gap: Gap) -> Gap {
    if let Some(endpoint) = endpoint.filter(|_| matches!(gap.cause, GapCause::Unreachable | GapCause::Timeout)) {
        gap.message = format!("{} ({endpoint})", gap.message);
    }
    gap
}

/// Collects what the plan asks for, and diagnoses it; with a memory, for who looks again.
pub(super) async fn run(
    args: &SourceArgs,
    plan: Plan,
    probe: Option<ProbeMode>,
    checks: &[&'static dyn Check],
    aim: Aim,
    memory: Option<&Arc<Memory>>,
    printer: &Printer,
) -> anyhow::Result<Run> {
    let live = args.is_live();
    let progress = Arc::new(Progress::new(printer.progress && live));
    let plan = Plan { probe: consent(probe, live, printer, &progress)?, ..plan };
    let run = observed(args, plan, checks, aim, progress.clone(), memory).await;
    progress.finish();
    run
}

/// The same, with somebody else who hears of the calls.
pub(super) async fn observed(
    args: &SourceArgs,
    plan: Plan,
    checks: &[&'static dyn Check],
    aim: Aim,
    observer: Arc<dyn Observer>,
    memory: Option<&Arc<Memory>>,
) -> anyhow::Result<Run> {
    let mut opened = open(args, plan.facts.iter().any(|f| f.is_aws())).await?;
    let known = opened.source.known();
    let start = Instant::now();
    let live = args.is_live();
    if let Some(limit) = args.deadline.filter(|_| live) {
        opened.source = Arc::new(Until::new(opened.source, limit));
    }
    if let Some(memory) = memory.filter(|_| live) {
        opened.source = Arc::new(Remembering::begin(opened.source, Arc::clone(memory), observer.as_ref()).await);
    }
    let Gathered { snapshot: mut snap, calls } = gather(opened, plan, observer).await?;
    snap.thresholds = args.settings.thresholds;
    let mut report = match aim {
        Aim::Everything => args.settings.grades.run(&snap, checks),
        Aim::Checks => args.settings.grades.run_checks(&snap, checks),
        Aim::Files { cluster_too } => args.settings.grades.run_files(&mut snap, checks, cluster_too),
    };
    diagnose::mute(&mut report, &args.settings.mutes);
    let invocation = invocation(args, live.then_some(&known), &snap);
    pages::apply(&mut report, &invocation);
    report.stats.calls = calls;
    report.stats.elapsed_ms = live.then(|| u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    Ok(Run { snapshot: snap, report, invocation })
}

/// What the printed commands need to reach the same cluster: what the user gave, and of a live cluster what was found out
/// and is not what the user's shell says anyway. Of a bundle nobody knows how its reader reaches the cluster. The region is the
/// cluster's own, whoever reads of it and wherever.
pub(super) fn invocation(args: &SourceArgs, live: Option<&Known>, snap: &Snapshot) -> Invocation {
    let own = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"].into_iter().find_map(|name| std::env::var(name).ok());
    let profile = live.and_then(|k| k.profile.clone()).filter(|p| own.as_ref() != Some(p));
    let region = Identity::of(snap).region.map(str::to_owned);
    Invocation {
        context: args.context.clone(),
        kubeconfig: args.kubeconfig.as_ref().map(|path| path.to_string_lossy().into_owned()),
        profile: args.profile.clone().or(profile),
        region: args.region.clone().or(region),
    }
}

/// Who allows probes. A bundle's probes were allowed when it was captured.
pub(super) fn consent(
    mode: Option<ProbeMode>,
    live: bool,
    printer: &Printer,
    progress: &Arc<Progress>,
) -> anyhow::Result<Option<Consent>> {
    match mode {
        _ if !live => Ok(Some(Consent::given())),
        None => Ok(None),
        Some(ProbeMode::Yes) => Ok(Some(Consent::given())),
        Some(ProbeMode::Ask) => {
            if !printer.can_ask() {
                bail!("--probe asks before each probe, and there is no terminal to ask on; --probe=yes runs them all");
            }
            let progress = Arc::clone(progress);
            let asking = Mutex::new(Asking::default());
            Ok(Some(Consent::new(move |probe| {
                progress.suspend(|| asking.lock().is_ok_and(|mut asking| asking.allows(probe)))
            })))
        }
    }
}

/// Where the facts come from.
pub(super) struct Opened {
    /// The cluster, or a bundle of one.
    pub(super) source: Arc<dyn Source>,
    /// The clock of the run.
    pub(super) collected_at: Timestamp,
    /// What was asked for when a bundle was captured.
    pub(super) scope: Option<Scope>,
}

impl Opened {
    /// A bundle.
    pub(super) fn bundle(bundle: Bundle) -> Self {
        let (collected_at, scope) = (bundle.collected_at(), bundle.scope().cloned());
        Self { source: Arc::new(bundle), collected_at, scope }
    }
}

/// Without flags of its own, a run over a bundle looks at what the bundle is of.
fn within(plan: Plan, scope: Option<Scope>) -> Plan {
    match scope {
        Some(scope) if plan.namespace.is_none() && !plan.all_namespaces => {
            let mut facts = plan.facts;
            facts.extend(scope.all_namespaces.then_some(Fact::Namespaces));
            Plan { facts, namespace: scope.namespace, all_namespaces: scope.all_namespaces, ..plan }
        }
        _ => plan,
    }
}

/// Names of altered files that are printed.
const MAX_ALTERED: usize = 3;

/// What was changed after the capture may be right: it is said, and read.
fn tell_altered(bundle: &Bundle) {
    let altered = bundle.altered();
    if altered.is_empty() {
        return;
    }
    let first = altered.iter().take(MAX_ALTERED).cloned().collect::<Vec<_>>().join(", ");
    let more = if altered.len() > MAX_ALTERED { ", …" } else { "" };
    let files = if altered.len() == 1 { "1 file is" } else { &format!("{} files are", altered.len()) };
    Printer::plain()
        .stderr(&format!("kdoctor: {files} not as captured (by SHA-256 in kdoctor.json): {}{more}", sanitize(&first)));
}

/// Opens what the flags name.
///
/// # Errors
/// There is no such bundle, or no such cluster.
pub(super) async fn open(args: &SourceArgs, aws: bool) -> anyhow::Result<Opened> {
    if let Some(path) = &args.from {
        let bundle = Bundle::open(path)?;
        tell_altered(&bundle);
        return Ok(Opened::bundle(bundle));
    }
    if let Some(name) = &args.demo {
        return Ok(Opened::bundle(Bundle::embedded(demo(name)?)?));
    }
    let live = live(args, aws).await?;
    let collected_at = args.now.unwrap_or_else(Timestamp::now);
    Ok(Opened { source: Arc::new(live), collected_at, scope: None })
}

/// The cluster that the flags name.
pub(super) async fn live(args: &SourceArgs, aws: bool) -> anyhow::Result<Live> {
    Ok(Live::connect(options(args, aws)).await?)
}

/// How it is reached.
pub(super) fn options(args: &SourceArgs, aws: bool) -> ConnectOptions {
    ConnectOptions {
        kubeconfig: args.kubeconfig.clone(),
        context: args.context.clone(),
        cluster_name: args.cluster_name.clone(),
        region: args.region.clone(),
        profile: args.profile.clone(),
        prometheus_url: args.prometheus_url.clone(),
        alertmanager_url: args.alertmanager_url.clone(),
        grafana_url: args.grafana_url.clone(),
        grafana_token: args.grafana_token.as_ref().and_then(|t| t.header().cloned()),
        timeout: args.timeout,
        aws,
    }
}

pub(super) fn demo_names() -> Vec<&'static str> {
    let mut names: Vec<_> = DEMOS.dirs().filter_map(|d| d.path().file_name()?.to_str()).collect();
    names.sort_unstable();
    names
}

fn demo(name: &str) -> anyhow::Result<&'static Dir<'static>> {
    let name = if name.is_empty() { DEFAULT_DEMO } else { name };
    let names = demo_names();
    DEMOS.get_dir(name).with_context(|| match suggest(name, names.iter().copied()) {
        Some(near) => format!("there is no demo {name:?}; did you mean {near:?}? (--demo list shows all)"),
        None => format!("there is no demo {name:?}; there are: {}", names.join(", ")),
    })
}

/// `--demo list`: prints the names of what is built in; true where that is what was asked for.
pub(super) fn lists_demos(args: &SourceArgs, printer: &Printer) -> anyhow::Result<bool> {
    if args.demo.as_deref() != Some("list") {
        return Ok(false);
    }
    let mut out = String::new();
    for name in demo_names() {
        let default = if name == DEFAULT_DEMO { "  (default)" } else { "" };
        out.push_str(&format!("{name}{default}\n"));
    }
    printer.stdout(&out)?;
    Ok(true)
}
