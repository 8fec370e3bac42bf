//! A dashboard of Grafana as JSON, as strict as Grafana's provisioning reads it, and the brackets of its queries. Which
//! metrics and datasources there are is not asked here.

use serde::Deserialize;
use serde_json::Value;

use super::{Place, Problem};

/// The longest uid that Grafana takes.
const MAX_UID: usize = 40;
/// Panels lie in rows, and rows in the dashboard.
const DEPTH: usize = 3;

/// What is wrong with a dashboard, with places in its text. `provisioned`: Grafana reads it as a file, and not from its API.
pub(crate) fn lint(text: &str, provisioned: bool) -> Vec<Problem> {
    // Grafana reads one value and does not look further.
    let mut reader = serde_json::Deserializer::from_str(text);
    let json = match Value::deserialize(&mut reader) {
        Ok(json) => json,
        Err(fault) => return vec![not_json(text, &fault)],
    };
    // Resources of its newer API go another way.
    if json.get("apiVersion").is_some() && json.get("kind").is_some() {
        return Vec::new();
    }
    let dashboard = inner(&json);
    let wrapped = !std::ptr::eq(dashboard, &json);
    let mut found = Vec::new();
    let place = |key: &str, value: &str| place_of(text, &[&quoted(key), &quoted(value)]);
    if wrapped && provisioned {
        let message =
            "the dashboard stands below \"dashboard\", as the API answers it: a file holds what is inside of it";
        found.push(Problem::new(place_of(text, &[&quoted("dashboard")]), "dashboard", message));
    } else if dashboard.get("title").and_then(Value::as_str).is_none_or(str::is_empty) {
        let message = "Dashboard title cannot be empty, and it has none";
        found.push(Problem::new(place("title", ""), "title", message));
    }
    if let Some(uid) = dashboard.get("uid").and_then(Value::as_str) {
        let fault = if uid.chars().any(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
            Some("uid contains illegal characters (letters, digits, - and _ are allowed)".to_owned())
        } else {
            let long = uid.len() > MAX_UID;
            long.then(|| format!("uid too long, max {MAX_UID} characters, and it has {}", uid.len()))
        };
        found.extend(fault.map(|message| Problem::new(place("uid", uid), "uid", message)));
    }
    queries(dashboard, 0, &mut |title, expr| {
        if let Some((at, message)) = unclosed(expr) {
            let start = place_of(text, &[&quoted("expr"), &quoted(expr)]);
            let message = format!("the query of panel {title:?} is not whole: {message}");
            let caret = (start.column > 1).then(|| Place { column: start.column + 1 + at, ..start });
            found.push(Problem::new(start, QUERY, message).pointing(caret));
        }
    });
    found.sort_by_key(|p| p.place);
    found.dedup();
    found
}

/// What stands beside a dashboard in a request to Grafana's API: a Job or a script sends it.
const OF_REQUESTS: [&str; 4] = ["overwrite", "inputs", "folderUid", "folderId"];

/// True for the body of a request to Grafana's API, in which the dashboard stands below a key.
pub(crate) fn is_request(text: &str) -> bool {
    let json: Option<Value> = serde_json::from_str(text).ok();
    json.is_some_and(|json| !std::ptr::eq(inner(&json), &json) && OF_REQUESTS.iter().any(|key| json.get(key).is_some()))
}

/// The path of what is wrong with a query: the dashboard loads, and a panel shows an error.
const QUERY: &str = "expr";

/// True where the dashboard loads all the same.
pub(crate) fn loads(problems: &[Problem]) -> bool {
    problems.iter().all(|p| p.path == QUERY)
}

fn inner(json: &Value) -> &Value {
    json.get("dashboard").filter(|d| d.is_object()).unwrap_or(json)
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Where the last of some texts begins that follow each other with a colon between them; the first that is there otherwise.
fn place_of(text: &str, parts: &[&str]) -> Place {
    let start = Place { line: 1, column: 1 };
    let Some(last) = parts.last() else { return start };
    let follows = |at: usize| {
        let before = text[..at].trim_end();
        parts.len() < 2 || before.strip_suffix(':').is_some_and(|b| b.trim_end().ends_with(parts[0]))
    };
    text.match_indices(last).find(|(at, _)| follows(*at)).map_or(start, |(at, _)| Place::of_byte(text, at))
}

fn not_json(text: &str, fault: &serde_json::Error) -> Problem {
    let said = fault.to_string();
    let what = said.split(" at line ").next().unwrap_or(&said);
    // At the end of the text there is nothing to show.
    let line = fault.line().clamp(1, text.lines().count().max(1));
    let column = if line == fault.line() { fault.column().max(1) } else { 1 };
    Problem::new(Place { line, column }, "", format!("not valid JSON: {what}"))
}

/// Queries of Prometheus and Loki, with the titles of their panels.
fn queries(value: &Value, depth: usize, say: &mut dyn FnMut(&str, &str)) {
    if depth > DEPTH {
        return;
    }
    for key in ["panels", "rows"] {
        for panel in value.get(key).and_then(Value::as_array).into_iter().flatten() {
            let title = panel.get("title").and_then(Value::as_str).unwrap_or_default();
            for target in panel.get("targets").and_then(Value::as_array).into_iter().flatten() {
                let hidden = target.get("hide").and_then(Value::as_bool) == Some(true);
                if let Some(expr) = target.get("expr").and_then(Value::as_str).filter(|_| !hidden) {
                    say(title, expr);
                }
            }
            queries(panel, depth + 1, say);
        }
    }
}

/// The bracket or quote of a query that has no partner, and where; in characters. What no language of queries takes.
fn unclosed(expr: &str) -> Option<(usize, String)> {
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut characters = expr.chars().enumerate().peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' | '\'' | '`' => {
                let mut closed = false;
                while let Some((_, inside)) = characters.next() {
                    if inside == '\\' && c != '`' {
                        characters.next();
                    } else if inside == c {
                        closed = true;
                        break;
                    }
                }
                if !closed {
                    return Some((at, format!("{c} does not end")));
                }
            }
            '#' => while characters.next_if(|(_, c)| *c != '\n').is_some() {},
            // A variable may hold anything, a bracket, too; Grafana's own hold numbers and times.
            '$' if is_free(expr, at, &open) => return None,
            '{' if characters.peek().is_some_and(|(_, next)| *next == '{') => return None,
            '(' | '[' | '{' => open.push((at, c)),
            ')' | ']' | '}' => match open.pop() {
                Some((_, before)) if partner(before) == c => {}
                Some((_, before)) => return Some((at, format!("{c} where {} closes {before}", partner(before)))),
                None => return Some((at, format!("{c} closes nothing"))),
            },
            _ => {}
        }
    }
    // Variables of an older kind.
    if expr.contains("[[") {
        return None;
    }
    open.last().map(|(at, bracket)| (*at, format!("{bracket} is not closed")))
}

