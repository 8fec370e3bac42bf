//! Templates without values: the texts that they can become.

/// A part of a template.
#[derive(Debug, PartialEq)]
enum Node<'a> {
    Text(&'a str),
    /// `{{ expression }}`.
    Value(&'a str),
    /// `if`, `elif`, `else`: one of these.
    Choice(Vec<Branch<'a>>),
    /// `for`: this, several times.
    Loop(Vec<Node<'a>>),
}

#[derive(Debug, PartialEq)]
struct Branch<'a> {
    condition: &'a str,
    nodes: Vec<Node<'a>>,
}

/// How a value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// `<name>`.
    Plain,
    /// `'<name>'`: in a command, so that nobody pastes a redirection.
    Quoted,
}

/// What a template becomes, by branch: where it is one choice and nothing else, each of its branches is a text of its own;
/// of choices within a text the first branch is taken.
pub(super) fn alternatives(template: &str, values: Values) -> Vec<String> {
    let template = without_sets(template);
    let nodes = parse(&template);
    let mut parts = nodes.iter().filter(|n| !matches!(n, Node::Text(text) if text.trim().is_empty()));
    let texts = match (parts.next(), parts.next()) {
        (Some(Node::Choice(branches)), None) => branches.iter().flat_map(|b| branch(&b.nodes, values)).collect(),
        _ => vec![shown(&nodes, values)],
    };
    let mut distinct: Vec<String> = Vec::new();
    for text in texts.iter().map(|t| tidy(t)) {
        if !text.is_empty() && !distinct.contains(&text) {
            distinct.push(text);
        }
    }
    distinct
}

fn branch(nodes: &[Node<'_>], values: Values) -> Vec<String> {
    let mut parts = nodes.iter().filter(|n| !matches!(n, Node::Text(text) if text.trim().is_empty()));
    match (parts.next(), parts.next()) {
        (Some(Node::Choice(branches)), None) => branches.iter().flat_map(|b| branch(&b.nodes, values)).collect(),
        _ => vec![shown(nodes, values)],
    }
}

/// The first text that a template becomes, on one line as it is written.
pub(super) fn first(template: &str) -> String {
    tidy(&shown(&parse(template), Values::Plain))
}

/// The template with what `{% set name = … %}` gives in the place of each name: a text, or another value.
fn without_sets(template: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    let mut known: Vec<(String, String)> = Vec::new();
    let filled = |text: &str, known: &[(String, String)]| {
        known.iter().fold(text.to_owned(), |text, (name, given)| text.replace(&format!("{{{{ {name} }}}}"), given))
    };
    while let Some((before, after)) = rest.split_once("{% set ") {
        let Some((set, after)) = after.split_once(" %}") else { break };
        out.push_str(&filled(before, &known));
        if let Some((name, given)) = set.split_once(" = ") {
            let quoted = given.strip_prefix(['"', '\'']).and_then(|g| g.strip_suffix(['"', '\'']));
            let given = match quoted {
                Some(text) if text.contains([' ', '"', ';', '$']) => format!("'{text}'"),
                Some(text) => text.to_owned(),
                None => format!("{{{{ {given} }}}}"),
            };
            known.retain(|(known, _)| known != name);
            known.push((name.to_owned(), given));
        }
        rest = after.strip_prefix('\n').unwrap_or(after);
    }
    out.push_str(&filled(rest, &known));
    out
}

/// No blank lines at the ends, none that only a condition left.
fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
    lines.join("\n").trim_end().to_owned()
}

fn shown(nodes: &[Node<'_>], values: Values) -> String {
    let mut out = String::new();
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Value(expression) => out.push_str(&placeholder(expression, values)),
            // A loop is shown once round: what stands between two rounds is not.
            Node::Choice(branches) if branches.iter().any(|b| b.condition.contains("loop.")) => {}
            Node::Choice(branches) => {
                if let Some(first) = branches.first() {
                    out.push_str(&shown(&first.nodes, values));
                }
            }
            Node::Loop(nodes) => out.push_str(&shown(nodes, values)),
        }
    }
    out
}

/// `{{ pod.name|arguments }}` → `<name>`, `{{ "deployment/" ~ workload.name }}` → `deployment/<name>`.
fn placeholder(expression: &str, values: Values) -> String {
    let shown: String = expression.split('~').map(|part| part_of(part.trim())).collect();
    match values {
        Values::Plain => shown,
        // A text with quotes of its own stands in the others.
        Values::Quoted if shown.contains('\'') => format!("\"{shown}\""),
        Values::Quoted => format!("'{shown}'"),
    }
}

