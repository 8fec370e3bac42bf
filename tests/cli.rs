//! The binary as a person meets it: help, errors, exit codes, streams.

mod support;

use std::path::Path;
use std::process::Output;

use support::kdoctor;

fn run(args: &[&str]) -> Output {
    kdoctor().args(args).output().expect("kdoctor runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).display().to_string()
}

#[test]
fn the_demo_names_one_root_cause_and_its_three_steps_in_order() {
    let output = run(&["monitoring", "--demo"]);
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "");
    assert!(report.lines().next().is_some_and(|l| l.contains("1 root cause: ebs-csi-addon-missing")), "{report}");
    let steps = ["eksctl utils associate-iam-oidc-provider", "eksctl create iamserviceaccount", "aws eks create-addon"];
    let places: Vec<_> =
        steps.iter().map(|s| report.find(s).unwrap_or_else(|| panic!("{s} is not in {report}"))).collect();
    assert!(places.is_sorted(), "{places:?}");
    insta::assert_snapshot!(report);
}

#[test]
fn the_report_of_each_incident_is_as_reviewed() {
    for name in ["gp3-missing", "targets-down", "slack-egress"] {
        let output = run(&["monitoring", "--from", &fixture(&format!("incidents/{name}"))]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        insta::assert_snapshot!(name, text(&output.stdout));
    }
}

#[test]
fn a_healthy_cluster_exits_with_0_and_says_so_first() {
    for name in ["plain", "kube-prometheus-stack"] {
        let output = run(&["monitoring", "--strict", "--from", &fixture(&format!("healthy/{name}"))]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        assert!(text(&output.stdout).starts_with("✓ no problem found\n"));
    }
}

#[test]
fn why_says_by_its_exit_code_whether_the_chain_holds() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../docs/why.schema.json")).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    for (fixture_of, args, code) in [
        ("healthy/plain", &["why", "svc/grafana"][..], 0),
        ("healthy/plain", &["why", "receiver", "slack"], 0),
        ("healthy/plain", &["why", "receiver", "slack", "--strict"], 3),
        ("incidents/slack-egress", &["why", "receiver/slack", "--strict"], 1),
        ("incidents/slack-egress", &["why", "receiver/slakc"], 2),
        ("incidents/slack-egress", &["why", "receiver/slack", "-n", "monitoring"], 1),
    ] {
        let from = fixture(fixture_of);
        let args: Vec<&str> = args.iter().copied().chain(["-o", "json", "--from", from.as_str()]).collect();
        let output = run(&args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let errors: Vec<String> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{args:?}: {errors:?}");
        assert_eq!(document.get("error").is_some(), code == 2, "{args:?}");
    }
    let unknown = run(&["why", "receiver/slakc", "--from", &fixture("incidents/slack-egress")]);
    assert!(text(&unknown.stderr).contains("kdoctor why receiver/slack"), "{}", text(&unknown.stderr));
}

#[test]
fn json_is_valid_against_its_schema() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../docs/report.schema.json")).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    for name in ["demo/ebs-csi-missing", "incidents/targets-down", "incidents/slack-egress", "healthy/plain"] {
        let output = run(&["monitoring", "-o", "json", "--from", &fixture(name)]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let errors: Vec<String> = validator.iter_errors(&report).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        assert_eq!(report["schema_version"], 1);
    }
}

/// What a program reads where there is no report.
#[test]
fn a_failure_is_json_too_where_json_is_asked_for() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../docs/report.schema.json")).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    for (args, said) in [
        (&["monitoring", "-o", "json", "--from", "/nonexistent"][..], "/nonexistent"),
        (&["monitoring", "--output=json", "--kubeconfig", "/nonexistent"][..], "/nonexistent"),
        (&["monitoring", "-o", "json", "--no-such-flag"][..], "--no-such-flag"),
        (&["preflight", "-o", "json", "-f", "/nonexistent"][..], "/nonexistent"),
        (&["monitoring", "-o", "json", "--demo", "-n", "monitorng"][..], "monitorng"),
    ] {
        let output = run(args);
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let errors: Vec<String> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{args:?}: {errors:?}");
        let error = &document["error"];
        assert!(format!("{}{}", error["message"], error["hint"]).contains(said), "{args:?}: {document}");
        assert!(document.get("findings").is_none() && !output.stderr.is_empty(), "{args:?}");
    }
}

/// Whoever names a context or a profile gets commands for it.
#[test]
fn commands_reach_what_was_asked_for() {
    let output = run(&["monitoring", "--demo", "--context", "prod eu", "--profile", "ops"]);
    let report = text(&output.stdout);
    assert!(report.contains("kubectl --context 'prod eu' get pods -n kube-system"), "{report}");
    assert!(report.contains("aws eks create-addon --profile ops --region ap-northeast-2"), "{report}");
    assert!(
        report.contains("eksctl create iamserviceaccount --profile ops --region ap-northeast-2 --name"),
        "{report}"
    );
    assert!(!text(&run(&["monitoring", "--demo"]).stdout).contains("--context"), "nobody knows a bundle's context");
}

