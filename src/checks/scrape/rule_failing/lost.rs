//! Results of recording rules that Prometheus throws away: two rules write the same series.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Way, finding};
use crate::checks::support::scrape::Api;
use crate::checks::support::seen::line_evidence;
use crate::domain::prometheus::origin;
use crate::domain::text::lasting::SEVERAL;
use crate::domain::text::log_line::{Line, is_within};
use crate::domain::text::windows::RECENT;
use crate::model::{Finding, Program, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::{ContainerLog, Rule, RuleGroup};

/// Seconds since the last of them: groups are evaluated each few minutes at the most.
const NOW: i64 = 900;

/// The times that the head of the database takes are ahead of those of the results.
const AHEAD: &str = "they are older than what its database takes (out of bounds)";

/// It is about one result, and not about how many of an evaluation were thrown away.
fn is_of_one(line: &Line<'_>) -> bool {
    line.msg == "Rule evaluation result discarded"
}

/// Why a result is thrown away, in the words of Prometheus 2.x and 3.x: of all of an evaluation together, or of one.
fn why(line: &Line<'_>) -> Option<&'static str> {
    let of_all = line.msg.starts_with("Error on ingesting") && line.msg.contains("from rule evaluation");
    let of_one = is_of_one(line);
    if !of_all && !of_one {
        return None;
    }
    let text = if of_one { &line.err } else { &line.msg };
    let has = |parts: &[&str]| parts.iter().any(|p| text.contains(p));
    if has(&["different value but same timestamp", "duplicate sample for timestamp"]) {
        Some("other values of the same time are there already")
    } else if has(&["out-of-order", "out of order"]) {
        Some("newer values are there already")
    } else if has(&["out of bounds"]) {
        Some(AHEAD)
    } else {
        has(&["too old"]).then_some("they are older than what is still taken")
    }
}

/// The last line of a group, or of one rule of it where the line says which.
struct Said<'a> {
    log: &'a ContainerLog,
    /// The last line.
    raw: &'a str,
    /// The last one that says it in other words: of one result, or of all of an evaluation together.
    other: Option<&'a str>,
    why: &'static str,
    times: usize,
}

/// Group, file and rule; the latter two are empty where the line does not say.
type Place = (String, String, String);

fn said(snap: &Snapshot) -> BTreeMap<Place, Said<'_>> {
    let mut all: BTreeMap<Place, Said<'_>> = BTreeMap::new();
    let is_recent = |raw: &str, now: Timestamp| is_within(raw, now, RECENT);
    let logs = snap.logs_of(Program::Prometheus).unwrap_or_default();
    for log in logs.into_iter().filter(|l| !l.previous) {
        for raw in log.text.lines().filter(|l| l.contains("ule evaluation") && is_recent(l, snap.collected_at)) {
            let line = Line::parse(raw);
            let Some(why) = why(&line) else { continue };
            let place = ["group", "file", "name"].map(|key| line.get(key).to_owned());
            let before = all.get(&place.clone().into());
            let times = before.map_or(0, |s| s.times) + 1;
            let differs = |b: &&Said<'_>| is_of_one(&Line::parse(b.raw)) != is_of_one(&line);
            let other = before.and_then(|b| if differs(&b) { Some(b.raw) } else { b.other });
            all.insert(place.into(), Said { log, raw, other, why, times });
        }
    }
    all.retain(|_, s| s.times >= SEVERAL && is_within(s.raw, snap.collected_at, NOW));
    all
}

/// Rules whose results are thrown away, each pair of them once.
pub(super) fn all(snap: &Snapshot, groups: &[RuleGroup]) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    // Without rules nothing is thrown away, whether the log can be read or not.
    if groups.iter().all(|g| g.rules.is_empty()) {
        return found;
    }
    for ((group, file, rule), said) in said(snap) {
        let is_meant = |g: &&RuleGroup| g.name == group && (file.is_empty() || g.file == file);
        let Some(meant) = groups.iter().find(is_meant) else { continue };
        let made = one(snap, groups, meant, &rule, &said);
        // Of two rules that write one series each may complain: the other has the same key.
        if !found.iter().any(|f| f.key == made.key) {
            found.push(made);
        }
    }
    found
}

