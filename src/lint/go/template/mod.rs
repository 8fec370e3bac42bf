//! Go templates, as far as `text/template` checks them when it reads them: actions, operands, variables, functions,
//! nesting. What they give when executed is not looked at.

mod lexer;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::lint::Place;
use crate::lint::go::template::lexer::{Lexer, Token, begins_operand};
use crate::text::near::near;

/// Functions that `text/template` brings.
const BUILTIN: &[&str] = &[
    "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "html", "js", "urlquery", "call", "eq",
    "ne", "lt", "le", "gt", "ge",
];

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
