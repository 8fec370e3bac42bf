//! What a way out does from its first step to its last, and what it knows of the state.

use std::collections::BTreeSet;

use kdoctor::model::{Fact, Gap, GapCause, Step, StepKind};
use kdoctor::snapshot::kubernetes::{SecretSource, Workload};
use kdoctor::snapshot::{Listing, Snapshot};
use kdoctor::{checks, diagnose};

use super::advice::ways;
use super::{fixtures, report, snapshot};

/// Every command of the reports on fixtures that were changed before they were judged.
fn commands_of(change: impl Fn(&mut Snapshot) -> bool) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for fixture in fixtures::all() {
        let mut snap = snapshot(&fixture);
        if !change(&mut snap) {
            continue;
        }
        for finding in &diagnose::run(&snap, &checks::registry()).findings {
            let steps = finding.remediation.all_steps().filter(|s| s.kind.is_shell());
            all.extend(steps.map(|s| (format!("{fixture} {}", finding.check), s.command.clone())));
        }
    }
    all
}

/// An update that leaves out the role has the add-on use that of the nodes; one that replaces the configuration, or
/// overwrites, loses what is left out.
#[test]
fn an_add_on_keeps_what_was_given_to_it() {
    const ROLE: &str = "arn:aws:iam::111122223333:role/path/of/its/own";
    let commands = commands_of(|snap| {
        let Ok(addons) = snap.eks_addons.as_mut() else { return false };
        for addon in addons.iter_mut() {
            addon.service_account_role_arn = Some(ROLE.into());
            addon.configuration_values = Some(r#"{"kept":{"by":"us"}}"#.into());
        }
        !addons.is_empty()
    });
    let mut seen = BTreeSet::new();
    for (of, command) in commands.iter().filter(|(_, c)| c.contains("aws eks update-addon")) {
        let words = shlex::split(command).expect("a command");
        let value = |option: &str| words.iter().skip_while(|w| *w != option).nth(1).map(String::as_str);
        assert!(value("--service-account-role-arn").is_some(), "{of} takes the role away: {command}");
        let values = value("--configuration-values").unwrap_or_default();
        assert!(values.contains(r#""kept":{"by":"us"}"#), "{of} takes the configuration away: {command}");
        seen.insert(value("--addon-name").unwrap_or_default().to_owned());
    }
    assert!(seen.len() > 3, "only {seen:?} were seen");
}

/// kubectl fails for a kind that the API server does not have, and so does all that hangs on its output.
#[test]
fn kinds_of_the_operator_are_asked_for_where_they_are_there() {
    let kinds = ["prometheus", "prometheuses", "alertmanagers", "probes", "scrapeconfigs", "prometheusrules"];
    let asked = |command: &'static str| {
        let word = command.strip_prefix("kubectl get ").and_then(|rest| rest.split_whitespace().next());
        word.unwrap_or_default().split(',').filter(|k| kinds.contains(k))
    };
    let mut bad = BTreeSet::new();
    for fixture in fixtures::all() {
        let findings = report(&fixture).findings.iter();
        let steps = findings.flat_map(|f| f.remediation.all_steps().map(move |s| (f.check, s.command.as_str())));
        let steps: Vec<_> = steps.filter(|(_, command)| asked(command).next().is_some()).collect();
        if steps.is_empty() {
            continue;
        }
        let snap = snapshot(&fixture);
        if !snap.crds.is_whole() {
            continue;
        }
        let crds = snap.crds.items().unwrap_or_default();
        let is_there = |kind: &str| {
            let plural = if kind == "prometheus" { "prometheuses" } else { kind };
            crds.iter().any(|c| c.metadata.name == format!("{plural}.monitoring.coreos.com"))
        };
        for (check, command) in steps {
            if asked(command).any(|k| !is_there(k)) {
                bad.insert(format!("{fixture} {check}: {command}"));
            }
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

/// ARNs begin with the partition, and host names of China end in another way.
#[test]
fn commands_are_of_the_partition_of_the_cluster() {
    let commands = commands_of(|snap| {
        let Ok(cluster) = snap.eks_cluster.as_mut() else { return false };
        cluster.arn = "arn:aws-cn:eks:cn-north-1:111122223333:cluster/shop".into();
        snap.target.region = Some("cn-north-1".into());
        true
    });
    assert!(!commands.is_empty());
    for (of, command) in &commands {
        // What others wrote stands as it is.
        let ours =
            ["arn:aws:iam::aws:", "sts.cn-north-1.amazonaws.com ", "\"com.amazonaws.cn-north-1.e", "arn:aws:s3:::<"];
        for word in ours {
            assert!(!command.contains(word), "{of}: {command}");
        }
    }
}

/// Nothing makes a claim again that stands alone.
#[test]
fn a_claim_that_stands_alone_is_saved_and_made_again() {
    let mut seen = 0;
    for (fixture, finding, steps) in ways() {
        let deletes = |s: &&Step| s.command.starts_with("kubectl delete pvc") && s.command.contains("--wait=false");
        let Some(at) = steps.iter().position(deletes) else { continue };
        seen += 1;
        let saved = steps[..at].iter().any(|s| s.command.contains("get pvc") && s.command.contains("> claim.json"));
        let again = steps[at..].iter().any(|s| s.command.contains("apply -f claim.json"));
        assert!(saved && again, "{fixture} {}: {}", finding.check, steps[at].command);
    }
    assert!(seen > 2, "only {seen} were seen");
}

/// A volume is made from a snapshot that is complete, and what a command makes is named by the next one.
#[test]
fn what_aws_makes_is_kept_in_a_variable() {
    let mut seen = 0;
    for (fixture, finding, steps) in ways() {
        for (at, step) in steps.iter().enumerate().filter(|(_, s)| s.command.contains("create-volume --snapshot-id")) {
            seen += 1;
            let waits = steps[..at].iter().any(|s| s.command.contains("wait snapshot-completed"));
            let named = step.command.contains(r#"--snapshot-id "$SNAPSHOT_ID""#);
            assert!(waits && named, "{fixture} {}: {}", finding.check, step.command);
        }
    }
    assert!(seen > 0);
}

/// A disk that is full is no lock of another instance.
#[test]
fn a_full_disk_gets_a_larger_claim() {
    let fixture = "cases/prometheus-storage-disk-full";
    let steps = report(fixture).findings.iter().flat_map(|f| f.remediation.all_steps());
    let all: Vec<&str> = steps.map(|s| s.command.as_str()).collect();
    assert!(all.iter().any(|c| c.starts_with("kubectl patch pvc")), "{all:#?}");
    assert!(!all.iter().any(|c| c.contains("--replicas=0")), "{all:#?}");
}

/// Without an internet gateway AWS takes the money for an address and refuses the NAT gateway.
#[test]
fn a_nat_gateway_is_made_where_the_internet_is_reached() {
    let mut seen = 0;
    for fixture in fixtures::all() {
        let makes = |s: &Step| s.command.contains("create-nat-gateway");
        if !report(&fixture).findings.iter().any(|f| f.remediation.all_steps().any(makes)) {
            continue;
        }
        seen += 1;
        let snap = snapshot(&fixture);
        let vpc = snap.eks_cluster.as_ref().map(|c| c.resources_vpc_config.vpc_id.clone()).unwrap_or_default();
        let gateways = snap.internet_gateways().expect("read");
        assert!(gateways.iter().any(|g| g.attachments.iter().any(|a| a.vpc_id == vpc)), "{fixture}");
    }
    assert!(seen > 0);
}

/// The policy that a step replaces can be put back.
#[test]
fn a_trust_policy_is_saved_before_it_is_replaced() {
    for (fixture, finding, steps) in ways() {
        let replaces = |s: &&Step| s.command.contains("update-assume-role-policy");
        if let Some(at) = steps.iter().position(replaces) {
            let as_it_is =
                |l: &str| l.starts_with("aws iam get-role ") && l.trim_end_matches('\'').ends_with("trust-before.json");
            let saved = steps[..at].iter().any(|s| s.command.lines().any(as_it_is));
            assert!(saved, "{fixture} {}: {}", finding.check, steps[at].command);
        }
    }
}

/// Nodes that are closed to pods are opened again.
#[test]
fn a_node_does_not_stay_cordoned() {
    let mut seen = 0;
    for (fixture, finding, steps) in ways() {
        let Some(at) = steps.iter().position(|s| s.command.starts_with("kubectl cordon")) else { continue };
        seen += 1;
        let after = &steps[at..];
        let opened = after.iter().any(|s| s.command.starts_with("kubectl uncordon"));
        let moved = after.iter().any(|s| s.command.contains("delete pod") || s.command.starts_with("kubectl drain"));
        assert!(opened && moved, "{fixture} {}", finding.check);
    }
    assert!(seen > 3, "only {seen} were seen");
}

/// A Service that is not there gives no proof.
#[test]
fn what_verifies_goes_through_services_that_are_there() {
    let service = |command: &'static str| {
        let mut parts = command.split_once("/api/v1/namespaces/")?.1.split('/');
        let (namespace, "services", name) = (parts.next()?, parts.next()?, parts.next()?) else { return None };
        Some((namespace, name.split(':').nth(1).unwrap_or(name)))
    };
    let mut bad = BTreeSet::new();
    for fixture in fixtures::all() {
        let findings = &report(&fixture).findings;
        // A Service that was refused comes with the fix of that.
        let refused = findings.iter().any(|f| f.check.0 == "node-port-range");
        let steps = findings.iter().flat_map(|f| f.remediation.verify.iter().map(move |s| (f, s.command.as_str())));
        let steps: Vec<_> = steps.filter_map(|(f, command)| Some((f, command, service(command)?))).collect();
        if refused || steps.is_empty() {
            continue;
        }
        let snap = snapshot(&fixture);
        if !snap.services.is_whole() {
            continue;
        }
        for (finding, command, (namespace, name)) in steps {
            let mut all = finding.remediation.all_steps();
            let makes = all.any(|s| s.kind != StepKind::Note && s.command.contains("kind: Service"));
            if snap.services.find(namespace, name).ok().flatten().is_none() && !makes {
                bad.insert(format!("{fixture} {}: {command}", finding.check));
            }
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

/// What the report is about has to be seen to work at the end.
#[test]
fn claims_are_seen_to_become_bound() {
    for check in ["oidc-provider-missing", "ebs-csi-addon-missing"] {
        let mut seen = 0;
        for fixture in fixtures::all() {
            let found: Vec<_> = report(&fixture).findings.iter().filter(|f| f.check.0 == check).collect();
            let pending = || {
                let snap = snapshot(&fixture);
                let claims = snap.persistent_volume_claims.items();
                claims.is_ok_and(|all| all.iter().any(|c| c.status.phase == "Pending"))
            };
            if found.is_empty() || !pending() {
                continue;
            }
            for finding in found {
                seen += 1;
                let looks = finding.remediation.verify.iter().any(|s| s.command.contains("get pvc"));
                assert!(looks, "{fixture} {check}");
            }
        }
        assert!(seen > 0, "{check} was not seen");
    }
}

/// An add-on that could not be read is not one that is missing: making it would replace what is there.
#[test]
fn an_add_on_that_was_not_seen_is_looked_for_first() {
    let mut snap = snapshot("cases/kinds-not-served-each-way");
    let refused = Gap::new("eks:ListAddons", GapCause::Timeout, "dropped by the test");
    snap.forget(Fact::EksAddons, &refused);
    let report = diagnose::run(&snap, &checks::registry());
    let mut all = report.findings.iter().filter(|f| f.check.0 == "kind-not-served");
    let fix =
        &all.find(|f| f.remediation.all_steps().any(|s| s.command.contains("kube-proxy"))).expect("found").remediation;
    assert!(fix.steps.iter().any(|s| s.command.contains("describe-addon --cluster-name")), "{:#?}", fix.steps);
    assert_eq!(fix.options.len(), 2, "{:#?}", fix.options);
    let made = &fix.options[1].steps;
    let at = made.iter().position(|s| s.command.contains("create-addon")).expect("it is made");
    assert!(made[..at].iter().any(|s| s.command.contains("> kube-proxy-before.yaml")), "{made:#?}");
}

/// What the state says is filled in: nobody has to look it up.
#[test]
fn names_and_numbers_come_from_the_state() {
    let wanted = [
        ("cases/webhook-unknown-authority", "kubectl patch mutatingwebhookconfiguration policy-mutate "),
        ("cases/pod-pending-selector", "nodes have "),
        ("cases/dns-second-node-group", "--group-id sg-0a41c6f0e7d35b921 --protocol udp --port 53 --source-group sg-"),
        ("cases/network-policy-api-server-egress", r#"cidr: "10.0.0.0/20""#),
        ("cases/oom-killed-operator", "kubectl patch prometheus prometheus-stack-kube-prom-prometheus -n monitoring"),
        ("cases/vpc-endpoint-ecr-api-missing", "--service-name com.amazonaws.ap-northeast-2.ecr.api"),
        ("cases/addons-failed-each-way", "arn:aws:iam::aws:policy/service-role/AmazonEFSCSIDriverPolicy"),
        ("cases/ecr-node-role-may-not-pull", "--role-name flash-tickets-eks-node-role --policy-arn arn:aws:iam::aws:"),
    ];
    for (fixture, word) in wanted {
        let steps = report(fixture).findings.iter().flat_map(|f| f.remediation.all_steps());
        let said: Vec<String> = steps.map(|s| format!("{}\n{}", s.text, s.command)).collect();
        assert!(said.iter().any(|s| s.contains(word)), "{fixture} does not say {word}: {said:#?}");
    }
}

/// The template would make them again at once as they were.
#[test]
fn claims_of_another_mode_wait_for_their_stateful_set() {
    let mut snap = snapshot("cases/pvc-read-write-many");
    let mut claims = snap.persistent_volume_claims.items().expect("claims").to_vec();
    let claim = claims.iter_mut().find(|c| c.metadata.name == "grafana-shared").expect("the claim");
    claim.metadata.name = "data-grafana-0".into();
    snap.persistent_volume_claims = Listing::cluster(claims);
    let set = serde_json::json!({"metadata": {"name": "grafana", "namespace": "monitoring"},
        "spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}});
    let set: Workload = serde_json::from_value(set).expect("a workload");
    let mut workloads = snap.workloads.items().unwrap_or_default().to_vec();
    workloads.push(Workload { kind: "StatefulSet".into(), ..set });
    snap.workloads = Listing::cluster(workloads);
    let report = diagnose::run(&snap, &checks::registry());
    let found = report.findings.iter().find(|f| f.check.0 == "pvc-pending").expect("found");
    let steps: Vec<&str> = found.remediation.all_steps().map(|s| s.command.as_str()).collect();
    let at = |part: &str| steps.iter().position(|c| c.contains(part)).unwrap_or_else(|| panic!("{part}: {steps:#?}"));
    assert!(
        at("statefulset/grafana -n monitoring --cascade=orphan")
            < at("kubectl delete pvc data-grafana-0 -n monitoring")
    );
}

/// What a step takes out of a Secret is one key, and it alone is put back: an edit shows all that the Secret holds.
#[test]
fn a_file_in_a_secret_is_put_back_by_its_key() {
    let mut snap = snapshot("cases/alertmanager-config-reload-failed");
    let mut pods = snap.pods.items().expect("pods").to_vec();
    for volume in pods.iter_mut().flat_map(|p| &mut p.spec.volumes) {
        if volume.config_map.as_ref().is_some_and(|m| m.name == "alertmanager-config") {
            volume.config_map = None;
            volume.secret = Some(SecretSource { secret_name: "alertmanager-config".into(), ..SecretSource::default() });
        }
    }
    snap.pods = Listing::cluster(pods);
    let report = diagnose::run(&snap, &checks::registry());
    let mut found = report.findings.iter().filter(|f| f.check.0 == "alertmanager-config");
    let found = found.find(|f| f.variant == "refused").unwrap_or_else(|| panic!("{:#?}", report.findings));
    let steps: Vec<&str> = found.remediation.all_steps().map(|s| s.command.as_str()).collect();
    let at = |part: &str| steps.iter().position(|c| c.contains(part)).unwrap_or_else(|| panic!("{part}: {steps:#?}"));
    let taken = at("| base64 -d > alertmanager.yml");
    assert!(taken < at("kubectl patch secret alertmanager-config -n monitoring --type=merge"), "{steps:#?}");
    assert!(!steps.iter().any(|c| c.contains("kubectl edit")), "{steps:#?}");
}

/// A Service of peers that is missing is not looked at, and the pod is another one once its arguments were changed.
#[test]
fn peers_are_looked_for_where_they_can_be() {
    let findings = report("cases/alertmanager-peer-not-found").findings.iter();
    let steps = findings.filter(|f| f.check.0 == "alertmanager-cluster").flat_map(|f| f.remediation.all_steps());
    let said: Vec<String> = steps.map(|s| format!("{}\n{}", s.text, s.command)).collect();
    let said = said.join("\n");
    assert!(said.contains("Service monitoring/alertmanager-peers does not exist"), "{said}");
    assert!(!said.contains("kubectl get service alertmanager-peers -n monitoring"), "{said}");
    assert!(said.contains("kubectl exec -n monitoring deployment/alertmanager -c alertmanager"), "{said}");
}

/// Whoever gives data up knows what becomes of it.
#[test]
fn what_becomes_of_the_data_is_said_before_its_claim_is_deleted() {
    let mut seen = 0;
    for (fixture, finding, steps) in ways() {
        let deletes = |s: &&Step| s.command.starts_with("kubectl delete pvc") && s.command.contains("--wait=false");
        let Some(at) = steps.iter().position(deletes) else { continue };
        seen += 1;
        let said = [
            "The reclaim policy of",
            "reclaim policy is Delete",
            "Only where the data is not needed",
            "It holds no data",
        ];
        let is_said = steps[..at].iter().any(|s| said.iter().any(|w| s.text.contains(w)));
        assert!(is_said, "{fixture} {}: {}", finding.check, steps[at].command);
    }
    assert!(seen > 2, "only {seen} were seen");
    let conflict = report("cases/volume-zone-conflict").findings.iter().find(|f| f.check.0 == "volume-zone-conflict");
    let known = conflict.expect("found").remediation.all_steps().any(|s| s.text.contains("The reclaim policy of"));
    assert!(known, "the volume was read");
}

/// What a node is, nobody sets by hand: a pod that asks for a kind of node gets such a node, and not a label.
#[test]
fn a_node_gets_only_labels_that_people_give() {
    let labelled = |key: &str| {
        let mut snap = snapshot("cases/pod-pending-selector");
        let mut pods = snap.pods.items().expect("pods").to_vec();
        for pod in pods.iter_mut().filter(|p| !p.spec.node_selector.is_empty()) {
            pod.spec.node_selector = [(key.to_owned(), "x1".to_owned())].into();
        }
        snap.pods = Listing::cluster(pods);
        let report = diagnose::run(&snap, &checks::registry());
        let steps = report.findings.iter().flat_map(|f| f.remediation.all_steps());
        steps.filter(|s| s.command.starts_with("kubectl label node ")).count()
    };
    assert!(labelled("disktype") > 0);
    for key in ["eks.amazonaws.com/compute-type", "eks.amazonaws.com/nodegroup", "karpenter.sh/nodepool"] {
        assert_eq!(labelled(key), 0, "{key}");
    }
}

/// A refusal is of the moment when a pod was asked for: what is used since then counts.
#[test]
fn a_quota_is_raised_above_what_is_used_now() {
    let mut snap = snapshot("cases/pod-not-created-quota");
    let mut quotas = snap.resource_quotas.items().expect("quotas").to_vec();
    for quota in &mut quotas {
        quota.status.used.insert("limits.memory".into(), "6Gi".into());
    }
    snap.resource_quotas = Listing::cluster(quotas);
    let report = diagnose::run(&snap, &checks::registry());
    let steps = report.findings.iter().flat_map(|f| f.remediation.all_steps());
    let raised: Vec<&str> =
        steps.map(|s| s.command.as_str()).filter(|c| c.starts_with("kubectl patch resourcequota")).collect();
    assert!(!raised.is_empty() && raised.iter().all(|c| c.contains(r#""limits.memory":"6656Mi""#)), "{raised:#?}");
}

/// What leads back is the policy as it was, and not the copy that is edited.
#[test]
fn the_policy_that_leads_back_is_not_edited() {
    let findings = report("cases/ebs-csi-role-trust-deny").findings.iter();
    let fixes: Vec<_> = findings.filter(|f| f.check.0 == "ebs-csi-role").map(|f| &f.remediation).collect();
    assert!(!fixes.is_empty());
    for fix in fixes {
        let sets =
            |s: &Step| s.command.contains("update-assume-role-policy") && s.command.contains("trust-policy.json");
        assert!(fix.steps.iter().any(sets), "{:#?}", fix.steps);
        assert!(!fix.steps.iter().any(|s| s.text.contains("trust-before.json")), "{:#?}", fix.steps);
        assert!(
            fix.rollback.iter().any(|s| s.command.contains("file://") && s.command.ends_with("-trust-before.json")),
            "{:#?}",
            fix.rollback
        );
    }
}
