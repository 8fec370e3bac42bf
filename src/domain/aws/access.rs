//! Why the API server of an EKS cluster lets nobody in: who asks, whom the cluster knows, how its endpoint is reached.

use crate::model::GapCause;
use crate::snapshot::aws::Cluster;
use crate::snapshot::kubernetes::ConfigMap;
use crate::snapshot::{ApiRefusal, Fetched, Platform, Snapshot};

/// Why the API server cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The credentials for AWS are expired or not valid: what STS said.
    Expired(String),
    /// The credentials are of another account than the cluster.
    OtherAccount { own: String, of_cluster: String },
    /// The kubeconfig names another server than the cluster has: of a cluster that was recreated.
    OtherServer { server: String, endpoint: String },
    /// The identity is not among the access entries.
    NotMapped,
    /// The identity is among the access entries.
    Mapped,
    /// Whom the cluster knows could not be read, or stands in aws-auth alone.
    Unknown,
    /// Not an EKS cluster: the credentials are refused, and that is all there is to know.
    Refused,
    /// The endpoint is open inside the VPC only.
    PrivateEndpoint,
    /// The endpoint admits these networks only.
    Networks(Vec<String>),
}

/// Why the API server of this snapshot cannot be asked, where that can be told.
pub(crate) fn refusal(snap: &Snapshot) -> Option<Refusal> {
    let refused = snap.api_refusal.as_ref()?;
    let cluster = snap.eks_cluster.as_ref().ok();
    if refused.gap.cause != GapCause::Unauthorized {
        return other_server(refused, cluster).or_else(|| unreachable(cluster?));
    }
    if snap.platform != Platform::Eks {
        return Some(Refusal::Refused);
    }
    let caller = match snap.caller_identity() {
        Err(gap) if gap.cause == GapCause::Unauthorized => return Some(Refusal::Expired(gap.message)),
        Err(_) => return Some(Refusal::Unknown),
        Ok(caller) => caller,
    };
    let of_cluster = cluster.and_then(Cluster::account).or(snap.target.account.as_deref());
    if let Some(of_cluster) = of_cluster.filter(|a| *a != caller.account) {
        return Some(Refusal::OtherAccount { own: caller.account.clone(), of_cluster: of_cluster.to_owned() });
    }
    if let Some(other) = other_server(refused, cluster) {
        return Some(other);
    }
    let by_entries = cluster.is_none_or(|c| c.access_config.authentication_mode != "CONFIG_MAP");
    Some(match (snap.access_entries(), Principal::of(&caller.arn)) {
        (Ok(entries), Some(own)) if by_entries => match entries.iter().any(|e| own.is(e)) {
            true => Refusal::Mapped,
            false => Refusal::NotMapped,
        },
        _ => Refusal::Unknown,
    })
}

/// The kubeconfig names another server than the cluster has. What does not answer may be a load balancer or an endpoint of
/// the VPC that leads to it on purpose.
fn other_server(refused: &ApiRefusal, cluster: Option<&Cluster>) -> Option<Refusal> {
    let endpoint = host(&cluster?.endpoint);
    let answers = refused.gap.cause == GapCause::Unauthorized;
    let is_eks = |s: &str| s.ends_with(".eks.amazonaws.com") || s.ends_with(".eks.amazonaws.com.cn");
    let is_aws = |s: &&str| is_eks(s) || (answers && s.ends_with("amazonaws.com"));
    let server = refused.server.as_deref().map(host).filter(is_aws).filter(|_| !endpoint.is_empty())?;
    let other = Refusal::OtherServer { server: server.to_owned(), endpoint: endpoint.to_owned() };
    (!server.eq_ignore_ascii_case(endpoint)).then_some(other)
}

/// What the endpoint's own configuration says of callers from outside.
fn unreachable(cluster: &Cluster) -> Option<Refusal> {
    let config = &cluster.resources_vpc_config;
    if config.endpoint_public_access == Some(false) {
        return Some(Refusal::PrivateEndpoint);
    }
    let cidrs = &config.public_access_cidrs;
    let open = |c: &String| c.ends_with("/0");
    (!cidrs.is_empty() && !cidrs.iter().any(open)).then(|| Refusal::Networks(cidrs.clone()))
}

fn host(endpoint: &str) -> &str {
    endpoint.trim_start_matches("https://").trim_end_matches('/')
}

/// An IAM identity as access entries name it: a role without its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// `role` or `user`; `root` for the account itself.
    pub(crate) kind: &'static str,
    /// Name without path.
    pub(crate) name: String,
    account: String,
}

