//! Labels that the result of an expression can have, and those that a template prints.

use std::collections::BTreeSet;

use promql_parser::label::Labels;
use promql_parser::parser::token::{T_BOTTOMK, T_COUNT_VALUES, T_LAND, T_LOR, T_LUNLESS, T_TOPK};
use promql_parser::parser::{BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality};

use super::within;
use crate::lint::promql;
use crate::text::pattern::pattern;

/// Labels that a result can have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// These and no others; `None` where any may be there.
    pub(crate) only: Option<BTreeSet<String>>,
    /// None of these.
    without: BTreeSet<String>,
}

impl Left {
    fn only(labels: impl IntoIterator<Item = String>) -> Self {
        Self { only: Some(labels.into_iter().collect()), without: BTreeSet::new() }
    }

    /// True where no series of the result has the label.
    pub(crate) fn lacks(&self, label: &str) -> bool {
        self.without.contains(label) || self.only.as_ref().is_some_and(|only| !only.contains(label))
    }

    fn with(mut self, labels: &[String]) -> Self {
        for label in labels {
            self.without.remove(label);
            if let Some(only) = &mut self.only {
                only.insert(label.clone());
            }
        }
        self
    }

    fn dropping(mut self, labels: &[String]) -> Self {
        for label in labels {
            if let Some(only) = &mut self.only {
                only.remove(label);
            }
            self.without.insert(label.clone());
        }
        self
    }

    fn keeping(self, labels: &[String]) -> Self {
        Self::only(labels.iter().filter(|l| !self.lacks(l)).cloned())
    }
}

/// Labels that the result of an expression can have; `None` where it cannot be read.
pub(crate) fn labels(expression: &str) -> Option<Left> {
    promql::parse(expression).ok().flatten().map(|parsed| left(&parsed))
}

fn left(expr: &Expr) -> Left {
    match expr {
        Expr::Paren(paren) => left(&paren.expr),
        Expr::Unary(unary) => left(&unary.expr),
        Expr::Subquery(subquery) => left(&subquery.expr),
        Expr::Aggregate(aggregate) => match aggregate.op.id() {
            T_TOPK | T_BOTTOMK => left(&aggregate.expr),
            // The value becomes a label.
            T_COUNT_VALUES => Left::default(),
            // Newer ones keep what they choose.
            _ if aggregate.op.to_string().starts_with("limit") => left(&aggregate.expr),
            _ => match &aggregate.modifier {
                None => Left::only([]),
                Some(LabelModifier::Include(Labels { labels })) => left(&aggregate.expr).keeping(labels),
                Some(LabelModifier::Exclude(Labels { labels })) => left(&aggregate.expr).dropping(labels),
            },
        },
        Expr::Call(call) => of_call(call),
        Expr::Binary(binary) => of_binary(binary),
        _ => Left::default(),
    }
}

fn of_call(call: &Call) -> Left {
    let vector = || call.args.args.iter().find(|a| !is_scalar(a)).map(|a| left(a));
    match call.func.name {
        "label_replace" | "label_join" => match (vector(), call.args.args.get(1).map(|a| within(a))) {
            (Some(left), Some(Expr::StringLiteral(label))) => left.with(std::slice::from_ref(&label.val)),
            _ => Left::default(),
        },
        "absent" | "absent_over_time" | "info" | "vector" => Left::default(),
        name if name.starts_with("histogram_quantile") => vector().unwrap_or_default().dropping(&["le".to_owned()]),
        _ => vector().unwrap_or_default(),
    }
}

fn is_scalar(expr: &Expr) -> bool {
    match within(expr) {
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => true,
        Expr::Unary(unary) => is_scalar(&unary.expr),
        Expr::Call(call) => matches!(call.func.name, "scalar" | "time" | "pi"),
        Expr::Binary(binary) => is_scalar(&binary.lhs) && is_scalar(&binary.rhs),
        _ => false,
    }
}

fn of_binary(binary: &BinaryExpr) -> Left {
    match (is_scalar(&binary.lhs), is_scalar(&binary.rhs)) {
        (true, _) => return left(&binary.rhs),
        (_, true) => return left(&binary.lhs),
        _ => {}
    }
    let (one, other) = (left(&binary.lhs), left(&binary.rhs));
    match binary.op.id() {
        T_LAND | T_LUNLESS => return one,
        T_LOR => {
            let only = one.only.zip(other.only).map(|(a, b)| a.union(&b).cloned().collect());
            return Left { only, without: one.without.intersection(&other.without).cloned().collect() };
        }
        _ => {}
    }
    let Some(modifier) = &binary.modifier else { return matched(one, other) };
    match (&modifier.card, &modifier.matching) {
        (VectorMatchCardinality::ManyToOne(more), _) => one.with(&more.labels),
        (VectorMatchCardinality::OneToMany(more), _) => other.with(&more.labels),
        (_, Some(LabelModifier::Include(on))) => one.keeping(&on.labels),
        (_, Some(LabelModifier::Exclude(ignored))) => {
            // What one side alone has, it has to leave out.
            one.dropping(&ignored.labels)
        }
        (_, None) => matched(one, other),
    }
}

/// Series of two sides that match have the same labels.
fn matched(one: Left, other: Left) -> Left {
    if one.only.is_some() { one } else { Left { only: other.only, without: one.without } }
}

/// Labels that a template prints, whatever is there: not those that it asks about first.
pub(crate) fn printed(template: &str) -> BTreeSet<String> {
    let (mut printed, mut asked) = (BTreeSet::new(), BTreeSet::new());
    let labels = pattern!(r"\$labels\.([A-Za-z_][A-Za-z0-9_]*)");
    for action in pattern!(r"(?s)\{\{-?(.*?)-?\}\}").captures_iter(template) {
        let first = action[1].split_whitespace().next().unwrap_or_default();
        let asks = matches!(first, "if" | "else" | "with" | "range" | "define") || action[1].contains(" or ");
        for label in labels.captures_iter(&action[1]) {
            if asks { &mut asked } else { &mut printed }.insert(label[1].to_owned());
        }
    }
    printed.difference(&asked).cloned().collect()
}
