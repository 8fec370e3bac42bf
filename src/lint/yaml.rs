//! YAML with the place of every node, as strict readers need it: streams of documents, duplicate keys kept.

pub(crate) mod quotes;

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StructureStyle, Tag};

use super::{Place, Problem};

/// Where the types of YAML are named.
const YAML: &str = "tag:yaml.org,2002:";
/// Nodes of a file at most, aliases expanded: more is an alias bomb, or no configuration.
const MAX_NODES: usize = 2_000_000;
/// Letters that aliases may add to a text at most.
const MAX_REPEATED: usize = 4 << 20;
/// Nesting at most.
const MAX_DEPTH: usize = 200;

/// One node.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it holds.
    pub value: Value,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A scalar; `plain` if it is not quoted and has no tag, so that `1`, `true`, `null` mean what they look like.
    Scalar {
        /// Its text after the escapes.
        text: String,
        /// Not quoted.
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in order; a key can come twice.
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// The text of a scalar that is not null.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// A boolean that is set.
    pub fn is_true(&self) -> bool {
        self.as_str().is_some_and(|t| matches!(t.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "y"))
    }

    /// An empty value, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The items of a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// Keys and values of a mapping.
    pub fn entries(&self) -> Option<&[(Node, Node)]> {
        match &self.value {
            Value::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key; `None` where this is no mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v)
    }

    /// The node at a path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// What is left of `{{ .Labels.x }}` that stands without quotes: a mapping whose key is a mapping.
    pub fn is_template(&self) -> bool {
        matches!(self.entries(), Some([(key, _)]) if key.entries().is_some())
    }

    /// What it is where a single value should be.
    pub fn described(&self) -> String {
        let why = if self.is_template() { quotes::TEMPLATE } else { "" };
        format!("{}{why}", self.kind())
    }

    /// What it is in a message: `a list`.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

/// The documents of a stream, empty ones left out.
///
/// # Errors
/// The documents read before the fault, and the fault.
pub fn documents(text: &str) -> Result<Vec<Node>, (Vec<Node>, Problem)> {
    as_go(text, usize::MAX)
}

/// The first document, which is all that most programs read; `Ok(None)` for an empty file.
///
/// # Errors
/// The fault, if the text is not YAML.
pub fn document(text: &str) -> Result<Option<Node>, Problem> {
    match as_go(text, 1) {
        Ok(all) => Ok(all.into_iter().next()),
        Err((_, problem)) => Err(problem),
    }
}

/// Attempts to read a text that Go takes and a strict reader does not.
const MAX_ATTEMPTS: usize = 64;

/// Reads as Go does; what is said to be meant in place of a fault was tried.
fn as_go(text: &str, limit: usize) -> Result<Vec<Node>, (Vec<Node>, Problem)> {
    attempt(text, limit).map_err(|(before, fault)| (before, quotes::tried(fault, text)))
}

/// Reads as libyaml does, on which Go's readers are built: lines of a quoted text may begin anywhere, tabs may indent
/// inside brackets, and nowhere else.
fn attempt(text: &str, limit: usize) -> Result<Vec<Node>, (Vec<Node>, Problem)> {
    if let Some(problem) = incompatible(text) {
        return Err((Vec::new(), problem));
    }
    let mut lenient: Option<Vec<String>> = None;
    for _ in 0..MAX_ATTEMPTS {
        let current = lenient.as_ref().map(|lines| lines.join("\n"));
        let mut spans = Vec::new();
        let result = read(current.as_deref().unwrap_or(text), limit, &mut spans);
        let Err((before, fault)) = result else {
            return match (tab(text, &spans, usize::MAX), result) {
                (Some(problem), Ok(found)) => Err((found, problem)),
                (_, result) => result,
            };
        };
        let lines = lenient.get_or_insert_with(|| text.split('\n').map(str::to_owned).collect());
        let at = fault.place.line - 1;
        let relaxed = lines.get_mut(at).is_some_and(|line| relax(line, &fault.message));
        if !relaxed {
            let at_fault = |p: &Problem| fault.message.contains("tab") || p.place.line == fault.place.line;
            let problem = tab(text, &spans, fault.place.line + 1).filter(at_fault);
            return Err((before, problem.unwrap_or_else(|| explained(fault, &spans, text))));
        }
    }
    let mut spans = Vec::new();
    read(text, limit, &mut spans)
}

/// Says what is behind a fault that a reader finds later only: a quote or a bracket that is not closed, a value that has to
/// be in quotes, an indentation that does not fit.
fn explained(mut fault: Problem, spans: &[Lines], text: &str) -> Problem {
    if let Some(problem) = quotes::explained(&fault, text) {
        return problem;
    }
    let open = spans.iter().rev().find(|s| !s.block && s.to == usize::MAX);
    let late = ["is only valid inside a block", "unclosed bracket", "flow sequence", "flow mapping"];
    // A colon inside brackets is one where it should not be, unless the brackets were meant to end before.
    let after = |s: &&Lines| fault.message.contains("illegal placement of ':'") && s.from < fault.place.line;
    if let Some(open) = open.filter(|s| after(s) || late.iter().any(|w| fault.message.contains(w))) {
        fault.message = format!(
            "not valid YAML: did not find expected ',' or the closing bracket: the bracket of line {} is not closed",
            open.from
        );
        fault.place = Place { line: open.from, column: open.column };
    } else if fault.message.contains("did not find expected '-' indicator")
        || fault.message.contains("did not find expected key")
    {
        fault.message.push_str(": the indentation does not fit the lines above");
    }
    fault
}

/// Changes a line to what a strict reader takes; false where Go would not take it either.
fn relax(line: &mut String, fault: &str) -> bool {
    if fault.contains("invalid indentation in multiline quoted scalar") {
        line.insert_str(0, &" ".repeat(MAX_DEPTH));
        return true;
    }
    let blank = line.len() - line.trim_start().len();
    if fault.contains("tab") && line[..blank].contains('\t') {
        let spaces = line[..blank].replace('\t', " ");
        line.replace_range(..blank, &spaces);
        return true;
    }
    false
}

/// A directive for another version of YAML than Go reads.
fn incompatible(text: &str) -> Option<Problem> {
    let first = text.lines().position(|l| !l.trim().is_empty() && !l.starts_with('#'))?;
    let version = text.lines().nth(first)?.strip_prefix("%YAML ")?.trim();
    let place = Place { line: first + 1, column: 1 };
    (version != "1.1")
        .then(|| Problem::new(place, "", "not valid YAML: found incompatible YAML document (%YAML 1.1 only)"))
}

/// Lines of a text in quotes, a block text or brackets.
struct Lines {
    from: usize,
    column: usize,
    to: usize,
    /// A block text, whose own indentation must be of spaces too.
    block: bool,
}

/// The first tab that indents a line, or stands after a `-`, outside brackets and texts.
fn tab(text: &str, spans: &[Lines], last: usize) -> Option<Problem> {
    let lines: Vec<&str> = text.lines().take(last).collect();
    let outside = lines.iter().enumerate().find_map(|(at, line)| {
        let rest = line.trim_start_matches([' ', '-']);
        let inside = || spans.iter().any(|s| s.from <= at && at < s.to);
        let column = line.len() - rest.len() + 1;
        (rest.starts_with('\t') && !inside()).then_some(Place { line: at + 1, column })
    });
    let inside = spans.iter().filter(|s| s.block).find_map(|s| tab_of_block(&lines, s));
    let message = "not valid YAML: found a tab character that violates indentation: indent with spaces";
    outside.into_iter().chain(inside).min().map(|place| Problem::new(place, "", message))
}

/// A tab within the indentation of a block text, which begins where its first line that is not empty does.
fn tab_of_block(lines: &[&str], span: &Lines) -> Option<Place> {
    let indent = span.column - 1;
    lines.iter().enumerate().take(span.to).skip(span.from).find_map(|(at, line)| {
        let rest = line.trim_start_matches(' ');
        let spaces = line.len() - rest.len();
        (rest.starts_with('\t') && spaces < indent).then_some(Place { line: at + 1, column: spaces + 1 })
    })
}

fn read(text: &str, limit: usize, spans: &mut Vec<Lines>) -> Result<Vec<Node>, (Vec<Node>, Problem)> {
    let mut reader = Reader { anchors: HashMap::new(), nodes: 0, repeated: 0, spans };
    // Whoever comments out half a file writes YAML all the same: comments are not kept, of which there is a greatest number.
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut found = Vec::new();
    while found.len() < limit {
        match parser.next_event() {
            None => break,
            Some(Err(error)) => return Err((found, syntax(&error))),
            Some(Ok((Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Comment(..), _))) => {}
            Some(Ok((Event::DocumentStart(..), _))) => reader.anchors.clear(),
            Some(Ok((event, span))) => match reader.node(&mut parser, event, span, 0) {
                Ok(node) if node.is_null() => {}
                Ok(node) => found.push(node),
                Err(problem) => return Err((found, problem)),
            },
        }
    }
    // What follows the first document's end marker is not read; a fault right at its end is one.
    if found.len() == limit
        && let Some(Err(error)) = parser.next_event()
    {
        return Err((found, syntax(&error)));
    }
    Ok(found)
}

fn syntax(error: &ScanError) -> Problem {
    let marker = error.marker();
    let place = Place { line: marker.line().max(1), column: marker.col() + 1 };
    let info = error.info().replace("simple key expected ':'", "could not find expected ':'");
    Problem::new(place, "", format!("not valid YAML: {info}"))
}

/// What a `!!binary` stands for; bytes that are no text become signs that no name has.
fn binary(text: &str, place: Place) -> Result<String, Problem> {
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    match STANDARD.decode(compact) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(_) => Err(Problem::new(place, "", "not valid YAML: !!binary value contains invalid base64 data")),
    }
}

