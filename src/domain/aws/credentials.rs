//! How a pod gets AWS credentials, and what its log says where it gets none.

use crate::domain::aws::denied::{By, Denied};
use crate::domain::aws::placement::Placement;
use crate::domain::kubernetes::index::owner_of;
use crate::domain::text::between::between;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Instance;
use crate::snapshot::kubernetes::{Pod, ServiceAccount};
use crate::text::pattern::pattern;

/// What a log says of credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// No source of credentials answered.
    None,
    /// STS does not let the ServiceAccount have its role.
    NotTrusted,
    /// STS does not know the issuer of the token: host and path, where the line has them.
    NoProvider(Option<String>),
    /// The provider in IAM does not take tokens for this audience.
    Audience,
    /// EKS may not assume the role of the Pod Identity association.
    NotAssumed,
    /// The agent of Pod Identity does not answer, or gives none.
    Agent,
    /// The program's SDK does not know the agent of Pod Identity.
    Sdk,
    /// The certificate of the issuer is not one that the provider in IAM names.
    Thumbprint,
    /// The program may not read the token that its role is had with: the file.
    Unreadable(String),
    /// STS is asked at the address of another service: its host, where the line has it.
    Endpoint(Option<String>),
    /// STS is not reached: its host.
    Sts(String),
    /// The role may not do something.
    Denied(Denied),
}

impl Cause {
    /// Reads a line; `None` where it is not about credentials.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let has = |parts: &[&str]| parts.iter().any(|p| line.contains(p));
        if has(&["does not have permissions to assume the associated role"]) {
            return Some(Self::NotAssumed);
        }
        if has(&["only loopback hosts are allowed", "Host should resolve to a loopback address"]) {
            return Some(Self::Sdk);
        }
        if has(&["doesn't match configured thumbprint"]) {
            return Some(Self::Thumbprint);
        }
        if let Some(file) = unreadable(line) {
            return Some(Self::Unreadable(file));
        }
        if has(&["Incorrect token audience"]) {
            return Some(Self::Audience);
        }
        if has(&["No OpenIDConnect provider found", "InvalidIdentityToken"]) {
            return Some(Self::NoProvider(issuer(line)));
        }
        if has(&["AssumeRoleWithWebIdentity"]) && has(&["AccessDenied", "Not authorized", "not authorized"]) {
            return Some(Self::NotTrusted);
        }
        if has(&["WebIdentity"])
            && let Some(fault) = asked_at(line)
        {
            return Some(fault);
        }
        if has(&["169.254.170.23", "[fd00:ec2::23]"])
            && has(&["refused", "timeout", "exceeded", "AccessDenied", "404", "400"])
        {
            return Some(Self::Agent);
        }
        if let Some(denied) = Denied::read(line).filter(|d| d.action.is_some()) {
            return Some(Self::Denied(denied));
        }
        has(&[
            "NoCredentialProviders",
            "no valid providers in chain",
            "no EC2 IMDS role found",
            "no EC2 instance role found",
            "Unable to locate credentials",
            "ec2metadata is not available",
            "failed to refresh cached credentials",
            "EC2RoleRequestError",
            // Fluent Bit's own client.
            "Provider returned no credentials",
            "failed to introspect vpcID from EC2Metadata",
            "failed to fetch VPC ID from instance metadata",
        ])
        .then_some(Self::None)
    }
}

/// A line is about what a program wants to know of its instance, not about credentials: with a role of its own it has those
/// from elsewhere.
pub(crate) fn is_about_instance(line: &str) -> bool {
    let asks = ["failed to introspect vpcID from EC2Metadata", "failed to fetch VPC ID from instance metadata"];
    let no_credentials =
        ["NoCredentialProviders", "no valid providers in chain", "no EC2 IMDS role found", "WebIdentity"];
    asks.iter().any(|a| line.contains(a)) && !no_credentials.iter().any(|n| line.contains(n))
}

