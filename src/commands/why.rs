//! `kdoctor why`: the chain of one thing, down to its root cause.

use std::collections::BTreeSet;

use anyhow::anyhow;

use super::run::{self, Aim, wait_for};
use crate::cli::{Output, Why};
use crate::model::{Chain, LinkState};
use crate::term::Printer;
use crate::why::{self, Unclear};
use crate::{checks, diagnose, render};

/// A link is broken.
const BROKEN: u8 = 1;
/// With `--strict`: a link could not be seen.
const UNSEEN: u8 = 3;

/// Runs the command; returns the exit code.
///
/// # Errors
/// There is no such thing, or what kept kdoctor from doing its job.
pub(super) fn run(args: &Why, printer: &Printer) -> anyhow::Result<u8> {
    if run::lists_demos(&args.source, printer)? {
        return Ok(0);
    }
    let checks = checks::registry();
    let mut plan = run::plan(diagnose::facts(&checks), args.stack.as_deref(), args.scope.all_namespaces);
    plan.beside =
        Some(why::namespace_of(&args.what).into_iter().chain(args.scope.namespace.clone()).collect::<BTreeSet<_>>());
    let run = wait_for(run::run(&args.source, plan, None, &checks, Aim::Everything, None, printer))?;
    let chain = why::chain(&run.snapshot, &run.report, &args.what, args.scope.namespace.as_deref(), &run.invocation);
    let chain = chain.map_err(|unclear| anyhow!("{}", told(&unclear, args)))?;
    let text = match args.output {
        Output::Table => render::why(&run.report, &chain, &render::TableOptions::new(printer, args.verbose)),
        Output::Markdown => {
            render::why_markdown(&run.report, &chain, render::MarkdownOptions { verbose: args.verbose, short: false })
        }
        Output::Json => render::why_json(&run.report, &chain)?,
    };
    printer.stdout(&text)?;
    Ok(exit_code(&chain, args.strict))
}

fn exit_code(chain: &Chain, strict: bool) -> u8 {
    match chain.broken() {
        Some(_) => BROKEN,
        None if strict && chain.count(LinkState::Unseen) > 0 => UNSEEN,
        None => 0,
    }
}

/// Why nothing can be shown, and what there is instead.
fn told(unclear: &Unclear, args: &Why) -> String {
    let Unclear { asked, kind, several, offered, more, unseen } = unclear;
    let mut lines = vec![match (several, *kind) {
        (true, _) => format!("{asked:?} is more than one thing; which is meant?"),
        (false, "") => format!("nothing that was seen is called {asked:?}"),
        (false, kind) => format!("there is no {kind} {asked:?} among what was seen"),
    }];
    if !several && !offered.is_empty() {
        lines.push("near it:".to_owned());
    }
    lines.extend(offered.iter().map(|what| format!("  kdoctor why {}", quoted(what))));
    if *more > 0 {
        lines.push(format!("  and {more} more"));
    }
    if !several {
        lines.extend(unseen.iter().map(|gap| format!("not seen: {gap}")));
        if !args.scope.all_namespaces && args.scope.namespace.is_none() && args.source.from.is_none() {
            lines.push("-n NAMESPACE or -A looks into other namespaces, too".to_owned());
        }
        if offered.is_empty() {
            lines.push(format!("kinds: {}", why::kinds().collect::<Vec<_>>().join(", ")));
        }
    }
    lines.join("\n")
}

/// As a shell takes it.
fn quoted(what: &str) -> String {
    shlex::try_quote(what).map_or_else(|_| what.to_owned(), std::borrow::Cow::into_owned)
}
