use super::*;

fn short(program: Option<Program>, log: &str) -> String {
    classify(program, log).map_or_else(|| "-".to_owned(), |c| format!("{:?} {}", c.class, c.sentence()))
}

#[test]
fn prometheus_in_both_generations() {
    let read = |log: &str| short(Some(Program::Prometheus), log);
    assert_eq!(
        read(
            r#"ts=2026-11-21T02:32:09.030Z caller=main.go:469 level=error msg="Error loading config (--config.file=/etc/prometheus/prometheus.yml)" file=/etc/prometheus/prometheus.yml err="parsing YAML file /etc/prometheus/prometheus.yml: yaml: unmarshal errors:\n  line 31: field metric_path not found in type config.ScrapeConfig""#
        ),
        "Config /etc/prometheus/prometheus.yml line 31: field metric_path not found (metrics_path?)"
    );
    assert_eq!(
        read(
            "{\"time\":\"2026-11-21T03:20:48.957489941Z\",\"level\":\"ERROR\",\"msg\":\"Error loading config (--config.file=/etc/p.yml)\",\"file\":\"/etc/p.yml\",\"err\":\"open /etc/p.yml: no such file or directory\"}"
        ),
        "ConfigMissing open /etc/p.yml: no such file or directory"
    );
    assert_eq!(
        read(
            r#"time=2026-11-21T03:19:22.244Z level=ERROR source=main.go:600 msg="Error loading rule file patterns from config (--config.file=\"/etc/prometheus/prometheus.yml\")" file=/etc/prometheus/prometheus.yml err="parse rules from file \"/etc/prometheus/rules/a.yml\" (pattern: \"/etc/prometheus/rules/*.yml\"): /etc/prometheus/rules/a.yml: 6:15: group \"g\", rule 1, \"job:x:rate5m\": could not parse expression: 1:44: parse error: unclosed left parenthesis""#
        ),
        "Rules /etc/prometheus/rules/a.yml line 6 (group g, rule job:x:rate5m): could not parse expression: 1:44: parse error: unclosed left parenthesis"
    );
    assert_eq!(
        read(
            "Error parsing command line arguments: unknown long flag '--storage.tsdb.retention'\nprometheus: error: unknown long flag '--storage.tsdb.retention'"
        ),
        "Flag unknown flag --storage.tsdb.retention (--storage.tsdb.retention.time?)"
    );
    assert_eq!(
        read(
            "time=2026-11-21T03:19:29Z level=ERROR msg=\"Error opening query log file\" file=/prometheus/queries.active err=\"open /prometheus/queries.active: permission denied\"\npanic: Unable to create mmap-ed active query log\n\ngoroutine 1 [running]:\nmain.main()"
        ),
        "Permission open /prometheus/queries.active: permission denied"
    );
    assert_eq!(
        read(
            r#"level=error ts=2020-06-17T06:52:14.015Z caller=main.go:747 err="opening storage failed: get segment range: segments are not sequential""#
        ),
        "Wal damaged write-ahead log (WAL): get segment range: segments are not sequential"
    );
}

#[test]
fn what_is_said_last_counts_and_of_one_file_what_is_said_first() {
    let log = r#"ts=2026-11-21T03:19:24Z level=error msg="compaction failed" err="write /prometheus/wal/1: no space left on device"
ts=2026-11-21T03:19:24Z level=error component="rule manager" msg="loading groups failed" err="/r.yml: 8:17: group \"g\", rule 2, \"X\": only one of 'record' and 'alert' must be set"
ts=2026-11-21T03:19:24Z level=error component="rule manager" msg="loading groups failed" err="/r.yml: 8:17: group \"g\", rule 2, \"X\": invalid field 'for' in recording rule"
ts=2026-11-21T03:19:24Z level=error msg="Failed to apply configuration" err="error loading rules, previous rule set restored""#;
    let said = short(Some(Program::Prometheus), log);
    assert!(said.starts_with("Rules /r.yml line 8 (group g, rule X): only one of"), "{said}");
}

