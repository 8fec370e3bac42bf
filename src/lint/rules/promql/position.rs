//! Where an expression is wrong, and at which token, as Prometheus itself says it: the parser here only says that it is.

use super::AGGREGATIONS;
use super::tokens::{Token, Word, tokens, words};
use crate::lint::promql::parse;

/// What the parser says of an expression that its grammar does not take.
const NO_QUERY: &str = "invalid promql query";
/// What it says of one that ends too early.
const UNCLOSED: &str = "unclosed left parenthesis";
/// More tokens are not looked through.
const MAX_TOKENS: usize = 2_000;

/// A fault with its place in the expression.
pub(in crate::lint) struct Told {
    /// Bytes before it.
    pub(in crate::lint) at: usize,
    /// `1:7: parse error: unexpected identifier "foo"`
    pub(in crate::lint) message: String,
}

/// What is said of an expression, with its place where that can be told.
pub(in crate::lint) fn told(expr: &str, message: &str) -> Option<Told> {
    let (at, message) = match message {
        NO_QUERY | UNCLOSED => match unexpected(expr)? {
            Some(token) => (token.at, format!("unexpected {}", token.named())),
            None if message == UNCLOSED => (expr.len(), UNCLOSED.to_owned()),
            None => (expr.len(), "unexpected end of input".to_owned()),
        },
        other => (place_of(expr, other)?, other.to_owned()),
    };
    let (line, column) = position(expr, at);
    Some(Told { at, message: format!("{line}:{column}: parse error: {message}") })
}

/// Line and byte of the line, from 1.
fn position(expr: &str, at: usize) -> (usize, usize) {
    let before = &expr[..at];
    let start = before.rfind('\n').map_or(0, |n| n + 1);
    (before.matches('\n').count() + 1, at - start + 1)
}

/// Where a fault is that names what it is about.
fn place_of(expr: &str, message: &str) -> Option<usize> {
    let named = |start: &str| message.strip_prefix(start).and_then(|r| r.split('"').next());
    if let Some(name) = named("unknown function with name \"") {
        return words(expr).iter().find(|w| w.text == name && w.call).map(|w| w.at);
    }
    if let Some(name) = named("expected type range vector in call to function \"") {
        let words = words(expr);
        let mut calls = words.iter().filter(|w| w.text == name && w.call);
        let only: &Word<'_> = calls.next().filter(|_| calls.next().is_none())?;
        let open = only.at + expr[only.at..].find('(')? + 1;
        return Some(open + expr[open..].len() - expr[open..].trim_start().len());
    }
    if message.starts_with("unexpected right parenthesis") {
        let mut open = 0_usize;
        for token in tokens(expr) {
            match token.text {
                "(" => open += 1,
                ")" if open == 0 => return Some(token.at),
                ")" => open -= 1,
                _ => {}
            }
        }
    }
    None
}

impl Token<'_> {
    /// As Prometheus names it: `identifier "foo"`, `<op:+>`, `<by>`.
    fn named(&self) -> String {
        let text = self.text;
        let lower = text.to_ascii_lowercase();
        let keywords = ["by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool"];
        let operators =
            ["and", "or", "unless", "atan2", "+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<="];
        match text.chars().next().unwrap_or_default() {
            _ if keywords.contains(&lower.as_str()) => format!("<{lower}>"),
            _ if AGGREGATIONS.contains(&lower.as_str()) => format!("<aggr:{lower}>"),
            _ if operators.contains(&lower.as_str()) => format!("<op:{lower}>"),
            '"' | '\'' | '`' => format!("string {text:?}"),
            c if c.is_ascii_digit() && text.parse::<f64>().is_err() => format!("duration {text:?}"),
            c if c.is_ascii_digit() => format!("number {text:?}"),
            c if c.is_alphabetic() && text.contains(':') => format!("metric identifier {text:?}"),
            c if c.is_alphabetic() || c == '_' => format!("identifier {text:?}"),
            _ => format!("{text:?}"),
        }
    }
}

/// The first token that cannot follow what stands before it; `None` inside where only the end is missing.
fn unexpected(expr: &str) -> Option<Option<Token<'_>>> {
    let mut tokens = tokens(expr);
    if tokens.len() > MAX_TOKENS {
        return None;
    }
    // What begins an expression begins also what follows it.
    let (mut good, mut bad) = (0, tokens.len() + 1);
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        if begins(expr, &tokens[..middle]) { good = middle } else { bad = middle }
    }
    if bad > tokens.len() { Some(None) } else { Some(Some(tokens.swap_remove(bad - 1))) }
}

/// True for tokens that some expression begins with.
fn begins(expr: &str, tokens: &[Token<'_>]) -> bool {
    let text = &expr[..tokens.last().map_or(0, |last| last.at + last.text.len())];
    let mut open = Vec::new();
    for token in tokens {
        match token.text {
            "(" => open.push(')'),
            "{" => open.push('}'),
            "[" => open.push(']'),
            ")" | "}" | "]" => drop(open.pop()),
            _ => {}
        }
    }
    let next: &[&str] = match open.last() {
        Some('}') => &["", "x=\"x\"", "=\"x\"", " \"x\""],
        Some(']') => &["", "5m", ":5m", "5m:5m"],
        _ => &["", " x", "(x)", " 5m", " 1", " x[5m]", "(x[5m])", "(x) x", "(1, x)", " (x) (x)", "=\"x\""],
    };
    let closers: String = open.iter().rev().collect();
    let takes = |text: String| match parse(&text) {
        Ok(_) => true,
        // A fault of types is none of the grammar.
        Err(message) => {
            let grammar = [NO_QUERY, UNCLOSED, "unexpected", "no expression"];
            !grammar.iter().any(|g| message.starts_with(g))
        }
    };
    next.iter().any(|next| ["", "(x)", " x", " (x)"].iter().any(|last| takes(format!("{text}{next}{closers}{last}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(expr: &str) -> String {
        let message = parse(expr).expect_err("is wrong");
        told(expr, &message.replace('\'', "\"")).map_or(message, |t| t.message)
    }

    #[test]
    fn the_token_is_named_and_its_place() {
        for (expr, expected) in [
            ("sum(rate(x[5m]) > 1", "1:20: parse error: unclosed left parenthesis"),
            ("sum by (job) rate(x[5m])", "1:14: parse error: unexpected identifier \"rate\""),
            ("a b", "1:3: parse error: unexpected identifier \"b\""),
            ("a +", "1:4: parse error: unexpected end of input"),
            ("a > > 1", "1:5: parse error: unexpected <op:>>"),
            ("sum(a) by job", "1:11: parse error: unexpected identifier \"job\""),
            ("rate(a[5m]) by (job)", "1:13: parse error: unexpected <by>"),
            ("a\n  == == 1", "2:6: parse error: unexpected <op:==>"),
            ("foo 5", "1:5: parse error: unexpected number \"5\""),
        ] {
            assert_eq!(said(expr), expected, "{expr}");
        }
    }
}