impl Principal {
    /// Reads an ARN of STS or IAM.
    pub(crate) fn of(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let (service, account, rest) = (parts.nth(2)?, parts.nth(1)?, parts.next()?);
        let (kind, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (kind, name) = match (service, kind) {
            ("sts", "assumed-role") => ("role", path.split('/').next()?),
            ("iam", "role") => ("role", path.rsplit('/').next()?),
            ("iam", "user") => ("user", path.rsplit('/').next()?),
            ("iam", "root") => ("root", ""),
            _ => return None,
        };
        Some(Self { kind, name: name.to_owned(), account: account.to_owned() })
    }

    /// The entry is for this identity. STS does not tell the path of a role.
    pub(crate) fn is(&self, entry: &str) -> bool {
        Self::of(entry).is_some_and(|e| e == *self)
    }
}

/// Whether a cluster lets the identity of a role in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admits {
    /// One of its lists has it.
    Yes,
    /// All of its lists were read, and none has it.
    No,
    /// A list could not be read.
    Unknown,
}

/// The cluster reads access entries.
pub(crate) fn has_entries(cluster: &Cluster) -> bool {
    cluster.access_config.authentication_mode.starts_with("API")
}

/// The cluster reads the map aws-auth; what is older than access entries says nothing of its mode.
pub(crate) fn has_map(cluster: &Cluster) -> bool {
    cluster.access_config.authentication_mode != "API"
}

/// The map of the identities that the cluster lets in.
pub(crate) fn map(snap: &Snapshot) -> Fetched<Option<&ConfigMap>> {
    snap.config_maps.find("kube-system", "aws-auth")
}

/// What it says of roles.
pub(crate) fn roles_of(map: &ConfigMap) -> &str {
    map.data.get("mapRoles").map_or("", |roles| roles.trim())
}

/// Whether the cluster lets a role in, by its access entries and by its map aws-auth (which knows roles without their path).
pub(crate) fn admits(snap: &Snapshot, role: &str) -> Admits {
    let (Ok(cluster), Some(own)) = (snap.eks_cluster(), Principal::of(role)) else { return Admits::Unknown };
    let mut unread = false;
    if has_entries(cluster) {
        match snap.access_entries() {
            Ok(entries) if entries.iter().any(|e| own.is(e)) => return Admits::Yes,
            // At least who made the cluster has one.
            Ok(entries) => unread |= entries.is_empty(),
            Err(_) => unread = true,
        }
    }
    if has_map(cluster) {
        match map(snap) {
            Ok(map) => {
                let arns =
                    map.map(roles_of).unwrap_or_default().split(|c: char| c.is_whitespace() || "\"',[]{}".contains(c));
                if arns.filter(|word| word.starts_with("arn:")).any(|arn| own.is(arn)) {
                    return Admits::Yes;
                }
            }
            Err(_) => unread = true,
        }
    }
    if unread { Admits::Unknown } else { Admits::No }
}

/// Access entries of people and pipelines: without those of nodes, of AWS' own roles and of other accounts' identities.
pub(crate) fn usable_entries(snap: &Snapshot) -> Vec<&str> {
    let groups = snap.eks_nodegroups.iter().flatten();
    let nodes: Vec<Principal> = groups.filter_map(|g| Principal::of(&g.node_role)).collect();
    let entries = snap.access_entries.iter().flatten();
    let usable = entries.filter(|e| {
        !e.contains("/aws-service-role/") && Principal::of(e).is_some_and(|p| p.kind != "root" && !nodes.contains(&p))
    });
    usable.map(String::as_str).collect()
}

/// Words in the names of roles that programs have.
const AUTOMATION: &[&str] = &[
    "node",
    "karpenter",
    "autoscal",
    "controller",
    "deploy",
    "terraform",
    "github",
    "gitlab",
    "jenkins",
    "actions",
    "pipeline",
    "codebuild",
    "argo",
    "flux",
    "spinnaker",
    "lambda",
    "bot",
    "automation",
    "runner",
    "service",
    "agent",
    "monitor",
    "backup",
    "fargate",
];

