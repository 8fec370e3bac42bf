//! IAM policy documents: does a trust policy admit a service account, does a policy allow an action?

use serde_json::Value;

use crate::snapshot::aws::arn;
use crate::text::glob::fits;

/// A JSON value that IAM takes as one string or a list of them.
fn strings(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn statements(document: &Value) -> Vec<&Value> {
    match document.get("Statement") {
        Some(Value::Array(all)) => all.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => Vec::new(),
    }
}

fn is_allow(statement: &Value) -> bool {
    statement.get("Effect").and_then(Value::as_str) == Some("Allow")
}

fn action_matches(pattern: &str, action: &str) -> bool {
    fits(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
}

/// True if the document allows the action on some resource. Denies and conditions are left out: they can only be judged
/// with the request at hand, and a false "not allowed" would be a false alarm.
pub(crate) fn allows(document: &Value, action: &str) -> bool {
    statements(document).into_iter().filter(|s| is_allow(s)).any(|s| {
        strings(s.get("Action")).iter().any(|a| action_matches(a, action))
            || s.get("NotAction").is_some_and(|n| !strings(Some(n)).iter().any(|a| action_matches(a, action)))
    })
}

/// The document with one statement more; all others stay as they are.
pub(crate) fn with_statement(document: &Value, statement: Value) -> Value {
    let mut all: Vec<Value> = statements(document).into_iter().cloned().collect();
    all.push(statement);
    let version = document.get("Version").cloned().unwrap_or_else(|| "2012-10-17".into());
    serde_json::json!({"Version": version, "Statement": all})
}

/// True if the document allows the action on this resource; conditions are left out.
pub(crate) fn allows_on(document: &Value, action: &str, resource: &str) -> bool {
    statements(document).into_iter().filter(|s| is_allow(s)).any(|s| {
        let does = strings(s.get("Action")).iter().any(|a| action_matches(a, action))
            || s.get("NotAction").is_some_and(|n| !strings(Some(n)).iter().any(|a| action_matches(a, action)));
        let on = strings(s.get("Resource")).iter().any(|r| fits(r, resource)) || s.get("NotResource").is_some();
        does && on
    })
}

/// What is wrong with a trust policy: what it has and what it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// Which part: `Principal.Federated`, `sub`, `aud`, `Action`, `Deny`, `Principal.Service`, `Condition`.
    pub(crate) part: &'static str,
    /// What is there.
    pub(crate) found: String,
    /// What must be there.
    pub(crate) expected: String,
}

impl Mismatch {
    /// What is wrong, in words.
    pub(crate) fn words(&self) -> String {
        let found = if self.found.is_empty() { "absent" } else { &self.found };
        match self.part {
            "Deny" => format!("{found}, covers it"),
            part => format!("{part} is {found}, must be {}", self.expected),
        }
    }
}

/// Does the trust policy let a service account assume the role through the cluster's OIDC issuer (IRSA)?
///
/// `issuer` is without scheme, `subject` is `system:serviceaccount:<namespace>:<name>`. The statement that comes nearest
/// is the one that is reported.
pub(crate) fn irsa(document: &Value, provider_arn: &str, issuer: &str, subject: &str) -> Option<Mismatch> {
    if let Some(mismatch) = denied(document, provider_arn, issuer, subject) {
        return Some(mismatch);
    }
    let action = "sts:AssumeRoleWithWebIdentity";
    let candidates = statements(document)
        .into_iter()
        .filter(|s| is_allow(s) && strings(s.get("Action")).iter().any(|a| action_matches(a, action)));
    let mut nearest: Option<(usize, Mismatch)> = None;
    for statement in candidates {
        let (got, mismatch) = judge(statement, provider_arn, issuer, subject)?;
        if nearest.as_ref().is_none_or(|(best, _)| got > *best) {
            nearest = Some((got, mismatch));
        }
    }
    let none = || Mismatch {
        part: "Action",
        found: "no statement allows sts:AssumeRoleWithWebIdentity".into(),
        expected: format!("sts:AssumeRoleWithWebIdentity for {provider_arn}"),
    };
    Some(nearest.map_or_else(none, |(_, mismatch)| mismatch))
}

/// How far a statement gets, and what stops it; `None` if nothing does.
fn judge(statement: &Value, provider_arn: &str, issuer: &str, subject: &str) -> Option<(usize, Mismatch)> {
    let federated = strings(statement.pointer("/Principal/Federated"));
    let issuer_of = |arn: &str| arn.split_once("oidc-provider/").map(|(_, i)| i.to_owned()).unwrap_or_default();
    // Where the account is not known, only the issuer can be compared.
    let account_of = |arn: &str| arn::account(arn).unwrap_or_default().to_owned();
    let known = |arn: &str| account_of(arn).len() == 12 && account_of(arn).bytes().all(|b| b.is_ascii_digit());
    let same_account = |arn: &str| !known(arn) || !known(provider_arn) || account_of(arn) == account_of(provider_arn);
    if !federated.iter().any(|f| issuer_of(f) == issuer && same_account(f)) {
        let mismatch =
            Mismatch { part: "Principal.Federated", found: federated.join(", "), expected: provider_arn.into() };
        return Some((0, mismatch));
    }
    for (at, (claim, wanted)) in [("sub", subject), ("aud", "sts.amazonaws.com")].into_iter().enumerate() {
        if let Some(mismatch) = condition(statement, issuer, claim, wanted) {
            return Some((at + 1, mismatch));
        }
    }
    None
}

/// Conditions on one claim of the token. Keys of another issuer never match, so the statement never applies.
fn condition(statement: &Value, issuer: &str, claim: &'static str, wanted: &str) -> Option<Mismatch> {
    let conditions = statement.get("Condition")?.as_object()?;
    let key = format!("{issuer}:{claim}");
    for (operator, keys) in conditions {
        let keys = keys.as_object()?;
        for (name, value) in keys.iter().filter(|(name, _)| name.ends_with(&format!(":{claim}"))) {
            if !name.eq_ignore_ascii_case(&key) {
                return Some(Mismatch { part: claim, found: format!("condition on {name}"), expected: key });
            }
            let values = strings(Some(value));
            if holds(operator, &values, wanted) == Some(false) {
                let found = format!("{} {}", bare(operator), values.join(", "));
                return Some(Mismatch { part: claim, found, expected: wanted.to_owned() });
            }
        }
    }
    None
}

/// An operator without `ForAnyValue:` and `IfExists`.
fn bare(operator: &str) -> &str {
    operator.rsplit(':').next().unwrap_or(operator).trim_end_matches("IfExists")
}

/// Does a condition hold for a value? `None` for operators that are too rare to be judged here.
fn holds(operator: &str, values: &[&str], wanted: &str) -> Option<bool> {
    let like = || values.iter().any(|v| fits(v, wanted));
    let equals = || values.contains(&wanted);
    match bare(operator) {
        "StringLike" | "ArnLike" | "ArnEquals" => Some(like()),
        "StringEquals" => Some(equals()),
        "StringEqualsIgnoreCase" => Some(values.iter().any(|v| v.eq_ignore_ascii_case(wanted))),
        "StringNotEquals" => Some(!equals()),
        "StringNotLike" | "ArnNotLike" | "ArnNotEquals" => Some(!like()),
        _ => None,
    }
}

/// A statement that refuses the service account, whatever others allow. Only what can be judged as a whole counts.
fn denied(document: &Value, provider_arn: &str, issuer: &str, subject: &str) -> Option<Mismatch> {
    let all = statements(document).into_iter().enumerate();
    let mut denying = all.filter(|(_, s)| s.get("Effect").and_then(Value::as_str) == Some("Deny"));
    let hit = denying.find(|(_, s)| {
        let action = strings(s.get("Action")).iter().any(|a| action_matches(a, "sts:AssumeRoleWithWebIdentity"));
        let principal = s.get("Principal").is_some_and(|p| {
            p.as_str() == Some("*")
                || strings(p.get("AWS")).contains(&"*")
                || strings(p.get("Federated")).iter().any(|f| *f == "*" || *f == provider_arn)
        });
        action
            && principal
            && applies(s, |key| {
                let claim = key.strip_prefix(issuer)?;
                match claim {
                    ":sub" => Some(subject.to_owned()),
                    ":aud" => Some("sts.amazonaws.com".to_owned()),
                    _ => None,
                }
            })
    });
    hit.map(|(at, s)| Mismatch {
        part: "Deny",
        found: format!("statement {}, a Deny of {}", at + 1, refused(s)),
        expected: "none".into(),
    })
}

/// Whom a Deny statement is about, by its Sid and the subjects that it names: it may be meant for others as well.
fn refused(statement: &Value) -> String {
    let conditions = statement.get("Condition").and_then(Value::as_object);
    let keys = conditions.into_iter().flat_map(|c| c.values()).filter_map(Value::as_object).flatten();
    let subjects: Vec<&str> = keys.filter(|(k, _)| k.ends_with(":sub")).flat_map(|(_, v)| strings(Some(v))).collect();
    let whom = if subjects.is_empty() { "all".to_owned() } else { subjects.join(", ") };
    match statement.get("Sid").and_then(Value::as_str) {
        Some(sid) => format!("{whom} ({sid})"),
        None => whom,
    }
}

/// All conditions of a statement are known to hold; `value` says what the request has for a key.
fn applies(statement: &Value, value: impl Fn(&str) -> Option<String>) -> bool {
    let Some(conditions) = statement.get("Condition").and_then(Value::as_object) else { return true };
    conditions.iter().all(|(operator, keys)| {
        keys.as_object().is_some_and(|keys| {
            keys.iter().all(|(key, values)| {
                let Some(wanted) = value(key) else { return false };
                holds(operator, &strings(Some(values)), &wanted) == Some(true)
            })
        })
    })
}

/// True if the document refuses the action everywhere and always.
pub(crate) fn denies(document: &Value, action: &str) -> bool {
    let all = statements(document).into_iter();
    let mut denying = all.filter(|s| s.get("Effect").and_then(Value::as_str) == Some("Deny"));
    denying.any(|s| {
        strings(s.get("Action")).iter().any(|a| action_matches(a, action))
            && strings(s.get("Resource")).contains(&"*")
            && s.get("Condition").is_none()
    })
}

/// Who asks for a role through EKS Pod Identity, as the session's tags say it.
pub(crate) struct Session<'a> {
    /// ARN of the cluster.
    pub(crate) cluster_arn: &'a str,
    /// Name of the cluster.
    pub(crate) cluster: &'a str,
    /// Account of the cluster.
    pub(crate) account: &'a str,
    /// Namespace of the ServiceAccount.
    pub(crate) namespace: &'a str,
    /// Its name.
    pub(crate) service_account: &'a str,
}

