//! Annotations of GitHub Actions: workflow commands on stdout.

use super::{in_file, roots, told};
use crate::model::{Finding, Report, Severity};
use crate::term::sanitize_lines;

/// Annotations of one level that a step may have.
const PER_LEVEL: usize = 10;

/// One workflow command for each root cause; what GitHub would not show is counted.
pub fn github(report: &Report) -> String {
    let mut out = String::new();
    for severity in [Severity::Error, Severity::Warning, Severity::Info] {
        let of_level: Vec<&Finding> = roots(report).filter(|f| f.severity == severity).collect();
        // The last one says how many more there are.
        let shown = if of_level.len() > PER_LEVEL { PER_LEVEL - 1 } else { of_level.len() };
        for finding in &of_level[..shown] {
            out.push_str(&annotation(finding));
        }
        if of_level.len() > shown {
            let more = of_level.len() - shown;
            out.push_str(&format!("::{}::kdoctor found {more} more of this level\n", level(severity)));
        }
    }
    let unseen = report.gaps.len();
    if unseen > 0 {
        let things = if unseen == 1 { "1 thing".to_owned() } else { format!("{unseen} things") };
        out.push_str(&format!(
            "::notice title=kdoctor::{things} could not be seen, first: {}\n",
            data(&report.gaps[0].to_string())
        ));
    }
    out
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "notice",
    }
}

fn annotation(finding: &Finding) -> String {
    let mut properties = Vec::new();
    if let Some((path, location)) = in_file(finding) {
        properties.push(format!("file={}", property(path)));
        properties.extend(location.line.map(|line| format!("line={line}")));
        properties.extend(location.column.map(|column| format!("col={column}")));
    }
    properties.push(format!("title={}", property(&format!("kdoctor: {}", finding.check))));
    format!("::{} {}::{}\n", level(finding.severity), properties.join(","), data(&told(finding)))
}

/// A message: its line breaks are written as GitHub reads them.
fn data(text: &str) -> String {
    sanitize_lines(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_command_is_escaped() {
        assert_eq!(data("50%\nx"), "50%25%0Ax");
        assert_eq!(property("a:b,c"), "a%3Ab%2Cc");
    }
}
