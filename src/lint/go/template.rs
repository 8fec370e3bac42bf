//! Go templates, as far as `text/template` checks them when it reads them: actions, operands, variables, functions,
//! nesting. What they give when executed is not looked at.

/// What is wrong with a template, in Go's words, with the line in it (from 1).
pub(crate) fn template_fault(text: &str, functions: &[&str], variables: &[&str]) -> Option<(usize, String)> {
    let mut parser = Parser {
        functions,
        scopes: vec![variables.iter().map(|v| (*v).to_owned()).collect()],
        blocks: Vec::new(),
        line: 1,
    };
    parser.all(text).err().map(|message| (parser.line, message))
}

/// Functions that `text/template` brings.
const BUILTIN: &[&str] = &[
    "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "html", "js", "urlquery", "call", "eq",
    "ne", "lt", "le", "gt", "ge",
];

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// `$`, `$name`
    Variable(String),
    /// `.name`
    Field(String),
    Dot,
    Word(String),
    /// Number, string or character.
    Constant,
    Assign,
    Declare,
    Pipe,
    Comma,
    Open,
    Close,
    Space,
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Self::Variable(name) | Self::Word(name) => name.clone(),
            Self::Field(name) => format!(".{name}"),
            Self::Dot => ".".into(),
            Self::Constant => "constant".into(),
            Self::Assign => "=".into(),
            Self::Declare => ":=".into(),
            Self::Pipe => "|".into(),
            Self::Comma => ",".into(),
            Self::Open => "(".into(),
            Self::Close => ")".into(),
            Self::Space => " ".into(),
        }
    }
}

/// An open block: its keyword, and whether it had its `else`.
struct Block {
    keyword: &'static str,
    has_else: bool,
    /// `{{else if}}` closes with the same `{{end}}`.
    scopes: usize,
}

struct Parser<'a> {
    functions: &'a [&'a str],
    /// Variables, the innermost block last.
    scopes: Vec<Vec<String>>,
    blocks: Vec<Block>,
    line: usize,
}

type Fault = Result<(), String>;

