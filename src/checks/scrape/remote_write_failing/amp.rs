//! Amazon Managed Service for Prometheus: who signs, with which role, for which region, at which URL.

use serde_json::json;

use super::fix::{Change, Place, Way, replace_url};
use super::{Case, corrected};
use crate::domain::aws::denied::{By, Denied, is_instance};
use crate::domain::aws::endpoints::service_name;
use crate::domain::kubernetes::json_patch;
use crate::domain::prometheus::remote_write::answer::{self, Receiver};
use crate::domain::prometheus::remote_write::config::Origin;
use crate::domain::text::send_error::SendFailure;
use crate::model::{Evidence, ResourceRef};
use crate::snapshot::aws::arn;
use crate::snapshot::kubernetes::{ROLE_ANNOTATION, ServiceAccount};

/// The policy that AWS keeps for it.
const POLICY: &str = "AmazonPrometheusRemoteWriteAccess";

/// What is wrong with the identity.
enum Cause {
    /// The role may not write to the workspace.
    Write { role: String },
    /// The same, and none of the role's own policies refused it.
    Elsewhere { role: String, by: By },
    /// The role is told to assume itself.
    Itself { role: String },
    /// The pod has the role of its node, which may not assume the one that is named.
    NodeRole { node_role: String, wanted: String },
    /// One role may not assume another.
    Assume { role: String, wanted: String },
    /// The remote write does not sign at all.
    NotSigned,
    /// It signs for another region than the workspace's.
    Region { configured: String, right: String },
    /// The path is not one of the API's.
    Url { right: String },
    /// Nothing gives the pod credentials.
    NoCredentials,
}

fn fault(case: &Case<'_>) -> Option<Cause> {
    if case.receiver != Receiver::Amp && case.failing.failure != SendFailure::Signing {
        return None;
    }
    match &case.reason {
        answer::Cause::Denied { user, action, resource } => {
            let by = Denied::read(&case.failing.error).map_or(By::Unknown, |d| d.by);
            denied(user, action, resource, by)
        }
        answer::Cause::NoAwsCredentials => Some(Cause::NoCredentials),
        answer::Cause::Unsigned if case.configured.signs == Some(false) => Some(Cause::NotSigned),
        answer::Cause::Unsigned | answer::Cause::Path => corrected(case).map(|right| Cause::Url { right }),
        answer::Cause::Signature => {
            let right = answer::region_of(&case.failing.url)?;
            let configured = case.configured.region.clone().filter(|r| *r != right)?;
            Some(Cause::Region { configured, right })
        }
        _ => None,
    }
}

fn denied(user: &str, action: &str, resource: &str, by: By) -> Option<Cause> {
    let (role, session) = answer::role_of(user)?;
    let role = role.to_owned();
    if action != "sts:AssumeRole" {
        let of_role = matches!(by, By::NoIdentityPolicy | By::Unknown);
        let cause = if of_role { Cause::Write { role } } else { Cause::Elsewhere { role, by } };
        return (action == "aps:RemoteWrite").then_some(cause);
    }
    let wanted = answer::role_of(resource).map_or_else(String::new, |(name, _)| name.to_owned());
    if wanted == role {
        return Some(Cause::Itself { role });
    }
    if session.is_some_and(is_instance) {
        return Some(Cause::NodeRole { node_role: role, wanted });
    }
    Some(Cause::Assume { role, wanted })
}

/// The ServiceAccount of the pod that writes.
fn account<'a>(case: &Case<'a>) -> Option<&'a ServiceAccount> {
    let pod = case.pod?;
    let name = pod.spec.account();
    case.snap.service_accounts.find(&pod.metadata.namespace, name).ok().flatten()
}

/// Why it fails; `None` where it is nothing of AWS.
pub(super) fn why(case: &Case<'_>) -> Option<String> {
    let also = corrected(case).map_or("", |_| "; besides, its URL has a slash too many");
    Some(match fault(case)? {
        Cause::Write { role } => {
            format!("role {role} may not write to the workspace (aps:RemoteWrite is denied){also}")
        }
        Cause::Elsewhere { role, by } => format!(
            "role {role} may not write to the workspace: {} (aps:RemoteWrite){also}",
            match by {
                By::EndpointPolicy => "the policy of the VPC endpoint that the request goes through does not allow it",
                By::ControlPolicy => "a service control policy of the organization denies it",
                By::Boundary => "the permissions boundary of the role does not allow it",
                By::ResourcePolicy => "the policy of the workspace does not allow it",
                _ => "a policy denies it, whatever others allow",
            }
        ),
        Cause::Itself { role } => {
            format!(
                "sigv4 names role {role}, which Prometheus has already: a role may not assume itself (sts:AssumeRole is denied){also}"
            )
        }
        Cause::NodeRole { node_role, wanted } => format!(
            "Prometheus runs with the role of its node ({node_role}), which may not assume {wanted}: its ServiceAccount gets no role{also}"
        ),
        Cause::Assume { role, wanted } => {
            format!("role {role} may not assume {wanted} (sts:AssumeRole is denied){also}")
        }
        Cause::NotSigned => {
            "the request is not signed: the remote write has no sigv4 (403 Missing Authentication Token)".into()
        }
        Cause::Region { configured, right } => {
            format!("the request is signed for region {configured}, and the workspace is in {right}")
        }
        Cause::Url { right } => {
            format!("the path of its URL is not one of the API's: it should be {right} ({})", case.reason_code())
        }
        Cause::NoCredentials => "the request cannot be signed: the pod gets no AWS credentials".into(),
    })
}