/// True for a variable that may stand for a part of the query that has brackets.
fn is_free(expr: &str, at: usize, open: &[(usize, char)]) -> bool {
    let name: String = expr.chars().skip(at + 1).collect();
    let own = name.trim_start_matches('{').starts_with("__");
    !own && !open.last().is_some_and(|(_, bracket)| matches!(bracket, '[' | '{'))
}

fn partner(bracket: char) -> char {
    match bracket {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        lint(text, true).iter().map(|p| format!("{}: {}", p.caret(), p.message)).collect()
    }

    fn with_query(expr: &str) -> String {
        let panel = serde_json::json!({"title": "CPU", "targets": [{"expr": expr}]});
        serde_json::json!({"title": "a", "panels": [{"type": "row", "panels": [panel]}]}).to_string()
    }

    #[test]
    fn what_grafana_loads_is_quiet() {
        for text in [
            r#"{"title": "a", "uid": null, "panels": []}"#,
            r#"{"title": "a", "uid": "a-B_0", "panels": [{"targets": [{"expr": "up"}]}]}"#,
            r#"{"title": "a", "panels": []} # what follows is not read"#,
            r#"{"apiVersion": "dashboard.grafana.app/v1", "kind": "Dashboard", "spec": {}}"#,
        ] {
            assert_eq!(said(text), Vec::<String>::new(), "{text}");
        }
        for expr in [
            "sum(rate(a{b=\"(\"}[$__rate_interval])) by (c)",
            "a{b=~'x\\'('} # (",
            "{a=\"b\"} | line_format `{{.c}} (`",
            "$before a)",
            "sum(${metric}) + [[b]]",
            "sum(rate(a[${interval}]))",
            "sum(a{$filter})",
            "avg(increase(a[$__range])) / $__range_s",
        ] {
            assert_eq!(said(&with_query(expr)), Vec::<String>::new(), "{expr}");
        }
    }

    #[test]
    fn what_grafana_refuses_is_told_with_its_place() {
        let one = |text: &str, expected: &str| assert_eq!(said(text), [expected], "{text}");
        one("{\"title\": \"a\",\n \"panels\": [],}", "2:15: not valid JSON: trailing comma");
        one("{\"title\": \"a\"", "1:13: not valid JSON: EOF while parsing an object");
        one("{\"panels\": [],\n \"title\": \"\"}", "2:11: Dashboard title cannot be empty, and it has none");
        let uid = "a".repeat(41);
        let long = format!("{{\"title\": \"a\", \"uid\": \"{uid}\", \"panels\": []}}");
        one(&long, "1:23: uid too long, max 40 characters, and it has 41");
        one(
            r#"{"title": "a", "uid": "a b", "panels": []}"#,
            "1:23: uid contains illegal characters (letters, digits, - and _ are allowed)",
        );
        let wrapped = r#"{"dashboard": {"title": "a", "panels": []}, "meta": {}}"#;
        one(
            wrapped,
            "1:2: the dashboard stands below \"dashboard\", as the API answers it: a file holds what is inside of it",
        );
        assert!(lint(wrapped, false).is_empty() && !is_request(wrapped));
        assert!(is_request(r#"{"dashboard": {"title": "a", "panels": []}, "overwrite": true, "inputs": []}"#));
        assert!(!is_request(r#"{"title": "a", "panels": [], "overwrite": true}"#));
    }

    #[test]
    fn a_query_that_is_not_whole_is_told() {
        for (expr, expected) in [
            ("sum(rate(a[5m])", "( is not closed"),
            ("sum(rate(a[$__rate_interval)) by (b)", ") where ] closes ["),
            ("a{b=\"c}", "\" does not end"),
            ("sum(a))", ") closes nothing"),
            ("sum(rate(a{b=~\"$c\"}[5m]) by (d)", "( is not closed"),
        ] {
            let found = lint(&with_query(expr), true);
            assert!(found.len() == 1 && found[0].message.ends_with(expected), "{expr}: {found:?}");
            assert!(loads(&found));
        }
    }
}