impl Session<'_> {
    fn value(&self, key: &str) -> Option<&str> {
        match key.to_ascii_lowercase().as_str() {
            "aws:requesttag/kubernetes-namespace" => Some(self.namespace),
            "aws:requesttag/kubernetes-service-account" => Some(self.service_account),
            "aws:requesttag/eks-cluster-arn" | "aws:sourcearn" => Some(self.cluster_arn),
            "aws:requesttag/eks-cluster-name" => Some(self.cluster),
            "aws:sourceaccount" => Some(self.account),
            _ => None,
        }
    }
}

/// The statement that admits one ServiceAccount by the cluster's OIDC provider, and nobody else.
pub(crate) fn irsa_statement(provider_arn: &str, issuer: &str, namespace: &str, account: &str) -> Value {
    serde_json::json!({
        "Effect": "Allow",
        "Principal": {"Federated": provider_arn},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {
            format!("{issuer}:aud"): "sts.amazonaws.com",
            format!("{issuer}:sub"): format!("system:serviceaccount:{namespace}:{account}"),
        }},
    })
}

/// The same for Pod Identity, whose sessions carry these tags.
pub(crate) fn session_statement(session: &Session<'_>) -> Value {
    serde_json::json!({
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": {
            "aws:RequestTag/eks-cluster-arn": session.cluster_arn,
            "aws:RequestTag/kubernetes-namespace": session.namespace,
            "aws:RequestTag/kubernetes-service-account": session.service_account,
        }},
    })
}