fn one(snap: &Snapshot, groups: &[RuleGroup], group: &RuleGroup, name: &str, said: &Said<'_>) -> Finding {
    let own = |r: &&Rule| r.kind == "recording" && (name.is_empty() || r.name == name);
    // A second rule has no part in a database that is ahead.
    let ahead = said.why == AHEAD;
    let pair = group.rules.iter().filter(own).filter(|_| !ahead).find_map(|r| Some((r, twin(groups, group, r)?)));
    let (rule, twin) = pair.map_or((None, None), |(rule, twin)| (Some(rule), Some(twin)));
    let blank = Rule { name: name.to_owned(), ..Rule::default() };
    let rule = rule.unwrap_or(&blank);
    let what = match rule.name.is_empty() {
        true => format!("results of rule group {}", group.name),
        false => format!("results of recording rule {} of rule group {}", rule.name, group.name),
    };
    let because = match twin {
        Some((other, _)) if other.file == group.file && other.name == group.name => {
            "; the group records this series twice".to_owned()
        }
        Some((other, _)) => format!("; {} records the same series", place(snap, group, other)),
        None => String::new(),
    };
    let message = format!("Prometheus throws {what} away: {}{because}", said.why);
    let own_query = group.rules.iter().find(|r| r.name == rule.name).map_or("", |r| r.query.as_str());
    let way = if ahead {
        Way::Ahead { query: own_query.to_owned(), head: Api::of(snap, HEAD) }
    } else {
        Way::Lost {
            record: rule.name.clone(),
            twin: twin.map(|(other, _)| place(snap, group, other)).unwrap_or_default(),
            same_query: twin.is_some_and(|(_, other)| other.query == rule.query),
            query: rule.query.clone(),
            twin_query: twin.map(|(_, other)| other.query.clone()).unwrap_or_default(),
        }
    };
    let log = said.log;
    let mut made = finding(snap, Severity::Warning, group, rule, way, message);
    if let Some((other, _)) = twin {
        let mut files = [format!("{} {}", group.name, group.file), format!("{} {}", other.name, other.file)];
        files.sort();
        made.key = format!("{}/{}/lost", files.join("/"), rule.name);
    }
    let seen = |raw: &str| line_evidence(log, raw);
    let made = made.evidence(seen(said.raw));
    match said.other {
        Some(other) => made.evidence(seen(other)),
        None => made,
    }
}

/// Seconds by which the newest sample of the head is ahead of the clock, as Prometheus says itself.
const HEAD: &str = "/api/v1/query?query=prometheus_tsdb_head_max_time_seconds-time()";

/// Another rule that records under the same name with the same labels of its own.
fn twin<'a>(groups: &'a [RuleGroup], group: &RuleGroup, rule: &Rule) -> Option<(&'a RuleGroup, &'a Rule)> {
    let same = |r: &&Rule| r.kind == "recording" && r.name == rule.name && r.labels == rule.labels;
    let is_other = |g: &RuleGroup| g.file != group.file || g.name != group.name;
    let elsewhere = groups.iter().filter(|g| is_other(g)).find_map(|g| Some((g, g.rules.iter().find(same)?)));
    elsewhere.or_else(|| {
        let own = groups.iter().find(|g| !is_other(g))?;
        own.rules.iter().filter(same).nth(1).map(|r| (own, r))
    })
}