#[test]
fn exit_codes_are_the_same_in_every_format() {
    let demo = fixture("demo/ebs-csi-missing");
    let denied = fixture("cases/ebs-csi-role-denied");
    for format in ["table", "json"] {
        for (args, code) in [
            (vec!["--from", &demo], 1),
            (vec!["--from", &demo, "--fail-on", "never"], 0),
            (vec!["--from", &demo, "--fail-on", "warning"], 1),
            (vec!["--from", &denied, "--only", "ebs-csi-role,node-pressure"], 0),
            (vec!["--from", &denied, "--only", "ebs-csi-role,node-pressure", "--strict"], 3),
            // A gate does not pass on nothing.
            (vec!["--from", &denied, "--only", "ebs-csi-role"], 2),
            (vec!["--from", "/nonexistent"], 2),
        ] {
            let output = kdoctor().args(["monitoring", "-o", format]).args(&args).output().expect("kdoctor runs");
            assert_eq!(output.status.code(), Some(code), "{format} {args:?}: {}", text(&output.stderr));
        }
    }
}

#[test]
fn all_namespaces_judges_what_others_run() {
    let bundle = fixture("cases/all-namespaces");
    let only = ["monitoring", "--from", &bundle, "--only", "storage,workload"];
    let own = text(&run(&only).stdout);
    assert!(!own.contains("shop/"), "{own}");
    let output = run(&[&only[..], &["-A"]].concat());
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(report.starts_with("✗ 1 root cause: storage-class-missing, which explains"), "{report}");
    for expected in ["storage, workloads and network of all namespaces", "shop/data-orders-db-0", "-n shop"] {
        assert!(report.contains(expected), "{expected}: {report}");
    }
}

#[test]
fn several_root_causes_fit_a_chat_and_a_pull_request() {
    let from = ["monitoring", "--from", &fixture("incidents/targets-down")];
    insta::assert_snapshot!("targets-down-short", text(&run(&[&from[..], &["--short"]].concat()).stdout));
    insta::assert_snapshot!("targets-down-markdown", text(&run(&[&from[..], &["-o", "markdown"]].concat()).stdout));
}

#[test]
fn wrong_usage_says_what_was_meant() {
    for (args, said) in [
        (&["monitoring", "--demo", "--only", "pvc-pendign"][..], "did you mean \"pvc-pending\""),
        (&["monitoring", "--demo", "--skip", "networking"][..], "did you mean \"network\""),
        (&["monitoring", "--demo", "ebs"][..], "did you mean \"ebs-csi-missing\""),
        (&["explain", "oidc-provider"][..], "did you mean \"oidc-provider-missing\""),
        (&["monitoring", "--demo", "--only", "storage", "--skip", "storage"][..], "leave no check"),
        (&["monitoring", "--kubeconfig", "/nonexistent"][..], "/nonexistent"),
        (&["monitoring", "--from", "/nonexistent"][..], "/nonexistent"),
        (&["monitoring", "--timeout", "0"][..], "between 1ms and 10m"),
        // A namespace that does not exist lists as empty: that must not look healthy.
        (&["monitoring", "--demo", "-n", "monitorng"][..], "namespace monitorng"),
    ] {
        let output = run(args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(said), "{args:?}: {error}");
        assert_eq!(text(&output.stdout), "", "{args:?}");
    }
}

#[test]
fn a_broken_bundle_is_named_with_file_and_line() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let check = |header: &str, said: &str| {
        std::fs::write(dir.path().join("kdoctor.json"), header).expect("writable");
        let output = kdoctor().args(["monitoring", "--from"]).arg(dir.path()).output().expect("kdoctor runs");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("kdoctor.json") && error.contains(said), "{error}");
    };
    check("{\n \"format\": 1,\n oops", "line 3");
    check("{\"format\": 9}", "format 9 is not supported");
    check("{\"format\": 1}", "collected_at");
    check("[]", "`format` is missing");
}

