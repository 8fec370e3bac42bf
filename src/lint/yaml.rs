//! YAML with the place of every node, as strict readers need it: streams of documents, duplicate keys kept.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::{Place, Problem};

/// Nodes of a file at most, aliases expanded: more is an alias bomb, or no configuration.
const MAX_NODES: usize = 2_000_000;
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
    let mut reader = Reader { anchors: HashMap::new(), nodes: 0 };
    let mut parser = Parser::new_from_str(text);
    let mut found = Vec::new();
    loop {
        match parser.next_event() {
            None => return Ok(found),
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
}

/// The first document; `Ok(None)` for an empty file.
///
/// # Errors
/// The fault, if the text is not YAML.
pub fn document(text: &str) -> Result<Option<Node>, Problem> {
    match documents(text) {
        Ok(all) => Ok(all.into_iter().next()),
        Err((_, problem)) => Err(problem),
    }
}

fn syntax(error: &ScanError) -> Problem {
    let marker = error.marker();
    let place = Place { line: marker.line().max(1), column: marker.col() + 1 };
    Problem::new(place, "", format!("not valid YAML: {}", error.info()))
}

fn place(span: Span) -> Place {
    Place { line: span.start.line().max(1), column: span.start.col() + 1 }
}

struct Reader {
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl Reader {
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
                let plain = style == ScalarStyle::Plain && tag.as_deref().is_none_or(Tag::is_yaml_core_schema);
                (Value::Scalar { text: text.into_owned(), plain }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                while let Some((event, span)) = next(parser)? {
                    items.push(self.node(parser, event, span, depth + 1)?);
                }
                (Value::Sequence(items), anchor)
            }
            Event::MappingStart(_, anchor, _) => {
                let mut entries = Vec::new();
                while let Some((event, span)) = next(parser)? {
                    let key = self.node(parser, event, span, depth + 1)?;
                    let Some((event, span)) = next(parser)? else { break };
                    entries.push((key, self.node(parser, event, span, depth + 1)?));
                }
                (Value::Mapping(entries), anchor)
            }
            Event::Alias(id) => {
                let meant = self.anchors.get(&id).cloned();
                let node = meant.ok_or_else(|| Problem::new(place, "", "not valid YAML: unknown alias"))?;
                self.nodes += size(&node);
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
}

/// The next event inside a collection; `None` at its end.
fn next<'i>(parser: &mut Parser<'i, granit_parser::StrInput<'i>>) -> Result<Option<(Event<'i>, Span)>, Problem> {
    loop {
        match parser.next_event() {
            Some(Ok((Event::Comment(..), _))) => {}
            Some(Ok((Event::SequenceEnd | Event::MappingEnd, _))) | None => return Ok(None),
            Some(Ok(event)) => return Ok(Some(event)),
            Some(Err(error)) => return Err(syntax(&error)),
        }
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::Scalar { .. } => 1,
        Value::Sequence(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Mapping(entries) => 1 + entries.iter().map(|(k, v)| size(k) + size(v)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