impl Case<'_> {
    fn reason_code(&self) -> String {
        self.failing.failure.status().map_or_else(|| "no answer".to_owned(), |s| s.to_string())
    }
}

/// The fix; `None` where it is nothing of AWS.
pub(super) fn way(case: &Case<'_>) -> Option<Way> {
    Some(match fault(case)? {
        Cause::Write { role } => Way::Forbidden {
            role,
            policy_arn: policy_arn(case),
            workspace: Some(asked(case).1).filter(|r| r.contains(":workspace/")).map(str::to_owned),
        },
        Cause::Elsewhere { role, by } => elsewhere(case, role, by),
        Cause::Itself { role } => itself(case, role),
        Cause::NodeRole { .. } | Cause::NoCredentials => no_role(case),
        Cause::Assume { role, wanted } => assume(case, role, wanted),
        Cause::NotSigned => {
            Way::Unsigned { url: case.shown_url(), region: region(case), change: Change::of(case, false) }
        }
        Cause::Region { .. } => Way::Region { region: region(case), change: Change::of(case, false) },
        Cause::Url { right } => {
            let place = Place::of(case);
            Way::Url { replace_url: replace_url(case, &right), right_url: right, place }
        }
    })
}

/// How it is configured to sign, and which role the ServiceAccount gives.
pub(super) fn evidence(case: &Case<'_>) -> Vec<Evidence> {
    if fault(case).is_none() {
        return Vec::new();
    }
    let mut seen = Vec::new();
    let signs = match (&case.configured.signs, &case.configured.role_arn, &case.configured.region) {
        (None, ..) => None,
        (Some(false), ..) => Some("no sigv4".to_owned()),
        (Some(true), role, region) => {
            let role = role.as_deref().map_or("no role".to_owned(), |r| format!("role {r}"));
            Some(format!("sigv4 with {role}, region {}", region.as_deref().unwrap_or("not set")))
        }
    };
    if let (Some(signs), Origin::Object { resource, index }) = (&signs, &case.configured.origin) {
        let meta = &resource.metadata;
        let source = format!("{} {}/{}, spec.remoteWrite[{index}]", resource.kind, meta.namespace, meta.name);
        let show = "kubectl get {{ kind }} {{ name }} -n {{ namespace }} -o jsonpath={{ path }}";
        let shown = Evidence::new(source, signs.clone(), show).with("kind", resource.kind.to_ascii_lowercase());
        seen.push(
            shown
                .with("namespace", &meta.namespace)
                .with("name", &meta.name)
                .with("path", format!("{{.spec.remoteWrite[{index}]}}")),
        );
    } else if let (Some(signs), Origin::File { map, key, line }) = (&signs, &case.configured.origin) {
        let source = format!("ConfigMap {}/{}, {key} line {line}", map.metadata.namespace, map.metadata.name);
        let show = "kubectl get configmap {{ name }} -n {{ namespace }} -o yaml";
        let shown = Evidence::new(source, signs.clone(), show);
        seen.push(shown.with("namespace", &map.metadata.namespace).with("name", &map.metadata.name));
    }
    if let Some(account) = account(case) {
        let (namespace, name) = (&account.metadata.namespace, &account.metadata.name);
        let value = account.role_arn().map_or("no eks.amazonaws.com/role-arn".to_owned(), str::to_owned);
        seen.push(
            Evidence::new(
                format!("ServiceAccount {namespace}/{name}"),
                value,
                "kubectl get serviceaccount {{ name }} -n {{ namespace }} -o yaml",
            )
            .with("namespace", namespace)
            .with("name", name),
        );
    }
    seen
}

