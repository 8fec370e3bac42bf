//! Label and field selectors as a Kubernetes API server understands them.

use serde_json::Value;

/// A selector that can be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Selector {
    /// `app=x,tier!=db,env in (a, b),env notin (c),partition,!gone`.
    pub fn labels(text: &str) -> Result<Self, String> {
        split(text).into_iter().map(|t| label_term(&t)).collect::<Result<_, _>>().map(Self)
    }

    /// `involvedObject.kind=Pod,metadata.name!=x`; only fields that the resource offers.
    pub fn fields(text: &str, plural: &str) -> Result<Self, String> {
        let terms = split(text).into_iter().map(|term| match equality(&term) {
            Some(Term::In(field, _) | Term::NotIn(field, _)) if !selectable(plural, &field) => {
                Err(format!("field label not supported: {field}"))
            }
            Some(term) => Ok(term),
            None => Err(format!("invalid selector: '{term}'; can't understand '{term}'")),
        });
        terms.collect::<Result<_, _>>().map(Self)
    }

    /// True if it selects all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object's labels fit.
    pub fn fits_labels(&self, object: &Value) -> bool {
        self.fits(|key| object.get("metadata")?.get("labels")?.get(key)?.as_str().map(str::to_owned))
    }

    /// Whether an object's fields fit; an absent field is empty.
    pub fn fits_fields(&self, object: &Value) -> bool {
        self.fits(|path| {
            let value = path.split('.').try_fold(object, |at, part| at.get(part));
            Some(match value {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => String::new(),
                Some(other) => other.to_string(),
            })
        })
    }

    fn fits(&self, value: impl Fn(&str) -> Option<String>) -> bool {
        self.0.iter().all(|term| match term {
            Term::In(key, wanted) => value(key).is_some_and(|v| wanted.contains(&v)),
            Term::NotIn(key, wanted) => value(key).is_none_or(|v| !wanted.contains(&v)),
            Term::Exists(key) => value(key).is_some(),
            Term::Absent(key) => value(key).is_none(),
        })
    }
}

/// Splits at commas outside parentheses.
fn split(text: &str) -> Vec<String> {
    let mut depth = 0;
    let parts = text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect()
}

fn equality(term: &str) -> Option<Term> {
    let side = |text: &str| text.trim().to_owned();
    if let Some((key, value)) = term.split_once("!=") {
        return Some(Term::NotIn(side(key), vec![side(value)]));
    }
    let (key, value) = term.split_once("==").or_else(|| term.split_once('='))?;
    Some(Term::In(side(key), vec![side(value)]))
}

fn label_term(term: &str) -> Result<Term, String> {
    if let Some((head, values)) = term.strip_suffix(')').and_then(|t| t.split_once('(')) {
        let values = values.split(',').map(|v| v.trim().to_owned()).collect();
        return match head.split_whitespace().collect::<Vec<_>>()[..] {
            [key, "in"] => Ok(Term::In(key.into(), values)),
            [key, "notin"] => Ok(Term::NotIn(key.into(), values)),
            _ => Err(format!("unable to parse requirement: found '{head}', expected: in, notin")),
        };
    }
    if let Some(found) = equality(term) {
        return Ok(found);
    }
    if term.contains(char::is_whitespace) {
        return Err(format!("unable to parse requirement: '{term}'"));
    }
    Ok(match term.strip_prefix('!') {
        Some(key) => Term::Absent(key.trim().into()),
        None => Term::Exists(term.into()),
    })
}

/// The fields that a real server lets a client select by; a custom resource has the first two only.
fn selectable(plural: &str, field: &str) -> bool {
    if matches!(field, "metadata.name" | "metadata.namespace") {
        return true;
    }
    match plural {
        "pods" => matches!(
            field,
            "spec.nodeName"
                | "spec.restartPolicy"
                | "spec.schedulerName"
                | "spec.serviceAccountName"
                | "spec.hostNetwork"
                | "status.phase"
                | "status.podIP"
                | "status.nominatedNodeName"
        ),
        "events" => {
            field.starts_with("involvedObject.")
                || field.starts_with("regarding.")
                || matches!(field, "reason" | "reportingComponent" | "source" | "type")
        }
        "namespaces" => field == "status.phase",
        "nodes" => field == "spec.unschedulable",
        "secrets" => field == "type",
        "services" => matches!(field, "spec.clusterIP" | "spec.type"),
        "replicasets" | "replicationcontrollers" => field == "status.replicas",
        "jobs" => field == "status.successful",
        _ => false,
    }
}
