//! `kdoctor list`: the checks by suite.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::checks;
use crate::cli::{List, Output};
use crate::model::{Fact, Suite};
use crate::term::Printer;

#[derive(Serialize)]
struct Row {
    check: &'static str,
    suite: &'static str,
    severity: &'static str,
    title: &'static str,
    requires: Vec<&'static str>,
    uses: Vec<&'static str>,
}

/// Prints the list.
///
/// # Errors
/// stdout cannot be written.
pub(super) fn run(args: &List, printer: &Printer) -> anyhow::Result<u8> {
    let names = |facts: &[Fact]| facts.iter().map(|f| f.as_str()).collect::<Vec<_>>();
    let rows: Vec<Row> = checks::registry()
        .into_iter()
        .map(|c| c.meta())
        .map(|m| Row {
            check: m.id.0,
            suite: m.suite.as_str(),
            severity: m.severity.as_str(),
            title: m.title,
            requires: names(m.requires),
            uses: names(m.uses),
        })
        .collect();
    let text = match args.output {
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&rows)?),
        Output::Table => table(&rows, printer),
        Output::Markdown => markdown(&rows),
    };
    printer.stdout(&text)?;
    Ok(0)
}

fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| suite | check | severity | what it finds |\n| --- | --- | --- | --- |\n");
    for suite in Suite::ALL {
        for row in rows.iter().filter(|r| r.suite == suite.as_str()) {
            text.push_str(&format!("| {} | `{}` | {} | {} |\n", row.suite, row.check, row.severity, row.title));
        }
    }
    text
}

fn table(rows: &[Row], printer: &Printer) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = printer.width {
        table.set_width(u16::try_from(width).unwrap_or(120));
    }
    table.set_header(["SUITE", "CHECK", "SEVERITY", "FACTS IT NEEDS"]);
    for suite in Suite::ALL {
        for row in rows.iter().filter(|r| r.suite == suite.as_str()) {
            table.add_row([row.suite, row.check, row.severity, &row.requires.join(", ")]);
        }
    }
    let body: String = table.lines().map(|l| format!("{}\n", l.trim_end())).collect();
    format!("{body}\n{} checks. kdoctor explain CHECK tells more.\n", rows.len())
}