/// The role, or the ServiceAccount that should give one.
pub(super) fn depends_on(case: &Case<'_>) -> Vec<ResourceRef> {
    match fault(case) {
        Some(Cause::NodeRole { .. } | Cause::NoCredentials) => case.pod.map_or_else(Vec::new, |p| {
            let name = p.spec.account();
            vec![ResourceRef::service_account(&p.metadata.namespace, name)]
        }),
        Some(Cause::Write { role } | Cause::Assume { role, .. } | Cause::Elsewhere { role, .. }) => {
            vec![ResourceRef::aws("iam", "role", role)]
        }
        _ => Vec::new(),
    }
}

/// Who was refused, and what he asked for.
fn asked<'a>(case: &'a Case<'_>) -> (&'a str, &'a str) {
    match &case.reason {
        answer::Cause::Denied { user, resource, .. } => (user, resource),
        _ => ("", ""),
    }
}

fn partition<'a>(case: &'a Case<'_>) -> &'a str {
    arn::partition(asked(case).0).filter(|p| p.starts_with("aws")).unwrap_or("aws")
}

fn role_arn(case: &Case<'_>, role: &str) -> String {
    let account = arn::account(asked(case).0).unwrap_or("<account-id>");
    format!("arn:{}:iam::{account}:role/{role}", partition(case))
}

fn policy_arn(case: &Case<'_>) -> String {
    format!("arn:{}:iam::aws:policy/{POLICY}", partition(case))
}

fn region(case: &Case<'_>) -> String {
    answer::region_of(&case.failing.url).unwrap_or_else(|| "<region>".into())
}

/// The policy that refuses is none of the role's own: another one of them would change nothing.
fn elsewhere(case: &Case<'_>, role: String, by: By) -> Way {
    let region = region(case);
    let workspace = Some(asked(case).1).filter(|r| r.contains(":workspace/")).unwrap_or("*");
    let service = service_name(&region, "aps-workspaces");
    let all = case.snap.vpc_endpoints().map(Vec::as_slice).unwrap_or_default();
    let endpoint = all.iter().find(|e| e.service_name == service);
    let adding = |text: &str| {
        let mut policy: serde_json::Value = serde_json::from_str(text).ok()?;
        let statements = policy.get_mut("Statement")?.as_array_mut()?;
        statements
            .push(json!({"Effect": "Allow", "Principal": "*", "Action": "aps:RemoteWrite", "Resource": workspace}));
        Some(policy.to_string())
    };
    Way::Elsewhere {
        role,
        of_endpoint: by == By::EndpointPolicy,
        of_boundary: by == By::Boundary,
        of_workspace: by == By::ResourcePolicy,
        endpoint: endpoint.map_or_else(|| "<vpc-endpoint-id>".to_owned(), |e| e.vpc_endpoint_id.clone()),
        policy: endpoint.and_then(|e| adding(e.policy_document.as_deref()?)).unwrap_or_default(),
        workspace_id: workspace.rsplit('/').next().unwrap_or("<workspace-id>").to_owned(),
        service,
        region,
    }
}

fn itself(case: &Case<'_>, role: String) -> Way {
    let at = Place::of(case).index().zip(case.configured.role_arn.as_deref());
    let patch =
        at.map(|(at, arn)| json_patch::text(json_patch::take(&format!("/spec/remoteWrite/{at}/sigv4/roleArn"), arn)));
    Way::Itself { role, region: region(case), change: Change::of(case, patch.is_some()), remove_role: patch }
}

/// Nothing gives the pod a role of its own.
pub(super) fn no_role(case: &Case<'_>) -> Way {
    let wanted = match (&case.configured.role_arn, asked(case).1) {
        (Some(arn), _) => arn.clone(),
        (None, arn) if arn.contains(":role/") => arn.to_owned(),
        _ => role_arn(case, "<role-name>"),
    };
    let of_pod = case.pod.map_or("default", |p| p.spec.account()).to_owned();
    Way::NoRole {
        service_account: account(case).map_or(of_pod, |a| a.metadata.name.clone()),
        annotation: format!("{ROLE_ANNOTATION}={wanted}"),
        policy_arn: policy_arn(case),
        has_role_arn: case.configured.role_arn.is_some(),
        has_annotation: account(case).is_some_and(|a| a.role_arn().is_some()),
    }
}

fn assume(case: &Case<'_>, role: String, wanted: String) -> Way {
    let wanted_arn = asked(case).1;
    let may = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": wanted_arn});
    let trusts = json!({"Effect": "Allow", "Principal": {"AWS": role_arn(case, &role)}, "Action": "sts:AssumeRole"});
    Way::Assume {
        policy: json!({"Version": "2012-10-17", "Statement": [may]}).to_string(),
        admit: format!(".Statement |= ([.] | flatten) + [{trusts}]"),
        policy_arn: policy_arn(case),
        role,
        wanted,
        change: Change::of(case, false),
    }
}
