//! The API server lets nobody in: credentials, access entries, an endpoint that is open inside the VPC only.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::place::Place;
use crate::checks::{Check, check};
use crate::domain::aws::access::{self, Principal, Refusal};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, GapCause, ResourceRef, Severity};
use crate::snapshot::{ApiRefusal, Snapshot};

check! {
    /// See the check's page.
    ApiAccess {
        id: "api-access", suite: Access, severity: Error,
        title: "the cluster's API server cannot be asked",
        requires: [Namespaces],
        uses: [CallerIdentity, EksCluster, AccessEntries, EksNodegroups],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    cluster: String,
    region: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Expired,
    OtherAccount,
    OtherServer,
    NotMapped {
        /// Who asks: one of them, or neither where it is something else.
        role: Option<String>,
        user: Option<String>,
        /// A role that has an entry, and that people may assume.
        mapped_role: Option<String>,
        policy: String,
    },
    Mapped {
        dns_suffix: &'static str,
    },
    Unknown {
        /// The cluster knows no access entries yet.
        old_mode: bool,
        /// Who asks, as aws-auth names it: a role without its path and its session. Empty where it is no role.
        role_arn: String,
    },
    Refused {
        context: String,
    },
    PrivateEndpoint {
        cluster_group: String,
    },
    Networks {
        /// `publicAccessCidrs=…` with an address of one's own.
        cidrs_and_own: String,
    },
}

impl Way {
    fn of(snap: &Snapshot, place: &Place, why: &Refusal) -> Self {
        let cluster = snap.eks_cluster.as_ref().ok();
        match why {
            Refusal::Expired(_) => Self::Expired,
            Refusal::OtherAccount { .. } => Self::OtherAccount,
            Refusal::OtherServer { .. } => Self::OtherServer,
            Refusal::NotMapped => Self::not_mapped(snap, place),
            Refusal::Mapped => Self::Mapped { dns_suffix: place.dns_suffix() },
            Refusal::Unknown => {
                let own = snap.caller_identity.as_ref().ok();
                let role = own.and_then(|c| Principal::of(&c.arn)).filter(|p| p.kind == "role");
                let arn_of = |r: Principal| {
                    let account = own.map_or("", |c| c.account.as_str());
                    format!("arn:{}:iam::{account}:role/{}", place.partition, r.name)
                };
                Self::Unknown {
                    old_mode: cluster.is_some_and(|c| c.access_config.authentication_mode == "CONFIG_MAP"),
                    role_arn: role.map(arn_of).unwrap_or_default(),
                }
            }
            Refusal::Refused => {
                Self::Refused { context: snap.target.context.clone().unwrap_or_else(|| "<context>".to_owned()) }
            }
            Refusal::PrivateEndpoint => {
                let group = cluster.map(|c| c.resources_vpc_config.cluster_security_group_id.clone());
                Self::PrivateEndpoint { cluster_group: group.unwrap_or_default() }
            }
            Refusal::Networks(cidrs) => {
                Self::Networks { cidrs_and_own: format!("publicAccessCidrs={},<own-address>/32", cidrs.join(",")) }
            }
        }
    }

    fn not_mapped(snap: &Snapshot, place: &Place) -> Self {
        let own = snap.caller_identity.as_ref().ok().and_then(|c| Principal::of(&c.arn));
        let named = |kind: &str| own.as_ref().filter(|p| p.kind == kind).map(|p| p.name.clone());
        let usable = access::usable_entries(snap);
        let mapped = usable.iter().find(|e| Principal::of(e).is_some_and(|p| access::may_be_assumed_by_people(&p)));
        Self::NotMapped {
            role: named("role"),
            user: named("user"),
            mapped_role: mapped.map(|e| (*e).to_owned()),
            policy: format!("arn:{}:eks::aws:cluster-access-policy/AmazonEKSViewPolicy", place.partition),
        }
    }
}

impl Check for ApiAccess {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let found = snap.api_refusal.as_ref().zip(access::refusal(snap));
        let found = found.map(|(refused, why)| finding(snap, refused, &why));
        Ok(Diagnosis::Findings(found.into_iter().collect()))
    }
}

