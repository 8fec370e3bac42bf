//! Values of fixes about the registry, the logins for it, and the nodes' way to it.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::case::Case;
use crate::checks::support::place::Place;
use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::image::Image;

/// An image in Amazon ECR.
#[derive(Serialize, JsonSchema)]
pub(super) struct Ecr {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) repository: String,
    pub(super) image_id: Option<String>,
    /// The registry is another account's: whoever may pull from it may hardly list it.
    pub(super) another: bool,
}

/// A pull secret and the account that gives it to pods: the values of the shared steps `pull-secret-account`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Login {
    pub(super) secret: String,
    /// The pods name it already.
    pub(super) has_secret: bool,
    pub(super) service_account: String,
    pub(super) secret_patch: String,
}

impl Case<'_> {
    pub(super) fn host(&self) -> &str {
        self.image.as_ref().map_or("<registry>", |i| i.host.as_str())
    }

    pub(super) fn vpc(&self) -> String {
        let cluster = self.snap.eks_cluster.as_ref().ok();
        cluster.map_or("<vpc>", |c| c.resources_vpc_config.vpc_id.as_str()).to_owned()
    }

    pub(super) fn pull_policy(&self) -> String {
        Place::of(self.snap).policy_arn("AmazonEC2ContainerRegistryPullOnly")
    }

    /// The policy that lets a role have a pull-through cache take images in: below one prefix, and no more.
    pub(super) fn import_policy(&self) -> String {
        let (partition, Ecr { account, region, .. }) = (Identity::of(self.snap).partition, self.ecr());
        let prefix = self.cache_prefix().unwrap_or_default();
        let statement = json!({
            "Effect": "Allow",
            "Action": ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"],
            "Resource": format!("arn:{partition}:ecr:{region}:{account}:repository/{prefix}/*"),
        });
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    }

    /// The policy that lets the cluster's account pull.
    pub(super) fn repository_policy(&self) -> String {
        let partition = Identity::of(self.snap).partition;
        let own = self.cluster_account().unwrap_or("<account>");
        let statement = json!({
            "Sid": "PullFromCluster",
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:{partition}:iam::{own}:root")},
            "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        });
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    }

    pub(super) fn ecr(&self) -> Ecr {
        let image = self.image.as_ref();
        let id = |i: &Image| i.digest.as_ref().map_or(format!("imageTag={}", i.tag), |d| format!("imageDigest={d}"));
        Ecr {
            account: self.account().to_owned(),
            region: image.and_then(Image::ecr).map_or("", |e| e.region).to_owned(),
            repository: image.map(|i| i.repository.clone()).unwrap_or_default(),
            image_id: image.map(id),
            another: self.is_another(self.account()),
        }
    }

    /// The address under which kubectl keeps a login.
    pub(super) fn server(&self) -> String {
        if self.host() == "docker.io" { "https://index.docker.io/v1/" } else { self.host() }.to_owned()
    }

    pub(super) fn login(&self) -> Login {
        let usual = if self.host() == "docker.io" { "docker-hub" } else { "registry-login" };
        let secret = self.secrets().first().map_or(usual, |s| *s);
        Login {
            secret: secret.to_owned(),
            has_secret: !self.secrets().is_empty(),
            service_account: self.pod.spec.account().to_owned(),
            secret_patch: json!({"imagePullSecrets": [{"name": secret}]}).to_string(),
        }
    }

    /// Shows on the node which mirrors it has for the registry, and whether this one and the registry itself answer.
    pub(super) fn show_hosts(&self) -> String {
        let host = self.image.as_ref().map_or("_default", |i| i.host.as_str());
        let mirror = self.mirror.as_deref().unwrap_or_default();
        let server = if host == "docker.io" { "registry-1.docker.io" } else { host };
        let commands = json!([
            format!("cat /etc/containerd/certs.d/{host}/hosts.toml /etc/containerd/certs.d/_default/hosts.toml"),
            format!("curl -sS -m 5 -o /dev/null -w '%{{http_code}} {mirror}\\n' https://{mirror}/v2/"),
            format!("curl -sS -m 5 -o /dev/null -w '%{{http_code}} {server}\\n' https://{server}/v2/"),
        ]);
        json!({ "commands": commands }).to_string()
    }

    /// The host that pulls of the image ask.
    pub(super) fn asked_host(&self) -> &str {
        if self.host() == "docker.io" { "registry-1.docker.io" } else { self.host() }
    }

    /// Commands for the node: what answers it in the registry's place, and by which proxy or mirror its runtime asks.
    pub(super) fn show_way(&self) -> String {
        let host = self.image.as_ref().map_or("_default", |i| i.host.as_str());
        let commands = json!([
            format!("curl -sSI -m 5 https://{}/v2/", self.asked_host()),
            "systemctl show containerd --property=Environment",
            format!("cat /etc/containerd/certs.d/{host}/hosts.toml /etc/containerd/certs.d/_default/hosts.toml"),
        ]);
        json!({ "commands": commands }).to_string()
    }

    /// Where people see which tags a public repository has.
    pub(super) fn repository_url(&self) -> Option<String> {
        let image = self.image.as_ref()?;
        let path = &image.repository;
        match image.host.as_str() {
            "docker.io" => Some(match path.strip_prefix("library/") {
                Some(official) => format!("https://hub.docker.com/_/{official}/tags"),
                None => format!("https://hub.docker.com/r/{path}/tags"),
            }),
            "quay.io" => Some(format!("https://quay.io/repository/{path}?tab=tags")),
            _ => None,
        }
    }
}
