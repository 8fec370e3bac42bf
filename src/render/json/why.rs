//! The chain of one thing as JSON: frozen types of their own, `schema_version` 1.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Evidence, Failure, Finding, GapRecord, SCHEMA_VERSION, Subject, Tool, convert, evidence, gap, subject, tool,
};
use crate::model;
use crate::term::json_escaped;

/// What `kdoctor why` writes to stdout: a chain, or why there is none.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum WhyDocument {
    /// A chain.
    Chain(Box<Why>),
    /// There is no such thing, or kdoctor could not do its job; the exit code is 2.
    #[expect(dead_code, reason = "a part of the schema; what went wrong is written as it is for every command")]
    Failure(Failure),
}

/// The chain of one thing.
#[derive(Debug, Serialize, JsonSchema)]
struct Why {
    /// Version of this format: 1.
    schema_version: u32,
    /// What made the document.
    tool: Tool,
    /// When it was looked at, RFC 3339.
    collected_at: String,
    /// What it is about, as it can be asked for: `pod/monitoring/prometheus-0`.
    what: String,
    /// Which of several it is; empty where it is the only one.
    note: String,
    /// `broken`: a link is; else `unseen`: a link could not be seen; else `right`.
    state: String,
    /// The links in order.
    links: Vec<Link>,
    /// Ids of the root findings that explain the broken links.
    roots: Vec<String>,
    /// Ids of findings about its things that break none of its links.
    beside: Vec<String>,
    /// The findings that the ids name, as in a report.
    findings: Vec<Finding>,
}

/// One link of a chain.
#[derive(Debug, Serialize, JsonSchema)]
struct Link {
    /// What it is.
    title: String,
    /// `right`, `broken`, `unseen`, or `idle`: it does not count now.
    state: String,
    /// What was seen, in one sentence; may be empty where it could not be.
    text: String,
    /// The resources that it consists of.
    about: Vec<Subject>,
    /// Where it was seen, with a command that shows it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
    /// Why it could not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<GapRecord>,
    /// Ids of the findings that break it, the nearest first, then what explains them, up to the root or to what breaks
    /// another link.
    findings: Vec<String>,
}

/// The chain as JSON text.
///
/// # Errors
/// Never in practice: all fields are plain data.
pub fn why_json(report: &model::Report, chain: &model::Chain) -> Result<String, serde_json::Error> {
    let mut text = json_escaped(&serde_json::to_string_pretty(&WhyDocument::Chain(Box::new(why(report, chain))))?);
    text.push('\n');
    Ok(text)
}

/// The JSON Schema of what `kdoctor why` writes.
pub fn why_schema() -> serde_json::Value {
    schemars::schema_for!(WhyDocument).to_value()
}

fn why(report: &model::Report, chain: &model::Chain) -> Why {
    let id = |at: &usize| report.findings[*at].fingerprint.clone();
    let roots: Vec<usize> = chain.roots.iter().map(|at| report.roots[*at].root).collect();
    let of_links = chain.links.iter().flat_map(|l| &l.findings);
    let needed = chain.roots.iter().flat_map(|at| &report.roots[*at].prerequisites);
    let told: BTreeSet<usize> = of_links.chain(needed).chain(&roots).chain(&chain.beside).copied().collect();
    let state = match chain.broken() {
        Some(_) => "broken",
        None if chain.count(model::LinkState::Unseen) > 0 => "unseen",
        None => "right",
    };
    let findings = convert(report).findings.into_iter().enumerate();
    Why {
        schema_version: SCHEMA_VERSION,
        tool: tool(),
        collected_at: report.collected_at.to_string(),
        what: chain.what.clone(),
        note: chain.note.clone(),
        state: state.to_owned(),
        links: chain.links.iter().map(|l| link(l, &id)).collect(),
        roots: roots.iter().map(id).collect(),
        beside: chain.beside.iter().map(id).collect(),
        findings: findings.filter(|(at, _)| told.contains(at)).map(|(_, f)| f).collect(),
    }
}

fn link(link: &model::Link, id: &impl Fn(&usize) -> String) -> Link {
    Link {
        title: link.title.clone(),
        state: link.state.as_str().to_owned(),
        text: link.text.clone(),
        about: link.about.iter().map(subject).collect(),
        evidence: link.evidence.as_ref().map(evidence),
        gap: link.gap.as_ref().map(gap),
        findings: link.findings.iter().map(id).collect(),
    }
}