fn finding(snap: &Snapshot, refused: &ApiRefusal, why: &Refusal) -> Finding {
    let place = Place::of(snap);
    let (subject, who) = match snap.platform {
        crate::snapshot::Platform::Eks => {
            (ResourceRef::aws("eks", "cluster", &place.cluster), format!("the API server of cluster {}", place.cluster))
        }
        _ => {
            let context = snap.target.context.as_deref().unwrap_or("of the kubeconfig");
            (ResourceRef::kubernetes("", "Context", "", context), format!("the API server of context {context}"))
        }
    };
    let caller = snap.caller_identity.as_ref().ok();
    let arn = caller.map_or("", |c| c.arn.as_str());
    let answers = refused.gap.cause == GapCause::Unauthorized;
    let message = format!("{who} {}", words(why, arn, answers));
    let mut made = Finding::new(ApiAccess::META.id, Severity::Error, subject.clone(), message)
        .breaks(subject)
        .fix(Fix { cluster: place.cluster.clone(), region: place.region.clone(), way: Way::of(snap, &place, why) })
        .evidence(Evidence::new(
            refused.gap.what.clone(),
            format!("{}: {}", refused.gap.cause.as_str(), refused.gap.message),
            "kubectl get --raw /version",
        ));
    made.key = made.variant.to_owned();
    if caller.is_some() {
        made = made.evidence(Evidence::new("sts:GetCallerIdentity", arn, "aws sts get-caller-identity"));
    }
    made = made.evidence_all(entries_evidence(snap, &place));
    made.evidence_all(endpoint_evidence(snap, &place, why))
}

fn words(why: &Refusal, arn: &str, answers: bool) -> String {
    match why {
        Refusal::Expired(said) => {
            format!("answers 401 Unauthorized: the AWS credentials are expired or not valid ({said})")
        }
        Refusal::OtherAccount { own, of_cluster } => format!(
            "answers 401 Unauthorized: the credentials ({arn}) are of account {own}, the cluster is in account {of_cluster}"
        ),
        Refusal::OtherServer { server, endpoint } if !answers => format!(
            "is not the one that is asked and does not answer: the kubeconfig names {server}, and the cluster's endpoint is {endpoint}"
        ),
        Refusal::OtherServer { server, endpoint } => format!(
            "cannot be the one that answers 401 Unauthorized: the kubeconfig names {server}, and the cluster's endpoint is {endpoint}"
        ),
        Refusal::NotMapped => {
            format!("answers 401 Unauthorized: {arn} is not mapped, neither by an access entry nor by aws-auth")
        }
        Refusal::Mapped => format!(
            "answers 401 Unauthorized although {arn} has an access entry: the token is another identity's, is of another cluster, or the clock is wrong"
        ),
        Refusal::Unknown if arn.is_empty() => {
            "answers 401 Unauthorized: it does not know the identity that asks".into()
        }
        Refusal::Unknown => format!("answers 401 Unauthorized: it does not know the identity that asks ({arn})"),
        Refusal::Refused => "answers 401 Unauthorized: the kubeconfig's credentials are refused".into(),
        Refusal::PrivateEndpoint => {
            "cannot be reached: its endpoint is private (endpointPublicAccess is false) and answers inside the VPC only"
                .into()
        }
        Refusal::Networks(cidrs) => {
            format!("cannot be reached: its public endpoint admits {} only (publicAccessCidrs)", cidrs.join(", "))
        }
    }
}

