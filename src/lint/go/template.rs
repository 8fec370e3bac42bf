//! Go templates, as far as `text/template` checks them when it reads them: actions, operands, variables, functions,
//! nesting. What they give when executed is not looked at.

use std::collections::BTreeSet;

use super::unquote;
use crate::lint::Place;
use crate::text::near::near;

/// Functions that `text/template` brings.
const BUILTIN: &[&str] = &[
    "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "html", "js", "urlquery", "call", "eq",
    "ne", "lt", "le", "gt", "ge",
];
const KEYWORDS: &[&str] =
    &["block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"];
/// Parentheses in parentheses at most.
const MAX_DEPTH: usize = 200;

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where in the text of the template.
    pub(crate) place: Place,
    /// In Go's words: `function "upperCase" not defined`.
    pub(crate) message: String,
    /// The function or variable that is not known.
    pub(crate) unknown: Option<Unknown>,
}

/// A name that a template uses and that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unknown {
    Function(String),
    Variable(String),
}

impl Unknown {
    /// The function or variable that was meant.
    pub(crate) fn meant<'a>(&self, functions: &[&'a str], variables: &[&'a str]) -> Option<&'a str> {
        match self {
            Self::Variable(name) => near(name, variables.iter().copied().filter(|v| v.len() > 1)),
            Self::Function(name) => {
                let variable = variables.iter().find(|v| v.strip_prefix('$') == Some(name)).copied();
                variable.or_else(|| near_function(name, functions))
            }
        }
    }
}

/// `upperCase` and `upper` mean `toUpper`.
fn near_function<'a>(word: &str, functions: &[&'a str]) -> Option<&'a str> {
    let all = functions.iter().chain(BUILTIN).copied();
    let lower = word.to_lowercase();
    let converts = |name: &&str| {
        let name = name.to_lowercase();
        name.strip_prefix("to").is_some_and(|stem| stem.len() > 3 && lower.contains(stem))
    };
    near(word, all).or_else(|| functions.iter().copied().find(converts))
}

/// The templates that a text uses and defines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// `{{ template "x" }}`.
    pub(crate) used: BTreeSet<String>,
    /// `{{ define "x" }}` and `{{ block "x" }}`.
    pub(crate) defined: BTreeSet<String>,
}

/// Reads a template, given the functions that its program adds to Go's and the variables that it defines.
///
/// # Errors
/// The first fault, at which Go stops.
pub(crate) fn parse(text: &str, functions: &[&str], variables: &[&str]) -> Result<Names, Fault> {
    let mut parser = Parser {
        text,
        tokens: Lexer::all(text),
        next: 0,
        functions,
        variables: variables.iter().map(|v| (*v).to_owned()).collect(),
        open: Vec::new(),
        names: Names::default(),
        filled: BTreeSet::new(),
        depth: 0,
    };
    parser.run().map_err(|stop| Fault {
        place: Place::of_byte(text, stop.at),
        message: stop.message,
        unknown: stop.unknown,
    })?;
    Ok(parser.names)
}

/// A fault with its offset.
struct Stop {
    at: usize,
    message: String,
    unknown: Option<Unknown>,
}

type Step<T = ()> = Result<T, Stop>;

fn stop<T>(at: usize, message: impl Into<String>) -> Step<T> {
    Err(Stop { at, message: message.into(), unknown: None })
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// `{{`
    Left,
    /// `}}`
    Right,
    Space,
    /// A function or keyword.
    Word(String),
    /// `$`, `$name`
    Variable(String),
    /// `.name`
    Field(String),
    Dot,
    Text(String),
    /// A number or a character.
    Number(String),
    Declare,
    Assign,
    Pipe,
    Open,
    Close,
    /// Any other character.
    Char(char),
    /// Here Go cannot read on.
    Fault(String),
}

