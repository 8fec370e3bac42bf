//! Go templates, as far as Alertmanager refuses them when it reads them: actions, blocks, functions, variables.

use std::collections::BTreeSet;

use super::Version;
use crate::lint::Place;

/// Functions of Go's templates and of Alertmanager, with the first minor version that knows them.
const FUNCTIONS: &[(&str, u16)] = &[
    ("and", 0),
    ("call", 0),
    ("eq", 0),
    ("ge", 0),
    ("gt", 0),
    ("html", 0),
    ("index", 0),
    ("js", 0),
    ("le", 0),
    ("len", 0),
    ("lt", 0),
    ("ne", 0),
    ("not", 0),
    ("or", 0),
    ("print", 0),
    ("printf", 0),
    ("println", 0),
    ("slice", 0),
    ("urlquery", 0),
    ("toUpper", 0),
    ("toLower", 0),
    ("title", 0),
    ("join", 0),
    ("match", 0),
    ("safeHtml", 0),
    ("reReplaceAll", 0),
    ("stringSlice", 0),
    ("trimSpace", 26),
    ("date", 28),
    ("tz", 28),
    ("since", 28),
    ("humanizeDuration", 28),
    ("safeUrl", 29),
    ("urlUnescape", 29),
    ("toJson", 29),
    ("list", 32),
    ("append", 32),
    ("dict", 32),
    ("now", 33),
    ("routeLabels", 34),
    ("toDate", 34),
    ("mustToDate", 34),
];

/// What is wrong with a template, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where in the text of the template.
    pub place: Place,
    /// In Go's words where they are short: `function "upperCase" not defined`.
    pub message: String,
    /// The function that was meant.
    pub instead: Option<&'static str>,
    /// A newer Alertmanager may know better.
    pub doubtful: bool,
}

/// The templates that a text uses and defines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// `{{ template "x" }}`.
    pub used: BTreeSet<String>,
    /// `{{ define "x" }}` and `{{ block "x" }}`.
    pub defined: BTreeSet<String>,
}

/// Reads a template.
///
/// # Errors
/// The first fault, at which Go stops.
pub fn parse(text: &str, version: Option<Version>) -> Result<Names, Fault> {
    let mut parser = Parser { text, version, names: Names::default(), open: Vec::new(), variables: vec!["$".into()] };
    parser.run().map_err(|(at, message, instead, doubtful)| Fault {
        place: place(text, at),
        message,
        instead,
        doubtful,
    })?;
    Ok(parser.names)
}