/// The token of a role, where it may not be read.
fn unreadable(line: &str) -> Option<String> {
    let file =
        pattern!(r"(/var/run/secrets/(?:pods\.)?eks\.amazonaws\.com/serviceaccount/[\w-]+): (?i:permission denied)");
    Some(file.captures(line)?[1].to_owned())
}

/// Where a token was sent in exchange for credentials, and did not get there, or to somebody who is not STS. An SDK that is
/// given an address for one service (`endpoint` of S3) may ask for its credentials there too. What the program wanted them
/// for stands before it, with an address of its own.
fn asked_at(line: &str) -> Option<Cause> {
    let post = pattern!(r#"Post \\*"?https?://([^/\s"\\]+)"#);
    let (_, exchange) = line.rsplit_once("WebIdentity")?;
    let has = |parts: &[&str]| parts.iter().any(|p| exchange.contains(p));
    // S3 and MinIO know no such request, and answer in another form.
    let strange = has(&["SerializationError", "failed to unmarshal error message"]) && has(&["status code: 40"]);
    let host = post.captures_iter(exchange).last().map(|c| c[1].to_owned());
    let of_sts = |host: &str| host.split('.').any(|part| part == "sts" || part == "sts-fips");
    match host {
        Some(host) if !of_sts(&host) => Some(Cause::Endpoint(Some(host))),
        Some(host) => {
            let lost = [
                "dial tcp",
                "i/o timeout",
                "no such host",
                "deadline exceeded",
                "refused",
                "no route to host",
                "x509:",
            ];
            has(&lost).then_some(Cause::Sts(host))
        }
        None => strange.then_some(Cause::Endpoint(None)),
    }
}

impl Cause {
    /// Reads an event of the VPC CNI: `Unauthorized operation: failed to call ec2:CreateNetworkInterface due to missing
    /// permissions.`
    pub(crate) fn of_event(reason: &str, message: &str) -> Option<Self> {
        if reason != "MissingIAMPermissions" {
            return None;
        }
        let action = between(message, "failed to call ", " ").filter(|a| a.contains(':')).map(str::to_owned);
        Some(Self::Denied(Denied { caller: None, action, resource: None, by: By::Unknown, encoded: None }))
    }
}

/// The issuer that a refusal of STS names: host and path.
fn issuer(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(" for https://")?;
    let url = rest.split([' ', '"', '\'', '\\', ',']).next()?.trim_end_matches(['.', ':', ';', ')']);
    url.contains("/id/").then(|| url.to_owned())
}

/// Where a pod's credentials are meant to come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The ServiceAccount names a role (IRSA).
    Irsa { role: String, injected: bool },
    /// Pod Identity gives a role.
    PodIdentity { role: Option<String>, injected: bool },
    /// The node's own role.
    Node,
}

impl Source {
    /// The pod was given what it takes to have its own role.
    pub(crate) fn is_injected(&self) -> bool {
        matches!(self, Self::Irsa { injected: true, .. } | Self::PodIdentity { injected: true, .. })
    }

    /// The role that is meant, where it is known.
    pub(crate) fn role(&self) -> Option<&str> {
        match self {
            Self::Irsa { role, .. } => Some(role),
            Self::PodIdentity { role, .. } => role.as_deref(),
            Self::Node => None,
        }
    }
}

