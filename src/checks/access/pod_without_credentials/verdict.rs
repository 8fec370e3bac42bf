//! What keeps a program from its credentials, and the fix.

use super::case::{Case, Verdict};
use super::fix::Fix;
use crate::checks::support::kept::Kept;
use crate::checks::support::place::Place;
use crate::domain::aws::addon::lacks_agent;
use crate::domain::aws::credentials::{self, Cause, Metadata, Source};
use crate::domain::aws::denied::{By, Denied};
use crate::domain::aws::oidc_provider;
use crate::domain::aws::trust::{self, Mismatch};
use crate::domain::kubernetes::owner::{Target, is_kind};
use crate::domain::kubernetes::proxy_env;
use crate::model::{Evidence, Placeholder};
use crate::snapshot::aws::{Instance, Role};
use crate::snapshot::kubernetes::Container;
use crate::text::glob::fits;
use serde_json::{Value, json};

/// Where the agent of EKS Pod Identity listens on each node.
const AGENT: &str = "169.254.170.23";

impl<'a> Case<'a> {
    /// STS does not know the issuer of the token.
    pub(super) fn issuer(&self) -> Verdict {
        let own = self.snap.eks_cluster().map(|c| c.issuer_host_path().to_owned()).unwrap_or_default();
        if let Some(other) = self.other_issuer() {
            let pod = self.pod().metadata.name.clone();
            return self.plain(
                Fix::OtherIssuer { of: self.of(), pod },
                format!("gets no credentials: its token is of issuer {other}, which is not this cluster's ({own})"),
            );
        }
        if self.said.text().contains("retrieve verification key") {
            return self.plain(
                Fix::Refused { of: self.of() },
                format!(
                    "gets no credentials: STS cannot fetch the public keys of the token's OIDC issuer, mostly for a while only ({})",
                    self.who()
                ),
            );
        }
        let providers = self.snap.iam_oidc_providers();
        if !own.is_empty() && providers.is_ok_and(|all| oidc_provider::fault(&own, all).is_none()) {
            return self.plain(
                Fix::Refused { of: self.of() },
                format!(
                    "got no credentials: STS did not know the cluster's OIDC issuer, which IAM has a provider for now ({})",
                    self.who()
                ),
            );
        }
        self.plain(
            Fix::Provider { of: self.in_cluster() },
            format!("gets no credentials: STS does not know the cluster's OIDC issuer ({})", self.who()),
        )
    }

    /// An association that the program does not use.
    pub(super) fn sdk(&self) -> Verdict {
        let without_agent = lacks_agent(self.snap);
        let why = match (&self.fault, without_agent) {
            (Cause::Sdk, _) => "its AWS SDK is older than Pod Identity, and refuses the agent's address 169.254.170.23",
            (_, true) => {
                "its AWS SDK may be older than Pod Identity, and the agent of EKS Pod Identity is not installed"
            }
            (_, false) => "its AWS SDK may be older than Pod Identity",
        };
        self.plain(
            Fix::Sdk { of: self.in_cluster(), without_agent },
            format!("has a Pod Identity association, and finds no credentials: {why}"),
        )
    }

    /// No role of its own, and the node's cannot be had.
    pub(super) fn node(&self) -> Verdict {
        if let Some((other, role)) = credentials::left_aside(self.snap, self.pod()) {
            return self.other_account(&other.metadata.name, role);
        }
        match credentials::metadata(self.snap, self.pod()) {
            Metadata::OutOfReach(instance) => Verdict {
                fix: Fix::HopLimit {
                    of: self.in_cluster(),
                    account: self.account().to_owned(),
                    instance: instance.instance_id.clone(),
                    without_agent: lacks_agent(self.snap),
                },
                why: format!(
                    "gets no credentials: the metadata of instance {} (node {}) {}, and {} has no role of its own",
                    instance.instance_id,
                    self.pod().spec.node_name.as_deref().unwrap_or_default(),
                    if is_off(instance) { "is turned off" } else { "does not reach pods, with a hop limit of 1" },
                    self.who()
                ),
                evidence: Some(metadata_evidence(instance)),
                role: None,
            },
            Metadata::InReach(instance) => Verdict {
                evidence: Some(metadata_evidence(instance)),
                ..self.plain(
                    self.own_role(String::new(), &instance.instance_id),
                    format!(
                        "gets no AWS credentials: {} has no role of its own, and the pod got none from the node's metadata either, although instance {} lets pods reach it{}",
                        self.who(),
                        instance.instance_id,
                        hops(instance).map(|n| format!(" (hop limit {n})")).unwrap_or_default()
                    ),
                )
            },
            Metadata::Unseen => self.plain(
                self.own_role(String::new(), ""),
                format!(
                    "gets no AWS credentials: {} has no role of its own, and whether the node's metadata reaches the pod was not seen",
                    self.who()
                ),
            ),
        }
    }