impl Parser<'_> {
    fn all(&mut self, text: &str) -> Fault {
        let mut rest = text;
        while let Some(at) = rest.find("{{") {
            self.line += rest[..at].matches('\n').count();
            rest = &rest[at + 2..];
            let trimmed =
                rest.strip_prefix('-').filter(|r| r.starts_with([' ', '\t', '\n', '\r'])).map_or(rest, str::trim_start);
            if let Some(comment) = trimmed.strip_prefix("/*") {
                let Some(end) = comment.find("*/") else { return Err("unclosed comment".into()) };
                let after = comment[end + 2..].trim_start();
                let after = after.strip_prefix("-}}").or_else(|| comment[end + 2..].strip_prefix("}}"));
                let Some(after) = after else { return Err("comment ends before closing delimiter".into()) };
                self.line += comment[..end].matches('\n').count();
                rest = after;
                continue;
            }
            let (tokens, after) = lex(trimmed)?;
            self.action(&tokens)?;
            self.line += rest[..rest.len() - after.len()].matches('\n').count();
            rest = after;
        }
        if self.blocks.is_empty() { Ok(()) } else { Err("unexpected EOF: a block has no {{end}}".into()) }
    }

    fn action(&mut self, tokens: &[Token]) -> Fault {
        let tokens = trim(tokens);
        let (first, rest) = match tokens.split_first() {
            Some((Token::Word(word), rest)) => (word.as_str(), trim(rest)),
            Some(_) => ("", tokens),
            None => return Err("missing value for command".into()),
        };
        match first {
            "if" => self.open("if", rest),
            "with" => self.open("with", rest),
            "range" => self.open("range", rest),
            "define" | "block" => self.named(first, rest),
            "template" => match rest.split_first() {
                Some((Token::Constant, [])) => Ok(()),
                Some((Token::Constant, value)) => self.pipeline(trim(value), "template clause"),
                _ => Err("unexpected token in template clause".into()),
            },
            "else" => self.or_else(rest),
            "end" => match (self.blocks.pop(), rest) {
                (None, _) => Err("unexpected {{end}}".into()),
                (_, [token, ..]) => Err(format!("unexpected {:?} in end", token.shown())),
                (Some(block), []) => {
                    self.scopes.truncate(block.scopes);
                    Ok(())
                }
            },
            "break" | "continue" => {
                if self.blocks.iter().any(|b| b.keyword == "range") {
                    Ok(())
                } else {
                    Err(format!("{{{{{first}}}}} outside {{{{range}}}}"))
                }
            }
            _ => self.pipeline(tokens, "command"),
        }
    }

    fn open(&mut self, keyword: &'static str, pipeline: &[Token]) -> Fault {
        self.blocks.push(Block { keyword, has_else: false, scopes: self.scopes.len() });
        self.scopes.push(Vec::new());
        self.pipeline(pipeline, keyword)
    }

    fn named(&mut self, keyword: &str, rest: &[Token]) -> Fault {
        if rest.first() != Some(&Token::Constant) {
            return Err(format!("unexpected token in {keyword} clause"));
        }
        if keyword == "block" {
            self.pipeline(trim(&rest[1..]), "block clause")?;
        }
        self.blocks.push(Block { keyword: "define", has_else: false, scopes: self.scopes.len() });
        self.scopes.push(vec!["$".into()]);
        Ok(())
    }

    fn or_else(&mut self, rest: &[Token]) -> Fault {
        let Some(block) = self.blocks.last_mut().filter(|b| !b.has_else && b.keyword != "define") else {
            return Err("unexpected {{else}}".into());
        };
        let scopes = block.scopes;
        match rest.split_first() {
            None => block.has_else = true,
            Some((Token::Word(word), pipeline)) if word == block.keyword && word != "range" => {
                self.scopes.truncate(scopes);
                self.scopes.push(Vec::new());
                return self.pipeline(trim(pipeline), "else if");
            }
            Some((token, _)) => return Err(format!("unexpected {:?} in else", token.shown())),
        }
        self.scopes.truncate(scopes);
        self.scopes.push(Vec::new());
        Ok(())
    }

    /// `$x := …`, `$i, $v := range …`, commands between pipes.
    fn pipeline(&mut self, tokens: &[Token], context: &str) -> Fault {
        let mut declared = Vec::new();
        let mut body = tokens;
        let flat: Vec<&Token> = tokens.iter().filter(|t| **t != Token::Space).collect();
        let assigns = |t: &&Token| matches!(t, Token::Declare | Token::Assign);
        if let Some(at) = flat.iter().position(assigns) {
            let names =
                flat[..at].iter().filter_map(|t| if let Token::Variable(v) = t { Some(v.clone()) } else { None });
            declared = names.collect();
            let commas = flat[..at].iter().filter(|t| ***t == Token::Comma).count();
            if declared.is_empty() || declared.len() + commas != at {
                return Err(format!("unexpected {:?} in {context}", flat[at].shown()));
            }
            if declared.len() > 1 && (context != "range" || declared.len() > 2) {
                return Err(format!("too many declarations in {context}"));
            }
            let split = tokens.iter().position(|t| assigns(&t)).unwrap_or_default();
            body = &tokens[split + 1..];
        }
        self.commands(body, context)?;
        if let Some(scope) = self.scopes.last_mut() {
            scope.extend(declared);
        }
        Ok(())
    }

    fn knows(&self, variable: &str) -> bool {
        self.scopes.iter().flatten().any(|v| v == variable)
    }

    fn commands(&self, tokens: &[Token], context: &str) -> Fault {
        let mut depth = 0;
        let mut from = 0;
        let mut commands = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                Token::Open => depth += 1,
                Token::Close if depth == 0 => return Err("unexpected right paren".into()),
                Token::Close => depth -= 1,
                Token::Pipe if depth == 0 => {
                    commands.push(&tokens[from..at]);
                    from = at + 1;
                }
                _ => {}
            }
        }
        if depth > 0 {
            return Err("unclosed left paren".into());
        }
        // Go takes a pipe at the end.
        if commands.is_empty() || !trim(&tokens[from..]).is_empty() {
            commands.push(&tokens[from..]);
        }
        for (at, command) in commands.iter().enumerate() {
            let command = trim(command);
            if command.is_empty() {
                return Err(format!("missing value for {context}"));
            }
            self.command(command, at > 0)?;
        }
        Ok(())
    }

    /// Operands apart by blanks.
    fn command(&self, tokens: &[Token], piped: bool) -> Fault {
        let mut at = 0;
        let mut operands = 0;
        while at < tokens.len() {
            if tokens[at] == Token::Space {
                at += 1;
                continue;
            }
            let first = &tokens[at];
            match first {
                Token::Word(word) => {
                    let constant = matches!(word.as_str(), "true" | "false" | "nil");
                    if !constant && !self.functions.contains(&word.as_str()) && !BUILTIN.contains(&word.as_str()) {
                        return Err(format!("function {word:?} not defined"));
                    }
                    if piped && operands == 0 && constant {
                        return Err("non executable command in pipeline".into());
                    }
                }
                Token::Variable(name) if !self.knows(name) => return Err(format!("undefined variable {name:?}")),
                Token::Constant | Token::Dot if piped && operands == 0 => {
                    return Err("non executable command in pipeline stage 2".into());
                }
                Token::Variable(_) | Token::Field(_) | Token::Dot | Token::Constant => {}
                Token::Open => {
                    let close = closing(tokens, at);
                    self.commands(&tokens[at + 1..close], "parenthesized pipeline")?;
                    at = close;
                }
                other => return Err(format!("unexpected {:?} in operand", other.shown())),
            }
            operands += 1;
            at += 1;
            // What follows without a blank belongs to the operand: only fields may.
            while let Some(token) = tokens.get(at).filter(|t| **t != Token::Space) {
                match token {
                    Token::Field(_) if !matches!(first, Token::Constant | Token::Dot) => at += 1,
                    other => return Err(format!("unexpected {:?} in operand", other.shown())),
                }
            }
        }
        Ok(())
    }
}

fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Open => depth += 1,
            Token::Close => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

fn trim(tokens: &[Token]) -> &[Token] {
    let start = tokens.iter().position(|t| *t != Token::Space).unwrap_or(tokens.len());
    let end = tokens.iter().rposition(|t| *t != Token::Space).map_or(start, |at| at + 1);
    &tokens[start..end]
}

/// The tokens of an action and what follows its `}}`.
fn lex(text: &str) -> Result<(Vec<Token>, &str), String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix("}}") {
            return Ok((tokens, after));
        }
        let blank = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if blank.len() < rest.len() {
            if let Some(after) = blank.strip_prefix("-}}") {
                return Ok((tokens, after));
            }
            tokens.push(Token::Space);
            rest = blank;
            continue;
        }
        let Some(c) = rest.chars().next() else { return Err("unclosed action".into()) };
        let name = |text: &str| text.len() - text.trim_start_matches(|c: char| c == '_' || c.is_alphanumeric()).len();
        let taken = match c {
            '$' => {
                let length = 1 + name(&rest[1..]);
                tokens.push(Token::Variable(rest[..length].to_owned()));
                length
            }
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest, &mut tokens)?,
            '.' => {
                let length = name(&rest[1..]);
                tokens.push(if length == 0 { Token::Dot } else { Token::Field(rest[1..=length].to_owned()) });
                1 + length
            }
            '"' | '`' | '\'' => {
                let length = quoted(rest, c)?;
                tokens.push(Token::Constant);
                length
            }
            ':' if rest.starts_with(":=") => {
                tokens.push(Token::Declare);
                2
            }
            ':' => return Err("expected :=".into()),
            '=' | '|' | ',' | '(' | ')' => {
                tokens.push(match c {
                    '=' => Token::Assign,
                    '|' => Token::Pipe,
                    ',' => Token::Comma,
                    '(' => Token::Open,
                    _ => Token::Close,
                });
                1
            }
            c if c.is_ascii_digit() => number(rest, &mut tokens)?,
            '+' | '-' if rest[1..].starts_with(|c: char| c.is_ascii_digit() || c == '.') => number(rest, &mut tokens)?,
            c if c == '_' || c.is_alphabetic() => {
                let length = name(rest);
                tokens.push(Token::Word(rest[..length].to_owned()));
                let next = rest[length..].chars().next();
                if !next.is_none_or(|n| n.is_whitespace() || matches!(n, '.' | ',' | '|' | ':' | ')' | '(' | '}' | '='))
                {
                    return Err(format!("bad character {:?}", next.map(String::from).unwrap_or_default()));
                }
                length
            }
            '}' => return Err("unexpected \"}\" in operand".into()),
            c => return Err(format!("unexpected {:?} in command", c.to_string())),
        };
        rest = &rest[taken..];
    }
}

