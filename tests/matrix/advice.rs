//! What no printed command may do, whatever check it is of: each rule is a harm that a command has done once.

use std::collections::BTreeSet;

use kdoctor::model::{Finding, Risk, Step, StepKind};
use kdoctor::{checks, diagnose};

use kdoctor::snapshot::Listing;

use super::{fixtures, report, snapshot};

/// Each finding of each fixture with what a reader does: what stands before the options, then one option, then the
/// verification.
pub(super) fn ways() -> Vec<(String, &'static Finding, Vec<&'static Step>)> {
    let mut all = Vec::new();
    for fixture in fixtures::all() {
        for finding in &report(&fixture).findings {
            let fix = &finding.remediation;
            let options: Vec<&[Step]> = match fix.options.as_slice() {
                [] => vec![&[]],
                options => options.iter().map(|o| o.steps.as_slice()).collect(),
            };
            for option in options {
                let steps = fix.steps.iter().chain(option).chain(&fix.verify).collect();
                all.push((fixture.clone(), finding, steps));
            }
        }
    }
    all
}

/// Every distinct step of a shell with what it is of.
fn commands() -> Vec<(String, &'static Step)> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for fixture in fixtures::all() {
        for finding in &report(&fixture).findings {
            let steps = finding.remediation.all_steps().filter(|s| s.kind.is_shell());
            all.extend(steps.filter(|s| seen.insert(&s.command)).map(|s| (format!("{fixture} {}", finding.check), s)));
        }
    }
    all
}

/// Fails with every command that a rule forbids.
fn forbid(rule: &str, is_bad: impl Fn(&Step) -> bool) {
    let bad: Vec<String> =
        commands().into_iter().filter(|(_, s)| is_bad(s)).map(|(of, s)| format!("{of}: {}", s.command)).collect();
    assert!(bad.is_empty(), "{rule}: {bad:#?}");
}

#[test]
fn no_secret_is_replaced_shown_or_typed() {
    forbid("a Secret loses its other keys", |s| {
        s.command.contains("create secret generic") && s.command.contains("apply")
    });
    forbid("a file that is not there empties a key", |s| {
        s.command.contains("base64 <") && !s.command.contains("test -s ")
    });
    forbid("a pull secret loses its other logins", |s| {
        s.command.contains("create secret docker-registry") && !s.command.contains(".auths")
    });
    forbid("all values of a Secret are shown", |s| {
        let c = &s.command;
        c.contains("get secret") && (c.contains("-o yaml") || c.contains("-o json ") || c.ends_with("-o json"))
    });
    forbid("a value stands in the shell's history, or a placeholder becomes one", |s| {
        let literal = s.command.split_whitespace().any(|w| w.contains("--from-literal=") && w.contains('<'));
        literal || s.command.contains("--docker-password='<")
    });
}

#[test]
fn an_upgrade_keeps_chart_version_and_values() {
    forbid("the chart moves, or its values are lost", |s| {
        s.command.lines().any(|line| {
            let keeps = line.contains("--reuse-values") || line.contains(" -f ");
            line.starts_with("helm upgrade ") && !line.contains("--install") && !(line.contains("--version") && keeps)
        })
    });
    forbid("the release is on the objects", |s| s.command.contains("'<release>'"));
}

#[test]
fn commands_stand_apart() {
    forbid("a command is glued to the one before it", |s| {
        ["kubectl ", "aws "].iter().any(|program| {
            let mut places = s.command.match_indices(program);
            places.any(|(at, _)| s.command[..at].ends_with(|c: char| c.is_ascii_alphanumeric()))
        })
    });
}

#[test]
fn a_copy_is_kept_in_a_file() {
    forbid("it is only printed", |s| {
        let says = ["Keep a copy", "Save the"].iter().any(|w| s.text.starts_with(w));
        says && s.kind == StepKind::Command && !s.command.contains(" > ")
    });
}