    /// The role is given to a ServiceAccount that is made for it, and it runs as another one.
    fn other_account(&self, holder: &str, role: Option<&str>) -> Verdict {
        let namespace = &self.pod().metadata.namespace;
        let target = Target::of(self.snap, self.pod());
        let set = json!({"serviceAccountName": holder});
        let patch = match target.operator_kind() {
            "" if !is_kind(&target.owner, &["Deployment", "StatefulSet", "DaemonSet"]) => String::new(),
            "" => json!({"spec": {"template": {"spec": set}}}).to_string(),
            _ => json!({"spec": set}).to_string(),
        };
        let role = role.map(|r| format!("role {r}")).unwrap_or_else(|| "a role".to_owned());
        self.plain(
            Fix::OtherAccount {
                of: self.of(),
                account: self.account().to_owned(),
                holder: holder.to_owned(),
                patch,
                kept: Kept::of(&target),
            },
            format!(
                "gets no AWS credentials: it runs as {}, which has no role, and {role} is given to ServiceAccount {namespace}/{holder}, which no pod uses",
                self.who()
            ),
        )
    }

    /// The container whose words it is, where its environment sends requests for the agent through a proxy: which one.
    fn proxied(&self) -> Option<(&'a Container, &'a str)> {
        let all = self.pod().spec.containers.iter();
        let said = self.said.container();
        let mut own = all.filter(|c| said.is_none_or(|name| c.name == name));
        own.find_map(|c| Some((c, proxy_env::for_host(c, "http", AGENT)?)))
    }

    pub(super) fn agent(&self) -> Verdict {
        if let Some((container, proxy)) = self.proxied() {
            let set = proxy_env::no_proxy(container).unwrap_or_default();
            let set: Vec<&str> = set.split(',').map(str::trim).filter(|s| !s.is_empty()).chain([AGENT]).collect();
            let target = Target::of(self.snap, self.pod());
            let in_place = target.in_place() && target.operator_kind().is_empty();
            return self.plain(
                Fix::Proxied {
                    of: self.of(),
                    container: container.name.clone(),
                    no_proxy: if in_place { format!("NO_PROXY={}", set.join(",")) } else { String::new() },
                    kept: Kept::of(&target),
                },
                format!(
                    "gets no credentials: its environment sends what it asks the agent of EKS Pod Identity ({AGENT}) through the proxy {proxy}, which cannot reach an address of the node"
                ),
            );
        }
        let installed = !lacks_agent(self.snap);
        let what = if installed { "does not answer it" } else { "is not installed" };
        self.plain(
            Fix::Agent { of: self.in_cluster(), installed },
            format!("gets no credentials: the agent of EKS Pod Identity {what}"),
        )
    }

    /// The role that the ServiceAccount names: absent, or it does not trust it.
    pub(super) fn role(&self, arn: &str) -> Verdict {
        let name = arn.rsplit('/').next().unwrap_or(arn).to_owned();
        let read = self.snap.iam_roles.as_ref().ok().and_then(|all| all.get(arn));
        match read {
            Some(Ok(None)) => Verdict {
                fix: Fix::RoleAbsent { of: self.of(), account: self.account().to_owned(), role: name.clone() },
                why: format!("gets no credentials: role {arn}, which {} names, does not exist", self.who()),
                evidence: None,
                role: Some(name),
            },
            Some(Ok(Some(role))) => self.trusting(role),
            _ => Verdict {
                why: format!("gets no credentials: STS does not let {} have role {arn}", self.who()),
                fix: self.trust(&name, None, ""),
                evidence: None,
                role: Some(name),
            },
        }
    }

