//! A reader of XML schemas, as far as that of JUnit goes: elements, their attributes, what stands in them and in which
//! order. What it does not know in a schema ends the test.

use std::collections::BTreeMap;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use regex::Regex;

/// An element of a document.
#[derive(Debug, Default)]
pub(crate) struct Element {
    /// Its name.
    pub name: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Element>,
    /// Text that is not white space stands in it.
    has_text: bool,
}

impl Element {
    /// The outermost element of a document that has to be well-formed.
    pub(crate) fn read(text: &str) -> Self {
        let mut reader = Reader::from_str(text);
        let mut open = vec![Self::default()];
        loop {
            let last = open.last_mut().expect("the document is open");
            match reader.read_event().expect("well-formed") {
                Event::Start(tag) => open.push(Self::of(&tag)),
                Event::Empty(tag) => last.children.push(Self::of(&tag)),
                Event::End(_) => {
                    let done = open.pop().expect("the reader pairs them");
                    open.last_mut().expect("the document is open").children.push(done);
                }
                Event::Text(text) => last.has_text |= !text.iter().all(u8::is_ascii_whitespace),
                Event::CData(_) | Event::GeneralRef(_) => last.has_text = true,
                Event::Comment(_) | Event::Decl(_) => {}
                Event::PI(_) | Event::DocType(_) => panic!("not read here"),
                Event::Eof => break,
            }
        }
        let [mut document] = <[Self; 1]>::try_from(open).expect("each element is closed");
        assert!(document.children.len() == 1 && !document.has_text, "a document has one element");
        document.children.remove(0)
    }

    fn of(tag: &BytesStart<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let attributes = tag.attributes().map(|attribute| {
            let attribute = attribute.expect("well-formed");
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).expect("well-formed");
            (text(attribute.key.as_ref()), value.into_owned())
        });
        Self { name: text(tag.name().as_ref()), attributes: attributes.collect(), ..Self::default() }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Names of the elements of a document, each as often as it is there.
    pub(crate) fn names(&self) -> Vec<&str> {
        let below = self.children.iter().flat_map(Self::names);
        std::iter::once(self.name.as_str()).chain(below).collect()
    }
}

/// A schema.
pub(crate) struct Schema(Element);

impl Schema {
    /// Reads one.
    pub(crate) fn read(text: &str) -> Self {
        let root = Element::read(text);
        assert_eq!(root.name, "xs:schema");
        for name in root.names() {
            let known =
                ["schema", "simpleType", "restriction", "pattern", "complexType", "sequence", "choice", "element"];
            let name = name.strip_prefix("xs:").expect("of XML Schema");
            assert!(known.contains(&name) || name == "attribute", "{name} is not read here");
        }
        Self(root)
    }

    /// What a document has that the schema does not allow, or lacks.
    pub(crate) fn faults(&self, document: &Element) -> Vec<String> {
        let mut faults = Vec::new();
        match self.global("xs:element", &document.name) {
            Some(declared) => self.element(document, declared, &document.name, &mut faults),
            None => faults.push(format!("{} is not declared", document.name)),
        }
        faults
    }

    fn global<'a>(&'a self, kind: &'a str, name: &'a str) -> Option<&'a Element> {
        self.0.all(kind).find(|e| e.attribute("name") == Some(name))
    }

    fn element(&self, element: &Element, declared: &Element, path: &str, faults: &mut Vec<String>) {
        let inline = declared.all("xs:complexType").next();
        let named = declared.attribute("type").and_then(|name| self.global("xs:complexType", name));
        match inline.or(named) {
            Some(kind) => self.complex(element, kind, path, faults),
            None => {
                assert_eq!(declared.attribute("type"), Some("xs:string"), "{path}: a type that is not read here");
                if !element.children.is_empty() || !element.attributes.is_empty() {
                    faults.push(format!("{path} holds text alone"));
                }
            }
        }
    }

    fn complex(&self, element: &Element, kind: &Element, path: &str, faults: &mut Vec<String>) {
        let attributes: Vec<&Element> = kind.all("xs:attribute").collect();
        let named = |name: &str| attributes.iter().find(|a| a.attribute("name") == Some(name));
        for (name, value) in &element.attributes {
            match named(name) {
                Some(attribute) if self.takes(attribute.attribute("type").unwrap_or("xs:string"), value) => {}
                Some(_) => faults.push(format!("{path}: {name} may not be {value:?}")),
                None => faults.push(format!("{path} has no attribute {name}")),
            }
        }
        for attribute in attributes.iter().filter(|a| a.attribute("use") == Some("required")) {
            let name = attribute.attribute("name").unwrap_or_default();
            if element.attribute(name).is_none() {
                faults.push(format!("{path} lacks the attribute {name}"));
            }
        }
        if element.has_text && kind.attribute("mixed") != Some("true") {
            faults.push(format!("{path} holds no text"));
        }
        let particle = kind.children.iter().find(|c| matches!(c.name.as_str(), "xs:sequence" | "xs:choice"));
        let order: String = element.children.iter().map(|c| format!("{};", c.name)).collect();
        let model = format!("^{}$", particle.map_or(String::new(), model));
        if !Regex::new(&model).expect("a pattern").is_match(&order) {
            faults.push(format!("{path} may not hold {order}"));
        }
        let mut declared = Vec::new();
        particle.into_iter().for_each(|p| elements(p, &mut declared));
        for child in &element.children {
            let own = declared.iter().find(|d| name_of(d) == child.name);
            let meant = own.and_then(|d| d.attribute("ref").map_or(Some(*d), |name| self.global("xs:element", name)));
            if let Some(meant) = meant {
                self.element(child, meant, &format!("{path}/{}", child.name), faults);
            }
        }
    }

    /// True for a value of a simple type.
    fn takes(&self, kind: &str, value: &str) -> bool {
        if kind == "xs:string" {
            return true;
        }
        let simple = self.global("xs:simpleType", kind).expect("a type that is read here");
        let restriction = simple.all("xs:restriction").next().expect("a restriction");
        assert!(restriction.children.iter().all(|c| c.name == "xs:pattern"));
        let mut patterns = restriction.all("xs:pattern").filter_map(|p| p.attribute("value"));
        patterns.any(|p| Regex::new(&format!("^(?:{p})$")).expect("a pattern").is_match(value))
    }
}

fn name_of(declared: &Element) -> &str {
    declared.attribute("ref").or(declared.attribute("name")).unwrap_or_default()
}

/// Elements that a sequence or a choice names.
fn elements<'a>(particle: &'a Element, found: &mut Vec<&'a Element>) {
    if particle.name == "xs:element" {
        found.push(particle);
    } else {
        particle.children.iter().for_each(|child| elements(child, found));
    }
}

/// What may follow what, as a pattern over names that end with a semicolon.
fn model(particle: &Element) -> String {
    let parts = || particle.children.iter().map(model);
    let inner = match particle.name.as_str() {
        "xs:sequence" => parts().collect::<String>(),
        "xs:choice" => parts().collect::<Vec<_>>().join("|"),
        _ => regex::escape(&format!("{};", name_of(particle))),
    };
    let min = particle.attribute("minOccurs").unwrap_or("1");
    let max = particle.attribute("maxOccurs").map_or("1", |max| if max == "unbounded" { "" } else { max });
    format!("(?:{inner}){{{min},{max}}}")
}
