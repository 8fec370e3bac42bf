//! `kdoctor why` over the fixtures: which link is named, and that nothing is claimed that was not looked at.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use kdoctor::bundle::Bundle;
use kdoctor::checks;
use kdoctor::collect::client::Client;
use kdoctor::collect::{self, Plan};
use kdoctor::diagnose;
use kdoctor::model::{Chain, LinkState, Report, Silent};
use kdoctor::pages::Invocation;
use kdoctor::render::{self, MarkdownOptions, TableOptions};
use kdoctor::snapshot::Snapshot;
use kdoctor::term::Printer;
use kdoctor::why;

/// What is known of a fixture.
struct Scene {
    snap: Snapshot,
    report: Report,
}

impl Scene {
    fn of(fixture: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
        let bundle = Bundle::open(&path).unwrap_or_else(|e| panic!("{fixture}: {e}"));
        let mut plan = Plan::new(diagnose::facts(&checks::registry()), bundle.collected_at());
        plan.beside = Some(std::iter::empty().collect());
        let client = Client::new(Arc::new(bundle), Arc::new(Silent));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let snap = runtime.block_on(collect::gather(&client, &plan)).unwrap_or_else(|gap| panic!("{fixture}: {gap}"));
        let report = diagnose::run(&snap, &checks::registry());
        Self { snap, report }
    }

    fn why(&self, what: &str) -> Chain {
        self.try_why(what).unwrap_or_else(|unclear| panic!("{what}: {unclear:?}"))
    }

    fn try_why(&self, what: &str) -> Result<Chain, Box<why::Unclear>> {
        let words: Vec<String> = what.split(' ').map(str::to_owned).collect();
        why::chain(&self.snap, &self.report, &words, None, &Invocation::default())
    }

    /// `title: check, check` of each broken link.
    fn broken(&self, what: &str) -> Vec<String> {
        let chain = self.why(what);
        let of = |at: &usize| self.report.findings[*at].check.0;
        let broken = chain.links.iter().filter(|l| l.state == LinkState::Broken);
        broken.map(|l| format!("{}: {}", l.title, l.findings.iter().map(of).collect::<Vec<_>>().join(" ← "))).collect()
    }

    fn roots(&self, what: &str) -> Vec<&'static str> {
        let chain = self.why(what);
        chain.roots.iter().map(|at| self.report.findings[self.report.roots[*at].root].check.0).collect()
    }
}