#[test]
fn permissions_are_asked_for_as_kubectl_reads_them() {
    forbid("kubectl reads TYPE/NAME", |s| s.command.contains("can-i get nodes/"));
    forbid("it allows all keys", |s| s.command.contains("kms:") && s.command.contains(r#""Resource":"*""#));
    forbid("these labels say what a node is", |s| {
        let given = ["kubernetes.io/", "k8s.io/", "eks.amazonaws.com/", "karpenter"];
        s.command.starts_with("kubectl label node") && given.iter().any(|g| s.command.contains(g))
    });
}

#[test]
fn a_drain_is_a_way_to_choose() {
    for fixture in fixtures::all() {
        for finding in &report(&fixture).findings {
            let fix = &finding.remediation;
            let drained = |steps: &[Step]| steps.iter().any(|s| s.command.starts_with("kubectl drain"));
            let beside = fix.steps.iter().any(|s| s.command.contains("crictl rmi"));
            assert!(!(drained(&fix.steps) && beside), "{fixture} {}", finding.check);
            let mut opened = fix.options.iter().filter(|o| drained(&o.steps));
            // It is opened again, or it goes.
            let ends = [
                "kubectl uncordon",
                "kubectl delete node",
                "aws ec2 terminate-instances",
                "aws autoscaling terminate-instance-in-auto-scaling-group",
            ];
            let is_end = |s: &Step| ends.iter().any(|end| s.command.starts_with(end));
            assert!(opened.all(|o| o.steps.iter().any(is_end)), "{fixture}");
        }
    }
}

/// A StatefulSet makes its claims again at once, of the old template: it goes first, or its operator changes it, or the pod is
/// recreated with its claim.
#[test]
fn claims_of_a_statefulset_are_not_deleted_alone() {
    let mut seen = 0;
    for (fixture, finding, steps) in ways() {
        for (at, step) in steps.iter().enumerate().filter(|(_, s)| s.command.contains("kubectl delete pvc")) {
            let snap = snapshot(&fixture);
            let sets = snap.workloads.items().unwrap_or_default().iter().filter(|w| w.kind == "StatefulSet");
            let made = |name: &str, set: &str| name.contains(&format!("-{set}-")) && name.ends_with(char::is_numeric);
            let words = shlex::split(&step.command).expect("a command");
            for set in sets.filter(|s| words.iter().any(|w| made(w, &s.metadata.name))) {
                seen += 1;
                let before = steps[..at].iter().any(|s| s.command.contains(&set.metadata.name));
                let again = step.command.contains("delete pod")
                    || steps[at..].iter().any(|s| s.command.starts_with("kubectl delete pod"));
                assert!(before || again, "{fixture} {}: {}", finding.check, step.command);
            }
        }
    }
    assert!(seen > 3, "only {seen} were seen");
}

/// What stands in a list is named by its place, and the list may be another by now.
#[test]
fn a_place_in_a_list_is_tested_before_it_is_changed() {
    let place = |path: &str| path.split('/').any(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()));
    // `/spec/ports/0/targetPort`: a test of anything below the same place will do.
    let of_place = |path: &str| {
        let words: Vec<&str> = path.split('/').collect();
        let at = words.iter().position(|w| !w.is_empty() && w.chars().all(|c| c.is_ascii_digit()));
        at.map(|at| words[..=at].join("/"))
    };
    let mut seen = 0;
    for (of, step) in commands().into_iter().filter(|(_, s)| s.command.contains("--type=json")) {
        let words = shlex::split(&step.command).unwrap_or_default();
        for operations in words.iter().filter_map(|w| serde_json::from_str::<Vec<serde_json::Value>>(w).ok()) {
            let mut tested = BTreeSet::new();
            for operation in &operations {
                let (op, path) =
                    (operation["op"].as_str().unwrap_or_default(), operation["path"].as_str().unwrap_or_default());
                if op == "test" {
                    tested.extend(of_place(path));
                } else if place(path) {
                    seen += 1;
                    let known = of_place(path).is_some_and(|p| tested.contains(&p));
                    assert!(known, "{of}: {}", step.command);
                }
            }
        }
    }
    assert!(seen > 3, "{seen}");
}

/// What lies in an emptyDir goes with the pod: whoever starts a store over is told so first.
#[test]
fn no_store_is_started_over_without_a_word_of_its_data() {
    const STORES: &[&str] = &["/loki:", "/tempo:", "/mimir:", "/victoria-metrics:", "/elasticsearch:", "/opensearch:"];
    const FOLDERS: &[&str] = &["/loki", "/var/loki", "/data", "/var/tempo", "/usr/share/"];
    let mut seen = 0;
    for (fixture, finding, steps) in ways() {
        let starts =
            |s: &Step| ["kubectl rollout restart ", "kubectl delete pod "].iter().any(|c| s.command.contains(c));
        for (at, step) in steps.iter().enumerate().filter(|(_, s)| starts(s)) {
            let snap = snapshot(&fixture);
            let all = snap.workloads.items().unwrap_or_default().iter();
            let mut loses = all.filter(|w| {
                let spec = &w.spec.template.spec;
                let empty = |name: &str| spec.volumes.iter().any(|v| v.name == name && v.empty_dir.is_some());
                let keeps = |path: &str| FOLDERS.iter().any(|f| path.starts_with(f));
                let store = spec.containers.iter().filter(|c| STORES.iter().any(|s| c.image.contains(s)));
                let mut mounts = store.flat_map(|c| &c.volume_mounts);
                let named = format!("{}/{} ", w.kind.to_ascii_lowercase(), w.metadata.name);
                let it = step.command.contains(&named) || step.command.contains(&format!("pod {}-", w.metadata.name));
                // What answers queries alone keeps nothing.
                let reads = spec.containers.iter().flat_map(|c| &c.args).any(|a| a == "-target=read");
                it && !reads && mounts.any(|m| empty(&m.name) && keeps(&m.mount_path))
            });
            if loses.next().is_some() {
                seen += 1;
                let said = steps[..=at].iter().any(|s| s.text.contains("gone with the pod"));
                assert!(said, "{fixture} {}: {}", finding.check, step.command);
            }
        }
    }
    assert!(seen > 0);
}

/// A rolling update would wait for the claim that the old pod holds.
#[test]
fn a_pod_that_holds_its_claim_goes_before_the_new_one_comes() {
    for (fixture, deployment) in [
        ("incidents/prometheus-oomkilled", "prometheus"),
        ("incidents/prometheus-crashloop-config", "prometheus"),
        ("cases/grafana-datasource-wrong-name", "grafana"),
        ("incidents/alerts-muted", "prometheus"),
    ] {
        let mut snap = snapshot(fixture);
        let mut workloads = snap.workloads.items().unwrap_or_default().to_vec();
        workloads.iter_mut().for_each(|w| w.spec.strategy.kind = Some("RollingUpdate".into()));
        snap.workloads = Listing::cluster(workloads);
        let target = format!("deployment/{deployment}");
        let replaces = |s: &&Step| s.risk == Risk::Disruptive && s.command.contains(&target);
        let report = diagnose::run(&snap, &checks::registry());
        let mut seen = 0;
        for finding in &report.findings {
            let steps: Vec<&Step> = finding.remediation.all_steps().collect();
            let Some(at) = steps.iter().position(&replaces) else { continue };
            seen += 1;
            let first = steps[..at].iter().any(|s| s.command.contains(r#""type":"Recreate""#));
            assert!(first, "{fixture} {}: {}", finding.check, steps[at].command);
        }
        assert!(seen > 0, "{fixture}: nothing is restarted");
    }
}

/// The name of a ReplicaSet's pod is gone with the pod.
#[test]
fn nothing_is_verified_at_a_pod_that_the_fix_replaces() {
    let mut bad = BTreeSet::new();
    for fixture in fixtures::all() {
        for finding in &report(&fixture).findings {
            let fix = &finding.remediation;
            let replaces = |s: &Step| {
                s.risk >= Risk::Disruptive
                    && ["rollout restart", "set image", "set resources", "delete pod", "kubectl edit deployment"]
                        .iter()
                        .any(|w| s.command.contains(w))
            };
            let targets: Vec<&str> = fix
                .all_steps()
                .filter(|s| replaces(s))
                .flat_map(|s| s.command.split_whitespace())
                .filter_map(|w| w.strip_prefix("deployment/"))
                .collect();
            for step in &fix.verify {
                let names = step.command.split_whitespace();
                let stale = names.filter(|w| targets.iter().any(|t| is_pod_of(w, t))).count() > 0;
                if stale {
                    bad.insert(format!("{fixture} {}: {}", finding.check, step.command));
                }
            }
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

/// `grafana-85f4bc65d7-sfcn7` is a pod of Deployment grafana.
fn is_pod_of(word: &str, deployment: &str) -> bool {
    let rest = word.strip_prefix(deployment).and_then(|r| r.strip_prefix('-'));
    rest.and_then(|r| r.split_once('-')).is_some_and(|(hash, end)| hash.len() >= 8 && end.len() == 5)
}

/// What a trust policy has already stays in it: others use the role.
#[test]
fn a_trust_policy_keeps_its_statements() {
    let mut seen = 0;
    for (of, step) in commands() {
        let words = shlex::split(&step.command).expect("a command");
        let Some(at) = words.iter().position(|w| w == "update-assume-role-policy") else { continue };
        let role = words[at..].iter().skip_while(|w| *w != "--role-name").nth(1).expect("a role");
        let Some(document) = words[at..].iter().find(|w| w.starts_with('{')) else { continue };
        let document: serde_json::Value = serde_json::from_str(document).expect("a policy");
        let fixture = of.split(' ').next().expect("a fixture");
        let snap = snapshot(fixture);
        let roles = snap.iam_roles().expect("roles");
        let now = roles.values().flatten().flatten().find(|r| r.name == *role).expect("the role");
        let statements = now.trust_policy["Statement"].as_array().cloned().unwrap_or_default();
        for statement in &statements {
            let kept = document["Statement"].as_array().expect("statements").contains(statement);
            assert!(kept, "{of}: {statement} is lost");
        }
        seen += 1;
    }
    assert!(seen > 2, "only {seen} were seen");
}

#[test]
fn values_have_the_type_that_their_field_takes() {
    forbid("a placeholder becomes the value of a Secret", |s| {
        s.command.contains("patch secret") && s.command.contains("<value>")
    });
    forbid("the CRD takes a number", |s| {
        let c = &s.command;
        c.contains(r#""sampleLimit":""#) || c.contains(r#"sampleLimit: ""#)
    });
    forbid("a policy is its version", |s| {
        s.command.contains("aws iam get-policy ") && !s.command.contains("get-policy-version")
    });
    forbid("the log names the address", |s| s.command.contains("https://127.0.0.1/"));
    forbid("an edit opens one object", |s| {
        let words = shlex::split(&s.command).unwrap_or_default();
        let is_value = |at: usize| matches!(words[at - 1].as_str(), "-n" | "--context" | "--kubeconfig");
        let named: Vec<&String> =
            (2..words.len()).filter(|at| !words[*at].starts_with('-') && !is_value(*at)).map(|at| &words[at]).collect();
        s.command.starts_with("kubectl edit ") && named.len() < 2 && !named.iter().any(|w| w.contains('/'))
    });
    for fixture in fixtures::all() {
        for finding in &report(&fixture).findings {
            for step in finding.remediation.all_steps() {
                let mut lines = step.command.lines().filter_map(|l| l.split_once("source_labels:"));
                assert!(lines.all(|(_, v)| v.trim().is_empty() || v.trim().starts_with('[')), "{}", step.command);
            }
            let fix = &finding.remediation;
            let dropped = fix.verify.iter().any(|s| s.command.contains("state=dropped"));
            assert!(!dropped, "{fixture} {}: what works is not among what was dropped", finding.check);
        }
    }
}

/// Evidence, too, shows no Secret whole.
#[test]
fn evidence_shows_no_secret() {
    for fixture in fixtures::all() {
        for finding in &report(&fixture).findings {
            for evidence in &finding.evidence {
                let c = &evidence.reproduce;
                let whole = c.contains("get secret") && (c.contains("-o yaml") || c.ends_with("-o json"));
                assert!(!whole, "{fixture} {}: {c}", finding.check);
            }
        }
    }
}

/// There is one candidate for each of these wherever a fixture asks for it.
#[test]
fn what_the_state_names_is_no_placeholder() {
    forbid("the state names it", |s| {
        ["<receiver>", "<node-group>"].iter().any(|p| s.command.contains(p) || s.text.contains(p))
    });
}
