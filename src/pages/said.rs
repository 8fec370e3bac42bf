//! What was said stands among the evidence of a finding: its fix need not say it again.

use crate::model::{Evidence, Finding, Remediation, Step, StepKind};

/// Observations that a report shows of a finding.
const SHOWN: usize = 4;
/// Letters from which on words are those of one line and of no other.
const TELLING: usize = 16;

/// Takes `What was said: …` out of the notes of a fix where the evidence shows it. A note that says nothing else goes.
pub(super) fn once(finding: &mut Finding) {
    let Some(said) = finding.params.values().get("detail").and_then(|v| v.as_str()) else { return };
    if !finding.evidence.iter().take(SHOWN).any(|e| shows(e, said)) {
        return;
    }
    let sentence = super::render::one_stop(&format!("What was said: {said}."));
    let Remediation { steps, options, .. } = &mut finding.remediation;
    for steps in std::iter::once(steps).chain(options.iter_mut().map(|o| &mut o.steps)) {
        steps.iter_mut().for_each(|step| without(step, &sentence));
        steps.retain(|step| step.kind != StepKind::Note || !step.text.is_empty());
    }
}

fn without(step: &mut Step, sentence: &str) {
    if step.kind == StepKind::Note && step.text.contains(sentence) {
        let parts = step.text.splitn(2, sentence).map(str::trim).filter(|part| !part.is_empty());
        step.text = parts.collect::<Vec<_>>().join(" ");
    }
}

/// The words are there, whatever quotes and names of fields stand between a message and its error.
fn shows(evidence: &Evidence, said: &str) -> bool {
    let shown = letters(&evidence.value);
    let error = said.split_once(": ").map(|(_, error)| letters(error)).filter(|e| e.len() >= TELLING);
    shown.contains(&letters(said)) || error.is_some_and(|error| shown.contains(&error))
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckId, ResourceRef, Risk, Severity};

    fn notes(said: &str, line: &str, text: &str) -> Vec<String> {
        let mut finding = Finding::new(CheckId("x"), Severity::Error, ResourceRef::node("a"), "it fails");
        finding.params.set("detail", said);
        finding.evidence = vec![Evidence::new("log", line, "")];
        finding.remediation.steps = vec![Step {
            kind: StepKind::Note,
            risk: Risk::ReadOnly,
            text: text.to_owned(),
            command: String::new(),
            keeps: false,
            of: CheckId("x"),
            placeholders: Vec::new(),
        }];
        once(&mut finding);
        finding.remediation.steps.into_iter().map(|s| s.text).collect()
    }

    #[test]
    fn what_the_evidence_shows_is_not_said_again() {
        let said = "push failed: rpc error: code = Unknown desc = \"no room\"";
        let line = r#"level=error msg="push failed" err="rpc error: code = Unknown desc = \"no room\"""#;
        let note = format!("What was said: {said}. It is full.");
        assert_eq!(notes(said, line, &note), ["It is full."]);
        assert_eq!(notes(said, "level=error msg=other", &note), std::slice::from_ref(&note));
        assert_eq!(notes(said, line, &format!("Plugin a. What was said: {said}.")), ["Plugin a."]);
        assert!(notes(said, line, &format!("What was said: {said}.")).is_empty(), "nothing is left of it");
    }
}