fn number(text: &str, tokens: &mut Vec<Token>) -> Result<usize, String> {
    let length =
        text.len() - text[1..].trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_')).len();
    let word = &text[..length];
    let digits = word.trim_start_matches(['+', '-']).replace('_', "").to_lowercase();
    let based = ["0x", "0o", "0b"].iter().any(|p| digits.starts_with(p));
    if !based && digits.trim_end_matches('i').parse::<f64>().is_err() {
        return Err(format!("bad number syntax: {word:?}"));
    }
    tokens.push(Token::Constant);
    Ok(length)
}

fn quoted(text: &str, quote: char) -> Result<usize, String> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' if quote != '`' => break,
            '\\' if quote != '`' && !escaped => escaped = true,
            c if c == quote && !escaped => {
                let inner = &text[1..at];
                if quote == '\'' && !inner.starts_with('\\') && inner.chars().count() != 1 {
                    return Err(format!("malformed character constant: {}", &text[..=at]));
                }
                return Ok(at + 1);
            }
            _ => escaped = false,
        }
    }
    Err(match quote {
        '`' => "unterminated raw quoted string".into(),
        '\'' => "unterminated character constant".into(),
        _ => "unterminated quoted string".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        template_fault(
            text,
            &["query", "first", "value", "humanize", "humanizePercentage", "reReplaceAll"],
            &["$", "$labels", "$value"],
        )
        .map(|(_, message)| message)
        .unwrap_or_default()
    }

    #[test]
    fn takes_templates_of_real_rules() {
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
        ] {
            assert_eq!(fault(good), "", "{good}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for (bad, why) in [
            ("{{ $label.instance }}", "undefined variable \"$label\""),
            ("{{ $labels.instance }", "unexpected \"}\" in operand"),
            ("{{ $labels.instance", "unclosed action"),
            ("{{ humanise $value }}", "function \"humanise\" not defined"),
            ("{{ }}", "missing value for command"),
            ("{{ if $value }}x", "unexpected EOF"),
            ("x{{ end }}", "unexpected {{end}}"),
            ("{{ else }}", "unexpected {{else}}"),
            ("{{ $value | | humanize }}", "missing value for command"),
            ("{{ reReplaceAll '(a)' $value }}", "malformed character constant"),
            ("{{ \"abc }}", "unterminated quoted string"),
            ("{{ ($value }}", "unclosed left paren"),
            ("{{ $value) }}", "unexpected right paren"),
            ("{{ $labels.a-b }}", ""),
            ("{{ if $x := 1 }}{{ end }}{{ $x }}", "undefined variable \"$x\""),
            ("{{ labels.job }}", "function \"labels\" not defined"),
            ("{{/* open }}", "unclosed comment"),
            ("{{ 1x }}", "bad number syntax"),
        ] {
            let found = fault(bad);
            assert!(!found.is_empty() && found.contains(why), "{bad}: {found}");
        }
    }

    #[test]
    fn knows_the_line() {
        let found = template_fault("a\nb {{ $labels.x }}\n{{ nope }}", &[], &["$labels"]);
        assert_eq!(found.map(|f| f.0), Some(3));
    }
}