fn place(span: Span) -> Place {
    Place { line: span.start.line().max(1), column: span.start.col() + 1 }
}

struct Reader<'s> {
    anchors: HashMap<usize, Node>,
    nodes: usize,
    /// Letters that aliases repeated.
    repeated: usize,
    spans: &'s mut Vec<Lines>,
}

impl Reader<'_> {
    fn node<'i>(
        &mut self,
        parser: &mut Parser<'i, granit_parser::StrInput<'i>>,
        event: Event<'i>,
        span: Span,
        depth: usize,
    ) -> Result<Node, Problem> {
        let place = place(span);
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(Problem::new(place, "", "not valid YAML: nested too deeply, or too many values"));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                if style != ScalarStyle::Plain {
                    // The end of a block text is the beginning of what follows.
                    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                    let to = span.end.line().saturating_sub(usize::from(block && span.end.col() == 0));
                    self.spans.push(Lines { from: place.line, column: place.column, to, block });
                }
                let plain = style == ScalarStyle::Plain && tag.as_deref().is_none_or(Tag::is_yaml_core_schema);
                let text = match tag.as_deref().filter(|t| t.suffix_in_namespace(YAML).as_deref() == Some("binary")) {
                    Some(_) => binary(&text, place)?,
                    None => text.into_owned(),
                };
                (Value::Scalar { text, plain }, anchor)
            }
            Event::SequenceStart(style, anchor, _) => {
                let mut items = Vec::new();
                self.spans.extend(open(style, place));
                while let Some((event, span)) = self.next(parser, style, place)? {
                    items.push(self.node(parser, event, span, depth + 1)?);
                }
                (Value::Sequence(items), anchor)
            }
            Event::MappingStart(style, anchor, _) => {
                let mut entries = Vec::new();
                self.spans.extend(open(style, place));
                while let Some((event, span)) = self.next(parser, style, place)? {
                    let key = self.node(parser, event, span, depth + 1)?;
                    let Some((event, span)) = self.next(parser, style, place)? else { break };
                    entries.push((key, self.node(parser, event, span, depth + 1)?));
                }
                (Value::Mapping(entries), anchor)
            }
            Event::Alias(id) => {
                let meant = self.anchors.get(&id);
                let node = meant.ok_or_else(|| Problem::new(place, "", "not valid YAML: unknown alias"))?;
                let (nodes, letters) = size(node);
                (self.nodes, self.repeated) = (self.nodes + nodes, self.repeated + letters);
                if self.repeated > MAX_REPEATED {
                    return Err(Problem::new(place, "", "not valid YAML: its aliases repeat too much"));
                }
                let node = node.clone();
                return Ok(Node { place, value: node.value });
            }
            _ => return Err(Problem::new(place, "", "not valid YAML")),
        };
        let node = Node { place, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// The next event inside a collection; `None` at its end.
    fn next<'i>(
        &mut self,
        parser: &mut Parser<'i, granit_parser::StrInput<'i>>,
        style: StructureStyle,
        begin: Place,
    ) -> Result<Option<(Event<'i>, Span)>, Problem> {
        loop {
            match parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((Event::SequenceEnd | Event::MappingEnd, span))) => {
                    if style == StructureStyle::Flow
                        && let Some(last) =
                            self.spans.iter_mut().rev().find(|s| s.from == begin.line && s.to == usize::MAX)
                    {
                        last.to = span.start.line();
                    }
                    return Ok(None);
                }
                None => return Ok(None),
                Some(Ok(event)) => return Ok(Some(event)),
                Some(Err(error)) => return Err(syntax(&error)),
            }
        }
    }
}