/// A truncated list is a gap that names the file; the checks that need it are not evaluated.
#[test]
fn a_truncated_file_in_a_bundle_is_a_gap() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("makable");
        std::fs::write(path, text).expect("writable");
    };
    write("kdoctor.json", r#"{"format": 1, "collected_at": "2026-01-01T00:00:00Z"}"#);
    write("kubernetes/api/v1/pods.json", r#"{"items": [{"metadata": {"name": "a", "names"#);
    write("kubernetes/api/v1/services.json.gz", "this is not gzip");
    let output =
        kdoctor().args(["monitoring", "--only", "pod-pending", "--from"]).arg(dir.path()).output().expect("runs");
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{report}");
    assert!(report.contains("not one check could be evaluated") && report.contains("/api/v1/pods"), "{report}");
}

#[test]
fn list_explain_and_completions_work_without_a_cluster() {
    let list = text(&run(&["list"]).stdout);
    assert!(list.contains("ebs-csi-addon-missing") && list.contains("nat-egress"), "{list}");
    let rows: serde_json::Value = serde_json::from_slice(&run(&["list", "-o", "json"]).stdout).expect("JSON");
    let ids: Vec<&str> = rows.as_array().expect("a list").iter().filter_map(|r| r["check"].as_str()).collect();
    assert_eq!(ids.len(), kdoctor::checks::registry().len());
    for id in ids {
        let page = run(&["explain", id]);
        let shown = text(&page.stdout);
        assert_eq!(page.status.code(), Some(0));
        assert!(shown.contains("Symptom") && shown.contains("Fix"), "{id}: {shown}");
        assert!(!shown.contains("{{") && !shown.contains("{%") && !shown.contains("{#"), "{id}: {shown}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&run(&["completions", shell]).stdout).contains("kdoctor"), "{shell}");
    }
}

#[test]
fn the_report_never_has_colour_where_it_is_not_wanted() {
    let output = run(&["monitoring", "--demo"]);
    assert!(!text(&output.stdout).contains('\u{1b}'));
    let forced =
        kdoctor().env_remove("NO_COLOR").env("FORCE_COLOR", "1").args(["monitoring", "--demo"]).output().expect("runs");
    assert!(text(&forced.stdout).contains('\u{1b}'), "FORCE_COLOR is not honoured");
    let off =
        kdoctor().env_remove("NO_COLOR").env("FORCE_COLOR", "1").args(["--no-color", "monitoring", "--demo"]).output();
    assert!(!text(&off.expect("runs").stdout).contains('\u{1b}'));
}

/// What a kubeconfig, a plugin or a URL holds is not repeated when it fails.
#[test]
fn errors_do_not_repeat_secrets() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).expect("writable");
        path.display().to_string()
    };
    let cluster = "clusters:\n- {name: c, cluster: {server: 'http://127.0.0.1:1'}}\ncontexts:\n- {name: x, context: {cluster: c, user: u}}\ncurrent-context: x\n";
    let kubeconfigs = [
        file("tab", &format!("{cluster}users:\n- name: u\n  user:\n\ttoken: s3cr3t\n")),
        file("scalar", &format!("{cluster}users:\n- name: u\n  user: s3cr3t\n")),
        file("list", &format!("{cluster}users:\n- name: u\n  user:\n    token: [s3cr3t]\n")),
        file("list-of-none", &format!("{cluster}users: s3cr3t\n")),
        file("quote", &format!("{cluster}users:\n- name: u\n  user:\n    token: \"s3cr3t\n")),
        file(
            "plugin",
            &format!(
                "{cluster}users:\n- name: u\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: 'false'\n      interactiveMode: Never\n      args: [--token, s3cr3t]\n      env: [{{name: PLUGIN_TOKEN, value: s3cr3t}}]\n"
            ),
        ),
    ];
    for path in &kubeconfigs {
        let output = run(&["monitoring", "--kubeconfig", path, "--timeout", "1s"]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{path}: {error}");
        assert!(!error.contains("s3cr3t") && !text(&output.stdout).contains("s3cr3t"), "{path}: {error}");
    }
    for url in
        ["http://me:s3cr3t@h:x/", "me:s3cr3t@h", "ftp://me:s3cr3t@h/?token=s3cr3t", "http://h:x/?token=s3cr3t#s3cr3t"]
    {
        for (name, value) in [("KDOCTOR_PROMETHEUS_URL", url), ("KDOCTOR_GRAFANA_URL", url)] {
            let output = kdoctor().args(["monitoring", "--demo"]).env(name, value).output().expect("kdoctor runs");
            assert!(!text(&output.stderr).contains("s3cr3t"), "{url}: {}", text(&output.stderr));
        }
    }
}

/// A report that cannot be written is no report.
#[test]
fn a_full_disk_ends_with_2() {
    for args in [&["monitoring", "--demo"][..], &["monitoring", "--demo", "-o", "json"], &["list"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
        let output = support::kdoctor_process().args(args).stdout(full).output().expect("kdoctor runs");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
        assert!(error.contains("No space left on device"), "{args:?}: {error}");
    }
}

/// How many threads there are is not the environment's to say.
#[test]
fn odd_variables_of_the_runtime_change_nothing() {
    for threads in ["0", "-1", "many"] {
        let output = kdoctor().args(["monitoring", "--demo"]).env("TOKIO_WORKER_THREADS", threads).output();
        let output = output.expect("kdoctor runs");
        assert_eq!(output.status.code(), Some(1), "{threads}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "", "{threads}");
    }
}

/// Whoever reads the report through a pager that waits can still leave.
#[test]
fn ctrl_c_ends_a_report_that_nobody_reads() {
    let mut child = support::kdoctor_process()
        .args(["monitoring", "--from", &fixture("incidents/targets-down"), "-o", "json", "--verbose"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("kdoctor starts");
    // It has filled the pipe once it sleeps in a write.
    let pid = child.id().to_string();
    let waits = || {
        let wchan = std::fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
        wchan.contains("pipe")
    };
    let patience = std::time::Instant::now();
    while !waits() && patience.elapsed() < std::time::Duration::from_secs(10) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(waits(), "the report is smaller than a pipe holds");
    let killed = std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill runs");
    assert!(killed.success());
    let began = std::time::Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "it still writes");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(130));
}