/// A policy document of one statement.
pub(crate) fn document(statement: Value) -> String {
    serde_json::json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// Does the trust policy admit EKS Pod Identity? The statement that comes nearest is the one that is reported.
pub(crate) fn pod_identity(document: &Value, session: &Session<'_>) -> Option<Mismatch> {
    let service = "pods.eks.amazonaws.com";
    let of_service = statements(document)
        .into_iter()
        .filter(|s| is_allow(s) && strings(s.pointer("/Principal/Service")).contains(&service));
    let mut nearest = None;
    for statement in of_service {
        let actions = strings(statement.get("Action"));
        let lacks: Vec<&str> = ["sts:AssumeRole", "sts:TagSession"]
            .into_iter()
            .filter(|wanted| !actions.iter().any(|a| action_matches(a, wanted)))
            .collect();
        let mismatch = if lacks.is_empty() {
            session_condition(statement, session)?
        } else {
            Mismatch {
                part: "Action",
                found: format!("{} for {service}", actions.join(", ")),
                expected: "sts:AssumeRole and sts:TagSession".into(),
            }
        };
        nearest = nearest.or(Some(mismatch));
    }
    Some(nearest.unwrap_or_else(|| Mismatch {
        part: "Principal.Service",
        found: "no statement allows sts:AssumeRole and sts:TagSession to pods.eks.amazonaws.com".into(),
        expected: service.into(),
    }))
}

/// A condition on the session that this cluster or ServiceAccount does not meet.
fn session_condition(statement: &Value, session: &Session<'_>) -> Option<Mismatch> {
    for (operator, keys) in statement.get("Condition")?.as_object()? {
        for (key, value) in keys.as_object()? {
            let values = strings(Some(value));
            let Some(wanted) = session.value(key).filter(|w| !w.is_empty()) else { continue };
            if holds(operator, &values, wanted) == Some(false) {
                let found = format!("{} {key} {}", bare(operator), values.join(", "));
                return Some(Mismatch { part: "Condition", found, expected: wanted.to_owned() });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ISSUER: &str = "oidc.eks.eu-west-1.amazonaws.com/id/ABC";
    const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC";
    const SUBJECT: &str = "system:serviceaccount:kube-system:ebs-csi-controller-sa";

    fn policy(federated: &str, operator: &str, key_issuer: &str, sub: &str, aud: &str) -> Value {
        json!({"Statement": [{"Effect": "Allow", "Principal": {"Federated": federated},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {operator: {format!("{key_issuer}:sub"): sub, format!("{key_issuer}:aud"): aud}}}]})
    }

    fn part(document: &Value) -> Option<&'static str> {
        irsa(document, PROVIDER, ISSUER, SUBJECT).map(|m| m.part)
    }

    #[test]
    fn a_right_trust_policy_is_silent() {
        assert_eq!(part(&policy(PROVIDER, "StringEquals", ISSUER, SUBJECT, "sts.amazonaws.com")), None);
        assert_eq!(
            part(&policy(PROVIDER, "StringLike", ISSUER, "system:serviceaccount:*:ebs-csi-*", "sts.amazonaws.com")),
            None
        );
        assert_eq!(
            part(
                &json!({"Statement": {"Effect": "Allow", "Principal": {"Federated": [PROVIDER]}, "Action": ["sts:*"]}})
            ),
            None
        );
    }

    #[test]
    fn each_mismatch_is_named() {
        let other = "oidc.eks.us-east-1.amazonaws.com/id/ABC";
        let other_arn = format!("arn:aws:iam::111122223333:oidc-provider/{other}");
        assert_eq!(
            part(&policy(&other_arn, "StringEquals", other, SUBJECT, "sts.amazonaws.com")),
            Some("Principal.Federated")
        );
        assert_eq!(part(&policy(PROVIDER, "StringEquals", other, SUBJECT, "sts.amazonaws.com")), Some("sub"));
        let copied = PROVIDER.replace("111122223333", "999988887777");
        assert_eq!(
            part(&policy(&copied, "StringEquals", ISSUER, SUBJECT, "sts.amazonaws.com")),
            Some("Principal.Federated")
        );
        assert_eq!(
            part(&policy(PROVIDER, "StringEquals", ISSUER, "system:serviceaccount:default:x", "sts.amazonaws.com")),
            Some("sub")
        );
        assert_eq!(part(&policy(PROVIDER, "StringEquals", ISSUER, SUBJECT, "wrong")), Some("aud"));
        // A wildcard is literal with StringEquals: a classic.
        assert_eq!(
            part(&policy(PROVIDER, "StringEquals", ISSUER, "system:serviceaccount:kube-system:*", "sts.amazonaws.com")),
            Some("sub")
        );
        assert_eq!(part(&json!({"Statement": []})), Some("Action"));
    }

    #[test]
    fn one_right_statement_among_wrong_ones_is_enough() {
        let mut document = policy("arn:x", "StringEquals", "y", SUBJECT, "z");
        let right = policy(PROVIDER, "StringEquals", ISSUER, SUBJECT, "sts.amazonaws.com")["Statement"][0].clone();
        document["Statement"].as_array_mut().expect("a list").push(right);
        assert_eq!(part(&document), None);
    }

    #[test]
    fn actions_match_as_in_iam() {
        let allow = |action: Value| json!({"Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]});
        assert!(allows(&allow(json!("ec2:Create*")), "ec2:CreateVolume"));
        assert!(allows(&allow(json!(["s3:*", "EC2:createvolume"])), "ec2:CreateVolume"));
        assert!(!allows(&allow(json!("ec2:Describe*")), "ec2:CreateVolume"));
        assert!(fits("a*c?e", "abbcde") && !fits("a*c?e", "abbcd"));
    }

    #[test]
    fn pod_identity_needs_both_actions_and_a_session_that_fits() {
        let session = Session {
            cluster_arn: "arn:aws:eks:eu-west-1:111122223333:cluster/main",
            cluster: "main",
            account: "111122223333",
            namespace: "kube-system",
            service_account: "ebs-csi-controller-sa",
        };
        let with = |actions: Value, condition: Value| {
            json!({"Statement": [{"Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": actions, "Condition": condition}]})
        };
        let both = json!(["sts:AssumeRole", "sts:TagSession"]);
        let part = |document: &Value| pod_identity(document, &session).map(|m| m.part);
        assert_eq!(part(&with(both.clone(), json!({}))), None);
        assert_eq!(part(&with(json!("sts:AssumeRole"), json!({}))), Some("Action"));
        assert_eq!(part(&json!({"Statement": []})), Some("Principal.Service"));
        let own = json!({"StringEquals": {"aws:SourceAccount": "111122223333"},
            "ArnLike": {"aws:SourceArn": "arn:aws:eks:*:111122223333:cluster/*"}});
        assert_eq!(part(&with(both.clone(), own)), None);
        let other = json!({"StringEquals": {"aws:RequestTag/kubernetes-namespace": "default"}});
        assert_eq!(part(&with(both, other)), Some("Condition"));
    }

    #[test]
    fn a_deny_wins_where_it_is_known_to_apply() {
        let allow = policy(PROVIDER, "StringEquals", ISSUER, SUBJECT, "sts.amazonaws.com")["Statement"][0].clone();
        let with = |condition: Value| {
            json!({"Statement": [allow.clone(), {"Effect": "Deny", "Principal": "*",
            "Action": "sts:*", "Condition": condition}]})
        };
        assert_eq!(part(&with(json!({}))), Some("Deny"));
        let all = with(json!({"StringLike": {format!("{ISSUER}:sub"): "system:serviceaccount:kube-system:*"}}));
        let words = irsa(&all, PROVIDER, ISSUER, SUBJECT).expect("a mismatch").words();
        assert_eq!(words, "statement 2, a Deny of system:serviceaccount:kube-system:*, covers it");
        assert_eq!(part(&with(json!({"StringNotEquals": {format!("{ISSUER}:sub"): SUBJECT}}))), None);
        assert_eq!(
            part(&with(json!({"StringLike": {format!("{ISSUER}:sub"): "system:serviceaccount:*"}}))),
            Some("Deny")
        );
        assert_eq!(part(&with(json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))), None);
        let deny = json!({"Statement": {"Effect": "Deny", "Action": "ec2:Create*", "Resource": "*"}});
        assert!(denies(&deny, "ec2:CreateVolume") && !denies(&deny, "ec2:AttachVolume"));
    }
}