impl Token {
    /// As Go shows it in a message.
    fn shown(&self) -> String {
        let text = match self {
            Self::Word(word) if KEYWORDS.contains(&word.as_str()) => return format!("<{word}>"),
            Self::Variable(text) | Self::Word(text) | Self::Text(text) | Self::Number(text) => text.clone(),
            Self::Field(name) => format!(".{name}"),
            Self::Char(c) => c.to_string(),
            Self::Fault(message) => return message.clone(),
            fixed => match fixed {
                Self::Left => "{{",
                Self::Right => "}}",
                Self::Dot => return "<.>".into(),
                Self::Declare => ":=",
                Self::Assign => "=",
                Self::Pipe => "|",
                Self::Open => "(",
                Self::Close => ")",
                _ => " ",
            }
            .into(),
        };
        format!("{text:?}")
    }
}

/// An open block.
struct Block {
    keyword: &'static str,
    has_else: bool,
    /// The name of a template of its own, and where it begins.
    name: Option<(String, usize)>,
    /// How many variables were known before it.
    variables: usize,
    /// What a template of its own does not see of the variables around it.
    hidden: Vec<String>,
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(usize, Token)>,
    next: usize,
    functions: &'a [&'a str],
    variables: Vec<String>,
    open: Vec<Block>,
    names: Names,
    /// Templates that are defined and not empty.
    filled: BTreeSet<String>,
    depth: usize,
}

