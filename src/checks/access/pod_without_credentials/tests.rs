use serde_json::{Value, json};

use super::PodWithoutCredentials;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::snapshot;
use crate::model::Finding;
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Listing, Snapshot};

const TRUSTED: &str = "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity";

fn snap(line: &str, role: Option<&str>, env: Value) -> Snapshot {
    let mut snap = snapshot(json!({"pods": [{
        "metadata": {"name": "agent-x", "namespace": "monitoring",
            "ownerReferences": [{"kind": "DaemonSet", "name": "agent", "controller": true}]},
        "spec": {"nodeName": "n1", "serviceAccountName": "agent",
            "containers": [{"name": "agent", "image": "fluent-bit:3", "env": env}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}]}));
    let annotations = role.map_or_else(|| json!({}), |r| json!({"eks.amazonaws.com/role-arn": r}));
    snap.service_accounts = Listing::cluster(
        serde_json::from_value(
            json!([{"metadata": {"name": "agent", "namespace": "monitoring", "annotations": annotations}}]),
        )
        .expect("an account"),
    );
    *snap.eks_cluster =
        Ok(serde_json::from_value(json!({"name": "c", "arn": "arn:aws:eks:eu-west-1:111122223333:cluster/c",
        "identity": {"oidc": {"issuer": "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"}}}))
        .expect("a cluster"));
    *snap.pod_identity_associations = Ok(Vec::new());
    *snap.component_logs = Ok(Vec::new());
    *snap.crash_logs = Ok(Vec::new());
    *snap.part_logs = Ok(vec![ContainerLog {
        namespace: "monitoring".into(),
        pod: "agent-x".into(),
        container: "agent".into(),
        program: None,
        image: "fluent-bit:3".into(),
        previous: false,
        text: format!("{line}\n").repeat(3).into(),
    }]);
    snap
}

fn one(snap: &Snapshot) -> Finding {
    let mut all = findings(&PodWithoutCredentials, snap);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn other_lines_are_quiet() {
    assert!(findings(&PodWithoutCredentials, &snap("[info] flush done", None, json!([]))).is_empty());
}

/// A network that comes up, a node that starts.
#[test]
fn one_line_of_what_passes_by_itself_is_quiet_while_the_pod_is_ready() {
    let none = "NoCredentialProviders: no valid providers in chain";
    let told = |text: String, ready: bool| {
        let mut snap = snap(none, None, json!([]));
        snap.part_logs.as_mut().expect("logs")[0].text = text.into();
        if !ready {
            let others = snapshot(json!({"pods": [{
                "metadata": {"name": "agent-x", "namespace": "monitoring",
                    "ownerReferences": [{"kind": "DaemonSet", "name": "agent", "controller": true}]},
                "spec": {"nodeName": "n1", "serviceAccountName": "agent",
                    "containers": [{"name": "agent", "image": "fluent-bit:3"}]},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}}]}));
            snap.pods = others.pods;
        }
        findings(&PodWithoutCredentials, &snap).len()
    };
    assert_eq!(told(format!("{none}\n"), true), 0);
    assert_eq!(told(format!("{none}\n").repeat(2), true), 0);
    assert_eq!(told(format!("{none}\n").repeat(3), true), 1);
    assert_eq!(told(format!("{none}\n"), false), 1, "it may wait for them");
    assert_eq!(told(format!("{TRUSTED}\n{none}\n"), true), 1, "what does not pass is still told");
}

#[test]
fn metadata_that_pods_do_not_reach() {
    let mut snap = snap("NoCredentialProviders: no valid providers in chain", None, json!([]));
    snap.nodes = Listing::cluster(
        serde_json::from_value(json!([{"metadata": {"name": "n1"}, "spec": {"providerID": "aws:///eu-west-1a/i-0a"}}]))
            .expect("nodes"),
    );
    *snap.instances = Ok(serde_json::from_value(json!([{"InstanceId": "i-0a",
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}}]))
    .expect("instances"));
    let found = one(&snap);
    assert!(found.message.contains("hop limit of 1"), "{}", found.message);
    assert!(steps(&found).contains("--instance-id i-0a"), "{}", steps(&found));
}

#[test]
fn metadata_that_reaches_pods_is_not_said_to_be_out_of_reach() {
    let mut snap = snap("NoCredentialProviders: no valid providers in chain", None, json!([]));
    let unseen = one(&snap).message;
    assert!(unseen.contains("was not seen") && !unseen.contains("hop limit"), "{unseen}");
    snap.nodes = Listing::cluster(
        serde_json::from_value(json!([{"metadata": {"name": "n1"}, "spec": {"providerID": "aws:///eu-west-1a/i-0a"}}]))
            .expect("nodes"),
    );
    *snap.instances = Ok(serde_json::from_value(json!([{"InstanceId": "i-0a",
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "HttpEndpoint": "enabled"}}]))
    .expect("instances"));
    *snap.eks_addons = Ok(Vec::new());
    let found = one(&snap);
    assert!(found.message.contains("instance i-0a lets pods reach it (hop limit 2)"), "{}", found.message);
    let text = steps(&found);
    assert!(text.contains("--addon-name eks-pod-identity-agent"), "an association alone gives nothing: {text}");
}

