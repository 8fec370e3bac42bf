//! What a program is still at when the kubelet ends it: work of its start that takes longer than its probe waits.

use crate::text::pattern::pattern;

/// Lines from the end that are looked at.
const LAST: usize = 6;

/// The work that its last lines tell of, as the end of a sentence; `None` where they tell of something else.
pub(crate) fn still_at(text: &str) -> Option<&'static str> {
    let migrates = pattern!(
        r#"msg="(?:Migration progress|Executing migration|Starting DB migrations|Starting migration for all)|[Ll]iquibase.*[Rr]unning [Cc]hangeset|Migrating schema |alembic\.runtime\.migration\] Running upgrade"#
    );
    let replays = pattern!(
        r"(?i)replaying (?:the )?(?:wal|write-ahead|head blocks|blocks)|recovering from (?:checkpoint|wal)|WAL segment loaded|replay of (?:the )?wal"
    );
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LAST)..];
    // What it says of its end comes after its work.
    let own = last.iter().rev().filter(|l| !l.contains("hutdown") && !l.contains("hutting down"));
    own.take(2).find_map(|line| match () {
        () if migrates.is_match(line) => Some("the migration of its database"),
        () if replays.is_match(line) => Some("the replay of its write-ahead log"),
        () => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_is_not_done() {
        let grafana = "logger=settings level=info msg=\"Starting Grafana\"\nlogger=storage.unified.migration_runner.folders-dashboards level=info msg=\"Migration progress\" org_id=1 count=27\n";
        assert_eq!(still_at(grafana), Some("the migration of its database"));
        let done = format!(
            "{grafana}logger=http.server level=info msg=\"HTTP Server Listen\" address=[::]:3000\nlogger=ngalert level=info msg=\"Starting\"\n"
        );
        assert_eq!(still_at(&done), None);
        let ingester = "level=info caller=recovery.go:39 msg=\"recovering from checkpoint\"\n";
        assert_eq!(still_at(ingester), Some("the replay of its write-ahead log"));
    }
}