/// Whom the cluster knows.
fn entries_evidence(snap: &Snapshot, place: &Place) -> Option<Evidence> {
    let entries = snap.access_entries.as_ref().ok()?;
    let mode = snap.eks_cluster.as_ref().ok().map(|c| c.access_config.authentication_mode.as_str());
    let mode = mode.filter(|m| !m.is_empty()).map(|m| format!("authenticationMode {m}\n")).unwrap_or_default();
    let evidence = Evidence::new(
        "eks:ListAccessEntries",
        format!("{mode}{}", entries.join("\n")),
        "aws eks list-access-entries --cluster-name {{ cluster }}",
    );
    Some(evidence.with("cluster", &place.cluster))
}

/// How the endpoint is open, where that is the matter.
fn endpoint_evidence(snap: &Snapshot, place: &Place, why: &Refusal) -> Option<Evidence> {
    if !matches!(why, Refusal::PrivateEndpoint | Refusal::Networks(_) | Refusal::OtherServer { .. }) {
        return None;
    }
    let cluster = snap.eks_cluster.as_ref().ok()?;
    let config = &cluster.resources_vpc_config;
    let open = |flag: Option<bool>| flag.map_or("unknown".to_owned(), |f| f.to_string());
    let value = format!(
        "endpoint {}\nendpointPublicAccess {}, endpointPrivateAccess {}, publicAccessCidrs {}",
        cluster.endpoint,
        open(config.endpoint_public_access),
        open(config.endpoint_private_access),
        config.public_access_cidrs.join(", ")
    );
    let evidence = Evidence::new(
        "eks:DescribeCluster, endpoint",
        value,
        "aws eks describe-cluster --name {{ cluster }} --query 'cluster.[endpoint,resourcesVpcConfig]'",
    );
    Some(evidence.with("cluster", &place.cluster))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::snapshot::Platform;

    fn refused(cause: GapCause) -> Snapshot {
        let mut snap = Snapshot::empty("2026-11-21T12:00:00Z".parse().expect("a time"));
        snap.platform = Platform::Eks;
        snap.api_refusal = Some(ApiRefusal { gap: Gap::new("GET /version", cause, "Unauthorized"), server: None });
        let cluster = json!({"name": "shop", "arn": "arn:aws:eks:eu-west-1:111122223333:cluster/shop",
            "accessConfig": {"authenticationMode": "API_AND_CONFIG_MAP"},
            "resourcesVpcConfig": {"endpointPublicAccess": true, "publicAccessCidrs": ["198.51.100.0/24"]}});
        *snap.eks_cluster = Ok(serde_json::from_value(cluster).expect("a cluster"));
        let caller =
            json!({"Account": "111122223333", "Arn": "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_dev_1/j"});
        *snap.caller_identity = Ok(serde_json::from_value(caller).expect("a caller"));
        *snap.access_entries = Ok(vec!["arn:aws:iam::111122223333:role/platform".into()]);
        snap
    }

    #[test]
    fn an_identity_without_an_entry_gets_one_or_takes_one_that_has() {
        let found = findings(&ApiAccess, &refused(GapCause::Unauthorized));
        assert_eq!((found.len(), found[0].variant), (1, "not-mapped"));
        let text = steps(&found[0]);
        assert!(
            text.contains("aws eks update-kubeconfig --name shop --role-arn arn:aws:iam::111122223333:role/platform"),
            "{text}"
        );
        assert!(text.contains("aws iam get-role --role-name AWSReservedSSO_dev_1 --query Role.Arn"), "{text}");
        assert!(text.contains("aws eks create-access-entry --cluster-name shop"), "{text}");
    }

    #[test]
    fn a_server_that_does_not_answer_is_no_matter_of_credentials() {
        let found = findings(&ApiAccess, &refused(GapCause::Timeout));
        assert_eq!((found.len(), found[0].variant), (1, "networks"));
        assert!(!steps(&found[0]).contains("create-access-entry"));
    }

    #[test]
    fn says_nothing_where_the_server_answers() {
        let mut snap = refused(GapCause::Unauthorized);
        snap.api_refusal = None;
        assert_eq!(findings(&ApiAccess, &snap), []);
    }
}