fn place(text: &str, at: usize) -> Place {
    let before = &text[..at.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    Place { line, column }
}

type Error = (usize, String, Option<&'static str>, bool);

fn fault<T>(at: usize, message: impl Into<String>) -> Result<T, Error> {
    Err((at, message.into(), None, false))
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Field,
    Dot,
    Variable(String),
    Text(String),
    Number,
    Open,
    /// A closing parenthesis.
    Close,
    Pipe,
    Comma,
    Declare,
    Assign,
    Space,
}

/// An open block, where it began, and how many variables were known before it.
struct Block {
    keyword: &'static str,
    has_else: bool,
    variables: usize,
}

struct Parser<'a> {
    text: &'a str,
    version: Option<Version>,
    names: Names,
    open: Vec<Block>,
    variables: Vec<String>,
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), Error> {
        let mut at = 0;
        while let Some(found) = self.text[at..].find("{{") {
            let begin = at + found;
            let mut inside = begin + 2;
            if self.text[inside..].starts_with('-')
                && self.text[inside + 1..].starts_with(|c: char| c.is_ascii_whitespace())
            {
                inside += 2;
            }
            if self.text[inside..].trim_start().starts_with("/*") {
                let Some(end) = self.text[inside..].find("*/") else { return fault(begin, "unclosed comment") };
                let rest = self.text[inside + end + 2..].trim_start();
                let rest = rest.strip_prefix("-").filter(|r| r.starts_with("}}")).unwrap_or(rest);
                if !rest.starts_with("}}") {
                    return fault(begin, "comment ends before closing delimiter");
                }
                at = self.text.len() - rest.len() + 2;
                continue;
            }
            let (tokens, end) = self.tokens(inside, begin)?;
            self.action(&tokens, begin)?;
            at = end;
        }
        match self.open.last() {
            Some(block) => {
                fault(self.text.len(), format!("unexpected EOF: {{{{ {} }}}} has no {{{{ end }}}}", block.keyword))
            }
            None => Ok(()),
        }
    }

    /// The tokens of an action with their places, and where it ends.
    fn tokens(&self, from: usize, begin: usize) -> Result<(Vec<(usize, Token)>, usize), Error> {
        let mut found: Vec<(usize, Token)> = Vec::new();
        let mut depth = 0_usize;
        let mut at = from;
        loop {
            let rest = &self.text[at..];
            let trimmed = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
            let closes = trimmed.strip_prefix('-').filter(|r| r.starts_with("}}") && trimmed.len() < rest.len());
            if trimmed.starts_with("}}") || closes.is_some() {
                if depth > 0 {
                    return fault(at, "unclosed left paren");
                }
                let after = closes.unwrap_or(trimmed);
                return Ok((found, self.text.len() - after.len() + 2));
            }
            if trimmed.len() < rest.len() {
                found.push((at, Token::Space));
                at = self.text.len() - trimmed.len();
                continue;
            }
            let Some(first) = rest.chars().next() else { return fault(begin, "unclosed action") };
            let (token, length) = match first {
                '"' => (Token::Text(string(rest, at)?), quoted_length(rest, at)?),
                '`' => match rest[1..].find('`') {
                    Some(end) => (Token::Text(rest[1..=end].to_owned()), end + 2),
                    None => return fault(at, "unterminated raw quoted string"),
                },
                '\'' => match char_length(rest) {
                    Some(length) => (Token::Number, length),
                    None => return fault(at, "unterminated character constant"),
                },
                '(' => (Token::Open, 1),
                ')' => (Token::Close, 1),
                '|' => (Token::Pipe, 1),
                ',' => (Token::Comma, 1),
                '=' => (Token::Assign, 1),
                ':' if rest.starts_with(":=") => (Token::Declare, 2),
                ':' => return fault(at, "expected :="),
                '$' => {
                    let name = &rest[..1 + word_length(&rest[1..])];
                    (Token::Variable(name.to_owned()), name.len())
                }
                '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => match word_length(&rest[1..]) {
                    0 => (Token::Dot, 1),
                    length => (Token::Field, 1 + length),
                },
                c if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => {
                    let length = number_length(rest);
                    if length == 0 || !rest[..length].contains(|c: char| c.is_ascii_digit()) {
                        return fault(at, format!("bad number syntax: {:?}", &rest[..length.max(1)]));
                    }
                    (Token::Number, length)
                }
                c if c.is_alphanumeric() || c == '_' => {
                    let length = word_length(rest);
                    (Token::Word(rest[..length].to_owned()), length)
                }
                c => return fault(at, format!("unexpected {:?} in operand", c.to_string())),
            };
            match token {
                Token::Open => depth += 1,
                Token::Close if depth == 0 => return fault(at, "unexpected right paren"),
                Token::Close => depth -= 1,
                _ => {}
            }
            found.push((at, token));
            at += length;
        }
    }

    fn action(&mut self, tokens: &[(usize, Token)], begin: usize) -> Result<(), Error> {
        let tokens = trim(tokens);
        let Some((at, first)) = tokens.first() else { return fault(begin, "missing value for command") };
        let rest = &tokens[1..];
        let Token::Word(word) = first else { return self.pipeline(tokens, begin, "command", false) };
        match word.as_str() {
            keyword @ ("if" | "with" | "range") => {
                let keyword = if keyword == "if" {
                    "if"
                } else if keyword == "with" {
                    "with"
                } else {
                    "range"
                };
                let variables = self.variables.len();
                self.open.push(Block { keyword, has_else: false, variables });
                self.pipeline(trim(rest), *at, keyword, keyword == "range")
            }
            "else" => self.otherwise(trim(rest), *at),
            "end" => {
                if !trim(rest).is_empty() {
                    return fault(*at, "unexpected token in end");
                }
                match self.open.pop() {
                    Some(block) => self.variables.truncate(block.variables),
                    None => return fault(*at, "unexpected {{end}}"),
                }
                Ok(())
            }
            "define" | "block" => self.define(word == "block", trim(rest), *at),
            "template" => {
                let Some((_, Token::Text(name))) = trim(rest).first() else {
                    return fault(*at, "template name must be a quoted string in template clause");
                };
                self.names.used.insert(name.clone());
                let argument = trim(&trim(rest)[1..]);
                if argument.is_empty() { Ok(()) } else { self.pipeline(argument, *at, "template clause", false) }
            }
            "break" | "continue" if trim(rest).is_empty() => {
                if self.open.iter().any(|b| b.keyword == "range") {
                    return Ok(());
                }
                fault(*at, format!("{{{{{word}}}}} outside {{{{range}}}}"))
            }
            _ => self.pipeline(tokens, begin, "command", false),
        }
    }

    fn otherwise(&mut self, rest: &[(usize, Token)], at: usize) -> Result<(), Error> {
        let Some(block) = self.open.last_mut() else { return fault(at, "unexpected {{else}}") };
        if block.has_else || matches!(block.keyword, "define" | "block") {
            return fault(at, "unexpected {{else}}");
        }
        let keep = block.variables;
        match rest.first() {
            None => {
                block.has_else = true;
                Ok(())
            }
            Some((_, Token::Word(word))) if (word == "if" || word == "with") && block.keyword != "range" => {
                let keyword = if word == "if" { "if" } else { "with" };
                self.variables.truncate(keep.max(1));
                self.pipeline(trim(&rest[1..]), at, keyword, false)
            }
            Some((at, _)) => fault(*at, "unexpected token in else"),
        }
    }

    fn define(&mut self, block: bool, rest: &[(usize, Token)], at: usize) -> Result<(), Error> {
        let keyword = if block { "block" } else { "define" };
        if !block && !self.open.is_empty() {
            return fault(at, "unexpected {{define}}");
        }
        let Some((_, Token::Text(name))) = rest.first() else {
            return fault(at, format!("unexpected token in {keyword} clause: the name must be a quoted string"));
        };
        self.names.defined.insert(name.clone());
        let after = trim(&rest[1..]);
        if block {
            self.pipeline(after, at, "block clause", false)?;
        } else if let Some((at, _)) = after.first() {
            return fault(*at, "unexpected token in define clause");
        }
        self.open.push(Block { keyword, has_else: false, variables: self.variables.len() });
        Ok(())
    }

    fn pipeline(&mut self, tokens: &[(usize, Token)], at: usize, context: &str, range: bool) -> Result<(), Error> {
        let mut tokens = trim(tokens);
        let is_space = |t: &&(usize, Token)| t.1 != Token::Space;
        let solid: Vec<&(usize, Token)> = tokens.iter().filter(is_space).collect();
        let (mut declared, mut skip) = (Vec::new(), 0);
        match solid.as_slice() {
            [(_, Token::Variable(a)), (_, Token::Declare), ..] => (declared, skip) = (vec![a.clone()], 2),
            [(place, Token::Variable(a)), (_, Token::Assign), ..] => {
                self.known(a, *place)?;
                skip = 2;
            }
            [(_, Token::Variable(a)), (_, Token::Comma), (_, Token::Variable(b)), (_, Token::Declare), ..] if range => {
                (declared, skip) = (vec![a.clone(), b.clone()], 4);
            }
            [(_, Token::Variable(_)), (_, Token::Comma), (_, Token::Variable(_)), (_, Token::Assign), ..] if range => {
                skip = 4;
            }
            _ => {}
        }
        while skip > 0 {
            skip -= usize::from(tokens[0].1 != Token::Space);
            tokens = &tokens[1..];
        }
        let tokens = trim(tokens);
        if tokens.is_empty() {
            return fault(at, format!("missing value for {context}"));
        }
        self.commands(tokens, at)?;
        self.variables.extend(declared);
        Ok(())
    }

    fn known(&self, variable: &str, at: usize) -> Result<(), Error> {
        if self.variables.iter().any(|v| v == variable) {
            return Ok(());
        }
        fault(at, format!("undefined variable {variable:?}"))
    }

    /// Commands between pipes; parentheses hold pipelines.
    fn commands(&mut self, tokens: &[(usize, Token)], at: usize) -> Result<(), Error> {
        let mut depth = 0_usize;
        let mut begin = 0;
        let mut stage = 0;
        for (index, (place, token)) in tokens.iter().enumerate() {
            match token {
                Token::Open => depth += 1,
                Token::Close => depth = depth.saturating_sub(1),
                Token::Pipe if depth == 0 => {
                    self.command(trim(&tokens[begin..index]), *place, stage)?;
                    stage += 1;
                    begin = index + 1;
                }
                _ => {}
            }
        }
        self.command(trim(&tokens[begin..]), at, stage)
    }

    fn command(&mut self, tokens: &[(usize, Token)], at: usize, stage: usize) -> Result<(), Error> {
        let Some((_, first)) = tokens.first() else { return fault(at, "missing value for command") };
        if stage > 0 && matches!(first, Token::Text(_) | Token::Number | Token::Dot) {
            return fault(at, format!("non executable command in pipeline stage {}", stage + 1));
        }
        if *first == Token::Word("nil".into()) && tokens.len() == 1 {
            return fault(at, "nil is not a command");
        }
        let mut index = 0;
        let mut spaced = true;
        while let Some((place, token)) = tokens.get(index) {
            match token {
                Token::Space => spaced = true,
                // A field after an operand without space: `$x.Name`, `(index . 0).Name`.
                Token::Field => spaced = false,
                _ if !spaced => return fault(*place, "unexpected token in operand"),
                Token::Open => {
                    let end = closing(tokens, index);
                    let inner = &tokens[index + 1..end];
                    self.pipeline(inner, *place, "parenthesized pipeline", false)?;
                    index = end;
                    spaced = false;
                }
                Token::Word(word) => {
                    self.function(word, *place)?;
                    spaced = false;
                }
                Token::Variable(name) => {
                    self.known(name, *place)?;
                    spaced = false;
                }
                Token::Comma => return fault(*place, "unexpected \",\" in operand"),
                Token::Declare => return fault(*place, "unexpected \":=\" in operand"),
                Token::Assign => return fault(*place, "unexpected \"=\" in operand"),
                Token::Dot | Token::Text(_) | Token::Number => spaced = false,
                Token::Close | Token::Pipe => return fault(*place, "unexpected token in operand"),
            }
            index += 1;
        }
        Ok(())
    }

    fn function(&self, word: &str, at: usize) -> Result<(), Error> {
        if matches!(word, "true" | "false" | "nil") {
            return Ok(());
        }
        if matches!(word, "if" | "range" | "with" | "else" | "end" | "define" | "block" | "template") {
            return fault(at, format!("unexpected <{word}> in operand"));
        }
        let since = FUNCTIONS.iter().find(|(name, _)| *name == word).map(|(_, since)| *since);
        match (since, self.version) {
            (Some(since), Some(version)) if version.minor < since => {
                let message = format!("function {word:?} not defined: only Alertmanager 0.{since} and later know it");
                Err((at, message, None, false))
            }
            (Some(_), _) => Ok(()),
            (None, version) => {
                let near = FUNCTIONS.iter().map(|(name, _)| *name).filter(|n| meant(n, word));
                let near = near.max_by(|a, b| {
                    let score = |n: &str| strsim::jaro_winkler(&n.to_lowercase(), &word.to_lowercase());
                    score(a).total_cmp(&score(b))
                });
                let doubtful = near.is_none() && version.is_none_or(Version::is_newer_than_known);
                Err((at, format!("function {word:?} not defined"), near, doubtful))
            }
        }
    }
}

