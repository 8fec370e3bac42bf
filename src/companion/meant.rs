//! Which root cause a word of the command line means.

use anyhow::bail;

use crate::model::{Finding, Report, RootGroup};
use crate::term::suggest;

/// The places of the roots that a word means: its number, its check, or its fingerprint.
///
/// # Errors
/// There is no such root.
pub fn meant(report: &Report, word: &str) -> anyhow::Result<Vec<usize>> {
    let roots: Vec<&Finding> = report.roots.iter().map(|g| &report.findings[g.root]).collect();
    if roots.is_empty() {
        bail!("there is no root cause to fix");
    }
    if let Ok(number) = word.parse::<usize>() {
        return match number.checked_sub(1).filter(|at| *at < roots.len()) {
            Some(at) => Ok(vec![at]),
            None => bail!("there is no root cause {number}: the last one is {}", roots.len()),
        };
    }
    let is_meant = |at: &usize| roots[*at].check.0 == word || roots[*at].fingerprint == word;
    let meant: Vec<usize> = (0..roots.len()).filter(is_meant).collect();
    if !meant.is_empty() {
        return Ok(meant);
    }
    // What a root explains is fixed there.
    let symptom =
        |g: &RootGroup| g.explains.iter().chain(&g.prerequisites).any(|at| report.findings[*at].check.0 == word);
    if let Some(at) = report.roots.iter().position(symptom) {
        bail!("{word} is no root cause here: it belongs to {}. {} (kdoctor fix {})", at + 1, roots[at].check, at + 1);
    }
    let mut names: Vec<&str> = Vec::new();
    for name in roots.iter().map(|root| root.check.0) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    match suggest(word, names.iter().copied()) {
        Some(near) => bail!("no root cause is called {word:?}; did you mean {near:?}?"),
        None => bail!("no root cause is called {word:?}; there are: {}", names.join(", ")),
    }
}