/// Where a pod's credentials are meant to come from.
pub(crate) fn source(snap: &Snapshot, pod: &Pod) -> Source {
    let namespace = &pod.metadata.namespace;
    let name = pod.spec.account();
    let has = |variable: &str| pod.spec.containers.iter().flat_map(|c| &c.env).any(|e| e.name == variable);
    let associations = snap.pod_identity_associations.as_deref().unwrap_or_default();
    if let Some(own) = associations.iter().find(|a| a.is_of(namespace, name)) {
        let injected = has("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        return Source::PodIdentity { role: own.role_arn.clone(), injected };
    }
    let account = snap.service_accounts.find(namespace, name).ok().flatten();
    match account.and_then(ServiceAccount::role_arn) {
        Some(role) => Source::Irsa { role: role.to_owned(), injected: has("AWS_ROLE_ARN") },
        None => Source::Node,
    }
}

/// A ServiceAccount beside a pod that has a role, that is made for its program, and that neither a pod nor a workload uses; and
/// the role, where it was read.
pub(crate) fn left_aside<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<(&'a ServiceAccount, Option<&'a str>)> {
    let meta = &pod.metadata;
    let (namespace, own) = (&meta.namespace, pod.spec.account());
    if !snap.pods.covers(namespace) {
        return None;
    }
    let used = |name: &str| {
        let mut all = snap.pods.items().unwrap_or_default().iter();
        let mut others = snap.workloads.items().unwrap_or_default().iter();
        all.any(|p| p.metadata.namespace == *namespace && p.spec.account() == name)
            || others.any(|w| w.metadata.namespace == *namespace && w.spec.template.spec.account() == name)
    };
    let same = |other: &ServiceAccount, label: &str| {
        meta.label(label).is_some() && meta.label(label) == other.metadata.label(label)
    };
    let is_made_for_it = |other: &ServiceAccount| {
        let name = other.metadata.name.as_str();
        owner_of(meta).is_some_and(|(_, owner)| owner == name)
            || meta.label("app.kubernetes.io/name") == Some(name)
            || same(other, "app.kubernetes.io/name") && same(other, "app.kubernetes.io/instance")
    };
    let associations = snap.pod_identity_associations.as_deref().unwrap_or_default();
    let here = snap.service_accounts.items().unwrap_or_default().iter().filter(|a| a.metadata.namespace == *namespace);
    let mut found =
        here.filter(|a| a.metadata.name != own && is_made_for_it(a) && !used(&a.metadata.name)).filter_map(|a| {
            let associated = associations.iter().find(|of| of.is_of(namespace, &a.metadata.name));
            let role = a.role_arn().or_else(|| associated?.role_arn.as_deref());
            (associated.is_some() || role.is_some()).then_some((a, role))
        });
    found.next().filter(|_| found.next().is_none())
}

/// Whether the metadata of a pod's instance reaches the pod.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Metadata<'a> {
    /// One hop, or turned off.
    OutOfReach(&'a Instance),
    /// It answers pods as well.
    InReach(&'a Instance),
    /// The instance, or its options, could not be read.
    Unseen,
}

/// Whether the metadata of a pod's instance reaches the pod.
pub(crate) fn metadata<'a>(snap: &'a Snapshot, pod: &Pod) -> Metadata<'a> {
    let instance = snap.node_of(pod).and_then(|node| Placement::new(snap).instance(node));
    let Some((instance, options)) = instance.and_then(|i| Some((i, i.metadata_options.as_ref()?))) else {
        return Metadata::Unseen;
    };
    if options.http_endpoint.as_deref() == Some("disabled") {
        return Metadata::OutOfReach(instance);
    }
    match options.http_put_response_hop_limit {
        _ if pod.spec.host_network => Metadata::InReach(instance),
        Some(1) if options.http_tokens.as_deref() == Some("required") => Metadata::OutOfReach(instance),
        Some(_) => Metadata::InReach(instance),
        None => Metadata::Unseen,
    }
}