/// A text as it stands, a value by its name.
fn part_of(part: &str) -> String {
    let part = part.trim_start_matches('(');
    let quoted = part.chars().next().filter(|c| matches!(c, '"' | '\'')).and_then(|q| part[1..].split_once(q));
    if let Some((text, _)) = quoted {
        return text.to_owned();
    }
    let name = part.split(['|', ' ', '(', '[', ')']).next().unwrap_or_default();
    format!("<{}>", name.rsplit('.').next().unwrap_or_default().replace('_', "-"))
}

fn parse(template: &str) -> Vec<Node<'_>> {
    let mut rest = template;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (nodes, end, after) = nodes(rest);
        all.extend(nodes);
        // An end that nothing opened stands for nothing.
        rest = if end.is_some() { after } else { "" };
    }
    all
}

/// Nodes up to the tag that ends them, the tag, and what follows it.
fn nodes(mut rest: &str) -> (Vec<Node<'_>>, Option<&str>, &str) {
    let mut all = Vec::new();
    loop {
        let Some(at) = rest.find("{%").into_iter().chain(rest.find("{{")).min() else {
            all.push(Node::Text(rest));
            return (all, None, "");
        };
        all.push(Node::Text(&rest[..at]));
        let is_tag = rest[at..].starts_with("{%");
        let close = if is_tag { "%}" } else { "}}" };
        let Some((inner, after)) = rest[at + 2..].split_once(close) else {
            return (all, None, "");
        };
        let inner = inner.trim_matches('-').trim();
        rest = after;
        if !is_tag {
            all.push(Node::Value(inner));
            continue;
        }
        // The engine takes the line end behind a tag away.
        rest = rest.strip_prefix('\n').unwrap_or(rest);
        if let Some(condition) = inner.strip_prefix("if ") {
            let (choice, after) = choice(condition, rest);
            all.push(choice);
            rest = after;
        } else if inner.starts_with("for ") {
            let (body, end, after) = nodes(rest);
            all.push(Node::Loop(body));
            rest = after;
            if end.is_some_and(|e| e == "else") {
                rest = nodes(rest).2;
            }
        } else if inner.starts_with("end") || inner.starts_with("el") {
            return (all, Some(inner), rest);
        }
    }
}

/// The branches of an `if` whose condition has been read.
fn choice<'a>(condition: &'a str, rest: &'a str) -> (Node<'a>, &'a str) {
    let mut branches = Vec::new();
    let (mut condition, mut rest) = (condition, rest);
    loop {
        let (body, end, after) = nodes(rest);
        branches.push(Branch { condition, nodes: body });
        rest = after;
        match end {
            Some(tag) if tag.starts_with("el") => condition = tag,
            _ => return (Node::Choice(branches), rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_becomes_one_text_for_each_branch() {
        assert_eq!(
            alternatives("{% if a %}x {{ b.c_d }}{% elif e %}y{% else %}z{% endif %}", Values::Quoted),
            ["x '<c-d>'", "y", "z"]
        );
        assert_eq!(alternatives("{% if a %}{% if b %}x{% else %}y{% endif %}{% endif %}", Values::Plain), ["x", "y"]);
        assert_eq!(
            alternatives("get {% if a %}x{% else %}y{% endif %}{% if b %} -n {{ n }}{% endif %}", Values::Plain),
            ["get x -n <n>"]
        );
    }

    #[test]
    fn what_is_set_stands_in_the_place_of_its_name() {
        let template = "{% if a %}\n{% set file = \"x.txt\" %}\n{% set key = secret_key %}\ntest -s {{ file }} {{ key }}\n{% endif %}";
        assert_eq!(alternatives(template, Values::Quoted), ["test -s x.txt '<secret-key>'"]);
        assert_eq!(alternatives("{% set c = 'a=[\"b c\"]' %}\nrun {{ c }}", Values::Quoted), ["run 'a=[\"b c\"]'"]);
    }

    #[test]
    fn a_loop_is_shown_once() {
        assert_eq!(first("{% for n in names %}{{ n }}{% if not loop.last %}, {% endif %}{% endfor %}."), "<n>.");
    }

    #[test]
    fn what_is_broken_ends_all_the_same() {
        for text in ["{% if a %}x", "{{ a", "{% endif %}y", "{%", "{% for a in b %}"] {
            alternatives(text, Values::Plain);
        }
        assert_eq!(first("{% endif %}y"), "y");
    }
}