/// What is asked of a fixture, its broken links with their findings, and its roots.
type Expected = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const EXPECTED: &[Expected] = &[
    (
        "incidents/gp3-missing",
        "pod/prometheus",
        &["scheduling: pod-pending", "volume: pvc-pending ← storage-class-missing"],
        &["storage-class-missing"],
    ),
    (
        "incidents/gp3-missing",
        "pvc/flash-tickets-grafana",
        &["class: storage-class-missing", "volume: pvc-pending"],
        &["storage-class-missing"],
    ),
    (
        "demo/ebs-csi-missing",
        "pvc/flash-tickets-prometheus",
        &["driver: ebs-csi-addon-missing", "provider: oidc-provider-missing", "volume: pvc-pending"],
        &["ebs-csi-addon-missing"],
    ),
    (
        "incidents/prometheus-crashloop-config",
        "deploy/prometheus",
        &["start: crash-loop ← prometheus-config", "ready: ", "replicas: monitoring-components ← service-no-endpoints"],
        &["prometheus-config"],
    ),
    (
        "incidents/prometheus-crashloop-config",
        "svc/prometheus",
        &["pods: service-no-endpoints ← crash-loop ← prometheus-config", "endpoints: "],
        &["prometheus-config"],
    ),
    ("incidents/prometheus-oomkilled", "pod/prometheus", &["start: oom-killed", "ready: "], &["oom-killed"]),
    ("cases/bitnami-kubectl-gone", "pod/reportportal-hook-7xk2m", &["image: image-pull"], &["image-pull"]),
    (
        "cases/admission-denied-each-way",
        "pod/store-0",
        &["admission: pod-pending ← admission-denied"],
        &["admission-denied"],
    ),
    (
        "incidents/targets-down",
        "target/flash-tickets-metrics",
        &["policy: network-policy-blocks", "answer: target-down"],
        &["network-policy-blocks"],
    ),
    (
        "incidents/targets-down",
        "target/flash-api-health",
        &["answer: target-down ← target-not-metrics"],
        &["target-not-metrics"],
    ),
    (
        "incidents/targets-down",
        "target/flash-auth-metrics",
        &["service: target-service-missing", "answer: target-down"],
        &["target-service-missing"],
    ),
    (
        "incidents/targets-down",
        "url http://flash-order.flash-ticket.svc.cluster.local:4000/metrics",
        &["pods: service-no-endpoints", "endpoints: ", "answer: target-down"],
        &["service-no-endpoints"],
    ),
    ("incidents/targets-down", "url http://flash-api.flash-ticket.svc.cluster.local:3000/live", &["service: "], &[]),
    // There is no target of that name: what should make it has one.
    (
        "incidents/servicemonitor-label-mismatch",
        "target/flash-api",
        &["selected: servicemonitor-unselected", "targets: "],
        &["servicemonitor-unselected"],
    ),
    (
        "incidents/servicemonitor-label-mismatch",
        "servicemonitor/flash-api",
        &["selected: servicemonitor-unselected", "targets: "],
        &["servicemonitor-unselected"],
    ),
    ("incidents/alerts-muted", "alert/APIServiceDown", &["route: alerts-muted"], &["alerts-muted"]),
    ("cases/alerts-inhibited-by-one", "alert/QueueGrows", &["not muted: alerts-muted"], &["alerts-muted"]),
    ("cases/alerts-inhibited-by-one", "alert/EtcdBackupMissing", &[], &[]),
    (
        "cases/alertmanager-path-prefix-missing",
        "alert/APIServiceDown",
        &["sent: alertmanager-disconnected"],
        &["alertmanager-disconnected"],
    ),
    ("cases/rule-label-differs", "rule/WebDown", &["rule: rule-unselected"], &["rule-unselected"]),
    ("cases/rule-many-to-many", "alert/APIServiceDown", &["rule: rule-failing"], &["rule-failing"]),
    (
        "incidents/slack-egress",
        "alert/APIServiceDown",
        &["delivery: alertmanager-notify ← nat-egress"],
        &["nat-egress"],
    ),
    ("incidents/slack-egress", "receiver/slack", &["delivery: alertmanager-notify ← nat-egress"], &["nat-egress"]),
    (
        "cases/dashboard-without-metrics",
        "panel Ticket sales/Refunds",
        &["metric: dashboard-missing-metric"],
        &["dashboard-missing-metric"],
    ),
    (
        "cases/dashboard-import-placeholder",
        "panel Spegel/Advertised images",
        &["datasource: dashboard-datasource"],
        &["dashboard-datasource"],
    ),
    (
        "incidents/prometheus-crashloop-config",
        "datasource/Prometheus",
        &[
            "url: grafana-datasource",
            "pods: service-no-endpoints ← crash-loop ← prometheus-config",
            "endpoints: ",
            "health: ",
        ],
        &["prometheus-config"],
    ),
    (
        "cases/node-without-network",
        "node/ip-10-0-1-10.eu-west-1.compute.internal",
        &["ready: node-not-ready ← crash-loop", "network: "],
        &["crash-loop"],
    ),
];