/// The instance of a pod's node, if its metadata does not reach pods: one hop, or turned off.
pub(crate) fn out_of_reach<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<&'a Instance> {
    match metadata(snap, pod) {
        Metadata::OutOfReach(instance) if !pod.spec.host_network => Some(instance),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_logs_say() {
        for (line, wanted) in [
            ("NoCredentialProviders: no valid providers in chain. Deprecated.", Some(Cause::None)),
            (
                "operation error STS: AssumeRoleWithWebIdentity, https response error StatusCode: 403, api error AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity",
                Some(Cause::NotTrusted),
            ),
            (
                "InvalidIdentityToken: No OpenIDConnect provider found in your account for https://oidc.eks",
                Some(Cause::NoProvider(None)),
            ),
            (
                "InvalidIdentityToken: No OpenIDConnect provider found in your account for https://oidc.eks.eu-west-1.amazonaws.com/id/0A",
                Some(Cause::NoProvider(Some("oidc.eks.eu-west-1.amazonaws.com/id/0A".into()))),
            ),
            ("InvalidIdentityToken: Incorrect token audience", Some(Cause::Audience)),
            (
                "failed to fetch credentials from http://169.254.170.23/v1/credentials: connect: connection refused",
                Some(Cause::Agent),
            ),
            (
                "Ignoring, HTTP credential provider invalid endpoint host, \"169.254.170.23\", only loopback hosts are allowed. <nil>",
                Some(Cause::Sdk),
            ),
            (
                "InvalidIdentityToken: OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint",
                Some(Cause::Thumbprint),
            ),
            (
                "WebIdentityErr: unable to read file\\ncaused by: open /var/run/secrets/eks.amazonaws.com/serviceaccount/token: permission denied",
                Some(Cause::Unreadable("/var/run/secrets/eks.amazonaws.com/serviceaccount/token".into())),
            ),
            ("open /var/run/secrets/kubernetes.io/serviceaccount/token: permission denied", None),
            (
                "WebIdentityErr: failed to retrieve credentials\\ncaused by: SerializationError: failed to unmarshal error message\\n\\tstatus code: 405, request id: ",
                Some(Cause::Endpoint(None)),
            ),
            (
                "WebIdentityErr: failed to retrieve credentials\\ncaused by: RequestError: send request failed\\ncaused by: Post \\\"https://logs-chunks/\\\": dial tcp: lookup logs-chunks on 172.20.0.10:53: no such host",
                Some(Cause::Endpoint(Some("logs-chunks".into()))),
            ),
            (
                "operation error STS: AssumeRoleWithWebIdentity, exceeded maximum number of attempts, 3, request send failed, Post \"https://sts.eu-west-1.amazonaws.com/\": dial tcp 1.2.3.4:443: i/o timeout",
                Some(Cause::Sts("sts.eu-west-1.amazonaws.com".into())),
            ),
            (
                "WebIdentityErr: failed to retrieve credentials\\ncaused by: RequestError: send request failed\\ncaused by: Post \\\"https://vpce-0a-1.sts.eu-west-1.vpce.amazonaws.com/\\\": x509: certificate signed by unknown authority",
                Some(Cause::Sts("vpce-0a-1.sts.eu-west-1.vpce.amazonaws.com".into())),
            ),
            (
                "Post \"https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/query\": operation error STS: AssumeRoleWithWebIdentity, exceeded maximum number of attempts, 3, request send failed, Post \"https://sts.eu-west-1.amazonaws.com/\": dial tcp 1.2.3.4:443: i/o timeout",
                Some(Cause::Sts("sts.eu-west-1.amazonaws.com".into())),
            ),
            (
                "Post \"https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/query\": operation error STS: AssumeRoleWithWebIdentity, context canceled",
                None,
            ),
            ("level=info msg=\"all is well\"", None),
        ] {
            assert_eq!(Cause::read(line), wanted, "{line}");
        }
        let cni = "Unauthorized operation: failed to call ec2:CreateNetworkInterface due to missing permissions. Please refer https://github.com/aws/amazon-vpc-cni-k8s/blob/master/docs/iam-policy.md to attach relevant policy to IAM role";
        let Some(Cause::Denied(found)) = Cause::of_event("MissingIAMPermissions", cni) else { panic!("is denied") };
        assert_eq!((found.role(), found.action.as_deref()), (None, Some("ec2:CreateNetworkInterface")));
        assert_eq!(Cause::of_event("Unhealthy", cni), None);
        let denied = "AccessDeniedException: User: arn:aws:sts::1:assumed-role/node/i-1 is not authorized to perform: logs:PutLogEvents on resource: arn:aws:logs:eu-west-1:1:log-group:x";
        let Some(Cause::Denied(found)) = Cause::read(denied) else { panic!("is denied") };
        assert_eq!((found.role(), found.action.as_deref()), (Some("node"), Some("logs:PutLogEvents")));
    }
}