#[test]
fn lines_of_a_program_that_runs_say_nothing() {
    let log = r#"time=2026-11-21T03:00:58.015Z level=WARN source=dir_locker.go:76 msg="A lockfile from a previous execution already existed. It was replaced" component=tsdb file=/prometheus/lock
ts=2026-11-21T03:19:16.965Z level=error component="scrape manager" msg="error creating new scrape pool" err="error creating HTTP client: unable to load specified CA cert /etc/ca.crt: open /etc/ca.crt: no such file or directory" scrape_pool=x
ts=2026-11-21T03:19:16.965Z level=info msg="Server is ready to receive web requests.""#;
    assert_eq!(short(Some(Program::Prometheus), log), "-");
}

#[test]
fn alertmanager_grafana_and_the_rest() {
    let alertmanager = |log: &str| short(Some(Program::Alertmanager), log);
    assert_eq!(
        alertmanager(r#"err="undefined receiver \"null\" used in route""#),
        r#"Config undefined receiver "null" used in route"#
    );
    assert_eq!(
        alertmanager(
            r#"time=2026-11-21T03:13:53.557Z level=ERROR msg="one or more config change subscribers failed to apply new config" file=/etc/alertmanager/alertmanager.yml err="failed to parse templates: template: flash.tmpl:1: function \"upperCase\" not defined""#
        ),
        r#"Template flash.tmpl line 1: function "upperCase" not defined"#
    );
    assert_eq!(
        alertmanager(r#"alertmanager: error: time: unknown unit "days" in duration "5days", try --help"#),
        r#"Flag time: unknown unit "days" in duration "5days" (120h?)"#
    );
    // All that 0.25 says of a file of its state that it cannot read.
    for bare in ["unexpected EOF", "proto: illegal wireType 7"] {
        let said = alertmanager(&format!("ts=2026-11-28T20:25:50.857Z caller=main.go:293 level=error err=\"{bare}\""));
        assert!(said.starts_with("State a file of its state is damaged"), "{said}");
    }
    let grafana = |log: &str| short(Some(Program::Grafana), log);
    assert!(grafana("Error: ✗ Datasource provisioning error: datasource.yaml config is invalid. Only one datasource per organization can be marked as default").starts_with("SecondDefault "));
    assert!(grafana(r#"logger=sqlstore t=2026-11-21T02:35:13Z level=error msg="Executing migration failed" id="add index" error="database is locked""#).starts_with("DatabaseLocked "));
    assert!(
        grafana("mkdir: can't create directory '/var/lib/grafana/plugins': Permission denied")
            .starts_with("Permission mkdir: ")
    );
    assert!(
        grafana(r#"Error: ✗ failed to check table existence: pq: no pg_hba.conf entry for host "10.0.148.20", user "grafana", database "grafana", no encryption"#)
            .starts_with("Database ")
    );
    assert!(grafana(r#"logger=migrator t=2026-11-21T02:35:13Z level=error msg="Executing migration failed" id="x" error="pq: permission denied for schema public""#).starts_with("Database "));
    assert!(!grafana(r#"logger=tsdb.postgres t=2026-11-21T02:35:13Z level=error msg="Query error" err="pq: permission denied for table orders""#).starts_with("Database "));
    let rest = |log: &str| short(None, log);
    assert!(
        rest(r#"level=error ts=2026-11-21T02:52:00Z caller=log.go:216 msg="error running loki" err="no useable address found for interfaces [eth0 en0]\nerror initialising module: memberlist-kv""#)
            .contains("(eth0, en0)")
    );
    assert!(
        rest(r#"level=error ts=2026-11-21T02:52:00Z caller=main.go:170 msg="error creating promtail" error="failed to make file target manager: too many open files""#)
            .starts_with("Inotify ")
    );
    assert!(rest(r#"ts=2026-11-21T02:52:00Z caller=main.go:135 level=error err="no external labels configured on Prometheus server, uniquely identifying external labels must be configured; see https://thanos.io/tip/thanos/storage.md#external-labels for details.""#).starts_with("ExternalLabels "));
    assert!(rest(r#"ts=2026-11-21T02:52:05.562Z caller=main.go:145 level=error err="validate Prometheus flags: found that TSDB Max time is 1d12h and Min time is 2h. Compaction needs to be disabled (storage.tsdb.min-block-duration = storage.tsdb.max-block-duration)""#).starts_with("Compaction "));
    assert!(rest("failed parsing config: failed to parse configFile /etc/tempo.yaml: yaml: unmarshal errors:\n  line 9: field receivers not found in type distributor.Config\n").starts_with("Config /etc/tempo.yaml line 9"));
    assert!(
        rest("chown: /var/lib/grafana/csv: Permission denied\nchown: /var/lib/grafana/pdf: Permission denied")
            .starts_with("Chown ")
    );
    assert_eq!(
        rest(
            r#"E1121 03:20:33.335000       1 reflector.go:150] failed to list *v1.ServiceMonitor: servicemonitors.monitoring.coreos.com is forbidden: User "system:serviceaccount:monitoring:prometheus-operator" cannot list resource "servicemonitors" in API group "monitoring.coreos.com" at the cluster scope"#
        ),
        "Forbidden ServiceAccount monitoring/prometheus-operator may not list servicemonitors.monitoring.coreos.com"
    );
    assert!(rest("F0324 00:06:38.451180 1 main.go:147] Failed to create client: error while trying to communicate with apiserver: Get https://172.20.0.1:443/version?timeout=32s: dial tcp 172.20.0.1:443: i/o timeout").starts_with("ApiServer "));
}

#[test]
fn a_usage_is_no_reason_but_what_stands_before_it() {
    let usage = "Usage of couchbase-exporter:\n  -couchbase.url string\n    \tURL to scrape (default \"http://localhost:8091\")\n";
    assert!(is_usage(usage));
    let said = format!("the password is missing\n{usage}");
    assert!(!is_usage(&said));
    assert_eq!(last_lines(&said), ["the password is missing"]);
    let python = "usage: prog [-h] --name NAME\nprog: error: the following arguments are required: --name\n";
    assert!(!is_usage(python));
    assert_eq!(
        last_lines(python).last().map(String::as_str),
        Some("prog: error: the following arguments are required: --name")
    );
    assert!(!is_usage("Disk usage: 81 %\nit went wrong\n") && !is_usage("it went wrong\n"));
}

#[test]
fn an_error_tells_more_than_the_warning_after_it() {
    let told = |lines: &[&str]| telling(&lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>());
    let (error, warning) = (r#"level=error msg="cannot open x""#, r#"level=warn msg="no folder is named""#);
    assert_eq!(told(&[error, warning]).as_deref(), Some(error));
    assert_eq!(told(&["level=info msg=x", warning]).as_deref(), Some(warning));
    assert_eq!(told(&[error, "it went wrong"]).as_deref(), Some("it went wrong"));
    assert_eq!(told(&["it failed to start", warning]).as_deref(), Some("it failed to start"));
    assert_eq!(told(&["Starting program 1.2", warning]).as_deref(), Some(warning));
}

#[test]
fn warnings_that_a_log_ends_with_are_told() {
    let last = |lines: &[&str]| last_lines(&lines.join("\n"));
    let banner = "Starting program 1.2";
    let (failed, calm) =
        (r#"level=warn msg="cannot reach the ring: timed out""#, r#"level=warn msg="an old flag is set""#);
    assert_eq!(last(&[banner, failed]), [banner, failed]);
    assert_eq!(last(&[banner, failed, failed, calm]), [banner, failed], "each once, and only of what failed");
    assert_eq!(last(&[failed, "it went wrong"]), ["it went wrong"], "it went on after that");
    let many = ["a", "b", "c", "d", "e", "f"].map(|n| format!("level=warn msg=\"cannot reach {n}\""));
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let error = r#"level=error msg="cannot open x""#;
    assert_eq!(last(&[&[error], &many[..]].concat()), [error, many[4], many[5]], "the error is kept");
    let asked = r#"level=warn msg="operation error SQS: GetQueueUrl, https response error StatusCode: 400, RequestID: 1, api error AWS.SimpleQueueService.NonExistentQueue: no""#;
    assert!(classify(None, &[banner, asked].join("\n")).is_none(), "only warned of");
}