#[test]
fn the_broken_link_and_its_root_are_named() {
    let mut wrong = Vec::new();
    let fixtures: BTreeSet<&str> = EXPECTED.iter().map(|(fixture, ..)| *fixture).collect();
    for fixture in fixtures {
        let scene = Scene::of(fixture);
        for (_, what, links, roots) in EXPECTED.iter().filter(|(of, ..)| *of == fixture) {
            let (broken, found) = (scene.broken(what), scene.roots(what));
            if broken != *links || found != *roots {
                wrong.push(format!("{fixture} {what}: {broken:?} {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_broken_where_all_is_well() {
    let mut wrong = Vec::new();
    for fixture in ["healthy/kube-prometheus-stack", "healthy/plain"] {
        let scene = Scene::of(fixture);
        let all = why::all(&scene.snap);
        assert!(all.len() > 20, "{fixture}: {all:?}");
        for what in all {
            match scene.try_why(&what) {
                // Which metrics there are is recorded in part.
                Ok(chain) => wrong.extend(
                    chain
                        .broken()
                        .filter(|l| !(what.starts_with("panel/") && l.title == "metric"))
                        .map(|l| format!("{fixture} {what}: {} {}", l.title, l.text)),
                ),
                Err(unclear) => wrong.push(format!("{fixture} {what}: {unclear:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_that_are_unclear_are_told_with_what_is_near() {
    let scene = Scene::of("incidents/targets-down");
    let unclear = |what: &str| *scene.try_why(what).expect_err("nothing is meant");
    let slip = unclear("target/flash-apl-health");
    assert_eq!((slip.kind, slip.several, slip.offered[0].as_str()), ("target", false, "target/flash-api-health"));
    let several = unclear("grafana");
    assert!(several.several);
    assert_eq!(several.offered, ["svc/monitoring/grafana", "deploy/monitoring/grafana"]);
    assert!(unclear("pod/nosuch-thing").offered.is_empty());
    assert!(unclear("url not-a-url").offered.is_empty());
    // A part of a name is enough where it is the only one, in any case.
    assert_eq!(scene.why("pod GRAFANA").what.split('-').next(), Some("pod/monitoring/grafana"));
    assert_eq!(scene.why("flash-order-metrics").what, "target/flash-order-metrics");
    assert_eq!(scene.why("svc/flash-ticket/flash-order").what, "svc/flash-ticket/flash-order");
}

/// Without a fact, what was right by it is unseen, and nothing becomes right.
#[test]
fn what_was_not_seen_is_not_right() {
    use kdoctor::model::{Fact, Gap, GapCause};
    let whole = Scene::of("healthy/plain");
    let asked =
        ["alert/APIServiceDown", "target/prometheus", "svc/grafana", "pvc/flash-tickets-grafana", "pod/grafana"];
    for fact in Fact::ALL {
        let gap = Gap::new(fact.as_str(), GapCause::Timeout, "no answer");
        let mut snap = whole.snap.clone();
        snap.forget(*fact, &gap);
        let report = diagnose::run(&snap, &checks::registry());
        let partial = Scene { snap, report };
        for what in asked {
            let before = whole.why(what);
            // What names the thing may be what is missing.
            let Ok(after) = partial.try_why(what) else { continue };
            let broken = after.links.iter().find(|l| l.state == LinkState::Broken);
            assert!(broken.is_none(), "without {fact} {what} is broken: {broken:?}");
            let is_right = |chain: &Chain, title: &str| {
                chain.links.iter().any(|l| l.title == title && l.state == LinkState::Right)
            };
            for link in after.links.iter().filter(|l| l.state == LinkState::Right) {
                assert!(is_right(&before, &link.title), "without {fact} {what} is right at {}", link.title);
            }
        }
    }
    let mut snap = whole.snap.clone();
    snap.forget(Fact::EndpointSlices, &Gap::new("endpointslices", GapCause::Timeout, "no answer"));
    let report = diagnose::run(&snap, &checks::registry());
    let chain = Scene { snap, report }.why("svc/grafana");
    let endpoints = chain.links.iter().find(|l| l.title == "endpoints").expect("it has that link");
    assert_eq!(endpoints.state, LinkState::Unseen);
    assert!(endpoints.gap.is_some());
}

#[test]
fn commands_reach_the_cluster_that_was_diagnosed() {
    let scene = Scene::of("incidents/targets-down");
    let invocation = Invocation { context: Some("prod".into()), ..Invocation::default() };
    let words = ["svc/flash-order".to_owned()];
    let chain = why::chain(&scene.snap, &scene.report, &words, None, &invocation).expect("there is one");
    let commands: Vec<&str> =
        chain.links.iter().filter_map(|l| l.evidence.as_ref()).map(|e| e.reproduce.as_str()).collect();
    assert!(commands.len() > 1 && commands.iter().all(|c| c.starts_with("kubectl --context prod ")), "{commands:?}");
}

#[test]
fn it_is_printed_in_every_form() {
    let scene = Scene::of("incidents/gp3-missing");
    let chain = scene.why("pod/prometheus");
    let printer = |width: usize| Printer { color: false, width: Some(width), progress: false };
    for width in [80, 120] {
        let text = render::why(&scene.report, &chain, &TableOptions::new(&printer(width), false));
        let table: Vec<&str> = text.lines().take_while(|l| !l.starts_with("1. ")).collect();
        assert!(table.iter().all(|l| l.chars().count() <= width), "{text}");
        insta::assert_snapshot!(format!("why_pod_{width}"), table.join("\n"));
        assert!(text.contains("fix: Create the class"), "{text}");
    }
    let markdown = render::why_markdown(&scene.report, &chain, MarkdownOptions::default());
    assert!(
        markdown.contains("- ✗ **volume** PersistentVolumeClaim flash-tickets-prometheus is Pending"),
        "{markdown}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&render::why_json(&scene.report, &chain).expect("plain data")).expect("is JSON");
    assert_eq!((&json["state"], &json["links"][2]["state"]), (&"broken".into(), &"broken".into()));
    let validator = jsonschema::validator_for(&render::why_schema()).expect("is a schema");
    assert!(validator.is_valid(&json), "{json:#}");
    let roots = json["roots"].as_array().expect("a list");
    let ids: Vec<&serde_json::Value> = json["findings"].as_array().expect("a list").iter().map(|f| &f["id"]).collect();
    assert!(roots.iter().all(|r| ids.contains(&r)), "{json:#}");
}

/// A pod that runs beside one that does not is not broken by it.
#[test]
fn a_healthy_pod_is_not_held_responsible_for_its_sibling() {
    use kdoctor::snapshot::Listing;
    use kdoctor::snapshot::kubernetes::Pod;
    let mut scene = Scene::of("incidents/prometheus-oomkilled");
    let mut pods: Vec<Pod> = scene.snap.pods.items().expect("pods were read").to_vec();
    let killed = pods.iter().find(|p| p.metadata.name.starts_with("prometheus-")).expect("it is there");
    let mut twin = killed.clone();
    twin.metadata.name = "prometheus-65b6674689-twin0".to_owned();
    twin.status = serde_json::from_value(serde_json::json!({
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [
            {"name": "prometheus", "image": "a", "imageID": "a@sha256:1", "ready": true,
             "state": {"running": {"startedAt": "2026-11-20T00:00:00Z"}}},
        ],
    }))
    .expect("is a status");
    let killed = killed.metadata.name.clone();
    pods.push(twin);
    scene.snap.pods = Listing::cluster(pods);
    scene.report = diagnose::run(&scene.snap, &checks::registry());
    assert_eq!(scene.broken("pod/prometheus-65b6674689-twin0"), Vec::<String>::new());
    let broken = scene.broken(&format!("pod/{killed}"));
    assert!(broken.iter().any(|l| l.starts_with("start: oom-killed")), "{broken:?}");
}

/// A policy that isolates pods is right only where somebody was seen to get through.
#[test]
fn what_a_policy_admits_is_not_guessed() {
    let mut scene = Scene::of("cases/network-policy-allows");
    let policy = |scene: &Scene, what: &str| scene.why(what).links.into_iter().find(|l| l.title == "policy");
    let all = why::all(&scene.snap);
    let isolated = |l: &kdoctor::model::Link| !l.about.is_empty();
    let services: Vec<_> = all.iter().filter(|w| w.starts_with("svc/")).filter_map(|w| policy(&scene, w)).collect();
    assert!(services.iter().any(isolated) && services.iter().any(|l| !isolated(l)));
    for link in &services {
        let wanted = if isolated(link) { LinkState::Unseen } else { LinkState::Right };
        assert_eq!(link.state, wanted, "{}", link.text);
    }
    let of_target = |scene: &Scene| policy(scene, "target/flash-tickets-metrics").expect("it has that link");
    let down = of_target(&scene);
    assert!(isolated(&down) && down.state == LinkState::Unseen, "{}", down.text);
    if let Ok(targets) = &mut *scene.snap.prometheus_targets {
        targets.iter_mut().for_each(|t| t.health = "up".to_owned());
    }
    assert_eq!(of_target(&scene).state, LinkState::Right);
}

#[test]
fn a_pod_that_nobody_could_look_for_is_not_missing() {
    use kdoctor::model::{Fact, Gap, GapCause};
    let mut scene = Scene::of("cases/admission-denied-each-way");
    scene.snap.forget(Fact::Pods, &Gap::new("pods", GapCause::Timeout, "no answer"));
    scene.report = diagnose::run(&scene.snap, &checks::registry());
    let chain = scene.why("pod/store-0");
    assert_eq!(chain.links.len(), 1, "{chain:?}");
    assert!(chain.links[0].state == LinkState::Unseen && chain.links[0].gap.is_some(), "{chain:?}");
}

#[test]
fn a_set_that_wants_very_many_pods_does_not_stop_it() {
    use kdoctor::snapshot::Listing;
    let mut scene = Scene::of("cases/admission-denied-each-way");
    let mut sets = scene.snap.workloads.items().expect("workloads were read").to_vec();
    for set in sets.iter_mut().filter(|w| w.kind == "StatefulSet") {
        set.spec.replicas = Some(2_000_000_000);
    }
    scene.snap.workloads = Listing::cluster(sets);
    assert!(why::all(&scene.snap).len() < 5000);
}

#[test]
fn private_addresses_have_no_way_out_of_the_cluster() {
    let scene = Scene::of("incidents/slack-egress");
    let titles = |url: &str| scene.why(url).links.into_iter().map(|l| l.title).collect::<Vec<_>>();
    assert_eq!(titles("https://example.com/hook"), ["host", "egress", "answer"]);
    assert_eq!(titles("http://10.255.255.1:9090/metrics"), ["host", "answer"]);
    assert_eq!(titles("http://localhost:1234/metrics"), ["host", "answer"]);
}

#[test]
fn a_metric_with_a_name_like_the_one_that_is_asked_for_is_meant() {
    let mut scene = Scene::of("cases/dashboard-without-metrics");
    if let Ok(names) = &mut *scene.snap.prometheus_metric_names {
        names.insert("ticket_refunded_total".to_owned());
    }
    scene.report = diagnose::run(&scene.snap, &checks::registry());
    assert_eq!(scene.broken("panel Ticket sales/Refunds"), ["metric: dashboard-missing-metric"]);
}
