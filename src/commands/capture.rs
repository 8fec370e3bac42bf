//! `kdoctor capture`: what the checks read, as a file that `--from` reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;

use super::run::{self, Gathered, Opened, consent, gather, open, selected, wait_for};
use crate::bundle::{Bundle, Captured, Recording, Rewriting, Rewritten, Scope};
use crate::checks::Check;
use crate::cli::Capture;
use crate::collect::Plan;
use crate::collect::probe::Consent;
use crate::collect::source::Known;
use crate::model::{Fact, Gap, GapCause, Report, Silent};
use crate::term::{Printer, Progress, interrupt, sanitize_lines};
use crate::text::redact::mask;
use crate::{diagnose, pages};

/// Gaps that are printed; all of them stand in the bundle.
const MAX_GAPS: usize = 15;

/// Captures; the exit code is 0 also where something could not be seen: that is part of what was captured.
///
/// # Errors
/// The cluster cannot be asked, or the bundle cannot be written.
pub(super) fn run(args: &Capture, printer: &Printer) -> anyhow::Result<u8> {
    let text = wait_for(capture(args, printer))?;
    printer.stdout(&text).context("the summary could not be written")?;
    Ok(0)
}

async fn capture(args: &Capture, printer: &Printer) -> anyhow::Result<String> {
    let checks = selected(&args.select)?;
    let facts = if args.all { Fact::ALL.iter().copied().collect() } else { run::aim(&args.select, &checks).0 };
    let all_namespaces = args.scope.all_namespaces || args.all;
    let plan = run::plan(facts, args.scope.namespace.as_deref(), all_namespaces);
    let live = args.source.is_live();
    let progress = Arc::new(Progress::new(printer.progress && live));
    let plan = Plan { probe: consent(args.probe, live, printer, &progress)?, ..plan };
    let opened = open(&args.source, plan.facts.iter().any(|f| f.is_aws())).await?;
    let (known, at) = (opened.source.known(), opened.collected_at);
    let scope = Scope {
        namespace: args.scope.namespace.clone().or_else(|| opened.scope.as_ref()?.namespace.clone()),
        all_namespaces: all_namespaces || opened.scope.as_ref().is_some_and(|scope| scope.all_namespaces),
        probes: match &opened.scope {
            _ if live => args.probe.is_some(),
            Some(scope) => scope.probes,
            None => true,
        },
        only: args.select.only.clone(),
        skip: args.select.skip.clone(),
    };
    let named = if args.anonymize { Known::default() } else { known };
    let target = args.output.clone().unwrap_or_else(|| default_name(&named, at));
    let name = target.display().to_string();
    let failed = || format!("{name} cannot be written");
    let again = args.anonymize.then(|| Rewriting::new(&target, at)).transpose().with_context(failed)?.map(Arc::new);
    let first = again.as_ref().map_or_else(|| target.clone(), |again| again.first());
    let recording = Recording::new(Arc::clone(&opened.source), &first, at, args.max_size).with_context(failed)?;
    let recording = Arc::new(recording);
    let (partial, said_by, ended) = (recording.partial().to_owned(), printer.clone(), Arc::clone(&recording));
    let ended_again = again.as_ref().map(Arc::downgrade);
    interrupt::on_leave(move || {
        // Nobody wants half of it.
        ended.abandon();
        let _ = std::fs::remove_file(&partial).or_else(|_| std::fs::remove_dir_all(&partial));
        if let Some(again) = ended_again.as_ref().and_then(std::sync::Weak::upgrade) {
            again.abandon();
        }
        said_by.stderr("kdoctor: interrupted");
    });
    let source = Arc::clone(&recording);
    let opened = Opened { source, ..opened };
    let gathered = gather(opened, plan.clone(), progress.clone()).await;
    progress.finish();
    let Gathered { snapshot, .. } = gathered?;
    let report = diagnose::run_checks(&snapshot, &checks);
    let captured = recording.finish(at, &snapshot.target, scope.clone()).with_context(failed)?;
    let anonymous = match again {
        Some(again) => {
            let rewritten = tokio::task::block_in_place(|| again.write(&captured)).with_context(failed)?;
            Some(Anonymous { rewritten, differs: differs(&target, plan, &checks, &report).await? })
        }
        None => None,
    };
    Ok(format!("{}\n", sanitize_lines(&mask(&told(&report, &captured, anonymous.as_ref(), &scope, &target)))))
}

/// What was written without names.
struct Anonymous {
    rewritten: Rewritten,
    /// Checks that find something else in it.
    differs: Vec<&'static str>,
}

/// The checks that do not find in a bundle what they found before its names were replaced.
async fn differs(
    target: &Path,
    plan: Plan,
    checks: &[&'static dyn Check],
    before: &Report,
) -> anyhow::Result<Vec<&'static str>> {
    let probe = plan.probe.as_ref().map(|_| Consent::given());
    // Where to look, the bundle says by its own names.
    let plan = Plan { probe, namespace: None, all_namespaces: false, ..plan };
    let gathered = gather(Opened::bundle(Bundle::open(target)?), plan, Arc::new(Silent)).await?;
    let after = diagnose::run_checks(&gathered.snapshot, checks);
    let (before, after) = (found(before), found(&after));
    let either = before.keys().chain(after.keys());
    let differs: BTreeSet<&str> = either.filter(|key| before.get(key) != after.get(key)).map(|key| key.0).collect();
    Ok(differs.into_iter().collect())
}

/// How often a check found what, and whether as a root cause.
fn found(report: &Report) -> BTreeMap<(&'static str, &'static str, bool), usize> {
    let mut all = BTreeMap::new();
    for (at, finding) in report.findings.iter().enumerate() {
        let is_root = report.roots.iter().any(|group| group.root == at);
        *all.entry((finding.check.0, finding.variant, is_root)).or_default() += 1;
    }
    all
}