/// A role that somebody could take on with `aws sts assume-role`: none that a program has by its name, nor one of IAM
/// Identity Center, which only its own login hands out.
pub(crate) fn may_be_assumed_by_people(principal: &Principal) -> bool {
    let name = principal.name.to_ascii_lowercase();
    let words = || name.split(|c: char| !c.is_ascii_alphanumeric());
    let of_program = AUTOMATION.iter().any(|w| name.contains(w)) || words().any(|w| w == "ci" || w == "cd");
    principal.kind == "role" && !of_program && !name.starts_with("awsreservedsso_")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Gap;

    fn refused(cause: GapCause) -> Snapshot {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        snap.platform = Platform::Eks;
        let server = Some("AB.gr7.eu-west-1.eks.amazonaws.com".to_owned());
        snap.api_refusal = Some(ApiRefusal { gap: Gap::new("GET /version", cause, "Unauthorized"), server });
        let cluster = json!({"name": "c", "arn": "arn:aws:eks:eu-west-1:111122223333:cluster/c",
            "endpoint": "https://ab.gr7.eu-west-1.eks.amazonaws.com", "accessConfig": {"authenticationMode": "API"},
            "resourcesVpcConfig": {"endpointPublicAccess": true, "publicAccessCidrs": ["0.0.0.0/0"]}});
        *snap.eks_cluster = Ok(serde_json::from_value(cluster).expect("a cluster"));
        let caller = json!({"Account": "111122223333", "Arn": "arn:aws:sts::111122223333:assumed-role/dev/j.doe"});
        *snap.caller_identity = Ok(serde_json::from_value(caller).expect("a caller"));
        *snap.access_entries = Ok(vec!["arn:aws:iam::111122223333:role/admin".into()]);
        snap
    }

    #[test]
    fn an_identity_is_known_by_its_role_whatever_the_path_and_the_session() {
        let mut snap = refused(GapCause::Unauthorized);
        assert_eq!(refusal(&snap), Some(Refusal::NotMapped));
        *snap.access_entries = Ok(vec!["arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/dev".into()]);
        assert_eq!(refusal(&snap), Some(Refusal::Mapped));
        *snap.access_entries = Ok(vec!["arn:aws:iam::444455556666:role/dev".into()]);
        assert_eq!(refusal(&snap), Some(Refusal::NotMapped));
        let cluster = snap.eks_cluster.as_mut().expect("a cluster");
        cluster.access_config.authentication_mode = "CONFIG_MAP".into();
        assert_eq!(refusal(&snap), Some(Refusal::Unknown));
    }

    #[test]
    fn credentials_are_judged_before_the_cluster() {
        let mut snap = refused(GapCause::Unauthorized);
        *snap.caller_identity = Err(Gap::new("sts:GetCallerIdentity", GapCause::Unauthorized, "ExpiredToken"));
        assert_eq!(refusal(&snap), Some(Refusal::Expired("ExpiredToken".into())));
        let mut snap = refused(GapCause::Unauthorized);
        snap.caller_identity.as_mut().expect("a caller").account = "444455556666".into();
        assert!(matches!(refusal(&snap), Some(Refusal::OtherAccount { .. })));
        let mut snap = refused(GapCause::Unauthorized);
        snap.api_refusal.as_mut().expect("refused").server = Some("OLD.gr7.eu-west-1.eks.amazonaws.com".into());
        assert!(matches!(refusal(&snap), Some(Refusal::OtherServer { .. })));
    }

    #[test]
    fn an_endpoint_out_of_reach_is_told_from_one_that_does_not_answer() {
        let mut snap = refused(GapCause::Timeout);
        assert_eq!(refusal(&snap), None);
        let mut gone = refused(GapCause::Unreachable);
        gone.api_refusal.as_mut().expect("refused").server = Some("OLD.gr7.eu-west-1.eks.amazonaws.com".into());
        assert!(matches!(refusal(&gone), Some(Refusal::OtherServer { .. })), "of a cluster that was made again");
        for server in ["k8s-1.elb.eu-west-1.amazonaws.com", "vpce-0a-1.vpce-svc-0b.eu-west-1.vpce.amazonaws.com"] {
            gone.api_refusal.as_mut().expect("refused").server = Some(server.into());
            assert_eq!(refusal(&gone), None, "{server} may lead to it on purpose");
        }
        let config = &mut snap.eks_cluster.as_mut().expect("a cluster").resources_vpc_config;
        config.public_access_cidrs = vec!["198.51.100.0/24".into()];
        assert_eq!(refusal(&snap), Some(Refusal::Networks(vec!["198.51.100.0/24".into()])));
        let config = &mut snap.eks_cluster.as_mut().expect("a cluster").resources_vpc_config;
        config.endpoint_public_access = Some(false);
        assert_eq!(refusal(&snap), Some(Refusal::PrivateEndpoint));
    }
}