/// A group, and where it is kept if that is elsewhere.
fn place(snap: &Snapshot, from: &RuleGroup, group: &RuleGroup) -> String {
    let object = origin::rule_object(snap, &group.file).filter(|_| group.file != from.file);
    match object {
        Some((name, namespace)) => format!("group {} of PrometheusRule {namespace}/{name}", group.name),
        None if group.file == from.file => format!("group {}", group.name),
        None => format!("group {} of {}", group.name, group.file),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::RuleFailing;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::model::Program;
    use crate::snapshot::Snapshot;
    use crate::snapshot::monitoring::ContainerLog;

    /// Two groups that record `a:sum`, and lines of the log: their minutes past one, and what they say.
    fn with(minutes: &[u8], message: &str, labels: [&str; 2]) -> Snapshot {
        let mut snap = snapshot(json!({}));
        let group = |n: usize| {
            let rule = json!({"name": "a:sum", "type": "recording", "health": "ok", "query": format!("sum(a{n})"),
                "labels": {"of": labels[n]}});
            json!({"name": format!("g{n}"), "file": format!("/r/{n}.yml"), "interval": 60, "rules": [rule]})
        };
        *snap.prometheus_rules = Ok(serde_json::from_value(json!([group(0), group(1)])).expect("are rule groups"));
        let line = |m: &u8| {
            format!(
                "time=2026-11-21T01:{m:02}:00.000Z level=WARN source=group.go:599 msg=\"{message}\" component=\"rule manager\" file=/r/1.yml group=g1 name=a:sum index=0 num_dropped=2\n"
            )
        };
        *snap.component_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "prometheus-0".into(),
            container: "prometheus".into(),
            program: Some(Program::Prometheus),
            image: String::new(),
            previous: false,
            text: minutes.iter().map(line).collect::<String>().into(),
        }]);
        snap
    }

    const LATE: &str = "Error on ingesting out-of-order result from rule evaluation";

    #[test]
    fn two_rules_of_one_series_are_both_named() {
        let found = findings(&RuleFailing, &with(&[56, 57, 58, 59], LATE, ["x", "x"]));
        assert_eq!((found.len(), found[0].variant), (1, "lost"));
        assert!(
            found[0].message.ends_with("newer values are there already; group g0 of /r/0.yml records the same series")
        );
        assert!(steps(&found[0]).contains("sum(a0)"));
    }

    #[test]
    fn other_labels_are_another_series_and_what_is_over_is_quiet() {
        let found = findings(&RuleFailing, &with(&[56, 57, 58, 59], LATE, ["x", "y"]));
        assert!(found[0].message.ends_with("newer values are there already"), "{}", found[0].message);
        assert!(findings(&RuleFailing, &with(&[10, 11, 12, 13], LATE, ["x", "x"])).is_empty(), "of an hour ago");
        assert!(findings(&RuleFailing, &with(&[59], LATE, ["x", "x"])).is_empty(), "once, as after a reload");
    }

    #[test]
    fn single_results_are_told_of_too_and_a_database_that_is_ahead_by_its_own_words() {
        let of = |err: &str| {
            let mut snap = with(&[56, 57, 58, 59], "Rule evaluation result discarded", ["x", "x"]);
            if let Ok(logs) = snap.component_logs.as_mut() {
                logs[0].text = logs[0].text.replace("num_dropped=2", &format!("err=\"{err}\"")).into();
            }
            findings(&RuleFailing, &snap)
        };
        let twins = of("duplicate sample for timestamp");
        assert!(twins[0].message.contains("records the same series"), "{}", twins[0].message);
        let ahead = of("out of bounds");
        assert_eq!(ahead[0].variant, "ahead");
        assert!(!ahead[0].message.contains("records the same series"), "{}", ahead[0].message);
        assert!(of("label name is empty").is_empty(), "not known");
    }

    #[test]
    fn an_older_line_names_the_group_alone() {
        let mut snap = with(&[56, 57, 58, 59], LATE, ["x", "x"]);
        if let Ok(logs) = snap.component_logs.as_mut() {
            logs[0].text = logs[0].text.replace(" file=/r/1.yml", "").replace(" name=a:sum index=0", "").into();
        }
        let found = findings(&RuleFailing, &snap);
        assert!(found[0].message.contains("recording rule a:sum of rule group g1"), "{}", found[0].message);
    }
}
