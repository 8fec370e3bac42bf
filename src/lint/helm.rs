//! Text that Helm should have rendered.

use super::Problem;

/// Says of problems that stand on an unrendered template that this is what they are. Rules have templates of their own.
pub(super) fn explain(text: &str, rules: bool, mut problems: Vec<Problem>) -> Vec<Problem> {
    let lines: Vec<&str> = text.lines().collect();
    for problem in &mut problems {
        let near = [problem.place.line, problem.place.line.saturating_sub(1)];
        let raw = near.iter().filter_map(|n| lines.get(n.checked_sub(1)?)).find_map(|line| action(line, rules));
        if let Some(action) = raw {
            problem.message = format!("{} (an unrendered Helm template: {action})", problem.message);
            problem.instead = None;
        }
    }
    problems
}

/// What only Helm knows.
const HELM: &[&str] = &[".Values", ".Release", ".Chart", ".Capabilities", "include ", "toYaml", "tpl "];

/// `{{ .Values.x }}`; in a file without templates of its own any line that begins with an action.
fn action(line: &str, rules: bool) -> Option<&str> {
    let from = line.find("{{")?;
    let to = line[from..].find("}}").map_or(line.len(), |at| from + at + 2);
    let action = &line[from..to];
    let own_line = !rules && line.trim_start().starts_with("{{");
    (own_line || HELM.iter().any(|w| action.contains(w))).then_some(action)
}