impl Parser<'_> {
    fn run(&mut self) -> Step {
        while let Some(token) = self.token() {
            if *token != Token::Left {
                return self.unexpected("input");
            }
            self.next += 1;
            self.action()?;
        }
        match self.open.last() {
            Some(block) => {
                stop(self.text.len(), format!("unexpected EOF: {{{{ {} }}}} has no {{{{ end }}}}", block.keyword))
            }
            None => Ok(()),
        }
    }

    fn token(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.text.len(), |(at, _)| *at)
    }

    /// The next token that is no space.
    fn peek(&mut self) -> Option<&Token> {
        while self.token() == Some(&Token::Space) {
            self.next += 1;
        }
        self.token()
    }

    fn unexpected<T>(&self, context: &str) -> Step<T> {
        let message = match self.token() {
            Some(Token::Fault(message)) => message.clone(),
            Some(token) => format!("unexpected {} in {context}", token.shown()),
            None => "unexpected EOF".into(),
        };
        stop(self.at(), message)
    }

    fn expect(&mut self, wanted: &Token, context: &str) -> Step {
        if self.peek() != Some(wanted) {
            return self.unexpected(context);
        }
        self.next += 1;
        Ok(())
    }

    fn action(&mut self) -> Step {
        let begin = self.at();
        let word = match self.peek() {
            Some(Token::Word(word)) => word.clone(),
            _ => String::new(),
        };
        let at = self.at();
        self.next += 1;
        match word.as_str() {
            "if" => self.control("if"),
            "with" => self.control("with"),
            "range" => self.control("range"),
            "else" => self.otherwise(at),
            "end" => self.close(at),
            "block" => self.define("block", at),
            "define" if self.open.is_empty() => self.define("define", at),
            "template" => {
                let name = self.name("template clause")?;
                self.names.used.insert(name);
                if self.peek() == Some(&Token::Right) {
                    self.next += 1;
                    return Ok(());
                }
                self.pipeline("template clause", &Token::Right, at)
            }
            "break" | "continue" if !self.functions.contains(&word.as_str()) => {
                self.expect(&Token::Right, &format!("{{{{{word}}}}}"))?;
                let template = self.open.iter().rposition(|b| is_template(b.keyword)).map_or(0, |at| at + 1);
                if self.open[template..].iter().any(|b| b.keyword == "range" && !b.has_else) {
                    return Ok(());
                }
                stop(at, format!("{{{{{word}}}}} outside {{{{range}}}}"))
            }
            _ => {
                self.next -= 1;
                self.pipeline("command", &Token::Right, begin)
            }
        }
    }

    fn control(&mut self, keyword: &'static str) -> Step {
        let variables = self.variables.len();
        self.open.push(Block { keyword, has_else: false, name: None, variables, hidden: Vec::new() });
        let at = self.at();
        self.pipeline(keyword, &Token::Right, at)
    }

    fn otherwise(&mut self, at: usize) -> Step {
        let next = match self.peek() {
            Some(Token::Word(word)) if word == "if" => Some("if"),
            Some(Token::Word(word)) if word == "with" => Some("with"),
            _ => None,
        };
        let Some(block) = self.open.last_mut() else { return stop(at, "unexpected {{else}}") };
        if is_template(block.keyword) || block.has_else {
            return stop(at, "unexpected {{else}}");
        }
        match next {
            // Both close with the same `{{end}}`.
            Some(word) if word == block.keyword => {
                self.next += 1;
                self.pipeline(word, &Token::Right, at)
            }
            _ => {
                block.has_else = true;
                self.expect(&Token::Right, "else")
            }
        }
    }

    fn close(&mut self, at: usize) -> Step {
        self.expect(&Token::Right, "end")?;
        let Some(block) = self.open.pop() else { return stop(at, "unexpected {{end}}") };
        let Some((name, begin)) = block.name else {
            self.variables.truncate(block.variables);
            return Ok(());
        };
        self.variables = block.hidden;
        // An empty one may be given again.
        let body = self.text[begin..at].trim_start_matches(['-', '}', ' ']).trim_end_matches(['{', '-', ' ']);
        let empty = body.trim().is_empty();
        if !empty && !self.filled.insert(name.clone()) {
            return stop(begin, format!("multiple definition of template {name:?}"));
        }
        self.names.defined.insert(name);
        Ok(())
    }

    fn define(&mut self, keyword: &'static str, at: usize) -> Step {
        let context = if keyword == "block" { "block clause" } else { "define clause" };
        let name = self.name(context)?;
        if keyword == "block" {
            self.pipeline(context, &Token::Right, at)?;
        } else {
            self.expect(&Token::Right, context)?;
        }
        // A template of its own knows no variables of the one around it.
        let hidden = std::mem::replace(&mut self.variables, vec!["$".into()]);
        let name = Some((name, self.tokens.get(self.next - 1).map_or(at, |(end, _)| *end)));
        self.open.push(Block { keyword, has_else: false, name, variables: 1, hidden });
        Ok(())
    }

    /// The quoted name of a template.
    fn name(&mut self, context: &str) -> Step<String> {
        let Some(Token::Text(name)) = self.peek() else { return self.unexpected(context) };
        let name = name.clone();
        self.next += 1;
        Ok(name)
    }

    /// Commands between pipes, up to `end`.
    fn pipeline(&mut self, context: &str, end: &Token, begin: usize) -> Step {
        self.declarations(context)?;
        let mut stage = 0;
        loop {
            match self.peek() {
                Some(token) if token == end => break,
                Some(token) if begins_operand(token) => {
                    stage += 1;
                    self.command(stage)?;
                }
                _ => return self.unexpected(context),
            }
        }
        self.next += 1;
        if stage == 0 { stop(begin, format!("missing value for {context}")) } else { Ok(()) }
    }

    /// `$x := `, `$x = `, and `$i, $v := ` of a range.
    fn declarations(&mut self, context: &str) -> Step {
        for count in 0.. {
            let Some(Token::Variable(name)) = self.peek() else { break };
            let name = name.clone();
            let spaces = usize::from(self.tokens.get(self.next + 1).is_some_and(|(_, t)| *t == Token::Space));
            let after = self.next + 1 + spaces;
            match self.tokens.get(after) {
                Some((_, Token::Declare | Token::Assign)) => {
                    self.variables.push(name);
                    self.next = after + 1;
                    break;
                }
                Some((at, Token::Char(','))) => {
                    if context != "range" || count > 0 {
                        return stop(*at, format!("too many declarations in {context}"));
                    }
                    self.variables.push(name);
                    self.next = after + 1;
                    if !matches!(self.peek(), Some(Token::Variable(_) | Token::Right | Token::Close)) {
                        return stop(self.at(), "range can only initialize variables");
                    }
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// Operands apart by spaces.
    fn command(&mut self, stage: usize) -> Step {
        let mut operands = 0;
        loop {
            if self.peek().is_some_and(begins_operand) {
                operands += 1;
                self.operand(if operands == 1 { stage } else { 0 })?;
            }
            match self.token() {
                Some(Token::Space) => {}
                Some(Token::Right | Token::Close) => return Ok(()),
                // Go takes a pipe at the end.
                Some(Token::Pipe) => {
                    self.next += 1;
                    return Ok(());
                }
                _ => return self.unexpected("operand"),
            }
        }
    }

    /// An operand with its fields; `stage` is that of the pipeline, if the operand is its first.
    fn operand(&mut self, stage: usize) -> Step {
        let at = self.at();
        let Some(token) = self.token().cloned() else { return self.unexpected("operand") };
        self.next += 1;
        let literal = match &token {
            Token::Word(word) => self.word(word, at)?,
            Token::Variable(name) => {
                if !self.variables.contains(name) {
                    let message = format!("undefined variable {name:?}");
                    return Err(Stop { at, message, unknown: Some(Unknown::Variable(name.clone())) });
                }
                false
            }
            Token::Open => {
                if self.depth == MAX_DEPTH {
                    return stop(at, "max expression depth exceeded");
                }
                self.depth += 1;
                self.pipeline("parenthesized pipeline", &Token::Close, at)?;
                self.depth -= 1;
                false
            }
            Token::Field(_) => false,
            _ => true,
        };
        if literal && stage > 1 {
            return stop(at, format!("non executable command in pipeline stage {stage}"));
        }
        if literal && matches!(self.token(), Some(Token::Field(_))) {
            return stop(at, format!("unexpected . after term {:?}", token.shown().trim_matches(['<', '>', '"'])));
        }
        while matches!(self.token(), Some(Token::Field(_))) {
            self.next += 1;
        }
        Ok(())
    }

    /// A constant, or a function that is known; whether it is a constant.
    fn word(&self, word: &str, at: usize) -> Step<bool> {
        if matches!(word, "true" | "false" | "nil") {
            return Ok(true);
        }
        if self.functions.contains(&word) || BUILTIN.contains(&word) {
            return Ok(false);
        }
        let message = format!("function {word:?} not defined");
        Err(Stop { at, message, unknown: Some(Unknown::Function(word.to_owned())) })
    }
}

fn is_template(keyword: &str) -> bool {
    matches!(keyword, "define" | "block")
}

fn begins_operand(token: &Token) -> bool {
    match token {
        Token::Word(word) => word == "nil" || !KEYWORDS.contains(&word.as_str()),
        Token::Variable(_) | Token::Field(_) | Token::Dot | Token::Text(_) | Token::Number(_) | Token::Open => true,
        _ => false,
    }
}

/// Takes a template apart. After a fault there is nothing more.
struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<(usize, Token)>,
}

impl<'a> Lexer<'a> {
    fn all(text: &str) -> Vec<(usize, Token)> {
        let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
        if let Err((at, message)) = lexer.run() {
            lexer.tokens.push((at, Token::Fault(message)));
        }
        lexer.tokens
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn run(&mut self) -> Result<(), (usize, String)> {
        while let Some(found) = self.rest().find("{{") {
            let begin = self.at + found;
            self.at = begin + 2;
            let rest = self.rest();
            let trimmed = rest.strip_prefix('-').and_then(|r| r.strip_prefix(is_space)).unwrap_or(rest);
            if let Some(comment) = trimmed.strip_prefix("/*") {
                let fault = |message: &str| Err((begin, message.to_owned()));
                let Some((_, after)) = comment.split_once("*/") else { return fault("unclosed comment") };
                let Some(length) = right(after) else { return fault("comment ends before closing delimiter") };
                self.at = self.text.len() - after.len() + length;
                continue;
            }
            self.tokens.push((begin, Token::Left));
            self.at = self.text.len() - trimmed.len();
            self.action(begin)?;
        }
        Ok(())
    }

    fn action(&mut self, begin: usize) -> Result<(), (usize, String)> {
        let mut depth = 0_usize;
        loop {
            let (at, rest) = (self.at, self.rest());
            let fault = |message: String| (at, message);
            let spaces = rest.len() - rest.trim_start_matches(is_space).len();
            // The space before `-}}` belongs to it.
            let ahead = spaces.saturating_sub(1);
            if let Some(length) = right(&rest[ahead..]) {
                if depth > 0 {
                    return Err(fault("unclosed left paren".into()));
                }
                self.tokens.push((at + ahead, Token::Right));
                self.at += ahead + length;
                return Ok(());
            }
            let Some(first) = rest.chars().next() else { return Err((begin, "unclosed action".into())) };
            let (length, token) = match first {
                _ if spaces > 0 => (spaces, Token::Space),
                '=' => (1, Token::Assign),
                ':' if rest.starts_with(":=") => (2, Token::Declare),
                ':' => return Err(fault("expected :=".into())),
                '|' => (1, Token::Pipe),
                '(' => (1, Token::Open),
                ')' => (1, Token::Close),
                '"' | '`' | '\'' => quoted(rest, first).map_err(fault)?,
                '$' => named(rest).map(|n| (n, Token::Variable(rest[..n].to_owned()))).map_err(fault)?,
                '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                    let length = named(rest).map_err(fault)?;
                    (length, if length == 1 { Token::Dot } else { Token::Field(rest[1..length].to_owned()) })
                }
                '+' | '-' | '.' | '0'..='9' => number(rest).map_err(fault)?,
                c if is_letter(c) => named(rest).map(|n| (n, Token::Word(rest[..n].to_owned()))).map_err(fault)?,
                c if c.is_ascii_graphic() => (1, Token::Char(c)),
                c => return Err(fault(format!("unrecognized character in action: {}", unicode(c)))),
            };
            match token {
                Token::Open => depth += 1,
                Token::Close if depth == 0 => return Err(fault("unexpected right paren".into())),
                Token::Close => depth -= 1,
                _ => {}
            }
            self.tokens.push((at, token));
            self.at += length;
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_letter(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// `U+007D '}'`
fn unicode(c: char) -> String {
    format!("U+{:04X} '{c}'", u32::from(c))
}

/// Length of `}}` or ` -}}` where one stands here.
fn right(text: &str) -> Option<usize> {
    let trimming = text.strip_prefix(is_space).is_some_and(|r| r.starts_with("-}}"));
    if trimming { Some(4) } else { text.starts_with("}}").then_some(2) }
}

/// Length of a name with the sign before it.
fn named(text: &str) -> Result<usize, String> {
    let sign = usize::from(text.starts_with(['$', '.']));
    let length = text[sign..].find(|c| !is_letter(c)).map_or(text.len(), |at| sign + at);
    match text[length..].chars().next() {
        Some(c) if !(is_space(c) || ".,|:)(".contains(c) || text[length..].starts_with("}}")) => {
            Err(format!("bad character {}", unicode(c)))
        }
        _ => Ok(length),
    }
}

fn number(text: &str) -> Result<(usize, Token), String> {
    let signed = usize::from(text.starts_with(['+', '-']));
    let mut end = signed;
    for c in text[signed..].chars() {
        let exponent = text[..end].ends_with(['e', 'E']) && !text[signed..].starts_with("0x");
        if !(is_letter(c) || c == '.' || matches!(c, '+' | '-') && exponent) {
            break;
        }
        end += c.len_utf8();
    }
    let word = &text[..end];
    let digits = word[signed..].replace('_', "").to_lowercase();
    let based =
        [("0x", 16), ("0o", 8), ("0b", 2)].iter().find_map(|(p, radix)| Some((digits.strip_prefix(p)?, *radix)));
    let valid = match based {
        Some((hex, 16)) if hex.contains('p') => {
            hex.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | 'p' | '+' | '-'))
        }
        Some((digits, radix)) => u64::from_str_radix(digits, radix).is_ok(),
        None => {
            digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && {
                digits.strip_suffix('i').unwrap_or(&digits).parse::<f64>().is_ok()
            }
        }
    };
    if valid { Ok((end, Token::Number(word.to_owned()))) } else { Err(format!("bad number syntax: {word:?}")) }
}

/// A string or a character in its quotes.
fn quoted(text: &str, quote: char) -> Result<(usize, Token), String> {
    let mut escaped = false;
    let closes = |(_, c): &(usize, char)| {
        let closes = *c == quote && !escaped || *c == '\n' && quote != '`';
        escaped = *c == '\\' && quote != '`' && !escaped;
        closes
    };
    let end = text.char_indices().skip(1).find(closes).filter(|(_, c)| *c == quote).map(|(at, _)| at);
    let Some(end) = end else {
        return Err(match quote {
            '`' => "unterminated raw quoted string".into(),
            '\'' => "unterminated character constant".into(),
            _ => "unterminated quoted string".into(),
        });
    };
    let (inner, whole) = (&text[1..end], &text[..=end]);
    let token = match quote {
        '`' => Token::Text(inner.to_owned()),
        '"' => Token::Text(unquote(inner, quote).ok_or("invalid syntax")?),
        _ => match unquote(inner, quote) {
            Some(one) if one.chars().count() == 1 => Token::Number(whole.to_owned()),
            _ => return Err(format!("malformed character constant: {whole}")),
        },
    };
    Ok((end + 1, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNCTIONS: &[&str] =
        &["query", "first", "value", "humanize", "humanizePercentage", "reReplaceAll", "toUpper", "toJson"];
    const VARIABLES: &[&str] = &["$", "$labels", "$value"];

    fn fault(text: &str) -> String {
        parse(text, FUNCTIONS, VARIABLES).err().map(|f| format!("{} {}", f.place, f.message)).unwrap_or_default()
    }

    #[test]
    fn takes_what_people_write() {
        for good in [
            "plain } text { with braces",
            "Instance {{ $labels.instance }} down: {{ $value | humanizePercentage }}.",
            "{{- /* note */ -}} {{ printf \"%.2f\" $value }}",
            "{{ with query \"up{job='x'}\" }}{{ . | first | value | humanize }}{{ else }}none{{ end }}",
            "{{ range $i, $e := query `up` }}{{ $i }}{{ $e.Labels.job }}{{ end }}",
            "{{ if eq $labels.a \"}}\" }}x{{ else if gt $value 1.5 }}y{{ end }}",
            "{{ $x := 1 }}{{ $x }}{{ ($labels).job }}{{ (index . 0).Value }}",
            "{{ define \"t\" }}{{ . }}{{ end }}{{ template \"t\" $value }}",
            "{{ .Labels.job }} {{ $ }} {{ . }} {{ -1 }} {{ true }}",
            "{{ reReplaceAll \"(.*):.*\" \"$1\" $labels.instance }}",
            "{{\n  $value\n}}",
            "{{ .Status | toUpper }}",
            "{{- range $i, $a := .Alerts -}}{{ if gt $i 0 }}, {{ end }}{{ $a.Labels.alertname }}{{ else }}none{{ end }}",
            "{{/* a comment {{ */}}{{ with .CommonLabels.env }}{{ . }}{{ else }}-{{ end }}",
            "{{ if and (eq .Status \"firing\") (not .X) }}a{{ else if eq 1 2 }}b{{ end }}",
            "{{ (index .Alerts 0).Annotations.summary }} {{ `raw` }} {{ 'x' }} {{ printf \"%.2f\" 1.5e3 }} {{ 1e-3 }}",
            "{{ $x := .A }}{{ $x = 2 }}{{ $.B }}{{ len .Alerts.Firing }}",
            "{{ block \"b\" . }}x{{ end }}",
            "{{ define \"a\" -}} {{- end }}{{ define \"a\" }}y{{ end }}",
            "{{ $value | humanize | }}",
            "{{ with $x := .A }}{{ else }}{{ $x }}{{ end }}",
            "{{ range .A }}{{ if .B }}{{ continue }}{{ end }}{{ end }}",
            "{{ if (print ($y := 1)) }}{{ end }}",
        ] {
            assert_eq!(fault(good), "", "{good}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for (bad, why) in [
            ("{{ $label.instance }}", "1:4 undefined variable \"$label\""),
            ("{{ $labels.instance }", "unexpected \"}\" in operand"),
            ("{{ define \"t\" }}[{{ .Status | toUpper }] {{ .X }}{{ end }}", "1:39 unexpected \"}\" in operand"),
            ("{{ $labels.instance", "unclosed action"),
            ("{{ .Status | upperCase }}", "1:14 function \"upperCase\" not defined"),
            ("{{ }}", "missing value for command"),
            ("{{ if }}x{{ end }}", "missing value for if"),
            ("{{ if $value }}x", "unexpected EOF"),
            ("x{{ end }}", "unexpected {{end}}"),
            ("{{ else }}", "unexpected {{else}}"),
            ("{{ .x }}{{ ..y }}", "unexpected . after term \".\""),
            ("{{ $value | | humanize }}", "unexpected \"|\" in command"),
            ("{{ reReplaceAll '(a)' $value }}", "malformed character constant"),
            ("{{ \"abc }}", "unterminated quoted string"),
            ("{{ ($value }}", "unclosed left paren"),
            ("{{ $value) }}", "unexpected right paren"),
            ("{{ $labels.a-b }}", "bad character U+002D '-'"),
            ("{{ if $x := 1 }}{{ end }}{{ $x }}", "undefined variable \"$x\""),
            ("{{ range .A }}{{ $y := . }}{{ end }}{{ $y }}", "undefined variable \"$y\""),
            ("{{ define \"t\" }}{{ $labels.job }}{{ end }}", "undefined variable \"$labels\""),
            ("{{ if .A }}{{ define \"t\" }}{{ end }}{{ end }}", "unexpected <define> in command"),
            ("{{ labels.job }}", "function \"labels\" not defined"),
            ("{{/* open }}", "unclosed comment"),
            ("{{ /* a */ }}", "unexpected \"/\" in command"),
            ("{{ 1x }}", "bad number syntax"),
            ("{{ template x }}", "unexpected \"x\" in template clause"),
            ("{{ .A | \"x\" }}", "non executable command in pipeline stage 2"),
            ("{{ define \"a\" }}x{{ end }}{{ define \"a\" }}y{{ end }}", "multiple definition of template \"a\""),
            ("{{ break }}", "{{break}} outside {{range}}"),
            ("a\nb {{ $labels.x }}\n{{ nope }}", "3:4 function \"nope\""),
        ] {
            let found = fault(bad);
            assert!(!found.is_empty() && found.contains(why), "{bad}: {found}");
        }
    }

    #[test]
    fn says_what_was_meant() {
        let meant = |text| parse(text, FUNCTIONS, VARIABLES).err()?.unknown?.meant(FUNCTIONS, VARIABLES);
        assert_eq!(meant("{{ .Status | upperCase }}"), Some("toUpper"));
        assert_eq!(meant("{{ humanise $value }}"), Some("humanize"));
        assert_eq!(meant("{{ tojson . }}"), Some("toJson"));
        assert_eq!(meant("{{ labels.job }}"), Some("$labels"));
        assert_eq!(meant("{{ $label.job }}"), Some("$labels"));
        assert_eq!(meant("{{ somethingNew . }}"), None);
    }
}
