//! A token that is not exchanged for credentials: it cannot be read, goes to somebody else, or is not taken.

use serde_json::json;

use super::case::{Case, Verdict};
use super::fix::Fix;
use crate::checks::support::configuration::Configuration;
use crate::checks::support::kept::Kept;
use crate::checks::support::place::Place;
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::mounts;
use crate::domain::kubernetes::owner::{Target, is_kind};
use crate::model::Placeholder;

impl Case<'_> {
    /// IAM does not take the certificate of the cluster's issuer.
    pub(super) fn thumbprint(&self) -> Verdict {
        let issuer = self.snap.eks_cluster().map(|c| c.issuer_host_path().to_owned()).unwrap_or_default();
        let host = issuer.split('/').next().filter(|h| !h.is_empty()).unwrap_or("<issuer-host>").to_owned();
        self.plain(
            Fix::Thumbprint {
                of: self.of(),
                provider: self.provider().unwrap_or_else(|| "<provider-arn>".to_owned()),
                issuer_host: host,
            },
            format!(
                "gets no credentials: the certificate of the cluster's OIDC issuer is not one of those whose thumbprints its provider in IAM names ({})",
                self.who()
            ),
        )
    }

    /// It runs as a user who may not read its token.
    pub(super) fn unreadable(&self, file: &str) -> Verdict {
        let target = Target::of(self.snap, self.pod());
        let context = self.pod().spec.security_context.as_ref();
        let own = context.and_then(|c| c.run_as_user).filter(|id| *id > 0);
        let group = own.unwrap_or(65534);
        let set = json!({"securityContext": {"fsGroup": group}});
        let patch = match target.operator_kind() {
            "" if is_kind(&target.owner, &["Pod", "Job"]) => None,
            "" if is_kind(&target.owner, &["CronJob"]) => {
                Some(json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": set}}}}}))
            }
            "" => Some(json!({"spec": {"template": {"spec": set}}})),
            _ => Some(json!({"spec": set})),
        };
        let patch = patch.map(|p| p.to_string()).unwrap_or_default();
        self.plain(
            Fix::Token { of: self.of(), patch, group, kept: Kept::of(&target) },
            format!("gets no credentials: its process may not read {file}, the token that its role is had with"),
        )
    }

    /// It asks another service for them.
    pub(super) fn endpoint(&self, host: Option<&str>) -> Verdict {
        let asked = host.unwrap_or_default().to_owned();
        let at = host.map(|h| format!(" ({h})")).unwrap_or_default();
        let pod = self.pod();
        let container = pod.spec.containers.iter().find(|c| Some(c.name.as_str()) == self.said.container());
        let file = container.and_then(|c| arguments::flag(c, "config.file"));
        let origin = container.zip(file).map(|(c, file)| mounts::origin(self.snap, pod, c, file));
        let managed_by = Target::of(self.snap, pod).managed_by;
        self.plain(
            Fix::Endpoint {
                of: self.of(),
                asked,
                region: Place::of(self.snap).region,
                configuration: Configuration::of(origin, managed_by),
            },
            format!(
                "gets no credentials: it asks another service{at} for them and not STS, as an SDK does that was given an address of its own for S3 (endpoint)"
            ),
        )
    }

    /// STS does not answer.
    pub(super) fn sts(&self, host: &str) -> Verdict {
        let vpc = self.snap.eks_cluster().ok().map(|c| c.resources_vpc_config.vpc_id.clone());
        self.plain(
            Fix::Sts {
                of: self.of(),
                host: host.to_owned(),
                region: Place::of(self.snap).region,
                vpc: Placeholder::new("vpc-id").candidates(vpc),
            },
            format!("gets no credentials: it does not reach STS ({host}), which gives them for its role"),
        )
    }
}