/// `upperCase` and `upper` mean `toUpper`.
fn meant(name: &str, word: &str) -> bool {
    let (name, word) = (name.to_lowercase(), word.to_lowercase());
    let stem = name.strip_prefix("to").filter(|s| s.len() > 3);
    stem.is_some_and(|s| word.contains(s)) || strsim::damerau_levenshtein(&name, &word) <= 2 && word.len() > 3
}

fn trim(mut tokens: &[(usize, Token)]) -> &[(usize, Token)] {
    while let Some(((_, Token::Space), rest)) = tokens.split_first() {
        tokens = rest;
    }
    while let Some(((_, Token::Space), rest)) = tokens.split_last() {
        tokens = rest;
    }
    tokens
}

/// The parenthesis that closes the one at `from`; the tokens are balanced.
fn closing(tokens: &[(usize, Token)], from: usize) -> usize {
    let mut depth = 0_usize;
    for (index, (_, token)) in tokens.iter().enumerate().skip(from) {
        match token {
            Token::Open => depth += 1,
            Token::Close => {
                depth -= 1;
                if depth == 0 {
                    return index;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len())
}

fn number_length(text: &str) -> usize {
    let signed = usize::from(text.starts_with(['+', '-']));
    let body = &text[signed..];
    signed + body.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))).unwrap_or(body.len())
}