    pub(super) fn trusting(&self, role: &Role) -> Verdict {
        let place = Place::of(self.snap);
        let issuer = self.snap.eks_cluster().map(|c| c.issuer_host_path().to_owned()).unwrap_or_default();
        let mismatch = trust::irsa(&role.trust_policy, &place.provider_arn(&issuer), &issuer, &self.subject());
        let Some(mismatch) = mismatch else {
            let registered = self.snap.iam_oidc_providers().map(|all| oidc_provider::fault(&issuer, all).is_none());
            let (fix, left) = match registered {
                Ok(true) => (
                    Fix::Refused { of: self.of() },
                    "it was set right just now, or a policy of the organization denies it",
                ),
                _ => (
                    Fix::Provider { of: self.in_cluster() },
                    "the cluster's OIDC issuer has to be registered in IAM as well",
                ),
            };
            return self.plain(
                fix,
                format!("was refused role {}, although the role trusts {}: {left}", role.name, self.who()),
            );
        };
        let words = mismatch.words();
        let Mismatch { part, found, expected } = mismatch;
        let found = if found.is_empty() { "absent".to_owned() } else { found };
        Verdict {
            fix: self.trust(&role.name, Some(role), if part == "Deny" { &found } else { "" }),
            why: format!(
                "gets no credentials: the trust policy of role {} does not admit {}: {words}",
                role.name,
                self.who()
            ),
            evidence: Some(
                Evidence::new(
                    format!("iam:GetRole {}, AssumeRolePolicyDocument", role.name),
                    format!("found    {found}\nexpected {expected}"),
                    "aws iam get-role --role-name {{ role }} --query Role.AssumeRolePolicyDocument",
                )
                .with("role", &role.name),
            ),
            role: Some(role.name.clone()),
        }
    }