#[test]
fn a_token_of_another_cluster_is_not_helped_by_registering_this_one() {
    let line = "InvalidIdentityToken: No OpenIDConnect provider found in your account for https://oidc.eks.eu-west-1.amazonaws.com/id/";
    let other = one(&snap(&format!("{line}FEDCBA9876543210"), None, json!([])));
    assert!(other.message.contains("id/FEDCBA9876543210, which is not this cluster's"), "{}", other.message);
    assert!(!steps(&other).contains("list-open-id-connect-providers"), "{}", steps(&other));
    let own = one(&snap(&format!("{line}0123456789ABCDEF"), None, json!([])));
    assert!(own.message.contains("does not know the cluster's OIDC issuer"), "{}", own.message);
}

#[test]
fn a_role_that_does_not_trust_the_account() {
    let arn = "arn:aws:iam::111122223333:role/agent";
    let mut snap = snap(TRUSTED, Some(arn), json!([{"name": "AWS_ROLE_ARN", "value": arn}]));
    let trust = json!({"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"},
        "Condition": {"StringEquals": {"oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF:sub": "system:serviceaccount:other:agent"}}}]});
    let role =
        crate::snapshot::aws::Role { name: "agent".into(), arn: arn.into(), trust_policy: trust, ..Default::default() };
    *snap.iam_roles = Ok([(arn.to_owned(), Ok(Some(role)))].into());
    let found = one(&snap);
    assert!(found.message.contains("must be system:serviceaccount:monitoring:agent"), "{}", found.message);
    assert!(steps(&found).contains("aws iam update-assume-role-policy --role-name agent"), "{}", steps(&found));
}

/// Whatever was wrong has been set right since, or lies outside the account.
#[test]
fn a_role_that_trusts_the_account_and_an_issuer_that_is_registered() {
    let arn = "arn:aws:iam::111122223333:role/agent";
    let mut snap = snap(TRUSTED, Some(arn), json!([{"name": "AWS_ROLE_ARN", "value": arn}]));
    let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF";
    let trust = json!({"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": provider},
        "Condition": {"StringEquals": {"oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF:sub": "system:serviceaccount:monitoring:agent"}}}]});
    let role =
        crate::snapshot::aws::Role { name: "agent".into(), arn: arn.into(), trust_policy: trust, ..Default::default() };
    *snap.iam_roles = Ok([(arn.to_owned(), Ok(Some(role)))].into());
    let found = one(&snap);
    assert!(steps(&found).contains("list-open-id-connect-providers"), "the providers are not known: {}", steps(&found));
    *snap.iam_oidc_providers = Ok(serde_json::from_value(json!([{"Arn": provider,
        "Url": "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF", "ClientIDList": ["sts.amazonaws.com"]}]))
    .expect("providers"));
    let found = one(&snap);
    assert!(steps(&found).contains("aws cloudtrail lookup-events"), "{}", steps(&found));
}

#[test]
fn pods_that_are_older_than_the_annotation() {
    let found = one(&snap(TRUSTED, Some("arn:aws:iam::111122223333:role/agent"), json!([])));
    assert!(steps(&found).contains("kubectl rollout restart daemonset/agent -n monitoring"), "{}", steps(&found));
}

#[test]
fn an_audience_that_the_provider_does_not_take_is_added_to_the_one_of_the_partition() {
    let arn = "arn:aws-cn:iam::111122223333:role/agent";
    let line = "InvalidIdentityToken: Incorrect token audience";
    let mut snap = snap(line, Some(arn), json!([{"name": "AWS_ROLE_ARN", "value": arn}]));
    *snap.eks_cluster =
        Ok(serde_json::from_value(json!({"name": "c", "arn": "arn:aws-cn:eks:cn-north-1:111122223333:cluster/c",
        "identity": {"oidc": {"issuer": "https://oidc.eks.cn-north-1.amazonaws.com.cn/id/0123456789ABCDEF"}}}))
        .expect("a cluster"));
    let text = steps(&one(&snap));
    let provider =
        "arn:aws-cn:iam::111122223333:oidc-provider/oidc.eks.cn-north-1.amazonaws.com.cn/id/0123456789ABCDEF";
    assert!(text.contains(provider), "{text}");
}

#[test]
fn a_role_that_is_given_to_an_account_as_which_nothing_runs() {
    let none = "NoCredentialProviders: no valid providers in chain";
    let with = |name: &str| {
        let mut snap = snap(none, None, json!([]));
        let mut accounts = snap.service_accounts.items().expect("accounts").to_vec();
        accounts[0].metadata.name = "default".into();
        let mut other = accounts[0].clone();
        other.metadata.name = name.into();
        accounts.push(other);
        snap.service_accounts = Listing::cluster(accounts);
        let mut pods = snap.pods.items().expect("pods").to_vec();
        pods[0].spec.service_account_name = Some("default".into());
        snap.pods = Listing::cluster(pods);
        let association = json!([{"associationArn": "arn:aws:eks:eu-west-1:111122223333:podidentityassociation/c/a-1",
            "namespace": "monitoring", "serviceAccount": name, "roleArn": "arn:aws:iam::111122223333:role/metrics"}]);
        *snap.pod_identity_associations = Ok(serde_json::from_value(association).expect("an association"));
        snap
    };
    let found = one(&with("agent"));
    let told =
        "role arn:aws:iam::111122223333:role/metrics is given to ServiceAccount monitoring/agent, which no pod uses";
    assert!(found.message.contains(told), "{}", found.message);
    let patch = r#"{"spec":{"template":{"spec":{"serviceAccountName":"agent"}}}}"#;
    assert!(steps(&found).contains(patch), "{}", steps(&found));
    let found = one(&with("loki"));
    assert!(!found.message.contains("which no pod uses"), "it is another program's: {}", found.message);
}
