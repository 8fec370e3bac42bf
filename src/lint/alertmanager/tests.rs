//! The quiet cases first: what people run must pass.

use super::*;

const GOOD: &str = "global:\n  slack_api_url: https://hooks.slack.com/services/T/B/X\nroute:\n  receiver: team\n  group_by: ['...']\n  routes:\n    - matchers: [severity = \"critical\", 'env=~\"a|b\"']\n      match_re: {job: 'a.*'}\n      receiver: 'null'\n      continue: true\n      mute_time_intervals: [night]\nreceivers:\n  - name: 'null'\n  - name: team\n    slack_configs:\n      - channel: '#a'\n        title: '{{ .CommonLabels.alertname }}'\ntime_intervals:\n  - name: night\n    time_intervals:\n      - times: [{start_time: '22:00', end_time: '24:00'}]\n        weekdays: ['monday:friday']\ntemplates: [/etc/x/*.tmpl]\n";

fn first(text: &str, version: &str) -> String {
    let verdict = check(text, Version::parse(version));
    verdict.refused.first().map(|p| format!("{} {} {:?}", p.place, p.message, p.instead)).unwrap_or_default()
}

#[test]
fn a_good_configuration_has_no_problem_in_any_version() {
    for version in ["0.24.0", "0.25.0", "0.33.1", "latest", "1.2.0"] {
        assert_eq!(check(GOOD, Version::parse(version)), Verdict::default(), "{version}");
    }
}

#[test]
fn an_integration_of_a_newer_version_is_refused_only_by_an_older_one() {
    let config = "route: {receiver: a}\nreceivers: [{name: a, msteamsv2_configs: [{webhook_url: https://x/}]}]";
    assert!(first(config, "0.25.0").contains("0.28"), "{}", first(config, "0.25.0"));
    assert_eq!(first(config, "0.33.1"), "");
    assert_eq!(first(config, ""), "");
    let future = "route: {receiver: a}\nreceivers: [{name: a, msteamsv3_configs: [{webhook_url: https://x/}]}]";
    let verdict = check(future, None);
    assert!(verdict.refused.is_empty() && verdict.doubtful.len() == 1, "{verdict:?}");
    assert_ne!(first(future, "0.33.1"), "");
}

#[test]
fn says_what_was_meant() {
    let typo = GOOD.replace("channel:", "chanel:");
    assert_eq!(first(&typo, ""), "16:9 unknown field `chanel` Some(\"channel\")");
    let typo = GOOD.replace("receiver: team", "receiver: taem");
    assert!(first(&typo, "").contains("Some(\"team\")"), "{}", first(&typo, ""));
    assert!(
        first("route:\n  group_by: ['a', 'b'\n  receiver: a\n", "").starts_with("2:13 not valid YAML: the bracket `[`")
    );
    let tab = first("route:\n\treceiver: a\n", "");
    assert!(tab.starts_with("2:1 not valid YAML: found a tab character"), "{tab}");
}

#[test]
fn a_broken_template_of_a_receiver_is_found_when_it_sends() {
    let verdict = check(&GOOD.replace(".CommonLabels.alertname }}", ".CommonLabels.alertname }"), None);
    assert!(verdict.refused.is_empty(), "{verdict:?}");
    assert_eq!(verdict.at_send.len(), 1);
    assert_eq!(verdict.at_send[0].path, "receivers[1].slack_configs[0].title");
}

#[test]
fn never_shows_the_url_that_it_refuses() {
    let config = GOOD.replace("https://hooks.slack.com/services/T/B/X", "hooks.slack.com/services/T/B/TOKEN");
    let shown = first(&config, "");
    assert!(shown.contains("unsupported scheme") && !shown.contains("TOKEN"), "{shown}");
}

#[test]
fn merge_keys_and_aliases_are_resolved() {
    let config = "x: &d {channel: '#a'}\nroute: {receiver: a}\nreceivers: [{name: a, slack_configs: [{<<: *d, api_url: https://x/}]}]";
    assert!(first(config, "").contains("unknown field `x`") || first(config, "").is_empty());
    let config = "route: {receiver: a}\nreceivers: [{name: a, slack_configs: [&d {channel: '#a', api_url: https://x/}, {<<: *d, channel: b}]}]";
    assert_eq!(first(config, "0.33.1"), "");
}