    pub(super) fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.pod().metadata.namespace, self.account())
    }

    /// The role's policy with a statement that admits this ServiceAccount and nobody else; what it has already stays.
    pub(super) fn trust(&self, name: &str, role: Option<&Role>, denied: &str) -> Fix {
        let issuer = self.snap.eks_cluster().map(|c| c.issuer_host_path().to_owned()).unwrap_or_default();
        let provider = Place::of(self.snap).provider_arn(&issuer);
        let namespace = &self.pod().metadata.namespace;
        let statement = trust::irsa_statement(&provider, &issuer, namespace, self.account());
        let text = statement.to_string();
        let added = role.map(|r| trust::with_statement(&r.trust_policy, statement).to_string());
        Fix::Trust {
            of: self.of(),
            role: name.to_owned(),
            denied: denied.to_owned(),
            added_trust: added.unwrap_or_default(),
            statement: text,
        }
    }

    /// The policy of AWS that is made for the program.
    pub(super) fn managed_policy(&self) -> String {
        const KNOWN: &[(&str, &str)] = &[
            ("aws-node", "AmazonEKS_CNI_Policy"),
            ("efs-csi-controller", "service-role/AmazonEFSCSIDriverPolicy"),
            ("cloudwatch-agent", "CloudWatchAgentServerPolicy"),
        ];
        let workload = self.owner.kubectl_name();
        let name = workload.rsplit('/').next().unwrap_or_default();
        let found = KNOWN.iter().find(|(known, _)| *known == name);
        found.map_or_else(String::new, |(_, policy)| Place::of(self.snap).policy_arn(policy))
    }

    /// The role of the pod's node, where it is known.
    pub(super) fn node_role(&self) -> Option<&'a str> {
        const GROUP: &str = "eks.amazonaws.com/nodegroup";
        let groups = self.snap.eks_nodegroups().ok()?;
        let name = self.snap.node_of(self.pod()).and_then(|n| n.metadata.label(GROUP));
        // A node of no group (Karpenter, self-managed) has a role of its own.
        let all_grouped =
            || self.snap.nodes.items().is_ok_and(|all| all.iter().all(|n| n.metadata.label(GROUP).is_some()));
        let mut roles: Vec<&str> = match name {
            Some(name) => groups.iter().filter(|g| g.nodegroup_name == name).map(|g| g.node_role.as_str()).collect(),
            None if all_grouped() => groups.iter().map(|g| g.node_role.as_str()).collect(),
            None => return None,
        };
        roles.sort_unstable();
        roles.dedup();
        let [one] = roles.as_slice() else { return None };
        one.rsplit('/').next().filter(|r| !r.is_empty())
    }

    pub(super) fn denied(&self, denied: &Denied, source: &Source) -> Verdict {
        let action = denied.action.clone().unwrap_or_default();
        // What does not name the caller has the role that it is meant to have.
        let meant = || source.role().map(|r| r.rsplit('/').next().unwrap_or(r)).or_else(|| self.node_role());
        let role = denied.role().or_else(meant).unwrap_or_default().to_owned();
        let is_node = self.snap.eks_nodegroups.iter().flatten().any(|g| g.node_role.rsplit('/').next() == Some(&role));
        let on = denied.resource.as_deref().filter(|r| !r.is_empty()).unwrap_or("*").to_owned();
        let asked = || json!([{"Effect": "Allow", "Action": action, "Resource": on}]);
        // What it does beside that is asked for alone.
        let documented = self.documented().filter(|all| action.is_empty() || covers(all, &action, &on));
        let is_documented = documented.is_some();
        let statements = documented.unwrap_or_else(asked);
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        match source {
            Source::Irsa { injected: false, .. } | Source::PodIdentity { injected: false, .. } if is_node => {
                let own = source.role().unwrap_or("that of its association");
                let why = format!(
                    "works with the node's role {role}, which may not {action}, and not with {own} that {} names: its pods get it only when they are made",
                    self.who()
                );
                self.plain(Fix::Restart { of: self.of() }, why)
            }
            // The CNI is made to work with the node's role.
            Source::Node if is_node && self.managed_policy().is_empty() => {
                let why = format!(
                    "works with the node's role {role}, which may not {action}: {} has no role of its own",
                    self.who()
                );
                self.plain(self.own_role(policy, ""), why)
            }
            _ => {
                let forbidden =
                    matches!(denied.by, By::ControlPolicy | By::ExplicitDeny | By::Boundary | By::EndpointPolicy);
                let by = if forbidden {
                    "a policy denies it, whatever the role is allowed"
                } else {
                    "no policy of the role allows it"
                };
                let who = if role.is_empty() { "its identity".to_owned() } else { format!("role {role}") };
                Verdict {
                    why: format!("is refused by AWS: {who} may not {action} ({by})"),
                    fix: Fix::Permission {
                        of: self.of(),
                        role: Placeholder::new("role-name")
                            .how("aws iam list-roles --query 'Roles[].RoleName' --output text")
                            .candidates(Some(role.clone()).filter(|r| !r.is_empty())),
                        policy,
                        policy_name: match is_documented {
                            true => {
                                format!("allow-{}", self.owner.kubectl_name().rsplit('/').next().unwrap_or_default())
                            }
                            false => format!("allow-{}", action.replace(':', "-")),
                        },
                        is_documented,
                        denied: forbidden,
                        managed_policy: self.managed_policy(),
                    },
                    evidence: None,
                    role: Some(role).filter(|r| !r.is_empty()),
                }
            }
        }
    }
}

/// Statements that allow an action on a resource.
fn covers(statements: &Value, action: &str, on: &str) -> bool {
    statements.as_array().into_iter().flatten().any(|statement| {
        let mut actions = statement["Action"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let resource = statement["Resource"].as_str().unwrap_or_default();
        actions.any(|a| a.eq_ignore_ascii_case(action)) && (on == "*" || fits(resource, on))
    })
}

fn is_off(instance: &Instance) -> bool {
    instance.metadata_options.as_ref().is_some_and(|o| o.http_endpoint.as_deref() == Some("disabled"))
}

fn hops(instance: &Instance) -> Option<i64> {
    instance.metadata_options.as_ref().and_then(|o| o.http_put_response_hop_limit).map(i64::from)
}

fn metadata_evidence(instance: &Instance) -> Evidence {
    let options = instance.metadata_options.clone().unwrap_or_default();
    let hops = hops(instance).map_or_else(|| "?".to_owned(), |n| n.to_string());
    Evidence::new(
        format!("ec2:DescribeInstances {}, MetadataOptions", instance.instance_id),
        format!("HttpTokens {}, HttpPutResponseHopLimit {hops}", options.http_tokens.unwrap_or_default()),
        "aws ec2 describe-instances --instance-ids {{ instance }} --query 'Reservations[].Instances[].MetadataOptions'",
    )
    .with("instance", &instance.instance_id)
}