/// An open bracket, as long as its end is not known.
fn open(style: StructureStyle, place: Place) -> Option<Lines> {
    (style == StructureStyle::Flow).then_some(Lines {
        from: place.line,
        column: place.column,
        to: usize::MAX,
        block: false,
    })
}

/// Nodes and letters.
fn size(node: &Node) -> (usize, usize) {
    let add = |(nodes, letters): (usize, usize), node: &Node| {
        let more = size(node);
        (nodes + more.0, letters + more.1)
    };
    match &node.value {
        Value::Scalar { text, .. } => (1, text.len()),
        Value::Sequence(items) => items.iter().fold((1, 0), add),
        Value::Mapping(entries) => entries.iter().flat_map(|(k, v)| [k, v]).fold((1, 0), add),
    }
}

/// The path of a field.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// `targets` of `scrape_configs[0].static_configs[1].targets`; of an item, its list.
pub(super) fn last(path: &str) -> &str {
    let name = path.rsplit('.').next().unwrap_or(path);
    if name.is_empty() { "the file" } else { name }
}

/// YAML 1.1 booleans, as Go reads them.
pub(super) fn is_bool(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let capital = text.starts_with(|c: char| c.is_ascii_uppercase()) && text[1..] == lower[1..];
    matches!(lower.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n")
        && (text == lower || capital || text == text.to_ascii_uppercase())
}

/// YAML 1.1 numbers, as Go reads them.
pub(super) fn is_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']).replace('_', "");
    let based =
        |prefix: &str, radix: u32| digits.strip_prefix(prefix).is_some_and(|d| u64::from_str_radix(d, radix).is_ok());
    let decimal = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && digits.parse::<f64>().is_ok();
    decimal || based("0x", 16) || based("0b", 2) || based("0o", 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_booleans_are_those_of_yaml_1_1() {
        assert!(["0", "-5", "1_000", "0x1f", "1.5", "1e3", "0o17"].iter().all(|t| is_number(t)));
        assert!(["", "ten", "1 0", "nan", "inf"].iter().all(|t| !is_number(t)));
        assert!(["true", "Yes", "OFF", "y"].iter().all(|t| is_bool(t)));
        assert!(!is_bool("1") && !is_bool("tRue"));
    }

    #[test]
    fn nodes_know_their_places() {
        let text = "# c\nglobal: &g\n  scrape_interval: 15s\n---\nb: [1, \"2\", ~]\n---\n\n";
        let found = documents(text).expect("is valid");
        assert_eq!(found.len(), 2, "the empty document is none");
        let interval = found[0].at(&["global", "scrape_interval"]).expect("is there");
        assert_eq!((interval.as_str(), interval.place), (Some("15s"), Place { line: 3, column: 20 }));
        let items = found[1].get("b").and_then(Node::items).expect("a list");
        assert_eq!(items[1].place, Place { line: 5, column: 8 });
        assert!(items[2].is_null() && !items[1].is_null());
    }

    #[test]
    fn a_tab_may_begin_a_line_of_a_block_text_and_not_its_indentation() {
        for good in ["a: |\n  {\n    b\n  \tc\n  }\n", "a: >-\n\n  b\n  \tc\nd: e\n", "- |2\n   b\n  \tc\n"] {
            assert!(documents(good).is_ok(), "{good:?}");
        }
        for (bad, at) in [("a: |\n  {\n \tb\n  }\n", (3, 2)), ("a: |\n  b\n\n\tc\n", (4, 1))] {
            let (_, problem) = documents(bad).expect_err(bad);
            assert!(problem.message.contains("tab character"), "{bad:?}: {problem:?}");
            assert_eq!((problem.place.line, problem.place.column), at, "{bad:?}");
        }
    }

    #[test]
    fn keys_that_come_twice_are_kept() {
        let node = document("a: 1\na: 2\n").expect("is valid").expect("is there");
        assert_eq!(node.entries().map(<[_]>::len), Some(2));
    }

    #[test]
    fn faults_have_a_place_and_what_came_before_is_kept() {
        let (before, problem) = documents("a: 1\n---\nb: [1\nc: 2\n").expect_err("is broken");
        assert_eq!(before.len(), 1);
        assert!(problem.place.line >= 3 && problem.message.starts_with("not valid YAML"), "{problem:?}");
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..9 {
            let many = vec![format!("*a{}", n - 1); 10].join(",");
            text.push_str(&format!("a{n}: &a{n} [{many}]\n"));
        }
        assert!(document(&text).is_err());
    }
}