fn quoted_length(text: &str, at: usize) -> Result<usize, Error> {
    let mut escaped = false;
    for (index, letter) in text.char_indices().skip(1) {
        match letter {
            '\n' => break,
            '"' if !escaped => return Ok(index + 1),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    fault(at, "unterminated quoted string")
}

fn string(text: &str, at: usize) -> Result<String, Error> {
    let length = quoted_length(text, at)?;
    super::matcher::go_unquote(&text[1..length - 1]).map_or_else(|| fault(at, "invalid syntax in quoted string"), Ok)
}

fn char_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).take(12).find_map(|(index, letter)| {
        let closes = letter == '\'' && !escaped;
        escaped = letter == '\\' && !escaped;
        closes.then_some(index + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        parse(text, Version::parse("0.25.0")).err().map(|f| format!("{} {}", f.place, f.message)).unwrap_or_default()
    }

    #[test]
    fn accepts_what_people_write() {
        for good in [
            "plain {{ .Status | toUpper }}",
            "{{- range $i, $a := .Alerts -}}{{ if gt $i 0 }}, {{ end }}{{ $a.Labels.alertname }}{{ else }}none{{ end }}",
            "{{ define \"x\" }}{{ template \"y\" . }}{{ end }}",
            "{{/* a comment {{ */}}{{ with .CommonLabels.env }}{{ . }}{{ else }}-{{ end }}",
            "{{ if and (eq .Status \"firing\") (not .X) }}a{{ else if eq 1 2 }}b{{ end }}",
            "{{ (index .Alerts 0).Annotations.summary }} {{ `raw` }} {{ 'x' }} {{ printf \"%.2f\" 1.5e3 }}",
            "{{ $x := .A }}{{ $x = 2 }}{{ $.B }}{{ len .Alerts.Firing }}",
            "{{ range .CommonLabels.SortedPairs }}{{ .Name }}{{ end }}",
            "{{ block \"b\" . }}x{{ end }}",
        ] {
            assert_eq!(why(good), "", "{good}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        assert_eq!(
            why("{{ define \"t\" }}[{{ .Status | toUpper }] {{ .X }}{{ end }}"),
            "1:39 unexpected \"}\" in operand"
        );
        assert_eq!(why("{{ .Status | upperCase }}"), "1:14 function \"upperCase\" not defined");
        for bad in [
            "{{ if .X }}a",
            "{{ end }}",
            "{{ .X",
            "{{ }}",
            "{{ if }}x{{ end }}",
            "{{ \"abc }}",
            "{{ $x }}",
            "{{ .A | }}",
            "{{ (len .A }}",
            "{{ else }}",
            "{{ template x }}",
            "{{ range .A }}{{ $y := . }}{{ end }}{{ $y }}",
            "{{ .A | \"x\" }}",
        ] {
            assert_ne!(why(bad), "", "{bad}");
        }
    }

    #[test]
    fn names_the_function_that_was_meant() {
        let fault = parse("{{ .Status | upperCase }}", None).expect_err("is broken");
        assert_eq!((fault.instead, fault.doubtful), (Some("toUpper"), false));
        assert!(parse("{{ somethingNew . }}", None).expect_err("is unknown").doubtful);
        assert!(parse("{{ toJson . }}", Version::parse("v0.27.0")).is_err());
    }
}
