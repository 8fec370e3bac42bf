//! What is said of a problem: what was meant, the line as it should be, what to do.

use crate::domain::text::redact::redact;
use crate::lint::Problem;
use crate::lint::yaml::quotes;
use crate::text::redact::mask_file;

/// The receiver in `undefined receiver "x" used in route`.
pub(super) fn undefined(why: &str) -> Option<String> {
    let (_, rest) = why.split_once("undefined receiver \"")?;
    rest.split_once('"').map(|(name, _)| name.to_owned())
}

pub(super) fn meant(problem: &Problem) -> String {
    problem.instead.as_ref().map(|m| format!("; perhaps `{m}` was meant")).unwrap_or_default()
}

/// The line at fault, and what it should be; the second is empty where it cannot be told.
pub(super) fn corrected(text: &str, problem: &Problem) -> (String, String) {
    let line = text.lines().nth(problem.place.line.saturating_sub(1)).unwrap_or_default();
    let shown = masked(line);
    let corrected = quotes::corrected(line, problem).map(|line| masked(&line));
    let corrected = corrected.or_else(|| {
        let meant = problem.instead.as_ref()?;
        let wrong = problem.message.split(['`', '"']).nth(1)?;
        line.contains(wrong).then(|| masked(&line.replacen(wrong, meant, 1)))
    });
    let corrected = corrected.or_else(|| line.contains('\t').then(|| line.replace('\t', "  ")));
    (shown, corrected.unwrap_or_default())
}

/// A line of a configuration without what may be secret in it.
pub(super) fn masked(line: &str) -> String {
    let line = &mask_file(line);
    // Spaces are the excerpt's meaning: only words with URLs are shortened.
    let mut out = line.to_owned();
    for word in line.split_whitespace().filter(|w| w.contains("://") || w.contains("hooks.slack.com/")) {
        let shown = if word.contains("://") { redact(word) } else { "<redacted>".to_owned() };
        out = out.replace(word, &shown);
    }
    out
}

/// What to do about a problem, where its kind tells.
pub(super) fn advice(problem: &Problem) -> String {
    let message = problem.message.as_str();
    let has = |part: &str| message.contains(part);
    let advice = if has("undefined receiver") {
        "Add the receiver to `receivers` (an empty one, with nothing but its name, sends nothing), or name one that is there."
    } else if has("undefined time interval") {
        "Define it in `time_intervals`, or name one that is there."
    } else if has("AlertmanagerConfig object") {
        "The object of the operator is applied with kubectl apply; this file needs Alertmanager's own format: route, receivers with slack_configs and the like."
    } else if has("Kubernetes object") {
        "Only the file inside the object belongs here."
    } else if has("placeholder") {
        "Put the URL into a Secret, mount it, and name its file: slack_api_url_file (api_url_file, url_file)."
    } else if has("no Slack API URL") {
        "Set slack_api_url_file (or slack_api_url) in global, or api_url_file in the receiver."
    } else if has("is older than 0.") {
        "Upgrade Alertmanager, or use an integration that this version knows (webhook_configs)."
    } else if has("tab") {
        "Indent with spaces."
    } else if has("not a valid duration") {
        "Write a number and a unit: 30s, 5m, 4h."
    } else if has("bad matcher format") {
        "A matcher is a label, an operator (=, !=, =~, !~) and a value: severity = \"critical\"."
    } else if has("at most one of") {
        "Remove one of the two."
    } else if has("empty") || has("no route provided") {
        "Put the configuration back: it needs at least a route with a receiver, and that receiver."
    } else {
        ""
    };
    advice.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::Place;

    #[test]
    fn hides_what_is_secret_and_keeps_the_columns() {
        assert_eq!(masked("3 |   auth_password: x y"), "3 |   auth_password: <redacted>");
        assert_eq!(masked("  auth_password_file: /x"), "  auth_password_file: /x");
        assert_eq!(
            masked("  slack_api_url: https://hooks.slack.com/services/T/B/X"),
            "  slack_api_url: https://hooks.slack.com/services/<redacted>"
        );
        assert_eq!(masked("    - severity = \"a\""), "    - severity = \"a\"");
    }

    #[test]
    fn corrects_the_word_at_fault() {
        let problem = Problem::new(Place { line: 2, column: 3 }, "", "unknown field `chanel`").instead(Some("channel"));
        assert_eq!(corrected("a:\n  chanel: '#a'\n", &problem).1, "  channel: '#a'");
        assert_eq!(undefined("undefined receiver \"null\" used in route").as_deref(), Some("null"));
    }
}
