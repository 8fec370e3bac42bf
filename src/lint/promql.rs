//! The reader of PromQL expressions, for texts of strangers: one that nests without end is not read.

use promql_parser::parser::{self, Expr};

/// Brackets and operators of an expression at most: each may be a level of what is read. Nobody writes as many.
const MAX_OPERATORS: usize = 1_000;

/// Reads an expression; `Ok(None)` where it nests too deeply to be read.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(expression: &str) -> Result<Option<Expr>, String> {
    let signs = expression.bytes().filter(|b| b"+-*/%^(".contains(b)).count();
    let words = expression.split_ascii_whitespace().filter(|w| matches!(*w, "and" | "or" | "unless")).count();
    if signs + words > MAX_OPERATORS { Ok(None) } else { parser::parse(expression).map(Some) }
}

/// What brackets enclose.
pub(crate) fn within(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(inner) => within(&inner.expr),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nests_without_end_is_not_read() {
        for text in [
            "(".repeat(100_000) + "up" + &")".repeat(100_000),
            "-".repeat(100_000) + "1",
            "1".to_owned() + &" + 1".repeat(100_000),
        ] {
            assert!(matches!(parse(&text), Ok(None)));
        }
        assert!(matches!(parse("sum(rate(x[5m])) - 1"), Ok(Some(_))));
        assert!(parse("sum(").is_err());
    }
}