/// `kdoctor-CLUSTER-TIME.tar.zst`.
fn default_name(known: &Known, at: Timestamp) -> PathBuf {
    let cluster = known.cluster.as_deref().or(known.context.as_deref()).unwrap_or("cluster");
    // Of an ARN the name alone.
    let cluster = cluster.rsplit('/').next().unwrap_or(cluster);
    let is_kept = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let cluster: String = cluster.chars().map(is_kept).take(60).collect();
    PathBuf::from(format!("kdoctor-{cluster}-{}.tar.zst", at.strftime("%Y%m%dT%H%M%SZ")))
}

/// What was taken, what was not, and what to do with it.
fn told(report: &Report, captured: &Captured, anonymous: Option<&Anonymous>, scope: &Scope, target: &Path) -> String {
    let size = anonymous.map_or(&captured.size, |anonymous| &anonymous.rewritten.size);
    let packed = if size.packed > 0 { format!(", packed {}", bytes(size.packed)) } else { String::new() };
    let mut out = format!("{}: {} files, {}{packed}\n", target.display(), size.files, bytes(size.bytes));
    let of = &report.target;
    let cluster = of.cluster.as_deref().or(of.context.as_deref()).unwrap_or("a cluster whose name is not known");
    let _ = writeln!(out, "  of {cluster} at {}", report.collected_at);
    let namespaces = if scope.all_namespaces { "all".to_owned() } else { of.namespaces.join(", ") };
    let _ = writeln!(out, "  namespaces of the stack: {namespaces}");
    out.push_str("  secrets and the names in e-mail addresses are replaced by tokens; no Secret was read.\n");
    match anonymous {
        Some(anonymous) => replaced(&mut out, anonymous),
        None => {
            out.push_str(
                "  Names of hosts, objects and accounts, addresses and logs are in it: look before you pass it on\n",
            );
        }
    }
    if !captured.left_out.is_empty() {
        let _ = writeln!(out, "\nleft out for the size (--max-size): {}", captured.left_out.join(", "));
    }
    let gaps: Vec<&Gap> = report.gaps.iter().filter(|gap| gap.cause != GapCause::NotCollected).collect();
    if !gaps.is_empty() {
        out.push_str("\ncould not be seen; the bundle says so in its place\n");
        let alike = alike(&gaps);
        for (gap, more) in alike.iter().take(MAX_GAPS) {
            let more = if *more > 0 { format!(" (and {more} more calls with the same answer)") } else { String::new() };
            let _ = writeln!(out, "  {gap}{more}");
        }
        if alike.len() > MAX_GAPS {
            let _ = writeln!(out, "  and {} more", alike.len() - MAX_GAPS);
        }
    }
    let _ = write!(
        out,
        "\nlook at it\n  kdoctor monitoring --from {}{}",
        pages::quoted(&target.to_string_lossy()),
        flags(scope)
    );
    out
}

/// What was replaced, and what it changed.
fn replaced(out: &mut String, anonymous: &Anonymous) {
    let replaced = &anonymous.rewritten.replaced;
    let count = |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let counts = [
        count(replaced.words, "word of names", "words of names"),
        count(replaced.accounts, "account", "accounts"),
        count(replaced.addresses, "address", "addresses"),
        count(replaced.ids, "id of AWS", "ids of AWS"),
    ];
    let _ = writeln!(out, "  replaced, the same by the same: {}", counts.join(", "));
    if anonymous.differs.is_empty() {
        out.push_str("  Its report finds the same as before.\n");
    } else {
        let differs = anonymous.differs.join(", ");
        let _ = writeln!(out, "  Its report differs from the one before in what these checks find: {differs}");
    }
    out.push_str("  Logs and what else people write in their own words are in it: look before you pass it on\n");
}

/// Gaps that say the same are one line: the first, and how many there are beside it.
fn alike<'a>(gaps: &[&'a Gap]) -> Vec<(&'a Gap, usize)> {
    let mut all: Vec<(&Gap, usize)> = Vec::new();
    for gap in gaps {
        match all.iter_mut().find(|(known, _)| known.cause == gap.cause && known.message == gap.message) {
            Some((_, more)) => *more += 1,
            None => all.push((gap, 0)),
        }
    }
    all
}

/// What was left out of the bundle is left out of the report, too.
fn flags(scope: &Scope) -> String {
    let flag = |name: &str, words: &[String]| {
        if words.is_empty() { String::new() } else { format!(" --{name} {}", words.join(",")) }
    };
    format!("{}{}", flag("only", &scope.only), flag("skip", &scope.skip))
}

fn bytes(number: u64) -> String {
    match number {
        ..1024 => format!("{number} B"),
        1024..1_048_576 => format!("{} KiB", number >> 10),
        // Only shown: a tenth is exact enough.
        _ => format!("{}.{} MiB", number >> 20, ((number & ((1 << 20) - 1)) * 10) >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_the_cluster_and_the_time() {
        let at: Timestamp = "2026-11-21T10:20:30Z".parse().expect("a time");
        let of = |context: &str| {
            default_name(&Known { context: Some(context.into()), ..Known::default() }, at).display().to_string()
        };
        assert_eq!(of("arn:aws:eks:eu-west-1:1:cluster/shop"), "kdoctor-shop-20261121T102030Z.tar.zst");
        assert_eq!(of("a b:c"), "kdoctor-a-b-c-20261121T102030Z.tar.zst");
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(bytes(12), "12 B");
        assert_eq!(bytes(5000), "4 KiB");
        assert_eq!(bytes((3 << 20) + (1 << 19)), "3.5 MiB");
    }
}
